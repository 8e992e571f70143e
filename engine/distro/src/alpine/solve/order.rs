//! Walks along the dependencies: how deep they go, and in which order packages are installed.

use super::universe::{CandidateId, NameId, Need, Universe};

/// Gives for every name that can be reached how long the chain of dependencies below it is.
///
/// In a circle the length depends on where the walk comes in, which is the same every time.
pub(super) fn depths(universe: &Universe, goals: &[Need]) -> Vec<u32> {
    let mut depths = vec![0_u32; universe.name_count()];
    let mut below = vec![None::<u32>; universe.candidates.len()];
    let mut seen = vec![false; universe.name_count()];
    for (root, _) in goals {
        // A name, the place in its providers, the place in that provider's needs.
        let mut stack = vec![(*root, 0_usize, 0_usize)];
        while let Some((name, provider, need)) = stack.last_mut() {
            if let Some(seen) = seen.get_mut(*name) {
                *seen = true;
            }
            let Some(id) = universe.providers(*name).get(*provider).map(|one| one.candidate) else {
                stack.pop();
                continue;
            };
            let needs = universe.candidate(id).map_or(&[][..], |one| &one.needs);
            let Some(depth) = below.get_mut(id) else { break };
            if *need == 0 && depth.is_some() {
                *need = needs.len() + 1;
            }
            let depth = depth.get_or_insert(0);
            if let Some((done, _)) = need.checked_sub(1).and_then(|at| needs.get(at)) {
                *depth = (*depth).max(depths.get(*done).map_or(0, |depth| depth + 1));
            }
            match needs.get(*need) {
                Some((next, _)) => {
                    *need += 1;
                    if seen.get(*next) == Some(&false) {
                        stack.push((*next, 0, 0));
                    }
                }
                None => {
                    if let Some(own) = depths.get_mut(*name) {
                        *own = (*own).max(*depth);
                    }
                    (*provider, *need) = (*provider + 1, 0);
                }
            }
        }
    }
    depths
}

/// A place in the walk of [`install_order`].
enum Step {
    Enter(CandidateId),
    Leave(CandidateId),
}

/// Orders chosen packages so that each comes after what it needs, as far as there are no circles,
/// and what comes along after the first need of its conditions that is met when the walk has begun
/// with all of them, as apk does.
pub(super) fn install_order(
    universe: &Universe,
    goals: &[Need],
    chosen: &[CandidateId],
) -> Vec<CandidateId> {
    let is_chosen = |id: &CandidateId| chosen.binary_search(id).is_ok();
    let provider = |name: NameId| {
        let mut all = universe.providers(name).iter().map(|one| one.candidate);
        all.find(is_chosen)
    };
    let mut entered = vec![false; universe.candidates.len()];
    let mut order = Vec::with_capacity(chosen.len());
    let roots = goals.iter().filter_map(|(name, _)| provider(*name)).chain(chosen.iter().copied());
    for root in roots {
        let mut stack = vec![Step::Enter(root)];
        while let Some(step) = stack.pop() {
            match step {
                Step::Enter(id) => {
                    let Some(seen) = entered.get_mut(id).filter(|seen| !**seen) else {
                        continue;
                    };
                    *seen = true;
                    stack.push(Step::Leave(id));
                    let needs = universe.candidate(id).map_or(&[][..], |one| &one.needs);
                    let below = needs.iter().rev().filter_map(|(name, _)| provider(*name));
                    stack.extend(below.map(Step::Enter));
                }
                Step::Leave(id) => {
                    order.push(id);
                    let woken =
                        universe.candidate(id).map_or(&[][..], |one| universe.wakes(one.name));
                    let ready = |woken: &CandidateId| {
                        let conditions = universe.candidate(*woken).map(|one| &one.install_if);
                        is_chosen(woken)
                            && conditions.into_iter().flatten().all(|(name, need)| {
                                let by = provider(*name);
                                need.conflict || by.is_some_and(|by| entered.get(by) == Some(&true))
                            })
                    };
                    let woken = woken.iter().rev().copied().filter(ready);
                    stack.extend(woken.map(Step::Enter));
                }
            }
        }
    }
    order
}
