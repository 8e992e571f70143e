//! What can go wrong between the program and its helper.

use std::time::Duration;

/// Why a [`call`](crate::call()) has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The caller cancelled the call; everything in it is dead.
    #[error("cancelled")]
    Cancelled,
    /// The deadline of the call passed; everything in it is dead.
    #[error("stopped after its time limit of {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The helper was killed from outside by this signal.
    #[error(
        "the sandbox helper was killed by signal {0}; look for the out-of-memory killer in the kernel log"
    )]
    Killed(i32),
    /// The sandbox could not be set up on this machine.
    #[error("cannot set up the sandbox: {reason}; {advice}")]
    Setup {
        /// What failed, in words.
        reason: String,
        /// What a person can do about it.
        advice: String,
    },
    /// The handler itself failed, with its own message.
    #[error("{0}")]
    Handler(String),
}

impl CallError {
    /// Builds a [`CallError::Setup`].
    pub(crate) fn setup(reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Setup { reason: reason.into(), advice: advice.into() }
    }
}
