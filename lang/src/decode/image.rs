//! `image`: nodes built from other nodes.

use std::sync::Arc;

use super::platforms::{self, Asked};
use super::settings;
use super::steps::{self, Steps, arg_name};
use super::text::{Cx, Use};
use crate::config::{Image, Settings, StepOp, Text};
use crate::diag::Diagnostic;
use crate::source::Spanned;
use crate::suggest::did_you_mean;
use crate::syntax::Node;

/// An image before its names and platforms are known.
#[derive(Clone, Debug)]
pub(crate) struct ImageDraft {
    pub image: Image,
    /// Name of the node below; none when it could not be read.
    pub from: Option<Spanned<Arc<str>>>,
    /// Which step copies from which node.
    pub copies: Vec<(usize, Spanned<Arc<str>>)>,
    pub platforms: Asked,
    pub uses: Vec<Use>,
}

/// Reads an image.
pub(crate) fn read(node: &Node<'_>, name: Spanned<Arc<str>>, cx: &mut Cx<'_>) -> ImageDraft {
    cx.name = Some(name.value.clone());
    let mut settings = Settings::default();
    let (mut asked, mut tags, mut args) = (Asked::default(), Vec::new(), Vec::new());
    let (mut from, mut context, mut read) = (None, None, Steps::default());
    for child in node.kids() {
        match child.name.text.as_ref() {
            "from" => from = name_of(child, cx),
            "context" => context = settings::first(child, "the context", cx),
            "arg" => arg(child, &mut args, cx),
            "steps" => read = steps::read(child, cx),
            "platforms" => asked = platforms::asked(child, cx),
            "tags" => settings::tags(child, &mut tags, cx),
            _ => settings::read(child, &mut settings, cx),
        }
    }
    settings::duplicates(&settings, cx);
    // As a property or misspelled it was reported as that.
    let says = |child: &Node<'_>| did_you_mean(&child.name.text, ["from"]).is_some();
    if !node.kids().iter().any(says) && node.prop("from").is_none() {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                "this image does not say what it is built from",
                "needs a `from`",
            )
            .help("write `from \"NAME\"` in its block, or `from \"scratch\"` for an empty image"),
        );
    }
    unused_args(&args, &read, cx);
    if tags.is_empty() {
        tags.push(Text::literal("latest", name.span));
    }
    let image = Image {
        name,
        span: node.span,
        folder: cx.folder.clone(),
        platforms: Arc::from([]),
        from: None,
        context,
        args,
        steps: read.steps,
        settings,
        tags,
    };
    let uses = std::mem::take(&mut cx.uses);
    ImageDraft { image, from, copies: read.copies, platforms: asked, uses }
}

fn name_of(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Spanned<Arc<str>>> {
    let name = cx.constant(node.args().next()?, "the name of a node")?;
    Some(Spanned::new(name.value.into(), name.span))
}

fn arg(node: &Node<'_>, args: &mut Vec<(Spanned<Arc<str>>, Text)>, cx: &mut Cx<'_>) {
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
fn unused_args(args: &[(Spanned<Arc<str>>, Text)], read: &Steps, cx: &mut Cx<'_>) {
    let declared: Vec<&str> = read
        .steps
        .iter()
        .filter_map(|step| match &step.op {
            StepOp::Arg { name, .. } => Some(name.value.as_ref()),
            _ => None,
        })
        .take(1000)
        .collect();
    for (name, _) in args.iter().filter(|(name, _)| !declared.contains(&name.value.as_ref())) {
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
