//! Files out of an image of the store, without unpacking it.

use std::collections::{BTreeMap, HashMap};

use mabuild_oci::layer::tree_index::NodeKind;
use mabuild_oci::layer::{EntryKind, FsView, LayerIndex, Limits, decompress, index_tar, read_some};
use mabuild_oci::{Digest, Error, ImageConfig, Manifest};

use super::{Result, Store, StoreError};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 << 20;

impl Store {
    /// What a layer holds: remembered, or read from its blob once.
    pub fn layer_index(&self, diff_id: &Digest, blob: &Digest) -> Result<LayerIndex> {
        let name = diff_id.to_string();
        if let Some(index) = self.index(&name) {
            return Ok(index);
        }
        let (file, _) = self.layout().open_blob(blob)?;
        let index = index_tar(decompress(file)?, &Limits::default())?;
        self.put_index(&name, &index)?;
        Ok(index)
    }

    /// The regular files of an image whose path (`etc/passwd`) is wanted, by path. Links count as
    /// absent, and so does what is larger than 64 MiB.
    pub fn image_files(
        &self,
        manifest: &Digest,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let manifest = Manifest::from_bytes(&self.layout().read(manifest)?)?;
        let config = ImageConfig::from_bytes(&self.layout().read(&manifest.config.digest)?)?;
        let layers: Vec<(&Digest, &Digest)> = config
            .rootfs
            .diff_ids
            .iter()
            .zip(manifest.layers.iter().map(|layer| &layer.digest))
            .collect();
        let mut view = FsView::new(Vec::new());
        for (diff_id, blob) in &layers {
            view.push(self.layer_index(diff_id, blob)?);
        }
        // Of each layer: the path of an entry there to the paths it has in the image.
        let mut places: BTreeMap<usize, HashMap<Vec<u8>, Vec<String>>> = BTreeMap::new();
        for entry in view.iter() {
            let Ok(path) = std::str::from_utf8(&entry.path) else { continue };
            let small = entry.kind == NodeKind::File && entry.size <= LARGEST;
            if let (true, Some(origin)) = (small && wanted(path), view.origin(&entry.path)) {
                let layer = places.entry(origin.layer).or_default();
                layer.entry(origin.path.to_vec()).or_default().push(path.to_owned());
            }
        }
        let mut out = BTreeMap::new();
        for (at, paths) in places {
            let Some((_, blob)) = layers.get(at) else { continue };
            let (file, _) = self.layout().open_blob(blob)?;
            let spool = self.temp_file()?;
            let is_here = |path: &[u8]| paths.contains_key(path);
            for entry in read_some(decompress(file)?, spool, &Limits::default(), &is_here)? {
                let EntryKind::File { content, size } = entry.kind else { continue };
                let failed =
                    |source| StoreError::Layout(Error::Stream { action: "read a layer", source });
                let bytes = content.read(size).map_err(failed)?;
                for path in paths.get(&entry.path).into_iter().flatten() {
                    out.insert(path.clone(), bytes.clone());
                }
            }
        }
        Ok(out)
    }
}
