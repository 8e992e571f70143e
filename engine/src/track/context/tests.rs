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

    fn ask(&self, sources: &[&str]) -> ContextAsk {
        let sources = sources.iter().map(|s| (*s).to_owned()).collect();
        ContextAsk::of(self.context().to_str().unwrap().into(), sources)
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.context().join(path), text).unwrap();
    }

    fn link(&self, to: &str, at: &str) {
        symlink(to, self.context().join(at)).unwrap();
    }

    fn contexts(&self) -> Contexts {
        Contexts::new(self.store.clone(), LATER)
    }

    fn set(&self, sources: &[&str]) -> Result<FileSet, String> {
        self.contexts().files(&self.ask(sources))
    }

    /// `source: path path …` for each match, `/` behind directories, `@` behind links.
    fn shown(&self, sources: &[&str]) -> String {
        self.answer(&self.ask(sources))
    }

    fn answer(&self, ask: &ContextAsk) -> String {
        let set = match self.contexts().files(ask) {
            Ok(set) => set,
            Err(e) => return e,
        };
        let shown = set.matches.iter().map(|found| {
            let files = found.files.iter().map(|file| match &file.kind {
                FileKind::File { .. } => file.path.clone(),
                FileKind::Dir => format!("{}/", file.path),
                FileKind::Parent => format!("{}/?", file.path),
                FileKind::Symlink(to) => format!("{}@{to}", file.path),
                FileKind::Hardlink(to) => format!("{}={to}", file.path),
                FileKind::Fifo => format!("{}|", file.path),
                FileKind::Device { .. } => format!("{}#", file.path),
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
        // As Go has it: two stars are one.
        (vec!["**/[xy]"], "d/x: d/x"),
        (vec!["d/*/[xy]", "*.none"], "d/e/y: d/e/y"),
        (vec!["*.none"], ""),
        (vec!["../b.txt", "../../d/../a.txt"], "b.txt: b.txt; a.txt: a.txt"),
        (vec!["a.txt/"], "a.txt: a.txt"),
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
    assert!(world.shown(&["[a"]).contains("no pattern"));
    assert!(world.shown(&["../etc/passwd"]).contains("leaves the context"));
    assert!(world.shown(&["src/../../x"]).contains("leaves the context"));
    assert!(world.shown(&["Makefile/x"]).contains("matches no file"));
    let nowhere = ContextAsk { context: "/nonexistent-folder".into(), ..world.ask(&["x"]) };
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
    for hidden in ["a.log", "docs", "target/x"] {
        let error = world.shown(&[hidden]);
        assert!(error.contains("is hidden by") && error.contains(".dockerignore"), "{error}");
    }
    assert_eq!(world.shown(&["*.log"]), "keep.log: keep.log");
}

#[test]
fn links_that_are_named_are_followed_in_the_context_and_others_recorded() {
    let world = World::new(&["real/f", "x"]);
    world.link("real", "dir");
    world.link("../x", "real/up");
    world.link("/x", "abs");
    world.link("/real/up", "chain");
    world.link("../../x", "out");
    world.link("loop", "loop");
    world.link("/etc/passwd", "host");
    for (source, want) in [
        ("dir", "real/: real/f real/up@../x"),
        ("dir/", "real/: real/f real/up@../x"),
        ("dir/f", "dir/f: real/f"),
        ("dir/*", "real/f: real/f; real/up: x"),
        ("abs", "abs: x"),
        ("chain", "chain: x"),
        // The context is the root of its links.
        ("out", "out: x"),
        ("[ac]*", "abs: x; chain: x"),
    ] {
        assert_eq!(world.shown(&[source]), want, "{source}");
    }
    for source in ["host", "host/x", "loop/x"] {
        let error = world.shown(&[source]);
        let said = ["not in the context", "too many symbolic links", "matches no file"];
        assert!(said.iter().any(|said| error.contains(said)), "{source}: {error}");
    }
    assert!(world.shown(&["h*"]).contains("leads nowhere"));
}

#[test]
fn links_do_not_show_what_is_hidden() {
    let world = World::new(&["real/a", "real/b", "shown"]);
    world.link("real", "dir");
    world.link("shown", "gone");
    world.write(".dockerignore", "real/b\ngone\n.dockerignore");
    assert_eq!(world.shown(&["dir"]), "real/: real/a");
    assert!(world.shown(&["dir/b"]).contains("hidden by"), "{}", world.shown(&["dir/b"]));
    assert!(world.shown(&["gone"]).contains("hidden by"));
    world.write(".dockerignore", "real\n.dockerignore");
    assert!(world.shown(&["dir"]).contains("not in the context"));
}

#[test]
fn the_ignore_file_of_a_dockerfile_counts_in_place_of_the_other() {
    let world = World::new(&["a", "b", "build/"]);
    world.write(".dockerignore", "a\n.*");
    let own = world.context().join("build/Dockerfile.dockerignore");
    let own: Arc<str> = own.to_str().unwrap().into();
    let ask = ContextAsk { ignore: Some(own.clone()), ..world.ask(&["."]) };
    assert_eq!(world.answer(&ask), "/: b build/");
    std::fs::write(&*own, "b\nbuild").unwrap();
    assert_eq!(world.answer(&ask), "/: .dockerignore a");
    let hidden = ContextAsk { ignore: Some(own.clone()), ..world.ask(&["b"]) };
    let error = world.answer(&hidden);
    assert!(error.contains("Dockerfile.dockerignore") && error.contains("!b"), "{error}");
    std::fs::write(&*own, "[a").unwrap();
    let error = world.answer(&ask);
    assert!(error.contains("Dockerfile.dockerignore"), "{error}");
}

#[test]
fn what_is_left_out_is_below_each_source() {
    let world = World::new(&["d/a.txt", "d/b", "d/e/a.txt", "d/e/c", "d/f/a.txt", "t.txt", "u"]);
    let shown = |sources: &[&str], exclude: &[&str]| {
        let exclude = exclude.iter().map(|e| (*e).to_owned()).collect();
        world.answer(&ContextAsk { exclude, ..world.ask(sources) })
    };
    assert_eq!(shown(&["d"], &["*.txt"]), "d/: d/b d/e/ d/e/a.txt d/e/c d/f/ d/f/a.txt");
    assert_eq!(shown(&["d"], &["**/*.txt"]), "d/: d/b d/e/ d/e/c d/f/");
    assert_eq!(shown(&["d"], &["e", "f"]), "d/: d/a.txt d/b");
    // A folder that is left out still comes along for what is taken back.
    assert_eq!(shown(&["d"], &["*", "!e/c"]), "d/: d/e/? d/e/c");
    assert_eq!(shown(&["d"], &["*"]), "d/: ");
    assert_eq!(shown(&["t*", "u"], &["*.txt"]), "t.txt: ; u: u");
    assert!(shown(&["d"], &["[a"]).contains("left out"));
}

#[test]
fn parents_come_along_up_to_the_pivot() {
    let world = World::new(&["a/b/c/f", "a/b/g", "a/h/f", "z/f"]);
    world.link("a", "l");
    let shown = |source: &str| world.answer(&ContextAsk { parents: true, ..world.ask(&[source]) });
    assert_eq!(shown("a/b/c/f"), "/: a/? a/b/? a/b/c/? a/b/c/f");
    assert_eq!(shown("a/b"), "/: a/? a/b/ a/b/c/ a/b/c/f a/b/g");
    assert_eq!(shown("./a/./b/g"), "a/: a/b/? a/b/g");
    assert_eq!(shown("**/f"), "/: a/? a/b/? a/b/c/? a/b/c/f a/h/? a/h/f z/? z/f");
    assert_eq!(shown("[az]/./h/f"), "a/: a/h/? a/h/f; z/: ");
    assert_eq!(shown("l/./h"), "a/: a/h/ a/h/f");
    assert_eq!(shown("l"), "/: l@a");
    assert_eq!(shown("."), "/: a/ a/b/ a/b/c/ a/b/c/f a/b/g a/h/ a/h/f l@a z/ z/f");
    assert_eq!(shown("q*"), "/: ");
    for missing in ["a/b/none", "a/./none"] {
        assert!(shown(missing).contains("matches no file"), "{}", shown(missing));
    }
    assert!(shown("l/h").contains("through a symbolic link"));
    let exclude = vec!["a/b".to_owned()];
    let ask = ContextAsk { parents: true, exclude, ..world.ask(&["**/f"]) };
    assert_eq!(world.answer(&ask), "/: a/? a/h/? a/h/f z/? z/f");
}

#[test]
fn names_of_one_file_are_told_within_a_match() {
    let world = World::new(&["d/b", "d/e/", "o"]);
    let link = |from: &str, to: &str| {
        std::fs::hard_link(world.context().join(from), world.context().join(to)).unwrap();
    };
    link("d/b", "d/e/c");
    link("d/b", "d/a");
    link("o", "p");
    assert_eq!(world.shown(&["d"]), "d/: d/a d/b=d/a d/e/ d/e/c=d/a");
    assert_eq!(world.shown(&["o", "p"]), "o: o; p: p");
    let first = world.set(&["d"]).unwrap().digest;
    std::fs::remove_file(world.context().join("d/a")).unwrap();
    world.write("d/a", "d/b");
    assert_ne!(world.set(&["d"]).unwrap().digest, first);
}

#[test]
fn special_files_are_copied_as_far_as_images_know_them() {
    let world = World::new(&["a"]);
    let _socket = std::os::unix::net::UnixListener::bind(world.context().join("sock")).unwrap();
    let pipe = world.context().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert_eq!(world.shown(&["."]), "/: a pipe| sock");
    let set = world.set(&["sock"]).unwrap();
    assert!(matches!(set.matches[0].files[0].kind, FileKind::File { size: 0, .. }));
}

#[test]
fn a_name_that_is_no_text_is_a_name() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new(&["a", "d/"]);
    let name = std::ffi::OsStr::from_bytes(b"d/b\xff");
    std::fs::write(world.context().join(name), "x").unwrap();
    symlink(std::ffi::OsStr::from_bytes(b"b\xff"), world.context().join("d/l")).unwrap();
    for source in [".", "d", "d/b?", "d/l"] {
        let set = world.set(&[source]).unwrap();
        let mut files = set.matches.iter().flat_map(|found| &found.files);
        assert!(files.any(|file| *crate::facts::name_of(&file.path) == *b"d/b\xff"), "{source}");
    }
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
