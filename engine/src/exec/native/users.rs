//! Names of users and groups, looked up in the image itself: passwd(5), group(5).

use mabuild_oci::layer::FsView;

use super::Native;
use super::layers::Layer;
use crate::exec::Fault;

/// A user as a step runs under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: String,
}

impl User {
    /// Root where nothing more is known.
    pub fn root() -> Self {
        Self { uid: 0, gid: 0, groups: vec![0], home: "/root".to_owned() }
    }
}

/// The tables of an image.
#[derive(Debug, Default)]
pub(super) struct Tables {
    passwd: String,
    group: String,
}

impl Native {
    /// Reads the tables of a chain of layers; an image without them has no names.
    pub(super) fn tables(&self, layers: &[Layer], view: &FsView) -> Result<Tables, Fault> {
        let read = |path: &str| -> Result<String, Fault> {
            let Ok(real) = view.resolve(path.as_bytes()) else { return Ok(String::new()) };
            let bytes = self.read_file(layers, view, &real.path)?.unwrap_or_default();
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Tables { passwd: read("etc/passwd")?, group: read("etc/group")? })
    }
}

impl Tables {
    /// `user[:group]`, names or numbers, to ids. An empty text is root.
    pub fn user(&self, text: &str) -> Result<User, Fault> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let entry = self.entry(user);
        let (uid, own_gid) = match (user, number(user), &entry) {
            ("", ..) => (0, 0),
            (_, _, Some(entry)) => (entry.uid, entry.gid),
            (_, Some(uid), None) => (uid, 0),
            (_, None, None) => return Err(self.unknown("user", user, "/etc/passwd")),
        };
        let gid = match group {
            Some(group) => self.group(group)?,
            None => own_gid,
        };
        let name = entry.as_ref().map_or(user, |e| &e.name);
        let mut groups: Vec<u32> = self
            .groups()
            .filter(|(_, _, members)| group.is_none() && members.split(',').any(|m| m == name))
            .map(|(_, gid, _)| gid)
            .collect();
        groups.push(gid);
        groups.sort_unstable();
        groups.dedup();
        let root = || if uid == 0 { "/root".to_owned() } else { "/".to_owned() };
        let home = entry.map(|e| e.home).filter(|h| !h.is_empty()).unwrap_or_else(root);
        Ok(User { uid, gid, groups, home })
    }

    /// `user[:group]` of a `chown=`: without a group, a number is its own group, and a name has
    /// that of its entry. BuildKit takes a name that is not in the tables for root, and so does
    /// this.
    pub fn owner(&self, text: &str) -> (u64, u64) {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        let known = |user: &str| self.entry(user).filter(|entry| entry.name == user);
        let (uid, gid) = match small(user) {
            Some(uid) => (uid, uid),
            None => known(user).map_or((0, 0), |entry| (entry.uid, entry.gid)),
        };
        let named = || self.groups().find(|(name, ..)| *name == group).map(|(_, gid, _)| gid);
        let gid = small(group).or_else(named).unwrap_or(gid);
        (uid.into(), gid.into())
    }

    fn group(&self, text: &str) -> Result<u32, Fault> {
        let named = self.groups().find(|(name, ..)| *name == text).map(|(_, gid, _)| gid);
        named.or_else(|| number(text)).ok_or_else(|| self.unknown("group", text, "/etc/group"))
    }

    fn unknown(&self, what: &str, name: &str, file: &str) -> Fault {
        Fault::step(format!(
            "the image has no {what} `{name}` in {file}; make it in an earlier step, or write its number"
        ))
    }

    fn entry(&self, user: &str) -> Option<Entry> {
        self.passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid: u32 = fields.nth(1)?.parse().ok()?;
            let gid: u32 = fields.next()?.parse().ok()?;
            let home = fields.nth(1).unwrap_or("").to_owned();
            let found = name == user || number(user) == Some(uid);
            found.then(|| Entry { name: name.to_owned(), uid, gid, home })
        })
    }

    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let gid = fields.nth(1)?.parse().ok()?;
            Some((name, gid, fields.next().unwrap_or("")))
        })
    }
}

struct Entry {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

/// A number of an owner; BuildKit takes what is larger for a name.
fn small(text: &str) -> Option<u32> {
    number(text).filter(|number| i32::try_from(*number).is_ok())
}

/// The owner of a `chown=` that is all numbers; a user alone is its own group.
pub(super) fn numbers(text: &str) -> Option<(u64, u64)> {
    let (user, group) = text.split_once(':').unwrap_or((text, text));
    Some((small(user)?.into(), small(group)?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Tables {
        Tables {
            passwd: "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv/web:/bin/false\nbad\n"
                .into(),
            group: "root:x:0:\nweb:x:34:\nlog:x:4:syslog,web\n".into(),
        }
    }

    #[test]
    fn names_bring_their_groups_and_home() {
        let user = tables().user("web").unwrap();
        assert_eq!(user, User { uid: 33, gid: 34, groups: vec![4, 34], home: "/srv/web".into() });
        assert_eq!(tables().user("33").unwrap(), user);
        assert_eq!(tables().user("web:log").unwrap().groups, [4]);
    }

    #[test]
    fn numbers_need_no_table() {
        let none = Tables::default();
        assert_eq!(none.user("1000:7").unwrap().gid, 7);
        assert_eq!(none.user("1000").unwrap().gid, 0);
        assert_eq!(none.user("").unwrap().home, "/root");
        assert_eq!(none.owner("5"), (5, 5));
        assert_eq!(none.owner("5:6"), (5, 6));
    }

    #[test]
    fn owners_are_found_as_far_as_the_tables_know_them() {
        for (text, owner) in [
            ("web", (33, 34)),
            ("web:log", (33, 4)),
            ("33", (33, 33)),
            ("33:log", (33, 4)),
            (":log", (0, 4)),
            ("stranger", (0, 0)),
            ("web:strangers", (33, 34)),
            ("stranger:7", (0, 7)),
            ("2147483647:5", (2_147_483_647, 5)),
            ("2147483648:5", (0, 5)),
        ] {
            assert_eq!(tables().owner(text), owner, "{text}");
        }
    }

    #[test]
    fn an_unknown_name_says_where_it_was_looked_for() {
        let text = tables().user("www").unwrap_err().message;
        assert!(text.contains("`www`") && text.contains("/etc/passwd"), "{text}");
        assert!(tables().user("web:nope").unwrap_err().message.contains("/etc/group"));
    }
}
