//! `mabuild-lang`: the text of a `mabuild.kdl` to a typed [`config::Config`].
//!
//! Pure: no file, clock or environment is read here; the caller gives text and values.

pub mod config;
mod decode;
pub mod diag;
mod fmt;
pub mod ide;
mod link;
mod load;
pub mod platform;
pub mod reference;
mod report;
pub mod schema;
pub mod source;
pub mod suggest;
mod syntax;

pub use fmt::{Unformatted, format};
pub use load::{Files, Git, Loaded, MAX_FILE, Vars, load};
pub use report::{Report, report};
