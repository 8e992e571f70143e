//! RUN.

use mabuild_dockerfile::{self as ast, MountFlag, MountKind, Script};
use mabuild_lang::source::Span;

use super::{Body, From, Lowering};
use crate::facts::{ContextAsk, FilesAsk};
use crate::lower::LowerError;
use crate::spec::{Asked, Bound, Command, Mount, Mounted, Op, Program, Run};

impl Lowering<'_> {
    pub(super) fn run(
        &mut self,
        run: &ast::Run,
        body: &mut Body<'_>,
        span: Span,
    ) -> Result<Op<Asked>, LowerError> {
        if run.security == Some(ast::Security::Insecure) {
            let message = "`--security=insecure` asks for rights over this machine, which no build \
                           gets here; leave it out, or build this image with BuildKit";
            return Err(LowerError { message: message.to_owned(), span });
        }
        if let Some(device) = run.devices.first() {
            let message = "devices of this machine are not given to a build".to_owned();
            return Err(LowerError { message, span: self.recipe.span(device.name.span) });
        }
        let program = match run.script() {
            Script::Exec(words) => Program::Command(Command::Exec(words)),
            Script::Shell(text) => Program::Command(Command::Shell(text)),
            Script::File { name, content } => Program::Script { name, content },
        };
        let mut mounts = Vec::with_capacity(run.mounts.len());
        for flag in &run.mounts {
            mounts.push(self.mount(flag, body)?);
        }
        let network = match run.network {
            Some(ast::Network::None) => false,
            Some(ast::Network::Host) => true,
            Some(ast::Network::Default) | None => self.recipe.network,
        };
        Ok(Op::Run(Box::new(Run { program, mounts, network })))
    }

    fn mount(&mut self, flag: &MountFlag, body: &mut Body<'_>) -> Result<Mount<Asked>, LowerError> {
        let span = self.recipe.span(flag.text.span);
        let resolved = flag.resolve(self.recipe.escape(), &|name| body.scope.get(name));
        let mount = resolved.map_err(|problem| self.recipe.told(problem))?;
        let from = match &flag.from {
            Some(word) if !word.raw.is_empty() => Some(self.mounted(body.index, word)?),
            _ => None,
        };
        let target = mount.target.unwrap_or_default();
        let source = mount.source.unwrap_or_default();
        let needs_target = |what: &str| match target.is_empty() {
            true => Err(LowerError { message: format!("a {what} mount needs a `target`"), span }),
            false => Ok(()),
        };
        let what = match mount.kind {
            MountKind::Bind => {
                needs_target("bind")?;
                let from = self.bound(from, &source);
                Mounted::Bind { from, source, writable: !mount.read_only }
            }
            MountKind::Cache => {
                needs_target("cache")?;
                Mounted::Cache {
                    id: mount.id.unwrap_or_else(|| clean(&target)),
                    from: from.map(|from| (self.bound(Some(from), &source), source)),
                    sharing: mount.sharing,
                    writable: !mount.read_only,
                    mode: mount.mode.unwrap_or(0o755),
                    uid: mount.uid.unwrap_or(0),
                    gid: mount.gid.unwrap_or(0),
                }
            }
            MountKind::Tmpfs => {
                needs_target("tmpfs")?;
                Mounted::Tmpfs { size: mount.size }
            }
            MountKind::Secret => {
                let named = mount.id.or_else(|| (!source.is_empty()).then_some(source));
                let last = || target.rsplit('/').next().map(str::to_owned);
                let id = named.or_else(last).filter(|id| !id.is_empty());
                let id = id.or_else(|| mount.env.clone()).unwrap_or_default();
                let secret = Mounted::Secret {
                    id: id.clone(),
                    env: mount.env.clone(),
                    required: mount.required,
                    mode: mount.mode.unwrap_or(0o400),
                    uid: mount.uid.unwrap_or(0),
                    gid: mount.gid.unwrap_or(0),
                };
                // A secret in a variable is a file only where that was asked for too.
                let target = match target.is_empty() && mount.env.is_none() {
                    true => format!("/run/secrets/{}", id.rsplit('/').next().unwrap_or(&id)),
                    false => target,
                };
                return Ok(Mount { target, what: secret });
            }
            MountKind::Ssh => Mounted::Ssh {
                id: mount.id.unwrap_or_else(|| "default".to_owned()),
                required: mount.required,
                mode: mount.mode.unwrap_or(0o600),
                uid: mount.uid.unwrap_or(0),
                gid: mount.gid.unwrap_or(0),
            },
        };
        Ok(Mount { target, what })
    }

    /// What a mount shows files of; the build context when nothing is named.
    fn bound(&self, from: Option<From>, source: &str) -> Bound<Asked> {
        let folder = match from {
            Some(From::Image(image)) => return Bound::Image(image),
            Some(From::Nothing) => return Bound::Scratch,
            Some(From::Folder(folder)) => folder,
            None => self.recipe.context.clone(),
        };
        let path = match source.trim_matches('/') {
            "" => ".",
            path => path,
        };
        // With their folders, so that the files are found under their paths.
        Bound::Files(match self.recipe.files(folder, vec![path.to_owned()]) {
            FilesAsk::Context(ask) => FilesAsk::Context(ContextAsk { parents: true, ..ask }),
            other => other,
        })
    }
}

/// A path without `.`, `..` and doubled slashes.
fn clean(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." if out.last().is_some_and(|last| *last != "..") => {
                out.pop();
            }
            ".." if path.starts_with('/') => {}
            part => out.push(part),
        }
    }
    match path.starts_with('/') {
        true => format!("/{}", out.join("/")),
        false if out.is_empty() => ".".to_owned(),
        false => out.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn paths_are_cleaned() {
        assert_eq!(clean("/a//b/../c/./"), "/a/c");
        assert_eq!(clean("/../.."), "/");
        assert_eq!(clean("a/../../b"), "../b");
        assert_eq!(clean("."), ".");
    }
}
