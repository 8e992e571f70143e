//! `image` and `template`.

use super::node::{
    ANNOTATION, ARCH_TAGS, CMD, ENTRYPOINT, ENV, EXPOSE, FORMAT, HOLD, LABEL, LATE, PIN, PLATFORMS,
    PUBLISH, REQUIRE, STOP_SIGNAL, TAGS, TEST, USER, VOLUME, WORKDIR,
};
use super::steps::{ADD, COPY, FILE, MKDIR, PACKAGES, REMOVE, RUN, STEPS, SYMLINK};
use super::{Children, Kind, NO_ARGS, Noun, Props, Role};
use super::{at_least, exactly, leaf, prop, shared, single};

const NODES: &[Noun] = &[Noun::Base, Noun::Image];

pub(super) static IMAGE: Kind = Kind {
    children: Children::Known(&[
        &MATRIX,
        &USE,
        &FROM,
        &DOCKERFILE,
        &TARGET,
        &CONTEXT,
        &NAMED_CONTEXT,
        &ARG,
        &SECRET,
        &MODE,
        &WATCH,
        &HOLD,
        &PIN,
        &STEPS,
        &ON_PLATFORM,
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
        "image",
        "image \"NAME\" { … }",
        exactly(1, "a name").of(&[Role::Declares(Noun::Image)]),
        "A node built from another node.",
    )
};

pub(super) static TEMPLATE: Kind = Kind {
    args: exactly(1, "a name").of(&[Role::Declares(Noun::Template)]),
    usage: "template \"NAME\" { … }",
    name: "template",
    doc: "A part of an image that several images `use`.",
    ..shared(&IMAGE)
};

static MATRIX: Kind = Kind {
    children: Children::Open(&[&EXCLUDE, &ONLY], &AXIS),
    ..single(
        "matrix",
        "matrix { python \"3.11\" \"3.12\" }",
        NO_ARGS,
        "Makes one variant of the image for each combination of values.",
    )
};

/// A child of `matrix` with any other name.
static AXIS: Kind = leaf(
    "axis",
    "axis \"VALUE\" \"VALUE\"",
    at_least(1, "values"),
    "An axis of the matrix: its name is the name of the node, used as `{{NAME}}`.",
);
static EXCLUDE: Kind = Kind {
    props: Props::Axes,
    ..leaf(
        "exclude",
        "exclude AXIS=\"VALUE\"",
        NO_ARGS,
        "Leaves out the combinations that have all of these values.",
    )
};
static ONLY: Kind = Kind {
    props: Props::Axes,
    ..leaf(
        "only",
        "only AXIS=\"VALUE\"",
        NO_ARGS,
        "Keeps the combinations that have all of these values; with several, those of any.",
    )
};

static USE: Kind = leaf(
    "use",
    "use \"TEMPLATE\"",
    at_least(1, "templates").of(&[Role::Names(&[Noun::Template])]),
    "Takes in templates, in this order. What the image itself says counts more, then the template named last.",
);

static FROM: Kind = Kind {
    props: Props::Axes,
    ..single(
        "from",
        "from \"NAME\"",
        exactly(1, "a base or image").of(&[Role::Names(NODES)]),
        "The node below: a base, an image, a reference of a registry, or `scratch`. Properties pick a variant by its axes; an axis that this image has too is taken over.",
    )
};
static DOCKERFILE: Kind = single(
    "dockerfile",
    "dockerfile \"dir/Dockerfile\"",
    exactly(1, "a path").of(&[Role::Path]),
    "Builds the image as a Dockerfile says; what it names in FROM and COPY --from become edges.",
);
static TARGET: Kind = single(
    "target",
    "target \"STAGE\"",
    exactly(1, "a stage"),
    "The stage of the Dockerfile that is the image; the last when none is named.",
);
static CONTEXT: Kind = single(
    "context",
    "context \"dir\"",
    exactly(1, "a folder").of(&[Role::Path]),
    "The folder that `copy` takes files from; that of the Dockerfile, else that of this file, when none is named.",
);
static NAMED_CONTEXT: Kind = leaf(
    "named-context",
    "named-context \"NAME\" \"dir\"",
    exactly(2, "a name and a folder").of(&[Role::Plain, Role::Path]),
    "Another folder or node that a Dockerfile names in FROM and COPY --from: a path, `node:NAME`, or `docker-image://…`.",
);
static ARG: Kind = leaf(
    "arg",
    "arg \"NAME\" \"value\"",
    exactly(2, "a name and a value"),
    "The value of an argument that a step or the Dockerfile declares.",
);
static SECRET: Kind = Kind {
    props: Props::Known(&[
        prop("env", "variable of the environment that holds it"),
        prop("file", "file that holds it").of(Role::Path),
    ]),
    ..leaf(
        "secret",
        "secret \"ID\" env=\"VARIABLE\"",
        exactly(1, "a name"),
        "A secret that a RUN --mount=type=secret may read. Its value is in no key, layer or log.",
    )
};

/// Whether a kind is that of `dockerfile`.
pub(crate) fn is_dockerfile(kind: &Kind) -> bool {
    std::ptr::eq(kind, &raw const DOCKERFILE)
}

/// Whether a kind is that of `from`.
pub(crate) fn is_from(kind: &Kind) -> bool {
    std::ptr::eq(kind, &raw const FROM)
}

/// What `mode` can name.
pub(crate) const MODES: &[&str] = &["auto", "emulate", "cross", "native"];

static MODE: Kind = single(
    "mode",
    "mode \"auto\"",
    exactly(1, "a mode").of(&[Role::OneOf(MODES)]),
    "How foreign platforms are built: `emulate` runs under QEMU, `cross` runs nothing foreign, `native` needs a worker of the platform; `auto` takes what is there.",
);

/// What `watch` can name.
pub(crate) const WATCHED: &[&str] = &["packages"];
/// What `only` of `watch` can name.
pub(crate) const WATCHED_ONLY: &[&str] = &["security"];

static WATCH: Kind = Kind {
    props: Props::Known(&[
        prop("only", "counts newer packages of archives for security alone")
            .of(Role::OneOf(WATCHED_ONLY)),
        prop("every", "how long after one rebuild the next comes at the earliest: `7d`")
            .of(Role::Duration),
    ]),
    ..single(
        "watch",
        "watch \"packages\" only=\"security\" every=\"7d\"",
        exactly(1, "what to watch").of(&[Role::OneOf(WATCHED)]),
        "Makes the image stale when the archives have newer versions of the packages that its own programs installed.",
    )
};

static ON_PLATFORM: Kind = Kind {
    children: Children::Known(&[
        &ARG,
        &ENV,
        &LABEL,
        &ENTRYPOINT,
        &CMD,
        &EXPOSE,
        &VOLUME,
        &WORKDIR,
        &USER,
        &STOP_SIGNAL,
        &PACKAGES,
        &COPY,
        &ADD,
        &FILE,
        &MKDIR,
        &SYMLINK,
        &REMOVE,
        &RUN,
    ]),
    ..leaf(
        "on-platform",
        "on-platform \"linux/arm/v7\" { … }",
        at_least(1, "platforms").of(&[Role::Platform]),
        "What differs on these platforms: settings count more than the image's own, steps come after its own.",
    )
};
