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
    if !helper::is_initialised() {
        return Err(CallError::setup(
            "this program did not call mabuild_sandbox::init at the start of its main function",
            "this is a mistake in the program, please report it",
        ));
    }
    if call.cancel.is_cancelled() {
        return Err(CallError::Cancelled);
    }
    Running::start(&call)?.finish(call)
}

/// A helper at work.
struct Running {
    child: Child,
    /// The helper first, then every pid 1 that it told of.
    processes: Vec<Arc<OwnedFd>>,
    channel: Channel,
    printed: Option<OwnedFd>,
    outcome: Option<Result<Vec<u8>, CallError>>,
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
    fn start(call: &Call<'_>) -> Result<Self, CallError> {
        let (channel, other) = Channel::pair().map_err(broken("cannot make a socket"))?;
        let (printed, out, err) = if call.output.is_some() {
            let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                .map_err(io::Error::from)
                .and_then(|(read, write)| {
                    rustix::io::ioctl_fionbio(&read, true)?;
                    // Programs of any user may open /dev/stdout; the pipe is out of sight for others.
                    rustix::fs::fchmod(&write, rustix::fs::Mode::from_raw_mode(0o666))?;
                    if let Some((uid, gid)) = call.id_map.root_outside() {
                        // Root inside may give it away only when it owns it. An ordinary user's
                        // pipe is its own already.
                        let _ = rustix::fs::fchown(&write, Some(uid), Some(gid));
                    }
                    Ok((read, write))
                })
                .map_err(broken("cannot make a pipe"))?;
            let copy = write.try_clone().map_err(broken("cannot make a pipe"))?;
            (Some(read), Stdio::from(write), Stdio::from(copy))
        } else {
            (None, Stdio::null(), Stdio::null())
        };
        let child = Command::new("/proc/self/exe")
            .arg0(helper::HELPER)
            .arg(std::process::id().to_string())
            .stdin(other)
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(broken("cannot start the sandbox helper from /proc/self/exe"))?;
        let pidfd = rustix::process::pidfd_open(
            rustix::process::Pid::from_child(&child),
            PidfdFlags::empty(),
        );
        let mut running = Self { child, processes: Vec::new(), channel, printed, outcome: None };
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
        self.pass_output_on(&mut call);
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
        let (readable, printable) = {
            let mut fds = vec![PollFd::new(&self.channel, PollFlags::IN)];
            if let Some(printed) = &self.printed {
                fds.push(PollFd::new(printed, PollFlags::IN));
            }
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            match rustix::event::poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready = |fd: Option<&PollFd<'_>>| fd.is_some_and(|fd| !fd.revents().is_empty());
            (ready(fds.first()), ready(fds.get(1)))
        };
        if printable {
            self.pass_output_on(call);
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
    fn tell(&self, tag: Tag, payload: &[u8]) {
        let _ = self.channel.send(tag, payload, None);
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
                    self.tell(Tag::Go, &work.encode());
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
                self.tell(Tag::Known, &[]);
            }
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

    fn pass_output_on(&mut self, call: &mut Call<'_>) {
        let (Some(printed), Some(output)) = (&self.printed, &mut call.output) else { return };
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match rustix::io::read(printed, &mut bytes) {
                Ok(0) => break,
                Ok(count) => output(&bytes[..count]),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => break,
            }
        }
        // Closed at the other end: polling it further would spin.
        self.printed = None;
    }
}

fn has_ended(process: &OwnedFd, patience: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    let timeout = Timespec::try_from(patience).unwrap_or_default();
    rustix::event::poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

fn died(status: ExitStatus) -> CallError {
    status.signal().map_or_else(
        || {
            CallError::setup(
                format!("the sandbox helper ended without a result ({status})"),
                "its output above may say why",
            )
        },
        CallError::Killed,
    )
}
