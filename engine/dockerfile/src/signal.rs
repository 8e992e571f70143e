//! What STOPSIGNAL takes: Linux' signals by name or number.

use crate::problem::did_you_mean;

/// The names without `SIG`, with their numbers on all of Linux' usual machines.
const SIGNALS: &[(&str, u32)] = &[
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
];

/// The first and the last real-time signal.
const REAL_TIME: (u32, u32) = (34, 64);

/// Whether STOPSIGNAL takes a text, which an image's config then keeps as it is written.
pub fn is_signal(text: &str) -> bool {
    number(text).is_some() || text.parse::<i64>().is_ok_and(|number| number != 0)
}

/// Gives the number of a signal: `15`, `TERM`, `sigterm`, `SIGRTMIN+3`.
pub fn number(text: &str) -> Option<u32> {
    if let Ok(number) = text.parse::<u32>() {
        return (number > 0).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        return real_time(offset, '+', 15).map(|n| REAL_TIME.0 + n);
    }
    if let Some(offset) = name.strip_prefix("RTMAX") {
        return real_time(offset, '-', 14).map(|n| REAL_TIME.1 - n);
    }
    SIGNALS.iter().find(|(own, _)| *own == name).map(|(_, number)| *number)
}

fn real_time(offset: &str, sign: char, most: u32) -> Option<u32> {
    if offset.is_empty() {
        return Some(0);
    }
    let number = offset.strip_prefix(sign)?.parse::<u32>().ok()?;
    (1..=most).contains(&number).then_some(number)
}

/// Gives the sentence that suggests the signal that was probably meant.
pub(crate) fn suggest(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    did_you_mean(name, SIGNALS.iter().map(|(own, _)| *own))
        .map(|help| help.replacen('`', "`SIG", 1))
        .or_else(|| Some("write a name such as `SIGTERM` or a number".to_owned()))
}
