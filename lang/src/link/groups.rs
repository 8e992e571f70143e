//! Groups: what they hold, groups within groups resolved to their nodes.

use std::collections::HashSet;
use std::sync::Arc;

use super::names::{Names, Target};
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
    out: &mut Vec<Diagnostic>,
) -> Vec<Group> {
    let held: Vec<Held> = drafts.iter().map(|draft| held(draft, names, out)).collect();
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

fn held(draft: &GroupDraft, names: &Names, out: &mut Vec<Diagnostic>) -> Held {
    let mut held = Held::default();
    for (kind, name) in &draft.members {
        match member(*kind, name, names, out) {
            Some(Target::Node(node)) => held.nodes.push(Spanned::new(node, name.span)),
            Some(Target::Group(group)) => held.groups.push((group, name.span)),
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

/// What a member of a group names; reports one that is not of the kind it is said to be.
fn member(
    kind: Member,
    name: &Spanned<Arc<str>>,
    names: &Names,
    out: &mut Vec<Diagnostic>,
) -> Option<Target> {
    let kind_of = |target: Target| match target {
        Target::Node(NodeRef::Base(_)) => Some((Member::Base, "base")),
        Target::Node(NodeRef::Image(_)) => Some((Member::Image, "image")),
        Target::Group(_) => Some((Member::Group, "group")),
        Target::Broken => None,
    };
    let Some(target) = names.get(&name.value) else {
        out.push(names.unknown(name, |target| target != Target::Broken));
        return None;
    };
    let (found, word) = kind_of(target)?;
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
    Some(target)
}
