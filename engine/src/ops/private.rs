//! Secrets and agents of images: what the caller gives, and what the description names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Env, RunRequest};
use crate::exec::Private;
use crate::graph::NodeId;
use crate::lower::{Lowered, SecretPlace};
use crate::run::Privates;

/// The largest secret, in bytes: as large as BuildKit's.
const LARGEST: u64 = 500 << 10;

/// What steps may see, read when a node asks for it.
pub(super) struct Given {
    lowered: Arc<Lowered>,
    vars: BTreeMap<String, String>,
    private: Private,
}

impl Given {
    pub fn new(env: &Env, lowered: &Arc<Lowered>, request: &RunRequest) -> Self {
        Self { lowered: lowered.clone(), vars: env.vars.clone(), private: request.private.clone() }
    }

    /// The value of a secret; none when there is none, which the step that requires it says.
    fn value(&self, place: &SecretPlace) -> Option<Arc<[u8]>> {
        match place {
            SecretPlace::Env(name) => self.vars.get(name).map(|value| value.as_bytes().into()),
            SecretPlace::File(path) => {
                let size = std::fs::metadata(path).ok().filter(|m| m.is_file())?.len();
                let bytes = (size <= LARGEST).then(|| std::fs::read(path).ok()).flatten()?;
                Some(bytes.into())
            }
        }
    }
}

impl Privates for Given {
    fn of(&self, node: NodeId) -> Arc<Private> {
        let mut private = self.private.clone();
        for (id, place) in self.lowered.secrets(node) {
            if !private.secrets.contains_key(&id)
                && let Some(value) = self.value(&place)
            {
                private.secrets.insert(id, value);
            }
        }
        private.into()
    }
}
