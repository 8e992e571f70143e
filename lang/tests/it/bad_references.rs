//! Mistakes in what is named and published, over several files, as a terminal shows them.

use mabuild_lang::{Vars, load};

use crate::bad::{HEAD, check};
use crate::{memory, rendered};

const CASES: &[(&str, &str)] = &[
    (
        "strict-bases",
        "strict-bases\nimage \"a\" { from \"debian:12\" }\nimage \"b\" { from \"docker.io/library/debian:12\" }\nimage \"c\" { from \"alpine\"; steps { copy \"/x\" \"/x\" from=\"ghcr.io/a/b\" } }\n",
    ),
    (
        "reference-malformed",
        "image \"a\" { from \"https://ghcr.io/a/b\" }\nimage \"b\" { from \"Debian:12\" }\nimage \"c\" { from \"ghcr.io/a/b@sha256:12\" }\n",
    ),
    (
        "publish-needs-a-registry",
        "image \"a\" { from \"alpine\"; publish \"a\" \"quay.io/acme/a\" }\n",
    ),
    (
        "publish-collides",
        "registry \"ghcr.io/acme\"\nbase \"b\" { oci-layout \"y\"; publish \"app\"; tags \"1\" \"2\" }\nimage \"a\" {\n    from \"alpine\"\n    publish \"ghcr.io/acme/app\"\n    tags \"2\"\n}\nimage \"c\" { from \"alpine\"; publish \"other\"; tags \"x-amd64\" }\nimage \"d\" { from \"alpine\"; publish \"other\"; tags \"x\"; arch-tags }\n",
    ),
    (
        "publish-of-variants",
        "registry \"ghcr.io/acme\"\nimage \"a\" {\n    matrix { v \"1\" \"2\"; w \"x\" \"Y\" }\n    from \"alpine\"\n    publish \"a-{{w}}\"\n    tags \"{{v}}\"\n}\n",
    ),
    (
        "dockerfile-and-steps",
        "image \"a\" {\n    dockerfile \"Dockerfile\"\n    steps { run \"x\" }\n}\nimage \"b\" { from \"alpine\"; target \"x\"; secret \"s\" env=\"S\"; named-context \"c\" \"d\" }\n",
    ),
    (
        "dockerfile-context-node",
        "image \"a\" { dockerfile \"Dockerfile\" }\nimage \"b\" { from \"alpin\"; dockerfile \"other.txt\" }\n",
    ),
    (
        "publish-arch-tag-of-its-own",
        "image \"a\" {\n    from \"alpine\"\n    publish \"ghcr.io/acme/a\"\n    tags \"1\" \"1-amd64\"\n    arch-tags\n}\n",
    ),
    (
        "reference-stage-name",
        "image \"a\" { from \"debian:12\" as=\"build\" }\nimage \"b\" { from \"docker://debian:12\" }\ngroup \"g\" { image \"docker.io/library/debian:12\"; image \"*\" }\n",
    ),
    ("tag-whole-reference", "image \"a\" { from \"alpine\"; tags \"ghcr.io/acme/a:1\" }\n"),
    (
        "platforms-in-one-text",
        "image \"a\" { from \"alpine\"; platforms \"linux/amd64,linux/arm64\" }\n",
    ),
    (
        "whole-numbers",
        "builder \"b\" { buildkit { node \"x\" \"tcp://h:1\" parallel=1.5; node \"y\" \"tcp://h:2\" parallel=\"4\" } }\nbase \"d\" { registry \"debian:12\"; follow \"digest\" min-age=3 }\nbase \"r\" { rootfs \"x-{{version}}.tgz\" version=3.20 }\n",
    ),
    (
        "interpolation-families",
        "image \"a\" { from \"alpine\"; cmd \"{{git.branch}}\" \"{{image}}\" \"{{git}}\" }\n",
    ),
    (
        "builder-twice",
        "builder \"farm\" { buildkit { node \"a\" \"tcp://a:1\" } }\nbuilder \"farm\" { buildkit { node \"a\" \"tcp://a:1\" } }\n",
    ),
];

#[test]
fn every_mistake_has_its_words() {
    for (name, text) in CASES {
        check(name, &format!("{HEAD}{text}"));
    }
}

#[test]
fn in_a_dockerfile() {
    let main = format!(
        "{HEAD}image \"python\" {{ matrix {{ v \"1\" \"2\" }}; from \"alpine\" }}\n\
         image \"a\" {{ dockerfile \"a/Dockerfile\"; named-context \"ctx\" \"node:nobody\" }}\n\
         image \"b\" {{ dockerfile \"b/Dockerfile\"; target \"nope\" }}\n\
         image \"c\" {{ dockerfile \"c/Dockerfile\" }}\n"
    );
    let files = memory(&[
        ("mabuild.kdl", &main),
        ("a/Dockerfile", "FROM python\nCOPY --from=ctx /x /x\nFROM c\n COPY --from=0 /y /y\n"),
        ("b/Dockerfile", "FROM alpine AS build\nRUNN make\n"),
        ("c/Dockerfile", "# two images need each other\nFROM a\n"),
    ]);
    let loaded = load("mabuild.kdl", &files, &Vars::default());
    insta::assert_snapshot!("dockerfile", rendered(&loaded));
}
