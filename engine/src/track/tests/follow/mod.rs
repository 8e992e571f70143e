//! Following versions, tags and ages, against servers on this machine.

mod added;
mod archives;
mod images;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use mabuild_oci::image::{Index, Manifest};
use mabuild_oci::{Digest, ImageConfig, Platform, media_type};

use super::http::testserver::{Reply, Request, Server};
use super::*;
use crate::facts::{FilesAsk, Follow, GitAsk, Pin, UpstreamAsk, VERSION};

/// 5 June 2024.
const NOW: i64 = 1_717_581_600;
const ARCHIVE: &[u8] = b"an archive\n";
const SIGNATURE: &[u8] = include_bytes!("../../testdata/signed/archive.asc");
const KEYS: &[u8] = include_bytes!("../../testdata/signed/keys.gpg");

/// A folder with a store, and how a run looks at the world.
struct World {
    dir: tempfile::TempDir,
    options: TrackOptions,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let http =
            HttpOptions { pause: Duration::from_millis(1), attempts: 2, ..HttpOptions::default() };
        let apt = dir.path().join("apt");
        let env = BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]);
        let (hosts, certificates) = (Vec::new(), Vec::new());
        let options = TrackOptions { env, now: NOW, http, apt, keys: None, hosts, certificates };
        Self { dir, options }
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A new run over the same store.
    fn run(&self) -> Tracking {
        let store = Arc::new(Store::open(&self.dir.path().join("store")).unwrap());
        Tracking::with(store, self.options.clone()).unwrap()
    }

    fn pin(&self, ask: &UpstreamAsk) -> Result<Pin, String> {
        pin(&self.run(), ask)
    }

    fn offline(&mut self, offline: bool) {
        self.options.http.offline = offline;
    }
}

fn pin(run: &Tracking, ask: &UpstreamAsk) -> Result<Pin, String> {
    let facts = find_facts(run, vec![], vec![ask.clone()]);
    facts.upstream(ask).map(|pin| (*pin).clone()).map_err(|e| e.message)
}

/// Answers by path; what begins with `404` or another status is answered with that.
type Pages = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

fn pages<const N: usize>(pages: [(&str, &[u8]); N]) -> Pages {
    let pages = pages.map(|(path, body)| (path.to_owned(), body.to_vec()));
    Arc::new(Mutex::new(BTreeMap::from(pages)))
}

/// A server of pages, with entity tags and without dates.
fn serve(pages: &Pages) -> Server {
    let pages = pages.clone();
    Server::start(move |request| {
        let path = request.path.split('?').next().unwrap();
        let Some(body) = pages.lock().unwrap().get(path).cloned() else {
            return Reply::new(404, "");
        };
        let tag = format!("\"{}\"", Digest::sha256(&body).hex());
        match request.header("if-none-match") == Some(&tag) {
            true => Reply::new(304, ""),
            false => Reply::new(200, body).with("ETag", &tag),
        }
    })
}

fn lines(server: &Server) -> Vec<String> {
    server.requests().iter().map(|r| format!("{} {}", r.method, r.path)).collect()
}
