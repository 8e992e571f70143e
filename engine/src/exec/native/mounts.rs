//! Mounts of a `run`: what they show, made ready before the step starts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mabuild_sandbox as sandbox;

use super::Stop;
use super::cache::{Cache, CacheAsk};
use super::config::script_path;
use super::inner::{MountRequest, MountSource};
use super::layers::{Layer, chain_text};
use super::stage::{Build, Made};
use crate::exec::Fault;
use crate::spec::{self, Bound, Mount, Mounted, Program, Run};

/// What a mount shows files of.
pub(super) struct Source {
    layers: Vec<Layer>,
    /// The path in it, free of links.
    path: PathBuf,
}

/// Mounts that are ready, and what must live as long as they do.
pub(super) struct Mounts {
    ready: Vec<Ready>,
    /// Variables that belong to them.
    pub env: Vec<(String, String)>,
}

struct Ready {
    target: PathBuf,
    read_only: bool,
    what: What,
}

enum What {
    /// Unpacked trees, topmost first, and a path in them.
    Trees {
        trees: Vec<PathBuf>,
        path: PathBuf,
    },
    Cache(Arc<Cache>),
    Plain(sandbox::Source),
    Agent {
        socket: PathBuf,
        mode: u32,
        uid: u32,
        gid: u32,
    },
}

/// A mount for the key of its step: what can change a result, and the names of what cannot be
/// hashed.
pub(super) fn mount_text(mount: &Mount<spec::Built>, source: Option<&Source>) -> String {
    let Mount { target, what } = mount;
    let from = source.map_or_else(String::new, |source| {
        format!("{} {}", chain_text(&source.layers), source.path.display())
    });
    match what {
        Mounted::Bind { writable, .. } => format!("bind {target:?} {from:?} {writable}"),
        // What is in a cache must not change a result.
        Mounted::Cache { id, .. } => format!("cache {target:?} {id:?}"),
        Mounted::Tmpfs { size } => format!("tmpfs {target:?} {size:?}"),
        Mounted::Secret { id, env, mode, uid, gid, .. } => {
            format!("secret {target:?} {id:?} {env:?} {mode:o} {uid}:{gid}")
        }
        Mounted::Ssh { id, mode, uid, gid, .. } => {
            format!("ssh {target:?} {id:?} {mode:o} {uid}:{gid}")
        }
    }
}

impl Build<'_> {
    /// What each mount of a step shows files of, in their order.
    pub(super) fn sources(&mut self, run: &Run<spec::Built>) -> Result<Vec<Option<Source>>, Stop> {
        let mut out = Vec::with_capacity(run.mounts.len());
        for mount in &run.mounts {
            out.push(match &mount.what {
                Mounted::Bind { from, source, .. } => Some(self.source(from, source)?),
                Mounted::Cache { from: Some((from, source)), .. } => {
                    Some(self.source(from, source)?)
                }
                _ => None,
            });
        }
        Ok(out)
    }

    fn source(&mut self, from: &Bound<spec::Built>, path: &str) -> Result<Source, Stop> {
        let layers = match from {
            Bound::Scratch => Vec::new(),
            Bound::Image(image) => self.image(image)?,
            Bound::Files(set) => self.context_layer(set)?,
        };
        let view = self.native.view(&layers)?;
        let missing = || Fault::step(format!("the mount's `source` {path} is not there"));
        let found = view.resolve(path.as_bytes()).map_err(|_| missing())?;
        if !found.path.is_empty() && view.lookup(&found.path).is_none() {
            return Err(missing().into());
        }
        use std::os::unix::ffi::OsStringExt;
        let path = PathBuf::from(std::ffi::OsString::from_vec(found.path));
        Ok(Source { layers, path })
    }

    /// Files of a context as a layer of their own, under their paths.
    fn context_layer(&mut self, set: &crate::facts::FileSet) -> Result<Vec<Layer>, Stop> {
        let wish = self.wish(None, None)?;
        let empty = self.native.view(&[])?;
        let made = self.layer_on(&empty, &[], |layering| layering.mirror(set, wish))?;
        Ok(match made {
            Made::Layer { layer, .. } => vec![*layer],
            Made::Config | Made::Unchanged { .. } => Vec::new(),
        })
    }

    /// Brings all that the mounts of a step need.
    pub(super) fn mounts(
        &self,
        run: &Run<spec::Built>,
        sources: &[Option<Source>],
    ) -> Result<Mounts, Stop> {
        let mut mounts = Mounts { ready: Vec::new(), env: Vec::new() };
        if let Program::Script { name, content } = &run.program {
            let bytes = content.clone().into_bytes();
            let what = sandbox::Source::Content { bytes, mode: 0o755, uid: 0, gid: 0 };
            mounts.push(script_path(name).into(), true, What::Plain(what));
        }
        let caches = self.caches(run, sources)?;
        let mut agents = 0;
        for (mount, source) in run.mounts.iter().zip(sources) {
            let target = PathBuf::from(self.state.absolute(&mount.target));
            match &mount.what {
                Mounted::Bind { writable, .. } => {
                    let what = self.trees_of(source.as_ref())?;
                    mounts.push(target, !writable, what);
                }
                Mounted::Cache { id, writable, .. } => {
                    if let Some(cache) = caches.get(id.as_str()) {
                        mounts.push(target, !writable, What::Cache(cache.clone()));
                    }
                }
                Mounted::Tmpfs { size } => {
                    let what = sandbox::Source::Tmpfs { size: *size, mode: 0o1777 };
                    mounts.push(target, false, What::Plain(what));
                }
                Mounted::Secret { id, env, required, mode, uid, gid } => {
                    let Some(bytes) = self.knobs.private.secrets.get(id) else {
                        match required {
                            true => return Err(no_secret(id).into()),
                            false => continue,
                        }
                    };
                    if let Some(name) = env {
                        let value = String::from_utf8_lossy(bytes).into_owned();
                        mounts.env.push((name.clone(), value));
                    }
                    if !mount.target.is_empty() {
                        let (mode, uid, gid) = (*mode, *uid, *gid);
                        let bytes = bytes.to_vec();
                        let what = sandbox::Source::Content { bytes, mode, uid, gid };
                        mounts.push(target, true, What::Plain(what));
                    }
                }
                Mounted::Ssh { id, required, mode, uid, gid } => {
                    let Some(socket) = self.knobs.private.agents.get(id) else {
                        match required {
                            true => return Err(no_agent(id).into()),
                            false => continue,
                        }
                    };
                    let target = match mount.target.is_empty() {
                        true => PathBuf::from(format!("/run/buildkit/ssh_agent.{agents}")),
                        false => target,
                    };
                    if agents == 0 {
                        let text = target.to_string_lossy().into_owned();
                        mounts.env.push(("SSH_AUTH_SOCK".to_owned(), text));
                    }
                    agents += 1;
                    let (socket, mode, uid, gid) = (socket.clone(), *mode, *uid, *gid);
                    mounts.push(target, false, What::Agent { socket, mode, uid, gid });
                }
            }
        }
        Ok(mounts)
    }

    /// The caches of a step, each taken once, in the order of their names: two steps that wait for
    /// each other's would wait for ever.
    fn caches<'r>(
        &self,
        run: &'r Run<spec::Built>,
        sources: &[Option<Source>],
    ) -> Result<BTreeMap<&'r str, Arc<Cache>>, Stop> {
        let platform = self.stage.platform.to_string();
        let mut wanted: BTreeMap<&str, CacheAsk<'_>> = BTreeMap::new();
        for (mount, source) in run.mounts.iter().zip(sources) {
            let Mounted::Cache { id, sharing, mode, uid, gid, .. } = &mount.what else { continue };
            let seed = match source {
                Some(Source { layers, path }) => {
                    Some((self.native.trees(layers, self.knobs)?.0, path.clone()))
                }
                None => None,
            };
            let (sharing, mode, owner) = (*sharing, *mode, (*uid, *gid));
            let ask = CacheAsk { id, platform: &platform, sharing, mode, owner, seed };
            wanted.entry(id).or_insert(ask);
        }
        let mut caches = BTreeMap::new();
        for (id, ask) in wanted {
            caches.insert(id, Arc::new(self.native.cache(&ask, self.knobs)?));
        }
        Ok(caches)
    }

    fn trees_of(&self, source: Option<&Source>) -> Result<What, Stop> {
        let Some(Source { layers, path }) = source else {
            return Ok(What::Trees { trees: Vec::new(), path: PathBuf::new() });
        };
        let (trees, _) = self.native.trees(layers, self.knobs)?;
        Ok(What::Trees { trees, path: path.clone() })
    }
}

fn no_secret(id: &str) -> Fault {
    Fault::step(format!(
        "the secret `{id}` is required and was not given; declare `secret \"{id}\" env=…` for the \
         image, or pass `--secret id={id},src=FILE`"
    ))
}

fn no_agent(id: &str) -> Fault {
    Fault::step(format!(
        "the ssh agent `{id}` is required and was not given; pass `--ssh {id}`, with SSH_AUTH_SOCK \
         set"
    ))
}

impl Mounts {
    fn push(&mut self, target: PathBuf, read_only: bool, what: What) {
        self.ready.push(Ready { target, read_only, what });
    }

    /// The mounts as the helper is asked for them. Sockets of agents are made in the folder of
    /// the step.
    pub fn requests(&self, job: &Path) -> Vec<MountRequest> {
        let mut out = Vec::with_capacity(self.ready.len());
        for (at, Ready { target, read_only, what }) in self.ready.iter().enumerate() {
            let source = match what {
                What::Trees { trees, path } => {
                    let (trees, path) = (trees.clone(), path.clone());
                    MountSource::Trees { trees, path, work: job.join(format!("mount-{at}")) }
                }
                What::Cache(cache) => MountSource::Folder(cache.path().to_owned()),
                What::Plain(source) => MountSource::Plain(source.clone()),
                What::Agent { socket, mode, uid, gid } => {
                    let (mode, uid, gid) = (*mode, *uid, *gid);
                    MountSource::Agent { socket: socket.clone(), mode, uid, gid }
                }
            };
            out.push(MountRequest { target: target.clone(), read_only: *read_only, source });
        }
        out
    }
}
