//! What moved upstream, as text, as JSON, and as Markdown for a pull request.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Serialize;

use super::{JSON_VERSION, Style, Tone, words};
use crate::facts::HostLimit;
use crate::facts::lock::{Change, Moved};

/// Packages of a node that are all new and that are told as one.
const FRESH: usize = 4;

/// What upstreams serve now against what the lock says.
#[derive(Clone, Debug)]
pub struct News<'a> {
    /// Path of the lock.
    pub lock: String,
    /// What moved, with the images that it makes stale.
    pub moved: &'a [(Moved, Vec<String>)],
    /// What is not taken yet: the node, why, and its platforms.
    pub waiting: Vec<(&'a str, &'a str, &'a [String])>,
    /// What could not be found out, with the nodes that need it.
    pub failed: &'a [(String, Vec<String>)],
    /// Images that any of it makes stale.
    pub stale: &'a [String],
    /// Nodes that an upstream was asked for.
    pub asked: usize,
    /// Whether the lock was written.
    pub written: bool,
    /// What registries said that they allow.
    pub limits: &'a [HostLimit],
}

/// A change in words: what it is of, and what it was and is.
struct Worded {
    kind: &'static str,
    name: String,
    from: Option<String>,
    to: Option<String>,
    security: bool,
}

fn worded(moved: &Moved) -> Worded {
    let plain = |kind, name: &str, from: &Option<String>, to: &Option<String>| Worded {
        kind,
        name: name.to_owned(),
        from: from.clone(),
        to: to.clone(),
        security: false,
    };
    match &moved.what {
        Change::Package { name, from, to, security } => {
            Worded { security: *security, ..plain("package", name, from, to) }
        }
        Change::Manifest { reference, from, to } => plain("image", reference, from, to),
        Change::Archive { from, to } => plain("archive", &moved.node, from, to),
        Change::Release { archive, from, to } => {
            plain("release", archive, &from.map(words::moment), &to.map(words::moment))
        }
        Change::File { address, from, to } => plain("file", address, from, to),
        Change::Commit { remote, reference, from, to } => {
            let reference = reference.as_ref().map(|name| format!("#{name}")).unwrap_or_default();
            plain("commit", &format!("{remote}{reference}"), from, to)
        }
        Change::Watch { name, from, to } => plain("watched", name, from, to),
    }
}

/// A version or digest for a line of text.
fn short(text: &str) -> String {
    match text.split_once(':') {
        Some((algorithm @ ("sha256" | "sha512"), hex)) => {
            let start = hex.get(..12).unwrap_or(hex);
            format!("{algorithm}:{start}…")
        }
        _ if text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            text.get(..12).unwrap_or(text).to_owned()
        }
        _ => text.to_owned(),
    }
}

fn step(worded: &Worded) -> String {
    match (&worded.from, &worded.to) {
        (Some(from), Some(to)) => format!("{} → {}", short(from), short(to)),
        (None, Some(to)) => format!("{} is new", short(to)),
        (Some(from), None) => format!("{} is gone", short(from)),
        (None, None) => "differs".to_owned(),
    }
}

/// "on linux/arm64", "on 8 platforms".
fn on(platforms: &[String]) -> String {
    match platforms {
        [one] => format!("on {one}"),
        many => format!("on {}", words::count(many.len(), "platform")),
    }
}

/// What upstreams serve now, a line a change. With `verbose` the stale images are named.
pub fn news_text(news: &News<'_>, verbose: bool, style: Style) -> String {
    let mut out = String::new();
    let fresh = fresh(news);
    for (node, (packages, platforms, stale)) in &fresh {
        let packages = words::count(*packages, "package");
        let line = format!("{node} is new in the lock: {packages} {}", on(platforms));
        let _ = write!(out, "{}", style.paint(Tone::Maybe, &words::one_line(&line)));
        let _ = match stale {
            0 => writeln!(out),
            count => writeln!(out, ": makes {} stale", words::count(*count, "image")),
        };
    }
    for (moved, stale) in news.moved {
        if fresh.contains_key(moved.node.as_str()) && !verbose {
            continue;
        }
        let worded = worded(moved);
        let security = if worded.security { " (security)" } else { "" };
        let line = format!("{} {}{security}", worded.name, step(&worded));
        let tone = if worded.security { Tone::Bad } else { Tone::Maybe };
        let _ = write!(out, "{}", style.paint(tone, &words::one_line(&line)));
        let _ = write!(out, " in {} {}", moved.node, on(&moved.platforms));
        let _ = match stale.len() {
            0 => writeln!(out),
            count => writeln!(out, ": makes {} stale", words::count(count, "image")),
        };
    }
    if verbose && !news.stale.is_empty() {
        let _ = writeln!(out, "stale: {}", news.stale.join(", "));
    }
    for (node, why, platforms) in &news.waiting {
        let line = format!("waiting: {node} {}: {why}", on(platforms));
        let _ = writeln!(out, "{}", style.paint(Tone::Dim, &words::one_line(&line)));
    }
    for (message, nodes) in news.failed {
        let line = format!("failed: {}: {message}", nodes.join(", "));
        let _ = writeln!(out, "{}", style.paint(Tone::Bad, &words::one_line(&line)));
    }
    let _ = writeln!(out, "{}", headline(news));
    for limit in news.limits {
        let _ = writeln!(out, "{}", style.paint(Tone::Dim, &words::one_line(&left(limit))));
    }
    out
}

/// `docker.io: 87 of 100 pulls left (6 h)`.
fn left(limit: &HostLimit) -> String {
    let HostLimit { host, limit, remaining, window } = limit;
    // Of others it is not known what they count.
    let what = if host == "docker.io" { "pulls" } else { "requests" };
    let window = window.map(|time| match time.as_secs() {
        seconds if seconds >= 3600 && seconds.is_multiple_of(3600) => {
            format!(" ({} h)", seconds / 3600)
        }
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => {
            format!(" ({} min)", seconds / 60)
        }
        seconds => format!(" ({seconds} s)"),
    });
    format!("{host}: {remaining} of {limit} {what} left{}", window.unwrap_or_default())
}

/// Nodes of which all packages are new, as the lock did not have them before: how many packages,
/// on which platforms, and how many images that makes stale.
fn fresh<'a>(news: &News<'a>) -> BTreeMap<&'a str, (usize, Vec<String>, usize)> {
    let mut nodes: BTreeMap<&str, (usize, Vec<String>, usize)> = BTreeMap::new();
    let mut old = BTreeSet::new();
    for (Moved { what, node, platforms, .. }, stale) in news.moved {
        match what {
            Change::Package { from: None, .. } => {
                let (count, on, images) = nodes.entry(node).or_default();
                *count += 1;
                *images = stale.len().max(*images);
                on.extend(platforms.iter().cloned());
                on.sort_unstable();
                on.dedup();
            }
            Change::Release { from: None, .. } => {}
            _ => drop(old.insert(node.as_str())),
        }
    }
    nodes.retain(|node, (count, ..)| *count >= FRESH && !old.contains(node));
    nodes
}

fn headline(news: &News<'_>) -> String {
    let asked = words::count(news.asked, "node");
    let stale = match news.stale.len() {
        0 => String::new(),
        count => format!("; {} stale", words::count(count, "image")),
    };
    let lock = if news.written { format!("; {} is written", news.lock) } else { String::new() };
    let failed = match news.failed.len() {
        0 => String::new(),
        count => format!(", {count} failed"),
    };
    match news.moved.len() {
        0 => format!("nothing moved ({asked} asked{failed}){lock}"),
        count => format!("{count} moved ({asked} asked{failed}){stale}{lock}"),
    }
}

/// The same as Markdown: fit for the text of a pull request.
pub fn news_markdown(news: &News<'_>) -> String {
    let cell = |text: &str| words::one_line(text).replace('\\', "\\\\").replace('|', "\\|");
    let mut out = format!("### {}\n", cell(&headline(news)));
    if !news.moved.is_empty() {
        out.push_str("\n| what | from | to | in | platforms | images |\n");
        out.push_str("| --- | --- | --- | --- | --- | --- |\n");
    }
    for (moved, stale) in news.moved {
        let worded = worded(moved);
        let text = |text: &Option<String>| text.as_deref().map(short).unwrap_or_default();
        let name = match worded.security {
            true => format!("**{}** (security)", cell(&worded.name)),
            false => cell(&worded.name),
        };
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} |",
            cell(&text(&worded.from)),
            cell(&text(&worded.to)),
            cell(&moved.node),
            cell(&moved.platforms.join(" ")),
            stale.len()
        );
    }
    if !news.stale.is_empty() {
        let images: Vec<String> = news.stale.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(
            out,
            "\n<details><summary>{} to rebuild</summary>\n",
            words::count(news.stale.len(), "image")
        );
        let _ = writeln!(out, "{}\n\n</details>", images.join(", "));
    }
    if !news.waiting.is_empty() {
        out.push_str("\nNot taken yet:\n\n");
        for (node, why, platforms) in &news.waiting {
            let _ = writeln!(out, "- `{node}` {}: {}", on(platforms), words::one_line(why));
        }
    }
    if !news.failed.is_empty() {
        out.push_str("\nNot to be found out:\n\n");
        for (message, nodes) in news.failed {
            let _ = writeln!(out, "- `{}`: {}", nodes.join("`, `"), words::one_line(message));
        }
    }
    out
}

#[derive(Serialize)]
struct NewsDocument<'a> {
    version: u32,
    lock: &'a str,
    written: bool,
    asked: usize,
    moved: Vec<MovedDocument<'a>>,
    waiting: Vec<WaitingDocument<'a>>,
    failed: Vec<FailedDocument<'a>>,
    stale: &'a [String],
}

#[derive(Serialize)]
struct MovedDocument<'a> {
    kind: &'static str,
    name: String,
    from: Option<String>,
    to: Option<String>,
    security: bool,
    node: &'a str,
    platforms: &'a [String],
    stale: &'a [String],
}

#[derive(Serialize)]
struct WaitingDocument<'a> {
    node: &'a str,
    why: &'a str,
    platforms: &'a [String],
}

#[derive(Serialize)]
struct FailedDocument<'a> {
    message: &'a str,
    nodes: &'a [String],
}

/// The same as JSON, version 1: [`super::schema::UPSTREAM`].
pub fn news_json(news: &News<'_>) -> String {
    let moved = news.moved.iter().map(|(moved, stale)| {
        let Worded { kind, name, from, to, security } = worded(moved);
        let (node, platforms) = (moved.node.as_str(), moved.platforms.as_slice());
        MovedDocument { kind, name, from, to, security, node, platforms, stale }
    });
    let waiting = news.waiting.iter();
    let document = NewsDocument {
        version: JSON_VERSION,
        lock: &news.lock,
        written: news.written,
        asked: news.asked,
        moved: moved.collect(),
        waiting: waiting
            .map(|(node, why, platforms)| WaitingDocument { node, why, platforms })
            .collect(),
        failed: news
            .failed
            .iter()
            .map(|(message, nodes)| FailedDocument { message, nodes })
            .collect(),
        stale: news.stale,
    };
    words::json(&document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved() -> Vec<(Moved, Vec<String>)> {
        let on = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let package = |name: &str, from: Option<&str>, to: Option<&str>, security| Moved {
            what: Change::Package {
                name: name.to_owned(),
                from: from.map(str::to_owned),
                to: to.map(str::to_owned),
                security,
            },
            node: "minideb".to_owned(),
            slot: "base".to_owned(),
            platforms: on(&["linux/amd64", "linux/arm64"]),
        };
        let manifest = Moved {
            what: Change::Manifest {
                from: Some(format!("sha256:{}", "a".repeat(64))),
                to: Some(format!("sha256:{}", "b".repeat(64))),
                reference: "docker.io/library/golang:1.22".to_owned(),
            },
            node: "golang".to_owned(),
            slot: "base".to_owned(),
            platforms: on(&["linux/amd64"]),
        };
        let images = on(&["app", "web|site"]);
        vec![
            (package("libssl3", Some("3.0.15-1"), Some("3.0.16-1"), true), images.clone()),
            (package("zlib1g", None, Some("1.3"), false), images),
            (package("gone", Some("1"), None, false), Vec::new()),
            (manifest, on(&["agent"])),
        ]
    }

    fn told<T>(tell: impl FnOnce(&News<'_>) -> T) -> T {
        let (moved, held) = (moved(), ["linux/arm64".to_owned()]);
        let stale = ["agent".to_owned(), "app".to_owned(), "web|site".to_owned()];
        let limit = |host: &str, seconds: Option<u64>| HostLimit {
            host: host.to_owned(),
            limit: 100,
            remaining: 87,
            window: seconds.map(std::time::Duration::from_secs),
        };
        let limits = [
            limit("docker.io", Some(21_600)),
            limit("r.example", Some(90)),
            limit("s.example", None),
        ];
        let failed = vec![("no answer".to_owned(), vec!["other@linux/386".to_owned()])];
        tell(&News {
            lock: "mabuild.lock".to_owned(),
            moved: &moved,
            waiting: vec![("rust", "held until 2026-12-24", &held)],
            failed: &failed,
            stale: &stale,
            asked: 5,
            written: true,
            limits: &limits,
        })
    }

    #[test]
    fn a_line_says_what_moved_where_and_what_that_touches() {
        let text = told(|news| news_text(news, true, Style::Plain));
        let expected = "\
libssl3 3.0.15-1 → 3.0.16-1 (security) in minideb on 2 platforms: makes 2 images stale
zlib1g 1.3 is new in minideb on 2 platforms: makes 2 images stale
gone 1 is gone in minideb on 2 platforms
docker.io/library/golang:1.22 sha256:aaaaaaaaaaaa… → sha256:bbbbbbbbbbbb… in golang on \
linux/amd64: makes 1 image stale
stale: agent, app, web|site
waiting: rust on linux/arm64: held until 2026-12-24
failed: other@linux/386: no answer
4 moved (5 nodes asked, 1 failed); 3 images stale; mabuild.lock is written
docker.io: 87 of 100 pulls left (6 h)
r.example: 87 of 100 requests left (90 s)
s.example: 87 of 100 requests left
";
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_is_one_line() {
        let news = News {
            lock: String::new(),
            moved: &[],
            waiting: Vec::new(),
            failed: &[],
            stale: &[],
            asked: 1,
            written: false,
            limits: &[],
        };
        assert_eq!(news_text(&news, true, Style::Plain), "nothing moved (1 node asked)\n");
    }

    #[test]
    fn markdown_is_a_table_whose_cells_hold() {
        let text = told(news_markdown);
        let row = "| **libssl3** (security) | 3.0.15-1 | 3.0.16-1 | minideb | linux/amd64 \
                   linux/arm64 | 2 |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("`web|site`") && text.contains("3 images to rebuild"), "{text}");
        assert!(text.contains("- `rust` on linux/arm64: held until"), "{text}");
    }

    #[test]
    fn json_is_as_its_schema_says() {
        let text = told(news_json);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["version"], 1);
        assert_eq!(json["moved"][0]["kind"], "package");
        assert_eq!(json["moved"][0]["stale"][1], "web|site");
        assert_eq!(json["moved"][1]["from"], serde_json::Value::Null);
        let schema: serde_json::Value =
            serde_json::from_str(super::super::schema::UPSTREAM).unwrap();
        for name in schema["required"].as_array().unwrap() {
            assert!(json.get(name.as_str().unwrap()).is_some(), "{name}");
        }
    }
}
