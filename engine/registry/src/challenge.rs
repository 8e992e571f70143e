//! What a registry answers to a request without the right login: `WWW-Authenticate`.
//!
//! Format: RFC 9110, section 11.6.1.

use std::iter::Peekable;
use std::str::Chars;

/// One way to log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// `bearer`, `basic`, …, in small letters.
    pub scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter by its name in small letters.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the ways to log in that a header offers; what is no challenge is left out.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut out: Vec<Challenge> = Vec::new();
    let mut rest = header.chars().peekable();
    loop {
        skip(&mut rest, &[' ', '\t', ',']);
        let word = word(&mut rest);
        if word.is_empty() {
            // Something that begins no word; the rest cannot be told apart.
            if rest.next().is_none() {
                return out;
            }
            continue;
        }
        skip(&mut rest, &[' ', '\t']);
        if rest.peek() != Some(&'=') {
            out.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
            continue;
        }
        rest.next();
        skip(&mut rest, &[' ', '\t']);
        let value =
            if rest.peek() == Some(&'"') { quoted(&mut rest) } else { self::word(&mut rest) };
        if let Some(challenge) = out.last_mut() {
            challenge.parameters.push((word.to_ascii_lowercase(), value));
        }
    }
}

fn skip(rest: &mut Peekable<Chars<'_>>, what: &[char]) {
    while rest.next_if(|c| what.contains(c)).is_some() {}
}

fn word(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut out = String::new();
    while let Some(c) = rest.next_if(|c| !matches!(c, ' ' | '\t' | ',' | '=' | '"')) {
        out.push(c);
    }
    out
}

fn quoted(rest: &mut Peekable<Chars<'_>>) -> String {
    rest.next();
    let mut out = String::new();
    while let Some(c) = rest.next() {
        match c {
            '"' => break,
            '\\' => out.extend(rest.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read() {
        let one = parse(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push" , error=insufficient_scope"#,
        );
        let [bearer] = one.as_slice() else { panic!("{one:?}") };
        assert_eq!(bearer.scheme, "bearer");
        assert_eq!(bearer.get("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(bearer.get("scope"), Some("repository:a/b:pull,push"));
        assert_eq!(bearer.get("error"), Some("insufficient_scope"));
    }

    #[test]
    fn several_ways_in_one_header() {
        let both = parse(r#"Negotiate, BASIC realm="a \"b\", c=d", Bearer Realm = x,service=y"#);
        let schemes: Vec<&str> = both.iter().map(|c| c.scheme.as_str()).collect();
        assert_eq!(schemes, ["negotiate", "basic", "bearer"]);
        assert_eq!(both[1].get("realm"), Some(r#"a "b", c=d"#));
        assert_eq!((both[2].get("realm"), both[2].get("service")), (Some("x"), Some("y")));
    }

    #[test]
    fn nonsense_ends() {
        for text in
            ["", ",", "=", "\"", "a=\"", "Bearer realm=\"x", "Basic a=b=c", "=,=,\"\"=", "\\"]
        {
            let _ = parse(text);
        }
        let cut = parse("Bearer realm=\"x");
        assert_eq!(cut[0].get("realm"), Some("x"));
    }
}
