//! Targets: `NAME`, `NAME@PLATFORM`, a group, a glob, to the nodes they mean.

use globset::Glob;
use mabuild_lang::platform::Platform;
use mabuild_lang::suggest::did_you_mean;

use super::{Graph, NodeId, Part, ThingId};

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
}

/// Chooses nodes. No target means all things; `platforms` (normal form) narrows everything and
/// must leave something of every target named.
pub fn select(
    graph: &Graph,
    targets: &[String],
    platforms: &[Platform],
) -> Result<Selection, SelectError> {
    let mut chosen = vec![false; graph.len()];
    if targets.is_empty() {
        for thing in graph.thing_ids() {
            choose(graph, thing, platforms, &mut chosen);
        }
    }
    for target in targets {
        let (name, platform) = match target.split_once('@') {
            Some((name, platform)) => {
                let platform = Platform::parse(platform)
                    .map_err(|reason| SelectError::Platform { target: target.clone(), reason })?;
                (name, Some(platform))
            }
            None => (target.as_str(), None),
        };
        let things = named(graph, name, target)?;
        for thing in &things {
            let wanted = platform.as_ref().map_or(platforms, std::slice::from_ref);
            let found = choose(graph, *thing, wanted, &mut chosen);
            if !found && things.len() == 1 {
                return Err(lacks(graph, *thing, target, wanted));
            }
        }
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

fn named(graph: &Graph, name: &str, target: &str) -> Result<Vec<ThingId>, SelectError> {
    if let Some(thing) = graph.find(name) {
        return Ok(vec![thing]);
    }
    let members: Vec<ThingId> = graph
        .thing_ids()
        .filter(|t| graph.thing(*t).groups.iter().any(|group| &**group == name))
        .collect();
    if !members.is_empty() {
        return Ok(members);
    }
    if name.contains(['*', '?', '[', '{'])
        && let Ok(glob) = Glob::new(name)
    {
        let matcher = glob.compile_matcher();
        let found: Vec<ThingId> =
            graph.thing_ids().filter(|t| matcher.is_match(&*graph.thing(*t).name)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let names = graph.things().iter().map(|t| &*t.name).chain(graph.groups().iter().map(|g| &**g));
    Err(SelectError::Unknown {
        target: target.to_owned(),
        hint: did_you_mean(name, names).map(str::to_owned),
    })
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
        assert!(text("tool@a/b/c/d").contains("os/arch[/variant]"));
    }
}
