//! Alpine's `latest-releases.yaml`: a list of maps, one for each file, with `file`, `version`,
//! `sha256`, `sha512`, `date`, `time`. Other keys, and what is nested deeper, are passed over.

use mabuild_oci::Digest;
use saphyr_parser::{Event, Parser};

use super::{Entry, Listing, dated};

/// The largest list, in bytes; Alpine's has 30 KB.
const LARGEST: usize = 2 << 20;

/// One map of the list.
#[derive(Default)]
struct Release {
    file: String,
    version: String,
    sha256: String,
    sha512: String,
    date: String,
    time: String,
}

/// Reads the list.
pub(super) fn read(text: &str, listing: &mut Listing) -> Result<(), String> {
    if text.len() > LARGEST {
        return Err(format!("its YAML has more than {LARGEST} bytes"));
    }
    let mut parser = Parser::new_from_str(text);
    let (mut depth, mut key, mut release) = (0_usize, None, Release::default());
    while let Some(event) = parser.next_event() {
        let (event, _) = event.map_err(|e| format!("it is no YAML: {}", e.info()))?;
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => {
                depth = depth.saturating_sub(1);
                match depth {
                    1 => std::mem::take(&mut release).add(listing)?,
                    // A nested value is over.
                    2 => key = None,
                    _ => {}
                }
            }
            Event::Scalar(text, ..) if depth == 2 => match key.take() {
                None => key = Some(text.into_owned()),
                Some(name) => release.set(&name, &text),
            },
            Event::Alias(_) if depth == 2 => key = None,
            _ => {}
        }
    }
    Ok(())
}

impl Release {
    fn set(&mut self, name: &str, value: &str) {
        let field = match name {
            "file" => &mut self.file,
            "version" => &mut self.version,
            "sha256" => &mut self.sha256,
            "sha512" => &mut self.sha512,
            "date" => &mut self.date,
            "time" => &mut self.time,
            _ => return,
        };
        value.clone_into(field);
    }

    fn add(self, listing: &mut Listing) -> Result<(), String> {
        let sha512 = Digest::parse(&format!("sha512:{}", self.sha512.to_ascii_lowercase())).ok();
        let sha256 = || Digest::parse(&format!("sha256:{}", self.sha256.to_ascii_lowercase())).ok();
        let entry = Entry {
            version: Some(self.version).filter(|version| !version.is_empty()),
            digest: sha512.or_else(sha256),
            dated: dated(&format!("{} {}", self.date, self.time)),
        };
        listing.add(&self.file, entry)
    }
}
