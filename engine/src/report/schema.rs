//! JSON Schemas (draft 2020-12) of the JSON documents that programs read. Each is named by the
//! version of its document: a change that breaks a reader makes a new file with a new version;
//! fields may come in addition. The tests hold what is written against them.

/// Of `graph plan --format json`.
pub const PLAN: &str = include_str!("schema/plan-1.json");
/// Of `graph plan --what-if NAME --format json`.
pub const WHAT_IF: &str = include_str!("schema/what-if-1.json");
/// Of `graph explain --format json`.
pub const EXPLAIN: &str = include_str!("schema/explain-1.json");
/// Of `graph explain --between RUN RUN --format json`.
pub const BETWEEN: &str = include_str!("schema/between-1.json");
/// Of what `graph rebuild --report` writes.
pub const RUN: &str = include_str!("schema/run-1.json");
/// Of `graph runs --format json`.
pub const RUNS: &str = include_str!("schema/runs-1.json");
/// Of `upstream check --format json` and `upstream update --format json`.
pub const UPSTREAM: &str = include_str!("schema/upstream-1.json");
/// Of `publish --format json`.
pub const PUBLISH: &str = include_str!("schema/publish-1.json");
/// Of `publish ls --format json`.
pub const GENERATIONS: &str = include_str!("schema/generations-1.json");
/// Of `publish rollback --format json`.
pub const ROLLBACK: &str = include_str!("schema/rollback-1.json");
/// Of `publish prune --format json`.
pub const PRUNE: &str = include_str!("schema/prune-1.json");

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::graph::NodeId;
    use crate::plan::Reason;
    use crate::report::words;

    #[test]
    fn the_list_of_reasons_is_closed() {
        let message = String::new();
        let all = [
            Reason::UpToDate,
            Reason::NeverBuilt,
            Reason::Elsewhere,
            Reason::Changed(Vec::new()),
            Reason::ResultGone,
            Reason::Waits(NodeId(0)),
            Reason::Forced,
            Reason::Members,
            Reason::Unknowable { message, span: None, blames_upstream: false },
            Reason::Below(NodeId(0)),
        ];
        let words: Vec<&str> = all.iter().map(words::reason).collect();
        for schema in [PLAN, EXPLAIN, RUN] {
            let schema: Value = serde_json::from_str(schema).unwrap();
            let kinds = &schema["$defs"]["reason"]["properties"]["kind"]["enum"];
            assert_eq!(*kinds, serde_json::json!(words));
        }
    }

    #[test]
    fn every_schema_is_one() {
        let publishing = [PUBLISH, GENERATIONS, ROLLBACK, PRUNE];
        for schema in [PLAN, WHAT_IF, EXPLAIN, BETWEEN, RUN, RUNS].into_iter().chain(publishing) {
            let schema: Value = serde_json::from_str(schema).unwrap();
            assert_eq!(schema["properties"]["version"]["const"], crate::report::JSON_VERSION);
            assert!(schema["title"].as_str().unwrap().ends_with(", version 1"));
        }
    }
}
