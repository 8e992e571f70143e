//! What the README shows must be true.

use mabuild_tests::env::{TestEnv, source_tree, walk};

fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == format!("```{language}") {
            let block: Vec<&str> = lines.by_ref().take_while(|l| l.trim() != "```").collect();
            out.push(block.join("\n") + "\n");
        }
    }
    out
}

#[test]
fn files_in_the_readme_are_good() {
    let text = std::fs::read_to_string(source_tree().join("README.md")).unwrap();
    let files = blocks(&text, "kdl");
    assert!(!files.is_empty());
    for file in files {
        let env = TestEnv::new();
        env.write("mabuild.kdl", &file);
        for dockerfile in blocks(&text, "dockerfile") {
            env.write("tool/Dockerfile", &dockerfile);
        }
        let run = env.mabuild(&["check"]);
        assert_eq!(run.code, Some(0), "{file}\n{}", run.stderr);
        env.mabuild(&["fmt", "--check"]).ok();
    }
}

#[test]
fn commands_in_the_readme_exist() {
    let text = std::fs::read_to_string(source_tree().join("README.md")).unwrap();
    let env = TestEnv::new();
    let mut seen = 0;
    for line in text.lines().filter(|line| line.starts_with("| `mabuild ")) {
        let command = line.split('`').nth(1).unwrap();
        let words = command.split(' ').skip(1);
        let words = words.take_while(|w| w.chars().all(|c| c.is_ascii_lowercase()));
        let mut args: Vec<&str> = words.collect();
        args.push("--help");
        env.mabuild(&args).ok();
        seen += 1;
    }
    assert!(seen > 8, "the table of commands is gone");
}

#[test]
fn flags_in_the_readme_exist() {
    let text = std::fs::read_to_string(source_tree().join("README.md")).unwrap();
    let help = TestEnv::new().mabuild(&["image", "build", "--help"]).ok().stdout;
    let (_, section) = text.split_once("\n## Dockerfiles\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let is_flag = |c: char| c.is_ascii_lowercase() || c == '-';
    let words = section
        .split(|c: char| !is_flag(c))
        .filter(|word| word.starts_with("--") && !word.ends_with("-"));
    let others = ["--from", "--mount", "--version", "--at"];
    let flags: Vec<&str> = words.filter(|word| !others.contains(word)).collect();
    assert!(flags.len() > 12, "{flags:?}");
    for flag in flags {
        assert!(help.contains(flag), "{flag} is not in\n{help}");
    }
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let root = source_tree();
    let skip = [root.join("target"), root.join(".git")];
    let documents = walk(&root)
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "md"))
        .filter(|p| !skip.iter().any(|s| p.starts_with(s)));
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let target = document.parent().unwrap().join(path);
            assert!(target.exists(), "{}: {link}", document.display());
        }
    }
}
