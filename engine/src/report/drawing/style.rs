//! Colours and rules of a drawing. The rules name colours by variables: the page defines them
//! twice, and the SVG file, which other programs than browsers read, gets them written out.

/// A set of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// Name of a colour, the colour on light ground, the colour on dark ground.
const COLOURS: &[(&str, &str, &str)] = &[
    ("--ground", "#ffffff", "#0d1117"),
    ("--ink", "#1f2328", "#e6edf3"),
    ("--faint", "#57606a", "#9aa4af"),
    ("--dim", "#b6bec7", "#454d57"),
    ("--edge", "#8c959f", "#6e7681"),
    ("--frame", "#f6f8fa", "#151b23"),
    ("--rim", "#d0d7de", "#3d444d"),
    ("--base", "#ddf0ff", "#0c2d4a"),
    ("--base-line", "#0969da", "#58a6ff"),
    ("--image", "#f4efff", "#241a41"),
    ("--image-line", "#8250df", "#a371f7"),
    ("--good", "#dafbe1", "#10301c"),
    ("--good-line", "#1a7f37", "#3fb950"),
    ("--work", "#ffe2c2", "#43270f"),
    ("--work-line", "#bc4c00", "#f0883e"),
    ("--maybe", "#fff8c5", "#352b0a"),
    ("--maybe-line", "#9a6700", "#d29922"),
    ("--bad", "#ffdcd7", "#431a1c"),
    ("--bad-line", "#cf222e", "#ff7b72"),
];

/// Rules of everything that is drawn.
pub const RULES: &str = "\
.n text,.f text,.l text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace}
.n text{text-anchor:middle}
.t{font-size:13px;font-weight:600;fill:var(--ink)}
.p,.s,.l text{font-size:10.5px;fill:var(--faint)}
.s{font-weight:600}
.b{stroke-width:1.4}
.base .b{fill:var(--base);stroke:var(--base-line)}
.image .b{fill:var(--image);stroke:var(--image-line)}
.s-good .b{fill:var(--good);stroke:var(--good-line)}
.s-good .s{fill:var(--good-line)}
.s-work .b{fill:var(--work);stroke:var(--work-line)}
.s-work .s{fill:var(--work-line)}
.s-maybe .b{fill:var(--maybe);stroke:var(--maybe-line)}
.s-maybe .s{fill:var(--maybe-line)}
.s-bad .b{fill:var(--bad);stroke:var(--bad-line)}
.s-bad .s{fill:var(--bad-line)}
.s-dim .b{fill:var(--frame);stroke:var(--edge)}
.e{fill:none;stroke:var(--edge);stroke-width:1.3;marker-end:url(#arrow)}
.e.way{marker-end:none}
.copy{stroke-dasharray:5 4}
.arrow{fill:var(--edge)}
.f rect{fill:var(--frame);stroke:var(--rim)}
.f text{font-size:13px;fill:var(--faint)}
";

/// The arrow at the end of an edge.
pub const ARROW: &str = "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7.4\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"arrow\" d=\"M0,.8L8,4L0,7.2z\"/></marker></defs>\n";

impl Theme {
    fn colours(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        COLOURS.iter().map(move |(name, light, dark)| match self {
            Self::Light => (*name, *light),
            Self::Dark => (*name, *dark),
        })
    }
}

/// The colours of a theme as variables.
pub fn variables(theme: Theme) -> String {
    theme.colours().map(|(name, colour)| format!("{name}:{colour};")).collect()
}

/// Rules with the colours of a theme in place of variables.
pub fn literal(rules: &str, theme: Theme) -> String {
    let mut out = rules.to_owned();
    for (name, colour) in theme.colours() {
        out = out.replace(&format!("var({name})"), colour);
    }
    out
}
