//! What a RUN runs.

use crate::ast::{Command, Run};
use crate::heredoc;

/// What a RUN with its heredocs comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// A program and its arguments, without a shell.
    Exec(Vec<String>),
    /// One text for the shell.
    Shell(String),
    /// A file of that name that says itself (`#!`) what runs it.
    File {
        /// The heredoc's name.
        name: String,
        /// The file.
        content: String,
    },
}

impl Run {
    /// Gives what is to be run. As in BuildKit a lone heredoc is itself the script; with words
    /// beside it, it is handed to the shell with them.
    pub fn script(&self) -> Script {
        let text = match &self.command {
            Command::Exec(words) => {
                return Script::Exec(words.iter().map(|w| w.raw.clone()).collect());
            }
            Command::Shell(text) => text,
        };
        match self.heredocs.as_slice() {
            [] => Script::Shell(text.raw.clone()),
            [only] if heredoc::opening(&text.raw).is_some() => {
                let content = only.content();
                if only.body.starts_with("#!") {
                    Script::File { name: only.name.clone(), content }
                } else {
                    Script::Shell(content)
                }
            }
            several => {
                let mut all = text.raw.clone();
                for doc in several {
                    all.push('\n');
                    all.push_str(&doc.body);
                    all.push_str(&doc.name);
                }
                Script::Shell(all)
            }
        }
    }
}
