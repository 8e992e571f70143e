//! What a bake file declares: variables, functions, and the blocks of targets and groups.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use hcl_edit::expr::{Expression, TraversalOperator};
use hcl_edit::structure::{Block, Body, Structure};

use super::eval::{Result, span};
use super::scope::{Budget, Scope, Wrong};
use super::value::Value;
use crate::Vars;
use crate::names::{Taken, is_let_name};
use crate::text::Text;

/// A `variable` block or an attribute at the top.
pub(super) struct Variable<'b> {
    /// Name of its `let`; none where a `let` cannot hold it.
    pub(super) name: Option<String>,
    default: Option<&'b Expression>,
    /// Whether a value of the environment wins.
    pub(super) env: bool,
    typed: bool,
    pub(super) description: Option<&'b Expression>,
}

struct Function<'b> {
    params: Vec<String>,
    variadic: Option<String>,
    result: &'b Expression,
}

/// The declarations of one file and what is known of their values.
pub(crate) struct Globals<'b> {
    pub budget: Budget,
    pub(super) variables: BTreeMap<&'b str, Variable<'b>>,
    functions: BTreeMap<&'b str, Function<'b>>,
    /// Blocks by kind and name; several of one name are one.
    blocks: BTreeMap<&'b str, BTreeMap<&'b str, Vec<&'b Body>>>,
    /// Names of targets in the order of the file.
    pub targets: Vec<&'b str>,
    /// Names of groups in the order of the file.
    pub groups: Vec<&'b str>,
    /// Names of `let`s.
    pub lets: Taken,
    env: &'b Vars<'b>,
    pub(super) values: RefCell<BTreeMap<String, Value>>,
    /// What is being evaluated, to find rings.
    open: RefCell<BTreeSet<String>>,
    /// Variables that some expression asked for.
    pub(super) asked: RefCell<BTreeSet<String>>,
    /// Names whose values went into computed values.
    pub(super) computed: RefCell<BTreeSet<String>>,
    /// What a person should know about functions that have no fixed result.
    pub remarks: RefCell<BTreeSet<&'static str>>,
}

impl<'b> Globals<'b> {
    /// Sorts the blocks of a file. What is no block of a bake file is given back.
    pub fn new(body: &'b Body, env: &'b Vars<'b>) -> (Self, Vec<&'b Block>, Vec<Wrong>) {
        let mut new = Self {
            budget: Budget::default(),
            variables: BTreeMap::new(),
            functions: BTreeMap::new(),
            blocks: BTreeMap::new(),
            targets: Vec::new(),
            groups: Vec::new(),
            lets: Taken::default(),
            env,
            values: RefCell::default(),
            open: RefCell::default(),
            asked: RefCell::default(),
            computed: RefCell::default(),
            remarks: RefCell::default(),
        };
        let (mut other, mut wrong) = (Vec::new(), Vec::new());
        for item in body.iter() {
            match item {
                Structure::Attribute(attribute) => {
                    let variable = Variable {
                        name: None,
                        default: Some(&attribute.value),
                        env: false,
                        typed: false,
                        description: None,
                    };
                    new.variables.insert(attribute.key.value().as_str(), variable);
                }
                Structure::Block(block) => match new.block(block) {
                    Ok(true) => {}
                    Ok(false) => other.push(block),
                    Err(error) => wrong.push(error),
                },
            }
        }
        new.name_lets();
        (new, other, wrong)
    }

    /// Takes a block in; false when it is of an unknown kind.
    fn block(&mut self, block: &'b Block) -> Result<bool> {
        let kind = block.ident.value().as_str();
        if !matches!(kind, "variable" | "function" | "target" | "group") {
            return Ok(false);
        }
        let name = match block.labels.as_slice() {
            [one] => one.as_str(),
            _ => {
                let wrong = Wrong::new(span(&block.ident), format!("this `{kind}` needs one name"));
                return Err(wrong.help(format!("write `{kind} \"NAME\" {{ … }}`")));
            }
        };
        let attribute = |name: &str| block.body.get_attribute(name).map(|found| &found.value);
        match kind {
            "variable" => {
                let variable = Variable {
                    name: None,
                    default: attribute("default"),
                    env: true,
                    typed: attribute("type").is_some(),
                    description: attribute("description"),
                };
                self.variables.insert(name, variable);
            }
            "function" => {
                let Some(result) = attribute("result") else {
                    let wrong = Wrong::new(
                        span(&block.ident),
                        format!("function `{name}` has no `result`"),
                    );
                    return Err(wrong.help("write `result = …` into the block"));
                };
                let params = attribute("params").map(words).unwrap_or_default();
                let variadic = attribute("variadic_params").or(attribute("variadic_param"));
                let variadic = variadic.map(words).unwrap_or_default().into_iter().next();
                self.functions.insert(name, Function { params, variadic, result });
            }
            _ => {
                let order = if kind == "target" { &mut self.targets } else { &mut self.groups };
                if !order.contains(&name) {
                    order.push(name);
                }
                self.blocks.entry(kind).or_default().entry(name).or_default().push(&block.body);
            }
        }
        Ok(true)
    }

    /// Gives variables the names of their `let`s.
    fn name_lets(&mut self) {
        for name in self.variables.keys().filter(|name| is_let_name(name)) {
            self.lets.insert(name);
        }
        for (name, variable) in &mut self.variables {
            variable.name = if is_let_name(name) {
                Some((*name).to_owned())
            } else {
                let other = format!("bake-{name}");
                is_let_name(&other).then(|| self.lets.take(&[other]))
            };
        }
    }

    /// The bodies of a target or a group.
    pub fn bodies(&self, kind: &str, name: &str) -> &[&'b Body] {
        let named = self.blocks.get(kind).and_then(|named| named.get(name));
        named.map(Vec::as_slice).unwrap_or_default()
    }

    /// The value of a variable, as a name where a `let` will hold it.
    pub fn global(&self, name: &str, place: Range<usize>) -> Result<Value> {
        let Some((name, variable)) = self.variables.get_key_value(name) else {
            return self.builtin(name, place);
        };
        self.asked.borrow_mut().insert((*name).to_owned());
        if let Some(value) = self.values.borrow().get(*name) {
            self.budget.spend(value.weight(), &place)?;
            return Ok(value.clone());
        }
        let value = self.guarded(name, &place, || self.current(name, variable, &place))?;
        let value = match (&value, &variable.name) {
            (Value::Text(text), Some(name)) => Value::Text(Text::name(name, &text.value())),
            _ => value,
        };
        self.values.borrow_mut().insert((*name).to_owned(), value.clone());
        Ok(value)
    }

    /// Evaluates something that must not need itself.
    fn guarded<T>(
        &self,
        name: &str,
        place: &Range<usize>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if !self.open.borrow_mut().insert(name.to_owned()) {
            let wrong = Wrong::new(place.clone(), format!("`{name}` needs its own value"));
            return Err(wrong.help("take one of the uses out of the ring"));
        }
        let done = work();
        self.open.borrow_mut().remove(name);
        done
    }

    /// The value that a variable has here and now.
    fn current(&self, name: &str, variable: &Variable<'_>, place: &Range<usize>) -> Result<Value> {
        let default = self.default(variable)?;
        let Some(given) = variable.env.then(|| (self.env)(name)).flatten() else {
            return Ok(default);
        };
        let bad = |what: &str| {
            let wrong = Wrong::new(
                place.clone(),
                format!("`{name}` wants {what}, and the environment gives another value"),
            );
            Err(wrong.help(format!("unset `{name}`, or give {what}")))
        };
        let text = Value::plain(&given);
        match default {
            Value::Bool(_) => {
                text.bool().map_or_else(|| bad("`true` or `false`"), |v| Ok(Value::Bool(v)))
            }
            Value::Number(_) => {
                text.number().map_or_else(|| bad("a number"), |v| Ok(Value::Number(v)))
            }
            Value::List(_) => Ok(Value::List(given.split(',').map(Value::plain).collect())),
            Value::Object(_) => match serde_json::from_str(&given) {
                Ok(json) => Ok(Value::from_json(json)),
                Err(_) => bad("a map in JSON"),
            },
            Value::Null | Value::Text(_) => Ok(text),
        }
    }

    pub(super) fn default(&self, variable: &Variable<'_>) -> Result<Value> {
        match variable.default {
            Some(expr) => self.eval(expr, &Scope::default()),
            None if variable.typed => Ok(Value::Null),
            None => Ok(Value::plain("")),
        }
    }

    fn builtin(&self, name: &str, place: Range<usize>) -> Result<Value> {
        match name {
            "BAKE_LOCAL_PLATFORM" => {
                self.remarks.borrow_mut().insert(
                    "`BAKE_LOCAL_PLATFORM` is taken to be `linux/amd64`; write the platforms you want",
                );
                Ok(Value::plain("linux/amd64"))
            }
            "BAKE_CMD_CONTEXT" => Ok(Value::plain(".")),
            _ => {
                let near =
                    self.variables.keys().map(|known| (strsim::jaro_winkler(name, known), known));
                let near =
                    near.filter(|(score, _)| *score > 0.85).max_by(|a, b| a.0.total_cmp(&b.0));
                let wrong = Wrong::new(place, format!("nothing is named `{name}`"));
                Err(wrong.help(match near {
                    Some((_, near)) => format!("did you mean `{near}`?"),
                    None => format!("declare it with `variable \"{name}\" {{ default = \"…\" }}`"),
                }))
            }
        }
    }

    /// Remembers that a value is the ground of another that does not follow its names.
    pub fn computed_with(&self, value: &Value) {
        let mut computed = self.computed.borrow_mut();
        value.names(&mut |name| {
            if !computed.contains(name) {
                computed.insert(name.to_owned());
            }
        });
    }

    /// The text of a variable that a `let` will hold, whatever its type.
    pub fn named(&self, name: &str, value: &Value) -> Option<Text> {
        let name = self.variables.get(name)?.name.as_ref()?;
        match value {
            Value::Number(_) | Value::Bool(_) => Some(Text::name(name, &value.string()?)),
            _ => None,
        }
    }

    /// The result of a function of the file; none where it declares no such function.
    pub fn user_function(
        &self,
        name: &str,
        args: &[Value],
        place: &Range<usize>,
    ) -> Option<Result<Value>> {
        let function = self.functions.get(name)?;
        let count = function.params.len();
        let fits = args.len() == count || (args.len() > count && function.variadic.is_some());
        if !fits {
            let message = format!("`{name}` wants {count} values and gets {}", args.len());
            return Some(Err(Wrong::new(place.clone(), message)));
        }
        let mut names: Vec<(String, Value)> =
            function.params.iter().cloned().zip(args.iter().cloned()).collect();
        if let Some(rest) = &function.variadic {
            let list = args.get(count..).unwrap_or_default().to_vec();
            names.push((rest.clone(), Value::List(list)));
        }
        let scope = Scope { names: &names, outer: None };
        let guard = format!("{name}()");
        Some(self.guarded(&guard, place, || self.eval(function.result, &scope)))
    }

    /// `target.NAME.ATTRIBUTE`: the value and the number of operators that it took; none where
    /// the file has no blocks of that kind.
    pub fn block_attribute(
        &self,
        root: &str,
        operators: &[&TraversalOperator],
        place: &Range<usize>,
    ) -> Option<Result<(Value, usize)>> {
        let known = if root == "target" { &self.targets } else { &self.groups };
        if !matches!(root, "target" | "group") || known.is_empty() {
            return None;
        }
        let word = |at: usize| match operators.get(at) {
            Some(TraversalOperator::GetAttr(name)) => Some(name.value().as_str().to_owned()),
            Some(TraversalOperator::Index(expr)) => expr.as_str().map(str::to_owned),
            _ => None,
        };
        let (name, attribute) = (word(0)?, word(1)?);
        let found = self.bodies(root, &name).iter().rev();
        let expr = found.filter_map(|body| body.get_attribute(&attribute)).next();
        let Some(expr) = expr else {
            let message = format!("{root} `{name}` has no `{attribute}` of its own");
            return Some(Err(Wrong::new(place.clone(), message)));
        };
        let guard = format!("{root}.{name}.{attribute}");
        let value = self.guarded(&guard, place, || self.eval(&expr.value, &Scope::default()));
        Some(value.map(|value| (value, 2)))
    }
}

/// The words of a list of names, as they stand in `params`.
fn words(expr: &Expression) -> Vec<String> {
    let word = |expr: &Expression| match expr {
        Expression::Variable(name) => Some(name.value().as_str().to_owned()),
        other => other.as_str().map(str::to_owned),
    };
    match expr {
        Expression::Array(list) => list.iter().filter_map(word).collect(),
        other => word(other).into_iter().collect(),
    }
}
