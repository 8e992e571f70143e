//! Files without errors: what is read, as an outline.

use std::fmt::Write as _;

use super::show;
use crate::{
    ArgDecl, Command, Dockerfile, Healthcheck, Heredoc, Instruction, Op, Pair, Script, Source,
    Transfer, Word, parse, parse_trigger,
};

fn word(word: &Word) -> String {
    format!("{:?}", word.raw)
}

fn maybe(name: &str, value: Option<&Word>) -> String {
    value.map(|w| format!(" {name}={:?}", w.raw)).unwrap_or_default()
}

fn list<'a>(words: impl IntoIterator<Item = &'a Word>) -> String {
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

fn args(args: &[ArgDecl]) -> String {
    let one = |a: &ArgDecl| format!("{}{}", word(&a.name), maybe("", a.default.as_ref()));
    args.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn pairs(pairs: &[Pair]) -> String {
    let one = |p: &Pair| format!("{}={}", word(&p.key), word(&p.value));
    pairs.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn command(command: &Command) -> String {
    match command {
        Command::Exec(words) => format!("exec {}", list(words)),
        Command::Shell(text) => format!("shell {}", word(text)),
    }
}

fn heredoc(doc: &Heredoc) -> String {
    let Heredoc { name, body, expand, strip_tabs, fd, .. } = doc;
    format!("heredoc {name:?} fd={fd} expand={expand} tabs={strip_tabs} {body:?}")
}

fn transfer(files: &Transfer) -> String {
    let mut out = String::new();
    for source in &files.sources {
        let shown = match source {
            Source::Path(path) => word(path),
            Source::Heredoc(doc) => heredoc(doc),
        };
        write!(out, "{shown} ").unwrap();
    }
    let (chown, chmod) =
        (maybe("chown", files.chown.as_ref()), maybe("chmod", files.chmod.as_ref()));
    let excluded: String = files.exclude.iter().map(|w| maybe("exclude", Some(w))).collect();
    let link = if files.link { " link" } else { "" };
    format!("{out}-> {}{chown}{chmod}{link}{excluded}", word(&files.dest))
}

pub(super) fn op(op: &Op) -> String {
    match op {
        Op::Add(add) => {
            let sum = maybe("checksum", add.checksum.as_ref());
            format!(
                "{}{sum} git={} unpack={:?}",
                transfer(&add.files),
                add.keep_git_dir,
                add.unpack
            )
        }
        Op::Arg(list) => args(list),
        Op::Cmd(c) | Op::Entrypoint(c) => command(c),
        Op::Copy(copy) => {
            let from = maybe("from", copy.from.as_ref());
            format!("{}{from} parents={}", transfer(&copy.files), copy.parents)
        }
        Op::Env(list) | Op::Label(list) => pairs(list),
        Op::Expose(words) | Op::Shell(words) | Op::Volume(words) => list(words),
        Op::Healthcheck(Healthcheck::None) => "none".to_owned(),
        Op::Healthcheck(Healthcheck::Check(check)) => {
            let times = [check.interval, check.timeout, check.start_period, check.start_interval];
            format!("{} {times:?} {:?}", command(&check.command), check.retries)
        }
        Op::Maintainer(w) | Op::Stopsignal(w) | Op::User(w) | Op::Workdir(w) => word(w),
        Op::Onbuild(on) => format!("{:?} {}", on.trigger, instruction(&on.instruction)),
        Op::Run(run) => {
            let mut out = command(&run.command);
            for flag in &run.mounts {
                match flag.resolve('\\', &|_| Some("VALUE".to_owned())) {
                    Ok(m) => write!(out, "\n      {m:?}").unwrap(),
                    Err(problem) => write!(out, "\n      {problem:?}").unwrap(),
                }
            }
            for doc in &run.heredocs {
                write!(out, "\n      {}", heredoc(doc)).unwrap();
            }
            let (network, security) = (run.network, run.security);
            format!("{out}\n      {network:?} {security:?} {:?}", run.devices)
        }
    }
}

fn instruction(instruction: &Instruction) -> String {
    format!("{} {}", instruction.op.name(), op(&instruction.op))
}

fn outline(file: &Dockerfile) -> String {
    let d = &file.directives;
    let mut out = format!(
        "{:?}{}{}\n",
        d.escape,
        maybe("syntax", d.syntax.as_ref()),
        maybe("check", d.check.as_ref())
    );
    writeln!(out, "args {}", args(&file.args)).unwrap();
    for stage in &file.stages {
        let (name, platform) =
            (maybe("as", stage.name.as_ref()), maybe("platform", stage.platform.as_ref()));
        writeln!(out, "{} {}{name}{platform}", stage.index, word(&stage.from)).unwrap();
        for i in &stage.instructions {
            writeln!(out, "    {}", instruction(i)).unwrap();
        }
    }
    out
}

fn check(name: &str, text: &str) {
    let parsed = parse(text);
    let shown = format!("{}---\n{}", outline(&parsed.file), show(text, &parsed.problems));
    insta::assert_snapshot!(name, shown);
}

#[test]
fn python() {
    check("python", include_str!("../../testdata/python.Dockerfile"));
}

#[test]
fn golang_cross() {
    check("golang_cross", include_str!("../../testdata/golang-cross.Dockerfile"));
}

#[test]
fn node() {
    check("node", include_str!("../../testdata/node.Dockerfile"));
}

#[test]
fn nginx() {
    check("nginx", include_str!("../../testdata/nginx.Dockerfile"));
}

#[test]
fn windows() {
    let text = include_str!("../../testdata/windows.Dockerfile").replace('\n', "\r\n");
    check("windows", &text);
}

#[test]
fn small_things() {
    let cases = [
        "\u{feff}# escape = \\\n#syntax=x y\n# CHECK=skip=all;error=true\nFROM a\n",
        "  FROM\ta  \r\n\t# comment\r\n\tRUN a\\\r\n  b\r\n",
        "from a\nrun a \\\n# gone\n   # gone too\n  b \\\n# last",
        "FROM a\nRUN a \\\\\nRUN b \\  \n c\n\\\nRUN d\n",
        "FROM a\nRUN [ -f x ] && y\nRUN [ \"$a\" = b ]\nRUN [[ a ]]\nRUN [\"\\u0041\", \"b\\\\\"]\nRUN []\n",
        "FROM a\nRUN <<A <<-'B' 3<<\"C D\" cat\n1\nA\n\t2\n\tB\n3\nC D\n",
        "FROM a\nRUN <<EOF\n#!/bin/sh\n# kept \\\n\nEOF\nRUN cat << EOF > /x\r\n1\r\nEOF\r\nRUN echo <<EOF\\\n x\nb\nEOF\n",
        "FROM a\nRUN echo $((1<<3)) \"<<EOF\" '<<EOF'\nRUN python3 <<< 'x'\nRUN <<$EOF\nx\n$EOF\n",
        "FROM a\nRUN [\"a\", \"<<EOF\"]\nCMD <<EOF\n",
        "FROM a\nCOPY --from=b -- --x y\nCOPY --chown=\"a b\":c --chmod=u+x 'x\\ y' /z\nCOPY a\\\nb c\n",
        "FROM a\nENV A=1 B='2 3' C=\"4 \\\" 5\" D=6\\ 7 E= F=a=b\nENV G h  i\\\nj\nLABEL \"k l\"=m\n",
        "ARG A B=2 C=\"3 4\"\nARG D=$A\nFROM a\nARG A\nARG B=$C\n",
        "FROM a\nRUN --mount=type=tmpfs,target=/t,size=1.5g --mount=from=b,src=/x,dst=/y,rw --mount=type=ssh --mount=type=cache,id=c,target=/c,mode=0700,uid=1,gid=2,sharing=private --security=insecure --device=vendor.com/gpu=all,required --device=name=x a\n",
        "FROM a\nRUN --mount=type=$T,target=$P,required=$R a\nRUN --mount='\"target=/a,b\",source=/c' a\n",
        "FROM a\nHEALTHCHECK cmd curl -f http://x || exit 1\nHEALTHCHECK --start-interval=1.5s --interval=0s --retries=0 CMD x\n",
        "FROM a\nEXPOSE 80 443/TCP $PORT 127.0.0.1:8080:80 8000-8002/sctp\nSTOPSIGNAL 9\nUSER \"a b\"\nWORKDIR a b\n",
    ];
    let mut out = String::new();
    for text in cases {
        let parsed = parse(text);
        writeln!(out, "=== {text:?}\n{}{}", outline(&parsed.file), show(text, &parsed.problems))
            .unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn scripts() {
    let script =
        |text: &str| match &parse(&format!("FROM a\n{text}")).file.stages[0].instructions[0].op {
            Op::Run(run) => run.script(),
            other => panic!("{other:?}"),
        };
    assert_eq!(script("RUN a b"), Script::Shell("a b".into()));
    assert_eq!(script("RUN [\"a\", \"b\"]"), Script::Exec(vec!["a".into(), "b".into()]));
    assert_eq!(script("RUN <<E\na\nE\n"), Script::Shell("a\n".into()));
    assert_eq!(script("RUN <<-E\n\ta\n\tE\n"), Script::Shell("a\n".into()));
    let file = Script::File { name: "E".into(), content: "#!/x\na\n".into() };
    assert_eq!(script("RUN <<'E'\n#!/x\na\nE\n"), file);
    assert_eq!(script("RUN cat <<-E\n\ta\n\tE\n"), Script::Shell("cat <<-E\n\ta\nE".into()));
    let two = "<<A cat <<B\n1\nA\n2\nB";
    assert_eq!(script(&format!("RUN {two}\n")), Script::Shell(two.into()));
}

#[test]
fn triggers_are_read_back() {
    let text = "FROM a\nONBUILD COPY <<EOF /x\nb\nEOF\n";
    let Op::Onbuild(onbuild) = &parse(text).file.stages[0].instructions[0].op else { panic!() };
    let (again, problems) = parse_trigger(&onbuild.trigger);
    assert_eq!(problems, []);
    assert_eq!(op(&again.unwrap().op), op(&onbuild.instruction.op));
    for bad in ["", "FROM a", "ONBUILD RUN a", "RUN a\nRUN b", "MAINTAINER x", "RNU"] {
        let (_, problems) = parse_trigger(bad);
        let last = problems.last().map(|p| p.code);
        assert!(problems.iter().any(|p| p.code.ends_with("bad-trigger")), "{bad}: {last:?}");
    }
}

#[test]
fn words_know_their_place_across_lines() {
    let text = "FROM a\nCOPY one \\\n  # note\n  t\\\nwo \\\n three\n";
    let Op::Copy(copy) = &parse(text).file.stages[0].instructions[0].op else { panic!() };
    let shown: Vec<&str> = copy
        .files
        .sources
        .iter()
        .map(|source| match source {
            Source::Path(path) => &text[path.span.range()],
            Source::Heredoc(_) => "",
        })
        .collect();
    assert_eq!(shown, ["one", "t\\\nwo"]);
    assert_eq!(&text[copy.files.dest.span.range()], "three");
}
