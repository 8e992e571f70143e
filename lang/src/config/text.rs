//! Strings after interpolation: everything is resolved but what depends on the platform and on
//! the variant.

use std::borrow::Cow;
use std::sync::Arc;

use crate::platform::Platform;
use crate::source::Span;

/// A string that may differ from platform to platform and from variant to variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its parts in order; neighbouring literals are joined.
    pub parts: Vec<Part>,
    /// Where the string stands in the file.
    pub span: Span,
}

/// One part of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Text that is the same everywhere.
    Literal(String),
    /// A name of the platform that is built.
    Platform(PlatformField),
    /// The value of an axis of the image's matrix, an index of its axes.
    Axis(u16),
}

/// What `{{platform…}}` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlatformField {
    /// `platform`: the whole, `linux/arm/v7`.
    Whole,
    /// `platform.os`.
    Os,
    /// `platform.arch`.
    Arch,
    /// `platform.variant`, empty where there is none.
    Variant,
    /// `platform.debian`.
    Debian,
    /// `platform.alpine`.
    Alpine,
    /// `platform.uname`.
    Uname,
    /// `platform.triple`.
    Triple,
}

impl PlatformField {
    /// The value for a platform. The error says which name the platform lacks.
    pub fn of(self, platform: &Platform) -> Result<Cow<'_, str>, String> {
        let named = |what: &str, name: Option<&'static str>| {
            name.map(Cow::Borrowed).ok_or_else(|| format!("{platform} has no {what} name"))
        };
        match self {
            Self::Whole => Ok(Cow::Owned(platform.to_string())),
            Self::Os => Ok(Cow::Borrowed(&platform.os)),
            Self::Arch => Ok(Cow::Borrowed(&platform.arch)),
            Self::Variant => Ok(Cow::Borrowed(platform.variant.as_deref().unwrap_or(""))),
            Self::Debian => named("Debian", platform.debian()),
            Self::Alpine => named("Alpine", platform.alpine()),
            Self::Uname => named("uname", platform.uname()),
            Self::Triple => named("multiarch", platform.triple()),
        }
    }
}

impl Text {
    /// A text without interpolation.
    pub fn literal(text: impl Into<String>, span: Span) -> Self {
        Self { parts: vec![Part::Literal(text.into())], span }
    }

    /// The text where it is the same for every platform and variant.
    pub fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it may differ from platform to platform.
    pub fn has_platform(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Platform(_)))
    }

    /// The text of one variant where it is the same for every platform. `values` are those of the
    /// image's axes.
    pub fn of_variant(&self, values: &[Arc<str>]) -> Option<Cow<'_, str>> {
        if let Some(text) = self.constant() {
            return Some(Cow::Borrowed(text));
        }
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Axis(at) => out.push_str(value(values, *at)),
                Part::Platform(_) => return None,
            }
        }
        Some(Cow::Owned(out))
    }

    /// The text for one platform of one variant. The error says which name the platform lacks;
    /// `check` reports it beforehand for every platform of the node.
    pub fn render(&self, platform: &Platform, values: &[Arc<str>]) -> Result<Cow<'_, str>, String> {
        if let Some(text) = self.constant() {
            return Ok(Cow::Borrowed(text));
        }
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Axis(at) => out.push_str(value(values, *at)),
                Part::Platform(field) => out.push_str(&field.of(platform)?),
            }
        }
        Ok(Cow::Owned(out))
    }
}

fn value(values: &[Arc<str>], at: u16) -> &str {
    values.get(usize::from(at)).map_or("", |value| value)
}
