//! Mirrors: other hosts that have what a registry has, and are asked first where something is read.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::Reference;
use crate::client::Inner;
use crate::error::{ErrorKind, Fault};

/// Where something is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub reference: &'a Reference,
    /// Whether another place is asked next: it is not worth a second try then.
    pub is_mirror: bool,
}

impl<'a> From<&'a Reference> for At<'a> {
    fn from(reference: &'a Reference) -> Self {
        Self { reference, is_mirror: false }
    }
}

/// Where something can be read.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    reference: Reference,
    is_mirror: bool,
}

impl Place {
    /// The place for a while.
    pub fn at(&self) -> At<'_> {
        At { reference: &self.reference, is_mirror: self.is_mirror }
    }
}

/// Mirrors that did not answer; they are not asked again.
#[derive(Debug, Default)]
pub(crate) struct Silent(Mutex<HashSet<String>>);

impl Inner {
    /// Reads something at the mirrors of a registry, and where they fail or lack it, at itself.
    pub async fn anywhere<T, R>(
        &self,
        reference: &Reference,
        read: impl Fn(Place) -> R,
    ) -> Result<T, Fault>
    where
        R: Future<Output = Result<T, Fault>>,
    {
        for mirror in self.mirrors(reference) {
            match read(Place { reference: mirror.clone(), is_mirror: true }).await {
                Ok(found) => return Ok(found),
                // Another place to read would not help.
                Err(fault) if matches!(fault.kind, ErrorKind::Local | ErrorKind::Offline) => {
                    return Err(fault);
                }
                Err(fault) if fault.kind == ErrorKind::Unreachable => self.silence(mirror.host),
                Err(_) => {}
            }
        }
        read(Place { reference: reference.clone(), is_mirror: false }).await
    }

    /// The same content at the mirrors of its registry. What stands behind the host of a mirror
    /// comes before the path of the repository.
    fn mirrors(&self, reference: &Reference) -> Vec<Reference> {
        let Some(mirrors) = self.options.mirrors.get(&reference.host) else { return Vec::new() };
        let silent = self.silent.0.lock().unwrap_or_else(PoisonError::into_inner);
        let speaking = mirrors.iter().filter_map(|mirror| {
            let (host, prefix) = mirror.split_once('/').unwrap_or((mirror, ""));
            let path = format!("{}/{}", prefix.trim_matches('/'), reference.repository);
            let repository = path.trim_start_matches('/').to_owned();
            let mirrored = Reference { host: host.to_owned(), repository, ..reference.clone() };
            (!silent.contains(host)).then_some(mirrored)
        });
        speaking.collect()
    }

    fn silence(&self, host: String) {
        self.silent.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host);
    }
}
