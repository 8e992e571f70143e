//! Dockerfiles and ignore files.

use mabuild_dockerfile::{
    Add, Copy, Dockerfile, Given, Globals, Ignore, Image, Instruction, Op, Problem, Source, Span,
    Stages, Word, check, expand, parse, parse_trigger, progress, references, stages_needed,
};

/// Values for some variables, and for some none.
fn value(name: &str) -> Option<String> {
    match name.len() {
        1 => Some("x y".to_owned()),
        2 => Some(String::new()),
        3 => None,
        _ => Some(format!("<{name}>")),
    }
}

/// Reads bytes as a Dockerfile, and does with it all that a build does short of running it.
/// Whatever they are: every place is in the text and on character boundaries, problems come in
/// the order of the text, and the same text is read the same way again.
pub fn dockerfile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let parsed = parse(text);
    let whole = |span: Span| {
        assert!(text.get(span.range()).is_some(), "{span:?} is no place in {text:?}");
    };
    told(text, &parsed.problems);
    let file = &parsed.file;
    for stage in &file.stages {
        let words = [Some(&stage.from), stage.name.as_ref(), stage.platform.as_ref()];
        words.into_iter().flatten().chain(&stage.comments).for_each(|word| whole(word.span));
        whole(stage.span);
        for Instruction { span, keyword, comments, op, .. } in &stage.instructions {
            [*span, *keyword].into_iter().for_each(whole);
            comments.iter().chain(words_of(op)).for_each(|word| whole(word.span));
            assert!(span.start <= keyword.start && keyword.end <= span.end, "{text:?}");
        }
    }
    for (_, arg) in file.arguments() {
        whole(arg.name.span);
    }
    for target in [None, Some("a"), Some("0")] {
        let (found, needed) =
            (references(file, target, &value), stages_needed(file, target, &value));
        assert_eq!(found.is_ok(), needed.is_ok());
        match found {
            Ok(list) => list.iter().for_each(|reference| {
                assert!(!reference.name.trim().is_empty());
                whole(reference.span);
            }),
            Err(problems) => told(text, &problems),
        }
    }
    checked(text, file);
    lowered(file);
    assert_eq!(parse(text), parsed, "read in another way again");
}

fn told(text: &str, problems: &[Problem]) {
    for problem in problems {
        let span = problem.span;
        assert!(text.get(span.range()).is_some(), "{problem:?} has no place in {text:?}");
        assert!(!problem.message.is_empty(), "a problem without words");
    }
    // What is only counted comes last.
    let places = problems.iter().filter(|p| !p.code.ends_with(":too-many-problems"));
    assert!(places.map(|p| p.span.start).is_sorted(), "not in the order of {text:?}");
}

fn checked(text: &str, file: &Dockerfile) {
    let ignore = Ignore::parse("a\n*.b\n!c/**\n");
    let image = |_: &mabuild_dockerfile::Stage| Some(Image::default());
    for given in [
        Given::default(),
        Given { ignore: Some(&ignore), arg: &value, image: &image, target: None },
    ] {
        let found = check(file, &given);
        told(text, &found);
        assert!(
            found
                .iter()
                .all(|problem| problem.rule().is_some() || problem.code.contains("too-many"))
        );
    }
}

/// Goes through the stages as a build does.
fn lowered(file: &Dockerfile) {
    let escape = file.directives.escape;
    let stages = Stages::new(file);
    let globals = file.stages.last().and_then(|last| Globals::new(file, last, &value).ok());
    for stage in &file.stages {
        if let Some(globals) = &globals {
            stages.base(stage, globals).ok();
        }
        for instruction in &stage.instructions {
            progress(instruction, escape, &value);
            if let Op::Onbuild(onbuild) = &instruction.op {
                parse_trigger(&onbuild.trigger);
            }
            if let Op::Run(run) = &instruction.op {
                run.script();
                run.mounts.iter().for_each(|mount| drop(mount.resolve(escape, &value)));
            }
            expand::op(&instruction.op, escape, &value).ok();
        }
    }
}

fn words_of(op: &Op) -> Vec<&Word> {
    match op {
        Op::Copy(Copy { files, .. }) | Op::Add(Add { files, .. }) => {
            let paths = files.sources.iter().filter_map(|source| match source {
                Source::Path(path) => Some(path),
                Source::Heredoc(_) => None,
            });
            let flags = [&files.chown, &files.chmod].into_iter().flatten();
            paths.chain([&files.dest]).chain(flags).chain(&files.exclude).collect()
        }
        Op::Arg(list) => {
            list.iter().flat_map(|arg| [&arg.name].into_iter().chain(&arg.default)).collect()
        }
        Op::Env(list) | Op::Label(list) => {
            list.iter().flat_map(|pair| [&pair.key, &pair.value]).collect()
        }
        Op::Expose(words) | Op::Volume(words) | Op::Shell(words) => words.iter().collect(),
        Op::User(word) | Op::Workdir(word) | Op::Stopsignal(word) | Op::Maintainer(word) => {
            vec![word]
        }
        Op::Onbuild(onbuild) => words_of(&onbuild.instruction.op),
        _ => Vec::new(),
    }
}

/// Reads bytes as a path, and behind its line end as an ignore file. Whatever they are: every
/// problem has its place, what is pruned is left out with all that is below, and a file without
/// exceptions that leaves out a folder leaves out what is in it.
pub fn ignore(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (path, rules) = text.split_once('\n').unwrap_or((text, ""));
    let ignore = Ignore::parse(rules);
    told(rules, ignore.problems());
    let below = format!("{path}/x");
    if ignore.prunes(path) {
        assert!(ignore.excluded(path), "{path:?} is pruned and not left out by {rules:?}");
        assert!(ignore.excluded(&below), "what is below {path:?} comes back by {rules:?}");
    }
    let has_exceptions =
        rules.lines().any(|line| line.trim_start_matches('\u{feff}').trim().starts_with('!'));
    if !has_exceptions && ignore.excluded(path) {
        assert!(ignore.excluded(&below), "{path:?} is left out and {below:?} is not by {rules:?}");
    }
    let flags = Ignore::of(rules.lines());
    flags.excluded(path);
    flags.prunes(path);
}
