//! Systems laid out without a sandbox, and the order of what is done in one.

use std::path::Path;

use mabuild_distro::alpine::testrepo::{Built as Package, Recipe, Signer};
use mabuild_oci::layer::{Entry, EntryKind};

use super::scene::{Scene, set};
use super::script::Call;
use super::*;

fn system() -> System {
    let signer = Signer::shared("system");
    let key = (signer.file_name().to_owned(), signer.pem().as_bytes().into());
    let archive = |uri: Option<&str>, path: &str, tag: Option<&str>, keys: ArchiveKeys| {
        let (uri, path) = (uri.map(str::to_owned), path.to_owned());
        Archive::Alpine(AlpineArchive { uri, path, tag: tag.map(str::to_owned), keys })
    };
    let archives = vec![
        archive(None, "v3.20/main", None, ArchiveKeys::Distribution),
        archive(Some("https://x.example/a/"), "a", Some("x"), ArchiveKeys::Given(vec![key])),
    ];
    System::of(&AlpinePin {
        arch: "x86_64".to_owned(),
        world: vec!["b".to_owned(), "app".to_owned()],
        set: PackageSet { archives, ..PackageSet::default() },
    })
}

/// Writes packages into a folder, as they come out of the store.
fn files(folder: &Path, built: &[Package]) -> Vec<DebFile> {
    let file = |built: &Package| {
        let path = folder.join(built.package.file_name());
        std::fs::write(&path, &built.bytes).unwrap();
        let (name, version) = (built.package.name.clone(), built.package.version.clone());
        DebFile { name, version, path, size: built.package.size }
    };
    built.iter().map(file).collect()
}

/// What there is and what is called, in order.
#[derive(Default)]
struct Log {
    memory: Memory,
    lines: Vec<String>,
}

impl Scene for Log {
    fn put(&mut self, entries: Vec<Entry>) -> Result<(), String> {
        let paths = entries.iter().filter(|entry| !entry.is_dir());
        let paths: Vec<_> = paths.map(|e| String::from_utf8_lossy(&e.path).into_owned()).collect();
        self.lines.push(format!("put {}", paths.join(" ")));
        self.memory.put(entries)
    }

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, String> {
        self.memory.read(path)
    }

    fn run(&mut self, call: &Call<'_>) -> Result<(), String> {
        self.lines.push(format!("{call}: {}", call.args.join(" ")));
        Ok(())
    }
}

fn lay(built: &[Package], scene: &mut dyn Scene) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let packages = read::read(&files(folder.path(), built), folder.path())?;
    set(packages, &system(), 1_700_000_000, scene)
}

fn build(recipe: Recipe) -> Package {
    recipe.build(&Signer::shared("system"))
}

fn text(entries: &[Entry], path: &str) -> String {
    let entry = entries.iter().find(|entry| entry.path == path.as_bytes()).unwrap();
    let EntryKind::File { content, size } = &entry.kind else { panic!("{entry:?}") };
    String::from_utf8(content.read(*size).unwrap()).unwrap()
}

#[test]
fn packages_and_the_database_become_files() {
    let mut scene = Memory::default();
    let base = Recipe::new("b", "1-r0").file("etc/motd", 0o644, b"b").symlink("lib", "usr/lib");
    let app = Recipe::new("app", "2-r0").replaces("b", 1).file("etc/motd", 0o640, b"app");
    lay(&[build(base), build(app)], &mut scene).unwrap();
    let entries = merge(scene.entries).unwrap();
    assert_eq!(text(&entries, "etc/motd"), "app");
    assert_eq!(text(&entries, "etc/apk/world"), "app\nb\n");
    assert_eq!(
        text(&entries, "etc/apk/repositories"),
        "https://dl-cdn.alpinelinux.org/alpine/v3.20/main\n@x https://x.example/a\n"
    );
    assert_eq!(text(&entries, "etc/apk/keys/system.rsa.pub"), Signer::shared("system").pem());
    // The database lies where the link of a package leads, and names the owner of each file once.
    let installed = text(&entries, "usr/lib/apk/db/installed");
    assert_eq!(installed.matches("R:motd").count(), 1);
    assert!(installed.contains("P:app\nV:2-r0\nA:x86_64\nS:"), "{installed}");
    assert!(entries.iter().any(|entry| entry.path == b"var/cache/apk" && entry.is_dir()));
    assert!(entries.iter().all(|entry| entry.mtime <= 1_700_000_000));
}

#[test]
fn scripts_are_called_as_apk_calls_them() {
    let mut scene = Log::default();
    let base = Recipe::new("b", "1-r0")
        .file("etc/motd", 0o644, b"b")
        .script("post-install", "#!/bin/sh\n")
        .script("post-upgrade", "#!/bin/sh\n")
        .script("trigger", "#!/bin/sh\n")
        .triggers("/usr/* /nowhere");
    let app = Recipe::new("app", "2-r0")
        .file("usr/bin/app", 0o755, b"app")
        .script("pre-install", "#!/bin/sh\n")
        .script("trigger", "#!/bin/sh\n")
        .triggers("/nowhere");
    lay(&[build(base), build(app)], &mut scene).unwrap();
    let last = scene.lines.pop().unwrap();
    assert!(last.starts_with("put lib/apk/db/installed"), "{last}");
    assert_eq!(
        scene.lines,
        [
            "put etc/motd",
            "the script post-install of b 1-r0: 1-r0",
            "the script pre-install of app 2-r0: 2-r0",
            "put usr/bin/app",
            "the script trigger of b 1-r0: /usr/bin",
        ]
    );
}

#[test]
fn whether_a_sandbox_is_needed_is_known_before() {
    let folder = tempfile::tempdir().unwrap();
    let plain = build(Recipe::new("a", "1-r0").script("pre-upgrade", "#!/bin/sh\n"));
    let scripted = build(Recipe::new("b", "1-r0").script("post-install", "#!/bin/sh\n"));
    let have = |built: &[Package]| read::have_scripts(&files(folder.path(), built)).unwrap();
    assert!(!have(std::slice::from_ref(&plain)));
    assert!(have(&[plain, scripted.clone()]));
    let error = lay(&[scripted], &mut Memory::default()).unwrap_err();
    assert_eq!(error, "the script post-install of b 1-r0 cannot run outside of a sandbox");
}

#[test]
fn files_of_two_packages_are_a_conflict() {
    let one = |name: &str| build(Recipe::new(name, "1-r0").file("f", 0o644, name.as_bytes()));
    let error = lay(&[one("a"), one("b")], &mut Memory::default()).unwrap_err();
    assert!(error.starts_with("b and a both have the file /f"), "{error}");
}

#[test]
fn another_package_than_the_pinned_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(folder.path(), &[build(Recipe::new("a", "1-r0"))]);
    files[0].version = "2-r0".to_owned();
    let error = read::have_scripts(&files).unwrap_err();
    assert_eq!(error, "the package a 2-r0 cannot be read: it says that it is a 1-r0");
}
