//! The same questions to this library and to the real apk of an Alpine root file system.
//!
//! They need a folder like `3.20.3/alpine-minirootfs-3.20.3-x86_64.tar.gz`, named by
//! `MABUILD_TEST_ALPINE` or beside the repository in `shared/data/alpine`, and say so when they are
//! left out.

use super::db::{Database, FOLDERS, InstalledPackage, Setup, read_world};
use super::dependency::Dependency;
use super::files;
use super::index::Index;
use super::package::Apk;
use super::solve::{Chosen, solve};
use super::testrepo::{Built, Recipe, Signer, signed_index};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const VERSION: &str = "3.20.3";

/// The unpacked root file system of Alpine with its apk, unpacked once.
fn alpine() -> Option<&'static Path> {
    static ROOT: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let root = ROOT.get_or_init(|| {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/alpine");
        let folder = std::env::var_os("MABUILD_TEST_ALPINE").map_or(beside, PathBuf::from);
        let archive =
            folder.join(VERSION).join(format!("alpine-minirootfs-{VERSION}-x86_64.tar.gz"));
        if !archive.exists() || !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            println!("skipped: no Alpine {VERSION} for x86_64 in {}", folder.display());
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        let tar = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(root.path()).status();
        assert!(tar.unwrap().success());
        Some(root)
    });
    root.as_ref().map(tempfile::TempDir::path)
}

/// Runs the real apk; gives whether it succeeded, and what it said.
fn apk(alpine: &Path, root: &Path, args: &[&str]) -> (bool, String) {
    let libraries = format!("{0}/lib:{0}/usr/lib", alpine.display());
    let output = Command::new(alpine.join("lib/ld-musl-x86_64.so.1"))
        .args(["--library-path", &libraries])
        .arg(alpine.join("sbin/apk"))
        .arg("--root")
        .arg(root)
        .args(["--no-network", "--no-progress"])
        .args(args)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn write_database(root: &Path, database: &Database, setup: &Setup) {
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for file in database.files(setup) {
        let path = root.join(&file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.bytes).unwrap();
    }
}

fn write_repository(folder: &Path, built: &[Built], signer: &Signer) {
    let folder = folder.join("x86_64");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("APKINDEX.tar.gz"), signed_index(built, signer)).unwrap();
    for built in built {
        fs::write(folder.join(built.package.file_name()), &built.bytes).unwrap();
    }
}

/// Installs with this library: unpacks with tar, and gives the database.
fn install(root: &Path, chosen: &[Chosen], built: &[Built]) -> Database {
    let mut database = Database::new();
    for one in chosen {
        let built =
            built.iter().find(|built| built.package.checksum == one.package.checksum).unwrap();
        let apk = Apk::open(&built.bytes[..], one.package).unwrap();
        let (control, scripts) = (apk.package.clone(), apk.scripts.clone());
        let triggers = apk.triggers.clone();
        let mut tar = Vec::new();
        apk.data().read_to_end(&mut tar).unwrap();
        let entries = files::list(&mut &tar[..]).unwrap();
        let indexed = one.package.clone();
        let package = InstalledPackage::new(indexed, &control, &entries, scripts, triggers);
        let changes = database.install(package).unwrap();
        let archive = root.join("data.tar");
        fs::write(&archive, &tar).unwrap();
        let mut command = Command::new("tar");
        command.args(["-xpf", "data.tar", "--warning=no-unknown-keyword"]).current_dir(root);
        command.args(changes.kept.iter().map(|path| format!("--exclude={path}")));
        assert!(command.status().unwrap().success());
        fs::remove_file(archive).unwrap();
    }
    database
}

fn packages() -> Vec<Recipe> {
    vec![
        Recipe::new("base", "1.2-r3")
            .folder("var/tmp", 0o1777, (0, 0))
            .folder("root", 0o700, (0, 0))
            .file("etc/motd", 0o644, b"hello\n")
            .file("top", 0o600, b"")
            .script("pre-install", "#!/bin/sh\n")
            .script("post-upgrade", "#!/bin/sh\nexit 0\n"),
        Recipe::new("app", "2.0_rc1-r0")
            .depends("base>=1.2 so:libapp.so.1 !other<3")
            .provides("cmd:app=2.0_rc1-r0")
            .replaces("base", 5)
            .file("usr/bin/app", 0o755, b"#!/bin/sh\n")
            .file("etc/motd", 0o644, b"of app\n")
            .symlink("usr/bin/alias", "app"),
        Recipe::new("libapp", "2.0_rc1-r0")
            .provides("so:libapp.so.1=1.0.0")
            .provider_priority(10)
            .file("usr/lib/libapp.so.1.0.0", 0o4755, b"library")
            .hard_link("usr/lib/zagain", "usr/lib/libapp.so.1.0.0")
            .symlink("usr/lib/libapp.so.1", "libapp.so.1.0.0")
            .triggers("/usr/lib /usr/lib/*")
            .script("trigger", "#!/bin/sh\nexit 0\n"),
        Recipe::new("Zapp-doc", "2.0_rc1-r0").install_if("app=2.0_rc1-r0 base").file(
            "usr/share/doc/app",
            0o644,
            b"read me\n",
        ),
        Recipe::new("extra", "1").depends("cmd:app").file("usr/bin/extra", 0o755, b"extra"),
    ]
}

#[test]
fn the_database_of_a_real_root_is_written_as_it_was_read() {
    let Some(alpine) = alpine() else { return };
    let read = |path: &str| fs::read(alpine.join("lib/apk/db").join(path)).unwrap();
    let installed = String::from_utf8(read("installed")).unwrap();
    let triggers = String::from_utf8(read("triggers")).unwrap();
    let mut database = Database::read(&installed).unwrap();
    database.read_scripts(&read("scripts.tar")).unwrap();
    database.read_triggers(&triggers);
    assert_eq!(database.packages().len(), 14);
    assert_eq!(database.installed_text(), installed);
    assert_eq!(database.triggers_text(), triggers);
    let scripts: Vec<_> = database.packages().iter().map(|one| one.scripts.len()).collect();
    assert_eq!(scripts.iter().sum::<usize>(), 7);
    let mut again = Database::read(&installed).unwrap();
    again.read_scripts(&database.scripts_tar()).unwrap();
    again.read_triggers(&triggers);
    assert_eq!(again, database);
    // Its own world is fulfilled by what is installed.
    let world = fs::read_to_string(alpine.join("etc/apk/world")).unwrap();
    let world: Vec<String> = read_world(&world).unwrap().iter().map(ToString::to_string).collect();
    let kept = solve(&[], &world, database.packages()).unwrap();
    assert_eq!(kept.len(), 14);
    assert!(kept.iter().all(|one| one.index.is_none()));
}

#[test]
fn a_root_made_here_is_in_order_for_apk() {
    let Some(alpine) = alpine() else { return };
    let signer = Signer::shared("one");
    let built: Vec<Built> = packages().iter().map(|recipe| recipe.build(&signer)).collect();
    let work = tempfile::tempdir().unwrap();
    let repository = work.path().join("repository");
    write_repository(&repository, &built, &signer);
    let setup = |world: &str| Setup {
        arch: "x86_64".into(),
        world: read_world(world).unwrap(),
        repositories: vec![repository.display().to_string()],
        keys: signer.keys(),
    };
    let index = Index::open(&signed_index(&built, &signer), &signer.keys()).unwrap();
    let indexes = [index];
    let chosen = solve(&indexes, &["app".into()], &[]).unwrap();

    // Once by this library, once by apk, which must come to the same bytes.
    let ours = work.path().join("ours");
    fs::create_dir(&ours).unwrap();
    let database = install(&ours, &chosen, &built);
    write_database(&ours, &database, &setup("app"));
    let theirs = work.path().join("theirs");
    write_database(&theirs, &Database::new(), &setup(""));
    let (good, said) = apk(alpine, &theirs, &["add", "--no-scripts", "app"]);
    assert!(good, "{said}");
    for path in ["installed", "triggers"] {
        let read = |root: &Path| fs::read_to_string(root.join("lib/apk/db").join(path)).unwrap();
        assert_eq!(read(&ours), read(&theirs), "{path}");
    }
    for path in ["etc/apk/world", "etc/apk/arch", "etc/motd", "usr/lib/zagain"] {
        let read = |root: &Path| fs::read_to_string(root.join(path)).unwrap();
        assert_eq!(read(&ours), read(&theirs), "{path}");
    }
    let scripts = |root: &Path| {
        let mut database = database.clone();
        let tar = fs::read(root.join("lib/apk/db/scripts.tar")).unwrap();
        database.read_scripts(&tar).unwrap();
        database
    };
    assert_eq!(scripts(&ours), scripts(&theirs));

    let nothing = |args: &[&str]| {
        let (good, said) = apk(alpine, &ours, args);
        let lines: Vec<_> = said.lines().filter(|line| !line.starts_with("OK: ")).collect();
        assert!(good && lines.is_empty(), "{args:?}: {said}");
    };
    nothing(&["audit", "--system"]);
    // Only root can give files to the owners that the packages name.
    if fs::metadata(&ours).unwrap().uid() == 0 {
        nothing(&["audit", "--full", "--check-permissions", "-r", "/usr", "/etc", "/root"]);
    }
    nothing(&["add", "--no-scripts"]);
    nothing(&["upgrade", "--no-scripts", "--simulate"]);
    let (good, said) = apk(alpine, &ours, &["info", "-v"]);
    assert!(good, "{said}");
    let mut listed: Vec<_> = said.lines().collect();
    listed.sort_unstable();
    assert_eq!(
        listed,
        ["Zapp-doc-2.0_rc1-r0", "app-2.0_rc1-r0", "base-1.2-r3", "libapp-2.0_rc1-r0"]
    );
    let (good, said) = apk(alpine, &ours, &["info", "--who-owns", "/etc/motd"]);
    assert!(good && said.contains("owned by app-2.0"), "{said}");
    let (good, said) = apk(alpine, &ours, &["add", "--no-scripts", "extra"]);
    assert!(good && said.contains("(1/1) Installing extra (1)"), "{said}");
    nothing(&["audit", "--system"]);
    let after = fs::read_to_string(ours.join("lib/apk/db/installed")).unwrap();
    let after = Database::read(&after).unwrap();
    assert_eq!(after.packages().len(), 5);
    let text = after.installed_text();
    assert!(text.starts_with(database.installed_text().split("\n\n").next().unwrap()));
}

/// A small generator of the same numbers everywhere (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn some(&mut self, most: u64, mut one: impl FnMut(&mut Dice) -> String) -> String {
        let count = self.roll(most + 1);
        (0..count).map(|_| one(self)).collect::<Vec<_>>().join(" ")
    }
}

/// Packages p0…p9 in one to three versions, with needs, conflicts, virtual names v0…v3 and
/// packages that come along.
fn random_packages(dice: &mut Dice) -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for number in 0..10 {
        for version in 1..=1 + dice.roll(3) {
            let depends = dice.some(2, |dice| {
                let (name, version) = (dice.roll(10), 1 + dice.roll(3));
                match dice.roll(9) {
                    0 => format!("p{name}>={version}"),
                    1 => format!("p{name}={version}"),
                    2 => format!("p{name}<{}", version + 1),
                    3 if name != number => format!("!p{name}<{version}"),
                    4 => format!("v{}", name % 4),
                    5 => format!("v{}>={version}", name % 4),
                    6 => format!("p{name}~{version}"),
                    _ => format!("p{name}"),
                }
            });
            let provides = dice.some(1, |dice| match dice.roll(2) {
                0 => format!("v{}", dice.roll(2)),
                _ => format!("v{}={}", 2 + dice.roll(2), 1 + dice.roll(3)),
            });
            let mut recipe = Recipe::new(&format!("p{number}"), &version.to_string())
                .depends(&depends)
                .provides(&provides)
                .provider_priority(dice.roll(3) * dice.roll(20));
            if number > 7 {
                let (a, b) = (dice.roll(8), dice.roll(8));
                recipe = recipe.install_if(&format!("p{a} p{b}"));
            }
            recipes.push(recipe);
        }
    }
    recipes
}

/// Whether a set of packages fulfils a world, judged without the solver.
fn is_sound(chosen: &[Chosen], world: &[Dependency]) -> Result<(), String> {
    let provides = |one: &Chosen, need: &Dependency| {
        let own = (one.package.name == need.name).then_some(Some(one.package.version.as_str()));
        let other = one.package.provides.iter().find(|provided| provided.name == need.name);
        own.or(other.map(Dependency::provided_version)).is_some_and(|version| need.matches(version))
    };
    let needs = chosen.iter().flat_map(|one| {
        one.package.depends.iter().map(move |need| (Some(&one.package.name), need))
    });
    for (by, need) in needs.chain(world.iter().map(|need| (None, need))) {
        let mut others =
            chosen.iter().filter(|one| !need.conflict || Some(&one.package.name) != by);
        if others.any(|one| provides(one, need)) == need.conflict {
            return Err(format!("{by:?} {need}"));
        }
    }
    let names = |one: &Chosen| {
        let own = (one.package.name.clone(), true);
        let provided = &one.package.provides;
        let others = provided.iter().map(|name| (name.name.clone(), name.version.is_some()));
        std::iter::once(own).chain(others).collect::<Vec<_>>()
    };
    for (at, one) in chosen.iter().enumerate() {
        for other in chosen.iter().skip(at + 1).flat_map(names) {
            if names(one).iter().any(|own| own.0 == other.0 && (own.1 || other.1)) {
                return Err(format!("{} is provided twice", other.0));
            }
        }
    }
    Ok(())
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<_> = names.iter().collect();
    names.sort();
    names
}

/// The fields that the resolution looks at, a package a line.
fn summary(index: &Index) -> String {
    let field = |line: &str| "PVDpik".contains(line.get(..1).unwrap_or("-"));
    let text = index.to_text();
    let packages = text.split("\n\n").map(|package| package.lines().filter(|line| field(line)));
    packages.map(|lines| lines.collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[test]
fn random_worlds_are_resolved_as_apk_resolves_them() {
    let Some(alpine) = alpine() else { return };
    let signer = Signer::shared("one");
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut same, mut other_order, mut neither, mut only_here) = (0, 0, 0, 0);
    let mut differences = Vec::new();
    for case in 0..80 {
        let built: Vec<Built> =
            random_packages(&mut dice).iter().map(|recipe| recipe.build_index_only()).collect();
        let world = format!(
            "p0 {}",
            dice.some(3, |dice| match dice.roll(4) {
                0 => format!("v{}", dice.roll(4)),
                1 => format!("!p{}>{}", 1 + dice.roll(9), dice.roll(3)),
                _ => format!("p{}", dice.roll(10)),
            })
        );
        let work = tempfile::tempdir().unwrap();
        let bytes = signed_index(&built, &signer);
        let index = Index::open(&bytes, &signer.keys()).unwrap();
        fs::create_dir_all(work.path().join("repository/x86_64")).unwrap();
        fs::write(work.path().join("repository/x86_64/APKINDEX.tar.gz"), bytes).unwrap();
        let wishes = read_world(&world).unwrap();
        let setup = Setup {
            arch: "x86_64".into(),
            world: wishes.clone(),
            repositories: vec![work.path().join("repository").display().to_string()],
            keys: signer.keys(),
        };
        write_database(work.path(), &Database::new(), &setup);
        let (good, said) = apk(alpine, work.path(), &["add", "--simulate"]);
        let theirs: Vec<String> = said
            .lines()
            .filter_map(|line| line.split_once(" Installing "))
            .map(|(_, what)| what.to_owned())
            .collect();
        let entries: Vec<String> = wishes.iter().map(ToString::to_string).collect();
        let indexes = [index];
        let ours = solve(&indexes, &entries, &[]);
        if let Ok(chosen) = &ours {
            is_sound(chosen, &wishes).unwrap_or_else(|why| panic!("case {case}: {world}: {why}"));
        }
        let names = ours.as_ref().map(|chosen| {
            chosen
                .iter()
                .map(|one| format!("{} ({})", one.package.name, one.package.version))
                .collect::<Vec<_>>()
        });
        match names {
            Ok(names) if good && names == theirs => same += 1,
            Ok(names) if good && sorted(&names) == sorted(&theirs) => other_order += 1,
            Err(_) if !good => neither += 1,
            Ok(_) if !good => only_here += 1,
            other => differences.push(format!(
                "case {case}: world {world}\n{}ours {other:?}\ntheirs {said}",
                summary(&indexes[0])
            )),
        }
    }
    println!(
        "{same} the same, {other_order} in another order, {neither} unsolvable for both, \
         {only_here} solved only here, {} others",
        differences.len()
    );
    // apk decides now and then for another provider where it looks at what comes along earlier,
    // and wakes packages by names that they happen to share with those that come along.
    assert!(differences.len() <= 1, "{}", differences.join("\n\n"));
    assert!(same >= 30 && other_order <= 2 && neither >= 20);
}
