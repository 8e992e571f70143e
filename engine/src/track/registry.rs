//! Registries: the client of a run, with docker's logins, and pulling.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mabuild_lang::reference;
use mabuild_oci::Digest;
use mabuild_registry::{Answer, Client, CredentialHelper, Credentials, Error, Options, Reference};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::{Shared, wrong};
use crate::facts::FactError;

/// The largest `config.json` that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// How long a program that keeps logins may take; it may have to ask a person.
const PATIENCE: Duration = Duration::from_secs(60);

impl From<Error> for FactError {
    fn from(e: Error) -> Self {
        Self { blames_upstream: e.blames_registry(), message: e.message }
    }
}

/// Brings an image into the store's layout.
pub(super) async fn pull(
    shared: &Arc<Shared>,
    manifest: &str,
    location: &str,
) -> Result<(), FactError> {
    let digest = super::local::digest(manifest)?;
    let reference = read(location)?.with_digest(digest);
    client(shared)?.pull_manifest(&reference, shared.store.layout()).await?;
    Ok(())
}

/// Reads a complete reference.
pub(super) fn read(text: &str) -> Result<Reference, FactError> {
    let parsed =
        reference::parse(text).map_err(|e| wrong(format!("`{text}` {}: {}", e.label, e.help)))?;
    let digest = parsed.digest.map(Digest::parse).transpose().map_err(|e| wrong(e.to_string()))?;
    Ok(Reference {
        host: parsed.repository.host.unwrap_or("docker.io").to_owned(),
        repository: parsed.repository.path.to_owned(),
        tag: parsed.tag.map(str::to_owned),
        digest,
    })
}

/// The client of the run; the first to ask makes it.
pub(super) fn client(shared: &Arc<Shared>) -> Result<&Client, FactError> {
    shared.registry.get_or_init(|| new(shared)).as_ref().map_err(Clone::clone)
}

fn new(shared: &Arc<Shared>) -> Result<Client, FactError> {
    let http = &shared.options.http;
    let env = shared.options.env.clone();
    let listening = Arc::downgrade(shared);
    let progress = move |name: &str, done: u64, all: u64| {
        let Some(shared) = listening.upgrade() else { return };
        let listener = shared.on_download.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(listener) = listener {
            listener(name, done, Some(all));
        }
    };
    let options = Options {
        credentials: credentials(shared)?,
        helper: Some(Arc::new(Programs { env })),
        offline: http.offline,
        per_host: http.per_host,
        attempts: http.attempts,
        pause: http.pause,
        longest_pause: http.longest_pause,
        stall_timeout: http.stall_timeout,
        seed: http.seed,
        progress: Some(Arc::new(progress)),
        ..Options::default()
    };
    let connections = shared.client.clone();
    Ok(Client::new(Arc::new(move |url| connections.connection(url)), options))
}

/// Docker's logins: `$DOCKER_CONFIG/config.json`, else that of the home folder.
fn credentials(shared: &Shared) -> Result<Credentials, FactError> {
    let folder = match (shared.env("DOCKER_CONFIG"), shared.env("HOME")) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, Some(home)) => PathBuf::from(home).join(".docker"),
        (None, None) => return Ok(Credentials::default()),
    };
    let path = folder.join("config.json");
    let bad = |e: &dyn std::fmt::Display| {
        wrong(format!("the logins in {} cannot be read: {e}", path.display()))
    };
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Credentials::default()),
        Err(e) => return Err(bad(&e)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| bad(&e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(bad(&"it is larger than a mebibyte"));
    }
    Credentials::from_docker_config(&bytes).map_err(|e| bad(&e))
}

/// Runs credential helpers with the environment that was given.
struct Programs {
    env: BTreeMap<String, String>,
}

impl CredentialHelper for Programs {
    fn get<'a>(&'a self, helper: &'a str, server: &'a str) -> Answer<'a> {
        Box::pin(async move {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if !helper.bytes().all(plain) {
                return Err("its name is not that of a program".to_owned());
            }
            let program = format!("docker-credential-{helper}");
            match tokio::time::timeout(PATIENCE, self.run(&program, server)).await {
                Ok(done) => done.map_err(|e| e.to_string()),
                Err(_) => Err(format!("it gave no answer for {PATIENCE:?}")),
            }
        })
    }
}

impl Programs {
    async fn run(&self, program: &str, server: &str) -> std::io::Result<Vec<u8>> {
        let mut child = Command::new(program)
            .arg("get")
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its question may still answer.
            let _unread = stdin.write_all(format!("{server}\n").as_bytes()).await;
        }
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LARGEST).read_to_end(&mut output).await?;
        }
        child.wait().await?;
        Ok(output)
    }
}
