//! What repositories have: asked once, and remembered.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mabuild_oci::Digest;
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderValue};

use crate::Reference;
use crate::client::Inner;
use crate::error::{ErrorKind, Fault};
use crate::manifest::ACCEPTED;
use crate::once::Locks;
use crate::scope::Scope;

/// Contents that are remembered at most.
const REMEMBERED: usize = 200_000;

/// Kinds of contents, as addresses name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Blob,
    Manifest,
}

impl Kind {
    /// What stands before the digest in the address.
    fn path(self) -> &'static str {
        match self {
            Self::Blob => "blobs",
            Self::Manifest => "manifests",
        }
    }
}

/// A content of a repository.
type Name = (String, Kind, Digest);

/// What is known of repositories.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    known: Mutex<HashMap<Name, bool>>,
    /// Who asks for what.
    asking: Locks<Name>,
    /// Who brings which blob to which repository.
    pub placing: Locks<(String, Digest)>,
}

impl Holdings {
    /// Remembers that a repository has something now.
    pub fn add(&self, repository: &Reference, kind: Kind, digest: Digest) {
        self.note((repository.place(), kind, digest), true);
    }

    /// Forgets what is known of a repository.
    pub fn forget(&self, repository: &Reference) {
        let place = repository.place();
        self.lock().retain(|(known, ..), _| *known != place);
    }

    /// Whether a repository has something, as far as it is known.
    pub fn known(&self, repository: &Reference, kind: Kind, digest: Digest) -> Option<bool> {
        self.lock().get(&(repository.place(), kind, digest)).copied()
    }

    fn note(&self, name: Name, is_there: bool) {
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(name, is_there);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, bool>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether a repository has a content. Asked once, whoever wants to know.
    pub async fn has(
        &self,
        repository: &Reference,
        scope: &Scope,
        kind: Kind,
        digest: Digest,
    ) -> Result<bool, Fault> {
        let holdings = &self.holdings;
        let name = (repository.place(), kind, digest);
        let lock = holdings.asking.of(name.clone());
        let _guard = lock.lock().await;
        if let Some(known) = holdings.known(repository, kind, digest) {
            return Ok(known);
        }
        let mut ask = self.ask(Method::HEAD, repository, kind.path(), &digest.to_string())?;
        ask.scope = scope.clone();
        if kind == Kind::Manifest {
            ask.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        }
        let is_there = match self.answer(&ask, 0).await {
            Ok(_) => true,
            Err(fault) if fault.kind == ErrorKind::NotFound => false,
            Err(fault) => return Err(fault),
        };
        holdings.note(name, is_there);
        Ok(is_there)
    }
}
