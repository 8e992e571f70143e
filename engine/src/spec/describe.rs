//! Instructions as one line of text, as they are written in the file.

use super::{Copy, Inputs, Op, Stage};

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

impl<S: Stage<Files = std::sync::Arc<crate::facts::FileSet>>> Op<S> {
    /// The instruction as one line; long texts are shortened.
    pub fn describe(&self) -> String {
        let mut out = String::new();
        let (name, words): (&str, Vec<&str>) = match self {
            Op::Copy(Copy { inputs, dest, unpack, .. }) => {
                let mut words: Vec<&str> = match inputs {
                    Inputs::Context(set) => set.matches.iter().map(|m| m.path.as_str()).collect(),
                    Inputs::Node { sources, .. } => sources.iter().map(String::as_str).collect(),
                };
                words.push(dest);
                (if *unpack { "add" } else { "copy" }, words)
            }
            Op::File { path, content, .. } => ("file", vec![path, content]),
            Op::Mkdir { paths, .. } => ("mkdir", paths.iter().map(String::as_str).collect()),
            Op::Symlink { target, path } => ("symlink", vec![target, path]),
            Op::Remove { paths } => ("remove", paths.iter().map(String::as_str).collect()),
            Op::Run { words, .. } => ("run", words.iter().map(String::as_str).collect()),
            Op::Env(pairs) => {
                ("env", pairs.iter().flat_map(|(n, v)| [n.as_str(), v.as_str()]).collect())
            }
            Op::Workdir(path) => ("workdir", vec![path]),
            Op::User(user) => ("user", vec![user]),
            Op::Shell(words) => ("shell", words.iter().map(String::as_str).collect()),
            Op::Arg(name, value) => ("arg", vec![name, value]),
        };
        out.push_str(name);
        for word in words {
            quoted(&mut out, word);
        }
        out
    }
}
