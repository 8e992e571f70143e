//! What differs between two records.
//!
//! Steps are lined up before they are compared, so that one that was put between others is shown
//! as new, in place of all that follow it.

use std::collections::HashMap;

use super::Record;

/// Pairs of steps that are tried at most to line them up.
const MOST_PAIRS: usize = 250_000;

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Name of the field, `steps[2].files.conf/a.content`; `order` when equal fields stand in
    /// another order.
    pub field: String,
    /// Value before; none when the field is new.
    pub before: Option<String>,
    /// Value now; none when the field is gone.
    pub now: Option<String>,
}

/// The fields that differ, in the order of the newer record, those that are gone last.
pub fn diff(before: &Record, now: &Record) -> Vec<Change> {
    let (old, new) = (Blocks::of(before), Blocks::of(now));
    let mut found = Vec::new();
    compare(&old.plain, &new.plain, &mut found);
    let none = Block::default();
    for (was, is) in line_up(&old.steps, &new.steps) {
        compare(was.unwrap_or(&none), is.unwrap_or(&none), &mut found);
    }
    // A field that is gone has no place in the newer record.
    found.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
    let changes: Vec<Change> = found.into_iter().map(|(_, change)| change).collect();
    match changes.is_empty() {
        true => order(before, now).into_iter().collect(),
        false => changes,
    }
}

/// The first field that stands in another place, when it is only the order that differs.
fn order(before: &Record, now: &Record) -> Option<Change> {
    let mut pairs = before.fields.iter().zip(&now.fields);
    let (was, is) = pairs.find(|(was, is)| was != is)?;
    let field = "order".to_owned();
    Some(Change { field, before: Some(was.0.clone()), now: Some(is.0.clone()) })
}

/// One step of a record, or all that is no step.
#[derive(Default)]
struct Block<'a> {
    /// `steps[2]`; empty for what is no step.
    name: &'a str,
    fields: Vec<Field<'a>>,
}

struct Field<'a> {
    /// Position in the record.
    place: usize,
    /// Name without that of the block.
    name: &'a str,
    value: &'a str,
}

#[derive(Default)]
struct Blocks<'a> {
    plain: Block<'a>,
    steps: Vec<Block<'a>>,
}

impl<'a> Blocks<'a> {
    fn of(record: &'a Record) -> Self {
        let mut out = Self::default();
        for (place, (name, value)) in record.fields.iter().enumerate() {
            let (block, name) = split(name);
            let list = match block {
                "" => &mut out.plain,
                block => {
                    if out.steps.last().is_none_or(|last| last.name != block) {
                        out.steps.push(Block { name: block, fields: Vec::new() });
                    }
                    // There is one now.
                    out.steps.last_mut().unwrap_or(&mut out.plain)
                }
            };
            list.fields.push(Field { place, name, value });
        }
        out
    }
}

/// `steps[2].words[0]` to `steps[2]` and `.words[0]`, that of another stage with its stage; what is
/// no step to nothing and itself.
fn split(name: &str) -> (&str, &str) {
    let number = |text: &str, list: &str| {
        let at = text.strip_prefix(list)?.find(']')?;
        Some(list.len() + at + 1)
    };
    let stage = number(name, "stages[").map_or(0, |end| end + 1);
    let end = name.get(stage..).and_then(|rest| number(rest, "steps["));
    end.and_then(|end| name.split_at_checked(stage + end)).unwrap_or(("", name))
}

impl Block<'_> {
    fn same(&self, other: &Self) -> bool {
        let pairs = || self.fields.iter().zip(&other.fields);
        self.fields.len() == other.fields.len()
            && pairs().all(|(a, b)| (a.name, a.value) == (b.name, b.value))
    }

    /// What the step does, `run`.
    fn kind(&self) -> Option<&str> {
        self.fields.first().map(|field| field.value)
    }
}

/// Compares the fields of two blocks by name; equal names by their order.
fn compare(old: &Block<'_>, new: &Block<'_>, out: &mut Vec<(Option<usize>, Change)>) {
    let (before, now) = (index(old), index(new));
    let text = |field: &Field<'_>| Some(field.value.to_owned());
    for (id, field) in &now {
        let was = before.get(id);
        if was.is_none_or(|was| was.value != field.value) {
            let name = format!("{}{}", new.name, field.name);
            let before = was.and_then(|was| text(was));
            out.push((Some(field.place), Change { field: name, before, now: text(field) }));
        }
    }
    let mut gone: Vec<&&Field<'_>> =
        before.iter().filter(|(id, _)| !now.contains_key(*id)).map(|(_, field)| field).collect();
    gone.sort_unstable_by_key(|field| field.place);
    out.extend(gone.into_iter().map(|field| {
        let name = format!("{}{}", old.name, field.name);
        (None, Change { field: name, before: text(field), now: None })
    }));
}

fn index<'a, 'b>(block: &'b Block<'a>) -> HashMap<(&'a str, usize), &'b Field<'a>> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let fields = block.fields.iter().map(|field| {
        let count = counts.entry(field.name).or_default();
        *count += 1;
        ((field.name, *count), field)
    });
    fields.collect()
}

/// Two steps that belong together, or one that is new or gone.
type Pair<'a, 'b> = (Option<&'b Block<'a>>, Option<&'b Block<'a>>);

/// Lines steps up: those that are equal, and between them those of the same kind, in order.
fn line_up<'a, 'b>(old: &'b [Block<'a>], new: &'b [Block<'a>]) -> Vec<Pair<'a, 'b>> {
    let mut pairs = Vec::new();
    let (mut from, mut to) = (0, 0);
    let mut anchors = anchors(old, new);
    anchors.push((old.len(), new.len()));
    for (was, is) in anchors {
        let gap = (old.get(from..was), new.get(to..is));
        let (gone, added) = (gap.0.unwrap_or_default(), gap.1.unwrap_or_default());
        let mut left = gone.iter();
        for step in added {
            let mut rest = left.clone();
            let twin = rest.find(|other| other.kind() == step.kind());
            if let Some(twin) = twin {
                // Those that were passed over stand before the twin and are gone.
                let passed = left.take_while(|other| !std::ptr::eq(*other, twin));
                pairs.extend(passed.map(|other| (Some(other), None)));
                left = rest;
            }
            pairs.push((twin, Some(step)));
        }
        pairs.extend(left.map(|other| (Some(other), None)));
        (from, to) = (was + 1, is + 1);
    }
    pairs
}

/// Positions of steps that are equal in both lists, the longest rows of them that there are; of
/// very long lists only those at both ends.
fn anchors(old: &[Block<'_>], new: &[Block<'_>]) -> Vec<(usize, usize)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a.same(b)).count();
    let (tail_old, tail_new) = (&old[head..], &new[head..]);
    let ends = tail_old.iter().rev().zip(tail_new.iter().rev());
    let tail = ends.take_while(|(a, b)| a.same(b)).count();
    let old_middle = &tail_old[..tail_old.len() - tail];
    let new_middle = &tail_new[..tail_new.len() - tail];
    let mut out: Vec<(usize, usize)> = (0..head).map(|at| (at, at)).collect();
    if old_middle.len().saturating_mul(new_middle.len()) <= MOST_PAIRS {
        let common = longest_common(old_middle, new_middle);
        out.extend(common.into_iter().map(|(a, b)| (a + head, b + head)));
    }
    let (was, is) = (old.len() - tail, new.len() - tail);
    out.extend((0..tail).map(|at| (was + at, is + at)));
    out
}

/// The longest common subsequence, as pairs of positions.
fn longest_common(old: &[Block<'_>], new: &[Block<'_>]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    let mut table = vec![0_u32; (old.len() + 1) * width];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            table[i * width + j] = match a.same(b) {
                true => table[(i + 1) * width + j + 1] + 1,
                false => table[(i + 1) * width + j].max(table[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut out = Vec::new();
    while let (Some(a), Some(b)) = (old.get(i), new.get(j)) {
        if a.same(b) {
            out.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if table[(i + 1) * width + j] >= table[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[(&str, &str)]) -> Record {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Record { version: 1, fields }
    }

    fn text(before: &Record, now: &Record) -> Vec<String> {
        let changes = diff(before, now);
        changes.iter().map(|c| format!("{}:{:?}:{:?}", c.field, c.before, c.now)).collect()
    }

    /// A `run` for each word.
    fn runs(words: &[&str]) -> Record {
        let fields = words.iter().enumerate().flat_map(|(at, word)| {
            [
                (format!("steps[{at}]"), "run".to_owned()),
                (format!("steps[{at}].words[0]"), (*word).to_owned()),
            ]
        });
        Record { version: 1, fields: fields.collect() }
    }

    #[test]
    fn shows_changed_new_and_gone() {
        let changes = text(
            &record(&[("a", "1"), ("b", "1"), ("c", "1")]),
            &record(&[("a", "1"), ("b", "2"), ("d", "3")]),
        );
        let expected = [r#"b:Some("1"):Some("2")"#, r#"d:None:Some("3")"#, r#"c:Some("1"):None"#];
        assert_eq!(changes, expected);
    }

    #[test]
    fn a_step_between_others_is_new_alone() {
        let changes = text(&runs(&["a", "b", "c"]), &runs(&["a", "x", "b", "c"]));
        assert_eq!(
            changes,
            [r#"steps[1]:None:Some("run")"#, r#"steps[1].words[0]:None:Some("x")"#]
        );
        let changes = text(&runs(&["a", "x", "b", "c"]), &runs(&["a", "b", "c"]));
        assert_eq!(
            changes,
            [r#"steps[1]:Some("run"):None"#, r#"steps[1].words[0]:Some("x"):None"#]
        );
    }

    #[test]
    fn steps_of_other_stages_are_steps_too() {
        assert_eq!(split("stages[10].steps[2].words[0]"), ("stages[10].steps[2]", ".words[0]"));
        assert_eq!(split("stages[0].from"), ("", "stages[0].from"));
        assert_eq!(split("steps[1]"), ("steps[1]", ""));
    }

    #[test]
    fn a_changed_step_is_compared_with_what_it_was() {
        let changes = text(&runs(&["a", "b", "c"]), &runs(&["z", "a", "y", "c"]));
        assert_eq!(
            changes,
            [
                r#"steps[0]:None:Some("run")"#,
                r#"steps[0].words[0]:None:Some("z")"#,
                r#"steps[2].words[0]:Some("b"):Some("y")"#,
            ]
        );
        let mut copied = runs(&["a", "b"]);
        copied.fields[0].1 = "copy".to_owned();
        // The copy is gone, and the run after it is compared with the run.
        let changes = text(&copied, &runs(&["y"]));
        assert_eq!(
            changes,
            [
                r#"steps[0].words[0]:Some("b"):Some("y")"#,
                r#"steps[0]:Some("copy"):None"#,
                r#"steps[0].words[0]:Some("a"):None"#,
            ]
        );
    }

    #[test]
    fn equal_names_and_a_new_order_are_no_silence() {
        let twice = record(&[("env.A", "1"), ("env.A", "2")]);
        assert_eq!(
            text(&record(&[("env.A", "0"), ("env.A", "2")]), &twice),
            [r#"env.A:Some("0"):Some("1")"#]
        );
        assert_eq!(
            text(&record(&[("a", "1"), ("b", "1")]), &record(&[("b", "1"), ("a", "1")])),
            [r#"order:Some("a"):Some("b")"#]
        );
        assert_eq!(text(&twice, &twice), [""; 0]);
    }

    #[test]
    fn very_many_steps_take_no_time() {
        let words: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
        let old: Vec<&str> = words.iter().map(String::as_str).collect();
        let new: Vec<&str> = old.iter().rev().copied().collect();
        assert_eq!(diff(&runs(&old), &runs(&new)).len(), 20_000);
    }
}
