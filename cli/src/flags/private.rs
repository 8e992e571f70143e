//! `--secret` and `--ssh`: what steps may see and nobody else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fields;

/// The largest secret, in bytes: as large as BuildKit's.
const LARGEST: u64 = 500 << 10;

/// A secret, of which only the place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The id that the mount names.
    pub id: String,
    file: Option<PathBuf>,
    variable: Option<String>,
}

/// Reads `id=ID,src=FILE` or `id=ID,env=VARIABLE`; of an id alone, the variable of that name holds
/// it, or else the file.
pub fn secret(text: &str) -> Result<Secret, String> {
    let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
    for (name, value) in fields(text)? {
        let value = value.ok_or("write it as id=ID,src=FILE or id=ID,env=VARIABLE")?;
        match name.as_str() {
            "id" => id = Some(value),
            "src" | "source" => file = Some(value),
            "env" => variable = Some(value),
            "type" if matches!(value.as_str(), "file" | "env") => kind = Some(value),
            "type" => return Err(format!("there is no type `{value}`: write file or env")),
            other => return Err(format!("`{other}` is not known here")),
        }
    }
    if kind.as_deref() == Some("env") && variable.is_none() {
        variable = file.take();
    }
    let id = id.filter(|id| !id.is_empty()).ok_or("it has no `id`")?;
    Ok(Secret { id, file: file.map(PathBuf::from), variable })
}

/// The value of a secret. The error names neither it nor a part of it.
pub fn value_of(
    secret: &Secret,
    vars: &BTreeMap<String, String>,
    cwd: &Path,
) -> Result<Arc<[u8]>, String> {
    let named = secret.variable.as_ref();
    let named = named.or_else(|| Some(&secret.id).filter(|_| secret.file.is_none()));
    match named.and_then(|name| vars.get(name)) {
        Some(value) => return Ok(value.as_bytes().into()),
        None if secret.variable.is_some() => {
            let name = named.map_or("", |name| name);
            return Err(format!("the variable {name} is not set"));
        }
        None => {}
    }
    let path = cwd.join(secret.file.as_deref().unwrap_or(Path::new(&secret.id)));
    let read = || {
        let mut bytes = Vec::new();
        File::open(&path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let bytes = read().map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    match bytes.len() as u64 > LARGEST {
        true => Err(format!("{} is larger than {} KiB", path.display(), LARGEST >> 10)),
        false => Ok(bytes.into()),
    }
}

/// An agent that is to be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The id that the mount names.
    pub id: String,
    socket: Option<PathBuf>,
}

/// Reads `ID` or `ID=SOCKET`.
pub fn agent(text: &str) -> Result<Agent, String> {
    let (id, socket) = match text.split_once('=') {
        Some((id, socket)) => (id, Some(socket)),
        None => (text, None),
    };
    if id.is_empty() || socket == Some("") {
        return Err("write it as default, ID, or ID=SOCKET".to_owned());
    }
    Ok(Agent { id: id.to_owned(), socket: socket.map(PathBuf::from) })
}

/// The socket of an agent.
pub fn agent_of(
    agent: &Agent,
    vars: &BTreeMap<String, String>,
    cwd: &Path,
) -> Result<PathBuf, String> {
    let usual = || vars.get("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
    let socket = agent.socket.clone().or_else(usual);
    let socket =
        socket.ok_or("SSH_AUTH_SOCK is not set; start an agent with `eval $(ssh-agent)`")?;
    let path = cwd.join(socket);
    match std::fs::metadata(&path) {
        Err(e) => Err(format!("{}: {e}", path.display())),
        Ok(meta) if meta.file_type().is_socket() => Ok(path),
        Ok(_) => Err(format!(
            "{} is not the socket of an agent; keys are not read, add it to one with `ssh-add`",
            path.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<String, String> {
        let vars = [("TOKEN".to_owned(), "from-env".to_owned())].into();
        let cwd = tempfile_dir();
        std::fs::write(cwd.join("file"), "from-file").unwrap();
        let found = value_of(&secret(text)?, &vars, &cwd);
        std::fs::remove_dir_all(&cwd).unwrap();
        found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn tempfile_dir() -> PathBuf {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("mabuild-flags-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn secrets_are_found_as_buildx_finds_them() {
        assert_eq!(value("id=a,src=file").unwrap(), "from-file");
        assert_eq!(value("id=a,env=TOKEN").unwrap(), "from-env");
        assert_eq!(value("id=TOKEN").unwrap(), "from-env");
        assert_eq!(value("id=file").unwrap(), "from-file");
        assert_eq!(value("type=env,id=a,src=TOKEN").unwrap(), "from-env");
        for bad in ["id=a", "id=a,env=NONE", "src=file", "id", "id=a,mode=1", "type=x,id=a"] {
            assert!(value(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_agent_is_a_socket() {
        let none = BTreeMap::new();
        let of = |text: &str| agent_of(&agent(text).unwrap(), &none, Path::new("/"));
        assert!(of("default").unwrap_err().contains("SSH_AUTH_SOCK"));
        assert!(of("key=/etc/passwd").unwrap_err().contains("ssh-add"));
        assert!(agent("=x").is_err() && agent("a=").is_err());
    }
}
