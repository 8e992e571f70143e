//! Smaller nouns that mean what they should.

use std::time::Duration;

use mabuild_lang::config::{
    BaseSource, Check, Config, ContextSource, Event, Image, Mode, SecretSource, Text, Trim, Variant,
};
use mabuild_lang::platform::Platform;
use mabuild_lang::schema::{FILE, Kind, Role};
use mabuild_lang::{Vars, load};

use crate::{load_one, memory, rendered};

fn good(text: &str) -> Config {
    let text = format!("mabuild 1\nplatforms \"linux/amd64\" \"linux/arm/v7\"\n{text}");
    let loaded = load_one(&text);
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    Config::clone(&loaded.config)
}

fn image(body: &str) -> Image {
    good(&format!("image \"a\" {{\n    from \"scratch\"\n{body}\n}}")).images.remove(0)
}

fn texts(list: &[Text]) -> Vec<&str> {
    list.iter().map(|text| text.constant().unwrap_or("not constant")).collect()
}

#[test]
fn tests_run_a_command_or_a_file() {
    let image = image(
        r#"test "starts" { run "/app" "--version" }
        test "says so" {
            expect exit=3 stdout="ok" stderr="not {{platform.arch}}" timeout="90s"
            run "app; exit 3"
        }
        test "structure" file="checks/{{image.name}}.yaml""#,
    );
    let [starts, says, structure] = image.body.tests.as_slice() else {
        panic!("{:?}", image.body.tests)
    };
    assert_eq!(&*starts.name.value, "starts");
    let Check::Run { words, expect } = &starts.check else { panic!("{starts:?}") };
    assert_eq!(texts(words), ["/app", "--version"]);
    assert_eq!(expect, &mabuild_lang::config::Expect::default());
    let Check::Run { words, expect } = &says.check else { panic!("{says:?}") };
    assert_eq!(texts(words), ["app; exit 3"]);
    assert_eq!((expect.exit, expect.timeout), (3, Some(Duration::from_secs(90))));
    assert_eq!(expect.stdout.as_ref().unwrap().constant(), Some("ok"));
    let arm = Platform::parse("linux/arm/v7").unwrap();
    assert_eq!(expect.stderr.as_ref().unwrap().render(&arm, &[]).unwrap(), "not arm");
    let Check::File(path) = &structure.check else { panic!("{structure:?}") };
    assert_eq!(path.text.constant(), Some("checks/a.yaml"));
}

#[test]
fn the_bounds_of_an_exit_code_are_codes() {
    let image = image(
        "test \"0\" { run \"x\"; expect exit=0 }\ntest \"255\" { run \"x\"; expect exit=255 }",
    );
    let codes: Vec<i32> = image
        .body
        .tests
        .iter()
        .map(|test| match &test.check {
            Check::Run { expect, .. } => expect.exit,
            Check::File(_) => panic!("{test:?}"),
        })
        .collect();
    assert_eq!(codes, [0, 255]);
}

#[test]
fn a_dockerfile_with_all_that_stands_beside_it() {
    let config = good(
        r#"let registry "docker.io"
        image "a" {
            dockerfile "a/Dockerfile.{{platform.arch}}"
            target "run"
            mode "cross"
            named-context "src" "../src"
            named-context "lib" "node:b"
            named-context "debian:12" "docker-image://{{registry}}/debian:12"
            named-context "per" "docker-image://debian:{{platform.arch}}"
            secret "netrc" env="NETRC"
            secret "/etc/key" file="key-{{platform.arch}}.pem"
        }
        image "b" { from "scratch" }"#,
    );
    let image = &config.images[0];
    assert!(image.from.is_none());
    let arm = Platform::parse("linux/arm/v7").unwrap();
    let path = &image.body.dockerfile.as_ref().unwrap().path.text;
    assert_eq!(path.render(&arm, &[]).unwrap(), "a/Dockerfile.arm");
    assert_eq!(image.body.target.as_ref().unwrap().constant(), Some("run"));
    assert_eq!(image.body.mode.value, Mode::Cross);
    let names: Vec<&str> = image.body.named_contexts.iter().map(|c| &*c.name.value).collect();
    assert_eq!(names, ["src", "lib", "debian:12", "per"]);
    let sources: Vec<_> = image.body.named_contexts.iter().map(|context| &context.source).collect();
    let [
        ContextSource::Folder(folder),
        ContextSource::Node(node),
        ContextSource::Image(fixed),
        ContextSource::Image(open),
    ] = sources.as_slice()
    else {
        panic!("{sources:?}")
    };
    assert_eq!(folder.text.constant(), Some("../src"));
    assert_eq!(node.constant(), Some("b"));
    assert_eq!(fixed.constant(), Some("docker.io/debian:12"));
    assert_eq!(open.render(&arm, &[]).unwrap(), "debian:arm");
    let [netrc, key] = image.body.secrets.as_slice() else { panic!("{:?}", image.body.secrets) };
    let SecretSource::Env(variable) = &netrc.source else { panic!("{netrc:?}") };
    assert_eq!((&*netrc.id.value, variable.value.as_str()), ("netrc", "NETRC"));
    let SecretSource::File(path) = &key.source else { panic!("{key:?}") };
    assert_eq!(path.text.render(&arm, &[]).unwrap(), "key-arm.pem");
    assert_eq!(config.images[1].body.mode.value, Mode::Auto);
}

#[test]
fn paths_know_the_folder_of_their_file() {
    let files = memory(&[
        ("mabuild.kdl", "mabuild 1\nplatforms \"linux/amd64\"\ninclude \"teams/a.kdl\"\n"),
        (
            "teams/a.kdl",
            "image \"a\" { dockerfile \"Dockerfile\"; test \"t\" file=\"t.yaml\"; secret \"s\" file=\"s\" }\nbuilder \"b\" { buildkit { node \"n\" \"tcp://n:1\" { tls ca=\"ca.pem\" } } }",
        ),
    ]);
    let loaded = load("mabuild.kdl", &files, &Vars::default());
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    let image = &loaded.config.images[0];
    let Check::File(test) = &image.body.tests[0].check else { panic!("{image:?}") };
    let SecretSource::File(secret) = &image.body.secrets[0].source else { panic!("{image:?}") };
    let tls = loaded.config.builders[0].workers[0].tls.as_ref().unwrap();
    let dockerfile = &image.body.dockerfile.as_ref().unwrap().path;
    for path in [test, secret, tls.ca.as_ref().unwrap(), dockerfile] {
        assert_eq!(&*path.folder, "teams");
    }
}

#[test]
fn builders_with_all_kinds_of_workers() {
    let config = good(
        r#"let arm "bk-arm64.internal"
        builder "farm" {
            buildkit {
                node "x86" "tcp://[fd00::1]:1234" platforms="amd64, linux/386" parallel=8 {
                    tls ca="pki/ca.pem" cert="pki/cert.pem" key="pki/key.pem"
                }
                node "arm" "tcp://{{arm}}:1234" platforms="linux/arm64,linux/arm"
                node "arm2" "ssh://root@arm2" platforms="linux/arm64" parallel=1024
                node "here" "unix:///run/buildkit/buildkitd.sock"
                node "box" "docker-container://buildx_buildkit_0"
                node "pod" "kube-pod://bk-0?namespace=ci"
                node "pm" "podman-container://bk"
            }
        }
        builder "other" { buildkit { node "x86" "tcp://a:1" { tls ca="ca.pem" } } }"#,
    );
    let [farm, other] = config.builders.as_slice() else { panic!("{:?}", config.builders) };
    assert_eq!((&*farm.name.value, farm.workers.len()), ("farm", 7));
    let platforms: Vec<Vec<String>> = farm
        .workers
        .iter()
        .map(|worker| worker.platforms.iter().map(|p| p.value.to_string()).collect())
        .collect();
    assert_eq!(platforms[0], ["linux/amd64", "linux/386"]);
    assert_eq!(platforms[1], ["linux/arm64", "linux/arm/v7"]);
    assert!(platforms[3].is_empty());
    assert_eq!(farm.workers[0].parallel, Some(8));
    assert_eq!(farm.workers[1].parallel, None);
    assert_eq!(farm.workers[1].address.value, "tcp://bk-arm64.internal:1234");
    let tls = farm.workers[0].tls.as_ref().unwrap();
    assert_eq!(tls.key.as_ref().unwrap().text.constant(), Some("pki/key.pem"));
    let tls = other.workers[0].tls.as_ref().unwrap();
    assert!(tls.ca.is_some() && tls.cert.is_none() && tls.key.is_none());
}

#[test]
fn hooks_and_where_images_go() {
    let config = good(
        r#"registry "ghcr.io/acme"
        let token "t0"
        on "rebuilt" { webhook "https://chat.example.org/{{token}}"; webhook "http://127.0.0.1:8080" }
        on "failed" { webhook "https://chat.example.org/x" }
        on "published" { webhook "https://chat.example.org/x" }
        base "b" { oci-layout "x"; publish "b"; arch-tags; test "t" { run "true" } }
        image "a" { from "b"; publish "{{image.name}}" "quay.io/acme/a"; publish "localhost:5000/a"; arch-tags }"#,
    );
    assert_eq!(config.registry.as_ref().unwrap().value, "ghcr.io/acme");
    let events: Vec<Event> = config.hooks.iter().map(|hook| hook.event).collect();
    assert_eq!(events, [Event::Rebuilt, Event::Failed, Event::Published]);
    assert_eq!(config.hooks[0].webhooks[0].value, "https://chat.example.org/t0");
    assert_eq!(config.hooks[0].webhooks.len(), 2);
    let (base, image) = (&config.bases[0], &config.images[0]);
    assert_eq!(texts(&base.publish), ["b"]);
    assert_eq!(texts(&image.body.publish), ["a", "quay.io/acme/a", "localhost:5000/a"]);
    assert_eq!(base.tests.len(), 1);
    assert!(base.arch_tags.is_some() && image.body.arch_tags.is_some());
}

#[test]
fn bases_of_a_registry_and_of_debian() {
    let digest = "0123456789abcdef".repeat(4);
    let config = good(&format!(
        r#"base "moves" {{ registry "golang:1.22-alpine"; follow "digest" min-age="3d" }}
        base "follows" {{ follow "digest"; registry "ghcr.io/a/b" }}
        base "stays" {{ registry "debian:12@sha256:{digest}" }}
        base "each" {{ registry "debian-{{{{platform.arch}}}}" }}
        base "d" {{
            debian "bookworm" {{ updates; variant "minbase"; security; trim "docs"; trim "locales" }}
        }}
        base "e" {{ debian "bookworm" {{ variant "extract" }} }}"#
    ));
    let registry = |at: usize| match &config.bases[at].source {
        BaseSource::Registry(registry) => registry,
        other => panic!("{other:?}"),
    };
    assert_eq!(registry(0).reference.constant(), Some("golang:1.22-alpine"));
    let age = |at: usize| config.bases[at].moves.min_age;
    assert_eq!(age(0), Some(Duration::from_secs(259_200)));
    assert_eq!((age(1), age(2), age(3)), (None, None, None));
    assert!((0..4).all(|at| registry(at).follow.is_none()), "a digest is no range");
    let debian = |at: usize| match &config.bases[at].source {
        BaseSource::Debian(debian) => debian,
        other => panic!("{other:?}"),
    };
    assert_eq!((debian(4).variant, debian(5).variant), (Variant::Minbase, Variant::Extract));
    assert!(debian(4).updates.is_some() && debian(4).security.is_some());
    assert!(debian(5).updates.is_none() && debian(5).security.is_none());
    let trim: Vec<Trim> = debian(4).trim.iter().map(|trim| trim.value).collect();
    assert_eq!(trim, [Trim::Docs, Trim::Locales]);
}

#[test]
fn spans_stand_under_what_they_mean() {
    let text = "mabuild 1\nbuilder \"b\" { buildkit { node \"n\" \"tcp://n:1\" platforms=\"linux/amd64,  linux/arm64\" } }\nbase \"a\" { registry \"debian:12\"; platforms \"linux/amd64\"; arch-tags; follow \"digest\" min-age=\"3d\" }\n";
    let loaded = load_one(text);
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    let at = |span: mabuild_lang::source::Span| &text[span.start as usize..span.end as usize];
    let worker = &loaded.config.builders[0].workers[0];
    assert_eq!(at(worker.platforms[1].span), "linux/arm64");
    assert_eq!(at(worker.address.span), "\"tcp://n:1\"");
    let base = &loaded.config.bases[0];
    assert_eq!(at(base.arch_tags.unwrap()), "arch-tags");
    assert_eq!(base.moves.min_age, Some(Duration::from_secs(259_200)));
}

/// The words that the table allows as first argument of a node, by the names on the way to it.
fn words(way: &[&str]) -> &'static [&'static str] {
    let kind: &'static Kind = way.iter().fold(&FILE, |kind, name| kind.child(name).unwrap());
    let Role::OneOf(words) = kind.args.role(0) else { return &[] };
    words
}

#[test]
fn every_word_of_the_table_is_read() {
    let mut seen = Vec::new();
    for word in words(&["image", "mode"]) {
        seen.push(format!("{:?}", image(&format!("mode \"{word}\"")).body.mode.value));
    }
    for word in words(&["on"]) {
        let config = good(&format!("on \"{word}\" {{ webhook \"https://a.b\" }}"));
        seen.push(format!("{:?}", config.hooks[0].event));
    }
    let debian = |body: &str| {
        let config = good(&format!("base \"b\" {{ debian \"x\" {{ {body} }} }}"));
        match &config.bases[0].source {
            BaseSource::Debian(debian) => debian.clone(),
            other => panic!("{other:?}"),
        }
    };
    for word in words(&["base", "debian", "variant"]) {
        seen.push(format!("{:?}", debian(&format!("variant \"{word}\"")).variant));
    }
    for word in words(&["base", "debian", "trim"]) {
        let trim = debian(&format!("variant \"extract\"; trim \"{word}\"")).trim;
        seen.push(format!("{:?}", trim[0].value));
    }
    let Role::Suggests(followed) =
        FILE.child("base").unwrap().child("follow").unwrap().args.role(0)
    else {
        panic!("`follow` suggests nothing")
    };
    for word in followed {
        good(&format!("base \"b\" {{ registry \"debian\"; follow \"{word}\" }}"));
        seen.push((*word).to_owned());
    }
    for word in words(&["image", "watch"]) {
        let body = image(&format!("steps {{ run \"x\" }}; watch \"{word}\"")).body.clone();
        assert!(!body.watch.as_ref().unwrap().security);
        seen.push((*word).to_owned());
    }
    let all = "Auto Emulate Cross Native Rebuilt Failed Published Extract Minbase Standard Minideb \
               Docs Locales digest packages";
    assert_eq!(seen.join(" "), all);
}

#[test]
fn what_comes_from_the_environment_is_not_shown() {
    let text = "mabuild 1\nlet hook env=\"HOOK\"\nlet worker env=\"WORKER\"\non \"failed\" { webhook \"{{hook}}\"; webhook \"x{{hook}}\" }\nbuilder \"b\" { buildkit { node \"a\" \"{{worker}}\"; node \"b\" \"x{{worker}}\"; node \"c\" \"tcp://{{worker}}\" } }\n";
    for (hook, worker) in [
        ("//chat.example.org/t0ken", "tcp://me:t0ken@host:1"),
        ("https:///t0ken", "ssh://me:t0ken@host"),
        ("https://a:x/t0ken", "me:t0ken@host:1"),
        ("https://me:t0ken@a:x/", "unix://me:t0ken@host"),
        ("https://me:t0ken@a..b/", "tpc://me:t0ken@host:1"),
    ] {
        let env = [("HOOK", hook), ("WORKER", worker)];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let vars = Vars { env, ..Vars::default() };
        let loaded = load("mabuild.kdl", &memory(&[("mabuild.kdl", text)]), &vars);
        assert_eq!(loaded.diagnostics.len(), 5, "{}", rendered(&loaded));
        assert!(!rendered(&loaded).contains("t0ken"), "{}", rendered(&loaded));
    }
}

#[test]
fn many_of_everything_takes_no_long_time() {
    let start = std::time::Instant::now();
    let many = 20_000;
    let head = "mabuild 1\nplatforms \"linux/amd64\"\n";
    for body in [
        "test \"x\" { run \"y\" }; ",
        "secret \"x\" env=\"X\"; ",
        "named-context \"x\" \"y\"; ",
        "publish \"ghcr.io/x\"; ",
    ] {
        let text =
            format!("{head}image \"a\" {{ dockerfile \"Dockerfile\"; {} }}\n", body.repeat(many));
        assert_eq!(load_one(&text).diagnostics.len(), many - 1, "{body}");
    }
    let nodes = "node \"x\" \"tcp://a:1\"; ".repeat(many);
    let platforms = "linux/amd64,".repeat(many);
    for text in [
        format!("{head}builder \"b\" {{ buildkit {{ {nodes} }} }}\n"),
        format!(
            "{head}builder \"b\" {{ buildkit {{ node \"x\" \"tcp://a:1\" platforms=\"{platforms}\" }} }}\n"
        ),
    ] {
        assert!(load_one(&text).diagnostics.len() >= many - 1);
    }
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn a_copy_on_some_platforms_needs_these_alone() {
    let text = "mabuild 1\nplatforms \"linux/amd64\" \"linux/arm64\"\nbase \"alpine\" { oci-layout \"x\" }\nbase \"t\" { oci-layout \"y\"; platforms \"linux/arm64\" }\nimage \"a\" {\n    from \"alpine\"\n    steps {\n        ON { copy \"/x\" \"/x\" from=\"t\" }\n    }\n}\n";
    let on = |platform: &str| {
        let only = format!("on-platform \"{platform}\"");
        mabuild_lang::load(
            "mabuild.kdl",
            &crate::memory(&[("mabuild.kdl", &text.replace("ON", &only))]),
            &mabuild_lang::Vars::default(),
        )
        .diagnostics
    };
    assert!(on("linux/arm64").is_empty());
    assert_eq!(on("linux/amd64")[0].message, "`t` has no `linux/amd64`, which `a` asks for");
}

#[test]
fn dockerfiles_are_not_among_the_described_files() {
    let files = crate::memory(&[
        ("mabuild.kdl", "mabuild 1\nplatforms \"linux/amd64\"\ninclude \"b.kdl\"\n"),
        ("b.kdl", "image \"a\" { dockerfile \"Dockerfile\" }\n"),
        ("Dockerfile", "FROM   scratch\n"),
    ]);
    let loaded = mabuild_lang::load("mabuild.kdl", &files, &mabuild_lang::Vars::default());
    let described: Vec<&str> = loaded.described().map(|file| &**file.path()).collect();
    assert_eq!(described, ["mabuild.kdl", "b.kdl"]);
    assert_eq!(loaded.sources.iter().count(), 3);
}
