//! What FROM, `--from` and `from=` mean.

use crate::{Base, Globals, Op, Origin, Stages, parse};

fn arg(name: &str) -> Option<String> {
    let value = match name {
        "TARGETPLATFORM" => "linux/arm64",
        "GIVEN" => "given",
        _ => return None,
    };
    Some(value.to_owned())
}

#[test]
fn bases() {
    let text = "ARG GIVEN=x A=a:$GIVEN B\nFROM $A AS one\nFROM --platform=$TARGETPLATFORM b AS two\n\
        FROM one\nFROM --platform=$NONE scratch\nFROM $B\nFROM x-$TARGETSTAGE\n";
    let file = parse(text).file;
    let target = file.stage_of_target(Some("TWO")).unwrap();
    assert_eq!(target.index, 1);
    let globals = Globals::new(&file, target, &arg).unwrap();
    let values = ["GIVEN", "A", "B", "TARGETPLATFORM", "NONE", "TARGETSTAGE"];
    let values = values.map(|name| globals.get(name).unwrap_or_default());
    assert_eq!(values, ["given", "a:given", "", "linux/arm64", "", "two"]);
    let stages = Stages::new(&file);
    let outside = |name: &str, platform: Option<&str>| {
        Ok(Base::Outside { name: name.to_owned(), platform: platform.map(str::to_owned) })
    };
    let bases: Vec<_> = file
        .stages
        .iter()
        .map(|stage| stages.base(stage, &globals).map_err(|problem| problem.code))
        .collect();
    assert_eq!(
        bases,
        [
            outside("a:given", None),
            outside("b", Some("linux/arm64")),
            Ok(Base::Stage(0)),
            Ok(Base::Nothing),
            Err("mabuild::dockerfile::empty-name"),
            outside("x-two", None),
        ]
    );
}

#[test]
fn origins() {
    let text = "FROM a AS one\nFROM b AS two\nFROM c\n\
        COPY --from=One x y\nCOPY --from=1 x y\nCOPY --from=alpine:3 x y\nCOPY --from=scratch x y\n\
        COPY --from=2 x y\nCOPY --from=3 x y\nCOPY --from=last x y\n\
        RUN --mount=from=two,target=/t x\nFROM d AS last\n";
    let file = parse(text).file;
    let stages = Stages::new(&file);
    let origins: Vec<_> = file.stages[2]
        .instructions
        .iter()
        .map(|instruction| match &instruction.op {
            Op::Copy(copy) => stages.copy_source(2, copy.from.as_ref().unwrap()),
            Op::Run(run) => stages.mount_source(2, run.mounts[0].from.as_ref().unwrap()),
            other => panic!("{other:?}"),
        })
        .map(|origin| origin.map_err(|problem| problem.code.rsplit_once(':').unwrap().1))
        .collect();
    assert_eq!(
        origins,
        [
            Ok(Origin::Stage(0)),
            Ok(Origin::Stage(1)),
            Ok(Origin::Outside),
            Ok(Origin::Nothing),
            Err("own-stage"),
            Err("stage-comes-later"),
            Err("stage-comes-later"),
            Ok(Origin::Stage(1)),
        ]
    );
}

#[test]
fn stages_in_capitals_are_no_images() {
    let text = "FROM a AS b\nFROM B\n";
    let problems = parse(text).problems;
    assert_eq!(problems[0].code, "mabuild::dockerfile::stage-name-in-capitals");
    assert_eq!(&text[problems[0].span.range()], "B");
}

#[test]
fn instructions_keep_their_text_and_comments() {
    let text = "# far\n\n# one\n  #two  \nFROM a \\\n # within\n AS b\n#\n# check=skip=all\nRUN x \\\n\ty <<E\nz\nE\n";
    let file = parse(text).file;
    let stage = &file.stages[0];
    let comments = |list: &[crate::Word]| -> Vec<String> {
        list.iter().for_each(|word| assert_eq!(&text[word.span.range()], word.raw));
        list.iter().map(|word| word.raw.clone()).collect()
    };
    assert_eq!(stage.code, "FROM a  AS b");
    assert_eq!(comments(&stage.comments), ["one", "two"]);
    assert_eq!(stage.instructions[0].code, "RUN x \ty <<E");
    assert_eq!(comments(&stage.instructions[0].comments), ["check=skip=all"]);
}
