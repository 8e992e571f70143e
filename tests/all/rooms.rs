//! The map of the rooms, held by reading the sources: who may know whom, where input and output
//! may happen, how long a file may be. A new edge changes the table here, with its reason.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mabuild_tests::env::{source_tree, walk};

/// Rooms of the engine, and which others each may name.
const ENGINE: &[(&str, &[&str])] = &[
    ("graph", &[]),
    ("facts", &[]),
    ("spec", &["facts", "graph"]),
    ("key", &["facts", "spec"]),
    // Where and how things are published is read out of the description.
    ("lower", &["facts", "graph", "publish", "spec"]),
    ("plan", &["graph", "key", "spec"]),
    ("query", &["graph", "plan"]),
    ("event", &["graph"]),
    // The key of an index stands on it.
    ("publish", &["key"]),
    // Results and records are stored by key; the journal of publishes is one of generations.
    ("store", &["key", "publish"]),
    // File sets are digested with the encoding of the keys.
    ("track", &["facts", "key", "store"]),
    // How a platform is written in an image is said in one place.
    ("exec", &["event", "facts", "key", "publish", "spec", "store"]),
    // An index is assembled and stored when its last member is done.
    ("run", &["event", "exec", "graph", "key", "plan", "publish", "spec", "store"]),
    // What moved upstream is told as the lock has it, what moved in registries as it was published.
    ("report", &["event", "facts", "graph", "key", "plan", "publish", "query", "spec"]),
    (
        "ops",
        &[
            "event", "exec", "facts", "graph", "key", "lower", "plan", "publish", "run", "spec",
            "store", "track",
        ],
    ),
];

/// Sources that do no input and output at all.
const PURE: &[&str] = &[
    "lang/src",
    "engine/dockerfile/src",
    "engine/draft/src",
    "engine/src/graph",
    "engine/src/lower",
    "engine/src/spec",
    "engine/src/key",
    "engine/src/plan",
    "engine/src/query",
    "engine/src/facts",
    // All but `push` and `scan`, which speak with registries.
    "engine/src/publish/assemble.rs",
    "engine/src/publish/docker.rs",
    "engine/src/publish/generation.rs",
    "engine/src/publish/mod.rs",
    "engine/src/publish/order.rs",
    "engine/src/publish/outcome.rs",
    "engine/src/publish/plan.rs",
    "engine/src/publish/policy.rs",
    "engine/src/publish/prune.rs",
    "engine/src/report",
    "engine/src/run/machine.rs",
    "engine/src/event.rs",
];

/// What input and output begin with.
const IO: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "SystemTime",
    "Instant::now",
    "tokio::",
    "reqwest::",
    "rusqlite::",
    "rustix::",
    "tempfile::",
    "mabuild_sandbox::",
    "mabuild_distro::",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
];

/// A word, and the only places that may have it.
const ONLY: &[(&str, &[&str])] = &[
    ("kdl::", &["lang/src/syntax"]),
    ("mabuild_lang::config", &["engine/src/lower"]),
    ("unsafe {", &["engine/sandbox/src"]),
    ("unsafe fn", &["engine/sandbox/src"]),
    ("unsafe impl", &["engine/sandbox/src"]),
    ("reqwest", &["engine/registry/src", "engine/src/track"]),
    ("rusqlite", &["engine/src/store"]),
    ("std::env::var", &["cli/src"]),
    ("env::var_os", &["cli/src"]),
    ("env::vars", &["cli/src"]),
    ("stdin()", &["cli/src", "engine/sandbox/src"]),
    ("stdout()", &["cli/src", "engine/sandbox/src"]),
    ("println!", &["cli/src"]),
    // The helper process of the sandbox has no other way to tell why it could not start.
    ("eprintln!", &["cli/src", "engine/sandbox/src/helper.rs"]),
    // `run` hands on what cancels, `ops` asks what the machine can do.
    ("mabuild_sandbox", &["engine/src/exec", "engine/src/run", "engine/src/ops", "engine/sandbox"]),
    ("mabuild_engine", &["cli/src", "tests"]),
    ("dbg!", &[]),
    ("todo!", &[]),
    ("unimplemented!", &[]),
];

/// Folders whose files are siblings: none may import another.
const RIBS: &[&str] = &["cli/src/commands", "engine/src/track/upstream"];

/// What may stand at the top of the project, besides what begins with a dot.
const TOP: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "cli",
    "clippy.toml",
    "deny.toml",
    "engine",
    "examples",
    "lang",
    "rustfmt.toml",
    "target",
    "tests",
];

struct Source {
    /// Path below the project.
    path: String,
    /// Lines that are no test, without comments and texts.
    code: Vec<String>,
    /// The whole text.
    text: String,
}

/// All sources of the product.
fn sources() -> Vec<Source> {
    let root = source_tree();
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["lang", "engine", "cli"] {
        files.extend(walk(&root.join(folder)));
    }
    files.retain(|file| file.extension().is_some_and(|e| e == "rs"));
    let sources: Vec<Source> = files.iter().map(|file| source(&root, file)).collect();
    assert!(sources.len() > 50, "the sources are not where they were");
    sources
}

/// The sources that end up in the program.
fn product() -> Vec<Source> {
    let test = |path: &str| {
        path.contains("/tests/")
            || path.contains("/benches/")
            || path.contains("/examples/")
            || ["/tests.rs", "/testing.rs", "/fake.rs"].iter().any(|name| path.ends_with(name))
            || path.contains("/testing/")
    };
    sources().into_iter().filter(|source| !test(&source.path)).collect()
}

fn source(root: &Path, file: &Path) -> Source {
    let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(file).unwrap();
    let mut code = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if *line == "#[cfg(test)]" {
            at = item_end(&lines, at + 1);
        } else {
            code.push(strip(line));
            at += 1;
        }
    }
    Source { path, code, text }
}

/// The line after an item at the left edge that begins at a line.
fn item_end(lines: &[&str], from: usize) -> usize {
    let mut at = from;
    while lines.get(at).is_some_and(|line| line.starts_with('#')) {
        at += 1;
    }
    if lines.get(at).is_some_and(|line| line.ends_with(';') || line.ends_with("{}")) {
        return at + 1;
    }
    while lines.get(at).is_some_and(|line| !line.starts_with(['}', ')'])) {
        at += 1;
    }
    at + 1
}

/// A line without its comment and without what stands in quotes.
fn strip(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' if quoted => {
                rest.next();
            }
            '"' => {
                quoted = !quoted;
                out.push('"');
            }
            '\'' if !quoted && rest.peek() == Some(&'"') => {
                rest.next();
            }
            '/' if !quoted && rest.peek() == Some(&'/') => break,
            _ if quoted => {}
            _ => out.push(c),
        }
    }
    out
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn rooms_of_the_engine_know_only_whom_they_may() {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for source in product() {
        let Some(rest) = source.path.strip_prefix("engine/src/") else { continue };
        let room = rest.split(['/', '.']).next().unwrap();
        if room == "lib" {
            continue;
        }
        let Some((name, may)) = ENGINE.iter().find(|(name, _)| *name == room) else {
            faults.push(format!("{}: the room {room} is not in the table", source.path));
            continue;
        };
        seen.insert(*name);
        for (at, line) in source.code.iter().enumerate() {
            for word in line.split("crate::").skip(1) {
                let other: String =
                    word.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !other.is_empty() && other != room && !may.contains(&other.as_str()) {
                    faults.push(format!(
                        "{}: {room} names {other}: {}",
                        source.path, source.code[at]
                    ));
                }
            }
        }
    }
    for (name, _) in ENGINE {
        let folder = source_tree().join("engine/src").join(name);
        if !seen.contains(name) && folder.exists() {
            faults.push(format!("the room {name} has no source"));
        }
    }
    report(&faults);
}

#[test]
fn no_ring_of_rooms() {
    let mut left: Vec<(&str, &[&str])> = ENGINE.to_vec();
    loop {
        let names: Vec<&str> = left.iter().map(|(name, _)| *name).collect();
        let before = left.len();
        left.retain(|(_, may)| may.iter().any(|other| names.contains(other)));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "these rooms know each other in a ring: {left:?}");
}

#[test]
fn pure_rooms_do_no_io() {
    let mut faults = Vec::new();
    for source in product() {
        if !PURE.iter().any(|room| source.path.starts_with(room)) {
            continue;
        }
        for line in &source.code {
            for word in IO {
                if line.contains(word) {
                    faults.push(format!("{}: {word} in: {}", source.path, line.trim()));
                }
            }
        }
    }
    report(&faults);
}

#[test]
fn some_words_stand_in_one_place_only() {
    let mut faults = Vec::new();
    for source in product() {
        for (word, places) in ONLY {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for line in source.code.iter().filter(|line| has_word(line, word)) {
                faults.push(format!("{}: {word} in: {}", source.path, line.trim()));
            }
        }
    }
    report(&faults);
}

/// Whether a line has a word that does not go on to its left.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn siblings_of_a_rib_do_not_know_each_other() {
    let mut faults = Vec::new();
    for source in product() {
        let below = |rib: &&&str| source.path.strip_prefix(**rib)?.strip_prefix('/');
        let Some((rib, rest)) = RIBS.iter().find_map(|rib| Some((rib, below(&rib)?))) else {
            continue;
        };
        // A folder is one sibling; what is in it may know each other.
        let own = rest.split(['/', '.']).next().unwrap();
        if own == "mod" {
            continue;
        }
        for entry in std::fs::read_dir(source_tree().join(rib)).unwrap().flatten() {
            let entry = entry.path();
            let other = entry.file_stem().unwrap().to_str().unwrap();
            let folder = rib.rsplit('/').next().unwrap();
            if other == own || other == "mod" {
                continue;
            }
            let names = [format!("super::{other}::"), format!("{folder}::{other}::")];
            for line in &source.code {
                if names.iter().any(|name| line.contains(name)) {
                    faults.push(format!("{}: {}", source.path, line.trim()));
                }
            }
        }
    }
    report(&faults);
}

#[test]
fn crates_depend_on_whom_they_may() {
    let may: &[(&str, &[&str])] = &[
        // A Dockerfile that an image names is read with the file that names it.
        ("lang", &["mabuild-dockerfile"]),
        ("engine/dockerfile", &[]),
        ("engine/draft", &["mabuild-dockerfile", "mabuild-lang"]),
        ("engine/oci", &[]),
        ("engine/registry", &["mabuild-oci"]),
        ("engine/distro", &[]),
        ("engine/sandbox", &[]),
        (
            "engine",
            &[
                "mabuild-distro",
                // Expands the instructions that it lowers, and matches ignore files.
                "mabuild-dockerfile",
                "mabuild-draft",
                "mabuild-lang",
                "mabuild-oci",
                "mabuild-registry",
                "mabuild-sandbox",
                // Serves archives to the unit tests of the trackers.
                "mabuild-tests",
            ],
        ),
        ("cli", &["mabuild-engine", "mabuild-lang"]),
    ];
    for (folder, allowed) in may {
        let text = std::fs::read_to_string(source_tree().join(folder).join("Cargo.toml")).unwrap();
        let own =
            text.lines().find_map(|line| line.strip_prefix("name = ")).unwrap().replace('"', "");
        for line in text.lines().filter(|line| line.starts_with("mabuild")) {
            let other = line.split(['.', ' ', '=']).next().unwrap();
            assert!(other == own || allowed.contains(&other), "{folder} depends on {other}");
        }
    }
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.code.len() > 800)
        .map(|source| format!("{}: {} lines without tests", source.path, source.code.len()))
        .collect();
    report(&long);
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = product()
        .iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| format!("{} does not begin with //!", source.path))
        .collect();
    report(&silent);
}

#[test]
fn nothing_is_left_to_do() {
    // Put together here, so that this file does not have the words itself.
    let words = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
        ["HA", "CK"].concat(),
    ];
    let mut faults = Vec::new();
    let folders = ["lang", "engine", "cli", "tests", "examples"];
    for file in folders.iter().flat_map(|folder| walk(&source_tree().join(folder))) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for line in text.lines() {
            if words.iter().any(|word| has_word(line, word)) {
                faults.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
    }
    report(&faults);
}

#[test]
fn top_of_the_project_is_as_agreed() {
    for entry in std::fs::read_dir(source_tree()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        assert!(name.starts_with('.') || TOP.contains(&name.as_str()), "{name} is new at the top");
    }
}

#[test]
fn unsafe_blocks_say_why_they_are_sound() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|s| s.path.starts_with("engine/sandbox/")) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let opens = strip(line).contains("unsafe {");
            let near = &lines[at.saturating_sub(6)..=at];
            if opens && !near.iter().any(|line| line.contains("SAFETY:")) {
                faults.push(format!("{}:{}", source.path, at + 1));
            }
        }
    }
    report(&faults);
}

/// The same list as cargo-deny's, held also where that is not installed.
#[test]
fn licences_of_all_dependencies_are_allowed() {
    let deny = std::fs::read_to_string(source_tree().join("deny.toml")).unwrap();
    let list = deny.split("allow = [").nth(1).unwrap().split(']').next().unwrap();
    let allowed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    let out = std::process::Command::new(std::env::var("CARGO").unwrap_or("cargo".to_owned()))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(source_tree())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let data: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let used: BTreeSet<&str> = data["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|n| n["id"].as_str())
        .collect();
    let mut faults = Vec::new();
    for package in data["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or("none");
        if used.contains(package["id"].as_str().unwrap()) && !is_allowed(licence, &allowed) {
            faults.push(format!("{}: {licence}", package["name"]));
        }
    }
    report(&faults);
}

/// Whether an SPDX expression can be met with the licences of a list.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ");
    // None of the expressions in use has an OR inside of brackets that an AND joins to another.
    let plain = expression.replace(['(', ')'], "");
    let all = |part: &str| part.split(" AND ").all(|one| allowed.contains(&one.trim()));
    if expression.contains(") AND") || expression.contains("AND (") {
        let mut parts = expression.split(" AND ");
        return parts.all(|part| {
            part.replace(['(', ')'], "").split(" OR ").any(|one| allowed.contains(&one.trim()))
        });
    }
    plain.split(" OR ").any(all)
}
