//! Logging in: tokens by registry and scope, from the token servers that registries name.
//!
//! Format: the token authentication of the distribution project, with the OAuth 2 refresh of
//! identity tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;
use url::{Url, form_urlencoded};

use crate::Reference;
use crate::address::server;
use crate::body::Payload;
use crate::challenge::{Challenge, parse};
use crate::client::{Ask, Inner};
use crate::credentials::{Login, kept};
use crate::error::{ErrorKind, Fault, Trouble};
use crate::once::Once;
use crate::scope::Scope;

/// The largest answer of a token server, in bytes.
const LARGEST: u64 = 1 << 20;
/// How long a token lasts at least, in seconds; what a server says below that is not believed.
const SHORTEST: u64 = 60;
/// How long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(10);

/// What is sent along.
#[derive(Clone, Debug)]
struct Pass {
    header: HeaderValue,
    /// When it ends.
    until: Option<Instant>,
}

/// The passes of a registry that serve more than reading one repository: each with the permission
/// it was given for, or with none where it serves for all.
type Wide = Vec<(Option<Scope>, Pass)>;

/// The pass of a registry and scope, held by whoever gets a new one.
type Slot = Arc<AsyncMutex<Option<Pass>>>;

/// A login, or why it is not known.
type Found = (Option<Login>, Option<String>);

/// What is known of logins so far.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    slots: Mutex<HashMap<(String, Scope), Slot>>,
    wide: Mutex<HashMap<String, Wide>>,
    found: Once<String, Found>,
}

/// What a token server answers.
#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Inner {
    /// What is sent to a registry for a scope, as far as it is known.
    pub(crate) async fn pass(&self, reference: &Reference, scope: &Scope) -> Option<HeaderValue> {
        let slot = self.slot(&reference.host, scope);
        let pass = slot.lock().await;
        let own = pass.as_ref().filter(|pass| pass.is_good()).map(|pass| pass.header.clone());
        own.or_else(|| {
            let wide = self.auth.wide();
            let covers = |known: &Option<Scope>| known.as_ref().is_none_or(|k| k.covers(scope));
            let mut fitting = wide.get(&reference.host)?.iter().filter(|(known, _)| covers(known));
            fitting.find(|(_, pass)| pass.is_good()).map(|(_, pass)| pass.header.clone())
        })
    }

    /// Gets what a registry wants to see, after it refused what was `sent`. None where nothing
    /// would help.
    pub(crate) async fn log_in(
        &self,
        ask: &Ask<'_>,
        refusal: &HeaderMap,
        sent: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Trouble> {
        let (host, scope) = (&ask.reference.host, &ask.scope);
        let slot = self.slot(host, scope);
        let mut pass = slot.lock().await;
        // Somebody else got a new one while this one waited.
        if let Some(known) = pass.as_ref().filter(|p| p.is_good() && Some(&p.header) != sent) {
            return Ok(Some(known.header.clone()));
        }
        let offers = refusal.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok());
        let offers: Vec<Challenge> = offers.flat_map(parse).collect();
        let (login, _) = self.login(ask.reference).await;
        let mut for_all = !self.options.credentials.tells_repositories_apart(host);
        if let Some(Login::Bearer(token)) = &login {
            *pass = Some(Pass::new(&format!("Bearer {}", token.0), None)?);
        } else if let Some(bearer) = offers.iter().find(|c| c.scheme == "bearer") {
            for_all = false;
            *pass = Some(self.token(bearer, ask, login.as_ref()).await?);
        } else if let Some(Login::Password { name, password }) = &login
            && offers.iter().any(|c| c.scheme == "basic")
        {
            *pass = Some(Pass::new(&basic(name, &password.0), None)?);
        } else {
            *pass = None;
        }
        self.auth.keep(host, (for_all, scope), pass.as_ref(), sent);
        let new = pass.as_ref().map(|pass| pass.header.clone());
        Ok(new.filter(|new| Some(new) != sent))
    }

    fn slot(&self, host: &str, scope: &Scope) -> Slot {
        let mut slots = self.auth.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry((host.to_owned(), scope.clone())).or_default().clone()
    }

    /// The login of a repository: of each file in turn, from the program that keeps it, else from
    /// the file itself.
    pub(crate) async fn login(&self, reference: &Reference) -> Found {
        let credentials = &self.options.credentials;
        let name = match credentials.tells_repositories_apart(&reference.host) {
            true => reference.place(),
            false => reference.host.clone(),
        };
        let find = async {
            let mut problem = None;
            for file in credentials.files() {
                let plain = file.login(reference).cloned();
                if let (Some((name, server)), Some(helper)) =
                    (file.helper(&reference.host), &self.options.helper)
                {
                    match helper.get(name, server).await.and_then(|output| kept(&output)) {
                        Ok(Some(login)) => return (Some(login), None),
                        Ok(None) => {}
                        Err(e) => problem = Some(format!("docker-credential-{name} failed: {e}")),
                    }
                }
                if plain.is_some() {
                    return (plain, problem);
                }
            }
            (None, problem)
        };
        self.auth.found.get(name, find).await
    }

    /// Gets a token of the server that a registry names.
    async fn token(
        &self,
        bearer: &Challenge,
        ask: &Ask<'_>,
        login: Option<&Login>,
    ) -> Result<Pass, Trouble> {
        let mut url = realm(bearer, &ask.url)?;
        let service = bearer.get("service").map(|service| ("service", service));
        let mut wanted: Vec<(&str, &str)> = service.into_iter().collect();
        let mut headers = HeaderMap::new();
        let mut payload = Payload::None;
        if let Some(Login::Identity(token)) = login {
            wanted.push(("scope", ask.scope.text()));
            wanted.extend([("grant_type", "refresh_token"), ("client_id", "mabuild")]);
            wanted.push(("refresh_token", &token.0));
            let form =
                form_urlencoded::Serializer::new(String::new()).extend_pairs(wanted).finish();
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, kind);
            payload = Payload::Whole(form.into());
        } else {
            wanted.extend(ask.scope.parts().map(|part| ("scope", part)));
            if let Some(Login::Password { name, password }) = login {
                headers.insert(AUTHORIZATION, secret(&basic(name, &password.0))?);
            }
            url.query_pairs_mut().extend_pairs(wanted);
        }
        let is_form = matches!(payload, Payload::Whole(_));
        let method = if is_form { Method::POST } else { Method::GET };
        let begun = Instant::now();
        let response = self.exchange(method, &url, headers, &payload).await?;
        let status = response.status();
        let is_fine = status.is_success();
        let answer = self.small(response, LARGEST).await?;
        let at = server(&url);
        if !is_fine {
            return Err(refused(&at, status, &answer, (login.is_some(), ask)).into());
        }
        // What serde says of a value may quote it, and it is a token.
        let granted: Granted = serde_json::from_slice(&answer)
            .map_err(|_| Fault::broken(format!("the token server {at} sends no token")))?;
        let token = granted.token.filter(|t| !t.is_empty()).or(granted.access_token);
        let token = token.filter(|token| !token.is_empty());
        let token =
            token.ok_or_else(|| Fault::broken(format!("the token server {at} sends no token")))?;
        let lasts = granted.expires_in.unwrap_or(SHORTEST).clamp(SHORTEST, 24 * 3600);
        let until = begun.checked_add(Duration::from_secs(lasts));
        Ok(Pass::new(&format!("Bearer {token}"), until)?)
    }
}

impl Auth {
    /// Keeps a pass that serves more than reading one repository, and forgets the refused one.
    fn keep(
        &self,
        host: &str,
        (for_all, scope): (bool, &Scope),
        pass: Option<&Pass>,
        refused: Option<&HeaderValue>,
    ) {
        let mut wide = self.wide();
        let known = wide.entry(host.to_owned()).or_default();
        known.retain(|(_, known)| known.is_good() && Some(&known.header) != refused);
        if let Some(pass) = pass.filter(|pass| Some(&pass.header) != refused)
            && (for_all || scope.is_writing())
        {
            known.push(((!for_all).then(|| scope.clone()), pass.clone()));
        }
    }

    fn wide(&self) -> MutexGuard<'_, HashMap<String, Wide>> {
        self.wide.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    fn new(header: &str, until: Option<Instant>) -> Result<Self, Fault> {
        Ok(Self { header: secret(header)?, until })
    }

    fn is_good(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() + MARGIN < until)
    }
}

/// The address of the token server.
fn realm(bearer: &Challenge, asked: &Url) -> Result<Url, Fault> {
    let named = bearer.get("realm").and_then(|realm| Url::parse(realm).ok());
    let named = named.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = named.ok_or_else(|| {
        Fault::broken(format!("{} wants a token, and names no token server", server(asked)))
    })?;
    // A login must not travel in the clear because a registry says so.
    if asked.scheme() == "https" && url.scheme() != "https" {
        let (asked, named) = (server(asked), server(&url));
        let why = format!("{asked} names a token server without TLS, {named}");
        return Err(Fault::new(ErrorKind::Denied, why));
    }
    Ok(url)
}

/// What a token server's refusal means.
fn refused(
    at: &str,
    status: StatusCode,
    answer: &[u8],
    (has_login, ask): (bool, &Ask<'_>),
) -> Fault {
    let said = crate::refusal::said(answer);
    let help = match has_login {
        true => "the login that docker's config.json has for it is refused: log in again",
        false if ask.scope.is_writing() => "writing needs a login: log in",
        false => {
            "there may be no such repository, or it needs a login: check the spelling, or log in"
        }
    };
    let why = format!("the token server {at} answers {status}{said}; {help} with `docker login`");
    Fault::new(ErrorKind::Denied, why)
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// A header that is never shown.
fn secret(text: &str) -> Result<HeaderValue, Fault> {
    let header = HeaderValue::from_str(text).ok();
    let mut header = header.ok_or_else(|| {
        Fault::new(ErrorKind::Denied, "the login holds characters that no header may have")
    })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_never_goes_from_tls_into_the_clear() {
        let at = |header: &str, asked: &str| {
            let challenge = parse(header).remove(0);
            realm(&challenge, &Url::parse(asked).unwrap()).map(String::from).map_err(|e| e.why)
        };
        let (tls, plain) = ("https://r.example/v2/", "http://127.0.0.1:5000/v2/");
        let good = at("Bearer realm=\"https://t.example/a?b=c\"", tls);
        assert_eq!(good.as_deref(), Ok("https://t.example/a?b=c"));
        assert!(at("Bearer realm=\"http://t.example/a\"", plain).is_ok());
        let error = at("Bearer realm=\"http://t.example/a\"", tls).unwrap_err();
        assert!(error.contains("r.example") && error.contains("without TLS"), "{error}");
        for realm in ["", "realm=x", "realm=\"file:///etc/passwd\"", "realm=\"ftp://a/\""] {
            assert!(at(&format!("Bearer {realm}"), tls).is_err(), "{realm}");
        }
    }

    #[test]
    fn pass_is_not_shown_and_ends_early() {
        let soon = Instant::now() + Duration::from_secs(5);
        let pass = Pass::new("Bearer geheim", Some(soon)).unwrap();
        assert!(!format!("{pass:?}").contains("geheim"));
        assert!(!pass.is_good());
        assert!(Pass::new("Bearer geheim", None).unwrap().is_good());
        let error = Pass::new("Bearer geheim\n", None).unwrap_err();
        assert!(!error.why.contains("geheim"));
    }
}
