//! The helper's side: enters its namespaces, then calls the handler.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{DumpableBehavior, Signal};
use rustix::thread::{Gid, Uid, UnshareFlags};

use crate::inside::{Context, stage};
use crate::wire::{Channel, Tag};
use crate::{host, sys};

/// What the program does in a helper: (operation, request, context) → result, or an error in words.
pub type Handler = fn(&str, &[u8], &mut Context) -> Result<Vec<u8>, String>;

/// Name under which a helper is started.
pub(crate) const HELPER: &str = "__mabuild-sandbox";
/// Name under which a helper starts the stage of one run.
pub(crate) const STAGE: &str = "__mabuild-sandbox-stage";

static INITIALISED: OnceLock<()> = OnceLock::new();

/// Tells whether this process called [`init`]: without it a helper would run the program itself.
pub(crate) fn is_initialised() -> bool {
    INITIALISED.get().is_some()
}

/// Makes this program able to be its own helper: must be the first thing in `main`, before any
/// thread is started. In a helper it calls `handler` and does not return.
pub fn init(handler: Handler) {
    let _ = INITIALISED.set(());
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    if name != HELPER && name != STAGE {
        return;
    }
    let parent = args.next().and_then(|arg| arg.to_str().and_then(|arg| arg.parse::<i32>().ok()));
    let Some(parent) = parent else { return };
    // Who ends this process is the one that started it, and not a signal to a whole group.
    sys::ignore_requests_to_stop();
    let code = match begin(parent) {
        Ok(channel) if name == HELPER => help(channel, parent, handler),
        Ok(channel) => stage::main(channel),
        Err(error) => {
            eprintln!("sandbox: cannot begin: {error}");
            1
        }
    };
    std::process::exit(code);
}

/// Ties this process to its parent and takes the socket that stands in for stdin.
fn begin(parent: i32) -> io::Result<Channel> {
    die_with(parent)?;
    sys::close_from(3)?;
    let channel = Channel::new(sys::duplicate_inherited(0)?);
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(null.as_fd())?;
    Ok(channel)
}

/// As [`die_with_parent`], and notices a parent that ended before the kernel was asked.
pub(crate) fn die_with(parent: i32) -> io::Result<()> {
    die_with_parent()?;
    if rustix::process::getppid().is_some_and(|pid| pid.as_raw_pid() == parent) {
        return Ok(());
    }
    Err(io::Error::other("the parent process is gone"))
}

/// Asks the kernel to kill this process when the thread that started it ends. A change of ids
/// forgets this.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// What a helper has to do, as it crosses the socket.
pub(crate) struct Work {
    pub op: String,
    pub single: bool,
    pub request: Vec<u8>,
}

impl Work {
    /// One byte for the id map, the length of the operation's name, the name, the request.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.single)];
        bytes.extend_from_slice(&(self.op.len() as u64).to_le_bytes());
        bytes.extend_from_slice(self.op.as_bytes());
        bytes.extend_from_slice(&self.request);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&single, rest) = bytes.split_first()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (op, request) =
            rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let op = std::str::from_utf8(op).ok()?.to_string();
        Some(Self { op, single: single == 1, request: request.to_vec() })
    }
}

fn help(mut channel: Channel, parent: i32, handler: Handler) -> i32 {
    let (work, stdin) = match enter(&mut channel, parent) {
        Ok(entered) => entered,
        Err(failure) => {
            let payload = serde_json::to_vec(&failure).unwrap_or_default();
            return i32::from(channel.send(Tag::Setup, &payload, None).is_err());
        }
    };
    let mut context = Context::new(channel, work.single, stdin);
    let result = if work.op == host::PROBE_OP {
        host::probe_inside(&mut context)
    } else {
        handler(&work.op, &work.request, &mut context)
    };
    let sent = match result {
        Ok(bytes) => context.channel().send(Tag::Done, &bytes, None),
        Err(message) => context.channel().send(Tag::Failed, message.as_bytes(), None),
    };
    i32::from(sent.is_err())
}

type Failure = (String, String);

/// Enters the namespaces and receives the work, and what its programs may read.
fn enter(channel: &mut Channel, parent: i32) -> Result<(Work, Option<OwnedFd>), Failure> {
    sys::unshare(UnshareFlags::NEWUSER).map_err(no_user_namespace)?;
    // The kernel gives the files in /proc of a process that changed its ids to root; the parent
    // must be able to write the id maps there.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)
        .map_err(|error| failed("cannot stay readable for the parent", &error.into()))?;
    channel
        .send(Tag::Unshared, &[], None)
        .map_err(|error| failed("lost the parent process", &error))?;
    let frame = channel.receive().map_err(|error| failed("lost the parent process", &error))?;
    let (work, stdin) = frame
        .filter(|frame| frame.tag == Tag::Go)
        .and_then(|frame| Some((Work::decode(&frame.payload)?, frame.fd)))
        .ok_or_else(|| failed("lost the parent process", &io::ErrorKind::BrokenPipe.into()))?;
    become_root(work.single, parent)
        .map_err(|error| failed("cannot become root inside", &error))?;
    sys::unshare(UnshareFlags::NEWNS)
        .map_err(|error| failed("cannot make a mount namespace", &error))?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| failed("cannot make the mounts private", &error.into()))?;
    Ok((work, stdin))
}

/// Takes id 0 inside; the parent's death must still be heard of after that.
fn become_root(single: bool, parent: i32) -> io::Result<()> {
    if !single {
        rustix::thread::set_thread_groups(&[])?;
    }
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    die_with(parent)
}

fn failed(what: &str, error: &io::Error) -> Failure {
    (format!("{what}: {error}"), "the kernel log may say more".into())
}

fn no_user_namespace(error: io::Error) -> Failure {
    let advice = match error.raw_os_error() {
        Some(libc::ENOSPC) => "the limit is reached: raise sysctl user.max_user_namespaces",
        Some(libc::ENOSYS | libc::EINVAL) => "this kernel was built without user namespaces",
        _ => {
            "user namespaces are disabled: set sysctl kernel.unprivileged_userns_clone=1 and \
             kernel.apparmor_restrict_unprivileged_userns=0 where they exist, and in a container \
             allow the system call unshare in its seccomp profile"
        }
    };
    (format!("the kernel refused a user namespace: {error}"), advice.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_survives_the_wire_and_damage_is_noticed() {
        let work = Work { op: "öp".into(), single: true, request: vec![0, 255] };
        let bytes = work.encode();
        let back = Work::decode(&bytes).unwrap();
        assert_eq!((back.op.as_str(), back.single, back.request), ("öp", true, vec![0, 255]));
        assert!(Work::decode(&bytes[..10]).is_none());
        assert!(Work::decode(&[]).is_none());
        assert!(Work::decode(&[0, 255, 255, 255, 255, 255, 255, 255, 255, 1]).is_none());
    }

    #[test]
    fn a_program_without_init_starts_no_helper() {
        let call = crate::Call {
            op: "x",
            request: &[],
            id_map: crate::IdMap::Single,
            output: None,
            cancel: crate::CancelHandle::new(),
            deadline: None,
        };
        assert!(matches!(crate::call(call), Err(crate::CallError::Setup { .. })));
    }
}
