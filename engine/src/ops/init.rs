//! A first `mabuild.kdl`: a fresh one, or a draft out of what a folder already has.

use std::path::{Path, PathBuf};

use mabuild_draft::{Draft, DraftError, Found};

use super::project::MAIN;
use super::{Env, ErrorKind, OpError};

/// What to begin with.
#[derive(Clone, Debug)]
pub struct InitRequest {
    /// A folder with Dockerfiles, a bake file or a compose file; none for a fresh start.
    pub from: Option<PathBuf>,
    /// Where to write; none for `mabuild.kdl` in the folder that it describes.
    pub output: Option<PathBuf>,
    /// Whether a file that is there may be replaced.
    pub force: bool,
}

/// A description that was made.
#[derive(Debug)]
pub struct Initialised {
    /// The file it belongs in.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What a person should look at, a line each.
    pub notes: Vec<String>,
}

/// Why no description was made.
#[derive(Debug)]
pub enum InitError {
    /// The file or folder cannot be read, or the target exists.
    Op(OpError),
    /// What was read is wrong, with the text that it is wrong in.
    Source {
        /// The text that the errors have their places in.
        text: String,
        /// At least one.
        errors: Vec<DraftError>,
    },
}

impl From<OpError> for InitError {
    fn from(error: OpError) -> Self {
        Self::Op(error)
    }
}

/// Most bytes of a Dockerfile or of another description.
const MAX_SOURCE: u64 = 16 << 20;
/// Most Dockerfiles that are read.
const MAX_FILES: usize = 5000;
/// Deepest folder that is searched.
const MAX_DEPTH: usize = 12;

/// Makes a description, and writes it where `write` says so.
pub fn init(env: &Env, request: &InitRequest, write: bool) -> Result<Initialised, InitError> {
    let from = request.from.as_ref().map(|from| env.cwd.join(from));
    let folder = match &from {
        Some(from) if from.is_file() => from.parent().map(Path::to_owned).unwrap_or_default(),
        Some(from) => from.clone(),
        None => env.cwd.clone(),
    };
    let path = match &request.output {
        Some(output) => env.cwd.join(output),
        None => folder.join(MAIN),
    };
    if write && path.exists() && !request.force {
        let message = format!("{} is there already", path.display());
        return Err(failed(message)
            .help("see the draft with --stdout, or replace it with --force")
            .into());
    }
    let draft = match &from {
        None => {
            let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
            mabuild_draft::fresh(&name.unwrap_or_default())
        }
        Some(from) if from.is_dir() => of_folder(from)?,
        Some(from) => of_file(env, from, &folder)?,
    };
    if write {
        super::project::replace_or_create(&path, &draft.kdl)
            .map_err(|e| failed(format!("cannot write {}: {e}", path.display())))?;
    }
    Ok(Initialised { path, text: draft.kdl, notes: draft.notes })
}

fn failed(message: String) -> OpError {
    OpError::new(ErrorKind::User, "mabuild::engine::init", message)
}

fn of_file(env: &Env, file: &Path, folder: &Path) -> Result<Draft, InitError> {
    let text = read(file)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = |path: &str| read(&folder.join(path)).ok();
    let vars = |name: &str| env.vars.get(name).cloned();
    let made = match Kind::of(&name) {
        Some(Kind::Bake) => mabuild_draft::from_bake(&name, &text, &beside, &vars),
        Some(Kind::Compose) => mabuild_draft::from_compose(&name, &text, &beside, &vars),
        Some(Kind::Dockerfile) => {
            mabuild_draft::from_dockerfiles(&[Found { path: &name, text: &text }])
        }
        None => {
            let message =
                format!("`{name}` is neither a bake file nor a compose file nor a Dockerfile");
            return Err(failed(message)
                .help("name a `.hcl` or `.json` file of bake, a `.yaml` file of compose, a Dockerfile, or a folder")
                .into());
        }
    };
    made.map_err(|errors| InitError::Source { text, errors })
}

/// What a file is by its name.
enum Kind {
    Bake,
    Compose,
    Dockerfile,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        match lower.rsplit('.').next() {
            _ if is_dockerfile(name) => Some(Self::Dockerfile),
            Some("hcl" | "json") => Some(Self::Bake),
            Some("yaml" | "yml") => Some(Self::Compose),
            _ => None,
        }
    }
}

/// `Dockerfile`, `Dockerfile.cross`, `web.Dockerfile`, `Containerfile`.
fn is_dockerfile(name: &str) -> bool {
    let is = |word: &str| {
        name == word
            || name.strip_prefix(word).is_some_and(|rest| rest.starts_with('.'))
            || name.strip_suffix(word).is_some_and(|rest| rest.ends_with('.'))
    };
    (is("Dockerfile") || is("Containerfile")) && !name.ends_with(".dockerignore")
}

fn of_folder(folder: &Path) -> Result<Draft, InitError> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut open = vec![(PathBuf::new(), 0)];
    while let Some((below, depth)) = open.pop() {
        let full = folder.join(&below);
        let list = std::fs::read_dir(&full)
            .map_err(|e| failed(format!("cannot read {}: {e}", full.display())))?;
        for entry in list.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth < MAX_DEPTH && !is_left_out(&name) {
                open.push((below.join(&name), depth + 1));
            } else if kind.is_file() && is_dockerfile(&name) && found.len() < MAX_FILES {
                let path = below.join(&name).to_string_lossy().into_owned();
                found.push((path, read(&entry.path())?));
            }
        }
    }
    if found.is_empty() {
        let message = format!("there is no Dockerfile in {} or below", folder.display());
        return Err(failed(message).help("without --from a fresh file is written").into());
    }
    found.sort();
    let files: Vec<Found<'_>> = found.iter().map(|(path, text)| Found { path, text }).collect();
    mabuild_draft::from_dockerfiles(&files)
        .map_err(|errors| InitError::Source { text: String::new(), errors })
}

/// Folders that hold what others wrote.
fn is_left_out(name: &str) -> bool {
    name.starts_with('.') || matches!(name, "node_modules" | "target" | "vendor" | "__pycache__")
}

fn read(path: &Path) -> Result<String, OpError> {
    let cannot = |why: String| failed(format!("cannot read {}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| cannot(e.to_string()))?.len();
    if size > MAX_SOURCE {
        return Err(cannot(format!("it is larger than {} MiB", MAX_SOURCE >> 20)));
    }
    let bytes = std::fs::read(path).map_err(|e| cannot(e.to_string()))?;
    String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::is_dockerfile;

    #[test]
    fn names_of_dockerfiles() {
        for name in ["Dockerfile", "Dockerfile.cross", "web.Dockerfile", "Containerfile"] {
            assert!(is_dockerfile(name), "{name}");
        }
        for name in ["Dockerfile.dockerignore", "MyDockerfile", "Dockerfiles", "dockerfile.md"] {
            assert!(!is_dockerfile(name), "{name}");
        }
    }
}
