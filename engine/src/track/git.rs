//! Files of git repositories, fetched with the `git` of this machine, one commit deep. Nothing of
//! this machine's configuration of git counts, and nobody is asked for a password.

use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use super::Shared;
use super::http::mask;
use crate::facts::GitAsk;
use crate::key::{Value, hash_fields};

/// How a repository may be reached, where the environment says nothing else.
const PROTOCOLS: &str = "http:https:ssh:git";
/// Kind of the notes of what a reference was when it was last asked for.
const NOTES: &str = "git-reference";
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

/// The commit that a question means.
struct Commit {
    hash: String,
    /// Its annotated tag, when that is how it was named.
    tag: Option<String>,
}

/// Brings the files of a commit into the store and gives their folder.
pub(super) fn checkout(shared: &Shared, ask: &GitAsk) -> Result<PathBuf, String> {
    let shown = mask(&ask.remote);
    if ask.remote.starts_with('-') {
        return Err(format!("{shown} is no git repository"));
    }
    let git = Git { shared, shown: &shown };
    let commit = git.commit(ask)?;
    if let Some(checksum) = &ask.checksum {
        let fits = |hash: &String| hash.starts_with(checksum.as_str());
        if checksum.is_empty() || !fits(&commit.hash) && !commit.tag.as_ref().is_some_and(fits) {
            return Err(format!(
                "{shown}{} is the commit {}, but {checksum} was expected: check the checksum, or \
                 who moved the reference",
                ask.reference.as_ref().map_or_else(String::new, |name| format!("#{name}")),
                commit.hash
            ));
        }
    }
    let keep = ask.keep_git_dir && ask.folder.is_none();
    let name = hash_fields(
        "git",
        &[
            ("remote", Value::Text(&ask.remote)),
            ("commit", Value::Text(&commit.hash)),
            ("keep", Value::Number(i64::from(keep))),
        ],
    );
    let place = shared.store.git_path(&name.hex());
    if !place.join("done").exists() {
        let unkept = |e: &dyn std::fmt::Display| format!("cannot keep {shown}: {e}");
        let guard = shared.store.lock(&format!("git-{}", name.hex()));
        let _guard = guard.map_err(|e| unkept(&e))?;
        if !place.join("done").exists() {
            git.fetch(ask, &commit.hash, keep, &place)?;
        }
    }
    within(&place.join("tree"), ask.folder.as_deref().unwrap_or("."))
        .ok_or_else(|| format!("{shown} has no folder `{}`", ask.folder.as_deref().unwrap_or(".")))
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

fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The program, and what it works for.
struct Git<'a> {
    shared: &'a Shared,
    shown: &'a str,
}

impl Git<'_> {
    /// Finds out which commit a reference is now; without a network, which one it was.
    fn commit(&self, ask: &GitAsk) -> Result<Commit, String> {
        let name = ask.reference.as_deref().unwrap_or("HEAD");
        if is_hash(name) {
            return Ok(Commit { hash: name.to_owned(), tag: None });
        }
        if name.starts_with('-') || name.contains(char::is_whitespace) {
            return Err(format!("`{name}` is no reference of {}", self.shown));
        }
        let store = &self.shared.store;
        let note = format!("{} {name}", ask.remote);
        if self.shared.client.is_offline() {
            let known = store.memo(NOTES, &note).filter(|hash| is_hash(hash));
            let hash = known.ok_or_else(|| {
                format!(
                    "{} is needed, but the network may not be used; run once without --offline",
                    self.shown
                )
            })?;
            return Ok(Commit { hash, tag: None });
        }
        let peeled = format!("{name}^{{}}");
        let listed = self.run(None, &["ls-remote", "--", &ask.remote, name, &peeled])?;
        let commit = chosen(&listed, name)
            .ok_or_else(|| format!("{} has no branch, tag or commit `{name}`", self.shown))?;
        store.put_memo(NOTES, &note, &commit.hash).map_err(|e| e.to_string())?;
        Ok(commit)
    }

    /// Fetches a commit and writes its files to a place in the store.
    fn fetch(&self, ask: &GitAsk, hash: &str, keep: bool, place: &Path) -> Result<(), String> {
        let failed = |e: &dyn std::fmt::Display| format!("cannot keep {}: {e}", self.shown);
        let work = self.shared.store.temp_dir().map_err(|e| failed(&e))?;
        let tree = work.join("tree");
        std::fs::create_dir(&tree).map_err(|e| failed(&e))?;
        self.fill(ask, hash, keep, &tree)?;
        std::fs::write(work.join("done"), "").map_err(|e| failed(&e))?;
        let parent = place.parent().unwrap_or(place);
        std::fs::create_dir_all(parent).map_err(|e| failed(&e))?;
        if place.exists() {
            // Left by a run that was killed; nobody else works on it under the lock.
            std::fs::remove_dir_all(place).map_err(|e| failed(&e))?;
        }
        std::fs::rename(&work, place).map_err(|e| failed(&e))
    }

    fn fill(&self, ask: &GitAsk, hash: &str, keep: bool, tree: &Path) -> Result<(), String> {
        let at = Some(tree);
        let format = if hash.len() == 64 { "sha256" } else { "sha1" };
        let format = format!("--object-format={format}");
        let first = "init.defaultBranch=master";
        self.run(None, &["-c", first, "init", "-q", "--template=", &format, &path_text(tree)?])?;
        self.run(at, &["remote", "add", "origin", &ask.remote])?;
        let shallow = ["fetch", "-q", "--depth=1", "--no-tags", "origin"];
        let name = ask.reference.as_deref().filter(|name| !is_hash(name)).unwrap_or("HEAD");
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
            return Err(format!("{} does not give out the commit {hash}", self.shown));
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
        forget(tree, 0).map_err(|e| format!("cannot clear {}: {e}", tree.display()))
    }

    fn has(&self, tree: &Path, hash: &str) -> bool {
        self.run(Some(tree), &["cat-file", "-e", &format!("{hash}^{{commit}}")]).is_ok()
    }

    /// Runs git; gives what it printed. The error is the last that it said.
    fn run(&self, at: Option<&Path>, words: &[&str]) -> Result<String, String> {
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
        let out = command.args(words).output().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                format!("{} is a git repository, and there is no `git`; install git", self.shown)
            }
            _ => format!("cannot run git: {e}"),
        })?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let told = ["fatal: ", "error: "];
        let reason = told.iter().find_map(|word| said.lines().find_map(|l| l.strip_prefix(word)));
        let reason = reason.or_else(|| said.trim().lines().last()).unwrap_or("it said nothing");
        Err(format!("cannot fetch {} with git: {}", self.shown, mask(reason)))
    }
}

/// The commit that a list of references means by a name: a branch before a tag, and of an
/// annotated tag what it names.
fn chosen(listed: &str, name: &str) -> Option<Commit> {
    let hash_of = |wanted: &str| {
        let mut lines = listed.lines().filter_map(|line| line.split_once('\t'));
        lines.find(|(hash, name)| *name == wanted && is_hash(hash)).map(|(hash, _)| hash.to_owned())
    };
    let below = name.strip_prefix("refs/").unwrap_or(name);
    let candidates = [
        name.to_owned(),
        format!("refs/{below}"),
        format!("refs/heads/{name}"),
        format!("refs/tags/{name}"),
    ];
    candidates.iter().find_map(|full| {
        let hash = hash_of(full)?;
        Some(match hash_of(&format!("{full}^{{}}")) {
            Some(peeled) => Commit { hash: peeled, tag: Some(hash) },
            None => Commit { hash, tag: None },
        })
    })
}

fn path_text(path: &Path) -> Result<String, String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| "the store is in a folder that is not UTF-8".to_owned())
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
