//! Requests: who is asked, how often, with which login, and what to make of the answer.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mabuild_oci::Digest;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::Semaphore;
use url::Url;

use crate::address::{is_loopback, server};
use crate::auth::Auth;
use crate::blob::Locks;
use crate::credentials::{CredentialHelper, Credentials};
use crate::error::{Error, ErrorKind, Fault, Trouble};
use crate::manifest::Resolved;
use crate::once::Once;
use crate::refusal::{denied, refused, said};
use crate::wire::{Backoff, cause, retry_after};
use crate::{Reference, address};

/// Tries in all, however much progress each makes.
const MOST: u32 = 50;
/// Longest time that a small document may take, however steadily it drips.
const SMALL: Duration = Duration::from_secs(300);

/// Gives the client that asks an address. It has to follow redirections, but not from https to
/// http, and not without end. The error says why there is none.
pub type Connect = dyn Fn(&Url) -> Result<reqwest::Client, String> + Send + Sync;

/// Hears of a blob that is being fetched: its name, bytes so far, bytes in all.
pub type OnProgress = dyn Fn(&str, u64, u64) + Send + Sync;

/// How a client behaves.
#[derive(Clone)]
pub struct Options {
    /// Logins.
    pub credentials: Credentials,
    /// Who runs the programs that keep logins.
    pub helper: Option<Arc<dyn CredentialHelper>>,
    /// Hosts, with their ports, that are asked without TLS; this machine always is.
    pub plain_http: BTreeSet<String>,
    /// Whether every request fails.
    pub offline: bool,
    /// Requests at once.
    pub parallel: usize,
    /// Tries without progress.
    pub attempts: u32,
    /// First pause; each further one is twice as long.
    pub pause: Duration,
    /// Longest pause. A registry that wants a longer one is given up.
    pub longest_pause: Duration,
    /// Longest wait for the next byte.
    pub stall_timeout: Duration,
    /// Where the randomness of pauses starts.
    pub seed: u64,
    /// Who hears of blobs.
    pub progress: Option<Arc<OnProgress>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            helper: None,
            plain_http: BTreeSet::new(),
            offline: false,
            parallel: 6,
            attempts: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(45),
            seed: 0,
            progress: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("credentials", &self.credentials)
            .field("plain_http", &self.plain_http)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

/// Reads registries. What a tag means is asked once; clones share all that is known.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

/// What clones share.
pub(crate) struct Inner {
    pub options: Options,
    pub auth: Auth,
    connect: Arc<Connect>,
    pub permits: Semaphore,
    pub tags: Once<String, Result<Digest, Error>>,
    pub documents: Once<String, Result<Arc<Resolved>, Error>>,
    /// Bytes of the documents that are remembered.
    pub held: AtomicU64,
    pub blobs: Locks,
    received: AtomicU64,
    backoff: Backoff,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A question to a registry.
pub(crate) struct Ask<'a> {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// The image that it is about.
    pub reference: &'a Reference,
}

impl Client {
    /// Makes a client; it connects to nobody before it is asked.
    pub fn new(connect: Arc<Connect>, options: Options) -> Self {
        let inner = Inner {
            backoff: Backoff::new(options.pause, options.longest_pause, options.seed),
            permits: Semaphore::new(options.parallel.max(1)),
            options,
            auth: Auth::default(),
            connect,
            tags: Once::default(),
            documents: Once::default(),
            held: AtomicU64::new(0),
            blobs: Locks::default(),
            received: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Gives the bytes of bodies received so far.
    pub fn received(&self) -> u64 {
        self.inner.received.load(Ordering::Relaxed)
    }
}

impl Inner {
    /// Makes a question about a part of a repository.
    pub fn ask<'a>(
        &self,
        method: Method,
        reference: &'a Reference,
        kind: &str,
        name: &str,
    ) -> Result<Ask<'a>, Fault> {
        let host = &reference.host;
        let plain = is_loopback(host) || self.options.plain_http.contains(host);
        let url = address::of(reference, kind, name, plain)?;
        Ok(Ask { method, url, headers: HeaderMap::new(), reference })
    }

    /// Sends a question, logging in where the registry wants it: what comes back is a success.
    pub async fn send(&self, ask: &Ask<'_>) -> Result<Response, Trouble> {
        let (host, scope) = (ask.reference.host.as_str(), ask.reference.scope());
        let pass = self.pass(host, &scope).await;
        let response = self.send_with(ask, pass.clone()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || is_elsewhere(&response, ask) {
            return self.sorted(response, ask).await;
        }
        let new = self.log_in((host, &scope), &ask.url, response.headers(), pass.as_ref()).await?;
        match new {
            Some(new) => self.sorted(self.send_with(ask, Some(new)).await?, ask).await,
            None => self.sorted(response, ask).await,
        }
    }

    async fn send_with(
        &self,
        ask: &Ask<'_>,
        pass: Option<HeaderValue>,
    ) -> Result<Response, Trouble> {
        let mut headers = ask.headers.clone();
        if let Some(pass) = pass {
            headers.insert(AUTHORIZATION, pass);
        }
        self.exchange(ask.method.clone(), &ask.url, headers, None).await
    }

    /// Sends one request. What asks for patience is [`Trouble::Again`].
    pub async fn exchange(
        &self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
        form: Option<String>,
    ) -> Result<Response, Trouble> {
        if self.options.offline {
            let why = format!(
                "{} is needed, but the network may not be used; run once without --offline",
                server(url)
            );
            return Err(Fault::new(ErrorKind::Offline, why).into());
        }
        let http = (self.connect)(url);
        let http = http.map_err(|e| Fault::local(format!("cannot ask {}: {e}", server(url))))?;
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut request = http.request(method, url.clone()).headers(headers);
        if let Some(form) = form {
            request = request.body(form);
        }
        let stall = self.options.stall_timeout;
        let response = match tokio::time::timeout(stall, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(e)) => return Err(unsent(url, &e)),
            Err(_) => {
                return Err(Trouble::again(format!("no answer of {} for {stall:?}", server(url))));
            }
        };
        let status = response.status();
        if status != StatusCode::REQUEST_TIMEOUT
            && status != StatusCode::TOO_MANY_REQUESTS
            && !status.is_server_error()
        {
            return Ok(response);
        }
        Err(self.patience(response).await)
    }

    /// What to make of an answer that may be another one later.
    async fn patience(&self, response: Response) -> Trouble {
        let (status, wait) = (response.status(), retry_after(response.headers()));
        let at = server(response.url());
        let said = self.said(response).await;
        let mut why = format!("{at} answers {status}{said}");
        let mut kind = ErrorKind::Unreachable;
        if status == StatusCode::TOO_MANY_REQUESTS {
            kind = ErrorKind::TooMany;
            why.push_str(
                "; wait, or log in with `docker login`: a registry gives more to those it knows",
            );
        }
        match wait {
            Some(wait) if wait > self.backoff.longest() => {
                let why = format!("{why} (it wants to be asked again in {} s)", wait.as_secs());
                Fault::new(kind, why).into()
            }
            wait => Trouble::Again { fault: Fault::new(kind, why), wait },
        }
    }

    /// Lets successes through, and says what others mean.
    async fn sorted(&self, response: Response, ask: &Ask<'_>) -> Result<Response, Trouble> {
        let status = response.status();
        if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(response);
        }
        if is_elsewhere(&response, ask) {
            // An address that was given for a short time; the registry gives a new one.
            let at = server(response.url());
            return Err(Trouble::again(format!("{at}, where the blob is kept, answers {status}")));
        }
        let said = self.said(response).await;
        // Nobody is asked for a login, who may have to ask a person, where none would help.
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(refused(status, &said, ask).into());
        }
        let (login, problem) = self.login(&ask.reference.host).await;
        Err(denied(status, &said, ask, login.is_some(), problem.as_deref()).into())
    }

    /// What a registry says of its own refusal, to be put behind the status.
    async fn said(&self, response: Response) -> String {
        match self.small(response, 64 << 10).await {
            Ok(body) => said(&body),
            Err(_) => String::new(),
        }
    }

    /// Reads a body of at most `limit` bytes.
    pub async fn small(&self, mut response: Response, limit: u64) -> Result<Vec<u8>, Trouble> {
        let at = server(response.url());
        let large = || Fault::broken(format!("the answer of {at} is larger than {limit} bytes"));
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(large().into());
        }
        let read = async {
            let mut bytes = Vec::new();
            while let Some(chunk) = self.chunk(&mut response).await? {
                if (bytes.len() + chunk.len()) as u64 > limit {
                    return Err(large().into());
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        };
        match tokio::time::timeout(SMALL, read).await {
            Ok(read) => read,
            Err(_) => {
                Err(Trouble::again(format!("the answer of {at} takes longer than {SMALL:?}")))
            }
        }
    }

    /// The next piece of a body.
    pub async fn chunk(&self, response: &mut Response) -> Result<Option<Vec<u8>>, Trouble> {
        let stall = self.options.stall_timeout;
        let at = server(response.url());
        match tokio::time::timeout(stall, response.chunk()).await {
            Ok(Ok(chunk)) => {
                let length = chunk.as_ref().map_or(0, |c| c.len() as u64);
                self.received.fetch_add(length, Ordering::Relaxed);
                Ok(chunk.map(|c| c.to_vec()))
            }
            Ok(Err(e)) => Err(Trouble::again(format!("{at}: {}", cause(&e)))),
            Err(_) => Err(Trouble::again(format!("no byte of {at} came for {stall:?}"))),
        }
    }
}

/// Counts the tries of one question.
pub(crate) struct Tries<'a> {
    client: &'a Inner,
    /// Since the last progress.
    failed: u32,
    all: u32,
}

impl<'a> Tries<'a> {
    pub fn new(client: &'a Inner) -> Self {
        Self { client, failed: 0, all: 0 }
    }

    /// The last try brought bytes that are kept.
    pub fn progress(&mut self) {
        self.failed = 0;
    }

    /// Waits for the next try, or gives up.
    pub async fn again(&mut self, trouble: Trouble) -> Result<(), Fault> {
        let (fault, wait) = match trouble {
            Trouble::Fatal(fault) => return Err(fault),
            Trouble::Again { fault, wait } => (fault, wait),
        };
        self.failed += 1;
        self.all += 1;
        if self.failed >= self.client.options.attempts || self.all >= MOST {
            let help = match fault.kind {
                ErrorKind::Unreachable => "; check the network and the proxy settings",
                _ => "",
            };
            let why = format!("{} (tried {} times){help}", fault.why, self.all);
            return Err(Fault::new(fault.kind, why));
        }
        tokio::time::sleep(self.client.backoff.pause(self.failed, wait)).await;
        Ok(())
    }
}

/// Whether another server than the one that was asked has answered.
fn is_elsewhere(response: &Response, ask: &Ask<'_>) -> bool {
    response.url().origin() != ask.url.origin()
}

/// What to make of a request that got no answer.
fn unsent(url: &Url, e: &reqwest::Error) -> Trouble {
    let cause = cause(e);
    let at = server(url);
    if e.is_redirect() || e.is_builder() || cause.contains("certificate") {
        return Fault::new(ErrorKind::Unreachable, format!("{at}: {cause}")).into();
    }
    Trouble::again(format!("{at}: {cause}"))
}
