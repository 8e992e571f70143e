//! The ids that processes believe to have. With one real id a process cannot change its own, so
//! the changes are kept here; children have what their parent had when they are first seen.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::caller::{Caller, about};
use super::{Answer, Answered, KEEP};

/// More groups than the kernel lets a process have.
const MAX_GROUPS: usize = 65536;
/// How far up an ancestor with known ids is looked for.
const MAX_ANCESTORS: usize = 256;
/// When the table is this large, ended processes are taken out.
const CLEAN_AT: usize = 4096;

/// Real, effective, saved and file system id; credentials(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Four {
    real: u32,
    effective: u32,
    saved: u32,
    fs: u32,
}

impl Four {
    fn all(id: u32) -> Self {
        Self { real: id, effective: id, saved: id, fs: id }
    }

    fn holds(&self, id: u32) -> bool {
        [self.real, self.effective, self.saved].contains(&id)
    }

    /// setuid(2) and setgid(2).
    fn set(&mut self, id: u32, privileged: bool) -> rustix::io::Result<()> {
        if id == KEEP {
            return Err(Errno::INVAL);
        }
        if privileged {
            *self = Self::all(id);
        } else if id == self.real || id == self.saved {
            (self.effective, self.fs) = (id, id);
        } else {
            return Err(Errno::PERM);
        }
        Ok(())
    }

    /// setreuid(2) and setregid(2).
    fn set_two(&mut self, real: u32, effective: u32, privileged: bool) -> rustix::io::Result<()> {
        let may_real = [KEEP, self.real, self.effective].contains(&real);
        let may_effective = effective == KEEP || self.holds(effective);
        if !(privileged || may_real && may_effective) {
            return Err(Errno::PERM);
        }
        let old = self.real;
        keep_or_set(&mut self.real, real);
        keep_or_set(&mut self.effective, effective);
        if real != KEEP || effective != KEEP && effective != old {
            self.saved = self.effective;
        }
        self.fs = self.effective;
        Ok(())
    }

    /// setresuid(2) and setresgid(2).
    fn set_three(&mut self, ids: [u32; 3], privileged: bool) -> rustix::io::Result<()> {
        if !privileged && ids.iter().any(|id| *id != KEEP && !self.holds(*id)) {
            return Err(Errno::PERM);
        }
        keep_or_set(&mut self.real, ids[0]);
        keep_or_set(&mut self.effective, ids[1]);
        keep_or_set(&mut self.saved, ids[2]);
        self.fs = self.effective;
        Ok(())
    }

    /// setfsuid(2) and setfsgid(2): returns the old one, whatever happens.
    fn set_fs(&mut self, id: u32, privileged: bool) -> u32 {
        let old = self.fs;
        if id != KEEP && (privileged || self.holds(id) || id == old) {
            self.fs = id;
        }
        old
    }
}

fn keep_or_set(field: &mut u32, id: u32) {
    if id != KEEP {
        *field = id;
    }
}

/// The ids of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Creds {
    user: Four,
    group: Four,
    groups: Vec<u32>,
    /// Whether PR_SET_KEEPCAPS is set: the rights of root stay when its id goes.
    keep: bool,
    /// Whether rights stayed in this way. They would end at the next exec, which is not noticed
    /// here; they only let a process change its ids again.
    kept: bool,
}

impl Creds {
    pub fn new(uid: u32, gid: u32, groups: Vec<u32>) -> Self {
        Self { user: Four::all(uid), group: Four::all(gid), groups, keep: false, kept: false }
    }

    fn privileged(&self) -> bool {
        self.user.effective == 0 || self.kept
    }

    /// Notes what happens to the rights of root after a change of user ids; capabilities(7).
    fn settle(&mut self, before: &Self) {
        let was_root = before.user.holds(0);
        let is_root = self.user.holds(0);
        self.kept = if was_root && !is_root { self.keep } else { before.kept && !is_root };
    }

    /// Owner and group of what this process creates.
    pub fn creator(&self) -> (u32, u32) {
        (self.user.fs, self.group.fs)
    }

    /// Tells whether this process may make devices.
    pub fn may_make_devices(&self) -> rustix::io::Result<()> {
        if self.user.effective == 0 { Ok(()) } else { Err(Errno::PERM) }
    }

    /// Tells whether this process may give a file of `now` to `uid` and `gid`; chown(2).
    pub fn may_chown(&self, now: (u32, u32), uid: u32, gid: u32) -> rustix::io::Result<()> {
        let owns = self.user.fs == now.0;
        let user_stays = uid == KEEP || owns && uid == now.0;
        let own_group = self.group.fs == gid || self.groups.contains(&gid);
        let group_may = gid == KEEP || owns && (own_group || gid == now.1);
        if self.user.fs == 0 || user_stays && group_may { Ok(()) } else { Err(Errno::PERM) }
    }
}

/// The ids of all processes of a run.
#[derive(Debug)]
pub(super) struct Ids {
    first: Creds,
    /// By process: when it started (numbers are used again), and its ids. Empty until a process
    /// changes its ids.
    known: HashMap<i32, (u64, Creds)>,
}

impl Ids {
    pub fn new(first: Creds) -> Self {
        Self { first, known: HashMap::new() }
    }

    /// Tells which ids a process has.
    pub fn of(&mut self, caller: &Caller<'_>) -> rustix::io::Result<Creds> {
        if self.known.is_empty() {
            return Ok(self.first.clone());
        }
        let process = process_of(caller)?;
        let (start, _) = origin(caller.proc, process)?;
        let creds = self.inherited(caller.proc, process);
        self.known.insert(process, (start, creds.clone()));
        Ok(creds)
    }

    fn inherited(&self, proc: BorrowedFd<'_>, process: i32) -> Creds {
        let mut at = process;
        for _ in 0..MAX_ANCESTORS {
            let Ok((start, parent)) = origin(proc, at) else { break };
            if let Some((_, creds)) = self.known.get(&at).filter(|(since, _)| *since == start) {
                return creds.clone();
            }
            at = parent;
        }
        self.first.clone()
    }

    /// Answers a call about ids.
    pub fn answer(&mut self, name: &str, caller: &Caller<'_>) -> Answered {
        let now = self.of(caller)?;
        let value = match name {
            "getuid" => now.user.real,
            "geteuid" => now.user.effective,
            "getgid" => now.group.real,
            "getegid" => now.group.effective,
            "getresuid" => return three(caller, &now.user),
            "getresgid" => return three(caller, &now.group),
            "getgroups" => return groups(caller, &now.groups),
            _ => return self.change(name, caller, now),
        };
        Ok(Answer::Value(value.into()))
    }

    fn change(&mut self, name: &str, caller: &Caller<'_>, now: Creds) -> Answered {
        let mut new = now.clone();
        let may = now.privileged();
        let [one, two, three] = [0, 1, 2].map(|index| caller.id_at(index));
        let mut value = 0;
        match name {
            "setuid" => new.user.set(one, may)?,
            "setgid" => new.group.set(one, may)?,
            "setreuid" => new.user.set_two(one, two, may)?,
            "setregid" => new.group.set_two(one, two, may)?,
            "setresuid" => new.user.set_three([one, two, three], may)?,
            "setresgid" => new.group.set_three([one, two, three], may)?,
            "setfsuid" => value = new.user.set_fs(one, may),
            "setfsgid" => value = new.group.set_fs(one, may),
            "setgroups" if !may => return Err(Errno::PERM),
            "setgroups" => {
                let count = usize::try_from(one).unwrap_or(usize::MAX);
                if count > MAX_GROUPS {
                    return Err(Errno::INVAL);
                }
                new.groups = caller.numbers(1, count)?;
            }
            "prctl" => new.keep = two == 1,
            _ => return Ok(Answer::Continue),
        }
        new.settle(&now);
        if new != now {
            let process = process_of(caller)?;
            let (start, _) = origin(caller.proc, process)?;
            self.clean(caller.proc);
            self.known.insert(process, (start, new));
        }
        if name == "prctl" {
            return Ok(Answer::Continue);
        }
        Ok(Answer::Value(value.into()))
    }

    fn clean(&mut self, proc: BorrowedFd<'_>) {
        if self.known.len() >= CLEAN_AT {
            self.known
                .retain(|process, (since, _)| origin(proc, *process).is_ok_and(|o| o.0 == *since));
        }
    }
}

fn three(caller: &Caller<'_>, ids: &Four) -> Answered {
    for (index, id) in [ids.real, ids.effective, ids.saved].into_iter().enumerate() {
        caller.write(index, &id.to_ne_bytes())?;
    }
    Ok(Answer::Value(0))
}

fn groups(caller: &Caller<'_>, groups: &[u32]) -> Answered {
    let room = caller.fd_at(0);
    let count = i64::try_from(groups.len()).map_err(|_| Errno::INVAL)?;
    if room < 0 || room > 0 && i64::from(room) < count {
        return Err(Errno::INVAL);
    }
    if room > 0 && count > 0 {
        let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_ne_bytes()).collect();
        caller.write(1, &bytes)?;
    }
    Ok(Answer::Value(count))
}

/// Finds the process of a thread.
fn process_of(caller: &Caller<'_>) -> rustix::io::Result<i32> {
    field(&caller.about("status")?, "Tgid:").and_then(|text| text.parse().ok()).ok_or(Errno::SRCH)
}

/// Reads the umask of the caller.
pub(super) fn umask_of(caller: &Caller<'_>) -> rustix::io::Result<u32> {
    let status = caller.about("status")?;
    field(&status, "Umask:").and_then(|text| u32::from_str_radix(text, 8).ok()).ok_or(Errno::SRCH)
}

/// Reads whom the files belong to that the caller makes, and whether it may make devices, where both
/// are real.
pub(super) fn real_creator(caller: &Caller<'_>) -> rustix::io::Result<((u32, u32), bool)> {
    parse_creator(&caller.about("status")?).ok_or(Errno::SRCH)
}

fn parse_creator(status: &str) -> Option<((u32, u32), bool)> {
    // Real, effective, saved and file system id.
    let of_files = |name| field(status, name)?.split_ascii_whitespace().nth(3)?.parse().ok();
    let capabilities = u64::from_str_radix(field(status, "CapEff:")?, 16).ok()?;
    // linux/capability.h: CAP_MKNOD
    Some(((of_files("Uid:")?, of_files("Gid:")?), capabilities & 1 << 27 != 0))
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Tells when a process started, and its parent.
fn origin(proc: BorrowedFd<'_>, process: i32) -> rustix::io::Result<(u64, i32)> {
    if process <= 0 {
        return Err(Errno::SRCH);
    }
    parse_stat(&about(proc, process, "stat")?).ok_or(Errno::SRCH)
}

/// Reads start time and parent out of `/proc/PID/stat`; the name in parentheses may hold anything.
fn parse_stat(stat: &str) -> Option<(u64, i32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    Some((fields.get(19)?.parse().ok()?, fields.get(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_gives_its_ids_up_for_good() {
        let mut ids = Four::all(0);
        ids.set(100, true).unwrap();
        assert_eq!(ids, Four::all(100));
        assert_eq!(ids.set(0, false), Err(Errno::PERM));
        assert_eq!(ids.set_three([0, 0, 0], false), Err(Errno::PERM));
        assert_eq!(ids.set(KEEP, true), Err(Errno::INVAL));
    }

    #[test]
    fn the_saved_id_is_a_way_back() {
        let mut ids = Four::all(0);
        ids.set_three([KEEP, 5, KEEP], true).unwrap();
        assert_eq!((ids.real, ids.effective, ids.saved, ids.fs), (0, 5, 0, 5));
        ids.set(0, false).unwrap();
        assert_eq!(ids.effective, 0);
        let mut ids = Four::all(0);
        ids.set_two(KEEP, 5, true).unwrap();
        assert_eq!((ids.effective, ids.saved), (5, 5));
        ids.set_two(5, 0, false).unwrap();
        assert_eq!((ids.real, ids.effective, ids.saved), (5, 0, 0));
    }

    #[test]
    fn rights_are_kept_on_request_only() {
        for keep in [false, true] {
            let mut creds = Creds::new(0, 0, vec![]);
            creds.keep = keep;
            let before = creds.clone();
            creds.user.set(6, true).unwrap();
            creds.settle(&before);
            assert_eq!(creds.privileged(), keep);
            assert!(creds.may_chown((0, 0), 6, KEEP).is_err());
        }
    }

    #[test]
    fn setfsuid_always_returns_the_old_id() {
        let mut ids = Four::all(7);
        assert_eq!(ids.set_fs(0, false), 7);
        assert_eq!(ids.set_fs(9, true), 7);
        assert_eq!(ids.set_fs(KEEP, true), 9);
    }

    #[test]
    fn only_root_gives_files_away() {
        let user = Creds::new(5, 6, vec![7]);
        assert!(user.may_chown((5, 6), KEEP, 7).is_ok());
        assert!(user.may_chown((5, 6), 5, 6).is_ok());
        assert!(user.may_chown((5, 6), 8, KEEP).is_err());
        assert!(user.may_chown((5, 6), KEEP, 8).is_err());
        assert!(user.may_chown((0, 0), KEEP, 7).is_err());
        assert!(Creds::new(0, 0, vec![]).may_chown((5, 6), 8, 8).is_ok());
    }

    #[test]
    fn real_ids_and_rights_are_read() {
        let status = |caps: &str| format!("Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapEff:\t{caps}\n");
        assert_eq!(parse_creator(&status("00000000a80425fb")), Some(((4, 8), true)));
        assert_eq!(parse_creator(&status("00000000a00425fb")), Some(((4, 8), false)));
        assert_eq!(parse_creator("Uid:\t1\n"), None);
    }

    #[test]
    fn stat_lines_with_hostile_names_are_read() {
        let rest = "R 42 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 777 1 1";
        assert_eq!(parse_stat(&format!("9 (a) R 1 (b) {rest}")), Some((777, 42)));
        assert_eq!(parse_stat("9 (a"), None);
        assert_eq!(parse_stat("9 (a) R"), None);
    }
}
