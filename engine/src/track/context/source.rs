//! From a source as it is written to the files that it names.

use super::root::{Node, NodeKind, Root, join};
use crate::facts::{Match, glob_fits};

/// Symbolic links that are followed on the way to one source.
const MOST_LINKS: usize = 40;

/// The files that a source names; at least one.
pub(super) fn find(root: &Root, source: &str) -> Result<Vec<Match>, String> {
    if source.contains('\0') {
        return Err(format!("the source {source:?} has a zero byte in it"));
    }
    let parts = clean(root, source)?;
    let found = match parts.iter().position(|part| part.contains(['*', '?', '[', '\\'])) {
        Some(first) => globbed(root, &parts, first)?,
        None => literal(root, source, &parts)?.into_iter().collect(),
    };
    if found.is_empty() { Err(nothing(root, source, &parts)) } else { Ok(found) }
}

/// The parts of a source below the context, `.` and `..` taken out.
fn clean<'s>(root: &Root, source: &'s str) -> Result<Vec<&'s str>, String> {
    let mut parts = Vec::new();
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => {
                return Err(format!(
                    "`{source}` leaves the context {}; only files in it can be copied: move them \
                     there, or set another `context`",
                    root.name
                ));
            }
            ".." => {}
            part => parts.push(part),
        }
    }
    Ok(parts)
}

fn literal(root: &Root, source: &str, parts: &[&str]) -> Result<Option<Match>, String> {
    let through = source.ends_with('/') || source.ends_with("/.");
    let Some((path, node)) = resolve(root, source, parts, through)? else { return Ok(None) };
    matched(root, path, &node)
}

/// What a path that was found stands for; none when all of it is ignored.
fn matched(root: &Root, path: String, node: &Node) -> Result<Option<Match>, String> {
    if !matches!(node.kind, NodeKind::Dir) {
        if root.ignores(&path) {
            return Ok(None);
        }
        let files = vec![root.fact(path.clone(), node)?];
        return Ok(Some(Match { path, files, directory: false }));
    }
    if !path.is_empty() && root.prunes(&path) {
        return Ok(None);
    }
    let files = root.below(&path)?;
    let hidden = !path.is_empty() && files.is_empty() && root.ignores(&path);
    Ok((!hidden).then_some(Match { path, files, directory: true }))
}

/// Walks to a path. Links are followed in its parents, and at its end when `through` is set.
fn resolve(
    root: &Root,
    source: &str,
    parts: &[&str],
    through: bool,
) -> Result<Option<(String, Node)>, String> {
    let top = Node { name: String::new(), kind: NodeKind::Dir, mode: 0o755 };
    let mut open: Vec<String> = parts.iter().rev().map(|part| (*part).to_owned()).collect();
    let mut path: Vec<String> = Vec::new();
    let mut last = top.clone();
    let mut links = 0;
    let out = |link: &str| {
        format!(
            "`{source}` leads through the symbolic link {link} out of the context {}; copy the \
             file itself into the context",
            root.name
        )
    };
    while let Some(part) = open.pop() {
        if part == ".." {
            if path.pop().is_none() {
                return Err(out(source));
            }
            last = top.clone();
            continue;
        }
        if !matches!(last.kind, NodeKind::Dir) {
            return Ok(None);
        }
        path.push(part);
        let here = path.join("/");
        let Some(node) = root.node(&here)? else { return Ok(None) };
        match &node.kind {
            NodeKind::Symlink(target) if through || !open.is_empty() => {
                links += 1;
                if target.starts_with('/') {
                    return Err(out(&here));
                }
                if links > MOST_LINKS {
                    return Err(format!("`{source}` leads through too many symbolic links"));
                }
                path.pop();
                let steps = target.split('/').filter(|part| !matches!(*part, "" | "."));
                open.extend(steps.rev().map(str::to_owned));
                last = top.clone();
            }
            _ => last = node,
        }
    }
    Ok(Some((path.join("/"), last)))
}

/// The paths that fit a glob, whose parts before `first` are plain. A directory that fits stands
/// for all below it, so nothing below it is looked at again.
fn globbed(root: &Root, parts: &[&str], first: usize) -> Result<Vec<Match>, String> {
    let pattern = parts.join("/");
    let fixed = parts.get(..first).unwrap_or_default();
    let start = match resolve(root, &pattern, fixed, true)? {
        Some((start, node)) if matches!(node.kind, NodeKind::Dir) => start,
        _ => return Ok(Vec::new()),
    };
    // The folder may have been reached by links: the pattern is matched against what is written.
    let rest = parts.get(first..).unwrap_or_default();
    let deepest = if rest.iter().any(|part| part.contains("**")) { usize::MAX } else { rest.len() };
    let mut found = Vec::new();
    let mut open = vec![(String::new(), 1)];
    while let Some((folder, depth)) = open.pop() {
        let place = if folder.is_empty() { start.clone() } else { join(&start, &folder) };
        for node in root.list(&place)?.iter() {
            let shown = join(&folder, &node.name);
            let path = join(&start, &shown);
            if glob_fits(&rest.join("/"), &shown) {
                found.extend(matched(root, path, node)?);
            } else if matches!(node.kind, NodeKind::Dir) && depth < deepest && !root.prunes(&path) {
                open.push((shown, depth + 1));
            }
        }
    }
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Why a source has no files, with a file that may have been meant.
fn nothing(root: &Root, source: &str, parts: &[&str]) -> String {
    let path = parts.join("/");
    let there = root.node(&path).ok().flatten().is_some();
    if there {
        return format!(
            "`{source}` is hidden by .dockerignore of the context {}; take it back there with \
             `!{path}`",
            root.name
        );
    }
    let mut text = format!("`{source}` matches no file in the context {}", root.name);
    if let Some(near) = nearest(root, parts) {
        text.push_str(&format!("; did you mean `{near}`?"));
    }
    text
}

/// The path next to what was written: the same folder, the name that differs least.
fn nearest(root: &Root, parts: &[&str]) -> Option<String> {
    for (at, part) in parts.iter().enumerate() {
        let folder = parts.get(..at)?.join("/");
        if root.node(&join(&folder, part)).ok()?.is_some() {
            continue;
        }
        let names = root.list(&folder).ok()?;
        let near = names
            .iter()
            .map(|node| (distance(part, &node.name), &node.name))
            .filter(|(distance, _)| *distance <= part.chars().count().div_ceil(3).max(2))
            .min()?;
        let rest = parts.get(at + 1..).unwrap_or_default();
        let all = std::iter::once(near.1.as_str()).chain(rest.iter().copied());
        return Some(join(&folder, &all.collect::<Vec<_>>().join("/")));
    }
    None
}

/// Levenshtein distance in characters, without regard to case; of very long names none.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    if a.len().max(b.len()) > 200 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
