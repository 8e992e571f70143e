//! `image diff`: what two images, or two platforms of one, differ in.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;

use mabuild_lang::platform::Platform;
use mabuild_oci::layer::FsView;
use mabuild_oci::layer::tree_index::{IndexEntry, NodeKind};
use serde_json::Value;

use super::files::{FileRow, row, view};
use super::reader::{Found, Member, ReadRequest, Reader};
use super::unreadable;
use crate::ops::{Env, ErrorKind, OpError};

/// One side of a comparison.
#[derive(Clone, Debug)]
pub struct Side {
    /// NAME, NAME:TAG, a digest, or a reference with its registry.
    pub reference: String,
    /// One of its platforms; none compares all that both sides have.
    pub platform: Option<Platform>,
}

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct DiffRequest {
    /// Before.
    pub a: Side,
    /// After.
    pub b: Side,
    /// Whether files differ whose times alone do.
    pub times: bool,
}

/// What became of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// What it was; none where it is new.
    pub a: Option<FileRow>,
    /// What it is; none where it is gone.
    pub b: Option<FileRow>,
    /// What differs, where it is on both sides: `kind`, `content`, `mode`, `owner`, `target`,
    /// `device`, `attributes`, `time`.
    pub why: Vec<&'static str>,
}

/// A value of a configuration that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Its name: `Entrypoint`, `Env PATH`, `Labels maintainer`.
    pub name: String,
    /// What it was.
    pub a: Option<Value>,
    /// What it is.
    pub b: Option<Value>,
}

/// An image of one platform, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The platform.
    pub platform: String,
    /// Digest of the manifest.
    pub digest: String,
    /// Layers.
    pub layers: usize,
    /// Bytes of the layers as they are sent.
    pub sent: u64,
    /// Bytes of the files; none where they were not read, because both sides have the same layers.
    pub unpacked: Option<u64>,
}

/// What differs on one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformDiff {
    /// Before.
    pub a: Weight,
    /// After.
    pub b: Weight,
    /// Values of the configuration, by name.
    pub config: Vec<ConfigChange>,
    /// Files, by path.
    pub files: Vec<FileChange>,
}

impl PlatformDiff {
    /// Whether both sides are one image.
    pub fn is_same(&self) -> bool {
        self.a.digest == self.b.digest
    }
}

/// What two images differ in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name and digest before.
    pub a: (String, String),
    /// Name and digest after.
    pub b: (String, String),
    /// What both sides have, platform by platform.
    pub platforms: Vec<PlatformDiff>,
    /// Platforms that were there before alone.
    pub only_a: Vec<String>,
    /// Platforms that are there now alone.
    pub only_b: Vec<String>,
}

impl Difference {
    /// Whether both sides are one image.
    pub fn is_same(&self) -> bool {
        let alone = self.only_a.len() + self.only_b.len();
        alone == 0 && self.platforms.iter().all(PlatformDiff::is_same)
    }
}

/// Compares two images. Only layers are brought that one side has and the other lacks, and those
/// below them.
pub fn diff(env: &Env, read: &ReadRequest, request: &DiffRequest) -> Result<Difference, OpError> {
    let reader = Reader::open(env, read)?;
    let (a, b) = (reader.find(&request.a.reference)?, reader.find(&request.b.reference)?);
    let mut difference = Difference {
        a: (a.name.clone(), a.root.digest.to_string()),
        b: (b.name.clone(), b.root.digest.to_string()),
        platforms: Vec::new(),
        only_a: Vec::new(),
        only_b: Vec::new(),
    };
    for pair in pairs(&reader, request, (&a, &b))? {
        match pair {
            (Some(a), Some(b)) => {
                difference.platforms.push(compare(&reader, &a, &b, request.times)?);
            }
            (Some(a), None) => difference.only_a.push(a.shown()),
            (None, Some(b)) => difference.only_b.push(b.shown()),
            (None, None) => {}
        }
    }
    Ok(difference)
}

type Pair = (Option<Member>, Option<Member>);

/// Which image is held against which.
fn pairs(
    reader: &Reader,
    request: &DiffRequest,
    (a, b): (&Found, &Found),
) -> Result<Vec<Pair>, OpError> {
    // A platform of one side counts for the other where that names none.
    let wanted_a = request.a.platform.as_ref().or(request.b.platform.as_ref());
    let wanted_b = request.b.platform.as_ref().or(request.a.platform.as_ref());
    if wanted_a.is_some() {
        let pair = (reader.one(a, wanted_a)?, reader.one(b, wanted_b)?);
        return Ok(vec![(Some(pair.0), Some(pair.1))]);
    }
    let mut others = reader.images(b)?;
    let mut out: Vec<Pair> = Vec::new();
    for image in reader.images(a)? {
        let same = others.iter().position(|other| other.shown() == image.shown());
        out.push((Some(image), same.map(|at| others.remove(at))));
    }
    out.extend(others.into_iter().map(|image| (None, Some(image))));
    match out.is_empty() {
        false => Ok(out),
        true => {
            let message = "neither is an image that can be run: there is nothing to compare";
            Err(OpError::new(ErrorKind::User, "mabuild::engine::image", message))
        }
    }
}

fn compare(reader: &Reader, a: &Member, b: &Member, times: bool) -> Result<PlatformDiff, OpError> {
    let mut diff = PlatformDiff {
        a: weight(a),
        b: weight(b),
        config: config_changes(&settings(a)?, &settings(b)?),
        files: Vec::new(),
    };
    let ids = |image: &Member| -> Vec<_> { image.layers().into_iter().map(|(id, _)| id).collect() };
    if ids(a) != ids(b) {
        let (before, after) = (view(reader, a)?, view(reader, b)?);
        diff.a.unpacked = Some(unpacked(&before));
        diff.b.unpacked = Some(unpacked(&after));
        diff.files = changes(&before, &after, times);
    }
    Ok(diff)
}

fn weight(image: &Member) -> Weight {
    Weight {
        platform: image.shown(),
        digest: image.descriptor.digest.to_string(),
        layers: image.manifest.layers.len(),
        sent: image.manifest.layers.iter().map(|layer| layer.size).sum(),
        unpacked: None,
    }
}

/// Bytes of all files, names of one file counted once.
fn unpacked(view: &FsView) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let files = view.iter().filter(|entry| entry.kind == NodeKind::File);
    files.filter(|file| seen.insert(view.origin(&file.path))).map(|file| file.size).sum()
}

/// The settings of an image by name; lists of pairs are one value each.
fn settings(image: &Member) -> Result<BTreeMap<String, Value>, OpError> {
    let mut out = BTreeMap::new();
    let Some(config) = &image.config else { return Ok(out) };
    out.insert("Platform".to_owned(), Value::from(config.platform().to_string()));
    let Value::Object(fields) = serde_json::to_value(&config.config).map_err(unreadable)? else {
        return Ok(out);
    };
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("Env", Value::Array(list)) => out.extend(list.iter().filter_map(|pair| {
                let (variable, value) = pair.as_str()?.split_once('=')?;
                Some((format!("Env {variable}"), Value::from(value)))
            })),
            ("Labels", Value::Object(labels)) => {
                let labels = labels.into_iter();
                out.extend(labels.map(|(label, value)| (format!("Labels {label}"), value)));
            }
            (_, value) => drop(out.insert(name, value)),
        }
    }
    Ok(out)
}

fn config_changes(a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> Vec<ConfigChange> {
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differ = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
    let change = |name: &String| ConfigChange {
        name: name.clone(),
        a: a.get(name).cloned(),
        b: b.get(name).cloned(),
    };
    differ.map(change).collect()
}

/// What became of the files, by path.
fn changes(a: &FsView, b: &FsView, times: bool) -> Vec<FileChange> {
    let sorted = |view: &FsView| -> Vec<(Vec<u8>, FileRow, IndexEntry)> {
        let layer = |entry: &IndexEntry| view.origin(&entry.path).map_or(0, |o| o.layer);
        let entries = view.iter().filter(|entry| !entry.path.is_empty());
        let mut all: Vec<_> =
            entries.map(|e| (e.path.clone(), row(e, layer(e)), e.clone())).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    };
    let mut a = sorted(a).into_iter().peekable();
    let mut b = sorted(b).into_iter().peekable();
    let mut out = Vec::new();
    while let Some(order) = order(&mut a, &mut b) {
        let before = if order.is_le() { a.next() } else { None };
        let after = if order.is_ge() { b.next() } else { None };
        let why = match (&before, &after) {
            (Some((.., before)), Some((.., after))) => why(before, after, times),
            _ => Vec::new(),
        };
        if before.is_none() || after.is_none() || !why.is_empty() {
            let row = |side: Option<(Vec<u8>, FileRow, IndexEntry)>| side.map(|(_, row, _)| row);
            out.push(FileChange { a: row(before), b: row(after), why });
        }
    }
    out
}

/// Which side has the next path; none at the end.
fn order<T, U>(
    a: &mut Peekable<impl Iterator<Item = (Vec<u8>, T, U)>>,
    b: &mut Peekable<impl Iterator<Item = (Vec<u8>, T, U)>>,
) -> Option<Ordering> {
    match (a.peek(), b.peek()) {
        (Some((a, ..)), Some((b, ..))) => Some(a.cmp(b)),
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (None, None) => None,
    }
}

/// What two paths of the same name differ in.
fn why(a: &IndexEntry, b: &IndexEntry, times: bool) -> Vec<&'static str> {
    if a.kind != b.kind {
        return vec!["kind"];
    }
    let reasons = [
        ("content", (a.size, a.digest) != (b.size, b.digest)),
        // That of a symbolic link says nothing.
        ("mode", a.mode != b.mode && a.kind != NodeKind::Symlink),
        ("owner", (a.uid, a.gid) != (b.uid, b.gid)),
        ("target", a.kind == NodeKind::Symlink && a.target != b.target),
        ("device", a.device != b.device),
        ("attributes", a.xattrs != b.xattrs),
        ("time", times && a.mtime != b.mtime),
    ];
    reasons.into_iter().filter(|(_, differs)| *differs).map(|(reason, _)| reason).collect()
}

#[cfg(test)]
mod tests {
    use mabuild_oci::layer::{Entry, EntryKind, LayerIndex};
    use serde_json::json;

    use super::*;

    fn view(layers: &[&[Entry]]) -> FsView {
        FsView::new(layers.iter().map(|layer| LayerIndex::from_entries(layer)).collect())
    }

    #[test]
    fn every_change_has_its_reasons() {
        let link = |target: &str| EntryKind::Symlink { target: target.into() };
        let mut later = Entry::file("time", "same");
        later.mtime = 7;
        let a = view(&[&[
            Entry::new("d", EntryKind::Dir),
            Entry::file("d/same", "1"),
            Entry::file("d/gone", "1"),
            Entry::file("d.txt", "1"),
            Entry::file("time", "same"),
            Entry::new("link", link("a")),
        ]]);
        let b = view(&[
            &[
                Entry::new("d", EntryKind::Dir).with_mode(0o700),
                Entry::file("d/same", "1"),
                Entry::file("d.txt", "2").with_owner(1, 2),
                Entry::file("d/gone", "1"),
                later,
                Entry::new("link", link("b")),
            ],
            &[Entry::new("d/gone", EntryKind::Whiteout), Entry::file("new", "")],
        ]);
        let told = |times| -> Vec<String> {
            let changes = changes(&a, &b, times).into_iter();
            changes
                .map(|change| match (&change.a, &change.b) {
                    (Some(a), Some(_)) => format!("{} {}", a.path, change.why.join(",")),
                    (Some(a), None) => format!("-{}", a.path),
                    (None, Some(b)) => format!("+{} {}", b.path, b.layer),
                    (None, None) => String::new(),
                })
                .collect()
        };
        let plain = ["/d mode", "/d.txt content,owner", "-/d/gone", "/link target", "+/new 1"];
        assert_eq!(told(false), plain);
        assert_eq!(told(true)[5], "/time time");
        assert!(changes(&a, &a, true).is_empty());
    }

    #[test]
    fn names_of_one_file_weigh_once() {
        let hard = EntryKind::Hardlink { target: b"a".to_vec() };
        let one = view(&[&[Entry::file("a", "1234"), Entry::new("b", hard)]]);
        assert_eq!(unpacked(&one), 4);
    }

    #[test]
    fn variables_and_labels_are_compared_one_by_one() {
        let of = |value: Value| -> BTreeMap<String, Value> {
            value.as_object().unwrap().clone().into_iter().collect()
        };
        let changes = config_changes(
            &of(json!({"Env A": "1", "Env B": "1", "Cmd": ["x"]})),
            &of(json!({"Env A": "2", "Env B": "1", "User": "u"})),
        );
        let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["Cmd", "Env A", "User"]);
    }
}
