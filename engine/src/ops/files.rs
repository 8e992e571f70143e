//! Files of a project, read for the language.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use globset::GlobBuilder;
use mabuild_lang::{Files, Git};

/// Most entries of folders that one pattern is held against.
const MAX_ENTRIES: usize = 200_000;

/// Reads files relative to a folder.
pub struct Disk {
    /// The folder.
    pub root: PathBuf,
}

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.root.join(path)).map_err(|e| e.to_string())
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let glob = GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .map_err(|e| e.to_string())?
            .compile_matcher();
        let fixed: PathBuf = Path::new(pattern)
            .components()
            .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']))
            .collect();
        let start = if fixed == Path::new(pattern) {
            fixed.parent().map(Path::to_owned).unwrap_or_default()
        } else {
            fixed
        };
        // Only `**` reaches deeper than the pattern has parts.
        let deepest = match pattern.contains("**") {
            true => usize::MAX,
            false => Path::new(pattern).components().count(),
        };
        let mut found = Vec::new();
        let mut seen = 0;
        let mut open = vec![start];
        while let Some(dir) = open.pop() {
            let full = self.root.join(&dir);
            let Ok(list) = std::fs::read_dir(&full) else { continue };
            for entry in list {
                let entry = entry.map_err(|e| format!("{}: {e}", full.display()))?;
                seen += 1;
                if seen > MAX_ENTRIES {
                    return Err(format!("more than {MAX_ENTRIES} files and folders to look at"));
                }
                let path = dir.join(entry.file_name());
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => {
                        let deep = path.components().count() >= deepest;
                        open.extend((!deep).then_some(path));
                    }
                    _ if glob.is_match(&path) => found.push(path.to_string_lossy().into_owned()),
                    _ => {}
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn git(&self, what: Git) -> Result<String, String> {
        let words: &[&str] = match what {
            Git::Commit => &["rev-parse", "--verify", "HEAD"],
            Git::Describe => &["describe", "--always", "--dirty", "--tags"],
        };
        let output = Command::new("git").arg("-C").arg(&self.root).args(words).output();
        let output = output.map_err(|e| match e.kind() {
            ErrorKind::NotFound => "the program `git` is not installed".to_owned(),
            _ => format!("the program `git` cannot be run: {e}"),
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let why = String::from_utf8_lossy(&output.stderr);
        Err(format!("git says: {}", why.trim().trim_start_matches("fatal: ")))
    }
}
