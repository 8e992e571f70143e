//! A JSON object an event, one a line, on standard output. Version 1: every object has `version`
//! and `event`, which names the other fields.

use mabuild_engine::event::{End, Event, Failure, FailureKind, Listener};
use mabuild_engine::report::JSON_VERSION;
use serde_json::{Value, json};

use super::super::Terminal;
use super::names::Names;

/// Writes events to standard output.
pub struct Json {
    terminal: Terminal,
    names: Names,
}

impl Json {
    /// Events of a graph with these names.
    pub fn new(terminal: Terminal, names: Names) -> Self {
        Self { terminal, names }
    }

    fn object(&self, event: &Event) -> Value {
        let fields = match event {
            Event::Started { nodes, kept } => {
                json!({"event": "started", "nodes": nodes, "kept": kept})
            }
            Event::Download { what, done, total } => {
                json!({"event": "download", "what": **what, "done": done, "total": total})
            }
            Event::Upload { to, blob, done, total, is_over } => json!({
                "event": "upload", "to": **to, "blob": **blob, "done": done,
                "total": total, "over": is_over,
            }),
            Event::NodeStarted { node, expected } => {
                let node = self.names.get(*node);
                json!({"event": "node-started", "node": node, "expected": expected})
            }
            Event::Step { node, stage, number, of, text, cached } => json!({
                "event": "step", "node": self.names.get(*node), "stage": &**stage,
                "number": number, "of": of, "text": text, "cached": cached,
            }),
            Event::Output { node, line } => {
                json!({"event": "output", "node": self.names.get(*node), "line": line})
            }
            Event::NodeEnded { node, end, took } => {
                let (node, seconds) = (self.names.get(*node), took.as_secs_f64());
                let fields = json!({"event": "node-ended", "node": node, "seconds": seconds});
                joined(fields, self.end(end))
            }
            Event::Warning { what } => json!({"event": "warning", "what": **what}),
            Event::Ended(summary) => json!({
                "event": "ended", "built": summary.built, "rebased": summary.rebased, "kept": summary.kept,
                "failed": summary.failed, "skipped": summary.skipped,
                "seconds": summary.took.as_secs_f64(), "interrupted": summary.interrupted,
            }),
        };
        joined(json!({"version": JSON_VERSION}), fields)
    }

    fn end(&self, end: &End) -> Value {
        match end {
            End::Built { digest, executed, reused, bytes } => json!({
                "end": "built", "digest": **digest, "executed": executed, "reused": reused,
                "bytes": bytes,
            }),
            End::Kept { digest } => json!({"end": "kept", "digest": **digest}),
            End::Failed(Failure { kind, message, log, point, .. }) => {
                let kind = match kind {
                    FailureKind::Step => "step",
                    FailureKind::Environment => "environment",
                    FailureKind::Upstream => "upstream",
                    FailureKind::Bug => "bug",
                };
                json!({
                    "end": "failed", "kind": kind, "message": message, "log": log, "point": point,
                })
            }
            End::Skipped { because } => {
                json!({"end": "skipped", "because": self.names.get(*because)})
            }
            End::Cancelled => json!({"end": "cancelled"}),
        }
    }
}

/// One object with the fields of both.
fn joined(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

impl Listener for Json {
    fn event(&self, event: &Event) {
        // Who has gone away while reading events does not end the run.
        let _ = self.terminal.out(&format!("{}\n", self.object(event)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use mabuild_engine::graph::NodeId;

    use super::super::names::tests::web;
    use super::*;
    use crate::args::ColorChoice;

    #[test]
    fn every_object_is_one_line_with_version_and_event() {
        let terminal = Terminal::new(ColorChoice::Never, &BTreeMap::new());
        let json = Json::new(terminal, Names::of(&web()));
        let step = json.object(&Event::Step {
            stage: "".into(),
            node: NodeId(0),
            number: 1,
            of: 2,
            text: "a\nb".into(),
            cached: false,
        });
        assert_eq!(step["version"], 1);
        assert_eq!(step["node"], "web@linux/amd64");
        assert!(step.to_string().starts_with(r#"{"version":1,"event":"step","#), "{step}");
        assert!(!step.to_string().contains('\n'));
        let end = End::Skipped { because: NodeId(1) };
        let ended =
            json.object(&Event::NodeEnded { node: NodeId(0), end, took: Duration::from_secs(2) });
        assert_eq!(ended["event"], "node-ended");
        assert_eq!(ended["because"], "web@linux/arm64");
        assert_eq!(ended["seconds"], 2.0);
    }
}
