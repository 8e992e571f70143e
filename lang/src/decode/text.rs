//! Values to strings: interpolation, and what each kind of string may look like.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::check::{range, shown};
use super::places::Places;
use super::template::Home;
use crate::config::{Located, Part, PlatformField, Text};
use crate::diag::Diagnostic;
use crate::schema::BUILTINS;
use crate::schema::names::{self, Source};
use crate::source::{Span, Spanned};
use crate::suggest::did_you_mean;
use crate::syntax::{Entry, Value};

/// The value of a `let`.
#[derive(Clone, Debug)]
pub(crate) struct LetValue {
    pub text: String,
    /// The name in its declaration; none for `date` and `git.…`.
    pub span: Option<Span>,
    /// Whether it holds today's date.
    pub dated: bool,
}

/// All `let`s.
#[derive(Debug, Default)]
pub(crate) struct Lets {
    pub values: BTreeMap<String, LetValue>,
    /// Names that stand for something outside of the files, with why they have no value.
    pub absent: BTreeMap<&'static str, String>,
    /// Bytes that values have put into strings so far.
    grown: AtomicUsize,
}

/// Longest string that interpolation makes, in bytes.
const MAX_TEXT: usize = 256 << 10;
/// Most bytes that values put into all strings: names within names grow without bound.
const MAX_GROWTH: usize = 64 << 20;
/// Names that are reported in one string.
const MAX_UNKNOWN: usize = 20;

/// Stands in a text for a version that is found later.
pub(crate) const VERSION: &str = "{{version}}";

/// What `{{version}}` stands for.
#[derive(Clone, Debug, Default)]
pub(crate) enum Version {
    /// Nothing.
    #[default]
    Unknown,
    /// The `version` of a root file system.
    Is(Text),
    /// What a range to follow will give: it is kept as it stands.
    Open,
    /// The same, where nothing that is found later can stand; the place is that of the `follow`.
    Later(Span),
}

/// A platform name used in a string; not every platform has each of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub field: PlatformField,
    pub span: Span,
}

/// What the strings of one node can name, and what is found in them.
pub(crate) struct Cx<'a> {
    /// Text of the file.
    pub text: &'a str,
    /// Folder of the file.
    pub folder: &'a Arc<str>,
    pub lets: &'a Lets,
    /// Name of the base or image.
    pub name: Option<Arc<str>>,
    /// Axes of the image's matrix.
    pub axes: Vec<Arc<str>>,
    /// What `{{version}}` stands for.
    pub version: Version,
    /// Platform names used so far.
    pub uses: Vec<Use>,
    /// Where today's date got into what a key is made of.
    dates: Vec<Span>,
    pub out: Vec<Diagnostic>,
}

impl<'a> Cx<'a> {
    pub fn new(text: &'a str, folder: &'a Arc<str>, lets: &'a Lets) -> Self {
        let (axes, uses, dates, out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { text, folder, lets, name: None, axes, version: Version::Unknown, uses, dates, out }
    }

    /// The file that is read from.
    pub fn home(&self) -> Home<'a> {
        Home { text: self.text, folder: self.folder }
    }

    /// Goes on reading from another file.
    pub fn enter(&mut self, home: Home<'a>) {
        (self.text, self.folder) = (home.text, home.folder);
    }

    /// A path that starts at the folder of the file.
    pub fn located(&self, text: Text) -> Located {
        Located { folder: self.folder.clone(), text }
    }

    /// Reads something that is in no key, so that today's date may be in it.
    pub fn undated<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let dates = self.dates.len();
        let done = read(self);
        self.dates.truncate(dates);
        done
    }

    /// Whether today's date was used.
    pub fn is_dated(&self) -> bool {
        !self.dates.is_empty()
    }

    /// Warns of today's date in what a key is made of.
    pub fn report_dates(&mut self) {
        for span in std::mem::take(&mut self.dates) {
            self.out.push(
                Diagnostic::warning(
                    "mabuild::lang::date",
                    span,
                    "the date is part of what is built: it is stale every day",
                    "today's date",
                )
                .help("use the date in `tags`, which are in no key; the time of a build is kept without it"),
            );
        }
    }

    /// The string of an entry; none where the value is no string, which is reported elsewhere.
    pub fn string(&mut self, entry: &Entry<'_>) -> Option<Text> {
        let Value::String(text) = &entry.value else { return None };
        if text.contains('\0') {
            self.out.push(
                Diagnostic::error(
                    "mabuild::lang::value",
                    entry.value_span,
                    "this text holds a NUL character",
                    "no program can be given this",
                )
                .help("remove the `\\u{0}`"),
            );
            return None;
        }
        if text.starts_with('\'') && self.text.get(range(entry.value_span)) == Some(text) {
            // Reported as quotes of the wrong kind; what was meant is clear.
            return Some(Text::literal(text.trim_matches('\''), entry.value_span));
        }
        if !text.contains("{{") {
            return Some(Text::literal(text.as_ref(), entry.value_span));
        }
        self.interpolate(text, entry.value_span)
    }

    /// The same where an empty string makes no sense.
    pub fn filled(&mut self, entry: &Entry<'_>, what: &str) -> Option<Text> {
        let text = self.string(entry)?;
        if text.constant() == Some("") {
            self.out.push(
                Diagnostic::error(
                    "mabuild::lang::value",
                    entry.value_span,
                    format!("{what} is empty"),
                    "nothing here",
                )
                .help("write a value, or remove the whole entry"),
            );
            return None;
        }
        Some(text)
    }

    /// The string of an entry where it has to be the same for all platforms and variants.
    pub fn constant(&mut self, entry: &Entry<'_>, what: &str) -> Option<Spanned<String>> {
        let text = self.of_variant(entry, what)?;
        if let Some(text) = text.constant() {
            return Some(Spanned::new(text.to_owned(), entry.value_span));
        }
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::interpolation",
                entry.value_span,
                format!("{what} is the same for all variants"),
                "differs with the matrix",
            )
            .help("leave the axes out here"),
        );
        None
    }

    /// The string of an entry where it has to be the same for all platforms of a variant.
    pub fn of_variant(&mut self, entry: &Entry<'_>, what: &str) -> Option<Text> {
        let uses = self.uses.len();
        let text = self.filled(entry, what)?;
        self.without_platform(text, uses, what)
    }

    /// The same, which may be empty.
    pub fn per_variant(&mut self, entry: &Entry<'_>, what: &str) -> Option<Text> {
        let uses = self.uses.len();
        let text = self.string(entry)?;
        self.without_platform(text, uses, what)
    }

    /// A text, which must not depend on the platform; `uses` is how many platform names there were
    /// before it.
    fn without_platform(&mut self, text: Text, uses: usize, what: &str) -> Option<Text> {
        if !text.has_platform() {
            return Some(text);
        }
        let span = self.uses.get(uses).map_or(text.span, |used| used.span);
        self.uses.truncate(uses);
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::interpolation",
                span,
                format!("{what} is the same for all platforms"),
                "differs from platform to platform",
            )
            .help("leave the platform out here"),
        );
        None
    }

    /// The strings of all arguments of a node.
    pub fn strings(&mut self, node: &crate::syntax::Node<'_>, what: &str) -> Vec<Text> {
        node.args().filter_map(|entry| self.filled(entry, what)).collect()
    }

    fn interpolate(&mut self, text: &str, literal: Span) -> Option<Text> {
        let mut made = Made { parts: Vec::new(), length: 0, unknown: 0 };
        let places = Places::new(self.text, literal);
        let mut at = 0;
        while let Some(open) = text.get(at..).and_then(|rest| rest.find("{{")) {
            made.push(text.get(at..at + open).unwrap_or_default());
            let open = at + open;
            let rest = text.get(open..).unwrap_or_default();
            if rest.starts_with("{{{{") {
                made.push("{{");
                at = open + 4;
                continue;
            }
            let Some(close) = rest.find("}}") else {
                self.out.push(
                    Diagnostic::error(
                        "mabuild::lang::interpolation",
                        places.of(open, open + 2),
                        "this `{{` has no `}}`",
                        "opened here",
                    )
                    .help("write `{{name}}`, or `{{{{` for two braces as they are"),
                );
                return None;
            };
            let inner = rest.get(2..close).unwrap_or_default();
            let name = inner.trim();
            let start = open + 2 + (inner.len() - inner.trim_start().len());
            self.named(name, &mut made, &places, start);
            let grown = self.lets.grown.load(Ordering::Relaxed);
            if made.length > MAX_TEXT || grown > MAX_GROWTH {
                self.too_long(places.of(start, start + name.len()));
                return None;
            }
            if made.unknown >= MAX_UNKNOWN {
                return None;
            }
            at = open + close + 2;
        }
        made.push(text.get(at..).unwrap_or_default());
        (made.unknown == 0).then_some(Text { parts: made.parts, span: literal })
    }

    fn too_long(&mut self, span: Span) {
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::interpolation",
                span,
                format!("the text grows to more than {} KiB", MAX_TEXT >> 10),
                "with the value of this name",
            )
            .help("put long values into a file of the context and copy it"),
        );
    }

    /// Puts the value of a name in, or reports that there is none.
    fn named(&mut self, name: &str, made: &mut Made, places: &Places<'_>, start: usize) {
        let end = start + name.len();
        let before = made.length;
        if let Some(at) = self.axes.iter().position(|axis| **axis == *name) {
            made.parts.push(Part::Axis(at as u16));
        } else if let Some(value) = self.lets.values.get(name) {
            made.push(&value.text);
            if value.dated {
                self.dates.push(places.of(start, end));
            }
        } else {
            let source = names::find(name).map(|builtin| builtin.source);
            match (source, &self.version, &self.name) {
                (Some(Source::Platform(field)), ..) => {
                    self.uses.push(Use { field, span: places.of(start, end) });
                    made.parts.push(Part::Platform(field));
                }
                (Some(Source::Version), Version::Is(version), _) => {
                    for part in &version.parts {
                        match part {
                            Part::Literal(text) => made.push(text),
                            part => made.parts.push(part.clone()),
                        }
                    }
                }
                (Some(Source::Version), Version::Open, _) => made.push(VERSION),
                (Some(Source::Version), Version::Later(follow), _) => {
                    made.unknown += 1;
                    let follow = *follow;
                    self.not_yet(places.of(start, end), follow);
                }
                (Some(Source::Node), _, Some(node)) => made.push(node),
                _ => {
                    made.unknown += 1;
                    self.unknown(name, places.of(start, end.max(start + 1)));
                }
            }
        }
        self.lets.grown.fetch_add(made.length - before, Ordering::Relaxed);
    }

    /// Reports a version where it would have to be known before the upstream is asked.
    fn not_yet(&mut self, span: Span, follow: Span) {
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::interpolation",
                span,
                "the version is known only once the upstream was asked",
                "not known yet",
            )
            .and(follow, "the version is looked for")
            .help("use it in the location, `checksums` and `signature` of a `rootfs` and in the tag of a `registry`; elsewhere write a text, or `version=\"…\"` in place of `follow`"),
        );
    }

    fn unknown(&mut self, name: &str, span: Span) {
        if let Some(why) = self.lets.absent.get(name) {
            self.out.push(
                Diagnostic::error(
                    "mabuild::lang::interpolation",
                    span,
                    format!("`{name}` has no value: {why}"),
                    "cannot be told here",
                )
                .help("build where it is known, or use a `let` with a default"),
            );
            return;
        }
        // With very many names a look at all of them for each unknown one takes too long.
        let lets = self.lets.values.keys().map(String::as_str);
        let mut known: Vec<&str> = lets.take(1000).collect();
        known.extend(self.axes.iter().map(|axis| &**axis));
        known.extend(self.lets.absent.keys());
        let here = BUILTINS.iter().filter(|builtin| match builtin.source {
            Source::Platform(_) | Source::Node => self.name.is_some(),
            Source::Version => matches!(self.version, Version::Is(_) | Version::Open),
            // Known or absent, they are among the above.
            Source::Git(_) | Source::Date => false,
        });
        known.extend(here.map(|builtin| builtin.name));
        let help = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{{{{{near}}}}}`?"),
            None if name == "version" => {
                "`version` is known where `rootfs` has a `version=\"…\"`, or where a range is followed"
                    .to_owned()
            }
            None if name.is_empty() => {
                "write a name between the braces, or `{{{{` for two braces as they are".to_owned()
            }
            None if let Some(family) = family(name, &known) => family,
            None if self.name.is_none() => {
                "declare it above: a value sees the names before it".to_owned()
            }
            None => format!(
                "declare it with `let {} \"…\"`, or write `{{{{{{{{` for two braces as they are",
                if is_let_name(name) { name } else { "name" }
            ),
        };
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::interpolation",
                span,
                format!("nothing is named `{}`", shown(name)),
                "not a known name",
            )
            .help(help),
        );
    }
}

/// The names that begin as a name does, up to its dot: `git.commit` for `git.branch` and `git`.
fn family(name: &str, known: &[&str]) -> Option<String> {
    let head = name.split_once('.').map_or(name, |(head, _)| head);
    let of_head = |known: &&&str| known.split_once('.').is_some_and(|(first, _)| first == head);
    let mut names: Vec<String> =
        known.iter().filter(of_head).map(|name| format!("`{{{{{name}}}}}`")).collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| format!("there is {}", names.join(", ")))
}

/// A text that is being put together.
struct Made {
    parts: Vec<Part>,
    length: usize,
    unknown: usize,
}

impl Made {
    /// Adds literal text, joined to literal text before it.
    fn push(&mut self, text: &str) {
        self.length += text.len();
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Literal(last)) => last.push_str(text),
            _ => self.parts.push(Part::Literal(text.to_owned())),
        }
    }
}

/// Whether a word can be the name of a `let`.
pub(crate) fn is_let_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}
