//! Workers that images are built on.

use std::sync::Arc;

use super::Located;
use crate::platform::Platform;
use crate::source::{Span, Spanned};

/// `builder NAME { buildkit { … } }`
#[derive(Clone, Debug, PartialEq)]
pub struct Builder {
    /// Name.
    pub name: Spanned<Arc<str>>,
    /// The whole node.
    pub span: Span,
    /// BuildKit workers in the order written, each name once. Two may have the same platform.
    pub workers: Vec<Worker>,
}

/// `node NAME ADDRESS …`: one BuildKit worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Name, unique in its builder.
    pub name: Spanned<Arc<str>>,
    /// The whole node.
    pub span: Span,
    /// `tcp://HOST:PORT`, `unix:///PATH`, `docker-container://NAME`, `kube-pod://NAME`,
    /// `podman-container://NAME` or `ssh://[USER@]HOST[:PORT]`.
    pub address: Spanned<String>,
    /// What it builds without an emulator, each once; empty where it has to be asked.
    pub platforms: Vec<Spanned<Platform>>,
    /// Builds that it does at a time.
    pub parallel: Option<u32>,
    /// Files for a connection that both sides prove themselves on; with `tcp://` alone.
    pub tls: Option<Tls>,
}

/// `tls ca=… cert=… key=…`: at least one of the files; `cert` and `key` come together.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// The whole node.
    pub span: Span,
    /// Certificate of the authority that signed the worker's.
    pub ca: Option<Located>,
    /// Certificate that is shown to the worker.
    pub cert: Option<Located>,
    /// Key of that certificate.
    pub key: Option<Located>,
}
