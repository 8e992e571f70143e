//! The instructions that only say something about the image: ARG, ENV, LABEL, EXPOSE and so on.

use super::Context;
use crate::ast::{ArgDecl, Op, Pair, Word};
use crate::line::is_gap;
use crate::ports;
use crate::problem::Problem;
use crate::signal;
use crate::split::{at_equals, quoted_words, words};

impl Context<'_> {
    pub(super) fn arg(&mut self) -> Option<Op> {
        self.ignore_flags();
        if self.is_bare("`ARG NAME` or `ARG NAME=default`") {
            return None;
        }
        let mut list = Vec::new();
        for word in quoted_words(self.line, self.rest.clone(), self.escape) {
            match at_equals(&word) {
                Some((name, _)) if name.raw.is_empty() => self.nameless(&word),
                Some((name, value)) => list.push(ArgDecl { name, default: Some(value) }),
                None => list.push(ArgDecl { name: word, default: None }),
            }
        }
        Some(Op::Arg(list))
    }

    fn nameless(&mut self, word: &Word) {
        let message = format!("a name is missing in {}", self.name);
        self.push(
            Problem::error(code!("missing-name"), word.span, message)
                .label("nothing before the `=`")
                .help("write `NAME=value`, with no space around the `=`"),
        );
    }

    pub(super) fn env(&mut self) -> Option<Op> {
        self.take_flags();
        self.pairs().map(Op::Env)
    }

    pub(super) fn label(&mut self) -> Option<Op> {
        self.take_flags();
        self.pairs().map(Op::Label)
    }

    fn pairs(&mut self) -> Option<Vec<Pair>> {
        if self.is_bare(&format!("`{} name=value`", self.name)) {
            return None;
        }
        let words = quoted_words(self.line, self.rest.clone(), self.escape);
        if !words.first().is_some_and(|word| word.raw.contains('=')) {
            return self.legacy_pair().map(|pair| vec![pair]);
        }
        let mut pairs = Vec::new();
        for word in words {
            match at_equals(&word) {
                Some((key, _)) if key.raw.is_empty() => self.nameless(&word),
                Some((key, value)) => pairs.push(Pair { key, value }),
                None => {
                    let message = format!("`{}` in {} has no `=`", word.raw, self.name);
                    self.push(
                        Problem::error(code!("missing-equals"), word.span, message)
                            .label("not `name=value`")
                            .help("put quotes around a value with spaces"),
                    );
                }
            }
        }
        Some(pairs)
    }

    /// `ENV name all the rest`, which is how it was written once.
    fn legacy_pair(&mut self) -> Option<Pair> {
        let text = self.text();
        let end = text.find(is_gap).unwrap_or(text.len());
        let from = self.rest.start;
        let value = self.line.trim(from + end..self.rest.end);
        let key = self.line.word(from..from + end);
        if value.is_empty() {
            let message = format!("{} `{}` has no value", self.name, key.raw);
            self.push(
                Problem::error(code!("missing-argument"), key.span, message)
                    .label("a name alone")
                    .help(format!("write `{} {}=value`", self.name, key.raw)),
            );
            return None;
        }
        let value = self.line.word(value);
        let (message, label, help) = if value.raw.starts_with('=') {
            let message = format!("the value of `{}` begins with `=`", key.raw);
            let help = format!("write `{} {}=…`, with no space around the `=`", self.name, key.raw);
            (message, "the name ends at the space", help)
        } else {
            let message = format!("{} without `=` is deprecated", self.name);
            let help = format!("write `{} {}=\"value\"`", self.name, key.raw);
            (message, "the name ends at the first space", help)
        };
        self.push(
            Problem::warning(code!("legacy-key-value-format"), self.place(), message)
                .label(label)
                .help(help),
        );
        Some(Pair { key, value })
    }

    pub(super) fn maintainer(&mut self) -> Option<Op> {
        let who = self.single()?;
        self.push(
            Problem::warning(
                code!("maintainer-deprecated"),
                self.keyword,
                "MAINTAINER is deprecated",
            )
            .label("old")
            .help("write `LABEL org.opencontainers.image.authors=…`"),
        );
        Some(Op::Maintainer(who))
    }

    pub(super) fn expose(&mut self) -> Option<Op> {
        self.take_flags();
        if self.is_bare("`EXPOSE 8080/tcp`") {
            return None;
        }
        let words = words(self.line, self.rest.clone());
        for word in words.iter().filter(|word| word.is_plain()) {
            match ports::parse(&word.raw) {
                Ok(_) => {
                    ports::problems(&word.raw, word.span).into_iter().for_each(|p| self.push(p))
                }
                Err(help) => self.push(
                    Problem::error(
                        code!("bad-port"),
                        word.span,
                        format!("`{}` is no port", word.raw),
                    )
                    .label("not understood")
                    .help(help),
                ),
            }
        }
        Some(Op::Expose(words))
    }

    pub(super) fn volume(&mut self) -> Option<Op> {
        self.take_flags();
        let words = match self.exec_form().ok()? {
            Some(words) => words,
            None => words(self.line, self.rest.clone()),
        };
        if words.is_empty() || words.iter().any(|word| word.raw.trim().is_empty()) {
            self.push(
                Problem::error(code!("missing-argument"), self.place(), "VOLUME needs a path")
                    .label("no path")
                    .help("write `VOLUME /path`"),
            );
            return None;
        }
        let trimmed = |word: Word| Word { raw: word.raw.trim().to_owned(), ..word };
        Some(Op::Volume(words.into_iter().map(trimmed).collect()))
    }

    pub(super) fn stopsignal(&mut self) -> Option<Op> {
        let word = self.single()?;
        if word.is_plain() && !signal::is_signal(&word.raw) {
            self.push(
                Problem::error(
                    code!("bad-signal"),
                    word.span,
                    format!("`{}` is no signal", word.raw),
                )
                .label("unknown")
                .maybe_help(signal::suggest(&word.raw)),
            );
        }
        Some(Op::Stopsignal(word))
    }
}
