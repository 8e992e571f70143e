//! QEMU user emulators: which one runs the programs of a platform, how binfmt_misc recognises
//! those programs, and which platforms need none.
//!
//! Magic and mask bytes are those of QEMU's `scripts/qemu-binfmt-conf.sh` and of the binfmt.d
//! files in Debian's `qemu-user` (QEMU 10.0). Registering is done elsewhere.

/// Debian packages that carry user emulators, in the order to try them.
///
/// In `qemu-user-static` up to bookworm the programs are static and named `…-static`; later it
/// only has links into `qemu-user`, whose programs are static from then on. So whoever takes a
/// program out of a package must see that it is a regular file, and go on to the next if not.
pub fn emulator_package() -> [&'static str; 2] {
    ["qemu-user-static", "qemu-user"]
}

/// How the kernel recognises the programs of one architecture, and what runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emulator {
    /// OCI architecture.
    pub arch: &'static str,
    /// Name of QEMU's target; the programs are `qemu-<target>-static` and `qemu-<target>`.
    pub target: &'static str,
    /// Bytes at the start of a program.
    pub magic: &'static [u8],
    /// Which bits of those bytes count; as long as `magic`.
    pub mask: &'static [u8],
}

/// Why a binfmt_misc registration cannot be written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name of the entry would not be a file name of its own in binfmt_misc.
    #[error("{0:?} cannot be the name of a binfmt_misc entry")]
    Name(String),
    /// The kernel would not take the interpreter's path.
    #[error(
        "{0:?} cannot be a binfmt_misc interpreter: it must be an absolute path of at most 127 \
         bytes without a colon or line break"
    )]
    Interpreter(String),
    /// A flag the kernel does not know.
    #[error("{0:?} are not binfmt_misc flags (P, O, C and F are)")]
    Flags(String),
}

/// Every architecture that can be emulated.
pub static EMULATORS: [Emulator; 10] = [
    emulator_of("arm64", "aarch64", &magic(2, [0xb7, 0x00]), &MASK_ANY_ABI),
    emulator_of("arm", "arm", &magic(1, [0x28, 0x00]), &MASK_ANY_ABI),
    emulator_of("386", "i386", &magic(1, [0x03, 0x00]), &MASK_X86),
    emulator_of("amd64", "x86_64", &magic(2, [0x3e, 0x00]), &MASK_X86),
    emulator_of("ppc64le", "ppc64le", &magic(2, [0x15, 0x00]), &MASK_PPC64LE),
    emulator_of("s390x", "s390x", &MAGIC_S390X, &MASK_S390X),
    emulator_of("riscv64", "riscv64", &magic(2, [0xf3, 0x00]), &MASK_ANY_ABI),
    emulator_of("mips64le", "mips64el", &magic(2, [0x08, 0x00]), &MASK_MIPS64LE),
    emulator_of("mipsle", "mipsel", &MAGIC_MIPSLE, &MASK_MIPSLE),
    emulator_of("loong64", "loongarch64", &magic(2, [0x02, 0x01]), &MASK_LOONG64),
];

const fn emulator_of(
    arch: &'static str,
    target: &'static str,
    magic: &'static [u8],
    mask: &'static [u8],
) -> Emulator {
    Emulator { arch, target, magic, mask }
}

/// Start of a little-endian ELF program: class (1 is 32 bit), then at 16 the type, at 18 the machine.
const fn magic(class: u8, machine: [u8; 2]) -> [u8; 20] {
    let [low, high] = machine;
    [0x7f, b'E', b'L', b'F', class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, low, high]
}

const F: u8 = 0xff;
/// In every mask the type's lowest bit is free, so that ET_EXEC and ET_DYN both match; this one
/// leaves the OS ABI free too.
const MASK_ANY_ABI: [u8; 20] = [F, F, F, F, F, F, F, 0, F, F, F, F, F, F, F, F, 0xfe, F, F, F];
const MASK_X86: [u8; 20] = [F, F, F, F, F, 0xfe, 0xfe, 0xfc, F, F, F, F, F, F, F, F, 0xfe, F, F, F];
/// The machine's high byte is free, as QEMU has it for ppc64le.
const MASK_PPC64LE: [u8; 20] = [F, F, F, F, F, F, F, 0xfc, F, F, F, F, F, F, F, F, 0xfe, F, F, 0];
const MASK_LOONG64: [u8; 20] = [F, F, F, F, F, F, F, 0xfc, 0, F, F, F, F, F, F, F, 0xfe, F, F, F];
const MASK_MIPS64LE: [u8; 20] = [F, F, F, F, F, F, F, 0, 0, F, F, F, F, F, F, F, 0xfe, F, F, F];
/// Big-endian, so type and machine have their bytes the other way round.
const MAGIC_S390X: [u8; 20] =
    [0x7f, b'E', b'L', b'F', 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x16];
const MASK_S390X: [u8; 20] = [F, F, F, F, F, F, F, 0xfc, F, F, F, F, F, F, F, F, F, 0xfe, F, F];
/// Reaches to the file's flags at 36, where the n32 ABI (0x20) must not be set.
const MAGIC_MIPSLE: [u8; 40] = [
    0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const MASK_MIPSLE: [u8; 40] = [
    F, F, F, F, F, F, F, 0, 0, F, F, F, F, F, F, F, 0xfe, F, F, F, F, F, F, F, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0x20, 0, 0, 0,
];

/// Returns the emulator for an OCI platform; every variant of an architecture has the same one.
pub fn emulator(os: &str, arch: &str) -> Option<&'static Emulator> {
    EMULATORS.iter().find(|emulator| os == "linux" && emulator.arch == arch)
}

/// Tells whether a host runs programs of an OCI platform without an emulator.
///
/// Both architectures are spelled as OCI does. An amd64 kernel runs 386 programs; whether an
/// arm64 host runs 32-bit ones depends on processor and kernel, so it counts as not able to.
pub fn runs_natively(host_arch: &str, os: &str, arch: &str) -> bool {
    os == "linux" && (host_arch == arch || (host_arch, arch) == ("amd64", "386"))
}

impl Emulator {
    /// Returns the file names its program may have, the statically linked one first.
    pub fn binary_names(&self) -> [String; 2] {
        [format!("qemu-{}-static", self.target), format!("qemu-{}", self.target)]
    }

    /// Tells whether `start`, the first bytes of a file, is a program for this emulator, by the
    /// same comparison that the kernel makes.
    pub fn matches(&self, start: &[u8]) -> bool {
        start.len() >= self.magic.len()
            && start
                .iter()
                .zip(self.magic)
                .zip(self.mask)
                .all(|((found, magic), mask)| (found ^ magic) & mask == 0)
    }

    /// Returns the line to write to binfmt_misc's `register` file:
    /// `:name:M::magic:mask:interpreter:flags`, all bytes of magic and mask as `\xHH`.
    ///
    /// # Errors
    /// When the kernel would refuse the name, the interpreter's path or the flags, or would take
    /// them for something else.
    pub fn register_line(
        &self,
        name: &str,
        interpreter: &str,
        flags: &str,
    ) -> Result<Vec<u8>, RegisterError> {
        let splits = |text: &str| text.contains([':', '\n', '\0']);
        if matches!(name, "" | "." | ".." | "register" | "status")
            || name.len() > 255
            || name.contains('/')
            || splits(name)
        {
            return Err(RegisterError::Name(name.to_owned()));
        }
        if !interpreter.starts_with('/') || interpreter.len() > 127 || splits(interpreter) {
            return Err(RegisterError::Interpreter(interpreter.to_owned()));
        }
        if !flags.bytes().all(|flag| b"POCF".contains(&flag)) {
            return Err(RegisterError::Flags(flags.to_owned()));
        }
        let (magic, mask) = (escape(self.magic), escape(self.mask));
        Ok(format!(":{name}:M::{magic}:{mask}:{interpreter}:{flags}").into_bytes())
    }
}

fn escape(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_line_is_the_one_debian_installs() {
        let line = |arch, target: &str| {
            let path = format!("/usr/libexec/qemu-binfmt/{target}-binfmt-P");
            let emulator = emulator("linux", arch).unwrap();
            let line = emulator.register_line(&format!("qemu-{target}"), &path, "OPF").unwrap();
            String::from_utf8(line).unwrap()
        };
        assert_eq!(
            line("arm64", "aarch64"),
            r":qemu-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/libexec/qemu-binfmt/aarch64-binfmt-P:OPF"
        );
        assert_eq!(
            line("s390x", "s390x"),
            r":qemu-s390x:M::\x7f\x45\x4c\x46\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16:\xff\xff\xff\xff\xff\xff\xff\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff:/usr/libexec/qemu-binfmt/s390x-binfmt-P:OPF"
        );
        assert_eq!(
            line("mipsle", "mipsel"),
            r":qemu-mipsel:M::\x7f\x45\x4c\x46\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x08\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00:\xff\xff\xff\xff\xff\xff\xff\x00\x00\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x00\x00\x00:/usr/libexec/qemu-binfmt/mipsel-binfmt-P:OPF"
        );
        assert_eq!(
            line("ppc64le", "ppc64le"),
            r":qemu-ppc64le:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x15\x00:\xff\xff\xff\xff\xff\xff\xff\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\x00:/usr/libexec/qemu-binfmt/ppc64le-binfmt-P:OPF"
        );
    }

    #[test]
    fn masks_fit_magics_and_each_program_has_one_emulator() {
        for emulator in &EMULATORS {
            assert_eq!(emulator.magic.len(), emulator.mask.len(), "{}", emulator.arch);
            let matching: Vec<_> = EMULATORS.iter().filter(|e| e.matches(emulator.magic)).collect();
            assert_eq!(matching, [emulator]);
        }
    }

    #[test]
    fn position_independent_programs_match_and_others_do_not() {
        let emulator = emulator("linux", "arm64").unwrap();
        let mut program = emulator.magic.to_vec();
        program[16] = 3;
        assert!(emulator.matches(&program));
        program[16] = 1;
        assert!(!emulator.matches(&program));
        assert!(!emulator.matches(&emulator.magic[..19]));
        assert_eq!(emulator.binary_names(), ["qemu-aarch64-static", "qemu-aarch64"]);
    }

    #[test]
    fn a_line_the_kernel_would_misread_is_refused() {
        let emulator = emulator("linux", "arm").unwrap();
        let ok = |name: &str, path: &str, flags| emulator.register_line(name, path, flags).is_ok();
        assert!(ok("qemu-arm", "/usr/bin/qemu-arm-static", ""));
        for name in ["", "a:b", "a/b", "..", "register", "a\nb"] {
            assert!(!ok(name, "/q", "F"), "{name:?}");
        }
        let long = format!("/{}", "q".repeat(127));
        for path in ["qemu", "", "/a:b", "/a\nb", &long] {
            assert!(!ok("arm", path, "F"), "{path:?}");
        }
        assert!(!ok("arm", "/q", "FX"));
    }

    #[test]
    fn only_the_own_and_the_compatible_platform_is_native() {
        assert!(runs_natively("amd64", "linux", "amd64"));
        assert!(runs_natively("amd64", "linux", "386"));
        assert!(!runs_natively("386", "linux", "amd64"));
        assert!(!runs_natively("arm64", "linux", "arm"));
        assert!(!runs_natively("amd64", "windows", "amd64"));
        assert!(emulator("windows", "arm64").is_none());
        assert!(emulator("linux", "wasm").is_none());
    }
}
