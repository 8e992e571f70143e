//! `registry` at the top of a file: where images go, and how the hosts of registries are spoken to.

use super::{Args, Children, Kind, NO_ARGS, Prop, Props, Role, Type};
use super::{at_least, exactly, leaf, prop, single};

pub(super) static REGISTRY: Kind = Kind {
    children: Children::Known(&[&MIRROR, &PLAIN_HTTP, &CA, &CLIENT_CERT, &REQUESTS, &MAX_REQUESTS]),
    ..leaf(
        "registry",
        "registry \"ghcr.io/acme\"",
        exactly(1, "a registry"),
        "Where a `publish` without a host goes. With a block it is none of this, but holds the settings of a host: `registry \"docker.io\" { mirror \"…\" }`.",
    )
};

pub(super) static REMOTE_CACHE: Kind = single(
    "remote-cache",
    "remote-cache \"ghcr.io/acme/cache\"",
    exactly(1, "a repository"),
    "Repository that keeps the results of steps, what images were built from, and the journal of publishes for other machines; one without a host is in the `registry` of the file.",
);

static MIRROR: Kind = leaf(
    "mirror",
    "mirror \"mirror.example.org/hub\"",
    at_least(1, "addresses of registries"),
    "Registries with copies, asked first and in this order for what is read: `HOST[:PORT][/PATH]`. What they send is checked by its digest.",
);

static PLAIN_HTTP: Kind = single(
    "plain-http",
    "plain-http",
    NO_ARGS,
    "Asks the host without TLS, as is done with this machine itself.",
);

static CA: Kind = single(
    "ca",
    "ca \"pki/ca.pem\"",
    exactly(1, "a path").of(&[Role::Path]),
    "File of the authorities that may have signed the certificate of the host, beside those of the machine.",
);

const KEY: Prop = prop("key", "file of the key of the certificate").of(Role::Path);

static CLIENT_CERT: Kind = Kind {
    props: Props::Known(&[KEY]),
    ..single(
        "client-cert",
        "client-cert \"pki/cert.pem\" key=\"pki/key.pem\"",
        exactly(1, "a path").of(&[Role::Path]),
        "File of the certificate that is shown to the host.",
    )
};

/// A number of requests.
const fn number() -> Args {
    Args { kind: Type::Integer, ..exactly(1, "a number") }
}

static REQUESTS: Kind = single("requests", "requests 4", number(), "Requests to the host at once.");

static MAX_REQUESTS: Kind = single(
    "max-requests",
    "max-requests 500",
    number(),
    "Requests to the host in one run, at most: for hosts that count them.",
);
