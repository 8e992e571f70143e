//! One instruction at a time: from its split line to what it says.

mod command;
mod config;
mod from;
mod transfer;

use std::ops::Range;

use crate::ast::{Heredoc, Instruction, Onbuild, Op, Word};
use crate::flags::Flags;
use crate::heredoc;
use crate::json::{self, Json};
use crate::line::{Line, Reader};
use crate::problem::{Problem, Problems, Span, did_you_mean};
use crate::split::{Parts, RawFlag, split};

pub(crate) use from::From;

/// Every instruction's name.
const NAMES: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Either a new stage or something in one.
#[derive(Debug)]
pub(crate) enum Read {
    From(From),
    Instruction(Instruction),
    /// Nothing that could be kept; the problems say why.
    Broken,
}

/// What reading one instruction needs.
pub(crate) struct Context<'a> {
    line: &'a Line,
    /// The instruction's name, upper-case.
    name: &'static str,
    /// The instruction's name as it is written.
    written: String,
    keyword: Span,
    flags: Vec<RawFlag>,
    /// The arguments, behind the flags.
    rest: Range<usize>,
    heredocs: Vec<Heredoc>,
    escape: char,
    problems: &'a mut Problems,
}

/// Reads the instruction on a logical line and takes its heredocs from the reader.
pub(crate) fn read(
    line: &Line,
    reader: &mut Reader<'_>,
    after_run: bool,
    problems: &mut Problems,
) -> Read {
    let parts = split(line, 0..line.text.len());
    let Some(name) = known(line.slice(parts.keyword.clone())) else {
        problems.push(unknown(line, &parts, after_run));
        return Read::Broken;
    };
    let heredocs = if takes_heredocs(name, line, &parts) {
        heredoc::read(line, reader, problems)
    } else {
        Vec::new()
    };
    let keyword = line.span(parts.keyword.clone());
    let all = line.trim(0..line.text.len());
    let (own, code) = (line.span(all.clone()), line.slice(all).to_owned());
    let span = if heredocs.is_empty() { own } else { own.to(Span::new(reader.at, reader.at)) };
    let written = line.slice(parts.keyword).to_owned();
    let (flags, rest, escape) = (parts.flags, parts.rest, reader.escape);
    let mut context =
        Context { line, name, written, keyword, flags, rest, heredocs, escape, problems };
    if name == "FROM" {
        return Read::From(From { code, ..context.from(span) });
    }
    let comments = line.comments.clone();
    match context.op() {
        Some(op) => Read::Instruction(Instruction { span, keyword, code, comments, op }),
        None => Read::Broken,
    }
}

fn known(word: &str) -> Option<&'static str> {
    NAMES.iter().copied().find(|name| name.eq_ignore_ascii_case(word))
}

fn unknown(line: &Line, parts: &Parts, after_run: bool) -> Problem {
    let word = line.slice(parts.keyword.clone());
    let shown: String = word.chars().take(40).collect();
    let near = did_you_mean(&word.to_ascii_uppercase(), NAMES.iter().copied());
    let help = if word.chars().any(|c| c.is_whitespace() || c == '\u{200b}' || c == '\u{feff}') {
        Some("an invisible character stands in this word; type the space anew".to_owned())
    } else if near.is_none() && after_run {
        Some(
            "if this goes on with the RUN above, end the line before it with the escape character"
                .to_owned(),
        )
    } else {
        near
    };
    let message = format!("`{shown}` is no instruction");
    Problem::error(code!("unknown-instruction"), line.span(parts.keyword.clone()), message)
        .label("unknown")
        .maybe_help(help)
}

/// ADD, COPY and RUN take heredocs, also within ONBUILD, but not in exec form.
fn takes_heredocs(name: &str, line: &Line, parts: &Parts) -> bool {
    match name {
        "ADD" | "COPY" | "RUN" => !matches!(json::read(line, parts.rest.clone()), Json::Strings(_)),
        "ONBUILD" => {
            let inner = split(line, parts.rest.clone());
            let name = known(line.slice(inner.keyword.clone())).unwrap_or("");
            name != "ONBUILD" && takes_heredocs(name, line, &inner)
        }
        _ => false,
    }
}

impl Context<'_> {
    fn op(&mut self) -> Option<Op> {
        match self.name {
            "ADD" => self.add(),
            "ARG" => self.arg(),
            "CMD" => self.cmd(),
            "COPY" => self.copy(),
            "ENTRYPOINT" => self.entrypoint(),
            "ENV" => self.env(),
            "EXPOSE" => self.expose(),
            "HEALTHCHECK" => self.healthcheck(),
            "LABEL" => self.label(),
            "MAINTAINER" => self.maintainer(),
            "ONBUILD" => self.onbuild(),
            "RUN" => self.run(),
            "SHELL" => self.shell(),
            "STOPSIGNAL" => self.stopsignal(),
            "USER" => self.single().map(Op::User),
            "VOLUME" => self.volume(),
            _ => self.single().map(Op::Workdir),
        }
    }

    /// Checks the flags; afterwards they are gone from the context.
    fn take_flags(&mut self) -> Flags {
        Flags::read(self.name, std::mem::take(&mut self.flags), self.problems)
    }

    /// Reports flags that BuildKit does not even look at here.
    fn ignore_flags(&mut self) {
        let flags = std::mem::take(&mut self.flags);
        if let (Some(first), Some(last)) = (flags.first(), flags.last()) {
            let message = format!("{} takes no flags, and this one means nothing", self.name);
            self.push(
                Problem::warning(code!("flag-without-effect"), first.span.to(last.span), message)
                    .label("not looked at")
                    .help("leave it out"),
            );
        }
    }

    fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Gives the place of the arguments, or of the keyword if there are none.
    fn place(&self) -> Span {
        if self.rest.is_empty() { self.keyword } else { self.line.span(self.rest.clone()) }
    }

    fn text(&self) -> &str {
        self.line.slice(self.rest.clone())
    }

    /// Reports that there are no arguments; says whether there are none.
    fn is_bare(&mut self, wanted: &str) -> bool {
        let bare = self.rest.is_empty();
        if bare {
            let message = format!("{} says nothing", self.name);
            let problem = Problem::error(code!("missing-argument"), self.keyword, message);
            self.push(problem.label("nothing behind it").help(format!("write {wanted}")));
        }
        bare
    }

    /// Reads the rest of the line as one word.
    fn single(&mut self) -> Option<Word> {
        if self.name == "STOPSIGNAL" {
            self.ignore_flags();
        } else {
            self.take_flags();
        }
        let wanted = match self.name {
            "USER" => "`USER name` or `USER 1000:1000`",
            "WORKDIR" => "`WORKDIR /path`",
            "STOPSIGNAL" => "`STOPSIGNAL SIGTERM`",
            _ => "a name behind it",
        };
        (!self.is_bare(wanted)).then(|| self.line.word(self.rest.clone()))
    }

    /// Reads an array of strings; reports one that is nearly that.
    fn exec_form(&mut self) -> Result<Option<Vec<Word>>, ()> {
        match json::read(self.line, self.rest.clone()) {
            Json::Strings(words) => Ok(Some(words)),
            Json::Other { near: false } => Ok(None),
            Json::Other { near: true } => {
                self.not_json();
                Ok(None)
            }
            Json::Mixed(range) => {
                let place = self.line.span(range);
                let message = format!("the exec form of {} holds strings only", self.name);
                self.push(
                    Problem::error(code!("exec-form-not-strings"), place, message)
                        .label("not all are strings")
                        .help("put double quotes around every part"),
                );
                Err(())
            }
        }
    }

    /// Says that brackets are taken as they stand; SHELL has an error of its own.
    fn not_json(&mut self) {
        let label = match self.name {
            "SHELL" => return,
            "ADD" | "COPY" | "VOLUME" => "split at white space as it stands",
            _ => "run by the shell as it stands",
        };
        let message = format!("{} is not in exec form, because this is no JSON", self.name);
        self.push(
            Problem::warning(code!("exec-form-not-json"), self.place(), message)
                .label(label)
                .help("write `[\"one\", \"two\"]`: double quotes, commas, nothing behind the `]`"),
        );
    }

    fn onbuild(&mut self) -> Option<Op> {
        self.take_flags();
        if self.is_bare("`ONBUILD INSTRUCTION …`") {
            return None;
        }
        let parts = split(self.line, self.rest.clone());
        let keyword = self.line.span(parts.keyword.clone());
        let Some(name) = known(self.line.slice(parts.keyword.clone())) else {
            let problem = unknown(self.line, &parts, false);
            self.push(problem);
            return None;
        };
        if matches!(name, "ONBUILD" | "FROM" | "MAINTAINER") {
            let message = format!("{name} cannot stand behind ONBUILD");
            self.push(
                Problem::error(code!("onbuild-not-allowed"), keyword, message)
                    .label("not here")
                    .help("ONBUILD takes any instruction but ONBUILD, FROM and MAINTAINER"),
            );
            return None;
        }
        let mut trigger = self.text().to_owned();
        for doc in &self.heredocs {
            trigger.push('\n');
            trigger.push_str(&doc.body);
            trigger.push_str(&doc.name);
        }
        let (span, code) = (self.place(), self.text().to_owned());
        let Parts { flags, rest, .. } = parts;
        let (line, escape) = (self.line, self.escape);
        let heredocs = std::mem::take(&mut self.heredocs);
        let written = line.slice(parts.keyword).to_owned();
        // What the checks find belongs to the files that take the instruction over.
        let mut found = Problems::default();
        let problems = &mut found;
        let inner =
            Context { line, name, written, keyword, flags, rest, heredocs, escape, problems };
        let op = { inner }.op();
        self.problems.extend(found.finish().into_iter().filter(|p| p.rule().is_none()));
        let op = op?;
        let comments = Vec::new();
        let instruction = Box::new(Instruction { span, keyword, code, comments, op });
        Some(Op::Onbuild(Onbuild { trigger, instruction }))
    }
}
