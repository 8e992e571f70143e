//! What a refusal of a registry means, and what a person can do.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::address::{HUB, is_loopback, server};
use crate::client::Ask;
use crate::error::{ErrorKind, Fault, shown};

/// What a server says in the body of a refusal, to be put behind the status.
///
/// Registries answer with a list of errors, token servers with one of several forms.
pub(crate) fn said(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(shown);
    let words = match value.get("errors").and_then(|list| list.get(0)) {
        Some(error) => [text(error, "code"), text(error, "message")],
        None => {
            let more = ["error_description", "details", "message"];
            [text(&value, "error"), more.iter().find_map(|key| text(&value, key))]
        }
    };
    let words: Vec<String> = words.into_iter().flatten().filter(|w| !w.is_empty()).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(": ")) }
}

/// A refusal that no login would change.
pub(crate) fn refused(status: StatusCode, said: &str, ask: &Ask<'_>) -> Fault {
    let (kind, help) = match status {
        _ if ask.scope.is_writing() && !is_general(status) => unwritten(status, ask),
        StatusCode::NOT_FOUND => (
            ErrorKind::NotFound,
            "check the spelling of the repository and of the tag or digest".to_owned(),
        ),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            (ErrorKind::Local, "the proxy needs a login".to_owned())
        }
        StatusCode::BAD_REQUEST if ask.url.scheme() == "http" => {
            (ErrorKind::Broken, "it was asked without TLS, and may speak TLS only".to_owned())
        }
        _ => (ErrorKind::Broken, format!("{} may be no registry", ask.reference.host)),
    };
    Fault::new(kind, format!("{} answers {status}{said}; {help}", server(&ask.url)))
}

/// Whether a refusal has nothing to do with what was asked for.
fn is_general(status: StatusCode) -> bool {
    status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
}

/// What the refusal of something written means.
fn unwritten(status: StatusCode, ask: &Ask<'_>) -> (ErrorKind, String) {
    let help = match status {
        StatusCode::NOT_FOUND => {
            let help = "check the spelling; the repository may have to be made there first";
            return (ErrorKind::NotFound, help.to_owned());
        }
        StatusCode::METHOD_NOT_ALLOWED if ask.method == Method::DELETE => {
            "it does not let anybody delete; its operator may have to allow it"
        }
        StatusCode::METHOD_NOT_ALLOWED => "it may only be read, as a mirror is",
        StatusCode::PAYLOAD_TOO_LARGE => {
            "it is too large for the registry, or for a proxy before it"
        }
        StatusCode::BAD_REQUEST
            if ask.url.scheme() == "http" && !is_loopback(&ask.reference.host) =>
        {
            "it was asked without TLS, and may speak TLS only"
        }
        StatusCode::BAD_REQUEST => "it does not take it, or it was changed on the way",
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => {
            "the tag may be one that cannot be written again"
        }
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "it does not let it be kept there",
        _ => "it does not take it",
    };
    (ErrorKind::Refused, help.to_owned())
}

/// A refusal that another login might change. `problem` says why a login is not known.
pub(crate) fn denied(
    status: StatusCode,
    said: &str,
    ask: &Ask<'_>,
    has_login: bool,
    problem: Option<&str>,
) -> Fault {
    let host = &ask.reference.host;
    let login = if host == HUB { String::new() } else { format!(" {host}") };
    let help = match has_login {
        true if ask.scope.is_writing() => format!(
            "the login that is known for it may not write to {}: log in with `docker login{login}` \
             as somebody who may, or check the spelling",
            ask.reference.repository
        ),
        false if ask.scope.is_writing() => format!(
            "writing to {} needs a login: log in with `docker login{login}`",
            ask.reference.repository
        ),
        true => format!(
            "the login of docker's config.json may not read it, or there is no such repository: \
             check the spelling, or log in again with `docker login{login}`"
        ),
        false => format!(
            "there may be no such repository, or it needs a login: check the spelling, or log in \
             with `docker login{login}`"
        ),
    };
    let mut why = format!("{} answers {status}{said}; {help}", server(&ask.url));
    if let Some(problem) = problem {
        why = format!("{why}; {problem}");
    }
    Fault::new(ErrorKind::Denied, why)
}
