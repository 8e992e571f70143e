use super::*;
use crate::debian::status;
use proptest::prelude::*;
use std::fmt::Write;

/// Makes an index text of lines `name version; Field: value; …`.
fn text(lines: &str) -> String {
    let mut all = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut parts = line.split(';').map(str::trim);
        let (name, version) = parts.next().unwrap().split_once(' ').unwrap();
        let fields: Vec<_> = parts.collect();
        if !fields.iter().any(|field| field.starts_with("Architecture")) {
            all.push_str("Architecture: amd64\n");
        }
        writeln!(all, "Package: {name}\nVersion: {version}\n{}", fields.join("\n")).unwrap();
        let sha256 = "0".repeat(64);
        write!(all, "Filename: pool/{name}_{version}\nSize: 1\nSHA256: {sha256}\n\n").unwrap();
    }
    all.replace("\n\nFilename", "\nFilename")
}

fn index(archives: &[&str]) -> PackageIndex {
    let mut index = PackageIndex::default();
    for archive in archives {
        index.add(text(archive).as_bytes()).unwrap();
    }
    index
}

fn list(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

/// Makes a list of installed packages of lines like those of an index.
fn installed(lines: &str) -> Vec<Installed> {
    status::read(text(lines).as_bytes()).unwrap()
}

fn answer(index: &PackageIndex, request: &Request<'_>) -> String {
    match solve(index, request) {
        Ok(packages) => {
            let shown: Vec<_> =
                packages.iter().map(|p| format!("{}={}", p.name, p.version)).collect();
            assert!(packages.is_sorted_by(|a, b| a.name < b.name));
            shown.join(" ")
        }
        Err(error) => error.to_string(),
    }
}

/// Solves for names in a world of one archive.
fn chosen(archive: &str, names: &str) -> String {
    let names = list(names);
    answer(&index(&[archive]), &Request { arch: "amd64", names: &names, ..Request::default() })
}

fn recommended(archive: &str, names: &str) -> String {
    let names = list(names);
    let request = Request { arch: "amd64", names: &names, recommends: true, ..Request::default() };
    answer(&index(&[archive]), &request)
}

fn above(archive: &str, below: &str, names: &str) -> String {
    let (names, installed) = (list(names), installed(below));
    let request =
        Request { arch: "amd64", names: &names, installed: &installed, ..Request::default() };
    answer(&index(&[archive]), &request)
}

#[test]
fn what_is_needed_comes_along_and_nothing_else() {
    let world = "a 1; Depends: b (>= 2), c; Pre-Depends: d; Recommends: r; Suggests: s
        b 2\nc 1; Depends: b\nd 1\nr 1\ns 1\nother 1";
    assert_eq!(chosen(world, "a"), "a=1 b=2 c=1 d=1");
    assert_eq!(chosen(world, ""), "");
}

#[test]
fn the_first_alternative_that_goes_is_taken() {
    let world = "a 1; Depends: gone | old (>= 2) | broken | b | c
        old 1\nbroken 1; Depends: gone\nb 1\nc 1
        takes-c 1; Depends: c, b | c
        needs-c 1; Depends: a, c";
    assert_eq!(chosen(world, "a"), "a=1 b=1");
    assert_eq!(chosen(world, "c a"), "a=1 c=1");
    assert_eq!(chosen(world, "takes-c"), "c=1 takes-c=1");
}

#[test]
fn an_alternative_that_fails_deep_inside_leaves_nothing_behind() {
    let world = "a 1; Depends: b | c\nb 1; Depends: b1, b2\nb1 1\nb2 1; Depends: b3 (>= 2)
        b3 2; Depends: b4\nb4 1; Depends: gone\nc 1";
    assert_eq!(chosen(world, "a"), "a=1 c=1");
}

#[test]
fn the_highest_version_of_all_archives_is_the_candidate() {
    let index = index(&[
        "a 1.9; Depends: lib (= 1.9)\nlib 1.9\nfirst 1; Essential: yes",
        "a 1.10; Depends: lib (= 1.10)\nlib 1.10",
        "a 1.2\nlib 1.10",
    ]);
    let ask = |names: &str| {
        let names = list(names);
        answer(&index, &Request { arch: "amd64", names: &names, ..Request::default() })
    };
    assert_eq!(ask("a"), "a=1.10 lib=1.10");
    assert_eq!(ask("a=1.9 lib=1.9"), "a=1.9 lib=1.9");
    assert_eq!(ask("a=1.2"), "a=1.2");
    assert_eq!(ask("a>=1.2"), "a=1.10 lib=1.10");
    assert_eq!(ask("a>=2"), "package a is not there in version >= 2; there is 1.9, 1.10, 1.2");
    assert_eq!(ask("a=3"), "package a is not there in version = 3; there is 1.9, 1.10, 1.2");
    assert_eq!(ask("a=1.2 a=1.9"), "package a is asked for in two versions");
    // An older version is only taken when it is named, also where something needs it.
    assert_eq!(
        ask("a=1.9"),
        "the packages cannot be installed together:\n  a is wanted\n    \
         a 1.9 needs lib (= 1.9), but there is only lib 1.10"
    );
    let request = Request { arch: "amd64", essential: true, ..Request::default() };
    assert_eq!(answer(&index, &request), "first=1");
    let lib = list("lib");
    let found = solve(&index, &Request { arch: "amd64", names: &lib, ..Request::default() });
    assert_eq!(found.unwrap()[0].archive, 1, "of equal versions the first archive's");
}

#[test]
fn a_virtual_name_prefers_the_real_package_and_then_goes_by_priority_and_name() {
    let world = "a 1; Depends: v\nv 1
        p1 1; Provides: v; Priority: required
        b 1; Depends: w\nw-opt 1; Provides: w; Priority: optional
        w-std 1; Provides: x, w; Priority: standard
        c 1; Depends: u\nu2 1; Provides: u\nu1 1; Provides: u
        e 1; Depends: y\ny1 1; Provides: y\ny2 1; Provides: y; Essential: yes";
    assert_eq!(chosen(world, "a"), "a=1 v=1");
    assert_eq!(chosen(world, "b"), "b=1 w-std=1");
    assert_eq!(chosen(world, "c"), "c=1 u2=1", "apt takes the last");
    assert_eq!(chosen(world, "e"), "e=1 y2=1");
    assert_eq!(chosen(world, "p1 a"), "a=1 p1=1", "what is there already is enough");
    assert_eq!(chosen(world, "x"), "w-std=1");
    assert_eq!(
        chosen(world, "w"),
        "w is provided by several packages (w-std, w-opt); name one of them"
    );
}

#[test]
fn a_version_is_met_by_a_provided_version_only() {
    let world = "a 1; Depends: v (>= 2)\nplain 1; Provides: v\nlow 1; Provides: v (= 1)
        high 9; Provides: v (= 2)\nb 1; Depends: v (>= 3)\nreal 1
        c 1; Depends: real (>= 2)\nstand-in 1; Provides: real (= 2)";
    assert_eq!(chosen(world, "a"), "a=1 high=9");
    assert_eq!(chosen(world, "c"), "c=1 stand-in=1");
    let error = chosen(world, "b");
    assert!(
        error.contains("b 1 needs v (>= 3), but there is only plain 1, low 1, high 9"),
        "{error}"
    );
}

#[test]
fn conflicts_and_breaks_count_both_ways() {
    for field in ["Conflicts", "Breaks"] {
        let world =
            format!("a 1; {field}: b\nb 1\nc 1; Depends: b | d\nd 1\ne 1; {field}: b (<< 1)");
        assert_eq!(chosen(&world, "a c"), "a=1 c=1 d=1");
        assert_eq!(chosen(&world, "c a"), "a=1 c=1 d=1");
        assert_eq!(chosen(&world, "e b"), "b=1 e=1");
        for names in ["a b", "b a"] {
            let error = chosen(&world, names);
            assert!(error.contains("a 1 conflicts with b 1"), "{error}");
        }
    }
}

#[test]
fn what_a_package_provides_itself_is_no_conflict_with_itself() {
    let world = "exim 1; Provides: mta; Conflicts: mta\npostfix 1; Provides: mta; Conflicts: mta
        a 1; Depends: exim | mta\nversioned 1; Provides: mta (= 2)\nold 1; Conflicts: mta (<< 2)";
    assert_eq!(chosen(world, "exim"), "exim=1");
    assert_eq!(chosen(world, "a postfix"), "a=1 postfix=1");
    assert_eq!(chosen(world, "old versioned"), "old=1 versioned=1");
    assert_eq!(chosen(world, "old exim"), "exim=1 old=1", "no version, no versioned conflict");
    assert!(chosen(world, "exim postfix").contains("exim 1 conflicts with postfix 1"));
}

#[test]
fn where_the_first_way_ends_the_search_finds_another() {
    // `b` is taken for `a` before `z` turns out to need `c`, which does not go with it.
    let world = "a 1; Depends: b | c\nb 1\nc 1; Conflicts: b\nz 1; Depends: c";
    assert_eq!(chosen(world, "a z"), "a=1 c=1 z=1");
    let with = world.replace("z 1;", "z 1; Recommends: r, b;") + "\nr 1; Recommends: r2\nr2 1";
    assert_eq!(recommended(&with, "a z"), "a=1 c=1 r=1 r2=1 z=1");
}

#[test]
fn recommendations_are_followed_on_demand_and_as_far_as_they_go() {
    let world = "a 1; Recommends: b | c, gone, bad, clash, virtual; Depends: d
        b 1; Recommends: e\nc 1\nd 1; Conflicts: clash\ne 1
        bad 1; Depends: e, gone\nclash 1\np 1; Provides: virtual";
    assert_eq!(chosen(world, "a"), "a=1 d=1");
    assert_eq!(recommended(world, "a"), "a=1 b=1 d=1 e=1 p=1");
    let (names, exclude) = (list("a"), list("b e"));
    let request = Request {
        arch: "amd64",
        names: &names,
        recommends: true,
        exclude: &exclude,
        ..Request::default()
    };
    assert_eq!(answer(&index(&[world]), &request), "a=1 c=1 d=1 p=1");
}

#[test]
fn circles_are_no_trouble() {
    let world = "a 1; Depends: b\nb 1; Depends: c, a\nc 1; Pre-Depends: a; Depends: c";
    assert_eq!(chosen(world, "c"), "a=1 b=1 c=1");
    // A circle whose last member cannot be had fails as a whole.
    let world = "x 1; Depends: a | y\na 1; Depends: b\nb 1; Depends: a, gone\ny 1";
    assert_eq!(chosen(world, "x"), "x=1 y=1");
}

#[test]
fn essential_and_priority_sets_leave_out_what_is_excluded() {
    let index = index(&["base 1; Essential: yes; Depends: lib\nlib 1\nreq 1; Priority: required
         imp 1; Priority: important\nstd 1; Priority: standard\nopt 1; Priority: optional
         foreign 1; Architecture: arm64; Essential: yes; Priority: required
         data 1; Architecture: all; Priority: required"]);
    let exclude = list("imp");
    let request =
        Request { arch: "amd64", essential: true, exclude: &exclude, ..Request::default() };
    assert_eq!(answer(&index, &request), "base=1 lib=1");
    let request = Request { priorities: &["required", "important"], ..request };
    assert_eq!(answer(&index, &request), "base=1 data=1 lib=1 req=1");
    let request = Request { exclude: &[], ..request };
    assert_eq!(answer(&index, &request), "base=1 data=1 imp=1 lib=1 req=1");
}

#[test]
fn only_the_asked_architecture_and_all_count() {
    let world = "a 2; Architecture: arm64\na 1; Depends: b:any, c:native, d:amd64, e [arm64], f [amd64]
        b 1; Multi-Arch: allowed\nc 1; Architecture: all\nd 1\ne 1\nf 1
        g 1; Depends: c:any\nh 1; Depends: d:i386\ni 1; Depends: b:any (>= 2)\nk 1; Architecture: i386";
    assert_eq!(chosen(world, "a"), "a=1 b=1 c=1 d=1 f=1");
    for name in ["g", "h", "i"] {
        assert!(chosen(world, name).contains(&format!("{name} 1 needs")), "{name}");
    }
    assert!(chosen(world, "k").contains("there is no package \"k\""));
}

#[test]
fn what_is_installed_stays_and_meets_what_it_can() {
    let world = "a 1; Depends: lib (>= 1), tool | other\nlib 3\nother 1\ntool 2
        b 1; Depends: lib (>= 2)\nc 1; Depends: v\np 1; Provides: v\nown 1";
    let below = "lib 1\nother 1; Provides: v\nstranger 7; Depends: not-there";
    assert_eq!(above(world, below, "a lib"), "a=1");
    assert_eq!(above(world, below, "b"), "b=1 lib=3");
    assert_eq!(above(world, below, "lib>=2"), "lib=3");
    assert_eq!(above(world, below, "c"), "c=1");
    assert_eq!(above(world, "lib 4", "lib=4 b"), "b=1");
    assert_eq!(
        above(world, "lib 4", "lib=3"),
        "package lib is installed in version 4; it is not set back to 3"
    );
    let arm = "lib 1; Architecture: arm64";
    assert_eq!(above(world, arm, "lib"), "lib=3", "installed for another architecture");
}

#[test]
fn what_a_newer_version_breaks_is_moved_along() {
    let world = "lib 2\nlib-dev 2; Depends: lib (= 2)\na 1; Depends: lib (>= 2)
        tool 2; Depends: new\nnew 1";
    let below = "lib 1\nlib-dev 1; Depends: lib (= 1)\ntool 1; Depends: lib-dev (<< 2)";
    assert_eq!(above(world, below, "a"), "a=1 lib=2 lib-dev=2 new=1 tool=2");
    let stuck = above(world, "lib 1\nheld 1; Depends: lib (= 1)", "a");
    assert!(stuck.contains("held 1 needs lib (= 1)") || stuck.contains("a 1 needs lib"), "{stuck}");
}

#[test]
fn a_conflict_with_what_is_installed_moves_it_up_but_never_removes_it() {
    let world = "a 1; Breaks: old (<< 2)\nold 2\nb 1; Conflicts: old\nc 1; Depends: b | d\nd 1";
    assert_eq!(above(world, "old 1", "a"), "a=1 old=2");
    assert_eq!(above(world, "old 1", "c"), "c=1 d=1");
    assert!(above(world, "old 1", "b").contains("b 1 conflicts with old"));
    assert!(above("n 1", "x 1; Conflicts: n", "n").contains("x 1 conflicts with n 1"));
}

#[test]
fn errors_are_for_a_person() {
    let world = "libssl3 1\nlibssh2 1\na 1; Depends: b\nb 1; Depends: c (>= 2) | gone\nc 1
        bad 1; Depends: (oops)\nd 1; Depends: a";
    assert_eq!(
        chosen(world, "libssl"),
        "there is no package \"libssl\" in the archive; did you mean libssl3, libssh2?"
    );
    assert_eq!(
        chosen(world, "d"),
        "the packages cannot be installed together:\n  d is wanted\n    d 1 needs a\n      \
         a 1 needs b\n        b 1 needs c (>= 2) | gone, but there is only c 1, there is no package gone"
    );
    let error = chosen(world, "bad");
    assert!(
        error.contains("package bad: Depends has \"(oops)\": there is no package name"),
        "{error}"
    );
    for name in ["../x", "a=", "a<<1", "a>=", "=1", "a=1/2", ""] {
        let names = [name.to_owned()];
        let request = Request { arch: "amd64", names: &names, ..Request::default() };
        let error = answer(&index(&[world]), &request);
        assert!(error.contains("does not name a package"), "{name}: {error}");
    }
    let (names, exclude) = (list("d"), list("c b"));
    let request = Request { arch: "amd64", names: &names, exclude: &exclude, ..Request::default() };
    let error = answer(&index(&[world]), &request);
    assert!(error.contains("a 1 needs b, but b is excluded"), "{error}");
    let both = Request { exclude: &names, ..request };
    assert_eq!(answer(&index(&[world]), &both), "package d is asked for and excluded");
}

#[test]
fn a_long_explanation_is_cut_in_the_middle() {
    let mut world = String::new();
    for i in 0..60 {
        writeln!(world, "p{i} 1; Depends: p{}", i + 1).unwrap();
    }
    let error = chosen(&world, "p0");
    assert_eq!(error.lines().count(), 13, "{error}");
    assert!(
        error.contains("p0 1 needs p1") && error.contains("there is no package p60"),
        "{error}"
    );
}

#[test]
fn the_same_request_has_the_same_answer() {
    let mut world = String::new();
    for i in 0..40 {
        let (a, b) = ((i * 7 + 3) % 40, (i * 11 + 5) % 40);
        writeln!(
            world,
            "p{i} 1; Depends: p{a} | v{}; Provides: v{}; Conflicts: v{}",
            b % 5,
            i % 5,
            (i + 1) % 9
        )
        .unwrap();
    }
    let first = chosen(&world, "p1 p9 p17");
    for _ in 0..20 {
        assert_eq!(chosen(&world, "p1 p9 p17"), first);
    }
}

#[test]
fn hostile_indexes_come_to_an_end() {
    let mut chain = String::new();
    for i in 0..2_000 {
        writeln!(chain, "p{i} 1; Depends: p{}", i + 1).unwrap();
    }
    let names = list("p0");
    let request = Request { arch: "amd64", names: &names, ..Request::default() };
    assert!(answer(&index(&[&chain]), &request).lines().count() < 15);
    // Every package keeps out, by many different names, all others.
    let mut tangle = String::new();
    for i in 0..1_000 {
        let next = i + 1;
        writeln!(
            tangle,
            "q{i} 1; Depends: q{next} | v (= {i}); Provides: v (= {i}); Breaks: v (>> {next})"
        )
        .unwrap();
    }
    let names = list("q0");
    let request = Request { arch: "amd64", names: &names, ..Request::default() };
    assert_eq!(answer(&index(&[&tangle]), &request), "q0=1");
    // Nine pigeons in eight holes: no choice, and no short proof of that.
    let mut pigeons = String::new();
    for i in 0..9 {
        let places: Vec<_> = (0..8).map(|hole| format!("x{i}-{hole}")).collect();
        writeln!(pigeons, "g{i} 1; Depends: {}", places.join(" | ")).unwrap();
        for (hole, place) in places.iter().enumerate() {
            writeln!(pigeons, "{place} 1; Provides: h{hole}; Conflicts: h{hole}").unwrap();
        }
    }
    let names = list("g0 g1 g2 g3 g4 g5 g6 g7 g8");
    let request = Request { arch: "amd64", names: &names, ..Request::default() };
    assert!(solve(&index(&[&pigeons]), &request).is_err());
}

/// Whether a choice holds together, by the plain reading of the rules.
fn is_sound(chosen: &[Package<'_>]) -> bool {
    let meets = |relation: &crate::debian::depends::Relation<'_>, package: &Package<'_>| {
        (relation.name == package.name && relation.accepts(package.version))
            || crate::debian::depends::parse("", "Provides", package.provides)
                .unwrap()
                .iter()
                .any(|given| given[0].name == relation.name && relation.accepts_provided(&given[0]))
    };
    chosen.iter().all(|package| {
        let parse = |value| crate::debian::depends::parse("", "Depends", value).unwrap();
        parse(package.depends).iter().all(|group| {
            group.iter().any(|relation| chosen.iter().any(|other| meets(relation, other)))
        }) && parse(package.conflicts).iter().flatten().all(|relation| {
            chosen.iter().all(|other| other.name == package.name || !meets(relation, other))
        })
    })
}

fn small_world() -> impl Strategy<Value = String> {
    let relation = prop_oneof![
        (0..8u8).prop_map(|n| format!("p{n}")),
        (0..8u8, 1..3u8).prop_map(|(n, v)| format!("p{n} (>= {v})")),
        (0..3u8).prop_map(|n| format!("v{n}")),
    ];
    let group = proptest::collection::vec(relation.clone(), 1..3).prop_map(|all| all.join(" | "));
    let depends = proptest::collection::vec(group, 0..3).prop_map(|all| all.join(", "));
    let conflicts = proptest::collection::vec(relation, 0..2).prop_map(|all| all.join(", "));
    let package =
        (1..3u8, depends, conflicts, 0..6u8).prop_map(|(version, depends, conflicts, v)| {
            let provides = if v < 3 { format!("; Provides: v{v}") } else { String::new() };
            format!("{version}; Depends: {depends}; Conflicts: {conflicts}{provides}")
        });
    proptest::collection::vec(package, 8).prop_map(|packages| {
        let lines = packages.iter().enumerate().map(|(at, package)| format!("p{at} {package}"));
        lines.collect::<Vec<_>>().join("\n")
    })
}

proptest! {
    #[test]
    fn an_answer_is_sound_and_a_refusal_is_right(lines in small_world(), recommends: bool) {
        let index = index(&[&lines]);
        let names = list("p0 p1");
        let request = Request { arch: "amd64", names: &names, recommends, ..Request::default() };
        let all: Vec<_> = index.iter().collect();
        let possible = (0u32..1 << all.len()).any(|mask| {
            let some: Vec<_> = all.iter().enumerate().filter(|(at, _)| (mask >> at) & 1 == 1).map(|(_, p)| *p).collect();
            mask & 3 == 3 && is_sound(&some)
        });
        match solve(&index, &request) {
            Ok(chosen) => {
                prop_assert!(is_sound(&chosen));
                prop_assert!(["p0", "p1"].iter().all(|name| chosen.iter().any(|p| p.name == *name)));
            }
            Err(SolveError::Unsatisfiable(_)) => prop_assert!(!possible, "there is a choice"),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

#[test]
fn pre_depends_are_configured_before() {
    let text = text(
        "a 1; Pre-Depends: b; Depends: z\nb 1; Depends: c\nc 1; Depends: b | x
        d 1; Pre-Depends: v (>= 2) | a\ne 1; Provides: v (= 2); Pre-Depends: a\nz 1; Depends: a",
    );
    let index = PackageIndex::parse(text.as_bytes()).unwrap();
    let packages: Vec<_> = index.iter().collect();
    let names = |groups: Vec<Vec<usize>>| -> Vec<String> {
        let name =
            |group: Vec<usize>| group.iter().map(|at| packages[*at].name).collect::<String>();
        groups.into_iter().map(name).collect()
    };
    assert_eq!(names(unpack_order(&packages)), ["bc", "az", "e", "d"]);
    assert_eq!(unpack_order(&[]), Vec::<Vec<usize>>::new());
}

#[test]
fn packages_that_pre_depend_on_each_other_share_a_group() {
    let text = text("a 1; Pre-Depends: b\nb 1; Pre-Depends: a, gone\nc 1; Pre-Depends: a, c");
    let index = PackageIndex::parse(text.as_bytes()).unwrap();
    let packages: Vec<_> = index.iter().collect();
    assert_eq!(unpack_order(&packages), [vec![0, 1], vec![2]]);
}

/// On a real index, named by `MABUILD_TEST_PACKAGES`: what is chosen holds together.
#[test]
fn a_real_index_is_solved() {
    let Some(files) = std::env::var_os("MABUILD_TEST_PACKAGES") else {
        eprintln!("skipped: MABUILD_TEST_PACKAGES names no Packages files");
        return;
    };
    let mut index = PackageIndex::default();
    for file in std::env::split_paths(&files) {
        index.add(&std::fs::read(file).unwrap()).unwrap();
    }
    let arch = std::env::var("MABUILD_TEST_ARCH").unwrap_or_else(|_| "amd64".to_owned());
    let names = list("apt");
    let request = Request {
        arch: &arch,
        names: &names,
        essential: true,
        priorities: &["required"],
        ..Request::default()
    };
    let base = solve(&index, &request).unwrap();
    assert!(is_sound(&base) && base.iter().any(|package| package.name == "libc6"));
    let order = unpack_order(&base);
    assert_eq!(order.iter().map(Vec::len).sum::<usize>(), base.len());
}
