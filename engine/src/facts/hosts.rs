//! How the hosts of registries are spoken to, and what they say that they allow.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of one host, as the file gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Host with its port, in small letters; Docker Hub is `docker.io`.
    pub host: String,
    /// Registries that are asked first for what this one has, `HOST[:PORT][/PATH]`, in order.
    pub mirrors: Vec<String>,
    /// Whether it is asked without TLS.
    pub plain_http: bool,
    /// File of the authorities that may have signed its certificate, beside those of the machine;
    /// absolute.
    pub ca: Option<PathBuf>,
    /// File of the certificate that is shown to it, absolute.
    pub cert: Option<PathBuf>,
    /// File of the key of that certificate, absolute.
    pub key: Option<PathBuf>,
    /// Requests at once; none for as many as suit the host.
    pub requests: Option<u32>,
    /// Requests of one run; none for as many as it takes.
    pub max_requests: Option<u64>,
}

/// What a registry says that it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLimit {
    /// Host as references name it.
    pub host: String,
    /// Requests, pulls on Docker Hub, in a window.
    pub limit: u64,
    /// How many of them are left.
    pub remaining: u64,
    /// How long the window is.
    pub window: Option<Duration>,
}
