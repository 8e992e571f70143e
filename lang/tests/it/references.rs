//! What images are built from beyond names: Dockerfiles, published references, registries.

use mabuild_lang::config::{BaseSource, Config, NodeRef};
use mabuild_lang::{Vars, load};

use crate::{memory, rendered};

const HEAD: &str = "mabuild 1\nplatforms \"linux/amd64\" \"linux/arm/v7\"\n\
    base \"alpine\" { rootfs \"a.tar.gz\" }\n";

fn good(text: &str, dockerfiles: &[(&str, &str)]) -> Config {
    let main = format!("{HEAD}{text}");
    let mut files = vec![("mabuild.kdl", main.as_str())];
    files.extend_from_slice(dockerfiles);
    let loaded = load("mabuild.kdl", &memory(&files), &Vars::default());
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    Config::clone(&loaded.config)
}

fn name(config: &Config, node: NodeRef) -> String {
    match node {
        NodeRef::Base(id) => config.base(id).unwrap().name.value.to_string(),
        NodeRef::Image(id) => config.image(id).unwrap().name.to_string(),
    }
}

/// What the Dockerfile of an image needs, `from` marked.
fn needs(config: &Config, image: &str) -> Vec<String> {
    let image = config.images.iter().find(|i| &*i.name == image).unwrap();
    let mut needs: Vec<String> = Vec::new();
    for (node, place) in image.builds.iter().flat_map(|build| build.nodes()) {
        let verb = if place.is_from { "from" } else { "copy" };
        let need = format!("{verb} {}", name(config, node));
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    needs
}

#[test]
fn a_dockerfile_names_nodes_stages_and_images_of_registries() {
    let config = good(
        r#"registry "ghcr.io/acme"
        image "tools" { from "alpine"; publish "tools"; tags "1.0" "latest" }
        image "web" {
            dockerfile "web/Dockerfile"
            arg "VERSION" "12"
            named-context "assets" "../assets"
            named-context "lib" "node:tools"
        }
        image "small" { dockerfile "web/Dockerfile"; target "build"; arg "VERSION" "11" }"#,
        &[(
            "web/Dockerfile",
            "ARG VERSION=10\nFROM debian:${VERSION} AS build\nRUN make\n\
             FROM build AS unused\nCOPY --from=nothing/of:this /x /x\n\
             FROM alpine\nCOPY --from=build /x /x\nCOPY --from=ghcr.io/acme/tools:1.0 /t /t\n\
             COPY --from=assets /a /a\nRUN --mount=from=lib,target=/lib true\n",
        )],
    );
    // Parents come in the order in which the stages that count are walked.
    let mut needed = needs(&config, "web");
    needed.sort();
    assert_eq!(needed, ["copy tools", "from alpine", "from docker.io/library/debian:12"]);
    assert_eq!(needs(&config, "small"), ["from docker.io/library/debian:11"]);
}

#[test]
fn a_dockerfile_of_variants() {
    let config = good(
        r#"image "python" { matrix { python "3.11" "3.12" }; from "alpine" }
        image "same" { matrix { python "3.11" "3.12" }; dockerfile "Dockerfile.app" }
        image "picked" { from "python" python="3.11"; dockerfile "Dockerfile.app" }
        image "by-platform" { dockerfile "Dockerfile.{{platform.arch}}" }"#,
        &[
            ("Dockerfile.app", "FROM python\n"),
            ("Dockerfile.amd64", "FROM alpine\n"),
            ("Dockerfile.arm", "FROM same[3.11]\n"),
        ],
    );
    assert_eq!(needs(&config, "same[3.12]"), ["from python[3.12]"]);
    assert_eq!(needs(&config, "picked"), ["from python[3.11]"]);
    assert_eq!(needs(&config, "by-platform"), ["from alpine", "from same[3.11]"]);
}

#[test]
fn images_of_registries_become_bases() {
    let config = good(
        r#"image "a" { from "docker.io/library/debian:12"; platforms "linux/amd64" }
        image "b" { from "debian:12"; platforms "linux/arm64" "linux/amd64" }
        image "c" { from "ghcr.io/x/y"; steps { copy "/a" "/b" from="debian:12" } }"#,
        &[],
    );
    assert_eq!(config.bases.len(), 3);
    let debian = &config.bases[1];
    assert!(debian.implicit && !config.bases[0].implicit);
    assert_eq!(&*debian.name.value, "docker.io/library/debian:12");
    let BaseSource::Registry(_) = debian.source else { panic!("{debian:?}") };
    let platforms: Vec<String> = debian.platforms.iter().map(|p| p.value.to_string()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64", "linux/arm/v7"]);
    assert_eq!(&*config.bases[2].name.value, "ghcr.io/x/y:latest");
}

#[test]
fn a_reference_that_a_base_declares_is_that_base() {
    let config = good(
        r#"base "deb" { registry "docker.io/library/debian:12" }
        image "a" { from "debian:12" }
        image "b" { dockerfile "Dockerfile.b" }"#,
        &[("Dockerfile.b", "FROM docker.io/debian:12\n")],
    );
    assert_eq!(config.bases.len(), 2);
    assert_eq!(name(&config, config.images[0].from.as_ref().unwrap().value), "deb");
    assert_eq!(needs(&config, "b"), ["from deb"]);
}

#[test]
fn a_reference_that_an_image_publishes_is_that_image() {
    let config = good(
        r#"registry "ghcr.io/acme"
        image "python" { matrix { v "3.11" "3.12" }; from "alpine"; publish "py"; tags "{{v}}" }
        image "app" { from "ghcr.io/acme/py:3.12" }"#,
        &[],
    );
    let app = config.images.last().unwrap();
    assert_eq!(name(&config, app.from.as_ref().unwrap().value), "python[3.12]");
    assert!(config.bases.iter().all(|base| !base.implicit));
}
