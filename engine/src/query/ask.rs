//! Conditions on single nodes: how they are read and which nodes meet them.

use std::ops::Range;

use globset::{Glob, GlobSet, GlobSetBuilder};
use mabuild_lang::platform::Platform;
use mabuild_lang::suggest::did_you_mean;

use super::error::QueryError;
use super::eval::World;
use super::set::NodeSet;
use super::table::Parameter;
use crate::graph::{Graph, NodeId, Part, Thing, ThingKind};
use crate::plan::Action;

/// What is asked of a node.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// Nothing.
    All,
    /// That a rebuild would not keep it.
    Stale,
    /// That it is of a platform.
    Platform(Asked<Platform>),
    /// That it is of a base, or of an image.
    Kind(ThingKind),
    /// That it has a tag.
    Tag(Asked<String>),
    /// That it is in a group.
    Group(String),
}

/// One value, or those that a glob matches.
#[derive(Clone, Debug)]
pub(super) enum Asked<T> {
    /// This value.
    One(T),
    /// What the glob matches.
    Glob(GlobSet),
}

/// The value of an argument that is a word.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    /// A number of steps.
    Depth(u32),
    /// A condition.
    Condition(Condition),
}

impl Parameter {
    /// What is to be written at its place.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Set => "a target or a function",
            Self::Depth => "a number of steps",
            Self::Platform => "a platform such as `linux/arm64`",
            Self::Kind => "`base` or `image`",
            Self::Tag => "a tag or a glob",
            Self::Group => "the name of a group",
        }
    }

    /// Reads a word; none where the place takes an expression.
    pub(super) fn read(
        self,
        word: &str,
        span: Range<usize>,
    ) -> Result<Option<Argument>, QueryError> {
        let condition = match self {
            Self::Set => return Ok(None),
            Self::Depth => return depth(word, span).map(|n| Some(Argument::Depth(n))),
            Self::Platform => Condition::Platform(platform(word, span)?),
            Self::Kind => Condition::Kind(kind(word, span)?),
            Self::Tag if is_glob(word) => Condition::Tag(Asked::Glob(glob(word, span)?)),
            Self::Tag => Condition::Tag(Asked::One(word.to_owned())),
            Self::Group => Condition::Group(word.to_owned()),
        };
        Ok(Some(Argument::Condition(condition)))
    }
}

fn depth(word: &str, span: Range<usize>) -> Result<u32, QueryError> {
    word.parse().map_err(|_| {
        let message = format!("`{word}` is not a number of steps");
        QueryError::at("mabuild::query::argument", span, message, "not a number")
            .help("write a whole number such as 1")
    })
}

fn platform(word: &str, span: Range<usize>) -> Result<Asked<Platform>, QueryError> {
    if is_glob(word) {
        return glob(word, span).map(Asked::Glob);
    }
    Platform::parse(word).map(Asked::One).map_err(|reason| {
        QueryError::at("mabuild::query::platform", span, reason, "not a platform")
            .help("write a platform such as `linux/arm64`, or a glob such as `linux/arm*`")
    })
}

fn kind(word: &str, span: Range<usize>) -> Result<ThingKind, QueryError> {
    match word {
        "base" => Ok(ThingKind::Base),
        "image" => Ok(ThingKind::Image),
        _ => {
            let message = format!("`{word}` is no kind of node");
            Err(QueryError::at("mabuild::query::argument", span, message, "not known")
                .help("write `base` or `image`")
                .hint(did_you_mean(word, ["base", "image"])))
        }
    }
}

/// Whether a word is matched in place of compared.
pub(super) fn is_glob(word: &str) -> bool {
    word.contains(['*', '?', '[', '{'])
}

/// Reads a glob.
pub(super) fn glob(word: &str, span: Range<usize>) -> Result<GlobSet, QueryError> {
    let read = |word| GlobSetBuilder::new().add(Glob::new(word)?).build();
    read(word).map_err(|e| {
        let message = format!("`{word}` is not a glob: {}", e.kind());
        QueryError::at("mabuild::query::argument", span, message, "not a glob")
    })
}

/// The nodes that meet a condition. Stale nodes are those of the plan of the world.
pub(super) fn ask(
    world: &World<'_>,
    condition: &Condition,
    span: &Range<usize>,
) -> Result<NodeSet, QueryError> {
    let graph = world.graph;
    let things = |meets: &dyn Fn(&Thing) -> bool| {
        let things = graph.thing_ids().filter(|thing| meets(graph.thing(*thing)));
        NodeSet::of(graph, things.flat_map(|thing| graph.parts(thing)))
    };
    Ok(match condition {
        Condition::All => NodeSet::all(graph),
        Condition::Stale => NodeSet::of(graph, stale(world)),
        Condition::Platform(asked) => of_platforms(graph, &numbers(graph, asked, span)?),
        Condition::Kind(kind) => things(&|thing| thing.kind == *kind),
        Condition::Tag(Asked::One(tag)) => things(&|thing| thing.tags.contains(tag)),
        Condition::Tag(Asked::Glob(glob)) => {
            things(&|thing| thing.tags.iter().any(|tag| glob.is_match(tag)))
        }
        Condition::Group(name) => {
            known_group(graph, name, span)?;
            things(&|thing| thing.groups.iter().any(|group| **group == **name))
        }
    })
}

fn stale<'a>(world: &World<'a>) -> impl Iterator<Item = NodeId> + 'a {
    let nodes = world.plan.map_or(&[][..], |plan| &plan.nodes);
    let changes = |action: &Action| !matches!(action, Action::Keep { .. });
    nodes.iter().filter(move |planned| changes(&planned.action)).map(|planned| planned.node)
}

/// For each platform of a graph, whether it is asked for.
fn numbers(
    graph: &Graph,
    asked: &Asked<Platform>,
    span: &Range<usize>,
) -> Result<Vec<bool>, QueryError> {
    let of_graph = graph.platforms().iter();
    let (wanted, exists): (Vec<bool>, bool) = match asked {
        Asked::One(one) => (of_graph.map(|platform| platform == one).collect(), one.is_known()),
        Asked::Glob(glob) => (
            of_graph.map(|platform| glob.is_match(platform.to_string())).collect(),
            Platform::known().any(|platform| glob.is_match(platform)),
        ),
    };
    // A platform that exists, though nothing is built for it, is a right question with no answer.
    if exists || wanted.contains(&true) {
        return Ok(wanted);
    }
    let all: Vec<String> = graph.platforms().iter().map(ToString::to_string).collect();
    let names = Platform::known().map(str::to_owned);
    let known: Vec<String> = all.iter().cloned().chain(names).collect();
    let known = known.iter().map(String::as_str);
    let (message, nearest) = match asked {
        Asked::One(one) => {
            (format!("nothing is built for `{one}`"), did_you_mean(&one.to_string(), known))
        }
        Asked::Glob(_) => ("no platform matches the glob".to_owned(), None),
    };
    Err(QueryError::at("mabuild::query::platform", span.clone(), message, "not known")
        .help(format!("there are {}", all.join(", ")))
        .hint(nearest))
}

fn of_platforms(graph: &Graph, wanted: &[bool]) -> NodeSet {
    let mut set = NodeSet::all(graph);
    set.retain(|node| match graph.node(node).part {
        Part::On(platform) => wanted.get(platform as usize).copied().unwrap_or(false),
        Part::Index => false,
    });
    set
}

fn known_group(graph: &Graph, name: &str, span: &Range<usize>) -> Result<(), QueryError> {
    let mut groups = graph.groups().iter().map(|group| &**group);
    if groups.any(|group| group == name) {
        return Ok(());
    }
    let nearest = did_you_mean(name, graph.groups().iter().map(|group| &**group));
    let message = format!("no group is called `{name}`");
    Err(QueryError::at("mabuild::query::group", span.clone(), message, "not known").hint(nearest))
}
