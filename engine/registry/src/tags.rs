//! The tags of a repository, page by page.
//!
//! Format: OCI distribution specification 1.1, "Listing Tags"; the next page is named by a `Link`
//! header as in RFC 8288.

use std::collections::HashSet;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;
use url::Url;

use crate::Reference;
use crate::address::server;
use crate::client::{Client, Inner};
use crate::error::{Error, Fault, shown};
use crate::mirror::{At, Place};

/// Tags that are asked for at once; registries that allow fewer send fewer.
const PAGE: &str = "1000";
/// Pages that are read.
const PAGES: usize = 1000;
/// Tags that are read.
const TAGS: usize = 100_000;
/// The largest page, in bytes; some registries send everything as one.
const LARGEST: u64 = 8 << 20;
/// Characters of a tag at most.
const LONGEST: usize = 128;

/// A page of the list.
#[derive(Deserialize)]
struct Page {
    /// Some registries write null for none.
    tags: Option<Vec<String>>,
}

/// The list so far.
#[derive(Default)]
struct List {
    tags: Vec<String>,
    seen: HashSet<String>,
}

impl Client {
    /// Gives the tags of the repository of a reference, in the registry's order, which is not
    /// that of versions. A repository is asked once. What is no tag is left out. Fails where
    /// there are more than 100,000, or where the pages do not end.
    pub async fn tags(&self, reference: &Reference) -> Result<Vec<String>, Error> {
        let whole = reference.whole();
        let find = async {
            let list = |place: Place| async move { self.inner.list(place.at()).await };
            let tags = self.inner.anywhere(&whole, list).await?;
            self.inner.lists.count(tags.iter().map(|tag| tag.len() as u64 + 24).sum());
            Ok(Arc::new(tags))
        };
        let tags = self.inner.lists.get(whole.to_string(), find).await;
        tags.map(|tags| tags.to_vec()).map_err(|fault| fault.of(&whole))
    }
}

impl Inner {
    async fn list(&self, at: At<'_>) -> Result<Vec<String>, Fault> {
        let mut ask = self.ask(Method::GET, at, "tags", "list")?;
        ask.url.query_pairs_mut().append_pair("n", PAGE);
        let (mut list, mut asked) = (List::default(), HashSet::new());
        for _ in 0..PAGES {
            asked.insert(ask.url.clone());
            let answer = self.answer(&ask, LARGEST).await?;
            // What serde says of the text would not help.
            let page: Page = serde_json::from_slice(&answer.body).map_err(|_| {
                let at = server(&ask.url);
                Fault::broken(format!("{at} sends no list of tags; it may be no registry"))
            })?;
            let is_news = list.add(page.tags.unwrap_or_default())?;
            let Some(next) = next(&answer.headers, &ask.url)? else { return Ok(list.tags) };
            if !is_news || asked.contains(&next) {
                let at = server(&ask.url);
                let why = format!("{at} sends the pages of its list of tags in a circle");
                return Err(Fault::broken(why));
            }
            ask.url = next;
        }
        let why = format!("its list of tags has more than {PAGES} pages; name the tag in full");
        Err(Fault::broken(why))
    }
}

impl List {
    /// Adds a page and tells whether it is empty or has something new.
    fn add(&mut self, page: Vec<String>) -> Result<bool, Fault> {
        let (is_empty, before) = (page.is_empty(), self.seen.len());
        for tag in page {
            if !self.seen.insert(tag.clone()) {
                continue;
            }
            if self.seen.len() > TAGS {
                let why = format!("it has more than {TAGS} tags; name the tag in full");
                return Err(Fault::broken(why));
            }
            if is_tag(&tag) {
                self.tags.push(tag);
            }
        }
        Ok(is_empty || self.seen.len() > before)
    }
}

/// Whether a text may be a tag: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
fn is_tag(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    text.len() <= LONGEST
        && text.bytes().all(good)
        && !text.is_empty()
        && !text.starts_with(['.', '-'])
}

/// The address of the next page, of the server that was asked for this one.
pub(crate) fn next(headers: &HeaderMap, asked: &Url) -> Result<Option<Url>, Fault> {
    let at = server(asked);
    for header in headers.get_all(LINK) {
        let text = header.to_str().ok().filter(|text| text.contains('<'));
        // To take it for the last page would leave out tags without a word.
        let text = text.ok_or_else(|| {
            Fault::broken(format!("{at} names the next page of its tags in no known form"))
        })?;
        let Some(target) = target(text) else { continue };
        let named = asked.join(target).map_err(|_| {
            let target = shown(target);
            Fault::broken(format!("{at} names {target:?} as the next page of its tags"))
        })?;
        if named.host() != asked.host() || named.port() != asked.port() {
            let why = format!(
                "{at} names another server, {}, for the next page of its tags, which is not asked",
                server(&named)
            );
            return Err(Fault::broken(why));
        }
        // Behind a proxy a registry may think that it is asked without TLS.
        let mut url = asked.clone();
        url.set_path(named.path());
        url.set_query(named.query());
        return Ok(Some(url));
    }
    Ok(None)
}

/// The target of the link of a header whose relation is `next`.
fn target(header: &str) -> Option<&str> {
    parts(header, ',').find_map(|link| {
        let mut parts = parts(link, ';');
        let target = parts.next()?.trim().strip_prefix('<')?.strip_suffix('>')?;
        parts.any(is_next).then_some(target)
    })
}

/// Splits what stands in neither quotes nor angle brackets.
fn parts(text: &str, at: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_angled) = (false, false);
    text.split(move |c| {
        match c {
            '"' => is_quoted ^= !is_angled,
            '<' => is_angled |= !is_quoted,
            '>' => is_angled &= is_quoted,
            _ => {}
        }
        c == at && !is_quoted && !is_angled
    })
}

/// Whether a parameter says `rel=next`, perhaps among other relations.
fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.any(|r| r.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_in_their_forms() {
        for (header, wanted) in [
            ("</v2/a/tags/list?last=b&n=2>; rel=\"next\"", Some("/v2/a/tags/list?last=b&n=2")),
            ("<x>;rel=next", Some("x")),
            ("<x> ; title=\"a, b\" ; REL=\"prev NEXT\"", Some("x")),
            ("<p>; rel=prev, <n,m>; rel=\"next\"", Some("n,m")),
            ("<p>; rel=\"previous\", <l>; rel=last", None),
            ("<p>; title=\"<x>; rel=next\"", None),
            ("<p", None),
            ("<p>", None),
            ("<p>; rel", None),
            ("<p>; rel=\"next", Some("p")),
        ] {
            assert_eq!(target(header), wanted, "{header}");
        }
    }

    #[test]
    fn next_page_is_at_the_same_server() {
        let asked = Url::parse("https://r.example:5000/v2/a/tags/list?n=1000").unwrap();
        let at = |link: &str| {
            let header = format!("<{link}>; rel=next").parse().unwrap();
            next(&HeaderMap::from_iter([(LINK, header)]), &asked).map(|url| url.map(String::from))
        };
        let good = "https://r.example:5000/v2/a/tags/list?last=x";
        for link in [
            "/v2/a/tags/list?last=x",
            "?last=x",
            "list?last=x",
            good,
            "http://r.example:5000/v2/a/tags/list?last=x",
            "http://joe:pass@R.EXAMPLE:5000/v2/a/tags/list?last=x#f",
        ] {
            assert_eq!(at(link).unwrap().as_deref(), Some(good), "{link}");
        }
        for link in [
            "//evil.example/v2",
            "https://r.example/v2",
            "https://r.example.evil:5000/",
            "file:///x",
        ] {
            assert!(at(link).unwrap_err().why.contains("another server"), "{link}");
        }
        assert!(at("http://[").is_err());
        let odd = HeaderMap::from_iter([(LINK, "/v2/a; rel=next".parse().unwrap())]);
        assert!(next(&odd, &asked).is_err());
    }

    #[test]
    fn what_is_no_tag_is_left_out() {
        let long = "x".repeat(129);
        for bad in ["", ".a", "-a", "a/b", "a b", "a:b", "ä", "\u{1b}[2J", &long] {
            assert!(!is_tag(bad), "{bad}");
        }
        for good in ["_", "latest", "v1.0_x-2", &long[1..]] {
            assert!(is_tag(good), "{good}");
        }
    }
}
