//! Writes the text of a lock.

use super::super::Family;
use super::parse::HEADER;
use super::{LOCK_FORMAT, Located, Lock, Package, Slot, Target, words};

const COMMENT: &str = "# Written by mabuild; `mabuild upstream update` moves it. Conflicts: keep \
    either side, then run it.\n";

/// Lines that are gathered.
#[derive(Default)]
struct Printer {
    /// What the lines that come start with.
    prefix: String,
    text: String,
    /// Where the lines end.
    ends: Vec<usize>,
}

pub(super) fn print(lock: &Lock) -> String {
    let mut out = Printer::default();
    for (node, platform, target) in lock.targets() {
        out.target(node, platform, target);
    }
    let starts = std::iter::once(0).chain(out.ends.iter().copied());
    let lines = starts.zip(&out.ends).filter_map(|(start, end)| out.text.get(start..*end));
    let mut lines: Vec<&str> = lines.collect();
    // Escaped words and names that are the start of others are not in the order of the maps.
    lines.sort_unstable();
    let mut text = format!("{COMMENT}{HEADER} {LOCK_FORMAT}\n");
    text.reserve(out.text.len());
    text.extend(lines);
    text
}

impl Printer {
    /// Begins lines that are not of a slot.
    fn begin(&mut self, node: &str, platform: &str, kind: &str) {
        self.prefix.clear();
        for word in [node, platform] {
            words::push(&mut self.prefix, word);
            self.prefix.push(' ');
        }
        self.prefix.push_str(kind);
    }

    /// Begins lines of a slot. One that is called as the other words that can stand there has its
    /// first letter escaped.
    fn begin_slot(&mut self, node: &str, platform: &str, slot: &str) {
        self.begin(node, platform, "");
        match slot {
            "add" => self.prefix.push_str("%61dd"),
            "watch" => self.prefix.push_str("%77atch"),
            _ => words::push(&mut self.prefix, slot),
        }
    }

    fn line(&mut self, fact: &str, words: &[&str]) {
        self.begin_line(fact);
        for word in words {
            self.text.push(' ');
            words::push(&mut self.text, word);
        }
        self.end_line();
    }

    fn begin_line(&mut self, fact: &str) {
        self.text.push_str(&self.prefix);
        self.text.push(' ');
        self.text.push_str(fact);
    }

    fn end_line(&mut self) {
        self.text.push('\n');
        self.ends.push(self.text.len());
    }

    fn target(&mut self, node: &str, platform: &str, target: &Target) {
        let Target { slots, files, commits, watched, moved } = target;
        self.begin(node, platform, "add");
        for ((remote, reference), commit) in commits {
            self.commit(remote, reference.as_deref(), &commit.value);
        }
        for (address, digest) in files {
            self.line("file", &[address, &digest.value]);
        }
        self.begin(node, platform, "watch");
        if let Some(moved) = moved {
            self.line("moved", &[&words::time_text(moved.value)]);
        }
        for (name, version) in watched {
            self.line("package", &[name, &version.value]);
        }
        for (name, slot) in slots {
            self.begin_slot(node, platform, name);
            self.slot(slot);
        }
    }

    fn slot(&mut self, slot: &Slot) {
        let Slot { ask, archive, version, manifest, below, family, releases, packages, seen } =
            slot;
        for (fact, located) in [("archive", archive), ("manifest", manifest)] {
            for Located { digest, location } in located.iter().map(|at| &at.value) {
                self.line(fact, &[digest, location]);
            }
        }
        for (fact, text) in [("ask", ask), ("below", below), ("version", version)] {
            text.iter().for_each(|text| self.line(fact, &[&text.value]));
        }
        if let Some(family) = family {
            let word = match family.value {
                Family::Debian => "debian",
                Family::Alpine => "alpine",
            };
            self.line("family", &[word]);
        }
        for (name, package) in packages {
            let Package { version, arch, sha256, size, archive, path, after } = &package.value;
            let (digest, size) = (format!("sha256:{sha256}"), size.to_string());
            let words = [name, version, arch, &digest, &size, archive, path].map(String::as_str);
            match after {
                None => self.line("package", &words),
                Some(after) => {
                    let [a, b, c, d, e, f, g] = words;
                    self.line("package", &[a, b, c, d, e, f, g, "after", after]);
                }
            }
        }
        for (fact, times) in [("release", releases), ("seen", seen)] {
            for (name, time) in times {
                self.line(fact, &[name, &words::time_text(time.value)]);
            }
        }
    }

    /// The commit of a repository. A `#` of its address is escaped, so that the first one stands
    /// before the reference.
    fn commit(&mut self, remote: &str, reference: Option<&str>, commit: &str) {
        let mut source = String::new();
        words::push(&mut source, remote);
        source = source.replace('#', "%23");
        if let Some(reference) = reference {
            source.push('#');
            words::push(&mut source, reference);
        }
        self.begin_line("commit ");
        self.text.push_str(&source);
        self.text.push(' ');
        words::push(&mut self.text, commit);
        self.end_line();
    }
}
