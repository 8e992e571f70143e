//! The process around one run: makes the mount points, starts pid 1, answers for owner emulation,
//! cleans up. It stays in the mount namespace of the helper, outside of the program's root.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, WaitOptions};
use rustix::thread::UnshareFlags;

use super::init::{self, Report};
use super::points::Points;
use super::root::Plan;
use super::{Error, Result, StageSpec};
use crate::owners::Supervisor;
use crate::spec::{OwnerEmulation, RunResult};
use crate::sys::{self, Fork};
use crate::wire::{Channel, Tag};

/// Runs the stage on the socket of the helper; returns the exit code of the process.
pub(crate) fn main(mut channel: Channel) -> i32 {
    let (tag, payload) = match run(&mut channel) {
        Ok(result) => (Tag::Done, serde_json::to_vec(&result)),
        Err(error) => (Tag::Failed, serde_json::to_vec(&error)),
    };
    let sent = payload.map_err(io::Error::from).and_then(|json| channel.send(tag, &json, None));
    i32::from(sent.is_err())
}

fn run(channel: &mut Channel) -> Result<RunResult> {
    let lost = "lost the sandbox helper";
    let frame = channel.receive().map_err(Error::at(lost))?;
    let frame = frame.ok_or_else(|| Error::Failed(lost.into()))?;
    let spec: StageSpec = serde_json::from_slice(&frame.payload).map_err(Error::at(lost))?;
    check(&spec)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let root = open_root(&spec.run.root)?;
    let mut points = Points::new(root);
    let result = Plan::prepare(&spec, &mut points)
        .and_then(|plan| contain(channel, &spec, &plan, points.root().as_fd()));
    points.remove();
    result
}

fn check(spec: &StageSpec) -> Result<()> {
    let run = &spec.run;
    let bad = |what: &str| Err(Error::Failed(what.to_string()));
    if run.argv.is_empty() {
        return bad("there is no program to run: the command is empty");
    }
    let has_nul = |bytes: &[u8]| bytes.contains(&0);
    let argument = |arg: &std::ffi::OsString| has_nul(arg.as_encoded_bytes());
    if run.argv.iter().any(argument) {
        return bad("an argument of the command holds a NUL byte");
    }
    let variable = |(name, value): &(String, String)| {
        name.is_empty()
            || name.contains('=')
            || has_nul(name.as_bytes())
            || has_nul(value.as_bytes())
    };
    match run.env.iter().find(|pair| variable(pair)) {
        Some((name, _)) => {
            bad(&format!("{name:?} is not the name of a variable, or has NUL in it"))
        }
        None => Ok(()),
    }
}

fn open_root(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(Error::at(format_args!("cannot open the root {}", path.display())))
}

/// Starts pid 1 in the new namespaces and serves it to its end.
fn contain(
    channel: &mut Channel,
    spec: &StageSpec,
    plan: &Plan,
    root: BorrowedFd<'_>,
) -> Result<RunResult> {
    let what = "cannot start the first process inside";
    let (gate_read, gate_write) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::at(what))?;
    let (report_read, report_write) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::at(what))?;
    let (listeners, listener_end) = Channel::pair().map_err(Error::at(what))?;
    sys::unshare(UnshareFlags::NEWPID).map_err(Error::at("cannot make a pid namespace"))?;
    let pid = match sys::fork().map_err(Error::at(what))? {
        Fork::Child => {
            drop((gate_write, report_read, listeners));
            let listener = Channel::new(listener_end);
            init::main(spec, plan, &init::Ends { gate: gate_read, report: report_write, listener });
        }
        Fork::Parent(pid) => pid,
    };
    drop((gate_read, report_write, listener_end));
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(Error::at(what))?;
    channel.send(Tag::Init, &[], Some(pidfd.as_fd())).map_err(Error::at(what))?;
    let known = channel.receive().map_err(Error::at(what))?;
    if known.is_none_or(|frame| frame.tag != Tag::Known) {
        return Err(Error::Failed("lost the sandbox helper".into()));
    }
    rustix::io::write(&gate_write, b"!").map_err(Error::at(what))?;
    let served = serve(spec, File::from(report_read), listeners);
    // Whatever came of serving it, nothing may be left of pid 1 and what it holds.
    let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
    rustix::process::waitpid(Some(pid), WaitOptions::empty()).map_err(Error::at(what))?;
    let (report, supervisor) = served?;
    let side_owners = match supervisor {
        Some(supervisor) => supervisor.side_owners(root)?,
        None => Default::default(),
    };
    Ok(RunResult {
        exit: report.exit,
        max_rss: report.max_rss,
        user_time: report.user_time,
        system_time: report.system_time,
        side_owners,
    })
}

/// Answers the calls of owner emulation until pid 1 reports.
fn serve(
    spec: &StageSpec,
    mut report: File,
    mut listeners: Channel,
) -> Result<(Report, Option<Supervisor>)> {
    let mut supervisor = match spec.run.owners {
        OwnerEmulation::None => None,
        OwnerEmulation::Record { uid, gid } => Some(Supervisor::new(&spec.run, (uid, gid))?),
    };
    let mut listener: Option<OwnedFd> = None;
    let mut expects_listener = supervisor.is_some();
    loop {
        let [reported, offered, asked] = {
            let mut fds = vec![PollFd::new(&report, PollFlags::IN)];
            match (&listener, expects_listener) {
                (Some(listener), _) => fds.push(PollFd::new(listener, PollFlags::IN)),
                (None, true) => fds.push(PollFd::new(&listeners, PollFlags::IN)),
                (None, false) => {}
            }
            match rustix::event::poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Error::failed("cannot watch the program", error)),
            }
            let events =
                |index: usize| fds.get(index).map_or(PollFlags::empty(), |fd| fd.revents());
            let second = events(1);
            let (offered, asked) = if listener.is_some() {
                (PollFlags::empty(), second)
            } else {
                (second, PollFlags::empty())
            };
            [events(0), offered, asked]
        };
        if !reported.is_empty() {
            return Ok((read_report(&mut report)?, supervisor));
        }
        if !offered.is_empty() {
            listener = listeners.receive().ok().flatten().and_then(|frame| frame.fd);
            expects_listener = false;
        }
        if asked.contains(PollFlags::IN) {
            if let (Some(supervisor), Some(listener)) = (&mut supervisor, &listener) {
                supervisor.serve(listener.as_fd());
            }
        } else if !asked.is_empty() {
            // No program with the filter is left.
            listener = None;
        }
    }
}

fn read_report(report: &mut File) -> Result<Report> {
    let mut json = Vec::new();
    report.read_to_end(&mut json).map_err(Error::at("cannot read how the program ended"))?;
    if json.is_empty() {
        return Err(Error::Failed(
            "the first process inside was killed; look for the out-of-memory killer in the kernel log"
                .into(),
        ));
    }
    serde_json::from_slice::<Result<Report>>(&json)
        .map_err(Error::at("cannot read how the program ended"))?
}
