//! The fast parser and the splitter against the full parser.

use proptest::prelude::*;

use super::lex::{Kind, lex};
use super::{Document, full, plain, scan};
use crate::diag::Diagnostic;
use crate::schema::starts_node;
use crate::source::FileId;

const FILE: FileId = FileId(0);

/// Reads a text with and without the fast parser.
fn both(text: &str) -> [(Document<'_>, Vec<Diagnostic>); 2] {
    let mut out = Vec::new();
    let scan = scan(text, FILE, starts_node, &mut out);
    let (mut fast_out, mut full_out) = (out.clone(), out);
    let fast = scan.read(text, FILE, &mut fast_out);
    let full = scan.read_with(text, FILE, &mut full_out, |_, _, _| None);
    [(fast, fast_out), (full, full_out)]
}

fn assert_same(text: &str) {
    let [fast, full] = both(text);
    assert_eq!(fast, full, "{text:?}");
    // The text read in one piece, without the splitter.
    let lexed = lex(text);
    let nested = fast.1.iter().any(|d| d.code == "mabuild::lang::nesting");
    if !nested && fast.1.is_empty() {
        match full::nodes(text, &lexed.tokens, FILE) {
            Ok(whole) => assert_eq!(fast.0.nodes, whole, "{text:?}"),
            Err(refusals) => panic!("accepts {text:?}: {}", refusals[0].message),
        }
    }
}

const SAMPLES: &[&str] = &[
    include_str!("../../tests/it/whole.kdl"),
    "",
    "\u{feff}a 1",
    "a",
    "a;b;c",
    "a 1 -2 key=3 \"x\"=\"y\" { b; c { d } }\n",
    "a \\\n  1 \\ // comment\n  2\nb",
    "a /* x */ 1 /* /* y */ */ 2 // z\n",
    "/- a 1\nb /- 1 2 /-k=3 { c }\nd /-{ e } { f } /-{ g }\n",
    "(t)a (u)1 k=(v)2\n",
    "a #\"raw \\ \"x\" \"# ##\"a\"# b\"## #true #false #null\n",
    "a \"\"\"\n  one\n    two\\t\\u{41}\n\n  \"\"\" 2\n",
    "a #\"\"\"\n    one\n      \\two\n    \"\"\"#\n",
    "a \"\"\"\n  \\\n  x\n  \"\"\"\n",
    "a \"x \\\n    y\" 1.5 0x1F 0o7 0b1 1_000 1e3 +5 #inf\n",
    "a key = 1 key= 2 key =3\n",
    "é ü=\"ö\" \u{a0}x\u{2003}y\n",
    "a\r\nb { c\r\n }\r\n",
    "a\u{85}b\u{2028}c\n",
    "g { /- a; b; /-c }\n/-d; e\n",
    "- -- -g --verbose=1 + .x a.b\n",
    "a{b}\na \"x\"{b}\na{b};c\n",
    "a { b 1; c 2 }\n",
    "a \"\\\"\\\\\\b\\f\\n\\r\\t\\s\"\n",
];

#[test]
fn both_ways_give_one_tree() {
    for sample in SAMPLES {
        let [fast, _] = both(sample);
        assert!(fast.1.is_empty(), "{sample:?}: {:?}", fast.1);
        assert_same(sample);
    }
}

#[test]
fn common_nodes_take_the_fast_way() {
    for text in [
        "image \"a\" {\n    from \"b\" // x\n    steps {\n        run \"x\" network=\"none\"\n    }\n}",
        "a \"x\\ty\" 1 -2 #true k=\"v\" \\\n  2",
        "a { b; c }",
        "a \"\"\"\n  x\n  \"\"\" #\"y\"#",
    ] {
        assert!(plain::node(text, &lex(text).tokens, FILE).is_some(), "{text}");
    }
}

#[test]
fn the_fast_way_gives_up_on_what_it_does_not_know() {
    for text in ["/-a", "(t)a", "a 1.5", "a true", "a{b} c", "a \"\\q\"", "a \"x\"y", "a b= "] {
        assert!(plain::node(text, &lex(text).tokens, FILE).is_none(), "{text}");
    }
}

#[test]
fn tokens_cover_the_text_in_order() {
    for sample in SAMPLES {
        let mut end = 0;
        for token in lex(sample).tokens {
            assert!(token.start >= end && token.end > token.start, "{sample:?}: {token:?}");
            end = token.end;
        }
        assert!(end as usize <= sample.len());
    }
    let kinds: Vec<Kind> =
        lex("a\"\"\"\nx\n\"\"\"#\"y\"#/*z").tokens.iter().map(|t| t.kind).collect();
    assert_eq!(kinds, [Kind::Word, Kind::Multiline, Kind::Raw, Kind::UnclosedComment]);
}

#[rustfmt::skip]
fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b", "image", "é", " ", " ", " ", " ", "\n", "\n", "\n  ", "{", "}", " {", "}\n", "{ a }",
        "\"x\"", "\"\"", "\"\\n\\u{e9}\"", "\"a\\\n  b\"", "\"\\q\"", "=", " = ", ";", "// c\n", "/* c */",
        "/**/", "/-", "/- ", "\\\n", "\\ // c\n", "1", "-5", "1.5", "007", "1_0", "0x1f", "1x", "#true", "#null",
        "#no", "#\"r\\\"#", "##\"r\"#\"##", "#\"\"#", "\"\"\"\n  a\n  \"\"\"", "\"\"\"\n  a\n b\n  \"\"\"",
        "\"\"\"x\"\"\"", "#\"\"\"\n\t x\n\t\"\"\"#", "(t)", "( t )", "\u{a0}", ",", "true", "inf", "-inf", "--g", ".5", ".x",
        "+", "\r\n", "\r", "\u{2028}", "[", "/", "\\", "#", "'", "\"open", "k=1", "k=\"v\"",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_reads_the_same_both_ways(parts in prop::collection::vec(fragment(), 0..24)) {
        assert_same(&parts.concat());
    }

    #[test]
    fn any_characters_are_survived(text in "\\PC{0,60}") {
        assert_same(&text);
    }
}
