//! Numbers that look random and are the same in every run.

/// A small generator (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % (end.max(1) as u64)) as usize
    }

    /// The bytes with a few of them changed, removed, repeated or inserted.
    pub fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(out.len());
            match self.below(5) {
                0 if !out.is_empty() => out[at] = self.number() as u8,
                1 if !out.is_empty() => out[at] ^= 1 << self.below(8),
                2 if !out.is_empty() => {
                    let end = (at + 1 + self.below(40)).min(out.len());
                    out.drain(at..end);
                }
                3 => {
                    let end = (at + self.below(200)).min(out.len());
                    let piece = out[at..end].to_vec();
                    out.splice(at..at, piece);
                }
                _ => {
                    let word = WORDS[self.below(WORDS.len())];
                    out.splice(at..at, word.bytes());
                }
            }
        }
        out
    }
}

/// Pieces that mean something to one of the readers.
const WORDS: &[&str] = &[
    "{",
    "}",
    "\"",
    "\\",
    "/-",
    "/*",
    "*/",
    "//",
    "#\"",
    "\"\"\"",
    "{{",
    "}}",
    ";",
    "=",
    "\n",
    "\r\n",
    "\u{feff}",
    "#true",
    "0x",
    "1e9",
    "-",
    "image \"a\" {",
    "from \"a\"",
    "matrix",
    "..",
    "/",
    "\0",
    "7777777",
    "ustar\0",
    "30 mtime=1.5\n",
    "GNU.sparse.major=1\n",
    ".wh.",
    ".wh..wh..opq",
    "../../x",
    "\u{200b}",
    "é",
];
