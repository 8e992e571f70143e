//! What running the scripts of packages leaves behind and no image should have: caches, logs,
//! backups, and all that differs from run to run.

use mabuild_oci::layer::{Content, Entry, EntryKind};

use crate::exec::native::content;

/// Folders of which nothing stays.
const EMPTIED: [&str; 8] =
    ["dev/", "proc/", "run/", "sys/", "tmp/", "var/tmp/", "var/run/", "usr/tmp/"];

/// Folders of which only the folders stay.
const CACHES: [&str; 5] = [
    "var/cache/apk/",
    "var/cache/apt/",
    "var/cache/ldconfig/",
    "var/cache/man/",
    "var/lib/apt/lists/",
];

/// Files that go: logs of the package managers, states of one machine, backups of the last change.
const GONE: [&str; 22] = [
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/passwords.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/available-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/status-old",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/random-seed",
    "var/log/alternatives.log",
    "var/log/apk.log",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
    "var/log/fontconfig.log",
    "var/log/installer",
];

/// Files that stay and are empty: programs fill them when a system starts.
const BLANK: [&str; 1] = ["etc/machine-id"];

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Takes out of what a run has changed what should not stay.
///
/// # Errors
/// When the table of passwords cannot be read.
pub(in crate::exec::native) fn clean(entries: Vec<Entry>, date: i64) -> Result<Vec<Entry>, String> {
    let mut out = Vec::with_capacity(entries.len());
    for mut entry in entries {
        if goes(&entry) {
            continue;
        }
        // Not every machine can set these; where they matter they are made when the system starts.
        entry.xattrs.retain(|name, _| !name.starts_with(b"system.posix_acl_"));
        let path = entry.path.as_slice();
        let blank =
            BLANK.iter().any(|name| name.as_bytes() == path) || path.starts_with(b"var/log/");
        if let EntryKind::File { content, size } = &mut entry.kind {
            if blank {
                (*content, *size) = (Content::Bytes(Vec::new()), 0);
            } else if path == b"etc/shadow" {
                let bytes = content::bytes(content, *size).map_err(|fault| fault.message)?;
                let bytes = dated(&bytes, date / DAY);
                *size = bytes.len() as u64;
                *content = Content::Bytes(bytes);
            }
        }
        out.push(entry);
    }
    Ok(out)
}

fn goes(entry: &Entry) -> bool {
    // What the image below has and a run took away is gone.
    if entry.is_marker() {
        return false;
    }
    let path = entry.path.as_slice();
    let below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder.as_bytes()));
    let has_part = |part: &[u8]| path.split(|byte| *byte == b'/').any(|other| other == part);
    if path == b"run/lock" && entry.is_dir() {
        // The place of /var/lock: Debian Policy 9.1.4.
        return false;
    }
    // A secret of one machine, made anew by every installation, has no place in an image that
    // many run: `ssh-keygen -A` makes them when a container starts.
    if path.starts_with(b"etc/ssh/ssh_host_") {
        return true;
    }
    let is_apt_log = path.starts_with(b"var/log/apt/") && !entry.is_dir();
    below(&EMPTIED)
        || (below(&CACHES) && !entry.is_dir())
        || GONE.iter().any(|name| name.as_bytes() == path)
        || is_apt_log
        || has_part(b"__pycache__")
}

/// Sets the day of the last change of passwords back where it is later than a day.
fn dated(table: &[u8], day: i64) -> Vec<u8> {
    let line = |line: &[u8]| {
        let mut fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let day_text = day.to_string();
        if let Some(field) = fields.get_mut(2) {
            let changed = std::str::from_utf8(field).ok().and_then(|text| text.parse::<i64>().ok());
            if changed.is_some_and(|changed| changed > day) {
                *field = day_text.as_bytes();
            }
        }
        fields.join(&b':')
    };
    let lines: Vec<Vec<u8>> = table.split(|byte| *byte == b'\n').map(line).collect();
    lines.join(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(paths: &[&str]) -> Vec<String> {
        let entries = paths.iter().map(|path| match path.strip_suffix('/') {
            Some(dir) => Entry::new(dir, EntryKind::Dir),
            None => Entry::file(*path, "x"),
        });
        let shown = |entry: &Entry| match &entry.kind {
            EntryKind::File { size, .. } => {
                format!("{} {size}", String::from_utf8_lossy(&entry.path))
            }
            _ => String::from_utf8_lossy(&entry.path).into_owned(),
        };
        clean(entries.collect(), 0).unwrap().iter().map(shown).collect()
    }

    #[test]
    fn caches_logs_and_backups_go() {
        assert_eq!(
            left(&[
                "tmp/",
                "tmp/x",
                "run/lock/",
                "run/lock/x",
                "run/systemd/",
                "var/cache/apt/archives/",
                "var/cache/apt/archives/a.deb",
                "var/cache/ldconfig/aux-cache",
                "var/log/dpkg.log",
                "var/log/btmp",
                "var/log/apt/",
                "var/log/apt/term.log",
                "etc/passwd",
                "etc/passwd-",
                "etc/machine-id",
                "etc/ssh/ssh_host_rsa_key.pub",
                "usr/lib/python3/__pycache__/",
                "usr/lib/python3/__pycache__/x.pyc",
                "home/tmp/x",
            ]),
            [
                "tmp",
                "run/lock",
                "var/cache/apt/archives",
                "var/log/btmp 0",
                "var/log/apt",
                "etc/passwd 1",
                "etc/machine-id 0",
                "home/tmp/x 1",
            ]
        );
    }

    #[test]
    fn what_a_run_took_away_stays_away() {
        let gone = vec![Entry::new("var/log/dpkg.log", EntryKind::Whiteout)];
        assert_eq!(clean(gone, 0).unwrap().len(), 1);
    }

    #[test]
    fn passwords_are_not_newer_than_the_system() {
        let table = b"root:*:20000:0:99999:7:::\nold:*:100:0\nodd\n::x:\n";
        assert_eq!(dated(table, 5000), b"root:*:5000:0:99999:7:::\nold:*:100:0\nodd\n::x:\n");
    }
}
