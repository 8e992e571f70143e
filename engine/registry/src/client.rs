//! Requests: who is asked, how often, with which login, and what to make of the answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mabuild_oci::Digest;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, IF_NONE_MATCH, RANGE,
};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use crate::address::{is_loopback, server};
use crate::auth::Auth;
use crate::blob::Locks;
use crate::choose::About;
use crate::error::{ErrorKind, Fault, Trouble};
use crate::limits::{Hosts, RateLimit, too_many};
use crate::manifest::Resolved;
use crate::once::Once;
use crate::options::{Connect, Options};
use crate::refusal::{denied, refused, said};
use crate::wire::{Backoff, Tries, cause, retry_after};
use crate::{Reference, address};

/// Longest time that a small document may take, however steadily it drips.
const SMALL: Duration = Duration::from_secs(300);

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
    pub hosts: Hosts,
    /// What tags mean, by repository and tag.
    pub tags: Once<String, Result<Digest, Fault>>,
    /// Manifests and indexes, by repository and digest.
    pub documents: Once<String, Result<Arc<Resolved>, Fault>>,
    /// What configurations say, by repository and digest.
    pub about: Once<String, Result<About, Fault>>,
    /// The tags there are, by repository.
    pub lists: Once<String, Result<Arc<Vec<String>>, Fault>>,
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
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// The image that it is about.
    pub reference: &'a Reference,
}

/// A small answer, whole.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    /// Makes a client; it connects to nobody before it is asked.
    pub fn new(connect: Arc<Connect>, options: Options) -> Self {
        let inner = Inner {
            backoff: Backoff::new(options.pause, options.longest_pause, options.seed),
            hosts: Hosts::new(options.per_host, options.max_requests_per_host),
            options,
            auth: Auth::default(),
            connect,
            tags: Once::default(),
            documents: Once::default(),
            about: Once::default(),
            lists: Once::default(),
            blobs: Locks::default(),
            received: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Gives the bytes of bodies received so far.
    pub fn received(&self) -> u64 {
        self.inner.received.load(Ordering::Relaxed)
    }

    /// Gives the limits that registries told so far, the newest of each, by host.
    pub fn limits(&self) -> Vec<RateLimit> {
        self.inner.hosts.limits()
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

    /// The count of the tries of a new question.
    pub fn tries(&self) -> Tries<'_> {
        Tries::new(&self.backoff, self.options.attempts)
    }

    /// Asks until there is an answer of at most `limit` bytes.
    pub async fn answer(&self, ask: &Ask<'_>, limit: u64) -> Result<Answer, Fault> {
        let mut tries = self.tries();
        loop {
            let once = async {
                let _permit = self.hosts.permit(&ask.reference.host).await;
                let response = self.send(ask).await?;
                let (status, headers) = (response.status(), response.headers().clone());
                Ok(Answer { status, headers, body: self.small(response, limit).await? })
            };
            match once.await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => Trouble::retry(trouble, &mut tries).await?,
            }
        }
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
        let host = &ask.reference.host;
        self.hosts.spend(host)?;
        let response = self.transmit(ask.method.clone(), &ask.url, headers, None).await?;
        if !is_elsewhere(&response, ask) {
            self.hosts.note(host, response.headers());
        }
        self.patient(response).await
    }

    /// Sends one request to a server that is no registry. What asks for patience is
    /// [`Trouble::Again`].
    pub async fn exchange(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        form: Option<String>,
    ) -> Result<Response, Trouble> {
        self.patient(self.transmit(method, url, headers, form).await?).await
    }

    /// Sends one request.
    async fn transmit(
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
        match tokio::time::timeout(stall, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(e)) => Err(unsent(url, &e)),
            Err(_) => Err(Trouble::again(format!("no answer of {} for {stall:?}", server(url)))),
        }
    }

    /// Holds back an answer that may be another one later.
    async fn patient(&self, response: Response) -> Result<Response, Trouble> {
        let status = response.status();
        let is_crowded = status == StatusCode::TOO_MANY_REQUESTS;
        if status != StatusCode::REQUEST_TIMEOUT && !is_crowded && !status.is_server_error() {
            return Ok(response);
        }
        let (at, headers) = (server(response.url()), response.headers().clone());
        let said = self.said(response).await;
        let longest = self.backoff.longest();
        if is_crowded {
            return Err(too_many(&at, &said, &headers, longest));
        }
        let why = format!("{at} answers {status}{said}");
        Err(match retry_after(&headers) {
            Some(wait) if wait > longest => {
                let why = format!("{why} (it wants to be asked again in {} s)", wait.as_secs());
                Fault::new(ErrorKind::Unreachable, why).into()
            }
            wait => Trouble::Again { fault: Fault::new(ErrorKind::Unreachable, why), wait },
        })
    }

    /// Lets successes through and what was reckoned with, and says what others mean.
    async fn sorted(&self, response: Response, ask: &Ask<'_>) -> Result<Response, Trouble> {
        let status = response.status();
        let is_expected = match status {
            StatusCode::RANGE_NOT_SATISFIABLE => ask.headers.contains_key(RANGE),
            StatusCode::NOT_MODIFIED => ask.headers.contains_key(IF_NONE_MATCH),
            _ => status.is_success(),
        };
        if is_expected {
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
