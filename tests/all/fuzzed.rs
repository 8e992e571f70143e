//! The fuzz targets on a small corpus and on mutations of it, for a few seconds, always the same.

use std::time::{Duration, Instant};

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{source_tree, walk};
use mabuild_tests::fuzz;
use mabuild_tests::random::Random;

fn run(corpus: &[Vec<u8>], target: fn(&[u8])) {
    for bytes in corpus {
        target(bytes);
    }
    let end = Instant::now() + Duration::from_secs(4);
    let mut random = Random(1);
    for _ in 0..20_000 {
        let seed = &corpus[random.below(corpus.len())];
        let bytes = random.mutate(seed);
        let kept = bytes.clone();
        let broken = std::panic::catch_unwind(move || target(&bytes)).is_err();
        assert!(!broken, "broken by {:?}", String::from_utf8_lossy(&kept));
        if Instant::now() > end {
            break;
        }
    }
}

#[test]
fn kdl() {
    let mut corpus: Vec<Vec<u8>> = walk(&source_tree().join("examples"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "kdl"))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(corpus.len() >= 2);
    for text in [
        "mabuild 1\nplatforms \"linux/amd64\"\nimage \"a\" { from \"scratch\"; steps { file \"/a\" #\"raw\"# } }\n",
        "mabuild 1\nlet a \"x\"\nlet b env=\"B\" default=#true\nimage \"a\" {\n  from \"scratch\" /-{ }\n  label \"a\" \"{{a}} {{{{\"\n}\n",
        "mabuild 1\nimage \"a\" { steps { file \"/m\" \"\"\"\n    two\n    lines\n    \"\"\" } }\n",
        "mabuild 1 /* a /* b */ */ \\\n\nimage a { from b }; image b { from a }\n",
    ] {
        corpus.push(text.as_bytes().to_vec());
    }
    run(&corpus, fuzz::kdl);
}

/// The files of a folder of the corpus.
fn kept(folder: &str) -> Vec<Vec<u8>> {
    let files = walk(&source_tree().join("tests/fuzz/seeds").join(folder));
    let corpus: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(corpus.len() >= 5);
    corpus
}

#[test]
fn dockerfile() {
    run(&kept("dockerfile"), fuzz::dockerfile);
}

#[test]
fn ignore() {
    run(&kept("ignore"), fuzz::ignore);
}

#[test]
fn tar() {
    let pax = |record: &str| {
        let text = format!("{} {record}\n", record.len() + 4);
        Tar::default().entry("pax", b'x', 0o644, (0, 0), "", text.as_bytes())
    };
    let corpus = vec![
        Tar::default()
            .dir("a/", 0o755)
            .file("a/b", 0o644, "b\n")
            .symlink("l", "a")
            .hardlink("h", "a/b")
            .plain(),
        Tar::default().symlink("out", "..").file("out/canary", 0o644, "dead").plain(),
        Tar::default().symlink("abs", "/tmp").file("abs/canary", 0o644, "dead").plain(),
        Tar::default().hardlink("canary", "../canary").file("canary", 0o644, "dead").plain(),
        Tar::default().file("../canary", 0o644, "dead").plain(),
        Tar::default()
            .file("a", 0o644, "a")
            .file(".wh.a", 0o644, "")
            .file("d/.wh..wh..opq", 0o644, "")
            .plain(),
        Tar::default()
            .entry("dev", b'3', 0o666, (0, 0), "", &[])
            .entry("fifo", b'6', 0o666, (0, 0), "", &[])
            .plain(),
        pax("path=../canary").file("x", 0o644, "dead").plain(),
        pax("size=999999999999").file("x", 0o644, "dead").plain(),
        pax("mtime=1.5").owned("x", 0o6755, (1000, 1000), "x").plain(),
        Tar::default()
            .entry("name", b'L', 0o644, (0, 0), "", b"long/long/long\0")
            .file("x", 0o644, "x")
            .plain(),
        Tar::default().file("a", 0o644, "a").gzip(6),
    ];
    run(&corpus, fuzz::tar);
}
