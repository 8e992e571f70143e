//! What an image runs on: operating system, architecture, variant.
//!
//! Nothing is normalised here: `arm64` and `arm64/v8` are two platforms.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A platform in the words of the image specification (Go's `GOOS` and `GOARCH`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// Operating system, as `linux`.
    pub os: String,
    /// Architecture of the processor, as `amd64`.
    pub architecture: String,
    /// Variant of the architecture, as `v7`.
    pub variant: Option<String>,
}

impl Platform {
    /// Makes a platform without a variant.
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Platform { os: os.into(), architecture: architecture.into(), variant: None }
    }

    /// Sets the variant.
    #[must_use]
    pub fn with_variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let word = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        };
        if !parts.iter().all(word) {
            return Err(Error::BadPlatform { text: text.to_owned() });
        }
        match parts[..] {
            [os, architecture] => Ok(Platform::new(os, architecture)),
            [os, architecture, variant] => {
                Ok(Platform::new(os, architecture).with_variant(variant))
            }
            _ => Err(Error::BadPlatform { text: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_are_the_same_both_ways() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64", "linux/arm64/v8"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_platform_is_refused() {
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/", "a/b/c/d", "li nux/amd64"] {
            assert!(text.parse::<Platform>().is_err(), "{text:?} was accepted");
        }
    }
}
