//! What a draft says, before it is text.

use std::collections::BTreeSet;

use crate::reference::Reference;
use crate::text::Text;

/// A whole file.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Comment at the top.
    pub head: Vec<String>,
    /// Platforms of nodes that name none.
    pub platforms: Vec<String>,
    pub lets: Vec<Let>,
    pub bases: Vec<Base>,
    pub images: Vec<Image>,
    pub groups: Vec<Group>,
    /// Comments for what has no place of its own.
    pub tail: Vec<String>,
    pub notes: Notes,
}

/// Lines for a person, each once.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    lines: Vec<String>,
    seen: BTreeSet<String>,
    more: usize,
}

/// Notes that anybody would read.
const MAX_NOTES: usize = 500;
/// Longest note, in characters.
const MAX_NOTE: usize = 400;

impl Notes {
    /// Adds a line.
    pub fn add(&mut self, line: impl Into<String>) {
        let line: String = line
            .into()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_NOTE)
            .collect();
        if self.lines.len() >= MAX_NOTES {
            self.more += 1;
        } else if self.seen.insert(line.clone()) {
            self.lines.push(line);
        }
    }

    /// All lines.
    pub fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("{} more notes are left out", self.more));
        }
        self.lines
    }
}

/// A `let`.
#[derive(Clone, Debug)]
pub(crate) struct Let {
    pub name: String,
    /// Variable of the environment.
    pub env: Option<String>,
    pub value: Literal,
    pub comment: Option<String>,
}

/// A value with its type.
#[derive(Clone, Debug)]
pub(crate) enum Literal {
    Text(Text),
    /// A number as it is written.
    Number(String),
    Bool(bool),
    /// The environment has to give it.
    Required,
}

/// A base that is pulled from a registry.
#[derive(Debug)]
pub(crate) struct Base {
    pub name: String,
    pub reference: String,
    /// Where they differ from the default.
    pub platforms: Vec<String>,
}

/// An image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub name: String,
    /// Comment above it.
    pub above: Vec<String>,
    /// Axes with their values.
    pub matrix: Vec<(String, Vec<String>)>,
    pub dockerfile: Option<Text>,
    /// Where it is not the folder of the Dockerfile.
    pub context: Option<Text>,
    pub named_contexts: Vec<(Text, Source)>,
    pub target: Option<Text>,
    pub cross: bool,
    pub args: Vec<(Text, Text)>,
    pub secrets: Vec<Secret>,
    pub labels: Vec<(Text, Text)>,
    pub platforms: Vec<Text>,
    pub tags: Vec<Text>,
    /// Comment above `tags` and `publish`.
    pub published_for: Vec<String>,
    pub publish: Vec<Text>,
    /// References of all variants, where there are several.
    pub variants: Vec<String>,
    /// Comments at the end of the block.
    pub inside: Vec<String>,
    /// What its Dockerfile names outside of itself.
    pub needs: Vec<Need>,
}

/// What a named context stands for.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Folder(Text),
    /// A node of the file.
    Node(String),
    /// An image of a registry.
    Reference(Text),
}

/// A secret.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub id: String,
    pub source: SecretSource,
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub(crate) enum SecretSource {
    Env(String),
    File(Text),
}

/// A name that FROM, COPY --from or RUN --mount=from gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    pub name: String,
    /// Whether the name differs from platform to platform.
    pub varies: bool,
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    pub name: String,
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Image(String),
    Group(String),
}

impl Image {
    /// References that it is published under, with their values.
    pub fn published(&self) -> Vec<String> {
        if !self.variants.is_empty() {
            return self.variants.clone();
        }
        let tags: Vec<String> = match self.tags.as_slice() {
            [] => vec!["latest".to_owned()],
            tags => tags.iter().map(Text::value).collect(),
        };
        let repositories = self.publish.iter().map(Text::value);
        repositories
            .flat_map(|repository| tags.iter().map(move |tag| format!("{repository}:{tag}")))
            .collect()
    }

    /// Goes through the strings of the image.
    pub fn texts(&self, each: &mut dyn FnMut(&Text)) {
        let one = [&self.dockerfile, &self.context, &self.target].into_iter().flatten();
        let lists = self.platforms.iter().chain(&self.tags).chain(&self.publish);
        one.chain(lists).for_each(&mut *each);
        for (name, value) in self.args.iter().chain(&self.labels) {
            each(name);
            each(value);
        }
        for (_, source) in &self.named_contexts {
            if let Source::Folder(text) | Source::Reference(text) = source {
                each(text);
            }
        }
        for secret in &self.secrets {
            if let SecretSource::File(text) = &secret.source {
                each(text);
            }
        }
    }

    /// Whether a named context takes the place of a name in the Dockerfile.
    pub fn overrides(&self, name: &str) -> bool {
        let full = |name: &str| Reference::parse(name).map(|reference| reference.full());
        let wanted = full(name);
        self.named_contexts.iter().any(|(key, _)| {
            let key = key.value();
            key == name || (wanted.is_some() && full(&key) == wanted)
        })
    }
}
