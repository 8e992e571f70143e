//! Small things that everything speaking HTTP needs: tries and the pauses between them, waits that
//! servers ask for, causes.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// Pauses between tries: each twice as long as the one before, up to a longest one.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    random: AtomicU64,
}

impl Backoff {
    /// Makes pauses; `seed` is where their randomness starts.
    pub fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, random: AtomicU64::new(seed) }
    }

    /// Gives the pause after a number of failures in a row, or the one that the server wants,
    /// where that is not longer than the longest.
    pub fn pause(&self, failed: u32, wanted: Option<Duration>) -> Duration {
        if let Some(wanted) = wanted {
            return wanted.min(self.longest);
        }
        let doubled = self.first.saturating_mul(1 << failed.saturating_sub(1).min(16));
        // Between half and all of it, so that clients of one failed server do not return at once.
        let random = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let share = f64::from(u16::try_from(mix(random) >> 48).unwrap_or_default()) / 65_535.0;
        doubled.min(self.longest).mul_f64(0.5 + share / 2.0)
    }

    /// Gives the longest pause.
    pub fn longest(&self) -> Duration {
        self.longest
    }
}

/// Tries in all, however much progress each makes.
const MOST: u32 = 50;

/// Counts the tries of one request and waits between them.
#[derive(Debug)]
pub struct Tries<'a> {
    backoff: &'a Backoff,
    /// Tries without progress.
    attempts: u32,
    /// Since the last progress.
    failed: u32,
    all: u32,
}

/// There was the last try; holds how many there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp(pub u32);

impl<'a> Tries<'a> {
    /// Makes the count of a request that is given up after a number of tries without progress.
    pub fn new(backoff: &'a Backoff, attempts: u32) -> Self {
        Self { backoff, attempts, failed: 0, all: 0 }
    }

    /// Notes that the last try brought bytes that are kept.
    pub fn progress(&mut self) {
        self.failed = 0;
    }

    /// Waits for the next try, as long as the server wants where it says so. Fails when there
    /// were enough.
    pub async fn again(&mut self, wanted: Option<Duration>) -> Result<(), GivenUp> {
        self.failed += 1;
        self.all += 1;
        if self.failed >= self.attempts || self.all >= MOST {
            return Err(GivenUp(self.all));
        }
        tokio::time::sleep(self.backoff.pause(self.failed, wanted)).await;
        Ok(())
    }
}

/// The output function of the splitmix64 generator.
fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Gives the wait that an answer asks for: seconds, or a date, which is taken against the
/// server's own clock.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let wanted = text(headers, RETRY_AFTER)?.trim();
    if let Ok(seconds) = wanted.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let seconds = date(wanted)?.as_second() - sent_at(headers)?.as_second();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

/// Gives the time at which a server sent an answer, by its own clock.
pub(crate) fn sent_at(headers: &HeaderMap) -> Option<Timestamp> {
    date(text(headers, DATE)?)
}

fn date(text: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}

/// Gives a header that is text.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Gives the innermost causes of an error, without its address.
pub fn cause(e: &reqwest::Error) -> String {
    let mut chain = Vec::new();
    let mut next: Option<&dyn Error> = e.source();
    while let Some(error) = next {
        chain.push(error.to_string());
        next = error.source();
    }
    // The outer layers only say that sending or reading failed.
    let inner = chain.len().saturating_sub(2);
    match chain.get(inner..) {
        Some(inner) if !inner.is_empty() => {
            let mut inner = inner.to_vec();
            inner.dedup();
            inner.join(": ")
        }
        _ if e.is_timeout() => "the connection timed out".to_owned(),
        _ => "the connection failed".to_owned(),
    }
}
