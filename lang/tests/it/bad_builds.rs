//! Mistakes in how Dockerfiles build images, as a terminal shows them.

use mabuild_lang::{Loaded, Vars, load};

use crate::{memory, rendered};

fn loaded(main: &str, dockerfiles: &[(&str, &str)]) -> Loaded {
    let main = format!("mabuild 1\n{main}");
    let mut files = vec![("mabuild.kdl", main.as_str())];
    files.extend_from_slice(dockerfiles);
    load("mabuild.kdl", &memory(&files), &Vars::default())
}

#[test]
fn a_node_lacks_the_platform_that_it_is_named_for() {
    let main = "base \"alpine\" { rootfs \"a.tgz\"; platforms \"linux/arm64\" }\n\
        base \"tools\" { rootfs \"t.tgz\"; platforms \"linux/amd64\" \"linux/arm64\" }\n\
        image \"app\" {\n    from \"alpine\"\n    dockerfile \"Dockerfile\"\n\
        \x20   platforms \"linux/arm64\" \"linux/s390x\"\n}\n\
        image \"other\" { dockerfile \"Dockerfile.other\"; platforms \"linux/amd64\" }\n";
    let files = [
        (
            "Dockerfile",
            "FROM --platform=$BUILDPLATFORM alpine AS build\nFROM alpine\n\
             COPY --from=build /x /x\nCOPY --from=tools /x /x\n",
        ),
        ("Dockerfile.other", "FROM --platform=linux/riscv64 tools\n"),
    ];
    insta::assert_snapshot!("build-lacks", rendered(&loaded(main, &files)));
}

#[test]
fn a_platform_that_is_none() {
    let main = "platforms \"linux/amd64\" \"linux/arm64\"\n\
        image \"app\" { dockerfile \"Dockerfile\"; arg \"OTHER\" \"linux/amd64,linux/386\" }\n";
    let files = [("Dockerfile", "ARG OTHER\nFROM --platform=$OTHER debian:12\n")];
    insta::assert_snapshot!("build-platform", rendered(&loaded(main, &files)));
}

#[test]
fn nothing_gives_an_image_platforms() {
    let main = "image \"a\" { dockerfile \"Dockerfile.a\" }\nimage \"b\" { dockerfile \"Dockerfile.b\" }\n\
        image \"c\" { from \"debian:12\" }\nimage \"d\" { from \"b\" }\n";
    let files = [("Dockerfile.a", "FROM scratch\n"), ("Dockerfile.b", "FROM debian:12\n")];
    insta::assert_snapshot!("build-no-platforms", rendered(&loaded(main, &files)));
}

#[test]
fn a_ring_through_what_gives_platforms() {
    let main = "image \"a\" { dockerfile \"Dockerfile.a\" }\nimage \"b\" { from \"a\" }\n";
    let loaded = loaded(main, &[("Dockerfile.a", "FROM b\n")]);
    insta::assert_snapshot!("build-ring", rendered(&loaded));
}

#[test]
fn arguments_that_nothing_declares() {
    let main = "platforms \"linux/amd64\" \"linux/arm64\"\ntemplate \"t\" { arg \"SHARED\" \"1\" }\n\
        image \"app\" {\n    use \"t\"\n    matrix { v \"1\" \"2\" }\n    dockerfile \"Dockerfile.{{v}}\"\n\
        \x20   arg \"VERSON\" \"1\"\n    arg \"FIRST\" \"1\"\n    arg \"SECOND\" \"1\"\n    arg \"LATER\" \"1\"\n\
        \x20   arg \"http_proxy\" \"x\"\n    arg \"Http_proxy\" \"x\"\n    arg \"BUILDKIT_INLINE\" \"1\"\n\
        \x20   on-platform \"linux/arm64\" { arg \"EXTRA\" \"1\" }\n}\n";
    let files = [
        ("Dockerfile.1", "ARG FIRST\nFROM scratch\nARG VERSION\n"),
        ("Dockerfile.2", "FROM scratch AS x\nARG SECOND=2\nFROM scratch\nONBUILD ARG LATER\n"),
    ];
    insta::assert_snapshot!("build-args", rendered(&loaded(main, &files)));
}

#[test]
fn secrets_that_are_not_there_and_that_nothing_uses() {
    let main = "platforms \"linux/amd64\" \"linux/arm64\"\n\
        image \"app\" { dockerfile \"Dockerfile\"; secret \"key\" env=\"K\"; secret \"old\" env=\"O\"; secret \"pip.conf\" env=\"P\" }\n\
        image \"any\" { dockerfile \"Dockerfile.any\"; secret \"old\" env=\"O\" }\n";
    let files = [
        (
            "Dockerfile",
            "FROM scratch AS unused\nRUN --mount=type=secret,id=old x\n\
             RUN --mount=type=secret,id=never,required x\n\
             FROM scratch\nRUN --mount=type=secret,id=key,required=true --mount=type=secret,id=maybe x\n\
             RUN --mount=type=secret,id=token,required=true x\n\
             RUN --mount=type=secret,target=/etc/pip.conf x\n",
        ),
        ("Dockerfile.any", "FROM scratch\nARG ID\nRUN --mount=type=secret,id=$ID x\n"),
    ];
    insta::assert_snapshot!("build-secrets", rendered(&loaded(main, &files)));
}
