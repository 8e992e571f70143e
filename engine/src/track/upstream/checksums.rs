//! Files of checksums: `HEX  NAME`, `HEX *NAME`, `SHA256 (NAME) = HEX`, or one lone `HEX`.

use mabuild_oci::Digest;

/// The digest of a file according to a text of checksums. The error says what is wrong with it.
pub(super) fn find(text: &str, name: &str) -> Result<Digest, String> {
    let lines: Vec<&str> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    if let [line] = lines.as_slice()
        && let Some(digest) = digest_of(line)
    {
        return Ok(digest);
    }
    let mut found: Vec<Digest> = lines
        .iter()
        .filter_map(|line| entry(line))
        .filter(|(entry, _)| last(entry) == name)
        .map(|(_, digest)| digest)
        .collect();
    // A file may list the same archive by SHA-256 and by SHA-512: the longer one is taken.
    found.sort_unstable();
    found.dedup();
    let strongest = found.last().map(Digest::algorithm);
    found.retain(|digest| Some(digest.algorithm()) == strongest);
    match found.as_slice() {
        [digest] => Ok(*digest),
        [] if lines.iter().any(|line| entry(line).is_some()) => {
            Err(format!("it does not list {name}"))
        }
        [] => Err("it has no line with a SHA-256 or SHA-512 checksum and a name".to_owned()),
        _ => Err(format!("it lists {name} several times with different checksums")),
    }
}

/// Name and digest of a line.
fn entry(line: &str) -> Option<(&str, Digest)> {
    // BSD: the name may itself have parentheses.
    for algorithm in ["SHA256", "SHA512", "SHA2-256", "SHA2-512"] {
        let bsd = line.strip_prefix(algorithm).and_then(|rest| rest.trim_start().strip_prefix('('));
        if let Some(rest) = bsd {
            let (name, hex) = rest.rsplit_once(')')?;
            return Some((name, digest_of(hex.trim_start().strip_prefix('=')?.trim())?));
        }
    }
    let (hex, name) = line.split_once([' ', '\t'])?;
    let name = name.trim_start();
    Some((name.strip_prefix('*').unwrap_or(name), digest_of(hex)?))
}

fn digest_of(hex: &str) -> Option<Digest> {
    let algorithm = match hex.len() {
        64 => "sha256",
        128 => "sha512",
        _ => return None,
    };
    Digest::parse(&format!("{algorithm}:{}", hex.to_ascii_lowercase())).ok()
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digit: &str, bits: usize) -> String {
        digit.repeat(bits / 4)
    }

    #[test]
    fn every_form_is_read() {
        let (a, b) = (hex("a", 256), hex("b", 512));
        for (text, want) in [
            (format!("{a}  x.tar.gz\n"), format!("sha256:{a}")),
            (format!("{a} *x.tar.gz"), format!("sha256:{a}")),
            (format!("# sums\n\n{a}  other\n{b}  ./d/x.tar.gz\r\n"), format!("sha512:{b}")),
            (format!("SHA256 (x.tar.gz) = {a}"), format!("sha256:{a}")),
            (format!("SHA512(d/x.tar.gz)= {}", b.to_uppercase()), format!("sha512:{b}")),
            (format!("{a}\n"), format!("sha256:{a}")),
            (format!("{a}  x.tar.gz\n{b}  x.tar.gz\n{a}  x.tar.gz"), format!("sha512:{b}")),
        ] {
            assert_eq!(find(&text, "x.tar.gz").unwrap().to_string(), want, "{text}");
        }
    }

    #[test]
    fn what_does_not_tell_is_refused() {
        let (a, b) = (hex("a", 256), hex("b", 256));
        for (text, want) in [
            (format!("{a}  other.tar.gz"), "does not list x.tar.gz"),
            (format!("{a}  x.tar.gz.sig"), "does not list"),
            (format!("{a}  x.tar.gz\n{b}  x.tar.gz"), "several times"),
            ("<html>not found</html>".to_owned(), "no line"),
            (String::new(), "no line"),
            ("d41d8cd98f00b204e9800998ecf8427e  x.tar.gz".to_owned(), "no line"),
        ] {
            let error = find(&text, "x.tar.gz").unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}
