//! A `.deb` file: its control information and the stream of its files, as deb(5) defines them.
//!
//! The content archive is handed out as a decompressed tar stream; unpacking it is not done here.

use super::ar::{self, Member};
use super::compression::{Compression, decompress};
use super::deb822;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use tar_core::parse::{Limits, ParseEvent, Parser};

/// The unpacked control archive may have this many bytes; the largest in Debian have some 10 MB.
const MAX_CONTROL_BYTES: u64 = 64 << 20;

/// Why a `.deb` file could not be read. The caller adds which file it was.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The file is not laid out as a Debian package.
    #[error("not a usable Debian package: {0}")]
    Malformed(String),
    /// A part is compressed in a way this program does not read.
    #[error(
        "package member {0:?} has a compression that is not supported (gz, xz, zst and none are)"
    )]
    UnsupportedCompression(String),
    /// Reading or decompressing failed.
    #[error("reading the Debian package failed: {0}")]
    Io(#[from] io::Error),
}

impl From<ar::ArError> for DebError {
    fn from(error: ar::ArError) -> Self {
        match error {
            ar::ArError::Io(error) => DebError::Io(error),
            other => DebError::Malformed(other.to_string()),
        }
    }
}

fn malformed(detail: impl Into<String>) -> DebError {
    DebError::Malformed(detail.into())
}

/// The fields of a package's `control` file, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Control {
    fields: Vec<(String, String)>,
}

impl Control {
    /// Makes one of names and values.
    pub fn of(fields: Vec<(String, String)>) -> Self {
        Control { fields }
    }

    /// Returns a field's value; names are compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns all fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// One file of the control archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFile {
    /// Permission bits.
    pub mode: u32,
    /// Content.
    pub data: Vec<u8>,
}

/// An open `.deb` file whose outer structure has been checked.
#[derive(Debug)]
pub struct Deb<R> {
    file: R,
    control: (Member, Compression),
    data: (Member, Compression),
}

impl<R: Read + Seek + Send> Deb<R> {
    /// Opens a package and checks its outer structure.
    ///
    /// # Errors
    /// When it is not an `ar` archive of `debian-binary` 2.x, one control and one data archive.
    pub fn open(mut file: R) -> Result<Self, DebError> {
        let members = ar::members(&mut file)?;
        check_format_version(&mut file, members.first())?;
        let (mut control, mut data) = (None, None);
        for member in members.into_iter().skip(1) {
            let slot = match member.name.as_str() {
                name if name.starts_with("control.tar") => &mut control,
                name if name.starts_with("data.tar") => &mut data,
                // deb(5): names with an underscore in front are for others and may be skipped.
                name if name.starts_with('_') => continue,
                name => return Err(malformed(format!("unexpected member {name:?}"))),
            };
            let compression = Compression::from_name(&member.name)
                .ok_or_else(|| DebError::UnsupportedCompression(member.name.clone()))?;
            if slot.replace((member, compression)).is_some() {
                return Err(malformed("it has two control or two data archives"));
            }
        }
        let control = control.ok_or_else(|| malformed("it has no control archive"))?;
        let data = data.ok_or_else(|| malformed("it has no data archive"))?;
        Ok(Deb { file, control, data })
    }

    /// Returns when it was made, in seconds since 1970: for packages of Debian the date of the last
    /// entry of their changelog. 0 when it does not say.
    pub fn date(&self) -> i64 {
        self.data.0.date.max(0)
    }

    /// Reads the fields of the `control` file.
    ///
    /// # Errors
    /// When the control archive is damaged, has no `control` file, or that is not one stanza with
    /// at least `Package`, `Version` and `Architecture`.
    pub fn control(&mut self) -> Result<Control, DebError> {
        let files = self.control_files()?;
        let file = files.get("control").ok_or_else(|| malformed("there is no control file"))?;
        parse_control(&file.data)
    }

    /// Reads all regular files of the control archive by name: `control`, `md5sums`, `conffiles`,
    /// maintainer scripts and the like.
    ///
    /// # Errors
    /// When the archive is damaged, unpacks to more than 64 MiB, or holds a file in a
    /// subdirectory, a link or a device.
    pub fn control_files(&mut self) -> Result<BTreeMap<String, ControlFile>, DebError> {
        let (member, compression) = self.control.clone();
        let mut tar = Vec::new();
        self.member_reader(&member, compression)?
            .take(MAX_CONTROL_BYTES + 1)
            .read_to_end(&mut tar)?;
        if tar.len() as u64 > MAX_CONTROL_BYTES {
            return Err(malformed("its control archive unpacks to more than 64 MiB"));
        }
        read_control_tar(&tar)
    }

    /// Returns the decompressed tar stream of the package's files.
    ///
    /// # Errors
    /// When the file cannot be positioned; damaged data is an error of the returned reader.
    pub fn data(&mut self) -> Result<Box<dyn Read + Send + '_>, DebError> {
        let (member, compression) = self.data.clone();
        self.member_reader(&member, compression)
    }

    fn member_reader(
        &mut self,
        member: &Member,
        compression: Compression,
    ) -> Result<Box<dyn Read + Send + '_>, DebError> {
        self.file.seek(SeekFrom::Start(member.offset))?;
        Ok(decompress(compression, (&mut self.file).take(member.size))?)
    }
}

fn check_format_version<R: Read + Seek>(
    file: &mut R,
    first: Option<&Member>,
) -> Result<(), DebError> {
    let member = first
        .filter(|member| member.name == "debian-binary" && member.size <= 64)
        .ok_or_else(|| malformed("its first member is not debian-binary"))?;
    let mut version = Vec::new();
    file.seek(SeekFrom::Start(member.offset))?;
    file.take(member.size).read_to_end(&mut version)?;
    if version.starts_with(b"2.") {
        Ok(())
    } else {
        let version = String::from_utf8_lossy(&version);
        Err(malformed(format!("its format version is {:?}, not 2.x", version.trim_end())))
    }
}

fn read_control_tar(tar: &[u8]) -> Result<BTreeMap<String, ControlFile>, DebError> {
    let mut parser = Parser::new(Limits { max_path_len: Some(255), ..Limits::default() });
    let mut files = BTreeMap::new();
    let mut rest = tar;
    let cut_off = || malformed("its control archive ends too early");
    loop {
        let event = parser
            .parse(rest)
            .map_err(|error| malformed(format!("its control archive is damaged: {error}")))?;
        match event {
            ParseEvent::Entry { consumed, entry } => {
                let content = rest.get(consumed..).ok_or_else(cut_off)?;
                let size = usize::try_from(entry.size).map_err(|_| cut_off())?;
                let data = content.get(..size).ok_or_else(cut_off)?;
                let path = entry.path_lossy();
                let name = path.trim_start_matches("./").trim_end_matches('/');
                if entry.is_file() {
                    if name.is_empty() || name.contains('/') {
                        return Err(malformed(format!("odd path {path:?} in its control archive")));
                    }
                    let file = ControlFile { mode: entry.mode & 0o777, data: data.to_vec() };
                    files.insert(name.to_owned(), file);
                } else if !entry.is_dir() {
                    return Err(malformed(format!("{path:?} in its control archive is no file")));
                }
                let padded = usize::try_from(entry.padded_size()).map_err(|_| cut_off())?;
                // The pad of the last member may be cut off together with the end marker.
                rest = content.get(padded..).unwrap_or_default();
            }
            ParseEvent::GlobalExtensions { consumed, .. } => {
                rest = rest.get(consumed..).ok_or_else(cut_off)?;
            }
            ParseEvent::SparseEntry { .. } => {
                return Err(malformed("its control archive has a sparse file"));
            }
            ParseEvent::End { .. } => return Ok(files),
            // Some old packages have no end marker.
            ParseEvent::NeedData { .. } if rest.is_empty() => return Ok(files),
            ParseEvent::NeedData { .. } => return Err(cut_off()),
        }
    }
}

fn parse_control(text: &[u8]) -> Result<Control, DebError> {
    let bad = |detail: String| malformed(format!("its control file is damaged: {detail}"));
    let mut reader = deb822::Reader::new(text);
    let mut control = Control::default();
    let mut ended = false;
    loop {
        match reader.next().map_err(|error| bad(error.to_string()))? {
            deb822::Event::Field { .. } if ended => return Err(bad("it has two stanzas".into())),
            deb822::Event::Field { name, value } => {
                let name = String::from_utf8_lossy(name).into_owned();
                let value = std::str::from_utf8(value)
                    .map_err(|_| bad(format!("field {name} is not UTF-8")))?;
                if control.get(&name).is_some() {
                    return Err(bad(format!("field {name} is there twice")));
                }
                control.fields.push((name, value.to_owned()));
            }
            deb822::Event::EndOfStanza => ended = true,
            deb822::Event::End => break,
        }
    }
    for required in ["Package", "Version", "Architecture"] {
        if control.get(required).is_none_or(str::is_empty) {
            return Err(bad(format!("field {required} is missing")));
        }
    }
    Ok(control)
}

#[cfg(test)]
mod tests {
    use super::super::ar::tests::archive;
    use super::super::compression::tests::compress;
    use super::*;
    use std::io::Cursor;
    use tar_core::{EntryType, HeaderBuilder};

    const CONTROL: &str =
        "Package: hello\nVersion: 2.10-3\nArchitecture: amd64\nDescription: says\n hello\n";

    fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (path, kind, data) in entries {
            let mut header = HeaderBuilder::new_gnu();
            header.path(path).unwrap().mode(0o755).unwrap().size(data.len() as u64).unwrap();
            header.uid(0).unwrap().gid(0).unwrap().mtime(0).unwrap().entry_type(*kind);
            out.extend(header.finish().as_bytes());
            out.extend(*data);
            out.resize(out.len().next_multiple_of(512), 0);
        }
        out.resize(out.len() + 1024, 0);
        out
    }

    fn control_tar() -> Vec<u8> {
        tar(&[
            ("./", EntryType::Directory, b""),
            ("./control", EntryType::Regular, CONTROL.as_bytes()),
            ("./postinst", EntryType::Regular, b"#!/bin/sh\n"),
        ])
    }

    fn deb_with(control: &[u8]) -> Result<Deb<Cursor<Vec<u8>>>, DebError> {
        let members: [(&str, &[u8]); 3] =
            [("debian-binary", b"2.0\n"), ("control.tar", control), ("data.tar", b"DATA")];
        Deb::open(Cursor::new(archive(&members)))
    }

    #[test]
    fn control_and_data_are_read_in_every_compression() {
        for (compression, ending) in [
            (Compression::None, ""),
            (Compression::Gzip, ".gz"),
            (Compression::Xz, ".xz"),
            (Compression::Zstd, ".zst"),
        ] {
            let (control, data) = (format!("control.tar{ending}"), format!("data.tar{ending}"));
            let file = archive(&[
                ("debian-binary", b"2.0\n"),
                (&control, &compress(compression, &control_tar())),
                ("_gpgorigin", b"skipped"),
                (&data, &compress(compression, b"the files")),
            ]);
            let mut deb = Deb::open(Cursor::new(file)).unwrap();
            let fields = deb.control().unwrap();
            assert_eq!(fields.get("package"), Some("hello"), "{compression:?}");
            assert_eq!(fields.get("Description"), Some("says\n hello"));
            assert_eq!(fields.iter().count(), 4);
            let mut read = String::new();
            deb.data().unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, "the files", "{compression:?}");
            // The parts can be read in any order and again.
            let files = deb.control_files().unwrap();
            assert_eq!(files["postinst"].data, b"#!/bin/sh\n");
            assert_eq!(files["postinst"].mode, 0o755);
        }
    }

    #[test]
    fn a_wrong_outer_structure_is_refused() {
        type Members<'a> = &'a [(&'a str, &'a [u8])];
        let open = |members: Members| Deb::open(Cursor::new(archive(members))).err();
        let cases: [(Members, &str); 6] = [
            (&[], "first member"),
            (&[("control.tar", b""), ("debian-binary", b"2.0\n")], "first member"),
            (&[("debian-binary", b"3.0\n")], "3.0"),
            (&[("debian-binary", b"2.0\n"), ("data.tar", b"")], "no control"),
            (&[("debian-binary", b"2.0\n"), ("evil", b"")], "evil"),
            (
                &[
                    ("debian-binary", b"2.0\n"),
                    ("control.tar", b""),
                    ("data.tar", b""),
                    ("data.tar.gz", b""),
                ],
                "two",
            ),
        ];
        for (members, want) in cases {
            let error = open(members).unwrap().to_string();
            assert!(error.contains(want), "{error}");
        }
        let bz2: [(&str, &[u8]); 2] = [("debian-binary", b"2.0\n"), ("data.tar.bz2", b"")];
        assert!(matches!(open(&bz2), Some(DebError::UnsupportedCompression(_))));
    }

    #[test]
    fn a_hostile_control_archive_is_refused() {
        let file = |path, text: &str| tar(&[(path, EntryType::Regular, text.as_bytes())]);
        let cases = [
            (file("./other", CONTROL), "no control file"),
            (file("./a/../control", CONTROL), "odd path"),
            (file("./control", "Package: a\nVersion: 1\n"), "Architecture is missing"),
            (file("./control", "Package: a\nPackage: b\n"), "twice"),
            (file("./control", &format!("{CONTROL}\n{CONTROL}")), "two stanzas"),
            (tar(&[("./control", EntryType::Symlink, b"")]), "no file"),
            (control_tar()[..700].to_vec(), "too early"),
            (vec![0x55; 2048], "damaged"),
        ];
        for (control, want) in cases {
            let error = deb_with(&control).unwrap().control().unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        let no_end_marker = &control_tar()[..control_tar().len() - 1024];
        assert!(deb_with(no_end_marker).unwrap().control().is_ok());
    }
}
