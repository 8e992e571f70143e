//! Where registries are.

use url::Url;

use crate::Reference;
use crate::error::{ErrorKind, Fault};

/// Docker Hub, as references name it.
pub(crate) const HUB: &str = "docker.io";
/// Docker Hub, as `config.json` names it.
pub(crate) const HUB_ACCOUNT: &str = "https://index.docker.io/v1/";
/// Where Docker Hub answers.
const HUB_HOST: &str = "registry-1.docker.io";

/// Gives the address of a part of a repository: `…/v2/REPOSITORY/KIND/NAME`. `plain` says
/// whether the host is asked without TLS.
pub(crate) fn of(reference: &Reference, kind: &str, name: &str, plain: bool) -> Result<Url, Fault> {
    let host = &reference.host;
    let bad = || Fault::new(ErrorKind::Local, format!("{host:?} is no host of a registry"));
    let scheme = if plain { "http" } else { "https" };
    let at = if host == HUB { HUB_HOST } else { host };
    let mut url = Url::parse(&format!("{scheme}://{at}/v2/")).map_err(|_| bad())?;
    // A host that brings a path, a login or a query with it is none.
    let clean = url.path() == "/v2/" && url.username().is_empty() && url.password().is_none();
    if !clean || url.query().is_some() || url.fragment().is_some() {
        return Err(bad());
    }
    let parts = reference.repository.split('/').chain([kind, name]);
    url.path_segments_mut().map_err(|()| bad())?.pop_if_empty().extend(parts);
    Ok(url)
}

/// Whether a host is Docker Hub by one of its names.
pub(crate) fn is_hub(host: &str) -> bool {
    matches!(host, HUB | HUB_HOST | "index.docker.io")
}

/// Whether a host is this machine, with which nobody can interfere on the way.
pub(crate) fn is_loopback(host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A server's name for a person: scheme, host and port, no more.
pub(crate) fn server(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, repository: &str, name: &str) -> Option<String> {
        let reference = Reference {
            host: host.to_owned(),
            repository: repository.to_owned(),
            tag: None,
            digest: None,
        };
        of(&reference, "manifests", name, is_loopback(host)).ok().map(String::from)
    }

    #[test]
    fn addresses_of_registries() {
        let hub = "https://registry-1.docker.io/v2/library/debian/manifests/12";
        assert_eq!(at("docker.io", "library/debian", "12").unwrap(), hub);
        let own = "http://127.0.0.1:5000/v2/a/manifests/latest";
        assert_eq!(at("127.0.0.1:5000", "a", "latest").unwrap(), own);
        assert_eq!(at("[::1]:5000", "a", "x").unwrap(), "http://[::1]:5000/v2/a/manifests/x");
        assert_eq!(at("[::2]", "a", "x").unwrap(), "https://[::2]/v2/a/manifests/x");
        assert_eq!(at("localhost", "a", "x").unwrap(), "http://localhost/v2/a/manifests/x");
        let not = "https://localhost.example.org/v2/a/manifests/x";
        assert_eq!(at("localhost.example.org", "a", "x").unwrap(), not);
    }

    #[test]
    fn parts_stay_in_their_places() {
        for host in ["", "a/b", "joe@host", "joe:x@host", "host?q", "host#f", "a b", "[::1"] {
            assert_eq!(at(host, "a", "x"), None, "{host}");
        }
        let odd = at("r.example", "a/../b", "../../x?y#z").unwrap();
        assert!(odd.starts_with("https://r.example/v2/"), "{odd}");
        assert!(!odd.contains(['?', '#']) && !odd.contains("/../"), "{odd}");
    }
}
