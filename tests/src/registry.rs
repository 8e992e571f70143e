//! Registries on free ports of this machine, with what they were asked; above all Debian's
//! `docker-registry`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::env::{has, skip};

/// `joe` with the password `geheim`, as htpasswd writes it.
const LOGIN: &str = "joe:$2b$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu\n";
/// The name of the one who may log in where a login is needed.
pub const NAME: &str = "joe";
/// The password of that one.
pub const PASSWORD: &str = "geheim";
/// The name that the certificate of a registry with TLS is for; whoever asks has to know that it
/// is this machine.
pub const TLS_NAME: &str = "registry.test";

/// What a registry is like.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// Open for all, without TLS.
    Plain,
    /// For [`NAME`] alone, without TLS.
    Login,
    /// Open for all, with a certificate that it signed itself.
    Tls,
    /// What another one has; nothing can be written.
    Proxy(&'a Registry),
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT`, ….
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of its body.
    pub bytes: u64,
}

/// A registry of any maker that tells what it was asked.
pub trait Served {
    /// `127.0.0.1:PORT`
    fn host(&self) -> &str;
    /// What was asked and answered so far.
    fn requests(&self) -> Vec<Request>;
}

/// A registry that ends with the test.
#[derive(Debug)]
pub struct Registry {
    /// `127.0.0.1:PORT`
    pub host: String,
    child: Child,
    seen: Arc<Mutex<Vec<Request>>>,
    has_tls: bool,
    /// Taken away with the registry.
    folder: tempfile::TempDir,
}

impl Registry {
    /// Starts a registry that lets everything be deleted; none where a program is missing.
    pub fn start(kind: Kind<'_>) -> Option<Self> {
        let has_tls = matches!(kind, Kind::Tls);
        if !has("docker-registry") || has_tls && !has("openssl") {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder for a test");
        let config = folder.path().join("config.yml");
        std::fs::write(&config, configuration(folder.path(), kind)?).expect("own folder");
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let log = seen.clone();
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        std::thread::spawn(move || {
            for line in answers.map_while(Result::ok) {
                if let Some(request) = read(&line) {
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                }
            }
        });
        let mut lines =
            BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let host = lines.find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect())
        });
        // Whoever talks to nobody waits when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        let host = host.expect("a registry says where it listens");
        Some(Self { host, child, seen, has_tls, folder })
    }

    /// Gives what was asked so far, in the order of the answers. Who knows that an answer came
    /// finds the request here.
    pub fn requests(&self) -> Vec<Request> {
        let until = Instant::now() + Duration::from_secs(5);
        let mark = format!("/v2/?mark={}", self.read().len());
        if self.has_tls || self.ask(&mark).is_err() {
            std::thread::sleep(Duration::from_millis(200));
            return self.read();
        }
        // What is asked last is written last, but for what ends in the same moment.
        while !self.read().iter().any(|request| request.path == mark) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(20));
        self.read().into_iter().filter(|request| !request.path.contains("/v2/?mark=")).collect()
    }

    /// The certificate of a registry with TLS, as PEM.
    pub fn certificate(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("cert.pem")).unwrap_or_default()
    }

    /// Where the registry keeps its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Ends the registry before the test does.
    pub fn stop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    fn read(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ask(&self, path: &str) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(&self.host)?;
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.host);
        stream.write_all(head.as_bytes())?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Served for Registry {
    fn host(&self) -> &str {
        &self.host
    }

    fn requests(&self) -> Vec<Request> {
        Registry::requests(self)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The text of `config.yml`.
fn configuration(folder: &Path, kind: Kind<'_>) -> Option<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut config = format!(
        "version: 0.1\nlog:\n  level: info\n  formatter: text\nstorage:\n  delete:\n    enabled: \
         true\n  filesystem:\n    rootdirectory: {:?}\nhttp:\n  addr: 127.0.0.1:0\n",
        path("data")
    );
    match kind {
        Kind::Plain => {}
        Kind::Login => {
            std::fs::write(path("logins"), LOGIN).expect("own folder");
            config +=
                &format!("auth:\n  htpasswd:\n    realm: r\n    path: {:?}\n", path("logins"));
        }
        Kind::Tls => {
            certify(folder)?;
            let (certificate, key) = (path("cert.pem"), path("key.pem"));
            config += &format!("  tls:\n    certificate: {certificate:?}\n    key: {key:?}\n");
        }
        Kind::Proxy(of) => config += &format!("proxy:\n  remoteurl: http://{}\n", of.host),
    }
    Some(config)
}

/// Makes a certificate that signs itself; none where the program cannot.
fn certify(folder: &Path) -> Option<()> {
    let out = Command::new("openssl")
        .current_dir(folder)
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", "key.pem", "-out", "cert.pem"])
        .arg("-subj")
        .arg(format!("/CN={TLS_NAME}"))
        .arg("-addext")
        .arg(format!("subjectAltName=DNS:{TLS_NAME},IP:127.0.0.1"))
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .output();
    match out {
        Ok(out) if out.status.success() => Some(()),
        _ => {
            skip("openssl cannot make a certificate");
            None
        }
    }
}

/// Reads a line of the access log, which is in the combined format of web servers.
fn read(line: &str) -> Option<Request> {
    let (_, rest) = line.split_once('"')?;
    let (asked, rest) = rest.split_once('"')?;
    let mut words = asked.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut numbers = rest.split_whitespace();
    let status = numbers.next()?.parse().ok()?;
    let bytes = numbers.next()?.parse().unwrap_or_default();
    Some(Request { method, path, status, bytes })
}
