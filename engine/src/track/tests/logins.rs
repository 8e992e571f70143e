//! Where logins come from.

use super::*;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn shown(pairs: &[(&str, &str)]) -> Vec<String> {
    files(&env(pairs)).iter().map(|(path, _)| path.display().to_string()).collect()
}

#[test]
fn files_stand_in_the_order_in_which_they_count() {
    assert_eq!(shown(&[]), [""; 0]);
    let home = ["/h/.docker/config.json", "/h/.config/containers/auth.json"];
    assert_eq!(shown(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "")]), home);
    let all = shown(&[
        ("HOME", "/h"),
        ("DOCKER_CONFIG", "/d"),
        ("REGISTRY_AUTH_FILE", "/r.json"),
        ("MABUILD_DOCKERCONFIGJSON", "/nowhere/secret"),
        ("XDG_RUNTIME_DIR", "/run/me"),
        ("XDG_CONFIG_HOME", "/c"),
    ]);
    let wanted = [
        "/nowhere/secret",
        "/r.json",
        "/d/config.json",
        "/d/.dockerconfigjson",
        "/run/me/containers/auth.json",
        "/c/containers/auth.json",
    ];
    assert_eq!(all, wanted);
}

#[test]
fn a_secret_of_kubernetes_is_a_file_or_a_folder_and_has_to_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let of = |value: &str| credentials(&env(&[("MABUILD_DOCKERCONFIGJSON", value)]));
    let missing = of(path).unwrap_err().message;
    assert!(missing.contains("/.dockerconfigjson cannot be read"), "{missing}");
    std::fs::write(dir.path().join(".dockerconfigjson"), "{\"auths\":{}}").unwrap();
    assert!(of(path).is_ok());
    assert!(of(&format!("{path}/.dockerconfigjson")).is_ok());
    assert!(of(&format!("{path}/other")).is_err());
}

#[test]
fn files_that_others_name_may_be_missing_or_empty() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("auth.json");
    let of = || credentials(&env(&[("REGISTRY_AUTH_FILE", file.to_str().unwrap())]));
    assert!(of().is_ok(), "not there");
    std::fs::write(&file, "\n").unwrap();
    assert!(of().is_ok(), "empty");
    std::fs::write(&file, "geheim").unwrap();
    let error = of().unwrap_err().message;
    assert!(error.contains("auth.json cannot be read") && !error.contains("geheim"), "{error}");
    std::fs::write(&file, vec![b' '; LARGEST as usize + 1]).unwrap();
    assert!(of().unwrap_err().message.contains("larger"));
}

#[tokio::test]
async fn variables_hold_logins_of_hosts() {
    let programs = Programs::new(env(&[
        ("MABUILD_REGISTRY_LOGIN_GHCR_IO", "joe:pa:ss"),
        ("MABUILD_REGISTRY_LOGIN_R_EXAMPLE_5000", "ann:x"),
        ("MABUILD_REGISTRY_LOGIN_DOCKER_IO", "hub:y"),
    ]));
    let login = async |server: &str| {
        let told = programs.get(ENVIRONMENT, server).await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&told).ok()?;
        Some(format!("{} {}", told["Username"].as_str()?, told["Secret"].as_str()?))
    };
    assert_eq!(login("ghcr.io").await.as_deref(), Some("joe pa:ss"));
    assert_eq!(login("r.example:5000").await.as_deref(), Some("ann x"));
    assert_eq!(login(HUB_ACCOUNT).await.as_deref(), Some("hub y"));
    assert_eq!(login("quay.io").await, None);
}

#[test]
fn a_variable_without_a_name_or_a_password_is_told_without_its_value() {
    for value in ["geheim", ":geheim"] {
        let given = env(&[("MABUILD_REGISTRY_LOGIN_GHCR_IO", value)]);
        let error = credentials(&given).unwrap_err().message;
        assert!(error.contains("$MABUILD_REGISTRY_LOGIN_GHCR_IO does not hold"), "{error}");
        assert!(!error.contains("geheim"), "{error}");
    }
    for (name, value) in [("MABUILD_REGISTRY_LOGIN_", "x"), ("MABUILD_REGISTRY_LOGIN_A", "")] {
        assert!(credentials(&env(&[(name, value)])).is_ok(), "{name}");
    }
}

#[tokio::test]
async fn programs_do_not_see_logins_of_the_environment() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("docker-credential-env");
    std::fs::write(&program, "#!/bin/sh\nexec env\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let given = env(&[("PATH", &path), ("MABUILD_REGISTRY_LOGIN_GHCR_IO", "joe:geheim")]);
    let programs = Programs::new(given);
    let output = programs.run(program.to_str().unwrap(), "quay.io").await.unwrap();
    let output = String::from_utf8(output).unwrap();
    assert!(output.contains("PATH=") && !output.contains("geheim"), "{output}");
}
