//! What a newcomer sees of mistakes within the smaller nouns: tests, Dockerfiles, secrets,
//! builders, hooks, repositories, and what bases come from.

use crate::bad::{HEAD, check};

/// (name, text after the head)
const CASES: &[(&str, &str)] = &[
    (
        "test-empty",
        "image \"a\" {\n    from \"alpine\"\n    test \"starts\"\n    test \"block\" { }\n}\n",
    ),
    (
        "test-two-checks",
        "image \"a\" {\n    from \"alpine\"\n    test \"starts\" file=\"checks.yaml\" {\n        run \"app\" \"--version\"\n    }\n}\n",
    ),
    (
        "test-expect-alone",
        "image \"a\" {\n    from \"alpine\"\n    test \"structure\" file=\"checks.yaml\" { expect exit=0 }\n    test \"nothing\" { expect exit=0 }\n    test \"vague\" { run \"x\"; expect }\n}\n",
    ),
    (
        "test-misspelled",
        "image \"a\" {\n    from \"alpine\"\n    test \"starts\" { runn \"x\" }\n    test \"child\" run=\"x\"\n    test \"prop\" { file \"checks.yaml\" }\n    test \"flie\" flie=\"checks.yaml\"\n}\n",
    ),
    (
        "test-exit",
        "image \"a\" {\n    from \"alpine\"\n    test \"high\" { run \"x\"; expect exit=256 }\n    test \"low\" { run \"x\"; expect exit=-1 }\n    test \"text\" { run \"x\"; expect exit=\"0\" }\n    test \"huge\" { run \"x\"; expect exit=99999999999999999999 }\n}\n",
    ),
    (
        "test-names",
        "image \"a\" {\n    from \"alpine\"\n    test \"starts\" { run \"x\" }\n    test \"\" { run \"x\" }\n    test { run \"x\" }\n    test \"two\\nlines\" { run \"x\" }\n    test \"for {{platform}}\" { run \"x\" }\n    test \"starts\" { run \"y\" }\n}\n",
    ),
    (
        "test-empty-values",
        "image \"a\" {\n    from \"alpine\"\n    test \"a\" { run \"\" }\n    test \"b\" { run }\n    test \"c\" file=\"\"\n    test \"d\" { run \"x\"; expect stdout=\"\" stderr=1 }\n}\n",
    ),
    (
        "test-base",
        "base \"b\" {\n    oci-layout \"x\"\n    test \"t\" { run \"x\" }\n    test \"t\" file=\"y\"\n}\n",
    ),
    (
        "duration",
        "image \"a\" {\n    from \"alpine\"\n    test \"a\" { run \"x\"; expect timeout=\"30\" }\n    test \"b\" { run \"x\"; expect timeout=\"5 minutes\" }\n    test \"c\" { run \"x\"; expect timeout=\"1.5h\" }\n    test \"d\" { run \"x\"; expect timeout=\"1h30m\" }\n    test \"e\" { run \"x\"; expect timeout=\"0s\" }\n    test \"f\" { run \"x\"; expect timeout=\"soon\" }\n    test \"g\" { run \"x\"; expect timeout=30 }\n}\n",
    ),
    (
        "duration-age",
        "base \"a\" { registry \"debian:12\"; follow \"digest\" min-age=\"2w\" }\nbase \"b\" { registry \"debian:12\"; follow \"digest\" min-age=\"99999d\" }\n",
    ),
    (
        "dockerfile-values",
        "image \"a\" {\n    dockerfile\n    target \"\"\n}\nimage \"b\" {\n    dockerfile \"\"\n    dockerfile \"b/Dockerfile\"\n}\nimage \"c\" { dockerfil \"Dockerfile\" }\n",
    ),
    (
        "context-forms",
        "image \"a\" {\n    dockerfile \"Dockerfile\"\n    named-context \"a\" \"https://example.org/x.git\"\n    named-context \"b\" \"node:\"\n    named-context \"c\" \"docker-image:debian:12\"\n    named-context \"d\" \"docker-image://Debian\"\n    named-context \"e\" \"docker-image://\"\n    named-context \"f\"\n    named-context \"two words\" \"x\"\n    named-context \"\" \"x\"\n}\n",
    ),
    (
        "context-twice",
        "image \"a\" {\n    dockerfile \"Dockerfile\"\n    named-context \"src\" \"../src\"\n    named-context \"src\" \"node:alpine\"\n}\n",
    ),
    ("mode-near", "image \"a\" { from \"alpine\"; mode \"crss\" }\n"),
    (
        "mode-unknown",
        "image \"a\" { from \"alpine\"; mode \"fast\" }\nimage \"b\" { from \"alpine\"; mode \"{{platform.arch}}\" }\nimage \"c\" { from \"alpine\"; mode }\n",
    ),
    (
        "secret-no-source",
        "image \"a\" {\n    dockerfile \"Dockerfile\"\n    secret \"npm-token\"\n    secret\n}\n",
    ),
    (
        "secret-two-sources",
        "image \"a\" {\n    dockerfile \"Dockerfile\"\n    secret \"netrc\" file=\".netrc\" env=\"NETRC\"\n}\n",
    ),
    (
        "secret-twice",
        "image \"a\" {\n    dockerfile \"Dockerfile\"\n    secret \"netrc\" env=\"NETRC\"\n    secret \"netrc\" file=\".netrc\"\n}\n",
    ),
    (
        "secret-values",
        "image \"a\" {\n    dockerfile \"Dockerfile\"\n    secret \"a\" env=\"$TOKEN\"\n    secret \"b\" env=\"s3cr3t value\"\n    secret \"c\" file=\"\"\n    secret \"d,e\" env=\"D\"\n    secret \"f\" evn=\"F\"\n    secret \"g\" value=\"x\"\n}\n",
    ),
    (
        "builder-empty",
        "builder \"farm\"\nbuilder \"b\" { }\nbuilder \"c\" { buildkit }\nbuilder { buildkit { node \"x\" \"tcp://a:1\" } }\n",
    ),
    (
        "builder-misplaced",
        "builder \"farm\" { node \"x86\" \"tcp://a:1\" }\nbuilder \"b\" { buildkitt { node \"x\" \"tcp://a:1\" } }\nbuilder \"c\" { buildkit { worker \"x\" \"tcp://a:1\" } }\n",
    ),
    (
        "worker-schemes",
        "builder \"farm\" {\n    buildkit {\n        node \"a\" \"bk.internal:1234\"\n        node \"b\" \"/run/buildkit/buildkitd.sock\"\n        node \"c\" \"http://bk.internal:1234\"\n        node \"d\" \"tpc://bk.internal:1234\"\n        node \"e\" \"bk\"\n    }\n}\n",
    ),
    (
        "worker-addresses",
        "builder \"farm\" {\n    buildkit {\n        node \"a\" \"tcp://bk.internal\"\n        node \"b\" \"tcp://bk.internal:70000\"\n        node \"c\" \"tcp://:1234\"\n        node \"d\" \"tcp://bk.internal:1234/path\"\n        node \"e\" \"tcp://fd00::1:1234\"\n        node \"f\" \"unix://run/x.sock\"\n        node \"g\" \"docker-container://\"\n        node \"h\" \"kube-pod://a/b\"\n        node \"i\" \"ssh://me:password@host\"\n        node \"j\" \"tcp://a b:1\"\n        node \"k\"\n    }\n}\n",
    ),
    (
        "worker-password",
        "builder \"farm\" {\n    buildkit {\n        node \"a\" \"tcp://me:password@host:1234\"\n        node \"b\" \"sssh://me:password@host\"\n    }\n}\n",
    ),
    (
        "worker-names",
        "builder \"farm\" {\n    buildkit {\n        node \"arm\" \"tcp://a:1\"\n        node \"arm\" \"tcp://b:1\"\n        node \"The x86\" \"tcp://c:1\"\n    }\n}\n",
    ),
    (
        "worker-platforms",
        "builder \"farm\" {\n    buildkit {\n        node \"a\" \"tcp://a:1\" platforms=\"linux/amd64, linux/amd46,linux/x86_64\"\n        node \"b\" \"tcp://b:1\" platforms=\"linux/arm64,,linux/arm/v7\"\n        node \"c\" \"tcp://c:1\" platforms=\"\"\n        node \"d\" \"tcp://d:1\" platforms=\"{{platform}}\"\n    }\n}\n",
    ),
    (
        "worker-parallel",
        "builder \"farm\" {\n    buildkit {\n        node \"a\" \"tcp://a:1\" parallel=0\n        node \"b\" \"tcp://b:1\" parallel=5000\n        node \"c\" \"tcp://c:1\" parallel=\"4\"\n    }\n}\n",
    ),
    (
        "tls-pairs",
        "builder \"farm\" {\n    buildkit {\n        node \"a\" \"tcp://a:1\" { tls ca=\"ca.pem\" cert=\"cert.pem\" }\n        node \"b\" \"tcp://b:1\" { tls key=\"key.pem\" }\n        node \"c\" \"tcp://c:1\" { tls }\n        node \"d\" \"tcp://d:1\" { tls ca=\"\" }\n    }\n}\n",
    ),
    (
        "tls-without-tcp",
        "builder \"farm\" {\n    buildkit {\n        node \"a\" \"unix:///run/x.sock\" { tls ca=\"ca.pem\" }\n    }\n}\n",
    ),
    (
        "hook-events",
        "on \"failure\" { webhook \"https://a.b\" }\non \"rebuild\" { webhook \"https://a.b\" }\non { webhook \"https://a.b\" }\n",
    ),
    (
        "hook-empty",
        "on \"failed\"\non \"failed\" { }\non \"failed\" { webhok \"https://a.b\" }\non \"failed\" webhook=\"https://a.b\"\n",
    ),
    (
        "hook-addresses",
        "on \"rebuilt\" {\n    webhook \"chat.example.org/hook\"\n    webhook \"ftp://example.org\"\n    webhook \"https:///hook\"\n    webhook \"https://a b\"\n    webhook \"https://a:port/\"\n    webhook \"https://exa..mple/\"\n    webhook \"\"\n    webhook \"https://example.org\"\n    webhook \"https://example.org\"\n}\n",
    ),
    (
        "publish-forms",
        "image \"a\" {\n    from \"alpine\"\n    publish \"https://quay.io/acme/a\"\n    publish \"Acme/App\" \"acme//app\" \"/acme/app\" \"acme/app/\"\n    publish \"my app\" \"-app\" \"acme/a___b\" \"\"\n    publish\n}\n",
    ),
    (
        "publish-tags",
        "image \"a\" {\n    from \"alpine\"\n    publish \"quay.io/acme/a:1.27\"\n    publish \"quay.io/acme/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n    publish \"localhost:5000\"\n}\n",
    ),
    (
        "publish-hosts",
        "image \"a\" {\n    from \"alpine\"\n    publish \"quay.io:x/a\" \"quay.io:0/a\" \"my_host.org/a\" \"[fd00::g]/a\"\n}\n",
    ),
    (
        "publish-twice",
        "image \"a\" {\n    from \"alpine\"\n    publish \"a\" \"quay.io/a\"\n    publish \"a\"\n}\nimage \"b\" { from \"alpine\"; publish \"b-{{platform.arch}}\" }\n",
    ),
    (
        "publish-long",
        "image \"a\" {\n    from \"alpine\"\n    publish \"ghcr.io/acme/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/0123456789012345678901234567890123456789012345678901234567890123456789\"\n}\n",
    ),
    ("registry-scheme", "registry \"https://ghcr.io/acme\"\n"),
    ("registry-no-host", "registry \"acme\"\n"),
    ("registry-slash", "registry \"ghcr.io/\"\n"),
    ("registry-tag", "registry \"ghcr.io/acme:latest\"\n"),
    ("registry-upper", "registry \"ghcr.io/Acme\"\n"),
    ("registry-port", "registry \"localhost:http/acme\"\n"),
    ("registry-twice", "registry \"ghcr.io/acme\"\nregistry \"quay.io/acme\"\n"),
    (
        "reference-forms",
        "base \"a\" { registry \"docker.io/Library/debian:12\" }\nbase \"b\" { registry \"debian:\" }\nbase \"c\" { registry \"debian:12:13\" }\nbase \"d\" { registry \"debian@sha256:12ab\" }\nbase \"e\" { registry \"debian@md5:12ab\" }\nbase \"f\" { registry \"https://docker.io/debian\" }\nbase \"g\" { registry \"\" }\nbase \"h\" { registry }\nbase \"i\" { registry \"debian:-12\" }\n",
    ),
    (
        "follow-place",
        "base \"a\" {\n    rootfs \"x.tar.gz\"\n    follow \"digest\"\n}\nbase \"b\" { debian \"bookworm\" { variant \"extract\" }; follow \"digest\" }\nbase \"c\" { follow \"digest\" }\nbase \"d\" { oci-layout \"x\"; registry \"debian\"; follow \"digest\" }\n",
    ),
    (
        "follow-digest",
        "base \"a\" {\n    registry \"debian:12@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n    follow \"digest\" min-age=\"3d\"\n}\n",
    ),
    (
        "follow-words",
        "base \"a\" { registry \"debian:12\"; follow \"tag\" }\nbase \"b\" { registry \"debian:12\"; follow \"digset\" }\nbase \"c\" { registry \"debian:12\"; follow }\nbase \"d\" { registry \"debian:12\"; follow \"digest\" age=\"3d\" }\n",
    ),
    (
        "debian-words",
        "base \"a\" { debian \"bookworm\" { variant \"minbas\"; trim \"doc\" \"man-pages\" } }\nbase \"b\" { debian \"bookworm\" { variant \"slim\"; trim \"docs\" \"locales\"; trim \"docs\" } }\nbase \"c\" { debian \"bookworm\" { varient \"extract\"; trim } }\n",
    ),
    (
        "debian-flags",
        "base \"a\" { debian \"bookworm\" { variant \"minbase\"; updates \"yes\"; security; security; arch-tags } }\n",
    ),
];

#[test]
fn every_mistake_has_its_words() {
    for (name, text) in CASES {
        check(name, &format!("{HEAD}{text}"));
    }
}
