//! How the hosts of registries are spoken to.

use super::Located;
use crate::source::{Span, Spanned};

/// `registry HOST { … }`: the settings of one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Host with its port, in small letters; Docker Hub is `docker.io`.
    pub name: Spanned<String>,
    /// Registries that are asked first for what this one has, in order.
    pub mirrors: Vec<Mirror>,
    /// The `plain-http` node, where it is asked without TLS.
    pub plain_http: Option<Span>,
    /// File of the authorities that may have signed its certificate, beside those of the machine.
    pub ca: Option<Spanned<Located>>,
    /// Files of the certificate that is shown to it, and of its key.
    pub client: Option<Spanned<(Located, Located)>>,
    /// Requests at once.
    pub requests: Option<u32>,
    /// Requests of one run.
    pub max_requests: Option<u32>,
}

/// `mirror ADDRESS`: a registry that holds copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Where the address stands.
    pub span: Span,
    /// Host with its port, in small letters.
    pub host: String,
    /// What stands before the path of each repository.
    pub path: Option<String>,
    /// Whether the address says to ask it with TLS; none where it does not say.
    pub tls: Option<bool>,
}
