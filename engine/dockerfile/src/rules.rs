//! BuildKit's build checks: their names, and which of them a file asks for.

use crate::ast::Word;
use crate::fields::truth;

/// Every check under BuildKit's name and the code of the problem here, in the order of BuildKit's
/// own list.
const RULES: [(&str, &str); 22] = [
    ("StageNameCasing", code!("stage-name-casing")),
    ("FromAsCasing", code!("from-as-casing")),
    ("NoEmptyContinuation", code!("no-empty-continuation")),
    ("ConsistentInstructionCasing", code!("consistent-instruction-casing")),
    ("DuplicateStageName", code!("duplicate-stage-name")),
    ("ReservedStageName", code!("reserved-stage-name")),
    ("JSONArgsRecommended", code!("json-args-recommended")),
    ("MaintainerDeprecated", code!("maintainer-deprecated")),
    ("UndefinedArgInFrom", code!("undefined-arg-in-from")),
    ("WorkdirRelativePath", code!("workdir-relative-path")),
    ("UndefinedVar", code!("undefined-var")),
    ("MultipleInstructionsDisallowed", code!("multiple-instructions-disallowed")),
    ("LegacyKeyValueFormat", code!("legacy-key-value-format")),
    ("InvalidBaseImagePlatform", code!("invalid-base-image-platform")),
    ("RedundantTargetPlatform", code!("redundant-target-platform")),
    ("SecretsUsedInArgOrEnv", code!("secrets-used-in-arg-or-env")),
    ("InvalidDefaultArgInFrom", code!("invalid-default-arg-in-from")),
    ("FromPlatformFlagConstDisallowed", code!("from-platform-flag-const-disallowed")),
    ("CopyIgnoredFile", code!("copy-ignored-file")),
    ("InvalidDefinitionDescription", DESCRIPTION),
    ("ExposeProtoCasing", code!("expose-proto-casing")),
    ("ExposeInvalidFormat", code!("expose-invalid-format")),
];

/// The code of the one check that is off unless it is asked for.
const DESCRIPTION: &str = code!("invalid-definition-description");

/// Gives BuildKit's name of the check behind a problem's code.
pub(crate) fn name(code: &str) -> Option<&'static str> {
    RULES.iter().find(|(_, own)| *own == code).map(|(name, _)| *name)
}

/// Whether a check is off unless it is asked for.
pub(crate) fn is_experimental(code: &str) -> bool {
    code == DESCRIPTION
}

/// A list of checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    all: bool,
    names: Vec<String>,
}

impl Names {
    fn read(text: &str) -> Self {
        if text == "all" {
            return Self { all: true, names: Vec::new() };
        }
        Self { all: false, names: text.split(',').map(|name| name.trim().to_owned()).collect() }
    }

    fn has(&self, name: &str) -> bool {
        self.all || self.names.iter().any(|own| own == name)
    }
}

/// What `check=` says: `skip=NAME,NAME;error=true;experimental=NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checks {
    skip: Names,
    experimental: Names,
    /// Whether what a check finds is an error.
    pub(crate) error: bool,
}

impl Checks {
    /// Reads the value of a `check` directive.
    ///
    /// # Errors
    /// The first option that BuildKit refuses too.
    pub(crate) fn read(value: &str) -> Result<Self, &str> {
        let mut checks = Self::default();
        // BuildKit takes the value up to the first blank, and three options at most.
        let value = value.split(' ').next().unwrap_or("");
        for option in value.splitn(3, ';') {
            let (key, given) = option.split_once('=').ok_or(option)?;
            let given = given.trim();
            match key.trim() {
                "skip" => checks.skip = Names::read(given),
                "experimental" => checks.experimental = Names::read(given),
                "error" => checks.error = truth(given).ok_or(option)?,
                _ => return Err(option),
            }
        }
        Ok(checks)
    }

    /// Reads the first `# check=` among the comments of an instruction; a bad one says nothing.
    pub(crate) fn of_comments(comments: &[Word]) -> Option<Self> {
        let value = comments.iter().find_map(|comment| {
            let (key, value) = comment.raw.split_once('=')?;
            key.trim_end().eq_ignore_ascii_case("check").then_some(value.trim())
        })?;
        Self::read(value).ok()
    }

    /// Whether what a check found is to be told.
    pub(crate) fn allow(&self, code: &str) -> bool {
        let Some(name) = name(code) else { return true };
        if is_experimental(code) { self.experimental.has(name) } else { !self.skip.has(name) }
    }

    /// Whether every check is skipped.
    pub(crate) fn skip_all(&self) -> bool {
        self.skip.all
    }
}
