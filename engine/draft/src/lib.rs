//! `mabuild-draft`: other descriptions of images (Dockerfiles, bake files, compose files) to the text of a `mabuild.kdl`. Pure.
