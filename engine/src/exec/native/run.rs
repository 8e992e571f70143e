//! A `run` step: out of the store when its key is known, else in the sandbox.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use mabuild_distro::qemu;
use mabuild_lang::platform::Platform;
use mabuild_oci::layer::LayerIndex;
use mabuild_oci::{Descriptor, Digest};
use mabuild_sandbox::{Emulator, EmulatorMode, MinFree, Network, Registration, RunSpec};

use super::inner::{MountRequest, PackedReply, RunReply, RunRequest};
use super::layers::{Layer, chain_text};
use super::mounts::{Source, mount_text};
use super::stage::{Build, Made};
use super::users::User;
use super::{Native, Stop, host_arch};
use crate::exec::Fault;
use crate::key::{Key, Value, hash_fields};
use crate::spec::{self, Program, Run};
use crate::store::StepRow;

/// Bytes that a step leaves free on the disk of the store; one that takes more is ended before others
/// of the machine suffer.
const LEAST_FREE: u64 = 256 << 20;

/// Version of the way a step is run; part of its key.
const RUN_FORMAT: i64 = 2;

/// A step that is about to run.
pub(super) struct StepOf<'a> {
    pub command: &'a [String],
    pub run: &'a Run<spec::Built>,
    pub user: &'a User,
    pub env: &'a [(String, String)],
    /// What each mount shows files of.
    sources: &'a [Option<Source>],
}

/// A program to run on the layers so far.
pub(super) struct Work {
    pub run: RunSpec,
    pub mounts: Vec<MountRequest>,
    /// Owner of new files where owners are recorded.
    pub owner: (u32, u32),
    /// No time of a file is later.
    pub date: i64,
    /// Whether it installs packages, which leave behind what nobody wants.
    pub installs: bool,
}

/// How many steps run at once.
pub(super) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One taken slot.
pub(super) struct Slot<'a>(&'a Slots);

impl Slots {
    pub fn new(count: usize) -> Self {
        Self { free: Mutex::new(count.max(1)), freed: Condvar::new() }
    }

    /// Waits for a slot.
    pub fn take(&self) -> Slot<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

/// Removes the folder of a step however the step ends.
pub(super) struct Job<'a> {
    pub native: &'a Native,
    pub path: PathBuf,
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.path).is_err() && self.path.exists() {
            // Files of mapped ids are left when a step was cut short. What cannot be removed
            // even so is swept with the store's other temporary files.
            let _ = self.native.remove(&self.path);
        }
    }
}

impl Build<'_> {
    /// Runs a program on the layers so far. `tell` hears whether it comes out of the store.
    pub(super) fn run(
        &mut self,
        run: &Run<spec::Built>,
        tell: &dyn Fn(bool),
    ) -> Result<Made, Stop> {
        let command = self.state.program(&run.program);
        let name = self.state.config.config.user.clone();
        let user = match name.is_empty() {
            true => User::root(),
            false => self.tables()?.user(&name)?,
        };
        let env = self.state.environment(&user.home, self.spec.source_date);
        let sources = self.sources(run)?;
        let step = StepOf { command: &command, run, user: &user, env: &env, sources: &sources };
        let key = self.knobs.place(self.run_key(&step));
        let native = self.native;
        // Equal steps of two images must run once.
        let _guard = native
            .store
            .lock(&format!("step-{}", key.hex()))
            .map_err(|e| Fault::environment(e.to_string()))?;
        // A step that was asked to run anew runs once in a run of the program.
        let known = match self.knobs.fresh && !native.ran(&key) {
            true => None,
            false => native.known_step(&key),
        };
        if let Some(row) = known {
            tell(true);
            return Ok(match row.as_ref().and_then(Layer::of_row) {
                Some(layer) => Made::Layer { layer: Box::new(layer), cached: true },
                None => Made::Unchanged { cached: true },
            });
        }
        let emulator = native.emulator(&self.stage.platform)?;
        let mounts = self.mounts(run, &sources)?;
        let mut spec = self.run_spec(&step, emulator);
        spec.env.extend(mounts.env.iter().cloned());
        for (name, value) in &self.knobs.private.proxy {
            if !spec.env.iter().any(|(known, _)| known == name) {
                spec.env.push((name.clone(), value.clone()));
            }
        }
        let job = native.job()?;
        let work = Work {
            run: spec,
            mounts: mounts.requests(&job.path),
            owner: (user.uid, user.gid),
            date: self.date,
            installs: false,
        };
        let reply = self.work(&job, work, tell)?;
        drop(mounts);
        let Some(how) = reply.exit.failure() else {
            native.note(&key);
            let layer = native.keep(&key, reply.packed.as_ref(), &job.path)?;
            native.supply.keep_step(&key);
            return Ok(match layer {
                Some(layer) => Made::Layer { layer: Box::new(layer), cached: false },
                None => Made::Unchanged { cached: false },
            });
        };
        let message = format!("`{}` {how}", command.join(" "));
        let point = self.point(&key, &step);
        Err(Fault { point, ..Fault::step(message) }.into())
    }

    /// Runs a program on the layers so far, when it is its turn.
    pub(super) fn work(
        &mut self,
        job: &Job<'_>,
        work: Work,
        tell: &dyn Fn(bool),
    ) -> Result<RunReply, Stop> {
        let native = self.native;
        let (trees, unpack_seconds) = native.trees(&self.layers, self.knobs)?;
        self.built.phases.unpack += unpack_seconds;
        let _slot = native.slots.take();
        let share = native.machine.share();
        tell(false);
        let emulated = work.run.emulator.is_some();
        let request = RunRequest {
            job: job.path.clone(),
            trees,
            run: work.run,
            mounts: work.mounts,
            owner: work.owner,
            clamp_mtime: work.date,
            threads: share.threads(self.knobs.threads),
            copy: native.copies(),
            keep: true,
            installs: work.installs,
        };
        let progress = self.knobs.progress.clone();
        let output = Box::new(move |bytes: &[u8]| progress.output(bytes));
        let reply: RunReply = native.call("run", &request, self.knobs, Some(output))?;
        self.built.executed += 1;
        let phases = &mut self.built.phases;
        match emulated {
            true => phases.run_emulated += reply.run_seconds,
            false => phases.run_native += reply.run_seconds,
        }
        phases.pack += reply.pack_seconds;
        Ok(reply)
    }

    /// The key of a step: what is below, what runs and how.
    fn run_key(&self, step: &StepOf<'_>) -> Key {
        let StepOf { command, run, user, env, sources } = step;
        let below = chain_text(&self.layers);
        let platform = self.stage.platform.to_string();
        let mut fields = vec![
            ("format", Value::Number(RUN_FORMAT)),
            ("below", Value::Text(&below)),
            ("platform", Value::Text(&platform)),
            ("network", Value::Number(i64::from(run.network))),
            ("workdir", Value::Text(self.state.workdir())),
            ("uid", Value::Number(user.uid.into())),
            ("gid", Value::Number(user.gid.into())),
            ("date", Value::Number(self.date)),
        ];
        fields.extend(user.groups.iter().map(|g| ("group", Value::Number((*g).into()))));
        fields.extend(command.iter().map(|word| ("word", Value::Text(word))));
        if let Program::Script { content, .. } = &run.program {
            fields.push(("script", Value::Text(content)));
        }
        for (name, value) in *env {
            fields.push(("env", Value::Text(name)));
            fields.push(("is", Value::Text(value)));
        }
        let mounts: Vec<String> =
            run.mounts.iter().zip(*sources).map(|(m, s)| mount_text(m, s.as_ref())).collect();
        fields.extend(mounts.iter().map(|mount| ("mount", Value::Text(mount))));
        // Packages that a program may bring in: newer ones have it run again.
        for (name, version) in &self.spec.watched {
            fields.push(("watched", Value::Text(name)));
            fields.push(("is", Value::Text(version)));
        }
        hash_fields("run", &fields)
    }

    fn run_spec(&self, step: &StepOf<'_>, emulator: Option<Emulator>) -> RunSpec {
        let StepOf { command, run, user, env, .. } = step;
        let mut spec = RunSpec::new("/", command.iter().cloned());
        spec.env = env.to_vec();
        spec.cwd = self.state.workdir().into();
        surround(&mut spec, user, run.network);
        spec.bits32 = emulator.is_none() && self.stage.platform.arch == "386";
        spec.emulator = emulator;
        // A directory that is not there is made before the step, as BuildKit does.
        spec.make_cwd = true;
        spec.min_free = Some(self.native.min_free());
        spec
    }
}

/// Puts into the description of a program what is the same for all: who it is, its host, its
/// network.
pub(super) fn surround(spec: &mut RunSpec, user: &User, network: bool) {
    spec.uid = user.uid;
    spec.gid = user.gid;
    spec.groups.clone_from(&user.groups);
    // The name that BuildKit gives, so that programs that keep it make the same of it.
    spec.hostname = "buildkitsandbox".to_owned();
    spec.network = if network { Network::Host } else { Network::None };
    let hosts = "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    spec.hosts = Some(hosts.as_bytes().to_vec());
    spec.resolv_conf = Some(std::fs::read("/etc/resolv.conf").unwrap_or_default());
}

impl Native {
    /// Takes the layer of a job into the store under a key; none where nothing was changed.
    pub(super) fn keep(
        &self,
        key: &Key,
        packed: Option<&PackedReply>,
        job: &Path,
    ) -> Result<Option<Layer>, Fault> {
        let store = &self.store;
        let unkept = |e: &dyn std::fmt::Display| {
            Fault::environment(format!("cannot keep the layer of the step: {e}"))
        };
        let Some(packed) = packed else {
            store.put_step(key, &None).map_err(|e| unkept(&e))?;
            return Ok(None);
        };
        let digest = Digest::parse(&packed.digest).map_err(|e| unkept(&e))?;
        let diff_id = Digest::parse(&packed.diff_id).map_err(|e| unkept(&e))?;
        let path = job.join("layer");
        let file = std::fs::File::open(&path).map_err(|e| unkept(&e))?;
        let path = tempfile::TempPath::try_from_path(path).map_err(|e| unkept(&e))?;
        let file = tempfile::NamedTempFile::from_parts(file, path);
        store.layout().adopt(file, &digest, packed.size).map_err(|e| unkept(&e))?;
        let index = std::fs::read(job.join("index")).map_err(|e| unkept(&e))?;
        let index = LayerIndex::from_bytes(&index).map_err(|e| unkept(&e))?;
        store.put_index(&packed.diff_id, &index).map_err(|e| unkept(&e))?;
        let descriptor = Descriptor::new(packed.media_type.clone(), digest, packed.size);
        let layer = Layer { diff_id, descriptor };
        store.put_step(key, &Some(layer.row())).map_err(|e| unkept(&e))?;
        Ok(Some(layer))
    }

    /// The layer that a step left here, or elsewhere: the inner value is none when it left none.
    pub(super) fn known_step(&self, key: &Key) -> Option<Option<StepRow>> {
        let here = || self.store.step(key);
        here().or_else(|| self.supply.recall_step(key).then(here).flatten())
    }

    /// A new folder of the store for one step.
    pub(super) fn job(&self) -> Result<Job<'_>, Fault> {
        let path = self.store.temp_dir().map_err(|e| Fault::environment(e.to_string()))?;
        Ok(Job { native: self, path })
    }

    /// What a step leaves free on the disk of the store.
    pub(super) fn min_free(&self) -> MinFree {
        MinFree { path: self.store.dir().to_owned(), bytes: LEAST_FREE }
    }

    /// How programs of a platform come to run on this machine; none when they just do.
    pub(super) fn emulator(&self, platform: &Platform) -> Result<Option<Emulator>, Fault> {
        if qemu::runs_natively(host_arch(), &platform.os, &platform.arch) {
            return Ok(None);
        }
        let Some(target) = qemu::emulator(&platform.os, &platform.arch) else {
            return Err(Fault::environment(format!(
                "programs of {platform} can neither run nor be emulated on this machine"
            )));
        };
        let host = &self.host;
        let registered = |h: &mabuild_sandbox::HostHandler| {
            h.enabled && h.flags.contains('F') && h.magic == target.magic
        };
        let mode = if host.binfmt.is_ok() {
            EmulatorMode::Binfmt
        } else if host.handlers.iter().any(registered) {
            EmulatorMode::HostRegistered
        } else {
            EmulatorMode::Prefix
        };
        let interpreter = match mode {
            EmulatorMode::HostRegistered => PathBuf::new(),
            _ => self.supply.emulator(platform)?,
        };
        let registration = Registration {
            magic: target.magic.to_vec(),
            mask: target.mask.to_vec(),
            // Programs of many names, such as busybox, must see the name they were called by;
            // QEMU 6 and later understands.
            flags: "P".to_owned(),
        };
        Ok(Some(Emulator { interpreter, registration, mode }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn slots_are_given_back() {
        let slots = Arc::new(Slots::new(1));
        let first = slots.take();
        let other = slots.clone();
        let waiter = std::thread::spawn(move || drop(other.take()));
        drop(first);
        waiter.join().unwrap();
        assert_eq!(*slots.free.lock().unwrap(), 1);
    }
}
