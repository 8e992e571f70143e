//! What runs in a new system to set its packages up.

use std::fmt::Write;

use mabuild_distro::debian::dpkg::{Round, Unpacked, Unpacking, rounds};
use mabuild_sandbox::{Mount, RunSpec, Source};

/// Where the package files that dpkg itself unpacks are shown.
pub(in crate::exec::native) const LATE: &str = "/run/mabuild-packages";

/// Where dpkg has the control files of the package that it unpacks.
const CONTROL: &str = "var/lib/dpkg/tmp.ci";

/// Where apt keeps which packages nobody asked for.
pub(super) const AUTOMATIC: &str = "var/lib/apt/extended_states";

/// Where the script is shown.
const SCRIPT: &str = "/run/mabuild-setup";

/// How dpkg works when nobody looks on: it keeps configuration files that somebody changed, lets
/// packages break for the moment that an upgrade takes, and does not wait for the disk.
const UNATTENDED: &str = "--force-unsafe-io --force-confdef --force-confold --auto-deconfigure";

/// Has a run do what a script says. It is shown as a file, as a word may not be so long.
pub(in crate::exec::native) fn put(run: &mut RunSpec, script: String) {
    run.argv = ["/bin/sh", SCRIPT].map(Into::into).into();
    let source = Source::Content { bytes: script.into_bytes(), mode: 0o755, uid: 0, gid: 0 };
    run.mounts.push(Mount { source, target: SCRIPT.into(), read_only: true });
}

/// Words of the shell that no name of a package may be: dpkg allows none of them in names.
fn is_plain(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.:~_".contains(&b))
}

/// The names that dpkg calls packages by, safe for a shell.
fn names(packages: &[Unpacked]) -> Result<Vec<String>, String> {
    let checked = |package: &Unpacked| match package.qualified_name() {
        name if is_plain(&name) && is_plain(package.field("Architecture")) => Ok(name),
        name => Err(format!("{name:?} is no name of a package")),
    };
    packages.iter().map(checked).collect()
}

/// The command that configures some packages.
fn configure(names: &[String], which: &[usize]) -> String {
    let names: Vec<&str> =
        which.iter().filter_map(|at| names.get(*at)).map(String::as_str).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("dpkg {UNATTENDED} --configure {}\n", names.join(" ")),
    }
}

/// Commands that unpack package files `NUMBER.deb` of a folder in an order.
fn install(names: &[String], rounds: &[Round], folder: &str) -> String {
    let mut out = String::new();
    for Round { configure: first, unpack } in rounds {
        out.push_str(&configure(names, first));
        let files: Vec<String> = unpack.iter().map(|at| format!("{folder}/{at}.deb")).collect();
        let _ = writeln!(out, "dpkg {UNATTENDED} --unpack {}", files.join(" "));
    }
    out
}

/// The script that installs packages in an image that has dpkg; `automatic` are lines of
/// `extended_states` for those that nobody asked for.
///
/// # Errors
/// As [`script`].
pub(in crate::exec::native) fn packages(
    packages: &[Unpacked],
    automatic: &str,
) -> Result<String, String> {
    let order = install(&names(packages)?, &rounds(packages), LATE);
    let mut out = format!("set -e\n{order}dpkg {UNATTENDED} --configure --pending\n");
    if !automatic.is_empty() {
        let _ =
            write!(out, "[ ! -d /var/lib/apt ] || cat >> /{AUTOMATIC} <<'END'\n{automatic}END\n");
    }
    Ok(out)
}

/// Where a package's control files wait for its `preinst` to run; by its place in the list.
pub(super) fn control_folder(at: usize) -> String {
    format!("{CONTROL}-{at}")
}

/// The script for the shell of a new system.
///
/// # Errors
/// When a package has a name that dpkg would not take.
pub(super) fn script(packages: &[Unpacked], unpacking: &Unpacking) -> Result<String, String> {
    let names = names(packages)?;
    let version = packages.iter().find(|package| package.name() == "dpkg");
    let version = version.map(|package| package.field("Version")).filter(|text| is_plain(text));
    let mut out = String::from("set -e\n");
    for at in &unpacking.scripts {
        let Some(package) = packages.get(*at) else { continue };
        let (name, arch) = (package.name(), package.field("Architecture"));
        // debconf looks there for whose script it is.
        let _ = writeln!(
            out,
            "mv /{folder} /{CONTROL}\n\
             DPKG_MAINTSCRIPT_PACKAGE={name} DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 \
             DPKG_MAINTSCRIPT_ARCH={arch} DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_DEBUG=0 \
             DPKG_RUNNING_VERSION={version} DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT= \
             /{CONTROL}/preinst install\n\
             rm -r /{CONTROL}",
            folder = control_folder(*at),
            version = version.unwrap_or_default(),
        );
    }
    if packages.iter().any(|package| package.name() == "base-passwd") {
        // Owners of files that scripts make are looked up in the tables, which older versions of
        // it make no sooner.
        out.push_str("[ -e /etc/passwd ] || dpkg --force-depends --configure base-passwd\n");
    }
    out.push_str(&configure(&names, &unpacking.ground));
    out.push_str(&install(&names, &unpacking.late, LATE));
    let _ = writeln!(out, "dpkg {UNATTENDED} --configure --pending");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mabuild_distro::debian::deb::Control;

    fn package(name: &str, pre_depends: &str) -> Unpacked {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = [
            ("Package", name),
            ("Architecture", "all"),
            ("Version", "1"),
            ("Pre-Depends", pre_depends),
        ];
        Unpacked {
            control: Control::of(fields.map(|(name, value)| field(name, value)).into()),
            files: Default::default(),
            paths: Vec::new(),
            hashes: Default::default(),
        }
    }

    #[test]
    fn what_is_pre_depended_on_is_configured_first() {
        let script = packages(&[package("app", "lib"), package("lib", "")], "A: 1\n\n").unwrap();
        let lines: Vec<String> = script.lines().map(|line| line.replace(UNATTENDED, "-")).collect();
        assert_eq!(
            lines,
            [
                "set -e",
                "dpkg - --unpack /run/mabuild-packages/1.deb",
                "dpkg - --configure lib",
                "dpkg - --unpack /run/mabuild-packages/0.deb",
                "dpkg - --configure --pending",
                "[ ! -d /var/lib/apt ] || cat >> /var/lib/apt/extended_states <<'END'",
                "A: 1",
                "",
                "END",
            ]
        );
    }

    #[test]
    fn a_name_that_the_shell_would_read_is_refused() {
        assert!(packages(&[package("a;reboot", "")], "").is_err());
        assert!(script(&[package("$(x)", "")], &Unpacking::default()).is_err());
    }
}
