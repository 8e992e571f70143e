//! Taking an image out of the store: for `image export`, and for the outputs of `image build`.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mabuild_lang::platform::Platform;
use mabuild_lang::reference;
use mabuild_oci::archive::{self, ExportOptions, Name, Target};
use mabuild_oci::layer::{
    ApplyOptions, Compression, Entry, EntryKind, Limits, OwnerMode, PackOptions, apply, pack,
};
use mabuild_oci::{Descriptor, Digest};
use serde_json::{Value, json};

use super::images::reader::{Found, described};
use super::images::{ReadRequest, Reader, read_index};
use super::{Env, ErrorKind, OpError};
use crate::store::Store;

/// What an export looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A folder that is an OCI layout.
    OciDir,
    /// An OCI layout in one tar.
    OciArchive,
    /// What `docker load` reads; one platform.
    DockerArchive,
    /// The files of one platform, in a folder that is empty; owners that cannot be set are recorded
    /// in attributes.
    Directory,
    /// The files in one tar, as root would see them.
    Tar,
    /// The files in a folder, as far as the caller may make them, and owned by the caller.
    Local,
}

/// Where an export goes.
pub enum Dest<'a> {
    /// A file or folder to make.
    Path(PathBuf),
    /// A stream, for the forms that are one file.
    Stream(&'a mut (dyn Write + Send)),
}

/// What an export could not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Devices that were left out, because only root can make them.
    pub devices: usize,
}

/// Writes an image of the store or of a registry out. A platform is needed where the form holds one
/// and the image has several.
pub fn export(
    env: &Env,
    request: &ReadRequest,
    reference: &str,
    platform: Option<&Platform>,
    form: Form,
    dest: Dest<'_>,
) -> Result<Exported, OpError> {
    let reader = Reader::open(env, request)?;
    let mut found = reader.find(reference)?;
    let is_one = matches!(form, Form::DockerArchive | Form::Directory | Form::Tar | Form::Local);
    if platform.is_some() || is_one {
        found.root = reader.one(&found, platform)?.descriptor;
    }
    write(&reader, &found, reference, form, dest)
}

/// Writes an image out whose platforms are chosen.
pub(super) fn write(
    reader: &Reader,
    found: &Found,
    what: &str,
    form: Form,
    dest: Dest<'_>,
) -> Result<Exported, OpError> {
    reader.whole(&found.root)?;
    let (digest, names) = (found.root.digest, found.names.clone());
    Job { store: &reader.store, what, form, digest, names }.write(dest)
}

/// Writes an image that was just built out, as BuildKit does: one platform without an index, the
/// files of several each in a folder of its own. `names` are references, `registry/repository:tag`.
pub fn export_built(
    env: &Env,
    request: &ReadRequest,
    index: &str,
    names: &[String],
    form: Form,
    dest: Dest<'_>,
) -> Result<Exported, OpError> {
    let reader = Reader::open(env, request)?;
    let digest = Digest::parse(index).map_err(OpError::store)?;
    let members = read_index(reader.layout(), &digest)?.manifests;
    reader.whole(&described(reader.layout(), &digest)?)?;
    let names = names.iter().map(|name| Name::whole(reference::normal(name))).collect();
    let mut job = Job { store: &reader.store, what: "the image", form, digest, names };
    if let [one] = members.as_slice() {
        job.digest = one.digest;
        return job.write(dest);
    }
    match form {
        Form::DockerArchive | Form::Directory => {
            let message = "a docker archive holds one platform, and the image has several";
            let error = OpError::new(ErrorKind::User, "mabuild::engine::platform", message);
            Err(error.help("build one with --platform, or write `type=oci`"))
        }
        Form::Tar | Form::Local => job.write_all(&members, dest),
        Form::OciDir | Form::OciArchive => job.write(dest),
    }
}

/// What came of a build, in the words of BuildKit: of one platform its manifest, of several the
/// index.
#[derive(Clone, Debug)]
pub struct Made {
    /// Digest of the manifest or index.
    pub digest: String,
    /// Digest of the config, which Docker calls the id of an image; none for several platforms.
    pub config: Option<String>,
    descriptor: Descriptor,
}

impl Made {
    /// The document that `--metadata-file` of `docker buildx build` writes, as far as there is
    /// something to say. `names` are references.
    pub fn metadata(&self, names: &[String]) -> Value {
        let mut fields = serde_json::Map::new();
        if let Some(config) = &self.config {
            fields.insert("containerimage.config.digest".to_owned(), config.clone().into());
        }
        let descriptor = json!({
            "mediaType": self.descriptor.media_type,
            "digest": self.digest,
            "size": self.descriptor.size,
        });
        fields.insert("containerimage.descriptor".to_owned(), descriptor);
        fields.insert("containerimage.digest".to_owned(), self.digest.clone().into());
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| reference::normal(name)).collect();
            fields.insert("image.name".to_owned(), names.join(",").into());
        }
        Value::Object(fields)
    }
}

/// What an index of the store is.
pub fn made(env: &Env, request: &ReadRequest, index: &str) -> Result<Made, OpError> {
    let reader = Reader::open(env, request)?;
    let digest = Digest::parse(index).map_err(OpError::store)?;
    let root = described(reader.layout(), &digest)?;
    let (descriptor, config) = match reader.members(&root)?.as_slice() {
        [one] => (one.descriptor.clone(), Some(one.manifest.config.digest.to_string())),
        _ => (root, None),
    };
    Ok(Made { digest: descriptor.digest.to_string(), config, descriptor })
}

/// One export.
struct Job<'a> {
    store: &'a Store,
    /// What is exported, for messages.
    what: &'a str,
    form: Form,
    digest: Digest,
    names: Vec<Name>,
}

impl Job<'_> {
    fn write(&self, dest: Dest<'_>) -> Result<Exported, OpError> {
        match self.form {
            Form::Tar | Form::Local => {
                let entries = self.files(&self.digest)?;
                self.write_files(entries, dest)
            }
            _ => self.write_image(dest).map(|()| Exported::default()),
        }
    }

    /// The files of several platforms, each in a folder `linux_arm_v7`.
    fn write_all(&self, members: &[Descriptor], dest: Dest<'_>) -> Result<Exported, OpError> {
        let mut all = Vec::new();
        for member in members {
            let Some(platform) = member.platform() else { continue };
            let folder = platform.to_string().replace('/', "_").into_bytes();
            all.push(Entry::new(folder.clone(), EntryKind::Dir));
            let below = |path: &[u8]| [folder.as_slice(), path].join(&b'/');
            all.extend(self.files(&member.digest)?.into_iter().map(|mut entry| {
                entry.path = below(&entry.path);
                if let EntryKind::Hardlink { target } = &mut entry.kind {
                    *target = below(target);
                }
                entry
            }));
        }
        self.write_files(all, dest)
    }

    fn files(&self, manifest: &Digest) -> Result<Vec<Entry>, OpError> {
        let spool = || {
            self.store.temp_file().map_err(|e| mabuild_oci::Error::Stream {
                action: "make a temporary file",
                source: std::io::Error::other(e),
            })
        };
        archive::flatten(self.store.layout(), manifest, None, &spool).map_err(|e| self.failed(&e))
    }

    fn write_files(&self, mut entries: Vec<Entry>, dest: Dest<'_>) -> Result<Exported, OpError> {
        if self.form == Form::Tar {
            let options =
                PackOptions { compression: Compression::None, clamp_mtime: i64::MAX, threads: 1 };
            let write = |out: &mut (dyn Write + Send)| {
                pack(entries, &options, &mut *out).map(drop).map_err(|e| self.failed(&e))
            };
            return self.stream(dest, write).map(|()| Exported::default());
        }
        let Dest::Path(path) = dest else { return Err(self.failed(&"a folder is no stream")) };
        let devices = own(&mut entries);
        let options = ApplyOptions { owners: OwnerMode::Real, limits: Limits::default() };
        std::fs::create_dir_all(&path).map_err(|e| self.failed_at(&path, &e))?;
        apply(&entries, &path, &options).map_err(|e| self.failed_at(&path, &e))?;
        Ok(Exported { devices })
    }

    fn write_image(&self, dest: Dest<'_>) -> Result<(), OpError> {
        let options = ExportOptions { platform: None, names: self.names.clone() };
        let write = |target: Target<'_>| {
            let done = archive::export(self.store.layout(), &self.digest, &options, target);
            done.map(drop).map_err(|e| self.failed(&e))
        };
        match (self.form, dest) {
            (Form::OciDir, Dest::Path(path)) => write(Target::Layout(&path)),
            (Form::Directory, Dest::Path(path)) => {
                let spool = self.store.temp_file().map_err(OpError::store)?;
                let owners = match rustix::process::geteuid().is_root() {
                    true => OwnerMode::Real,
                    false => OwnerMode::Recorded,
                };
                let limits = Limits { whiteouts: true, ..Limits::default() };
                let options = ApplyOptions { owners, limits };
                write(Target::Directory { path: &path, spool: &spool, options: &options })
            }
            (Form::OciDir | Form::Directory, Dest::Stream(_)) => {
                Err(self.failed(&"a folder is no stream"))
            }
            (Form::DockerArchive, dest) => {
                self.stream(dest, |mut out| write(Target::DockerArchive(&mut out)))
            }
            (_, dest) => self.stream(dest, |mut out| write(Target::OciArchive(&mut out))),
        }
    }

    /// Writes one file. A plain file appears when it is whole.
    fn stream(
        &self,
        dest: Dest<'_>,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), OpError>,
    ) -> Result<(), OpError> {
        let path = match dest {
            Dest::Stream(out) => {
                write(&mut *out)?;
                return out.flush().map_err(|e| self.failed(&e));
            }
            Dest::Path(path) => path,
        };
        let failed = |e: std::io::Error| self.failed_at(&path, &e);
        // Pipes, terminals and /dev/null are written to as they are, and links are followed.
        let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let is_plain = std::fs::metadata(&real).map_or(true, |meta| {
            let kind = meta.file_type();
            !(kind.is_fifo() || kind.is_char_device() || kind.is_block_device() || kind.is_socket())
        });
        if !is_plain {
            let mut file = File::options().write(true).open(&real).map_err(failed)?;
            write(&mut file)?;
            return file.flush().map_err(failed);
        }
        if real.is_dir() {
            return Err(failed(std::io::ErrorKind::IsADirectory.into()));
        }
        let folder = real.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        // The mask of the process takes its part of the mode, as of every new file.
        let mode = PermissionsExt::from_mode(0o666);
        let temp = tempfile::Builder::new().permissions(mode).tempfile_in(folder);
        let mut out = std::io::BufWriter::with_capacity(1 << 20, temp.map_err(failed)?);
        write(&mut out)?;
        let temp = out.into_inner().map_err(|e| failed(e.into_error()))?;
        if let Ok(old) = std::fs::metadata(&real) {
            temp.as_file().set_permissions(old.permissions()).map_err(failed)?;
        }
        temp.persist(&real).map(drop).map_err(|e| failed(e.error))
    }

    fn failed(&self, e: &dyn std::fmt::Display) -> OpError {
        let message = format!("cannot export {}: {e}", self.what);
        OpError::new(ErrorKind::Environment, "mabuild::engine::export", message)
    }

    fn failed_at(&self, path: &Path, e: &dyn std::fmt::Display) -> OpError {
        let message = format!("cannot export {} to {}: {e}", self.what, path.display());
        OpError::new(ErrorKind::Environment, "mabuild::engine::export", message)
    }
}

/// Makes all files the caller's own, and leaves out what an ordinary user cannot make. Gives the
/// number of devices that were left out.
fn own(entries: &mut Vec<Entry>) -> usize {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    for entry in entries.iter_mut() {
        (entry.uid, entry.gid) = (uid.as_raw().into(), gid.as_raw().into());
        if !uid.is_root() {
            entry.xattrs.retain(|name, _| name.starts_with(b"user."));
        }
    }
    if uid.is_root() {
        return 0;
    }
    let is_device = |entry: &Entry| {
        matches!(entry.kind, EntryKind::CharDev { .. } | EntryKind::BlockDev { .. })
    };
    let devices: HashSet<Vec<u8>> =
        entries.iter().filter(|e| is_device(e)).map(|e| e.path.clone()).collect();
    let before = entries.len();
    entries.retain(|entry| match &entry.kind {
        EntryKind::Hardlink { target } => !devices.contains(target),
        _ => !is_device(entry),
    });
    before - entries.len()
}
