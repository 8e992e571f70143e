//! The order in which packages are unpacked and configured.

use crate::debian::depends::{self, Relation};
use crate::debian::packages::Package;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, EdgeReference};
use petgraph::visit::EdgeRef;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Providers of one name that are looked at; more are in no real set of packages.
const MAX_PROVIDERS: usize = 100;

/// How one package depends on another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// It has to be configured in the same group or an earlier one.
    Depends,
    /// It has to be configured in an earlier group.
    PreDepends,
}

/// Gives groups of indexes into `packages`: all of a group is unpacked, then all of it configured,
/// then comes the next.
///
/// What a package pre-depends on, and all that this depends on in turn, is in an earlier group
/// than the package. Where packages pre-depend on each other in a circle, they share a group. In a
/// group packages are in the order of `packages`. Relations to packages that are not in the list
/// are taken as met.
pub fn unpack_order(packages: &[Package<'_>]) -> Vec<Vec<usize>> {
    let graph = graph(packages);
    let mut level = vec![0usize; packages.len()];
    // Components come with what they depend on first.
    for component in kosaraju_scc(&graph) {
        let members: HashSet<_> = component.iter().copied().collect();
        let above = |edge: EdgeReference<'_, Edge>| {
            let below = level.get(edge.target().index()).copied().unwrap_or_default();
            below + usize::from(*edge.weight() == Edge::PreDepends)
        };
        let edges = component.iter().flat_map(|node| graph.edges(*node));
        let height =
            edges.filter(|edge| !members.contains(&edge.target())).map(above).max().unwrap_or(0);
        for node in &component {
            if let Some(level) = level.get_mut(node.index()) {
                *level = height;
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (package, level) in level.into_iter().enumerate() {
        groups.entry(level).or_default().push(package);
    }
    groups.into_values().collect()
}

fn graph(packages: &[Package<'_>]) -> DiGraph<(), Edge> {
    let mut graph = DiGraph::new();
    let nodes: Vec<_> = packages.iter().map(|_| graph.add_node(())).collect();
    let names = names(packages);
    for (package, from) in packages.iter().zip(&nodes) {
        let fields = [(Edge::Depends, package.depends), (Edge::PreDepends, package.pre_depends)];
        for (edge, value) in fields {
            for to in depends::groups(value).filter_map(|group| meets(packages, &names, group)) {
                if let Some(to) = nodes.get(to) {
                    graph.add_edge(*from, *to, edge);
                }
            }
        }
    }
    graph
}

/// What is meant by a name: packages called so and packages that provide it.
fn names<'a>(packages: &[Package<'a>]) -> HashMap<&'a str, Vec<usize>> {
    let mut names: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, package) in packages.iter().enumerate() {
        names.entry(package.name).or_default().push(at);
    }
    for (at, package) in packages.iter().enumerate() {
        for provided in provided(package) {
            let providers = names.entry(provided.name).or_default();
            if providers.len() < MAX_PROVIDERS {
                providers.push(at);
            }
        }
    }
    names
}

fn provided<'a>(package: &Package<'a>) -> impl Iterator<Item = Relation<'a>> {
    depends::groups(package.provides).filter_map(|text| Relation::parse(text).ok())
}

/// Gives the first package of the list that meets a group.
fn meets(
    packages: &[Package<'_>],
    names: &HashMap<&str, Vec<usize>>,
    group: &str,
) -> Option<usize> {
    let relations = depends::alternatives(group).unwrap_or_default();
    relations.iter().find_map(|relation| {
        let known = names.get(relation.name)?;
        known.iter().copied().find(|at| {
            packages.get(*at).is_some_and(|package| {
                (package.name == relation.name && relation.accepts(package.version))
                    || provided(package).any(|given| {
                        given.name == relation.name && relation.accepts_provided(&given)
                    })
            })
        })
    })
}
