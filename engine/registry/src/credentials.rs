//! Logins, as `config.json` of docker, `auth.json` of podman and secrets of Kubernetes keep them.
//!
//! Format: the `auths`, `credsStore` and `credHelpers` of docker's command line, the protocol of
//! its credential helpers, and the keys with paths of `containers-auth.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use crate::Reference;
use crate::address::{HUB, HUB_ACCOUNT};

/// A credential helper's answer that is under way: what it wrote to its standard output, or none
/// when it ended with a failure. The error says why it could not be run.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;

/// Runs the programs that keep logins.
pub trait CredentialHelper: Send + Sync {
    /// Runs `docker-credential-HELPER get` with the name of a server on its standard input, and
    /// gives its standard output whether it succeeded or not.
    fn get<'a>(&'a self, helper: &'a str, server: &'a str) -> Answer<'a>;
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How one logs in to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// By name and password.
    Password { name: String, password: Secret },
    /// By a token that the token server takes for others.
    Identity(Secret),
    /// By a token for the registry itself.
    Bearer(Secret),
}

/// Logins by registry, and the programs that know others.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// What counts more stands first.
    files: Vec<Kept>,
}

/// The logins of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// By host, or by host and the beginning of a repository's path.
    logins: BTreeMap<String, Login>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(default, rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "lowercase")]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// What a helper writes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    #[serde(default)]
    username: String,
    secret: String,
}

impl Credentials {
    /// Reads docker's `config.json`, or another file of that form: podman's `auth.json`, whose keys
    /// may have a path behind the host, and the `.dockerconfigjson` of a secret of Kubernetes. The
    /// error says what is wrong with it, and nothing of what is in it.
    pub fn from_docker_config(bytes: &[u8]) -> Result<Self, String> {
        // What serde says of a value may quote it.
        let bad = |e: serde_json::Error| {
            format!("it is not what docker writes (line {}, column {})", e.line(), e.column())
        };
        let file: File = serde_json::from_slice(bytes).map_err(bad)?;
        let mut logins = BTreeMap::new();
        for (server, entry) in file.auths.unwrap_or_default() {
            let login = entry.login().map_err(|e| format!("the login of {server:?} {e}"))?;
            if let Some(login) = login {
                // The plain name of a server counts more than an address of the same host.
                let place = place_of(&server).to_owned();
                if place == server {
                    logins.insert(place, login);
                } else {
                    logins.entry(place).or_insert(login);
                }
            }
        }
        let store = file.store.filter(|name| !name.is_empty());
        Ok(Self { files: vec![Kept { logins, helpers: file.helpers.unwrap_or_default(), store }] })
    }

    /// Makes the login of one registry, which a pair of variables of the environment may hold.
    pub fn from_pair(host: &str, name: &str, password: &str) -> Self {
        let login = password_login(name.to_owned(), password.to_owned());
        let logins = BTreeMap::from([(host.to_owned(), login)]);
        Self { files: vec![Kept { logins, ..Kept::default() }] }
    }

    /// Puts several into one. What the first has for a registry counts, be it in the file or with
    /// a program; the next is asked for what it lacks.
    pub fn merge(all: impl IntoIterator<Item = Self>) -> Self {
        Self { files: all.into_iter().flat_map(|one| one.files).collect() }
    }

    pub(crate) fn files(&self) -> &[Kept] {
        &self.files
    }

    /// Whether repositories of a registry may have logins of their own.
    pub(crate) fn tells_repositories_apart(&self, host: &str) -> bool {
        let is_part = |key: &String| {
            let end = names(host).iter().find_map(|name| key.strip_prefix(place_of(name)));
            end.is_some_and(|rest| rest.starts_with('/'))
        };
        self.files.iter().any(|file| file.logins.keys().any(is_part))
    }
}

impl Kept {
    /// The login that the file itself has for a repository: that of the longest path.
    pub(crate) fn login(&self, reference: &Reference) -> Option<&Login> {
        names(&reference.host).iter().map(|name| place_of(name)).find_map(|host| {
            let mut path = format!("{host}/{}", reference.repository);
            loop {
                if let Some(login) = self.logins.get(&path) {
                    return Some(login);
                }
                // The host itself is the last to be looked for.
                let shorter = path.rfind('/')?;
                path.truncate(shorter);
            }
        })
    }

    /// The helper that knows a registry, and the registry's name there.
    pub(crate) fn helper<'a>(&'a self, host: &'a str) -> Option<(&'a str, &'a str)> {
        let names = names(host);
        let own = names.iter().find_map(|name| self.helpers.get(*name));
        let server = *names.first()?;
        let helper = own.or(self.store.as_ref()).filter(|name| !name.is_empty())?;
        Some((helper, server))
    }
}

impl Entry {
    fn login(self) -> Result<Option<Login>, &'static str> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = filled(self.registrytoken) {
            return Ok(Some(Login::Bearer(Secret(token))));
        }
        if let Some(token) = filled(self.identitytoken) {
            return Ok(Some(Login::Identity(Secret(token))));
        }
        let Some(auth) = filled(self.auth) else {
            let pair = filled(self.username).zip(filled(self.password));
            return Ok(pair.map(|(name, password)| password_login(name, password)));
        };
        let decoded = STANDARD.decode(auth.trim()).or_else(|_| STANDARD_NO_PAD.decode(auth.trim()));
        let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or("is no base64 text")?;
        let (name, password) = text.split_once(':').ok_or("has no colon")?;
        // Old versions of docker padded with zeros.
        Ok(Some(password_login(name.to_owned(), password.trim_matches('\0').to_owned())))
    }
}

fn password_login(name: String, password: String) -> Login {
    Login::Password { name, password: Secret(password) }
}

/// Reads what a helper wrote. None where it knows no login; the error says what is wrong.
pub(crate) fn kept(output: &[u8]) -> Result<Option<Login>, String> {
    if let Ok(kept) = serde_json::from_slice::<Told>(output) {
        return Ok(match (kept.username.as_str(), kept.secret) {
            (_, secret) if secret.is_empty() => None,
            ("<token>", token) => Some(Login::Identity(Secret(token))),
            (_, password) => Some(password_login(kept.username, password)),
        });
    }
    let text = String::from_utf8_lossy(output);
    // What docker's own helpers say when there is nothing; it is no failure.
    if text.trim().is_empty() || text.contains("credentials not found") {
        return Ok(None);
    }
    if text.trim_start().starts_with('{') {
        return Err("its answer is not what a credential helper writes".to_owned());
    }
    Err(crate::error::shown(&text))
}

/// The names that a registry may have in the file, best first.
fn names(host: &str) -> Vec<&str> {
    if host == HUB { vec![HUB_ACCOUNT, "index.docker.io", HUB] } else { vec![host] }
}

/// What a key is about: the host where it is the address of a server, else the host with the path
/// of the repositories.
fn place_of(key: &str) -> &str {
    let address = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let rest = address.unwrap_or(key).trim_end_matches('/');
    match rest.split_once('/') {
        Some((host, path)) if address.is_some() || matches!(path, "v1" | "v2") => host,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Credentials {
        Credentials::from_docker_config(text.as_bytes()).unwrap()
    }

    fn password(name: &str, password: &str) -> Login {
        password_login(name.to_owned(), password.to_owned())
    }

    #[test]
    fn logins_are_found_by_every_name_of_a_registry() {
        let joe = STANDARD.encode("joe:pa:ss\0\0");
        let hub =
            read(&format!(r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{joe}"}}}}}}"#));
        assert_eq!(login(&hub, "docker.io"), Some(&password("joe", "pa:ss")));
        assert_eq!(login(&hub, "ghcr.io"), None);
        let other = read(&format!(
            r#"{{"auths":{{"http://r.example:5000/v2/":{{"username":"a","password":"b"}},
                "r.example:5000":{{"auth":"{joe}"}},
                "t.example":{{"identitytoken":"id","auth":"{joe}"}},
                "e.example":{{}}}},"psFormat":"x"}}"#
        ));
        assert_eq!(login(&other, "r.example:5000"), Some(&password("joe", "pa:ss")));
        assert_eq!(login(&other, "t.example"), Some(&Login::Identity(Secret("id".to_owned()))));
        assert_eq!(login(&other, "e.example"), None);
        assert_eq!(login(&other, "r.example"), None);
    }

    /// The login of a registry, or of a repository of it.
    fn login<'a>(of: &'a Credentials, name: &str) -> Option<&'a Login> {
        let (host, repository) = name.split_once('/').unwrap_or((name, "any"));
        let (host, repository) = (host.to_owned(), repository.to_owned());
        let reference = Reference { host, repository, tag: None, digest: None };
        of.files.iter().find_map(|file| file.login(&reference))
    }

    #[test]
    fn longest_path_of_a_repository_counts() {
        let auths = |keys: &[&str]| {
            let entry = |key: &&str| format!(r#""{key}":{{"username":"{key}","password":"x"}}"#);
            let all: Vec<String> = keys.iter().map(entry).collect();
            read(&format!(r#"{{"auths":{{{}}}}}"#, all.join(",")))
        };
        let keys = ["quay.io", "quay.io/team", "quay.io/team/app", "docker.io/joe", "r.example/"];
        let file = auths(&keys);
        for (name, wanted) in [
            ("quay.io/other", Some("quay.io")),
            ("quay.io/team/web", Some("quay.io/team")),
            ("quay.io/team/app", Some("quay.io/team/app")),
            ("quay.io/team/app/x", Some("quay.io/team/app")),
            ("quay.io/team/apple", Some("quay.io/team")),
            ("docker.io/joe/app", Some("docker.io/joe")),
            ("docker.io/library/debian", None),
            ("r.example/a", Some("r.example/")),
        ] {
            assert_eq!(login(&file, name).cloned(), wanted.map(|n| password(n, "x")), "{name}");
        }
        assert!(file.tells_repositories_apart("quay.io"));
        assert!(file.tells_repositories_apart("docker.io"));
        assert!(!file.tells_repositories_apart("r.example"));
        assert!(!auths(&["https://index.docker.io/v1/"]).tells_repositories_apart("docker.io"));
        let own = auths(&["index.docker.io/v1/"]);
        assert_eq!(login(&own, "docker.io/a").cloned(), Some(password("index.docker.io/v1/", "x")));
    }

    #[test]
    fn first_of_several_files_counts() {
        let pair = Credentials::from_pair("r.example", "env", "x");
        let file = read(
            r#"{"auths":{"r.example":{"username":"file","password":"x"},
                "s.example":{"username":"file","password":"x"}}}"#,
        );
        let both = Credentials::merge([pair, file]);
        assert_eq!(login(&both, "r.example"), Some(&password("env", "x")));
        assert_eq!(login(&both, "s.example"), Some(&password("file", "x")));
        assert!(!format!("{both:?}").contains("\"x\""));
    }

    #[test]
    fn helpers_go_by_registry_and_then_by_the_store() {
        let file = read(r#"{"credsStore":"all","credHelpers":{"gcr.io":"gcloud"}}"#);
        assert_eq!(file.files[0].helper("gcr.io"), Some(("gcloud", "gcr.io")));
        assert_eq!(file.files[0].helper("ghcr.io"), Some(("all", "ghcr.io")));
        assert_eq!(file.files[0].helper("docker.io"), Some(("all", "https://index.docker.io/v1/")));
        assert_eq!(read("{}").files[0].helper("gcr.io"), None);
    }

    #[test]
    fn answers_of_helpers() {
        let some = br#"{"ServerURL":"x","Username":"joe","Secret":"s"}"#;
        assert_eq!(kept(some), Ok(Some(password("joe", "s"))));
        let token = br#"{"ServerURL":"x","Username":"<token>","Secret":"s"}"#;
        assert_eq!(kept(token), Ok(Some(Login::Identity(Secret("s".to_owned())))));
        assert_eq!(kept(b"credentials not found in native keychain\n"), Ok(None));
        assert_eq!(kept(b""), Ok(None));
        assert!(kept(b"keychain is locked\x1b[2J\n").is_err_and(|e| e == "keychain is locked [2J"));
        assert!(kept(br#"{"Secret":{"a":"geheim"}}"#).is_err_and(|e| !e.contains("geheim")));
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let broken = [
            r#"{"auths":{"a":{"auth":["geheim"]}}}"#,
            r#"{"auths":{"a":{"auth":"geheim!"}}}"#,
            r#"{"auths":"geheim"}"#,
            "geheim",
        ];
        for text in broken {
            let error = Credentials::from_docker_config(text.as_bytes()).unwrap_err();
            assert!(!error.contains("geheim"), "{error}");
        }
        let whole = read(
            r#"{"auths":{"a":{"username":"joe","password":"geheim"},"b":{"identitytoken":"geheim"}}}"#,
        );
        assert!(!format!("{whole:?}").contains("geheim"));
    }
}
