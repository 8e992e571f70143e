//! Reads the relations of a package into nodes of the world.

use super::{GroupId, Name, Node, Relations, World};
use crate::debian::depends::{self, Relation, RelationError};
use std::collections::HashSet;
use std::rc::Rc;

impl<'i: 'r, 'r> World<'i, 'r> {
    /// Reads what a node needs, wants and keeps out.
    pub(super) fn read_relations(&mut self, node: Node) -> Result<Relations, RelationError> {
        let Some(facts) = self.facts.get(node as usize) else { return Ok(Relations::default()) };
        let (own, needs, wants, hits) = (facts.name, facts.needs, facts.wants, facts.hits);
        let mut relations = Relations::default();
        for (field, value) in needs {
            for text in depends::groups(value) {
                let group = self.read_group(text);
                let group = group.map_err(|problem| self.fault(own, field, text, problem))?;
                relations.needs.extend(group);
            }
        }
        for text in depends::groups(wants) {
            // A recommendation that cannot be read is one that cannot be followed.
            relations.wants.extend(self.read_group(text).ok().flatten());
        }
        for (field, value) in hits {
            for text in depends::groups(value) {
                let list = self.read_hits(text);
                let list = list.map_err(|problem| self.fault(own, field, text, problem))?;
                self.work += list.len();
                if self.is_exhausted() {
                    return Ok(relations);
                }
                let others = list.iter().copied().filter(|hit| self.name_of(*hit) != own);
                relations.hits.extend(others);
            }
        }
        relations.hits.sort_unstable();
        relations.hits.dedup();
        if self.is_installed(node) {
            // What was amiss in the image before is not the request's business.
            let is_there = |node: &Node| self.is_installed(*node);
            relations.needs.retain(|group| self.options(*group).iter().any(is_there));
            relations.hits.retain(|hit| !is_there(hit));
        }
        Ok(relations)
    }

    fn fault(
        &self,
        name: Name,
        field: &'static str,
        text: &str,
        problem: &'static str,
    ) -> RelationError {
        let text = text.chars().take(80).collect();
        RelationError { package: self.name(name).to_owned(), field, text, problem }
    }

    /// Reads a group; `None` when none of its alternatives counts for the architecture.
    fn read_group(&mut self, text: &'r str) -> Result<Option<GroupId>, &'static str> {
        if let Some(known) = self.group_ids.get(text) {
            return Ok(*known);
        }
        let mut relations = depends::alternatives(text)?;
        relations.retain(|relation| relation.counts_for(self.arch));
        let mut options = Vec::new();
        for relation in &relations {
            options.extend(self.matches(relation));
        }
        // As apt does, what is installed already is moved before anything new is taken.
        options.sort_by_key(|node| self.versions(self.name_of(*node)).installed.is_none());
        let mut seen = HashSet::new();
        options.retain(|node| seen.insert(*node));
        let group = (!relations.is_empty()).then(|| self.add_group(text, options));
        self.group_ids.insert(text, group);
        Ok(group)
    }

    fn read_hits(&mut self, text: &'r str) -> Result<Rc<[Node]>, &'static str> {
        if let Some(known) = self.hit_lists.get(text) {
            return Ok(Rc::clone(known));
        }
        let relation = Relation::parse(text)?;
        let counts = relation.counts_for(self.arch);
        let list = if counts { self.matches(&relation) } else { Vec::new() };
        let list: Rc<[Node]> = list.into();
        self.hit_lists.insert(text, Rc::clone(&list));
        Ok(list)
    }

    /// Gives the nodes that a relation means: those of the name itself, then those providing it.
    fn matches(&mut self, relation: &Relation<'r>) -> Vec<Node> {
        let any = match relation.qualifier {
            None | Some("native") => false,
            Some("any") => true,
            Some(other) if other == self.arch => false,
            Some(_) => return Vec::new(),
        };
        let id = self.intern(relation.name);
        let mut found: Vec<Node> = self.nodes_of(id).collect();
        found.retain(|node| relation.accepts(self.version(*node)));
        let mut providers = self.providers(relation.name);
        providers.retain(|node| {
            self.facts.get(*node as usize).is_some_and(|facts| {
                let mut given = facts.provides.iter().filter(|given| given.name == relation.name);
                given.any(|given| relation.accepts_provided(given))
            })
        });
        found.extend(providers);
        if any {
            // Within one architecture `:any` asks no more than that the package allows it.
            found.retain(|node| {
                let facts = self.facts.get(*node as usize);
                facts.is_some_and(|facts| matches!(facts.multi_arch, "allowed" | "foreign"))
            });
        }
        self.work += found.len() + 1;
        found
    }
}
