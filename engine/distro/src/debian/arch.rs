//! Debian's architecture names for OCI platforms.

/// Returns the Debian architecture of an OCI platform, or `None` when Debian has none.
///
/// `os`, `arch` and `variant` are spelled as in an OCI image index (`linux`, `arm`, `v7`). Debian
/// builds for the lowest variant of an architecture, so `amd64/v3` is `amd64`; `arm` without a
/// variant is `v7`, and `v6` is served by `armel`, since `armhf` needs ARMv7.
pub fn debian_arch(os: &str, arch: &str, variant: Option<&str>) -> Option<&'static str> {
    if os != "linux" {
        return None;
    }
    match (arch, variant.unwrap_or_default()) {
        ("amd64", _) => Some("amd64"),
        ("arm64", "" | "v8") => Some("arm64"),
        ("arm", "" | "v7") => Some("armhf"),
        ("arm", "v5" | "v6") => Some("armel"),
        ("386", _) => Some("i386"),
        ("ppc64le", _) => Some("ppc64el"),
        ("s390x", _) => Some("s390x"),
        ("riscv64", _) => Some("riscv64"),
        ("mips64le", _) => Some("mips64el"),
        ("mipsle", _) => Some("mipsel"),
        ("loong64", _) => Some("loong64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::debian_arch;

    #[test]
    fn platforms_map_to_debian_names() {
        for (arch, variant, want) in [
            ("amd64", None, Some("amd64")),
            ("amd64", Some("v3"), Some("amd64")),
            ("arm64", Some("v8"), Some("arm64")),
            ("arm64", None, Some("arm64")),
            ("arm", Some("v7"), Some("armhf")),
            ("arm", None, Some("armhf")),
            ("arm", Some("v6"), Some("armel")),
            ("arm", Some("v5"), Some("armel")),
            ("arm", Some("v9"), None),
            ("386", None, Some("i386")),
            ("ppc64le", None, Some("ppc64el")),
            ("mips64le", None, Some("mips64el")),
            ("loong64", None, Some("loong64")),
            ("wasm", None, None),
        ] {
            assert_eq!(debian_arch("linux", arch, variant), want, "{arch}/{variant:?}");
        }
    }

    #[test]
    fn only_linux_has_a_debian_architecture() {
        assert_eq!(debian_arch("windows", "amd64", None), None);
    }
}
