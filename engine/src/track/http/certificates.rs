//! Certificates for single hosts of registries: those that the file names, and those that lie
//! where docker and podman look for them.
//!
//! Format: `certs.d/HOST[:PORT]/` of docker's and podman's configuration, with authorities in
//! `*.crt` and what is shown to the host in `NAME.cert` and `NAME.key`.

use std::collections::HashMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mabuild_registry::wire::cause;
use reqwest::{Certificate, Identity, Url};

use super::{Client, builder};
use crate::facts::HostSettings;

/// Most bytes of a file of certificates.
const LARGEST: u64 = 1 << 20;
/// Most files of a folder that are looked at.
const MANY: usize = 100;
/// Where Docker Hub, which references name `docker.io`, answers.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// Connections to hosts that have certificates of their own.
#[derive(Debug)]
pub(crate) struct Certificates {
    hosts: Vec<HostSettings>,
    /// Folders that hold one of each host, what counts most first.
    folders: Vec<PathBuf>,
    /// By host and port; none where a host has no certificates of its own.
    made: Mutex<HashMap<String, Result<Option<reqwest::Client>, String>>>,
}

/// What one host has.
#[derive(Debug, Default)]
struct Own {
    authorities: Vec<Certificate>,
    shown: Option<Identity>,
}

impl Certificates {
    pub fn new(hosts: Vec<HostSettings>, folders: Vec<PathBuf>) -> Self {
        Self { hosts, folders, made: Mutex::default() }
    }

    /// Gives what an address is asked with.
    pub fn connection(&self, client: &Client, url: &Url) -> Result<reqwest::Client, String> {
        if url.scheme() != "https" {
            return client.connection(url);
        }
        let key = format!("{}:{:?}", url.host_str().unwrap_or_default(), url.port());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let own = made.entry(key).or_insert_with(|| self.make(client, url)).clone()?;
        drop(made);
        own.map_or_else(|| client.connection(url), Ok)
    }

    fn make(&self, client: &Client, url: &Url) -> Result<Option<reqwest::Client>, String> {
        let Some(Own { authorities, shown }) = self.own(url)? else { return Ok(None) };
        let make = || {
            let made = builder(&client.inner.options, &client.inner.proxies);
            match &shown {
                Some(identity) => made.identity(identity.clone()),
                None => made,
            }
        };
        // A machine without authorities of its own has those of the host all the same.
        let both = make().tls_certs_merge(authorities.clone()).build();
        let made = both.or_else(|e| match authorities.is_empty() {
            true => Err(e),
            false => make().tls_certs_only(authorities).build(),
        });
        let failed = |e: reqwest::Error| format!("its certificates do not fit: {}", cause(&e));
        made.map(Some).map_err(failed)
    }

    /// The certificates of a host; none where it has none of its own.
    fn own(&self, url: &Url) -> Result<Option<Own>, String> {
        let mut own = match self.folder(url) {
            Some(folder) => of_folder(&folder)?,
            None => Own::default(),
        };
        if let Some(settings) = self.hosts.iter().find(|host| is_at(&host.host, url)) {
            if let Some(ca) = &settings.ca {
                own.authorities = authorities(ca)?;
            }
            if let (Some(cert), Some(key)) = (&settings.cert, &settings.key) {
                own.shown = Some(identity(cert, key)?);
            }
        }
        let is_empty = own.authorities.is_empty() && own.shown.is_none();
        Ok((!is_empty).then_some(own))
    }

    /// The folder of a host: the first that is there.
    fn folder(&self, url: &Url) -> Option<PathBuf> {
        let host = url.host_str()?;
        let mut names = Vec::new();
        names.extend((host == HUB.1).then(|| HUB.0.to_owned()));
        names.extend(url.port().is_none().then(|| host.to_owned()));
        names.push(format!("{host}:{}", url.port_or_known_default()?));
        let folders = self.folders.iter();
        let mut all = folders.flat_map(|folder| names.iter().map(|name| folder.join(name)));
        all.find(|folder| folder.is_dir())
    }
}

/// Whether an address is that of a host as references name it.
fn is_at(host: &str, url: &Url) -> bool {
    let host = if host == HUB.0 { HUB.1 } else { host };
    let known = Url::parse(&format!("{}://{host}/", url.scheme()));
    known.is_ok_and(|known| known.origin() == url.origin())
}

fn of_folder(folder: &Path) -> Result<Own, String> {
    let bad = |e: std::io::Error| format!("{} cannot be read: {e}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(bad)?.take(MANY) {
        files.push(entry.map_err(bad)?.path());
    }
    files.sort_unstable();
    let mut own = Own::default();
    for file in files {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => own.authorities.extend(authorities(&file)?),
            Some("cert") if own.shown.is_none() => {
                own.shown = Some(identity(&file, &file.with_extension("key"))?);
            }
            _ => {}
        }
    }
    Ok(own)
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, String> {
    let found = Certificate::from_pem_bundle(&read(file)?).unwrap_or_default();
    match found.is_empty() {
        true => Err(format!("{} holds no certificate in PEM form", file.display())),
        false => Ok(found),
    }
}

/// A certificate with its key. Nothing is told of what is in the files.
fn identity(certificate: &Path, key: &Path) -> Result<Identity, String> {
    let mut bytes = read(certificate)?;
    if certificate != key {
        bytes.push(b'\n');
        bytes.extend(read(key)?);
    }
    Identity::from_pem(&bytes).map_err(|_| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("{certificate} and {key} are no certificate and its key in PEM form")
    })
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let bad = |e: &dyn std::fmt::Display| format!("{} cannot be read: {e}", file.display());
    let opened = std::fs::File::open(file).map_err(|e| match e.kind() {
        ErrorKind::NotFound => format!("there is no file {}", file.display()),
        _ => bad(&e),
    })?;
    let mut bytes = Vec::new();
    opened.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| bad(&e))?;
    match bytes.len() as u64 > LARGEST {
        true => Err(bad(&"it is larger than a mebibyte")),
        false => Ok(bytes),
    }
}

#[cfg(test)]
#[path = "certificates/tests.rs"]
mod tests;
