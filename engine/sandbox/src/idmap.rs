//! How the ids of the host appear inside the user namespace.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Gid, Uid};

use crate::sys;

/// How the ids of the host appear inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdMap {
    /// Every id is itself; needs root.
    Full,
    /// These ranges; needs root, or `newuidmap` and `newgidmap`.
    Ranges {
        /// User ids.
        uid: Vec<Range>,
        /// Group ids.
        gid: Vec<Range>,
    },
    /// The caller's own id is 0 inside, and there is no other. A run as another user than 0 gets
    /// one more user namespace, in which the own id has that number.
    Single,
}

/// Consecutive ids: `inside` is `outside` on the host, and so on for `count` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first id inside the namespace.
    pub inside: u32,
    /// The first id on the host.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl IdMap {
    /// Reads the caller's ranges from `/etc/subuid` and `/etc/subgid`: inside, 0 is the caller's own
    /// id and 1 is the first of the range.
    ///
    /// # Errors
    /// Says for a person which file has no range for the caller.
    pub fn subordinate() -> Result<Self, String> {
        let uid = rustix::process::getuid().as_raw();
        let name = sys::user_name(uid);
        let read = |path: &str, own: u32| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let found = subordinate_ranges(&text, name.as_deref(), uid);
            if found.is_empty() {
                let user = name.clone().unwrap_or_else(|| uid.to_string());
                return Err(format!(
                    "{path} has no range for {user}: add one with usermod --add-subuids \
                     100000-165535 --add-subgids 100000-165535 {user}"
                ));
            }
            Ok(own_first(own, &found))
        };
        Ok(Self::Ranges {
            uid: read("/etc/subuid", uid)?,
            gid: read("/etc/subgid", rustix::process::getgid().as_raw())?,
        })
    }
}

impl IdMap {
    /// Tells who root inside is on the host, where that is another than the caller.
    pub(crate) fn root_outside(&self) -> Option<(Uid, Gid)> {
        let Self::Ranges { uid, gid } = self else { return None };
        let outside = |ranges: &[Range]| ranges.iter().find(|r| r.inside == 0).map(|r| r.outside);
        Some((Uid::from_raw(outside(uid)?), Gid::from_raw(outside(gid)?)))
    }
}

/// Picks (start, count) of one user out of the text of `/etc/subuid`: subuid(5).
fn subordinate_ranges(text: &str, name: Option<&str>, id: u32) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut fields = line.trim().split(':');
        let (Some(who), Some(start), Some(count)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let own = Some(who) == name || who.parse() == Ok(id);
        if let (true, Ok(start), Ok(count)) = (own, start.parse::<u32>(), count.parse::<u32>())
            && count > 0
            && start.checked_add(count).is_some()
        {
            found.push((start, count));
        }
    }
    found
}

/// Lays ranges out behind the own id, leaving out what would not fit into 32 bits or hold the own id.
fn own_first(own: u32, found: &[(u32, u32)]) -> Vec<Range> {
    let mut ranges = vec![Range { inside: 0, outside: own, count: 1 }];
    let mut next = 1_u32;
    for &(start, count) in found {
        if (start..start + count).contains(&own) {
            continue;
        }
        let Some(after) = next.checked_add(count) else { break };
        ranges.push(Range { inside: next, outside: start, count });
        next = after;
    }
    ranges
}

/// Writes the maps of the user namespace that `pid` has just entered; user_namespaces(7).
///
/// # Errors
/// Says what failed and what to do, as (reason, advice).
pub(crate) fn write_maps(map: &IdMap, pid: u32) -> Result<(), (String, String)> {
    match map {
        IdMap::Full => {
            write_map(pid, "uid_map", &identity("/proc/self/uid_map").map_err(plain)?)?;
            write_map(pid, "gid_map", &identity("/proc/self/gid_map").map_err(plain)?)
        }
        IdMap::Ranges { uid, gid } => {
            write_or_help(pid, "uid_map", "newuidmap", uid)?;
            write_or_help(pid, "gid_map", "newgidmap", gid)
        }
        IdMap::Single => {
            let own = |id| [Range { inside: 0, outside: id, count: 1 }];
            let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
            write_map(pid, "uid_map", &text(&own(uid.as_raw())))?;
            // Without this the kernel lets nobody but root write a group map.
            put(Path::new(&format!("/proc/{pid}/setgroups")), "deny").map_err(plain)?;
            write_map(pid, "gid_map", &text(&own(gid.as_raw())))
        }
    }
}

fn plain(error: io::Error) -> (String, String) {
    (format!("cannot read or write id maps in /proc: {error}"), "is /proc mounted?".into())
}

/// Maps to itself every id that exists in this user namespace.
fn identity(path: &str) -> io::Result<String> {
    let mut ranges = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        if let (Some(Ok(inside)), Some(_), Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        {
            ranges.push(Range { inside, outside: inside, count });
        }
    }
    Ok(text(&ranges))
}

fn text(ranges: &[Range]) -> String {
    ranges.iter().map(|r| format!("{} {} {}\n", r.inside, r.outside, r.count)).collect()
}

/// The kernel wants a map in one single write.
fn put(path: &Path, content: &str) -> io::Result<()> {
    use std::io::Write;
    std::fs::OpenOptions::new().write(true).open(path)?.write_all(content.as_bytes())
}

fn write_map(pid: u32, file: &str, content: &str) -> Result<(), (String, String)> {
    put(Path::new(&format!("/proc/{pid}/{file}")), content).map_err(|error| {
        let advice = if error.kind() == io::ErrorKind::PermissionDenied {
            "use subordinate ids or the single id map when not root, and see whether AppArmor \
             restricts user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
        } else {
            "see whether the ids of the map exist in this user namespace (/proc/self/uid_map)"
        };
        (format!("the kernel refused the {file} of the user namespace: {error}"), advice.into())
    })
}

fn write_or_help(
    pid: u32,
    file: &str,
    tool: &str,
    ranges: &[Range],
) -> Result<(), (String, String)> {
    if put(Path::new(&format!("/proc/{pid}/{file}")), &text(ranges)).is_ok() {
        return Ok(());
    }
    let mut command = Command::new(tool);
    command.arg(pid.to_string()).stdin(Stdio::null()).stdout(Stdio::null());
    for range in ranges {
        command.args([range.inside, range.outside, range.count].map(|n| n.to_string()));
    }
    let output = command.output().map_err(|error| {
        let advice = "install it (package uidmap or shadow-utils), or use the single id map";
        (format!("cannot run {tool}: {error}"), advice.to_string())
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err((
        format!("{tool} failed: {}", said.trim()),
        format!("see whether {tool} is setuid root and /etc/subuid, /etc/subgid allow these ids"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number_and_nonsense_is_skipped() {
        let text =
            "ann:100000:65536\nbob:1:x\n1000:300000:10\n# no\nann:4294967295:9\nann:5\nann:7:0\n";
        let found = subordinate_ranges(text, Some("ann"), 1000);
        assert_eq!(found, [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(subordinate_ranges(text, None, 7), []);
    }

    #[test]
    fn the_own_id_is_zero_and_the_ranges_follow() {
        let ranges = own_first(1000, &[(100_000, 65_536), (990, 20), (300_000, 10)]);
        assert_eq!(text(&ranges), "0 1000 1\n1 100000 65536\n65537 300000 10\n");
        assert_eq!(own_first(1000, &[(0, u32::MAX)]).len(), 1);
    }
}
