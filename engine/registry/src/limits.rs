//! What registries allow, and what a run allows itself: requests at once, requests in all, and the
//! limits that registries tell.
//!
//! Format: the headers `ratelimit-limit` and `ratelimit-remaining` of Docker Hub, `100;w=21600`:
//! a number of pulls in a window of seconds; `docker-ratelimit-source` says whose pulls count.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::address::is_hub;
use crate::error::{ErrorKind, Fault, Trouble, shown};
use crate::options::{HostLimits, Options};
use crate::wire::{retry_after, sent_at, text};

/// Requests at once that Docker Hub gets at most; it counts those without a login by address.
const HUB_PERMITS: usize = 4;
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const SOURCE: HeaderName = HeaderName::from_static("docker-ratelimit-source");

/// What a registry says that it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Host as references name it.
    pub host: String,
    /// Pulls, or requests, in a window.
    pub limit: u64,
    /// How many of them are left.
    pub remaining: u64,
    /// How long the window is.
    pub window: Option<Duration>,
    /// Whose requests are counted: an address, or the number of an account.
    pub source: Option<String>,
}

/// The registries of a run.
#[derive(Debug)]
pub(crate) struct Hosts {
    hosts: Mutex<BTreeMap<String, Host>>,
    permits: usize,
    budget: Option<u64>,
    limits: BTreeMap<String, HostLimits>,
}

#[derive(Debug)]
struct Host {
    permits: Arc<Semaphore>,
    sent: u64,
    limit: Option<RateLimit>,
}

impl Hosts {
    /// Lets as many requests go to hosts as the options say.
    pub fn new(options: &Options) -> Self {
        let Options { per_host, max_requests_per_host: budget, limits, .. } = options;
        let limits = limits.clone();
        Self { hosts: Mutex::default(), permits: *per_host, budget: *budget, limits }
    }

    /// Waits until a host may be asked.
    pub async fn permit(&self, host: &str) -> Option<OwnedSemaphorePermit> {
        let permits = self.with(host, |known| known.permits.clone());
        // None only for a closed semaphore, and nobody closes one.
        permits.acquire_owned().await.ok()
    }

    /// Counts a request that is about to be sent. Fails where it would be one too many.
    pub fn spend(&self, host: &str) -> Result<(), Fault> {
        let sent = self.with(host, |known| {
            known.sent = known.sent.saturating_add(1);
            known.sent
        });
        match self.limits.get(host).and_then(|own| own.in_all).or(self.budget) {
            Some(budget) if sent > budget => {
                let why = format!(
                    "the {budget} requests that this run may send to {host} are used up \
                     (`max-requests`); allow more, or go on with the next run"
                );
                Err(Fault::new(ErrorKind::Limit, why))
            }
            _ => Ok(()),
        }
    }

    /// Keeps what a host says of its limit.
    pub fn note(&self, host: &str, headers: &HeaderMap) {
        if let Some(limit) = read(host, headers) {
            self.with(host, |known| known.limit = Some(limit));
        }
    }

    /// The newest limits, by host.
    pub fn limits(&self) -> Vec<RateLimit> {
        self.lock().values().filter_map(|host| host.limit.clone()).collect()
    }

    fn with<T>(&self, host: &str, work: impl FnOnce(&mut Host) -> T) -> T {
        let mut hosts = self.lock();
        let known = hosts.entry(host.to_owned()).or_insert_with(|| {
            let usual = if is_hub(host) { self.permits.min(HUB_PERMITS) } else { self.permits };
            let own = self.limits.get(host).and_then(|own| own.at_once);
            let permits = own.unwrap_or(usual).clamp(1, Semaphore::MAX_PERMITS);
            Host { permits: Arc::new(Semaphore::new(permits)), sent: 0, limit: None }
        });
        work(known)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to make of an answer that wants fewer requests: tried again where it is worth the wait,
/// which is not so where a window of hours has to pass. `said` is what the server says of it.
pub(crate) fn too_many(at: &str, said: &str, headers: &HeaderMap, longest: Duration) -> Trouble {
    let status = StatusCode::TOO_MANY_REQUESTS;
    let used_up = read(at, headers).filter(|limit| limit.remaining == 0);
    let (wanted, window) = (retry_after(headers), used_up.as_ref().and_then(|limit| limit.window));
    let wait = wanted.or(window);
    let help = "log in with `docker login`: a registry gives more to those it knows";
    let Some(long) = wait.filter(|wait| *wait > longest) else {
        let why = format!("{at} answers {status}{said}; wait, or {help}");
        return Trouble::Again { fault: Fault::new(ErrorKind::TooMany, why), wait };
    };
    let limit = match used_up {
        Some(RateLimit { limit, window: Some(window), .. }) => {
            format!("its limit of {limit} in {} is used up", span(window))
        }
        _ => "its limit is used up".to_owned(),
    };
    let end = match wanted {
        Some(_) => format!("it wants to be asked again in {}{}", span(long), end(headers, long)),
        None => format!("it ends in {} at the latest", span(long)),
    };
    let why = format!("{at} answers {status}{said}; {limit}, and {end}; {help}, or use a mirror");
    Fault::new(ErrorKind::Limit, why).into()
}

/// Reads what a registry says of its limit.
fn read(host: &str, headers: &HeaderMap) -> Option<RateLimit> {
    let (limit, window) = quota(text(headers, LIMIT)?)?;
    let (remaining, other) = quota(text(headers, REMAINING)?)?;
    let source = text(headers, SOURCE).map(shown).filter(|source| !source.is_empty());
    Some(RateLimit { host: host.to_owned(), limit, remaining, window: window.or(other), source })
}

/// Reads `100;w=21600`; of several quotas, the first.
fn quota(text: &str) -> Option<(u64, Option<Duration>)> {
    let mut parts = text.split(',').next()?.split(';').map(str::trim);
    let number = parts.next()?.parse().ok()?;
    let window = parts.find_map(|part| part.strip_prefix("w=")?.trim().parse().ok());
    Some((number, window.map(Duration::from_secs)))
}

/// A time for a person: the seconds, and what they are in hours or minutes.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds % 3600 / 60) {
        (0, 0 | 1) => format!("{seconds} s"),
        (0, minutes) => format!("{seconds} s ({minutes} min)"),
        (hours, 0) => format!("{seconds} s ({hours} h)"),
        (hours, minutes) => format!("{seconds} s ({hours} h {minutes} min)"),
    }
}

/// When a wait ends by the server's clock, where it tells its time.
fn end(headers: &HeaderMap, wait: Duration) -> String {
    let end = sent_at(headers).and_then(|sent| sent.checked_add(wait).ok());
    end.map(|end| format!(", at {end}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    #[test]
    fn limits_are_read_in_their_forms() {
        let hub = headers(&[
            ("ratelimit-limit", "100;w=21600"),
            ("ratelimit-remaining", "76;w=21600"),
            ("docker-ratelimit-source", "192.0.2.7"),
        ]);
        let limit = read("docker.io", &hub).unwrap();
        assert_eq!((limit.limit, limit.remaining), (100, 76));
        assert_eq!(limit.window, Some(Duration::from_secs(21600)));
        assert_eq!(limit.source.as_deref(), Some("192.0.2.7"));
        assert_eq!(quota("60"), Some((60, None)));
        assert_eq!(quota("60, 60 ;w=60, 1000;w=3600"), Some((60, None)));
        assert_eq!(quota(" 5 ; x=1 ; w=60"), Some((5, Some(Duration::from_secs(60)))));
        for bad in ["", ";w=1", "-1;w=1", "many", "99999999999999999999;w=1"] {
            assert_eq!(quota(bad), None, "{bad}");
        }
        assert_eq!(quota("1;w=-1"), Some((1, None)));
        assert_eq!(read("r", &headers(&[("ratelimit-limit", "100;w=21600")])), None);
    }

    #[test]
    fn newest_limit_of_each_host_is_kept() {
        let hosts = Hosts::new(&Options::default());
        for (host, left) in [("b", "9"), ("a", "5"), ("b", "8"), ("b", "nonsense")] {
            let said = [("ratelimit-limit", "10"), ("ratelimit-remaining", left)];
            hosts.note(host, &headers(&said));
        }
        let left: Vec<_> = hosts.limits().into_iter().map(|l| (l.host, l.remaining)).collect();
        assert_eq!(left, [("a".to_owned(), 5), ("b".to_owned(), 8)]);
    }

    #[test]
    fn docker_hub_gets_fewer_at_once() {
        let free = |most: usize, host: &str| {
            let own = HostLimits { at_once: Some(12), in_all: None };
            let limits = BTreeMap::from([("own.example".to_owned(), own)]);
            let options = Options { per_host: most, limits, ..Options::default() };
            Hosts::new(&options).with(host, |known| known.permits.available_permits())
        };
        assert_eq!(free(2, "own.example"), 12, "what is said of one host counts more");
        assert_eq!((free(8, "ghcr.io"), free(8, "docker.io"), free(0, "x")), (8, 4, 1));
        assert_eq!((free(2, "docker.io"), free(8, "registry-1.docker.io")), (2, 4));
    }

    #[test]
    fn end_of_a_limit_is_told_by_the_clock_of_the_server() {
        let longest = Duration::from_secs(60);
        let told = |all: &[(&'static str, &str)]| match too_many("r", "", &headers(all), longest) {
            Trouble::Fatal(fault) => (Some(fault.kind), fault.why, None),
            Trouble::Again { fault, wait } => (None, fault.why, wait),
        };
        let date = ("date", "Sat, 21 Nov 2026 18:00:00 GMT");
        let (kind, why, _) = told(&[date, ("retry-after", "5400")]);
        assert_eq!(kind, Some(ErrorKind::Limit));
        let end = "in 5400 s (1 h 30 min), at 2026-11-21T19:30:00Z; log in with `docker login`";
        assert!(why.contains(end), "{why}");
        let (kind, why, _) = told(&[date, ("retry-after", "Sat, 21 Nov 2026 20:00:00 GMT")]);
        assert!(kind.is_some() && why.contains("7200 s (2 h), at 2026-11-21T20:00:00Z"), "{why}");
        let none_left = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "0;w=21600")];
        let (kind, why, _) = told(&none_left);
        assert_eq!(kind, Some(ErrorKind::Limit));
        assert!(why.contains("limit of 100 in 21600 s (6 h) is used up"), "{why}");
        assert!(why.contains("at the latest") && why.contains("mirror"), "{why}");
        // A registry that says when is believed, whatever else it says.
        let (kind, _, wait) = told(&[none_left[0], none_left[1], ("retry-after", "2")]);
        assert_eq!((kind, wait), (None, Some(Duration::from_secs(2))));
        assert_eq!(told(&[]).0, None);
        let (kind, why, _) = told(&[date, ("retry-after", "18446744073709551615")]);
        assert!(kind.is_some() && !why.contains(", at"), "{why}");
    }
}
