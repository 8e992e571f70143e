//! Images built from a Dockerfile.

use std::sync::Arc;

use super::{Located, NodeRef, Text};
use crate::platform::Platform;
use crate::source::{FileId, Span, Spanned};

/// `dockerfile PATH`
#[derive(Clone, Debug, PartialEq)]
pub struct Dockerfile {
    /// The whole node.
    pub span: Span,
    /// The Dockerfile.
    pub path: Located,
}

/// A Dockerfile that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The file among the sources; [`Place::span`] is a place in it.
    pub file: FileId,
    /// Its path as [`crate::Files`] reads it: below the root folder.
    pub path: Arc<str>,
    /// What it says.
    pub dockerfile: mabuild_dockerfile::Dockerfile,
}

/// How one platform of an image is built by its Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The Dockerfile.
    pub recipe: Arc<Recipe>,
    /// What the stages that count need from outside, by name and then by platform, each once:
    /// [`Build::place`] relies on that order.
    pub places: Vec<Place>,
}

/// Something from outside that a Dockerfile names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name, variables expanded.
    pub name: String,
    /// The platform of what is named: that of FROM's `--platform`, else the one that is built.
    pub platform: Platform,
    /// Whether a stage begins with it; otherwise files are copied or mounted out of it.
    pub is_from: bool,
    /// Where the name stands in the Dockerfile.
    pub span: Span,
    /// What the name means.
    pub what: Named,
}

/// What a name in a Dockerfile means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A base or an image.
    Node(NodeRef),
    /// A named context that is a folder, an index of [`super::Body::named_contexts`].
    Folder(usize),
}

impl Build {
    /// Puts together what a Dockerfile needs; a thing that stands in it several times counts once,
    /// and as the begin of a stage where one of them is.
    pub(crate) fn new(recipe: Arc<Recipe>, mut places: Vec<Place>) -> Self {
        places.sort_by(|a, b| a.key().cmp(&b.key()).then(b.is_from.cmp(&a.is_from)));
        places.dedup_by(|a, b| a.key() == b.key());
        Self { recipe, places }
    }

    /// Gives what a name means on the platform that it is named for.
    pub fn place(&self, name: &str, platform: &Platform) -> Option<&Place> {
        let at = self.places.binary_search_by(|place| place.key().cmp(&(name, platform))).ok()?;
        self.places.get(at)
    }

    /// Lists the bases and images that are named, with their places.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeRef, &Place)> {
        self.places.iter().filter_map(|place| match place.what {
            Named::Node(node) => Some((node, place)),
            Named::Folder(_) => None,
        })
    }
}

impl Place {
    fn key(&self) -> (&str, &Platform) {
        (&self.name, &self.platform)
    }
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
