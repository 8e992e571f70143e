//! A plan as a table and as JSON.

use std::collections::{BTreeMap, HashMap};

use mabuild_lang::platform::Platform;
use mabuild_lang::source::SourceMap;
use serde::Serialize;

use super::columns::{Cell, columns};
use super::reason::{ReasonDocument, reason_document, summary};
use super::variant::ThingDocument;
use super::{JSON_VERSION, Style, Tone, words};
use crate::graph::{Graph, NodeId, ThingId};
use crate::plan::{Action, Plan, Planned, Reason};

/// One line that says that nothing is to be done: `everything is up to date: 4 images × 7
/// platforms, nothing to do`.
pub fn up_to_date(graph: &Graph, plan: &Plan) -> String {
    let mut per_thing: HashMap<ThingId, usize> = HashMap::new();
    for planned in &plan.nodes {
        if !words::is_index(graph, planned.node) {
            *per_thing.entry(graph.node(planned.node).thing).or_default() += 1;
        }
    }
    let things = words::count(per_thing.len(), "image");
    let nodes: usize = per_thing.values().sum();
    let first = per_thing.values().next().copied().unwrap_or(0);
    let what = if per_thing.is_empty() {
        "no image".to_owned()
    } else if per_thing.values().all(|n| *n == first) {
        format!("{things} × {}", words::count(first, "platform"))
    } else {
        format!("{things}, {nodes} over all platforms")
    };
    format!("everything is up to date: {what}, nothing to do")
}

/// A plan as a table: action, name, platforms, reason; equal platforms of a thing in one row.
/// What is kept is left out unless `kept`. Ends with a line of counts.
pub fn plan_table(graph: &Graph, plan: &Plan, kept: bool, style: Style) -> String {
    let mut out = String::new();
    if !plan.is_clean() || kept {
        let rows: Vec<[Cell; 4]> = rows(graph, plan, kept).into_iter().map(Row::cells).collect();
        out.push_str(&columns(["ACTION", "NODE", "PLATFORMS", "WHY"], &rows, style));
    }
    if plan.is_clean() {
        out.push_str(&style.paint(Tone::Good, &up_to_date(graph, plan)));
    } else {
        out.push_str(&counts_line(&Counts::of(graph, plan), indexes(graph, plan), style));
    }
    out.push('\n');
    out
}

/// Indexes to put together. They follow their platforms, and count where these are all there.
fn indexes(graph: &Graph, plan: &Plan) -> usize {
    let stale = |p: &&Planned| !matches!(p.action, Action::Keep { .. });
    let open = plan.nodes.iter().filter(stale);
    match open.clone().all(|p| words::is_index(graph, p.node)) {
        true => open.count(),
        false => 0,
    }
}

fn counts_line(counts: &Counts, indexes: usize, style: Style) -> String {
    let indexes_what =
        if indexes == 1 { "index to put together" } else { "indexes to put together" };
    let parts = [
        (indexes, indexes_what, Tone::Work),
        (counts.build, "to build", Tone::Work),
        (counts.maybe, "to build if what they need changes", Tone::Maybe),
        (counts.keep, "up to date", Tone::Good),
        (counts.refused, "refused", Tone::Bad),
    ];
    let shown: Vec<String> = parts
        .into_iter()
        .filter(|(number, _, _)| *number > 0)
        .map(|(number, what, tone)| style.paint(tone, &format!("{number} {what}")))
        .collect();
    shown.join(", ")
}

struct Row {
    action: (&'static str, Tone),
    name: String,
    platforms: String,
    why: String,
}

impl Row {
    fn cells(self) -> [Cell; 4] {
        let (action, tone) = self.action;
        [
            (action.to_owned(), Some(tone)),
            (self.name, Some(Tone::Strong)),
            (self.platforms, None),
            (self.why, None),
        ]
    }
}

/// Why each thing is to be built or kept, by its name: a line for all its platforms, or one for
/// each that has a reason of its own.
pub fn reasons(graph: &Graph, plan: &Plan) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    for things in rows(graph, plan, true).chunk_by(|a, b| a.name == b.name) {
        let line = |row: &Row| match things.len() {
            1 => row.why.clone(),
            _ => format!("{}: {}", row.platforms, row.why),
        };
        if let Some(first) = things.first() {
            let lines: Vec<String> = things.iter().map(line).collect();
            out.insert(first.name.clone(), lines.join("\n"));
        }
    }
    out
}

/// What makes nodes of one thing share a row.
#[derive(PartialEq, Eq, Hash)]
enum Fold<'a> {
    Plain(&'static str),
    Fields(Vec<&'a str>),
    Because(&'static str, ThingId),
    Message(&'a str),
}

fn fold<'a>(graph: &Graph, reason: &'a Reason) -> Fold<'a> {
    match reason {
        Reason::Changed(changes) => Fold::Fields(changes.iter().map(|c| &*c.field).collect()),
        Reason::Waits(node) | Reason::Below(node) => {
            Fold::Because(words::reason(reason), graph.node(*node).thing)
        }
        Reason::Unknowable { message, .. } => Fold::Message(message),
        other => Fold::Plain(words::reason(other)),
    }
}

fn rows(graph: &Graph, plan: &Plan, kept: bool) -> Vec<Row> {
    // In the order of the file, whatever order the graph was walked in.
    let mut nodes: Vec<&Planned> = plan.nodes.iter().collect();
    nodes.sort_unstable_by_key(|planned| planned.node);
    let mut rows = Vec::new();
    for nodes in nodes.chunk_by(|a, b| graph.node(a.node).thing == graph.node(b.node).thing) {
        if let Some(first) = nodes.first() {
            thing_rows(graph, graph.node(first.node).thing, nodes, kept, &mut rows);
        }
    }
    rows
}

fn thing_rows(graph: &Graph, thing: ThingId, nodes: &[&Planned], kept: bool, rows: &mut Vec<Row>) {
    let (index, parts): (Vec<&Planned>, Vec<&Planned>) =
        nodes.iter().partition(|p| words::is_index(graph, p.node));
    let mut groups: Vec<(&'static str, Fold<'_>, Vec<&Planned>)> = Vec::new();
    for planned in &parts {
        let (action, fold) = (words::action(&planned.action), fold(graph, &planned.reason));
        match groups.iter_mut().find(|(a, f, _)| *a == action && *f == fold) {
            Some((_, _, list)) => list.push(planned),
            None => groups.push((action, fold, vec![planned])),
        }
    }
    for (_, _, list) in &groups {
        let Some(first) = list.first() else { continue };
        if matches!(first.action, Action::Keep { .. }) && !kept {
            continue;
        }
        let all = list.len() == parts.len() && parts.len() > 1;
        let platforms: Vec<&Platform> =
            list.iter().filter_map(|p| graph.platform(p.node)).collect();
        rows.push(Row {
            action: (words::action(&first.action), words::tone(&first.action)),
            name: graph.thing(thing).name.to_string(),
            platforms: match all {
                true => format!("all {}", list.len()),
                false => words::platforms(platforms),
            },
            why: why(graph, list),
        });
    }
    // An index follows its platforms; it has a row of its own only when they give no reason.
    let settled = parts.iter().all(|p| matches!(p.action, Action::Keep { .. }));
    for planned in index {
        if settled && !matches!(planned.action, Action::Keep { .. }) {
            rows.push(Row {
                action: (words::action(&planned.action), words::tone(&planned.action)),
                name: graph.thing(thing).name.to_string(),
                platforms: "index".to_owned(),
                why: "its set of platforms is new".to_owned(),
            });
        }
    }
}

/// The reason of nodes that share a row, in words.
fn why(graph: &Graph, nodes: &[&Planned]) -> String {
    let Some(first) = nodes.first() else { return String::new() };
    let thing = |node: &NodeId| graph.thing(graph.node(*node).thing).name.to_string();
    match &first.reason {
        Reason::UpToDate => "up to date".to_owned(),
        Reason::NeverBuilt => "never built".to_owned(),
        Reason::Elsewhere => "published from other inputs".to_owned(),
        Reason::Changed(changes) => {
            let equal = nodes.iter().all(|n| n.reason == first.reason);
            summary(changes, equal)
        }
        Reason::ResultGone => "its result is no longer in the store".to_owned(),
        Reason::Waits(node) => format!("waits for {}", thing(node)),
        Reason::Forced => "forced".to_owned(),
        Reason::Members => "its platforms are to be built".to_owned(),
        Reason::Unknowable { message, .. } => words::one_line(message),
        Reason::Below(node) => format!("needs {}, which is refused", thing(node)),
    }
}

/// Platform nodes by action; indexes are not counted.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Counts {
    build: usize,
    maybe: usize,
    keep: usize,
    refused: usize,
}

impl Counts {
    fn of(graph: &Graph, plan: &Plan) -> Self {
        let mut counts = Self::default();
        for planned in plan.nodes.iter().filter(|p| !words::is_index(graph, p.node)) {
            match planned.action {
                Action::Keep { .. } => counts.keep += 1,
                Action::Build => counts.build += 1,
                Action::Maybe => counts.maybe += 1,
                Action::Refused => counts.refused += 1,
            }
        }
        counts
    }
}

/// A plan as JSON, version 1: [`super::schema::PLAN`].
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    /// Whether nothing is to be done.
    clean: bool,
    counts: Counts,
    /// Each after all that it needs.
    nodes: Vec<NodeDocument<'a>>,
}

#[derive(Serialize)]
struct NodeDocument<'a> {
    /// `name@os/arch`, or `name` for the index over the platforms.
    node: String,
    #[serde(flatten)]
    thing: ThingDocument<'a>,
    platform: Option<String>,
    /// `keep`, `build`, `maybe`, `refused`.
    action: &'static str,
    reason: ReasonDocument<'a>,
    /// 64 hexadecimal digits, when all that the node needs is known.
    key: Option<String>,
    /// Digest of the manifest or index that is kept.
    result: Option<&'a str>,
}

/// A plan as a JSON document: `{"version":1,"clean":…,"counts":…,"nodes":[…]}`.
pub fn plan_json(graph: &Graph, plan: &Plan, sources: &SourceMap) -> String {
    let nodes = plan
        .nodes
        .iter()
        .map(|planned| NodeDocument {
            node: graph.name(planned.node),
            thing: ThingDocument::of_node(graph, planned.node),
            platform: graph.platform(planned.node).map(ToString::to_string),
            action: words::action(&planned.action),
            reason: reason_document(graph, &planned.reason, sources),
            key: planned.key.map(|key| key.hex()),
            result: match &planned.action {
                Action::Keep { result } => Some(result),
                _ => None,
            },
        })
        .collect();
    let counts = Counts::of(graph, plan);
    words::json(&Document { version: JSON_VERSION, clean: plan.is_clean(), counts, nodes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::select;
    use crate::report::testing::{Remembered, graph, plan_of};

    #[test]
    fn folds_platforms_and_names_the_first_changes() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox"));
        let text = plan_table(&g, &plan, false, Style::Plain);
        assert_eq!(
            text,
            "\
ACTION  NODE     PLATFORMS  WHY
build   busybox  all 2      steps[0].content: old → busybox; label.a: new, 1; and 1 more
maybe   tools    all 2      waits for busybox
maybe   httpd    all 2      waits for tools
2 to build, 4 to build if what they need changes, 2 up to date
"
        );
    }

    #[test]
    fn a_clean_plan_is_one_line() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::everything());
        assert_eq!(
            plan_table(&g, &plan, false, Style::Plain),
            "everything is up to date: 4 images × 2 platforms, nothing to do\n"
        );
        assert!(plan_table(&g, &plan, true, Style::Plain).contains("keep    busybox  all 2"));
    }

    #[test]
    fn rows_that_differ_by_platform_stay_apart() {
        let g = graph();
        let remembered = Remembered::after_edit_of("busybox@linux/arm64");
        let (plan, _) = plan_of(&g, &remembered);
        let text = plan_table(&g, &plan, true, Style::Plain);
        assert!(text.contains("build   busybox  linux/arm64"), "{text}");
        assert!(text.contains("keep    busybox  linux/amd64"), "{text}");
    }

    #[test]
    fn json_has_the_stable_fields() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox"));
        let json: serde_json::Value =
            serde_json::from_str(&plan_json(&g, &plan, &SourceMap::default())).unwrap();
        assert_eq!(json["version"], 1);
        assert_eq!(json["clean"], false);
        assert_eq!(json["counts"]["build"], 2);
        let nodes = json["nodes"].as_array().unwrap();
        let of = |name: &str| nodes.iter().find(|n| n["node"] == name).unwrap();
        let base = of("busybox@linux/amd64");
        assert_eq!(base["reason"]["kind"], "changed");
        assert_eq!(base["reason"]["changes"][0]["field"], "steps[0].content");
        assert_eq!(base["key"].as_str().unwrap().len(), 64);
        let tools = of("tools@linux/arm64");
        assert_eq!(tools["action"], "maybe");
        assert_eq!(tools["reason"]["node"], "busybox@linux/arm64");
        assert_eq!(of("other@linux/amd64")["action"], "keep");
    }

    #[test]
    fn an_index_alone_is_counted() {
        let g = graph();
        let (mut plan, _) = plan_of(&g, &Remembered::everything());
        let index = plan.nodes.iter_mut().find(|p| g.name(p.node) == "tools").unwrap();
        (index.action, index.reason) = (Action::Build, Reason::Members);
        assert_eq!(
            plan_table(&g, &plan, false, Style::Plain),
            "\
ACTION  NODE   PLATFORMS  WHY
build   tools  index      its set of platforms is new
1 index to put together, 8 up to date
"
        );
    }

    #[test]
    fn one_target_counts_alone() {
        let g = graph();
        let remembered = Remembered::everything();
        let selection = select(&g, &["busybox@linux/amd64".into()], &[]).unwrap();
        let (plan, _) = crate::report::testing::plan_selection(&g, &remembered, selection);
        assert_eq!(
            up_to_date(&g, &plan),
            "everything is up to date: 1 image × 1 platform, nothing to do"
        );
    }
}
