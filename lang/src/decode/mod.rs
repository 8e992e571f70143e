//! Nodes to parts: typed values whose names and platforms are still open. One noun a file.

mod address;
mod alpine;
mod base;
mod builder;
pub(crate) mod check;
mod debian;
pub(crate) mod dockerfile;
mod duration;
mod follow;
mod hook;
mod host;
mod image;
pub(crate) mod lets;
pub(crate) mod matrix;
mod moves;
mod package;
mod places;
pub(crate) mod platforms;
mod publish;
mod publishing;
pub(crate) mod reference;
mod rootfs;
mod secret;
pub(crate) mod settings;
pub(crate) mod steps;
pub(crate) mod template;
mod tests;
pub(crate) mod text;
mod values;

use std::sync::Arc;

pub(crate) use base::BaseDraft;
pub(crate) use image::ImageDraft;
use reference::Reference;
use template::{Home, Templates};
use text::Cx;
pub(crate) use text::{Lets, Use};

use crate::config::{Builder, Hook, Host, Publishing};
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::source::{Span, Spanned};
use crate::syntax::Node;

/// What a member of a group is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Base,
    Image,
    Group,
}

/// A group before its members are known.
#[derive(Clone, Debug)]
pub(crate) struct GroupDraft {
    pub name: Spanned<Arc<str>>,
    pub members: Vec<(Member, Reference)>,
}

/// A top-level node after decoding.
#[derive(Debug)]
pub(crate) enum Part {
    Base(Box<BaseDraft>),
    Image(Box<ImageDraft>),
    Group(GroupDraft),
    Platforms(Span, Vec<Spanned<Platform>>),
    Builder(Builder),
    Hook(Hook),
    /// The `registry` node and what it names.
    Registry(Span, Spanned<String>),
    /// A `registry` node with settings of a host.
    Host(Box<Host>),
    /// The `remote-cache` node and what it names.
    RemoteCache(Span, Spanned<String>),
    /// How what the file declares is published: what one node says of it.
    Publishing(Span, Box<Publishing>),
    StrictBases(Span),
    /// A node that could not be read; its name is not to be reported as unknown.
    Broken(Arc<str>),
    /// Read in an earlier pass.
    Other,
}

/// Reads one top-level node.
pub(crate) fn part<'a>(
    node: &'a Node<'a>,
    home: Home<'a>,
    lets: &'a Lets,
    templates: &Templates<'a>,
) -> (Part, Vec<Diagnostic>) {
    let mut cx = Cx::new(home.text, home.folder, lets);
    if let Some(kind) = check::top(node, home.text, &mut cx.out) {
        check::node(node, kind, home.text, &mut cx.out);
    }
    let word = node.name.text.as_ref();
    let part = match word {
        "base" | "image" | "group" | "builder" => {
            let name = name(node, &mut cx);
            let is_named = name.is_some();
            // A node without a name is read all the same, for what else is wrong with it.
            let name = name.unwrap_or_else(|| Spanned::new("".into(), node.name.span));
            let part = named(node, word, name, templates, &mut cx);
            if is_named { part } else { Part::Other }
        }
        "platforms" => Part::Platforms(node.name.span, platforms::list(node, &mut cx)),
        "registry" if node.children.is_some() => {
            host::read(node, &mut cx).map_or(Part::Other, |host| Part::Host(Box::new(host)))
        }
        "registry" => publish::registry(node, &mut cx)
            .map_or(Part::Other, |registry| Part::Registry(node.name.span, registry)),
        "remote-cache" => publish::remote_cache(node, &mut cx)
            .map_or(Part::Other, |cache| Part::RemoteCache(node.name.span, cache)),
        word if publishing::is_one(word) => {
            let mut said = Publishing::default();
            publishing::read(node, &mut said, &mut cx);
            Part::Publishing(node.name.span, Box::new(said))
        }
        "on" => hook::read(node, &mut cx).map_or(Part::Other, Part::Hook),
        "strict-bases" => Part::StrictBases(node.name.span),
        _ => Part::Other,
    };
    (part, cx.out)
}

fn named<'a>(
    node: &'a Node<'a>,
    word: &str,
    name: Spanned<Arc<str>>,
    templates: &Templates<'a>,
    cx: &mut Cx<'a>,
) -> Part {
    match word {
        "base" => {
            let known = name.value.clone();
            match base::read(node, name, cx) {
                Some(draft) => Part::Base(Box::new(draft)),
                None => Part::Broken(known),
            }
        }
        "image" => Part::Image(Box::new(image::read(node, name, templates, cx))),
        "builder" => Part::Builder(builder::read(node, name, cx)),
        _ => Part::Group(group(node, name, cx)),
    }
}

/// The name of a base, an image or a group.
fn name(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Spanned<Arc<str>>> {
    let name = cx.constant(node.args().next()?, "a name")?;
    let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.value == "scratch" {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::name",
                name.span,
                "`scratch` is the name of the empty image",
                "cannot be declared",
            )
            .help("choose another name"),
        );
        return None;
    }
    let rest = name.value.bytes().all(|c| good(c) || matches!(c, b'.' | b'_' | b'-'));
    if name.value.bytes().next().is_some_and(good) && rest && name.value.len() <= 128 {
        return Some(Spanned::new(name.value.into(), name.span));
    }
    let lower = name.value.to_lowercase();
    let lower = lower.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let fixed: String = lower
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .collect();
    let rule = "a name has lower-case letters, digits, `.`, `_` and `-`, and begins with a letter or a digit";
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::name",
            name.span,
            format!("`{}` is not a name", check::shown(&name.value)),
            "not allowed as a name",
        )
        .help(match fixed.len() {
            1..=60 => format!("{rule}: `{fixed}`"),
            _ => format!("{rule}; 128 characters at most"),
        }),
    );
    // The node stands under the name it has, so that its users are not reported too.
    Some(Spanned::new(name.value.into(), name.span))
}

fn group(node: &Node<'_>, name: Spanned<Arc<str>>, cx: &mut Cx<'_>) -> GroupDraft {
    let mut members = Vec::new();
    for child in node.kids() {
        let member = match child.name.text.as_ref() {
            "base" => Member::Base,
            "image" => Member::Image,
            "group" => Member::Group,
            _ => continue,
        };
        if let Some(entry) = child.args().next()
            && let Some(reference) = reference::text(entry, cx)
        {
            members.push((member, reference));
        }
    }
    GroupDraft { name, members }
}
