//! Secrets of a build.

use std::sync::Arc;

use super::Located;
use crate::source::{Span, Spanned};

/// `secret ID …`: what a RUN --mount=type=secret may read. Its value is in no key, layer or log.
#[derive(Clone, Debug, PartialEq)]
pub struct Secret {
    /// Id that the mount names, unique in its image.
    pub id: Spanned<Arc<str>>,
    /// The whole node.
    pub span: Span,
    /// What holds the value.
    pub source: SecretSource,
}

/// What holds the value of a secret.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretSource {
    /// A variable of the environment of mabuild.
    Env(Spanned<String>),
    /// A file.
    File(Located),
}
