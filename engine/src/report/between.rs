//! Two runs compared, as text and as JSON.

use mabuild_lang::platform::Platform;
use serde::Serialize;

use super::causes::{Story, Way, Why, chain, tell};
use super::reason::ReasonDocument;
use super::{JSON_VERSION, Style, Tone, words};
use crate::plan::{Became, Cause, Compared};

/// A run that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// Unix seconds.
    pub started: i64,
}

/// Two runs compared as text; `compared` are the nodes that were asked for. Platforms of a thing
/// that differ for the same reasons are told once.
pub fn between_text(from: Run, to: Run, compared: &[Compared], style: Style) -> String {
    let moment = |run: Run| format!("run {}, {}", run.id, words::moment(run.started));
    let mut out = style.paint(Tone::Dim, &format!("{} → {}", moment(from), moment(to)));
    out.push('\n');
    if compared.is_empty() {
        out.push_str("no node differs\n");
        return out;
    }
    let since = format!("run {}", from.id);
    out.push_str(&tell(compared.iter().map(story).collect(), &since, style));
    out
}

/// The thing and the platform of a node's name; all of it is the thing when there is none.
fn split(node: &str) -> (String, Option<Platform>) {
    let parts = node.rsplit_once('@');
    let found = parts.and_then(|(name, rest)| Some((name.to_owned(), Platform::parse(rest).ok()?)));
    found.map_or_else(|| (node.to_owned(), None), |(name, platform)| (name, Some(platform)))
}

fn story(compared: &Compared) -> Story<'_> {
    let (name, platform) = split(&compared.node);
    let (outcome, tone) = match &compared.became {
        Became::Same { .. } => ("is the same in both runs", Tone::Good),
        Became::SameResult => ("came out the same from other inputs", Tone::Good),
        Became::Different => ("came out different", Tone::Work),
        Became::New => ("is new", Tone::Work),
        Became::Gone => ("is in the first of the two runs alone", Tone::Work),
        Became::Absent => ("is in neither run", Tone::Dim),
    };
    let details = match &compared.became {
        Became::Same { digest } => vec![format!("result  {digest}")],
        _ => Vec::new(),
    };
    let causes = compared.causes.iter().map(|(way, cause)| Way {
        names: way.iter().map(|node| split(node).0).collect(),
        why: why(cause),
    });
    Story { name, platform, outcome, tone, details, causes: causes.collect() }
}

fn why(cause: &Cause) -> Why<'_> {
    let (short, sentence) = match cause {
        Cause::Changed(changes) => return Why::Changed(changes),
        Cause::New => ("not there in the first run", None),
        Cause::OtherResult => (
            "the same inputs, another result",
            Some("a step of it gives other files each time it is run; it is not reproducible"),
        ),
        Cause::Forgotten => (
            "what it was made of is not known",
            Some("what was hashed for one of the runs is no longer kept, or has an older form"),
        ),
    };
    Why::Plain { short, sentence: sentence.map(str::to_owned) }
}

/// Two runs compared as JSON, version 1: [`super::schema::BETWEEN`].
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    from: Run,
    to: Run,
    nodes: Vec<NodeDocument<'a>>,
}

#[derive(Serialize)]
struct NodeDocument<'a> {
    /// `name@os/arch`.
    node: &'a str,
    /// `same`, `same-result`, `different`, `new`, `gone`, `absent`.
    became: &'static str,
    causes: Vec<CauseDocument<'a>>,
}

#[derive(Serialize)]
struct CauseDocument<'a> {
    /// From the node to the root cause.
    path: &'a [String],
    /// The same in one line, with what differs at its end.
    chain: String,
    reason: ReasonDocument<'a>,
}

/// Two runs compared as a JSON document:
/// `{"version":1,"from":{"id":…},"to":{"id":…},"nodes":[…]}`.
pub fn between_json(from: Run, to: Run, compared: &[Compared]) -> String {
    let nodes = compared.iter().map(|of| NodeDocument {
        node: &of.node,
        became: match of.became {
            Became::Same { .. } => "same",
            Became::SameResult => "same-result",
            Became::Different => "different",
            Became::New => "new",
            Became::Gone => "gone",
            Became::Absent => "absent",
        },
        causes: of.causes.iter().zip(story(of).causes).map(|(c, w)| cause(of, c, &w)).collect(),
    });
    words::json(&Document { version: JSON_VERSION, from, to, nodes: nodes.collect() })
}

fn cause<'a>(
    of: &Compared,
    (path, cause): &'a (Vec<String>, Cause),
    way: &Way<'_>,
) -> CauseDocument<'a> {
    let reason = match cause {
        Cause::Changed(changes) => ReasonDocument::changed(changes),
        Cause::New => ReasonDocument::plain("new"),
        Cause::OtherResult => ReasonDocument::plain("other-result"),
        Cause::Forgotten => ReasonDocument::plain("forgotten"),
    };
    CauseDocument { path, chain: chain(&of.node, way, true), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Change;

    const FROM: Run = Run { id: 3, started: 0 };
    const TO: Run = Run { id: 5, started: 1_795_257_235 };

    fn compared() -> Vec<Compared> {
        let change = |now: &str| Change {
            field: "packages.libssl3.version".to_owned(),
            before: Some("3.0.15".to_owned()),
            now: Some(now.to_owned()),
        };
        let app = |platform: &str, now: &str| Compared {
            node: format!("app@linux/{platform}"),
            became: Became::Different,
            causes: vec![(
                ["app", "python", "minideb"].map(|n| format!("{n}@linux/{platform}")).to_vec(),
                Cause::Changed(vec![change(now)]),
            )],
        };
        let odd = Compared {
            node: "odd@linux/arm64".to_owned(),
            became: Became::Different,
            causes: vec![(vec!["odd@linux/arm64".to_owned()], Cause::OtherResult)],
        };
        let same = Compared {
            node: "side@linux/arm64".to_owned(),
            became: Became::Same { digest: "sha256:aa".into() },
            causes: Vec::new(),
        };
        vec![app("arm64", "3.0.16"), app("amd64", "3.0.16"), odd, same]
    }

    #[test]
    fn text_has_the_chain_to_the_root_in_one_line() {
        assert_eq!(
            between_text(FROM, TO, &compared(), Style::Plain),
            "\
run 3, 1970-01-01 00:00:00 → run 5, 2026-11-21 10:33:55
app linux/{arm64,amd64} came out different
  app@linux/{arm64,amd64} ← python ← minideb ← libssl3 3.0.15 → 3.0.16
  1 input of minideb differs from run 3
    packages.libssl3.version
      before 3.0.15
      now    3.0.16

odd linux/arm64 came out different
  odd@linux/arm64 ← the same inputs, another result
  a step of it gives other files each time it is run; it is not reproducible

side linux/arm64 is the same in both runs
  result  sha256:aa
"
        );
        assert!(between_text(FROM, TO, &[], Style::Plain).ends_with("no node differs\n"));
    }

    #[test]
    fn values_that_differ_by_platform_are_not_told_for_all() {
        let mut list = compared();
        if let Cause::Changed(changes) = &mut list[1].causes[0].1 {
            changes[0].now = Some("3.0.17".to_owned());
        }
        let text = between_text(FROM, TO, &list, Style::Plain);
        assert!(text.contains("minideb ← libssl3 differs\n"), "{text}");
        assert!(text.contains("values of linux/arm64; the other platforms"), "{text}");
    }

    #[test]
    fn json_has_the_stable_fields() {
        let text = between_json(FROM, TO, &compared());
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["version"], &json["from"]["id"]), (&1.into(), &3.into()));
        let app = &json["nodes"][0];
        assert_eq!(
            (app["node"].as_str(), app["became"].as_str()),
            (Some("app@linux/arm64"), Some("different"))
        );
        assert_eq!(
            app["causes"][0]["chain"],
            "app@linux/arm64 ← python ← minideb ← libssl3 3.0.15 → 3.0.16"
        );
        assert_eq!(app["causes"][0]["path"][2], "minideb@linux/arm64");
        assert_eq!(json["nodes"][2]["causes"][0]["reason"]["kind"], "other-result");
        assert_eq!(json["nodes"][3]["became"], "same");
    }
}
