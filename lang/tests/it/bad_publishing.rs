//! What a newcomer sees of mistakes in where and how images are published, and in how the hosts of
//! registries are spoken to.

use mabuild_lang::{Vars, load};

use crate::bad::{HEAD, check};
use crate::{memory, rendered};

/// (name, text after the head)
const CASES: &[(&str, &str)] = &[
    (
        "publishing-format",
        "format \"oic\"\nimage \"a\" {\n    from \"alpine\"\n    publish \"ghcr.io/a\"\n    format \"docker-v1\"\n}\nimage \"b\" { from \"alpine\"; publish \"ghcr.io/b\"; format }\n",
    ),
    (
        "publishing-require",
        "image \"a\" {\n    from \"alpine\"\n    publish \"ghcr.io/a\"\n    require \"linux/amd64\" \"linux/riscv64\"\n}\nimage \"b\" { from \"alpine\"; publish \"ghcr.io/b\"; require all \"linux/amd64\" }\nimage \"c\" { from \"alpine\"; publish \"ghcr.io/c\"; require }\nimage \"d\" { from \"alpine\"; publish \"ghcr.io/d\"; require \"amd46\"; require all }\n",
    ),
    (
        "publishing-require-variant",
        "image \"a\" {\n    matrix { v \"1\" \"2\" }\n    from \"alpine\"\n    platforms except=\"linux/arm64\"\n    publish \"ghcr.io/a\"\n    require \"linux/arm64\"\n}\n",
    ),
    (
        "publishing-late",
        "late \"7d\"\nimage \"a\" { from \"alpine\"; publish \"ghcr.io/a\"; late carry 7 }\nimage \"b\" { from \"alpine\"; publish \"ghcr.io/b\"; late cary \"7d\" }\nimage \"c\" { from \"alpine\"; publish \"ghcr.io/c\"; late carry \"a week\" }\nimage \"d\" { from \"alpine\"; publish \"ghcr.io/d\"; late carry=\"7d\" }\n",
    ),
    (
        "publishing-annotation",
        "annotation \"dev.mabuild.key.v1\" \"x\"\nimage \"a\" {\n    from \"alpine\"\n    publish \"ghcr.io/a\"\n    annotation \"org.example.team\" \"one\"\n    annotation \"org.example.team\" \"two\"\n    annotation \"org.example.platform\" \"{{platform}}\"\n    annotation \"\" \"x\"\n    annotation \"two\\nlines\" \"x\"\n    annotation \"lone\"\n    annotation team=\"x\"\n}\n",
    ),
    (
        "publishing-file-twice",
        "format \"oci\"\nformat \"docker\"\nrequire all\nrequire \"linux/amd64\"\nlate carry \"7d\"\nlate carry \"8d\"\nannotation \"a\" \"1\"\nannotation \"a\" \"2\"\n",
    ),
    (
        "publishing-of-nothing",
        "template \"t\" { format \"docker\"; late carry \"1d\" }\nimage \"a\" {\n    use \"t\"\n    from \"alpine\"\n    require \"linux/amd64\"\n    annotation \"org.example.team\" \"x\"\n}\nbase \"b\" { oci-layout \"x\"; format \"docker\" }\n",
    ),
    (
        "publishing-annotation-of-docker",
        "format \"docker\"\nimage \"a\" { from \"alpine\"; publish \"ghcr.io/a\"; annotation \"org.example.team\" \"x\" }\n",
    ),
    ("host-path", "registry \"ghcr.io/acme\" { requests 4 }\n"),
    (
        "host-empty",
        "registry \"ghcr.io\" { }\nregistry \"acme\" { requests 4 }\nregistry { requests 4 }\n",
    ),
    (
        "host-twice",
        "registry \"docker.io\" { requests 4 }\nregistry \"Docker.IO\" { max-requests 9 }\nregistry \"index.docker.io\" { max-requests 9 }\nregistry \"ghcr.io\" { requests 4; requests 5 }\n",
    ),
    (
        "host-numbers",
        "registry \"ghcr.io\" { requests 0; max-requests -1 }\nregistry \"quay.io\" { requests 1000; max-requests 99999999999 }\nregistry \"r.example\" { requests \"4\"; max-requests }\n",
    ),
    (
        "host-settings",
        "registry \"ghcr.io\" { mirrors \"m.example\"; insecure; plain-http #true }\nregistry \"quay.io\" mirror=\"m.example\"\nimage \"a\" { from \"alpine\"; plain-http }\n",
    ),
    (
        "host-mirrors",
        "registry \"docker.io\" {\n    mirror \"ftp://m.example\" \"mirror\" \"https://m.example/Hub\"\n    mirror \"https://joe:geheim@m.example\" \"https://m.example/v2/hub\"\n    mirror \"docker.io\" \"m.example:99999\" \"m.example//hub\" \"m.example/hub:1\"\n    mirror \"\"\n    mirror\n    mirror \"https://good.example/\" \"good.example\"\n}\n",
    ),
    (
        "host-mirror-without-tls",
        "registry \"docker.io\" { mirror \"http://m.example\" \"https://n.example\" \"http://127.0.0.1:5000\" }\nregistry \"n.example\" { plain-http }\n",
    ),
    (
        "host-certificates",
        "registry \"ghcr.io\" { plain-http; ca \"ca.pem\" }\nregistry \"quay.io\" { client-cert \"c.pem\" }\nregistry \"r.example\" { client-cert key=\"k.pem\" }\nregistry \"s.example\" { ca \"\"; client-cert \"c.pem\" kye=\"k.pem\" }\n",
    ),
    ("remote-cache-no-registry", "remote-cache \"cache\"\n"),
    ("remote-cache-forms", "registry \"ghcr.io/acme\"\nremote-cache \"cache:latest\"\n"),
    ("remote-cache-twice", "remote-cache \"ghcr.io/a\"\nremote-cache \"ghcr.io/b\"\n"),
    ("remote-cache-address", "remote-cache \"https://ghcr.io/acme/cache\"\n"),
];

#[test]
fn every_mistake_has_its_words() {
    for (name, text) in CASES {
        check(name, &format!("{HEAD}{text}"));
    }
}

#[test]
fn no_login_is_shown() {
    let text = format!(
        "{HEAD}registry \"docker.io\" {{ mirror \"https://joe:geheim@m.example\" \"joe:geheim@m.example/x\" }}\n"
    );
    let loaded = crate::load_one(&text);
    // The lines of the file itself are shown; what is said of them has nothing of it.
    for diagnostic in &loaded.diagnostics {
        let labels = diagnostic.labels.iter().map(|(_, label)| label);
        let said = labels.chain(&diagnostic.help).chain([&diagnostic.message]);
        assert!(said.into_iter().all(|text| !text.contains("geheim")), "{diagnostic:?}");
    }
    assert_eq!(loaded.diagnostics.len(), 2);
}

#[test]
fn hosts_of_two_files_are_told_apart() {
    let files = memory(&[
        (
            "mabuild.kdl",
            "mabuild 1\nplatforms \"linux/amd64\"\ninclude \"b.kdl\"\nregistry \"ghcr.io\" { requests 4 }\n",
        ),
        ("b.kdl", "registry \"ghcr.io\" { requests 5 }\nregistry \"quay.io\" { requests 5 }\n"),
    ]);
    let loaded = load("mabuild.kdl", &files, &Vars::default());
    insta::assert_snapshot!("host-twice-in-two-files", rendered(&loaded));
}
