//! Programs of other architectures.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mabuild_sandbox::{
    Emulator, EmulatorMode, Exit, OWNER_XATTR, OwnerEmulation, Registration, RunSpec,
};

use crate::Test;
use crate::world::{Outcome, Ran, World};

pub const TESTS: &[Test] = &[
    ("programs_for_386_run", programs_for_386_run),
    ("a_machine_of_32_bits_says_so", a_machine_of_32_bits_says_so),
    ("binfmt_is_registered_inside", binfmt_is_registered_inside),
    ("the_emulator_stands_in_front", the_emulator_stands_in_front),
    ("a_dynamic_emulator_is_refused", a_dynamic_emulator_is_refused),
];

/// A static program for arm64 that prints "arm64" and returns 7.
fn arm64() -> Vec<u8> {
    let code: [u32; 8] = [
        0xd280_0020, // mov x0, 1
        0x1000_0121, // adr x1, message (36 bytes on)
        0xd280_00c2, // mov x2, 6
        0xd280_0808, // mov x8, 64 (write)
        0xd400_0001, // svc 0
        0xd280_00e0, // mov x0, 7
        0xd280_0ba8, // mov x8, 93 (exit)
        0xd400_0001, // svc 0
    ];
    let mut text: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    text.extend_from_slice(b"\0\0\0\0\0\0\0\0arm64\n");
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2, 0, 183, 0, 1, 0, 0, 0]);
    let length = 120 + text.len() as u64;
    for word in [0x40_0078_u64, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, 0x40_0000, 0x40_0000, length, length, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(text);
    elf
}

/// A static program for 386 that calls chown("f", 3, 4), then unshare(CLONE_NEWUSER), and returns
/// the negated result of the latter.
fn i386() -> Vec<u8> {
    let mut text = vec![
        0xb8, 212, 0, 0, 0, // mov eax, 212 (chown32)
        0xbb, 0x90, 0x80, 0x04, 0x08, // mov ebx, path
        0xb9, 3, 0, 0, 0, // mov ecx, 3
        0xba, 4, 0, 0, 0, // mov edx, 4
        0xcd, 0x80, // int 0x80
        0xb8, 0x36, 1, 0, 0, // mov eax, 310 (unshare)
        0xbb, 0, 0, 0, 0x10, // mov ebx, CLONE_NEWUSER
        0xcd, 0x80, // int 0x80
        0xf7, 0xd8, // neg eax
        0x89, 0xc3, // mov ebx, eax
        0xb8, 1, 0, 0, 0, // mov eax, 1 (exit)
        0xcd, 0x80, // int 0x80
    ];
    text.resize(0x90 - 0x54, 0x90);
    text.extend_from_slice(b"f\0");
    let length = 0x54 + text.len() as u32;
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2, 0, 3, 0, 1, 0, 0, 0]);
    for word in [0x0804_8054_u32, 52, 0, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([52, 0, 32, 0, 1, 0, 40, 0, 0, 0, 0, 0]);
    for word in [1, 0, 0x0804_8000, 0x0804_8000, length, length, 5, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(text);
    elf
}

fn layer(world: &World, program: &[u8]) -> PathBuf {
    let dir = world.dir();
    fs::write(dir.join("program"), program).unwrap();
    fs::set_permissions(dir.join("program"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(dir.join("f"), "").unwrap();
    if world.kind == "ranges" {
        for name in ["program", "f"] {
            std::os::unix::fs::chown(dir.join(name), Some(100_000), Some(200_000)).unwrap();
        }
    }
    dir
}

fn run(world: &World, program: &[u8], spec: RunSpec) -> Result<Ran, String> {
    let mut request = world.request(vec![spec])?;
    request.lowers.insert(0, layer(world, program));
    Ok(world.run_request(&request))
}

fn programs_for_386_run(world: &World) -> Outcome {
    if !cfg!(target_arch = "x86_64") {
        return Err("not an amd64 machine".into());
    }
    let ran = run(world, &i386(), world.script("/program; echo $?; stat -c %u:%g f"))?;
    // The call was denied, not the program killed.
    assert_eq!(ran.output, "1\n3:4\n");
    if world.is_single() {
        assert_eq!(ran.attribute("f", OWNER_XATTR).as_deref(), Some("3:4"));
    }
    Ok(())
}

fn a_machine_of_32_bits_says_so(world: &World) -> Outcome {
    if !cfg!(target_arch = "x86_64") {
        return Err("not an amd64 machine".into());
    }
    let mut spec = world.script("uname -m");
    spec.bits32 = true;
    assert_eq!(run(world, b"", spec)?.output, "i686\n");
    Ok(())
}

fn qemu() -> Result<PathBuf, String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("not an amd64 machine".into());
    }
    let path = Path::new("/usr/bin/qemu-aarch64-static");
    path.exists().then(|| path.into()).ok_or("no static qemu (package qemu-user-static)".into())
}

fn emulator(mode: EmulatorMode) -> Result<Emulator, String> {
    let registration = Registration::elf(183, true, true);
    Ok(Emulator { interpreter: qemu()?, registration, mode })
}

fn registered() -> Vec<String> {
    let entries = fs::read_dir("/proc/sys/fs/binfmt_misc").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn binfmt_is_registered_inside(world: &World) -> Outcome {
    let before = registered();
    let mut spec = world.script("/program; echo $?; stat -c %u f; chown 9 f; stat -c %u f");
    if before.iter().any(|name| name == "qemu-aarch64") {
        return Err("the host has a handler for arm64, which would hide ours".into());
    }
    let without = run(world, &arm64(), spec.clone())?;
    assert!(!without.output.contains("arm64\n7"), "{}", without.output);
    spec.emulator = Some(emulator(EmulatorMode::Binfmt)?);
    // Twice: what a run registers ends with it.
    let mut request = world.request(vec![spec.clone(), spec])?;
    request.lowers.insert(0, layer(world, &arm64()));
    let ran = world.run_request(&request);
    assert_eq!(ran.output, "arm64\n7\n0\n9\narm64\n7\n9\n9\n");
    assert_eq!(registered(), before);
    assert_eq!(ran.changed(), ["f"]);
    Ok(())
}

fn the_emulator_stands_in_front(world: &World) -> Outcome {
    let mut spec = RunSpec::new("/", ["/program"]);
    if world.is_single() {
        spec.owners = OwnerEmulation::Record { uid: 0, gid: 0 };
    }
    spec.emulator = Some(emulator(EmulatorMode::Prefix)?);
    let ran = run(world, &arm64(), spec)?;
    assert_eq!((ran.output.as_str(), ran.exit()), ("arm64\n", Exit::Code(7)));
    assert!(ran.changed().is_empty());
    Ok(())
}

fn a_dynamic_emulator_is_refused(world: &World) -> Outcome {
    let mut spec = world.script("true");
    let registration = Registration::elf(183, true, true);
    let interpreter = PathBuf::from("/usr/bin/env");
    spec.emulator = Some(Emulator { interpreter, registration, mode: EmulatorMode::Binfmt });
    let request = world.request(vec![spec])?;
    let error = world.try_request(&request).0.unwrap_err().to_string();
    assert!(error.contains("not a static program"), "{error}");
    Ok(())
}
