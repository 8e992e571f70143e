//! Root file systems that real programs run in: one static busybox for a platform.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::archive::Tar;
use crate::env::{TestEnv, host, source_tree};

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

fn installed() -> Option<Vec<u8>> {
    let program =
        ["/bin/busybox", "/usr/bin/busybox"].iter().find_map(|p| std::fs::read(p).ok())?;
    // A dynamic program names its interpreter, and would not run alone.
    let dynamic = program.windows(4).any(|w| w == b"/ld-" || w == b"ld.s");
    (!dynamic).then_some(program)
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
