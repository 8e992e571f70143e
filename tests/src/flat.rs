//! An image as one text: what files it has once its layers lie on each other, how it is configured,
//! what its history says. Two texts are compared line by line.
//!
//! Reads OCI layouts and archives of them with a reader of its own, so that what mabuild reads
//! wrongly is not read wrongly here as well. Times are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::tar::{self, Kind};
use crate::tree::{Entry, Tree, clean, escape, sha256};

/// One platform of an image.
#[derive(Clone, Debug)]
pub struct Flat {
    files: BTreeMap<Vec<u8>, Entry>,
    config: Value,
}

impl Flat {
    /// Reads the only image of an archive that holds an OCI layout.
    pub fn of_archive(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut files = BTreeMap::new();
        for entry in tar::read(&bytes) {
            let (header, content) = entry?;
            let name = String::from_utf8_lossy(&clean(&header.path)).into_owned();
            files.insert(name, content.to_vec());
        }
        Self::read(&|name| {
            let found = files.get(&format!("/{name}"));
            found.cloned().ok_or_else(|| format!("{}: no {name} in it", path.display()))
        })
    }

    /// Reads the only image of an OCI layout.
    pub fn of_layout(path: &Path) -> Result<Self, String> {
        Self::read(&|name| {
            std::fs::read(path.join(name)).map_err(|e| format!("{}/{name}: {e}", path.display()))
        })
    }

    fn read(file: &dyn Fn(&str) -> Result<Vec<u8>, String>) -> Result<Self, String> {
        let blob = |descriptor: &Value| {
            let digest = text(descriptor, "digest");
            let hex = digest.strip_prefix("sha256:").ok_or("a digest that is no sha256")?;
            let bytes = file(&format!("blobs/sha256/{hex}"))?;
            if sha256(&bytes) != hex || descriptor["size"] != bytes.len() {
                return Err(format!("{digest}: other bytes than the descriptor says"));
            }
            Ok(bytes)
        };
        let mut members = json(&file("index.json")?)?;
        let manifest = loop {
            // What only says how an image came to be has no platform.
            let real = |m: &&Value| text(&m["platform"], "os") != "unknown";
            let list = members["manifests"].as_array().ok_or("an index without manifests")?;
            let found: Vec<&Value> = list.iter().filter(real).collect();
            let [one] = found[..] else {
                return Err(format!("{} images where one was expected", found.len()));
            };
            let next = json(&blob(one)?)?;
            if next.get("manifests").is_none() {
                break next;
            }
            members = next;
        };
        let config = json(&blob(&manifest["config"])?)?;
        // An image without layers has `null` here when Go wrote it.
        let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
        let ids = config["rootfs"]["diff_ids"].as_array().cloned().unwrap_or_default();
        let made = |h: &&Value| h["empty_layer"] != true;
        let history = config["history"].as_array().map(|h| h.iter().filter(made).count());
        if ids.len() != layers.len() || history.is_some_and(|n| n != layers.len()) {
            return Err(format!(
                "{} layers, {} diff ids, {history:?} lines of history that say that they made one",
                layers.len(),
                ids.len()
            ));
        }
        let mut tree = Tree::new();
        for (layer, id) in layers.iter().zip(&ids) {
            let bytes = unpack(text(layer, "mediaType"), blob(layer)?)?;
            if format!("sha256:{}", sha256(&bytes)) != id.as_str().unwrap_or_default() {
                return Err(format!("{id} is not the digest of its layer"));
            }
            tree.apply(&bytes)?;
        }
        Ok(Self { files: tree.files, config })
    }

    /// The image as a text. When it stands on one of `bases`, which have names, only those of its
    /// files that differ.
    pub fn show(&self, bases: &[(&str, Self)]) -> String {
        let layers = self.layers();
        let under = |(_, base): &&(&str, Self)| layers.starts_with(base.layers());
        let base = bases.iter().filter(under).max_by_key(|(_, base)| base.layers().len());
        let empty = BTreeMap::new();
        let below = base.map_or(&empty, |(_, base)| &base.files);
        let mut out = format!("files on {}\n", base.map_or("nothing", |(name, _)| name));
        let groups = groups(&self.files);
        let below_groups = self::groups(below);
        // Large files of the base are named after it, so that the text is the same for all bases.
        let known: BTreeMap<&str, String> = bases
            .iter()
            .flat_map(|(_, base)| &base.files)
            .filter(|(_, e)| e.kind == Kind::File && e.content.text.is_none())
            .map(|(path, e)| (e.content.sha256.as_str(), escape(path)))
            .collect();
        let paths: BTreeSet<&Vec<u8>> = self.files.keys().chain(below.keys()).collect();
        for path in paths {
            match (self.files.get(path), below.get(path)) {
                (Some(now), before) => {
                    let group = groups.get(&now.inode);
                    let line = line(now, group, &known);
                    let same = before.is_some_and(|before| {
                        line == self::line(before, below_groups.get(&before.inode), &known)
                    });
                    if !same {
                        out.push_str(&format!("{} {line}\n", escape(path)));
                    }
                }
                (None, _) => out.push_str(&format!("{} gone\n", escape(path))),
            }
        }
        out.push_str(&self.show_config());
        out
    }

    /// Digests of the layers once they are unpacked.
    fn layers(&self) -> &[Value] {
        self.config["rootfs"]["diff_ids"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Platform, configuration and history.
    fn show_config(&self) -> String {
        let mut out = String::from("config\n");
        for name in ["os", "architecture", "variant", "author"] {
            put(&mut out, name, &self.config[name]);
        }
        let fields: BTreeMap<_, _> =
            self.config["config"].as_object().into_iter().flatten().collect();
        for (name, value) in fields {
            put(&mut out, name, &sorted(value));
        }
        out.push_str("history\n");
        for step in self.config["history"].as_array().into_iter().flatten() {
            let empty = if step["empty_layer"] == true { "empty" } else { "layer" };
            let created = visible(text(step, "created_by"));
            out.push_str(&format!("{empty} [{}] {created}\n", text(step, "comment")));
        }
        out
    }
}

/// What differs between two texts of [`Flat::show`], none when they are the same: `-` stands
/// before a line that only the first has, `+` before one that only the second has.
pub fn difference(expected: &str, actual: &str) -> Option<String> {
    if expected == actual {
        return None;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    // The length of what both have from a place on: the texts are short.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i][j] = if a == b {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            out.push_str(&format!("- {}\n", old[i]));
            i += 1;
        } else {
            out.push_str(&format!("+ {}\n", new[j]));
            j += 1;
        }
    }
    Some(out)
}

/// Hard links: the first path of each inode that has several.
fn groups(files: &BTreeMap<Vec<u8>, Entry>) -> BTreeMap<usize, String> {
    let mut seen: BTreeMap<usize, (&Vec<u8>, usize)> = BTreeMap::new();
    for (path, entry) in files {
        seen.entry(entry.inode).or_insert((path, 0)).1 += 1;
    }
    let several = seen.into_iter().filter(|(_, (_, number))| *number > 1);
    several
        .map(|(inode, (path, number))| (inode, format!("{number} at {}", escape(path))))
        .collect()
}

fn line(entry: &Entry, group: Option<&String>, known: &BTreeMap<&str, String>) -> String {
    let (uid, gid) = entry.owner;
    let mut out = format!("{} {:04o} {uid}:{gid}", entry.kind.letter(), entry.mode);
    let more = match entry.kind {
        Kind::File => match (&entry.content.text, known.get(entry.content.sha256.as_str())) {
            (Some(text), _) => format!("{:?}", String::from_utf8_lossy(text)),
            (None, Some(path)) => format!("as {path}"),
            (None, None) => {
                let hex = entry.content.sha256.get(..16).unwrap_or_default();
                format!("{} bytes {hex}", entry.content.size)
            }
        },
        Kind::Symlink => format!("-> {}", escape(&entry.link)),
        Kind::Char | Kind::Block => format!("{},{}", entry.device.0, entry.device.1),
        Kind::Folder | Kind::Fifo | Kind::HardLink => String::new(),
    };
    if !more.is_empty() {
        out.push(' ');
        out.push_str(&more);
    }
    for (name, value) in &entry.xattrs {
        out.push_str(&format!(" {}={}", escape(name), escape(value)));
    }
    if let Some(group) = group {
        out.push_str(&format!(" hard links: {group}"));
    }
    out
}

/// A text in one line.
fn visible(text: &str) -> String {
    let one = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(one).collect()
}

fn put(out: &mut String, name: &str, value: &Value) {
    let nothing = match value {
        Value::Null => true,
        Value::Bool(yes) => !yes,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    };
    if !nothing {
        out.push_str(&format!("{name} {value}\n"));
    }
}

/// The same with the keys of all objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<_, _> = map.iter().collect();
            map.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn json(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn unpack(media_type: &str, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let read = if media_type.ends_with("gzip") {
        flate2::read::MultiGzDecoder::new(&*bytes).read_to_end(&mut out)
    } else if media_type.ends_with("zstd") {
        zstd::stream::read::Decoder::new(&*bytes).and_then(|mut d| d.read_to_end(&mut out))
    } else {
        return Ok(bytes);
    };
    read.map_err(|e| format!("a layer that cannot be unpacked: {e}"))?;
    Ok(out)
}

#[cfg(test)]
#[path = "flat_tests.rs"]
mod tests;
