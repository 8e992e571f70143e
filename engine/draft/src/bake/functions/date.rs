//! `formatdate`: a point in time of RFC 3339 in another layout.

use super::{Given, string};
use crate::bake::value::Value;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Calls a function of this file.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Given> {
    (name == "formatdate").then(|| {
        let (layout, time) = (string(args, 0)?, string(args, 1)?);
        let time = Time::parse(&time).ok_or("the time is none of RFC 3339")?;
        time.format(&layout).map(Value::plain)
    })
}

struct Time {
    year: usize,
    month: usize,
    day: usize,
    hour: usize,
    minute: usize,
    second: usize,
    /// `Z` or `+01:00`.
    zone: String,
}

impl Time {
    fn parse(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| -> Option<usize> {
            let digits = text.get(from..to)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
        };
        let sign =
            |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|b| wanted.contains(b));
        if !(sign(4, b"-") && sign(7, b"-") && sign(10, b"Tt ") && sign(13, b":") && sign(16, b":"))
        {
            return None;
        }
        let rest = text.get(19..)?;
        let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        let zone_ok =
            matches!(zone, "Z" | "z") || (zone.len() == 6 && zone.starts_with(['+', '-']));
        let time = Self {
            year: number(0, 4)?,
            month: number(5, 7)?,
            day: number(8, 10)?,
            hour: number(11, 13)?,
            minute: number(14, 16)?,
            second: number(17, 19)?,
            zone: zone.to_owned(),
        };
        let fits = (1..=12).contains(&time.month)
            && (1..=31).contains(&time.day)
            && time.hour < 24
            && time.minute < 60
            && time.second < 61;
        (fits && zone_ok && zone.is_ascii()).then_some(time)
    }

    /// Day of the week, Sunday first (Sakamoto's method).
    fn weekday(&self) -> usize {
        const SHIFT: [usize; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        // Seven times 400 years more change nothing and keep the sum above zero.
        let year = self.year + 2800 - usize::from(self.month < 3);
        let shift = SHIFT.get(self.month - 1).copied().unwrap_or_default();
        (year + year / 4 - year / 100 + year / 400 + shift + self.day) % 7
    }

    fn format(&self, layout: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = layout;
        while let Some(first) = rest.chars().next() {
            if first == '\'' {
                rest = quoted(rest.get(1..).unwrap_or_default(), &mut out)?;
                continue;
            }
            let run = rest.len() - rest.trim_start_matches(first).len();
            let (word, after) = rest.split_at(run);
            rest = after;
            if first.is_ascii_alphabetic() {
                out.push_str(&self.field(word)?);
            } else {
                out.push_str(word);
            }
        }
        Ok(out)
    }

    fn field(&self, word: &str) -> Result<String, String> {
        let named =
            |names: &[&str], at: usize| names.get(at).copied().unwrap_or_default().to_owned();
        let short = |name: String| name.chars().take(3).collect::<String>();
        let half = (self.hour + 11) % 12 + 1;
        let colonless = self.zone.replace(':', "");
        let utc = matches!(self.zone.as_str(), "Z" | "z");
        Ok(match word {
            "YYYY" => format!("{:04}", self.year),
            "YY" => format!("{:02}", self.year % 100),
            "MMMM" => named(&MONTHS, self.month - 1),
            "MMM" => short(named(&MONTHS, self.month - 1)),
            "MM" => format!("{:02}", self.month),
            "M" => self.month.to_string(),
            "DD" => format!("{:02}", self.day),
            "D" => self.day.to_string(),
            "EEEE" => named(&DAYS, self.weekday()),
            "EEE" => short(named(&DAYS, self.weekday())),
            "hh" => format!("{:02}", self.hour),
            "h" => self.hour.to_string(),
            "HH" => format!("{half:02}"),
            "H" => half.to_string(),
            "AA" => if self.hour < 12 { "AM" } else { "PM" }.to_owned(),
            "aa" => if self.hour < 12 { "am" } else { "pm" }.to_owned(),
            "mm" => format!("{:02}", self.minute),
            "m" => self.minute.to_string(),
            "ss" => format!("{:02}", self.second),
            "s" => self.second.to_string(),
            "Z" if utc => "Z".to_owned(),
            "ZZZ" if utc => "UTC".to_owned(),
            "ZZZZ" | "ZZZ" if utc => "+0000".to_owned(),
            "ZZZZZ" if utc => "+00:00".to_owned(),
            "Z" | "ZZZZZ" => self.zone.clone(),
            "ZZZZ" | "ZZZ" => colonless,
            _ => return Err(format!("the layout has no `{word}`")),
        })
    }
}

/// Text up to the closing quote; two quotes are one.
fn quoted<'t>(mut rest: &'t str, out: &mut String) -> Result<&'t str, String> {
    loop {
        let end = rest.find('\'').ok_or("a quote of the layout is not closed")?;
        out.push_str(rest.get(..end).unwrap_or_default());
        rest = rest.get(end + 1..).unwrap_or_default();
        if !rest.starts_with('\'') {
            return Ok(rest);
        }
        out.push('\'');
        rest = rest.get(1..).unwrap_or_default();
    }
}
