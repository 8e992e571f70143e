//! The log of a node, of bounded size: the first part of its output and the last.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The first bytes that are kept.
const HEAD: u64 = 32 << 20;
/// The last bytes that are kept lie between half of this and all of it.
const TAIL: u64 = 32 << 20;

/// A log that is being written.
pub(super) struct Log {
    file: File,
    folder: PathBuf,
    /// Bytes that the first part still takes.
    room: u64,
    /// Bytes of each of the two pieces of the last part.
    piece: u64,
    last: Option<Last>,
}

/// The last part, in two pieces that take turns. They are files without a name, so that nothing is
/// left of them by a kill.
struct Last {
    older: Option<(File, u64)>,
    newer: (File, u64),
    lost: u64,
}

impl Log {
    /// Begins a log; its folder is made where it is missing.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        Self::sized(path, HEAD, TAIL)
    }

    fn sized(path: &Path, head: u64, tail: u64) -> std::io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        std::fs::create_dir_all(&folder)?;
        let file = File::create(path)?;
        Ok(Self { file, folder, room: head, piece: tail / 2, last: None })
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let room = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.file.write_all(head)?;
        self.room -= head.len() as u64;
        if rest.is_empty() {
            return Ok(());
        }
        let mut last = match self.last.take() {
            Some(last) => last,
            None => Last { older: None, newer: (tempfile::tempfile_in(&self.folder)?, 0), lost: 0 },
        };
        if last.newer.1 + rest.len() as u64 > self.piece && last.newer.1 > 0 {
            let fresh = (tempfile::tempfile_in(&self.folder)?, 0);
            let full = std::mem::replace(&mut last.newer, fresh);
            last.lost += last.older.replace(full).map_or(0, |(_, size)| size);
        }
        last.newer.0.write_all(rest)?;
        last.newer.1 += rest.len() as u64;
        self.last = Some(last);
        Ok(())
    }

    /// Ends the log: what was kept of the last part is put behind the first.
    pub fn finish(mut self) -> std::io::Result<()> {
        let Some(Last { older, newer, lost }) = self.last.take() else { return Ok(()) };
        if lost > 0 {
            writeln!(self.file, "\n… {lost} bytes of output are left out here …")?;
        }
        for (mut piece, size) in older.into_iter().chain([newer]) {
            piece.seek(SeekFrom::Start(0))?;
            std::io::copy(&mut piece.take(size), &mut self.file)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(pieces: impl IntoIterator<Item = String>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.log");
        let mut log = Log::sized(&path, 10, 20).unwrap();
        pieces.into_iter().for_each(|piece| log.write(piece.as_bytes()).unwrap());
        log.finish().unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn what_fits_is_whole() {
        assert_eq!(logged([]), "");
        let text: String = ('a'..='z').collect();
        assert_eq!(logged([text.clone()]), text);
        assert_eq!(logged(text.chars().map(String::from)), text);
    }

    #[test]
    fn of_what_does_not_fit_the_first_and_the_last_are_kept() {
        let log = logged((0..1000).map(|number| format!("{number:03}\n")));
        assert!(log.starts_with("000\n001\n00"), "{log}");
        assert!(log.ends_with("998\n999\n"), "{log}");
        assert!(log.contains("bytes of output are left out here"), "{log}");
        assert!(log.len() < 100, "{log}");
        let lost: usize =
            log.split('…').nth(1).unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let note = log.lines().find(|line| line.contains('…')).unwrap().len() + 2;
        assert_eq!(lost + log.len() - note, 4000);
    }
}
