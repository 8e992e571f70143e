//! Descriptions that mean what they should.

use std::collections::BTreeMap;
use std::sync::Arc;

use mabuild_lang::config::{BaseSource, Config, Network, NodeRef, StepOp};
use mabuild_lang::platform::Platform;
use mabuild_lang::{Vars, load};

use crate::{load_one, memory, rendered};

const WHOLE: &str = include_str!("whole.kdl");

fn good(text: &str) -> Arc<Config> {
    let loaded = load_one(text);
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    loaded.config
}

fn platforms(list: &[mabuild_lang::source::Spanned<Platform>]) -> Vec<String> {
    list.iter().map(|platform| platform.value.to_string()).collect()
}

fn image<'c>(config: &'c Config, name: &str) -> &'c mabuild_lang::config::Image {
    config.images.iter().find(|image| &*image.name == name).unwrap()
}

#[test]
fn a_whole_file() {
    let config = good(WHOLE);
    let names: Vec<&str> = config.bases.iter().map(|base| &*base.name.value).collect();
    assert_eq!(names, ["alpine", "minideb", "layout"]);
    let BaseSource::Rootfs(rootfs) = &config.bases[0].source else { panic!("{config:?}") };
    let arm: Platform = Platform::parse("linux/arm/v7").unwrap();
    assert_eq!(
        rootfs.location.render(&arm, &[]).unwrap(),
        "https://example.org/alpine/3.20.3/alpine-minirootfs-3.20.3-armv7.tar.gz"
    );
    assert_eq!(
        rootfs.checksums.as_ref().unwrap().constant(),
        Some("https://example.org/alpine/3.20.3/checksums.sha512")
    );
    let BaseSource::Debian(debian) = &config.bases[1].source else { panic!("{config:?}") };
    assert_eq!(debian.suite.constant(), Some("bookworm"));
    assert_eq!(debian.components.len(), 2);
    assert_eq!(debian.include[0].constant(), Some("ca-certificates"));
    assert_eq!(config.bases[1].tags[0].constant(), Some("bookworm"));
    let BaseSource::OciLayout(layout) = &config.bases[2].source else { panic!("{config:?}") };
    assert_eq!(layout.reference.as_ref().unwrap().constant(), Some("stable"));

    let proxy = image(&config, "proxy");
    assert_eq!(
        config
            .base(match proxy.from.as_ref().unwrap().value {
                NodeRef::Base(id) => id,
                NodeRef::Image(_) => panic!("an image"),
            })
            .unwrap()
            .name
            .value
            .as_ref(),
        "alpine"
    );
    assert_eq!(proxy.body.steps.len(), 12);
    assert_eq!(proxy.body.settings.entrypoint.as_ref().unwrap().len(), 3);
    assert_eq!(proxy.body.settings.env[0].0, "MODE");
    assert_eq!(proxy.body.settings.env[1].1.constant(), Some("stable"));
    assert_eq!(proxy.body.settings.labels.len(), 2);
    assert_eq!(proxy.body.settings.expose[0].constant(), Some("80/tcp"));
    let StepOp::Copy(copy) = &proxy.body.steps[1].op else { panic!("{:?}", proxy.body.steps[1]) };
    assert_eq!(copy.mode, Some(0o644));
    assert_eq!(copy.chown.as_ref().unwrap().constant(), Some("0:0"));
    let StepOp::Copy(copy) = &proxy.body.steps[2].op else { panic!("{:?}", proxy.body.steps[2]) };
    let from = proxy.copies[copy.from.unwrap()].as_ref().unwrap();
    assert!(matches!(from.value, NodeRef::Image(_)));
    let StepOp::File { content, .. } = &proxy.body.steps[4].op else {
        panic!("{:?}", proxy.body.steps[4])
    };
    assert_eq!(content.constant(), Some("worker 4\n  braces {{kept}}"));
    let StepOp::Run(run) = &proxy.body.steps[9].op else { panic!("{:?}", proxy.body.steps[9]) };
    assert_eq!((run.words.len(), run.network), (1, Network::None));
    assert_eq!(platforms(&proxy.platforms), ["linux/amd64", "linux/arm64", "linux/arm/v7"]);

    let all = &config.groups[1];
    let members: Vec<NodeRef> = all.members.iter().map(|member| member.value).collect();
    assert_eq!(members.len(), 3);
}

#[test]
fn platforms_come_from_the_node_the_file_or_the_parent() {
    let config = good(
        r#"mabuild 1
        platforms "amd64" "linux/aarch64" "linux/arm/v6"
        base "narrow" { oci-layout "x"; platforms "linux/amd64" "linux/arm64" }
        base "wide" { oci-layout "x" }
        image "narrowed" { from "narrow" }
        image "child" { from "narrowed" }
        image "own" { from "wide"; platforms "linux/arm/v6" }
        image "less" { from "wide"; platforms except="linux/arm/v6,linux/arm64" }
        image "empty" { from "scratch" }"#,
    );
    assert_eq!(platforms(&image(&config, "narrowed").platforms), ["linux/amd64", "linux/arm64"]);
    assert_eq!(platforms(&image(&config, "child").platforms), ["linux/amd64", "linux/arm64"]);
    assert_eq!(platforms(&image(&config, "own").platforms), ["linux/arm/v6"]);
    assert_eq!(platforms(&image(&config, "less").platforms), ["linux/amd64"]);
    assert_eq!(image(&config, "empty").platforms.len(), 3);
    let config = good(
        r#"mabuild 1
        base "a" { oci-layout "x"; platforms "linux/s390x" }
        image "c" { from "b" }
        image "b" { from "a" }"#,
    );
    assert_eq!(platforms(&image(&config, "c").platforms), ["linux/s390x"]);
}

#[test]
fn values_come_from_the_file_the_environment_or_the_command_line() {
    let text = r#"mabuild 1
        platforms "linux/amd64"
        let suite "bookworm"
        let channel env="CHANNEL" default="stable"
        let port 8080
        let version3 3.10
        let debug #false
        let both "{{suite}}-{{channel}}"
        base "a" { oci-layout "{{both}}-{{port}}-{{version3}}-{{debug}}-{{image.name}}" }"#;
    let path = |vars: &Vars| {
        let loaded = load("mabuild.kdl", &memory(&[("mabuild.kdl", text)]), vars);
        assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
        let BaseSource::OciLayout(layout) = &loaded.config.bases[0].source else { panic!() };
        layout.path.constant().unwrap().to_owned()
    };
    let mut vars = Vars::default();
    assert_eq!(path(&vars), "bookworm-stable-8080-3.10-false-a");
    vars.env = BTreeMap::from([("CHANNEL".to_owned(), "edge".to_owned())]);
    vars.env.insert("suite".to_owned(), "not asked for".to_owned());
    assert_eq!(path(&vars), "bookworm-edge-8080-3.10-false-a");
    vars.set = BTreeMap::from([("suite".to_owned(), "trixie".to_owned())]);
    vars.set.insert("channel".to_owned(), "beta {{x}}".to_owned());
    vars.set.insert("port".to_owned(), "1".to_owned());
    assert_eq!(path(&vars), "trixie-beta {{x}}-1-3.10-false-a");
}

#[test]
fn includes_take_files_once_and_in_a_fixed_order() {
    let files = memory(&[
        (
            "d/mabuild.kdl",
            "mabuild 1\nplatforms \"linux/amd64\"\ninclude \"teams/*.kdl\" \"../shared.kdl\"\nimage \"main\" { from \"b\" }",
        ),
        (
            "d/teams/a.kdl",
            "image \"a\" { from \"b\"; context \"src\" }\ninclude \"b.kdl\" \"../mabuild.kdl\"",
        ),
        (
            "d/teams/b.kdl",
            "mabuild 1\nbase \"b\" { oci-layout \"x\"; platforms \"linux/amd64\" \"linux/arm64\" }\nplatforms \"linux/arm64\"\nimage \"bb\" { from \"b\" }",
        ),
        ("shared.kdl", "image \"s\" { from \"bb\"; platforms \"linux/arm64\" }"),
    ]);
    let loaded = load("d/mabuild.kdl", &files, &Vars::default());
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    let images: Vec<(&str, &str)> =
        loaded.config.images.iter().map(|i| (&*i.name, &*i.body.folder)).collect();
    assert_eq!(images, [("main", "d"), ("a", "d/teams"), ("bb", "d/teams"), ("s", "")]);
    assert_eq!(platforms(&image(&loaded.config, "a").platforms), ["linux/amd64"]);
    assert_eq!(platforms(&image(&loaded.config, "bb").platforms), ["linux/arm64"]);
    assert_eq!(loaded.sources.iter().count(), 4);
}

#[test]
fn a_broken_node_does_not_take_the_others_along() {
    let loaded = load_one(
        "mabuild 1\nplatforms \"linux/amd64\"\nbase \"a\" { oci-layout \"x }\nimage \"b\" { from \"a\" }\nimage \"c\" { from \"b\" }\n",
    );
    assert!(loaded.has_errors());
    assert_eq!(loaded.diagnostics.len(), 1, "{}", rendered(&loaded));
    assert_eq!(loaded.config.images.len(), 2);
    assert!(image(&loaded.config, "c").from.is_some());
}
