//! What Dockerfiles name to nodes: other images of the draft, or bases of a registry.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Base, Image, Member, Model, Need, Source};
use crate::names::{Taken, clean, is_name};
use crate::reference::{Reference, split_tag};
use crate::text::Text;

/// Links the images of a model with each other and adds the bases they stand on.
pub(crate) fn link(model: &mut Model) {
    rename_shadows(model);
    let mut linker = Linker::new(&model.images);
    let mut outside = Outside::default();
    for at in 0..model.images.len() {
        let Some(needs) = model.images.get(at).map(|image| image.needs.clone()) else { continue };
        for need in &needs {
            linker.need(model, at, need, &mut outside);
        }
        for reference in contexts(&model.images, at) {
            outside.add(&reference, at, false);
        }
    }
    publish(model, linker.asked);
    outside.bases(model);
}

/// Names of images and groups.
fn taken(model: &Model) -> Taken {
    let mut taken = Taken::default();
    let groups = model.groups.iter().map(|group| &group.name);
    for name in model.images.iter().map(|image| &image.name).chain(groups) {
        taken.insert(name);
    }
    taken
}

/// An image whose own Dockerfile begins with its name means the published image of that name.
fn rename_shadows(model: &mut Model) {
    let mut taken = taken(model);
    let mut renamed = Vec::new();
    for image in &mut model.images {
        let shadows = |need: &Need| need.name == image.name && !image.overrides(&need.name);
        if !image.needs.iter().any(shadows) {
            continue;
        }
        let old = image.name.clone();
        image.name = taken.take(&[format!("{old}-image")]);
        model.notes.add(format!(
            "image `{}` is not named `{old}`, because its Dockerfile names the published `{old}`",
            image.name
        ));
        renamed.push((old, image.name.clone()));
    }
    for (old, new) in &renamed {
        let members = model.groups.iter_mut().flat_map(|group| &mut group.members);
        for member in members.filter(|member| **member == Member::Image(old.clone())) {
            *member = Member::Image(new.clone());
        }
        let sources = model.images.iter_mut().flat_map(|image| &mut image.named_contexts);
        for (_, source) in sources {
            if matches!(source, Source::Node(name) if name == old) {
                *source = Source::Node(new.clone());
            }
        }
    }
}

/// References of named contexts.
fn contexts(images: &[Image], at: usize) -> Vec<String> {
    let contexts = images.get(at).map(|image| image.named_contexts.as_slice()).unwrap_or_default();
    contexts
        .iter()
        .filter_map(|(_, source)| match source {
            Source::Reference(reference) => Some(reference.value()),
            _ => None,
        })
        .collect()
}

/// Repositories and tags that other images name an image by.
type Asked = BTreeMap<usize, BTreeMap<String, BTreeSet<String>>>;

struct Linker {
    by_name: BTreeMap<String, usize>,
    by_reference: BTreeMap<String, usize>,
    /// Images that an image stands on.
    edges: BTreeMap<usize, BTreeSet<usize>>,
    /// Repositories that an image takes from outside though it has the same name.
    own: BTreeMap<usize, BTreeSet<String>>,
    asked: Asked,
}

impl Linker {
    fn new(images: &[Image]) -> Self {
        let mut new = Self {
            by_name: BTreeMap::new(),
            by_reference: BTreeMap::new(),
            edges: BTreeMap::new(),
            own: BTreeMap::new(),
            asked: Asked::new(),
        };
        for (at, image) in images.iter().enumerate() {
            new.by_name.insert(image.name.clone(), at);
            for reference in image.published() {
                if let Some(reference) = Reference::parse(&reference) {
                    new.by_reference.entry(reference.full()).or_insert(at);
                }
            }
            let own = image.needs.iter().filter_map(|need| Reference::parse(&need.name));
            new.own.insert(at, own.map(|reference| reference.repository).collect());
        }
        for (at, image) in images.iter().enumerate() {
            for (_, source) in &image.named_contexts {
                let node = match source {
                    Source::Node(name) => new.by_name.get(name).copied(),
                    _ => None,
                };
                if let Some(node) = node {
                    new.edges.entry(at).or_default().insert(node);
                }
            }
        }
        new
    }

    /// Finds the node that a name of an image's Dockerfile means.
    fn need(&mut self, model: &mut Model, at: usize, need: &Need, outside: &mut Outside) {
        let Some(image) = model.images.get(at) else { return };
        if image.overrides(&need.name) {
            return;
        }
        let who = image.name.clone();
        if let Some(node) = self.by_name.get(&need.name).copied() {
            self.edges.entry(at).or_default().insert(node);
            return;
        }
        let Some(reference) = Reference::parse(&need.name) else {
            model.notes.add(format!(
                "image `{who}`: `{}` is no reference of an image; look at the FROM that names it",
                need.name
            ));
            return;
        };
        if need.varies {
            model.notes.add(format!(
                "image `{who}`: `{}` differs from platform to platform, so that no base is drafted for it",
                need.name
            ));
            return;
        }
        let known = self.by_reference.get(&reference.full()).copied();
        if let Some(node) = known.filter(|node| *node != at && !self.reaches(*node, at)) {
            self.edges.entry(at).or_default().insert(node);
            return;
        }
        if let Some(node) = self.by_last_part(model, at, &reference) {
            self.edges.entry(at).or_default().insert(node);
            let (repository, _) = split_tag(&need.name);
            let tags =
                self.asked.entry(node).or_default().entry(repository.to_owned()).or_default();
            tags.extend(reference.tag);
            let name = model.images.get(node).map_or("", |image| image.name.as_str());
            model.notes.add(format!(
                "image `{who}`: `{}` is taken to be image `{name}`; declare a `base` with this `registry` if it is not",
                need.name
            ));
            return;
        }
        outside.add(&need.name, at, need.name == reference.last());
    }

    /// An image of the draft whose name is the last part of a reference, unless the reference is
    /// known to be of others.
    fn by_last_part(&self, model: &mut Model, at: usize, reference: &Reference) -> Option<usize> {
        let node = self.by_name.get(reference.last()).copied().filter(|node| *node != at)?;
        let target = model.images.get(node)?;
        let takes_it = self.own.get(&node).is_some_and(|own| own.contains(&reference.repository));
        if reference.is_upstream() || takes_it || !target.matrix.is_empty() {
            return None;
        }
        if !target.publish.is_empty() {
            let (name, full) = (target.name.clone(), reference.full());
            model.notes.add(format!(
                "`{full}` has the name of image `{name}`, which is published under other references: it is drafted as a base"
            ));
            return None;
        }
        if self.reaches(node, at) {
            let name = target.name.clone();
            model.notes.add(format!(
                "`{}` has the name of image `{name}`, but would close a ring with it: it is drafted as a base",
                reference.full()
            ));
            return None;
        }
        Some(node)
    }

    /// Whether an image stands on another, over any number of images between.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            if at == to {
                return true;
            }
            if seen.insert(at) {
                open.extend(self.edges.get(&at).into_iter().flatten());
            }
        }
        false
    }
}

/// Gives images the repositories and tags by which the Dockerfiles of others name them.
fn publish(model: &mut Model, asked: Asked) {
    for (at, repositories) in asked {
        let Some(image) = model.images.get_mut(at) else { continue };
        let tags: BTreeSet<&String> = repositories.values().flatten().collect();
        image.published_for.push("What other Dockerfiles name this image by.".to_owned());
        image.publish.extend(repositories.keys().map(|name| Text::plain(name)));
        let have: Vec<String> = image.tags.iter().map(Text::value).collect();
        image
            .tags
            .extend(tags.into_iter().filter(|tag| !have.contains(tag)).map(|tag| Text::plain(tag)));
    }
}

/// References that no image of the draft stands behind.
#[derive(Default)]
struct Outside {
    found: BTreeMap<String, Wanted>,
}

#[derive(Default)]
struct Wanted {
    /// Whether it is named by the last part of its repository alone, which must be its name.
    bare: bool,
    by: BTreeSet<usize>,
}

impl Outside {
    fn add(&mut self, text: &str, by: usize, bare: bool) {
        let Some(reference) = Reference::parse(text) else { return };
        let wanted = self.found.entry(reference.full()).or_default();
        wanted.bare |= bare;
        wanted.by.insert(by);
    }

    /// Adds a base for each reference. A base that a Dockerfile names by one word gets that word
    /// as its name; no other may have it.
    fn bases(self, model: &mut Model) {
        let mut taken = taken(model);
        let parsed: Vec<(Reference, Wanted)> = self
            .found
            .into_iter()
            .filter_map(|(full, wanted)| Some((Reference::parse(&full)?, wanted)))
            .collect();
        let words: BTreeSet<String> = parsed
            .iter()
            .filter(|(_, wanted)| wanted.bare)
            .map(|(reference, _)| reference.last().to_owned())
            .collect();
        for (reference, wanted) in parsed {
            let last = clean(reference.last());
            let mut names = Vec::new();
            if wanted.bare || !words.contains(&last) {
                names.push(last.clone());
            }
            let tag = reference.tag.clone().unwrap_or_else(|| "pinned".to_owned());
            names.push(clean(&format!("{last}-{tag}")));
            let name = if wanted.bare && is_name(reference.last()) && taken.insert(&last) {
                last
            } else {
                taken.take(&names)
            };
            let platforms = platforms(model, &wanted.by);
            model.bases.push(Base { name, reference: reference.full(), platforms });
        }
        model.bases.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

/// Platforms that a base has to have beyond the default ones.
fn platforms(model: &Model, by: &BTreeSet<usize>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for at in by {
        let Some(image) = model.images.get(*at) else { continue };
        let own: Vec<String> = match image.platforms.as_slice() {
            [] => model.platforms.clone(),
            own => own.iter().map(Text::value).collect(),
        };
        for platform in own {
            if !all.contains(&platform) {
                all.push(platform);
            }
        }
    }
    let more = all.iter().any(|platform| !model.platforms.contains(platform));
    if more { all } else { Vec::new() }
}
