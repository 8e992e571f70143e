//! What was hashed, as machines hand it to each other. A [`Record`] is shortened for people; this
//! is all of it, so that whoever reads it makes the key again and believes nothing else.

use serde::{Deserialize, Serialize};

use super::{Key, Name, Part, Record, Sink, Value, file_set_digest, hash, walk_build};
use crate::facts::{FileFact, FileKind, FileSet, Match};
use crate::spec::BuildSpec;

/// Version of the form.
const FORM: u32 = 1;
/// Most parts of the name of a field.
const DEEPEST: usize = 32;

/// The fields of a spec in the order they were hashed.
#[derive(Serialize, Deserialize)]
struct Hashed {
    version: u32,
    fields: Vec<(Vec<Piece>, Content)>,
}

/// One step of a name.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Piece {
    At(usize),
    Field(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Content {
    Text(String),
    Number(i64),
    Mode(u32),
    Digest(Hex),
    Unset,
    Files(Vec<Source>),
}

/// One source that was matched.
#[derive(Serialize, Deserialize)]
struct Source {
    path: String,
    directory: bool,
    /// Path, permission bits, what it is.
    files: Vec<(String, u32, Kind)>,
}

/// What a file is. The size is that of what the digest is over.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    File(Hex),
    Directory,
    Parent,
    Link(String),
    HardLink(String),
    Pipe,
    Device { character: bool, major: u32, minor: u32 },
}

/// 32 bytes as hexadecimal digits.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hex([u8; 32]);

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        Key(hex.0).hex()
    }
}

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Key::parse(&text).map(|key| Self(key.0)).ok_or("no 64 hexadecimal digits")
    }
}

/// Writes all that is hashed for the key of a build, as JSON.
pub fn write_hashed(spec: &BuildSpec) -> Vec<u8> {
    let mut hashed = Hashed { version: FORM, fields: Vec::new() };
    walk_build(spec, &mut hashed);
    serde_json::to_vec(&hashed).unwrap_or_default()
}

/// Reads what [`write_hashed`] wrote. None where it is of another form, and where it is not what
/// was hashed to this key.
pub fn read_hashed(json: &[u8], key: &Key) -> Option<Record> {
    let hashed: Hashed = serde_json::from_slice(json).ok()?;
    let is_read = hashed.version == FORM && hashed.fields.iter().all(is_plain);
    let is_true = is_read && hash(|sink| hashed.tell(sink)) == *key;
    is_true.then(|| Record::filled(|sink| hashed.tell(sink)))
}

/// Whether a field hides nothing: the digest of a set of files does not say which they are.
fn is_plain((name, content): &(Vec<Piece>, Content)) -> bool {
    let hides = matches!(content, Content::Digest(_))
        && matches!(name.last(), Some(Piece::Field(last)) if last == "files");
    name.len() <= DEEPEST && !hides
}

impl Hashed {
    fn tell(&self, sink: &mut dyn Sink) {
        for (name, content) in &self.fields {
            named(&Name::ROOT, name, content, sink);
        }
    }
}

/// Tells a field below a name.
fn named(outer: &Name<'_>, rest: &[Piece], content: &Content, sink: &mut dyn Sink) {
    match rest.split_first() {
        Some((Piece::Field(text), rest)) => named(&outer.field(text), rest, content, sink),
        Some((Piece::At(position), rest)) => named(&outer.at(*position), rest, content, sink),
        None => match content {
            Content::Text(text) => sink.field(outer, Value::Text(text)),
            Content::Number(number) => sink.field(outer, Value::Number(*number)),
            Content::Mode(mode) => sink.field(outer, Value::Mode(*mode)),
            Content::Digest(Hex(digest)) => sink.field(outer, Value::Digest(digest)),
            Content::Unset => sink.field(outer, Value::Unset),
            Content::Files(sources) => {
                let matches: Vec<Match> = sources.iter().map(Source::read).collect();
                let digest = file_set_digest(&matches);
                sink.files(outer, &FileSet { matches, digest, ..FileSet::default() });
            }
        },
    }
}

impl Sink for Hashed {
    fn field(&mut self, name: &Name<'_>, value: Value<'_>) {
        let content = match value {
            Value::Text(text) => Content::Text(text.to_owned()),
            Value::Number(number) => Content::Number(number),
            Value::Mode(mode) => Content::Mode(mode),
            Value::Digest(digest) => Content::Digest(Hex(*digest)),
            Value::Unset => Content::Unset,
        };
        self.fields.push((pieces(name), content));
    }

    fn files(&mut self, name: &Name<'_>, set: &FileSet) {
        let sources = set.matches.iter().map(Source::of).collect();
        self.fields.push((pieces(name), Content::Files(sources)));
    }
}

/// The parts of a name below the root.
fn pieces(name: &Name<'_>) -> Vec<Piece> {
    let Some(outer) = name.outer else { return Vec::new() };
    let mut pieces = pieces(outer);
    pieces.push(match name.part {
        Part::Field(text) => Piece::Field(text.to_owned()),
        Part::At(position) => Piece::At(position),
    });
    pieces
}

impl Source {
    fn of(found: &Match) -> Self {
        let Match { path, files, directory } = found;
        let files = files.iter().map(|file| {
            let FileFact { path, mode, kind } = file;
            (path.clone(), *mode, Kind::of(kind))
        });
        Self { path: path.clone(), directory: *directory, files: files.collect() }
    }

    fn read(&self) -> Match {
        let files = self.files.iter().map(|(path, mode, kind)| {
            let kind = kind.read();
            FileFact { path: path.clone(), mode: *mode, kind }
        });
        Match { path: self.path.clone(), files: files.collect(), directory: self.directory }
    }
}

impl Kind {
    fn of(kind: &FileKind) -> Self {
        match kind {
            FileKind::File { digest, size: _ } => Self::File(Hex(*digest)),
            FileKind::Dir => Self::Directory,
            FileKind::Parent => Self::Parent,
            FileKind::Symlink(to) => Self::Link(to.clone()),
            FileKind::Hardlink(to) => Self::HardLink(to.clone()),
            FileKind::Fifo => Self::Pipe,
            FileKind::Device { character, major, minor } => {
                Self::Device { character: *character, major: *major, minor: *minor }
            }
        }
    }

    fn read(&self) -> FileKind {
        match self {
            Self::File(Hex(digest)) => FileKind::File { digest: *digest, size: 0 },
            Self::Directory => FileKind::Dir,
            Self::Parent => FileKind::Parent,
            Self::Link(to) => FileKind::Symlink(to.clone()),
            Self::HardLink(to) => FileKind::Hardlink(to.clone()),
            Self::Pipe => FileKind::Fifo,
            Self::Device { character, major, minor } => {
                FileKind::Device { character: *character, major: *major, minor: *minor }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mabuild_lang::platform::Platform;
    use mabuild_lang::source::{FileId, Span};

    use super::*;
    use crate::facts::Pin;
    use crate::key::key;
    use crate::spec;
    use crate::spec::{BuildSpec, Copy, Input, Op, ParentDigest, Settings, Stage, Step};

    /// What the first released version wrote.
    const FIRST: &str = include_str!("testdata/hashed-1.json");

    fn files(content: u8) -> Arc<FileSet> {
        let file = |path: &str, kind| FileFact { path: path.to_owned(), mode: 0o644, kind };
        let found = Match {
            path: "words".to_owned(),
            directory: true,
            files: vec![
                file("words/de.txt", FileKind::File { digest: [content; 32], size: 9 }),
                file("words/dir", FileKind::Dir),
                file("words/link", FileKind::Symlink("de.txt".to_owned())),
                file("words/hard", FileKind::Hardlink("words/de.txt".to_owned())),
                file("words/pipe", FileKind::Fifo),
                file("words/up", FileKind::Parent),
                file("words/null", FileKind::Device { character: true, major: 1, minor: 3 }),
            ],
        };
        let matches = vec![found];
        let digest = file_set_digest(&matches);
        FileSet { root: "/home/a".into(), matches, digest, fetched: false }.into()
    }

    fn build(content: u8) -> BuildSpec {
        let platform = Platform::parse("linux/arm/v7").unwrap();
        let span = Span { file: FileId(0), start: 3, end: 4 };
        let step = |op| Step { span, text: None, op };
        let inputs = vec![Input::Files(files(content))];
        let copy = Copy { link: true, ..Copy::of(inputs, vec!["words".to_owned()], "/w/") };
        let inline = Op::File {
            path: "/long".to_owned(),
            content: "ä".repeat(300),
            owner: Some("1:1".to_owned()),
            mode: Some(0o600),
        };
        let below = spec::Source::Parent(ParentDigest("sha256:1".into()));
        let archive = Pin::Archive {
            digest: "sha512:2".to_owned(),
            location: "https://h/x".to_owned(),
            version: None,
        };
        let first = spec::Source::Upstream(Arc::new(archive));
        spec::Spec {
            platform: platform.clone(),
            source_date: Some(-7),
            stages: vec![
                Stage::of(platform.clone(), first, Vec::new()),
                Stage::of(platform, below, vec![step(Op::Copy(Box::new(copy))), step(inline)]),
            ],
            settings: Settings {
                labels: vec![("a".to_owned(), "1".to_owned())],
                cmd: Some(Vec::new()),
                ..Settings::default()
            },
            watched: vec![("curl".to_owned(), "8".to_owned())],
        }
    }

    #[test]
    fn what_is_read_is_the_record_of_the_key() {
        let spec = build(1);
        let json = write_hashed(&spec);
        assert_eq!(read_hashed(&json, &key(&spec)), Some(Record::of(&spec)));
        assert_eq!(read_hashed(&json, &key(&build(2))), None);
        assert!(!String::from_utf8(json).unwrap().contains("/home/a"));
    }

    #[test]
    fn the_first_version_is_read() {
        let spec = build(1);
        assert_eq!(String::from_utf8(write_hashed(&spec)).unwrap(), FIRST.trim_end());
        assert_eq!(read_hashed(FIRST.as_bytes(), &key(&spec)), Some(Record::of(&spec)));
    }

    #[test]
    fn a_lie_is_not_believed() {
        let key = key(&build(1));
        let believed = |json: &str| read_hashed(json.as_bytes(), &key).is_some();
        assert!(believed(FIRST));
        for (part, other) in [
            ("\"version\":1", "\"version\":2"),
            ("[\"steps\",0]", "[\"steps[0]\"]"),
            ("{\"mode\":384}", "{\"number\":384}"),
            ("\"words/dir\",420", "\"words/dir\",493"),
            ("\"directory\":true", "\"directory\":false"),
            ("\"link\":\"de.txt\"", "\"hard-link\":\"de.txt\""),
            ("{\"text\":\"8\"}", "{\"text\":\"9\"}"),
            ("\"major\":1", "\"major\":5"),
            ("0101", "0102"),
            ("0101", "zz"),
        ] {
            assert!(FIRST.contains(part), "{part}");
            assert!(!believed(&FIRST.replacen(part, other, 1)), "{part}");
        }
        for broken in ["", "{}", "[]", "null", "\u{1f}\u{8b}"] {
            assert!(!believed(broken), "{broken}");
        }
    }

    /// Both hash to the key; one says no more than that, and the other would take a thread down.
    #[test]
    fn what_hides_files_or_is_very_deep_is_not_read() {
        let digest = hex::encode(files(1).digest);
        let from = FIRST.find("{\"files\":[").unwrap();
        let end = FIRST[from..].find("]}]}").unwrap() + from + 4;
        let bare = format!("{}{{\"digest\":\"{digest}\"}}{}", &FIRST[..from], &FIRST[end..]);
        let hashed: Hashed = serde_json::from_str(&bare).unwrap();
        assert_eq!(hash(|sink| hashed.tell(sink)), key(&build(1)));
        assert_eq!(read_hashed(bare.as_bytes(), &key(&build(1))), None);
        let deep =
            format!("{{\"version\":1,\"fields\":[[[0{}],\"unset\"]]}}", ",0".repeat(1 << 20));
        assert_eq!(read_hashed(deep.as_bytes(), &key(&build(1))), None);
    }
}
