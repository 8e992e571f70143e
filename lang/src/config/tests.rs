//! Checks of built images.

use std::sync::Arc;
use std::time::Duration;

use super::{Located, Text};
use crate::source::{Span, Spanned};

/// `test NAME …`: a check of the built image, on every platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Name, unique in its base or image.
    pub name: Spanned<Arc<str>>,
    /// The whole node.
    pub span: Span,
    /// What is checked.
    pub check: Check,
}

/// What a test checks.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// Runs a command in the image.
    Run {
        /// One text for the shell form, more for the exec form.
        words: Vec<Text>,
        /// What has to come of it.
        expect: Expect,
    },
    /// The checks of a file in the format of container-structure-test.
    File(Located),
}

/// What has to come of the command of a test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// Exit code, 0 to 255.
    pub exit: i32,
    /// A text that the output holds.
    pub stdout: Option<Text>,
    /// A text that the error output holds.
    pub stderr: Option<Text>,
    /// How long it may take.
    pub timeout: Option<Duration>,
}
