//! `image`: nodes built from other nodes.

use std::collections::HashMap;
use std::sync::Arc;

use super::matrix::{self, Matrix};
use super::platforms::{self, Asked};
use super::reference::{self, Reference};
use super::steps::{self, Steps, arg_name};
use super::template::Templates;
use super::text::{Cx, Use};
use super::{dockerfile, moves, publish, publishing, secret, settings, tests};
use crate::config::{
    self, Body, Dockerfile, Located, Mode, Moves, NamedContext, Override, Part, Publishing, Secret,
    Settings, StepOp, Test, Text, Watch,
};
use crate::diag::Diagnostic;
use crate::source::{Span, Spanned};
use crate::suggest::did_you_mean;
use crate::syntax::Node;

/// An image before its variants, names and platforms are known.
#[derive(Clone, Debug)]
pub(crate) struct ImageDraft {
    pub body: Body,
    pub matrix: Matrix,
    /// The node below; none when it could not be read.
    pub from: Option<Reference>,
    /// Nodes that steps copy from.
    pub copies: Vec<Reference>,
    pub platforms: Asked,
    pub uses: Vec<Use>,
}

/// Arguments of a build with their values.
type Args = Vec<(Spanned<Arc<str>>, Text)>;

/// What one source, a template or the image itself, adds to that of others.
#[derive(Default)]
struct Own {
    args: Args,
    settings: Settings,
    publishing: Publishing,
    contexts: Vec<NamedContext>,
    secrets: Vec<Secret>,
    tests: Vec<Test>,
}

/// What is read of an image so far.
#[derive(Default)]
struct Reading {
    from: Option<Reference>,
    dockerfile: Option<Dockerfile>,
    target: Option<Text>,
    context: Option<Located>,
    contexts: Vec<NamedContext>,
    secrets: Vec<Secret>,
    mode: Option<Spanned<Mode>>,
    args: Args,
    steps: Steps,
    /// The first `steps` node.
    steps_at: Option<Span>,
    settings: Settings,
    overrides: Vec<Override>,
    platforms: Asked,
    moves: Moves,
    watch: Option<Watch>,
    tags: Vec<Text>,
    arch_tags: Option<Span>,
    publish: Vec<Text>,
    publishing: Publishing,
    tests: Vec<Test>,
}

/// Reads an image, with the templates that it uses.
pub(crate) fn read<'a>(
    node: &'a Node<'a>,
    name: Spanned<Arc<str>>,
    templates: &Templates<'a>,
    cx: &mut Cx<'a>,
) -> ImageDraft {
    cx.name = Some(name.value.clone());
    let own = cx.home();
    let pieces = templates.pieces(node, cx);
    let mut matrix = Matrix::default();
    if let Some(piece) = pieces.iter().find(|piece| piece.node.name.text == "matrix") {
        cx.enter(piece.home);
        matrix = matrix::read(piece.node, cx);
    }
    cx.axes = matrix.axes.iter().map(|axis| axis.name.value.clone()).collect();
    let mut reading = Reading::default();
    // The pieces of one source stand together: within it nothing may be said twice, and what it
    // says counts more than what the sources before it do.
    for source in pieces.chunk_by(|one, next| one.by == next.by) {
        let mut own = Own::default();
        let before = cx.out.len();
        for piece in source {
            cx.enter(piece.home);
            child(piece.node, &mut own, &mut reading, cx);
        }
        settings::duplicates(&own.settings, cx);
        publishing::duplicates(&own.publishing, cx);
        dockerfile::duplicates(&own.contexts, cx);
        secret::duplicates(&own.secrets, cx);
        tests::duplicates(&own.tests, cx);
        if let Some(template) = source.first().and_then(|piece| piece.by) {
            for diagnostic in cx.out.iter_mut().skip(before) {
                let told = format!("`{}` takes it from the template `{template}`", name.value);
                diagnostic.labels.push((name.span, told));
            }
        }
        reading.settings.overlay(own.settings);
        reading.publishing.overlay(own.publishing);
        config::overlay_args(&mut reading.args, own.args);
        replace(&mut reading.contexts, own.contexts, |context| &context.name.value);
        replace(&mut reading.secrets, own.secrets, |secret| &secret.id.value);
        replace(&mut reading.tests, own.tests, |test| &test.name.value);
    }
    cx.enter(own);
    finish(node, name, pieces.iter().map(|piece| piece.node), reading, matrix, cx)
}

/// Puts more things into a list, each in the place of one with its name.
fn replace<T>(list: &mut Vec<T>, more: Vec<T>, name: impl Fn(&T) -> &Arc<str>) {
    let mut place: HashMap<Arc<str>, usize> =
        list.iter().enumerate().map(|(at, thing)| (name(thing).clone(), at)).collect();
    for thing in more {
        match place.get(name(&thing)).and_then(|at| list.get_mut(*at)) {
            Some(known) => *known = thing,
            None => {
                place.insert(name(&thing).clone(), list.len());
                list.push(thing);
            }
        }
    }
}

fn child(node: &Node<'_>, own: &mut Own, into: &mut Reading, cx: &mut Cx<'_>) {
    match node.name.text.as_ref() {
        "from" => into.from = reference::node(node, cx),
        "context" => {
            let text = settings::first(node, "the context", cx);
            into.context = text.map(|text| cx.located(text));
        }
        "dockerfile" => into.dockerfile = dockerfile::read(node, cx),
        "target" => into.target = settings::first(node, "the stage", cx),
        "named-context" => own.contexts.extend(dockerfile::named_context(node, cx)),
        "secret" => own.secrets.extend(secret::read(node, cx)),
        "mode" => into.mode = Some(Spanned::new(dockerfile::mode(node, cx), node.span)),
        "test" => cx.undated(|cx| own.tests.extend(tests::read(node, cx))),
        "publish" => cx.undated(|cx| publish::read(node, &mut into.publish, cx)),
        "arch-tags" => into.arch_tags = Some(node.span),
        "hold" | "pin" => moves::read(node, &mut into.moves, cx),
        "watch" => into.watch = moves::watch(node, cx),
        "arg" => arg(node, &mut own.args, cx),
        "steps" => {
            into.steps_at.get_or_insert(node.name.span);
            steps::read(node, None, &mut into.steps, cx);
        }
        "on-platform" => on_platform(node, into, cx),
        "platforms" => into.platforms = platforms::asked(node, cx),
        "tags" => cx.undated(|cx| settings::tags(node, &mut into.tags, cx)),
        word if publishing::is_one(word) => publishing::read(node, &mut own.publishing, cx),
        _ => settings::read(node, &mut own.settings, cx),
    }
}

fn finish<'a>(
    node: &Node<'a>,
    name: Spanned<Arc<str>>,
    children: impl Iterator<Item = &'a Node<'a>>,
    mut reading: Reading,
    matrix: Matrix,
    cx: &mut Cx<'_>,
) -> ImageDraft {
    publish::duplicates(&reading.publish, cx);
    // As a property or misspelled it was reported as that.
    let says = |child: &&Node<'_>| did_you_mean(&child.name.text, ["from", "dockerfile"]).is_some();
    let children: Vec<&Node<'_>> = children.collect();
    if !children.iter().any(says) && node.prop("from").is_none() {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                "this image does not say what it is built from",
                "needs a `from` or a `dockerfile`",
            )
            .help("write `from \"NAME\"` in its block, or `from \"scratch\"` for an empty image"),
        );
    }
    belongs_together(&name, &reading, cx);
    moves::together(&reading.moves, None, cx);
    nothing_moves(node, &reading, cx);
    if !children.iter().any(|child| child.name.text == "publish") {
        publishing::idle(&reading.publishing, &name.value, |span| is_own(node, span), cx);
    }
    if reading.dockerfile.is_none() {
        unused_args(node, &reading, cx);
    }
    if reading.tags.is_empty() {
        reading.tags.push(default_tag(&name, &matrix));
    }
    cx.report_dates();
    let mode = reading.mode.unwrap_or(Spanned::new(Mode::Auto, name.span));
    let body = Body {
        name,
        span: node.span,
        folder: cx.folder.clone(),
        axes: cx.axes.clone().into(),
        dockerfile: reading.dockerfile,
        target: reading.target,
        context: reading.context,
        named_contexts: reading.contexts,
        secrets: reading.secrets,
        mode,
        args: reading.args,
        steps: reading.steps.steps,
        settings: reading.settings,
        overrides: reading.overrides,
        tags: reading.tags,
        arch_tags: reading.arch_tags,
        publish: reading.publish,
        publishing: reading.publishing,
        tests: reading.tests,
        moves: reading.moves,
        watch: reading.watch,
    };
    let uses = std::mem::take(&mut cx.uses);
    let (from, platforms, copies) = (reading.from, reading.platforms, reading.steps.copies);
    ImageDraft { body, matrix, from, copies, platforms, uses }
}

/// Reports what has a meaning beside a Dockerfile alone, and what has none there.
fn belongs_together(name: &Spanned<Arc<str>>, reading: &Reading, cx: &mut Cx<'_>) {
    let code = "mabuild::lang::stray";
    if let Some(dockerfile) = &reading.dockerfile {
        let steps = reading.steps_at.or(reading.steps.steps.first().map(|step| step.span));
        if let Some(steps) = steps {
            let message = format!("`{}` has a Dockerfile and steps", name.value);
            cx.out.push(
                Diagnostic::error(code, steps, message, "the steps")
                    .and(dockerfile.span, "the Dockerfile")
                    .help("keep one of them; an image of its own can add steps: `from` this one"),
            );
        }
        return;
    }
    let target = reading.target.iter().map(|target| ("target", target.span));
    let contexts = reading.contexts.iter().map(|context| ("named-context", context.span));
    let secrets = reading.secrets.iter().map(|secret| ("secret", secret.span));
    for (word, span) in target.chain(contexts).chain(secrets) {
        let message = format!("`{word}` needs a Dockerfile, and `{}` has none", name.value);
        cx.out.push(
            Diagnostic::error(code, span, message, "changes nothing")
                .help("write `dockerfile \"PATH\"` in the image, or remove it"),
        );
    }
}

/// Warns of what an image says of its moving where nothing of it moves.
fn nothing_moves(node: &Node<'_>, reading: &Reading, cx: &mut Cx<'_>) {
    let steps = || reading.steps.steps.iter().map(|step| &step.op);
    let runs = reading.dockerfile.is_some() || steps().any(|op| matches!(op, StepOp::Run(_)));
    if let Some(watch) = reading.watch.as_ref().filter(|watch| is_own(node, watch.span) && !runs) {
        let help = "remove it; packages of `packages` are in the lock, and move with `mabuild upstream update`";
        moves::idle("watch", watch.span, "no program of this image installs packages", help, cx);
    }
    let installs = steps().any(|op| matches!(op, StepOp::Packages { .. }));
    if reading.watch.is_some() || installs {
        return;
    }
    let hold = reading.moves.hold.as_ref().map(|hold| ("hold", hold.span));
    let pin = reading.moves.pin.map(|span| ("pin", span));
    for (word, span) in hold.into_iter().chain(pin).filter(|(_, span)| is_own(node, *span)) {
        let help = format!("write `{word}` in the base that it is meant for, or remove it");
        moves::idle(word, span, "this image has no packages that move", &help, cx);
    }
}

/// Whether a place is in a node itself: a template may well say more than each of its images needs.
fn is_own(node: &Node<'_>, span: Span) -> bool {
    span.file == node.span.file && (node.span.start..node.span.end).contains(&span.start)
}

/// `latest`, and for variants the values of the axes: `3.12-bookworm`.
fn default_tag(name: &Spanned<Arc<str>>, matrix: &Matrix) -> Text {
    let mut parts = Vec::new();
    for at in 0..matrix.axes.len() as u16 {
        if at > 0 {
            parts.push(Part::Literal("-".to_owned()));
        }
        parts.push(Part::Axis(at));
    }
    if parts.is_empty() {
        parts.push(Part::Literal("latest".to_owned()));
    }
    Text { parts, span: name.span }
}

/// Reads `on-platform`: settings and arguments into an override, steps to the end of the steps.
fn on_platform(node: &Node<'_>, into: &mut Reading, cx: &mut Cx<'_>) {
    let platforms: Arc<[_]> = platforms::list(node, cx).into();
    let (mut args, mut settings) = (Vec::new(), Settings::default());
    for child in node.kids() {
        match child.name.text.as_ref() {
            "arg" => arg(child, &mut args, cx),
            _ => settings::read(child, &mut settings, cx),
        }
    }
    settings::duplicates(&settings, cx);
    steps::read_among_settings(node, &platforms, &mut into.steps, cx);
    into.overrides.push(Override { platforms, args, settings });
}

fn arg(node: &Node<'_>, args: &mut Args, cx: &mut Cx<'_>) {
    let mut entries = node.args();
    let (Some(name), Some(value)) = (entries.next(), entries.next()) else { return };
    let (Some(name), Some(value)) = (arg_name(name, cx), cx.string(value)) else { return };
    match args.iter().find(|(known, _)| known.value == name.value) {
        Some((first, _)) => cx.out.push(
            Diagnostic::error(
                "mabuild::lang::duplicate",
                name.span,
                format!("the argument `{}` is given twice", name.value),
                "again here",
            )
            .and(first.span, "first here")
            .help("keep one of them"),
        ),
        // No image has more; a hostile list would take quadratic time.
        None if args.len() < 1000 => args.push((name, value)),
        None => {}
    }
}

/// An argument that no step declares changes nothing, which is hardly what was meant.
fn unused_args(node: &Node<'_>, reading: &Reading, cx: &mut Cx<'_>) {
    let declared: Vec<&str> = reading
        .steps
        .steps
        .iter()
        .filter_map(|step| match &step.op {
            StepOp::Arg { name, .. } => Some(name.value.as_ref()),
            _ => None,
        })
        .take(1000)
        .collect();
    let given = reading.args.iter().chain(reading.overrides.iter().flat_map(|o| &o.args));
    let given = given.filter(|(name, _)| is_own(node, name.span));
    for (name, _) in given.filter(|(name, _)| !declared.contains(&name.value.as_ref())) {
        let help = match did_you_mean(&name.value, declared.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                format!("write `arg \"{}\"` in `steps`, before the step that uses it", name.value)
            }
        };
        cx.out.push(
            Diagnostic::warning(
                "mabuild::lang::arg",
                name.span,
                format!("no step declares the argument `{}`", name.value),
                "changes nothing",
            )
            .help(help),
        );
    }
}
