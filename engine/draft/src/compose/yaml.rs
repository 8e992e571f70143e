//! YAML to a tree with places. Aliases are copies, within a bound; merge keys are merged.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use crate::error::DraftError;

/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most nodes, those of aliases counted each time.
const MAX_NODES: usize = 200_000;
/// Most bytes of scalars, counted the same way.
const MAX_BYTES: usize = 16 << 20;

/// A node with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub span: Range<usize>,
    pub value: Yaml,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Yaml {
    Null,
    Text(String),
    List(Vec<Node>),
    /// Pairs in their order, each key once.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Yaml::Null => "nothing",
            Yaml::Text(_) => "a single value",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a map",
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Yaml::Map(pairs) => pairs.iter().find(|(known, _)| known == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Nodes and bytes in it.
    fn size(&self) -> (usize, usize) {
        let sum = |(nodes, bytes): (usize, usize), node: &Self| {
            let (more, longer) = node.size();
            (nodes + more, bytes + longer)
        };
        match &self.value {
            Yaml::Null => (1, 0),
            Yaml::Text(text) => (1, text.len()),
            Yaml::List(list) => list.iter().fold((1, 0), sum),
            Yaml::Map(pairs) => {
                let keys = pairs.iter().map(|(key, _)| key.len()).sum();
                pairs.iter().map(|(_, node)| node).fold((1, keys), sum)
            }
        }
    }
}

/// Reads the first document of a text.
pub(crate) fn read(path: &str, text: &str) -> Result<Node, DraftError> {
    let mut reader = Reader {
        path,
        text,
        offsets: Offsets::new(text),
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        bytes: 0,
    };
    reader.document()
}

struct Reader<'t> {
    path: &'t str,
    text: &'t str,
    offsets: Offsets,
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    bytes: usize,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Node, DraftError> {
        loop {
            match self.next()? {
                Some((Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _)) => {}
                Some((Event::StreamEnd | Event::DocumentEnd, _)) | None => {
                    return Ok(Node { span: 0..0, value: Yaml::Null });
                }
                Some((event, span)) => return self.node(event, span, 0),
            }
        }
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, DraftError> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                let at = self.offsets.byte(*error.marker());
                let message = format!("this is no YAML: {}", error.info());
                Err(self.wrong(at..at + 1, message))
            }
        }
    }

    fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> DraftError {
        DraftError::at(self.path, self.text, span, message)
    }

    fn range(&self, span: Span) -> Range<usize> {
        self.offsets.byte(span.start)..self.offsets.byte(span.end)
    }

    /// Counts a node.
    fn spend(&mut self, nodes: usize, bytes: usize, span: &Range<usize>) -> Result<(), DraftError> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > MAX_NODES || self.bytes > MAX_BYTES {
            let error = self.wrong(span.clone(), "the file grows too large with its aliases");
            return Err(error.help("write out what the aliases stand for, or take parts away"));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, DraftError> {
        let range = self.range(span);
        if depth > MAX_DEPTH {
            return Err(self.wrong(range, format!("this is nested more than {MAX_DEPTH} deep")));
        }
        let (anchor, node) = match event {
            Event::Alias(id) => {
                let Some(found) = self.anchors.get(&id).cloned() else {
                    let error = self.wrong(range, "this alias stands within what it names");
                    return Err(error.help("name an anchor that ends before"));
                };
                let (nodes, bytes) = found.size();
                self.spend(nodes, bytes, &range)?;
                return Ok(Node { span: range, ..found });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(1, text.len(), &range)?;
                let null = matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if plain && null { Yaml::Null } else { Yaml::Text(text.into_owned()) };
                (anchor, Node { span: range, value })
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(range, depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(range, depth)?),
            _ => return Err(self.wrong(range, "a value is wanted here")),
        };
        if anchor > 0 {
            // What is kept for aliases counts too: anchors within anchors are kept again.
            let (nodes, bytes) = node.size();
            self.spend(nodes, bytes, &node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, range: Range<usize>, depth: usize) -> Result<Node, DraftError> {
        self.spend(1, 0, &range)?;
        let mut list = Vec::new();
        loop {
            match self.next()? {
                Some((Event::SequenceEnd, _)) | None => break,
                Some((event, span)) => list.push(self.node(event, span, depth + 1)?),
            }
        }
        let end = list.last().map_or(range.end, |node| node.span.end.max(range.end));
        Ok(Node { span: range.start..end, value: Yaml::List(list) })
    }

    fn map(&mut self, range: Range<usize>, depth: usize) -> Result<Node, DraftError> {
        self.spend(1, 0, &range)?;
        let mut pairs: Vec<(String, Node)> = Vec::new();
        let mut at: BTreeMap<String, usize> = BTreeMap::new();
        let mut merged = Vec::new();
        loop {
            let key = match self.next()? {
                Some((Event::MappingEnd, _)) | None => break,
                Some((event, span)) => self.node(event, span, depth + 1)?,
            };
            let Some((event, span)) = self.next()? else { break };
            let value = self.node(event, span, depth + 1)?;
            let name = match key.value {
                Yaml::Text(name) => name,
                Yaml::Null => "null".to_owned(),
                _ => return Err(self.wrong(key.span, "a key is a single value")),
            };
            if name == "<<" {
                merged.push(value);
            } else if at.contains_key(&name) {
                let error = self.wrong(key.span, format!("`{name}` stands here twice"));
                return Err(error.help("keep one of them"));
            } else {
                at.insert(name.clone(), pairs.len());
                pairs.push((name, value));
            }
        }
        for value in merged {
            for (name, node) in self.merge(value)? {
                if !at.contains_key(&name) {
                    at.insert(name.clone(), pairs.len());
                    pairs.push((name, node));
                }
            }
        }
        let end = pairs.last().map_or(range.end, |(_, node)| node.span.end.max(range.end));
        Ok(Node { span: range.start..end, value: Yaml::Map(pairs) })
    }

    /// The pairs of a merge key, the first of each name counting.
    fn merge(&self, value: Node) -> Result<Vec<(String, Node)>, DraftError> {
        match value.value {
            Yaml::Map(pairs) => Ok(pairs),
            Yaml::List(list) => {
                let mut all = Vec::new();
                for node in list {
                    match node.value {
                        Yaml::Map(pairs) => all.extend(pairs),
                        _ => return Err(self.wrong(node.span, "`<<` merges maps alone")),
                    }
                }
                Ok(all)
            }
            Yaml::Null => Ok(Vec::new()),
            Yaml::Text(_) => Err(self.wrong(value.span, "`<<` merges maps alone")),
        }
    }
}

/// Bytes of characters by their number: the parser counts in characters.
struct Offsets(Option<Vec<u32>>);

impl Offsets {
    fn new(text: &str) -> Self {
        if text.is_ascii() {
            return Self(None);
        }
        let starts = text.char_indices().map(|(at, _)| at);
        Self(Some(
            starts.chain([text.len()]).map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect(),
        ))
    }

    fn byte(&self, marker: Marker) -> usize {
        match &self.0 {
            None => marker.index(),
            Some(starts) => {
                starts.get(marker.index()).or(starts.last()).map_or(0, |at| *at as usize)
            }
        }
    }
}
