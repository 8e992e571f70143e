//! What a newcomer sees: every mistake with its rendered diagnostic. Each case is a snapshot of the
//! text and of all that is said of it; read a changed one with the eyes of that person.

use std::collections::BTreeMap;

use mabuild_lang::{Vars, load};

use crate::{load_one, memory, rendered};

/// Lines before the case, so that it holds one mistake alone.
pub(crate) const HEAD: &str =
    "mabuild 1\nplatforms \"linux/amd64\" \"linux/arm64\"\nbase \"alpine\" { oci-layout \"x\" }\n";

/// (name, text after the head)
const CASES: &[(&str, &str)] = &[
    (
        "brace-unclosed",
        "image \"a\" {\n    from \"alpine\"\n    steps {\n        run \"x\"\n}\n\nimage \"b\" {\n    from \"a\"\n}\n",
    ),
    ("brace-unclosed-at-end", "image \"a\" {\n    from \"alpine\"\n"),
    ("brace-stray", "image \"a\" {\n    from \"alpine\"\n    }\n}\n"),
    ("brace-on-its-own-line", "image \"a\"\n{\n    from \"alpine\"\n}\n"),
    ("quote-unclosed", "image \"a {\n    from \"alpine\"\n}\nimage \"b\" { from \"a\" }\n"),
    (
        "quote-unclosed-lines",
        "image \"a\" {\n    from \"alpine\"\n    steps {\n        run \"\"\"\n        x\n    }\n}\n",
    ),
    ("comment-unclosed", "/* here\nimage \"a\" { from \"alpine\" }\n"),
    ("comment-with-hash", "# my images\nimage \"a\" { from \"alpine\" }\n"),
    ("comment-with-hash-glued", "#my images\nimage \"a\" { from \"alpine\" }\n"),
    ("keyword-bare", "let debug true\n"),
    ("equals-after-node", "let = \"x\"\nimage \"a\" { from = \"alpine\" }\n"),
    ("property-without-value", "image \"a\" { from \"alpine\"; steps { run \"x\" network= } }\n"),
    ("commas", "image \"a\" { from \"alpine\"; tags \"1\", \"2\" }\n"),
    ("brackets", "image \"a\" { from \"alpine\"; tags [\"1\" \"2\"] }\n"),
    ("single-quotes", "image 'a' { from 'alpine' }\n"),
    (
        "path-bare",
        "image \"a\" {\n    from \"alpine\"\n    steps { copy conf/app.ini /etc/app/ }\n}\n",
    ),
    ("address-bare", "base \"b\" {\n    rootfs https://example.org/rootfs.tar.gz\n}\n"),
    ("version-bare", "base \"b\" {\n    rootfs \"x\" version=3.20.3\n}\n"),
    ("values-glued", "image \"a\" { from \"alpine\"; tags \"1\"\"2\" }\n"),
    ("two-nodes-on-a-line", "image \"a\" { from \"alpine\" } image \"b\" { from \"a\" }\n"),
    ("escape", "image \"a\" { from \"alpine\"; steps { run \"grep '\\d+' x\" } }\n"),
    (
        "multiline-begins-on-its-line",
        "image \"a\" {\n    from \"alpine\"\n    steps {\n        run \"\"\"one\n        two\n        \"\"\"\n    }\n}\n",
    ),
    (
        "multiline-indent",
        "image \"a\" {\n    from \"alpine\"\n    steps {\n        run \"\"\"\n        one\n    two\n        \"\"\"\n    }\n}\n",
    ),
    (
        "multiline-end",
        "image \"a\" {\n    from \"alpine\"\n    steps {\n        run \"\"\"\n        one\"\"\"\n    }\n}\n",
    ),
    ("continuation", "image \"a\" { from \\ \"alpine\" }\n"),
    ("annotation", "image (name)\"a\" { from \"alpine\" }\n"),
    ("control-character", "image \"a\u{7}\" { from \"alpine\" }\n// \u{202e}txt\n"),
    ("unknown-top", "imgae \"a\" { from \"alpine\" }\n"),
    ("unknown-yaml", "image: \"a\"\n"),
    ("unknown-in-image", "image \"a\" {\n    form \"alpine\"\n    run \"x\"\n    zebra\n}\n"),
    ("step-at-the-top", "copy \"a\" \"b\"\n"),
    (
        "unknown-property",
        "image \"a\" { from \"alpine\"; steps { copy \"a\" \"b\" chmod=\"0644\" owner=\"0\" } }\n",
    ),
    ("child-as-property", "image \"a\" from=\"alpine\"\n"),
    (
        "duplicates",
        "image \"a\" {\n    from \"alpine\"\n    from \"alpine\"\n    env A=\"1\" A=\"2\"\n    env B=\"1\"\n    env \"B\" \"2\"\n    tags \"x\" \"x\"\n}\n",
    ),
    (
        "missing-and-stray",
        "image {\n    from\n    user \"a\" \"b\"\n    steps \"x\" { copy \"only\"; env; env \"A\"; run }\n    cmd \"x\" { y }\n}\n",
    ),
    (
        "types",
        "image \"a\" {\n    from \"alpine\"\n    tags 1.27 #true\n    env PORT=80\n    steps { copy \"a\" \"b\" mode=0644; run #null }\n}\n",
    ),
    (
        "empty-values",
        "image \"\" { from \"alpine\" }\nimage \"a\" { from \"\"; workdir \"\"; steps { copy \"\" \"x\"; run \"\" } }\n",
    ),
    (
        "names",
        "image \"My App\" { from \"alpine\" }\nimage \"scratch\" { from \"alpine\" }\nimage \"-a\" { from \"My App\" }\nlet version \"1\"\nlet \"a b\" \"1\"\n",
    ),
    (
        "name-taken",
        "image \"a\" { from \"alpine\" }\ngroup \"a\" { image \"a\" }\nbase \"alpine\" { oci-layout \"y\" }\nlet x \"1\"\nlet x \"2\"\n",
    ),
    (
        "from-missing",
        "image \"a\" {\n    cmd \"x\"\n}\nbase \"b\" {\n    cmd \"x\"\n}\nbase \"d\" { debian \"bookworm\" }\n",
    ),
    (
        "from-unknown",
        "image \"a\" { from \"alpin\" }\nimage \"b\" { from \"nothing-like-it\" }\nimage \"c\" { from \"registry.example.org/library/alpine:3.20\" }\nimage \"d\" { from \"debian:12\" }\ngroup \"g\" { image \"a\" }\nimage \"e\" { from \"g\"; steps { copy \"x\" \"/x\" from=\"agent\" } }\n",
    ),
    (
        "two-sources",
        "base \"b\" {\n    oci-layout \"x\"\n    rootfs \"y\" sha256=\"12\" sha512=\"34\"\n}\nbase \"c\" { rootfs \"y\" sha256=\"12ab\" }\n",
    ),
    (
        "ring",
        "image \"a\" { from \"b\" }\nimage \"b\" { from \"c\" }\nimage \"c\" {\n    from \"alpine\"\n    steps { copy \"/x\" \"/x\" from=\"a\" }\n}\nimage \"self\" { from \"self\" }\n",
    ),
    (
        "groups",
        "group \"empty\"\ngroup \"a\" { group \"b\"; image \"alpine\"; image \"alpne\" }\ngroup \"b\" { group \"a\" }\n",
    ),
    (
        "platform-lacks",
        "base \"small\" { oci-layout \"x\"; platforms \"linux/amd64\" }\nimage \"a\" {\n    from \"small\"\n    platforms \"linux/amd64\" \"linux/arm64\"\n}\nimage \"b\" { from \"alpine\"; steps { copy \"/x\" \"/x\" from=\"small\" } }\n",
    ),
    (
        "platform-none",
        "base \"other\" { oci-layout \"x\"; platforms \"linux/s390x\" }\nimage \"a\" { from \"other\" }\nimage \"b\" { from \"alpine\"; platforms except=\"linux/amd64,linux/arm64\" }\nimage \"c\" { from \"alpine\"; platforms }\n",
    ),
    (
        "platform-spelling",
        "image \"a\" { from \"alpine\"; platforms \"linux/amd64\" \"linux/x86_64\" \"linux/amd46\" \"arm/v7\" \"plan9/mips\" \"linux//x\" }\n",
    ),
    (
        "platform-name",
        "base \"b\" {\n    platforms \"linux/amd64\" \"linux/arm/v5\"\n    rootfs \"https://x/{{platform.alpine}}\\t{{platform.debian}}.tgz\"\n}\n",
    ),
    (
        "interpolation",
        "image \"a\" {\n    from \"{{platform}}\"\n    cmd \"\\u{41}{{sute}}\" \"{{ platfrom.os }}\" \"{{.Names}}\" \"{{\" \"{{}}\" \"{{version}}\" \"{{git.commit}}\"\n    env X=#\"\\{{nope}}\"#\n    steps {\n        run \"\"\"\n            first\\t\n              then {{nope}}\n            \"\"\"\n    }\n    tags \"{{platform.arch}}\"\n}\nlet suite \"x\"\n",
    ),
    (
        "lets",
        "let a\nlet b env=\"NOT_SET\"\nlet c \"1\" default=\"2\"\nlet d \"{{e}}\"\nlet e \"{{platform}}\"\nlet\n",
    ),
    (
        "step-values",
        "image \"a\" {\n    from \"alpine\"\n    arg \"VERSON\" \"1\"\n    arg \"1X\" \"1\"\n    steps {\n        arg \"VERSION\"\n        copy \"a\" \"b\" mode=\"0999\"\n        run \"x\" network=\"host\"\n        add \"https://x/y\" \"local\" \"/z\" checksum=\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n        add \"https://x/y\" \"/z\" checksum=\"md5:1\"\n        env \"A=B\" \"c\"\n        run \"a\\u{0}b\"\n    }\n    expose \"http\" \"80\" \"70000\"\n    tags \"-x\" \"a/b\"\n}\n",
    ),
    ("version-late", "mabuild 1\n"),
    ("include", "include \"gone.kdl\" \"none/*.kdl\" \"{{x}}.kdl\" \"[.kdl\" \"\"\n"),
    ("not-a-number", "let x 99999999999999999999999999999999999999999999\nlet y 0xZZ\n"),
    ("slashdash-deep", "/-a { /-b { /-c { /-d { /-e { x } } } } }\n"),
];

/// Texts without the head.
const WHOLE: &[(&str, &str)] = &[
    ("whole-empty", ""),
    ("whole-no-version", "platforms \"linux/amd64\"\nimage \"a\" { from \"scratch\" }\n"),
    ("whole-newer-version", "mabuild 2\nsomething new\n"),
    ("whole-odd-version", "mabuild \"1\"\nmabuild 0\n"),
    (
        "whole-no-platforms",
        "mabuild 1\nbase \"b\" { oci-layout \"x\" }\nimage \"a\" { from \"scratch\" }\nimage \"c\" { from \"b\" }\n",
    ),
    ("whole-two-platforms", "mabuild 1\nplatforms \"linux/amd64\"\nplatforms \"linux/arm64\"\n"),
    (
        "whole-crlf",
        "mabuild 1\r\nplatforms \"linux/amd64\"\r\nimage \"a\" {\r\n    from \"nobody\"\r\n}\r\n",
    ),
    (
        "whole-tabs-and-wide-letters",
        "mabuild 1\nplatforms \"linux/amd64\"\nimage \"a\" {\n\tfrom \"scratch\"\n\tlabel \"名前\" \"値\" \"余り\"\n}\n",
    ),
];

#[test]
fn every_mistake_has_its_words() {
    for (name, text) in CASES {
        check(name, &format!("{HEAD}{text}"));
    }
    for (name, text) in WHOLE {
        check(name, text);
    }
}

pub(crate) fn check(name: &str, text: &str) {
    let loaded = load_one(text);
    assert!(!loaded.diagnostics.is_empty(), "{name} is no mistake");
    for diagnostic in &loaded.diagnostics {
        assert!(diagnostic.help.is_some(), "{name}: no help: {diagnostic:?}");
        assert!(diagnostic.code.starts_with("mabuild::lang::"), "{name}: {diagnostic:?}");
        assert!(!diagnostic.message.ends_with('.'), "{name}: {diagnostic:?}");
    }
    insta::assert_snapshot!(name, rendered(&loaded));
}

#[test]
fn names_in_two_files() {
    let files = memory(&[
        (
            "mabuild.kdl",
            "mabuild 1\nplatforms \"linux/amd64\"\ninclude \"b.kdl\"\nimage \"a\" { from \"scratch\" }\n",
        ),
        ("b.kdl", "\n// a comment\nimage \"a\" { from \"scratch\" }\n"),
    ]);
    let loaded = load("mabuild.kdl", &files, &Vars::default());
    insta::assert_snapshot!("two-files", rendered(&loaded));
}

#[test]
fn values_from_outside() {
    let text = "mabuild 1\nlet suite \"x\"\nlet port 80\nlet debug env=\"DEBUG\" default=#false\n";
    let set = ["sute", "port", "other"].map(|name| (name.to_owned(), "abc".to_owned()));
    let vars = Vars {
        set: BTreeMap::from(set),
        env: BTreeMap::from([("DEBUG".to_owned(), "yes".to_owned())]),
        ..Vars::default()
    };
    let loaded = load("mabuild.kdl", &memory(&[("mabuild.kdl", text)]), &vars);
    insta::assert_snapshot!("outside", rendered(&loaded));
}

#[test]
fn no_main_file() {
    let loaded = load("d/mabuild.kdl", &memory(&[]), &Vars::default());
    insta::assert_snapshot!("no-file", rendered(&loaded));
}
