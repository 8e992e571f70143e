//! How a node is written, as an editor's snippet: with places to jump to.

/// Makes a snippet of the usage of a row of the schema: texts in quotes and words in capitals
/// become places, a block becomes an empty one.
pub(super) fn of_usage(usage: &str) -> String {
    let mut out = String::with_capacity(usage.len() + 32);
    let mut places = 0;
    let mut rest = usage;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '{' => {
                out.push_str("{\n\t$0\n\\}");
                break;
            }
            '"' => {
                let inner = rest.get(1..).unwrap_or_default();
                let end = inner.find('"').unwrap_or(inner.len());
                out.push('"');
                place(&mut out, &mut places, inner.get(..end).unwrap_or_default());
                out.push('"');
                (end + 2).min(rest.len())
            }
            c if c.is_ascii_uppercase() => {
                let end = rest.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(rest.len());
                place(&mut out, &mut places, rest.get(..end).unwrap_or_default());
                end
            }
            c => {
                escaped(&mut out, c);
                c.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

fn place(out: &mut String, places: &mut usize, text: &str) {
    *places += 1;
    // Dots stand for what only the writer knows.
    let text = if text == "…" { "" } else { text };
    out.push_str(&format!("${{{places}:"));
    text.chars().for_each(|c| escaped(out, c));
    out.push('}');
}

fn escaped(out: &mut String, c: char) {
    if matches!(c, '$' | '}' | '\\') {
        out.push('\\');
    }
    out.push(c);
}

#[cfg(test)]
mod tests {
    use super::of_usage;

    #[test]
    fn texts_capitals_and_blocks_are_places() {
        assert_eq!(of_usage("image \"NAME\" { … }"), "image \"${1:NAME}\" {\n\t$0\n\\}");
        assert_eq!(of_usage("let NAME \"value\""), "let ${1:NAME} \"${2:value}\"");
        assert_eq!(of_usage("exclude AXIS=\"VALUE\""), "exclude ${1:AXIS}=\"${2:VALUE}\"");
        assert_eq!(
            of_usage("on \"rebuilt\" { webhook \"…\" }"),
            "on \"${1:rebuilt}\" {\n\t$0\n\\}"
        );
        assert_eq!(of_usage("x \"$a\" 1 \"…\""), "x \"${1:\\$a}\" 1 \"${2:}\"");
        assert_eq!(of_usage("x \"open"), "x \"${1:open}\"");
        assert_eq!(of_usage("updates"), "updates");
    }
}
