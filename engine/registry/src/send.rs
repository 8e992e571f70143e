//! One request: with which login it is sent, and what to make of the answer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, IF_NONE_MATCH, RANGE,
};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use crate::address::server;
use crate::body::{Flow, Payload};
use crate::client::{Ask, Inner};
use crate::error::{ErrorKind, Fault, Trouble};
use crate::limits::too_many;
use crate::refusal::{denied, refused, said};
use crate::wire::{cause, retry_after};

/// Longest time that a small document may take, however steadily it drips.
const SMALL: Duration = Duration::from_secs(300);

impl Inner {
    /// Sends a question, logging in where the registry wants it: what comes back is a success.
    pub async fn send(&self, ask: &Ask<'_>) -> Result<Response, Trouble> {
        if ask.is_foreign {
            return self.sorted(self.send_with(ask, None).await?, ask).await;
        }
        let pass = self.pass(ask.reference, &ask.scope).await;
        let response = self.send_with(ask, pass.clone()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || is_elsewhere(&response, ask) {
            return self.sorted(response, ask).await;
        }
        let new = self.log_in(ask, response.headers(), pass.as_ref()).await?;
        match new {
            Some(new) => self.sorted(self.send_with(ask, Some(new)).await?, ask).await,
            None => self.sorted(response, ask).await,
        }
    }

    async fn send_with(
        &self,
        ask: &Ask<'_>,
        pass: Option<HeaderValue>,
    ) -> Result<Response, Trouble> {
        let mut headers = ask.headers.clone();
        if let Some(pass) = pass {
            headers.insert(AUTHORIZATION, pass);
        }
        let host = &ask.reference.host;
        self.hosts.spend(host)?;
        let (method, payload) = (ask.method.clone(), &ask.payload);
        let response = self.transmit(method, &ask.url, headers, payload).await?;
        if !ask.is_foreign && !is_elsewhere(&response, ask) {
            self.hosts.note(host, response.headers());
        }
        self.patient(response).await
    }

    /// Sends one request to a server that is no registry. What asks for patience is
    /// [`Trouble::Again`].
    pub async fn exchange(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        payload: &Payload,
    ) -> Result<Response, Trouble> {
        self.patient(self.transmit(method, url, headers, payload).await?).await
    }

    /// Sends one request.
    async fn transmit(
        &self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
        payload: &Payload,
    ) -> Result<Response, Trouble> {
        if self.options.offline {
            let why = format!(
                "{} is needed, but the network may not be used; run once without --offline",
                server(url)
            );
            return Err(Fault::new(ErrorKind::Offline, why).into());
        }
        let http = (self.connect)(url);
        let http = http.map_err(|e| Fault::local(format!("cannot ask {}: {e}", server(url))))?;
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut request = http.request(method, url.clone()).headers(headers);
        let (body, flow) = payload.open();
        if let Some(body) = body {
            request = request.body(body);
        }
        let answered = self.answered(request, url, &flow).await;
        self.sent.fetch_add(flow.sent(), Ordering::Relaxed);
        answered
    }

    /// Waits for an answer as long as something moves.
    async fn answered(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        flow: &Flow,
    ) -> Result<Response, Trouble> {
        let stall = self.options.stall_timeout;
        let mut answer = std::pin::pin!(request.send());
        loop {
            let before = flow.sent();
            match tokio::time::timeout(flow.patience(stall), &mut answer).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(e)) => {
                    return Err(flow.fault().map_or_else(|| unsent(url, &e), Trouble::from));
                }
                Err(_) if flow.sent() > before => {}
                Err(_) => {
                    return Err(Trouble::again(format!(
                        "no answer of {} for {stall:?}",
                        server(url)
                    )));
                }
            }
        }
    }

    /// Holds back an answer that may be another one later.
    async fn patient(&self, response: Response) -> Result<Response, Trouble> {
        let status = response.status();
        let is_crowded = status == StatusCode::TOO_MANY_REQUESTS;
        if status != StatusCode::REQUEST_TIMEOUT && !is_crowded && !status.is_server_error() {
            return Ok(response);
        }
        let (at, headers) = (server(response.url()), response.headers().clone());
        let said = self.said(response).await;
        let longest = self.backoff.longest();
        if is_crowded {
            return Err(too_many(&at, &said, &headers, longest));
        }
        let why = format!("{at} answers {status}{said}");
        Err(match retry_after(&headers) {
            Some(wait) if wait > longest => {
                let why = format!("{why} (it wants to be asked again in {} s)", wait.as_secs());
                Fault::new(ErrorKind::Unreachable, why).into()
            }
            wait => Trouble::Again { fault: Fault::new(ErrorKind::Unreachable, why), wait },
        })
    }

    /// Lets successes through and what was reckoned with, and says what others mean.
    async fn sorted(&self, response: Response, ask: &Ask<'_>) -> Result<Response, Trouble> {
        let status = response.status();
        let is_expected = match status {
            StatusCode::RANGE_NOT_SATISFIABLE => ask.headers.contains_key(RANGE),
            StatusCode::NOT_MODIFIED => ask.headers.contains_key(IF_NONE_MATCH),
            _ => status.is_success(),
        };
        if ask.scope.is_writing() && !is_reading(&ask.method) {
            // A writing request that was led elsewhere may have become a reading one on the way.
            if status.is_redirection() || response.url() != &ask.url {
                return Err(led_away(&response, ask).into());
            }
        }
        if is_expected {
            return Ok(response);
        }
        if is_elsewhere(&response, ask) && ask.method == Method::HEAD {
            return Err(refused(StatusCode::NOT_FOUND, "", ask).into());
        }
        if is_elsewhere(&response, ask) {
            // An address that was given for a short time; the registry gives a new one.
            let at = server(response.url());
            return Err(Trouble::again(format!("{at}, where the blob is kept, answers {status}")));
        }
        let said = self.said(response).await;
        // Nobody is asked for a login, who may have to ask a person, where none would help.
        let is_about_login = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if !is_about_login || ask.is_foreign {
            return Err(refused(status, &said, ask).into());
        }
        let (login, problem) = self.login(ask.reference).await;
        Err(denied(status, &said, ask, login.is_some(), problem.as_deref()).into())
    }

    /// What a registry says of its own refusal, to be put behind the status.
    async fn said(&self, response: Response) -> String {
        match self.small(response, 64 << 10).await {
            Ok(body) => said(&body),
            Err(_) => String::new(),
        }
    }

    /// Reads a body of at most `limit` bytes.
    pub async fn small(&self, mut response: Response, limit: u64) -> Result<Vec<u8>, Trouble> {
        let at = server(response.url());
        let large = || Fault::broken(format!("the answer of {at} is larger than {limit} bytes"));
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(large().into());
        }
        let read = async {
            let mut bytes = Vec::new();
            while let Some(chunk) = self.chunk(&mut response).await? {
                if (bytes.len() + chunk.len()) as u64 > limit {
                    return Err(large().into());
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        };
        match tokio::time::timeout(SMALL, read).await {
            Ok(read) => read,
            Err(_) => {
                Err(Trouble::again(format!("the answer of {at} takes longer than {SMALL:?}")))
            }
        }
    }

    /// The next piece of a body.
    pub async fn chunk(&self, response: &mut Response) -> Result<Option<Vec<u8>>, Trouble> {
        let stall = self.options.stall_timeout;
        let at = server(response.url());
        match tokio::time::timeout(stall, response.chunk()).await {
            Ok(Ok(chunk)) => {
                let length = chunk.as_ref().map_or(0, |c| c.len() as u64);
                self.received.fetch_add(length, Ordering::Relaxed);
                Ok(chunk.map(|c| c.to_vec()))
            }
            Ok(Err(e)) => Err(Trouble::again(format!("{at}: {}", cause(&e)))),
            Err(_) => Err(Trouble::again(format!("no byte of {at} came for {stall:?}"))),
        }
    }
}

/// Whether another server than the one that was asked has answered.
fn is_elsewhere(response: &Response, ask: &Ask<'_>) -> bool {
    response.url().origin() != ask.url.origin()
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// What to make of an address where nothing is written.
fn led_away(response: &Response, ask: &Ask<'_>) -> Fault {
    let at = server(&ask.url);
    let to = match response.url() == &ask.url {
        true => "elsewhere".to_owned(),
        false => format!("to {}", server(response.url())),
    };
    let why =
        format!("{at} leads {to} ({}); name the registry that takes it itself", response.status());
    Fault::new(ErrorKind::Refused, why)
}

/// What to make of a request that got no answer.
fn unsent(url: &Url, e: &reqwest::Error) -> Trouble {
    let cause = cause(e);
    let at = server(url);
    if e.is_redirect() || e.is_builder() || cause.contains("certificate") {
        return Fault::new(ErrorKind::Unreachable, format!("{at}: {cause}")).into();
    }
    Trouble::again(format!("{at}: {cause}"))
}
