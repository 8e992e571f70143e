//! "Did you mean": the nearest of a set of words.

use std::borrow::Cow;

/// The candidate nearest to a word, if one is near enough to be a slip of the fingers.
pub fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    // A distance over long words costs their product; no name is that long.
    if word.len() > 200 {
        return None;
    }
    let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let limit = match word.chars().count() {
        0 => return None,
        1..=2 => 1,
        3..=5 => 2,
        n => n / 3,
    };
    let word = plain(&word);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other = plain(candidate);
        if other.len().abs_diff(word.len()) > limit {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&word, &other);
        if distance <= limit
            && distance < candidate.chars().count()
            && best.is_none_or(|(least, _)| distance < least)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// A word without what is easily confused: separators and upper case.
fn plain(word: &str) -> Cow<'_, str> {
    let odd = |b: u8| matches!(b, b'_' | b'-' | b'.') || b.is_ascii_uppercase();
    if !word.bytes().any(odd) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(word.replace(['_', '-', '.'], "").to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn finds_slips_and_refuses_strangers() {
        let words = ["image", "include", "platforms", "stop-signal", "label"];
        assert_eq!(did_you_mean("imgae", words), Some("image"));
        assert_eq!(did_you_mean("platform", words), Some("platforms"));
        assert_eq!(did_you_mean("stop_signal", words), Some("stop-signal"));
        assert_eq!(did_you_mean("Label:", words), Some("label"));
        assert_eq!(did_you_mean("zebra", words), None);
        assert_eq!(did_you_mean("", words), None);
        assert_eq!(did_you_mean(&"x".repeat(1_000_000), words), None);
    }

    #[test]
    fn a_short_word_is_not_replaced_as_a_whole() {
        assert_eq!(did_you_mean("x", ["a"]), None);
        assert_eq!(did_you_mean("ab", ["cd"]), None);
    }
}
