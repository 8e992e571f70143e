//! What a newcomer sees of mistakes in what moves: systems of packages, ranges of versions, `hold`,
//! `pin` and `watch`.

use mabuild_lang::{Vars, load};

use crate::bad::{HEAD, check};
use crate::{memory, rendered};

/// (name, text after the head)
const CASES: &[(&str, &str)] = &[
    (
        "debian-extract",
        "base \"a\" {\n    debian \"bookworm\" {\n        variant \"extract\"\n        include \"busybox-static\"\n        exclude \"libc6\"\n        recommends\n    }\n}\n",
    ),
    (
        "debian-packages",
        "base \"a\" {\n    debian \"bookworm\" {\n        variant \"minbase\"\n        include \"Nginx\" \"curl wget\" \"-y\" \"a=\" \"nginx@edge\"\n        exclude \"e2fsprogs=1.47\"\n        include \"less\" \"less\"\n        recommends #true\n    }\n}\n",
    ),
    (
        "debian-repository",
        "base \"a\" {\n    debian \"bookworm\" {\n        variant \"minbase\"\n        repository \"https://apt.example.org/debian\"\n        repository \"apt.example.org\" suite=\"bookworm\"\n        repository \"https://apt.example.org\" siute=\"bookworm\" { main }\n        repository suite=\"\"\n    }\n}\n",
    ),
    (
        "alpine-empty",
        "base \"a\" { alpine \"3.20\" }\nbase \"b\" { alpine \"3.20\" { repository \"testing\" } }\nbase \"c\" { alpine { includ \"busybox\" } }\nbase \"d\" { alpine 3.20 { include } }\n",
    ),
    (
        "alpine-packages",
        "base \"a\" {\n    alpine \"3.20\" {\n        include \"busybox\" \"nginx<>1\" \"a>\" \"b@\" \"!\" \"c d\"\n        include \"nginx@edge\" \"curl@tseting\"\n        repository \"testing\" tag=\"testing\"\n    }\n}\n",
    ),
    (
        "alpine-repository",
        "base \"a\" {\n    alpine \"3.20\" {\n        include \"busybox@edge\"\n        repository \"ftp://apk.example.org/x\" tag=\"edge\"\n        repository \"../testing\"\n        repository \"testing\" tag=\"@testing\"\n        repository\n    }\n}\n",
    ),
    (
        "follow-range",
        "base \"a\" {\n    rootfs \"https://example.org/rootfs.tar.gz\"\n    follow \"3.20.*\"\n}\nbase \"b\" { registry \"golang:1.22-alpine\"; follow \"1.22.*-alpine\" }\nbase \"c\" { registry \"acme/go-{{version}}:1\"; follow \"1.*\" }\nbase \"d\" { registry \"{{platform.arch}}/go:1\"; follow \"1.*\" }\nbase \"e\" { rootfs \"x-{{version}}.tgz\"; follow \"\" }\nbase \"f\" { registry \"go:{{version}}\"; follow \"latest\" }\nbase \"g\" { registry \"go:{{version}}\"; follow \"1\\t*\" }\n",
    ),
    (
        "follow-version",
        "base \"a\" {\n    rootfs \"https://example.org/{{version}}/rootfs.tar.gz\" version=\"3.20.3\"\n    follow \"3.20.*\"\n}\nbase \"b\" {\n    rootfs \"https://example.org/{{version}}.tar.gz\" sha256=\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n    follow \"3.*\"\n}\n",
    ),
    (
        "follow-version-elsewhere",
        "base \"a\" {\n    rootfs \"https://example.org/{{version}}.tar.gz\" signature=\"{{version}}.asc\" signed-by=\"{{version}}.key\"\n    follow \"3.20.*\" listing=\"{{version}}.html\"\n    tags \"{{version}}\"\n    label \"version\" \"{{version}}\"\n}\nbase \"b\" {\n    tags \"{{version}}\"\n    registry \"docker.io/library/golang:{{version}}-alpine\"\n    follow \"1.22.*\"\n}\nbase \"c\" { follow \"{{version}}.*\"; registry \"go:{{version}}\" }\n",
    ),
    (
        "follow-listing",
        "base \"a\" { registry \"go:{{version}}\"; follow \"1.*\" listing=\"https://example.org/tags\" }\nbase \"b\" { alpine \"3.20\" { include \"busybox\" }; follow \"3.*\" }\nbase \"c\" { oci-layout \"x\"; follow \"1.*\" }\nbase \"d\" { registry \"go:{{version}}@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"; follow \"1.*\" }\n",
    ),
    (
        "rootfs-signature",
        "base \"a\" { rootfs \"x.tar.gz\" signature=\"x.tar.gz.asc\" }\nbase \"b\" { rootfs \"x.tar.gz\" signed-by=\"keys/x.asc\" }\nbase \"c\" { rootfs \"x.tar.gz\" signature=\"\" signed-by=\"keys/x.asc\" }\n",
    ),
    (
        "hold-values",
        "base \"a\" { oci-layout \"x\"; hold }\nbase \"b\" { oci-layout \"x\"; hold \"2026-12-24\" }\nbase \"c\" { oci-layout \"x\"; hold until=\"24.12.2026\" }\nbase \"d\" { oci-layout \"x\"; hold until=\"2026-02-30\" }\nbase \"e\" { oci-layout \"x\"; hold until=\"2026-12-24T08:00:00\" reason=\"two\\nlines\" }\nbase \"f\" { oci-layout \"x\"; hold untill=\"2026-12-24\" }\nbase \"g\" { oci-layout \"x\"; hold reason=\"freeze\" }\nbase \"h\" { oci-layout \"x\"; hold until=2026 }\n",
    ),
    (
        "hold-and-pin",
        "base \"a\" {\n    registry \"debian:12\"\n    follow \"digest\"\n    hold until=\"2026-12-24\"\n    pin\n}\nimage \"b\" {\n    from \"alpine\"\n    pin \"now\"\n    hold until=\"2026-12-24\" reason=\"freeze\"\n    steps { packages \"nginx\" }\n}\n",
    ),
    (
        "hold-nothing",
        "image \"a\" {\n    from \"alpine\"\n    hold until=\"2026-12-24\"\n    steps { run \"x\" }\n}\nimage \"b\" { from \"alpine\"; pin }\n",
    ),
    (
        "watch-values",
        "image \"a\" { from \"alpine\"; steps { run \"x\" }; watch \"files\" }\nimage \"b\" { from \"alpine\"; steps { run \"x\" }; watch \"package\" only=\"secruity\" every=\"weekly\" }\nimage \"c\" { from \"alpine\"; steps { run \"x\" }; watch; watch \"packages\" every=7 }\n",
    ),
    (
        "watch-nothing",
        "image \"a\" {\n    from \"alpine\"\n    watch \"packages\"\n    steps { packages \"nginx\" }\n}\nbase \"b\" { oci-layout \"x\"; watch \"packages\" }\n",
    ),
    (
        "packages-names",
        "image \"a\" {\n    from \"alpine\"\n    steps {\n        packages \"nginx curl\" \"-y\" \"\" \"a*\" \"nginx\" \"less\" \"nginx\" recommends=\"yes\"\n        packages\n        packages \"vim\" recomends=#true\n    }\n}\n",
    ),
];

#[test]
fn every_mistake_has_its_words() {
    for (name, text) in CASES {
        check(name, &format!("{HEAD}{text}"));
    }
}

#[test]
fn a_hold_that_has_ended() {
    let day = |day: &str| {
        let text = format!("{HEAD}base \"a\" {{ oci-layout \"x\"; hold until=\"2026-12-24\" }}\n");
        let vars = Vars { date: Some(day.to_owned()), ..Vars::default() };
        load("mabuild.kdl", &memory(&[("mabuild.kdl", &text)]), &vars)
    };
    assert!(day("2026-12-23").diagnostics.is_empty());
    let ended = day("2026-12-24");
    assert!(!ended.has_errors() && ended.config.bases[1].moves.hold.is_some());
    insta::assert_snapshot!("hold-ended", rendered(&ended));
}
