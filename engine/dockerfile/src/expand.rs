//! Variable expansion.

use std::collections::BTreeSet;

use crate::ast::{Heredoc, Op, Source, Transfer, Word};
use crate::lex::{Env, LexError, Lexed, Lexer, Mode};
use crate::problem::Problem;

/// The result of an expansion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The text, variables replaced, quotes and escapes gone.
    pub text: String,
    /// The variables that were asked for and have a value.
    pub found: BTreeSet<String>,
    /// The variables that were asked for and have none.
    pub missing: BTreeSet<String>,
}

/// The result of an expansion that splits at white space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpandedWords {
    /// The words; white space in quotes splits none.
    pub words: Vec<String>,
    /// The variables that were asked for and have a value.
    pub found: BTreeSet<String>,
    /// The variables that were asked for and have none.
    pub missing: BTreeSet<String>,
}

/// Expands a word to one text, white space and all.
///
/// # Errors
/// A quote or brace that is never closed, an unknown modifier, a variable that must be set, or a
/// result beyond all bounds.
pub fn word(word: &Word, escape: char, env: Env<'_>) -> Result<Expanded, Problem> {
    let (lexed, found, missing) = lex(word, Mode::new(escape), env)?;
    Ok(Expanded { text: lexed.text, found, missing })
}

/// Expands a word to any number of words, as EXPOSE does.
///
/// # Errors
/// As for [`word`].
pub fn words(word: &Word, escape: char, env: Env<'_>) -> Result<ExpandedWords, Problem> {
    let mode = Mode { words: true, ..Mode::new(escape) };
    let (lexed, found, missing) = lex(word, mode, env)?;
    let words = lexed.words.into_iter().map(|piece| piece.text).collect();
    Ok(ExpandedWords { words, found, missing })
}

/// Expands the lines of a heredoc of COPY or ADD: quotes mean nothing there, escapes do. Gives them
/// as they stand when the delimiter was quoted.
///
/// # Errors
/// As for [`word`].
pub fn heredoc(doc: &Heredoc, escape: char, env: Env<'_>) -> Result<Expanded, Problem> {
    let text = doc.content();
    if !doc.expand {
        return Ok(Expanded { text, ..Expanded::default() });
    }
    let mode = Mode { no_quotes: true, ..Mode::new(escape) };
    let (lexed, found, missing) = lex(&Word { raw: text, span: doc.body_span }, mode, env)?;
    Ok(Expanded { text: lexed.text, found, missing })
}

/// An instruction whose variables are expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpandedOp {
    /// The instruction; every `raw` is the text to use. Mounts of RUN are as they were.
    pub op: Op,
    /// The variables that were asked for and have a value, in mounts too.
    pub found: BTreeSet<String>,
    /// The variables that were asked for and have none, in mounts too.
    pub missing: BTreeSet<String>,
}

/// Expands everything in an instruction that BuildKit expands: words of ADD, COPY, ENV, EXPOSE,
/// LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR, defaults of ARG, heredocs of ADD and COPY. For RUN
/// only the names in its mounts are collected; [`crate::MountFlag::resolve`] gives the values. The
/// default of an ARG that has a value from outside must not be expanded. The words of EXPOSE come
/// in the order of their text before expansion, which is how BuildKit lists them.
///
/// # Errors
/// All that is wrong with the instruction.
pub fn op(op: &Op, escape: char, env: Env<'_>) -> Result<ExpandedOp, Vec<Problem>> {
    let mut op = op.clone();
    let mut all =
        All { escape, env, found: Names::new(), missing: Names::new(), problems: Vec::new() };
    if let Op::Expose(words) = &mut op {
        // BuildKit sorts them as they are written.
        words.sort_by(|a, b| a.raw.cmp(&b.raw));
        *words = words.iter().flat_map(|word| all.split(word)).collect();
    } else {
        op.each_expandable(&mut |word| all.replace(word));
    }
    match &mut op {
        Op::Add(add) => all.heredocs(&mut add.files),
        Op::Copy(copy) => all.heredocs(&mut copy.files),
        Op::Run(run) => run.mounts.iter().for_each(|mount| {
            mount.values().for_each(|value| {
                all.keep(word(value, escape, env).map(|e| (e.text, e.found, e.missing)));
            });
        }),
        _ => {}
    }
    let All { found, missing, problems, .. } = all;
    if problems.is_empty() { Ok(ExpandedOp { op, found, missing }) } else { Err(problems) }
}

/// So many problems of one instruction are kept.
const MOST: usize = 50;

/// Expands words and remembers what came up.
struct All<'a> {
    escape: char,
    env: Env<'a>,
    found: Names,
    missing: Names,
    problems: Vec<Problem>,
}

impl All<'_> {
    fn keep<T>(&mut self, result: Result<(T, Names, Names), Problem>) -> Option<T> {
        match result {
            Ok((value, found, missing)) => {
                self.found.extend(found);
                self.missing.extend(missing);
                Some(value)
            }
            Err(problem) => {
                if self.problems.len() < MOST {
                    self.problems.push(problem);
                }
                None
            }
        }
    }

    fn replace(&mut self, target: &mut Word) {
        let result = word(target, self.escape, self.env);
        if let Some(text) = self.keep(result.map(|e| (e.text, e.found, e.missing))) {
            target.raw = text;
        }
    }

    fn split(&mut self, word: &Word) -> Vec<Word> {
        let result = words(word, self.escape, self.env);
        let texts = self.keep(result.map(|e| (e.words, e.found, e.missing))).unwrap_or_default();
        texts.into_iter().map(|raw| Word { raw, span: word.span }).collect()
    }

    /// Puts the final text into heredocs.
    fn heredocs(&mut self, files: &mut Transfer) {
        for source in &mut files.sources {
            let Source::Heredoc(doc) = source else { continue };
            let result = heredoc(doc, self.escape, self.env);
            if let Some(body) = self.keep(result.map(|e| (e.text, e.found, e.missing))) {
                *doc = Heredoc { body, expand: false, strip_tabs: false, ..doc.clone() };
            }
        }
    }
}

type Names = BTreeSet<String>;

fn lex(word: &Word, mode: Mode, env: Env<'_>) -> Result<(Lexed, Names, Names), Problem> {
    let mut lexer = Lexer::new(&word.raw, mode, env);
    match lexer.run() {
        Ok(lexed) => Ok((lexed, lexer.found, lexer.missing)),
        Err(error) => Err(problem(word, error)),
    }
}

fn problem(word: &Word, error: LexError) -> Problem {
    let LexError { start, end, message, help } = error;
    Problem::error(code!("bad-expansion"), word.part(start, end), message)
        .label("expanded here")
        .maybe_help(help.map(str::to_owned))
}
