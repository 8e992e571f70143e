//! Where and how images are published, and how hosts are spoken to.

use std::time::Duration;

use mabuild_lang::config::{Config, Format, Publishing};
use mabuild_lang::{Vars, load};

use crate::{load_one, memory, rendered};

const HEAD: &str = "mabuild 1\nplatforms \"linux/amd64\" \"linux/arm64\" \"linux/arm/v7\"\n";

fn good(text: &str) -> Config {
    let loaded = load_one(&format!("{HEAD}{text}"));
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    Config::clone(&loaded.config)
}

/// What is said, in words: format, platforms that are required, days of carrying, annotations.
fn told(publishing: &Publishing) -> String {
    let Publishing { format, require, carry, annotations } = publishing;
    let format = match format.as_ref().map(|format| format.value) {
        None => "-",
        Some(Format::Oci) => "oci",
        Some(Format::Docker) => "docker",
    };
    let require = match require.as_ref().map(|require| require.platforms.as_deref()) {
        None => "-".to_owned(),
        Some(None) => "all".to_owned(),
        Some(Some(list)) => {
            let list: Vec<String> = list.iter().map(|p| p.value.to_string()).collect();
            list.join("+")
        }
    };
    let days = carry.as_ref().map_or(0, |time| time.value.as_secs() / 86_400);
    let pairs = annotations.iter().map(|(name, value)| {
        format!("{}={}", name.value, value.of_variant(&["3.12".into()]).unwrap())
    });
    let pairs: Vec<String> = pairs.collect();
    format!("{format} {require} {days} {}", pairs.join(","))
}

#[test]
fn inner_words_count_more() {
    let config = good(
        r#"let team "core"
        format "docker"
        require "linux/amd64" "linux/riscv64"
        late carry "7d"
        annotation "org.example.team" "{{team}}"
        annotation "org.example.fleet" "all"
        template "t" { format "oci"; late "carry" "2d"; annotation "org.example.team" "template" }
        template "u" { late carry "3d" }
        base "b" { oci-layout "x"; publish "ghcr.io/b"; require "all" }
        base "plain" { oci-layout "x"; publish "ghcr.io/plain" }
        image "a" {
            matrix { python "3.12" }
            use "t" "u"
            from "plain"
            publish "ghcr.io/a"
            require "linux/arm"
            annotation "org.example.python" "{{python}} of {{image.name}}"
            annotation "org.example.empty" ""
        }"#,
    );
    let shared = "org.example.team=core,org.example.fleet=all";
    assert_eq!(told(&config.bases[0].publishing), format!("docker all 7 {shared}"));
    let default = format!("docker linux/amd64+linux/riscv64 7 {shared}");
    assert_eq!(told(&config.bases[1].publishing), default);
    assert_eq!(
        told(&config.images[0].body.publishing),
        "oci linux/arm/v7 3 org.example.team=template,org.example.fleet=all,\
         org.example.python=3.12 of a,org.example.empty="
    );
}

#[test]
fn files_that_are_included_say_their_own() {
    let files = memory(&[
        (
            "mabuild.kdl",
            "mabuild 1\nplatforms \"linux/amd64\"\ninclude \"teams/a.kdl\" \"teams/b.kdl\"\nformat \"docker\"\nannotation \"x\" \"main\"\nregistry \"ghcr.io/acme\"\nremote-cache \"cache\"\n",
        ),
        (
            "teams/a.kdl",
            "annotation \"x\" \"a\"\nrequire all\nremote-cache \"other\"\nbase \"a\" { oci-layout \"x\"; publish \"a\" }\nregistry \"quay.io\" { ca \"ca.pem\" }\n",
        ),
        ("teams/b.kdl", "base \"b\" { oci-layout \"x\"; publish \"b\" }\n"),
    ]);
    let loaded = load("mabuild.kdl", &files, &Vars::default());
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    let base = |name: &str| {
        let found = loaded.config.bases.iter().find(|base| *base.name.value == *name);
        told(&found.unwrap().publishing)
    };
    assert_eq!(base("a"), "docker all 0 x=a");
    assert_eq!(base("b"), "docker - 0 x=main");
    // The main file comes first.
    assert_eq!(loaded.config.remote_cache.as_ref().unwrap().value, "cache");
    assert_eq!(&*loaded.config.hosts[0].ca.as_ref().unwrap().value.folder, "teams");
}

#[test]
fn today_may_stand_in_an_annotation() {
    let vars = Vars { date: Some("2026-11-21".to_owned()), ..Vars::default() };
    let text = format!(
        "{HEAD}base \"b\" {{ oci-layout \"x\"; publish \"ghcr.io/b\"; annotation \"x\" \"{{{{date}}}}\" }}"
    );
    let loaded = load("mabuild.kdl", &memory(&[("mabuild.kdl", text.as_str())]), &vars);
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    assert_eq!(told(&loaded.config.bases[0].publishing), "- - 0 x=2026-11-21");
}

#[test]
fn templates_may_require_more_than_an_image_has() {
    let config = good(
        "template \"t\" { require \"linux/amd64\" \"linux/s390x\"; publish \"ghcr.io/{{image.name}}\" }
        base \"b\" { oci-layout \"x\" }
        image \"a\" { use \"t\"; from \"b\" }",
    );
    let said = told(&config.images[0].body.publishing);
    assert_eq!(said, "- linux/amd64+linux/s390x 0 ");
}

#[test]
fn hosts_with_all_their_settings() {
    let config = good(
        r#"registry "ghcr.io/acme"
        let zone "eu"
        registry "Docker.io" {
            mirror "https://mirror.{{zone}}.example/" "nexus.example:8443/proxy/hub"
            mirror "http://localhost:5000"
            mirror "HTTPS://cache/hub"
            requests 4
            max-requests 500
        }
        registry "r.internal:5000" { plain-http }
        registry "harbor.example" { ca "pki/ca.pem"; client-cert "pki/c.pem" key="/etc/k.pem" }
        registry "[::1]:5000" { plain-http; requests 1 }"#,
    );
    assert_eq!(config.registry.as_ref().unwrap().value, "ghcr.io/acme");
    let [hub, plain, harbor, own] = config.hosts.as_slice() else { panic!("{:?}", config.hosts) };
    assert_eq!(hub.name.value, "docker.io");
    let mirrors: Vec<_> =
        hub.mirrors.iter().map(|m| (m.host.as_str(), m.path.as_deref(), m.tls)).collect();
    assert_eq!(
        mirrors,
        [
            ("mirror.eu.example", None, Some(true)),
            ("nexus.example:8443", Some("proxy/hub"), None),
            ("localhost:5000", None, Some(false)),
            ("cache", Some("hub"), Some(true)),
        ]
    );
    assert_eq!((hub.requests, hub.max_requests), (Some(4), Some(500)));
    assert!(hub.plain_http.is_none() && hub.ca.is_none() && hub.client.is_none());
    assert!(plain.plain_http.is_some() && own.plain_http.is_some());
    assert_eq!(harbor.ca.as_ref().unwrap().value.text.constant(), Some("pki/ca.pem"));
    let (certificate, key) = &harbor.client.as_ref().unwrap().value;
    assert_eq!(certificate.text.constant(), Some("pki/c.pem"));
    assert_eq!(key.text.constant(), Some("/etc/k.pem"));
}

#[test]
fn spans_of_an_age_are_whole() {
    let config = good("base \"b\" { oci-layout \"x\"; publish \"ghcr.io/b\"; late carry \"36h\" }");
    let carry = config.bases[0].publishing.carry.as_ref().unwrap();
    assert_eq!(carry.value, Duration::from_secs(36 * 3600));
}
