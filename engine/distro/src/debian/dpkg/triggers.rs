//! Triggers that packages are interested in: deb-triggers(5), and `/var/lib/dpkg/triggers`.

use std::collections::BTreeMap;

use super::Unpacked;

/// Gives the files of the triggers folder: `File` for paths, and one for each other name.
pub(super) fn files(packages: &[Unpacked]) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    for package in packages {
        let Some(file) = package.files.get("triggers") else { continue };
        let text = String::from_utf8_lossy(&file.data);
        for (trigger, awaits) in text.lines().filter_map(interest) {
            let name = package.qualified_name();
            let suffix = if awaits { "" } else { "/noawait" };
            if trigger.starts_with('/') {
                *out.entry("File".to_owned()).or_default() +=
                    &format!("{trigger} {name}{suffix}\n");
            } else if is_name(trigger) {
                *out.entry(trigger.to_owned()).or_default() += &format!("{name}{suffix}\n");
            }
        }
    }
    out
}

/// What a line says that the package wants to be told of, and whether who triggers it waits.
fn interest(line: &str) -> Option<(&str, bool)> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let awaits = match words.next()? {
        "interest" | "interest-await" => true,
        "interest-noawait" => false,
        _ => return None,
    };
    Some((words.next()?, awaits))
}

/// Whether a trigger can have a file of its name. dpkg has files of its own beside them.
fn is_name(trigger: &str) -> bool {
    let own = ["File", "Lock", "Unincorp"].contains(&trigger);
    !own && !trigger.starts_with('.') && trigger.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

#[cfg(test)]
mod tests {
    use super::super::testing::package;
    use super::*;

    #[test]
    fn interests_are_listed_by_path_and_by_name() {
        let a = "# comment\ninterest ldconfig\ninterest-noawait /usr/share/man\nactivate x\n";
        let b = "interest-await ldconfig # why\ninterest /usr/lib/x\ninterest ../evil\ninterest\n\
                 interest File\n";
        let packages = [
            package("Package: a", &[("triggers", a)], &[]),
            package("Package: b\nMulti-Arch: same\nArchitecture: arm64", &[("triggers", b)], &[]),
        ];
        let files = files(&packages);
        assert_eq!(files["File"], "/usr/share/man a/noawait\n/usr/lib/x b:arm64\n");
        assert_eq!(files["ldconfig"], "a\nb:arm64\n");
        assert_eq!(files.len(), 2);
    }
}
