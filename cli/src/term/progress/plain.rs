//! A line an event: for logs, and for people who like to scroll.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use mabuild_engine::event::{End, Event, Listener};
use mabuild_engine::graph::NodeId;
use mabuild_engine::report::{Style, Tone, words};

use super::super::Terminal;
use super::names::Names;

/// Writes lines to standard error.
pub struct Plain {
    terminal: Terminal,
    names: Names,
    verbose: bool,
    downloads: Mutex<HashSet<Arc<str>>>,
}

impl Plain {
    /// With `verbose`, nodes that are up to date have a line as well.
    pub fn new(terminal: Terminal, names: Names, verbose: bool) -> Self {
        Self { terminal, names, verbose, downloads: Mutex::default() }
    }

    /// One line that belongs to no node.
    pub fn say(&self, text: &str) {
        self.terminal.say(&format!("{text}\n"));
    }

    fn line(&self, event: &Event) -> Option<String> {
        let style = self.terminal.err_style();
        match event {
            Event::Started { nodes, kept } => {
                Some(format!("{} of {nodes} nodes to look at", nodes - kept.min(nodes)))
            }
            Event::Warning { what } => Some(format!("warning: {}", words::one_line(what))),
            Event::Download { what, done, total } => self.download(what, *done, *total),
            Event::Upload { .. } | Event::NodeStarted { .. } | Event::Ended(_) => None,
            Event::Step { node, stage, number, of, text, cached } => {
                let reused =
                    if *cached { style.paint(Tone::Dim, " (reused)") } else { String::new() };
                let step = words::step(stage, *number, *of, text);
                Some(self.of(*node, &format!("{step}{reused}")))
            }
            Event::Output { node, line } => {
                let bar = style.paint(Tone::Dim, "|");
                Some(self.of(*node, &format!("  {bar} {}", words::one_line(line))))
            }
            Event::NodeEnded { node, end, took } => {
                if self.names.is_index(*node) && !self.verbose && !matches!(end, End::Failed(_)) {
                    return None;
                }
                let text = ending(end, &words::duration(*took), &self.names, self.verbose, style)?;
                Some(self.of(*node, &text))
            }
        }
    }

    fn of(&self, node: NodeId, text: &str) -> String {
        format!("[{}] {text}", self.names.get(node))
    }

    /// A download has a line when it begins and when it is done.
    fn download(&self, what: &Arc<str>, done: u64, total: Option<u64>) -> Option<String> {
        let mut downloads = self.downloads.lock().unwrap_or_else(PoisonError::into_inner);
        let name = words::one_line(what);
        if total == Some(done) {
            // The last bytes may be told twice, and small files come at once.
            let begun = downloads.remove(what);
            return begun.then(|| format!("downloaded {name}, {}", words::bytes(done)));
        }
        if !downloads.insert(what.clone()) {
            return None;
        }
        let size = total.map(|total| format!(", {}", words::bytes(total))).unwrap_or_default();
        Some(format!("downloading {name}{size}"))
    }
}

/// How a node ended, in words; nothing when it is not worth a line.
pub fn ending(end: &End, took: &str, names: &Names, verbose: bool, style: Style) -> Option<String> {
    Some(match end {
        End::Built { digest, .. } => {
            let word = if end.is_rebased() { "rebased" } else { "built" };
            format!("{} in {took}  {}", style.paint(Tone::Good, word), words::value(digest))
        }
        End::Kept { digest } if verbose => format!("up to date  {}", words::value(digest)),
        End::Kept { .. } => return None,
        End::Failed(failure) => {
            let text = words::cut(&words::one_line(&failure.message), 200);
            format!("{}: {text}", style.paint(Tone::Bad, "failed"))
        }
        End::Skipped { because } => {
            let because = names.get(*because);
            format!("{} because of {because}", style.paint(Tone::Maybe, "skipped"))
        }
        End::Cancelled => style.paint(Tone::Maybe, "stopped"),
    })
}

impl Listener for Plain {
    fn event(&self, event: &Event) {
        if let Some(line) = self.line(event) {
            self.terminal.say(&format!("{line}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::names::tests::web;
    use super::*;
    use crate::args::ColorChoice;

    #[test]
    fn every_event_worth_a_line_has_one() {
        let terminal = Terminal::new(ColorChoice::Never, &BTreeMap::new());
        let plain = Plain::new(terminal, Names::of(&web()), false);
        let (node, blob) = (NodeId(1), "sha256:x".into());
        let download = |done| Event::Download { what: "a.deb".into(), done, total: Some(2048) };
        let events = [
            Event::Started { nodes: 3, kept: 1 },
            download(0),
            download(100),
            download(2048),
            Event::Upload { to: "r/a".into(), blob, done: 1, total: 2, is_over: false },
            Event::NodeStarted { node, expected: None },
            Event::Step {
                node,
                stage: "".into(),
                number: 2,
                of: 4,
                text: "run \"x\"".into(),
                cached: true,
            },
            Event::Output { node, line: "a\rb".into() },
            Event::NodeEnded {
                node,
                end: End::Built { digest: "sha256:x".into(), executed: 1, reused: 1, bytes: 1 },
                took: Duration::from_millis(1500),
            },
            Event::NodeEnded {
                node: NodeId(0),
                end: End::Skipped { because: node },
                took: Duration::ZERO,
            },
            Event::NodeEnded {
                node: NodeId(0),
                end: End::Kept { digest: "sha256:x".into() },
                took: Duration::ZERO,
            },
        ];
        let lines: Vec<String> = events.iter().filter_map(|event| plain.line(event)).collect();
        assert_eq!(
            lines,
            [
                "2 of 3 nodes to look at",
                "downloading a.deb, 2.00 KiB",
                "downloaded a.deb, 2.00 KiB",
                "[web@linux/arm64] 2/4 run \"x\" (reused)",
                "[web@linux/arm64]   | a b",
                "[web@linux/arm64] built in 1.50 s  sha256:x",
                "[web@linux/amd64] skipped because of web@linux/arm64",
            ]
        );
    }
}
