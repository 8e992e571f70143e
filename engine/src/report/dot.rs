//! The graph in the DOT language of Graphviz, made to be put in a document as it is.

use std::fmt::Write;

use super::view::{Item, View};
use super::{Tone, words};
use crate::graph::{EdgeKind, ThingKind};

/// Architectures in one line of a box.
const PER_LINE: usize = 4;

const HEAD: &str = r##"digraph mabuild {
    graph [rankdir=LR, bgcolor="#ffffff", pad=0.3, nodesep=0.3, ranksep=0.7, fontname="Helvetica,Arial,sans-serif", fontsize=11, fontcolor="#57606a"];
    node [fontname="Helvetica,Arial,sans-serif", fontsize=13, fontcolor="#1f2328", penwidth=1.3, margin="0.17,0.09"];
    edge [fontname="Helvetica,Arial,sans-serif", fontsize=9, fontcolor="#6e7781", color="#8c959f", penwidth=1.2, arrowsize=0.7];
"##;

/// A view as DOT. With `cluster` the members of a group stand in a frame of their own.
pub fn dot(view: &View, cluster: bool) -> String {
    let mut out = HEAD.to_owned();
    if cluster {
        clusters(view, &mut out);
    } else {
        for item in &view.items {
            node(item, "    ", &mut out);
        }
        bases_first(view, &mut out);
    }
    for (from, to, kind) in &view.edges {
        if let (Some(from), Some(to)) = (view.items.get(*from), view.items.get(*to)) {
            edge(from, to, *kind, &mut out);
        }
    }
    out.push_str("}\n");
    out
}

/// Puts all bases in the first column. A frame cannot be drawn around part of a column, so this
/// is for drawings without frames.
fn bases_first(view: &View, out: &mut String) {
    let bases: Vec<String> = view
        .items
        .iter()
        .filter(|item| item.kind == ThingKind::Base)
        .map(|item| format!("{};", quoted(&item.id)))
        .collect();
    if bases.len() > 1 {
        let _ = writeln!(out, "    {{ rank=min; {} }}", bases.join(" "));
    }
}

fn clusters(view: &View, out: &mut String) {
    let mut groups: Vec<&str> = Vec::new();
    for item in &view.items {
        match &item.group {
            Some(group) if !groups.contains(&&**group) => groups.push(group),
            Some(_) => {}
            None => node(item, "    ", out),
        }
    }
    for (number, group) in groups.iter().enumerate() {
        let _ = write!(
            out,
            "    subgraph \"cluster_{number}\" {{\n        graph [label=<{}>, labeljust=l, margin=14, style=\"rounded,filled\", color=\"#d0d7de\", fillcolor=\"#f6f8fa\"];\n",
            html(group)
        );
        for item in view.items.iter().filter(|i| i.group.as_deref() == Some(group)) {
            node(item, "        ", out);
        }
        out.push_str("    }\n");
    }
}

fn node(item: &Item, indent: &str, out: &mut String) {
    let (shape, style) = match item.kind {
        ThingKind::Base => ("cylinder", "filled"),
        ThingKind::Image => ("box", "rounded,filled"),
    };
    let (fill, line) = colours(item);
    // The lid of a cylinder takes room from the top of what is in it.
    let lid = match item.kind {
        ThingKind::Base => "<TR><TD HEIGHT=\"7\"></TD></TR>",
        ThingKind::Image => "",
    };
    let mut rows = format!("{lid}<TR><TD><B>{}</B></TD></TR>", html(&item.name));
    for platforms in item.platforms.chunks(PER_LINE) {
        rows.push_str(&small(&platforms.join(" · "), "#57606a"));
    }
    if let Some(status) = &item.status {
        rows.push_str(&small(&status.text, line));
    }
    let _ = writeln!(
        out,
        "{indent}{} [shape={shape}, style=\"{style}\", fillcolor=\"{fill}\", color=\"{line}\", label=<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"1\">{rows}</TABLE>>];",
        quoted(&item.id)
    );
}

fn small(text: &str, colour: &str) -> String {
    format!("<TR><TD><FONT POINT-SIZE=\"9\" COLOR=\"{colour}\">{}</FONT></TD></TR>", html(text))
}

/// Fill and line: by plan when there is one, else by kind.
fn colours(item: &Item) -> (&'static str, &'static str) {
    match item.status.as_ref().map(|s| s.tone) {
        Some(Tone::Good) => ("#dafbe1", "#1a7f37"),
        Some(Tone::Work) => ("#ffe2c2", "#bc4c00"),
        Some(Tone::Maybe) => ("#fff8c5", "#9a6700"),
        Some(Tone::Bad) => ("#ffdcd7", "#cf222e"),
        Some(Tone::Dim | Tone::Strong) => ("#f6f8fa", "#6e7781"),
        None => match item.kind {
            ThingKind::Base => ("#ddf0ff", "#0969da"),
            ThingKind::Image => ("#f4efff", "#8250df"),
        },
    }
}

fn edge(from: &Item, to: &Item, kind: EdgeKind, out: &mut String) {
    let attributes = match kind {
        EdgeKind::CopyFrom => " [style=dashed, label=\"copy from\"]",
        EdgeKind::From | EdgeKind::Member => "",
    };
    let _ = writeln!(out, "    {} -> {}{attributes};", quoted(&from.id), quoted(&to.id));
}

/// An identifier in double quotes.
fn quoted(text: &str) -> String {
    // A backslash is doubled so that a last one cannot take the closing quote with it.
    format!("\"{}\"", words::one_line(text).replace('\\', "\\\\").replace('"', "\\\""))
}

/// Text inside of a label of HTML kind.
fn html(text: &str) -> String {
    let text = words::one_line(text);
    // An empty cell is a syntax error to Graphviz.
    if text.is_empty() {
        return " ".to_owned();
    }
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use mabuild_lang::platform::Platform;

    use super::*;
    use crate::graph::Builder;
    use crate::report::ViewOptions;
    use crate::report::testing::{Remembered, graph, plan_of};

    #[test]
    fn draws_shapes_platforms_and_dashed_copies() {
        let text = dot(&View::of(&graph(), &ViewOptions::default()), false);
        let line = |start: &str| {
            text.lines().map(str::trim).find(|l| l.starts_with(start)).unwrap_or_default()
        };
        assert!(line("\"busybox\" [").contains("shape=cylinder"));
        assert!(line("\"tools\" [").contains("shape=box"));
        assert!(line("\"tools\" [").contains("<B>tools</B>"));
        assert!(line("\"tools\" [").contains(">amd64 · arm64<"));
        assert_eq!(line("\"tools\" ->"), "\"tools\" -> \"httpd\";");
        assert!(text.contains("\"busybox\" -> \"httpd\" [style=dashed, label=\"copy from\"];"));
        assert!(text.starts_with("digraph mabuild {\n") && text.ends_with("}\n"));
    }

    #[test]
    fn frames_groups_and_colours_by_plan() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox"));
        let view = View::of(&g, &ViewOptions { plan: Some(&plan), ..Default::default() });
        let text = dot(&view, true);
        assert_eq!(text.matches("subgraph").count(), 1);
        assert!(text.contains("label=<all>"));
        assert!(text.contains("        \"httpd\" [shape=box"));
        assert!(
            text.contains(
                "    \"busybox\" [shape=cylinder, style=\"filled\", fillcolor=\"#ffe2c2\""
            )
        );
        assert!(text.contains(">maybe<"));
    }

    #[test]
    fn any_name_is_escaped() {
        let both = [Platform::parse("linux/amd64").unwrap()];
        let mut b = Builder::default();
        b.thing("a\"<b>&\n\\".into(), ThingKind::Image, &both, vec![], vec![]);
        b.thing("".into(), ThingKind::Image, &both, vec!["<g>".into()], vec![]);
        let text = dot(&View::of(&b.build().unwrap(), &ViewOptions::default()), true);
        assert!(text.contains("\"a\\\"<b>& \\\\\" [shape"), "{text}");
        assert!(text.contains("<B>a&quot;&lt;b&gt;&amp; \\</B>"), "{text}");
        assert!(text.contains("label=<&lt;g&gt;>"), "{text}");
        assert!(text.contains("<B> </B>"), "{text}");
    }
}
