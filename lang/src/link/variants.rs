//! Images with their variants.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::platforms::Wished;
use crate::config::{Body, ImageId};
use crate::decode::matrix::{self, Axis};
use crate::decode::reference::Reference;
use crate::decode::{ImageDraft, Use};
use crate::diag::Diagnostic;

/// An image of the file, with all its variants.
#[derive(Debug)]
pub(crate) struct Family {
    pub body: Arc<Body>,
    pub axes: Vec<Axis>,
    /// The values of each variant; one without values where there is no matrix.
    pub variants: Vec<Arc<[Arc<str>]>>,
    /// Number of the first variant among all images.
    pub first: u32,
    pub from: Option<Reference>,
    pub copies: Vec<Reference>,
    pub platforms: Wished,
    pub uses: Vec<Use>,
    /// The file it stands in.
    pub file: usize,
    by_values: OnceCell<HashMap<Arc<[Arc<str>]>, u32>>,
    /// For each axis the variants of each of its values.
    by_axis: OnceCell<Vec<HashMap<Arc<str>, Vec<u32>>>>,
}

impl Family {
    /// The variants of a draft, which begin at `first`.
    pub fn of(draft: ImageDraft, file: usize, first: u32, out: &mut Vec<Diagnostic>) -> Self {
        let variants = draft.matrix.variants(&draft.body.name, out);
        Self {
            body: Arc::new(draft.body),
            axes: draft.matrix.axes,
            variants,
            first,
            from: draft.from,
            copies: draft.copies,
            platforms: Wished::of(draft.platforms),
            uses: draft.uses,
            file,
            by_values: OnceCell::new(),
            by_axis: OnceCell::new(),
        }
    }

    /// Whether it is one image, without a matrix.
    pub fn is_plain(&self) -> bool {
        self.axes.is_empty()
    }

    /// The name of a variant.
    pub fn variant_name(&self, values: &[Arc<str>]) -> Arc<str> {
        matrix::variant_name(&self.body.name.value, values)
    }

    /// The variants that have these values, as pairs of an axis and its value.
    pub fn having(&self, wanted: &[(usize, Arc<str>)]) -> Vec<ImageId> {
        let id = |at: u32| ImageId(self.first + at);
        if wanted.len() == self.axes.len() {
            let mut values: Vec<Arc<str>> = vec![Arc::from(""); self.axes.len()];
            for (axis, value) in wanted {
                if let Some(slot) = values.get_mut(*axis) {
                    *slot = value.clone();
                }
            }
            let by_values = self.by_values.get_or_init(|| {
                self.variants.iter().enumerate().map(|(at, v)| (v.clone(), at as u32)).collect()
            });
            return by_values.get(values.as_slice()).map(|at| id(*at)).into_iter().collect();
        }
        // Thousands of references may name an image with very many variants.
        let lists = wanted.iter().map(|(axis, value)| {
            let of_axis = self.by_axis().get(*axis).and_then(|values| values.get(value));
            of_axis.map(Vec::as_slice).unwrap_or_default()
        });
        let Some(fewest) = lists.min_by_key(|list| list.len()) else {
            return (0..self.variants.len() as u32).map(id).collect();
        };
        let fits = |at: &u32| {
            let values = self.variants.get(*at as usize);
            let has = |(axis, value): &(usize, Arc<str>)| values?.get(*axis).map(|v| v == value);
            wanted.iter().all(|want| has(want) == Some(true))
        };
        fewest.iter().copied().filter(fits).map(id).collect()
    }

    fn by_axis(&self) -> &[HashMap<Arc<str>, Vec<u32>>] {
        self.by_axis.get_or_init(|| {
            let mut axes = vec![HashMap::<Arc<str>, Vec<u32>>::new(); self.axes.len()];
            for (at, values) in self.variants.iter().enumerate() {
                for (axis, value) in axes.iter_mut().zip(values.iter()) {
                    axis.entry(value.clone()).or_default().push(at as u32);
                }
            }
            axes
        })
    }
}
