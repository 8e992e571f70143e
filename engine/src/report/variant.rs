//! What JSON documents say of the thing that a node is of.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::graph::{Graph, NodeId, Thing, Variant};

/// A thing in JSON documents: its name, and which variant it is of an image with a matrix. Stands
/// among the fields of a node or an image.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct ThingDocument<'a> {
    name: &'a str,
    /// Name of the image in the file; null for what has no matrix.
    family: Option<&'a str>,
    axes: Axes<'a>,
}

impl<'a> ThingDocument<'a> {
    /// That of a thing.
    pub(super) fn of(thing: &'a Thing) -> Self {
        let variant = thing.variant.as_ref();
        let family = variant.map(|variant| &*variant.family);
        Self { name: &thing.name, family, axes: Axes(variant) }
    }

    /// That of the thing of a node.
    pub(super) fn of_node(graph: &'a Graph, node: NodeId) -> Self {
        Self::of(graph.thing(graph.node(node).thing))
    }
}

/// The value on each axis, in the order of the file: an object with no field for what has no
/// matrix.
#[derive(Clone, Copy, Default)]
struct Axes<'a>(Option<&'a Variant>);

impl Serialize for Axes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(variant) = self.0 {
            for (axis, value) in variant.axes.iter().zip(variant.values.iter()) {
                map.serialize_entry(&**axis, &**value)?;
            }
        }
        map.end()
    }
}
