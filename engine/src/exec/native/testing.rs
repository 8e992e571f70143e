//! A small world for tests of copies: a context, a store, and stages in the words of a
//! Dockerfile. Nothing is run, so no sandbox is needed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_lang::source::{FileId, Span};
use mabuild_oci::Descriptor;
use mabuild_oci::layer::tree_index::{NodeKind, Origin};
use mabuild_oci::layer::{Compression, Entry, EntryKind, FsView, PackOptions, pack};
use mabuild_sandbox::{CancelHandle, Host};

use super::layers::Layer;
use super::{Native, Stop, stages};
use crate::exec::{Fault, Knobs, Private, Progress, StepAt, Supply};
use crate::facts::{Archive, ContextAsk, FilesAsk, PackagePin};
use crate::key::Key;
use crate::spec::{BuildSpec, Built, Copy, Image, Input, Op, Settings, Source, Spec, Stage, Step};
use crate::store::Store;
use crate::track::{HttpOptions, TrackOptions, Tracking, find_facts};

/// Nothing is supplied, nothing is told.
struct Nobody;

impl Supply for Nobody {
    fn bring_image(&self, _: &str) -> Result<(), Fault> {
        Ok(())
    }

    fn recall_step(&self, _: &Key) -> bool {
        false
    }

    fn keep_step(&self, _: &Key) {}

    fn bring_blobs(&self, _: &[Descriptor]) -> Result<(), Fault> {
        Ok(())
    }

    fn package(&self, _: &Archive, _: &PackagePin) -> Result<PathBuf, Fault> {
        Err(Fault::step("no packages here"))
    }

    fn file(&self, _: &str, _: &str) -> Result<PathBuf, Fault> {
        Err(Fault::environment("there is no network"))
    }

    fn image(&self, _: &str, _: &str) -> Result<(), Fault> {
        Err(Fault::environment("there is no network"))
    }

    fn emulator(&self, _: &Platform) -> Result<PathBuf, Fault> {
        Err(Fault::environment("there is no emulator"))
    }
}

impl Progress for Nobody {
    fn step(&self, _: StepAt<'_>, _: &str, _: bool) {}

    fn output(&self, _: &[u8]) {}
}

/// A context, a store and an executor.
pub struct World {
    pub dir: tempfile::TempDir,
    pub store: Arc<Store>,
    pub native: Native,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("context")).unwrap();
        let store = Arc::new(Store::open(&dir.path().join("store")).unwrap());
        let no = || Err("a test needs none".to_owned());
        let host = Host {
            kernel: String::new(),
            kernel_version: (0, 0),
            id_map: None,
            full: no(),
            ranges: no(),
            single: no(),
            overlay: no(),
            binfmt: no(),
            seccomp: no(),
            handlers: Vec::new(),
        };
        let native = Native::new(store.clone(), Arc::new(Nobody), host, 1, false);
        Self { dir, store, native }
    }

    /// Every step sees the context as it is now.
    fn tracking(&self) -> Tracking {
        let options = TrackOptions {
            env: BTreeMap::new(),
            now: 0,
            http: HttpOptions { offline: true, ..HttpOptions::default() },
            apt: PathBuf::from("/nonexistent"),
            keys: None,
            hosts: Vec::new(),
            certificates: Vec::new(),
        };
        Tracking::with(self.store.clone(), options).unwrap()
    }

    pub fn context(&self) -> PathBuf {
        self.dir.path().join("context")
    }

    /// Writes a file of the context with its mode.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.context().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    /// Writes an archive of the context.
    pub fn archive(&self, path: &str, entries: Vec<Entry>) {
        let options =
            PackOptions { compression: Compression::None, clamp_mtime: i64::MAX, threads: 1 };
        let mut out = Vec::new();
        pack(entries, &options, &mut out).unwrap();
        self.write(path, out, 0o644);
    }

    fn op(&self, line: &str) -> Result<Op<Built>, String> {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let name = words.remove(0);
        if name == "WORKDIR" {
            return Ok(Op::Workdir(words.concat()));
        }
        if name == "USER" {
            return Ok(Op::User(words.concat()));
        }
        let mut flags: Vec<(&str, &str)> = Vec::new();
        while let Some(flag) = words.first().and_then(|word| word.strip_prefix("--")) {
            flags.push(flag.split_once('=').unwrap_or((flag, "")));
            words.remove(0);
        }
        let flag =
            |name: &str| flags.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let exclude: Vec<String> =
            flags.iter().filter(|(n, _)| *n == "exclude").map(|(_, v)| (*v).to_owned()).collect();
        let dest = words.pop().unwrap();
        let sources: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let parents = flag("parents").is_some();
        let inputs = match flag("from") {
            Some(stage) => {
                let image = Image::Stage(stage.parse().unwrap());
                vec![Input::Image { image, sources: sources.clone() }]
            }
            None => {
                let sources = sources.iter();
                sources.map(|s| self.input(s, &exclude, parents)).collect::<Result<_, _>>()?
            }
        };
        Ok(Op::Copy(Box::new(Copy {
            add: name == "ADD",
            owner: flag("chown"),
            mode: flag("chmod"),
            unpack: flag("unpack").map(|value| value == "true"),
            link: flag("link").is_some(),
            parents,
            exclude,
            ..Copy::of(inputs, sources, dest)
        })))
    }

    fn input(
        &self,
        source: &str,
        exclude: &[String],
        parents: bool,
    ) -> Result<Input<Built>, String> {
        if let Some(name) = source.strip_prefix("<<") {
            return Ok(Input::Inline { name: name.to_owned(), content: source.to_owned() });
        }
        let context = self.context().to_str().unwrap().into();
        let exclude = exclude.to_vec();
        let sources = vec![source.to_owned()];
        let ask = ContextAsk { exclude, parents, ..ContextAsk::of(context, sources) };
        let ask = FilesAsk::Context(ask);
        let facts = find_facts(&self.tracking(), vec![ask.clone()], vec![]);
        facts.files(&ask).map(Input::Files)
    }

    /// The stages of a text: `FROM scratch`, or the number of a stage before, and instructions.
    pub fn spec(&self, text: &str, platform: &str) -> Result<BuildSpec, String> {
        let platform = Platform::parse(platform).unwrap();
        let mut stages: Vec<Stage<Built>> = Vec::new();
        let span = Span { file: FileId(0), start: 0, end: 0 };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(name) = line.strip_prefix("FROM ") {
                let source = match name.parse() {
                    Ok(stage) => Source::Stage(stage),
                    Err(_) => Source::Scratch,
                };
                stages.push(Stage::of(platform.clone(), source, Vec::new()));
                continue;
            }
            let op = self.op(line)?;
            let stage = stages.last_mut().unwrap();
            stage.steps.push(Step { span, text: None, op });
        }
        Ok(Spec {
            platform,
            source_date: None,
            stages,
            settings: Settings::default(),
            watched: Vec::new(),
        })
    }

    pub fn knobs(&self) -> Knobs {
        Knobs {
            cancel: CancelHandle::new(),
            threads: 1,
            progress: Arc::new(Nobody),
            private: Arc::new(Private::default()),
            fresh: false,
            apart: None,
        }
    }

    /// The layers of the last stage.
    pub fn layers(&self, spec: &BuildSpec) -> Result<Vec<Layer>, String> {
        match stages::build(&self.native, spec, &self.knobs()) {
            Ok((ended, _)) => Ok(ended.layers.clone()),
            Err(Stop::Fault(fault)) => Err(fault.message),
            Err(Stop::Cancelled) => Err("cancelled".to_owned()),
        }
    }

    /// What the last stage has that the one below it has not; the message where it fails.
    pub fn changes(&self, text: &str) -> Vec<String> {
        match self.try_changes(text) {
            Ok(lines) => lines,
            Err(message) => vec![format!("error: {message}")],
        }
    }

    fn try_changes(&self, text: &str) -> Result<Vec<String>, String> {
        let spec = self.spec(text, "linux/amd64")?;
        let below = match spec.stages.last().unwrap().source {
            Source::Stage(at) => {
                let stages = spec.stages[..=at].to_vec();
                self.lines(&self.layers(&Spec { stages, ..spec.clone() })?)
            }
            _ => Vec::new(),
        };
        let now = self.lines(&self.layers(&spec)?);
        let new = now.iter().filter(|line| !below.contains(line)).cloned();
        let paths: Vec<&str> = now.iter().map(|line| path_of(line)).collect();
        let gone = below.iter().filter(|line| !paths.contains(&path_of(line)));
        Ok(new.chain(gone.map(|line| format!("- {}", path_of(line)))).collect())
    }

    /// Every path of some layers, merged.
    pub fn lines(&self, layers: &[Layer]) -> Vec<String> {
        let view = self.native.view(layers).unwrap();
        let mut first: BTreeMap<Origin<'_>, String> = BTreeMap::new();
        let mut out = Vec::new();
        for entry in view.iter().skip(1) {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            let (letter, rest) = match entry.kind {
                NodeKind::Dir => ("d", String::new()),
                NodeKind::Symlink => {
                    ("l", format!(" -> {}", String::from_utf8_lossy(&entry.target)))
                }
                NodeKind::File => {
                    let origin = view.origin(&entry.path).unwrap();
                    match first.get(&origin) {
                        Some(name) => ("h", format!(" = {name}")),
                        None => {
                            first.insert(origin, path.clone());
                            ("f", format!(" {:?}", self.content(layers, &view, &entry.path)))
                        }
                    }
                }
                NodeKind::CharDev => ("c", format!(" {:?}", entry.device)),
                NodeKind::BlockDev => ("b", format!(" {:?}", entry.device)),
                NodeKind::Fifo => ("p", String::new()),
                NodeKind::Whiteout | NodeKind::Opaque => ("?", String::new()),
            };
            let xattrs: Vec<String> = entry
                .xattrs
                .keys()
                .map(|name| format!(" {}", String::from_utf8_lossy(name)))
                .collect();
            let (mode, uid, gid) = (entry.mode, entry.uid, entry.gid);
            out.push(format!("{letter} {mode:o} {uid}:{gid} {path}{rest}{}", xattrs.concat()));
        }
        out
    }

    fn content(&self, layers: &[Layer], view: &FsView, path: &[u8]) -> String {
        let bytes = self.native.read_file(layers, view, path).unwrap().unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Takes the content of every layer out of the store.
    pub fn lose_contents(&self, layers: &[Layer]) {
        for layer in layers {
            let path = self.store.layout().path_of(&layer.descriptor.digest);
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, "lost").unwrap();
        }
    }
}

fn path_of(line: &str) -> &str {
    line.split(' ').nth(3).unwrap()
}

/// An entry of an archive of a test: kind, path, content or target, mode, owner.
pub fn entry(kind: char, path: &str, text: &str, mode: u32, owner: (u64, u64)) -> Entry {
    let kind = match kind {
        'd' => EntryKind::Dir,
        'l' => EntryKind::Symlink { target: text.into() },
        'h' => EntryKind::Hardlink { target: text.into() },
        'p' => EntryKind::Fifo,
        'c' => EntryKind::CharDev { major: 1, minor: 3 },
        _ => return Entry::file(path, text).with_mode(mode).with_owner(owner.0, owner.1),
    };
    Entry::new(path, kind).with_mode(mode).with_owner(owner.0, owner.1)
}
