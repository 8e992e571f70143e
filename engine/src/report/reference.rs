//! The reference of the language, out of its one table: Markdown, text for a terminal, JSON.

use std::fmt::Write;

use mabuild_lang::platform::Platform;
use mabuild_lang::schema::{Args, BUILTINS, Children, FILE, Kind, Props, Role, Type};
use mabuild_lang::suggest::did_you_mean;
use serde_json::{Value, json};

use super::{JSON_VERSION, Style, Tone};

/// A kind of node with the names of those that it stands in.
struct Place {
    way: Vec<&'static str>,
    kind: &'static Kind,
}

/// What a name between braces stands for, beside those that have a value of their own.
const NAME: (&str, &str) = ("NAME", "the value of a `let`, or of an axis of the image's `matrix`");

/// All names that a text may have in `{{…}}`, with what they stand for.
fn interpolation() -> impl Iterator<Item = (&'static str, &'static str)> {
    std::iter::once(NAME).chain(BUILTINS.iter().map(|builtin| (builtin.name, builtin.doc)))
}

/// The whole reference as Markdown.
pub fn reference_markdown() -> String {
    let mut out =
        "# The language of `mabuild.kdl`\n\nA file is written in [KDL 2](https://kdl.dev). \
        Made by `mabuild reference` out of the table that the program reads files with.\n"
            .to_owned();
    for place in places() {
        if place.way.is_empty() {
            let _ =
                writeln!(out, "\n## The file\n\nAt its top may stand {}.", children(place.kind));
            continue;
        }
        let _ = write!(out, "\n{} {}\n\n", "#".repeat(place.way.len().min(4) + 1), title(&place));
        markdown(place.kind, &mut out);
    }
    out.push_str("\n## Names in texts\n\n`{{NAME}}` in a text stands for a value; `{{{{` is two braces as they are.\n\n| name | stands for |\n| --- | --- |\n");
    for (name, meaning) in interpolation() {
        let _ = writeln!(out, "| `{{{{{name}}}}}` | {meaning} |");
    }
    out.push_str(
        "\n## Platforms\n\n| platform | Debian | Alpine | uname |\n| --- | --- | --- | --- |\n",
    );
    for name in Platform::known() {
        let platform = Platform::parse(name).ok();
        let of = |get: fn(&Platform) -> Option<&'static str>| {
            platform.as_ref().and_then(get).unwrap_or("–")
        };
        let (debian, alpine) = (of(Platform::debian), of(Platform::alpine));
        let _ = writeln!(out, "| `{name}` | {debian} | {alpine} | {} |", of(Platform::uname));
    }
    out
}

/// What the table says of the nodes of a name, for a terminal. The error is the nearest name.
pub fn reference_node(name: &str, style: Style) -> Result<String, Option<&'static str>> {
    let wanted = |place: &Place| !place.way.is_empty() && place.kind.name == name;
    let found: Vec<Place> = places().into_iter().filter(wanted).collect();
    if found.is_empty() {
        let known = places().into_iter().filter(|place| !place.way.is_empty());
        let known: Vec<&'static str> = known.map(|place| place.kind.name).collect();
        return Err(did_you_mean(name, known));
    }
    let mut out = String::new();
    for (at, place) in found.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let _ = writeln!(out, "{}", style.paint(Tone::Strong, &title(place)));
        text(place.kind, style, &mut out);
    }
    Ok(out)
}

/// The table as JSON: every kind of node with its arguments, properties and children.
pub fn reference_json() -> String {
    let kinds: Vec<Value> = places().iter().map(described).collect();
    let names: Vec<Value> =
        interpolation().map(|(name, doc)| json!({"name": name, "doc": doc})).collect();
    let platforms: Vec<&str> = Platform::known().collect();
    let document = json!({
        "version": JSON_VERSION,
        "language": 1,
        "nodes": kinds,
        "interpolation": names,
        "platforms": platforms,
    });
    format!("{document:#}\n")
}

/// All kinds, each once in each way of standing, in the order of the table.
fn places() -> Vec<Place> {
    let mut found = Vec::new();
    let mut open = vec![Place { way: Vec::new(), kind: &FILE }];
    while let Some(place) = open.pop() {
        // What several nodes share is told at the first; a template is told as an image.
        let children: Vec<&'static Kind> = match place.kind.children {
            Children::None => Vec::new(),
            Children::Known(_) if place.kind.name == "template" => Vec::new(),
            Children::Known(kinds) => kinds.to_vec(),
            Children::Open(kinds, other) => [&[other], kinds].concat(),
        };
        for kind in children.into_iter().rev() {
            let mut way = place.way.clone();
            way.push(kind.name);
            open.push(Place { way, kind });
        }
        let known = found.iter().any(|known: &Place| std::ptr::eq(known.kind, place.kind));
        if !known {
            found.push(place);
        }
    }
    found
}

fn title(place: &Place) -> String {
    match place.way.split_last() {
        Some((last, [])) => format!("`{last}`"),
        Some((last, above)) => format!("`{last}` in `{}`", above.join("` in `")),
        None => "the file".to_owned(),
    }
}

fn markdown(kind: &Kind, out: &mut String) {
    let _ = writeln!(out, "{}\n\n```kdl\n{}\n```", kind.doc, kind.usage);
    if let Some(values) = values(&kind.args) {
        let _ = writeln!(out, "\nValues: {values}.");
    }
    if !kind.props().is_empty() {
        out.push_str("\n| property | meaning |\n| --- | --- |\n");
        for prop in kind.props() {
            let _ = writeln!(out, "| `{}` | {}{} |", prop.name, prop.doc, of(prop.role));
        }
    }
    if let Some(open) = open_props(kind) {
        let _ = writeln!(out, "\n{open}");
    }
    if kind.name == "template" {
        out.push_str("\nIn its block may stand what may stand in that of an `image`.\n");
    } else if !matches!(kind.children, Children::None) {
        let _ = writeln!(out, "\nIn its block may stand {}.", children(kind));
    }
    if kind.once {
        out.push_str("\nMay stand once.\n");
    }
}

fn text(kind: &Kind, style: Style, out: &mut String) {
    let _ = writeln!(out, "  {}\n\n    {}", kind.doc, style.paint(Tone::Good, kind.usage));
    if let Some(values) = values(&kind.args) {
        let _ = writeln!(out, "\n  values: {values}");
    }
    let width = kind.props().iter().map(|prop| prop.name.len()).max().unwrap_or_default();
    for (at, prop) in kind.props().iter().enumerate() {
        let head = if at == 0 { "\n" } else { "" };
        let _ = writeln!(out, "{head}  {:width$}  {}{}", prop.name, prop.doc, of(prop.role));
    }
    if let Some(open) = open_props(kind) {
        let _ = writeln!(out, "\n  {open}");
    }
    if !matches!(kind.children, Children::None) {
        let _ = writeln!(out, "\n  in its block: {}", children(kind));
    }
}

fn open_props(kind: &Kind) -> Option<&'static str> {
    match kind.props {
        Props::Known(_) => None,
        Props::Free => Some("Any property is a name with its value."),
        Props::Axes => Some("A property is an axis with one of its values."),
    }
}

fn children(kind: &Kind) -> String {
    let mut names: Vec<String> =
        kind.children().iter().map(|kind| format!("`{}`", kind.name)).collect();
    if matches!(kind.children, Children::Open(..)) {
        names.push("a node of any other name".to_owned());
    }
    names.join(", ")
}

/// What the arguments are, where there is more to say than the usage does.
fn values(args: &Args) -> Option<String> {
    let roles: Vec<String> =
        args.roles.iter().map(|role| of(*role)).filter(|text| !text.is_empty()).collect();
    let number = match (args.min, args.max) {
        (_, Some(0)) => return None,
        (min, Some(max)) if min == max => String::new(),
        (min, Some(max)) => format!(" ({min} to {max})"),
        (min, None) => format!(" ({min} or more)"),
    };
    Some(format!("{}{number}{}", args.what, roles.concat()))
}

fn of(role: Role) -> String {
    match role {
        Role::Plain | Role::Declares(_) => String::new(),
        Role::OneOf(words) => format!(": `{}`", words.join("`, `")),
        Role::Suggests(words) => format!(": `{}`, or another text", words.join("`, `")),
        Role::Names(nouns) => {
            let nouns: Vec<&str> = nouns.iter().map(|noun| noun.word()).collect();
            format!(": the name of a {}", nouns.join(" or "))
        }
        Role::Platform => ": `os/arch[/variant]`".to_owned(),
        Role::Platforms => ": `os/arch[/variant]`, with commas between".to_owned(),
        Role::Path | Role::Include => ": relative to the folder of the file".to_owned(),
        Role::Duration => ": `30s`, `10m`, `12h`, `3d`".to_owned(),
        Role::Mode => ": `0644`".to_owned(),
    }
}

fn described(place: &Place) -> Value {
    let kind = place.kind;
    let props: Vec<Value> = kind
        .props()
        .iter()
        .map(|prop| {
            json!({"name": prop.name, "type": typed(prop.kind), "role": role(prop.role), "doc": prop.doc})
        })
        .collect();
    let roles: Vec<Value> = kind.args.roles.iter().map(|r| role(*r)).collect();
    let children: Vec<&str> = kind.children().iter().map(|kind| kind.name).collect();
    json!({
        "name": kind.name,
        "in": place.way.split_last().map(|(_, above)| above),
        "doc": kind.doc,
        "usage": kind.usage,
        "arguments": {
            "min": kind.args.min,
            "max": kind.args.max,
            "type": typed(kind.args.kind),
            "roles": roles,
        },
        "properties": props,
        "otherProperties": matches!(kind.props, Props::Free | Props::Axes),
        "children": children,
        "otherChildren": matches!(kind.children, Children::Open(..)),
        "once": kind.once,
    })
}

fn typed(kind: Type) -> &'static str {
    match kind {
        Type::Text => "string",
        Type::Integer => "integer",
        Type::Boolean => "boolean",
        Type::Any => "any",
    }
}

fn role(role: Role) -> Value {
    match role {
        Role::Plain => json!("plain"),
        Role::OneOf(words) => json!({"oneOf": words}),
        Role::Suggests(words) => json!({"suggests": words}),
        Role::Declares(noun) => json!({"declares": noun.word()}),
        Role::Names(nouns) => {
            json!({"names": nouns.iter().map(|noun| noun.word()).collect::<Vec<_>>()})
        }
        Role::Platform => json!("platform"),
        Role::Platforms => json!("platforms"),
        Role::Path => json!("path"),
        Role::Include => json!("include"),
        Role::Duration => json!("duration"),
        Role::Mode => json!("mode"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_of_the_table_stands_in_it() {
        let text = reference_markdown();
        for place in places().iter().filter(|place| !place.way.is_empty()) {
            assert!(text.contains(place.kind.doc), "{}", title(place));
            for prop in place.kind.props() {
                assert!(
                    text.contains(&format!("| `{}` | {}", prop.name, prop.doc)),
                    "{}",
                    prop.name
                );
            }
        }
        assert!(text.contains("| `linux/arm/v7` | armhf | armv7 | armv7l |"), "{text}");
    }

    #[test]
    fn a_node_by_its_name() {
        let text = reference_node("from", Style::Plain).unwrap();
        assert!(text.starts_with("`from` in `image`\n  The node below"), "{text}");
        assert!(text.contains("A property is an axis"), "{text}");
        // The same name in two places means two things.
        assert!(reference_node("registry", Style::Plain).unwrap().contains("`registry` in `base`"));
        assert_eq!(reference_node("fron", Style::Plain), Err(Some("from")));
        assert_eq!(reference_node("qqqqqqqqqqqq", Style::Plain), Err(None));
    }

    #[test]
    fn the_json_tells_roles_and_types() {
        let document: Value = serde_json::from_str(&reference_json()).unwrap();
        let nodes = document["nodes"].as_array().unwrap();
        let of = |name: &str, above: &[&str]| {
            let fits = |node: &&Value| node["name"] == name && node["in"] == json!(above);
            nodes.iter().find(fits).unwrap().clone()
        };
        assert_eq!(of("mode", &["image"])["arguments"]["roles"][0]["oneOf"][0], "auto");
        assert_eq!(of("expect", &["base", "test"])["properties"][0]["type"], "integer");
        assert_eq!(of("matrix", &["image"])["otherChildren"], true);
    }
}
