use super::*;
use crate::archive::{Tar, gzip};
use crate::tree::SHOWN;
use serde_json::json;

/// An archive with the layout of an image of these layers.
fn image(layers: &[Vec<u8>], config: Value) -> tempfile::NamedTempFile {
    let mut tar = Tar::default();
    let mut blob = |bytes: &[u8]| {
        let hex = sha256(bytes);
        tar = std::mem::take(&mut tar).file(&format!("blobs/sha256/{hex}"), 0o644, bytes);
        json!({"digest": format!("sha256:{hex}"), "size": bytes.len(), "mediaType": "x+gzip"})
    };
    let packed: Vec<Value> = layers.iter().map(|layer| blob(&gzip(layer, 1))).collect();
    let ids: Vec<String> = layers.iter().map(|l| format!("sha256:{}", sha256(l))).collect();
    let mut config = config;
    config["rootfs"] = json!({"diff_ids": ids});
    let config = blob(config.to_string().as_bytes());
    let manifest = blob(json!({"config": config, "layers": packed}).to_string().as_bytes());
    let index = json!({"manifests": [manifest]});
    let tar = tar.file("index.json", 0o644, index.to_string());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tar.plain()).unwrap();
    file
}

fn files(layers: &[Tar]) -> String {
    let layers: Vec<Vec<u8>> = layers.iter().map(|tar| tar.clone().plain()).collect();
    let flat = Flat::of_archive(image(&layers, json!({})).path()).unwrap();
    let text = flat.show(&[]);
    let (files, _) = text.split_once("config\n").unwrap();
    files.strip_prefix("files on nothing\n/ d 0755 0:0\n").unwrap().to_owned()
}

fn layer() -> Tar {
    Tar::default()
}

#[test]
fn an_entry_of_every_kind_is_shown() {
    let tar = layer()
        .dir("d/", 0o1777)
        .owned("./d/a b", 0o4755, (7, 8), "text\n")
        .file("d/long", 0o600, vec![b'x'; SHOWN + 1])
        .symlink("d/s", "a b")
        .entry("d/p", b'6', 0o644, (0, 0), "", &[]);
    let long = sha256(&vec![b'x'; SHOWN + 1]);
    let expected = format!(
        "/d d 1777 0:0\n/d/a\\x20b - 4755 7:8 \"text\\n\"\n/d/long - 0600 0:0 401 bytes {}\n\
         /d/p p 0644 0:0\n/d/s l 0777 0:0 -> a\\x20b\n",
        &long[..16]
    );
    assert_eq!(files(&[tar]), expected);
}

#[test]
fn a_whiteout_takes_away_what_lies_below_and_nothing_of_its_own_layer() {
    let below =
        layer().dir("a/", 0o755).file("a/old", 0o644, "").file("b", 0o644, "").dir("c/", 0o755);
    let above = layer()
        .file("a/new", 0o644, "")
        .file("a/.wh..wh..opq", 0o644, "")
        .file("b", 0o600, "")
        .file(".wh.b", 0o644, "")
        .file(".wh.c", 0o644, "");
    let text = files(&[below, above]);
    assert_eq!(text, "/a d 0755 0:0\n/a/new - 0644 0:0 \"\"\n/b - 0600 0:0 \"\"\n");
}

#[test]
fn a_whiteout_of_a_folder_takes_all_that_is_in_it_and_no_neighbour() {
    let below = layer().file("a/b/c", 0o644, "").file("ab", 0o644, "").file("a.b", 0o644, "");
    let text = files(&[below, layer().file(".wh.a", 0o644, "")]);
    assert_eq!(text, "/a.b - 0644 0:0 \"\"\n/ab - 0644 0:0 \"\"\n");
}

#[test]
fn a_file_in_place_of_a_folder_and_a_folder_in_place_of_a_file() {
    let below = layer().file("x/inside", 0o644, "").file("y", 0o644, "");
    let above = layer().file("x", 0o644, "").dir("y/", 0o700).file("y/z", 0o644, "");
    let text = files(&[below, above]);
    assert_eq!(text, "/x - 0644 0:0 \"\"\n/y d 0700 0:0\n/y/z - 0644 0:0 \"\"\n");
}

#[test]
fn a_folder_that_is_told_again_keeps_what_is_in_it() {
    let text = files(&[layer().file("x/inside", 0o644, ""), layer().dir("x/", 0o700)]);
    assert_eq!(text, "/x d 0700 0:0\n/x/inside - 0644 0:0 \"\"\n");
}

#[test]
fn hard_links_are_told_over_layers_until_one_is_replaced() {
    let below = layer().file("a", 0o644, "1").hardlink("b", "a");
    let above = layer().hardlink("c", "b");
    let last = layer().file("b", 0o644, "1");
    let text = files(&[below, above, last]);
    assert_eq!(
        text,
        "/a - 0644 0:0 \"1\" hard links: 2 at /a\n/b - 0644 0:0 \"1\"\n\
         /c - 0644 0:0 \"1\" hard links: 2 at /a\n"
    );
}

#[test]
fn of_an_image_on_a_base_only_the_difference_is_shown() {
    let base =
        layer().file("big", 0o755, vec![0; 5000]).file("gone", 0o644, "").file("same", 0o644, "");
    let above = layer().file("copy", 0o644, vec![0; 5000]).file(".wh.gone", 0o644, "");
    let base = base.plain();
    let flat = |layers: &[Vec<u8>]| Flat::of_archive(image(layers, json!({})).path()).unwrap();
    let bases = [
        ("other", flat(&[layer().dir("x/", 0o755).plain()])),
        ("base", flat(std::slice::from_ref(&base))),
    ];
    let text = flat(&[base, above.plain()]).show(&bases);
    assert!(
        text.starts_with("files on base\n/copy - 0644 0:0 as /big\n/gone gone\nconfig\n"),
        "{text}"
    );
}

#[test]
fn records_of_pax_may_hold_any_bytes() {
    let record = |name: &[u8], value: &[u8]| {
        let body = [b" ", name, b"=", value, b"\n"].concat();
        [format!("{}", body.len() + 2).as_bytes(), &body].concat()
    };
    let records = [
        record(b"SCHILY.xattr.user.x", b"1\n2=3\0\xff"),
        record(b"uid", b"4000000000"),
        record(b"path", b"d/\xe4"),
    ];
    let tar =
        layer().entry("h", b'x', 0o644, (0, 0), "", &records.concat()).file("short", 0o644, "");
    assert_eq!(
        files(&[tar]),
        "/d d 0755 0:0\n/d/\\xe4 - 0644 4000000000:0 \"\" user.x=1\\n2=3\\x00\\xff\n"
    );
}

#[test]
fn config_and_history_are_shown_without_times_and_in_order() {
    let config = json!({
        "os": "linux", "architecture": "amd64", "created": "2024-01-02T03:04:05Z",
        "config": {"User": "", "Labels": {"b": "2", "a": "1"}, "Env": ["B=1", "A=2"], "OnBuild": null},
        "history": [{"created_by": "RUN a\n\tb", "comment": "c"}, {"created_by": "ENV", "empty_layer": true}],
    });
    let flat = Flat::of_archive(image(&[layer().plain()], config).path()).unwrap();
    let text = flat.show(&[]);
    let (_, text) = text.split_once("config\n").unwrap();
    assert_eq!(
        text,
        "os \"linux\"\narchitecture \"amd64\"\nEnv [\"B=1\",\"A=2\"]\nLabels {\"a\":\"1\",\"b\":\"2\"}\n\
         history\nlayer [c] RUN a\\n\\tb\nempty [] ENV\n"
    );
}

#[test]
fn an_image_that_contradicts_itself_is_refused() {
    let history = json!({"history": [{"created_by": "a"}, {"created_by": "b"}]});
    let file = image(&[layer().plain()], history);
    assert!(Flat::of_archive(file.path()).unwrap_err().contains("1 layers"));
    let file = image(&[layer().plain()], json!({}));
    let mut bytes = std::fs::read(file.path()).unwrap();
    let at = bytes.windows(9).position(|w| w == b"diff_ids\"").unwrap();
    bytes[at] = b'D';
    std::fs::write(file.path(), bytes).unwrap();
    assert!(Flat::of_archive(file.path()).unwrap_err().contains("other bytes"));
}

#[test]
fn archives_that_are_cut_or_damaged_are_refused() {
    let whole = layer().file("a", 0o644, "content").plain();
    let read = |bytes: &[u8]| tar::read(bytes).collect::<Result<Vec<_>, _>>().map(|all| all.len());
    assert_eq!(read(&whole), Ok(1));
    assert!(read(&whole[..700]).unwrap_err().contains("middle"));
    assert!(read(&whole[..100]).unwrap_err().contains("middle"));
    let mut damaged = whole;
    damaged[0] = b'b';
    assert!(read(&damaged).unwrap_err().contains("checksum"));
}

#[test]
fn differences_are_the_fewest_lines() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(difference("a\nb\nc\n", "a\nx\nc\nd\n").unwrap(), "- b\n+ x\n+ d\n");
    assert_eq!(difference("", "a\n").unwrap(), "+ a\n");
    // Order matters, as it does in histories.
    assert_eq!(difference("a\nb\n", "b\na\n").unwrap(), "- a\n+ a\n");
}
