//! `builder`: workers of BuildKit.

use std::sync::Arc;

use super::text::Cx;
use super::values::{KEEP, RENAME, integer, part_of, pem, says_nothing, unique};
use super::{address, platforms};
use crate::config::{Builder, Tls, Worker};
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::source::{Span, Spanned};
use crate::syntax::{Entry, Node};

/// Most builds that one worker is given at a time.
const MAX_PARALLEL: i32 = 1024;

/// Reads a builder.
pub(crate) fn read(node: &Node<'_>, name: Spanned<Arc<str>>, cx: &mut Cx<'_>) -> Builder {
    let mut workers = Vec::new();
    for child in node.kids().iter().filter(|child| child.name.text == "buildkit") {
        block(child, &mut workers, cx);
    }
    if says_nothing(node) {
        let place = ("this builder has no workers", node.name.span);
        nothing(place, "write `buildkit { node \"NAME\" \"tcp://HOST:1234\" }` in its block", cx);
    }
    let names =
        workers.iter().map(|worker: &Worker| (worker.name.value.as_ref(), worker.name.span));
    unique(names, "worker", RENAME, &mut cx.out);
    Builder { name, span: node.span, workers }
}

fn block(node: &Node<'_>, workers: &mut Vec<Worker>, cx: &mut Cx<'_>) {
    if says_nothing(node) {
        let place = ("`buildkit` names no workers", node.name.span);
        nothing(place, "write `node \"NAME\" \"tcp://HOST:1234\"` in its block", cx);
    }
    for child in node.kids().iter().filter(|child| child.name.text == "node") {
        workers.extend(worker(child, cx));
    }
}

fn nothing((message, span): (&str, Span), help: &str, cx: &mut Cx<'_>) {
    let error = Diagnostic::error("mabuild::lang::missing", span, message, "needs a worker");
    cx.out.push(error.help(help));
}

fn worker(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Worker> {
    let name = super::name(node, cx);
    let address = node.args().nth(1).and_then(|entry| address(entry, cx));
    let platforms = node.prop("platforms").map(|entry| platforms_of(entry, cx)).unwrap_or_default();
    let parallel = integer(node, "parallel", 1..=MAX_PARALLEL, cx);
    let tls = node.kids().iter().find(|child| child.name.text == "tls");
    let tls = tls.map(|tls| {
        if let Some(address) = address.as_ref().filter(|address| !address.value.starts_with("tcp:"))
        {
            tls_needs_tcp(tls.name.span, address.span, cx);
        }
        self::tls(tls, cx)
    });
    Some(Worker {
        name: name?,
        span: node.span,
        address: address?,
        platforms,
        parallel: parallel.and_then(|count| u32::try_from(count).ok()),
        tls,
    })
}

fn address(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Spanned<String>> {
    let text = cx.constant(entry, "the address of a worker")?;
    match address::worker(&text.value) {
        Ok(()) => Some(text),
        Err(wrong) => {
            // The address may hold a password, which no log is to show.
            let message = "this is not the address of a worker";
            cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
            None
        }
    }
}

/// Platforms with commas between, each once.
fn platforms_of(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Vec<Spanned<Platform>> {
    let Some(text) = cx.constant(entry, "a list of platforms") else { return Vec::new() };
    let mut platforms: Vec<Spanned<Platform>> = Vec::new();
    let mut offset = 0;
    for part in text.value.split(',') {
        let (start, name) = (offset + part.len() - part.trim_start().len(), part.trim());
        offset += part.len() + 1;
        let span = part_of(&text, start..start + name.len(), cx);
        if name.is_empty() {
            no_platform(span, cx);
            continue;
        }
        let Some(platform) = platforms::platform(name, span, cx) else { continue };
        platforms.push(Spanned::new(platform, span));
    }
    let names: Vec<(String, Span)> =
        platforms.iter().map(|platform| (platform.value.to_string(), platform.span)).collect();
    unique(names.iter().map(|(name, span)| (name.as_str(), *span)), "platform", KEEP, &mut cx.out);
    platforms
}

fn no_platform(span: Span, cx: &mut Cx<'_>) {
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::platform",
            span,
            "a list of platforms has one comma between two of them",
            "no platform here",
        )
        .help("remove the comma, or write a platform: `linux/amd64,linux/arm64`"),
    );
}

fn tls_needs_tcp(tls: Span, address: Span, cx: &mut Cx<'_>) {
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::stray",
            tls,
            "`tls` goes with a `tcp://` address",
            "nothing to prove here",
        )
        .and(address, "is no connection over the network, or has keys of its own")
        .help("remove it, or write a `tcp://` address"),
    );
}

fn tls(node: &Node<'_>, cx: &mut Cx<'_>) -> Tls {
    let [ca, cert, key] = ["ca", "cert", "key"].map(|name| node.prop(name));
    for (has, lacks, name, of) in [(cert, key, "key", "cert"), (key, cert, "cert", "key")] {
        if let (Some(entry), None) = (has, lacks) {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::missing",
                    entry.span,
                    "`cert` and `key` come together",
                    format!("has no `{name}` beside it"),
                )
                .help(format!("add `{name}=\"PATH\"`, or remove `{of}`")),
            );
        }
    }
    // What is misspelled was reported as that.
    if node.entries.is_empty() {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                "`tls` names no file",
                "nothing follows",
            )
            .help("write `tls ca=\"ca.pem\" cert=\"cert.pem\" key=\"key.pem\"`"),
        );
    }
    let mut file = |entry: Option<&Entry<'_>>| pem(entry?, cx);
    Tls { span: node.span, ca: file(ca), cert: file(cert), key: file(key) }
}
