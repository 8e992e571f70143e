//! Strings with `${…}` and `%{…}` in them.

use hcl_edit::expr::Expression;
use hcl_edit::template::{Directive, Element, ForDirective, IfDirective, Strip, Template};

use super::eval::{EXPRESSION, Result, bound, pairs, span, wanted};
use super::globals::Globals;
use super::scope::{MAX_TEXT, Scope, Wrong};
use super::value::Value;
use crate::text::Text;

impl Globals<'_> {
    /// The value of a template; that of its expression where there is nothing else in it.
    pub fn template_value(&self, template: &Template, scope: &Scope<'_>) -> Result<Value> {
        if let Some(Element::Interpolation(only)) = template.as_single_element() {
            let value = self.eval(&only.expr, scope)?;
            return Ok(self.stays_name(&only.expr, &value, scope).map_or(value, Value::Text));
        }
        let mut out = Text::default();
        self.template(template, (false, false), scope, &mut out)?;
        Ok(Value::Text(out))
    }

    /// Adds the text of a template; `trim` says whether its first and its last part are next to a
    /// `~`.
    fn template(
        &self,
        template: &Template,
        trim: (bool, bool),
        scope: &Scope<'_>,
        out: &mut Text,
    ) -> Result<()> {
        let elements: Vec<&Element> = template.iter().collect();
        for (at, element) in elements.iter().enumerate() {
            match element {
                Element::Literal(text) => {
                    let before = at.checked_sub(1).and_then(|at| elements.get(at));
                    let start = before.map_or(trim.0, |element| strips(element).1);
                    let end = elements.get(at + 1).map_or(trim.1, |element| strips(element).0);
                    let mut text = text.value().as_str();
                    if start {
                        text = text.trim_start();
                    }
                    if end {
                        text = text.trim_end();
                    }
                    out.push_plain(text);
                }
                Element::Interpolation(part) => {
                    let text = self.interpolated(&part.expr, scope)?;
                    out.push(text);
                }
                Element::Directive(directive) => match directive.as_ref() {
                    Directive::If(directive) => self.if_directive(directive, scope, out)?,
                    Directive::For(directive) => self.for_directive(directive, scope, out)?,
                },
            }
            self.grown(out, element)?;
        }
        Ok(())
    }

    fn grown(&self, out: &Text, element: &Element) -> Result<()> {
        let place = match element {
            Element::Interpolation(part) => span(part),
            Element::Directive(directive) => match directive.as_ref() {
                Directive::If(directive) => span(directive),
                Directive::For(directive) => span(directive),
            },
            Element::Literal(_) => return Ok(()),
        };
        if out.len() > MAX_TEXT {
            let message = format!("the string grows to more than {} KiB", MAX_TEXT >> 10);
            return Err(Wrong::new(place, message));
        }
        self.budget.spend(EXPRESSION, &place)
    }

    /// The text of one `${…}`. A variable stays a name whatever its type.
    fn interpolated(&self, expr: &Expression, scope: &Scope<'_>) -> Result<Text> {
        let value = self.eval(expr, scope)?;
        if let Some(text) = self.stays_name(expr, &value, scope) {
            return Ok(text);
        }
        value.text().ok_or_else(|| wanted(span(expr), "a string, a number or a boolean", &value))
    }

    /// The name of a number or a boolean that is written as a variable alone.
    fn stays_name(&self, expr: &Expression, value: &Value, scope: &Scope<'_>) -> Option<Text> {
        let Expression::Variable(name) = expr else { return None };
        let name = name.value().as_str();
        if scope.get(name).is_some() { None } else { self.named(name, value) }
    }

    fn if_directive(
        &self,
        directive: &IfDirective,
        scope: &Scope<'_>,
        out: &mut Text,
    ) -> Result<()> {
        let (head, tail) = (&directive.if_expr, &directive.endif_expr);
        let tail_start = sides(tail.strip).0;
        if self.boolean(&head.cond_expr, scope)? {
            let end = directive.else_expr.as_ref().map_or(tail_start, |e| sides(e.strip).0);
            return self.template(&head.template, (sides(head.strip).1, end), scope, out);
        }
        match &directive.else_expr {
            Some(other) => {
                self.template(&other.template, (sides(other.strip).1, tail_start), scope, out)
            }
            None => Ok(()),
        }
    }

    fn for_directive(
        &self,
        directive: &ForDirective,
        scope: &Scope<'_>,
        out: &mut Text,
    ) -> Result<()> {
        let head = &directive.for_expr;
        let trim = (sides(head.strip).1, sides(directive.endfor_expr.strip).0);
        let collection = self.eval(&head.collection_expr, scope)?;
        let pairs = pairs(collection).map_err(|value| {
            wanted(span(&head.collection_expr), "a list or a map to go through", &value)
        })?;
        for (key, value) in pairs {
            let names = bound(head.key_var.as_ref(), &head.value_var, key, value);
            let scope = Scope { names: &names, outer: Some(scope) };
            self.budget.deeper(&span(&head.collection_expr), || {
                self.template(&head.template, trim, &scope, out)
            })?;
            if out.len() > MAX_TEXT {
                break;
            }
        }
        Ok(())
    }
}

/// Whether an element takes away the space before and after it.
fn strips(element: &Element) -> (bool, bool) {
    match element {
        Element::Literal(_) => (false, false),
        Element::Interpolation(part) => sides(part.strip),
        Element::Directive(directive) => match directive.as_ref() {
            Directive::If(directive) => {
                (sides(directive.if_expr.strip).0, sides(directive.endif_expr.strip).1)
            }
            Directive::For(directive) => {
                (sides(directive.for_expr.strip).0, sides(directive.endfor_expr.strip).1)
            }
        },
    }
}

fn sides(strip: Strip) -> (bool, bool) {
    (matches!(strip, Strip::Start | Strip::Both), matches!(strip, Strip::End | Strip::Both))
}
