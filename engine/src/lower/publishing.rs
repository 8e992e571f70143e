//! Where and how things are published, and how the hosts of registries are spoken to.

use std::path::PathBuf;
use std::sync::Arc;

use mabuild_lang::config::{self, Located, Publishing};
use mabuild_lang::platform::Platform;
use mabuild_lang::reference;
use mabuild_lang::source::Spanned;

use super::{Declared, Lowered};
use crate::facts::HostSettings;
use crate::graph::ThingId;
use crate::publish::{Format, Publication, Require};

impl Lowered {
    /// Whether anything is published at all.
    pub fn is_published(&self) -> bool {
        let bases = self.config.bases.iter().map(|base| &base.publish);
        let images = self.config.images.iter().map(|image| &image.body.publish);
        bases.chain(images).any(|publish| !publish.is_empty())
    }

    /// Where a thing is published; none where it is not.
    pub fn publication(&self, thing: ThingId) -> Option<Publication> {
        let declared = self.declared(thing)?;
        let (publish, values, arch_tags, how, platforms) = match &declared {
            Declared::Base(base) => {
                let none: &[Arc<str>] = &[];
                (&base.publish, none, base.arch_tags, &base.publishing, &base.platforms)
            }
            Declared::Image(image) => {
                let body = &*image.body;
                (&body.publish, &*image.values, body.arch_tags, &body.publishing, &image.platforms)
            }
        };
        let registry = self.config.registry.as_ref().map(|registry| registry.value.as_str());
        let repositories: Vec<String> = publish
            .iter()
            .filter_map(|text| reference::in_registry(&text.of_variant(values)?, registry))
            .collect();
        if repositories.is_empty() {
            return None;
        }
        let annotations = how.annotations.iter().filter_map(|(name, value)| {
            Some((name.value.clone(), value.of_variant(values)?.into_owned()))
        });
        Some(Publication {
            repositories,
            tags: self.graph.thing(thing).tags.iter().map(ToString::to_string).collect(),
            arch_tags: arch_tags.is_some(),
            format: match how.format.as_ref().map(|format| format.value) {
                Some(config::Format::Docker) => Format::Docker,
                Some(config::Format::Oci) | None => Format::Oci,
            },
            require: required(how, platforms),
            carry: how.carry.as_ref().map(|time| time.value.as_secs()),
            annotations: annotations.collect(),
        })
    }

    /// Settings of the hosts of registries, each host once.
    pub fn hosts(&self) -> Vec<HostSettings> {
        let path = |located: &Located| {
            let text = located.text.constant().unwrap_or_default();
            PathBuf::from(self.located(&located.folder, text))
        };
        let host = |host: &config::Host| {
            let client = host.client.as_ref().map(|client| &client.value);
            HostSettings {
                host: host.name.value.clone(),
                mirrors: host.mirrors.iter().map(mirror).collect(),
                plain_http: host.plain_http.is_some(),
                ca: host.ca.as_ref().map(|ca| path(&ca.value)),
                cert: client.map(|(cert, _)| path(cert)),
                key: client.map(|(_, key)| path(key)),
                requests: host.requests,
                max_requests: host.max_requests.map(u64::from),
            }
        };
        self.config.hosts.iter().map(host).collect()
    }

    /// Repository that results of steps are kept in, `HOST/PATH`.
    pub fn remote_cache(&self) -> Option<String> {
        let registry = self.config.registry.as_ref().map(|registry| registry.value.as_str());
        reference::in_registry(&self.config.remote_cache.as_ref()?.value, registry)
    }
}

fn mirror(mirror: &config::Mirror) -> String {
    match &mirror.path {
        Some(path) => format!("{}/{path}", mirror.host),
        None => mirror.host.clone(),
    }
}

/// What an index must have. Of what a file or a template asks of all, a thing answers for the
/// platforms that it has; for all of them where that is none.
fn required(how: &Publishing, platforms: &[Spanned<Platform>]) -> Require {
    let asked = how.require.as_ref().and_then(|require| require.platforms.as_deref());
    let asked = asked.unwrap_or_default().iter().map(|platform| &platform.value);
    let known = |wanted: &&Platform| platforms.iter().any(|known| known.value == **wanted);
    let list: Vec<Platform> = asked.filter(known).cloned().collect();
    if list.is_empty() { Require::All } else { Require::Only(list) }
}

#[cfg(test)]
mod tests {
    use mabuild_lang::{Files, Vars, load};

    use super::*;
    use crate::lower::{Surroundings, lower};

    struct One(&'static str);

    impl Files for One {
        fn read(&self, _: &str) -> Result<Vec<u8>, String> {
            Ok(self.0.into())
        }

        fn glob(&self, _: &str) -> Result<Vec<String>, String> {
            Ok(Vec::new())
        }
    }

    fn lowered(text: &'static str) -> Lowered {
        let loaded = load("mabuild.kdl", &One(text), &Vars::default());
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let surroundings = Surroundings {
            root: PathBuf::from("/project"),
            source_date: None,
            native: Vec::new(),
            network: false,
        };
        lower(loaded.config, surroundings).unwrap()
    }

    #[test]
    fn publications_say_all_that_the_file_says() {
        let lowered = lowered(
            r#"mabuild 1
            platforms "linux/amd64" "linux/arm64"
            registry "GHCR.io/acme"
            require "linux/amd64" "linux/s390x"
            annotation "org.example.fleet" "all"
            base "plain" { oci-layout "x" }
            base "other" { oci-layout "x"; publish "other"; platforms "linux/arm64" }
            image "python" {
                matrix { version "3.11" "3.12" }
                from "plain"
                publish "python" "quay.io/acme/python"
                arch-tags
                format "docker"
                late carry "36h"
            }"#,
        );
        let of = |name: &str| lowered.publication(lowered.graph.find(name).unwrap());
        assert_eq!(of("plain"), None);
        let fleet = ("org.example.fleet".to_owned(), "all".to_owned());
        let other = of("other").unwrap();
        assert_eq!(other.require, Require::All, "it has none of what all are asked for");
        assert_eq!((other.format, other.carry), (Format::Oci, None));
        assert_eq!(other.annotations.as_slice(), std::slice::from_ref(&fleet));
        let amd64 = Platform::parse("linux/amd64").unwrap();
        let wanted = Publication {
            repositories: vec!["ghcr.io/acme/python".into(), "quay.io/acme/python".into()],
            tags: vec!["3.12".into()],
            arch_tags: true,
            format: Format::Docker,
            require: Require::Only(vec![amd64]),
            carry: Some(36 * 3600),
            annotations: vec![fleet],
        };
        assert_eq!(of("python[3.12]"), Some(wanted));
    }

    #[test]
    fn values_of_the_axes_stand_in_annotations() {
        let lowered = lowered(
            r#"mabuild 1
            platforms "linux/amd64"
            base "plain" { oci-layout "x" }
            image "python" {
                matrix { version "3.11" "3.12" }
                from "plain"
                publish "ghcr.io/python"
                annotation "org.example.python" "{{version}} of {{image.name}}"
            }"#,
        );
        let thing = lowered.graph.find("python[3.11]").unwrap();
        let annotations = lowered.publication(thing).unwrap().annotations;
        assert_eq!(annotations, [("org.example.python".into(), "3.11 of python".into())]);
    }

    #[test]
    fn hosts_have_absolute_files() {
        let text = r#"mabuild 1
            platforms "linux/amd64"
            registry "localhost:5000/team"
            remote-cache "cache"
            registry "Docker.io" { mirror "https://m.example/hub/" "n.example"; requests 4 }
            registry "r.example" {
                ca "pki/../ca.pem"
                client-cert "/etc/c.pem" key="k.pem"
                max-requests 500
            }
            registry "plain.example:5000" { plain-http }"#;
        let lowered = lowered(text);
        assert_eq!(lowered.remote_cache().as_deref(), Some("localhost:5000/team/cache"));
        let wanted = [
            HostSettings {
                host: "docker.io".into(),
                mirrors: vec!["m.example/hub".into(), "n.example".into()],
                requests: Some(4),
                ..HostSettings::default()
            },
            HostSettings {
                host: "r.example".into(),
                ca: Some("/project/ca.pem".into()),
                cert: Some("/etc/c.pem".into()),
                key: Some("/project/k.pem".into()),
                max_requests: Some(500),
                ..HostSettings::default()
            },
            HostSettings {
                host: "plain.example:5000".into(),
                plain_http: true,
                ..HostSettings::default()
            },
        ];
        assert_eq!(lowered.hosts(), wanted);
    }
}
