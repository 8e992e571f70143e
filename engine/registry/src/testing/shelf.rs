//! A registry that can be written to, in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mabuild_oci::{Digest, Index, Manifest};

use super::{Reply, Request, Server};

/// A content of a repository by its name: a digest or a tag.
type Name = (String, String);

#[derive(Debug, Default)]
pub(crate) struct State {
    blobs: HashMap<Name, Vec<u8>>,
    manifests: HashMap<Name, (String, Vec<u8>)>,
    uploads: HashMap<String, Vec<u8>>,
    begun: usize,
}

/// What a registry keeps; clones share it.
#[derive(Clone, Debug)]
pub struct Shelf {
    pub(crate) state: Arc<Mutex<State>>,
    /// Whether blobs of other repositories can be had.
    pub mounts: bool,
    /// Whether it lists what refers to a manifest.
    pub lists_referrers: bool,
    /// What stands before the path of an upload.
    pub uploads_at: String,
}

impl Default for Shelf {
    fn default() -> Self {
        let uploads_at = String::new();
        Self { state: Arc::default(), mounts: true, lists_referrers: true, uploads_at }
    }
}

fn digest_of(query: &str) -> String {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("digest="));
    value.unwrap_or_default().replace("%3A", ":")
}

impl Shelf {
    /// Serves what is kept, without faults.
    pub fn serve(&self) -> Server {
        let shelf = self.clone();
        Server::start(move |request, _| shelf.reply(request))
    }

    /// What a tag is.
    pub fn tag(&self, repository: &str, tag: &str) -> Option<Digest> {
        let state = self.state.lock().unwrap();
        let found = state.manifests.get(&(repository.to_owned(), tag.to_owned()))?;
        Some(Digest::sha256(&found.1))
    }

    /// The tags of all repositories.
    pub fn tags(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let tags = state.manifests.keys().filter(|(_, name)| !name.contains(':'));
        tags.map(|(repository, tag)| format!("{repository}:{tag}")).collect()
    }

    /// Whether a repository has a blob, whole.
    pub fn has_blob(&self, repository: &str, digest: Digest) -> bool {
        let state = self.state.lock().unwrap();
        let found = state.blobs.get(&(repository.to_owned(), digest.to_string()));
        found.is_some_and(|bytes| digest.verify("a blob", bytes).is_ok())
    }

    /// Loses a blob, and the manifests of a repository with it.
    pub fn lose(&self, repository: &str) {
        let mut state = self.state.lock().unwrap();
        state.blobs.retain(|(at, _), _| at != repository);
        state.manifests.retain(|(at, _), _| at != repository);
    }

    /// What a registry without faults answers.
    pub fn reply(&self, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let Some(path) = path.strip_prefix("/v2/") else { return Reply::new(404, "") };
        for kind in ["/blobs/uploads/", "/blobs/", "/manifests/", "/referrers/"] {
            let Some((repository, name)) = path.split_once(kind) else { continue };
            let at = (repository.to_owned(), name.to_owned());
            return match kind {
                "/blobs/uploads/" => self.upload(request, at, query),
                "/blobs/" => match self.state.lock().unwrap().blobs.get(&at) {
                    Some(bytes) => part(request, bytes),
                    None => refusal(404, "BLOB_UNKNOWN"),
                },
                "/manifests/" => self.manifest(request, at),
                _ => self.referrers(repository, name),
            };
        }
        Reply::new(404, "")
    }

    fn upload(&self, request: &Request, (repository, id): Name, query: &str) -> Reply {
        let mut state = self.state.lock().unwrap();
        let place =
            |id: &str| format!("{}/v2/{repository}/blobs/uploads/{id}?_state=x", self.uploads_at);
        let range = |bytes: &[u8]| format!("0-{}", bytes.len().saturating_sub(1));
        match request.method.as_str() {
            "POST" => {
                let wanted =
                    query.strip_prefix("mount=").and_then(|rest| rest.split_once("&from="));
                if let Some((digest, from)) = wanted.filter(|_| self.mounts) {
                    let digest = digest.replace("%3A", ":");
                    let source = (from.replace("%2F", "/"), digest.clone());
                    if let Some(bytes) = state.blobs.get(&source).cloned() {
                        state.blobs.insert((repository.clone(), digest), bytes);
                        return Reply::new(201, "");
                    }
                }
                state.begun += 1;
                let id = format!("u{}", state.begun);
                state.uploads.insert(id.clone(), Vec::new());
                Reply::new(202, "").with("Location", &place(&id)).with("Range", "0-0")
            }
            "GET" => match state.uploads.get(&id) {
                Some(bytes) => {
                    Reply::new(204, "").with("Location", &place(&id)).with("Range", &range(bytes))
                }
                None => refusal(404, "BLOB_UPLOAD_UNKNOWN"),
            },
            method => {
                let Some(bytes) = state.uploads.get_mut(&id) else {
                    return refusal(404, "BLOB_UPLOAD_UNKNOWN");
                };
                if let Some(range) = request.header("content-range")
                    && range.split_once('-').unwrap().0 != bytes.len().to_string()
                {
                    return refusal(416, "BLOB_UPLOAD_INVALID");
                }
                bytes.extend_from_slice(&request.bytes);
                if request.is_cut {
                    return Reply::none();
                }
                let range = range(bytes);
                if method == "PATCH" {
                    return Reply::new(202, "").with("Location", &place(&id)).with("Range", &range);
                }
                let bytes = state.uploads.remove(&id).unwrap();
                let digest = digest_of(query);
                if Digest::sha256(&bytes).to_string() != digest {
                    return refusal(400, "DIGEST_INVALID");
                }
                state.blobs.insert((repository.clone(), digest.clone()), bytes);
                Reply::new(201, "").with("Docker-Content-Digest", &digest)
            }
        }
    }

    fn manifest(&self, request: &Request, (repository, name): Name) -> Reply {
        let mut state = self.state.lock().unwrap();
        let at = (repository.clone(), name);
        match request.method.as_str() {
            "PUT" => self.put(&mut state, request, at),
            "DELETE" => match state.manifests.remove(&at) {
                Some(_) => Reply::new(202, ""),
                None => refusal(404, "MANIFEST_UNKNOWN"),
            },
            _ => match state.manifests.get(&at) {
                Some((kind, bytes)) => Reply::new(200, bytes.clone())
                    .with("Content-Type", kind)
                    .with("Docker-Content-Digest", &Digest::sha256(bytes).to_string()),
                None => refusal(404, "MANIFEST_UNKNOWN"),
            },
        }
    }

    /// Takes a manifest whose blobs are there, and an index whose manifests are.
    fn put(&self, state: &mut State, request: &Request, (repository, name): Name) -> Reply {
        let bytes = &request.bytes;
        let digest = Digest::sha256(bytes).to_string();
        let has = |digest: &Digest, blobs: bool| {
            let at = (repository.clone(), digest.to_string());
            if blobs { state.blobs.contains_key(&at) } else { state.manifests.contains_key(&at) }
        };
        let (is_whole, subject) = match (Manifest::from_bytes(bytes), Index::from_bytes(bytes)) {
            (Ok(m), _) => {
                let mut blobs = std::iter::once(&m.config).chain(&m.layers);
                (blobs.all(|blob| has(&blob.digest, true)), m.subject)
            }
            (_, Ok(index)) => {
                let is_list = name.starts_with("sha256-");
                let whole = is_list || index.manifests.iter().all(|one| has(&one.digest, false));
                (whole, index.subject)
            }
            _ => return refusal(400, "MANIFEST_INVALID"),
        };
        if !is_whole {
            return refusal(404, "MANIFEST_BLOB_UNKNOWN");
        }
        let kept = (request.header("content-type").unwrap().to_owned(), bytes.clone());
        state.manifests.insert((repository.clone(), digest.clone()), kept.clone());
        state.manifests.insert((repository, name), kept);
        let reply = Reply::new(201, "").with("Docker-Content-Digest", &digest);
        match subject.filter(|_| self.lists_referrers) {
            Some(subject) => reply.with("OCI-Subject", &subject.digest.to_string()),
            None => reply,
        }
    }

    fn referrers(&self, repository: &str, digest: &str) -> Reply {
        if !self.lists_referrers {
            return Reply::new(404, "404 page not found");
        }
        let state = self.state.lock().unwrap();
        let mut list = Vec::new();
        for ((at, name), (kind, bytes)) in &state.manifests {
            let Ok(manifest) = Manifest::from_bytes(bytes) else { continue };
            let is_about = manifest.subject.is_some_and(|s| s.digest.to_string() == digest);
            if at == repository && name.contains(':') && is_about {
                let mut one = mabuild_oci::Descriptor::of(kind.clone(), bytes);
                one.artifact_type = manifest.artifact_type;
                list.push(one);
            }
        }
        Reply::new(200, Index::new(list).to_bytes().unwrap())
    }
}

fn refusal(status: u16, code: &str) -> Reply {
    Reply::new(status, format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#))
}

fn part(request: &Request, bytes: &[u8]) -> Reply {
    match request.range() {
        Some(start) => Reply::new(206, &bytes[start..])
            .with("Content-Range", &format!("bytes {start}-{0}/{0}", bytes.len())),
        None => Reply::new(200, bytes),
    }
}
