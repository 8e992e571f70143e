use super::super::testrepo::{Algorithm, Built, Recipe, Signer, gzip, tar_entry};
use super::*;

fn recipe() -> Recipe {
    Recipe::new("hello", "1.0-r0")
        .depends("musl so:libc.musl-x86_64.so.1 !bye")
        .provides("cmd:hello=1.0-r0")
        .install_if("greeter docs")
        .replaces("hallo<2", 5)
        .provider_priority(7)
        .triggers("/usr/share/* /etc")
        .script("post-install", "#!/bin/sh\n")
        .script("trigger", "#!/bin/sh\nexit 0\n")
        .file("usr/bin/hello", 0o755, b"#!/bin/sh\necho hello\n")
}

fn open(built: &Built) -> Result<Apk<&[u8]>, PackageError> {
    Apk::open(&built.bytes[..], &built.package)
}

#[test]
fn a_package_is_read_and_checked_to_its_last_byte() {
    let signer = Signer::shared("one");
    let built = recipe().build(&signer);
    let apk = open(&built).unwrap();
    let expected = Package { size: 0, ..built.package.clone() };
    assert_eq!(apk.package, expected);
    assert_eq!(apk.triggers, ["/usr/share/*", "/etc"]);
    assert_eq!(
        apk.scripts.keys().copied().collect::<Vec<_>>(),
        [Script::PostInstall, Script::Trigger]
    );
    let mut tar = Vec::new();
    apk.data().read_to_end(&mut tar).unwrap();
    assert!(tar.windows(10).any(|window| window == b"echo hello"));
    let signed = Apk::open_signed(&built.bytes[..], &signer.keys()).unwrap();
    assert_eq!(signed.package.checksum, built.package.checksum);
    let error = Apk::open_signed(&built.bytes[..], &Keys::new()).unwrap_err().to_string();
    assert!(error.contains("not trusted: one.rsa.pub"), "{error}");
}

/// Signature, control and data segments of a file.
fn segments(built: &Built) -> [Vec<u8>; 3] {
    let mut reader = &built.bytes[..];
    let [one, two] = [(); 2].map(|()| {
        super::super::segment::read_member(&mut reader, CONTROL_BOUNDS).unwrap().unwrap().raw
    });
    [one, two, reader.to_vec()]
}

fn data_error(bytes: Vec<u8>, package: &Package) -> String {
    let apk = Apk::open(&bytes[..], package).unwrap();
    apk.data().read_to_end(&mut Vec::new()).unwrap_err().to_string()
}

#[test]
fn changed_segments_are_found() {
    let signer = Signer::shared("one");
    let built = recipe().build(&signer);
    let other = Recipe::new("hello", "1.0-r0").file("a", 0o644, b"a").build(&signer);
    let [signature, control, data] = segments(&built);
    let [_, other_control, other_data] = segments(&other);

    let swapped = [&signature[..], &other_control, &data].concat();
    let error = Apk::open(&swapped[..], &built.package).unwrap_err().to_string();
    assert!(error.contains("hello 1.0-r0") && error.contains("checksum"), "{error}");
    let error = Apk::open_signed(&swapped[..], &signer.keys()).unwrap_err().to_string();
    assert!(error.contains("wrong"), "{error}");

    let swapped = [&signature[..], &control, &other_data].concat();
    assert!(data_error(swapped, &built.package).contains("sha256"));
    let longer = [&built.bytes[..], b"more"].concat();
    assert!(data_error(longer, &built.package).contains("something after"));
    let second = [&built.bytes[..], &gzip(b"")].concat();
    assert!(data_error(second, &built.package).contains("something after"));
    for cut in [built.bytes.len() - 1, built.bytes.len() - data.len() + 3] {
        data_error(built.bytes[..cut].to_vec(), &built.package);
    }
    // Without signature the index alone vouches for it.
    let bare = [control, data].concat();
    assert!(Apk::open(&bare[..], &built.package).is_ok());
}

#[test]
fn a_package_of_another_name_is_refused() {
    let built = recipe().build(&Signer::shared("one"));
    let renamed = Package { name: "evil".into(), ..built.package.clone() };
    let error = Apk::open(&built.bytes[..], &renamed).unwrap_err().to_string();
    assert!(error.contains("it is hello 1.0-r0"), "{error}");
}

#[test]
fn data_bombs_are_stopped() {
    let built = Recipe::new("bomb", "1")
        .file("zero", 0o644, &vec![0; 4 << 20])
        .build(&Signer::shared("one"));
    assert!(built.bytes.len() < 20_000);
    let mut data = open(&built).unwrap().data_with_limit(1 << 20);
    let error = data.read_to_end(&mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("more than 1048576"), "{error}");
}

fn control_error(files: &[(&str, &str)]) -> String {
    let tar: Vec<u8> = files.iter().flat_map(|(n, t)| tar_entry(n, t.as_bytes(), &[])).collect();
    let control = gzip(&tar);
    let signer = Signer::shared("one");
    let bytes = [signer.signature_segment(Algorithm::Sha256, &control), control].concat();
    Apk::open_signed(&bytes[..], &signer.keys()).unwrap_err().to_string()
}

#[test]
fn odd_control_segments_are_refused() {
    let info = "pkgname = a\npkgver = 1\n";
    for (files, want) in [
        (&[("other", "")][..], "has a file \"other\""),
        (&[(".post-install", "")], "no .PKGINFO"),
        (&[(".PKGINFO", info)], "no datahash"),
        (&[(".PKGINFO", "pkgname = a\n")], "no pkgname or no pkgver"),
        (&[(".PKGINFO", "pkgname = a/b\n")], "line 1 of .PKGINFO"),
        (&[(".PKGINFO", "datahash = 00\n")], "no SHA-256"),
        (&[(".PKGINFO", "depend = a=\n")], "no dependency"),
        (&[("../.PKGINFO", info)], "plain file"),
    ] {
        let error = control_error(files);
        assert!(error.contains(want), "{files:?}: {error}");
    }
}
