//! Blobs: streamed into a layout, continued after a break, checked before they are kept.

use std::io::Write;

use mabuild_oci::layout::BlobWriter;
use mabuild_oci::{Descriptor, Layout, media_type};
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};

use crate::Reference;
use crate::client::{Ask, Inner};
use crate::error::{ErrorKind, Fault, Trouble};
use crate::mirror::{At, Place};
use crate::wire;

/// Bytes that are hashed and written at once.
const PIECE: usize = 1 << 20;
/// The largest blob that is taken, in bytes.
const LARGEST: u64 = 64 << 30;

/// A blob on its way: what came so far.
struct Part<'a> {
    layout: &'a Layout,
    descriptor: &'a Descriptor,
    /// None only while another thread writes.
    writer: Option<BlobWriter>,
}

/// Whether a layout has a blob in its full size.
pub(crate) fn is_there(layout: &Layout, descriptor: &Descriptor) -> bool {
    layout.open_blob(&descriptor.digest).is_ok_and(|(_, size)| size == descriptor.size)
}

impl Inner {
    /// Brings a blob into a layout. What is there already is not fetched.
    pub async fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        layout: &Layout,
    ) -> Result<(), Fault> {
        let digest = descriptor.digest;
        if is_there(layout, descriptor) {
            return Ok(());
        }
        if descriptor.size > LARGEST {
            let why = format!("its blob {digest} is said to have {} bytes", descriptor.size);
            return Err(Fault::broken(why));
        }
        // Whoever else wants the same blob waits here and then finds it.
        let lock = self.blobs.of(digest);
        let _guard = lock.lock().await;
        if is_there(layout, descriptor) {
            return Ok(());
        }
        let fill = |place: Place| async move { self.fill(place.at(), descriptor, layout).await };
        self.anywhere(reference, fill).await
    }

    async fn fill(
        &self,
        at: At<'_>,
        descriptor: &Descriptor,
        layout: &Layout,
    ) -> Result<(), Fault> {
        let digest = descriptor.digest;
        let ask = self.ask(Method::GET, at, "blobs", &digest.to_string())?;
        let mut part = Part { layout, descriptor, writer: None };
        part.restart()?;
        let mut tries = self.tries(at.is_mirror);
        let mut mismatched = false;
        loop {
            let before = part.size();
            let trouble = match self.continue_part(&ask, &mut part).await {
                Ok(()) => match part.commit().await {
                    Ok(()) => return Ok(()),
                    // A mixed body may be the fault of the way, not of the registry.
                    Err(fault) if fault.kind != ErrorKind::Broken || mismatched => {
                        return Err(fault);
                    }
                    Err(fault) => {
                        mismatched = true;
                        part.restart()?;
                        Trouble::Again { fault, wait: None }
                    }
                },
                Err(Trouble::Fatal(fault)) => return Err(explained(fault, descriptor)),
                Err(trouble) => trouble,
            };
            if part.size() > before {
                tries.progress();
            }
            trouble.retry(&mut tries).await?;
        }
    }

    /// One request for what is missing of a blob.
    async fn continue_part(&self, ask: &Ask<'_>, part: &mut Part<'_>) -> Result<(), Trouble> {
        let _permit = self.hosts.permit(&ask.reference.host).await;
        let size = part.descriptor.size;
        let have = part.size();
        if have == size && size > 0 {
            return Ok(());
        }
        let mut ask = ask.clone();
        if have > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={have}-"))
        {
            ask.headers.insert(RANGE, range);
        }
        let mut response = self.send(&ask).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if start_of(&response) == Some(have) => {}
            StatusCode::OK => part.restart()?,
            _ => {
                part.restart()?;
                return Err(Trouble::again("the registry sent another part than was asked for"));
            }
        }
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            let chunk = self.chunk(&mut response).await;
            if let Ok(Some(chunk)) = &chunk {
                piece.extend_from_slice(chunk);
                if part.size() + piece.len() as u64 > size {
                    let why =
                        format!("its blob {} has more than {size} bytes", part.descriptor.digest);
                    return Err(Fault::broken(why).into());
                }
            }
            let is_last = !matches!(chunk, Ok(Some(_)));
            if piece.len() >= PIECE || is_last && !piece.is_empty() {
                piece = part.write(piece).await?;
                self.tell(&ask, part);
            }
            if is_last {
                // What came before a break is kept, too.
                chunk?;
                return match part.size() == size {
                    true => Ok(()),
                    false => Err(Trouble::again("the connection ended before the blob did")),
                };
            }
        }
    }

    fn tell(&self, ask: &Ask<'_>, part: &Part<'_>) {
        if let Some(progress) = &self.options.progress {
            let Reference { host, repository, .. } = ask.reference;
            let hex = part.descriptor.digest.hex();
            let short = hex.get(..12).unwrap_or_default();
            let name = format!("{host}/{repository} {short}");
            progress(&name, part.size(), part.descriptor.size);
        }
    }
}

impl Part<'_> {
    fn size(&self) -> u64 {
        self.writer.as_ref().map_or(0, BlobWriter::size)
    }

    fn restart(&mut self) -> Result<(), Fault> {
        let writer = self.layout.blob_writer_for(&self.descriptor.digest);
        self.writer = Some(writer.map_err(Fault::local)?);
        Ok(())
    }

    /// Hashes and writes away from the async threads; gives the emptied buffer back.
    async fn write(&mut self, mut piece: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let mut writer = self.taken()?;
        let written = tokio::task::spawn_blocking(move || {
            writer.write_all(&piece)?;
            piece.clear();
            Ok::<_, std::io::Error>((writer, piece))
        });
        let written = written.await.map_err(Fault::local)?;
        let (writer, piece) =
            written.map_err(|e| Fault::local(format!("cannot keep a blob: {e}")))?;
        self.writer = Some(writer);
        Ok(piece)
    }

    /// Checks the blob and puts it into the layout.
    async fn commit(&mut self) -> Result<(), Fault> {
        let (writer, digest) = (self.taken()?, self.descriptor.digest);
        let kept = tokio::task::spawn_blocking(move || writer.commit(Some(digest)));
        match kept.await.map_err(Fault::local)? {
            Ok(_) => Ok(()),
            Err(mabuild_oci::Error::DigestMismatch { actual, .. }) => Err(Fault::broken(format!(
                "the registry sends {actual} for its blob {digest}: it is damaged there or was \
                 exchanged on the way"
            ))),
            Err(e) => Err(Fault::local(e)),
        }
    }

    fn taken(&mut self) -> Result<BlobWriter, Fault> {
        self.writer.take().ok_or_else(|| Fault::local("a blob has no file; this is a defect"))
    }
}

/// First byte of `Content-Range: bytes 5-9/10`.
pub(crate) fn start_of(response: &Response) -> Option<u64> {
    let range = wire::text(response.headers(), CONTENT_RANGE)?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

/// Says why a layer may be missing.
fn explained(fault: Fault, descriptor: &Descriptor) -> Fault {
    if fault.kind != ErrorKind::NotFound {
        return fault;
    }
    let digest = descriptor.digest;
    let why = match media_type::is_foreign_layer(&descriptor.media_type) {
        true => format!(
            "its layer {digest} is kept elsewhere, at addresses that nobody vouches for, and is \
             not fetched from there"
        ),
        // The manifest is there, so the name is right.
        false => format!("its blob {digest} is not in the registry: push the image again"),
    };
    Fault::new(ErrorKind::Broken, why)
}
