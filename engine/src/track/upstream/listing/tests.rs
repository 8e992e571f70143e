use super::*;

const AT: &str = "https://h.example/alpine/v3.20/releases/x86_64/";

fn names(text: &str, at: &str) -> Vec<String> {
    let listing = Listing::read(text, at).unwrap();
    listing.entries().map(|(name, _)| name.to_owned()).collect()
}

fn date(text: &str, name: &str) -> Option<String> {
    let listing = Listing::read(text, AT).unwrap();
    let dated = listing.get(name).unwrap().dated?;
    Some(jiff::Timestamp::from_second(dated).unwrap().to_string())
}

#[test]
fn indexes_of_servers_are_read() {
    let apache = r#"<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><head><title>Index of /alpine/v3.20</title></head><body><table>
<tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/alpine/v3.20/releases/">Parent Directory</a></td><td>&nbsp;</td></tr>
<tr><td><a href="a-3.20.2.tar.gz">a-3.20.2.tar.gz</a></td><td align="right">2024-07-22 15:37  </td><td>3.4M</td></tr>
<tr><td><A class="x" HREF='a-3.20.3.tar.gz'>a-3.20..&gt;</A></td><td align="right">2024-09-06 11:20  </td></tr>
</table></body></html>"#;
    assert_eq!(names(apache, AT), ["a-3.20.2.tar.gz", "a-3.20.3.tar.gz"]);
    assert_eq!(date(apache, "a-3.20.2.tar.gz").unwrap(), "2024-07-22T15:37:00Z");
    assert_eq!(date(apache, "a-3.20.3.tar.gz").unwrap(), "2024-09-06T11:20:00Z");

    let nginx = "<html><body><h1>Index of /</h1><hr><pre><a href=\"../\">../</a>\n\
        <a href=\"netboot/\">netboot/</a>                 06-Sep-2024 11:21       -\n\
        <a href=\"a-3.20.3.tar.gz\">a-3.20.3.tar.gz</a>  06-Sep-2024 11:20    3587\n\
        </pre><hr></body></html>";
    assert_eq!(names(nginx, AT), ["a-3.20.3.tar.gz", "netboot"]);
    assert_eq!(date(nginx, "a-3.20.3.tar.gz").unwrap(), "2024-09-06T11:20:00Z");
    assert_eq!(date(nginx, "netboot").unwrap(), "2024-09-06T11:21:00Z");

    let lighttpd = "<html><tr class=\"d\"><td class=\"n\"><a href=\"../\">..</a>/</td><td>&nbsp;</td></tr>\
        <tr><td class=\"n\"><a href=\"a%2b1.tgz\">a+1.tgz</a></td><td class=\"m\">2024-Sep-06 11:20:57</td></tr>";
    assert_eq!(names(lighttpd, AT), ["a+1.tgz"]);
    assert_eq!(date(lighttpd, "a+1.tgz").unwrap(), "2024-09-06T11:20:57Z");

    let python = "<!DOCTYPE HTML>\n<ul>\n<li><a href=\"a&amp;b%20c\">x</a></li>\n<li><a href=\"ok\">ok</a></li></ul>";
    assert_eq!(names(python, AT), ["a&b c", "ok"]);
    assert_eq!(date(python, "ok"), None);
}

#[test]
fn only_what_is_in_the_folder_counts() {
    let page = format!(
        "<p><!-- <a href=hidden> --><a href={AT}whole><a href='//h.example/alpine/v3.20/releases/x86_64/same'>\
         <a href=/alpine/v3.20/releases/x86_64/rooted><a href=./dot><a href=sub/deeper>\
         <a href=https://evil.example/alpine/v3.20/releases/x86_64/foreign><a href=../../up>\
         <a href=..%2f..%2fetc%2fpasswd><a href=.><a href=..><a href='javascript:alert(1)'>\
         <a href='mailto:a@b'><a href=%00nul><a href='a b\\c'><a name=x><a><abbr href=abbr>\
         <a href=x86_64><a href='folder/?x=1#y'><a href=\"&#x74;wice\"><a href=twice><a href=http://[>"
    );
    assert_eq!(names(&page, AT), ["dot", "folder", "rooted", "same", "twice", "whole", "x86_64"]);
    // An index may be served at the name of its folder without a slash.
    let page = "<a href=/alpine/v3.20/one><a href=two>";
    assert_eq!(names(page, "https://h.example/alpine/v3.20"), ["one", "two"]);
}

#[test]
fn pages_that_never_end_are_read_once() {
    for piece in
        ["<", "<a ", "<a href", "<a href=\"", "<!--", "<a href='x", "&", "<a href=&#", "<a x="]
    {
        let page = format!("<p>{}", piece.repeat(1 << 18));
        let before = std::time::Instant::now();
        let _any = Listing::read(&page, AT);
        assert!(before.elapsed().as_secs() < 20, "{piece}");
    }
    let many: String = (0..400_000).map(|n| format!("<a href=\"f{n}\">x</a> y\n")).collect();
    assert!(many.len() > 9 << 20);
    assert!(Listing::read(&format!("<p>{many}"), AT).unwrap_err().contains("more than 100000"));
    let same = "<a href=\"same\">x</a> 2024-09-06 11:20\n".repeat(50_000);
    assert_eq!(names(&format!("<p>{same}"), AT), ["same"]);
}

#[test]
fn lists_of_names_are_read() {
    let text =
        "total 3\n-rw-r--r-- 1 0 0 3587 Sep  6 11:20 a-1.tgz\nabcdef *./dir/b-2.tgz\r\nc-3/\n";
    assert_eq!(names(text, "https://h/list"), ["3", "a-1.tgz", "b-2.tgz", "c-3"]);
    for (text, at) in [
        ("", AT),
        ("{\"message\": \"not found\"}", AT),
        ("[]", AT),
        ("<html><body>Sorry, <a href=\"/\">home</a></body></html>", AT),
        ("<?xml version=\"1.0\"?><ListBucketResult><Key>a</Key></ListBucketResult>", AT),
        ("a: b", "https://h/x.yaml"),
    ] {
        let error = Listing::read(text, at).unwrap_err();
        assert!(error.contains("no index of a folder"), "{text} {error}");
    }
}

#[test]
fn releases_of_alpine_are_read() {
    let text = format!(
        "---\n- branch: v3.20\n  arch: x86_64\n  version: 3.20.3\n  flavor: alpine-minirootfs\n  \
         file: alpine-minirootfs-3.20.3-x86_64.tar.gz\n  iso: alpine-minirootfs-3.20.3-x86_64.tar.gz\n  \
         desc: |\n    Minimal root filesystem.\n    For use in containers\n  nested: {{file: evil, version: [9]}}\n  \
         date: 2024-09-06\n  time: 11:20:57\n  size: 3587\n  sha256: {}\n  sha512: {}\n\
         - {{file: second.iso, version: \"3.20\", sha256: {}}}\n- file: third\n  date: tomorrow\n  sha512: xyz\n",
        "a".repeat(64),
        "B".repeat(128),
        "c".repeat(64)
    );
    let listing = Listing::read(&text, "https://h/latest-releases.yaml?x=.txt").unwrap();
    let names: Vec<_> = listing.entries().map(|(name, _)| name).collect();
    assert_eq!(names, ["alpine-minirootfs-3.20.3-x86_64.tar.gz", "second.iso", "third"]);
    let first = listing.get(names[0]).unwrap();
    assert_eq!(first.version.as_deref(), Some("3.20.3"));
    assert_eq!(first.digest.unwrap().to_string(), format!("sha512:{}", "b".repeat(128)));
    assert_eq!(first.dated, Some(1_725_621_657));
    let second = listing.get("second.iso").unwrap();
    assert_eq!(second.digest.unwrap().to_string(), format!("sha256:{}", "c".repeat(64)));
    assert_eq!(listing.get("third"), Some(&Entry::default()));
    assert!(Listing::read("--- [", AT).unwrap_err().contains("no YAML"));
    let deep = format!("--- {}", "[".repeat(100_000));
    assert!(Listing::read(&deep, AT).is_err());
    let aliases = "---\n- &a {file: one, x: *a, version: 1}\n- *a\n";
    assert!(Listing::read(aliases, AT).unwrap().get("one").is_some());
}

#[test]
fn times_that_are_none_are_passed_over() {
    for text in [
        "",
        "2024-09-06",
        "2024-13-06 11:20",
        "06-Foo-2024 11:20",
        "2024-09-06 25:00",
        "1-2-3 4:5",
        "2024-09-06-1 11:20",
        "99999-01-01 00:00",
        "-- ::",
        "2024-09-06 11",
    ] {
        assert_eq!(dated(text), None, "{text}");
    }
    assert_eq!(dated("x 1970-01-01 00:00 3K"), Some(0));
    assert_eq!(dated("2024-02-30 1:1 2024-02-29 00:00"), Some(1_709_164_800));
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "[-<>aA=\"'&;#!:/?. \n\\[\\]{}*%hrefx0-9]{0,200}") {
        for at in [AT, "/srv/list.yaml", "https://h"] {
            for first in ["", "<", "---"] {
                if let Ok(listing) = Listing::read(&format!("{first}{text}"), at) {
                    assert!(listing.entries().all(|(name, _)| !name.contains('/')));
                }
            }
        }
    }
}
