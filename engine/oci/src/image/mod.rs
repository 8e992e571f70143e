//! Manifests, indexes and descriptors, and the identity of a stack of layers.
//!
//! What was pulled from elsewhere is kept as the bytes it came in; `to_bytes` is for documents
//! made here, and gives the same bytes for the same value on every machine.
//! Formats: OCI image specification 1.1, `manifest.md`, `image-index.md`, `descriptor.md`.

mod config;
mod json;

pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs, rfc3339};

use crate::{Digest, Error, Platform, Result, media_type};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Keys of a document that this crate does not know; they are kept as they are.
pub type Extra = BTreeMap<String, Value>;

/// Key-value notes on a descriptor, manifest or index.
pub type Annotations = BTreeMap<String, String>;

/// The annotation that names an entry of a layout's `index.json`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A platform as a descriptor writes it, with the parts only Windows uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformObject {
    /// Architecture of the processor.
    pub architecture: String,
    /// Operating system.
    pub os: String,
    /// Version of the operating system.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that the image needs.
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
    /// Keys that are not known here.
    #[serde(flatten, serialize_with = "json::sorted")]
    pub extra: Extra,
}

impl From<Platform> for PlatformObject {
    fn from(platform: Platform) -> Self {
        PlatformObject {
            architecture: platform.architecture,
            os: platform.os,
            os_version: None,
            os_features: Vec::new(),
            variant: platform.variant,
            extra: Extra::new(),
        }
    }
}

impl From<&PlatformObject> for Platform {
    fn from(object: &PlatformObject) -> Self {
        Platform {
            os: object.os.clone(),
            architecture: object.architecture.clone(),
            variant: object.variant.clone().filter(|v| !v.is_empty()),
        }
    }
}

/// A reference to a content by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: String,
    /// The digest of the content.
    pub digest: Digest,
    /// The size of the content in bytes.
    pub size: u64,
    /// Addresses from which the content may be had.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub urls: Vec<String>,
    /// Notes.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: Annotations,
    /// The content itself in base64, where it is small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What the image runs on, in the entries of an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformObject>,
    /// The type of an artifact, in the entries of an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Keys that are not known here.
    #[serde(flatten, serialize_with = "json::sorted")]
    pub extra: Extra,
}

impl Descriptor {
    /// Makes a descriptor of a content that is known by digest and size.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Descriptor {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: Annotations::new(),
            data: None,
            platform: None,
            artifact_type: None,
            extra: Extra::new(),
        }
    }

    /// Makes a descriptor of `bytes`.
    pub fn of(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// Sets the platform.
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// Returns the platform, where the descriptor has one.
    pub fn platform(&self) -> Option<Platform> {
        self.platform.as_ref().map(Platform::from)
    }

    /// Returns the name that a layout's `index.json` gives to this descriptor.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }
}

/// The manifest of one image: its configuration and its layers, bottom first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The media type of the manifest itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The type of the artifact, when this is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, bottom first.
    #[serde(deserialize_with = "json::null_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest this one says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: Annotations,
    /// Keys that are not known here.
    #[serde(flatten, serialize_with = "json::sorted")]
    pub extra: Extra,
}

impl Manifest {
    /// Makes an OCI manifest.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Manifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: Annotations::new(),
            extra: Extra::new(),
        }
    }

    /// Reads an OCI or Docker manifest; refuses an index, and a document that could be read as both.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match Document::from_bytes(bytes)? {
            Document::Manifest(manifest) => Ok(manifest),
            Document::Index(_) => {
                Err(Error::document("manifest", "it is an index; choose a platform of it first"))
            }
        }
    }

    /// Writes the manifest as JSON: keys in the order of the specification, maps sorted.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        json::to_bytes(self, "manifest")
    }

    /// Returns the media type, which older OCI manifests leave out.
    pub fn media_type(&self) -> &str {
        self.media_type.as_deref().unwrap_or(media_type::MANIFEST)
    }
}

/// An index: manifests of one image for several platforms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The media type of the index itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The type of the artifact, when these are no images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests.
    #[serde(deserialize_with = "json::null_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest this index says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes.
    #[serde(
        default,
        deserialize_with = "json::null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: Annotations,
    /// Keys that are not known here.
    #[serde(flatten, serialize_with = "json::sorted")]
    pub extra: Extra,
}

impl Index {
    /// Makes an OCI index.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Index {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: Annotations::new(),
            extra: Extra::new(),
        }
    }

    /// Reads an OCI index or a Docker manifest list; refuses a document that could be read as both.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match Document::from_bytes(bytes)? {
            Document::Index(index) => Ok(index),
            Document::Manifest(_) => {
                Err(Error::document("index", "it is the manifest of one image, not an index"))
            }
        }
    }

    /// Writes the index as JSON: keys in the order of the specification, maps sorted.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        json::to_bytes(self, "index")
    }

    /// Returns the media type, which older OCI indexes leave out.
    pub fn media_type(&self) -> &str {
        self.media_type.as_deref().unwrap_or(media_type::INDEX)
    }
}

/// What a digest of an image can lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one document is looked at for a moment")]
pub enum Document {
    /// The manifest of one image.
    Manifest(Manifest),
    /// An index of several.
    Index(Index),
}

impl Document {
    /// Reads an OCI or Docker manifest or index and decides which it is.
    ///
    /// A document with both `layers` and `manifests`, or whose media type contradicts its keys,
    /// would mean different images to different readers and is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bad = |reason: String| Error::document("manifest or index", reason);
        let value: Value = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        let has = |key: &str| value.get(key).is_some_and(|v| !v.is_null());
        let named = value.get("mediaType").and_then(Value::as_str);
        if value.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
            return Err(bad("schemaVersion is not 2; schema 1 images have to be converted".into()));
        }
        let is_index = match named {
            Some(name) if media_type::is_index(name) => true,
            Some(name) if media_type::is_manifest(name) => false,
            Some(name) => return Err(bad(format!("its media type {name:?} is not known"))),
            None => value.get("manifests").is_some(),
        };
        let foreign = if is_index { has("layers") || has("config") } else { has("manifests") };
        if foreign {
            return Err(bad("it can be read both as a manifest and as an index".into()));
        }
        if is_index {
            serde_json::from_value(value).map(Document::Index)
        } else {
            serde_json::from_value(value).map(Document::Manifest)
        }
        .map_err(|e| bad(e.to_string()))
    }

    /// Returns the descriptors the document refers to, in its order.
    pub fn references(&self) -> Vec<&Descriptor> {
        match self {
            Document::Manifest(manifest) => {
                std::iter::once(&manifest.config).chain(&manifest.layers).collect()
            }
            Document::Index(index) => index.manifests.iter().collect(),
        }
    }
}

/// Computes the chain id of a stack of layers from their diff ids, bottom first.
///
/// The chain id of one layer is its diff id; of more, the digest of "chain id of all but the top,
/// a space, diff id of the top" (`config.md`, Layer ChainID). No layers give the digest of nothing.
pub fn chain_id(diff_ids: &[Digest]) -> Digest {
    chain_ids(diff_ids).pop().unwrap_or_else(|| Digest::sha256(b""))
}

/// Computes the chain id after each layer, bottom first.
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => *diff_id,
            Some(below) => Digest::sha256(format!("{below} {diff_id}")),
        };
        chain.push(next);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(text: &str) -> Descriptor {
        Descriptor::of(media_type::LAYER_GZIP, text.as_bytes())
    }

    #[test]
    fn manifest_bytes_do_not_depend_on_the_order_of_insertion() {
        let mut one =
            Manifest::new(Descriptor::of(media_type::CONFIG, b"{}"), vec![descriptor("a")]);
        let mut two = one.clone();
        for key in ["b", "a", "c"] {
            one.annotations.insert(key.into(), "1".into());
        }
        for key in ["c", "b", "a"] {
            two.annotations.insert(key.into(), "1".into());
        }
        one.extra.insert("z".into(), serde_json::json!({"b": 1, "a": {"d": 1, "c": 2}}));
        two.extra.insert("z".into(), serde_json::json!({"a": {"c": 2, "d": 1}, "b": 1}));
        let bytes = one.to_bytes().unwrap();
        assert_eq!(bytes, two.to_bytes().unwrap());
        assert_eq!(Manifest::from_bytes(&bytes).unwrap(), one);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"#
        ));
        assert!(text.ends_with(
            r#""annotations":{"a":"1","b":"1","c":"1"},"z":{"a":{"c":2,"d":1},"b":1}}"#
        ));
    }

    #[test]
    fn docker_documents_are_read() {
        let list = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{{"mediaType":"{}","size":7,"digest":"{}","platform":{{"architecture":"arm","os":"linux","variant":"v7"}}}}]}}"#,
            media_type::DOCKER_MANIFEST_LIST,
            media_type::DOCKER_MANIFEST,
            Digest::sha256(b"x")
        );
        let index = Index::from_bytes(list.as_bytes()).unwrap();
        assert_eq!(index.manifests[0].platform().unwrap().to_string(), "linux/arm/v7");
        assert!(Manifest::from_bytes(list.as_bytes()).is_err());
    }

    #[test]
    fn ambiguous_documents_are_refused() {
        let config = serde_json::to_value(descriptor("c")).unwrap();
        for (named, both) in [
            (
                Some(media_type::MANIFEST),
                serde_json::json!({"config": config, "layers": [], "manifests": [config]}),
            ),
            (
                Some(media_type::INDEX),
                serde_json::json!({"config": config, "layers": [], "manifests": []}),
            ),
            (None, serde_json::json!({"config": config, "layers": [], "manifests": []})),
            (Some("text/plain"), serde_json::json!({"config": config, "layers": []})),
        ] {
            let mut value = both;
            value["schemaVersion"] = 2.into();
            if let Some(named) = named {
                value["mediaType"] = named.into();
            }
            assert!(Document::from_bytes(value.to_string().as_bytes()).is_err(), "{value}");
        }
        assert!(Document::from_bytes(br#"{"schemaVersion":1,"fsLayers":[]}"#).is_err());
        assert!(Document::from_bytes(b"[]").is_err());
        assert!(Document::from_bytes(b"\xff").is_err());
    }

    #[test]
    fn chain_id_follows_the_specification() {
        let (a, b, c) = (Digest::sha256("a"), Digest::sha256("b"), Digest::sha256("c"));
        assert_eq!(chain_id(&[a]), a);
        let ab = Digest::sha256(format!("{a} {b}"));
        assert_eq!(chain_id(&[a, b]), ab);
        assert_eq!(chain_ids(&[a, b, c]), [a, ab, Digest::sha256(format!("{ab} {c}"))]);
    }
}
