//! Strings of the draft: plain text with the names of `let`s and matrix axes in it.

/// A string whose parts are known as text and, some of them, by a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Plain(String),
    Name { name: String, value: String },
}

impl Text {
    /// A text without names. NUL, which no program can be given, is left out.
    pub fn plain(text: &str) -> Self {
        let mut made = Self::default();
        made.push_plain(text);
        made
    }

    /// The value of a name.
    pub fn name(name: &str, value: &str) -> Self {
        Self { parts: vec![Part::Name { name: name.to_owned(), value: value.to_owned() }] }
    }

    /// Adds text at the end.
    pub fn push_plain(&mut self, text: &str) {
        let text = text.replace('\0', "");
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Plain(last)) => last.push_str(&text),
            _ => self.parts.push(Part::Plain(text)),
        }
    }

    /// Adds another text at the end.
    pub fn push(&mut self, other: Self) {
        for part in other.parts {
            match part {
                Part::Plain(text) => self.push_plain(&text),
                name @ Part::Name { .. } => self.parts.push(name),
            }
        }
    }

    /// The text with all names replaced.
    pub fn value(&self) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Plain(text) | Part::Name { value: text, .. } => text.as_str(),
            })
            .collect()
    }

    /// Whether it has no character.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| match part {
            Part::Plain(text) | Part::Name { value: text, .. } => text.is_empty(),
        })
    }

    /// Bytes of the text with all names replaced.
    pub fn len(&self) -> usize {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Plain(text) | Part::Name { value: text, .. } => text.len(),
            })
            .sum()
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name { name, .. } => Some(name.as_str()),
            Part::Plain(_) => None,
        })
    }

    /// The same with the names replaced that are not to stay.
    pub fn keeping(self, stays: impl Fn(&str) -> bool) -> Self {
        let mut out = Self::default();
        for part in self.parts {
            match part {
                Part::Name { name, value } if stays(&name) => {
                    out.parts.push(Part::Name { name, value });
                }
                Part::Name { value: text, .. } | Part::Plain(text) => out.push_plain(&text),
            }
        }
        out
    }

    /// The content of the string in the language: names in `{{…}}`, braces of the text doubled.
    pub fn interpolation(&self) -> String {
        let mut out = String::new();
        let mut open = false;
        for part in &self.parts {
            match part {
                // A brace right before a name cannot be written.
                Part::Name { .. } if open => return escape_braces(&self.value()),
                Part::Name { name, .. } => {
                    out.push_str("{{");
                    out.push_str(name);
                    out.push_str("}}");
                    open = false;
                }
                Part::Plain(text) => {
                    out.push_str(&escape_braces(text));
                    open = text.len() - text.trim_end_matches('{').len() > 0;
                }
            }
        }
        out
    }

    /// The text before and from a byte of its value. A name that is cut becomes plain.
    pub fn cut(&self, at: usize) -> (Self, Self) {
        let (mut before, mut after) = (Self::default(), Self::default());
        let mut from = 0;
        for part in &self.parts {
            let value = match part {
                Part::Plain(text) | Part::Name { value: text, .. } => text,
            };
            let here = at.saturating_sub(from);
            let whole = Self { parts: vec![part.clone()] };
            if here >= value.len() {
                before.push(whole);
            } else if here == 0 {
                after.push(whole);
            } else {
                before.push_plain(value.get(..here).unwrap_or_default());
                after.push_plain(value.get(here..).unwrap_or_default());
            }
            from += value.len();
        }
        (before, after)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::plain(text)
    }
}

fn escape_braces(text: &str) -> String {
    text.replace("{{", "{{{{")
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn braces_are_doubled_and_names_kept() {
        let mut text = Text::plain("a {{b}} ");
        text.push(Text::name("x", "1"));
        text.push_plain("{");
        assert_eq!(text.interpolation(), "a {{{{b}} {{x}}{");
        assert_eq!(text.value(), "a {{b}} 1{");
        text.push(Text::name("y", "2"));
        // `{{{y}}` would name `{y`.
        assert_eq!(text.interpolation(), "a {{{{b}} 1{2");
    }

    #[test]
    fn cuts_between_and_inside_of_names() {
        let mut text = Text::name("repo", "host/app");
        text.push_plain(":");
        text.push(Text::name("tag", "1"));
        let (before, after) = text.cut(8);
        assert_eq!(
            (before.interpolation(), after.interpolation()),
            ("{{repo}}".into(), ":{{tag}}".into())
        );
        let (before, after) = text.cut(5);
        assert_eq!(
            (before.interpolation(), after.interpolation()),
            ("host/".into(), "app:{{tag}}".into())
        );
    }
}
