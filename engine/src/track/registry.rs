//! Registries: the client of a run, with the settings of its hosts, and pulling.

use std::sync::{Arc, PoisonError};

use mabuild_lang::reference;
use mabuild_oci::Digest;
use mabuild_registry::{Client, Error, HostLimits, OnSending, Options, Reference, Sending};

use super::http::Certificates;
use super::logins::{Programs, credentials};
use super::{Shared, TrackOptions, Tracking, wrong};
use crate::facts::{FactError, HostSettings};

impl From<Error> for FactError {
    fn from(e: Error) -> Self {
        Self { blames_upstream: e.blames_registry(), message: e.message }
    }
}

impl Tracking {
    /// Sets who hears of blobs that registries are sent.
    pub fn on_upload(&self, listener: Arc<OnSending>) {
        *self.shared.on_upload.write().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }
}

/// Brings an image into the store's layout.
pub(super) async fn pull(
    shared: &Arc<Shared>,
    manifest: &str,
    location: &str,
) -> Result<(), FactError> {
    let digest = super::local::digest(manifest)?;
    let reference = read(location)?.with_digest(digest);
    client(shared)?.pull_manifest(&reference, shared.store.layout()).await?;
    Ok(())
}

/// Reads a complete reference.
pub(super) fn read(text: &str) -> Result<Reference, FactError> {
    let parsed =
        reference::parse(text).map_err(|e| wrong(format!("`{text}` {}: {}", e.label, e.help)))?;
    let digest = parsed.digest.map(Digest::parse).transpose().map_err(|e| wrong(e.to_string()))?;
    Ok(Reference {
        host: parsed.repository.host.unwrap_or("docker.io").to_owned(),
        repository: parsed.repository.path.to_owned(),
        tag: parsed.tag.map(str::to_owned),
        digest,
    })
}

/// The client of the run; the first to ask makes it.
pub(super) fn client(shared: &Arc<Shared>) -> Result<&Client, FactError> {
    shared.registry.get_or_init(|| new(shared)).as_ref().map_err(Clone::clone)
}

fn new(shared: &Arc<Shared>) -> Result<Client, FactError> {
    let TrackOptions { http, env, hosts, certificates, .. } = &shared.options;
    let listening = Arc::downgrade(shared);
    let progress = move |name: &str, done: u64, all: u64| {
        let Some(shared) = listening.upgrade() else { return };
        let listener = shared.on_download.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener {
            listener(name, done, Some(all));
        }
    };
    let listening = Arc::downgrade(shared);
    let sending = move |sending: &Sending<'_>| {
        let Some(shared) = listening.upgrade() else { return };
        let listener = shared.on_upload.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener {
            listener(sending);
        }
    };
    let of_hosts = hosts.iter().map(|host| {
        let at_once = host.requests.and_then(|count| usize::try_from(count).ok());
        (host.host.clone(), HostLimits { at_once, in_all: host.max_requests })
    });
    let has_tls = |host: &&HostSettings| host.ca.is_some() || host.cert.is_some();
    let tls = hosts.iter().filter(has_tls).map(|host| host.host.clone());
    let plain = hosts.iter().filter(|host| host.plain_http).map(|host| host.host.clone());
    let mirrors = hosts.iter().filter(|host| !host.mirrors.is_empty());
    let options = Options {
        credentials: credentials(env)?,
        helper: Some(Arc::new(Programs::new(env.clone()))),
        plain_http: plain.collect(),
        tls: tls.collect(),
        mirrors: mirrors.map(|host| (host.host.clone(), host.mirrors.clone())).collect(),
        offline: http.offline,
        limits: of_hosts.collect(),
        attempts: http.attempts,
        pause: http.pause,
        longest_pause: http.longest_pause,
        stall_timeout: http.stall_timeout,
        seed: http.seed,
        progress: Some(Arc::new(progress)),
        sending: Some(Arc::new(sending)),
        ..Options::default()
    };
    let (client, own) =
        (shared.client.clone(), Certificates::new(hosts.clone(), certificates.clone()));
    Ok(Client::new(Arc::new(move |url| own.connection(&client, url)), options))
}
