//! The canonical layout of a whole file.

use mabuild_lang::format;
use proptest::prelude::*;

use crate::load_one;

#[test]
fn a_whole_file() {
    let formatted = format("whole.kdl", include_str!("whole.kdl")).unwrap();
    insta::assert_snapshot!("formatted", formatted);
}

#[test]
fn what_cannot_be_read_says_why() {
    let unformatted = format("x.kdl", "image \"a\" {\n").unwrap_err();
    assert_eq!(unformatted.diagnostics.len(), 1);
    let report = mabuild_lang::report(&unformatted.diagnostics[0], &unformatted.sources);
    assert_eq!(report.to_string(), "this `{` is never closed");
}

/// One node a line, so that a line can be laid out otherwise without another meaning.
const EVERYTHING: &str = r##"mabuild 1
platforms "linux/amd64" "linux/arm/v7"
registry "ghcr.io/acme"
registry "docker.io" {
mirror "https://m.example/hub" "n.example"
client-cert "c.pem"   key="k.pem"
requests 4
}
remote-cache "cache"
require all
late carry "7d"
annotation "org.example.team" "x"
let suite "bookworm"
let debug default=#true
base "alpine" {
rootfs "https://x/{{version}}.tar.gz" version="3.20"   checksums="c"
tags "{{suite}}"
publish "alpine"
}
base "debian" {
debian "{{suite}}" {
variant "minbase"
include "a" "b"
updates
trim "docs"
}
}
base "r" {
registry "docker.io/library/debian:12"
follow "digest" min-age="3d"
}
template "t" {
label "a" "b"
user "x"
test "runs" {
run "x" "-t"
expect exit=3 stdout="y"
}
}
image "python" {
matrix {
python "3.11" "3.12"
suite "a" "b"
exclude python="3.11" suite="b"
}
use "t"
from "alpine"
arg "V" "{{python}}"
steps {
arg "V" "1"
copy "x" "/y" mode="0644" chown="0:0"
run #"echo "q" \n"#
on-platform "linux/arm/v7" {
file "/z" "a\tb{{{{c"
}
}
on-platform "linux/amd64" {
env A="1"
}
tags "{{python}}-{{suite}}"
arch-tags
}
image "app" {
from "python" python="3.12" suite="a"
publish "quay.io/a/app"
env B="2" C="{{debug}}"
entrypoint "a" "b c"
expose "80/tcp"
}
group "g" {
image "python[3.12]"
base "r"
}
builder "farm" {
buildkit {
node "x" "tcp://h:1" platforms="linux/amd64" parallel=3
}
}
on "failed" {
webhook "https://h/x"
}
"##;

/// A config without the places of what it was read from.
fn meaning(text: &str) -> String {
    let loaded = load_one(text);
    assert!(!loaded.has_errors(), "{}\n{text}", crate::rendered(&loaded));
    let shown = format!("{:?}", loaded.config);
    let mut out = String::new();
    let mut rest = shown.as_str();
    while let Some((before, after)) = rest.split_once("Span {") {
        out.push_str(before);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    out + rest
}

/// The text with other space and comments in it.
fn untidy(choices: &[usize]) -> String {
    let mut out = String::new();
    for (line, choice) in EVERYTHING.lines().zip(choices.iter().cycle()) {
        match choice % 8 {
            0 => out.push_str("\n\n\n"),
            1 => out.push_str("        "),
            2 => out.push_str("\t// a comment\n"),
            3 => out.push_str("/* one */ "),
            4 if !line.ends_with('}') => out.push_str("/-left \"out\" { x }\n"),
            _ => {}
        }
        match choice / 8 % 5 {
            0 => out.push_str(&line.replacen("\" \"", "\"   \\ // on\n  \"", 1)),
            1 if line == "}" => out.push_str("  }"),
            _ => out.push_str(line),
        }
        match choice / 40 % 4 {
            0 => out.push_str("   // behind\n"),
            1 if !line.ends_with('{') => out.push_str(" ;\n"),
            2 => out.push_str("\r\n"),
            _ => out.push('\n'),
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_config_is_the_same_after_it(choices in prop::collection::vec(0_usize..160, 1..60)) {
        let text = untidy(&choices);
        let formatted = format("x.kdl", &text).unwrap();
        prop_assert_eq!(meaning(&formatted), meaning(EVERYTHING));
        prop_assert_eq!(meaning(&text), meaning(EVERYTHING));
        prop_assert_eq!(formatted.matches("// a comment").count(), text.matches("// a comment").count());
        prop_assert_eq!(formatted.matches("// behind").count(), text.matches("// behind").count());
        prop_assert_eq!(format("x.kdl", &formatted).unwrap(), formatted);
    }
}
