//! `mabuild-dockerfile`: the text of a Dockerfile to stages and instructions with their places;
//! variable expansion; what a stage needs from outside; BuildKit's build checks; what is
//! shown of a step; `.dockerignore`. Pure: no file is read and nothing is run.
//!
//! Follows the reference of the `docker/dockerfile:1` syntax, and BuildKit's reading of it where the
//! reference is silent.
//!
//! ```
//! let text = "ARG TAG=3\nFROM alpine:$TAG AS base\nFROM base\nCOPY --from=busybox /bin/sh /sh\n";
//! let parsed = mabuild_dockerfile::parse(text);
//! assert_eq!(parsed.problems, []);
//! let needs = mabuild_dockerfile::references(&parsed.file, None, &|_| None).unwrap();
//! let names: Vec<&str> = needs.iter().map(|r| r.name.as_str()).collect();
//! assert_eq!(names, ["alpine:3", "busybox"]);
//! ```

/// Makes a problem's code.
macro_rules! code {
    ($name:literal) => {
        concat!("mabuild::dockerfile::", $name)
    };
}

mod ast;
mod check;
mod directive;
pub mod expand;
mod fields;
mod file;
mod flags;
mod glob;
mod globals;
mod heredoc;
mod ignore;
mod image;
mod json;
mod lex;
mod line;
mod mount;
mod platform;
pub mod ports;
mod problem;
mod progress;
mod read;
mod references;
mod remote;
mod rules;
mod script;
pub mod signal;
mod split;
mod stages;

pub use ast::{
    Add, ArgDecl, Check, Command, Copy, Device, Directives, Dockerfile, Healthcheck, Heredoc,
    Instruction, Network, Onbuild, Op, Pair, Run, Security, Source, Stage, Transfer, Word,
};
pub use check::{Given, Image, check};
pub use file::{MAX_BYTES, Parsed, parse, parse_trigger};
pub use globals::{AUTOMATIC_ARGS, Globals};
pub use ignore::Ignore;
pub use mount::{Mount, MountFlag, MountKind, Sharing};
pub use problem::{Problem, Severity, Span};
pub use progress::progress;
pub use references::{Reference, ReferenceKind, references, stages_needed};
pub use remote::{Remote, remote};
pub use script::Script;
pub use stages::{Base, Origin, Stages};

#[cfg(test)]
mod tests;
