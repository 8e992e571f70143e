//! Packages that are installed on an image: what is new or moves, from the archives that the
//! image below is configured with.

use std::sync::Arc;

use super::{Answer, Tracker, alpine, debian};
use crate::facts::{Family, PackageSet, PackagesAsk, PackagesPin, Pin};
use crate::track::Shared;

/// Packages as a step asks for them.
pub(super) struct Packages {
    /// The question.
    pub ask: PackagesAsk,
}

impl Tracker for Packages {
    fn track<'a>(&'a self, shared: &'a Arc<Shared>) -> Answer<'a> {
        Box::pin(async move {
            let names = self.ask.names.clone();
            let Some(below) = &self.ask.below else {
                // It is asked again once the image below is there.
                let (set, below) = (PackageSet::default(), String::new());
                return Ok(Pin::Packages(PackagesPin { family: None, names, set, below }));
            };
            let set = match below.family {
                Family::Debian => debian::on_top(shared, &self.ask, below).await?,
                Family::Alpine => alpine::on_top(shared, &self.ask, below).await?,
            };
            let family = Some(below.family);
            Ok(Pin::Packages(PackagesPin { family, names, set, below: below.digest() }))
        })
    }
}
