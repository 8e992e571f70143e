//! The stages of a spec: each as soon as those it needs are done, several at once.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::stage::{self, Ended};
use super::{Native, Stop};
use crate::exec::{Built, Knobs};
use crate::spec::BuildSpec;

/// Stages of one build that are worked on at once. How many programs run at once is decided
/// elsewhere.
const MOST: usize = 8;

/// Where all workers look.
struct Board<'a> {
    native: &'a Native,
    spec: &'a BuildSpec,
    knobs: &'a Knobs,
    /// What each stage waits for, each once.
    needs: Vec<BTreeSet<usize>>,
    /// Who waits for each stage.
    users: Vec<Vec<usize>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<usize>,
    /// How many stages each one still waits for.
    waiting: Vec<usize>,
    done: Vec<Option<Arc<Ended>>>,
    left: usize,
    stop: Option<Stop>,
    built: Built,
}

/// Builds all stages; gives the last one, and what was done for all of them.
pub(super) fn build(
    native: &Native,
    spec: &BuildSpec,
    knobs: &Knobs,
) -> Result<(Arc<Ended>, Built), Stop> {
    let needs: Vec<BTreeSet<usize>> = spec.stages.iter().map(|s| s.needs().collect()).collect();
    let count = spec.stages.len();
    let waiting: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let ready = (0..count).filter(|at| waiting.get(*at) == Some(&0)).collect();
    let state = State { ready, waiting, done: vec![None; count], left: count, ..State::default() };
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (user, needs) in needs.iter().enumerate() {
        for need in needs {
            if let Some(list) = users.get_mut(*need) {
                list.push(user);
            }
        }
    }
    let (state, changed) = (Mutex::new(state), Condvar::new());
    let board = Board { native, spec, knobs, needs, users, state, changed };
    std::thread::scope(|scope| {
        for _ in 1..count.min(MOST) {
            scope.spawn(|| board.work());
        }
        board.work();
    });
    let State { stop, mut done, built, .. } =
        board.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match (stop, done.pop().flatten()) {
        (Some(stop), _) => Err(stop),
        (None, Some(last)) => Ok((last, built)),
        (None, None) => Err(crate::exec::Fault::step("there is no stage to build").into()),
    }
}

impl Board<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes stages until none is left or one has failed.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if state.left == 0 || state.stop.is_some() {
                return;
            }
            let Some(at) = state.ready.pop_front() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let needs = self.needs.get(at).into_iter().flatten();
            let done: HashMap<usize, Arc<Ended>> =
                needs.filter_map(|need| Some((*need, state.done.get(*need)?.clone()?))).collect();
            drop(state);
            let is_over = || self.lock().stop.is_some();
            let ended = stage::build(self.native, self.spec, at, &done, self.knobs, &is_over);
            state = self.lock();
            self.ended(&mut state, at, ended);
            self.changed.notify_all();
        }
    }

    fn ended(&self, state: &mut State, at: usize, ended: Result<(Ended, Built), Stop>) {
        state.left = state.left.saturating_sub(1);
        let (ended, built) = match ended {
            Ok(ended) => ended,
            Err(stop) => {
                // The first failure is the cause; others may only be its echo.
                if !matches!(state.stop, Some(Stop::Fault(_))) {
                    state.stop = Some(stop);
                }
                return;
            }
        };
        state.built.add(&built);
        if let Some(place) = state.done.get_mut(at) {
            *place = Some(Arc::new(ended));
        }
        for user in self.users.get(at).into_iter().flatten() {
            if let Some(waiting) = state.waiting.get_mut(*user) {
                *waiting = waiting.saturating_sub(1);
                if *waiting == 0 {
                    state.ready.push_back(*user);
                }
            }
        }
    }
}
