//! The graph as a Mermaid flow chart, for documents that draw one themselves.

use std::fmt::Write;

use super::view::{Item, View};
use super::{Tone, words};
use crate::graph::{EdgeKind, ThingKind};

const CLASSES: &str = "    classDef base fill:#ddf0ff,stroke:#0969da,color:#1f2328
    classDef image fill:#f4efff,stroke:#8250df,color:#1f2328
";

const STATUS_CLASSES: &str = "    classDef keep fill:#dafbe1,stroke:#1a7f37,color:#1f2328
    classDef build fill:#ffe2c2,stroke:#bc4c00,color:#1f2328
    classDef maybe fill:#fff8c5,stroke:#9a6700,color:#1f2328
    classDef refused fill:#ffdcd7,stroke:#cf222e,color:#1f2328
";

/// A view as a Mermaid flow chart.
pub fn mermaid(view: &View) -> String {
    let mut out = String::from("flowchart LR\n");
    for (number, item) in view.items.iter().enumerate() {
        let (open, close) = match item.kind {
            ThingKind::Base => ("[(", ")]"),
            ThingKind::Image => ("(", ")"),
        };
        let mut label = format!("<b>{}</b>", escaped(&item.name));
        if !item.platforms.is_empty() {
            let _ = write!(label, "<br/><small>{}</small>", escaped(&item.platforms.join(" · ")));
        }
        let _ = writeln!(out, "    n{number}{open}\"{label}\"{close}:::{}", class(item));
    }
    for (from, to, kind) in &view.edges {
        let arrow = match kind {
            EdgeKind::CopyFrom => "-. copy from .->",
            EdgeKind::From | EdgeKind::Member => "-->",
        };
        let _ = writeln!(out, "    n{from} {arrow} n{to}");
    }
    let by_status = view.items.iter().any(|item| item.status.is_some());
    out.push_str(if by_status { STATUS_CLASSES } else { CLASSES });
    out
}

fn class(item: &Item) -> &'static str {
    match (item.status.as_ref().map(|s| s.tone), item.kind) {
        (Some(Tone::Good | Tone::Dim | Tone::Strong), _) => "keep",
        (Some(Tone::Work), _) => "build",
        (Some(Tone::Maybe), _) => "maybe",
        (Some(Tone::Bad), _) => "refused",
        (None, ThingKind::Base) => "base",
        (None, ThingKind::Image) => "image",
    }
}

/// Text in a quoted label; Mermaid writes entities with `#` in place of `&`.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in words::one_line(text).chars() {
        match c {
            '#' => out.push_str("#35;"),
            '"' => out.push_str("#quot;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '`' => out.push_str("#96;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ViewOptions;
    use crate::report::testing::graph;

    #[test]
    fn draws_the_graph() {
        let text = mermaid(&View::of(&graph(), &ViewOptions::default()));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines[0], "flowchart LR");
        assert_eq!(lines[1], "n0[(\"<b>busybox</b><br/><small>amd64 · arm64</small>\")]:::base");
        assert!(lines.contains(&"n0 --> n2"));
        assert!(lines.contains(&"n0 -. copy from .-> n3"));
        assert!(lines.contains(&"n2 --> n3"));
        assert!(text.contains("\n    classDef base fill"), "{text}");
    }

    #[test]
    fn escapes_what_has_a_meaning() {
        assert_eq!(escaped("a\"<#`"), "a#quot;#lt;#35;#96;");
    }
}
