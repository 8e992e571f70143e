//! Expressions to values.

use std::collections::BTreeMap;
use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::{
    BinaryOperator, Expression, ForExpr, FuncCall, Object, ObjectKey, Traversal, TraversalOperator,
    UnaryOperator,
};

use super::functions;
use super::globals::Globals;
use super::scope::{MAX_TEXT, Scope, Wrong};
use super::value::{Value, show_number};

/// Work of one expression, beside that of its value.
pub(super) const EXPRESSION: usize = 16;

/// A value, or why there is none.
pub(crate) type Result<T> = std::result::Result<T, Wrong>;

/// Place of an expression.
pub(crate) fn span(expr: &impl Span) -> Range<usize> {
    expr.span().unwrap_or(0..0)
}

impl Globals<'_> {
    /// The value of an expression.
    pub fn eval(&self, expr: &Expression, scope: &Scope<'_>) -> Result<Value> {
        let place = span(expr);
        self.budget.spend(EXPRESSION, &place)?;
        self.budget.deeper(&place, || self.eval_inner(expr, scope))
    }

    fn eval_inner(&self, expr: &Expression, scope: &Scope<'_>) -> Result<Value> {
        match expr {
            Expression::Null(_) => Ok(Value::Null),
            Expression::Bool(value) => Ok(Value::Bool(*value.value())),
            Expression::Number(number) => {
                Ok(Value::Number(number.value().as_f64().unwrap_or_default()))
            }
            Expression::String(text) => self.charged(Value::plain(text.value()), &span(expr)),
            Expression::Array(array) => array
                .iter()
                .map(|item| self.eval(item, scope))
                .collect::<Result<_>>()
                .map(Value::List),
            Expression::Object(object) => self.object(object, scope),
            Expression::StringTemplate(template) => self.template_value(template, scope),
            Expression::HeredocTemplate(heredoc) => self.template_value(&heredoc.template, scope),
            Expression::Parenthesis(inner) => self.eval(inner.inner(), scope),
            Expression::Variable(name) => self.variable(name.value().as_str(), span(expr), scope),
            Expression::Conditional(cond) => {
                let chosen = self.boolean(&cond.cond_expr, scope)?;
                self.eval(if chosen { &cond.true_expr } else { &cond.false_expr }, scope)
            }
            Expression::FuncCall(call) => self.call(call, scope),
            Expression::Traversal(traversal) => self.traversal(traversal, scope),
            Expression::UnaryOp(op) => match op.operator.value() {
                UnaryOperator::Not => Ok(Value::Bool(!self.boolean(&op.expr, scope)?)),
                UnaryOperator::Neg => Ok(Value::Number(-self.numeric(&op.expr, scope)?)),
            },
            Expression::BinaryOp(op) => {
                self.binary(*op.operator.value(), &op.lhs_expr, &op.rhs_expr, scope)
            }
            Expression::ForExpr(each) => self.for_expr(each, scope),
        }
    }

    /// Counts the size of a value that was made.
    fn charged(&self, value: Value, place: &Range<usize>) -> Result<Value> {
        self.budget.spend(value.weight(), place)?;
        if matches!(&value, Value::Text(text) if text.len() > MAX_TEXT) {
            let message = format!("the string grows to more than {} KiB", MAX_TEXT >> 10);
            return Err(Wrong::new(place.clone(), message));
        }
        Ok(value)
    }

    fn variable(&self, name: &str, place: Range<usize>, scope: &Scope<'_>) -> Result<Value> {
        match scope.get(name) {
            Some(value) => {
                self.budget.spend(value.weight(), &place)?;
                Ok(value.clone())
            }
            None => self.global(name, place),
        }
    }

    /// The value of a condition.
    pub fn boolean(&self, expr: &Expression, scope: &Scope<'_>) -> Result<bool> {
        let value = self.eval(expr, scope)?;
        self.computed_with(&value);
        value.bool().ok_or_else(|| wanted(span(expr), "`true` or `false`", &value))
    }

    fn numeric(&self, expr: &Expression, scope: &Scope<'_>) -> Result<f64> {
        let value = self.eval(expr, scope)?;
        self.computed_with(&value);
        value.number().ok_or_else(|| wanted(span(expr), "a number", &value))
    }

    fn same(&self, left: &Expression, right: &Expression, scope: &Scope<'_>) -> Result<bool> {
        let (left, right) = (self.eval(left, scope)?, self.eval(right, scope)?);
        self.computed_with(&left);
        self.computed_with(&right);
        Ok(left.same(&right))
    }

    fn object(&self, object: &Object, scope: &Scope<'_>) -> Result<Value> {
        let mut map = BTreeMap::new();
        for (key, value) in object.iter() {
            let key = match key {
                ObjectKey::Ident(name) => name.value().as_str().to_owned(),
                ObjectKey::Expression(expr) => self.key(expr, scope)?,
            };
            map.insert(key, self.eval(value.expr(), scope)?);
        }
        Ok(Value::Object(map))
    }

    fn key(&self, expr: &Expression, scope: &Scope<'_>) -> Result<String> {
        let value = self.eval(expr, scope)?;
        value.string().ok_or_else(|| wanted(span(expr), "a string as the key", &value))
    }

    fn binary(
        &self,
        operator: BinaryOperator,
        left: &Expression,
        right: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value> {
        use BinaryOperator as Op;
        Ok(match operator {
            Op::Eq => Value::Bool(self.same(left, right, scope)?),
            Op::NotEq => Value::Bool(!self.same(left, right, scope)?),
            Op::And => Value::Bool(self.boolean(left, scope)? && self.boolean(right, scope)?),
            Op::Or => Value::Bool(self.boolean(left, scope)? || self.boolean(right, scope)?),
            _ => {
                let (a, b) = (self.numeric(left, scope)?, self.numeric(right, scope)?);
                let number = match operator {
                    Op::Less => return Ok(Value::Bool(a < b)),
                    Op::LessEq => return Ok(Value::Bool(a <= b)),
                    Op::Greater => return Ok(Value::Bool(a > b)),
                    Op::GreaterEq => return Ok(Value::Bool(a >= b)),
                    Op::Plus => a + b,
                    Op::Minus => a - b,
                    Op::Mul => a * b,
                    Op::Mod => a % b,
                    _ => a / b,
                };
                if !number.is_finite() {
                    return Err(Wrong::new(span(right), "this gives no number"));
                }
                Value::Number(number)
            }
        })
    }

    fn for_expr(&self, each: &ForExpr, scope: &Scope<'_>) -> Result<Value> {
        let collection = self.eval(&each.intro.collection_expr, scope)?;
        let pairs = pairs(collection).map_err(|value| {
            wanted(span(&each.intro.collection_expr), "a list or a map to go through", &value)
        })?;
        let mut list = Vec::new();
        let mut map: BTreeMap<String, Value> = BTreeMap::new();
        for (key, value) in pairs {
            let names = bound(each.intro.key_var.as_ref(), &each.intro.value_var, key, value);
            let scope = Scope { names: &names, outer: Some(scope) };
            if let Some(cond) = &each.cond
                && !self.boolean(&cond.expr, &scope)?
            {
                continue;
            }
            let value = self.eval(&each.value_expr, &scope)?;
            match &each.key_expr {
                None => list.push(value),
                Some(key) => {
                    let key = self.key(key, &scope)?;
                    if each.grouping {
                        let group = map.entry(key).or_insert_with(|| Value::List(Vec::new()));
                        if let Value::List(group) = group {
                            group.push(value);
                        }
                    } else {
                        map.insert(key, value);
                    }
                }
            }
        }
        Ok(if each.key_expr.is_some() { Value::Object(map) } else { Value::List(list) })
    }

    fn traversal(&self, traversal: &Traversal, scope: &Scope<'_>) -> Result<Value> {
        let operators: Vec<&TraversalOperator> =
            traversal.operators.iter().map(hcl_edit::Decorated::value).collect();
        let place = span(traversal);
        if let Expression::Variable(root) = &traversal.expr
            && scope.get(root.value().as_str()).is_none()
            && let Some(found) = self.block_attribute(root.value().as_str(), &operators, &place)
        {
            let (value, rest) = found?;
            return self.steps(value, operators.get(rest..).unwrap_or_default(), &place, scope);
        }
        let value = self.eval(&traversal.expr, scope)?;
        self.steps(value, &operators, &place, scope)
    }

    /// `.name`, `[…]` and `[*]` after a value.
    fn steps(
        &self,
        mut value: Value,
        operators: &[&TraversalOperator],
        place: &Range<usize>,
        scope: &Scope<'_>,
    ) -> Result<Value> {
        for (at, operator) in operators.iter().enumerate() {
            let index = match operator {
                TraversalOperator::GetAttr(name) => Value::plain(name.value().as_str()),
                TraversalOperator::Index(expr) => self.eval(expr, scope)?,
                TraversalOperator::LegacyIndex(number) => Value::Number(*number.value() as f64),
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                    let rest = operators.get(at + 1..).unwrap_or_default();
                    let items = match value {
                        Value::List(list) => list,
                        Value::Null => Vec::new(),
                        one => vec![one],
                    };
                    let each = items.into_iter().map(|item| self.steps(item, rest, place, scope));
                    return each.collect::<Result<_>>().map(Value::List);
                }
            };
            value = element(value, &index).map_err(|message| Wrong::new(place.clone(), message))?;
        }
        Ok(value)
    }

    fn call(&self, call: &FuncCall, scope: &Scope<'_>) -> Result<Value> {
        let name = call.name.name.value().as_str();
        let place = span(call);
        let mut args = Vec::new();
        if matches!(name, "try" | "can") {
            return self.attempt(name, call, scope);
        }
        for arg in call.args.iter() {
            args.push(self.eval(arg, scope)?);
        }
        if call.args.expand_final() {
            match args.pop() {
                Some(Value::List(list)) => args.extend(list),
                Some(value) => return Err(wanted(place, "a list before `...`", &value)),
                None => {}
            }
        }
        self.budget.spend(args.iter().map(Value::weight).sum(), &place)?;
        if let Some(value) = self.user_function(name, &args, &place) {
            return value;
        }
        if !functions::only_moves(name) {
            args.iter().for_each(|arg| self.computed_with(arg));
        }
        match functions::call(name, &args, self) {
            Some(Ok(value)) => self.charged(value, &place),
            Some(Err(message)) => Err(Wrong::new(place, format!("`{name}`: {message}"))),
            None => {
                let wrong = Wrong::new(
                    span(&call.name.name),
                    format!("there is no function `{name}`, or none that a draft can use"),
                );
                Err(wrong.help("declare it in a `function` block, or write its result"))
            }
        }
    }

    /// `try` and `can`: the first argument that has a value, and whether there is one.
    fn attempt(&self, name: &str, call: &FuncCall, scope: &Scope<'_>) -> Result<Value> {
        for arg in call.args.iter() {
            match self.eval(arg, scope) {
                Ok(_) if name == "can" => return Ok(Value::Bool(true)),
                Err(wrong) if wrong.fatal => return Err(wrong),
                Ok(value) => return Ok(value),
                Err(_) => {}
            }
        }
        if name == "can" {
            return Ok(Value::Bool(false));
        }
        Err(Wrong::new(span(call), "`try`: none of these has a value"))
    }
}

/// Says that a value is of the wrong type.
pub(crate) fn wanted(place: Range<usize>, what: &str, value: &Value) -> Wrong {
    Wrong::new(place, format!("{what} is wanted, and this is {}", value.kind()))
}

/// The variables of one round of a `for`.
pub(crate) fn bound(
    key_var: Option<&hcl_edit::Decorated<hcl_edit::Ident>>,
    value_var: &hcl_edit::Decorated<hcl_edit::Ident>,
    key: Value,
    value: Value,
) -> Vec<(String, Value)> {
    let mut names = vec![(value_var.value().as_str().to_owned(), value)];
    if let Some(name) = key_var {
        names.push((name.value().as_str().to_owned(), key));
    }
    names
}

/// Keys and values of what a `for` goes through; the value itself where it has none.
pub(crate) fn pairs(value: Value) -> std::result::Result<Vec<(Value, Value)>, Value> {
    match value {
        Value::List(list) => {
            Ok(list.into_iter().enumerate().map(|(at, v)| (Value::count(at), v)).collect())
        }
        Value::Object(map) => Ok(map.into_iter().map(|(k, v)| (Value::plain(k), v)).collect()),
        other => Err(other),
    }
}

/// An element of a list or a map.
pub(crate) fn element(value: Value, index: &Value) -> std::result::Result<Value, String> {
    match value {
        Value::List(list) => {
            let length = list.len();
            let number = index.number().filter(|number| number.fract() == 0.0);
            let number = number.ok_or_else(|| format!("a list has no `{}`", shown(index)))?;
            let found = if number < 0.0 { None } else { list.into_iter().nth(number as usize) };
            found.ok_or_else(|| {
                format!("the list has {length} elements and no number {}", show_number(number))
            })
        }
        Value::Object(mut map) => {
            let key = index.string().unwrap_or_default();
            map.remove(&key).ok_or_else(|| {
                let known: Vec<&str> = map.keys().take(8).map(String::as_str).collect();
                format!("the map has no `{}`; it has {}", shown(index), known.join(", "))
            })
        }
        other => Err(format!("{} has no `{}`", other.kind(), shown(index))),
    }
}

fn shown(index: &Value) -> String {
    index.string().unwrap_or_default().chars().take(60).collect()
}
