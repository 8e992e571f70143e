//! The full way from text to a node: the `kdl` crate. It is slow, recursive, and keeps no places
//! of values, so that all it sees are single nodes whose nesting was checked and whose comments
//! are blanked, on a thread with a stack of its own.

use std::borrow::Cow;

use kdl::{KdlDocument, KdlEntry, KdlError, KdlIdentifier, KdlNode, KdlValue};

use super::lex::{Kind, Token};
use super::tree::{Entry, Node, Value, Word};
use crate::source::{FileId, Span};

/// Enough for [`super::split::MAX_DEPTH`] levels in a debug build.
const STACK: usize = 16 << 20;

/// A problem in the words of the full parser: byte range in the file, message, help.
pub(crate) struct Refusal {
    pub start: u32,
    pub end: u32,
    pub message: String,
    pub help: Option<String>,
}

/// Reads one top-level node given by its tokens. Gives no node when a slashdash takes it away.
pub(crate) fn nodes(
    text: &str,
    tokens: &[Token],
    file: FileId,
) -> Result<Vec<Node<'static>>, Vec<Refusal>> {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return Ok(Vec::new()) };
    if let Some(place) = glued_mark(tokens) {
        return Err(vec![Refusal {
            start: place.start,
            end: place.end,
            message: "two values stand without a space between them".to_owned(),
            help: Some("put a space before this".to_owned()),
        }]);
    }
    let chunk = prepared(text, tokens, first.start, last.end);
    match KdlDocument::parse(&chunk) {
        Ok(document) => {
            let reader = Reader { tokens, file, offset: first.start };
            Ok(document.nodes().iter().map(|node| reader.node(node)).collect())
        }
        Err(error) => Err(refusals(&error, first.start, last.end)),
    }
}

/// A `(` or `/-` right after a value. The parser takes some of them for the start of a new node,
/// which no reader would.
fn glued_mark(tokens: &[Token]) -> Option<Token> {
    let glued = |pair: &&[Token]| match pair {
        [value, mark] => {
            matches!(mark.kind, Kind::ParenOpen | Kind::Slashdash)
                && value.end == mark.start
                && value.kind.is_value()
        }
        _ => false,
    };
    tokens.windows(2).find(glued).and_then(|pair| pair.last()).copied()
}

/// Runs the jobs on threads with deep stacks, as many as there are cores, and gives the results in
/// the order of the jobs; none where a job died.
pub(crate) fn on_deep_stacks<J: Sync, R: Send>(
    jobs: &[J],
    work: impl Fn(&J) -> R + Sync,
) -> Vec<Option<R>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = jobs.len().div_ceil(cores).max(1);
    let mut results = Vec::with_capacity(jobs.len());
    std::thread::scope(|scope| {
        let handles: Vec<_> = jobs
            .chunks(share)
            .map(|jobs| {
                let work = &work;
                let run = move || jobs.iter().map(work).collect::<Vec<R>>();
                let thread = std::thread::Builder::new().stack_size(STACK);
                (jobs.len(), thread.spawn_scoped(scope, run))
            })
            .collect();
        for (count, handle) in handles {
            match handle.ok().and_then(|handle| handle.join().ok()) {
                Some(done) => results.extend(done.into_iter().map(Some)),
                None => results.extend((0..count).map(|_| None)),
            }
        }
    });
    results
}

/// The text of a chunk as the parser can take it, byte for byte in the same place: spaces for
/// comments, since it needs one stack frame for each piece of one, and a line end for the `;`
/// after a node that a slashdash takes away, since it refuses that.
fn prepared(text: &str, tokens: &[Token], start: u32, end: u32) -> String {
    let mut out = String::with_capacity((end - start) as usize);
    let mut at = start as usize;
    // For each open block, whether the node in it that is being read is taken away.
    let (mut outer, mut dashed, mut begun) = (Vec::new(), false, false);
    for (place, token) in tokens.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|place| tokens.get(place));
        let goes_on = before.is_some_and(|t| matches!(t.kind, Kind::Slashdash | Kind::Continue));
        let with = match token.kind {
            Kind::LineComment | Kind::BlockComment => " ",
            Kind::Semicolon if dashed => "\n",
            _ => "",
        };
        match token.kind {
            Kind::LineComment | Kind::BlockComment => {}
            Kind::Open => {
                outer.push(dashed);
                (dashed, begun) = (false, false);
            }
            Kind::Close => (dashed, begun) = (outer.pop().unwrap_or(false), true),
            Kind::Newline if goes_on => {}
            Kind::Newline | Kind::Semicolon => (dashed, begun) = (false, false),
            kind => {
                dashed |= kind == Kind::Slashdash && !begun;
                begun |= kind != Kind::Continue;
            }
        }
        if !with.is_empty() {
            out.push_str(text.get(at..token.start as usize).unwrap_or_default());
            out.extend(std::iter::repeat_n(with, (token.end - token.start) as usize));
            at = token.end as usize;
        }
    }
    out.push_str(text.get(at..end as usize).unwrap_or_default());
    out
}

fn refusals(error: &KdlError, offset: u32, limit: u32) -> Vec<Refusal> {
    let problem = |d: &kdl::KdlDiagnostic| {
        let start = (offset + d.span.offset() as u32).min(limit);
        let message = d.message.clone().unwrap_or_default();
        let message = match message.strip_prefix("Expected ") {
            _ if message.is_empty() => "this is not valid KDL".to_owned(),
            Some(rest) => format!("this is not valid KDL: {rest} was expected"),
            None => format!("this is not valid KDL: {message}"),
        };
        let end = (start + d.span.len() as u32).min(limit);
        Refusal { start, end, message, help: d.help.clone() }
    };
    error.diagnostics.iter().map(problem).collect()
}

struct Reader<'t> {
    tokens: &'t [Token],
    file: FileId,
    offset: u32,
}

impl Reader<'_> {
    fn node(&self, node: &KdlNode) -> Node<'static> {
        let name = self.word(node.name());
        let annotation = node.ty().map(|ty| self.place(ty.span()));
        let entries: Vec<_> = node.entries().iter().map(|entry| self.entry(entry)).collect();
        let children: Option<Vec<_>> = node
            .children()
            .map(|document| document.nodes().iter().map(|node| self.node(node)).collect());
        let start = self.offset + node.span().offset() as u32;
        let mut end = entries.last().map_or(name.span.end, |entry| entry.span.end);
        if children.is_some() {
            end = self.block_end(end);
        }
        let span = Span { file: self.file, start, end };
        Node { name, annotation, entries, children, span }
    }

    fn entry(&self, entry: &KdlEntry) -> Entry<'static> {
        let span = self.place(entry.span());
        let literal = entry.format().map_or(0, |format| format.value_repr.len() as u32);
        let value = match entry.value() {
            KdlValue::String(text) => Value::String(Cow::Owned(text.clone())),
            KdlValue::Integer(number) => Value::Integer(*number),
            KdlValue::Float(number) => Value::Float(*number),
            KdlValue::Bool(value) => Value::Bool(*value),
            KdlValue::Null => Value::Null,
        };
        Entry {
            name: entry.name().map(|name| self.word(name)),
            annotation: entry.ty().map(|ty| self.place(ty.span())),
            value,
            value_span: Span { start: span.end.saturating_sub(literal), ..span },
            span,
        }
    }

    fn word(&self, word: &KdlIdentifier) -> Word<'static> {
        Word { text: Cow::Owned(word.value().to_owned()), span: self.place(word.span()) }
    }

    fn place(&self, span: miette::SourceSpan) -> Span {
        let start = self.offset + span.offset() as u32;
        Span { file: self.file, start, end: start + span.len() as u32 }
    }

    /// End of the first block after a place that no slashdash takes away.
    fn block_end(&self, after: u32) -> u32 {
        let from = self.tokens.partition_point(|token| token.start < after);
        let (mut depth, mut dashed, mut wanted) = (0_usize, false, false);
        for token in self.tokens.iter().skip(from) {
            match token.kind {
                Kind::Slashdash if depth == 0 => dashed = true,
                Kind::Open => {
                    wanted |= depth == 0 && !dashed;
                    depth += 1;
                }
                Kind::Close => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 && wanted {
                        return token.end;
                    }
                    dashed = false;
                }
                Kind::Newline | Kind::LineComment | Kind::BlockComment => {}
                _ if depth == 0 => dashed = false,
                _ => {}
            }
        }
        after
    }
}
