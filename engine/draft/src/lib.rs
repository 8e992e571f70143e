//! `mabuild-draft`: other descriptions of images (Dockerfiles, bake files, compose files) to the
//! text of a `mabuild.kdl`.
//!
//! Pure: no file, clock or environment is read here; the caller gives text and values. Each front
//! end makes a [`model::Model`], which is linked and printed in one way for all of them.

mod bake;
mod build;
mod compose;
mod edges;
mod error;
mod folder;
mod fresh;
mod link;
mod model;
mod names;
mod path;
mod print;
mod quote;
mod reference;
mod text;

pub use error::DraftError;
pub use fresh::fresh;

/// A file drafted from another description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Text of a `mabuild.kdl`, in its canonical layout.
    pub kdl: String,
    /// What a person should look at, one line each.
    pub notes: Vec<String>,
}

/// A file that was found in a folder.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Path from the folder, with `/` between its parts.
    pub path: &'a str,
    /// Content.
    pub text: &'a str,
}

/// Reads a file by its path from the folder of the description; none where there is no such file.
pub type Read<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Gives the value of a variable of the environment.
pub type Vars<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Gives a text as a string literal of the language, whatever it holds.
pub fn literal(text: &str) -> String {
    quote::quoted(&text::Text::plain(text).interpolation())
}

/// Largest description that is read, in bytes.
const MAX_INPUT: usize = 4 << 20;

/// Drafts one image for each Dockerfile of a folder. Problems inside a Dockerfile are notes; the
/// errors are for a folder that gives nothing.
pub fn from_dockerfiles(files: &[Found<'_>]) -> Result<Draft, Vec<DraftError>> {
    folder::draft(files)
}

/// Drafts the targets of a bake file, in HCL or, by the ending of its path, in JSON. Paths given
/// to `read` start at the folder of the bake file.
pub fn from_bake(
    path: &str,
    text: &str,
    read: &Read<'_>,
    vars: &Vars<'_>,
) -> Result<Draft, Vec<DraftError>> {
    error::too_large(path, text)?;
    bake::draft(path, text, read, vars)
}

/// Drafts the services of a compose file that are built. Paths given to `read` start at the
/// folder of the compose file.
pub fn from_compose(
    path: &str,
    text: &str,
    read: &Read<'_>,
    vars: &Vars<'_>,
) -> Result<Draft, Vec<DraftError>> {
    error::too_large(path, text)?;
    compose::draft(path, text, read, vars)
}

#[cfg(test)]
mod tests;
