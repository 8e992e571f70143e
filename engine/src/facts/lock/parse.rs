//! Reads the text of a lock.

use std::borrow::Cow;
use std::collections::BTreeMap;

use mabuild_oci::Digest;

use super::super::Family;
use super::words::{self, conflict_mark};
use super::{At, LOCK_FORMAT, Located, Lock, LockError, Package, Slot, Target, ask, pins};

/// The word of the line with the version of the format.
pub(super) const HEADER: &str = "mabuild-lock";
const MAX_BYTES: usize = 64 << 20;
const MAX_LINES: usize = 5_000_000;
/// No line has more words.
const MAX_WORDS: usize = 16;
/// Characters of a word that a message shows.
const SHOWN: usize = 60;

const UPDATE: &str = "write it as it was, or remove the line and run `mabuild upstream update`";

/// Where the facts of a line go.
enum Room<'l> {
    Slot(&'l mut Slot),
    Add(&'l mut Target),
    Watch(&'l mut Target),
}

/// A line with its words.
struct Line<'t, 'w> {
    number: usize,
    words: &'w [&'t str],
}

pub(super) fn parse(text: &str) -> Result<Lock, LockError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_BYTES {
        return Err(no_lock("the lock is larger than 64 MiB"));
    }
    parse_lines(text, MAX_LINES)
}

/// Reads a text of so many lines at most.
pub(super) fn parse_lines(text: &str, most: usize) -> Result<Lock, LockError> {
    let mut lock = Lock::default();
    let mut words: Vec<&str> = Vec::new();
    let mut headed = false;
    // Mostly the next line is of the same place, so that is not looked up again.
    let mut at = ["", "", ""];
    let mut room = None;
    for (index, text_of_line) in text.lines().enumerate() {
        if index >= most {
            return Err(no_lock(&format!("the lock has more than {most} lines")));
        }
        words.clear();
        words.extend(text_of_line.split_ascii_whitespace().take(MAX_WORDS));
        if let Some(mark) = conflict_mark(text_of_line) {
            return Err(conflict(text, index + 1, mark));
        }
        if words.first().is_none_or(|word| word.starts_with('#')) {
            continue;
        }
        let line = Line { number: index + 1, words: &words };
        if !headed {
            line.header()?;
            headed = true;
            continue;
        }
        let [node, platform, slot, fact, facts @ ..] = line.words else {
            return Err(line.bad("the line ends too early", "NODE PLATFORM SLOT FACT …"));
        };
        if at != [*node, *platform, *slot] || room.is_none() {
            at = [*node, *platform, *slot];
            let target = lock.target_mut(&line.text(node)?, &line.text(platform)?);
            room = Some(match *slot {
                "add" => Room::Add(target),
                "watch" => Room::Watch(target),
                slot => {
                    let slot = line.text(slot)?.into_owned();
                    Room::Slot(target.slots.entry(slot).or_default())
                }
            });
        }
        match &mut room {
            Some(Room::Slot(slot)) => line.slot(slot, fact, facts)?,
            Some(Room::Add(target)) => line.add(target, fact, facts)?,
            Some(Room::Watch(target)) => line.watch(target, fact, facts)?,
            None => {}
        }
    }
    if !headed {
        return Err(no_lock("the lock has no line `mabuild-lock 1`"));
    }
    check_order(&lock)?;
    Ok(lock)
}

fn no_lock(message: &str) -> LockError {
    let help = "take mabuild.lock from the last commit, or remove it and run `mabuild upstream \
        update`";
    LockError { line: None, other_line: None, message: message.into(), help: help.into() }
}

/// What git left of a conflict.
fn conflict(text: &str, line: usize, mark: &str) -> LockError {
    let rest = text.lines().enumerate().skip(line);
    let end = rest.into_iter().find(|(_, text)| conflict_mark(text) == Some(">>>>>>>"));
    let end = end.map(|(index, _)| index + 1).filter(|_| mark != ">>>>>>>");
    let lines = match end {
        Some(end) => format!("in lines {line} to {end}"),
        None => format!("in line {line}"),
    };
    LockError {
        line: Some(line),
        other_line: end,
        message: format!("the lock has a conflict of git that is not resolved, {lines}"),
        help: "keep either side, remove the lines with the marks, then run `mabuild upstream \
            update`"
            .into(),
    }
}

/// Checks that the order of packages is whole; a merge can tear it.
fn check_order(lock: &Lock) -> Result<(), LockError> {
    for (node, _, target) in lock.targets() {
        for slot in target.slots.values() {
            let Err((name, package)) = pins::order(&slot.packages) else { continue };
            return Err(LockError {
                line: package.line(),
                other_line: None,
                message: format!(
                    "the order of the packages of {} is torn at {}",
                    shown(node),
                    shown(name)
                ),
                help: "a merge can do that: run `mabuild upstream update` on either side of it"
                    .into(),
            });
        }
    }
    Ok(())
}

/// A word as a message shows it.
fn shown(word: &str) -> String {
    let mut out: String = word.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if word.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    format!("`{out}`")
}

impl<'t> Line<'t, '_> {
    fn bad(&self, message: impl Into<String>, help: &str) -> LockError {
        let message = message.into();
        LockError { line: Some(self.number), other_line: None, message, help: help.into() }
    }

    fn header(&self) -> Result<(), LockError> {
        let [HEADER, version] = self.words else {
            let message = "the lock does not start with `mabuild-lock 1`";
            return Err(LockError { line: Some(self.number), ..no_lock(message) });
        };
        match version.parse::<u32>() {
            Ok(LOCK_FORMAT) => Ok(()),
            Ok(version) if version > LOCK_FORMAT => Err(self.bad(
                format!(
                    "the lock was written by a newer mabuild: it has format {version}, and \
                    this one knows {LOCK_FORMAT}"
                ),
                "use the newer mabuild here too",
            )),
            _ => Err(self.bad(format!("{} is no format of a lock", shown(version)), UPDATE)),
        }
    }

    fn text(&self, word: &'t str) -> Result<Cow<'t, str>, LockError> {
        let wrong = || format!("{}: after `%` come two hex digits of a UTF-8 text", shown(word));
        words::decode(word).ok_or_else(|| self.bad(wrong(), UPDATE))
    }

    fn owned(&self, word: &'t str) -> Result<String, LockError> {
        self.text(word).map(Cow::into_owned)
    }

    fn time(&self, word: &str) -> Result<i64, LockError> {
        let wrong = || format!("{} is no time such as 2026-11-21T10:00:00Z", shown(word));
        words::time(word).ok_or_else(|| self.bad(wrong(), UPDATE))
    }

    /// A `sha256:…` or `sha512:…`. It becomes part of paths, so it has to be one.
    fn digest(&self, word: &str) -> Result<String, LockError> {
        match Digest::parse(word) {
            Ok(_) => Ok(word.to_owned()),
            Err(_) => Err(self.bad(format!("{} is no digest", shown(word)), UPDATE)),
        }
    }

    fn hex(&self, word: &str, lengths: &[usize]) -> Result<String, LockError> {
        let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if lengths.contains(&word.len()) && word.bytes().all(digit) {
            return Ok(word.to_owned());
        }
        let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
        let lengths = lengths.join(" or ");
        Err(self.bad(format!("{} is not {lengths} hex digits", shown(word)), UPDATE))
    }

    fn located(&self, digest: &str, location: &'t str) -> Result<Located, LockError> {
        Ok(Located { digest: self.digest(digest)?, location: self.owned(location)? })
    }

    fn unknown(&self, fact: &str, facts: &[&str]) -> LockError {
        let known = "ask archive version manifest below family release package seen";
        let known = match self.words.get(2) {
            Some(&"add") => "file commit",
            Some(&"watch") => "package moved",
            _ => known,
        };
        let message = match known.split(' ').any(|word| word == fact) {
            true => format!("`{fact}` is not followed by {} words", facts.len()),
            false => format!("{} is no fact; there are: {known}", shown(fact)),
        };
        self.bad(message, UPDATE)
    }

    /// Keeps a value of which there is one.
    fn one<T: PartialEq>(&self, room: &mut Option<At<T>>, value: T) -> Result<(), LockError> {
        match room {
            Some(old) if old.value != value => Err(self.twice(old.line)),
            Some(_) => Ok(()),
            None => {
                *room = Some(At { value, line: self.number as u32 });
                Ok(())
            }
        }
    }

    /// Keeps a value under a name.
    fn named<K: Ord, T: PartialEq>(
        &self,
        room: &mut BTreeMap<K, At<T>>,
        name: K,
        value: T,
    ) -> Result<(), LockError> {
        match room.get(&name) {
            Some(old) if old.value != value => Err(self.twice(old.line)),
            Some(_) => Ok(()),
            None => {
                room.insert(name, At { value, line: self.number as u32 });
                Ok(())
            }
        }
    }

    fn twice(&self, other: u32) -> LockError {
        let number = self.number;
        LockError {
            line: Some(number),
            other_line: Some(other as usize),
            message: format!("lines {other} and {number} say two things of one"),
            help: "a merge can do that: remove either line, then run `mabuild upstream update`"
                .into(),
        }
    }

    fn slot(&self, slot: &mut Slot, fact: &str, facts: &[&'t str]) -> Result<(), LockError> {
        match (fact, facts) {
            ("package", [name, version, arch, sha256, size, archive, path, after @ ..]) => {
                let after = match after {
                    [] => None,
                    ["after", name] => Some(self.owned(name)?),
                    _ => return Err(self.unknown(fact, facts)),
                };
                let hex = sha256.strip_prefix("sha256:").unwrap_or_default();
                let wrong = || format!("{} is no number of bytes", shown(size));
                let package = Package {
                    version: self.owned(version)?,
                    arch: self.owned(arch)?,
                    sha256: self.hex(hex, &[64])?,
                    size: size.parse().map_err(|_| self.bad(wrong(), UPDATE))?,
                    archive: self.owned(archive)?,
                    path: self.owned(path)?,
                    after,
                };
                self.named(&mut slot.packages, self.owned(name)?, package)
            }
            ("ask", [digest]) => self.one(&mut slot.ask, self.hex(digest, &[ask::DIGITS])?),
            ("archive", [digest, at]) => self.one(&mut slot.archive, self.located(digest, at)?),
            ("version", [version]) => self.one(&mut slot.version, self.owned(version)?),
            ("manifest", [digest, at]) => self.one(&mut slot.manifest, self.located(digest, at)?),
            ("below", [below]) => self.one(&mut slot.below, self.owned(below)?),
            ("family", ["debian"]) => self.one(&mut slot.family, Family::Debian),
            ("family", ["alpine"]) => self.one(&mut slot.family, Family::Alpine),
            ("family", [family]) => {
                let message = format!("{} is no family of distributions", shown(family));
                Err(self.bad(message, "there are `debian` and `alpine`"))
            }
            ("release", [archive, time]) => {
                self.named(&mut slot.releases, self.owned(archive)?, self.time(time)?)
            }
            ("seen", [id, time]) => self.named(&mut slot.seen, self.owned(id)?, self.time(time)?),
            _ => Err(self.unknown(fact, facts)),
        }
    }

    fn add(&self, target: &mut Target, fact: &str, facts: &[&'t str]) -> Result<(), LockError> {
        match (fact, facts) {
            ("file", [address, digest]) => {
                self.named(&mut target.files, self.owned(address)?, self.digest(digest)?)
            }
            ("commit", [source, commit]) => {
                let (remote, reference) = match source.split_once('#') {
                    Some((remote, reference)) => (remote, Some(self.owned(reference)?)),
                    None => (*source, None),
                };
                let name = (self.owned(remote)?, reference);
                self.named(&mut target.commits, name, self.hex(commit, &[40, 64])?)
            }
            _ => Err(self.unknown(fact, facts)),
        }
    }

    fn watch(&self, target: &mut Target, fact: &str, facts: &[&'t str]) -> Result<(), LockError> {
        match (fact, facts) {
            ("package", [name, version]) => {
                self.named(&mut target.watched, self.owned(name)?, self.owned(version)?)
            }
            ("moved", [time]) => self.one(&mut target.moved, self.time(time)?),
            _ => Err(self.unknown(fact, facts)),
        }
    }
}
