//! Blobs into registries: streamed, continued after a break, begun again where the registry lost
//! what it had.
//!
//! Format: OCI distribution specification 1.1, "Pushing blobs": an upload is begun by `POST`, and
//! ended by `PUT`; after a break the registry says with `Range` what it has, and takes the rest by
//! `PATCH`.

use std::path::PathBuf;
use std::sync::Arc;

use mabuild_oci::{Descriptor, Digest};
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
    RANGE,
};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::Reference;
use crate::address::server;
use crate::body::{Feed, FileFeed, Payload};
use crate::client::{Ask, Inner};
use crate::error::{ErrorKind, Fault, Trouble, shown};
use crate::manifest::content_digest;
use crate::scope::Scope;
use crate::sending::Voyage;
use crate::wire;

/// Bytes of the rest of a blob that are sent at once after a break.
const CHUNK: u64 = 64 << 20;
/// What a registry answers to an upload, at most, in bytes.
const ANSWER: u64 = 1 << 20;
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The repository that is written to.
#[derive(Clone, Copy)]
pub(crate) struct Goal<'a> {
    pub reference: &'a Reference,
    pub scope: &'a Scope,
}

/// Where the bytes of a blob come from.
pub(crate) enum Cargo {
    /// Out of a file, from any place of it.
    File(PathBuf),
    /// From somewhere that begins at the beginning alone.
    Whole(Arc<dyn Feed>),
}

/// A blob that is sent, and who hears of it.
#[derive(Clone, Copy)]
struct Load<'a> {
    cargo: &'a Cargo,
    voyage: &'a Voyage,
}

/// An upload that a registry waits for.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    url: Url,
    is_foreign: bool,
    /// Bytes that the registry has.
    offset: u64,
}

impl Load<'_> {
    fn part(&self, start: u64, length: u64) -> Payload {
        let feed: Arc<dyn Feed> = match self.cargo {
            Cargo::File(path) => Arc::new(FileFeed { path: path.clone(), start, length }),
            Cargo::Whole(feed) => feed.clone(),
        };
        Payload::Stream(feed, self.voyage.leg(start))
    }
}

impl Inner {
    /// Sends a blob; `session` is an upload that has begun already.
    pub async fn upload(
        &self,
        goal: Goal<'_>,
        descriptor: &Descriptor,
        cargo: &Cargo,
        mut session: Option<Session>,
    ) -> Result<(), Fault> {
        let voyage = Voyage::begin(self.options.sending.as_ref(), goal.reference, descriptor);
        let load = Load { cargo, voyage: &voyage };
        let mut tries = self.tries(false);
        let mut had = 0;
        loop {
            let tried = {
                let _permit = self.hosts.permit(&goal.reference.host).await;
                self.attempt(goal, descriptor, load, &mut session).await
            };
            let trouble = match tried {
                Ok(()) => {
                    voyage.arrived();
                    return Ok(());
                }
                Err(trouble) => trouble,
            };
            if let (Cargo::Whole(_), Trouble::Again { fault, .. }) = (cargo, &trouble) {
                return Err(fault.clone());
            }
            trouble.retry(&mut tries).await?;
            session = match session.take() {
                Some(left) => self.left_over(goal, left, descriptor.size).await,
                None => None,
            };
            let has = session.as_ref().map_or(0, |session| session.offset);
            if has > had {
                tries.progress();
            }
            had = has;
        }
    }

    /// Begins an upload, or goes on with one, and ends it. What can be gone on with stays in
    /// `session`.
    async fn attempt(
        &self,
        goal: Goal<'_>,
        descriptor: &Descriptor,
        load: Load<'_>,
        session: &mut Option<Session>,
    ) -> Result<(), Trouble> {
        let mut open = match session.take() {
            Some(session) => session,
            None => self.begin(goal).await?,
        };
        let is_rest = open.offset > 0;
        *session = Some(open.clone());
        let size = descriptor.size;
        let sent = async {
            while is_rest && open.offset < size {
                open = self.chunk_of(goal, &open, size, load).await?;
                *session = Some(open.clone());
            }
            let payload = if is_rest { Payload::None } else { load.part(0, size) };
            self.end(goal, &open, descriptor.digest, payload).await
        };
        match sent.await {
            // What was begun is lost; it can be begun again.
            Err(Trouble::Fatal(fault)) if is_lost(&fault, is_rest) => {
                *session = None;
                let why =
                    format!("the upload of {} did not last: {}", descriptor.digest, fault.why);
                Err(Trouble::Again { fault: Fault::new(ErrorKind::Refused, why), wait: None })
            }
            sent => sent,
        }
    }

    /// Asks for a place to send a blob to.
    async fn begin(&self, goal: Goal<'_>) -> Result<Session, Trouble> {
        let ask = self.uploads(goal)?;
        let response = self.send(&ask).await?;
        Ok(self.session(&ask, response.headers(), 0)?)
    }

    /// Asks for a blob of another repository of the registry. None where it is there now, else an
    /// upload that has begun instead.
    pub async fn mount(
        &self,
        goal: Goal<'_>,
        digest: Digest,
        from: &Reference,
    ) -> Result<Option<Session>, Fault> {
        let mut ask = self.uploads(goal)?;
        let wanted = [("mount", digest.to_string()), ("from", from.repository.clone())];
        ask.url.query_pairs_mut().extend_pairs(wanted);
        let answer = self.answer(&ask, ANSWER).await?;
        match answer.status {
            StatusCode::CREATED => Ok(None),
            _ => self.session(&ask, &answer.headers, 0).map(Some),
        }
    }

    /// A question at the place where uploads begin.
    fn uploads<'a>(&self, goal: Goal<'a>) -> Result<Ask<'a>, Fault> {
        let mut ask = self.ask(Method::POST, goal.reference, "blobs", "uploads")?;
        ask.scope = goal.scope.clone();
        ask.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        if let Ok(mut path) = ask.url.path_segments_mut() {
            path.push("");
        }
        Ok(ask)
    }

    /// Sends a part of the rest of a blob.
    async fn chunk_of(
        &self,
        goal: Goal<'_>,
        open: &Session,
        size: u64,
        load: Load<'_>,
    ) -> Result<Session, Trouble> {
        let start = open.offset;
        let length = CHUNK.min(size - start);
        let mut ask = self.to_session(goal, Method::PATCH, open)?;
        let range = format!("{start}-{}", start + length - 1);
        insert(&mut ask.headers, CONTENT_RANGE, &range);
        ask.headers.insert(CONTENT_TYPE, BYTES);
        ask.payload = load.part(start, length);
        let response = self.send(&ask).await?;
        let whole = start + length;
        let has = end_of(response.headers()).filter(|has| *has > start && *has < whole);
        Ok(self.session(&ask, response.headers(), has.unwrap_or(whole))?)
    }

    /// Ends an upload with what is missing.
    async fn end(
        &self,
        goal: Goal<'_>,
        open: &Session,
        digest: Digest,
        payload: Payload,
    ) -> Result<(), Trouble> {
        let mut ask = self.to_session(goal, Method::PUT, open)?;
        ask.url.query_pairs_mut().append_pair("digest", &digest.to_string());
        match payload {
            Payload::None => insert(&mut ask.headers, CONTENT_LENGTH, "0"),
            _ => drop(ask.headers.insert(CONTENT_TYPE, BYTES)),
        }
        ask.payload = payload;
        let response = self.send(&ask).await?;
        same(&ask, response.headers(), digest)?;
        Ok(())
    }

    /// Asks how much of an upload the registry has. None where it has nothing, or has lost it.
    async fn left_over(&self, goal: Goal<'_>, broken: Session, size: u64) -> Option<Session> {
        let ask = self.to_session(goal, Method::GET, &broken).ok()?;
        let answer = {
            let _permit = self.hosts.permit(&goal.reference.host).await;
            self.send(&ask).await.ok()?
        };
        let offset = end_of(answer.headers())?;
        let found = match answer.headers().contains_key(LOCATION) {
            true => self.session(&ask, answer.headers(), offset).ok()?,
            false => Session { offset, ..broken },
        };
        (1..=size).contains(&offset).then_some(found)
    }

    /// A question about an upload.
    fn to_session<'a>(
        &self,
        goal: Goal<'a>,
        method: Method,
        open: &Session,
    ) -> Result<Ask<'a>, Fault> {
        let mut ask = self.ask(method, goal.reference, "blobs", "uploads")?;
        ask.scope = goal.scope.clone();
        ask.url = open.url.clone();
        ask.is_foreign = open.is_foreign;
        Ok(ask)
    }

    /// Reads where an upload goes on.
    fn session(&self, ask: &Ask<'_>, headers: &HeaderMap, offset: u64) -> Result<Session, Fault> {
        let asked = &ask.url;
        let at = server(asked);
        let text = wire::text(headers, LOCATION).ok_or_else(|| {
            let why = "it may be no registry, or a proxy before it takes the header away";
            let why = format!("{at} does not say where to upload to (Location); {why}");
            Fault::new(ErrorKind::Refused, why)
        })?;
        // The rest of an address may hold what lets anybody upload.
        let bad = |named: &str| {
            let why = format!("{at} names {} as the place to upload to", shown(named));
            Fault::new(ErrorKind::Refused, why)
        };
        let mut url = asked.join(text).map_err(|_| bad("no address"))?;
        let home = self.ask(Method::GET, ask.reference, "blobs", "uploads")?.url;
        let is_home = |url: &Url| url.host() == home.host() && url.port() == home.port();
        if is_home(&url) {
            // Behind a proxy a registry may think that it is asked without TLS.
            let mut at_home = home;
            at_home.set_path(url.path());
            at_home.set_query(url.query());
            return Ok(Session { url: at_home, is_foreign: false, offset });
        }
        // What goes to the registry with TLS does not go on without.
        let is_fine = match url.scheme() {
            "https" => true,
            "http" => home.scheme() == "http" && self.is_plain(&server(&url)),
            _ => false,
        };
        let named = format!("{}://{}", url.scheme(), server(&url));
        // What the registry wants known there, it puts into path and query.
        let is_bare = url.set_username("").and_then(|()| url.set_password(None)).is_ok();
        if !is_fine || !is_bare {
            return Err(bad(&named));
        }
        Ok(Session { url, is_foreign: true, offset })
    }
}

/// Fails where a registry says that it keeps something under another digest than its own.
pub(crate) fn same(ask: &Ask<'_>, headers: &HeaderMap, digest: Digest) -> Result<(), Fault> {
    match content_digest(headers) {
        Some(other) if other != digest && other.algorithm() == digest.algorithm() => {
            let at = server(&ask.url);
            let why = format!("{at} keeps {digest} as {other}: it was changed on the way");
            Err(Fault::broken(why))
        }
        _ => Ok(()),
    }
}

/// Whether a refusal is about an upload, and not about the blob.
fn is_lost(fault: &Fault, is_rest: bool) -> bool {
    fault.kind == ErrorKind::NotFound || is_rest && fault.kind == ErrorKind::Refused
}

/// Bytes that a registry has, by `Range: 0-99`. For none and for one it says the same, and none is
/// taken.
fn end_of(headers: &HeaderMap) -> Option<u64> {
    let range = wire::text(headers, RANGE)?.trim();
    let (start, last) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    (start.trim() == "0" && last > 0).then(|| last.saturating_add(1))
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
