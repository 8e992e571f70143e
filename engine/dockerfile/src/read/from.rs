//! FROM.

use super::Context;
use crate::ast::Word;
use crate::problem::{Problem, Span};
use crate::split::words;

/// A FROM, as far as it could be read.
#[derive(Debug, Default)]
pub(crate) struct From {
    pub(crate) span: Span,
    pub(crate) code: String,
    pub(crate) image: Word,
    pub(crate) name: Option<Word>,
    pub(crate) platform: Option<Word>,
}

impl Context<'_> {
    pub(super) fn from(&mut self, span: Span) -> From {
        let platform = self.take_flags().filled("platform");
        let mut from = From { span, platform, ..From::default() };
        from.image.span = self.keyword;
        if self.is_bare("`FROM image`, or `FROM scratch` for nothing") {
            return from;
        }
        let words = words(self.line, self.rest.clone());
        match words.as_slice() {
            [image] => from.image = image.clone(),
            [image, between, name] if between.raw.eq_ignore_ascii_case("as") => {
                from.image = image.clone();
                self.check_case(between, name);
                from.name = self.stage_name(name);
            }
            _ => {
                from.image = words.first().cloned().unwrap_or_default();
                let extra = words.get(1).map_or(span, |word| word.span);
                let place = words.last().map_or(extra, |last| extra.to(last.span));
                self.push(
                    Problem::error(
                        code!("bad-from"),
                        place,
                        "FROM takes an image and perhaps a name",
                    )
                    .label("not understood")
                    .help("write `FROM image` or `FROM image AS name`"),
                );
            }
        }
        from
    }

    /// AS is to be written as FROM is, and names in lower case.
    fn check_case(&mut self, between: &Word, name: &Word) {
        let from = self.written.clone();
        let right = match from.as_str() {
            word if word == from.to_lowercase() => "as",
            word if word == from.to_uppercase() => "AS",
            // FROM is reported itself.
            _ => between.raw.as_str(),
        };
        if between.raw != right {
            let message = format!("`{}` and `{from}` are not in the same case", between.raw);
            self.push(
                Problem::warning(code!("from-as-casing"), between.span, message)
                    .label("differs")
                    .help(format!("write `{right}`")),
            );
        }
        let lower = name.raw.to_lowercase();
        if name.raw != lower {
            let message = format!("the stage's name `{}` is not in lower case", name.raw);
            self.push(
                Problem::warning(code!("stage-name-casing"), name.span, message)
                    .label("in capitals")
                    .help(format!("write `{lower}`; both mean the same")),
            );
        }
    }

    fn stage_name(&mut self, word: &Word) -> Option<Word> {
        let raw = word.raw.to_lowercase();
        let rest = raw.strip_prefix(|c: char| c.is_ascii_lowercase());
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if !rest.is_some_and(|rest| rest.chars().all(allowed)) {
            self.push(
                Problem::error(
                    code!("bad-stage-name"),
                    word.span,
                    format!("a stage cannot be called `{}`", word.raw),
                )
                .label("this name")
                .help("names begin with a letter and have letters, digits, `-`, `_` and `.`"),
            );
            return None;
        }
        if raw == "scratch" || raw == "context" {
            self.push(
                Problem::warning(
                    code!("reserved-stage-name"),
                    word.span,
                    format!("a stage should not be called `{raw}`"),
                )
                .label("means something else in `FROM` and `--from`")
                .help("choose another name"),
            );
        }
        Some(Word { raw, span: word.span })
    }
}
