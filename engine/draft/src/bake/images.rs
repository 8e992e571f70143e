//! The targets and groups of a bake file to the images and groups of the draft.

use std::collections::{BTreeMap, BTreeSet};

use super::Drafter;
use super::matrix::Axes;
use super::target::Target;
use crate::build::{self, Build, Outside};
use crate::model::{Group, Image, Member};
use crate::names::{Taken, clean};
use crate::{Read, print};

impl Drafter<'_> {
    /// Names of the images of targets.
    pub(super) fn image_names(&self, skipped: &BTreeSet<String>) -> BTreeMap<String, String> {
        let mut taken = Taken::default();
        let mut named = BTreeMap::new();
        for (_, names) in &self.order {
            for name in names.iter().filter(|name| !skipped.contains(*name)) {
                named.insert(name.clone(), taken.take(&[clean(name)]));
            }
        }
        named
    }

    pub(super) fn images(&mut self, path: &str, read: &Read<'_>, named: &BTreeMap<String, String>) {
        let node = |name: &str| named.get(name).cloned();
        let outside = Outside { read, node: &node };
        let contexts = self.contexts();
        for (block, names) in self.order.clone() {
            let mut images = Vec::new();
            for name in names {
                let (Some(image), Some(target)) = (named.get(&name), self.targets.get(&name))
                else {
                    self.model.tail.push(format!(
                        "`{name}` of {} is only inherited: its parts are in the images above.",
                        crate::path::file(path)
                    ));
                    continue;
                };
                let build = build(&name, image, target);
                images.push((name, build.image(&outside, &mut self.model.notes)));
            }
            let axes = self.axes.get(block).filter(|axes| axes.plain);
            let apart = images.iter().any(|(name, _)| contexts.contains(name));
            match axes.filter(|_| !apart).and_then(|axes| one_image(block, axes, &images)) {
                Some(image) => self.model.images.push(image),
                None => {
                    let many = images.len() > 1;
                    for (name, mut image) in images {
                        // Without the matrix its axes have no names.
                        if let Some(target) = self.targets.get(&name).filter(|_| many) {
                            let lets = &self.globals.lets;
                            let plain = target.clone().keeping(&|name| lets.contains(name));
                            image = build(&name, &image.name, &plain)
                                .image(&outside, &mut self.model.notes);
                        }
                        if many {
                            image.above.insert(0, format!("One of the matrix of `{block}`."));
                        }
                        self.model.images.push(image);
                    }
                }
            }
        }
    }

    /// Adds the groups with the images that their targets became.
    pub(super) fn add_groups(
        &mut self,
        groups: Vec<(&str, Vec<String>)>,
        named: &BTreeMap<String, String>,
    ) {
        let images: BTreeSet<String> =
            self.model.images.iter().map(|image| image.name.clone()).collect();
        let mut taken = Taken::default();
        images.iter().for_each(|name| {
            taken.insert(name);
        });
        let names: BTreeMap<&str, String> =
            groups.iter().map(|(name, _)| (*name, taken.take(&[clean(name)]))).collect();
        for (name, members) in &groups {
            let mut group =
                Group { name: names.get(name).cloned().unwrap_or_default(), members: Vec::new() };
            for member in members {
                let block = self.order.iter().find(|(block, _)| block == member);
                let targets: Vec<&String> = match block {
                    Some((_, targets)) => targets.iter().collect(),
                    None => vec![member],
                };
                let mut found = false;
                for target in targets {
                    // The targets of a matrix that stayed one are one image.
                    let image = named.get(target).map(|image| {
                        if images.contains(image) { image.clone() } else { self.merged(target) }
                    });
                    let member = match (image, names.get(target.as_str())) {
                        (Some(image), _) => Member::Image(image),
                        (None, Some(other)) => Member::Group(other.clone()),
                        (None, None) => continue,
                    };
                    found = true;
                    if !group.members.contains(&member) {
                        group.members.push(member);
                    }
                }
                if !found {
                    self.model
                        .notes
                        .add(format!("group `{name}`: `{member}` is no target that is drafted"));
                }
            }
            if group.members.is_empty() {
                self.model.notes.add(format!("group `{name}` has no members and is left out"));
            } else {
                self.model.groups.push(group);
            }
        }
    }

    /// The image that the targets of a matrix became.
    fn merged(&self, target: &str) -> String {
        let block = self.instances.get(target).map(|instance| instance.block);
        block.map(clean).unwrap_or_default()
    }
}

/// The one image of a matrix whose targets differ in nothing but the values of the axes.
fn one_image(block: &str, axes: &Axes, images: &[(String, Image)]) -> Option<Image> {
    let shape = |image: &Image| print::one_image(&Image { name: String::new(), ..image.clone() });
    let ((_, first), rest) = images.split_first()?;
    let wanted = shape(first);
    if rest.is_empty() || !rest.iter().all(|(_, image)| shape(image) == wanted) {
        return None;
    }
    let mut needs: BTreeSet<_> = first.needs.iter().cloned().collect();
    needs.extend(rest.iter().flat_map(|(_, image)| image.needs.iter().cloned()));
    Some(Image {
        name: clean(block),
        matrix: axes.axes.clone(),
        needs: needs.into_iter().collect(),
        variants: images.iter().flat_map(|(_, image)| image.published()).collect(),
        ..first.clone()
    })
}

/// A target as a build.
fn build(name: &str, image: &str, target: &Target) -> Build {
    let one = |key: &str| target.one.get(key).cloned();
    let map = |key: &str| target.maps.get(key).cloned().unwrap_or_default();
    let list = |key: &str| target.lists.get(key).cloned().unwrap_or_default();
    let given = |key: &str| {
        let values = map(key).into_iter();
        values.filter_map(|(key, value)| value.map(|value| (key, value))).collect::<Vec<_>>()
    };
    let mut build = Build {
        who: format!("target `{name}`"),
        name: image.to_owned(),
        above: one("description").map(|text| text.value()).into_iter().collect(),
        context: one("context"),
        dockerfile: one("dockerfile"),
        inline: one("dockerfile-inline").map(|text| text.value()),
        target: one("target"),
        args: given("args").into_iter().map(|(key, value)| (key, Some(value))).collect(),
        contexts: given("contexts"),
        tags: list("tags"),
        platforms: list("platforms"),
        labels: given("labels"),
        ..Build::default()
    };
    for text in &target.secrets {
        match build::secret(text) {
            Some(secret) => {
                build.secrets.retain(|known| known.id != secret.id);
                build.secrets.push(secret);
            }
            None => build.leave(format!("secret {text}"), "a secret has no id"),
        }
    }
    for (key, value) in &target.other {
        build.leave_setting(key, value, reason(key));
    }
    build
}

/// Why an attribute has no counterpart, and what there is in its place.
fn reason(key: &str) -> &'static str {
    match key {
        "cache-from" | "cache-to" => {
            "is not needed: results are kept in the store and the registry"
        }
        "output" => "is left out: results go to the store, and `publish` pushes them",
        "no-cache" | "no-cache-filter" => "is left out: use `mabuild graph rebuild --force TARGET`",
        "pull" => {
            "is left out: bases are pinned in the lock and move with `mabuild upstream update`"
        }
        "attest" => "is left out: SBOM and provenance are made for every published image",
        "annotations" => "has no counterpart; a `label` may do",
        "ssh" => "has no counterpart; use a `secret`",
        _ => "has no counterpart and is left out",
    }
}
