//! The full search, for requests where the walk finds no way: finds a choice if there is one, and
//! the reason if there is none.

use super::SolveError;
use super::explain::explain;
use super::world::{GroupId, Node, World};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    Interner, KnownDependencies, NameId, Problem, Requirement, SolvableId, Solver, SolverCache,
    StringId, UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::Display;

/// Rounds of the solver before it is stopped, beside those for each node: room for conflicts, of
/// which a real archive has some dozen.
const MAX_ROUNDS: usize = 4_000;
/// Rounds that each node may take: to be looked up, and to be decided on some times.
const ROUNDS_OF_NODE: usize = 8;

/// The world as resolvo sees it.
///
/// A version set is either one node (even numbers) or all of a name but one node (odd numbers),
/// and a union is a group, so nothing has to be kept beside the world.
pub(super) struct Provider<'w, 'i, 'r> {
    world: &'w RefCell<World<'i, 'r>>,
    faults: RefCell<Vec<String>>,
    rounds: Cell<usize>,
}

/// Finds a choice that holds the installed packages, in one version or the other, and one node of
/// each group of `roots`.
pub(super) fn search<'i: 'r, 'r>(
    world: &RefCell<World<'i, 'r>>,
    roots: &[GroupId],
) -> Result<Vec<Node>, SolveError> {
    let provider = Provider { world, faults: RefCell::default(), rounds: Cell::new(0) };
    let requirements = roots.iter().map(|group| require(*group)).collect();
    let mut solver = Solver::new(provider);
    let solved = solver.solve(Problem::new().requirements(requirements));
    if world.borrow().is_exhausted() {
        return Err(SolveError::TooComplex);
    }
    match solved {
        Ok(nodes) => Ok(nodes.into_iter().map(SolvableId::into_raw).collect()),
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
            let graph = conflict.graph(&solver);
            let faults = solver.provider().faults.borrow();
            Err(SolveError::Unsatisfiable(explain(&graph, &mut world.borrow_mut(), &faults)))
        }
        Err(UnsolvableOrCancelled::Cancelled(_)) => Err(SolveError::TooComplex),
    }
}

fn require(group: GroupId) -> ConditionalRequirement {
    Requirement::from(VersionSetUnionId(group)).into()
}

fn only(node: Node) -> VersionSetId {
    VersionSetId(node * 2)
}

fn all_but(node: Node) -> VersionSetId {
    VersionSetId(node * 2 + 1)
}

/// Gives the node that a version set is about.
pub(super) fn node_of(set: VersionSetId) -> Node {
    set.0 / 2
}

impl<'i: 'r, 'r> Interner for Provider<'_, 'i, 'r> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        self.world.borrow().title(solvable.into_raw())
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.world.borrow().name(name.into_raw())
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        self.world.borrow().title(node_of(set))
    }

    fn display_string(&self, string: StringId) -> impl Display + '_ {
        self.faults.borrow().get(string.0 as usize).cloned().unwrap_or_default()
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        NameId::from_raw(self.world.borrow().name_of(node_of(set)))
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        NameId::from_raw(self.world.borrow().name_of(solvable.into_raw()))
    }

    fn version_sets_in_union(
        &self,
        union: VersionSetUnionId,
    ) -> impl Iterator<Item = VersionSetId> {
        let options: Vec<_> =
            self.world.borrow().options(union.0).iter().map(|n| only(*n)).collect();
        options.into_iter()
    }

    fn resolve_condition(&self, _: ConditionId) -> Condition {
        // No requirement has a condition, so this is never asked.
        Condition::Requirement(VersionSetId::default())
    }
}

impl<'i: 'r, 'r> DependencyProvider for Provider<'_, 'i, 'r> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let is_only = set == only(node_of(set));
        let kept = |id: &SolvableId| ((id.into_raw() == node_of(set)) == is_only) != inverse;
        candidates.iter().copied().filter(kept).collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates<SolvableId>> {
        let candidates =
            self.world.borrow().nodes_of(name.into_raw()).map(SolvableId::from_raw).collect();
        Some(Candidates { candidates, ..Candidates::default() })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, _: &mut [SolvableId]) {
        // A version set that is required has one node; the order is that of the group.
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let relations = self.world.borrow_mut().relations(solvable.into_raw());
        if let Some(fault) = &relations.fault {
            let mut faults = self.faults.borrow_mut();
            faults.push(fault.clone());
            return Dependencies::Unknown(StringId(faults.len() as u32 - 1));
        }
        Dependencies::Known(KnownDependencies {
            requirements: relations.needs.iter().map(|group| require(*group)).collect(),
            constrains: relations.hits.iter().map(|hit| all_but(*hit)).collect(),
        })
    }

    fn should_cancel_with_value(&self) -> Option<Box<dyn Any>> {
        let rounds = self.rounds.get() + 1;
        self.rounds.set(rounds);
        let world = self.world.borrow();
        let over = rounds > MAX_ROUNDS + ROUNDS_OF_NODE * world.size() || world.is_exhausted();
        over.then(|| Box::new(()) as Box<dyn Any>)
    }
}
