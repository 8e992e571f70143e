//! What can go wrong between a registry and a layout.

use std::time::Duration;

use crate::wire::{GivenUp, Tries};

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The registry has no such repository, tag or blob.
    NotFound,
    /// The registry wants another login, or none will do.
    Denied,
    /// The registry wants fewer requests, for longer than was waited.
    TooMany,
    /// The requests that the registry, or the caller's own budget, allows are used up.
    Limit,
    /// The registry does not answer, or only with faults of its own.
    Unreachable,
    /// The network may not be used.
    Offline,
    /// What the registry serves is not what it should be.
    Broken,
    /// The registry does not take what is written.
    Refused,
    /// The image is whole, and not what was asked for.
    Unfit,
    /// This machine is to blame: its disk, its certificates, the address.
    Local,
}

/// Why an image could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// Which image, which registry, what it said, and what to do. Never a secret.
    pub message: String,
}

impl Error {
    /// Whether the registry is to blame, or the way to it, and not what was asked for.
    pub fn blames_registry(&self) -> bool {
        use ErrorKind::{Broken, Limit, Offline, TooMany, Unreachable};
        matches!(self.kind, Broken | Limit | Offline | TooMany | Unreachable)
    }
}

/// A failure that does not say yet which image it is about.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub kind: ErrorKind,
    pub why: String,
}

impl Fault {
    pub fn new(kind: ErrorKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }

    pub fn broken(why: impl Into<String>) -> Self {
        Self::new(ErrorKind::Broken, why)
    }

    /// What the layout could not do.
    pub fn local(why: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::Local, why.to_string())
    }

    /// Says which image it is about.
    pub fn of(self, reference: &crate::Reference) -> Error {
        self.named("read", reference)
    }

    /// Says which image could not be written.
    pub fn of_writing(self, reference: &crate::Reference) -> Error {
        self.named("write", reference)
    }

    /// Says which image could not be deleted.
    pub fn of_deleting(self, reference: &crate::Reference) -> Error {
        self.named("delete", reference)
    }

    fn named(self, verb: &str, reference: &crate::Reference) -> Error {
        Error { kind: self.kind, message: format!("cannot {verb} {reference}: {}", self.why) }
    }
}

/// What went wrong with one try.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Trying again would change nothing.
    Fatal(Fault),
    /// May go away.
    Again {
        /// What happened.
        fault: Fault,
        /// How long the registry wants to be left alone.
        wait: Option<Duration>,
    },
}

impl Trouble {
    /// Something on the way that may go away.
    pub fn again(why: impl Into<String>) -> Self {
        Self::Again { fault: Fault::new(ErrorKind::Unreachable, why), wait: None }
    }

    /// Waits for the next try, or gives up.
    pub async fn retry(self, tries: &mut Tries<'_>) -> Result<(), Fault> {
        let (fault, wait) = match self {
            Self::Fatal(fault) => return Err(fault),
            Self::Again { fault, wait } => (fault, wait),
        };
        tries.again(wait).await.map_err(|GivenUp(times)| {
            let help = match fault.kind {
                ErrorKind::Unreachable => "; check the network and the proxy settings",
                _ => "",
            };
            Fault::new(fault.kind, format!("{} (tried {times} times){help}", fault.why))
        })
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fatal(fault)
    }
}

/// Most characters of a server's text that are shown.
const SHOWN: usize = 300;

/// A text of a server without what a terminal would obey, and not longer than a person reads.
pub(crate) fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut out: String = plain.take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out.trim().to_owned()
}
