//! Variable expansion, one fact a line.

use crate::ast::{Heredoc, Word};
use crate::expand;
use crate::problem::Span;
use crate::{Op, Source, parse};

fn env(name: &str) -> Option<String> {
    let value = match name {
        "A" => "a",
        "EMPTY" => "",
        "PATHS" => "/usr/local/bin",
        "REPEAT" => "foobarbaz",
        "VERSION" => "1.25.3-rc1",
        "LINES" => "ab\nab",
        "SPACES" => " x  y ",
        "STAR" => "a*b?c\\d",
        "UNICODE" => "äöäö",
        "é" => "accent",
        "1" => "one",
        "DOLLAR" => "$A",
        _ => return None,
    };
    Some(value.to_owned())
}

fn word(text: &str) -> Word {
    Word { raw: text.to_owned(), span: Span::new(100, 100 + text.len()) }
}

fn expand(text: &str) -> Result<String, String> {
    expand::word(&word(text), '\\', &env).map(|e| e.text).map_err(|p| p.message)
}

#[test]
fn words() {
    for (text, expanded) in [
        ("plain", "plain"),
        ("", ""),
        ("$A", "a"),
        ("${A}", "a"),
        ("x$A.y", "xa.y"),
        ("$AB", ""),
        ("${A}B", "aB"),
        ("$", "$"),
        ("a$", "a$"),
        ("$/", "$/"),
        ("$1x", "onex"),
        ("$12", ""),
        ("$é", "accent"),
        ("$@$*$#$?$-$$$!", ""),
        ("$$A", "A"),
        ("a b", "a b"),
        // Values are not expanded again.
        ("$DOLLAR", "$A"),
        // Quotes.
        ("'$A'", "$A"),
        ("\"$A\"", "a"),
        ("\"'$A'\"", "'a'"),
        ("'\"'", "\""),
        ("a'b'\"c\"d", "abcd"),
        ("''", ""),
        // Escapes.
        ("\\$A", "$A"),
        ("\\\\$A", "\\a"),
        ("\\${A}", "${A}"),
        ("a\\nb", "anb"),
        ("\\'", "'"),
        ("a\\", "a"),
        ("\"\\$A\"", "$A"),
        ("\"\\\"\"", "\""),
        ("\"a\\nb\"", "a\\nb"),
        ("\"a\\\\b\"", "a\\b"),
        ("'a\\b'", "a\\b"),
        // Defaults and alternatives.
        ("${A:-x}", "a"),
        ("${A-x}", "a"),
        ("${NONE:-x}", "x"),
        ("${NONE-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${A:+x}", "x"),
        ("${A+x}", "x"),
        ("${NONE:+x}", ""),
        ("${NONE+x}", ""),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${A:?x}", "a"),
        ("${A?x}", "a"),
        ("${EMPTY?x}", ""),
        ("${NONE:-${ALSO:-$A}}", "a"),
        ("${NONE:-}", ""),
        ("${NONE:-a b}", "a b"),
        ("${NONE:-\"}\"}", "}"),
        ("${NONE:-'$A'}", "$A"),
        ("${NONE:-\\}}", "}"),
        ("${NONE:-$A${A}}", "aa"),
        ("\"${NONE:-x y}\"", "x y"),
        // Prefixes and suffixes.
        ("${REPEAT#f*b}", "arbaz"),
        ("${REPEAT##f*b}", "az"),
        ("${REPEAT%b*}", "foobar"),
        ("${REPEAT%%b*}", "foo"),
        ("${REPEAT#b*}", "foobarbaz"),
        ("${REPEAT#*}", "foobarbaz"),
        ("${REPEAT##*}", ""),
        ("${REPEAT%*}", "foobarbaz"),
        ("${REPEAT%%*}", ""),
        ("${REPEAT#???}", "barbaz"),
        ("${REPEAT%%???}", "foobar"),
        ("${REPEAT#}", "foobarbaz"),
        ("${REPEAT#*a}", "rbaz"),
        ("${REPEAT##*a}", "z"),
        ("${REPEAT%a*}", "foobarb"),
        ("${REPEAT:#foo}", "barbaz"),
        ("${PATHS##*/}", "bin"),
        ("${PATHS%/*}", "/usr/local"),
        ("${PATHS%%/*}", ""),
        ("${VERSION%-*}", "1.25.3"),
        ("${VERSION%%-*}", "1.25.3"),
        ("${VERSION%.*}", "1.25"),
        ("${VERSION%%.*}", "1"),
        ("${VERSION#$A}", "1.25.3-rc1"),
        ("${VERSION%[a-z]*}", "1.25.3-rc1"),
        ("${NONE#x}", ""),
        ("${NONE%%*}", ""),
        ("${STAR#a\\*}", "b?c\\d"),
        ("${STAR%c\\\\d}", "a*b?"),
        ("${STAR%\\?*}", "a*b"),
        ("${UNICODE#?}", "öäö"),
        ("${UNICODE%%ö*}", "ä"),
        // A star does not cross a line.
        ("${LINES##*b}", "\nab"),
        ("${LINES%%a*}", "ab\n"),
        // Replacing.
        ("${REPEAT/ba/fo}", "fooforbaz"),
        ("${REPEAT//ba/fo}", "fooforfoz"),
        ("${REPEAT/o/}", "fobarbaz"),
        ("${REPEAT//o/}", "fbarbaz"),
        ("${REPEAT/a*/x}", "foobx"),
        ("${REPEAT//?/x}", "xxxxxxxxx"),
        ("${REPEAT//b?r/-}", "foo-baz"),
        ("${REPEAT/x/y}", "foobarbaz"),
        ("${REPEAT//$A/$A$A}", "foobaarbaaz"),
        ("${PATHS//\\//-}", "-usr-local-bin"),
        ("${PATHS/\\/usr/}", "/local/bin"),
        ("${VERSION//./_}", "1_25_3-rc1"),
        ("${NONE//a/b}", ""),
        ("${UNICODE//ö/o}", "äoäo"),
        ("${LINES//a*/x}", "x\nx"),
        ("${EMPTY//*/x}", "x"),
        ("${A//*/x}", "x"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expanded), "{text}");
    }
}

#[test]
fn errors() {
    let shown: Vec<String> = [
        "x${A",
        "${",
        "${}",
        "${:}",
        "${{A}}",
        "${A!}",
        "${A:x}",
        "${A:-x",
        "${A#x",
        "${A/b",
        "${A/b/c",
        "'x",
        "y\"x",
        "\"$A",
        "${NONE:-'x}",
        "${NONE?}",
        "${NONE:?say}",
        "${EMPTY:?}",
        "${A#\\x}",
        "${A/\\",
        "${NONE:-${NONE:?no}}",
    ]
    .into_iter()
    .map(|text| {
        let problem = expand::word(&word(text), '\\', &env).unwrap_err();
        let place = problem.span.start as usize - 100..problem.span.end as usize - 100;
        let help = problem.help.unwrap_or_default();
        format!("{text} | {} | {} | {help}", &text[place], problem.message)
    })
    .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn the_escape_character_is_chosen_by_the_file() {
    for (text, expanded) in
        [("`$A", "$A"), ("\\$A", "\\a"), ("\"`\"\"", "\""), ("c:\\dir", "c:\\dir"), ("``", "`")]
    {
        assert_eq!(expand::word(&word(text), '`', &env).unwrap().text, expanded, "{text}");
    }
}

#[test]
fn lists_of_words() {
    for (text, words) in [
        ("a b", &["a", "b"][..]),
        (" a\t b ", &["a", "b"]),
        ("'a b' c", &["a b", "c"]),
        ("a\\ b", &["a b"]),
        ("$SPACES", &["x", "y"]),
        ("p$SPACES", &["p", "x", "y"]),
        ("\"$SPACES\"", &[" x  y "]),
        ("$EMPTY", &[]),
        ("''", &[]),
        ("a'' b", &["a", "b"]),
        ("${NONE:-1 2}", &["1", "2"]),
    ] {
        assert_eq!(expand::words(&word(text), '\\', &env).unwrap().words, words, "{text}");
    }
}

#[test]
fn names_that_were_asked_for_are_known() {
    let expanded =
        expand::word(&word("$A ${NONE:-$B} '$C' \\$D ${EMPTY:+$E}"), '\\', &env).unwrap();
    assert_eq!(expanded.found.into_iter().collect::<Vec<_>>(), ["A", "EMPTY"]);
    assert_eq!(expanded.missing.into_iter().collect::<Vec<_>>(), ["B", "E", "NONE"]);
}

#[test]
fn heredocs_of_copy() {
    let text =
        "FROM x\nCOPY <<E <<'Q' <<-T /\n\"$A\" '$A' \\$A a\\nb ${NONE:-z}\nE\n$A\nQ\n\t$A\n\tT\n";
    let Op::Copy(copy) = &parse(text).file.stages[0].instructions[0].op else { panic!() };
    let docs: Vec<&Heredoc> = copy
        .files
        .sources
        .iter()
        .filter_map(|source| match source {
            Source::Heredoc(doc) => Some(doc),
            Source::Path(_) => None,
        })
        .collect();
    let expanded = |index: usize| expand::heredoc(docs[index], '\\', &env).unwrap().text;
    assert_eq!(expanded(0), "\"a\" 'a' $A anb z\n");
    assert_eq!(expanded(1), "$A\n");
    assert_eq!(expanded(2), "a\n");
}

#[test]
fn hostile_texts_end_soon() {
    let deep = "${A:-".repeat(1000) + &"}".repeat(1000);
    assert_eq!(expand(&deep).unwrap_err(), "variables are nested too deep");
    let long = |name: &str| (name == "L").then(|| "x".repeat(1 << 20));
    let many = word(&"$L".repeat(100));
    let message = expand::word(&many, '\\', &long).unwrap_err().message;
    assert_eq!(message, "the expanded text is too long");
    let stars = word(&format!("${{L//{}y/z}}", "*x".repeat(300)));
    let message = expand::word(&stars, '\\', &long).unwrap_err().message;
    assert_eq!(message, "matching this pattern would take too long");
    let short = |_: &str| Some("x".repeat(1 << 15));
    let slow = word(&format!("${{L//{}y/z}}", "*x".repeat(50)));
    assert!(expand::word(&slow, '\\', &short).is_ok());
}

#[test]
fn whole_instructions() {
    let text = "FROM x\nADD --chown=$A --exclude=$A $A <<E ${NONE:-d}\n$A\nE\n\
        ENV $A=$A b=\"$A $A\"\nEXPOSE $PORTS 1\nVOLUME [\"$A b\"]\nARG A=$A B\nRUN --mount=target=$A,from=y echo $B\n\
        CMD [\"$A\"]\nLABEL a='$A'\nUSER $A\nWORKDIR $A\nSTOPSIGNAL $A\nHEALTHCHECK CMD $A\nSHELL [\"$A\"]\n\
        ONBUILD USER $A\nCOPY --from=y $A b\n";
    let env = |name: &str| if name == "PORTS" { Some("80 81/udp".into()) } else { env(name) };
    let parsed = parse(text);
    assert_eq!(parsed.problems, []);
    let shown: Vec<String> = parsed.file.stages[0]
        .instructions
        .iter()
        .map(|i| {
            let expanded = expand::op(&i.op, '\\', &env).unwrap();
            let used = format!("{:?} {:?}", expanded.found, expanded.missing);
            format!("{} | {used}", super::good::op(&expanded.op))
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn bad_quotes_and_variables_are_found_when_the_file_is_read() {
    let text = "ARG A=\"x\nFROM a\nENV A='b\nUSER ${A\nCOPY \"a b\" /x\nCOPY <<E /\n${\nE\n\
        RUN --mount=target=${A! true\nWORKDIR ${A:?needed}\nRUN echo ${A '\nCMD '\n";
    let found: Vec<&str> = parse(text).problems.iter().map(|p| &text[p.span.range()]).collect();
    assert_eq!(found, ["\"x", "'b", "${A", "\"a", "\"", "${\n", "${A!"]);
}
