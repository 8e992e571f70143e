//! What holds for any text.

use proptest::prelude::*;

use crate::{Dockerfile, Instruction, Op, Source, Span, Word, expand, parse, references};

/// Pieces that Dockerfiles are made of, so that random texts get further than the first word.
fn piece() -> impl Strategy<Value = String> {
    let fixed = [
        "FROM ",
        "FROM a AS b\n",
        "RUN ",
        "COPY ",
        "ADD ",
        "ENV ",
        "ARG ",
        "LABEL ",
        "CMD ",
        "ONBUILD ",
        "HEALTHCHECK ",
        "EXPOSE ",
        "SHELL ",
        "VOLUME ",
        "USER ",
        "WORKDIR ",
        "STOPSIGNAL ",
        "ENTRYPOINT ",
        "--mount=",
        "--from=",
        "--chown=",
        "--platform=",
        "type=cache",
        ",target=/x",
        "from=b",
        "--interval=",
        "<<EOF",
        "<<-'E F'",
        "\nEOF\n",
        "[\"a\", \"b\"]",
        "['a']",
        "[",
        "]",
        "\"",
        "'",
        "\\",
        "\\\n",
        "`\n",
        "$A",
        "${A:-x}",
        "${",
        "}",
        "${A//x/y}",
        "=",
        "a=b",
        " ",
        "\t",
        "\n",
        "\r\n",
        "\n\n",
        "#",
        "# escape=`\n",
        "# syntax=x\n",
        "\u{feff}",
        "é",
        "\u{a0}",
        "\0",
        "0",
        "1h",
        "CMD",
        "NONE",
        "--",
        "AS",
    ];
    prop_oneof![
        8 => proptest::sample::select(fixed.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,5}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

fn words(op: &Op) -> Vec<&Word> {
    match op {
        Op::Copy(copy) => {
            let paths = copy.files.sources.iter().filter_map(|source| match source {
                Source::Path(path) => Some(path),
                Source::Heredoc(_) => None,
            });
            paths.chain([&copy.files.dest]).chain(copy.from.as_ref()).collect()
        }
        Op::Arg(list) => list.iter().map(|arg| &arg.name).collect(),
        Op::Env(list) | Op::Label(list) => list.iter().flat_map(|p| [&p.key, &p.value]).collect(),
        Op::Expose(list) | Op::Volume(list) | Op::Shell(list) => list.iter().collect(),
        Op::User(word) | Op::Workdir(word) | Op::Stopsignal(word) => vec![word],
        Op::Onbuild(onbuild) => words(&onbuild.instruction.op),
        _ => Vec::new(),
    }
}

fn spans(file: &Dockerfile) -> Vec<Span> {
    let mut spans = Vec::new();
    for stage in &file.stages {
        spans.extend([stage.span, stage.from.span]);
        spans.extend(stage.comments.iter().map(|comment| comment.span));
        for Instruction { span, keyword, comments, op, .. } in &stage.instructions {
            spans.extend([*span, *keyword]);
            spans.extend(comments.iter().map(|comment| comment.span));
            spans.extend(words(op).iter().map(|word| word.span));
        }
    }
    spans
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_and_all_places_are_in_it(text in text()) {
        let parsed = parse(&text);
        let problems = parsed.problems.iter().map(|p| p.span);
        for span in spans(&parsed.file).into_iter().chain(problems) {
            prop_assert!(text.get(span.range()).is_some(), "{:?} in {:?}", span, text);
        }
        for stage in &parsed.file.stages {
            let inside = |i: &Instruction| i.keyword.start >= i.span.start && i.keyword.end <= i.span.end;
            prop_assert!(stage.instructions.iter().all(inside));
        }
        if let Ok(list) = references(&parsed.file, None, &|_| Some("v".to_owned())) {
            prop_assert!(list.iter().all(|r| !r.name.is_empty()));
        }
        for word in parsed.file.stages.iter().flat_map(|s| &s.instructions).flat_map(|i| words(&i.op)) {
            let _ = expand::words(word, parsed.file.directives.escape, &|_| Some(String::new()));
        }
    }

    #[test]
    fn the_order_of_problems_is_that_of_the_text(text in text()) {
        let starts: Vec<u32> = parse(&text).problems.iter().map(|p| p.span.start).collect();
        prop_assert!(starts.is_sorted());
    }

    /// Wherever a line is broken between words, with whatever comments between, the words stay.
    #[test]
    fn continued_lines_are_joined(
        words in proptest::collection::vec("[a-z0-9/.]{1,6}", 2..8),
        breaks in proptest::collection::vec(0..5_usize, 8),
        crlf in any::<bool>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let gap = |kind: usize| match kind {
            0 => " ".to_owned(),
            1 => format!(" \\{end}"),
            2 => format!(" \\  {end}\t"),
            3 => format!("\\{end}  # comment \\{end} "),
            _ => format!(" \\{end}# one{end}# two{end}"),
        };
        let mut text = format!("FROM a{end}COPY ");
        for (word, kind) in words.iter().zip(&breaks) {
            text += word;
            text += &gap(*kind);
        }
        text += "last";
        text += end;
        let parsed = parse(&text);
        prop_assert_eq!(&parsed.problems, &[]);
        let Op::Copy(copy) = &parsed.file.stages[0].instructions[0].op else { panic!() };
        let found: Vec<&str> = copy.files.sources.iter().map(|source| match source {
            Source::Path(path) => path.raw.as_str(),
            Source::Heredoc(_) => "heredoc",
        }).collect();
        prop_assert_eq!(found, words.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(&copy.files.dest.raw, "last");
    }

    #[test]
    fn quoted_text_expands_to_itself(text in "[^'\\\\\"$]{0,20}") {
        let quoted = |quote: char| Word { raw: format!("{quote}{text}{quote}"), span: Span::default() };
        for quote in ['\'', '"'] {
            let expanded = expand::word(&quoted(quote), '\\', &|_| None).unwrap();
            prop_assert_eq!(&expanded.text, &text);
        }
    }

    #[test]
    fn any_word_expands_or_fails(text in "[a${}:/#%*?+'\"\\\\ b\u{e9}-]{0,30}", value in "[ab\u{e9}\n]{0,8}") {
        let word = Word { span: Span { start: 0, end: text.len() as u32 }, raw: text.clone() };
        if let Err(problem) = expand::word(&word, '\\', &|_| Some(value.clone())) {
            prop_assert!(text.get(problem.span.range()).is_some(), "{problem:?}");
        }
    }
}

/// Texts that are slow for readers which go back or compare everything with everything; each one
/// takes a fraction of a second, and minutes when something is quadratic again.
#[test]
fn long_texts_are_read_in_one_go() {
    let size = 1 << 16;
    let line = [
        ("COPY ", "<<A "),
        ("COPY ", "<<A <<B "),
        ("RUN ", "--mount=a --network=b "),
        ("RUN --mount=", "a=b,"),
        ("LABEL ", "a='"),
        ("LABEL ", "a=${ "),
        ("CMD [", "\"a\","),
        ("ENV A=", "${A:-"),
        ("ENV A=", "$A"),
        ("EXPOSE ", "x "),
    ];
    for (head, unit) in line {
        parse(&format!("FROM a\n{head}{}\n", unit.repeat(size / unit.len())));
    }
    for unit in [
        "RUN <<A <<B\n",
        "\\\n",
        "RUN a \\\n",
        "COPY \"",
        "ENV A=\"",
        "# a\n",
        "RUN x<<EOF\n",
        "CMD [\"",
        "FROM a AS b\n",
        "FROM a\nCOPY --from=b x y\n",
        "ARG A=$A\n",
        "[[",
        "ONBUILD ",
        "--mount=",
        ",",
        "$A${",
        "FROM a\nCMD x\n",
        "FROM $A\n",
        "FROM $A\nARG A\n",
        "ENV A=x ",
        "LABEL $A=${A:-$A} ",
    ] {
        let text = format!("FROM a\n{}", unit.repeat(size / unit.len()));
        let parsed = parse(&text);
        let _ = references(&parsed.file, None, &|_| None);
    }
}
