//! The layout never changes the meaning, keeps every comment, and is its own layout.

use proptest::prelude::*;

use super::format;
use crate::schema;
use crate::source::FileId;
use crate::syntax::{
    self, Node,
    lex::{Kind, lex},
};

/// Nodes without their places.
fn shape(nodes: &[Node<'_>]) -> String {
    let show = |node: &Node<'_>| {
        let entries: Vec<String> = node
            .entries
            .iter()
            .map(|e| {
                let name = e.name.as_ref().map(|name| &name.text);
                format!("{name:?}={:?}({})", e.value, e.annotation.is_some())
            })
            .collect();
        let children = node.children.as_ref().map(|children| shape(children));
        let annotated = node.annotation.is_some();
        format!("{:?}({annotated}) {entries:?} {children:?};", node.name.text)
    };
    nodes.iter().map(show).collect()
}

fn meaning(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let scan = syntax::scan(text, FileId(0), schema::starts_node, &mut out);
    let document = scan.read(text, FileId(0), &mut out);
    out.is_empty().then(|| shape(&document.nodes))
}

fn comments(text: &str) -> Vec<String> {
    let comment = |kind| matches!(kind, Kind::LineComment | Kind::BlockComment);
    let tokens = lex(text).tokens;
    let tokens = tokens.iter().filter(|token| comment(token.kind));
    tokens.map(|t| text[t.start as usize..t.end as usize].trim_end().to_owned()).collect()
}

fn check(text: &str) {
    let Some(before) = meaning(text) else { return };
    let formatted = match format("x", text) {
        Ok(formatted) => formatted,
        Err(why) => panic!("{text:?}: {:?}", why.diagnostics),
    };
    assert_eq!(meaning(&formatted), Some(before), "{text:?} -> {formatted:?}");
    assert_eq!(comments(text), comments(&formatted), "{text:?} -> {formatted:?}");
    let again = format("x", &formatted).map_err(|why| why.diagnostics);
    assert_eq!(again.as_ref(), Ok(&formatted), "{text:?}");
}

#[rustfmt::skip]
fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b ", " 1", " \"x\"", " k=1", " k = \"v\"", " #true", "\n", "\n", "\n\n", "\n\n\n", ";", "; ", " {", "}", "}\n",
        " { a; b }", "{}", " // c\n", "// d  \n", " /* e */", "/* f\n g */ ", " /-", "/- ", " \\\n", " \\ // h\n", " \"\"\"\n    x\n  y\n  \"\"\"",
        " #\"r\"#", " (t)1", "(t)b", " \"a\\\n   b\"", "\t", "\r\n", "é", " 1.50",
        " \"a long text that takes a good part of the width of a line, so that blocks break\"",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_meaning_stays(parts in prop::collection::vec(fragment(), 0..20)) {
        check(&parts.concat());
    }
}

#[test]
fn layout() {
    let cases = [
        ("", ""),
        ("\n\n\n", ""),
        ("a   1    k =  2", "a 1 k=2\n"),
        ("\n\na\n\n\n\nb\n", "a\n\nb\n"),
        ("a {\n\n  b\n\n\n  c\n\n}", "a {\n    b\n\n    c\n}\n"),
        ("a { b; c; }", "a { b; c }\n"),
        ("a {  }\nb{\n}", "a {}\nb {\n}\n"),
        ("a;b;c", "a\nb\nc\n"),
        ("a // x\n//y\n/* z */ b", "a  // x\n//y\n/* z */ b\n"),
        ("a { // x\n b }", "a {  // x\n    b\n}\n"),
        ("a \\\n1 \\ // x\n  2", "a \\\n    1 \\ // x\n    2\n"),
        ("a 1 \\\n\nb", "a 1\nb\n"),
        ("a 1 \\\n /* c */ \\\n\nb", "a 1 \\\n    /* c */\nb\n"),
        ("/-   a\n/-\nb\nc /-  1 { d }", "/-a\n/-b\nc /-1 { d }\n"),
        ("  ( t ) a (u) 1", "(t)a (u)1\n"),
        ("\u{feff}a\r\nb {\r\n c\r\n}\r\n", "a\nb {\n    c\n}\n"),
        (
            "a {\n  b \"\"\"\n   x\n    y\n   \"\"\"\n}",
            "a {\n    b \"\"\"\n   x\n    y\n   \"\"\"\n}\n",
        ),
        ("a #\"x\"# 0x1F 1_000", "a #\"x\"# 0x1F 1_000\n"),
    ];
    for (text, wanted) in cases {
        assert_eq!(
            format("x", text).map_err(|why| why.diagnostics).as_deref(),
            Ok(wanted),
            "{text:?}"
        );
        check(text);
    }
    check(include_str!("../../tests/it/whole.kdl"));
}

#[test]
fn a_block_too_wide_for_its_line_is_broken() {
    let long = "x".repeat(90);
    let text = format!("a {{ b \"{long}\"; c }}");
    let formatted = format("x", &text).map_err(|why| why.diagnostics);
    assert_eq!(formatted, Ok(format!("a {{\n    b \"{long}\"\n    c\n}}\n")));
}

#[test]
fn what_cannot_be_read_has_no_layout() {
    let why = format("f.kdl", "a {").map(|_| ()).map_err(|why| why.diagnostics.len());
    assert_eq!(why, Err(1));
}
