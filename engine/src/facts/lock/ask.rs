//! What of an ask decides its answer, as one short digest; and which asks are locked at all.

use super::super::{
    AlpineArchive, AlpineAsk, ArchiveKeys, DebianArchive, DebianAsk, DebianVariant, FilesAsk,
    Follow, GitAsk, PackagesAsk, Trim, UpstreamAsk,
};

/// Hex digits of a digest of an ask.
pub(super) const DIGITS: usize = 12;

/// Whether an upstream is locked. What is on this machine is not: it is read anew each time, as
/// the files of a context are.
pub fn is_locked(ask: &UpstreamAsk) -> bool {
    match ask {
        UpstreamAsk::Rootfs { location, .. } => is_address(location),
        UpstreamAsk::OciLayout { .. } => false,
        UpstreamAsk::Debian(_)
        | UpstreamAsk::Alpine(_)
        | UpstreamAsk::Packages(_)
        | UpstreamAsk::Registry { .. } => true,
    }
}

/// Whether files are locked: what comes over the network and whose content the file does not
/// name.
pub fn is_file_locked(ask: &FilesAsk) -> bool {
    match ask {
        FilesAsk::Context(_) => false,
        FilesAsk::Url { checksum, .. } | FilesAsk::Git(GitAsk { checksum, .. }) => {
            checksum.is_none()
        }
    }
}

fn is_address(location: &str) -> bool {
    location.starts_with("http://") || location.starts_with("https://")
}

/// Names what an ask asks for, in hex. Every struct is taken apart field by field: a new field
/// does not compile until it is told here whether it decides the answer.
pub(super) fn digest(ask: &UpstreamAsk) -> String {
    let mut walk = Walk::default();
    walk.upstream(ask);
    let mut hex = walk.hasher.finalize().to_hex().to_string();
    hex.truncate(DIGITS);
    hex
}

/// Hashes words with their lengths before them.
#[derive(Default)]
struct Walk {
    hasher: blake3::Hasher,
}

impl Walk {
    fn word(&mut self, word: &str) {
        self.bytes(word.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.hasher.update(bytes);
    }

    fn count(&mut self, count: usize) {
        self.hasher.update(&(count as u64).to_le_bytes());
    }

    fn words(&mut self, words: &[String]) {
        self.count(words.len());
        words.iter().for_each(|word| self.word(word));
    }

    fn option(&mut self, word: Option<&str>) {
        self.count(usize::from(word.is_some()));
        word.into_iter().for_each(|word| self.word(word));
    }

    /// A path is that of one machine, so only that there is one counts.
    fn place(&mut self, place: &str) {
        self.word(if is_address(place) { place } else { "file" });
    }

    fn upstream(&mut self, ask: &UpstreamAsk) {
        match ask {
            UpstreamAsk::Rootfs { location, checksums, digest, signature, follow } => {
                self.word("rootfs");
                self.place(location);
                self.count(usize::from(checksums.is_some()));
                checksums.iter().for_each(|place| self.place(place));
                self.option(digest.as_deref());
                self.count(usize::from(signature.is_some()));
                if let Some((signature, keys)) = signature {
                    self.place(signature);
                    self.place(keys);
                }
                self.count(usize::from(follow.is_some()));
                if let Some(Follow { range, listing }) = follow {
                    self.word(range);
                    self.count(usize::from(listing.is_some()));
                    listing.iter().for_each(|place| self.place(place));
                }
            }
            UpstreamAsk::Debian(ask) => self.debian(ask),
            UpstreamAsk::Alpine(AlpineAsk { arch, archives, world }) => {
                self.word("alpine");
                self.word(arch);
                self.count(archives.len());
                for AlpineArchive { uri, path, tag, keys } in archives {
                    self.option(uri.as_deref());
                    self.word(path);
                    self.option(tag.as_deref());
                    self.keys(keys);
                }
                self.words(world);
            }
            // What is below is a fact of its own: another image below is another reason to look.
            UpstreamAsk::Packages(PackagesAsk { below: _, names, recommends }) => {
                self.word("packages");
                self.words(names);
                self.count(usize::from(*recommends));
            }
            UpstreamAsk::OciLayout { path: _, reference, platform } => {
                self.word("oci-layout");
                self.option(reference.as_deref());
                self.word(platform);
            }
            UpstreamAsk::Registry { reference, range, platform } => {
                self.word("registry");
                self.word(reference);
                self.option(range.as_deref());
                self.word(platform);
            }
        }
    }

    fn debian(&mut self, ask: &DebianAsk) {
        let DebianAsk { arch, archives, variant, include, exclude, recommends, trim } = ask;
        self.word("debian");
        self.word(arch);
        self.count(archives.len());
        for DebianArchive { uri, suite, components, keys } in archives {
            self.option(uri.as_deref());
            self.word(suite);
            self.words(components);
            self.keys(keys);
        }
        self.word(match variant {
            DebianVariant::Extract => "extract",
            DebianVariant::Minbase => "minbase",
            DebianVariant::Standard => "standard",
            DebianVariant::Minideb => "minideb",
        });
        self.words(include);
        self.words(exclude);
        self.count(usize::from(*recommends));
        self.count(trim.len());
        for trim in trim {
            self.word(match trim {
                Trim::Docs => "docs",
                Trim::Locales => "locales",
            });
        }
    }

    fn keys(&mut self, keys: &ArchiveKeys) {
        match keys {
            ArchiveKeys::Distribution => self.word("distribution"),
            ArchiveKeys::File(_) => self.word("file"),
            ArchiveKeys::Given(keys) => {
                self.word("given");
                self.count(keys.len());
                for (file, bytes) in keys {
                    self.word(file);
                    self.bytes(bytes);
                }
            }
        }
    }
}
