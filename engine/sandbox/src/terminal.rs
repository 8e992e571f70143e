//! The caller's terminal while a program inside has one of its own: every key goes there, and what
//! the program shows comes back.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, Winsize};

/// How often the size of the terminal is looked at. A handler of the signal that tells of a new
/// one is for the program to have, not for a library.
pub(crate) const PATIENCE: Duration = Duration::from_millis(150);

/// The caller's terminal, in raw mode until this is dropped, and the other end of the program's.
pub(crate) struct Terminal {
    master: OwnedFd,
    saved: Option<Termios>,
    size: Option<Winsize>,
    /// Keys that the program's terminal has not taken yet.
    typed: Vec<u8>,
    has_input: bool,
    is_open: bool,
}

impl Terminal {
    /// Begins to show the terminal whose other end this is; `None` when that cannot be watched.
    pub fn begin(master: OwnedFd) -> Option<Self> {
        rustix::io::ioctl_fionbio(&master, true).ok()?;
        let stdin = rustix::stdio::stdin();
        let saved = rustix::termios::tcgetattr(stdin).ok();
        if let Some(saved) = &saved {
            let mut raw = saved.clone();
            raw.make_raw();
            // A terminal that is gone meanwhile has no mode, and gives no input.
            let _ = rustix::termios::tcsetattr(stdin, OptionalActions::Now, &raw);
        }
        let mut terminal =
            Self { master, saved, size: None, typed: Vec::new(), has_input: true, is_open: true };
        terminal.follow_size();
        Some(terminal)
    }

    /// What to wait for: the program's terminal, then the caller's keys; neither when it is closed,
    /// which would be ready for ever.
    pub fn watched(&self) -> impl Iterator<Item = PollFd<'_>> {
        let unread = if self.typed.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let shown = self.is_open.then(|| PollFd::new(&self.master, PollFlags::IN | unread));
        let stdin = rustix::stdio::stdin();
        let keys = self.wants_keys().then(|| PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        shown.into_iter().chain(keys)
    }

    fn wants_keys(&self) -> bool {
        self.is_open && self.has_input && self.typed.is_empty()
    }

    /// Handles what of [`watched`](Self::watched) is ready.
    pub fn turn(&mut self, mut ready: impl Iterator<Item = bool>) {
        self.follow_size();
        let shown = self.is_open && ready.next() == Some(true);
        if self.wants_keys() && ready.next() == Some(true) {
            self.read_keys();
        }
        self.write_keys();
        if shown {
            self.show();
        }
    }

    /// Shows what is left after the program has ended.
    pub fn drain(&mut self) {
        while self.is_open && self.show() {}
    }

    fn follow_size(&mut self) {
        let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdout()) else { return };
        let same = |old: &Winsize| old.ws_row == size.ws_row && old.ws_col == size.ws_col;
        if !self.size.as_ref().is_some_and(same) {
            // The kernel tells the program.
            let _ = rustix::termios::tcsetwinsize(&self.master, size);
            self.size = Some(size);
        }
    }

    fn read_keys(&mut self) {
        let mut bytes = [0; 4096];
        match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
            Ok(count) if count > 0 => {
                self.typed.extend_from_slice(bytes.get(..count).unwrap_or_default());
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            // The caller's terminal is closed.
            _ => self.has_input = false,
        }
    }

    fn write_keys(&mut self) {
        while !self.typed.is_empty() {
            match rustix::io::write(&self.master, &self.typed) {
                Ok(count) => drop(self.typed.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // Nobody reads them any more.
                Err(_) => self.typed.clear(),
            }
        }
    }

    /// Shows what there is, up to a limit; false when there is no more now.
    fn show(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match rustix::io::read(&self.master, &mut bytes) {
            Ok(count) if count > 0 => {
                write_all(bytes.get(..count).unwrap_or_default());
                true
            }
            Err(Errno::INTR) => true,
            Err(Errno::AGAIN) => false,
            // All processes of the terminal are gone.
            _ => {
                self.is_open = false;
                false
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            // A terminal that is gone meanwhile needs no mode.
            let _ =
                rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, saved);
        }
    }
}

/// Writes to the standard output; what it does not take is lost, as with any program.
fn write_all(mut bytes: &[u8]) {
    let stdout = rustix::stdio::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(stdout.as_fd(), bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                // Shared with somebody who made it non-blocking.
                let mut fds = [PollFd::new(&stdout, PollFlags::OUT)];
                if rustix::event::poll(&mut fds, None).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}
