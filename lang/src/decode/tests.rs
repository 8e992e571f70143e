//! `test`: checks of built images.

use super::text::Cx;
use super::values::{RENAME, integer, label, located, unique};
use super::{duration, settings};
use crate::config::{Check, Expect, Test};
use crate::diag::Diagnostic;
use crate::source::Span;
use crate::syntax::Node;

/// Reads one `test`; none when its name or its check cannot be read.
pub(crate) fn read(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Test> {
    let name = node.args().next().and_then(|entry| label(entry, "the name of a test", cx));
    let check = check(node, cx);
    Some(Test { name: name?, span: node.span, check: check? })
}

/// Reports names that two tests of one node have.
pub(crate) fn duplicates(tests: &[Test], cx: &mut Cx<'_>) {
    let names = tests.iter().map(|test| (test.name.value.as_ref(), test.name.span));
    unique(names, "test", RENAME, &mut cx.out);
}

fn check(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Check> {
    let child = |name: &str| node.kids().iter().find(|child| child.name.text == name);
    let (run, file, wanted) = (child("run"), node.prop("file"), child("expect"));
    let expect = wanted.map(|node| expect(node, cx)).unwrap_or_default();
    let words = run.map(|run| settings::words(run, cx));
    let path = file.and_then(|entry| located(entry, "the path of the checks", cx));
    match (run, file) {
        (Some(run), Some(file)) => {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::duplicate",
                    run.name.span,
                    "this test checks two things",
                    "a command",
                )
                .and(file.span, "a file of checks")
                .help("keep one of them; two tests can hold the two"),
            );
            None
        }
        (None, None) => {
            // A command or a file that is misspelled was reported as that.
            if node.kids().iter().all(|child| child.name.text == "expect")
                && node.entries.iter().all(|entry| entry.name.is_none())
            {
                missing(node.name.span, cx);
            }
            None
        }
        (None, Some(file)) => {
            if let Some(wanted) = wanted {
                expect_without_run(wanted.name.span, file.span, cx);
            }
            path.map(Check::File)
        }
        (Some(_), None) => {
            let words = words.filter(|words| !words.is_empty())?;
            Some(Check::Run { words, expect })
        }
    }
}

fn missing(test: Span, cx: &mut Cx<'_>) {
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::missing",
            test,
            "this test checks nothing",
            "needs a command or a file",
        )
        .help("write `run \"program\" \"word\"` in its block, or `file=\"…\"` after its name"),
    );
}

fn expect_without_run(expect: Span, file: Span, cx: &mut Cx<'_>) {
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::stray",
            expect,
            "`expect` goes with a `run`",
            "there is no command here",
        )
        .and(file, "says itself what has to come of its checks")
        .help("remove it, or write what it expects into the file"),
    );
}

fn expect(node: &Node<'_>, cx: &mut Cx<'_>) -> Expect {
    let text = |name: &str, cx: &mut Cx<'_>| {
        node.prop(name).and_then(|entry| cx.filled(entry, &format!("`{name}`")))
    };
    if node.entries.is_empty() {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                "`expect` says nothing",
                "nothing follows",
            )
            .help("write `expect exit=1` or `expect stdout=\"…\"`, or remove it: without it the exit code has to be 0"),
        );
    }
    Expect {
        exit: integer(node, "exit", 0..=255, cx).unwrap_or_default(),
        stdout: text("stdout", cx),
        stderr: text("stderr", cx),
        timeout: duration::property(node, "timeout", cx),
    }
}
