use mabuild_lang::platform::Platform;

use super::*;
use crate::graph::Builder;
use crate::report::ViewOptions;
use crate::report::testing::graph;

#[test]
fn every_text_fits_its_box() {
    let both = ["linux/amd64", "linux/arm/v7"].map(|p| Platform::parse(p).unwrap());
    let mut b = Builder::default();
    let long = "x".repeat(300);
    for name in ["a", "a-name-of-some-length", &long, &"界".repeat(40), ""] {
        b.thing(name.into(), ThingKind::Image, &both, vec![], vec![]);
    }
    let view = View::of(&b.build().unwrap(), &ViewOptions::default());
    let drawing = Drawing::of(&view, false);
    assert_eq!(drawing.width, WIDE);
    for face in &drawing.faces {
        assert!(name_width(&face.name) + 2 * PAD_X <= drawing.width, "{}", face.name);
        assert!(face.platforms.iter().all(|p| small_width(p) + 2 * PAD_X <= drawing.width));
    }
    assert!(drawing.faces[2].name.ends_with('…'));
    assert_eq!(drawing.faces[1].name, "a-name-of-some-length");
}

#[test]
fn platforms_are_wrapped_and_counted() {
    let list: Vec<String> =
        ["amd64", "arm64", "arm/v7", "386", "s390x"].map(str::to_owned).to_vec();
    let room = |text: &str| small_width(text);
    assert_eq!(wrap(&list, room("amd64 · arm64 · arm/v7 · 386 · s390x"), 3).len(), 1);
    assert_eq!(
        wrap(&list, room("amd64 · arm64 · +3"), 1),
        ["amd64 · arm64 · +3"],
        "the note fits on the last line"
    );
    assert_eq!(wrap(&list, room("amd64 · arm64"), 3), ["amd64 · arm64", "arm/v7 · 386", "s390x"]);
    assert!(wrap(&[], 100, 3).is_empty());
    assert_eq!(wrap(&list, 1, 2).len(), 2, "no room at all ends too");
}

#[test]
fn ways_become_paths() {
    let leg = |to, bend| Leg { to, bend };
    let legs = vec![leg((10, 0), false), leg((30, 40), true), leg((50, 40), false)];
    let piece = Piece { parent: None, line: 0, start: (0, 0), legs };
    assert_eq!(path(&piece), "M0,0L10,0C20,0 20,40 30,40L50,40");
}

#[test]
fn shapes_follow_the_order_of_the_view() {
    let view = View::of(&graph(), &ViewOptions::default());
    let drawing = Drawing::of(&view, true);
    let mut out = String::new();
    drawing.shapes(true, &mut out);
    let names: Vec<&str> =
        out.split("class=\"t\"").skip(1).map(|t| t.split(['>', '<']).nth(1).unwrap()).collect();
    assert_eq!(names, ["busybox", "other", "tools", "httpd"]);
    assert!(out.contains("<title>httpd copies from busybox</title>"), "{out}");
    assert!(out.contains("<title>tools is made from busybox</title>"), "{out}");
    assert_eq!(out.matches("class=\"f\"").count(), 1);
    let mut plain = String::new();
    drawing.shapes(false, &mut plain);
    assert!(!plain.contains("made from"));
}
