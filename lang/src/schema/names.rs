//! The names that the language itself gives a value between `{{` and `}}`.

use crate::config::PlatformField;
use crate::load::Git;

/// A name that has a value without a `let` or an axis.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// The name, without braces.
    pub name: &'static str,
    /// What it stands for, for people.
    pub doc: &'static str,
    /// Where its value comes from.
    pub(crate) source: Source,
}

/// Where the value of a [`Builtin`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The `version` of a base's root file system, or what is found of a range to follow.
    Version,
    /// The name of the node that the text stands in.
    Node,
    /// The platform that is built for.
    Platform(PlatformField),
    /// The folder's repository.
    Git(Git),
    /// The clock.
    Date,
}

const fn builtin(name: &'static str, source: Source, doc: &'static str) -> Builtin {
    Builtin { name, doc, source }
}

/// All of them.
pub static BUILTINS: [Builtin; 13] = [
    builtin(
        "version",
        Source::Version,
        "the `version` of the base's `rootfs`, or what `follow` finds",
    ),
    builtin("image.name", Source::Node, "the name of the base or image"),
    of_platform("platform", PlatformField::Whole, "the whole platform, `linux/arm/v7`"),
    of_platform("platform.os", PlatformField::Os, "`linux`"),
    of_platform("platform.arch", PlatformField::Arch, "`arm`"),
    of_platform("platform.variant", PlatformField::Variant, "`v7`; empty where there is none"),
    of_platform("platform.debian", PlatformField::Debian, "as Debian calls it, `armhf`"),
    of_platform("platform.alpine", PlatformField::Alpine, "as Alpine calls it, `armv7`"),
    of_platform("platform.uname", PlatformField::Uname, "as `uname -m` prints it, `armv7l`"),
    of_platform(
        "platform.triple",
        PlatformField::Triple,
        "as a compiler calls it, `arm-linux-gnueabihf`",
    ),
    builtin("git.commit", Source::Git(Git::Commit), "the commit of the folder"),
    builtin(
        "git.describe",
        Source::Git(Git::Describe),
        "the commit by its nearest tag, `-dirty` where files differ",
    ),
    builtin(
        "date",
        Source::Date,
        "today in UTC, `2026-11-21`; a warning where it would make a node stale every day",
    ),
];

const fn of_platform(name: &'static str, field: PlatformField, doc: &'static str) -> Builtin {
    builtin(name, Source::Platform(field), doc)
}

/// A name by itself.
pub(crate) fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|known| known.name == name)
}
