//! Inputs made to break the reader: none may panic, overflow a stack, or take long.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mabuild_lang::{Loaded, Vars, format, load};

use crate::{Memory, load_one, memory, rendered};

fn load_bytes(bytes: Vec<u8>) -> Loaded {
    let mut files = Memory::default();
    files.0.insert("mabuild.kdl".to_owned(), bytes);
    load("mabuild.kdl", &files, &Vars::default())
}

fn codes(loaded: &Loaded) -> Vec<&str> {
    loaded.diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn deep_nesting() {
    let text = format!("mabuild 1\n{}{}\n", "a {".repeat(10_000), "}".repeat(10_000));
    assert_eq!(codes(&load_one(&text)), ["mabuild::lang::nesting"]);
    let text = format!("mabuild 1\n{}", "image {".repeat(10_000));
    assert!(codes(&load_one(&text)).contains(&"mabuild::lang::brace"));
    // As deep as is allowed, through both parsers.
    for inner in ["x", "(t)x"] {
        let text = format!("mabuild 1\n{}{inner}{}\n", "a {".repeat(64), "}".repeat(64));
        assert_eq!(codes(&load_one(&text)), ["mabuild::lang::unknown-node"]);
    }
}

#[test]
fn deep_slashdash() {
    for text in ["/-a {".repeat(40) + &"}".repeat(40), "a /-{".repeat(40) + &"}".repeat(40)] {
        let start = Instant::now();
        let loaded = load_one(&format!("mabuild 1\n{text}\n"));
        assert_eq!(codes(&loaded), ["mabuild::lang::nesting"]);
        assert!(start.elapsed() < Duration::from_secs(2));
    }
    let many =
        format!("mabuild 1\n{}\n{}\n", "/-a\n".repeat(5000), "b".to_owned() + &" /-1".repeat(5000));
    assert_eq!(codes(&load_one(&many)), ["mabuild::lang::unknown-node"]);
}

#[test]
fn long_comments() {
    // The full parser needs a stack frame for each of these stars.
    let text = format!("mabuild 1\n/* {} */ (t)a\n", "* ".repeat(500_000));
    assert_eq!(codes(&load_one(&text)), ["mabuild::lang::unknown-node"]);
    let text = format!("mabuild 1\n{}{}\n", "/*".repeat(200_000), "*/".repeat(200_000));
    assert!(load_one(&text).diagnostics.is_empty());
}

#[test]
fn not_utf8() {
    let loaded = load_bytes(b"mabuild 1\nimage \"\xff\xfe\" {}\n".to_vec());
    assert_eq!(codes(&loaded), ["mabuild::lang::utf8"]);
    insta::assert_snapshot!("not-utf8", rendered(&loaded));
    let utf16: Vec<u8> = "mabuild 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(load_bytes([vec![0xff, 0xfe], utf16].concat()).has_errors());
    assert!(load_bytes(vec![0; 100_000]).has_errors());
}

#[test]
fn too_large() {
    let loaded = load_bytes(vec![b' '; 50 << 20]);
    assert_eq!(codes(&loaded), ["mabuild::lang::file"]);
    insta::assert_snapshot!("too-large", rendered(&loaded));
    assert!(format("x", &" ".repeat((16 << 20) + 1)).is_err());
}

#[test]
fn one_very_long_line_is_not_printed_whole() {
    let mut text = "mabuild 1; platforms \"linux/amd64\"; ".to_owned();
    for at in 0..20_000 {
        let _ = write!(text, "image \"i{at}\" {{ from \"nobody\" }}; ");
    }
    text.push_str("image \"i0\" { from \"scratch\" }");
    let mut loaded = load_one(&text);
    assert_eq!(loaded.diagnostics.len(), 20_001);
    loaded.diagnostics.drain(1..20_000);
    assert!(rendered(&loaded).len() < 20_000, "{}", rendered(&loaded).len());
}

#[test]
fn many_of_everything() {
    let start = Instant::now();
    let many = 20_000;
    let head = "mabuild 1\nplatforms \"linux/amd64\"\n";
    let texts = [
        format!("{head}image \"a\" {{ {} }}\n", "env A=\"1\"; ".repeat(many)),
        format!("{head}image \"a\" {{ env {} }}\n", "A=\"1\" ".repeat(many)),
        format!("{head}image \"a\" {{ from \"scratch\"; tags {} }}\n", "\"x\" ".repeat(many)),
        format!(
            "{head}image \"a\" {{ from \"scratch\"; platforms {} }}\n",
            "\"linux/arm\" ".repeat(many)
        ),
        format!("{head}{}", "let x \"{{x}}\"\n".repeat(many)),
        format!("{head}{}", "base \"x\n".repeat(many)),
        format!("{head}{}", "base \"x\" {\n".repeat(many)),
        format!("{head}{}", "}\n".repeat(many)),
        format!("{head}image \"a\" {{ from \"scratch\"; cmd \"{}\" }}\n", "{{x}}".repeat(many)),
        format!("{head}image \"a\" {{ from \"scratch\"; cmd \"{}\" }}\n", "{{".repeat(many)),
    ];
    for text in texts {
        let loaded = load_one(&text);
        let braces = text.contains("{{{{{{");
        assert!(!loaded.diagnostics.is_empty() || braces, "{}", &text[..200]);
    }
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn long_chains() {
    let count = 20_000;
    let mut text =
        "mabuild 1\nplatforms \"linux/amd64\"\nimage \"i0\" { from \"scratch\" }\n".to_owned();
    for at in 1..count {
        let _ = writeln!(text, "image \"i{at}\" {{ from \"i{}\" }}", at - 1);
    }
    let loaded = load_one(&text);
    assert!(loaded.diagnostics.is_empty());
    assert_eq!(loaded.config.images.len(), count);
    let ring = text.replace("from \"scratch\"", &format!("from \"i{}\"", count - 1));
    let loaded = load_one(&ring);
    assert_eq!(codes(&loaded), ["mabuild::lang::cycle"]);
    assert!(loaded.diagnostics[0].labels.len() <= 20);
}

#[test]
fn names_within_names_do_not_grow_without_bound() {
    let mut text = "mabuild 1\nplatforms \"linux/amd64\"\nlet x0 \"0123456789\"\n".to_owned();
    for at in 1..60 {
        let _ = writeln!(text, "let x{at} \"{}\"", format!("{{{{x{}}}}}", at - 1).repeat(10));
    }
    let loaded = load_one(&text);
    assert!(codes(&loaded).contains(&"mabuild::lang::interpolation"));
    // Each string stays below its own bound, all together do not below theirs.
    let mut text =
        format!("mabuild 1\nplatforms \"linux/amd64\"\nlet x \"{}\"\n", "y".repeat(60_000));
    let words = "\"{{x}}\" ".repeat(5_000);
    let _ = writeln!(text, "image \"a\" {{ from \"scratch\"; cmd {words} }}");
    let loaded = load_one(&text);
    assert!(codes(&loaded).contains(&"mabuild::lang::interpolation"));
}

#[test]
fn many_names_in_one_string() {
    for name in ["platform.os", "nothing"] {
        let words = format!("{{{{{name}}}}}\\t").repeat(100_000);
        let text = format!(
            "mabuild 1\nplatforms \"linux/amd64\"\nimage \"a\" {{ from \"scratch\"; cmd \"{words}\" }}\n"
        );
        let start = Instant::now();
        assert!(load_one(&text).diagnostics.len() <= 20);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}

#[test]
fn rendering_does_not_walk_the_file_for_each_problem() {
    let mut text = "mabuild 1\nplatforms \"linux/amd64\"\n".to_owned();
    text.push_str(&"// a line of a large file that says nothing\n".repeat(200_000));
    text.push_str(&"image \"a\" { from \"scratch\" }\n".repeat(300));
    let loaded = load_one(&text);
    assert_eq!(loaded.diagnostics.len(), 299);
    let start = Instant::now();
    assert!(rendered(&loaded).contains("200302"));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn reports_go_to_other_threads() {
    fn check<T: miette::Diagnostic + Send + Sync + 'static>(_: &T) {}
    let loaded = load_one("x");
    check(&mabuild_lang::report(&loaded.diagnostics[0], &loaded.sources));
}

#[test]
fn an_unclosed_brace_on_one_long_line() {
    let text = format!("mabuild 1; image \"a\" {{ {} ", "x { } ; ".repeat(200_000));
    let start = Instant::now();
    assert!(load_one(&text).has_errors());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn groups_within_groups() {
    let mut text = "mabuild 1\nplatforms \"linux/amd64\"\nimage \"i\" { from \"scratch\" }\ngroup \"g0\" { image \"i\" }\n".to_owned();
    for at in 1..20_000 {
        let _ = writeln!(text, "group \"g{at}\" {{ group \"g{}\" }}", at - 1);
    }
    let loaded = load_one(&text);
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    assert_eq!(loaded.config.groups[19_999].members.len(), 1);
}

#[test]
fn files_that_include_each_other() {
    let files = memory(&[
        ("a.kdl", "mabuild 1\ninclude \"b.kdl\" \"./a.kdl\" \"x/../b.kdl\""),
        ("b.kdl", "include \"a.kdl\" \"*.kdl\""),
    ]);
    let loaded = load("a.kdl", &files, &Vars::default());
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    assert_eq!(loaded.sources.iter().count(), 2);
}

#[test]
fn every_cut_of_a_good_file() {
    let text = include_str!("whole.kdl");
    for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)).step_by(17) {
        let loaded = load_one(&text[..at]);
        let _ = rendered(&loaded);
        let loaded = load_one(&text[at..]);
        let _ = rendered(&loaded);
    }
}

/// Lists that took quadratic time: variables of one node, picks of a matrix, references to parts of
/// a large matrix. Each takes far less than a second; the bound leaves room for slow machines.
#[test]
fn long_lists_take_no_quadratic_time() {
    let head = "mabuild 1\nplatforms \"linux/amd64\"\n";
    let words = |count: usize| (0..count).map(|at| format!("\"{at}\" ")).collect::<String>();
    let large = format!("matrix {{ a {}; b {}", words(200), words(200));
    let env: String = (0..60_000).map(|at| format!("A{at}=\"x\" ")).collect();
    let picks: String =
        (0..20_000).map(|at| format!("exclude a=\"{}\" b=\"{}\"\n", at % 200, at / 200)).collect();
    let users: String = (0..2000)
        .map(|at| format!("image \"i{at}\" {{ from \"p\" a=\"{}\" }}\n", at % 200))
        .collect();
    for text in [
        format!("{head}image \"e\" {{ from \"scratch\"; env {env} }}\n"),
        format!("{head}image \"m\" {{ from \"scratch\"; {large}\n{picks} }} }}\n"),
        format!("{head}image \"p\" {{ from \"scratch\"; {large} }} }}\n{users}"),
    ] {
        let began = std::time::Instant::now();
        load_bytes(text.into_bytes());
        assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    }
}
