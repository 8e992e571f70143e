//! Paths of files and folders.

use std::sync::Arc;

use super::Text;

/// A path with the folder it starts at: a template may stand in another folder than its image.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Folder of the file that the path is written in.
    pub folder: Arc<str>,
    /// The path, relative to that folder unless it is absolute.
    pub text: Text,
}
