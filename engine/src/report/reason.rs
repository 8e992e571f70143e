//! The one form that a reason has in every JSON document, and changes in a few words.

use mabuild_lang::source::SourceMap;
use serde::Serialize;

use super::words;
use crate::graph::Graph;
use crate::key::Change;
use crate::plan::Reason;

/// A reason in JSON documents.
#[derive(Default, Serialize)]
pub(super) struct ReasonDocument<'a> {
    /// One of the words of [`words::reason`].
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeDocument<'a>>>,
    /// The node that this one waits for or that is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    /// `path:line:column`.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blames_upstream: Option<bool>,
}

/// Changes that are named before "and N more".
const SHOWN: usize = 2;

#[derive(Serialize)]
struct ChangeDocument<'a> {
    field: &'a str,
    before: Option<&'a str>,
    now: Option<&'a str>,
}

impl<'a> ReasonDocument<'a> {
    /// A reason that is one word of the closed list.
    pub(super) fn plain(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Inputs that differ.
    pub(super) fn changed(changes: &'a [Change]) -> Self {
        let change = |c: &'a Change| ChangeDocument {
            field: &c.field,
            before: c.before.as_deref(),
            now: c.now.as_deref(),
        };
        Self { changes: Some(changes.iter().map(change).collect()), ..Self::plain("changed") }
    }
}

/// The reason of a node, with places as `path:line:column`.
pub(super) fn reason_document<'a>(
    graph: &Graph,
    reason: &'a Reason,
    sources: &SourceMap,
) -> ReasonDocument<'a> {
    let mut document = ReasonDocument::plain(words::reason(reason));
    match reason {
        Reason::Changed(changes) => document = ReasonDocument::changed(changes),
        Reason::Waits(node) | Reason::Below(node) => document.node = Some(graph.name(*node)),
        Reason::Unknowable { message, span, blames_upstream } => {
            document.message = Some(message);
            document.place = span.map(|span| sources.place(span));
            document.blames_upstream = Some(*blames_upstream);
        }
        _ => {}
    }
    document
}

/// What a change is about, and which part of that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject<'a> {
    /// A package of an archive.
    Package(&'a str),
    /// A file of a context.
    File(&'a str),
    /// Anything else.
    Field(&'a str),
}

fn subject(change: &Change) -> (Subject<'_>, &str) {
    let field = change.field.as_str();
    let part = |text| match text {
        Some((name, part)) => (name, part),
        None => (field, ""),
    };
    if let Some(rest) = field.strip_prefix("packages.") {
        let (name, part) = part(rest.rsplit_once('.'));
        return (Subject::Package(name), part);
    }
    let is_step = field.starts_with("steps[") || field.starts_with("stages[");
    let step = is_step.then(|| field.split_once("].files.")).flatten();
    match step {
        Some((_, path)) if [&change.before, &change.now].into_iter().flatten().any(is_copied) => {
            (Subject::File(path), "")
        }
        Some((_, rest)) => {
            let (path, part) = part(rest.rsplit_once('.'));
            (Subject::File(path), part)
        }
        None => (Subject::Field(field), ""),
    }
}

/// Whether a value says that a path is a source of a `copy`, in place of describing a file.
fn is_copied(value: &String) -> bool {
    value == "copied"
}

/// The first changes in a few words, those of one package or one file as one: `libssl3 3.0.15 →
/// 3.0.16; conf/app.txt differs; and 3 more`. By name alone without `values`.
pub(super) fn summary(changes: &[Change], values: bool) -> String {
    let mut subjects: Vec<(Subject<'_>, Vec<(&str, &Change)>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for change in changes {
        let (subject, part) = subject(change);
        let name = match subject {
            Subject::Package(name) => (0, name),
            Subject::File(path) => (1, path),
            Subject::Field(field) => (2, field),
        };
        let at = *places.entry(name).or_insert_with(|| {
            subjects.push((subject, Vec::new()));
            subjects.len() - 1
        });
        if let Some((_, list)) = subjects.get_mut(at) {
            list.push((part, change));
        }
    }
    let shown = subjects.iter().take(SHOWN);
    let mut parts: Vec<String> = shown.map(|(of, list)| in_words(*of, list, values)).collect();
    if subjects.len() > SHOWN {
        parts.push(format!("and {} more", subjects.len() - SHOWN));
    }
    parts.join("; ")
}

/// What became of one subject.
fn in_words(subject: Subject<'_>, parts: &[(&str, &Change)], values: bool) -> String {
    // What says most of a package or a file.
    let telling = ["version", "content", "link", "type", "mode"];
    let told = telling.iter().find_map(|name| parts.iter().find(|(part, _)| part == name));
    let Some((part, change)) = told.or(parts.first()) else { return String::new() };
    let (name, colon) = match subject {
        Subject::Package(name) | Subject::File(name) => (words::one_line(name), ""),
        Subject::Field(name) => (words::one_line(name), ":"),
    };
    let mode = if *part == "mode" { " mode" } else { "" };
    match (&change.before, &change.now) {
        (None, Some(now)) if values && *part != "content" && !is_copied(now) => {
            format!("{name}{colon} new, {}", words::value(now))
        }
        (None, _) => format!("{name}{colon} new"),
        (_, None) => format!("{name}{colon} gone"),
        (Some(before), Some(now)) if values && !matches!(*part, "content" | "sha256") => {
            format!("{name}{mode}{colon} {} → {}", words::value(before), words::value(now))
        }
        _ => format!("{name}{mode} differs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(field: &str, before: Option<&str>, now: Option<&str>) -> Change {
        let text = |value: Option<&str>| value.map(str::to_owned);
        Change { field: field.to_owned(), before: text(before), now: text(now) }
    }

    #[test]
    fn a_package_or_a_file_is_one_change() {
        let package = |part: &str, before, now| change(&format!("packages.{part}"), before, now);
        let (a, b) = (Some("aa"), Some("bb"));
        let changes = [
            package("libstdc++6.1.version", Some("12"), Some("13")),
            package("libstdc++6.1.sha256", a, b),
            change("steps[2].files.conf/a.txt.mode", Some("0644"), Some("0755")),
            change("stages[0].steps[2].mounts[1].files.conf/a.txt.content", a, b),
        ];
        assert_eq!(summary(&changes, true), "libstdc++6.1 12 → 13; conf/a.txt differs");
        assert_eq!(summary(&changes, false), "libstdc++6.1 differs; conf/a.txt differs");
        assert_eq!(summary(&changes[2..3], true), "conf/a.txt mode 0644 → 0755");
        assert_eq!(summary(&changes[1..2], true), "libstdc++6.1 differs");
    }

    #[test]
    fn what_is_new_or_gone_says_so_and_the_rest_is_counted() {
        let changes = [
            change("packages.new.version", None, Some("1")),
            change("steps[0].files.new.txt.content", None, Some("blake3 aa")),
            change("label.b", Some("1"), None),
            change("user", Some("a"), Some("b\nc")),
        ];
        assert_eq!(summary(&changes, true), "new new, 1; new.txt new; and 2 more");
        assert_eq!(summary(&changes[2..], true), "label.b: gone; user: a → b c");
        assert_eq!(summary(&changes[2..], false), "label.b: gone; user differs");
        let source = [change("steps[0].files.conf.mode", None, Some("copied"))];
        assert_eq!(summary(&source, true), "conf.mode new");
    }
}
