//! Emulators for programs of another architecture, and the lines that register them with the
//! kernel (`Documentation/admin-guide/binfmt-misc.rst`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::spec::path_bytes;

/// An emulator in user mode, such as a static `qemu-aarch64`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emulator {
    /// The emulator on the host; a static program, for the root has none of its libraries.
    #[serde(with = "path_bytes")]
    pub interpreter: PathBuf,
    /// Which programs it is for; read in [`EmulatorMode::Binfmt`] only.
    pub registration: Registration,
    /// How the kernel comes to call it.
    pub mode: EmulatorMode,
}

/// How an emulator is put in front of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EmulatorMode {
    /// Registered in the sandbox's own user namespace (Linux 6.7 or newer).
    Binfmt,
    /// The host has it registered with the flag `F`; nothing is done.
    HostRegistered,
    /// Put in front of the command line; programs that the command starts are not emulated.
    Prefix,
}

/// Which files a binfmt_misc handler is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The first bytes of such a file.
    pub magic: Vec<u8>,
    /// Which bits of these bytes count; as long as `magic`, or empty for all.
    pub mask: Vec<u8>,
    /// Flags beyond `F`, which is always set: `P` keeps argv\[0\] (the emulator must know of it),
    /// `O` and `C` as in the kernel's documentation.
    pub flags: String,
}

impl Registration {
    /// Matches executables and shared objects of one ELF machine (`e_machine` in `elf.h`), any OS ABI.
    pub fn elf(machine: u16, bits64: bool, little_endian: bool) -> Self {
        let mut magic = vec![0; 20];
        magic[..4].copy_from_slice(b"\x7fELF");
        magic[4] = if bits64 { 2 } else { 1 };
        magic[5] = if little_endian { 1 } else { 2 };
        magic[6] = 1;
        let (executable, machine) = if little_endian {
            (2_u16.to_le_bytes(), machine.to_le_bytes())
        } else {
            (2_u16.to_be_bytes(), machine.to_be_bytes())
        };
        magic[16..18].copy_from_slice(&executable);
        magic[18..20].copy_from_slice(&machine);
        let mut mask = vec![0xff; 20];
        // The OS ABI may be anything; the lowest bit of e_type tells EXEC from DYN.
        mask[7] = 0;
        mask[if little_endian { 16 } else { 17 }] = 0xfe;
        Self { magic, mask, flags: String::new() }
    }

    /// Writes the line for the `register` file, or says why there is none.
    pub(crate) fn line(&self, name: &str, interpreter: &Path) -> Result<Vec<u8>, String> {
        if !self.mask.is_empty() && self.mask.len() != self.magic.len() {
            return Err("the mask of an emulator registration must be as long as its magic".into());
        }
        let path = interpreter.as_os_str();
        let Some(delimiter) = [b':', b'|', b';', b','].into_iter().find(|d| free_of(path, *d))
        else {
            return Err(format!("the path {} cannot be registered", interpreter.display()));
        };
        let flags = format!("F{}", self.flags.replace('F', ""));
        let mut line = Vec::new();
        for field in [b"", name.as_bytes(), b"M", b"0", &escape(&self.magic), &escape(&self.mask)] {
            line.extend_from_slice(field);
            line.push(delimiter);
        }
        line.extend_from_slice(path.as_bytes());
        line.push(delimiter);
        line.extend_from_slice(flags.as_bytes());
        // The kernel takes 1920 bytes at most.
        if line.len() > 1920 {
            return Err(format!("the path {} is too long to be registered", interpreter.display()));
        }
        Ok(line)
    }
}

fn free_of(path: &OsStr, delimiter: u8) -> bool {
    !path.as_bytes().contains(&delimiter)
}

fn escape(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_arm64_is_the_one_of_the_kernel_documentation() {
        let line = Registration::elf(183, true, true).line("e", Path::new("/q")).unwrap();
        let expected = concat!(
            r":e:M:0:\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
            r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/q:F"
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn big_endian_machines_swap_their_fields() {
        let registration = Registration::elf(22, true, false);
        assert_eq!(registration.magic[16..20], [0, 2, 0, 22]);
        assert_eq!(registration.mask[16..18], [0xff, 0xfe]);
    }

    #[test]
    fn a_colon_in_the_path_changes_the_delimiter_and_a_bad_mask_is_refused() {
        let mut registration = Registration::elf(183, true, true);
        registration.flags = "PF".into();
        let line = registration.line("e", Path::new("/a:b")).unwrap();
        assert!(line.starts_with(b"|e|M|0|") && line.ends_with(b"|/a:b|FP"));
        assert!(registration.line("e", Path::new("/:|;,")).is_err());
        assert!(registration.line("e", Path::new(&"/x".repeat(1000))).is_err());
        registration.mask.pop();
        assert!(registration.line("e", Path::new("/q")).is_err());
    }
}
