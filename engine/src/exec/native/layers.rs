//! Finished layers: packing entries into the store, and reading back what is in an image.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, PoisonError};

use mabuild_oci::layer::tree_index::{ContentDigest, NodeKind};
use mabuild_oci::layer::{
    Compression, Entry, EntryKind, FsView, LayerIndex, Limits, PackOptions, decompress, pack,
    read_some,
};
use mabuild_oci::{Descriptor, Digest, chain_id};
use rayon::prelude::*;

use super::files::shown;
use super::item::{Held, Item, Place};
use super::{Native, unpack};
use crate::exec::{Fault, Knobs};
use crate::key::{Key, hash_fields};
use crate::store::StepRow;

/// Views that are kept.
const VIEWS: usize = 16;
/// Bytes of a file whose content is remembered: a table of users.
const REMEMBERED: u64 = 64 << 10;
/// Kind of the notes of such contents.
const SMALL_FILE: &str = "small-file";

/// A layer of an image.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// The blob.
    pub descriptor: Descriptor,
}

impl Layer {
    pub fn of_row(row: &StepRow) -> Option<Self> {
        let diff_id = Digest::parse(&row.diff_id).ok()?;
        let digest = Digest::parse(&row.digest).ok()?;
        let descriptor = Descriptor::new(row.media_type.clone(), digest, row.size);
        Some(Self { diff_id, descriptor })
    }

    pub fn row(&self) -> StepRow {
        StepRow {
            diff_id: self.diff_id.to_string(),
            digest: self.descriptor.digest.to_string(),
            size: self.descriptor.size,
            media_type: self.descriptor.media_type.clone(),
        }
    }
}

fn fault(what: &str) -> impl Fn(mabuild_oci::Error) -> Fault + '_ {
    move |e| Fault::environment(format!("{what}: {e}"))
}

impl Native {
    /// How layers are packed; part of every key of a step.
    pub(super) fn packing(&self, clamp_mtime: i64, knobs: &Knobs) -> PackOptions {
        PackOptions { compression: Compression::Gzip, clamp_mtime, threads: knobs.threads }
    }

    /// Packs entries into the store and remembers the layer under a step key.
    pub(super) fn put_layer(
        &self,
        key: &Key,
        entries: Vec<Entry>,
        digests: &HashMap<Vec<u8>, ContentDigest>,
        options: &PackOptions,
    ) -> Result<Layer, Fault> {
        let share = self.machine.share();
        let options = PackOptions { threads: share.threads(options.threads), ..options.clone() };
        let layout = self.store.layout();
        let mut blob = layout.blob_writer().map_err(fault("cannot write a layer"))?;
        let packed = pack(entries, &options, &mut blob).map_err(fault("cannot make a layer"))?;
        unchanged(&packed.index, digests)?;
        blob.commit(Some(packed.digest)).map_err(fault("cannot store a layer"))?;
        let descriptor = Descriptor::new(packed.media_type, packed.digest, packed.size);
        let layer = Layer { diff_id: packed.diff_id, descriptor };
        let stored = self
            .store
            .put_index(&packed.diff_id.to_string(), &packed.index)
            .and_then(|()| self.store.put_step(key, &Some(layer.row())));
        stored.map_err(|e| Fault::environment(e.to_string()))?;
        Ok(layer)
    }

    /// What a layer holds, from the store's index of it or from the blob itself.
    pub(super) fn layer_index(&self, layer: &Layer) -> Result<LayerIndex, Fault> {
        let (diff_id, blob) = (&layer.diff_id, &layer.descriptor.digest);
        let index = self.store.layer_index(diff_id, blob);
        index.map_err(|e| Fault::environment(format!("cannot read the layer {blob}: {e}")))
    }

    /// Brings layers that are kept elsewhere.
    pub(super) fn bring<'a>(
        &self,
        layers: impl IntoIterator<Item = &'a Layer>,
    ) -> Result<(), Fault> {
        let layout = self.store.layout();
        let missing: Vec<&Layer> =
            layers.into_iter().filter(|layer| !layout.has(&layer.descriptor.digest)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let blobs: Vec<Descriptor> = missing.iter().map(|l| l.descriptor.clone()).collect();
        self.supply.bring_blobs(&blobs)?;
        missing.par_iter().try_for_each(|layer| self.check_diff_id(layer))
    }

    fn blob(&self, layer: &Layer) -> Result<File, Fault> {
        self.bring([layer])?;
        let digest = &layer.descriptor.digest;
        let opened = self.store.layout().open_blob(digest);
        opened.map(|(blob, _)| blob).map_err(fault(&format!("cannot read the layer {digest}")))
    }

    /// The merged view of a chain of layers, bottom first. The last few are kept, and a chain
    /// that begins with one of them is built on it: images that stand on one base ask for the
    /// same again and again.
    pub(super) fn view(&self, layers: &[Layer]) -> Result<Arc<FsView>, Fault> {
        let chain: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
        let lock = || self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let known = {
            let mut views = lock();
            let begins =
                |(_, (known, _)): &(usize, &(Vec<Digest>, Arc<FsView>))| chain.starts_with(known);
            let longest = views.iter().enumerate().filter(begins).max_by_key(|(_, (c, _))| c.len());
            let at = longest.map(|(at, _)| at);
            let known = at.and_then(|at| views.remove(at));
            // What is used stays.
            views.extend(known.clone());
            known
        };
        let (length, below) = match known {
            Some((known, view)) if known.len() == chain.len() => return Ok(view),
            Some((known, view)) => (known.len(), (*view).clone()),
            None => (0, FsView::new(Vec::new())),
        };
        let mut view = below;
        let unread = layers.iter().skip(length);
        self.bring(unread.filter(|l| self.store.index(&l.diff_id.to_string()).is_none()))?;
        for layer in layers.iter().skip(length) {
            view.push(self.layer_index(layer)?);
        }
        let view = Arc::new(view);
        let mut views = lock();
        if views.len() >= VIEWS {
            views.pop_front();
        }
        views.push_back((chain, view.clone()));
        Ok(view)
    }

    /// The layer of an instruction that changed nothing.
    pub(super) fn empty_layer(&self, knobs: &Knobs) -> Result<Layer, Fault> {
        let key = hash_fields("empty-layer", &[]);
        if let Some(layer) = self.store.step(&key).flatten().and_then(|row| Layer::of_row(&row)) {
            return Ok(layer);
        }
        self.put_layer(&key, Vec::new(), &HashMap::new(), &self.packing(0, knobs))
    }

    /// An unnamed file for contents.
    pub(super) fn spool(&self) -> Result<std::fs::File, Fault> {
        self.store.temp_file().map_err(|e| Fault::environment(e.to_string()))
    }

    /// Reads the contents that items still lack. Of all layers and archives only those that hold
    /// some are opened, each once, and only what is needed is kept.
    pub(super) fn fill(&self, items: &mut [Item]) -> Result<(), Fault> {
        let mut places: HashMap<String, (Place, Wanted)> = HashMap::new();
        for (at, item) in items.iter_mut().enumerate() {
            let Some(Held { place, path, nth }) = item.held.take() else { continue };
            if matches!(item.entry.kind, EntryKind::File { size: 0, .. }) {
                continue;
            }
            let name = match &place {
                Place::Layer(layer) => layer.diff_id.to_string(),
                Place::Archive(path) => path.display().to_string(),
            };
            let (_, wanted) = places.entry(name).or_insert_with(|| (place, Wanted::new()));
            wanted.entry(path).or_default().push((nth, at));
        }
        for (place, mut wanted) in places.into_values() {
            let entries = self.contents(&place, &|path| wanted.contains_key(path))?;
            let mut passed: HashMap<Vec<u8>, usize> = HashMap::new();
            // The last of several entries of one path counts, unless one was asked for.
            for entry in entries {
                let nth = passed.entry(entry.path.clone()).or_default();
                *nth += 1;
                let EntryKind::File { content, size } = entry.kind else { continue };
                for (wish, at) in wanted.get(&entry.path).into_iter().flatten() {
                    if wish.is_some_and(|wish| wish + 1 != *nth) {
                        continue;
                    }
                    if let Some(item) = items.get_mut(*at) {
                        item.entry.kind = EntryKind::File { content: content.clone(), size };
                    }
                }
            }
            wanted.retain(|path, _| !passed.contains_key(path));
            if let Some(path) = wanted.keys().next() {
                return Err(Fault::environment(format!(
                    "{} is not where it was found before; run `mabuild store verify`",
                    shown(path)
                )));
            }
        }
        Ok(())
    }

    /// Some of the entries of a layer or archive.
    fn contents(&self, place: &Place, wanted: &dyn Fn(&[u8]) -> bool) -> Result<Vec<Entry>, Fault> {
        let spool = self.spool()?;
        match place {
            Place::Layer(layer) => {
                let what = format!("cannot read the layer {}", layer.descriptor.digest);
                let reader = decompress(self.blob(layer)?).map_err(fault(&what))?;
                read_some(reader, spool, &Limits::default(), wanted).map_err(fault(&what))
            }
            Place::Archive(path) => {
                let what = format!("cannot read the archive {}", path.display());
                let failed = |e: std::io::Error| Fault::environment(format!("{what}: {e}"));
                let mut file = File::open(path).map_err(failed)?;
                let reader = unpack::plain(&mut file).map_err(failed)?;
                read_some(reader, spool, &unpack::limits(), wanted).map_err(fault(&what))
            }
        }
    }

    /// The content of one small file of a chain of layers, following no link at its end; none
    /// where there is no file. A content that was read before is remembered.
    pub(super) fn read_file(
        &self,
        layers: &[Layer],
        view: &FsView,
        path: &[u8],
    ) -> Result<Option<Vec<u8>>, Fault> {
        let Some(origin) = view.origin(path) else { return Ok(None) };
        let (Some(known), Some(layer)) = (view.lookup(path), layers.get(origin.layer)) else {
            return Ok(None);
        };
        if known.kind != mabuild_oci::layer::tree_index::NodeKind::File {
            return Ok(None);
        }
        let name = known.digest.filter(|_| known.size <= REMEMBERED).map(hex::encode);
        let memo = name.as_ref().and_then(|name| self.store.memo(SMALL_FILE, name));
        if let Some(text) = memo {
            return Ok(Some(text.into_bytes()));
        }
        let place = Place::Layer(Arc::new(layer.clone()));
        let entry = self.contents(&place, &|other| other == origin.path)?.pop();
        let Some(EntryKind::File { content, size }) = entry.map(|entry| entry.kind) else {
            return Ok(None);
        };
        let bytes = super::content::bytes(&content, size)?;
        if let (Some(name), Ok(text)) = (name, std::str::from_utf8(&bytes)) {
            self.store
                .put_memo(SMALL_FILE, &name, text)
                .map_err(|e| Fault::environment(e.to_string()))?;
        }
        Ok(Some(bytes))
    }
}

/// What is wanted of a layer or archive: by path, which of its entries and for which item.
type Wanted = HashMap<Vec<u8>, Vec<(Option<usize>, usize)>>;

/// Fails where a content is not the one that the key of the layer was made with: a file that was
/// written to after it was looked at. `digests` are those that are known, zeros for none.
fn unchanged(index: &LayerIndex, digests: &HashMap<Vec<u8>, ContentDigest>) -> Result<(), Fault> {
    let changed = index.entries.iter().find(|entry| {
        let known = digests.get(&entry.path).filter(|known| **known != ContentDigest::default());
        entry.kind == NodeKind::File && known.is_some() && entry.digest.as_ref() != known
    });
    match changed {
        None => Ok(()),
        Some(entry) => Err(Fault::environment(format!(
            "the file for /{} changed while it was copied; stop what writes to it and try again",
            String::from_utf8_lossy(&entry.path)
        ))),
    }
}

/// Names what a chain of layers amounts to.
pub(super) fn chain_text(layers: &[Layer]) -> String {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
    match diff_ids.is_empty() {
        true => "scratch".to_owned(),
        false => chain_id(&diff_ids).to_string(),
    }
}

/// Shared reading of a parent: its config and layers.
pub(super) struct Below {
    pub config: mabuild_oci::ImageConfig,
    pub layers: Vec<Layer>,
}

impl Native {
    /// The config and layers of a manifest in the store.
    pub(super) fn below(&self, manifest: &Arc<str>) -> Result<Below, Fault> {
        let what = format!("cannot read the image {manifest} in the store");
        let layout = self.store.layout();
        let digest = Digest::parse(manifest).map_err(fault(&what))?;
        if !layout.has(&digest) {
            self.supply.bring_image(manifest)?;
        }
        let bytes = layout.read(&digest).map_err(fault(&what))?;
        let manifest = mabuild_oci::Manifest::from_bytes(&bytes).map_err(fault(&what))?;
        let bytes = layout.read(&manifest.config.digest).map_err(fault(&what))?;
        let config = mabuild_oci::ImageConfig::from_bytes(&bytes).map_err(fault(&what))?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(Fault::environment(format!(
                "{what}: {} layers, but {} diff ids",
                manifest.layers.len(),
                config.rootfs.diff_ids.len()
            )));
        }
        let layers = config.rootfs.diff_ids.iter().copied().zip(manifest.layers);
        let layers = layers.map(|(diff_id, descriptor)| Layer { diff_id, descriptor }).collect();
        Ok(Below { config, layers })
    }
}
