//! Which packages fulfil a world, with apk's meaning of names and preferences.
//!
//! A name (package, `so:`, `cmd:`, `pc:` or path) is provided by at most one installed package,
//! unless all of its providers provide it without version. A provider without version and without
//! priority is never chosen by itself when there are several. A package with `install_if` comes
//! along when all of its conditions are installed, if it can. Of several candidates the one from a
//! wanted repository, then the installed one, then the highest version, priority and the first
//! repository wins; the search goes back when that leads nowhere, which apk itself does not do.

mod explain;
mod order;
mod search;
mod universe;

use super::db::InstalledPackage;
use super::dependency::{BadDependency, Dependency};
use super::index::{Index, Package};
use search::Search;
use universe::Universe;

/// Most entries of a world, with the installed packages.
const MAX_WORLD: usize = 100_000;

/// A package of the solution.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// The package.
    pub package: &'a Package,
    /// The index that has it, or none when it is installed already.
    pub index: Option<usize>,
    /// The installed version that it takes the place of.
    pub replaces: Option<&'a Package>,
}

/// Why there is no solution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// An entry of the world is no dependency.
    #[error(transparent)]
    World(#[from] BadDependency),
    /// Nothing in any index has or provides the name.
    #[error("there is no package {name:?} in the repositories{}", explain::did_you_mean(near))]
    UnknownName {
        /// The name in the world.
        name: String,
        /// Names like it, the nearest first; at most three.
        near: Vec<String>,
    },
    /// No repository has the tag.
    #[error("no repository has the tag @{tag} that {dependency} asks for")]
    UnknownTag {
        /// The tag.
        tag: String,
        /// The entry of the world.
        dependency: String,
    },
    /// Several packages provide a name, and none of them is preferred.
    #[error("{name} is provided by several packages; name one of them: {}", providers.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// The packages, at most ten.
        providers: Vec<String>,
    },
    /// The wishes contradict each other, or something is missing.
    #[error("these packages cannot be installed together:\n{}", lines.join("\n"))]
    Unsatisfiable {
        /// Who needs what and why it cannot be, as an indented tree of at most a dozen lines.
        lines: Vec<String>,
    },
    /// The search was given up.
    #[error(
        "the search for fitting packages was given up after {steps} steps; ask for versions to make it easier"
    )]
    TooHard {
        /// The limit.
        steps: u64,
    },
    /// There are more than 30 tags, or too many entries.
    #[error("the request is too large: {0}")]
    TooLarge(&'static str),
}

/// Finds the packages that fulfil a world, in the order in which apk installs them: what is
/// depended on comes first.
///
/// What is installed stays, in its version where that fits, and is part of the result with
/// [`Chosen::index`] none; a conflict in the world (`!name`) lets it go.
///
/// # Errors
/// When there is no solution, with the reason; or when the search takes too long.
pub fn solve<'a>(
    indexes: &'a [Index],
    world: &[String],
    installed: &'a [InstalledPackage],
) -> Result<Vec<Chosen<'a>>, SolveError> {
    if world.len() + installed.len() > MAX_WORLD {
        return Err(SolveError::TooLarge("too many names and installed packages"));
    }
    let mut wishes = Vec::with_capacity(world.len());
    for entry in world {
        wishes.push(Dependency::parse(entry)?);
    }
    wishes.sort();
    wishes.dedup();
    let gone = |name: &str| wishes.iter().any(|wish| wish.conflict && wish.name == name);
    let kept: Vec<Dependency> = installed
        .iter()
        .map(|one| &one.package.name)
        .filter(|name| !gone(name))
        .map(|name| Dependency { name: name.clone(), conflict: false, version: None, tag: None })
        .collect();
    let universe = Universe::new(indexes, installed)?;
    let mut goals = Vec::new();
    for wish in &wishes {
        check_wish(&universe, wish)?;
    }
    for wish in wishes.iter().chain(&kept) {
        // A conflict with a name that nothing has is fulfilled as it is.
        goals.extend(universe.name(&wish.name).map(|name| (name, wish)));
    }
    let solution = Search::new(&universe, &goals).run()?;
    let order = order::install_order(&universe, &goals, &solution);
    Ok(order.into_iter().filter_map(|id| universe.chosen(id, installed)).collect())
}

fn check_wish(universe: &Universe, wish: &Dependency) -> Result<(), SolveError> {
    if let Some(tag) = &wish.tag
        && universe.tag_bit(tag).is_none()
    {
        let (tag, dependency) = (tag.clone(), wish.to_string());
        return Err(SolveError::UnknownTag { tag, dependency });
    }
    let provided = universe.name(&wish.name).is_some_and(|name| universe.has_provider(name));
    if !wish.conflict && !provided {
        let near = explain::near_names(universe, &wish.name);
        return Err(SolveError::UnknownName { name: wish.name.clone(), near });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
