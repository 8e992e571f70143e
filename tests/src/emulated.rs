//! Programs of another processor in a user namespace of their own, where an emulator is
//! registered. This machine itself learns nothing of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::env::walk;

/// Runs the words after the folder `$1` as root of a namespace whose emulator is registered by the
/// line in the file `format` of that folder.
const EMULATED: &str = r#"set -e
cd "$1"
mkfifo go
mkdir formats
unshare --user --mount --propagation private sh -c '
    read -r go < go
    mount -t binfmt_misc binfmt_misc formats
    cat format > formats/register
    mount --bind formats /proc/sys/fs/binfmt_misc || true
    shift
    exec "$@"' sh "$@" &
inside=$!
until [ "$(readlink /proc/$inside/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do
    sleep 0.05
done
echo "0 0 65536" > /proc/$inside/uid_map
echo "0 0 65536" > /proc/$inside/gid_map
echo > go
wait $inside
"#;

/// Whether a user namespace can have emulators of its own: Linux 6.7 and newer.
pub fn has_own_formats() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(7))
}

/// The emulator of arm64: the one of this machine, else the one that mabuild fetched into a store.
pub fn of_arm64(store: &Path) -> Option<PathBuf> {
    let on_host = PathBuf::from("/usr/bin/qemu-aarch64-static");
    let fetched = || walk(store).into_iter().find(|path| path.ends_with("qemu-aarch64"));
    if on_host.exists() { Some(on_host) } else { fetched() }
}

/// The command that runs the words which are added to it where an emulator is registered by a line
/// in the format of binfmt_misc. Only root can run it; the folder has to be new.
pub fn command(folder: &Path, format: &[u8]) -> Command {
    std::fs::create_dir(folder).expect("own folder");
    std::fs::write(folder.join("format"), format).expect("own folder");
    let mut command = Command::new("sh");
    command.args(["-c", EMULATED, "sh"]).arg(folder);
    command
}
