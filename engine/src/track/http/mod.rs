//! The HTTP client: proxies, limits a host, retries, and errors that say what to do.
//!
//! What may be tried again (resets, stalls, truncated bodies, 408, 429, 5xx) is, with growing
//! pauses; what may not (other 4xx, refused certificates) fails at once.

mod certificates;
mod download;
mod error;
mod head;
mod retry;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod testserver;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mabuild_registry::wire::{Backoff, Tries, cause};
use reqwest::header::{
    ACCEPT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Method, NoProxy, Proxy, Response, StatusCode, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use certificates::Certificates;
pub(crate) use download::{Downloaded, Expected, Progress};
pub use error::FetchError;
use error::Trouble;
pub(crate) use error::mask;

/// How the client behaves.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Environment that names proxies: `http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`, in
    /// small or capital letters.
    pub env: BTreeMap<String, String>,
    /// Whether every request fails.
    pub offline: bool,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the next byte.
    pub stall_timeout: Duration,
    /// Requests at once to one host.
    pub per_host: usize,
    /// Tries without progress.
    pub attempts: u32,
    /// First pause; each further one is twice as long.
    pub pause: Duration,
    /// Longest pause, also when the server asks for a longer one.
    pub longest_pause: Duration,
    /// Where the randomness of pauses starts.
    pub seed: u64,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            offline: false,
            connect_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(45),
            per_host: 8,
            attempts: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            seed: 0,
        }
    }
}

/// What is known of a copy, to ask only for something newer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// `ETag` of the copy.
    pub etag: Option<String>,
    /// `Last-Modified` of the copy.
    pub last_modified: Option<String>,
}

impl Condition {
    /// What an answer says of its content.
    fn of(response: &Response) -> Self {
        let text = |name| response.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        Self {
            etag: text(ETAG).map(str::to_owned),
            last_modified: text(LAST_MODIFIED).map(str::to_owned),
        }
    }

    /// Whether there is nothing to ask with.
    fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        insert(&mut headers, IF_NONE_MATCH, self.etag.as_deref());
        insert(&mut headers, IF_MODIFIED_SINCE, self.last_modified.as_deref());
        headers
    }
}

/// The answer to a conditional request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// New content.
    New {
        /// The content.
        bytes: Vec<u8>,
        /// What to ask with next time.
        condition: Condition,
    },
    /// The copy is still right.
    NotModified,
}

/// A client; clones share connections and limits.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Made by the first request: reading the certificates of the machine takes longer than a run
    /// without news.
    transport: OnceLock<Result<Transport, String>>,
    options: HttpOptions,
    proxies: Vec<Proxy>,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    downloaded: AtomicU64,
    backoff: Backoff,
}

/// What requests go through.
#[derive(Debug)]
struct Transport {
    http: reqwest::Client,
    /// Why certificates cannot be checked on this machine.
    no_certificates: Option<String>,
}

impl Transport {
    fn new(options: &HttpOptions, proxies: &[Proxy]) -> Result<Self, String> {
        match builder(options, proxies).build() {
            Ok(http) => Ok(Self { http, no_certificates: None }),
            // A machine without CA certificates can still use plain http: all that is fetched is
            // verified by digest or signature.
            Err(e) => {
                let http = builder(options, proxies).tls_certs_only([]).build();
                let http = http.map_err(|e| format!("the HTTP client: {}", cause(&e)))?;
                Ok(Self { http, no_certificates: Some(cause(&e)) })
            }
        }
    }
}

impl Client {
    /// Makes a client. Fails on proxies that are no addresses.
    pub fn new(options: HttpOptions) -> Result<Self, String> {
        let proxies = proxies(&options.env)?;
        let backoff = Backoff::new(options.pause, options.longest_pause, options.seed);
        let inner = Inner {
            transport: OnceLock::new(),
            options,
            proxies,
            hosts: Mutex::default(),
            downloaded: AtomicU64::new(0),
            backoff,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Bytes of bodies received so far.
    pub fn downloaded(&self) -> u64 {
        self.inner.downloaded.load(Ordering::Relaxed)
    }

    /// Whether every request fails.
    pub fn is_offline(&self) -> bool {
        self.inner.options.offline
    }

    /// What a client of registries asks an address with.
    pub fn connection(&self, url: &Url) -> Result<reqwest::Client, String> {
        let transport = self.transport().map_err(Clone::clone)?;
        match &transport.no_certificates {
            Some(why) if url.scheme() == "https" => Err(no_certificates(why)),
            _ => Ok(transport.http.clone()),
        }
    }

    fn transport(&self) -> Result<&Transport, &String> {
        let new = || Transport::new(&self.inner.options, &self.inner.proxies);
        self.inner.transport.get_or_init(new).as_ref()
    }

    /// Gets at most `limit` bytes, or learns that the copy described by `condition` is right.
    pub async fn get_bytes(
        &self,
        url: &str,
        limit: u64,
        condition: &Condition,
    ) -> Result<Fetched, FetchError> {
        let url = self.target(url)?;
        let headers = condition.headers();
        let mut tries = self.tries();
        loop {
            match self.get_once(&url, limit, &headers).await {
                Ok(fetched) => return Ok(fetched),
                Err(trouble) => trouble.retry(&url, &mut tries).await?,
            }
        }
    }

    /// The count of the tries of a new request.
    fn tries(&self) -> Tries<'_> {
        Tries::new(&self.inner.backoff, self.inner.options.attempts)
    }

    async fn get_once(
        &self,
        url: &Url,
        limit: u64,
        headers: &HeaderMap,
    ) -> Result<Fetched, Trouble> {
        let _permit = self.permit(url).await;
        let mut response = self.send(Method::GET, url, headers.clone()).await?;
        if response.status() == StatusCode::NOT_MODIFIED && !headers.is_empty() {
            return Ok(Fetched::NotModified);
        }
        if response.status() != StatusCode::OK {
            return Err(Trouble::fatal(url, &format!("unexpected answer {}", response.status())));
        }
        let condition = Condition::of(&response);
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(&mut response).await? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                let message = format!("the answer is larger than {limit} bytes");
                return Err(Trouble::fatal(url, &message));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Fetched::New { bytes, condition })
    }

    /// Sends a request and sorts its status: what comes back is a success, 304 or 416.
    async fn send(
        &self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
    ) -> Result<Response, Trouble> {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let stall = self.inner.options.stall_timeout;
        let transport = self.transport().map_err(|e| Trouble::fatal(url, e))?;
        let sent = transport.http.request(method, url.clone()).headers(headers).send();
        let response = match tokio::time::timeout(stall, sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(e)) => return Err(unsent(transport, url, &e)),
            Err(_) => return Err(Trouble::again(format!("no answer for {stall:?}"))),
        };
        let status = response.status();
        match status {
            StatusCode::NOT_MODIFIED | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            _ if status.is_success() => Ok(response),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(Trouble::status(&response))
            }
            _ if status.is_server_error() => Err(Trouble::status(&response)),
            _ => Err(Trouble::refused(url, status)),
        }
    }

    /// The next piece of a body.
    async fn chunk(&self, response: &mut Response) -> Result<Option<Vec<u8>>, Trouble> {
        let stall = self.inner.options.stall_timeout;
        match tokio::time::timeout(stall, response.chunk()).await {
            Ok(Ok(chunk)) => {
                let length = chunk.as_ref().map_or(0, |c| c.len() as u64);
                self.inner.downloaded.fetch_add(length, Ordering::Relaxed);
                Ok(chunk.map(|c| c.to_vec()))
            }
            Ok(Err(e)) => Err(Trouble::again(cause(&e))),
            Err(_) => Err(Trouble::again(format!("no byte came for {stall:?}"))),
        }
    }

    /// Waits until a host may be asked.
    async fn permit(&self, url: &Url) -> Option<OwnedSemaphorePermit> {
        let host = format!("{}:{:?}", url.host_str().unwrap_or_default(), url.port());
        let semaphore = {
            let mut hosts = self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            let per_host = self.inner.options.per_host.max(1);
            hosts.entry(host).or_insert_with(|| Arc::new(Semaphore::new(per_host))).clone()
        };
        // None only for a closed semaphore, and nobody closes one.
        semaphore.acquire_owned().await.ok()
    }

    /// Reads an address and refuses what is not to be asked.
    fn target(&self, text: &str) -> Result<Url, FetchError> {
        let wrong = |why: &str| FetchError {
            message: format!("cannot fetch {}: {why}", mask(text)),
            blames_upstream: false,
            status: None,
            differs: false,
        };
        let url = Url::parse(text).map_err(|e| wrong(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("only http and https addresses can be fetched"));
        }
        if self.inner.options.offline {
            let message = format!(
                "{} is needed, but the network may not be used; run once without --offline",
                mask(text)
            );
            let blames_upstream = true;
            return Err(FetchError { message, blames_upstream, status: None, differs: false });
        }
        Ok(url)
    }
}

/// What to make of a request that got no answer.
fn unsent(transport: &Transport, url: &Url, e: &reqwest::Error) -> Trouble {
    let cause = cause(e);
    if let (Some(why), "https") = (&transport.no_certificates, url.scheme()) {
        return Trouble::fatal(url, &no_certificates(why));
    }
    if e.is_redirect() || e.is_builder() || cause.contains("certificate") {
        return Trouble::out_of_reach(url, &cause);
    }
    Trouble::again(cause)
}

fn no_certificates(why: &str) -> String {
    format!("this machine has no CA certificates ({why}); install the package ca-certificates")
}

fn insert(headers: &mut HeaderMap, name: reqwest::header::HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|v| HeaderValue::from_str(v).ok()) {
        headers.insert(name, value);
    }
}

fn builder(options: &HttpOptions, proxies: &[Proxy]) -> reqwest::ClientBuilder {
    let policy = reqwest::redirect::Policy::custom(|attempt| {
        let from_https = attempt.previous().last().is_some_and(|u| u.scheme() == "https");
        if attempt.previous().len() > 10 {
            attempt.error("more than 10 redirections")
        } else if from_https && attempt.url().scheme() != "https" {
            attempt.error("redirected from https to http")
        } else {
            attempt.follow()
        }
    });
    let builder = reqwest::Client::builder()
        .user_agent(concat!("mabuild/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        .redirect(policy)
        // Only the environment that was given counts, not that of the process.
        .no_proxy();
    proxies.iter().cloned().fold(builder, reqwest::ClientBuilder::proxy)
}

/// The proxies that an environment names.
fn proxies(env: &BTreeMap<String, String>) -> Result<Vec<Proxy>, String> {
    let var = |name: &str| {
        env.get(name).or_else(|| env.get(&name.to_uppercase())).filter(|value| !value.is_empty())
    };
    let none = var("no_proxy").and_then(|list| NoProxy::from_string(list));
    let proxy = |name: &str, make: fn(&str) -> reqwest::Result<Proxy>| {
        let Some(address) = var(name) else { return Ok(None) };
        let proxy = make(address).map_err(|e| {
            format!("{name} is `{}`, which is no proxy: {}", mask(address), cause(&e))
        })?;
        Ok::<_, String>(Some(proxy.no_proxy(none.clone())))
    };
    let all = [
        proxy("http_proxy", |url| Proxy::http(url))?,
        proxy("https_proxy", |url| Proxy::https(url))?,
        proxy("all_proxy", |url| Proxy::all(url))?,
    ];
    Ok(all.into_iter().flatten().collect())
}
