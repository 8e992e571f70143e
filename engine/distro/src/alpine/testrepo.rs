//! A maker of small signed packages and repositories, for tests of this and of other crates
//! (feature `testing`).
//!
//! The keys are made when they are first asked for and live as long as the process.

#![expect(clippy::expect_used, reason = "a maker of test data has nobody to report an error to")]

use super::dependency::{Dependency, join};
use super::index::{Checksum, Index, Package};
use super::keys::Keys;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex, OnceLock};
use tar_core::{EntryBuilder, EntryType};

/// ASN.1 of the hash in front of its value (RFC 8017, 9.2).
const SHA1_PREFIX: &[u8] = b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14";
const SHA256_PREFIX: &[u8] =
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

/// When everything was built, in seconds since 1970.
const BUILD_TIME: u64 = 1_700_000_000;

/// The hash of a signature.
#[derive(Debug, Clone, Copy)]
pub enum Algorithm {
    /// `.SIGN.RSA.*`, as Alpine signs.
    Sha1,
    /// `.SIGN.RSA256.*`
    Sha256,
}

/// A throw-away key.
#[derive(Debug)]
pub struct Signer {
    file_name: String,
    pem: String,
    key: RsaPrivateKey,
}

impl Signer {
    /// Gives the key of this name; the same one every time within a process.
    pub fn shared(name: &str) -> Arc<Signer> {
        static MADE: OnceLock<Mutex<BTreeMap<String, Arc<Signer>>>> = OnceLock::new();
        let mut made = MADE.get_or_init(Mutex::default).lock().expect("no test panics in here");
        made.entry(name.to_owned()).or_insert_with(|| Arc::new(Signer::generate(name))).clone()
    }

    fn generate(name: &str) -> Signer {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key can be made");
        let private = pair.as_der().expect("a key has a PKCS#8 form");
        let public = pair.public_key().as_der().expect("a key has a public form");
        let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
        for line in STANDARD.encode(public.as_ref()).as_bytes().chunks(64) {
            pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            pem.push('\n');
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        let key = RsaPrivateKey::from_pkcs8_der(private.as_ref()).expect("the key is well formed");
        Signer { file_name: format!("{name}.rsa.pub"), pem, key }
    }

    /// Gives the file name of the public key.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Gives the public key in PEM form.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Gives a set with this key alone.
    pub fn keys(&self) -> Keys {
        let mut keys = Keys::new();
        keys.add(&self.file_name, &self.pem).expect("the key is well formed");
        keys
    }

    /// Makes the segment that goes before what is signed.
    pub fn signature_segment(&self, algorithm: Algorithm, signed: &[u8]) -> Vec<u8> {
        let (kind, digest, prefix) = match algorithm {
            Algorithm::Sha1 => ("RSA", Sha1::digest(signed).to_vec(), SHA1_PREFIX),
            Algorithm::Sha256 => ("RSA256", Sha256::digest(signed).to_vec(), SHA256_PREFIX),
        };
        let scheme = Pkcs1v15Sign { hash_len: Some(digest.len()), prefix: prefix.into() };
        let signature = self.key.sign(scheme, &digest).expect("the key can sign");
        let name = format!(".SIGN.{kind}.{}", self.file_name);
        gzip(&tar_entry(&name, &signature, &[]))
    }
}

/// Compresses as one gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// Makes the tar entry of a regular file with mode 0644, without an end marker.
pub fn tar_entry(path: &str, data: &[u8], pax: &[(&str, &str)]) -> Vec<u8> {
    let file = File { kind: EntryType::Regular, mode: 0o644, owner: (0, 0), data: data.to_vec() };
    raw_entry(path, &file, pax)
}

fn raw_entry(path: &str, file: &File, pax: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = EntryBuilder::new_ustar();
    builder.path(path).entry_type(file.kind);
    let content: &[u8] = if file.kind.is_file() { &file.data } else { &[] };
    if file.kind.is_symlink() || file.kind.is_hard_link() {
        builder.link_name(&file.data);
    }
    for (key, value) in pax {
        builder.add_pax(key, value);
    }
    builder.mode(file.mode).expect("a mode fits");
    builder.uid(file.owner.0).and_then(|b| b.gid(file.owner.1)).expect("owners fit");
    builder.size(content.len() as u64).and_then(|b| b.mtime(BUILD_TIME)).expect("numbers fit");
    builder.username("root").and_then(|b| b.groupname("root")).expect("names fit");
    let mut out = builder.finish_bytes();
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

#[derive(Debug, Clone)]
struct File {
    kind: EntryType,
    mode: u32,
    owner: (u64, u64),
    data: Vec<u8>,
}

/// What a package is to be.
#[derive(Debug, Clone)]
pub struct Recipe {
    package: Package,
    triggers: String,
    scripts: Vec<(String, String)>,
    files: BTreeMap<String, File>,
    pax: Vec<(String, String, String)>,
}

fn list(text: &str) -> Vec<Dependency> {
    Dependency::parse_list(text).expect("a recipe has well-formed dependencies")
}

impl Recipe {
    /// Begins a package without files for `x86_64`.
    pub fn new(name: &str, version: &str) -> Self {
        let package = Package {
            name: name.into(),
            version: version.into(),
            arch: Some("x86_64".into()),
            description: format!("the test package {name}"),
            url: "https://example.org/".into(),
            license: "MIT".into(),
            origin: Some(name.into()),
            maintainer: Some("Nobody <nobody@example.org>".into()),
            build_time: Some(BUILD_TIME),
            ..Package::default()
        };
        let (triggers, scripts) = (String::new(), Vec::new());
        Recipe { package, triggers, scripts, files: BTreeMap::new(), pax: Vec::new() }
    }

    /// Sets the architecture.
    pub fn arch(mut self, arch: &str) -> Self {
        self.package.arch = Some(arch.into());
        self
    }

    /// Sets the source package.
    pub fn origin(mut self, origin: &str) -> Self {
        self.package.origin = Some(origin.into());
        self
    }

    /// Sets what it depends on, separated by spaces.
    pub fn depends(mut self, text: &str) -> Self {
        self.package.depends = list(text);
        self
    }

    /// Sets what it provides, separated by spaces.
    pub fn provides(mut self, text: &str) -> Self {
        self.package.provides = list(text);
        self
    }

    /// Sets its preference as a provider.
    pub fn provider_priority(mut self, priority: u64) -> Self {
        self.package.provider_priority = priority;
        self
    }

    /// Sets when it comes along by itself, separated by spaces.
    pub fn install_if(mut self, text: &str) -> Self {
        self.package.install_if = list(text);
        self
    }

    /// Sets whose files it may overwrite, and with which priority.
    pub fn replaces(mut self, text: &str, priority: u64) -> Self {
        self.package.replaces = list(text);
        self.package.replaces_priority = priority;
        self
    }

    /// Sets the folders whose change runs the trigger script, separated by spaces.
    pub fn triggers(mut self, paths: &str) -> Self {
        self.triggers = paths.into();
        self
    }

    /// Adds a script: `post-install` and the like.
    pub fn script(mut self, kind: &str, text: &str) -> Self {
        self.scripts.push((kind.into(), text.into()));
        self
    }

    /// Adds a regular file; its folders are added with mode 0755.
    pub fn file(self, path: &str, mode: u32, data: &[u8]) -> Self {
        self.entry(path, EntryType::Regular, mode, (0, 0), data)
    }

    /// Adds a folder with a mode and an owner and group.
    pub fn folder(self, path: &str, mode: u32, owner: (u64, u64)) -> Self {
        self.entry(path, EntryType::Directory, mode, owner, b"")
    }

    /// Adds a symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Symlink, 0o777, (0, 0), target.as_bytes())
    }

    /// Adds a hard link to an earlier path of the package.
    pub fn hard_link(self, path: &str, target: &str) -> Self {
        let mode = self.files.get(target).map_or(0o644, |file| file.mode);
        self.entry(path, EntryType::Link, mode, (0, 0), target.as_bytes())
    }

    /// Adds an extended attribute to a path.
    pub fn xattr(mut self, path: &str, name: &str, value: &str) -> Self {
        self.pax.push((path.into(), format!("SCHILY.xattr.{name}"), value.into()));
        self
    }

    fn entry(
        mut self,
        path: &str,
        kind: EntryType,
        mode: u32,
        owner: (u64, u64),
        data: &[u8],
    ) -> Self {
        for (at, _) in path.match_indices('/') {
            let (folder, _) = path.split_at(at);
            let kind = EntryType::Directory;
            let made = File { kind, mode: 0o755, owner: (0, 0), data: Vec::new() };
            self.files.entry(folder.to_owned()).or_insert(made);
        }
        self.files.insert(path.to_owned(), File { kind, mode, owner, data: data.to_vec() });
        self
    }

    /// Builds and signs the package.
    pub fn build(&self, signer: &Signer) -> Built {
        let data = gzip(&self.data_tar());
        let mut package = self.package.clone();
        let sizes = self.files.values().map(|file| file.data.len() as u64);
        // apk does not fetch what has no size at all.
        package.installed_size = sizes.sum::<u64>().max(1);
        let info = self.pkginfo(&package, &data);
        let mut control = tar_entry(".PKGINFO", info.as_bytes(), &[]);
        for (kind, text) in &self.scripts {
            control.extend(tar_entry(&format!(".{kind}"), text.as_bytes(), &[]));
        }
        let control = gzip(&control);
        package.checksum = Checksum::of(&control);
        let signature = signer.signature_segment(Algorithm::Sha1, &control);
        let bytes = [signature, control, data].concat();
        package.size = bytes.len() as u64;
        Built { package, bytes }
    }

    /// Makes what an index says of the package, without the `.apk` file.
    pub fn build_index_only(&self) -> Built {
        let mut package = self.package.clone();
        package.installed_size = 1;
        package.checksum = Checksum::of(self.pkginfo(&package, b"").as_bytes());
        Built { package, bytes: Vec::new() }
    }

    fn data_tar(&self) -> Vec<u8> {
        let mut tar = Vec::new();
        for (path, file) in &self.files {
            let sum = hex::encode(Sha1::digest(&file.data));
            let mut pax = Vec::new();
            if !file.kind.is_dir() && !file.kind.is_hard_link() {
                pax.push(("APK-TOOLS.checksum.SHA1", sum.as_str()));
            }
            let own = self.pax.iter().filter(|(at, ..)| at == path);
            pax.extend(own.map(|(_, key, value)| (key.as_str(), value.as_str())));
            let slash = if file.kind.is_dir() { "/" } else { "" };
            tar.extend(raw_entry(&format!("{path}{slash}"), file, &pax));
        }
        tar.resize(tar.len() + 1024, 0);
        tar
    }

    fn pkginfo(&self, package: &Package, data: &[u8]) -> String {
        let mut out = "# Made for a test\n".to_owned();
        let mut line = |key: &str, value: &str| {
            writeln!(out, "{key} = {value}").expect("memory can be written");
        };
        line("pkgname", &package.name);
        line("pkgver", &package.version);
        line("pkgdesc", &package.description);
        line("url", &package.url);
        line("builddate", &BUILD_TIME.to_string());
        line("size", &package.installed_size.to_string());
        line("arch", package.arch.as_deref().unwrap_or("noarch"));
        line("origin", package.origin.as_deref().unwrap_or_default());
        line("maintainer", package.maintainer.as_deref().unwrap_or_default());
        line("license", &package.license);
        for (key, list) in [
            ("depend", &package.depends),
            ("provides", &package.provides),
            ("replaces", &package.replaces),
        ] {
            list.iter().for_each(|dependency| line(key, &dependency.to_string()));
        }
        if !package.install_if.is_empty() {
            line("install_if", &join(&package.install_if, " "));
        }
        if package.provider_priority != 0 {
            line("provider_priority", &package.provider_priority.to_string());
        }
        if package.replaces_priority != 0 {
            line("replaces_priority", &package.replaces_priority.to_string());
        }
        if !self.triggers.is_empty() {
            line("triggers", &self.triggers);
        }
        line("datahash", &hex::encode(Sha256::digest(data)));
        out
    }
}

/// A package that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its line in an index.
    pub package: Package,
    /// The `.apk` file.
    pub bytes: Vec<u8>,
}

/// Makes the signed `APKINDEX.tar.gz` of some packages.
pub fn signed_index<'b>(built: impl IntoIterator<Item = &'b Built>, signer: &Signer) -> Vec<u8> {
    let packages = built.into_iter().map(|built| built.package.clone()).collect();
    let index = Index { packages, ..Index::default() };
    let mut tar = tar_entry("DESCRIPTION", b"test", &[]);
    tar.extend(tar_entry("APKINDEX", index.to_text().as_bytes(), &[]));
    tar.resize(tar.len() + 1024, 0);
    let body = gzip(&tar);
    [signer.signature_segment(Algorithm::Sha1, &body), body].concat()
}
