//! What stands behind a `$`.

use super::{LexError, Lexer, Result};
use crate::glob::Pattern;

impl<'a> Lexer<'a> {
    /// Reads `$name` or `${name…}` and gives its value.
    pub(super) fn dollar(&mut self) -> Result<String> {
        let start = self.at;
        self.bump();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            let value = self.get(name, start)?;
            return Ok(value.unwrap_or_else(|| self.kept(start)));
        }
        self.bump();
        match self.peek() {
            None => return Err(self.unclosed(start)),
            Some('{' | '}' | ':') => {
                self.bump();
                return Err(self.error(start, "a variable's name is missing", "write `${name}`"));
            }
            Some(_) => {}
        }
        let name = self.name();
        match self.bump() {
            None => Err(self.unclosed(start)),
            Some('}') => {
                let value = self.get(name, start)?;
                Ok(value.unwrap_or_else(|| self.kept(start)))
            }
            Some(':') => {
                let modifier = self.bump();
                self.modified(name, modifier, true, start)
            }
            Some('/') => self.replaced(name, start),
            modifier => self.modified(name, modifier, false, start),
        }
    }

    /// Gives what stands for a variable without a value.
    fn kept(&self, start: usize) -> String {
        if !self.mode.keep_unset {
            return String::new();
        }
        self.text.get(start..self.at).unwrap_or("").to_owned()
    }

    fn modified(
        &mut self,
        name: &str,
        modifier: Option<char>,
        empty_is_unset: bool,
        start: usize,
    ) -> Result<String> {
        let modifier = match modifier {
            None => return Err(self.unclosed(start)),
            Some(c @ ('-' | '+' | '?' | '#' | '%')) => c,
            Some(c) => {
                let colon = if empty_is_unset { ":" } else { "" };
                let message = format!("`{colon}{c}` means nothing behind a variable's name");
                let help = "known are `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//`";
                return Err(self.error(start, message, help));
            }
        };
        let word = self.until(Some('}'), matches!(modifier, '#' | '%'), start)?.text;
        self.spend(word.len(), start)?;
        let value = self.get(name, start)?;
        if self.mode.keep_unset && value.is_none() {
            return Ok(self.kept(start));
        }
        let filled = value.as_ref().is_some_and(|v| !(empty_is_unset && v.is_empty()));
        match modifier {
            '-' => Ok(if filled { value.unwrap_or_default() } else { word }),
            '+' => Ok(if filled { word } else { String::new() }),
            '?' if filled => Ok(value.unwrap_or_default()),
            '?' => Err(self.required(name, &word, value.is_some(), start)),
            _ => self.trimmed(&word, value.unwrap_or_default(), modifier, start),
        }
    }

    fn required(&self, name: &str, word: &str, is_set: bool, start: usize) -> LexError {
        let state = if is_set { "empty" } else { "not set" };
        let message = if word.is_empty() {
            format!("the variable `{name}` must have a value, but is {state}")
        } else {
            format!("the variable `{name}` is {state}: {word}")
        };
        self.error(start, message, "give the argument a value or a default")
    }

    fn trimmed(&mut self, word: &str, value: String, end: char, start: usize) -> Result<String> {
        let (longest, pattern) = match word.strip_prefix(end) {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let pattern = self.pattern(pattern, &value, start)?;
        Ok(if end == '#' {
            pattern.trim_start(&value, longest).to_owned()
        } else {
            pattern.trim_end(&value, longest).to_owned()
        })
    }

    fn replaced(&mut self, name: &str, start: usize) -> Result<String> {
        let all = self.peek() == Some('/');
        if all {
            self.bump();
        }
        let pattern = self.until(Some('/'), true, start)?.text;
        let replacement = self.until(Some('}'), true, start)?.text;
        let value = self.get(name, start)?;
        if self.mode.keep_unset && value.is_none() {
            return Ok(self.kept(start));
        }
        let value = value.unwrap_or_default();
        let pattern = self.pattern(&pattern, &value, start)?;
        let places = pattern.find(&value, all);
        self.spend(value.len() + places.len().saturating_mul(replacement.len()), start)?;
        let mut out = String::with_capacity(value.len());
        let mut done = 0;
        for place in places {
            out.push_str(value.get(done..place.start).unwrap_or(""));
            out.push_str(&replacement);
            done = place.end;
        }
        out.push_str(value.get(done..).unwrap_or(""));
        Ok(out)
    }

    fn pattern(&mut self, pattern: &str, value: &str, start: usize) -> Result<Pattern> {
        let cost = pattern.len().saturating_add(1).saturating_mul(value.len());
        match self.steps.checked_sub(cost) {
            Some(left) => self.steps = left,
            None => {
                let help = "use a shorter pattern or value";
                return Err(self.error(start, "matching this pattern would take too long", help));
            }
        }
        Pattern::new(pattern).map_err(|bad| {
            let message = format!("`\\{bad}` is no escape in a pattern");
            self.error(start, message, "only `\\*`, `\\?` and `\\\\` are")
        })
    }

    fn get(&mut self, name: &str, start: usize) -> Result<Option<String>> {
        let value = (self.env)(name);
        let names = if value.is_some() { &mut self.found } else { &mut self.missing };
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
        self.spend(value.as_ref().map_or(0, String::len), start)?;
        Ok(value)
    }

    /// Reads a name: letters, digits and `_`; or digits alone; or one special character.
    fn name(&mut self) -> &'a str {
        let from = self.at;
        match self.peek() {
            Some(c) if c.is_numeric() => {
                while self.peek().is_some_and(char::is_numeric) {
                    self.bump();
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => {
                self.bump();
            }
            _ => {
                while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    self.bump();
                }
            }
        }
        self.text.get(from..self.at).unwrap_or("")
    }
}
