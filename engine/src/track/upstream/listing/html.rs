//! The links of a web page that is an index of a folder. Nothing else of HTML counts, so that every
//! server's form is read: Apache, nginx, lighttpd, Caddy, Python.

use super::{Base, Entry, LONGEST_LINK, Listing, dated};

/// Characters behind a link that may say when a file was changed.
const BEHIND: usize = 200;

/// Reads the links to files and folders of the listed folder.
pub(super) fn read(text: &str, base: &Base, listing: &mut Listing) -> Result<(), String> {
    let mut page = Page { rest: text };
    let mut open: Option<(String, String)> = None;
    while let Some((before, tag)) = page.next() {
        if let Some((_, behind)) = &mut open
            && behind.len() < BEHIND
        {
            behind.push(' ');
            behind.extend(before.chars().take(BEHIND));
        }
        let Some(link) = link(tag).filter(|link| link.len() <= LONGEST_LINK) else { continue };
        finish(open.take(), listing)?;
        open = base.child(&unescaped(link)).map(|name| (name, String::new()));
    }
    if let Some((_, behind)) = &mut open {
        behind.extend(page.rest.chars().take(BEHIND));
    }
    finish(open, listing)
}

/// Adds a link with what stands behind it.
fn finish(open: Option<(String, String)>, listing: &mut Listing) -> Result<(), String> {
    let Some((name, behind)) = open else { return Ok(()) };
    let dated = dated(&behind);
    listing.add(&name, Entry { dated, ..Entry::default() })
}

/// A page that is read tag by tag.
struct Page<'t> {
    rest: &'t str,
}

impl<'t> Page<'t> {
    /// The text before the next tag, and what stands between its angle brackets.
    fn next(&mut self) -> Option<(&'t str, &'t str)> {
        let (before, rest) = self.rest.split_once('<')?;
        if let Some(comment) = rest.strip_prefix("!--") {
            let (_, rest) = comment.split_once("-->")?;
            self.rest = rest;
            return Some((before, ""));
        }
        let mut quote = None;
        let end = rest.find(|c: char| match (quote, c) {
            (Some(open), c) if c == open => {
                quote = None;
                false
            }
            (None, '"' | '\'') => {
                quote = Some(c);
                false
            }
            (quote, c) => quote.is_none() && c == '>',
        })?;
        let (tag, rest) = rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Some((before, tag))
    }
}

/// The address that an `a` element leads to.
fn link(tag: &str) -> Option<&str> {
    let rest = tag.strip_prefix(['a', 'A'])?;
    let mut rest = rest.strip_prefix(|c: char| c.is_ascii_whitespace())?;
    loop {
        rest = rest.trim_start();
        let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let value = after.trim_start().strip_prefix('=').map(str::trim_start);
        let (value, after) = match value {
            None => ("", after),
            Some(value) => quoted(value),
        };
        if name.eq_ignore_ascii_case("href") {
            return Some(value);
        }
        if after.len() == rest.len() || after.is_empty() {
            return None;
        }
        rest = after;
    }
}

/// A value of an attribute and what follows it.
fn quoted(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    text.split_at(text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len()))
}

/// A value with those character references resolved that servers write into addresses.
fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let known = after.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        let (character, after) = known.unwrap_or(('&', after));
        out.push(character);
        rest = after;
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        name => {
            let number = name.strip_prefix('#')?;
            let value = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(value)?
        }
    })
}
