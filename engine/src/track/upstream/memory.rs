//! Documents of upstreams that are remembered, so that they are fetched only when they changed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::facts::FactError;
use crate::track::Shared;
use crate::track::http::{Condition, FetchError, Fetched, mask};
use crate::track::local::blocking;
use crate::track::wrong;
use mabuild_oci::Digest;

/// Form of the notes.
const FORM: u32 = 1;

/// What is noted of a document; its bytes are a download.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Note {
    form: u32,
    /// `sha256:…` of the bytes.
    pub digest: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// A document as the upstream serves it now.
pub(super) struct Current {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// `sha256:…` of the bytes.
    pub digest: String,
    condition: Condition,
    /// Whether it is what is remembered already.
    known: bool,
}

/// Gets a document of at most `limit` bytes, or finds out that the copy is still right. What is
/// new is not remembered before [`remember`], which is for after it was verified.
pub(super) async fn current(
    shared: &Arc<Shared>,
    kind: &str,
    url: &str,
    limit: u64,
) -> Result<Current, FetchError> {
    let note = shared.store.memo(kind, url).and_then(|text| read(&text));
    let copy = note.as_ref().and_then(|note| {
        let bytes = std::fs::read(shared.store.download_path(&note.digest)).ok()?;
        let right = Digest::sha256(&bytes).to_string() == note.digest;
        right.then(|| (note.clone(), bytes))
    });
    let condition = match &copy {
        Some((note, _)) => {
            Condition { etag: note.etag.clone(), last_modified: note.last_modified.clone() }
        }
        None => Condition::default(),
    };
    let known = |(note, bytes): (Note, Vec<u8>)| Current {
        bytes,
        digest: note.digest,
        condition: Condition { etag: note.etag, last_modified: note.last_modified },
        known: true,
    };
    if shared.client.is_offline()
        && let Some(copy) = copy
    {
        return Ok(known(copy));
    }
    match (shared.client.get_bytes(url, limit, &condition).await?, copy) {
        (Fetched::New { bytes, condition }, _) => {
            let digest = Digest::sha256(&bytes).to_string();
            Ok(Current { bytes, digest, condition, known: false })
        }
        (Fetched::NotModified, Some(copy)) => Ok(known(copy)),
        (Fetched::NotModified, None) => {
            let message = format!("{} was not asked conditionally, but answers 304", mask(url));
            Err(FetchError { message, blames_upstream: true, status: Some(304), differs: false })
        }
    }
}

/// Keeps a verified document for the next run.
pub(super) async fn remember(
    shared: &Arc<Shared>,
    kind: &'static str,
    url: &str,
    current: &Current,
) -> Result<(), FactError> {
    if current.known {
        return Ok(());
    }
    let note = Note {
        form: FORM,
        digest: current.digest.clone(),
        etag: current.condition.etag.clone(),
        last_modified: current.condition.last_modified.clone(),
    };
    let (shared, url, bytes) = (shared.clone(), url.to_owned(), current.bytes.clone());
    blocking(move || {
        let unkept = |e: &dyn std::fmt::Display| wrong(format!("cannot remember {url}: {e}"));
        let store = &shared.store;
        if !store.download_path(&note.digest).is_file() {
            let mut file = store.temp_named().map_err(|e| unkept(&e))?;
            std::io::Write::write_all(&mut file, &bytes).map_err(|e| unkept(&e))?;
            store.adopt_download(file, &note.digest).map_err(|e| unkept(&e))?;
        }
        let text = serde_json::to_string(&note).map_err(|e| unkept(&e))?;
        store.put_memo(kind, &url, &text).map_err(|e| unkept(&e))
    })
    .await
}

fn read(text: &str) -> Option<Note> {
    serde_json::from_str(text).ok().filter(|note: &Note| note.form == FORM)
}
