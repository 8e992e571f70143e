//! What bases and images share: platforms, tags, and what the image config says.

use super::{Args, Children, Kind, Merge, NO_ARGS, Props, Role, Type};
use super::{at_least, between, exactly, leaf, prop, shared, single};

pub(super) static PLATFORMS: Kind = Kind {
    props: Props::Known(&[
        prop("except", "platforms to leave out of the default, with commas").of(Role::Platforms)
    ]),
    ..single(
        "platforms",
        "platforms \"linux/amd64\" \"linux/arm64\"",
        at_least(0, "platforms").of(&[Role::Platform]),
        "Platforms of this node; those of the file, as far as the node below has them, when none are named.",
    )
};

pub(super) static TAGS: Kind = Kind {
    merge: Merge::Replace,
    ..leaf(
        "tags",
        "tags \"1.27\" \"latest\"",
        at_least(1, "tags"),
        "Tags; `latest` when none is named, the values of the axes for a variant.",
    )
};

pub(super) static ARCH_TAGS: Kind = single(
    "arch-tags",
    "arch-tags",
    NO_ARGS,
    "Also gives each platform a tag of its own: `latest-amd64`, `latest-armv7`.",
);

pub(super) static PUBLISH: Kind = Kind {
    merge: Merge::Replace,
    ..leaf(
        "publish",
        "publish \"NAME\" \"quay.io/acme/NAME\"",
        at_least(1, "repositories"),
        "Repositories that it is pushed to; one without a host goes to the `registry` of the file.",
    )
};

/// What `format` can name.
pub(crate) const FORMATS: &[&str] = &["oci", "docker"];
/// What `late` can name.
pub(crate) const LATENESS: &[&str] = &["carry"];

pub(super) static FORMAT: Kind = single(
    "format",
    "format \"docker\"",
    exactly(1, "a format").of(&[Role::OneOf(FORMATS)]),
    "In which form it is published: `oci` when none is named, or `docker`, which has no place for annotations.",
);

pub(super) static REQUIRE: Kind = single(
    "require",
    "require \"linux/amd64\" \"linux/arm64\"",
    at_least(1, "platforms, or `all`").of(&[Role::Platform]),
    "Platforms that must be there before a tag moves, the others may be missing; `all` when none is named.",
);

pub(super) static LATE: Kind = single(
    "late",
    "late carry \"7d\"",
    exactly(2, "`carry` and a span of time").of(&[Role::OneOf(LATENESS), Role::Duration]),
    "A platform that fails keeps its previous manifest in the index, for at most that long.",
);

pub(super) static ANNOTATION: Kind = leaf(
    "annotation",
    "annotation \"org.opencontainers.image.licenses\" \"MIT\"",
    exactly(2, "a name and a value"),
    "Annotations of the index; they are in no key, and make nothing stale.",
);

pub(super) static ENV: Kind = Kind {
    props: Props::Free,
    ..leaf(
        "env",
        "env NAME=\"value\"",
        between(0, 2, "a name and a value"),
        "Variables of the environment.",
    )
};
pub(super) static LABEL: Kind = Kind {
    props: Props::Free,
    ..leaf(
        "label",
        "label \"org.opencontainers.image.vendor\" \"Acme\"",
        between(0, 2, "a name and a value"),
        "Labels of the image.",
    )
};
pub(super) static ENTRYPOINT: Kind = single(
    "entrypoint",
    "entrypoint \"program\" \"word\"",
    at_least(1, "words"),
    "The program a container starts; the command of the image below no longer counts.",
);
pub(super) static CMD: Kind = single(
    "cmd",
    "cmd \"program\" \"word\"",
    at_least(1, "words"),
    "The default command, or the default words for the entry point.",
);
pub(super) static EXPOSE: Kind =
    leaf("expose", "expose \"80/tcp\"", at_least(1, "ports"), "Ports that the program listens on.");
pub(super) static VOLUME: Kind =
    leaf("volume", "volume \"/data\"", at_least(1, "paths"), "Paths that hold data of their own.");
pub(super) static WORKDIR: Kind =
    single("workdir", "workdir \"/app\"", exactly(1, "a path"), "The working directory.");
pub(super) static USER: Kind =
    single("user", "user \"app:app\"", exactly(1, "a user"), "The user, `user[:group]`.");
pub(super) static STOP_SIGNAL: Kind = single(
    "stop-signal",
    "stop-signal \"SIGTERM\"",
    exactly(1, "a signal"),
    "The signal that stops a container.",
);

pub(super) static HOLD: Kind = Kind {
    props: Props::Known(&[
        prop("until", "the day it moves again, `2026-12-24`, or `2026-12-24T08:00:00+01:00`"),
        prop("reason", "why, for those who read the plan"),
    ]),
    ..single(
        "hold",
        "hold until=\"2026-12-24\" reason=\"freeze\"",
        NO_ARGS,
        "Keeps what the lock says until a day; of an image, its packages and what it watches.",
    )
};
pub(super) static PIN: Kind = single(
    "pin",
    "pin",
    NO_ARGS,
    "Keeps what the lock says until it is updated by its name; of an image, its packages and what it watches.",
);

pub(super) static TEST: Kind = Kind {
    props: Props::Known(&[prop(
        "file",
        "a file of checks in the format of container-structure-test",
    )
    .of(Role::Path)]),
    children: Children::Known(&[&TEST_RUN, &EXPECT]),
    ..leaf(
        "test",
        "test \"NAME\" { run \"program\" \"word\" }",
        exactly(1, "a name"),
        "A check of the built image, on every platform.",
    )
};

static TEST_RUN: Kind = Kind {
    once: true,
    merge: Merge::Replace,
    ..leaf(
        "run",
        "run \"program\" \"word\"",
        at_least(1, "a command"),
        "Runs a shell text (one value) or a program with its words (more values) in the image.",
    )
};

static EXPECT: Kind = Kind {
    props: Props::Known(&[
        prop("exit", "the exit code; 0 when none is named").typed(Type::Integer),
        prop("stdout", "a text that the output holds"),
        prop("stderr", "a text that the error output holds"),
        prop("timeout", "how long it may take").of(Role::Duration),
    ]),
    ..single(
        "expect",
        "expect exit=0 stdout=\"…\"",
        Args { kind: Type::Text, ..NO_ARGS },
        "What has to come of the `run`.",
    )
};

/// The shared settings as steps: each may stand again.
pub(super) static STEP_ENV: Kind =
    Kind { doc: "Variables for the steps after it and for the image.", ..shared(&ENV) };
pub(super) static STEP_WORKDIR: Kind = Kind {
    once: false,
    merge: Merge::Join,
    doc: "Sets the working directory and makes it.",
    ..shared(&WORKDIR)
};
pub(super) static STEP_USER: Kind = Kind {
    once: false,
    merge: Merge::Join,
    doc: "The user for the steps after it and for the image.",
    ..shared(&USER)
};
