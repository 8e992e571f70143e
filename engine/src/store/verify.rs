//! Looks for damage, and takes damaged things out of the way so that they are made again.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use mabuild_oci::Digest;
use mabuild_oci::validate::validate;
use rayon::prelude::*;

use super::downloads::digest_of;
use super::gc::grandchildren;
use super::{Result, Store, StoreError, file_name};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// What is damaged: a digest or a path.
    pub blob: String,
    /// What is wrong and what was done about it.
    pub message: String,
}

impl Store {
    /// Hashes every blob and download. What is damaged is moved to `mabuild/damaged`, and results
    /// and steps that need it are forgotten, so that the next run makes it again. With `deep` the
    /// images are also checked against each other: sizes, diff ids, platforms.
    pub fn verify(&self, deep: bool) -> Result<Vec<Problem>> {
        let mut problems = self.verify_blobs()?;
        problems.extend(self.verify_downloads()?);
        self.forget_gone()?;
        problems.extend(self.forget_incomplete()?);
        if deep {
            for root in self.root_digests()? {
                let is_here = |subject: &str| {
                    let digest = Digest::parse(subject).ok();
                    let absent = digest.filter(|digest| !self.layout().has(digest));
                    absent.is_none_or(|digest| self.elsewhere(&digest).is_none())
                };
                let found = validate(self.layout(), Some(&root), true).into_iter();
                let found = found.filter(|problem| is_here(&problem.subject));
                problems.extend(found.map(|p| Problem { blob: p.subject, message: p.message }));
            }
        }
        let mut seen = HashSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        Ok(problems)
    }

    fn verify_blobs(&self) -> Result<Vec<Problem>> {
        let blobs = self.blobs()?;
        let found: Result<Vec<Option<Problem>>> =
            blobs.par_iter().map(|(path, digest)| self.verify_file(path, *digest)).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn verify_downloads(&self) -> Result<Vec<Problem>> {
        let paths = grandchildren(&self.own("downloads"))?;
        let found: Result<Vec<Option<Problem>>> = paths
            .par_iter()
            .filter(|path| path.is_file())
            .map(|path| {
                let part = |p: Option<&Path>| {
                    p.and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned())
                };
                let algorithm = part(path.parent()).unwrap_or_default();
                let hex = part(Some(path)).unwrap_or_default();
                let digest = format!("{algorithm}:{hex}");
                let problem = self.verify_file(path, Digest::parse(&digest).ok())?;
                if problem.is_some() {
                    // Its other name has the same damage.
                    let named = self.own("downloads/named").join(file_name(&digest));
                    let _there_is_none = std::fs::remove_dir_all(named);
                }
                Ok(problem)
            })
            .collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn verify_file(&self, path: &Path, digest: Option<Digest>) -> Result<Option<Problem>> {
        let Some(digest) = digest else {
            self.set_aside(path)?;
            let message = "its name is no digest; it was set aside".to_owned();
            return Ok(Some(Problem { blob: path.display().to_string(), message }));
        };
        let message = match digest_of(path, &digest) {
            Ok(actual) if actual == digest => return Ok(None),
            Ok(actual) => format!("its content has digest {actual}; it was set aside"),
            // Removed meanwhile.
            Err(_) if !path.exists() => return Ok(None),
            Err(e) => format!("it cannot be read ({e}); it was set aside"),
        };
        self.set_aside(path)?;
        Ok(Some(Problem { blob: digest.to_string(), message }))
    }

    fn set_aside(&self, path: &Path) -> Result<()> {
        let damaged = self.own("damaged");
        std::fs::create_dir_all(&damaged).map_err(StoreError::io("make", &damaged))?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let target = damaged.join(file_name(&name));
        std::fs::rename(path, &target).map_err(StoreError::io("move", path))
    }

    /// Forgets results whose image lacks a part.
    fn forget_incomplete(&self) -> Result<Vec<Problem>> {
        let results = self.result_digests()?;
        let mut missing: HashMap<String, Vec<Digest>> = HashMap::new();
        for digest in &results {
            let Ok(root) = Digest::parse(digest) else { continue };
            let mut reach = self.reach([root]);
            reach.missing.retain(|digest| self.elsewhere(digest).is_none());
            if !reach.missing.is_empty() {
                missing.insert(digest.clone(), reach.missing);
            }
        }
        let mut problems = Vec::new();
        for (digest, parts) in missing {
            self.change("DELETE FROM results WHERE digest = ?1", [&digest])?;
            let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
            let message = format!("the image lacks {}; it will be built again", parts.join(", "));
            problems.push(Problem { blob: digest, message });
        }
        problems.sort_by(|a, b| a.blob.cmp(&b.blob));
        Ok(problems)
    }

    fn result_digests(&self) -> Result<Vec<String>> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let database = self.database();
            let mut query = database.prepare("SELECT DISTINCT digest FROM results")?;
            query.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(|e| self.database_error(e))
    }
}
