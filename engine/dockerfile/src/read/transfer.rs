//! COPY and ADD.

use std::collections::{HashMap, HashSet};

use super::Context;
use crate::ast::{Add, Copy, Heredoc, Op, Source, Transfer, Word};
use crate::flags::Flags;
use crate::heredoc;
use crate::mount::{has_variable, variable_in_from};
use crate::problem::Problem;
use crate::split::words;

impl Context<'_> {
    pub(super) fn copy(&mut self) -> Option<Op> {
        let flags = self.take_flags();
        let files = self.transfer(&flags);
        let from = flags.text("from");
        if let Some(from) = from.as_ref().filter(|from| has_variable(&from.raw)) {
            self.push(variable_in_from(from, "--from"));
        }
        let files = files?;
        for source in &files.sources {
            if let Source::Path(path) = source {
                let url = ["http://", "https://", "git://", "git@", "ssh://"];
                if url.iter().any(|scheme| path.raw.starts_with(scheme)) {
                    self.problems.push(
                        Problem::error(
                            code!("url-in-copy"),
                            path.span,
                            "COPY cannot fetch anything",
                        )
                        .label("an address")
                        .help("use ADD, which can"),
                    );
                }
            }
        }
        Some(Op::Copy(Copy { files, from, parents: flags.switch("parents").unwrap_or(false) }))
    }

    pub(super) fn add(&mut self) -> Option<Op> {
        let flags = self.take_flags();
        let files = self.transfer(&flags)?;
        let checksum = flags.text("checksum");
        if let Some(sum) = &checksum
            && files.sources.len() > 1
        {
            self.push(
                Problem::error(
                    code!("bad-flag-value"),
                    sum.span,
                    "`--checksum` goes with one source only",
                )
                .label("there are more")
                .help("write one ADD for each source"),
            );
        }
        Some(Op::Add(Add {
            files,
            checksum,
            keep_git_dir: flags.switch("keep-git-dir").unwrap_or(false),
            unpack: flags.switch("unpack"),
        }))
    }

    fn transfer(&mut self, flags: &Flags) -> Option<Transfer> {
        let words = match self.exec_form().ok()? {
            Some(words) => words,
            None => words(self.line, self.rest.clone()),
        };
        let Some((dest, sources)) = words.split_last().filter(|(_, s)| !s.is_empty()) else {
            let message = format!("{} needs a source and a destination", self.name);
            let problem = Problem::error(code!("missing-argument"), self.place(), message);
            let label = if words.is_empty() { "neither is here" } else { "only one is here" };
            let help = format!("write `{} source destination`", self.name);
            self.push(problem.label(label).help(help));
            return None;
        };
        if heredoc::opening(&dest.raw).is_some() {
            let message = format!("a heredoc cannot be the destination of {}", self.name);
            self.push(
                Problem::error(code!("heredoc-as-destination"), dest.span, message)
                    .label("a heredoc")
                    .help("put the path behind it: `<<EOF /path`"),
            );
        }
        let chmod = flags.text("chmod");
        if let Some(mode) = &chmod {
            self.check_mode(mode);
        }
        let sources = self.sources(sources);
        Some(Transfer {
            sources,
            dest: dest.clone(),
            chown: flags.text("chown"),
            chmod,
            link: flags.switch("link").unwrap_or(false),
            exclude: flags.list("exclude").collect(),
        })
    }

    fn sources(&mut self, words: &[Word]) -> Vec<Source> {
        let docs = std::mem::take(&mut self.heredocs);
        let mut docs: HashMap<u32, Heredoc> =
            docs.into_iter().map(|doc| (doc.span.start, doc)).collect();
        let mut names = HashSet::new();
        let mut sources = Vec::with_capacity(words.len());
        for word in words {
            // Words are split at white space here, so that `<< EOF` is two of them and no heredoc.
            let is_doc = heredoc::opening(&word.raw).is_some();
            match docs.remove(&word.span.start).filter(|_| is_doc) {
                Some(doc) => {
                    if !names.insert(doc.name.clone()) {
                        self.heredoc_twice(&doc);
                    }
                    sources.push(Source::Heredoc(doc));
                }
                None => {
                    if word.raw == "<<" {
                        self.heredoc_apart(word);
                    }
                    sources.push(Source::Path(word.clone()));
                }
            }
        }
        sources
    }

    fn heredoc_twice(&mut self, doc: &Heredoc) {
        let message = format!("{} has two heredocs called `{}`", self.name, doc.name);
        self.push(
            Problem::error(code!("duplicate-heredoc"), doc.span, message)
                .label("the second one")
                .help("give each a name of its own; the files are called so"),
        );
    }

    fn heredoc_apart(&mut self, word: &Word) {
        let message = format!("{} takes `<<` for a path", self.name);
        self.push(
            Problem::error(code!("heredoc-not-used"), word.span, message)
                .label("a space follows")
                .help("write `<<EOF` with no space in it"),
        );
    }

    /// A number is checked; symbolic modes such as `u=rwX,go=rX` are left to the executor.
    fn check_mode(&mut self, mode: &Word) {
        let digits = !mode.raw.is_empty() && mode.raw.chars().all(|c| c.is_ascii_digit());
        let fits = u32::from_str_radix(&mode.raw, 8).is_ok_and(|n| n <= 0o7777);
        if (digits && !fits) || mode.raw.is_empty() {
            self.push(
                Problem::error(
                    code!("bad-flag-value"),
                    mode.span,
                    format!("`{}` is no file mode", mode.raw),
                )
                .label("not an octal number up to 7777")
                .help("write `--chmod=0755`, or symbols: `--chmod=u=rwX,go=rX`"),
            );
        }
    }
}
