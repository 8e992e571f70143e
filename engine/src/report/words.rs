//! Words that reports share: sizes, times, platforms, shortened values.

use std::time::Duration;

use mabuild_lang::platform::Platform;

use super::Tone;
use crate::graph::{Graph, NodeId, Part};
use crate::plan::{Action, Reason};

/// A number of bytes in binary units with three digits: `512 B`, `1.25 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // What would be printed as 1000 or more belongs to the next unit.
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    let digits = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// A time: `0.04 s`, `12.3 s`, `3 min 05 s`, `1 h 02 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 9.995 {
        return format!("{seconds:.2} s");
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..=3599 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A moment in UTC: `2026-11-21 10:33:55`; the number itself when no calendar has it.
pub fn moment(unix_seconds: i64) -> String {
    match jiff::Timestamp::from_second(unix_seconds) {
        Ok(moment) => moment.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => unix_seconds.to_string(),
    }
}

/// A time from a number of seconds that may be anything; what is no time is none.
pub fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// A count with its noun: `1 image`, `3 images`.
pub fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Platforms folded by system: `linux/{amd64,arm/v7} windows/amd64`.
pub fn platforms<'a>(list: impl IntoIterator<Item = &'a Platform>) -> String {
    let mut systems: Vec<(&str, Vec<String>)> = Vec::new();
    for platform in list {
        let rest = architecture(platform);
        match systems.iter_mut().find(|(os, _)| *os == platform.os) {
            Some((_, rests)) => rests.push(rest),
            None => systems.push((&platform.os, vec![rest])),
        }
    }
    let text: Vec<String> = systems
        .into_iter()
        .map(|(os, rests)| match rests.as_slice() {
            [one] => format!("{os}/{one}"),
            many => format!("{os}/{{{}}}", many.join(",")),
        })
        .collect();
    text.join(" ")
}

/// A platform without its system: `arm/v7`.
pub fn architecture(platform: &Platform) -> String {
    match &platform.variant {
        Some(variant) => format!("{}/{variant}", platform.arch),
        None => platform.arch.clone(),
    }
}

/// The word for an action, stable enough to search for.
pub fn action(action: &Action) -> &'static str {
    match action {
        Action::Keep { .. } => "keep",
        Action::Build => "build",
        Action::Maybe => "maybe",
        Action::Refused => "refused",
    }
}

/// The tone of an action.
pub fn tone(action: &Action) -> Tone {
    match action {
        Action::Keep { .. } => Tone::Good,
        Action::Build => Tone::Work,
        Action::Maybe => Tone::Maybe,
        Action::Refused => Tone::Bad,
    }
}

/// The word for a reason in JSON documents; never changes.
pub fn reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::UpToDate => "up-to-date",
        Reason::NeverBuilt => "never-built",
        Reason::Elsewhere => "elsewhere",
        Reason::Changed(_) => "changed",
        Reason::ResultGone => "result-gone",
        Reason::Waits(_) => "waits",
        Reason::Forced => "forced",
        Reason::Members => "members",
        Reason::Unknowable { .. } => "unknowable",
        Reason::Below(_) => "below",
    }
}

/// Names in a chain before some are left out.
const CHAIN_SHOWN: usize = 6;

/// Nodes that wait for each other, first to last; of a long chain the middle is counted.
pub fn chain(graph: &Graph, nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(|node| graph.name(*node)).collect();
    match names.as_slice() {
        [head @ .., last] if names.len() > CHAIN_SHOWN => {
            let shown = head.get(..CHAIN_SHOWN - 1).unwrap_or(head).join(" → ");
            format!("{shown} → … {} more … → {last}", names.len() - CHAIN_SHOWN)
        }
        _ => names.join(" → "),
    }
}

/// Whether a node is the index over the platforms of a thing.
pub fn is_index(graph: &Graph, node: NodeId) -> bool {
    graph.node(node).part == Part::Index
}

/// A step with its stage and number: `build 2/5 RUN make`.
pub fn step(stage: &str, number: usize, of: usize, text: &str) -> String {
    let space = if stage.is_empty() { "" } else { " " };
    format!("{}{space}{number}/{of} {}", one_line(stage), one_line(text))
}

/// Text that is safe in one line of a terminal: escape sequences are left out, tabs and other
/// control characters become spaces.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_escape(&mut chars),
            c if c.is_control() || is_bidi(c) => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Skips what belongs to an escape character: a CSI sequence, an OSC string, or one character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next_if(|c| ('\x20'..='\x7e').contains(c)) {
        Some('[') => {
            while chars.next_if(|c| ('\x20'..='\x3f').contains(c)).is_some() {}
            chars.next_if(|c| ('\x40'..='\x7e').contains(c));
        }
        Some(']') => while chars.next_if(|c| !c.is_control()).is_some() {},
        _ => {}
    }
}

/// Whether a character turns the direction of the text after it around.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most `width` characters of a text, the last an ellipsis when some are missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// A value of a key record for a table: one short line, digests by their first twelve digits.
pub fn value(text: &str) -> String {
    for prefix in ["blake3 ", "sha256:", "sha512:"] {
        if let Some(digits) = text.strip_prefix(prefix)
            && digits.len() > 12
            && digits.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return format!("{prefix}{}…", &digits[..12]);
        }
    }
    let text = one_line(text);
    if text.is_empty() { "\"\"".to_owned() } else { cut(&text, 40) }
}

/// A document as indented JSON with a line end.
pub(super) fn json(document: &impl serde::Serialize) -> String {
    // The documents have text keys and no maps of their own, so that writing them cannot fail.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_is_shortened() {
        let g = crate::report::testing::graph();
        let nodes: Vec<NodeId> = g.order().iter().copied().take(9).collect();
        let text = chain(&g, &nodes);
        assert!(text.contains("… 3 more …"), "{text}");
        assert_eq!(text.matches('→').count(), 6);
    }

    #[test]
    fn sizes_keep_three_digits_and_never_show_a_thousand() {
        let shown: Vec<String> =
            [0, 1023, 1024, 10_235, 1_023_999, 1_048_576, 5 << 30, u64::MAX].map(bytes).into();
        assert_eq!(
            shown,
            [
                "0 B", "1023 B", "1.00 KiB", "10.0 KiB", "0.98 MiB", "1.00 MiB", "5.00 GiB",
                "16.0 EiB"
            ]
        );
    }

    #[test]
    fn times_by_their_length() {
        let show = |ms: u64| duration(Duration::from_millis(ms));
        assert_eq!(show(42), "0.04 s");
        assert_eq!(show(9_996), "10.0 s");
        assert_eq!(show(59_960), "1 min 00 s");
        assert_eq!(show(3_599_600), "1 h 00 min");
    }

    #[test]
    fn platforms_fold_by_system() {
        let list =
            ["linux/amd64", "windows/amd64", "linux/arm/v7"].map(|p| Platform::parse(p).unwrap());
        assert_eq!(platforms(&list), "linux/{amd64,arm/v7} windows/amd64");
    }

    #[test]
    fn hostile_output_cannot_drive_the_terminal() {
        assert_eq!(one_line("a\x1b[31;1mred\x1b[0m\tb\r\x07"), "ared b  ");
        assert_eq!(one_line("\x1b]0;title\x07x\x1b[999"), " x");
        assert_eq!(one_line("x\u{202e}y\x1b"), "x y");
    }

    #[test]
    fn values_are_short() {
        assert_eq!(value("sha256:0123456789abcdef"), "sha256:0123456789ab…");
        assert_eq!(value("sha256:kräfte-in-der-luft"), "sha256:kräfte-in-der-luft");
        assert_eq!(value(&"ä".repeat(50)).chars().count(), 40);
    }
}
