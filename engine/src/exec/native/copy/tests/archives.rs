//! `ADD` of archives.

use std::io::Write;

use super::{check, on_base, world};
use crate::exec::native::testing::{World, entry};

/// A header of an archive with any name, as strangers write them, and its content.
fn raw(name: &str, flag: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000013\0");
    put(116, b"0000014\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000001\0");
    put(148, b"        ");
    put(156, &[flag]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header.extend_from_slice(content);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

fn archive(world: &World, name: &str, entries: &[Vec<u8>]) {
    world.write(name, [entries.concat(), vec![0; 1024]].concat(), 0o644);
}

fn file(name: &str, content: &str) -> Vec<u8> {
    raw(name, b'0', "", content.as_bytes())
}

fn link(name: &str, to: &str) -> Vec<u8> {
    raw(name, b'2', to, b"")
}

fn hard(name: &str, to: &str) -> Vec<u8> {
    raw(name, b'1', to, b"")
}

fn dir(name: &str) -> Vec<u8> {
    raw(name, b'5', "", b"")
}

#[test]
fn entries_go_over_what_is_there() {
    let world = world();
    archive(
        &world,
        "t.tar",
        &[
            dir("etc/"),
            file("etc/new", "n"),
            file("d/f", "arch"),
            // A file in place of a folder, a folder in place of a file.
            file("d/sub", "now a file"),
            dir("file/"),
            file("file/in", "i"),
            // Through links of the image, and in place of them.
            file("bin/tool", "t"),
            file("linkfile", "over"),
            file("made/on/the/way", "w"),
        ],
    );
    check(
        &world,
        &[(
            "ADD t.tar /",
            &[
                "f 644 11:12 d/f \"arch\"",
                "f 644 11:12 d/sub \"now a file\"",
                "d 644 11:12 etc",
                "f 644 11:12 etc/new \"n\"",
                "d 644 11:12 file",
                "f 644 11:12 file/in \"i\"",
                "f 644 11:12 linkfile \"over\"",
                "d 755 0:0 made",
                "d 755 0:0 made/on",
                "d 755 0:0 made/on/the",
                "f 644 11:12 made/on/the/way \"w\"",
                "f 644 11:12 usr/bin/tool \"t\"",
            ],
        )],
    );
    archive(&world, "l.tar", &[dir("ld/"), file("ld/in", "i")]);
    check(
        &world,
        &[
            ("ADD l.tar /", &["d 644 11:12 ld", "f 644 11:12 ld/in \"i\""]),
            ("ADD l.tar /ld", &["d 644 11:12 real/ld", "f 644 11:12 real/ld/in \"i\""]),
            // Owner and mode are for what the instruction itself makes.
            (
                "ADD --chown=5:6 --chmod=600 l.tar /q/",
                &["d 755 5:6 q", "d 644 11:12 q/ld", "f 644 11:12 q/ld/in \"i\""],
            ),
            ("ADD --link l.tar /", &["d 644 11:12 ld", "f 644 11:12 ld/in \"i\""]),
        ],
    );
    archive(&world, "f.tar", &[file("file/x", "")]);
    assert!(on_base(&world, "ADD f.tar /").concat().contains("/file is in the way"));
}

#[test]
fn nothing_gets_out_of_the_destination() {
    let world = world();
    for (entries, want) in [
        (vec![file("../x", "")], vec!["f 644 11:12 q/x \"\""]),
        (vec![file("a/../../../x", "")], vec!["f 644 11:12 q/x \"\""]),
        (vec![file("/abs", "")], vec!["f 644 11:12 q/abs \"\""]),
        (
            vec![link("l", "../../.."), file("l/x", "")],
            vec!["l 777 11:12 q/l -> ../../..", "f 644 11:12 q/x \"\""],
        ),
        (
            vec![dir("etc"), link("l", "/etc"), file("l/sub/x", "")],
            vec![
                "d 644 11:12 q/etc",
                "d 755 0:0 q/etc/sub",
                "f 644 11:12 q/etc/sub/x \"\"",
                "l 777 11:12 q/l -> /etc",
            ],
        ),
        (
            vec![file("a", "1"), hard("h", "../../a")],
            vec!["f 644 11:12 q/a \"1\"", "h 644 11:12 q/h = q/a"],
        ),
        (vec![dir("./"), file("./z", "")], vec!["f 644 11:12 q/z \"\""]),
    ] {
        archive(&world, "t.tar", &entries);
        assert_eq!(on_base(&world, "ADD t.tar /q"), [vec!["d 755 0:0 q"], want].concat());
    }
    for (entries, why) in [
        (vec![hard("h", "../etc/passwd")], "which is not there"),
        (vec![dir("d"), hard("h", "d")], "names the directory"),
        (vec![link("l", "l"), file("l/x", "")], "too many symbolic links"),
        // The link is to a folder of the image, which is not there for the archive.
        (vec![link("l", "/etc"), file("l/x", "")], "leads to no directory"),
        (vec![link("l", "none"), file("l/sub/x", "")], "leads to no directory"),
    ] {
        archive(&world, "t.tar", &entries);
        let lines = on_base(&world, "ADD t.tar /q").concat();
        assert!(lines.contains("t.tar") && lines.contains(why), "{lines}");
    }
}

#[test]
fn hard_links_to_files_of_the_image_bring_them_up() {
    let world = world();
    archive(&world, "t.tar", &[hard("h", "d/f"), link("s", "d"), hard("i", "s/f")]);
    check(
        &world,
        &[(
            "ADD t.tar /",
            &[
                "f 644 11:12 d/f \"old\"",
                "h 644 11:12 h = d/f",
                "h 644 11:12 i = d/f",
                "l 777 11:12 s -> d",
            ],
        )],
    );
    archive(&world, "t.tar", &[hard("h", "linkfile")]);
    check(&world, &[("ADD t.tar /", &["l 777 11:12 h -> file", "l 777 11:12 linkfile -> file"])]);
}

#[test]
fn later_entries_of_a_path_win_and_links_keep_what_they_named() {
    let world = world();
    archive(
        &world,
        "t.tar",
        &[
            file("a", "first"),
            hard("b", "a"),
            file("a", "second"),
            dir("d"),
            file("d/x", ""),
            file("d", "file"),
            dir("d"),
            file("d/y", ""),
        ],
    );
    check(
        &world,
        &[
            (
                "ADD t.tar /q",
                &[
                    "d 755 0:0 q",
                    "f 644 11:12 q/a \"second\"",
                    "f 644 11:12 q/b \"first\"",
                    "d 644 11:12 q/d",
                    "f 644 11:12 q/d/y \"\"",
                ],
            ),
            (
                // The folder of the image went in between, with all it had.
                "ADD t.tar /",
                &[
                    "f 644 11:12 a \"second\"",
                    "f 644 11:12 b \"first\"",
                    "d 644 11:12 d",
                    "f 644 11:12 d/y \"\"",
                    "- d/f",
                    "- d/sub",
                ],
            ),
        ],
    );
}

#[test]
fn archives_are_told_by_their_content() {
    let world = world();
    let tar = [file("z", "z"), vec![0; 1024]].concat();
    let gzip = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let bzip = |bytes: &[u8]| {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let mut old = tar.clone();
    // As before POSIX: no magic, and a checksum without it.
    old[257..265].fill(0);
    let sum: u32 = old[..512].iter().map(|b| u32::from(*b)).sum::<u32>()
        - old[148..156].iter().map(|b| u32::from(*b)).sum::<u32>()
        + 8 * 32;
    old[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    for (name, bytes) in [
        ("plain", tar.clone()),
        ("a.gz", gzip(&tar)),
        ("a.bz2", bzip(&tar)),
        ("wrong-name.txt", gzip(&tar)),
        ("old.tar", old),
    ] {
        world.write(name, bytes, 0o644);
        let step = format!("ADD {name} /q");
        check(&world, &[(&step, &["d 755 0:0 q", "f 644 11:12 q/z \"z\""])]);
        let step = format!("ADD --unpack=false {name} /q");
        assert!(on_base(&world, &step).concat().starts_with("f 644 0:0 q "));
        let step = format!("COPY {name} /q");
        assert!(on_base(&world, &step).concat().starts_with("f 644 0:0 q "));
    }
    for (name, bytes) in [
        ("text.tar", b"no archive".to_vec()),
        ("zeros.tar", vec![0; 10240]),
        ("text.gz", gzip(b"no archive")),
        ("empty.tar", Vec::new()),
        ("cut.tar", tar[..300].to_vec()),
    ] {
        world.write(name, bytes, 0o600);
        let step = format!("ADD {name} /q");
        let lines = on_base(&world, &step).concat();
        assert!(lines.starts_with("f 600 0:0 q "), "{name}: {lines}");
    }
    world.write("half.tar", &tar[..512], 0o600);
    assert!(on_base(&world, "ADD half.tar /q").concat().contains("cannot unpack the archive"));
    // In a folder an archive is a file.
    world.write("sub/plain", &tar, 0o644);
    assert!(on_base(&world, "ADD sub /q").concat().contains("q/plain"));
    // By the same name, other content: what is known goes by content.
    world.write("plain", "text now", 0o644);
    check(&world, &[("ADD plain /q", &["f 644 0:0 q \"text now\""])]);
}

#[test]
fn devices_and_pipes_come_out() {
    let world = world();
    world.archive(
        "t.tar",
        vec![entry('c', "c", "", 0o600, (1, 2)), entry('p', "p", "", 0o600, (1, 2))],
    );
    check(&world, &[("ADD t.tar /", &["c 600 1:2 c (1, 3)", "p 600 1:2 p"])]);
}

#[test]
fn a_hundred_thousand_entries_take_seconds() {
    let world = World::new();
    let mut entries = Vec::new();
    for folder in 0..100 {
        entries.extend((0..1000).map(|n| entry('f', &format!("{folder}/{n}"), "", 0o644, (1, 1))));
    }
    world.archive("t.tar", entries);
    let start = std::time::Instant::now();
    let spec = world.spec("FROM scratch\nADD t.tar /q", "linux/amd64").unwrap();
    assert_eq!(world.layers(&spec).unwrap().len(), 1);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
