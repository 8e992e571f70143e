//! What a screen of progress shows: events in, lines out. Pure: no clock, no terminal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mabuild_engine::event::{End, Event};
use mabuild_engine::graph::NodeId;
use mabuild_engine::report::{Style, Tone, words};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::names::Names;
use super::plain::ending;
use super::sending::Sending;

/// Time before a screen is drawn at all: what ends sooner leaves one line and no flicker.
const QUIET: Duration = Duration::from_millis(300);
/// Time after which a download that has not moved is no longer shown.
const STILL: Duration = Duration::from_secs(3);
/// Downloads shown at once.
const DOWNLOADS: usize = 3;
/// Registries shown at once that something is sent to.
const HOSTS: usize = 3;

/// The state of a run. Times are those since the run began.
pub struct Screen {
    names: Names,
    doing: &'static str,
    style: Style,
    unicode: bool,
    verbose: bool,
    total: usize,
    done: usize,
    failed: usize,
    running: BTreeMap<NodeId, Running>,
    downloads: Vec<Download>,
    sending: Sending,
    started: bool,
    above: Vec<String>,
}

struct Running {
    since: Duration,
    expected: Option<f64>,
    step: String,
}

struct Download {
    what: Arc<str>,
    done: u64,
    total: Option<u64>,
    moved: Duration,
}

impl Screen {
    /// An empty screen; `doing` says what is done before a node is worked on, or where none is. With
    /// `verbose`, nodes that are up to date have a line as well.
    pub fn new(
        names: Names,
        doing: &'static str,
        (style, unicode): (Style, bool),
        verbose: bool,
    ) -> Self {
        Self {
            names,
            doing,
            style,
            unicode,
            verbose,
            total: 0,
            done: 0,
            failed: 0,
            running: BTreeMap::new(),
            downloads: Vec::new(),
            sending: Sending::default(),
            started: false,
            above: Vec::new(),
        }
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Started { nodes, kept } => {
                (self.total, self.done, self.started) = (*nodes, *kept, true);
            }
            Event::Warning { what } => {
                self.above.push(format!("warning: {}", words::one_line(what)));
            }
            Event::Download { what, done, total } => self.download(what, *done, *total, now),
            Event::Upload { to, blob, done, total, is_over } => {
                self.sending.apply((to, blob), (*done, *total), *is_over);
            }
            Event::NodeStarted { node, expected } => {
                let step = String::new();
                self.running.insert(*node, Running { since: now, expected: *expected, step });
            }
            Event::Step { node, stage, number, of, text, cached } => {
                if let Some(running) = self.running.get_mut(node) {
                    let reused = if *cached { " (reused)" } else { "" };
                    running.step = words::step(stage, *number, *of, text) + reused;
                }
            }
            Event::Output { .. } | Event::Ended(_) => {}
            Event::NodeEnded { node, end, took } => self.ended(*node, end, *took),
        }
    }

    fn ended(&mut self, node: NodeId, end: &End, took: Duration) {
        self.running.remove(&node);
        self.done += 1;
        self.failed += usize::from(matches!(end, End::Failed(_)));
        if self.names.is_index(node) && !matches!(end, End::Failed(_)) {
            return;
        }
        let took = words::duration(took);
        if let Some(text) = ending(end, &took, &self.names, self.verbose, self.style) {
            let name = self.style.paint(Tone::Strong, &self.names.get(node));
            self.above.push(format!("{name} {text}"));
        }
    }

    fn download(&mut self, what: &Arc<str>, done: u64, total: Option<u64>, now: Duration) {
        self.downloads.retain(|d| d.what != *what);
        if total != Some(done) {
            self.downloads.push(Download { what: what.clone(), done, total, moved: now });
        }
    }

    /// Says something that stays.
    pub fn say(&mut self, text: &str) {
        self.above.push(self.style.paint(Tone::Maybe, text));
    }

    /// Lines that stay on the terminal, since the last call.
    pub fn take_above(&mut self) -> Vec<String> {
        std::mem::take(&mut self.above)
    }

    /// The lines that are drawn anew each time: at most `width` cells and `height` lines.
    pub fn frame(&mut self, now: Duration, width: usize, height: usize) -> Vec<String> {
        if now < QUIET {
            return Vec::new();
        }
        // The last cell stays free: some terminals wrap as soon as it is written.
        let width = width.saturating_sub(1).max(1);
        self.downloads.retain(|d| now.saturating_sub(d.moved) < STILL);
        let room = height.saturating_sub(2).max(1);
        let mut moving = self.moving(width);
        moving.truncate(room.saturating_sub(1));
        let mut rows = self.rows(now, width, room - moving.len());
        rows.append(&mut moving);
        rows.push(match self.started {
            true => self.bar(now, width),
            false => {
                let text = format!("{}  {}", self.doing, words::duration(now));
                self.style.paint(Tone::Dim, &fit(&text, width))
            }
        });
        rows
    }

    /// What moves over the network.
    fn moving(&self, width: usize) -> Vec<String> {
        let sent = self.sending.lines().take(HOSTS);
        let skip = self.downloads.len().saturating_sub(DOWNLOADS);
        let fetched = self.downloads.iter().skip(skip).map(fetched);
        sent.chain(fetched).map(|text| self.style.paint(Tone::Dim, &fit(&text, width))).collect()
    }

    fn rows(&self, now: Duration, width: usize, room: usize) -> Vec<String> {
        let shown = match self.running.len() > room {
            true => room.saturating_sub(1),
            false => self.running.len(),
        };
        let names: Vec<String> = self.running.keys().map(|node| self.names.get(*node)).collect();
        let longest = names.iter().take(shown).map(|n| n.width()).max().unwrap_or(0);
        let column = longest.min(width / 2);
        let mut rows: Vec<String> = self
            .running
            .values()
            .zip(&names)
            .take(shown)
            .map(|(running, name)| self.row(running, name, column, now, width))
            .collect();
        if self.running.len() > shown {
            let text = format!("and {} more", self.running.len() - shown);
            rows.push(self.style.paint(Tone::Dim, &fit(&text, width)));
        }
        rows
    }

    fn row(
        &self,
        running: &Running,
        name: &str,
        column: usize,
        now: Duration,
        width: usize,
    ) -> String {
        let elapsed = words::duration(now.saturating_sub(running.since));
        let time = match running.expected {
            Some(expected) => {
                format!("{elapsed} of about {}", words::duration(words::seconds(expected)))
            }
            None => elapsed,
        };
        let name = fit(name, column);
        let left = width.saturating_sub(column + time.width() + 4);
        let step = fit(&running.step, left);
        if left < 4 {
            return self.style.paint(Tone::Strong, &name);
        }
        format!(
            "{}  {}  {}",
            self.style.paint(Tone::Strong, &pad(&name, column)),
            pad(&step, left),
            self.style.paint(Tone::Dim, &time)
        )
    }

    fn bar(&self, now: Duration, width: usize) -> String {
        let mut text = format!("{}/{}", self.done.min(self.total), self.total);
        if self.failed > 0 {
            text.push_str(&format!(", {} failed", self.failed));
        }
        text.push_str(&format!(", {} running, {}", self.running.len(), words::duration(now)));
        let cells = width.saturating_sub(text.width() + 2).min(40);
        if cells < 8 {
            return fit(&text, width);
        }
        let full = match self.total {
            0 => 0,
            total => cells * self.done.min(total) / total,
        };
        let (mark, rest) = if self.unicode { ("━", "─") } else { ("=", "-") };
        let tone = if self.failed > 0 { Tone::Bad } else { Tone::Good };
        format!(
            "{}{}  {text}",
            self.style.paint(tone, &mark.repeat(full)),
            self.style.paint(Tone::Dim, &rest.repeat(cells - full))
        )
    }
}

/// How far a download is.
fn fetched(download: &Download) -> String {
    let bytes = match download.total {
        Some(total) => format!("{} of {}", words::bytes(download.done), words::bytes(total)),
        None => words::bytes(download.done),
    };
    format!("downloading {}  {bytes}", words::one_line(&download.what))
}

/// At most `cells` cells of a text, with an ellipsis where some are cut off.
fn fit(text: &str, cells: usize) -> String {
    if text.width() <= cells {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 0);
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if used + width + 1 > cells {
            break;
        }
        out.push(c);
        used += width;
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

fn pad(text: &str, cells: usize) -> String {
    format!("{text}{}", " ".repeat(cells.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::super::names::tests::web;
    use super::*;

    fn screen() -> Screen {
        Screen::new(Names::of(&web()), "planning", (Style::Plain, false), false)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn busy() -> Screen {
        let mut screen = screen();
        screen.apply(&Event::Started { nodes: 4, kept: 1 }, seconds(0));
        for node in [NodeId(0), NodeId(1)] {
            screen.apply(&Event::NodeStarted { node, expected: Some(40.0) }, seconds(1));
        }
        let text = "run \"日本語 日本語 日本語 日本語 日本語\"".to_owned();
        let stage = "build".into();
        let step = Event::Step { node: NodeId(1), stage, number: 2, of: 4, text, cached: false };
        screen.apply(&step, seconds(2));
        screen
    }

    #[test]
    fn shows_a_line_a_node_and_a_bar() {
        let lines = busy().frame(seconds(11), 80, 24);
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(lines[0].starts_with("web@linux/amd64  "), "{lines:#?}");
        assert!(lines[1].contains("2/4 run \"日本語") && lines[1].contains('…'), "{lines:#?}");
        assert!(lines[1].ends_with("  10.0 s of about 40.0 s"), "{lines:#?}");
        assert!(lines[2].starts_with("==========-----"), "{lines:#?}");
        assert!(lines[2].ends_with("  1/4, 2 running, 11.0 s"), "{lines:#?}");
    }

    #[test]
    fn no_line_is_wider_and_no_frame_higher_than_the_terminal() {
        let mut screen = busy();
        let download =
            Event::Download { what: "a very long name of a file".into(), done: 1, total: None };
        screen.apply(&download, seconds(11));
        screen.apply(&upload(1, false), seconds(11));
        for width in 1..120 {
            for height in [1, 2, 3, 4, 10] {
                let lines = screen.frame(seconds(11), width, height);
                let widest = lines.iter().map(|line| line.width()).max().unwrap_or(0);
                assert!(widest < width.max(2), "{width}: {lines:#?}");
                assert!(lines.len() <= height.max(2), "{height}: {lines:#?}");
            }
        }
    }

    #[test]
    fn what_ends_leaves_a_line_and_moves_the_bar() {
        let mut screen = busy();
        let end = End::Built { digest: "sha256:ab".into(), executed: 1, reused: 0, bytes: 1 };
        let ended = Event::NodeEnded { node: NodeId(0), end, took: seconds(3) };
        screen.apply(&ended, seconds(4));
        assert_eq!(screen.take_above(), ["web@linux/amd64 built in 3.00 s  sha256:ab"]);
        assert!(screen.take_above().is_empty());
        let lines = screen.frame(seconds(4), 80, 24);
        assert!(lines.last().unwrap().contains("2/4, 1 running"), "{lines:#?}");
    }

    #[test]
    fn a_short_run_draws_nothing() {
        assert!(busy().frame(Duration::from_millis(200), 80, 24).is_empty());
        assert_eq!(screen().frame(seconds(2), 80, 24), ["planning  2.00 s"]);
    }

    fn upload(done: u64, is_over: bool) -> Event {
        let (to, blob) = ("registry.example:5000/team/app".into(), "sha256:x".into());
        Event::Upload { to, blob, done, total: 1024, is_over }
    }

    #[test]
    fn uploads_are_shown_until_they_are_over() {
        let mut screen = busy();
        screen.apply(&upload(512, false), seconds(3));
        let line = "sending to registry.example:5000  0 of 1 blob, 512 B of 1.00 KiB";
        assert_eq!(screen.frame(seconds(60), 80, 24)[2], line, "however long it takes");
        screen.apply(&upload(1024, true), seconds(61));
        assert_eq!(screen.frame(seconds(61), 80, 24).len(), 3);
        // Where no node is worked on.
        let mut screen = Screen::new(Names::default(), "copying", (Style::Plain, false), false);
        screen.apply(&upload(0, false), seconds(1));
        let lines = screen.frame(seconds(2), 80, 24);
        assert!(lines.len() == 2 && lines[1] == "copying  2.00 s", "{lines:#?}");
        assert!(screen.frame(Duration::from_millis(200), 80, 24).is_empty());
    }

    #[test]
    fn a_download_goes_when_it_is_done_or_still() {
        let mut screen = busy();
        let event = |done| Event::Download { what: "x".into(), done, total: Some(10) };
        screen.apply(&event(5), seconds(3));
        assert!(screen.frame(seconds(4), 80, 24)[2].starts_with("downloading x  5 B of 10 B"));
        assert_eq!(screen.frame(seconds(9), 80, 24).len(), 3);
        screen.apply(&event(6), seconds(10));
        screen.apply(&event(10), seconds(10));
        assert_eq!(screen.frame(seconds(10), 80, 24).len(), 3);
    }
}
