use super::*;
use crate::exec::native::testing::{World, entry};
use crate::exec::{Executor, Outcome};
use crate::spec::{ParentDigest, Source};

#[test]
fn paths_lose_drive_and_backslashes() {
    for (current, path, want) in [
        ("/", r"C:\app\bin", "/app/bin"),
        (r"\app", "x", "/app/x"),
        (r"\app", r"c:x\..\y\", "/app/y/"),
        ("/", "/a/b/", "/a/b/"),
        (r"C:\", ".", "/"),
        (r"\app", ".", "/app/"),
        ("", r"\..\..\a", "/a"),
    ] {
        assert_eq!(absolute(current, path).unwrap(), want, "{path}");
    }
    for (path, why) in
        [(r"D:\x", "system drive"), ("C:", "nothing on it"), (r"\\server\x", "another machine")]
    {
        assert!(absolute("/", path).unwrap_err().message.contains(why), "{path}");
    }
}

/// Steps of an image of Windows on a base that has a version of Windows.
fn built(world: &World) -> (mabuild_oci::ImageConfig, Vec<Layer>) {
    let text = r"FROM scratch
                 COPY app.exe C:\base\";
    let mut spec = world.spec(text, "windows/amd64").unwrap();
    let layout = world.store.layout();
    let digest = |outcome: Outcome| match outcome {
        Outcome::Done(built) => built.digest,
        other => panic!("{other:?}"),
    };
    let base = digest(world.native.execute(&spec, &world.knobs()));
    // The same with a version, as the images of Microsoft have it.
    let mut below = world.native.below(&base).unwrap();
    below.config.os_version = Some("10.0.20348.2700".to_owned());
    let bytes = below.config.to_bytes().unwrap();
    let config = layout.write_blob(mabuild_oci::media_type::CONFIG, &bytes).unwrap();
    let layers = below.layers.iter().map(|l| l.descriptor.clone()).collect();
    let bytes = mabuild_oci::Manifest::new(config, layers).to_bytes().unwrap();
    let manifest = layout.write_blob(mabuild_oci::media_type::MANIFEST, &bytes).unwrap();
    let steps = r"FROM scratch
                  WORKDIR C:\srv\app
                  COPY --chown=5:6 app.exe sub\
                  COPY --from=0 /tree /tree
                  COPY app.exe C:\base\";
    let linux = world.spec("FROM scratch\nADD tree.tar /tree", "linux/amd64").unwrap();
    let windows = world.spec(&format!("FROM scratch\n{steps}"), "windows/amd64").unwrap();
    spec.stages = [linux.stages, windows.stages[1..].to_vec()].concat();
    spec.stages[1].source = Source::Parent(ParentDigest(manifest.digest.to_string().into()));
    let image = digest(world.native.execute(&spec, &world.knobs()));
    let below = world.native.below(&image).unwrap();
    (below.config, below.layers)
}

#[test]
fn a_layer_is_what_windows_expects() {
    let world = World::new();
    world.write("app.exe", "MZ", 0o644);
    world.archive(
        "tree.tar",
        vec![
            entry('f', "a", "1", 0o600, (3, 4)),
            entry('h', "b", "a", 0, (0, 0)),
            entry('l', "l", "a", 0o777, (3, 4)),
        ],
    );
    let (config, layers) = built(&world);
    assert_eq!(config.os_version.as_deref(), Some("10.0.20348.2700"));
    assert_eq!((config.os.as_str(), config.config.working_dir.as_str()), ("windows", r"\srv\app"));
    let line = |e: &IndexEntry| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let get = |name: &str| e.xattrs.get(name.as_bytes()).map(|value| text(value));
        let safe = if get("MSWINDOWS.rawsd").is_some() { " safe" } else { "" };
        let attributes = get("MSWINDOWS.fileattr").unwrap_or_default();
        let target =
            if e.target.is_empty() { String::new() } else { format!(" ->{}", text(&e.target)) };
        format!("{} {}:{} {attributes}{safe}{target}", text(&e.path), e.uid, e.gid)
    };
    let shown = |layer: &Layer| {
        let index = world.native.layer_index(layer).unwrap();
        index.entries.iter().map(line).collect::<Vec<_>>()
    };
    let tops = ["Files 0:0 16", "Hives 0:0 16"];
    let wanted: [&[&str]; 5] = [
        &[
            "Files 0:0 16",
            "Files/base 0:0 16 safe",
            "Files/base/app.exe 0:0 32 safe",
            "Hives 0:0 16",
        ],
        &["Files 0:0 16", "Files/srv 0:0 16 safe", "Files/srv/app 0:0 16 safe", "Hives 0:0 16"],
        &[
            "Files 0:0 16",
            "Files/srv/app/sub 0:0 16 safe",
            "Files/srv/app/sub/app.exe 0:0 32 safe",
            "Hives 0:0 16",
        ],
        &[
            "Files 0:0 16",
            "Files/tree 0:0 16 safe",
            "Files/tree/a 0:0 32 safe",
            "Files/tree/b 0:0 32 safe ->Files/tree/a",
            "Files/tree/l 0:0  ->Files/a",
            "Hives 0:0 16",
        ],
        // The folder is there already.
        &["Files 0:0 16", "Files/base/app.exe 0:0 32 safe", "Hives 0:0 16"],
    ];
    assert!(wanted.iter().all(|lines| tops.iter().all(|top| lines.contains(top))));
    assert_eq!(layers.len(), wanted.len());
    for (layer, wanted) in layers.iter().zip(wanted) {
        assert_eq!(shown(layer), wanted);
    }
    let files: Vec<String> = world
        .native
        .windows_view(&layers)
        .unwrap()
        .iter()
        .skip(1)
        .map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
        .collect();
    assert_eq!(files[..3], ["base", "base/app.exe", "srv"]);
}
