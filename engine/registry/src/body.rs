//! What is sent along with a request: nothing, some bytes, or a stream in bounded pieces.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::error::Fault;
use crate::sending::Leg;

/// Bytes that are read and handed over at once.
const PIECE: u64 = 256 << 10;
/// Pieces that wait for the connection.
const WAITING: usize = 2;
/// Bytes that a registry at least takes in during a second once it has all of a blob: it may have
/// to hash it and to move it.
const DIGESTED: u64 = 16 << 20;

/// A part of a stream, or why there is none.
pub(crate) type Piece = Result<Bytes, Fault>;

/// Something that can be sent, and again where it has to be.
pub(crate) trait Feed: Send + Sync {
    /// Bytes in all.
    fn length(&self) -> u64;

    /// Begins to hand over the bytes, from the first one; ends when nobody takes them any more.
    fn pour(&self, into: Sender<Piece>);
}

/// What is sent along.
#[derive(Clone, Default)]
pub(crate) enum Payload {
    #[default]
    None,
    Whole(Bytes),
    Stream(Arc<dyn Feed>, Option<Leg>),
}

impl Payload {
    /// Starts the sending; the flow tells how far it is.
    pub fn open(&self) -> (Option<reqwest::Body>, Arc<Flow>) {
        match self {
            Self::None => (None, Arc::default()),
            Self::Whole(bytes) => (Some(bytes.clone().into()), Arc::default()),
            Self::Stream(feed, leg) => {
                let (into, pieces) = channel(WAITING);
                let length = feed.length();
                let flow = Arc::new(Flow { length, ..Flow::default() });
                feed.pour(into);
                let pipe = Pipe { pieces, left: length, flow: flow.clone(), leg: leg.clone() };
                (Some(reqwest::Body::wrap(pipe)), flow)
            }
        }
    }
}

/// How far a stream is.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    length: u64,
    sent: AtomicU64,
    fault: Mutex<Option<Fault>>,
}

impl Flow {
    /// Bytes that the connection took.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How long an answer may take: `stall`, and where everything is sent, as long as the
    /// registry needs to take it in.
    pub fn patience(&self, stall: Duration) -> Duration {
        match self.sent() {
            sent if sent < self.length => stall,
            sent => stall.saturating_add(Duration::from_secs(sent / DIGESTED)),
        }
    }

    /// Why the stream ended before its end, where this side is the reason.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A stream on its way into a connection.
struct Pipe {
    pieces: Receiver<Piece>,
    left: u64,
    flow: Arc<Flow>,
    leg: Option<Leg>,
}

impl Body for Pipe {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = match ready!(self.pieces.poll_recv(context)) {
            None if self.left == 0 => return Poll::Ready(None),
            None => Err(Fault::local("a blob ended before its size was reached")),
            Some(Ok(bytes)) if bytes.len() as u64 > self.left => {
                Err(Fault::local("a blob is longer than its size"))
            }
            Some(piece) => piece,
        };
        Poll::Ready(Some(match piece {
            Ok(bytes) => {
                let length = bytes.len() as u64;
                self.left -= length;
                let before = self.flow.sent.fetch_add(length, Ordering::Relaxed);
                if let Some(leg) = &self.leg {
                    leg.sent(before + length);
                }
                Ok(Frame::data(bytes))
            }
            Err(fault) => {
                let why = io::Error::other(fault.why.clone());
                let mut slot = self.flow.fault.lock().unwrap_or_else(PoisonError::into_inner);
                *slot = Some(fault);
                Err(why)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A part of a file.
#[derive(Clone, Debug)]
pub(crate) struct FileFeed {
    pub path: PathBuf,
    pub start: u64,
    pub length: u64,
}

impl Feed for FileFeed {
    fn length(&self) -> u64 {
        self.length
    }

    fn pour(&self, into: Sender<Piece>) {
        let Self { path, start, length } = self.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(e) = read(&path, start, length, &into) {
                let why = format!("cannot read {}: {e}", path.display());
                // Whoever would hear of it has ended already.
                let _unheard = into.blocking_send(Err(Fault::local(why)));
            }
        });
    }
}

fn read(path: &Path, start: u64, mut left: u64, into: &Sender<Piece>) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    while left > 0 {
        let wanted = left.min(PIECE);
        let mut piece = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
        file.by_ref().take(wanted).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Err(io::Error::other("it is shorter than it was"));
        }
        left -= piece.len() as u64;
        if into.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
