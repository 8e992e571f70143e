//! How Dockerfiles build images, platform by platform.

use std::collections::HashMap;
use std::sync::Arc;

use mabuild_dockerfile::{self as dockerfile, Reference, ReferenceKind};

use crate::config::{Build, ContextSource, Named, NodeRef, Part, Place, Recipe, Text};
use crate::decode::check::shown;
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::reference;
use crate::source::{Span, Spanned};

use super::declared::Declared;
use super::platforms::List;
use super::recipes::{Known, Recipes, place, told};
use super::resolve::Resolver;
use super::variants::Family;

type Builds = Arc<[Arc<Build>]>;
/// The values of some axes of a variant.
type Values = Vec<Arc<str>>;

/// Works out the builds of one image. There may be very many variants, and most of them are built
/// alike: everything is done once for all that agree in the axes that matter to it.
pub(super) struct Builder<'f> {
    family: &'f Family,
    machine: &'f Platform,
    /// The axes that the Dockerfile's path and target depend on.
    axes: Vec<usize>,
    /// By the address of the platforms, which live as long as the description that is made.
    found: HashMap<(usize, Values), Found>,
    /// What the Dockerfiles declare and use.
    pub declared: Declared,
}

/// The Dockerfiles of some variants.
struct Found {
    /// For each platform; none where it cannot be read.
    known: Vec<Option<Known>>,
    /// The axes that the arguments depend on that these files use in names.
    axes: Vec<usize>,
    read: HashMap<Values, Reading>,
}

/// What the Dockerfiles of some variants need, before names are looked up.
struct Reading {
    /// For each platform; none where something is wrong.
    needs: Vec<Option<(Arc<Recipe>, Vec<Reference>)>>,
    /// The axes that the meaning of the names depends on.
    axes: Vec<usize>,
    built: HashMap<(Values, Option<NodeRef>), Builds>,
}

/// A variant with its platforms, and with the node that it names in `from`: that picks the variant
/// where the Dockerfile names the same image.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'w> {
    pub values: &'w [Arc<str>],
    pub platforms: &'w List,
    pub from: Option<NodeRef>,
}

impl<'f> Builder<'f> {
    pub fn new(family: &'f Family, machine: &'f Platform) -> Self {
        let body = &family.body;
        let path = body.dockerfile.iter().map(|dockerfile| &dockerfile.path.text);
        let axes = axes_of(path.chain(&body.target));
        Self { family, machine, axes, found: HashMap::new(), declared: Declared::default() }
    }

    /// The builds of a variant, one for each platform; empty where its Dockerfile has errors, which
    /// are reported.
    pub fn builds(
        &mut self,
        want: Wanted<'_>,
        recipes: &mut Recipes<'_>,
        resolver: &mut Resolver<'_>,
    ) -> Builds {
        let (family, machine) = (self.family, self.machine);
        let key = (want.platforms.as_ptr() as usize, pick(want.values, &self.axes));
        let found =
            self.found.entry(key).or_insert_with(|| Found::of(family, want, recipes, resolver.out));
        let declared = &mut self.declared;
        let reading = found
            .read
            .entry(pick(want.values, &found.axes))
            .or_insert_with(|| read(family, machine, want, &found.known, declared, resolver));
        let key = (pick(want.values, &reading.axes), want.from);
        let needs = &reading.needs;
        let built = || build(family, want, needs, resolver);
        reading.built.entry(key).or_insert_with(built).clone()
    }

    /// The node that the target stage of a variant stands on.
    pub fn below(
        &mut self,
        want: Wanted<'_>,
        recipes: &mut Recipes<'_>,
        resolver: &mut Resolver<'_>,
    ) -> Below {
        let builds = self.builds(want, recipes, resolver);
        let (Some(build), Some(platform)) = (builds.first(), want.platforms.first()) else {
            return Below::Broken;
        };
        let target = self.family.body.target.as_ref();
        let target = target.and_then(|text| text.render(&platform.value, want.values).ok());
        let from = root(&build.recipe.dockerfile, target.as_deref());
        let from = from.map(|span| place(span, build.recipe.file));
        let found = build.nodes().find(|(_, place)| place.is_from && Some(place.span) == from);
        found.map_or(Below::Nothing, |(node, place)| Below::Node(Spanned::new(node, place.span)))
    }
}

/// What the target stage of a Dockerfile stands on.
pub(super) enum Below {
    Node(Spanned<NodeRef>),
    /// `scratch`, a folder, or what takes more than names to tell.
    Nothing,
    /// The Dockerfile has errors.
    Broken,
}

impl Found {
    fn of(
        family: &Family,
        want: Wanted<'_>,
        recipes: &mut Recipes<'_>,
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let platforms = want.platforms.iter();
        let known: Vec<Option<Known>> =
            platforms.map(|p| recipes.of(family, want.values, &p.value, out)).collect();
        let body = &family.body;
        let args = body.args.iter().chain(body.overrides.iter().flat_map(|over| &over.args));
        let in_names = |name: &str| {
            dockerfile::AUTOMATIC_ARGS.contains(&name)
                || known.iter().flatten().any(|known| {
                    known.recipe.dockerfile.args.iter().any(|arg| arg.name.raw == name)
                })
        };
        let args = args.filter(|(name, value)| has_axis(value) && in_names(&name.value));
        let axes = axes_of(args.map(|(_, value)| value));
        Self { known, axes, read: HashMap::new() }
    }
}

fn read(
    family: &Family,
    machine: &Platform,
    want: Wanted<'_>,
    known: &[Option<Known>],
    declared: &mut Declared,
    resolver: &mut Resolver<'_>,
) -> Reading {
    let mut needs = Vec::with_capacity(known.len());
    for (platform, known) in want.platforms.iter().map(|p| &p.value).zip(known) {
        let Some(known) = known else {
            declared.broken();
            needs.push(None);
            continue;
        };
        let recipe = &known.recipe;
        let target = family.body.target.as_ref();
        let target = target.and_then(|target| target.render(platform, want.values).ok());
        let arg = |name: &str| argument(name, family, want.values, platform, machine);
        match dockerfile::references(&recipe.dockerfile, target.as_deref(), &arg) {
            Ok(references) => {
                let stages = || {
                    dockerfile::stages_needed(&recipe.dockerfile, target.as_deref(), &arg)
                        .unwrap_or_default()
                };
                declared.read(family, known, stages, resolver.out);
                needs.push(Some((recipe.clone(), references)));
            }
            Err(problems) => {
                declared.broken();
                needs.push(None);
                for problem in problems {
                    let missing = problem.code == "mabuild::dockerfile::unknown-target";
                    let mut diagnostic = told(problem, recipe.file);
                    if let (true, Some(target)) = (missing, &family.body.target) {
                        diagnostic.labels.insert(0, (target.span, "asked for here".to_owned()));
                    }
                    resolver.tell_once(diagnostic);
                }
            }
        }
    }
    let names = needs.iter().flatten().flat_map(|(_, references)| references);
    let mut axes: Vec<usize> =
        names.flat_map(|r| axes_of_name(&r.name, family, resolver)).collect();
    axes.sort_unstable();
    axes.dedup();
    Reading { needs, axes, built: HashMap::new() }
}

/// The axes of an image that the meaning of a name in its Dockerfile depends on.
fn axes_of_name(name: &str, family: &Family, resolver: &Resolver<'_>) -> Vec<usize> {
    let mut contexts = family.body.named_contexts.iter();
    let context = contexts.find(|context| reference::same(&context.name.value, name));
    let name = match context.map(|context| &context.source) {
        Some(ContextSource::Folder(_)) => return Vec::new(),
        Some(ContextSource::Image(text)) => return axes_of([text]),
        Some(ContextSource::Node(text)) if has_axis(text) => {
            return (0..family.axes.len()).collect();
        }
        Some(ContextSource::Node(text)) => text.constant().unwrap_or(name),
        None => name,
    };
    let Some(named) = resolver.family(name) else { return Vec::new() };
    let shared = |name: &Arc<str>| named.axes.iter().any(|axis| axis.name.value == *name);
    let axes = family.axes.iter().enumerate();
    axes.filter(|(_, axis)| shared(&axis.name.value)).map(|(at, _)| at).collect()
}

fn build(
    family: &Family,
    want: Wanted<'_>,
    needs: &[Option<(Arc<Recipe>, Vec<Reference>)>],
    resolver: &mut Resolver<'_>,
) -> Builds {
    let mut builds: Vec<Arc<Build>> = Vec::with_capacity(needs.len());
    for (target, needs) in want.platforms.iter().zip(needs) {
        let Some((recipe, references)) = needs else { continue };
        let image =
            Variant { family, values: want.values, platform: &target.value, from: want.from };
        let places = references.iter().filter_map(|reference| {
            let span = place(reference.span, recipe.file);
            let platform = platform_of(reference, recipe, &target.value, resolver)?;
            let what = resolver.named_in(&reference.name, span, &image)?;
            let is_from = matches!(reference.kind, ReferenceKind::From);
            Some(Place { name: reference.name.clone(), platform, is_from, span, what })
        });
        let made = Build::new(recipe.clone(), places.collect());
        let same = |known: &&Arc<Build>| {
            Arc::ptr_eq(&known.recipe, &made.recipe) && known.places == made.places
        };
        let shared = builds.iter().find(same).cloned();
        builds.push(shared.unwrap_or_else(|| Arc::new(made)));
    }
    // Who asks for the build of a platform finds it by the platform's number.
    if builds.len() == needs.len() { builds.into() } else { Arc::from([]) }
}

/// The platform that a reference means; none where its `--platform` is none, which is reported.
fn platform_of(
    reference: &Reference,
    recipe: &Recipe,
    target: &Platform,
    resolver: &mut Resolver<'_>,
) -> Option<Platform> {
    let Some(text) = &reference.platform else { return Some(target.clone()) };
    if let Ok(platform) = Platform::parse(text) {
        return Some(platform);
    }
    let stage = recipe.dockerfile.stages.get(reference.stage);
    let word = stage.and_then(|stage| stage.platform.as_ref());
    let span = place(word.map_or(reference.span, |word| word.span), recipe.file);
    resolver.tell_once(
        Diagnostic::error(
            "mabuild::lang::platform",
            span,
            format!("`{}` is not a platform", shown(text)),
            "not of the form os/arch[/variant]",
        )
        .help("write it like `linux/amd64`, or `$BUILDPLATFORM` for the machine's own"),
    );
    None
}

/// Where the target stage, or the stage that it goes back to, names what it stands on.
fn root(file: &dockerfile::Dockerfile, target: Option<&str>) -> Option<dockerfile::Span> {
    let named = |name: &str| {
        let number = || name.parse::<usize>().ok().and_then(|at| file.stages.get(at));
        file.stage(name).or_else(number)
    };
    let mut stage = target.map_or(file.stages.last(), named)?;
    // A stage can only stand on one above it.
    while let Some(above) = file.stages.get(..stage.index)
        && let Some(below) = above.iter().rev().find(|above| above.is_named(&stage.from.raw))
    {
        stage = below;
    }
    Some(stage.from.span)
}

impl Resolver<'_> {
    /// What a name in a Dockerfile means: a named context, what `from` names, a base or an image,
    /// what one of them publishes, an image of a registry.
    fn named_in(&mut self, name: &str, span: Span, image: &Variant<'_>) -> Option<Named> {
        let Variant { family, values, platform, from } = image;
        let contexts = &family.body.named_contexts;
        let at = contexts.iter().position(|context| reference::same(&context.name.value, name));
        let context = at.and_then(|at| Some((at, contexts.get(at)?)));
        match context.map(|(at, context)| (at, &context.source)) {
            Some((at, ContextSource::Folder(_))) => return Some(Named::Folder(at)),
            Some((_, ContextSource::Node(text))) => {
                let name = text.render(platform, values).ok()?;
                return self.name(&name, text.span, family, values).map(Named::Node);
            }
            Some((_, ContextSource::Image(text))) => {
                let name = text.render(platform, values).ok()?;
                return Some(Named::Node(self.outside(&name, text.span)));
            }
            None => {}
        }
        let own = family.from.as_ref().and_then(|from| from.text.of_variant(values));
        if let (Some(own), Some(from)) = (own, from)
            && own.split('[').next() == Some(name)
        {
            return Some(Named::Node(*from));
        }
        if self.is_known(name) {
            return self.name(name, span, family, values).map(Named::Node);
        }
        Some(Named::Node(self.published(name).unwrap_or_else(|| self.outside(name, span))))
    }
}

/// A variant on a platform, with the node that it names in `from`.
struct Variant<'a> {
    family: &'a Family,
    values: &'a [Arc<str>],
    platform: &'a Platform,
    from: Option<NodeRef>,
}

/// The value of a build argument that is given from outside of the Dockerfile.
fn argument(
    name: &str,
    family: &Family,
    values: &[Arc<str>],
    platform: &Platform,
    machine: &Platform,
) -> Option<String> {
    let over = family.body.overrides.iter().rev();
    let over = over.filter(|over| over.platforms.iter().any(|p| p.value == *platform));
    let given = over.flat_map(|over| &over.args).chain(&family.body.args);
    let mut given = given.filter(|(known, _)| *known.value == *name).map(|(_, value)| value);
    if let Some(value) = given.next() {
        return value.render(platform, values).ok().map(|value| value.into_owned());
    }
    let (field, of) = match (name.strip_prefix("TARGET"), name.strip_prefix("BUILD")) {
        (Some(field), _) => (field, platform),
        (_, Some(field)) => (field, machine),
        _ => return None,
    };
    match field {
        "PLATFORM" => Some(of.to_string()),
        "OS" => Some(of.os.clone()),
        "ARCH" => Some(of.arch.clone()),
        "VARIANT" => Some(of.variant.clone().unwrap_or_default()),
        _ => None,
    }
}

fn has_axis(text: &Text) -> bool {
    text.parts.iter().any(|part| matches!(part, Part::Axis(_)))
}

/// The axes that texts depend on.
fn axes_of<'t>(texts: impl IntoIterator<Item = &'t Text>) -> Vec<usize> {
    let parts = texts.into_iter().flat_map(|text| &text.parts);
    let mut axes: Vec<usize> = parts
        .filter_map(|part| match part {
            Part::Axis(at) => Some(usize::from(*at)),
            Part::Literal(_) | Part::Platform(_) => None,
        })
        .collect();
    axes.sort_unstable();
    axes.dedup();
    axes
}

fn pick(values: &[Arc<str>], axes: &[usize]) -> Values {
    axes.iter().filter_map(|at| values.get(*at).cloned()).collect()
}
