//! What `add` fetches from addresses.

use super::*;
use crate::facts::FileKind;

#[test]
fn an_added_address_is_what_its_checksum_says() {
    let world = World::new();
    let server = Server::start(|_| Reply::new(200, "tool"));
    let ask = |checksum: Option<String>| FilesAsk::Url {
        location: server.url("/dl/tool.bin?x=/y"),
        checksum,
    };
    let get = |ask: FilesAsk| find_facts(&world.run(), vec![ask.clone()], vec![]).files(&ask);
    let set = get(ask(Some(Digest::sha256("tool").to_string()))).unwrap();
    let [found] = set.matches.as_slice() else { panic!("{set:?}") };
    let [file] = found.files.as_slice() else { panic!("{set:?}") };
    assert_eq!((file.path.as_str(), file.mode, found.directory), ("tool.bin", 0o600, false));
    let digest = *blake3::hash(b"tool").as_bytes();
    assert_eq!(file.kind, FileKind::File { digest, size: 4 });
    let content = std::fs::read(std::path::Path::new(&*set.root).join(&file.path)).unwrap();
    assert_eq!(content, b"tool");
    assert!(set.fetched);
    assert!(get(ask(Some(Digest::sha256("other").to_string()))).unwrap_err().contains("expected"));
}

#[test]
fn an_added_address_without_a_checksum_is_asked_for_what_is_new() {
    let mut world = World::new();
    let text = Arc::new(Mutex::new("one"));
    let served = text.clone();
    let server = Server::start(move |request| {
        let text = *served.lock().unwrap();
        let tag = format!("\"{text}\"");
        match request.header("if-none-match") == Some(&tag) {
            true => Reply::new(304, ""),
            false => Reply::new(200, text).with("ETag", &tag),
        }
    });
    let ask = FilesAsk::Url { location: server.url("/a%20b/"), checksum: None };
    let get = |world: &World| {
        let set = find_facts(&world.run(), vec![ask.clone()], vec![]).files(&ask)?;
        let file = &set.matches[0].files[0];
        assert_eq!((file.path.as_str(), file.mode, set.fetched), ("a b", 0o600, true));
        Ok::<_, String>(std::fs::read_to_string(format!("{}/{}", set.root, file.path)).unwrap())
    };
    world.options.http.offline = true;
    assert!(get(&world).unwrap_err().contains("--offline"));
    world.options.http.offline = false;
    assert_eq!(get(&world).unwrap(), "one");
    assert_eq!(get(&world).unwrap(), "one");
    assert_eq!(server.requests()[1].header("if-none-match"), Some("\"one\""));
    *text.lock().unwrap() = "two";
    assert_eq!(get(&world).unwrap(), "two");
    world.options.http.offline = true;
    assert_eq!(get(&world).unwrap(), "two");
    assert_eq!(server.requests().len(), 3);
}
