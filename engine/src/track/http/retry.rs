//! When and how often to try again.

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
        tokio::time::sleep(self.client.backoff.pause(self.failed, wait)).await;
        Ok(())
    }
}
