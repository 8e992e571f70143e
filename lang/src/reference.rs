//! References of images in registries: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
//!
//! The grammar is that of the distribution project (<https://distribution.github.io/reference/>),
//! and a host is told from a path as Docker does: the first part is a host where it has a `.` or a
//! `:`, or is `localhost`.

use core::net::{IpAddr, Ipv6Addr};

use crate::decode::check::shown;
use crate::decode::steps::is_hex;
use crate::diag::Wrong;

/// Longest repository with its host, in bytes; registries refuse longer ones.
const MAX_NAME: usize = 255;
/// Longest tag, in bytes.
const MAX_TAG: usize = 128;

/// A repository: `[HOST[:PORT]/]PATH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repository<'a> {
    /// Host with its port; none where the default is meant.
    pub host: Option<&'a str>,
    /// Path, `library/debian`.
    pub path: &'a str,
}

/// Where repositories are: `HOST[:PORT][/PATH]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registry<'a> {
    /// Host with its port.
    pub host: &'a str,
    /// What stands before the path of each repository.
    pub path: Option<&'a str>,
}

/// A whole reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Where the image is.
    pub repository: Repository<'a>,
    /// Its tag.
    pub tag: Option<&'a str>,
    /// Its digest, `sha256:…` or `sha512:…`.
    pub digest: Option<&'a str>,
}

/// Reads a reference. The error says what is wrong with the text.
pub fn parse(text: &str) -> Result<Reference<'_>, Wrong> {
    // Said of the whole text, with its tag, so that what the help shows can be used.
    if let Some(wrong) = no_name(text) {
        return Err(wrong);
    }
    let cut = cut(text);
    let repository = name(cut.name)?;
    if let Some(tag) = cut.tag {
        check_tag(tag)?;
    }
    if let Some(digest) = cut.digest {
        check_digest(digest)?;
    }
    Ok(Reference { repository, tag: cut.tag, digest: cut.digest })
}

/// Reads a repository, which has no tag and no digest. The error says what is wrong with the text.
pub fn repository(text: &str) -> Result<Repository<'_>, Wrong> {
    let cut = cut(text);
    if let (Some(port), None) = (cut.tag, cut.digest)
        && is_like_host(cut.name)
        && !cut.name.contains('/')
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(Wrong::new(
            "a host without a path",
            format!("write a name after the host: `{}/NAME`", shown(text)),
        ));
    }
    let repository = name(cut.name)?;
    if cut.digest.is_some() {
        let help = format!("write `{}`; the digest follows from what is built", shown(cut.name));
        return Err(Wrong::new("has a digest", help));
    }
    if let Some(tag) = cut.tag {
        let help =
            format!("write `{}` here, and `tags \"{}\"` beside it", shown(cut.name), shown(tag));
        return Err(Wrong::new("has a tag", help));
    }
    Ok(repository)
}

/// Reads a registry with the path that its repositories begin with. The error says what is wrong
/// with the text.
pub fn registry(text: &str) -> Result<Registry<'_>, Wrong> {
    if let Some(wrong) = no_name(text) {
        return Err(wrong);
    }
    let (host, path) = match text.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (text, None),
    };
    if !is_like_host(host) {
        let help = format!(
            "write the host first, with a `.` or a port in it: `ghcr.io/{0}` or `{0}:5000`",
            shown(host),
        );
        return Err(Wrong::new("begins with no host", help));
    }
    check_host(host)?;
    match path {
        Some("") => Err(Wrong::new("ends in a `/`", format!("leave it out: `{}`", shown(host)))),
        Some(path) => {
            let cut = cut(path);
            check_path(cut.name, Some(host))?;
            if cut.tag.is_some() || cut.digest.is_some() {
                let help = format!(
                    "write `{host}/{}`; an image gets its tags from its own `tags`",
                    shown(cut.name)
                );
                return Err(Wrong::new("has a tag or a digest", help));
            }
            Ok(Registry { host, path: Some(path) })
        }
        None => Ok(Registry { host, path: None }),
    }
}

/// Gives `HOST/PATH` of a repository that may be named without its host, the host written in the
/// one way; none where it is wrong, or where neither it nor the file names a registry.
pub fn in_registry(text: &str, registry: Option<&str>) -> Option<String> {
    let found = repository(text).ok()?;
    let registry = match found.host {
        Some(host) => Registry { host, path: None },
        None => self::registry(registry?).ok()?,
    };
    let below = registry.path.map(|path| format!("{path}/")).unwrap_or_default();
    Some(format!("{}/{below}{}", host(registry.host), found.path))
}

/// Reads the address of a registry that holds copies: `[https://]HOST[:PORT][/PATH]`. The error says
/// what is wrong with the text.
pub(crate) fn mirror(text: &str) -> Result<(Option<bool>, Registry<'_>), Wrong> {
    let (tls, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Some(true), rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Some(false), rest),
        _ => (None, text),
    };
    let rest = if tls.is_some() { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
    if rest.split('/').next().is_some_and(|host| host.contains('@')) {
        let help = "leave it out; log in with `docker login`, or by the environment";
        return Err(Wrong::new("has a login in it", help));
    }
    // Behind a scheme stands a host, however it looks.
    let found = match (tls, rest.split_once('/')) {
        (None, _) => registry(rest)?,
        (Some(_), Some((host, path))) => Registry { host, path: Some(path) },
        (Some(_), None) => Registry { host: rest, path: None },
    };
    check_host(found.host)?;
    if let Some(path) = found.path {
        check_path(path, Some(found.host))?;
        if path == "v2" || path.starts_with("v2/") {
            let path = path.strip_prefix("v2").unwrap_or_default();
            let help = format!("leave `v2` out, which mabuild adds: `{}{path}`", found.host);
            return Err(Wrong::new("begins with the path of the protocol", shown(&help)));
        }
    }
    Ok((tls, found))
}

/// The one way to write a host: in small letters, and `docker.io` for Docker Hub.
pub(crate) fn host(text: &str) -> String {
    let host = text.to_ascii_lowercase();
    if host == "index.docker.io" { "docker.io".to_owned() } else { host }
}

/// Whether a host is this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    let (name, _) = split_port(host);
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match address.unwrap_or(name).parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name == "localhost",
    }
}

/// Whether two names of images mean the same one.
pub fn same(one: &str, other: &str) -> bool {
    one == other || normal(one) == normal(other)
}

/// Completes a reference the way Docker does: `debian:12` is `docker.io/library/debian:12`, and
/// one without a tag and a digest has the tag `latest`. A text that is no reference stays as it is.
pub fn normal(reference: &str) -> String {
    let Ok(Reference { repository, tag, digest }) = parse(reference) else {
        return reference.to_owned();
    };
    let host = host(repository.host.unwrap_or("docker.io"));
    let library =
        if host == "docker.io" && !repository.path.contains('/') { "library/" } else { "" };
    let tag = match (tag, digest) {
        (Some(tag), _) => format!(":{tag}"),
        (None, Some(_)) => String::new(),
        (None, None) => ":latest".to_owned(),
    };
    let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
    format!("{host}/{library}{}{tag}{digest}", repository.path)
}

/// Whether a text is `HOST` or `HOST:PORT`; a host is a name, an IPv4 or an IPv6 address in `[]`.
pub(crate) fn is_host(text: &str) -> bool {
    let (host, port) = split_port(text);
    port.is_none_or(is_port) && is_host_name(host)
}

/// Cuts a port off a host.
pub(crate) fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Whether a text is the number of a port.
pub(crate) fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_host_name(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        let good = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        good && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// A reference in its parts, of which none is checked.
struct Cut<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

fn cut(text: &str) -> Cut<'_> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => Cut { name, tag: Some(tag), digest },
        _ => Cut { name: rest, tag: None, digest },
    }
}

fn is_like_host(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

fn name(text: &str) -> Result<Repository<'_>, Wrong> {
    if let Some(wrong) = no_name(text) {
        return Err(wrong);
    }
    let (host, path) = match text.split_once('/') {
        Some((host, path)) if is_like_host(host) => (Some(host), path),
        _ => (None, text),
    };
    if let Some(host) = host {
        check_host(host)?;
    }
    check_path(path, host)?;
    if text.len() > MAX_NAME {
        let help = format!("registries take {MAX_NAME} characters at most, the host among them");
        return Err(Wrong::new(format!("{} characters", text.len()), help));
    }
    Ok(Repository { host, path })
}

/// What is wrong with a text of which nothing can be read.
fn no_name(text: &str) -> Option<Wrong> {
    if text.is_empty() {
        return Some(Wrong::new("has no name", "write a name like `ghcr.io/acme/app`"));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let help = format!("leave `{}://` out: `{}`", shown(scheme), shown(rest));
        return Some(Wrong::new("begins like an address", help));
    }
    let has_space = text.contains(char::is_whitespace);
    has_space.then(|| Wrong::new("has a space", "write it without spaces: `ghcr.io/acme/app`"))
}

fn check_host(host: &str) -> Result<(), Wrong> {
    if is_host(host) {
        return Ok(());
    }
    let label = format!("`{}` is not a host", shown(host));
    let help = "a host is a name like `ghcr.io` or an address like `10.0.0.1` or `[fd00::1]`, and a port from 1 to 65535 may follow: `localhost:5000`";
    Err(Wrong::new(label, help))
}

fn check_path(path: &str, host: Option<&str>) -> Result<(), Wrong> {
    let whole = |path: &str| match host {
        Some(host) => format!("{host}/{path}"),
        None => path.to_owned(),
    };
    if path.split('/').any(str::is_empty) {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let fixed = if parts.is_empty() { "NAME".to_owned() } else { parts.join("/") };
        let help = format!("write `{}`", shown(&whole(&fixed)));
        return Err(Wrong::new("has an empty part", help));
    }
    if path.split('/').all(is_component) {
        return Ok(());
    }
    let lower = path.to_lowercase();
    if lower.split('/').all(is_component) {
        let help = format!("registries know lower-case paths alone: `{}`", shown(&whole(&lower)));
        return Err(Wrong::new("has upper-case letters", help));
    }
    let bad = path.split('/').find(|part| !is_component(part)).unwrap_or_default();
    if bad.contains(':') {
        let help = "one tag follows the whole name: `ghcr.io/acme/app:1`";
        return Err(Wrong::new("has a `:` within its path", help));
    }
    Err(Wrong::new(
        format!("`{}` is not allowed in a path", shown(bad)),
        "each part has lower-case letters and digits, with one `.`, one or two `_`, or any `-` between them: `acme/my-app`",
    ))
}

/// Whether a text is letters and digits with separators between them.
fn is_component(part: &str) -> bool {
    let separator =
        |gap: &str| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-');
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(word) && part.ends_with(word) && part.split(word).all(separator)
}

fn check_tag(tag: &str) -> Result<(), Wrong> {
    let good = |(at, b): (usize, u8)| {
        b.is_ascii_alphanumeric() || b == b'_' || (at > 0 && matches!(b, b'.' | b'-'))
    };
    if !tag.is_empty() && tag.len() <= MAX_TAG && tag.bytes().enumerate().all(good) {
        return Ok(());
    }
    let label = match tag.len() {
        0 => "has no tag after the `:`".to_owned(),
        _ => format!("`{}` is not a tag", shown(tag)),
    };
    Err(Wrong::new(
        label,
        "a tag has letters, digits, `_`, `.` and `-`, begins with none of the last two, and has 128 characters at most",
    ))
}

fn check_digest(digest: &str) -> Result<(), Wrong> {
    let (algorithm, hex) = digest.split_once(':').unwrap_or(("", digest));
    let digits = match algorithm {
        "sha256" => 64,
        "sha512" => 128,
        _ => {
            let help = "write `sha256:` and 64 hex digits after the `@`";
            return Err(Wrong::new("has a digest of an unknown form", help));
        }
    };
    if is_hex(hex, digits) {
        return Ok(());
    }
    let help = format!(
        "`{algorithm}:` is followed by {digits} hex digits in lower case, and here by {} characters",
        hex.chars().count()
    );
    Err(Wrong::new(format!("has no {algorithm} digest after the `@`"), help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_in_their_parts() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let long = format!("localhost:5000/a/b:1.2-x_Y@{digest}");
        let read = parse(&long).unwrap();
        assert_eq!(read.repository, Repository { host: Some("localhost:5000"), path: "a/b" });
        assert_eq!((read.tag, read.digest), (Some("1.2-x_Y"), Some(digest.as_str())));
        // Without a `.`, a `:` or the word `localhost` the first part is not a host.
        for (text, host, path) in [
            ("debian", None, "debian"),
            ("acme/debian", None, "acme/debian"),
            ("localhost/debian", Some("localhost"), "debian"),
            ("a.b/debian", Some("a.b"), "debian"),
            ("[fd00::1]:5000/debian", Some("[fd00::1]:5000"), "debian"),
            ("HOST.example.org/debian", Some("HOST.example.org"), "debian"),
            ("python3.12", None, "python3.12"),
            ("a--b__c_d/e.f---g", None, "a--b__c_d/e.f---g"),
        ] {
            let read = parse(text).unwrap();
            assert_eq!((read.repository.host, read.repository.path), (host, path), "{text}");
            assert_eq!(repository(text).unwrap(), read.repository, "{text}");
        }
    }

    #[test]
    fn what_is_no_reference() {
        let short = format!("a@sha256:{}", "0a".repeat(31));
        let upper = format!("a@sha256:{}", "0A".repeat(32));
        let long = "a/".repeat(127) + "bb";
        let tag = format!("a:{}", "x".repeat(129));
        for text in [
            "",
            ":1",
            "@",
            "a:",
            "a@",
            "A",
            "a/B",
            "/a",
            "a/",
            "a//b",
            "-a",
            "a-",
            "a_",
            "a..b",
            "a.-b",
            "a___b",
            "a b",
            "a\n",
            "a:b c",
            "a:-1",
            "a:.1",
            "a:1:2",
            "a@b@c",
            "é",
            "https://a.b/c",
            "a.b:x/c",
            "a.b:0/c",
            "a.b:70000/c",
            "a.b:/c",
            "-a.b/c",
            "a..b/c",
            "[::g]/a",
            "[::1/a",
            "a_b.c/d",
            "a@md5:00",
            &short,
            &upper,
            &long,
            &tag,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(long.len(), 256);
        assert!(parse(&long[1..].replacen('/', "c", 1)).is_ok());
    }

    #[test]
    fn a_repository_has_no_tag_and_no_digest() {
        let digest = format!("a/b@sha256:{}", "0a".repeat(32));
        for (text, label) in [
            ("a/b:1", "has a tag"),
            ("localhost:5000/b:1", "has a tag"),
            (digest.as_str(), "has a digest"),
            ("localhost:5000", "a host without a path"),
            ("a.b:5000", "a host without a path"),
        ] {
            assert_eq!(repository(text).unwrap_err().label, label, "{text}");
        }
    }

    #[test]
    fn a_registry_is_a_host_with_an_optional_path() {
        let read = |text| registry(text).map(|registry| (registry.host, registry.path));
        assert_eq!(read("ghcr.io"), Ok(("ghcr.io", None)));
        assert_eq!(read("ghcr.io/acme/x"), Ok(("ghcr.io", Some("acme/x"))));
        assert_eq!(read("localhost:5000"), Ok(("localhost:5000", None)));
        assert_eq!(read("[::1]:5000/a"), Ok(("[::1]:5000", Some("a"))));
        for text in [
            "",
            "acme",
            "acme/x",
            "https://ghcr.io",
            "ghcr.io/",
            "ghcr.io/A",
            "a.b:x",
            "ghcr.io/acme:1",
            "ghcr.io/acme@sha256:00",
            "a.b.",
            "a b.c",
        ] {
            assert!(registry(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_repository_is_found_in_its_registry() {
        let at = |text, registry| in_registry(text, registry);
        assert_eq!(at("a/b", Some("GHCR.io/acme")).as_deref(), Some("ghcr.io/acme/a/b"));
        assert_eq!(at("a", Some("localhost:5000")).as_deref(), Some("localhost:5000/a"));
        assert_eq!(at("Quay.IO/a", Some("ghcr.io")).as_deref(), Some("quay.io/a"));
        assert_eq!(at("a", None), None);
        assert_eq!(at("a:1", Some("ghcr.io")), None);
    }

    #[test]
    fn mirrors_are_hosts_with_an_optional_path() {
        let read = |text| mirror(text).map(|(tls, found)| (tls, found.host, found.path));
        assert_eq!(read("m.example"), Ok((None, "m.example", None)));
        assert_eq!(read("HTTPS://nexus/hub/"), Ok((Some(true), "nexus", Some("hub"))));
        assert_eq!(read("http://[::1]:5000"), Ok((Some(false), "[::1]:5000", None)));
        for text in [
            "",
            "nexus",
            "https://",
            "https:///hub",
            "https://m.example//",
            "https://m.example?x=1",
            "https://m.example/v2",
            "https://m.example/v2/hub",
            "https://a:b@m.example",
            "a@m.example/x",
            "ftp://m.example",
            "https://m.example/Hub",
            "m.example/",
        ] {
            assert!(mirror(text).is_err(), "{text}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in ["localhost", "localhost:5000", "127.9.9.9:1", "[::1]", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "128.0.0.1", "[::2]", "m.example:5000"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn normal_forms_are_those_of_docker() {
        let digest = format!("@sha256:{}", "0a".repeat(32));
        for (text, whole) in [
            ("debian", "docker.io/library/debian:latest"),
            ("debian:12", "docker.io/library/debian:12"),
            ("acme/app", "docker.io/acme/app:latest"),
            ("docker.io/debian:12", "docker.io/library/debian:12"),
            ("index.docker.io/acme/app:1", "docker.io/acme/app:1"),
            ("GHCR.io/app:1", "ghcr.io/app:1"),
            ("localhost/app", "localhost/app:latest"),
            ("Not A Reference", "Not A Reference"),
        ] {
            assert_eq!(normal(text), whole);
            assert_eq!(normal(&normal(text)), whole);
        }
        assert_eq!(normal(&format!("debian{digest}")), format!("docker.io/library/debian{digest}"));
        assert_eq!(normal(&format!("a:1{digest}")), format!("docker.io/library/a:1{digest}"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[a-zA-Z0-9./:@_ \\[\\]é-]{0,40}") {
            if let Ok(read) = parse(&text) {
                proptest::prop_assert!(text.contains(read.repository.path));
                proptest::prop_assert!(parse(&normal(&text)).is_ok());
            }
            let _ = (repository(&text), registry(&text), mirror(&text));
        }
    }
}
