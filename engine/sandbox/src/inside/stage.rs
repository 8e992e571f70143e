//! The process around one run: picks up what is to be mounted, makes the mount points, starts pid 1,
//! answers for the calls that are emulated, watches the disk, cleans up. It stays outside of the
//! program's root.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, WaitOptions};
use rustix::thread::UnshareFlags;

use super::disk::{self, Disk};
use super::init::{self, Report};
use super::picks::Picks;
use super::points::Points;
use super::proxy::Proxy;
use super::root::Plan;
use super::{Error, Result, StageSpec};
use crate::owners::Supervisor;
use crate::spec::{OwnerEmulation, RunResult, Stdio};
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
    // What is mounted on the way is for nobody else to see, and ends with this process.
    sys::unshare(UnshareFlags::NEWNS).map_err(Error::at("cannot make a mount namespace"))?;
    let mut points = Points::new(open_root(&spec.run.root)?);
    let result = prepare(&spec, &mut points).and_then(|prepared| {
        let stdin = frame.fd.filter(|_| spec.run.stdio == Stdio::Inherit);
        contain(channel, &spec, prepared, points.root().as_fd(), stdin)
    });
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

/// What a run needs before its first process starts.
struct Prepared {
    plan: Plan,
    supervisor: Supervisor,
    disk: Option<Disk>,
    /// Ends when this is dropped.
    _proxy: Option<Proxy>,
}

fn prepare(spec: &StageSpec, points: &mut Points) -> Result<Prepared> {
    let run = &spec.run;
    let disk = run.min_free.as_ref().map(Disk::open).transpose()?;
    let mut picks = Picks::from_host(spec)?;
    let mut supervisor = match run.owners {
        OwnerEmulation::None => Supervisor::of_devices()?,
        OwnerEmulation::Record { uid, gid } => {
            Supervisor::of_owners(run, (uid, gid), std::mem::take(&mut picks.owners))?
        }
    };
    if run.make_cwd {
        make_cwd(spec, points, &mut supervisor).map_err(Error::at(format_args!(
            "cannot make the working directory {}",
            run.cwd.display()
        )))?;
    }
    let proxy = Proxy::start(std::mem::take(&mut picks.sockets))?;
    let plan = Plan::prepare(points, picks)?;
    Ok(Prepared { plan, supervisor, disk, _proxy: proxy })
}

/// Makes the working directory in the root, unless a mount is to come over it.
fn make_cwd(
    spec: &StageSpec,
    points: &Points,
    supervisor: &mut Supervisor,
) -> rustix::io::Result<()> {
    let run = &spec.run;
    let cwd = Path::new("/").join(&run.cwd);
    if run.mounts.iter().any(|mount| cwd.starts_with(Path::new("/").join(&mount.target))) {
        return Ok(());
    }
    for dir in points.make_directories(&cwd)? {
        match run.owners {
            OwnerEmulation::Record { .. } => supervisor.record(&dir, (run.uid, run.gid))?,
            OwnerEmulation::None if spec.single => {}
            OwnerEmulation::None => {
                let (uid, gid) = (Uid::from_raw(run.uid), Gid::from_raw(run.gid));
                rustix::fs::fchown(&dir, Some(uid), Some(gid))?;
            }
        }
    }
    Ok(())
}

/// Starts pid 1 in the new namespaces and serves it to its end.
fn contain(
    channel: &mut Channel,
    spec: &StageSpec,
    prepared: Prepared,
    root: BorrowedFd<'_>,
    stdin: Option<OwnedFd>,
) -> Result<RunResult> {
    let what = "cannot start the first process inside";
    let (gate_read, gate_write) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::at(what))?;
    let (report_read, report_write) = pipe_with(PipeFlags::CLOEXEC).map_err(Error::at(what))?;
    let (told, teller) = Channel::pair().map_err(Error::at(what))?;
    sys::unshare(UnshareFlags::NEWPID).map_err(Error::at("cannot make a pid namespace"))?;
    let pid = match sys::fork().map_err(Error::at(what))? {
        Fork::Child => {
            drop((gate_write, report_read, told));
            let teller = Channel::new(teller);
            let ends = init::Ends { gate: gate_read, report: report_write, teller, stdin };
            init::main(spec, &prepared.plan, &ends);
        }
        Fork::Parent(pid) => pid,
    };
    drop((gate_read, report_write, teller, stdin));
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(Error::at(what))?;
    channel.send(Tag::Init, &[], Some(pidfd.as_fd())).map_err(Error::at(what))?;
    let known = channel.receive().map_err(Error::at(what))?;
    if known.is_none_or(|frame| frame.tag != Tag::Known) {
        return Err(Error::Failed("lost the sandbox helper".into()));
    }
    rustix::io::write(&gate_write, b"!").map_err(Error::at(what))?;
    let Prepared { supervisor, disk, .. } = prepared;
    let report = File::from(report_read);
    let mut server = Server { channel, report, told: Some(told), asked: None, supervisor, disk };
    let served = server.serve();
    // Whatever came of serving it, nothing may be left of pid 1 and what it holds.
    let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
    rustix::process::waitpid(Some(pid), WaitOptions::empty()).map_err(Error::at(what))?;
    let report = served?;
    Ok(RunResult {
        exit: report.exit,
        max_rss: report.max_rss,
        user_time: report.user_time,
        system_time: report.system_time,
        side_owners: server.supervisor.side_owners(root)?,
    })
}

/// Serves one pid 1.
struct Server<'a> {
    channel: &'a Channel,
    report: File,
    /// Where pid 1 and the program send what they have for the stage; closed with them.
    told: Option<Channel>,
    /// The calls that wait for an answer.
    asked: Option<OwnedFd>,
    supervisor: Supervisor,
    disk: Option<Disk>,
}

impl Server<'_> {
    /// Answers calls until pid 1 reports.
    fn serve(&mut self) -> Result<Report> {
        let pause = self.disk.as_ref().and_then(|_| Timespec::try_from(disk::PAUSE).ok());
        loop {
            if let Some(disk) = &mut self.disk {
                disk.check()?;
            }
            let [reported, told, asked] = self.wait(pause.as_ref())?;
            if !reported.is_empty() {
                return read_report(&mut self.report);
            }
            if !told.is_empty() {
                self.hear();
            }
            match &self.asked {
                Some(listener) if asked.contains(PollFlags::IN) => {
                    self.supervisor.serve(listener.as_fd());
                }
                // No program with the filter is left.
                Some(_) if !asked.is_empty() => self.asked = None,
                _ => {}
            }
        }
    }

    fn wait(&self, pause: Option<&Timespec>) -> Result<[PollFlags; 3]> {
        let mut fds = vec![PollFd::new(&self.report, PollFlags::IN)];
        fds.extend(self.told.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(self.asked.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        match rustix::event::poll(&mut fds, pause) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::failed("cannot watch the program", error)),
        }
        let mut ready = fds.iter().map(PollFd::revents);
        let mut next =
            |is_there| if is_there { ready.next() } else { None }.unwrap_or(PollFlags::empty());
        Ok([next(true), next(self.told.is_some()), next(self.asked.is_some())])
    }

    fn hear(&mut self) {
        match self.told.as_mut().and_then(|told| told.receive().ok().flatten()) {
            Some(frame) if frame.tag == Tag::Terminal => {
                // Without the helper this process ends, too.
                let fd = frame.fd.as_ref().map(AsFd::as_fd);
                let _ = self.channel.send(Tag::Terminal, &[], fd);
            }
            Some(frame) => self.asked = frame.fd,
            None => self.told = None,
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
