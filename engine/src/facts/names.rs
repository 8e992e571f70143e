//! Names of files that are no UTF-8, as text: every byte that is no part of a character stands as a
//! character of its own, and such characters stand as their bytes. So each name has one text and
//! each text one name.

use std::borrow::Cow;

/// The character of the byte 0x80, near the end of a plane that nobody uses.
const FIRST: u32 = 0x10_ff80;

fn is_stand_in(c: char) -> bool {
    u32::from(c) >= FIRST
}

/// The text of a name.
pub fn text_of(name: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(name) {
        Ok(text) if !text.contains(is_stand_in) => return Cow::Borrowed(text),
        _ => {}
    }
    let stand_in = |byte: u8| char::from_u32(FIRST - 0x80 + u32::from(byte));
    let mut out = String::with_capacity(name.len() * 2);
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match is_stand_in(c) {
                true => out.extend(c.encode_utf8(&mut [0; 4]).bytes().filter_map(stand_in)),
                false => out.push(c),
            }
        }
        out.extend(chunk.invalid().iter().copied().filter_map(stand_in));
    }
    Cow::Owned(out)
}

/// The name that a text stands for.
pub fn name_of(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(is_stand_in) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(u32::from(c).wrapping_sub(FIRST - 0x80)) {
            Ok(byte) if is_stand_in(c) => out.push(byte),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back() {
        let stand_in = "a\u{10ff80}\u{10ffff}b";
        for name in [
            &b"plain"[..],
            "h\u{f6}r/\u{10ff00}".as_bytes(),
            b"l\xe4tin",
            b"\xff\xfe/\x80",
            b"cut \xf0\x9f\x98",
            stand_in.as_bytes(),
            b"",
        ] {
            let text = text_of(name);
            assert_eq!(name_of(&text), name, "{text:?}");
        }
        assert!(matches!(text_of(b"plain"), Cow::Borrowed("plain")));
        assert!(matches!(name_of("plain"), Cow::Borrowed(b"plain")));
    }

    #[test]
    fn different_names_have_different_texts() {
        let stand_in = text_of(b"\xff").into_owned();
        assert_ne!(text_of(stand_in.as_bytes()), text_of(b"\xff"));
        assert_ne!(text_of(b"\xff"), text_of(b"\xfe"));
        assert_eq!(text_of(b"a\xffb").chars().count(), 3);
    }
}
