//! Which manifest of an index is for a platform, as containerd decides it.
//!
//! A platform is met by itself and, where there is none, by the next older variant of the same
//! architecture: `arm/v7` by `arm/v6`. Unlike containerd, `amd64` is never met by `386`, nor
//! `arm64` by `arm`: an image would be listed for a platform that its programs are not of.

use mabuild_oci::Platform;

/// Gives the normal form: `arm64/v8` is `arm64`, `x86_64` is `amd64`, `arm` is `arm/v7`.
#[must_use]
pub fn normal(platform: &Platform) -> Platform {
    let os = platform.os.to_ascii_lowercase();
    let variant = platform.variant.as_deref().unwrap_or_default().to_ascii_lowercase();
    let architecture = platform.architecture.to_ascii_lowercase();
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386" | "386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        (architecture, variant) => (architecture, variant),
    };
    Platform {
        os: if os == "macos" { "darwin".to_owned() } else { os },
        architecture: architecture.to_owned(),
        variant: Some(variant.to_owned()).filter(|variant| !variant.is_empty()),
    }
}

/// Gives the place of the best of some platforms; the first of equals is best.
pub fn best<'a>(
    wanted: &Platform,
    offered: impl IntoIterator<Item = &'a Platform>,
) -> Option<usize> {
    let wanted = normal(wanted);
    let ranked = offered.into_iter().enumerate().filter_map(|(at, offered)| {
        let offered = normal(offered);
        let same = offered.os == wanted.os && offered.architecture == wanted.architecture;
        let rank = variants(&wanted).iter().position(|known| *known == offered.variant);
        rank.filter(|_| same).map(|rank| (rank, at))
    });
    ranked.min().map(|(_, at)| at)
}

/// Variants whose programs run where a platform's do, its own first.
fn variants(platform: &Platform) -> Vec<Option<String>> {
    let version = |variant: &str| -> Option<(u32, u32)> {
        let (major, minor) = match variant.strip_prefix('v')?.split_once('.') {
            Some((major, minor)) => (major, minor),
            None => (variant.strip_prefix('v')?, "0"),
        };
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let mut out = vec![platform.variant.clone()];
    let Some((major, minor)) = platform.variant.as_deref().and_then(version) else { return out };
    let plain = |major: u32| Some(format!("v{major}"));
    let dotted = |major: u32, minor: u32| match minor {
        0 => plain(major),
        minor => Some(format!("v{major}.{minor}")),
    };
    match platform.architecture.as_str() {
        "amd64" => out.extend((2..major.min(9)).rev().map(plain).chain([None])),
        "arm" => out.extend((5..major.min(9)).rev().map(plain)),
        "arm64" => {
            // Version 9.0 of the architecture goes back to 8.5.
            let (nine, eight) = match major {
                9 => (minor.min(9), minor.min(9) + 6),
                _ => (0, minor.min(19)),
            };
            out.extend((0..nine).rev().map(|minor| dotted(9, minor)));
            out.extend((1..eight).rev().map(|minor| dotted(8, minor)).chain([None]));
        }
        _ => {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(wanted: &str, offered: &[&str]) -> Option<String> {
        let offered: Vec<Platform> = offered.iter().map(|p| p.parse().unwrap()).collect();
        best(&wanted.parse().unwrap(), &offered).map(|at| offered[at].to_string())
    }

    #[test]
    fn spellings_of_one_platform_are_one() {
        for (wanted, offered) in [
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/arm64/v8", "linux/aarch64"),
            ("linux/arm/v7", "linux/arm"),
            ("linux/arm/v6", "linux/armel"),
            ("linux/amd64", "linux/x86_64/v1"),
            ("linux/386", "linux/i386"),
            ("linux/arm/v5", "linux/arm/5"),
            ("Linux/AMD64", "linux/amd64"),
        ] {
            assert_eq!(chosen(wanted, &[offered]).as_deref(), Some(offered), "{wanted}");
        }
    }

    #[test]
    fn newest_variant_that_runs_is_best() {
        let arms = ["linux/arm/v5", "linux/arm64", "linux/arm/v6", "linux/arm/v7"];
        assert_eq!(chosen("linux/arm/v7", &arms).unwrap(), "linux/arm/v7");
        assert_eq!(chosen("linux/arm/v7", &arms[..3]).unwrap(), "linux/arm/v6");
        assert_eq!(chosen("linux/arm/v6", &arms).unwrap(), "linux/arm/v6");
        assert_eq!(chosen("linux/arm/v5", &arms[2..]), None);
        let amds = ["linux/amd64/v4", "linux/amd64/v2", "linux/amd64"];
        assert_eq!(chosen("linux/amd64", &amds).unwrap(), "linux/amd64");
        assert_eq!(chosen("linux/amd64/v3", &amds).unwrap(), "linux/amd64/v2");
        assert_eq!(chosen("linux/amd64/v3", &amds[2..]).unwrap(), "linux/amd64");
        let new = ["linux/arm64/v8", "linux/arm64/v8.5", "linux/arm64/v8.6", "linux/arm64/v9"];
        assert_eq!(chosen("linux/arm64/v9.1", &new).unwrap(), "linux/arm64/v9");
        assert_eq!(chosen("linux/arm64/v9", &new[..3]).unwrap(), "linux/arm64/v8.5");
        assert_eq!(chosen("linux/arm64", &new).unwrap(), "linux/arm64/v8");
    }

    #[test]
    fn no_platform_is_met_by_another_architecture() {
        assert_eq!(chosen("linux/amd64", &["linux/386", "windows/amd64"]), None);
        assert_eq!(chosen("linux/arm64", &["linux/arm/v7", "linux/arm/v8"]), None);
        assert_eq!(chosen("linux/riscv64", &[]), None);
    }

    #[test]
    fn first_of_equals_is_taken() {
        let offered = ["windows/amd64", "linux/amd64", "linux/amd64"];
        let offered: Vec<Platform> = offered.iter().map(|p| p.parse().unwrap()).collect();
        assert_eq!(best(&offered[1], &offered), Some(1));
    }

    #[test]
    fn absurd_variants_cost_nothing() {
        for variant in ["v4294967295", "v9.4294967295", "v8.4294967295", "v", "v.", "9.9"] {
            for architecture in ["amd64", "arm", "arm64"] {
                let odd = Platform::new("linux", architecture).with_variant(variant);
                assert_eq!(best(&odd, [&odd]), Some(0));
                assert!(variants(&odd).len() < 40);
            }
        }
    }
}
