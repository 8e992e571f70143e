//! Pid 1 inside: builds the root, starts the program, reaps what is orphaned, reports, and by its
//! own end kills all that is left.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit, WaitOptions, WaitStatus};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use serde::{Deserialize, Serialize};

use super::root::{self, Plan};
use super::{Error, Result, StageSpec, program};
use crate::helper;
use crate::spec::{Exit, Network, Stdio};
use crate::sys::{self, Fork};
use crate::wire::{Channel, Tag};

/// How the program ended and what it used.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub exit: Exit,
    pub max_rss: u64,
    pub user_time: Duration,
    pub system_time: Duration,
}

/// What connects pid 1 with its stage.
pub(crate) struct Ends {
    /// A byte lets pid 1 begin; its end means that the stage is gone.
    pub gate: OwnedFd,
    /// Takes the report, as JSON of `Result<Report>`.
    pub report: OwnedFd,
    /// Takes the terminal of the program and the listener of its seccomp filter.
    pub teller: Channel,
    /// What the program reads, where it is not `/dev/null`.
    pub stdin: Option<OwnedFd>,
}

/// Open files that a program may have, as Docker allows.
const OPEN_FILES: u64 = 1_048_576;

/// The life of pid 1.
pub(crate) fn main(spec: &StageSpec, plan: &Plan, ends: &Ends) -> ! {
    if helper::die_with_parent().is_err() || !may_begin(&ends.gate) {
        sys::exit_now(1);
    }
    let report = live(spec, plan, ends);
    let written = serde_json::to_vec(&report)
        .map_err(io::Error::from)
        .and_then(|json| File::from(ends.report.try_clone()?).write_all(&json));
    sys::exit_now(i32::from(written.is_err()))
}

fn may_begin(gate: &OwnedFd) -> bool {
    let mut byte = [0];
    loop {
        match rustix::io::read(gate, &mut byte) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result == Ok(1),
        }
    }
}

fn live(spec: &StageSpec, plan: &Plan, ends: &Ends) -> Result<Report> {
    separate(spec)?;
    let emulator = root::enter(spec, plan)?;
    limit();
    let terminal = match spec.run.stdio {
        Stdio::Terminal { rows, columns } => Some(open_terminal(spec, plan, ends, rows, columns)?),
        Stdio::Null | Stdio::Inherit => None,
    };
    let what = "cannot start the program";
    let (failed_read, failed_write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(Error::at(what))?;
    let pid = match sys::fork().map_err(Error::at(what))? {
        Fork::Child => {
            let error = program::start(spec, ends, terminal.as_ref());
            let json = serde_json::to_vec(&error).unwrap_or_default();
            // When even this fails, the empty message below says that the program never began.
            let _ = rustix::io::write(&failed_write, &json);
            sys::exit_now(program::SETUP_FAILED);
        }
        Fork::Parent(pid) => pid,
    };
    drop((failed_write, terminal));
    retire()?;
    let mut failure = Vec::new();
    File::from(failed_read).read_to_end(&mut failure).map_err(Error::at(what))?;
    if !failure.is_empty() {
        return Err(serde_json::from_slice(&failure).map_err(Error::at(what))?);
    }
    let status = reap(pid)?;
    drop(emulator);
    let usage = sys::children_usage();
    Ok(Report {
        exit: exit_of(status),
        max_rss: usage.max_rss,
        user_time: usage.user,
        system_time: usage.system,
    })
}

/// Enters the namespaces that the program has to itself.
fn separate(spec: &StageSpec) -> Result<()> {
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if spec.run.network == Network::None {
        flags |= UnshareFlags::NEWNET;
    }
    sys::unshare(flags).map_err(Error::at("cannot make the namespaces of the program"))?;
    // Only hides the names of the host's control groups; kernels without them lose nothing.
    let _ = sys::unshare(UnshareFlags::NEWCGROUP);
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(Error::at("cannot make the mounts private"))?;
    rustix::system::sethostname(spec.run.hostname.as_bytes())
        .map_err(Error::at(format_args!("cannot set the host name {:?}", spec.run.hostname)))?;
    if spec.run.network == Network::None {
        sys::loopback_up().map_err(Error::at("cannot bring the loopback device up"))?;
    }
    Ok(())
}

/// Makes a terminal in the `/dev/pts` of the root, gives its other end to the stage, and returns the
/// program's.
fn open_terminal(
    spec: &StageSpec,
    plan: &Plan,
    ends: &Ends,
    rows: u16,
    columns: u16,
) -> Result<OwnedFd> {
    let what = "cannot make a terminal";
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let ptmx = plan.dev.join("pts/ptmx");
    let master = rustix::fs::open(&ptmx, flags, Mode::empty()).map_err(Error::at(what))?;
    rustix::pty::unlockpt(&master).map_err(Error::at(what))?;
    let peer = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let own = rustix::pty::ioctl_tiocgptpeer(&master, peer).map_err(Error::at(what))?;
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size).map_err(Error::at(what))?;
    if !spec.single {
        let owner = Some(rustix::fs::Uid::from_raw(spec.run.uid));
        rustix::fs::fchown(&own, owner, None).map_err(Error::at(what))?;
    }
    ends.teller.send(Tag::Terminal, &[], Some(master.as_fd())).map_err(Error::at(what))?;
    Ok(own)
}

/// Sets the limits of every process inside; what the host refuses stays as it is.
fn limit() {
    let most = rustix::process::getrlimit(Resource::Nofile).maximum;
    let files = Some(most.map_or(OPEN_FILES, |most| most.min(OPEN_FILES)));
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: files, maximum: files });
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(Resource::Core, none);
}

/// Gives up everything that the programs inside could abuse pid 1 for.
fn retire() -> Result<()> {
    let what = "cannot give up the rights of the first process";
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).map_err(Error::at(what))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(Error::at(what))?;
    helper::die_with_parent().map_err(Error::at(what))?;
    // The output must end with the programs, not with pid 1.
    let null = File::options().read(true).write(true).open("/dev/null").map_err(Error::at(what))?;
    rustix::stdio::dup2_stdout(null.as_fd()).map_err(Error::at(what))?;
    rustix::stdio::dup2_stderr(null.as_fd()).map_err(Error::at(what))
}

/// Awaits children, adopted ones included, until the program ends.
fn reap(program: Pid) -> Result<WaitStatus> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => return Ok(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::failed("cannot wait for the program", error)),
        }
    }
}

fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (_, Some(signal)) => Exit::Signal(signal),
        (Some(code), None) => Exit::Code(code),
        (None, None) => Exit::Code(255),
    }
}
