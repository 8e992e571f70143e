//! COPY and ADD.

use std::collections::HashMap;

use super::Context;
use crate::ast::{Add, Copy, Heredoc, Op, Source, Transfer, Word};
use crate::file::MAX_BYTES;
use crate::flags::Flags;
use crate::heredoc;
use crate::image;
use crate::mount::{has_variable, variable_in_from};
use crate::problem::Problem;
use crate::remote::{Remote, remote};
use crate::split::words;

impl Context<'_> {
    pub(super) fn copy(&mut self) -> Option<Op> {
        let flags = self.take_flags();
        let files = self.transfer(&flags);
        let from = flags.filled("from");
        if let Some(from) = from.as_ref().filter(|from| has_variable(&from.raw)) {
            self.push(variable_in_from(from, "--from"));
        }
        let files = files?;
        for source in &files.sources {
            if let Source::Path(path) = source
                && path.is_plain()
                && remote(&path.raw) != Remote::No
            {
                let message = "COPY cannot fetch anything";
                self.problems.push(
                    Problem::error(code!("url-in-copy"), path.span, message)
                        .label("an address")
                        .help("use ADD, which can"),
                );
            }
        }
        Some(Op::Copy(Copy { files, from, parents: flags.switch("parents").unwrap_or(false) }))
    }

    pub(super) fn add(&mut self) -> Option<Op> {
        let flags = self.take_flags();
        let files = self.transfer(&flags)?;
        let checksum = flags.filled("checksum");
        if let Some(sum) = checksum.as_ref().filter(|sum| sum.is_plain()) {
            self.check_sum(sum, &files.sources);
        }
        Some(Op::Add(Add {
            files,
            checksum,
            keep_git_dir: flags.switch("keep-git-dir").unwrap_or(false),
            unpack: flags.switch("unpack"),
        }))
    }

    /// A checksum goes with one source that is fetched.
    fn check_sum(&mut self, sum: &Word, sources: &[Source]) {
        let mut paths = sources.iter().filter_map(|source| match source {
            Source::Path(path) => Some(path),
            Source::Heredoc(_) => None,
        });
        let (message, label, help) = match (paths.next(), paths.next()) {
            (Some(path), None) if !path.is_plain() => return,
            (Some(path), None) => match remote(&path.raw) {
                Remote::Http if !image::is_digest(&sum.raw) => (
                    format!("`{}` is no digest", sum.raw),
                    "not understood",
                    "write `--checksum=sha256:` and sixty-four hexadecimal digits",
                ),
                Remote::Http | Remote::Git => return,
                Remote::No => (
                    "`--checksum` is for what is fetched".to_owned(),
                    "the source is a file",
                    "leave it out; files of the build context are known by their content",
                ),
            },
            _ => (
                "`--checksum` goes with one source only".to_owned(),
                "there are more or none",
                "write one ADD for each source",
            ),
        };
        self.push(
            Problem::error(code!("bad-flag-value"), sum.span, message).label(label).help(help),
        );
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
        let chmod = flags.filled("chmod");
        if let Some(mode) = chmod.as_ref().filter(|mode| mode.is_plain()) {
            self.check_mode(mode);
        }
        let sources = self.sources(sources);
        Some(Transfer {
            sources,
            dest: dest.clone(),
            chown: flags.filled("chown"),
            chmod,
            link: flags.switch("link").unwrap_or(false),
            exclude: flags.list("exclude").collect(),
        })
    }

    fn sources(&mut self, words: &[Word]) -> Vec<Source> {
        // As in BuildKit a heredoc is known by its name, so that of two only the last one counts.
        let mut docs: HashMap<String, Heredoc> = HashMap::new();
        for doc in std::mem::take(&mut self.heredocs) {
            if docs.contains_key(&doc.name) {
                self.heredoc_twice(&doc);
            }
            docs.insert(doc.name.clone(), doc);
        }
        let mut budget = MAX_BYTES;
        let mut sources = Vec::with_capacity(words.len());
        for word in words {
            // Words are split at white space here, so that `<< EOF` is two of them and no heredoc.
            let Some(opening) = heredoc::opening(&word.raw) else {
                if word.raw == "<<" {
                    self.heredoc_apart(word);
                }
                sources.push(Source::Path(word.clone()));
                continue;
            };
            let known = docs.get(&opening.name);
            let body = known.map_or("", |doc| doc.body.as_str());
            let Some(left) = usize::checked_sub(budget, body.len()) else {
                let message = format!("the heredocs called `{}` are too long", opening.name);
                self.push(
                    Problem::error(code!("duplicate-heredoc"), word.span, message)
                        .label("as often as it stands here")
                        .help("write each once"),
                );
                break;
            };
            budget = left;
            sources.push(Source::Heredoc(Heredoc {
                span: word.span,
                body: body.to_owned(),
                body_span: known.map_or(word.span, |doc| doc.body_span),
                name: opening.name,
                expand: opening.expand,
                strip_tabs: opening.strip_tabs,
                fd: opening.fd,
            }));
        }
        sources
    }

    fn heredoc_twice(&mut self, doc: &Heredoc) {
        let message = format!("{} has two heredocs called `{}`", self.name, doc.name);
        self.push(
            Problem::warning(code!("duplicate-heredoc"), doc.span, message)
                .label("the second one, whose lines both get")
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

    /// A number is checked; of symbolic modes such as `u=rwX,go=rX` only the letters are, the rest
    /// is left to the executor.
    fn check_mode(&mut self, mode: &Word) {
        let digits = mode.raw.chars().all(|c| c.is_ascii_digit());
        let fits = u32::from_str_radix(&mode.raw, 8).is_ok_and(|n| n <= 0o7777);
        let letters = mode.raw.chars().all(|c| "ugoarwxXst+-=,01234567".contains(c));
        if (digits && !fits) || !letters {
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
