//! Which texts can name an image, by the rules of the distribution project's references.

/// The longest name of a repository, in bytes.
const LONGEST: usize = 255;
/// The longest tag, in bytes.
const LONGEST_TAG: usize = 128;

/// Whether a text can name an image: `[host[:port]/]path[/path…][:tag][@digest]`.
pub(crate) fn is_name(text: &str) -> bool {
    let (text, digest) = match text.split_once('@') {
        Some((text, digest)) => (text, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return false;
    }
    let (host, rest) = split_host(text);
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    // Sixty-four hexadecimal digits are the id of an image.
    let is_id = digest.is_none() && text.len() == 64 && text.bytes().all(is_lower_hex);
    !is_id
        && host.is_none_or(is_host)
        && tag.is_none_or(is_tag)
        && path.len() <= LONGEST
        && path.split('/').all(is_path_part)
}

/// Parts the registry from the name; a first part is one only when it looks like that.
fn split_host(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((host, rest))
            if host == "localhost"
                || host.contains(['.', ':'])
                || host.chars().any(char::is_uppercase) =>
        {
            (Some(host), rest)
        }
        _ => (None, text),
    }
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, behind)) = rest.split_once(']') else { return false };
            let hex = |b: u8| b.is_ascii_hexdigit() || b == b':';
            if address.is_empty() || !address.bytes().all(hex) {
                return false;
            }
            match behind.strip_prefix(':') {
                Some(port) => (None, Some(port)),
                None if behind.is_empty() => (None, None),
                None => return false,
            }
        }
        None => match text.split_once(':') {
            Some((name, port)) => (Some(name), Some(port)),
            None => (Some(text), None),
        },
    };
    let is_part = |part: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !part.is_empty()
            && part.bytes().all(inner)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
        && name.is_none_or(|name| name.split('.').all(is_part))
}

/// Lower-case letters and digits, between them `.`, `_`, `__` or any number of `-`.
fn is_path_part(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut rest = text;
    loop {
        let word = rest.bytes().take_while(|b| is_word(*b)).count();
        let Some(behind) = rest.get(word..).filter(|_| word > 0) else { return false };
        if behind.is_empty() {
            return true;
        }
        let dashes = behind.bytes().take_while(|b| *b == b'-').count();
        let gap = match behind.as_bytes() {
            _ if dashes > 0 => dashes,
            [b'_', b'_', ..] => 2,
            [b'_' | b'.', ..] => 1,
            _ => return false,
        };
        rest = behind.get(gap..).unwrap_or("");
    }
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= LONGEST_TAG
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

/// Whether a text is a digest such as `sha256:…`, with as many digits as the algorithm has.
pub(crate) fn is_digest(text: &str) -> bool {
    let Some((algorithm, digits)) = text.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    digits.len() == length && digits.bytes().all(is_lower_hex)
}

fn is_lower_hex(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let digest = format!("a@sha256:{}", "0".repeat(64));
        let id = "0".repeat(64);
        let long = "a/".repeat(127) + "a";
        for (text, good) in [
            ("alpine", true),
            ("alpine:3.22", true),
            ("scratch", true),
            ("a/b/c:T_a.g-1", true),
            ("localhost/a", true),
            ("localhost:5000/a", true),
            ("Host/a", true),
            ("example.org:5000/a/b-c__d.e:1", true),
            ("[::1]:5000/a", true),
            ("[::1]/a", true),
            ("a--b", true),
            (&digest, true),
            (&long, true),
            ("", false),
            (":1", false),
            ("alpine:", false),
            ("Alpine", false),
            ("a/B", false),
            ("a//b", false),
            ("a/", false),
            ("a_.b", false),
            ("a___b", false),
            ("-a", false),
            ("a-", false),
            ("a b", false),
            ("a:b:c", false),
            ("a:.b", false),
            ("a@sha256:0", false),
            ("a@md5:00", false),
            ("ex_ample.org/a", false),
            ("-x.org/a", false),
            ("x.org:/a", false),
            ("[::1/a", false),
            ("[]/a", false),
            (&id, false),
            ("é", false),
            (&format!("{long}/a"), false),
            (&format!("a:{}", "t".repeat(129)), false),
        ] {
            assert_eq!(is_name(text), good, "{text}");
        }
    }
}
