//! Root file systems that real programs run in: one static busybox for a platform.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::archive::Tar;
use crate::env::{TestEnv, host, source_tree};

/// What the program of [`hello`] says.
pub const HELLO: &str = "hello\n";

/// A gzip archive with `/bin/busybox` of a platform and nothing else. For this machine's own
/// platform the installed program serves; others come out of the quickstart's base. The error
/// says what is missing.
pub fn busybox(platform: &str) -> Result<Vec<u8>, String> {
    if platform == host()
        && let Some(program) = installed()
    {
        return Ok(root(&program));
    }
    static FETCHED: OnceLock<Result<HashMap<String, Vec<u8>>, String>> = OnceLock::new();
    let fetched = FETCHED.get_or_init(fetch).as_ref().map_err(Clone::clone)?;
    fetched.get(platform).cloned().ok_or_else(|| format!("no busybox for {platform}"))
}

fn root(program: &[u8]) -> Vec<u8> {
    Tar::default().dir("bin/", 0o755).file("bin/busybox", 0o755, program).gzip(1)
}

/// A program of a few bytes that says [`HELLO`] and ends, made for a platform; the error says that
/// nobody has written it for that.
pub fn hello(platform: &str) -> Result<Vec<u8>, String> {
    // write(1, text, length); exit(0); after the last word stands the text.
    let length = HELLO.len() as u8;
    let (machine, code) = match platform {
        "linux/amd64" => {
            let mut code = b"\xb8\x01\0\0\0\xbf\x01\0\0\0\x48\x8d\x35\x10\0\0\0\xba".to_vec();
            code.extend([length, 0, 0, 0]);
            code.extend(b"\x0f\x05\xb8\x3c\0\0\0\x31\xff\x0f\x05");
            (62_u8, code)
        }
        "linux/arm64" => {
            let length = 0xd280_0002 | u32::from(length) << 5;
            let words = [0xd280_0020, 0x1000_00e1, length, 0xd280_0808, 0xd400_0001];
            let last = [0xd280_0000, 0xd280_0ba8, 0xd400_0001];
            (183, words.iter().chain(&last).flat_map(|w: &u32| w.to_le_bytes()).collect())
        }
        other => return Err(format!("no program that says hello for {other}")),
    };
    let begin = 0x40_0000_u64;
    let head = 64 + 56;
    let size = head + (code.len() + HELLO.len()) as u64;
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    out.extend([machine, 0, 1, 0, 0, 0]);
    out.extend([begin + head, 64, 0].iter().flat_map(|n| n.to_le_bytes()));
    out.extend(b"\0\0\0\0\x40\0\x38\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x05\0\0\0");
    out.extend([0, begin, begin, size, size, 0x1_0000].iter().flat_map(|n| n.to_le_bytes()));
    out.extend(code);
    out.extend(HELLO.as_bytes());
    Ok(out)
}

/// The static busybox of this machine, when it has one.
pub fn installed() -> Option<Vec<u8>> {
    let program =
        ["/bin/busybox", "/usr/bin/busybox"].iter().find_map(|p| std::fs::read(p).ok())?;
    (!wants_interpreter(&program)).then_some(program)
}

/// Whether an ELF program of 64 bits in little endian has a segment `PT_INTERP`, or is none.
fn wants_interpreter(program: &[u8]) -> bool {
    let number = |at: usize, bytes: usize| {
        let field = program.get(at..at + bytes)?;
        Some(field.iter().rev().fold(0_usize, |n, b| n << 8 | usize::from(*b)))
    };
    let dynamic = || {
        let (table, size, entries) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        Some((0..entries).any(|entry| number(table + entry * size, 4) == Some(3)))
    };
    !program.starts_with(b"\x7fELF\x02\x01") || dynamic().unwrap_or(true)
}

/// Builds the base of the quickstart for every platform and takes the programs out.
fn fetch() -> Result<HashMap<String, Vec<u8>>, String> {
    let mut env = TestEnv::new();
    env.with_mirror()?;
    env.copy_in(&source_tree().join("examples/quickstart"));
    env.rebuild(&["busybox"]);
    let mut out = HashMap::new();
    for (platform, _) in manifests(&env.store(), &env.digest("busybox:latest")) {
        let folder = env.unpacked("busybox", &platform);
        let program = std::fs::read(folder.join("bin/busybox")).map_err(|e| e.to_string())?;
        out.insert(platform, root(&program));
    }
    Ok(out)
}

/// The published archives of Alpine, one folder a version: what `MABUILD_TEST_ALPINE` names, else
/// the data beside the repository. The error says that they are missing.
pub fn alpine_releases() -> Result<PathBuf, &'static str> {
    let beside = source_tree().parent().expect("a folder around it").join("shared/data/alpine");
    let folder = std::env::var_os("MABUILD_TEST_ALPINE").map_or(beside, PathBuf::from);
    let whole = ["3.19.4", "3.20.3"]
        .iter()
        .all(|version| folder.join(version).join("checksums.sha512").is_file());
    whole.then_some(folder).ok_or("the real archives of Alpine are not here")
}

/// A blob of a layout as JSON.
pub fn blob(layout: &Path, digest: &str) -> Value {
    let hex = digest.strip_prefix("sha256:").expect("a sha256 digest");
    let bytes = std::fs::read(layout.join("blobs/sha256").join(hex)).expect("a blob");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Platform and manifest digest of each member of an index, in its order.
pub fn manifests(layout: &Path, index: &str) -> Vec<(String, String)> {
    let index = blob(layout, index);
    let members = index["manifests"].as_array().expect("an index");
    let member = |m: &Value| {
        let p = &m["platform"];
        let text = |name: &str| p[name].as_str().unwrap_or_default().to_owned();
        let mut platform = format!("{}/{}", text("os"), text("architecture"));
        if let Some(variant) = p["variant"].as_str() {
            platform.push('/');
            platform.push_str(variant);
        }
        (platform, m["digest"].as_str().expect("a digest").to_owned())
    };
    members.iter().map(member).collect()
}
