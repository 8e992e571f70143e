//! Nodes with the way from each to its root causes, and what differs there, as text. Platforms of
//! a thing that have the same causes are told once.

use std::collections::HashMap;
use std::fmt::Write;

use mabuild_lang::platform::Platform;

use super::reason::summary;
use super::{Style, Tone, words};
use crate::key::Change;

/// One node and its causes.
pub(super) struct Story<'a> {
    /// Name of the thing.
    pub name: String,
    /// None for the index.
    pub platform: Option<Platform>,
    /// What is or was done with it, as the rest of a sentence.
    pub outcome: &'static str,
    pub tone: Tone,
    /// Lines that are shown when the node is alone.
    pub details: Vec<String>,
    pub causes: Vec<Way<'a>>,
}

/// A way from a node to one that differs by itself.
pub(super) struct Way<'a> {
    /// Names of the things, both ends included.
    pub names: Vec<String>,
    pub why: Why<'a>,
}

/// Why a node differs by itself.
#[derive(Clone, PartialEq)]
pub(super) enum Why<'a> {
    /// Inputs differ.
    Changed(&'a [Change]),
    /// Something else: in a few words, and perhaps in a sentence.
    Plain { short: &'static str, sentence: Option<String> },
}

/// Tells stories; `since` says against what inputs differ.
pub(super) fn tell(stories: Vec<Story<'_>>, since: &str, style: Style) -> String {
    let mut out = String::new();
    for group in groups(stories) {
        if !out.is_empty() {
            out.push('\n');
        }
        headline(&group, style, &mut out);
        let Some(first) = group.first() else { continue };
        for at in 0..first.causes.len() {
            cause(&group, at, since, style, &mut out);
        }
    }
    out
}

/// A node and the way to its root cause in one line: `app@linux/arm64 ← python ← minideb ←
/// libssl3 3.0.15 → 3.0.16`.
pub(super) fn chain(first: &str, way: &Way<'_>, values: bool) -> String {
    let end = match &way.why {
        Why::Changed(changes) => summary(changes, values),
        Why::Plain { short, .. } => (*short).to_owned(),
    };
    let between = way.names.iter().skip(1).map(String::as_str);
    let all = std::iter::once(first).chain(between).chain([end.as_str()]);
    all.collect::<Vec<_>>().join(" ← ")
}

fn groups(stories: Vec<Story<'_>>) -> Vec<Vec<Story<'_>>> {
    let mut groups: Vec<Vec<Story<'_>>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for story in stories {
        let at = *places.entry(likeness(&story)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(at) {
            group.push(story);
        }
    }
    groups
}

/// Text that is equal for nodes that may be told together.
fn likeness(story: &Story<'_>) -> String {
    let mut out = format!("{} {} {}", story.name, story.platform.is_none(), story.outcome);
    for way in &story.causes {
        let _ = write!(out, "\n{:?}", way.names);
        match &way.why {
            Why::Changed(changes) => changes.iter().for_each(|change| {
                let _ = write!(out, " {:?}", change.field);
            }),
            Why::Plain { short, sentence } => {
                let _ = write!(out, " {short} {sentence:?}");
            }
        }
    }
    out
}

fn platforms(group: &[Story<'_>]) -> Option<String> {
    let list: Vec<&Platform> = group.iter().filter_map(|s| s.platform.as_ref()).collect();
    (!list.is_empty()).then(|| words::platforms(list))
}

fn headline(group: &[Story<'_>], style: Style, out: &mut String) {
    let Some(first) = group.first() else { return };
    let name = style.paint(Tone::Strong, &first.name);
    let part = platforms(group).unwrap_or_else(|| "index".to_owned());
    let _ = writeln!(out, "{name} {part} {}", style.paint(first.tone, first.outcome));
    if let [alone] = group {
        for line in &alone.details {
            let _ = writeln!(out, "  {line}");
        }
    }
}

/// One cause of a group: the chain, and below it every field that differs at its end.
fn cause(group: &[Story<'_>], at: usize, since: &str, style: Style, out: &mut String) {
    let Some(first) = group.first() else { return };
    let Some(way) = first.causes.get(at) else { return };
    let equal = group.iter().all(|s| s.causes.get(at).is_some_and(|w| w.why == way.why));
    let node = match platforms(group) {
        Some(platforms) => format!("{}@{platforms}", first.name),
        None => first.name.clone(),
    };
    let _ = writeln!(out, "  {}", chain(&node, way, equal));
    match &way.why {
        Why::Plain { sentence, .. } => {
            if let Some(sentence) = sentence {
                let _ = writeln!(out, "  {}", words::one_line(sentence));
            }
        }
        Why::Changed(changes) => {
            let root = way.names.last().map(String::as_str).unwrap_or_default();
            let verb = if changes.len() == 1 { "differs" } else { "differ" };
            let what = words::count(changes.len(), "input");
            let _ = writeln!(out, "  {what} of {root} {verb} from {since}");
            if let Some(platform) = first.platform.as_ref().filter(|_| !equal) {
                let note = format!(
                    "  values of {platform}; the other platforms differ in the same inputs"
                );
                let _ = writeln!(out, "{}", style.paint(Tone::Dim, &note));
            }
            changes.iter().for_each(|change| show(change, style, out));
        }
    }
}

fn show(change: &Change, style: Style, out: &mut String) {
    let _ = writeln!(out, "    {}", style.paint(Tone::Strong, &words::one_line(&change.field)));
    let mut line = |word: &str, value: &Option<String>, tone, absent: &str| {
        let text = match value {
            Some(text) => style.paint(tone, &words::one_line(text)),
            None => style.paint(Tone::Dim, absent),
        };
        let _ = writeln!(out, "      {word} {text}");
    };
    line("before", &change.before, Tone::Bad, "(not there)");
    line("now   ", &change.now, Tone::Good, "(gone)");
}
