//! `let`: names for values, from the file, the environment or the command line.

use super::check::shown;
use super::text::{Cx, LetValue, Lets, is_let_name};
use crate::diag::Diagnostic;
use crate::schema::names::Source;
use crate::schema::{BUILTINS, Builtin};
use crate::source::Spanned;
use crate::suggest::did_you_mean;
use crate::syntax::{Entry, Node, Value};
use crate::{Files, Vars};

/// Names that have a meaning of their own in `{{…}}`.
pub(crate) const RESERVED: [&str; 5] = ["version", "platform", "image", "git", "date"];

/// Adds the names that stand for something outside of the files, where any text has them.
pub(crate) fn outside_names(texts: &[&str], files: &dyn Files, vars: &Vars, lets: &mut Lets) {
    let used = |name: &str| texts.iter().any(|text| text.contains(name));
    for Builtin { name, source, .. } in &BUILTINS {
        let Source::Git(field) = *source else { continue };
        if !used(name) {
            lets.absent.insert(name, "it is not known here".to_owned());
            continue;
        }
        match files.git(field) {
            Ok(text) => {
                lets.values.insert((*name).to_owned(), LetValue { text, span: None, dated: false });
            }
            Err(why) => {
                lets.absent.insert(name, why);
            }
        }
    }
    match &vars.date {
        Some(date) => {
            let value = LetValue { text: date.clone(), span: None, dated: true };
            lets.values.insert("date".to_owned(), value);
        }
        None => {
            lets.absent.insert("date", "no date was given".to_owned());
        }
    }
}

/// Reads one `let` and adds it. A value sees the names before it.
pub(crate) fn declare(
    node: &Node<'_>,
    text: &str,
    vars: &Vars,
    lets: &mut Lets,
    out: &mut Vec<Diagnostic>,
) {
    let mut args = node.args();
    let (Some(head), literal) = (args.next(), args.next()) else { return };
    let Some(name) = declared_name(head, lets, out) else { return };
    let value = value(node, literal, &name, text, vars, lets, out);
    // A let without a value stands all the same: its uses are not reported on top.
    let (text, dated) = value.unwrap_or_default();
    let value = LetValue { text, span: Some(name.span), dated };
    lets.values.insert(name.value, value);
}

fn declared_name(
    head: &Entry<'_>,
    lets: &Lets,
    out: &mut Vec<Diagnostic>,
) -> Option<Spanned<String>> {
    let Value::String(name) = &head.value else { return None };
    let span = head.value_span;
    if RESERVED.contains(&name.as_ref()) {
        out.push(
            Diagnostic::error(
                "mabuild::lang::name",
                span,
                format!("`{name}` cannot be declared"),
                "has a meaning of its own",
            )
            .help("choose another name"),
        );
        return None;
    }
    if !is_let_name(name) {
        out.push(
            Diagnostic::error(
                "mabuild::lang::name",
                span,
                format!("`{}` is no name for a `let`", shown(name)),
                "not a name",
            )
            .help("a name begins with a letter and has letters, digits, `_` and `-`"),
        );
        return None;
    }
    if let Some(first) = lets.values.get(name.as_ref()) {
        out.push(
            Diagnostic::error(
                "mabuild::lang::duplicate",
                span,
                format!("`{name}` is declared twice"),
                "again here",
            )
            .and(first.span.unwrap_or(span), "first here")
            .help("keep one of them, or choose another name"),
        );
        return None;
    }
    Some(Spanned::new(name.clone().into_owned(), span))
}

fn value(
    node: &Node<'_>,
    literal: Option<&Entry<'_>>,
    name: &Spanned<String>,
    text: &str,
    vars: &Vars,
    lets: &Lets,
    out: &mut Vec<Diagnostic>,
) -> Option<(String, bool)> {
    let (env, default) = (node.prop("env"), node.prop("default"));
    let given = match (literal, env, default) {
        (Some(literal), None, None) => Some(literal),
        (Some(literal), Some(other), _) | (Some(literal), None, Some(other)) => {
            out.push(
                Diagnostic::error(
                    "mabuild::lang::stray",
                    other.span,
                    format!("`{}` has a value already", name.value),
                    "a second source of the value",
                )
                .and(literal.value_span, "the value")
                .help(
                    "write `let NAME \"value\"`, or `let NAME env=\"VARIABLE\" default=\"value\"`",
                ),
            );
            Some(literal)
        }
        (None, ..) => default,
    };
    let typed = given.map(|entry| &entry.value);
    if let Some(set) = vars.set.get(&name.value) {
        return Some((outside(set, typed, name, "--set", out)?, false));
    }
    let variable = env.and_then(|entry| match &entry.value {
        Value::String(variable) => Some(variable),
        _ => None,
    });
    if let Some(value) = variable.and_then(|variable| vars.env.get(variable.as_ref())) {
        return Some((outside(value, typed, name, "the environment", out)?, false));
    }
    match (given, variable) {
        (Some(entry), _) => written(entry, text, lets, out),
        (None, Some(variable)) => {
            out.push(
                Diagnostic::error(
                    "mabuild::lang::missing",
                    name.span,
                    format!("`{}` has no value: `{}` is not set", name.value, shown(variable)),
                    "needs a value",
                )
                .help(format!(
                    "set it in the environment, pass `--set {}=…`, or add `default=\"…\"`",
                    name.value
                )),
            );
            None
        }
        (None, None) => {
            out.push(
                Diagnostic::error(
                    "mabuild::lang::missing",
                    name.span,
                    format!("`{}` has no value", name.value),
                    "needs a value",
                )
                .help(format!("write `let {} \"value\"`", name.value)),
            );
            None
        }
    }
}

/// A value of the file as text, and whether today's date is in it.
fn written(
    entry: &Entry<'_>,
    text: &str,
    lets: &Lets,
    out: &mut Vec<Diagnostic>,
) -> Option<(String, bool)> {
    match &entry.value {
        Value::String(_) => {
            let folder = "".into();
            let mut cx = Cx::new(text, &folder, lets);
            let value = cx.string(entry);
            let constant = value.as_ref().and_then(|value| value.constant());
            if value.is_some() && constant.is_none() {
                let span = cx.uses.first().map_or(entry.value_span, |used| used.span);
                cx.out.push(
                    Diagnostic::error(
                        "mabuild::lang::interpolation",
                        span,
                        "a `let` has one value for all platforms",
                        "differs from platform to platform",
                    )
                    .help("use the platform where the value is used"),
                );
            }
            let value = constant.map(|text| (text.to_owned(), cx.is_dated()));
            out.append(&mut cx.out);
            value
        }
        // A number is what was written: `3.10` is not `3.1`.
        Value::Integer(_) | Value::Float(_) => {
            let literal = text.get(super::check::range(entry.value_span)).unwrap_or_default();
            Some((literal.replace('_', ""), false))
        }
        Value::Bool(value) => Some((value.to_string(), false)),
        Value::Null => None,
    }
}

/// A value from outside of the file, which has to be of the type of the one in the file.
fn outside(
    value: &str,
    typed: Option<&Value<'_>>,
    name: &Spanned<String>,
    source: &str,
    out: &mut Vec<Diagnostic>,
) -> Option<String> {
    let wants = match typed {
        Some(Value::Integer(_)) if value.parse::<i128>().is_err() => "a whole number",
        Some(Value::Float(_)) if !value.parse::<f64>().is_ok_and(f64::is_finite) => "a number",
        Some(Value::Bool(_)) if !matches!(value, "true" | "false") => "`true` or `false`",
        _ => return Some(value.to_owned()),
    };
    out.push(
        Diagnostic::error(
            "mabuild::lang::type",
            name.span,
            format!("`{}` wants {wants}, and {source} gives `{}`", name.value, shown(value)),
            "declared here",
        )
        .help(format!("give {wants}")),
    );
    None
}

/// Reports what `--set` names and no file declares.
pub(crate) fn undeclared(vars: &Vars, lets: &Lets, out: &mut Vec<Diagnostic>) {
    let declared = || {
        let own = lets.values.iter().filter(|(_, value)| value.span.is_some());
        own.map(|(name, _)| name.as_str())
    };
    for name in vars.set.keys().filter(|name| !declared().any(|known| known == *name)) {
        let help = match did_you_mean(name, declared()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if declared().next().is_none() => "no `let` is declared in these files".to_owned(),
            None => {
                let names: Vec<&str> = declared().collect();
                format!("declared are: {}", names.join(", "))
            }
        };
        let message = format!("`--set {}=…` sets a name that no `let` declares", shown(name));
        out.push(Diagnostic::nowhere("mabuild::lang::set", message).help(help));
    }
}
