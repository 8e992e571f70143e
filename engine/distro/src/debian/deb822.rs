//! A pull reader of deb822 text (Debian Policy 5.1): fields and ends of stanzas, in one pass,
//! borrowing from the input. It knows no field names and joins nothing.

use memchr::memchr;

/// What the reader found next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// A field. The value has no white space at its ends and keeps its inner line breaks.
    Field { name: &'a [u8], value: &'a [u8] },
    /// The end of a stanza that had at least one field.
    EndOfStanza,
    /// The end of the text.
    End,
}

/// A line that is neither a field, nor a continuation of one, nor blank; lines count from 1.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line} is neither a field nor the continuation of one")]
pub(crate) struct MalformedLine {
    pub(crate) line: usize,
}

pub(crate) struct Reader<'a> {
    text: &'a [u8],
    position: usize,
    in_stanza: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Reader { text, position: 0, in_stanza: false }
    }

    pub(crate) fn next(&mut self) -> Result<Event<'a>, MalformedLine> {
        while self.position < self.text.len() {
            let start = self.position;
            let end = self.line_end(start);
            let line = self.text.get(start..end).unwrap_or_default();
            if line.trim_ascii().is_empty() {
                self.position = end;
                if std::mem::take(&mut self.in_stanza) {
                    return Ok(Event::EndOfStanza);
                }
                continue;
            }
            let Some(colon) = field_colon(line) else {
                return Err(self.malformed_at(start));
            };
            self.position = self.continuations_end(end);
            self.in_stanza = true;
            let name = line.get(..colon).unwrap_or_default();
            let value = self.text.get(start + colon + 1..self.position).unwrap_or_default();
            return Ok(Event::Field { name, value: value.trim_ascii() });
        }
        if std::mem::take(&mut self.in_stanza) {
            return Ok(Event::EndOfStanza);
        }
        Ok(Event::End)
    }

    /// Index after the newline that ends the line at `start`, or of the end of the text.
    fn line_end(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        memchr(b'\n', rest).map_or(self.text.len(), |newline| start + newline + 1)
    }

    fn continuations_end(&self, mut end: usize) -> usize {
        while matches!(self.text.get(end), Some(b' ' | b'\t')) {
            let next = self.line_end(end);
            if self.text.get(end..next).unwrap_or_default().trim_ascii().is_empty() {
                break;
            }
            end = next;
        }
        end
    }

    fn malformed_at(&self, position: usize) -> MalformedLine {
        let before = self.text.get(..position).unwrap_or_default();
        MalformedLine { line: 1 + memchr::memchr_iter(b'\n', before).count() }
    }
}

/// Index of the colon after a field name, when the line starts with a name.
fn field_colon(line: &[u8]) -> Option<usize> {
    let colon = memchr(b':', line)?;
    let name = line.get(..colon)?;
    let valid =
        !name.is_empty() && name.iter().all(u8::is_ascii_graphic) && !name.starts_with(b"-");
    valid.then_some(colon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(text: &str) -> Vec<String> {
        let mut reader = Reader::new(text.as_bytes());
        let mut seen = Vec::new();
        loop {
            match reader.next() {
                Ok(Event::Field { name, value }) => seen.push(format!(
                    "{}={}",
                    String::from_utf8_lossy(name),
                    String::from_utf8_lossy(value)
                )),
                Ok(Event::EndOfStanza) => seen.push("--".into()),
                Ok(Event::End) => return seen,
                Err(error) => {
                    seen.push(error.to_string());
                    return seen;
                }
            }
        }
    }

    #[test]
    fn stanzas_and_continuations_are_told_apart() {
        assert_eq!(
            events("\n\nA: 1\nB:\n two\n .\n three\n \t\n\nC:3"),
            ["A=1", "B=two\n .\n three", "--", "C=3", "--"]
        );
        assert_eq!(events("A: 1\r\n\r\nB: x:y \r\n"), ["A=1", "--", "B=x:y", "--"]);
        assert_eq!(events(""), [""; 0]);
    }

    #[test]
    fn a_line_that_is_no_field_is_named_by_number() {
        assert_eq!(
            events("A: 1\nnonsense\n"),
            ["A=1", "line 2 is neither a field nor the continuation of one"]
        );
        for bad in [" lead: 1", ": 1", "-x: 1", "two words: 1"] {
            assert!(events(bad)[0].starts_with("line 1"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            let mut steps = 0;
            while !matches!(reader.next(), Ok(Event::End) | Err(_)) {
                steps += 1;
                prop_assert!(steps <= 2 * bytes.len());
            }
        }
    }
}
