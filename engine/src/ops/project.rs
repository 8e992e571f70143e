//! Finding, loading and formatting the files of a project.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mabuild_distro::qemu;
use mabuild_lang::diag::Diagnostic;
use mabuild_lang::platform::Platform;
use mabuild_lang::source::SourceMap;
use mabuild_lang::{Loaded, Unformatted, Vars};

use super::files::Disk;
use super::{Env, ErrorKind, OpError};
use crate::exec::native::host_arch;
use crate::lower::{Lowered, Surroundings, lower};

/// Name of the main file.
pub const MAIN: &str = "mabuild.kdl";

/// Which project is meant.
#[derive(Clone, Debug, Default)]
pub struct ProjectRequest {
    /// `-f`: the main file; else `mabuild.kdl` here or in a parent folder.
    pub file: Option<PathBuf>,
    /// `--set`.
    pub set: BTreeMap<String, String>,
}

/// A loaded project.
#[derive(Debug)]
pub struct Project {
    /// The main file.
    pub main: PathBuf,
    /// Its folder, absolute.
    pub root: PathBuf,
    /// Name of the project in the store: the main file's absolute path.
    pub name: String,
    /// Diagnostics and sources; what the files say is in `lowered`.
    pub loaded: Loaded,
    /// The graph; none when the file has errors.
    pub lowered: Option<Arc<Lowered>>,
    /// Whether a lock lies beside the main file.
    pub is_locked: bool,
}

impl Project {
    /// Leaves the tests of images out.
    pub fn skip_tests(&mut self) {
        if let Some(lowered) = &mut self.lowered {
            Arc::make_mut(lowered).skip_tests();
        }
    }
}

/// The main file of a request.
pub fn find_file(env: &Env, request: &ProjectRequest) -> Result<PathBuf, OpError> {
    if let Some(file) = &request.file {
        let path = env.cwd.join(file);
        let path = if path.is_dir() { path.join(MAIN) } else { path };
        if path.is_file() {
            return Ok(path);
        }
        return Err(OpError::new(
            ErrorKind::User,
            "mabuild::engine::no-file",
            format!("there is no file {}", path.display()),
        )
        .help("name the file with -f FILE"));
    }
    let found = env.cwd.ancestors().map(|dir| dir.join(MAIN)).find(|path| path.is_file());
    found.ok_or_else(|| {
        OpError::new(
            ErrorKind::User,
            "mabuild::engine::no-file",
            format!("there is no {MAIN} in {} or a folder above it", env.cwd.display()),
        )
        .help("name the file with -f FILE, or write a first one with `mabuild init`")
    })
}

/// Loads a project. Mistakes in the files are diagnostics of the result, not errors.
pub fn open(env: &Env, request: &ProjectRequest) -> Result<Project, OpError> {
    let main = find_file(env, request)?;
    let root = main.parent().map(Path::to_owned).unwrap_or_default();
    let file = main.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let disk = Disk { root: root.clone() };
    let vars = vars(env, request)?;
    let loaded = mabuild_lang::load(&file, &disk, &vars);
    let id = std::fs::canonicalize(&main).unwrap_or_else(|_| main.clone());
    let lowered = lowered(env, &loaded, &root, true)?;
    Ok(Project {
        main,
        root,
        name: id.to_string_lossy().into_owned(),
        loaded,
        lowered,
        is_locked: true,
    })
}

/// The graph of what was loaded; none where it has errors. Relative paths start at `root`;
/// `network` says whether a RUN that says nothing of it has one.
pub(super) fn lowered(
    env: &Env,
    loaded: &Loaded,
    root: &Path,
    network: bool,
) -> Result<Option<Arc<Lowered>>, OpError> {
    let source_date = source_date(env)?;
    Ok(match loaded.has_errors() {
        true => None,
        false => {
            let config = loaded.config.clone();
            let native = |arch: &&'static str| qemu::runs_natively(host_arch(), "linux", arch);
            let known = Platform::known().filter_map(|platform| platform.split('/').nth(1));
            let surroundings = Surroundings {
                root: root.to_owned(),
                source_date,
                native: known.filter(native).collect(),
                network,
            };
            let lowered = lower(config, surroundings).map_err(|e| {
                OpError::new(ErrorKind::Bug, "mabuild::engine::cycle", e.to_string())
            })?;
            Some(Arc::new(lowered))
        }
    })
}

/// The values that the files of a project may ask for.
pub fn vars(env: &Env, request: &ProjectRequest) -> Result<Vars, OpError> {
    let date = jiff::Timestamp::from_second(source_date(env)?.unwrap_or(env.now)).ok();
    let date = date.map(|time| time.strftime("%Y-%m-%d").to_string());
    let build_platform = Platform::parse(&format!("linux/{}", host_arch())).ok();
    Ok(Vars { set: request.set.clone(), env: env.vars.clone(), date, build_platform })
}

fn source_date(env: &Env) -> Result<Option<i64>, OpError> {
    let Some(text) = env.vars.get("SOURCE_DATE_EPOCH").filter(|t| !t.is_empty()) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(date) if (0..=253_402_300_799).contains(&date) => Ok(Some(date)),
        _ => Err(OpError::new(
            ErrorKind::User,
            "mabuild::engine::source-date",
            format!("SOURCE_DATE_EPOCH is `{text}`, not a number of seconds since 1970"),
        )),
    }
}

/// One file that was formatted.
#[derive(Debug)]
pub struct Formatted {
    /// The file.
    pub path: PathBuf,
    /// Whether its text differs from the canonical layout.
    pub changed: bool,
    /// Mistakes that kept it from being formatted.
    pub diagnostics: Vec<Diagnostic>,
    /// Its text, for the diagnostics.
    pub sources: SourceMap,
}

/// Formats files: those named, else all files of the project. With `check` nothing is written.
pub fn format(
    env: &Env,
    request: &ProjectRequest,
    check: bool,
    files: &[PathBuf],
) -> Result<Vec<Formatted>, OpError> {
    let paths: Vec<PathBuf> = if files.is_empty() {
        let project = open(env, request)?;
        let described = project.loaded.described();
        described.map(|file| project.root.join(&**file.path())).collect()
    } else {
        files.iter().map(|file| env.cwd.join(file)).collect()
    };
    paths.into_iter().map(|path| format_one(path, check)).collect()
}

fn format_one(path: PathBuf, check: bool) -> Result<Formatted, OpError> {
    let failed = |what: &str, e: &dyn std::fmt::Display| {
        let message = format!("cannot {what} {}: {e}", path.display());
        OpError::new(ErrorKind::User, "mabuild::engine::file", message)
    };
    let bytes = std::fs::read(&path).map_err(|e| failed("read", &e))?;
    let text = String::from_utf8(bytes).map_err(|e| failed("format", &e))?;
    let name = path.to_string_lossy().into_owned();
    let mut sources = SourceMap::default();
    sources.add(&name, text.as_str().into());
    match mabuild_lang::format(&name, &text) {
        Ok(formatted) => {
            let changed = formatted != text;
            if changed && !check {
                replace(&path, &formatted).map_err(|e| failed("write", &e))?;
            }
            Ok(Formatted { path, changed, diagnostics: Vec::new(), sources })
        }
        Err(Unformatted { diagnostics, sources }) => {
            Ok(Formatted { path, changed: false, diagnostics, sources })
        }
    }
}

/// The same for a file that may not be there yet.
pub(super) fn replace_or_create(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    if path.exists() {
        return replace(path, text);
    }
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(PermissionsExt::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

/// Replaces a file by one rename, so that a crash leaves the old or the new text.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let real = std::fs::canonicalize(path)?;
    let dir = real.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::metadata(&real)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&real)?;
    Ok(())
}
