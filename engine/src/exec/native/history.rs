//! Lines of an image's history, in the words of BuildKit: tools that read them know these.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::config::State;
use crate::spec::{self, Command, Copy, Healthcheck, Op};

/// One line.
pub(super) struct Line {
    /// The instruction.
    pub text: String,
    /// Whether it has no layer.
    pub empty: bool,
    /// Whether it is an instruction of a Dockerfile, or means the same.
    pub is_instruction: bool,
}

impl Line {
    /// A line of a layer that no instruction of a Dockerfile makes.
    pub fn plain(text: String) -> Self {
        Self { text, empty: false, is_instruction: false }
    }
}

/// The line of an instruction whose effect is in the state; some leave none.
pub(super) fn line(op: &Op<spec::Built>, state: &State) -> Option<Line> {
    let (text, empty) = match op {
        Op::Run(run) => (format!("RUN {} # buildkit", state.run_line(&run.program)), false),
        Op::Copy(copy) => (copied(copy), false),
        Op::Workdir(_) => (format!("WORKDIR {}", state.folder()), state.folder() == "/"),
        Op::Env(pairs) => (format!("ENV{}", texts_of_pairs(pairs)), true),
        Op::Label(pairs) => (format!("LABEL{}", texts_of_pairs(pairs)), true),
        Op::Arg(list) => {
            let shown = list.iter().map(|arg| match &arg.default {
                Some(default) => format!("{}={default}", arg.name),
                None => arg.name.clone(),
            });
            (format!("ARG {}", shown.collect::<Vec<_>>().join(" ")), true)
        }
        Op::User(user) => (format!("USER {user}"), true),
        Op::Shell(words) => (format!("SHELL [{}]", words.join(" ")), true),
        Op::Expose(ports) => {
            let ports: BTreeSet<&String> = ports.iter().collect();
            let shown: Vec<String> = ports.iter().map(|port| format!("{port}:{{}}")).collect();
            (format!("EXPOSE map[{}]", shown.join(" ")), true)
        }
        Op::Volume(paths) => (format!("VOLUME [{}]", paths.join(" ")), true),
        Op::Entrypoint(words) => (format!("ENTRYPOINT {}", words_of(words, state)), true),
        Op::Cmd(words) => (format!("CMD {}", words_of(words, state)), true),
        Op::StopSignal(signal) => (format!("STOPSIGNAL {signal}"), true),
        Op::Healthcheck(check) => (format!("HEALTHCHECK {}", checked(check)), true),
        Op::Maintainer(author) => (format!("MAINTAINER {author}"), true),
        Op::Onbuild(_) => return None,
        Op::Packages(packages) => {
            return Some(Line::plain(format!("PACKAGES {}", packages.names.join(" "))));
        }
        Op::File { path, .. } => return Some(Line::plain(format!("FILE {path}"))),
        Op::Mkdir { paths, .. } => return Some(Line::plain(format!("MKDIR {}", paths.join(" ")))),
        Op::Symlink { target, path } => {
            return Some(Line::plain(format!("SYMLINK {target} {path}")));
        }
        Op::Remove { paths } => return Some(Line::plain(format!("REMOVE {}", paths.join(" ")))),
    };
    Some(Line { text, empty, is_instruction: true })
}

fn texts_of_pairs(pairs: &[(String, String)]) -> String {
    pairs.iter().fold(String::new(), |mut out, (name, value)| {
        let _ = write!(out, " {name}={value}");
        out
    })
}

fn words_of(command: &Command, state: &State) -> String {
    let words: Vec<String> = state.command(command).iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(" "))
}

/// A text in Go's double quotes.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c == '\x7f' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn copied(copy: &Copy<spec::Built>) -> String {
    let mut out = String::from(if copy.add { "ADD" } else { "COPY" });
    if copy.parents {
        out.push_str(" --parents");
    }
    if let Some(owner) = &copy.owner {
        let _ = write!(out, " --chown={owner}");
    }
    if let Some(mode) = &copy.mode {
        let _ = write!(out, " --chmod={mode}");
    }
    // Files come before heredocs, whatever their order.
    let (docs, paths): (Vec<&String>, Vec<&String>) =
        copy.sources.iter().partition(|source| source.starts_with("<<"));
    for word in paths.into_iter().chain(docs).chain([&copy.dest]) {
        let _ = write!(out, " {word}");
    }
    out.push_str(" # buildkit");
    out
}

/// A number as Go quotes it: as the character of that number.
fn rune(number: u32) -> String {
    let c = char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER);
    let text = match c {
        '\'' => "\\'".to_owned(),
        '"' => "\"".to_owned(),
        c => quoted(&c.to_string()).trim_matches('"').to_owned(),
    };
    format!("'{text}'")
}

/// A health check as Go prints its fields in quotes.
fn checked(check: &Healthcheck) -> String {
    let Healthcheck { test, interval, timeout, start_period, start_interval, retries } = check;
    let test: Vec<String> = test.iter().map(|word| quoted(word)).collect();
    let times = [interval, timeout, start_period, start_interval];
    let times: Vec<String> = times.iter().map(|time| format!("{:?}", duration(**time))).collect();
    format!("&{{[{}] {} {}}}", test.join(" "), times.join(" "), rune(*retries))
}

/// Nanoseconds as Go prints a duration: `1m30s`, `500ms`.
fn duration(nanoseconds: u64) -> String {
    let fraction = |value: u64, unit: u64, name: &str| {
        let mut text = format!("{}", value / unit);
        let rest = value % unit;
        if rest > 0 {
            let digits = unit.to_string().len() - 1;
            let _ = write!(text, ".{}", format!("{rest:0digits$}").trim_end_matches('0'));
        }
        text + name
    };
    const SECOND: u64 = 1_000_000_000;
    match nanoseconds {
        0 => "0s".to_owned(),
        n if n < 1_000 => format!("{n}ns"),
        n if n < 1_000_000 => fraction(n, 1_000, "µs"),
        n if n < SECOND => fraction(n, 1_000_000, "ms"),
        n => {
            let (minutes, rest) = (n / (60 * SECOND), n % (60 * SECOND));
            let seconds = fraction(rest, SECOND, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (500_000_000, "500ms"),
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (1_500_000_000, "1.5s"),
        ] {
            assert_eq!(duration(nanoseconds), text);
        }
    }

    #[test]
    fn words_are_quoted_as_go_does() {
        assert_eq!(quoted("a \"b\"\n\\\u{1}é"), "\"a \\\"b\\\"\\n\\\\\\x01é\"");
    }
}
