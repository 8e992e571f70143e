//! Budgets of hosts that are too small for what is to be asked, which is said before anything is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mabuild_lang::reference;
use mabuild_registry::Reference;

use crate::facts::{FactError, HostSettings, UpstreamAsk, VERSION};
use crate::track::{Shared, registry, wrong};

/// What one host is asked for.
#[derive(Default)]
struct Asked {
    /// Images whose digest is asked for.
    images: Vec<Reference>,
    /// Those of them whose index has to be read too.
    unread: Vec<Reference>,
    /// Repositories whose tags are listed.
    listed: BTreeSet<String>,
}

/// The hosts of registries whose budget does not suffice for some questions, with what to do. What
/// is counted is the least that has to be asked: logins and new tries come on top.
pub(in crate::track) fn over_budget(
    shared: &Arc<Shared>,
    asks: &[UpstreamAsk],
) -> BTreeMap<String, FactError> {
    let budgets = shared.options.hosts.iter();
    // Of what mirrors have, the host itself is not asked.
    let budgets = budgets.filter(|host| host.mirrors.is_empty() && !shared.client.is_offline());
    let budgets: Vec<(&HostSettings, u64)> =
        budgets.filter_map(|host| Some((host, host.max_requests?))).collect();
    if budgets.is_empty() {
        return BTreeMap::new();
    }
    let asked = by_host(shared, asks);
    let client = registry::client(shared);
    let least = |host: &str, asked: &Asked| {
        let client = client.as_ref().ok()?;
        let heads = client.forecast(&asked.images).hosts.get(host).map_or(0, |all| all.heads);
        let gets = client.forecast(&asked.unread).hosts.get(host).map_or(0, |all| all.gets);
        Some(heads + gets + asked.listed.len() as u64)
    };
    let mut refused = BTreeMap::new();
    for (HostSettings { host, .. }, budget) in budgets {
        let least = asked.get(host).and_then(|asked| least(host, asked));
        if let Some(least) = least.filter(|least| *least > budget) {
            let error = wrong(format!(
                "{host} would have to be asked for {least} things or more, and its `max-requests` \
                 allows {budget} in a run, so that it is not asked at all; allow more, or name \
                 fewer targets"
            ));
            refused.insert(host.clone(), error);
        }
    }
    refused
}

/// The host of the registry that an upstream is in.
pub(in crate::track) fn registry_of(ask: &UpstreamAsk) -> Option<String> {
    let UpstreamAsk::Registry { reference, .. } = ask else { return None };
    Some(image(reference)?.host)
}

fn by_host(shared: &Shared, asks: &[UpstreamAsk]) -> BTreeMap<String, Asked> {
    let mut hosts: BTreeMap<String, Asked> = BTreeMap::new();
    for ask in asks {
        let UpstreamAsk::Registry { reference, range, platform } = ask else { continue };
        let Some(image) = image(reference) else { continue };
        let asked = hosts.entry(image.host.clone()).or_default();
        if range.is_some() {
            asked.listed.insert(image.repository);
            continue;
        }
        if super::remembered(shared, &image, reference, platform).is_none() {
            asked.unread.push(image.clone());
        }
        asked.images.push(image);
    }
    hosts
}

/// An image as it is asked for; of a range, its repository.
fn image(text: &str) -> Option<Reference> {
    let whole = match text.contains(VERSION) {
        true => reference::normal(&text.replace(VERSION, "0")),
        false => text.to_owned(),
    };
    registry::read(&whole).ok()
}
