//! `APKINDEX.tar.gz`: the signed list of the packages of a repository.
//!
//! Source: apk-tools' `src/package.c`, and the Alpine wiki's description of the format.

use super::dependency::{self, BadDependency, Dependency};
use super::keys::Keys;
use super::segment::{Bounds, FormatError, malformed, small_files};
use super::signature::{SignatureError, read_signatures};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use std::fmt;
use std::io::{self, Read as _, Write as _};
use tar_core::{EntryBuilder, EntryType};

/// Bounds of an index: the largest today has 3 MiB compressed.
const INDEX_BOUNDS: Bounds =
    Bounds { what: "index segment", compressed: 64 << 20, content: 512 << 20 };

/// More packages than any repository has: the largest has about 30,000.
const MAX_PACKAGES: usize = 400_000;

/// Longest line; the longest real one (the `p:` of a large package) has some 100 KiB.
const MAX_LINE_BYTES: usize = 1 << 20;

/// A SHA-1 checksum as apk writes it: `Q1` and base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Checksum(pub [u8; 20]);

impl Checksum {
    /// Computes the checksum of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Checksum(Sha1::digest(bytes).into())
    }

    /// Reads `Q1` and base64; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix("Q1")?).ok()?;
        Some(Checksum(bytes.try_into().ok()?))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Q1{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A package as an index or the database of installed packages describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// `P`: the name.
    pub name: String,
    /// `V`: the version.
    pub version: String,
    /// `A`: the architecture in Alpine's spelling, or `noarch`.
    pub arch: Option<String>,
    /// `C`: SHA-1 of the compressed control segment, the identity of the package.
    pub checksum: Checksum,
    /// `S`: size of the `.apk` file in bytes.
    pub size: u64,
    /// `I`: size of the installed files in bytes.
    pub installed_size: u64,
    /// `T`: one line about the package.
    pub description: String,
    /// `U`: home page.
    pub url: String,
    /// `L`: license expression.
    pub license: String,
    /// `o`: the source package.
    pub origin: Option<String>,
    /// `m`: the maintainer.
    pub maintainer: Option<String>,
    /// `t`: when it was built, in seconds since 1970.
    pub build_time: Option<u64>,
    /// `c`: the commit of the build recipe.
    pub commit: Option<String>,
    /// `k`: which provider of a name is preferred; 0 is none.
    pub provider_priority: u64,
    /// `D`: what it needs, and what it conflicts with.
    pub depends: Vec<Dependency>,
    /// `p`: what it provides besides its name.
    pub provides: Vec<Dependency>,
    /// `i`: when all of these are installed, it comes along.
    pub install_if: Vec<Dependency>,
    /// `r`: packages whose files it may overwrite.
    pub replaces: Vec<Dependency>,
    /// `q`: who wins when two packages replace each other's files.
    pub replaces_priority: u64,
    /// A field that this library does not know and that apk would not ignore: the package needs
    /// a newer apk and is never chosen.
    pub unsupported: Option<char>,
}

impl Package {
    /// Gives the file name in the repository, below the folder of its architecture.
    pub fn file_name(&self) -> String {
        format!("{}-{}.apk", self.name, self.version)
    }

    /// Takes a field of an index; false when it is none of an index.
    pub(crate) fn set(&mut self, field: char, value: &str) -> Result<bool, String> {
        let number = |value: &str| {
            value.parse::<u64>().map_err(|_| format!("{field}: is not a number: {}", shown(value)))
        };
        let list = |value: &str| {
            Dependency::parse_list(value).map_err(|error: BadDependency| error.to_string())
        };
        match field {
            'P' => self.name = path_part(value)?,
            'V' => self.version = path_part(value)?,
            'A' => self.arch = Some(path_part(value)?),
            'C' => {
                self.checksum = Checksum::parse(value)
                    .ok_or_else(|| format!("C: is no SHA-1 checksum: {}", shown(value)))?;
            }
            'S' => self.size = number(value)?,
            'I' => self.installed_size = number(value)?,
            'T' => self.description = value.to_owned(),
            'U' => self.url = value.to_owned(),
            'L' => self.license = value.to_owned(),
            'o' => self.origin = Some(value.to_owned()),
            'm' => self.maintainer = Some(value.to_owned()),
            't' => self.build_time = Some(number(value)?),
            'c' => self.commit = Some(value.to_owned()),
            'k' => self.provider_priority = number(value)?,
            'D' => self.depends = list(value)?,
            'p' => self.provides = list(value)?,
            'i' => self.install_if = list(value)?,
            'r' => self.replaces = list(value)?,
            'q' => self.replaces_priority = number(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Writes the fields of an index in apk's order, without those of installed packages.
    pub(crate) fn write_fields(&self, out: &mut String) {
        let mut line = |field: &str, value: &str| {
            out.push_str(field);
            out.push_str(value);
            out.push('\n');
        };
        line("C:", &self.checksum.to_string());
        line("P:", &self.name);
        line("V:", &self.version);
        self.arch.iter().for_each(|arch| line("A:", arch));
        line("S:", &self.size.to_string());
        line("I:", &self.installed_size.to_string());
        line("T:", &self.description);
        line("U:", &self.url);
        line("L:", &self.license);
        self.origin.iter().for_each(|origin| line("o:", origin));
        self.maintainer.iter().for_each(|maintainer| line("m:", maintainer));
        self.build_time.iter().for_each(|time| line("t:", &time.to_string()));
        self.commit.iter().for_each(|commit| line("c:", commit));
        if self.provider_priority != 0 {
            line("k:", &self.provider_priority.to_string());
        }
        for (field, list) in
            [("D:", &self.depends), ("p:", &self.provides), ("i:", &self.install_if)]
        {
            if !list.is_empty() {
                line(field, &dependency::join(list, " "));
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let missing = if self.name.is_empty() {
            "P:"
        } else if self.version.is_empty() {
            "V:"
        } else if self.checksum == Checksum::default() {
            "C:"
        } else {
            return Ok(());
        };
        Err(format!("the package before it has no {missing} field"))
    }
}

/// Names and versions become parts of file names and addresses.
fn path_part(value: &str) -> Result<String, String> {
    let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    if value.is_empty() || value.starts_with('.') || value.len() > 255 || value.contains(odd) {
        return Err(format!("{} cannot be a name, version or architecture", shown(value)));
    }
    Ok(value.to_owned())
}

pub(crate) fn shown(value: &str) -> String {
    format!("{:?}", value.chars().take(80).collect::<String>())
}

/// Why an index is not used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The file is damaged or no index.
    #[error("this is no APKINDEX.tar.gz: {0}")]
    Format(#[from] FormatError),
    /// The file is not signed by a trusted key.
    #[error("the package index cannot be trusted: {0}")]
    Signature(#[from] SignatureError),
    /// A line cannot be understood.
    #[error("line {line} of the package index: {detail}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        detail: String,
    },
}

/// The packages of one repository.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// The packages in the order of the file.
    pub packages: Vec<Package>,
    /// The text of the file DESCRIPTION: what was indexed.
    pub description: String,
    /// The tag (`edge` of `@edge`) under which the repository is used: its packages are taken
    /// only for names that ask for the tag.
    pub tag: Option<String>,
}

impl Index {
    /// Reads `APKINDEX.tar.gz` and checks its signature.
    ///
    /// # Errors
    /// When no trusted key signed it, or it is damaged.
    pub fn open(bytes: &[u8], keys: &Keys) -> Result<Self, IndexError> {
        let mut reader = bytes;
        let (signatures, member) = read_signatures(&mut reader, INDEX_BOUNDS)?;
        // The signature is over all that follows it, in how many members ever.
        let signed = bytes.get(bytes.len() - reader.len() - member.raw.len()..).unwrap_or_default();
        signatures.verify(signed, keys)?;
        let mut tar = member.content;
        let rest = INDEX_BOUNDS.content.saturating_sub(tar.len() as u64);
        if !reader.is_empty() {
            let mut more = flate2::bufread::MultiGzDecoder::new(reader).take(rest);
            more.read_to_end(&mut tar).map_err(FormatError::from)?;
        }
        let mut index = None;
        let mut description = String::new();
        for file in small_files(&tar)? {
            let text =
                |data| String::from_utf8(data).map_err(|_| malformed("it is not UTF-8 text"));
            match file.name.as_str() {
                "APKINDEX" => index = Some(Index::parse(&text(file.data)?)?),
                "DESCRIPTION" => description = text(file.data)?.trim().to_owned(),
                _ => {}
            }
        }
        let mut index = index.ok_or_else(|| malformed("it has no file APKINDEX"))?;
        index.description = description;
        Ok(index)
    }

    /// Reads the text of the file APKINDEX.
    ///
    /// Unknown fields in lower case are ignored, as apk does.
    ///
    /// # Errors
    /// When a line cannot be understood or a package has no name, version or checksum.
    pub fn parse(text: &str) -> Result<Self, IndexError> {
        let mut packages = Vec::new();
        let mut current: Option<Package> = None;
        let mut lines = 0;
        for (at, line) in text.lines().enumerate() {
            let bad = |detail| IndexError::Line { line: at + 1, detail };
            lines = at + 1;
            if line.is_empty() {
                if let Some(package) = current.take() {
                    package.check().map_err(bad)?;
                    packages.push(package);
                }
                continue;
            }
            if packages.len() >= MAX_PACKAGES || line.len() > MAX_LINE_BYTES {
                return Err(bad("the index is larger than any".into()));
            }
            let (field, value) =
                field(line).ok_or_else(|| bad(format!("this is no field: {}", shown(line))))?;
            let package = current.get_or_insert_with(Package::default);
            if !package.set(field, value).map_err(bad)? && !field.is_ascii_lowercase() {
                package.unsupported = Some(field);
            }
        }
        if let Some(package) = current {
            package.check().map_err(|detail| IndexError::Line { line: lines, detail })?;
            packages.push(package);
        }
        Ok(Index { packages, description: String::new(), tag: None })
    }

    /// Writes the text of the file APKINDEX.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for package in &self.packages {
            package.write_fields(&mut out);
            out.push('\n');
        }
        out
    }
}

impl Index {
    /// Writes an `APKINDEX.tar.gz` that nobody has signed.
    ///
    /// # Errors
    /// When the text is longer than tar can say.
    pub fn to_archive(&self) -> io::Result<Vec<u8>> {
        let mut tar = Vec::new();
        for (name, text) in [("DESCRIPTION", &self.description), ("APKINDEX", &self.to_text())] {
            let mut entry = EntryBuilder::new_gnu();
            entry.path(name).entry_type(EntryType::Regular);
            entry.mode(0o644).and_then(|e| e.uid(0)).map_err(io::Error::other)?;
            entry.gid(0).and_then(|e| e.mtime(0)).map_err(io::Error::other)?;
            entry.size(text.len() as u64).map_err(io::Error::other)?;
            tar.extend(entry.finish_bytes());
            tar.extend(text.as_bytes());
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1024, 0);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&tar)?;
        gzip.finish()
    }
}

/// Splits a line into the letter of its field and the value.
pub(crate) fn field(line: &str) -> Option<(char, &str)> {
    let mut rest = line.chars();
    let field = rest.next()?;
    let value = rest.as_str().strip_prefix(':')?;
    field.is_ascii_alphabetic().then_some((field, value))
}

#[cfg(test)]
mod tests {
    use super::super::testrepo::{Algorithm, Signer, gzip, tar_entry};
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "\
C:Q1fihnCSoO3udDb3DkQwtrfd42MJQ=
P:ssl_client
V:1.36.1-r29
A:x86_64
S:4693
I:28672
T:EXternal ssl_client for busybox wget
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:Sören Tempel <soeren+alpine@soeren-tempel.net>
t:1718003507
c:1747c01fb96905f101c25609011589d28e01cbb8
k:100
D:so:libc.musl-x86_64.so.1 !other<2
p:cmd:ssl_client=1.36.1-r29
i:busybox=1.36.1-r29 libssl3

";

    fn signed(tar: &[u8]) -> Vec<u8> {
        let body = gzip(tar);
        [Signer::shared("one").signature_segment(Algorithm::Sha1, &body), body].concat()
    }

    #[test]
    fn a_signed_index_is_read_with_all_its_fields() {
        let files = [
            tar_entry("DESCRIPTION", b"main v3\n", &[]),
            tar_entry("APKINDEX", TEXT.as_bytes(), &[]),
        ];
        let keys = Signer::shared("one").keys();
        let index = Index::open(&signed(&files.concat()), &keys).unwrap();
        assert_eq!(index.description, "main v3");
        let package = &index.packages[0];
        assert_eq!(package.file_name(), "ssl_client-1.36.1-r29.apk");
        assert_eq!(package.checksum.to_string(), "Q1fihnCSoO3udDb3DkQwtrfd42MJQ=");
        assert_eq!((package.size, package.installed_size), (4693, 28672));
        assert_eq!((package.provider_priority, package.build_time), (100, Some(1_718_003_507)));
        assert_eq!(package.install_if.len(), 2);
        assert!(package.depends[1].conflict);
        assert_eq!(index.to_text(), TEXT);

        let mut changed = signed(&files.concat());
        let last = changed.len() - 20;
        changed[last] ^= 1;
        assert!(Index::open(&changed, &keys).is_err());
        let appended = [signed(&files.concat()), gzip(b"more")].concat();
        let error = Index::open(&appended, &keys).unwrap_err().to_string();
        assert!(error.contains("wrong"), "{error}");
        let error = Index::open(&signed(&files[0]), &keys).unwrap_err().to_string();
        assert!(error.contains("no file APKINDEX"), "{error}");
    }

    #[test]
    fn bad_lines_are_named() {
        let checksum = "C:Q1fihnCSoO3udDb3DkQwtrfd42MJQ=\n";
        for (text, want) in [
            ("P:a\nV:1\n\n", "line 3 of the package index: the package before it has no C:"),
            (&format!("{checksum}P:a\n"), "line 2 of the package index: the package"),
            ("nonsense\n", "line 1 of the package index: this is no field"),
            ("P:a\nS:many\n", "line 2 of the package index: S: is not a number"),
            ("P:a\nC:X1aa\n", "C: is no SHA-1"),
            ("C:Q1AAAA\n", "C: is no SHA-1"),
            ("P:../a\n", "cannot be a name"),
            ("V:1/2\n", "cannot be a name"),
            ("P:a\nD:b=\n", "line 2 of the package index: \"b=\" is no dependency"),
            ("S:-1\n", "not a number"),
            ("S:99999999999999999999\n", "not a number"),
        ] {
            let error = Index::parse(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text:?}: {error}");
        }
    }

    #[test]
    fn unknown_fields_are_ignored_or_make_a_package_unusable() {
        let text = TEXT.replace("I:28672", "x:new\nI:28672");
        assert_eq!(Index::parse(&text).unwrap().packages[0].unsupported, None);
        let text = TEXT.replace("I:28672", "X:new\nI:28672");
        assert_eq!(Index::parse(&text).unwrap().packages[0].unsupported, Some('X'));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([PVCDpiX]:[a-z=!~>< ]{0,6}\n|\n|.{0,9}\n){0,8}") {
            let _ = Index::parse(&text);
        }
    }
}
