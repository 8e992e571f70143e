//! Spans of time: `30s`, `10m`, `12h`, `3d`.

use std::time::Duration;

use super::check::shown;
use super::text::Cx;
use crate::diag::Wrong;
use crate::source::Spanned;
use crate::syntax::{Entry, Node};

/// Seconds in ten years: whoever writes more means something else.
const MAX: u64 = 3650 * 86_400;

/// The units, with their seconds.
const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

/// Reads the span of time that a property gives.
pub(super) fn property(node: &Node<'_>, name: &str, cx: &mut Cx<'_>) -> Option<Duration> {
    read(node.prop(name)?, &format!("`{name}`"), cx).map(|time| time.value)
}

/// Reads a span of time; `what` is what it is of.
pub(super) fn read(entry: &Entry<'_>, what: &str, cx: &mut Cx<'_>) -> Option<Spanned<Duration>> {
    let text = cx.constant(entry, what)?;
    match parse(&text.value) {
        Ok(time) => Some(Spanned::new(time, text.span)),
        Err(wrong) => {
            let message = format!("`{}` is not a span of time", shown(&text.value));
            cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
            None
        }
    }
}

/// Reads one number and one unit. The error says what is wrong with the text.
fn parse(text: &str) -> Result<Duration, Wrong> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        let help = "write a whole number and a unit: `30s`, `10m`, `12h` or `3d`";
        return Err(Wrong::new("does not begin with a number", help));
    }
    let seconds = unit_of(digits, unit)?;
    let number = digits.parse::<u64>().ok();
    match number.and_then(|number| number.checked_mul(seconds)).filter(|time| *time <= MAX) {
        Some(0) => Err(Wrong::new("no time at all", "write a longer one, or leave it out")),
        Some(time) => Ok(Duration::from_secs(time)),
        None => Err(Wrong::new("more than ten years", "write at most `3650d`")),
    }
}

/// The seconds of a unit.
fn unit_of(digits: &str, unit: &str) -> Result<u64, Wrong> {
    if let Some((_, seconds)) = UNITS.iter().find(|(name, _)| *name == unit) {
        return Ok(*seconds);
    }
    let digits = shown(digits);
    if unit.is_empty() {
        let help = format!("write `{digits}s`, `{digits}m`, `{digits}h` or `{digits}d`");
        return Err(Wrong::new("has no unit", help));
    }
    if unit.starts_with(['.', ',']) {
        return Err(Wrong::new("not a whole number", "write a smaller unit: `90m`, not `1.5h`"));
    }
    if unit.contains(|c: char| c.is_ascii_digit()) {
        let help = "write one number and one unit: `90m`, not `1h30m`";
        return Err(Wrong::new("more than one number", help));
    }
    let near = match unit.trim().to_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => Some("s"),
        "m" | "min" | "mins" | "minute" | "minutes" => Some("m"),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some("h"),
        "d" | "day" | "days" => Some("d"),
        _ => None,
    };
    let help = match near {
        Some(near) => format!("did you mean `{digits}{near}`?"),
        None => "the units are `s` for seconds, `m` for minutes, `h` for hours and `d` for days"
            .to_owned(),
    };
    Err(Wrong::new(format!("`{}` is not a unit", shown(unit.trim())), help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_and_one_unit() {
        for (text, seconds) in [("30s", 30), ("10m", 600), ("12h", 43_200), ("3d", 259_200)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("3650d"), Ok(Duration::from_secs(MAX)));
        assert_eq!(parse("007s"), Ok(Duration::from_secs(7)));
    }

    #[test]
    fn everything_else_is_told_apart() {
        let huge = format!("{}d", "9".repeat(100_000));
        for (text, label) in [
            ("", "does not begin with a number"),
            ("-3d", "does not begin with a number"),
            ("d", "does not begin with a number"),
            ("٣d", "does not begin with a number"),
            ("30", "has no unit"),
            ("1.5h", "not a whole number"),
            ("1h30m", "more than one number"),
            ("30 s", "`s` is not a unit"),
            ("5 minutes", "`minutes` is not a unit"),
            ("2w", "`w` is not a unit"),
            ("10M", "`M` is not a unit"),
            ("0s", "no time at all"),
            ("3651d", "more than ten years"),
            ("99999999999999999999d", "more than ten years"),
            ("18446744073709551615d", "more than ten years"),
            (huge.as_str(), "more than ten years"),
        ] {
            assert_eq!(parse(text).unwrap_err().label, label, "{text}");
        }
        assert_eq!(parse("5 minutes").unwrap_err().help, "did you mean `5m`?");
        assert_eq!(parse("10M").unwrap_err().help, "did you mean `10m`?");
    }
}
