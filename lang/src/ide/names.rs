//! From a name to its declarations, to all its uses, and to another name.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::marks::{Mark, What};
use super::values::SCRATCH;
use super::{At, Place, World, tree};
use crate::decode::lets::RESERVED;
use crate::decode::text::is_let_name;
use crate::load::join;
use crate::schema::{Noun, Role};

/// Most images of a template whose axes are looked at.
const MAX_USERS: usize = 10_000;
/// Longest name of a node.
const MAX_NAME: usize = 128;

/// A node at the top of a file.
pub(super) type Top = (usize, usize);

impl World {
    /// Where the name at a place is declared, or the files that the path at a place names. Files
    /// are named whether they exist or not.
    pub fn definition(&self, path: &str, offset: u32) -> Vec<Place> {
        if let Some(at) = self.at(path, offset) {
            return self.targets(at).into_iter().filter_map(|at| self.place(at)).collect();
        }
        let here = |place: &Place| {
            &*place.file == path && place.range.start <= offset && offset <= place.range.end
        };
        let whole = |path: &str| Place { file: path.into(), range: 0..0 };
        if let Some((_, paths)) = self.included.iter().find(|(place, _)| here(place)) {
            return paths.iter().map(|path| whole(path)).collect();
        }
        self.path_at(path, offset).map(|path| whole(&path)).into_iter().collect()
    }

    /// All uses of the name at a place, and its declarations if they are wanted.
    pub fn references(&self, path: &str, offset: u32, declarations: bool) -> Vec<Place> {
        let Some(at) = self.at(path, offset) else { return Vec::new() };
        let targets: HashSet<At> = self.targets(at).into_iter().collect();
        let mut found: Vec<Place> = self
            .same_name(at)
            .into_iter()
            .filter(|(at, of)| {
                let wanted = declarations || !targets.contains(at);
                wanted && of.iter().any(|target| targets.contains(target))
            })
            .filter_map(|(at, _)| self.place(at))
            .collect();
        found.sort_by(Place::in_order);
        found
    }

    /// The name at a place, if it can be given another one.
    pub fn prepare_rename(&self, path: &str, offset: u32) -> Option<Place> {
        let at = self.at(path, offset)?;
        (!self.targets(at).is_empty()).then(|| self.place(at)).flatten()
    }

    /// All places that have to change, each with its new text, so that the name at a place becomes
    /// another one and everything that uses it goes on to. The error says why it cannot be.
    pub fn rename(
        &self,
        path: &str,
        offset: u32,
        new: &str,
    ) -> Result<Vec<(Place, String)>, String> {
        let nothing = || "nothing that has a name is declared for this place".to_owned();
        let at = self.at(path, offset).ok_or_else(nothing)?;
        let (targets, all) = self.bound(at);
        let old = self.mark(at).map(|(_, mark)| mark.name.clone()).unwrap_or_default();
        if targets.is_empty() {
            return Err(nothing());
        }
        if *old == *new {
            return Ok(Vec::new());
        }
        // One `{{…}}` of a template may stand for a `let` and for axes.
        targets
            .iter()
            .filter_map(|at| self.noun(*at))
            .try_for_each(|noun| check_name(new, noun))?;
        self.check_free(new, &targets)?;
        let mut edits: Vec<(Place, String)> = all
            .into_iter()
            .filter_map(|at| Some((self.place(at)?, written(new, self.mark(at)?.1.bare))))
            .collect();
        edits.sort_by(|(a, _), (b, _)| a.in_order(b));
        Ok(edits)
    }

    /// The declarations of a name and all that has to be renamed with them: a use in a template
    /// may stand for an axis of several images, which are then one name.
    fn bound(&self, at: At) -> (HashSet<At>, HashSet<At>) {
        let uses = self.same_name(at);
        let mut users: HashMap<At, Vec<usize>> = HashMap::new();
        for (number, (_, of)) in uses.iter().enumerate() {
            of.iter().for_each(|target| users.entry(*target).or_default().push(number));
        }
        let mut open = self.targets(at);
        let mut targets: HashSet<At> = open.iter().copied().collect();
        let mut all = HashSet::new();
        while let Some(target) = open.pop() {
            for (at, of) in users.remove(&target).iter().flatten().filter_map(|at| uses.get(*at)) {
                if all.insert(*at) {
                    open.extend(of.iter().filter(|target| targets.insert(**target)));
                }
            }
        }
        (targets, all)
    }

    /// Whether a new name is free where some declarations would have it.
    fn check_free(&self, new: &str, targets: &HashSet<At>) -> Result<(), String> {
        let nouns = || targets.iter().filter_map(|at| self.noun(*at));
        let spaces: HashSet<u8> = nouns().filter(|n| *n != Noun::Axis).map(space).collect();
        let has_axis = nouns().any(|noun| noun == Noun::Axis);
        let top = |at: At| self.mark(at).map(|(_, mark)| (at.file, mark.top));
        let tops: HashSet<Option<Top>> = targets.iter().map(|at| top(*at)).collect();
        let named = self.declarations.get(new).map(Vec::as_slice).unwrap_or_default();
        let clash = named.iter().copied().find(|at| match self.noun(*at) {
            // Axes of two images do not meet.
            Some(Noun::Axis) => {
                spaces.contains(&space(Noun::Axis)) || (has_axis && tops.contains(&top(*at)))
            }
            Some(noun) => {
                spaces.contains(&space(noun)) || (has_axis && space(noun) == space(Noun::Axis))
            }
            None => false,
        });
        let Some((at, noun)) = clash.and_then(|at| Some((at, self.noun(at)?))) else {
            return Ok(());
        };
        let Some((file, mark)) = self.mark(at) else { return Ok(()) };
        let (what, path, line) = (noun.word(), &file.path, file.line(mark.range.start));
        Err(format!("the name `{new}` is taken by the {what} at {path}:{line}"))
    }

    /// The name at a place of a file.
    pub(super) fn at(&self, path: &str, offset: u32) -> Option<At> {
        let file = *self.paths.get(path)?;
        Some(At { file, mark: self.files.get(file)?.mark_at(offset)? })
    }

    /// All places with the same text, whatever they mean, and what each stands for.
    fn same_name(&self, at: At) -> Vec<(At, Vec<At>)> {
        let name = self.mark(at).and_then(|(_, mark)| self.names.get(&mark.name));
        // What stands in the same node in the same way stands for the same.
        let mut known: HashMap<(Top, &What), Vec<At>> = HashMap::new();
        let mut found = Vec::new();
        for at in name.into_iter().flatten() {
            let Some((_, mark)) = self.mark(*at) else { continue };
            let targets = match mark.what {
                What::Declares(_) => self.targets(*at),
                _ => {
                    let key = ((at.file, mark.top), &mark.what);
                    known.entry(key).or_insert_with(|| self.targets(*at)).clone()
                }
            };
            found.push((*at, targets));
        }
        found
    }

    /// What a name declares.
    pub(super) fn noun(&self, at: At) -> Option<Noun> {
        match self.mark(at)?.1.what {
            What::Declares(noun) => Some(noun),
            _ => None,
        }
    }

    /// The declarations that a name stands for.
    pub(super) fn targets(&self, at: At) -> Vec<At> {
        let Some((_, mark)) = self.mark(at) else { return Vec::new() };
        let own = (at.file, mark.top);
        match &mark.what {
            What::Declares(Noun::Axis) => vec![at],
            What::Declares(noun) => self
                .declared(&mark.name, &[Noun::Base, Noun::Image, Noun::Group, *noun])
                .filter(|at| self.noun(*at) == Some(*noun))
                .collect(),
            What::Names(nouns) => self.declared(&mark.name, nouns).collect(),
            What::Interpolates => self.interpolated(own, &mark.name),
            What::OwnAxis => self.axis(own, &mark.name),
            What::AxisOf(of) => self
                .declared(of, &[Noun::Image])
                .filter_map(|at| Some((at.file, self.mark(at)?.1.top)))
                .flat_map(|image| self.axis(image, &mark.name))
                .collect(),
        }
    }

    /// What `{{name}}` stands for in a top-level node.
    fn interpolated(&self, top: Top, name: &str) -> Vec<At> {
        let mut found = BTreeSet::new();
        let mut lets = false;
        for user in self.users(top) {
            let axes = self.axis(user, name);
            lets |= axes.is_empty();
            found.extend(axes);
        }
        if lets {
            found.extend(self.declared(name, &[Noun::Let]));
        }
        found.into_iter().collect()
    }

    /// The nodes for which the text of a top-level node is read: itself, or all images that use
    /// it if it is a template. A template that nothing uses is read for itself.
    pub(super) fn users(&self, top: Top) -> Vec<Top> {
        let mut seen = HashSet::from([top]);
        let mut open = vec![top];
        let mut users = Vec::new();
        while let Some(next) = open.pop() {
            let template = self.declares(next, Noun::Template);
            let uses = template.and_then(|mark| self.names.get(&mark.name));
            let before = seen.len();
            for at in uses.map(Vec::as_slice).unwrap_or_default() {
                let Some((_, mark)) = self.mark(*at) else { continue };
                let user = (at.file, mark.top);
                let names =
                    matches!(mark.what, What::Names(nouns) if nouns.contains(&Noun::Template));
                if names && seen.len() < MAX_USERS && seen.insert(user) {
                    open.push(user);
                }
            }
            if template.is_none() || seen.len() == before {
                users.push(next);
            }
        }
        users
    }

    /// The name that a top-level node declares as a noun.
    pub(super) fn declares(&self, (file, top): Top, noun: Noun) -> Option<&Mark> {
        let marks = &self.files.get(file)?.marks;
        let start = marks.partition_point(|mark| mark.node < top);
        let mut own = marks.iter().skip(start).take_while(|mark| mark.node == top);
        own.find(|mark| mark.what == What::Declares(noun))
    }

    /// The axes of one name that a top-level node has.
    fn axis(&self, top: Top, name: &str) -> Vec<At> {
        let mut axes = self.axes(top);
        axes.retain(|at| self.mark(*at).is_some_and(|(_, mark)| *mark.name == *name));
        axes
    }

    /// The axes that a top-level node has: its own, or those of the last template that has any.
    pub(super) fn axes(&self, top: Top) -> Vec<At> {
        let own = |(at, top): Top| -> Vec<At> {
            let Some(file) = self.files.get(at) else { return Vec::new() };
            file.within(&file.axes, top).map(|mark| At { file: at, mark }).collect()
        };
        self.lineage(top).into_iter().map(own).find(|axes| !axes.is_empty()).unwrap_or_default()
    }

    /// A top-level node and the templates that it uses, those first that count more: each before
    /// those that it uses itself, and of several that one node names, the last.
    pub(super) fn lineage(&self, top: Top) -> Vec<Top> {
        let mut entered = HashSet::new();
        let mut open = vec![(top, false)];
        let mut found = Vec::new();
        while let Some((top, left)) = open.pop() {
            if left {
                found.push(top);
                continue;
            }
            if !entered.insert(top) {
                continue;
            }
            open.push((top, true));
            let Some(file) = self.files.get(top.0) else { continue };
            let used = file.within(&file.templates, top.1).filter_map(|mark| file.marks.get(mark));
            let used = used.flat_map(|mark| self.declared(&mark.name, &[Noun::Template]));
            let used = used.filter_map(|at| Some((at.file, self.mark(at)?.1.top)));
            let used: Vec<Top> = used.filter(|top| !entered.contains(top)).collect();
            open.extend(used.into_iter().rev().map(|top| (top, false)));
        }
        found.reverse();
        found
    }

    /// The path that the text at a place names.
    fn path_at(&self, path: &str, offset: u32) -> Option<String> {
        let file = self.file(path)?;
        let node = file.tree.nodes.get(file.tree.head_at(offset)?)?;
        let kind = node.kind?;
        let (role, token) = super::words::value_at(&file.text, node, kind, offset)?;
        let value = tree::value(&file.text, token)?;
        let elsewhere = value.is_empty() || value.contains("{{") || value.contains("://");
        (role == Role::Path && !elsewhere).then(|| join(file.folder(), &value))
    }
}

/// Nouns of one space share their names; an axis hides a `let`.
fn space(noun: Noun) -> u8 {
    match noun {
        Noun::Base | Noun::Image | Noun::Group => 0,
        Noun::Template => 1,
        Noun::Builder => 2,
        Noun::Let | Noun::Axis => 3,
    }
}

/// A name as it is written where the old one stands.
fn written(new: &str, bare: bool) -> String {
    let number = new.starts_with(|c: char| c.is_ascii_digit());
    match bare && (number || matches!(new, "true" | "false" | "null" | "inf" | "nan")) {
        true => format!("\"{new}\""),
        false => new.to_owned(),
    }
}

/// Whether a name may be given to a noun; the error says what may.
fn check_name(new: &str, noun: Noun) -> Result<(), String> {
    if matches!(noun, Noun::Let | Noun::Axis) {
        return match new {
            _ if !is_let_name(new) || new.len() > MAX_NAME => {
                Err("a name begins with a letter and has letters, digits, `_` and `-`".to_owned())
            }
            // Images have no `version` of a root file system, so that an axis may have the name.
            "version" if noun == Noun::Axis => Ok(()),
            _ if RESERVED.contains(&new) => Err(format!("`{new}` has a meaning of its own")),
            "exclude" | "only" if noun == Noun::Axis => {
                Err(format!("`{new}` has a meaning of its own in `matrix`"))
            }
            _ => Ok(()),
        };
    }
    let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = |c: char| first(c) || matches!(c, '.' | '_' | '-');
    if new == SCRATCH && noun != Noun::Template && noun != Noun::Builder {
        return Err("`scratch` is the name of the empty image".to_owned());
    }
    if new.starts_with(first) && new.chars().all(good) && new.len() <= MAX_NAME {
        return Ok(());
    }
    Err("a name has lower-case letters, digits, `.`, `_` and `-`, begins with a letter or a digit, \
         and has 128 characters at most"
        .to_owned())
}
