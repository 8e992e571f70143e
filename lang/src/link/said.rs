//! What a file says of all that it declares, and of what the files that it includes declare.

use std::collections::HashMap;

use super::platforms::List;
use super::twice;
use crate::config::Publishing;
use crate::diag::Diagnostic;
use crate::source::Span;

/// What one file says; what counts first is what it says itself.
#[derive(Default)]
pub(super) struct Said {
    /// Platforms of what names none.
    pub platforms: Option<List>,
    publishing: Publishing,
    /// Nodes that may stand but once in a file.
    seen: HashMap<&'static str, Span>,
}

impl Said {
    /// Whether a node is the first of its name in the file. A second one is reported.
    pub fn is_first(&mut self, word: &'static str, span: Span, out: &mut Vec<Diagnostic>) -> bool {
        match self.seen.get(word) {
            Some(first) => {
                out.push(twice(word, span, *first));
                false
            }
            None => {
                self.seen.insert(word, span);
                true
            }
        }
    }

    /// Takes note of one node that says how things are published.
    pub fn publishing(&mut self, span: Span, said: Publishing, out: &mut Vec<Diagnostic>) {
        for (name, _) in &said.annotations {
            let known = &self.publishing.annotations;
            if let Some((first, _)) = known.iter().find(|(known, _)| known.value == name.value) {
                out.push(
                    Diagnostic::error(
                        "mabuild::lang::duplicate",
                        name.span,
                        format!("the annotation `{}` stands here twice", name.value),
                        "again here",
                    )
                    .and(first.span, "first here")
                    .help("keep one of them"),
                );
                return;
            }
        }
        let word = match said {
            Publishing { format: Some(_), .. } => "format",
            Publishing { require: Some(_), .. } => "require",
            Publishing { carry: Some(_), .. } => "late",
            _ => return self.publishing.overlay(said),
        };
        if self.is_first(word, span, out) {
            self.publishing.overlay(said);
        }
    }

    /// Takes over from the file that includes this one what this one does not say.
    pub fn inherit(&mut self, above: Option<&Self>) {
        let Some(above) = above else { return };
        self.platforms = self.platforms.take().or_else(|| above.platforms.clone());
        above.put_under(&mut self.publishing);
    }

    /// Gives what a node of the file does not say itself.
    pub fn put_under(&self, own: &mut Publishing) {
        if self.publishing != Publishing::default() {
            let inner = std::mem::replace(own, self.publishing.clone());
            own.overlay(inner);
        }
    }
}
