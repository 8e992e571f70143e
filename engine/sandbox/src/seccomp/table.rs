//! Numbers of system calls by architecture: x86_64, i386, the generic table (aarch64, riscv64)
//! and 32-bit arm, as in the `unistd` headers of Linux 6.18.

/// No such call there.
const X: u32 = u32::MAX;

/// A call and its number on each ABI.
pub(crate) type Row = (&'static str, [u32; 4]);

/// Refused with EPERM: they reach beyond the sandbox or change what it is made of.
pub(crate) const DENIED: &[Row] = &[
    ("acct", [163, 51, 89, 51]),
    ("add_key", [248, 286, 217, 309]),
    ("bpf", [321, 357, 280, 386]),
    ("clock_settime", [227, 264, 112, 262]),
    ("clock_settime64", [X, 404, X, 404]),
    ("create_module", [174, 127, X, X]),
    ("delete_module", [176, 129, 106, 129]),
    ("finit_module", [313, 350, 273, 379]),
    ("get_kernel_syms", [177, 130, X, X]),
    ("init_module", [175, 128, 105, 128]),
    ("ioperm", [173, 101, X, X]),
    ("iopl", [172, 110, X, X]),
    ("kcmp", [312, 349, 272, 378]),
    ("kexec_file_load", [320, X, 294, 401]),
    ("kexec_load", [246, 283, 104, 347]),
    ("keyctl", [250, 288, 219, 311]),
    ("lookup_dcookie", [212, 253, 18, 249]),
    ("mount", [165, 21, 40, 21]),
    ("mount_setattr", [442, 442, 442, 442]),
    ("move_mount", [429, 429, 429, 429]),
    ("move_pages", [279, 317, 239, 344]),
    ("fsopen", [430, 430, 430, 430]),
    ("fsconfig", [431, 431, 431, 431]),
    ("fsmount", [432, 432, 432, 432]),
    ("fspick", [433, 433, 433, 433]),
    ("nfsservctl", [180, 169, 42, 169]),
    ("open_by_handle_at", [304, 342, 265, 371]),
    ("open_tree", [428, 428, 428, 428]),
    ("open_tree_attr", [467, 467, 467, 467]),
    ("perf_event_open", [298, 336, 241, 364]),
    ("pivot_root", [155, 217, 41, 218]),
    ("query_module", [178, 167, X, X]),
    ("quotactl", [179, 131, 60, 131]),
    ("quotactl_fd", [443, 443, 443, 443]),
    ("reboot", [169, 88, 142, 88]),
    ("request_key", [249, 287, 218, 310]),
    ("setns", [308, 346, 268, 375]),
    ("settimeofday", [164, 79, 170, 79]),
    ("stime", [X, 25, X, X]),
    ("swapon", [167, 87, 224, 87]),
    ("swapoff", [168, 115, 225, 115]),
    ("sysfs", [139, 135, X, 135]),
    ("_sysctl", [156, 149, X, 149]),
    ("syslog", [103, 103, 116, 103]),
    ("umount", [X, 22, X, X]),
    ("umount2", [166, 52, 39, 52]),
    ("unshare", [272, 310, 97, 337]),
    ("uselib", [134, 86, X, 86]),
    ("userfaultfd", [323, 374, 282, 388]),
    ("ustat", [136, 62, X, 62]),
    ("vhangup", [153, 111, 58, 111]),
    ("vm86", [X, 166, X, X]),
    ("vm86old", [X, 113, X, X]),
];

/// Refused with ENOSYS, so that programs take their older way: the arguments of `clone3` cannot be
/// looked at, and io_uring gets around filters altogether.
pub(crate) const ABSENT: &[Row] = &[
    ("clone3", [435, 435, 435, 435]),
    ("io_uring_setup", [425, 425, 425, 425]),
    ("io_uring_enter", [426, 426, 426, 426]),
    ("io_uring_register", [427, 427, 427, 427]),
];

/// Calls with a condition on an argument.
pub(crate) const CLONE: Row = ("clone", [56, 120, 220, 120]);
/// See [`CLONE`].
pub(crate) const SOCKET: Row = ("socket", [41, 359, 198, 281]);
/// See [`CLONE`].
pub(crate) const IOCTL: Row = ("ioctl", [16, 54, 29, 54]);

/// See [`CLONE`]; owner emulation listens to PR_SET_KEEPCAPS.
pub(crate) const PRCTL: Row = ("prctl", [157, 172, 167, 172]);

/// Calls that owner emulation answers.
pub(crate) const OWNERS: &[Row] = &[
    ("chown", [92, X, X, X]),
    ("chown32", [X, 212, X, 212]),
    ("chown16", [X, 182, X, 182]),
    ("fchown", [93, X, 55, X]),
    ("fchown32", [X, 207, X, 207]),
    ("fchown16", [X, 95, X, 95]),
    ("lchown", [94, X, X, X]),
    ("lchown32", [X, 198, X, 198]),
    ("lchown16", [X, 16, X, 16]),
    ("fchownat", [260, 298, 54, 325]),
    ("stat", [4, X, X, X]),
    ("fstat", [5, X, 80, X]),
    ("lstat", [6, X, X, X]),
    ("newfstatat", [262, X, 79, X]),
    ("statx", [332, 383, 291, 397]),
    ("mkdir", [83, 39, X, 39]),
    ("mkdirat", [258, 296, 34, 323]),
    ("symlink", [88, 83, X, 83]),
    ("symlinkat", [266, 304, 36, 331]),
    ("creat", [85, 8, X, 8]),
];

/// Calls that owner emulation answers when they may create a file, and the argument with their flags.
pub(crate) const OPENS: &[(Row, u8)] =
    &[(("open", [2, 5, X, 5]), 1), (("openat", [257, 295, 56, 322]), 2)];

/// Calls that may make a device, and the argument that says so.
pub(crate) const MKNODS: &[(Row, u8)] =
    &[(("mknod", [133, 14, X, 14]), 1), (("mknodat", [259, 297, 33, 324]), 2)];

/// Calls about the ids of the process itself, which owner emulation answers, too.
pub(crate) const IDS: &[Row] = &[
    ("setuid", [105, 213, 146, 213]),
    ("setgid", [106, 214, 144, 214]),
    ("setreuid", [113, 203, 145, 203]),
    ("setregid", [114, 204, 143, 204]),
    ("setgroups", [116, 206, 159, 206]),
    ("setresuid", [117, 208, 147, 208]),
    ("setresgid", [119, 210, 149, 210]),
    ("setfsuid", [122, 215, 151, 215]),
    ("setfsgid", [123, 216, 152, 216]),
    ("getuid", [102, 199, 174, 199]),
    ("geteuid", [107, 201, 175, 201]),
    ("getgid", [104, 200, 176, 200]),
    ("getegid", [108, 202, 177, 202]),
    ("getresuid", [118, 209, 148, 209]),
    ("getresgid", [120, 211, 150, 211]),
    ("getgroups", [115, 205, 158, 205]),
];

/// The same with ids of 16 bits, from before Linux 2.4: they report success without effect.
pub(crate) const OLD_SET_IDS: &[Row] = &[
    ("setuid16", [X, 23, X, 23]),
    ("setgid16", [X, 46, X, 46]),
    ("setreuid16", [X, 70, X, 70]),
    ("setregid16", [X, 71, X, 71]),
    ("setgroups16", [X, 81, X, 81]),
    ("setresuid16", [X, 164, X, 164]),
    ("setresgid16", [X, 170, X, 170]),
    ("setfsuid16", [X, 138, X, 138]),
    ("setfsgid16", [X, 139, X, 139]),
];

/// Looks a call up by its number; the name tells what to do.
pub(crate) fn name_of(column: usize, number: u32) -> Option<&'static str> {
    let opens = OPENS.iter().chain(MKNODS).map(|(row, _)| row);
    let mut rows = OWNERS.iter().chain(IDS).chain(opens).chain([&PRCTL]);
    rows.find(|(_, numbers)| numbers.get(column) == Some(&number)).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_native_column_is_that_of_the_c_library() {
        let known = [
            ("mount", libc::SYS_mount),
            ("bpf", libc::SYS_bpf),
            ("unshare", libc::SYS_unshare),
            ("clone3", libc::SYS_clone3),
            ("chown", libc::SYS_chown),
            ("fchownat", libc::SYS_fchownat),
            ("newfstatat", libc::SYS_newfstatat),
            ("statx", libc::SYS_statx),
            ("setresuid", libc::SYS_setresuid),
            ("getgroups", libc::SYS_getgroups),
            ("mkdirat", libc::SYS_mkdirat),
            ("setns", libc::SYS_setns),
            ("open_by_handle_at", libc::SYS_open_by_handle_at),
        ];
        let rows = || DENIED.iter().chain(ABSENT).chain(OWNERS).chain(IDS);
        for (name, number) in known {
            let row = rows().find(|row| row.0 == name).unwrap();
            assert_eq!(i64::from(row.1[0]), number, "{name}");
        }
    }

    #[test]
    fn no_number_appears_twice_in_a_column() {
        for column in 0..4 {
            let opens = OPENS.iter().chain(MKNODS).map(|(row, _)| row);
            let rows = DENIED.iter().chain(ABSENT).chain(OWNERS).chain(IDS).chain(OLD_SET_IDS);
            let mut numbers: Vec<_> = rows
                .chain([&CLONE, &SOCKET, &IOCTL, &PRCTL])
                .chain(opens)
                .map(|row| row.1[column])
                .filter(|number| *number != X)
                .collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count, "column {column}");
        }
    }
}
