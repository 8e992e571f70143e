//! The system call filter of the programs inside, as classic BPF; seccomp(2).
//!
//! It denies a list rather than allowing one: what the namespaces and the missing capabilities
//! already forbid needs no filter, and a new system call must not break a build.

mod table;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
    SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_USER_NOTIF, sock_filter,
};

pub(crate) use table::name_of;

/// An ABI that programs inside may use: its AUDIT_ARCH number and its column in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abi {
    pub audit: u32,
    pub column: usize,
    /// Whether addresses and the layout of structures are those of this process.
    pub native: bool,
}

/// The ABIs of this machine, its own first.
#[cfg(target_arch = "x86_64")]
pub(crate) const ABIS: &[Abi] = &[
    Abi { audit: 0xc000_003e, column: 0, native: true },
    Abi { audit: 0x4000_0003, column: 1, native: false },
];
#[cfg(target_arch = "aarch64")]
pub(crate) const ABIS: &[Abi] = &[
    Abi { audit: 0xc000_00b7, column: 2, native: true },
    Abi { audit: 0x4000_0028, column: 3, native: false },
];
#[cfg(target_arch = "riscv64")]
pub(crate) const ABIS: &[Abi] = &[Abi { audit: 0xc000_00f3, column: 2, native: true }];

/// Offsets in `struct seccomp_data`; the low half of an argument comes first on these machines.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
fn argument(index: u8) -> u32 {
    16 + 8 * u32::from(index)
}

/// Every flag of clone(2) that makes a namespace, CLONE_NEWTIME apart, which clone(2) cannot.
const NAMESPACES: u32 = 0x7e02_0000;
const AF_VSOCK: u32 = 40;
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
/// `O_CREAT`, the same on all ABIs here. O_TMPFILE has no name to record an owner before linkat.
const O_CREAT: u32 = 0o100;
/// Numbers from here up belong to the x32 ABI.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    // The codes of classic BPF all fit into 16 bits.
    sock_filter { code: code as u16, jt, jf, k }
}

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset)
}

fn ret(action: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, 0, action)
}

/// Skips `otherwise` instructions unless the value is `k`.
fn equals(k: u32, otherwise: u8) -> sock_filter {
    instruction(BPF_JMP | BPF_JEQ | BPF_K, 0, otherwise, k)
}

/// Skips `otherwise` instructions unless the value has one of the bits of `k`.
fn has_bits(k: u32, otherwise: u8) -> sock_filter {
    instruction(BPF_JMP | BPF_JSET | BPF_K, 0, otherwise, k)
}

fn errno(number: i32) -> u32 {
    SECCOMP_RET_ERRNO | u32::try_from(number).unwrap_or(0)
}

/// Which calls wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Catch {
    /// None.
    Nothing,
    /// Those that make devices.
    Devices,
    /// All about owners, ids and devices.
    Owners,
}

/// Writes the filter.
pub(crate) fn filter(catch: Catch) -> Vec<sock_filter> {
    let mut program = vec![load(ARCH)];
    for abi in ABIS {
        let rules = rules(*abi, catch);
        // The way to the next ABI may be longer than a conditional jump reaches.
        program.push(instruction(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, abi.audit));
        let length = u32::try_from(rules.len()).unwrap_or(u32::MAX);
        program.push(instruction(BPF_JMP, 0, 0, length));
        program.extend(rules);
    }
    program.push(ret(SECCOMP_RET_KILL_PROCESS));
    program
}

fn rules(abi: Abi, catch: Catch) -> Vec<sock_filter> {
    let mut rules = Rules { column: abi.column, code: vec![load(NUMBER)] };
    #[cfg(target_arch = "x86_64")]
    if abi.native {
        let at_least = BPF_JMP | libc::BPF_JGE | BPF_K;
        rules.code.push(instruction(at_least, 0, 1, X32));
        rules.code.push(ret(errno(libc::ENOSYS)));
    }
    rules.all(table::DENIED, errno(libc::EPERM));
    rules.all(table::ABSENT, errno(libc::ENOSYS));
    rules.when(&table::CLONE, 0, has_bits(NAMESPACES, 1), errno(libc::EPERM));
    rules.when(&table::SOCKET, 0, equals(AF_VSOCK, 1), errno(libc::EPERM));
    rules.when(&table::IOCTL, 1, equals(TIOCSTI, 1), errno(libc::EPERM));
    rules.when(&table::IOCTL, 1, equals(TIOCLINUX, 1), errno(libc::EPERM));
    if catch == Catch::Devices {
        for (row, mode) in table::MKNODS {
            rules.when(row, *mode, has_bits(libc::S_IFCHR, 1), SECCOMP_RET_USER_NOTIF);
        }
    }
    if catch == Catch::Owners {
        rules.all(table::OWNERS, SECCOMP_RET_USER_NOTIF);
        for (row, _) in table::MKNODS {
            rules.all(std::slice::from_ref(row), SECCOMP_RET_USER_NOTIF);
        }
        rules.all(table::IDS, SECCOMP_RET_USER_NOTIF);
        rules.all(table::OLD_SET_IDS, errno(0));
        let keep = libc::PR_SET_KEEPCAPS.cast_unsigned();
        rules.when(&table::PRCTL, 0, equals(keep, 1), SECCOMP_RET_USER_NOTIF);
        for (row, flags) in table::OPENS {
            rules.when(row, *flags, has_bits(O_CREAT, 1), SECCOMP_RET_USER_NOTIF);
        }
    }
    rules.code.push(ret(SECCOMP_RET_ALLOW));
    rules.code
}

struct Rules {
    column: usize,
    code: Vec<sock_filter>,
}

impl Rules {
    fn number(&self, row: &table::Row) -> Option<u32> {
        row.1.get(self.column).copied().filter(|number| *number != u32::MAX)
    }

    fn all(&mut self, rows: &[table::Row], action: u32) {
        for row in rows {
            if let Some(number) = self.number(row) {
                self.code.extend([equals(number, 1), ret(action)]);
            }
        }
    }

    fn when(&mut self, row: &table::Row, index: u8, test: sock_filter, action: u32) {
        if let Some(number) = self.number(row) {
            let body = [load(argument(index)), test, ret(action), load(NUMBER)];
            self.code.push(equals(number, 4));
            self.code.extend(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a filter on one call, as the kernel would.
    fn verdict(program: &[sock_filter], arch: u32, number: u32, args: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(number.to_le_bytes());
        data.extend(arch.to_le_bytes());
        data.extend(0_u64.to_le_bytes());
        args.iter().for_each(|arg| data.extend(arg.to_le_bytes()));
        let (mut at, mut value) = (0_usize, 0_u32);
        loop {
            let i = &program[at];
            at += 1;
            let code = u32::from(i.code);
            let test = |holds: bool| usize::from(if holds { i.jt } else { i.jf });
            if code == (BPF_LD | BPF_W | BPF_ABS) {
                value = u32::from_le_bytes(data[i.k as usize..][..4].try_into().unwrap());
            } else if code == (BPF_RET | BPF_K) {
                return i.k;
            } else if code == BPF_JMP {
                at += i.k as usize;
            } else if code == (BPF_JMP | BPF_JEQ | BPF_K) {
                at += test(value == i.k);
            } else if code == (BPF_JMP | BPF_JSET | BPF_K) {
                at += test(value & i.k != 0);
            } else if code == (BPF_JMP | libc::BPF_JGE | BPF_K) {
                at += test(value >= i.k);
            } else {
                panic!("unknown instruction {code:#x}");
            }
        }
    }

    #[test]
    fn every_abi_denies_what_is_dangerous_and_allows_the_rest() {
        let program = filter(Catch::Nothing);
        for abi in ABIS {
            let check = |name: &str, row: &table::Row, args, expected| {
                let number = row.1[abi.column];
                if number != u32::MAX {
                    let verdict = verdict(&program, abi.audit, number, args);
                    assert_eq!(verdict, expected, "{name} on {abi:?}");
                }
            };
            let none = [0; 6];
            for row in table::DENIED {
                check(row.0, row, none, errno(libc::EPERM));
            }
            for row in table::OWNERS {
                check(row.0, row, none, SECCOMP_RET_ALLOW);
            }
            check("clone3", &table::ABSENT[0], none, errno(libc::ENOSYS));
            check("clone", &table::CLONE, [0x11, 0, 0, 0, 0, 0], SECCOMP_RET_ALLOW);
            check("clone", &table::CLONE, [0x1000_0011, 0, 0, 0, 0, 0], errno(libc::EPERM));
            check("socket", &table::SOCKET, [40, 0, 0, 0, 0, 0], errno(libc::EPERM));
            check("ioctl", &table::IOCTL, [0, 0x5412, 0, 0, 0, 0], errno(libc::EPERM));
            check("ioctl", &table::IOCTL, [0, 0x5413, 0, 0, 0, 0], SECCOMP_RET_ALLOW);
        }
        assert_eq!(verdict(&program, 1, 0, [0; 6]), SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn owner_emulation_asks_and_fits_the_kernel() {
        let program = filter(Catch::Owners);
        assert!(program.len() < 4096);
        let abi = ABIS[0];
        for row in table::OWNERS.iter().chain(table::IDS) {
            let number = row.1[abi.column];
            if number != u32::MAX {
                let verdict = verdict(&program, abi.audit, number, [0; 6]);
                assert_eq!(verdict, SECCOMP_RET_USER_NOTIF, "{}", row.0);
                assert_eq!(name_of(abi.column, number), Some(row.0));
            }
        }
        let openat = table::OPENS[1].0.1[abi.column];
        let open = |flags| verdict(&program, abi.audit, openat, [0, 0, flags, 0, 0, 0]);
        assert_eq!((open(0o101), open(2)), (SECCOMP_RET_USER_NOTIF, SECCOMP_RET_ALLOW));
    }

    #[test]
    fn only_devices_are_asked_about() {
        let program = filter(Catch::Devices);
        for abi in ABIS {
            for ((name, numbers), index) in table::MKNODS {
                let number = numbers[abi.column];
                if number == u32::MAX {
                    continue;
                }
                let asks = |kind: u32| {
                    let mut args = [0; 6];
                    args[usize::from(*index)] = u64::from(kind | 0o644);
                    verdict(&program, abi.audit, number, args) == SECCOMP_RET_USER_NOTIF
                };
                assert!(asks(libc::S_IFCHR) && asks(libc::S_IFBLK), "{name}");
                assert!(!asks(libc::S_IFIFO) && !asks(libc::S_IFREG) && !asks(0), "{name}");
                assert!(!asks(libc::S_IFSOCK), "{name}");
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_x32_abi_is_absent() {
        let verdict = verdict(&filter(Catch::Nothing), 0xc000_003e, X32 | 165, [0; 6]);
        assert_eq!(verdict, errno(libc::ENOSYS));
    }
}
