//! The image config while the steps run: what later steps see and what the image keeps.

use mabuild_oci::ImageConfig;
use mabuild_oci::image::{History, rfc3339};

use crate::spec::Settings;

/// `PATH` of steps in an image that sets none, as Docker has it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The config under construction.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The config; layers and history are added as steps end.
    pub config: ImageConfig,
    /// Arguments, which steps see as variables and the image does not keep.
    args: Vec<(String, String)>,
}

impl State {
    pub fn new(config: ImageConfig) -> Self {
        Self { config, args: Vec::new() }
    }

    /// Sets a variable of the image.
    pub fn env(&mut self, name: &str, value: &str) {
        let line = format!("{name}={value}");
        let prefix = format!("{name}=");
        let env = &mut self.config.config.env;
        match env.iter_mut().find(|old| old.starts_with(&prefix)) {
            Some(old) => *old = line,
            None => env.push(line),
        }
    }

    /// Sets an argument.
    pub fn arg(&mut self, name: &str, value: &str) {
        self.args.retain(|(old, _)| old != name);
        self.args.push((name.to_owned(), value.to_owned()));
    }

    /// The whole environment of a step, sorted as it was set: the image's own variables win over
    /// arguments, as with Docker.
    pub fn environment(&self, home: &str, source_date: i64) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = Vec::new();
        let mut put = |name: &str, value: &str| {
            match out.iter_mut().find(|(old, _)| old == name) {
                Some((_, old)) => value.clone_into(old),
                None => out.push((name.to_owned(), value.to_owned())),
            };
        };
        put("PATH", DEFAULT_PATH);
        put("HOME", home);
        put("SOURCE_DATE_EPOCH", &source_date.to_string());
        for (name, value) in &self.args {
            put(name, value);
        }
        for line in &self.config.config.env {
            if let Some((name, value)) = line.split_once('=') {
                put(name, value);
            }
        }
        out
    }

    /// The words of a `run`: exec form as it is, shell form behind the shell.
    pub fn command(&self, words: &[String]) -> Vec<String> {
        match words {
            [text] => {
                let shell = &self.config.config.shell;
                let mut out = match shell.as_slice() {
                    [] => vec!["/bin/sh".to_owned(), "-c".to_owned()],
                    words => words.to_vec(),
                };
                out.push(text.clone());
                out
            }
            words => words.to_vec(),
        }
    }

    /// An absolute path for one that may be relative to the working directory.
    pub fn absolute(&self, path: &str) -> String {
        let below = self.workdir();
        match path {
            "" | "." => below.to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path => format!("{}/{path}", below.trim_end_matches('/')),
        }
    }

    /// The working directory.
    pub fn workdir(&self) -> &str {
        match self.config.config.working_dir.as_str() {
            "" => "/",
            path => path,
        }
    }

    /// Adds the line of an instruction to the history.
    pub fn history(&mut self, created_by: String, created: i64, empty_layer: bool) {
        self.config.history.push(History {
            created: rfc3339(created).ok(),
            created_by: Some(created_by),
            empty_layer,
            ..History::default()
        });
    }

    /// Puts the settings of the image on top.
    pub fn settings(&mut self, settings: &Settings) {
        let Settings { env, labels, entrypoint, cmd, expose, volumes, workdir, user, stop_signal } =
            settings;
        for (name, value) in env {
            self.env(name, value);
        }
        let workdir = workdir.as_deref().map(|path| self.absolute(path));
        let to = &mut self.config.config;
        to.labels.extend(labels.iter().cloned());
        if let Some(words) = entrypoint {
            to.entrypoint = Some(words.clone());
            to.cmd = None;
        }
        if let Some(words) = cmd {
            to.cmd = Some(words.clone());
        }
        to.exposed_ports.extend(expose.iter().map(|port| match port.contains('/') {
            true => port.clone(),
            false => format!("{port}/tcp"),
        }));
        to.volumes.extend(volumes.iter().cloned());
        if let Some(user) = user {
            to.user.clone_from(user);
        }
        if let Some(signal) = stop_signal {
            to.stop_signal.clone_from(signal);
        }
        if let Some(path) = workdir {
            to.working_dir = path;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let platform = "linux/amd64".parse().unwrap();
        State::new(ImageConfig::new(&platform))
    }

    #[test]
    fn variables_of_the_image_win_over_arguments() {
        let mut s = state();
        s.arg("A", "arg");
        s.arg("B", "arg");
        s.env("A", "env");
        s.env("A", "env2");
        let env = s.environment("/root", 7);
        assert_eq!(
            env.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>()[1..],
            ["HOME=/root", "SOURCE_DATE_EPOCH=7", "A=env2", "B=arg"]
        );
        assert_eq!(s.config.config.env, ["A=env2"]);
    }

    #[test]
    fn an_entry_point_resets_the_command_below() {
        let mut s = state();
        s.config.config.cmd = Some(vec!["sh".into()]);
        s.settings(&Settings { entrypoint: Some(vec!["/a".into()]), ..Settings::default() });
        assert_eq!(s.config.config.cmd, None);
    }

    #[test]
    fn paths_start_at_the_working_directory() {
        let mut s = state();
        assert_eq!(s.absolute("a"), "/a");
        s.config.config.working_dir = "/srv".into();
        assert_eq!(s.absolute("a/b"), "/srv/a/b");
        assert_eq!(s.absolute("."), "/srv");
        assert_eq!(s.absolute("/x"), "/x");
    }
}
