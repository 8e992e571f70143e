//! What the config of an image says: `env`, `label`, `entrypoint` and their siblings, and `tags`.

use std::collections::{HashMap, HashSet};

use super::check::shown;
use super::text::Cx;
use crate::config::{Settings, Text};
use crate::diag::Diagnostic;
use crate::source::Span;
use crate::syntax::Node;

/// Reads a node into the settings where it is one of theirs.
pub(crate) fn read(node: &Node<'_>, settings: &mut Settings, cx: &mut Cx<'_>) {
    match node.name.text.as_ref() {
        "env" => settings.env.extend(env(node, cx).into_iter().map(|(name, text, _)| (name, text))),
        "label" => settings.labels.extend(labels(node, cx)),
        "entrypoint" => settings.entrypoint = Some(words(node, cx)),
        "cmd" => settings.cmd = Some(words(node, cx)),
        "expose" => ports(node, settings, cx),
        "volume" => settings.volumes.extend(cx.strings(node, "a path")),
        "workdir" => settings.workdir = first(node, "the working directory", cx),
        "user" => settings.user = first(node, "the user", cx),
        "stop-signal" => settings.stop_signal = first(node, "the signal", cx),
        _ => {}
    }
}

/// The first argument.
pub(crate) fn first(node: &Node<'_>, what: &str, cx: &mut Cx<'_>) -> Option<Text> {
    node.args().next().and_then(|entry| cx.filled(entry, what))
}

/// Words of a command; a word may be empty, the program may not.
pub(crate) fn words(node: &Node<'_>, cx: &mut Cx<'_>) -> Vec<Text> {
    let mut words = Vec::new();
    for (at, entry) in node.args().enumerate() {
        let word = if at == 0 { cx.filled(entry, "the program") } else { cx.string(entry) };
        words.extend(word);
    }
    words
}

/// Variables of `env "K" "V"` or `env K="V" …`, with the place of each name.
pub(crate) fn env(node: &Node<'_>, cx: &mut Cx<'_>) -> Vec<(String, Text, Span)> {
    let mut pairs = Vec::new();
    for (name, value) in paired(node, cx) {
        let Some(name) = (match name {
            Key::Text(text) => constant(&text, "the name of a variable", cx),
            Key::Word(name, span) => Some((name, span)),
        }) else {
            continue;
        };
        if name.0.is_empty() || name.0.contains(['=', '\0', '\n']) {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::name",
                    name.1,
                    format!("`{}` cannot be the name of a variable", shown(&name.0)),
                    "not a name",
                )
                .help("a name has letters, digits and `_`: `env NAME=\"value\"`"),
            );
            continue;
        }
        pairs.push((name.0, value, name.1));
    }
    pairs
}

fn labels(node: &Node<'_>, cx: &mut Cx<'_>) -> Vec<(Text, Text)> {
    let text = |key| match key {
        Key::Text(text) => text,
        Key::Word(name, span) => Text::literal(name, span),
    };
    paired(node, cx).into_iter().map(|(key, value)| (text(key), value)).collect()
}

/// A name on the left of a pair.
enum Key {
    Text(Text),
    Word(String, Span),
}

/// The pairs of a node that takes one pair as arguments or any number as properties.
fn paired(node: &Node<'_>, cx: &mut Cx<'_>) -> Vec<(Key, Text)> {
    let mut pairs = Vec::new();
    let mut args = node.args();
    let usage = format!("write `{0} NAME=\"value\"` or `{0} \"NAME\" \"value\"`", node.name.text);
    match (args.next(), args.next()) {
        (Some(name), Some(value)) => {
            if let (Some(name), Some(value)) = (cx.filled(name, "the name"), cx.string(value)) {
                pairs.push((Key::Text(name), value));
            }
        }
        (Some(name), None) => cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                name.value_span,
                "this name has no value",
                "a value must follow",
            )
            .help(usage),
        ),
        (None, _) if node.entries.is_empty() => cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                format!("`{}` needs a name and a value", node.name.text),
                "nothing follows",
            )
            .help(usage),
        ),
        (None, _) => {}
    }
    let mut seen: HashSet<&str> = HashSet::new();
    for entry in &node.entries {
        if let Some(name) = &entry.name
            && seen.insert(&name.text)
            && let Some(value) = cx.string(entry)
        {
            pairs.push((Key::Word(name.text.clone().into_owned(), name.span), value));
        }
    }
    pairs
}

/// A text that must not depend on the platform, with its place.
fn constant(text: &Text, what: &str, cx: &mut Cx<'_>) -> Option<(String, Span)> {
    if let Some(constant) = text.constant() {
        return Some((constant.to_owned(), text.span));
    }
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::interpolation",
            text.span,
            format!("{what} is the same for all platforms"),
            "differs from platform to platform",
        )
        .help("leave the platform out here"),
    );
    None
}

/// Reports names that the settings of one node give twice.
pub(crate) fn duplicates(settings: &Settings, cx: &mut Cx<'_>) {
    let mut seen: HashMap<(&str, &str), Span> = HashMap::new();
    let env = settings.env.iter().map(|(name, value)| (("env", name.as_str()), value.span));
    let labels = settings
        .labels
        .iter()
        .filter_map(|(name, value)| Some((("label", name.constant()?), value.span)));
    for ((kind, name), span) in env.chain(labels) {
        if let Some(first) = seen.insert((kind, name), span) {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::duplicate",
                    span,
                    format!("`{kind}` gives `{}` twice", shown(name)),
                    "another value",
                )
                .and(first, "the first value")
                .help("keep one of them"),
            );
        }
    }
}

fn ports(node: &Node<'_>, settings: &mut Settings, cx: &mut Cx<'_>) {
    for text in cx.strings(node, "a port") {
        if text.constant().is_some_and(|port| !is_port(port)) {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::value",
                    text.span,
                    format!("`{}` is not a port", shown(text.constant().unwrap_or_default())),
                    "not of the form port[/protocol]",
                )
                .help("write a number from 1 to 65535 and a protocol: `80/tcp`, `53/udp`"),
            );
        } else {
            settings.expose.push(text);
        }
    }
}

/// `80`, `80/tcp`, `8000-8010/udp`.
fn is_port(text: &str) -> bool {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0)
    };
    let good = match ports.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)).is_some_and(|(f, l)| f <= l),
        None => number(ports).is_some(),
    };
    good && matches!(protocol, "tcp" | "udp" | "sctp")
}

/// Reads one `tags` node.
pub(crate) fn tags(node: &Node<'_>, tags: &mut Vec<Text>, cx: &mut Cx<'_>) {
    for entry in node.args() {
        let Some(tag) = cx.of_variant(entry, "a tag") else { continue };
        if let Some(text) = tag.constant().filter(|text| !is_tag(text)) {
            cx.out.push(not_a_tag(text, tag.span));
        } else if let Some(first) = tags.iter().find(|known| known.parts == tag.parts) {
            cx.out.push(
                Diagnostic::warning(
                    "mabuild::lang::tag",
                    tag.span,
                    "this tag is given twice",
                    "again here",
                )
                .and(first.span, "first here")
                .help("remove one of them"),
            );
        } else if tags.len() < 1000 {
            // No image has more; a hostile list would take quadratic time.
            tags.push(tag);
        }
    }
}

/// Whether a text is a tag, after the grammar of the distribution specification.
pub(crate) fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().enumerate().all(|(at, b)| {
            b.is_ascii_alphanumeric() || b == b'_' || (at > 0 && matches!(b, b'.' | b'-'))
        })
}

/// The error for a text that is none.
pub(crate) fn not_a_tag(text: &str, span: Span) -> Diagnostic {
    let error = Diagnostic::error(
        "mabuild::lang::tag",
        span,
        format!("`{}` is not a tag", shown(text)),
        "not allowed in a tag",
    );
    if let Some((repository, tag)) = text.rsplit_once(':')
        && is_tag(tag)
        && crate::reference::repository(repository).is_ok()
    {
        let (repository, tag) = (shown(repository), shown(tag));
        return error.help(format!(
            "a tag is what stands behind the `:`; write `tags \"{tag}\"` and `publish \"{repository}\"`"
        ));
    }
    error.help("a tag has letters, digits, `_`, `.` and `-`, begins with none of the last two, and has 128 characters at most")
}

#[cfg(test)]
mod tests {
    use super::is_port;

    #[test]
    fn ports() {
        for good in ["80", "80/tcp", "1/udp", "65535/sctp", "8000-8010/tcp"] {
            assert!(is_port(good), "{good}");
        }
        for bad in ["", "0", "+80", "65536", "80/", "80/http", "tcp/80", "9-8", "8-", "80/tcp/x"] {
            assert!(!is_port(bad), "{bad}");
        }
    }
}
