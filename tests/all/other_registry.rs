//! A registry of other makers than Debian's, `ferro-oci-server`, in the process of the tests. What
//! it does otherwise, all of which the specification lets it: it lists what refers to an image, it
//! mounts nothing, and it deletes no tag.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request as Asked;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use ferro_oci_server::{Config, build_app};
use mabuild_oci::Digest;
use mabuild_registry::ErrorKind;
use mabuild_tests::buildkit::judge;
use mabuild_tests::env::{has, skip};
use mabuild_tests::registry::{Request, Served};

use crate::judges::copied_and_built_on;
use crate::publish::{all_architectures_once, go_back_and_prune};
use crate::push::{Image, STATEMENT, block, client, count, options, reference, same_to_skopeo};

/// A registry that ends with the test, and keeps all it has in memory.
struct Other {
    host: String,
    seen: Arc<Mutex<Vec<Request>>>,
    /// The server ends when this does.
    _life: tokio::sync::oneshot::Sender<()>,
}

impl Other {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let (life, end) = tokio::sync::oneshot::channel();
        let log = seen.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(listener, log, end));
        });
        Self { host, seen, _life: life }
    }
}

impl Served for Other {
    fn host(&self) -> &str {
        &self.host
    }

    fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(
    listener: std::net::TcpListener,
    log: Arc<Mutex<Vec<Request>>>,
    end: tokio::sync::oneshot::Receiver<()>,
) {
    let memory = Config { listen: String::new(), storage_dir: None };
    let app = build_app(memory.blob_store().unwrap());
    let app = app.layer(from_fn(move |asked, next| note(log.clone(), asked, next)));
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let served = axum::serve(listener, app);
    tokio::select! {
        _ = served => {}
        _ = end => {}
    }
}

/// Answers, and writes down what was asked before the answer goes out.
///
/// This registry has a blob of one repository in all of them, and so would never be asked to mount
/// one. Here it has to be sent to a repository to be found there.
async fn note(log: Arc<Mutex<Vec<Request>>>, asked: Asked, next: Next) -> Response {
    let (method, path) = (asked.method().to_string(), asked.uri().to_string());
    let answer = match path.split_once("/blobs/sha256:").filter(|_| method == "HEAD") {
        Some(blob) if !was_sent(&log.lock().unwrap_or_else(PoisonError::into_inner), blob) => {
            StatusCode::NOT_FOUND.into_response()
        }
        _ => next.run(asked).await,
    };
    let length = answer.headers().get("content-length").and_then(|length| length.to_str().ok());
    let bytes = length.and_then(|length| length.parse().ok()).unwrap_or_default();
    let request = Request { method, path, status: answer.status().as_u16(), bytes };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    answer
}

fn was_sent(seen: &[Request], (repository, hex): (&str, &str)) -> bool {
    let begin = format!("{repository}/blobs/uploads/");
    seen.iter().any(|r| r.status == 201 && r.path.starts_with(&begin) && r.path.ends_with(hex))
}

#[test]
fn pushed_image_is_the_same_to_skopeo_there() {
    if has("skopeo") {
        same_to_skopeo(&Other::start());
    }
}

#[test]
fn what_buildx_pushed_there_is_copied_whole_and_built_on() {
    match judge() {
        Ok(judge) => copied_and_built_on(judge, &Other::start()),
        Err(e) => skip(e),
    }
}

#[test]
fn one_tag_has_all_architectures_there() {
    if has("skopeo") {
        all_architectures_once(&Other::start());
    }
}

#[test]
fn tags_go_back_and_what_nothing_needs_is_pruned_there() {
    go_back_and_prune(&Other::start());
}

/// Whoever takes a refused mount for a mounted blob leaves an image without its layers.
#[test]
fn registry_that_mounts_nothing_gets_all_blobs() {
    let registry = Other::start();
    let image = Image::new("one");
    let client = client(options());
    let from = reference(registry.host(), "team/app", "1");
    let to = reference(registry.host(), "mirror/app", "2");
    block(image.push(&client, &from)).unwrap();
    let before = registry.requests().len();
    let copied = block(client.copy(&from, &to, &image.layout, None, false)).unwrap();
    assert_eq!(copied.digest, image.index.digest);
    assert_eq!((copied.pushed.mounted, copied.pushed.uploaded), (0, 5), "{copied:?}");
    let requests = registry.requests().split_off(before);
    assert_eq!(count(&requests, "POST", "mount="), 5, "{requests:#?}");
    assert_eq!(block(client.current(&to)).unwrap(), Some(image.index.digest));
}

/// What a client lists under a tag is seen by nobody who asks the registry.
#[test]
fn what_refers_to_an_image_is_listed_by_the_registry_itself() {
    let registry = Other::start();
    let image = Image::new("one");
    let client = client(options());
    let at = reference(registry.host(), "team/app", "1");
    block(image.push(&client, &at)).unwrap();
    let statement = image.statement();
    block(client.push(&image.layout, &statement, &at, &[])).unwrap();
    let of = at.with_digest(image.index.digest);
    let found = |kind: Option<&str>| -> Vec<Digest> {
        let list = block(client.referrers(&of, kind)).unwrap();
        list.manifests.iter().map(|one| one.digest).collect()
    };
    assert_eq!(found(None), [statement.digest]);
    assert_eq!(found(Some(STATEMENT)), [statement.digest]);
    assert!(found(Some("application/x-other")).is_empty());
    assert_eq!(block(client.tags(&at)).unwrap(), ["1"], "no list under a tag");
    let requests = registry.requests();
    assert_eq!(count(&requests, "GET", "/manifests/sha256-"), 0, "{requests:#?}");
    assert_eq!(count(&requests, "GET", "/referrers/"), 3);
    // It goes with the image.
    let there = Other::start();
    let to = reference(there.host(), "mirror/app", "1");
    let copied = block(client.copy(&at, &to, &image.layout, None, true)).unwrap();
    assert_eq!(copied.digest, image.index.digest);
    let list = block(client.referrers(&to.with_digest(image.index.digest), None)).unwrap();
    assert_eq!(list.manifests.len(), 1);
    assert_eq!(block(client.tags(&to)).unwrap(), ["1"]);
}

#[test]
fn tag_that_cannot_be_deleted_is_told_from_one_that_is_not_there() {
    let registry = Other::start();
    let image = Image::new("one");
    let client = client(options());
    let at = reference(registry.host(), "team/app", "1");
    block(image.push(&client, &at)).unwrap();
    assert_eq!(block(client.delete(&at)).unwrap_err().kind, ErrorKind::Refused);
    assert_eq!(block(client.current(&at)).unwrap(), Some(image.index.digest));
    assert!(block(client.delete(&at.with_digest(image.index.digest))).unwrap());
    assert!(!block(client.delete(&at.with_digest(image.index.digest))).unwrap());
    assert_eq!(block(client.current(&at)).unwrap(), None);
}
