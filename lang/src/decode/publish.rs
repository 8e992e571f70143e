//! `publish` and the `registry` of the file: where images are pushed to.

use super::check::shown;
use super::text::Cx;
use super::values::{KEEP, unique};
use crate::config::Text;
use crate::diag::Wrong;
use crate::reference::{self, Reference};
use crate::source::Spanned;
use crate::syntax::Node;

/// Reads one `publish` node.
pub(crate) fn read(node: &Node<'_>, repositories: &mut Vec<Text>, cx: &mut Cx<'_>) {
    for entry in node.args() {
        let Some(text) = cx.of_variant(entry, "a repository") else { continue };
        match text.constant().map_or(Ok(()), |text| reference::repository(text).map(|_| ())) {
            Ok(()) => repositories.push(text),
            Err(wrong) => {
                let written = shown(text.constant().unwrap_or_default());
                let message = format!("`{written}` is not a repository");
                cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
            }
        }
    }
}

/// Reports repositories that one node names twice.
pub(crate) fn duplicates(repositories: &[Text], cx: &mut Cx<'_>) {
    let names = repositories.iter().filter_map(|text| Some((text.constant()?, text.span)));
    unique(names, "repository", KEEP, &mut cx.out);
}

/// Reads the `registry` at the top of a file.
pub(crate) fn registry(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Spanned<String>> {
    let text = cx.constant(node.args().next()?, "a registry")?;
    match reference::registry(&text.value) {
        Ok(_) => Some(text),
        Err(wrong) => {
            let message = format!("`{}` is not a registry", shown(&text.value));
            cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
            None
        }
    }
}

/// Reads the `remote-cache` at the top of a file.
pub(crate) fn remote_cache(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Spanned<String>> {
    let text = cx.constant(node.args().next()?, "a repository")?;
    let wrong = match reference::repository(&text.value) {
        Ok(_) => return Some(text),
        // What is said of a tag elsewhere is no help here.
        Err(_) if reference::parse(&text.value).is_ok_and(|r| is_one_version(&r)) => Wrong::new(
            "has a tag or a digest",
            "name the repository alone; mabuild gives the tags in it",
        ),
        Err(wrong) => wrong,
    };
    let message = format!("`{}` is not a repository", shown(&text.value));
    cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
    None
}

fn is_one_version(reference: &Reference<'_>) -> bool {
    reference.tag.is_some() || reference.digest.is_some()
}
