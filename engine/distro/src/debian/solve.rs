//! The choice of packages: all that a request needs, as apt would choose it.
//!
//! First a walk goes the way that apt goes, so that the choice is the one that a person
//! knows from apt. Only where it ends in a contradiction, a full search decides whether
//! there is a choice at all.

mod explain;
mod order;
mod search;
mod walk;
mod world;

use super::depends::{Operator, is_name};
use super::extract::{UnknownPackage, unknown};
use super::packages::{Package, PackageIndex};
use super::status::Installed;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use walk::Walk;
use world::{Node, World, counts, highest};

pub use order::unpack_order;

/// Names that one request may have; more are no person's.
const MAX_NAMES: usize = 100_000;
/// Versions or providers that an error lists.
const LISTED: usize = 5;

/// What is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Debian architecture; packages of it and of `all` count.
    pub arch: &'a str,
    /// Packages by name, each perhaps with a version: `name`, `name=version` or `name>=version`.
    /// A name that is only provided means its provider, when there is a single one. What is
    /// installed already is not moved by being named.
    pub names: &'a [String],
    /// Whether all packages that are essential are wanted.
    pub essential: bool,
    /// Priorities, such as `required`, of which all packages are wanted.
    pub priorities: &'a [&'a str],
    /// Whether what is recommended is wanted, as far as it goes.
    pub recommends: bool,
    /// Packages that are not chosen whatever needs them.
    pub exclude: &'a [String],
    /// What is installed in the image below. It stays as it is unless the request needs another
    /// version; a version is only ever replaced by a higher one, and nothing is removed.
    pub installed: &'a [Installed],
}

/// Why there is no choice of packages.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// A name is that of no package.
    #[error(transparent)]
    Unknown(#[from] UnknownPackage),
    /// A text of the request is not of the form that names have.
    #[error("{text:?} does not name a package; write `name`, `name=version` or `name>=version`")]
    Malformed {
        /// The text, shortened.
        text: String,
    },
    /// A version that the archive does not have.
    #[error("package {name} is not there in version {wanted}; there is {}", versions.join(", "))]
    NoVersion {
        /// Name of the package.
        name: String,
        /// Condition on the version, as in the request.
        wanted: String,
        /// Versions that the archive has.
        versions: Vec<String>,
    },
    /// A version that is lower than the one installed.
    #[error("package {name} is installed in version {installed}; it is not set back to {wanted}")]
    Older {
        /// Name of the package.
        name: String,
        /// Version that is installed.
        installed: String,
        /// Version that the request names.
        wanted: String,
    },
    /// A name that no package has and several provide.
    #[error("{name} is provided by several packages ({}); name one of them", providers.join(", "))]
    Virtual {
        /// The name.
        name: String,
        /// Some of the packages that provide it.
        providers: Vec<String>,
    },
    /// A package is asked for and excluded.
    #[error("package {0} is asked for and excluded")]
    Excluded(String),
    /// One package is asked for in two versions.
    #[error("package {0} is asked for in two versions")]
    Twice(String),
    /// The packages do not go together.
    #[error("the packages cannot be installed together:\n  {}", .0.join("\n  "))]
    Unsatisfiable(Vec<String>),
    /// The index or the request is larger or more entangled than any archive's.
    #[error(
        "the choice of packages takes too long: the package index or the request is larger or \
         more entangled than that of any known archive"
    )]
    TooComplex,
}

/// Chooses the packages that a request needs, sorted by name. What is installed and stays is not
/// among them.
///
/// The candidate for a name is its highest version in all archives, and an older one only if the
/// request names it. The same request on the same index has the same answer.
///
/// # Errors
/// When a name or version of the request is not there, or when the packages do not go together.
pub fn solve<'i>(
    index: &'i PackageIndex,
    request: &Request<'_>,
) -> Result<Vec<Package<'i>>, SolveError> {
    if request.names.len().max(request.exclude.len()) > MAX_NAMES {
        return Err(SolveError::TooComplex);
    }
    let named = named(request)?;
    let pins = pins(index, request, &named)?;
    let mut world = World::new(index, request.arch, request.installed, request.exclude, pins);
    let roots = roots(index, request, &named, &mut world)?;
    let walked = Walk::new(&mut world, request.recommends).run(&roots);
    let (world, chosen) = match walked {
        Some(chosen) => (world, chosen),
        None => search_all(world, &roots, request.recommends)?,
    };
    let mut packages: Vec<_> = chosen.into_iter().filter_map(|node| world.package(node)).collect();
    packages.sort_unstable_by(|a, b| a.name.cmp(b.name));
    Ok(packages)
}

/// Decides by the full search, which knows no recommendations; these are added afterwards.
fn search_all<'i: 'r, 'r>(
    mut world: World<'i, 'r>,
    roots: &[Node],
    recommends: bool,
) -> Result<(World<'i, 'r>, Vec<Node>), SolveError> {
    let mut groups = Vec::with_capacity(roots.len());
    for root in roots {
        groups.push(world.add_group(world.name(world.name_of(*root)), vec![*root]));
    }
    for node in world.installed().to_vec() {
        let name = world.name_of(node);
        let versions = world.nodes_of(name).collect();
        groups.push(world.add_group(world.name(name), versions));
    }
    let world = RefCell::new(world);
    let mut chosen = search::search(&world, &groups)?;
    let mut world = world.into_inner();
    if recommends {
        chosen.sort_unstable();
        chosen = Walk::new(&mut world, true).recommend(&chosen);
    }
    Ok((world, chosen))
}

/// A name of the request with its condition.
struct Named<'r> {
    name: &'r str,
    condition: Option<(Operator, &'r str)>,
}

impl<'r> Named<'r> {
    fn parse(text: &'r str) -> Option<Self> {
        let end = text.find(['=', '>', '<']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !is_name(name) {
            return None;
        }
        let condition = match rest.strip_prefix(">=").map(|v| (Operator::GreaterOrEqual, v)) {
            None if rest.is_empty() => return Some(Named { name, condition: None }),
            None => (Operator::Equal, rest.strip_prefix('=')?),
            Some(condition) => condition,
        };
        let plausible = super::version::is_plausible(condition.1);
        plausible.then_some(Named { name, condition: Some(condition) })
    }

    fn accepts(&self, version: &str) -> bool {
        self.condition.is_none_or(|(operator, wanted)| operator.holds(version, wanted))
    }

    fn no_version(&self, index: &PackageIndex, arch: &str) -> SolveError {
        let of_arch = index.versions(self.name).filter(|p| counts(p.architecture, arch));
        let versions = of_arch.take(LISTED).map(|package| package.version.to_owned()).collect();
        let wanted = self.condition.map(|(operator, version)| format!("{operator} {version}"));
        SolveError::NoVersion {
            name: self.name.to_owned(),
            wanted: wanted.unwrap_or_default(),
            versions,
        }
    }
}

fn named<'r>(request: &Request<'r>) -> Result<Vec<Named<'r>>, SolveError> {
    let exclude: HashSet<_> = request.exclude.iter().map(String::as_str).collect();
    let mut all = Vec::with_capacity(request.names.len());
    for text in request.names {
        let named = Named::parse(text).ok_or_else(|| malformed(text))?;
        if exclude.contains(named.name) {
            return Err(SolveError::Excluded(named.name.to_owned()));
        }
        all.push(named);
    }
    Ok(all)
}

fn malformed(text: &str) -> SolveError {
    SolveError::Malformed { text: text.chars().take(80).collect() }
}

/// Gives the candidates that the request names by exact version.
fn pins<'i, 'r>(
    index: &'i PackageIndex,
    request: &Request<'r>,
    named: &[Named<'r>],
) -> Result<HashMap<&'r str, Package<'i>>, SolveError> {
    let installed: HashMap<_, _> =
        request.installed.iter().map(|package| (package.name.as_str(), package)).collect();
    let mut pins: HashMap<&str, Package<'i>> = HashMap::new();
    for one in named {
        let Some((Operator::Equal, wanted)) = one.condition else { continue };
        if let Some(there) = installed.get(one.name) {
            if one.accepts(&there.version) {
                continue;
            }
            if Operator::Greater.holds(&there.version, wanted) {
                return Err(SolveError::Older {
                    name: one.name.to_owned(),
                    installed: there.version.clone(),
                    wanted: wanted.to_owned(),
                });
            }
        }
        let mut of_arch =
            index.versions(one.name).filter(|package| counts(package.architecture, request.arch));
        let Some(package) = of_arch.find(|package| one.accepts(package.version)) else {
            if highest(index, one.name, request.arch).is_none() {
                return Err(unknown(index, one.name).into());
            }
            return Err(one.no_version(index, request.arch));
        };
        let before = pins.insert(one.name, package);
        if before.is_some_and(|before| before.version != package.version) {
            return Err(SolveError::Twice(one.name.to_owned()));
        }
    }
    Ok(pins)
}

/// Gives the nodes that the request asks for: essential ones, those of a priority, named ones.
fn roots<'i: 'r, 'r>(
    index: &'i PackageIndex,
    request: &Request<'r>,
    named: &[Named<'r>],
    world: &mut World<'i, 'r>,
) -> Result<Vec<Node>, SolveError> {
    let mut roots = Vec::new();
    for name in base_names(index, request) {
        let id = world.intern(name);
        // An excluded one has no node.
        roots.extend(world.nodes_of(id).next());
    }
    for one in named {
        roots.push(named_root(index, request, one, world)?);
    }
    let mut seen = HashSet::new();
    roots.retain(|root| seen.insert(*root));
    Ok(roots)
}

/// Gives the names of the packages that are wanted for what they are, sorted.
fn base_names<'i>(index: &'i PackageIndex, request: &Request<'_>) -> Vec<&'i str> {
    if !request.essential && request.priorities.is_empty() {
        return Vec::new();
    }
    let is_base = |package: &Package<'i>| {
        (request.essential && package.essential) || request.priorities.contains(&package.priority)
    };
    let of_arch = index.iter().filter(|package| counts(package.architecture, request.arch));
    let mut names: Vec<_> = of_arch.filter(is_base).map(|package| package.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn named_root<'i: 'r, 'r>(
    index: &'i PackageIndex,
    request: &Request<'r>,
    named: &Named<'r>,
    world: &mut World<'i, 'r>,
) -> Result<Node, SolveError> {
    let id = world.intern(named.name);
    let nodes: Vec<_> = world.nodes_of(id).collect();
    if let Some(node) = nodes.iter().find(|node| named.accepts(world.version(**node))) {
        return Ok(*node);
    }
    if !nodes.is_empty() {
        return Err(named.no_version(index, request.arch));
    }
    let providers = world.providers(named.name);
    match providers.as_slice() {
        [] => Err(unknown(index, named.name).into()),
        [first, rest @ ..] if rest.is_empty() || world.is_installed(*first) => Ok(*first),
        several => Err(SolveError::Virtual {
            name: named.name.to_owned(),
            providers: several
                .iter()
                .take(LISTED)
                .map(|node| world.name(world.name_of(*node)).to_owned())
                .collect(),
        }),
    }
}

#[cfg(test)]
mod tests;
