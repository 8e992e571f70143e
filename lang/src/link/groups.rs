//! Groups: what they hold, groups within groups resolved to their nodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::names::{Names, Target};
use super::outside::Outside;
use super::resolve::{Resolver, is_outside, picks_variants};
use super::variants::Family;
use super::walk;
use crate::config::{Group, NodeRef};
use crate::decode::{GroupDraft, Member};
use crate::diag::Diagnostic;
use crate::source::{Span, Spanned};

/// Most members of all groups, groups within groups counted out.
const MAX_MEMBERS: usize = 2_000_000;

/// The members of one group.
#[derive(Debug, Default)]
struct Held {
    nodes: Vec<Spanned<NodeRef>>,
    /// Groups by their index, with the place of their name.
    groups: Vec<(usize, Span)>,
}

/// Resolves the members of all groups, each once, in the order written.
pub(crate) fn link(
    drafts: Vec<GroupDraft>,
    names: &Names,
    families: &[Family],
    out: &mut Vec<Diagnostic>,
) -> Vec<Group> {
    let held: Vec<Held> = drafts.iter().map(|draft| held(draft, names, families, out)).collect();
    let targets: Vec<Vec<usize>> =
        held.iter().map(|held| held.groups.iter().map(|(to, _)| *to).collect()).collect();
    let walked = walk::walk(&targets);
    for ring in &walked.rings {
        let labels: Vec<(Span, String)> = ring
            .iter()
            .take(20)
            .filter_map(|(node, edge)| held.get(*node)?.groups.get(*edge))
            .map(|(_, span)| (*span, "holds this group".to_owned()))
            .collect();
        let diagnostic = Diagnostic::nowhere("mabuild::lang::cycle", "a group holds itself");
        out.push(Diagnostic { labels, ..diagnostic }.help("remove one of these members"));
    }
    let members = resolve(&held, &walked.order, out);
    let group = |(draft, members): (GroupDraft, _)| Group { name: draft.name, members };
    drafts.into_iter().zip(members).map(group).collect()
}

fn held(draft: &GroupDraft, names: &Names, families: &[Family], out: &mut Vec<Diagnostic>) -> Held {
    let mut held = Held::default();
    for (kind, reference) in &draft.members {
        let span = reference.span;
        let mut outside = Outside::default();
        let named =
            Resolver::new(names, families, HashMap::new(), &mut outside, out).members(reference);
        let (target, variants) = match named {
            Some((target, variants)) => (Some(target), variants),
            // A name that nothing has is reported below, a wrong pick was reported.
            None if picks_variants(&reference.text) => continue,
            None => (None, Vec::new()),
        };
        let name = reference.text.constant().unwrap_or_default();
        let name = Spanned::new(Arc::from(name.split('[').next().unwrap_or_default()), span);
        member(*kind, &name, target, names, out);
        match target {
            Some(Target::Node(node)) => held.nodes.push(Spanned::new(node, span)),
            Some(Target::Group(group)) => held.groups.push((group, span)),
            Some(Target::Family(_)) => {
                let nodes = variants.into_iter().map(|id| Spanned::new(NodeRef::Image(id), span));
                held.nodes.extend(nodes);
            }
            Some(Target::Broken) | None => {}
        }
    }
    if draft.members.is_empty() {
        out.push(
            Diagnostic::warning(
                "mabuild::lang::group",
                draft.name.span,
                format!("the group `{}` is empty", draft.name.value),
                "no members",
            )
            .help("write `image \"NAME\"`, `base \"NAME\"` or `group \"NAME\"` in its block"),
        );
    }
    held
}

/// All nodes of each group; inner groups come first in the order.
fn resolve(
    held: &[Held],
    order: &[usize],
    out: &mut Vec<Diagnostic>,
) -> Vec<Vec<Spanned<NodeRef>>> {
    let mut all: Vec<Vec<Spanned<NodeRef>>> = vec![Vec::new(); held.len()];
    let mut total = 0_usize;
    for at in order {
        let Some(group) = held.get(*at) else { continue };
        if total > MAX_MEMBERS {
            let message = format!("the groups have more than {MAX_MEMBERS} members together");
            let diagnostic = Diagnostic::nowhere("mabuild::lang::group", message);
            out.push(diagnostic.help("hold fewer groups within groups"));
            break;
        }
        let mut seen: HashSet<NodeRef> = HashSet::new();
        let nested = group.groups.iter().flat_map(|(inner, span)| {
            let inner = all.get(*inner).into_iter().flatten();
            inner.map(|member| Spanned::new(member.value, *span))
        });
        let members: Vec<_> = group
            .nodes
            .iter()
            .cloned()
            .chain(nested)
            .filter(|member| seen.insert(member.value))
            .collect();
        total += members.len();
        if let Some(slot) = all.get_mut(*at) {
            *slot = members;
        }
    }
    all
}

/// Reports a member that nothing is named, or that is not of the kind it is said to be.
fn member(
    kind: Member,
    name: &Spanned<Arc<str>>,
    target: Option<Target>,
    names: &Names,
    out: &mut Vec<Diagnostic>,
) {
    let (found, word) = match target {
        Some(Target::Node(NodeRef::Base(_))) => (Member::Base, "base"),
        Some(Target::Node(NodeRef::Image(_)) | Target::Family(_)) => (Member::Image, "image"),
        Some(Target::Group(_)) => (Member::Group, "group"),
        Some(Target::Broken) => return,
        None => {
            let error = names.unknown(name, |target| target != Target::Broken);
            // Only what these files declare can be built, and so be in a group.
            out.push(match is_outside(&name.value) || name.value.contains('*') {
                true => error.help(
                    "a group holds what these files declare; `*` and `@PLATFORM` are for the command line",
                ),
                false => error,
            });
            return;
        }
    };
    if found != kind {
        let article = if found == Member::Image { "an" } else { "a" };
        let mut diagnostic = Diagnostic::error(
            "mabuild::lang::reference",
            name.span,
            format!("`{}` is {article} {word}", name.value),
            "named as something else",
        )
        .help(format!("write `{word} \"{}\"`", name.value));
        if let Some(place) = names.place(&name.value) {
            diagnostic = diagnostic.and(place, "declared here");
        }
        out.push(diagnostic);
    }
}
