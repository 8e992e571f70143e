//! How much would be asked, before it is.

use std::collections::{BTreeMap, HashSet};

use crate::Reference;
use crate::address::is_hub;
use crate::client::Client;

/// What reading some references would take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// By host as references name it; hosts that would not be asked are left out.
    pub hosts: BTreeMap<String, HostForecast>,
}

/// What one host would be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostForecast {
    /// Questions for the digests of tags.
    pub heads: u64,
    /// Questions for manifests and indexes.
    pub gets: u64,
    /// How many of both count against the host's limit. Docker Hub counts manifests that are
    /// sent; of other registries it is not known, and all are taken to count.
    pub counted: u64,
}

impl HostForecast {
    /// Gives the requests in all.
    pub fn requests(&self) -> u64 {
        self.heads.saturating_add(self.gets)
    }
}

impl Client {
    /// Foretells what [`Client::resolve`] would ask for some references, each once, beyond what
    /// this run knows already. Asks nobody. Logins, tries after failures, manifests of single
    /// platforms and blobs are not in it.
    pub fn forecast(&self, references: &[Reference]) -> Forecast {
        let (tags, documents) = (&self.inner.tags, &self.inner.documents);
        let mut out = Forecast::default();
        let mut seen = HashSet::new();
        for reference in references {
            let known = match reference.digest {
                Some(digest) => Some(Ok(digest)),
                None => tags.known(&reference.key()),
            };
            let (is_head, document) = match known {
                None => (true, reference.key()),
                Some(Ok(digest)) => (false, reference.with_digest(digest).key()),
                // A failure is not asked for again.
                Some(Err(_)) => continue,
            };
            let is_get = is_head || documents.known(&document).is_none();
            if !(is_head || is_get) || !seen.insert(document) {
                continue;
            }
            let host = out.hosts.entry(reference.host.clone()).or_default();
            host.heads += u64::from(is_head);
            host.gets += u64::from(is_get);
            let is_counted = is_head && !is_hub(&reference.host);
            host.counted += u64::from(is_counted) + u64::from(is_get);
        }
        out
    }
}
