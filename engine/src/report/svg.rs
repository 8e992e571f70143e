//! The graph as an SVG file that stands alone: light or dark as the reader's system is.

use std::fmt::Write;

use super::drawing::{self, Drawing, Sign, Theme, escaped, literal, signs};
use super::view::View;
use super::words;

/// Space around the drawing.
const MARGIN: i32 = 24;
/// Height of the line that explains the signs.
const LEGEND: i32 = 44;

/// How an SVG file is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct SvgOptions<'a> {
    /// Title of the file, for screen readers.
    pub title: &'a str,
    /// Draws a frame around each group.
    pub cluster: bool,
}

/// A view as an SVG file. Equal views give equal bytes.
pub fn svg(view: &View, options: &SvgOptions<'_>) -> String {
    let drawing = Drawing::of(view, options.cluster);
    let signs = signs(view);
    let wide: i32 = signs.iter().map(|sign| step(sign.word)).sum();
    let width = drawing.layout.width.max(wide) + 2 * MARGIN;
    let height = drawing.layout.height + LEGEND + 2 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"graphics-document\" aria-labelledby=\"title desc\">\n<title id=\"title\">{}</title>\n<desc id=\"desc\">{}, {}</desc>\n",
        escaped(if options.title.is_empty() { "images" } else { options.title }),
        words::count(view.items.len(), "image"),
        words::count(view.edges.len(), "edge"),
    );
    let ground = format!(
        "svg{{background:var(--ground)}}\n.ground{{fill:var(--ground)}}\n{}",
        drawing::RULES
    );
    let _ = write!(
        out,
        "<style>\n{}@media (prefers-color-scheme:dark){{\n{}}}\n</style>\n{}<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n",
        literal(&ground, Theme::Light),
        dark_rules(&ground),
        drawing::ARROW,
    );
    let _ = writeln!(out, "<g transform=\"translate({MARGIN},{MARGIN})\">");
    drawing.shapes(true, &mut out);
    let _ = write!(out, "</g>\n{}</svg>\n", legend(&signs, MARGIN, height - MARGIN - 22));
    out
}

/// The rules that name a colour, in dark; the others hold in both.
fn dark_rules(rules: &str) -> String {
    let coloured = rules.lines().filter(|line| line.contains("var("));
    literal(&coloured.map(|line| format!("{line}\n")).collect::<String>(), Theme::Dark)
}

/// The line that explains the signs.
fn legend(signs: &[Sign], x: i32, y: i32) -> String {
    let mut out = format!("<g class=\"l\" transform=\"translate({x},{y})\">\n");
    let mut at = 0;
    for Sign { shape, word } in signs {
        let _ = writeln!(
            out,
            "<g transform=\"translate({at},0)\">{shape}<text x=\"38\" y=\"14\">{word}</text></g>"
        );
        at += step(word);
    }
    out.push_str("</g>\n");
    out
}

/// Room for a sign and its word.
fn step(word: &str) -> i32 {
    38 + drawing::name_width(word) + 22
}

#[cfg(test)]
mod tests {
    use mabuild_lang::platform::Platform;

    use super::*;
    use crate::graph::{Builder, ThingKind};
    use crate::report::ViewOptions;
    use crate::report::testing::{Remembered, graph, plan_of};

    #[test]
    fn the_file_is_the_same_every_time_and_explains_its_signs() {
        let view = View::of(&graph(), &ViewOptions::default());
        let text = svg(&view, &SvgOptions { title: "shop", cluster: false });
        assert_eq!(text, svg(&view, &SvgOptions { title: "shop", cluster: false }));
        assert!(text.contains("<title id=\"title\">shop</title>"));
        for word in ["base", "image", "is made from", "copies from"] {
            assert!(text.contains(&format!("y=\"14\">{word}</text>")), "{word}: {text}");
        }
        assert!(!text.contains(">keep</text>"), "nothing was planned");
        assert!(!text.contains("var("), "other programs than browsers know no variables");
        assert!(text.contains("@media (prefers-color-scheme:dark)"));
    }

    #[test]
    fn a_plan_colours_and_is_said_in_words() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox"));
        let view = View::of(&g, &ViewOptions { plan: Some(&plan), ..Default::default() });
        let text = svg(&view, &SvgOptions::default());
        assert!(text.contains("class=\"n base s-work\""), "{text}");
        assert!(text.contains("<title>busybox: base; amd64, arm64; build</title>"), "{text}");
        assert!(text.contains("y=\"14\">maybe</text>"), "{text}");
    }

    /// Whether every element is closed and every `<` and `&` in text is escaped.
    fn well_formed(text: &str) -> bool {
        let mut open = Vec::new();
        for piece in text.split('<').skip(1) {
            let Some((tag, rest)) = piece.split_once('>') else { return false };
            if rest.split('&').skip(1).any(|entity| !entity.split(';').next().is_some_and(known)) {
                return false;
            }
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) if open.pop() != Some(name) => return false,
                (true, _) | (_, true) => {}
                _ => open.push(name),
            }
        }
        open.is_empty()
    }

    fn known(entity: &str) -> bool {
        ["amp", "lt", "gt", "quot", "#39"].contains(&entity)
    }

    #[test]
    fn hostile_names_stay_text() {
        let one = [Platform::parse("linux/amd64").unwrap()];
        let mut b = Builder::default();
        for name in ["</script><b>\"'&", "]]><!--", "\u{0}\u{1b}[31m\u{ffff}\u{202e}", "&lt;"] {
            b.thing(name.into(), ThingKind::Image, &one, vec!["</g><x a=\"".into()], vec![]);
        }
        let view = View::of(&b.build().unwrap(), &ViewOptions::default());
        let text = svg(&view, &SvgOptions { title: "</title><script>", cluster: true });
        assert!(well_formed(&text), "{text}");
        assert!(!text.contains("<script") && !text.contains("<b>") && !text.contains("<!--"));
        assert!(text.contains("&lt;/script&gt;&lt;b&gt;&quot;&#39;&amp;"), "{text}");
        assert!(text.contains("&amp;lt;"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{ffff}'));
    }

    #[test]
    fn an_empty_view_is_a_file_too() {
        let view = View { items: vec![], edges: vec![] };
        assert!(well_formed(&svg(&view, &SvgOptions::default())));
    }
}
