//! A whole file: instructions in their order become global arguments and stages.

use std::collections::HashMap;

use crate::ast::{Directives, Dockerfile, Instruction, Op, Stage, Word};
use crate::check;
use crate::directive;
use crate::line::{Line, Reader, without_end};
use crate::problem::{Problem, Problems, Span};
use crate::read::{From, Read, read};

/// Longer texts are not read, in bytes.
pub const MAX_BYTES: usize = 16 << 20;

/// What was read, and all that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Everything that could be read.
    pub file: Dockerfile,
    /// Errors and warnings in the order of the text.
    pub problems: Vec<Problem>,
}

/// Reads a Dockerfile. Never fails: what cannot be read is a problem and missing in the value.
pub fn parse(text: &str) -> Parsed {
    let mut problems = Problems::default();
    let mut reader = Reader::new(text);
    let mut file = Dockerfile {
        directives: Directives { syntax: None, check: None, escape: '\\' },
        args: Vec::new(),
        stages: Vec::new(),
    };
    if text.len() > MAX_BYTES {
        let message = format!("the file has over {} MiB", MAX_BYTES >> 20);
        let problem = Problem::error(code!("file-too-long"), Span::default(), message);
        problems.push(problem.help("move data into files of the build context"));
        return Parsed { file, problems: problems.finish() };
    }
    problems.extend(long_lines(text));
    file.directives = directive::read(&mut reader, &mut problems);
    let names = HashMap::new();
    let mut builder = Builder { file, problems, names, after_run: false, is_empty: true };
    while let Some(line) = reader.logical() {
        builder.line(&line, &mut reader);
    }
    builder.finish(text)
}

/// BuildKit takes no lines of so many bytes.
const TOO_LONG: usize = 64 << 10;

/// Finds lines that BuildKit refuses.
fn long_lines(text: &str) -> impl Iterator<Item = Problem> {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = at;
        at += line.len();
        let end = start + without_end(line).len();
        (line.trim_end_matches('\n').len() >= TOO_LONG).then(|| {
            let message = format!("the line has {} KiB or more", TOO_LONG >> 10);
            Problem::error(code!("line-too-long"), Span::new(start, end), message)
                .label("too long")
                .help("break the line, or move the data into a file of the build context")
        })
    })
}

/// Reads what an image's config keeps of an ONBUILD: one instruction. The spans are positions in
/// the given text.
pub fn parse_trigger(text: &str) -> (Option<Instruction>, Vec<Problem>) {
    let mut problems = Problems::default();
    let mut reader = Reader::new(text);
    let mut found = None;
    if text.len() <= MAX_BYTES
        && let Some(line) = reader.logical()
        && let Read::Instruction(instruction) = read(&line, &mut reader, false, &mut problems)
    {
        found = Some(instruction);
    }
    let is_allowed = |i: &Instruction| !matches!(i.op, Op::Onbuild(_) | Op::Maintainer(_));
    let found = found.filter(is_allowed);
    if found.is_none() || reader.logical().is_some() {
        let span = Span::new(0, text.len());
        problems.push(
            Problem::error(
                code!("bad-trigger"),
                span,
                "the base image's ONBUILD is not one instruction",
            )
            .help("it stands in the config of the base image; build that one anew"),
        );
    }
    (found, problems.finish())
}

struct Builder {
    file: Dockerfile,
    problems: Problems,
    /// The first stage of every name.
    names: HashMap<String, usize>,
    /// Whether the last instruction was RUN, for the help on what may belong to it.
    after_run: bool,
    is_empty: bool,
}

impl Builder {
    fn line(&mut self, line: &Line, reader: &mut Reader<'_>) {
        self.is_empty = false;
        self.problems.within(&line.comments);
        if let Some(blank) = line.blanks.first() {
            self.problems.push(
                Problem::warning(
                    code!("no-empty-continuation"),
                    *blank,
                    "an empty line stands within an instruction",
                )
                .label("the instruction goes on below")
                .help("remove the line, or the escape character before it"),
            );
        }
        match read(line, reader, self.after_run, &mut self.problems) {
            Read::From(from) => {
                self.description(line, "FROM", from.name.iter());
                self.from(from, line.comments.clone());
            }
            Read::Instruction(instruction) => {
                if let Op::Arg(list) = &instruction.op {
                    self.description(line, "ARG", list.iter().map(|arg| &arg.name));
                }
                self.instruction(instruction);
            }
            // What looks like lines of a RUN goes on looking so.
            Read::Broken => return,
        }
        let last = self.file.stages.last().and_then(|stage| stage.instructions.last());
        self.after_run = last.is_some_and(|i| matches!(i.op, Op::Run(_)));
    }

    /// The comment right above a stage or an argument begins with its name.
    fn description<'w>(&mut self, line: &Line, what: &str, names: impl Iterator<Item = &'w Word>) {
        let Some(comment) = line.comments.last() else { return };
        let names: Vec<&str> = names.map(|name| name.raw.as_str()).collect();
        let Some(first) = names.first() else { return };
        if names.contains(&comment.raw.split(' ').next().unwrap_or("")) {
            return;
        }
        let message = format!("the comment on this {what} does not begin with its name");
        self.problems.push(
            Problem::warning(code!("invalid-definition-description"), comment.span, message)
                .label("no description")
                .help(format!("write `# {first} …`, or put an empty line below the comment")),
        );
    }

    fn from(&mut self, from: From, comments: Vec<Word>) {
        let From { span, code, image, name, platform } = from;
        let index = self.file.stages.len();
        if let Some(word) = &name {
            let first = *self.names.entry(word.raw.clone()).or_insert(index);
            if first != index {
                let message = format!("there is a stage `{}` already", word.raw);
                self.problems.push(
                    Problem::warning(code!("duplicate-stage-name"), word.span, message)
                        .label("the same name")
                        .help(format!(
                            "give it another name; the first one is stage {first}, and what comes \
                             below takes this one"
                        )),
                );
            }
        }
        let instructions = Vec::new();
        self.file.stages.push(Stage {
            span,
            code,
            comments,
            index,
            from: image,
            name,
            platform,
            instructions,
        });
    }

    fn instruction(&mut self, instruction: Instruction) {
        match (self.file.stages.last_mut(), instruction.op) {
            (Some(stage), op) => stage.instructions.push(Instruction { op, ..instruction }),
            (None, Op::Arg(list)) => self.file.args.extend(list),
            (None, op) => self.problems.push(
                Problem::error(
                    code!("before-from"),
                    instruction.keyword,
                    format!("{} stands before the first FROM", op.name()),
                )
                .label("belongs to no stage")
                .help("only ARG may; put `FROM image` above"),
            ),
        }
    }

    fn finish(mut self, text: &str) -> Parsed {
        if self.file.stages.is_empty() {
            let end = Span::new(text.trim_end().len(), text.trim_end().len());
            let message = if self.is_empty { "the file is empty" } else { "the file has no FROM" };
            self.problems.push(
                Problem::error(code!("no-stage"), end, message)
                    .label("no stage up to here")
                    .help("begin with `FROM image`"),
            );
        }
        check::file(&self.file, &mut self.problems);
        Parsed { file: self.file, problems: self.problems.finish() }
    }
}
