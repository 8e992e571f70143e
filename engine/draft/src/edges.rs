//! What a draft has to know of a Dockerfile. The one place that reads Dockerfiles.

use std::collections::BTreeSet;

use mabuild_dockerfile::{
    AUTOMATIC_ARGS, Dockerfile, Op, Problem, Severity, Stage, expand, parse, references,
    stages_needed,
};

use crate::error::place;
use crate::model::Need;
use crate::reference::Reference;

/// What one Dockerfile says about its image.
#[derive(Debug, Default)]
pub(crate) struct Recipe {
    /// What it names outside of itself.
    pub needs: Vec<Need>,
    /// Its arguments with their defaults.
    pub args: Vec<(String, Option<String>)>,
    /// Names of its stages in their order; empty where a stage has none.
    pub stages: Vec<String>,
    /// Whether it cross-compiles: a stage of the building platform is in it, and no command has
    /// to run on the platform of the image.
    pub cross: bool,
    /// References that a comment or a label gives the image.
    pub known_as: Vec<String>,
    /// What is wrong with it, a line each, with its place.
    pub problems: Vec<String>,
}

/// Arguments that BuildKit knows in every Dockerfile and that change no image.
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY", "SOURCE_DATE_EPOCH"];

/// Reads a Dockerfile for a stage, the last when none is named. Values given from outside win
/// over defaults.
pub(crate) fn read(
    path: &str,
    text: &str,
    target: Option<&str>,
    arg: &dyn Fn(&str) -> Option<String>,
) -> Recipe {
    let parsed = parse(text);
    let file = &parsed.file;
    let mut recipe = Recipe {
        args: arguments(file),
        stages: file
            .stages
            .iter()
            .map(|stage| stage.name.as_ref().map(|name| name.raw.clone()).unwrap_or_default())
            .collect(),
        known_as: hints(text, file),
        ..Recipe::default()
    };
    let errors = parsed.problems.iter().filter(|problem| problem.severity == Severity::Error);
    recipe.problems = errors.map(|problem| shown(path, text, problem)).collect();
    if file.stages.is_empty() {
        return recipe;
    }
    let on = |name: &str, arch: &str| {
        arg(name).or_else(|| match name {
            "TARGETPLATFORM" => Some(format!("linux/{arch}")),
            "TARGETARCH" => Some(arch.to_owned()),
            "TARGETOS" | "BUILDOS" => Some("linux".to_owned()),
            "BUILDPLATFORM" => Some("linux/amd64".to_owned()),
            "BUILDARCH" => Some("amd64".to_owned()),
            "TARGETVARIANT" | "BUILDVARIANT" => Some(String::new()),
            _ => None,
        })
    };
    let names = |arch: &str| {
        references(file, target, &|name| on(name, arch))
            .map(|found| found.into_iter().map(|reference| reference.name).collect::<BTreeSet<_>>())
    };
    match (names("amd64"), names("arm64")) {
        (Ok(one), Ok(other)) => {
            let all = one.union(&other).filter(|name| !name.is_empty());
            recipe.needs = all
                .map(|name| Need {
                    name: name.clone(),
                    varies: !(one.contains(name) && other.contains(name)),
                })
                .collect();
        }
        (Err(problems), _) | (_, Err(problems)) => {
            recipe.problems.extend(problems.iter().map(|problem| shown(path, text, problem)));
        }
    }
    if let Ok(needed) = stages_needed(file, target, &|name| on(name, "amd64")) {
        recipe.cross = is_cross(file, &needed);
    }
    recipe.problems.sort();
    recipe.problems.dedup();
    recipe
}

/// A problem as a line.
fn shown(path: &str, text: &str, problem: &Problem) -> String {
    let (line, column) = place(text, problem.span.start as usize);
    let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{path}:{line}:{column}: {}{help}", problem.message)
}

/// Arguments in their order, each once, without those that BuildKit sets.
fn arguments(file: &Dockerfile) -> Vec<(String, Option<String>)> {
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    for (_, argument) in file.arguments() {
        let name = &argument.name.raw;
        let known = PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name))
            || AUTOMATIC_ARGS.contains(&name.as_str());
        let default = argument.default.as_ref().map(|word| {
            let plain = expand::word(word, file.directives.escape, &|_| None);
            match plain {
                Ok(text) if text.missing.is_empty() => text.text,
                _ => word.raw.clone(),
            }
        });
        match found.iter_mut().find(|(other, _)| other == name) {
            // A stage that names an argument of the file again has no default of its own.
            Some((_, known)) => *known = known.take().or(default),
            None if known || name.is_empty() => {}
            None => found.push((name.clone(), default)),
        }
    }
    found
}

/// Whether stages of the building platform do all the work.
fn is_cross(file: &Dockerfile, needed: &[usize]) -> bool {
    let mut native: BTreeSet<usize> = BTreeSet::new();
    for stage in &file.stages {
        let on_build = match &stage.platform {
            Some(platform) => platform.raw.contains("BUILDPLATFORM"),
            None => parent(file, stage).is_some_and(|parent| native.contains(&parent)),
        };
        if on_build {
            native.insert(stage.index);
        }
    }
    let runs = |stage: &Stage| stage.instructions.iter().any(|item| matches!(item.op, Op::Run(_)));
    let stages = || file.stages.iter().filter(|stage| needed.contains(&stage.index));
    stages().any(|stage| native.contains(&stage.index))
        && stages().all(|stage| native.contains(&stage.index) || !runs(stage))
}

/// The earlier stage that a stage begins with.
fn parent(file: &Dockerfile, stage: &Stage) -> Option<usize> {
    let earlier = file.stages.iter().take(stage.index);
    earlier.rev().find(|other| other.is_named(&stage.from.raw)).map(|other| other.index)
}

/// References that the author gives the image: `-t` of a build in a comment, `Image:` or `Tag:`
/// before it, or the label of its name.
fn hints(text: &str, file: &Dockerfile) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |word: &str| {
        let word = word.trim_matches(['"', '\'', '`', ',', '\\']);
        let full = Reference::parse(word).filter(|reference| reference.digest.is_none());
        if full.is_some() && word.contains([':', '/']) && !found.contains(&word.to_owned()) {
            found.push(word.to_owned());
        }
    };
    let comments = text.lines().filter_map(|line| line.trim_start().strip_prefix('#'));
    for comment in comments {
        let words: Vec<&str> = comment.split_whitespace().collect();
        let builds = words.contains(&"build") || words.contains(&"buildx");
        for (at, word) in words.iter().enumerate() {
            let next = || words.get(at + 1).copied().unwrap_or_default();
            let lower = word.to_ascii_lowercase();
            match lower.as_str() {
                "-t" | "--tag" if builds => add(next()),
                "image:" | "tag:" if at == 0 => add(next()),
                _ => {}
            }
            if let Some(tag) = word.strip_prefix("--tag=").filter(|_| builds) {
                add(tag);
            }
        }
    }
    let labels = file.stages.last().into_iter().flat_map(|stage| &stage.instructions);
    for instruction in labels {
        let Op::Label(pairs) = &instruction.op else { continue };
        for pair in pairs {
            if pair.key.raw.trim_matches('"') == "org.opencontainers.image.ref.name" {
                add(&pair.value.raw);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::read;

    fn cross(text: &str) -> bool {
        read("Dockerfile", text, None, &|_| None).cross
    }

    #[test]
    fn cross_is_where_nothing_foreign_runs() {
        assert!(cross(
            "FROM --platform=$BUILDPLATFORM go AS b\nRUN x\nFROM scratch\nCOPY --from=b /a /a\n"
        ));
        // A stage on top of one of the building platform is of that platform too.
        assert!(cross(
            "FROM --platform=$BUILDPLATFORM go AS b\nFROM b AS c\nRUN x\nFROM scratch\nCOPY --from=c /a /a\n"
        ));
        assert!(!cross(
            "FROM --platform=$BUILDPLATFORM go AS b\nRUN x\nFROM alpine\nRUN y\nCOPY --from=b /a /a\n"
        ));
        assert!(!cross("FROM alpine\nCOPY a a\n"));
        // The stage of the building platform is not needed.
        assert!(!cross("FROM --platform=$BUILDPLATFORM go AS b\nFROM alpine\nCOPY a a\n"));
    }

    #[test]
    fn names_that_differ_by_platform_are_told_apart() {
        let recipe = read(
            "Dockerfile",
            "ARG V=1\nARG TARGETARCH\nFROM a/b-${TARGETARCH}:$V AS x\nFROM c:$V\nCOPY --from=x / /\nCOPY --from=d:2 / /\n",
            None,
            &|name| (name == "V").then(|| "9".to_owned()),
        );
        let needs: Vec<(&str, bool)> =
            recipe.needs.iter().map(|need| (need.name.as_str(), need.varies)).collect();
        assert_eq!(
            needs,
            [("a/b-amd64:9", true), ("a/b-arm64:9", true), ("c:9", false), ("d:2", false)]
        );
        assert_eq!(recipe.args, [("V".to_owned(), Some("1".to_owned()))]);
    }

    #[test]
    fn hints_come_from_comments_and_labels() {
        let recipe = read(
            "Dockerfile",
            "# docker build -t acme/base:1 .\n# Image: acme/base:2\n# the tag: nothing here\nFROM a\nLABEL org.opencontainers.image.ref.name=\"acme/base:3\"\n",
            None,
            &|_| None,
        );
        assert_eq!(recipe.known_as, ["acme/base:1", "acme/base:2", "acme/base:3"]);
    }

    #[test]
    fn problems_have_places() {
        let recipe = read("x/Dockerfile", "FROM a\nRUNN x\n", None, &|_| None);
        assert_eq!(recipe.problems.len(), 1);
        assert!(recipe.problems[0].starts_with("x/Dockerfile:2:1: "), "{:?}", recipe.problems);
    }
}
