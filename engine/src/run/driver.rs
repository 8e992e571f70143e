//! Carries out what the machine commands: one blocking task a node, results back as inputs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::Cancel;
use super::machine::{Command, Input, Limits, Machine};
use super::work::{Shared, work};
use crate::event::{End, Event, Failure, FailureKind, Listener, Summary};
use crate::graph::{Graph, NodeId, Part};
use crate::plan::{Action, Plan, Reason};

/// What a run ended with.
#[derive(Debug)]
pub struct Driven {
    /// How each node ended that was not kept from the start.
    pub ends: HashMap<NodeId, End>,
    /// Numbers of the whole run.
    pub summary: Summary,
}

/// Runs a plan to its end.
pub async fn drive(
    plan: &Plan,
    shared: Arc<Shared>,
    limits: Limits,
    listener: &Arc<dyn Listener>,
    cancel: &Cancel,
) -> Driven {
    let begun = Instant::now();
    cancel.begin();
    let graph = shared.graph.clone();
    let expected = |node: NodeId| shared.expected(node);
    let cost = |node: NodeId| expected(node).map_or(1_000, |s| (s * 1000.0) as u64);
    let mut machine = Machine::new(&graph, plan, limits, &cost);
    let mut state = Progressing {
        graph: &graph,
        listener,
        driven: Driven { ends: HashMap::new(), summary: Summary::default() },
        took: HashMap::new(),
    };
    state.open(plan);
    let mut tasks: JoinSet<(NodeId, End, Duration)> = JoinSet::new();
    let mut commands = machine.step(Input::Start);
    let mut cancelled = false;
    loop {
        let mut finished = false;
        for command in std::mem::take(&mut commands) {
            match command {
                Command::Work(node) => {
                    let members = members(&graph, &machine, node);
                    let (shared, listener) = (shared.clone(), listener.clone());
                    let handle = cancel.handle().clone();
                    listener.event(&Event::NodeStarted { node, expected: expected(node) });
                    tasks.spawn_blocking(move || {
                        let begun = Instant::now();
                        let end = work(&shared, node, &members, &listener, &handle);
                        (node, end, begun.elapsed())
                    });
                }
                Command::Skip { node, because } => {
                    state.end(node, End::Skipped { because }, Duration::ZERO);
                }
                Command::Finish => finished = true,
            }
        }
        if finished {
            break;
        }
        tokio::select! {
            joined = tasks.join_next() => match joined {
                Some(Ok((node, end, took))) => {
                    let input = match &end {
                        End::Built { digest, .. } | End::Kept { digest } => {
                            Input::Done { node, result: digest.clone() }
                        }
                        _ => Input::Failed(node),
                    };
                    state.end(node, end, took);
                    commands = machine.step(input);
                }
                // A task that panicked would leave its node running for ever.
                Some(Err(_)) | None => break,
            },
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                commands = machine.step(Input::Cancel);
            }
        }
    }
    state.driven.summary.interrupted = cancelled;
    state.driven.summary.took = begun.elapsed();
    state.driven.summary.longest = longest(&graph, &state.took);
    state.driven
}

/// The results that a node is made of: its parents', in the order of the graph.
fn members(graph: &Graph, machine: &Machine<'_>, node: NodeId) -> HashMap<NodeId, Arc<str>> {
    graph
        .parents(node)
        .filter_map(|(parent, _)| machine.result(parent).map(|r| (parent, r.clone())))
        .collect()
}

struct Progressing<'a> {
    graph: &'a Graph,
    listener: &'a Arc<dyn Listener>,
    driven: Driven,
    took: HashMap<NodeId, Duration>,
}

impl Progressing<'_> {
    /// Tells the start, and the nodes that cannot be built at all.
    fn open(&mut self, plan: &Plan) {
        let kept = |n: &&crate::plan::Planned| matches!(n.action, Action::Keep { .. });
        let event = Event::Started {
            nodes: plan.nodes.len(),
            kept: plan.nodes.iter().filter(kept).count(),
        };
        self.listener.event(&event);
        self.driven.summary.kept = plan
            .nodes
            .iter()
            .filter(kept)
            .filter(|n| self.graph.node(n.node).part != Part::Index)
            .count();
        for planned in &plan.nodes {
            let end = match &planned.reason {
                Reason::Unknowable { message, span, blames_upstream } => End::Failed(Failure {
                    point: None,
                    kind: if *blames_upstream { FailureKind::Upstream } else { FailureKind::Step },
                    message: message.clone(),
                    span: *span,
                    tail: Vec::new(),
                    log: None,
                }),
                Reason::Below(because) => End::Skipped { because: *because },
                _ => continue,
            };
            self.end(planned.node, end, Duration::ZERO);
        }
    }

    fn end(&mut self, node: NodeId, end: End, took: Duration) {
        let platform = self.graph.node(node).part != Part::Index;
        let summary = &mut self.driven.summary;
        match &end {
            End::Built { executed, reused, bytes, .. } => {
                summary.built += usize::from(platform);
                summary.rebased += usize::from(platform && end.is_rebased());
                summary.executed += executed;
                summary.reused += reused;
                summary.bytes += bytes;
                self.took.insert(node, took);
            }
            End::Kept { .. } => summary.kept += usize::from(platform),
            End::Failed(_) => summary.failed += 1,
            End::Skipped { .. } => summary.skipped += usize::from(platform),
            End::Cancelled => {}
        }
        self.listener.event(&Event::NodeEnded { node, end: end.clone(), took });
        self.driven.ends.insert(node, end);
    }
}

/// The chain of built nodes that took longest, first to last.
fn longest(graph: &Graph, took: &HashMap<NodeId, Duration>) -> Vec<NodeId> {
    let mut best: HashMap<NodeId, (Duration, Option<NodeId>)> = HashMap::new();
    for node in graph.order().iter().filter(|n| took.contains_key(n)) {
        let before =
            graph.parents(*node).filter_map(|(p, _)| best.get(&p).map(|(sum, _)| (*sum, p))).max();
        let own = took.get(node).copied().unwrap_or_default();
        let (sum, from) = before.map_or((Duration::ZERO, None), |(sum, p)| (sum, Some(p)));
        best.insert(*node, (sum + own, from));
    }
    let mut at = best.iter().max_by_key(|(n, (sum, _))| (*sum, **n)).map(|(n, _)| *n);
    let mut chain = Vec::new();
    while let Some(node) = at {
        chain.push(node);
        at = best.get(&node).and_then(|(_, from)| *from);
    }
    chain.reverse();
    chain
}
