//! Matrices, templates and what differs by platform: what they mean.

use std::collections::BTreeMap;

use mabuild_lang::config::{Config, Image, NodeRef, StepOp};
use mabuild_lang::diag::Severity;
use mabuild_lang::platform::Platform;
use mabuild_lang::{Files, Git, Vars, load};

use crate::{load_one, memory, rendered};

const HEAD: &str = "mabuild 1\nplatforms \"linux/amd64\" \"linux/arm/v7\"\n\
    base \"alpine\" { rootfs \"a.tar.gz\" }\n";

fn good(text: &str) -> Config {
    let loaded = load_one(&format!("{HEAD}{text}"));
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    Config::clone(&loaded.config)
}

fn names(config: &Config) -> Vec<&str> {
    config.images.iter().map(|image| &*image.name).collect()
}

fn image<'c>(config: &'c Config, name: &str) -> &'c Image {
    config.images.iter().find(|image| &*image.name == name).unwrap()
}

fn below<'c>(config: &'c Config, name: &str) -> &'c str {
    match image(config, name).from.as_ref().unwrap().value {
        NodeRef::Base(id) => &config.base(id).unwrap().name.value,
        NodeRef::Image(id) => &config.image(id).unwrap().name,
    }
}

fn tags(config: &Config, name: &str) -> Vec<String> {
    let image = image(config, name);
    let tags = image.body.tags.iter();
    tags.map(|tag| tag.of_variant(&image.values).unwrap().into_owned()).collect()
}

/// The shell texts of an image's `run` steps on a platform.
fn runs(image: &Image, platform: &str) -> Vec<String> {
    let platform = Platform::parse(platform).unwrap();
    let here =
        |only: &[mabuild_lang::source::Spanned<Platform>]| only.iter().any(|p| p.value == platform);
    let steps = image.body.steps.iter();
    let steps = steps.filter(|step| step.only.as_ref().is_none_or(|only| here(only)));
    steps
        .filter_map(|step| match &step.op {
            StepOp::Run(run) => {
                Some(run.words[0].render(&platform, &image.values).unwrap().into_owned())
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_variant_for_each_combination_that_is_left() {
    let config = good(
        r#"image "python" {
            matrix { python "3.11" "3.12"; suite "bookworm" "trixie"; exclude python="3.11" suite="trixie" }
            from "alpine"
            tags "{{python}}-{{suite}}" "{{python}}{{suite}}"
            steps { run "echo {{python}} {{suite}} {{platform.arch}} {{image.name}}" }
        }
        image "only" {
            matrix { a "1" "2"; b "x" "y"; only a="1"; only b="y" a="2" }
            from "alpine"
        }"#,
    );
    assert_eq!(
        names(&config),
        [
            "python[3.11,bookworm]",
            "python[3.12,bookworm]",
            "python[3.12,trixie]",
            "only[1,x]",
            "only[1,y]",
            "only[2,y]"
        ]
    );
    assert_eq!(tags(&config, "python[3.12,trixie]"), ["3.12-trixie", "3.12trixie"]);
    // Without tags of its own a variant is told by its values.
    assert_eq!(tags(&config, "only[2,y]"), ["2-y"]);
    assert_eq!(
        runs(image(&config, "python[3.11,bookworm]"), "linux/arm/v7"),
        ["echo 3.11 bookworm arm python"]
    );
    // All variants share what is the same.
    let (first, second) = (&config.images[0], &config.images[1]);
    assert!(std::sync::Arc::ptr_eq(&first.body, &second.body));
    assert!(std::sync::Arc::ptr_eq(&first.platforms, &second.platforms));
}

#[test]
fn a_reference_picks_one_variant() {
    let config = good(
        r#"let newest "3.12"
        image "python" {
            matrix { python "3.11" "3.12"; suite "bookworm" "trixie" }
            from "alpine"
        }
        image "app" { from "python" python="{{newest}}" suite="trixie" }
        image "tool" {
            matrix { suite "bookworm" "trixie" }
            from "python" python="3.11"
            steps { copy "/x" "/y" from="python[3.12]"; copy "/x" "/z" from="python[suite=trixie,python=3.11]" }
        }
        image "both" {
            matrix { suite "trixie" "bookworm"; python "3.12" "3.11" }
            from "python"
        }
        image "named" { matrix { base "alpine" "app" }; from "{{base}}" }
        group "some" { image "python[3.12]"; image "tool"; base "alpine" }"#,
    );
    assert_eq!(below(&config, "app"), "python[3.12,trixie]");
    assert_eq!(below(&config, "tool[bookworm]"), "python[3.11,bookworm]");
    assert_eq!(below(&config, "both[trixie,3.11]"), "python[3.11,trixie]");
    assert_eq!(below(&config, "named[app]"), "app");
    assert_eq!(below(&config, "named[alpine]"), "alpine");
    let copied = |name: &str, at: usize| {
        let node = image(&config, name).copies[at].as_ref().unwrap().value;
        let NodeRef::Image(id) = node else { panic!("{node:?}") };
        config.image(id).unwrap().name.to_string()
    };
    assert_eq!(copied("tool[trixie]", 0), "python[3.12,trixie]");
    assert_eq!(copied("tool[bookworm]", 1), "python[3.11,trixie]");
    assert_eq!(config.groups[0].members.len(), 2 + 2 + 1);
}

#[test]
fn what_counts_most_among_templates() {
    let config = good(
        r#"template "user" { user "app"; env A="user" B="user"; steps { run "one" } }
        template "service" {
            use "user"
            workdir "/srv"; entrypoint "service"; tags "service"
            env B="service"
            steps { run "two {{image.name}}" }
            label "a" "service"
        }
        template "loud" { use "user"; workdir "/loud"; env C="loud"; steps { run "three" } }
        image "web" {
            use "service" "loud"
            from "alpine"
            env A="web"
            steps { run "four" }
            expose "80/tcp"
        }
        image "second" { use "service"; from "web"; tags "own" "latest" }"#,
    );
    let web = image(&config, "web");
    assert_eq!(runs(web, "linux/amd64"), ["one", "two web", "three", "four"]);
    let settings = &web.body.settings;
    let env: Vec<(&str, &str)> =
        settings.env.iter().map(|(name, v)| (name.as_str(), v.constant().unwrap())).collect();
    assert_eq!(env, [("A", "web"), ("B", "service"), ("C", "loud")]);
    let constant = |text: &Option<mabuild_lang::config::Text>| {
        text.as_ref().and_then(|text| text.constant()).map(str::to_owned)
    };
    // The template named last counts more than those before it.
    assert_eq!(constant(&settings.workdir).as_deref(), Some("/loud"));
    assert_eq!(constant(&settings.user).as_deref(), Some("app"));
    assert_eq!(tags(&config, "web"), ["service"]);
    assert_eq!(tags(&config, "second"), ["own", "latest"]);
}

#[test]
fn a_template_reads_from_its_own_file() {
    let files = memory(&[
        (
            "mabuild.kdl",
            "mabuild 1\nplatforms \"linux/amd64\"\ninclude \"shared/*.kdl\"\n\
             image \"a\" { use \"t\"; from \"scratch\"; matrix { v \"1\" } }\n",
        ),
        (
            "shared/t.kdl",
            "template \"t\" { context \"files\"; steps { copy \"x-{{v}}\" \"/\\u{e9}{{platform.arch}}\" } }\n",
        ),
    ]);
    let loaded = load("mabuild.kdl", &files, &Vars::default());
    assert!(loaded.diagnostics.is_empty(), "{}", rendered(&loaded));
    let image = &loaded.config.images[0];
    let context = image.body.context.as_ref().unwrap();
    assert_eq!((&*context.folder, context.text.constant()), ("shared", Some("files")));
    let StepOp::Copy(copy) = &image.body.steps[0].op else { panic!("{image:?}") };
    let amd64 = Platform::parse("linux/amd64").unwrap();
    assert_eq!(copy.sources[0].render(&amd64, &image.values).unwrap(), "x-1");
    assert_eq!(copy.dest.render(&amd64, &image.values).unwrap(), "/éamd64");
}

#[test]
fn steps_and_settings_of_some_platforms() {
    let config = good(
        r#"image "a" {
            from "alpine"
            arg "FLAGS" "-O2"
            steps {
                arg "FLAGS"
                run "all"
                on-platform "linux/arm/v7" { run "arm in its place" }
                run "all again"
            }
            on-platform "linux/arm/v7" { arg "FLAGS" "-Os"; env SMALL="1"; run "arm at the end" }
            env SMALL="0"
        }"#,
    );
    let a = image(&config, "a");
    assert_eq!(runs(a, "linux/amd64"), ["all", "all again"]);
    assert_eq!(runs(a, "linux/arm/v7"), ["all", "arm in its place", "all again", "arm at the end"]);
    assert_eq!(a.body.overrides.len(), 1);
    assert_eq!(a.body.overrides[0].args[0].1.constant(), Some("-Os"));
    let mut settings = a.body.settings.clone();
    settings.overlay(a.body.overrides[0].settings.clone());
    assert_eq!(settings.env.len(), 1);
    assert_eq!(settings.env[0].1.constant(), Some("1"));
}

/// Files with a git repository.
struct Repository(BTreeMap<String, String>);

impl Files for Repository {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or("not there".to_owned())
    }

    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn git(&self, what: Git) -> Result<String, String> {
        match what {
            Git::Commit => Ok("0123abc".to_owned()),
            Git::Describe => Err("git says: no tags".to_owned()),
        }
    }
}

#[test]
fn the_commit_and_the_date() {
    let text = format!(
        "{HEAD}let today \"{{{{date}}}}\"\n\
         image \"a\" {{ from \"alpine\"; tags \"{{{{date}}}}\" \"{{{{git.commit}}}}\"; \
         label \"built\" \"{{{{today}}}}\" }}\n"
    );
    let files = |text: String| Repository(BTreeMap::from([("mabuild.kdl".to_owned(), text)]));
    let vars = Vars { date: Some("2026-11-21".to_owned()), ..Vars::default() };
    let loaded = load("mabuild.kdl", &files(text), &vars);
    assert_eq!(tags(&loaded.config, "a"), ["2026-11-21", "0123abc"]);
    // A date in a label makes the image stale every day, one in a tag does not.
    let [warning] = loaded.diagnostics.as_slice() else { panic!("{}", rendered(&loaded)) };
    assert_eq!((warning.code, warning.severity), ("mabuild::lang::date", Severity::Warning));

    let text = format!("{HEAD}image \"a\" {{ from \"alpine\"; tags \"{{{{git.describe}}}}\" }}\n");
    let loaded = load("mabuild.kdl", &files(text), &vars);
    let [error] = loaded.diagnostics.as_slice() else { panic!("{}", rendered(&loaded)) };
    assert_eq!(error.message, "`git.describe` has no value: git says: no tags");
}

#[test]
fn mistakes_of_a_template_are_told_once() {
    let mut text = format!("{HEAD}template \"t\" {{ user \"{{{{who}}}}\" }}\n");
    for at in 0..50 {
        text += &format!("image \"i{at}\" {{ use \"t\"; from \"alpine\" }}\n");
    }
    let loaded = load_one(&text);
    assert_eq!(loaded.diagnostics.len(), 1, "{}", rendered(&loaded));
}
