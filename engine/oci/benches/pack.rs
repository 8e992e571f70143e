//! Packs 500 MB in 20,000 files, and measures it against a shell that does the same with tar,
//! gzip and sha256sum, in the same run.
//!
//! With `MABUILD_BENCH_ASSERT` set, it fails unless packing takes less than two thirds of the
//! time, adds less than 64 MiB of memory, and is no more than 5 % larger.

use mabuild_oci::layer::{Compression, Content, Entry, EntryKind, PackOptions, diff_upper, pack};
use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const FILES: usize = 20_000;
const BYTES: usize = 500_000_000;
const ROUNDS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let tree = dir.path().join("tree");
    generate(&tree)?;
    let entries = diff_upper(&tree, &[], &Default::default())?;
    let bytes: u64 = entries.iter().map(size).sum();
    println!("{} entries, {:.0} MB", entries.len(), bytes as f64 / 1e6);

    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    let (mut our_size, mut their_size, mut growth) = (0, 0, 0);
    for _ in 0..ROUNDS {
        let (time, size, memory) = run_pack(&entries, &dir.path().join("ours.tar.gz"))?;
        (ours, our_size, growth) = (ours.min(time), size, growth.max(memory));
        let (time, size) = run_shell(dir.path())?;
        (theirs, their_size) = (theirs.min(time), size);
    }
    let speed = theirs.as_secs_f64() / ours.as_secs_f64();
    let larger = our_size as f64 / their_size as f64;
    println!("pack:  {:6.2} s  {our_size} bytes  +{growth} kB of memory", ours.as_secs_f64());
    println!("shell: {:6.2} s  {their_size} bytes", theirs.as_secs_f64());
    println!("{speed:.2} times as fast, {larger:.3} times the size");
    for kind in [Compression::Zstd, Compression::None] {
        let start = Instant::now();
        let options = PackOptions { compression: kind, clamp_mtime: 0, threads: 0 };
        let packed = pack(entries.clone(), &options, &mut std::io::sink())?;
        println!("{kind:?}: {:.2} s  {} bytes", start.elapsed().as_secs_f64(), packed.size);
    }
    if std::env::var_os("MABUILD_BENCH_ASSERT").is_some() {
        assert!(speed >= 1.5, "packing is only {speed:.2} times as fast as the shell");
        assert!(growth < 64 * 1024, "packing took {growth} kB of memory");
        assert!(larger < 1.05, "the layer is {larger:.3} times the size");
    }
    Ok(())
}

fn size(entry: &Entry) -> u64 {
    match &entry.kind {
        EntryKind::File { size, content: Content::Path(_) } => *size,
        _ => 0,
    }
}

fn run_pack(entries: &[Entry], out: &Path) -> Result<(Duration, u64, u64), Box<dyn Error>> {
    let entries = entries.to_vec();
    // Forgets the highest memory so far.
    fs::write("/proc/self/clear_refs", "5")?;
    let before = peak_memory()?;
    let start = Instant::now();
    let options = PackOptions { compression: Compression::Gzip, clamp_mtime: 0, threads: 0 };
    let packed = pack(entries, &options, &mut File::create(out)?)?;
    let time = start.elapsed();
    Ok((time, packed.size, peak_memory()?.saturating_sub(before)))
}

/// Returns the highest resident memory of this process, in kB.
fn peak_memory() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn run_shell(dir: &Path) -> Result<(Duration, u64), Box<dyn Error>> {
    let script = "set -o pipefail; tar c tree | tee >(sha256sum > diff-id) | gzip -6 \
                  | tee >(sha256sum > digest) > theirs.tar.gz";
    let start = Instant::now();
    let status = Command::new("bash").args(["-c", script]).current_dir(dir).status()?;
    let time = start.elapsed();
    if !status.success() {
        return Err("the shell failed".into());
    }
    Ok((time, fs::metadata(dir.join("theirs.tar.gz"))?.len()))
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Makes a tree like `/usr`: directories of small and a few large files, text and binary.
fn generate(tree: &Path) -> Result<(), Box<dyn Error>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let pools = [text(&mut random), binary(&mut random)];
    let mut weights: Vec<f64> =
        (0..FILES).map(|_| 2f64.powf(random.below(1000) as f64 / 1000.0 * 12.0)).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w *= BYTES as f64 / sum);
    for (i, size) in weights.iter().enumerate() {
        let dir = tree.join(format!("share/{}/{}", i % 40, i % 7));
        fs::create_dir_all(&dir)?;
        let pool = &pools[usize::from(random.below(10) < 4)];
        let mut bytes = Vec::with_capacity(*size as usize + 4096);
        while bytes.len() < *size as usize {
            let start = random.below(pool.len() - 4096);
            bytes.extend_from_slice(&pool[start..start + 512 + random.below(3584)]);
        }
        bytes.truncate(*size as usize);
        fs::write(dir.join(format!("file{i}")), bytes)?;
    }
    Ok(())
}

/// Words of a small language, common ones often.
fn text(random: &mut Random) -> Vec<u8> {
    let words: Vec<Vec<u8>> = (0..6000)
        .map(|_| {
            (0..2 + random.below(9))
                .map(|_| b"etaoinshrdlucmfwypvbgkjqxz"[random.below(26).min(random.below(26))])
                .collect()
        })
        .collect();
    let mut out = Vec::new();
    while out.len() < 16 << 20 {
        let rank =
            random.below(words.len()).min(random.below(words.len())).min(random.below(words.len()));
        out.extend_from_slice(&words[rank]);
        out.push(if random.below(12) == 0 { b'\n' } else { b' ' });
    }
    out
}

/// Records like machine code: few opcodes, small numbers, now and then an address.
fn binary(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    while out.len() < 16 << 20 {
        let opcode = random.below(64).min(random.below(64)) as u8;
        out.extend_from_slice(&[0x48, opcode, random.below(8) as u8]);
        match random.below(6) {
            0 => out.extend_from_slice(&(random.next() as u32 & 0x00ff_ffff).to_le_bytes()),
            1 => out.extend_from_slice(&[0; 5]),
            _ => out.push(random.below(256) as u8),
        }
    }
    out
}
