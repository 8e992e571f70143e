//! Whole drafts, and what holds for all of them.

use std::collections::BTreeMap;

use mabuild_lang::config::{BaseSource, Config, Image, NodeRef};
use mabuild_lang::{Files, Loaded, Vars, load};
use proptest::prelude::*;

use crate::{Draft, DraftError, Found, fresh, from_bake, from_compose, from_dockerfiles};

/// A description and its Dockerfiles.
struct Folder<'a> {
    kdl: &'a str,
    read: &'a dyn Fn(&str) -> Option<String>,
}

impl Files for Folder<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == "mabuild.kdl" {
            return Ok(self.kdl.as_bytes().to_vec());
        }
        (self.read)(path).map(String::into_bytes).ok_or_else(|| "there is no such file".to_owned())
    }
    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

fn loaded(kdl: &str, read: &dyn Fn(&str) -> Option<String>) -> Loaded {
    load("mabuild.kdl", &Folder { kdl, read }, &Vars::default())
}

/// Checks that a draft is valid and in its canonical layout.
pub(crate) fn accepted(draft: &Draft) {
    match mabuild_lang::format("mabuild.kdl", &draft.kdl) {
        Ok(text) => assert_eq!(text, draft.kdl, "not in the layout of `fmt`"),
        Err(wrong) => panic!("{:?}\n{}", wrong.diagnostics, draft.kdl),
    }
    assert!(draft.notes.iter().all(|note| !note.contains('\n')), "{:?}", draft.notes);
}

/// The draft and its notes as one text.
pub(crate) fn shown(draft: Result<Draft, Vec<DraftError>>) -> String {
    match draft {
        Ok(draft) => {
            accepted(&draft);
            let notes: Vec<String> =
                draft.notes.iter().map(|note| format!("note: {note}\n")).collect();
            format!("{}---\n{}", draft.kdl, notes.concat())
        }
        Err(errors) => errors.iter().map(|error| format!("error: {error}\n")).collect(),
    }
}

/// What each image needs, a line each.
fn edges(config: &Config) -> String {
    let name = |node: &NodeRef| match node {
        // By its reference, which a declared base and one that is met alone share.
        NodeRef::Base(id) => match &config.bases[id.0 as usize].source {
            BaseSource::Registry(registry) => {
                registry.reference.constant().unwrap_or("?").to_owned()
            }
            other => panic!("{other:?}"),
        },
        NodeRef::Image(id) => format!("image {}", config.images[id.0 as usize].name),
    };
    let line = |image: &Image| {
        let mut needs: Vec<String> = image
            .builds
            .iter()
            .flat_map(|build| build.nodes())
            .map(|(node, _)| name(&node))
            .collect();
        needs.dedup();
        format!("{}: {}\n", image.name, needs.join(", "))
    };
    config.images.iter().map(line).collect()
}

const BASE: &str = "# docker build -t acme/base:1 .\nFROM debian:12\nRUN apt-get update\n";
const WEB: &str = "# syntax=docker/dockerfile:1\nARG NODE=20\nFROM --platform=$BUILDPLATFORM node:${NODE} AS assets\nARG NODE_ENV=production\nRUN npm ci\nFROM nginx:1.27\nCOPY --from=assets /out /usr/share/nginx/html\n";
const API: &str = "FROM golang:1.22-alpine AS build\nARG COMMIT\nRUN go build\n\nFROM acme/base:1 AS release\nCOPY --from=build /out /\nCOPY --from=registry.example.org/acme/certs:2024 /certs /certs\n\nFROM release AS debug\nRUN apt-get install gdb\n";
const NGINX: &str = "FROM nginx\nCOPY nginx.conf /etc/nginx/\n";
const TOOLS: &str = "ARG ALPINE=alpine\nFROM ${ALPINE} AS first\nFROM alpine:3.20@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\nCOPY --from=docker.io/acme/api /out /api\nRUN --mount=type=bind,from=acme/certs:2024,target=/c true\nCOPY --from=first / /\n";
const CERTS: &str = "FROM scratch\nCOPY . /certs\n";

fn folder() -> Vec<Found<'static>> {
    vec![
        Found { path: "base/Dockerfile", text: BASE },
        Found { path: "services/web/Dockerfile", text: WEB },
        Found { path: "services/api/Dockerfile", text: API },
        Found { path: "nginx/Dockerfile", text: NGINX },
        Found { path: "tools/Dockerfile.ci", text: TOOLS },
        Found { path: "certs/Dockerfile", text: CERTS },
    ]
}

pub(crate) fn files(path: &str) -> Option<String> {
    let known: BTreeMap<&str, &str> = [
        ("base/Dockerfile", BASE),
        ("web/Dockerfile", "FROM base AS build\nRUN make\nFROM nginx:1.27 AS release\nCOPY --from=build /out /\nFROM release AS worker\nCOPY --from=assets / /\n"),
        ("docker/web.Dockerfile", "FROM base AS release\nCOPY --from=shared / /\nFROM node:20\nCOPY --from=release / /\n"),
        ("python/Dockerfile", "ARG PYTHON_VERSION=3.9\nARG FLAVOUR=alpine\nFROM python:${PYTHON_VERSION}-${FLAVOUR}\nRUN pip install x\n"),
        ("tools/Dockerfile", "FROM golang:1.22 AS lint\nFROM lint AS format\n"),
    ]
    .into();
    known.get(path).map(|text| (*text).to_owned())
}

const NO_VARS: fn(&str) -> Option<String> = |_| None;

#[test]
fn a_folder_of_dockerfiles() {
    insta::assert_snapshot!(shown(from_dockerfiles(&folder())));
}

#[test]
fn a_bake_file() {
    let text = include_str!("../testdata/docker-bake.hcl");
    insta::assert_snapshot!(shown(from_bake("docker-bake.hcl", text, &files, &NO_VARS)));
}

#[test]
fn a_compose_file() {
    let text = include_str!("../testdata/compose.yaml");
    insta::assert_snapshot!(shown(from_compose("compose.yaml", text, &files, &NO_VARS)));
}

#[test]
fn a_fresh_file_has_no_errors() {
    for name in ["shop", "My Shop!", "busybox", "{{x}}", "\"", ""] {
        let draft = fresh(name);
        accepted(&draft);
        let loaded = loaded(&draft.kdl, &|_| None);
        assert!(loaded.diagnostics.is_empty(), "{:?}\n{}", loaded.diagnostics, draft.kdl);
        assert_eq!(loaded.config.images.len(), 1);
    }
    assert!(fresh("My Shop!").kdl.contains("image \"my-shop\" {"));
}

#[test]
fn drafts_load_with_the_edges_of_their_dockerfiles() {
    let in_folder = |path: &str| {
        let found = folder().into_iter().find(|found| found.path == path)?;
        Some(found.text.to_owned())
    };
    // What a person is told to write by hand.
    let written = |path: &str| {
        let by_hand = path.ends_with("edge.Dockerfile") || path.ends_with("legacy.Dockerfile");
        if by_hand { Some("FROM base\n".to_owned()) } else { files(path) }
    };
    let bake = include_str!("../testdata/docker-bake.hcl");
    let compose = include_str!("../testdata/compose.yaml");
    let drafts: [(_, &crate::Read<'_>); 3] = [
        (from_dockerfiles(&folder()), &in_folder),
        (from_bake("docker-bake.hcl", bake, &files, &NO_VARS), &written),
        (from_compose("compose.yaml", compose, &files, &NO_VARS), &written),
    ];
    let mut found = String::new();
    for (draft, read) in drafts {
        let kdl = draft.unwrap().kdl;
        let loaded = loaded(&kdl, read);
        assert!(!loaded.has_errors(), "{:#?}\n{kdl}", loaded.diagnostics);
        found.push_str(&edges(&loaded.config));
        found.extend(loaded.diagnostics.iter().map(|problem| format!("{}\n", problem.message)));
        found.push('\n');
    }
    insta::assert_snapshot!(found);
}

#[test]
fn what_is_of_others_stays_a_base() {
    let user = "FROM gcr.io/distroless/base:1\nCOPY --from=acme/base@sha256:00ff / /\nCOPY --from=acme/redis:1 / /\nCOPY --from=redis:7 / /\n";
    let files = [
        Found { path: "base/Dockerfile", text: "FROM scratch\n" },
        Found { path: "redis/Dockerfile", text: "FROM redis:7\n" },
        Found { path: "user/Dockerfile", text: user },
    ];
    let draft = from_dockerfiles(&files).unwrap();
    accepted(&draft);
    for part in [
        "registry \"gcr.io/distroless/base:1\"",
        "registry \"docker.io/acme/base@sha256:00ff\"",
        "base \"redis-7\" {\n    registry \"docker.io/library/redis:7\"\n}",
        "    tags \"1\"\n    publish \"acme/redis\"\n",
    ] {
        assert!(draft.kdl.contains(part), "{part}\n{}", draft.kdl);
    }
}

#[test]
fn rings_of_names_are_cut() {
    let files = [
        Found { path: "a/Dockerfile", text: "FROM acme/b:1\n" },
        Found { path: "b/Dockerfile", text: "FROM acme/a:1\n" },
    ];
    insta::assert_snapshot!(shown(from_dockerfiles(&files)));
}

#[test]
fn a_folder_without_dockerfiles_is_an_error() {
    insta::assert_snapshot!(shown(from_dockerfiles(&[])), @"error: : the folder has no Dockerfile; name the Dockerfiles `Dockerfile`, or write the description by hand");
}

/// Strings with everything that has a meaning somewhere.
fn odd() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z0-9._/-]{0,6}",
        Just("{{".to_owned()),
        Just("}}".to_owned()),
        Just("{".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("//".to_owned()),
        Just("\n".to_owned()),
        Just("\u{feff}\u{202e}\u{85}\u{7f}".to_owned()),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bake_file_in_json_gives_valid_kdl(
        name in odd(), key in odd(), value in odd(), tag in odd(), attribute in "[a-z-]{1,12}",
        axis in "[a-zA-Z_-]{1,8}", words in prop::collection::vec(odd(), 0..4),
    ) {
        let escaped = |text: &str| text.replace("${", "$${").replace("%{", "%%{");
        let json = serde_json::json!({
            "variable": { "V": { "default": escaped(&value) }, key.clone(): { "default": escaped(&tag) } },
            "group": { name.clone(): { "targets": [escaped(&name)] } },
            "target": {
                name.clone(): {
                    "context": escaped(&value), "dockerfile-inline": escaped(&value), "target": escaped(&tag),
                    "args": { escaped(&key): "${V}x", "B": escaped(&value) },
                    "labels": { escaped(&value): escaped(&key) },
                    "contexts": { escaped(&key): escaped(&value), "n": "target:m" },
                    "tags": [escaped(&tag), "${V}/a:1", "acme/a:${V}"],
                    "platforms": [escaped(&value), "linux/amd64"],
                    "secret": [{ "id": escaped(&key), "src": escaped(&value) }],
                    attribute: escaped(&value),
                    "description": escaped(&value),
                },
                "m": {
                    "name": format!("m-${{sanitize({axis})}}"), "matrix": { axis.clone(): words.iter().map(|w| escaped(w)).collect::<Vec<_>>() },
                    "args": { "A": format!("${{{axis}}}") },
                },
            },
        });
        if let Ok(draft) = from_bake("docker-bake.json", &json.to_string(), &files, &NO_VARS) {
            accepted(&draft);
        }
    }

    #[test]
    fn any_compose_file_gives_valid_kdl(name in odd(), key in odd(), value in odd()) {
        let json = serde_json::json!({
            "services": {
                name.clone(): {
                    "image": value.clone(),
                    "build": {
                        "context": value.clone(), "args": { key.clone(): value.clone() },
                        "labels": [format!("{key}={value}")], "dockerfile_inline": value.clone(),
                        "additional_contexts": { key.clone(): value.clone() },
                        "secrets": [value.clone()], key.clone(): value.clone(),
                        "tags": ["${X:-a}/b:${Y:-{}c"], "platforms": [value.clone()],
                    },
                },
            },
            "secrets": { value.clone(): { "file": key.clone() } },
        });
        if let Ok(draft) = from_compose("compose.yaml", &json.to_string(), &files, &NO_VARS) {
            accepted(&draft);
        }
    }

    #[test]
    fn any_folder_gives_valid_kdl(folder in odd(), from in odd(), comment in odd()) {
        let path = format!("{folder}/Dockerfile");
        let text = format!("# image: {comment}\nARG A={comment}\nFROM {from}\nFROM a/{from} AS x\n");
        let files = [
            Found { path: &path, text: &text },
            Found { path: "a/Dockerfile", text: &comment },
            Found { path: "b/Dockerfile", text: "FROM a\n" },
        ];
        accepted(&from_dockerfiles(&files).unwrap());
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in odd(), more in "\\PC{0,80}") {
        for text in [&text, &more, &format!("target \"a\" {{ tags = [\"{more}\"] }}")] {
            let _ = from_bake("docker-bake.hcl", text, &files, &NO_VARS);
            let _ = from_bake("docker-bake.json", text, &files, &NO_VARS);
            let _ = from_compose("compose.yaml", text, &files, &NO_VARS);
        }
    }
}
