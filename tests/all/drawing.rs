//! Pictures and pages of the graph: what is written, and what a real browser makes of it.

use std::fmt::Write;
use std::path::PathBuf;

use mabuild_tests::archive::Tar;
use mabuild_tests::browser::Browser;
use mabuild_tests::env::{TestEnv, source_tree};
use mabuild_tests::random::Random;

/// Width and height of the pages.
const SIZE: (u32, u32) = (1400, 900);

/// A project of three bases, images on them, and images on those, in four teams.
fn fleet(images: usize) -> TestEnv {
    let env = TestEnv::new();
    env.write("tree.tar", Tar::default().dir("./", 0o755).file("a", 0o644, "a\n").plain());
    let mut file =
        "mabuild 1\nplatforms \"linux/amd64\" \"linux/arm64\" \"linux/arm/v7\"\n".to_owned();
    for base in ["alpine", "debian", "scratch-tools"] {
        writeln!(file, "base \"{base}\" {{ rootfs \"tree.tar\"; label \"of\" \"{base}\" }}")
            .unwrap();
    }
    let mut random = Random(7);
    let runtimes = images / 8;
    let mut teams = vec![String::new(); 4];
    for image in 0..images {
        let (name, below) = match image < runtimes {
            true => (format!("runtime-{image}"), ["alpine", "debian"][image % 2].to_owned()),
            false => (format!("service-{image}"), format!("runtime-{}", random.below(runtimes))),
        };
        let copy = match image % 5 {
            0 if image >= runtimes => "copy \"/a\" \"/b\" from=\"scratch-tools\"",
            _ => "",
        };
        writeln!(
            file,
            "image \"{name}\" {{ from \"{below}\"; steps {{ file \"/n\" \"{image}\"; {copy} }}; tags \"1.{image}\" \"latest\" }}"
        )
        .unwrap();
        if image >= runtimes {
            write!(teams[image % 4], "image \"{name}\"; ").unwrap();
        }
    }
    for (team, members) in ["core", "data", "web", "edge"].iter().zip(teams) {
        writeln!(file, "group \"{team}\" {{ {members} }}").unwrap();
    }
    env.write("mabuild.kdl", file);
    env
}

/// Writes a page of the project.
fn page(env: &TestEnv, args: &[&str]) -> PathBuf {
    let all = [&["graph", "show", "--format", "html", "-o", "graph.html"], args].concat();
    let run = env.mabuild(&all).ok();
    assert_eq!(run.stdout, "");
    env.path("graph.html")
}

/// Keeps a picture where `MABUILD_PICTURES` says, to be looked at.
fn keep(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("MABUILD_PICTURES") {
        browser.screenshot(&PathBuf::from(folder).join(format!("{name}.png")));
    }
}

/// The selector of a node's shape.
fn shape(browser: &mut Browser, name: &str) -> String {
    let items = "JSON.parse(document.getElementById('data').textContent).items";
    let at = browser.eval(&format!("{items}.findIndex((item) => item.id === '{name}')"));
    assert!(at.as_i64().unwrap() >= 0, "no {name}");
    format!(".n[data-unit='{at}']")
}

fn text(browser: &mut Browser, selector: &str) -> String {
    let found = browser.eval(&format!("document.querySelector({selector:?}).innerText"));
    found.as_str().unwrap().to_owned()
}

fn count(browser: &mut Browser, selector: &str) -> u64 {
    browser.eval(&format!("document.querySelectorAll({selector:?}).length")).as_u64().unwrap()
}

#[test]
fn a_picture_is_written_and_the_same_every_time() {
    let env = TestEnv::new();
    env.copy_in(&source_tree().join("examples/quickstart"));
    let args = ["graph", "show", "--format", "svg"];
    let first = env.mabuild(&args).ok().stdout;
    assert!(first.starts_with("<svg xmlns=") && first.ends_with("</svg>\n"), "{first}");
    for name in ["busybox", "tools", "clock", "web"] {
        assert!(first.contains(&format!(">{name}</text>")), "{name}: {first}");
    }
    assert!(first.contains("<title>web copies from clock</title>"), "{first}");
    assert_eq!(env.mabuild(&args).ok().stdout, first);
    assert!(!env.store().exists(), "a picture makes no store");
    let framed = env.mabuild(&[&args[..], &["--cluster"]].concat()).ok().stdout;
    assert!(framed.contains("<title>group products</title>"), "{framed}");
    let one = env.mabuild(&[&args[..], &["clock"]].concat()).ok().stdout;
    assert!(one.contains(">clock</text>") && !one.contains(">web</text>"), "{one}");
}

#[test]
fn what_was_built_is_told() {
    let env = fleet(8);
    env.rebuild(&[]);
    let html = std::fs::read_to_string(page(&env, &["--status", "--offline"])).unwrap();
    let json =
        html.split_once("type=\"application/json\">").unwrap().1.split_once("</script>").unwrap().0;
    let data: serde_json::Value = serde_json::from_str(json).unwrap();
    for item in data["items"].as_array().unwrap() {
        assert_eq!(item["status"], serde_json::json!(["good", "keep"]), "{item}");
        assert_eq!(item["reason"], "up to date", "{item}");
        assert!(item["size"].as_str().unwrap().ends_with("KiB"), "{item}");
        assert!(item["took"].as_str().unwrap().ends_with(" s"), "{item}");
        assert!(item["built"].as_str().is_some(), "{item}");
    }
}

#[test]
fn flags_without_a_meaning_are_refused() {
    let env = fleet(8);
    let show = |args: &[&str]| env.mabuild(&[&["graph", "show"], args].concat());
    show(&["--cluster"]).fails(2).says(&["only pictures have frames"]);
    show(&["--format", "json", "--status"]).fails(2).says(&["no place for --status"]);
    show(&["--format", "svg", "-o", "no/such/folder.svg"]).fails(1).says(&["cannot be written"]);
    let tree = show(&["--status", "--offline", "-o", "tree.txt"]).ok();
    assert_eq!(tree.stdout, "");
    let tree = std::fs::read_to_string(env.path("tree.txt")).unwrap();
    assert!(tree.contains("runtime-0") && tree.contains("build"), "{tree}");
}

#[test]
fn a_picture_is_shown_as_it_was_measured() {
    let Some(mut browser) = Browser::start(SIZE.0, SIZE.1) else { return };
    let env = fleet(40);
    for (name, args) in [("svg", &["--status", "--offline"][..]), ("svg-framed", &["--cluster"])] {
        let all = [&["graph", "show", "--format", "svg", "-o", "graph.svg"], args].concat();
        env.mabuild(&all).ok();
        let file = env.path("graph.svg");
        for theme in ["light", "dark"] {
            browser.prefer(&[("prefers-color-scheme", theme)]);
            browser.open(&file, "");
            keep(&mut browser, &format!("{name}-{theme}"));
        }
        // Each text is measured by the browser's own font and must be inside of its box.
        let outside = browser.eval(
            "[...document.querySelectorAll('.n')].filter((node) => {
                const box = node.querySelector('.b').getBoundingClientRect();
                return [...node.querySelectorAll('text')].some((text) => {
                    const t = text.getBoundingClientRect();
                    return t.left < box.left + 4 || t.right > box.right - 4
                        || t.top < box.top - 1 || t.bottom > box.bottom + 1;
                });
            }).map((node) => node.textContent)",
        );
        assert_eq!(outside, serde_json::json!([]));
        assert_eq!(browser.problems(&file), Vec::<String>::new());
    }
}

#[test]
fn a_page_is_clicked_searched_folded_and_darkened() {
    let Some(mut browser) = Browser::start(SIZE.0, SIZE.1) else { return };
    let env = fleet(60);
    let file = page(&env, &["--status", "--offline", "--cluster"]);
    browser.prefer(&[("prefers-color-scheme", "light"), ("prefers-reduced-motion", "reduce")]);
    browser.open(&file, "");
    keep(&mut browser, "page-light");
    assert_eq!(count(&mut browser, ".e.gone"), 0);
    click_and_read(&mut browser);
    follow_a_link(&mut browser);
    search(&mut browser);
    fold(&mut browser);
    darken(&mut browser);
    assert_eq!(browser.problems(&file), Vec::<String>::new());
}

fn click_and_read(browser: &mut Browser) {
    let runtime = shape(browser, "runtime-1");
    browser.click(&runtime);
    browser.until_true("!document.getElementById('panel').hidden");
    let panel = text(browser, "#panel");
    for word in
        ["runtime-1", "image", "3 build", "waits for debian", "amd64", "1.1", "latest", "debian"]
    {
        let known = panel.contains(word) || word == "3 build" && panel.contains("maybe");
        assert!(known, "{word} is not in {panel}");
    }
    assert!(panel.contains("Parents (1)") && panel.contains("Children ("), "{panel}");
    keep(browser, "page-details");
    let lit = count(browser, ".n.on");
    let children = browser.eval("document.querySelectorAll('#panel .links')[1].children.length");
    assert_eq!(lit, children.as_u64().unwrap() + 2, "the node, its parent and its children");
    assert_eq!(count(browser, ".n.picked"), 1);
    edges_reach_what_is_lit(browser);
    assert!(browser.eval("location.hash").as_str().unwrap().contains("node=runtime-1"));
}

/// Every lit edge that is shown ends at a lit node, and every lit node but bases has one.
fn edges_reach_what_is_lit(browser: &mut Browser) {
    let found = browser.eval(
        "(() => {
            const lit = [...document.querySelectorAll('.n.on')].map((n) => n.querySelector('.b').getBoundingClientRect());
            const ends = [...document.querySelectorAll('.e.on:not(.way):not(.gone)')].map((e) => {
                const p = e.getPointAtLength(e.getTotalLength()).matrixTransform(e.getScreenCTM());
                return lit.findIndex((b) => Math.abs(b.left - p.x) < 3 && b.top < p.y && p.y < b.bottom);
            });
            return [ends.length, new Set(ends).size, ends.includes(-1), lit.length];
        })()",
    );
    let number = |at: usize| found[at].as_u64().unwrap();
    assert_eq!(found[2], false, "a lit edge ends nowhere: {found}");
    assert!(number(0) >= number(1) && number(1) == number(3) - 1, "{found}");
}

fn follow_a_link(browser: &mut Browser) {
    browser.click("#panel .links a");
    browser.until_true("document.querySelector('#panel h2').innerText === 'debian'");
    assert!(browser.eval("location.hash").as_str().unwrap().contains("node=debian"));
    browser.eval("history.back()");
    browser.until_true("document.querySelector('#panel h2').innerText === 'runtime-1'");
    // What is beside everything closes the panel.
    browser.eval("document.getElementById('canvas').dispatchEvent(new MouseEvent('click'))");
    assert_eq!(browser.eval("document.getElementById('panel').hidden"), true);
}

fn search(browser: &mut Browser) {
    browser.key("/");
    assert_eq!(browser.eval("document.activeElement.id"), "query");
    for letter in ["s", "e", "r", "v", "i", "c", "e", "-", "1"] {
        browser.key(letter);
    }
    let hits = count(browser, ".n.hit");
    assert_eq!(hits, 10, "service-10 to service-19");
    assert_eq!(text(browser, "#found"), "10 found");
    browser.key("Enter");
    assert_eq!(text(browser, "#found"), "1 of 10");
    let first = browser.eval("document.querySelector('.n.at').dataset.unit");
    browser.key("Enter");
    assert_eq!(text(browser, "#found"), "2 of 10");
    assert_ne!(browser.eval("document.querySelector('.n.at').dataset.unit"), first);
    keep(browser, "page-search");
    browser.key("Escape");
    assert_eq!((count(browser, ".n.hit"), text(browser, "#found").as_str()), (0, ""));
}

fn fold(browser: &mut Browser) {
    let before = count(browser, ".n:not(.gone)");
    let height = "document.getElementById('world').getBBox().height";
    let tall = browser.eval(height).as_f64().unwrap();
    browser.click("#groups summary");
    browser.click("#group-list input[value=data]");
    let members = browser.eval(
        "JSON.parse(document.getElementById('data').textContent).items.filter((i) => i.group === 'data').length",
    );
    assert_eq!(count(browser, ".n:not(.gone)"), before - members.as_u64().unwrap() + 1);
    assert_eq!(count(browser, ".n.group:not(.gone)"), 1);
    assert!(browser.eval(height).as_f64().unwrap() < tall, "the empty room is taken out");
    assert!(browser.eval("location.hash").as_str().unwrap().contains("closed=data"));
    browser.click("#group-list .all button");
    browser.key("Escape");
    assert_eq!(count(browser, ".n.group:not(.gone)"), 4);
    overlaps(browser);
    keep(browser, "page-folded");
    browser.click(".n.group:not(.gone)");
    let panel = text(browser, "#panel");
    assert!(panel.contains("Members (") && panel.contains("Expand group"), "{panel}");
    browser.click("#toggle-group");
    assert_eq!(count(browser, ".n.group:not(.gone)"), 3);
    overlaps(browser);
    browser.eval("document.querySelectorAll('#group-list .all button')[1].click()");
    assert_eq!(count(browser, ".n:not(.gone)"), before);
}

/// No two boxes that are shown lie over each other.
fn overlaps(browser: &mut Browser) {
    let found = browser.eval(
        "(() => {
            const boxes = [...document.querySelectorAll('.n:not(.gone)')]
                .map((node) => node.querySelector('.b').getBoundingClientRect());
            return boxes.some((a, at) => boxes.slice(at + 1).some((b) => a.left < b.right
                && b.left < a.right && a.top < b.bottom && b.top < a.bottom));
        })()",
    );
    assert_eq!(found, false);
}

fn darken(browser: &mut Browser) {
    let ground = "getComputedStyle(document.body).backgroundColor";
    let light = browser.eval(ground);
    browser.click("#theme");
    let dark = browser.eval(ground);
    assert_ne!(light, dark);
    assert!(browser.eval("location.hash").as_str().unwrap().contains("theme=dark"));
    keep(browser, "page-dark");
    let node = shape(browser, "runtime-2");
    browser.eval(&format!("document.querySelector(\"{node}\").dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))"));
    keep(browser, "page-dark-details");
    browser.reload();
    assert_eq!(browser.eval(ground), dark, "the address remembers");
    assert_eq!(text(browser, "#panel h2"), "runtime-2");
    browser.click("#theme");
    assert_eq!(browser.eval(ground), light);
}

#[test]
fn a_page_follows_the_system() {
    let Some(mut browser) = Browser::start(SIZE.0, SIZE.1) else { return };
    let env = fleet(20);
    let file = page(&env, &[]);
    let ground = "getComputedStyle(document.body).backgroundColor";
    browser.prefer(&[("prefers-color-scheme", "dark")]);
    browser.open(&file, "#node=service-7");
    assert_eq!(browser.eval(ground), "rgb(13, 17, 23)");
    assert_eq!(text(&mut browser, "#theme"), "Light");
    assert_eq!(text(&mut browser, "#panel h2"), "service-7");
    browser.prefer(&[("prefers-color-scheme", "light")]);
    assert_eq!(browser.eval(ground), "rgb(255, 255, 255)");
    browser.until_true("document.getElementById('theme').innerText === 'Dark'");
    browser.resize(420, 800);
    keep(&mut browser, "page-narrow");
    assert_eq!(browser.eval("document.documentElement.scrollWidth <= innerWidth"), true);
    assert_eq!(browser.problems(&file), Vec::<String>::new());
}

#[test]
fn the_keyboard_reaches_everything() {
    let Some(mut browser) = Browser::start(SIZE.0, SIZE.1) else { return };
    let env = fleet(24);
    let file = page(&env, &[]);
    browser.prefer(&[("prefers-reduced-motion", "reduce")]);
    browser.open(&file, "");
    let focused = "document.activeElement.querySelector('title')?.textContent.split(':')[0]";
    // Past the controls of the heading to the one stop of the graph.
    for _ in 0..12 {
        browser.key("Tab");
        if browser.eval("document.activeElement.classList.contains('n')") == true {
            break;
        }
    }
    let first = browser.eval(focused);
    assert!(["alpine", "debian", "scratch-tools"].contains(&first.as_str().unwrap()), "{first}");
    browser.key("End");
    browser.key("Home");
    assert_eq!(browser.eval(focused), first);
    while browser.eval(focused) != "alpine" && browser.eval(focused) != "debian" {
        browser.key("ArrowDown");
    }
    browser.key("ArrowRight");
    let child = browser.eval(focused).as_str().unwrap().to_owned();
    assert!(child.starts_with("runtime-"), "{child}");
    browser.key("Enter");
    assert_eq!(text(&mut browser, "#panel h2"), child);
    assert_eq!(browser.eval("document.activeElement.id"), "panel");
    // The first stop of the panel is its button to close, then come the links.
    browser.key("Tab");
    browser.key("Tab");
    assert_eq!(browser.eval("document.activeElement.tagName"), "A");
    browser.key("Enter");
    browser.until_true(
        "location.hash.includes('node=alpine') || location.hash.includes('node=debian')",
    );
    // The page follows the address a moment later.
    browser.until_true("document.activeElement.id === 'panel'");
    browser.key("Escape");
    assert_eq!(browser.eval("document.getElementById('panel').hidden"), true);
    let back = browser.eval(focused);
    assert!(back == "alpine" || back == "debian", "{back}");
    let scale =
        "Number(document.getElementById('world').style.transform.match(/scale\\((.*)\\)/)[1])";
    let before = browser.eval(scale).as_f64().unwrap();
    browser.key("+");
    browser.until(scale, |b| b.eval(scale).as_f64().unwrap() > before);
    browser.key("-");
    browser.key("-");
    browser.until(scale, |b| b.eval(scale).as_f64().unwrap() < before);
    browser.key("0");
    browser.until_true("document.getElementById('world').getBoundingClientRect().left >= 0");
    keep(&mut browser, "page-keyboard");
    assert_eq!(browser.problems(&file), Vec::<String>::new());
}

#[test]
fn hands_drag_turn_the_wheel_and_pinch() {
    let Some(mut browser) = Browser::start(SIZE.0, SIZE.1) else { return };
    let env = fleet(24);
    let file = page(&env, &[]);
    browser.prefer(&[("prefers-reduced-motion", "reduce")]);
    browser.open(&file, "");
    let node = shape(&mut browser, "runtime-1");
    let before = browser.middle(&node);
    browser.drag(before, (before.0 + 60.0, before.1 - 45.0));
    near(&mut browser, &node, (before.0 + 60.0, before.1 - 45.0));
    assert_eq!(browser.eval("document.getElementById('panel').hidden"), true, "a drag is no click");
    browser.wheel((700.0, 450.0), (30.0, 20.0), 0);
    near(&mut browser, &node, (before.0 + 30.0, before.1 - 65.0));
    // With the control key it zooms, and what is under the pointer stays there.
    let at = browser.middle(&node);
    let width = format!("document.querySelector(\"{node} .b\").getBoundingClientRect().width");
    let narrow = browser.eval(&width).as_f64().unwrap();
    browser.wheel(at, (0.0, -120.0), 2);
    browser.until(&width, |b| b.eval(&width).as_f64().unwrap() > narrow * 1.2);
    near(&mut browser, &node, at);
    let wide = browser.eval(&width).as_f64().unwrap();
    browser.pinch(at, 100.0, 200.0);
    browser.until(&width, |b| b.eval(&width).as_f64().unwrap() > wide * 1.8);
    near(&mut browser, &node, at);
    assert_eq!(browser.problems(&file), Vec::<String>::new());
}

/// Waits until the middle of a shape is at a point, give or take two pixels.
fn near(browser: &mut Browser, selector: &str, wanted: (f64, f64)) {
    browser.until(&format!("{selector} at {wanted:?}"), |browser| {
        let (x, y) = browser.middle(selector);
        (x - wanted.0).abs() < 2.0 && (y - wanted.1).abs() < 2.0
    });
}

#[test]
fn a_thousand_images_stay_fluid() {
    let Some(mut browser) = Browser::start(SIZE.0, SIZE.1) else { return };
    let env = fleet(1000);
    let file = page(&env, &["--status", "--offline"]);
    let size = std::fs::metadata(&file).unwrap().len();
    assert!(size < 1_500_000, "{size} bytes");
    browser.open(&file, "");
    browser.until_true("performance.getEntriesByName('first-contentful-paint').length > 0");
    let paint = browser.eval("performance.getEntriesByName('first-contentful-paint')[0].startTime");
    keep(&mut browser, "fleet-begin");
    browser.eval(
        "window.changes = 0;
         new MutationObserver((list) => { changes += list.length; })
            .observe(document.body, { attributes: true, childList: true, subtree: true }); 0",
    );
    // Wheel events of a hand that pans, zooms out, pans, and zooms in.
    let before = ["LayoutCount", "LayoutDuration", "TaskDuration"].map(|name| browser.metric(name));
    let times = browser.eval(
        "new Promise((done) => {
            const canvas = document.getElementById('canvas'), times = [];
            let frame = 0, last = performance.now();
            const turn = (deltaX, deltaY, ctrlKey) => canvas.dispatchEvent(new WheelEvent('wheel',
                { deltaX, deltaY, ctrlKey, clientX: 700, clientY: 450, bubbles: true, cancelable: true }));
            const step = (now) => {
                times.push(now - last);
                last = now;
                if (frame === 160) return done({ times, changes });
                if (frame < 40) turn(25, 40, false);
                else if (frame < 80) turn(0, 15, true);
                else if (frame < 120) turn(-30, 20, false);
                else turn(0, -15, true);
                frame += 1;
                requestAnimationFrame(step);
            };
            requestAnimationFrame(step);
        })",
    );
    let after = ["LayoutCount", "LayoutDuration", "TaskDuration"].map(|name| browser.metric(name));
    let [layouts, layout, task] = [0, 1, 2].map(|at| after[at] - before[at]);
    let changes = times["changes"].as_u64().unwrap();
    let mut times: Vec<f64> =
        times["times"].as_array().unwrap().iter().map(|t| t.as_f64().unwrap()).collect();
    times.sort_by(f64::total_cmp);
    println!(
        "1000 images: {size} bytes, first paint {paint} ms, frame {:.1} ms in the middle, {:.1} ms of 95 in 100, {:.1} ms at most; main thread {:.1} ms a frame, {layouts} layouts of {:.1} ms in all",
        times[times.len() / 2],
        times[times.len() * 95 / 100],
        times[times.len() - 1],
        task * 1000.0 / 160.0,
        layout * 1000.0,
    );
    assert!(layouts < 10.0, "{layouts} layouts in 160 frames");
    // One transform a frame, and three classes when they turn.
    assert!((100..=180).contains(&changes), "{changes} changes of the document in 160 frames");
    keep(&mut browser, "fleet-end");
    browser.key("0");
    browser.until_true(
        "(() => {
            const all = document.getElementById('world').getBoundingClientRect();
            return all.left >= 0 && all.right <= innerWidth && all.top >= 0 && all.bottom <= innerHeight;
        })()",
    );
    keep(&mut browser, "fleet-whole");
    let node = shape(&mut browser, "runtime-5");
    browser.click(&node);
    keep(&mut browser, "fleet-picked");
    assert_eq!(browser.problems(&file), Vec::<String>::new());
}
