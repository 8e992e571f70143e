//! BuildKit's build checks, as far as the text decides about them.

use crate::{Problem, Severity, parse};

/// The checks that find something, each with what it underlines.
fn found(text: &str) -> Vec<(&'static str, String)> {
    let problems = parse(text).problems;
    let named = |p: &Problem| Some((p.rule()?, text[p.span.range()].to_owned()));
    problems.iter().filter_map(named).collect()
}

#[track_caller]
fn assert_found(text: &str, expected: &[(&str, &str)]) {
    let found = found(text);
    let found: Vec<(&str, &str)> = found.iter().map(|(rule, place)| (*rule, &**place)).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn stage_names() {
    assert_found("FROM a AS b\n", &[]);
    assert_found("FROM a AS B\n", &[("StageNameCasing", "B")]);
    assert_found(
        "FROM a AS context\nFROM a AS Scratch\n",
        &[
            ("ReservedStageName", "context"),
            ("StageNameCasing", "Scratch"),
            ("ReservedStageName", "Scratch"),
        ],
    );
    assert_found("FROM a AS b\nFROM c AS b\n", &[("DuplicateStageName", "b")]);
    assert_found(
        "FROM a AS b\nFROM b AS b\nFROM b AS b\n",
        &[("DuplicateStageName", "b"), ("DuplicateStageName", "b")],
    );
}

#[test]
fn casing() {
    assert_found("FROM a as b\n", &[("FromAsCasing", "as")]);
    assert_found("from a AS b\nrun x\n", &[("FromAsCasing", "AS")]);
    assert_found("from a as b\n", &[]);
    // A FROM in mixed case is reported for itself.
    assert_found("From a aS b\n", &[("ConsistentInstructionCasing", "From")]);
    assert_found(
        "FROM a\nRun b\nrun c\nRUN d\n",
        &[("ConsistentInstructionCasing", "Run"), ("ConsistentInstructionCasing", "run")],
    );
    assert_found("FROM a\nrun b\nuser c\n", &[("ConsistentInstructionCasing", "FROM")]);
    // As many of the one as of the other are for upper case.
    assert_found("FROM a\nrun b\n", &[("ConsistentInstructionCasing", "run")]);
    // Neither arguments above FROM nor what ONBUILD hands on count.
    assert_found("arg A\narg B\nFROM a\nONBUILD run x\n", &[]);
}

#[test]
fn from() {
    assert_found("ARG A\nFROM ${A:-b}\n", &[]);
    assert_found("FROM ${A:-b}\n", &[("UndefinedArgInFrom", "${A:-b}")]);
    assert_found("FROM --platform=$BUILDPLATFORM a-$TARGETARCH$TARGETVARIANT\n", &[]);
    assert_found("ARG A\nFROM a:$A\nFROM b$A\n", &[("InvalidDefaultArgInFrom", "a:$A")]);
    assert_found("ARG A=B\nFROM $A\n", &[("InvalidDefaultArgInFrom", "$A")]);
    assert_found(
        "ARG TARGETARCH=X\nFROM $TARGETARCH\n",
        &[("InvalidDefaultArgInFrom", "$TARGETARCH")],
    );
    assert_found("FROM Alpine\n", &[("InvalidDefaultArgInFrom", "Alpine")]);
    // What is picked in brackets is left to the caller.
    assert_found("FROM a[b=1.2]\n", &[]);
    assert_found("FROM a[b\n", &[("InvalidDefaultArgInFrom", "a[b")]);
    // Defaults that need an argument say nothing.
    assert_found("ARG A=${B:?}\nFROM a:$A\n", &[]);
}

#[test]
fn platforms() {
    assert_found(
        "FROM --platform=$TARGETPLATFORM a\n",
        &[("RedundantTargetPlatform", "$TARGETPLATFORM")],
    );
    assert_found(
        "FROM --platform=${TARGETPLATFORM:-linux/arm} a\n",
        &[("RedundantTargetPlatform", "${TARGETPLATFORM:-linux/arm}")],
    );
    assert_found("FROM --platform=${TARGETPLATFORM}/v7 a\n", &[]);
    assert_found("FROM --platform=$TARGETOS/$TARGETARCH a\n", &[]);
    let constant = |platform| [("FromPlatformFlagConstDisallowed", platform)];
    assert_found("FROM --platform=linux/arm64 a AS b\n", &constant("linux/arm64"));
    assert_found("FROM --platform=linux/aarch64 a AS b-arm64\n", &[]);
    assert_found("FROM --platform=linux/arm64 a AS linux-b\n", &[]);
    assert_found("FROM --platform=windows/amd64 a AS linux-b\n", &constant("windows/amd64"));
    assert_found("FROM --platform=amd64 a AS linux-b\n", &[]);
    assert_found("FROM --platform=linux a\n", &constant("linux"));
    let text = "FROM --platform=nothing a\n";
    assert_eq!(parse(text).problems[0].code, "mabuild::dockerfile::bad-platform");
}

#[test]
fn instructions() {
    assert_found("FROM a\nMAINTAINER me\n", &[("MaintainerDeprecated", "MAINTAINER")]);
    assert_found(
        "FROM a\nENV A b\nLABEL c d\n",
        &[("LegacyKeyValueFormat", "A b"), ("LegacyKeyValueFormat", "c d")],
    );
    assert_found(
        "FROM a\nCMD [\"a\"]\nCMD [\"b\"]\nCMD [\"c\"]\nFROM a\nCMD [\"d\"]\n",
        &[("MultipleInstructionsDisallowed", "CMD"), ("MultipleInstructionsDisallowed", "CMD")],
    );
    assert_found("FROM a\nRUN b \\\n\n \n c\n", &[("NoEmptyContinuation", "")]);
    assert_found(
        "FROM a\nEXPOSE 80/TCP 80:80 1.2.3.4:1:1/Udp $A:80\n",
        &[
            ("ExposeProtoCasing", "80/TCP"),
            ("ExposeInvalidFormat", "80:80"),
            ("ExposeProtoCasing", "1.2.3.4:1:1/Udp"),
            ("ExposeInvalidFormat", "1.2.3.4:1:1/Udp"),
        ],
    );
    // What ONBUILD hands on is checked where it works.
    assert_found("FROM a\nONBUILD ENV A b\nONBUILD EXPOSE 80/TCP\n", &[]);
}

#[test]
fn secrets() {
    assert_found(
        "FROM a\nARG TOKEN\nARG A=b GITHUB_token=c\nENV API_KEY=a apikey=b AUTH_X=c\n",
        &[
            ("SecretsUsedInArgOrEnv", "TOKEN"),
            ("SecretsUsedInArgOrEnv", "GITHUB_token"),
            ("SecretsUsedInArgOrEnv", "API_KEY"),
            ("SecretsUsedInArgOrEnv", "apikey"),
            ("SecretsUsedInArgOrEnv", "AUTH_X"),
        ],
    );
    let harmless = "ENV PUBLIC_KEY=a KEY_FILE=b TOKEN_VERSION=c AUTHOR=d KEYS=e TOKENIZER=f\n";
    assert_found(&format!("ARG SECRET\nFROM a\n{harmless}LABEL token=x\n"), &[]);
}

#[test]
fn working_directories() {
    assert_found("FROM a\nWORKDIR b\nWORKDIR c\n", &[("WorkdirRelativePath", "b")]);
    assert_found("FROM a\nWORKDIR /a\nWORKDIR b\n", &[]);
    assert_found("FROM a AS x\nWORKDIR /a\nFROM x\nWORKDIR b\n", &[]);
    assert_found(
        "FROM a AS x\nFROM x\nWORKDIR b\nFROM a\nWORKDIR c\n",
        &[("WorkdirRelativePath", "b"), ("WorkdirRelativePath", "c")],
    );
    assert_found("FROM a\nWORKDIR C:\\x\nFROM a\nWORKDIR $A\nWORKDIR b\n", &[]);
    // What the base hands on works where it is taken over.
    assert_found("FROM a AS x\nONBUILD WORKDIR b\nFROM x\n", &[("WorkdirRelativePath", "x")]);
    assert_found("FROM a AS x\nONBUILD WORKDIR /b\nFROM x\nWORKDIR c\n", &[]);
    // Whether that stage has a directory depends on the argument.
    assert_found("ARG A=x\nFROM a AS x\nWORKDIR /a\nFROM $A\nWORKDIR b\n", &[]);
}

#[test]
fn descriptions_are_checked_when_it_is_asked_for() {
    let text =
        "# a\n# none\nFROM a AS b\n# c\n\nARG C\n# D is\nARG C D\n#\n# A\n#\nARG A\n# x\nRUN y\n";
    assert_found(text, &[]);
    let asked = format!("# check=experimental=InvalidDefinitionDescription\n{text}");
    assert_found(&asked, &[("InvalidDefinitionDescription", "none")]);
    let all = "# syntax=x\n# check=experimental=all\nARG A\n# b\nARG B\n# c\nARG D\n";
    assert_found(
        &format!("{all}FROM a\n"),
        &[("InvalidDefinitionDescription", "b"), ("InvalidDefinitionDescription", "c")],
    );
}

#[test]
fn a_file_can_skip_checks() {
    let text = "FROM a AS B\nMAINTAINER me\nRUN ['x']\n";
    let codes = |head: &str| -> Vec<&str> {
        let problems = parse(&format!("{head}\n{text}")).problems;
        assert!(problems.iter().all(|p| p.severity == Severity::Warning));
        problems.iter().map(|p| p.code.rsplit_once(':').unwrap().1).collect()
    };
    let (casing, maintainer) = ("stage-name-casing", "maintainer-deprecated");
    assert_eq!(codes("#"), [casing, maintainer, "exec-form-not-json"]);
    assert_eq!(codes("# check=skip=StageNameCasing"), [maintainer, "exec-form-not-json"]);
    let both = "# check=skip=MaintainerDeprecated,StageNameCasing;error=true";
    assert_eq!(codes(both), ["exec-form-not-json"]);
    assert_eq!(codes("# check = skip=all"), [""; 0]);
    // BuildKit reads up to the first blank, and takes names as they are.
    assert_eq!(codes("# check=skip=MaintainerDeprecated, StageNameCasing").len(), 2);
    assert_eq!(codes("# check=skip=stagenamecasing").len(), 3);
    assert_eq!(codes("# check=skip=").len(), 3);
}

#[test]
fn comments_can_skip_checks_of_one_instruction() {
    let text = "# check=skip=StageNameCasing\n# and more\nFROM a AS B\nFROM a AS C\n\
        # Check = skip=all\nMAINTAINER me\n# check=skip=all\n\nMAINTAINER you\n\
        # check=skip=MultipleInstructionsDisallowed\nCMD [\"a\"]\nCMD [\"b\"]\n";
    // The first line is a directive, which counts for all.
    assert_found(
        text,
        &[("MaintainerDeprecated", "MAINTAINER"), ("MultipleInstructionsDisallowed", "CMD")],
    );
    let text = format!("#\n{text}");
    assert_found(
        &text,
        &[
            ("StageNameCasing", "C"),
            ("MaintainerDeprecated", "MAINTAINER"),
            ("MultipleInstructionsDisallowed", "CMD"),
        ],
    );
    assert_found(
        "FROM a\n# check=skip=MaintainerDeprecated;skp=x\nMAINTAINER me\n",
        &[("MaintainerDeprecated", "MAINTAINER")],
    );
}

#[test]
fn checks_can_be_errors() {
    let text = "# check=error=true\nFROM a AS B\nRUN ['x']\n";
    let problems = parse(text).problems;
    let levels: Vec<_> = problems.iter().map(|p| (p.rule(), p.severity)).collect();
    assert_eq!(levels, [(Some("StageNameCasing"), Severity::Error), (None, Severity::Warning)]);
}

#[test]
fn options_are_read_as_buildkit_does() {
    for (value, good) in [
        ("skip=all", true),
        ("skip=A,B;error=true;experimental=all", true),
        ("error=T", true),
        ("error = T", false),
        ("skip=", true),
        ("skip=a;error=1;experimental=c;error=nothing", true),
        ("error=true error=nothing", true),
        ("skip", false),
        ("error=", false),
        ("error=yes", false),
        ("skp=all", false),
        ("skip=a;;", false),
    ] {
        let problems = parse(&format!("# check={value}\nFROM a\n")).problems;
        let bad = problems.iter().any(|p| p.code == "mabuild::dockerfile::bad-check");
        assert_eq!(bad, !good, "{value}");
    }
}

#[test]
fn what_is_skipped_leaves_room_for_the_rest() {
    let many = "MAINTAINER me\n".repeat(1000);
    let text = format!("# check=skip=MaintainerDeprecated\nFROM a\n{many}ENV A b\n");
    assert_found(&text, &[("LegacyKeyValueFormat", "A b")]);
}
