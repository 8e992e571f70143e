//! Distribution archives: what a Debian or Alpine mirror says, whether it may be believed, and what
//! its packages hold; and the table of QEMU user emulators for foreign platforms.
//!
//! This crate is synchronous and does no network access: every function takes bytes or a reader
//! that the caller obtained, and the current time as an argument. It unpacks nothing to disk.

pub mod alpine;
pub mod debian;
pub mod qemu;
