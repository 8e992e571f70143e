//! `template` and `use`: which nodes an image is made of, once templates are put in.
//!
//! The templates that an image uses stand in the order in which it names them, each after those
//! that it uses itself, each once. What can stand but once counts from the last that has it, the
//! image itself being the last; everything else is joined in that order.

use std::collections::HashMap;
use std::sync::Arc;

use super::check;
use super::text::Cx;
use crate::diag::Diagnostic;
use crate::schema::{self, Kind, Merge};
use crate::source::{Span, Spanned};
use crate::suggest::did_you_mean;
use crate::syntax::{Entry, Node, Value};

/// A file that nodes stand in.
#[derive(Clone, Copy)]
pub(crate) struct Home<'a> {
    pub text: &'a str,
    pub folder: &'a Arc<str>,
}

/// All templates by their names.
#[derive(Default)]
pub(crate) struct Templates<'a> {
    known: HashMap<&'a str, Template<'a>>,
}

struct Template<'a> {
    node: &'a Node<'a>,
    home: Home<'a>,
    span: Span,
}

/// A node of an image, with where it is written.
pub(crate) struct Piece<'a> {
    pub node: &'a Node<'a>,
    pub home: Home<'a>,
    /// The template that it comes from.
    pub by: Option<&'a str>,
}

impl<'a> Templates<'a> {
    /// Collects and checks the templates among all top-level nodes.
    pub fn collect(
        nodes: impl Iterator<Item = (Home<'a>, &'a Node<'a>)>,
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut templates = Self::default();
        for (home, node) in nodes.filter(|(_, node)| node.name.text == "template") {
            let Some((name, span)) = node.args().next().and_then(literal) else { continue };
            if let Some(first) = templates.known.get(name) {
                out.push(
                    Diagnostic::error(
                        "mabuild::lang::duplicate",
                        span,
                        format!("there is a template `{}` already", check::shown(name)),
                        "again here",
                    )
                    .and(first.span, "first here")
                    .help("choose another name"),
                );
                continue;
            }
            templates.known.insert(name, Template { node, home, span });
        }
        for template in templates.known.values() {
            for (name, span) in uses(template.node) {
                templates.check(name, span, out);
            }
        }
        templates.rings(out);
        templates
    }

    fn check(&self, name: &str, span: Span, out: &mut Vec<Diagnostic>) {
        if self.known.contains_key(name) {
            return;
        }
        let mut known: Vec<&str> = self.known.keys().copied().take(1000).collect();
        known.sort_unstable();
        let help = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "no `template` is declared in these files".to_owned(),
            None => format!("the templates are {}", known.join(", ")),
        };
        out.push(
            Diagnostic::error(
                "mabuild::lang::template",
                span,
                format!("there is no template `{}`", check::shown(name)),
                "not a template",
            )
            .help(help),
        );
    }

    /// Reports templates that use themselves, each ring once.
    fn rings(&self, out: &mut Vec<Diagnostic>) {
        let mut names: Vec<&str> = self.known.keys().copied().collect();
        names.sort_unstable();
        let place: HashMap<&str, usize> =
            names.iter().enumerate().map(|(at, n)| (*n, at)).collect();
        let edges: Vec<Vec<(usize, Span)>> = names
            .iter()
            .filter_map(|name| self.known.get(name))
            .map(|template| {
                let uses = uses(template.node);
                uses.filter_map(|(name, span)| Some((*place.get(name)?, span))).collect()
            })
            .collect();
        let targets: Vec<Vec<usize>> =
            edges.iter().map(|edges| edges.iter().map(|(to, _)| *to).collect()).collect();
        for ring in crate::link::walk::walk(&targets).rings {
            let labels: Vec<(Span, String)> = ring
                .iter()
                .take(20)
                .filter_map(|(node, edge)| {
                    let (to, span) = edges.get(*node)?.get(*edge)?;
                    Some((*span, format!("`{}` uses `{}`", names.get(*node)?, names.get(*to)?)))
                })
                .collect();
            let diagnostic = Diagnostic::nowhere("mabuild::lang::cycle", "a template uses itself");
            out.push(Diagnostic { labels, ..diagnostic }.help("remove one of these uses"));
        }
    }

    /// The nodes that an image is made of, in order.
    pub fn pieces(&self, node: &'a Node<'a>, cx: &mut Cx<'a>) -> Vec<Piece<'a>> {
        let mut used = uses(node).peekable();
        let home = cx.home();
        if used.peek().is_none() {
            return node.kids().iter().map(|node| Piece { node, home, by: None }).collect();
        }
        let mut order: Vec<&'a str> = Vec::new();
        for (name, span) in used {
            self.check(name, span, &mut cx.out);
            self.gather(name, &mut order);
        }
        let mut pieces = Vec::new();
        for name in order {
            if let Some(template) = self.known.get(name) {
                let kids = template.node.kids().iter();
                pieces.extend(kids.map(|node| Piece { node, home: template.home, by: Some(name) }));
            }
        }
        pieces.extend(node.kids().iter().map(|node| Piece { node, home, by: None }));
        keep_last(pieces)
    }

    /// Puts a template behind those that it uses. Works without recursion: chains may be long.
    fn gather(&self, name: &'a str, order: &mut Vec<&'a str>) {
        let mut open = vec![(name, false)];
        let mut entered: Vec<&'a str> = Vec::new();
        while let Some((name, left)) = open.pop() {
            if left {
                if !order.contains(&name) {
                    order.push(name);
                }
                continue;
            }
            if order.contains(&name) || entered.contains(&name) {
                continue;
            }
            entered.push(name);
            open.push((name, true));
            if let Some(template) = self.known.get(name) {
                let inner: Vec<&'a str> = uses(template.node).map(|(name, _)| name).collect();
                open.extend(inner.into_iter().rev().map(|name| (name, false)));
            }
        }
    }

    /// Names of all templates that none of the nodes uses, with their places.
    pub fn unused(&self, nodes: impl Iterator<Item = &'a Node<'a>>) -> Vec<Spanned<&'a str>> {
        let mut used: Vec<&str> = Vec::new();
        for node in nodes.filter(|node| node.name.text == "image") {
            for (name, _) in uses(node) {
                self.gather(name, &mut used);
            }
        }
        let unused = self.known.iter().filter(|(name, _)| !used.contains(name));
        let mut unused: Vec<_> = unused.map(|(name, t)| Spanned::new(*name, t.span)).collect();
        unused.sort_unstable_by_key(|name| (name.span.file, name.span.start));
        unused
    }
}

/// Of nodes that replace each other, those of the last source alone.
fn keep_last(pieces: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let replaces = |piece: &Piece<'_>| {
        let kind: Option<&Kind> = schema::FILE.child("image").and_then(|image| {
            image.children().iter().copied().find(|kind| kind.name == piece.node.name.text)
        });
        kind.is_some_and(|kind| kind.merge == Merge::Replace)
    };
    let mut last: HashMap<&str, Option<&str>> = HashMap::new();
    for piece in pieces.iter().filter(|piece| replaces(piece)) {
        last.insert(&piece.node.name.text, piece.by);
    }
    let keeps: Vec<bool> = pieces
        .iter()
        .map(|piece| !replaces(piece) || last.get(piece.node.name.text.as_ref()) == Some(&piece.by))
        .collect();
    pieces.into_iter().zip(keeps).filter(|(_, keep)| *keep).map(|(piece, _)| piece).collect()
}

/// The templates that a node names.
fn uses<'n>(node: &'n Node<'n>) -> impl Iterator<Item = (&'n str, Span)> {
    let uses = node.kids().iter().filter(|child| child.name.text == "use");
    uses.flat_map(|child| child.args()).filter_map(literal)
}

fn literal<'n>(entry: &'n Entry<'n>) -> Option<(&'n str, Span)> {
    match &entry.value {
        Value::String(name) => Some((name, entry.value_span)),
        _ => None,
    }
}
