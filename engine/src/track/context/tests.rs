use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;
use crate::facts::FileKind;

/// Later than anything a test writes, so that nothing is racy.
const LATER: i64 = 4_000_000_000;

struct World {
    dir: tempfile::TempDir,
    store: Arc<Store>,
}

impl World {
    /// A context with files; a name that ends in `/` is a folder.
    fn new(files: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("store")).unwrap());
        let world = Self { dir, store };
        std::fs::create_dir(world.context()).unwrap();
        for file in files {
            let path = world.context().join(file);
            if file.ends_with('/') {
                std::fs::create_dir_all(path).unwrap();
            } else {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, file).unwrap();
            }
        }
        world
    }

    fn context(&self) -> std::path::PathBuf {
        self.dir.path().join("context")
    }

    fn ask(&self, sources: &[&str]) -> FilesAsk {
        FilesAsk {
            context: self.context().to_str().unwrap().into(),
            sources: sources.iter().map(|s| (*s).to_owned()).collect(),
            checksum: None,
        }
    }

    fn contexts(&self) -> Contexts {
        Contexts::new(self.store.clone(), LATER)
    }

    fn set(&self, sources: &[&str]) -> Result<FileSet, String> {
        self.contexts().files(&self.ask(sources))
    }

    /// `source: path path …` for each match, `/` behind directories, `@` behind links.
    fn shown(&self, sources: &[&str]) -> String {
        let set = match self.set(sources) {
            Ok(set) => set,
            Err(e) => return e,
        };
        let shown = set.matches.iter().map(|found| {
            let files = found.files.iter().map(|file| match &file.kind {
                FileKind::File { .. } => file.path.clone(),
                FileKind::Dir => format!("{}/", file.path),
                FileKind::Symlink(to) => format!("{}@{to}", file.path),
            });
            let end = if found.directory { "/" } else { "" };
            format!("{}{end}: {}", found.path, files.collect::<Vec<_>>().join(" "))
        });
        shown.collect::<Vec<_>>().join("; ")
    }
}

#[test]
fn sources_name_files_directories_and_globs() {
    let world = World::new(&["a.txt", "b.txt", "d/x", "d/e/y", "d/e.z", "d/empty/", ".hidden"]);
    for (sources, want) in [
        (vec!["a.txt"], "a.txt: a.txt"),
        (vec!["/a.txt"], "a.txt: a.txt"),
        (vec!["./d/../a.txt"], "a.txt: a.txt"),
        (vec!["d"], "d/: d/e/ d/e.z d/e/y d/empty/ d/x"),
        (vec!["d/e/"], "d/e/: d/e/y"),
        (vec!["*.txt"], "a.txt: a.txt; b.txt: b.txt"),
        (vec!["b.txt", "a.txt"], "b.txt: b.txt; a.txt: a.txt"),
        (vec!["d/*"], "d/e/: d/e/y; d/e.z: d/e.z; d/empty/: ; d/x: d/x"),
        (vec!["**/[xy]"], "d/e/y: d/e/y; d/x: d/x"),
        (vec!["?.txt"], "a.txt: a.txt; b.txt: b.txt"),
        (vec!["."], "/: .hidden a.txt b.txt d/ d/e/ d/e.z d/e/y d/empty/ d/x"),
    ] {
        assert_eq!(world.shown(&sources), want, "{sources:?}");
    }
}

#[test]
fn what_is_not_there_is_told_with_what_may_be_meant() {
    let world = World::new(&["Makefile", "src/main.rs"]);
    let context = world.context().display().to_string();
    let error = world.shown(&["src/mian.rs"]);
    assert!(error.contains(&context) && error.contains("did you mean `src/main.rs`"), "{error}");
    assert!(world.shown(&["scr/main.rs"]).contains("did you mean `src/main.rs`"));
    assert!(!world.shown(&["quite-different"]).contains("did you mean"));
    assert!(world.shown(&["*.go"]).contains("matches no file"));
    assert!(world.shown(&["../etc/passwd"]).contains("leaves the context"));
    assert!(world.shown(&["src/../../x"]).contains("leaves the context"));
    assert!(world.shown(&["Makefile/x"]).contains("matches no file"));
    let nowhere = FilesAsk { context: "/nonexistent-folder".into(), ..world.ask(&["x"]) };
    assert!(world.contexts().files(&nowhere).unwrap_err().contains("/nonexistent-folder"));
}

#[test]
fn ignored_files_do_not_exist() {
    let world = World::new(&["a.log", "keep.log", "target/x/y", "target/keep/z", "docs/a", "m"]);
    std::fs::write(
        world.context().join(".dockerignore"),
        "*.log\n!keep.log\ntarget\ndocs\n!target/keep/z\n",
    )
    .unwrap();
    assert_eq!(
        world.shown(&["."]),
        "/: .dockerignore keep.log m target/ target/keep/ target/keep/z"
    );
    assert!(world.shown(&["a.log"]).contains("hidden by .dockerignore"));
    assert!(world.shown(&["docs"]).contains("hidden by .dockerignore"));
    assert_eq!(world.shown(&["*.log"]), "keep.log: keep.log");
}

#[test]
fn links_are_recorded_and_never_lead_out() {
    let world = World::new(&["real/f", "x"]);
    let link = |to: &str, at: &str| symlink(to, world.context().join(at)).unwrap();
    link("real", "dir");
    link("../x", "real/up");
    link("/etc", "abs");
    link("../..", "out");
    link("loop", "loop");
    link("nowhere", "dangling");
    assert_eq!(world.shown(&["dir"]), "dir: dir@real");
    assert_eq!(world.shown(&["dir/"]), "real/: real/f real/up@../x");
    assert_eq!(world.shown(&["dir/f"]), "real/f: real/f");
    assert_eq!(world.shown(&["dir/*"]), "real/f: real/f; real/up: real/up@../x");
    assert_eq!(world.shown(&["dangling"]), "dangling: dangling@nowhere");
    assert_eq!(world.shown(&["abs"]), "abs: abs@/etc");
    for source in ["abs/passwd", "out/x", "abs/*"] {
        let error = world.shown(&[source]);
        assert!(error.contains("out of the context"), "{source}: {error}");
    }
    assert!(world.shown(&["loop/x"]).contains("too many symbolic links"));
}

#[test]
fn special_files_are_errors_unless_ignored() {
    let world = World::new(&["a"]);
    let _socket = std::os::unix::net::UnixListener::bind(world.context().join("sock")).unwrap();
    let error = world.shown(&["."]);
    assert!(error.contains("sock is a socket"), "{error}");
    std::fs::write(world.context().join(".dockerignore"), "sock\n.dockerignore").unwrap();
    assert_eq!(world.shown(&["."]), "/: a");
}

#[test]
fn a_name_that_is_no_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new(&["a"]);
    let name = std::ffi::OsStr::from_bytes(b"b\xff");
    std::fs::write(world.context().join(name), "x").unwrap();
    assert!(world.shown(&["."]).contains("not UTF-8"));
    assert_eq!(world.shown(&["a"]), "a: a");
}

#[test]
fn the_digest_sees_paths_modes_and_content_but_no_times() {
    let world = World::new(&["d/a", "d/b"]);
    let file = world.context().join("d/a");
    let digest = || world.set(&["d"]).unwrap().digest;
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    let first = digest();
    let open = std::fs::File::options().write(true).open(&file).unwrap();
    open.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(digest(), first);
    mode(0o4755);
    assert_ne!(digest(), first);
    mode(0o644);
    assert_eq!(digest(), first);
    std::fs::write(&file, "other").unwrap();
    assert_ne!(digest(), first);
    std::fs::write(&file, "d/a").unwrap();
    assert_eq!(digest(), first);
    std::fs::rename(&file, world.context().join("d/c")).unwrap();
    assert_ne!(digest(), first);
}

/// Puts a wrong digest of `a` into the store, for the file as it is.
fn poison(world: &World) {
    let meta = std::fs::symlink_metadata(world.context().join("a")).unwrap();
    let stat = crate::store::Stat { digest: [7; 32], ..crate::store::Stat::of(&meta) };
    let root = world.context().to_str().unwrap().to_owned();
    world.store.put_file_digests(&root, &[("a".to_owned(), stat)], LATER).unwrap();
}

fn digest_of_a(set: &FileSet) -> [u8; 32] {
    match set.matches[0].files[0].kind {
        FileKind::File { digest, .. } => digest,
        _ => panic!("no file"),
    }
}

#[test]
fn an_unchanged_file_is_not_read_again_and_a_changed_one_is() {
    let world = World::new(&["a"]);
    let contexts = world.contexts();
    let right = digest_of_a(&contexts.files(&world.ask(&["a"])).unwrap());
    assert_eq!(right, *blake3::hash(b"a").as_bytes());
    contexts.remember();
    let root = world.context().to_str().unwrap().to_owned();
    assert_eq!(world.store.file_digests(&root)["a"].digest, right);

    poison(&world);
    assert_eq!(digest_of_a(&world.set(&["a"]).unwrap()), [7; 32], "the file was read");
    std::fs::write(world.context().join("a"), "b").unwrap();
    let changed = digest_of_a(&world.set(&["a"]).unwrap());
    assert_eq!(changed, *blake3::hash(b"b").as_bytes());
}

#[test]
fn a_file_that_was_just_written_is_hashed_in_every_run() {
    let world = World::new(&["a"]);
    let now = std::fs::metadata(world.context().join("a")).unwrap().modified().unwrap();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let contexts = Contexts::new(world.store.clone(), now);
    contexts.files(&world.ask(&["a"])).unwrap();
    contexts.remember();
    assert!(world.store.file_digests(world.context().to_str().unwrap()).is_empty());
}

#[test]
fn a_folder_is_read_once_in_a_run() {
    let world = World::new(&["d/a", "d/b"]);
    let contexts = world.contexts();
    let first = contexts.files(&world.ask(&["d"])).unwrap();
    std::fs::write(world.context().join("d/c"), "x").unwrap();
    assert_eq!(contexts.files(&world.ask(&["d/"])).unwrap(), first);
    assert_ne!(world.set(&["d"]).unwrap(), first);
}

#[test]
fn large_files_are_hashed_like_small_ones() {
    let world = World::new(&["a"]);
    for size in [0, 1, (1 << 20) - 1, 1 << 20, (4 << 20) - 1, 4 << 20, (9 << 20) + 5] {
        let bytes: Vec<u8> = (0..size).map(|n: u32| (n >> 3) as u8).collect();
        let path = world.context().join("a");
        std::fs::write(&path, &bytes).unwrap();
        let stat = hash::hash(Path::new(&path)).unwrap();
        assert_eq!((stat.digest, stat.size), (*blake3::hash(&bytes).as_bytes(), u64::from(size)));
    }
    assert!(hash::hash(&world.context()).is_err());
}
