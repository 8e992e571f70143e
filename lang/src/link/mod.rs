//! Parts to a [`Config`]: variants, names to nodes, defaults, platforms, rings, tags.

mod groups;
mod names;
mod outside;
mod platforms;
mod publish;
mod recipes;
mod resolve;
mod variants;
pub(crate) mod walk;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::config::{BaseId, BaseSource, Builder, Config, Image, Needed, NodeRef};
use crate::decode::{BaseDraft, GroupDraft, Part};
use crate::diag::Diagnostic;
use crate::reference;
use crate::source::{FileId, Span, Spanned};
use names::{Names, Target};
use outside::Outside;
use platforms::{List, Platforms, Wish, Wished};
pub(crate) use recipes::Recipes;
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
        config: Config::default(),
        out,
    };
    linker.collect(files);
    let outside = linker.references(recipes);
    let order = linker.rings();
    linker.platforms(&order, &outside);
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

    /// Makes the images, with what their references name.
    fn references(&mut self, recipes: &mut Recipes<'_>) -> Outside {
        let mut outside = Outside::new(self.bases.len());
        let published = self.published();
        let mut resolver =
            resolve::Resolver::new(&self.names, &self.families, published, &mut outside, self.out);
        let none: Arc<[Needed]> = Arc::from([]);
        for family in &self.families {
            let from = family.from.as_ref().filter(|from| from.text.constant() != Some("scratch"));
            let from = from.map(|from| resolver.prepare(from, family));
            let copies: Vec<_> =
                family.copies.iter().map(|copy| resolver.prepare(copy, family)).collect();
            let platforms = match &family.platforms {
                Wished::Own(list) => Some(list),
                Wished::Inherited | Wished::Except(_) => {
                    self.defaults.get(family.file).and_then(Option::as_ref)
                }
            };
            for values in &family.variants {
                let copies = copies.iter().map(|copy| resolver.node(copy, family, values));
                let copies = copies.collect();
                let from = from.as_ref().and_then(|from| resolver.node(from, family, values));
                let platforms = platforms.map_or(&[][..], |list| list);
                let stages = match family.body.dockerfile {
                    Some(_) => resolver.needed(recipes, family, values, platforms, from.as_ref()),
                    None => none.clone(),
                };
                self.config.images.push(Image {
                    name: family.variant_name(values),
                    body: family.body.clone(),
                    values: values.clone(),
                    platforms: Arc::from([]),
                    copies,
                    from,
                    stages,
                });
            }
        }
        outside
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
                && let Some(name) = source.reference.constant()
            {
                let base = NodeRef::Base(BaseId(at as u32));
                published.entry(reference::normal(name)).or_insert(base);
            }
        }
        published
    }

    /// Reports rings and cuts them; gives the images in an order with parents first.
    fn rings(&mut self) -> Vec<usize> {
        let image_of = |node: &Spanned<NodeRef>| match node.value {
            NodeRef::Image(id) => Some((id.0 as usize, node.span)),
            NodeRef::Base(_) => None,
        };
        let edges: Vec<Vec<(usize, Span)>> = self
            .config
            .images
            .iter()
            .map(|image| {
                let from = image.from.iter();
                let stages = image.stages.iter().map(|needed| &needed.node);
                from.chain(image.copies.iter().flatten())
                    .chain(stages)
                    .filter_map(image_of)
                    .collect()
            })
            .collect();
        let targets: Vec<Vec<usize>> =
            edges.iter().map(|edges| edges.iter().map(|(to, _)| *to).collect()).collect();
        let walked = walk::walk(&targets);
        let mut told = HashSet::new();
        for ring in &walked.rings {
            self.ring(ring, &edges, &mut told);
        }
        walked.order
    }

    fn ring(
        &mut self,
        ring: &[(usize, usize)],
        edges: &[Vec<(usize, Span)>],
        told: &mut HashSet<Vec<Span>>,
    ) {
        let name = |at: usize| self.config.images.get(at).map_or("", |image| image.name.as_ref());
        let places: Vec<(usize, usize, Span)> = ring
            .iter()
            .filter_map(|(node, edge)| {
                let (to, span) = edges.get(*node)?.get(*edge)?;
                Some((*node, *to, *span))
            })
            .collect();
        let Some((first, ..)) = places.first().copied() else { return };
        let mut shown: Vec<&str> = places.iter().take(20).map(|(node, ..)| name(*node)).collect();
        shown.push(if places.len() > 20 { "…" } else { name(first) });
        let labels = places
            .iter()
            .take(20)
            .map(|(node, to, span)| (*span, format!("`{}` needs `{}`", name(*node), name(*to))))
            .collect();
        let message = match places.len() {
            1 => format!("`{}` is built from itself", name(first)),
            count => format!("{count} images need each other in a ring: {}", shown.join(" → ")),
        };
        // The variants of one image make the same ring many times.
        let mut spans: Vec<Span> = places.iter().map(|(.., span)| *span).collect();
        spans.sort_unstable_by_key(|span| (span.file, span.start, span.end));
        if told.insert(spans) {
            let diagnostic = Diagnostic::nowhere("mabuild::lang::cycle", message);
            self.out.push(Diagnostic { labels, ..diagnostic }.help(
                "an image can only be built from images that are there before it; cut one of these",
            ));
        }
        let Some((node, _, span)) = places.last().copied() else { return };
        if let Some(image) = self.config.images.get_mut(node) {
            let is_cut = |known: &Spanned<NodeRef>| known.span == span;
            image.from = image.from.take().filter(|from| !is_cut(from));
            if image.stages.iter().any(|needed| is_cut(&needed.node)) {
                let stages = image.stages.iter().filter(|needed| !is_cut(&needed.node));
                image.stages = stages.cloned().collect();
            }
            if image.copies.iter().flatten().any(is_cut) {
                image.copies =
                    image.copies.iter().map(|copy| copy.clone().filter(|c| !is_cut(c))).collect();
            }
        }
    }

    fn platforms(&mut self, order: &[usize], outside: &Outside) {
        let mut platforms = Platforms::default();
        for (draft, file) in std::mem::take(&mut self.bases) {
            let default = self.defaults.get(file).and_then(Option::as_ref);
            let mut base = draft.base;
            base.platforms = platforms.base(base.name.span, &draft.platforms, default, self.out);
            platforms::check_uses(&draft.uses, &base.platforms, self.out);
            self.config.bases.push(base);
        }
        outside.declare(self.strict, &mut self.config, self.out);
        let mut family_of = Vec::with_capacity(self.config.images.len());
        for (at, family) in self.families.iter().enumerate() {
            family_of.extend(std::iter::repeat_n(at, family.variants.len()));
        }
        // What was checked of one variant holds for the next with the same platforms.
        let mut checked: HashSet<(usize, *const Spanned<crate::platform::Platform>)> =
            HashSet::new();
        for at in order {
            let Some((number, family)) =
                family_of.get(*at).and_then(|number| Some((*number, self.families.get(*number)?)))
            else {
                continue;
            };
            let wish = Wish {
                asked: &family.platforms,
                default: self.defaults.get(family.file).and_then(Option::as_ref),
                scratch: family.from.as_ref().is_some_and(|f| f.text.constant() == Some("scratch")),
            };
            let list = platforms.image(*at, &wish, &self.config, self.out);
            if checked.insert((number, list.as_ptr())) {
                platforms::check_uses(&family.uses, &list, self.out);
                platforms::check_only(&family.body, &list, self.out);
            }
            if let Some(image) = self.config.images.get_mut(*at) {
                image.platforms = list;
            }
        }
        outside::platforms(&mut self.config);
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
