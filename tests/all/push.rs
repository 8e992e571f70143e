//! The client of registries against Debian's `docker-registry`, with skopeo as the judge.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use mabuild_oci::{Descriptor, Digest, Index, Layout, media_type};
use mabuild_registry::{Client, Credentials, Error, ErrorKind, Options, Pushed, Reference};
use mabuild_tests::archive::Tar;
use mabuild_tests::env::has;
use mabuild_tests::registry::{Kind, NAME, PASSWORD, Registry, Request, Served, TLS_NAME};
use serde_json::json;

const PLATFORMS: [&str; 3] = ["linux/amd64", "linux/arm64", "linux/s390x"];

/// The type of what is said about an image.
pub(crate) const STATEMENT: &str = "application/x-test";

/// A layout with an image of three platforms: its index, and the bytes of that.
pub(crate) struct Image {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) layout: Layout,
    pub(crate) index: Descriptor,
    bytes: Vec<u8>,
}

impl Image {
    /// Makes an image of a large layer and a small one, which has a text.
    pub(crate) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let noise: Vec<u8> = (0..2_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        let large = Tar::default().file("noise", 0o644, noise).gzip(1);
        let small = Tar::default().file("text", 0o644, text).gzip(1);
        let layers = [("large", large), ("small", small)];
        mabuild_tests::layout::layout(folder.path(), &PLATFORMS, &layers, &json!({}));
        let top = std::fs::read(folder.path().join("index.json")).unwrap();
        let mut index = Index::from_bytes(&top).unwrap().manifests.remove(0);
        index.annotations.clear();
        let layout = Layout::open(folder.path()).unwrap();
        let bytes = layout.read(&index.digest).unwrap();
        Self { folder, layout, index, bytes }
    }

    pub(crate) async fn push(&self, client: &Client, to: &Reference) -> Result<Pushed, Error> {
        let pushed = client.push(&self.layout, &self.index, to, &[]).await?;
        client.put(to, media_type::INDEX, &self.bytes).await?;
        Ok(pushed)
    }

    /// Writes something that is said about the image, and gives its manifest.
    pub(crate) fn statement(&self) -> Descriptor {
        let config = self.layout.write_blob(media_type::EMPTY, b"{}").unwrap();
        let mut statement = mabuild_oci::Manifest::new(config.clone(), vec![config]);
        statement.artifact_type = Some(STATEMENT.to_owned());
        statement.subject = Some(self.index.clone());
        let bytes = statement.to_bytes().unwrap();
        self.layout.write_blob(media_type::MANIFEST, &bytes).unwrap()
    }
}

pub(crate) fn reference(host: &str, repository: &str, tag: &str) -> Reference {
    let (host, repository) = (host.to_owned(), repository.to_owned());
    Reference { host, repository, tag: Some(tag.to_owned()), digest: None }
}

pub(crate) fn options() -> Options {
    Options { attempts: 3, pause: Duration::from_millis(20), ..Options::default() }
}

pub(crate) fn client(options: Options) -> Client {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Client::new(Arc::new(move |_: &_| Ok(http.clone())), options)
}

pub(crate) fn block<T>(question: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(question)
}

pub(crate) fn skopeo(args: &[&str]) -> Vec<u8> {
    let out = Command::new("skopeo").args(args).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// The names of the blobs of a layout.
fn blobs(layout: &Path) -> Vec<std::ffi::OsString> {
    let all = std::fs::read_dir(layout.join("blobs/sha256")).unwrap().flatten();
    let mut names: Vec<_> = all.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

/// Requests of one method about one kind of thing.
pub(crate) fn count(requests: &[Request], method: &str, kind: &str) -> usize {
    requests.iter().filter(|r| r.method == method && r.path.contains(kind)).count()
}

#[test]
fn pushed_image_is_the_same_to_skopeo() {
    if let Some(registry) = Registry::start(Kind::Plain).filter(|_| has("skopeo")) {
        same_to_skopeo(&registry);
    }
}

/// Pushes an image twice and lets skopeo read it, and pushes once what skopeo has pushed.
pub(crate) fn same_to_skopeo(registry: &dyn Served) {
    let host = registry.host();
    let image = Image::new("one");
    let to = reference(host, "team/app", "1");
    let pushed = block(image.push(&client(options()), &to)).unwrap();
    assert_eq!((pushed.uploaded, pushed.manifests), (5, 4), "{pushed:?}");
    let name = format!("docker://{host}/team/app:1");
    assert_eq!(skopeo(&["inspect", "--raw", "--tls-verify=false", &name]), image.bytes);
    let back = image.folder.path().join("back");
    let target = format!("oci:{}", back.display());
    skopeo(&["copy", "--quiet", "--all", "--src-tls-verify=false", &name, &target]);
    assert_eq!(blobs(&back), blobs(image.folder.path()));
    // A second push asks whether the image is there and writes its tag alone.
    let before = registry.requests().len();
    assert_eq!(block(image.push(&client(options()), &to)).unwrap(), Pushed::default());
    let again = registry.requests().split_off(before);
    assert_eq!((count(&again, "PUT", "/manifests/"), again.len()), (1, 2), "{again:?}");
    // What skopeo pushed is read, and is there for a push.
    let other = Image::new("two");
    let source = format!("oci:{}:latest", other.folder.path().display());
    let name = format!("docker://{host}/team/other:1");
    skopeo(&["copy", "--quiet", "--all", "--dest-tls-verify=false", &source, &name]);
    let to = reference(host, "team/other", "1");
    let client = client(options());
    assert_eq!(block(client.current(&to)).unwrap(), Some(other.index.digest));
    let pushed = block(client.push(&other.layout, &other.index, &to, &[])).unwrap();
    assert_eq!(pushed, Pushed::default());
}

#[test]
fn copy_within_a_registry_mounts_and_what_is_deleted_is_gone() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let image = Image::new("one");
    let client = client(options());
    let from = reference(&registry.host, "team/app", "1");
    let to = reference(&registry.host, "mirror/app", "2");
    block(image.push(&client, &from)).unwrap();
    let before = registry.requests().len();
    let (_folder, layout) = (image.folder.path(), &image.layout);
    let copied = block(client.copy(&from, &to, layout, None, true)).unwrap();
    assert_eq!((copied.digest, copied.pushed.mounted), (image.index.digest, 5));
    let requests = registry.requests().split_off(before);
    assert_eq!(count(&requests, "POST", "?mount="), 5, "{requests:?}");
    assert_eq!(count(&requests, "PUT", "/blobs/") + count(&requests, "GET", "/blobs/"), 0);
    assert_eq!(block(client.tags(&to)).unwrap(), ["2"]);
    // Without its manifest the tag is nothing.
    let digest = to.with_digest(image.index.digest);
    assert!(block(client.delete(&digest)).unwrap());
    assert!(!block(client.delete(&digest)).unwrap());
    assert_eq!(block(client.current(&to)).unwrap(), None);
    // A statement is listed under a tag, since this registry cannot list them.
    let statement = image.statement();
    block(client.push(layout, &statement, &from, &[])).unwrap();
    let list = block(client.referrers(&from.with_digest(image.index.digest), None)).unwrap();
    let found: Vec<Digest> = list.manifests.iter().map(|one| one.digest).collect();
    assert_eq!(found, [statement.digest]);
    let tag = format!("sha256-{}", image.index.digest.hex());
    assert!(block(client.tags(&from)).unwrap().contains(&tag));
}

#[test]
fn login_is_needed_and_not_shown() {
    let Some(registry) = Registry::start(Kind::Login) else { return };
    let image = Image::new("one");
    let to = reference(&registry.host, "team/app", "1");
    let error = block(image.push(&client(options()), &to)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.contains("writing to team/app needs a login"), "{error}");
    let wrong = Credentials::from_pair(&registry.host, NAME, "falsch");
    let error = block(image.push(&client(Options { credentials: wrong, ..options() }), &to));
    let error = error.unwrap_err();
    assert!(
        error.message.contains("may not write") && !error.message.contains("falsch"),
        "{error}"
    );
    let before = registry.requests().len();
    let credentials = Credentials::from_pair(&registry.host, NAME, PASSWORD);
    let good = client(Options { credentials, per_host: 1, ..options() });
    assert_eq!(block(image.push(&good, &to)).unwrap().manifests, 4);
    let requests = registry.requests().split_off(before);
    let refused = requests.iter().filter(|request| request.status == 401).count();
    assert_eq!(refused, 1, "the login is sent at once where it is known to be wanted");
    assert!(registry.data().is_dir());
}

#[test]
fn registry_with_tls_and_one_that_is_a_mirror() {
    let (Some(registry), Some(plain)) = (Registry::start(Kind::Tls), Registry::start(Kind::Plain))
    else {
        return;
    };
    let image = Image::new("one");
    let port = registry.host.rsplit(':').next().unwrap();
    let address = registry.host.parse().unwrap();
    let certificate = reqwest::Certificate::from_pem(&registry.certificate()).unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .resolve(TLS_NAME, address)
        .tls_certs_merge([certificate])
        .build()
        .unwrap();
    let to = reference(&format!("{TLS_NAME}:{port}"), "team/app", "1");
    let trusting = Client::new(Arc::new(move |_: &_| Ok(http.clone())), options());
    assert_eq!(block(image.push(&trusting, &to)).unwrap().uploaded, 5);
    assert_eq!(block(trusting.current(&to)).unwrap(), Some(image.index.digest));
    // Between registries, straight through.
    let there = reference(&plain.host, "team/app", "1");
    let copied = block(trusting.copy(&to, &there, &image.layout, None, false)).unwrap();
    assert_eq!((copied.digest, copied.pushed.uploaded), (image.index.digest, 5));
    // A mirror answers in the name of the registry.
    let Some(mirror) = Registry::start(Kind::Proxy(&plain)) else { return };
    let mirrors = BTreeMap::from([(plain.host.clone(), vec![mirror.host.clone()])]);
    let reader = client(Options { mirrors, ..options() });
    let empty = tempfile::tempdir().unwrap();
    let layout = Layout::create(empty.path()).unwrap();
    let platform = PLATFORMS[1].parse().unwrap();
    block(reader.pull(&there, &platform, &layout)).unwrap();
    let blobs = |of: &Registry| count(&of.requests(), "GET", "/blobs/");
    assert_eq!(blobs(&mirror), 3, "{:?}", mirror.requests());
    let written = block(image.push(&client(options()), &reference(&mirror.host, "team/app", "2")));
    assert_eq!(written.unwrap_err().kind, ErrorKind::Refused);
}
