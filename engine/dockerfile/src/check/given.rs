//! Checks that need more than the text: the ignore file, arguments, what is known of base images.

use std::cell::Cell;

use super::scope::{Scope, Seen};
use super::workdir;
use crate::ast::{ArgDecl, Command, Dockerfile, Instruction, Op, Source, Stage, Transfer, Word};
use crate::expand;
use crate::globals::Globals;
use crate::ignore::Ignore;
use crate::mount::MountFlag;
use crate::platform;
use crate::ports;
use crate::problem::{Problem, Problems, Span, did_you_mean};
use crate::references::triggers;
use crate::remote::{Remote, remote};
use crate::rules::Checks;
use crate::stages::{Base, Stages};

/// What is known of an image that a stage starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// `Env` of its config: `NAME=value`.
    pub env: Vec<String>,
    /// Whether its config has a `Shell`.
    pub has_shell: bool,
    /// The platform it is made for, such as `linux/arm64`.
    pub platform: Option<String>,
}

/// What a build knows beside the text of its Dockerfile.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// The ignore file of the build context; none when COPY is not to be checked.
    pub ignore: Option<&'a Ignore>,
    /// The stage that is asked for, as for [`crate::references`].
    pub target: Option<&'a str>,
    /// Values of arguments, those from outside and the automatic ones such as `TARGETPLATFORM`.
    pub arg: &'a dyn Fn(&str) -> Option<String>,
    /// What is known of the image from outside that a stage starts from. Where it is not known, no
    /// variable counts as undefined, and no SHELL as set.
    pub image: &'a dyn Fn(&Stage) -> Option<Image>,
}

impl Default for Given<'_> {
    fn default() -> Self {
        Self { ignore: None, target: None, arg: &|_| None, image: &|_| None }
    }
}

/// Runs the build checks that [`crate::parse`] cannot: `JSONArgsRecommended`, `UndefinedVar`,
/// `CopyIgnoredFile` and `InvalidBaseImagePlatform`, and of `WorkdirRelativePath`,
/// `ExposeProtoCasing` and `ExposeInvalidFormat` what depends on variables. What the file's
/// `check` directives skip is left out, and is an error where they say so. Nothing is found where
/// the arguments before the first FROM have no values. The problems come in the order of the text.
pub fn check(file: &Dockerfile, given: &Given<'_>) -> Vec<Problem> {
    let value = file.directives.check.as_ref();
    let checks = value.and_then(|word| Checks::read(&word.raw).ok()).unwrap_or_default();
    let mut problems = Problems::new(checks);
    let Ok(target) = file.stage_of_target(given.target) else { return problems.finish() };
    let Ok(globals) = Globals::new(file, target, given.arg) else { return problems.finish() };
    let stages = Stages::new(file);
    let bases: Vec<Option<Base>> =
        file.stages.iter().map(|stage| stages.base(stage, &globals).ok()).collect();
    let mut walk = Walk {
        file,
        plain: plain(file, &bases),
        given,
        globals: &globals,
        escape: file.directives.escape,
        scope: Scope::default(),
        budget: Cell::new(BUDGET),
        problems: &mut problems,
    };
    walk.all(&bases);
    problems.finish()
}

/// How much text all expansions and patterns together may look at, in bytes.
const BUDGET: usize = 256 << 20;
/// So many names are compared for a suggestion.
const MOST_NAMES: usize = 1000;
/// The path that BuildKit gives an image without one.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Arguments that mean something to BuildKit alone.
const OWN_ARGS: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// Says of every stage whether its text and that of the stages below it name what they start from.
fn plain(file: &Dockerfile, bases: &[Option<Base>]) -> Vec<bool> {
    let mut plain: Vec<bool> = Vec::with_capacity(bases.len());
    for (stage, base) in file.stages.iter().zip(bases) {
        let below = match base {
            Some(Base::Stage(index)) => plain.get(*index).copied().unwrap_or(false),
            _ => true,
        };
        plain.push(below && stage.from.is_plain());
    }
    plain
}

struct Walk<'a, 'p> {
    file: &'a Dockerfile,
    plain: Vec<bool>,
    given: &'a Given<'a>,
    globals: &'a Globals<'a>,
    escape: char,
    scope: Scope,
    budget: Cell<usize>,
    problems: &'p mut Problems,
}

/// An instruction in the stage where it works.
#[derive(Clone, Copy)]
struct Step<'a> {
    op: &'a Op,
    /// Where problems of the instruction are shown, for one that the base has handed on.
    place: Option<Span>,
    stage: &'a Stage,
}

impl Step<'_> {
    fn place(self, own: Span) -> Span {
        self.place.unwrap_or(own)
    }
}

impl<'a> Walk<'a, '_> {
    /// Goes through all stages, those that start from another one right behind it, so that no
    /// stage's variables have to be kept.
    fn all(&mut self, bases: &[Option<Base>]) {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); bases.len()];
        let mut open = Vec::new();
        for (index, base) in bases.iter().enumerate().rev() {
            match base {
                Some(Base::Stage(parent)) => {
                    children.get_mut(*parent).into_iter().for_each(|list| list.push(index));
                }
                _ => open.push((index, 0)),
            }
        }
        while let Some((index, mark)) = open.pop() {
            self.scope.back_to(mark);
            let Some(stage) = self.file.stages.get(index) else { continue };
            let base = bases.get(index).and_then(Option::as_ref);
            self.stage(stage, base);
            let mark = self.scope.mark();
            open.extend(children.get(index).into_iter().flatten().map(|child| (*child, mark)));
        }
    }

    fn stage(&mut self, stage: &'a Stage, base: Option<&Base>) {
        let file = self.file;
        let mut handed_on = None;
        match base {
            Some(Base::Stage(index)) => handed_on = file.stages.get(*index),
            Some(Base::Nothing) => self.image(stage, Some(Image::default()), None),
            Some(Base::Outside { platform, .. }) => {
                let image = (self.given.image)(stage);
                self.image(stage, image, platform.as_deref());
            }
            None => self.image(stage, None, None),
        }
        self.problems.within(&stage.comments);
        for op in handed_on.into_iter().flat_map(triggers) {
            self.step(Step { op, place: Some(stage.from.span), stage });
        }
        for Instruction { op, comments, .. } in &stage.instructions {
            self.problems.within(comments);
            self.step(Step { op, place: None, stage });
        }
    }

    fn image(&mut self, stage: &Stage, image: Option<Image>, platform: Option<&str>) {
        self.scope.complete(image.is_some());
        let Some(Image { env, has_shell, platform: actual }) = image else { return };
        self.scope.set("PATH", Some(PATH.to_owned()));
        for pair in env {
            let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
            self.scope.set(name, Some(value.to_owned()));
        }
        self.scope.shell(has_shell);
        let target = || self.globals.get("TARGETPLATFORM");
        let (Some(expected), Some(actual)) = (platform.map(str::to_owned).or_else(target), actual)
        else {
            return;
        };
        let (wanted, found) = (platform::parse(&expected), platform::parse(&actual));
        if wanted.is_some() && found.is_some() && wanted != found {
            let message = format!("the image is made for `{actual}`, not for `{expected}`");
            self.problems.within(&stage.comments);
            self.problems.push(
                Problem::warning(code!("invalid-base-image-platform"), stage.from.span, message)
                    .label("of another platform")
                    .help("use an image that is there for the platform, or say `--platform`"),
            );
        }
    }

    fn spend(&self, bytes: usize) -> bool {
        let left = self.budget.get().checked_sub(bytes.max(1));
        self.budget.set(left.unwrap_or(0));
        left.is_some()
    }

    fn word(&self, word: &Word) -> Seen {
        if !self.spend(word.raw.len()) {
            return Seen::default();
        }
        let seen = self.scope.word(word, self.escape);
        self.spend(seen.text.as_ref().map_or(0, String::len));
        seen
    }

    fn step(&mut self, step: Step<'a>) {
        match step.op {
            Op::Arg(list) => return list.iter().for_each(|arg| self.arg(arg, step)),
            Op::Cmd(command) | Op::Entrypoint(command) => self.command(command, step),
            Op::Expose(words) => words.iter().for_each(|word| self.expose(word, step)),
            Op::Shell(_) => self.scope.shell(true),
            Op::Copy(copy) if copy.from.as_ref().is_none_or(|from| from.raw.is_empty()) => {
                self.ignored(&copy.files, step);
            }
            Op::Add(add) => self.ignored(&add.files, step),
            Op::Workdir(word) => self.workdir(word, step),
            _ => {}
        }
        self.variables(step);
        if let Op::Env(list) = step.op {
            let values: Vec<_> = list
                .iter()
                .map(|pair| (self.word(&pair.key).text, self.word(&pair.value).text))
                .collect();
            for (key, value) in values {
                match key {
                    Some(key) => self.scope.set(&key, value),
                    // Any name may have a value now.
                    None => self.scope.complete(false),
                }
            }
        }
    }

    fn arg(&mut self, arg: &ArgDecl, step: Step<'_>) {
        let name = arg.name.raw.as_str();
        let value = match ((self.given.arg)(name), &arg.default) {
            (Some(value), _) => Some(Some(value)),
            (None, Some(word)) => {
                let seen = self.word(word);
                self.undefined(&seen.undefined, step.place(word.span));
                Some(seen.text)
            }
            (None, None) => self.globals.get(name).map(Some),
        };
        if let Some(value) = value.filter(|_| !OWN_ARGS.contains(&name)) {
            self.scope.set(name, value);
        }
        self.scope.declare(name);
    }

    /// Tells of variables that nothing defines, in everything that is expanded but EXPOSE, of
    /// which BuildKit does not tell either.
    fn variables(&mut self, step: Step<'a>) {
        if matches!(step.op, Op::Expose(_)) {
            return;
        }
        let mut found: Vec<(Vec<String>, Span)> = Vec::new();
        let mut see = |word: &Word| {
            if !word.is_plain() {
                found.push((self.word(word).undefined, word.span));
            }
        };
        match step.op {
            Op::Run(run) => run.mounts.iter().flat_map(MountFlag::values).for_each(see),
            op => op.clone().each_expandable(&mut |word| see(word)),
        }
        for doc in heredocs(step.op).filter(|doc| doc.expand && doc.body.contains('$')) {
            if self.spend(doc.body.len()) {
                let seen = self.scope.seen(|env| {
                    let expanded = expand::heredoc(doc, self.escape, env).ok()?;
                    Some((expanded.text, expanded.missing))
                });
                found.push((seen.undefined, doc.span));
            }
        }
        for (names, span) in found {
            self.undefined(&names, step.place(span));
        }
    }

    fn undefined(&mut self, names: &[String], span: Span) {
        for name in names.iter().filter(|name| !OWN_ARGS.contains(&name.as_str())) {
            if self.problems.is_full() {
                return;
            }
            let help = did_you_mean(name, self.scope.names(MOST_NAMES));
            let help = help.unwrap_or_else(|| format!("put `ARG {name}` or `ENV {name}=…` above"));
            self.problems.push(
                Problem::warning(code!("undefined-var"), span, format!("nothing defines `{name}`"))
                    .label("expands to nothing")
                    .help(help),
            );
        }
    }

    fn command(&mut self, command: &Command, step: Step<'_>) {
        let Command::Shell(text) = command else { return };
        if self.scope.has_shell {
            return;
        }
        let name = step.op.name();
        let message = format!("{name} runs in a shell, which hands no signals on");
        self.problems.push(
            Problem::warning(code!("json-args-recommended"), step.place(text.span), message)
                .label("in shell form")
                .help(format!("write `{name} [\"program\", \"argument\"]`, or set a SHELL")),
        );
    }

    fn expose(&mut self, word: &Word, step: Step<'_>) {
        // Those without variables were checked when they were read.
        if word.is_plain() && step.place.is_none() || !self.spend(word.raw.len()) {
            return;
        }
        let seen = self.scope.seen(|env| {
            let expanded = expand::words(word, self.escape, env).ok()?;
            Some((expanded.words.join(" "), expanded.missing))
        });
        for port in seen.text.iter().flat_map(|text| text.split(' ')) {
            if ports::parse(port).is_ok() {
                self.problems.extend(ports::problems(port, step.place(word.span)));
            }
        }
    }

    fn workdir(&mut self, word: &Word, step: Step<'_>) {
        let path = self.word(word).text;
        // The text alone decides about the others.
        let is_plain = self.plain.get(step.stage.index).copied().unwrap_or(false);
        let is_new = !(is_plain && word.is_plain());
        if let Some(path) = path.filter(|path| is_new && workdir::is_relative(path))
            && !self.scope.has_workdir
        {
            self.problems.push(workdir::problem(step.place(word.span), &path));
        }
        self.scope.workdir();
    }

    fn ignored(&mut self, files: &Transfer, step: Step<'_>) {
        let Some(ignore) = self.given.ignore else { return };
        for source in &files.sources {
            let Source::Path(word) = source else { continue };
            let Some(path) = self.word(word).text else { continue };
            let cost = ignore.cost().saturating_mul(path.split('/').count());
            if !self.spend(cost) || remote(&path) != Remote::No || !ignore.hides(&path) {
                continue;
            }
            let message = format!("`{path}` is left out of the build context by the ignore file");
            self.problems.push(
                Problem::warning(code!("copy-ignored-file"), step.place(word.span), message)
                    .label("not there")
                    .help("take it back with a `!` line at the end of the ignore file"),
            );
        }
    }
}

/// The files that are written within an instruction.
fn heredocs(op: &Op) -> impl Iterator<Item = &crate::Heredoc> {
    let files = match op {
        Op::Add(add) => Some(&add.files),
        Op::Copy(copy) => Some(&copy.files),
        _ => None,
    };
    files.into_iter().flat_map(|files| &files.sources).filter_map(|source| match source {
        Source::Heredoc(doc) => Some(doc),
        Source::Path(_) => None,
    })
}
