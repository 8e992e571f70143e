//! Images, step by step: what they name, what they stand on, their platforms, their builds.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::{Build, Config, Image, NodeRef};
use crate::platform::Platform;
use crate::source::Spanned;

use super::builds::{Below, Builder, Wanted};
use super::platforms::{self, List, Platforms, Wish, Wished};
use super::recipes::Recipes;
use super::resolve::Resolver;
use super::variants::Family;
use super::walk;

/// Makes the images of a description.
pub(super) struct Images<'a, 'r> {
    pub families: &'a [Family],
    /// Default platforms of each file.
    pub defaults: &'a [Option<List>],
    pub config: &'a mut Config,
    pub resolver: Resolver<'a>,
    pub recipes: &'a mut Recipes<'r>,
}

/// What an image stands on, which may give it platforms.
#[derive(Debug)]
pub(super) enum Stand {
    Node(Spanned<NodeRef>),
    /// Nothing that has platforms of its own: `scratch`.
    Nothing,
    /// What was reported already, or does not matter.
    Unknown,
}

impl Images<'_, '_> {
    /// Makes the images, with what their references name.
    pub fn references(&mut self) {
        let (platforms, builds): (List, Arc<[Arc<Build>]>) = (Arc::from([]), Arc::from([]));
        for family in self.families {
            let from = family.from.as_ref().filter(|from| from.text.constant() != Some("scratch"));
            let from = from.map(|from| self.resolver.prepare(from, family));
            let copies: Vec<_> =
                family.copies.iter().map(|copy| self.resolver.prepare(copy, family)).collect();
            for values in &family.variants {
                let copies = copies.iter().map(|copy| self.resolver.node(copy, family, values));
                let copies = copies.collect();
                let from = from.as_ref();
                self.config.images.push(Image {
                    name: family.variant_name(values),
                    body: family.body.clone(),
                    values: values.clone(),
                    platforms: platforms.clone(),
                    copies,
                    from: from.and_then(|from| self.resolver.node(from, family, values)),
                    builds: builds.clone(),
                });
            }
        }
    }

    /// What each image stands on. Where `from` does not say it, and nothing else gives the image
    /// platforms, its Dockerfile is asked, as if it were built for the machine's own.
    pub fn stands(&mut self) -> Vec<Stand> {
        let mut stands = Vec::with_capacity(self.config.images.len());
        let machine = self.config.build_platform.clone();
        for family in self.families {
            let has_list = matches!(family.platforms, Wished::Own(_))
                || default_of(self.defaults, family).is_some();
            let scratch =
                family.from.as_ref().is_some_and(|from| from.text.constant() == Some("scratch"));
            let asked = family.from.is_none() && !has_list && family.body.dockerfile.is_some();
            let mut builder = asked.then(|| Builder::new(family, &machine));
            let own = Spanned::new(machine.clone(), family.body.name.span);
            let list: List = Arc::from([own]);
            for (values, at) in family.variants.iter().zip(family.first as usize..) {
                let from = self.config.images.get(at).and_then(|image| image.from.clone());
                stands.push(match (from, &mut builder) {
                    (Some(from), _) => Stand::Node(from),
                    (None, Some(builder)) => {
                        let want = Wanted { values, platforms: &list, from: None };
                        match builder.below(want, self.recipes, &mut self.resolver) {
                            Below::Node(node) => Stand::Node(node),
                            Below::Nothing => Stand::Nothing,
                            Below::Broken => Stand::Unknown,
                        }
                    }
                    (None, None) if scratch => Stand::Nothing,
                    (None, None) => Stand::Unknown,
                });
            }
        }
        stands
    }

    /// Fills in the platforms, those of what an image stands on first.
    pub fn platforms(&mut self, platforms: &mut Platforms, stands: &[Stand]) {
        let below: Vec<Vec<usize>> = stands
            .iter()
            .map(|stand| match stand {
                Stand::Node(Spanned { value: NodeRef::Image(id), .. }) => vec![id.0 as usize],
                _ => Vec::new(),
            })
            .collect();
        let mut family_of = Vec::with_capacity(stands.len());
        for family in self.families {
            family_of.extend(std::iter::repeat_n(family, family.variants.len()));
        }
        // What was checked of one variant holds for the next with the same platforms.
        let mut checked: HashSet<(*const Family, *const Spanned<Platform>)> = HashSet::new();
        for at in walk::walk(&below).order {
            let (Some(family), Some(stand)) = (family_of.get(at), stands.get(at)) else { continue };
            let default = default_of(self.defaults, family);
            let wish = Wish { asked: &family.platforms, default, stand };
            let out = &mut *self.resolver.out;
            let name = family.body.name.span;
            let list = platforms.image(name, &wish, self.config, out);
            if checked.insert((*family, list.as_ptr())) {
                platforms::check_uses(&family.uses, &list, out);
                platforms::check_only(&family.body, &list, out);
            }
            if let Some(image) = self.config.images.get_mut(at) {
                image.platforms = list;
            }
        }
    }

    /// Reads the Dockerfiles for the platforms of each image.
    pub fn builds(&mut self) {
        let machine = self.config.build_platform.clone();
        for family in self.families.iter().filter(|family| family.body.dockerfile.is_some()) {
            let mut builder = Builder::new(family, &machine);
            for (values, at) in family.variants.iter().zip(family.first as usize..) {
                let Some(image) = self.config.images.get_mut(at) else { continue };
                let from = image.from.as_ref().map(|from| from.value);
                let want = Wanted { values, platforms: &image.platforms, from };
                let builds = builder.builds(want, self.recipes, &mut self.resolver);
                image.builds = builds;
            }
            builder.declared.report(family, self.resolver.out);
        }
    }
}

fn default_of<'d>(defaults: &'d [Option<List>], family: &Family) -> Option<&'d List> {
    defaults.get(family.file).and_then(Option::as_ref)
}
