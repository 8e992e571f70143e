//! The caller's side: starts a helper, gives it its ids, passes its output on, waits or kills.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{PidfdFlags, Signal};

use crate::error::CallError;
use crate::helper::{self, Work};
use crate::idmap::{self, IdMap};
use crate::terminal::{self, Terminal};
use crate::wire::{Channel, Frame, Tag};

/// Takes output as it comes, in pieces of any size.
pub type Output = Box<dyn FnMut(&[u8]) + Send>;

/// One piece of work for a helper.
pub struct Call<'a> {
    /// Name of the operation, for the handler.
    pub op: &'a str,
    /// What the handler gets.
    pub request: &'a [u8],
    /// How ids appear in the helper.
    pub id_map: IdMap,
    /// Gets what the helper and the programs in it print on stdout and stderr, as it comes, on
    /// the calling thread; without one it is thrown away.
    pub output: Option<Output>,
    /// Ends the call from another thread.
    pub cancel: CancelHandle,
    /// Ends the call after this time.
    pub deadline: Option<Duration>,
}

/// Ends calls from another thread; clones are the same handle, and one handle may serve many calls.
#[derive(Debug, Clone, Default)]
pub struct CancelHandle(Arc<Mutex<Cancel>>);

#[derive(Debug, Default)]
struct Cancel {
    cancelled: bool,
    /// Processes to kill; their calls own them.
    targets: Vec<Weak<OwnedFd>>,
}

impl CancelHandle {
    /// Makes a handle that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Kills everything in the calls of this handle at once, and every later call at its start.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        state.targets.iter().filter_map(Weak::upgrade).for_each(|target| kill(&target));
    }

    /// Tells whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cancel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, target: &Arc<OwnedFd>) {
        let mut state = self.lock();
        if state.cancelled {
            kill(target);
        }
        state.targets.retain(|target| target.strong_count() > 0);
        state.targets.push(Arc::downgrade(target));
    }
}

fn kill(target: &Arc<OwnedFd>) {
    // A process that has ended already needs no signal.
    let _ = rustix::process::pidfd_send_signal(target, Signal::KILL);
}

/// Runs one piece of work in a helper and waits for it. Blocks: not for an async thread. The calling
/// thread must live as long as the call, because the kernel ends the helper with it.
///
/// # Errors
/// See [`CallError`]. Whatever it is, no process of the call is left.
pub fn call(call: Call<'_>) -> Result<Vec<u8>, CallError> {
    let (printed, streams) = match &call.output {
        Some(_) => output_pipe(&call.id_map).map_err(broken("cannot make a pipe"))?,
        None => (None, [Stdio::null(), Stdio::null()]),
    };
    Running::start(&call, printed, streams)?.finish(call)
}

/// As [`call()`], for a program that a person uses: the helper and the programs in it have the
/// standard input and outputs of this process, as the [`Stdio`](crate::Stdio) of each program
/// tells. `output` gets nothing. The terminal of this process is as it was when this returns.
///
/// # Errors
/// As [`call()`].
pub fn call_attached(call: Call<'_>) -> Result<Vec<u8>, CallError> {
    let mut running = Running::start(&call, None, [Stdio::inherit(), Stdio::inherit()])?;
    running.stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).ok();
    running.finish(call)
}

/// A helper at work.
struct Running {
    child: Child,
    /// The helper first, then every pid 1 that it told of.
    processes: Vec<Arc<OwnedFd>>,
    channel: Channel,
    printed: Option<OwnedFd>,
    /// What the programs may read, until the helper has it.
    stdin: Option<OwnedFd>,
    terminal: Option<Terminal>,
    outcome: Option<Result<Vec<u8>, CallError>>,
}

/// Makes the pipe that takes what programs print: its end to read, and it as both outputs.
fn output_pipe(id_map: &IdMap) -> io::Result<(Option<OwnedFd>, [Stdio; 2])> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&read, true)?;
    // Programs of any user may open /dev/stdout; the pipe is out of sight for others.
    rustix::fs::fchmod(&write, rustix::fs::Mode::from_raw_mode(0o666))?;
    if let Some((uid, gid)) = id_map.root_outside() {
        // Root inside may give it away only when it owns it. An ordinary user's pipe is its own
        // already.
        let _ = rustix::fs::fchown(&write, Some(uid), Some(gid));
    }
    let copy = write.try_clone()?;
    Ok((Some(read), [write.into(), copy.into()]))
}

fn broken(what: &str) -> impl FnOnce(io::Error) -> CallError {
    let what = what.to_string();
    move |error| {
        CallError::setup(
            format!("{what}: {error}"),
            "see whether the limits on processes (ulimit -u) and open files (ulimit -n) are reached",
        )
    }
}

impl Running {
    fn start(
        call: &Call<'_>,
        printed: Option<OwnedFd>,
        [out, err]: [Stdio; 2],
    ) -> Result<Self, CallError> {
        if !helper::is_initialised() {
            return Err(CallError::setup(
                "this program did not call mabuild_sandbox::init at the start of its main function",
                "this is a mistake in the program, please report it",
            ));
        }
        if call.cancel.is_cancelled() {
            return Err(CallError::Cancelled);
        }
        let (channel, other) = Channel::pair().map_err(broken("cannot make a socket"))?;
        let child = Command::new("/proc/self/exe")
            .arg0(helper::HELPER)
            .arg(std::process::id().to_string())
            .stdin(other)
            .stdout(out)
            .stderr(err)
            // Ctrl-C in the terminal is for this program alone, which then ends the helper.
            .process_group(0)
            .spawn()
            .map_err(broken("cannot start the sandbox helper from /proc/self/exe"))?;
        let pidfd = rustix::process::pidfd_open(
            rustix::process::Pid::from_child(&child),
            PidfdFlags::empty(),
        );
        let mut running = Self {
            child,
            processes: Vec::new(),
            channel,
            printed,
            stdin: None,
            terminal: None,
            outcome: None,
        };
        match pidfd {
            Ok(pidfd) => running.watch(pidfd, &call.cancel),
            Err(error) => {
                running.kill();
                return Err(broken("cannot watch the sandbox helper (pidfd_open)")(error.into()));
            }
        }
        Ok(running)
    }

    fn watch(&mut self, process: OwnedFd, cancel: &CancelHandle) {
        // A helper may run many programs one after the other; those that ended need no watching.
        if self.processes.len() > 16 {
            let helper = self.processes.remove(0);
            self.processes.retain(|process| !has_ended(process, Duration::ZERO));
            self.processes.insert(0, helper);
        }
        let process = Arc::new(process);
        cancel.add(&process);
        self.processes.push(process);
    }

    /// Kills everything; what pid 1 has below it dies with it.
    fn kill(&mut self) {
        self.processes.iter().for_each(kill);
        // The helper may have ended already.
        let _ = self.child.kill();
    }

    fn finish(mut self, mut call: Call<'_>) -> Result<Vec<u8>, CallError> {
        let end = call.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
        let mut timed_out = false;
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if !timed_out && left == Some(Duration::ZERO) {
                timed_out = true;
                self.kill();
            }
            match self.turn(&mut call, if timed_out { None } else { left }) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.outcome.get_or_insert(Err(broken("lost the sandbox helper")(error)));
                    self.kill();
                    break;
                }
            }
        }
        let status = self.wait();
        // Nobody writes any more: this is what is left in the pipe.
        while self.pass_output_on(&mut call) {}
        if let Some(mut terminal) = self.terminal.take() {
            terminal.drain();
        }
        if call.cancel.is_cancelled() {
            return Err(CallError::Cancelled);
        }
        match (self.outcome, timed_out, call.deadline) {
            (Some(outcome), ..) => outcome,
            (None, true, Some(deadline)) => Err(CallError::TimedOut(deadline)),
            (None, ..) => Err(status.map_or_else(broken("cannot wait for the helper"), died)),
        }
    }

    /// Waits for the next thing to happen and handles it; false when the helper has closed its end.
    fn turn(&mut self, call: &mut Call<'_>, left: Option<Duration>) -> io::Result<bool> {
        let ready: Vec<bool> = {
            let mut fds = vec![PollFd::new(&self.channel, PollFlags::IN)];
            fds.extend(self.printed.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(self.terminal.iter().flat_map(Terminal::watched));
            let patience = self.terminal.as_ref().map(|_| terminal::PATIENCE);
            let timeout = [left, patience].into_iter().flatten().min();
            let timeout = timeout.and_then(|left| Timespec::try_from(left).ok());
            match rustix::event::poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            fds.iter().map(|fd| !fd.revents().is_empty()).collect()
        };
        let mut ready = ready.into_iter();
        let readable = ready.next() == Some(true);
        if self.printed.is_some() && ready.next() == Some(true) {
            self.pass_output_on(call);
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.turn(ready);
        }
        if !readable {
            return Ok(true);
        }
        let open = self.channel.fill()?;
        while let Some(frame) = self.channel.take()? {
            self.handle(frame, call);
        }
        Ok(open)
    }

    /// Sends a frame. A helper that is gone cannot take it, which its end of the socket will tell.
    fn tell(&self, tag: Tag, payload: &[u8], fd: Option<OwnedFd>) {
        let _ = self.channel.send(tag, payload, fd.as_ref().map(AsFd::as_fd));
    }

    fn handle(&mut self, frame: Frame, call: &Call<'_>) {
        match frame.tag {
            Tag::Unshared => match idmap::write_maps(&call.id_map, self.child.id()) {
                Ok(()) => {
                    let work = Work {
                        op: call.op.to_string(),
                        single: call.id_map == IdMap::Single,
                        request: call.request.to_vec(),
                    };
                    let stdin = self.stdin.take();
                    self.tell(Tag::Go, &work.encode(), stdin);
                }
                Err((reason, advice)) => {
                    self.outcome = Some(Err(CallError::setup(reason, advice)));
                    self.kill();
                }
            },
            Tag::Init => {
                if let Some(pidfd) = frame.fd {
                    self.watch(pidfd, &call.cancel);
                }
                self.tell(Tag::Known, &[], None);
            }
            Tag::Terminal => self.terminal = frame.fd.and_then(Terminal::begin),
            Tag::Done => self.outcome = Some(Ok(frame.payload)),
            Tag::Failed => {
                let message = String::from_utf8_lossy(&frame.payload).into_owned();
                self.outcome = Some(Err(CallError::Handler(message)));
            }
            Tag::Setup => {
                let (reason, advice) = serde_json::from_slice(&frame.payload).unwrap_or_default();
                self.outcome = Some(Err(CallError::Setup { reason, advice }));
            }
            Tag::Go | Tag::Known => {}
        }
    }

    /// Waits until the helper and every pid 1 are gone, and with them all that ran below.
    fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait();
        for process in self.processes.iter().skip(1) {
            // What the kernel cannot kill (a broken disk, a dead network file system) must not
            // hang the program for ever.
            has_ended(process, Duration::from_secs(10));
        }
        status
    }

    /// Passes on what was printed, up to a limit: what prints without end must not keep the
    /// deadline from being looked at. Tells whether there may be more.
    fn pass_output_on(&mut self, call: &mut Call<'_>) -> bool {
        let (Some(printed), Some(output)) = (&self.printed, &mut call.output) else { return false };
        let mut bytes = vec![0; 64 * 1024];
        for _ in 0..16 {
            match rustix::io::read(printed, &mut bytes) {
                Ok(count) if count > 0 => output(bytes.get(..count).unwrap_or_default()),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return false,
                _ => {
                    // Closed at the other end: polling it further would spin.
                    self.printed = None;
                    return false;
                }
            }
        }
        true
    }
}

fn has_ended(process: &OwnedFd, patience: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    let timeout = Timespec::try_from(patience).unwrap_or_default();
    rustix::event::poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// Says why a helper has ended without a result.
fn died(status: ExitStatus) -> CallError {
    match status.signal() {
        // It ignores these, and hears of no Ctrl-C; but one that came while it was being started,
        // or was meant for every process of a service, is a request to stop all the same.
        Some(libc::SIGINT | libc::SIGTERM | libc::SIGHUP) => CallError::Cancelled,
        Some(signal) => CallError::Killed(signal),
        None => CallError::setup(
            format!("the sandbox helper ended without a result ({status})"),
            "its output above may say why",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_that_was_asked_to_stop_is_no_fault() {
        for signal in [1, 2, 15] {
            assert!(matches!(died(ExitStatus::from_raw(signal)), CallError::Cancelled));
        }
        assert!(matches!(died(ExitStatus::from_raw(9)), CallError::Killed(9)));
        assert!(matches!(died(ExitStatus::from_raw(256)), CallError::Setup { .. }));
    }
}
