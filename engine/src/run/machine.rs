//! The scheduler as a pure state machine: `step(Input) -> Vec<Command>`.
//! Who carries the commands out is the driver; this file does no IO and reads no clock.

use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use crate::graph::{EdgeKind, Graph, NodeId};
use crate::plan::{Action, Plan};

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Start working.
    Start,
    /// A node has a result, built or kept.
    Done {
        /// The node.
        node: NodeId,
        /// Manifest or index digest.
        result: Arc<str>,
    },
    /// A node failed.
    Failed(NodeId),
    /// Start nothing more.
    Cancel,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Resolve the node, look its key up, build it if there is no result.
    Work(NodeId),
    /// Report the node as skipped because of another.
    Skip {
        /// The node.
        node: NodeId,
        /// The node that failed.
        because: NodeId,
    },
    /// Nothing is running and nothing can be started.
    Finish,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Waiting(usize),
    Queued,
    Running,
    Done(Arc<str>),
    Failed,
    Skipped,
}

/// How a run is limited.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nodes worked on at once, at least one.
    pub jobs: usize,
    /// Whether to go on after a failure with what does not depend on it.
    pub keep_going: bool,
}

/// The state of a run.
#[derive(Debug)]
pub struct Machine<'g> {
    graph: &'g Graph,
    limits: Limits,
    states: HashMap<NodeId, State>,
    ready: BinaryHeap<(u64, std::cmp::Reverse<NodeId>)>,
    weight: HashMap<NodeId, u64>,
    running: usize,
    stopped: bool,
    finished: bool,
    broken: Vec<(NodeId, NodeId)>,
}

impl<'g> Machine<'g> {
    /// A machine over the nodes of a plan. `cost` is the expected time of a node in
    /// milliseconds; the nodes with the longest way to the end start first.
    pub fn new(
        graph: &'g Graph,
        plan: &Plan,
        limits: Limits,
        cost: &dyn Fn(NodeId) -> u64,
    ) -> Self {
        let mut machine = Self {
            graph,
            limits: Limits { jobs: limits.jobs.max(1), ..limits },
            states: HashMap::with_capacity(plan.nodes.len()),
            ready: BinaryHeap::new(),
            weight: HashMap::with_capacity(plan.nodes.len()),
            running: 0,
            stopped: false,
            finished: false,
            broken: Vec::new(),
        };
        for planned in &plan.nodes {
            let state = match &planned.action {
                Action::Keep { result } => State::Done(result.clone()),
                Action::Refused => State::Failed,
                Action::Build | Action::Maybe => {
                    let open = graph
                        .parents(planned.node)
                        .filter(|(p, _)| matches!(machine.states.get(p), Some(s) if !matches!(s, State::Done(_))))
                        .count();
                    State::Waiting(open)
                }
            };
            machine.states.insert(planned.node, state);
        }
        for planned in plan.nodes.iter().rev() {
            let below = graph
                .children(planned.node)
                .filter_map(|(child, _)| machine.weight.get(&child))
                .max()
                .copied()
                .unwrap_or(0);
            let own = match planned.action {
                Action::Keep { .. } | Action::Refused => 0,
                _ => cost(planned.node).max(1),
            };
            machine.weight.insert(planned.node, below + own);
        }
        for planned in &plan.nodes {
            match machine.states.get(&planned.node) {
                Some(State::Waiting(0)) => machine.queue(planned.node),
                Some(State::Failed) => machine.broken.push((planned.node, planned.node)),
                _ => {}
            }
        }
        machine
    }

    /// The result of a node that is done.
    pub fn result(&self, node: NodeId) -> Option<&Arc<str>> {
        match self.states.get(&node) {
            Some(State::Done(result)) => Some(result),
            _ => None,
        }
    }

    /// Takes what happened and says what is to be done.
    pub fn step(&mut self, input: Input) -> Vec<Command> {
        let mut commands = Vec::new();
        match input {
            Input::Start => {
                let refused = std::mem::take(&mut self.broken);
                if !refused.is_empty() && !self.limits.keep_going {
                    self.stopped = true;
                }
                for (node, because) in refused {
                    self.skip_below(node, because, &mut commands);
                }
            }
            Input::Done { node, result } => {
                self.running = self.running.saturating_sub(1);
                self.states.insert(node, State::Done(result));
                let children: Vec<NodeId> = self.graph.children(node).map(|(c, _)| c).collect();
                for child in children {
                    if let Some(State::Waiting(open)) = self.states.get_mut(&child) {
                        *open = open.saturating_sub(1);
                        if *open == 0 {
                            self.queue(child);
                        }
                    }
                }
            }
            Input::Failed(node) => {
                self.running = self.running.saturating_sub(1);
                self.states.insert(node, State::Failed);
                self.stopped |= !self.limits.keep_going;
                self.skip_below(node, node, &mut commands);
            }
            Input::Cancel => self.stopped = true,
        }
        self.start(&mut commands);
        if self.running == 0 && (self.stopped || self.ready.is_empty()) && !self.finished {
            self.finished = true;
            commands.push(Command::Finish);
        }
        commands
    }

    fn start(&mut self, commands: &mut Vec<Command>) {
        while !self.stopped && self.running < self.limits.jobs {
            let Some((_, std::cmp::Reverse(node))) = self.ready.pop() else { break };
            self.states.insert(node, State::Running);
            self.running += 1;
            commands.push(Command::Work(node));
        }
    }

    fn queue(&mut self, node: NodeId) {
        self.states.insert(node, State::Queued);
        let weight = self.weight.get(&node).copied().unwrap_or(0);
        self.ready.push((weight, std::cmp::Reverse(node)));
    }

    fn skip_below(&mut self, node: NodeId, because: NodeId, commands: &mut Vec<Command>) {
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            let children: Vec<(NodeId, EdgeKind)> = self.graph.children(node).collect();
            for (child, _) in children {
                if let Some(State::Waiting(_)) = self.states.get(&child) {
                    self.states.insert(child, State::Skipped);
                    commands.push(Command::Skip { node: child, because });
                    open.push(child);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::select;
    use crate::graph::tests::sample;
    use crate::plan::{Planned, Reason};

    fn all_build(graph: &Graph) -> Plan {
        let selection = select(graph, &[], &[]).unwrap();
        Plan::of(selection.needed.iter().map(|n| Planned {
            node: *n,
            action: Action::Build,
            reason: Reason::NeverBuilt,
            key: None,
        }))
    }

    fn drive(machine: &mut Machine<'_>, graph: &Graph, fail: &str) -> (Vec<String>, Vec<String>) {
        let mut commands = machine.step(Input::Start);
        let (mut worked, mut skipped) = (vec![], vec![]);
        while let Some(command) = commands.pop() {
            match command {
                Command::Work(node) => {
                    let name = graph.name(node);
                    worked.push(name.clone());
                    let input = if name == fail {
                        Input::Failed(node)
                    } else {
                        Input::Done { node, result: name.into() }
                    };
                    commands.extend(machine.step(input));
                }
                Command::Skip { node, .. } => skipped.push(graph.name(node)),
                Command::Finish => {}
            }
        }
        (worked, skipped)
    }

    #[test]
    fn works_on_everything_once_in_order() {
        let g = sample();
        let plan = all_build(&g);
        let mut m = Machine::new(&g, &plan, Limits { jobs: 2, keep_going: false }, &|_| 1);
        let (worked, skipped) = drive(&mut m, &g, "");
        assert_eq!(worked.len(), g.len());
        assert!(skipped.is_empty());
        let at = |n: &str| worked.iter().position(|w| w == n).unwrap();
        assert!(at("base@linux/amd64") < at("app@linux/amd64"));
        assert!(at("app@linux/amd64") < at("tool@linux/amd64"));
    }

    #[test]
    fn a_failure_skips_only_what_depends_on_it() {
        let g = sample();
        let plan = all_build(&g);
        let mut m = Machine::new(&g, &plan, Limits { jobs: 2, keep_going: true }, &|_| 1);
        let (worked, mut skipped) = drive(&mut m, &g, "app@linux/amd64");
        skipped.sort();
        assert_eq!(skipped, ["app", "tool", "tool@linux/amd64"]);
        assert!(worked.contains(&"app@linux/arm64".to_owned()));
    }

    #[test]
    fn without_keep_going_nothing_new_starts_after_a_failure() {
        let g = sample();
        let plan = all_build(&g);
        let mut m = Machine::new(&g, &plan, Limits { jobs: 1, keep_going: false }, &|_| 1);
        let (worked, _) = drive(&mut m, &g, "base@linux/amd64");
        assert_eq!(worked, ["base@linux/amd64"]);
    }

    #[test]
    fn the_longest_way_starts_first_and_jobs_are_limited() {
        let g = sample();
        let plan = all_build(&g);
        let mut m = Machine::new(&g, &plan, Limits { jobs: 1, keep_going: false }, &|_| 10);
        let first = m.step(Input::Start);
        assert_eq!(first.len(), 1);
        let Command::Work(node) = first[0] else { panic!("{first:?}") };
        assert_eq!(g.name(node), "base@linux/amd64");
    }
}
