//! Tar archives, byte for byte the same on every machine: the bases of the tests.

use std::io::Write;

/// An archive that is being made; ustar, owner 0:0 unless said, one fixed date.
#[derive(Clone, Debug, Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

/// The date of every entry, 2024-01-02 03:04:05 UTC.
pub const DATE: u64 = 1_704_164_645;

impl Tar {
    /// A directory.
    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.entry(path, b'5', mode, (0, 0), "", &[])
    }

    /// A file of root.
    pub fn file(self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Self {
        self.entry(path, b'0', mode, (0, 0), "", content.as_ref())
    }

    /// A file of somebody.
    pub fn owned(self, path: &str, mode: u32, owner: (u32, u32), content: &str) -> Self {
        self.entry(path, b'0', mode, owner, "", content.as_bytes())
    }

    /// A symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, b'2', 0o777, (0, 0), target, &[])
    }

    /// A hard link to an earlier path.
    pub fn hardlink(self, path: &str, target: &str) -> Self {
        self.entry(path, b'1', 0o644, (0, 0), target, &[])
    }

    /// Any entry, also one that no honest archive has.
    pub fn entry(
        mut self,
        path: &str,
        kind: u8,
        mode: u32,
        owner: (u32, u32),
        link: &str,
        content: &[u8],
    ) -> Self {
        let mut head = [0_u8; 512];
        put(&mut head, 0, path.as_bytes());
        put(&mut head, 100, format!("{mode:07o}").as_bytes());
        put(&mut head, 108, format!("{:07o}", owner.0).as_bytes());
        put(&mut head, 116, format!("{:07o}", owner.1).as_bytes());
        put(&mut head, 124, format!("{:011o}", content.len()).as_bytes());
        put(&mut head, 136, format!("{DATE:011o}").as_bytes());
        put(&mut head, 148, b"        ");
        head[156] = kind;
        put(&mut head, 157, link.as_bytes());
        put(&mut head, 257, b"ustar\x0000");
        let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
        put(&mut head, 148, format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend(head);
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// The archive with its end.
    pub fn plain(mut self) -> Vec<u8> {
        self.bytes.extend([0; 1024]);
        self.bytes
    }

    /// The archive through gzip; another level gives other bytes with the same content.
    pub fn gzip(self, level: u32) -> Vec<u8> {
        gzip(&self.plain(), level)
    }
}

/// Bytes through gzip.
pub fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    out.write_all(bytes).expect("memory takes all bytes");
    out.finish().expect("memory takes all bytes")
}

fn put(head: &mut [u8; 512], at: usize, text: &[u8]) {
    head[at..at + text.len()].copy_from_slice(text);
}
