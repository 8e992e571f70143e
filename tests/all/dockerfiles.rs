//! Dockerfiles, judged by BuildKit: each case of `tests/dockerfiles` gives the image that BuildKit
//! gave, file by file, setting by setting, line by line of the history. What BuildKit gave is kept
//! beside the cases, so that only one test needs a daemon: the one that asks it again.
//!
//! `MABUILD_CASE=PART` takes the cases alone that have this in their name. With `MABUILD_BLESS=1`,
//! what BuildKit gives now is kept.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mabuild_tests::buildkit::{Judge, judge};
use mabuild_tests::cases::{Bases, Case, cases};
use mabuild_tests::env::{TestEnv, User, host, skip};

/// What was kept is for this platform.
const KEPT: &str = "linux/amd64";
/// Builds that BuildKit has at the same time.
const AT_ONCE: usize = 4;

#[test]
fn as_whoever_runs_the_tests() {
    build_all(User::Me);
}

#[test]
fn as_a_user_with_one_id() {
    build_all(User::Single);
}

#[test]
fn as_a_user_with_ranges_of_ids() {
    build_all(User::Ranges);
}

/// Builds every case and compares it with what is kept.
fn build_all(user: User) {
    if host() != KEPT {
        return skip(&format!("the images to compare with are for {KEPT}"));
    }
    let env = match TestEnv::of(user) {
        Ok(env) => env,
        Err(e) => return skip(&e),
    };
    let bases = match Bases::make(&env.path("bases")) {
        Ok(bases) => bases,
        Err(e) => return skip(&e),
    };
    let mut wrong = Vec::new();
    for case in chosen() {
        if user != User::Me
            && let Some(why) = &case.root
        {
            skip(&format!("{}: only root can build it: {why}", case.name));
            continue;
        }
        if user == User::Single
            && let Some(why) = &case.ids
        {
            skip(&format!("{}: a user with one id cannot build it: {why}", case.name));
            continue;
        }
        if let Some(difference) = build(&env, &bases, &case) {
            wrong.push(format!("== {} ==\n{difference}\n", case.name));
        }
    }
    report("- is BuildKit's, + is ours", &wrong);
}

/// Builds a case with mabuild and gives what differs.
fn build(env: &TestEnv, bases: &Bases, case: &Case) -> Option<String> {
    let context = env.path(&format!("cases/{}", case.name));
    case.prepare(&context);
    let archive = env.root.path().join("tmp").join(format!("{}.tar", case.name));
    let mut words = vec!["image".to_owned(), "build".to_owned(), "--progress=plain".to_owned()];
    words.push("--network=none".to_owned());
    words.push(format!("--output=type=oci,dest={}", archive.display()));
    words.extend(case.args(&context, bases));
    words.push(context.to_str().unwrap().to_owned());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let run = env.mabuild(&words);
    if case.must_fail() {
        // The words are our own; that it is refused is what has to agree.
        let refused = matches!(run.code, Some(1 | 2)) && !run.stderr.trim().is_empty();
        return (!refused).then(|| format!("exit code {:?} where BuildKit fails", run.code));
    }
    if run.code != Some(0) {
        return Some(format!("exit code {:?}\n{}", run.code, run.stderr));
    }
    assert_eq!(run.stdout, "", "{}", case.name);
    match bases.show(&archive) {
        Ok(text) => case.difference(&text),
        Err(e) => Some(format!("a broken image: {e}")),
    }
}

#[test]
fn what_is_kept_is_what_buildkit_gives() {
    if host() != KEPT {
        return skip(&format!("the images to compare with are for {KEPT}"));
    }
    let judge = match judge() {
        Ok(judge) => judge,
        Err(e) => return skip(e),
    };
    let folder = tempfile::TempDir::new().unwrap();
    let bases = match Bases::make(&folder.path().join("bases")) {
        Ok(bases) => bases,
        Err(e) => return skip(&e),
    };
    let bless = std::env::var_os("MABUILD_BLESS").is_some();
    let cases: Vec<Case> = chosen().into_iter().filter(|case| case.unjudged.is_none()).collect();
    // BuildKit waits for disks more than it works: several at once are done sooner.
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(drift) = ask_again(judge, &bases, case, folder.path(), bless) {
                wrong.lock().unwrap().push(format!("== {} ==\n{drift}\n", case.name));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    report("- is kept, + is what BuildKit gives now", &wrong);
}

#[test]
fn the_corpus_is_whole() {
    let cases = cases();
    assert!(cases.len() > 150, "{} cases", cases.len());
    for case in cases {
        let kept = case.expected();
        assert_eq!(kept.starts_with("fails: "), case.must_fail(), "{}", case.name);
        assert_eq!(case.stale_lines(), Vec::<&str>::new(), "{}", case.name);
    }
}

/// Builds a case with BuildKit, and gives what differs from what is kept, or keeps it.
fn ask_again(judge: &Judge, bases: &Bases, case: &Case, to: &Path, bless: bool) -> Option<String> {
    let context = to.join("cases").join(&case.name);
    case.prepare(&context);
    let archive = to.join(format!("{}.tar", case.name));
    let built = judge.build(&context, &case.args(&context, bases), &archive);
    match case.outcome(built, &archive, bases) {
        Ok(text) if bless => {
            case.bless(&text);
            None
        }
        Ok(text) => case.drift(&text),
        Err(e) => Some(e),
    }
}

fn chosen() -> Vec<Case> {
    let part = std::env::var("MABUILD_CASE").unwrap_or_default();
    cases().into_iter().filter(|case| case.name.contains(&part)).collect()
}

fn report(how: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{} cases differ ({how}):\n{}", wrong.len(), wrong.join("\n"));
}
