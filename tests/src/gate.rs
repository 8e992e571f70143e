//! A way to a registry with a gate: requests whose first line has some words wait before it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What a gate and its connections share.
#[derive(Debug, Default)]
struct State {
    /// What a request has that has to wait; none lets all through.
    words: Option<String>,
    /// Requests that wait.
    waiting: usize,
}

/// A port of this machine that leads to a server.
#[derive(Clone, Debug)]
pub struct Gate {
    /// `127.0.0.1:PORT`
    pub host: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Gate {
    /// Opens a way to a server without TLS, `127.0.0.1:PORT`; the gate is open.
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("it listens").to_string();
        let gate = Self { host, state: Arc::default() };
        let (state, server) = (gate.state.clone(), server.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                let state = state.clone();
                let (Ok(from), Ok(to)) = (client.try_clone(), upstream.try_clone()) else {
                    continue;
                };
                std::thread::spawn(move || forward(from, to, Some(&state)));
                std::thread::spawn(move || forward(upstream, client, None));
            }
        });
        gate
    }

    /// Lets requests wait whose method and path begin with these words: `PUT /v2/app/manifests/1`.
    pub fn close(&self, words: &str) {
        self.lock().words = Some(words.to_owned());
    }

    /// Lets all through, also those that wait.
    pub fn open(&self) {
        self.lock().words = None;
        self.state.1.notify_all();
    }

    /// Waits until a request waits, for ten seconds at most; gives whether one does.
    pub fn wait(&self) -> bool {
        let patience = Duration::from_secs(10);
        let waits = self.state.1.wait_timeout_while(self.lock(), patience, |s| s.waiting == 0);
        waits.unwrap_or_else(PoisonError::into_inner).0.waiting > 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies what comes to where it goes, until one of both has enough.
fn forward(mut from: TcpStream, mut to: TcpStream, gate: Option<&(Mutex<State>, Condvar)>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let Some(bytes) = buffer.get(..length) else { break };
        if let Some((state, changed)) = gate {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            // A client sends the head of a request in one piece, at the beginning of it.
            let has = |words: &String| bytes.starts_with(words.as_bytes());
            if state.words.as_ref().is_some_and(has) {
                state.waiting += 1;
                changed.notify_all();
                while state.words.is_some() {
                    state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                state.waiting -= 1;
            }
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    to.shutdown(std::net::Shutdown::Write).ok();
}
