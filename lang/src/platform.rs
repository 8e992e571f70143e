//! Platforms: the OCI spelling, its normal form, and the names others have for them.

use std::fmt;

/// A platform in normal form: `os/arch[/variant]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system, `linux` or `windows` mostly.
    pub os: String,
    /// Architecture in Go's spelling: `amd64`, `arm64`, `arm`, `386`, …
    pub arch: String,
    /// Variant, `v7` for `arm/v7`; none where the architecture has one form.
    pub variant: Option<String>,
}

/// The names one platform has in other worlds.
struct Names {
    platform: &'static str,
    debian: &'static str,
    alpine: &'static str,
    uname: &'static str,
    triple: &'static str,
}

#[rustfmt::skip]
const NAMES: &[Names] = &[
    Names { platform: "linux/amd64", debian: "amd64", alpine: "x86_64", uname: "x86_64", triple: "x86_64-linux-gnu" },
    Names { platform: "linux/arm64", debian: "arm64", alpine: "aarch64", uname: "aarch64", triple: "aarch64-linux-gnu" },
    Names { platform: "linux/arm/v7", debian: "armhf", alpine: "armv7", uname: "armv7l", triple: "arm-linux-gnueabihf" },
    Names { platform: "linux/arm/v6", debian: "armel", alpine: "armhf", uname: "armv6l", triple: "arm-linux-gnueabi" },
    Names { platform: "linux/arm/v5", debian: "armel", alpine: "", uname: "armv5tel", triple: "arm-linux-gnueabi" },
    Names { platform: "linux/386", debian: "i386", alpine: "x86", uname: "i686", triple: "i386-linux-gnu" },
    Names { platform: "linux/ppc64le", debian: "ppc64el", alpine: "ppc64le", uname: "ppc64le", triple: "powerpc64le-linux-gnu" },
    Names { platform: "linux/s390x", debian: "s390x", alpine: "s390x", uname: "s390x", triple: "s390x-linux-gnu" },
    Names { platform: "linux/riscv64", debian: "riscv64", alpine: "riscv64", uname: "riscv64", triple: "riscv64-linux-gnu" },
    Names { platform: "linux/mips64le", debian: "mips64el", alpine: "", uname: "mips64", triple: "mips64el-linux-gnuabi64" },
    Names { platform: "linux/loong64", debian: "loong64", alpine: "loongarch64", uname: "loongarch64", triple: "loongarch64-linux-gnu" },
    Names { platform: "windows/amd64", debian: "", alpine: "", uname: "", triple: "x86_64-w64-mingw32" },
];

impl Platform {
    /// Reads and normalises a platform the way containerd does (`arm64/v8` is `arm64`, `x86_64`
    /// is `amd64`, `arm` is `arm/v7`). The error says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let good = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !parts.iter().all(good) || parts.len() > 3 {
            return Err(format!("`{text}` is not of the form os/arch[/variant]"));
        }
        let (os, arch, variant) = match parts.as_slice() {
            [arch] => ("linux", *arch, None),
            [os, arch] => (*os, *arch, None),
            [os, arch, variant] => (*os, *arch, Some(*variant)),
            _ => return Err(format!("`{text}` is not of the form os/arch[/variant]")),
        };
        let os = os.to_ascii_lowercase();
        let os = if os == "macos" { "darwin".to_owned() } else { os };
        let arch = arch.to_ascii_lowercase();
        let variant = variant.map(str::to_ascii_lowercase);
        let (arch, variant) = match (arch.as_str(), variant.as_deref()) {
            ("x86_64" | "x86-64" | "amd64", v) => ("amd64", v.filter(|v| *v != "v1")),
            ("i386" | "i686" | "386" | "x86", _) => ("386", None),
            ("aarch64" | "arm64", v) => ("arm64", v.filter(|v| !matches!(*v, "8" | "v8"))),
            ("armhf", _) => ("arm", Some("v7")),
            ("armel", _) => ("arm", Some("v6")),
            ("arm", None | Some("7")) => ("arm", Some("v7")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("8")) => ("arm", Some("v8")),
            ("ppc64el", v) => ("ppc64le", v),
            ("mips64el", v) => ("mips64le", v),
            ("loongarch64", v) => ("loong64", v),
            (other, v) => (other, v),
        };
        Ok(Self { os, arch: arch.to_owned(), variant: variant.map(str::to_owned) })
    }

    /// Whether the platform stands in the table of known ones.
    pub fn is_known(&self) -> bool {
        self.names().is_some()
    }

    /// All known platforms in their normal spelling.
    pub fn known() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|names| names.platform)
    }

    /// Debian's name of the architecture, `armhf` for `linux/arm/v7`.
    pub fn debian(&self) -> Option<&'static str> {
        self.names().map(|n| n.debian).filter(|n| !n.is_empty())
    }

    /// Alpine's name of the architecture.
    pub fn alpine(&self) -> Option<&'static str> {
        self.names().map(|n| n.alpine).filter(|n| !n.is_empty())
    }

    /// What `uname -m` prints on such a machine.
    pub fn uname(&self) -> Option<&'static str> {
        self.names().map(|n| n.uname).filter(|n| !n.is_empty())
    }

    /// The multiarch triple, `aarch64-linux-gnu`.
    pub fn triple(&self) -> Option<&'static str> {
        self.names().map(|n| n.triple).filter(|n| !n.is_empty())
    }

    fn names(&self) -> Option<&'static Names> {
        NAMES.iter().find(|names| {
            let mut parts = names.platform.split('/');
            parts.next() == Some(&self.os)
                && parts.next() == Some(&self.arch)
                && parts.next() == self.variant.as_deref()
        })
    }
}

impl Default for Platform {
    /// Gives `linux/amd64`, the platform of a machine that nothing is said of.
    fn default() -> Self {
        Self { os: "linux".to_owned(), arch: "amd64".to_owned(), variant: None }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}
