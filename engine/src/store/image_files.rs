//! Files out of an image of the store, without unpacking it.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use mabuild_oci::digest::HashingReader;
use mabuild_oci::layer::tree_index::NodeKind;
use mabuild_oci::layer::{EntryKind, FsView, LayerIndex, Limits, decompress, index_tar, read_some};
use mabuild_oci::{Digest, Error, ImageConfig, Manifest};

use super::{Result, Store, StoreError};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 << 20;
/// Notes of this kind say what a blob is without its compression.
const DIFF_ID: &str = "diff-id";

impl Store {
    /// What a layer holds: remembered, or read from its blob once. Fails for a blob that is another
    /// one when it is uncompressed: what a layer holds is shared by all images that have its name.
    pub fn layer_index(&self, diff_id: &Digest, blob: &Digest) -> Result<LayerIndex> {
        let name = diff_id.to_string();
        if let Some(index) = self.index(&name) {
            return Ok(index);
        }
        let (file, _) = self.layout().open_blob(blob)?;
        let mut plain = HashingReader::with(decompress(file)?, diff_id.hasher());
        let index = index_tar(&mut plain, &Limits::default())?;
        let actual = drained(plain)?;
        self.put_memo(DIFF_ID, &diff_id_note(diff_id, blob), &actual.to_string())?;
        diff_id.expect(format!("the layer {blob}, uncompressed,"), actual)?;
        self.put_index(&name, &index)?;
        Ok(index)
    }

    /// What a manifest says, and its config.
    pub fn image(&self, manifest: &Digest) -> Result<(Manifest, ImageConfig)> {
        let manifest = Manifest::from_bytes(&self.layout().read(manifest)?)?;
        let config = ImageConfig::from_bytes(&self.layout().read(&manifest.config.digest)?)?;
        Ok((manifest, config))
    }

    /// The regular files of an image whose path (`etc/passwd`) is wanted, by path. Links count as
    /// absent, and so does what is larger than 64 MiB.
    pub fn image_files(
        &self,
        manifest: &Digest,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let (manifest, config) = self.image(manifest)?;
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

    /// The digest of a layer without its compression, in the algorithm of the one that is `said`:
    /// remembered, or read from its blob once.
    pub fn diff_id(&self, blob: &Digest, said: &Digest) -> Result<Digest> {
        let note = diff_id_note(said, blob);
        let known = self.memo(DIFF_ID, &note).and_then(|text| Digest::parse(&text).ok());
        if let Some(known) = known {
            return Ok(known);
        }
        let (file, _) = self.layout().open_blob(blob)?;
        let actual = drained(HashingReader::with(decompress(file)?, said.hasher()))?;
        self.put_memo(DIFF_ID, &note, &actual.to_string())?;
        Ok(actual)
    }
}

fn diff_id_note(diff_id: &Digest, blob: &Digest) -> String {
    format!("{} {blob}", diff_id.algorithm())
}

/// Reads the rest of a layer, as far as layers go, and gives the digest of all of it.
fn drained(mut plain: HashingReader<impl Read>) -> Result<Digest> {
    let limit = Limits::default().bytes;
    let left = limit.saturating_sub(HashingReader::bytes(&plain));
    let failed = |source| StoreError::Layout(Error::Stream { action: "read a layer", source });
    std::io::copy(&mut (&mut plain).take(left), &mut std::io::sink()).map_err(failed)?;
    let (digest, bytes) = plain.finish();
    match bytes < limit {
        true => Ok(digest),
        false => {
            let what = "the size of a layer, uncompressed,".to_owned();
            Err(StoreError::Layout(Error::Limit { what, limit }))
        }
    }
}
