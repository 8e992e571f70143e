//! Settings of hosts of registries: each host once, and what they say of each other.

use std::collections::HashMap;

use crate::config::{Config, Host, Mirror};
use crate::decode::check::shown;
use crate::diag::Diagnostic;
use crate::reference::{self, is_loopback};
use crate::source::Span;

/// Takes the settings of a host, where there are none yet.
pub(super) fn add(
    host: Host,
    hosts: &mut Vec<Host>,
    places: &mut HashMap<String, Span>,
    out: &mut Vec<Diagnostic>,
) {
    let Host { name, .. } = &host;
    match places.get(&name.value) {
        Some(first) => out.push(
            Diagnostic::error(
                "mabuild::lang::duplicate",
                name.span,
                format!("there are settings of `{}` already", shown(&name.value)),
                "again here",
            )
            .and(*first, "first here")
            .help("put both into one block"),
        ),
        None => {
            places.insert(name.value.clone(), name.span);
            hosts.push(host);
        }
    }
}

/// Reports mirrors that are asked in another way than their own settings say, and a place for
/// results of steps that names no registry.
pub(super) fn check(config: &Config, out: &mut Vec<Diagnostic>) {
    let plain: HashMap<&str, Span> = config
        .hosts
        .iter()
        .filter_map(|host| Some((host.name.value.as_str(), host.plain_http?)))
        .collect();
    for mirror in config.hosts.iter().flat_map(|host| &host.mirrors) {
        let declared = plain.get(mirror.host.as_str());
        match (mirror.tls, declared) {
            (Some(false), None) if !is_loopback(&mirror.host) => out.push(not_allowed(mirror)),
            (Some(true), Some(place)) => out.push(
                Diagnostic::error(
                    "mabuild::lang::value",
                    mirror.span,
                    format!("`{}` is asked without TLS", shown(&mirror.host)),
                    "wants TLS",
                )
                .and(*place, "asks without it")
                .help("write `http://` here, or remove `plain-http`"),
            ),
            _ => {}
        }
    }
    if let Some(cache) = &config.remote_cache
        && config.registry.is_none()
        && reference::repository(&cache.value).is_ok_and(|found| found.host.is_none())
    {
        let name = shown(&cache.value);
        out.push(
            Diagnostic::error(
                "mabuild::lang::publish",
                cache.span,
                format!("`{name}` names no registry, and the file names none"),
                "which registry?",
            )
            .help(format!(
                "write `registry \"ghcr.io/acme\"` at the top of the file, or the host here: `ghcr.io/acme/{name}`"
            )),
        );
    }
}

fn not_allowed(mirror: &Mirror) -> Diagnostic {
    let host = shown(&mirror.host);
    Diagnostic::error(
        "mabuild::lang::value",
        mirror.span,
        format!("nothing allows `{host}` to be asked without TLS"),
        "asks without TLS",
    )
    .help(format!(
        "write `https://` where it has TLS, else `registry \"{host}\" {{ plain-http }}` at the top of the file"
    ))
}
