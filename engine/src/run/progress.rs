//! What a node does, passed on to the listener, and its output to the log as well.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log::Log;
use super::masks::Masks;
use crate::event::{Event, Listener};
use crate::exec::{Private, Progress, StepAt};
use crate::graph::NodeId;

/// Lines of output that a failure shows.
const TAIL: usize = 20;

/// Bytes after which a line is shown even without an end.
const LONGEST_LINE: usize = 16 * 1024;

/// The progress of one node.
pub(super) struct NodeProgress {
    node: NodeId,
    listener: Arc<dyn Listener>,
    path: PathBuf,
    masks: Masks,
    output: Mutex<Output>,
}

#[derive(Default)]
struct Output {
    log: Option<Log>,
    /// A line whose end has not come yet.
    open: Vec<u8>,
    tail: VecDeque<String>,
}

impl NodeProgress {
    /// Begins the log of a node.
    pub fn new(
        node: NodeId,
        path: PathBuf,
        listener: &Arc<dyn Listener>,
        private: &Private,
    ) -> Result<Self, String> {
        let log = Log::create(&path)
            .map_err(|e| format!("cannot write the log {}: {e}", path.display()))?;
        let output = Mutex::new(Output { log: Some(log), ..Output::default() });
        Ok(Self { node, listener: listener.clone(), path, masks: Masks::of(private), output })
    }

    /// Shows what is left of the last line; gives the last lines and the log.
    pub fn finish(&self) -> (Vec<String>, Option<String>) {
        let mut output = self.lock();
        let open = std::mem::take(&mut output.open);
        if !open.is_empty() {
            let shown = self.line(&mut output, &open);
            output.write(&shown);
        }
        // A log that cannot be ended (a full disk) must not fail the build.
        let _ = output.log.take().map(Log::finish);
        (output.tail.iter().cloned().collect(), Some(self.path.display().to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a line, without its end or with it; gives it as it may be seen.
    fn line(&self, output: &mut Output, bytes: &[u8]) -> Vec<u8> {
        let shown = self.masks.mask(bytes);
        let text = shown.strip_suffix(b"\n").unwrap_or(&shown);
        let line = String::from_utf8_lossy(text).trim_end_matches('\r').to_owned();
        if output.tail.len() == TAIL {
            output.tail.pop_front();
        }
        output.tail.push_back(line.clone());
        self.listener.event(&Event::Output { node: self.node, line });
        shown.into_owned()
    }
}

impl Output {
    fn write(&mut self, bytes: &[u8]) {
        // A log that cannot be written any more (a full disk) must not fail the build.
        if self.log.as_mut().is_some_and(|log| log.write(bytes).is_err()) {
            self.log = None;
        }
    }
}

impl Progress for NodeProgress {
    fn step(&self, at: StepAt<'_>, text: &str, cached: bool) {
        let StepAt { stage, number, of } = at;
        if !cached {
            let space = if stage.is_empty() { "" } else { " " };
            self.lock().write(format!("# {stage}{space}{number}/{of} {text}\n").as_bytes());
        }
        let (text, stage) = (text.to_owned(), stage.into());
        self.listener.event(&Event::Step { node: self.node, stage, number, of, text, cached });
    }

    fn output(&self, bytes: &[u8]) {
        let mut output = self.lock();
        let mut shown = Vec::with_capacity(bytes.len());
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            output.open.extend_from_slice(piece);
            let end = match output.open.len() {
                length if piece.ends_with(b"\n") => length,
                length if length > LONGEST_LINE => self.masks.settled(&output.open),
                _ => 0,
            };
            if end > 0 {
                let rest = output.open.split_off(end);
                let line = std::mem::replace(&mut output.open, rest);
                shown.append(&mut self.line(&mut output, &line));
            }
        }
        output.write(&shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Listener for Lines {
        fn event(&self, event: &Event) {
            if let Event::Output { line, .. } = event {
                self.0.lock().unwrap().push(line.clone());
            }
        }
    }

    /// What is shown, what a failure shows, and the log.
    fn run(secret: &str, pieces: &[&str]) -> (Vec<String>, Vec<String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let lines = Arc::new(Lines::default());
        let listener: Arc<dyn Listener> = lines.clone();
        let secrets = [("s".to_owned(), secret.as_bytes().into())].into();
        let private = Private { secrets, ..Private::default() };
        let progress = NodeProgress::new(NodeId(0), path.clone(), &listener, &private).unwrap();
        pieces.iter().for_each(|piece| progress.output(piece.as_bytes()));
        let (tail, _) = progress.finish();
        let lines = lines.0.lock().unwrap().clone();
        (lines, tail, std::fs::read_to_string(path).unwrap())
    }

    #[test]
    fn a_secret_is_seen_nowhere_however_it_arrives() {
        let (lines, tail, log) = run("hunter2", &["a hun", "ter2 b\r\nhunter", "2"]);
        assert_eq!(lines, ["a *** b", "***"]);
        assert_eq!(tail, lines);
        assert_eq!(log, "a *** b\r\n***");
    }

    #[test]
    fn a_line_without_an_end_is_shown_in_pieces_and_cuts_no_secret() {
        let long = "x".repeat(LONGEST_LINE - 3);
        let (lines, _, log) = run("hunter2", &[&long, "hunt", "er2", "y"]);
        assert!(lines.len() > 1 && !lines.concat().contains("hunter2"));
        assert_eq!(lines.concat(), format!("{long}***y"));
        assert_eq!(log, lines.concat());
        // Without secrets nothing waits.
        let (lines, ..) = run("", &[&long, "12345678", "end"]);
        assert_eq!(lines, [format!("{long}12345678"), "end".to_owned()]);
    }

    #[test]
    fn a_failure_shows_the_last_lines() {
        let all: String = (0..100).map(|number| format!("{number}\n")).collect();
        let (_, tail, _) = run("", &[&all]);
        assert_eq!(tail.len(), TAIL);
        assert_eq!(tail.last().map(String::as_str), Some("99"));
    }
}
