//! Compose files: the services that are built.

mod service;
mod vars;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use service::Reader;
use vars::Interpolation;
use yaml::{Node, Yaml};

use crate::build::{self, Build, Outside};
use crate::error::DraftError;
use crate::model::{Image, Model};
use crate::names::{Taken, clean};
use crate::{Draft, Read, Vars, link, print};

/// Most services that are built.
const MAX_SERVICES: usize = 5000;

/// Drafts a file from a compose file.
pub(crate) fn draft(
    path: &str,
    text: &str,
    read: &Read<'_>,
    vars: &Vars<'_>,
) -> Result<Draft, Vec<DraftError>> {
    let root = yaml::read(path, text).map_err(|error| vec![error])?;
    let Some(Node { value: Yaml::Map(services), .. }) = root.get("services") else {
        let error = DraftError::whole(path, "the file has no map of `services`");
        return Err(vec![error.help("name a compose file with `services:` at its top")]);
    };
    let reader = Reader::new(path, text, Interpolation::new(vars), root.get("secrets"));
    let mut model = Model {
        head: vec![format!(
            "Drafted from {}. Check it with `mabuild check`.",
            crate::path::file(path)
        )],
        ..Model::default()
    };
    if root.get("include").is_some() {
        model.notes.add("`include` is not followed: draft from the included files too");
    }
    let (mut builds, mut pulled) = (Vec::new(), Vec::new());
    for (name, service) in services {
        match reader.service(name, service) {
            Some(build) => builds.push((name.clone(), build)),
            None => pulled.extend(reader.pulled(name, service)),
        }
    }
    if builds.len() > MAX_SERVICES {
        let message = format!("the file builds more than {MAX_SERVICES} services");
        return Err(vec![DraftError::whole(path, message)]);
    }
    let errors = reader.errors.take();
    if !errors.is_empty() {
        return Err(errors);
    }
    if builds.is_empty() {
        let error = DraftError::whole(path, "no service of the file is built");
        return Err(vec![error.help("a service is built when it has a `build`")]);
    }
    images(&mut model, builds, read);
    if !pulled.is_empty() {
        model.tail.push(format!("Services that are not built: {}.", pulled.join(", ")));
    }
    model.platforms = build::default_platforms(&mut model.images);
    let mut used = BTreeSet::new();
    for image in &model.images {
        image.texts(&mut |text| used.extend(text.names().map(str::to_owned)));
    }
    model.lets = reader.vars.lets(&used);
    link::link(&mut model);
    print::print(path, model)
}

/// Makes the images; services with the same build share one.
fn images(model: &mut Model, builds: Vec<(String, Build)>, read: &Read<'_>) {
    let mut taken = Taken::default();
    let mut named: BTreeMap<String, String> =
        builds.iter().map(|(name, _)| (name.clone(), taken.take(&[clean(name)]))).collect();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut kept = Vec::new();
    for (service, mut build) in builds {
        let shape = format!("{:?}", Build { who: String::new(), ..build.clone() });
        let name = named.get(&service).cloned().unwrap_or_default();
        match known.get(&shape) {
            Some(first) => {
                model.notes.add(format!(
                    "service `{service}` has the build of image `{first}` and shares it"
                ));
                named.insert(service, first.clone());
            }
            None => {
                known.insert(shape, name.clone());
                build.name = name;
                kept.push(build);
            }
        }
    }
    let node = |service: &str| named.get(service).cloned();
    let outside = Outside { read, node: &node };
    let images: Vec<Image> =
        kept.into_iter().map(|build| build.image(&outside, &mut model.notes)).collect();
    model.images = images;
}
