//! A Debian archive made on the spot: real packages, indexes and a signed release, served on the
//! loopback, with faults to order.
//!
//! ```no_run
//! # use mabuild_tests::debian::{Archive, Pkg};
//! let folder = tempfile::tempdir().unwrap();
//! let mut archive = Archive::new(folder.path(), "bookworm", &["amd64"]);
//! archive.package(Pkg::new("hello", "1.0-1").arch("amd64").file("usr/share/hello", "hello\n"));
//! archive.publish(1_717_400_000);
//! // archive.uri() with the keys of archive.keys() is what a client asks.
//! ```

pub mod key;
pub mod package;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::server::{Answer, Request, Server};
pub use key::Key;
pub use package::{Compression, Pkg};

/// Files by their path below the address of the server, `debian/dists/…`.
pub type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// Answers a path otherwise than the archive would; none leaves it to the archive.
type Fault = dyn Fn(&str) -> Option<Answer> + Send + Sync;

/// An archive with its server.
pub struct Archive {
    /// The server; `server.paths()` tells what was asked for.
    pub server: Server,
    /// What signs. Another one counts from the next [`Archive::publish`] on.
    pub key: Key,
    /// What is odd about the release, from the next [`Archive::publish`] on.
    pub release: ReleaseForm,
    keys: PathBuf,
    arches: Vec<String>,
    /// Packages of each suite.
    suites: Vec<(String, Vec<Pkg>)>,
    served: Arc<Mutex<Served>>,
}

/// How a release is made.
#[derive(Clone, Debug)]
pub struct ReleaseForm {
    /// How long it counts, in seconds from its date.
    pub valid: Option<i64>,
    /// How long its signature counts, in seconds from its date.
    pub signature_valid: Option<u32>,
    /// Whether the signature stands beside it: `Release` and `Release.gpg`, no `InRelease`.
    pub detached: bool,
    /// Whether indexes can be had by their digest.
    pub by_hash: bool,
    /// How indexes are compressed.
    pub compressions: Vec<Compression>,
    /// The only component.
    pub component: String,
    /// Whether packages of the architecture `all` are in an index of their own alone.
    pub separate_all: bool,
}

#[derive(Default)]
struct Served {
    files: Files,
    fault: Option<Arc<Fault>>,
}

impl Archive {
    /// An archive with one suite, not published yet. The folder gets the file of its key.
    pub fn new(folder: &Path, suite: &str, arches: &[&str]) -> Self {
        let served = Arc::new(Mutex::new(Served::default()));
        let state = served.clone();
        let key = Key::new(1_000_000_000, None);
        let keys = folder.join("archive-key.asc");
        std::fs::write(&keys, key.public()).expect("the file of the key");
        Self {
            server: Server::start(move |request, _| answer(&state, request)),
            key,
            release: ReleaseForm {
                valid: None,
                signature_valid: None,
                detached: false,
                by_hash: true,
                compressions: vec![Compression::Xz, Compression::Gz],
                component: "main".to_owned(),
                separate_all: false,
            },
            keys,
            arches: arches.iter().map(|arch| (*arch).to_owned()).collect(),
            suites: vec![(suite.to_owned(), Vec::new())],
            served,
        }
    }

    /// The address of the archive; suites that end in `-security` are beside it, at this address
    /// with `-security` after it.
    pub fn uri(&self) -> String {
        format!("{}/debian", self.server.address)
    }

    /// The file with the public key that the archive was made with.
    pub fn keys(&self) -> &Path {
        &self.keys
    }

    /// Adds a package to the first suite; it takes the place of one with the same name and
    /// architecture.
    pub fn package(&mut self, package: Pkg) -> &mut Self {
        let suite = self.suites[0].0.clone();
        self.package_of(&suite, package)
    }

    /// Adds a package to any suite, which need not be there before.
    pub fn package_of(&mut self, suite: &str, package: Pkg) -> &mut Self {
        let packages = self.suite(suite);
        packages.retain(|other| (&other.name, &other.arch) != (&package.name, &package.arch));
        packages.push(package);
        self
    }

    /// Makes sure that a suite is there.
    pub fn suite(&mut self, suite: &str) -> &mut Vec<Pkg> {
        let at = self.suites.iter().position(|(name, _)| name == suite);
        let at = at.unwrap_or_else(|| {
            self.suites.push((suite.to_owned(), Vec::new()));
            self.suites.len() - 1
        });
        &mut self.suites[at].1
    }

    /// Makes packages, indexes and releases anew, dated in seconds since 1970, and serves them in
    /// place of what was there before.
    pub fn publish(&self, date: i64) {
        let mut files = Files::new();
        for (suite, packages) in &self.suites {
            let root = if suite.ends_with("-security") { "debian-security" } else { "debian" };
            self.publish_suite(&mut files, root, suite, packages, date);
        }
        self.served().files = files;
    }

    /// What is served, without the faults.
    pub fn files(&self) -> Files {
        self.served().files.clone()
    }

    /// Sets what is answered otherwise: by the path below the address of the server.
    pub fn fault(&self, fault: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) {
        self.served().fault = Some(Arc::new(fault));
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.served().fault = None;
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish_suite(
        &self,
        files: &mut Files,
        root: &str,
        suite: &str,
        packages: &[Pkg],
        date: i64,
    ) {
        let form = &self.release;
        let mut listed = String::new();
        let apart = form.separate_all.then(|| "all".to_owned());
        for arch in self.arches.iter().chain(&apart) {
            let counts = |p: &&Pkg| p.arch == *arch || (p.arch == "all" && !form.separate_all);
            let of_arch = packages.iter().filter(counts);
            let stanzas: String = of_arch.map(|package| stanza(files, root, package)).collect();
            let folder = format!("{}/binary-{arch}", form.component);
            let plain = ("Packages".to_owned(), stanzas.as_bytes().to_vec());
            let packed = form.compressions.iter().map(|compression| {
                let name = format!("Packages.{}", compression.ending());
                (name, compression.pack(stanzas.as_bytes()))
            });
            for (name, bytes) in packed.chain([plain]) {
                let digest = hex::encode(Sha256::digest(&bytes));
                listed.push_str(&format!(" {digest} {} {folder}/{name}\n", bytes.len()));
                let folder = format!("{root}/dists/{suite}/{folder}");
                let bytes = Arc::new(bytes);
                if form.by_hash {
                    files.insert(format!("{folder}/by-hash/SHA256/{digest}"), bytes.clone());
                }
                // As in Debian's own archive, the plain form is listed, but not there.
                if name != "Packages" || form.compressions.is_empty() {
                    files.insert(format!("{folder}/{name}"), bytes);
                }
            }
        }
        let text = self.release_text(suite, date, &listed);
        let mut put = |name: &str, text: String| {
            files.insert(format!("{root}/dists/{suite}/{name}"), Arc::new(text.into_bytes()))
        };
        if form.detached {
            put("Release.gpg", self.key.detach_sign(&text, date));
            put("Release", text);
        } else {
            put("InRelease", self.key.clear_sign(&text, date, form.signature_valid));
        }
    }

    fn release_text(&self, suite: &str, date: i64, listed: &str) -> String {
        let form = &self.release;
        let mut text = format!("Origin: Test\nSuite: {suite}\nCodename: {suite}\n");
        text.push_str(&format!("Date: {}\n", shown(date)));
        if let Some(valid) = form.valid {
            text.push_str(&format!("Valid-Until: {}\n", shown(date + valid)));
        }
        if form.by_hash {
            text.push_str("Acquire-By-Hash: yes\n");
        }
        if !form.separate_all {
            text.push_str("No-Support-for-Architecture-all: Packages\n");
        }
        // As Debian's own archive for security has it.
        let area = if suite.ends_with("-security") { "updates/" } else { "" };
        let (arches, component) = (self.arches.join(" "), &form.component);
        text.push_str(&format!(
            "Architectures: all {arches}\nComponents: {area}{component}\nSHA256:\n{listed}"
        ));
        text
    }
}

/// Puts a package into the pool; gives its stanza in an index.
fn stanza(files: &mut Files, root: &str, package: &Pkg) -> String {
    let path = format!("pool/{}", package.file_name());
    let deb = files.entry(format!("{root}/{path}")).or_insert_with(|| Arc::new(package.deb()));
    let digest = hex::encode(Sha256::digest(&***deb));
    let size = deb.len();
    format!("{}Filename: {path}\nSize: {size}\nSHA256: {digest}\n\n", package.control())
}

/// A date as releases have it.
fn shown(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).expect("a date");
    time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

fn answer(served: &Mutex<Served>, request: &Request) -> Answer {
    let path = request.path.trim_start_matches('/');
    let (fault, file) = {
        let served = served.lock().unwrap_or_else(PoisonError::into_inner);
        (served.fault.clone(), served.files.get(path).cloned())
    };
    if let Some(answer) = fault.and_then(|fault| fault(path)) {
        return answer;
    }
    let Some(file) = file else { return Answer::status(404) };
    let tag = format!("\"{}\"", hex::encode(Sha256::digest(&*file)));
    let known = request.headers.get("if-none-match") == Some(&tag);
    match known {
        true => Answer::status(304),
        false => Answer::Reply(200, vec![("ETag", tag)], file),
    }
}
