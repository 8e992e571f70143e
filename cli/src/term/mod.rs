//! Everything that is shown: where it goes, in which colours, how wide.

pub mod diagnostics;
pub mod failures;
pub mod interrupt;
pub mod progress;
pub mod table;

use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal, Write};

use mabuild_engine::report::{Style, Tone, words};

use crate::args::ColorChoice;
use crate::stop::{FAILED, Stop};

/// Columns of a terminal that does not tell.
const WIDTH: usize = 100;

/// Standard output and standard error, and what they can show.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    out: Style,
    err: Style,
    unicode: bool,
    screen: bool,
}

impl Terminal {
    /// Looks at both streams and at the variables that say what is wanted.
    pub fn new(color: ColorChoice, vars: &BTreeMap<String, String>) -> Self {
        let screen = std::io::stderr().is_terminal();
        let dumb = vars.get("TERM").is_some_and(|term| term == "dumb");
        Self {
            out: style(color, vars, std::io::stdout().is_terminal()),
            err: style(color, vars, screen),
            unicode: unicode(vars),
            screen: screen && !dumb,
        }
    }

    /// Colours of standard output.
    pub fn out_style(&self) -> Style {
        self.out
    }

    /// Colours of standard error.
    pub fn err_style(&self) -> Style {
        self.err
    }

    /// Whether lines may be drawn with more than ASCII.
    pub fn unicode(&self) -> bool {
        self.unicode
    }

    /// Whether standard error is a terminal that can move its cursor.
    pub fn is_screen(&self) -> bool {
        self.screen
    }

    /// Columns and rows of standard error.
    pub fn size(&self) -> (usize, usize) {
        match terminal_size::terminal_size_of(std::io::stderr()) {
            Some((terminal_size::Width(w), terminal_size::Height(h))) if self.screen && w > 0 => {
                (usize::from(w), usize::from(h))
            }
            _ => (WIDTH, usize::MAX),
        }
    }

    /// Writes data to standard output. A reader that has gone away is no error, but there is
    /// nobody left to talk to.
    pub fn out(&self, text: &str) -> Result<(), Stop> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(Stop(0)),
            Err(e) => {
                let message = format!("standard output cannot be written: {e}");
                self.error("mabuild::cli::output", &message, None);
                Err(Stop(FAILED))
            }
        }
    }

    /// Writes a document to standard output as indented JSON.
    pub fn json(&self, document: &impl serde::Serialize) -> Result<(), Stop> {
        match serde_json::to_string_pretty(document) {
            Ok(text) => self.out(&format!("{text}\n")),
            Err(e) => {
                let message = format!("the report cannot be written as JSON: {e}");
                self.error("mabuild::cli::output", &message, None);
                Err(Stop(FAILED))
            }
        }
    }

    /// Writes talk to standard error. Talk that nobody can hear is no reason to fail.
    pub fn say(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// Says what failed and what to do about it.
    pub fn error(&self, code: &str, message: &str, help: Option<&str>) {
        self.say(&self.error_text(code, message, help));
    }

    /// An error that stands at no place of a file.
    pub fn error_text(&self, code: &str, message: &str, help: Option<&str>) -> String {
        let lines = |text: &str, lead: &str| -> String {
            text.lines().map(words::one_line).collect::<Vec<_>>().join(&format!("\n{lead}"))
        };
        let mut text = self.err.paint(Tone::Bad, "error");
        text.push_str(&format!(": {}\n", lines(message, "  ")));
        if let Some(help) = help {
            text.push_str(&format!("  help: {}\n", lines(help, "        ")));
        }
        text.push_str(&format!("  {}\n", self.err.paint(Tone::Dim, code)));
        text
    }
}

/// Colours of one stream.
fn style(color: ColorChoice, vars: &BTreeMap<String, String>, terminal: bool) -> Style {
    let set = |name: &str| vars.get(name).filter(|value| !value.is_empty());
    let wanted = match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|t| t != "dumb")
        }
    };
    if wanted { Style::Ansi } else { Style::Plain }
}

/// Whether the locale is one of UTF-8.
fn unicode(vars: &BTreeMap<String, String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| vars.get(*name).filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn colours_follow_the_choice_then_the_variables() {
        let auto = |pairs: &[(&str, &str)], tty| style(ColorChoice::Auto, &vars(pairs), tty);
        assert_eq!(auto(&[], true), Style::Ansi);
        assert_eq!(auto(&[], false), Style::Plain);
        assert_eq!(auto(&[("NO_COLOR", "1")], true), Style::Plain);
        assert_eq!(auto(&[("NO_COLOR", "")], true), Style::Ansi);
        assert_eq!(auto(&[("TERM", "dumb")], true), Style::Plain);
        let no = vars(&[("NO_COLOR", "1")]);
        assert_eq!(style(ColorChoice::Always, &no, false), Style::Ansi);
        assert_eq!(style(ColorChoice::Never, &vars(&[]), true), Style::Plain);
    }

    #[test]
    fn the_first_locale_that_is_set_counts() {
        assert!(unicode(&vars(&[("LANG", "de_DE.UTF-8")])));
        assert!(unicode(&vars(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")])));
        assert!(!unicode(&vars(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")])));
        assert!(!unicode(&vars(&[])));
    }
}
