//! Logins for registries: the files of docker, podman and Kubernetes, programs that keep them, and
//! the environment.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mabuild_registry::{Answer, CredentialHelper, Credentials};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::wrong;
use crate::facts::FactError;

/// The largest file of logins that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// How long a program that keeps logins may take; it may have to ask a person.
const PATIENCE: Duration = Duration::from_secs(60);
/// What variables begin with that hold a login; the host follows in capital letters, with `_` in
/// place of all that is no letter and no digit.
const VARIABLE: &str = "MABUILD_REGISTRY_LOGIN_";
/// What stands for the environment among the programs that keep logins: no program is called so.
const ENVIRONMENT: &str = "$environment";
/// Docker Hub, as those programs are asked for it.
const HUB_ACCOUNT: &str = "https://index.docker.io/v1/";

/// All logins of a machine. What is said for this program counts most, then what docker has, then
/// what podman has.
pub(super) fn credentials(env: &BTreeMap<String, String>) -> Result<Credentials, FactError> {
    let mut all = Vec::new();
    if in_environment(env)? {
        let text = json!({ "credsStore": ENVIRONMENT }).to_string();
        all.push(Credentials::from_docker_config(text.as_bytes()).map_err(wrong)?);
    }
    for (path, is_needed) in files(env) {
        all.extend(read(&path, is_needed)?);
    }
    Ok(Credentials::merge(all))
}

/// Whether variables hold logins. Fails on one that holds something else.
fn in_environment(env: &BTreeMap<String, String>) -> Result<bool, FactError> {
    let mut given = env.iter().filter(|(name, value)| {
        name.strip_prefix(VARIABLE).is_some_and(|host| !host.is_empty()) && !value.is_empty()
    });
    let mut is_any = false;
    let bad = given.find(|(_, value)| {
        is_any = true;
        value.split_once(':').is_none_or(|(name, _)| name.is_empty())
    });
    match bad {
        Some((name, _)) => Err(wrong(format!("${name} does not hold `NAME:PASSWORD`"))),
        None => Ok(is_any),
    }
}

/// The files that may hold logins, what counts most first, each with whether it must be there.
fn files(env: &BTreeMap<String, String>) -> Vec<(PathBuf, bool)> {
    let var = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = var("HOME");
    let mut files = Vec::new();
    if let Some(secret) = var("MABUILD_DOCKERCONFIGJSON") {
        // A secret of Kubernetes may be mounted as a whole folder.
        let is_folder = secret.is_dir();
        files.push((if is_folder { secret.join(".dockerconfigjson") } else { secret }, true));
    }
    files.extend(var("REGISTRY_AUTH_FILE").map(|file| (file, false)));
    match (var("DOCKER_CONFIG"), &home) {
        (Some(folder), _) => {
            files.push((folder.join("config.json"), false));
            files.push((folder.join(".dockerconfigjson"), false));
        }
        (None, Some(home)) => files.push((home.join(".docker/config.json"), false)),
        (None, None) => {}
    }
    let config = var("XDG_CONFIG_HOME").or_else(|| Some(home?.join(".config")));
    let podman = var("XDG_RUNTIME_DIR").into_iter().chain(config);
    files.extend(podman.map(|folder| (folder.join("containers/auth.json"), false)));
    files
}

/// The logins of a file; none where it is not there, or empty.
fn read(path: &Path, is_needed: bool) -> Result<Option<Credentials>, FactError> {
    let bad = |e: &dyn std::fmt::Display| {
        wrong(format!("the logins in {} cannot be read: {e}", path.display()))
    };
    let is_missing = |e: &std::io::Error| {
        matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) && !is_needed
    };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if is_missing(&e) => return Ok(None),
        Err(e) => return Err(bad(&e)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| bad(&e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(bad(&"it is larger than a mebibyte"));
    }
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    Credentials::from_docker_config(&bytes).map(Some).map_err(|e| bad(&e))
}

/// Runs credential helpers with the environment that was given, but for the logins in it.
pub(super) struct Programs {
    env: BTreeMap<String, String>,
}

impl Programs {
    pub fn new(env: BTreeMap<String, String>) -> Self {
        Self { env }
    }

    /// What a variable holds for a server, in the words of a credential helper.
    fn variable(&self, server: &str) -> Vec<u8> {
        let host = if server == HUB_ACCOUNT { "docker.io" } else { server };
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let name = format!("{VARIABLE}{}", host.chars().map(plain).collect::<String>());
        let login = self.env.get(&name).and_then(|value| value.split_once(':'));
        let Some((name, password)) = login else { return Vec::new() };
        json!({ "ServerURL": server, "Username": name, "Secret": password }).to_string().into()
    }

    async fn run(&self, program: &str, server: &str) -> std::io::Result<Vec<u8>> {
        let env = self.env.iter().filter(|(name, _)| !name.starts_with(VARIABLE));
        let mut child = Command::new(program)
            .arg("get")
            .env_clear()
            .envs(env)
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

impl CredentialHelper for Programs {
    fn get<'a>(&'a self, helper: &'a str, server: &'a str) -> Answer<'a> {
        Box::pin(async move {
            if helper == ENVIRONMENT {
                return Ok(self.variable(server));
            }
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

#[cfg(test)]
#[path = "tests/logins.rs"]
mod tests;
