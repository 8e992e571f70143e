//! Manifests in Docker's form, version 2, schema 2.
//!
//! The configuration and the layers are the same bytes; their media types have other names. There
//! is no place for annotations, so that neither keys nor lateness are told to who reads them.

use mabuild_oci::{Descriptor, Manifest, media_type};

/// Why an image cannot be had in Docker's form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} has no place in Docker's format; publish this image with `format \"oci\"`")]
pub struct Unfit {
    what: String,
}

/// The same image as a manifest of Docker's. One that is none already stays as it is.
pub fn docker_manifest(manifest: &Manifest) -> Result<Manifest, Unfit> {
    if manifest.media_type() == media_type::DOCKER_MANIFEST {
        return Ok(manifest.clone());
    }
    if let Some(kind) = &manifest.artifact_type {
        return Err(Unfit { what: format!("an artifact of type {kind}") });
    }
    let mut out = Manifest::new(
        translated(&manifest.config)?,
        manifest.layers.iter().map(translated).collect::<Result<_, _>>()?,
    );
    out.media_type = Some(media_type::DOCKER_MANIFEST.to_owned());
    Ok(out)
}

fn translated(descriptor: &Descriptor) -> Result<Descriptor, Unfit> {
    let kind = match descriptor.media_type.as_str() {
        media_type::CONFIG => media_type::DOCKER_CONFIG,
        media_type::LAYER => media_type::DOCKER_LAYER,
        media_type::LAYER_GZIP => media_type::DOCKER_LAYER_GZIP,
        media_type::LAYER_ZSTD => {
            return Err(Unfit { what: "a layer that is compressed with zstd".to_owned() });
        }
        kind if media_type::is_foreign_layer(kind) => media_type::DOCKER_LAYER_FOREIGN,
        kind @ (media_type::DOCKER_CONFIG
        | media_type::DOCKER_LAYER
        | media_type::DOCKER_LAYER_GZIP) => kind,
        kind => return Err(Unfit { what: format!("a content of type {kind}") }),
    };
    let mut out = Descriptor::new(kind, descriptor.digest, descriptor.size);
    out.urls = descriptor.urls.clone();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::testing::digest;

    fn of(kind: &str, n: u8) -> Descriptor {
        let mut out = Descriptor::new(kind, digest(n), u64::from(n));
        out.annotations.insert("a".into(), "b".into());
        out
    }

    #[test]
    fn names_are_translated_and_contents_stay() {
        let mut manifest = Manifest::new(
            of(media_type::CONFIG, 1),
            vec![of(media_type::LAYER_GZIP, 2), of(media_type::LAYER, 3)],
        );
        manifest.annotations.insert("c".into(), "d".into());
        let docker = docker_manifest(&manifest).unwrap();
        let bytes = docker.to_bytes().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(!text.contains("annotations") && !text.contains("oci"), "{text}");
        let back = Manifest::from_bytes(&bytes).unwrap();
        assert_eq!(back.media_type(), media_type::DOCKER_MANIFEST);
        assert_eq!(back.config.digest, digest(1));
        let kinds: Vec<&str> = back.layers.iter().map(|l| l.media_type.as_str()).collect();
        assert_eq!(kinds, [media_type::DOCKER_LAYER_GZIP, media_type::DOCKER_LAYER]);
        assert_eq!(docker_manifest(&back).unwrap(), back);
    }

    #[test]
    fn what_docker_has_no_name_for_is_refused() {
        let config = of(media_type::CONFIG, 1);
        let zstd = Manifest::new(config.clone(), vec![of(media_type::LAYER_ZSTD, 2)]);
        assert!(docker_manifest(&zstd).unwrap_err().to_string().contains("zstd"));
        let other = Manifest::new(config.clone(), vec![of("text/plain", 2)]);
        assert!(docker_manifest(&other).unwrap_err().to_string().contains("text/plain"));
        let artifact =
            Manifest { artifact_type: Some("x/y".into()), ..Manifest::new(config, vec![]) };
        assert!(docker_manifest(&artifact).is_err());
    }
}
