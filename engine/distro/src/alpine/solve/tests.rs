use super::super::dependency::Dependency;
use super::super::index::{Checksum, Index, Package};
use super::*;
use std::collections::BTreeMap;

/// Reads packages, one a line: `NAME VERSION D:… p:… i:… k:…` with commas between dependencies.
pub(crate) fn index(text: &str) -> Index {
    let list = |value: &str| Dependency::parse_list(&value.replace(',', " ")).unwrap();
    let packages = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        let mut words = line.split(' ');
        let mut package = Package {
            name: words.next().unwrap().into(),
            version: words.next().unwrap().into(),
            checksum: Checksum::of(line.as_bytes()),
            arch: Some("x86_64".into()),
            installed_size: 1,
            ..Package::default()
        };
        for word in words {
            match word.split_once(':').unwrap() {
                ("D", value) => package.depends = list(value),
                ("p", value) => package.provides = list(value),
                ("i", value) => package.install_if = list(value),
                ("k", value) => package.provider_priority = value.parse().unwrap(),
                (field, _) => panic!("{field}"),
            }
        }
        package
    });
    Index { packages: packages.collect(), ..Index::default() }
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(Into::into).collect()
}

fn solve_all(indexes: &[Index], world: &str, installed: &str) -> Result<String, SolveError> {
    let installed: Vec<InstalledPackage> = index(installed)
        .packages
        .into_iter()
        .map(|package| {
            InstalledPackage::new(package.clone(), &package, &[], BTreeMap::new(), Vec::new())
        })
        .collect();
    let chosen = solve(indexes, &words(world), &installed)?;
    let names = chosen.iter().map(|one| {
        let kept = if one.index.is_none() { "=" } else { "" };
        let upgraded = if one.replaces.is_some() { "^" } else { "" };
        format!("{kept}{upgraded}{}-{}", one.package.name, one.package.version)
    });
    Ok(names.collect::<Vec<_>>().join(" "))
}

fn solved(text: &str, world: &str) -> String {
    solve_all(&[index(text)], world, "").unwrap_or_else(|error| error.to_string())
}

#[test]
fn dependencies_come_first_and_the_highest_fitting_version_wins() {
    let text = "app 1 D:lib>=2,so:c.so.1\nlib 1\nlib 2\nlib 3 D:nothing\nc 1 p:so:c.so.1=1";
    assert_eq!(solved(text, "app"), "lib-2 c-1 app-1");
    assert_eq!(solved(text, "app c lib"), "lib-2 c-1 app-1");
    assert!(solved(text, "app lib<2").contains("lib"));
    assert_eq!(solved(text, "lib<2"), "lib-1");
    assert_eq!(solved("a 1.2.3\na 1.3.0\na 1.20", "a~1.2"), "a-1.2.3");
    assert_eq!(solved("a 1 D:b\nb 1 D:a", "a"), "b-1 a-1");
    assert_eq!(solved("a 1", ""), "");
}

#[test]
fn provided_names_paths_and_checksums_are_fulfilled() {
    let text = "sh 1 p:/bin/sh,cmd:sh=1\napp 1 D:/bin/sh,cmd:sh>=1";
    assert_eq!(solved(text, "app"), "sh-1 app-1");
    let packages = index("a 1\na 2");
    let wish = format!("a><{}", packages.packages[0].checksum);
    assert_eq!(solve_all(&[packages], &wish, "").unwrap(), "a-1");
    assert_eq!(solved("v1 5 p:v=1\nv2 1 p:v=2", "v"), "v2-1");
    assert_eq!(solved("v1 5 p:v=1\nv2 1 p:v=2", "v<2"), "v1-5");
}

#[test]
fn an_unversioned_provider_must_be_named_or_preferred() {
    let two = "a 1 p:mta\nb 1 p:mta\napp 1 D:mta";
    let error = solved(two, "app");
    assert_eq!(error, "mta is provided by several packages; name one of them: a-1, b-1");
    assert_eq!(solved(two, "app b"), "b-1 app-1");
    // Both may be installed, as neither has a version.
    assert_eq!(solved(two, "app a b"), "a-1 app-1 b-1");
    assert_eq!(solved("a 1 p:mta\napp 1 D:mta", "app"), "a-1 app-1");
    assert_eq!(solved("a 1 p:mta k:5\nb 1 p:mta k:9\napp 1 D:mta", "app"), "b-1 app-1");
    assert_eq!(solved("a 1 p:mta k:5\nb 1 p:mta\napp 1 D:mta", "app b"), "b-1 app-1");
    // One that is needed anyway decides, also when that turns out late.
    assert_eq!(
        solved("a 1 p:mta\nb 1 p:mta\napp 1 D:mta,c\nc 1 D:d\nd 1 D:b", "app"),
        "b-1 d-1 c-1 app-1"
    );
}

#[test]
fn a_name_has_one_versioned_provider() {
    let text = "a 1 p:v=1\nb 1 p:v=1\nc 1 D:a,b";
    let error = solved(text, "c");
    assert!(error.contains("both have or provide v"), "{error}");
    assert!(solved("a 1 p:v=1\nb 1 p:v\nc 1", "a b").contains("both have or provide v"));
    assert_eq!(solved("a 1\nb 1 p:a=1", "a b"), "b-1");
}

#[test]
fn conflicts_exclude_and_let_another_provider_be_taken() {
    assert!(solved("a 1 D:!b\nb 1", "a b").contains("a-1 excludes it: !b"));
    assert_eq!(solved("a 1 D:!b<2\nb 1\nb 2", "a b"), "b-2 a-1");
    assert_eq!(solved("a 1 D:v\nx 1 p:v k:9 D:!y\nz 1 p:v k:1\ny 1", "a y"), "z-1 a-1 y-1");
    // A package does not exclude itself.
    assert_eq!(solved("a 1 p:v=1 D:!v\nb 1 p:v=2", "a"), "a-1");
    assert_eq!(solved("a 1 D:v\nb 1 p:v=2\nc 1 p:v=1", "a !b"), "c-1 a-1");
    assert_eq!(solved("a 1", "a !nothing"), "a-1");
}

#[test]
fn the_search_goes_back_where_the_best_leads_nowhere() {
    let text = "app 1 D:x,y\nx 2 D:z=2\nx 1 D:z=1\ny 2 D:z=1\nz 1\nz 2";
    assert_eq!(solved(text, "app"), "z-1 x-1 y-2 app-1");
    // The contradiction of the best candidate is found only below two more choices.
    let deep = "app 1 D:p,q\np 2 D:r\np 1\nr 1 D:s=1\nr 2 D:s=1\nq 2 D:s=2\nq 1 D:s=2\ns 1\ns 2";
    assert_eq!(solved(deep, "app"), "p-1 s-2 q-2 app-1");
}

#[test]
fn install_if_comes_along_when_all_of_it_is_there() {
    let text =
        "app 1\ndocs 1\napp-doc 1 i:docs,app=1 D:man\nman 1\nman-extra 1 i:app-doc\nold 1 i:app=2";
    assert_eq!(solved(text, "app"), "app-1");
    assert_eq!(solved(text, "app docs"), "app-1 docs-1 man-1 app-doc-1 man-extra-1");
    // What does not fit stays away.
    assert_eq!(solved(text, "app docs !man"), "app-1 docs-1");
    assert_eq!(solved(text, "app docs !app-doc"), "app-1 docs-1");
    assert_eq!(solved("a 1\nb 1 i:a\nb 2 i:a", "a"), "a-1 b-2");
    assert_eq!(solved("a 1\nb 1 i:a D:missing", "a"), "a-1");
}

#[test]
fn tags_pin_and_repositories_go_in_order() {
    let mut edge = index("a 2 D:b>=2\nb 2\nc 2");
    edge.tag = Some("edge".into());
    let indexes = [index("a 1\nb 1\nc 1"), edge];
    let solved = |world| solve_all(&indexes, world, "").unwrap_or_else(|error| error.to_string());
    assert_eq!(solved("a b c"), "a-1 b-1 c-1");
    assert_eq!(solved("a@edge c"), "b-2 a-2 c-1");
    assert_eq!(solved("b@edge"), "b-2");
    assert_eq!(solved("a@nowhere"), "no repository has the tag @nowhere that a@nowhere asks for");
    assert!(solved("a>1").contains('a'), "{}", solved("a>1"));
    let same = "a 1 p:x";
    let twice = [index(same), index(same)];
    let chosen = solve(&twice, &words("a"), &[]).unwrap();
    assert_eq!(chosen[0].index, Some(0));
}

#[test]
fn installed_packages_stay_and_are_upgraded_only_where_needed() {
    let indexes = [index(
        "a 1 D:b\na 2 D:b\nb 1\nb 2\nc 1 D:b>=2\nd 1\nmta1 1 p:mta\nmta2 1 p:mta\ne 1 D:mta",
    )];
    let solved = |world, installed| {
        solve_all(&indexes, world, installed).unwrap_or_else(|error| error.to_string())
    };
    assert_eq!(solved("d", "a 1 D:b\nb 1"), "d-1 =b-1 =a-1");
    assert_eq!(solved("c", "a 1 D:b\nb 1"), "^b-2 c-1 =a-1");
    assert_eq!(solved("a>1", "a 1 D:b\nb 1"), "=b-1 ^a-2");
    // So does a version that no repository has any more.
    assert_eq!(solved("d", "a 0 D:b\nb 1"), "d-1 =b-1 =a-0");
    assert_eq!(solved("c", "a 0 D:b\nb 0"), "^b-2 c-1 =a-0");
    // What no repository has any more stays too.
    assert_eq!(solved("d", "gone 1"), "d-1 =gone-1");
    assert_eq!(solved("d !gone", "gone 1"), "d-1");
    assert_eq!(solved("e", "mta2 1 p:mta"), "=mta2-1 e-1");
}

#[test]
fn errors_say_what_is_missing_and_why() {
    let error = solved("nginx 1\nnginx-doc 1\nredis 1", "ngnix");
    assert_eq!(error, "there is no package \"ngnix\" in the repositories; did you mean nginx?");
    let error = solved("app 1 D:lib\nlib 1 D:so:libz.so.2\nz 1 p:so:libz.so.1=1", "app");
    let lines: Vec<_> = error.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "these packages cannot be installed together:",
            "the request needs app",
            "app-1 cannot be:",
            "it needs lib",
            "lib-1 cannot be:",
            "it needs so:libz.so.2",
            "nothing provides so:libz.so.2; did you mean so:libz.so.1?",
        ]
    );
    let many: String = (0..200).map(|i| format!("app {i} D:lib{i}\nlib{i} 1 D:x\n")).collect();
    assert!(solved(&many, "app").lines().count() <= 13);
    assert!(solved("a 1", "a<>1").contains("no dependency"));
}

#[test]
fn hostile_worlds_end() {
    // Twelve pigeons in eleven holes: every search by trial takes exponential time.
    let mut text = String::new();
    for pigeon in 0..12 {
        for hole in 0..11 {
            text += &format!("p{pigeon}h{hole} 1 p:p{pigeon}=1,h{hole}=1\n");
        }
    }
    let world: String = (0..12).map(|pigeon| format!("p{pigeon} ")).collect();
    let error = solve_all(&[index(&text)], &world, "").unwrap_err();
    assert!(matches!(error, SolveError::TooHard { .. }), "{error}");
    // A chain as deep as an index can be is no matter of the stack.
    let chain: String = (0..50_000).map(|i| format!("n{i} 1 D:n{}\n", i + 1)).collect();
    let chain = format!("{chain}n50000 1");
    assert!(solved(&chain, "n0").starts_with("n50000-1 n49999-1"));
}
