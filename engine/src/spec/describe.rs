//! Instructions as one line of text, as they are written in the file.

use super::{Arg, Command, Copy, Op, Phase, Program, Run, Step};

/// Longest content that is shown.
const SHOWN: usize = 120;

fn quoted(out: &mut String, text: &str) {
    out.push(' ');
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    out.push_str(&format!("{shown:?}"));
}

impl<P: Phase> Step<P> {
    /// The instruction as one line: as it is written, else by what it does.
    pub fn describe(&self) -> String {
        self.text.clone().unwrap_or_else(|| self.op.describe())
    }
}

impl<P: Phase> Op<P> {
    /// The instruction as one line, in the form of a description; long texts are shortened.
    fn describe(&self) -> String {
        let mut out = String::new();
        let list = |words: &'_ [String]| -> Vec<String> { words.to_vec() };
        let pairs = |pairs: &[(String, String)]| -> Vec<String> {
            pairs.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect()
        };
        let command = |command: &Command| match command {
            Command::Shell(text) => vec![text.clone()],
            Command::Exec(words) => words.clone(),
        };
        let (name, words): (&str, Vec<String>) = match self {
            Self::Copy(copy) => {
                let Copy { add, sources, dest, .. } = &**copy;
                let words = sources.iter().chain([dest]).cloned().collect();
                (if *add { "add" } else { "copy" }, words)
            }
            Self::File { path, content, .. } => ("file", vec![path.clone(), content.clone()]),
            Self::Mkdir { paths, .. } => ("mkdir", list(paths)),
            Self::Symlink { target, path } => ("symlink", vec![target.clone(), path.clone()]),
            Self::Remove { paths } => ("remove", list(paths)),
            Self::Run(run) => {
                let Run { program, .. } = &**run;
                let words = match program {
                    Program::Command(words) => command(words),
                    Program::Script { content, .. } => vec![content.clone()],
                };
                ("run", words)
            }
            Self::Packages(packages) => ("packages", list(&packages.names)),
            Self::Env(of) => ("env", pairs(of)),
            Self::Label(of) => ("label", pairs(of)),
            Self::Workdir(path) => ("workdir", vec![path.clone()]),
            Self::User(user) => ("user", vec![user.clone()]),
            Self::Shell(words) => ("shell", list(words)),
            Self::Arg(list) => {
                let words = |arg: &Arg| [Some(arg.name.clone()), arg.value.clone()];
                ("arg", list.iter().flat_map(words).flatten().collect())
            }
            Self::Expose(ports) => ("expose", list(ports)),
            Self::Volume(paths) => ("volume", list(paths)),
            Self::Entrypoint(words) => ("entrypoint", command(words)),
            Self::Cmd(words) => ("cmd", command(words)),
            Self::StopSignal(signal) => ("stop-signal", vec![signal.clone()]),
            Self::Healthcheck(check) => ("healthcheck", list(&check.test)),
            Self::Onbuild(trigger) => ("onbuild", vec![trigger.clone()]),
            Self::Maintainer(author) => ("maintainer", vec![author.clone()]),
        };
        out.push_str(name);
        for word in words {
            quoted(&mut out, &word);
        }
        out
    }
}
