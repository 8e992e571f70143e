//! Certificates of hosts, against a server with TLS on the loopback. The files in `testdata` are
//! good for a hundred years and for nothing else.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::super::HttpOptions;
use super::*;

const CA: &[u8] = include_bytes!("testdata/ca.pem");
const SERVER: &[u8] = include_bytes!("testdata/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("testdata/server-key.pem");
const CLIENT: &[u8] = include_bytes!("testdata/client.pem");
const CLIENT_KEY: &[u8] = include_bytes!("testdata/client-key.pem");

/// A server that says `closed` behind TLS, perhaps only to those who show a certificate.
async fn serve(is_closed: bool) -> Url {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if is_closed {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(CA).unwrap()).unwrap();
        let roots = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        builder.with_client_cert_verifier(roots.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let certificate = CertificateDer::from_pem_slice(SERVER).unwrap();
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap();
    let config = builder.with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not believe the certificate goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut asked = [0; 4096];
                let _read = stream.read(&mut asked).await;
                let answer =
                    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nclosed";
                let _written = stream.write_all(answer).await;
                let _ended = stream.shutdown().await;
            });
        }
    });
    Url::parse(&format!("https://localhost:{port}/v2/")).unwrap()
}

/// A folder with all the files.
fn files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("ca.pem", CA),
        ("c.pem", CLIENT),
        ("k.pem", CLIENT_KEY),
        ("both.pem", &[CLIENT_KEY, CLIENT].concat()),
        ("text.pem", b"no certificate"),
        ("large.pem", &vec![b'x'; LARGEST as usize + 1]),
    ] {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn settings(url: &Url, dir: &Path, ca: &str, client: Option<(&str, &str)>) -> HostSettings {
    let path = |name: &str| Some(dir.join(name));
    HostSettings {
        host: format!("localhost:{}", url.port().unwrap()),
        ca: path(ca),
        cert: client.and_then(|(cert, _)| path(cert)),
        key: client.and_then(|(_, key)| path(key)),
        ..HostSettings::default()
    }
}

/// What the server says, or why nothing is heard of it.
async fn ask(own: &Certificates, url: &Url) -> Result<String, String> {
    let client = Client::new(HttpOptions::default()).unwrap();
    let http = own.connection(&client, url)?;
    let answer = http.get(url.clone()).send().await.map_err(|e| cause(&e))?;
    answer.text().await.map_err(|e| cause(&e))
}

#[tokio::test]
async fn authority_of_a_host_counts_for_that_host() {
    let (url, other, dir) = (serve(false).await, serve(false).await, files());
    let own = |hosts| Certificates::new(hosts, Vec::new());
    let unknown = ask(&own(Vec::new()), &url).await.unwrap_err();
    assert!(unknown.contains("certificate"), "{unknown}");
    let known = own(vec![settings(&url, dir.path(), "ca.pem", None)]);
    assert_eq!(ask(&known, &url).await.as_deref(), Ok("closed"));
    assert_eq!(ask(&known, &url).await.as_deref(), Ok("closed"), "again");
    assert!(ask(&known, &other).await.is_err(), "another port is another host");
}

#[tokio::test]
async fn certificate_is_shown_to_its_host() {
    let (url, dir) = (serve(true).await, files());
    let host = |client| settings(&url, dir.path(), "ca.pem", client);
    let own = |client| Certificates::new(vec![host(client)], Vec::new());
    assert!(ask(&own(None), &url).await.is_err(), "nothing is shown");
    for client in [("c.pem", "k.pem"), ("both.pem", "both.pem")] {
        let said = ask(&own(Some(client)), &url).await;
        assert_eq!(said.as_deref(), Ok("closed"), "{client:?}");
    }
}

#[tokio::test]
async fn folders_of_docker_and_podman_are_looked_into() {
    let (url, dir) = (serve(true).await, files());
    let host = format!("localhost:{}", url.port().unwrap());
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let folder = second.join(&host);
    std::fs::create_dir_all(&folder).unwrap();
    for (from, to) in [("ca.pem", "ca.crt"), ("c.pem", "me.cert"), ("k.pem", "me.key")] {
        std::fs::copy(dir.path().join(from), folder.join(to)).unwrap();
    }
    let folders = vec![first.clone(), second];
    let own = || Certificates::new(Vec::new(), folders.clone());
    assert_eq!(ask(&own(), &url).await.as_deref(), Ok("closed"));
    // What the file says counts more.
    let settings = settings(&url, dir.path(), "ca.pem", Some(("c.pem", "text.pem")));
    let error = ask(&Certificates::new(vec![settings], folders.clone()), &url).await.unwrap_err();
    assert!(error.contains("text.pem are no certificate and its key"), "{error}");
    std::fs::remove_file(folder.join("me.key")).unwrap();
    let error = ask(&own(), &url).await.unwrap_err();
    assert!(error.contains("there is no file") && error.contains("me.key"), "{error}");
    // The first folder that has one of the host counts alone.
    std::fs::create_dir_all(first.join(&host)).unwrap();
    let error = ask(&own(), &url).await.unwrap_err();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn files_that_are_none_say_so() {
    let (url, dir) = (serve(false).await, files());
    for (ca, words) in [
        ("no.pem", "there is no file"),
        ("text.pem", "holds no certificate in PEM form"),
        ("large.pem", "larger than a mebibyte"),
        (".", "cannot be read"),
    ] {
        let own = Certificates::new(vec![settings(&url, dir.path(), ca, None)], Vec::new());
        let error = ask(&own, &url).await.unwrap_err();
        assert!(error.contains(words), "{ca}: {error}");
    }
}

#[test]
fn hosts_are_known_by_their_addresses() {
    let at = |host: &str, url: &str| is_at(host, &Url::parse(url).unwrap());
    assert!(at("docker.io", "https://registry-1.docker.io/v2/"));
    assert!(at("r.example", "https://r.example:443/v2/"));
    assert!(at("r.example:443", "https://r.example/v2/"));
    assert!(at("[::1]:5000", "https://[::1]:5000/v2/"));
    assert!(!at("r.example", "https://r.example:5000/v2/"));
    assert!(!at("r.example", "https://s.example/v2/"));
    assert!(!at("docker.io", "https://auth.docker.io/token"));
}
