//! `registry HOST { … }` at the top of a file: how a host is spoken to.

use super::check::shown;
use super::text::Cx;
use super::values::{KEEP, number, pem, says_nothing, unique};
use crate::config::{Host, Located, Mirror};
use crate::diag::Diagnostic;
use crate::reference;
use crate::source::Spanned;
use crate::syntax::{Entry, Node};

/// Most requests that one host is sent at once.
const MAX_REQUESTS: i32 = 256;

/// Reads a `registry` with a block.
pub(crate) fn read(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Host> {
    let name = node.args().next().and_then(|entry| name(entry, cx));
    let mut host = Host {
        name: name.clone().unwrap_or_else(|| Spanned::new(String::new(), node.name.span)),
        mirrors: Vec::new(),
        plain_http: None,
        ca: None,
        client: None,
        requests: None,
        max_requests: None,
    };
    for child in node.kids() {
        setting(child, &mut host, cx);
    }
    if says_nothing(node) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                "the block of this `registry` says nothing",
                "needs a setting",
            )
            .help(
                "write `mirror \"…\"`, `ca \"…\"` or another setting in it, or remove the braces",
            ),
        );
    }
    let mirrors: Vec<(String, _)> =
        host.mirrors.iter().map(|mirror| (shown_mirror(mirror), mirror.span)).collect();
    let names = mirrors.iter().map(|(name, span)| (name.as_str(), *span));
    unique(names, "mirror", KEEP, &mut cx.out);
    without_tls(&host, cx);
    name.map(|_| host)
}

fn setting(node: &Node<'_>, host: &mut Host, cx: &mut Cx<'_>) {
    let count = |max, cx: &mut Cx<'_>| {
        number(node, 1..=max, cx).and_then(|number| u32::try_from(number).ok())
    };
    match node.name.text.as_ref() {
        "mirror" => {
            for entry in node.args() {
                host.mirrors.extend(mirror(entry, &host.name, cx));
            }
        }
        "plain-http" => host.plain_http = Some(node.span),
        "ca" => {
            let path = node.args().next().and_then(|entry| pem(entry, cx));
            host.ca = path.map(|path| Spanned::new(path, node.span));
        }
        "client-cert" => host.client = client(node, cx),
        "requests" => host.requests = count(MAX_REQUESTS, cx),
        "max-requests" => host.max_requests = count(i32::MAX, cx),
        _ => {}
    }
}

/// The host that settings are of.
fn name(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Spanned<String>> {
    let text = cx.constant(entry, "the host of a registry")?;
    match reference::registry(&text.value) {
        Ok(found) => {
            let Some(path) = found.path else {
                return Some(Spanned::new(reference::host(found.host), text.span));
            };
            let (host, path) = (shown(found.host), shown(path));
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::value",
                    text.span,
                    "the settings of a registry are those of its whole host",
                    format!("has the path `{path}`"),
                )
                .help(format!(
                    "write `registry \"{host}\" {{ … }}` here, and `registry \"{host}/{path}\"` without a block for where `publish` goes"
                )),
            );
            None
        }
        Err(wrong) => {
            let message = format!("`{}` is not the host of a registry", shown(&text.value));
            cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
            None
        }
    }
}

fn mirror(entry: &Entry<'_>, of: &Spanned<String>, cx: &mut Cx<'_>) -> Option<Mirror> {
    let text = cx.constant(entry, "the address of a mirror")?;
    let wrong = match reference::mirror(&text.value) {
        Ok((tls, found)) => {
            let host = reference::host(found.host);
            if host != of.value || found.path.is_some() {
                let path = found.path.map(str::to_owned);
                return Some(Mirror { span: text.span, host, path, tls });
            }
            crate::diag::Wrong::new("is the registry itself", "name another one, or remove it")
        }
        Err(wrong) => wrong,
    };
    // The address may hold a password, which no log is to show.
    let message = "this is not the address of a mirror";
    cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
    None
}

fn shown_mirror(mirror: &Mirror) -> String {
    match &mirror.path {
        Some(path) => format!("{}/{path}", mirror.host),
        None => mirror.host.clone(),
    }
}

fn client(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Spanned<(Located, Located)>> {
    let certificate = node.args().next();
    let Some(key) = node.prop("key") else {
        // Without a certificate, or with a misspelled property, it was reported as that.
        if let (Some(certificate), [_]) = (certificate, node.entries.as_slice()) {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::missing",
                    certificate.value_span,
                    "a certificate is shown with its key",
                    "has no `key` beside it",
                )
                .help("add `key=\"PATH\"`; both may be in one file"),
            );
        }
        return None;
    };
    let (certificate, key) = (certificate.and_then(|entry| pem(entry, cx)), pem(key, cx));
    Some(Spanned::new((certificate?, key?), node.span))
}

/// Reports certificates for a host that is asked without TLS.
fn without_tls(host: &Host, cx: &mut Cx<'_>) {
    let Some(plain) = host.plain_http else { return };
    let ca = host.ca.iter().map(|ca| ("ca", ca.span));
    let client = host.client.iter().map(|client| ("client-cert", client.span));
    for (word, span) in ca.chain(client) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::stray",
                span,
                format!("`{word}` goes with TLS"),
                "nothing to prove here",
            )
            .and(plain, "asks without TLS")
            .help("remove one of them"),
        );
    }
}
