//! Scripts that packages want to be run before they are unpacked, and the order that follows.

use std::collections::{BTreeSet, HashMap};

use super::super::depends;
use super::Unpacked;

/// Commands of a `preinst` that do nothing when the package is installed for the first time:
/// dpkg-maintscript-helper(1) acts on upgrades only.
const IDLE: [&str; 3] = ["dpkg-maintscript-helper", "exit 0", "set -"];

/// How the packages of a new system come to be unpacked. Numbers are places in their list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacking {
    /// Packages without which no script can run: their `preinst` runs when their files are in
    /// place already, as in any bootstrap.
    pub scripts: Vec<usize>,
    /// Packages that are configured before all others, which need not say that they need them.
    pub ground: Vec<usize>,
    /// Packages that dpkg itself has to unpack because of their `preinst`.
    pub late: Vec<Round>,
}

/// Packages that can be unpacked together. Numbers are places in their list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// What has to be configured before.
    pub configure: Vec<usize>,
    /// What is unpacked.
    pub unpack: Vec<usize>,
}

/// Decides how the packages of a new system come to be unpacked.
pub fn unpacking(packages: &[Unpacked]) -> Unpacking {
    let needs = Needs::new(packages);
    let essential: Vec<usize> =
        (0..packages.len()).filter(|at| packages.get(*at).is_some_and(is_ground)).collect();
    let ground = needs.closure(&essential);
    let mut out = Unpacking::default();
    let mut late = Vec::new();
    for (at, _) in packages.iter().enumerate().filter(|(_, package)| has_work(package)) {
        match ground.contains(&at) {
            true => out.scripts.push(at),
            false => late.push(at),
        }
    }
    // Others expect to find the tables of users.
    out.scripts.sort_by_key(|at| packages.get(*at).is_none_or(|p| p.name() != "base-passwd"));
    out.late = needs.rounds(&late, &ground);
    out.ground = ground.into_iter().collect();
    out
}

/// Gives the order in which dpkg unpacks packages that are not there: what they pre-depend on is
/// configured before. The rest is configured when all are unpacked.
pub fn rounds(packages: &[Unpacked]) -> Vec<Round> {
    let all: Vec<usize> = (0..packages.len()).collect();
    Needs::new(packages).rounds(&all, &BTreeSet::new())
}

/// Whether a package has to be there before any script can run.
pub(super) fn is_ground(package: &Unpacked) -> bool {
    package.is_essential() || ["dpkg", "debconf"].contains(&package.name())
}

/// Whether a package has a `preinst` that does something on a first installation.
fn has_work(package: &Unpacked) -> bool {
    let Some(script) = package.files.get("preinst") else { return false };
    let text = String::from_utf8_lossy(&script.data);
    let shell = text.starts_with("#!/bin/sh") || text.starts_with("#! /bin/sh");
    let idle = |line: &str| {
        let line = line.trim();
        let is_plain = !line.contains([';', '&', '|', '`', '<', '>']) && !line.contains("$(");
        let known = IDLE.iter().any(|word| line.starts_with(word));
        line.is_empty() || line.starts_with('#') || (known && is_plain && !line.ends_with('\\'))
    };
    !(shell && text.lines().all(idle))
}

/// What each package needs of the others.
pub(super) struct Needs {
    depends: Vec<Vec<usize>>,
    pre_depends: Vec<Vec<usize>>,
}

impl Needs {
    pub fn new(packages: &[Unpacked]) -> Self {
        Self::of(packages, &["Depends"])
    }

    /// What is told in some fields, and in `Pre-Depends`.
    pub fn of(packages: &[Unpacked], fields: &[&str]) -> Self {
        let mut names: HashMap<&str, usize> = HashMap::new();
        for (at, package) in packages.iter().enumerate() {
            for given in depends::groups(package.field("Provides")) {
                if let Ok(given) = depends::Relation::parse(given) {
                    names.entry(given.name).or_insert(at);
                }
            }
        }
        // A package of the name itself goes before all that provide it.
        names.extend(packages.iter().enumerate().map(|(at, package)| (package.name(), at)));
        let of = |fields: &[&str]| -> Vec<Vec<usize>> {
            let wanted = packages.iter().map(|package| {
                let groups = fields.iter().flat_map(|field| depends::groups(package.field(field)));
                groups.filter_map(|group| first(group, &names)).collect()
            });
            wanted.collect()
        };
        Self { depends: of(fields), pre_depends: of(&["Pre-Depends"]) }
    }

    fn pre(&self, at: usize) -> &[usize] {
        self.pre_depends.get(at).map(Vec::as_slice).unwrap_or_default()
    }

    /// What a package itself needs.
    pub fn direct(&self, at: usize) -> impl Iterator<Item = usize> {
        self.pre(at).iter().chain(self.depends.get(at).into_iter().flatten()).copied()
    }

    /// Packages with all that they need.
    pub fn closure(&self, from: &[usize]) -> BTreeSet<usize> {
        let mut out = BTreeSet::new();
        let mut open = from.to_vec();
        while let Some(at) = open.pop() {
            if out.insert(at) {
                open.extend(self.direct(at));
            }
        }
        out
    }
}

impl Needs {
    /// The order of some of the packages, when the others are unpacked already and some of those
    /// configured.
    fn rounds(&self, late: &[usize], configured: &BTreeSet<usize>) -> Vec<Round> {
        let before: Vec<BTreeSet<usize>> =
            late.iter().map(|at| self.closure(self.pre(*at))).collect();
        let mut open: BTreeSet<usize> = late.iter().copied().collect();
        let mut configured = configured.clone();
        let mut out = Vec::new();
        while !open.is_empty() {
            let ready = |(at, needed): (&usize, &BTreeSet<usize>)| {
                (open.contains(at) && needed.is_disjoint(&open)).then_some(*at)
            };
            let mut unpack: Vec<usize> = late.iter().zip(&before).filter_map(ready).collect();
            if unpack.is_empty() {
                // They pre-depend on each other in a circle; whatever dpkg makes of it.
                unpack.extend(&open);
            }
            open.retain(|at| !unpack.contains(at));
            let needed = late.iter().zip(&before).filter(|(at, _)| unpack.contains(at));
            let needed: BTreeSet<usize> = needed.flat_map(|(_, needed)| needed).copied().collect();
            let configure: Vec<usize> = needed
                .into_iter()
                .filter(|at| !unpack.contains(at) && configured.insert(*at))
                .collect();
            out.push(Round { configure, unpack });
        }
        out
    }
}

/// The first package that meets one of the alternatives.
fn first(group: &str, names: &HashMap<&str, usize>) -> Option<usize> {
    let alternatives = depends::alternatives(group).ok()?;
    alternatives.iter().find_map(|relation| names.get(relation.name).copied())
}

#[cfg(test)]
mod tests {
    use super::super::testing::package;
    use super::*;

    const WORK: &[(&str, &str)] = &[("preinst", "#!/bin/sh\nset -e\nadduser x\n")];

    #[test]
    fn scripts_that_act_on_upgrades_only_are_no_work() {
        let has = |text: &str| has_work(&package("Package: a", &[("preinst", text)], &[]));
        assert!(!has_work(&package("Package: a", &[("postinst", "x")], &[])));
        let helper =
            "#!/bin/sh\nset -e\n# Added\ndpkg-maintscript-helper rm_conffile /a 1\\~ -- \"$@\"\n";
        assert!(!has(helper));
        assert!(!has("#! /bin/sh\n\nexit 0\n"));
        assert!(has(&format!("{helper}useradd x\n")));
        assert!(has("#!/bin/sh\nexit 0; useradd x\n"));
        assert!(has("#!/bin/sh\ndpkg-maintscript-helper x $(useradd x)\n"));
        assert!(has("#!/bin/sh\nset -e\\\n; x\n"));
        assert!(has("#!/usr/bin/perl\nexit 0\n"));
    }

    #[test]
    fn the_ground_is_laid_at_once_and_the_rest_is_left_to_dpkg() {
        let packages = [
            package("Package: app\nPre-Depends: adduser, user-data", WORK, &[]),
            package("Package: adduser\nDepends: passwd", &[], &[]),
            package("Package: base-passwd\nEssential: yes", WORK, &[]),
            package("Package: bash\nEssential: yes\nPre-Depends: libc | libc-next", WORK, &[]),
            package("Package: libc6\nProvides: libc", WORK, &[]),
            package("Package: passwd\nPre-Depends: libc6", &[], &[]),
            package("Package: user-data\nPre-Depends: passwd", WORK, &[]),
            package("Package: web\nDepends: app", WORK, &[]),
        ];
        let round = |configure: &[usize], unpack: &[usize]| Round {
            configure: configure.to_vec(),
            unpack: unpack.to_vec(),
        };
        assert_eq!(
            unpacking(&packages),
            Unpacking {
                scripts: vec![2, 3, 4],
                ground: vec![2, 3, 4],
                late: vec![round(&[5], &[6, 7]), round(&[1, 6], &[0])],
            }
        );
        // With nothing there yet, all go by what they pre-depend on.
        assert_eq!(
            rounds(&packages),
            [
                round(&[], &[1, 2, 4, 7]),
                round(&[4], &[3, 5]),
                round(&[5], &[6]),
                round(&[1, 6], &[0]),
            ]
        );
    }

    #[test]
    fn circles_end() {
        let packages = [
            package("Package: a\nPre-Depends: b", WORK, &[]),
            package("Package: b\nPre-Depends: a", WORK, &[]),
        ];
        let late = unpacking(&packages).late;
        assert_eq!(late, [Round { configure: vec![], unpack: vec![0, 1] }]);
    }
}
