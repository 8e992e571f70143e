//! A folder of Dockerfiles to a draft.

use std::collections::BTreeMap;

use crate::edges::{self, Recipe};
use crate::error::DraftError;
use crate::model::{Image, Model};
use crate::names::{Taken, clean};
use crate::reference::split_tag;
use crate::text::Text;
use crate::{Draft, Found, link, path, print};

/// Most Dockerfiles of one draft.
const MAX_FILES: usize = 5000;

/// Platforms of a draft that knows no better.
pub(crate) const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// Drafts an image for each file.
pub(crate) fn draft(files: &[Found<'_>]) -> Result<Draft, Vec<DraftError>> {
    let help = "name the Dockerfiles `Dockerfile`, or write the description by hand";
    if files.is_empty() {
        return Err(vec![DraftError::whole("", "the folder has no Dockerfile").help(help)]);
    }
    if files.len() > MAX_FILES {
        let message =
            format!("the folder has {} Dockerfiles; {MAX_FILES} are read at most", files.len());
        return Err(vec![DraftError::whole("", message).help("draft its parts one by one")]);
    }
    let mut sorted: Vec<&Found<'_>> = files.iter().collect();
    sorted.sort_by_key(|file| file.path);
    let mut model = Model {
        head: vec![
            "Drafted from the Dockerfiles of this folder. Check it with `mabuild check`."
                .to_owned(),
        ],
        platforms: PLATFORMS.map(str::to_owned).to_vec(),
        ..Model::default()
    };
    let names = names(&sorted);
    for (file, name) in sorted.iter().zip(names) {
        if let Err(errors) = crate::error::too_large(file.path, file.text) {
            errors.iter().for_each(|error| model.notes.add(error.to_string()));
            continue;
        }
        let recipe = edges::read(file.path, file.text, None, &|_| None);
        recipe.problems.iter().for_each(|problem| model.notes.add(problem));
        model.images.push(image(file, name, recipe));
    }
    link::link(&mut model);
    print::print("", model)
}

fn image(file: &Found<'_>, name: String, recipe: Recipe) -> Image {
    let mut image = Image {
        name,
        dockerfile: Some(Text::plain(&path::join(".", file.path))),
        cross: recipe.cross,
        needs: recipe.needs,
        ..Image::default()
    };
    image.inside = hints(&recipe.args, &recipe.stages);
    let mut tags: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for hint in &recipe.known_as {
        let (repository, tag) = split_tag(hint);
        tags.entry(repository).or_default().push(tag.unwrap_or("latest"));
    }
    // Tags go to every repository, so that only those of one can be told.
    if let Some((repository, tags)) = tags.into_iter().next() {
        image.published_for.push("As a comment or a label of the Dockerfile says.".to_owned());
        image.tags = tags.into_iter().map(Text::plain).collect();
        image.publish = vec![Text::plain(repository)];
    }
    image
}

/// Comments that tell what could be set.
pub(crate) fn hints(args: &[(String, Option<String>)], stages: &[String]) -> Vec<String> {
    let value = |text: &str| crate::quote::quoted(&Text::plain(text).interpolation());
    let mut lines: Vec<String> = args
        .iter()
        .map(|(name, default)| match default {
            Some(default) => format!("arg {} {}", value(name), value(default)),
            None => format!("arg {} \"\"  // has no default", value(name)),
        })
        .collect();
    if let Some((last, others)) = stages.split_last()
        && !others.is_empty()
    {
        let others: Vec<String> =
            others.iter().map(|stage| format!("target {}", value(stage))).collect();
        lines.push(format!("The last stage{} is the image; others:", named(last)));
        lines.extend(others);
    }
    lines
}

fn named(stage: &str) -> String {
    if stage.is_empty() { String::new() } else { format!(", `{stage}`,") }
}

/// Names after the folders of the files, each once.
fn names(files: &[&Found<'_>]) -> Vec<String> {
    let mut taken = Taken::default();
    files
        .iter()
        .map(|found| {
            let folder = path::join(".", path::folder(found.path));
            let parts: Vec<&str> = folder.split('/').filter(|part| *part != ".").collect();
            let kind = flavour(path::file(found.path));
            let with_kind = |name: &str| match kind {
                "" => clean(name),
                kind if name.is_empty() => clean(kind),
                kind => clean(&format!("{name}-{kind}")),
            };
            let mut wanted = Vec::new();
            for count in 1..=parts.len().min(4) {
                let tail = parts.get(parts.len() - count..).unwrap_or_default().join("-");
                wanted.push(with_kind(&tail));
            }
            if parts.is_empty() {
                wanted.push(if kind.is_empty() { "app".to_owned() } else { with_kind("") });
            }
            taken.take(&wanted)
        })
        .collect()
}

/// What tells Dockerfiles of one folder apart: `dev` of `Dockerfile.dev` and `dev.Dockerfile`.
fn flavour(file: &str) -> &str {
    let cut = |word: &str| {
        let rest = file.strip_prefix(word).and_then(|rest| rest.strip_prefix(['.', '-', '_']));
        rest.or_else(|| file.strip_suffix(word).and_then(|rest| rest.strip_suffix(['.', '-', '_'])))
    };
    let words = ["Dockerfile", "dockerfile", "Containerfile", "containerfile"];
    words.iter().find_map(|word| cut(word)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_folders() {
        let paths = [
            "Dockerfile",
            "a/Dockerfile",
            "a/Dockerfile.dev",
            "b/a/Dockerfile",
            "c/x.Dockerfile",
            "d.Dockerfile",
            "É/Containerfile",
            "./a/../a/Dockerfile",
        ];
        let files: Vec<Found<'_>> = paths.iter().map(|path| Found { path, text: "" }).collect();
        let names = names(&files.iter().collect::<Vec<_>>());
        assert_eq!(names, ["app", "a", "a-dev", "b-a", "c-x", "d", "image", "a-2"]);
    }
}
