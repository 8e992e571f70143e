//! Mistakes with matrices, templates and what differs by platform, as a terminal shows them.

use crate::bad::{HEAD, check};

const PYTHON: &str = "image \"python\" {\n    matrix { python \"3.11\" \"3.12\"; suite \"bookworm\" \"trixie\" }\n    from \"alpine\"\n}\n";

const CASES: &[(&str, &str)] = &[
    (
        "matrix-empty",
        "image \"a\" { from \"alpine\"; matrix }\nimage \"b\" { from \"alpine\"; matrix { } }\n",
    ),
    (
        "matrix-axes",
        "image \"a\" {\n    from \"alpine\"\n    matrix {\n        platform \"x\"\n        \"1x\" \"y\"\n        v \"1\" \"1\" \"a b\" 3\n        v \"2\"\n        w\n    }\n}\n",
    ),
    (
        "matrix-picks",
        "image \"a\" {\n    from \"alpine\"\n    matrix {\n        python \"3.11\" \"3.12\"\n        exclude pyton=\"3.11\"\n        exclude python=\"3.1\"\n        exclude\n        only python=\"3.11\" python=\"3.12\"\n    }\n}\n",
    ),
    (
        "matrix-nothing-left",
        "image \"a\" {\n    from \"alpine\"\n    matrix { v \"1\"; exclude v=\"1\" }\n}\nimage \"b\" { from \"a\" }\n",
    ),
    ("matrix-in-a-base", "base \"a\" { rootfs \"x\"; matrix { v \"1\" } }\n"),
    (
        "from-which-variant",
        "image \"a\" { from \"python\" }\nimage \"b\" { from \"python\" python=\"3.12\" }\nimage \"c\" {\n    from \"alpine\"\n    steps { copy \"/x\" \"/x\" from=\"python\" }\n}\n",
    ),
    (
        "from-no-such-variant",
        "image \"a\" { from \"python\" python=\"3.13\" suite=\"trixie\" }\nimage \"b\" { from \"python\" pyhton=\"3.12\" }\nimage \"c\" {\n    matrix { suite \"sid\" \"trixie\" }\n    from \"python\" python=\"3.12\"\n}\n",
    ),
    (
        "from-picks-without-a-matrix",
        "image \"a\" { from \"alpine\" python=\"3.12\" }\nimage \"b\" { from \"alpine[3]\" }\n",
    ),
    (
        "from-brackets",
        "image \"a\" { from \"python[3.13,trixie]\" }\nimage \"b\" { from \"python[python=3.12,suite=trxie]\" }\nimage \"two\" { matrix { a \"1\"; b \"1\" \"2\" }; from \"alpine\" }\nimage \"c\" { from \"two[1]\" }\ngroup \"g\" { image \"python[3.9]\"; image \"pyton[3.12]\" }\n",
    ),
    (
        "tags-of-variants",
        "image \"a\" {\n    matrix { v \"1\" \"2\"; w \"x\" \"y+z\" }\n    from \"alpine\"\n    tags \"{{v}}\" \"{{v}}-{{w}}\"\n}\nimage \"b\" {\n    matrix { v \"1\" \"2\" }\n    from \"alpine\"\n    tags \"{{v}}\" \"latest\" \"1\"\n}\n",
    ),
    (
        "axis-where-nothing-varies",
        "image \"a\" {\n    matrix { v \"1\" }\n    from \"alpine\"\n    steps { mkdir \"/x\" mode=\"{{v}}\"; run \"x\" network=\"{{v}}\"; arg \"{{v}}\" }\n}\nimage \"b\" { from \"alpine\"; cmd \"{{v}}\" }\n",
    ),
    (
        "matrix-ring",
        "image \"a\" {\n    matrix { v \"1\" \"2\" \"3\" }\n    from \"b\"\n}\nimage \"b\" {\n    matrix { v \"1\" \"2\" \"3\" }\n    from \"a\"\n}\n",
    ),
    (
        "template-unknown",
        "template \"service\" { user \"x\" }\nimage \"a\" { from \"alpine\"; use \"sevice\" \"other\" }\nimage \"b\" { from \"alpine\"; use \"service\"; use }\n",
    ),
    (
        "template-ring",
        "template \"a\" { use \"b\" }\ntemplate \"b\" { use \"c\" }\ntemplate \"c\" { use \"a\" }\nimage \"x\" { use \"a\"; from \"alpine\" }\n",
    ),
    (
        "template-twice",
        "template \"a\" { user \"x\" }\ntemplate \"a\" { user \"y\" }\ntemplate \"unused\" { user \"z\" }\nimage \"x\" { use \"a\"; from \"alpine\" }\n",
    ),
    (
        "template-holds-mistakes",
        "template \"a\" {\n    usr \"x\"\n    user \"{{who}}\"\n    cmd \"{{v}}\"\n    env A=\"1\" A=\"2\"\n    matrx { v \"1\" }\n}\nimage \"x\" { use \"a\"; from \"alpine\" }\nimage \"y\" { use \"a\"; from \"alpine\"; matrix { v \"1\" } }\n",
    ),
    (
        "on-platform",
        "image \"a\" {\n    from \"alpine\"\n    on-platform \"linux/s390x\" { env A=\"1\" }\n    on-platform \"linux/amd\" { run \"x\" }\n    on-platform\n    steps {\n        on-platform \"linux/arm64\" { on-platform \"linux/amd64\" { run \"x\" } }\n    }\n    on-platform \"linux/arm64\" { tags \"x\" }\n}\n",
    ),
];

#[test]
fn every_mistake_has_its_words() {
    for (name, text) in CASES {
        let python = if text.contains("\"python") || text.contains("pyton[") { PYTHON } else { "" };
        check(name, &format!("{HEAD}{python}{text}"));
    }
}

#[test]
fn too_many_variants() {
    let axis = |name: &str| {
        let values: Vec<String> = (0..50).map(|at| format!("\"{at}\"")).collect();
        format!("{name} {}; ", values.join(" "))
    };
    let axes: String = ["a", "b", "c", "d"].map(axis).concat();
    let text = format!("image \"a\" {{\n    from \"alpine\"\n    matrix {{ {axes} }}\n}}\n");
    let loaded = crate::load_one(&format!("{HEAD}{text}"));
    assert_eq!(loaded.diagnostics.len(), 1);
    assert_eq!(loaded.diagnostics[0].message, "`a` has more than 100000 variants");
}
