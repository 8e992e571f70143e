//! Finds facts out: what files a context has and what upstreams serve. The only room of the
//! engine that speaks HTTP.
//!
//! Callers block; inside, requests overlap on a small runtime of this room, and hashing runs on
//! rayon. Nothing that was not verified gets into the store: archives and packages by digest,
//! Debian's metadata by signature.

mod added;
mod apt;
mod artifact;
mod context;
mod distro;
mod emulator;
mod find;
mod git;
mod http;
mod images;
mod journal;
mod kept;
mod keys;
mod local;
mod logins;
mod memory;
mod pins;
mod records;
mod references;
mod registry;
mod steps;
mod upstream;
mod versions;

#[cfg(test)]
#[path = "tests/follow/mod.rs"]
mod follow_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, mpsc};

use mabuild_distro::debian::Source;
use mabuild_registry::{OnSending, RateLimit};
use tokio::runtime::Runtime;

use crate::facts::{Archive, Distro, FactError, HostLimit, HostSettings, PackagePin, Pin};
use crate::store::Store;
pub use apt::AptSources;
pub use context::Hidden;
pub use find::find_facts;
pub use http::{FetchError, HttpOptions};
pub use memory::TagIndex;

/// Hears of downloads: what, bytes so far, bytes in all when known.
pub type OnDownload = dyn Fn(&str, u64, Option<u64>) + Send + Sync;

/// What a [`Tracking`] starts from.
#[derive(Clone, Debug)]
pub struct TrackOptions {
    /// Environment: proxies, `DEBIAN_MIRROR`, logins for registries and where they are kept:
    /// `DOCKER_CONFIG`, `REGISTRY_AUTH_FILE`, `HOME` and others.
    pub env: BTreeMap<String, String>,
    /// Unix seconds.
    pub now: i64,
    /// The HTTP client.
    pub http: HttpOptions,
    /// Folder of apt's configuration, whose sources name this machine's mirror.
    pub apt: PathBuf,
    /// Keys that may sign Debian archives where a question names none; none means Debian's own.
    pub keys: Option<String>,
    /// Settings of the hosts of registries.
    pub hosts: Vec<HostSettings>,
    /// Folders that may hold one with certificates for a host, what counts most first.
    pub certificates: Vec<PathBuf>,
}

/// An installed package that an archive of its image has in a higher version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newer {
    /// Name.
    pub name: String,
    /// The version that is installed.
    pub installed: String,
    /// The highest version of the archives.
    pub candidate: String,
    /// The archive of the candidate, as [`Archive::label`] has it.
    pub archive: String,
    /// Whether an archive for security has a version that is higher than the installed one.
    pub security: bool,
}

/// What is asked in one run. Every folder is read once, every upstream asked once.
pub struct Tracking {
    shared: Arc<Shared>,
    /// Taken at the end only.
    runtime: Option<Runtime>,
}

/// What all questions of a run share.
struct Shared {
    store: Arc<Store>,
    client: http::Client,
    options: TrackOptions,
    contexts: context::Contexts,
    sources: OnceLock<Vec<Source>>,
    alpine: upstream::AlpineRun,
    debian: upstream::DebianRun,
    listings: upstream::Listings,
    repositories: references::Repositories,
    registry: OnceLock<Result<mabuild_registry::Client, FactError>>,
    on_download: RwLock<Option<Arc<OnDownload>>>,
    on_upload: RwLock<Option<Arc<OnSending>>>,
    kept: kept::Kept,
}

impl std::fmt::Debug for Tracking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracking").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Tracking {
    /// Looks at the world from this machine: proxies and mirror from `vars`, else the mirror of
    /// apt; `hosts` says how registries are spoken to. With `offline` every request fails; what the
    /// store remembers still answers.
    pub fn new(
        store: Arc<Store>,
        vars: &BTreeMap<String, String>,
        now: i64,
        offline: bool,
        hosts: Vec<HostSettings>,
    ) -> Result<Self, String> {
        // Any number will do, as long as two machines do not pause in step.
        let seed = now.cast_unsigned() ^ (u64::from(std::process::id()) << 32);
        let http = HttpOptions { env: vars.clone(), offline, seed, ..HttpOptions::default() };
        let apt = PathBuf::from("/etc/apt");
        let home = vars.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let own = home.map(|home| home.join(".config/containers/certs.d"));
        let shared = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
        let certificates = own.into_iter().chain(shared).collect();
        let env = vars.clone();
        let options = TrackOptions { env, now, http, apt, keys: None, hosts, certificates };
        Self::with(store, options)
    }

    /// Looks at the world as told.
    pub fn with(store: Arc<Store>, options: TrackOptions) -> Result<Self, String> {
        let client = http::Client::new(options.http.clone())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("mabuild-track")
            .enable_all()
            .build()
            .map_err(|e| format!("cannot start threads for the network: {e}"))?;
        let shared = Shared {
            contexts: context::Contexts::new(store.clone(), options.now),
            store,
            client,
            options,
            sources: OnceLock::new(),
            alpine: upstream::AlpineRun::default(),
            debian: upstream::DebianRun::default(),
            listings: upstream::Listings::default(),
            repositories: references::Repositories::default(),
            registry: OnceLock::new(),
            on_download: RwLock::new(None),
            on_upload: RwLock::new(None),
            kept: kept::Kept::default(),
        };
        Ok(Self { shared: Arc::new(shared), runtime: Some(runtime) })
    }

    /// Sets who hears of downloads.
    pub fn on_download(&self, listener: Arc<OnDownload>) {
        *self.shared.on_download.write().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// Bytes that came over the network so far.
    pub fn downloaded(&self) -> u64 {
        let registry = self.shared.registry.get().and_then(|made| made.as_ref().ok());
        self.shared.client.downloaded() + registry.map_or(0, mabuild_registry::Client::received)
    }

    /// What registries said so far that they allow, the newest of each, by host.
    pub fn limits(&self) -> Vec<HostLimit> {
        let registry = self.shared.registry.get().and_then(|made| made.as_ref().ok());
        let limits = registry.map(mabuild_registry::Client::limits).unwrap_or_default();
        let told = limits.into_iter().map(|told| {
            let RateLimit { host, limit, remaining, window, .. } = told;
            HostLimit { host, limit, remaining, window }
        });
        told.collect()
    }

    /// Brings a pinned file into the store, from a path or an address, and gives its place there.
    /// `digest` is `sha256:…` or `sha512:…`.
    pub fn fetch(&self, digest: &str, location: &str) -> Result<PathBuf, FactError> {
        let (digest, location) = (digest.to_owned(), location.to_owned());
        self.block(|shared| async move { shared.fetch(&digest, &location).await })?
    }

    /// Brings the file of a pinned package into the store, from the mirror of this machine.
    pub fn fetch_package(
        &self,
        archive: &Archive,
        package: &PackagePin,
    ) -> Result<PathBuf, FactError> {
        let (archive, package) = (archive.clone(), package.clone());
        self.block(|shared| async move { shared.fetch_package(&archive, &package).await })?
    }

    /// The installed packages of an image that its archives have in a higher version, in the
    /// order of the image; with `security_only` those alone that concern security.
    pub fn newer(&self, distro: &Distro, security_only: bool) -> Result<Vec<Newer>, FactError> {
        let distro = Arc::new(distro.clone());
        let found = self.block(|shared| async move { upstream::newer(&shared, &distro).await })?;
        let wanted = |newer: &Newer| newer.security || !security_only;
        found.map(|found| found.into_iter().filter(wanted).collect())
    }

    /// Refuses releases of an archive that are older than `date` (seconds since 1970), the date of
    /// the one that is locked, so that nobody can hold back updates. Counts for what is asked
    /// after it.
    fn expect_at_least(&self, archive: &Archive, date: i64) {
        upstream::expect_at_least(&self.shared, archive, date);
    }

    /// The same for all archives of what is locked.
    pub fn expect_newer(&self, pin: &Pin) {
        let Some(set) = pin.packages() else { return };
        for (archive, release) in set.archives.iter().zip(&set.releases) {
            self.expect_at_least(archive, release.date);
        }
    }

    /// Brings an image of a registry into the store's layout: the manifest of a digest, and what it
    /// refers to. `location` is the complete reference it was found by.
    pub fn pull(&self, manifest: &str, location: &str) -> Result<(), FactError> {
        let (manifest, location) = (manifest.to_owned(), location.to_owned());
        self.block(|shared| async move { registry::pull(&shared, &manifest, &location).await })?
    }

    /// A folder with the static emulators `qemu-TARGET` of `targets` (`aarch64`, `arm`, …) that
    /// run on this machine, whose Debian architecture is `host`. They are taken out of a verified
    /// Debian package once.
    pub fn emulators(&self, host: &str, targets: &[&str]) -> Result<PathBuf, FactError> {
        let host = host.to_owned();
        let targets = targets.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        self.block(|shared| async move { emulator::emulators(&shared, &host, &targets).await })?
    }

    /// Runs something with the registry client of this run and waits for it.
    pub fn with_registry<T, F>(
        &self,
        work: impl FnOnce(mabuild_registry::Client) -> F,
    ) -> Result<T, FactError>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let client = registry::client(&self.shared)?.clone();
        self.block(|_| work(client))
    }

    /// Runs a question on the runtime and waits. Works on every thread, also one of another
    /// runtime.
    fn block<T, F>(&self, question: impl FnOnce(Arc<Shared>) -> F) -> Result<T, FactError>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let broken = || FactError {
            message: "a question about an upstream ended without an answer; this is a defect of \
                      the program"
                .to_owned(),
            blames_upstream: false,
        };
        let (sender, receiver) = mpsc::sync_channel(1);
        let future = question(self.shared.clone());
        self.runtime.as_ref().ok_or_else(broken)?.spawn(async move {
            let _nobody_waits = sender.send(future.await);
        });
        receiver.recv().map_err(|_| broken())
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        // Dropping a runtime waits for its threads, which is not allowed on those of another.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn env(&self, name: &str) -> Option<&str> {
        self.options.env.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    fn sources(&self) -> &[Source] {
        self.sources.get_or_init(|| AptSources::read(&self.options.apt).parse())
    }

    /// Brings a file of a known digest into the store.
    async fn fetch(self: &Arc<Self>, digest: &str, location: &str) -> Result<PathBuf, FactError> {
        let expected = local::digest(digest)?;
        if is_address(location) {
            return self.download(location, http::Expected { digest: expected, size: None }).await;
        }
        let (shared, location) = (self.clone(), location.to_owned());
        local::blocking(move || local::adopt(&shared.store, &expected, &location)).await
    }

    /// Brings a package into the store.
    async fn fetch_package(
        self: &Arc<Self>,
        archive: &Archive,
        package: &PackagePin,
    ) -> Result<PathBuf, FactError> {
        let PackagePin { name, version, sha256, size, path, .. } = package;
        let digest = format!("sha256:{sha256}");
        let address = upstream::address(self, archive, path);
        if !is_address(&address) {
            return self.fetch(&digest, &address).await;
        }
        let expected = http::Expected { digest: local::digest(&digest)?, size: Some(*size) };
        let fetched = self.download_as(&address, expected, &format!("{name} {version}")).await;
        fetched.map_err(|e| unfetched(archive, package, e))
    }

    async fn download(&self, url: &str, expected: http::Expected) -> Result<PathBuf, FactError> {
        let end = url.find(['?', '#']).unwrap_or(url.len());
        let name = url.get(..end).and_then(|path| path.rsplit('/').next()).unwrap_or(url);
        Ok(self.download_as(url, expected, name).await?)
    }

    /// Downloads under a name that a person knows.
    async fn download_as(
        &self,
        url: &str,
        expected: http::Expected,
        name: &str,
    ) -> Result<PathBuf, FetchError> {
        self.client.download(url, expected, &self.store, &*self.progress(name)).await
    }

    /// Tells the listener of the progress of something with this name.
    fn progress(&self, name: &str) -> Box<http::Progress> {
        let listener = self.on_download.read().unwrap_or_else(PoisonError::into_inner).clone();
        let name = name.to_owned();
        Box::new(move |done, total| {
            if let Some(listener) = &listener {
                listener(&name, done, total);
            }
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a pinned package cannot be had.
fn unfetched(archive: &Archive, package: &PackagePin, error: FetchError) -> FactError {
    let PackagePin { name, version, .. } = package;
    let what = format!("{name} {version} of {}", archive.label());
    let FetchError { message, blames_upstream, status, differs } = error;
    match status {
        Some(404 | 410) => doubtful(format!(
            "{what} is no longer in the archive, which has moved on since this version was chosen \
             ({message}); take the version of today with `mabuild upstream update`, or a mirror \
             that keeps old versions"
        )),
        _ if differs => {
            doubtful(format!("{what} is not the file that the signed index names: {message}"))
        }
        _ => FactError { message: format!("{what}: {message}"), blames_upstream },
    }
}

/// Whether a location is fetched in place of opened.
fn is_address(location: &str) -> bool {
    location.starts_with("http://") || location.starts_with("https://")
}

/// A fault of what an upstream serves.
fn doubtful(message: impl Into<String>) -> FactError {
    FactError { message: message.into(), blames_upstream: true }
}

/// A fault of the question or of this machine.
fn wrong(message: impl Into<String>) -> FactError {
    FactError { message: message.into(), blames_upstream: false }
}
