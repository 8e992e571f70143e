//! Bake files: `variable`, `target`, `group` and `function` blocks, in HCL or JSON.

mod eval;
mod functions;
mod globals;
mod images;
mod lets;
mod matrix;
mod read;
mod scope;
mod target;
mod template;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use globals::Globals;
use matrix::{Axes, Instance};
use scope::{Scope, Wrong};
use target::Target;

use crate::build;
use crate::error::DraftError;
use crate::model::Model;
use crate::text::Text;
use crate::{Draft, Read, Vars, link, print};

/// Targets that inherit from one another.
const MAX_INHERITS: usize = 100;
/// Errors that are told.
const MAX_ERRORS: usize = 50;

/// Drafts a file from a bake file.
pub(crate) fn draft(
    path: &str,
    text: &str,
    read: &Read<'_>,
    vars: &Vars<'_>,
) -> Result<Draft, Vec<DraftError>> {
    let body = read::read(path, text)?;
    let (globals, other, wrong) = Globals::new(&body, vars);
    let mut drafter = Drafter {
        globals,
        wrong,
        instances: BTreeMap::new(),
        order: Vec::new(),
        axes: BTreeMap::new(),
        targets: BTreeMap::new(),
        model: Model::default(),
    };
    drafter.model.head =
        vec![format!("Drafted from {}. Check it with `mabuild check`.", crate::path::file(path))];
    for block in other {
        let kind = block.ident.value().as_str();
        drafter.model.notes.add(format!("the block `{kind}` has no counterpart and is left out"));
    }
    drafter.all(path, read);
    if !drafter.wrong.is_empty() {
        let errors = drafter.wrong.iter().take(MAX_ERRORS);
        return Err(errors.map(|wrong| shown(path, text, wrong)).collect());
    }
    if drafter.model.images.is_empty() {
        let error = DraftError::whole(path, "the file has no target that is built");
        return Err(vec![error.help("write a `target` block, or draft from another file")]);
    }
    link::link(&mut drafter.model);
    print::print(path, drafter.model)
}

/// An error with its place. A file in JSON has none.
fn shown(path: &str, text: &str, wrong: &Wrong) -> DraftError {
    let error = if wrong.span.is_empty() {
        DraftError::whole(path, &wrong.message)
    } else {
        DraftError::at(path, text, wrong.span.clone(), &wrong.message)
    };
    DraftError { help: wrong.help.clone(), ..error }
}

struct Drafter<'b> {
    globals: Globals<'b>,
    wrong: Vec<Wrong>,
    /// Targets by their names.
    instances: BTreeMap<String, Instance<'b>>,
    /// Names of the targets of each block, in the order of the file.
    order: Vec<(&'b str, Vec<String>)>,
    axes: BTreeMap<&'b str, Axes>,
    /// Targets with what they inherit.
    targets: BTreeMap<String, Target>,
    model: Model,
}

impl<'b> Drafter<'b> {
    fn all(&mut self, path: &str, read: &Read<'_>) {
        self.take_apart();
        let names: Vec<String> = self.instances.keys().cloned().collect();
        for name in &names {
            self.resolve(name, &mut Vec::new());
        }
        if !self.wrong.is_empty() {
            return;
        }
        let groups = self.groups();
        let skipped = self.only_inherited(&groups);
        let named = self.image_names(&skipped);
        self.images(path, read, &named);
        self.add_groups(groups, &named);
        self.model.platforms = build::default_platforms(&mut self.model.images);
        self.declare();
        for remark in self.globals.remarks.borrow().iter() {
            self.model.notes.add(*remark);
        }
    }

    /// Finds all targets.
    fn take_apart(&mut self) {
        for block in self.globals.targets.clone() {
            match matrix::instances(&self.globals, block, self.instances.len()) {
                Ok((found, axes)) => {
                    let names = found.iter().map(|instance| instance.name.clone()).collect();
                    self.order.push((block, names));
                    self.axes.insert(block, axes);
                    for instance in found {
                        self.instances.insert(instance.name.clone(), instance);
                    }
                }
                Err(wrong) => self.wrong.push(wrong),
            }
        }
    }

    /// Evaluates a target after those it inherits from.
    fn resolve(&mut self, name: &str, open: &mut Vec<String>) -> Option<Target> {
        if let Some(done) = self.targets.get(name) {
            return Some(done.clone());
        }
        let instance = self.instances.get(name)?.clone();
        open.push(name.to_owned());
        let mut whole = Target::default();
        let scope = Scope { names: &instance.names, outer: None };
        for body in self.globals.bodies("target", instance.block).to_vec() {
            for (parent, place) in self.parents(body, &scope) {
                let ring = open.contains(&parent) || open.len() > MAX_INHERITS;
                if ring {
                    let message =
                        format!("target `{name}` inherits from itself through `{parent}`");
                    self.wrong.push(Wrong::new(place, message));
                    continue;
                }
                match self.resolve(&parent, open) {
                    Some(target) => whole.extend(target),
                    None if self.instances.contains_key(&parent) => {}
                    None => {
                        let message = format!("there is no target `{parent}` to inherit from");
                        self.wrong.push(Wrong::new(place, message));
                    }
                }
            }
            let own = Target::of(&self.globals, body, &scope, &mut self.wrong);
            whole.extend(own);
        }
        open.pop();
        // An axis of a target that this one inherits from is not known in it.
        let axes: Vec<String> = self
            .axes
            .get(instance.block)
            .map(|axes| axes.axes.iter().map(|(name, _)| name.clone()).collect())
            .unwrap_or_default();
        let lets = &self.globals.lets;
        let stays = |name: &str| lets.contains(name) || axes.iter().any(|axis| axis == name);
        let whole = whole.keeping(&stays);
        self.targets.insert(name.to_owned(), whole.clone());
        Some(whole)
    }

    /// What the blocks of a target inherit from, in its order.
    fn parents(
        &mut self,
        body: &hcl_edit::structure::Body,
        scope: &Scope<'_>,
    ) -> Vec<(String, std::ops::Range<usize>)> {
        let Some(inherits) = body.get_attribute("inherits") else { return Vec::new() };
        let place = eval::span(&inherits.value);
        let names = self
            .globals
            .eval(&inherits.value, scope)
            .and_then(|value| target::list(&inherits.value, value));
        match names {
            Ok(names) => names.iter().map(|name| (name.value(), place.clone())).collect(),
            Err(wrong) => {
                self.wrong.push(wrong);
                Vec::new()
            }
        }
    }

    /// Groups with the names of their targets and groups.
    fn groups(&mut self) -> Vec<(&'b str, Vec<String>)> {
        let mut groups = Vec::new();
        for name in self.globals.groups.clone() {
            let mut members = Vec::new();
            for body in self.globals.bodies("group", name).to_vec() {
                let Some(targets) = body.get_attribute("targets") else { continue };
                let list = self
                    .globals
                    .eval(&targets.value, &Scope::default())
                    .and_then(|value| target::list(&targets.value, value));
                match list {
                    Ok(list) => members.extend(list.iter().map(Text::value)),
                    Err(wrong) => self.wrong.push(wrong),
                }
            }
            groups.push((name, members));
        }
        groups
    }

    /// Targets that stand for nothing but what others inherit.
    fn only_inherited(&mut self, groups: &[(&str, Vec<String>)]) -> BTreeSet<String> {
        let mut inherited = BTreeSet::new();
        for instance in self.instances.values().cloned().collect::<Vec<_>>() {
            let scope = Scope { names: &instance.names, outer: None };
            for body in self.globals.bodies("target", instance.block).to_vec() {
                inherited.extend(self.parents(body, &scope).into_iter().map(|(name, _)| name));
            }
        }
        let contexts = self.contexts();
        let grouped: BTreeSet<&String> = groups.iter().flat_map(|(_, members)| members).collect();
        inherited.retain(|name| {
            let target = self.targets.get(name);
            let has = |key: &str| target.is_some_and(|target| target.one.contains_key(key));
            let tagged = target.is_some_and(|target| target.lists.contains_key("tags"));
            let builds =
                has("context") || has("dockerfile") || has("dockerfile-inline") || has("target");
            let part = name.starts_with('_') || !builds || (!tagged && !groups.is_empty());
            part && !contexts.contains(name) && !grouped.contains(name)
        });
        inherited
    }

    /// Names of targets that are contexts of others.
    fn contexts(&self) -> BTreeSet<String> {
        let contexts = self.targets.values().filter_map(|target| target.maps.get("contexts"));
        let values = contexts.flat_map(BTreeMap::values).flatten().map(Text::value);
        values.filter_map(|value| value.strip_prefix("target:").map(str::to_owned)).collect()
    }

    /// Adds the `let`s that the strings of the draft name.
    fn declare(&mut self) {
        let mut used = BTreeSet::new();
        for image in &self.model.images {
            image.texts(&mut |text| used.extend(text.names().map(str::to_owned)));
        }
        match self.globals.declarations(&used) {
            Ok(declared) => {
                self.model.lets = declared.lets;
                for (name, value) in declared.written {
                    self.model.notes.add(format!(
                        "values are computed with variable `{name}` and written out as they are for {value}: they do not follow it"
                    ));
                }
            }
            Err(wrong) => self.wrong.push(wrong),
        }
    }
}
