//! The first exchange: what the editor can, and what this server does.

use gen_lsp_types as lsp;
use serde_json::Value;

use super::text::Encoding;

/// What is to be known of an editor.
pub struct Client {
    /// What its columns count.
    pub encoding: Encoding,
    /// Whether it knows snippets.
    pub snippets: bool,
    /// The folders that it has open.
    pub folders: Vec<lsp::Uri>,
}

impl Client {
    /// Reads the parameters of `initialize`. Only what is needed is looked at, so that nothing
    /// else that an editor says of itself can keep it from being served.
    pub fn read(params: &Value) -> Self {
        let at = |path: &str| params.pointer(path);
        let encodings = at("/capabilities/general/positionEncodings").and_then(Value::as_array);
        let utf8 = encodings.is_some_and(|all| all.iter().any(|encoding| encoding == "utf-8"));
        let snippets = at("/capabilities/textDocument/completion/completionItem/snippetSupport");
        let uri = |value: &Value| value.as_str().map(lsp::Uri::from);
        let folders = at("/workspaceFolders").and_then(Value::as_array);
        let mut folders: Vec<lsp::Uri> =
            folders.into_iter().flatten().filter_map(|folder| uri(folder.get("uri")?)).collect();
        if folders.is_empty() {
            folders.extend(at("/rootUri").and_then(uri));
        }
        Self {
            encoding: if utf8 { Encoding::Utf8 } else { Encoding::Utf16 },
            snippets: snippets.and_then(Value::as_bool).unwrap_or(false),
            folders,
        }
    }
}

/// What this server does.
pub fn capabilities(encoding: Encoding) -> lsp::InitializeResult {
    let triggers = ["\"", "{", "[", "=", " ", ",", "/", ":"];
    let capabilities = lsp::ServerCapabilities {
        position_encoding: Some(match encoding {
            Encoding::Utf8 => lsp::PositionEncodingKind::UTF8,
            Encoding::Utf16 => lsp::PositionEncodingKind::UTF16,
        }),
        text_document_sync: Some(lsp::TextDocumentSync::Options(lsp::TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(lsp::TextDocumentSyncKind::Incremental),
            save: Some(lsp::Save::Bool(true)),
            ..Default::default()
        })),
        completion_provider: Some(lsp::CompletionOptions {
            trigger_characters: Some(triggers.map(str::to_owned).to_vec()),
            ..Default::default()
        }),
        hover_provider: Some(lsp::HoverProvider::Bool(true)),
        definition_provider: Some(lsp::DefinitionProvider::Bool(true)),
        references_provider: Some(lsp::ReferencesProvider::Bool(true)),
        document_highlight_provider: Some(lsp::DocumentHighlightProvider::Bool(true)),
        document_symbol_provider: Some(lsp::DocumentSymbolProvider::Bool(true)),
        folding_range_provider: Some(lsp::FoldingRangeProvider::Bool(true)),
        document_formatting_provider: Some(lsp::DocumentFormattingProvider::Bool(true)),
        code_action_provider: Some(lsp::CodeActionProvider::CodeActionOptions(
            lsp::CodeActionOptions {
                code_action_kinds: Some(vec![lsp::CodeActionKind::QuickFix]),
                ..Default::default()
            },
        )),
        rename_provider: Some(lsp::RenameProvider::RenameOptions(lsp::RenameOptions {
            prepare_provider: Some(true),
            ..Default::default()
        })),
        workspace: Some(lsp::WorkspaceOptions {
            workspace_folders: Some(lsp::WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(lsp::ChangeNotifications::Bool(true)),
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let server_info = Some(lsp::ServerInfo { name: "mabuild".to_owned(), version });
    lsp::InitializeResult { capabilities, server_info }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_editor_may_say_anything_of_itself() {
        for odd in [json!(null), json!([1]), json!({"capabilities": 1, "workspaceFolders": {}})] {
            let client = Client::read(&odd);
            assert_eq!((client.encoding, client.snippets), (Encoding::Utf16, false));
        }
        let client = Client::read(&json!({
            "rootUri": "file:///x",
            "workspaceFolders": null,
            "capabilities": {"general": {"positionEncodings": ["utf-32", "utf-8"]}},
        }));
        assert_eq!(client.encoding, Encoding::Utf8);
        assert_eq!(client.folders, [lsp::Uri::from("file:///x")]);
    }
}
