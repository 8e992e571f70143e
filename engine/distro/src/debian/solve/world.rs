//! What the solver may choose from, read from the index only as far as the request reaches.
//!
//! As for apt, of each name there are at most two nodes: the installed version and the candidate,
//! which is the highest of all archives unless the request names another.

use crate::debian::depends::{self, Relation};
use crate::debian::packages::{Package, PackageIndex};
use crate::debian::status::Installed;
use crate::debian::version;
use std::cmp::{Ordering, Reverse};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

mod relate;

/// Entries that are looked at before an index counts as hostile; for gnome with all that it
/// recommends it is some ten thousand.
const MAX_WORK: usize = 1_000_000;

/// Number of a package in one version.
pub(super) type Node = u32;
/// Number of a group of alternatives.
pub(super) type GroupId = u32;
/// Number of a package name.
pub(super) type Name = u32;

/// What of a package decides, wherever it comes from.
struct Facts<'r> {
    name: Name,
    version: &'r str,
    multi_arch: &'r str,
    needs: [(&'static str, &'r str); 2],
    wants: &'r str,
    hits: [(&'static str, &'r str); 2],
    provides: Vec<Relation<'r>>,
    /// The smaller the sooner among those that provide a name.
    rank: u8,
}

/// The relations of a node, with what they mean in this world.
#[derive(Debug, Default)]
pub(super) struct Relations {
    /// Depends and Pre-Depends.
    pub needs: Vec<GroupId>,
    /// Recommends.
    pub wants: Vec<GroupId>,
    /// Nodes that Conflicts and Breaks keep out, ascending; none of the node's own name.
    pub hits: Vec<Node>,
    /// Why the package can never be chosen.
    pub fault: Option<String>,
}

/// Alternatives of which one is enough.
pub(super) struct Group<'r> {
    /// As it stands in the field.
    pub text: &'r str,
    /// The nodes that meet it, the preferred first.
    pub options: Vec<Node>,
}

#[derive(Clone, Copy, Default)]
struct Versions {
    installed: Option<Node>,
    candidate: Option<Node>,
}

/// The nodes, names and groups that were reached so far.
pub(super) struct World<'i, 'r> {
    index: &'i PackageIndex,
    arch: &'r str,
    exclude: HashSet<&'r str>,
    pins: HashMap<&'r str, Package<'i>>,
    facts: Vec<Facts<'r>>,
    packages: Vec<Option<Package<'i>>>,
    relations: Vec<Option<Rc<Relations>>>,
    names: Vec<(&'r str, Versions)>,
    name_ids: HashMap<&'r str, Name>,
    groups: Vec<Group<'r>>,
    group_ids: HashMap<&'r str, Option<GroupId>>,
    hit_lists: HashMap<&'r str, Rc<[Node]>>,
    installed_providers: HashMap<&'r str, Vec<Node>>,
    installed: Vec<Node>,
    work: usize,
}

impl<'i: 'r, 'r> World<'i, 'r> {
    /// Makes a world that knows the installed packages only. `pins` are the candidates that the
    /// request names by version.
    pub fn new(
        index: &'i PackageIndex,
        arch: &'r str,
        installed: &'r [Installed],
        exclude: &'r [String],
        pins: HashMap<&'r str, Package<'i>>,
    ) -> Self {
        let mut world = World {
            index,
            arch,
            exclude: exclude.iter().map(String::as_str).collect(),
            pins,
            facts: Vec::new(),
            packages: Vec::new(),
            relations: Vec::new(),
            names: Vec::new(),
            name_ids: HashMap::new(),
            groups: Vec::new(),
            group_ids: HashMap::new(),
            hit_lists: HashMap::new(),
            installed_providers: HashMap::new(),
            installed: Vec::new(),
            work: 0,
        };
        for package in installed {
            let ours = counts(&package.architecture, arch) || package.architecture.is_empty();
            if ours && !world.name_ids.contains_key(package.name.as_str()) {
                world.add_installed(package);
            }
        }
        for at in 0..world.names.len() {
            world.find_candidate(at as Name);
        }
        world
    }

    /// Whether so much was looked at that the index must be hostile. Answers are then incomplete.
    pub fn is_exhausted(&self) -> bool {
        self.work > MAX_WORK
    }

    /// Gives the number of nodes that were reached.
    pub fn size(&self) -> usize {
        self.facts.len()
    }

    /// Gives the nodes of the installed packages.
    pub fn installed(&self) -> &[Node] {
        &self.installed
    }

    /// Whether a node is an installed package.
    pub fn is_installed(&self, node: Node) -> bool {
        self.versions(self.name_of(node)).installed == Some(node)
    }

    /// Gives the package of the index that a node is; `None` for what is installed.
    pub fn package(&self, node: Node) -> Option<Package<'i>> {
        self.packages.get(node as usize).copied().flatten()
    }

    /// Gives the name's number of a node.
    pub fn name_of(&self, node: Node) -> Name {
        self.facts.get(node as usize).map_or(0, |facts| facts.name)
    }

    /// Gives the text of a name.
    pub fn name(&self, name: Name) -> &'r str {
        self.names.get(name as usize).map_or("", |(name, _)| name)
    }

    /// Gives the version of a node.
    pub fn version(&self, node: Node) -> &'r str {
        self.facts.get(node as usize).map_or("", |facts| facts.version)
    }

    /// Gives a node's name and version for a person.
    pub fn title(&self, node: Node) -> String {
        format!("{} {}", self.name(self.name_of(node)), self.version(node))
    }

    /// Gives the versions of a name: the installed one first, then the candidate if it is another.
    pub fn nodes_of(&self, name: Name) -> impl Iterator<Item = Node> + use<> {
        let versions = self.versions(name);
        let other = versions.candidate.filter(|node| versions.installed != Some(*node));
        versions.installed.into_iter().chain(other)
    }

    /// Gives what an installed package could be moved to.
    pub fn upgrade(&self, node: Node) -> Option<Node> {
        self.versions(self.name_of(node)).candidate.filter(|candidate| *candidate != node)
    }

    /// Gives the number of a name, and looks its candidate up when the name is new.
    pub fn intern(&mut self, name: &'r str) -> Name {
        if let Some(id) = self.name_ids.get(name) {
            return *id;
        }
        let id = self.names.len() as Name;
        self.names.push((name, Versions::default()));
        self.name_ids.insert(name, id);
        self.find_candidate(id);
        id
    }

    /// Gives a group by its number.
    pub fn group(&self, id: GroupId) -> Option<&Group<'r>> {
        self.groups.get(id as usize)
    }

    /// Gives the nodes that meet a group, the preferred first.
    pub fn options(&self, id: GroupId) -> &[Node] {
        self.group(id).map_or(&[], |group| &group.options)
    }

    /// Adds a group that stands in no field.
    pub fn add_group(&mut self, text: &'r str, options: Vec<Node>) -> GroupId {
        self.groups.push(Group { text, options });
        (self.groups.len() - 1) as GroupId
    }

    /// Gives the relations of a node; they are read when first asked for.
    pub fn relations(&mut self, node: Node) -> Rc<Relations> {
        if let Some(Some(known)) = self.relations.get(node as usize) {
            return Rc::clone(known);
        }
        let relations = Rc::new(self.read_relations(node).unwrap_or_else(|error| {
            // What is installed is there, whatever its file says.
            let fault = (!self.is_installed(node)).then(|| error.to_string());
            Relations { fault, ..Relations::default() }
        }));
        if let Some(slot) = self.relations.get_mut(node as usize) {
            *slot = Some(Rc::clone(&relations));
        }
        relations
    }

    /// Gives the nodes that provide a name without being called so, the preferred first.
    pub fn providers(&mut self, name: &'r str) -> Vec<Node> {
        let mut found = self.installed_providers.get(name).cloned().unwrap_or_default();
        for package in self.index.providers(name) {
            self.work += 1;
            if self.is_exhausted() {
                break;
            }
            let id = self.intern(package.name);
            let candidate = self.versions(id).candidate;
            let same = |node: &Node| {
                self.package(*node).is_some_and(|candidate| {
                    (candidate.version, candidate.archive) == (package.version, package.archive)
                })
            };
            found.extend(candidate.filter(same).filter(|_| package.name != name));
        }
        found.sort_by_cached_key(|node| {
            let id = self.name_of(*node);
            let rank = self.facts.get(*node as usize).map_or(u8::MAX, |facts| facts.rank);
            // Of equals apt takes the one it met last, which nearly always is the last by name.
            (self.versions(id).installed.is_none(), rank, Reverse(self.name(id)), *node)
        });
        found.dedup();
        found
    }

    /// Says for a person why nothing meets a relation by the name it names.
    pub fn absence(&mut self, relation: &Relation<'r>) -> String {
        let name = relation.name;
        if self.exclude.contains(name) {
            return format!("{name} is excluded");
        }
        let id = self.intern(name);
        let mut there: Vec<_> = self.nodes_of(id).collect();
        if there.is_empty() {
            there = self.providers(name);
        }
        let titles: Vec<_> = there.iter().take(3).map(|node| self.title(*node)).collect();
        match titles.is_empty() {
            true => format!("there is no package {name}"),
            false => format!("there is only {}", titles.join(", ")),
        }
    }

    fn versions(&self, name: Name) -> Versions {
        self.names.get(name as usize).map(|(_, versions)| *versions).unwrap_or_default()
    }

    fn add_node(&mut self, facts: Facts<'r>, package: Option<Package<'i>>) -> Node {
        self.facts.push(facts);
        self.packages.push(package);
        self.relations.push(None);
        (self.facts.len() - 1) as Node
    }

    fn add_installed(&mut self, package: &'r Installed) {
        let name = self.names.len() as Name;
        let provides = provided(&package.provides, self.arch);
        let names: HashSet<_> = provides.iter().map(|relation| relation.name).collect();
        let node = self.add_node(
            Facts {
                name,
                version: &package.version,
                multi_arch: &package.multi_arch,
                needs: [("Depends", &package.depends), ("Pre-Depends", &package.pre_depends)],
                wants: "",
                hits: [("Conflicts", &package.conflicts), ("Breaks", &package.breaks)],
                provides,
                rank: 0,
            },
            None,
        );
        self.names.push((&package.name, Versions { installed: Some(node), candidate: Some(node) }));
        self.name_ids.insert(&package.name, name);
        self.installed.push(node);
        for provided in names.into_iter().filter(|provided| *provided != package.name) {
            self.installed_providers.entry(provided).or_default().push(node);
        }
    }

    fn find_candidate(&mut self, id: Name) {
        let name = self.name(id);
        let found = match self.pins.get(name) {
            Some(package) => Some(*package),
            None if self.exclude.contains(name) => None,
            None => highest(self.index, name, self.arch),
        };
        let Some(package) = found else { return };
        let installed = self.versions(id).installed;
        if let Some(node) = installed
            && version::compare(package.version, self.version(node)) != Ordering::Greater
        {
            return;
        }
        let facts = Facts {
            name: id,
            version: package.version,
            multi_arch: package.multi_arch,
            needs: [("Depends", package.depends), ("Pre-Depends", package.pre_depends)],
            wants: package.recommends,
            hits: [("Conflicts", package.conflicts), ("Breaks", package.breaks)],
            provides: provided(package.provides, self.arch),
            rank: rank(&package),
        };
        let node = self.add_node(facts, Some(package));
        if let Some((_, versions)) = self.names.get_mut(id as usize) {
            versions.candidate = Some(node);
        }
    }
}

/// Gives a package's highest version for an architecture; of equal ones the first.
pub(super) fn highest<'i>(index: &'i PackageIndex, name: &str, arch: &str) -> Option<Package<'i>> {
    index.versions(name).filter(|package| counts(package.architecture, arch)).reduce(
        |best, next| match version::compare(next.version, best.version) {
            Ordering::Greater => next,
            _ => best,
        },
    )
}

/// Whether packages of an architecture can be installed where `wanted` is the architecture.
pub(super) fn counts(architecture: &str, wanted: &str) -> bool {
    architecture == wanted || architecture == "all"
}

fn provided<'r>(value: &'r str, arch: &str) -> Vec<Relation<'r>> {
    let read = depends::groups(value).filter_map(|text| Relation::parse(text).ok());
    read.filter(|relation| relation.counts_for(arch)).collect()
}

/// Among providers apt likes essential packages best, and then goes by priority.
fn rank(package: &Package<'_>) -> u8 {
    if package.essential {
        return 0;
    }
    match package.priority {
        "required" => 1,
        "important" => 2,
        "standard" => 3,
        "extra" => 5,
        _ => 4,
    }
}
