//! The names of a layout: entries of `index.json` with a reference annotation.

use super::Layout;
use crate::image::REF_NAME;
use crate::{Descriptor, Error, Index, Result};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

impl Layout {
    /// Returns the named images, sorted by name.
    pub fn refs(&self) -> Result<Vec<(String, Descriptor)>> {
        let mut refs: Vec<_> = self
            .index()?
            .manifests
            .into_iter()
            .filter_map(|d| Some((d.ref_name()?.to_owned(), d)))
            .collect();
        refs.sort_by(|a, b| (&a.0, a.1.digest).cmp(&(&b.0, b.1.digest)));
        Ok(refs)
    }

    /// Reads `index.json`, with entries that have no name.
    pub fn index(&self) -> Result<Index> {
        let path = self.index_path();
        let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        parse(&path.display().to_string(), &bytes)
    }

    /// Gives a name to an image; the name is taken from what had it.
    pub fn set_ref(&self, name: &str, image: Descriptor) -> Result<()> {
        self.set_refs([(name.to_owned(), image)])
    }

    /// Gives many names at once: all of them or, on failure, none.
    pub fn set_refs(&self, refs: impl IntoIterator<Item = (String, Descriptor)>) -> Result<()> {
        let refs: Vec<_> = refs.into_iter().collect();
        if let Some((name, _)) = refs.iter().find(|(name, _)| name.is_empty()) {
            return Err(Error::document(format!("image name {name:?}"), "it is empty"));
        }
        self.change_index(|index| {
            for (name, mut image) in refs {
                index.manifests.retain(|d| d.ref_name() != Some(name.as_str()));
                image.annotations.insert(REF_NAME.to_owned(), name);
                index.manifests.push(image);
            }
            Ok(())
        })
    }

    /// Lists an image that has no name.
    pub fn add_image(&self, image: Descriptor) -> Result<()> {
        self.change_index(|index| {
            if !index.manifests.iter().any(|known| known.digest == image.digest) {
                index.manifests.push(image);
            }
            Ok(())
        })
    }

    /// Takes a name away; returns whether it was there. Blobs stay.
    pub fn remove_ref(&self, name: &str) -> Result<bool> {
        self.change_index(|index| {
            let before = index.manifests.len();
            index.manifests.retain(|d| d.ref_name() != Some(name));
            Ok(index.manifests.len() != before)
        })
    }

    /// Changes `index.json` while no other process does; it is replaced whole, and sorted.
    pub(super) fn change_index<T>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<T>,
    ) -> Result<T> {
        // The folder itself: a file for the lock would be one more in everybody's layout.
        let lock_path = self.root.clone();
        let lock = File::open(&lock_path).map_err(|e| Error::io("open the lock", &lock_path, e))?;
        lock.lock().map_err(|e| Error::io("lock", &lock_path, e))?;
        let path = self.index_path();
        let old = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let mut index = match &old {
            Some(bytes) => parse(&path.display().to_string(), bytes)?,
            None => Index::new(Vec::new()),
        };
        let result = change(&mut index)?;
        index.manifests.sort_by(|a, b| {
            (a.ref_name(), a.digest, a.platform()).cmp(&(b.ref_name(), b.digest, b.platform()))
        });
        let new = index.to_bytes()?;
        if old.as_deref() != Some(&new) {
            self.replace_file(&path, &new)?;
        }
        // The lock goes with the file; it is never removed, because another may wait on it.
        drop(lock);
        Ok(result)
    }

    fn index_path(&self) -> PathBuf {
        self.root.join("index.json")
    }
}

fn parse(path: &str, bytes: &[u8]) -> Result<Index> {
    Index::from_bytes(bytes).map_err(|e| match e {
        Error::BadDocument { reason, .. } => Error::document(path, reason),
        e => e,
    })
}
