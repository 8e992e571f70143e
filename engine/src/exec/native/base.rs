//! Bases: an archive, Debian packages, or an image of a layout or a registry, to layers. Nothing
//! is mounted, no script is run, so the bytes are the same on every machine and for every user.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use mabuild_distro::debian::{self, Deb};
use mabuild_lang::platform::Platform;
use mabuild_oci::layer::{Entry, EntryKind, Limits, merge, read_tar};
use mabuild_oci::{Digest, ImageConfig, Layout};
use rayon::prelude::*;

use super::layers::Layer;
use super::stage::created;
use super::{Native, Stop};
use crate::exec::{Built, Fault, Knobs};
use crate::facts::{DebianPin, DebianVariant, PackagePin, PackageSet, Pin};
use crate::key::{Key, Value, hash_fields};
use crate::spec::BuildSpec;

/// What a base starts with.
pub(super) struct Base {
    pub layers: Vec<Layer>,
    /// The newest date in it.
    pub date: i64,
    /// The config that came with it.
    pub config: Option<ImageConfig>,
    /// The manifest that came with it.
    pub manifest: Option<Arc<str>>,
    /// A line for each layer.
    pub history: Vec<String>,
}

impl Native {
    /// Brings the content of an upstream into the store; `platform` is what its programs are for.
    pub(super) fn base(
        &self,
        pin: &Pin,
        platform: &Platform,
        spec: &BuildSpec,
        knobs: &Knobs,
        built: &mut Built,
    ) -> Result<Base, Stop> {
        match pin {
            Pin::Archive { digest, location, version: _ } => {
                let key = base_key("archive", std::slice::from_ref(digest), spec.source_date);
                // The manifest may say only what the content says: an archive that was packed anew has
                // another digest.
                let history = vec!["rootfs".to_owned()];
                self.layered(&key, history, spec, knobs, built, |built| {
                    let begun = Instant::now();
                    let path = self.supply.file(digest, location)?;
                    built.phases.download += begun.elapsed().as_secs_f64();
                    self.archive(&path, location)
                })
            }
            Pin::Debian(DebianPin { variant: DebianVariant::Extract, set, .. }) => {
                let packages = &set.packages;
                let names: Vec<String> = packages.iter().map(|p| p.sha256.clone()).collect();
                let key = base_key("debian-extract", &names, spec.source_date);
                let history = packages.iter().map(|p| p.name.as_str());
                let history = vec![format!("debian {}", history.collect::<Vec<_>>().join(" "))];
                self.layered(&key, history, spec, knobs, built, |built| {
                    let mut lists = Vec::new();
                    for package in packages {
                        let begun = Instant::now();
                        let path = self.supplied(set, package)?;
                        built.phases.download += begun.elapsed().as_secs_f64();
                        lists.push(self.package(&path, package)?);
                    }
                    merge(lists).map_err(|e| {
                        Fault::step(format!("the packages cannot be unpacked over each other: {e}"))
                    })
                })
            }
            Pin::Debian(pin) => self.debian(pin, platform, spec, knobs, built),
            Pin::Alpine(pin) => self.alpine(pin, platform, spec, knobs, built),
            Pin::Packages(_) => {
                Err(Fault::step("packages are no base: a step installs them on one").into())
            }
            Pin::Layout { manifest, path } => self.layout_base(manifest, path, spec),
            Pin::Registry { manifest, location } => {
                let begun = Instant::now();
                self.supply.image(manifest, location)?;
                built.phases.download += begun.elapsed().as_secs_f64();
                self.image_base(manifest, spec)
            }
        }
    }

    /// A base of one layer, out of the store or made by `read`.
    pub(super) fn layered(
        &self,
        key: &Key,
        history: Vec<String>,
        spec: &BuildSpec,
        knobs: &Knobs,
        built: &mut Built,
        read: impl FnOnce(&mut Built) -> Result<Vec<Entry>, Fault>,
    ) -> Result<Base, Stop> {
        let base = |layer: Layer, date: i64| Base {
            layers: vec![layer],
            date,
            config: None,
            manifest: None,
            history,
        };
        let key = &knobs.place(*key);
        if let Some((layer, date)) = self.kept_base(key) {
            built.reused += 1;
            return Ok(base(layer, date));
        }
        let begun = Instant::now();
        let downloads = built.phases.download;
        let entries = read(built)?;
        let date = spec.source_date.unwrap_or_else(|| newest(&entries));
        built.phases.unpack += begun.elapsed().as_secs_f64() - (built.phases.download - downloads);
        let begun = Instant::now();
        let layer = self.put_layer(key, entries, &HashMap::new(), &self.packing(date, knobs))?;
        built.phases.pack += begun.elapsed().as_secs_f64();
        built.bytes += layer.descriptor.size;
        self.keep_date(key, date)?;
        Ok(base(layer, date))
    }

    /// The file of a package of a set.
    pub(super) fn supplied(
        &self,
        set: &PackageSet,
        package: &PackagePin,
    ) -> Result<PathBuf, Fault> {
        let archive = set.archives.get(package.archive).ok_or_else(|| {
            Fault::environment(format!("no archive is known that has {}", package.name))
        })?;
        self.supply.package(archive, package)
    }

    fn archive(&self, path: &Path, location: &str) -> Result<Vec<Entry>, Fault> {
        let bad = |e: &dyn std::fmt::Display| {
            Fault::upstream(format!("the root file system {location} cannot be unpacked: {e}"))
        };
        let mut file = File::open(path).map_err(|e| bad(&e))?;
        let reader = plain(&mut file).map_err(|e| bad(&e))?;
        let entries = read_tar(reader, self.spool()?, &Limits::default()).map_err(|e| bad(&e))?;
        // The root directory belongs to whoever unpacks the image.
        Ok(entries.into_iter().filter(|e| !e.path.is_empty()).collect())
    }

    fn package(&self, path: &Path, package: &PackagePin) -> Result<Vec<Entry>, Fault> {
        let bad = |e: &dyn std::fmt::Display| {
            Fault::upstream(format!(
                "the package {} {} cannot be unpacked: {e}",
                package.name, package.version
            ))
        };
        let file = File::open(path).map_err(|e| bad(&e))?;
        let mut deb = Deb::open(file).map_err(|e| bad(&e))?;
        let data = deb.data().map_err(|e| bad(&e))?;
        let entries = read_tar(data, self.spool()?, &Limits::default()).map_err(|e| bad(&e))?;
        Ok(entries.into_iter().filter(|e| !e.path.is_empty()).collect())
    }

    fn layout_base(&self, manifest: &str, path: &str, spec: &BuildSpec) -> Result<Base, Stop> {
        let bad = |e: mabuild_oci::Error| {
            Fault::step(format!("cannot take {manifest} out of the OCI layout {path}: {e}"))
        };
        let digest = Digest::parse(manifest).map_err(bad)?;
        let from = Layout::open(Path::new(path)).map_err(bad)?;
        mabuild_oci::layout::copy_image(&from, self.store.layout(), &digest).map_err(bad)?;
        self.image_base(manifest, spec)
    }

    /// A base that is an image of the store.
    fn image_base(&self, manifest: &str, spec: &BuildSpec) -> Result<Base, Stop> {
        let manifest: Arc<str> = manifest.into();
        let below = self.below(&manifest)?;
        below.layers.par_iter().try_for_each(|layer| self.check_diff_id(layer))?;
        let date = spec.source_date.unwrap_or_else(|| created(&below.config));
        // An image of an older variant becomes one of the wanted platform.
        let own = Platform::parse(&below.config.platform().to_string());
        let is_same = own.is_ok_and(|own| own == spec.platform);
        Ok(Base {
            layers: below.layers,
            date,
            config: Some(below.config),
            manifest: Some(manifest).filter(|_| is_same),
            history: Vec::new(),
        })
    }
}

impl Native {
    /// Checks that a layer is what the config of its image says. Trees and lists of files are
    /// shared by that name: an image that lies would put its files into others.
    pub(super) fn check_diff_id(&self, layer: &Layer) -> Result<(), Fault> {
        let (blob, said) = (layer.descriptor.digest, layer.diff_id);
        let actual = self.store.diff_id(&blob, &said).map_err(|e| {
            Fault::upstream(format!("the layer {blob} of a base cannot be uncompressed: {e}"))
        })?;
        match actual == said {
            true => Ok(()),
            false => Err(Fault::upstream(format!(
                "the layer {blob} of a base is {actual} when it is uncompressed, but the config of \
                 the base says {said}: whoever made the base has to make it again"
            ))),
        }
    }
}

/// The key of a base layer: what it is unpacked from, how times are clamped.
fn base_key(kind: &str, inputs: &[String], source_date: Option<i64>) -> Key {
    let mut fields = vec![("clamp", source_date.map_or(Value::Unset, Value::Number))];
    fields.extend(inputs.iter().map(|digest| ("input", Value::Text(digest))));
    hash_fields(kind, &fields)
}

/// The newest time of the files. Directories count too: an archive may hold nothing else.
fn newest(entries: &[Entry]) -> i64 {
    let of = |files: bool| {
        entries
            .iter()
            .filter(|e| matches!(e.kind, EntryKind::File { .. }) == files)
            .map(|e| e.mtime)
            .max()
    };
    of(true).or_else(|| of(false)).unwrap_or(0).max(0)
}

/// Decompresses by what the first bytes show.
pub(super) fn plain(file: &mut File) -> std::io::Result<Box<dyn Read + Send + '_>> {
    let mut start = Vec::with_capacity(6);
    file.by_ref().take(6).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    debian::decompress(debian::Compression::from_magic(&start), file)
}
