//! Unpacked layers for overlayfs. A tree is what a layer changes, given all layers below it, so
//! it is named by its chain id; whose ids its files have depends on the id map, so each kind of
//! map has trees of its own.

use std::path::{Path, PathBuf};
use std::time::Instant;

use mabuild_oci::chain_id;
use mabuild_sandbox::{Call, CallError, IdMap, call, call_attached};

use super::inner::{RemoveRequest, UnpackLayer, UnpackRequest};
use super::layers::Layer;
use super::{Native, Stop};
use crate::exec::{Fault, Knobs};

/// Name of an id map in paths of the store.
pub(super) fn id_mode(map: &IdMap) -> String {
    match map {
        IdMap::Full => "root".to_owned(),
        IdMap::Ranges { uid, gid } => {
            let list = |ranges: &[mabuild_sandbox::Range]| {
                let texts: Vec<String> =
                    ranges.iter().map(|r| format!("{}x{}", r.outside, r.count)).collect();
                texts.join("-")
            };
            format!("ranges-u{}-g{}", list(uid), list(gid))
        }
        IdMap::Single => "single".to_owned(),
    }
}

impl Native {
    /// The trees of a chain, topmost first; what is missing is unpacked. Also gives the seconds
    /// that took.
    pub(super) fn trees(
        &self,
        layers: &[Layer],
        knobs: &Knobs,
    ) -> Result<(Vec<PathBuf>, f64), Stop> {
        let begun = Instant::now();
        let mode = match self.copies() {
            true => format!("copied-{}", id_mode(self.id_map()?)),
            false => id_mode(self.id_map()?),
        };
        let mut diff_ids = Vec::new();
        let mut trees: Vec<PathBuf> = Vec::new();
        let mut below: Vec<PathBuf> = Vec::new();
        let mut wanted = Vec::with_capacity(layers.len());
        for layer in layers {
            diff_ids.push(layer.diff_id);
            let chain = chain_id(&diff_ids).to_string();
            let tree = self.store.tree_path(&mode, &chain);
            wanted.push((layer, chain, tree));
        }
        let is_missing = |tree: &Path| !tree.join("done").exists();
        self.bring(wanted.iter().filter(|(.., tree)| is_missing(tree)).map(|(layer, ..)| *layer))?;
        for (layer, chain, tree) in wanted {
            if !tree.join("done").exists() {
                // Another run may be unpacking the same layer.
                let _guard = self
                    .store
                    .lock(&format!("tree-{mode}-{chain}"))
                    .map_err(|e| Fault::environment(e.to_string()))?;
                if !tree.join("done").exists() {
                    self.unpack(layer, &tree, &below, knobs)?;
                }
            }
            trees.insert(0, tree.clone());
            below.insert(0, tree.join("fs"));
        }
        Ok((trees, begun.elapsed().as_secs_f64()))
    }

    fn unpack(
        &self,
        layer: &Layer,
        tree: &Path,
        below: &[PathBuf],
        knobs: &Knobs,
    ) -> Result<(), Stop> {
        let parent = tree.parent().unwrap_or(tree);
        std::fs::create_dir_all(parent)
            .map_err(|e| Fault::environment(format!("cannot make {}: {e}", parent.display())))?;
        // Left by a run that was killed; nobody else works on it under the lock.
        if tree.exists() {
            self.remove(tree).map_err(Fault::environment)?;
        }
        let request = UnpackRequest {
            layer: UnpackLayer {
                blob: self.store.layout().path_of(&layer.descriptor.digest),
                diff_id: layer.diff_id.to_string(),
            },
            below: below.to_vec(),
            tree: tree.to_owned(),
            copy: self.copies(),
        };
        self.call("unpack", &request, knobs, None).map(|_: serde_json::Value| ())
    }

    /// Runs a handler in a helper: request and reply are JSON.
    pub(super) fn call<R: serde::de::DeserializeOwned>(
        &self,
        op: &str,
        request: &impl serde::Serialize,
        knobs: &Knobs,
        output: Option<mabuild_sandbox::Output>,
    ) -> Result<R, Stop> {
        self.answer(call, op, request, knobs, output)
    }

    /// The same with the standard input and outputs of this process, for a person.
    pub(super) fn call_attached<R: serde::de::DeserializeOwned>(
        &self,
        op: &str,
        request: &impl serde::Serialize,
        knobs: &Knobs,
    ) -> Result<R, Stop> {
        self.answer(call_attached, op, request, knobs, None)
    }

    fn answer<R: serde::de::DeserializeOwned>(
        &self,
        call: fn(Call<'_>) -> Result<Vec<u8>, CallError>,
        op: &str,
        request: &impl serde::Serialize,
        knobs: &Knobs,
        output: Option<mabuild_sandbox::Output>,
    ) -> Result<R, Stop> {
        let bug = |e: serde_json::Error| {
            let message = format!("the sandbox and its helper do not understand each other: {e}");
            Fault::new(crate::event::FailureKind::Bug, message)
        };
        let request = serde_json::to_vec(request).map_err(bug)?;
        let reply = call(Call {
            op,
            request: &request,
            id_map: self.id_map()?.clone(),
            output,
            cancel: knobs.cancel.clone(),
            deadline: None,
        });
        match reply {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).map_err(bug)?),
            Err(CallError::Cancelled) => Err(Stop::Cancelled),
            Err(e) => Err(Fault::environment(e.to_string()).into()),
        }
    }
}

/// Removes a tree whose files may belong to mapped ids.
pub(super) fn remove(map: &IdMap, path: &Path) -> Result<(), String> {
    let request = RemoveRequest { path: path.to_owned() };
    let request = serde_json::to_vec(&request).map_err(|e| e.to_string())?;
    let reply = call(Call {
        op: "remove",
        request: &request,
        id_map: map.clone(),
        output: None,
        cancel: mabuild_sandbox::CancelHandle::new(),
        deadline: None,
    });
    reply.map(|_| ()).map_err(|e| format!("cannot remove {}: {e}", path.display()))
}
