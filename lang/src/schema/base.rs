//! `base` and where bases come from.

use super::node::{
    ANNOTATION, ARCH_TAGS, CMD, ENTRYPOINT, ENV, EXPOSE, FORMAT, HOLD, LABEL, LATE, PIN, PLATFORMS,
    PUBLISH, REQUIRE, STOP_SIGNAL, TAGS, TEST, USER, VOLUME, WORKDIR,
};
use super::{Children, Kind, NO_ARGS, Noun, Prop, Props, Role};
use super::{at_least, exactly, leaf, prop, single};

pub(super) static BASE: Kind = Kind {
    children: Children::Known(&[
        &ROOTFS,
        &DEBIAN,
        &ALPINE,
        &REGISTRY,
        &OCI_LAYOUT,
        &FOLLOW,
        &HOLD,
        &PIN,
        &PLATFORMS,
        &TAGS,
        &ARCH_TAGS,
        &PUBLISH,
        &FORMAT,
        &REQUIRE,
        &LATE,
        &ANNOTATION,
        &ENV,
        &LABEL,
        &ENTRYPOINT,
        &CMD,
        &EXPOSE,
        &VOLUME,
        &WORKDIR,
        &USER,
        &STOP_SIGNAL,
        &TEST,
    ]),
    ..leaf(
        "base",
        "base \"NAME\" { … }",
        exactly(1, "a name").of(&[Role::Declares(Noun::Base)]),
        "A node built from an upstream.",
    )
};

static ROOTFS: Kind = Kind {
    props: Props::Known(&[
        prop("version", "what `{{version}}` stands for"),
        prop("checksums", "path or address of a checksum file that names the archive")
            .of(Role::Path),
        prop("sha256", "digest of the archive, 64 hex digits"),
        prop("sha512", "digest of the archive, 128 hex digits"),
        prop("signature", "path or address of a detached OpenPGP signature of the archive")
            .of(Role::Path),
        prop("signed-by", "file of the keys that may make the signature").of(Role::Path),
    ]),
    ..single(
        "rootfs",
        "rootfs \"https://…/rootfs.tar.gz\" sha256=\"…\"",
        exactly(1, "a path or an address").of(&[Role::Path]),
        "A published root file system archive.",
    )
};

const MIRROR: Prop = prop("mirror", "address of the archive");

static DEBIAN: Kind = Kind {
    props: Props::Known(&[
        MIRROR,
        prop("signed-by", "file of the keys that may sign the archive").of(Role::Path),
    ]),
    children: Children::Known(&[
        &VARIANT,
        &INCLUDE_PACKAGES,
        &EXCLUDE_PACKAGES,
        &RECOMMENDS,
        &COMPONENT,
        &UPDATES,
        &SECURITY,
        &TRIM,
        &DEBIAN_REPOSITORY,
    ]),
    ..single(
        "debian",
        "debian \"bookworm\" { variant \"minbase\" }",
        exactly(1, "a suite"),
        "Packages of a Debian archive.",
    )
};

static ALPINE: Kind = Kind {
    props: Props::Known(&[MIRROR, ALPINE_KEYS]),
    children: Children::Known(&[&ALPINE_INCLUDE, &ALPINE_REPOSITORY]),
    ..single(
        "alpine",
        "alpine \"3.20\" { include \"alpine-baselayout\" \"busybox\" }",
        exactly(1, "a branch"),
        "Packages of an Alpine archive: of a branch, `3.20` or `edge`, out of its `main` and `community`.",
    )
};

/// What `variant` can name.
pub(crate) const VARIANTS: &[&str] = &["extract", "minbase", "standard", "minideb"];
/// What `trim` can name.
pub(crate) const TRIMS: &[&str] = &["docs", "locales"];
/// What `follow` can name in place of a range of versions.
pub(crate) const FOLLOWED: &[&str] = &["digest"];

static VARIANT: Kind = single(
    "variant",
    "variant \"extract\"",
    exactly(1, "a variant").of(&[Role::OneOf(VARIANTS)]),
    "`extract` unpacks the named packages and runs none of their scripts; `minbase` sets up the essential and required packages and apt, `standard` those of priority standard and above, `minideb` a `minbase` that is trimmed for containers.",
);
static INCLUDE_PACKAGES: Kind = leaf(
    "include",
    "include \"ca-certificates\" \"nginx=1.22.1-9\"",
    at_least(1, "packages"),
    "More packages, `NAME` or `NAME=VERSION`, with what they depend on.",
);
static EXCLUDE_PACKAGES: Kind = leaf(
    "exclude",
    "exclude \"e2fsprogs\"",
    at_least(1, "packages"),
    "Packages that are kept out.",
);
static RECOMMENDS: Kind =
    single("recommends", "recommends", NO_ARGS, "Also takes what the packages recommend.");
static COMPONENT: Kind = leaf(
    "component",
    "component \"main\" \"contrib\"",
    at_least(1, "archive areas"),
    "Areas of the archive; `main` when none is named.",
);
static UPDATES: Kind =
    single("updates", "updates", NO_ARGS, "Also takes packages of the suite's `-updates`.");
static SECURITY: Kind =
    single("security", "security", NO_ARGS, "Also takes packages of the suite's `-security`.");
static TRIM: Kind = leaf(
    "trim",
    "trim \"docs\" \"locales\"",
    at_least(1, "what to leave out").of(&[Role::OneOf(TRIMS)]),
    "Leaves documentation or translations out.",
);

static DEBIAN_REPOSITORY: Kind = Kind {
    props: Props::Known(&[
        prop("suite", "suite or codename of the archive; it has to be named"),
        prop("signed-by", "file of the keys that may sign it; those of Debian when none is named")
            .of(Role::Path),
    ]),
    children: Children::Known(&[&COMPONENT]),
    ..leaf(
        "repository",
        "repository \"https://apt.example.org/debian\" suite=\"bookworm\" signed-by=\"keys/example.gpg\"",
        exactly(1, "an address"),
        "One more archive to take packages from.",
    )
};

const ALPINE_KEYS: Prop =
    prop("signed-by", "key file, or folder of such files, in place of the keys that are shipped")
        .of(Role::Path);

static ALPINE_INCLUDE: Kind = leaf(
    "include",
    "include \"alpine-baselayout\" \"busybox\"",
    at_least(1, "packages"),
    "What the system is to have, with what that depends on: `NAME`, `NAME=1.2-r0`, `NAME>1`, `NAME~1.2`, `NAME@TAG` out of a repository with that tag, or `!NAME` to keep a package out.",
);
static ALPINE_REPOSITORY: Kind = Kind {
    props: Props::Known(&[
        prop("tag", "what packages are named with to come out of it, `edge` in `nginx@edge`"),
        ALPINE_KEYS,
    ]),
    ..leaf(
        "repository",
        "repository \"https://apk.example.org/packages\" tag=\"own\" signed-by=\"keys\"",
        exactly(1, "an address or a name"),
        "One more repository: an address without the architecture, or the name of one of the branch, `testing`.",
    )
};

static OCI_LAYOUT: Kind = Kind {
    props: Props::Known(&[prop("ref", "name of the image in the layout")]),
    ..single(
        "oci-layout",
        "oci-layout \"DIR\" ref=\"NAME\"",
        exactly(1, "a folder").of(&[Role::Path]),
        "An image out of an OCI layout on disk.",
    )
};

static REGISTRY: Kind = single(
    "registry",
    "registry \"docker.io/library/debian:12\"",
    exactly(1, "a reference"),
    "An image of a registry. With a range to `follow`, `{{version}}` stands in its tag.",
);

static FOLLOW: Kind = Kind {
    props: Props::Known(&[
        prop("min-age", "takes what is new only once it is this old: `3d`, `12h`")
            .of(Role::Duration),
        prop(
            "listing",
            "path or address of what lists the versions of a `rootfs`: the index of a folder, or a `latest-releases.yaml`; the folder of the archive when none is named",
        )
        .of(Role::Path),
    ]),
    ..single(
        "follow",
        "follow \"3.20.*\" min-age=\"3d\"",
        exactly(1, "what to follow").of(&[Role::Suggests(FOLLOWED)]),
        "How the base moves: a `registry` with the `digest` of its tag; a `registry` or a `rootfs` with the highest version of a range, which `{{version}}` stands for.",
    )
};
