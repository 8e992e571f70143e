//! How Dockerfiles build images, platform by platform.

use std::sync::Arc;

use mabuild_lang::config::{Build, Config, Image, Named, NodeRef};
use mabuild_lang::platform::Platform;
use mabuild_lang::{Vars, load};

use crate::{memory, rendered};

const HEAD: &str = "mabuild 1\nplatforms \"linux/amd64\" \"linux/arm/v7\"\n\
    base \"alpine\" { rootfs \"a.tar.gz\" }\n";

fn on(machine: Option<&str>, text: &str, dockerfiles: &[(&str, &str)]) -> Config {
    let mut files = vec![("mabuild.kdl", text)];
    files.extend_from_slice(dockerfiles);
    let build_platform = machine.map(|machine| Platform::parse(machine).unwrap());
    let vars = Vars { build_platform, ..Vars::default() };
    let loaded = load("mabuild.kdl", &memory(&files), &vars);
    assert!(!loaded.has_errors(), "{}", rendered(&loaded));
    Config::clone(&loaded.config)
}

fn good(text: &str, dockerfiles: &[(&str, &str)]) -> Config {
    on(None, &format!("{HEAD}{text}"), dockerfiles)
}

fn image<'c>(config: &'c Config, name: &str) -> &'c Image {
    config.images.iter().find(|image| &*image.name == name).unwrap()
}

fn node(config: &Config, node: NodeRef) -> &str {
    match node {
        NodeRef::Base(id) => &config.base(id).unwrap().name.value,
        NodeRef::Image(id) => &config.image(id).unwrap().name,
    }
}

fn places(config: &Config, build: &Build) -> Vec<String> {
    let line = |place: &mabuild_lang::config::Place| {
        let verb = if place.is_from { "from" } else { "copy" };
        let what = match place.what {
            Named::Node(named) => node(config, named).to_owned(),
            Named::Folder(at) => format!("folder {at}"),
        };
        format!("{verb} {} = {what} on {}", place.name, place.platform)
    };
    build.places.iter().map(line).collect()
}

/// Platform by platform, what the Dockerfile of an image names.
fn told(config: &Config, name: &str) -> Vec<String> {
    let image = image(config, name);
    assert_eq!(image.builds.len(), image.platforms.len(), "{name}");
    let all = image.platforms.iter().zip(image.builds.iter());
    all.map(|(p, build)| format!("{}: {}", p.value, places(config, build).join("; "))).collect()
}

fn platforms(config: &Config, name: &str) -> Vec<String> {
    let base = config.bases.iter().find(|base| &*base.name.value == name);
    let list = match base {
        Some(base) => &base.platforms,
        None => &image(config, name).platforms,
    };
    list.iter().map(|platform| platform.value.to_string()).collect()
}

#[test]
fn a_cross_file_names_the_machine() {
    let file = "FROM --platform=$BUILDPLATFORM golang AS build\n\
        RUN --mount=from=cc,target=/cc cc -o /x $TARGETARCH\n\
        FROM --platform=linux/386 old AS helper\n\
        FROM base-${TARGETARCH}\n\
        COPY --from=build /x /x\nCOPY --from=helper /y /y\nCOPY --from=tools /z /z\n";
    let text = r#"mabuild 1
        base "golang" { rootfs "g.tgz"; platforms "linux/arm64/v8" }
        base "base-amd64" { rootfs "a.tgz"; platforms "linux/amd64" }
        base "base-arm" { rootfs "b.tgz"; platforms "linux/arm/v7" "linux/arm/v6" }
        base "base-s390x" { rootfs "c.tgz"; platforms "linux/s390x" }
        image "app" {
            dockerfile "Dockerfile"
            named-context "tools" "../tools"
            platforms "linux/amd64" "linux/arm/v7" "linux/arm/v6" "linux/s390x"
        }"#;
    let config = on(Some("linux/arm64"), text, &[("Dockerfile", file)]);
    let own = |target: &str, base: &str| {
        format!(
            "{target}: from {base} = {base} on {target}; copy cc = docker.io/library/cc:latest on {target}; \
             from golang = golang on linux/arm64; from old = docker.io/library/old:latest on linux/386; \
             copy tools = folder 0 on {target}"
        )
    };
    assert_eq!(
        told(&config, "app"),
        [
            own("linux/amd64", "base-amd64"),
            own("linux/arm/v7", "base-arm"),
            own("linux/arm/v6", "base-arm"),
            own("linux/s390x", "base-s390x"),
        ]
    );
    // A mount in a stage of the machine's own platform still means the one that is built.
    let all = ["linux/amd64", "linux/arm/v7", "linux/arm/v6", "linux/s390x"];
    assert_eq!(platforms(&config, "docker.io/library/cc:latest"), all);
    assert_eq!(platforms(&config, "docker.io/library/old:latest"), ["linux/386"]);
    assert_eq!(config.build_platform.to_string(), "linux/arm64");
    let app = image(&config, "app");
    let [amd64, arm64] = ["linux/amd64", "linux/arm64"].map(|p| Platform::parse(p).unwrap());
    let build = &app.builds[0];
    assert!(build.place("golang", &arm64).unwrap().is_from);
    assert!(!build.place("tools", &amd64).unwrap().is_from);
    assert_eq!(build.place("golang", &amd64), None);
    let span = build.place("base-amd64", &amd64).unwrap().span;
    assert_eq!(span.file, build.recipe.file);
    assert_eq!(&file[span.start as usize..span.end as usize], "base-${TARGETARCH}");
}

#[test]
fn the_machine_is_amd64_where_nothing_is_said() {
    let file = "FROM --platform=$BUILDOS/$BUILDARCH$BUILDVARIANT alpine AS a\nFROM scratch\nCOPY --from=a / /\n";
    let config = good("image \"a\" { dockerfile \"Dockerfile\" }", &[("Dockerfile", file)]);
    let same = "from alpine = alpine on linux/amd64";
    assert_eq!(
        told(&config, "a"),
        [format!("linux/amd64: {same}"), format!("linux/arm/v7: {same}")]
    );
    // What is the same is kept once.
    let builds = &image(&config, "a").builds;
    assert!(Arc::ptr_eq(&builds[0], &builds[1]));
}

#[test]
fn an_image_of_a_registry_has_the_platforms_that_are_asked_of_it() {
    let file =
        "FROM --platform=$BUILDPLATFORM golang:1 AS b\nFROM debian:${V}\nCOPY --from=b / /\n";
    let file = format!("ARG V=12\n{file}");
    let text = r#"image "a" {
            from "golang:1"
            dockerfile "Dockerfile"
            on-platform "linux/arm/v7" { arg "V" "11" }
        }"#;
    let text = format!("{HEAD}{text}");
    let config = on(Some("linux/riscv64"), &text, &[("Dockerfile", &file)]);
    assert_eq!(platforms(&config, "docker.io/library/golang:1"), ["linux/riscv64"]);
    assert_eq!(platforms(&config, "docker.io/library/debian:12"), ["linux/amd64"]);
    assert_eq!(platforms(&config, "docker.io/library/debian:11"), ["linux/arm/v7"]);
}

#[test]
fn a_thing_named_twice_counts_once() {
    let file = "FROM scratch AS one\nCOPY --from=alpine /a /a\nFROM alpine\nCOPY --from=one / /\n\
        COPY --from=alpine /b /b\nCOPY --from=src /c /c\n";
    let text = "image \"a\" { dockerfile \"Dockerfile\"; named-context \"x\" \"x\"; named-context \"src\" \"s\" }";
    let config = good(text, &[("Dockerfile", file)]);
    assert_eq!(
        places(&config, &image(&config, "a").builds[0]),
        ["from alpine = alpine on linux/amd64", "copy src = folder 1 on linux/amd64"]
    );
}

#[test]
fn variants_share_what_is_the_same() {
    let text = r#"
        image "lib" { matrix { suite "b" "t" }; from "alpine" }
        image "app" {
            matrix { suite "b" "t"; flavour "x" "y" "z" }
            dockerfile "Dockerfile"
            arg "FLAVOUR" "{{flavour}}"
        }
        image "tagged" {
            matrix { v "1" "2"; w "1" "2" }
            dockerfile "Dockerfile.tagged"
            arg "V" "{{v}}"
            arg "W" "{{w}}"
        }"#;
    let config = good(
        text,
        &[
            ("Dockerfile", "FROM lib\nARG FLAVOUR\nRUN make $FLAVOUR\n"),
            ("Dockerfile.tagged", "ARG V\nFROM debian:$V\nARG W\nRUN make $W\n"),
        ],
    );
    let builds = |name: &str| image(&config, name).builds.clone();
    assert_eq!(
        told(&config, "app[t,y]"),
        [
            "linux/amd64: from lib = lib[t] on linux/amd64",
            "linux/arm/v7: from lib = lib[t] on linux/arm/v7"
        ]
    );
    assert!(Arc::ptr_eq(&builds("app[b,x]"), &builds("app[b,z]")));
    assert!(!Arc::ptr_eq(&builds("app[b,x]"), &builds("app[t,x]")));
    assert!(Arc::ptr_eq(&builds("tagged[2,1]"), &builds("tagged[2,2]")));
    assert_eq!(
        places(&config, &builds("tagged[2,1]")[0]),
        ["from debian:2 = docker.io/library/debian:2 on linux/amd64"]
    );
    let recipes = [&builds("app[b,x]")[0], &builds("app[t,x]")[1]].map(|b| b.recipe.clone());
    assert!(Arc::ptr_eq(&recipes[0], &recipes[1]));
    assert_eq!(&*recipes[0].path, "Dockerfile");
}

#[test]
fn platforms_come_from_what_is_below() {
    let text = r#"mabuild 1
        base "deb" { rootfs "d.tgz"; platforms "linux/arm64" "linux/s390x" }
        image "child" { from "app"; dockerfile "Dockerfile.child" }
        image "app" { dockerfile "Dockerfile"; target "Out" }
        image "less" { dockerfile "Dockerfile"; platforms except="linux/s390x" }"#;
    let app =
        "FROM deb AS one\nFROM one AS out\nFROM busybox AS two\nFROM two AS three\nFROM out\n";
    let config = on(None, text, &[("Dockerfile", app), ("Dockerfile.child", "FROM app\n")]);
    assert_eq!(platforms(&config, "app"), ["linux/arm64", "linux/s390x"]);
    assert_eq!(platforms(&config, "less"), ["linux/arm64"]);
    assert_eq!(
        told(&config, "child"),
        [
            "linux/arm64: from app = app on linux/arm64",
            "linux/s390x: from app = app on linux/s390x"
        ]
    );
}

#[test]
fn very_many_variants_are_cheap() {
    let axis = |name: &str, count: usize| {
        let values: Vec<String> = (0..count).map(|at| format!("\"{at}\"")).collect();
        format!("{name} {}", values.join(" "))
    };
    let nine = "\"linux/amd64\" \"linux/arm64\" \"linux/arm/v7\" \"linux/arm/v6\" \"linux/386\" \
        \"linux/ppc64le\" \"linux/s390x\" \"linux/riscv64\" \"linux/loong64\"";
    let text = format!(
        "mabuild 1\nplatforms {nine}\nimage \"a\" {{ matrix {{ {}; {} }}; dockerfile \"Dockerfile\"; \
         arg \"V\" \"{{{{v}}}}\"; arg \"W\" \"{{{{w}}}}\"; tags \"{{{{v}}}}-{{{{w}}}}\" }}\n",
        axis("v", 100),
        axis("w", 1000),
    );
    let start = std::time::Instant::now();
    let config = on(None, &text, &[("Dockerfile", "ARG V\nFROM debian:$V\nARG W\nRUN make $W\n")]);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!(config.images.len(), 100_000);
    let mut builds: Vec<_> = config.images.iter().map(|image| image.builds.as_ptr()).collect();
    builds.sort_unstable();
    builds.dedup();
    assert_eq!(builds.len(), 100);
}
