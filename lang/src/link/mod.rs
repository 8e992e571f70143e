//! Parts to a [`Config`]: variants, names to nodes, defaults, platforms, rings, tags.

mod builds;
mod declared;
mod groups;
mod hosts;
mod images;
mod names;
mod needs;
mod outside;
mod platforms;
mod publish;
mod publishing;
mod recipes;
mod resolve;
mod rings;
mod said;
mod variants;
pub(crate) mod walk;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{BaseId, BaseSource, Builder, Config, NodeRef};
use crate::decode::{BaseDraft, GroupDraft, ImageDraft, Part};
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
use said::Said;
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
        hosts: HashMap::new(),
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
    publishing::check(&linker.config, linker.out);
    hosts::check(&linker.config, linker.out);
    linker.config
}

struct Linker<'a> {
    names: Names,
    bases: Vec<(BaseDraft, usize)>,
    families: Vec<Family>,
    groups: Vec<GroupDraft>,
    /// Names of builders with their places.
    builders: HashMap<Arc<str>, Span>,
    /// Hosts that have settings, with their places.
    hosts: HashMap<String, Span>,
    /// The `strict-bases` of a file.
    strict: Option<Span>,
    /// Default platforms of each file.
    defaults: Vec<Option<List>>,
    config: Config,
    out: &'a mut Vec<Diagnostic>,
}

impl Linker<'_> {
    fn collect(&mut self, files: Vec<FileParts>) {
        let mut above: Vec<Said> = Vec::with_capacity(files.len());
        for (file, FileParts { parent, parts }) in files.into_iter().enumerate() {
            let mut own = Said::default();
            for part in parts {
                self.part(part, file, &mut own);
            }
            own.inherit(parent.and_then(|at| above.get(at)));
            self.defaults.push(own.platforms.clone());
            above.push(own);
        }
        for (draft, file) in &mut self.bases {
            if let Some(said) = above.get(*file) {
                said.put_under(&mut draft.base.publishing);
            }
        }
        for family in &mut self.families {
            // Nobody else holds it yet.
            if let (Some(body), Some(said)) =
                (Arc::get_mut(&mut family.body), above.get(family.file))
            {
                said.put_under(&mut body.publishing);
            }
        }
    }

    fn part(&mut self, part: Part, file: usize, own: &mut Said) {
        match part {
            Part::Base(draft) => {
                let target = names::base(self.bases.len());
                self.names.add(&draft.base.name, target, self.out);
                self.bases.push((*draft, file));
            }
            Part::Image(draft) => self.image(*draft, file),
            Part::Group(draft) => {
                let target = Target::Group(self.groups.len());
                self.names.add(&draft.name, target, self.out);
                self.groups.push(draft);
            }
            Part::Builder(builder) => self.builder(builder),
            Part::Hook(hook) => self.config.hooks.push(hook),
            Part::Host(host) => {
                hosts::add(*host, &mut self.config.hosts, &mut self.hosts, self.out)
            }
            Part::Platforms(span, list) => {
                if own.is_first("platforms", span, self.out) && !list.is_empty() {
                    own.platforms = Some(list.into());
                }
            }
            // The main file comes first, and counts for those that it includes.
            Part::Registry(span, found) => {
                if own.is_first("registry", span, self.out) {
                    self.config.registry.get_or_insert(found);
                }
            }
            Part::RemoteCache(span, found) => {
                if own.is_first("remote-cache", span, self.out) {
                    self.config.remote_cache.get_or_insert(found);
                }
            }
            Part::Publishing(span, said) => own.publishing(span, *said, self.out),
            Part::StrictBases(span) => {
                self.strict.get_or_insert(span);
            }
            Part::Broken(name) => self.names.add_broken(name),
            Part::Other => {}
        }
    }

    fn image(&mut self, draft: ImageDraft, file: usize) {
        let first = self.families.last().map_or(0, |last| last.first + last.variants.len() as u32);
        let family = Family::of(draft, file, first, self.out);
        let target = match family.is_plain() {
            true => names::image(family.first),
            // Without a variant it was reported, and its users are not.
            false if family.variants.is_empty() => Target::Broken,
            false => Target::Family(self.families.len()),
        };
        self.names.add(&family.body.name, target, self.out);
        self.families.push(family);
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
