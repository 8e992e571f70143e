//! `mabuild.lock` beside the main file.

use std::path::PathBuf;

use super::project::replace_or_create;
use super::{ErrorKind, OpError, Project};
use crate::facts::lock::{Lock, LockError};
use crate::graph::Part;
use crate::lower::Lowered;

/// Name of the lock.
pub const LOCK: &str = "mabuild.lock";

/// Path of the lock of a project.
pub fn path(project: &Project) -> PathBuf {
    project.main.with_extension("lock")
}

/// Reads the lock of a project; an empty one where there is none.
pub(super) fn read(project: &Project) -> Result<Lock, OpError> {
    let path = path(project);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Lock::default()),
        Err(e) => {
            let message = format!("cannot read {}: {e}", path.display());
            return Err(OpError::new(ErrorKind::User, "mabuild::engine::lock", message));
        }
    };
    Lock::parse(&text).map_err(|LockError { line, message, help, .. }| {
        let at = line.map(|line| format!(":{line}")).unwrap_or_default();
        let message = format!("{}{at}: {message}", path.display());
        OpError::new(ErrorKind::User, "mabuild::engine::lock", message).help(help)
    })
}

/// Writes the lock of a project, without what nothing asks for any more.
pub(super) fn write(project: &Project, lowered: &Lowered, mut lock: Lock) -> Result<(), OpError> {
    let graph = &lowered.graph;
    lock.retain(|node, platform| {
        let parts = graph.find(node).into_iter().flat_map(|thing| graph.parts(thing));
        parts
            .filter(|part| matches!(graph.node(*part).part, Part::On(_)))
            .any(|part| graph.platform(part).is_some_and(|p| p.to_string() == platform))
    });
    let path = path(project);
    let text = lock.to_text();
    if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    replace_or_create(&path, &text).map_err(|e| {
        let message = format!("cannot write {}: {e}", path.display());
        OpError::new(ErrorKind::Environment, "mabuild::engine::lock", message)
            .help("`--locked` keeps the lock as it is")
    })
}
