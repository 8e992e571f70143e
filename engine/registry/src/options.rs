//! How a client behaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::credentials::{CredentialHelper, Credentials};
use crate::sending::Sending;

/// Gives the client that asks an address. It has to follow redirections, but not from https to
/// http, and not without end. The error says why there is none.
pub type Connect = dyn Fn(&Url) -> Result<reqwest::Client, String> + Send + Sync;

/// Hears of a blob that is being fetched: its name, bytes so far, bytes in all.
pub type OnProgress = dyn Fn(&str, u64, u64) + Send + Sync;

/// Hears of a blob that is being sent: when it is known to be needed, on its way, and at its end.
pub type OnSending = dyn Fn(&Sending<'_>) + Send + Sync;

/// What one host is sent at most, where that is not what others are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostLimits {
    /// Requests at once; none for as many as [`Options::per_host`] says.
    pub at_once: Option<usize>,
    /// Requests in all; none for as many as [`Options::max_requests_per_host`] says.
    pub in_all: Option<u64>,
}

/// How a client behaves.
#[derive(Clone)]
pub struct Options {
    /// Logins.
    pub credentials: Credentials,
    /// Who runs the programs that keep logins.
    pub helper: Option<Arc<dyn CredentialHelper>>,
    /// Hosts, with their ports, that are asked without TLS; this machine always is.
    pub plain_http: BTreeSet<String>,
    /// Hosts, with their ports, that are asked with TLS although they are this machine.
    pub tls: BTreeSet<String>,
    /// Mirrors by host, in the order in which they are asked before it, where something is read:
    /// hosts with their ports, perhaps with the beginning of a path (`mirror.example/hub`). One
    /// that fails, or lacks what is wanted, is passed over. They see their own logins alone.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Whether every request fails.
    pub offline: bool,
    /// Requests at once to one registry; Docker Hub gets four at most.
    pub per_host: usize,
    /// Requests to one registry in all, tries counted and those to token servers not; without a
    /// number, as many as it takes.
    pub max_requests_per_host: Option<u64>,
    /// What single hosts are sent, by their names as references have them.
    pub limits: BTreeMap<String, HostLimits>,
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
    /// Who hears of blobs that are fetched.
    pub progress: Option<Arc<OnProgress>>,
    /// Who hears of blobs that are sent.
    pub sending: Option<Arc<OnSending>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            helper: None,
            plain_http: BTreeSet::new(),
            tls: BTreeSet::new(),
            mirrors: BTreeMap::new(),
            offline: false,
            per_host: 16,
            max_requests_per_host: None,
            limits: BTreeMap::new(),
            attempts: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(45),
            seed: 0,
            progress: None,
            sending: None,
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
