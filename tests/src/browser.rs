//! A real browser without a window, spoken to by the DevTools protocol over two pipes: no port is
//! opened and no library is needed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::env::has;

/// Longest time that the browser may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program; Debian's name for it.
const PROGRAM: &str = "chromium";

/// A browser with one page.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    output: Receiver<Value>,
    session: Option<String>,
    number: u64,
    events: Vec<Value>,
    /// Everything that the browser writes; goes with it.
    _home: tempfile::TempDir,
}

impl Browser {
    /// Starts one with a page of some size; none, with a line that says so, where it is missing.
    pub fn start(width: u32, height: u32) -> Option<Self> {
        if !has(PROGRAM) {
            return None;
        }
        let home = tempfile::Builder::new().prefix("mabuild-browser-").tempdir().expect("a folder");
        // The protocol is spoken on the descriptors 3 and 4, which std cannot hand over.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>&1", PROGRAM]);
        command.args(["--headless=new", "--no-sandbox", "--remote-debugging-pipe"]);
        command.args(["--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update"]);
        command.args(["--hide-scrollbars", "--force-color-profile=srgb"]);
        command.arg(format!("--user-data-dir={}", home.path().display()));
        command.env_clear().env("HOME", home.path()).env("TMPDIR", home.path());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("a shell");
        let input = child.stdin.take().expect("piped");
        let output = reader(child.stdout.take().expect("piped"));
        let mut browser = Self {
            child,
            input,
            output,
            session: None,
            number: 0,
            events: Vec::new(),
            _home: home,
        };
        browser.attach(width, height);
        Some(browser)
    }

    fn attach(&mut self, width: u32, height: u32) {
        let page = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let wanted = json!({ "targetId": page["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", wanted);
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for part in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{part}.enable"), json!({}));
        }
        self.resize(width, height);
    }

    /// Gives the page another size.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false
        });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Says what the system of the reader prefers: `prefers-color-scheme` and the like.
    pub fn prefer(&mut self, features: &[(&str, &str)]) {
        let features: Vec<Value> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Asks the browser something.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).expect("the browser listens");
        loop {
            let answer = self.output.recv_timeout(PATIENCE);
            let mut answer = answer.unwrap_or_else(|e| panic!("no answer to {method}: {e}"));
            if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path, fragment: &str) {
        // Else the same file with another fragment would not be loaded again.
        self.load("Page.navigate", json!({ "url": "about:blank" }));
        let url = format!("file://{}{fragment}", file.display());
        self.load("Page.navigate", json!({ "url": url }));
    }

    /// Loads the page again.
    pub fn reload(&mut self) {
        self.load("Page.reload", json!({}));
    }

    fn load(&mut self, method: &str, params: Value) {
        let loads = |browser: &Self| {
            let names = browser.events.iter().map(|event| &event["method"]);
            names.filter(|name| **name == "Page.loadEventFired").count()
        };
        let before = loads(self);
        self.call(method, params);
        self.until(method, |browser| loads(browser) > before);
    }

    /// Waits until something holds.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "did not come to pass: {what}");
            std::thread::sleep(Duration::from_millis(5));
            // Any answer brings the events that came before it.
            self.call("Runtime.evaluate", json!({ "expression": "0" }));
        }
    }

    /// The value of an expression; a promise is waited for.
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true
        });
        let mut answer = self.call("Runtime.evaluate", asked);
        let wrong = &answer["exceptionDetails"];
        assert!(wrong.is_null(), "{expression}: {wrong}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub fn until_true(&mut self, expression: &str) {
        self.until(expression, |browser| browser.eval(expression) == json!(true));
    }

    /// The middle of the first element that a selector finds, on the screen, when what was asked
    /// of the page before has been drawn: a page moves its content in the next frame.
    pub fn middle(&mut self, selector: &str) -> (f64, f64) {
        self.eval(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
        );
        let found = self.eval(&format!(
            "(() => {{ const r = document.querySelector({}).getBoundingClientRect();
                return [r.x + r.width / 2, r.y + r.height / 2]; }})()",
            json!(selector)
        ));
        (found[0].as_f64().expect("a number"), found[1].as_f64().expect("a number"))
    }

    /// Presses, moves and lets go the mouse.
    pub fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        let mut event = |kind: &str, (x, y): (f64, f64), buttons: u32| {
            let event = json!({
                "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1
            });
            self.call("Input.dispatchMouseEvent", event);
        };
        event("mousePressed", from, 1);
        if from != to {
            event("mouseMoved", (from.0.midpoint(to.0), from.1.midpoint(to.1)), 1);
            event("mouseMoved", to, 1);
        }
        event("mouseReleased", to, 0);
    }

    /// Clicks on the first element that a selector finds.
    pub fn click(&mut self, selector: &str) {
        let at = self.middle(selector);
        self.drag(at, at);
    }

    /// Turns the wheel, with `modifiers` as the protocol numbers them.
    pub fn wheel(&mut self, at: (f64, f64), by: (f64, f64), modifiers: u32) {
        let event = json!({
            "type": "mouseWheel", "x": at.0, "y": at.1, "deltaX": by.0, "deltaY": by.1,
            "modifiers": modifiers
        });
        self.call("Input.dispatchMouseEvent", event);
    }

    /// Puts two fingers beside a point and moves them apart, or together.
    pub fn pinch(&mut self, at: (f64, f64), from: f64, to: f64) {
        let mut event = |kind: &str, apart: Option<f64>| {
            let point = |id: u32, x: f64| json!({ "id": id, "x": x, "y": at.1 });
            let points: Vec<Value> = apart.map_or(Vec::new(), |apart| {
                vec![point(1, at.0 - apart / 2.0), point(2, at.0 + apart / 2.0)]
            });
            let event = json!({ "type": kind, "touchPoints": points });
            self.call("Input.dispatchTouchEvent", event);
        };
        event("touchStart", Some(from));
        for step in 1..=8 {
            event("touchMove", Some(from + (to - from) * f64::from(step) / 8.0));
        }
        event("touchEnd", None);
    }

    /// Presses a key: a name such as `ArrowLeft`, or a character.
    pub fn key(&mut self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Escape" => 27,
            _ => 0,
        };
        let mut down = json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
        match key {
            "Enter" => down["text"] = json!("\r"),
            _ if key.chars().count() == 1 => down["text"] = json!(key),
            _ => {}
        }
        self.call("Input.dispatchKeyEvent", down);
        let up = json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", up);
    }

    /// A count or a number of seconds that the browser keeps: `LayoutCount`, `ScriptDuration`.
    pub fn metric(&mut self, name: &str) -> f64 {
        self.call("Performance.enable", json!({}));
        let metrics = self.call("Performance.getMetrics", json!({}));
        let list = metrics["metrics"].as_array().expect("a list");
        let found = list.iter().find(|metric| metric["name"] == name).expect("a metric");
        found["value"].as_f64().expect("a number")
    }

    /// Writes a picture of the page as PNG.
    pub fn screenshot(&mut self, file: &Path) {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = base64(shot["data"].as_str().expect("a picture"));
        std::fs::write(file, bytes).expect("a place for the picture");
    }

    /// What went wrong since the start: exceptions, messages on the console, and addresses that
    /// were asked for besides the page itself.
    pub fn problems(&self, page: &Path) -> Vec<String> {
        let own = format!("file://{}", page.display());
        let problem = |event: &Value| {
            let params = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" => {
                    Some(params.to_string())
                }
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str().unwrap_or_default();
                    let known = url.starts_with(&own) || url == "about:blank";
                    (!known).then(|| format!("asked for {url}"))
                }
                _ => None,
            }
        };
        self.events.iter().filter_map(problem).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            // Nobody is left to be told when it has just ended.
            kill_process_group(group, Signal::KILL).ok();
        }
        self.child.wait().ok();
    }
}

/// Messages end with a zero byte.
fn reader(pipe: std::process::ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while pipe.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
            bytes.pop();
            if let Ok(message) = serde_json::from_slice(&bytes)
                && sender.send(message).is_err()
            {
                break;
            }
            bytes.clear();
        }
    });
    receiver
}

/// The bytes that Base64 stands for.
fn base64(text: &str) -> Vec<u8> {
    let six = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(six).collect();
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for four in digits.chunks(4) {
        let bits = four.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit));
        let bits = bits << (6 * (4 - four.len()));
        out.extend(&bits.to_be_bytes()[1..four.len()]);
    }
    out
}
