//! `${VAR}` in the values of a compose file.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::Vars;
use crate::model::{Let, Literal};
use crate::names::{Taken, is_let_name};
use crate::text::Text;

/// Deepest nesting of defaults.
const MAX_DEPTH: usize = 16;
/// Stands for a value that the environment has to give and does not.
const UNSET: &str = "unset";

/// Variables that were met.
pub(crate) struct Interpolation<'a> {
    env: &'a Vars<'a>,
    known: RefCell<BTreeMap<String, Known>>,
    taken: RefCell<Taken>,
}

struct Known {
    /// Name of the `let`.
    name: String,
    /// Default; none where the environment has to give the value.
    default: Option<String>,
}

/// One `${…}` or `$NAME`.
struct Use<'t> {
    name: &'t str,
    /// `:-`, `-`, `:?`, `?`, `:+`, `+`, or nothing.
    operator: &'t str,
    word: &'t str,
}

impl<'a> Interpolation<'a> {
    /// Replaces variables by the values of an environment.
    pub fn new(env: &'a Vars<'a>) -> Self {
        Self { env, known: RefCell::default(), taken: RefCell::default() }
    }

    /// A text with its variables as names. The error is a reason, with the byte it is about.
    pub fn text(&self, text: &str) -> Result<Text, (usize, String)> {
        self.nested(text, 0)
    }

    fn nested(&self, text: &str, depth: usize) -> Result<Text, (usize, String)> {
        if depth > MAX_DEPTH {
            return Err((0, "the defaults of variables are nested too deep".to_owned()));
        }
        let mut out = Text::default();
        let mut at = 0;
        while let Some(found) = text.get(at..).and_then(|rest| rest.find('$')) {
            let dollar = at + found;
            out.push_plain(text.get(at..dollar).unwrap_or_default());
            let rest = text.get(dollar + 1..).unwrap_or_default();
            if rest.starts_with('$') {
                out.push_plain("$");
                at = dollar + 2;
                continue;
            }
            let (used, length) = read(rest).map_err(|message| (dollar, message))?;
            match used {
                Some(used) => {
                    let value =
                        self.value(&used, depth).map_err(|(_, message)| (dollar, message))?;
                    out.push(value);
                }
                None => out.push_plain("$"),
            }
            at = dollar + 1 + length;
        }
        out.push_plain(text.get(at..).unwrap_or_default());
        Ok(out)
    }

    fn value(&self, used: &Use<'_>, depth: usize) -> Result<Text, (usize, String)> {
        let given = (self.env)(used.name);
        let colon = used.operator.starts_with(':');
        let set = given.filter(|value| !(colon && value.is_empty()));
        if used.operator.ends_with('+') {
            return match set {
                Some(_) => self.nested(used.word, depth + 1).map(|text| Text::plain(&text.value())),
                None => Ok(Text::default()),
            };
        }
        let default = match used.operator {
            ":?" | "?" => None,
            "" => Some(String::new()),
            _ => Some(self.nested(used.word, depth + 1)?.value()),
        };
        let value = set.or_else(|| default.clone()).unwrap_or_else(|| UNSET.to_owned());
        Ok(match self.name(used.name, &default) {
            Some(name) => Text::name(&name, &value),
            None => Text::plain(&value),
        })
    }

    /// The name of the `let` of a variable; none where it cannot have one, or where it was met
    /// with another default.
    fn name(&self, variable: &str, default: &Option<String>) -> Option<String> {
        let mut known = self.known.borrow_mut();
        if let Some(known) = known.get(variable) {
            return (known.default == *default).then(|| known.name.clone());
        }
        let name =
            if is_let_name(variable) { variable.to_owned() } else { format!("env-{variable}") };
        if !is_let_name(&name) || !self.taken.borrow_mut().insert(&name) {
            return None;
        }
        known.insert(variable.to_owned(), Known { name: name.clone(), default: default.clone() });
        Some(name)
    }

    /// The `let`s of the names that are used.
    pub fn lets(&self, used: &BTreeSet<String>) -> Vec<Let> {
        let known = self.known.borrow();
        let wanted = known.iter().filter(|(_, known)| used.contains(&known.name));
        wanted
            .map(|(variable, known)| Let {
                name: known.name.clone(),
                env: Some(variable.clone()),
                value: match &known.default {
                    Some(default) => Literal::Text(Text::plain(default)),
                    None => Literal::Required,
                },
                comment: None,
            })
            .collect()
    }
}

/// Reads what follows a `$`: the use, none for a lone `$`, and its length.
fn read(rest: &str) -> Result<(Option<Use<'_>>, usize), String> {
    let Some(inner) = rest.strip_prefix('{') else {
        let length = name_length(rest);
        let name = rest.get(..length).unwrap_or_default();
        return Ok(((length > 0).then_some(Use { name, operator: "", word: "" }), length));
    };
    let length = name_length(inner);
    if length == 0 {
        return Err("a name is wanted after `${`; write `$$` for a `$`".to_owned());
    }
    let (name, after) = inner.split_at(length);
    let mut depth = 1_usize;
    let mut end = None;
    for (at, byte) in after.bytes().enumerate() {
        match byte {
            b'{' if at > 0 && after.as_bytes().get(at - 1) == Some(&b'$') => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            end = Some(at);
            break;
        }
    }
    let end = end.ok_or_else(|| "this `${` has no `}`".to_owned())?;
    let body = after.get(..end).unwrap_or_default();
    let operators = [":-", ":?", ":+", "-", "?", "+"];
    let operator = operators.into_iter().find(|operator| body.starts_with(operator)).unwrap_or("");
    if operator.is_empty() && !body.is_empty() {
        return Err(format!("`${{{name}{body}}}` is no form of a variable"));
    }
    let word = body.get(operator.len()..).unwrap_or_default();
    Ok((Some(Use { name, operator, word }), 1 + length + end + 1))
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let env = |name: &str| match name {
            "SET" => Some("s".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let vars = Interpolation::new(&env);
        match vars.text(text) {
            Ok(text) => format!("{} = {}", text.interpolation(), text.value()),
            Err((at, message)) => format!("{at}: {message}"),
        }
    }

    #[test]
    fn all_forms() {
        for (text, wanted) in [
            ("$SET/${SET}", "{{SET}}/{{SET}} = s/s"),
            ("${NO}", "{{NO}} = "),
            ("${NO:-d}", "{{NO}} = d"),
            ("${EMPTY:-d}${EMPTY-d}", "{{EMPTY}}{{EMPTY}} = d"),
            ("${NO-${SET}x}", "{{NO}} = sx"),
            ("${SET:+yes}${NO:+no}", "yes = yes"),
            ("${NO:?must be set}", "{{NO}} = unset"),
            ("a$$b$", "a$b$ = a$b$"),
            ("$1", "$1 = $1"),
            ("${NO:-a}${NO:-b}", "{{NO}}b = ab"),
            ("{{x}}", "{{{{x}} = {{x}}"),
            ("${", "0: a name is wanted after `${`; write `$$` for a `$`"),
            ("ab${SET", "2: this `${` has no `}`"),
            ("${SET!}", "0: `${SET!}` is no form of a variable"),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
        assert!(shown(&"${A:-".repeat(10_000)).starts_with("0: "));
    }
}
