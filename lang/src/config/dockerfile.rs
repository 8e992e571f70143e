//! Images built from a Dockerfile.

use std::sync::Arc;

use super::{Located, Text};
use crate::source::{Span, Spanned};

/// `dockerfile PATH`
#[derive(Clone, Debug, PartialEq)]
pub struct Dockerfile {
    /// The whole node.
    pub span: Span,
    /// The Dockerfile.
    pub path: Located,
}

/// `named-context NAME SOURCE`: what a Dockerfile may name in FROM and COPY --from.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedContext {
    /// Name, unique in its image.
    pub name: Spanned<Arc<str>>,
    /// The whole node.
    pub span: Span,
    /// What the name stands for.
    pub source: ContextSource,
}

/// What a named context stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum ContextSource {
    /// A folder.
    Folder(Located),
    /// `node:NAME`: a base or an image, by the name alone.
    Node(Text),
    /// `docker-image://REFERENCE`: an image of a registry, by the reference alone.
    Image(Text),
}

/// `mode`: how platforms that are not the machine's own are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// `auto`: by what is there.
    #[default]
    Auto,
    /// `emulate`: under an emulator.
    Emulate,
    /// `cross`: nothing foreign runs.
    Cross,
    /// `native`: on a worker of the platform.
    Native,
}
