//! The language server, spoken to as an editor does.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use mabuild_tests::env::TestEnv;
use serde_json::{Value, json};

/// Longest time an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An editor with one server.
struct Editor {
    env: TestEnv,
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Value>,
    /// What came before it was asked for.
    early: VecDeque<Value>,
    /// The mistakes that the editor shows, by file.
    shown: HashMap<String, Vec<Value>>,
    last: i64,
}

impl Editor {
    /// Starts the server and says hello.
    fn new(env: TestEnv, capabilities: Value) -> Self {
        let mut editor = Self::start(env);
        let folder = editor.uri("");
        let hello = json!({
            "processId": null,
            "rootUri": folder,
            "workspaceFolders": [{"uri": folder, "name": "project"}],
            "capabilities": capabilities,
        });
        let answer = editor.ask("initialize", hello).unwrap();
        assert_eq!(answer["serverInfo"]["name"], "mabuild");
        editor.tell("initialized", json!({}));
        editor
    }

    fn start(env: TestEnv) -> Self {
        let mut command = env.command(&["lsp", "--stdio"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let mut stream = BufReader::new(child.stdout.take().unwrap());
        let (sender, output) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut stream) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { env, child, input, output, early: VecDeque::new(), shown: HashMap::new(), last: 0 }
    }

    fn uri(&self, path: &str) -> String {
        format!("file://{}", self.env.path(path).to_str().unwrap().trim_end_matches('/'))
    }

    fn raw(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).unwrap();
        input.flush().unwrap();
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Asks and waits for the result; the error is that of the server.
    fn ask(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.last += 1;
        let id = self.last;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let answer = self.wait(|message| message["id"] == id);
        match answer.get("error") {
            Some(error) => Err(error["message"].as_str().unwrap().to_owned()),
            None => Ok(answer["result"].clone()),
        }
    }

    /// Waits for a message.
    fn wait(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.early.iter().position(&wanted) {
            return self.early.remove(at).unwrap();
        }
        loop {
            match self.next() {
                Some(message) if wanted(&message) => return message,
                Some(message) => self.early.push_back(message),
                None => {}
            }
        }
    }

    /// The next message; none for one about mistakes, which are shown.
    fn next(&mut self) -> Option<Value> {
        let message = match self.output.recv_timeout(PATIENCE) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("no answer; shown are {:?}", self.shown),
            Err(RecvTimeoutError::Disconnected) => panic!("the server is gone"),
        };
        if message["method"] != "textDocument/publishDiagnostics" {
            return Some(message);
        }
        let params = &message["params"];
        let uri = params["uri"].as_str().unwrap().to_owned();
        self.shown.insert(uri, params["diagnostics"].as_array().unwrap().clone());
        None
    }

    /// Waits until the mistakes that are shown of a file are as many as a test wants; gives them.
    fn mistakes(&mut self, path: &str, count: usize) -> Vec<Value> {
        let uri = self.uri(path);
        self.mistakes_of(&uri, count)
    }

    fn mistakes_of(&mut self, uri: &str, count: usize) -> Vec<Value> {
        loop {
            if let Some(shown) = self.shown.get(uri).filter(|shown| shown.len() == count) {
                return shown.clone();
            }
            if let Some(message) = self.next() {
                self.early.push_back(message);
            }
        }
    }

    /// Writes a file and opens it.
    fn open(&mut self, path: &str, text: &str) {
        self.env.write(path, text);
        self.open_unsaved(path, text);
    }

    fn open_unsaved(&mut self, path: &str, text: &str) {
        let uri = self.uri(path);
        let item = json!({"uri": uri, "languageId": "kdl", "version": 1, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": item}));
    }

    /// Changes a part of a file: `[line, column, line, column]`.
    fn change(&mut self, path: &str, version: i64, range: [u32; 4], text: &str) {
        let [line, column, end_line, end_column] = range;
        let range = json!({
            "start": {"line": line, "character": column},
            "end": {"line": end_line, "character": end_column},
        });
        let document = json!({"uri": self.uri(path), "version": version});
        let changes = json!([{"range": range, "text": text}]);
        let params = json!({"textDocument": document, "contentChanges": changes});
        self.tell("textDocument/didChange", params);
    }

    /// The parameters of a request about a place.
    fn at(&self, path: &str, line: u32, character: u32) -> Value {
        let position = json!({"line": line, "character": character});
        json!({"textDocument": {"uri": self.uri(path)}, "position": position})
    }

    /// `path:line:column` of a list of locations.
    fn places(&self, locations: &Value) -> Vec<String> {
        let project = self.uri("");
        let show = |location: &Value| {
            let start = &location["range"]["start"];
            let uri = location["uri"].as_str().unwrap().strip_prefix(&project).unwrap();
            format!("{uri}:{}:{}", start["line"], start["character"])
        };
        locations.as_array().unwrap().iter().map(show).collect()
    }

    /// Ends the session in good order.
    fn end(mut self) {
        assert_eq!(self.ask("shutdown", Value::Null), Ok(Value::Null));
        self.ask("textDocument/hover", self.at("mabuild.kdl", 0, 0)).unwrap_err();
        self.tell("exit", Value::Null);
        assert_eq!(self.exit_code(), Some(0));
    }

    fn exit_code(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // A test that failed leaves no server behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(stream: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).unwrap())
}

const MAIN: &str = r#"mabuild 1
platforms "linux/amd64" "linux/arm64"
include "teams/*.kdl"
let suite "bookworm"
base "minideb" {
    debian "{{suite}}" { variant "extract" }
}
template "service" {
    label "suite" "{{suite}}"
}
"#;

const WEB: &str = r#"image "web" {
    use "service"
    from "minideb"
    tags "{{suite}}"
}
image "proxy" { from "web" }
"#;

fn project() -> Editor {
    let env = TestEnv::new();
    env.write("teams/web.kdl", WEB);
    let mut editor = Editor::new(env, json!({}));
    editor.open("mabuild.kdl", MAIN);
    editor.open("teams/web.kdl", WEB);
    editor
}

#[test]
fn mistakes_come_and_go_as_one_types() {
    let mut editor = project();
    editor.mistakes("mabuild.kdl", 0);
    // `minideb` is called otherwise: the file that includes it is right, the other is not.
    editor.change("mabuild.kdl", 2, [4, 6, 4, 13], "debian");
    let mistakes = editor.mistakes("teams/web.kdl", 1);
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert_eq!(mistakes[0]["code"], "mabuild::lang::reference");
    assert_eq!(mistakes[0]["range"]["start"], json!({"line": 2, "character": 9}));
    assert!(mistakes[0]["message"].as_str().unwrap().contains("minideb"));
    editor.change("mabuild.kdl", 3, [4, 6, 4, 12], "minideb");
    editor.mistakes("teams/web.kdl", 0);
    // A file that is not open is told of too, and no longer once all is well.
    editor.tell(
        "textDocument/didClose",
        json!({"textDocument": {"uri": editor.uri("teams/web.kdl")}}),
    );
    editor.change("mabuild.kdl", 4, [4, 6, 4, 13], "other");
    editor.mistakes("teams/web.kdl", 1);
    editor.change("mabuild.kdl", 5, [4, 6, 4, 11], "minideb");
    editor.mistakes("teams/web.kdl", 0);
    editor.end();
}

#[test]
fn mistakes_of_dockerfiles_stand_in_dockerfiles() {
    let env = TestEnv::new();
    env.write("web/Dockerfile", "FROM busybox:1\nRUN true\n");
    let mut editor = Editor::new(env, json!({}));
    let text =
        "mabuild 1\nplatforms \"linux/amd64\"\nimage \"web\" { dockerfile \"web/Dockerfile\" }\n";
    editor.open("mabuild.kdl", text);
    editor.mistakes("mabuild.kdl", 0);
    // What was typed and not saved counts.
    editor.open_unsaved("web/Dockerfile", "FROM busybox:1\nRNU true\n");
    let mistakes = editor.mistakes("web/Dockerfile", 1);
    assert_eq!(mistakes[0]["code"], "mabuild::dockerfile::unknown-instruction");
    assert_eq!(mistakes[0]["range"]["start"], json!({"line": 1, "character": 0}));
    assert_eq!(mistakes[0]["data"]["replacement"], "RUN");
    editor.mistakes("mabuild.kdl", 0);
    // It is no text of the language: nothing of that is offered in it.
    let at = editor.at("web/Dockerfile", 0, 0);
    assert_eq!(editor.ask("textDocument/completion", at), Ok(Value::Null));
    // With the description closed it still belongs to it.
    let close = |editor: &mut Editor, path| {
        let document = json!({"textDocument": {"uri": editor.uri(path)}});
        editor.tell("textDocument/didClose", document);
    };
    close(&mut editor, "mabuild.kdl");
    editor.change("web/Dockerfile", 2, [1, 0, 1, 3], "RUN");
    editor.mistakes("mabuild.kdl", 0);
    editor.change("web/Dockerfile", 3, [0, 0, 0, 4], "FORM");
    editor.mistakes("web/Dockerfile", 1);
    // Closed without saving, the file counts again.
    editor.open_unsaved("mabuild.kdl", text);
    close(&mut editor, "web/Dockerfile");
    editor.mistakes("web/Dockerfile", 0);
    let found = editor.ask("textDocument/definition", editor.at("mabuild.kdl", 2, 30)).unwrap();
    assert_eq!(editor.places(&found), ["/web/Dockerfile:0:0"]);
    editor.end();
}

#[test]
fn a_mistake_can_be_mended_with_one_key() {
    let mut editor = Editor::new(TestEnv::new(), json!({}));
    editor
        .open("mabuild.kdl", "mabuild 1\nplatforms \"linux/amd64\"\nbase \"b\" { platfroms \"linux/386\"; debian \"x\" { variant \"extract\" } }\n");
    let mistakes = editor.mistakes("mabuild.kdl", 1);
    let range = mistakes[0]["range"].clone();
    let context = json!({"diagnostics": mistakes});
    let document = json!({"uri": editor.uri("mabuild.kdl")});
    let params = json!({"textDocument": document, "range": range, "context": context});
    let actions = editor.ask("textDocument/codeAction", params).unwrap();
    let changes = &actions[0]["edit"]["changes"][editor.uri("mabuild.kdl")];
    assert_eq!(changes[0]["newText"], "platforms");
    assert_eq!(changes[0]["range"]["start"], json!({"line": 2, "character": 11}));
    editor.end();
}

#[test]
fn names_are_followed_over_files() {
    let mut editor = project();
    let web = editor.at("teams/web.kdl", 2, 12);
    let found = editor.ask("textDocument/definition", web.clone()).unwrap();
    assert_eq!(editor.places(&found), ["/mabuild.kdl:4:6"]);
    let template = editor.at("teams/web.kdl", 1, 10);
    let found = editor.ask("textDocument/definition", template).unwrap();
    assert_eq!(editor.places(&found), ["/mabuild.kdl:7:10"]);
    let include = editor.at("mabuild.kdl", 2, 12);
    let found = editor.ask("textDocument/definition", include).unwrap();
    assert_eq!(editor.places(&found), ["/teams/web.kdl:0:0"]);

    let mut suite = editor.at("mabuild.kdl", 3, 5);
    suite["context"] = json!({"includeDeclaration": false});
    let found = editor.ask("textDocument/references", suite).unwrap();
    assert_eq!(
        editor.places(&found),
        ["/mabuild.kdl:5:14", "/mabuild.kdl:8:21", "/teams/web.kdl:3:12"]
    );

    let suite = editor.at("mabuild.kdl", 3, 5);
    let here = editor.ask("textDocument/documentHighlight", suite).unwrap();
    assert_eq!(here.as_array().unwrap().len(), 3);

    let hover = editor.ask("textDocument/hover", web).unwrap();
    let text = hover["contents"]["value"].as_str().unwrap();
    assert!(text.contains("**base** `minideb`") && text.contains("`linux/arm64`"), "{text}");
    assert_eq!(hover["range"]["start"], json!({"line": 2, "character": 10}));
    editor.end();
}

#[test]
fn names_are_given_over_files() {
    let mut editor = project();
    let mut place = editor.at("teams/web.kdl", 2, 12);
    let prepared = editor.ask("textDocument/prepareRename", place.clone()).unwrap();
    assert_eq!(prepared["placeholder"], "minideb");
    place["newName"] = json!("small");
    let edit = editor.ask("textDocument/rename", place.clone()).unwrap();
    for (path, start) in [("mabuild.kdl", [4, 6]), ("teams/web.kdl", [2, 10])] {
        let edits = edit["changes"][editor.uri(path)].as_array().unwrap();
        assert_eq!(edits.len(), 1);
        assert_eq!(edits[0]["newText"], "small");
        let [line, character] = start;
        assert_eq!(edits[0]["range"]["start"], json!({"line": line, "character": character}));
    }
    place["newName"] = json!("web");
    let refused = editor.ask("textDocument/rename", place).unwrap_err();
    assert!(refused.contains("taken by the image at teams/web.kdl:1"), "{refused}");
    editor.end();
}

#[test]
fn what_may_stand_is_offered_in_a_half_typed_text() {
    let mut editor = project();
    let end = WEB.lines().count() as u32;
    editor.change("teams/web.kdl", 2, [end, 0, end, 0], "image \"new\" {\n    from \"min");
    let at = editor.at("teams/web.kdl", end + 1, 13);
    let offered = editor.ask("textDocument/completion", at).unwrap();
    let items = offered["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(items[0]["label"], "minideb");
    assert_eq!(items[0]["textEdit"]["newText"], "minideb\"");
    assert_eq!(items[0]["textEdit"]["range"]["start"], json!({"line": end + 1, "character": 10}));
    editor.end();
}

#[test]
fn columns_are_counted_as_the_editor_counts() {
    let text = "mabuild 1\nlet x \"1\"\nlet y \"😀{{x}}\"\n";
    for (encodings, column) in [(json!(["utf-16"]), 11), (json!(["utf-16", "utf-8"]), 13)] {
        let capabilities = json!({"general": {"positionEncodings": encodings}});
        let mut editor = Editor::new(TestEnv::new(), capabilities);
        editor.open("mabuild.kdl", text);
        let hover = editor.ask("textDocument/hover", editor.at("mabuild.kdl", 2, column)).unwrap();
        assert_eq!(hover["range"]["start"]["character"], column, "{hover}");
        // An edit behind the character lands where it should: now the name is unknown.
        editor.change("mabuild.kdl", 2, [2, column, 2, column + 1], "zzz");
        let mistakes = editor.mistakes("mabuild.kdl", 1);
        assert_eq!(mistakes[0]["range"]["start"], json!({"line": 2, "character": column}));
        assert_eq!(mistakes[0]["range"]["end"], json!({"line": 2, "character": column + 3}));
        editor.end();
    }
}

#[test]
fn layout_outline_and_folds() {
    let mut editor = Editor::new(TestEnv::new(), json!({}));
    editor.open("mabuild.kdl", "mabuild 1\nbase \"b\" {\n  debian   \"x\"\n}\n");
    let document = json!({"textDocument": {"uri": editor.uri("mabuild.kdl")}});
    let mut options = document.clone();
    options["options"] = json!({"tabSize": 4, "insertSpaces": true});
    let edits = editor.ask("textDocument/formatting", options.clone()).unwrap();
    assert_eq!(edits.as_array().unwrap().len(), 1);
    assert_eq!(edits[0]["range"]["start"], json!({"line": 2, "character": 2}));
    assert_eq!(edits[0]["newText"], "  debian");
    let symbols = editor.ask("textDocument/documentSymbol", document.clone()).unwrap();
    assert_eq!(symbols[1]["name"], "b");
    let folds = editor.ask("textDocument/foldingRange", document).unwrap();
    assert_eq!((&folds[0]["startLine"], &folds[0]["endLine"]), (&json!(1), &json!(3)));
    // A text that cannot be read has no layout.
    editor.change("mabuild.kdl", 2, [1, 0, 1, 0], "{{{\n");
    assert_eq!(editor.ask("textDocument/formatting", options), Ok(Value::Null));
    editor.end();
}

#[test]
fn files_of_others_are_left_alone() {
    let mut editor = project();
    editor.mistakes("mabuild.kdl", 0);
    // Not included, and no description of its own.
    editor.open("other.kdl", "layout { pane }\n");
    editor.mistakes("other.kdl", 0);
    // A description of its own, in a folder below.
    editor.open("sub/mabuild.kdl", "mabuild 1\nimage \"a\" { form \"web\" }\n");
    editor.mistakes("sub/mabuild.kdl", 1);
    // One without a name, that says what it is.
    let item =
        json!({"uri": "untitled:1", "languageId": "kdl", "version": 1, "text": "mabuild 1\nxyz\n"});
    editor.tell("textDocument/didOpen", json!({"textDocument": item}));
    editor.mistakes_of("untitled:1", 1);
    editor.end();
}

#[test]
fn a_large_description_stays_quick() {
    let mut editor = Editor::new(TestEnv::new(), json!({}));
    let mut text = "mabuild 1\nplatforms \"linux/amd64\"\nbase \"b\" { debian \"x\" { variant \"extract\" } }\n".to_owned();
    for number in 0..5000 {
        text.push_str(&format!("image \"i{number}\" {{\n    from \"b\"\n    user \"u\"\n}}\n"));
    }
    editor.open("mabuild.kdl", &text);
    editor.mistakes("mabuild.kdl", 0);
    // Forty keys at once, then a question, then quiet.
    let start = Instant::now();
    for key in 0..40 {
        editor.change("mabuild.kdl", key + 2, [4, 10, 4, 10], "x");
    }
    let hover = editor.ask("textDocument/hover", editor.at("mabuild.kdl", 20_001, 5)).unwrap();
    assert!(hover["contents"]["value"].as_str().unwrap().contains("user"));
    let mistakes = editor.mistakes("mabuild.kdl", 1);
    assert_eq!(mistakes.len(), 1);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    editor.end();
}

#[test]
fn a_client_that_speaks_nonsense_is_answered() {
    let mut editor = Editor::start(TestEnv::new());
    let early = editor.ask("textDocument/hover", json!({})).unwrap_err();
    assert!(early.contains("initialize"), "{early}");
    editor.ask("initialize", json!({"capabilities": {}})).unwrap();
    assert!(editor.ask("initialize", json!({})).is_err());
    assert!(editor.ask("no/such", json!([1])).unwrap_err().contains("no/such"));
    assert!(editor.ask("textDocument/hover", json!({"position": 1})).is_err());
    editor.tell("textDocument/didChange", json!({"textDocument": 5}));
    editor.tell("no/such", Value::Null);
    editor.raw(b"Content-Length: 7\r\n\r\n{\"a\":[}");
    editor.wait(|message| message["method"] == "window/logMessage");
    // Places that there are not.
    editor.open("mabuild.kdl", "mabuild 1\n");
    editor.change("mabuild.kdl", 2, [90, 90, 3, 4], "let x 1\n");
    let far = editor.at("mabuild.kdl", u32::MAX, u32::MAX);
    assert_eq!(editor.ask("textDocument/hover", far), Ok(Value::Null));
    editor.end();
}

#[test]
fn the_server_ends_with_its_client() {
    TestEnv::new().mabuild(&["lsp", "-f", "none.kdl"]).fails(2).says(&["none.kdl"]);

    let mut editor = project();
    editor.mistakes("mabuild.kdl", 0);
    editor.input = None;
    assert_eq!(editor.exit_code(), Some(1));

    let mut editor = Editor::start(TestEnv::new());
    editor.tell("exit", Value::Null);
    assert_eq!(editor.exit_code(), Some(1));

    let mut editor = Editor::start(TestEnv::new());
    editor.raw(b"Content-Length: 99999999999999\r\n\r\n");
    assert_eq!(editor.exit_code(), Some(1));
}
