//! Draws a [`Screen`] on the terminal: one thread, five times a second, one write a frame.

use std::fmt::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mabuild_engine::event::{Event, Listener};

use super::super::Terminal;
use super::screen::Screen;

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(200);

/// A screen that is being drawn.
pub struct Tty {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    terminal: Terminal,
    begun: Instant,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    screen: Screen,
    /// Lines of the last frame, which the next one draws over.
    drawn: usize,
    over: bool,
}

impl Tty {
    /// Starts drawing.
    pub fn start(terminal: Terminal, screen: Screen) -> Self {
        let shared = Arc::new(Shared {
            terminal,
            begun: Instant::now(),
            state: Mutex::new(State { screen, drawn: 0, over: false }),
            wake: Condvar::new(),
        });
        let drawing = shared.clone();
        let thread = thread::Builder::new().name("progress".to_owned());
        // Without a thread there is no progress to see; the run itself goes on.
        let thread = thread.spawn(move || drawing.draw_until_over()).ok();
        Self { shared, thread }
    }

    /// Who takes the events.
    pub fn listener(&self) -> Arc<dyn Listener> {
        self.shared.clone()
    }

    /// Shows that the run was asked to stop.
    pub fn notice(&self) -> Box<dyn Fn() + Send> {
        let shared = self.shared.clone();
        Box::new(move || shared.lock().screen.say(super::STOPPING))
    }

    /// Removes the frame and leaves the lines that stay.
    pub fn finish(self) {
        self.shared.lock().over = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread {
            // A thread that panicked has nothing left to draw.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw_until_over(&self) {
        let mut state = self.lock();
        while !state.over {
            self.draw(&mut state);
            let waited = self.wake.wait_timeout(state, FRAME);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.draw(&mut state);
    }

    fn draw(&self, state: &mut State) {
        let (width, height) = self.terminal.size();
        let above = state.screen.take_above();
        let frame = match state.over {
            true => Vec::new(),
            false => state.screen.frame(self.begun.elapsed(), width, height),
        };
        if above.is_empty() && frame.is_empty() && state.drawn == 0 {
            return;
        }
        self.terminal.say(&redraw(state.drawn, &above, &frame));
        state.drawn = frame.len();
    }
}

/// The bytes that put lines in the place of a frame of `drawn` lines: the lines that stay, then
/// the new frame. The cursor is hidden meanwhile, and terminals that can show all of it at once.
fn redraw(drawn: usize, above: &[String], frame: &[String]) -> String {
    let mut out = String::from("\x1b[?2026h\x1b[?25l\r");
    if drawn > 0 {
        let _ = write!(out, "\x1b[{drawn}A");
    }
    for line in above.iter().chain(frame) {
        out.push_str(line);
        out.push_str("\x1b[K\r\n");
    }
    out.push_str("\x1b[J\x1b[?25h\x1b[?2026l");
    out
}

impl Listener for Shared {
    fn event(&self, event: &Event) {
        let now = self.begun.elapsed();
        self.lock().screen.apply(event, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal that knows the sequences used here.
    #[derive(Default)]
    struct Fake {
        lines: Vec<String>,
        row: usize,
    }

    impl Fake {
        fn take(&mut self, text: &str) {
            let mut rest = text;
            while !rest.is_empty() {
                if let Some(tail) = rest.strip_prefix("\x1b[?") {
                    rest = &tail[tail.find(['h', 'l']).unwrap() + 1..];
                } else if let Some(tail) = rest.strip_prefix("\x1b[K") {
                    rest = tail;
                } else if let Some(tail) = rest.strip_prefix("\x1b[J") {
                    self.lines.truncate(self.row);
                    rest = tail;
                } else if let Some(tail) = rest.strip_prefix("\x1b[") {
                    let end = tail.find('A').unwrap();
                    self.row -= tail[..end].parse::<usize>().unwrap();
                    rest = &tail[end + 1..];
                } else if let Some(tail) = rest.strip_prefix("\r\n") {
                    self.row += 1;
                    rest = tail;
                } else if let Some(tail) = rest.strip_prefix('\r') {
                    rest = tail;
                } else {
                    let end = rest.find(['\x1b', '\r']).unwrap_or(rest.len());
                    self.lines.resize(self.lines.len().max(self.row + 1), String::new());
                    self.lines[self.row] = rest[..end].to_owned();
                    rest = &rest[end..];
                }
            }
        }
    }

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_frame_takes_the_place_of_the_last_one() {
        let mut fake = Fake::default();
        fake.take(&redraw(0, &[], &lines(&["a", "b", "bar"])));
        assert_eq!(fake.lines, ["a", "b", "bar"]);
        fake.take(&redraw(3, &lines(&["a built"]), &lines(&["b", "bar"])));
        assert_eq!(fake.lines, ["a built", "b", "bar"]);
        fake.take(&redraw(2, &lines(&["b built"]), &[]));
        assert_eq!(fake.lines, ["a built", "b built"]);
        assert_eq!(fake.row, 2);
    }

    #[test]
    fn the_cursor_is_shown_again_in_the_same_write() {
        let text = redraw(2, &[], &lines(&["x"]));
        assert_eq!(text.matches("\x1b[?25l").count(), 1);
        assert!(text.ends_with("\x1b[?25h\x1b[?2026l"));
    }
}
