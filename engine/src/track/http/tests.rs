use std::time::Instant;

use super::testserver::{Ending, Reply, Server};
use super::*;
use crate::store::Store;
use mabuild_oci::Digest;

fn quick() -> HttpOptions {
    HttpOptions {
        stall_timeout: Duration::from_secs(30),
        pause: Duration::from_millis(1),
        attempts: 3,
        ..HttpOptions::default()
    }
}

fn client() -> Client {
    Client::new(quick()).unwrap()
}

fn body() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn store() -> (tempfile::TempDir, Arc<Store>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    (dir, store)
}

async fn get(server: &Server, client: &Client) -> Result<Vec<u8>, FetchError> {
    match client.get_bytes(&server.url("/x"), 1000, &Condition::default()).await? {
        Fetched::New { bytes, .. } => Ok(bytes),
        Fetched::NotModified => Ok(b"not modified".to_vec()),
    }
}

/// Downloads `/file`, of which the digest of `body()` is expected.
async fn download(server: &Server, store: &Arc<Store>) -> Result<Vec<u8>, FetchError> {
    let expected = Expected { digest: Digest::sha256(body()), size: None };
    let path = client().download(&server.url("/file"), expected, store, &|_, _| {}).await?;
    Ok(std::fs::read(path).unwrap())
}

#[tokio::test]
async fn a_server_error_is_tried_again() {
    let server = Server::start(|r| match r.number {
        0 => Reply::new(500, ""),
        1 => Reply::new(429, "").with("Retry-After", "0"),
        _ => Reply::new(200, "hello"),
    });
    assert_eq!(get(&server, &client()).await.unwrap(), b"hello");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_server_that_stays_broken_is_unreachable() {
    let server = Server::start(|_| Reply::new(503, ""));
    let error = get(&server, &client()).await.unwrap_err();
    assert!(error.blames_upstream && error.message.contains("503"), "{error}");
    assert!(error.message.contains("tried 3 times"), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_wrong_address_is_not_tried_again() {
    let server = Server::start(|_| Reply::new(404, ""));
    let error = get(&server, &client()).await.unwrap_err();
    assert_eq!((error.blames_upstream, error.status), (false, Some(404)));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_wait_that_the_server_asks_for_is_kept_but_capped() {
    let options = HttpOptions { longest_pause: Duration::from_millis(300), ..quick() };
    for (header, date) in
        [("3600", ""), ("Fri, 20 Nov 2026 10:00:09 GMT", "Fri, 20 Nov 2026 10:00:00 GMT")]
    {
        let server = Server::start(move |r| match r.number {
            0 => Reply::new(429, "").with("Retry-After", header).with("Date", date),
            _ => Reply::new(200, "x"),
        });
        let begun = Instant::now();
        get(&server, &Client::new(options.clone()).unwrap()).await.unwrap();
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(300), "{header}: {waited:?}");
        assert!(waited < Duration::from_secs(60), "{header}: {waited:?}");
    }
}

#[tokio::test]
async fn a_copy_that_is_still_right_is_not_sent() {
    let server = Server::start(|r| match r.header("if-none-match") {
        Some("\"v1\"") => Reply::new(304, ""),
        _ => Reply::new(200, "v1").with("ETag", "\"v1\""),
    });
    let client = client();
    let fetched = client.get_bytes(&server.url("/"), 10, &Condition::default()).await.unwrap();
    let Fetched::New { bytes, condition } = fetched else { panic!("nothing was sent") };
    assert_eq!(bytes, b"v1");
    let fetched = client.get_bytes(&server.url("/"), 10, &condition).await.unwrap();
    assert_eq!(fetched, Fetched::NotModified);
}

#[tokio::test]
async fn too_large_an_answer_is_refused() {
    let server = Server::start(|_| Reply::new(200, vec![b'x'; 1001]));
    let error = get(&server, &client()).await.unwrap_err();
    assert!(error.message.contains("larger than 1000"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn redirections_are_followed_but_not_for_ever() {
    let server = Server::start(|r| match r.path.as_str() {
        "/x" => Reply::new(302, "").with("Location", "/there"),
        "/there" => Reply::new(200, "here"),
        path => Reply::new(302, "").with("Location", path),
    });
    assert_eq!(get(&server, &client()).await.unwrap(), b"here");
    let error = client().get_bytes(&server.url("/loop"), 9, &Condition::default()).await;
    assert!(error.unwrap_err().message.contains("redirection"));
}

#[tokio::test]
async fn a_reset_download_goes_on_where_it_broke() {
    let whole = body();
    let server = Server::start(move |r| {
        let reply = Reply::ranged(r, &whole).with("ETag", "\"a\"");
        let ending = if r.number < 5 { Ending::Reset(100_000) } else { Ending::Whole };
        reply.ending(ending)
    });
    let (_dir, store) = store();
    assert_eq!(download(&server, &store).await.unwrap(), body());
    let requests = server.requests();
    let ranges: Vec<_> = requests.iter().map(|r| r.range()).collect();
    assert_eq!(
        ranges,
        [None, Some(100_000), Some(200_000), Some(300_000), Some(400_000), Some(500_000)]
    );
    assert_eq!(requests[1].header("if-range"), Some("\"a\""));
}

#[tokio::test]
async fn a_server_without_ranges_starts_again() {
    let whole = body();
    let server = Server::start(move |r| {
        let ending = if r.number == 0 { Ending::Reset(5_000) } else { Ending::Whole };
        Reply::new(200, whole.clone()).ending(ending)
    });
    let (_dir, store) = store();
    assert_eq!(download(&server, &store).await.unwrap(), body());
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn another_part_than_was_asked_for_is_not_mixed_in() {
    let whole = body();
    let server = Server::start(move |r| match r.number {
        0 => Reply::new(200, whole.clone()).ending(Ending::Reset(5_000)),
        1 => Reply::new(206, &whole[..9]).with("Content-Range", "bytes 0-8/1200000"),
        2 => Reply::new(416, ""),
        _ => Reply::new(200, whole.clone()),
    });
    let (_dir, store) = store();
    let error = download(&server, &store).await.unwrap_err();
    assert!(error.message.contains("416"), "{error}");
    let whole = body();
    let server = Server::start(move |r| match r.number {
        0 => Reply::new(200, whole.clone()).ending(Ending::Reset(5_000)),
        1 => Reply::new(206, &whole[..9]).with("Content-Range", "bytes 0-8/1200000"),
        _ => Reply::new(200, whole.clone()),
    });
    assert_eq!(download(&server, &store).await.unwrap(), body());
    assert_eq!(server.requests()[2].range(), None);
}

#[tokio::test]
async fn a_stalled_download_goes_on() {
    let whole = body();
    let server = Server::start(move |r| {
        let reply = Reply::ranged(r, &whole);
        if r.number == 0 { reply.ending(Ending::Stall(70_000)) } else { reply }
    });
    let (_dir, store) = store();
    let impatient = HttpOptions { stall_timeout: Duration::from_millis(900), ..quick() };
    let client = Client::new(impatient).unwrap();
    let expected = Expected { digest: Digest::sha256(body()), size: None };
    let path = client.download(&server.url("/f"), expected, &store, &|_, _| {}).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), body());
    assert_eq!(server.requests()[1].range(), Some(70_000));
}

#[tokio::test]
async fn a_body_that_ends_early_is_noticed_by_size_or_digest() {
    let whole = body();
    let server = Server::start(move |r| {
        let reply = Reply::ranged(r, &whole);
        if r.number == 0 { reply.ending(Ending::Short(9_000)) } else { reply }
    });
    let (_dir, store) = store();
    assert_eq!(download(&server, &store).await.unwrap(), body());
    // Without a size nobody knows that only the end is missing.
    assert_eq!(server.requests()[1].range(), None);

    let other: Vec<u8> = body().into_iter().rev().collect();
    let expected = Expected { digest: Digest::sha256(&other), size: Some(other.len() as u64) };
    let server = Server::start(move |r| {
        let reply = Reply::ranged(r, &other);
        if r.number == 0 { reply.ending(Ending::Short(9_000)) } else { reply }
    });
    client().download(&server.url("/file"), expected, &store, &|_, _| {}).await.unwrap();
    assert_eq!(server.requests()[1].range(), Some(9_000));
}

#[tokio::test]
async fn what_has_another_digest_never_gets_into_the_store() {
    let server = Server::start(|_| Reply::new(200, "something else"));
    let (dir, store) = store();
    let error = download(&server, &store).await.unwrap_err();
    assert!(error.blames_upstream, "{error}");
    assert!(error.message.contains(&Digest::sha256(body()).to_string()), "{error}");
    assert!(error.message.contains(&Digest::sha256("something else").to_string()), "{error}");
    assert_eq!(server.requests().len(), 2);
    let downloads = dir.path().join("mabuild/downloads");
    assert_eq!(std::fs::read_dir(downloads).unwrap().count(), 0);
}

#[tokio::test]
async fn more_bytes_than_there_should_be_end_a_download() {
    let server = Server::start(|_| Reply::new(200, vec![0; 1_000_000]));
    let (_dir, store) = store();
    let expected = Expected { digest: Digest::sha256("x"), size: Some(1) };
    let error = client().download(&server.url("/f"), expected, &store, &|_, _| {}).await;
    assert!(error.unwrap_err().message.contains("has 1000000 bytes, but 1 were expected"));
}

#[tokio::test]
async fn one_file_is_fetched_once_for_all_who_want_it() {
    let whole = body();
    let server = Server::start(move |_| Reply::new(200, whole.clone()));
    let (_dir, store) = store();
    let (client, url) = (client(), server.url("/file"));
    let expected = Expected { digest: Digest::sha256(body()), size: None };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, url, store) = (client.clone(), url.clone(), store.clone());
        tasks.spawn(async move { client.download(&url, expected, &store, &|_, _| {}).await });
    }
    while let Some(done) = tasks.join_next().await {
        assert!(done.unwrap().unwrap().is_file());
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(client.downloaded(), body().len() as u64);
}

#[tokio::test]
async fn progress_is_told() {
    let whole = body();
    let server = Server::start(move |_| Reply::new(200, whole.clone()));
    let (_dir, store) = store();
    let expected = Expected { digest: Digest::sha256(body()), size: None };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = seen.clone();
    let progress = move |done, total| listener.lock().unwrap().push((done, total));
    client().download(&server.url("/file"), expected, &store, &progress).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.last(), Some(&(1_200_000, Some(1_200_000))));
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn offline_nothing_is_asked() {
    let server = Server::start(|_| Reply::new(200, "x"));
    let client = Client::new(HttpOptions { offline: true, ..quick() }).unwrap();
    let error = get(&server, &client).await.unwrap_err();
    assert!(error.blames_upstream && error.message.contains("--offline"), "{error}");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn passwords_do_not_get_into_messages() {
    let server = Server::start(|_| Reply::new(500, ""));
    let url = server.url("/x").replace("http://", "http://joe:se%2Fcret@");
    let error = client().get_bytes(&url, 9, &Condition::default()).await.unwrap_err();
    assert!(!error.message.contains("cret") && error.message.contains("***@127"), "{error}");
    assert!(server.requests()[0].header("authorization").is_some());
    let error = Client::new(HttpOptions {
        env: BTreeMap::from([("http_proxy".to_owned(), "http://joe:secret@[".to_owned())]),
        ..quick()
    });
    let error = error.unwrap_err();
    assert!(error.contains("http_proxy") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    drop(listener);
    let error = client().get_bytes(&url, 9, &Condition::default()).await.unwrap_err();
    assert!(error.blames_upstream && error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn proxies_come_from_the_environment_and_have_exceptions() {
    let proxy = Server::start(|_| Reply::new(200, "by proxy"));
    let server = Server::start(|_| Reply::new(200, "direct"));
    let env = |exceptions: &str| {
        BTreeMap::from([
            ("HTTP_PROXY".to_owned(), proxy.address.clone()),
            ("no_proxy".to_owned(), exceptions.to_owned()),
        ])
    };
    let with = |env| Client::new(HttpOptions { env, ..quick() }).unwrap();
    assert_eq!(get(&server, &with(env(""))).await.unwrap(), b"by proxy");
    assert_eq!(get(&server, &with(env("127.0.0.1"))).await.unwrap(), b"direct");
    assert!(proxy.requests()[0].path.starts_with("http://127.0.0.1"));
}

#[tokio::test]
async fn a_host_is_not_asked_more_often_at_once_than_allowed() {
    let client = Client::new(HttpOptions { per_host: 2, ..quick() }).unwrap();
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (client, now, most) = (client.clone(), now.clone(), most.clone());
        tasks.spawn(async move {
            let _permit = client.permit(&Url::parse("http://a.test/x").unwrap()).await;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, Ordering::SeqCst);
        });
    }
    while tasks.join_next().await.is_some() {}
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn addresses_are_masked() {
    for (url, want) in [
        ("http://a/b@c", "http://a/b@c"),
        ("http://u:p@a:1/b", "http://***@a:1/b"),
        ("http://u:p@x@a/b?c=d@e", "http://***@a/b?c=d@e"),
        ("/a/path", "/a/path"),
    ] {
        assert_eq!(mask(url), want);
    }
}
