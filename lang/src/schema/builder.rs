//! `builder`: the workers of BuildKit.

use super::{Children, Kind, NO_ARGS, Noun, Props, Role, Type};
use super::{exactly, leaf, prop, single};

pub(super) static BUILDER: Kind = Kind {
    children: Children::Known(&[&BUILDKIT]),
    ..leaf(
        "builder",
        "builder \"NAME\" { buildkit { … } }",
        exactly(1, "a name").of(&[Role::Declares(Noun::Builder)]),
        "Workers that images can be built on, one or more per architecture.",
    )
};

static BUILDKIT: Kind = Kind {
    children: Children::Known(&[&NODE]),
    ..single("buildkit", "buildkit { node \"NAME\" \"tcp://…\" }", NO_ARGS, "Workers of BuildKit.")
};

static NODE: Kind = Kind {
    props: Props::Known(&[
        prop(
            "platforms",
            "what it builds without an emulator, with commas; asked of it when left out",
        )
        .of(Role::Platforms),
        prop("parallel", "builds that it does at a time").typed(Type::Integer),
    ]),
    children: Children::Known(&[&TLS]),
    ..leaf(
        "node",
        "node \"NAME\" \"tcp://HOST:1234\" platforms=\"linux/arm64\"",
        exactly(2, "a name and an address"),
        "One worker: `tcp://`, `unix://`, `docker-container://`, `kube-pod://`, `podman-container://`, `ssh://`.",
    )
};

static TLS: Kind = Kind {
    props: Props::Known(&[
        prop("ca", "certificate of the authority that signed the worker's").of(Role::Path),
        prop("cert", "certificate that is shown to the worker").of(Role::Path),
        prop("key", "key of that certificate").of(Role::Path),
    ]),
    ..single(
        "tls",
        "tls ca=\"ca.pem\" cert=\"cert.pem\" key=\"key.pem\"",
        NO_ARGS,
        "Files for a connection that both sides prove themselves on.",
    )
};
