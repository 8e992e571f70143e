//! `image load`: images into a running Docker or Podman.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mabuild_lang::platform::Platform;

use super::export::{Dest, Form, write};
use super::images::{ReadRequest, Reader};
use super::{Env, ErrorKind, OpError};

/// How long a runtime may take to say that it runs.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of what a program says that are kept.
const SAID: u64 = 64 << 10;

/// What runs containers on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Docker, where its daemon answers.
    Docker,
    /// Podman.
    Podman,
}

impl Runtime {
    /// Its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// Words that succeed where it can take images.
    fn question(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["version", "--format", "{{.Server.Version}}"],
            Self::Podman => &["version"],
        }
    }
}

/// What is loaded into what.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// Images of the store or of registries.
    pub images: Vec<String>,
    /// Their platform; none means that of this machine.
    pub platform: Option<Platform>,
    /// The runtime; none takes the first that runs.
    pub into: Option<Runtime>,
}

/// An image that a runtime has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The name it was found by.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// Digest of its configuration, which runtimes call the id of an image.
    pub id: String,
    /// Who has it.
    pub runtime: Runtime,
}

/// Loads images one after the other; `each` hears of every one that is there.
pub fn load(
    env: &Env,
    read: &ReadRequest,
    request: &LoadRequest,
    each: &mut dyn FnMut(&Loaded),
) -> Result<(), OpError> {
    let reader = Reader::open(env, read)?;
    let runtime = runtime(env, request.into)?;
    for name in &request.images {
        let mut found = reader.find(name)?;
        let image = reader.own(&found, request.platform.as_ref())?;
        found.root = image.descriptor.clone();
        // Before the program starts: it would wait for what is still on its way.
        reader.whole(&found.root)?;
        let mut program = Program::start(env, runtime.program(), &["load"])?;
        let sent = match program.child.stdin.take() {
            Some(mut stdin) => {
                let dest = Dest::Stream(&mut stdin);
                write(&reader, &found, name, Form::DockerArchive, dest).map(drop)
            }
            None => Ok(()),
        };
        let (ended, said) = program.end(None)?;
        if !ended {
            // An archive that broke off is told by both.
            let why = sent.map_or_else(|e| format!("; {e}"), |()| String::new());
            let message = format!("{} did not take `{name}`: {said}{why}", runtime.program());
            return Err(OpError::new(ErrorKind::Environment, "mabuild::engine::load", message));
        }
        sent?;
        each(&Loaded {
            name: found.name,
            platform: image.shown(),
            id: image.manifest.config.digest.to_string(),
            runtime,
        });
    }
    Ok(())
}

/// The runtime that is asked for, or the first that runs.
fn runtime(env: &Env, wanted: Option<Runtime>) -> Result<Runtime, OpError> {
    let asked: &[Runtime] = match wanted {
        Some(Runtime::Docker) => &[Runtime::Docker],
        Some(Runtime::Podman) => &[Runtime::Podman],
        None => &[Runtime::Docker, Runtime::Podman],
    };
    let mut reasons = Vec::new();
    for runtime in asked {
        let answer = Program::start(env, runtime.program(), runtime.question())
            .and_then(|program| program.end(Some(PATIENCE)));
        match answer {
            Ok((true, _)) => return Ok(*runtime),
            Ok((false, said)) => reasons.push(format!("{}: {said}", runtime.program())),
            Err(e) => reasons.push(e.message),
        }
    }
    let message = format!("there is nothing to load into: {}", reasons.join("; "));
    let error = OpError::new(ErrorKind::Environment, "mabuild::engine::load", message);
    Err(error.help(
        "start Docker or install Podman; `mabuild image export --to docker-archive FILE` writes what both read elsewhere",
    ))
}

/// A program whose outputs are heard.
struct Program {
    name: &'static str,
    child: Child,
    outputs: Vec<JoinHandle<String>>,
}

impl Program {
    fn start(env: &Env, name: &'static str, words: &[&str]) -> Result<Self, OpError> {
        let mut command = Command::new(name);
        command.args(words).env_clear().envs(&env.vars).current_dir(&env.cwd);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| {
            let message = format!("{name} cannot be started: {e}");
            OpError::new(ErrorKind::Environment, "mabuild::engine::load", message)
        })?;
        let mut outputs = Vec::new();
        outputs.extend(child.stderr.take().map(heard));
        outputs.extend(child.stdout.take().map(heard));
        Ok(Self { name, child, outputs })
    }

    /// Waits for the end; gives whether it succeeded, and what it said.
    fn end(mut self, patience: Option<Duration>) -> Result<(bool, String), OpError> {
        drop(self.child.stdin.take());
        let failed = |e: std::io::Error| {
            let message = format!("{} cannot be waited for: {e}", self.name);
            OpError::new(ErrorKind::Environment, "mabuild::engine::load", message)
        };
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(failed)? {
                break status;
            }
            if patience.is_some_and(|patience| begun.elapsed() > patience) {
                // One that ends right now needs no end.
                let _ended = self.child.kill();
                self.child.wait().map_err(failed)?;
                return Ok((false, format!("it gave no answer for {PATIENCE:?}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let said = self.outputs.into_iter().filter_map(|output| output.join().ok());
        let said: Vec<String> = said.filter(|text| !text.trim().is_empty()).collect();
        let said = said.first().map_or_else(|| status.to_string(), |text| text.trim().to_owned());
        Ok((status.success(), said))
    }
}

/// Hears an output to its end, and keeps its beginning.
fn heard(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // Whoever says no more has said what there is.
        let _kept = pipe.by_ref().take(SAID).read_to_end(&mut bytes);
        let _rest = std::io::copy(&mut pipe, &mut std::io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
