//! Ctrl-C: the first stops the run in order, the second at once.

use std::io;
use std::thread;

use mabuild_engine::ops::Cancel;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Terminal;
use crate::stop::{FAILED, INTERRUPTED, Stop};

/// The signals that ask a program to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Watches for SIGINT, SIGTERM and SIGHUP on a thread of its own, to the end of the program.
/// `notice` is called at the first.
pub fn watch(
    terminal: &Terminal,
    cancel: Cancel,
    notice: impl Fn() + Send + 'static,
) -> Result<(), Stop> {
    let started = prepare().and_then(|(runtime, signals)| {
        let work = move || runtime.block_on(listen(signals, cancel, notice));
        thread::Builder::new().name("signals".to_owned()).spawn(work)
    });
    started.map(|_| ()).map_err(|e| {
        let message = format!("signals cannot be watched: {e}");
        terminal.error("mabuild::cli::signals", &message, None);
        Stop(FAILED)
    })
}

fn prepare() -> io::Result<(Runtime, Signals)> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    Ok((runtime, signals))
}

async fn listen(mut signals: Signals, cancel: Cancel, notice: impl Fn()) {
    signals.next().await;
    cancel.cancel();
    if cancel.has_begun() {
        notice();
        signals.next().await;
    }
    std::process::exit(i32::from(INTERRUPTED));
}
