//! The checks that need more than the text.

use crate::{Given, Ignore, Image, Problem, Severity, Stage, check, parse};

/// The checks that find something, each with what it underlines.
fn found(text: &str, given: &Given<'_>) -> Vec<String> {
    let parsed = parse(text);
    let shown = |p: &Problem| format!("{} {}", p.rule().unwrap(), &text[p.span.range()]);
    check(&parsed.file, given).iter().map(shown).collect()
}

/// An image with a few variables.
fn image(stage: &Stage) -> Option<Image> {
    if stage.from.raw == "unknown" {
        return None;
    }
    let env = vec!["LANG=C".to_owned(), "HOME=/root".to_owned(), "odd".to_owned()];
    let platform = (stage.from.raw != "none").then(|| "linux/arm64".to_owned());
    Some(Image { env, has_shell: stage.from.raw == "shell", platform })
}

fn arg(name: &str) -> Option<String> {
    let value = match name {
        "TARGETPLATFORM" => "linux/arm64",
        "GIVEN" => "rel",
        _ => return None,
    };
    Some(value.to_owned())
}

#[track_caller]
fn assert_found(text: &str, expected: &[&str]) {
    let given = Given { image: &image, arg: &arg, ..Given::default() };
    assert_eq!(found(text, &given), expected, "{text}");
}

#[test]
fn undefined_variables() {
    assert_found("FROM a\nENV A=$LANG B=$odd C=$PATH\nUSER $A$B$C\n", &[]);
    assert_found("FROM a\nUSER $HOEM\n", &["UndefinedVar $HOEM"]);
    let help =
        check(&parse("FROM a\nUSER $HOEM\n").file, &Given { image: &image, ..Given::default() });
    assert_eq!(help[0].help.as_deref(), Some("did you mean `HOME`?"));
    // A variable counts from the next instruction on; an argument without a value is one too.
    assert_found("FROM a\nENV A=1 B=$A\n", &["UndefinedVar $A"]);
    assert_found("ARG G\nFROM a\nARG A B=$A C\nENV D=$A$B$C$G\n", &["UndefinedVar $A$B$C$G"]);
    assert_found("FROM a\nARG A=$B B\nUSER $B\n", &["UndefinedVar $B"]);
    assert_found("FROM a\nUSER ${X:-$Y}\n", &["UndefinedVar ${X:-$Y}"; 2]);
    assert_found(
        "FROM a\nCOPY --chown=$A $B <<E $C\n$D\nE\nRUN --mount=target=$F echo $G\n",
        &[
            "UndefinedVar $A",
            "UndefinedVar $B",
            "UndefinedVar <<E",
            "UndefinedVar $C",
            "UndefinedVar $F",
        ],
    );
    // Neither ports nor what the shell expands, nor what is quoted.
    assert_found(
        "FROM a\nEXPOSE $A\nRUN $A\nCMD [\"$A\"]\nCOPY <<'E' /\n$A\nE\nONBUILD USER $A\n\
         HEALTHCHECK CMD $A\nLABEL a='$A' b=\\$A\n",
        &["JSONArgsRecommended"; 0],
    );
    assert_found("FROM a\nENV A=$BUILDKIT_SBOM_SCAN_STAGE\n", &[]);
}

#[test]
fn variables_go_from_stage_to_stage() {
    assert_found(
        "FROM a AS one\nENV A=1\nARG B\nFROM one AS two\nUSER $A$B\nENV C=1\nFROM one\nUSER $C\n\
         FROM two\nUSER $A$B$C\nFROM a\nUSER $A\nFROM scratch\nUSER $LANG$PATH\n",
        &["UndefinedVar $C", "UndefinedVar $A", "UndefinedVar $LANG$PATH"],
    );
    // Nothing is undefined where not all is known.
    assert_found("FROM unknown\nUSER $A\n", &[]);
    assert_found("FROM a\nENV $X=1\nUSER $A\n", &["UndefinedVar $X", "UndefinedVar $A"]);
    assert_found("FROM unknown AS u\nENV $X=1\nFROM u\nUSER $A\n", &[]);
    // What the base hands on, seen from the stage that takes it over.
    assert_found("FROM a AS p\nONBUILD USER $A\nFROM p\n", &["UndefinedVar p"]);
}

#[test]
fn commands_in_shell_form() {
    let json = |what| format!("JSONArgsRecommended {what}");
    assert_found("FROM a\nCMD a b\nENTRYPOINT c\n", &[&json("a b"), &json("c")]);
    assert_found("FROM a\nCMD [\"a\"]\nRUN b\nHEALTHCHECK CMD c\nONBUILD CMD d\n", &[]);
    assert_found("FROM a\nSHELL [\"x\"]\nCMD a\n", &[]);
    assert_found("FROM a\nCMD a\nSHELL [\"x\"]\n", &[&json("a")]);
    assert_found("FROM shell\nCMD a\n", &[]);
    assert_found("FROM unknown\nCMD a\n", &[&json("a")]);
    assert_found("FROM a AS x\nSHELL [\"y\"]\nFROM x\nCMD a\nFROM a\nCMD b\n", &[&json("b")]);
    assert_found("FROM a\nCMD\n", &["JSONArgsRecommended "]);
}

#[test]
fn platforms_of_images() {
    assert_found("FROM a\nFROM none\nFROM --platform=linux/aarch64 b AS arm64\n", &[]);
    assert_found("FROM --platform=linux/amd64 b AS amd64\n", &["InvalidBaseImagePlatform b"]);
    let amd = |name: &str| (name == "TARGETPLATFORM").then(|| "linux/amd64".to_owned());
    let given = Given { image: &image, arg: &amd, ..Given::default() };
    assert_eq!(found("FROM a\nFROM scratch\n", &given), ["InvalidBaseImagePlatform a"]);
}

#[test]
fn values_decide_about_paths_and_ports() {
    assert_found("FROM a\nARG GIVEN\nWORKDIR $GIVEN\nWORKDIR b\n", &["WorkdirRelativePath $GIVEN"]);
    assert_found("FROM a\nWORKDIR $HOME\nWORKDIR b\n", &[]);
    assert_found("FROM a\nWORKDIR b\n", &[]);
    assert_found("FROM unknown\nWORKDIR $X\n", &[]);
    // The text alone does not say what the second stage starts from.
    let text = "ARG A=x\nFROM a AS x\nFROM $A\nWORKDIR b\n";
    assert_found(text, &["WorkdirRelativePath b"]);
    assert_found(
        "ARG A=x\nFROM a AS x\nWORKDIR /\nFROM $A AS y\nWORKDIR b\nFROM y\nWORKDIR c\n",
        &[],
    );
    assert_found(
        "FROM a\nENV P=\"80/TCP 1:2\"\nEXPOSE $P 81/TCP $GIVEN\n",
        &["ExposeProtoCasing $P", "ExposeInvalidFormat $P"],
    );
    assert_found("FROM a AS p\nONBUILD EXPOSE 80/TCP\nFROM p\n", &["ExposeProtoCasing p"]);
}

#[test]
fn sources_that_are_ignored() {
    let sources = |rules: &str, text: &str| {
        let ignore = Ignore::parse(rules);
        let given = Given { ignore: Some(&ignore), arg: &arg, image: &image, ..Given::default() };
        found(text, &given)
    };
    let one =
        |rules: &str, source: &str| sources(rules, &format!("FROM a\nCOPY {source} /x\n")).len();
    for (rules, source, hidden) in [
        ("a", "a", true),
        ("a", "./a/b/", true),
        ("a", "/a", true),
        ("a", "b", false),
        ("a/b", "a", false),
        ("*/tmp/*", "./x/tmp/y", true),
        ("*.o", "a.o", true),
        // All of the root.
        ("*", ".", true),
        ("**", "/", true),
        ("**/*", ".", true),
        ("a", ".", false),
        ("*\n!a", ".", false),
        // An exception on the way or below takes the check back, others do not.
        ("*\n!a", "a", false),
        ("*\n!a/b/c", "a/b", false),
        ("*\n!a/b", "a/b/c", false),
        ("*\n!a-b", "a", true),
        ("*\n!b", "a", true),
        ("*\n!b/*.c", "a", true),
        ("*\n!b/*.c", "b/d", false),
        ("*\n!b/*.c", "b", false),
        ("*\n!*.c", "b", false),
        ("*\n!a/*/c", "a", false),
        ("a\n!a\na", "a", false),
        // Nothing is the root, and an absolute path is below it.
        ("*", "$NONE", true),
        ("a", "$X/a", true),
        ("a", "$X/b", false),
    ] {
        let expected = usize::from(hidden);
        assert_eq!(
            one(rules, source),
            expected + usize::from(source.contains('$')),
            "{rules:?} {source}"
        );
    }
    assert_eq!(
        sources(
            "*",
            "FROM a\nADD https://example.org/x git@h:x y /x\nCOPY --from=b c /d\nCOPY <<E /e\nE\n"
        ),
        ["CopyIgnoredFile y"]
    );
    assert_eq!(
        sources("rel", "FROM a\nARG GIVEN\nCOPY $GIVEN/x /y\n"),
        ["CopyIgnoredFile $GIVEN/x"]
    );
}

#[test]
fn the_file_has_its_say() {
    let text = "# check=skip=UndefinedVar;error=true\nFROM a\nUSER $X\nCMD a\n\
        # check=skip=JSONArgsRecommended\nENTRYPOINT b\n";
    let problems = check(&parse(text).file, &Given { image: &image, ..Given::default() });
    let shown: Vec<_> = problems.iter().map(|p| (p.rule().unwrap(), p.severity)).collect();
    assert_eq!(shown, [("JSONArgsRecommended", Severity::Error)]);
}

#[test]
fn files_that_are_broken_are_gone_through_too() {
    for text in [
        "",
        "FROM\n",
        "FROM $X\nUSER $Y\n",
        "ARG A=${B:?}\nFROM $A\n",
        "RUN x\n",
        "FROM a\nFROM 0\n",
    ] {
        check(&parse(text).file, &Given::default());
    }
}
