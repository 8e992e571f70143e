//! `copy` out of an image: from a source as it is written to the paths of the image that it
//! names. The rules are those for contexts.

use mabuild_dockerfile::Ignore;
use mabuild_oci::layer::tree_index::NodeKind;

use super::files::{Layering, joined, shown};
use super::place::{Copying, From};
use crate::exec::Fault;
use crate::facts::{Wild, has_wildcard, unescaped};

/// A path that a source named: its last part as it was named, and where it is, without links.
type Named = (Vec<u8>, Vec<u8>);

/// The parts of a source below the root, `.` and `..` taken out.
fn parts(source: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts
}

impl Layering<'_> {
    /// Copies paths of an image.
    pub fn copy_image(
        &mut self,
        copying: &Copying<'_>,
        from: &From,
        sources: &[String],
        parents: bool,
    ) -> Result<(), Fault> {
        for source in sources {
            match parents {
                true => self.with_parents(copying, from, source)?,
                false => self.plain(copying, from, source)?,
            }
        }
        Ok(())
    }

    fn plain(&mut self, copying: &Copying<'_>, from: &From, source: &str) -> Result<(), Fault> {
        let parts = parts(source);
        for (name, real) in from.paths(source, &parts)? {
            let missing = || missing(source);
            if real.is_empty() || from.view.is_dir(&real) {
                let pieces = from.tree(&real, &|path| !copying.exclude.excluded(path))?;
                self.place(copying, b"", true, pieces)?;
            } else if !copying.exclude.excluded(&String::from_utf8_lossy(&name)) {
                let entry = from.view.lookup(&real).ok_or_else(missing)?;
                let piece = from.piece(entry, b"", false)?;
                self.place(copying, &name, false, vec![piece])?;
            }
        }
        Ok(())
    }

    /// Copies with the directories above, up to the part `.` of the source or to the root.
    fn with_parents(
        &mut self,
        copying: &Copying<'_>,
        from: &From,
        source: &str,
    ) -> Result<(), Fault> {
        let (above, pattern) = source.split_once("/./").unwrap_or(("", source));
        let wanted = parts(pattern);
        let text = wanted.join("/");
        let include = Ignore::of([text.as_str()]);
        if let Some(problem) = include.problems().first() {
            return Err(Fault::step(format!("`{source}`: {}", problem.message)));
        }
        let above = parts(above);
        let is_plain = !wanted.iter().chain(&above).any(|part| has_wildcard(part));
        let takes = |path: &str| {
            (wanted.is_empty() || include.excluded(path)) && !copying.exclude.excluded(path)
        };
        let mut found = false;
        for (_, real) in from.paths(source, &above)? {
            if real.is_empty() || from.view.is_dir(&real) {
                let pieces = from.tree(&real, &takes)?;
                found |= !pieces.is_empty();
                self.place(copying, b"", true, pieces)?;
            }
        }
        match found || !is_plain || wanted.is_empty() {
            true => Ok(()),
            false => Err(missing(source)),
        }
    }
}

fn missing(source: &str) -> Fault {
    Fault::step(format!("`{source}` is not in the image that is copied from"))
}

impl From {
    /// The paths that the parts of a source fit, in order.
    fn paths(&self, source: &str, parts: &[&str]) -> Result<Vec<Named>, Fault> {
        let first = parts.iter().position(|part| has_wildcard(part)).unwrap_or(parts.len());
        let (fixed, rest) = parts.split_at_checked(first).unwrap_or((parts, &[]));
        let wild = Wild::of(rest).map_err(Fault::step)?;
        let name = fixed.join("/");
        let mut start = self.real(name.as_bytes());
        if start.is_none() && name.contains('\\') {
            start = self.real(unescaped(&name).as_bytes());
        }
        let Some(start) = start else {
            return if rest.is_empty() { Err(missing(source)) } else { Ok(Vec::new()) };
        };
        if rest.is_empty() {
            let last = parts.last().copied().unwrap_or_default();
            return Ok(vec![(last.as_bytes().to_vec(), start)]);
        }
        let mut out = Vec::new();
        self.fitting(&wild, &start, 0, source, &mut out)?;
        Ok(out)
    }

    /// The path that a path leads to, all links followed; none where nothing is.
    fn real(&self, path: &[u8]) -> Option<Vec<u8>> {
        let found = self.view.resolve(path).ok()?;
        found.entry.map(|_| found.path)
    }

    fn fitting(
        &self,
        wild: &Wild,
        folder: &[u8],
        depth: usize,
        source: &str,
        out: &mut Vec<Named>,
    ) -> Result<(), Fault> {
        for (name, entry) in self.view.children(folder) {
            if !wild.fits(depth, name) {
                continue;
            }
            let path = joined(folder, name);
            if depth + 1 < wild.depth() {
                if entry.kind == NodeKind::Dir {
                    self.fitting(wild, &path, depth + 1, source, out)?;
                }
                continue;
            }
            let real = self.real(&path).ok_or_else(|| {
                let path = shown(&path);
                Fault::step(format!(
                    "`{source}` fits the symbolic link {path} of the image that is copied from, \
                     which leads nowhere in it"
                ))
            })?;
            out.push((name.to_vec(), real));
        }
        Ok(())
    }
}
