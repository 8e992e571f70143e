//! The file itself and what stands at its top.

use super::base::BASE;
use super::builder::BUILDER;
use super::image::{IMAGE, TEMPLATE};
use super::node::{ANNOTATION, FORMAT, LATE, REQUIRE};
use super::registry::{REGISTRY, REMOTE_CACHE};
use super::{Args, Children, Kind, NO_ARGS, Noun, Props, Role, Type};
use super::{at_least, between, exactly, leaf, prop, single};

/// The file itself.
pub static FILE: Kind = Kind {
    children: Children::Known(&[
        &MABUILD,
        &INCLUDE,
        &LET,
        &PLATFORMS,
        &REGISTRY,
        &REMOTE_CACHE,
        &FORMAT,
        &REQUIRE,
        &LATE,
        &ANNOTATION,
        &STRICT_BASES,
        &BASE,
        &TEMPLATE,
        &IMAGE,
        &GROUP,
        &BUILDER,
        &ON,
    ]),
    ..leaf("the file", "", NO_ARGS, "A description of bases and images.")
};

static MABUILD: Kind = Kind {
    args: Args { kind: Type::Integer, ..exactly(1, "the format version") },
    ..single("mabuild", "mabuild 1", NO_ARGS, "Version of the format; required, first.")
};

static LET: Kind = Kind {
    args: Args {
        kind: Type::Any,
        ..between(1, 2, "a name and its value").of(&[Role::Declares(Noun::Let), Role::Plain])
    },
    props: Props::Known(&[
        prop("env", "variable of the environment that gives the value"),
        prop("default", "value when the variable is not set; its type is that of the value")
            .typed(Type::Any),
    ]),
    ..leaf("let", "let NAME \"value\"", NO_ARGS, "A name for a value, used as `{{NAME}}`.")
};

static PLATFORMS: Kind = single(
    "platforms",
    "platforms \"linux/amd64\" \"linux/arm64\"",
    at_least(1, "platforms").of(&[Role::Platform]),
    "Platforms of every base and image that names none.",
);

static STRICT_BASES: Kind = single(
    "strict-bases",
    "strict-bases",
    NO_ARGS,
    "Makes it an error to build from an image of a registry that no `base` declares.",
);

static INCLUDE: Kind = leaf(
    "include",
    "include \"teams/*.kdl\"",
    at_least(1, "files").of(&[Role::Include]),
    "Other files of this description; patterns are allowed.",
);

static GROUP: Kind = Kind {
    children: Children::Known(&[&MEMBER_IMAGE, &MEMBER_BASE, &MEMBER_GROUP]),
    ..leaf(
        "group",
        "group \"NAME\" { image \"…\" }",
        exactly(1, "a name").of(&[Role::Declares(Noun::Group)]),
        "A name for several nodes.",
    )
};

static MEMBER_IMAGE: Kind = leaf(
    "image",
    "image \"NAME\"",
    exactly(1, "a name").of(&[Role::Names(&[Noun::Image])]),
    "An image of the group: all its variants, or those of `NAME[axis=value]`.",
);
static MEMBER_BASE: Kind = leaf(
    "base",
    "base \"NAME\"",
    exactly(1, "a name").of(&[Role::Names(&[Noun::Base])]),
    "A base of the group.",
);
static MEMBER_GROUP: Kind = leaf(
    "group",
    "group \"NAME\"",
    exactly(1, "a name").of(&[Role::Names(&[Noun::Group])]),
    "All nodes of another group.",
);

/// What `on` can name.
pub(crate) const EVENTS: &[&str] = &["rebuilt", "failed", "published"];

static ON: Kind = Kind {
    children: Children::Known(&[&WEBHOOK]),
    ..leaf(
        "on",
        "on \"rebuilt\" { webhook \"https://…\" }",
        exactly(1, "an event").of(&[Role::OneOf(EVENTS)]),
        "What is called after a run: `rebuilt`, `failed` or `published`.",
    )
};

static WEBHOOK: Kind = leaf(
    "webhook",
    "webhook \"https://…\"",
    exactly(1, "an address"),
    "An http(s) address that is sent the report of the run as JSON.",
);
