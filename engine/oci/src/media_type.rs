//! Media types of the OCI image specification and of Docker's image format 2, schema 2.

/// An OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A layer that is a plain tar archive.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// A layer that is a gzip-compressed tar archive.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A layer that is a zstd-compressed tar archive.
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The empty JSON object, for manifests that need no configuration.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A Docker image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker manifest list, the counterpart of an index.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A gzip-compressed Docker layer.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// A plain Docker layer.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// A Docker layer whose bytes live elsewhere.
pub const DOCKER_LAYER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Tells whether a media type names a manifest of one image.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, MANIFEST | DOCKER_MANIFEST)
}

/// Tells whether a media type names an index or manifest list.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_MANIFEST_LIST)
}

/// Tells whether a media type names an image configuration.
pub fn is_config(media_type: &str) -> bool {
    matches!(media_type, CONFIG | DOCKER_CONFIG)
}

/// Tells whether a media type names a file system layer, also one that must not be distributed.
pub fn is_layer(media_type: &str) -> bool {
    matches!(
        media_type,
        LAYER | LAYER_GZIP | LAYER_ZSTD | DOCKER_LAYER | DOCKER_LAYER_GZIP | DOCKER_LAYER_FOREIGN
    ) || is_foreign_layer(media_type)
}

/// Tells whether a media type names a layer whose bytes may be left at their own address.
pub fn is_foreign_layer(media_type: &str) -> bool {
    media_type == DOCKER_LAYER_FOREIGN
        || media_type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar")
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::image::{MediaType, ToDockerV2S2};

    #[test]
    fn names_are_those_of_the_specification() {
        for (ours, theirs) in [
            (MANIFEST, MediaType::ImageManifest),
            (INDEX, MediaType::ImageIndex),
            (CONFIG, MediaType::ImageConfig),
            (LAYER, MediaType::ImageLayer),
            (LAYER_GZIP, MediaType::ImageLayerGzip),
            (LAYER_ZSTD, MediaType::ImageLayerZstd),
            (EMPTY, MediaType::EmptyJSON),
        ] {
            assert_eq!(ours, theirs.to_string());
        }
        assert_eq!(DOCKER_MANIFEST, MediaType::ImageManifest.to_docker_v2s2().unwrap());
        assert_eq!(DOCKER_MANIFEST_LIST, MediaType::ImageIndex.to_docker_v2s2().unwrap());
        assert_eq!(DOCKER_CONFIG, MediaType::ImageConfig.to_docker_v2s2().unwrap());
        assert_eq!(DOCKER_LAYER_GZIP, MediaType::ImageLayerGzip.to_docker_v2s2().unwrap());
    }

    #[test]
    fn kinds_are_told_apart() {
        assert!(is_layer(LAYER_ZSTD) && is_layer(DOCKER_LAYER_FOREIGN) && !is_layer(CONFIG));
        assert!(is_manifest(DOCKER_MANIFEST) && !is_manifest(INDEX));
        assert!(is_index(DOCKER_MANIFEST_LIST) && !is_index(MANIFEST));
        assert!(is_foreign_layer("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"));
        assert!(!is_foreign_layer(LAYER_GZIP));
    }
}
