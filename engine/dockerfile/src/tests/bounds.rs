//! Large and hostile files are read in time and memory that grow with their size. The limits are
//! generous: what is quadratic takes minutes.

use std::time::{Duration, Instant};

use crate::{Given, Ignore, Image, check, parse, references};

/// Far more than a debug build on a busy machine needs.
const LIMIT: Duration = Duration::from_secs(60);

#[track_caller]
fn in_time<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(start.elapsed() < LIMIT, "{what} took {:?}", start.elapsed());
    result
}

fn all(what: &str, text: &str) -> usize {
    in_time(what, || {
        let parsed = parse(text);
        let _ = references(&parsed.file, None, &|_| None);
        let ignore = Ignore::parse("a\n*.o\n!b/**\n");
        let image = |_: &crate::Stage| Some(Image::default());
        let given = Given { ignore: Some(&ignore), image: &image, ..Given::default() };
        check(&parsed.file, &given);
        parsed.file.stages.iter().map(|stage| stage.instructions.len()).sum()
    })
}

#[test]
fn five_megabytes() {
    let line = "RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates\n";
    let text = format!("FROM a\n{}", line.repeat((5 << 20) / line.len()));
    assert_eq!(all("lines", &text), (5 << 20) / line.len());
    assert_eq!(all("one instruction", &format!("FROM a\nRUN {}\n", "a \\\n".repeat(1 << 20))), 1);
    assert_eq!(all("one heredoc", &format!("FROM a\nRUN <<E\n{}E\n", "line\n".repeat(1 << 20))), 1);
    all("comments", &format!("{}FROM a\n", "# a=b\n".repeat(1 << 18)));
}

#[test]
fn one_line_of_a_megabyte() {
    let size = 1 << 20;
    for (head, unit) in [
        ("RUN ", "a"),
        ("ENV ", "A=b "),
        ("ENV A=", "$A"),
        ("ENV A=", "${A:-b}"),
        ("COPY ", "a "),
        ("COPY ", "<<A "),
        ("LABEL a=", "\\'"),
        ("CMD [", "\"a\", "),
        ("EXPOSE ", "1-65535 "),
        ("# check=skip=", "a,"),
    ] {
        let text = format!("FROM a\n{head}{}\n", unit.repeat(size / unit.len()));
        all(head, &text);
        let long = parse(&text).problems.iter().any(|p| p.code.ends_with(":line-too-long"));
        assert!(long, "{head}");
    }
    let codes = |size: usize| -> usize {
        parse(&format!("FROM a\n# {}\n", "x".repeat(size - 2))).problems.len()
    };
    assert_eq!((codes((64 << 10) - 1), codes(64 << 10)), (0, 1));
}

#[test]
fn many_instructions_and_stages() {
    let lines =
        |line: &dyn Fn(usize) -> String, count: usize| -> String { (0..count).map(line).collect() };
    let envs = format!("FROM a\n{}", lines(&|n| format!("ENV A{n}=$A{} B=$B$B\n", n / 2), 100_000));
    assert_eq!(all("100,000 instructions", &envs), 100_000);
    let copies = format!("FROM a\n{}", lines(&|n| format!("COPY a{n}/b/c /d\n"), 100_000));
    all("100,000 copies", &copies);
    let chain = lines(
        &|n| format!("FROM s{} AS s{n}\nENV A{n}=$A0\nONBUILD RUN x\n", n.max(1) - 1),
        10_000,
    );
    all("a chain of 10,000 stages", &chain);
    let wide = lines(&|n| format!("FROM s AS s\nCOPY --from={} a b\n", n.max(1) - 1), 10_000);
    all("10,000 stages of one name", &wide);
    let fans = format!("FROM a AS s\n{}", lines(&|n| format!("FROM s AS t{n}\nUSER $A\n"), 10_000));
    all("10,000 stages on one", &fans);
    let args = lines(&|n| format!("ARG A{n}=$A{n}${{A{}:-x}}\n", n / 2), 50_000);
    all("50,000 arguments", &format!("{args}FROM $A1\n"));
}

#[test]
fn expansions_that_grow() {
    let doubled = "ENV A=$A$A\n".repeat(10_000);
    all("doubled variables", &format!("FROM a\nENV A=xxxxxxxx\n{doubled}"));
    let long = "x".repeat(60_000);
    all("long defaults", &format!("ARG A={long}\n{}", "FROM $A\nUSER $A\n".repeat(5_000)));
    let deep = format!("{}{}", "${A:-".repeat(5_000), "}".repeat(5_000));
    all("deep variables", &format!("FROM {deep}\nENV A={deep}\n"));
    all("deep arrays", &format!("FROM a\nCMD {}\n", "[".repeat(50_000)));
    all("deep triggers", &format!("FROM a\n{}\n", "ONBUILD ".repeat(7_000)));
}
