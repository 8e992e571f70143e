//! The distribution protocol: how images are read out of registries and written into them.
//!
//! A [`Client`] resolves references, chooses the manifest of a platform, lists tags, pulls images
//! into image layouts, pushes them out of layouts, and copies them. Everything that arrives is bounded and checked against its digest. Connections
//! are made by the caller's HTTP client, so that proxies and certificates are set up in one place.
//! Format: OCI distribution specification 1.1.

mod address;
mod auth;
mod blob;
mod body;
mod challenge;
mod choose;
mod client;
mod copy;
mod credentials;
mod error;
mod forecast;
mod holdings;
mod limits;
mod manifest;
mod mirror;
mod once;
mod options;
mod place;
pub mod platform;
mod pull;
mod push;
mod reference;
mod referrers;
mod refusal;
mod relay;
mod scope;
mod send;
mod sending;
mod tags;
mod upload;
pub mod versions;
pub mod wire;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use copy::Copied;
pub use credentials::{Answer, CredentialHelper, Credentials};
pub use error::{Error, ErrorKind};
pub use forecast::{Forecast, HostForecast};
pub use limits::RateLimit;
pub use manifest::Resolved;
pub use options::{Connect, HostLimits, OnProgress, OnSending, Options};
pub use push::Pushed;
pub use reference::Reference;
pub use sending::Sending;
