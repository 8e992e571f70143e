//! Points of a build where a shell can be opened: what lies below a step that failed, and how the
//! step would have run.

use serde::{Deserialize, Serialize};

use super::run::StepOf;
use super::stage::Build;
use crate::key::Key;

/// Version of the serialised form.
pub const POINT_FORMAT: u32 = 1;

/// Digits of a key that name a point.
const NAME: usize = 12;

/// A point, as the store keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// [`POINT_FORMAT`] of the writer.
    pub version: u32,
    /// Platform of the programs.
    pub platform: String,
    /// Layers below, bottom first: diff id, and the blob's digest, size and media type.
    pub layers: Vec<(String, String, u64, String)>,
    /// Variables.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub workdir: String,
    /// User id, group id, further groups.
    pub user: (u32, u32, Vec<u32>),
    /// Words of the shell of commands in shell form.
    pub shell: Vec<String>,
    /// The words that failed.
    pub command: Vec<String>,
    /// Whether they had a network besides loopback.
    pub network: bool,
}

impl Build<'_> {
    /// Keeps the point before a step; gives its name. A store that cannot keep it only costs the
    /// shell.
    pub(super) fn point(&self, key: &Key, step: &StepOf<'_>) -> Option<String> {
        let StepOf { command, run, user, env, .. } = step;
        let layers = self.layers.iter().map(|layer| {
            let blob = &layer.descriptor;
            let (diff_id, digest) = (layer.diff_id.to_string(), blob.digest.to_string());
            (diff_id, digest, blob.size, blob.media_type.to_string())
        });
        let point = Point {
            version: POINT_FORMAT,
            platform: self.stage.platform.to_string(),
            layers: layers.collect(),
            env: env.to_vec(),
            workdir: self.state.workdir().to_owned(),
            user: (user.uid, user.gid, user.groups.clone()),
            shell: self.state.config.config.shell.clone(),
            command: command.to_vec(),
            network: run.network,
        };
        let name = key.hex().get(..NAME)?.to_owned();
        let text = serde_json::to_string(&point).ok()?;
        self.native.store.put_memo("point", &name, &text).ok()?;
        Some(name)
    }
}
