//! System calls that `rustix` does not offer as safe functions, each behind a safe one.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::thread::UnshareFlags;

/// Which side of a [`fork`] this is.
pub(crate) enum Fork {
    /// The new process.
    Child,
    /// The old one, with the id of the new.
    Parent(rustix::process::Pid),
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_long(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Forks. Only for processes of one thread: the stage and what comes after it.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: called by processes that never start a thread, so that the child may go on using
    // every part of the standard library.
    let pid = check(unsafe { libc::fork() })?;
    Ok(rustix::process::Pid::from_raw(pid).map_or(Fork::Child, Fork::Parent))
}

/// Leaves the process without running anything at exit: for forked children.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit only ends the process.
    unsafe { libc::_exit(code) }
}

/// Moves this thread into new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the file descriptor table, which makes this call unsafe, is never among the flags:
    // callers pass namespaces only.
    unsafe { rustix::thread::unshare_unsafe(flags.difference(UnshareFlags::FILES)) }
        .map_err(io::Error::from)
}

/// Closes every descriptor from `first` up.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    close_range(first, 0)
}

/// Marks every descriptor from `first` up as closed on exec.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

fn close_range(first: u32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: takes numbers only. Callers close only what no owned descriptor of theirs stands for.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) };
    check_long(result).map(drop)
}

/// Sets attributes (`MOUNT_ATTR_*`) on a mount and on all below it.
pub(crate) fn set_mount_attributes(mount: BorrowedFd<'_>, attributes: u64) -> io::Result<()> {
    let attr = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is an empty string with its NUL, and the size is that of the structure.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    check_long(result).map(drop)
}

/// Reads the name of a user from the system's user database.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut buffer = vec![0 as libc::c_char; 16 * 1024];
    let mut found = std::ptr::null_mut();
    // SAFETY: all pointers are to live memory, and the length is that of the buffer.
    let result = unsafe {
        libc::getpwuid_r(uid, entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    if result != 0 || found.is_null() {
        return None;
    }
    // SAFETY: on success `found` points to `entry`, whose name is a NUL-terminated string in `buffer`.
    let name = unsafe { CStr::from_ptr((*found).pw_name) };
    name.to_str().ok().map(str::to_string)
}

/// Replaces the program; returns only when that fails.
pub(crate) fn execve(program: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| {
        let mut list: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        list.push(std::ptr::null());
        list
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both lists end with a null pointer and point to strings that outlive the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Gives every signal its default effect and unblocks all.
pub(crate) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no handler; what cannot be changed is refused without effect.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset fills the set before it is read.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Ignores the signals by which terminals and service managers ask whole groups to stop.
pub(crate) fn ignore_requests_to_stop() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: SIG_IGN installs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Brings the loopback device of this network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: all-zero bytes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) })
        .map(drop)
}

/// What the ended and awaited children of this process used.
pub(crate) struct Usage {
    /// Bytes of the largest of them.
    pub max_rss: u64,
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
}

/// Reads what ended children used.
pub(crate) fn children_usage() -> Usage {
    // SAFETY: all-zero bytes are a valid rusage, which getrusage then fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let time = |t: libc::timeval| {
        Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(t.tv_usec).unwrap_or(0))
    };
    Usage {
        max_rss: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
    }
}

/// Makes `uname` give the 32-bit name of the processor, in this process and those it starts.
pub(crate) fn become_32_bits() -> io::Result<()> {
    // linux/personality.h
    const PER_LINUX32: libc::c_ulong = 8;
    // SAFETY: the call takes a number and touches no memory.
    check(unsafe { libc::personality(PER_LINUX32) }).map(drop)
}

/// Installs a seccomp filter; with `listener` returns the descriptor of its notifications.
pub(crate) fn install_filter(
    program: &[libc::sock_filter],
    listener: bool,
) -> io::Result<Option<OwnedFd>> {
    let Ok(len) = u16::try_from(program.len()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "seccomp filter is too long"));
    };
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let install = |flags: libc::c_ulong| {
        // SAFETY: the kernel only reads `len` instructions from the pointer.
        check_long(unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const filter,
            )
        })
    };
    if !listener {
        return install(0).map(|_| None);
    }
    // Linux 5.19 can keep signals away from a call that is being answered; older kernels cannot.
    let with = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let fd = install(with | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
        .or_else(|error| if is_invalid(&error) { install(with) } else { Err(error) })?;
    let fd = libc::c_int::try_from(fd).unwrap_or(-1);
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
}

fn is_invalid(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// Waits for the next notification of a seccomp listener.
pub(crate) fn notification(listener: BorrowedFd<'_>) -> io::Result<libc::seccomp_notif> {
    // SAFETY: all-zero bytes are a valid notification, and the kernel wants zeroes; the number of
    // the request carries the size of the structure that it fills.
    unsafe {
        let mut notif: libc::seccomp_notif = std::mem::zeroed();
        check(libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV as _,
            &raw mut notif,
        ))?;
        Ok(notif)
    }
}

/// Answers a notification.
pub(crate) fn answer(
    listener: BorrowedFd<'_>,
    mut answer: libc::seccomp_notif_resp,
) -> io::Result<()> {
    // SAFETY: the kernel reads one answer from the pointer.
    check(unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw mut answer)
    })
    .map(drop)
}

/// Tells whether the caller of notification `id` still waits.
pub(crate) fn still_waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads one number from the pointer.
    let result = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID as _, &raw const id)
    };
    result == 0
}

/// Puts a copy of `fd` into the waiting caller and lets its call return the new number.
pub(crate) fn answer_with_fd(
    listener: BorrowedFd<'_>,
    id: u64,
    fd: BorrowedFd<'_>,
    close_on_exec: bool,
) -> io::Result<()> {
    let request = libc::seccomp_notif_addfd {
        id,
        flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
        srcfd: u32::try_from(fd.as_raw_fd()).unwrap_or(u32::MAX),
        newfd: 0,
        newfd_flags: if close_on_exec { libc::O_CLOEXEC as u32 } else { 0 },
    };
    // SAFETY: the kernel reads one request from the pointer.
    check(unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD as _, &raw const request)
    })
    .map(drop)
}

/// Reads memory of another process; returns how many bytes could be read.
pub(crate) fn read_memory(pid: i32, address: u64, into: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = remote_span(address, into.len())?;
    // SAFETY: the kernel writes at most the length of `into` there; the remote span is only an
    // address in the other process, which the kernel checks.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Writes all of `from` into the memory of another process.
pub(crate) fn write_memory(pid: i32, address: u64, from: &[u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    let remote = remote_span(address, from.len())?;
    // SAFETY: the kernel only reads `from`; the remote span is only an address in the other
    // process, which the kernel checks.
    let written =
        unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) };
    match usize::try_from(written) {
        Err(_) => Err(io::Error::last_os_error()),
        Ok(count) if count < from.len() => Err(io::Error::from_raw_os_error(libc::EFAULT)),
        Ok(_) => Ok(()),
    }
}

fn remote_span(address: u64, length: usize) -> io::Result<libc::iovec> {
    let address =
        usize::try_from(address).map_err(|_| io::Error::from_raw_os_error(libc::EFAULT))?;
    Ok(libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: length })
}

/// Reads the `struct stat` of the kernel, as the native `newfstatat` fills it, of an open file.
pub(crate) fn stat_of(fd: BorrowedFd<'_>) -> io::Result<libc::stat> {
    // SAFETY: all-zero bytes are a valid stat, which the kernel fills; the path is an empty string.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        check_long(libc::syscall(
            libc::SYS_newfstatat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            &raw mut stat,
            libc::AT_EMPTY_PATH,
        ))?;
        Ok(stat)
    }
}

/// Views a `struct stat` as the bytes that a program expects.
pub(crate) fn stat_bytes(stat: &libc::stat) -> &[u8] {
    // SAFETY: the structure was zeroed as a whole before it was filled, so that its padding is
    // initialised, and the slice lives no longer than it.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(stat).cast(), size_of::<libc::stat>()) }
}

/// Reads the `struct statx` of an open file.
pub(crate) fn statx_of(fd: BorrowedFd<'_>, flags: i32, mask: u32) -> io::Result<libc::statx> {
    // SAFETY: all-zero bytes are a valid statx, which the kernel fills; the path is an empty string.
    unsafe {
        let mut statx: libc::statx = std::mem::zeroed();
        check_long(libc::syscall(
            libc::SYS_statx,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags | libc::AT_EMPTY_PATH,
            mask,
            &raw mut statx,
        ))?;
        Ok(statx)
    }
}

/// Views a `struct statx` as the bytes that a program expects.
pub(crate) fn statx_bytes(statx: &libc::statx) -> &[u8] {
    // SAFETY: the structure was zeroed as a whole before it was filled, so that its padding is
    // initialised, and the slice lives no longer than it.
    unsafe {
        std::slice::from_raw_parts(std::ptr::from_ref(statx).cast(), size_of::<libc::statx>())
    }
}

/// Gives away a descriptor that the process was started with, such as 0, as a new one.
pub(crate) fn duplicate_inherited(fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: the number is only used for the duration of the call, and fcntl checks that it is open.
    let inherited = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(rustix::io::fcntl_dupfd_cloexec(inherited.as_fd(), 3)?)
}
