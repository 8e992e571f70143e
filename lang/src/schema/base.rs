//! `base` and where bases come from.

use super::node::{
    ARCH_TAGS, CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, PLATFORMS, PUBLISH, STOP_SIGNAL, TAGS, TEST,
    USER, VOLUME, WORKDIR,
};
use super::{Children, Kind, NO_ARGS, Noun, Props, Role};
use super::{at_least, exactly, leaf, prop, single};

pub(super) static BASE: Kind = Kind {
    children: Children::Known(&[
        &ROOTFS,
        &DEBIAN,
        &REGISTRY,
        &OCI_LAYOUT,
        &FOLLOW,
        &PLATFORMS,
        &TAGS,
        &ARCH_TAGS,
        &PUBLISH,
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
    ]),
    ..single(
        "rootfs",
        "rootfs \"https://…/rootfs.tar.gz\" sha256=\"…\"",
        exactly(1, "a path or an address").of(&[Role::Path]),
        "A published root file system archive.",
    )
};

static DEBIAN: Kind = Kind {
    props: Props::Known(&[
        prop("mirror", "address of the archive"),
        prop("signed-by", "file of the keys that may sign the archive").of(Role::Path),
    ]),
    children: Children::Known(&[
        &VARIANT,
        &INCLUDE_PACKAGES,
        &COMPONENT,
        &UPDATES,
        &SECURITY,
        &TRIM,
    ]),
    ..single(
        "debian",
        "debian \"bookworm\" { variant \"extract\" }",
        exactly(1, "a suite"),
        "Packages of a Debian archive.",
    )
};

/// What `variant` can name.
pub(crate) const VARIANTS: &[&str] = &["extract", "minbase"];
/// What `trim` can name.
pub(crate) const TRIMS: &[&str] = &["docs", "locales"];
/// What `follow` can name.
pub(crate) const FOLLOWED: &[&str] = &["digest"];

static VARIANT: Kind = single(
    "variant",
    "variant \"extract\"",
    exactly(1, "a variant").of(&[Role::OneOf(VARIANTS)]),
    "`extract` unpacks the packages and runs none of their scripts; `minbase` sets up a system.",
);
static INCLUDE_PACKAGES: Kind = leaf(
    "include",
    "include \"ca-certificates\"",
    at_least(1, "packages"),
    "More packages, with what they depend on.",
);
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
    "An image of a registry.",
);

static FOLLOW: Kind = Kind {
    props: Props::Known(&[prop(
        "min-age",
        "takes what is new only once it is this old: `3d`, `12h`",
    )
    .of(Role::Duration)]),
    ..single(
        "follow",
        "follow \"digest\" min-age=\"3d\"",
        exactly(1, "what to follow").of(&[Role::OneOf(FOLLOWED)]),
        "How the base moves: with the `digest` of its tag.",
    )
};
