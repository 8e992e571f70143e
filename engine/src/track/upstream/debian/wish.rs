//! What is chosen out of indexes, and the choice.

use std::sync::Arc;

use mabuild_distro::debian::extract::{UnknownPackage, closure};
use mabuild_distro::debian::solve::{Request, solve};
use mabuild_distro::debian::status;
use mabuild_distro::debian::{Package, PackageIndex};

use crate::facts::{DebianAsk, DebianVariant, Distro, PackagesAsk};

/// Packages that minideb is made of, with what they depend on; of a suite that lacks some of them
/// the others count.
const MINIDEB: [&str; 28] = [
    "adduser",
    "apt",
    "base-files",
    "base-passwd",
    "bash",
    "bsdutils",
    "coreutils",
    "dash",
    "debian-archive-keyring",
    "diffutils",
    "dpkg",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "init-system-helpers",
    "libc-bin",
    "login",
    "lsb-base",
    "mawk",
    "mount",
    "ncurses-base",
    "passwd",
    "sed",
    "tar",
    "tzdata",
    // Says that `/bin` is `/usr/bin`, as it is from the start; else a package with Perl is chosen
    // that would see to it.
    "usr-is-merged",
    "util-linux",
];

/// What packages are wanted.
#[derive(Clone)]
pub(super) enum Wish {
    /// A system, or exactly the named packages.
    System { variant: DebianVariant, include: Vec<String>, exclude: Vec<String>, recommends: bool },
    /// Packages on top of what is installed.
    OnTop { below: Arc<Distro>, names: Vec<String>, recommends: bool },
}

impl Wish {
    /// The wish of a base.
    pub fn of_base(ask: &DebianAsk) -> Self {
        // The architecture and the archives go beside it; what is left out of files does not
        // change which packages there are.
        let DebianAsk { arch: _, archives: _, variant, include, exclude, recommends, trim: _ } =
            ask;
        Self::System {
            variant: *variant,
            include: include.clone(),
            exclude: exclude.clone(),
            recommends: *recommends,
        }
    }

    /// The wish of a step, on what the image below it is.
    pub fn of_step(ask: &PackagesAsk, below: &Arc<Distro>) -> Self {
        let PackagesAsk { below: _, names, recommends } = ask;
        Self::OnTop { below: below.clone(), names: names.clone(), recommends: *recommends }
    }

    /// Hands over all that decides about the choice, as lists of words.
    pub fn words(&self, list: &mut dyn FnMut(&mut dyn Iterator<Item = &str>)) {
        let flag = |on: bool| if on { "yes" } else { "no" };
        let mut all = |words: &[String]| list(&mut words.iter().map(String::as_str));
        match self {
            Self::System { variant, include, exclude, recommends } => {
                all(include);
                all(exclude);
                let variant = match variant {
                    DebianVariant::Extract => "extract",
                    DebianVariant::Minbase => "minbase",
                    DebianVariant::Standard => "standard",
                    DebianVariant::Minideb => "minideb",
                };
                list(&mut [variant, flag(*recommends)].into_iter());
            }
            Self::OnTop { below, names, recommends } => {
                all(names);
                let digest = below.digest();
                list(&mut ["on-top", flag(*recommends), &digest].into_iter());
                list(&mut below.installed.iter().filter_map(|one| one.provides.as_deref()));
            }
        }
    }

    /// Chooses packages, sorted by name. The error is for a person.
    pub fn choose<'i>(
        &self,
        index: &'i PackageIndex,
        arch: &str,
    ) -> Result<Vec<Package<'i>>, String> {
        match self {
            Self::System { variant: DebianVariant::Extract, include, .. } => {
                exactly(index, include)
            }
            Self::System { variant, include, exclude, recommends } => {
                let standard = ["required", "important", "standard"];
                let (base, essential, priorities) = match variant {
                    DebianVariant::Minideb => (&MINIDEB[..], true, &[][..]),
                    DebianVariant::Standard => (&["apt"][..], true, &standard[..]),
                    DebianVariant::Minbase | DebianVariant::Extract => {
                        (&["apt"][..], true, &["required"][..])
                    }
                };
                let is_there = |name: &str| index.versions(name).next().is_some();
                let is_out = |name: &str| exclude.iter().any(|other| other == name);
                let base = base.iter().filter(|name| is_there(name) && !is_out(name));
                let names: Vec<String> =
                    base.map(|name| (*name).to_owned()).chain(include.iter().cloned()).collect();
                let request = Request {
                    arch,
                    names: &names,
                    essential,
                    priorities,
                    recommends: *recommends,
                    exclude,
                    installed: &[],
                };
                solve(index, &request).map_err(|e| e.to_string())
            }
            Self::OnTop { below, names, recommends } => {
                let installed = installed(index, below);
                let request = Request {
                    arch,
                    names,
                    recommends: *recommends,
                    installed: &installed,
                    ..Request::default()
                };
                solve(index, &request).map_err(|e| e.to_string())
            }
        }
    }
}

/// Exactly the named packages, sorted by name; what they depend on does not count.
fn exactly<'i>(index: &'i PackageIndex, names: &[String]) -> Result<Vec<Package<'i>>, String> {
    let mut chosen: Vec<Package<'i>> = Vec::with_capacity(names.len());
    let mut latest = Vec::new();
    for text in names {
        let Some((name, version)) = text.split_once('=') else {
            latest.push(text.as_str());
            continue;
        };
        let found = index.versions(name).find(|package| package.version == version);
        let there = || index.versions(name).map(|package| package.version).collect::<Vec<_>>();
        chosen.push(match found {
            Some(package) => package,
            None if there().is_empty() => return Err(unknown(index, name)),
            None => {
                let there = there().join(", ");
                return Err(format!("there is no {name} {version}; there is {there}"));
            }
        });
    }
    latest.retain(|name| !chosen.iter().any(|package| package.name == *name));
    chosen.extend(closure(index, &latest).map_err(|e: UnknownPackage| e.to_string())?);
    chosen.sort_by(|a, b| a.name.cmp(b.name));
    chosen.dedup();
    Ok(chosen)
}

fn unknown(index: &PackageIndex, name: &str) -> String {
    match closure(index, &[name]) {
        Err(e) => e.to_string(),
        Ok(_) => format!("there is no package {name:?} in the archive"),
    }
}

/// What is installed, with what the index knows of it: an image does not tell all of its
/// packages, and what is of another architecture has no part in a choice.
fn installed(index: &PackageIndex, below: &Distro) -> Vec<status::Installed> {
    let of_arch = below.installed.iter().filter(|one| one.arch == below.arch || one.arch == "all");
    let full = |one: &crate::facts::Installed| {
        let known = index.versions(&one.name).find(|package| package.version == one.version);
        let text = |field: for<'a> fn(&Package<'a>) -> &'a str| {
            known.as_ref().map(field).unwrap_or_default().to_owned()
        };
        status::Installed {
            name: one.name.clone(),
            version: one.version.clone(),
            architecture: one.arch.clone(),
            status: "install ok installed".to_owned(),
            multi_arch: text(|package| package.multi_arch),
            depends: text(|package| package.depends),
            pre_depends: text(|package| package.pre_depends),
            provides: one.provides.clone().unwrap_or_else(|| text(|package| package.provides)),
            conflicts: text(|package| package.conflicts),
            breaks: text(|package| package.breaks),
        }
    };
    of_arch.map(full).collect()
}
