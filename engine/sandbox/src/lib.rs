//! Runs programs inside a root file system, without root and without a daemon.
//!
//! A program with threads cannot fork safely, so every piece of work runs in a helper: the same
//! executable started again, which enters a user and a mount namespace of its own before it calls
//! the handler that the program gave to [`init`]. The caller asks for work with [`call`]; the
//! handler uses [`inside::Context`] to mount an overlay and to run programs in it.
//!
//! ```text
//! program ─call→ helper (user + mount namespace, handler) ─run→ stage ─→ pid 1 ─→ the program
//! ```
//!
//! Each process dies with the one to its left, and all mounts live in namespaces of theirs, so
//! that nothing is left however the program ends.
//!
//! This crate knows Linux and nothing else: no image, no layer, no build. It is the only one of
//! the workspace with `unsafe` code.

mod call;
mod elf;
mod emulator;
mod error;
mod helper;
mod host;
mod idmap;
pub mod inside;
mod owners;
mod seccomp;
mod spec;
mod sys;
mod terminal;
mod wire;

pub use call::{Call, CancelHandle, Output, call, call_attached};
pub use emulator::{Emulator, EmulatorMode, Registration};
pub use error::CallError;
pub use helper::{Handler, init};
pub use host::{Feature, Host, HostHandler, probe};
pub use idmap::{IdMap, Range};
pub use inside::tree::remove_tree;
pub use owners::{NODE_XATTR, OWNER_XATTR};
pub use spec::{
    Exit, MinFree, Mount, Network, OwnerEmulation, RunResult, RunSpec, Source, Stdio,
    default_max_processes,
};
