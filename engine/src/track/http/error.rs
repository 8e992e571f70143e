//! What can go wrong with a request, and whether to try again.

use std::time::Duration;

use mabuild_registry::wire::retry_after;
use reqwest::{Response, StatusCode, Url};

use crate::facts::FactError;

/// Why something could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What failed, at which address, and what to do. Passwords in addresses are masked.
    pub message: String,
    /// Whether the server is to blame: out of reach, broken, or serving other bytes than it
    /// should; not so when the address is wrong.
    pub blames_upstream: bool,
    /// The status that the server refused with.
    pub status: Option<u16>,
    /// Whether something came, but of another size or digest than it should have.
    pub differs: bool,
}

impl From<FetchError> for FactError {
    fn from(e: FetchError) -> Self {
        Self { message: e.message, blames_upstream: e.blames_upstream }
    }
}

/// What went wrong with one try.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Trying again would change nothing.
    Fatal(FetchError),
    /// May go away.
    Again {
        /// What happened.
        message: String,
        /// How long the server wants to be left alone.
        wait: Option<Duration>,
    },
}

impl Trouble {
    pub fn again(message: impl Into<String>) -> Self {
        Self::Again { message: message.into(), wait: None }
    }

    /// An answer that asks for patience.
    pub fn status(response: &Response) -> Self {
        let message = format!("the server answers {}", response.status());
        Self::Again { message, wait: retry_after(response.headers()) }
    }

    /// An answer that will stay as it is.
    pub fn refused(url: &Url, status: StatusCode) -> Self {
        let help = match status.as_u16() {
            401 | 403 => "it needs a login, or the address is wrong",
            404 | 410 => {
                "there is nothing at this address: check its spelling, or whether it moved"
            }
            407 => "the proxy needs a login",
            _ => "check the address",
        };
        let message = format!("cannot fetch {}: {status}; {help}", mask(url.as_str()));
        let status = Some(status.as_u16());
        Self::Fatal(FetchError { message, blames_upstream: false, status, differs: false })
    }

    pub fn fatal(url: &Url, why: &str) -> Self {
        let message = format!("cannot fetch {}: {why}", mask(url.as_str()));
        Self::Fatal(FetchError { message, blames_upstream: false, status: None, differs: false })
    }

    pub fn out_of_reach(url: &Url, why: &str) -> Self {
        let message = format!("cannot fetch {}: {why}", mask(url.as_str()));
        Self::Fatal(FetchError { message, blames_upstream: true, status: None, differs: false })
    }

    /// A body of another size than it should have; to ask again would change nothing.
    pub fn sized(url: &Url, expected: u64, actual: &str) -> Self {
        let message = format!(
            "{} has {actual} bytes, but {expected} were expected: it was altered or exchanged; \
             take another mirror",
            mask(url.as_str())
        );
        Self::Fatal(FetchError { message, blames_upstream: true, status: None, differs: true })
    }
}

/// An address without name and password.
pub(crate) fn mask(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}{path}"),
        None => url.to_owned(),
    }
}
