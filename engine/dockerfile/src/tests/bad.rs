//! Files with something wrong: which problem, where, in which words.

use std::fmt::Write as _;

use super::show;
use crate::parse;

const CASES: &[&str] = &[
    // The file as a whole.
    "",
    "\n# nothing\n",
    "ARG A=1\n",
    "RUN true\nFROM a\n",
    "LABEL a=b\nLABEL c=d\n",
    // Directives.
    "# escape=x\nFROM a\n",
    "# escape=\\\n# escape=`\nFROM a\n",
    "# a comment\n# syntax=docker/dockerfile:1\nFROM a\n",
    "\n# escape=`\nFROM a\n",
    "# syntx=docker/dockerfile:1\nFROM a\n",
    "# check=skp=all\nFROM a\n",
    "# check=error=perhaps;skip=all\nFROM a\n",
    // Words that are no instructions.
    "FROM a\nRNU true\n",
    "FROM a\nENTRYPIONT [\"a\"]\n",
    "FROM a\nRUN apt-get update\n    apt-get install curl\n    rm -rf /x\n",
    "FROM a\nRUN\u{a0}true\n",
    "FROM a\n}\n",
    // FROM.
    "FROM\n",
    "FROM a b\n",
    "FROM a AS\n",
    "FROM a AS b c\n",
    "FROM a AS 1b\n",
    "FROM a AS b/c\n",
    "FROM a AS scratch\n",
    "FROM --platfrom=linux/amd64 a\n",
    "FROM --platform a\n",
    "FROM a AS x\nFROM b AS X\n",
    "FROM b\nFROM a AS b\n",
    "FROM a:$TAG\n",
    "ARG TAGS\nFROM a:${TAG:-1}\n",
    "FROM a\nARG TAG=1\nFROM b:$TAG\n",
    "FROM a:${TAG\n",
    "FROM --platform=$TARGETPLATFOM a\n",
    // Lines.
    "FROM a\nRUN a \\\n\n  b\n",
    "FROM a\nCOPY <<EOF /x\ntext\n",
    "FROM a\nRUN <<EOF\ntext\n  EOF\n",
    "FROM a\nRUN <<A cat <<B\na\nA\n",
    "FROM a\nRUN echo don't <<EOF\nEOF\n",
    "FROM a\nRUN echo $((1 << 3))\nRUN b\n",
    "FROM a\nRUN cat<<EOF > /x\ntext\nEOF\n",
    // COPY and ADD.
    "FROM a\nCOPY ['x', '/y']\n",
    "FROM a\nCOPY \"a b\" /x\n",
    "FROM a\nCOPY\n",
    "FROM a\nCOPY x\n",
    "FROM a\nCOPY [\"x\"]\n",
    "FROM a\nCOPY [\"x\", 1]\n",
    "FROM a\nCOPY x <<EOF\nEOF\n",
    "FROM a\nCOPY << EOF /x\nEOF\n",
    "FROM a\nCOPY <<A <<A /x\n1\nA\n2\nA\n",
    "FROM a\nCOPY --form=b x y\n",
    "FROM a\nCOPY --from b x y\n",
    "FROM a\nCOPY --chmod=99 x y\n",
    "FROM a\nCOPY --link=maybe x y\n",
    "FROM a\nCOPY --chown=a --chown=b x y\n",
    "FROM a\nCOPY --checksum=sha256:0 x y\n",
    "FROM a\nCOPY https://example.org/x y\n",
    "FROM a\nCOPY --from=$B x y\n",
    "FROM a\nCOPY --from=0 x y\n",
    "FROM a\nCOPY --from=1 x y\nFROM b\n",
    "FROM a\nCOPY --from=7 x y\n",
    "FROM a AS b\nCOPY --from=B x y\n",
    "FROM a\nCOPY --from=b x y\nFROM c AS b\n",
    "FROM a\nADD --from=b x y\n",
    "FROM a\nADD --checksum=sha256:0 x y z\n",
    // RUN.
    "FROM a\nRUN\n",
    "FROM a\nRUN --mout=type=cache true\n",
    "FROM a\nRUN --mount true\n",
    "FROM a\nRUN --mount=type=bin,target=/a true\n",
    "FROM a\nRUN --mount=type=cache,taget=/a true\n",
    "FROM a\nRUN --mount=type=cache,target true\n",
    "FROM a\nRUN --mount=type=cache,target=/a,sharing=lock true\n",
    "FROM a\nRUN --mount=type=bind,target=/a,sharing=locked true\n",
    "FROM a\nRUN --mount=type=bind,target=/a,mode=0700 true\n",
    "FROM a\nRUN --mount=type=cache,target=/a,mode=9 true\n",
    "FROM a\nRUN --mount=type=cache,target=/a,uid=root true\n",
    "FROM a\nRUN --mount=type=tmpfs,target=/a,size=big true\n",
    "FROM a\nRUN --mount=type=cache,target=/a,size=1g true\n",
    "FROM a\nRUN --mount=type=cache,target=/a,required true\n",
    "FROM a\nRUN --mount=type=cache,target=/a,ro=yes true\n",
    "FROM a\nRUN --mount=type=secret true\n",
    "FROM a\nRUN --mount=type=secret,id=a,source=b true\n",
    "FROM a\nRUN --mount=type=secret,id=a,from=b true\n",
    "FROM a\nRUN --mount=type=ssh,env=A true\n",
    "FROM a\nRUN --mount=from=$X,target=/a true\n",
    "FROM a\nRUN --mount=from=0,target=/a true\n",
    "FROM a AS b\nRUN --mount=from=b,target=/a true\n",
    "FROM a\nRUN --mount=target=/a\\\",b true\n",
    "FROM a\nRUN --network=hots true\n",
    "FROM a\nRUN --security=all true\n",
    "FROM a\nRUN --device=a,b,c true\n",
    "FROM a\nRUN [\"a\", 1]\n",
    // CMD, ENTRYPOINT, SHELL.
    "FROM a\nCMD ['a', 'b']\n",
    "FROM a\nCMD [\"a\",]\n",
    "FROM a\nENTRYPOINT [\"a\"] # comment\n",
    "FROM a\nENTRYPOINT [a, b]\n",
    "FROM a\nCMD\nCMD b\n",
    "FROM a\nCMD --x b\n",
    "FROM a\nSHELL /bin/bash -c\n",
    "FROM a\nSHELL []\n",
    "FROM a\nSHELL\n",
    // ENV, LABEL, ARG.
    "FROM a\nENV\n",
    "FROM a\nENV A\n",
    "FROM a\nENV A b c\n",
    "FROM a\nENV A=b c\n",
    "FROM a\nENV A = b\n",
    "FROM a\nENV =b\n",
    "FROM a\nLABEL a=b =c d\n",
    "FROM a\nARG\n",
    "FROM a\nARG =b\n",
    // Others.
    "FROM a\nEXPOSE\n",
    "FROM a\nEXPOSE 70000 80/http 90-80 x 1-2-3\n",
    "FROM a\nVOLUME []\n",
    "FROM a\nVOLUME [\" \"]\n",
    "FROM a\nUSER\n",
    "FROM a\nWORKDIR\n",
    "FROM a\nMAINTAINER me\n",
    "FROM a\nSTOPSIGNAL SIGTREM\n",
    "FROM a\nSTOPSIGNAL 0\n",
    "FROM a\nHEALTHCHECK\n",
    "FROM a\nHEALTHCHECK CMD\n",
    "FROM a\nHEALTHCHECK CMD []\n",
    "FROM a\nHEALTHCHECK CDM true\n",
    "FROM a\nHEALTHCHECK NONE x\n",
    "FROM a\nHEALTHCHECK --interval=30 CMD true\n",
    "FROM a\nHEALTHCHECK --timeout=1us CMD true\n",
    "FROM a\nHEALTHCHECK --retries=-1 CMD true\n",
    "FROM a\nHEALTHCHECK CMD a\nHEALTHCHECK CMD b\n",
    "FROM a\nONBUILD\n",
    "FROM a\nONBUILD ONBUILD RUN a\n",
    "FROM a\nONBUILD FROM b\n",
    "FROM a\nONBUILD RUM b\n",
    "FROM a\nONBUILD COPY --chmod=x9 b\n",
];

#[test]
fn problems() {
    let mut out = String::new();
    for text in CASES {
        writeln!(out, "=== {text:?}").unwrap();
        let shown = show(text, &parse(text).problems);
        assert!(!shown.is_empty(), "{text:?} has no problem");
        writeln!(out, "{shown}").unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn all_problems_of_a_file_are_found() {
    let text = "FROM a\nRNU x\nCOPY y\nFROM b AS 1\nSHELL x\nEXPOSE y\n";
    assert_eq!(parse(text).problems.len(), 5);
}

#[test]
fn problems_are_bounded() {
    let text = "FROM a\n".to_owned() + &"x\n".repeat(10_000);
    let problems = parse(&text).problems;
    assert_eq!(problems.len(), 201);
    assert_eq!(problems[200].message, "9800 more problems are not shown");
}

#[test]
fn what_is_right_is_kept_beside_what_is_wrong() {
    let parsed = parse("FROM a AS 1\nRNU x\nCOPY --form=c x y\nRUN z\n");
    let ops: Vec<&str> = parsed.file.stages[0].instructions.iter().map(|i| i.op.name()).collect();
    assert_eq!(ops, ["COPY", "RUN"]);
    assert_eq!(parsed.file.stages[0].from.raw, "a");
}

#[test]
fn files_beyond_the_limit_are_refused() {
    let text = "#".repeat(crate::MAX_BYTES + 1);
    let problems = parse(&text).problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, "mabuild::dockerfile::file-too-long");
}
