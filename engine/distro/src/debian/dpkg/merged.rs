//! Systems whose `/bin`, `/sbin` and `/lib` are links into `/usr`.

use super::Unpacked;

/// The version of base-files from which Debian sets new systems up so.
const MERGED_SINCE: u32 = 10;

/// Gives the directories that are links to those of the same name in `usr`, for a new system of
/// some packages. None where the system is older than that. `is_link` tells of a package by its
/// place and of a path by its place whether it is a symbolic link.
pub fn merged_directories(
    packages: &[Unpacked],
    arch: &str,
    is_link: impl Fn(usize, usize) -> bool,
) -> Vec<&'static str> {
    let base = packages.iter().enumerate().find(|(_, package)| package.name() == "base-files");
    let major = base.and_then(|(_, base)| {
        let version = base.field("Version");
        version.split(['.', '+', '~', '-']).next().and_then(|word| word.parse::<u32>().ok())
    });
    if major.is_none_or(|major| major < MERGED_SINCE) {
        return Vec::new();
    }
    let more: &[&str] = match arch {
        "amd64" | "x32" => &["lib32", "lib64", "libx32"],
        "i386" => &["lib64", "libx32"],
        "mips" | "mipsel" | "ppc64" => &["lib32", "lib64"],
        "mips64" | "mips64el" | "mipsn32" | "mipsn32el" => &["lib32", "lib64", "libo32"],
        "powerpc" | "ppc64el" | "sparc64" | "loong64" => &["lib64"],
        "s390x" => &["lib32"],
        _ => &[],
    };
    // From Debian 13 on base-files has the links itself, and only those that the architecture
    // needs.
    let ships = |name: &str| {
        base.is_some_and(|(at, base)| {
            let place = base.paths.iter().position(|path| path == name.as_bytes());
            place.is_some_and(|place| is_link(at, place))
        })
    };
    let ships_own = ships("bin");
    let own = |name: &&&str| !ships_own || ships(name);
    let more = more.iter().filter(own).copied();
    ["bin", "sbin", "lib"].into_iter().chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::package;
    use super::*;

    fn of(version: &str, paths: &[&str], arch: &str) -> Vec<&'static str> {
        let fields = format!("Package: base-files\nVersion: {version}");
        let is_link = |_, at: usize| paths.get(at).is_some_and(|path| path.ends_with('@'));
        let names: Vec<&str> = paths.iter().map(|path| path.trim_end_matches('@')).collect();
        merged_directories(&[package(&fields, &[], &names)], arch, is_link)
    }

    #[test]
    fn the_release_and_the_architecture_decide() {
        let all = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
        assert_eq!(of("12.4+deb12u11", &["", "bin", "lib64"], "amd64"), all);
        assert_eq!(of("12.4", &["", "etc"], "arm64"), ["bin", "sbin", "lib"]);
        assert_eq!(
            of("13.8", &["bin@", "lib@", "lib64@", "sbin@"], "amd64"),
            ["bin", "sbin", "lib", "lib64"]
        );
        assert_eq!(of("9.9+deb9u13", &["bin"], "amd64"), [""; 0]);
        assert_eq!(merged_directories(&[], "amd64", |_, _| true), [""; 0]);
    }
}
