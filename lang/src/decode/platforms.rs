//! `platforms`: lists of platforms.

use super::check::shown;
use super::text::Cx;
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::source::{Span, Spanned};
use crate::suggest::did_you_mean;
use crate::syntax::Node;

/// What a base or an image says of its platforms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Asked {
    /// Nothing: the default, or those of the node below.
    #[default]
    Inherited,
    /// These.
    Own(Vec<Spanned<Platform>>),
    /// What it would have otherwise, without these.
    Except(Vec<Spanned<Platform>>),
}

/// Reads `platforms "…"` or `platforms except="…,…"` of a base or an image.
pub(crate) fn asked(node: &Node<'_>, cx: &mut Cx<'_>) -> Asked {
    let own = list(node, cx);
    let Some(except) = node.prop("except") else {
        if node.args().next().is_none() {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::missing",
                    node.name.span,
                    "`platforms` needs platforms",
                    "nothing follows",
                )
                .help("write `platforms \"linux/amd64\" \"linux/arm64\"`"),
            );
            return Asked::Inherited;
        }
        // A list of which nothing could be read is as good as none.
        return if own.is_empty() { Asked::Inherited } else { Asked::Own(own) };
    };
    if node.args().next().is_some() {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::stray",
                except.span,
                "a list of platforms needs no `except`",
                "the platforms are listed beside it",
            )
            .help("leave the platform out of the list, or remove the list"),
        );
        return Asked::Own(own);
    }
    let Some(text) = cx.constant(except, "a platform") else { return Asked::Inherited };
    let platforms = text
        .value
        .split(',')
        .filter_map(|name| platform(name.trim(), text.span, cx))
        .map(|platform| Spanned::new(platform, text.span))
        .collect();
    Asked::Except(platforms)
}

/// Reads the arguments of a `platforms` node, each platform once.
pub(crate) fn list(node: &Node<'_>, cx: &mut Cx<'_>) -> Vec<Spanned<Platform>> {
    let mut platforms: Vec<Spanned<Platform>> = Vec::new();
    for entry in node.args() {
        let Some(name) = cx.constant(entry, "a platform") else { continue };
        let Some(platform) = platform(&name.value, name.span, cx) else { continue };
        match platforms.iter().find(|known| known.value == platform) {
            Some(first) => cx.out.push(
                Diagnostic::warning(
                    "mabuild::lang::platform",
                    name.span,
                    format!("`{platform}` is listed twice"),
                    "again here",
                )
                .and(first.span, "first here")
                .help("remove one of them"),
            ),
            // No list of real platforms is longer; a hostile one would take quadratic time.
            None if platforms.len() < 200 => platforms.push(Spanned::new(platform, name.span)),
            None => {}
        }
    }
    platforms
}

/// Reads one platform, reporting one that is none or not known.
pub(super) fn platform(name: &str, span: Span, cx: &mut Cx<'_>) -> Option<Platform> {
    match Platform::parse(name) {
        Ok(platform) => {
            // Nearly all are written in their normal form, which is found faster as a whole.
            if !Platform::known().any(|known| known == name) && !platform.is_known() {
                let full = Platform::parse(&format!("linux/{name}")).ok();
                let full = full.filter(Platform::is_known).map(|platform| platform.to_string());
                let near = did_you_mean(&platform.to_string(), Platform::known());
                let help = match full.as_deref().or(near) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        let known: Vec<&str> = Platform::known().collect();
                        format!("known are {}", known.join(", "))
                    }
                };
                cx.out.push(
                    Diagnostic::warning(
                        "mabuild::lang::platform",
                        span,
                        format!("`{}` is not a known platform", shown(name)),
                        "not known",
                    )
                    .help(help),
                );
            }
            Some(platform)
        }
        Err(_) => {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::platform",
                    span,
                    format!("`{}` is not a platform", shown(name)),
                    "not of the form os/arch[/variant]",
                )
                .help(match several(name) {
                    Some(several) => format!("write each of them as a value: {several}"),
                    None => "write it like `linux/amd64` or `linux/arm/v7`".to_owned(),
                }),
            );
            None
        }
    }
}

/// Platforms that stand in one text, each in quotes of its own.
fn several(text: &str) -> Option<String> {
    let names: Vec<&str> =
        text.split([',', ' ']).filter(|name| !name.is_empty()).take(20).collect();
    let whole = names.len() > 1 && names.iter().all(|name| Platform::parse(name).is_ok());
    let quoted: Vec<String> = names.iter().map(|name| format!("`\"{name}\"`")).collect();
    whole.then(|| quoted.join(" "))
}
