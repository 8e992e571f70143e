//! Debian systems that are set up: packages unpacked side by side, then configured by their own
//! dpkg in the sandbox. Nothing of dpkg or apt is needed on this machine.

mod apt;
pub(super) mod clean;
mod inner;
pub(super) mod script;
mod unpack;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use mabuild_distro::debian::arch::debian_arch;
use mabuild_lang::platform::Platform;
use mabuild_sandbox::{Mount, Network, RunSpec, Source};
use serde::{Deserialize, Serialize};

use super::base::Base;
use super::inner::PackedReply;
use super::layers::Layer;
use super::{Native, Stop, machine};
use crate::exec::{Built, Fault, Knobs};
use crate::facts::{Archive, ArchiveKeys, DebianPin, DebianVariant, PackagePin, PackageSet};
use crate::key::{Key, Value, hash_fields};
use crate::spec::BuildSpec;

pub(super) use inner::{BootstrapReply, BootstrapRequest, bootstrap};

/// Version of the way a system is set up; part of its key.
const FORMAT: i64 = 2;
/// Packages that are brought in at once.
const FETCHES: usize = 8;

/// A package file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DebFile {
    pub name: String,
    pub version: String,
    pub path: PathBuf,
    pub size: u64,
}

/// Variables of programs that set packages up, as all bootstraps have them: nobody is asked.
pub(super) const VARIABLES: [(&str, &str); 6] = [
    ("PATH", "/run/mabuild-bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
    ("LC_ALL", "C.UTF-8"),
    ("TZ", "UTC0"),
];

/// Keeps services from being started while packages are set up, and scripts from waiting for the
/// init of this machine to be started anew.
pub(super) fn no_services() -> [Mount; 2] {
    [("/usr/sbin/policy-rc.d", apt::NO_SERVICES), ("/run/mabuild-bin/ischroot", apt::NO_INIT)].map(
        |(target, script)| {
            let bytes = script.into();
            let source = Source::Content { bytes, mode: 0o755, uid: 0, gid: 0 };
            Mount { source, target: target.into(), read_only: true }
        },
    )
}

impl Native {
    /// A base of one layer: a system of packages, set up.
    pub(super) fn debian(
        &self,
        pin: &DebianPin,
        platform: &Platform,
        spec: &BuildSpec,
        knobs: &Knobs,
        built: &mut Built,
    ) -> Result<Base, Stop> {
        let key = knobs.place(key(pin, spec.source_date));
        let suite = pin.set.archives.first().map_or("", Archive::label);
        let history =
            vec![format!("debian {} {suite}", variant(pin.variant)).trim_end().to_owned()];
        let base =
            |layer, date| Base { layers: vec![layer], date, config: None, manifest: None, history };
        // Equal systems of two images are set up once.
        let guard = self.store.lock(&format!("step-{}", key.hex()));
        let _guard = guard.map_err(|e| Fault::environment(e.to_string()))?;
        if let Some((layer, date)) = self.kept_base(&key) {
            built.reused += 1;
            return Ok(base(layer, date));
        }
        let begun = Instant::now();
        let packages = self.debs(&pin.set)?;
        built.phases.download += begun.elapsed().as_secs_f64();
        let mut run = self.apart(RunSpec::new("/", [""; 0]), platform)?;
        let emulated = run.emulator.is_some();
        let _slot = self.slots.take();
        let share = self.machine.share();
        let job = self.job()?;
        let arch = debian_arch(&platform.os, &platform.arch, platform.variant.as_deref());
        let arch = arch.ok_or_else(|| Fault::step(format!("Debian is not made for {platform}")))?;
        run.env = VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        run.mounts.extend(no_services());
        let request = BootstrapRequest {
            job: job.path.clone(),
            packages,
            arch: arch.to_owned(),
            config: apt::files(pin),
            filter: apt::rules(pin).into_iter().map(str::to_owned).collect(),
            run,
            date: spec.source_date,
            threads: share.threads(knobs.threads),
            memory: self.memory(),
            copy: self.copies(),
        };
        let progress = knobs.progress.clone();
        let output = Box::new(move |bytes: &[u8]| progress.output(bytes));
        let reply: BootstrapReply = self.call("bootstrap", &request, knobs, Some(output))?;
        built.executed += 1;
        let phases = &mut built.phases;
        phases.unpack += reply.unpack_seconds;
        match emulated {
            true => phases.run_emulated += reply.run_seconds,
            false => phases.run_native += reply.run_seconds,
        }
        phases.pack += reply.pack_seconds;
        if let Some(problem) = reply.problem {
            return Err(Fault::upstream(problem).into());
        }
        if let Some(how) = reply.exit.and_then(|exit| exit.failure()) {
            return Err(Fault::step(format!(
                "setting up the packages of {suite} for {platform} {how}; its output says why"
            ))
            .into());
        }
        let layer = self.keep_base(&key, reply.packed.as_ref(), &job.path, reply.date)?;
        built.bytes += layer.descriptor.size;
        Ok(base(layer, reply.date))
    }

    /// How a program runs that sets packages of a platform up: without a network.
    pub(super) fn apart(&self, mut run: RunSpec, platform: &Platform) -> Result<RunSpec, Fault> {
        run.emulator = self.emulator(platform)?;
        run.bits32 = run.emulator.is_none() && platform.arch == "386";
        run.network = Network::None;
        run.min_free = Some(self.min_free());
        Ok(run)
    }

    /// Bytes of memory that a system may be set up in; none where it has to be on the disk.
    fn memory(&self) -> Option<u64> {
        // The jobs of a run may all begin at once.
        machine::memory(self.jobs)
    }

    /// Takes the layer of a system that was set up into the store, with its date.
    pub(super) fn keep_base(
        &self,
        key: &Key,
        packed: Option<&PackedReply>,
        job: &Path,
        date: i64,
    ) -> Result<Layer, Fault> {
        let layer = self.keep(key, packed, job)?;
        let layer = layer.ok_or_else(|| Fault::step("there are no packages to set up"))?;
        self.keep_date(key, date)?;
        Ok(layer)
    }

    /// Brings the files of packages in, several at once.
    pub(super) fn debs(&self, set: &PackageSet) -> Result<Vec<DebFile>, Fault> {
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, DebFile)>> = Mutex::default();
        let work = || -> Result<(), Fault> {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(package) = set.packages.get(at) else { return Ok(()) };
                let file = DebFile {
                    name: package.name.clone(),
                    version: package.version.clone(),
                    path: self.supplied(set, package)?,
                    size: package.size,
                };
                done.lock().unwrap_or_else(PoisonError::into_inner).push((at, file));
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..FETCHES).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                let died = |_| Err(Fault::environment("a thread that fetches packages died"));
                worker.join().unwrap_or_else(died)
            })
        })?;
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(at, _)| *at);
        Ok(done.into_iter().map(|(_, file)| file).collect())
    }

    /// A base that was made before, with its date.
    pub(super) fn kept_base(&self, key: &Key) -> Option<(Layer, i64)> {
        let row = self.known_step(key)??;
        let date = self.store.memo("base-date", &key.hex())?.parse().ok()?;
        Some((Layer::of_row(&row)?, date))
    }

    /// Remembers the date of a base.
    pub(super) fn keep_date(&self, key: &Key, date: i64) -> Result<(), Fault> {
        self.store
            .put_memo("base-date", &key.hex(), &date.to_string())
            .map_err(|e| Fault::environment(e.to_string()))?;
        self.supply.keep_step(key);
        Ok(())
    }
}

/// The key of a system: its packages, what it is configured with, how times are clamped.
fn key(pin: &DebianPin, source_date: Option<i64>) -> Key {
    let DebianPin { variant: of, trim, set } = pin;
    let PackageSet { archives, releases: _, packages } = set;
    let mut fields = vec![
        ("format", Value::Number(FORMAT)),
        ("clamp", source_date.map_or(Value::Unset, Value::Number)),
        ("variant", Value::Text(variant(*of))),
    ];
    fields.extend(trim.iter().map(|trim| {
        let name = match trim {
            crate::facts::Trim::Docs => "docs",
            crate::facts::Trim::Locales => "locales",
        };
        ("trim", Value::Text(name))
    }));
    let texts: Vec<String> = archives.iter().map(archive_text).collect();
    fields.extend(texts.iter().map(|text| ("archive", Value::Text(text))));
    fields.extend(packages.iter().map(|PackagePin { sha256, .. }| ("input", Value::Text(sha256))));
    hash_fields("debian", &fields)
}

/// An archive for a key: what the system is configured with.
pub(super) fn archive_text(archive: &Archive) -> String {
    let keys = match archive {
        Archive::Debian(archive) => &archive.keys,
        Archive::Alpine(archive) => &archive.keys,
    };
    let keys: Vec<String> = match keys {
        ArchiveKeys::Distribution | ArchiveKeys::File(_) => Vec::new(),
        ArchiveKeys::Given(keys) => {
            keys.iter().map(|(name, key)| format!("{name:?} {}", blake3::hash(key))).collect()
        }
    };
    match archive {
        Archive::Debian(archive) => {
            format!("{:?} {:?} {:?} {keys:?}", archive.uri, archive.suite, archive.components)
        }
        Archive::Alpine(archive) => {
            format!("{:?} {:?} {:?} {keys:?}", archive.uri, archive.path, archive.tag)
        }
    }
}

fn variant(variant: DebianVariant) -> &'static str {
    match variant {
        DebianVariant::Extract => "extract",
        DebianVariant::Minbase => "minbase",
        DebianVariant::Standard => "standard",
        DebianVariant::Minideb => "minideb",
    }
}
