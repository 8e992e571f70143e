//! What a Dockerfile says, instruction by instruction. Words are as written: variables are not
//! expanded, quotes stand. Only exec-form (JSON) words and flags are already unquoted, as BuildKit
//! does it before it expands.

use std::time::Duration;

use crate::mount::MountFlag;
use crate::problem::Span;

/// A piece of text and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Word {
    /// The text before expansion, continuation lines joined.
    pub raw: String,
    /// Where it stands; longer than `raw` when a line break or an unquoted character is within.
    pub span: Span,
}

impl Word {
    /// Gives the place of a part of the text, or of the whole word when something was left out of
    /// the text so that positions within it are unknown.
    pub fn part(&self, start: usize, end: usize) -> Span {
        if self.span.len() != self.raw.len() || end > self.raw.len() {
            return self.span;
        }
        let base = self.span.start as usize;
        Span::new(base + start, base + end)
    }

    /// Whether the shell lexer would change the text: without it the word is its own expansion.
    pub fn is_plain(&self) -> bool {
        !self.raw.contains(['$', '"', '\'', '\\', '`'])
    }
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// The comments at the top that are instructions to the reader of the file.
    pub directives: Directives,
    /// The arguments before the first FROM, in their order.
    pub args: Vec<ArgDecl>,
    /// The stages, in their order.
    pub stages: Vec<Stage>,
}

/// The parser directives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=`: the front end that the author asks for.
    pub syntax: Option<Word>,
    /// `# check=`: which checks are skipped.
    pub check: Option<Word>,
    /// `# escape=`: the character that escapes and continues lines, `\` or a backtick.
    pub escape: char,
}

/// One FROM and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The FROM instruction.
    pub span: Span,
    /// The FROM instruction as text, continuation lines joined and comments within left out.
    pub code: String,
    /// The comments right above FROM.
    pub comments: Vec<Word>,
    /// The position among the stages, as `--from=0` counts.
    pub index: usize,
    /// The image or the earlier stage that this one starts from; empty when FROM is broken.
    pub from: Word,
    /// The name, lower-case.
    pub name: Option<Word>,
    /// `--platform`.
    pub platform: Option<Word>,
    /// The instructions, in their order; those that could not be read are missing.
    pub instructions: Vec<Instruction>,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// All its lines, with its heredocs.
    pub span: Span,
    /// The first word.
    pub keyword: Span,
    /// The instruction as text, continuation lines joined; comments within and heredocs are left
    /// out.
    pub code: String,
    /// The comments right above it, without `#` and the white space around.
    pub comments: Vec<Word>,
    /// What it says.
    pub op: Op,
}

/// What an instruction says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// `ADD`
    Add(Add),
    /// `ARG`
    Arg(Vec<ArgDecl>),
    /// `CMD`
    Cmd(Command),
    /// `COPY`
    Copy(Copy),
    /// `ENTRYPOINT`
    Entrypoint(Command),
    /// `ENV`
    Env(Vec<Pair>),
    /// `EXPOSE`
    Expose(Vec<Word>),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `LABEL`
    Label(Vec<Pair>),
    /// `MAINTAINER`
    Maintainer(Word),
    /// `ONBUILD`
    Onbuild(Onbuild),
    /// `RUN`
    Run(Box<Run>),
    /// `SHELL`
    Shell(Vec<Word>),
    /// `STOPSIGNAL`
    Stopsignal(Word),
    /// `USER`
    User(Word),
    /// `VOLUME`
    Volume(Vec<Word>),
    /// `WORKDIR`
    Workdir(Word),
}

/// `NAME` or `NAME=default` of an ARG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgDecl {
    /// The name; never expanded.
    pub name: Word,
    /// The default, which is expanded only when no value comes from outside.
    pub default: Option<Word>,
}

/// `KEY=value` of ENV and LABEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The key.
    pub key: Word,
    /// The value.
    pub value: Word,
}

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `["program", "argument"]`: the words of the command, run without a shell.
    Exec(Vec<Word>),
    /// Text for the shell.
    Shell(Word),
}

/// Lines that stand below the instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it; COPY and ADD name the file so.
    pub name: String,
    /// The word that begins it: `<<EOF`.
    pub span: Span,
    /// The lines, line ends and leading tabs as they stand.
    pub body: String,
    /// Where the lines stand.
    pub body_span: Span,
    /// Whether variables in it are expanded: no part of the delimiter was quoted.
    pub expand: bool,
    /// Whether leading tabs go: `<<-`.
    pub strip_tabs: bool,
    /// The number before `<<`; 0 if there is none.
    pub fd: u32,
}

impl Heredoc {
    /// Gives the lines, leading tabs gone if `<<-` was written.
    pub fn content(&self) -> String {
        if !self.strip_tabs {
            return self.body.clone();
        }
        self.body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// A source of COPY or ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path, a glob, or for ADD a URL or git repository.
    Path(Word),
    /// A file that is written here.
    Heredoc(Heredoc),
}

/// What COPY and ADD have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// What is copied; one at least.
    pub sources: Vec<Source>,
    /// Where to.
    pub dest: Word,
    /// `--chown`
    pub chown: Option<Word>,
    /// `--chmod`
    pub chmod: Option<Word>,
    /// `--link`
    pub link: bool,
    /// `--exclude`, any number of them; never expanded.
    pub exclude: Vec<Word>,
}

/// `COPY`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// Sources, destination and the flags that ADD has too.
    pub files: Transfer,
    /// `--from`: a stage, its number, a named context or an image; never expanded.
    pub from: Option<Word>,
    /// `--parents`
    pub parents: bool,
}

/// `ADD`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Add {
    /// Sources, destination and the flags that COPY has too.
    pub files: Transfer,
    /// `--checksum`
    pub checksum: Option<Word>,
    /// `--keep-git-dir`
    pub keep_git_dir: bool,
    /// `--unpack`, if it is given.
    pub unpack: Option<bool>,
}

/// `RUN`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// `--mount`, in their order.
    pub mounts: Vec<MountFlag>,
    /// `--network`
    pub network: Option<Network>,
    /// `--security`
    pub security: Option<Security>,
    /// `--device`, in their order.
    pub devices: Vec<Device>,
    /// The command as it stands on the instruction's own lines.
    pub command: Command,
    /// The lines that belong to it, in their order.
    pub heredocs: Vec<Heredoc>,
}

/// `--network` of RUN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// As the build says.
    Default,
    /// No network.
    None,
    /// The host's network.
    Host,
}

/// `--security` of RUN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// The usual limits.
    Sandbox,
    /// No limits.
    Insecure,
}

/// `--device` of RUN: a device by its CDI name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The name; empty for any.
    pub name: Word,
    /// Whether the step fails without it.
    pub required: bool,
}

/// `HEALTHCHECK`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: what the base says is off.
    None,
    /// `CMD …`
    Check(Check),
}

/// `HEALTHCHECK CMD`. What is not given, or given as zero, is left to the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is run.
    pub command: Command,
    /// `--interval`
    pub interval: Option<Duration>,
    /// `--timeout`
    pub timeout: Option<Duration>,
    /// `--start-period`
    pub start_period: Option<Duration>,
    /// `--start-interval`
    pub start_interval: Option<Duration>,
    /// `--retries`
    pub retries: Option<u32>,
}

/// `ONBUILD`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onbuild {
    /// What an image's config keeps: the instruction as text, heredocs behind it.
    pub trigger: String,
    /// The instruction.
    pub instruction: Box<Instruction>,
}

impl Healthcheck {
    /// Gives `Test` of an image's config: the kind of check and its words.
    pub fn test(&self) -> Vec<String> {
        let (kind, words) = match self {
            Self::None => ("NONE", Vec::new()),
            Self::Check(Check { command: Command::Exec(words), .. }) => {
                ("CMD", words.iter().map(|word| word.raw.clone()).collect())
            }
            Self::Check(Check { command: Command::Shell(text), .. }) => {
                ("CMD-SHELL", vec![text.raw.clone()])
            }
        };
        [kind.to_owned()].into_iter().chain(words).collect()
    }
}

impl Transfer {
    fn expandable(&mut self) -> impl Iterator<Item = &mut Word> {
        let paths = self.sources.iter_mut().filter_map(|source| match source {
            Source::Path(path) => Some(path),
            Source::Heredoc(_) => None,
        });
        paths.chain([&mut self.dest]).chain(&mut self.chown).chain(&mut self.chmod)
    }
}

impl Op {
    /// Calls a function with every word in which variables are expanded. Mounts of RUN and heredocs
    /// have ways of their own; commands are expanded by the shell, and ONBUILD when it is run.
    pub(crate) fn each_expandable(&mut self, see: &mut dyn FnMut(&mut Word)) {
        match self {
            Self::Add(add) => add.files.expandable().chain(&mut add.checksum).for_each(see),
            Self::Copy(copy) => copy.files.expandable().for_each(see),
            Self::Arg(list) => list.iter_mut().flat_map(|arg| &mut arg.default).for_each(see),
            Self::Env(list) | Self::Label(list) => {
                list.iter_mut().flat_map(|pair| [&mut pair.key, &mut pair.value]).for_each(see);
            }
            Self::Expose(words) | Self::Volume(words) => words.iter_mut().for_each(see),
            Self::Stopsignal(word) | Self::User(word) | Self::Workdir(word) => see(word),
            Self::Cmd(_)
            | Self::Entrypoint(_)
            | Self::Healthcheck(_)
            | Self::Maintainer(_)
            | Self::Onbuild(_)
            | Self::Run(_)
            | Self::Shell(_) => {}
        }
    }

    /// Gives the instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::Stopsignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }
}
