//! The language through its public door: texts in, configs and rendered diagnostics out.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test that calls it")]

mod bad;
mod bad_builds;
mod bad_moves;
mod bad_nouns;
mod bad_publishing;
mod bad_references;
mod bad_variants;
mod builds;
mod format;
mod good;
mod good_nouns;
mod hostile;
mod moves;
mod publishing;
mod references;
mod variants;

use std::collections::BTreeMap;

use mabuild_lang::{Files, Loaded, Vars, load, report};
use miette::{GraphicalReportHandler, GraphicalTheme};

/// Files in memory.
#[derive(Default)]
pub struct Memory(BTreeMap<String, Vec<u8>>);

impl Files for Memory {
    /// A Dockerfile that is not among the files is of an empty image; it uses the secrets of tests.
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let mut text = "FROM scratch AS run\n".to_owned();
        for id in ["netrc", "/etc/key", "s", "x"] {
            text.push_str(&format!("RUN --mount=type=secret,id={id} [\"/x\"]\n"));
        }
        let empty = path.contains("Dockerfile").then(|| text.into_bytes());
        self.0.get(path).cloned().or(empty).ok_or_else(|| "no such file".to_owned())
    }

    /// Knows `*` within one part of a path.
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        if pattern.contains('[') {
            return Err("this pattern is malformed".to_owned());
        }
        let fits = |path: &&String| {
            let (path, pattern): (Vec<&str>, Vec<&str>) =
                (path.split('/').collect(), pattern.split('/').collect());
            path.len() == pattern.len()
                && path.iter().zip(&pattern).all(|(part, pattern)| match pattern.split_once('*') {
                    Some((before, after)) => {
                        part.len() >= before.len() + after.len()
                            && part.starts_with(before)
                            && part.ends_with(after)
                    }
                    None => part == pattern,
                })
        };
        // In no particular order, as the contract says.
        Ok(self.0.keys().rev().filter(fits).cloned().collect())
    }
}

/// Files by name; the first is the main one.
pub fn memory(files: &[(&str, &str)]) -> Memory {
    Memory(
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect(),
    )
}

/// Loads one file called `mabuild.kdl`.
pub fn load_one(text: &str) -> Loaded {
    load("mabuild.kdl", &memory(&[("mabuild.kdl", text)]), &Vars::default())
}

/// All diagnostics as a terminal of 90 columns shows them, without colour.
pub fn rendered(loaded: &Loaded) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(90)
        .with_links(false);
    let mut out = String::new();
    for diagnostic in &loaded.diagnostics {
        handler.render_report(&mut out, &report(diagnostic, &loaded.sources)).unwrap();
    }
    // Editors and reviews dislike space at the end of lines.
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    lines.join("\n")
}
