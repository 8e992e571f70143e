//! `image run`: a program in an image, or a shell at the point before a failed step.

use std::sync::Arc;

use mabuild_lang::platform::Platform;

use super::images::{ReadRequest, Reader};
use super::supply::Outside;
use super::{Cancel, Env, ErrorKind, OpError};
use crate::event::FailureKind;
use crate::exec::Fault;
use crate::exec::native::Native;
pub use crate::exec::native::shell::Ended;
use crate::exec::native::shell::{Defaults, Shell};

/// What is to be run where.
#[derive(Clone, Debug)]
pub struct ShellRequest {
    /// Where.
    pub at: ShellAt,
    /// The words; none for the shell of a point, or for the command of an image.
    pub command: Vec<String>,
    /// What takes the place of the entry point of an image.
    pub entrypoint: Option<String>,
    /// More variables.
    pub vars: Vec<(String, String)>,
    /// `user[:group]` in place of the usual one.
    pub user: Option<String>,
    /// Working directory in place of the usual one.
    pub workdir: Option<String>,
    /// Whether there is a network besides loopback; none for what is usual there.
    pub network: Option<bool>,
    /// How an image or an emulator is brought.
    pub read: ReadRequest,
}

/// Where a program is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShellAt {
    /// At a point that a failed build has left.
    Point(String),
    /// In an image of the store, or of a registry.
    Image {
        /// NAME, NAME:TAG, a digest, or a reference with its registry.
        reference: String,
        /// Its platform; none for this machine's own, or the only one.
        platform: Option<Platform>,
    },
}

/// Runs a program to its end. `begin` is told the words that failed where it runs, if any did.
pub fn shell(
    env: &Env,
    request: &ShellRequest,
    cancel: &Cancel,
    begin: &dyn Fn(&[String]),
) -> Result<Ended, OpError> {
    let reader = Reader::open(env, &request.read)?;
    let overlay = env.vars.get("MABUILD_OVERLAY").is_none_or(|v| v != "0");
    let host = mabuild_sandbox::probe();
    let native = Native::new(
        reader.store.clone(),
        Arc::new(Outside { tracking: reader.tracking.clone(), cache: None, lock: None }),
        host,
        1,
        overlay,
    );
    let mut shell = match &request.at {
        ShellAt::Point(name) => {
            let mut shell = native.point(name).map_err(wrong)?;
            if let Some(user) = &request.user {
                native.become_user(&mut shell, user).map_err(wrong)?;
            }
            if !request.command.is_empty() {
                shell.command.clone_from(&request.command);
            }
            shell
        }
        ShellAt::Image { reference, platform } => {
            let found = reader.find(reference)?;
            let image = reader.own(&found, platform.as_ref())?;
            reader.runnable(&found, &image)?;
            let platform =
                Platform::parse(&image.shown()).map_err(|e| unrunnable(reference, &e))?;
            let manifest = image.descriptor.digest.to_string();
            let inside = native.inside(&manifest, platform, request.user.as_deref());
            let (mut shell, defaults) = inside.map_err(wrong)?;
            shell.command = words(request, defaults);
            shell
        }
    };
    if shell.command.is_empty() {
        let message = "the image has neither an entry point nor a command";
        let error = OpError::new(ErrorKind::User, "mabuild::engine::shell", message);
        return Err(error.help("write what to run behind its name"));
    }
    adjust(request, &mut shell);
    begin(&shell.failed);
    cancel.begin();
    native.shell(&shell, cancel.handle()).map_err(wrong)
}

/// The words of a program in an image, as `docker run` puts them together.
fn words(request: &ShellRequest, defaults: Defaults) -> Vec<String> {
    let Defaults { entrypoint, cmd } = defaults;
    let (mut words, cmd) = match &request.entrypoint {
        // An entry point of one's own has nothing to do with the image's command.
        Some(own) => ([own.clone()].into_iter().filter(|word| !word.is_empty()).collect(), vec![]),
        None => (entrypoint, cmd),
    };
    match request.command.is_empty() {
        true => words.extend(cmd),
        false => words.extend(request.command.iter().cloned()),
    }
    words
}

fn adjust(request: &ShellRequest, shell: &mut Shell) {
    for (name, value) in &request.vars {
        shell.set(name, value);
    }
    if let Some(workdir) = &request.workdir {
        shell.workdir = match workdir.starts_with('/') {
            true => workdir.clone(),
            false => format!("{}/{workdir}", shell.workdir.trim_end_matches('/')),
        };
    }
    shell.network = request.network.unwrap_or(shell.network);
}

fn unrunnable(reference: &str, why: &dyn std::fmt::Display) -> OpError {
    let message = format!("`{reference}` cannot be run here: {why}");
    OpError::new(ErrorKind::User, "mabuild::engine::platform", message)
}

fn wrong(fault: Fault) -> OpError {
    let kind = match fault.kind {
        FailureKind::Step => ErrorKind::User,
        FailureKind::Environment => ErrorKind::Environment,
        FailureKind::Upstream => ErrorKind::Upstream,
        FailureKind::Bug => ErrorKind::Bug,
    };
    OpError::new(kind, "mabuild::engine::shell", fault.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entrypoint: Option<&str>, command: &[&str]) -> Vec<String> {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let request = ShellRequest {
            at: ShellAt::Point(String::new()),
            command: list(command),
            entrypoint: entrypoint.map(str::to_owned),
            vars: Vec::new(),
            user: None,
            workdir: None,
            network: None,
            read: ReadRequest::default(),
        };
        words(&request, Defaults { entrypoint: list(&["/entry", "-x"]), cmd: list(&["cmd"]) })
    }

    #[test]
    fn words_are_put_together_as_docker_does() {
        assert_eq!(of(None, &[]), ["/entry", "-x", "cmd"]);
        assert_eq!(of(None, &["a", "b"]), ["/entry", "-x", "a", "b"]);
        assert_eq!(of(Some("/sh"), &[]), ["/sh"]);
        assert_eq!(of(Some("/sh"), &["-c", "x"]), ["/sh", "-c", "x"]);
        assert_eq!(of(Some(""), &["a"]), ["a"]);
    }
}
