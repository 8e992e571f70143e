//! `steps`: instructions.

use super::node::{STEP_ENV, STEP_USER, STEP_WORKDIR};
use super::{Args, Children, Kind, NO_ARGS, Noun, Prop, Props, Role, Type};
use super::{at_least, between, exactly, leaf, prop, single};

const CHOWN: Prop = prop("chown", "owner, `user[:group]`, names or numbers");
const MODE: Prop = prop("mode", "permission bits in octal, `0644`").of(Role::Mode);
/// What `network` can name.
pub(crate) const NETWORKS: &[&str] = &["default", "none"];

pub(super) static STEPS: Kind = Kind {
    children: Children::Known(&[
        &PACKAGES,
        &COPY,
        &ADD,
        &FILE,
        &MKDIR,
        &SYMLINK,
        &REMOVE,
        &RUN,
        &STEP_ENV,
        &STEP_WORKDIR,
        &STEP_USER,
        &SHELL,
        &STEP_ARG,
        &ON_PLATFORM,
    ]),
    merge: super::Merge::Join,
    ..single("steps", "steps { … }", NO_ARGS, "Instructions, in order.")
};

static ON_PLATFORM: Kind = Kind {
    children: Children::Known(&[
        &PACKAGES,
        &COPY,
        &ADD,
        &FILE,
        &MKDIR,
        &SYMLINK,
        &REMOVE,
        &RUN,
        &STEP_ENV,
        &STEP_WORKDIR,
        &STEP_USER,
        &SHELL,
        &STEP_ARG,
    ]),
    ..leaf(
        "on-platform",
        "on-platform \"linux/arm/v7\" { … }",
        at_least(1, "platforms").of(&[Role::Platform]),
        "Steps that are done on these platforms alone, at this place.",
    )
};

pub(super) static PACKAGES: Kind = Kind {
    props: Props::Known(&[
        prop("recommends", "`#true` also takes what they recommend").typed(Type::Boolean)
    ]),
    ..leaf(
        "packages",
        "packages \"nginx\" \"ca-certificates\"",
        at_least(1, "packages"),
        "Installs packages of the distribution that the image below is of: `NAME` or `NAME=VERSION`; on Alpine also `NAME>1`, `NAME~1.2` and `NAME@TAG`.",
    )
};
pub(super) static COPY: Kind = Kind {
    props: Props::Known(&[
        prop("from", "node to copy from in place of the context")
            .of(Role::Names(&[Noun::Base, Noun::Image])),
        CHOWN,
        MODE,
    ]),
    ..leaf(
        "copy",
        "copy \"SOURCE\" \"/dest/\"",
        SOURCES,
        "Copies files of the context or of another node.",
    )
};
const SOURCES: Args = at_least(2, "sources and a destination");
pub(super) static ADD: Kind = Kind {
    props: Props::Known(&[CHOWN, MODE, prop("checksum", "digest of a fetched file, `sha256:…`")]),
    ..leaf(
        "add",
        "add \"https://…\" \"/dest/\"",
        SOURCES,
        "Copies, unpacking local archives and fetching addresses.",
    )
};
pub(super) static FILE: Kind = Kind {
    props: Props::Known(&[CHOWN, MODE]),
    ..leaf(
        "file",
        "file \"/path\" \"content\"",
        exactly(2, "a path and the content"),
        "Writes a file.",
    )
};
pub(super) static MKDIR: Kind = Kind {
    props: Props::Known(&[CHOWN, MODE]),
    ..leaf("mkdir", "mkdir \"/path\"", at_least(1, "paths"), "Makes directories, parents included.")
};
pub(super) static SYMLINK: Kind = leaf(
    "symlink",
    "symlink \"target\" \"/path\"",
    exactly(2, "a target and a path"),
    "Makes a symbolic link.",
);
pub(super) static REMOVE: Kind =
    leaf("remove", "remove \"/path\"", at_least(1, "paths"), "Removes files and directories.");
pub(super) static RUN: Kind = Kind {
    props: Props::Known(&[prop("network", "`none`: loopback alone").of(Role::OneOf(NETWORKS))]),
    ..leaf(
        "run",
        "run \"shell text\"",
        at_least(1, "a command"),
        "Runs a shell text (one value) or a program with its words (more values).",
    )
};
static SHELL: Kind = leaf(
    "shell",
    "shell \"/bin/sh\" \"-c\"",
    at_least(1, "words"),
    "The words before the text of a shell-form `run`.",
);
static STEP_ARG: Kind = leaf(
    "arg",
    "arg \"NAME\" \"default\"",
    between(1, 2, "a name and a default"),
    "An argument that the steps after it see as a variable.",
);
