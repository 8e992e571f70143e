//! `--output`.

use std::path::PathBuf;
use std::str::FromStr;

use mabuild_engine::ops::export::Form;

use super::fields;

/// An output of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What is made.
    pub kind: Kind,
    /// More names of the image.
    pub names: Vec<String>,
}

/// What an output is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The image stays in the store and nothing else is made.
    Store,
    /// A file or folder.
    Export {
        /// Its form.
        form: Form,
        /// Where; none for standard output.
        dest: Option<PathBuf>,
    },
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.starts_with("type=") && !text.contains(['=', ',', '"']) {
            let (form, dest) = match text {
                "" => return Err("it is empty".to_owned()),
                "-" => (Form::Tar, None),
                folder => (Form::Local, Some(PathBuf::from(folder))),
            };
            return Ok(Self { kind: Kind::Export { form, dest }, names: Vec::new() });
        }
        let (mut kind, mut dest, mut names, mut is_tar) = (None, None, Vec::new(), true);
        for (name, value) in fields(text)? {
            let value = value.ok_or_else(|| format!("`{name}` has no value"))?;
            match name.as_str() {
                "type" => kind = Some(value),
                "dest" => dest = Some(value),
                "name" => names.extend(value.split(',').map(|name| name.trim().to_owned())),
                "tar" => is_tar = boolean(&name, &value)?,
                "push" if !boolean(&name, &value)? => {}
                "push" | "push-by-digest" => return Err(no_push()),
                // Without attestations and with OCI's media types, as everything here is.
                "oci-mediatypes" if boolean(&name, &value)? => {}
                // Times of layers are what they would be made by this.
                "rewrite-timestamp" | "unpack" | "platform-split" => {
                    boolean(&name, &value)?;
                }
                other => return Err(format!("`{other}` is not known here")),
            }
        }
        let kind = kind.ok_or("it has no `type`: write `type=oci,dest=FILE`")?;
        let form = match kind.as_str() {
            "oci" if is_tar => Form::OciArchive,
            "oci" => Form::OciDir,
            "docker" if is_tar => Form::DockerArchive,
            "docker" => return Err("a docker archive is always a tar".to_owned()),
            "tar" => Form::Tar,
            "local" => Form::Local,
            "image" | "cacheonly" => return Ok(Self { kind: Kind::Store, names }),
            "registry" => return Err(no_push()),
            other => {
                return Err(format!(
                    "there is no type `{other}`: write oci, docker, tar, local or image"
                ));
            }
        };
        let is_folder = matches!(form, Form::OciDir | Form::Local);
        let dest = match dest.as_deref() {
            None if is_folder => return Err(format!("`type={kind}` needs `dest=FOLDER`")),
            Some("-") if is_folder => return Err("a folder cannot be standard output".to_owned()),
            None if form == Form::DockerArchive => {
                return Err(
                    "no daemon is loaded into: write `dest=FILE`, or `dest=-` and pipe it \
                            into `docker load`"
                        .to_owned(),
                );
            }
            None | Some("-") => None,
            Some("") => return Err("`dest` is empty".to_owned()),
            Some(path) => Some(PathBuf::from(path)),
        };
        Ok(Self { kind: Kind::Export { form, dest }, names })
    }
}

fn no_push() -> String {
    "nothing is pushed: write `type=oci,dest=FILE` and push that with another tool".to_owned()
}

fn boolean(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(format!("`{name}` is true or false, not `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(text: &str) -> (Form, Option<PathBuf>) {
        match text.parse::<Output>().unwrap().kind {
            Kind::Export { form, dest } => (form, dest),
            Kind::Store => panic!("{text}"),
        }
    }

    #[test]
    fn outputs_are_what_buildx_means_by_them() {
        let path = |path: &str| Some(PathBuf::from(path));
        assert_eq!(export("out"), (Form::Local, path("out")));
        assert_eq!(export("-"), (Form::Tar, None));
        assert_eq!(export("type=oci,dest=a.tar"), (Form::OciArchive, path("a.tar")));
        assert_eq!(export("type=oci,dest=a,tar=false"), (Form::OciDir, path("a")));
        assert_eq!(export("type=docker,dest=-"), (Form::DockerArchive, None));
        assert_eq!(export("type=tar"), (Form::Tar, None));
        assert_eq!(export(r#"type=local,"dest=a,b""#), (Form::Local, path("a,b")));
        let named: Output = "type=image,\"name=a:1,b\"".parse().unwrap();
        assert_eq!((named.kind, named.names), (Kind::Store, vec!["a:1".into(), "b".into()]));
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        for bad in [
            "",
            "type=local",
            "type=local,dest=-",
            "type=docker",
            "type=registry,name=a",
            "type=image,push=true",
            "type=oci,compression=zstd",
            "type=zip,dest=a",
            "dest=a",
            "type=oci,dest",
            "type=oci,tar=maybe",
        ] {
            assert!(bad.parse::<Output>().is_err(), "{bad}");
        }
    }
}
