//! Which platforms each base and image has, and whether those it needs have them too.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Body, Config, NodeRef, PlatformField};
use crate::decode::Use;
use crate::decode::platforms::Asked;
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::source::{Span, Spanned};

use super::images::Stand;

pub(crate) type List = Arc<[Spanned<Platform>]>;

/// What an image says of its platforms, its own list shared by all variants.
#[derive(Debug)]
pub(crate) enum Wished {
    Inherited,
    Own(List),
    Except(Vec<Spanned<Platform>>),
}

impl Wished {
    pub fn of(asked: Asked) -> Self {
        match asked {
            Asked::Inherited => Self::Inherited,
            Asked::Own(list) => Self::Own(list.into()),
            Asked::Except(except) => Self::Except(except),
        }
    }
}

/// What an image says of its platforms, and where it stands.
pub(crate) struct Wish<'a> {
    pub asked: &'a Wished,
    /// Default of its file.
    pub default: Option<&'a List>,
    /// What it stands on.
    pub stand: &'a Stand,
}

/// Fills in the platforms; shares lists where they are the same.
#[derive(Default)]
pub(crate) struct Platforms {
    /// Defaults narrowed to a parent's list, by the addresses of both.
    narrowed: HashMap<(usize, usize), List>,
    /// Lists without what `except` names, by the addresses of both.
    without: HashMap<(usize, usize), List>,
}

impl Platforms {
    /// Platforms of a base.
    pub fn base(
        &mut self,
        name: Span,
        asked: &Asked,
        default: Option<&List>,
        out: &mut Vec<Diagnostic>,
    ) -> List {
        match (asked, default) {
            (Asked::Own(list), _) => list.clone().into(),
            (Asked::Except(except), Some(default)) => without(default, except, out),
            (Asked::Inherited, Some(default)) => default.clone(),
            (Asked::Inherited | Asked::Except(_), None) => {
                out.push(none(name, "this base"));
                Arc::from([])
            }
        }
    }

    /// Platforms of an image that stands on a node which has its own already.
    pub fn image(
        &mut self,
        name: Span,
        wish: &Wish<'_>,
        config: &Config,
        out: &mut Vec<Diagnostic>,
    ) -> List {
        match wish.asked {
            Wished::Own(list) => list.clone(),
            Wished::Inherited => self.inherited(wish, config, name, out),
            Wished::Except(except) => {
                let list = self.inherited(wish, config, name, out);
                if list.is_empty() { list } else { self.except(&list, except, out) }
            }
        }
    }

    fn inherited(
        &mut self,
        wish: &Wish<'_>,
        config: &Config,
        name: Span,
        out: &mut Vec<Diagnostic>,
    ) -> List {
        let (parent, nowhere) = match wish.stand {
            // An image of a registry has what is asked of it.
            Stand::Node(node) => (of(config, node.value), of(config, node.value).is_none()),
            Stand::Nothing => (None, true),
            Stand::Unknown => (None, false),
        };
        // A parent without platforms was reported itself.
        let parent = parent.filter(|(_, list, _)| !list.is_empty());
        let Some(default) = wish.default else {
            if nowhere {
                out.push(none(name, "this image"));
            }
            return parent.map_or_else(|| Arc::from([]), |(_, list, _)| list.clone());
        };
        let Some((parent_name, had, place)) = parent else { return default.clone() };
        let list = self.narrow(default, had);
        if list.is_empty() {
            let first = default.first().map_or(name, |platform| platform.span);
            out.push(
                Diagnostic::error(
                    "mabuild::lang::platform",
                    name,
                    "this image has no platform",
                    "needs one",
                )
                .and(place, format!("`{parent_name}` has {}", names(had)))
                .and(first, "the default has none of these")
                .help(format!("give it `platforms` that `{parent_name}` has")),
            );
        }
        list
    }

    fn except(
        &mut self,
        list: &List,
        except: &[Spanned<Platform>],
        out: &mut Vec<Diagnostic>,
    ) -> List {
        let key = (list.as_ptr() as usize, except.as_ptr() as usize);
        self.without.entry(key).or_insert_with(|| without(list, except, out)).clone()
    }

    /// The default without what a parent lacks.
    fn narrow(&mut self, default: &List, had: &List) -> List {
        if Arc::ptr_eq(default, had) {
            return default.clone();
        }
        let key = (default.as_ptr() as usize, had.as_ptr() as usize);
        let narrow = || -> List {
            if default.iter().all(|platform| has(had, &platform.value)) {
                return default.clone();
            }
            default.iter().filter(|platform| has(had, &platform.value)).cloned().collect()
        };
        // Both lists live as long as the config that is being made, so that their addresses are
        // theirs alone.
        self.narrowed.entry(key).or_insert_with(narrow).clone()
    }
}

/// Name, platforms and place of a node.
pub(super) fn of(config: &Config, node: NodeRef) -> Option<(&str, &List, Span)> {
    match node {
        NodeRef::Base(id) => {
            config.base(id).map(|base| (&*base.name.value, &base.platforms, base.name.span))
        }
        NodeRef::Image(id) => {
            config.image(id).map(|image| (&*image.name, &image.platforms, image.body.name.span))
        }
    }
}

pub(super) fn has(list: &[Spanned<Platform>], platform: &Platform) -> bool {
    list.iter().any(|known| known.value == *platform)
}

pub(super) fn names(list: &[Spanned<Platform>]) -> String {
    let names: Vec<String> = list.iter().take(20).map(|p| p.value.to_string()).collect();
    names.join(", ")
}

fn none(name: Span, what: &str) -> Diagnostic {
    Diagnostic::error(
        "mabuild::lang::platform",
        name,
        format!("{what} has no platforms"),
        "needs platforms",
    )
    .help("write `platforms \"linux/amd64\" …` in its block, or at the top of the file for all")
}

/// A list without some platforms.
fn without(list: &List, except: &[Spanned<Platform>], out: &mut Vec<Diagnostic>) -> List {
    for platform in except.iter().filter(|platform| !has(list, &platform.value)) {
        out.push(
            Diagnostic::warning(
                "mabuild::lang::platform",
                platform.span,
                format!("`{}` is not among the platforms anyway", platform.value),
                "leaves nothing out",
            )
            .help(format!("the platforms are {}", names(list))),
        );
    }
    let left: List = list.iter().filter(|p| !has(except, &p.value)).cloned().collect();
    if let (true, Some(first)) = (left.is_empty(), except.first()) {
        out.push(
            Diagnostic::error(
                "mabuild::lang::platform",
                first.span,
                "no platform is left",
                "leaves all of them out",
            )
            .help(format!("the platforms are {}", names(list))),
        );
    }
    left
}

/// Reports platform names in strings that a platform of the node lacks.
pub(crate) fn check_uses(uses: &[Use], platforms: &[Spanned<Platform>], out: &mut Vec<Diagnostic>) {
    for used in uses {
        let always = matches!(
            used.field,
            PlatformField::Whole | PlatformField::Os | PlatformField::Arch | PlatformField::Variant
        );
        if always {
            continue;
        }
        let failed =
            platforms.iter().find_map(|p| used.field.of(&p.value).err().map(|why| (p, why)));
        if let Some((platform, why)) = failed {
            out.push(
                Diagnostic::error(
                    "mabuild::lang::platform",
                    used.span,
                    format!("this text cannot be made for `{}`: {why}", platform.value),
                    "has no value there",
                )
                .and(platform.span, "the platform")
                .help(format!(
                    "leave `{0}` out with `platforms except=\"{0}\"`, or write the text without this name",
                    platform.value
                )),
            );
        }
    }
}

/// Reports platforms of `on-platform` that the image does not have.
pub(crate) fn check_only(body: &Body, list: &[Spanned<Platform>], out: &mut Vec<Diagnostic>) {
    let steps = body.steps.iter().filter_map(|step| step.only.as_ref());
    let mut met: Vec<*const Spanned<Platform>> = Vec::new();
    for only in steps.chain(body.overrides.iter().map(|over| &over.platforms)) {
        if met.contains(&only.as_ptr()) || list.is_empty() {
            continue;
        }
        met.push(only.as_ptr());
        for platform in only.iter().filter(|platform| !has(list, &platform.value)) {
            out.push(
                Diagnostic::warning(
                    "mabuild::lang::platform",
                    platform.span,
                    format!("`{}` has no platform `{}`", body.name.value, platform.value),
                    "changes nothing",
                )
                .help(format!("its platforms are {}", names(list))),
            );
        }
    }
}
