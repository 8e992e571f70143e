//! dpkg's version order, as deb-version(7) and Debian Policy 5.6.12 define it.

use std::cmp::Ordering;

/// Compares two version strings in dpkg's order.
///
/// Total on any input: a malformed version is ordered by the same rules as if it were valid, and
/// an epoch that is not a number counts as part of the upstream version.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::split(a), Parts::split(b));
    compare_numbers(a.epoch.as_bytes(), b.epoch.as_bytes())
        .then_with(|| compare_fragment(a.upstream.as_bytes(), b.upstream.as_bytes()))
        .then_with(|| compare_fragment(a.revision.as_bytes(), b.revision.as_bytes()))
}

/// Tells whether a string has only the characters a version may have, and a digit or letter.
pub fn is_plausible(version: &str) -> bool {
    version.bytes().any(|b| b.is_ascii_alphanumeric())
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".+~:-".contains(&b))
}

struct Parts<'v> {
    epoch: &'v str,
    upstream: &'v str,
    revision: &'v str,
}

impl<'v> Parts<'v> {
    fn split(version: &'v str) -> Self {
        let (epoch, rest) = match version.split_once(':') {
            Some((epoch, rest))
                if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) =>
            {
                (epoch, rest)
            }
            _ => ("", version),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Parts { epoch, upstream, revision }
    }
}

/// Orders two runs of decimal digits of any length by value; an empty run is zero.
fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (trim_zeros(a), trim_zeros(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn trim_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

/// Orders upstream versions or revisions: text and number in turn.
fn compare_fragment(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_text, a_rest) = split_run(a, |byte| !byte.is_ascii_digit());
        let (b_text, b_rest) = split_run(b, |byte| !byte.is_ascii_digit());
        let (a_number, a_rest) = split_run(a_rest, |byte| byte.is_ascii_digit());
        let (b_number, b_rest) = split_run(b_rest, |byte| byte.is_ascii_digit());
        let order = compare_text(a_text, b_text).then_with(|| compare_numbers(a_number, b_number));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
    Ordering::Equal
}

fn split_run(bytes: &[u8], wanted: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !wanted(byte)).unwrap_or(bytes.len());
    bytes.split_at(end)
}

fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    let longest = a.len().max(b.len());
    (0..longest)
        .map(|i| weight(a.get(i)).cmp(&weight(b.get(i))))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

/// A tilde sorts before the end of the text, the end before letters, letters before the rest.
fn weight(byte: Option<&u8>) -> u32 {
    match byte {
        Some(b'~') => 0,
        None => 1,
        Some(letter) if letter.is_ascii_alphabetic() => 2 + u32::from(*letter),
        Some(other) => 0x200 + u32::from(*other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn documented_cases_are_ordered_as_dpkg_orders_them() {
        let ascending = [
            ("1.0~~", "1.0~~a"),
            ("1.0~~a", "1.0~"),
            ("1.0~", "1.0"),
            ("1.0", "1.0a"),
            ("1.0~beta1~svn1245", "1.0~beta1"),
            ("1.0~beta1", "1.0"),
            ("1.2.3", "1.2.10"),
            ("9", "10"),
            ("1.0-1", "1.0-2"),
            ("1.0-9", "1.0-10"),
            ("1.0", "1.0-1"),
            ("1.0-1", "1.0-1+b1"),
            ("1.0-1~bpo12+1", "1.0-1"),
            ("1.0-1+deb12u1", "1.0-1+deb12u2"),
            ("9.9", "1:0.1"),
            ("1:9", "2:1"),
            ("1.0a", "1.0+"),
            ("1.0Z", "1.0a"),
            ("1.0+dfsg-1", "1.0.1-1"),
            ("2.0-rc-1", "2.0-rd-1"),
            ("0", "99999999999999999999999999"),
            ("99999999999999999999999998", "99999999999999999999999999"),
        ];
        for (low, high) in ascending {
            assert_eq!(compare(low, high), Ordering::Less, "{low} < {high}");
            assert_eq!(compare(high, low), Ordering::Greater, "{high} > {low}");
        }
    }

    #[test]
    fn equal_versions_may_be_spelled_differently() {
        for (a, b) in
            [("0:1.0", "1.0"), ("1.00", "1.0"), ("1.0-0", "1.0"), ("1.0-", "1.0"), ("a", "a0")]
        {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} = {b}");
        }
    }

    #[test]
    fn epoch_upstream_and_revision_are_split_as_dpkg_splits_them() {
        // The epoch ends at the first colon and the revision starts after the last hyphen.
        for (low, high) in [
            ("9:9-9", "10:0-0"),
            ("0:0:0-0", "0:0:1-0"),
            ("0:0-0-0", "0:0-1-0"),
            ("0:0-0-0", "0:0-0-1"),
            ("0:0:0-0-0", "0:0:0-1-0"),
            ("0:0-0:0-0", "0:0-0:1-0"),
            ("a-0", "b-0"),
            ("0-a", "0-b"),
            ("0-azAZ09.+~", "0-azAZ09.+"),
            ("0:09azAZ.-+~:-0", "0:09azAZ.-+:-0"),
        ] {
            assert_eq!(compare(low, high), Ordering::Less, "{low} < {high}");
            assert_eq!(compare(high, low), Ordering::Greater, "{high} > {low}");
        }
        for (a, b) in [("0-00", "00-0"), ("0", "0:0-"), ("0:0-0", "0"), ("0:0-0-0", "0-0-00")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} = {b}");
        }
    }

    #[test]
    fn plausible_versions_hold_no_path_or_space() {
        assert!(is_plausible("1:2.3~rc1+dfsg-4+b1"));
        for bad in ["", "1/2", "1 2", "1\n", "~", "1é"] {
            assert!(!is_plausible(bad), "{bad:?}");
        }
    }

    fn version() -> impl Strategy<Value = String> {
        "([0-9]{1,2}:)?[0-9a-cA~+.]{0,6}(-[0-9a~+.]{0,3})?"
    }

    proptest! {
        #[test]
        fn order_is_antisymmetric(a in version(), b in version()) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        }

        #[test]
        fn order_is_transitive(a in version(), b in version(), c in version()) {
            let mut sorted = [a, b, c];
            sorted.sort_by(|x, y| compare(x, y));
            prop_assert_ne!(compare(&sorted[0], &sorted[2]), Ordering::Greater);
            if compare(&sorted[0], &sorted[1]) == Ordering::Less {
                prop_assert_eq!(compare(&sorted[0], &sorted[2]), Ordering::Less);
            }
        }

        #[test]
        fn any_text_is_compared_without_panic(a in ".*", b in ".*") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
