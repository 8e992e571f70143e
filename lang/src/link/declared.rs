//! Arguments and secrets of images against what their Dockerfiles declare and use.

use std::collections::HashSet;
use std::sync::Arc;

use mabuild_dockerfile::{AUTOMATIC_ARGS, Dockerfile, MountFlag, MountKind, Op, Stage};

use crate::config::Recipe;
use crate::diag::Diagnostic;
use crate::source::{FileId, Span};
use crate::suggest::did_you_mean;

use super::recipes::{Known, place};
use super::variants::Family;

/// Arguments that every RUN sees without ARG, in upper case; they are known in lower case too.
const PROXIES: [&str; 5] = ["ALL_PROXY", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];

/// A secret that a Dockerfile mounts.
#[derive(Debug)]
pub(crate) struct SecretMount {
    stage: usize,
    /// None where a variable is in it.
    id: Option<String>,
    required: bool,
    span: Span,
}

/// What all Dockerfiles of one image declare and use, over its platforms and variants.
#[derive(Default)]
pub(super) struct Declared {
    recipes: Vec<Arc<Recipe>>,
    used: HashSet<String>,
    /// A secret whose name is not known is mounted.
    some_used: bool,
    told: HashSet<Span>,
    /// Something could not be read, so that what it uses is not known.
    is_broken: bool,
}

impl Declared {
    pub fn broken(&mut self) {
        self.is_broken = true;
    }

    /// Takes note of a Dockerfile of an image; reports the secrets that it needs and that the image
    /// lacks. `stages` are those that are built.
    pub fn read(
        &mut self,
        family: &Family,
        known: &Known,
        stages: impl FnOnce() -> Vec<usize>,
        out: &mut Vec<Diagnostic>,
    ) {
        if !self.recipes.iter().any(|recipe| Arc::ptr_eq(recipe, &known.recipe)) {
            self.recipes.push(known.recipe.clone());
        }
        if known.secrets.is_empty() {
            return;
        }
        let stages: HashSet<usize> = stages().into_iter().collect();
        for mount in known.secrets.iter().filter(|mount| stages.contains(&mount.stage)) {
            let Some(id) = &mount.id else {
                self.some_used = true;
                continue;
            };
            let has = family.body.secrets.iter().any(|secret| *secret.id.value == **id);
            if has {
                self.used.insert(id.clone());
            } else if mount.required && self.told.insert(mount.span) {
                out.push(undeclared(id, mount.span, family));
            }
        }
    }

    /// Reports the arguments and secrets of an image that none of its Dockerfiles uses. Those of a
    /// template are for several images, and some of these may have no use for them.
    pub fn report(&self, family: &Family, out: &mut Vec<Diagnostic>) {
        if self.is_broken || self.recipes.is_empty() {
            return;
        }
        let body = &family.body;
        let own = |span: Span| {
            span.file == body.span.file
                && body.span.start <= span.start
                && span.end <= body.span.end
        };
        for secret in body.secrets.iter().filter(|secret| own(secret.span) && !self.some_used) {
            if !self.used.contains(&*secret.id.value) {
                out.push(unused_secret(&secret.id.value, secret.id.span, &self.file()));
            }
        }
        let args = body.args.iter().chain(body.overrides.iter().flat_map(|over| &over.args));
        let mut args = args.filter(|(name, _)| own(name.span) && !is_known(&name.value)).peekable();
        if args.peek().is_none() {
            return;
        }
        let files = self.recipes.iter().map(|recipe| &recipe.dockerfile);
        let names: HashSet<&str> = files.flat_map(arguments).collect();
        for (name, _) in args.filter(|(name, _)| !names.contains(&*name.value)) {
            let near = did_you_mean(&name.value, names.iter().copied());
            out.push(unused_arg(&name.value, name.span, &self.file(), near));
        }
    }

    /// The Dockerfile, in words.
    fn file(&self) -> String {
        match self.recipes.as_slice() {
            [recipe] => format!("`{}`", recipe.path),
            _ => "its Dockerfiles".to_owned(),
        }
    }
}

fn undeclared(id: &str, span: Span, family: &Family) -> Diagnostic {
    let name = &family.body.name;
    Diagnostic::warning(
        "mabuild::lang::secret",
        span,
        format!("this step needs the secret `{id}`, which `{}` does not declare", name.value),
        "fails without it",
    )
    .and(name.span, format!("declares no `{id}`"))
    .help(format!("write `secret \"{id}\" env=\"…\"` in the image, or leave `required` out"))
}

fn unused_secret(id: &str, span: Span, file: &str) -> Diagnostic {
    Diagnostic::warning(
        "mabuild::lang::secret",
        span,
        format!("nothing that is built of {file} mounts the secret `{id}`"),
        "not used",
    )
    .help(format!("write `RUN --mount=type=secret,id={id} …` where it is needed, or remove it"))
}

fn unused_arg(name: &str, span: Span, file: &str, near: Option<&str>) -> Diagnostic {
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write `ARG {name}` in the Dockerfile where it is needed, or remove it"),
    };
    Diagnostic::warning(
        "mabuild::lang::arg",
        span,
        format!("no ARG of {file} declares `{name}`"),
        "changes nothing",
    )
    .help(help)
}

/// Whether an argument means something without ARG.
fn is_known(name: &str) -> bool {
    let is_proxy = || {
        let upper = name.to_ascii_uppercase();
        PROXIES.contains(&upper.as_str()) && (name == upper || name == name.to_ascii_lowercase())
    };
    name.starts_with("BUILDKIT_")
        || name == "SOURCE_DATE_EPOCH"
        || AUTOMATIC_ARGS.contains(&name)
        || is_proxy()
}

/// The names of all ARGs, also of those that are handed on.
fn arguments(file: &Dockerfile) -> impl Iterator<Item = &str> {
    let args = file.arguments().map(|(_, arg)| arg);
    let handed = file.stages.iter().flat_map(triggers).flat_map(|op| match op {
        Op::Arg(list) => list.as_slice(),
        _ => &[],
    });
    args.chain(handed).map(|arg| arg.name.raw.as_str())
}

fn triggers(stage: &Stage) -> impl Iterator<Item = &Op> {
    stage.instructions.iter().filter_map(|instruction| match &instruction.op {
        Op::Onbuild(onbuild) => Some(&onbuild.instruction.op),
        _ => None,
    })
}

/// The secrets that a Dockerfile mounts, stage by stage.
pub(super) fn secret_mounts(file: &Dockerfile, id: FileId) -> Arc<[SecretMount]> {
    let escape = file.directives.escape;
    let mut found = Vec::new();
    for stage in &file.stages {
        let own = stage.instructions.iter().map(|instruction| (&instruction.op, true));
        // What is handed on may never be run, but is a use.
        let ops = own.chain(triggers(stage).map(|op| (op, false)));
        for (op, is_own) in ops {
            let Op::Run(run) = op else { continue };
            for flag in &run.mounts {
                if let Some((name, required)) = secret(flag, escape) {
                    let (stage, span) = (stage.index, place(flag.text.span, id));
                    let required = required && is_own;
                    found.push(SecretMount { stage, id: name, required, span });
                }
            }
        }
    }
    found.into()
}

/// The name of the secret that is mounted, where it is known, and whether it must be there; none
/// for another mount.
fn secret(flag: &MountFlag, escape: char) -> Option<(Option<String>, bool)> {
    let text = flag.text.raw.as_str();
    if text.contains('$') {
        return text.contains("secret").then_some((None, false));
    }
    let mount = flag.resolve(escape, &|_| None).ok()?;
    if mount.kind != MountKind::Secret {
        return None;
    }
    let below = |path: &String| path.rsplit('/').next().map(str::to_owned);
    let name = mount.source.or(mount.id).or_else(|| mount.target.as_ref().and_then(below));
    Some((name, mount.required))
}
