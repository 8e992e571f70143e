//! How long a load takes: `cargo bench -p mabuild-lang --bench load`.
//! Prints the best and the median of several runs in milliseconds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use mabuild_lang::{Files, Vars, format, load};

struct Memory(BTreeMap<String, String>);

impl Files for Memory {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let text = self.0.get(path).ok_or_else(|| "no such file".to_owned())?;
        Ok(text.clone().into_bytes())
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let start = pattern.split('*').next().unwrap_or_default();
        Ok(self.0.keys().filter(|path| path.starts_with(start)).cloned().collect())
    }
}

const HEAD: &str = r#"mabuild 1
platforms "linux/amd64" "linux/arm64" "linux/arm/v7"
let suite "bookworm"
base "alpine" {
    rootfs "https://example.org/{{version}}/rootfs-{{platform.alpine}}.tar.gz" version="3.20.3"
    platforms "linux/amd64" "linux/arm64" "linux/arm/v7" "linux/arm/v6" "linux/386" "linux/ppc64le" "linux/s390x" "linux/riscv64" "linux/loong64"
}
"#;

const NINE: &str = r#"    platforms "linux/amd64" "linux/arm64" "linux/arm/v7" "linux/arm/v6" "linux/386" "linux/ppc64le" "linux/s390x" "linux/riscv64" "linux/loong64"
"#;

/// About 500 bytes and 15 lines.
fn image(out: &mut String, at: usize, platforms: &str) {
    let from = if at.is_multiple_of(10) {
        "alpine".to_owned()
    } else {
        format!("service-{}", at - at % 10)
    };
    let _ = write!(
        out,
        r#"
// Service number {at}
image "service-{at}" {{
    from "{from}"
{platforms}    steps {{
        copy "services/{at}/conf/" "/etc/service/" chown="0:0" mode="0644"
        run "apk add --no-cache service-{at} && service --check \"/etc/service\""
        file "/etc/suite" "{{{{suite}}}}-{{{{platform.arch}}}}\n"
    }}
    env MODE="fast" LEVEL="info"
    label "org.opencontainers.image.title" "service {at}"
    entrypoint "/usr/bin/service" "--config" "/etc/service/service.conf"
    expose "80/tcp"; user "service"
    tags "{at}" "latest"
}}
"#
    );
}

fn measure(name: &str, files: &Memory, images: usize) {
    let mut times = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        let loaded = load("mabuild.kdl", files, &Vars::default());
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics.first());
        assert_eq!(loaded.config.images.len(), images);
    }
    times.sort_by(f64::total_cmp);
    let bytes: usize = files.0.values().map(String::len).sum();
    let (best, median) = (times.first().unwrap_or(&0.0), times.get(4).unwrap_or(&0.0));
    println!("{name}: {} KiB, best {best:.1} ms, median {median:.1} ms", bytes / 1024);
}

fn one_file(count: usize, platforms: &str) -> Memory {
    let mut text = HEAD.to_owned();
    for at in 0..count {
        image(&mut text, at, platforms);
    }
    Memory(BTreeMap::from([("mabuild.kdl".to_owned(), text)]))
}

fn many_files(files: usize, each: usize) -> Memory {
    let mut texts =
        BTreeMap::from([("mabuild.kdl".to_owned(), format!("{HEAD}include \"teams/*.kdl\"\n"))]);
    for file in 0..files {
        let mut text = String::new();
        for at in file * each..(file + 1) * each {
            image(&mut text, at, "");
        }
        texts.insert(format!("teams/{file}.kdl"), text);
    }
    Memory(texts)
}

/// Images of a hundred variants each, four of five on a variant of another.
fn matrices(count: usize) -> Memory {
    let mut text = format!("{HEAD}{}", NINE.trim_start());
    text = text.replacen("platforms \"linux/amd64\" \"linux/arm64\" \"linux/arm/v7\"\n", "", 1);
    for at in 0..count {
        let from = match at % 5 {
            0 => "alpine".to_owned(),
            _ => format!("service-{}", at - at % 5),
        };
        let _ = write!(
            text,
            r#"
image "service-{at}" {{
    matrix {{
        version "1.0" "1.1" "1.2" "1.3" "1.4" "1.5" "1.6" "1.7" "1.8" "1.9"
        flavour "a" "b" "c" "d" "e" "f" "g" "h" "i" "j"
    }}
    from "{from}"
    steps {{
        copy "services/{at}/" "/srv/{{{{flavour}}}}/"
        run "install service-{at}={{{{version}}}}"
    }}
    tags "{{{{version}}}}-{{{{flavour}}}}"
}}
"#
        );
    }
    Memory(BTreeMap::from([("mabuild.kdl".to_owned(), text)]))
}

fn main() {
    measure("1,000 images in one file", &one_file(1000, ""), 1000);
    measure("10,000 images of 9 platforms each", &one_file(10_000, NINE), 10_000);
    measure("20,000 lines in 100 files", &many_files(100, 14), 1400);
    measure("100,000 variants of 9 platforms each", &matrices(1000), 100_000);
    let mut raw = one_file(1000, "");
    for text in raw.0.values_mut() {
        // A shape the fast parser leaves to the full one.
        *text = text.replace("\"services/", "/-\"x\" \"services/");
    }
    measure("1,000 images for the full parser", &raw, 1000);
    let file = one_file(1000, "");
    let text = file.0.get("mabuild.kdl").map_or("", String::as_str);
    let start = Instant::now();
    let formatted = format("mabuild.kdl", text).map_or(0, |text| text.len());
    println!("format: {} KiB, {:.1} ms", formatted / 1024, start.elapsed().as_secs_f64() * 1000.0);
}
