//! Which packages of a system nobody asked for: apt removes them when nothing needs them any more.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::Unpacked;
use super::scripts::{Needs, is_ground};

/// Returns the packages of a new system that are there for others alone, as places in their list.
///
/// As in other bootstraps, what no system is without and all that it needs counts as asked for, and
/// so do packages that every system should have, and apt. Of the rest it is what nobody needs: who
/// asks for a package by name that another one needs is taken to mean the other one.
pub fn automatic(packages: &[Unpacked]) -> Vec<usize> {
    let places = |which: &dyn Fn(&Unpacked) -> bool| -> Vec<usize> {
        packages.iter().enumerate().filter(|(_, p)| which(p)).map(|(at, _)| at).collect()
    };
    let mut asked = Needs::new(packages).closure(&places(&is_ground));
    asked.extend(places(&|p| p.field("Priority") == "required" || p.name() == "apt"));
    // apt keeps what a package recommends as well.
    let needs = Needs::of(packages, &["Depends", "Recommends"]);
    let needed: BTreeSet<usize> = (0..packages.len()).flat_map(|at| needs.direct(at)).collect();
    asked.extend((0..packages.len()).filter(|at| !needed.contains(at)));
    loop {
        let from: Vec<usize> = asked.iter().copied().collect();
        let kept = needs.closure(&from);
        // Packages that only need each other: one of them was asked for.
        let Some(lost) = (0..packages.len()).find(|at| !kept.contains(at)) else { break };
        asked.insert(lost);
    }
    (0..packages.len()).filter(|at| !asked.contains(at)).collect()
}

/// Returns the lines of apt's `extended_states` for packages of a Debian architecture that nobody
/// asked for.
pub fn extended_states<'a>(names: impl Iterator<Item = &'a str>, arch: &str) -> String {
    let names: BTreeSet<&str> = names.collect();
    let mut out = String::new();
    for name in names {
        // Those of the architecture `all` are listed under that of the system.
        let _ = writeln!(out, "Package: {name}\nArchitecture: {arch}\nAuto-Installed: 1\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::package;
    use super::*;

    fn names(fields: &[&str]) -> Vec<String> {
        let all: Vec<Unpacked> = fields.iter().map(|fields| package(fields, &[], &[])).collect();
        automatic(&all).into_iter().map(|at| all[at].name().to_owned()).collect()
    }

    #[test]
    fn what_is_there_for_others_alone_is_automatic() {
        let system = [
            "Package: libc\nPriority: optional",
            "Package: dpkg\nEssential: yes\nPre-Depends: libc",
            "Package: mount\nPriority: required\nDepends: libmount",
            "Package: libmount",
            "Package: apt\nDepends: adduser, keys | other, libc",
            "Package: adduser\nDepends: passwd",
            "Package: passwd\nPriority: required",
            "Package: keyring\nProvides: keys",
            "Package: wanted\nRecommends: nice",
            "Package: nice",
        ];
        assert_eq!(names(&system), ["libmount", "adduser", "keyring", "nice"]);
    }

    #[test]
    fn nothing_is_removed_from_a_new_system() {
        // One of a circle was asked for, as nobody else needs it.
        let circle = ["Package: b\nDepends: a", "Package: a\nDepends: b", "Package: x"];
        assert_eq!(names(&circle), ["a"]);
    }

    #[test]
    fn the_file_is_sorted_and_has_an_empty_line_after_each() {
        assert_eq!(
            extended_states(["b", "a"].into_iter(), "arm64"),
            "Package: a\nArchitecture: arm64\nAuto-Installed: 1\n\n\
             Package: b\nArchitecture: arm64\nAuto-Installed: 1\n\n"
        );
    }
}
