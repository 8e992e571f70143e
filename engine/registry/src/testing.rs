//! A registry on a free port of this machine that serves what a test puts into it, with the
//! faults that the test plans.

mod shelf;

pub use shelf::Shelf;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mabuild_oci::{Descriptor, Digest, ImageConfig, Index, Layout, Manifest, Platform, media_type};
use url::Url;

use crate::{Client, Options, Reference};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path with query.
    pub path: String,
    headers: HashMap<String, String>,
    /// What came, as text where it is text.
    pub body: String,
    pub bytes: Vec<u8>,
    /// Whether the server did not take all of the body.
    pub is_cut: bool,
}

/// How much of a body a server takes.
#[derive(Clone, Copy, Debug)]
pub enum Intake {
    All,
    /// So many bytes, before the connection ends.
    Cut(usize),
    /// So many bytes, and for a while no more.
    Stall(usize, Duration),
}

impl Request {
    /// A header by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// First byte of `Range: bytes=N-`.
    pub fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// After so many bytes the connection ends.
    pub cut: Option<usize>,
    /// Whether the length is announced.
    pub measured: bool,
    /// How long the server thinks.
    pub delay: Duration,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            cut: None,
            measured: true,
            delay: Duration::ZERO,
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The connection ends without an answer.
    pub fn none() -> Self {
        Self::new(0, "")
    }

    /// A page of the list of tags, and where the next one is.
    pub fn tags(tags: &[impl AsRef<str>], next: Option<&str>) -> Self {
        let tags: Vec<&str> = tags.iter().map(AsRef::as_ref).collect();
        let page =
            Self::new(200, serde_json::json!({"name": "team/app", "tags": tags}).to_string());
        match next {
            Some(next) => page.with("Link", &format!("<{next}>; rel=\"next\"")),
            None => page,
        }
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }
}

/// A running server; ends with the process.
pub struct Server {
    /// `127.0.0.1:PORT`
    pub host: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server; `answer` gets a request and how many there were of its path before.
    pub fn start(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_rude(|_, _| Intake::All, answer)
    }

    /// Starts a server that decides by the head of a request how much it takes of its body.
    pub fn start_rude(
        intake: impl Fn(&Request, usize) -> Intake + Send + Sync + 'static,
        answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (seen.clone(), Arc::new((intake, answer)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &answer.0, &answer.1));
            }
        });
        Self { host, seen }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// `GET /path` of each request.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|r| format!("{} {}", r.method, r.path)).collect()
    }

    /// An image of the server.
    pub fn image(&self, tag: &str) -> Reference {
        let tag = Some(tag.to_owned());
        Reference { host: self.host.clone(), repository: "team/app".to_owned(), tag, digest: None }
    }
}

fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    intake: &dyn Fn(&Request, usize) -> Intake,
    answer: &dyn Fn(&Request, usize) -> Reply,
) {
    let mut reader = BufReader::new(&stream);
    let Some(mut request) = read(&mut reader) else { return };
    let before = {
        let mut log = log.lock().unwrap();
        let same = |r: &&Request| r.path == request.path && r.method == request.method;
        let before = log.iter().filter(same).count();
        log.push(request.clone());
        before
    };
    let at = log.lock().unwrap().len() - 1;
    let intake = intake(&request, before);
    if take(&mut reader, &mut request, intake).is_none() {
        return;
    }
    if let Some(logged) = log.lock().unwrap().get_mut(at) {
        logged.body.clone_from(&request.body);
    }
    drop(reader);
    let reply = answer(&request, before);
    std::thread::sleep(reply.delay);
    if reply.status == 0 {
        return;
    }
    // The client may be gone by now; that is its business.
    let _ = write(stream, &reply, request.method == "HEAD");
}

/// Reads the head of a request.
fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let (body, bytes) = (String::new(), Vec::new());
    Some(Request { method, path, headers, body, bytes, is_cut: false })
}

/// Reads the body of a request, as far as the server wants it. None where it never came.
fn take(reader: &mut impl Read, request: &mut Request, intake: Intake) -> Option<()> {
    let length = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(length <= 64 << 20, "no test sends more");
    let taken = match intake {
        Intake::Cut(most) => {
            request.is_cut = true;
            most.min(length)
        }
        Intake::Stall(most, pause) => {
            reader.read_exact(&mut vec![0; most.min(length)]).ok()?;
            std::thread::sleep(pause);
            return None;
        }
        Intake::All => length,
    };
    request.bytes = vec![0; taken];
    reader.read_exact(&mut request.bytes).ok()?;
    request.body = String::from_utf8_lossy(&request.bytes).into_owned();
    Some(())
}

fn write(mut stream: TcpStream, reply: &Reply, head_only: bool) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} x\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if reply.measured {
        head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if !head_only {
        let sent = reply.cut.unwrap_or(reply.body.len());
        stream.write_all(&reply.body[..sent])?;
    }
    stream.flush()
}

/// What a registry holds: manifests by tag and digest, blobs by digest.
#[derive(Clone, Default)]
pub struct Content {
    manifests: HashMap<String, (String, Vec<u8>)>,
    blobs: HashMap<String, Vec<u8>>,
}

impl Content {
    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Descriptor {
        let descriptor = Descriptor::of(media_type, bytes);
        self.blobs.insert(descriptor.digest.to_string(), bytes.to_vec());
        descriptor
    }

    pub fn document(&mut self, tag: &str, media_type: &str, bytes: &[u8]) -> Descriptor {
        let descriptor = Descriptor::of(media_type, bytes);
        let kept = (media_type.to_owned(), bytes.to_vec());
        self.manifests.insert(descriptor.digest.to_string(), kept.clone());
        self.manifests.insert(tag.to_owned(), kept);
        descriptor
    }

    /// An image of two layers that differs from those of other platforms.
    pub fn image(&mut self, tag: &str, platform: &str) -> Descriptor {
        let platform: Platform = platform.parse().unwrap();
        let config = ImageConfig::new(&platform).to_bytes().unwrap();
        let config = self.blob(media_type::CONFIG, &config);
        let layer = |n: u16| -> Vec<u8> { [n, n + 1].map(|n| vec![n as u8; 800_000]).concat() };
        let own = [format!("{platform}").into_bytes(), layer(7)].concat();
        let layers =
            vec![self.blob(media_type::LAYER, &layer(0)), self.blob(media_type::LAYER, &own)];
        let manifest = Manifest::new(config, layers).to_bytes().unwrap();
        self.document(tag, media_type::MANIFEST, &manifest).with_platform(platform)
    }

    pub fn index(&mut self, tag: &str, entries: Vec<Descriptor>) -> Descriptor {
        let index = Index::new(entries).to_bytes().unwrap();
        self.document(tag, media_type::INDEX, &index)
    }

    /// What a registry without faults answers.
    pub fn reply(&self, request: &Request) -> Reply {
        let path = request.path.strip_prefix("/v2/team/app/").unwrap_or_default();
        let Some((kind, name)) = path.split_once('/') else { return Reply::new(404, "") };
        let missing = |code: &str| {
            let body = format!(r#"{{"errors":[{{"code":"{code}","message":"unknown"}}]}}"#);
            Reply::new(404, body)
        };
        if kind == "blobs" {
            let Some(body) = self.blobs.get(name) else { return missing("BLOB_UNKNOWN") };
            return match request.range() {
                Some(start) => Reply::new(206, &body[start..])
                    .with("Content-Range", &format!("bytes {start}-{0}/{0}", body.len())),
                None => Reply::new(200, body.clone()),
            };
        }
        let Some((media_type, body)) = self.manifests.get(name) else {
            return missing("MANIFEST_UNKNOWN");
        };
        Reply::new(200, body.clone())
            .with("Content-Type", media_type)
            .with("Docker-Content-Digest", &Digest::sha256(body).to_string())
    }

    /// A registry without faults.
    pub fn serve(self) -> Server {
        Server::start(move |request, _| self.reply(request))
    }
}

/// A layout of its own.
pub fn layout() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    (folder, layout)
}

/// Lets so many askers ask at once; gives what they got in order.
pub fn at_once<T: Send + 'static, F>(askers: usize, question: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    block(async {
        let tasks: Vec<_> = (0..askers).map(|n| tokio::spawn(question(n))).collect();
        let mut out = Vec::new();
        for task in tasks {
            out.push(task.await.unwrap());
        }
        out
    })
}

/// A client that does not wait long.
pub fn options() -> Options {
    Options {
        attempts: 3,
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_secs(2),
        stall_timeout: Duration::from_secs(5),
        ..Options::default()
    }
}

pub fn client(options: Options) -> Client {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Client::new(Arc::new(move |_: &Url| Ok(http.clone())), options)
}

/// Runs a question to its end.
pub fn block<T>(question: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(question)
}
