//! What FROM says.

use std::collections::HashSet;

use crate::ast::{Dockerfile, Stage, Word};
use crate::expand::{self, Expanded};
use crate::globals::{AUTOMATIC_ARGS, Globals};
use crate::image;
use crate::platform;
use crate::problem::{Problem, Problems, did_you_mean};
use crate::stages::Stages;

/// Checks the FROM of every stage.
pub(super) fn check(file: &Dockerfile, stages: &Stages<'_>, problems: &mut Problems) {
    let arguments = Arguments::new(file);
    let mut looked_up: HashSet<&str> = HashSet::new();
    for stage in &file.stages {
        problems.within(&stage.comments);
        arguments.check(&stage.from, problems);
        if let Some(word) = &stage.platform
            && let Some(expanded) = arguments.check(word, problems)
        {
            platform_of(stage, word, &expanded, problems);
        }
        stage_elsewhere(stages, stage, &mut looked_up, problems);
    }
    default_images(file, problems);
}

/// The names of ARGs.
struct Arguments<'f> {
    /// Those that FROM sees.
    global: HashSet<&'f str>,
    /// Those in stages.
    local: HashSet<&'f str>,
    escape: char,
}

impl<'f> Arguments<'f> {
    fn new(file: &'f Dockerfile) -> Self {
        let mut global = HashSet::from(AUTOMATIC_ARGS);
        let mut local = HashSet::new();
        for (stage, arg) in file.arguments() {
            let names = if stage.is_none() { &mut global } else { &mut local };
            names.insert(arg.name.raw.as_str());
        }
        Self { global, local, escape: file.directives.escape }
    }

    /// Checks a word of FROM; every variable stands for its own name.
    fn check(&self, word: &Word, problems: &mut Problems) -> Option<Expanded> {
        if word.is_plain() {
            return Some(Expanded { text: word.raw.clone(), ..Expanded::default() });
        }
        if problems.is_full() {
            return None;
        }
        let own_name = |name: &str| Some(name.to_owned());
        let expanded = match expand::word(word, self.escape, &own_name) {
            Ok(expanded) => expanded,
            Err(problem) => {
                problems.push(problem);
                return None;
            }
        };
        for name in expanded.found.iter().filter(|name| !self.global.contains(name.as_str())) {
            let message =
                format!("FROM uses `{name}`, which no ARG before the first FROM declares");
            problems.push(
                Problem::warning(code!("undefined-arg-in-from"), word.span, message)
                    .label("has no value")
                    .help(self.help(name)),
            );
        }
        Some(expanded)
    }

    fn help(&self, name: &str) -> String {
        if self.local.contains(name) {
            return format!(
                "put `ARG {name}` before the first FROM; those in stages do not count here"
            );
        }
        // The limit keeps hostile files from comparing everything with everything.
        let mut known: Vec<&str> = self.global.iter().copied().take(1000).collect();
        known.sort_unstable();
        did_you_mean(name, known)
            .unwrap_or_else(|| format!("put `ARG {name}=default` before the first FROM"))
    }
}

/// Checks `--platform`, in which every variable stands for its own name.
fn platform_of(stage: &Stage, word: &Word, expanded: &Expanded, problems: &mut Problems) {
    const TARGET: &str = "TARGETPLATFORM";
    if expanded.found.len() == 1 && expanded.found.contains(TARGET) && expanded.text == TARGET {
        let message = format!("`{}` is the platform of a stage anyway", word.raw);
        problems.push(
            Problem::warning(code!("redundant-target-platform"), word.span, message)
                .label("changes nothing")
                .help("leave `--platform` out"),
        );
    }
    if !expanded.found.is_empty() {
        return;
    }
    let Some(platform) = platform::parse(&expanded.text) else {
        let message = format!("`{}` is no platform", expanded.text);
        return problems.push(
            Problem::error(code!("bad-platform"), word.span, message)
                .label("not understood")
                .help("write it like `linux/arm64` or `linux/arm/v7`"),
        );
    };
    let name = stage.name.as_ref().map_or("", |name| name.raw.as_str());
    // Images are built on Linux where no other system is named.
    let os = platform.os.unwrap_or_else(|| "linux".to_owned());
    if name.contains(&os) || platform.machine.is_some_and(|machine| name.contains(&machine)) {
        return;
    }
    let message = format!("the stage is built for `{}` on every platform", expanded.text);
    problems.push(
        Problem::warning(code!("from-platform-flag-const-disallowed"), word.span, message)
            .label("a constant")
            .help(
                "use `$BUILDPLATFORM` or `$TARGETPLATFORM`, or put the platform into the stage's name",
            ),
    );
}

/// FROM sees earlier stages only, and by their lower-case names.
fn stage_elsewhere<'f>(
    stages: &Stages<'f>,
    stage: &'f Stage,
    looked_up: &mut HashSet<&'f str>,
    problems: &mut Problems,
) {
    let name = stage.from.raw.as_str();
    if stages.above(stage.index, name).is_some() {
        return;
    }
    let lower = name.to_lowercase();
    if lower != name && stages.above(stage.index, &lower).is_some() {
        let message = format!("`{name}` is an image here, and no image can be called so");
        return problems.push(
            Problem::error(code!("stage-name-in-capitals"), stage.from.span, message)
                .label("not the stage")
                .help(format!("write `FROM {lower}`: names of stages are in lower case")),
        );
    }
    // Each name is told once.
    if stages.below(stage.index, name).is_some() && looked_up.insert(name) {
        let message = format!("`{name}` is an image here, because the stage `{name}` comes later");
        problems.push(
            Problem::warning(code!("stage-comes-later"), stage.from.span, message)
                .label("not the stage")
                .help("move that stage above, or give it a name that is no image's"),
        );
    }
}

/// So many bytes of names are looked at.
const BUDGET: usize = 32 << 20;

/// Every image must have a name that can be one when no argument is given from outside.
fn default_images(file: &Dockerfile, problems: &mut Problems) {
    let Some(target) = file.stages.last() else { return };
    let has_default =
        |name: &str| file.args.iter().any(|arg| arg.name.raw == name && arg.default.is_some());
    let declared: Vec<&str> = AUTOMATIC_ARGS.into_iter().filter(|name| has_default(name)).collect();
    let automatic = |name: &str| if declared.contains(&name) { None } else { stand_in(name) };
    let Ok(globals) = Globals::new(file, target, &automatic) else { return };
    let mut seen = HashSet::new();
    let mut budget = BUDGET;
    for stage in &file.stages {
        if stage.from.raw.is_empty() || !seen.insert(stage.from.raw.as_str()) {
            continue;
        }
        let Ok(name) = globals.expand(&stage.from) else { return };
        let Some(left) = usize::checked_sub(budget, name.len()) else { return };
        budget = left;
        // Brackets pick one of several images for callers who have names of their own.
        let (plain, _) =
            name.split_once('[').filter(|(_, rest)| rest.ends_with(']')).unwrap_or((&name, ""));
        if image::is_name(plain) {
            continue;
        }
        let name: String = name.chars().take(100).collect();
        let (message, help) = if stage.from.is_plain() {
            (format!("no image can be called `{name}`"), "write `name`, `name:tag` or `host/name`")
        } else {
            let message =
                format!("without arguments FROM names the image `{name}`, which no image can be");
            (message, "give the arguments in it defaults that make a name")
        };
        problems.within(&stage.comments);
        problems.push(
            Problem::warning(code!("invalid-default-arg-in-from"), stage.from.span, message)
                .label("no name of an image")
                .help(help),
        );
    }
}

/// Stands for the automatic arguments of a build.
fn stand_in(name: &str) -> Option<String> {
    let value = match name {
        "BUILDPLATFORM" | "TARGETPLATFORM" => "linux/amd64",
        "BUILDOS" | "TARGETOS" => "linux",
        "BUILDARCH" | "TARGETARCH" => "amd64",
        // Empty on most platforms, and on some not.
        "BUILDVARIANT" | "TARGETVARIANT" => "v1",
        "BUILDOSVERSION" | "TARGETOSVERSION" => "",
        _ => return None,
    };
    Some(value.to_owned())
}
