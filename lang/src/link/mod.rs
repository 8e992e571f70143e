//! Parts to a [`Config`]: variants, names to nodes, defaults, platforms, rings, tags.

mod builds;
mod declared;
mod groups;
mod images;
mod names;
mod needs;
mod outside;
mod platforms;
mod publish;
mod recipes;
mod resolve;
mod rings;
mod variants;
pub(crate) mod walk;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{BaseId, BaseSource, Builder, Config, NodeRef};
use crate::decode::{BaseDraft, GroupDraft, Part};
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::reference;
use crate::source::{FileId, Span};
use images::{Images, Stand};
use names::{Names, Target};
use outside::Outside;
use platforms::{List, Platforms};
pub(crate) use recipes::Recipes;
use resolve::Resolver;
use variants::Family;

/// The decoded nodes of one file.
#[derive(Debug, Default)]
pub(crate) struct FileParts {
    /// The file that includes this one, by its index.
    pub parent: Option<usize>,
    pub parts: Vec<Part>,
}

/// Links all files. Files stand after those that include them.
pub(crate) fn link(
    files: Vec<FileParts>,
    build_platform: Platform,
    recipes: &mut Recipes<'_>,
    out: &mut Vec<Diagnostic>,
) -> Config {
    let mut linker = Linker {
        names: Names::new(),
        bases: Vec::new(),
        families: Vec::new(),
        groups: Vec::new(),
        builders: HashMap::new(),
        strict: None,
        defaults: Vec::new(),
        config: Config { build_platform, ..Config::default() },
        out,
    };
    linker.collect(files);
    let stands = linker.nodes(recipes);
    rings::cut(&mut linker.config, &stands, linker.out);
    needs::check(&linker.config, &linker.families, linker.out);
    outside::platforms(&mut linker.config);
    let groups = std::mem::take(&mut linker.groups);
    linker.config.groups = groups::link(groups, &linker.names, &linker.families, linker.out);
    publish::check(&linker.config, linker.out);
    linker.config
}

struct Linker<'a> {
    names: Names,
    bases: Vec<(BaseDraft, usize)>,
    families: Vec<Family>,
    groups: Vec<GroupDraft>,
    /// Names of builders with their places.
    builders: HashMap<Arc<str>, Span>,
    /// The `strict-bases` of a file.
    strict: Option<Span>,
    /// Default platforms of each file.
    defaults: Vec<Option<List>>,
    config: Config,
    out: &'a mut Vec<Diagnostic>,
}

impl Linker<'_> {
    fn collect(&mut self, files: Vec<FileParts>) {
        let mut images = 0;
        for (file, FileParts { parent, parts }) in files.into_iter().enumerate() {
            let mut default: Option<(Span, List)> = None;
            let mut registry: Option<Span> = None;
            for part in parts {
                match part {
                    Part::Base(draft) => {
                        let target = names::base(self.bases.len());
                        self.names.add(&draft.base.name, target, self.out);
                        self.bases.push((*draft, file));
                    }
                    Part::Image(draft) => {
                        let family = Family::of(*draft, file, images, self.out);
                        images += family.variants.len() as u32;
                        let target = match family.is_plain() {
                            true => names::image(family.first),
                            // Without a variant it was reported, and its users are not.
                            false if family.variants.is_empty() => Target::Broken,
                            false => Target::Family(self.families.len()),
                        };
                        self.names.add(&family.body.name, target, self.out);
                        self.families.push(family);
                    }
                    Part::Group(draft) => {
                        let target = Target::Group(self.groups.len());
                        self.names.add(&draft.name, target, self.out);
                        self.groups.push(draft);
                    }
                    Part::Platforms(span, list) => match &default {
                        Some((first, _)) => self.out.push(twice("platforms", span, *first)),
                        None => default = Some((span, list.into())),
                    },
                    Part::Builder(builder) => self.builder(builder),
                    Part::Hook(hook) => self.config.hooks.push(hook),
                    Part::Registry(span, found) => match registry {
                        Some(first) => self.out.push(twice("registry", span, first)),
                        None => {
                            registry = Some(span);
                            // The main file comes first, and counts for those that it includes.
                            self.config.registry.get_or_insert(found);
                        }
                    },
                    Part::StrictBases(span) => {
                        self.strict.get_or_insert(span);
                    }
                    Part::Broken(name) => self.names.add_broken(name),
                    Part::Other => {}
                }
            }
            let own = default.map(|(_, list)| list).filter(|list| !list.is_empty());
            let above = parent.and_then(|at| self.defaults.get(at).cloned().flatten());
            self.defaults.push(own.or(above));
        }
    }

    fn builder(&mut self, builder: Builder) {
        match self.builders.get(&builder.name.value) {
            Some(first) => self.out.push(
                Diagnostic::error(
                    "mabuild::lang::duplicate",
                    builder.name.span,
                    format!("there is a builder `{}` already", builder.name.value),
                    "again here",
                )
                .and(*first, "first here")
                .help("choose another name"),
            ),
            None => {
                self.builders.insert(builder.name.value.clone(), builder.name.span);
                self.config.builders.push(builder);
            }
        }
    }

    /// Makes the bases and the images, with what their references and Dockerfiles name.
    fn nodes(&mut self, recipes: &mut Recipes<'_>) -> Vec<Stand> {
        let published = self.published();
        let mut platforms = Platforms::default();
        let declared = self.bases.len();
        for (draft, file) in std::mem::take(&mut self.bases) {
            let default = self.defaults.get(file).and_then(Option::as_ref);
            let mut base = draft.base;
            base.platforms = platforms.base(base.name.span, &draft.platforms, default, self.out);
            platforms::check_uses(&draft.uses, &base.platforms, self.out);
            self.config.bases.push(base);
        }
        let mut outside = Outside::new(declared);
        let resolver =
            Resolver::new(&self.names, &self.families, published, &mut outside, self.out);
        let mut images = Images {
            families: &self.families,
            defaults: &self.defaults,
            config: &mut self.config,
            resolver,
            recipes,
        };
        images.references();
        let stands = images.stands();
        images.platforms(&mut platforms, &stands);
        images.builds();
        outside.declare(self.strict, &mut self.config, self.out);
        stands
    }

    /// Nodes by what they are published under; looked for where something can name it.
    fn published(&self) -> HashMap<String, NodeRef> {
        let registry = self.config.registry.as_ref().map(|registry| registry.value.as_str());
        let bases = self.bases.iter().enumerate();
        let bases = bases.map(|(at, (draft, _))| publish::of_base(at, &draft.base));
        let images = self.families.iter().filter(|family| !family.body.publish.is_empty());
        let images = images.flat_map(|family| {
            let variants = family.variants.iter().zip(family.first..);
            let body = &family.body;
            variants.map(|(values, at)| publish::of_image(at, body, &body.name.value, values))
        });
        let mut published = publish::index(bases.chain(images), registry);
        // An image of a registry that a base declares is that base.
        for (at, (draft, _)) in self.bases.iter().enumerate() {
            if let BaseSource::Registry(source) = &draft.base.source
                && source.follow.is_none()
                && let Some(name) = source.reference.constant()
            {
                let base = NodeRef::Base(BaseId(at as u32));
                published.entry(reference::normal(name)).or_insert(base);
            }
        }
        published
    }
}

/// The error for a node that may stand once in a file.
pub(crate) fn twice(word: &str, second: Span, first: Span) -> Diagnostic {
    Diagnostic::error(
        "mabuild::lang::duplicate",
        second,
        format!("`{word}` stands here twice"),
        "again here",
    )
    .and(first, "first here")
    .help("keep one of them")
}

/// A place at the start of a file.
pub(crate) fn start_of(file: FileId) -> Span {
    Span { file, start: 0, end: 0 }
}
