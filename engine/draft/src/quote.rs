//! Text of KDL 2 in the layout of `mabuild fmt`: one node a line, four spaces a level.

use std::fmt::Write;

/// A document that is being written.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: String,
    depth: usize,
}

impl Writer {
    /// Adds a node whose values are given as they are to stand.
    pub fn node(&mut self, name: &str, values: &[String]) {
        self.line(name, values, "");
    }

    /// Adds a node and begins its block.
    pub fn open(&mut self, name: &str, values: &[String]) {
        self.line(name, values, " {");
        self.depth += 1;
    }

    /// Ends the block.
    pub fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.line("}", &[], "");
    }

    /// Adds a comment, a line for each line of the text.
    pub fn comment(&mut self, text: &str) {
        for line in text.split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
            let line: String = line.chars().filter(|c| !is_forbidden(*c)).collect();
            let line = format!("// {line}");
            self.line(line.trim_end(), &[], "");
        }
    }

    /// Adds an empty line, but not at the start and not after another.
    pub fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    fn line(&mut self, name: &str, values: &[String], end: &str) {
        for _ in 0..self.depth {
            self.out.push_str("    ");
        }
        self.out.push_str(name);
        for value in values {
            self.out.push(' ');
            self.out.push_str(value);
        }
        self.out.push_str(end);
        self.out.push('\n');
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// The document.
    pub fn finish(self) -> String {
        let mut out = self.out;
        let length = out.trim_end().len();
        out.truncate(length);
        out.push('\n');
        out
    }
}

/// A string literal.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_forbidden(c) || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}') => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A property with a string.
pub(crate) fn property(name: &str, text: &str) -> String {
    format!("{name}={}", quoted(text))
}

/// Whether a character must not stand in a document as it is: control characters, marks of
/// writing direction, the byte order mark (KDL 2, "Disallowed Literal Code Points").
fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
