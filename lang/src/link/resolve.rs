//! References to nodes: by name, and where a name has variants, by the values of axes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::names::{Names, Target};
use super::outside::Outside;
use super::variants::Family;
use crate::config::{ImageId, NodeRef, Text};
use crate::decode::check::shown;
use crate::decode::matrix::{unknown_axis, unknown_value};
use crate::decode::reference::Reference;
use crate::diag::Diagnostic;
use crate::reference;
use crate::source::{Span, Spanned};

/// Looks references up.
pub(crate) struct Resolver<'a> {
    names: &'a Names,
    families: &'a [Family],
    /// Nodes by the references that they are published under.
    published: HashMap<String, NodeRef>,
    outside: &'a mut Outside,
    /// References that were reported: a variant is enough.
    told: HashSet<Span>,
    pub(super) out: &'a mut Vec<Diagnostic>,
}

/// A reference, with the answer where it is the same for all variants of the image.
pub(crate) struct Prepared<'r> {
    reference: &'r Reference,
    fixed: Option<Option<Spanned<NodeRef>>>,
}

/// An axis, where one is named, and a value, each with where it is written.
type Given<'t> = (Option<(&'t str, Span)>, String, Span);

/// Values of axes that a reference asks for, with where each is written.
type Wanted = Vec<(usize, Arc<str>, Span)>;

impl<'a> Resolver<'a> {
    pub fn new(
        names: &'a Names,
        families: &'a [Family],
        published: HashMap<String, NodeRef>,
        outside: &'a mut Outside,
        out: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self { names, families, published, outside, told: HashSet::new(), out }
    }

    /// Whether a base or an image has a name.
    pub fn is_known(&self, name: &str) -> bool {
        let target = self.names.get(split(name).0);
        matches!(target, Some(Target::Node(_) | Target::Family(_) | Target::Broken))
    }

    /// The image with a matrix that has a name.
    pub fn family(&self, name: &str) -> Option<&Family> {
        match self.names.get(split(name).0)? {
            Target::Family(at) => self.families.get(at),
            Target::Node(_) | Target::Group(_) | Target::Broken => None,
        }
    }

    /// What publishes under a reference.
    pub fn published(&self, name: &str) -> Option<NodeRef> {
        self.published.get(&reference::normal(name)).copied()
    }

    /// The base of an image of a registry.
    pub fn outside(&mut self, name: &str, span: Span) -> NodeRef {
        self.outside.base(name, span)
    }

    /// Reports what was not reported at its place.
    pub fn tell_once(&mut self, diagnostic: Diagnostic) {
        let place = diagnostic.labels.first().map(|(span, _)| *span);
        if place.is_none_or(|place| self.told.insert(place)) {
            self.out.push(diagnostic);
        }
    }

    /// The node of a name that stands alone, for one variant.
    pub fn name(
        &mut self,
        name: &str,
        span: Span,
        image: &Family,
        values: &[Arc<str>],
    ) -> Option<NodeRef> {
        let text = Text::literal(name, span);
        let reference = Reference { text, picks: Vec::new(), is_from: false, span };
        self.look_up(&reference, image, values).map(|node| node.value)
    }

    /// Looks up what does not depend on the variant.
    pub fn prepare<'r>(&mut self, reference: &'r Reference, image: &Family) -> Prepared<'r> {
        let same = image.is_plain()
            || (reference.picks.is_empty()
                && reference.text.constant().is_some_and(|name| {
                    !matches!(self.names.get(split(name).0), Some(Target::Family(_)))
                }));
        let fixed = same.then(|| self.look_up(reference, image, &[]));
        Prepared { reference, fixed }
    }

    /// The node of a reference for one variant; none where there is none, which is reported.
    pub fn node(
        &mut self,
        prepared: &Prepared<'_>,
        image: &Family,
        values: &[Arc<str>],
    ) -> Option<Spanned<NodeRef>> {
        match &prepared.fixed {
            Some(node) => node.clone(),
            None => self.look_up(prepared.reference, image, values),
        }
    }

    /// All nodes that a member of a group names.
    pub fn members(&mut self, reference: &Reference) -> Option<(Target, Vec<ImageId>)> {
        let text = reference.text.of_variant(&[])?;
        let (name, bracket) = split(&text);
        let target = self.names.get(name)?;
        let Target::Family(at) = target else {
            return (bracket.is_none()).then(|| (target, Vec::new()));
        };
        let family = self.families.get(at)?;
        let wanted = self.wanted(reference, bracket, family, &[])?;
        let found = having(family, &wanted);
        if found.is_empty() {
            self.none(reference.span, family, &wanted);
        }
        Some((target, found))
    }

    fn look_up(
        &mut self,
        reference: &Reference,
        image: &Family,
        values: &[Arc<str>],
    ) -> Option<Spanned<NodeRef>> {
        let span = reference.span;
        let text = reference.text.of_variant(values)?;
        let (name, bracket) = split(&text);
        let found = match self.names.get(name) {
            Some(Target::Family(at)) => {
                let family = self.families.get(at)?;
                let mut wanted = self.wanted(reference, bracket, family, values)?;
                let asked = wanted.len();
                inherit(&mut wanted, family, image, values, span);
                let ids = having(family, &wanted);
                match ids.as_slice() {
                    [id] => NodeRef::Image(*id),
                    [] => {
                        self.none(span, family, &wanted);
                        return None;
                    }
                    several => {
                        let count = several.len();
                        self.several(reference, family, &wanted, count, asked);
                        return None;
                    }
                }
            }
            Some(Target::Node(node)) if reference.picks.is_empty() && bracket.is_none() => node,
            Some(Target::Node(_)) => {
                self.no_matrix(reference, name);
                return None;
            }
            None if is_outside(&text) => {
                if let Some((axis, _)) = reference.picks.first() {
                    self.tell(axis.span, |axis| picks_of_registry(&text, axis, span));
                    return None;
                }
                return self.of_registry(&text, span);
            }
            _ => {
                let before = self.out.len();
                let named = Spanned::new(Arc::from(name), span);
                let node = self.names.node(&named, self.out);
                if !self.told.insert(span) {
                    self.out.truncate(before);
                }
                return node;
            }
        };
        Some(Spanned::new(found, span))
    }

    /// The node of a reference of a registry: what is published under it, or the image itself.
    fn of_registry(&mut self, text: &str, span: Span) -> Option<Spanned<NodeRef>> {
        if let Some(node) = self.published(text) {
            return Some(Spanned::new(node, span));
        }
        if let Err(wrong) = reference::parse(text) {
            let message = format!("`{}` is no name and no reference of an image", shown(text));
            self.tell(span, |span| wrong.at("mabuild::lang::reference", span, message));
            return None;
        }
        Some(Spanned::new(self.outside(text, span), span))
    }

    /// The values that properties and brackets name; none where one of them is wrong.
    fn wanted(
        &mut self,
        reference: &Reference,
        bracket: Option<&str>,
        family: &Family,
        values: &[Arc<str>],
    ) -> Option<Wanted> {
        let mut given: Vec<Given<'_>> = Vec::new();
        for part in bracket.iter().flat_map(|inside| inside.split(',')) {
            let (axis, value) = match part.split_once('=') {
                Some((axis, value)) => (Some((axis.trim(), reference.span)), value),
                None => (None, part),
            };
            given.push((axis, value.trim().to_owned(), reference.span));
        }
        for (axis, value) in &reference.picks {
            let text = value.of_variant(values)?.into_owned();
            given.push((Some((&axis.value, axis.span)), text, value.span));
        }
        let mut wanted: Wanted = Vec::new();
        for (axis, value, span) in given {
            let at = match axis {
                Some((name, span)) => {
                    let at = family.axes.iter().position(|axis| *axis.name.value == *name);
                    if at.is_none() {
                        let known = family.axes.iter().map(|axis| &*axis.name.value);
                        self.tell(span, |_| unknown_axis(name, span, known));
                    }
                    at?
                }
                // A bare value stands for the axis that has it.
                None => {
                    let has = |axis: &&crate::decode::matrix::Axis| {
                        axis.values.iter().any(|known| *known.value == *value)
                    };
                    let mut axes = family.axes.iter().filter(has);
                    let (axis, second) = (axes.next(), axes.next());
                    if second.is_some() || axis.is_none() {
                        self.tell(span, |span| bare(&value, span, family, axis.is_some()));
                        return None;
                    }
                    family.axes.iter().position(|known| {
                        axis.is_some_and(|axis| axis.name.value == known.name.value)
                    })?
                }
            };
            let known = family.axes.get(at)?;
            let Some(value) = known.values.iter().find(|known| *known.value == *value) else {
                self.tell(span, |span| {
                    unknown_value(&value, span, known, Some(&family.body.name.value))
                });
                return None;
            };
            if wanted.iter().all(|(axis, ..)| *axis != at) {
                wanted.push((at, value.value.clone(), span));
            }
        }
        Some(wanted)
    }

    /// Reports once for each place.
    fn tell(&mut self, span: Span, make: impl FnOnce(Span) -> Diagnostic) {
        if self.told.insert(span) {
            let diagnostic = make(span);
            self.out.push(diagnostic);
        }
    }

    fn none(&mut self, span: Span, family: &Family, wanted: &Wanted) {
        let name = &family.body.name;
        self.tell(span, |span| {
            Diagnostic::error(
                "mabuild::lang::matrix",
                span,
                format!("`{}` has no variant with {}", name.value, words(family, wanted)),
                "no such variant",
            )
            .and(name.span, some_of(family))
            .help("name values that it has, or add the variant to its matrix")
        });
    }

    fn several(
        &mut self,
        reference: &Reference,
        family: &Family,
        wanted: &Wanted,
        count: usize,
        asked: usize,
    ) {
        let name = &family.body.name;
        let open = family.axes.iter().enumerate();
        let open: Vec<&Axis> = open
            .filter(|(at, _)| wanted.iter().all(|(axis, ..)| axis != at))
            .map(|(_, a)| a)
            .collect();
        let example = |quote: &str| -> Vec<String> {
            let first =
                open.iter().filter_map(|axis| Some((&axis.name.value, axis.values.first()?)));
            first.map(|(axis, value)| format!("{axis}={quote}{}{quote}", value.value)).collect()
        };
        let example = match reference.is_from {
            true => format!("from \"{}\" {}", name.value, example("\"").join(" ")),
            false => format!("\"{}[{}]\"", name.value, example("").join(",")),
        };
        let among = match asked {
            0 => String::new(),
            _ => format!(" with {}", words(family, wanted)),
        };
        self.tell(reference.span, |span| {
            Diagnostic::error(
                "mabuild::lang::matrix",
                span,
                format!("`{}` has {count} variants{among}, and one is needed here", name.value),
                "which of them?",
            )
            .and(name.span, some_of(family))
            .help(format!("pick one, `{example}`, or give this image an axis of that name"))
        });
    }

    fn no_matrix(&mut self, reference: &Reference, name: &str) {
        let place = self.names.place(name);
        self.tell(reference.span, |span| {
            let error = Diagnostic::error(
                "mabuild::lang::matrix",
                span,
                format!("`{}` has no variants", shown(name)),
                "nothing to pick from",
            )
            .help("leave the values of axes out");
            match place {
                Some(place) => error.and(place, "has no `matrix`"),
                None => error,
            }
        });
    }
}

type Axis = crate::decode::matrix::Axis;

/// Axes that are left open take the value that the image has on its own axis of the same name.
fn inherit(wanted: &mut Wanted, family: &Family, image: &Family, values: &[Arc<str>], span: Span) {
    for (at, axis) in family.axes.iter().enumerate() {
        if wanted.iter().any(|(known, ..)| *known == at) {
            continue;
        }
        let own = image.axes.iter().position(|own| own.name.value == axis.name.value);
        if let Some(value) = own.and_then(|own| values.get(own)) {
            wanted.push((at, value.clone(), span));
        }
    }
}

fn having(family: &Family, wanted: &Wanted) -> Vec<ImageId> {
    let wanted: Vec<(usize, Arc<str>)> =
        wanted.iter().map(|(axis, value, _)| (*axis, value.clone())).collect();
    family.having(&wanted)
}

/// `python="3.12", suite="trixie"`
fn words(family: &Family, wanted: &Wanted) -> String {
    let words: Vec<String> = wanted
        .iter()
        .filter_map(|(at, value, _)| {
            Some(format!("{}=\"{value}\"", family.axes.get(*at)?.name.value))
        })
        .collect();
    words.join(" ")
}

/// The first variants of an image, for a label.
fn some_of(family: &Family) -> String {
    let mut names: Vec<String> =
        family.variants.iter().take(6).map(|v| family.variant_name(v).to_string()).collect();
    if family.variants.len() > names.len() {
        names.push("…".to_owned());
    }
    format!("has {}", names.join(" "))
}

/// The error for `NAME[value]` where the value does not tell its axis.
fn bare(value: &str, span: Span, family: &Family, known: bool) -> Diagnostic {
    let name = &family.body.name;
    let (message, label, help) = match known {
        true => (
            format!("several axes of `{}` have the value `{}`", name.value, shown(value)),
            "not clear which axis",
            format!("write the axis: `{}[AXIS={value}]`", name.value),
        ),
        false => (
            format!("no axis of `{}` has the value `{}`", name.value, shown(value)),
            "not a value",
            "name a value that one of its axes has".to_owned(),
        ),
    };
    Diagnostic::error("mabuild::lang::matrix", span, message, label)
        .and(name.span, some_of(family))
        .help(help)
}

/// The error for an axis of an image of a registry.
fn picks_of_registry(text: &str, axis: Span, name: Span) -> Diagnostic {
    Diagnostic::error(
        "mabuild::lang::matrix",
        axis,
        format!("`{}` has no variants", shown(text)),
        "picks a variant of an image of these files",
    )
    .and(name, "an image of a registry")
    .help("leave the values of axes out")
}

/// Whether a text can only be a reference of a registry.
pub(crate) fn is_outside(text: &str) -> bool {
    text.contains(['/', ':', '@'])
}

/// `NAME[inside]` to its parts.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, inside)) => (name, Some(inside)),
        None => (text, None),
    }
}

/// Whether a text can name several variants at once.
pub(crate) fn picks_variants(text: &Text) -> bool {
    text.constant().is_some_and(|text| split(text).1.is_some())
}
