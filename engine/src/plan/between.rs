//! Two runs compared: which nodes came out different, and where that comes from.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::key::{Change, Key, Record, diff};

/// What a node was in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Its key.
    pub key: Key,
    /// Digest of its manifest.
    pub digest: Arc<str>,
}

/// What every node (`name@platform`) was in a run.
pub type States = HashMap<String, State>;

/// What became of a node from one run to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    /// It is what it was.
    Same {
        /// Digest of its manifest.
        digest: Arc<str>,
    },
    /// Other inputs gave the same image.
    SameResult,
    /// It is another image.
    Different,
    /// It was not there in the first run.
    New,
    /// It was not there in the second run.
    Gone,
    /// Neither run had it.
    Absent,
}

/// Why a node differs by itself, in place of through a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Inputs of its own differ.
    Changed(Vec<Change>),
    /// It was not there in the first run.
    New,
    /// The same inputs gave another image: a step is not reproducible.
    OtherResult,
    /// What was hashed is no longer known.
    Forgotten,
}

/// A node in two runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// `name@platform`.
    pub node: String,
    /// What became of it.
    pub became: Became,
    /// Causes, each with the way to it: from the node to the one that differs by itself.
    pub causes: Vec<(Vec<String>, Cause)>,
}

/// Compares nodes in two runs. `record` gives what was hashed to a key.
pub fn between(
    nodes: &[String],
    before: &States,
    now: &States,
    record: &dyn Fn(&Key) -> Option<Record>,
) -> Vec<Compared> {
    let mut search = Search {
        before,
        now,
        made_before: by_digest(before),
        made_now: by_digest(now),
        record,
        seen: HashMap::new(),
    };
    nodes.iter().map(|node| search.compare(node)).collect()
}

/// Nodes by what they are; more than one may be the same image.
fn by_digest(states: &States) -> HashMap<&str, Vec<&str>> {
    let mut out: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, state) in states {
        out.entry(&state.digest).or_default().push(name);
    }
    out.values_mut().for_each(|names| names.sort_unstable());
    out
}

/// What differs of one node.
#[derive(Clone, Default)]
struct Found {
    own: Option<Cause>,
    /// Parents that came out different, in the order of the record.
    parents: Vec<String>,
}

struct Search<'a> {
    before: &'a States,
    now: &'a States,
    made_before: HashMap<&'a str, Vec<&'a str>>,
    made_now: HashMap<&'a str, Vec<&'a str>>,
    record: &'a dyn Fn(&Key) -> Option<Record>,
    seen: HashMap<String, Found>,
}

impl Search<'_> {
    fn compare(&mut self, node: &str) -> Compared {
        let became = match (self.before.get(node), self.now.get(node)) {
            (None, None) => Became::Absent,
            (Some(_), None) => Became::Gone,
            (None, Some(_)) => Became::New,
            (Some(a), Some(b)) if a == b => Became::Same { digest: b.digest.clone() },
            (Some(a), Some(b)) if a.digest == b.digest => Became::SameResult,
            _ => Became::Different,
        };
        let causes = match became {
            Became::Same { .. } | Became::Gone | Became::Absent => Vec::new(),
            _ => self.causes(node),
        };
        Compared { node: node.to_owned(), became, causes }
    }

    /// The shortest way to each node that differs by itself.
    fn causes(&mut self, node: &str) -> Vec<(Vec<String>, Cause)> {
        let mut below: HashMap<String, Option<String>> = HashMap::from([(node.to_owned(), None)]);
        let mut open = VecDeque::from([node.to_owned()]);
        let mut causes = Vec::new();
        while let Some(at) = open.pop_front() {
            let found = self.look(&at);
            if let Some(cause) = found.own {
                let next = |name: &String| below.get(name).cloned().flatten();
                let mut way: Vec<String> = std::iter::successors(Some(at.clone()), next).collect();
                way.reverse();
                causes.push((way, cause));
            }
            for parent in found.parents {
                if let Entry::Vacant(free) = below.entry(parent) {
                    open.push_back(free.key().clone());
                    free.insert(Some(at.clone()));
                }
            }
        }
        causes
    }

    fn look(&mut self, node: &str) -> Found {
        if let Some(found) = self.seen.get(node) {
            return found.clone();
        }
        let found = self.differences(node);
        self.seen.insert(node.to_owned(), found.clone());
        found
    }

    fn differences(&self, node: &str) -> Found {
        let only = |cause| Found { own: Some(cause), parents: Vec::new() };
        let (Some(before), Some(now)) = (self.before.get(node), self.now.get(node)) else {
            return only(Cause::New);
        };
        if before.key == now.key {
            return match before.digest == now.digest {
                true => Found::default(),
                false => only(Cause::OtherResult),
            };
        }
        let (Some(was), Some(is)) = ((self.record)(&before.key), (self.record)(&now.key)) else {
            return only(Cause::Forgotten);
        };
        let mut found = Found::default();
        let mut own = Vec::new();
        for change in diff(&was, &is) {
            match self.parent(&change).filter(|parent| *parent != node) {
                Some(parent) => found.parents.push(parent.to_owned()),
                None => own.push(change),
            }
        }
        found.own = (!own.is_empty()).then_some(Cause::Changed(own));
        found
    }

    /// The parent that is behind a change: a node that was the one image and is the other.
    fn parent(&self, change: &Change) -> Option<&str> {
        if !names_parent(&change.field) {
            return None;
        }
        let was = self.made_before.get(change.before.as_deref()?)?;
        let is = self.made_now.get(change.now.as_deref()?)?;
        was.iter().find(|name| is.contains(name)).copied()
    }
}

/// Whether a field holds what a parent came out as: `from`, `steps[2].from`.
fn names_parent(field: &str) -> bool {
    let number = field.strip_prefix("steps[").and_then(|rest| rest.strip_suffix("].from"));
    field == "from"
        || number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Key {
        Key([n; 32])
    }

    fn states(list: &[(&str, u8, &str)]) -> States {
        let state = |(node, n, digest): &(&str, u8, &str)| {
            ((*node).to_owned(), State { key: key(*n), digest: (*digest).into() })
        };
        list.iter().map(state).collect()
    }

    fn record(fields: &[(&str, &str)]) -> Record {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Record { version: 1, fields }
    }

    fn app(from: &str, copied: &str) -> Record {
        record(&[("from", from), ("steps[0]", "copy"), ("steps[0].from", copied)])
    }

    /// base → python → app, which also copies from side.
    fn records() -> HashMap<Key, Record> {
        HashMap::from([
            (key(1), record(&[("packages.libssl3.version", "3.0.15")])),
            (key(2), record(&[("packages.libssl3.version", "3.0.16")])),
            (key(3), record(&[("from", "sha256:b1"), ("label.a", "1")])),
            (key(4), record(&[("from", "sha256:b2"), ("label.a", "2")])),
            (key(5), app("sha256:p1", "sha256:s1")),
            (key(6), app("sha256:p2", "sha256:s2")),
        ])
    }

    fn compare(node: &str, before: &States, now: &States) -> Compared {
        let records = records();
        between(&[node.to_owned()], before, now, &|key| records.get(key).cloned()).remove(0)
    }

    #[test]
    fn leads_through_parents_to_every_cause() {
        let before = states(&[
            ("base@x", 1, "sha256:b1"),
            ("python@x", 3, "sha256:p1"),
            ("side@x", 7, "sha256:s1"),
            ("app@x", 5, "sha256:a1"),
        ]);
        let now = states(&[
            ("base@x", 2, "sha256:b2"),
            ("python@x", 4, "sha256:p2"),
            ("side@x", 7, "sha256:s2"),
            ("app@x", 6, "sha256:a2"),
        ]);
        let found = compare("app@x", &before, &now);
        assert_eq!(found.became, Became::Different);
        let text: Vec<String> = found
            .causes
            .iter()
            .map(|(way, cause)| {
                let what = match cause {
                    Cause::Changed(changes) => changes[0].field.clone(),
                    other => format!("{other:?}"),
                };
                format!("{} ← {what}", way.join(" ← "))
            })
            .collect();
        assert_eq!(
            text,
            [
                "app@x ← python@x ← label.a",
                "app@x ← side@x ← OtherResult",
                "app@x ← python@x ← base@x ← packages.libssl3.version",
            ]
        );
        assert_eq!(
            compare("side@x", &before, &before).became,
            Became::Same { digest: "sha256:s1".into() }
        );
    }

    #[test]
    fn a_parent_that_is_another_node_now_is_an_input_of_its_own() {
        let before = states(&[("base@x", 1, "sha256:b1"), ("python@x", 3, "sha256:p1")]);
        let now = states(&[("other@x", 1, "sha256:b2"), ("python@x", 4, "sha256:p1")]);
        let found = compare("python@x", &before, &now);
        assert_eq!(found.became, Became::SameResult);
        let [(way, Cause::Changed(changes))] = found.causes.as_slice() else { panic!("{found:?}") };
        assert_eq!(way, &["python@x"]);
        assert_eq!(
            changes.iter().map(|c| c.field.as_str()).collect::<Vec<_>>(),
            ["from", "label.a"]
        );
    }

    #[test]
    fn new_absent_and_forgotten_nodes_say_so() {
        let before = states(&[("python@x", 3, "sha256:p1"), ("odd@x", 98, "sha256:o1")]);
        let now = states(&[
            ("python@x", 3, "sha256:p1"),
            ("app@x", 6, "sha256:a"),
            ("odd@x", 99, "sha256:o2"),
        ]);
        let new = compare("app@x", &before, &now);
        assert_eq!(new.became, Became::New);
        assert_eq!(new.causes, [(vec!["app@x".to_owned()], Cause::New)]);
        assert_eq!(compare("none@x", &before, &now).became, Became::Absent);
        // The other way round it has nothing to be compared with.
        let gone = compare("app@x", &now, &before);
        assert_eq!((gone.became, gone.causes), (Became::Gone, vec![]));
        assert_eq!(compare("odd@x", &before, &now).causes[0].1, Cause::Forgotten);
    }

    #[test]
    fn only_fields_of_parents_lead_to_parents() {
        for (field, yes) in [
            ("from", true),
            ("steps[12].from", true),
            ("steps[].from", false),
            ("steps[0].files.x].from", false),
            ("label.from", false),
        ] {
            assert_eq!(names_parent(field), yes, "{field}");
        }
    }
}
