//! The distribution protocol: how images are read out of registries.
//!
//! A [`Client`] resolves references, chooses the manifest of a platform, lists tags, and pulls
//! images into image layouts. Everything that arrives is bounded and checked against its digest. Connections
//! are made by the caller's HTTP client, so that proxies and certificates are set up in one place.
//! Format: OCI distribution specification 1.1.

mod address;
mod auth;
mod blob;
mod challenge;
mod choose;
mod client;
mod credentials;
mod error;
mod forecast;
mod limits;
mod manifest;
mod once;
mod options;
pub mod platform;
mod pull;
mod reference;
mod refusal;
mod tags;
pub mod versions;
pub mod wire;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use credentials::{Answer, CredentialHelper, Credentials};
pub use error::{Error, ErrorKind};
pub use forecast::{Forecast, HostForecast};
pub use limits::RateLimit;
pub use manifest::Resolved;
pub use options::{Connect, OnProgress, Options};
pub use reference::Reference;
