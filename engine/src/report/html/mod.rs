//! The graph as one page that stands alone: to pan, zoom, search, fold and click, in any browser,
//! from a disk or a server. It loads nothing; its own policy forbids it to.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use mabuild_oci::Digest;
use serde::Serialize;

use super::drawing::{self, Drawing, Sign, Theme, escaped, signs, variables};
use super::view::{Item, View};
use super::words;
use crate::graph::EdgeKind;

/// What the page can tell of one item besides what is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Why it is to be built or not, in lines.
    pub reason: Option<String>,
    /// Bytes of all that it is made of.
    pub size: Option<u64>,
    /// When it was built last, in the form of RFC 3339.
    pub last_built: Option<String>,
    /// How long that took, over all platforms.
    pub took: Option<Duration>,
    /// Tags.
    pub tags: Vec<String>,
}

/// How a page is made.
#[derive(Clone, Copy, Debug)]
pub struct HtmlOptions<'a> {
    /// Heading of the page.
    pub title: &'a str,
    /// Draws a frame around each group.
    pub cluster: bool,
    /// Details by the id of an item.
    pub details: &'a BTreeMap<String, Details>,
}

/// What the script reads: all that is not in the shapes.
#[derive(Serialize)]
struct Data<'a> {
    /// Width of every box.
    width: i32,
    items: Vec<ItemData<'a>>,
    /// What is needed, what needs it, whether it copies, the last piece of its way.
    edges: Vec<(usize, usize, bool, Option<usize>)>,
    /// For each piece of a way the one before it.
    pieces: Vec<Option<usize>>,
}

#[derive(Serialize)]
struct ItemData<'a> {
    id: &'a str,
    name: &'a str,
    kind: &'static str,
    platforms: &'a [String],
    /// Left edge, upper edge, height.
    at: (i32, i32, i32),
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    /// Tone and words.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<(&'static str, &'a str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    built: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
}

/// The script, as one function that leaves no name behind.
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("script/data.js"),
    include_str!("script/arrange.js"),
    include_str!("script/view.js"),
    include_str!("script/choose.js"),
    include_str!("script/find.js"),
    include_str!("script/input.js"),
    "})();\n"
);
const RULES: &str = include_str!("page.css");

/// A view as a page. Equal views and details give equal bytes.
pub fn html(view: &View, options: &HtmlOptions<'_>) -> String {
    let drawing = Drawing::of(view, options.cluster);
    let mut shapes = String::new();
    drawing.shapes(false, &mut shapes);
    let style = style();
    let title = if options.title.is_empty() { "images" } else { options.title };
    format!(
        include_str!("page.html"),
        title = escaped(title),
        counts = counts(view, drawing.groups().len()),
        style_hash = hash(&style),
        script_hash = hash(SCRIPT),
        style = style,
        script = SCRIPT,
        arrow = drawing::ARROW,
        width = drawing.layout.width,
        height = drawing.layout.height,
        shapes = shapes,
        legend = legend(view),
        data = data(view, &drawing, options.details),
    )
}

fn counts(view: &View, groups: usize) -> String {
    let mut out = words::count(view.items.len(), "image");
    out.push_str(&format!(", {}", words::count(view.edges.len(), "edge")));
    if groups > 0 {
        out.push_str(&format!(", {}", words::count(groups, "group")));
    }
    out
}

/// Light, dark where the system says so, and each where the page was told so.
fn style() -> String {
    let (light, dark) = (variables(Theme::Light), variables(Theme::Dark));
    format!(
        ":root{{color-scheme:light;{light}}}\n@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n:root[data-theme=dark]{{color-scheme:dark;{dark}}}\n{}{RULES}",
        drawing::RULES
    )
}

/// How a policy names a style or a script that may be used.
fn hash(text: &str) -> String {
    let digest = Digest::sha256(text);
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(digest.as_bytes()))
}

fn legend(view: &View) -> String {
    let mut out = String::from("<div class=\"legend\" aria-label=\"Legend\">\n");
    for Sign { shape, word } in signs(view) {
        out.push_str(&format!(
            "<span><svg viewBox=\"-1 -1 34 22\" aria-hidden=\"true\">{shape}</svg>{word}</span>\n"
        ));
    }
    out.push_str("</div>\n");
    out
}

fn data(view: &View, drawing: &Drawing<'_>, details: &BTreeMap<String, Details>) -> String {
    let none = Details::default();
    let items = view.items.iter().enumerate().map(|(at, item)| {
        let found = details.get(&item.id).unwrap_or(&none);
        let spot = drawing.layout.boxes.get(at).copied().unwrap_or_default();
        item_data(item, found, (spot.x, spot.y, drawing.height(at)))
    });
    let edge = |((from, to, kind), way): (&(usize, usize, EdgeKind), &Option<usize>)| {
        (*from, *to, *kind == EdgeKind::CopyFrom, *way)
    };
    let document = Data {
        width: drawing.width,
        items: items.collect(),
        edges: view.edges.iter().zip(&drawing.layout.ways).map(edge).collect(),
        pieces: drawing.layout.pieces.iter().map(|piece| piece.parent).collect(),
    };
    // The document has text keys and no maps of its own, so that writing it cannot fail.
    in_script(&serde_json::to_string(&document).unwrap_or_default())
}

fn item_data<'a>(item: &'a Item, details: &'a Details, at: (i32, i32, i32)) -> ItemData<'a> {
    ItemData {
        id: &item.id,
        name: &item.name,
        kind: drawing::kind(item.kind),
        platforms: &item.platforms,
        at,
        group: item.group.as_deref(),
        status: item.status.as_ref().map(|s| (drawing::tone(s.tone), s.text.as_str())),
        reason: details.reason.as_deref(),
        size: details.size.map(words::bytes),
        built: details.last_built.as_deref().map(moment),
        took: details.took.map(words::duration),
        tags: &details.tags,
    }
}

/// `2026-11-20T03:12:44Z` as people write it.
fn moment(rfc3339: &str) -> String {
    rfc3339.replacen('T', " ", 1).replace('Z', " UTC")
}

/// JSON that no parser of HTML or JavaScript takes for something else.
fn in_script(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use mabuild_lang::platform::Platform;

    use super::*;
    use crate::graph::{Builder, ThingKind};
    use crate::report::ViewOptions;
    use crate::report::testing::{Remembered, graph, plan_of};

    fn page(view: &View, details: &BTreeMap<String, Details>) -> String {
        html(view, &HtmlOptions { title: "shop", cluster: false, details })
    }

    /// What stands between the first two marks.
    fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
        text.split_once(from).unwrap().1.split_once(to).unwrap().0
    }

    fn data_of(page: &str) -> serde_json::Value {
        let json = between(page, "<script id=\"data\" type=\"application/json\">", "</script>");
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_policy_allows_this_style_and_script_and_nothing_else() {
        let text = page(&View::of(&graph(), &ViewOptions::default()), &BTreeMap::new());
        let policy = between(&text, "Content-Security-Policy\" content=\"", "\"");
        let style = between(&text, "<style>", "</style>");
        let script = between(&text, "</script>\n<script>", "</script>");
        let wanted = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
            hash(style),
            hash(script)
        );
        assert_eq!(policy, wanted);
        for word in ["http://", "https://", " style=\"", "url(http", "@import", " onclick=\""] {
            let body = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!body.contains(word), "{word} is in the page");
        }
        assert_eq!(
            hash(""),
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "the form that policies have"
        );
    }

    #[test]
    fn details_stand_in_the_data() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox"));
        let view = View::of(&g, &ViewOptions { plan: Some(&plan), ..Default::default() });
        let of_tools = Details {
            reason: Some("waits for busybox".into()),
            size: Some(1 << 20),
            last_built: Some("2026-11-20T03:12:44Z".into()),
            took: Some(Duration::from_secs(63)),
            tags: vec!["1.0".into()],
        };
        let data = data_of(&page(&view, &[("tools".to_owned(), of_tools)].into()));
        let tools = &data["items"][2];
        assert_eq!(tools["reason"], "waits for busybox");
        assert_eq!(tools["size"], "1.00 MiB");
        assert_eq!(tools["built"], "2026-11-20 03:12:44 UTC");
        assert_eq!(tools["took"], "1 min 03 s");
        assert_eq!(tools["status"], serde_json::json!(["maybe", "maybe"]));
        assert_eq!(tools["group"], "all");
        assert_eq!(data["items"][0].get("reason"), None);
        // busybox → tools → httpd, and busybox → httpd along a way of its own.
        assert_eq!(
            data["edges"],
            serde_json::json!([[0, 2, false, 0], [0, 3, true, 1], [2, 3, false, 2]])
        );
        assert_eq!(data["pieces"], serde_json::json!([null, null, null]));
    }

    #[test]
    fn hostile_names_end_no_script() {
        let one = [Platform::parse("linux/amd64").unwrap()];
        let mut b = Builder::default();
        let name = "</script><b>\"'&\u{2028}{style}<!--";
        b.thing(name.into(), ThingKind::Image, &one, vec!["<i>".into()], vec![]);
        let view = View::of(&b.build().unwrap(), &ViewOptions::default());
        let options = HtmlOptions { title: "<script>", cluster: true, details: &BTreeMap::new() };
        let text = html(&view, &options);
        assert_eq!(data_of(&text)["items"][0]["name"], name);
        assert_eq!(text.matches("</script>").count(), 2);
        assert_eq!(text.matches("<script").count(), 2);
        assert!(!text.contains("<b>") && !text.contains("<i>") && !text.contains("<!--"));
        let json = between(&text, "json\">", "</script>");
        assert!(!json.contains(['\u{2028}', '<', '&']), "{json}");
        assert_eq!(text, html(&view, &options));
    }
}
