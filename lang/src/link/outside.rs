//! Images of registries that no `base` declares: each becomes a base of its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::config::{
    Base, BaseId, BaseSource, Build, Config, Moves, NodeRef, Publishing, RegistryBase, Settings,
    Text,
};
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::reference;
use crate::source::{Span, Spanned};

/// The images of registries that are named, in the order in which they are met.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    known: HashMap<String, usize>,
    found: Vec<(String, Span)>,
    /// Number of bases that are declared.
    declared: usize,
}

impl Outside {
    pub fn new(declared: usize) -> Self {
        Self { declared, ..Self::default() }
    }

    /// The base of a reference, in the form that Docker completes it to.
    pub fn base(&mut self, text: &str, span: Span) -> NodeRef {
        let name = reference::normal(text);
        let at = *self.known.entry(name.clone()).or_insert_with(|| {
            self.found.push((name, span));
            self.found.len() - 1
        });
        NodeRef::Base(BaseId((self.declared + at) as u32))
    }

    /// Adds the bases to those that are declared; with `strict` each is an error.
    pub fn declare(&self, strict: Option<Span>, config: &mut Config, out: &mut Vec<Diagnostic>) {
        for (name, span) in &self.found {
            if let Some(strict) = strict {
                out.push(
                    Diagnostic::error(
                        "mabuild::lang::strict-bases",
                        *span,
                        format!("no `base` declares `{name}`"),
                        "an image of a registry",
                    )
                    .and(strict, "bases must be declared")
                    .help(format!("write `base \"NAME\" {{ registry \"{name}\" }}` and name that")),
                );
            }
            config.bases.push(base(name, *span));
        }
    }
}

/// Gives each of these bases the platforms that are asked of it.
pub(crate) fn platforms(config: &mut Config) {
    let mut users = Users { bases: &config.bases, platforms: HashMap::new() };
    // Variants that are built alike ask for the same.
    let mut met: HashSet<(*const Arc<Build>, Option<NodeRef>)> = HashSet::new();
    for image in &config.images {
        for node in image.copies.iter().flatten() {
            users.add(node.value, image.platforms.iter().map(|platform| &platform.value));
        }
        let from = image.from.as_ref().map(|from| from.value);
        if !image.builds.is_empty() && !met.insert((image.builds.as_ptr(), from)) {
            continue;
        }
        let named = || image.builds.iter().flat_map(|build| build.nodes());
        // Where the Dockerfile names what `from` does, it says for which platforms.
        if let Some(from) = from.filter(|from| named().all(|(node, _)| node != *from)) {
            users.add(from, image.platforms.iter().map(|platform| &platform.value));
        }
        for (node, place) in named() {
            users.add(node, [&place.platform]);
        }
    }
    for (id, platforms) in users.platforms {
        if let Some(base) = config.bases.get_mut(id as usize) {
            let span = base.span;
            base.platforms = platforms.into_iter().map(|p| Spanned::new(p, span)).collect();
        }
    }
}

/// The platforms that are asked of bases that no file declares.
struct Users<'c> {
    bases: &'c [Base],
    platforms: HashMap<u32, Vec<Platform>>,
}

impl Users<'_> {
    fn add<'p>(&mut self, node: NodeRef, platforms: impl IntoIterator<Item = &'p Platform>) {
        let NodeRef::Base(id) = node else { return };
        if !self.bases.get(id.0 as usize).is_some_and(|base| base.implicit) {
            return;
        }
        let known = self.platforms.entry(id.0).or_default();
        for platform in platforms {
            if !known.contains(platform) {
                known.push(platform.clone());
            }
        }
    }
}

fn base(name: &str, span: Span) -> Base {
    let source = RegistryBase { span, reference: Text::literal(name, span), follow: None };
    Base {
        name: Spanned::new(name.into(), span),
        span,
        folder: Arc::from(""),
        implicit: true,
        platforms: Arc::from([]),
        source: BaseSource::Registry(source),
        moves: Moves::default(),
        settings: Settings::default(),
        tags: vec![Text::literal("latest", span)],
        arch_tags: None,
        publish: Vec::new(),
        publishing: Publishing::default(),
        tests: Vec::new(),
    }
}
