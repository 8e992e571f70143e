//! Quick fixes: what a diagnostic says was meant.

use crate::diag::Diagnostic;

/// The word that a diagnostic proposes in place of the one at its first label, without quotes.
/// Read from its help line, which asks `` did you mean `word`? `` where there is one.
pub fn replacement(diagnostic: &Diagnostic) -> Option<&str> {
    let help = diagnostic.help.as_deref()?;
    let rest = help.split_once("did you mean `")?.1;
    let (word, end) = rest.split_once('`')?;
    let word = word.strip_prefix("{{").and_then(|word| word.strip_suffix("}}")).unwrap_or(word);
    (end.starts_with('?') && !word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_are_read_and_questions_are_not() {
        let help = |help: &str| {
            let diagnostic = Diagnostic::nowhere("x", "y").help(help);
            replacement(&diagnostic).map(str::to_owned)
        };
        assert_eq!(help("did you mean `from`?").as_deref(), Some("from"));
        assert_eq!(help("did you mean `{{suite}}`?").as_deref(), Some("suite"));
        assert_eq!(help("did you mean `a`, or `b`?"), None);
        assert_eq!(help("did you mean ``?"), None);
        assert_eq!(help("write `x`"), None);
    }
}
