//! Hosts of registries: what they allow, what they are asked with, and which logins they get.

use std::sync::Arc;

use base64::Engine as _;
use mabuild_oci::image::{Descriptor, Index, Manifest};
use mabuild_oci::{Digest, ImageConfig, Platform, media_type};
use mabuild_tests::env::TestEnv;
use mabuild_tests::server::{Answer, Request, Server};

/// The image `team/app:1` of one platform, as a registry serves it.
#[derive(Clone)]
struct Image {
    index: Vec<u8>,
    manifest: Vec<u8>,
    config: Vec<u8>,
}

impl Image {
    fn new() -> Self {
        let platform = Platform::new("linux", "amd64");
        let config = ImageConfig::new(&platform).to_bytes().unwrap();
        let of = |kind: &str, bytes: &[u8]| {
            Descriptor::new(kind, Digest::sha256(bytes), bytes.len() as u64)
        };
        let manifest =
            Manifest::new(of(media_type::CONFIG, &config), Vec::new()).to_bytes().unwrap();
        let member = of(media_type::MANIFEST, &manifest).with_platform(platform);
        Self { index: Index::new(vec![member]).to_bytes().unwrap(), manifest, config }
    }

    /// What is sent for a path; headers that are said of everything come on top.
    fn answer(&self, request: &Request, more: &[(&'static str, String)]) -> Answer {
        let Some((_, name)) = request.path.rsplit_once('/') else { return Answer::status(404) };
        let kinds = [
            (media_type::INDEX, &self.index),
            (media_type::MANIFEST, &self.manifest),
            (media_type::CONFIG, &self.config),
        ];
        let is_meant = |bytes: &[u8]| Digest::sha256(bytes).to_string() == name;
        let found = match name {
            "1" => Some(&kinds[0]),
            _ => kinds.iter().find(|(_, bytes)| is_meant(bytes)),
        };
        let Some((kind, bytes)) = found else { return Answer::status(404) };
        let digest = Digest::sha256(bytes).to_string();
        let mut headers =
            vec![("Content-Type", (*kind).to_owned()), ("Docker-Content-Digest", digest)];
        headers.extend(more.iter().cloned());
        Answer::Reply(200, headers, Arc::new(bytes.to_vec()))
    }
}

fn host(server: &Server) -> &str {
    server.address.strip_prefix("http://").unwrap()
}

/// A project with a base out of a registry; `more` stands at its top.
fn project(host: &str, more: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write(
        "mabuild.kdl",
        format!(
            "mabuild 1\nplatforms \"linux/amd64\"\n{more}\nbase \"app\" {{ registry \"{host}/team/app:1\" }}\n"
        ),
    );
    env
}

#[test]
fn limits_of_a_registry_are_told_behind_what_moved() {
    let image = Image::new();
    let limits = [("RateLimit-Limit", "100;w=21600"), ("RateLimit-Remaining", "87;w=21600")];
    let limits = limits.map(|(name, value)| (name, value.to_owned()));
    let server = Server::start(move |request, _| image.answer(request, &limits));
    let env = project(host(&server), "");
    let run = env.mabuild(&["upstream", "check"]).fails(2);
    let line = format!("{}: 87 of 100 requests left (6 h)", host(&server));
    assert_eq!(run.stdout.lines().last(), Some(line.as_str()), "{}", run.stdout);
    let json = env.mabuild(&["upstream", "check", "--format", "json"]).fails(2);
    assert!(!json.stdout.contains("requests left"), "{}", json.stdout);
}

#[test]
fn too_small_a_budget_is_told_before_anything_is_asked() {
    let image = Image::new();
    let server = Server::start(move |request, _| image.answer(request, &[]));
    let budget = |count: u32| format!("registry \"{}\" {{ max-requests {count} }}", host(&server));
    let env = project(host(&server), &budget(1));
    let run = env.mabuild(&["upstream", "check"]).fails(1);
    assert!(run.stdout.contains("asked for 2 things or more"), "{}", run.stdout);
    assert!(run.stdout.contains("`max-requests` allows 1 in a run"), "{}", run.stdout);
    assert_eq!(server.paths().len(), 0);
    let env = project(host(&server), &budget(2));
    env.mabuild(&["upstream", "check"]).fails(2);
    assert_eq!(server.paths().len(), 2);
}

/// A registry for `joe` alone, and his login as headers and files have it.
fn closed() -> (Server, String) {
    let image = Image::new();
    let text = base64::engine::general_purpose::STANDARD.encode("joe:geheim");
    let wanted = format!("Basic {text}");
    let server = Server::start(move |request, _| match request.headers.get("authorization") {
        Some(given) if *given == wanted => image.answer(request, &[]),
        _ => {
            let challenge = ("WWW-Authenticate", "Basic realm=\"r\"".to_owned());
            Answer::Reply(401, vec![challenge], Arc::default())
        }
    });
    (server, text)
}

/// The variable that may hold the login of a host.
fn variable(host: &str) -> String {
    let host = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("MABUILD_REGISTRY_LOGIN_{}", host.collect::<String>())
}

#[test]
fn what_is_said_for_this_program_counts_more_than_what_others_keep() {
    let (server, text) = closed();
    let host = host(&server);
    let mut env = project(host, "");
    let wrong = format!(r#"{{"auths": {{"{host}": {{"username": "ann", "password": "x"}}}}}}"#);
    env.write("docker/config.json", &wrong);
    env.write("secret", format!(r#"{{"auths": {{"{host}": {{"auth": "{text}"}}}}}}"#));
    let at = |env: &TestEnv, path: &str| env.path(path).to_str().unwrap().to_owned();
    let (docker, secret) = (at(&env, "docker"), at(&env, "secret"));
    env.var("DOCKER_CONFIG", &docker).mabuild(&["upstream", "check"]).fails(1);
    env.var("MABUILD_DOCKERCONFIGJSON", &secret).mabuild(&["upstream", "check"]).fails(2);
    env.var(&variable(host), "ann:x").mabuild(&["upstream", "check"]).fails(1);
    env.var(&variable(host), "joe:geheim").mabuild(&["upstream", "check"]).fails(2);
    let run = env.var(&variable(host), "geheim").mabuild(&["upstream", "check"]).fails(1);
    assert!(run.stdout.contains("does not hold `NAME:PASSWORD`"), "{}", run.stdout);
}

#[test]
fn logins_come_from_the_environment_and_from_files() {
    let (server, text) = closed();
    let host = host(&server);
    let file = format!(r#"{{"auths": {{"{host}": {{"auth": "{text}"}}}}}}"#);
    let variable = variable(host);
    // (the variable that is set, the file that it names or that lies in its folder)
    for (name, path) in [
        (variable.as_str(), None),
        ("MABUILD_DOCKERCONFIGJSON", Some(("secret/.dockerconfigjson", "secret"))),
        ("REGISTRY_AUTH_FILE", Some(("auth.json", "auth.json"))),
        ("DOCKER_CONFIG", Some(("docker/.dockerconfigjson", "docker"))),
        ("XDG_RUNTIME_DIR", Some(("run/containers/auth.json", "run"))),
        ("XDG_CONFIG_HOME", Some(("config/containers/auth.json", "config"))),
    ] {
        let mut env = project(host, "");
        let denied = env.mabuild(&["upstream", "check"]).fails(1);
        assert!(denied.stdout.contains("failed: app@linux/amd64"), "{}", denied.stdout);
        let value = match path {
            None => "joe:geheim".to_owned(),
            Some((file_at, names)) => {
                env.write(file_at, &file);
                env.path(names).to_str().unwrap().to_owned()
            }
        };
        env.var(name, &value);
        let run = env.mabuild(&["upstream", "check", "-v"]).fails(2);
        assert!(run.stdout.contains("1 moved"), "{name}: {}", run.stdout);
        for secret in ["geheim", text.as_str()] {
            assert!(!(run.stdout.clone() + &run.stderr).contains(secret), "{name}");
        }
    }
}
