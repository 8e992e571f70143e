//! Programs that a person uses: a terminal of their own, or the plain input and output of the caller.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mabuild_sandbox::{Call, CallError, CancelHandle, IdMap, RunResult, call_attached};
use rustix::pty::OpenptFlags;
use rustix::termios::{Termios, Winsize};

use crate::Test;
use crate::lifetime::{count, eventually, mark};
use crate::world::{Outcome, Request, World};

pub const TESTS: &[Test] = &[
    ("a_terminal_is_shown_and_given_back", a_terminal_is_shown_and_given_back),
    ("keys_arrive_as_they_are", keys_arrive_as_they_are),
    ("the_size_of_the_terminal_is_followed", the_size_of_the_terminal_is_followed),
    ("a_terminal_is_given_back_after_a_fault", a_terminal_is_given_back_after_a_fault),
    ("without_a_terminal_pipes_are_passed_on", without_a_terminal_pipes_are_passed_on),
];

/// First argument of the program that runs a request attached to its own input and output.
pub const ATTACHED: &str = "--attached";

/// The program: runs a request from a file, for at most so many milliseconds.
pub fn attached(args: &[String]) {
    let [file, kind, deadline] = args else { panic!("{args:?}") };
    let mut request: Request = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    request.specs[0].stdio = mabuild_sandbox::Stdio::of_caller();
    let range = |outside| vec![mabuild_sandbox::Range { inside: 0, outside, count: 65536 }];
    let id_map = match kind.as_str() {
        "full" => IdMap::Full,
        "ranges" => IdMap::Ranges { uid: range(100_000), gid: range(200_000) },
        _ => IdMap::Single,
    };
    let result = call_attached(Call {
        op: "run",
        request: &serde_json::to_vec(&request).unwrap(),
        id_map,
        output: None,
        cancel: CancelHandle::new(),
        deadline: Some(Duration::from_millis(deadline.parse().unwrap())),
    });
    match result {
        Ok(json) => {
            let results: Vec<RunResult> = serde_json::from_slice(&json).unwrap();
            eprintln!("ended {:?}", results[0].exit);
        }
        Err(CallError::TimedOut(_)) => eprintln!("timed out"),
        Err(error) => eprintln!("{error}"),
    }
}

fn attached_program(world: &World, script: &str, deadline: u32) -> Result<Command, String> {
    let file = world.dir().join("request");
    let request = world.request(vec![world.script(script)])?;
    fs::write(&file, serde_json::to_vec(&request).unwrap()).unwrap();
    let mut command = Command::new("/proc/self/exe");
    command.args([ATTACHED, file.to_str().unwrap(), world.kind, &deadline.to_string()]);
    Ok(command)
}

/// A person at a terminal, with the program in it.
struct Person {
    keyboard: fs::File,
    /// The end of the program, to look at its mode.
    line: OwnedFd,
    before: Termios,
    screen: Arc<Mutex<String>>,
    program: Child,
}

impl Person {
    fn at(mut command: Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let line = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
        resize(&master, 31, 97);
        let before = rustix::termios::tcgetattr(&line).unwrap();
        let end = || Stdio::from(line.try_clone().unwrap());
        let program = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let mut reader = fs::File::from(master.try_clone().unwrap());
        let copy = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(count) = reader.read(&mut bytes) {
                copy.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { keyboard: master.into(), line, before, screen, program }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn sees(&self, words: &str) {
        let shown = || self.screen.lock().unwrap().contains(words);
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while !shown() {
            let screen = self.screen.lock().unwrap().clone();
            assert!(std::time::Instant::now() < end, "{words:?} is not in {screen:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_raw(&self) -> bool {
        use rustix::termios::LocalModes;
        !rustix::termios::tcgetattr(&self.line).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for the end, after which the terminal must be as it was.
    fn ends(mut self, words: &str) {
        self.sees(words);
        self.program.wait().unwrap();
        let after = rustix::termios::tcgetattr(&self.line).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(after.input_modes, self.before.input_modes);
        assert_eq!(after.output_modes, self.before.output_modes);
    }
}

fn resize(terminal: impl AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).unwrap();
}

const MINUTE: u32 = 60_000;

fn a_terminal_is_shown_and_given_back(world: &World) -> Outcome {
    let script = "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; \
                  echo for-all > /dev/tty; read line; echo \"<$line>\"; exit 3";
    let mut person = Person::at(attached_program(world, script, MINUTE)?);
    person.sees("/dev/pts/0\r\n31 97\r\nall\r\nfor-all\r\n");
    assert!(person.is_raw());
    person.types("some words\r");
    // The program's own terminal echoes them.
    person.sees("some words\r\n<some words>\r\n");
    person.ends("ended Code(3)");
    Ok(())
}

fn keys_arrive_as_they_are(world: &World) -> Outcome {
    let mark = mark(world, 8);
    let script = format!("trap 'echo caught' INT; echo go; sleep 300.{mark}; read x || echo end");
    let mut person = Person::at(attached_program(world, &script, MINUTE)?);
    person.sees("go");
    eventually("the program did not start", || count(&mark) > 0);
    // Ctrl-C is a signal for the program in the sandbox alone, Ctrl-D the end of its input.
    person.types("\x03");
    person.sees("caught");
    person.types("\x04");
    person.ends("ended Code(0)");
    Ok(())
}

fn the_size_of_the_terminal_is_followed(world: &World) -> Outcome {
    let script = "trap 'stty size' WINCH; echo go; while :; do sleep 0.05; done";
    let person = Person::at(attached_program(world, script, MINUTE)?);
    person.sees("go");
    resize(&person.keyboard, 40, 120);
    person.sees("40 120");
    let mut program = person;
    program.program.kill().unwrap();
    program.program.wait().unwrap();
    Ok(())
}

fn a_terminal_is_given_back_after_a_fault(world: &World) -> Outcome {
    let person = Person::at(attached_program(world, "echo go; sleep 300", 700)?);
    person.sees("go");
    assert!(person.is_raw());
    person.ends("timed out");
    Ok(())
}

fn without_a_terminal_pipes_are_passed_on(world: &World) -> Outcome {
    let script = "test -t 0 || echo none; cat; echo wrong >&2; exit 5";
    let mut command = attached_program(world, script, MINUTE)?;
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = pipes.spawn().unwrap();
    let mut stdin = program.stdin.take().unwrap();
    let sent = "0123456789".repeat(50_000);
    let copy = sent.clone();
    let writer = std::thread::spawn(move || stdin.write_all(copy.as_bytes()).unwrap());
    let output = program.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("none\n{sent}"));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "wrong\nended Code(5)\n");
    Ok(())
}
