//! The Debian archive: keys, signed releases, package indexes, versions, `.deb` files and apt's
//! own source lists.
//!
//! What is here is format knowledge. Fetching, caching and unpacking belong to the callers.

mod ar;
pub mod arch;
mod clearsign;
pub mod compression;
pub mod deb;
mod deb822;
pub mod depends;
pub mod detached;
pub mod dpkg;
pub mod extract;
pub mod keyring;
mod openpgp;
pub mod packages;
pub mod release;
pub mod solve;
pub mod sources;
pub mod status;
#[cfg(test)]
mod testkeys;
pub mod version;

pub use compression::{Compression, decompress};
pub use deb::Deb;
pub use detached::verify_file;
pub use keyring::Keyring;
pub use packages::{Package, PackageIndex};
pub use release::{Release, ReleaseError, verify_detached, verify_inrelease};
pub use sources::Source;
