use super::*;
use crate::key::{Key, Record};
use crate::store::{GcRequest, ResultKind, ResultRow, StateRow};

const NOW: i64 = 2_000_000_000;

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

fn key(n: u8) -> Key {
    let mut key = [0; 32];
    key[31] = n;
    Key(key)
}

fn record(value: &str) -> Record {
    Record { version: 1, fields: vec![("platform".into(), value.into())] }
}

fn digest(n: u8) -> String {
    format!("sha256:{n:064x}")
}

fn state(n: u8) -> StateRow {
    StateRow { key: key(n), digest: digest(n) }
}

fn at(node: &str, run: i64) -> At<'_> {
    At { project: "p", node, run }
}

/// A build of a node that came out as `n`.
fn build(store: &Store, node: &str, run: i64, n: u8, row: BuildRow) {
    let result = ResultRow { digest: digest(n), kind: ResultKind::Manifest, seconds: row.seconds };
    store.put_build(at(node, run), &key(n), &result, &record(&n.to_string()), &row).unwrap();
}

fn took(seconds: f64, reused: u64) -> BuildRow {
    BuildRow { seconds, run_native: seconds / 2.0, reused, bytes: 7, ..BuildRow::default() }
}

fn rows(store: &Store, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    store.database().query_row(&sql, [], |row| row.get(0)).unwrap()
}

fn gc(store: &Store, now: i64) {
    let request = GcRequest { now, ..GcRequest::default() };
    store.gc(&request, &|path| panic!("{} had to be removed", path.display())).unwrap();
}

#[test]
fn runs_come_back_newest_first() {
    let (_dir, store) = open();
    let run = store.run_begin("p", NOW).unwrap();
    let next = store.run_begin("p", NOW + 1).unwrap();
    store.run_begin("other", NOW).unwrap();
    assert!(next > run);
    let counts = RunCounts { built: 3, kept: 2, failed: 1, skipped: 0 };
    store.run_end(run, &RunEnd { now: NOW + 5, seconds: 4.25, exit: 1, counts }).unwrap();
    let runs = store.runs("p", 10).unwrap();
    assert_eq!(runs.iter().map(|r| r.id).collect::<Vec<_>>(), [next, run]);
    assert_eq!((runs[0].ended, runs[0].seconds, runs[0].detailed), (None, None, true));
    assert_eq!((runs[1].ended, runs[1].exit, runs[1].counts), (Some(NOW + 5), Some(1), counts));
    assert_eq!(runs[1].seconds, Some(4.25));
    assert_eq!(store.runs("p", 1).unwrap().len(), 1);
    assert_eq!(store.run(run).unwrap().as_ref(), runs.get(1));
    assert_eq!(store.run(99).unwrap(), None);
}

#[test]
fn a_node_is_in_each_run_what_it_was_and_only_changes_are_written() {
    let (_dir, store) = open();
    build(&store, "app@x", 1, 1, took(1.0, 0));
    build(&store, "base@x", 1, 2, took(1.0, 0));
    let same: Vec<(String, Key, &str, Record)> = Vec::new();
    store.put_records("p", 2, same).unwrap();
    build(&store, "app@x", 3, 3, took(1.0, 0));
    // An edit that was undone: the node is what it was in the first run.
    let digest = digest(1);
    let back = [("app@x".to_owned(), key(1), digest.as_str(), record("1"))];
    store.put_records("p", 4, back.clone()).unwrap();
    store.put_records("p", 5, back).unwrap();

    let of = |run: i64| store.states("p", run).unwrap();
    assert!(of(0).is_empty());
    for (run, n) in [(1, 1), (2, 1), (3, 3), (4, 1), (5, 1), (i64::MAX, 1)] {
        let found = of(run);
        assert_eq!(found["app@x"], state(n), "run {run}");
        assert_eq!(found["base@x"], state(2), "run {run}");
    }
    assert_eq!(rows(&store, "states"), 4);
    assert_eq!(rows(&store, "bodies"), 3);
    assert_eq!(store.body(&key(3)), Some(record("3")));
    assert_eq!(store.last_key("p", "app@x"), Some(key(1)));
    assert_eq!(store.last_digest("p", "app@x"), Some(digest));
    assert!(store.states("other", 9).unwrap().is_empty());
}

#[test]
fn the_same_inputs_with_another_result_are_a_new_state() {
    let (_dir, store) = open();
    build(&store, "app@x", 1, 1, took(1.0, 0));
    store.put_record(at("app@x", 2), &key(1), "sha256:other", &record("1")).unwrap();
    assert_eq!(store.states("p", 1).unwrap()["app@x"].digest, digest(1));
    assert_eq!(store.states("p", 2).unwrap()["app@x"].digest, "sha256:other");
}

#[test]
fn a_record_of_another_form_explains_nothing() {
    let (_dir, store) = open();
    let newer = Record { version: 2, ..record("x") };
    store.put_record(at("app@x", 1), &key(2), "sha256:a", &newer).unwrap();
    assert_eq!(store.record("p", "app@x"), None);
    assert_eq!(store.last_key("p", "app@x"), Some(key(2)));
    store.put_record(at("app@x", 1), &key(3), "sha256:a", &record("x")).unwrap();
    assert_eq!(store.record("p", "app@x"), Some((key(3), record("x"))));
}

#[test]
fn what_was_hashed_elsewhere_is_no_build_of_this_project() {
    let (_dir, store) = open();
    store.put_body(&key(4), &record("x")).unwrap();
    assert_eq!(store.body(&key(4)), Some(record("x")));
    assert_eq!(store.record("p", "app@x"), None);
    assert!(store.last_keys("p").unwrap().is_empty() && store.states("p", 9).unwrap().is_empty());
    gc(&store, NOW);
    assert_eq!(store.body(&key(4)), None);
}

#[test]
fn the_newest_whole_build_says_what_the_next_will_take() {
    let (_dir, store) = open();
    for (run, seconds, reused) in [(1, 30.0, 0), (2, 20.0, 0), (3, 0.1, 4)] {
        build(&store, "whole@x", run, run as u8, took(seconds, reused));
    }
    for (run, seconds) in [(1, 1.0), (2, 3.0), (3, 2.0)] {
        build(&store, "parts@x", run, run as u8, took(seconds, 1));
    }
    let builds = store.builds("p").unwrap();
    assert_eq!(builds["whole@x"], took(20.0, 0));
    assert_eq!(builds["parts@x"], took(3.0, 1));
    assert_eq!(store.seconds("p", "whole@x"), Some(0.1), "the last build of all");
    assert_eq!(store.seconds("p", "none@x"), None);
}

#[test]
fn gc_forgets_old_runs_and_keeps_what_the_others_need() {
    let (_dir, store) = open();
    let day = 86_400;
    let mut last = 0;
    // A year with a run every day; on days 0, 10 and 300 something came out different.
    for n in 0..365_i64 {
        last = store.run_begin("p", NOW + n * day).unwrap();
        if let Some(out) = [0, 10, 300].iter().position(|of| *of == n) {
            build(&store, "app@x", last, out as u8 + 1, took(n as f64, u64::from(n != 0)));
        }
        store.run_end(last, &RunEnd::default()).unwrap();
    }
    let first_state = |run| store.states("p", run).unwrap()["app@x"].clone();
    gc(&store, NOW + 364 * day);
    let runs = store.runs("p", usize::MAX).unwrap();
    // Ninety days hold fewer runs than a project keeps in any case.
    assert_eq!(runs.len(), 100);
    let oldest = runs.last().unwrap().id;
    assert_eq!(first_state(oldest), state(2));
    assert_eq!(first_state(last), state(3));
    assert_eq!(store.body(&key(1)), None, "only forgotten runs had it");
    assert_eq!(store.body(&key(2)), Some(record("2")));
    assert_eq!(store.body(&key(3)), Some(record("3")));
    assert_eq!(store.builds("p").unwrap()["app@x"], took(0.0, 0), "the only whole build stays");
    let before = (rows(&store, "states"), rows(&store, "builds"), rows(&store, "bodies"));
    gc(&store, NOW + 364 * day);
    assert_eq!((rows(&store, "states"), rows(&store, "builds"), rows(&store, "bodies")), before);
}

#[test]
fn gc_keeps_the_runs_of_some_months_up_to_a_limit() {
    let (_dir, store) = open();
    for n in 0..1100 {
        store.run_begin("p", NOW + n).unwrap();
    }
    store.run_begin("q", 0).unwrap();
    gc(&store, NOW + 2000);
    assert_eq!(store.runs("p", usize::MAX).unwrap().len(), 1000);
    assert_eq!(store.runs("q", usize::MAX).unwrap().len(), 1, "few runs stay, however old");
    gc(&store, NOW + 91 * 86_400);
    assert_eq!(store.runs("p", usize::MAX).unwrap().len(), 100);
}

#[test]
fn a_database_of_the_first_form_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let path = dir.path().join("mabuild/state.db");
    for name in ["state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join("mabuild").join(name));
    }
    std::fs::remove_file(&path).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../testdata/form-1.sql")).unwrap();
    drop(old);

    let store = Store::open(dir.path()).unwrap();
    let (found, record) = store.record("p", "app@linux/amd64").unwrap();
    assert_eq!((found, record.fields.len()), (key(1), 2));
    assert!(store.record("p", "lost@linux/amd64").is_some());
    assert!(store.record("q", "app@linux/amd64").is_some());
    assert_eq!(store.seconds("p", "app@linux/amd64"), Some(4.5));
    assert_eq!(store.memo("k", "a").as_deref(), Some("1"));
    let runs = store.runs("p", 10).unwrap();
    assert_eq!(
        runs.iter().map(|r| (r.id, r.detailed)).collect::<Vec<_>>(),
        [(3, true), (2, false), (1, false)]
    );
    // The states are those of the last run; of earlier ones nothing is known.
    let states = store.states("p", 3).unwrap();
    assert_eq!(states["app@linux/amd64"].digest, "sha256:aa");
    assert!(!states.contains_key("lost@linux/amd64"));
    assert!(store.states("p", 2).unwrap().is_empty());
    assert_eq!(store.states("q", 0).unwrap().len(), 1);
    let run = store.run_begin("p", NOW).unwrap();
    assert_eq!(run, 4);
    build(&store, "app@linux/amd64", run, 9, took(1.0, 0));
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.states("p", 3).unwrap()["app@linux/amd64"].key, key(1));
    assert_eq!(store.states("p", 4).unwrap()["app@linux/amd64"].key, key(9));
}
