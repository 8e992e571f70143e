//! Tags of registries that are followed.

use super::*;

const PLATFORMS: [&str; 9] = [
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/arm/v5",
    "linux/386",
    "linux/ppc64le",
    "linux/s390x",
    "linux/riscv64",
];

/// A registry with images of nine platforms in the repository `team/app`.
#[derive(Default)]
struct Images {
    blobs: HashMap<String, (&'static str, Vec<u8>)>,
    tags: BTreeMap<String, String>,
}

impl Images {
    fn blob(&mut self, kind: &'static str, bytes: Vec<u8>) -> mabuild_oci::Descriptor {
        let digest = Digest::sha256(&bytes);
        let descriptor = mabuild_oci::Descriptor::new(kind, digest, bytes.len() as u64);
        self.blobs.insert(digest.to_string(), (kind, bytes));
        descriptor
    }

    /// An index of all platforms; gives the digest of that of `linux/amd64`.
    fn tag(&mut self, tag: &str, created: Option<&str>) -> String {
        let entries: Vec<_> = PLATFORMS
            .iter()
            .map(|platform| {
                let platform: Platform = platform.parse().unwrap();
                let mut config = ImageConfig::new(&platform);
                config.created = created.map(str::to_owned);
                let config = self.blob(media_type::CONFIG, config.to_bytes().unwrap());
                let manifest = Manifest::new(config, vec![]).to_bytes().unwrap();
                self.blob(media_type::MANIFEST, manifest).with_platform(platform)
            })
            .collect();
        let first = entries[0].digest.to_string();
        let index = self.blob(media_type::INDEX, Index::new(entries).to_bytes().unwrap());
        self.tags.insert(tag.to_owned(), index.digest.to_string());
        first
    }

    fn reply(&self, request: &Request) -> Reply {
        let Some(path) = request.path.strip_prefix("/v2/team/app/") else {
            return Reply::new(404, "");
        };
        if path.starts_with("tags/list") {
            let tags: Vec<&str> = self.tags.keys().map(String::as_str).collect();
            return Reply::new(
                200,
                serde_json::json!({ "name": "team/app", "tags": tags }).to_string(),
            );
        }
        let name = path.rsplit('/').next().unwrap();
        let digest = self.tags.get(name).map_or(name, String::as_str);
        match self.blobs.get(digest) {
            Some((kind, bytes)) => Reply::new(200, bytes.clone())
                .with("Content-Type", kind)
                .with("Docker-Content-Digest", digest),
            None => Reply::new(404, ""),
        }
    }
}

fn registry(images: &Arc<Mutex<Images>>) -> Server {
    let images = images.clone();
    Server::start(move |request| images.lock().unwrap().reply(request))
}

fn image(server: &Server, tag: &str, range: Option<&str>, platform: &str) -> UpstreamAsk {
    let host = server.address.strip_prefix("http://").unwrap();
    UpstreamAsk::Registry {
        reference: format!("{host}/team/app:{tag}"),
        range: range.map(str::to_owned),
        platform: platform.to_owned(),
    }
}

#[test]
fn the_highest_tag_of_a_range_is_pinned() {
    let mut world = World::new();
    let images = Arc::new(Mutex::new(Images::default()));
    let mut wanted = HashMap::new();
    for tag in [
        "1.9.0-alpine",
        "1.22.3-alpine",
        "1.22.10-alpine",
        "1.22.11",
        "1.22.12-alpine3.20",
        "latest",
    ] {
        let digest = images.lock().unwrap().tag(tag, Some(&format!("2024-01-01T00:00:00Z {tag}")));
        wanted.insert(tag, digest);
    }
    let server = registry(&images);
    let found = |world: &World, tag: &str, range: &str| match world.pin(&image(
        &server,
        tag,
        Some(range),
        "linux/amd64",
    ))? {
        Pin::Registry { manifest, location } => Ok::<_, String>((manifest, location)),
        other => panic!("{other:?}"),
    };
    let highest = |tag: &str| {
        let host = server.address.strip_prefix("http://").unwrap();
        Ok((wanted[tag].clone(), format!("{host}/team/app:{tag}")))
    };
    assert_eq!(found(&world, "{{version}}-alpine", "1.22.*"), highest("1.22.10-alpine"));
    assert_eq!(found(&world, "{{version}}", "1.22.*-alpine"), highest("1.22.10-alpine"));
    assert_eq!(found(&world, "{{version}}", "1.*.*"), highest("1.22.11"));
    let error = found(&world, "{{version}}-alpine", "2.*").unwrap_err();
    assert!(
        error.contains("fits `2.*`; there are 1.22.10-alpine, 1.22.3-alpine, 1.9.0-alpine"),
        "{error}"
    );
    let error = found(&world, "{{version}}-slim", "*").unwrap_err();
    assert!(error.contains("there are 1.22.12-alpine3.20, 1.22.11, "), "{error}");
    assert!(found(&world, "fixed", "*").unwrap_err().contains("nothing to follow"));
    assert!(found(&world, "{{version}}", "~1").unwrap_err().contains("no operator"));

    let newest = images.lock().unwrap().tag("1.22.20-alpine", None);
    let before = server.requests().len();
    world.offline(true);
    assert_eq!(found(&world, "{{version}}-alpine", "1.22.*"), highest("1.22.10-alpine"));
    assert!(found(&world, "{{version}}-alpine", "1.*.*").is_err());
    assert_eq!(server.requests().len(), before);
    world.offline(false);
    assert_eq!(found(&world, "{{version}}-alpine", "1.22.*").unwrap().0, newest);
}

#[test]
fn a_tag_is_asked_once_for_all_platforms_and_nodes() {
    let world = World::new();
    let images = Arc::new(Mutex::new(Images::default()));
    images.lock().unwrap().tag("1.0", None);
    let server = registry(&images);
    let asks = |tag: &str, range: Option<&str>| -> Vec<UpstreamAsk> {
        let ask = |n: usize| image(&server, tag, range, PLATFORMS[n % PLATFORMS.len()]);
        (0..9 * 50).map(ask).collect()
    };
    let mut all = asks("1.0", None);
    all.extend(asks("{{version}}", Some("1.*")));
    let facts = find_facts(&world.run(), vec![], all.clone());
    assert!(all.iter().all(|ask| facts.upstream(ask).is_ok()), "{:?}", facts.upstream(&all[450]));
    let mut asked = lines(&server);
    asked.sort_unstable();
    let index = images.lock().unwrap().tags["1.0"].clone();
    let wanted = [
        format!("GET /v2/team/app/manifests/{index}"),
        "GET /v2/team/app/tags/list?n=1000".to_owned(),
        "HEAD /v2/team/app/manifests/1.0".to_owned(),
    ];
    assert_eq!(asked, wanted);
    // The next run asks whether the tag moved, and which tags there are.
    let facts = find_facts(&world.run(), vec![], all.clone());
    assert!(all.iter().all(|ask| facts.upstream(ask).is_ok()));
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn ages_of_images_come_from_their_configurations() {
    let mut world = World::new();
    let images = Arc::new(Mutex::new(Images::default()));
    for (tag, created) in [
        ("1", Some("2024-05-01T10:00:00Z")),
        ("zero", Some("1970-01-01T00:00:00Z")),
        ("fat", Some("1980-06-01T00:00:00Z")),
        ("future", Some("2050-01-01T00:00:00Z")),
        ("none", None),
    ] {
        images.lock().unwrap().tag(tag, created);
    }
    let server = registry(&images);
    let age = |world: &World, tag: &str, platform: &str| {
        let (run, ask) = (world.run(), image(&server, tag, None, platform));
        let pin = pin(&run, &ask).unwrap();
        run.published(&ask, &pin)
    };
    assert_eq!(age(&world, "1", "linux/amd64"), Some(1_714_557_600));
    assert_eq!(age(&world, "1", "linux/arm/v6"), Some(1_714_557_600));
    for none in ["zero", "fat", "future", "none"] {
        assert_eq!(age(&world, none, "linux/amd64"), None, "{none}");
    }
    // Also of an image whose tag moved on.
    let ask = image(&server, "1", None, "linux/s390x");
    let old = world.pin(&ask).unwrap();
    images.lock().unwrap().tag("1", Some("2024-06-01T00:00:00Z"));
    assert_eq!(world.run().published(&ask, &old), Some(1_714_557_600));
    let before = server.requests().len();
    world.offline(true);
    assert_eq!(world.run().published(&ask, &old), Some(1_714_557_600));
    assert_eq!(server.requests().len(), before);
}

#[test]
fn a_budget_that_cannot_do_is_told_before_anything_is_asked() {
    let mut world = World::new();
    let images = Arc::new(Mutex::new(Images::default()));
    for tag in ["1.0", "1.1", "1.2"] {
        images.lock().unwrap().tag(tag, Some(tag));
    }
    let server = registry(&images);
    let budget = |world: &mut World, requests: u64, mirrors: &[&str]| {
        world.options.hosts = vec![HostSettings {
            host: server.address.strip_prefix("http://").unwrap().to_owned(),
            mirrors: mirrors.iter().map(|mirror| (*mirror).to_owned()).collect(),
            max_requests: Some(requests),
            ..HostSettings::default()
        }];
    };
    let asks: Vec<UpstreamAsk> = ["1.0", "1.1", "1.2"]
        .iter()
        .flat_map(|tag| PLATFORMS.map(|platform| image(&server, tag, None, platform)))
        .collect();
    let answers = |world: &World| {
        let facts = find_facts(&world.run(), vec![], asks.clone());
        let failed: Vec<String> =
            asks.iter().filter_map(|ask| Some(facts.upstream(ask).err()?.message)).collect();
        failed
    };
    // Each tag, and its index.
    budget(&mut world, 5, &[]);
    let failed = answers(&world);
    assert_eq!(failed.len(), asks.len());
    assert!(failed[0].contains("would have to be asked for 6 things"), "{}", failed[0]);
    assert!(failed[0].contains("`max-requests` allows 5"), "{}", failed[0]);
    assert_eq!(server.requests().len(), 0);
    budget(&mut world, 6, &[]);
    assert_eq!(answers(&world), [""; 0]);
    // What indexes have is known now: half of it is enough.
    budget(&mut world, 3, &[]);
    assert_eq!(answers(&world), [""; 0]);
    budget(&mut world, 2, &[]);
    assert!(answers(&world)[0].contains("would have to be asked for 3 things"));
    assert_eq!(server.requests().len(), 9);
    // Nobody knows how much of it mirrors have.
    budget(&mut world, 2, &["127.0.0.1:1"]);
    assert!(answers(&world).iter().all(|told| !told.contains("have to be asked")));
    // A list of tags is a request too, also where many platforms follow it.
    budget(&mut world, 0, &[]);
    let follow = image(&server, "{{version}}", Some("1.*"), "linux/amd64");
    let error = world.pin(&follow).unwrap_err();
    assert!(error.contains("would have to be asked for 1 things"), "{error}");
}

#[test]
fn limits_that_a_registry_tells_are_kept() {
    let world = World::new();
    let images = Arc::new(Mutex::new(Images::default()));
    images.lock().unwrap().tag("1", None);
    let server = Server::start(move |request| {
        let reply = images.lock().unwrap().reply(request);
        reply.with("ratelimit-limit", "100;w=21600").with("ratelimit-remaining", "87;w=21600")
    });
    let run = world.run();
    assert_eq!(run.limits(), []);
    pin(&run, &image(&server, "1", None, "linux/amd64")).unwrap();
    let wanted = HostLimit {
        host: server.address.strip_prefix("http://").unwrap().to_owned(),
        limit: 100,
        remaining: 87,
        window: Some(Duration::from_secs(21600)),
    };
    assert_eq!(run.limits(), [wanted]);
}
