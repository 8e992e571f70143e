//! Exit codes. Whoever makes a [`Stop`] has told the reason before.

use std::collections::HashMap;

use mabuild_engine::event::{End, FailureKind, Summary};
use mabuild_engine::graph::NodeId;
use mabuild_engine::ops::ErrorKind;
use mabuild_engine::plan::{Plan, Reason};

/// A node failed, or this machine lacks something.
pub const FAILED: u8 = 1;
/// The call or the file is wrong; for `graph plan --exit-code`, something is stale.
pub const USAGE: u8 = 2;
/// An upstream could not be reached.
pub const UPSTREAM: u8 = 3;
/// Stopped by a signal.
pub const INTERRUPTED: u8 = 130;

/// Ends the program with an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop(pub u8);

/// The exit code of an error of the engine.
pub fn of_error(kind: ErrorKind) -> Stop {
    Stop(match kind {
        ErrorKind::User => USAGE,
        ErrorKind::Environment | ErrorKind::Bug => FAILED,
        ErrorKind::Upstream => UPSTREAM,
    })
}

/// How a run ended: a failed step weighs more than a mistake in the file, that more than an
/// upstream out of reach.
pub fn of_run(plan: &Plan, ends: &HashMap<NodeId, End>, summary: &Summary) -> Result<(), Stop> {
    if summary.interrupted {
        return Err(Stop(INTERRUPTED));
    }
    let codes = ends.iter().filter_map(|(node, end)| match end {
        End::Failed(failure) => Some(match plan.get(*node).map(|planned| &planned.reason) {
            Some(Reason::Unknowable { blames_upstream: false, .. }) => USAGE,
            _ if failure.kind == FailureKind::Upstream => UPSTREAM,
            _ => FAILED,
        }),
        _ => None,
    });
    codes.min().map_or(Ok(()), |code| Err(Stop(code)))
}

/// The exit code of a plan with nodes whose inputs cannot be found out.
pub fn of_plan(plan: &Plan) -> Result<(), Stop> {
    let codes = plan.nodes.iter().filter_map(|planned| match &planned.reason {
        Reason::Unknowable { blames_upstream: true, .. } => Some(UPSTREAM),
        Reason::Unknowable { blames_upstream: false, .. } => Some(USAGE),
        _ => None,
    });
    codes.min().map_or(Ok(()), |code| Err(Stop(code)))
}

#[cfg(test)]
mod tests {
    use mabuild_engine::event::Failure;

    use super::*;

    fn failed(kind: FailureKind) -> End {
        let message = String::new();
        End::Failed(Failure { kind, message, span: None, tail: vec![], log: None, point: None })
    }

    #[test]
    fn a_failed_step_weighs_more_than_an_upstream() {
        let plan = Plan::default();
        let code = |ends: &[(u32, FailureKind)], interrupted| {
            let ends = ends.iter().map(|(n, kind)| (NodeId(*n), failed(*kind))).collect();
            of_run(&plan, &ends, &Summary { interrupted, ..Summary::default() })
        };
        let (step, upstream) = (FailureKind::Step, FailureKind::Upstream);
        assert_eq!(code(&[], false), Ok(()));
        assert_eq!(code(&[(1, upstream)], false), Err(Stop(3)));
        assert_eq!(code(&[(1, upstream), (2, step)], false), Err(Stop(1)));
        assert_eq!(code(&[(1, step)], true), Err(Stop(130)));
    }
}
