//! Against `parse-dockerfile`, another reader, for texts that both accept.

use parse_dockerfile as other;
use proptest::prelude::*;

use crate::{Command, Op, Problem, Severity, Source, parse};

/// What both can say of a file in the same words.
fn ours(text: &str) -> Option<Vec<String>> {
    let parsed = parse(text);
    // The other refuses two stages of one name.
    let refused =
        |p: &Problem| p.severity == Severity::Error || p.rule() == Some("DuplicateStageName");
    if parsed.problems.iter().any(refused) {
        return None;
    }
    let mut out: Vec<String> = parsed.file.args.iter().map(|_| "ARG".to_owned()).collect();
    for stage in &parsed.file.stages {
        let name = stage.name.as_ref().map(|n| n.raw.clone()).unwrap_or_default();
        let platform = stage.platform.as_ref().map(|p| p.raw.clone()).unwrap_or_default();
        out.push(format!("FROM {} {name} {platform}", stage.from.raw));
        out.extend(stage.instructions.iter().map(|i| our_op(&i.op)));
    }
    Some(out)
}

fn our_op(op: &Op) -> String {
    let exec = |name: &str, command: &Command| match command {
        Command::Exec(words) => {
            format!("{name} {:?}", words.iter().map(|w| w.raw.as_str()).collect::<Vec<_>>())
        }
        Command::Shell(text) => format!("{name} shell {}", squeeze(&text.raw)),
    };
    match op {
        Op::Run(run) => exec("RUN", &run.command),
        Op::Cmd(command) => exec("CMD", command),
        Op::Entrypoint(command) => exec("ENTRYPOINT", command),
        Op::Copy(copy) => {
            let sources: Vec<String> = copy.files.sources.iter().map(our_source).collect();
            let from = copy.from.as_ref().map(|w| w.raw.clone()).unwrap_or_default();
            format!("COPY {sources:?} {} {from}", copy.files.dest.raw)
        }
        Op::User(word) | Op::Workdir(word) => format!("{} {}", op.name(), word.raw),
        Op::Expose(words) | Op::Volume(words) => {
            format!("{} {:?}", op.name(), words.iter().map(|w| w.raw.as_str()).collect::<Vec<_>>())
        }
        op => op.name().to_owned(),
    }
}

fn our_source(source: &Source) -> String {
    match source {
        Source::Path(word) => word.raw.clone(),
        Source::Heredoc(doc) => format!("<<{}", doc.body),
    }
}

/// White space and continuations in commands: the other reader keeps them as they stand.
fn squeeze(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined: Vec<&str> = kept.map(|line| line.trim_end().trim_end_matches('\\')).collect();
    joined.concat().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn theirs(text: &str) -> Option<Vec<String>> {
    let file = other::parse(text).ok()?;
    Some(file.instructions.iter().map(their_op).collect())
}

fn their_op(op: &other::Instruction<'_>) -> String {
    let exec = |name: &str, command: &other::Command<'_>| match command {
        other::Command::Exec(words) => {
            format!("{name} {:?}", words.value.iter().map(|w| &*w.value).collect::<Vec<_>>())
        }
        other::Command::Shell(text) => format!("{name} shell {}", squeeze(text.value)),
        other => panic!("{other:?}"),
    };
    let flag = |flags: &[other::Flag<'_>], name: &str| {
        let found = flags.iter().find(|f| f.name.value == name);
        found.and_then(|f| f.value.as_ref()).map(|v| v.value.to_string()).unwrap_or_default()
    };
    let list = |name: &str, words: &[other::UnescapedString<'_>]| {
        format!("{name} {:?}", words.iter().map(|w| &*w.value).collect::<Vec<_>>())
    };
    use other::Instruction as I;
    match op {
        I::Arg(_) => "ARG".into(),
        I::From(from) => {
            let name = from.as_.as_ref().map(|(_, n)| n.value.to_lowercase()).unwrap_or_default();
            format!("FROM {} {name} {}", from.image.value, flag(&from.options, "platform"))
        }
        I::Run(run) => exec("RUN", &run.arguments),
        I::Cmd(cmd) => exec("CMD", &cmd.arguments),
        I::Entrypoint(entry) => exec("ENTRYPOINT", &entry.arguments),
        I::Copy(copy) => {
            let sources: Vec<String> = copy
                .src
                .iter()
                .map(|source| match source {
                    other::Source::Path(path) => path.value.to_string(),
                    other::Source::HereDoc(doc) => format!("<<{}", doc.value),
                    other => panic!("{other:?}"),
                })
                .collect();
            format!("COPY {sources:?} {} {}", copy.dest.value, flag(&copy.options, "from"))
        }
        I::User(user) => format!("USER {}", user.arguments.value),
        I::Workdir(dir) => format!("WORKDIR {}", dir.arguments.value),
        I::Expose(expose) => list("EXPOSE", &expose.arguments),
        I::Volume(volume) => match &volume.arguments {
            other::JsonOrStringArray::Json(words) => list("VOLUME", &words.value),
            other::JsonOrStringArray::String(words) => list("VOLUME", words),
        },
        I::Env(_) => "ENV".into(),
        I::Label(_) => "LABEL".into(),
        I::Add(_) => "ADD".into(),
        I::Healthcheck(_) => "HEALTHCHECK".into(),
        I::Maintainer(_) => "MAINTAINER".into(),
        I::Onbuild(_) => "ONBUILD".into(),
        I::Shell(_) => "SHELL".into(),
        I::Stopsignal(_) => "STOPSIGNAL".into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whole_files() {
    for text in [
        include_str!("../../testdata/python.Dockerfile"),
        include_str!("../../testdata/nginx.Dockerfile"),
    ] {
        assert_eq!(ours(text), Some(theirs(text).unwrap()));
    }
}

fn line() -> impl Strategy<Value = String> {
    let word = "[a-z][a-z0-9/._-]{0,6}";
    let words = proptest::collection::vec(word, 1..4).prop_map(|w| w.join(" "));
    let json = proptest::collection::vec("[a-z \\\\\\\\n]{0,5}", 1..4).prop_map(|w| {
        format!(
            "[{}]",
            w.iter().map(|w| format!("{:?}", w.replace('\\', "/"))).collect::<Vec<_>>().join(", ")
        )
    });
    prop_oneof![
        words.clone().prop_map(|w| format!("RUN {w} && \\\n    # note\n  {w}\n")),
        json.clone().prop_map(|w| format!("CMD {w}\n")),
        json.prop_map(|w| format!("ENTRYPOINT {w}\n")),
        (words.clone(), word).prop_map(|(w, d)| format!("COPY {w} /{d}\n")),
        (words.clone(), word)
            .prop_map(|(w, d)| format!("COPY --from=img:{d} --link {w} \\\n /{d}\n")),
        (word, words.clone()).prop_map(|(d, w)| format!("COPY <<EOF /{d}\n{w}\n\n# {w}\nEOF\n")),
        word.prop_map(|w| format!("USER {w}\n")),
        word.prop_map(|w| format!("  workdir /{w}\n")),
        words.clone().prop_map(|w| format!("VOLUME {w}\n")),
        (1..60_000_u16).prop_map(|p| format!("EXPOSE {p} {p}/udp\n")),
        words.prop_map(|w| format!("# {w}\n\n")),
        (word, word).prop_map(|(a, b)| format!(
            "FROM --platform=linux/amd64 {a} AS {}\n",
            b.replace('/', "_")
        )),
        word.prop_map(|w| format!("ENV A={w}\nLABEL b={w}\nARG C={w}\n")),
        word.prop_map(|w| format!("ONBUILD RUN {w}\nHEALTHCHECK NONE\nSTOPSIGNAL 9\n")),
    ]
}

proptest! {
    #[test]
    fn both_read_the_same(lines in proptest::collection::vec(line(), 0..8), crlf in any::<bool>()) {
        let text = format!("FROM base\n{}", lines.concat());
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        // Ours refuses more, such as a stage that copies from itself.
        if let Some(ours) = ours(&text) {
            prop_assert_eq!(Some(ours), theirs(&text));
        }
    }
}
