//! Says why a program could not be executed, with the exit code of a shell.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::elf;

/// As much of a file as any of its headers needs.
const HEAD: u64 = 64 * 1024;

/// A name that no directory of `PATH` has.
pub(crate) fn not_found(name: &OsStr) -> String {
    if name.is_empty() {
        return "the name of the program is empty".into();
    }
    let place = if name.as_bytes().contains(&b'/') { "" } else { " in PATH" };
    format!("{}: not found{place}", name.display())
}

/// Explains the error of executing `program`, as (exit code, message).
pub(crate) fn explain(program: &Path, error: &io::Error, emulated: bool) -> (i32, String) {
    let name = program.display();
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => (127, missing_part(program)),
        Some(libc::EACCES) => (126, format!("{name}: {}", denied(program))),
        Some(libc::ENOEXEC) => {
            (126, format!("{name}: exec format error: {}", format(program, emulated)))
        }
        Some(libc::E2BIG) => {
            (126, format!("{name}: the arguments and the environment are too long together"))
        }
        _ => (126, format!("{name}: cannot be executed: {error}")),
    }
}

fn head(program: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(program) {
        // What cannot be read gives a shorter explanation.
        let _ = file.take(HEAD).read_to_end(&mut bytes);
    }
    bytes
}

/// The program is there, so what is missing is what it asks for.
fn missing_part(program: &Path) -> String {
    let name = program.display();
    let head = head(program);
    if let Some((interpreter, _)) = shebang(&head) {
        let interpreter = String::from_utf8_lossy(&interpreter).into_owned();
        let hint = if interpreter.ends_with('\r') {
            "; its first line ends with a carriage return"
        } else {
            ""
        };
        return format!(
            "{name}: not found: its #! interpreter {interpreter:?} is not in this root{hint}"
        );
    }
    if let Some(interpreter) = elf::parse(&head).and_then(|elf| elf.interpreter) {
        let interpreter = String::from_utf8_lossy(&interpreter);
        return format!("{name}: not found: its ELF interpreter {interpreter} is not in this root");
    }
    format!("{name}: not found")
}

fn denied(program: &Path) -> &'static str {
    match std::fs::metadata(program) {
        Ok(meta) if meta.is_dir() => "is a directory",
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => {
            "permission denied: the file is not executable (chmod +x)"
        }
        Ok(_) => "permission denied: it, its interpreter or its mount may not be executed",
        Err(_) => "permission denied on the way to it",
    }
}

fn format(program: &Path, emulated: bool) -> String {
    let head = head(program);
    if head.is_empty() {
        return "the file is empty".into();
    }
    match elf::parse(&head) {
        Some(elf) if elf::NATIVE.contains(&elf.machine) => "the file is damaged".into(),
        Some(elf) => {
            let machine = elf::machine_name(elf.machine);
            let native = elf::machine_name(elf::NATIVE[0]);
            let why = if emulated { "the emulator is for another" } else { "there is no emulator" };
            format!("it is a program for {machine}, this machine is {native}, and {why}")
        }
        None => "it is neither an ELF file nor a script with a #! line".into(),
    }
}

/// Reads the #! line of a file: interpreter and argument.
pub(crate) fn shebang_of(program: &Path) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    shebang(&head(program))
}

fn shebang(head: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = line.iter().position(|byte| !blank(byte))?;
    let line = line.get(start..)?;
    let end = line.iter().position(blank).unwrap_or(line.len());
    let (interpreter, rest) = line.split_at_checked(end)?;
    let rest = rest.trim_ascii();
    let argument = if rest.is_empty() { None } else { Some(rest.to_vec()) };
    Some((interpreter.to_vec(), argument))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        file
    }

    fn said(content: &[u8], errno: i32) -> (i32, String) {
        let file = file(content);
        explain(file.path(), &io::Error::from_raw_os_error(errno), false)
    }

    #[test]
    fn shebang_lines_are_read_as_the_kernel_does() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(shebang(b"#! /bin/sh -e x \nrest"), Some((b"/bin/sh".to_vec(), some("-e x"))));
        assert_eq!(shebang(b"#!/bin/sh"), Some((b"/bin/sh".to_vec(), None)));
        assert_eq!(shebang(b"#!\n"), None);
        assert_eq!(shebang(b"echo"), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let (code, message) = said(b"#!/no/such\r\n", libc::ENOENT);
        assert_eq!(code, 127);
        assert!(message.contains("/no/such") && message.contains("carriage return"), "{message}");
        assert_eq!(not_found(OsStr::new("foo")), "foo: not found in PATH");
    }

    #[test]
    fn a_foreign_program_is_an_exec_format_error() {
        let mut elf = vec![0; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 22;
        let (code, message) = said(&elf, libc::ENOEXEC);
        assert_eq!(code, 126);
        assert!(message.contains("exec format error") && message.contains("s390x"), "{message}");
        assert!(said(b"echo hi", libc::ENOEXEC).1.contains("#! line"));
        assert!(said(b"", libc::ENOEXEC).1.contains("empty"));
        assert!(said(b"x", libc::EACCES).1.contains("chmod +x"));
    }
}
