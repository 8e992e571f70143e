//! Repositories of Alpine on the loopback, served as they should be and as they should not.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use mabuild_distro::alpine::testrepo::{Built, Recipe, Signer, gzip, signed_index, tar_entry};

use super::super::http::testserver::Ending;
use super::*;
use crate::facts::{AlpineArchive, AlpineAsk, Distro, Family, PackageSet, PackagesAsk};

/// What is served, by path.
type Files = Arc<Mutex<BTreeMap<String, Reply>>>;

/// A repository on the loopback.
struct Repo {
    server: Server,
    files: Files,
    signer: Arc<Signer>,
}

impl Repo {
    fn start(built: &[Built]) -> Self {
        let files = Files::default();
        let served = files.clone();
        let server = Server::start(move |request| {
            let files = served.lock().unwrap_or_else(PoisonError::into_inner);
            match files.get(&request.path) {
                Some(_) if request.header("if-none-match") == Some("\"same\"") => {
                    Reply::new(304, "")
                }
                Some(reply) => reply.clone(),
                None => Reply::new(404, ""),
            }
        });
        let repo = Self { server, files, signer: Signer::shared("tracker") };
        repo.publish(built);
        repo
    }

    /// Serves packages and an index of them in place of what was there.
    fn publish(&self, built: &[Built]) {
        self.files.lock().unwrap().clear();
        self.put("APKINDEX.tar.gz", Reply::new(200, signed_index(built, &self.signer)));
        for one in built {
            self.put(&one.package.file_name(), Reply::new(200, one.bytes.clone()));
        }
    }

    fn put(&self, name: &str, reply: Reply) {
        self.files.lock().unwrap().insert(format!("/main/x86_64/{name}"), reply);
    }

    fn archive(&self) -> AlpineArchive {
        let key = (self.signer.file_name().to_owned(), Arc::from(self.signer.pem().as_bytes()));
        AlpineArchive {
            uri: Some(self.server.url("/main")),
            // What is of a mirror has a path as well.
            path: "v3.20/main".to_owned(),
            tag: None,
            keys: ArchiveKeys::Given(vec![key]),
        }
    }

    fn ask(&self, world: &[&str]) -> AlpineAsk {
        let world = world.iter().map(|word| (*word).to_owned()).collect();
        AlpineAsk { arch: "x86_64".to_owned(), archives: vec![self.archive()], world }
    }

    fn paths(&self) -> Vec<String> {
        let requests = self.server.requests();
        requests.iter().map(|r| r.path.rsplit('/').next().unwrap().to_owned()).collect()
    }
}

fn build(recipe: Recipe) -> Built {
    recipe.build(&Signer::shared("tracker"))
}

fn app() -> Vec<Built> {
    vec![
        build(Recipe::new("app", "2-r0").depends("lib").file("usr/bin/app", 0o755, b"app")),
        build(Recipe::new("lib", "1-r0").file("usr/lib/lib", 0o644, &[7; 3000])),
        build(Recipe::new("other", "1-r0")),
    ]
}

fn set(world: &World, ask: &AlpineAsk) -> Result<PackageSet, FactError> {
    match &*world.pin(&UpstreamAsk::Alpine(ask.clone()))? {
        Pin::Alpine(pin) => {
            assert_eq!((&pin.arch, &pin.world), (&ask.arch, &ask.world));
            Ok(pin.set.clone())
        }
        other => panic!("{other:?}"),
    }
}

/// The error of a question, which blames the upstream or not.
fn refused(world: &World, ask: &AlpineAsk, upstream: bool) -> String {
    let error = set(world, ask).unwrap_err();
    assert_eq!(error.blames_upstream, upstream, "{error:?}");
    error.message
}

#[test]
fn packages_are_pinned_in_the_order_of_their_installation() {
    let (world, built) = (World::new(), app());
    let repo = Repo::start(&built);
    let found = set(&world, &repo.ask(&["app"])).unwrap();
    assert_eq!(shown(&found.packages), ["lib 1-r0", "app 2-r0"]);
    let app = &found.packages[1];
    assert_eq!(app.sha256, Digest::sha256(&built[0].bytes).hex().to_string());
    assert_eq!((app.size, app.archive), (built[0].bytes.len() as u64, 0));
    assert_eq!(app.path, "x86_64/app-2-r0.apk");
    assert_eq!(found.releases[0].date, 1_700_000_000);
    // The file is there; nothing is fetched for a build.
    let fetched = repo.paths().len();
    let path = world.run().fetch_package(&found.archives[0], app).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), built[0].bytes);
    assert_eq!(repo.paths().len(), fetched);
}

#[test]
fn a_run_without_news_fetches_no_package() {
    let world = World::new();
    let repo = Repo::start(&app());
    let index = signed_index(&app(), &repo.signer);
    repo.put("APKINDEX.tar.gz", Reply::new(200, index).with("ETag", "\"same\""));
    let first = set(&world, &repo.ask(&["app"])).unwrap();
    assert_eq!(repo.paths().len(), 3);
    assert_eq!(set(&world, &repo.ask(&["app"])).unwrap(), first);
    assert_eq!(repo.paths()[3..], ["APKINDEX.tar.gz"]);
    // Another question knows the packages that it has in common.
    set(&world, &repo.ask(&["app", "other"])).unwrap();
    assert_eq!(repo.paths()[4..], ["APKINDEX.tar.gz", "other-1-r0.apk"]);
}

#[test]
fn indexes_that_nobody_vouches_for_are_refused() {
    let (world, built) = (World::new(), app());
    let repo = Repo::start(&built);
    let index = |repo: &Repo, bytes: Vec<u8>| repo.put("APKINDEX.tar.gz", Reply::new(200, bytes));

    index(&repo, gzip(&tar_entry("APKINDEX", b"", &[])));
    let error = refused(&world, &repo.ask(&["app"]), true);
    assert!(error.contains("it is not signed"), "{error}");

    index(&repo, signed_index(&built, &Signer::shared("stranger")));
    let error = refused(&world, &repo.ask(&["app"]), true);
    assert!(
        error.contains("not trusted: stranger.rsa.pub") && error.contains("signed-by"),
        "{error}"
    );

    let mut changed = signed_index(&built, &repo.signer);
    // The time in the header of the last gzip member is signed and otherwise ignored.
    let member = changed.windows(3).rposition(|bytes| bytes == [0x1f, 0x8b, 8]).unwrap();
    changed[member + 4] ^= 1;
    index(&repo, changed);
    let error = refused(&world, &repo.ask(&["app"]), true);
    assert!(error.contains("its signature by tracker.rsa.pub is wrong"), "{error}");

    // Alpine's own keys do not count for it either.
    index(&repo, signed_index(&built, &repo.signer));
    let archive = AlpineArchive { keys: ArchiveKeys::Distribution, ..repo.archive() };
    let error = refused(&world, &AlpineAsk { archives: vec![archive], ..repo.ask(&["app"]) }, true);
    assert!(error.contains("needs its keys named with `signed-by`"), "{error}");
    // What was refused is not remembered.
    assert!(set(&world, &repo.ask(&["app"])).is_ok());
}

#[test]
fn a_folder_of_keys_counts_as_a_whole() {
    let world = World::new();
    let repo = Repo::start(&app());
    let folder = world.dir.path().join("keys");
    std::fs::create_dir(&folder).unwrap();
    for signer in [&repo.signer, &Signer::shared("stranger")] {
        std::fs::write(folder.join(signer.file_name()), signer.pem()).unwrap();
    }
    let keys = ArchiveKeys::File(folder.to_str().unwrap().to_owned());
    let archive = AlpineArchive { keys, ..repo.archive() };
    let found = set(&world, &AlpineAsk { archives: vec![archive], ..repo.ask(&["app"]) }).unwrap();
    let Archive::Alpine(pinned) = &found.archives[0] else { panic!("{found:?}") };
    let ArchiveKeys::Given(keys) = &pinned.keys else { panic!("{pinned:?}") };
    assert_eq!(keys.len(), 2);
}

#[test]
fn what_is_not_there_is_named() {
    let world = World::new();
    let repo = Repo::start(&app());
    let ask = AlpineAsk { arch: "s390x".to_owned(), ..repo.ask(&["app"]) };
    let error = refused(&world, &ask, false);
    assert!(error.contains("/main has no architecture s390x"), "{error}");
    let error = refused(&world, &repo.ask(&["ap"]), false);
    assert!(error.contains("there is no package \"ap\""), "{error}");
    let ask = AlpineAsk { arch: "../x".to_owned(), ..repo.ask(&["app"]) };
    assert!(refused(&world, &ask, false).contains("is no path of an Alpine repository"));
}

#[test]
fn packages_that_the_index_does_not_describe_are_refused() {
    let (world, built) = (World::new(), app());
    let repo = Repo::start(&built);
    let ask = repo.ask(&["other"]);
    let file = built[2].package.file_name();
    let good = built[2].bytes.clone();

    repo.files.lock().unwrap().remove(&format!("/main/x86_64/{file}"));
    let error = refused(&world, &ask, true);
    assert!(error.contains("other 1-r0") && error.contains("is being updated"), "{error}");

    // Built anew under the same version: of another size, or of the same with another content.
    repo.put(&file, Reply::new(200, built[0].bytes.clone()));
    let error = refused(&world, &ask, true);
    assert!(error.contains("is not the file that the signed index names"), "{error}");
    let mut changed = good.clone();
    let last = changed.len() - 12;
    changed[last] ^= 1;
    repo.put(&file, Reply::new(200, changed.clone()));
    let error = refused(&world, &ask, true);
    assert!(error.contains("is not the file that the signed index names"), "{error}");
    let kept = Digest::sha256(&changed).to_string();
    let store = Store::open(&world.dir.path().join("store")).unwrap();
    assert!(!store.download_path(&kept).exists());

    repo.put(&file, Reply::new(200, good.clone()).ending(Ending::Reset(40)));
    let error = refused(&world, &ask, true);
    assert!(error.contains("other 1-r0") && error.contains("tried"), "{error}");

    repo.put(&file, Reply::new(200, good));
    assert_eq!(shown(&set(&world, &ask).unwrap().packages), ["other 1-r0"]);
}

#[test]
fn a_mirror_that_stalls_is_given_up() {
    let mut world = World::new();
    world.options.http.stall_timeout = Duration::from_millis(200);
    let repo = Repo::start(&app());
    let index = signed_index(&app(), &repo.signer);
    repo.put("APKINDEX.tar.gz", Reply::new(200, index).ending(Ending::Stall(10)));
    let error = refused(&world, &repo.ask(&["app"]), true);
    assert!(error.contains("APKINDEX.tar.gz"), "{error}");
}

/// A package that was built at some time.
fn dated(name: &str, time: u64) -> Built {
    let mut built = build(Recipe::new(name, "1-r0").file("f", 0o644, name.as_bytes()));
    built.package.build_time = Some(time);
    built
}

#[test]
fn an_older_index_is_refused() {
    let world = World::new();
    let repo = Repo::start(&[dated("a", 2000)]);
    set(&world, &repo.ask(&["a"])).unwrap();
    repo.publish(&[dated("a", 1000)]);
    let error = refused(&world, &repo.ask(&["a"]), true);
    assert!(error.contains("older than the one of") && error.contains("seen before"), "{error}");
    repo.publish(&[dated("a", 1000), dated("b", 3000)]);
    set(&world, &repo.ask(&["a"])).unwrap();

    // The lock knows of a newer one than an empty store does.
    let empty = World::new();
    let run = empty.run();
    run.expect_at_least(&Archive::Alpine(repo.archive()), 4000);
    let ask = UpstreamAsk::Alpine(repo.ask(&["a"]));
    let error = find_facts(&run, vec![], vec![ask.clone()]).upstream(&ask).unwrap_err();
    assert!(error.message.contains("mabuild.lock"), "{error:?}");
}

#[test]
fn tags_choose_between_repositories() {
    let world = World::new();
    let stable = Repo::start(&app());
    let edge = Repo::start(&[build(Recipe::new("app", "3-r0").file("a", 0o644, b"3"))]);
    let tagged = AlpineArchive { tag: Some("edge".to_owned()), ..edge.archive() };
    let ask = |name: &str| AlpineAsk {
        archives: vec![stable.archive(), tagged.clone()],
        ..stable.ask(&[name])
    };
    assert_eq!(shown(&set(&world, &ask("app")).unwrap().packages), ["lib 1-r0", "app 2-r0"]);
    let found = set(&world, &ask("app@edge")).unwrap();
    assert_eq!((shown(&found.packages), found.packages[0].archive), (vec!["app 3-r0".into()], 1));
}

#[test]
fn packages_of_an_image_are_what_is_new_or_has_to_move() {
    let world = World::new();
    let repo = Repo::start(&[
        build(Recipe::new("tool", "1-r0").depends("lib>=2").file("t", 0o755, b"t")),
        build(Recipe::new("lib", "2-r0").file("l", 0o644, b"2")),
        build(Recipe::new("base", "5-r0").file("b", 0o644, b"5")),
    ]);
    let one = |name: &str, version: &str, depends: &str| {
        Recipe::new(name, version).depends(depends).build_index_only().package
    };
    let mut database = String::new();
    for package in [one("lib", "1-r0", ""), one("base", "4-r0", "lib")] {
        let index = mabuild_distro::alpine::Index { packages: vec![package], ..Default::default() };
        database.push_str(&index.to_text());
    }
    let files = BTreeMap::from([("etc/apk/repositories".to_owned(), b"http://x.example".to_vec())]);
    let distro =
        super::super::upstream::alpine_distro("x86_64".into(), database.as_bytes(), &files);
    let below = Distro { archives: vec![Archive::Alpine(repo.archive())], ..distro.unwrap() };
    assert_eq!((below.family, below.installed.len()), (Family::Alpine, 2));
    let ask = |below: Distro, name: &str| {
        let names = vec![name.to_owned()];
        let below = Some(Arc::new(below));
        UpstreamAsk::Packages(PackagesAsk { below, names, recommends: false })
    };
    let pin = world.pin(&ask(below.clone(), "tool")).unwrap();
    let Pin::Packages(pin) = &*pin else { panic!("{pin:?}") };
    assert_eq!(shown(&pin.set.packages), ["lib 2-r0", "tool 1-r0"]);
    assert_eq!((pin.family, &pin.below), (Some(Family::Alpine), &below.digest()));

    let newer = world.run().newer(&below, false).unwrap();
    let newer: Vec<_> = newer.iter().map(|n| (&*n.name, &*n.installed, &*n.candidate)).collect();
    assert_eq!(newer, [("base", "4-r0", "5-r0"), ("lib", "1-r0", "2-r0")]);
    assert!(world.run().newer(&below, true).unwrap().is_empty());

    let lost = Distro { archives: Vec::new(), ..below };
    let error = world.pin(&ask(lost, "tool")).unwrap_err();
    assert!(error.message.contains("/etc/apk/repositories"), "{error:?}");
}
