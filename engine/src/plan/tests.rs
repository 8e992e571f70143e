use std::collections::HashMap;

use mabuild_lang::platform::Platform;
use mabuild_lang::source::{FileId, Span};

use super::*;
use crate::facts::{DebianPin, DebianVariant, PackagePin, PackageSet, Pin};
use crate::graph::{Builder, EdgeKind, ThingKind, select};
use crate::spec::{Command, Op, Run, Settings, Source, Spec, Stage, Step};

impl Specs for HashMap<NodeId, Result<DraftSpec, SpecError>> {
    fn spec(&self, node: NodeId, _: Known<'_>) -> Result<DraftSpec, SpecError> {
        self[&node].clone()
    }

    fn is_doubtful(&self, node: NodeId) -> bool {
        self[&node].is_err()
    }
}

#[derive(Default)]
struct Memory {
    results: HashMap<Key, Arc<str>>,
    records: HashMap<String, Record>,
    is_published: bool,
}

impl History for Memory {
    fn result(&self, key: &Key) -> Option<Arc<str>> {
        self.results.get(key).cloned()
    }

    fn is_published(&self, _: NodeId) -> bool {
        self.is_published
    }

    fn last(&self, node: &str) -> Option<Record> {
        self.records.get(node).cloned()
    }
}

/// base ← mid ← top on one platform.
struct World {
    graph: Graph,
    selection: Selection,
    specs: HashMap<NodeId, Result<DraftSpec, SpecError>>,
    memory: Memory,
}

const SPAN: Span = Span { file: FileId(0), start: 0, end: 0 };

fn spec(source: Source<crate::spec::Draft>, run: &str) -> DraftSpec {
    let platform = Platform::parse("linux/amd64").unwrap();
    let op = Op::Run(Box::new(Run::of(Command::Shell(run.into()))));
    let step = Step { span: SPAN, text: None, op };
    Spec {
        platform: platform.clone(),
        source_date: None,
        stages: vec![Stage::of(platform, source, vec![step])],
        settings: Settings::default(),
        watched: Vec::new(),
    }
}

fn pin(version: &str) -> Source<crate::spec::Draft> {
    let package = PackagePin {
        name: "busybox".into(),
        version: version.into(),
        arch: "amd64".into(),
        sha256: format!("{version}-sum"),
        size: 1,
        archive: 0,
        path: "pool/x.deb".into(),
    };
    let set = PackageSet { packages: vec![package], ..PackageSet::default() };
    let variant = DebianVariant::Extract;
    Source::Upstream(Arc::new(Pin::Debian(DebianPin { variant, trim: Vec::new(), set })))
}

impl World {
    fn new() -> Self {
        let platforms = [Platform::parse("linux/amd64").unwrap()];
        let mut b = Builder::default();
        let base = b.thing("base".into(), ThingKind::Base, &platforms, vec![], vec![]);
        let mid = b.thing("mid".into(), ThingKind::Image, &platforms, vec![], vec![]);
        let top = b.thing("top".into(), ThingKind::Image, &platforms, vec![], vec![]);
        b.edge(base, mid, EdgeKind::From);
        b.edge(mid, top, EdgeKind::From);
        let graph = b.build().unwrap();
        let selection = select(&graph, &[], &[]).unwrap();
        let at = |name: &str| graph.parts(graph.find(name).unwrap()).next().unwrap();
        let specs = HashMap::from([
            (at("base"), Ok(spec(pin("1"), ""))),
            (at("mid"), Ok(spec(Source::Parent(at("base")), "mid"))),
            (at("top"), Ok(spec(Source::Parent(at("mid")), "top"))),
        ]);
        Self { graph, selection, specs, memory: Memory::default() }
    }

    fn at(&self, name: &str) -> NodeId {
        self.graph.parts(self.graph.find(name).unwrap()).next().unwrap()
    }

    fn plan(&self, forced: Option<NodeId>) -> Plan {
        plan(
            &self.graph,
            &Request {
                selection: &self.selection,
                specs: &self.specs,
                history: &self.memory,
                forced: &|n| Some(n) == forced,
            },
        )
    }

    /// Builds everything; the result of a node is `give(name)`.
    fn build(&mut self, give: &dyn Fn(&str) -> String) {
        loop {
            let plan = self.plan(None);
            let Some(next) = plan.nodes.iter().find(|n| n.action == Action::Build) else { return };
            let name = self.graph.name(next.node);
            let key = next.key.unwrap();
            self.memory.results.insert(key, give(&name).into());
            if let Some(Ok(draft)) = self.specs.get(&next.node) {
                let result = |p| match plan.get(p).map(|p| &p.action) {
                    Some(Action::Keep { result }) => Ok(result.clone()),
                    _ => Err(p),
                };
                let record = Record::of(&resolve(draft.clone(), &result).unwrap());
                self.memory.records.insert(name, record);
            }
        }
    }

    fn show(&self, plan: &Plan) -> Vec<String> {
        let word = |a: &Action| match a {
            Action::Keep { .. } => "keep",
            Action::Build => "build",
            Action::Maybe => "maybe",
            Action::Refused => "refused",
        };
        ["base", "mid", "top"]
            .iter()
            .map(|n| format!("{n} {}", word(&plan.get(self.at(n)).unwrap().action)))
            .collect()
    }
}

#[test]
fn what_is_below_a_stale_node_is_maybe() {
    let w = World::new();
    let plan = w.plan(None);
    assert_eq!(w.show(&plan), ["base build", "mid maybe", "top maybe"]);
    assert_eq!(plan.get(w.at("base")).unwrap().reason, Reason::NeverBuilt);
    assert_eq!(plan.get(w.at("top")).unwrap().reason, Reason::Waits(w.at("mid")));
}

#[test]
fn a_second_plan_keeps_everything() {
    let mut w = World::new();
    w.build(&|n| format!("sha256:{n}"));
    assert!(w.plan(None).is_clean());
}

#[test]
fn a_base_that_comes_out_equal_wakes_no_child() {
    let mut w = World::new();
    w.build(&|n| format!("sha256:{n}"));
    w.specs.insert(w.at("base"), Ok(spec(pin("2"), "")));
    let plan = w.plan(None);
    assert_eq!(w.show(&plan), ["base build", "mid maybe", "top maybe"]);
    let Reason::Changed(changes) = &plan.get(w.at("base")).unwrap().reason else {
        panic!("not a change")
    };
    assert_eq!(changes[0].field, "packages.busybox.version");
    assert_eq!(changes[0].before.as_deref(), Some("1"));
    w.build(&|n| format!("sha256:{n}"));
    assert!(w.plan(None).is_clean());
    assert_eq!(w.memory.results.len(), 6 + 2, "the base and its index alone are new");
}

#[test]
fn a_base_that_comes_out_different_wakes_its_children() {
    let mut w = World::new();
    w.build(&|n| format!("sha256:{n}"));
    w.specs.insert(w.at("base"), Ok(spec(pin("2"), "")));
    w.build(&|n| format!("sha256:{n}-2"));
    let plan = w.plan(None);
    assert!(plan.is_clean());
    assert_eq!(w.memory.results.len(), 2 * (3 + 3));
}

#[test]
fn what_was_built_elsewhere_is_told_once_it_is_known() {
    let mut w = World::new();
    w.build(&|n| format!("sha256:{n}"));
    w.memory.is_published = true;
    let records = std::mem::take(&mut w.memory.records);
    let (base, mid) = (w.at("base"), w.at("mid"));
    w.specs.insert(mid, Ok(spec(Source::Parent(base), "other")));
    let mut plan = w.plan(None);
    assert_eq!(built_elsewhere(&plan), [mid]);
    retell(&w.graph, &mut plan, &w.specs, &w.memory);
    assert_eq!(plan.get(mid).unwrap().reason, Reason::Elsewhere);

    w.memory.records = records;
    retell(&w.graph, &mut plan, &w.specs, &w.memory);
    let Reason::Changed(changes) = &plan.get(mid).unwrap().reason else { panic!("not a change") };
    assert_eq!(changes[0].field, "steps[0].shell");
    assert_eq!(w.show(&plan), ["base keep", "mid build", "top maybe"]);

    // The same inputs under another key are no reason.
    let draft = resolve(w.specs[&mid].clone().unwrap(), &|p| plan.result(p).ok_or(p)).unwrap();
    w.memory.records.insert(w.graph.name(mid), Record::of(&draft));
    let mut plan = w.plan(None);
    plan.nodes.iter_mut().find(|n| n.node == mid).unwrap().reason = Reason::Elsewhere;
    retell(&w.graph, &mut plan, &w.specs, &w.memory);
    assert_eq!(plan.get(mid).unwrap().reason, Reason::Elsewhere);
}

#[test]
fn an_edit_undone_finds_the_earlier_result() {
    let mut w = World::new();
    w.build(&|n| format!("sha256:{n}"));
    let mid = w.at("mid");
    let before = w.specs.insert(mid, Ok(spec(Source::Parent(w.at("base")), "other"))).unwrap();
    assert_eq!(w.show(&w.plan(None)), ["base keep", "mid build", "top maybe"]);
    w.build(&|n| format!("sha256:{n}-other"));
    w.specs.insert(mid, before);
    assert!(w.plan(None).is_clean());
}

#[test]
fn the_place_a_package_is_fetched_from_and_spans_are_in_no_key() {
    let mut w = World::new();
    w.build(&|n| format!("sha256:{n}"));
    let mut moved = spec(pin("1"), "");
    if let Source::Upstream(pin) = &mut moved.stages[0].source
        && let Pin::Debian(debian) = Arc::make_mut(pin)
    {
        debian.set.packages[0].path = "pool/y.deb".into();
    }
    moved.stages[0].steps[0].span.start = 17;
    w.specs.insert(w.at("base"), Ok(moved));
    assert!(w.plan(None).is_clean());
}

#[test]
fn force_builds_what_is_up_to_date() {
    let mut w = World::new();
    w.build(&|n| format!("sha256:{n}"));
    let plan = w.plan(Some(w.at("mid")));
    assert_eq!(w.show(&plan), ["base keep", "mid build", "top maybe"]);
    assert_eq!(plan.get(w.at("mid")).unwrap().reason, Reason::Forced);
}

#[test]
fn what_cannot_be_known_refuses_all_that_is_below() {
    let mut w = World::new();
    let error = SpecError { message: "gone".into(), span: None, blames_upstream: true };
    w.specs.insert(w.at("mid"), Err(error));
    let plan = w.plan(None);
    assert_eq!(w.show(&plan), ["base build", "mid refused", "top refused"]);
    assert_eq!(plan.get(w.at("top")).unwrap().reason, Reason::Below(w.at("mid")));
}

/// Why a node that waits would be stale by itself, as `field: before → now`.
fn own_changes(w: &World, name: &str) -> Vec<String> {
    let plan = w.plan(None);
    assert_eq!(plan.get(w.at(name)).unwrap().action, Action::Maybe);
    let own = own(&w.graph, &plan, &w.specs, &w.memory);
    match own.get(&w.at(name)) {
        None => Vec::new(),
        Some(Reason::Changed(changes)) => {
            let text = |value: &Option<String>| value.clone().unwrap_or_default();
            let line = |c: &Change| format!("{}: {} → {}", c.field, text(&c.before), text(&c.now));
            changes.iter().map(line).collect()
        }
        Some(other) => vec![format!("{other:?}")],
    }
}

#[test]
fn a_node_that_waits_knows_its_own_changes() {
    let mut w = World::new();
    w.build(&|n| format!("sha256:{n}"));
    w.specs.insert(w.at("base"), Ok(spec(pin("2"), "")));
    assert_eq!(own_changes(&w, "mid"), [""; 0]);
    let mut top = spec(Source::Parent(w.at("mid")), "top");
    top.settings.user = Some("app".into());
    w.specs.insert(w.at("top"), Ok(top));
    assert_eq!(own_changes(&w, "top"), ["user:  → app"]);
    assert_eq!(own_changes(&w, "mid"), [""; 0]);
    w.memory.records.remove("mid@linux/amd64");
    assert_eq!(own_changes(&w, "mid"), ["NeverBuilt"]);
}

#[test]
fn a_parent_that_is_new_is_an_own_change_and_one_that_waits_is_none() {
    let mut w = World::new();
    let copy = |from: NodeId| {
        let sources = vec!["/x".to_owned()];
        let image = crate::spec::Image::Parent(from);
        let input = crate::spec::Input::Image { image, sources: sources.clone() };
        let copy = crate::spec::Copy::of(vec![input], sources, "/x");
        Step { span: SPAN, text: None, op: Op::Copy(Box::new(copy)) }
    };
    let (base, mid) = (w.at("base"), w.at("mid"));
    let mut top = spec(Source::Scratch, "top");
    top.stages[0].steps = vec![copy(mid)];
    w.specs.insert(w.at("top"), Ok(top.clone()));
    w.build(&|n| format!("sha256:{n}"));
    // The copy moves behind a new one, and what was made from nothing stands on a node now.
    top.stages[0].source = Source::Parent(mid);
    let new = spec(Source::Scratch, "new").stages[0].steps.remove(0);
    top.stages[0].steps.insert(0, new);
    w.specs.insert(w.at("top"), Ok(top));
    w.specs.insert(base, Ok(spec(pin("2"), "")));
    assert_eq!(
        own_changes(&w, "top"),
        [
            "from: scratch → not built yet",
            "steps[0]:  → run",
            "steps[0].shell:  → new",
            "steps[0].network:  → 1",
        ]
    );
}

#[test]
fn an_unknown_spec_counts_before_a_parent_that_waits() {
    let mut w = World::new();
    let error = SpecError { message: "gone".into(), span: None, blames_upstream: true };
    w.specs.insert(w.at("top"), Err(error));
    let plan = w.plan(None);
    assert_eq!(w.show(&plan), ["base build", "mid maybe", "top refused"]);
    assert!(matches!(plan.get(w.at("top")).unwrap().reason, Reason::Unknowable { .. }));
}

/// Chains of three over one base, so many that no level is planned in one piece.
#[test]
fn many_nodes_are_planned_as_one_by_one() {
    const CHAINS: u32 = SHARE as u32 * 3 + 1;
    let platforms = [Platform::parse("linux/amd64").unwrap()];
    let mut b = Builder::default();
    let base = b.thing("base".into(), ThingKind::Base, &platforms, vec![], vec![]);
    for chain in 0..CHAINS {
        let mut below = base;
        for level in 0..3 {
            let name = format!("{chain}-{level}").into();
            let thing = b.thing(name, ThingKind::Image, &platforms, vec![], vec![]);
            b.edge(below, thing, EdgeKind::From);
            below = thing;
        }
    }
    let graph = b.build().unwrap();
    let selection = select(&graph, &[], &[]).unwrap();
    let specs: HashMap<_, _> = (0..graph.len() as u32)
        .map(NodeId)
        .filter(|node| graph.platform(*node).is_some())
        .map(|node| {
            let below = graph.parents(node).next().map(|(parent, _)| Source::Parent(parent));
            (node, Ok(spec(below.unwrap_or_else(|| pin("1")), &graph.name(node))))
        })
        .collect();
    let mut memory = Memory::default();
    // A level gets its results in each round; at the end one node of the second level lacks its.
    for round in 0.. {
        let request =
            Request { selection: &selection, specs: &specs, history: &memory, forced: &|_| false };
        let plan = plan(&graph, &request);
        assert_eq!(plan.nodes.len(), graph.len());
        for (at, planned) in plan.nodes.iter().enumerate() {
            assert_eq!(plan.get(planned.node).map(|p| p.node), Some(planned.node));
            let planned_before = |node| plan.nodes[..at].iter().any(|p| p.node == node);
            if at % 97 == 0 {
                assert!(graph.parents(planned.node).all(|(parent, _)| planned_before(parent)));
            }
        }
        if plan.is_clean() {
            assert_eq!(round, 5, "the base, three levels, and each with its index");
            break;
        }
        let built = plan.nodes.iter().filter(|n| n.action == Action::Build && n.key.is_some());
        let results: Vec<_> = built.map(|n| (n.key.unwrap(), graph.name(n.node).into())).collect();
        memory.results.extend(results);
    }
    let missing = graph.parts(graph.find("200-1").unwrap()).next().unwrap();
    memory.results.retain(|_, result| **result != *graph.name(missing));
    let request =
        Request { selection: &selection, specs: &specs, history: &memory, forced: &|_| false };
    let plan = plan(&graph, &request);
    let stale: Vec<_> =
        plan.nodes.iter().filter(|n| !matches!(n.action, Action::Keep { .. })).collect();
    let mut names: Vec<String> = stale.iter().map(|n| graph.name(n.node)).collect();
    names.sort();
    assert_eq!(names, ["200-1", "200-1@linux/amd64", "200-2", "200-2@linux/amd64"]);
}
