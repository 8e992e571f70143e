//! What the tests and benchmarks of mabuild are made with: a hermetic environment in which the
//! real program runs, archives and servers made on the spot, and the bodies of the fuzz targets.
//! Holds no test of its own; those are in `tests/all`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up fails by a panic"
)]

pub mod archive;
pub mod browser;
pub mod buildkit;
pub mod cases;
pub mod debian;
pub mod emulated;
pub mod env;
pub mod fixture;
pub mod flat;
pub mod fuzz;
pub mod gate;
pub mod layout;
pub mod podman;
pub mod random;
pub mod registry;
pub mod schema;
pub mod server;
pub mod tar;
pub mod tree;
