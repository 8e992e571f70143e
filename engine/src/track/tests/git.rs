//! Repositories of git.

use super::*;
use crate::facts::FileKind;

/// A repository with two commits, and how to ask for it.
struct Repository {
    world: World,
    folder: std::path::PathBuf,
}

impl Repository {
    fn new() -> Self {
        let mut world = World::new();
        world.options.env.insert("GIT_ALLOW_PROTOCOL".to_owned(), "file".to_owned());
        let path = std::env::var("PATH").unwrap();
        world.options.env.insert("PATH".to_owned(), path);
        let folder = world.dir.path().join("repository");
        std::fs::create_dir(&folder).unwrap();
        let this = Self { world, folder };
        this.git(&["init", "-q", "-b", "main"]);
        this.commit("a", "first");
        this.git(&["tag", "-a", "v1", "-m", "v1"]);
        this.git(&["branch", "old"]);
        this.commit("sub/b", "second");
        this
    }

    fn git(&self, words: &[&str]) -> String {
        let mut command = std::process::Command::new("git");
        command.current_dir(&self.folder).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("HOME", &self.folder);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "n").env(format!("GIT_{who}_EMAIL"), "e@e");
            command.env(format!("GIT_{who}_DATE"), "1000000000 +0000");
        }
        let out = command.args(["-c", "protocol.file.allow=always"]).args(words).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, path: &str, text: &str) -> String {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", text]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn ask(&self) -> crate::facts::GitAsk {
        crate::facts::GitAsk {
            remote: format!("file://{}", self.folder.display()),
            reference: None,
            folder: None,
            keep_git_dir: false,
            checksum: None,
        }
    }

    /// Paths with modes and contents.
    fn files(&self, ask: crate::facts::GitAsk) -> Result<Vec<String>, String> {
        let ask = FilesAsk::Git(ask);
        let set = find_facts(&self.world.run(), vec![ask.clone()], vec![]).files(&ask)?;
        assert!(set.fetched && set.matches[0].directory);
        let files = set.matches[0].files.iter().filter(|file| !file.path.starts_with(".git/"));
        let shown = files.map(|file| match &file.kind {
            FileKind::File { .. } => {
                let text = std::fs::read_to_string(format!("{}/{}", set.root, file.path)).unwrap();
                format!("{:o} {}={text}", file.mode, file.path)
            }
            _ => format!("{:o} {}/", file.mode, file.path),
        });
        Ok(shown.collect())
    }
}

#[test]
fn repositories_are_fetched_by_branch_tag_and_commit() {
    let repository = Repository::new();
    let first = repository.git(&["rev-parse", "old"]);
    let ask = |reference: Option<&str>| crate::facts::GitAsk {
        reference: reference.map(str::to_owned),
        ..repository.ask()
    };
    let one = ["755 /", "644 a=first"];
    let two = ["755 /", "644 a=first", "755 sub/", "644 sub/b=second"];
    assert_eq!(repository.files(ask(None)).unwrap(), two);
    assert_eq!(repository.files(ask(Some("main"))).unwrap(), two);
    for reference in ["old", "v1", "refs/tags/v1", "refs/heads/old", &first] {
        assert_eq!(repository.files(ask(Some(reference))).unwrap(), one, "{reference}");
    }
    let folder =
        |folder: &str| crate::facts::GitAsk { folder: Some(folder.to_owned()), ..repository.ask() };
    assert_eq!(repository.files(folder("sub")).unwrap(), ["755 /", "644 b=second"]);
    assert_eq!(repository.files(folder("/sub/../../sub")).unwrap(), ["755 /", "644 b=second"]);
    assert!(repository.files(folder("none")).unwrap_err().contains("no folder `none`"));
    assert!(repository.files(ask(Some("nope"))).unwrap_err().contains("no branch, tag or commit"));
    assert!(repository.files(ask(Some("--upload-pack=x"))).unwrap_err().contains("no reference"));
    let kept = crate::facts::GitAsk { keep_git_dir: true, ..repository.ask() };
    assert!(repository.files(kept).unwrap().contains(&"755 .git/".to_owned()));
}

#[test]
fn a_commit_must_be_the_one_that_was_written_down() {
    let repository = Repository::new();
    let head = repository.git(&["rev-parse", "HEAD"]);
    let tag = repository.git(&["rev-parse", "v1"]);
    let ask = |reference: Option<&str>, checksum: &str| crate::facts::GitAsk {
        reference: reference.map(str::to_owned),
        checksum: Some(checksum.to_owned()),
        ..repository.ask()
    };
    assert!(repository.files(ask(None, &head)).is_ok());
    assert!(repository.files(ask(None, &head[..12])).is_ok());
    assert!(repository.files(ask(Some("v1"), &tag)).is_ok());
    let error = repository.files(ask(Some("v1"), &head)).unwrap_err();
    assert!(error.contains(&head) && error.contains("#v1"), "{error}");
    assert!(repository.files(ask(None, "")).is_err());
}

#[test]
fn a_repository_that_is_known_needs_no_network_and_a_moved_one_is_seen() {
    let mut repository = Repository::new();
    let before = repository.files(repository.ask()).unwrap();
    repository.commit("a", "third");
    repository.world.options.http.offline = true;
    assert_eq!(repository.files(repository.ask()).unwrap(), before);
    let other = crate::facts::GitAsk { reference: Some("old".to_owned()), ..repository.ask() };
    assert!(repository.files(other).unwrap_err().contains("--offline"));
    repository.world.options.http.offline = false;
    assert!(repository.files(repository.ask()).unwrap().contains(&"644 a=third".to_owned()));
}

#[test]
fn submodules_come_along() {
    let repository = Repository::new();
    let other = Repository::new();
    let remote = other.ask().remote;
    repository.git(&["submodule", "add", "-q", &remote, "vendor/other"]);
    repository.git(&["commit", "-q", "-m", "submodule"]);
    let files = repository.files(repository.ask()).unwrap();
    assert!(files.contains(&"644 vendor/other/sub/b=second".to_owned()), "{files:?}");
    assert!(!files.iter().any(|file| file.contains("other/.git")), "{files:?}");
}

#[test]
fn only_known_ways_lead_to_repositories() {
    let mut repository = Repository::new();
    repository.world.options.env.remove("GIT_ALLOW_PROTOCOL");
    let error = repository.files(repository.ask()).unwrap_err();
    assert!(error.contains("not allowed"), "{error}");
    let ext = crate::facts::GitAsk { remote: "ext::sh -c true".to_owned(), ..repository.ask() };
    assert!(repository.files(ext).is_err());
    let option = crate::facts::GitAsk { remote: "--upload-pack=x".to_owned(), ..repository.ask() };
    assert!(repository.files(option).unwrap_err().contains("no git repository"));
    repository.world.options.env.insert("PATH".to_owned(), "/nonexistent".to_owned());
    assert!(repository.files(repository.ask()).unwrap_err().contains("install git"));
}
