//! A web server on the loopback that does what a test tells it, and a relay to the Debian mirror
//! that fetches each file once per process.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

/// What a client asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Path with the query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: HashMap<String, String>,
}

/// What the server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status, headers, a body.
    Reply(u16, Vec<(&'static str, String)>, Arc<Vec<u8>>),
    /// So many bytes of a body that was announced longer, then the end of the connection.
    Cut(Arc<Vec<u8>>, usize),
    /// So many bytes of a body, then nothing until the client goes away.
    Stall(Arc<Vec<u8>>, usize),
}

impl Answer {
    /// A body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Reply(200, vec![], Arc::new(body.into()))
    }

    /// A status without a body.
    pub fn status(code: u16) -> Self {
        Self::Reply(code, vec![], Arc::default())
    }
}

/// A running server; ends with the process.
pub struct Server {
    /// `http://127.0.0.1:PORT`
    pub address: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server; `answer` gets the request and its number, from 0.
    pub fn start(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on the loopback");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (answer.clone(), log.clone());
                // A client that goes away early is no fault of the server.
                std::thread::spawn(move || serve(stream, &*answer, &log).ok());
            }
        });
        Self { address, seen }
    }

    /// The paths that were asked for, in order.
    pub fn paths(&self) -> Vec<String> {
        self.seen.lock().expect("no thread panicked").iter().map(|r| r.path.clone()).collect()
    }

    /// All requests, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().expect("no thread panicked").clone()
    }
}

fn serve(
    stream: TcpStream,
    answer: &dyn Fn(&Request, usize) -> Answer,
    log: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let head_only = words.next() == Some("HEAD");
    let path = words.next().unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => break,
        }
    }
    let request = Request { path, headers };
    let number = {
        let mut log = log.lock().expect("no thread panicked");
        log.push(request.clone());
        log.len() - 1
    };
    let mut stream = stream;
    match answer(&request, number) {
        Answer::Reply(status, extra, body) => {
            let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
            for (name, value) in extra {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            if status != 304 {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
            }
            stream.write_all(format!("{head}\r\n").as_bytes())?;
            if !head_only && status != 304 {
                stream.write_all(&body)?;
            }
        }
        Answer::Cut(body, sent) => part(&mut stream, &body, sent)?,
        Answer::Stall(body, sent) => {
            part(&mut stream, &body, sent)?;
            stream.flush()?;
            while reader.read(&mut [0; 64])? > 0 {}
        }
    }
    stream.flush()
}

/// Announces a whole body and sends the start of it.
fn part(stream: &mut TcpStream, body: &[u8], sent: usize) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body[..sent])
}

/// The Debian mirror of this machine behind a relay, or the reason why there is none. What was
/// fetched once is served from memory, so that tests with empty stores do not burden the mirror.
pub fn mirror() -> Result<&'static Server, &'static str> {
    static SERVER: OnceLock<Result<Server, &'static str>> = OnceLock::new();
    SERVER.get_or_init(own_mirror).as_ref().map_err(|e| *e)
}

/// The same with a server of its own, which sees the requests of one test alone.
pub fn own_mirror() -> Result<Server, &'static str> {
    debian_file("/dists/bookworm/InRelease")?;
    let serve = |request: &Request, _| match debian_file(&request.path) {
        Ok(answer) => answer,
        Err(_) => Answer::status(502),
    };
    Ok(Server::start(serve))
}

/// A file of the Debian mirror, or the reason why there is none.
pub fn debian_file(path: &str) -> Result<Answer, &'static str> {
    static RELAY: OnceLock<Result<Relay, String>> = OnceLock::new();
    let relay = RELAY.get_or_init(|| {
        let relay = Relay { upstream: upstream(), files: Mutex::default() };
        match relay.get("/dists/bookworm/InRelease") {
            Answer::Reply(200, ..) => Ok(relay),
            _ => Err(format!("the Debian mirror {} cannot be reached", relay.upstream)),
        }
    });
    relay.as_ref().map(|relay| relay.get(path)).map_err(String::as_str)
}

struct Relay {
    upstream: String,
    files: Mutex<HashMap<String, Arc<OnceLock<Answer>>>>,
}

impl Relay {
    fn get(&self, path: &str) -> Answer {
        let slot = {
            let mut files = self.files.lock().expect("no thread panicked");
            files.entry(path.to_owned()).or_default().clone()
        };
        slot.get_or_init(|| fetch(&format!("{}{path}", self.upstream))).clone()
    }
}

/// Fetches a file the way this machine is set up to, proxies and certificates included.
fn fetch(url: &str) -> Answer {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let out = Command::new("curl")
        .args(["-sSL", "--retry", "3", "--max-time", "300", "-w", "%{http_code}", "-o"])
        .arg(file.path())
        .arg(url)
        .output();
    let status = match out {
        Ok(out) if out.status.success() => String::from_utf8_lossy(&out.stdout).parse().ok(),
        _ => None,
    };
    match status {
        Some(200) => Answer::ok(std::fs::read(file.path()).expect("what was fetched")),
        Some(status) => Answer::status(status),
        None => Answer::status(502),
    }
}

/// `$DEBIAN_MIRROR`, else the first archive that apt uses here, else Debian's own.
fn upstream() -> String {
    let from_apt = || {
        let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
        let folder = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
        files.extend(folder.map(|entry| entry.path()));
        files.sort();
        let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
        let texts: Vec<String> = texts.collect();
        let mut words = texts.iter().flat_map(|text| {
            text.lines()
                .filter(|l| !l.trim_start().starts_with('#'))
                .flat_map(str::split_whitespace)
        });
        words
            .find(|word| {
                word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian")
            })
            .map(str::to_owned)
    };
    let found = std::env::var("DEBIAN_MIRROR").ok().filter(|m| !m.is_empty()).or_else(from_apt);
    let found = found.unwrap_or_else(|| "http://ftp.debian.org/debian".to_owned());
    found.trim_end_matches('/').to_owned()
}
