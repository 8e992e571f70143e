//! Images of registries that no `base` declares: each becomes a base of its own.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Base, BaseId, BaseSource, Config, NodeRef, RegistryBase, Settings, Text};
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

/// Gives each of these bases the platforms of all that stand on it.
pub(crate) fn platforms(config: &mut Config) {
    let mut users: HashMap<u32, Vec<Platform>> = HashMap::new();
    for image in &config.images {
        let copies = image.copies.iter().flatten();
        let stages = image.stages.iter().map(|needed| &needed.node);
        for node in image.from.iter().chain(copies).chain(stages) {
            if let NodeRef::Base(id) = node.value
                && config.bases.get(id.0 as usize).is_some_and(|base| base.implicit)
            {
                let known = users.entry(id.0).or_default();
                for platform in image.platforms.iter() {
                    if !known.contains(&platform.value) {
                        known.push(platform.value.clone());
                    }
                }
            }
        }
    }
    for (id, platforms) in users {
        if let Some(base) = config.bases.get_mut(id as usize) {
            let span = base.span;
            base.platforms = platforms.into_iter().map(|p| Spanned::new(p, span)).collect();
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
        settings: Settings::default(),
        tags: vec![Text::literal("latest", span)],
        arch_tags: None,
        publish: Vec::new(),
        tests: Vec::new(),
    }
}
