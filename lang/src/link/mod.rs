//! Parts to a [`Config`]: names to nodes, defaults, platforms, rings.

mod groups;
mod names;
mod platforms;
mod walk;

use crate::config::{Config, NodeRef, StepOp};
use crate::decode::{BaseDraft, GroupDraft, ImageDraft, Part};
use crate::diag::Diagnostic;
use crate::source::{FileId, Span, Spanned};
use names::{Names, Target};
use platforms::{List, Platforms, Wish};

/// The decoded nodes of one file.
#[derive(Debug, Default)]
pub(crate) struct FileParts {
    /// The file that includes this one, by its index.
    pub parent: Option<usize>,
    pub parts: Vec<Part>,
}

/// Links all files. Files stand after those that include them.
pub(crate) fn link(files: Vec<FileParts>, out: &mut Vec<Diagnostic>) -> Config {
    let mut linker = Linker {
        names: Names::new(),
        bases: Vec::new(),
        images: Vec::new(),
        groups: Vec::new(),
        defaults: Vec::new(),
        config: Config::default(),
        out,
    };
    linker.collect(files);
    linker.references();
    let order = linker.rings();
    linker.platforms(&order);
    linker.config.groups = groups::link(linker.groups, &linker.names, linker.out);
    linker.config
}

/// An image that waits for its names and platforms.
struct Waiting {
    draft: ImageDraft,
    file: usize,
    copies: Vec<Spanned<NodeRef>>,
}

struct Linker<'a> {
    names: Names,
    bases: Vec<(BaseDraft, usize)>,
    images: Vec<Waiting>,
    groups: Vec<GroupDraft>,
    /// Default platforms of each file.
    defaults: Vec<Option<List>>,
    config: Config,
    out: &'a mut Vec<Diagnostic>,
}

impl Linker<'_> {
    fn collect(&mut self, files: Vec<FileParts>) {
        for (file, FileParts { parent, parts }) in files.into_iter().enumerate() {
            let mut default: Option<(Span, List)> = None;
            for part in parts {
                match part {
                    Part::Base(draft) => {
                        let target = names::base(self.bases.len());
                        self.names.add(&draft.base.name, target, self.out);
                        self.bases.push((*draft, file));
                    }
                    Part::Image(draft) => {
                        let target = names::image(self.images.len());
                        self.names.add(&draft.image.name, target, self.out);
                        self.images.push(Waiting { draft: *draft, file, copies: Vec::new() });
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
                    Part::Broken(name) => self.names.add_broken(name),
                    Part::Other => {}
                }
            }
            let own = default.map(|(_, list)| list).filter(|list| !list.is_empty());
            let above = parent.and_then(|at| self.defaults.get(at).cloned().flatten());
            self.defaults.push(own.or(above));
        }
    }

    /// Fills in what `from` names.
    fn references(&mut self) {
        for waiting in &mut self.images {
            let draft = &mut waiting.draft;
            let from = draft.from.as_ref().filter(|from| from.value.as_ref() != "scratch");
            draft.image.from = from.and_then(|from| self.names.node(from, self.out));
            for (step, name) in &draft.copies {
                let Some(node) = self.names.node(name, self.out) else { continue };
                let step = draft.image.steps.get_mut(*step);
                if let Some(StepOp::Copy(copy)) = step.map(|step| &mut step.op) {
                    waiting.copies.push(node.clone());
                    copy.from = Some(node);
                }
            }
        }
    }

    /// Reports rings and cuts them; gives the images in an order with parents first.
    fn rings(&mut self) -> Vec<usize> {
        let image_of = |node: &Spanned<NodeRef>| match node.value {
            NodeRef::Image(id) => Some((id.0 as usize, node.span)),
            NodeRef::Base(_) => None,
        };
        let edges: Vec<Vec<(usize, Span)>> = self
            .images
            .iter()
            .map(|waiting| {
                let from = waiting.draft.image.from.iter();
                from.chain(&waiting.copies).filter_map(image_of).collect()
            })
            .collect();
        let targets: Vec<Vec<usize>> =
            edges.iter().map(|edges| edges.iter().map(|(to, _)| *to).collect()).collect();
        let walked = walk::walk(&targets);
        for ring in &walked.rings {
            self.ring(ring, &edges);
        }
        walked.order
    }

    fn ring(&mut self, ring: &[(usize, usize)], edges: &[Vec<(usize, Span)>]) {
        let name = |at: usize| {
            self.images.get(at).map_or("", |waiting| waiting.draft.image.name.value.as_ref())
        };
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
        let diagnostic = Diagnostic::nowhere("mabuild::lang::cycle", message);
        let cut = places.last().copied();
        self.out.push(Diagnostic { labels, ..diagnostic }.help(
            "an image can only be built from images that are there before it; cut one of these",
        ));
        let Some((node, _, span)) = cut else { return };
        if let Some(waiting) = self.images.get_mut(node) {
            let image = &mut waiting.draft.image;
            image.from = image.from.take().filter(|from| from.span != span);
            waiting.copies.retain(|copy| copy.span != span);
        }
    }

    fn platforms(&mut self, order: &[usize]) {
        let mut platforms = Platforms::default();
        for (draft, file) in std::mem::take(&mut self.bases) {
            let default = self.defaults.get(file).and_then(Option::as_ref);
            let mut base = draft.base;
            base.platforms = platforms.base(base.name.span, &draft.platforms, default, self.out);
            platforms::check_uses(&draft.uses, &base.platforms, self.out);
            self.config.bases.push(base);
        }
        let mut waiting = std::mem::take(&mut self.images);
        let wishes: Vec<_> = waiting
            .iter_mut()
            .map(|waiting| {
                let draft = &mut waiting.draft;
                let scratch = draft.from.as_ref().is_some_and(|f| f.value.as_ref() == "scratch");
                let asked = std::mem::take(&mut draft.platforms);
                let uses = std::mem::take(&mut draft.uses);
                (asked, uses, scratch, std::mem::take(&mut waiting.copies), waiting.file)
            })
            .collect();
        self.config.images = waiting.into_iter().map(|waiting| waiting.draft.image).collect();
        for at in order {
            let Some((asked, uses, scratch, copies, file)) = wishes.get(*at) else { continue };
            let default = self.defaults.get(*file).and_then(Option::as_ref);
            let wish = Wish { asked, default, uses, scratch: *scratch, copies: copies.clone() };
            let list = platforms.image(*at, &wish, &self.config, self.out);
            platforms::check_uses(wish.uses, &list, self.out);
            if let Some(image) = self.config.images.get_mut(*at) {
                image.platforms = list;
            }
        }
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
