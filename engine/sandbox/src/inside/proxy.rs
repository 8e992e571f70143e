//! Passes the connections to sockets inside on to sockets of the host, in a process of its own: the
//! host's see the helper's user, whoever it is inside.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions};

use super::{Error, Result};
use crate::helper;
use crate::sys::{self, Fork};

/// Connections at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 64;

/// A socket inside and the one of the host that it stands for.
#[derive(Debug)]
pub(crate) struct Socket {
    pub listener: UnixListener,
    pub to: PathBuf,
}

/// The process that passes connections on; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Proxy(Pid);

impl Proxy {
    /// Starts the process; without sockets there is none.
    pub fn start(sockets: Vec<Socket>) -> Result<Option<Self>> {
        if sockets.is_empty() {
            return Ok(None);
        }
        let what = "cannot start the process that passes sockets on";
        let stage = rustix::process::getpid().as_raw_pid();
        match sys::fork().map_err(Error::at(what))? {
            Fork::Child => serve(&sockets, stage),
            Fork::Parent(pid) => Ok(Some(Self(pid))),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = rustix::process::kill_process(self.0, Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.0), WaitOptions::empty());
    }
}

fn serve(sockets: &[Socket], stage: i32) -> ! {
    // The output of the call must not stay open because of this process.
    let ready = helper::die_with(stage).and_then(|()| {
        let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(null.as_fd())?;
        Ok(rustix::stdio::dup2_stderr(null.as_fd())?)
    });
    if ready.is_err() {
        sys::exit_now(1);
    }
    let count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for socket in sockets {
            scope.spawn(|| accept(socket, &count));
        }
    });
    sys::exit_now(0)
}

fn accept(socket: &Socket, count: &AtomicUsize) {
    std::thread::scope(|scope| {
        for inside in socket.listener.incoming() {
            let Ok(inside) = inside else {
                // Out of memory or descriptors for now.
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            // Whoever cannot be served finds the connection closed.
            if count.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
                count.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let pass = move || {
                let _ = connect(&socket.to).and_then(|host| pass_on(&inside, &host));
                count.fetch_sub(1, Ordering::Relaxed);
            };
            if std::thread::Builder::new().spawn_scoped(scope, pass).is_err() {
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    });
}

/// Connects by descriptor: a path may be too long for the address of a socket.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    UnixStream::connect(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Copies both ways until both ends are closed.
fn pass_on(inside: &UnixStream, host: &UnixStream) -> io::Result<()> {
    let copy = |mut from: &UnixStream, mut to: &UnixStream| {
        let copied = io::copy(&mut from, &mut to);
        // The other end may be gone already.
        let _ = to.shutdown(Shutdown::Write);
        copied.map(drop)
    };
    std::thread::scope(|scope| {
        let back = std::thread::Builder::new().spawn_scoped(scope, || copy(host, inside))?;
        let there = copy(inside, host);
        if there.is_err() {
            let _ = host.shutdown(Shutdown::Both);
        }
        back.join().map_err(|_| io::ErrorKind::Other)??;
        there
    })
}
