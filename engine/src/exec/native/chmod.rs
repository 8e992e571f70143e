//! `--chmod`: permission bits in octal or as chmod(1) has them in symbols.

use crate::exec::Fault;

/// Permission bits as chmod(1) reads them.
#[derive(Clone, Debug)]
pub(super) enum Chmod {
    /// The bits themselves.
    Bits(u32),
    /// Clauses of classes, an operator and permissions: `u=rwX,go-w`.
    Clauses(Vec<(u32, char, String)>),
}

impl Chmod {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let bad =
            || Fault::step(format!("`{text}` is no mode; write it as `0755`, or as `u=rwX,go=rX`"));
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777);
            return bits.map(Self::Bits).ok_or_else(bad);
        }
        let mut clauses = Vec::new();
        for clause in text.split(',') {
            let at = clause.find(['=', '+', '-']).ok_or_else(bad)?;
            let (who, rest) = clause.split_at(at);
            let mut mask = 0;
            for c in who.chars() {
                mask |= match c {
                    'u' => 0o4700,
                    'g' => 0o2070,
                    'o' => 0o1007,
                    'a' => 0o7777,
                    _ => return Err(bad()),
                };
            }
            let mask = if mask == 0 { 0o7777 } else { mask };
            let mut rest = rest;
            while let Some(operator) = rest.chars().next() {
                let end = rest.get(1..).and_then(|r| r.find(['=', '+', '-']));
                let end = end.map_or(rest.len(), |end| end + 1);
                let permissions = rest.get(1..end).unwrap_or_default();
                if !permissions.chars().all(|c| "rwxXstugo".contains(c)) {
                    return Err(bad());
                }
                clauses.push((mask, operator, permissions.to_owned()));
                rest = rest.get(end..).unwrap_or_default();
            }
        }
        Ok(Self::Clauses(clauses))
    }

    /// The bits of a file that has some already.
    pub fn of(&self, before: u32, is_dir: bool) -> u32 {
        let clauses = match self {
            Self::Bits(bits) => return *bits,
            Self::Clauses(clauses) => clauses,
        };
        let mut mode = before & 0o7777;
        for (mask, operator, permissions) in clauses {
            let any_execute = mode & 0o111 != 0;
            let class = |shift: u32| {
                let bits = (mode >> shift) & 7;
                bits | bits << 3 | bits << 6
            };
            let bits = permissions.chars().fold(0, |bits, c| {
                bits | match c {
                    'r' => 0o444,
                    'w' => 0o222,
                    'x' => 0o111,
                    'X' if is_dir || any_execute => 0o111,
                    's' => 0o6000,
                    't' => 0o1000,
                    'u' => class(6),
                    'g' => class(3),
                    'o' => class(0),
                    _ => 0,
                }
            }) & mask;
            match operator {
                '+' => mode |= bits,
                '-' => mode &= !bits,
                _ => mode = mode & !mask | bits,
            }
        }
        mode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, before: u32, is_dir: bool) -> String {
        format!("{:o}", Chmod::parse(text).unwrap().of(before, is_dir))
    }

    #[test]
    fn bits_are_as_they_are_written() {
        for (text, want) in [("0755", "755"), ("7", "7"), ("4755", "4755"), ("7777", "7777")] {
            assert_eq!(of(text, 0o600, false), want);
        }
    }

    #[test]
    fn symbols_change_what_was() {
        for (text, before, is_dir, want) in [
            ("u=rwX,go=rX", 0o600, false, "644"),
            ("u=rwX,go=rX", 0o700, false, "755"),
            ("u=rwX,go=rX", 0o600, true, "755"),
            ("+x", 0o644, false, "755"),
            ("a-w", 0o666, false, "444"),
            ("go=", 0o777, false, "700"),
            ("g=u", 0o740, false, "770"),
            ("go=u-w", 0o750, false, "755"),
            ("u+s,g+s,+t", 0o755, false, "7755"),
            ("o+r,u-r", 0o400, false, "4"),
        ] {
            assert_eq!(of(text, before, is_dir), want, "{text} on {before:o}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for text in ["", "99", "17777", "u", "z+x", "u+q", "0755x", "u=rw,", "-", "rwx"] {
            // A lone operator changes nothing, as chmod(1) has it.
            assert_eq!(Chmod::parse(text).is_ok(), text == "-", "{text:?}");
        }
    }
}
