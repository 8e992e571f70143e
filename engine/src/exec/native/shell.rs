//! A program in an image or at a point of a build, for a person: nothing of what it changes is
//! kept.

use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_oci::{Descriptor, Digest};
use mabuild_sandbox::{CancelHandle, RunSpec, Stdio};

use super::inner::{ExitReply, RunReply, RunRequest};
use super::layers::Layer;
use super::point::{POINT_FORMAT, Point};
use super::run::{Job, surround};
use super::users::User;
use super::{Native, Stop};
use crate::exec::{Fault, Knobs, Private, Progress, StepAt};
use crate::spec::DEFAULT_PATH;

/// A program that is about to run, and where.
pub struct Shell {
    /// The words.
    pub command: Vec<String>,
    /// Variables.
    pub env: Vec<(String, String)>,
    /// Working directory, absolute.
    pub workdir: String,
    /// Whether it has a network besides loopback.
    pub network: bool,
    /// The words that failed here; empty in an image.
    pub failed: Vec<String>,
    platform: Platform,
    layers: Vec<Layer>,
    user: User,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It was cancelled.
    Cancelled,
}

/// The command and the entry point of an image.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub cmd: Vec<String>,
}

impl Shell {
    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }
}

impl Native {
    /// The shell at a point that a failed build has left.
    pub fn point(&self, name: &str) -> Result<Shell, Fault> {
        let unknown = || {
            Fault::step(format!(
                "there is no point `{name}`; a failed step says the name of the one before it"
            ))
        };
        let text = self.store.memo("point", name).ok_or_else(unknown)?;
        let point: Point = serde_json::from_str(&text).map_err(|_| unknown())?;
        if point.version != POINT_FORMAT {
            let message = format!("another version of mabuild has left the point `{name}`");
            return Err(Fault::step(message + "; build again"));
        }
        let platform = Platform::parse(&point.platform).map_err(|_| unknown())?;
        let mut layers = Vec::with_capacity(point.layers.len());
        for (diff_id, digest, size, media_type) in point.layers {
            let diff_id = Digest::parse(&diff_id).map_err(|_| unknown())?;
            let digest = Digest::parse(&digest).map_err(|_| unknown())?;
            layers.push(Layer { diff_id, descriptor: Descriptor::new(media_type, digest, size) });
        }
        let swept = layers.iter().any(|l| !self.store.layout().has(&l.descriptor.digest));
        if swept {
            let message = format!("the layers of the point `{name}` were swept out of the store");
            return Err(Fault::step(message + "; build again and look before `mabuild store gc`"));
        }
        let (uid, gid, groups) = point.user;
        let shell = point.shell.first().cloned().unwrap_or_else(|| "/bin/sh".to_owned());
        Ok(Shell {
            command: vec![shell],
            env: point.env,
            workdir: point.workdir,
            network: point.network,
            failed: point.command,
            platform,
            layers,
            user: User { uid, gid, groups, home: String::new() },
        })
    }

    /// A program in an image, as its config says; its words are left to the caller.
    pub fn inside(
        &self,
        manifest: &str,
        platform: Platform,
        user: Option<&str>,
    ) -> Result<(Shell, Defaults), Fault> {
        let below = self.below(&Arc::from(manifest))?;
        let config = below.config.config;
        let user = self.user_in(&below.layers, user.unwrap_or(&config.user))?;
        let mut shell = Shell {
            command: Vec::new(),
            env: Vec::new(),
            workdir: match config.working_dir.as_str() {
                "" => "/".to_owned(),
                path => path.to_owned(),
            },
            network: true,
            failed: Vec::new(),
            platform,
            layers: below.layers,
            user,
        };
        let home = shell.user.home.clone();
        shell.set("PATH", DEFAULT_PATH);
        shell.set("HOME", &home);
        for line in &config.env {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            shell.set(name, value);
        }
        let words = |words: Option<Vec<String>>| words.unwrap_or_default();
        Ok((shell, Defaults { entrypoint: words(config.entrypoint), cmd: words(config.cmd) }))
    }

    fn user_in(&self, layers: &[Layer], name: &str) -> Result<User, Fault> {
        match name {
            "" => Ok(User::root()),
            name => self.tables(layers, &*self.view(layers)?)?.user(name),
        }
    }

    /// Changes who a shell runs as: `user[:group]`, looked up where it runs.
    pub fn become_user(&self, shell: &mut Shell, name: &str) -> Result<(), Fault> {
        shell.user = self.user_in(&shell.layers, name)?;
        Ok(())
    }

    /// Runs a program to its end, with a terminal of its own where this process has one, else with
    /// the input and outputs of this process.
    pub fn shell(&self, shell: &Shell, cancel: &CancelHandle) -> Result<Ended, Fault> {
        match self.run_shell(shell, cancel) {
            Ok(ended) => Ok(ended),
            Err(Stop::Cancelled) => Ok(Ended::Cancelled),
            Err(Stop::Fault(_)) if cancel.is_cancelled() => Ok(Ended::Cancelled),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }

    fn run_shell(&self, shell: &Shell, cancel: &CancelHandle) -> Result<Ended, Stop> {
        let knobs = Knobs {
            cancel: cancel.clone(),
            threads: 1,
            progress: Arc::new(Mute),
            private: Arc::new(Private::default()),
            fresh: false,
            apart: None,
        };
        let emulator = self.emulator(&shell.platform)?;
        let (trees, _) = self.trees(&shell.layers, &knobs)?;
        let path = self.store.temp_dir().map_err(|e| Fault::environment(e.to_string()))?;
        let job = Job { native: self, path };
        let mut run = RunSpec::new("/", shell.command.iter().cloned());
        run.env.clone_from(&shell.env);
        run.cwd = shell.workdir.clone().into();
        run.make_cwd = true;
        run.stdio = Stdio::of_caller();
        surround(&mut run, &shell.user, shell.network);
        run.bits32 = emulator.is_none() && shell.platform.arch == "386";
        run.emulator = emulator;
        let request = RunRequest {
            job: job.path.clone(),
            trees,
            run,
            mounts: Vec::new(),
            owner: (shell.user.uid, shell.user.gid),
            clamp_mtime: 0,
            threads: 1,
            copy: self.copies(),
            keep: false,
            installs: false,
        };
        let reply: RunReply = self.call_attached("run", &request, &knobs)?;
        Ok(match reply.exit {
            ExitReply::Code(code) => Ended::Code(code),
            ExitReply::Signal(signal) => Ended::Signal(signal),
        })
    }
}

/// Tells nobody: a shell has no steps, and its output goes its own way.
struct Mute;

impl Progress for Mute {
    fn step(&self, _: StepAt<'_>, _: &str, _: bool) {}
    fn output(&self, _: &[u8]) {}
}
