//! Messages on a stream: a header with the length, then JSON.

use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use lsp_server::Message;

/// Largest message that is read, in bytes: a file of the largest size, and its escapes.
const MAX_MESSAGE: u64 = 64 << 20;
/// Longest line of a header, in bytes.
const MAX_HEADER: u64 = 4 << 10;

/// Reads one message; none at the end of the stream. A body that is no message is an error in
/// words, after which the next message can be read; any other error ends the stream.
pub fn read(input: &mut impl BufRead) -> io::Result<Option<Result<Message, String>>> {
    let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut length: Option<u64> = None;
    loop {
        let mut line = Vec::new();
        input.take(MAX_HEADER).read_until(b'\n', &mut line)?;
        let line = String::from_utf8_lossy(&line);
        match line.trim_end() {
            "" if line.is_empty() => return Ok(None),
            "" => break,
            header => {
                let (name, value) = header.split_once(':').unwrap_or((header, ""));
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().ok();
                }
            }
        }
    }
    let length = length.ok_or_else(|| bad("a message without its length".to_owned()))?;
    if length > MAX_MESSAGE {
        return Err(bad(format!("a message of {length} bytes; {MAX_MESSAGE} are read at most")));
    }
    let mut body = Vec::new();
    if input.take(length).read_to_end(&mut body)? as u64 != length {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&body).map_err(|e| e.to_string())))
}

/// Where messages go; clones write to the same stream.
#[derive(Clone)]
pub struct Output(Arc<Mutex<dyn Write + Send>>);

impl Output {
    /// Writes to a stream.
    pub fn new(stream: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }

    /// Sends a message. One that cannot be written is lost: an editor that is gone also closes
    /// the other stream, which ends the session.
    pub fn send(&self, message: impl Into<Message>) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = message.into().write(&mut &mut *stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> io::Result<Option<Result<Message, String>>> {
        read(&mut text.as_bytes())
    }

    #[test]
    fn messages_are_read_one_by_one() {
        let mut input = "Content-Length: 32\r\nX: y\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"a/b\"}content-length:2\n\n[]".as_bytes();
        let message = read(&mut input).unwrap().unwrap().unwrap();
        assert!(matches!(message, Message::Notification(n) if n.method == "a/b"));
        assert!(read(&mut input).unwrap().unwrap().is_err());
        assert!(read(&mut input).unwrap().is_none());
    }

    #[test]
    fn hostile_streams_end() {
        assert!(first("").unwrap().is_none());
        assert!(first("Content-Length: 50\r\n\r\n{}").unwrap().is_none());
        assert!(first("\r\n{}").is_err());
        assert!(first("Content-Length: x\r\n\r\n{}").is_err());
        assert!(first("Content-Length: 18446744073709551615\r\n\r\n{}").is_err());
        assert!(first(&"x".repeat(1 << 20)).unwrap().is_none());
        let deep = "[".repeat(100_000);
        let deep = first(&format!("Content-Length: {}\r\n\r\n{deep}", deep.len()));
        assert!(deep.unwrap().unwrap().is_err());
    }
}
