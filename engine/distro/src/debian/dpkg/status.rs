//! A stanza of `/var/lib/dpkg/status`.

use std::fmt::Write;

use super::{Unpacked, conffiles};

/// The order in which dpkg writes the fields that it knows. The others follow as they come.
const ORDER: [&str; 21] = [
    "Package",
    "Essential",
    "Protected",
    "Status",
    "Priority",
    "Section",
    "Installed-Size",
    "Origin",
    "Maintainer",
    "Bugs",
    "Architecture",
    "Multi-Arch",
    "Source",
    "Version",
    "Replaces",
    "Provides",
    "Depends",
    "Pre-Depends",
    "Recommends",
    "Suggests",
    "Breaks",
];
/// The same, after those.
const LATER: [&str; 4] = ["Conflicts", "Enhances", "Conffiles", "Description"];

/// Gives the stanza of a package that is unpacked and not configured.
pub(super) fn stanza(package: &Unpacked) -> String {
    let mut out = String::new();
    let known = || ORDER.iter().chain(&LATER);
    for name in known() {
        match *name {
            "Status" => out.push_str("Status: install ok unpacked\n"),
            "Conffiles" => out.push_str(&listed(package)),
            name => field(&mut out, name, package.field(name)),
        }
    }
    for (name, value) in package.control.iter() {
        if !known().any(|other| other.eq_ignore_ascii_case(name)) {
            field(&mut out, name, value);
        }
    }
    out
}

fn field(out: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = writeln!(out, "{name}: {value}");
    }
}

fn listed(package: &Unpacked) -> String {
    let mut out = String::new();
    for conffile in conffiles(package) {
        let path = String::from_utf8_lossy(&conffile.path);
        // A file that is in place already keeps its hash when the package is configured: dpkg
        // looks for a new version beside it and finds none.
        let hash = package.hashes.get(&conffile.path).map_or("newconffile", String::as_str);
        let flag = if conffile.remove_on_upgrade { " remove-on-upgrade" } else { "" };
        let _ = writeln!(out, " /{path} {hash}{flag}");
    }
    match out.is_empty() {
        true => out,
        false => format!("Conffiles:\n{out}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::package;
    use super::*;

    #[test]
    fn fields_come_in_the_order_of_dpkg() {
        let fields = "Package: a\nVersion: 1\nHomepage: h\nArchitecture: all\nDepends: b\n\
                      Description: says\nPriority: required\nConflicts: c\nStatus: none";
        let files = [("conffiles", "/etc/a\n/etc/b\nremove-on-upgrade /etc/c\n")];
        let mut package = package(fields, &files, &[]);
        package.hashes.insert(b"etc/b".to_vec(), "00ff".to_owned());
        assert_eq!(
            stanza(&package),
            "Package: a\nStatus: install ok unpacked\nPriority: required\nArchitecture: all\n\
             Version: 1\nDepends: b\nConflicts: c\nConffiles:\n /etc/a newconffile\n /etc/b 00ff\n \
             /etc/c newconffile remove-on-upgrade\nDescription: says\nHomepage: h\n"
        );
    }
}
