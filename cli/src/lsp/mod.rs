//! The language server: what `mabuild_lang::ide` and `mabuild_lang::load` know of the files that
//! an editor has open. Synchronous: a thread reads messages, this one answers in their order, a
//! third looks for mistakes.

mod answers;
mod check;
mod docs;
mod hello;
mod projects;
mod text;
mod wire;

use std::io::{BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use gen_lsp_types as lsp;
use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response, ResponseError};
use mabuild_lang::Vars;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use check::{Checker, Job};
use docs::{Docs, path_of};
use projects::Projects;
use text::Encoding;
use wire::Output;

/// Messages that wait until they are answered.
const QUEUE: usize = 10_000;

/// What the server is started with.
pub struct Setup {
    /// The main file, where the command line names one.
    pub main: Option<PathBuf>,
    /// Values from outside of the files.
    pub vars: Vars,
}

/// What comes in.
enum Event {
    Message(Message),
    /// Something that is no message.
    Noise(String),
    /// Nothing any more.
    End,
}

/// Whether to go on.
enum Next {
    Go,
    /// The session is over; whether in good order.
    Stop(bool),
}

/// Serves one session; whether it ended in good order.
pub fn serve(
    setup: Setup,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> bool {
    let (sender, events) = mpsc::sync_channel(QUEUE);
    let reader = std::thread::Builder::new().name("lsp-reader".to_owned()).spawn(move || {
        let mut input = BufReader::new(input);
        loop {
            let event = match wire::read(&mut input) {
                Ok(Some(Ok(message))) => Event::Message(message),
                Ok(Some(Err(why))) => Event::Noise(why),
                Ok(None) | Err(_) => Event::End,
            };
            let end = matches!(event, Event::End);
            if sender.send(event).is_err() || end {
                return;
            }
        }
    });
    reader.is_ok() && Server::new(setup, Output::new(output)).run(&events)
}

/// A session.
struct Server {
    output: Output,
    vars: Arc<Vars>,
    docs: Docs,
    projects: Projects,
    encoding: Encoding,
    /// Whether the editor knows snippets.
    snippets: bool,
    /// To the thread that looks for mistakes; none before the editor has said hello.
    checker: Option<Sender<Job>>,
    /// Whether texts changed since the descriptions were read.
    dirty: bool,
    /// Whether texts changed since mistakes were looked for.
    unchecked: bool,
    shut_down: bool,
}

impl Server {
    fn new(setup: Setup, output: Output) -> Self {
        Self {
            output,
            vars: Arc::new(setup.vars),
            docs: Docs::default(),
            projects: Projects::new(setup.main),
            encoding: Encoding::Utf16,
            snippets: false,
            checker: None,
            dirty: false,
            unchecked: false,
            shut_down: false,
        }
    }

    fn run(mut self, events: &Receiver<Event>) -> bool {
        loop {
            // Many changes that have come at once are looked at once.
            let event = events.try_recv().or_else(|_| {
                self.settle();
                events.recv()
            });
            let next = match event {
                Ok(Event::Message(Message::Request(request))) => self.request(request),
                Ok(Event::Message(Message::Notification(note))) => self.notification(note),
                Ok(Event::Message(Message::Response(_))) => Next::Go,
                Ok(Event::Noise(why)) => {
                    let params = json!({ "type": 1, "message": format!("not a message: {why}") });
                    let method = "window/logMessage".to_owned();
                    self.output.send(Notification { method, params });
                    Next::Go
                }
                Ok(Event::End) | Err(_) => Next::Stop(self.shut_down),
            };
            if let Next::Stop(well) = next {
                return well;
            }
        }
    }

    /// Reads the descriptions anew if a text changed.
    fn refresh(&mut self) {
        if std::mem::take(&mut self.dirty) {
            self.projects.update(&self.docs);
            self.unchecked = true;
        }
    }

    /// Has mistakes looked for if a text changed.
    fn settle(&mut self) {
        self.refresh();
        if let Some(checker) = &self.checker
            && std::mem::take(&mut self.unchecked)
        {
            let job = Job { mains: self.projects.mains(), docs: self.docs.clone() };
            // A checker that is gone has left its trace on standard error.
            let _ = checker.send(job);
        }
    }

    fn request(&mut self, request: Request) -> Next {
        let Request { id, method, params } = request;
        let result = match (method.as_str(), &self.checker) {
            ("initialize", None) => self.hello(&params),
            (_, Some(_)) if self.shut_down => {
                Err(error(ErrorCode::InvalidRequest, "the session was shut down"))
            }
            ("initialize", Some(_)) => {
                Err(error(ErrorCode::InvalidRequest, "the session has begun already"))
            }
            (_, None) => Err(error(ErrorCode::ServerNotInitialized, "`initialize` comes first")),
            ("shutdown", _) => {
                self.shut_down = true;
                Ok(Value::Null)
            }
            _ => {
                self.refresh();
                self.answer(&method, params)
            }
        };
        self.respond(id, result);
        Next::Go
    }

    fn respond(&self, id: RequestId, response_result: Result<Value, ResponseError>) {
        self.output.send(Response { id, response_result });
    }

    /// Agrees with the editor on what both can, and starts looking for mistakes.
    fn hello(&mut self, params: &Value) -> Result<Value, ResponseError> {
        let client = hello::Client::read(params);
        (self.encoding, self.snippets) = (client.encoding, client.snippets);
        self.projects.folders = client.folders.iter().map(path_of).collect();
        let (sender, jobs) = mpsc::channel();
        let checker = Checker::new(self.vars.clone(), self.encoding, self.output.clone());
        std::thread::Builder::new()
            .name("lsp-checker".to_owned())
            .spawn(move || checker.run(&jobs))
            .map_err(|e| error(ErrorCode::InternalError, &e.to_string()))?;
        self.checker = Some(sender);
        value(hello::capabilities(self.encoding))
    }

    fn notification(&mut self, note: Notification) -> Next {
        if note.method == "exit" {
            return Next::Stop(self.shut_down);
        }
        if self.checker.is_none() || self.shut_down {
            return Next::Go;
        }
        let params = note.params;
        match note.method.as_str() {
            "textDocument/didOpen" => {
                if let Ok(params) = read::<lsp::DidOpenTextDocumentParams>(params) {
                    self.docs.open(params.text_document);
                }
            }
            "textDocument/didChange" => {
                if let Ok(params) = read::<lsp::DidChangeTextDocumentParams>(params) {
                    self.docs.change(params, self.encoding);
                }
            }
            "textDocument/didClose" => {
                if let Ok(params) = read::<lsp::DidCloseTextDocumentParams>(params) {
                    self.docs.close(&params.text_document.uri);
                }
            }
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" => {
                self.docs.changed_on_disk();
            }
            "workspace/didChangeWorkspaceFolders" => {
                if let Ok(params) = read::<lsp::DidChangeWorkspaceFoldersParams>(params) {
                    let gone: Vec<PathBuf> =
                        params.event.removed.iter().map(|folder| path_of(&folder.uri)).collect();
                    let folders = &mut self.projects.folders;
                    folders.retain(|folder| !gone.contains(folder));
                    folders.extend(params.event.added.iter().map(|folder| path_of(&folder.uri)));
                }
            }
            _ => return Next::Go,
        }
        self.dirty = true;
        Next::Go
    }
}

/// The parameters of a message.
fn read<P: DeserializeOwned>(params: Value) -> Result<P, ResponseError> {
    serde_json::from_value(params).map_err(|e| error(ErrorCode::InvalidParams, &e.to_string()))
}

/// The result of a request.
fn value(result: impl serde::Serialize) -> Result<Value, ResponseError> {
    serde_json::to_value(result).map_err(|e| error(ErrorCode::InternalError, &e.to_string()))
}

fn error(code: ErrorCode, message: &str) -> ResponseError {
    ResponseError { code: code as i32, message: message.to_owned(), data: None }
}
