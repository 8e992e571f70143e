//! Nodes against the table: unknown and repeated names, missing and stray values, wrong types.
//! What is reported here the decoders pass over in silence.

use std::collections::HashMap;

use crate::diag::Diagnostic;
use crate::schema::{self, Children, Kind, Props, Type};
use crate::source::Span;
use crate::suggest::did_you_mean;
use crate::syntax::{Entry, Node, Value};

/// Checks a node and all below it against its kind.
pub(crate) fn node(node: &Node<'_>, kind: &'static Kind, text: &str, out: &mut Vec<Diagnostic>) {
    let mut check = Check { text, out };
    check.node(node, kind);
}

/// The kind of a top-level node, reporting one that is none.
pub(crate) fn top(node: &Node<'_>, text: &str, out: &mut Vec<Diagnostic>) -> Option<&'static Kind> {
    Check { text, out }.kind_of(node, &schema::FILE, None)
}

struct Check<'a> {
    text: &'a str,
    out: &'a mut Vec<Diagnostic>,
}

impl Check<'_> {
    fn node(&mut self, node: &Node<'_>, kind: &'static Kind) {
        self.annotation(node.annotation);
        self.args(node, kind);
        self.props(node, kind);
        self.children(node, kind);
    }

    fn annotation(&mut self, place: Option<Span>) {
        if let Some(span) = place {
            self.out.push(
                Diagnostic::error(
                    "mabuild::lang::annotation",
                    span,
                    "type annotations mean nothing in this file",
                    "an annotation",
                )
                .help("remove it, with its parentheses"),
            );
        }
    }

    fn args(&mut self, node: &Node<'_>, kind: &'static Kind) {
        let count = node.args().count();
        let args = kind.args;
        // An axis of a matrix has the name that it is given.
        let name = node.name.text.as_ref();
        if count < args.min {
            self.out.push(
                Diagnostic::error(
                    "mabuild::lang::missing",
                    node.name.span,
                    format!("`{}` needs {}", shown(name), args.what),
                    if count == 0 { "nothing follows" } else { "too few values follow" },
                )
                .help(format!("write `{}`", kind.usage.replacen(kind.name, &shown(name), 1))),
            );
        }
        for (at, entry) in node.args().enumerate() {
            self.annotation(entry.annotation);
            if args.max.is_some_and(|max| at >= max) {
                if args.max == Some(at) {
                    self.stray(entry, kind);
                }
                continue;
            }
            // The first argument of `let` is its name, whatever the type of the value.
            self.value(
                entry,
                if kind.name == "let" && at == 0 { Type::Text } else { args.kind },
                name,
            );
        }
    }

    fn stray(&mut self, entry: &Entry<'_>, kind: &'static Kind) {
        let message = match kind.args.max {
            Some(0) => format!("`{}` takes no value", kind.name),
            _ => format!("`{}` takes {} and no more", kind.name, kind.args.what),
        };
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::stray",
                entry.value_span,
                message,
                "one value too many",
            )
            .help(format!("write `{}`", kind.usage)),
        );
    }

    fn props(&mut self, node: &Node<'_>, kind: &'static Kind) {
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for entry in &node.entries {
            let Some(name) = &entry.name else { continue };
            self.annotation(entry.annotation);
            if let Some(first) = seen.get(name.text.as_ref()) {
                self.out.push(
                    Diagnostic::error(
                        "mabuild::lang::duplicate",
                        name.span,
                        format!("`{}` is given twice", name.text),
                        "again here",
                    )
                    .and(*first, "first here")
                    .help("keep one of them"),
                );
                continue;
            }
            seen.insert(&name.text, name.span);
            match kind.props().iter().find(|prop| prop.name == name.text) {
                Some(prop) => self.value(entry, prop.kind, &name.text),
                None if matches!(kind.props, Props::Free | Props::Axes) => {
                    self.value(entry, Type::Text, &name.text);
                }
                None => self.unknown_prop(entry, &name.text, name.span, kind),
            }
        }
    }

    fn unknown_prop(&mut self, entry: &Entry<'_>, name: &str, span: Span, kind: &'static Kind) {
        let known = kind.props().iter().map(|prop| prop.name);
        let is_child = kind.child(name).is_some();
        let help = if let Some(near) = did_you_mean(name, known.clone()) {
            format!("did you mean `{near}`?")
        } else if is_child {
            let value = self.text.get(range(entry.value_span)).unwrap_or("…");
            format!(
                "`{name}` is a node of its own: write `{name} {value}` in the block of `{}`",
                kind.name
            )
        } else if kind.props().is_empty() {
            format!("`{}` has no properties; write `{}`", kind.name, kind.usage)
        } else {
            format!("`{}` has {}", kind.name, list(known))
        };
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::unknown-property",
                span,
                format!("`{}` has no property `{}`", kind.name, shown(name)),
                "not known here",
            )
            .help(help),
        );
    }

    fn value(&mut self, entry: &Entry<'_>, wanted: Type, of: &str) {
        let found = match &entry.value {
            Value::String(text) if text.starts_with('\'') && self.is_bare(entry) => {
                self.out.push(
                    Diagnostic::error(
                        "mabuild::lang::quotes",
                        entry.value_span,
                        "single quotes do not make a string",
                        "the quotes are part of the value",
                    )
                    .help(format!("write `\"{}\"`", text.trim_matches('\''))),
                );
                return;
            }
            Value::String(_) if wanted == Type::Text => return,
            Value::Integer(_) if wanted == Type::Integer => return,
            Value::Bool(_) if wanted == Type::Boolean => return,
            Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Bool(_)
                if wanted == Type::Any =>
            {
                return;
            }
            Value::String(_) => "a text",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Bool(_) => "a boolean",
            Value::Null => "nothing",
        };
        let (wants, help) = match wanted {
            Type::Text => {
                let literal = self.text.get(range(entry.value_span)).unwrap_or_default();
                // A number alone is no span of time.
                let unit = if matches!(of, "min-age" | "every" | "late") { "d" } else { "" };
                let text = literal.trim_start_matches('#');
                ("a text", format!("put it in quotes: `\"{text}{unit}\"`"))
            }
            Type::Integer => ("a whole number", whole_number(&entry.value)),
            Type::Boolean => ("a boolean", "write `#true` or `#false`".to_owned()),
            Type::Any => ("a value", "write a text, a number, `#true` or `#false`".to_owned()),
        };
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::type",
                entry.value_span,
                format!("`{}` wants {wants}, and this is {found}", shown(of)),
                found,
            )
            .help(help),
        );
    }

    fn is_bare(&self, entry: &Entry<'_>) -> bool {
        self.text.get(range(entry.value_span)).is_some_and(|literal| literal.starts_with('\''))
    }

    fn children(&mut self, node: &Node<'_>, kind: &'static Kind) {
        let Some(children) = &node.children else { return };
        if matches!(kind.children, Children::None) {
            self.out.push(
                Diagnostic::error(
                    "mabuild::lang::stray",
                    node.name.span,
                    format!("`{}` takes no `{{ }}` block", kind.name),
                    "the block of this node",
                )
                .help(format!("write `{}`", kind.usage)),
            );
            return;
        }
        let mut seen: Vec<(&'static str, Span)> = Vec::new();
        for child in children {
            let Some(child_kind) = self.kind_of(child, kind, Some(node)) else { continue };
            if child_kind.once {
                match seen.iter().find(|(name, _)| *name == child_kind.name) {
                    Some((_, first)) => self.twice(child, *first),
                    None => seen.push((child_kind.name, child.name.span)),
                }
            }
            self.node(child, child_kind);
        }
    }

    fn twice(&mut self, node: &Node<'_>, first: Span) {
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::duplicate",
                node.name.span,
                format!("`{}` stands here twice", node.name.text),
                "again here",
            )
            .and(first, "first here")
            .help("keep one of them"),
        );
    }

    /// The kind of a child; reports an unknown one.
    fn kind_of(
        &mut self,
        node: &Node<'_>,
        parent: &'static Kind,
        parent_node: Option<&Node<'_>>,
    ) -> Option<&'static Kind> {
        let name: &str = &node.name.text;
        if let Some(kind) = parent.child(name) {
            return Some(kind);
        }
        let place = match parent_node {
            Some(_) => format!("`{}`", parent.name),
            None => "the file".to_owned(),
        };
        let known = parent.children().iter().map(|kind| kind.name);
        // A word of the language in the wrong place is hardly a slip of another one.
        let help = if let Some(home) = homes(name) {
            format!("`{name}` belongs in {home}")
        } else if let Some(near) = did_you_mean(name, known.clone()) {
            format!("did you mean `{near}`?")
        } else {
            format!("{place} may have {}", list(known))
        };
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::unknown-node",
                node.name.span,
                format!("{place} has no node `{}`", shown(name)),
                "not known here",
            )
            .help(help),
        );
        None
    }
}

/// The nodes whose block may hold a node of a name.
fn homes(name: &str) -> Option<String> {
    let mut found: Vec<&'static str> = Vec::new();
    let mut open: Vec<&'static Kind> = vec![&schema::FILE];
    let mut met: Vec<&'static Kind> = Vec::new();
    while let Some(kind) = open.pop() {
        if met.iter().any(|known| std::ptr::eq(*known, kind)) {
            continue;
        }
        met.push(kind);
        let has = kind.children().iter().any(|child| child.name == name);
        if has && !found.contains(&kind.name) {
            found.push(kind.name);
        }
        open.extend(kind.children());
    }
    // What may stand for some platforms stands first of all where it counts for all.
    if found.len() > 1 {
        found.retain(|name| *name != "on-platform");
    }
    found.sort_unstable();
    let quoted: Vec<String> =
        found
            .iter()
            .map(|name| {
                if *name == "the file" { "the file itself".to_owned() } else { format!("`{name}`") }
            })
            .collect();
    (!quoted.is_empty()).then(|| quoted.join(" or "))
}

/// What to write where a whole number belongs.
fn whole_number(value: &Value<'_>) -> String {
    match value {
        Value::String(text) if text.parse::<u32>().is_ok() => {
            format!("write it without quotes: `{text}`")
        }
        _ => "write digits alone, without quotes and without a dot: `1`".to_owned(),
    }
}

/// Names for a help line: `a`, `b` and `c`.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// A name of the file for a message: cut where it is too long to read.
pub(crate) fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()).into(),
        None => text.into(),
    }
}

/// The byte range of a span.
pub(crate) fn range(span: Span) -> std::ops::Range<usize> {
    span.start as usize..span.end as usize
}
