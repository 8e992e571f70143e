//! Names of bases, images and groups to what they name.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{BaseId, ImageId, NodeRef};
use crate::decode::check::shown;
use crate::diag::Diagnostic;
use crate::source::{Span, Spanned};
use crate::suggest::did_you_mean;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Node(NodeRef),
    /// An image with a matrix, by its index among all images of the files.
    Family(usize),
    /// Index of a group.
    Group(usize),
    /// A node that could not be read and was reported.
    Broken,
}

/// All names of a description.
#[derive(Debug, Default)]
pub(crate) struct Names {
    targets: HashMap<Arc<str>, (Target, Option<Span>)>,
    /// Names that suggestions may still look at: each looks at all.
    looks: Cell<usize>,
}

/// Names that all suggestions together look at.
const MAX_LOOKS: usize = 200_000;

impl Names {
    pub fn new() -> Self {
        Self { targets: HashMap::new(), looks: Cell::new(MAX_LOOKS) }
    }

    /// Adds a name, or reports that it is taken.
    pub fn add(&mut self, name: &Spanned<Arc<str>>, target: Target, out: &mut Vec<Diagnostic>) {
        if let Some((_, first)) = self.targets.get(&name.value) {
            let mut diagnostic = Diagnostic::error(
                "mabuild::lang::duplicate",
                name.span,
                format!("the name `{}` is taken", shown(&name.value)),
                "again here",
            )
            .help("bases, images and groups share one set of names; choose another");
            if let Some(first) = first {
                diagnostic = diagnostic.and(*first, "first here");
            }
            out.push(diagnostic);
            return;
        }
        self.targets.insert(name.value.clone(), (target, Some(name.span)));
    }

    /// Notes the name of a node that could not be read.
    pub fn add_broken(&mut self, name: Arc<str>) {
        self.targets.entry(name).or_insert((Target::Broken, None));
    }

    pub fn get(&self, name: &str) -> Option<Target> {
        self.targets.get(name).map(|(target, _)| *target)
    }

    pub fn place(&self, name: &str) -> Option<Span> {
        self.targets.get(name).and_then(|(_, span)| *span)
    }

    /// The base or image of a name. None where there is none, which is reported.
    pub fn node(
        &self,
        name: &Spanned<Arc<str>>,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Spanned<NodeRef>> {
        match self.get(&name.value) {
            Some(Target::Node(node)) => Some(Spanned::new(node, name.span)),
            Some(Target::Broken | Target::Family(_)) => None,
            Some(Target::Group(_)) => {
                let mut diagnostic = Diagnostic::error(
                    "mabuild::lang::reference",
                    name.span,
                    format!("`{}` is a group", name.value),
                    "a base or an image is needed here",
                )
                .help("name one node of the group");
                if let Some(place) = self.place(&name.value) {
                    diagnostic = diagnostic.and(place, "the group");
                }
                out.push(diagnostic);
                None
            }
            None => {
                out.push(
                    self.unknown(name, |target| {
                        matches!(target, Target::Node(_) | Target::Family(_))
                    }),
                );
                None
            }
        }
    }

    /// The error for a name that nothing has.
    pub fn unknown(&self, name: &Spanned<Arc<str>>, fits: impl Fn(Target) -> bool) -> Diagnostic {
        let near = self.near(&name.value, fits);
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare it as a `base` or an `image`, `include` the file that does, or write an image of a registry in full: `docker.io/library/debian:12`".to_owned(),
        };
        Diagnostic::error(
            "mabuild::lang::reference",
            name.span,
            format!("nothing is named `{}`", shown(&name.value)),
            "not a known name",
        )
        .help(help)
    }

    fn near(&self, name: &str, fits: impl Fn(Target) -> bool) -> Option<&str> {
        let looks = self.looks.get();
        if looks == 0 {
            return None;
        }
        self.looks.set(looks.saturating_sub(self.targets.len().max(1)));
        let mut known: Vec<&str> = self
            .targets
            .iter()
            .filter(|(_, (target, _))| fits(*target))
            .map(|(name, _)| name.as_ref())
            .collect();
        known.sort_unstable();
        did_you_mean(name, known)
    }
}

/// Node of a base by its index.
pub(crate) fn base(at: usize) -> Target {
    Target::Node(NodeRef::Base(BaseId(at as u32)))
}

/// Node of an image by its index.
pub(crate) fn image(at: u32) -> Target {
    Target::Node(NodeRef::Image(ImageId(at)))
}
