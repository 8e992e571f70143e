//! Addresses of things that are called: webhooks and workers.

use super::check::shown;
use crate::diag::Wrong;
use crate::reference::{is_host, is_port, split_port};
use crate::suggest::did_you_mean;

/// Schemes of the address of a worker.
const WORKERS: [&str; 6] =
    ["tcp", "unix", "docker-container", "kube-pod", "podman-container", "ssh"];

/// Whether a text is an http(s) address with a host. The error says what is wrong with it.
pub(super) fn http(text: &str) -> Result<(), Wrong> {
    plain(text)?;
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    let rest = if lower.starts_with("https://") {
        text.get(8..)
    } else if lower.starts_with("http://") {
        text.get(7..)
    } else {
        let label = "does not begin with `https://`";
        return Err(match text.split_once("://") {
            Some((scheme, _)) => {
                let help =
                    format!("`{}` cannot be called; write an http(s) address", shown(scheme));
                Wrong::new(label, help)
            }
            None => Wrong::new(label, "write `https://` before it"),
        });
    };
    let rest = rest.unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host_of(host, "https://chat.example.org/hook")
}

/// Whether a text is the address of a BuildKit worker. The error says what is wrong with it.
pub(super) fn worker(text: &str) -> Result<(), Wrong> {
    plain(text)?;
    let Some((scheme, rest)) = text.split_once("://") else {
        let help = if text.starts_with('/') {
            format!("write `unix://{}`", shown(text))
        } else if split_port(text).1.is_some_and(is_port) && !text.contains('@') {
            format!("write `tcp://{}`", shown(text))
        } else {
            "write it like `tcp://HOST:1234`, `unix:///PATH` or `docker-container://NAME`"
                .to_owned()
        };
        return Err(Wrong::new("has no scheme", help));
    };
    if rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
        let help = "leave the password out: `ssh://` uses the keys of the machine, `tcp://` those of `tls`";
        return Err(Wrong::new("has a password", help));
    }
    match scheme {
        "tcp" => tcp(rest),
        "unix" if rest.starts_with('/') && rest.len() > 1 => Ok(()),
        "unix" => {
            let path = rest.trim_start_matches('/');
            let path = if path.is_empty() { "run/buildkit/buildkitd.sock" } else { path };
            let help = format!("three `/` begin the address: `unix:///{}`", shown(path));
            Err(Wrong::new("has no absolute path", help))
        }
        "ssh" => ssh(rest),
        "docker-container" | "kube-pod" | "podman-container" => {
            let name = rest.split('?').next().unwrap_or_default();
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            if name.bytes().all(good)
                && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            {
                return Ok(());
            }
            let what = if scheme == "kube-pod" { "pod" } else { "container" };
            let label = match name {
                "" => format!("names no {what}"),
                _ => format!("`{}` is not the name of a {what}", shown(name)),
            };
            Err(Wrong::new(label, format!("write the name of the {what}: `{scheme}://buildkitd`")))
        }
        _ => {
            let help = match did_you_mean(scheme, WORKERS) {
                Some(near) => format!("did you mean `{near}://{}`?", shown(rest)),
                None => {
                    let known: Vec<String> = WORKERS.iter().map(|s| format!("`{s}://`")).collect();
                    format!("the schemes are {}", known.join(", "))
                }
            };
            Err(Wrong::new(format!("`{}://` is not known", shown(scheme)), help))
        }
    }
}

fn tcp(rest: &str) -> Result<(), Wrong> {
    let (host, port) = split_port(rest);
    if rest.contains(['/', '?', '#', '@']) {
        let help = "write a host and a port alone: `tcp://HOST:1234`";
        return Err(Wrong::new("has more than a host and a port", help));
    }
    host_of(rest, "tcp://bk-arm64.internal:1234")?;
    if port.is_none() {
        return Err(Wrong::new("has no port", format!("write `tcp://{}:1234`", shown(host))));
    }
    Ok(())
}

fn ssh(rest: &str) -> Result<(), Wrong> {
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    host_of(host, "ssh://user@arm.internal")
}

/// Checks a host with an optional port.
fn host_of(host: &str, example: &str) -> Result<(), Wrong> {
    let (name, port) = split_port(host);
    if name.is_empty() {
        return Err(Wrong::new("has no host", format!("write it like `{example}`")));
    }
    if let Some(port) = port.filter(|port| !is_port(port)) {
        let help = "a port is a number from 1 to 65535";
        return Err(Wrong::new(format!("`{}` is not a port", shown(port)), help));
    }
    // Names of machines in private networks may have a `_`, whatever the rules for names say.
    if is_host(&host.replace('_', "-")) {
        return Ok(());
    }
    let help = format!("write a name, an IPv4 address, or an IPv6 address in `[]`: `{example}`");
    Err(Wrong::new(format!("`{}` is not a host", shown(name)), help))
}

/// Space and control characters stand in no address.
fn plain(text: &str) -> Result<(), Wrong> {
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let help = "write the address without it; in a path a space is `%20`";
        return Err(Wrong::new("has a space", help));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_can_be_called() {
        for text in [
            "https://a",
            "http://127.0.0.1:8080/x?y#z",
            "HTTPS://u:p@a.b/c",
            "http://[::1]:1/",
            "https://my_host/x",
        ] {
            assert_eq!(http(text), Ok(()), "{text}");
        }
        for text in [
            "tcp://a:1",
            "tcp://[fd00::1]:1234",
            "tcp://10.0.0.1:65535",
            "unix:///run/x.sock",
            "docker-container://buildx_buildkit_0",
            "kube-pod://bk-0?namespace=ci",
            "podman-container://x",
            "ssh://a",
            "ssh://u@a.b:22",
            "ssh://a/run/x.sock",
        ] {
            assert_eq!(worker(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn addresses_that_cannot() {
        for text in [
            "",
            "a.b/c",
            "ftp://a",
            "https://",
            "https:///x",
            "https://?x",
            "https://:80",
            "http://a b",
            "http://a:0",
            "http://a:x/",
            "http://a..b",
            "http://u@",
            "http://[::1",
            "https:/a",
            "é",
            "ééééé",
            "http://é",
        ] {
            assert!(http(text).is_err(), "{text}");
        }
        for text in [
            "",
            "a",
            "/run/x",
            "a:1",
            "tcp://",
            "tcp://a",
            "tcp://:1",
            "tcp://a:0",
            "tcp://a:1/x",
            "tcp://u@a:1",
            "tcp://a:",
            "unix://",
            "unix:///",
            "unix://run/x",
            "kube-pod://",
            "docker-container://a/b",
            "docker-container://-a",
            "ssh://",
            "ssh://u:p@a",
            "ssh://u@",
            "http://a:1",
            "tpc://a:1",
            "://",
            "tcp://a :1",
        ] {
            assert!(worker(text).is_err(), "{text}");
        }
    }
}
