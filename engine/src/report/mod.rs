//! Values of the spine to text, JSON, DOT, Mermaid, SVG and HTML. Pure: no IO, no clock, no
//! terminal; colour is asked for through [`Style`] alone.
//!
//! [`words`] holds what all reports share (sizes, times, folded platforms); [`view`] is the graph
//! as a picture sees it; `layout` and `drawing` make shapes of it. The reports themselves never
//! import each other.

mod between;
mod causes;
mod columns;
mod dot;
mod drawing;
mod explain;
mod html;
mod layout;
mod mermaid;
mod plan;
mod publish;
mod query;
mod reason;
mod reference;
pub mod schema;
mod show;
mod summary;
mod svg;
mod upstream;
mod variant;
pub mod view;
mod what_if;
pub mod words;

#[cfg(test)]
mod testing;

pub use between::{Run, between_json, between_text};
pub use dot::dot;
pub use explain::{Explaining, explain, explain_json};
pub use html::{Details, HtmlOptions, html};
pub use mermaid::mermaid;
pub use plan::{plan_json, plan_table, reasons, up_to_date};
pub use publish::{
    PublishDocument, Removable, generations_json, generations_text, prune_json, prune_text,
    publish_document, publish_faults, publish_json, publish_text, rollback_faults, rollback_json,
    rollback_text,
};
pub use query::{query_json, query_text};
pub use reference::{reference_json, reference_markdown, reference_node};
pub use show::{graph_json, tree};
pub use summary::{run_json, run_text};
pub use svg::{SvgOptions, svg};
pub use upstream::{News, news_json, news_markdown, news_text};
pub use view::{By, View, ViewOptions};
pub use what_if::{WhatIf, what_if_json, what_if_text};

/// Version of every JSON document made here; a change that breaks a reader raises it.
pub const JSON_VERSION: u32 = 1;

/// Whether text may hold terminal colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    #[default]
    Plain,
    /// ANSI colours, the sixteen that every terminal has.
    Ansi,
}

/// What a piece of text means, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Work that is to be done.
    Work,
    /// Work that may have to be done.
    Maybe,
    /// Something is wrong.
    Bad,
    /// Of less weight than what stands around it.
    Dim,
    /// Of more weight.
    Strong,
}

impl Style {
    /// The text in the colour of its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match (self, tone) {
            (Self::Plain, _) => return text.to_owned(),
            (_, Tone::Good) => "32",
            (_, Tone::Work) => "36",
            (_, Tone::Maybe) => "33",
            (_, Tone::Bad) => "31;1",
            (_, Tone::Dim) => "2",
            (_, Tone::Strong) => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
