use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mabuild_oci::image::{Descriptor, Index, Manifest};
use mabuild_oci::layer::{Compression, Entry, LayerIndex, PackOptions, pack};
use mabuild_oci::{Digest, ImageConfig, Platform, chain_id, media_type};

use super::*;
use crate::key::Key;

const NOW: i64 = 2_000_000_000;

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

fn key(n: u8) -> Key {
    Key([n; 32])
}

fn no_remover(path: &Path) -> Result<(), String> {
    panic!("{} had to be removed", path.display())
}

/// An image of one layer with one file; gives manifest, layer, and diff id.
fn image(store: &Store, text: &str) -> (Digest, Digest, Digest) {
    let options = PackOptions { compression: Compression::Gzip, clamp_mtime: 0, threads: 1 };
    let mut blob = Vec::new();
    let packed = pack(vec![Entry::file("f", text)], &options, &mut blob).unwrap();
    let layer = store.layout().write_blob(packed.media_type, &blob).unwrap();
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
    config.rootfs.diff_ids.push(packed.diff_id);
    let config = config.to_bytes().unwrap();
    let config = store.layout().write_blob(media_type::CONFIG, &config).unwrap();
    let manifest = Manifest::new(config, vec![layer.clone()]).to_bytes().unwrap();
    let manifest = store.layout().write_blob(media_type::MANIFEST, &manifest).unwrap();
    store.put_index(&packed.diff_id.to_string(), &packed.index).unwrap();
    (manifest.digest, layer.digest, packed.diff_id)
}

fn index_of(store: &Store, manifest: Digest) -> Digest {
    let descriptor = Descriptor::new(media_type::MANIFEST, manifest, 1);
    let bytes = Index::new(vec![descriptor]).to_bytes().unwrap();
    store.layout().write_blob(media_type::INDEX, &bytes).unwrap().digest
}

fn result_row(digest: &Digest) -> ResultRow {
    ResultRow { digest: digest.to_string(), kind: ResultKind::Manifest, seconds: 1.5 }
}

#[test]
fn results_are_known_while_their_blob_is_there() {
    let (dir, store) = open();
    let (manifest, layer, diff_id) = image(&store, "a");
    let row = result_row(&manifest);
    let step = StepRow {
        diff_id: diff_id.to_string(),
        digest: layer.to_string(),
        size: 7,
        media_type: media_type::LAYER_GZIP.to_owned(),
    };
    store.put_result(&key(1), &row).unwrap();
    store.put_step(&key(2), &Some(step.clone())).unwrap();
    store.put_step(&key(3), &None).unwrap();
    drop(store);

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.result(&key(1)), Some(row));
    assert_eq!(store.result(&key(9)), None);
    assert_eq!(store.step(&key(2)), Some(Some(step)));
    assert_eq!(store.step(&key(3)), Some(None));
    assert_eq!(store.step(&key(9)), None);
    std::fs::remove_file(store.layout().path_of(&manifest)).unwrap();
    std::fs::remove_file(store.layout().path_of(&layer)).unwrap();
    assert_eq!(store.result(&key(1)), None);
    assert_eq!(store.step(&key(2)), None);
}

#[test]
fn many_results_are_known_as_one_by_one() {
    let (_dir, store) = open();
    let (there, ..) = image(&store, "a");
    let gone = Digest::sha256("gone");
    store.put_result(&key(1), &result_row(&there)).unwrap();
    store.put_result(&key(2), &result_row(&gone)).unwrap();
    let keys = [key(3), key(1), key(2), key(1)];
    let text = Some(there.to_string());
    let found: Vec<Option<String>> =
        store.digests(&keys).into_iter().map(|d| d.map(|d| d.to_string())).collect();
    assert_eq!(found, [None, text.clone(), None, text]);
    // The read is over: a write goes through.
    store.put_result(&key(3), &result_row(&there)).unwrap();
    assert_eq!(store.digests(&[key(3)]), [Some(there.to_string().into())]);
}

#[test]
fn notes_come_back() {
    let (_dir, store) = open();
    store.put_memo("k", "a", "1").unwrap();
    store.put_memo("k", "a", "2").unwrap();
    assert_eq!(store.memo("k", "a").as_deref(), Some("2"));
    store.remove_memo("k", "a").unwrap();
    assert_eq!(store.memo("k", "a"), None);
}

#[test]
fn racy_file_digests_are_not_remembered() {
    let (_dir, store) = open();
    let stat = |seconds: i64| Stat {
        size: 3,
        mtime_ns: seconds * 1_000_000_000,
        ctime_ns: 5,
        inode: u64::MAX,
        digest: [7; 32],
    };
    let changed = [
        ("old".to_owned(), stat(NOW - 3)),
        ("young".to_owned(), stat(NOW - 2)),
        ("future".to_owned(), stat(NOW + 60)),
    ];
    store.put_file_digests("/r", &changed, NOW).unwrap();
    assert_eq!(store.file_digests("/r"), HashMap::from([("old".to_owned(), stat(NOW - 3))]));
    assert!(store.file_digests("/other").is_empty());
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    let (dir, store) = open();
    store.database().pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let error = Store::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("form 99") && error.contains("state.db"), "{error}");
}

#[test]
fn many_stores_on_one_folder_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let built = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..6_u8 {
            let (dir, built) = (dir.path(), &built);
            scope.spawn(move || {
                let store = Store::open(dir).unwrap();
                let _use = store.use_guard().unwrap();
                for n in 0..20_u8 {
                    let _guard = store.lock(&format!("node {n}")).unwrap();
                    if store.result(&key(n)).is_none() {
                        built.fetch_add(1, Ordering::SeqCst);
                        let blob = store.layout().write_blob(media_type::MANIFEST, &[n]).unwrap();
                        store.put_result(&key(n), &result_row(&blob.digest)).unwrap();
                    }
                    store.put_memo("t", &format!("{thread} {n}"), "x").unwrap();
                }
            });
        }
    });
    assert_eq!(built.load(Ordering::SeqCst), 20, "each node is built once");
    let store = Store::open(dir.path()).unwrap();
    for n in 0..20_u8 {
        assert!(store.result(&key(n)).is_some());
        for thread in 0..6 {
            assert!(store.memo("t", &format!("{thread} {n}")).is_some());
        }
    }
}

#[test]
fn a_lock_is_held_by_one_and_leaves_no_file() {
    let (dir, store) = open();
    let other = Store::open(dir.path()).unwrap();
    let guard = store.lock("a/b").unwrap();
    assert!(other.try_lock("a/b").unwrap().is_none());
    assert!(other.try_lock("a_b").unwrap().is_some());
    let held = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _guard = other.lock("a/b").unwrap();
            held.store(1, Ordering::SeqCst);
        });
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(held.load(Ordering::SeqCst), 0, "both hold the lock");
        drop(guard);
    });
    assert_eq!(held.load(Ordering::SeqCst), 1);
    let names: Vec<_> = std::fs::read_dir(dir.path().join("mabuild/locks"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["open"], "only the lock for opening stays");
}

#[test]
fn any_text_becomes_one_file_name_of_its_own() {
    let long = "x".repeat(5000);
    let texts =
        ["", ".", "..", "a", "a/b", "a_b", "/etc", "ä", ".wh.x", "a\0b", &long, "n@linux/amd64"];
    let names: std::collections::HashSet<String> = texts.iter().map(|t| file_name(t)).collect();
    assert_eq!(names.len(), texts.len());
    for name in &names {
        assert!(!name.contains(['/', ':', '\0']) && !name.starts_with('.'), "{name:?}");
        assert!(!name.is_empty() && name.len() < 200, "{name:?}");
    }
    let digest = Digest::sha256("x").to_string();
    assert_eq!(file_name(&digest), digest.replace(':', "-"));
}

#[test]
fn only_what_has_its_digest_is_adopted() {
    let (dir, store) = open();
    let temp = |text: &str| {
        let mut file = store.temp_named().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    let digest = Digest::sha256("right").to_string();
    let path = store.adopt_download(temp("right"), &digest).unwrap();
    assert_eq!(path, store.download_path(&digest));
    assert!(path.starts_with(dir.path().join("mabuild/downloads/sha256")));
    assert_eq!(std::fs::read(&path).unwrap(), b"right");
    let other = Digest::sha256("other").to_string();
    assert!(matches!(
        store.adopt_download(temp("wrong"), &other),
        Err(StoreError::Mismatch { .. })
    ));
    assert!(!store.download_path(&other).exists());
    assert!(store.adopt_download(temp("x"), "../../x").is_err());
    assert!(store.download_path("sha256:../../x").starts_with(dir.path().join("mabuild")));
    let folder = store.named_download(&digest, "name.txt").unwrap();
    assert_eq!(std::fs::read(folder.join("name.txt")).unwrap(), b"right");
    assert_eq!(store.named_download(&digest, "name.txt").unwrap(), folder);
}

#[test]
fn what_the_dead_left_is_cleared_and_what_the_living_use_stays() {
    let (dir, store) = open();
    let mine = store.temp_dir().unwrap();
    std::fs::write(mine.join("f"), "x").unwrap();
    let dead = dir.path().join("mabuild/tmp/t-dead");
    std::fs::create_dir_all(dead.join("d")).unwrap();
    let other = Store::open(dir.path()).unwrap();
    assert!(mine.join("f").exists());
    assert!(!dead.exists());
    drop(other);
    drop(store);
    assert!(!mine.exists());
}

#[test]
fn gc_keeps_what_roots_and_names_reach() {
    let (dir, store) = open();
    let (kept, _, kept_diff) = image(&store, "kept");
    let (named, named_layer, _) = image(&store, "named");
    let (gone, gone_layer, gone_diff) = image(&store, "gone");
    let index = index_of(&store, kept);
    store.put_root("p", "app", &index.to_string()).unwrap();
    let descriptor = Descriptor::new(media_type::MANIFEST, named, 1);
    store.layout().set_ref("named:1", descriptor).unwrap();
    for (n, digest) in [(1, &kept), (2, &named), (3, &gone), (4, &index)] {
        store.put_result(&key(n), &result_row(digest)).unwrap();
    }
    let tree = |diff_id: &Digest, done: bool| {
        let tree = store.tree_path("root", &chain_id(&[*diff_id]).to_string());
        std::fs::create_dir_all(tree.join("fs")).unwrap();
        if done {
            std::fs::write(tree.join("done"), "").unwrap();
        }
        tree
    };
    let (kept_tree, gone_tree) = (tree(&kept_diff, true), tree(&gone_diff, true));
    let half = store.tree_path("single", &chain_id(&[kept_diff]).to_string());
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(dir.path().join("mabuild/downloads/x"), "").unwrap();

    let request = GcRequest { now: NOW, dry_run: true, ..GcRequest::default() };
    let planned = store.gc(&request, &no_remover).unwrap();
    assert!(store.layout().has(&gone) && gone_tree.exists());
    let report = store.gc(&GcRequest { dry_run: false, ..request }, &no_remover).unwrap();
    assert_eq!(planned, report);
    // Manifest, config, layer, layer index, and the mark of the tree.
    assert_eq!(report.files, 5);
    assert!(report.bytes > 0);
    for digest in [&kept, &named, &named_layer, &index] {
        assert!(store.layout().has(digest), "{digest} was needed");
    }
    assert!(!store.layout().has(&gone) && !store.layout().has(&gone_layer));
    assert!(kept_tree.exists() && !gone_tree.exists() && !half.exists());
    assert!(store.index(&kept_diff.to_string()).is_some());
    assert!(store.index(&gone_diff.to_string()).is_none());
    assert!(store.result(&key(1)).is_some() && store.result(&key(3)).is_none());
    assert_eq!(store.gc(&request, &no_remover).unwrap(), GcReport::default());
}

#[test]
fn gc_leaves_the_young_and_removes_old_downloads_and_logs() {
    let (_dir, store) = open();
    let (gone, _, _) = image(&store, "young");
    let mut file = store.temp_named().unwrap();
    file.write_all(b"deb").unwrap();
    let digest = Digest::sha256("deb").to_string();
    let download = store.adopt_download(file, &digest).unwrap();
    let log = store.log_path(1, "n@linux/amd64");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    std::fs::write(&log, "line").unwrap();
    let written = std::fs::metadata(&download).unwrap().modified().unwrap();
    let written = written.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;

    let day = 86_400;
    let request = |days: i64, all: bool, older: Option<u32>| GcRequest {
        older_than_days: older,
        all,
        dry_run: false,
        now: written + days * day,
    };
    let cache = store.cache_path("single", "npm-0");
    let broken = store.cache_path("single", "pip-0");
    for cache in [&cache, &broken] {
        std::fs::create_dir_all(cache.join("fs")).unwrap();
        std::fs::write(cache.join("fs/kept"), "12345").unwrap();
    }
    std::fs::write(cache.join("done"), "").unwrap();
    let of_caches = store.du().unwrap().into_iter().find(|u| u.kind == "caches").unwrap();
    assert_eq!((of_caches.files, of_caches.bytes), (3, 10));
    store.gc(&request(6, false, Some(7)), &no_remover).unwrap();
    // Nobody makes it whole any more.
    assert!(cache.exists() && !broken.exists());
    assert!(store.layout().has(&gone) && download.exists());
    store.gc(&request(8, false, None), &no_remover).unwrap();
    assert!(!store.layout().has(&gone) && download.exists() && log.exists() && cache.exists());
    store.gc(&request(31, false, None), &no_remover).unwrap();
    assert!(!download.exists() && !log.exists() && !cache.exists());
}

#[test]
fn gc_does_not_run_beside_a_run() {
    let (dir, store) = open();
    let other = Store::open(dir.path()).unwrap();
    let guard = other.use_guard().unwrap();
    let second = store.use_guard().unwrap();
    let request = GcRequest { now: NOW, ..GcRequest::default() };
    assert!(matches!(store.gc(&request, &no_remover), Err(StoreError::InUse { .. })));
    drop(second);
    assert!(store.gc(&request, &no_remover).is_err());
    drop(guard);
    assert!(store.gc(&request, &no_remover).is_ok());
}

#[test]
fn a_flipped_bit_is_found_and_what_needs_it_forgotten() {
    let (_dir, store) = open();
    let (good, _, _) = image(&store, "good");
    let (bad, bad_layer, bad_diff) = image(&store, "bad");
    store.put_result(&key(1), &result_row(&good)).unwrap();
    store.put_result(&key(2), &result_row(&bad)).unwrap();
    let step = StepRow {
        diff_id: bad_diff.to_string(),
        digest: bad_layer.to_string(),
        size: 1,
        media_type: media_type::LAYER_GZIP.to_owned(),
    };
    store.put_step(&key(3), &Some(step)).unwrap();
    assert_eq!(store.verify(true).unwrap(), []);

    let path = store.layout().path_of(&bad_layer);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let problems = store.verify(false).unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(problems[0].blob, bad_layer.to_string());
    assert_eq!(problems[1].blob, bad.to_string());
    assert!(problems[1].message.contains(&bad_layer.to_string()));
    assert!(!path.exists());
    assert!(store.result(&key(1)).is_some());
    assert_eq!(store.result(&key(2)), None);
    assert_eq!(store.step(&key(3)), None);
    assert_eq!(store.verify(false).unwrap(), []);
}

#[test]
fn a_damaged_download_is_set_aside() {
    let (_dir, store) = open();
    let mut file = store.temp_named().unwrap();
    file.write_all(b"deb").unwrap();
    let digest = Digest::sha256("deb").to_string();
    let path = store.adopt_download(file, &digest).unwrap();
    let named = store.named_download(&digest, "n").unwrap();
    std::fs::write(&path, "exchanged").unwrap();
    let problems = store.verify(false).unwrap();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].blob, digest);
    assert!(!path.exists() && !named.exists());
}

#[test]
fn layer_indexes_come_back_and_damaged_ones_do_not() {
    let (_dir, store) = open();
    let index = LayerIndex::from_entries(&[Entry::file("f", "x")]);
    let diff_id = Digest::sha256("d").to_string();
    store.put_index(&diff_id, &index).unwrap();
    assert_eq!(store.index(&diff_id).unwrap().to_bytes(), index.to_bytes());
    std::fs::write(store.index_path(&diff_id), "nonsense").unwrap();
    assert!(store.index(&diff_id).is_none());
}

#[test]
fn du_counts_every_kind() {
    let (_dir, store) = open();
    image(&store, "x");
    let usage = store.du().unwrap();
    let of = |kind: &str| usage.iter().find(|u| u.kind == kind).unwrap();
    assert_eq!(of("blobs").files, 3);
    assert_eq!(of("indexes").files, 1);
    assert!(of("state").bytes > 0);
    assert_eq!(of("downloads").files, 0);
}
