//! Variables of a bake file to the `let`s of the draft.

use std::collections::BTreeSet;

use hcl_edit::expr::Expression;

use super::eval::Result;
use super::globals::Globals;
use super::value::{Value, show_number};
use crate::model::{Let, Literal};
use crate::text::Text;

/// What becomes of the variables.
pub(super) struct Declared {
    /// Each after those it needs itself.
    pub lets: Vec<Let>,
    /// Variables, with their values, that values are computed with that do not follow them.
    pub written: Vec<(String, String)>,
}

impl Globals<'_> {
    /// The `let`s that a draft needs for the names in its strings.
    pub fn declarations(&self, used: &BTreeSet<String>) -> Result<Declared> {
        let mut lets = Vec::new();
        let mut done = BTreeSet::new();
        let mut open: Vec<String> = used.iter().rev().cloned().collect();
        while let Some(name) = open.pop() {
            if done.contains(&name) {
                continue;
            }
            let Some(item) = self.declaration(&name)? else {
                done.insert(name);
                continue;
            };
            let needs: Vec<String> = match &item.value {
                Literal::Text(text) => text.names().map(str::to_owned).collect(),
                _ => Vec::new(),
            };
            let missing: Vec<String> =
                needs.into_iter().filter(|need| !done.contains(need) && *need != name).collect();
            if missing.is_empty() {
                done.insert(name);
                lets.push(item);
            } else {
                open.push(name);
                open.extend(missing);
            }
        }
        let (asked, values) = (self.asked.borrow(), self.values.borrow());
        let computed = self.computed.borrow();
        let written = asked.iter().filter_map(|name| {
            let item = self.variables.get(name.as_str())?;
            let follows = item
                .name
                .as_ref()
                .is_some_and(|name| done.contains(name) && !computed.contains(name));
            let value = values.get(name).filter(|_| !follows)?;
            Some((name.clone(), value.json().to_string()))
        });
        Ok(Declared { lets, written: written.collect() })
    }

    /// The `let` of a name; none where the name is an axis.
    fn declaration(&self, name: &str) -> Result<Option<Let>> {
        let found = self.variables.iter().find(|(_, v)| v.name.as_deref() == Some(name));
        let Some((variable, item)) = found else { return Ok(None) };
        let value = match self.default(item)? {
            Value::Text(text) => Literal::Text(text),
            Value::Number(number) => Literal::Number(show_number(number)),
            Value::Bool(value) => Literal::Bool(value),
            // A variable without a default has its value from the environment alone.
            _ => Literal::Text(Text::default()),
        };
        let description = item.description.and_then(Expression::as_str).map(str::to_owned);
        let env = item.env.then(|| (*variable).to_owned());
        Ok(Some(Let { name: name.to_owned(), env, value, comment: description }))
    }
}
