//! Systems of packages, ranges of versions, `hold`, `pin` and `watch` that mean what they should.

use std::time::Duration;

use mabuild_lang::config::{BaseSource, Config, StepOp, Text, Variant};
use mabuild_lang::platform::Platform;

use crate::{load_one, rendered};

fn good(text: &str) -> Config {
    let text = format!("mabuild 1\nplatforms \"linux/amd64\" \"linux/arm/v7\"\n{text}");
    let loaded = load_one(&text);
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    Config::clone(&loaded.config)
}

fn texts(list: &[Text]) -> Vec<&str> {
    list.iter().map(|text| text.constant().unwrap_or("not constant")).collect()
}

fn constant(text: &Option<Text>) -> Option<&str> {
    text.as_ref().and_then(Text::constant)
}

#[test]
fn a_debian_system_with_all_it_can_say() {
    let config = good(
        r#"base "d" {
            debian "bookworm" mirror="https://deb.example.org/debian" signed-by="keys/d.gpg" {
                variant "minideb"
                include "nginx" "libc6=2.36-9+deb12u8"
                exclude "e2fsprogs"
                recommends
                component "main" "contrib"
                repository "https://apt.example.org/debian" suite="stable" signed-by="keys/x.gpg" {
                    component "extra"
                }
                repository "http://apt.example.org/other" suite="x"
            }
        }"#,
    );
    let BaseSource::Debian(debian) = &config.bases[0].source else { panic!("{config:?}") };
    assert_eq!(debian.variant, Variant::Minideb);
    assert_eq!(texts(&debian.include), ["nginx", "libc6=2.36-9+deb12u8"]);
    assert_eq!(texts(&debian.exclude), ["e2fsprogs"]);
    assert!(debian.recommends);
    assert_eq!(texts(&debian.components), ["main", "contrib"]);
    let [first, second] = debian.repositories.as_slice() else { panic!("{debian:?}") };
    assert_eq!(first.uri.constant(), Some("https://apt.example.org/debian"));
    assert_eq!(first.suite.constant(), Some("stable"));
    assert_eq!(constant(&first.signed_by), Some("keys/x.gpg"));
    assert_eq!(texts(&first.components), ["extra"]);
    assert_eq!(texts(&second.components), ["main"]);
    assert_eq!(second.signed_by, None);
}

#[test]
fn an_alpine_system_with_all_it_can_say() {
    let config = good(
        r#"let branch "3.20"
        base "a" {
            alpine "{{branch}}" mirror="https://apk.example.org" signed-by="keys" {
                include "alpine-baselayout" "busybox=1.36.1-r29" "nginx@edge>1" "!mailcap"
                include "zlib~1.3"
                repository "https://apk.example.org/edge/main" tag="edge" signed-by="keys/edge"
                repository "testing"
            }
        }
        image "i" { from "a" }"#,
    );
    let BaseSource::Alpine(alpine) = &config.bases[0].source else { panic!("{config:?}") };
    assert_eq!(alpine.branch.constant(), Some("3.20"));
    assert_eq!(constant(&alpine.mirror), Some("https://apk.example.org"));
    assert_eq!(constant(&alpine.signed_by), Some("keys"));
    let wanted =
        ["alpine-baselayout", "busybox=1.36.1-r29", "nginx@edge>1", "!mailcap", "zlib~1.3"];
    assert_eq!(texts(&alpine.include), wanted);
    let [edge, testing] = alpine.repositories.as_slice() else { panic!("{alpine:?}") };
    assert_eq!((constant(&edge.tag), constant(&edge.signed_by)), (Some("edge"), Some("keys/edge")));
    assert_eq!((testing.uri.constant(), &testing.tag), (Some("testing"), &None));
    assert_eq!(config.images.len(), 1);
}

#[test]
fn a_version_that_is_found_stands_as_it_is_written() {
    let config = good(
        r#"base "r" {
            follow "3.20.*" listing="https://example.org/latest-releases.yaml" min-age="3d"
            rootfs "https://example.org/{{platform.alpine}}/rootfs-{{ version }}.tar.gz" \
                checksums="https://example.org/{{version}}.sha512" \
                signature="https://example.org/{{version}}.asc" signed-by="keys/alpine.asc"
            hold until="2026-12-24" reason="freeze"
        }
        base "g" {
            registry "docker.io/library/golang:{{version}}-alpine"
            follow ">=1.20 <2"
        }
        base "p" { registry "debian:12"; pin }
        image "i" { from "g" }"#,
    );
    let BaseSource::Rootfs(rootfs) = &config.bases[0].source else { panic!("{config:?}") };
    let arm = Platform::parse("linux/arm/v7").unwrap();
    let location = "https://example.org/armv7/rootfs-{{version}}.tar.gz";
    assert_eq!(rootfs.location.render(&arm, &[]).unwrap(), location);
    assert_eq!(constant(&rootfs.checksums), Some("https://example.org/{{version}}.sha512"));
    let (signature, keys) = rootfs.signature.as_ref().unwrap();
    assert_eq!(signature.constant(), Some("https://example.org/{{version}}.asc"));
    assert_eq!(keys.constant(), Some("keys/alpine.asc"));
    let follow = rootfs.follow.as_ref().unwrap();
    assert_eq!(follow.range.constant(), Some("3.20.*"));
    assert_eq!(constant(&follow.listing), Some("https://example.org/latest-releases.yaml"));
    let moves = &config.bases[0].moves;
    assert_eq!(moves.min_age, Some(Duration::from_secs(259_200)));
    let hold = moves.hold.as_ref().unwrap();
    assert_eq!(hold.value, (1_798_070_400, Some("freeze".to_owned())));
    let BaseSource::Registry(registry) = &config.bases[1].source else { panic!("{config:?}") };
    assert_eq!(registry.reference.constant(), Some("docker.io/library/golang:{{version}}-alpine"));
    assert_eq!(registry.follow.as_ref().unwrap().range.constant(), Some(">=1.20 <2"));
    assert!(config.bases[2].moves.pin.is_some() && config.bases[2].moves.hold.is_none());
}

#[test]
fn images_hold_pin_and_watch() {
    let config = good(
        r#"template "t" { watch "packages"; hold until="2026-12-24T08:00:00+01:00" }
        image "a" {
            use "t"
            from "scratch"
            watch "packages" only="security" every="7d"
            steps { run "x" }
        }
        image "b" { use "t"; from "scratch"; steps { copy "x" "/x" } }
        image "c" {
            from "scratch"
            pin
            steps { packages "nginx" "nginx-mod=1.2-r0" recommends=#true; packages "nginx" }
        }"#,
    );
    let body = |at: usize| &config.images[at].body;
    let watch = body(0).watch.as_ref().unwrap();
    assert!(watch.security);
    assert_eq!(watch.every, Some(Duration::from_secs(604_800)));
    assert_eq!(body(0).moves.hold.as_ref().unwrap().value, (1_798_095_600, None));
    let watch = body(1).watch.as_ref().unwrap();
    assert!(!watch.security && watch.every.is_none());
    assert!(body(2).moves.pin.is_some() && body(2).watch.is_none());
    let packages: Vec<_> = body(2)
        .steps
        .iter()
        .map(|step| match &step.op {
            StepOp::Packages { names, recommends } => (texts(names), *recommends),
            other => panic!("{other:?}"),
        })
        .collect();
    let wanted = [(vec!["nginx", "nginx-mod=1.2-r0"], true), (vec!["nginx"], false)];
    assert_eq!(packages, wanted);
}
