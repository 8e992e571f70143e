//! `mabuild-engine`: the spine. Each room is a stage of the way of the data.
//!
//! ```text
//! Config ─lower→ Graph ─track*→ Facts ─spec→ DraftSpec ─key→ key + record ─plan(history)→ Plan
//!        ─run*: resolve→ BuildSpec ─exec*→ Outcome          (* does IO; the rest is pure)
//! report reads any of these values and makes text, JSON, DOT.
//! ```
//!
//! | room | what it holds | what it must not know |
//! | --- | --- | --- |
//! | [`graph`] | nodes, edges, selection | executors, keys, files, KDL |
//! | [`lower`] | `Config` to graph and specs; the only reader of `Config` | IO |
//! | [`facts`] | what is known of contexts and upstreams | who found it out |
//! | [`spec`] | the closed description of one build | IO |
//! | [`key`] | canonical encoding, hash, record, diff | IO |
//! | [`plan`] | what a rebuild would do, and why | IO |
//! | [`query`] | the query language: an expression to a set of nodes | IO |
//! | [`store`] | blobs, results, records, downloads, gc | KDL, graph |
//! | [`track`] | finds facts out; the only room here that speaks HTTP | executors |
//! | [`exec`] | builds one spec | graph, plan |
//! | [`run`] | `machine` (pure) and `driver` | KDL |
//! | [`publish`] | indexes by policy, generations and their journal, what moves a tag; `push` alone speaks to registries | graph, KDL, store |
//! | [`event`] | everything seen of a run | terminals |
//! | [`report`] | values to text | IO |
//! | [`ops`] | one entry a verb; the only place that picks adapters | terminals |

pub mod event;
pub mod exec;
pub mod facts;
pub mod graph;
pub mod key;
pub mod lower;
pub mod ops;
pub mod plan;
pub mod publish;
pub mod query;
pub mod report;
pub mod run;
pub mod spec;
pub mod store;
pub mod track;
