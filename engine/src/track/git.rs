//! Files of git repositories, fetched with the `git` of this machine, one commit deep. Nothing of
//! this machine's configuration of git counts, and nobody is asked for a password.

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::http::mask;
use super::references::{Commit, References, is_hash};
use super::{Shared, doubtful, wrong};
use crate::facts::{FactError, GitAsk};
use crate::key::{Value, hash_fields};

/// How a repository may be reached, where the environment says nothing else.
const PROTOCOLS: &str = "http:https:ssh:git";
/// Kind of the notes of what a reference was when it was last asked for.
const NOTES: &str = "git-reference";
/// The most that git may print, in bytes: a line for each of a million references.
const LARGEST: u64 = 64 << 20;
/// Variables that reach git.
const VARIABLES: [&str; 10] = [
    "PATH",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
];

/// Brings the files of a commit into the store and gives their folder.
pub(super) fn checkout(shared: &Shared, ask: &GitAsk) -> Result<PathBuf, FactError> {
    let shown = mask(&ask.remote);
    let git = Git { shared, shown: &shown };
    let keep = ask.keep_git_dir && ask.folder.is_none();
    let place = |hash: &str| {
        let name = hash_fields(
            "git",
            &[
                ("remote", Value::Text(&ask.remote)),
                ("commit", Value::Text(hash)),
                ("keep", Value::Number(i64::from(keep))),
            ],
        );
        (shared.store.git_path(&name.hex()), name)
    };
    let kept = |hash: &str| place(hash).0.join("done").exists();
    let commit = git.wanted(ask, &kept)?;
    let (place, name) = place(&commit.hash);
    if !place.join("done").exists() {
        if shared.client.is_offline() {
            return Err(git.offline());
        }
        let unkept = |e: &dyn std::fmt::Display| wrong(format!("cannot keep {shown}: {e}"));
        let guard = shared.store.lock(&format!("git-{}", name.hex()));
        let _guard = guard.map_err(|e| unkept(&e))?;
        if !place.join("done").exists() {
            git.fetch(&ask.remote, &commit, keep, &place)?;
        }
    }
    within(&place.join("tree"), ask.folder.as_deref().unwrap_or(".")).ok_or_else(|| {
        wrong(format!("{shown} has no folder `{}`", ask.folder.as_deref().unwrap_or(".")))
    })
}

/// The commit that a question without a checksum means now; without a network, what it meant last.
pub(super) fn commit(shared: &Shared, ask: &GitAsk) -> Result<String, FactError> {
    let shown = mask(&ask.remote);
    Ok(Git { shared, shown: &shown }.commit(ask)?.hash)
}

/// A folder of a tree; none when it is not there or a link leads out.
fn within(tree: &Path, folder: &str) -> Option<PathBuf> {
    let mut path = tree.canonicalize().ok()?;
    let tree = path.clone();
    for part in Path::new(folder).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir if path != tree => drop(path.pop()),
            _ => {}
        }
    }
    let real = path.canonicalize().ok()?;
    (real.is_dir() && real.starts_with(&tree)).then_some(real)
}

/// The program, and what it works for.
struct Git<'a> {
    shared: &'a Shared,
    shown: &'a str,
}

impl Git<'_> {
    /// The commit whose files are wanted: the one that is written down, where the reference still
    /// means it or is one that moves on, as branches and ranges do.
    fn wanted(&self, ask: &GitAsk, kept: &dyn Fn(&str) -> bool) -> Result<Commit, FactError> {
        let Some(checksum) = &ask.checksum else { return self.commit(ask) };
        let written = || Commit::of(checksum.clone());
        if self.shared.client.is_offline() && is_hash(checksum) && kept(checksum) {
            return Ok(written());
        }
        let commit = self.commit(ask)?;
        let fits = |hash: &String| !checksum.is_empty() && hash.starts_with(checksum.as_str());
        if fits(&commit.hash) || commit.tag.as_ref().is_some_and(fits) {
            return Ok(commit);
        }
        if commit.moves && is_hash(checksum) {
            return Ok(written());
        }
        Err(doubtful(format!(
            "{}{} is the commit {}, but {checksum} was expected: check the checksum, or who moved \
             the reference",
            self.shown,
            ask.reference.as_ref().map_or_else(String::new, |name| format!("#{name}")),
            commit.hash
        )))
    }

    /// Finds out which commit a reference is now; without a network, which one it was.
    fn commit(&self, ask: &GitAsk) -> Result<Commit, FactError> {
        if ask.remote.starts_with('-') {
            return Err(wrong(format!("{} is no git repository", self.shown)));
        }
        let name = ask.reference.as_deref().unwrap_or("HEAD");
        if is_hash(name) {
            return Ok(Commit::of(name.to_owned()));
        }
        let is_range = name.contains('*');
        if name.starts_with('-') || !is_range && name.contains(char::is_whitespace) {
            return Err(wrong(format!("`{name}` is no reference of {}", self.shown)));
        }
        let store = &self.shared.store;
        let note = format!("{} {name}", ask.remote);
        let known = store.memo(NOTES, &note).filter(|hash| is_hash(hash));
        if self.shared.client.is_offline() {
            let hash = known.ok_or_else(|| self.offline())?;
            return Ok(Commit { moves: true, ..Commit::of(hash) });
        }
        let list = || self.run(None, &["ls-remote", "--", &ask.remote]).map(References::new);
        let references = self.shared.repositories.get(&ask.remote, list)?;
        let commit = match is_range {
            true => references.highest(name, self.shown)?,
            false => references.named(name).ok_or_else(|| {
                wrong(format!("{} has no branch, tag or commit `{name}`", self.shown))
            })?,
        };
        if known.as_ref() != Some(&commit.hash) {
            store.put_memo(NOTES, &note, &commit.hash).map_err(|e| wrong(e.to_string()))?;
        }
        Ok(commit)
    }

    fn offline(&self) -> FactError {
        doubtful(format!(
            "{} is needed, but the network may not be used; run once without --offline",
            self.shown
        ))
    }

    /// Fetches a commit and writes its files to a place in the store.
    fn fetch(
        &self,
        remote: &str,
        commit: &Commit,
        keep: bool,
        place: &Path,
    ) -> Result<(), FactError> {
        let failed = |e: &dyn std::fmt::Display| wrong(format!("cannot keep {}: {e}", self.shown));
        let work = self.shared.store.temp_dir().map_err(|e| failed(&e))?;
        let tree = work.join("tree");
        std::fs::create_dir(&tree).map_err(|e| failed(&e))?;
        self.fill(remote, commit, keep, &tree)?;
        std::fs::write(work.join("done"), "").map_err(|e| failed(&e))?;
        let parent = place.parent().unwrap_or(place);
        std::fs::create_dir_all(parent).map_err(|e| failed(&e))?;
        if place.exists() {
            // Left by a run that was killed; nobody else works on it under the lock.
            std::fs::remove_dir_all(place).map_err(|e| failed(&e))?;
        }
        std::fs::rename(&work, place).map_err(|e| failed(&e))
    }

    fn fill(
        &self,
        remote: &str,
        commit: &Commit,
        keep: bool,
        tree: &Path,
    ) -> Result<(), FactError> {
        let (at, hash) = (Some(tree), commit.hash.as_str());
        let format = if hash.len() == 64 { "sha256" } else { "sha1" };
        let format = format!("--object-format={format}");
        let first = "init.defaultBranch=master";
        self.run(None, &["-c", first, "init", "-q", "--template=", &format, &path_text(tree)?])?;
        self.run(at, &["remote", "add", "origin", remote])?;
        let shallow = ["fetch", "-q", "--depth=1", "--no-tags", "origin"];
        let name = commit.name.as_deref().unwrap_or("HEAD");
        // Not every server gives out a commit by its hash alone.
        let one = self.run(at, &[&shallow[..], &[hash]].concat());
        if one.is_err() && !self.has(tree, hash) {
            let named = self.run(at, &[&shallow[..], &[name]].concat());
            if named.is_err() || !self.has(tree, hash) {
                let all = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
                let deep = match tree.join(".git/shallow").exists() {
                    true => vec!["fetch", "-q", "--unshallow", "origin"],
                    false => vec!["fetch", "-q", "origin"],
                };
                self.run(at, &[&deep[..], &all].concat())?;
            }
        }
        if !self.has(tree, hash) {
            return Err(doubtful(format!(
                "{} does not give out the commit {hash}: it is gone from the repository, or was \
                 never there",
                self.shown
            )));
        }
        self.run(at, &["checkout", "-q", "--detach", hash])?;
        if tree.join(".gitmodules").exists() {
            let update = ["submodule", "update", "-q", "--init", "--recursive", "--depth=1"];
            self.run(at, &update)?;
        }
        if keep {
            self.run(at, &["remote", "set-url", "origin", self.shown])?;
            self.run(at, &["reflog", "expire", "--all", "--expire=now"])?;
            let _there_may_be_none = std::fs::remove_file(tree.join(".git/FETCH_HEAD"));
            return Ok(());
        }
        forget(tree, 0).map_err(|e| wrong(format!("cannot clear {}: {e}", tree.display())))
    }

    fn has(&self, tree: &Path, hash: &str) -> bool {
        self.run(Some(tree), &["cat-file", "-e", &format!("{hash}^{{commit}}")]).is_ok()
    }

    /// Runs git; gives what it printed. The error is the last that it said.
    fn run(&self, at: Option<&Path>, words: &[&str]) -> Result<String, FactError> {
        let env = |name: &str| self.shared.env(name);
        let mut command = Command::new("git");
        command.env_clear().stdin(Stdio::null());
        for name in VARIABLES {
            command.envs(env(name).map(|value| (name, value)));
        }
        if env("PATH").is_none() {
            command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        }
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "true").env("LC_ALL", "C");
        command.env("GIT_ALLOW_PROTOCOL", env("GIT_ALLOW_PROTOCOL").unwrap_or(PROTOCOLS));
        let ssh =
            "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15";
        command.env("GIT_SSH_COMMAND", ssh);
        // A folder without any files of a person.
        command.env("HOME", "/nonexistent").env("XDG_CONFIG_HOME", "/nonexistent");
        for setting in [
            "core.hooksPath=/dev/null",
            "http.lowSpeedLimit=1",
            "http.lowSpeedTime=60",
            "advice.detachedHead=false",
            "maintenance.auto=false",
        ] {
            command.args(["-c", setting]);
        }
        if let Some(tree) = at {
            command.current_dir(tree).env("GIT_CEILING_DIRECTORIES", tree.parent().unwrap_or(tree));
        }
        let out = output(command.args(words)).map_err(|e| {
            wrong(match e.kind() {
                std::io::ErrorKind::NotFound => format!(
                    "{} is a git repository, and there is no `git`; install git",
                    self.shown
                ),
                _ => format!("cannot run git for {}: {e}", self.shown),
            })
        })?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let told = ["fatal: ", "error: "];
        let reason = told.iter().find_map(|word| said.lines().find_map(|l| l.strip_prefix(word)));
        let reason = reason.or_else(|| said.trim().lines().last()).unwrap_or("it said nothing");
        Err(doubtful(format!("cannot fetch {} with git: {}", self.shown, mask(reason))))
    }
}

/// Runs a program and gives what it printed, which a server may have made as long as it likes.
fn output(command: &mut Command) -> std::io::Result<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = std::thread::scope(|scope| {
        let stderr = scope.spawn(|| start(stderr));
        let stdout = start(stdout);
        (stdout, stderr.join().unwrap_or_else(|_| Err(std::io::Error::other("a thread stopped"))))
    });
    let is_long = |text: &std::io::Result<Vec<u8>>| {
        text.as_ref().is_ok_and(|text| text.len() as u64 > LARGEST)
    };
    if is_long(&stdout) || is_long(&stderr) {
        child.kill()?;
        child.wait()?;
        return Err(std::io::Error::other(format!("it prints more than {LARGEST} bytes")));
    }
    Ok(Output { status: child.wait()?, stdout: stdout?, stderr: stderr? })
}

/// What a program prints, and no more than a little above the limit: then the pipe is closed, so
/// that the program cannot go on.
fn start(pipe: Option<impl Read>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match pipe {
        Some(pipe) => pipe.take(LARGEST + 1).read_to_end(&mut bytes).map(|_| bytes),
        None => Ok(bytes),
    }
}

fn path_text(path: &Path) -> Result<String, FactError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| wrong("the store is in a folder that is not UTF-8"))
}

/// Removes what belongs to git itself, of submodules too.
fn forget(folder: &Path, depth: usize) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if entry.file_name() == ".git" {
            match kind.is_dir() {
                true => std::fs::remove_dir_all(entry.path())?,
                false => std::fs::remove_file(entry.path())?,
            }
        } else if kind.is_dir() && depth < 200 {
            forget(&entry.path(), depth + 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_prints_without_end_is_stopped() {
        let shell = |script: &str| output(Command::new("sh").args(["-c", script]));
        for script in ["yes", "yes >&2", "yes >&2 & yes"] {
            let error = shell(script).unwrap_err();
            assert!(error.to_string().contains("prints more"), "{script} {error}");
        }
        let out = shell("echo out; echo err >&2; exit 3").unwrap();
        assert_eq!((out.stdout.as_slice(), out.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(out.status.code(), Some(3));
    }
}
