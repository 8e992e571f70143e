//! Configuration files: deb-conffiles(5).

use md5::{Digest, Md5};
use std::io::{self, Read};

use super::Unpacked;

/// A configuration file as its package names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conffile {
    /// Path without a slash in front.
    pub path: Vec<u8>,
    /// Whether the package has it no more and wants it gone.
    pub remove_on_upgrade: bool,
}

/// Gives the configuration files of a package in their order.
pub fn conffiles(package: &Unpacked) -> Vec<Conffile> {
    let text = package.files.get("conffiles").map(|file| file.data.as_slice()).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(parse).collect()
}

fn parse(line: &[u8]) -> Option<Conffile> {
    let line = line.trim_ascii();
    let (remove_on_upgrade, line) = match line.strip_prefix(b"remove-on-upgrade") {
        Some(rest) if rest.first().is_some_and(u8::is_ascii_whitespace) => {
            (true, rest.trim_ascii())
        }
        _ => (false, line),
    };
    let path = line.strip_prefix(b"/")?.to_vec();
    (!path.is_empty()).then_some(Conffile { path, remove_on_upgrade })
}

/// Gives the md5 of a content in hex: what dpkg knows a configuration file again by. It proves
/// nothing.
///
/// # Errors
/// When the content cannot be read.
pub fn md5(mut content: impl Read) -> io::Result<String> {
    let mut hasher = Md5::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match content.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => hasher.update(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::package;
    use super::*;

    #[test]
    fn flags_and_odd_lines_are_read() {
        let text = "/etc/a\n  /etc/with space \nremove-on-upgrade /etc/old\n\nrelative\n/\n\
                    remove-on-upgrade\n";
        let package = package("Package: a", &[("conffiles", text)], &[]);
        let file =
            |path: &str, remove_on_upgrade| Conffile { path: path.into(), remove_on_upgrade };
        assert_eq!(
            conffiles(&package),
            [file("etc/a", false), file("etc/with space", false), file("etc/old", true)]
        );
    }

    #[test]
    fn a_content_has_its_md5() {
        assert_eq!(md5(&b"abc"[..]).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
    }
}
