//! The cleartext signature framework (RFC 9580, section 7), read strictly: exactly one message,
//! nothing before or after it, and what is verified is what is handed on.

const BEGIN_MESSAGE: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &[u8] = b"-----END PGP SIGNATURE-----";

/// A clear-signed message taken apart; nothing is verified yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClearSigned<'a> {
    /// The text as it was hashed: trailing blanks removed, lines joined by CR LF.
    pub(crate) canonical: Vec<u8>,
    /// The armoured signatures, from the BEGIN to the END line.
    pub(crate) armor: &'a [u8],
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClearSignError {
    #[error("it does not start with \"-----BEGIN PGP SIGNED MESSAGE-----\"")]
    NoMessage,
    #[error("the header line {0:?} is not allowed")]
    Header(String),
    #[error("line {0} starts with a dash that is not escaped, or holds a stray carriage return")]
    Line(usize),
    #[error("it has no complete signature block")]
    NoSignature,
    #[error("there is text after the signature block")]
    Trailing,
}

/// Takes a message apart.
pub(crate) fn split(message: &[u8]) -> Result<ClearSigned<'_>, ClearSignError> {
    let mut lines = Lines { text: message, position: 0, number: 0 };
    if lines.next().is_none_or(|line| line != BEGIN_MESSAGE) {
        return Err(ClearSignError::NoMessage);
    }
    loop {
        match lines.next() {
            Some(b"") => break,
            Some(line) if line.starts_with(b"Hash:") => {}
            Some(line) => {
                let start = String::from_utf8_lossy(line).chars().take(80).collect();
                return Err(ClearSignError::Header(start));
            }
            None => return Err(ClearSignError::NoSignature),
        }
    }
    let mut canonical = Vec::with_capacity(message.len());
    let mut first = true;
    let armor_start = loop {
        let start = lines.position;
        let line = lines.next().ok_or(ClearSignError::NoSignature)?;
        if line == BEGIN_SIGNATURE {
            break start;
        }
        let content = match line.strip_prefix(b"- ") {
            Some(content) => content,
            None if line.starts_with(b"-") => return Err(ClearSignError::Line(lines.number)),
            None => line,
        };
        if content.contains(&b'\r') {
            return Err(ClearSignError::Line(lines.number));
        }
        if !std::mem::take(&mut first) {
            canonical.extend_from_slice(b"\r\n");
        }
        canonical.extend_from_slice(content);
    };
    let armor = lines.armor_from(armor_start)?;
    Ok(ClearSigned { canonical, armor })
}

/// Lines without their end and without blanks at their end.
struct Lines<'a> {
    text: &'a [u8],
    position: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.text.get(self.position..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
        self.position += length;
        self.number += 1;
        let line = rest.get(..length).unwrap_or_default();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let end =
            line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |at| at + 1);
        line.get(..end)
    }

    fn armor_from(mut self, start: usize) -> Result<&'a [u8], ClearSignError> {
        while let Some(line) = self.next() {
            if line == END_SIGNATURE {
                let (before, after) =
                    self.text.split_at_checked(self.position).unwrap_or((self.text, b""));
                if !after.trim_ascii().is_empty() {
                    return Err(ClearSignError::Trailing);
                }
                return before.get(start..).ok_or(ClearSignError::NoSignature);
            }
            if line.starts_with(b"-") {
                break;
            }
        }
        Err(ClearSignError::NoSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nA: 1 \t\n- -B\n\nC\n-----BEGIN PGP SIGNATURE-----\n\nabcd\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn a_message_is_taken_apart_and_made_canonical() {
        let signed = split(GOOD.as_bytes()).unwrap();
        assert_eq!(signed.canonical, b"A: 1\r\n-B\r\n\r\nC");
        assert_eq!(
            signed.armor,
            b"-----BEGIN PGP SIGNATURE-----\n\nabcd\n-----END PGP SIGNATURE-----\n"
        );
        let with_cr = GOOD.replace('\n', "\r\n");
        assert_eq!(split(with_cr.as_bytes()).unwrap().canonical, signed.canonical);
        assert!(split(format!("{GOOD}\n \n").as_bytes()).is_ok());
    }

    #[test]
    fn anything_around_or_odd_inside_is_refused() {
        use ClearSignError as E;
        let cases = [
            (String::new(), E::NoMessage),
            (format!("Origin: evil\n{GOOD}"), E::NoMessage),
            (format!("\n{GOOD}"), E::NoMessage),
            (format!("{GOOD}Origin: evil\n"), E::Trailing),
            (format!("{GOOD}{GOOD}"), E::Trailing),
            (GOOD.replace("Hash: SHA256", "Suite: evil"), E::Header("Suite: evil".into())),
            (GOOD.replace("- -B", "-B"), E::Line(5)),
            (GOOD.replace("\nC\n", "\nC\rD\n"), E::Line(7)),
            (GOOD.replace("-----END", "-----FIN"), E::NoSignature),
            (GOOD[..60].to_owned(), E::NoSignature),
        ];
        for (text, want) in cases {
            assert_eq!(split(text.as_bytes()).unwrap_err(), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_damage_is_handled(at in 0usize..160, bytes in proptest::collection::vec(any::<u8>(), 0..9)) {
            let mut text = GOOD.as_bytes().to_vec();
            let at = at.min(text.len());
            text.splice(at..at, bytes);
            let _ = split(&text);
        }
    }
}
