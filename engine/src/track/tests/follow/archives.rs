//! Root file systems that are followed.

use super::*;

fn rootfs(location: &str, checksums: Option<&str>, range: &str) -> UpstreamAsk {
    UpstreamAsk::Rootfs {
        location: location.to_owned(),
        checksums: checksums.map(str::to_owned),
        digest: None,
        signature: None,
        follow: Some(Follow { range: range.to_owned(), listing: None }),
    }
}

fn listed(ask: UpstreamAsk, at: &str) -> UpstreamAsk {
    match ask {
        UpstreamAsk::Rootfs { location, checksums, digest, signature, follow: Some(follow) } => {
            let follow = Some(Follow { listing: Some(at.to_owned()), ..follow });
            UpstreamAsk::Rootfs { location, checksums, digest, signature, follow }
        }
        other => panic!("{other:?}"),
    }
}

fn signed(location: &str, signature: &str, keys: &str) -> UpstreamAsk {
    UpstreamAsk::Rootfs {
        location: location.to_owned(),
        checksums: None,
        digest: None,
        signature: Some((signature.to_owned(), keys.to_owned())),
        follow: None,
    }
}

fn archive(digest: &str, location: &str, version: &str) -> Pin {
    Pin::Archive {
        digest: digest.to_owned(),
        location: location.to_owned(),
        version: Some(version.to_owned()),
    }
}

fn sums(digit: char, name: &str) -> Vec<u8> {
    format!("{}  {name}\n", digit.to_string().repeat(64)).into_bytes()
}

#[test]
fn the_highest_listed_version_of_the_platform_is_pinned() {
    let mut world = World::new();
    let index = b"<a href='app-1.9.0-x86.tgz'>1</a><a href='app-1.10.0-x86.tgz'>1</a>\
        <a href='app-1.11.0-arm.tgz'>1</a><a href='app-1.12.0-rc1-x86.tgz'>1</a>\
        <a href='app-2.0.0-x86.tgz'>1</a><a href='app-1.10.0-x86.tgz.asc'>1</a>";
    let pages = pages([
        ("/dir/", index),
        ("/dir/app-1.10.0-x86.tgz.sha256", &sums('a', "app-1.10.0-x86.tgz")),
        ("/dir/app-1.11.0-arm.tgz.sha256", &sums('b', "app-1.11.0-arm.tgz")),
        ("/dir/app-1.13.0-x86.tgz.sha256", &sums('c', "app-1.13.0-x86.tgz")),
    ]);
    let server = serve(&pages);
    let at = |arch: &str| server.url(&format!("/dir/app-{VERSION}-{arch}.tgz"));
    let ask = |arch: &str| rootfs(&at(arch), Some(&format!("{}.sha256", at(arch))), "1.*.*");
    let run = world.run();
    let facts = find_facts(&run, vec![], vec![ask("x86"), ask("arm")]);
    let x86 = facts.upstream(&ask("x86")).unwrap();
    let wanted = format!("sha256:{}", "a".repeat(64));
    assert_eq!(*x86, archive(&wanted, &server.url("/dir/app-1.10.0-x86.tgz"), "1.10.0"));
    let arm = facts.upstream(&ask("arm")).unwrap();
    assert!(matches!(&*arm, Pin::Archive { version: Some(v), .. } if v == "1.11.0"), "{arm:?}");
    // One listing for both, and neither archive is fetched.
    assert_eq!(server.requests().len(), 3, "{:?}", lines(&server));

    assert_eq!(world.pin(&ask("x86")).unwrap(), *x86);
    assert!(server.requests()[3..].iter().all(|r| r.header("if-none-match").is_some()));
    let before = server.requests().len();
    world.offline(true);
    assert_eq!(world.pin(&ask("x86")).unwrap(), *x86);
    let error = world.pin(&rootfs(&server.url("/new/a-{{version}}"), None, "*")).unwrap_err();
    assert!(error.contains("--offline"), "{error}");
    assert_eq!(server.requests().len(), before);
    world.offline(false);

    let newer = [&index[..], b"<a href='app-1.13.0-x86.tgz'>n</a>"].concat();
    pages.lock().unwrap().insert("/dir/".to_owned(), newer);
    let moved = world.pin(&ask("x86")).unwrap();
    assert!(matches!(&moved, Pin::Archive { version: Some(v), .. } if v == "1.13.0"), "{moved:?}");
}

#[test]
fn a_version_that_is_a_folder_must_have_the_file() {
    let world = World::new();
    let pages = pages([
        (
            "/os/",
            b"<a href='1.8/'>a</a><a href='1.9/'>a</a><a href='1.10/'>a</a><a href='old'>a</a>",
        ),
        ("/os/1.10/x86/", b"<a href='os-1.10.iso'>a</a>"),
        ("/os/1.9/x86/", b"<a href=\"os-1.9.tgz\">a</a>"),
        ("/os/1.9/sums", &sums('a', "os-1.9.tgz")),
    ]);
    let server = serve(&pages);
    let location = server.url("/os/{{version}}/x86/os-{{version}}.tgz");
    let ask = rootfs(&location, Some(&server.url("/os/{{version}}/sums")), "1.*");
    let wanted = format!("sha256:{}", "a".repeat(64));
    let found = world.pin(&ask).unwrap();
    assert_eq!(found, archive(&wanted, &server.url("/os/1.9/x86/os-1.9.tgz"), "1.9"));
    // Of a folder that cannot be listed nobody knows whether it has the newest version.
    let broken = Server::start(|r| match r.path.as_str() {
        "/os/" => Reply::new(200, "<a href='1.9/'>a</a>"),
        _ => Reply::new(500, ""),
    });
    let ask = rootfs(&broken.url("/os/{{version}}/os.tgz"), None, "1.*");
    assert!(world.pin(&ask).unwrap_err().contains("500"));
    pages.lock().unwrap().remove("/os/1.9/x86/");
    let error = world.pin(&rootfs(&location, None, "1.*")).unwrap_err();
    assert!(error.contains("none of them has os-{{version}}.tgz: tried 1.10, 1.9, 1.8"), "{error}");
}

#[test]
fn a_list_of_releases_names_versions_and_digests() {
    let world = World::new();
    let list = format!(
        "---\n- {{version: 3.20.3, file: mini-3.20.3-x86.tgz, date: 2024-05-01, time: \"10:00:00\", \
         sha512: {}}}\n- {{version: 3.20.3, file: mini-3.20.3-arm.tgz}}\n\
         - {{version: 9.9.9, file: other.tgz}}\n- {{version: 3.19.1, file: fixed.tgz, sha256: {}}}\n",
        "a".repeat(128),
        "b".repeat(64)
    );
    let pages = pages([("/latest-releases.yaml", list.as_bytes())]);
    let server = serve(&pages);
    let at = server.url("/latest-releases.yaml");
    let ask = |file: &str| {
        let location = format!("https://unasked.invalid/v3/{file}?v={VERSION}");
        listed(rootfs(&location, None, "3.20.*"), &at)
    };
    let found = world.pin(&ask("mini-{{version}}-x86.tgz")).unwrap();
    let location = "https://unasked.invalid/v3/mini-3.20.3-x86.tgz?v=3.20.3";
    assert_eq!(found, archive(&format!("sha512:{}", "a".repeat(128)), location, "3.20.3"));
    let run = world.run();
    assert_eq!(
        run.published(
            &listed(rootfs(&server.url("/mini-{{version}}-x86.tgz"), None, "*"), &at),
            &archive("sha512:aa", &server.url("/mini-3.20.3-x86.tgz"), "3.20.3")
        ),
        Some(1_714_557_600)
    );
    let error = world.pin(&ask("mini-{{version}}-arm.tgz")).unwrap_err();
    assert!(error.contains("without a checksum"), "{error}");
    let error = world.pin(&ask("mini-{{version}}-riscv.tgz")).unwrap_err();
    assert!(error.contains("lists nothing of the form mini-{{version}}-riscv.tgz"), "{error}");
}

#[test]
fn folders_and_files_of_this_machine_are_listings_too() {
    let world = World::new();
    world.put("os/a-1.tgz", "one");
    let two = world.put("os/a-2.tgz", "two");
    let location = two.replace("a-2", "a-{{version}}");
    let found = world.pin(&rootfs(&location, None, "*")).unwrap();
    assert_eq!(found, archive(&Digest::sha256("two").to_string(), &two, "2"));
    let list = world.put("list.txt", "a-1.tgz\na-9.tgz\n");
    let found = world.pin(&listed(rootfs(&location, None, "<3, >=1"), &list)).unwrap();
    assert!(matches!(found, Pin::Archive { version: Some(v), .. } if v == "1"));
    let deep = format!("{}/{VERSION}/x.tgz", world.dir.path().join("v").display());
    world.put("v/1.1/x.tgz", "x");
    world.put("v/1.2/y.tgz", "y");
    let found = world.pin(&rootfs(&deep, None, "1.*")).unwrap();
    assert!(matches!(found, Pin::Archive { version: Some(v), .. } if v == "1.1"));
    let gone = world.dir.path().join("none/{{version}}");
    let error = world.pin(&rootfs(gone.to_str().unwrap(), None, "*")).unwrap_err();
    assert!(error.contains("there is nothing at"), "{error}");
}

#[test]
fn wrong_questions_and_listings_are_told_apart() {
    let world = World::new();
    let many: String = (1..30).map(|n| format!("<a href='a-2.{n}.0'>x</a>")).collect();
    let pages = pages([
        ("/many/", many.as_bytes()),
        ("/error/", b"<html><body>Oops! <a href='/'>Home</a></body></html>"),
        ("/json/", b"{\"error\": \"not found\"}"),
        (
            "/evil/",
            b"<a href='http://evil.invalid/evil/a-9.9.9'>x</a><a href='../a-9.9.9'>x</a>\
            <a href='a-9.9.9/../../a-9.9.9'>x</a><a href='.'>x</a><a href='/evil/'>x</a>",
        ),
    ]);
    let server = serve(&pages);
    let error = |location: &str, range: &str| {
        let location = match location.starts_with('/') {
            true => server.url(location),
            false => location.to_owned(),
        };
        world.pin(&rootfs(&location, None, range)).unwrap_err()
    };
    let text = error("/many/a-{{version}}", "3.*.*");
    assert!(text.contains("fits `3.*.*`; there are 2.29.0, 2.28.0"), "{text}");
    assert!(text.ends_with("2.22.0, …"), "{text}");
    for page in ["/error/", "/json/", "/evil/"] {
        let text = error(&format!("{page}a-{VERSION}"), "*");
        assert!(text.contains("it is no index of a folder"), "{page} {text}");
    }
    let text = error("/none/a-{{version}}", "*");
    assert!(text.contains("there is nothing at") && text.contains("/none/"), "{text}");
    assert!(error("/many/plain", "*").contains("no `{{version}}` in its path"));
    assert!(error("http://{{version}}.invalid/x", "*").contains("no `{{version}}` in its path"));
    assert!(error("/many/a-{{version}}", "^3").contains("no operator"));
    let huge = Server::start(|_| Reply::new(200, "<a href='a-1'>x</a>\n".repeat(1 << 20)));
    let location = huge.url("/a-{{version}}");
    assert!(world.pin(&rootfs(&location, None, "*")).unwrap_err().contains("larger than"));
    let UpstreamAsk::Rootfs { location, follow, .. } =
        rootfs(&server.url("/a{{version}}"), None, "*")
    else {
        unreachable!()
    };
    let digest = Some(Digest::sha256("").to_string());
    let both = UpstreamAsk::Rootfs { location, checksums: None, digest, signature: None, follow };
    assert!(world.pin(&both).unwrap_err().contains("the content of one version alone"));
}

#[test]
fn an_archive_is_pinned_by_who_signed_it() {
    let mut world = World::new();
    let keys = world.put("keys.gpg", KEYS);
    let pages = pages([
        ("/d/", b"<a href='a-1.tgz'>x</a><a href='a-2.tgz'>x</a>"),
        ("/d/a-1.tgz", ARCHIVE),
        ("/d/a-1.tgz.asc", SIGNATURE),
        ("/d/a-2.tgz", b"another archive\n"),
        ("/d/a-2.tgz.asc", SIGNATURE),
        ("/keys", KEYS),
    ]);
    let server = serve(&pages);
    let url = |n: u8| server.url(&format!("/d/a-{n}.tgz"));
    let asc = |n: u8| server.url(&format!("/d/a-{n}.tgz.asc"));
    let digest = Digest::sha256(ARCHIVE).to_string();
    let one = signed(&url(1), &asc(1), &keys);
    let wanted = Pin::Archive { digest: digest.clone(), location: url(1), version: None };
    assert_eq!(world.pin(&one).unwrap(), wanted);
    assert_eq!(lines(&server), ["GET /d/a-1.tgz", "GET /d/a-1.tgz.asc"]);
    // What was verified is known; whether the archive is still that is asked.
    assert_eq!(world.pin(&one).unwrap(), wanted);
    assert_eq!(lines(&server)[2..], ["GET /d/a-1.tgz"]);
    world.offline(true);
    assert_eq!(world.pin(&one).unwrap(), wanted);
    world.offline(false);

    let error = world.pin(&signed(&url(2), &asc(2), &keys)).unwrap_err();
    assert!(error.contains("altered after signing"), "{error}");
    let others = world.put("others.gpg", include_bytes!("../../testdata/keys.gpg"));
    let error = world.pin(&signed(&url(1), &asc(1), &others)).unwrap_err();
    assert!(error.contains("is not in the keyring"), "{error}");
    let error = world.pin(&signed(&url(1), &asc(1), &server.url("/keys"))).unwrap_err();
    assert!(error.contains("plain http"), "{error}");
    let error = world.pin(&signed(&url(1), &server.url("/none"), &others)).unwrap_err();
    assert!(error.contains("404"), "{error}");
    // A digest that is given is not believed either before somebody signed the archive.
    let mut given = signed(&url(2), &asc(2), &keys);
    if let UpstreamAsk::Rootfs { digest, .. } = &mut given {
        *digest = Some(Digest::sha256("another archive\n").to_string());
    }
    assert!(world.pin(&given).unwrap_err().contains("altered after signing"));
    let mut followed = signed(&server.url("/d/a-{{version}}.tgz"), "", &keys);
    if let UpstreamAsk::Rootfs { follow, signature, .. } = &mut followed {
        *follow = Some(Follow { range: "<2".to_owned(), listing: None });
        *signature = Some((server.url("/d/a-{{version}}.tgz.asc"), keys.clone()));
    }
    assert_eq!(world.pin(&followed).unwrap(), archive(&digest, &url(1), "1"));
    let local = world.put("local.tgz", ARCHIVE);
    let asc = world.put("local.asc", SIGNATURE);
    assert!(world.pin(&signed(&local, &asc, &keys)).is_ok());
}

#[test]
fn ages_of_archives_come_from_their_servers() {
    let mut world = World::new();
    let server = Server::start(|request| match request.path.as_str() {
        "/dated" => Reply::new(200, "x").with("Last-Modified", "Sat, 01 Jun 2024 00:00:00 GMT"),
        "/epoch" => Reply::new(200, "x").with("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
        "/future" => Reply::new(200, "x").with("Last-Modified", "Sat, 01 Jan 2050 00:00:00 GMT"),
        "/odd" => Reply::new(200, "x").with("Last-Modified", "yesterday"),
        "/" => Reply::new(
            200,
            "<a href=odd>odd</a> 2024-05-01 10:00 1K <a href=future>f</a> 2051-05-01 10:00",
        ),
        _ => Reply::new(405, ""),
    });
    let published = |world: &World, path: &str| {
        let location = server.url(path);
        let ask = signed(&location, "", "");
        world.run().published(&ask, &archive("sha256:aa", &location, "1"))
    };
    assert_eq!(published(&world, "/dated"), Some(1_717_200_000));
    assert_eq!(published(&world, "/odd"), Some(1_714_557_600));
    for none in ["/epoch", "/future", "/refused", "/folder/none"] {
        assert_eq!(published(&world, none), None, "{none}");
    }
    let requests = lines(&server);
    assert_eq!(requests[..3], ["HEAD /dated", "HEAD /odd", "GET /"]);
    world.offline(true);
    assert_eq!(published(&world, "/dated"), Some(1_717_200_000));
    assert_eq!(published(&world, "/unasked"), None);
    assert_eq!(lines(&server), requests);
    let local = world.put("x", "x");
    assert_eq!(world.run().published(&signed(&local, "", ""), &archive("a", &local, "1")), None);
}

#[test]
fn archives_of_alpine_are_followed() {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/alpine"));
    let data = std::env::var_os("MABUILD_TEST_ALPINE").map_or(beside, PathBuf::from);
    if !data.exists() {
        println!("skipped: there are no archives of Alpine beside the project");
        return;
    }
    // As nginx lists folders.
    let server = Server::start(move |request| {
        let path = data.join(request.path.trim_start_matches('/'));
        if !path.is_dir() {
            return std::fs::read(&path)
                .map_or(Reply::new(404, ""), |bytes| Reply::new(200, bytes));
        }
        let links = std::fs::read_dir(&path).unwrap().flatten().map(|entry| {
            let slash = if entry.path().is_dir() { "/" } else { "" };
            let name = format!("{}{slash}", entry.file_name().to_str().unwrap());
            format!("<a href=\"{name}\">{name}</a>      06-Sep-2024 11:20      3587\n")
        });
        let links: String = links.collect();
        Reply::new(
            200,
            format!("<html><h1>Index</h1><pre><a href=\"../\">../</a>\n{links}</pre></html>"),
        )
    });
    let mut world = World::new();
    world.options.now = 1_800_000_000;
    let ask = |arch: &str, range: &str| {
        let file = format!("/{{{{version}}}}/alpine-minirootfs-{{{{version}}}}-{arch}.tar.gz");
        let sums = server.url("/{{version}}/checksums.sha512");
        rootfs(&server.url(&file), Some(&sums), range)
    };
    let run = world.run();
    for (arch, range, version) in [
        ("x86_64", "3.*.*", "3.20.3"),
        ("x86_64", "3.19.*", "3.19.4"),
        ("riscv64", "*", "3.20.3"),
        ("armv7", ">=3.19, <3.20", "3.19.4"),
    ] {
        let ask = ask(arch, range);
        let found = pin(&run, &ask).unwrap();
        let Pin::Archive { digest, location, version: Some(is) } = &found else { panic!() };
        assert_eq!(is, version, "{arch} {range}");
        assert!(digest.starts_with("sha512:"), "{digest}");
        run.fetch(digest, location).unwrap();
        assert_eq!(run.published(&ask, &found), Some(1_725_621_600));
    }
    let error = pin(&run, &ask("riscv64", "3.19.*")).unwrap_err();
    assert!(error.contains("tried 3.19.4"), "{error}");
    let listings = lines(&server).iter().filter(|line| line.ends_with('/')).count();
    assert_eq!(listings, 3, "{:?}", lines(&server));
}
