//! What stands at a place, in Markdown.

use std::ops::Range;

use super::marks::{Mark, What};
use super::names::Top;
use super::tree::{self, Node};
use super::words::{args, code, codes, named, prop, value_at};
use super::{At, File, World};
use crate::config::PlatformField;
use crate::platform::Platform;
use crate::schema::names::{self, Source};
use crate::schema::{FOLLOWED, Kind, Noun, Prop, Props, Role};
use crate::syntax::lex::Token;

/// Most declarations of one name that are described.
const MAX_TARGETS: usize = 4;

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hover {
    /// What it is about.
    pub range: Range<u32>,
    /// Markdown.
    pub markdown: String,
}

impl World {
    /// Describes what stands at a place: a node or property by the table of the language, a name
    /// by its declaration, a platform by the names that others have for it.
    pub fn hover(&self, path: &str, offset: u32) -> Option<Hover> {
        let file = self.file(path)?;
        if file.tree.in_comment(offset) {
            return None;
        }
        if let Some(at) = self.at(path, offset)
            && let Some((_, mark)) = self.mark(at)
            && let Some(markdown) = self.name(at, mark)
        {
            return Some(Hover { range: mark.range.clone(), markdown });
        }
        let node = file.tree.nodes.get(file.tree.head_at(offset)?)?;
        let kind = node.kind?;
        let about =
            |token: Token, markdown| Some(Hover { range: token.start..token.end, markdown });
        if offset <= node.name.end {
            return about(node.name, of_kind(kind));
        }
        let entry = node.entries.iter().find(|e| e.start() <= offset && offset <= e.end)?;
        let token = entry.value.filter(|value| value.start <= offset).or(entry.name)?;
        if let Some((role, value)) = value_at(&file.text, node, kind, offset)
            && let Some(hover) = of_platforms(file, role, value, offset)
        {
            return Some(hover);
        }
        match entry.name {
            None => about(token, of_kind(kind)),
            Some(name) => match kind.prop(&tree::value(&file.text, name)?) {
                Some(prop) => about(token, of_prop(kind, prop)),
                // The names of free properties and of axes are the writer's own.
                None if matches!(kind.props, Props::Known(_)) => None,
                None => about(token, of_kind(kind)),
            },
        }
    }

    /// A name and its declarations.
    fn name(&self, at: At, mark: &Mark) -> Option<String> {
        let targets = self.targets(at);
        if targets.is_empty() {
            return match mark.what {
                What::Interpolates => self.builtin((at.file, mark.top), &mark.name),
                _ => None,
            };
        }
        let all: Vec<String> =
            targets.iter().take(MAX_TARGETS).filter_map(|at| self.declaration(*at)).collect();
        Some(all.join("\n\n---\n\n"))
    }

    /// What a declaration says.
    fn declaration(&self, at: At) -> Option<String> {
        let (file, mark) = self.mark(at)?;
        let noun = self.noun(at)?;
        let node = file.tree.nodes.get(mark.node)?;
        let line = file.line(mark.range.start);
        let head = format!("**{}** {} ({}:{line})", noun.word(), code(&mark.name), file.path);
        let facts = match noun {
            Noun::Let => vec![let_value(file, node)],
            Noun::Axis => vec![format!("values: {}", codes(&args(&file.text, node)))],
            Noun::Group => vec![format!("holds {}", codes(&members(file, mark.node)))],
            Noun::Template => vec![format!("used by {}", self.user_names(&mark.name))],
            Noun::Builder => Vec::new(),
            Noun::Base | Noun::Image => self.node_facts((at.file, mark.top)),
        };
        let facts = facts.into_iter().map(|fact| format!("- {fact}"));
        let text: Vec<String> = std::iter::once(head + "\n").chain(facts).collect();
        Some(text.join("\n"))
    }

    /// What a base or an image says of itself.
    fn node_facts(&self, top: Top) -> Vec<String> {
        let mut facts = Vec::new();
        let mut fact = |name: &str, said: &str| {
            if let Some((file, node)) = self.setting(top, name) {
                facts.push(format!("{said} {}", codes(&args(&file.text, node))));
            }
        };
        fact("from", "from");
        for source in ["debian", "alpine", "rootfs", "registry", "oci-layout"] {
            fact(source, source);
        }
        fact("follow", "follows");
        fact("dockerfile", "built as");
        let axes = self.axes(top);
        for (file, mark) in axes.iter().filter_map(|at| self.mark(*at)) {
            let values = file.tree.nodes.get(mark.node).map(|node| args(&file.text, node));
            facts.push(format!(
                "axis {}: {}",
                code(&mark.name),
                codes(&values.unwrap_or_default())
            ));
        }
        let (platforms, default) = self.platforms_of(top);
        if !platforms.is_empty() {
            let whose = if default { " (those of the file)" } else { "" };
            facts.push(format!("platforms {}{whose}", codes(&platforms)));
        }
        for name in ["tags", "publish"] {
            if let Some((file, node)) = self.setting(top, name) {
                facts.push(format!("{name} {}", codes(&args(&file.text, node))));
            }
        }
        facts
    }

    /// Who uses a template.
    fn user_names(&self, template: &str) -> String {
        let marks = self.names.get(template).map(Vec::as_slice).unwrap_or_default();
        let users: Vec<String> = marks
            .iter()
            .filter_map(|at| {
                let (_, mark) = self.mark(*at)?;
                let What::Names(nouns) = mark.what else { return None };
                let top = (at.file, mark.top);
                let name = self
                    .declares(top, Noun::Image)
                    .or_else(|| self.declares(top, Noun::Template))?;
                nouns.contains(&Noun::Template).then(|| name.name.to_string())
            })
            .collect();
        if users.is_empty() { "nothing".to_owned() } else { codes(&users) }
    }

    /// A name that the language itself gives a value.
    fn builtin(&self, top: Top, name: &str) -> Option<String> {
        let builtin = names::find(name)?;
        let said = match builtin.source {
            Source::Platform(field) => return Some(self.of_field(top, name, field)),
            Source::Version => {
                format!("{}: {}", builtin.doc, code(&self.version(top)?))
            }
            Source::Node => {
                let name = self
                    .declares(top, Noun::Base)
                    .or_else(|| self.declares(top, Noun::Image))
                    .map(|mark| code(&mark.name));
                format!("{}{}", builtin.doc, name.map_or(String::new(), |n| format!(": {n}")))
            }
            Source::Git(_) | Source::Date => builtin.doc.to_owned(),
        };
        Some(format!("`{{{{{name}}}}}`: {said}"))
    }

    /// The version of a base: that of its root file system, else the range that it follows.
    pub(super) fn version(&self, top: Top) -> Option<String> {
        let rootfs = self.setting(top, "rootfs");
        let fixed = rootfs.and_then(|(file, node)| prop(&file.text, node, "version"));
        let range = || {
            let (file, node) = self.setting(top, "follow")?;
            let what = args(&file.text, node).into_iter().next()?;
            (!FOLLOWED.contains(&what.as_str())).then_some(what)
        };
        fixed.or_else(range)
    }

    /// The values of a name of the platform, for the platforms of the node.
    fn of_field(&self, top: Top, name: &str, field: PlatformField) -> String {
        let (mut names, _) = self.platforms_of(top);
        if names.is_empty() {
            names = Platform::known().map(str::to_owned).collect();
        }
        let rows = names.iter().take(20).filter_map(|name| {
            let platform = Platform::parse(name).ok()?;
            let value = field.of(&platform).map_or("none".to_owned(), |value| code(&value));
            Some(format!("| {} | {value} |", code(&platform.to_string())))
        });
        let head = format!("`{{{{{name}}}}}`\n\n| platform | value |\n| --- | --- |");
        std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
    }
}

/// A row of the table of nodes.
pub(super) fn of_kind(kind: &Kind) -> String {
    let mut out = format!("```kdl\n{}\n```\n\n{}", kind.usage, kind.doc);
    for (at, prop) in kind.props().iter().enumerate() {
        let before = if at == 0 { "\n\n" } else { "\n" };
        out.push_str(&format!("{before}- `{}`: {}", prop.name, prop.doc));
    }
    out
}

/// A property of a node.
pub(super) fn of_prop(kind: &Kind, prop: &Prop) -> String {
    let words = match prop.role {
        Role::OneOf(words) => format!("\n\nOne of `{}`.", words.join("`, `")),
        Role::Suggests(words) => format!("\n\n`{}`, or another text.", words.join("`, `")),
        _ => String::new(),
    };
    format!("`{}` of `{}`: {}{words}", prop.name, kind.name, prop.doc)
}

/// The platform at a place, by all its names.
fn of_platforms(file: &File, role: Role, value: Token, offset: u32) -> Option<Hover> {
    let range = tree::inside(&file.text, value);
    let range = match role {
        Role::Platform => range,
        Role::Platforms => {
            let text = file.slice(&range);
            let cursor = (offset.max(range.start) - range.start) as usize;
            let before = text.get(..cursor)?.rfind(',').map_or(0, |comma| comma + 1);
            let after = text.get(cursor..)?.find(',').map_or(text.len(), |comma| cursor + comma);
            let name = text.get(before..after)?;
            let space = name.len() - name.trim_start().len();
            let start = range.start + (before + space) as u32;
            start..start + name.trim().len() as u32
        }
        _ => return None,
    };
    let platform = Platform::parse(file.slice(&range)).ok()?;
    let names = [
        ("Debian", platform.debian()),
        ("Alpine", platform.alpine()),
        ("`uname -m`", platform.uname()),
        ("triple", platform.triple()),
    ];
    let rows: Vec<String> = names
        .iter()
        .filter_map(|(world, name)| Some(format!("- {world}: `{}`", (*name)?)))
        .collect();
    let known = if platform.is_known() { rows.join("\n") } else { "not a known platform".into() };
    Some(Hover { range, markdown: format!("**platform** `{platform}`\n\n{known}") })
}

/// Where the value of a `let` comes from.
fn let_value(file: &File, node: &Node) -> String {
    let literal = node.args().nth(1).map(|token| code(tree::slice(&file.text, token)));
    let default = prop(&file.text, node, "default").map(|value| code(&value));
    match (prop(&file.text, node, "env"), literal.or(default)) {
        (Some(env), Some(value)) => format!("value: that of {}, else {value}", code(&env)),
        (Some(env), None) => format!("value: that of {}", code(&env)),
        (None, Some(value)) => format!("value: {value}"),
        (None, None) => "it has no value".to_owned(),
    }
}

/// The names in a group.
fn members(file: &File, group: usize) -> Vec<String> {
    let all = ["image", "base", "group"];
    all.iter()
        .flat_map(|kind| named(&file.text, &file.tree, Some(group), kind))
        .flat_map(|(_, node)| args(&file.text, node))
        .collect()
}
