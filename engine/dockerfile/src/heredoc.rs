//! Heredocs: which words begin one, and the lines that belong to them.

use crate::ast::Heredoc;
use crate::lex::{Lexer, Mode};
use crate::line::{Line, Reader, without_end};
use crate::problem::{Problem, Problems, Span};

/// What a word says that begins a heredoc.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) name: String,
    pub(crate) expand: bool,
    pub(crate) strip_tabs: bool,
    pub(crate) fd: u32,
}

/// Reads a word such as `<<EOF`, `3<<-EOF` or `<<'EOF'`.
pub(crate) fn opening(word: &str) -> Option<Opening> {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (fd, rest) = word.split_at_checked(digits)?;
    let rest = rest.strip_prefix("<<")?;
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    // The delimiter is lexed with and without its quotes: when they differ, a part was quoted.
    let plain = only_word(rest, false)?;
    let quoted = only_word(rest, true)?;
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let expand = quotes(&plain) == quotes(&quoted);
    Some(Opening { name: plain, expand, strip_tabs, fd: fd.parse().unwrap_or(0) })
}

/// The lexer reads heredoc words with a backslash whatever the escape directive says.
fn only_word(text: &str, raw_quotes: bool) -> Option<String> {
    let mode = Mode { raw_quotes, keep_unset: true, words: true, ..Mode::new('\\') };
    let mut words = Lexer::new(text, mode, &|_| None).run().ok()?.words;
    let word = words.pop()?;
    words.is_empty().then_some(word.text)
}

/// Finds the words of a line that begin a heredoc.
fn openings(line: &Line, problems: &mut Problems) -> Vec<(Opening, Span)> {
    if !line.text.contains("<<") {
        return Vec::new();
    }
    let new = Mode::new('\\');
    let mode = Mode { raw_quotes: true, raw_escapes: true, keep_unset: true, words: true, ..new };
    match Lexer::new(&line.text, mode, &|_| None).run() {
        Ok(lexed) => {
            let found = lexed.words.into_iter();
            found.filter_map(|w| Some((opening(&w.text)?, line.span(w.start..w.end)))).collect()
        }
        Err(error) => {
            if line.text.split_whitespace().any(|word| opening(word).is_some()) {
                let span = line.span(error.start..error.end.max(error.start));
                problems.push(
                    Problem::warning(
                        code!("heredoc-not-seen"),
                        span,
                        format!("no heredoc is read here: {}", error.message),
                    )
                    .label("the line cannot be split into words")
                    .help(
                        "quote this part in a way that Dockerfiles know, or move it into a script",
                    ),
                );
            }
            Vec::new()
        }
    }
}

/// Reads the lines of every heredoc that a line begins.
pub(crate) fn read(line: &Line, reader: &mut Reader<'_>, problems: &mut Problems) -> Vec<Heredoc> {
    let openings = openings(line, problems);
    if openings.is_empty()
        && let Some(place) = within_a_word(line, reader)
    {
        problems.push(
            Problem::warning(code!("heredoc-not-seen"), place, "no heredoc is read here")
                .label("`<<` stands within a word")
                .help("put a space before the `<<`"),
        );
    }
    openings.into_iter().map(|(opening, span)| body(opening, span, reader, problems)).collect()
}

/// How many lines are looked through for the end of a heredoc that may be meant.
const NEAR: usize = 50;

/// Finds `word<<NAME` when a line below is NAME: BuildKit sees a heredoc at the start of a word only.
fn within_a_word(line: &Line, reader: &Reader<'_>) -> Option<Span> {
    let at = line.text.find("<<").filter(|at| *at > 0)?;
    let behind = line.slice(at + 2..line.text.len()).trim_start_matches(['-', '\'', '"']);
    let name = behind.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    let is_end = |below: &str| below.trim() == name;
    (!name.is_empty() && reader.below().take(NEAR).any(is_end)).then(|| line.span(at..at + 2))
}

fn body(opening: Opening, span: Span, reader: &mut Reader<'_>, problems: &mut Problems) -> Heredoc {
    let start = reader.at;
    let mut body = String::new();
    let mut end = None;
    while let Some((raw, at)) = reader.physical() {
        let line = without_end(raw);
        let line = if opening.strip_tabs { line.trim_start_matches('\t') } else { line };
        if line == opening.name {
            end = Some(at);
            break;
        }
        body.push_str(raw);
    }
    let body_span = Span::new(start, end.unwrap_or(reader.at));
    if end.is_none() {
        problems.push(unterminated(&opening, span, &body));
    }
    let Opening { name, expand, strip_tabs, fd } = opening;
    Heredoc { name, span, body, body_span, expand, strip_tabs, fd }
}

fn unterminated(opening: &Opening, span: Span, body: &str) -> Problem {
    let name = &opening.name;
    let near = body.lines().any(|line| line.trim() == name);
    let is_word = name.chars().all(|c| c.is_alphanumeric() || "_-. ".contains(c));
    let help = if !is_word {
        "if no heredoc is meant, write no space behind the `<<`, or quote it".to_owned()
    } else if near && !opening.strip_tabs {
        format!("the line `{name}` must have no white space around it; `<<-` allows leading tabs")
    } else {
        format!("put a line with `{name}` alone behind its text")
    };
    Problem::error(code!("heredoc-not-ended"), span, format!("the heredoc `{name}` never ends"))
        .label("begins here and takes the rest of the file")
        .help(help)
}
