//! apt's source lists, both forms (sources.list(5)), read to find this machine's mirror.
//!
//! Entries that make no sense are passed over, since only apt's own reading of them is binding;
//! nothing here is trusted, because what a mirror serves is verified by signature.

use super::deb822::{Event, Reader};

/// One entry of a source list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `deb`, `deb-src` or both.
    pub types: Vec<String>,
    /// Mirror roots, as written.
    pub uris: Vec<String>,
    /// Suites; one that ends in a slash is an exact path without components.
    pub suites: Vec<String>,
    /// Components, such as `main`.
    pub components: Vec<String>,
    /// Signed-By: key files, fingerprints, or an armoured key; empty when not given.
    pub signed_by: String,
    /// Architectures it is limited to; empty when to none.
    pub architectures: Vec<String>,
    /// Whether apt uses it.
    pub enabled: bool,
}

impl Source {
    /// The ASCII-armoured key that stands in Signed-By in place of a file, as a file has it:
    /// without the indents, and with the empty lines that stand there as dots.
    pub fn embedded_key(&self) -> Option<String> {
        let line = |line: &str| match line.trim() {
            "." => "\n".to_owned(),
            text => format!("{text}\n"),
        };
        let key = self.signed_by.get(self.signed_by.find("-----BEGIN PGP")?..)?;
        Some(key.lines().map(line).collect())
    }
}

/// Reads the one-line form (`sources.list`, `*.list`): `deb [option=value] uri suite component…`.
pub fn parse_list(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

/// Reads the deb822 form (`*.sources`).
pub fn parse_deb822(text: &str) -> Vec<Source> {
    // Lines with a hash in front are comments even inside a field's value.
    let without_comments: String =
        text.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect();
    without_comments
        .split_inclusive('\n')
        .fold(vec![String::new()], |mut stanzas, line| {
            if line.trim().is_empty() {
                stanzas.push(String::new());
            } else if let Some(stanza) = stanzas.last_mut() {
                stanza.push_str(line);
            }
            stanzas
        })
        .iter()
        .filter_map(|stanza| parse_stanza(stanza))
        .collect()
}

/// Tells whether an address is that of Debian's own archive, so that any of its mirrors serves the
/// suite as well.
///
/// That are the hosts below `debian.org` but those of old and of unofficial archives, which are
/// addresses like any other, as they are on no mirror.
pub fn own(uri: &str, suite: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://")) else {
        return false;
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.trim_end_matches(":80").trim_end_matches(":443").to_ascii_lowercase();
    let Some(name) = host.strip_suffix(".debian.org") else { return false };
    let path = path.trim_end_matches('/');
    let is_odd = name.split('.').any(str::is_empty) || name.contains('@');
    let is_other = matches!(name, "archive" | "snapshot" | "incoming") || name.contains("ports");
    if is_odd || is_other {
        return false;
    }
    match suite.ends_with("-security") || suite.ends_with("/updates") {
        true => path == "debian-security" || (name == "security" && path.is_empty()),
        false => path == "debian" && name != "security",
    }
}

/// Returns the mirror root to fetch a suite of Debian from: an `http` or `https` URI without a
/// slash at its end, or `None` when no source fits.
///
/// Of the enabled binary sources with component `main` those come first that have the suite
/// itself; else any that has a Debian suite of the main archive, since a mirror carries them all.
/// A source signed by a keyring that is not Debian's is never taken; one that names Debian's
/// keyring, or whose root ends in `/debian`, goes before others.
pub fn mirror_for(sources: &[Source], suite: &str) -> Option<String> {
    let with_suite = |source: &Source| source.suites.iter().any(|s| s == suite);
    let main_archive = |source: &Source| source.suites.iter().any(|s| is_main_suite(s));
    best_uri(sources, with_suite).or_else(|| best_uri(sources, main_archive))
}

/// Returns the mirror root for the security updates of a suite, if one is configured: of a
/// source whose suites have `<suite>-security`, or any security suite of Debian.
pub fn security_mirror_for(sources: &[Source], suite: &str) -> Option<String> {
    let wanted = format!("{suite}-security");
    let with_suite = |source: &Source| source.suites.contains(&wanted);
    let any = |source: &Source| {
        source.suites.iter().any(|s| s.strip_suffix("-security").is_some_and(is_main_suite))
    };
    best_uri(sources, with_suite).or_else(|| best_uri(sources, any))
}

fn best_uri(sources: &[Source], wanted: impl Fn(&Source) -> bool) -> Option<String> {
    let uris = sources
        .iter()
        .filter(|source| {
            source.enabled
                && source.types.iter().any(|kind| kind == "deb")
                && source.components.iter().any(|component| component == "main")
                && wanted(source)
        })
        .flat_map(|source| source.uris.iter().map(move |uri| (source, uri.trim_end_matches('/'))))
        .filter(|(_, uri)| uri.starts_with("http://") || uri.starts_with("https://"))
        .filter_map(|(source, uri)| Some((doubt(source, uri)?, uri)));
    // The smallest doubt, and of equal ones the first in the list.
    uris.min_by_key(|(doubt, _)| *doubt).map(|(_, uri)| uri.to_owned())
}

/// How doubtful it is that a source is Debian's own archive; `None` when it is not.
fn doubt(source: &Source, uri: &str) -> Option<u8> {
    if source.signed_by.contains("debian-archive") {
        return Some(0);
    }
    let debian_path = uri.ends_with("/debian") || uri.ends_with("/debian-security");
    match (source.signed_by.is_empty(), debian_path) {
        (true, true) => Some(1),
        (true, false) => Some(2),
        (false, _) => None,
    }
}

/// Tells whether a name is a suite of Debian's main archive, in any of its pockets.
fn is_main_suite(suite: &str) -> bool {
    const SUITES: [&str; 15] = [
        "stretch",
        "buster",
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "duke",
        "sid",
        "stable",
        "oldstable",
        "oldoldstable",
        "testing",
        "unstable",
        "experimental",
        "rc-buggy",
    ];
    const POCKETS: [&str; 4] = ["-updates", "-backports", "-backports-sloppy", "-proposed-updates"];
    let base = POCKETS.iter().find_map(|pocket| suite.strip_suffix(pocket)).unwrap_or(suite);
    SUITES.contains(&base)
}

fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let (kind, rest) = line.split_once([' ', '\t'])?;
    if !matches!(kind, "deb" | "deb-src") {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => ("", rest),
    };
    let mut words = list_words(rest).into_iter();
    let mut source = Source {
        types: vec![kind.to_owned()],
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: String::new(),
        architectures: Vec::new(),
        enabled: true,
    };
    for option in options.split_ascii_whitespace() {
        match option.split_once('=') {
            Some(("arch", value)) => {
                source.architectures = value.split(',').map(str::to_owned).collect();
            }
            Some(("signed-by", value)) => value.clone_into(&mut source.signed_by),
            _ => {}
        }
    }
    Some(source)
}

/// Splits at white space, but not inside brackets: `cdrom:[Debian 12] bookworm main`.
fn list_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut in_brackets = false;
    for c in text.chars() {
        match c {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            c if c.is_ascii_whitespace() && !in_brackets => {
                words.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn parse_stanza(stanza: &str) -> Option<Source> {
    let mut source = Source {
        types: Vec::new(),
        uris: Vec::new(),
        suites: Vec::new(),
        components: Vec::new(),
        signed_by: String::new(),
        architectures: Vec::new(),
        enabled: true,
    };
    let mut reader = Reader::new(stanza.as_bytes());
    while let Event::Field { name, value } = reader.next().ok()? {
        let value = std::str::from_utf8(value).ok()?;
        let words = || value.split_ascii_whitespace().map(str::to_owned).collect();
        match name.to_ascii_lowercase().as_slice() {
            b"types" => source.types = words(),
            b"uris" => source.uris = words(),
            b"suites" => source.suites = words(),
            b"components" => source.components = words(),
            b"architectures" => source.architectures = words(),
            b"signed-by" => value.clone_into(&mut source.signed_by),
            b"enabled" => source.enabled = !is_no(value),
            _ => {}
        }
    }
    let complete =
        ![&source.types, &source.uris, &source.suites].iter().any(|list| list.is_empty());
    complete.then_some(source)
}

/// apt's words for "no" (apt.conf's boolean values).
fn is_no(value: &str) -> bool {
    ["no", "false", "without", "off", "disable", "0"]
        .iter()
        .any(|no| value.eq_ignore_ascii_case(no))
}

#[cfg(test)]
mod tests;
