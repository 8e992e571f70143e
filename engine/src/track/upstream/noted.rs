//! What was resolved is noted under the name of the question, so that a run without news resolves
//! nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::facts::FactError;
use crate::track::{Shared, wrong};

/// What was found out, as it is noted.
#[derive(Serialize, Deserialize)]
struct Note<T> {
    form: u32,
    found: T,
}

/// What was found out before in the same form, or is now.
pub(super) async fn remembered<T: Serialize + for<'a> Deserialize<'a>>(
    shared: &Arc<Shared>,
    (kind, form): (&'static str, u32),
    note: String,
    find: impl Future<Output = Result<T, FactError>>,
) -> Result<T, FactError> {
    let known = shared.store.memo(kind, &note);
    let known = known.and_then(|text| serde_json::from_str::<Note<T>>(&text).ok());
    if let Some(known) = known.filter(|known| known.form == form) {
        return Ok(known.found);
    }
    let found = Note { form, found: find.await? };
    let text = serde_json::to_string(&found).map_err(|e| wrong(e.to_string()))?;
    shared.store.put_memo(kind, &note, &text).map_err(|e| wrong(e.to_string()))?;
    Ok(found.found)
}
