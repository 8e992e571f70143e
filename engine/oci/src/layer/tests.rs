//! Layers there and back: what is packed is read as it was, in the same bytes every time.

use super::testing::{
    archive, content, line, lines, packed, raw, raw_link, raw_pax, seal, unpacked,
};
use super::tree_index::NodeKind;
use super::*;
use crate::error::lossy;
use crate::{Digest, Error};
use proptest::prelude::*;
use std::io::Write;

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

/// Bytes that compress about as text does, the same every time.
fn text(mut seed: u64, size: usize) -> Vec<u8> {
    let words = ["layer", "digest", "of", "the", "index", "a ", "{}", "\n", "manifest", "0000"];
    let mut out = Vec::with_capacity(size + 16);
    while out.len() < size {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        out.extend_from_slice(words[(seed >> 33) as usize % words.len()].as_bytes());
        out.push((seed >> 40) as u8);
    }
    out.truncate(size);
    out
}

/// A layer with one of everything, and enough bytes for several blocks.
fn sample() -> Vec<Entry> {
    let mut attributed = Entry::file("usr/bin/tool", text(1, 3_000_000)).with_mode(0o4755);
    attributed.xattrs.insert(b"security.capability".to_vec(), b"\x01\0\n=\x02".to_vec());
    attributed.xattrs.insert(b"user.note".to_vec(), b"".to_vec());
    let mut entries = vec![
        Entry::new("usr", EntryKind::Dir),
        Entry::new("usr/bin", EntryKind::Dir).with_mtime(1_700_000_000),
        attributed,
        Entry::new("usr/bin/other", EntryKind::Hardlink { target: b"usr/bin/tool".to_vec() }),
        Entry::new("usr/bin/t", EntryKind::Symlink { target: b"tool".to_vec() }),
        Entry::new("dev", EntryKind::Dir),
        Entry::new("dev/null", EntryKind::CharDev { major: 1, minor: 3 }).with_mode(0o666),
        Entry::new("dev/sda", EntryKind::BlockDev { major: 8, minor: 0 }),
        Entry::new("dev/pipe", EntryKind::Fifo),
        Entry::new("etc/gone", EntryKind::Whiteout),
        Entry::new("var", EntryKind::Dir).with_owner(1000, 1 << 33),
        Entry::new("var", EntryKind::Opaque),
        Entry::file("var/empty", ""),
        Entry::file(format!("var/{}/{}", "d".repeat(140), "n".repeat(200)), "long"),
        Entry::file(b"var/\xff\xfe not utf-8".to_vec(), "raw"),
        Entry::new("var/far", EntryKind::Symlink { target: vec![b'f'; 300] }),
    ];
    entries
        .extend((0..300).map(|i| Entry::file(format!("many/{i:03}"), text(i, (i as usize) * 37))));
    entries
}

#[test]
fn a_layer_has_the_same_bytes_with_any_number_of_threads_and_in_any_order() {
    let mut shuffled = sample();
    shuffled.reverse();
    for compression in ALL {
        let (one, bytes) = packed(sample(), compression, 1);
        for threads in [2, 8, 0] {
            assert!(packed(shuffled.clone(), compression, threads).1 == bytes, "{compression:?}");
        }
        assert_eq!(one.digest, Digest::sha256(&bytes));
        assert_eq!(one.size, bytes.len() as u64);
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut decompress(&bytes[..]).unwrap(), &mut plain).unwrap();
        assert_eq!(one.diff_id, Digest::sha256(&plain));
        assert_eq!(one.diff_size, plain.len() as u64);
        assert_eq!(one.entries, sample().len() as u64);
    }
}

/// These bytes are in registries. A change here gives every image a new digest.
#[test]
fn golden_digests() {
    let digests = ALL.map(|compression| {
        let (layer, _) = packed(sample(), compression, 2);
        assert_eq!(layer.media_type, compression.layer_media_type());
        (layer.diff_id.to_string(), layer.digest.to_string())
    });
    let plain = "sha256:54e11fed47d8baa20359525e6e5c5d2ca89efd75f5ec3fce12760fd77337da7b";
    assert_eq!(digests.each_ref().map(|(diff_id, _)| diff_id.as_str()), [plain; 3]);
    assert_eq!(
        digests[1].1,
        "sha256:5447c7209665d35e1bcac2b7f127f5b933de661a0b691f3cfb99ac127c2d3462"
    );
    assert_eq!(
        digests[2].1,
        "sha256:842812f10702e69cef744a5f6165966bf7bb8c95cec5e2e929ce827637b1d2ca"
    );
}

#[test]
fn a_packed_layer_is_read_as_it_was() {
    let mut expected = super::order::normalise(sample(), i64::MAX).unwrap();
    // The group's first name in order has the content.
    assert!(expected.iter().any(|e| line(e).starts_with("usr/bin/tool=>usr/bin/other")));
    for entry in expected.iter_mut().filter(|e| e.is_marker()) {
        entry.mode = 0;
    }
    for compression in ALL {
        let (_, bytes) = packed(sample(), compression, 2);
        let entries = unpacked(&bytes, &Limits::default()).unwrap();
        assert_eq!(lines(&entries), lines(&expected));
    }
}

#[test]
fn the_index_of_a_packed_layer_is_that_of_the_layer_read() {
    let (layer, bytes) = packed(sample(), Compression::Gzip, 2);
    let read = index_tar(decompress(&bytes[..]).unwrap(), &Limits::default()).unwrap();
    assert!(read == layer.index);
    assert!(LayerIndex::from_bytes(&layer.index.to_bytes()).unwrap() == layer.index);
    let other = layer.index.entries.iter().find(|e| e.path == b"usr/bin/tool").unwrap();
    assert_eq!(other.target, b"usr/bin/other");
    let files = layer.index.entries.iter().filter(|e| e.kind == NodeKind::File);
    assert!(files.into_iter().all(|e| e.digest.is_some()));
}

#[test]
fn only_what_is_wanted_is_kept() {
    let (_, bytes) = packed(sample(), Compression::Gzip, 2);
    let reader = || decompress(&bytes[..]).unwrap();
    let spool = tempfile::tempfile().unwrap();
    let watched = spool.try_clone().unwrap();
    let wanted = |path: &[u8]| matches!(path, b"many/002" | b"many/299" | b"usr/bin/t");
    let found = read_some(reader(), spool, &Limits::default(), &wanted).unwrap();
    let names: Vec<String> = found.iter().map(|e| lossy(&e.path)).collect();
    assert_eq!(names, ["many/002", "many/299", "usr/bin/t"]);
    assert_eq!(content(&found[0]), text(2, 74));
    assert_eq!(watched.metadata().unwrap().len(), 74 + 299 * 37);
    let few = Limits { entries: 5, ..Limits::default() };
    let error = read_some(reader(), tempfile::tempfile().unwrap(), &few, &|_| false).unwrap_err();
    assert!(error.to_string().contains("number of entries"), "{error}");
}

#[test]
fn holes_count_in_the_digest_of_a_file() {
    let pax: &[(&str, &[u8])] =
        &[("GNU.sparse.map", b"2,3,8,1"), ("GNU.sparse.size", b"10"), ("GNU.sparse.name", b"s")];
    let bytes = archive(&[raw_pax(pax), raw(b"x", b'0', 4, b"abcd")]);
    let index = index_tar(&bytes[..], &Limits::default()).unwrap();
    let entries = unpacked(&bytes, &Limits::default()).unwrap();
    for (entry, known) in entries.iter().zip(&index.entries) {
        let content = content(entry);
        assert_eq!(content, b"\0\0abc\0\0\0d\0");
        assert_eq!(known.digest, Some(*blake3::hash(&content).as_bytes()));
        assert_eq!(known.size, content.len() as u64);
    }
    assert!(!entries.is_empty());
}

#[test]
fn an_empty_layer_and_whole_blocks_are_fine() {
    for size in [0, 1024 * 1024 - 512, 1024 * 1024 - 1536, 2 * 1024 * 1024 - 512] {
        let entries = if size == 0 { vec![] } else { vec![Entry::file("f", text(2, size))] };
        for compression in ALL {
            let (_, bytes) = packed(entries.clone(), compression, 2);
            let back = unpacked(&bytes, &Limits { end_marker: true, ..Limits::default() }).unwrap();
            assert_eq!(lines(&back), lines(&entries));
        }
    }
}

#[test]
fn incompressible_bytes_survive() {
    let mut seed = 7u64;
    let noise: Vec<u8> = (0..2_500_000)
        .map(|_| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 56) as u8
        })
        .collect();
    for compression in ALL {
        let (layer, bytes) = packed(vec![Entry::file("noise", noise.clone())], compression, 2);
        assert!(layer.size < layer.diff_size + 4096);
        let back = unpacked(&bytes, &Limits::default()).unwrap();
        assert!(content(&back[0]) == noise);
    }
}

#[test]
fn files_are_read_from_disk_and_their_changes_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut entries = Vec::new();
    for i in 0..700 {
        let path = dir.path().join(format!("{i}"));
        let bytes = text(i, if i == 5 { 3 << 20 } else { 5000 + i as usize });
        std::fs::write(&path, &bytes).unwrap();
        let size = bytes.len() as u64;
        entries.push(Entry::new(
            format!("f{i:03}"),
            EntryKind::File { content: Content::Path(path), size },
        ));
    }
    let (_, bytes) = packed(entries.clone(), Compression::Gzip, 3);
    assert_eq!(lines(&unpacked(&bytes, &Limits::default()).unwrap()), lines(&entries));
    for changed in [5, 600] {
        let path = dir.path().join(format!("{changed}"));
        std::fs::File::options().append(true).open(&path).unwrap().write_all(b"x").unwrap();
        let options = PackOptions { compression: Compression::Gzip, clamp_mtime: 0, threads: 3 };
        let error = pack(entries.clone(), &options, &mut std::io::sink()).unwrap_err();
        assert!(matches!(error, Error::FileChanged { .. }), "{error}");
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
    }
}

#[test]
fn a_full_disk_is_an_error_and_not_a_hang() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            if self.0 < buf.len() {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.0 -= buf.len();
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let entries: Vec<Entry> =
        (0..40).map(|i| Entry::file(format!("{i}"), text(i, 1 << 20))).collect();
    for room in [0, 100, 500_000] {
        let options = PackOptions { compression: Compression::Gzip, clamp_mtime: 0, threads: 2 };
        let error = pack(entries.clone(), &options, &mut Full(room)).unwrap_err();
        assert!(error.to_string().contains("write the layer"), "{error}");
    }
}

fn refused(records: &[Vec<u8>]) -> String {
    unpacked(&archive(records), &Limits::default()).unwrap_err().to_string()
}

fn read(records: &[Vec<u8>]) -> Vec<String> {
    lines(&unpacked(&archive(records), &Limits::default()).unwrap())
}

#[test]
fn paths_that_leave_the_root_are_refused_and_absolute_ones_made_relative() {
    for name in [&b"../x"[..], b"a/../../x", b"a/..", b".."] {
        assert!(refused(&[raw(name, b'0', 0, b"")]).contains("\"..\""));
    }
    assert!(refused(&[raw_link(b"a", b'1', b"../../etc/passwd")]).contains("\"..\""));
    assert!(
        refused(&[raw_pax(&[("path", b"a/../b")]), raw(b"x", b'0', 0, b"")]).contains("\"..\"")
    );
    assert!(refused(&[raw_pax(&[("path", b"a\0b")]), raw(b"x", b'0', 0, b"")]).contains("NUL"));
    assert_eq!(read(&[raw(b"/etc//x", b'0', 1, b"y")]), ["etc/x=y 644 0:0 0"]);
    assert_eq!(
        read(&[raw(b"./", b'5', 0, b""), raw(b"./d/", b'5', 0, b"")]),
        [" Dir 644 0:0 0", "d Dir 644 0:0 0"]
    );
    // A symbolic link may say what it likes; it is followed inside the root.
    assert_eq!(
        read(&[raw_link(b"a", b'2', b"../../etc")]),
        ["a->../../etc 777 0:0 0".replace("777", "644")]
    );
}

#[test]
fn sizes_that_lie_are_errors() {
    let cut = raw(b"f", b'0', 5000, b"short");
    assert!(
        unpacked(&cut, &Limits::default()).unwrap_err().to_string().contains("ends in the middle")
    );
    assert!(refused(&[raw(b"f", b'0', 0o77777777777, b"x")]).contains("ends in the middle"));
    let pax = raw_pax(&[("size", b"9000000000000000000")]);
    assert!(refused(&[pax, raw(b"f", b'0', 1, b"x")]).contains("ends in the middle"));
    let pax = raw_pax(&[("size", b"-1")]);
    assert!(refused(&[pax, raw(b"f", b'0', 1, b"x")]).contains("size"));
    // A long name of two gigabytes is refused before anything of the kind is allocated.
    assert!(refused(&[raw(b"n", b'L', 2 << 30, b"x"), raw(b"f", b'0', 0, b"")]).contains("limit"));
    let mut flipped = raw(b"f", b'0', 0, b"");
    flipped[0] ^= 1;
    assert!(refused(&[flipped]).contains("checksum"));
}

#[test]
fn limits_hold() {
    let files: Vec<_> =
        (0..10).map(|i| raw(format!("f{i}").as_bytes(), b'0', 600, &[7; 600])).collect();
    let all = archive(&files);
    let base = Limits::default;
    assert!(unpacked(&all, &base()).is_ok());
    for limits in [
        Limits { entries: 9, ..base() },
        Limits { bytes: 5000, ..base() },
        Limits { metadata: 19, ..base() },
        Limits { name: 1, ..base() },
        Limits { depth: 0, ..base() },
    ] {
        let error = unpacked(&all, &limits).unwrap_err().to_string();
        assert!(error.contains("limit"), "{error}");
    }
    // What follows the end counts as well: a bomb may stand there.
    let mut tail = archive(&[]);
    tail.resize(1 << 20, 0);
    assert!(unpacked(&tail, &Limits { bytes: 1 << 19, ..base() }).is_err());
    let bomb = archive(&[raw(b"b", b'0', 64 << 20, &vec![0; 64 << 20])]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(&bomb).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    assert!(unpacked(&bomb, &Limits { bytes: 1 << 20, ..base() }).is_err());
}

#[test]
fn the_end_of_an_archive() {
    let whole = archive(&[raw(b"f", b'0', 3, b"abc")]);
    let strict = Limits { end_marker: true, ..Limits::default() };
    assert!(unpacked(&whole, &strict).is_ok());
    for cut in [whole.len() - 1024, whole.len() - 512] {
        assert_eq!(unpacked(&whole[..cut], &Limits::default()).unwrap().len(), 1);
        assert!(unpacked(&whole[..cut], &strict).is_err());
    }
    for cut in [1, 511, 513, 1023, whole.len() - 1025, whole.len() - 1] {
        assert!(unpacked(&whole[..cut], &Limits::default()).is_err(), "cut at {cut}");
    }
    assert!(unpacked(b"", &Limits::default()).unwrap().is_empty());
}

#[test]
fn reserved_names_are_markers_in_layers_only() {
    let records = [
        raw(b"d/.wh.gone", b'0', 0, b""),
        raw(b"d/.wh..wh..opq", b'0', 0, b""),
        raw(b".wh..wh.plnk", b'5', 0, b""),
        raw(b".wh..wh.aufs", b'0', 3, b"abc"),
        raw(b"after", b'0', 1, b"x"),
    ];
    assert_eq!(
        read(&records),
        ["d/gone Whiteout 644 0:0 0", "d Opaque 644 0:0 0", "after=x 644 0:0 0"]
    );
    let literal = Limits { whiteouts: false, ..Limits::default() };
    assert_eq!(unpacked(&archive(&records), &literal).unwrap().len(), 5);
    for name in [&b"d/.wh."[..], b".wh..", b".wh..."] {
        assert!(refused(&[raw(name, b'0', 0, b"")]).contains("whiteout of no name"));
    }
}

#[test]
fn gnu_long_names_and_odd_kinds() {
    let long = [b'n'; 300];
    let mut block = raw(b"././@LongLink", b'L', 301, &[&long[..], b"\0"].concat());
    block[257..265].copy_from_slice(b"ustar  \0");
    seal(&mut block[..512]);
    assert_eq!(
        read(&[block, raw(b"short", b'0', 0, b"")]),
        [format!("{}= 644 0:0 0", "n".repeat(300))]
    );
    assert!(refused(&[raw(b"v", b'V', 0, b"")]).contains("'V'"));
    assert!(refused(&[raw_link(b"l", b'2', b"")]).contains("no target"));
    assert!(refused(&[raw(b"", b'0', 0, b"")]).contains("empty path"));
    assert!(refused(&[raw_link(b"/", b'2', b"x")]).contains("root"));
    assert_eq!(read(&[raw(b"old/", b'0', 0, b"")]), ["old Dir 644 0:0 0"]);
    assert!(refused(&[raw(b"old/", b'0', 1, b"x")]).contains("directory has content"));
    // By their kind these have no data, whatever they claim.
    assert_eq!(read(&[raw(b"d", b'5', 999, b""), raw_link(b"l", b'2', b"t")]).len(), 2);
}

#[test]
fn pax_records() {
    let records = [
        raw_pax(&[("mtime", b"-1.5"), ("uid", b"5000000000"), ("SCHILY.xattr.user.k", b"a\nb\0")]),
        raw(b"f", b'0', 0, b""),
    ];
    assert_eq!(read(&records), ["f= 644 5000000000:0 -2 user.k=a\\nb\\x00"]);
    for (key, value) in [("uid", &b"x"[..]), ("mtime", b"1.x"), ("mtime", b"\xff"), ("gid", b"-1")]
    {
        let error = refused(&[raw_pax(&[(key, value)]), raw(b"f", b'0', 0, b"")]);
        assert!(error.contains(key), "{error}");
    }
    let global = |key: &str| {
        let mut block = raw_pax(&[(key, b"1")]);
        block[156] = b'g';
        seal(&mut block[..512]);
        block
    };
    assert_eq!(read(&[global("comment"), raw(b"f", b'0', 0, b"")]).len(), 1);
    assert!(refused(&[global("size"), raw(b"f", b'0', 0, b"")]).contains("global"));
    let between = [raw_pax(&[("path", b"p")]), global("comment"), raw(b"f", b'0', 0, b"")];
    assert!(refused(&between).contains("global"));
}

#[test]
fn sparse_files_are_expanded() {
    let map = |name: &str, records: &[(&str, &[u8])], data: &[u8]| {
        let entries = unpacked(
            &archive(&[raw_pax(records), raw(name.as_bytes(), b'0', data.len() as u64, data)]),
            &Limits::default(),
        )?;
        Ok::<_, Error>(content(&entries[0]))
    };
    let v01: &[(&str, &[u8])] =
        &[("GNU.sparse.map", b"2,3,8,1"), ("GNU.sparse.size", b"10"), ("GNU.sparse.name", b"s")];
    assert_eq!(map("x", v01, b"abcd").unwrap(), b"\0\0abc\0\0\0d\0");
    let v00: &[(&str, &[u8])] = &[
        ("GNU.sparse.size", b"6"),
        ("GNU.sparse.numblocks", b"1"),
        ("GNU.sparse.offset", b"4"),
        ("GNU.sparse.numbytes", b"2"),
    ];
    assert_eq!(map("x", v00, b"ab").unwrap(), b"\0\0\0\0ab");
    let v10: &[(&str, &[u8])] = &[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"s"),
        ("GNU.sparse.realsize", b"5"),
    ];
    let mut data = b"1\n3\n2\n".to_vec();
    data.resize(512, 0);
    data.extend_from_slice(b"zz");
    assert_eq!(map("x", v10, &data).unwrap(), b"\0\0\0zz");
    let lies: &[(&str, &[u8])] = &[("GNU.sparse.map", b"2,3,8,1"), ("GNU.sparse.size", b"4")];
    assert!(map("x", lies, b"abcd").is_err());
    let huge: &[(&str, &[u8])] =
        &[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"1000000000000000")];
    assert!(matches!(map("x", huge, b"a"), Err(Error::Limit { .. })));
}

#[test]
fn one_spool_takes_several_archives() {
    let file = tempfile::tempfile().unwrap();
    let read = |name: &[u8], data: &[u8]| {
        let bytes = archive(&[raw(name, b'0', data.len() as u64, data)]);
        read_tar(&bytes[..], file.try_clone().unwrap(), &Limits::default()).unwrap()
    };
    let (one, two) = (read(b"a", b"first"), read(b"b", b"second"));
    assert_eq!((content(&one[0]), content(&two[0])), (b"first".to_vec(), b"second".to_vec()));
}

/// Paths from a small alphabet, so that some are parents of others.
fn any_path() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop_oneof![
            4 => "[a-c]{1,2}".prop_map(String::into_bytes),
            1 => prop::collection::vec(128..=255u8, 1..150),
            1 => "[a-z]{100,160}".prop_map(String::into_bytes),
        ],
        1..4,
    )
    .prop_map(|parts| parts.join(&b'/'))
}

fn any_kind() -> impl Strategy<Value = EntryKind> {
    let bytes = prop::collection::vec(any::<u8>(), 0..2000);
    prop_oneof![
        Just(EntryKind::Dir),
        bytes.prop_map(|b| EntryKind::File { size: b.len() as u64, content: Content::Bytes(b) }),
        prop::collection::vec(1..=255u8, 1..200).prop_map(|target| EntryKind::Symlink { target }),
        Just(EntryKind::Fifo),
        Just(EntryKind::Whiteout),
        Just(EntryKind::Opaque),
        (0..2_000_000u32, 0..2_000_000u32)
            .prop_map(|(major, minor)| EntryKind::CharDev { major, minor }),
    ]
}

prop_compose! {
    fn any_entry()(
        path in any_path(),
        kind in any_kind(),
        mode in 0..0o10000u32,
        owner in (any::<u32>(), any::<u64>()),
        mtime in 0..i64::MAX,
        xattrs in prop::collection::btree_map(
            "[a-z.]{1,20}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..50), 0..3),
    ) -> Entry {
        Entry { path, kind, mode, uid: owner.0.into(), gid: owner.1, mtime, xattrs }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_layer_is_read_as_it_was(mut entries in prop::collection::vec(any_entry(), 0..30)) {
        let mut seen = std::collections::HashSet::new();
        entries.retain(|e| seen.insert((e.path.clone(), e.is_marker())));
        let expected = order::normalise(entries.clone(), i64::MAX).unwrap();
        let (_, bytes) = packed(entries, Compression::None, 1);
        let back = unpacked(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(lines(&back), lines(&expected));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..4096), sealed in any::<bool>()) {
        if sealed && bytes.len() >= 512 {
            bytes[257..265].copy_from_slice(b"ustar\x0000");
            seal(&mut bytes[..512]);
        }
        let limits = Limits { bytes: 1 << 20, ..Limits::default() };
        let _ = unpacked(&bytes, &limits);
        let _ = LayerIndex::from_bytes(&bytes);
    }

    #[test]
    fn a_flipped_byte_is_read_without_a_panic(at in 0..20_000usize, with in any::<u8>()) {
        let entries = sample().into_iter().filter(|e| !e.path.starts_with(b"usr/bin")).take(40).collect();
        let (_, mut bytes) = packed(entries, Compression::None, 1);
        let at = at % bytes.len();
        bytes[at] = with;
        if at < bytes.len() / 512 * 512 {
            let block = at / 512 * 512;
            seal(&mut bytes[block..block + 512]);
        }
        let limits = Limits { bytes: 1 << 22, ..Limits::default() };
        let _ = unpacked(&bytes, &limits);
    }
}
