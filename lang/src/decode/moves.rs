//! When a node moves: `hold`, `pin`, and `watch`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::check::shown;
use super::duration;
use super::text::Cx;
use super::values::{label, one_of};
use crate::config::{Moves, Watch};
use crate::diag::{Diagnostic, Wrong};
use crate::schema::{WATCHED, WATCHED_ONLY};
use crate::source::{Span, Spanned};
use crate::suggest::did_you_mean;
use crate::syntax::{Entry, Node};

/// Reads `hold` or `pin`.
pub(super) fn read(node: &Node<'_>, moves: &mut Moves, cx: &mut Cx<'_>) {
    match node.name.text.as_ref() {
        // A day is in no key.
        "hold" => cx.undated(|cx| moves.hold = hold(node, cx)),
        _ => moves.pin = Some(node.span),
    }
}

/// Reports what cannot stand beside a `pin`.
pub(super) fn together(moves: &Moves, follow: Option<Span>, cx: &mut Cx<'_>) {
    let Some(pin) = moves.pin else { return };
    let mut stray = |span: Span, message: &str, says: &str, help: &str| {
        let label = "moves only when it is updated by its name";
        let error = Diagnostic::error("mabuild::lang::stray", pin, message, label);
        cx.out.push(error.and(span, says).help(help));
    };
    if let Some(hold) = &moves.hold {
        let help = "keep one of them: `hold` ends by itself, `pin` does not";
        stray(hold.span, "what is pinned is not held until a day", "moves again on a day", help);
    }
    if let Some(follow) = follow {
        let help = "keep one of them";
        stray(follow, "what is pinned follows nothing", "moves by itself", help);
    }
}

fn hold(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Spanned<(i64, Option<String>)>> {
    let reason = node.prop("reason").and_then(|entry| label(entry, "the reason", cx));
    let Some(entry) = node.prop("until") else {
        let meant = |entry: &Entry<'_>| {
            let name = entry.name.as_ref();
            name.is_some_and(|name| did_you_mean(&name.text, ["until"]).is_some())
        };
        // One that is misspelled is reported as that, and a day without its name as a stray value.
        if !node.entries.iter().any(meant) && node.args().next().is_none() {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::missing",
                    node.name.span,
                    "`hold` needs its end",
                    "no day is named",
                )
                .help("write `until=\"2026-12-24\"` behind it, or `pin` in place of it to stay without an end"),
            );
        }
        return None;
    };
    let until = cx.constant(entry, "`until`")?;
    match second(&until.value) {
        Ok(end) => {
            past(end, &until, cx);
            Some(Spanned::new((end, reason.map(|reason| reason.value.to_string())), node.span))
        }
        Err(wrong) => {
            let message = format!("`{}` is not a day", shown(&until.value));
            cx.out.push(wrong.at("mabuild::lang::value", until.span, message));
            None
        }
    }
}

/// The second at which a day begins in UTC, or that of a date with a time and a zone.
fn second(text: &str) -> Result<i64, Wrong> {
    let help = "write a day, `2026-12-24`, or a time with its zone, `2026-12-24T08:00:00+01:00`";
    if let Some((day, _)) = text.split_once(['T', 't', ' '])
        && day.parse::<Date>().is_ok()
    {
        return match text.parse::<Timestamp>() {
            Ok(time) => Ok(time.as_second()),
            Err(_) if text.parse::<jiff::civil::DateTime>().is_ok() => {
                let help = format!("write `{0}Z` for UTC, or `{0}+01:00`", shown(text));
                Err(Wrong::new("has no time zone", help))
            }
            Err(_) => Err(Wrong::new("has no such time", help)),
        };
    }
    let form = |(at, b): (usize, u8)| match at {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    };
    if text.len() != 10 || !text.bytes().enumerate().all(form) {
        return Err(Wrong::new("not of the form year-month-day", help));
    }
    day(text).ok_or_else(|| Wrong::new("no such day in the calendar", help))
}

/// The second at which a day begins in UTC.
fn day(text: &str) -> Option<i64> {
    let day = text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(day.timestamp().as_second())
}

/// Warns of an end that has passed, where today is known.
fn past(end: i64, until: &Spanned<String>, cx: &mut Cx<'_>) {
    let today = cx.lets.values.get("date").and_then(|date| day(&date.text));
    if today.is_some_and(|today| end <= today) {
        cx.out.push(
            Diagnostic::warning(
                "mabuild::lang::moves",
                until.span,
                "this `hold` has ended",
                "holds nothing any more",
            )
            .help("remove it, or name a later day"),
        );
    }
}

/// Reads `watch`.
pub(super) fn watch(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Watch> {
    let of = |word: &str| (word == "packages").then_some(());
    let what = node.args().next();
    let what = what.and_then(|entry| one_of(entry, "something to watch", WATCHED, of, cx));
    let of = |word: &str| (word == "security").then_some(());
    let only = node.prop("only");
    let only = only.and_then(|entry| one_of(entry, "a part of the archives", WATCHED_ONLY, of, cx));
    let every = duration::property(node, "every", cx);
    what.map(|_| Watch { span: node.span, security: only.is_some(), every })
}

/// Warns that nothing of an image can change, so that `word` says nothing.
pub(super) fn idle(word: &str, span: Span, why: &str, help: &str, cx: &mut Cx<'_>) {
    let message = format!("`{word}` changes nothing: {why}");
    let warning = Diagnostic::warning("mabuild::lang::moves", span, message, "nothing can move");
    cx.out.push(warning.help(help));
}

#[cfg(test)]
mod tests {
    use super::second;

    #[test]
    fn days_and_times() {
        for (text, wanted) in [
            ("1970-01-01", 0),
            ("2026-12-24", 1_798_070_400),
            ("2024-02-29", 1_709_164_800),
            ("2026-12-24T00:00:00Z", 1_798_070_400),
            ("2026-12-24T08:00+01:00", 1_798_095_600),
            ("2026-12-24 08:00:00-05", 1_798_117_200),
        ] {
            assert_eq!(second(text), Ok(wanted), "{text}");
        }
        for (text, label) in [
            ("", "not of the form year-month-day"),
            ("24.12.2026", "not of the form year-month-day"),
            ("20261224", "not of the form year-month-day"),
            ("tomorrow", "not of the form year-month-day"),
            ("2026-02-30", "no such day in the calendar"),
            ("2026-13-01", "no such day in the calendar"),
            ("2026-12-24T08:00:00", "has no time zone"),
            ("2026-12-24T25:00:00Z", "has no such time"),
            ("2026-12-24T", "has no such time"),
            ("é026-12-24", "not of the form year-month-day"),
        ] {
            assert_eq!(second(text).unwrap_err().label, label, "{text}");
        }
    }
}
