//! The canonical layout of a whole file.

use mabuild_lang::format;

#[test]
fn a_whole_file() {
    let formatted = format("whole.kdl", include_str!("whole.kdl")).unwrap();
    insta::assert_snapshot!("formatted", formatted);
}

#[test]
fn what_cannot_be_read_says_why() {
    let unformatted = format("x.kdl", "image \"a\" {\n").unwrap_err();
    assert_eq!(unformatted.diagnostics.len(), 1);
    let report = mabuild_lang::report(&unformatted.diagnostics[0], &unformatted.sources);
    assert_eq!(report.to_string(), "this `{` is never closed");
}
