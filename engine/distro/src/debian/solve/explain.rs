//! Says why packages do not go together: who needs what, and what is in the way.

use super::search::node_of;
use super::world::{GroupId, Node, World};
use crate::debian::depends;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use resolvo::conflict::{ConflictCause, ConflictEdge, ConflictGraph, ConflictNode};
use resolvo::{Requirement, SolvableId};
use std::collections::HashSet;

/// Of a longer explanation the start and the end are shown.
const SHOWN: usize = 12;
/// Lines that are collected at most, and so the deepest nesting.
const MAX_LINES: usize = 200;
/// Spaces that a line is indented at most.
const MAX_INDENT: usize = 16;
/// Characters of a line that are shown at most.
const MAX_WIDTH: usize = 160;

/// Gives the lines of an explanation, at most a dozen.
pub(super) fn explain<'i: 'r, 'r>(
    graph: &ConflictGraph<SolvableId>,
    world: &mut World<'i, 'r>,
    faults: &[String],
) -> Vec<String> {
    let mut teller = Teller { graph, world, faults, seen: HashSet::new(), lines: Vec::new() };
    teller.tell(graph.root_node, 0);
    shorten(teller.lines)
}

struct Teller<'t, 'i, 'r> {
    graph: &'t ConflictGraph<SolvableId>,
    world: &'t mut World<'i, 'r>,
    faults: &'t [String],
    seen: HashSet<NodeIndex>,
    lines: Vec<String>,
}

/// What a node of the graph has to say, in the order in which it is said.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Fault(usize),
    Clash(Node),
    OtherVersion(Node),
    Need(GroupId),
}

impl<'i: 'r, 'r> Teller<'_, 'i, 'r> {
    fn tell(&mut self, at: NodeIndex, depth: usize) {
        if self.lines.len() >= MAX_LINES || depth >= MAX_LINES || !self.seen.insert(at) {
            return;
        }
        let subject = match self.graph.graph.node_weight(at) {
            Some(ConflictNode::Solvable(node)) => Some(self.world.title(node.into_raw())),
            _ => None,
        };
        let mut words: Vec<(Word, NodeIndex)> = self
            .graph
            .graph
            .edges(at)
            .filter_map(|e| Some((self.word(*e.weight(), e.target())?, e.target())))
            .collect();
        words.sort();
        let mut last = None;
        for (word, target) in words {
            match word {
                Word::Need(group) => {
                    if last != Some(group) {
                        self.need(subject.as_deref(), group, depth);
                        last = Some(group);
                    }
                    self.tell(target, depth + 1);
                }
                Word::Fault(at) => {
                    let fault = self.faults.get(at).cloned().unwrap_or_default();
                    self.say(depth, fault);
                }
                Word::Clash(node) => {
                    let other = self.world.title(node);
                    self.say(
                        depth,
                        format!(
                            "{} conflicts with {other}",
                            subject.as_deref().unwrap_or_default()
                        ),
                    );
                }
                Word::OtherVersion(node) => {
                    let other = self.world.title(node);
                    self.say(depth, format!("only one version of {other} can be there"));
                }
            }
        }
    }

    fn word(&self, edge: ConflictEdge, target: NodeIndex) -> Option<Word> {
        let solvable = match self.graph.graph.node_weight(target)? {
            ConflictNode::Solvable(node) => Some(node.into_raw()),
            _ => None,
        };
        Some(match (edge, self.graph.graph.node_weight(target)?) {
            (ConflictEdge::Requires(Requirement::Union(group)), _) => Word::Need(group.0),
            (ConflictEdge::Requires(Requirement::Single(_)), _) => return None,
            (ConflictEdge::Conflict(ConflictCause::Constrains(set)), _) => {
                Word::Clash(node_of(set))
            }
            (ConflictEdge::Conflict(ConflictCause::Excluded), ConflictNode::Excluded(fault)) => {
                Word::Fault(fault.0 as usize)
            }
            (ConflictEdge::Conflict(_), _) => Word::OtherVersion(solvable?),
        })
    }

    fn need(&mut self, subject: Option<&str>, group: GroupId, depth: usize) {
        let Some(found) = self.world.group(group) else { return };
        let (text, is_empty) = (found.text, found.options.is_empty());
        let mut line = match subject {
            Some(subject) => format!("{subject} needs {}", words(text)),
            None => format!("{} is wanted", words(text)),
        };
        if is_empty {
            let relations = depends::alternatives(text).unwrap_or_default();
            let reasons: Vec<_> =
                relations.iter().take(3).map(|relation| self.world.absence(relation)).collect();
            line = format!("{line}, but {}", reasons.join(", "));
        }
        self.say(depth, line);
    }

    fn say(&mut self, depth: usize, text: String) {
        let mut line = " ".repeat((2 * depth).min(MAX_INDENT));
        line.extend(text.chars().take(MAX_WIDTH));
        if text.chars().nth(MAX_WIDTH).is_some() {
            line.push('…');
        }
        self.lines.push(line);
    }
}

/// Brings a text that may have line breaks on one line.
fn words(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn shorten(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > SHOWN {
        let end = lines.split_off(lines.len() - SHOWN / 2);
        let left_out = lines.len() - (SHOWN / 2 - 1);
        lines.truncate(SHOWN / 2 - 1);
        lines.push(format!("… ({left_out} lines are left out)"));
        lines.extend(end);
    }
    lines
}
