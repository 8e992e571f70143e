//! `packages`: what was pinned is installed in the image below by its own package manager.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;

use mabuild_distro::debian::arch::debian_arch;
use mabuild_distro::debian::deb::Deb;
use mabuild_distro::debian::dpkg::{Unpacked, extended_states};
use mabuild_distro::debian::status;
use mabuild_sandbox::RunSpec;

use super::alpine;
use super::debian::{DebFile, VARIABLES, no_services, script};
use super::inner::{MountRequest, MountSource};
use super::layers::{Layer, chain_text};
use super::run::Work;
use super::stage::{Build, Made};
use super::users::User;
use super::{Stop, run};
use crate::exec::Fault;
use crate::facts::{Family, PackageSet, PackagesPin, Pin};
use crate::key::{Key, Value, hash_fields};
use crate::spec::{self, Packages};

/// Version of the way packages are installed; part of the key.
const FORMAT: i64 = 2;
/// Where Debian keeps its list of what is installed.
const STATUS: &str = "var/lib/dpkg/status";

impl Build<'_> {
    /// Installs packages on the layers so far. `tell` hears whether that comes out of the store.
    pub(super) fn packages(
        &mut self,
        packages: &Packages<spec::Built>,
        tell: &dyn Fn(bool),
    ) -> Result<Made, Stop> {
        let Pin::Packages(pin) = &*packages.from else {
            return Err(Fault::step("these are no packages that can be installed").into());
        };
        match pin.family {
            Some(family) => self.install(family, pin, tell),
            None => Err(Fault::step(
                "packages cannot be installed here: the image below has neither dpkg nor apk",
            )
            .into()),
        }
    }

    fn install(
        &mut self,
        family: Family,
        pin: &PackagesPin,
        tell: &dyn Fn(bool),
    ) -> Result<Made, Stop> {
        let key = self.knobs.place(self.packages_key(pin));
        let native = self.native;
        // Equal steps of two images must run once.
        let guard = native.store.lock(&format!("step-{}", key.hex()));
        let _guard = guard.map_err(|e| Fault::environment(e.to_string()))?;
        let known = native.known_step(&key);
        let date = native.store.memo("base-date", &key.hex()).and_then(|date| date.parse().ok());
        if let (Some(row), Some(date)) = (known, date) {
            tell(true);
            self.date = date;
            return Ok(match row.as_ref().and_then(Layer::of_row) {
                Some(layer) => Made::Layer { layer: Box::new(layer), cached: true },
                None => Made::Unchanged { cached: true },
            });
        }
        let (set, known) = match family {
            Family::Debian => self.missing(&pin.set)?,
            Family::Alpine => (alpine::missing(self, &pin.set)?, HashSet::new()),
        };
        if set.packages.is_empty() {
            tell(false);
            return Ok(Made::Unchanged { cached: false });
        }
        let begun = std::time::Instant::now();
        let debs = native.debs(&set)?;
        self.built.phases.download += begun.elapsed().as_secs_f64();
        let job = native.job()?;
        let folder = job.path.join("packages");
        let (run, newest) = match family {
            Family::Debian => {
                let (unpacked, newest) = read(&debs)?;
                offer(&debs, &folder)?;
                let arch = &self.stage.platform;
                let arch = debian_arch(&arch.os, &arch.arch, arch.variant.as_deref());
                let automatic = automatic(&unpacked, &pin.names, &known, arch.unwrap_or_default());
                let script = script::packages(&unpacked, &automatic).map_err(Fault::upstream)?;
                (debian_spec(script), newest)
            }
            Family::Alpine => {
                let arch = self.stage.platform.alpine().unwrap_or_default();
                (alpine::run_spec(pin), alpine::offer(&debs, &set, arch, &folder)?)
            }
        };
        let date = self.spec.source_date.unwrap_or_else(|| self.date.max(newest));
        let work = Work {
            run: self.install_spec(run, date)?,
            mounts: vec![MountRequest {
                target: script::LATE.into(),
                read_only: true,
                source: MountSource::Folder(folder),
            }],
            owner: (0, 0),
            date,
            installs: true,
        };
        let reply = self.work(&job, work, tell)?;
        if let Some(how) = reply.exit.failure() {
            let names = pin.names.join(" ");
            let message = format!("installing {names} {how}; its output says why");
            return Err(Fault::step(message).into());
        }
        let layer = native.keep(&key, reply.packed.as_ref(), &job.path)?;
        native.keep_date(&key, date)?;
        self.date = date;
        Ok(match layer {
            Some(layer) => Made::Layer { layer: Box::new(layer), cached: false },
            None => Made::Unchanged { cached: false },
        })
    }

    /// The key of the step: what is below and what is installed.
    fn packages_key(&self, pin: &PackagesPin) -> Key {
        let below = chain_text(&self.layers);
        let platform = self.stage.platform.to_string();
        let mut fields = vec![
            ("format", Value::Number(FORMAT)),
            ("below", Value::Text(&below)),
            ("platform", Value::Text(&platform)),
            ("date", Value::Number(self.date)),
            ("clamp", self.spec.source_date.map_or(Value::Unset, Value::Number)),
        ];
        // Both package managers note what was asked for.
        fields.extend(pin.names.iter().map(|name| ("name", Value::Text(name))));
        fields.extend(
            pin.set.packages.iter().map(|package| ("package", Value::Text(&package.sha256))),
        );
        hash_fields("packages", &fields)
    }

    /// The packages that the image below has not, or in another version; and the names of those
    /// that it has.
    fn missing(&mut self, set: &PackageSet) -> Result<(PackageSet, HashSet<String>), Fault> {
        let view = self.view()?;
        let real = view.resolve(STATUS.as_bytes()).ok().map(|found| found.path);
        let read = |path: Vec<u8>| self.native.read_file(&self.layers, &view, &path);
        let text = real.map(read).transpose()?.flatten();
        let has_dpkg = ["usr/bin/dpkg", "bin/dpkg"].iter().any(|path| {
            let found = view.resolve(path.as_bytes());
            found.is_ok_and(|found| view.lookup(&found.path).is_some())
        });
        let Some(text) = text.filter(|_| has_dpkg) else {
            return Err(Fault::step(
                "packages cannot be installed here: the image below has no dpkg. Install them in a \
                 stage that has one, and copy what is needed",
            ));
        };
        let installed = status::read(&text).map_err(|e| {
            Fault::step(format!("/{STATUS} of the image below cannot be read: {e}"))
        })?;
        let installed: HashSet<(&str, &str)> = installed
            .iter()
            .filter(|package| package.status.ends_with(" ok installed"))
            .map(|package| (package.name.as_str(), package.version.as_str()))
            .collect();
        let lacks = |package: &&crate::facts::PackagePin| {
            !installed.contains(&(&package.name, &package.version))
        };
        let packages = set.packages.iter().filter(lacks).cloned().collect();
        let known = installed.iter().map(|(name, _)| (*name).to_owned()).collect();
        Ok((PackageSet { packages, ..set.clone() }, known))
    }

    /// How a package manager runs.
    fn install_spec(&self, mut spec: RunSpec, date: i64) -> Result<RunSpec, Fault> {
        spec.env.push(("SOURCE_DATE_EPOCH".to_owned(), date.to_string()));
        run::surround(&mut spec, &User::root(), false);
        self.native.apart(spec, &self.stage.platform)
    }
}

/// What apt is told of packages that are installed for others alone: those that were neither named
/// nor there before.
fn automatic(
    packages: &[Unpacked],
    named: &[String],
    known: &HashSet<String>,
    arch: &str,
) -> String {
    let asked: HashSet<&str> =
        named.iter().filter_map(|name| name.split(['=', ':', '/']).next()).collect();
    let names = packages.iter().map(Unpacked::name);
    let new = names.filter(|name| !asked.contains(name) && !known.contains(*name));
    extended_states(new, arch)
}

fn debian_spec(script: String) -> RunSpec {
    let mut spec = RunSpec::new("/", [""; 0]);
    script::put(&mut spec, script);
    spec.env = VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    spec.mounts.extend(no_services());
    spec
}

/// Reads what packages say of themselves, and the date of the newest.
fn read(debs: &[DebFile]) -> Result<(Vec<Unpacked>, i64), Fault> {
    let mut newest = 0;
    let mut out = Vec::new();
    for deb in debs {
        let bad = |e: &dyn std::fmt::Display| {
            let DebFile { name, version, .. } = deb;
            Fault::upstream(format!("the package {name} {version} cannot be read: {e}"))
        };
        let mut archive =
            Deb::open(File::open(&deb.path).map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
        newest = newest.max(archive.date());
        let control = archive.control().map_err(|e| bad(&e))?;
        let (files, paths, hashes) = Default::default();
        out.push(Unpacked { control, files, paths, hashes });
    }
    Ok((out, newest))
}

/// Puts package files into a folder by the numbers that the script knows them by.
fn offer(debs: &[DebFile], folder: &std::path::Path) -> Result<(), Fault> {
    let failed = |e: std::io::Error| {
        Fault::environment(format!("cannot write in {}: {e}", folder.display()))
    };
    std::fs::create_dir(folder).map_err(failed)?;
    for (at, deb) in debs.iter().enumerate() {
        let path: PathBuf = folder.join(format!("{at}.deb"));
        // A file on another disk is copied.
        std::fs::hard_link(&deb.path, &path)
            .or_else(|_| std::fs::copy(&deb.path, &path).map(drop))
            .map_err(failed)?;
    }
    Ok(())
}
