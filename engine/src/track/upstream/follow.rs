//! Which version of an archive is taken: the highest of a range that is listed and has the file of
//! this platform.
//!
//! The location of an archive is a form with the version in it, in the name of the file, in the
//! name of a folder above it, or in both. The versions are the names of that form in a listing:
//! that of the folder above the first part with the version, where the file names none. Where the
//! version is the name of a folder, that folder must list the file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mabuild_oci::Digest;

use super::{Entry, Listing};
use super::{Once, memory};
use crate::facts::{FactError, Follow, VERSION};
use crate::track::added::decoded;
use crate::track::http::{FetchError, mask};
use crate::track::local::blocking;
use crate::track::{Shared, doubtful, is_address, versions, wrong};

/// The largest listing that is read.
const LARGEST: u64 = 16 << 20;
/// Folders of versions that are looked into, from the highest down.
const FOLDERS: usize = 8;

/// What several questions of a run have in common: listings by their locations, none for those
/// that are not there.
#[derive(Default)]
pub(in crate::track) struct Listings(Once<Option<Arc<Listed>>>);

/// A listing that was read.
struct Listed {
    listing: Listing,
    /// The document it was read from, where it came over the network.
    source: Option<memory::Current>,
}

/// A version that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// The version.
    pub version: String,
    /// What the listing says of the archive's content.
    pub digest: Option<Digest>,
}

/// A location, taken apart around the first part of its path with the version.
struct Form<'a> {
    location: &'a str,
    /// All before that part.
    folder: &'a str,
    /// Whether that part is the name of the file.
    is_file: bool,
    /// That part, percent signs resolved.
    part: String,
    /// The name of the file, percent signs resolved.
    file: String,
}

/// Finds the version of an archive whose location has [`VERSION`] in it.
pub(super) async fn find(
    shared: &Arc<Shared>,
    location: &str,
    follow: &Follow,
) -> Result<Found, FactError> {
    let range = versions::range(&follow.range)?;
    let form = Form::of(location)?;
    let at = follow.listing.as_deref().unwrap_or(form.folder);
    let Some(listed) = list(shared, at).await? else {
        return Err(doubtful(format!(
            "there is nothing at {}, which is to list the versions of {}: check its spelling, or \
             name another `listing`",
            mask(at),
            form.file
        )));
    };
    let named = form.versions(&listed.listing);
    let names = || named.keys().map(String::as_str);
    if named.is_empty() {
        return Err(doubtful(format!(
            "{} lists nothing of the form {}: check the location, or name another `listing`",
            mask(at),
            form.part
        )));
    }
    let fitting = versions::taken(&range, names().collect::<BTreeSet<_>>(), FOLDERS);
    for version in &fitting {
        let found = match named.get(*version) {
            Some(Some(entry)) => Some((listed.clone(), entry.clone())),
            _ => form.in_folder(shared, version).await?,
        };
        if let Some((within, entry)) = found {
            listed.remember(shared, at).await?;
            within.remember(shared, &form.folder_of(version)).await?;
            return Ok(Found { version: (*version).to_owned(), digest: entry.digest });
        }
    }
    Err(doubtful(match fitting.is_empty() {
        true => format!(
            "{} lists no version of {} that fits `{range}`; there are {}",
            mask(at),
            form.file,
            versions::some(names())
        ),
        false => format!(
            "{} lists versions that fit `{range}`, but none of them has {}: tried {}",
            mask(at),
            form.file,
            fitting.join(", ")
        ),
    }))
}

/// When a listing says that an archive was published, in seconds since 1970.
pub(super) async fn dated(
    shared: &Arc<Shared>,
    location: &str,
    follow: Option<&Follow>,
) -> Option<i64> {
    let (folder, file) = split(location);
    let at = follow.and_then(|follow| follow.listing.as_deref());
    for at in at.into_iter().chain([folder]) {
        let listed = list(shared, at).await.ok().flatten();
        let entry = listed.and_then(|listed| listed.listing.get(&decoded(file)).cloned());
        if let Some(dated) = entry.and_then(|entry| entry.dated) {
            return Some(dated);
        }
    }
    None
}

impl<'a> Form<'a> {
    fn of(location: &'a str) -> Result<Self, FactError> {
        let (_, file) = split(location);
        let path = path(location);
        let at = path.find(VERSION).unwrap_or(path.len());
        let start = path.get(..at).and_then(|before| before.rfind('/')).map_or(0, |at| at + 1);
        let is_host = is_address(location) && path.get(..start).is_some_and(|p| p.ends_with("//"));
        if at == path.len() || is_host {
            return Err(wrong(format!(
                "{} has no `{VERSION}` in its path, so its versions cannot be told apart",
                mask(location)
            )));
        }
        let (folder, rest) = path.split_at(start);
        let part = rest.split('/').next().unwrap_or(rest);
        Ok(Self {
            location,
            folder,
            is_file: part.len() == rest.len(),
            part: decoded(part),
            file: decoded(file),
        })
    }

    /// The versions that a listing names, each with the entry of the file where it is that, and
    /// not a folder, that is named.
    fn versions(&self, listing: &Listing) -> BTreeMap<String, Option<Entry>> {
        let mut out: BTreeMap<String, Option<Entry>> = BTreeMap::new();
        for (name, entry) in listing.entries() {
            let told = entry.version.as_deref();
            let told = told.filter(|version| self.file.replace(VERSION, version) == name);
            if let Some(version) = told.or_else(|| versions::version_in(&self.file, name)) {
                out.insert(version.to_owned(), Some(entry.clone()));
            } else if !self.is_file
                && let Some(version) = versions::version_in(&self.part, name)
            {
                out.entry(version.to_owned()).or_default();
            }
        }
        out
    }

    /// The folder of the archive of a version.
    fn folder_of(&self, version: &str) -> String {
        split(self.location).0.replace(VERSION, version)
    }

    /// What the folder of a version says of the file.
    async fn in_folder(
        &self,
        shared: &Arc<Shared>,
        version: &str,
    ) -> Result<Option<(Arc<Listed>, Entry)>, FactError> {
        let Some(listed) = list(shared, &self.folder_of(version)).await? else { return Ok(None) };
        let entry = listed.listing.get(&self.file.replace(VERSION, version)).cloned();
        Ok(entry.map(|entry| (listed, entry)))
    }
}

impl Listed {
    /// Keeps a listing that was of use for runs without the network.
    async fn remember(&self, shared: &Arc<Shared>, at: &str) -> Result<(), FactError> {
        match &self.source {
            Some(source) => memory::remember(shared, "listing", at, source).await,
            None => Ok(()),
        }
    }
}

/// What stands before the query of an address; a path as it is.
fn path(location: &str) -> &str {
    let end = location.find(['?', '#']).filter(|_| is_address(location));
    location.get(..end.unwrap_or(location.len())).unwrap_or(location)
}

/// The folder of a location, with a slash at its end, and the name in it.
fn split(location: &str) -> (&str, &str) {
    let path = path(location);
    path.split_at(path.rfind('/').map_or(0, |at| at + 1))
}

/// Gets a listing, once in a run; none where there is nothing.
async fn list(shared: &Arc<Shared>, at: &str) -> Result<Option<Arc<Listed>>, FactError> {
    let make = async {
        if is_address(at) { fetched(shared, at).await } else { local(at.to_owned()).await }
    };
    shared.listings.0.get(at.to_owned(), make).await
}

async fn fetched(shared: &Arc<Shared>, at: &str) -> Result<Option<Arc<Listed>>, FactError> {
    let source = match memory::current(shared, "listing", at, LARGEST).await {
        Ok(source) => source,
        Err(FetchError { status: Some(404 | 410), .. }) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let place = at.to_owned();
    blocking(move || {
        let listing = Listing::read(&String::from_utf8_lossy(&source.bytes), &place);
        let listing = listing.map_err(|why| {
            doubtful(format!(
                "{} is to list versions, but {why}: check the address, or name another `listing`",
                mask(&place)
            ))
        })?;
        Ok(Some(Arc::new(Listed { listing, source: Some(source) })))
    })
    .await
}

async fn local(at: String) -> Result<Option<Arc<Listed>>, FactError> {
    blocking(move || {
        let failed = |e: &dyn std::fmt::Display| wrong(format!("cannot read {at}: {e}"));
        let listing = match std::fs::metadata(&at) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&e)),
            Ok(meta) if meta.is_dir() => Listing::of_folder(&at).map_err(|e| failed(&e))?,
            Ok(meta) if meta.len() > LARGEST => {
                return Err(failed(&format!("it is larger than {LARGEST} bytes")));
            }
            Ok(_) => {
                let bytes = std::fs::read(&at).map_err(|e| failed(&e))?;
                Listing::read(&String::from_utf8_lossy(&bytes), &at)
                    .map_err(|why| wrong(format!("{at} is to list versions, but {why}")))?
            }
        };
        Ok(Some(Arc::new(Listed { listing, source: None })))
    })
    .await
}
