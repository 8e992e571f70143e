//! A package that is being made, down to the bytes of its `.deb`.

use std::collections::BTreeMap;
use std::io::Write;

use crate::archive::{Tar, gzip};

/// How the members of a `.deb` are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip.
    Gz,
    /// xz.
    Xz,
    /// Zstandard.
    Zst,
}

impl Compression {
    /// The ending of names, `xz`.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Gz => "gz",
            Self::Xz => "xz",
            Self::Zst => "zst",
        }
    }

    /// Compresses.
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Gz => gzip(bytes, 6),
            Self::Xz => {
                let options = lzma_rust2::XzOptions::with_preset(0);
                let mut out = lzma_rust2::XzWriter::new(Vec::new(), options).expect("options");
                out.write_all(bytes).expect("memory takes all bytes");
                out.finish().expect("memory takes all bytes")
            }
            Self::Zst => zstd::encode_all(bytes, 1).expect("memory takes all bytes"),
        }
    }
}

/// What a path of a package is.
#[derive(Clone, Debug)]
enum Node {
    File(u32, Vec<u8>),
    Symlink(String),
}

/// A package: `all`, of priority optional, without files, as long as nothing else is said.
#[derive(Clone, Debug)]
pub struct Pkg {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture, or `all`.
    pub arch: String,
    priority: String,
    fields: Vec<(String, String)>,
    files: BTreeMap<String, Node>,
    conffiles: Vec<String>,
    scripts: Vec<(String, String)>,
    compression: Compression,
}

impl Pkg {
    /// A package.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: "all".to_owned(),
            priority: "optional".to_owned(),
            fields: Vec::new(),
            files: BTreeMap::new(),
            conffiles: Vec::new(),
            scripts: Vec::new(),
            compression: Compression::Xz,
        }
    }

    /// Sets the architecture.
    pub fn arch(mut self, arch: &str) -> Self {
        arch.clone_into(&mut self.arch);
        self
    }

    /// Sets the priority.
    pub fn priority(mut self, priority: &str) -> Self {
        priority.clone_into(&mut self.priority);
        self
    }

    /// Adds any field.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Marks it as essential.
    pub fn essential(self) -> Self {
        self.field("Essential", "yes")
    }

    /// Sets Depends.
    pub fn depends(self, value: &str) -> Self {
        self.field("Depends", value)
    }

    /// Sets Pre-Depends.
    pub fn pre_depends(self, value: &str) -> Self {
        self.field("Pre-Depends", value)
    }

    /// Sets Recommends.
    pub fn recommends(self, value: &str) -> Self {
        self.field("Recommends", value)
    }

    /// Sets Provides.
    pub fn provides(self, value: &str) -> Self {
        self.field("Provides", value)
    }

    /// Adds a file of mode 644.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.node(path, Node::File(0o644, content.as_ref().to_vec()))
    }

    /// Adds a file of mode 755.
    pub fn program(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.node(path, Node::File(0o755, content.as_ref().to_vec()))
    }

    /// Adds a symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.node(path, Node::Symlink(target.to_owned()))
    }

    /// Adds a file that people may change.
    pub fn conffile(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.conffiles.push(format!("/{path}\n"));
        self.file(path, content)
    }

    /// Adds a script of the maintainer, `postinst`.
    pub fn script(mut self, name: &str, text: &str) -> Self {
        self.scripts.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Sets how the members are compressed.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        let version = self.version.split_once(':').map_or(&*self.version, |(_, rest)| rest);
        format!("{}_{version}_{}.deb", self.name, self.arch)
    }

    /// The fields that stand in its control file and in an index.
    pub fn control(&self) -> String {
        let Self { name, version, arch, priority, .. } = self;
        let mut out = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: A <a@test>\n\
             Priority: {priority}\n"
        );
        for (name, value) in &self.fields {
            out.push_str(&format!("{name}: {value}\n"));
        }
        out
    }

    /// The `.deb`.
    pub fn deb(&self) -> Vec<u8> {
        let control = format!("{}Description: {} of a test\n", self.control(), self.name);
        let mut tar = Tar::default().dir("./", 0o755).file("./control", 0o644, control);
        if !self.conffiles.is_empty() {
            tar = tar.file("./conffiles", 0o644, self.conffiles.concat());
        }
        for (name, text) in &self.scripts {
            tar = tar.file(&format!("./{name}"), 0o755, text);
        }
        let mut out = b"!<arch>\n".to_vec();
        member(&mut out, "debian-binary", b"2.0\n");
        for (name, tar) in [("control.tar", tar), ("data.tar", self.data())] {
            let packed = self.compression.pack(&tar.plain());
            member(&mut out, &format!("{name}.{}", self.compression.ending()), &packed);
        }
        out
    }

    fn node(mut self, path: &str, node: Node) -> Self {
        self.files.insert(path.to_owned(), node);
        self
    }

    /// The files, each folder before what is in it.
    fn data(&self) -> Tar {
        let mut tar = Tar::default().dir("./", 0o755);
        let mut folders = std::collections::BTreeSet::new();
        for (path, node) in &self.files {
            for (at, _) in path.match_indices('/') {
                if folders.insert(&path[..at]) {
                    tar = tar.dir(&format!("./{}/", &path[..at]), 0o755);
                }
            }
            let path = format!("./{path}");
            tar = match node {
                Node::File(mode, content) => tar.file(&path, *mode, content),
                Node::Symlink(target) => tar.symlink(&path, target),
            };
        }
        tar
    }
}

/// Writes a member of an `ar` archive.
fn member(out: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    let size = bytes.len();
    let head = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, "100644");
    out.extend(head.as_bytes());
    out.extend(bytes);
    if size % 2 == 1 {
        out.push(b'\n');
    }
}
