//! `matrix`: axes, and which combinations of their values there are.

use std::collections::HashMap;
use std::sync::Arc;

use super::check::shown;
use super::lets::RESERVED;
use super::text::{Cx, is_let_name};
use crate::diag::Diagnostic;
use crate::source::{Span, Spanned};
use crate::suggest::did_you_mean;
use crate::syntax::{Entry, Node};

/// Most variants of one image.
pub(crate) const MAX_VARIANTS: usize = 100_000;

/// Most `exclude` and `only` of one matrix: each is held against each combination.
const MAX_PICKS: usize = 1000;

/// The matrix of an image; without axes there is one variant, the image itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matrix {
    pub axes: Vec<Axis>,
    exclude: Vec<Pick>,
    only: Vec<Pick>,
}

/// One axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub name: Spanned<Arc<str>>,
    pub values: Vec<Spanned<Arc<str>>>,
}

/// `exclude` or `only`: values of axes, as indexes of both.
#[derive(Clone, Debug)]
struct Pick {
    span: Span,
    wants: Vec<(usize, usize)>,
}

/// Reads a `matrix`. Its values are known to all other nodes of the image.
pub(crate) fn read(node: &Node<'_>, cx: &mut Cx<'_>) -> Matrix {
    let mut matrix = Matrix::default();
    for child in node.kids() {
        if !matches!(child.name.text.as_ref(), "exclude" | "only")
            && let Some(axis) = axis(child, &matrix, cx)
        {
            matrix.axes.push(axis);
        }
    }
    if matrix.axes.is_empty() {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::matrix",
                node.name.span,
                "this matrix has no axis",
                "makes no variants",
            )
            .help(
                "write an axis and its values in its block: `matrix { python \"3.11\" \"3.12\" }`",
            ),
        );
    }
    let picks = |child: &&Node<'_>| matches!(child.name.text.as_ref(), "exclude" | "only");
    if let Some(first) = node.kids().iter().filter(picks).nth(MAX_PICKS) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::matrix",
                first.name.span,
                format!("this matrix has more than {MAX_PICKS} `exclude` and `only`"),
                "one too many",
            )
            .help(
                "name fewer axes in each, so that it picks more, or split the image into several",
            ),
        );
    }
    for child in node.kids().iter().filter(picks).take(MAX_PICKS) {
        match child.name.text.as_ref() {
            "exclude" => matrix.exclude.extend(pick(child, &matrix.axes, cx)),
            "only" => matrix.only.extend(pick(child, &matrix.axes, cx)),
            _ => {}
        }
    }
    matrix
}

fn axis(node: &Node<'_>, matrix: &Matrix, cx: &mut Cx<'_>) -> Option<Axis> {
    let (name, span) = (node.name.text.as_ref(), node.name.span);
    let error = |message: String, label: &str| {
        Diagnostic::error("mabuild::lang::name", span, message, label)
    };
    // `version` is that of a base's root file system, and no image has one.
    if RESERVED.contains(&name) && name != "version" {
        cx.out.push(
            error(format!("`{name}` cannot be the name of an axis"), "has a meaning of its own")
                .help("choose another name"),
        );
        return None;
    }
    if !is_let_name(name) {
        cx.out.push(
            error(format!("`{}` cannot be the name of an axis", shown(name)), "not a name")
                .help("a name begins with a letter and has letters, digits, `_` and `-`"),
        );
        return None;
    }
    if let Some(first) = matrix.axes.iter().find(|axis| &*axis.name.value == name) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::duplicate",
                span,
                format!("the axis `{name}` is there twice"),
                "again here",
            )
            .and(first.name.span, "first here")
            .help("write all values of an axis in one line"),
        );
        return None;
    }
    if matrix.axes.len() >= 64 {
        return None;
    }
    let mut values: Vec<Spanned<Arc<str>>> = Vec::new();
    for entry in node.args() {
        let Some(value) = value(entry, cx) else { continue };
        match values.iter().find(|known| known.value == value.value) {
            Some(first) => cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::duplicate",
                    value.span,
                    format!("`{name}` has the value `{}` twice", value.value),
                    "again here",
                )
                .and(first.span, "first here")
                .help("remove one of them"),
            ),
            None if values.len() < MAX_VALUES => values.push(value),
            None => {}
        }
    }
    let name = Spanned::new(Arc::from(name), span);
    (!values.is_empty()).then_some(Axis { name, values })
}

/// Most values of one axis.
const MAX_VALUES: usize = 1000;

/// A value of an axis: part of the names of variants and, mostly, of tags.
fn value(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Spanned<Arc<str>>> {
    let value = cx.constant(entry, "the value of an axis")?;
    let good = value.value.starts_with(|c: char| c.is_ascii_alphanumeric())
        && value
            .value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+'))
        && value.value.len() <= 64;
    if good {
        return Some(Spanned::new(value.value.into(), value.span));
    }
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::value",
            value.span,
            format!("`{}` cannot be the value of an axis", shown(&value.value)),
            "not allowed here",
        )
        .help("a value has letters, digits, `.`, `_`, `-` and `+`, begins with a letter or a digit, and has 64 characters at most"),
    );
    None
}

fn pick(node: &Node<'_>, axes: &[Axis], cx: &mut Cx<'_>) -> Option<Pick> {
    let mut pick = Pick { span: node.span, wants: Vec::new() };
    if node.entries.iter().all(|entry| entry.name.is_none()) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                format!("`{}` needs values of axes", node.name.text),
                "nothing follows",
            )
            .help(format!("write `{} AXIS=\"VALUE\"`", node.name.text)),
        );
        return None;
    }
    let mut whole = true;
    for entry in &node.entries {
        let Some(name) = &entry.name else { continue };
        let Some(value) = cx.constant(entry, "the value of an axis") else {
            whole = false;
            continue;
        };
        let Some(at) = axes.iter().position(|axis| *axis.name.value == *name.text) else {
            whole = false;
            let known = axes.iter().map(|axis| &*axis.name.value);
            cx.out.push(unknown_axis(&name.text, name.span, known));
            continue;
        };
        match axes
            .get(at)
            .and_then(|axis| axis.values.iter().position(|v| *v.value == *value.value))
        {
            // One axis given twice was reported.
            Some(value) if pick.wants.iter().all(|(axis, _)| *axis != at) => {
                pick.wants.push((at, value));
            }
            Some(_) => whole = false,
            None => {
                whole = false;
                if let Some(axis) = axes.get(at) {
                    cx.out.push(unknown_value(&value.value, value.span, axis, None));
                }
            }
        }
    }
    whole.then_some(pick)
}

/// The error for a name that is no axis of a matrix.
pub(crate) fn unknown_axis<'n>(
    name: &str,
    span: Span,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Diagnostic {
    let names: Vec<String> = known.clone().map(|name| format!("`{name}`")).collect();
    let help = match did_you_mean(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "it has no matrix".to_owned(),
        None => format!("its axes are {}", names.join(", ")),
    };
    Diagnostic::error(
        "mabuild::lang::matrix",
        span,
        format!("there is no axis `{}`", shown(name)),
        "not an axis",
    )
    .help(help)
}

/// The error for a value that an axis does not have; `whose` is the image of the axis.
pub(crate) fn unknown_value(
    value: &str,
    span: Span,
    axis: &Axis,
    whose: Option<&str>,
) -> Diagnostic {
    let known = axis.values.iter().map(|value| &*value.value);
    let help = match did_you_mean(value, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let names: Vec<String> = known.take(20).map(|name| format!("`{name}`")).collect();
            format!("its values are {}", names.join(", "))
        }
    };
    let of = whose.map(|name| format!(" of `{name}`")).unwrap_or_default();
    Diagnostic::error(
        "mabuild::lang::matrix",
        span,
        format!("`{}`{of} has no value `{}`", axis.name.value, shown(value)),
        "not a value of the axis",
    )
    .and(axis.name.span, "the axis")
    .help(help)
}

impl Matrix {
    /// The values of each variant, in the order written: the last axis moves fastest.
    pub fn variants(
        &self,
        image: &Spanned<Arc<str>>,
        out: &mut Vec<Diagnostic>,
    ) -> Vec<Arc<[Arc<str>]>> {
        if self.axes.is_empty() {
            return vec![Arc::from([])];
        }
        let whole = self.axes.iter().try_fold(1_usize, |all, axis| {
            all.checked_mul(axis.values.len()).filter(|all| *all <= MAX_VARIANTS)
        });
        let Some(whole) = whole else {
            out.push(
                Diagnostic::error(
                    "mabuild::lang::matrix",
                    image.span,
                    format!("`{}` has more than {MAX_VARIANTS} variants", image.value),
                    "too many",
                )
                .help("`exclude` and `only` come after the limit: split the image into several"),
            );
            return Vec::new();
        };
        // Each combination looks at the picks that name one of its values first.
        let mut by_first: HashMap<(usize, usize), Vec<(usize, &Pick)>> = HashMap::new();
        for (number, pick) in self.exclude.iter().chain(&self.only).enumerate() {
            if let Some(first) = pick.wants.first() {
                by_first.entry(*first).or_default().push((number, pick));
            }
        }
        let mut met = vec![false; self.exclude.len() + self.only.len()];
        let mut variants = Vec::with_capacity(whole);
        let mut at = vec![0_usize; self.axes.len()];
        for _ in 0..whole {
            let fits = |pick: &Pick| pick.wants.iter().all(|(axis, v)| at.get(*axis) == Some(v));
            let (mut kept, mut excluded) = (self.only.is_empty(), false);
            for want in at.iter().copied().enumerate() {
                let picks = by_first.get(&want).into_iter().flatten();
                for (number, _) in picks.filter(|(_, pick)| fits(pick)) {
                    met.get_mut(*number).into_iter().for_each(|met| *met = true);
                    match *number < self.exclude.len() {
                        true => excluded = true,
                        false => kept = true,
                    }
                }
            }
            if kept && !excluded {
                let values = self.axes.iter().zip(&at).filter_map(|(axis, v)| axis.values.get(*v));
                variants.push(values.map(|value| value.value.clone()).collect());
            }
            for (axis, value) in self.axes.iter().zip(&mut at).rev() {
                *value += 1;
                if *value < axis.values.len() {
                    break;
                }
                *value = 0;
            }
        }
        for (pick, _) in self.exclude.iter().chain(&self.only).zip(met).filter(|(_, met)| !met) {
            out.push(
                Diagnostic::warning(
                    "mabuild::lang::matrix",
                    pick.span,
                    "no combination has these values",
                    "changes nothing",
                )
                .help("an axis has one value at a time"),
            );
        }
        if variants.is_empty() {
            out.push(
                Diagnostic::error(
                    "mabuild::lang::matrix",
                    image.span,
                    format!("`{}` has no variant left", image.value),
                    "needs one",
                )
                .help("remove an `exclude`, or add an `only`"),
            );
        }
        variants
    }
}

/// The name of a variant: `python[3.12,bookworm]`.
pub(crate) fn variant_name(image: &Arc<str>, values: &[Arc<str>]) -> Arc<str> {
    if values.is_empty() {
        return image.clone();
    }
    let mut name = format!("{image}[");
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            name.push(',');
        }
        name.push_str(value);
    }
    name.push(']');
    name.into()
}
