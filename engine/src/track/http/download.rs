//! Large files: streamed to the store, continued after a break, verified before they are kept.

use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use mabuild_oci::Digest;
use mabuild_oci::digest::Hasher;
use reqwest::header::{
    CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Method, Response, StatusCode, Url};
use tempfile::NamedTempFile;

use super::error::{FetchError, Trouble, mask};
use super::{Client, Condition};
use crate::store::{Store, StoreError};

/// Bytes that are hashed and written at once.
const PIECE: usize = 1 << 20;
/// The largest file that is taken when nobody says how large it should be.
const LARGEST: u64 = 64 << 30;

/// What a download must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes, when it is known.
    pub size: Option<u64>,
}

/// What is asked for: a content, a size, or something newer than a copy.
#[derive(Clone, Debug, Default)]
struct Wanted {
    digest: Option<Digest>,
    size: Option<u64>,
    condition: Condition,
}

/// What came of a download of which nothing was known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Downloaded {
    /// A file, now in the store.
    New {
        /// Its SHA-256.
        digest: Digest,
        /// What to ask with next time.
        condition: Condition,
    },
    /// The copy is still right.
    NotModified,
}

/// Hears how many bytes have come, and how many there are when that is known.
pub(crate) type Progress = dyn Fn(u64, Option<u64>) + Send + Sync;

impl Client {
    /// Brings a file into the store and gives its place. What is there already is not fetched.
    pub async fn download(
        &self,
        url: &str,
        expected: Expected,
        store: &Arc<Store>,
        progress: &Progress,
    ) -> Result<PathBuf, FetchError> {
        let digest = expected.digest.to_string();
        let path = store.download_path(&digest);
        if path.is_file() {
            return Ok(path);
        }
        let target = self.target(url)?;
        // Whoever else wants the same file waits here and then finds it.
        let lock = format!("download-{digest}");
        let _guard = blocking(store, move |store| store.lock(&lock)).await?;
        if path.is_file() {
            return Ok(path);
        }
        let Expected { digest: wanted, size } = expected;
        let wanted = Wanted { digest: Some(wanted), size, ..Wanted::default() };
        match self.fill(&target, &wanted, store, progress).await? {
            Some((sink, _)) => {
                blocking(store, move |store| store.adopt_download(sink.file, &digest)).await
            }
            None => Err(unstored(&"the server says that it did not change")),
        }
    }

    /// Brings whatever an address serves into the store, or learns that the copy described by
    /// `condition` is right.
    pub async fn download_any(
        &self,
        url: &str,
        condition: Condition,
        store: &Arc<Store>,
        progress: &Progress,
    ) -> Result<Downloaded, FetchError> {
        let target = self.target(url)?;
        let wanted = Wanted { condition, ..Wanted::default() };
        let Some((sink, condition)) = self.fill(&target, &wanted, store, progress).await? else {
            return Ok(Downloaded::NotModified);
        };
        let digest = sink.hasher.clone().finish();
        let name = digest.to_string();
        blocking(store, move |store| store.adopt_download(sink.file, &name)).await?;
        Ok(Downloaded::New { digest, condition })
    }

    /// Fetches a file of which only the size is known, and gives it with its sha256. It is not in
    /// the store: the caller has to verify it first.
    pub async fn download_sized(
        &self,
        url: &str,
        size: u64,
        store: &Arc<Store>,
        progress: &Progress,
    ) -> Result<(NamedTempFile, Digest), FetchError> {
        let target = self.target(url)?;
        let wanted = Wanted { size: Some(size), ..Wanted::default() };
        match self.fill(&target, &wanted, store, progress).await? {
            Some((sink, _)) => Ok((sink.file, sink.hasher.finish())),
            None => Err(unstored(&"the server says that it did not change")),
        }
    }

    /// Fetches until it is whole; none when the copy that is known is right.
    async fn fill(
        &self,
        url: &Url,
        wanted: &Wanted,
        store: &Arc<Store>,
        progress: &Progress,
    ) -> Result<Option<(Sink, Condition)>, FetchError> {
        let file = store.temp_named().map_err(|e| unstored(&e))?;
        let hasher = wanted.digest.map_or_else(Hasher::sha256, |digest| digest.hasher());
        let mut part = Part::new(Sink::new(file, hasher));
        let mut tries = self.tries();
        let mut mismatched = false;
        loop {
            let before = part.sink.size;
            let trouble = match self.continue_part(url, wanted, &mut part, progress).await {
                Ok(false) => return Ok(None),
                Ok(true) => {
                    let actual = part.sink.hasher.clone().finish();
                    let Some(digest) = wanted.digest.filter(|digest| *digest != actual) else {
                        return Ok(Some((part.sink, part.condition)));
                    };
                    let error = mismatch(url, &digest, &actual);
                    // A cut or mixed body may be the fault of the way, not of the source.
                    if std::mem::replace(&mut mismatched, true) {
                        return Err(error);
                    }
                    part.restart().map_err(|e| unstored(&e))?;
                    Trouble::again(error.message)
                }
                Err(trouble) => trouble,
            };
            if part.sink.size > before {
                tries.progress();
            }
            trouble.retry(url, &mut tries).await?;
        }
    }

    /// One request for what is missing of a file; tells whether there is anything new.
    async fn continue_part(
        &self,
        url: &Url,
        wanted: &Wanted,
        part: &mut Part,
        progress: &Progress,
    ) -> Result<bool, Trouble> {
        let _permit = self.permit(url).await;
        let local =
            |e: &dyn std::fmt::Display| Trouble::fatal(url, &format!("cannot keep it: {e}"));
        let mut response = self.send(Method::GET, url, part.headers(&wanted.condition)).await?;
        let total = match response.status() {
            StatusCode::PARTIAL_CONTENT => match content_range(&response) {
                Some((start, total)) if start == part.sink.size => total,
                _ => {
                    part.restart().map_err(|e| local(&e))?;
                    return Err(Trouble::again("the server sent another part than was asked for"));
                }
            },
            StatusCode::RANGE_NOT_SATISFIABLE if part.sink.size > 0 => {
                part.restart().map_err(|e| local(&e))?;
                return Err(Trouble::again("the file became shorter while it was fetched"));
            }
            StatusCode::NOT_MODIFIED if part.sink.size == 0 && !wanted.condition.is_empty() => {
                return Ok(false);
            }
            StatusCode::OK => {
                part.restart().map_err(|e| local(&e))?;
                part.validator = validator(&response);
                part.condition = Condition::of(&response);
                response.content_length()
            }
            status => return Err(Trouble::fatal(url, &format!("unexpected answer {status}"))),
        };
        if let (Some(expected), Some(total)) = (wanted.size, total)
            && total != expected
        {
            return Err(Trouble::sized(url, expected, &total.to_string()));
        }
        let total = wanted.size.or(total);
        let largest = wanted.size.unwrap_or(LARGEST);
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            let chunk = self.chunk(&mut response).await;
            if let Ok(Some(chunk)) = &chunk {
                piece.extend_from_slice(chunk);
                if part.sink.size + piece.len() as u64 > largest {
                    let actual = format!("more than {largest}");
                    return Err(Trouble::sized(url, largest, &actual));
                }
            }
            // What came before a break is kept, too.
            if piece.len() >= PIECE || !matches!(chunk, Ok(Some(_))) {
                piece = part.write(piece).await.map_err(|e| local(&e))?;
                progress(part.sink.size, total);
            }
            match chunk {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(trouble) => return Err(trouble),
            }
        }
        match wanted.size {
            Some(size) if part.sink.size < size => {
                let got = part.sink.size;
                Err(Trouble::again(format!("only {got} of {size} bytes came")))
            }
            _ => Ok(true),
        }
    }
}

/// A file that grows.
struct Sink {
    file: NamedTempFile,
    hasher: Hasher,
    empty: Hasher,
    size: u64,
}

impl Sink {
    fn new(file: NamedTempFile, empty: Hasher) -> Self {
        Self { file, hasher: empty.clone(), empty, size: 0 }
    }
}

/// What came so far, and by what the rest can be recognised.
struct Part {
    sink: Sink,
    validator: Option<HeaderValue>,
    /// What to ask with next time.
    condition: Condition,
}

impl Part {
    fn new(sink: Sink) -> Self {
        Self { sink, validator: None, condition: Condition::default() }
    }

    fn headers(&self, condition: &Condition) -> HeaderMap {
        if self.sink.size == 0 {
            return condition.headers();
        }
        let mut headers = HeaderMap::new();
        if self.sink.size > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.sink.size))
        {
            headers.insert(RANGE, range);
            if let Some(validator) = &self.validator {
                headers.insert(IF_RANGE, validator.clone());
            }
        }
        headers
    }

    fn restart(&mut self) -> std::io::Result<()> {
        let file = self.sink.file.as_file_mut();
        file.set_len(0)?;
        file.rewind()?;
        self.sink.hasher = self.sink.empty.clone();
        self.sink.size = 0;
        Ok(())
    }

    /// Hashes and writes away from the async threads; gives the emptied buffer back.
    async fn write(&mut self, mut piece: Vec<u8>) -> std::io::Result<Vec<u8>> {
        let mut file = self.sink.file.as_file().try_clone()?;
        let mut hasher = self.sink.hasher.clone();
        let length = piece.len() as u64;
        let written = tokio::task::spawn_blocking(move || {
            hasher.update(&piece);
            file.write_all(&piece)?;
            piece.clear();
            Ok::<_, std::io::Error>((piece, hasher))
        });
        let (piece, hasher) = written.await.map_err(std::io::Error::other)??;
        self.sink.hasher = hasher;
        self.sink.size += length;
        Ok(piece)
    }
}

/// What tells two versions of a file apart: a strong ETag or the date.
fn validator(response: &Response) -> Option<HeaderValue> {
    let header = |name| response.headers().get(name).cloned();
    header(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")).or_else(|| header(LAST_MODIFIED))
}

/// Start and total of `Content-Range: bytes 5-9/10`.
fn content_range(response: &Response) -> Option<(u64, Option<u64>)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

fn mismatch(url: &Url, expected: &Digest, actual: &Digest) -> FetchError {
    let message = format!(
        "{} has {actual}, but {expected} was expected: it was altered or exchanged; check the \
         digest, or take another mirror",
        mask(url.as_str())
    );
    FetchError { message, blames_upstream: true, status: None, differs: true }
}

fn unstored(e: &dyn std::fmt::Display) -> FetchError {
    FetchError {
        message: format!("cannot keep a download: {e}"),
        blames_upstream: false,
        status: None,
        differs: false,
    }
}

/// Runs a call of the store where it may block.
async fn blocking<T: Send + 'static>(
    store: &Arc<Store>,
    call: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, FetchError> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || call(&store)).await {
        Ok(done) => done.map_err(|e| unstored(&e)),
        Err(e) => Err(unstored(&e)),
    }
}
