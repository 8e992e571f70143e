//! A model to the text of a file.

use crate::Draft;
use crate::error::DraftError;
use crate::model::{Base, Group, Image, Let, Literal, Member, Model, SecretSource, Source};
use crate::quote::{Writer, property, quoted};
use crate::text::Text;

/// Largest file that is drafted, in bytes; what mabuild reads at most is four times as much.
const MAX_OUTPUT: usize = 4 << 20;

/// Prints a model. The error is for a text without bound.
pub(crate) fn print(file: &str, model: Model) -> Result<Draft, Vec<DraftError>> {
    let mut out = Writer::default();
    for line in &model.head {
        out.comment(line);
    }
    out.node("mabuild", &["1".to_owned()]);
    out.blank();
    out.node("platforms", &strings(&model.platforms));
    out.blank();
    if model.images.iter().flat_map(|image| &image.publish).any(|name| !has_host(&name.value())) {
        out.comment("Where a `publish` without a host goes, as with docker.");
        out.node("registry", &[quoted("docker.io")]);
        out.blank();
    }
    for item in &model.lets {
        declaration(&mut out, item);
    }
    for item in &model.bases {
        out.blank();
        base(&mut out, item);
        check(file, &out)?;
    }
    for item in &model.images {
        out.blank();
        image(&mut out, item);
        check(file, &out)?;
    }
    for item in &model.groups {
        out.blank();
        group(&mut out, item);
        check(file, &out)?;
    }
    if !model.tail.is_empty() {
        out.blank();
    }
    for line in &model.tail {
        out.comment(line);
        check(file, &out)?;
    }
    Ok(Draft { kdl: out.finish(), notes: model.notes.finish() })
}

fn check(file: &str, out: &Writer) -> Result<(), Vec<DraftError>> {
    if out.len() <= MAX_OUTPUT {
        return Ok(());
    }
    let message = format!("the draft grows to more than {} MiB", MAX_OUTPUT >> 20);
    Err(vec![
        DraftError::whole(file, message).help("draft the parts of the description one by one"),
    ])
}

fn declaration(out: &mut Writer, item: &Let) {
    if let Some(comment) = &item.comment {
        out.comment(comment);
    }
    let value = match &item.value {
        Literal::Text(value) => Some(text(value)),
        Literal::Number(number) => Some(number.clone()),
        Literal::Bool(value) => Some(format!("#{value}")),
        Literal::Required => None,
    };
    let mut values = vec![word(&item.name)];
    match &item.env {
        Some(env) => {
            values.push(property("env", env));
            values.extend(value.map(|value| format!("default={value}")));
        }
        None => values.extend(value),
    }
    out.node("let", &values);
}

fn base(out: &mut Writer, item: &Base) {
    out.open("base", &[quoted(&item.name)]);
    out.node("registry", &[quoted(&item.reference)]);
    if !item.platforms.is_empty() {
        out.node("platforms", &strings(&item.platforms));
    }
    out.close();
}

/// The text of one image, by which two can be compared.
pub(crate) fn one_image(item: &Image) -> String {
    let mut out = Writer::default();
    image(&mut out, item);
    out.finish()
}

fn image(out: &mut Writer, item: &Image) {
    for line in &item.above {
        out.comment(line);
    }
    out.open("image", &[quoted(&item.name)]);
    if !item.matrix.is_empty() {
        out.open("matrix", &[]);
        for (axis, values) in &item.matrix {
            out.node(&word(axis), &strings(values));
        }
        out.close();
    }
    build(out, item);
    for (name, value) in &item.labels {
        out.node("label", &[text(name), text(value)]);
    }
    list(out, "platforms", &item.platforms);
    for line in &item.published_for {
        out.comment(line);
    }
    list(out, "tags", &item.tags);
    list(out, "publish", &item.publish);
    for line in &item.inside {
        out.comment(line);
    }
    out.close();
}

/// The nodes that say how an image is built.
fn build(out: &mut Writer, item: &Image) {
    let one = |out: &mut Writer, name: &str, value: &Option<Text>| {
        if let Some(value) = value {
            out.node(name, &[text(value)]);
        }
    };
    one(out, "dockerfile", &item.dockerfile);
    one(out, "context", &item.context);
    one(out, "target", &item.target);
    for (name, source) in &item.named_contexts {
        let source = match source {
            Source::Folder(path) => text(path),
            Source::Node(node) => quoted(&format!("node:{node}")),
            Source::Reference(reference) => {
                let mut address = Text::plain("docker-image://");
                address.push(reference.clone());
                text(&address)
            }
        };
        out.node("named-context", &[text(name), source]);
    }
    if item.cross {
        out.node("mode", &[quoted("cross")]);
    }
    for (name, value) in &item.args {
        out.node("arg", &[text(name), text(value)]);
    }
    for secret in &item.secrets {
        let source = match &secret.source {
            SecretSource::Env(variable) => property("env", variable),
            SecretSource::File(path) => property("file", &path.interpolation()),
        };
        out.node("secret", &[text(&Text::plain(&secret.id)), source]);
    }
}

fn group(out: &mut Writer, item: &Group) {
    out.open("group", &[quoted(&item.name)]);
    for member in &item.members {
        match member {
            Member::Image(name) => out.node("image", &[quoted(name)]),
            Member::Group(name) => out.node("group", &[quoted(name)]),
        }
    }
    out.close();
}

fn list(out: &mut Writer, name: &str, values: &[Text]) {
    if !values.is_empty() {
        out.node(name, &values.iter().map(text).collect::<Vec<_>>());
    }
}

fn text(value: &Text) -> String {
    quoted(&value.interpolation())
}

fn strings(values: &[String]) -> Vec<String> {
    values.iter().map(|value| text(&Text::plain(value))).collect()
}

/// Whether a repository begins with a registry, as docker tells it.
fn has_host(repository: &str) -> bool {
    let host = repository.split_once('/').map(|(host, _)| host);
    host.is_some_and(|host| host.contains(['.', ':']) || host == "localhost")
}

/// A name as a node or a value without quotes, where that is a KDL identifier.
fn word(name: &str) -> String {
    let digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let number = digit(name) || name.strip_prefix(['-', '.']).is_some_and(digit);
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let keyword = matches!(name, "true" | "false" | "null" | "inf" | "-inf" | "nan");
    if plain && !number && !keyword && !name.is_empty() { name.to_owned() } else { quoted(name) }
}
