//! What of this machine one piece of work may take, beside the others that are under way.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is under way.
#[derive(Default)]
pub(super) struct Machine(AtomicUsize);

/// One piece of work, until it is dropped.
pub(super) struct Share<'a> {
    machine: &'a Machine,
    /// How many were under way when it began, itself included.
    together: usize,
}

impl Machine {
    /// Begins a piece of work.
    pub fn share(&self) -> Share<'_> {
        Share { machine: self, together: self.0.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Share<'_> {
    /// Its threads, of all that work on layers: those that begin alone have all of them.
    pub fn threads(&self, all: usize) -> usize {
        (all / self.together).max(1)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.machine.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes of memory that one of `count` pieces of work may fill with files: all together half of what
/// is free, on the machine and in each control group above this process. None where nobody knows.
pub(super) fn memory(count: usize) -> Option<u64> {
    let groups = Path::new("/sys/fs/cgroup");
    let mut free = field(&read(Path::new("/proc/meminfo"))?, "MemAvailable:")? << 10;
    let own = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let own = groups.join(own);
    let above = own.ancestors().take_while(|path| path.starts_with(groups));
    for left in above.filter_map(left) {
        free = free.min(left);
    }
    Some(free / 2 / u64::try_from(count.max(1)).ok()?)
}

/// Bytes that a control group may still take; none where it has no limit.
fn left(group: &Path) -> Option<u64> {
    let number = |name: &str| read(&group.join(name))?.trim().parse::<u64>().ok();
    let (most, used) = (number("memory.max")?, number("memory.current")?);
    // What was read from disks goes when the memory is wanted.
    let stat = read(&group.join("memory.stat")).unwrap_or_default();
    let goes = field(&stat, "inactive_file").unwrap_or_default();
    Some(most.saturating_sub(used.saturating_sub(goes)))
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut words = text.lines().map(str::split_whitespace);
    words.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_alone_has_all_threads_and_later_ones_have_their_part() {
        let machine = Machine::default();
        let first = machine.share();
        let second = machine.share();
        assert_eq!([first.threads(8), second.threads(8), second.threads(1)], [8, 4, 1]);
        drop((first, second));
        assert_eq!(machine.share().threads(8), 8);
    }

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        let text = "MemFree: 5 kB\nMemAvailable:   77 kB\nodd\n";
        assert_eq!(field(text, "MemAvailable:"), Some(77));
        assert_eq!(field(text, "Mem"), None);
        assert_eq!(field("a x\n", "a"), None);
    }
}
