//! Targets: `NAME`, `NAME@PLATFORM`, `NAME[AXIS=VALUE]`, a group, a glob, to the nodes they mean.

use globset::{Glob, GlobSet, GlobSetBuilder};
use mabuild_lang::platform::Platform;
use mabuild_lang::reference;
use mabuild_lang::suggest::did_you_mean;

use super::{Graph, NodeId, Part, Thing, ThingId, Variant};

/// Nodes chosen by targets, and all that they need.
#[derive(Debug)]
pub struct Selection {
    /// Nodes that were named, sorted.
    pub targets: Vec<NodeId>,
    /// Targets and all that they need, each after what it needs.
    pub needed: Vec<NodeId>,
    member: Vec<bool>,
}

impl Selection {
    /// Whether a node is a target or needed by one.
    pub fn contains(&self, node: NodeId) -> bool {
        self.member.get(node.0 as usize).copied().unwrap_or(false)
    }
}

impl Selection {
    /// These nodes and nothing else.
    pub fn only(graph: &Graph, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let mut member = vec![false; graph.len()];
        for node in nodes {
            if let Some(slot) = member.get_mut(node.0 as usize) {
                *slot = true;
            }
        }
        let is_member = |node: &NodeId| member.get(node.0 as usize).copied().unwrap_or(false);
        let needed = graph.order().iter().copied().filter(is_member).collect();
        let targets = (0..graph.len() as u32).map(NodeId).filter(is_member).collect();
        Self { targets, needed, member }
    }
}

/// A target that means nothing.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// No node, group or glob match of this name.
    #[error("nothing is called `{target}`{}", hint.as_ref().map(|h| format!("; did you mean `{h}`?")).unwrap_or_default())]
    Unknown {
        /// As typed.
        target: String,
        /// The nearest name.
        hint: Option<String>,
    },
    /// The part behind `@` is not a platform.
    #[error("target `{target}`: {reason}")]
    Platform {
        /// As typed.
        target: String,
        /// What is wrong.
        reason: String,
    },
    /// The node is not built for this platform.
    #[error("`{target}`: `{name}` has no platform {platform}; it has {has}")]
    Lacks {
        /// As typed.
        target: String,
        /// Name of the node.
        name: String,
        /// What was asked for.
        platform: String,
        /// What there is.
        has: String,
    },
    /// Nothing of what was asked for is built for any of these platforms.
    #[error("nothing that is asked for has a platform {platforms}; there are {has}")]
    Nowhere {
        /// What was asked for.
        platforms: String,
        /// What there is.
        has: String,
    },
}

/// The platform nodes that one target names, without what they need.
pub fn named_by(graph: &Graph, target: &str) -> Result<Vec<NodeId>, SelectError> {
    let (things, platform) = things_of(graph, target)?;
    let mut found = Vec::new();
    for thing in &things {
        let wanted =
            |node: &NodeId| platform.is_none() || graph.platform(*node) == platform.as_ref();
        let before = found.len();
        found.extend(graph.parts(*thing).filter(wanted));
        if let (true, [_], Some(platform)) = (found.len() == before, things.as_slice(), &platform) {
            return Err(lacks(graph, *thing, target, std::slice::from_ref(platform)));
        }
    }
    Ok(found)
}

/// Chooses nodes. No target means all things; `platforms` (normal form) narrows everything and
/// must leave something of every target named.
pub fn select(
    graph: &Graph,
    targets: &[String],
    platforms: &[Platform],
) -> Result<Selection, SelectError> {
    let mut chosen = vec![false; graph.len()];
    let mut asked = platforms.to_vec();
    if targets.is_empty() {
        for thing in graph.thing_ids() {
            choose(graph, thing, platforms, &mut chosen);
        }
    }
    for target in targets {
        let (things, platform) = things_of(graph, target)?;
        for thing in &things {
            let wanted = platform.as_ref().map_or(platforms, std::slice::from_ref);
            let found = choose(graph, *thing, wanted, &mut chosen);
            if !found && things.len() == 1 {
                return Err(lacks(graph, *thing, target, wanted));
            }
        }
        asked.extend(platform);
    }
    if !asked.is_empty() && !chosen.contains(&true) && !graph.things().is_empty() {
        let join = |list: &[Platform]| -> String {
            list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let (platforms, has) = (join(&asked), join(graph.platforms()));
        return Err(SelectError::Nowhere { platforms, has });
    }
    let targets: Vec<NodeId> =
        (0..graph.len() as u32).map(NodeId).filter(|n| chosen[n.0 as usize]).collect();
    let mut member = chosen;
    for node in graph.order().iter().rev() {
        if member[node.0 as usize] {
            for (parent, _) in graph.parents(*node) {
                // An index stands for whatever platforms were chosen; it pulls none in.
                if graph.node(*node).part != Part::Index {
                    member[parent.0 as usize] = true;
                }
            }
        }
    }
    let needed = graph.order().iter().copied().filter(|n| member[n.0 as usize]).collect();
    Ok(Selection { targets, needed, member })
}

/// The things that a target names, and the platform behind its `@`.
fn things_of(graph: &Graph, target: &str) -> Result<(Vec<ThingId>, Option<Platform>), SelectError> {
    // The name of an image of a registry may hold an `@` of its own.
    if let Some(thing) = graph.find(target) {
        return Ok((vec![thing], None));
    }
    let Some((name, platform)) = target.rsplit_once('@') else {
        return Ok((named(graph, target, target)?, None));
    };
    let platform = Platform::parse(platform)
        .map_err(|reason| SelectError::Platform { target: target.to_owned(), reason })?;
    Ok((named(graph, name, target)?, Some(platform)))
}

/// Whether a variant fits what stands in the brackets of a target: values, with their axes or
/// without.
fn fits(variant: &Variant, inside: &str) -> bool {
    let values = variant.axes.iter().zip(variant.values.iter());
    inside.split(',').map(str::trim).all(|part| match part.split_once('=') {
        Some((axis, value)) => values.clone().any(|(a, v)| **a == *axis && **v == *value),
        None => values.clone().any(|(_, v)| **v == *part),
    })
}

fn named(graph: &Graph, name: &str, target: &str) -> Result<Vec<ThingId>, SelectError> {
    if let Some(thing) = graph.find(name) {
        return Ok(vec![thing]);
    }
    let (family, inside) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
        Some((family, inside)) => (family, Some(inside)),
        None => (name, None),
    };
    let variants: Vec<ThingId> = graph
        .thing_ids()
        .filter(|thing| {
            let variant = graph.thing(*thing).variant.as_ref();
            variant.is_some_and(|variant| {
                *variant.family == *family && inside.is_none_or(|inside| fits(variant, inside))
            })
        })
        .collect();
    if !variants.is_empty() {
        return Ok(variants);
    }
    let members: Vec<ThingId> = graph
        .thing_ids()
        .filter(|t| graph.thing(*t).groups.iter().any(|group| &**group == name))
        .collect();
    if !members.is_empty() {
        return Ok(members);
    }
    // A set refuses a pattern that is too large; a matcher of its own would panic.
    if name.contains(['*', '?', '[', '{'])
        && let Ok(glob) = Glob::new(name)
        && let Ok(matcher) = GlobSetBuilder::new().add(glob).build()
    {
        let found: Vec<ThingId> =
            graph.thing_ids().filter(|t| is_match(graph.thing(*t), &matcher)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    // What nothing declares is called by its whole reference: a file may say less of it.
    if let Some(thing) = graph.find(&reference::normal(name)) {
        return Ok(vec![thing]);
    }
    let families = graph.things().iter().filter_map(|t| t.variant.as_ref().map(|v| &*v.family));
    let names = graph.things().iter().map(|t| &*t.name).chain(graph.groups().iter().map(|g| &**g));
    let names = names.chain(families);
    Err(SelectError::Unknown {
        target: target.to_owned(),
        hint: did_you_mean(name, names).map(str::to_owned),
    })
}

fn is_match(thing: &Thing, matcher: &GlobSet) -> bool {
    let family = thing.variant.as_ref().map(|variant| &*variant.family);
    matcher.is_match(&*thing.name) || family.is_some_and(|family| matcher.is_match(family))
}

fn choose(graph: &Graph, thing: ThingId, platforms: &[Platform], chosen: &mut [bool]) -> bool {
    let mut found = false;
    for node in graph.parts(thing) {
        let keep =
            platforms.is_empty() || graph.platform(node).is_some_and(|p| platforms.contains(p));
        if keep {
            chosen[node.0 as usize] = true;
            found = true;
        }
    }
    if found {
        chosen[graph.index_of(thing).0 as usize] = true;
    }
    found
}

fn lacks(graph: &Graph, thing: ThingId, target: &str, wanted: &[Platform]) -> SelectError {
    let join = |list: Vec<String>| list.join(", ");
    let has = graph.parts(thing).filter_map(|n| graph.platform(n)).map(ToString::to_string);
    SelectError::Lacks {
        target: target.to_owned(),
        name: graph.thing(thing).name.to_string(),
        platform: join(wanted.iter().map(ToString::to_string).collect()),
        has: join(has.collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::sample;

    fn names(graph: &Graph, nodes: &[NodeId]) -> Vec<String> {
        nodes.iter().map(|n| graph.name(*n)).collect()
    }

    #[test]
    fn a_target_brings_what_it_needs_on_its_platform_alone() {
        let g = sample();
        let s = select(&g, &["app@linux/arm64".into()], &[]).unwrap();
        assert_eq!(names(&g, &s.targets), ["app@linux/arm64", "app"]);
        let needed = names(&g, &s.needed);
        assert!(needed.contains(&"base@linux/arm64".into()), "{needed:?}");
        assert!(!needed.iter().any(|n| n.ends_with("amd64")), "{needed:?}");
    }

    #[test]
    fn groups_and_globs() {
        let g = sample();
        assert_eq!(select(&g, &["all".into()], &[]).unwrap().targets.len(), 3);
        assert_eq!(select(&g, &["t*".into()], &[]).unwrap().targets.len(), 2);
        assert_eq!(select(&g, &[], &[]).unwrap().targets.len(), g.len());
    }

    #[test]
    fn says_what_is_wrong() {
        let g = sample();
        let text = |t: &str| select(&g, &[t.into()], &[]).unwrap_err().to_string();
        assert_eq!(text("aps"), "nothing is called `aps`; did you mean `app`?");
        assert!(text("tool@linux/arm64").contains("it has linux/amd64"));
        let nowhere = [Platform::parse("linux/s390x").unwrap()];
        for (targets, platforms) in [
            (&[][..], &nowhere[..]),
            (&["?*".to_owned()], &nowhere),
            (&["?*@linux/s390x".to_owned()], &[]),
        ] {
            let error = select(&g, targets, platforms).unwrap_err().to_string();
            assert_eq!(
                error,
                "nothing that is asked for has a platform linux/s390x; there are linux/amd64, linux/arm64",
                "{targets:?}"
            );
        }
        assert!(text("tool@a/b/c/d").contains("os/arch[/variant]"));
    }
}
