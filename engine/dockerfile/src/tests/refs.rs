//! What a stage needs from outside.

use super::show;
use crate::{Problem, parse, references, stages_needed};

const FILE: &str = include_str!("../../testdata/golang-cross.Dockerfile");

fn arg(name: &str) -> Option<String> {
    let value = match name {
        "BUILDPLATFORM" => "linux/amd64",
        "TARGETPLATFORM" => "linux/arm64",
        "GO_VERSION" => "1.26",
        _ => return None,
    };
    Some(value.to_owned())
}

fn refs(text: &str, target: Option<&str>) -> Result<Vec<String>, Vec<Problem>> {
    let file = parse(text).file;
    let shown = references(&file, target, &arg)?.into_iter().map(|r| {
        let platform = r.platform.map(|p| format!(" for {p}")).unwrap_or_default();
        format!("{} {:?} {} <{}>{platform}", r.stage, r.kind, r.name, &text[r.span.range()])
    });
    Ok(shown.collect())
}

fn errors(text: &str, target: Option<&str>) -> String {
    show(text, &refs(text, target).unwrap_err())
}

#[test]
fn of_the_last_stage() {
    insta::assert_snapshot!(refs(FILE, None).unwrap().join("\n"), @r"
    0 From tonistiigi/xx:1.6.1 <tonistiigi/xx:1.6.1> for linux/amd64
    1 From golang:1.26-alpine3.22 <golang:${GO_VERSION}-alpine${ALPINE_VERSION}> for linux/amd64
    6 From alpine:3.22 <${BASE}>
    6 MountFrom busybox:1.37 <busybox:1.37>
    6 CopyFrom docker.io/library/alpine:3 <docker.io/library/alpine:3>
    ");
    assert_eq!(stages_needed(&parse(FILE).file, None, &arg), Ok(vec![0, 1, 2, 3, 5, 6]));
}

#[test]
fn of_other_stages() {
    assert_eq!(
        refs(FILE, Some("XX")).unwrap(),
        ["0 From tonistiigi/xx:1.6.1 <tonistiigi/xx:1.6.1> for linux/amd64"]
    );
    assert_eq!(stages_needed(&parse(FILE).file, Some("deps"), &arg), Ok(vec![0, 1, 2]));
    assert_eq!(stages_needed(&parse(FILE).file, Some("1"), &arg), Ok(vec![0, 1]));
    assert_eq!(stages_needed(&parse(FILE).file, Some("test"), &arg), Ok(vec![0, 1, 2, 3, 4]));
}

#[test]
fn small_cases() {
    for (text, target, expected) in [
        ("FROM a", None, &["0 From a <a>"][..]),
        ("FROM scratch", None, &[]),
        ("FROM a AS b\nFROM b", None, &["0 From a <a>"]),
        // FROM knows stages by their lower-case names only, COPY in any case.
        ("FROM a AS B\nFROM B", None, &["1 From B <B>"]),
        ("FROM a AS B\nFROM c\nCOPY --from=B x y", None, &["0 From a <a>", "1 From c <c>"]),
        // Of two stages of a name FROM takes the last one above, COPY the last one of all.
        ("FROM a AS x\nFROM b AS x\nFROM x", None, &["1 From b <b>"]),
        (
            "FROM a AS x\nFROM b AS x\nFROM c\nCOPY --from=x y z",
            None,
            &["1 From b <b>", "2 From c <c>"],
        ),
        // A stage can be called so, although nobody should.
        (
            "FROM a AS scratch\nFROM b\nCOPY --from=scratch x y",
            None,
            &["0 From a <a>", "1 From b <b>"],
        ),
        ("FROM a AS scratch\nFROM scratch", None, &["0 From a <a>"]),
        // An empty flag is none, and a tmpfs takes nothing from anywhere.
        ("FROM --platform= a", None, &["0 From a <a>"]),
        ("FROM a\nCOPY --from= x y", None, &["0 From a <a>"]),
        ("FROM a\nRUN --mount=from=b,type=TMPFS,target=/t x", None, &["0 From a <a>"]),
        // FROM sees what is above only.
        ("FROM a AS a", None, &["0 From a <a>"]),
        ("FROM b\nFROM c AS b", Some("0"), &["0 From b <b>"]),
        // A stage's name can be the value of an argument.
        ("ARG X=b\nFROM a AS b\nFROM $X", None, &["0 From a <a>"]),
        ("ARG X=scratch\nFROM $X", None, &[]),
        // Values from outside win, and are needed for defaults.
        ("ARG GO_VERSION=1 T=x$GO_VERSION\nFROM a:$T", None, &["0 From a:x1.26 <a:$T>"]),
        ("ARG GO_VERSION=${MUST:?}\nFROM a:$GO_VERSION", None, &["0 From a:1.26 <a:$GO_VERSION>"]),
        // Without ARG they are unknown, but for the automatic ones.
        ("FROM a$GO_VERSION", None, &["0 From a <a$GO_VERSION>"]),
        ("FROM --platform=$TARGETPLATFORM a", None, &["0 From a <a> for linux/arm64"]),
        ("FROM a AS x\nFROM b-$TARGETSTAGE AS y", Some("y"), &["1 From b-y <b-$TARGETSTAGE>"]),
        // ARGs of a stage do not count.
        ("FROM x\nARG A=1\nFROM a$A", None, &["1 From a <a$A>"]),
        // Later ARGs of one name win.
        ("ARG A=1\nARG A=2\nFROM a$A", None, &["0 From a2 <a$A>"]),
        ("ARG A=1\nARG A\nFROM a$A", None, &["0 From a1 <a$A>"]),
        // Platforms of stages and of nothing are not looked at.
        ("FROM a AS b\nFROM --platform=$NONE b", None, &["0 From a <a>"]),
        ("FROM --platform=$NONE scratch", None, &[]),
        // Copies and mounts.
        (
            "FROM a\nCOPY --from=b x y\nCOPY --from=scratch x y",
            None,
            &["0 From a <a>", "0 CopyFrom b <b>"],
        ),
        (
            "FROM a\nRUN --mount=from=b,target=/b --mount=type=cache,target=/c --mount=type=cache,from=c,target=/d x",
            None,
            &["0 From a <a>", "0 MountFrom b <b>", "0 MountFrom c <c>"],
        ),
        ("FROM a\nFROM b\nCOPY --from=0 x y", None, &["0 From a <a>", "1 From b <b>"]),
        (
            "FROM a\nFROM b AS x\nFROM c\nRUN --mount=from=X,target=/x x",
            None,
            &["1 From b <b>", "2 From c <c>"],
        ),
        // ONBUILD works in the stages that start from this one, and no further down.
        ("FROM a AS p\nONBUILD COPY --from=b x y", None, &["0 From a <a>"]),
        (
            "FROM a AS p\nONBUILD COPY --from=b x y\nFROM p",
            None,
            &["0 From a <a>", "1 CopyFrom b <b>"],
        ),
        (
            "FROM a AS p\nONBUILD COPY --from=b x y\nFROM p AS q\nFROM q",
            None,
            &["0 From a <a>", "1 CopyFrom b <b>"],
        ),
        // What is not needed is not even looked at.
        ("FROM $NONE AS bad\nFROM a", None, &["1 From a <a>"]),
    ] {
        let found = refs(text, target);
        assert_eq!(
            found.as_deref(),
            Ok(expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>().as_slice()),
            "{text}"
        );
    }
}

#[test]
fn what_can_be_wrong() {
    let cases = [
        ("", None),
        ("FROM a AS build", Some("biuld")),
        ("FROM a AS x\nFROM b AS y", Some("deploy")),
        ("FROM a", Some("1")),
        ("FROM $NONE", None),
        ("FROM --platform=$NONE a", None),
        ("ARG A=${B:?set me}\nFROM a$A", None),
        ("FROM a\nCOPY --from=$A x y", None),
        ("FROM a\nCOPY --from=b x y\nFROM c AS b", Some("0")),
        ("FROM a AS b\nFROM c\nCOPY --from=b x y\nFROM d AS b", Some("1")),
        ("FROM a AS p\nONBUILD COPY --from=q x y\nFROM p AS q", None),
        ("FROM $A\nCOPY --from=1 x y\nFROM 0\nFROM $B\nCOPY --from=0 x y\nCOPY --from=9 x y", None),
    ];
    let shown: Vec<String> = cases
        .iter()
        .map(|(text, target)| format!("=== {text:?} {target:?}\n{}", errors(text, *target)))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn values_are_bounded() {
    let mut text = "ARG A=xxxxxxxxxxxxxxxx\n".to_owned();
    for _ in 0..20 {
        text += "ARG A=$A$A\n";
    }
    text += "FROM a\n";
    assert_eq!(refs(&text, None).unwrap_err()[0].code, "mabuild::dockerfile::argument-too-long");
    let text = format!("ARG A={}\nFROM $A\n", "x".repeat(5000));
    assert_eq!(refs(&text, None).unwrap_err()[0].code, "mabuild::dockerfile::name-too-long");
}

#[test]
fn long_chains_do_not_overflow() {
    let mut text = "FROM a AS s0\n".to_owned();
    for n in 1..5000 {
        text += &format!("FROM s{} AS s{n}\nCOPY --from={} x y\n", n - 1, n - 1);
    }
    assert_eq!(refs(&text, None).unwrap(), ["0 From a <a>"]);
}

#[test]
fn arguments_are_listed() {
    let file = parse(FILE).file;
    let shown: Vec<String> = file
        .arguments()
        .map(|(stage, arg)| {
            let default = arg.default.as_ref().map(|w| w.raw.as_str());
            format!("{stage:?} {} {default:?}", arg.name.raw)
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    None GO_VERSION Some("1.25")
    None ALPINE_VERSION Some("3.22")
    None BASE Some("alpine:${ALPINE_VERSION}")
    Some(3) TARGETPLATFORM None
    Some(3) VERSION Some("\"v0.0.0+unknown\"")
    Some(3) REVISION None
    "#);
}
