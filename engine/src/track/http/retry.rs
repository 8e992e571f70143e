//! When and how often to try again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Url;

use super::Inner;
use super::error::{FetchError, Trouble, mask};

/// Tries in all, however much progress each makes.
const MOST: u32 = 50;

/// Counts the tries of one request.
pub(super) struct Tries<'a> {
    client: &'a Inner,
    /// Since the last progress.
    failed: u32,
    all: u32,
}

impl<'a> Tries<'a> {
    pub fn new(client: &'a Inner) -> Self {
        Self { client, failed: 0, all: 0 }
    }

    /// The last try brought bytes that are kept.
    pub fn progress(&mut self) {
        self.failed = 0;
    }

    /// Waits for the next try, or gives up.
    pub async fn again(&mut self, url: &Url, trouble: Trouble) -> Result<(), FetchError> {
        let (message, wait) = match trouble {
            Trouble::Fatal(e) => return Err(e),
            Trouble::Again { message, wait } => (message, wait),
        };
        self.failed += 1;
        self.all += 1;
        if self.failed >= self.client.options.attempts || self.all >= MOST {
            let message = format!(
                "cannot fetch {}: {message} (tried {} times); check the network and proxy \
                 settings, or take another mirror",
                mask(url.as_str()),
                self.all
            );
            return Err(FetchError { message, blames_upstream: true, status: None });
        }
        tokio::time::sleep(self.pause(wait)).await;
        Ok(())
    }

    fn pause(&self, wanted: Option<Duration>) -> Duration {
        let options = &self.client.options;
        if let Some(wanted) = wanted {
            return wanted.min(options.longest_pause);
        }
        let doubled = options.pause.saturating_mul(1 << self.failed.saturating_sub(1).min(16));
        // Between half and all of it, so that clients of one failed server do not return at once.
        let random = self.client.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let share = f64::from(u16::try_from(mix(random) >> 48).unwrap_or_default()) / 65_535.0;
        doubled.min(options.longest_pause).mul_f64(0.5 + share / 2.0)
    }
}

/// The output function of the splitmix64 generator.
fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
