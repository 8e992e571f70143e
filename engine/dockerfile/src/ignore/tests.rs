use super::*;

/// Whether a lone pattern leaves a path out.
#[test]
fn single_patterns() {
    for (pattern, path, excluded) in [
        // Plain paths stand at the root and take everything below.
        ("a", "a", true),
        ("a", "a/b/c", true),
        ("a", "b/a", false),
        ("a", "ab", false),
        ("a/b", "a/b/c", true),
        ("a/b", "a", false),
        // Cleaning.
        ("/a", "a", true),
        ("//a", "a", true),
        ("a/", "a", true),
        ("./a", "a", true),
        ("a/./b//c", "a/b/c", true),
        ("a/../b", "b", true),
        ("a/../../b", "b", false),
        ("/../b", "b", true),
        ("  a  ", "a", true),
        (".", "a", false),
        ("/", "a", false),
        // One name.
        ("*", "a", true),
        ("*", "a/b", true),
        ("*.go", "x.go", true),
        ("*.go", "d/x.go", false),
        ("*/*.go", "d/x.go", true),
        ("*/b", "a/b/c", true),
        ("a*", "a", true),
        ("a*", "abc/d", true),
        ("a*c", "ac", true),
        ("a*c", "a/c", false),
        ("?", "a", true),
        ("?", "ab", false),
        ("?", "é", true),
        ("a?b", "a/b", false),
        ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false),
        // Folders.
        ("**", "a/b", true),
        ("**/", "a", true),
        ("**/**", "a/b", true),
        ("**/*", "a/b", true),
        ("**/*.go", "x.go", true),
        ("**/*.go", "d/e/x.go", true),
        ("**/b", "b", true),
        ("**/b", "a/b", true),
        ("**/b", "a/b/c", true),
        ("**/b", "ab", false),
        ("**/b/c", "x/b/c", true),
        ("**/b/c", "b/c", true),
        ("**/b/c", "xb/c", false),
        ("**b", "ab", true),
        ("**b", "x/ab", true),
        ("**b*", "ab", false),
        ("**b*", "x/bc", true),
        ("a/**", "a", false),
        ("a/**", "a/b/c", true),
        ("a/**", "ab/c", false),
        ("a**", "a", true),
        ("a**", "abc/d", true),
        ("a**/", "ab", true),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/xb", false),
        ("a**b", "axb", false),
        ("a**b", "ab", true),
        ("a**b", "ax/b", true),
        ("**/a/**", "x/a/y", true),
        ("**/a/**", "x/a", false),
        ("**/.git", ".git/HEAD", true),
        ("**/*.log", "a.log.d/x", false),
        // Sets.
        ("[a-c]x", "bx", true),
        ("[a-c]x", "dx", false),
        ("[^a-c]x", "dx", true),
        ("[^a-c]x", "bx", false),
        ("[!a]x", "ax", true),
        ("[!a]x", "bx", false),
        ("a[^b]c", "a/c", true),
        ("[\\]]", "]", true),
        ("[a\\-z]", "-", true),
        ("[a\\-z]", "m", false),
        ("a]", "a]", true),
        ("[.]x", ".x", true),
        ("[.]x", "ax", false),
        // Escapes.
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("a\\?", "a?", true),
        ("a\\?", "ab", false),
        ("\\!a", "!a", true),
        ("\\#a", "#a", true),
        // Letters behind a backslash mean something to the expression that moby makes.
        ("a\\b", "ab", false),
        ("a\\b", "a", true),
        ("a\\Bb", "ab", true),
        ("obj\\Debug", "obj/ebug", true),
        ("obj\\Debug", "objDebug", true),
        ("obj\\Debug", "obj/Debug", false),
        ("x\\d", "x7", true),
        ("x\\d", "xd", false),
        ("x[\\W]", "x-", true),
        ("x[\\W]", "xW", false),
        ("a\\z", "a", true),
        ("a\\_", "a_", true),
        // Stars within brackets are not seen as such.
        ("[*]", "*", false),
        ("[*]", "]", true),
        ("[*]", "[^]", true),
        ("[?]x", "?x", false),
        ("[?]x", "[]x", true),
        ("[^*]", "^[]", false),
        ("[^*]", "ab]", true),
        ("[a**]", "(", true),
        ("[[:digit:]]", "7", true),
        ("[[:^digit:]]", "7", false),
        ("[a[:digit:]]x", "7x", true),
        ("[[:digit]", ":", true),
        // Characters that mean something to regular expressions only.
        ("a.b", "axb", false),
        ("a.b*", "axb", false),
        ("a+*", "a+", true),
        ("a+*", "aa", false),
        ("(a)*", "(a)b", true),
        ("a|b*", "a", false),
        ("a$*", "a$", true),
        ("{a,b}", "a", false),
        ("{a,b}", "{a,b}", true),
        ("^a", "^a", true),
        ("^a*", "ab", true),
        ("a^*", "a^", false),
        // Others.
        ("é*", "éa", true),
        (" a b ", "a b", true),
    ] {
        let ignore = Ignore::parse(pattern);
        assert_eq!(ignore.excluded(path), excluded, "{pattern} on {path}");
        assert_eq!(ignore.problems(), &[], "{pattern}");
    }
}

#[test]
fn several_patterns() {
    for (patterns, path, excluded) in [
        (&["*", "!a"][..], "a", false),
        (&["*", "!a"], "a/b", false),
        (&["*", "!a"], "b", true),
        (&["!a", "*"], "a", true),
        (&["*.md", "!README.md"], "README.md", false),
        (&["*.md", "!README*.md", "README-secret.md"], "README-secret.md", true),
        (&["*.md", "!README*.md", "README-secret.md"], "README-public.md", false),
        (&["*.md", "README-secret.md", "!README*.md"], "README-secret.md", false),
        (&["docs", "!docs/README.md"], "docs/README.md", false),
        (&["docs", "!docs/README.md"], "docs/x/README.md", true),
        (&["docs", "!docs/README.md"], "docs", true),
        (&["docs", "!docs/a/**"], "docs/a/b", false),
        (&["docs", "!docs/a/**"], "docs/a", true),
        (&["a", "!a/b", "a/b/c"], "a/b/c", true),
        (&["a", "!a/b", "a/b/c"], "a/b/d", false),
        (&["**", "!src/**", "**/*.tmp"], "src/x.tmp", true),
        (&["**", "!src/**", "**/*.tmp"], "src/x.rs", false),
        (&["**", "! src"], "src/x.rs", false),
        // A pattern that changed nothing for the folder does not hold below it by itself.
        (&["a", "!a/b", "a"], "a/b", false),
        (&["a", "!a/b", "a/**"], "a/b", true),
        (&[], "a", false),
    ] {
        let ignore = Ignore::parse(&patterns.join("\n"));
        assert_eq!(ignore.excluded(path), excluded, "{patterns:?} on {path}");
    }
}

#[test]
fn patterns_of_flags_are_not_those_of_files() {
    for (patterns, path, excluded) in [
        (&["a"][..], "a/b", true),
        (&["/a"], "a", false),
        (&["*", "!a"], "a", false),
        (&["*", "! a"], "a", true),
        (&["*", "!/a"], "a", true),
        // The path is made short with the mark before it.
        (&["*", "!a/../b"], "b", true),
        (&["  *.o  ", ""], "x.o", true),
        (&["#a"], "#a", true),
    ] {
        let ignore = Ignore::of(patterns.iter().copied());
        assert_eq!(ignore.excluded(path), excluded, "{patterns:?} on {path}");
        assert_eq!(ignore.problems(), &[]);
    }
    assert_eq!(Ignore::of(["!", "[a", "x\\y"]).problems().len(), 3);
}

#[test]
fn ignore_files() {
    let text = "\u{feff}# comment\n\n  # no comment\r\n/target/\r\n*.log\n! keep.log\n\t\n";
    let ignore = Ignore::parse(text);
    assert_eq!(ignore.problems(), &[]);
    for (path, excluded) in [
        ("target/x/y", true),
        ("a.log", true),
        ("keep.log", false),
        ("sub/a.log", false),
        ("# no comment", true),
        ("/target/", true),
        ("", false),
    ] {
        assert_eq!(ignore.excluded(path), excluded, "{path}");
    }
    assert!(Ignore::parse("# nothing\n").is_empty());
}

#[test]
fn bad_patterns_have_places() {
    let text = "ok\n  [a  \n!\n!/\n[]a]\n[z-a]\na\\\n[a-]\n[a\\\n!.\nbin\\Release\n[[:none:]]\n";
    let ignore = Ignore::parse(text);
    let shown: Vec<String> = ignore
        .problems()
        .iter()
        .map(|p| {
            format!(
                "{} | {} | {}",
                &text[p.span.range()],
                p.message,
                p.help.as_deref().unwrap_or("")
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    [a | `[a` is no pattern | the `[` is never closed; `\[` is a plain bracket
    ! | `!` takes nothing back | write `!path`
    !/ | `!` takes nothing back | write `!path`
    []a] | `[]a]` is no pattern | `-` and `]` within brackets need a `\` before them
    [z-a] | `[z-a]` is no pattern | a range within brackets goes from the smaller to the greater
    a\ | `a\` is no pattern | a `\` at the end escapes nothing
    [a-] | `[a-]` is no pattern | `-` and `]` within brackets need a `\` before them
    [a\ | `[a\` is no pattern | the `[` is never closed; `\[` is a plain bracket
    bin\Release | `bin\Release` is no pattern | a `\` stands before a letter or digit; write `/` between folders
    [[:none:]] | `[[:none:]]` is no pattern | within brackets `[:` begins the name of a class, and there is no such one
    ");
    assert!(ignore.excluded("ok"));
}

#[test]
fn folders_are_pruned_only_when_nothing_comes_back() {
    for (patterns, folder, pruned) in [
        (&["a"][..], "a", true),
        (&["a"], "b", false),
        (&["a", "!b"], "a", true),
        (&["a", "!a/b/c"], "a", false),
        (&["a", "!a/b/c"], "a/b", false),
        (&["a", "!a/b/c"], "a/x", true),
        (&["a", "!a/b/**"], "a/b", false),
        (&["a", "!a/*.md"], "a", false),
        (&["a", "!b*"], "a", true),
        (&["a", "!**/x"], "a", false),
        (&["a", "!*/x"], "a", false),
    ] {
        let ignore = Ignore::of(patterns.iter().copied());
        assert_eq!(ignore.prunes(folder), pruned, "{patterns:?} on {folder}");
    }
}

/// A slow reading of the rules, pattern by pattern and folder by folder, as BuildKit walks.
fn slow(patterns: &[&str], path: &str) -> bool {
    let list: Vec<(bool, Pattern)> = patterns
        .iter()
        .map(|p| (p.starts_with('!'), Pattern::new(&clean(p.trim_start_matches('!'))).unwrap()))
        .collect();
    let mut above = vec![false; list.len()];
    let mut excluded = false;
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let mut here = vec![false; list.len()];
        excluded = false;
        for (index, (is_exception, pattern)) in list.iter().enumerate() {
            let matched = above[index]
                || *is_exception == excluded && pattern.fits(&path[..end], &mut Scratch::default());
            here[index] = matched;
            if matched {
                excluded = !is_exception;
            }
        }
        above = here;
    }
    excluded
}

proptest::proptest! {
    #[test]
    fn quick_and_slow_agree(
        patterns in proptest::collection::vec("!?(a|b|\\*|\\*\\*|a\\*|\\?|a/b|a/\\*\\*|\\*\\*/b|b/\\*|a/b/a|\\*\\*a)", 0..6),
        path in "[ab](/[ab]){0,4}",
    ) {
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        proptest::prop_assert_eq!(Ignore::of(patterns.iter().copied()).excluded(&path), slow(&patterns, &path));
    }

    #[test]
    fn anything_is_read(text in "\\PC{0,60}", path in "\\PC{0,20}") {
        let ignore = Ignore::parse(&text);
        ignore.excluded(&path);
        ignore.prunes(&path);
        for problem in ignore.problems() {
            proptest::prop_assert!(text.get(problem.span.range()).is_some());
        }
    }
}

/// Patterns that are looked up by name are never tried one by one: a hundred thousand paths against
/// a thousand of them are a matter of a fraction of a second.
#[test]
fn plain_patterns_are_looked_up() {
    let text: String =
        (0..1000).map(|n| format!("folder{n}/sub\nlib{n}/**\n**/name{n}\n")).collect();
    let ignore = Ignore::parse(&text);
    assert_eq!(ignore.patterns.len(), 3000);
    assert!(ignore.globs.is_empty());
    let excluded = |n: usize| {
        ignore.excluded(&format!("folder{n}/sub/x"))
            && ignore.excluded(&format!("lib{n}/x"))
            && ignore.excluded(&format!("a/b/name{n}"))
    };
    assert_eq!((0..100_000).filter(|n| excluded(*n)).count(), 1000);
}
