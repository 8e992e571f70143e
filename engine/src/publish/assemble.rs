//! Indexes: the one of the store, and those that are published.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use mabuild_lang::platform::Platform;
use mabuild_oci::image::{Annotations, PlatformObject};
use mabuild_oci::{Descriptor, Digest, Index, Layout, media_type};

use super::policy::Seat;
use super::{
    CREATED, Format, KEY_ANNOTATION, LATE_ANNOTATION, Publication, REVISION, SOURCE, VERSION,
    oci_platform,
};
use crate::key::Key;

/// What is told of the description that an index comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Address of its repository.
    pub source: Option<String>,
    /// Its commit.
    pub revision: Option<String>,
}

/// An index that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its media type.
    pub media_type: &'static str,
    /// Its digest.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Writes the index over finished platforms into a layout and gives its descriptor; `described`
/// gives that of a manifest.
pub fn assemble(
    layout: &Layout,
    members: &[(Platform, Key, Arc<str>)],
    described: &dyn Fn(&str) -> Result<Descriptor, String>,
) -> Result<Descriptor, String> {
    let mut list = Vec::with_capacity(members.len());
    for (platform, key, digest) in members {
        let mut descriptor = described(digest)?;
        descriptor.platform = Some(PlatformObject::from(oci_platform(platform)));
        descriptor.annotations.insert(KEY_ANNOTATION.to_owned(), key.hex());
        list.push(descriptor);
    }
    let bytes = Index::new(list).to_bytes().map_err(|e| e.to_string())?;
    layout.write_blob(media_type::INDEX, &bytes).map_err(|e| e.to_string())
}

/// Makes the index that is published over seats.
pub fn index(publication: &Publication, seats: &[Seat], about: &About) -> Result<Made, String> {
    let mut index = Index::new(seats.iter().map(|seat| entry(publication.format, seat)).collect());
    let media_type = media_type_of(publication.format);
    index.media_type = Some(media_type.to_owned());
    if publication.format == Format::Oci {
        index.annotations = stable(publication);
        let newest = newest(seats);
        let told = [(SOURCE, &about.source), (REVISION, &about.revision), (CREATED, &newest)];
        for (name, value) in told {
            if let Some(value) = value {
                index.annotations.entry(name.to_owned()).or_insert_with(|| value.clone());
            }
        }
    }
    let bytes = index.to_bytes().map_err(|e| e.to_string())?;
    Ok(Made { media_type, digest: Digest::sha256(&bytes), bytes })
}

/// Whether an index that is published says what the seats say: the same members with the same
/// keys and the annotations that follow from the description. What is told of the moment, the
/// commit above all, is no reason to move a tag; nor is it that a platform is late when nothing
/// else is newer than it.
pub fn same(publication: &Publication, seats: &[Seat], published: &Index) -> bool {
    let is_form = published.media_type() == media_type_of(publication.format);
    if !is_form || published.manifests.len() != seats.len() {
        return false;
    }
    let all = seats.iter().all(|seat| {
        let wanted = entry(publication.format, seat);
        published.manifests.iter().any(|known| {
            known.platform == wanted.platform
                && known.digest == wanted.digest
                && known.media_type == wanted.media_type
                && unmarked(&known.annotations) == unmarked(&wanted.annotations)
                && (seat.late.is_some() || !known.annotations.contains_key(LATE_ANNOTATION))
        })
    });
    all && (publication.format == Format::Docker || is_described(publication, published))
}

/// Whether the annotations of an index are those of the description, besides what is told of the
/// moment.
fn is_described(publication: &Publication, published: &Index) -> bool {
    let wanted = stable(publication);
    let moving = |name: &str| [SOURCE, REVISION, CREATED].contains(&name);
    let known = published.annotations.iter();
    let known = known.filter(|(name, _)| wanted.contains_key(*name) || !moving(name));
    known.eq(wanted.iter())
}

/// What of the annotations follows from the description alone.
fn stable(publication: &Publication) -> Annotations {
    let version = publication.tags.first().map(|tag| (VERSION.to_owned(), tag.clone()));
    // What the file says counts more.
    version.into_iter().chain(publication.annotations.iter().cloned()).collect()
}

fn unmarked(annotations: &Annotations) -> BTreeMap<&String, &String> {
    annotations.iter().filter(|(name, _)| *name != LATE_ANNOTATION).collect()
}

/// The entry of a seat, in the form of its index.
fn entry(format: Format, seat: &Seat) -> Descriptor {
    let mut entry = seat.descriptor.clone();
    match format {
        // A manifest list has no place for notes: neither a key nor since when it is late.
        Format::Docker => entry.annotations.clear(),
        Format::Oci => {
            entry.annotations.remove(LATE_ANNOTATION);
            let since = seat.late.as_ref().and_then(|late| Timestamp::from_second(late.since).ok());
            if let Some(since) = since {
                entry.annotations.insert(LATE_ANNOTATION.to_owned(), since.to_string());
            }
        }
    }
    entry
}

/// When the newest platform was made, as its descriptor says it.
fn newest(seats: &[Seat]) -> Option<String> {
    let times = seats.iter().filter_map(|seat| {
        let text = seat.descriptor.annotations.get(CREATED)?;
        Some((text.parse::<Timestamp>().ok()?, text))
    });
    times.max().map(|(_, text)| text.clone())
}

/// The media type of an index in a form.
pub fn media_type_of(format: Format) -> &'static str {
    match format {
        Format::Oci => media_type::INDEX,
        Format::Docker => media_type::DOCKER_MANIFEST_LIST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::testing::{late, publication, seat};

    fn published(publication: &Publication, seats: &[Seat], about: &About) -> Index {
        Index::from_bytes(&index(publication, seats, about).unwrap().bytes).unwrap()
    }

    #[test]
    fn index_is_described_and_the_same_every_time() {
        let about = About { source: Some("https://git.example/a".into()), revision: None };
        let seats = [seat("linux/amd64", 1), seat("linux/arm64", 2)];
        let publication = Publication {
            annotations: vec![("a.b".into(), "c".into()), (VERSION.into(), "own".into())],
            ..publication()
        };
        let index = published(&publication, &seats, &about);
        let text = |name: &str| index.annotations.get(name).map(String::as_str);
        assert_eq!(text("a.b"), Some("c"));
        assert_eq!(text(VERSION), Some("own"), "what the file says counts more");
        assert_eq!(text(SOURCE), Some("https://git.example/a"));
        assert_eq!(text(CREATED), Some("1970-01-01T00:00:02Z"), "that of the newest member");
        assert_eq!(text(REVISION), None);
        assert!(same(&publication, &seats, &index));
    }

    #[test]
    fn what_is_told_of_the_moment_is_no_change() {
        let publication = publication();
        let seats = [seat("linux/amd64", 1), seat("linux/arm64", 2)];
        let about = About { revision: Some("abc".into()), source: None };
        let index = published(&publication, &seats, &about);
        assert!(same(&publication, &seats, &index));
        let [one, two] = &seats;
        assert!(same(&publication, &[two.clone(), one.clone()], &index), "the order says nothing");
        assert!(!same(&publication, std::slice::from_ref(one), &index), "a platform less");
        assert!(!same(&publication, &[one.clone(), seat("linux/arm64", 3)], &index));
        let mut key = two.clone();
        key.descriptor.annotations.insert(KEY_ANNOTATION.into(), "other".into());
        assert!(!same(&publication, &[one.clone(), key], &index), "another key");
        let other = Publication { annotations: vec![("a".into(), "b".into())], ..publication };
        assert!(!same(&other, &seats, &index), "another description");
        let other = Publication { annotations: vec![(REVISION.into(), "x".into())], ..other };
        assert!(!same(&other, &seats, &index), "a revision that the file gives");
    }

    #[test]
    fn lateness_alone_moves_nothing_and_its_end_does() {
        let publication = publication();
        let fresh = [seat("linux/amd64", 1), seat("linux/arm64", 2)];
        let index = published(&publication, &fresh, &About::default());
        let stuck = [seat("linux/amd64", 1), late(seat("linux/arm64", 2), 100)];
        assert!(same(&publication, &stuck, &index), "nothing is newer than what is late");
        let mixed = [seat("linux/amd64", 3), late(seat("linux/arm64", 2), 100)];
        let index = published(&publication, &mixed, &About::default());
        let mark = index.manifests[1].annotations.get(LATE_ANNOTATION);
        assert_eq!(mark.map(String::as_str), Some("1970-01-01T00:01:40Z"));
        assert!(same(&publication, &mixed, &index));
        let caught_up = [seat("linux/amd64", 3), seat("linux/arm64", 2)];
        assert!(!same(&publication, &caught_up, &index), "the mark has to go");
    }

    #[test]
    fn manifest_list_has_no_notes() {
        let publication = Publication { format: Format::Docker, ..publication() };
        let seats = [late(seat("linux/amd64", 1), 5)];
        let index = published(&publication, &seats, &About::default());
        assert_eq!(index.media_type(), media_type::DOCKER_MANIFEST_LIST);
        assert!(index.annotations.is_empty() && index.manifests[0].annotations.is_empty());
        assert!(same(&publication, &seats, &index));
        assert!(!same(&super::super::testing::publication(), &seats, &index), "another form");
    }
}
