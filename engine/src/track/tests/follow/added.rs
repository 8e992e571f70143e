//! Added files and repositories that are followed.

use super::*;

/// A repository with some tags.
struct Repository {
    world: World,
    folder: PathBuf,
}

impl Repository {
    fn new() -> Self {
        let mut world = World::new();
        world.options.env.insert("GIT_ALLOW_PROTOCOL".to_owned(), "file".to_owned());
        let folder = world.dir.path().join("repository");
        std::fs::create_dir(&folder).unwrap();
        let this = Self { world, folder };
        this.git(&["init", "-q", "-b", "main"]);
        for tag in ["v1.9.0", "v1.10.0", "v1.11.0-rc1", "v2.0.0"] {
            this.commit(tag);
            this.git(&["tag", "-a", tag, "-m", tag]);
        }
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
        let out = command.args(words).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, text: &str) -> String {
        std::fs::write(self.folder.join("f"), text).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", text]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn ask(&self, reference: Option<&str>, checksum: Option<&str>) -> FilesAsk {
        FilesAsk::Git(GitAsk {
            remote: format!("file://{}", self.folder.display()),
            reference: reference.map(str::to_owned),
            folder: None,
            keep_git_dir: false,
            checksum: checksum.map(str::to_owned),
        })
    }

    fn pins(&self, asks: &[FilesAsk]) -> Vec<Result<Option<String>, String>> {
        let pins = self.world.run().file_pins(asks);
        pins.into_iter().map(|pin| pin.map_err(|e| e.message)).collect()
    }

    /// The content of the file.
    fn text(&self, ask: FilesAsk) -> Result<String, String> {
        let set = find_facts(&self.world.run(), vec![ask.clone()], vec![]).files(&ask)?;
        Ok(std::fs::read_to_string(format!("{}/f", set.root)).unwrap())
    }
}

#[test]
fn the_highest_tag_of_a_repository_is_followed() {
    let mut repository = Repository::new();
    let peeled = repository.git(&["rev-parse", "v1.10.0^{}"]);
    assert_eq!(repository.text(repository.ask(Some("v1.*.*"), None)).unwrap(), "v1.10.0");
    assert_eq!(repository.text(repository.ask(Some("v*, <2"), None)).unwrap(), "v1.10.0");
    let asks = [
        repository.ask(Some("v1.*.*"), None),
        repository.ask(Some("v*"), None),
        repository.ask(Some("v3.*"), None),
        repository.ask(Some(&peeled), None),
        repository.ask(Some("main"), Some(&peeled)),
        repository.ask(Some("none"), None),
    ];
    let head = repository.git(&["rev-parse", "HEAD"]);
    let pins = repository.pins(&asks);
    assert_eq!(pins[..2], [Ok(Some(peeled.clone())), Ok(Some(head))]);
    let error = pins[2].as_ref().unwrap_err();
    assert!(error.contains("fits `v3.*`; there are v2.0.0, v1.11.0-rc1, v1.10.0"), "{error}");
    assert_eq!(pins[3..5], [Ok(None), Ok(None)]);
    assert!(pins[5].as_ref().unwrap_err().contains("no branch, tag or commit"));

    repository.world.offline(true);
    assert_eq!(repository.pins(&asks[..1]), [Ok(Some(peeled))]);
    assert_eq!(repository.text(asks[0].clone()).unwrap(), "v1.10.0");
    assert!(repository.pins(&[repository.ask(Some("v9.*"), None)])[0].is_err());
}

#[test]
fn a_repository_is_listed_once_in_a_run() {
    let mut repository = Repository::new();
    // A git that counts how often it lists.
    let real = std::env::var("PATH").unwrap();
    let log = repository.world.dir.path().join("log");
    let text = format!(
        "#!/bin/sh\nfor w in \"$@\"; do [ \"$w\" = ls-remote ] && echo x >> '{}'; done\n\
         PATH='{real}'; exec git \"$@\"\n",
        log.display()
    );
    let program = repository.world.put("bin/git", text);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let bin = program.strip_suffix("/git").unwrap();
    repository.world.options.env.insert("PATH".to_owned(), format!("{bin}:{real}"));
    let asks: Vec<FilesAsk> = ["v1.*.*", "v2.*.*", "main", "v1.9.0", "none"]
        .map(|n| repository.ask(Some(n), None))
        .into();
    let pins = repository.pins(&asks);
    assert_eq!(pins.iter().filter(|pin| pin.is_ok()).count(), 4, "{pins:?}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "x\n");
}

#[test]
fn a_commit_that_is_written_down_stays_when_a_branch_moves_on() {
    let mut repository = Repository::new();
    let old = repository.git(&["rev-parse", "HEAD"]);
    repository.commit("later");
    for reference in [None, Some("main"), Some("v*")] {
        let ask = repository.ask(reference, Some(&old));
        assert_eq!(repository.text(ask).unwrap(), "v2.0.0", "{reference:?}");
    }
    // A tag is not to move, and part of a hash does not say what to fetch.
    let error = repository.text(repository.ask(Some("v1.9.0"), Some(&old))).unwrap_err();
    assert!(error.contains(&old) && error.contains("who moved"), "{error}");
    assert!(repository.text(repository.ask(None, Some(&old[..12]))).is_err());
    repository.world.offline(true);
    assert_eq!(repository.text(repository.ask(Some("unasked"), Some(&old))).unwrap(), "v2.0.0");
    let other = repository.ask(None, Some(&"0".repeat(40)));
    assert!(repository.text(other).unwrap_err().contains("--offline"));
    repository.world.offline(false);
    let gone = repository.ask(None, Some(&"0".repeat(40)));
    assert!(repository.text(gone).unwrap_err().contains("does not give out"));
}

#[test]
fn added_files_are_written_down_as_they_are_served() {
    let mut world = World::new();
    let pages = pages([("/f", b"one")]);
    let server = serve(&pages);
    let url = |path: &str, checksum: Option<&str>| FilesAsk::Url {
        location: server.url(path),
        checksum: checksum.map(str::to_owned),
    };
    let one = Digest::sha256("one").to_string();
    let context = FilesAsk::Context(crate::facts::ContextAsk::of("/".into(), vec!["x".to_owned()]));
    let asks = [url("/f", None), url("/f", Some(&one)), context, url("/none", None)];
    let pins = world.run().file_pins(&asks);
    assert_eq!(pins[..3], [Ok(Some(one.clone())), Ok(None), Ok(None)]);
    assert!(pins[3].as_ref().unwrap_err().message.contains("404"));
    assert_eq!(world.run().file_pins(&asks[..1]), [Ok(Some(one.clone()))]);
    assert!(server.requests().last().unwrap().header("if-none-match").is_some());

    pages.lock().unwrap().insert("/f".to_owned(), b"two".to_vec());
    // What is in the store is still what was written down; elsewhere it is gone.
    let locked = url("/f", Some(&one));
    let files =
        |world: &World| find_facts(&world.run(), vec![locked.clone()], vec![]).files(&locked);
    assert!(files(&world).is_ok());
    let other = World::new();
    let error = files(&other).unwrap_err();
    let two = Digest::sha256("two").to_string();
    assert!(error.contains(&one) && error.contains(&two), "{error}");
    pages.lock().unwrap().clear();
    let error = files(&other).unwrap_err();
    assert!(error.contains(&one) && error.contains("404"), "{error}");
    world.offline(true);
    assert_eq!(world.run().file_pins(&asks[..1]), [Ok(Some(one))]);
    assert!(
        world.run().file_pins(&asks[3..])[0].as_ref().unwrap_err().message.contains("--offline")
    );
}

#[test]
fn a_host_is_asked_little_at_once_and_left_alone_when_it_asks() {
    let world = World::new();
    let busy = Arc::new(Mutex::new((0_usize, 0_usize)));
    let count = busy.clone();
    // Answers are made under the lock of the test server, so the requests under way are counted by
    // a listener of its own.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let count = count.clone();
            std::thread::spawn(move || {
                {
                    let mut count = count.lock().unwrap();
                    count.0 += 1;
                    count.1 = count.1.max(count.0);
                }
                let mut buffer = [0; 4096];
                let _request = std::io::Read::read(&mut stream, &mut buffer);
                std::thread::sleep(Duration::from_millis(30));
                // Counted off before the client can send the next one.
                count.lock().unwrap().0 -= 1;
                let text = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
                let _gone = std::io::Write::write_all(&mut stream, text);
            });
        }
    });
    let asks: Vec<FilesAsk> = (0..40)
        .map(|n| FilesAsk::Url { location: format!("{address}/{n}"), checksum: None })
        .collect();
    assert!(world.run().file_pins(&asks).iter().all(Result::is_ok));
    let most = busy.lock().unwrap().1;
    assert!((2..=8).contains(&most), "{most}");

    for status in [429, 503] {
        let server = Server::start(move |request| match request.number {
            0 => Reply::new(status, "").with("Retry-After", "1"),
            _ => Reply::new(200, "x"),
        });
        let before = std::time::Instant::now();
        let ask = FilesAsk::Url { location: server.url("/x"), checksum: None };
        assert!(world.run().file_pins(&[ask])[0].is_ok());
        assert!(before.elapsed() >= Duration::from_secs(1), "{status}");
    }
}
