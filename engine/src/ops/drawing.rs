//! What a picture of the graph tells of the store: sizes and times of what was built.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use mabuild_oci::Digest;

use super::{OpError, Project, images, planning};
use crate::store::Store;

/// What the store knows of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Bytes of all blobs of its last index, each once.
    pub size: Option<u64>,
    /// Time that its last builds took, over all platforms.
    pub took: Option<Duration>,
    /// When the run began that built one of its platforms last, RFC 3339.
    pub last_built: Option<String>,
}

/// What the store knows of the images of a project, by name. Makes no store where none is.
pub fn known(project: &Project, store: &Path) -> Result<BTreeMap<String, Known>, OpError> {
    let graph = &planning::lowered(project)?.graph;
    if !store.join("oci-layout").is_file() {
        return Ok(BTreeMap::new());
    }
    let store = Store::open(store).map_err(OpError::store)?;
    let _use = store.use_guard().map_err(OpError::store)?;
    let roots: HashMap<String, String> = (store.roots().map_err(OpError::store)?)
        .into_iter()
        .filter_map(|(of, name, digest)| (of == project.name).then_some((name, digest)))
        .collect();
    let built = store.built_at(&project.name).map_err(OpError::store)?;
    let mut out = BTreeMap::new();
    for thing in graph.thing_ids() {
        let name = graph.thing(thing).name.to_string();
        let nodes = graph.parts(thing).map(|node| graph.name(node));
        let seconds: Vec<f64> =
            nodes.filter_map(|node| store.seconds(&project.name, &node)).collect();
        let took = Duration::try_from_secs_f64(seconds.iter().sum()).ok();
        // An index that was removed by hand leaves the size open and spoils no picture.
        let size = roots.get(&name).and_then(|digest| Digest::parse(digest).ok());
        let size = size.and_then(|digest| images::size(store.layout(), &digest).ok());
        let last = graph.parts(thing).filter_map(|node| built.get(&graph.name(node))).max();
        let last = last.and_then(|at| jiff::Timestamp::from_second(*at).ok());
        let (took, last_built) =
            (took.filter(|_| !seconds.is_empty()), last.map(|at| at.to_string()));
        out.insert(name, Known { size, took, last_built });
    }
    Ok(out)
}
