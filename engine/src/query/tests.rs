//! Queries as they are written, over a small fleet, random graphs and a large one.

use mabuild_lang::platform::Platform;
use mabuild_lang::source::{SourceMap, Span};
use proptest::prelude::*;

use super::lex::Operator;
use super::parse::Step;
use super::*;
use crate::graph::{Builder, EdgeKind, Graph, NodeId, Part, ThingId, ThingKind, select};
use crate::plan::{Action, Plan, Planned, Reason};

const P: [&str; 3] = ["linux/amd64", "linux/arm64", "linux/arm/v7"];

fn platforms(names: &[&str]) -> Vec<Platform> {
    names.iter().map(|name| Platform::parse(name).unwrap()).collect()
}

/// debian → python → web-app, alpine → agent ⇢ web-app (copies), alpine → proxy; other alone.
fn fleet() -> Graph {
    let mut b = Builder::default();
    let mut thing = |name: &str, kind, on: usize, groups: &[&str], tags: &[&str]| {
        let groups = groups.iter().map(|group| (*group).into()).collect();
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        b.thing(name.into(), kind, &platforms(&P[..on]), groups, tags)
    };
    let debian = thing("debian", ThingKind::Base, 3, &[], &["bookworm", "latest"]);
    let alpine = thing("alpine", ThingKind::Base, 2, &[], &["3.20"]);
    let python = thing("python", ThingKind::Image, 3, &["languages"], &["3.12", "latest"]);
    let proxy = thing("proxy", ThingKind::Image, 2, &["nightly"], &["1.27"]);
    let agent = thing("agent", ThingKind::Image, 1, &[], &["1.0"]);
    let web = thing("web-app", ThingKind::Image, 1, &["nightly"], &["2024-05"]);
    thing("other", ThingKind::Image, 1, &[], &[]);
    b.edge(debian, python, EdgeKind::From);
    b.edge(alpine, proxy, EdgeKind::From);
    b.edge(alpine, agent, EdgeKind::From);
    b.edge(agent, web, EdgeKind::CopyFrom);
    b.edge(python, web, EdgeKind::From);
    b.build().unwrap()
}

fn world(graph: &Graph) -> World<'_> {
    World { graph, plan: None }
}

/// Names in the order of the file; with their platforms where these are not all.
fn folded(graph: &Graph, set: &NodeSet) -> String {
    let mut out = Vec::new();
    for thing in graph.thing_ids() {
        let all: Vec<NodeId> = graph.parts(thing).collect();
        let some: Vec<String> = all
            .iter()
            .filter(|node| set.contains(**node))
            .map(|node| graph.platform(*node).unwrap().to_string().replace("linux/", ""))
            .collect();
        match some.len() {
            0 => {}
            n if n == all.len() => out.push(graph.thing(thing).name.to_string()),
            _ => out.push(format!("{}@{}", graph.thing(thing).name, some.join(","))),
        }
    }
    out.join(" ")
}

fn set(graph: &Graph, query: &str) -> NodeSet {
    let expr = parse(query).unwrap_or_else(|e| panic!("{query}: {e:?}"));
    evaluate(&expr, &world(graph)).unwrap_or_else(|e| panic!("{query}: {e:?}"))
}

fn ask(query: &str) -> String {
    let graph = fleet();
    folded(&graph, &set(&graph, query))
}

/// `code|place|message|help` of each error, of form or of names.
fn faults(query: &str) -> Vec<String> {
    let found = match parse(query) {
        Ok(expr) => evaluate(&expr, &world(&fleet())).map(|_| ()),
        Err(errors) => Err(errors),
    };
    let shown = |e: QueryError| {
        let code = e.code.strip_prefix("mabuild::query::").unwrap();
        let place = query.get(e.span.clone()).unwrap();
        format!("{code}|{place}|{}|{}", e.message, e.help.unwrap_or_default())
    };
    found.unwrap_err().into_iter().map(shown).collect()
}

/// An expression with all its parentheses.
fn shape(query: &str) -> String {
    let mut stack: Vec<String> = Vec::new();
    for (step, _) in &parse(query).unwrap_or_else(|e| panic!("{query}: {e:?}")).steps {
        let made = match step {
            Step::Target(word) => word.clone(),
            Step::Where(condition) => format!("{condition:?}"),
            Step::Walk(walk, steps) => {
                let steps = steps.map(|n| format!(",{n}")).unwrap_or_default();
                format!("{walk:?}({}{steps})", stack.pop().unwrap())
            }
            Step::Between(walk) => {
                let (to, from) = (stack.pop().unwrap(), stack.pop().unwrap());
                format!("{walk:?}({from},{to})")
            }
            Step::Combine(operator) => {
                let sign = match operator {
                    Operator::Union => '+',
                    Operator::Difference => '-',
                    Operator::Intersection => '^',
                };
                let (right, left) = (stack.pop().unwrap(), stack.pop().unwrap());
                format!("({left}{sign}{right})")
            }
        };
        stack.push(made);
    }
    assert_eq!(stack.len(), 1, "{query}");
    stack.remove(0)
}

#[test]
fn reads_what_binds_closer_first_and_the_rest_from_left_to_right() {
    for (query, expected) in [
        ("a+b-c+d", "((a+b-c)+d)"),
        ("a + b - c + d", "(((a+b)-c)+d)"),
        ("a - b ^ c - d", "((a-(b^c))-d)"),
        ("a^b^c+d^e", "(((a^b)^c)+(d^e))"),
        ("a - (b - (c))", "(a-(b-c))"),
        ("(a+b)^c", "((a+b)^c)"),
        ("deps(a)-deps(b)", "(Needs(a)-Needs(b))"),
        ("a -b", "(a-b)"),
        ("(a)-b", "(a-b)"),
        ("deps(a + b, 2)", "Needs((a+b),2)"),
        ("rdeps ( deps(a,1) ^ b )", "NeededBy((Needs(a,1)^b))"),
        ("allpaths(a ^ b, c)", "AllPaths((a^b),c)"),
        ("somepath(a, allpaths(b, c))", "SomePath(a,AllPaths(b,c))"),
        ("roots() + leaves(a)", "(Roots(All)+Leaves(a))"),
        ("\n\tdirect(\u{a0}base(a))\n", "Direct(Bases(a))"),
    ] {
        assert_eq!(shape(query), expected, "{query}");
    }
}

#[test]
fn a_word_takes_all_that_a_target_may_hold() {
    for word in [
        "web-app",
        "a.b_c-1",
        "x@linux/arm/v7",
        "python[suite=bookworm,python=3.12]",
        "python[python = 3.12 + x]@arm64",
        "{a,b}*[!c]?",
        "a{b{c,d},e f}g",
        "größe",
        "a-",
    ] {
        assert_eq!(shape(word), word);
        assert_eq!(
            shape(&format!("({word})+{word} - {word}")),
            format!("(({word}+{word})-{word})")
        );
    }
    assert_eq!(shape("\"a (b) + 'c'\" - 'deps'"), "(a (b) + 'c'-deps)");
    // A name of a function is a word where no parenthesis follows.
    assert_eq!(shape("deps + 'stale'"), "(deps+stale)");
}

#[test]
fn finds_nodes() {
    for (query, expected) in [
        ("python", "python"),
        ("python@arm64", "python@arm64"),
        ("p*", "python proxy"),
        ("{proxy,py[st]hon}@amd64", "python@amd64 proxy@amd64"),
        ("nightly", "proxy web-app"),
        ("group(nightly) - 'proxy'", "web-app"),
        ("deps(web-app)", "debian@amd64 alpine@amd64 python@amd64 agent web-app"),
        ("deps(web-app, 1)", "python@amd64 agent web-app"),
        ("deps(web-app, 0)", "web-app"),
        ("deps(proxy@arm64)", "alpine@arm64 proxy@arm64"),
        ("direct(web-app)", "python@amd64 agent"),
        ("direct(web-app + agent) ^ agent", "agent"),
        ("base(web-app)", "debian@amd64"),
        ("base(debian)", "debian"),
        ("deps(web-app) ^ kind(base)", "debian@amd64 alpine@amd64"),
        ("rdeps(alpine)", "alpine proxy agent web-app"),
        ("rdeps(alpine, 1)", "alpine proxy agent"),
        ("rdeps(alpine@arm64)", "alpine@arm64 proxy@arm64"),
        ("allpaths(web-app, debian)", "debian@amd64 python@amd64 web-app"),
        ("allpaths(debian, web-app)", "debian@amd64 python@amd64 web-app"),
        ("allpaths(debian + alpine, web-app) - kind(base)", "python@amd64 agent web-app"),
        ("allpaths(proxy, web-app)", ""),
        ("somepath(alpine, web-app)", "alpine@amd64 agent web-app"),
        ("somepath(web-app, all() - web-app)", "python@amd64 web-app"),
        ("somepath(proxy, debian)", ""),
        ("somepath(proxy, p*)", "proxy@amd64"),
        ("roots()", "debian alpine other"),
        ("leaves()", "python@arm64,arm/v7 proxy web-app other"),
        ("roots(deps(web-app) - debian)", "alpine@amd64 python@amd64"),
        ("leaves(debian + web-app)", "debian@arm64,arm/v7 web-app"),
        ("platform(linux/arm/v7)", "debian@arm/v7 python@arm/v7"),
        ("platform(aarch64) ^ p*", "python@arm64 proxy@arm64"),
        ("platform('linux/arm*') - deps(p*)", ""),
        ("platform(linux/s390x)", ""),
        ("kind(image) - tag(*)", "other"),
        ("tag(latest)", "debian python"),
        ("tag(1.*)", "proxy agent"),
        ("tag([0-9]*-??)", "web-app"),
        ("tag(1.)", ""),
        ("all() - rdeps(all())", ""),
        ("python + proxy ^ tag(1.27)", "python proxy"),
        ("(python + proxy) ^ tag(1.27)", "proxy"),
        ("python - python + proxy", "proxy"),
        ("python - (python + proxy)", ""),
    ] {
        assert_eq!(ask(query), expected, "{query}");
    }
}

#[test]
fn of_two_shortest_ways_it_is_always_the_same() {
    let diamond = |first: usize, second: usize| {
        let mut b = Builder::default();
        let names = ["low", "left", "right", "top"];
        let ids =
            names.map(|n| b.thing(n.into(), ThingKind::Image, &platforms(&P[..2]), vec![], vec![]));
        for side in [first, second] {
            b.edge(ids[0], ids[side], EdgeKind::From);
            b.edge(ids[side], ids[3], EdgeKind::CopyFrom);
        }
        b.build().unwrap()
    };
    for graph in [diamond(1, 2), diamond(2, 1)] {
        let way = set(&graph, "somepath(low, top)");
        assert_eq!(folded(&graph, &way), "low@amd64 left@amd64 top@amd64");
    }
}

#[test]
fn stale_is_what_a_plan_would_not_keep() {
    let graph = fleet();
    let keep = Action::Keep { result: "sha256:0".into() };
    let node = |name: &str| {
        let found = select(&graph, &[name.to_owned()], &[]).unwrap().targets;
        found.into_iter().find(|node| graph.name(*node) == name).unwrap()
    };
    let planned = |name: &str, action| {
        let (node, reason, key) = (node(name), Reason::Members, None);
        Planned { node, action, reason, key }
    };
    let plan = Plan::of([
        planned("debian@linux/amd64", keep),
        planned("debian@linux/arm64", Action::Build),
        planned("python@linux/arm64", Action::Maybe),
        planned("python", Action::Build),
        planned("alpine@linux/arm64", Action::Refused),
    ]);
    let with = World { graph: &graph, plan: Some(&plan) };
    let expr = parse("stale() - kind(image) + stale() ^ python").unwrap();
    assert!(expr.needs_plan());
    let found = evaluate(&expr, &with).unwrap();
    assert_eq!(folded(&graph, &found), "debian@arm64 alpine@arm64 python@arm64");
    assert!(!parse("deps(stale) - 'stale'").unwrap().needs_plan());
    assert_eq!(
        faults("a + stale() - stale()"),
        [
            "target|a|nothing is called `a`|",
            "needs-plan|stale()|what is stale is not known without a plan|plan first, or ask without `stale()`",
            "needs-plan|stale()|what is stale is not known without a plan|plan first, or ask without `stale()`",
        ]
    );
}

#[test]
fn names_that_do_not_exist_are_all_told() {
    assert_eq!(
        faults("deps(pyton) + base(web - app) ^ group(nigthly) - platform(linux/arm46)"),
        [
            "target|pyton|nothing is called `pyton`|did you mean `python`?",
            "target|web|nothing is called `web`|",
            "target|app|nothing is called `app`|",
            "group|nigthly|no group is called `nigthly`|did you mean `nightly`?",
            "platform|linux/arm46|nothing is built for `linux/arm46`|did you mean `linux/arm64`?",
        ]
    );
    for (query, expected) in [
        (
            "proxy-agent",
            "target|proxy-agent|nothing is called `proxy-agent`|`proxy-agent` is one name; for a difference put blanks around the sign: `proxy - agent`",
        ),
        (
            "languages-web-app",
            "target|languages-web-app|nothing is called `languages-web-app`|`languages-web-app` is one name; for a difference put blanks around the sign: `languages - web-app`",
        ),
        (
            "rdeps",
            "target|rdeps|nothing is called `rdeps`|`rdeps` is a function: write `rdeps(X[, N])`",
        ),
        (
            "agent@arm64",
            "target|agent@arm64|`agent@arm64`: `agent` has no platform linux/arm64; it has linux/amd64|",
        ),
        ("x*", "target|x*|nothing is called `x*`|"),
        ("''", "target|''|nothing is called ``|"),
        (
            "platform(*/mips?)",
            "platform|*/mips?|no platform matches the glob|there are linux/amd64, linux/arm64, linux/arm/v7",
        ),
    ] {
        assert_eq!(faults(query), [expected], "{query}");
    }
}

#[test]
fn mistakes_of_form_are_told_with_their_place() {
    let between = "write `+`, `-` or `^` between two sets";
    for (query, expected) in [
        ("", "syntax||the query is empty|write a target, or a function such as `deps(NAME)`"),
        (" \n", "syntax||the query is empty|write a target, or a function such as `deps(NAME)`"),
        ("a +", "syntax||a target or a function is missing|"),
        ("- a", "syntax|-|a target or a function is missing|"),
        ("a + ^ b", "syntax|^|a target or a function is missing|"),
        ("deps(a", "syntax|(|a parenthesis is not closed|write `)` where it ends"),
        ("(a + b", "syntax|(|a parenthesis is not closed|write `)` where it ends"),
        ("a)", "syntax|)|a parenthesis stands where none can be|take it out, or open one before"),
        (
            "a) + b",
            "syntax|)|a parenthesis stands where none can be|take it out, or open one before",
        ),
        (
            "a, b",
            "syntax|,|a comma stands where none can be|a comma stands between the arguments of a function",
        ),
        (
            "(a, b)",
            "syntax|,|a comma stands where none can be|write `+` for what is in either of two sets",
        ),
        ("()", "syntax|)|a target or a function is missing|"),
        ("a b", &format!("syntax|b|an operator is missing|{between}")),
        (
            "a (b)",
            "function|a|no function is called `a`|there are deps, rdeps, direct, base, allpaths, somepath, roots, leaves, platform, kind, tag, group, stale, all",
        ),
        ("(a) (b)", &format!("syntax|(|an operator is missing|{between}")),
        (
            "a- b",
            "syntax|b|an operator is missing|a `-` belongs to the name before it; for a difference write `a - …`",
        ),
        (
            "a-(b)",
            "function|a-|no function is called `a-`|a `-` belongs to the name before it; for a difference write `a - …`",
        ),
        ("a & b", "syntax|&|`&` is no operator of a query|write `^` for what is in both"),
        ("a||b", "syntax||||`|` is no operator of a query|write `+` for what is in either"),
        ("a and b", "syntax|and|`and` is no operator of a query|write `^`"),
        ("a except (b)", "syntax|except|`except` is no operator of a query|write `-`"),
        ("a + 'b", "syntax|'|a quote is not closed|write another ' behind the word"),
        ("a + py[th", "syntax|[|`[` is not closed|close it, or put the word in quotes"),
        ("rdep(a)", "function|rdep|no function is called `rdep`|did you mean `rdeps`?"),
        (
            "deps()",
            "argument|deps()|`deps` takes 1 or 2 arguments, not 0|write `deps(X[, N])`: X and all that it needs, or at most N steps of it",
        ),
        (
            "deps(a, 1, b)",
            "argument|deps(a, 1, b)|`deps` takes 1 or 2 arguments, not 3|write `deps(X[, N])`: X and all that it needs, or at most N steps of it",
        ),
        (
            "allpaths(a)",
            "argument|allpaths(a)|`allpaths` takes 2 arguments, not 1|write `allpaths(X, Y)`: all nodes on all ways between X and Y, ends included",
        ),
        (
            "stale(a)",
            "argument|stale(a)|`stale` takes no argument, not 1|write `stale()`: nodes that a rebuild would not keep as they are",
        ),
        ("deps(a, b)", "argument|b|`b` is not a number of steps|write a whole number such as 1"),
        (
            "deps(a, 4294967296)",
            "argument|4294967296|`4294967296` is not a number of steps|write a whole number such as 1",
        ),
        (
            "deps(a, b + (c, d))",
            "syntax|b + (c, d)|a number of steps is expected, not an expression|",
        ),
        ("deps(a,)", "syntax|)|a number of steps is missing|"),
        ("kind(bases)", "argument|bases|`bases` is no kind of node|did you mean `base`?"),
        (
            "kind(stages-all)",
            "argument|stages-all|`stages-all` is no kind of node|write `base` or `image`",
        ),
        (
            "platform(a/b/c/d)",
            "platform|a/b/c/d|`a/b/c/d` is not of the form os/arch[/variant]|write a platform such as `linux/arm64`, or a glob such as `linux/arm*`",
        ),
        (
            "platform(all())",
            "syntax|all()|a platform such as `linux/arm64` is expected, not an expression|",
        ),
        ("tag([z-a])", "argument|[z-a]|`[z-a]` is not a glob: invalid range; 'z' > 'a'|"),
    ] {
        assert_eq!(faults(query), [expected], "{query}");
    }
}

#[test]
fn several_mistakes_are_told_at_once_by_their_place() {
    assert_eq!(
        faults("rdep(a b) && kind(x) + 'y"),
        [
            "function|rdep|no function is called `rdep`|did you mean `rdeps`?",
            "syntax|b|an operator is missing|write `+`, `-` or `^` between two sets",
            "syntax|&&|`&` is no operator of a query|write `^` for what is in both",
            "argument|x|`x` is no kind of node|write `base` or `image`",
            "syntax|'|a quote is not closed|write another ' behind the word",
        ]
    );
}

#[test]
fn errors_become_diagnostics_of_the_query() {
    let text = "deps(a) + rdep(b)";
    let mut sources = SourceMap::default();
    let file = sources.add("query", text.into());
    let error = parse(text).unwrap_err().remove(0);
    let diagnostic = error.diagnostic(file);
    assert_eq!(diagnostic.code, "mabuild::query::function");
    assert_eq!(diagnostic.labels, [(Span { file, start: 10, end: 14 }, "not known".to_owned())]);
    assert_eq!(diagnostic.help.as_deref(), Some("did you mean `rdeps`?"));
}

#[test]
fn hostile_queries_end_soon_with_an_error_or_an_answer() {
    let graph = fleet();
    let code = |text: &str| match parse(text) {
        Err(errors) => errors.first().unwrap().code.strip_prefix("mabuild::query::").unwrap(),
        Ok(expr) => evaluate(&expr, &world(&graph)).map_or("target", |_| "ok"),
    };
    let nested = |n: usize, open: &str| format!("{}agent{}", open.repeat(n), ")".repeat(n));
    assert_eq!(code(&nested(100, "(")), "ok");
    assert_eq!(code(&nested(100, "deps(")), "ok");
    assert_eq!(code(&nested(101, "(")), "limit");
    assert_eq!(code(&nested(10_000, "rdeps(")), "limit");
    assert_eq!(code(&"(".repeat(60_000)), "limit");
    assert_eq!(code(&"x".repeat(60_000)), "limit");
    assert_eq!(code(&" ".repeat(70_000)), "limit");
    let terms = |n: usize| vec!["agent"; n].join(" - ");
    assert_eq!(code(&terms(500)), "ok");
    assert_eq!(code(&terms(501)), "limit");
    // Globs that are too deep for their matcher, and many brackets that are never closed.
    let deep = format!("{}a{}", "{".repeat(400), "}".repeat(400));
    assert_eq!(code(&format!("tag({deep})")), "argument");
    assert!(evaluate(&parse(&deep).unwrap(), &world(&graph)).is_err());
    assert!(parse(&"[ ".repeat(30_000)).unwrap_err().len() <= 50);
    assert!(parse(&") , ".repeat(15_000)).unwrap_err().len() <= 50);
}

/// A graph of random edges: a thing needs only such as stand before it.
fn random_graph() -> impl Strategy<Value = Graph> {
    let things =
        prop::collection::vec((any::<bool>(), 1..=3_usize, any::<u16>(), any::<u16>()), 1..12);
    things.prop_map(|things| {
        let mut b = Builder::default();
        for (at, (base, on, from, copies)) in things.into_iter().enumerate() {
            let kind = if base { ThingKind::Base } else { ThingKind::Image };
            let name = format!("t{at}").into();
            let id = b.thing(name, kind, &platforms(&P[..on]), vec![], vec![]);
            for parent in 0..at {
                let of = |bits: u16| bits >> parent & 1 == 1;
                if of(copies) {
                    b.edge(ThingId(parent as u32), id, EdgeKind::CopyFrom);
                }
                if of(from & !copies) {
                    b.edge(ThingId(parent as u32), id, EdgeKind::From);
                }
            }
        }
        b.build().unwrap()
    })
}

/// A query for any set of nodes of a graph: bits say which.
fn of_bits(graph: &Graph, bits: u64) -> String {
    let nodes = graph.thing_ids().flat_map(|thing| graph.parts(thing));
    let chosen = nodes.filter(|node| bits >> (node.0 % 64) & 1 == 1).map(|node| graph.name(node));
    let names: Vec<String> = chosen.collect();
    if names.is_empty() { "(all() - all())".to_owned() } else { format!("({})", names.join("+")) }
}

/// What a set needs, found by going over all nodes until nothing is new.
fn needed(graph: &Graph, set: &NodeSet) -> Vec<NodeId> {
    let mut found: Vec<NodeId> = set.iter().collect();
    loop {
        let new: Vec<NodeId> = found
            .iter()
            .flat_map(|node| graph.parents(*node).map(|(parent, _)| parent).collect::<Vec<_>>())
            .filter(|parent| !found.contains(parent))
            .collect();
        if new.is_empty() {
            found.sort_unstable();
            return found;
        }
        found.push(new[0]);
    }
}

/// Pairs of queries that mean the same whatever the sets are.
const LAWS: &[(&str, &str)] = &[
    ("X + Y", "Y + X"),
    ("X ^ Y", "Y ^ X"),
    ("X + (Y + Z)", "X + Y + Z"),
    ("X ^ (Y ^ Z)", "X ^ Y ^ Z"),
    ("X ^ (Y + Z)", "X ^ Y + X ^ Z"),
    ("X + Y ^ Z", "(X + Y) ^ (X + Z)"),
    ("X - Y - Z", "X - (Y + Z)"),
    ("X - (Y - Z)", "X - Y + X ^ Z"),
    ("X - Y + X ^ Y", "X"),
    ("all() - (X + Y)", "(all() - X) ^ (all() - Y)"),
    ("deps(X + Y)", "deps(X) + deps(Y)"),
    ("rdeps(X + Y)", "rdeps(X) + rdeps(Y)"),
    ("deps(deps(X))", "deps(X) + X"),
    ("deps(X, 1)", "X + direct(X)"),
    ("deps(deps(X, 2), 1)", "deps(X, 3)"),
    ("rdeps(X, 99)", "rdeps(X)"),
    ("allpaths(X, Y)", "allpaths(Y, X)"),
    ("allpaths(X, X) + X", "deps(X) ^ rdeps(X)"),
    ("somepath(X, Y) - allpaths(X, Y)", "X - X"),
    ("base(X) - kind(base) ^ deps(X)", "X - X"),
    ("rdeps(roots(X)) ^ X", "X"),
    ("deps(leaves(X)) ^ X", "X"),
    ("roots(roots(X))", "roots(X)"),
    ("roots()", "all() - rdeps(all()) + roots(all())"),
    ("direct(roots())", "X - X"),
    ("kind(base) + kind(image)", "platform(*)"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sets_keep_the_laws(graph in random_graph(), x: u64, y: u64, z: u64) {
        let sets = [("X", x), ("Y", y), ("Z", z)].map(|(name, bits)| (name, of_bits(&graph, bits)));
        let find = |law: &str| {
            let query = sets.iter().fold(law.to_owned(), |law, (name, text)| law.replace(name, text));
            set(&graph, &query)
        };
        for (one, other) in LAWS {
            prop_assert_eq!(find(one), find(other), "{} = {}", one, other);
        }
        prop_assert_eq!(find("deps(X)").iter().collect::<Vec<_>>(), needed(&graph, &find("X")));
        prop_assert_eq!(find("deps(X) ^ Y").is_empty(), find("X ^ rdeps(Y)").is_empty());
        prop_assert_eq!(find("somepath(X, Y)").is_empty(), find("allpaths(X, Y)").is_empty());
        let way = find("somepath(X, Y)").len();
        if !find("deps(X) ^ Y").is_empty() {
            let reach = |steps: usize| find(&format!("deps(X, {steps}) ^ Y"));
            prop_assert!(!reach(way - 1).is_empty());
            prop_assert!(way < 2 || reach(way - 2).is_empty());
        }
        let all = find("all() + rdeps(X) + leaves()");
        prop_assert_eq!(all.len(), all.iter().count());
        prop_assert!(all.iter().all(|node| graph.node(node).part != Part::Index));
    }

    #[test]
    fn no_text_is_too_strange(parts in prop::collection::vec(
        prop::sample::select(vec![
            "deps(", "platform(", "tag(", "(", ")", ",", "+", "-", "^", " ", "a", "agent", "p*",
            "[", "]", "{", "}", "\"", "'", "@", "1", "é", "\u{202e}", "&", "|", "and ", "stale()", "\\",
        ]),
        0..40,
    )) {
        let text = parts.concat();
        let graph = fleet();
        let found = parse(&text).and_then(|expr| evaluate(&expr, &world(&graph)));
        for error in found.err().into_iter().flatten() {
            prop_assert!(text.get(error.span.clone()).is_some(), "{error:?} of {text}");
        }
    }
}

#[test]
fn a_large_fleet_is_walked_in_one_go() {
    // 20,000 images on four platforms, each made from one of the hundred before it.
    let mut b = Builder::default();
    let on = platforms(&["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x"]);
    for at in 0..20_000_u32 {
        let kind = if at == 0 { ThingKind::Base } else { ThingKind::Image };
        let id = b.thing(format!("image-{at}").into(), kind, &on, vec![], vec![]);
        if at > 0 {
            b.edge(ThingId(at - 1 - (at - 1) % 100), id, EdgeKind::From);
        }
    }
    let graph = b.build().unwrap();
    assert_eq!(graph.len(), 100_000);
    let expr = parse("deps(leaves()) - rdeps(image-0) + somepath(image-0, image-19999@amd64)");
    let start = std::time::Instant::now();
    let found = evaluate(&expr.unwrap(), &world(&graph)).unwrap();
    let took = start.elapsed();
    assert_eq!(found.len(), 201);
    // This takes a tenth of the limit without optimisation, a walk that is not linear minutes.
    assert!(took.as_millis() < 1_000, "{took:?}");
}
