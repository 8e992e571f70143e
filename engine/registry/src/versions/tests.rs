//! Ranges over the tags that there really are, and texts that are no ranges.

use super::*;

fn best<'a>(range: &str, tags: &[&'a str]) -> Option<&'a str> {
    let found = highest(tags.iter().copied(), range).unwrap_or_else(|e| panic!("{range}: {e}"));
    // Neither order nor repetition changes the answer.
    let again = highest(tags.iter().chain(tags).rev().copied(), range).unwrap();
    assert_eq!(found, again, "{range}");
    found
}

const ALPINE: [&str; 14] = [
    "latest",
    "edge",
    "3",
    "3.9",
    "3.20",
    "3.20.1",
    "3.20.3",
    "3.20.10",
    "3.20.9",
    "3.20.1.1",
    "3.20.11_rc1",
    "3.20.12-rc1",
    "v3.20.13",
    "3.21.0",
];

const GOLANG: [&str; 12] = [
    "1.22",
    "1.22.9",
    "1.22.10",
    "1.22-alpine",
    "1.22.9-alpine",
    "1.22.9-alpine3.20",
    "1.22.9-alpine3.9",
    "1.22.10-bookworm",
    "1.23rc1-alpine",
    "1.23.0-alpine",
    "1.23.1",
    "1.9.7-alpine",
];

#[test]
fn shape_takes_as_many_numbers_as_it_says() {
    for (range, wanted) in [
        ("3.20.*", Some("3.20.10")),
        ("3.*", Some("3.20")),
        ("3.*.*", Some("3.21.0")),
        ("3.20.*.*", Some("3.20.1.1")),
        ("v3.20.*", Some("v3.20.13")),
        ("3.20.*-rc1", Some("3.20.12-rc1")),
        ("3.20.*_rc*", Some("3.20.11_rc1")),
        ("3.22.*", None),
        ("*.*", Some("3.20")),
        ("*", Some("3.21.0")),
        ("v*", Some("v3.20.13")),
        ("*, <3.20", Some("3.9")),
        ("x*", None),
    ] {
        assert_eq!(best(range, &ALPINE), wanted, "{range}");
    }
}

#[test]
fn suffix_is_that_of_the_range() {
    for (range, wanted) in [
        ("1.22.*", Some("1.22.10")),
        ("1.22.*-alpine", Some("1.22.9-alpine")),
        ("1.*-alpine", Some("1.22-alpine")),
        ("1.*.*-alpine", Some("1.23.0-alpine")),
        ("*-alpine", Some("1.23.0-alpine")),
        ("1.22.*-alpine3.*", Some("1.22.9-alpine3.20")),
        ("*-alpine3.*", Some("1.22.9-alpine3.20")),
        ("1.23rc*-alpine", Some("1.23rc1-alpine")),
        ("1.22.*-slim", None),
    ] {
        assert_eq!(best(range, &GOLANG), wanted, "{range}");
    }
}

#[test]
fn bounds_are_met_by_versions_of_any_length() {
    for (range, wanted) in [
        (">=1.20, <2", Some("1.23.1")),
        (">=1.20,<1.23", Some("1.22.10")),
        (" >= 1.22.9 , <= 1.22.9 ", Some("1.22.9")),
        (">1.23.1", None),
        ("<1.22", None),
        ("<=1.22", Some("1.22")),
        (">=1.9-alpine, <1.23-alpine", Some("1.22.9-alpine")),
        ("*-alpine, >=1.9, <1.22", Some("1.9.7-alpine")),
        ("1.*.*, <1.22.10", Some("1.22.9")),
    ] {
        assert_eq!(best(range, &GOLANG), wanted, "{range}");
    }
    assert_eq!(best(">=v1.2, <v2", &["1.5", "v1.1", "v1.10", "v2.0", "v1.9.9"]), Some("v1.10"));
    assert_eq!(best("v1.*, >=v1.2, <1.9", &["v1.8", "v1.9", "v1.1"]), Some("v1.8"));
}

#[test]
fn bound_does_not_take_a_prerelease_of_what_it_leaves_out() {
    let tags = ["2.0.0-rc1", "2.0.0-beta.2", "2.0.0rc1", "2.0.0.dev1", "2.0.0_alpha", "1.9"];
    assert_eq!(best(">=1, <2", &tags), Some("1.9"));
    assert_eq!(best(">=1", &tags), Some("1.9"));
    assert_eq!(best("*", &tags), Some("1.9"));
    assert_eq!(best("2.0.*", &tags), None);
    assert_eq!(best("2.0.*-beta.*", &tags), Some("2.0.0-beta.2"));
}

#[test]
fn numbers_are_numbers_however_long() {
    let long = format!("1.{}", "9".repeat(100));
    let longer = format!("1.1{}", "0".repeat(100));
    assert_eq!(best("1.*", &["1.18446744073709551616", &long, &longer]), Some(longer.as_str()));
    assert_eq!(best("1.*", &["1.018", "1.9", "1.17"]), Some("1.018"));
    assert_eq!(best("22.*", &["22.04", "22.10"]), Some("22.10"));
    assert_eq!(best("*", &["0", "0.0", "0.0.1"]), Some("0.0.1"));
    assert_eq!(best(">=0.0.1", &["0", "0.0"]), None);
}

#[test]
fn of_equals_the_most_exact_is_taken() {
    assert_eq!(best("*", &["1.2", "1.2.0", "1.2.0.0", "1.1.9"]), Some("1.2.0.0"));
    assert_eq!(best(">=1", &["1", "1.0"]), Some("1.0"));
    assert_eq!(best("1.*", &["1.2", "1.02"]), Some("1.2"));
}

#[test]
fn other_ways_to_name_versions() {
    let dates = ["2024-11-20", "2024-2-3", "2023-12-31", "20241121"];
    assert_eq!(best("*-*-*", &dates), Some("2024-11-20"));
    assert_eq!(best("2023-*-*", &dates), Some("2023-12-31"));
    let postgres = ["REL_17_2", "REL_17_10", "REL_16_11", "REL_18_BETA1", "REL9_6_1"];
    assert_eq!(best("REL_*_*", &postgres), Some("REL_17_10"));
    assert_eq!(best("REL_16_*", &postgres), Some("REL_16_11"));
    let nested = ["release/1.2", "release/1.10", "api/v3.0", "1.11"];
    assert_eq!(best("release/1.*", &nested), Some("release/1.10"));
    assert_eq!(best("php8-1.*", &["php8-1.2", "php7-1.9", "php8-1.10"]), Some("php8-1.10"));
}

#[test]
fn odd_tags_are_not_taken_and_do_no_harm() {
    let odd = ["", ".", "*", "1.", ".1", "1..2", "-1", "1,2", "٣.٢", "1.٣", "v", "1.*", "\u{0}1"];
    assert_eq!(best("*.*", &odd), None);
    assert_eq!(best("1.*", &odd), None);
    assert_eq!(best("*", &odd), None);
    let long = "1.".repeat(50_000) + "1";
    assert_eq!(best("*", &[&long, "1.1.1.2"]), Some("1.1.1.2"));
}

#[test]
fn what_is_no_range_is_told_at_its_place() {
    for (range, span, words) in [
        ("", 0..0, "write one as"),
        (">=1,", 4..4, "write one as"),
        (">=1,, <2", 4..4, "write one as"),
        ("1.22", 0..4, "`1.22.*`"),
        ("latest", 0..6, "leaves no number open"),
        ("1*", 0..2, "whole number"),
        ("1.**", 0..4, "whole number"),
        ("1.*2", 0..4, "whole number"),
        ("^1.2", 0..4, ">=1.22, <2"),
        ("~1.2", 0..4, ">=1.22, <2"),
        ("=1.2", 0..4, ">=1.22, <2"),
        ("1.* || 2.*", 0..10, "blank"),
        (">=1 <2", 0..6, "commas"),
        ("1.*|2.*", 0..7, "alternatives"),
        (">=1.*", 0..5, "a bound is a version"),
        (">=", 0..2, "has no number"),
        (">=x, <2", 0..3, "has no number"),
        ("<1, >==2", 4..8, "no operator that is known"),
        ("1.*,  2.*", 6..9, "second shape"),
        (">=1.20-alpine, <2", 15..17, "`…-alpine`"),
        (">=v1, <2", 6..8, "a tag cannot meet both"),
        ("1.*-alpine, <2-alpine", 12..21, "numbers alone"),
        ("1.*, <v2", 5..8, "numbers alone"),
        ("ä.*", 0..4, "no tag has"),
    ] {
        let error = range.parse::<Range>().unwrap_err();
        assert_eq!(error.span, span, "{range}: {error}");
        assert!(error.message.contains(words), "{range}: {error}");
        assert!(range.get(error.span).is_some());
    }
    assert!("1.*,".repeat(100).parse::<Range>().unwrap_err().message.contains("256"));
    assert!([">1"; 17].join(",").parse::<Range>().unwrap_err().message.contains("too many"));
}

#[test]
fn range_is_shown_as_it_was_written() {
    let range: Range = " >=1.20, <2 ".parse().unwrap();
    assert_eq!(range.to_string(), ">=1.20, <2");
    assert!(range.takes("1.20") && !range.takes("2") && !range.takes("1.20-x"));
}

#[test]
fn every_short_text_is_a_range_or_an_error_with_a_place() {
    let mut texts = vec![String::new()];
    for _ in 0..4 {
        let longer = texts
            .iter()
            .flat_map(|text| "*.0 19v-,<>=é".chars().map(move |c| format!("{text}{c}")));
        texts = longer.collect();
        for text in &texts {
            match text.parse::<Range>() {
                Ok(range) => {
                    assert_eq!(range.to_string().parse(), Ok(range.clone()), "{text}");
                    let wanted = range.highest(["1.9", "v1.10", "10", "1.9-1", "0"].into_iter());
                    assert!(wanted.is_none_or(|tag| range.takes(tag)), "{text}");
                }
                Err(e) => assert!(text.get(e.span.clone()).is_some(), "{text}: {e:?}"),
            }
        }
    }
}
