//! Keys: the hash of a whole spec, and the record of what was hashed.
//!
//! One walk over a spec feeds both, so a record always shows exactly what the key is made of.
//! Every struct is taken apart field by field: a new field does not compile until it is walked.
//!
//! In a key: platform, source date when given, the digests of parents or pins of upstreams,
//! instructions after expansion, for each `copy` path, mode and content of its files, and the
//! settings. Never in a key: mtimes, absolute paths, host names, users, locale, clock, spans.

mod diff;
mod hashed;
mod hasher;
mod ops;
mod record;

use crate::facts::{
    AlpineArchive, AlpinePin, Archive, ArchiveKeys, DebianArchive, DebianPin, DebianVariant,
    Family, FileFact, FileKind, FileSet, PackagePin, PackageSet, PackagesPin, Pin, Trim,
};
use crate::spec::{BuildSpec, ParentDigest, Phase, Settings, Source, Spec, Stage, Step};

pub use diff::{Change, diff};
pub use hashed::{read_hashed, write_hashed};
use hasher::Hasher;
pub use record::{RECORD_FORMAT, Record};

/// Version of the encoding; part of every key.
pub const KEY_FORMAT: u32 = 2;

/// A key: blake3 of the canonical encoding of a spec.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; 32]);

impl Key {
    /// 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut out = [0; 32];
        hex::decode_to_slice(text, &mut out).ok()?;
        Some(Self(out))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex()[..12])
    }
}

/// Receives the fields of a spec in canonical order.
pub trait Sink {
    /// One field. `name` is a dotted path without list positions being lost (`steps[2].run`).
    fn field(&mut self, name: &Name<'_>, value: Value<'_>);
    /// The files of a context: one field in a key, and one for each file where people read it.
    fn files(&mut self, name: &Name<'_>, set: &FileSet);
}

/// The dotted name of a field, made into text only where somebody wants it.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    /// Name of the enclosing value.
    pub outer: Option<&'a Name<'a>>,
    /// Own name.
    pub part: Part<'a>,
}

/// One step of a [`Name`].
#[derive(Clone, Copy)]
pub enum Part<'a> {
    /// A field.
    Field(&'a str),
    /// A position in a list.
    At(usize),
}

/// The value of a field.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// A number.
    Number(i64),
    /// Permission bits.
    Mode(u32),
    /// A digest in bytes.
    Digest(&'a [u8; 32]),
    /// Nothing: the field is not set.
    Unset,
}

impl<'a> Name<'a> {
    const ROOT: Name<'static> = Name { outer: None, part: Part::Field("") };

    fn field(&'a self, name: &'a str) -> Name<'a> {
        Name { outer: Some(self), part: Part::Field(name) }
    }

    fn at(&'a self, position: usize) -> Name<'a> {
        Name { outer: Some(self), part: Part::At(position) }
    }

    /// The whole name: `steps[2].files.conf/a`.
    pub fn to_text(&self) -> String {
        let mut text = self.outer.map(Name::to_text).unwrap_or_default();
        match self.part {
            Part::Field("") => {}
            Part::Field(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Part::At(position) => {
                text.push('[');
                text.push_str(&position.to_string());
                text.push(']');
            }
        }
        text
    }
}

/// The key of a build.
pub fn key(spec: &BuildSpec) -> Key {
    hash(|sink| walk_build(spec, sink))
}

/// Walks every field of a build.
fn walk_build(spec: &BuildSpec, sink: &mut dyn Sink) {
    walk(spec, &mut |p: &ParentDigest, n, s| s.field(n, Value::Text(&p.0)), sink);
}

/// A key over fields that a caller walks itself, under a domain of its own.
pub fn hash_fields(domain: &str, fields: &[(&str, Value<'_>)]) -> Key {
    hash(|sink| {
        sink.field(&Name::ROOT.field("domain"), Value::Text(domain));
        for (name, value) in fields {
            sink.field(&Name::ROOT.field(name), *value);
        }
    })
}

fn hash(fill: impl FnOnce(&mut Hasher)) -> Key {
    let mut hasher = Hasher::default();
    hasher.bytes(b'v', format!("mabuild-key-{KEY_FORMAT}").as_bytes());
    fill(&mut hasher);
    hasher.finish()
}

/// The digest of a file set: each match with its files by path, mode and content.
pub fn file_set_digest(matches: &[crate::facts::Match]) -> [u8; 32] {
    hash(|sink| {
        sink.field(&Name::ROOT.field("domain"), Value::Text("files"));
        for (at, found) in matches.iter().enumerate() {
            let crate::facts::Match { path, files, directory } = found;
            let root = Name::ROOT.at(at);
            sink.field(&root.field("source"), Value::Text(path));
            sink.field(&root.field("directory"), Value::Number(i64::from(*directory)));
            for file in files {
                walk_file(file, &root, sink);
            }
        }
    })
    .0
}

fn walk_file(file: &FileFact, outer: &Name<'_>, sink: &mut dyn Sink) {
    let FileFact { path, mode, kind } = file;
    let name = outer.field(path);
    sink.field(&name.field("mode"), Value::Mode(*mode));
    match kind {
        // The size is the length of what the digest is over.
        FileKind::File { digest, size: _ } => {
            sink.field(&name.field("content"), Value::Digest(digest));
        }
        FileKind::Dir => sink.field(&name.field("type"), Value::Text("directory")),
        FileKind::Parent => sink.field(&name.field("type"), Value::Text("parent")),
        FileKind::Symlink(to) => sink.field(&name.field("link"), Value::Text(to)),
        FileKind::Hardlink(to) => sink.field(&name.field("hard-link"), Value::Text(to)),
        FileKind::Fifo => sink.field(&name.field("type"), Value::Text("pipe")),
        FileKind::Device { character, major, minor } => {
            let kind = if *character { "character device" } else { "block device" };
            sink.field(&name.field("type"), Value::Text(kind));
            sink.field(&name.field("major"), Value::Number(i64::from(*major)));
            sink.field(&name.field("minor"), Value::Number(i64::from(*minor)));
        }
    }
}

type ParentWalk<'a, P> = dyn FnMut(&<P as Phase>::Parent, &Name<'_>, &mut dyn Sink) + 'a;

/// Walks every field of a spec.
pub(crate) fn walk<P>(spec: &Spec<P>, parent: &mut ParentWalk<'_, P>, sink: &mut dyn Sink)
where
    P: Phase<Files = std::sync::Arc<FileSet>, Upstream = std::sync::Arc<Pin>>,
{
    let Spec { platform, source_date, stages, settings, watched } = spec;
    let root = Name::ROOT;
    sink.field(&root.field("platform"), Value::Text(&platform.to_string()));
    let date = source_date.map_or(Value::Unset, Value::Number);
    sink.field(&root.field("source-date"), date);
    let mut walker = ops::Walker { parent, sink };
    let count = stages.len();
    for (at, stage) in stages.iter().enumerate() {
        if at + 1 == count {
            // Of most images the only one.
            walk_stage(stage, &root, platform, &mut walker);
        } else {
            let list = root.field("stages");
            walk_stage(stage, &list.at(at), platform, &mut walker);
        }
    }
    walk_settings(settings, &root, sink);
    texts_of_pairs(watched, &root.field("watched"), sink);
}

fn walk_stage<P>(
    stage: &Stage<P>,
    root: &Name<'_>,
    target: &mabuild_lang::platform::Platform,
    walker: &mut ops::Walker<'_, '_, P>,
) where
    P: Phase<Files = std::sync::Arc<FileSet>, Upstream = std::sync::Arc<Pin>>,
{
    // The name is for messages: other stages are named by their place.
    let Stage { name: _, platform, source, steps } = stage;
    if platform != target {
        let name = root.field("stage-platform");
        walker.sink.field(&name, Value::Text(&platform.to_string()));
    }
    let from = root.field("from");
    match source {
        Source::Scratch => walker.sink.field(&from, Value::Text("scratch")),
        Source::Parent(parent) => (walker.parent)(parent, &from, walker.sink),
        Source::Upstream(pin) => walk_pin(pin, root, walker.sink),
        Source::Stage(stage) => walker.stage(*stage, &from),
    }
    let list = root.field("steps");
    for (at, step) in steps.iter().enumerate() {
        // The span and the text say where a step stands and how it is written, not what it does.
        let Step { span: _, text: _, op } = step;
        walker.op(op, &list.at(at));
    }
}

fn walk_pin(pin: &Pin, root: &Name<'_>, sink: &mut dyn Sink) {
    match pin {
        Pin::Archive { digest, location: _, version: _ } => {
            sink.field(&root.field("archive"), Value::Text(digest));
        }
        Pin::Debian(DebianPin { variant, trim, set }) => {
            let name = match variant {
                // The archives leave no trace in a system that is unpacked only.
                DebianVariant::Extract => None,
                DebianVariant::Minbase => Some("minbase"),
                DebianVariant::Standard => Some("standard"),
                DebianVariant::Minideb => Some("minideb"),
            };
            if let Some(name) = name {
                sink.field(&root.field("debian"), Value::Text(name));
                walk_archives(&set.archives, root, sink);
            }
            for (at, trim) in trim.iter().enumerate() {
                let word = match trim {
                    Trim::Docs => "docs",
                    Trim::Locales => "locales",
                };
                sink.field(&root.field("trim").at(at), Value::Text(word));
            }
            walk_packages(set, root, sink);
        }
        Pin::Alpine(AlpinePin { arch, world, set }) => {
            sink.field(&root.field("alpine"), Value::Text(arch));
            texts(world, &root.field("world"), sink);
            walk_archives(&set.archives, root, sink);
            walk_packages(set, root, sink);
        }
        Pin::Packages(PackagesPin { family, names, set, below: _ }) => {
            if let Some(family) = family {
                let family = match family {
                    Family::Debian => "debian",
                    Family::Alpine => "alpine",
                };
                sink.field(&root.field("family"), Value::Text(family));
            }
            texts(names, &root.field("names"), sink);
            walk_packages(set, root, sink);
        }
        // What an image is does not depend on where it comes from.
        Pin::Layout { manifest, path: _ } | Pin::Registry { manifest, location: _ } => {
            sink.field(&root.field("manifest"), Value::Text(manifest));
        }
    }
}

fn walk_packages(set: &PackageSet, root: &Name<'_>, sink: &mut dyn Sink) {
    let PackageSet { archives: _, releases: _, packages } = set;
    let list = root.field("packages");
    for package in packages {
        let PackagePin { name, version, arch, sha256, size: _, archive: _, path: _ } = package;
        let at = list.field(name);
        sink.field(&at.field("version"), Value::Text(version));
        sink.field(&at.field("architecture"), Value::Text(arch));
        sink.field(&at.field("sha256"), Value::Text(sha256));
    }
}

/// The archives that a system is configured with.
fn walk_archives(archives: &[Archive], root: &Name<'_>, sink: &mut dyn Sink) {
    let list = root.field("archives");
    for (at, archive) in archives.iter().enumerate() {
        let name = list.at(at);
        let keys = match archive {
            Archive::Debian(DebianArchive { uri, suite, components, keys }) => {
                sink.field(&name.field("suite"), Value::Text(suite));
                sink.field(&name.field("uri"), uri.as_deref().map_or(Value::Unset, Value::Text));
                texts(components, &name.field("components"), sink);
                keys
            }
            Archive::Alpine(AlpineArchive { uri, path, tag, keys }) => {
                sink.field(&name.field("path"), Value::Text(path));
                sink.field(&name.field("uri"), uri.as_deref().map_or(Value::Unset, Value::Text));
                sink.field(&name.field("tag"), tag.as_deref().map_or(Value::Unset, Value::Text));
                keys
            }
        };
        match keys {
            // A file was read when the archive was pinned; its path is that of one machine.
            ArchiveKeys::Distribution | ArchiveKeys::File(_) => {}
            ArchiveKeys::Given(keys) => {
                for (file, bytes) in keys {
                    let digest = blake3::hash(bytes);
                    let name = name.field("keys");
                    sink.field(&name.field(file), Value::Digest(digest.as_bytes()));
                }
            }
        }
    }
}

fn texts(list: &[String], name: &Name<'_>, sink: &mut dyn Sink) {
    for (at, text) in list.iter().enumerate() {
        sink.field(&name.at(at), Value::Text(text));
    }
}

fn texts_of_pairs(pairs: &[(String, String)], name: &Name<'_>, sink: &mut dyn Sink) {
    for (key, value) in pairs {
        sink.field(&name.field(key), Value::Text(value));
    }
}

fn walk_settings(settings: &Settings, root: &Name<'_>, sink: &mut dyn Sink) {
    let Settings {
        env,
        labels,
        unlisted,
        entrypoint,
        cmd,
        expose,
        volumes,
        workdir,
        user,
        stop_signal,
    } = settings;
    texts_of_pairs(env, &root.field("env"), sink);
    texts_of_pairs(labels, &root.field("label"), sink);
    texts_of_pairs(unlisted, &root.field("unlisted-label"), sink);
    for (name, words) in [("entrypoint", entrypoint), ("cmd", cmd)] {
        match words {
            Some(words) => {
                let count = words.len() as i64;
                sink.field(&root.field(name).field("words"), Value::Number(count));
                texts(words, &root.field(name), sink);
            }
            None => sink.field(&root.field(name), Value::Unset),
        }
    }
    texts(expose, &root.field("expose"), sink);
    texts(volumes, &root.field("volume"), sink);
    for (name, text) in [("workdir", workdir), ("user", user), ("stop-signal", stop_signal)] {
        sink.field(&root.field(name), text.as_deref().map_or(Value::Unset, Value::Text));
    }
}
