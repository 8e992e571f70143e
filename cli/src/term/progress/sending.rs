//! What registries are being sent, a line for each of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mabuild_engine::report::words;

/// What registries are sent, by host.
#[derive(Default)]
pub struct Sending(BTreeMap<String, Host>);

#[derive(Default)]
struct Host {
    /// Blobs on their way, each into a repository: bytes so far, and in all.
    open: HashMap<(Arc<str>, Arc<str>), (u64, u64)>,
    /// Blobs that have arrived.
    blobs: usize,
    /// Bytes of them.
    bytes: u64,
}

impl Sending {
    /// Takes in how far a blob is. One that was given up counts no more.
    pub fn apply(&mut self, (to, blob): (&Arc<str>, &Arc<str>), sizes: (u64, u64), is_over: bool) {
        let name = to.split('/').next().unwrap_or_default();
        let host = self.0.entry(words::one_line(name)).or_default();
        let (done, total) = sizes;
        let name = (to.clone(), blob.clone());
        if !is_over {
            host.open.insert(name, sizes);
        } else if host.open.remove(&name).is_some() && done == total {
            host.blobs += 1;
            host.bytes += total;
        }
    }

    /// A line for each host that is sent something now.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter(|(_, host)| !host.open.is_empty()).map(|(name, host)| {
            let (done, total) = host.open.values().fold((host.bytes, host.bytes), |sum, one| {
                (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1))
            });
            let (blobs, all) = (host.blobs, words::count(host.blobs + host.open.len(), "blob"));
            let (done, total) = (words::bytes(done), words::bytes(total));
            format!("sending to {name}  {blobs} of {all}, {done} of {total}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_gets_is_one_line_until_it_has_it() {
        let mut sending = Sending::default();
        let to: [Arc<str>; 2] = ["r.io:5/a".into(), "r.io:5/b/c".into()];
        let blobs: [Arc<str>; 4] = ["-", "1", "2", "3"].map(Arc::from);
        let blob = |n: usize| &blobs[n];
        for (to, number) in [(&to[0], 1), (&to[1], 1), (&to[1], 2)] {
            sending.apply((to, blob(number)), (0, 2048), false);
        }
        let lines = |sending: &Sending| sending.lines().collect::<Vec<_>>();
        sending.apply((&to[0], blob(1)), (1024, 2048), false);
        assert_eq!(lines(&sending), ["sending to r.io:5  0 of 3 blobs, 1.00 KiB of 6.00 KiB"]);
        sending.apply((&to[0], blob(1)), (2048, 2048), true);
        sending.apply((&to[1], blob(2)), (0, 2048), true);
        assert_eq!(lines(&sending), ["sending to r.io:5  1 of 2 blobs, 2.00 KiB of 4.00 KiB"]);
        sending.apply((&to[1], blob(1)), (2048, 2048), true);
        assert!(lines(&sending).is_empty());
        // What comes later counts on.
        sending.apply((&to[0], blob(3)), (0, 1024), false);
        sending.apply((&"q/x".into(), blob(3)), (5, 10), false);
        assert_eq!(
            lines(&sending),
            [
                "sending to q  0 of 1 blob, 5 B of 10 B",
                "sending to r.io:5  2 of 3 blobs, 4.00 KiB of 5.00 KiB"
            ]
        );
    }
}
