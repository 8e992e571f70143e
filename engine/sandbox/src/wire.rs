//! Frames on a stream socket between the program, the helper and the stage; a frame can carry a
//! file descriptor. Both ends are the same executable, so the format has no version.

use std::collections::VecDeque;
use std::io;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    /// The helper is in its user namespace and waits for its maps.
    Unshared = 1,
    /// The maps are written; JSON of the work.
    Go,
    /// A new pid 1 waits to begin; its pidfd is attached.
    Init,
    /// The pidfd of pid 1 has arrived.
    Known,
    /// The result, in bytes.
    Done,
    /// The work failed, in words or as JSON of an error.
    Failed,
    /// The sandbox could not be set up: JSON of (reason, advice).
    Setup,
    /// The program got a terminal, whose other end is attached.
    Terminal,
}

impl Tag {
    fn from_byte(byte: u8) -> Option<Self> {
        use Tag::{Done, Failed, Go, Init, Known, Setup, Terminal, Unshared};
        let tags = [Unshared, Go, Init, Known, Done, Failed, Setup, Terminal];
        tags.into_iter().find(|tag| *tag as u8 == byte)
    }
}

/// One message.
#[derive(Debug)]
pub(crate) struct Frame {
    pub tag: Tag,
    pub payload: Vec<u8>,
    pub fd: Option<OwnedFd>,
}

/// Header: tag, whether a descriptor comes along, length of the payload.
const HEADER: usize = 10;
/// More than any request or result; what claims to be longer is damaged.
const MAX_PAYLOAD: u64 = 1 << 30;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    buffer: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Channel {
    /// Makes both ends of a connection; they are closed on exec.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (own, other) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self::new(own), other))
    }

    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, buffer: Vec::new(), fds: VecDeque::new() }
    }

    /// Sends one frame, whole.
    pub fn send(&self, tag: Tag, payload: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut header = [0; HEADER];
        header[0] = tag as u8;
        header[1] = u8::from(fd.is_some());
        header[2..].copy_from_slice(&(payload.len() as u64).to_le_bytes());
        let fds: Vec<_> = fd.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&fds));
        }
        let head = [IoSlice::new(&header)];
        let sent =
            retry(|| rustix::net::sendmsg(&self.socket, &head, &mut control, SendFlags::NOSIGNAL))?;
        self.send_all(&header[sent..])?;
        self.send_all(payload)
    }

    fn send_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = retry(|| rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL))?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Waits for the next frame; `None` when the other end is closed.
    pub fn receive(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads what there is, waiting for the first byte; false when the other end is closed.
    pub fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = vec![0; 64 * 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = retry(|| {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            rustix::net::recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let received = match received {
            // The other end died with something unread: it is closed all the same.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            other => other?,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        self.buffer.extend_from_slice(&bytes[..received.bytes]);
        Ok(received.bytes > 0)
    }

    /// Takes the next whole frame out of what was read.
    pub fn take(&mut self) -> io::Result<Option<Frame>> {
        let Some((header, rest)) = self.buffer.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [tag, has_fd, length @ ..] = *header;
        let length = u64::from_le_bytes(length);
        let (Some(tag), true) = (Tag::from_byte(tag), length <= MAX_PAYLOAD) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "damaged frame in the sandbox"));
        };
        let Some(payload) = usize::try_from(length).ok().and_then(|length| rest.get(..length))
        else {
            return Ok(None);
        };
        let payload = payload.to_vec();
        self.buffer.drain(..HEADER + payload.len());
        let fd = if has_fd == 1 { self.fds.pop_front() } else { None };
        Ok(Some(Frame { tag, payload, fd }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_arrive_whole_in_order_and_with_their_descriptor() {
        let (one, other) = Channel::pair().unwrap();
        let mut other = Channel::new(other);
        let (read, write) = rustix::pipe::pipe().unwrap();
        let big = vec![7_u8; 300_000];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                one.send(Tag::Init, b"pid", Some(write.as_fd())).unwrap();
                one.send(Tag::Done, &big, None).unwrap();
            });
            let first = other.receive().unwrap().unwrap();
            assert_eq!((first.tag, first.payload.as_slice()), (Tag::Init, b"pid".as_slice()));
            rustix::io::write(first.fd.unwrap(), b"x").unwrap();
            let second = other.receive().unwrap().unwrap();
            assert_eq!(second.tag, Tag::Done);
            assert!(second.fd.is_none() && second.payload == big);
        });
        let mut byte = [0];
        assert_eq!(rustix::io::read(&read, &mut byte).unwrap(), 1);
        drop(one);
        assert!(other.receive().unwrap().is_none());
    }

    #[test]
    fn a_damaged_header_is_an_error() {
        let (one, other) = Channel::pair().unwrap();
        rustix::io::write(&one, &[99, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert!(Channel::new(other).receive().is_err());
        let (one, other) = Channel::pair().unwrap();
        rustix::io::write(&one, &[5, 0, 0, 0, 0, 0, 0, 0, 0, 0xff]).unwrap();
        assert!(Channel::new(other).receive().is_err());
    }
}
