//! Alpine Linux packages (apk version 2): keys, signed indexes, versions, dependencies and their
//! resolution, `.apk` files, and the database that apk keeps in a root file system.
//!
//! What is here is format knowledge. Fetching, caching and unpacking belong to the callers.

pub mod db;
pub mod dependency;
pub mod files;
pub mod index;
pub mod keys;
pub mod package;
mod segment;
pub mod signature;
pub mod solve;
#[cfg(any(test, feature = "testing"))]
pub mod testrepo;
#[cfg(test)]
mod tests;
pub mod version;

pub use db::{Database, InstalledPackage};
pub use dependency::Dependency;
pub use index::{Checksum, Index, Package};
pub use keys::Keys;
pub use package::Apk;
pub use solve::{Chosen, SolveError, solve};
