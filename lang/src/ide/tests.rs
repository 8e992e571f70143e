use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixture::{MAIN, Texts, world};
use super::{Place, World};

const SERVICES: &str = r#"//- mabuild.kdl
mabuild 1
platforms "linux/amd64" "linux/arm/v7"
let suite "bookworm"
include "teams/*.kdl"
template "service" {
    label "suite" "{{suite}}"
    env PY="{{py}}"
}
base "alpine" {
    rootfs "https://x/{{version}}/{{platform.alpine}}.tar.gz" version="3.20"
}
group "all" { image "web[py=3.12]"; base "alpine" }
//- teams/web.kdl
image "web" {
    matrix { py "3.11" "3.12"; exclude py="3.11" }
    use "service"
    from "alpine"
    tags "{{py}}-{{suite}}"
}
image "api" {
    matrix { py "3"; suite "x" }
    from "web" py="3.12"
    use "service"
    dockerfile "api/Dockerfile"
}
image "lone" { from "api" }
"#;

/// The services with the cursor at the start of the nth place of a text.
fn at(needle: &str, nth: usize) -> super::fixture::Fixture {
    let (place, _) = SERVICES.match_indices(needle).nth(nth).unwrap();
    world(&format!("{}<|>{}", &SERVICES[..place], &SERVICES[place..]))
}

#[test]
fn definitions_cross_files_and_scopes() {
    assert_eq!(at("alpine\"\n    tags", 0).definition(), ["mabuild.kdl:9 alpine"]);
    assert_eq!(at("service\"\n    from", 0).definition(), ["mabuild.kdl:5 service"]);
    assert_eq!(at("web[py", 0).definition(), ["teams/web.kdl:1 web"]);
    assert_eq!(at("py=3.12", 0).definition(), ["teams/web.kdl:2 py"]);
    assert_eq!(at("py=\"3.12", 0).definition(), ["teams/web.kdl:2 py"]);
    assert_eq!(at("py=\"3.11", 0).definition(), ["teams/web.kdl:2 py"]);
    // An axis hides the `let` in its image alone.
    assert_eq!(at("suite}}\"\n}", 0).definition(), ["mabuild.kdl:3 suite"]);
    // In a template it is what the images have that use it.
    assert_eq!(
        at("suite}}\"\n    env", 0).definition(),
        ["mabuild.kdl:3 suite", "teams/web.kdl:8 suite"]
    );
    assert_eq!(at("py}}\"\n}", 0).definition(), ["teams/web.kdl:2 py", "teams/web.kdl:8 py"]);
}

#[test]
fn paths_lead_to_files() {
    let path = at("api/Dockerfile", 0);
    let found = path.world.definition(&path.file, path.offset);
    assert_eq!(found, [Place { file: "teams/api/Dockerfile".into(), range: 0..0 }]);
    let include = at("teams/*", 0);
    let found = include.world.definition(&include.file, include.offset);
    assert_eq!(found, [Place { file: "teams/web.kdl".into(), range: 0..0 }]);
    assert!(at("https://x", 0).definition().is_empty());
}

#[test]
fn references_are_of_the_thing_and_not_of_the_word() {
    assert_eq!(
        at("web\" {", 0).references(),
        ["mabuild.kdl:12 web", "teams/web.kdl:1 web", "teams/web.kdl:9 web"]
    );
    assert_eq!(
        at("suite \"bookworm", 0).references(),
        ["mabuild.kdl:3 suite", "mabuild.kdl:6 suite", "teams/web.kdl:5 suite"]
    );
    // `suite` of the image `api` is read by the template, and not by the image `web`.
    assert_eq!(at("suite \"x", 0).references(), ["mabuild.kdl:6 suite", "teams/web.kdl:8 suite"]);
    assert!(at("bookworm", 0).references().is_empty());
}

#[test]
fn renaming_takes_all_files() {
    let texts = at("web\" {", 0).renamed("site").unwrap();
    assert!(texts[MAIN].contains("image \"site[py=3.12]\""));
    assert!(texts["teams/web.kdl"].contains("image \"site\" {"));
    assert!(texts["teams/web.kdl"].contains("from \"site\" py=\"3.12\""));
    assert!(texts.keys().eq(["mabuild.kdl", "teams/web.kdl"]));

    // Two axes and a `let` that one `{{…}}` of a template stands for go together.
    let texts = at("py \"3.11", 0).renamed("python").unwrap();
    assert!(texts[MAIN].contains("PY=\"{{python}}\"") && texts[MAIN].contains("web[python=3.12]"));
    let teams = &texts["teams/web.kdl"];
    for part in
        ["{ python \"3.11\"", "python=\"3.11\"", "{{python}}-", "{ python \"3\"", "\"web\" python="]
    {
        assert!(teams.contains(part), "{part} in {teams}");
    }
    assert!(!teams.contains("py \"") && !teams.contains("py="));
}

#[test]
fn a_renaming_that_would_break_something_is_refused() {
    let refused = |needle, nth, new: &str, why: &str| {
        let error = at(needle, nth).renamed(new).unwrap_err();
        assert!(error.contains(why), "{error}");
    };
    refused("web\" {", 0, "api", "taken by the image at teams/web.kdl:7");
    refused("web\" {", 0, "all", "taken by the group at mabuild.kdl:12");
    refused("web\" {", 0, "Web", "lower-case");
    refused("web\" {", 0, "", "lower-case");
    refused("web\" {", 0, "scratch", "empty image");
    refused("suite \"bookworm", 0, "py", "taken by the axis");
    refused("suite \"bookworm", 0, "platform", "meaning of its own");
    refused("py \"3.11", 0, "1x", "begins with a letter");
    refused("py \"3.11", 0, "only", "in `matrix`");
    refused("bookworm", 0, "trixie", "nothing");
    refused("platform.alpine", 0, "x", "nothing");
    // Templates have names of their own; so the same name is free there.
    assert!(at("service\" {", 0).renamed("web").is_ok());
    assert!(at("web\" {", 0).prepare_ok() && !at("bookworm", 0).prepare_ok());
}

#[test]
fn a_name_without_quotes_gets_them_where_it_needs_them() {
    let texts =
        world("template a<|> {}\nimage \"b\" { use a; use \"a\" }\n").renamed("3x").unwrap();
    assert_eq!(texts[MAIN], "template \"3x\" {}\nimage \"b\" { use \"3x\"; use \"3x\" }\n");
}

#[test]
fn hover_says_what_a_name_is() {
    let image = at("web\" py", 0).hover();
    for part in [
        "**image** `web` (teams/web.kdl:1)",
        "from `alpine`",
        "axis `py`: `3.11`, `3.12`",
        "platforms `linux/amd64`, `linux/arm/v7` (those of the file)",
        "tags `{{py}}-{{suite}}`",
    ] {
        assert!(image.contains(part), "{part} in {image}");
    }
    assert!(at("suite}}\"\n}", 0).hover().contains("value: `\"bookworm\"`"));
    assert!(at("py}}-", 0).hover().contains("values: `3.11`, `3.12`"));
    assert!(at("service\"\n    from", 0).hover().contains("used by `web`, `api`"));
    assert!(at("platform.alpine", 0).hover().contains("| `linux/arm/v7` | `armv7` |"));
    assert!(at("version}}", 0).hover().contains("`3.20`"));
    assert!(at("all\" {", 0).hover().contains("holds `web[py=3.12]`, `alpine`"));
}

#[test]
fn hover_says_what_a_word_means() {
    assert!(at("rootfs", 0).hover().contains("A published root file system archive."));
    assert!(at("version=", 0).hover().contains("what `{{version}}` stands for"));
    let platform = at("linux/arm/v7", 0).hover();
    for part in ["Debian: `armhf`", "Alpine: `armv7`", "`armv7l`", "arm-linux-gnueabihf"] {
        assert!(platform.contains(part), "{part} in {platform}");
    }
    let list = world("image \"a\" { platforms except=\"linux/amd64, linux/<|>arm64,x\" }");
    let hover = list.world.hover(MAIN, list.offset).unwrap();
    assert!(hover.markdown.contains("aarch64-linux-gnu"));
    assert_eq!(hover.range.end - hover.range.start, "linux/arm64".len() as u32);
    assert!(
        world("image a { env A<|>=\"b\" }\n").hover().contains("Variables of the environment.")
    );
    assert_eq!(world("image a { run b<|>=\"c\" }\n").hover(), "");
    assert_eq!(world("// image<|>\n").hover(), "");
    assert_eq!(world("nonsense<|> 1\n").hover(), "");
}

#[test]
fn what_moves_is_known_to_the_editor() {
    let base = |inner: &str| world(&format!("base \"b\" {{ {inner} }}\n"));
    let offered = base("alpine \"3.20\" {}; <|>").labels();
    for name in ["follow", "hold", "pin"] {
        assert!(offered.contains(&name.to_owned()), "{name} in {offered:?}");
    }
    assert!(!offered.contains(&"alpine".to_owned()));
    assert_eq!(base("alpine \"3.20\" { <|> }").labels(), ["include", "repository"]);
    assert_eq!(
        base("debian \"x\" { variant <|> }").labels(),
        ["extract", "minbase", "standard", "minideb"]
    );
    assert_eq!(base("follow \"di<|>\"").chosen("digest"), "base \"b\" { follow \"digest\" }");
    let version = "version".to_owned();
    assert!(base("rootfs \"{{<|>}}\"; follow \"3.*\"").labels().contains(&version));
    assert!(!base("rootfs \"{{<|>}}\"; follow \"digest\"").labels().contains(&version));
    assert!(base("rootfs \"{{vers<|>ion}}\"; follow \"3.*\"").hover().contains("`3.*`"));
    assert!(base("alp<|>ine \"3.20\"").hover().contains("Packages of an Alpine archive"));
    assert!(base("hold unt<|>il=\"2026-12-24\"").hover().contains("the day it moves again"));
    let watch = world("image \"a\" { watch \"packages\" only=\"<|>\" }\n");
    assert_eq!(watch.labels(), ["security"]);
}

#[test]
fn nodes_are_offered_where_they_may_stand() {
    let top = world("mabuild 1\n<|>\n").labels();
    assert!(top.contains(&"image".to_owned()) && !top.contains(&"mabuild".to_owned()));
    assert!(!top.contains(&"from".to_owned()));
    let image = world("image \"a\" {\n    from \"x\"\n    <|>\n").labels();
    assert!(image.contains(&"steps".to_owned()) && !image.contains(&"from".to_owned()));
    // The node that is being typed is no reason to leave it out.
    assert!(world("image \"a\" { fr<|>om \"x\" }").labels().contains(&"from".to_owned()));
    assert_eq!(world("image \"a\" { st<|> }").chosen("steps"), "image \"a\" { steps }");
    let matrix = world("image \"a\" { matrix { <|> } }").labels();
    assert_eq!(matrix, ["exclude", "only"]);
    assert!(world("nonsense { <|> }").labels().is_empty());
    assert!(world("image \"a\" { // st<|>\n}").labels().is_empty());
}

#[test]
fn snippets_come_with_new_nodes_alone() {
    let new = world("im<|>");
    let found = new.world.complete(&new.file, new.offset);
    let item = found.items.iter().find(|item| item.label == "image").unwrap();
    assert_eq!(item.snippet.as_deref(), Some("image \"${1:NAME}\" {\n\t$0\n\\}"));
    let old = world("im<|> \"a\" {}");
    let found = old.world.complete(&old.file, old.offset);
    assert!(found.items.iter().all(|item| item.snippet.is_none()));
}

const NAMES: &str = "mabuild 1\nlet suite \"x\"\nbase \"alpine\" {}\nbase \"debian\" {}\ntemplate \"svc\" {}\nimage \"py\" { matrix { v \"1\" \"2\" } }\n";

#[test]
fn names_are_offered_in_broken_texts() {
    let chosen = |text: &str, label: &str| world(&format!("{NAMES}{text}")).chosen(label);
    assert_eq!(chosen("image \"a\" { from <|>", "alpine"), "image \"a\" { from \"alpine\"");
    assert_eq!(chosen("image \"a\" { from alp<|>", "alpine"), "image \"a\" { from \"alpine\"");
    assert_eq!(chosen("image \"a\" {\n from \"al<|>\n}", "alpine"), " from \"alpine\"");
    assert_eq!(chosen("image \"a\" {\n from \"a<|>b\"\n}", "alpine"), " from \"alpine\"");
    assert_eq!(chosen("image \"a\" {\n use \"<|>\"\n", "svc"), " use \"svc\"");
    assert_eq!(
        chosen("image \"a\" { steps { copy \"x\" \"y\" from=<|>", "py"),
        "image \"a\" { steps { copy \"x\" \"y\" from=\"py\""
    );
    let from = world(&format!("{NAMES}image \"a\" {{ from \"<|>\" }}")).labels();
    assert_eq!(from, ["alpine", "debian", "py", "scratch"]);
    assert_eq!(
        chosen("image \"a\" { named-context n \"node:al<|>\"", "alpine"),
        "image \"a\" { named-context n \"node:alpine\""
    );
    let copy = world(&format!("{NAMES}image \"a\" {{ steps {{ copy x y from=\"<|>\" }} }}"));
    assert_eq!(copy.labels(), ["alpine", "debian", "py"]);
}

#[test]
fn what_the_language_gives_a_value_is_offered_and_told() {
    let labels = world("let a \"{{<|>\"\n").labels();
    assert_eq!(labels, ["a", "git.commit", "git.describe", "date"]);
    assert!(world("let a \"{{da<|>te}}\"\n").hover().contains("today in UTC"));
    assert!(world("let a \"{{git.commit<|>}}\"\n").hover().contains("the commit of the folder"));
    // Only what is known at the place is told.
    assert!(!world("image a { tags \"{{version<|>}}\" }\n").hover().contains("rootfs"));
}

#[test]
fn variants_in_brackets_are_names_of_their_own() {
    let matrix = "image py { matrix { version \"1\" \"2\"; flavour \"slim\" } }\n";
    let chosen = |text: &str, label: &str| world(&format!("{matrix}{text}")).chosen(label);
    assert_eq!(
        chosen("group g { image \"py[<|>]\" }", "version=2"),
        "group g { image \"py[version=2]\" }"
    );
    assert_eq!(
        chosen("image a { from \"py[1, fl<|>\"", "flavour=slim"),
        "image a { from \"py[1, flavour=slim\""
    );
    assert_eq!(
        chosen("image a { from \"py[version=<|>9,slim]\" }", "2"),
        "image a { from \"py[version=2,slim]\" }"
    );
    assert_eq!(
        chosen("image a { from \"py[slim]\" <|>", "version"),
        "image a { from \"py[slim]\" version="
    );
    let of_axis = world(&format!("{matrix}image a {{ from \"py[slim]\" vers<|>ion=\"1\" }}\n"));
    assert_eq!(of_axis.definition(), ["mabuild.kdl:1 version"]);
    let node = world(&format!("{matrix}image a {{ named-context n \"node:p<|>y[1]\" }}\n"));
    assert_eq!(node.definition(), ["mabuild.kdl:1 py"]);
    // The name before an interpolated value is a use too.
    let renamed =
        world("image p<|>y { matrix { v 1 } }\nimage a { matrix { v 1 }; from \"py[v={{v}}]\" }\n");
    assert!(renamed.renamed("python").unwrap()[MAIN].contains("from \"python[v={{v}}]\""));
}

#[test]
fn an_axis_may_be_called_version() {
    let text = "image a { matrix { v<|> \"1\" }; tags \"{{v}}\" }\n";
    let renamed = world(text).renamed("version").unwrap();
    assert_eq!(renamed[MAIN], "image a { matrix { version \"1\" }; tags \"{{version}}\" }\n");
    let text = "image a { matrix { version \"1\" }; tags \"{{ver<|>sion}}\" }\n";
    assert!(world(text).hover().contains("**axis** `version`"));
    assert!(world(text).renamed("version").unwrap().values().all(|text| text.contains("version")));
    // A `let` that is renamed with an axis may not.
    let both = "let v 1\ntemplate t { tags \"{{v}}\" }\nimage a { use t; matrix { v<|> 1 } }\nimage b { use t }\n";
    assert!(world(both).renamed("version").unwrap_err().contains("meaning of its own"));
}

#[test]
fn of_templates_the_one_that_counts_is_told() {
    // `a` uses `b` and counts more, though `b` is named last.
    let text =
        "template a { use b; tags from-a }\ntemplate b { tags from-b }\nimage <|>i { use a b }\n";
    assert!(world(text).hover().contains("tags `from-a`"));
}

#[test]
fn dockerfiles_are_told_as_they_are_written() {
    let files = "//- mabuild.kdl\ninclude \"x/a.kdl\"\nimage b { dockerfile \"b/{{image.name}}\" }\n/- image c { dockerfile no }\n//- x/a.kdl\nimage a { dockerfile \"../Dockerfile\" }\n";
    let mut found: Vec<String> = world(files).world.dockerfiles().collect();
    found.sort();
    assert_eq!(found, ["Dockerfile", "b/{{image.name}}"]);
}

#[test]
fn axes_are_offered_with_their_values() {
    let labels = |text: &str| world(&format!("{NAMES}{text}")).labels();
    assert!(labels("image \"a\" { from \"py\" <|> }").contains(&"v".to_owned()));
    assert_eq!(labels("image \"a\" { from \"py\" v=\"<|>\" }"), ["1", "2"]);
    assert_eq!(labels("image \"a\" { matrix { w \"8\"; only <|> } }"), ["w"]);
    assert_eq!(labels("image \"a\" { matrix { w \"8\"; only w=<|> } }"), ["8"]);
}

#[test]
fn properties_words_and_platforms_are_offered() {
    let copy = world("image \"a\" { steps { copy \"x\" \"y\" mode=\"1\" <|> } }").labels();
    assert_eq!(copy, ["from", "chown"]);
    assert_eq!(
        world("image \"a\" { mode \"<|>\" }").labels(),
        ["auto", "emulate", "cross", "native"]
    );
    assert_eq!(world("image \"a\" { mode <|> }").chosen("cross"), "image \"a\" { mode \"cross\" }");
    let platforms = world("platforms \"linux/amd64\" \"<|>\"\n").labels();
    assert!(!platforms.contains(&"linux/amd64".to_owned()));
    assert!(platforms.contains(&"linux/arm64".to_owned()));
    assert_eq!(
        world("image \"a\" { platforms except=\"linux/386,<|>,x\" }").chosen("linux/arm64"),
        "image \"a\" { platforms except=\"linux/386,linux/arm64,x\" }"
    );
    assert!(world("image \"a\" { from \"b\"<|> }").labels().is_empty());
    assert!(world("image \"a\" { tags \"<|>\" }").labels().is_empty());
}

#[test]
fn braces_offer_what_has_a_value() {
    let text = format!("{NAMES}image \"a\" {{ matrix {{ w \"8\" }}; tags \"x-{{{{<|>\"");
    let labels = world(&text).labels();
    for name in ["suite", "w", "platform.debian", "image.name"] {
        assert!(labels.contains(&name.to_owned()), "{name} in {labels:?}");
    }
    assert!(!labels.contains(&"v".to_owned()) && !labels.contains(&"version".to_owned()));
    assert!(world(&text).chosen("w").ends_with("tags \"x-{{w}}\""));
    let closed = format!("{NAMES}let y \"{{{{ s<|>u }}}}\"\n");
    assert_eq!(world(&closed).chosen("suite"), "let y \"{{ suite }}\"");
    assert_eq!(world(&closed).labels(), ["suite", "y", "git.commit", "git.describe", "date"]);
    assert!(world("let a \"{{{{<|>\"\n").labels().is_empty());
    let base = world("base \"b\" { rootfs \"x/{{<|>}}\" version=\"1\" }").labels();
    assert!(base.contains(&"version".to_owned()));
}

#[test]
fn outlines_and_folds() {
    let fixture = at("web\" {", 0);
    let symbols = fixture.world.symbols("teams/web.kdl");
    let names: Vec<&str> = symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    assert_eq!(names, ["web", "api", "lone"]);
    assert_eq!(symbols[0].detail, "image");
    assert_eq!(symbols[0].children[0].name, "matrix");
    assert_eq!(symbols[0].children[0].children[0].name, "py");
    let text = "// a\n// b\nimage \"a\" {\n}\nimage \"b\" { }\n/* one line */\n";
    let folds = world(text).world.folds(MAIN);
    let folded: Vec<&str> =
        folds.iter().map(|f| &text[f.range.start as usize..f.range.end as usize]).collect();
    assert_eq!(folded, ["\n", "// a\n// b"]);
}

#[test]
fn a_file_is_read_again_when_its_text_changed() {
    let fixture = at("web\" {", 0);
    let mut world = fixture.world;
    let mut texts = fixture.texts;
    let before = world.files.clone();
    texts.0.insert("teams/new.kdl".to_owned(), "image \"new\" { from \"web\" }\n".to_owned());
    world.update(MAIN, &texts);
    assert!(world.contains("teams/new.kdl"));
    for file in &before {
        let now = &world.files[world.paths[&file.path]];
        assert!(std::sync::Arc::ptr_eq(file, now), "{} was read again", file.path);
    }
    texts.0.remove("teams/web.kdl");
    world.update(MAIN, &texts);
    assert!(
        !world.contains("teams/web.kdl")
            && world.declared("web", &[crate::schema::Noun::Image]).next().is_none()
    );
}

#[test]
fn rings_end() {
    let ring = world(
        "template \"a\" { use \"b\"; label \"x\" \"{{<|>y}}\" }\ntemplate \"b\" { use \"a\" }\nimage \"i\" { from \"i\"; use \"a\" }\n",
    );
    assert!(ring.definition().is_empty());
    assert!(ring.hover().contains("Labels of the image."));
    let files =
        "//- mabuild.kdl\ninclude \"a.kdl\"\n//- a.kdl\ninclude \"mabuild.kdl\"\nlet <|>x 1\n";
    assert_eq!(world(files).definition(), ["a.kdl:2 x"]);
}

/// Asks everything of a place.
fn ask(world: &World, path: &str, text: &str, offset: u32) {
    let inside = |range: &std::ops::Range<u32>| {
        assert!(range.start <= range.end, "{range:?}");
        assert!(
            text.get(range.start as usize..range.end as usize).is_some(),
            "{range:?} of {text}"
        );
    };
    let places = |places: &[Place]| {
        for place in places.iter().filter(|place| &*place.file == path) {
            inside(&place.range);
        }
    };
    if let Some(hover) = world.hover(path, offset) {
        inside(&hover.range);
    }
    let completions = world.complete(path, offset);
    inside(&completions.replace);
    if text.is_char_boundary(offset as usize) && !completions.items.is_empty() {
        let replace = &completions.replace;
        assert!(replace.start <= offset && offset <= replace.end, "{replace:?} is not at {offset}");
    }
    places(&world.definition(path, offset));
    places(&world.references(path, offset, true));
    places(&world.prepare_rename(path, offset).into_iter().collect::<Vec<_>>());
    if let Ok(edits) = world.rename(path, offset, "other") {
        let found: Vec<Place> = edits.into_iter().map(|(place, _)| place).collect();
        places(&found);
        for pair in found.windows(2).filter(|pair| pair[0].file == pair[1].file) {
            assert!(pair[0].range.end <= pair[1].range.start, "{pair:?} overlap");
        }
    }
}

fn ask_all(texts: &Texts) {
    let mut world = World::default();
    world.update(MAIN, texts);
    for (path, text) in texts.0.iter().filter(|(path, _)| world.contains(path)) {
        for offset in 0..=text.len() as u32 + 2 {
            ask(&world, path, text, offset);
        }
        for fold in world.folds(path) {
            assert!(text.get(fold.range.start as usize..fold.range.end as usize).is_some());
        }
        let mut open = world.symbols(path);
        while let Some(symbol) = open.pop() {
            assert!(symbol.range.start <= symbol.name_range.start);
            assert!(symbol.name_range.end <= symbol.range.end, "{symbol:?}");
            assert!(text.get(symbol.range.start as usize..symbol.range.end as usize).is_some());
            open.extend(symbol.children);
        }
    }
}

#[test]
fn every_place_of_every_start_of_a_file_has_an_answer() {
    let text = "let é \"{{😀}}{{x\"\nimage \"a\" { /- from \"b\" v=\"{{é}}\" \\\n use t; platforms except=\"a,b\" } }\n";
    for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
        ask_all(&Texts(BTreeMap::from([(MAIN.to_owned(), text[..end].to_owned())])));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_edit_makes_a_question_fail(
        edits in proptest::collection::vec(
            (any::<prop::sample::Index>(), 0_usize..12, prop_oneof![
                "[ -~\\n]{0,4}",
                Just("{".to_owned()), Just("}".to_owned()), Just("\"".to_owned()),
                Just("{{".to_owned()), Just("}}".to_owned()), Just("\"\"\"\n".to_owned()),
                Just("/*".to_owned()), Just("/-".to_owned()), Just("\\".to_owned()),
                Just("é😀".to_owned()), Just("\u{202e}\0".to_owned()), Just("#\"".to_owned()),
            ]),
            1..6,
        ),
    ) {
        let mut texts = world(SERVICES).texts;
        for (place, length, new) in edits {
            let keys: Vec<String> = texts.0.keys().cloned().collect();
            let text = texts.0.get_mut(&keys[place.index(keys.len())]).unwrap();
            let boundary = |mut at: usize| {
                while !text.is_char_boundary(at) { at -= 1; }
                at
            };
            let start = boundary(place.index(text.len() + 1));
            let end = boundary((start + length).min(text.len())).max(start);
            text.replace_range(start..end, &new);
        }
        ask_all(&texts);
    }
}

#[test]
fn hostile_descriptions_take_no_long_time() {
    // With anything quadratic this test would not end.
    let braces = format!("{}{}", "{".repeat(50_000), "a\n".repeat(50_000));
    let deep = "image \"a\" {\n".repeat(20_000);
    let used = format!(
        "let x 1\nimage \"i\" {{ matrix {{ y 1 }}; tags {} }}\n",
        "\"{{x}}\" ".repeat(10_000)
    );
    let users: String = (0..500).map(|n| format!("image \"i{n}\" {{ use \"t\" }}\n")).collect();
    let template =
        format!("let x 1\ntemplate \"t\" {{ tags {} }}\n{users}", "\"{{x}}\" ".repeat(1000));
    for text in [braces, deep, used, template] {
        let texts = Texts(BTreeMap::from([(MAIN.to_owned(), text.clone())]));
        let mut world = World::default();
        world.update(MAIN, &texts);
        for offset in [4, 5, text.len() as u32 / 2, text.len() as u32] {
            ask(&world, MAIN, &text, offset);
        }
        world.symbols(MAIN);
    }
}
