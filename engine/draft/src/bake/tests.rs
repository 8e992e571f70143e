//! Expressions, and files that are wrong or hostile.

use super::eval::span;
use super::globals::Globals;
use super::scope::Scope;
use crate::from_bake;
use crate::tests::{files, shown};

const NO_VARS: fn(&str) -> Option<String> = |_| None;

/// The value of an expression as JSON, or what is wrong with it.
fn eval(expr: &str) -> String {
    let text = format!("V = \"v1\"\nN = 3\nx = {expr}\n");
    let body = hcl_edit::parser::parse_body(&text).unwrap();
    let (globals, _, _) = Globals::new(&body, &NO_VARS);
    let expr = &body.get_attribute("x").unwrap().value;
    match globals.eval(expr, &Scope::default()) {
        Ok(value) => value.json().to_string(),
        Err(wrong) => {
            assert!(span(expr).start <= wrong.span.start, "{wrong:?}");
            format!("error: {}", wrong.message)
        }
    }
}

#[test]
fn expressions() {
    for (expr, wanted) in [
        ("1 + 2 * 3 - 4 / 2 % 3", "5"),
        ("\"${V}-${N}\"", "\"v1-3\""),
        ("\"$${V} %%{if}\"", "\"${V} %{if}\""),
        ("V == \"v1\" && !(N < 3) ? \"yes\" : \"no\"", "\"yes\""),
        ("-N", "-3"),
        ("[for i, v in [\"a\", \"b\"] : \"${i}${v}\" if v != \"a\"]", "[\"1b\"]"),
        ("{for k, v in {b = 2, a = 1} : upper(k) => v + 1}", "{\"A\":2,\"B\":3}"),
        (
            "{for v in [\"ab\", \"ac\", \"b\"] : substr(v, 0, 1) => v...}",
            "{\"a\":[\"ab\",\"ac\"],\"b\":[\"b\"]}",
        ),
        ("[{a = 1}, {a = 2}][*].a", "[1,2]"),
        ("{a = {b = [5, 6]}}.a.b[1]", "6"),
        ("max([1, 7, 3]...)", "7"),
        ("<<-EOT\n    a\n      b ${V}\n    EOT\n", "\"a\\n  b v1\\n\""),
        ("\"%{ for i in [1, 2] }<${i}>%{ endfor }\"", "\"<1><2>\""),
        ("\"a %{~ if N == 3 ~} b %{~ else ~} c %{~ endif ~} d\"", "\"abd\""),
        ("try(nothing, [][0], \"left\")", "\"left\""),
        ("can(nothing.at.all)", "false"),
        ("0.1 + 0.25", "0.35"),
    ] {
        assert_eq!(eval(expr), wanted, "{expr}");
    }
}

#[test]
fn functions() {
    for (expr, wanted) in [
        ("[upper(\"a\"), lower(\"A\"), title(\"one two\")]", "[\"A\",\"a\",\"One Two\"]"),
        (
            "[trimspace(\" a \"), trim(\"xax\", \"x\"), trimprefix(\"v1\", \"v\"), trimsuffix(\"a.b\", \".b\"), chomp(\"a\\n\\n\")]",
            "[\"a\",\"a\",\"1\",\"a\",\"a\"]",
        ),
        (
            "[replace(\"a.b.c\", \".\", \"-\"), regex_replace(\"v1.2\", \"v(\\\\d)\", \"r$${1}x\")]",
            "[\"a-b-c\",\"r1x.2\"]",
        ),
        (
            "[regex(\"(\\\\w)-(\\\\d)\", \"a-1\"), regexall(\"\\\\d\", \"1a2\")]",
            "[[\"a\",\"1\"],[\"1\",\"2\"]]",
        ),
        (
            "[split(\",\", \"a,b\"), join(\"-\", [\"a\", 1]), substr(\"hello\", -3, 2), reverse(\"ab\"), strlen(\"äb\")]",
            "[[\"a\",\"b\"],\"a-1\",\"ll\",\"ba\",2]",
        ),
        (
            "[format(\"%s|%5d|%-4s|%05.1f|%q|%v|%%|%x\", \"a\", 7, \"b\", 1.25, \"q\", [1], 255), formatlist(\"%s-%s\", [\"a\", \"b\"], \"c\")]",
            "[\"a|    7|b   |001.2|\\\"q\\\"|[1]|%|ff\",[\"a-c\",\"b-c\"]]",
        ),
        (
            "[sanitize(\"a/b:c\"), basename(\"a/b.c\"), dirname(\"a/b.c\"), indent(2, \"a\\nb\")]",
            "[\"a_b_c\",\"b.c\",\"a\",\"a\\n  b\"]",
        ),
        (
            "[length([1, 2]), length({a = 1}), length(\"abc\"), contains([\"a\"], \"a\"), element([\"a\", \"b\"], 3), index([\"a\"], 0), indexof([\"a\", \"b\"], \"b\")]",
            "[2,1,3,true,\"b\",\"a\",1]",
        ),
        (
            "[concat([1], [2]), flatten([[1], [[2]]]), compact([\"\", \"a\"]), distinct([1, 1, 2]), sort([\"b\", \"a\"]), reverselist([1, 2])]",
            "[[1,2],[1,2],[\"a\"],[1,2],[\"a\",\"b\"],[2,1]]",
        ),
        (
            "[slice([1, 2, 3], 1, 3), chunklist([1, 2, 3], 2), range(3), range(1, 7, 3), setproduct([1, 2], [\"a\"])]",
            "[[2,3],[[1,2],[3]],[0,1,2],[1,4],[[1,\"a\"],[2,\"a\"]]]",
        ),
        (
            "[setunion([1], [2, 1]), setintersection([1, 2], [2]), setsubtract([1, 2], [2]), setsymmetricdifference([1, 2], [2, 3])]",
            "[[1,2],[2],[1],[1,3]]",
        ),
        (
            "[lookup({a = 1}, \"b\", 2), keys({b = 1, a = 2}), values({b = 1, a = 2}), merge({a = 1}, {a = 2, b = 3}), zipmap([\"k\"], [1])]",
            "[2,[\"a\",\"b\"],[2,1],{\"a\":2,\"b\":3},{\"k\":1}]",
        ),
        (
            "[coalesce(null, \"a\"), coalescelist([], [1]), equal(1, \"1\"), notequal(1, 2), and(true, false), or(true, false), not(true)]",
            "[\"a\",[1],false,true,false,true,false]",
        ),
        (
            "[add(1, 2), subtract(5, 3), multiply(2, 3), divide(7, 2), modulo(7, 4), min(2, 1), absolute(-2), ceil(1.2), floor(1.8), int(-1.8), signum(-3), pow(2, 10), parseint(\"ff\", 16)]",
            "[3,2,6,3.5,3,1,2,2,1,-1,-1,1024,255]",
        ),
        ("[greaterthan(2, 1), lessthanorequalto(2, 1)]", "[true,false]"),
        (
            "[jsonencode({a = [1, null]}), jsondecode(\"{\\\"a\\\":1}\"), base64encode(\"hi\"), base64decode(\"aGk=\"), urlencode(\"a b/c\")]",
            "[\"{\\\"a\\\":[1,null]}\",{\"a\":1},\"aGk=\",\"hi\",\"a+b%2Fc\"]",
        ),
        (
            "[md5(\"\"), sha1(\"\"), substr(sha256(\"\"), 0, 8), substr(sha512(\"\"), 0, 8)]",
            "[\"d41d8cd98f00b204e9800998ecf8427e\",\"da39a3ee5e6b4b0d3255bfef95601890afd80709\",\"e3b0c442\",\"cf83e135\"]",
        ),
        (
            "formatdate(\"EEE, DD MMM YYYY 'at' HH:mm aa ZZZ\", \"2024-02-29T13:05:09Z\")",
            "\"Thu, 29 Feb 2024 at 01:05 pm UTC\"",
        ),
    ] {
        assert_eq!(eval(expr), wanted, "{expr}");
    }
}

#[test]
fn wrong_expressions() {
    for (expr, wanted) in [
        ("nothing", "error: nothing is named `nothing`"),
        ("unknown(1)", "error: there is no function `unknown`, or none that a draft can use"),
        ("upper()", "error: `upper`: value 1 is missing"),
        ("upper([1])", "error: `upper`: value 1 is a list, not a string"),
        ("[1][2]", "error: the list has 1 elements and no number 2"),
        ("{a = 1}.b", "error: the map has no `b`; it has a"),
        ("1 + \"a\"", "error: a number is wanted, and this is a string"),
        ("1 / 0", "error: this gives no number"),
        ("\"${[1]}!\"", "error: a string, a number or a boolean is wanted, and this is a list"),
        ("1 ? 2 : 3", "error: `true` or `false` is wanted, and this is a number"),
        (
            "regex(\"(\", \"a\")",
            "error: `regex`: the pattern is no regular expression, or too large",
        ),
        ("x", "error: `x` needs its own value"),
        ("format(\"%d\", \"a\")", "error: `format`: `%d` wants a number"),
        ("format(\"%s\")", "error: `format`: value 1 is missing"),
        ("formatdate(\"YYYY\", \"today\")", "error: `formatdate`: the time is none of RFC 3339"),
        ("range(0, 1000000000)", "error: `range`: the range has more than 1024 numbers"),
        ("format(\"%999999999d\", 1)", "error: `format`: the string grows to more than 256 KiB"),
        ("indent(1000000000, \"a\\nb\")", "error: `indent`: the string grows to more than 256 KiB"),
        (
            "setproduct(range(1000), range(1000))",
            "error: `setproduct`: the product has more than 10000 elements",
        ),
    ] {
        assert_eq!(eval(expr), wanted, "{expr}");
    }
}

fn drafted(text: &str) -> String {
    shown(from_bake("docker-bake.hcl", text, &files, &NO_VARS))
}

#[test]
fn wrong_files() {
    for (text, wanted) in [
        (
            "target \"a\" {\n  args = { A = nope }\n  tags = [oops]\n}\n",
            "error: docker-bake.hcl:2:16: nothing is named `nope`; declare it with `variable \"nope\" { default = \"…\" }`\nerror: docker-bake.hcl:3:11: nothing is named `oops`; declare it with `variable \"oops\" { default = \"…\" }`\n",
        ),
        (
            "variable \"VERSION\" {}\ntarget \"a\" {\n  target = VERSIN\n}\n",
            "error: docker-bake.hcl:3:12: nothing is named `VERSIN`; did you mean `VERSION`?\n",
        ),
        (
            "target \"a\" { inherits = [\"b\"] }\ntarget \"b\" { inherits = [\"a\"] }\n",
            "error: docker-bake.hcl:2:25: target `b` inherits from itself through `a`\n",
        ),
        (
            "target \"a\" { inherits = [\"c\"] }\n",
            "error: docker-bake.hcl:1:25: there is no target `c` to inherit from\n",
        ),
        (
            "target \"a\" { matrix = { v = [\"1\"] } }\n",
            "error: docker-bake.hcl:1:23: target `a` has a matrix and no `name`; write `name = \"…-${AXIS}\"`\n",
        ),
        (
            "target \"a\" { args = [] }\n",
            "error: docker-bake.hcl:1:21: a map is wanted, and this is a list\n",
        ),
        (
            "target { }\n",
            "error: docker-bake.hcl:1:1: this `target` needs one name; write `target \"NAME\" { … }`\n",
        ),
        (
            "function \"f\" { params = [] }\ntarget \"a\" {}\n",
            "error: docker-bake.hcl:1:1: function `f` has no `result`; write `result = …` into the block\n",
        ),
        (
            "group \"g\" { targets = [\"a\"] }\n",
            "error: docker-bake.hcl: the file has no target that is built; write a `target` block, or draft from another file\n",
        ),
    ] {
        assert_eq!(drafted(text), wanted, "{text}");
    }
    assert!(drafted("target \"a\" {\n  tags = [\n").starts_with("error: docker-bake.hcl:"));
    let json = |text: &str| shown(from_bake("docker-bake.json", text, &files, &NO_VARS));
    assert!(
        json("{\n  \"target\": {,\n").starts_with("error: docker-bake.json:2:14: this is no JSON")
    );
    assert!(json("[]").starts_with("error: docker-bake.json: a bake file in JSON is an object"));
}

#[test]
fn hostile_files_are_refused() {
    let doubling: String = (1..60)
        .map(|n| format!("v{n} = [v{}, v{}]\n", n - 1, n - 1))
        .chain(
            ["v0 = \"x\"\ntarget \"a\" { args = { A = join(\"\", flatten(v59)) } }\n".to_owned()],
        )
        .collect();
    let chain: String = (1..5000)
        .map(|n| format!("v{n} = v{}\n", n - 1))
        .chain(["v0 = \"x\"\ntarget \"a\" { target = v4999 }\n".to_owned()])
        .collect();
    let inherits: String = (1..5000)
        .map(|n| format!("target \"t{n}\" {{ inherits = [\"t{}\"] }}\n", n + 1))
        .chain(["target \"t5000\" {}\n".to_owned()])
        .collect();
    let many = "\"x\", ".repeat(1200);
    for (text, wanted) in [
        (doubling, "too much work"),
        (chain, "nested too deep"),
        (inherits, "inherits from itself"),
        (
            "function \"f\" {\n params = [x]\n result = f(x)\n}\ntarget \"a\" { target = f(1) }\n"
                .to_owned(),
            "needs its own value",
        ),
        (
            format!("target \"a\" {{ matrix = {{ v = [{many}] }} }}\n"),
            "more than 1000 combinations",
        ),
        (
            format!("target \"a\" {{ target = {}1{} }}\n", "(".repeat(500), ")".repeat(500)),
            "64 nested levels",
        ),
        (
            format!("target \"a\" {{ target = {}1{} }}\n", "[".repeat(60), "]".repeat(60)),
            "a string is wanted",
        ),
        (
            format!("target \"a\" {{ target = {}1{} }}\n", "{a=".repeat(60), "}".repeat(60)),
            "a string is wanted",
        ),
        (
            format!(
                "target \"a\" {{ args = {{ A = \"{}1{}\" }} }}\n",
                "${\"".repeat(30),
                "\"}".repeat(30)
            ),
            "image \"a\"",
        ),
        (
            format!(
                "v = \"{}\"\ntarget \"a\" {{ target = replace(replace(v, \"x\", v), \"x\", v) }}\n",
                "x".repeat(5000)
            ),
            "grows to more than 256 KiB",
        ),
    ] {
        let found = drafted(&text);
        assert!(
            found.contains(wanted),
            "{wanted}: {}",
            found.chars().take(400).collect::<String>()
        );
    }
}

#[test]
fn a_matrix_stays_one_where_its_targets_differ_by_values_alone() {
    let text = r#"
        target "app" {
          name = "app-${v}"
          matrix = { v = ["1", "2"] }
          args = { V = v }
          target = v == "1" ? "old" : "new"
        }
        target "lib" {
          name = "lib-${v}"
          matrix = { v = ["1", "2"] }
          args = { V = "${v}.0" }
        }
        target "user" { contexts = { lib = "target:one-2" } }
        target "one" {
          name = "one-${v}"
          matrix = { v = ["1", "2"] }
          args = { V = v }
        }
    "#;
    let found = drafted(text);
    for part in [
        "image \"app-1\" {",
        "target \"old\"\n    arg \"V\" \"1\"",
        "image \"app-2\" {",
        "target \"new\"",
        "image \"lib\" {\n    matrix {\n        v \"1\" \"2\"\n    }\n    dockerfile \"Dockerfile\"\n    arg \"V\" \"{{v}}.0\"\n}",
        // One of them is the context of another target.
        "image \"one-2\" {\n    dockerfile \"Dockerfile\"\n    arg \"V\" \"2\"",
        "named-context \"lib\" \"node:one-2\"",
    ] {
        assert!(found.contains(part), "{part}\n{found}");
    }
}

#[test]
fn the_environment_wins_over_defaults() {
    let env = |name: &str| (name == "TAG").then(|| "env".to_owned());
    let text = "variable \"TAG\" { default = \"x\" }\ntarget \"a\" {\n tags = [\"acme/a:${TAG}\", \"acme/a:${upper(TAG)}\"]\n}\n";
    let found = shown(from_bake("docker-bake.hcl", text, &files, &env));
    assert!(found.contains("let TAG env=\"TAG\" default=\"x\""), "{found}");
    assert!(found.contains("tags \"{{TAG}}\" \"ENV\""), "{found}");
    assert!(found.contains("note: values are computed with variable `TAG`"), "{found}");
}

#[test]
fn json_is_read_as_hcl_is() {
    let text = r#"{
        "variable": { "TAG": { "default": "1" } },
        "function": { "twice": { "params": ["x"], "result": "${x}${x}" } },
        "group": { "default": { "targets": ["app"] } },
        "target": { "app": { "tags": ["acme/app:${TAG}"], "args": { "A": "${twice(\"a\")}", "B": true, "C": 3 } } }
    }"#;
    let found = shown(from_bake("docker-bake.json", text, &files, &NO_VARS));
    for part in [
        "let TAG env=\"TAG\" default=\"1\"",
        "    arg \"A\" \"aa\"\n    arg \"B\" \"true\"\n    arg \"C\" \"3\"\n    tags \"{{TAG}}\"\n    publish \"acme/app\"\n",
        "group \"default\" {\n    image \"app\"\n}",
    ] {
        assert!(found.contains(part), "{found}");
    }
}
