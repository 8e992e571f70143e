//! A description in one text: `//- PATH` begins a file, `<|>` is the cursor. A text without such
//! a line is the main file.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Place, World};
use crate::load::Files;

/// The main file of all worlds.
pub const MAIN: &str = "mabuild.kdl";
const CURSOR: &str = "<|>";

/// Files by their path.
pub struct Texts(pub BTreeMap<String, String>);

impl Files for Texts {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let text = self.0.get(path).ok_or_else(|| "there is none".to_owned())?;
        Ok(text.clone().into_bytes())
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        // Enough for `folder/*.kdl`.
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let fits = |path: &&String| path.starts_with(start) && path.ends_with(end);
        Ok(self.0.keys().filter(fits).cloned().collect())
    }
}

/// A world, and where the cursor stands in it.
pub struct Fixture {
    pub world: World,
    pub texts: Texts,
    pub file: String,
    pub offset: u32,
}

/// Reads a world.
pub fn world(text: &str) -> Fixture {
    let mut texts = BTreeMap::new();
    let mut cursor = (MAIN.to_owned(), 0);
    let headed =
        if text.starts_with("//- ") { text.to_owned() } else { format!("//- {MAIN}\n{text}") };
    for part in headed.split("//- ").skip(1) {
        let (path, body) = part.split_once('\n').unwrap_or((part, ""));
        let path = path.trim().to_owned();
        if let Some(at) = body.find(CURSOR) {
            cursor = (path.clone(), at as u32);
        }
        texts.insert(path, body.replace(CURSOR, ""));
    }
    let texts = Texts(texts);
    let mut world = World::default();
    world.update(MAIN, &texts);
    Fixture { world, texts, file: cursor.0, offset: cursor.1 }
}

impl Fixture {
    fn text(&self, path: &str) -> &str {
        self.texts.0.get(path).map(String::as_str).unwrap_or_default()
    }

    /// `file:line text`, for places.
    pub fn show(&self, place: &Place) -> String {
        let text = self.text(&place.file);
        let range = place.range.start as usize..place.range.end as usize;
        let line = text[..range.start].matches('\n').count() + 1;
        format!("{}:{line} {}", place.file, &text[range])
    }

    pub fn definition(&self) -> Vec<String> {
        let found = self.world.definition(&self.file, self.offset);
        found.iter().map(|place| self.show(place)).collect()
    }

    pub fn references(&self) -> Vec<String> {
        let found = self.world.references(&self.file, self.offset, true);
        found.iter().map(|place| self.show(place)).collect()
    }

    pub fn hover(&self) -> String {
        self.world.hover(&self.file, self.offset).map_or_else(String::new, |hover| hover.markdown)
    }

    pub fn labels(&self) -> Vec<String> {
        let found = self.world.complete(&self.file, self.offset);
        found.items.into_iter().map(|item| item.label).collect()
    }

    /// The line of the cursor after an item was chosen, without its snippet.
    pub fn chosen(&self, label: &str) -> String {
        let found = self.world.complete(&self.file, self.offset);
        let item = found.items.iter().find(|item| item.label == label);
        let item = item.unwrap_or_else(|| panic!("{label} is not among {:?}", self.labels()));
        let text = replaced(self.text(&self.file), &found.replace, &item.insert);
        let line = text[..found.replace.start as usize].matches('\n').count();
        text.lines().nth(line).unwrap_or_default().to_owned()
    }

    /// Whether the name at the cursor can be renamed.
    pub fn prepare_ok(&self) -> bool {
        self.world.prepare_rename(&self.file, self.offset).is_some()
    }

    /// All files after a renaming.
    pub fn renamed(&self, new: &str) -> Result<BTreeMap<String, String>, String> {
        let mut edits = self.world.rename(&self.file, self.offset, new)?;
        edits.reverse();
        let mut texts = self.texts.0.clone();
        for (place, new) in edits {
            let text = texts.get_mut(&*place.file).unwrap();
            *text = replaced(text, &place.range, &new);
        }
        Ok(texts)
    }
}

fn replaced(text: &str, range: &Range<u32>, new: &str) -> String {
    let (start, end) = (range.start as usize, range.end as usize);
    format!("{}{new}{}", &text[..start], &text[end..])
}
