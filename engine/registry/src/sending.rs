//! How far blobs are on their way to a registry, for whoever shows it.

use std::sync::{Arc, Mutex, PoisonError};

use mabuild_oci::{Descriptor, Digest};

use crate::Reference;
use crate::options::OnSending;

/// Bytes between two words about a blob.
const STEP: u64 = 256 << 10;

/// How far a blob is on its way to a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending<'a> {
    /// The repository, `HOST/PATH`.
    pub to: &'a str,
    /// The blob.
    pub blob: Digest,
    /// Bytes that the connection took; fewer than before where some have to be sent again.
    pub done: u64,
    /// Bytes in all.
    pub all: u64,
    /// Whether nothing more comes: the registry has the blob, or it was given up and nothing is
    /// done.
    pub is_over: bool,
}

/// A blob on its way. Its end is told when it is dropped, also where nobody waits for it any more.
pub(crate) struct Voyage(Option<Arc<Log>>);

/// What was told of a blob.
pub(crate) struct Log {
    listener: Arc<OnSending>,
    to: String,
    blob: Digest,
    size: u64,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    done: u64,
    is_over: bool,
}

/// A part of a blob, from some byte on, that is being sent.
#[derive(Clone)]
pub(crate) struct Leg {
    log: Arc<Log>,
    start: u64,
}

impl Voyage {
    /// Tells of a blob that is to be sent.
    pub fn begin(listener: Option<&Arc<OnSending>>, to: &Reference, blob: &Descriptor) -> Self {
        let log = listener.map(|listener| {
            let (to, told) = (to.place(), Mutex::default());
            let (blob, size) = (blob.digest, blob.size);
            Arc::new(Log { listener: listener.clone(), to, blob, size, told })
        });
        let voyage = Self(log);
        if let Some(log) = &voyage.0 {
            log.tell(0, false);
        }
        voyage
    }

    /// A part of the blob; none where nobody listens.
    pub fn leg(&self, start: u64) -> Option<Leg> {
        self.0.clone().map(|log| Leg { log, start })
    }

    /// Tells that the registry has the blob.
    pub fn arrived(self) {
        if let Some(log) = &self.0 {
            log.end(log.size);
        }
    }
}

impl Drop for Voyage {
    fn drop(&mut self) {
        if let Some(log) = &self.0 {
            log.end(0);
        }
    }
}

impl Leg {
    /// Tells that the connection took so many bytes of the part.
    pub fn sent(&self, bytes: u64) {
        self.log.at(self.start.saturating_add(bytes));
    }
}

impl Log {
    fn at(&self, done: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that was given up may still take some.
        if told.is_over || done < self.size && done.abs_diff(told.done) < STEP {
            return;
        }
        told.done = done;
        self.tell(done, false);
    }

    fn end(&self, done: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut told.is_over, true) {
            self.tell(done, true);
        }
    }

    fn tell(&self, done: u64, is_over: bool) {
        let (to, blob, all) = (self.to.as_str(), self.blob, self.size);
        (self.listener)(&Sending { to, blob, done, all, is_over });
    }
}
