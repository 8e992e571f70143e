//! What is told when trying again did not help.

use mabuild_registry::wire::{GivenUp, Tries};
use reqwest::Url;

use super::error::{FetchError, Trouble, mask};

impl Trouble {
    /// Waits for the next try, or gives up.
    pub async fn retry(self, url: &Url, tries: &mut Tries<'_>) -> Result<(), FetchError> {
        let (message, wait) = match self {
            Self::Fatal(e) => return Err(e),
            Self::Again { message, wait } => (message, wait),
        };
        tries.again(wait).await.map_err(|GivenUp(times)| {
            let message = format!(
                "cannot fetch {}: {message} (tried {times} times); check the network and proxy \
                 settings, or take another mirror",
                mask(url.as_str())
            );
            FetchError { message, blames_upstream: true, status: None, differs: false }
        })
    }
}
