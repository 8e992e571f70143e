//! One build as bake and compose files describe it, to an image of the draft.

use crate::edges;
use crate::model::{Image, Notes, Secret, SecretSource, Source};
use crate::reference::{Reference, split_tag};
use crate::text::Text;
use crate::{Read, path, quote};

/// A build whose values are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Build {
    /// What it is, for notes: "target `app`".
    pub who: String,
    /// Name of its image.
    pub name: String,
    /// Comment above it.
    pub above: Vec<String>,
    pub context: Option<Text>,
    pub dockerfile: Option<Text>,
    /// A Dockerfile that is no file.
    pub inline: Option<String>,
    pub target: Option<Text>,
    /// Arguments; one without a value is taken from the environment.
    pub args: Vec<(String, Option<Text>)>,
    pub contexts: Vec<(String, Text)>,
    pub tags: Vec<Text>,
    pub platforms: Vec<Text>,
    pub labels: Vec<(String, Text)>,
    pub secrets: Vec<Secret>,
    pub left: Vec<Left>,
}

/// What has no counterpart.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    /// The comment at its place.
    comment: String,
    /// Why, for a note.
    why: String,
    /// Whether the same is true of all builds, so that it is told once.
    common: bool,
}

/// What a draft of builds needs from outside.
pub(crate) struct Outside<'a> {
    /// Reads a Dockerfile.
    pub read: &'a Read<'a>,
    /// The image that `target:NAME` or `service:NAME` stands for.
    pub node: &'a dyn Fn(&str) -> Option<String>,
}

impl Build {
    /// The image of the build.
    pub fn image(mut self, outside: &Outside<'_>, notes: &mut Notes) -> Image {
        let mut image =
            Image { name: self.name.clone(), above: self.above.clone(), ..Image::default() };
        let file = self.files(&mut image);
        self.named_contexts(outside, &mut image);
        self.recipe(&file, outside, &mut image, notes);
        image.target = self.target.take().filter(|target| !target.is_empty());
        for (name, value) in std::mem::take(&mut self.args) {
            match value {
                Some(value) => image.args.push((Text::plain(&name), value)),
                None => self.leave(
                    format!("arg {} \"\"", quote::quoted(&name)),
                    format!("argument `{name}` comes from the environment; declare `let {name} env=\"{name}\"` and pass it"),
                ),
            }
        }
        image.labels =
            self.labels.drain(..).map(|(name, value)| (Text::plain(&name), value)).collect();
        self.secrets.dedup_by(|a, b| a.id == b.id);
        image.secrets = std::mem::take(&mut self.secrets);
        self.take_platforms(&mut image);
        self.take_tags(&mut image);
        for left in std::mem::take(&mut self.left) {
            image.inside.push(left.comment);
            notes.add(if left.common { left.why } else { format!("{}: {}", self.who, left.why) });
        }
        image
    }

    /// Notes what has no counterpart in this build.
    pub fn leave(&mut self, comment: impl Into<String>, why: impl Into<String>) {
        self.left.push(Left { comment: comment.into(), why: why.into(), common: false });
    }

    /// Notes a setting that has no counterpart in any build.
    pub fn leave_setting(&mut self, name: &str, value: &str, why: &str) {
        let (comment, why) = (format!("{name} {value}"), format!("`{name}` {why}"));
        self.left.push(Left { comment, why, common: true });
    }

    /// Sets Dockerfile and context; the path of the Dockerfile for reading.
    fn files(&mut self, image: &mut Image) -> String {
        let context = self.context.take().filter(|context| !context.is_empty());
        let mut context = context.unwrap_or_else(|| Text::plain("."));
        let plain = context.value();
        if path::is_remote(&plain) {
            self.leave(
                format!("context {}", quote::quoted(&context.interpolation())),
                format!(
                    "the context `{plain}` is not a folder here; check it out and name the folder"
                ),
            );
            context = Text::plain(".");
        }
        let given = self.dockerfile.take().filter(|file| !file.is_empty());
        let whole = joined(&context, given.as_ref().unwrap_or(&Text::plain("Dockerfile")));
        let file = match self.inline_file(&context.value(), given.is_some()) {
            Some(name) => Text::plain(&name),
            None => whole,
        };
        if path::folder(&file.value()) != path::join(".", &context.value()) {
            image.context = Some(clean(&context));
        }
        image.dockerfile = Some(file.clone());
        file.value()
    }

    /// The file that an inline Dockerfile is to be put into.
    fn inline_file(&mut self, context: &str, names_another: bool) -> Option<String> {
        let inline = self.inline.as_ref()?;
        let name = path::join(context, &format!("{}.Dockerfile", self.name));
        let instead =
            if names_another { ", which takes the place of the one it names" } else { "" };
        let lines: Vec<String> =
            inline.trim_end().lines().map(|line| format!("    {line}")).collect();
        self.leave(
            format!("`{name}` is to hold:\n{}", lines.join("\n")),
            format!("its Dockerfile is written inline; put it into the file `{name}`{instead}"),
        );
        Some(name)
    }

    /// Reads the Dockerfile.
    fn recipe(&self, file: &str, outside: &Outside<'_>, image: &mut Image, notes: &mut Notes) {
        let text = match &self.inline {
            Some(inline) => Some(inline.clone()),
            None => (outside.read)(file).filter(|text| text.len() <= crate::MAX_INPUT),
        };
        let Some(text) = text else {
            notes.add(format!(
                "{}: `{file}` cannot be read, so that its FROM lines are not looked at",
                self.who
            ));
            return;
        };
        let value = |name: &str| {
            let found = self.args.iter().find(|(known, _)| known == name);
            found.and_then(|(_, value)| value.as_ref()).map(Text::value)
        };
        let target = self.target.as_ref().map(Text::value).filter(|target| !target.is_empty());
        let recipe = edges::read(file, &text, target.as_deref(), &value);
        recipe.problems.iter().for_each(|problem| notes.add(problem));
        image.cross = recipe.cross;
        image.needs = recipe.needs;
    }

    fn named_contexts(&mut self, outside: &Outside<'_>, image: &mut Image) {
        for (name, source) in std::mem::take(&mut self.contexts) {
            let value = source.value();
            let name_text = Text::plain(&name);
            let target = value.strip_prefix("target:").or_else(|| value.strip_prefix("service:"));
            let source = if let Some(other) = target {
                match (outside.node)(other) {
                    Some(node) => Source::Node(node),
                    None => {
                        self.left_context(&name, &source, "names nothing that is drafted");
                        continue;
                    }
                }
            } else if value.starts_with("docker-image://") {
                Source::Reference(source.cut("docker-image://".len()).1)
            } else if path::is_remote(&value) {
                self.left_context(
                    &name,
                    &source,
                    "is not a folder here; check it out and name the folder",
                );
                continue;
            } else {
                Source::Folder(clean(&source))
            };
            image.named_contexts.push((name_text, source));
        }
    }

    fn left_context(&mut self, name: &str, source: &Text, why: &str) {
        let (name_text, text) = (Text::plain(name).interpolation(), source.interpolation());
        self.leave(
            format!("named-context {} {}", quote::quoted(&name_text), quote::quoted(&text)),
            format!("the context `{name}` {why}"),
        );
    }

    fn take_platforms(&mut self, image: &mut Image) {
        for platform in std::mem::take(&mut self.platforms) {
            let value = platform.value();
            if value.contains(',') {
                image.platforms.extend(value.split(',').map(|part| Text::plain(part.trim())));
            } else if value.contains('/') {
                image.platforms.push(platform);
            } else if !value.is_empty() {
                self.leave(
                    format!("platforms {}", quote::quoted(&platform.interpolation())),
                    format!("`{value}` is no platform like `linux/amd64`"),
                );
            }
        }
    }

    /// Tags of one set of repositories become `publish` and `tags`. What is tagged otherwise is a
    /// comment, so that nothing is pushed that was not.
    fn take_tags(&mut self, image: &mut Image) {
        let mut sets: Vec<(Text, Vec<Text>)> = Vec::new();
        for tag in std::mem::take(&mut self.tags) {
            let value = tag.value();
            if value.is_empty() {
                continue;
            }
            if Reference::parse(&value).is_none_or(|reference| reference.digest.is_some()) {
                self.leave(
                    format!("tags {}", quote::quoted(&tag.interpolation())),
                    format!("`{value}` is no reference that an image can be published under"),
                );
                continue;
            }
            let (repository, written) = split_tag(&value);
            let (repository_text, rest) = tag.cut(repository.len());
            let tag = match written {
                Some(_) => rest.cut(1).1,
                None => Text::plain("latest"),
            };
            match sets.iter_mut().find(|(known, _)| known.value() == repository) {
                Some((_, tags)) => tags.push(tag),
                None => sets.push((repository_text, vec![tag])),
            }
        }
        let values = |tags: &[Text]| -> std::collections::BTreeSet<String> {
            tags.iter().map(Text::value).collect()
        };
        let first = sets.first().map(|(_, tags)| tags.clone()).unwrap_or_default();
        for (repository, tags) in sets {
            if values(&tags) == values(&first) {
                image.publish.push(repository);
            } else {
                let tags: Vec<String> = tags.iter().map(Text::interpolation).collect();
                let name = repository.interpolation();
                self.leave(
                    format!("publish {} with the tags: {}", quote::quoted(&name), tags.join(", ")),
                    format!(
                        "`{}` gets other tags than the first repository; all repositories of an image get the same",
                        repository.value()
                    ),
                );
            }
        }
        image.tags = first;
    }
}

/// A path without `.` and empty parts, where no name is in it.
pub(crate) fn clean(text: &Text) -> Text {
    if text.names().next().is_some() {
        return text.clone();
    }
    Text::plain(&path::join(".", text.value().trim_start_matches("cwd://")))
}

/// A file in a folder.
fn joined(folder: &Text, file: &Text) -> Text {
    let named = folder.names().next().is_some() || file.names().next().is_some();
    let (folder_value, file_value) = (folder.value(), file.value());
    if !named {
        let folder_value = folder_value.trim_start_matches("cwd://");
        return match file_value.strip_prefix("cwd://") {
            Some(file) => Text::plain(&path::join(".", file)),
            None => Text::plain(&path::join(folder_value, &file_value)),
        };
    }
    if matches!(folder_value.as_str(), "." | "./" | "") || file_value.starts_with('/') {
        return file.clone();
    }
    let mut whole = folder.clone();
    if !folder_value.ends_with('/') {
        whole.push_plain("/");
    }
    whole.push(file.clone());
    whole
}

/// A secret as `id=…,src=…` or `type=env,id=…,env=…`; none where there is no id.
pub(crate) fn secret(text: &str) -> Option<Secret> {
    let mut fields = [None, None, None];
    for part in text.split(',') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let at = match key.trim() {
            "id" => 0,
            "env" => 1,
            "src" | "source" => 2,
            _ => continue,
        };
        if let Some(field) = fields.get_mut(at) {
            *field = Some(value.trim().to_owned());
        }
    }
    let [id, env, file] = fields;
    let id = id.filter(|id| !id.is_empty())?;
    let source = match (env, file) {
        (Some(variable), _) => SecretSource::Env(variable),
        (None, Some(path)) if text.contains("type=env") => SecretSource::Env(path),
        (None, Some(path)) => SecretSource::File(Text::plain(&path)),
        (None, None) => SecretSource::Env(id.clone()),
    };
    Some(Secret { id, source })
}

/// The platforms that most images name become those of the file; what is the same is left out.
pub(crate) fn default_platforms(images: &mut [Image]) -> Vec<String> {
    let mut counts: Vec<(Vec<String>, usize)> = Vec::new();
    for image in images.iter().filter(|image| !image.platforms.is_empty()) {
        let list: Vec<String> = image.platforms.iter().map(Text::value).collect();
        match counts.iter_mut().find(|(known, _)| *known == list) {
            Some((_, count)) => *count += 1,
            None => counts.push((list, 1)),
        }
    }
    let best = counts.iter().map(|(_, count)| *count).max();
    let most = counts.iter().find(|(_, count)| Some(*count) == best).map(|(list, _)| list.clone());
    let default = most.unwrap_or_else(|| crate::folder::PLATFORMS.map(str::to_owned).to_vec());
    for image in images {
        if image.platforms.iter().map(Text::value).eq(default.iter().cloned()) {
            image.platforms.clear();
        }
    }
    default
}
