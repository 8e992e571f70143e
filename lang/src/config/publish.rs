//! How bases and images are published, beside their repositories and tags.

use std::time::Duration;

use super::Text;
use crate::platform::Platform;
use crate::source::{Span, Spanned};

/// How a node is published: what is none or missing is as it is where nothing is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Publishing {
    /// `format`: OCI when it is not named.
    pub format: Option<Spanned<Format>>,
    /// `require`: all platforms when it is not named.
    pub require: Option<Require>,
    /// `late carry`: for how long a platform that fails keeps its previous manifest.
    pub carry: Option<Spanned<Duration>>,
    /// Annotations of the index, each name once.
    pub annotations: Vec<(Spanned<String>, Text)>,
}

/// The form of manifests and of what holds several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `oci`: manifests and indexes of the OCI image specification.
    Oci,
    /// `docker`: Docker's manifests, version 2, schema 2, and manifest lists.
    Docker,
}

/// `require PLATFORM…` or `require "all"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Require {
    /// The whole node.
    pub span: Span,
    /// What must be there before a tag moves, each platform once; none for all of them.
    pub platforms: Option<Vec<Spanned<Platform>>>,
}

impl Publishing {
    /// Puts what an inner place says over this: it counts, and annotations are joined by name.
    pub fn overlay(&mut self, inner: Self) {
        let Self { format, require, carry, annotations } = inner;
        self.format = format.or(self.format.take());
        self.require = require.or(self.require.take());
        self.carry = carry.or(self.carry.take());
        super::settings::put(&mut self.annotations, annotations, |name| name.value.clone());
    }
}
