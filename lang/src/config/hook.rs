//! What is called after a run.

use crate::source::{Span, Spanned};

/// `on EVENT { webhook ADDRESS }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// What has to happen.
    pub event: Event,
    /// The whole node.
    pub span: Span,
    /// http(s) addresses that are sent the report, at least one.
    pub webhooks: Vec<Spanned<String>>,
}

/// What can happen in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `rebuilt`: an image was rebuilt.
    Rebuilt,
    /// `failed`: a build or a test failed.
    Failed,
    /// `published`: an image was pushed.
    Published,
}
