//! What an editor asks of a description: what stands here, what may stand here, where it is
//! declared, who uses it, and how it is renamed. Pure; the texts come from a [`Files`], so that
//! those of an editor count before they are saved.
//!
//! Works on texts that are half typed: [`tree`] reads any text, [`marks`] finds the names in it,
//! and [`World`] holds them for all files. What the names and words mean comes from
//! [`crate::schema`] alone.

mod complete;
mod fixes;
#[cfg(test)]
mod fixture;
mod hover;
mod marks;
mod names;
mod outline;
mod snippet;
mod tree;
mod values;
mod words;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

pub use complete::{Completion, CompletionKind, Completions};
pub use fixes::replacement;
pub use hover::Hover;
pub use outline::{Fold, Symbol};

use crate::load::{Files, MAX_FILE, join};
use crate::schema::{self, Noun, Role};
use marks::{Mark, What};
use tree::Tree;

/// The node that a main file begins with.
const VERSION_NODE: &str = "mabuild";
/// Most files of one description.
const MAX_FILES: usize = 10_000;

/// A place in a file of a description.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Path of the file, as the loader has it.
    pub file: Arc<str>,
    /// Byte range; empty at zero for a file as a whole.
    pub range: Range<u32>,
}

impl Place {
    fn in_order(&self, other: &Self) -> Ordering {
        (&self.file, self.range.start).cmp(&(&other.file, other.range.start))
    }
}

/// One file, read.
#[derive(Debug)]
struct File {
    path: Arc<str>,
    text: Arc<str>,
    tree: Tree,
    marks: Vec<Mark>,
    /// Those of the marks that declare axes, and those that name templates.
    axes: Vec<usize>,
    templates: Vec<usize>,
}

impl File {
    fn new(path: &str, text: Arc<str>) -> Self {
        let tree = Tree::of(&text);
        let marks = marks::of(&text, &tree);
        let those = |wanted: fn(&What) -> bool| {
            let all = marks.iter().enumerate().filter(|(_, mark)| wanted(&mark.what));
            all.map(|(at, _)| at).collect()
        };
        let axes = those(|what| *what == What::Declares(Noun::Axis));
        let templates =
            those(|what| matches!(what, What::Names(nouns) if nouns.contains(&Noun::Template)));
        Self { path: path.into(), text, tree, marks, axes, templates }
    }

    /// Folder of the file, "" when the path has none.
    fn folder(&self) -> &str {
        self.path.rfind('/').map_or("", |at| self.path.get(..at.max(1)).unwrap_or_default())
    }

    /// Those of some marks that stand in a top-level node.
    fn within<'f>(&'f self, marks: &'f [usize], top: usize) -> impl Iterator<Item = usize> + 'f {
        let of = |at: usize| self.marks.get(at).map(|mark| mark.top);
        let start = marks.partition_point(|at| of(*at) < Some(top));
        let rest = marks.iter().copied().skip(start);
        rest.take_while(move |at| self.marks.get(*at).is_some_and(|mark| mark.top == top))
    }

    fn slice(&self, range: &Range<u32>) -> &str {
        self.text.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// The line of a place, from 1.
    fn line(&self, offset: u32) -> usize {
        let before = self.text.as_bytes().get(..offset as usize).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// The name at a place; at its end too, where a cursor stands that has just typed it.
    fn mark_at(&self, offset: u32) -> Option<usize> {
        let holds = |mark: &Mark| mark.range.start <= offset && offset <= mark.range.end;
        self.marks.iter().position(holds)
    }
}

/// A name of some file: indices of the file and of the name in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct At {
    file: usize,
    mark: usize,
}

/// All files of a description, kept between two edits: a file is read again when its text changed.
#[derive(Debug, Default)]
pub struct World {
    files: Vec<Arc<File>>,
    paths: HashMap<Arc<str>, usize>,
    /// What each `include` gives: file, place of the pattern, paths.
    included: Vec<(Place, Vec<Arc<str>>)>,
    /// All places of a name, and those of them that declare it.
    names: HashMap<Arc<str>, Vec<At>>,
    declarations: HashMap<Arc<str>, Vec<At>>,
}

impl World {
    /// Brings the world up to date with the main file and all that it includes.
    pub fn update(&mut self, main: &str, files: &dyn Files) {
        let mut known: HashMap<Arc<str>, Arc<File>> =
            self.files.drain(..).map(|file| (file.path.clone(), file)).collect();
        self.included.clear();
        let mut seen: HashSet<String> = HashSet::from([main.to_owned()]);
        let mut open = vec![main.to_owned()];
        let mut changed = false;
        while let Some(path) = open.pop() {
            let Some(text) = read(files, &path) else { continue };
            let kept = known.remove(path.as_str()).filter(|file| *file.text == *text);
            changed |= kept.is_none();
            let file = kept.unwrap_or_else(|| Arc::new(File::new(&path, text.into())));
            for (place, paths) in includes(&file, files) {
                for path in &paths {
                    if seen.len() < MAX_FILES && seen.insert(path.to_string()) {
                        open.push(path.to_string());
                    }
                }
                self.included.push((place, paths));
            }
            self.files.push(file);
        }
        let numbered = |(at, file): (usize, &Arc<File>)| self.paths.get(&file.path) == Some(&at);
        if changed || !known.is_empty() || !self.files.iter().enumerate().all(numbered) {
            self.index();
        }
    }

    fn index(&mut self) {
        self.paths.clear();
        self.names.clear();
        self.declarations.clear();
        for (file, read) in self.files.iter().enumerate() {
            self.paths.insert(read.path.clone(), file);
            for (mark, found) in read.marks.iter().enumerate() {
                let at = At { file, mark };
                self.names.entry(found.name.clone()).or_default().push(at);
                if matches!(found.what, What::Declares(_)) {
                    self.declarations.entry(found.name.clone()).or_default().push(at);
                }
            }
        }
    }

    /// Whether a file is part of the description.
    pub fn contains(&self, path: &str) -> bool {
        self.paths.contains_key(path)
    }

    /// Path and text of every file.
    pub fn texts(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.files.iter().map(|file| (&file.path, &file.text))
    }

    /// The paths of the Dockerfiles that images are built as, `{{…}}` in them as it is written.
    pub fn dockerfiles(&self) -> impl Iterator<Item = String> {
        let nodes =
            self.files.iter().flat_map(|file| file.tree.nodes.iter().map(move |n| (file, n)));
        nodes
            .filter(|(_, node)| !node.dead && node.kind.is_some_and(schema::is_dockerfile))
            .filter_map(|(file, node)| {
                let path = tree::value(&file.text, node.args().next()?)?;
                (!path.is_empty()).then(|| join(file.folder(), &path))
            })
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<&Arc<str>> {
        self.file(path).map(|file| &file.text)
    }

    fn file(&self, path: &str) -> Option<&File> {
        self.files.get(*self.paths.get(path)?).map(Arc::as_ref)
    }

    fn mark(&self, at: At) -> Option<(&File, &Mark)> {
        let file = self.files.get(at.file)?;
        Some((file, file.marks.get(at.mark)?))
    }

    /// All places where a name is declared as one of some nouns.
    fn declared<'w>(&'w self, name: &str, nouns: &'w [Noun]) -> impl Iterator<Item = At> + 'w {
        let all = self.declarations.get(name).map(Vec::as_slice).unwrap_or_default();
        all.iter().copied().filter(move |at| {
            self.mark(*at).is_some_and(
                |(_, mark)| matches!(mark.what, What::Declares(noun) if nouns.contains(&noun)),
            )
        })
    }

    /// All names that are declared as one of some nouns, each once, in order.
    fn all_declared(&self, nouns: &[Noun]) -> BTreeSet<Arc<str>> {
        let declares = |at: &At| self.noun(*at).is_some_and(|noun| nouns.contains(&noun));
        let names = self.declarations.iter().filter(|(_, places)| places.iter().any(declares));
        names.map(|(name, _)| name.clone()).collect()
    }

    fn place(&self, at: At) -> Option<Place> {
        let (file, mark) = self.mark(at)?;
        Some(Place { file: file.path.clone(), range: mark.range.clone() })
    }
}

/// Whether a text says that it is the main file of a description: it begins with `mabuild`.
pub fn is_main(text: &str) -> bool {
    let tree = Tree::of(text);
    let first = tree.children(None).next();
    first.is_some_and(|(_, node)| tree::slice(text, node.name) == VERSION_NODE)
}

/// The text of a file; none where it cannot be read, which the loader reports.
fn read(files: &dyn Files, path: &str) -> Option<String> {
    let bytes = files.read(path).ok().filter(|bytes| bytes.len() <= MAX_FILE)?;
    String::from_utf8(bytes).ok()
}

/// The paths that each pattern of a file's `include`s gives.
fn includes(file: &File, files: &dyn Files) -> Vec<(Place, Vec<Arc<str>>)> {
    let mut found = Vec::new();
    for (_, node) in file.tree.children(None) {
        let Some(kind) = node.kind.filter(|kind| kind.args.role(0) == Role::Include) else {
            continue;
        };
        for (at, token) in node.args().enumerate() {
            let Some(pattern) = tree::value(&file.text, token) else { continue };
            if kind.args.role(at) != Role::Include || pattern.is_empty() || pattern.contains("{{") {
                continue;
            }
            let path = join(file.folder(), &pattern);
            let paths = match pattern.contains(['*', '?', '[']) {
                false => vec![path],
                true => files.glob(&path).unwrap_or_default(),
            };
            let paths: BTreeSet<Arc<str>> = paths.iter().map(|p| join("", p).into()).collect();
            let range = tree::inside(&file.text, token);
            let place = Place { file: file.path.clone(), range };
            found.push((place, paths.into_iter().collect()));
        }
    }
    found
}

#[cfg(test)]
mod tests;
