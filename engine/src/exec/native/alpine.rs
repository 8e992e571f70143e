//! Alpine systems: packages laid over each other as apk would, with its database, and their
//! scripts run in the sandbox. Nothing of apk is needed on this machine, nor in the system.

mod inner;
mod packages;
mod read;
mod scene;
mod script;

use std::collections::BTreeMap;
use std::time::Instant;

use mabuild_distro::alpine::db::Setup;
use mabuild_distro::alpine::{Dependency, Keys};
use mabuild_lang::platform::Platform;
use mabuild_oci::layer::merge;
use mabuild_sandbox::RunSpec;
use serde::{Deserialize, Serialize};

use super::base::Base;
use super::debian::{DebFile, archive_text};
use super::layers::Layer;
use super::{Native, Stop};
use crate::exec::{Built, Fault, Knobs};
use crate::facts::{
    ALPINE_MIRROR, AlpineArchive, AlpinePin, Archive, ArchiveKeys, PackagePin, PackageSet,
};
use crate::key::{Key, Value, hash_fields};
use crate::spec::BuildSpec;
pub(super) use inner::{InstallReply, InstallRequest, install};
pub(super) use packages::{missing, offer, run_spec};
use scene::Memory;

/// Version of the way a system is set up; part of its key.
const FORMAT: i64 = 1;

/// What apk wants to know of a system besides its packages.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct System {
    arch: String,
    world: Vec<String>,
    /// Lines of `/etc/apk/repositories`.
    repositories: Vec<String>,
    /// Names and texts.
    keys: BTreeMap<String, String>,
}

impl System {
    fn of(pin: &AlpinePin) -> Self {
        let of_alpine = pin.set.archives.iter().filter_map(|archive| match archive {
            Archive::Alpine(archive) => Some(archive),
            Archive::Debian(_) => None,
        });
        let archives: Vec<&AlpineArchive> = of_alpine.collect();
        let mut keys = BTreeMap::new();
        for archive in &archives {
            match &archive.keys {
                ArchiveKeys::Given(given) => {
                    keys.extend(given.iter().map(|(name, key)| {
                        (name.clone(), String::from_utf8_lossy(key).into_owned())
                    }))
                }
                ArchiveKeys::Distribution | ArchiveKeys::File(_) => {
                    let own = Keys::alpine(&pin.arch);
                    keys.extend(own.iter().map(|(name, key)| (name.to_owned(), key.to_owned())));
                }
            }
        }
        Self {
            arch: pin.arch.clone(),
            world: pin.world.clone(),
            repositories: archives.into_iter().map(line).collect(),
            keys,
        }
    }

    /// The same as the database writes it.
    fn setup(&self) -> Result<Setup, String> {
        let world = self.world.iter().map(|word| Dependency::parse(word));
        let mut keys = Keys::new();
        for (name, text) in &self.keys {
            keys.add(name, text).map_err(|e| e.to_string())?;
        }
        Ok(Setup {
            arch: self.arch.clone(),
            world: world.collect::<Result<_, _>>().map_err(|e| e.to_string())?,
            repositories: self.repositories.clone(),
            keys,
        })
    }
}

/// The line of a repository in `/etc/apk/repositories`.
fn line(archive: &AlpineArchive) -> String {
    let AlpineArchive { uri, path, tag, keys: _ } = archive;
    let address = match uri {
        Some(uri) => uri.trim_end_matches('/').to_owned(),
        None => format!("{ALPINE_MIRROR}/{}", path.trim_matches('/')),
    };
    match tag {
        Some(tag) => format!("@{tag} {address}"),
        None => address,
    }
}

impl Native {
    /// A base of one layer: a system of packages, set up.
    pub(super) fn alpine(
        &self,
        pin: &AlpinePin,
        platform: &Platform,
        spec: &BuildSpec,
        knobs: &Knobs,
        built: &mut Built,
    ) -> Result<Base, Stop> {
        let plain = key(pin, spec.source_date);
        let key = knobs.place(plain);
        let history = vec![format!("alpine {}", pin.world.join(" ")).trim_end().to_owned()];
        // Equal systems of two images are set up once.
        let guard = self.store.lock(&format!("step-{}", key.hex()));
        let _guard = guard.map_err(|e| Fault::environment(e.to_string()))?;
        if let Some((layer, date)) = self.kept_base(&key) {
            built.reused += 1;
            return Ok(base(layer, date, history));
        }
        let begun = Instant::now();
        let packages = self.debs(&pin.set)?;
        built.phases.download += begun.elapsed().as_secs_f64();
        let system = System::of(pin);
        if !read::have_scripts(&packages).map_err(Fault::upstream)? {
            return self.layered(&plain, history, spec, knobs, built, |_| {
                let job = self.job()?;
                let packages = read::read(&packages, &job.path).map_err(Fault::upstream)?;
                let date = spec.source_date.unwrap_or_else(|| read::newest(&packages));
                let mut scene = Memory::default();
                scene::set(packages, &system, date, &mut scene).map_err(Fault::step)?;
                merge(scene.entries).map_err(|e| {
                    Fault::step(format!("the packages cannot be unpacked over each other: {e}"))
                })
            });
        }
        let (layer, date) = self.scripted(&key, packages, system, platform, spec, knobs, built)?;
        Ok(base(layer, date, history))
    }

    /// Sets a system up whose packages have scripts.
    #[expect(clippy::too_many_arguments, reason = "a step in the middle of another")]
    fn scripted(
        &self,
        key: &Key,
        packages: Vec<DebFile>,
        system: System,
        platform: &Platform,
        spec: &BuildSpec,
        knobs: &Knobs,
        built: &mut Built,
    ) -> Result<(Layer, i64), Stop> {
        let mut run = self.apart(RunSpec::new("/", [""; 0]), platform)?;
        let emulated = run.emulator.is_some();
        let _slot = self.slots.take();
        let share = self.machine.share();
        let job = self.job()?;
        run.env = vec![("PATH".to_owned(), script::PATH.to_owned())];
        let request = InstallRequest {
            job: job.path.clone(),
            packages,
            system,
            run,
            date: spec.source_date,
            threads: share.threads(knobs.threads),
        };
        let progress = knobs.progress.clone();
        let output = Box::new(move |bytes: &[u8]| progress.output(bytes));
        let reply: InstallReply = self.call("alpine", &request, knobs, Some(output))?;
        built.executed += 1;
        let phases = &mut built.phases;
        phases.unpack += reply.unpack_seconds;
        match emulated {
            true => phases.run_emulated += reply.run_seconds,
            false => phases.run_native += reply.run_seconds,
        }
        phases.pack += reply.pack_seconds;
        if let Some(how) = reply.failed {
            return Err(Fault::step(format!("{how}; its output says why")).into());
        }
        let layer = self.keep_base(key, reply.packed.as_ref(), &job.path, reply.date)?;
        built.bytes += layer.descriptor.size;
        Ok((layer, reply.date))
    }
}

fn base(layer: Layer, date: i64, history: Vec<String>) -> Base {
    Base { layers: vec![layer], date, config: None, manifest: None, history }
}

/// The key of a system: its packages, what it is configured with, how times are clamped.
fn key(pin: &AlpinePin, source_date: Option<i64>) -> Key {
    let AlpinePin { arch, world, set } = pin;
    let PackageSet { archives, releases: _, packages } = set;
    let mut fields = vec![
        ("format", Value::Number(FORMAT)),
        ("clamp", source_date.map_or(Value::Unset, Value::Number)),
        ("arch", Value::Text(arch)),
    ];
    fields.extend(world.iter().map(|word| ("world", Value::Text(word))));
    let texts: Vec<String> = archives.iter().map(archive_text).collect();
    fields.extend(texts.iter().map(|text| ("archive", Value::Text(text))));
    fields.extend(packages.iter().map(|PackagePin { sha256, .. }| ("input", Value::Text(sha256))));
    hash_fields("alpine", &fields)
}

#[cfg(test)]
mod tests;
