//! Compose files that are wrong or hostile, and merging.

use crate::from_compose;
use crate::tests::{files, shown};

fn drafted(text: &str) -> String {
    shown(from_compose("compose.yaml", text, &files, &|_| None))
}

#[test]
fn wrong_files() {
    for (text, wanted) in [
        (
            "",
            "error: compose.yaml: the file has no map of `services`; name a compose file with `services:` at its top\n",
        ),
        (
            "services: []\n",
            "error: compose.yaml: the file has no map of `services`; name a compose file with `services:` at its top\n",
        ),
        (
            "services:\n  a:\n    image: x\n",
            "error: compose.yaml: no service of the file is built; a service is built when it has a `build`\n",
        ),
        (
            "services:\n  a: 1\n",
            "error: compose.yaml:2:6: the service `a` is a map, and this is a single value\n",
        ),
        (
            "services:\n  ä:\n    build: {args: 5, tags: x, context: [a]}\n",
            "error: compose.yaml:3:19: args is a map or a list, and this is a single value\nerror: compose.yaml:3:28: tags is a list, and this is a single value\nerror: compose.yaml:3:40: context is a single value, and this is a list\n",
        ),
        (
            "services:\n  a:\n    build: \"${X\"\n",
            "error: compose.yaml:3:12: this `${` has no `}`\n",
        ),
        (
            "services:\n  a:\n    build: .\n    build: .\n",
            "error: compose.yaml:4:5: `build` stands here twice; keep one of them\n",
        ),
    ] {
        assert_eq!(drafted(text), wanted, "{text}");
    }
    assert!(drafted("services:\n  a: [\n").starts_with("error: compose.yaml:"));
}

#[test]
fn hostile_files_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let alias = format!("*a{}, ", n - 1).repeat(9);
        bomb.push_str(&format!("a{n}: &a{n} [{alias}]\n"));
    }
    let own = "a: &a [*a]\n".to_owned();
    let deep = "[".repeat(100_000);
    let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(1000));
    for (text, wanted) in [
        (bomb, "grows too large with its aliases"),
        (long, "grows too large with its aliases"),
        (own, "within what it names"),
        (deep, "recursion limit exceeded"),
        ("{".repeat(5000), "recursion limit exceeded"),
        (format!("{}1{}", "[".repeat(100), "]".repeat(100)), "nested more than 64 deep"),
        ("- ".repeat(5000), "nested more than 64 deep"),
    ] {
        let found = drafted(&text);
        assert!(
            found.contains(wanted),
            "{wanted}: {}",
            found.chars().take(300).collect::<String>()
        );
    }
}

#[test]
fn merge_keys_give_way_to_own_keys() {
    let text = "x-a: &a {context: one, target: t, args: {A: 1}}\nx-b: &b {context: two, dockerfile: f}\nservices:\n  s:\n    build:\n      <<: [*a, *b]\n      args: {B: null, C: ~, D: \"\"}\n";
    let found = drafted(text);
    for part in [
        "dockerfile \"one/f\"\n    target \"t\"\n    arg \"D\" \"\"\n    // arg \"B\" \"\"\n    // arg \"C\" \"\"\n}",
        "argument `B` comes from the environment",
    ] {
        assert!(found.contains(part), "{found}");
    }
}
