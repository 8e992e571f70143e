//! `follow`: what a base moves with.

use super::check::shown;
use super::text::{Cx, VERSION, Version};
use super::values::prop;
use crate::config::{Follow, Part, RegistryBase, Text};
use crate::diag::{Diagnostic, Wrong};
use crate::reference;
use crate::schema::FOLLOWED;
use crate::source::Spanned;
use crate::suggest::did_you_mean;
use crate::syntax::Node;

/// Longest range, in bytes.
const MAX_RANGE: usize = 256;

/// A `follow` of a base.
pub(super) struct Following<'n> {
    pub node: &'n Node<'n>,
    pub what: What,
}

/// What is followed.
pub(super) enum What {
    /// The digest of a tag.
    Digest,
    /// The highest version of a range.
    Range(Text),
    /// What cannot be read and was reported.
    Broken,
}

/// Reads the `follow` of a base.
pub(super) fn read<'n>(base: &'n Node<'n>, cx: &mut Cx<'_>) -> Option<Following<'n>> {
    let node = base.kids().iter().find(|child| child.name.text == "follow")?;
    // What is found cannot say what is looked for.
    cx.version = Version::Later(node.span);
    let text = node.args().next().and_then(|entry| cx.constant(entry, "what to follow"));
    let what = match text {
        None => What::Broken,
        Some(text) if text.value == "digest" => What::Digest,
        Some(text) => match is_range(&text) {
            Ok(()) => What::Range(Text::literal(text.value, text.span)),
            Err(wrong) => {
                let message = format!("`{}` is not a range of versions", shown(&text.value));
                cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
                What::Broken
            }
        },
    };
    cx.version = Version::Unknown;
    Some(Following { node, what })
}

/// Whether a text looks like a range; what tags it takes is known where it is matched.
fn is_range(text: &Spanned<String>) -> Result<(), Wrong> {
    let range = text.value.as_str();
    if range.len() > MAX_RANGE {
        let help = format!("a range has at most {MAX_RANGE} characters");
        return Err(Wrong::new(format!("{} characters", range.chars().count()), help));
    }
    let help = "write `digest`, or a range like `3.20.*`, `1.22.*-alpine` or `>=1.20, <2`";
    if range.contains(char::is_control) {
        return Err(Wrong::new("has control characters", help));
    }
    if range.contains(|c: char| c.is_ascii_digit() || c == '*') {
        return Ok(());
    }
    Err(match did_you_mean(range, FOLLOWED.iter().copied()) {
        Some(near) => Wrong::new("not known", format!("did you mean `{near}`?")),
        None => Wrong::new("has neither a number nor a `*`", help),
    })
}

impl Following<'_> {
    /// What stands for the version where the base says where it comes from.
    pub fn version(&self) -> Version {
        match self.what {
            // What is wrong with the range was said, and its uses are not reported too.
            What::Range(_) | What::Broken => Version::Open,
            What::Digest => Version::Unknown,
        }
    }

    /// What stands for the version everywhere else.
    pub fn later(&self) -> Version {
        match self.what {
            What::Range(_) => Version::Later(self.node.span),
            What::Broken => Version::Open,
            What::Digest => Version::Unknown,
        }
    }

    /// The range of a root file system, with what lists its versions.
    pub fn of_rootfs(&self, source: &Node<'_>, cx: &mut Cx<'_>) -> Option<Follow> {
        let listing = prop(self.node, "listing", cx);
        match &self.what {
            What::Range(range) => {
                Some(Follow { span: self.node.span, range: range.clone(), listing })
            }
            What::Digest => {
                self.stray(
                    source,
                    "`follow \"digest\"` goes with `registry`",
                    "write a range, `follow \"3.20.*\"`, and `{{version}}` in the location; or remove it",
                    cx,
                );
                None
            }
            What::Broken => None,
        }
    }

    /// Reports that a source has nothing to follow.
    pub fn stray(&self, source: &Node<'_>, message: &str, help: &str, cx: &mut Cx<'_>) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::stray",
                self.node.name.span,
                message,
                "nothing to follow",
            )
            .and(source.name.span, "what this base comes from")
            .help(help),
        );
    }

    /// Reports that nothing stands for the version that is found.
    pub fn no_version(&self, text: &Text, place: &str, example: &str, cx: &mut Cx<'_>) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                text.span,
                format!("nothing in {place} stands for the version that is found"),
                format!("{place} has no `{VERSION}`"),
            )
            .and(self.node.span, "looks for a version")
            .help(format!("write `{VERSION}` in place of the version: `{example}`")),
        );
    }
}

/// Whether a text has a place for the version that is found.
pub(super) fn is_open(text: &Text) -> bool {
    let open = |part: &Part| matches!(part, Part::Literal(text) if text.contains(VERSION));
    text.parts.iter().any(open)
}

/// Reads `registry`, with what is followed of it.
pub(super) fn registry(
    node: &Node<'_>,
    follow: Option<&Following<'_>>,
    cx: &mut Cx<'_>,
) -> Option<RegistryBase> {
    cx.version = follow.map_or(Version::Unknown, Following::version);
    let text = node.args().next().and_then(|entry| cx.filled(entry, "the reference"));
    if let Some(follow) = follow
        && let Some(listing) = follow.node.prop("listing")
    {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::stray",
                listing.span,
                "`listing` goes with `rootfs`",
                "not asked",
            )
            .and(node.name.span, "lists its own tags")
            .help("remove it"),
        );
    }
    let text = text?;
    if let Some(written) = text.constant() {
        // The version is a part of the tag, and any will do to see what is around it.
        let read = |version: &str| written.replace(VERSION, version);
        let (one, other) = (read("0"), read("1"));
        let one = match reference::parse(&one) {
            Ok(one) => one,
            Err(wrong) => {
                let message = format!("`{}` is not a reference of an image", shown(written));
                cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
                return None;
            }
        };
        if let Some(follow) = follow {
            let is_tag = |other: reference::Reference<'_>| {
                one.repository == other.repository && one.tag != other.tag
            };
            let in_tag = reference::parse(&other).is_ok_and(is_tag);
            if one.digest.is_some() {
                still(&text, written, follow, cx);
            } else if matches!(follow.what, What::Range(_)) && !in_tag {
                follow.no_version(&text, "the tag", "docker.io/library/golang:{{version}}", cx);
            }
        }
    } else if let Some(follow) = follow
        && matches!(follow.what, What::Range(_))
        && !is_open(&text)
    {
        follow.no_version(&text, "the tag", "docker.io/library/golang:{{version}}", cx);
    }
    let range = follow.and_then(|follow| match &follow.what {
        What::Range(range) => {
            Some(Follow { span: follow.node.span, range: range.clone(), listing: None })
        }
        What::Digest | What::Broken => None,
    });
    Some(RegistryBase { span: node.span, reference: text, follow: range })
}

/// Reports a `follow` of a reference that can only mean one image.
fn still(text: &Text, written: &str, follow: &Following<'_>, cx: &mut Cx<'_>) {
    let tagged = written.split('@').next().unwrap_or_default();
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::stray",
            follow.node.span,
            "a base with a digest does not move",
            "follows nothing",
        )
        .and(text.span, "says which image it is, once and for all")
        .help(format!("remove it, or write `{}` without the digest", shown(tagged))),
    );
}
