//! A small graph with a plan for the tests of all reports.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_lang::source::{FileId, Span};

use crate::graph::{Builder, EdgeKind, Graph, NodeId, Selection, ThingKind, select};
use crate::key::{Key, Record, key};
use crate::plan::{History, Plan, Request, SpecError, plan, resolve};
use crate::spec::{DraftSpec, Op, Settings, Source, Spec, Stage, Step};

/// busybox → tools → httpd (which also copies from busybox); other. Two platforms each.
pub fn graph() -> Graph {
    let both = ["linux/amd64", "linux/arm64"].map(|p| Platform::parse(p).unwrap());
    let mut b = Builder::default();
    let tag = || vec!["latest".to_owned()];
    let busybox = b.thing("busybox".into(), ThingKind::Base, &both, vec![], tag());
    let other = b.thing("other".into(), ThingKind::Base, &both, vec![], tag());
    let tools = b.thing("tools".into(), ThingKind::Image, &both, vec!["all".into()], tag());
    let httpd = b.thing("httpd".into(), ThingKind::Image, &both, vec!["all".into()], tag());
    b.edge(busybox, tools, EdgeKind::From);
    b.edge(busybox, httpd, EdgeKind::CopyFrom);
    b.edge(tools, httpd, EdgeKind::From);
    let _ = other;
    b.build().unwrap()
}

/// What an earlier run left.
#[derive(Default)]
pub struct Remembered {
    edited: Option<&'static str>,
    missing: HashSet<Key>,
    records: HashMap<String, Record>,
}

impl Remembered {
    /// A store that has everything.
    pub fn everything() -> Self {
        Self::default()
    }

    /// A store that has everything but a base (`name` or `name@platform`) that was edited since.
    pub fn after_edit_of(base: &'static str) -> Self {
        Self { edited: Some(base), ..Self::default() }
    }
}

impl History for Remembered {
    fn result(&self, key: &Key) -> Option<Arc<str>> {
        (!self.missing.contains(key)).then(|| format!("sha256:{}", key.hex()).into())
    }

    fn last(&self, node: &str) -> Option<Record> {
        self.records.get(node).cloned()
    }
}

fn draft(graph: &Graph, node: NodeId, edited: bool) -> DraftSpec {
    let name = graph.thing(graph.node(node).thing).name.to_string();
    let parents: Vec<NodeId> = graph
        .parents(node)
        .filter(|(_, kind)| *kind == EdgeKind::From)
        .map(|(parent, _)| parent)
        .collect();
    let span = Span { file: FileId(0), start: 0, end: 0 };
    let content = if edited { "old".to_owned() } else { name };
    let pair = || ("a".to_owned(), "1".to_owned());
    let platform = graph.platform(node).unwrap().clone();
    let source = parents.first().map_or(Source::Scratch, |p| Source::Parent(*p));
    let op = Op::File { path: "/a".into(), content, owner: None, mode: None };
    Spec {
        platform: platform.clone(),
        source_date: None,
        stages: vec![Stage::of(platform, source, vec![Step { span, text: None, op }])],
        settings: Settings {
            labels: if edited { vec![] } else { vec![pair()] },
            user: edited.then(|| "nobody".to_owned()),
            ..Settings::default()
        },
        watched: Vec::new(),
    }
}

/// The plan of the whole graph.
pub fn plan_of(
    graph: &Graph,
    remembered: &Remembered,
) -> (Plan, HashMap<NodeId, Result<DraftSpec, SpecError>>) {
    plan_selection(graph, remembered, select(graph, &[], &[]).unwrap())
}

/// The plan of a selection.
pub fn plan_selection(
    graph: &Graph,
    remembered: &Remembered,
    selection: Selection,
) -> (Plan, HashMap<NodeId, Result<DraftSpec, SpecError>>) {
    let mut specs = HashMap::new();
    let mut history = Remembered::default();
    for node in selection.needed.iter().filter(|n| graph.platform(**n).is_some()) {
        let name = graph.name(*node);
        let now = draft(graph, *node, false);
        if let Some(edited) = remembered.edited
            && (name == edited || name.split('@').next() == Some(edited))
        {
            let built = |draft: DraftSpec| resolve(draft, &|_| Err(())).unwrap();
            history.missing.insert(key(&built(now.clone())));
            history.records.insert(name, Record::of(&built(draft(graph, *node, true))));
        }
        specs.insert(*node, Ok(now));
    }
    let request =
        Request { selection: &selection, specs: &specs, history: &history, forced: &|_| false };
    (plan(graph, &request), specs)
}
