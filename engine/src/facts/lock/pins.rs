//! What a slot holds as a pin, and a pin as what a slot holds.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::{
    AlpineAsk, AlpinePin, Archive, DebianAsk, DebianPin, FilesAsk, GitAsk, PackagePin, PackageSet,
    PackagesAsk, PackagesPin, Pin, ReleasePin, UpstreamAsk,
};
use super::{At, Located, Lock, Package, Place, Slot, ask};

/// Stands for the archive of a package that has none.
const NO_ARCHIVE: &str = "-";

impl Lock {
    /// Gives what a place is pinned to; none where it is not, or was for another ask.
    ///
    /// What the ask says is taken from the ask: variant, trim, world, names and archives. So are
    /// the keys of archives, which the caller replaces with what is in their files. Of packages
    /// the pin has the `below` that it was made for, which the caller compares with the
    /// [`super::super::Distro::digest`] of the image of now. As long as the image below is not
    /// known, packages come without archives, and their `archive` counts the releases.
    pub fn pin(&self, place: Place<'_>, ask: &UpstreamAsk) -> Option<Pin> {
        let slot = self.slot(place)?;
        if !ask::is_locked(ask) || slot.ask.as_ref()?.value != ask::digest(ask) {
            return None;
        }
        Some(match ask {
            UpstreamAsk::Rootfs { .. } => {
                let Located { digest, location } = slot.archive.as_ref()?.value.clone();
                let version = slot.version.as_ref().map(|version| version.value.clone());
                Pin::Archive { digest, location, version }
            }
            UpstreamAsk::Debian(DebianAsk { archives, variant, trim, .. }) => {
                let archives = archives.iter().cloned().map(Archive::Debian).collect();
                let set = slot.set(archives)?;
                Pin::Debian(DebianPin { variant: *variant, trim: trim.clone(), set })
            }
            UpstreamAsk::Alpine(AlpineAsk { arch, archives, world }) => {
                let archives = archives.iter().cloned().map(Archive::Alpine).collect();
                let set = slot.set(archives)?;
                Pin::Alpine(AlpinePin { arch: arch.clone(), world: world.clone(), set })
            }
            UpstreamAsk::Packages(PackagesAsk { below, names, .. }) => {
                let family = slot.family.as_ref().map(|family| family.value);
                let archives = match below {
                    Some(below) if family != Some(below.family) => return None,
                    Some(below) => below.archives.clone(),
                    None => Vec::new(),
                };
                let set = slot.set(archives)?;
                let below = slot.below.as_ref()?.value.clone();
                Pin::Packages(PackagesPin { family, names: names.clone(), set, below })
            }
            UpstreamAsk::Registry { .. } => {
                let Located { digest, location } = slot.manifest.as_ref()?.value.clone();
                Pin::Registry { manifest: digest, location }
            }
            UpstreamAsk::OciLayout { .. } => return None,
        })
    }

    /// Pins a place, in place of all that it was pinned to; what was seen for it stays. Of what is
    /// not locked ([`super::is_locked`]) nothing is kept.
    ///
    /// The digests of a pin are to be what they say: the text of a lock with others is refused.
    pub fn put(&mut self, place: Place<'_>, ask: &UpstreamAsk, pin: &Pin) {
        self.edit_slot(place, |slot| {
            *slot = Slot { seen: std::mem::take(&mut slot.seen), ..Slot::default() };
            if !ask::is_locked(ask) {
                return;
            }
            slot.ask = Some(At::new(ask::digest(ask)));
            match pin {
                Pin::Archive { digest, location, version } => {
                    slot.archive = Some(located(digest, location));
                    slot.version = version.clone().map(At::new);
                }
                Pin::Registry { manifest, location } => {
                    slot.manifest = Some(located(manifest, location));
                }
                Pin::Debian(pin) => slot.put_set(&pin.set),
                Pin::Alpine(pin) => slot.put_set(&pin.set),
                Pin::Packages(PackagesPin { family, names: _, set, below }) => {
                    slot.family = family.map(At::new);
                    slot.below = Some(At::new(below.clone()));
                    slot.put_set(set);
                }
                Pin::Layout { .. } => {}
            }
        });
    }

    /// Gives the ask for files with the locked digest or commit as the checksum; none where they
    /// are not in the lock, or are not what is locked ([`super::is_file_locked`]).
    pub fn file(&self, node: &str, platform: &str, ask: &FilesAsk) -> Option<FilesAsk> {
        let checksum = Some(self.file_fact(node, platform, ask)?.value.clone());
        Some(match ask {
            FilesAsk::Url { location, .. } => {
                FilesAsk::Url { location: location.clone(), checksum }
            }
            FilesAsk::Git(ask) => FilesAsk::Git(GitAsk { checksum, ..ask.clone() }),
            FilesAsk::Context(_) => return None,
        })
    }

    /// Gives the line that pins files, in the text that was parsed; from 1.
    pub fn line_of_file(&self, node: &str, platform: &str, ask: &FilesAsk) -> Option<usize> {
        self.file_fact(node, platform, ask)?.line()
    }

    /// Pins files to the digest of a file, or to the commit of a repository. Of what is not locked
    /// ([`super::is_file_locked`]) nothing is kept.
    pub fn put_file(&mut self, node: &str, platform: &str, ask: &FilesAsk, content: &str) {
        if !ask::is_file_locked(ask) {
            return;
        }
        let content = At::new(content.to_owned());
        self.edit(node, platform, |target| match ask {
            FilesAsk::Url { location, .. } => {
                target.files.insert(location.clone(), content);
            }
            FilesAsk::Git(ask) => {
                target.commits.insert(source(ask), content);
            }
            FilesAsk::Context(_) => {}
        });
    }

    fn file_fact(&self, node: &str, platform: &str, ask: &FilesAsk) -> Option<&At<String>> {
        let target = self.target(node, platform).filter(|_| ask::is_file_locked(ask))?;
        match ask {
            FilesAsk::Url { location, .. } => target.files.get(location),
            FilesAsk::Git(ask) => target.commits.get(&source(ask)),
            FilesAsk::Context(_) => None,
        }
    }
}

fn source(ask: &GitAsk) -> (String, Option<String>) {
    (ask.remote.clone(), ask.reference.clone())
}

fn located(digest: &str, location: &str) -> At<Located> {
    At::new(Located { digest: digest.to_owned(), location: location.to_owned() })
}

impl Slot {
    /// The packages; none where one is of an archive that is not there.
    fn set(&self, archives: Vec<Archive>) -> Option<PackageSet> {
        let labels: Vec<&str> = archives.iter().map(Archive::label).collect();
        let names = names(&labels);
        let mut known: Vec<(&str, &str)> =
            names.iter().map(String::as_str).zip(labels.iter().copied()).collect();
        let others = self.releases.keys().filter(|name| !names.contains(name));
        known.extend(others.map(|name| (name.as_str(), label(name))));
        let releases = known.iter().filter_map(|(name, label)| {
            let date = self.releases.get(*name)?.value;
            Some(ReleasePin { archive: (*label).to_owned(), date })
        });
        let releases = releases.collect();
        let places = known.iter().enumerate().map(|(place, (name, _))| (*name, place));
        let places: HashMap<&str, usize> = places.collect();
        let mut packages = Vec::with_capacity(self.packages.len());
        for name in order(&self.packages).ok()? {
            let package = &self.packages.get(name)?.value;
            let archive = match places.get(package.archive.as_str()) {
                Some(place) => *place,
                None if package.archive == NO_ARCHIVE || archives.is_empty() => 0,
                None => return None,
            };
            packages.push(package.pin(name, archive));
        }
        Some(PackageSet { archives, releases, packages })
    }

    fn put_set(&mut self, set: &PackageSet) {
        let PackageSet { archives, releases, packages } = set;
        let labels: Vec<&str> = match archives.is_empty() {
            true => releases.iter().map(|release| release.archive.as_str()).collect(),
            false => archives.iter().map(Archive::label).collect(),
        };
        let names = names(&labels);
        let mut taken = HashSet::new();
        for ReleasePin { archive, date } in releases {
            let mut named = names.iter().zip(&labels);
            let free =
                |(name, label): &(&String, &&str)| *label == archive && !taken.contains(*name);
            let name = named.find(free).map_or(archive, |(name, _)| name);
            taken.insert(name);
            self.releases.insert(name.clone(), At::new(*date));
        }
        let sorted = packages.is_sorted_by(|a, b| a.name < b.name);
        let mut before: Option<&str> = None;
        for package in packages {
            let PackagePin { name, version, arch, sha256, size, archive, path } = package;
            let kept = Package {
                version: version.clone(),
                arch: arch.clone(),
                sha256: sha256.clone(),
                size: *size,
                archive: names.get(*archive).map_or(NO_ARCHIVE, String::as_str).to_owned(),
                path: path.clone(),
                after: before.filter(|_| !sorted).map(str::to_owned),
            };
            self.packages.insert(name.clone(), At::new(kept));
            before = Some(name);
        }
    }
}

impl Package {
    fn pin(&self, name: &str, archive: usize) -> PackagePin {
        let Self { version, arch, sha256, size, archive: _, path, after: _ } = self.clone();
        PackagePin { name: name.to_owned(), version, arch, sha256, size, archive, path }
    }
}

/// Names of archives with which they can be told apart: the second of a label is `LABEL@2`.
fn names(labels: &[&str]) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut names = Vec::with_capacity(labels.len());
    for label in labels {
        let count = counts.entry(label).or_default();
        *count += 1;
        let mut name = match count {
            1 => (*label).to_owned(),
            count => format!("{label}@{count}"),
        };
        // Somebody may call an archive so.
        while taken.contains(&name) {
            name.push_str("@1");
        }
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// The label of an archive by its name in the lock.
pub(super) fn label(name: &str) -> &str {
    let numbered = |(_, count): &(&str, &str)| {
        !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit())
    };
    name.rsplit_once('@').filter(numbered).map_or(name, |(label, _)| label)
}

/// The names of packages in the order in which they are installed: that of the names, or that
/// which `after` gives. Else one that is out of it.
pub(super) fn order(
    packages: &BTreeMap<String, At<Package>>,
) -> Result<Vec<&str>, (&str, &At<Package>)> {
    let after = |at: &'_ At<Package>| at.value.after.is_some();
    if !packages.values().any(after) {
        return Ok(packages.keys().map(String::as_str).collect());
    }
    let next: HashMap<Option<&str>, &str> =
        packages.iter().map(|(name, at)| (at.value.after.as_deref(), name.as_str())).collect();
    let mut order = Vec::with_capacity(packages.len());
    let mut seen = HashSet::new();
    let mut last = None;
    while let Some(name) = next.get(&last)
        && seen.insert(*name)
    {
        order.push(*name);
        last = Some(*name);
    }
    match packages.iter().find(|(name, _)| !seen.contains(name.as_str())) {
        Some((name, at)) => Err((name, at)),
        None => Ok(order),
    }
}
