//! A plan of a fleet that has the shape of Docker's Official Images: 144 files, 2,121 images,
//! 7,934 nodes of one image on one platform, once stale and once with everything up to date.
//!
//!     cargo bench -p mabuild-tests --bench doi
//!
//! The shape, from below: 124 distributions (one archive each, up to 9 platforms); 63 collections
//! of compilers in chains of three on them; 902 variants of languages, most on those, a third on
//! distributions; 890 applications, half on a language, a quarter on distributions; 142 that stand
//! on applications. A few parents have most children, as `debian` and `alpine` have: who is chosen
//! follows a square law. Every image has steps, settings, labels, and a context of three files, of
//! which it copies one or two.
//!
//! With `MABUILD_BENCH_ASSERT` set, ends with an error when the limit is passed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark that cannot be set up fails by a panic"
)]

mod measure;

use std::fmt::Write;
use std::time::Duration;

use mabuild_tests::archive::Tar;
use mabuild_tests::env::TestEnv;
use mabuild_tests::random::Random;

const NODES: usize = 7934;
/// Facts, keys and plan; twice the aim, for machines that are shared.
const LIMIT: Duration = Duration::from_millis(200);
const MEMORY: u64 = 200 << 20;
const PLATFORMS: [&str; 9] = [
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/ppc64le",
    "linux/s390x",
    "linux/386",
    "linux/riscv64",
    "linux/arm/v6",
    "linux/arm/v5",
];

/// Images of one level: how many, in how many files, and which levels they stand on.
struct Level {
    name: &'static str,
    images: usize,
    files: usize,
    below: &'static [usize],
}

const LEVELS: [Level; 5] = [
    Level { name: "distribution", images: 124, files: 26, below: &[] },
    Level { name: "tools", images: 63, files: 3, below: &[0] },
    Level { name: "language", images: 902, files: 26, below: &[1, 1, 0] },
    Level { name: "app", images: 890, files: 72, below: &[2, 2, 0, 1] },
    Level { name: "top", images: 142, files: 17, below: &[3] },
];

struct Image {
    name: String,
    level: usize,
    file: usize,
    /// Position of the image below.
    below: Option<usize>,
    /// How many of [`PLATFORMS`], from the front.
    platforms: usize,
}

fn main() {
    if measure::be_child() {
        return;
    }
    let env = TestEnv::new();
    let images = fleet();
    set_up(&env, &images);
    let (project, store) = (env.project(), env.root.path().join("store"));
    measure::plan(&project, &store, 1);
    // Files hashed within the clock's resolution are not remembered; the next run does that.
    std::thread::sleep(Duration::from_secs(3));
    measure::plan(&project, &store, 1);
    let stale = measure::plan(&project, &store, 7);
    assert_eq!(stale.nodes as usize, NODES + images.len());
    println!("{}", stale.show("144 files, 2,121 images, 7,934 nodes, stale"));
    measure::fill_store(&project, &store);
    let fresh = measure::plan(&project, &store, 7);
    assert_eq!(fresh.kept, fresh.nodes);
    println!("{}", fresh.show("144 files, 2,121 images, 7,934 nodes, up to date"));
    fresh.hold(fresh.plan, LIMIT, MEMORY);
}

fn fleet() -> Vec<Image> {
    let mut random = Random(1);
    let mut images: Vec<Image> = Vec::new();
    let mut starts = Vec::new();
    let mut first_file = 0;
    for (level, kind) in LEVELS.iter().enumerate() {
        let start = images.len();
        starts.push(start..start + kind.images);
        for at in 0..kind.images {
            let below = match kind.below.get(at % kind.below.len().max(1)) {
                // The second and third of each chain of three stand on the one before.
                Some(_) if level == 1 && at % 3 != 0 => Some(images.len() - 1),
                Some(below) => {
                    let range = &starts[*below];
                    let part = random.below(1000);
                    Some(range.start + range.len() * part * part / 1_000_000)
                }
                None => None,
            };
            let most = below.map_or(PLATFORMS.len(), |b| images[b].platforms);
            let wanted = [8, 2, 5, 4, 2, 1, 7, 2, 3][at % 9];
            images.push(Image {
                name: format!("{}-{at}", kind.name),
                level,
                file: first_file + at * kind.files / kind.images,
                below,
                platforms: most.min(wanted),
            });
        }
        first_file += kind.files;
    }
    settle(&mut images);
    images
}

/// Adds or takes platforms, one an image, until the number of nodes is right.
fn settle(images: &mut [Image]) {
    let mut nodes: usize = images.iter().map(|i| i.platforms).sum();
    while nodes != NODES {
        let before = nodes;
        for at in (0..images.len()).rev() {
            let most = images[at].below.map_or(PLATFORMS.len(), |b| images[b].platforms);
            let own = images[at].platforms;
            let leaf = !images.iter().any(|i| i.below == Some(at));
            if nodes < NODES && own < most {
                images[at].platforms += 1;
                nodes += 1;
            } else if nodes > NODES && own > 1 && leaf {
                images[at].platforms -= 1;
                nodes -= 1;
            }
        }
        assert_ne!(nodes, before, "a fleet of {NODES} nodes cannot be made");
    }
}

fn set_up(env: &TestEnv, images: &[Image]) {
    assert_eq!(images.len(), 2121);
    let tree = Tar::default().dir("./", 0o755).file("hello", 0o644, "hello\n");
    env.write("tree.tar", tree.plain());
    env.write("mabuild.kdl", "mabuild 1\ninclude \"library/*.kdl\"\n");
    let files = images.iter().map(|i| i.file).max().unwrap_or(0) + 1;
    let mut texts = vec![String::from("mabuild 1\n"); files];
    for (at, image) in images.iter().enumerate() {
        let text = &mut texts[image.file];
        match image.below {
            None => base(text, image),
            Some(below) => {
                for name in ["entrypoint.sh", "config.conf", "README.md"] {
                    let content = format!("{name} of {}\n", image.name).repeat(20);
                    env.write(&format!("library/{}/{name}", image.name), content);
                }
                one(text, image, &images[below].name, at);
            }
        }
    }
    assert_eq!(texts.len(), 144);
    for (at, text) in texts.into_iter().enumerate() {
        env.write(&format!("library/{at:03}.kdl"), text);
    }
}

fn platforms(image: &Image) -> String {
    PLATFORMS[..image.platforms].iter().map(|p| format!(" \"{p}\"")).collect()
}

fn base(text: &mut String, image: &Image) {
    let platforms = platforms(image);
    let name = &image.name;
    write!(
        text,
        "base \"{name}\" {{\n    platforms{platforms}\n    rootfs \"../tree.tar\"\n    cmd \"/bin/sh\"\n    label \"name\" \"{name}\"\n}}\n"
    )
    .unwrap();
}

fn one(text: &mut String, image: &Image, below: &str, at: usize) {
    let Image { name, level, .. } = image;
    let platforms = platforms(image);
    let config = match at % 2 {
        0 => "        copy \"config.conf\" \"/etc/app/\" mode=\"0644\"\n",
        _ => "",
    };
    write!(
        text,
        "image \"{name}\" {{
    from \"{below}\"
    platforms{platforms}
    context \"{name}\"
    steps {{
        env APP_VERSION=\"{level}.{at}.0\" APP_SHA256=\"{at:064}\" LANG=\"C.UTF-8\"
        run \"set -eux; apt-get update; apt-get install -y --no-install-recommends ca-certificates curl gnupg lib{name}; rm -rf /var/lib/apt/lists/*\"
        run \"set -eux; arch=\\\"$(dpkg --print-architecture)\\\"; curl -fsSL -o /tmp/app.tgz \\\"https://example.org/{name}-$APP_VERSION-{{{{platform.arch}}}}.tgz\\\"; echo \\\"$APP_SHA256 */tmp/app.tgz\\\" | sha256sum -c -; tar -xf /tmp/app.tgz -C /usr/local; rm /tmp/app.tgz; app --version\"
        copy \"entrypoint.sh\" \"/usr/local/bin/\" mode=\"0755\"
{config}        workdir \"/srv/{name}\"
    }}
    volume \"/srv/{name}/data\"
    expose \"80/tcp\"
    entrypoint \"entrypoint.sh\"
    cmd \"app\" \"--serve\"
    label \"org.opencontainers.image.version\" \"{level}.{at}.0\"
    tags \"{level}.{at}.0\" \"{level}.{at}\"
}}
"
    )
    .unwrap();
}
