//! Requests: who is asked, how often, with which login, and what to make of the answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mabuild_oci::Digest;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use url::Url;

use crate::address::is_loopback;
use crate::auth::Auth;
use crate::body::Payload;
use crate::choose::About;
use crate::error::{Fault, Trouble};
use crate::holdings::Holdings;
use crate::limits::{Hosts, RateLimit};
use crate::manifest::Resolved;
use crate::mirror::{At, Silent};
use crate::once::{Locks, Once};
use crate::options::{Connect, Options};
use crate::scope::Scope;
use crate::wire::{Backoff, Tries};
use crate::{Reference, address};

/// Reads and writes registries. What a tag means is asked once; clones share all that is known.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

/// What clones share.
pub(crate) struct Inner {
    pub options: Options,
    pub auth: Auth,
    pub connect: Arc<Connect>,
    pub hosts: Hosts,
    /// What tags mean, by repository and tag.
    pub tags: Once<String, Result<Digest, Fault>>,
    /// Manifests and indexes, by repository and digest.
    pub documents: Once<String, Result<Arc<Resolved>, Fault>>,
    /// What configurations say, by repository and digest.
    pub about: Once<String, Result<About, Fault>>,
    /// The tags there are, by repository.
    pub lists: Once<String, Result<Arc<Vec<String>>, Fault>>,
    /// Who fetches which blob now.
    pub blobs: Locks<Digest>,
    /// What repositories have.
    pub holdings: Holdings,
    /// Who changes which list of referrers.
    pub listing: Locks<String>,
    /// Mirrors that do not answer.
    pub silent: Silent,
    pub received: AtomicU64,
    pub sent: AtomicU64,
    pub backoff: Backoff,
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
    /// The permission that it needs.
    pub scope: Scope,
    pub payload: Payload,
    /// Whether the address is at another server than the registry; that sees no login.
    pub is_foreign: bool,
    /// Whether another place is asked next.
    pub is_mirror: bool,
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
            hosts: Hosts::new(&options),
            options,
            auth: Auth::default(),
            connect,
            tags: Once::default(),
            documents: Once::default(),
            about: Once::default(),
            lists: Once::default(),
            blobs: Locks::default(),
            holdings: Holdings::default(),
            listing: Locks::default(),
            silent: Silent::default(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Gives the bytes of bodies received so far.
    pub fn received(&self) -> u64 {
        self.inner.received.load(Ordering::Relaxed)
    }

    /// Gives the bytes of blobs sent so far, those of failed tries counted.
    pub fn sent(&self) -> u64 {
        self.inner.sent.load(Ordering::Relaxed)
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
        at: impl Into<At<'a>>,
        kind: &str,
        name: &str,
    ) -> Result<Ask<'a>, Fault> {
        let At { reference, is_mirror } = at.into();
        let url = address::of(reference, kind, name, self.is_plain(&reference.host))?;
        Ok(Ask {
            method,
            url,
            headers: HeaderMap::new(),
            reference,
            scope: Scope::reading(reference),
            payload: Payload::None,
            is_foreign: false,
            is_mirror,
        })
    }

    /// Whether a host is asked without TLS.
    pub fn is_plain(&self, host: &str) -> bool {
        let Options { plain_http, tls, .. } = &self.options;
        !tls.contains(host) && (is_loopback(host) || plain_http.contains(host))
    }

    /// The count of the tries of a new question.
    pub fn tries(&self, is_mirror: bool) -> Tries<'_> {
        let attempts = if is_mirror { 1 } else { self.options.attempts };
        Tries::new(&self.backoff, attempts)
    }

    /// Asks until there is an answer of at most `limit` bytes.
    pub async fn answer(&self, ask: &Ask<'_>, limit: u64) -> Result<Answer, Fault> {
        let mut tries = self.tries(ask.is_mirror);
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
}
