//! The last steps before the program itself: ids, capabilities, filter, then exec.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags};

use super::init::Ends;
use super::{Error, Result, StageSpec, diagnose, root};
use crate::emulator::EmulatorMode;
use crate::seccomp::{self, Catch};
use crate::spec::{OwnerEmulation, RunSpec};
use crate::sys;
use crate::wire::{Channel, Tag};

/// Exit code of a child that could not even prepare; pid 1 reports its error instead.
pub(crate) const SETUP_FAILED: i32 = 125;

/// Search path of an environment without `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What root inside may do, and what a setuid program may give: the set of Docker and BuildKit.
fn kept() -> CapabilitySet {
    CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::FSETID
        | CapabilitySet::FOWNER
        | CapabilitySet::MKNOD
        | CapabilitySet::NET_RAW
        | CapabilitySet::SETGID
        | CapabilitySet::SETUID
        | CapabilitySet::SETFCAP
        | CapabilitySet::SETPCAP
        | CapabilitySet::NET_BIND_SERVICE
        | CapabilitySet::SYS_CHROOT
        | CapabilitySet::KILL
        | CapabilitySet::AUDIT_WRITE
}

/// Becomes the program; returns only the error of a set-up that failed.
pub(crate) fn start(spec: &StageSpec, ends: &Ends, terminal: Option<&OwnedFd>) -> Error {
    match prepare_and_run(spec, ends, terminal) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn prepare_and_run(
    spec: &StageSpec,
    ends: &Ends,
    terminal: Option<&OwnedFd>,
) -> Result<Infallible> {
    let run = &spec.run;
    let what = "cannot prepare the program";
    rustix::process::setsid().map_err(Error::at(what))?;
    take_stdio(ends, terminal)?;
    if let Err(error) = enter_directory(run) {
        let dir = run.cwd.display();
        refuse(126, &format!("cannot enter the working directory {dir}: {error}"));
    }
    take_ids(spec)?;
    sys::reset_signals();
    if run.bits32 {
        sys::become_32_bits().map_err(Error::at("cannot take the personality of 32 bits"))?;
    }
    filter(run, &ends.teller)?;
    keep_capabilities(if run.uid == 0 { kept() } else { CapabilitySet::empty() })?;
    sys::close_on_exec_from(3).map_err(Error::at(what))?;
    execute(run)
}

/// Connects the program with its terminal, or with nothing to read; the outputs are there already.
fn take_stdio(ends: &Ends, terminal: Option<&OwnedFd>) -> Result<()> {
    let what = "cannot connect the program with its input";
    if let Some(terminal) = terminal {
        rustix::process::ioctl_tiocsctty(terminal).map_err(Error::at(what))?;
        rustix::stdio::dup2_stdin(terminal).map_err(Error::at(what))?;
        rustix::stdio::dup2_stdout(terminal).map_err(Error::at(what))?;
        return rustix::stdio::dup2_stderr(terminal).map_err(Error::at(what));
    }
    match &ends.stdin {
        Some(stdin) => rustix::stdio::dup2_stdin(stdin),
        None => {
            let null =
                File::open("/dev/null").map_err(Error::at("cannot open /dev/null inside"))?;
            rustix::stdio::dup2_stdin(&null)
        }
    }
    .map_err(Error::at(what))
}

fn enter_directory(run: &RunSpec) -> io::Result<()> {
    match rustix::process::chdir(&run.cwd) {
        // It is below a mount, where it could not be made before.
        Err(rustix::io::Errno::NOENT) if run.make_cwd => {
            std::fs::create_dir_all(&run.cwd)?;
            Ok(rustix::process::chdir(&run.cwd)?)
        }
        other => Ok(other?),
    }
}

/// Takes the user and the groups of the program, and limits what capabilities it can ever get; those
/// that a filter needs stay for now.
fn take_ids(spec: &StageSpec) -> Result<()> {
    let run = &spec.run;
    let root = run.uid == 0;
    if spec.single && (!root || run.gid != 0) {
        map_own_id(run).map_err(Error::at(format_args!(
            "cannot become {}:{} in a user namespace",
            run.uid, run.gid
        )))?;
    }
    let what = "cannot give up capabilities";
    for capability in CapabilitySet::all().difference(kept()).iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // Kernels know fewer capabilities than the list.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(Error::failed(what, error)),
        }
    }
    rustix::thread::clear_ambient_capability_set().map_err(Error::at(what))?;
    if !spec.single {
        rustix::thread::set_keep_capabilities(true).map_err(Error::at(what))?;
        set_ids(run).map_err(Error::at(format_args!(
            "cannot become {}:{}: is the id inside the ranges of the id map?",
            run.uid, run.gid
        )))?;
        rustix::thread::set_keep_capabilities(false).map_err(Error::at(what))?;
    }
    Ok(())
}

/// Installs the system call filter. The program may still win rights by a setuid program, as in a
/// container, so that `su` and `sudo` work; without that freedom the kernel wants CAP_SYS_ADMIN here.
fn filter(run: &RunSpec, teller: &Channel) -> Result<()> {
    keep_capabilities(CapabilitySet::SYS_ADMIN | kept())?;
    let what = "cannot install the system call filter (seccomp)";
    let catch = match run.owners {
        OwnerEmulation::None => Catch::Devices,
        OwnerEmulation::Record { .. } => Catch::Owners,
    };
    let listener = match sys::install_filter(&seccomp::filter(catch), true) {
        // Around a container there is a filter with a listener already, or the kernel is older
        // than these. Devices cannot be recorded then.
        Err(_) if catch == Catch::Devices => {
            sys::install_filter(&seccomp::filter(Catch::Nothing), false)
        }
        other => other,
    };
    let Some(listener) = listener.map_err(Error::at(what))? else { return Ok(()) };
    teller
        .send(Tag::Init, &[], Some(listener.as_fd()))
        .map_err(Error::at("cannot hand the listener of the filter over"))
}

fn keep_capabilities(kept: CapabilitySet) -> Result<()> {
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(Error::at("cannot give up capabilities"))
}

fn set_ids(run: &RunSpec) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(run.uid), Gid::from_raw(run.gid));
    let groups: Vec<_> = run.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// With one id only, another user than root is the same id under another number.
fn map_own_id(run: &RunSpec) -> io::Result<()> {
    sys::unshare(UnshareFlags::NEWUSER)?;
    let write = |file: &str, text: &str| {
        File::options().write(true).open(format!("/proc/self/{file}"))?.write_all(text.as_bytes())
    };
    write("setgroups", "deny")?;
    write("gid_map", &format!("{} 0 1", run.gid))?;
    write("uid_map", &format!("{} 0 1", run.uid))
}

/// Ends this process with a message for a person, as a shell does for what it cannot run.
fn refuse(code: i32, message: &str) -> ! {
    // Without an output there is nobody to tell; the exit code says it, too.
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("{message}\n").as_bytes());
    sys::exit_now(code)
}

fn execute(run: &RunSpec) -> Result<Infallible> {
    let env: Vec<_> = run
        .env
        .iter()
        .map(|(name, value)| c_string(format!("{name}={value}")))
        .collect::<Result<_>>()?;
    let name = run.argv.first().map_or(OsStr::new(""), OsString::as_os_str);
    let searched = !name.as_bytes().contains(&b'/');
    let mut denied = None;
    for program in candidates(run, name) {
        let (file, argv) = command(run, &program)?;
        let error = sys::execve(&c_string(file)?, &argv, &env);
        // A directory of PATH that lacks the program, or has a directory of that name, is passed by.
        if searched && !program.is_file() || is_missing(&error) && !program.exists() {
            continue;
        }
        denied.get_or_insert((program, error));
    }
    match denied {
        Some((program, error)) => {
            let (code, message) = diagnose::explain(&program, &error, run.emulator.is_some());
            refuse(code, &message)
        }
        None => refuse(127, &diagnose::not_found(name)),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
}

/// Where the program may be: a name without a slash is looked up in `PATH`.
fn candidates(run: &RunSpec, name: &OsStr) -> Vec<PathBuf> {
    if name.is_empty() {
        return Vec::new();
    }
    if name.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    let path = run.env.iter().rev().find(|(key, _)| key == "PATH");
    let path = path.map_or(DEFAULT_PATH, |(_, value)| value);
    path.split(':')
        .map(|dir| Path::new(if dir.is_empty() { "." } else { dir }).join(name))
        .collect()
}

/// The file to execute and its arguments: the program's, or those of the emulator in front of it.
fn command(run: &RunSpec, program: &Path) -> Result<(OsString, Vec<CString>)> {
    let prefix = run.emulator.as_ref().is_some_and(|e| e.mode == EmulatorMode::Prefix);
    let rest = run.argv.iter().skip(1).cloned();
    let (file, argv): (OsString, Vec<OsString>) = if prefix {
        let mut argv = vec![OsString::from(root::PREFIX)];
        // An emulator executes ELF files only: it gets the interpreter of a script.
        if let Some((interpreter, argument)) = diagnose::shebang_of(program) {
            argv.push(OsString::from_vec(interpreter));
            argv.extend(argument.map(OsString::from_vec));
        }
        argv.push(program.into());
        (root::PREFIX.into(), argv.into_iter().chain(rest).collect())
    } else {
        let own = run.argv.first().cloned().unwrap_or_default();
        (program.into(), std::iter::once(own).chain(rest).collect())
    };
    Ok((file, argv.into_iter().map(c_string).collect::<Result<_>>()?))
}

fn c_string(text: impl Into<OsString>) -> Result<CString> {
    let bytes = text.into().into_vec();
    CString::new(bytes).map_err(|_| Error::Failed("NUL byte in the command".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_in_the_programs_own_path() {
        let mut run = RunSpec::new("/r", ["x"]);
        run.env = vec![("PATH".into(), "/a::/b".into())];
        let found = candidates(&run, OsStr::new("x"));
        assert_eq!(found, [Path::new("/a/x"), Path::new("./x"), Path::new("/b/x")]);
        assert_eq!(candidates(&run, OsStr::new("./x")), [Path::new("./x")]);
        assert!(candidates(&run, OsStr::new("")).is_empty());
        run.env.clear();
        assert!(candidates(&run, OsStr::new("x")).contains(&PathBuf::from("/usr/bin/x")));
    }

    #[test]
    fn the_first_argument_is_the_name_that_was_asked_for() {
        let run = RunSpec::new("/r", ["ls", "-l"]);
        let (file, argv) = command(&run, Path::new("/bin/ls")).unwrap();
        assert_eq!(file, "/bin/ls");
        assert_eq!(argv, [c"ls".to_owned(), c"-l".to_owned()]);
    }
}
