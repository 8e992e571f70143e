//! The image config while the steps run: what later steps see and what the image keeps.

use mabuild_oci::ImageConfig;
use mabuild_oci::image::{Healthcheck, History, rfc3339};

use super::history::Line;
use super::windows;
use crate::spec::{Command, DEFAULT_PATH, Op, Phase, Program};

/// What BuildKit writes beside its lines of a history.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// The config under construction.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The config; layers and history are added as steps end.
    pub config: ImageConfig,
    /// What steps see: variables of the image and arguments, as they were set.
    env: Vec<(String, String)>,
    /// Arguments in the order they were declared, with the value of those that no variable holds.
    args: Vec<(String, String)>,
    /// Whether this stage has set a command itself.
    has_cmd: bool,
}

impl State {
    pub fn new(config: ImageConfig) -> Self {
        let mut state = Self { config, env: Vec::new(), args: Vec::new(), has_cmd: false };
        for line in state.config.config.env.clone() {
            let (name, value) = line.split_once('=').unwrap_or((&line, ""));
            state.see(name, value);
        }
        state
    }

    /// Begins a stage on what lies below.
    pub fn begin(&mut self, os: &str) {
        self.has_cmd = false;
        // Stages below give their values on, and not their names.
        self.args.clear();
        self.config.config.on_build.clear();
        if os != "windows" && !self.env.iter().any(|(name, _)| name == "PATH") {
            self.config.config.env.push(format!("PATH={DEFAULT_PATH}"));
            self.see("PATH", DEFAULT_PATH);
        }
    }

    /// Sets what steps see under a name.
    fn see(&mut self, name: &str, value: &str) {
        self.env.retain(|(old, _)| old != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Does what an instruction does to the config and to what later steps see.
    pub fn apply<P: Phase>(&mut self, op: &Op<P>) {
        match op {
            Op::Env(pairs) => pairs.iter().for_each(|(name, value)| self.set(name, value)),
            Op::Arg(list) => {
                list.iter().for_each(|arg| self.arg(&arg.name, arg.value.as_deref()));
            }
            Op::User(user) => self.config.config.user.clone_from(user),
            Op::Workdir(path) => {
                let folder = match path.starts_with('/') {
                    // An absolute path stays as it is written.
                    true => path.clone(),
                    false => normal(&self.absolute(path)),
                };
                // What runs on Windows wants it so.
                self.config.config.working_dir = match self.is_windows() {
                    true => normal(&self.absolute(path)).replace('/', "\\"),
                    false => folder,
                };
            }
            Op::Cmd(command) => {
                self.config.config.cmd = Some(self.command(command));
                self.config.config.args_escaped = true;
                self.has_cmd = true;
            }
            Op::Entrypoint(command) => {
                self.config.config.entrypoint = Some(self.command(command));
                if !self.has_cmd {
                    self.config.config.cmd = None;
                }
            }
            Op::Maintainer(author) => self.config.author = Some(author.clone()),
            op => {
                let to = &mut self.config.config;
                match op {
                    Op::Shell(words) => to.shell.clone_from(words),
                    Op::Label(pairs) => to.labels.extend(pairs.iter().cloned()),
                    Op::Expose(ports) => to.exposed_ports.extend(ports.iter().cloned()),
                    Op::Volume(paths) => to.volumes.extend(paths.iter().cloned()),
                    Op::StopSignal(signal) => to.stop_signal.clone_from(signal),
                    Op::Healthcheck(check) => to.healthcheck = Some(checked(check)),
                    Op::Onbuild(trigger) => to.on_build.push(trigger.clone()),
                    _ => {}
                }
            }
        }
    }

    /// Sets a variable of the image.
    fn set(&mut self, name: &str, value: &str) {
        let line = format!("{name}={value}");
        let prefix = format!("{name}=");
        let env = &mut self.config.config.env;
        match env.iter_mut().find(|old| old.starts_with(&prefix)) {
            Some(old) => *old = line,
            None => env.push(line),
        }
        self.see(name, value);
    }

    /// Declares an argument.
    fn arg(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.see(name, value);
        }
        self.args.push((name.to_owned(), value.unwrap_or_default().to_owned()));
    }

    /// The whole environment of a step, in the order in which it was set.
    pub fn environment(&self, home: &str, source_date: Option<i64>) -> Vec<(String, String)> {
        let mut out = self.env.clone();
        let mut add = |name: &str, value: String| {
            if !out.iter().any(|(known, _)| known == name) {
                out.push((name.to_owned(), value));
            }
        };
        add("HOME", home.to_owned());
        if let Some(date) = source_date {
            add("SOURCE_DATE_EPOCH", date.to_string());
        }
        out
    }

    /// The words of a command line: shell form behind the shell.
    pub fn command(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) => {
                let shell = &self.config.config.shell;
                let mut out = match shell.as_slice() {
                    [] if self.config.os == "windows" => {
                        vec!["cmd".to_owned(), "/S".to_owned(), "/C".to_owned()]
                    }
                    [] => vec!["/bin/sh".to_owned(), "-c".to_owned()],
                    words => words.to_vec(),
                };
                out.push(text.clone());
                out
            }
        }
    }

    /// The words of a `run`.
    pub fn program(&self, program: &Program) -> Vec<String> {
        match program {
            Program::Command(command) => self.command(command),
            Program::Script { name, .. } => {
                // A shell looks the script up by its path.
                self.command(&Command::Shell(script_path(name)))
            }
        }
    }

    /// A `run` as the history shows it: the arguments it sees, then the words.
    pub fn run_line(&self, program: &Program) -> String {
        let mut words = Vec::new();
        if !self.args.is_empty() {
            words.push(format!("|{}", self.args.len()));
        }
        for (name, value) in &self.args {
            let seen = self.env.iter().find(|(known, _)| known == name);
            words.push(format!("{name}={}", seen.map_or(value, |(_, value)| value)));
        }
        words.extend(self.program(program));
        words.join(" ")
    }

    /// An absolute path for one that may be relative to the working directory.
    pub fn absolute(&self, path: &str) -> String {
        let below = self.workdir();
        if self.is_windows() {
            // What is no path there was refused before.
            return windows::absolute(below, path).unwrap_or_else(|_| path.to_owned());
        }
        match path {
            "" | "." => below.to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path => format!("{}/{path}", below.trim_end_matches('/')),
        }
    }

    /// Whether it is an image of Windows.
    pub fn is_windows(&self) -> bool {
        self.config.os == "windows"
    }

    /// The working directory with `/` between its parts.
    pub fn folder(&self) -> String {
        match self.is_windows() {
            true => self.workdir().replace('\\', "/"),
            false => self.workdir().to_owned(),
        }
    }

    /// The working directory as the config has it.
    pub fn workdir(&self) -> &str {
        match self.config.config.working_dir.as_str() {
            "" => "/",
            path => path,
        }
    }

    /// Adds a line to the history.
    pub fn history(&mut self, line: Line, created: i64) {
        self.config.history.push(History {
            created: rfc3339(created).ok(),
            created_by: Some(line.text),
            comment: line.is_instruction.then(|| COMMENT.to_owned()),
            empty_layer: line.empty,
            ..History::default()
        });
    }
}

/// Where the script of a `run` stands while it runs.
pub(super) fn script_path(name: &str) -> String {
    format!("/dev/pipes/{name}")
}

/// An absolute path without `.`, `..` and doubled slashes.
pub(super) fn normal(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    format!("/{}", out.join("/"))
}

fn checked(check: &crate::spec::Healthcheck) -> Healthcheck {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Healthcheck {
        test: check.test.clone(),
        interval: number(check.interval),
        timeout: number(check.timeout),
        start_period: number(check.start_period),
        start_interval: number(check.start_interval),
        retries: check.retries.into(),
        ..Healthcheck::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Arg, Built};

    fn state() -> State {
        let platform = "linux/amd64".parse().unwrap();
        let mut state = State::new(ImageConfig::new(&platform));
        state.begin("linux");
        state
    }

    fn apply(state: &mut State, ops: impl IntoIterator<Item = Op<Built>>) {
        ops.into_iter().for_each(|op| state.apply(&op));
    }

    fn pair(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.into(), value.into())]
    }

    #[test]
    fn what_was_set_last_is_seen_and_arguments_do_not_stay() {
        let mut s = state();
        let arg = |name: &str, value: &str| {
            Op::Arg(vec![Arg { name: name.into(), default: None, value: Some(value.into()) }])
        };
        apply(&mut s, [arg("A", "arg"), arg("B", "arg"), Op::Env(pair("A", "env"))]);
        let env = s.environment("/root", Some(7));
        assert_eq!(
            env.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>()[1..],
            ["B=arg", "A=env", "HOME=/root", "SOURCE_DATE_EPOCH=7"]
        );
        assert_eq!(s.config.config.env[1..], ["A=env"]);
        let run = Program::Command(Command::Shell("x".into()));
        assert_eq!(s.run_line(&run), "|2 A=env B=arg /bin/sh -c x");
    }

    #[test]
    fn an_entry_point_resets_the_command_below_and_not_its_own() {
        let mut s = state();
        s.config.config.cmd = Some(vec!["sh".into()]);
        let entry = || Op::Entrypoint(Command::Exec(vec!["/a".into()]));
        apply(&mut s, [entry()]);
        assert_eq!(s.config.config.cmd, None);
        apply(&mut s, [Op::Cmd(Command::Shell("b".into())), entry()]);
        assert_eq!(s.config.config.cmd, Some(vec!["/bin/sh".into(), "-c".into(), "b".into()]));
    }

    #[test]
    fn paths_start_at_the_working_directory() {
        let mut s = state();
        assert_eq!(s.absolute("a"), "/a");
        apply(&mut s, [Op::Workdir("srv".into()), Op::Workdir("../srv/./x/".into())]);
        assert_eq!(s.workdir(), "/srv/x");
        assert_eq!(s.absolute("a/b"), "/srv/x/a/b");
        assert_eq!(s.absolute("."), "/srv/x");
        assert_eq!(s.absolute("/x"), "/x");
    }
}
