//! Which values names have: what is given from outside, and variables of a stage.

use std::collections::HashMap;

use mabuild_lang::platform::Platform;

use super::Recipe;
use crate::spec::DEFAULT_PATH;

impl Recipe<'_> {
    /// The value that a build argument was given from outside.
    pub(super) fn written(&self, name: &str) -> Option<&str> {
        let given = self.args.iter().rev().find(|(known, _)| known == name);
        given.map(|(_, value)| value.as_str())
    }

    /// The same, or what the build itself gives.
    pub(super) fn given(&self, name: &str) -> Option<String> {
        self.written(name).map(str::to_owned).or_else(|| self.automatic(name))
    }

    fn automatic(&self, name: &str) -> Option<String> {
        let of = |platform: &Platform, part: &str| match part {
            "PLATFORM" => Some(platform.to_string()),
            "OS" => Some(platform.os.clone()),
            "ARCH" => Some(platform.arch.clone()),
            "VARIANT" => Some(platform.variant.clone().unwrap_or_default()),
            "OSVERSION" => Some(String::new()),
            _ => None,
        };
        match (name.strip_prefix("TARGET"), name.strip_prefix("BUILD")) {
            (Some(part), _) => of(self.platform, part),
            (_, Some(part)) => of(self.native, part),
            (None, None) => None,
        }
    }
}

/// The variables that the instructions of a stage see.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    values: HashMap<String, String>,
}

impl Scope {
    /// The variables of an image.
    pub fn on(env: &[(String, String)]) -> Self {
        let mut scope = Self::default();
        scope.set("PATH", DEFAULT_PATH);
        for (name, value) in env {
            scope.set(name, value);
        }
        scope
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }
}
