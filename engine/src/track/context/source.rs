//! From a source as it is written to the files that it names.

use mabuild_dockerfile::Ignore;

use super::hidden::Hidden;
use super::root::{Node, NodeKind, Root, join};
use super::tree::{Tree, Wanted};
use crate::facts::{Match, Wild, has_wildcard, name_of, unescaped};

/// Symbolic links that are followed on the way to one source.
const MOST_LINKS: usize = 255;

/// A source of a `copy`, and where it is looked for.
pub(super) struct Source<'a> {
    pub text: &'a str,
    pub root: &'a Root,
    pub hidden: &'a Hidden,
    /// What is left out, below each directory that is copied.
    pub exclude: &'a Ignore,
}

/// A path that was found, links followed.
struct Place {
    path: String,
    node: Node,
}

impl Place {
    fn is_dir(&self) -> bool {
        matches!(self.node.kind, NodeKind::Dir)
    }
}

/// What a pattern fitted: the path as it is written, and what is there.
type Named = (String, Place);

impl Source<'_> {
    /// The files that the source names.
    pub fn find(&self) -> Result<Vec<Match>, String> {
        let parts = parts(self.text);
        let mut found = Vec::new();
        for (name, place) in self.places(&parts)? {
            found.extend(self.matched(name, place)?);
        }
        if found.is_empty() && !parts.iter().any(|part| has_wildcard(part)) {
            return Err(self.nothing(&parts, true));
        }
        Ok(found)
    }

    /// The files that the source names with the directories above them, up to the part `.` of the
    /// source or to the context. What is behind that part is a pattern as in an ignore file, and
    /// no link in it is followed.
    pub fn with_parents(&self) -> Result<Vec<Match>, String> {
        let (above, pattern) = self.text.split_once("/./").unwrap_or(("", self.text));
        let wanted = parts(pattern);
        let text = wanted.join("/");
        let include = Ignore::of([text.as_str()]);
        if let Some(problem) = include.problems().first() {
            return Err(format!("`{}`: {}", self.text, problem.message));
        }
        let plain = wanted.iter().take_while(|part| !part.contains(['*', '?', '[', '\\']));
        let way: Vec<&str> = plain.copied().collect();
        let is_plain = way.len() == wanted.len() && !parts(above).iter().any(|p| has_wildcard(p));
        let mut found = Vec::new();
        for (_, place) in self.places(&parts(above))? {
            if place.is_dir() {
                let include = (!wanted.is_empty()).then_some(&include);
                let files = self.tree(&place.path, include, &way)?;
                found.push(Match { path: place.path, files, directory: true });
            }
        }
        if is_plain && !wanted.is_empty() && found.iter().all(|found| found.files.is_empty()) {
            return Err(self.nothing(&[parts(above), wanted].concat(), false));
        }
        Ok(found)
    }

    /// The paths that the parts fit, in order; links are followed, at the end too.
    fn places(&self, parts: &[&str]) -> Result<Vec<Named>, String> {
        let first = parts.iter().position(|part| has_wildcard(part)).unwrap_or(parts.len());
        let (fixed, rest) = parts.split_at_checked(first).unwrap_or((parts, &[]));
        let wild = Wild::of(rest)?;
        let name = fixed.join("/");
        let mut start = self.resolve(&name)?;
        if start.is_none() && name.contains('\\') {
            start = self.resolve(&unescaped(&name))?;
        }
        let Some(start) = start else { return Ok(Vec::new()) };
        if rest.is_empty() {
            return Ok(vec![(name, start)]);
        }
        let mut out = Vec::new();
        if start.is_dir() {
            self.walk(&wild, &start.path, 0, &mut out)?;
        }
        Ok(out)
    }

    /// Collects what fits a pattern below a folder. No link is followed on the way.
    fn walk(
        &self,
        wild: &Wild,
        folder: &str,
        depth: usize,
        out: &mut Vec<Named>,
    ) -> Result<(), String> {
        for node in self.root.list(folder)?.iter() {
            if !wild.fits(depth, &name_of(&node.name)) {
                continue;
            }
            let path = join(folder, &node.name);
            let is_dir = matches!(node.kind, NodeKind::Dir);
            if depth + 1 < wild.depth() {
                if is_dir && !self.hidden.prunes(&path) {
                    self.walk(wild, &path, depth + 1, out)?;
                }
            } else if !is_dir && self.hidden.hides(&path) {
                // Does not exist.
            } else if let Some(place) = self.resolve(&path)? {
                out.push((path, place));
            } else {
                return Err(format!(
                    "`{}` fits the symbolic link {path} of the context {}, which leads nowhere in it",
                    self.text, self.root.name
                ));
            }
        }
        Ok(())
    }

    /// Walks to a path below the context, and follows every link; none when nothing is there for
    /// builds.
    fn resolve(&self, path: &str) -> Result<Option<Place>, String> {
        let mut open: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut path: Vec<String> = Vec::new();
        let mut links = 0;
        let mut last = None;
        while let Some(part) = open.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    path.pop();
                    last = None;
                    continue;
                }
                _ => path.push(part),
            }
            let here = path.join("/");
            let Some(node) = self.root.node(&here)? else { return Ok(None) };
            if let NodeKind::Symlink(target) = &node.kind {
                links += 1;
                if links > MOST_LINKS {
                    return Err(format!("`{}` leads through too many symbolic links", self.text));
                }
                if self.hidden.hides(&here) {
                    return Ok(None);
                }
                path.pop();
                if target.starts_with('/') {
                    path.clear();
                }
                open.extend(target.split('/').rev().map(str::to_owned));
                last = None;
                continue;
            }
            if !open.is_empty() && !matches!(node.kind, NodeKind::Dir) {
                return Ok(None);
            }
            last = Some(node);
        }
        let path = path.join("/");
        let top = || Node { name: String::new(), kind: NodeKind::Dir, mode: 0o755, shared: None };
        let node = match last {
            Some(node) => node,
            // The last step was one up, or there was none.
            None if path.is_empty() => top(),
            None => match self.root.node(&path)? {
                Some(node) => node,
                None => return Ok(None),
            },
        };
        let place = Place { path, node };
        let hidden = match place.is_dir() {
            true => self.hidden.prunes(&place.path),
            false => self.hidden.hides(&place.path),
        };
        Ok((!hidden).then_some(place))
    }

    /// What a path that was found stands for; none when all of it is hidden.
    fn matched(&self, name: String, place: Place) -> Result<Option<Match>, String> {
        let Place { path, node } = &place;
        if !place.is_dir() {
            let last = name.rsplit('/').next().unwrap_or(&name);
            let files = match self.exclude.excluded(last) {
                true => Vec::new(),
                false => vec![self.root.fact(path.clone(), node)?],
            };
            return Ok(Some(Match { path: name, files, directory: false }));
        }
        let files = self.tree(path, None, &[])?;
        let hidden = !path.is_empty() && files.is_empty() && self.hidden.hides(path);
        Ok((!hidden).then(|| Match { path: path.clone(), files, directory: true }))
    }

    fn tree(
        &self,
        folder: &str,
        include: Option<&Ignore>,
        way: &[&str],
    ) -> Result<Vec<crate::facts::FileFact>, String> {
        let wanted = Wanted { include, way, exclude: self.exclude };
        Tree { root: self.root, hidden: self.hidden, folder, wanted }.files()
    }

    /// Why a source has no files, with a file that may have been meant. `follows` says whether
    /// links were followed.
    fn nothing(&self, parts: &[&str], follows: bool) -> String {
        let context = &self.root.name;
        let source = self.text;
        let path = parts.join("/");
        let there = self.root.node(&path).ok().flatten();
        if leaves(source) && there.is_none() {
            return format!(
                "`{source}` leaves the context {context}; only files in it can be copied: move \
                 them there, or set another `context`"
            );
        }
        match there.map(|node| node.kind) {
            Some(NodeKind::Symlink(to)) if !self.hidden.hides(&path) => {
                return format!(
                    "`{source}` is a symbolic link to {to}, which is not in the context {context}; \
                     copy what it means into the context"
                );
            }
            Some(_) if !follows && !self.hidden.hides(&path) => {
                return format!(
                    "`{source}` leads through a symbolic link of the context {context}, and such \
                     a pattern follows none; name what the link leads to"
                );
            }
            Some(_) => {
                let file = self.hidden.path.as_ref().map(|path| path.display().to_string());
                let file = file.unwrap_or_else(|| "its ignore file".to_owned());
                return format!(
                    "`{source}` of the context {context} is hidden by {file}; take it back there \
                     with `!{path}`"
                );
            }
            None => {}
        }
        let mut text = format!("`{source}` matches no file in the context {context}");
        if let Some(near) = nearest(self.root, parts) {
            text.push_str(&format!("; did you mean `{near}`?"));
        }
        text
    }
}

/// The parts of a source below the context, `.` and `..` taken out.
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

/// Whether `..` of a source goes out of the context.
fn leaves(source: &str) -> bool {
    let mut depth = 0_usize;
    source.split('/').any(|part| {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
        false
    })
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
