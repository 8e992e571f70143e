//! All candidates and names, with numbers in place of texts.

use super::super::db::InstalledPackage;
use super::super::dependency::{Dependency, Operator};
use super::super::index::{Checksum, Index, Package};
use super::{Chosen, SolveError};
use std::collections::HashMap;

pub(super) type NameId = usize;
pub(super) type CandidateId = usize;

/// A bit for each tag; the lowest is for repositories without one.
pub(super) type Tags = u32;
pub(super) const UNTAGGED: Tags = 1;
const MAX_TAGS: usize = 30;

/// A dependency with the number of its name.
pub(super) type Need<'a> = (NameId, &'a Dependency);

/// Someone who provides a name.
#[derive(Clone, Copy)]
pub(super) struct Provider<'a> {
    pub(super) candidate: CandidateId,
    /// None for a name that is provided without version.
    pub(super) version: Option<&'a str>,
}

pub(super) struct Candidate<'a> {
    pub(super) package: &'a Package,
    /// The first index that has it.
    pub(super) index: Option<usize>,
    pub(super) installed: bool,
    pub(super) tags: Tags,
    pub(super) name: NameId,
    pub(super) needs: Vec<Need<'a>>,
    pub(super) provides: Vec<(NameId, Option<&'a str>)>,
    pub(super) install_if: Vec<Need<'a>>,
}

#[derive(Default)]
pub(super) struct Universe<'a> {
    pub(super) candidates: Vec<Candidate<'a>>,
    numbers: HashMap<&'a str, NameId>,
    texts: Vec<&'a str>,
    providers: Vec<Vec<Provider<'a>>>,
    /// Who needs a name.
    needed_by: Vec<Vec<CandidateId>>,
    /// Whose `install_if` has a name.
    wakes: Vec<Vec<CandidateId>>,
    tags: Vec<&'a str>,
}

impl<'a> Universe<'a> {
    pub(super) fn new(
        indexes: &'a [Index],
        installed: &'a [InstalledPackage],
    ) -> Result<Self, SolveError> {
        let mut universe = Universe::default();
        let mut known: HashMap<Checksum, CandidateId> = HashMap::new();
        for (at, index) in indexes.iter().enumerate() {
            let tags = universe.add_tag(index.tag.as_deref())?;
            for package in &index.packages {
                let next = universe.candidates.len();
                let id = *known.entry(package.checksum).or_insert(next);
                if id == next {
                    universe.add(package, Some(at), tags);
                } else if let Some(candidate) = universe.candidates.get_mut(id) {
                    candidate.tags |= tags;
                }
            }
        }
        for one in installed {
            let next = universe.candidates.len();
            let id = *known.entry(one.package.checksum).or_insert(next);
            // apk counts it as one of the repository that it came from, or what that has now would
            // be preferred.
            let tags = one.tag.as_deref().map_or(Some(UNTAGGED), |tag| universe.tag_bit(tag));
            let tags = tags.unwrap_or(0);
            if id == next {
                universe.add(&one.package, None, tags);
            }
            if let Some(candidate) = universe.candidates.get_mut(id) {
                candidate.installed = true;
                candidate.tags |= tags;
            }
        }
        Ok(universe)
    }

    fn add_tag(&mut self, tag: Option<&'a str>) -> Result<Tags, SolveError> {
        let Some(tag) = tag else { return Ok(UNTAGGED) };
        if !self.tags.contains(&tag) {
            self.tags.push(tag);
        }
        if self.tags.len() > MAX_TAGS {
            return Err(SolveError::TooLarge("more than 30 tags of repositories"));
        }
        Ok(self.tag_bit(tag).unwrap_or(0))
    }

    pub(super) fn tag_bit(&self, tag: &str) -> Option<Tags> {
        self.tags.iter().position(|known| *known == tag).map(|at| UNTAGGED << (at + 1))
    }

    fn add(&mut self, package: &'a Package, index: Option<usize>, tags: Tags) {
        let id = self.candidates.len();
        let name = self.number(&package.name);
        let mut provides = vec![(name, Some(package.version.as_str()))];
        for provided in &package.provides {
            let number = self.number(&provided.name);
            if number != name {
                provides.push((number, provided.provided_version()));
            }
        }
        for (name, version) in &provides {
            if let Some(list) = self.providers.get_mut(*name) {
                list.push(Provider { candidate: id, version: *version });
            }
        }
        let needs = self.needs(&package.depends);
        let install_if = self.needs(&package.install_if);
        for (list, needs) in [(&mut self.needed_by, &needs), (&mut self.wakes, &install_if)] {
            for (name, _) in needs {
                if let Some(list) = list.get_mut(*name).filter(|list| list.last() != Some(&id)) {
                    list.push(id);
                }
            }
        }
        let installed = false;
        self.candidates.push(Candidate {
            package,
            index,
            installed,
            tags,
            name,
            needs,
            provides,
            install_if,
        });
    }

    fn needs(&mut self, list: &'a [Dependency]) -> Vec<Need<'a>> {
        list.iter().map(|dependency| (self.number(&dependency.name), dependency)).collect()
    }

    fn number(&mut self, name: &'a str) -> NameId {
        *self.numbers.entry(name).or_insert_with(|| {
            self.texts.push(name);
            self.providers.push(Vec::new());
            self.needed_by.push(Vec::new());
            self.wakes.push(Vec::new());
            self.texts.len() - 1
        })
    }

    pub(super) fn name(&self, name: &str) -> Option<NameId> {
        self.numbers.get(name).copied()
    }

    pub(super) fn text(&self, name: NameId) -> &'a str {
        self.texts.get(name).copied().unwrap_or_default()
    }

    pub(super) fn name_count(&self) -> usize {
        self.texts.len()
    }

    /// Gives all names that something has or provides.
    pub(super) fn provided_names(&self) -> impl Iterator<Item = &'a str> {
        let provided = self.texts.iter().zip(&self.providers).filter(|(_, list)| !list.is_empty());
        provided.map(|(text, _)| *text)
    }

    pub(super) fn has_provider(&self, name: NameId) -> bool {
        !self.providers(name).is_empty()
    }

    pub(super) fn providers(&self, name: NameId) -> &[Provider<'a>] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn needed_by(&self, name: NameId) -> &[CandidateId] {
        self.needed_by.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn wakes(&self, name: NameId) -> &[CandidateId] {
        self.wakes.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn candidate(&self, id: CandidateId) -> Option<&Candidate<'a>> {
        self.candidates.get(id)
    }

    /// Whether a provider is what a dependency (or a conflict) is about.
    pub(super) fn matches(&self, dependency: &Dependency, provider: Provider) -> bool {
        match &dependency.version {
            Some((Operator::Checksum, wanted)) => {
                let found = self.candidate(provider.candidate).map(|one| one.package.checksum);
                found.is_some_and(|found| Checksum::parse(wanted) == Some(found))
            }
            _ => dependency.matches(provider.version),
        }
    }

    pub(super) fn chosen(
        &self,
        id: CandidateId,
        installed: &'a [InstalledPackage],
    ) -> Option<Chosen<'a>> {
        let Candidate { package, index, installed: kept, .. } = self.candidate(id)?;
        let before = installed.iter().map(|one| &one.package).find(|one| one.name == package.name);
        Some(Chosen { package, index: index.filter(|_| !kept), replaces: before.filter(|_| !kept) })
    }
}
