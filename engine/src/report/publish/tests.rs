use mabuild_oci::Digest;
use mabuild_tests::schema::faults;
use serde_json::Value;

use super::*;
use crate::publish::generation::Move;
use crate::publish::testing::{digest, late, platform, seat};
use crate::publish::{Blocked, Failed, Pushed, Resumed};
use crate::report::schema;

fn tag(name: &str, before: Option<u8>, after: u8) -> Planned {
    Planned { tag: name.into(), before: before.map(digest), after: digest(after) }
}

fn failed() -> Failed {
    Failed { message: "no answer".into(), blames_registry: true }
}

fn image(outcome: Outcome) -> Image {
    Image { image: "app".into(), repository: "r.example/app".into(), outcome }
}

fn whole(ends: &[TagEnd]) -> Outcome {
    let seats = vec![seat("linux/amd64", 1), late(seat("linux/arm64", 2), 86_400)];
    let missing = vec![Blocked { platform: platform("linux/386"), why: "failed".into() }];
    let tags = vec![tag("1", Some(3), 9), tag("1-amd64", None, 1)];
    let plan = Plan { seats, missing, made: None, tags };
    Outcome::Whole { plan, ends: ends.to_vec() }
}

fn step(turn: Turn) -> Step {
    Step { repository: "r.example/app".into(), tag: "1".into(), turn, wave: 0 }
}

fn published() -> Published {
    let blocked = vec![Blocked { platform: platform("linux/arm64"), why: "failed: code 3".into() }];
    Published {
        resumed: vec![Resumed {
            number: 6,
            tags: vec![(step(Turn::Set(digest(5))), TagEnd::Moved)],
        }],
        images: vec![
            image(whole(&[TagEnd::Moved, TagEnd::Moved])),
            image(whole(&[TagEnd::Kept, TagEnd::Kept])),
            image(whole(&[TagEnd::Foreign(Some(digest(4))), TagEnd::Untried])),
            image(whole(&[TagEnd::Failed(failed()), TagEnd::Untried])),
            image(Outcome::Blocked(blocked)),
            image(Outcome::Failed(failed())),
        ],
        pushed: Pushed { uploaded: 5, bytes: 12_897_485, mounted: 10, present: 30, manifests: 2 },
        generation: Some(7),
        ..Published::default()
    }
}

#[test]
fn tags_that_moved_are_told_with_what_they_were() {
    let text = publish_text(&published(), false, Style::Plain);
    let lines: Vec<&str> = text.lines().collect();
    let short = |n: u8| format!("{}…", &digest(n).to_string()[..19]);
    assert_eq!(lines[0], "finished generation 6, which was left open");
    assert_eq!(lines[1], format!("r.example/app:1  {}", short(5)));
    assert_eq!(
        lines[2],
        format!(
            "r.example/app:1  {}  (was {})  linux/amd64 linux/arm64 (carried since 1970-01-02) \
             (without linux/386)",
            short(9),
            short(3)
        )
    );
    assert_eq!(lines[3], format!("r.example/app:1-amd64  {}  (new)  linux/amd64", short(1)));
    assert!(lines[4].starts_with("r.example/app:1 left alone: somebody else has moved it"));
    assert_eq!(
        lines.last(),
        Some(
            &"failed: 2 tags moved, 2 kept, 2 images not published; 5 blobs, 12.3 MiB sent, 40 \
              there already; generation 7"
        )
    );
    let faults = publish_faults(&published());
    assert_eq!(faults.len(), 4, "{faults:#?}");
    assert!(faults[2].0.contains("app is not published to r.example/app:\nlinux/arm64: failed"));
    assert!(faults[3].0.ends_with("r.example/app: no answer"));
    let verbose = publish_text(&published(), true, Style::Plain);
    assert_eq!(verbose.lines().count(), lines.len() + 2);
}

#[test]
fn what_would_be_done_is_told_as_such() {
    let images = vec![image(whole(&[TagEnd::Planned, TagEnd::Kept]))];
    let text = publish_text(
        &Published { dry_run: true, images, ..Published::default() },
        false,
        Style::Plain,
    );
    assert!(text.ends_with("\nwould publish: 1 tag to move, 1 kept\n"), "{text}");
}

fn fits(schema: &str, text: &str) -> Value {
    let document: Value = serde_json::from_str(text).unwrap();
    let schema: Value = serde_json::from_str(schema).unwrap();
    let faults = faults(&schema, &document);
    assert!(faults.is_empty(), "{faults:#?}\n{document:#}");
    document
}

#[test]
fn documents_fit_their_schemas() {
    let document = fits(schema::PUBLISH, &publish_json(&published()));
    let outcome = |at: usize| document["images"][at]["outcome"].as_str().unwrap();
    let outcomes: Vec<&str> = (0..6).map(outcome).collect();
    assert_eq!(outcomes, ["published", "kept", "foreign", "failed", "blocked", "failed"]);
    assert_eq!(document["images"][0]["platforms"][1]["late"]["since"], 86_400);
    assert_eq!(document["images"][0]["tags"][1]["before"], Value::Null);
    let tags = [
        (step(Turn::Set(digest(1))), TagEnd::Moved),
        (step(Turn::Delete), TagEnd::Deleted),
        (step(Turn::Foreign(None)), TagEnd::Foreign(None)),
        (step(Turn::Delete), TagEnd::Failed(failed())),
    ];
    let document = fits(schema::ROLLBACK, &rollback_json(&[7, 6], &tags, false, false));
    assert_eq!(document["tags"][3]["error"], "no answer");
    assert_eq!(rollback_faults(&tags).len(), 2);
    let moves = vec![Move {
        repository: "r.example/app".into(),
        tag: "1".into(),
        before: None,
        after: digest(1),
        wave: 0,
        pruned: true,
    }];
    let generation =
        Generation { number: 3, opened: 0, closed: None, progress: Progress::Open, moves };
    let document = fits(schema::GENERATIONS, &generations_json(std::slice::from_ref(&generation)));
    assert_eq!(document["generations"][0]["progress"], "open");
    let text = generations_text(&[generation], true, Style::Plain);
    assert!(text.starts_with("3  1970-01-01 00:00:00  open  1 tag, 1 pruned\n    r.example/app:1"));
    let digests: [Digest; 1] = [digest(1)];
    let removals = [("r.example/app", &digests[..])];
    fits(schema::PRUNE, &prune_json(&removals, 1, &[("q".into(), failed())], false));
    assert_eq!(prune_text(&removals, Style::Plain), format!("r.example/app@{}\n", digest(1)));
}
