//! Which description an open file belongs to, and what is known of each.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mabuild_engine::ops::MAIN;
use mabuild_lang::ide::{self, World};

use super::docs::{Docs, normal};

/// A description.
#[derive(Default)]
pub struct Project {
    /// Folder of the main file; the paths of the world start here.
    pub root: PathBuf,
    /// All that is known of its files.
    pub world: World,
    /// Paths of the world by those of the disk.
    names: HashMap<PathBuf, Arc<str>>,
}

impl Project {
    fn update(&mut self, main: &Path, docs: &Docs) {
        self.root = main.parent().map(Path::to_owned).unwrap_or_default();
        self.world.update(&name(main), &docs.below(&self.root));
        let full = |name: &Arc<str>| (normal(&self.root.join(&**name)), name.clone());
        self.names = self.world.texts().map(|(name, _)| full(name)).collect();
    }

    /// The path in the world of a file on the disk.
    pub fn name(&self, path: &Path) -> Option<&Arc<str>> {
        self.names.get(path)
    }

    /// Whether an image is built as a Dockerfile. A name in the path may stand for anything.
    fn builds_from(&self, path: &Path) -> bool {
        self.world.dockerfiles().any(|written| {
            let full = self.full(&written);
            match (written.split_once("{{"), written.rsplit_once("}}")) {
                (Some((before, _)), Some((_, after))) => {
                    let before = self.full(before);
                    let (before, path) = (before.to_string_lossy(), path.to_string_lossy());
                    path.starts_with(&*before) && path.ends_with(after)
                }
                _ => full == path,
            }
        })
    }

    /// The path on the disk of a file of the world.
    pub fn full(&self, name: &str) -> PathBuf {
        normal(&self.root.join(name))
    }
}

/// The name of a main file in its folder.
pub fn name(main: &Path) -> String {
    main.file_name().unwrap_or(main.as_os_str()).to_string_lossy().into_owned()
}

/// All descriptions that an open file belongs to.
#[derive(Default)]
pub struct Projects {
    /// The main file that was named on the command line.
    fixed: Option<PathBuf>,
    /// Folders that the editor has open.
    pub folders: Vec<PathBuf>,
    projects: BTreeMap<PathBuf, Project>,
    /// The main file of each open file, and whether its mistakes are told.
    mains: HashMap<PathBuf, (PathBuf, bool)>,
}

impl Projects {
    /// Knows none yet. With a main file that one alone is looked at.
    pub fn new(main: Option<PathBuf>) -> Self {
        Self { fixed: main, ..Self::default() }
    }

    /// Brings all descriptions up to date with what is open.
    pub fn update(&mut self, docs: &Docs) {
        let mut old = std::mem::take(&mut self.projects);
        let mut tried: BTreeMap<PathBuf, Project> = BTreeMap::new();
        self.mains.clear();
        for (path, doc) in docs.iter() {
            let candidates = self.candidates(path, docs);
            // Many programs have files in KDL. One that is part of no description is served where
            // it may become part of one, and told of mistakes where it says that it is one.
            let own = candidates.contains(path) || ide::is_main(&doc.text);
            let kdl = path.extension().is_some_and(|ending| ending == "kdl");
            let served = own || (kdl && !candidates.is_empty());
            for main in candidates.into_iter().chain(served.then(|| path.clone())) {
                let project = tried.entry(main.clone()).or_insert_with_key(|main| {
                    let mut project = old.remove(main).unwrap_or_default();
                    project.update(main, docs);
                    project
                });
                let part = project.name(path).is_some() || (!kdl && project.builds_from(path));
                if main == *path || part {
                    let told = own || main != *path;
                    self.mains.insert(path.clone(), (main, told));
                    break;
                }
            }
        }
        // What was looked at in vain is kept, so that it is not read anew each time.
        self.projects = tried;
    }

    /// The main files that a file may belong to, the outermost first: a folder of a description
    /// may hold files of the same name that it includes.
    fn candidates(&self, path: &Path, docs: &Docs) -> Vec<PathBuf> {
        if let Some(main) = &self.fixed {
            return vec![main.clone()];
        }
        let folders = path.ancestors().skip(1).filter(|folder| folder.is_absolute());
        let folder = self.folders.iter().filter(|folder| path.starts_with(folder));
        let least = folder.map(|folder| folder.components().count()).min().unwrap_or(0);
        let within = folders.take_while(|folder| folder.components().count() >= least);
        let mut found: Vec<PathBuf> =
            within.map(|folder| folder.join(MAIN)).filter(|main| docs.is_file(main)).collect();
        found.reverse();
        found
    }

    /// The description of an open file.
    pub fn of(&self, path: &Path) -> Option<&Project> {
        self.projects.get(&self.mains.get(path)?.0)
    }

    /// The main files whose mistakes are told, each once.
    pub fn mains(&self) -> Vec<PathBuf> {
        let told = self.mains.values().filter(|(_, told)| *told);
        let mains: BTreeSet<&PathBuf> = told.map(|(main, _)| main).collect();
        mains.into_iter().cloned().collect()
    }
}
