//! Answers to requests: places to bytes, a question to the language, its answer to the editor's
//! types.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use gen_lsp_types as lsp;
use lsp_server::{ErrorCode, ResponseError};
use mabuild_lang::ide::{CompletionKind, Place, Symbol};
use mabuild_lang::schema::Noun;
use serde_json::Value;

use super::docs::path_of;
use super::projects::Project;
use super::text::{Encoding, Lines, difference};
use super::{Server, error, read, value};

/// A file of a description, and the lines of its text.
struct Spot<'s> {
    path: PathBuf,
    project: &'s Project,
    /// Path of the file in the description.
    name: &'s Arc<str>,
    lines: Lines<'s>,
}

impl Spot<'_> {
    fn offset(&self, position: lsp::Position) -> u32 {
        self.lines.offset(position) as u32
    }
}

/// An answer; none where there is nothing to say.
type Answer<R> = Result<Option<R>, ResponseError>;

impl Server {
    /// Answers a request.
    pub(super) fn answer(&self, method: &str, params: Value) -> Result<Value, ResponseError> {
        match method {
            "textDocument/hover" => value(self.hover(&read(params)?)?),
            "textDocument/completion" => value(self.completion(&read(params)?)?),
            "textDocument/definition" => value(self.definition(&read(params)?)?),
            "textDocument/references" => value(self.references(&read(params)?)?),
            "textDocument/documentHighlight" => value(self.highlights(&read(params)?)?),
            "textDocument/prepareRename" => value(self.prepare_rename(&read(params)?)?),
            "textDocument/rename" => value(self.rename(&read(params)?)?),
            "textDocument/documentSymbol" => value(self.symbols(&read(params)?)?),
            "textDocument/foldingRange" => value(self.folds(&read(params)?)?),
            "textDocument/formatting" => value(self.formatting(&read(params)?)?),
            "textDocument/codeAction" => value(self.fixes(read(params)?)?),
            _ => Err(error(ErrorCode::MethodNotFound, &format!("`{method}` is not known here"))),
        }
    }

    /// An open file that is part of a description.
    fn spot(&self, document: &lsp::TextDocumentIdentifier) -> Option<Spot<'_>> {
        let path = path_of(&document.uri);
        let project = self.projects.of(&path)?;
        let name = project.name(&path)?;
        let lines = Lines::new(project.world.text(name)?, self.encoding);
        Some(Spot { path, project, name, lines })
    }

    fn hover(&self, params: &lsp::HoverParams) -> Answer<lsp::Hover> {
        let at = &params.text_document_position_params;
        let Some(spot) = self.spot(&at.text_document) else { return Ok(None) };
        let hover = spot.project.world.hover(spot.name, spot.offset(at.position));
        Ok(hover.map(|hover| lsp::Hover {
            range: Some(spot.lines.range(&hover.range)),
            contents: lsp::Contents::MarkupContent(markdown(hover.markdown)),
        }))
    }

    fn completion(&self, params: &lsp::CompletionParams) -> Answer<lsp::CompletionList> {
        let at = &params.text_document_position_params;
        let Some(spot) = self.spot(&at.text_document) else { return Ok(None) };
        let found = spot.project.world.complete(spot.name, spot.offset(at.position));
        let range = spot.lines.range(&found.replace);
        if range.start.line != range.end.line {
            // Editors take edits of one line alone here.
            return Ok(None);
        }
        let item = |(at, item): (usize, mabuild_lang::ide::Completion)| {
            let snippet = item.snippet.filter(|_| self.snippets);
            let format = snippet.as_ref().map(|_| lsp::InsertTextFormat::Snippet);
            let edit = lsp::TextEdit { range, new_text: snippet.unwrap_or(item.insert) };
            lsp::CompletionItem {
                label: item.label,
                kind: Some(completion_kind(item.kind)),
                detail: Some(item.detail).filter(|detail| !detail.is_empty()),
                documentation: (!item.doc.is_empty())
                    .then(|| lsp::Documentation::MarkupContent(markdown(item.doc))),
                sort_text: Some(format!("{at:04}")),
                insert_text_format: format,
                text_edit: Some(lsp::CompletionItemTextEdit::TextEdit(edit)),
                ..Default::default()
            }
        };
        let items = found.items.into_iter().enumerate().map(item).collect();
        let is_incomplete = found.incomplete;
        Ok(Some(lsp::CompletionList { is_incomplete, items, ..Default::default() }))
    }

    fn definition(&self, params: &lsp::DefinitionParams) -> Answer<Vec<lsp::Location>> {
        let at = &params.text_document_position_params;
        let Some(spot) = self.spot(&at.text_document) else { return Ok(None) };
        let mut places = spot.project.world.definition(spot.name, spot.offset(at.position));
        places.retain(|place| {
            let known = spot.project.world.contains(&place.file);
            known || self.docs.is_file(&spot.project.full(&place.file))
        });
        Ok(Some(self.locations(&spot, &places)))
    }

    fn references(&self, params: &lsp::ReferenceParams) -> Answer<Vec<lsp::Location>> {
        let at = &params.text_document_position_params;
        let Some(spot) = self.spot(&at.text_document) else { return Ok(None) };
        let declared = params.context.include_declaration;
        let offset = spot.offset(at.position);
        let places = spot.project.world.references(spot.name, offset, declared);
        Ok(Some(self.locations(&spot, &places)))
    }

    /// The uses of a name in the same file.
    fn highlights(
        &self,
        params: &lsp::DocumentHighlightParams,
    ) -> Answer<Vec<lsp::DocumentHighlight>> {
        let at = &params.text_document_position_params;
        let Some(spot) = self.spot(&at.text_document) else { return Ok(None) };
        let places = spot.project.world.references(spot.name, spot.offset(at.position), true);
        let here = places.iter().filter(|place| place.file == *spot.name);
        let highlight = |place: &Place| lsp::DocumentHighlight {
            range: spot.lines.range(&place.range),
            kind: Some(lsp::DocumentHighlightKind::Text),
        };
        Ok(Some(here.map(highlight).collect()))
    }

    fn locations(&self, spot: &Spot<'_>, places: &[Place]) -> Vec<lsp::Location> {
        let mut ranges = Ranges::new(spot.project, self.encoding);
        let location = |place: &Place| lsp::Location {
            uri: self.docs.uri(&spot.project.full(&place.file)),
            range: ranges.of(place),
        };
        places.iter().map(location).collect()
    }

    fn prepare_rename(
        &self,
        params: &lsp::PrepareRenameParams,
    ) -> Answer<lsp::PrepareRenamePlaceholder> {
        let at = &params.text_document_position_params;
        let Some(spot) = self.spot(&at.text_document) else { return Ok(None) };
        let world = &spot.project.world;
        let Some(place) = world.prepare_rename(spot.name, spot.offset(at.position)) else {
            return Ok(None);
        };
        let (start, end) = (place.range.start as usize, place.range.end as usize);
        let text = world.text(spot.name).and_then(|text| text.get(start..end));
        Ok(Some(lsp::PrepareRenamePlaceholder {
            range: spot.lines.range(&place.range),
            placeholder: text.unwrap_or_default().to_owned(),
        }))
    }

    fn rename(&self, params: &lsp::RenameParams) -> Answer<lsp::WorkspaceEdit> {
        let at = &params.text_document_position_params;
        let Some(spot) = self.spot(&at.text_document) else { return Ok(None) };
        let edits = spot
            .project
            .world
            .rename(spot.name, spot.offset(at.position), &params.new_name)
            .map_err(|why| error(ErrorCode::RequestFailed, &why))?;
        let mut ranges = Ranges::new(spot.project, self.encoding);
        let mut changes: HashMap<lsp::Uri, Vec<lsp::TextEdit>> = HashMap::new();
        for (place, new_text) in edits {
            let uri = self.docs.uri(&spot.project.full(&place.file));
            let edit = lsp::TextEdit { range: ranges.of(&place), new_text };
            changes.entry(uri).or_default().push(edit);
        }
        Ok(Some(lsp::WorkspaceEdit { changes: Some(changes), ..Default::default() }))
    }

    fn symbols(&self, params: &lsp::DocumentSymbolParams) -> Answer<Vec<lsp::DocumentSymbol>> {
        let Some(spot) = self.spot(&params.text_document) else { return Ok(None) };
        let symbols = spot.project.world.symbols(spot.name);
        Ok(Some(symbols.into_iter().map(|symbol| document_symbol(symbol, &spot.lines)).collect()))
    }

    fn folds(&self, params: &lsp::FoldingRangeParams) -> Answer<Vec<lsp::FoldingRange>> {
        let Some(spot) = self.spot(&params.text_document) else { return Ok(None) };
        let folds = spot.project.world.folds(spot.name);
        let fold = |fold: mabuild_lang::ide::Fold| {
            let range = spot.lines.range(&fold.range);
            lsp::FoldingRange {
                start_line: range.start.line,
                start_character: Some(range.start.character),
                end_line: range.end.line,
                end_character: Some(range.end.character),
                kind: fold.comment.then_some(lsp::FoldingRangeKind::Comment),
                ..Default::default()
            }
        };
        Ok(Some(folds.into_iter().map(fold).collect()))
    }

    /// The canonical layout. A text with mistakes has none; they are told of anyway.
    fn formatting(&self, params: &lsp::DocumentFormattingParams) -> Answer<Vec<lsp::TextEdit>> {
        let Some(spot) = self.spot(&params.text_document) else { return Ok(None) };
        let Some(doc) = self.docs.get(&spot.path) else { return Ok(None) };
        let Ok(new) = mabuild_lang::format(spot.name, &doc.text) else { return Ok(None) };
        let edit = difference(&doc.text, &new);
        let edit = edit
            .map(|(range, new_text)| lsp::TextEdit { range: spot.lines.range(&range), new_text });
        Ok(Some(edit.into_iter().collect()))
    }

    /// What mistakes say was meant.
    fn fixes(&self, params: lsp::CodeActionParams) -> Answer<Vec<lsp::CodeAction>> {
        let uri = params.text_document.uri;
        let fix = |diagnostic: lsp::Diagnostic| {
            let text = diagnostic.data.as_ref()?.get("replacement")?.as_str()?.to_owned();
            let title = format!("Write {}", text.trim_matches('"'));
            let edit = lsp::TextEdit { range: diagnostic.range, new_text: text };
            let changes = HashMap::from([(uri.clone(), vec![edit])]);
            Some(lsp::CodeAction {
                title,
                kind: Some(lsp::CodeActionKind::QuickFix),
                is_preferred: Some(true),
                diagnostics: Some(vec![diagnostic]),
                edit: Some(lsp::WorkspaceEdit { changes: Some(changes), ..Default::default() }),
                ..Default::default()
            })
        };
        let ours = params.context.diagnostics.into_iter();
        let ours = ours.filter(|d| d.source.as_deref() == Some(super::check::SOURCE));
        Ok(Some(ours.filter_map(fix).collect()))
    }
}

/// Ranges in all files of a description.
struct Ranges<'p> {
    project: &'p Project,
    encoding: Encoding,
    lines: HashMap<Arc<str>, Lines<'p>>,
}

impl<'p> Ranges<'p> {
    fn new(project: &'p Project, encoding: Encoding) -> Self {
        Self { project, encoding, lines: HashMap::new() }
    }

    fn of(&mut self, place: &Place) -> lsp::Range {
        let Some(text) = self.project.world.text(&place.file) else { return lsp::Range::default() };
        let lines = self.lines.entry(place.file.clone());
        lines.or_insert_with(|| Lines::new(text, self.encoding)).range(&place.range)
    }
}

fn markdown(value: String) -> lsp::MarkupContent {
    lsp::MarkupContent { kind: lsp::MarkupKind::Markdown, value }
}

fn completion_kind(kind: CompletionKind) -> lsp::CompletionItemKind {
    match kind {
        CompletionKind::Node => lsp::CompletionItemKind::Keyword,
        CompletionKind::Property => lsp::CompletionItemKind::Property,
        CompletionKind::Name => lsp::CompletionItemKind::Class,
        CompletionKind::Platform => lsp::CompletionItemKind::Constant,
        CompletionKind::Word => lsp::CompletionItemKind::Value,
        CompletionKind::Variable => lsp::CompletionItemKind::Variable,
    }
}

fn document_symbol(symbol: Symbol, lines: &Lines<'_>) -> lsp::DocumentSymbol {
    let kind = match symbol.noun {
        Some(Noun::Base) => lsp::SymbolKind::Package,
        Some(Noun::Image) => lsp::SymbolKind::Class,
        Some(Noun::Template) => lsp::SymbolKind::Interface,
        Some(Noun::Group) => lsp::SymbolKind::Namespace,
        Some(Noun::Builder) => lsp::SymbolKind::Object,
        Some(Noun::Let) => lsp::SymbolKind::Variable,
        Some(Noun::Axis) => lsp::SymbolKind::Enum,
        None => lsp::SymbolKind::Property,
    };
    let children: Vec<lsp::DocumentSymbol> =
        symbol.children.into_iter().map(|child| document_symbol(child, lines)).collect();
    lsp::DocumentSymbol::new(
        symbol.name,
        Some(symbol.detail).filter(|detail| !detail.is_empty()),
        kind,
        None,
        None,
        lines.range(&symbol.range),
        lines.range(&symbol.name_range),
        (!children.is_empty()).then_some(children),
    )
}
