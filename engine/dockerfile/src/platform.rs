//! Words that name a platform: `linux/arm64`, `arm/v7`, `windows(10.0.20348)/amd64`.

const SYSTEMS: [&str; 16] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
];

const MACHINES: [&str; 23] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc64",
    "wasm",
];

/// The parts of a platform that a stage's name can tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// The operating system, if it is named.
    pub(crate) os: Option<String>,
    /// The machine, if it is named.
    pub(crate) machine: Option<String>,
}

/// Reads a platform as containerd does; what is not named is the builder's own.
pub(crate) fn parse(text: &str) -> Option<Platform> {
    let mut parts = text.splitn(4, '/');
    let system = system(parts.next()?)?;
    let rest: Vec<&str> = parts.collect();
    if rest.len() > 2 || !rest.iter().all(|part| is_part(part)) {
        return None;
    }
    if let Some(named) = rest.first() {
        return Some(Platform { os: Some(system), machine: Some(machine(named)) });
    }
    if SYSTEMS.contains(&system.as_str()) {
        return Some(Platform { os: Some(system), machine: None });
    }
    let machine = machine(text);
    MACHINES.contains(&machine.as_str()).then_some(Platform { os: None, machine: Some(machine) })
}

/// The system's name, perhaps with a version in brackets.
fn system(part: &str) -> Option<String> {
    let name = match part.split_once('(') {
        Some((name, version)) => {
            let version = version.strip_suffix(')')?;
            let allowed = |c: char| c.is_ascii_alphanumeric() || "_.%+-".contains(c);
            version.chars().all(allowed).then_some(name)?
        }
        None => part,
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(allowed) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    Some(if name == "macos" { "darwin".to_owned() } else { name })
}

fn is_part(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !part.is_empty() && part.chars().all(allowed)
}

fn machine(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "i386" => "386",
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "armhf" | "armel" => "arm",
        _ => return name,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms() {
        let some = |os: &str, machine: &str| {
            let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Some(Platform { os: part(os), machine: part(machine) })
        };
        for (text, expected) in [
            ("linux/amd64", some("linux", "amd64")),
            ("Linux/x86_64", some("linux", "amd64")),
            ("linux/arm/v7", some("linux", "arm")),
            ("linux/aarch64", some("linux", "arm64")),
            ("linux", some("linux", "")),
            ("armhf", some("", "arm")),
            ("i386", some("", "386")),
            ("windows(10.0.20348)/amd64", some("windows", "amd64")),
            ("anything/goes", some("anything", "goes")),
            ("anything", None),
            ("", None),
            ("linux/", None),
            ("linux/arm/v7/x", None),
            ("linux/*", None),
            ("lin ux/arm", None),
            ("windows(10/amd64", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
