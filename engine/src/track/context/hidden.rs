//! Which files of a context do not exist for builds.

use std::path::{Path, PathBuf};

use mabuild_dockerfile::Ignore;

use super::root::is_absent;
use crate::facts::ContextAsk;

/// The ignore file of a context.
const IGNORE: &str = ".dockerignore";
/// The largest ignore file.
const LARGEST: u64 = 1 << 20;

/// The ignore file that counts for a question, and what it says.
#[derive(Debug)]
pub struct Hidden {
    /// Its path; none when there is none.
    pub path: Option<PathBuf>,
    ignore: Ignore,
}

impl Hidden {
    /// Hides nothing.
    pub(super) fn nothing() -> Self {
        Self { path: None, ignore: Ignore::default() }
    }

    /// Reads the ignore file that counts: the one of the Dockerfile when it is there, else that
    /// of the context.
    pub fn read(ask: &ContextAsk) -> Result<Self, String> {
        let of_context = Path::new(&*ask.context).join(IGNORE);
        for path in ask.ignore.as_deref().map(PathBuf::from).into_iter().chain([of_context]) {
            if let Some(ignore) = read(&path)? {
                return Ok(Self { path: Some(path), ignore });
            }
        }
        Ok(Self { path: None, ignore: Ignore::default() })
    }

    /// Whether a path does not exist for builds.
    pub fn hides(&self, path: &str) -> bool {
        !self.ignore.is_empty() && self.ignore.excluded(path)
    }

    /// Whether nothing below a folder exists for builds.
    pub fn prunes(&self, folder: &str) -> bool {
        !self.ignore.is_empty() && self.ignore.prunes(folder)
    }
}

fn read(path: &Path) -> Result<Option<Ignore>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("cannot read {}: {e}", path.display());
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > LARGEST => return Err(failed(&"it is larger than 1 MiB")),
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Ok(None),
        Err(e) if is_absent(&e) => return Ok(None),
        Err(e) => return Err(failed(&e)),
    }
    let bytes = std::fs::read(path).map_err(|e| failed(&e))?;
    let ignore = Ignore::parse(&String::from_utf8_lossy(&bytes));
    match ignore.problems().first() {
        Some(problem) => Err(failed(&problem.message)),
        None => Ok(Some(ignore)),
    }
}
