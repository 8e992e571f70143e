//! The image configuration, with everything Docker adds to the specification.
//!
//! Formats: OCI image specification 1.1, `config.md`, and Docker's image specification 1.2 for
//! `Healthcheck`, `OnBuild` and `Shell`. Keys that are not known are kept.

use super::{Extra, json};
use crate::{Digest, Error, Platform, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What an image is: its platform, how it is started, its layers and how they came to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Architecture of the processor.
    #[serde(default)]
    pub architecture: String,
    /// Operating system.
    #[serde(default)]
    pub os: String,
    /// Version of the operating system, for Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system, for Windows.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// Variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// How a container of the image is started.
    #[serde(default, deserialize_with = "json::null_default")]
    pub config: ContainerConfig,
    /// The layers by diff id.
    #[serde(default, deserialize_with = "json::null_default")]
    pub rootfs: RootFs,
    /// One entry an instruction, oldest first.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub history: Vec<History>,
    /// Keys that are not known here.
    #[serde(flatten, serialize_with = "json::sorted")]
    pub extra: Extra,
}

/// How a container is started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// User and group, `user[:group]`, by name or number.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub user: String,
    /// Ports the image listens on, `80/tcp`.
    #[serde(default, with = "json::set", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// The environment, `NAME=value`, in the order it was set.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub env: Vec<String>,
    /// The program with its first arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments that a caller may replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Whether the command is one escaped string, for Windows.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "json::is_false"
    )]
    pub args_escaped: bool,
    /// Directories that hold data of the container.
    #[serde(default, with = "json::set", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// The directory the program starts in.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub working_dir: String,
    /// Instructions for images built on this one.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub on_build: Vec<String>,
    /// Labels.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// The signal that stops the container.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub stop_signal: String,
    /// Seconds between the signal and the kill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// The shell of instructions in shell form.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub shell: Vec<String>,
    /// Keys that are not known here.
    #[serde(flatten, serialize_with = "json::sorted")]
    pub extra: Extra,
}

/// How to find out whether a container is healthy; times are in nanoseconds, 0 is the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub test: Vec<String>,
    /// Time between two checks.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "json::is_zero"
    )]
    pub interval: i64,
    /// Time after which a check hangs.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "json::is_zero"
    )]
    pub timeout: i64,
    /// Time in which failures do not count.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "json::is_zero"
    )]
    pub start_period: i64,
    /// Time between two checks in the start period.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "json::is_zero"
    )]
    pub start_interval: i64,
    /// Failures in a row that make the container unhealthy.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "json::is_zero"
    )]
    pub retries: i64,
    /// Keys that are not known here.
    #[serde(flatten, serialize_with = "json::sorted")]
    pub extra: Extra,
}

/// The layers of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed layers, bottom first.
    #[serde(default, deserialize_with = "json::null_default")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        RootFs { kind: "layers".into(), diff_ids: Vec::new() }
    }
}

/// How one layer, or one instruction without a layer, came to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the instruction made no layer.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "json::is_false"
    )]
    pub empty_layer: bool,
    /// Keys that are not known here.
    #[serde(flatten, serialize_with = "json::sorted")]
    pub extra: Extra,
}

impl ImageConfig {
    /// Makes the configuration of an empty image.
    pub fn new(platform: &Platform) -> Self {
        ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            ..ImageConfig::default()
        }
    }

    /// Reads an OCI or Docker image configuration.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map_err(|e| Error::document("image configuration", e.to_string()))
    }

    /// Writes the configuration as JSON: keys in a fixed order, maps sorted.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        json::to_bytes(self, "image configuration")
    }

    /// Returns the platform the image runs on.
    pub fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone().filter(|v| !v.is_empty()),
        }
    }
}

/// Writes seconds since 1970 as RFC 3339 in UTC, as `created` wants it.
///
/// Fails for years that have more than four digits.
pub fn rfc3339(seconds: i64) -> Result<String> {
    jiff::Timestamp::from_second(seconds)
        .map(|time| time.to_string())
        .map_err(|e| Error::document("creation time", e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration as Docker writes it, with nulls, legacy keys and a vendor key.
    const DOCKER: &str = r#"{"architecture":"amd64","container":"abc","created":"2024-05-01T10:00:00.123456789Z",
      "docker_version":"20.10","config":{"Hostname":"","AttachStdin":false,"Env":["PATH=/bin","B=1","A=2"],
      "Cmd":["nginx"],"Image":"sha256:00","Volumes":{"/data":{}},"ExposedPorts":{"80/tcp":{},"443/tcp":{}},
      "Entrypoint":null,"OnBuild":null,"Labels":{"z":"1","a":"2"},"StopSignal":"SIGQUIT","StopTimeout":30,
      "ArgsEscaped":true,"Shell":["/bin/bash","-c"],
      "Healthcheck":{"Test":["CMD","true"],"Interval":30000000000,"Retries":3,"Vendor":{"y":1,"x":2}}},
      "history":[{"created":"2024-05-01T10:00:00Z","created_by":"RUN x","empty_layer":true}],
      "os":"linux","rootfs":{"type":"layers","diff_ids":null},"vendor.key":{"b":[{"d":1,"c":2}],"a":null}}"#;

    #[test]
    fn nothing_docker_writes_is_lost() {
        let config = ImageConfig::from_bytes(DOCKER.as_bytes()).unwrap();
        assert_eq!(config.platform().to_string(), "linux/amd64");
        assert_eq!(config.config.env, ["PATH=/bin", "B=1", "A=2"]);
        assert_eq!(config.config.entrypoint, None);
        assert_eq!(config.config.stop_timeout, Some(30));
        assert!(config.config.args_escaped);
        assert_eq!(config.config.healthcheck.as_ref().unwrap().interval, 30_000_000_000);
        let bytes = config.to_bytes().unwrap();
        assert_eq!(ImageConfig::from_bytes(&bytes).unwrap(), config);
        let text = String::from_utf8(bytes).unwrap();
        for part in [
            r#""Labels":{"a":"2","z":"1"}"#,
            r#""ExposedPorts":{"443/tcp":{},"80/tcp":{}}"#,
            r#""vendor.key":{"a":null,"b":[{"c":2,"d":1}]}"#,
            r#""Vendor":{"x":2,"y":1}"#,
            r#""docker_version":"20.10""#,
            r#""Hostname":"""#,
            r#""empty_layer":true"#,
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn a_new_configuration_has_golden_bytes() {
        let mut config = ImageConfig::new(&"linux/arm/v7".parse().unwrap());
        config.created = Some(rfc3339(0).unwrap());
        config.config.cmd = Some(vec!["/bin/sh".into()]);
        assert_eq!(
            String::from_utf8(config.to_bytes().unwrap()).unwrap(),
            r#"{"created":"1970-01-01T00:00:00Z","architecture":"arm","os":"linux","variant":"v7","config":{"Cmd":["/bin/sh"]},"rootfs":{"type":"layers","diff_ids":[]}}"#
        );
        assert!(rfc3339(i64::MAX).is_err());
    }

    #[test]
    fn broken_configurations_are_errors() {
        for text in
            ["", "[]", r#"{"rootfs":{"type":"layers","diff_ids":["md5:1"]}}"#, r#"{"os":1}"#]
        {
            assert!(ImageConfig::from_bytes(text.as_bytes()).is_err(), "{text}");
        }
    }
}
