//! Reads of an ELF header what explains why a program cannot be executed; elf(5).

/// What matters of an executable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elf {
    /// `e_machine`.
    pub machine: u16,
    /// The program interpreter (`PT_INTERP`) that it asks for; a static program has none.
    pub interpreter: Option<Vec<u8>>,
}

/// The machine of this process, and the other one that its kernel may run without an emulator.
#[cfg(target_arch = "x86_64")]
pub(crate) const NATIVE: [u16; 2] = [62, 3];
#[cfg(target_arch = "aarch64")]
pub(crate) const NATIVE: [u16; 2] = [183, 40];
#[cfg(target_arch = "riscv64")]
pub(crate) const NATIVE: [u16; 2] = [243, 243];

/// Names a machine for people.
pub(crate) fn machine_name(machine: u16) -> String {
    let name = match machine {
        3 => "386",
        8 => "mips",
        20 => "ppc",
        21 => "ppc64",
        22 => "s390x",
        40 => "arm",
        62 => "amd64",
        183 => "arm64",
        243 => "riscv64",
        258 => "loong64",
        other => return format!("ELF machine {other}"),
    };
    name.to_string()
}

/// Reads the start of a file; `None` when it is no ELF file. Damaged headers have no interpreter.
pub(crate) fn parse(bytes: &[u8]) -> Option<Elf> {
    let ident = bytes.get(..16)?;
    if !ident.starts_with(b"\x7fELF") {
        return None;
    }
    let reader = Reader { bytes, big: ident[5] == 2 };
    let machine = u16::try_from(reader.number(18, 2)?).ok()?;
    Some(Elf { machine, interpreter: interpreter(&reader, ident[4] == 2) })
}

fn interpreter(reader: &Reader<'_>, bits64: bool) -> Option<Vec<u8>> {
    const PT_INTERP: u64 = 3;
    let (table, size, count) = if bits64 {
        (reader.number(32, 8)?, reader.number(54, 2)?, reader.number(56, 2)?)
    } else {
        (reader.number(28, 4)?, reader.number(42, 2)?, reader.number(44, 2)?)
    };
    for index in 0..count {
        let at = table.checked_add(index.checked_mul(size)?)?;
        if reader.number(at, 4)? != PT_INTERP {
            continue;
        }
        let (offset, length) = if bits64 {
            (reader.number(at.checked_add(8)?, 8)?, reader.number(at.checked_add(32)?, 8)?)
        } else {
            (reader.number(at.checked_add(4)?, 4)?, reader.number(at.checked_add(16)?, 4)?)
        };
        let path = reader.span(offset, length)?;
        return Some(path.iter().copied().take_while(|byte| *byte != 0).collect());
    }
    None
}

struct Reader<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl<'a> Reader<'a> {
    fn span(&self, at: u64, length: u64) -> Option<&'a [u8]> {
        let end = at.checked_add(length)?;
        self.bytes.get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)
    }

    fn number(&self, at: u64, length: u64) -> Option<u64> {
        let bytes = self.span(at, length)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut elf = vec![0_u8; 0x90];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 183;
        elf[32] = 0x40;
        elf[54] = 0x38;
        elf[56] = 1;
        elf[0x40] = 3;
        elf[0x48] = 0x80;
        elf[0x60] = 6;
        elf[0x80..0x86].copy_from_slice(b"/ld.so");
        elf
    }

    #[test]
    fn reads_machine_and_interpreter() {
        let elf = parse(&sample()).unwrap();
        assert_eq!(elf, Elf { machine: 183, interpreter: Some(b"/ld.so".to_vec()) });
    }

    #[test]
    fn hostile_headers_are_harmless() {
        let good = sample();
        for length in 0..good.len() {
            let _ = parse(&good[..length]);
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] = 0xff;
            let _ = parse(&bad);
        }
        assert_eq!(parse(b"#!/bin/sh\n"), None);
        let mut beyond = good;
        beyond[0x48] = 0xff;
        assert_eq!(parse(&beyond).unwrap().interpreter, None);
    }
}
