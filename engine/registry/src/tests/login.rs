//! Logging in, and who gets to see the login.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mabuild_oci::Platform;

use crate::testing::{Content, Reply, Request, Server, block, client, layout, options};
use crate::{Answer, CredentialHelper, Credentials, ErrorKind, Options, Reference};

fn amd() -> Platform {
    Platform::new("linux", "amd64")
}

fn image() -> Content {
    let mut content = Content::default();
    let image = content.image("amd", "linux/amd64");
    content.index("1", vec![image]);
    content
}

/// Refuses with a challenge.
fn challenge(realm: &str) -> Reply {
    let said = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    let bearer =
        format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"repository:team/app:pull\"");
    Reply::new(401, said).with("WWW-Authenticate", &bearer)
}

/// A registry that wants the token which its own `/token` gives to whom `admits` lets in.
fn guarded(admits: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Server {
    let content = image();
    Server::start(move |request, _| {
        let host = request.header("host").unwrap();
        if request.path.starts_with("/token") {
            return match admits(request) {
                true => Reply::new(200, r#"{"token":"t0ken","expires_in":300}"#),
                false => Reply::new(401, r#"{"details":"incorrect username or password"}"#),
            };
        }
        match request.header("authorization") {
            Some("Bearer t0ken") => content.reply(request),
            _ => challenge(&format!("http://{host}/token")),
        }
    })
}

fn with(config: &str, helper: Option<Arc<dyn CredentialHelper>>) -> Options {
    let credentials = Credentials::from_docker_config(config.as_bytes()).unwrap();
    Options { credentials, helper, ..options() }
}

fn config(server: &Server, entry: &str) -> String {
    format!(r#"{{"auths":{{"{}":{{{entry}}}}}}}"#, server.host)
}

fn pull(options: Options, reference: &Reference) -> Result<(), crate::Error> {
    let (_folder, layout) = layout();
    block(client(options).pull(reference, &amd(), &layout)).map(|_| ())
}

fn tokens(server: &Server) -> Vec<Request> {
    server.requests().into_iter().filter(|r| r.path.starts_with("/token")).collect()
}

#[test]
fn nobody_in_particular_gets_one_token_for_all() {
    let server = guarded(|request| request.header("authorization").is_none());
    pull(options(), &server.image("1")).unwrap();
    let tokens = tokens(&server);
    assert_eq!(tokens.len(), 1, "{:?}", server.lines());
    assert_eq!(tokens[0].path, "/token?service=reg&scope=repository%3Ateam%2Fapp%3Apull");
    assert_eq!(server.lines().iter().filter(|l| l.starts_with("HEAD")).count(), 2);
}

#[test]
fn password_goes_to_the_token_server() {
    let basic = format!("Basic {}", STANDARD.encode("joe:geheim"));
    let server = guarded(move |request| request.header("authorization") == Some(basic.as_str()));
    let auth = format!("\"auth\":\"{}\"", STANDARD.encode("joe:geheim"));
    pull(with(&config(&server, &auth), None), &server.image("1")).unwrap();
    let shown: Vec<_> = server
        .requests()
        .iter()
        .filter(|r| r.header("authorization").is_some_and(|a| a.contains("Basic")))
        .map(|r| r.path.clone())
        .collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].starts_with("/token"));
}

#[test]
fn identity_token_is_exchanged_by_post() {
    let server = guarded(|request| {
        request.method == "POST"
            && request.body
                == "service=reg&scope=repository%3Ateam%2Fapp%3Apull&grant_type=refresh_token\
                    &client_id=mabuild&refresh_token=ge+heim"
    });
    let entry = r#""identitytoken":"ge heim""#;
    pull(with(&config(&server, entry), None), &server.image("1")).unwrap();
    assert!(server.requests().iter().all(|r| !r.path.contains("heim")));
}

#[test]
fn wrong_password_is_told_without_it() {
    let server = guarded(|_| false);
    let entry = r#""username":"joe","password":"geheim""#;
    let error = pull(with(&config(&server, entry), None), &server.image("1")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    for words in ["incorrect username or password", "log in again", "config.json", "team/app:1"] {
        assert!(error.message.contains(words), "{words}: {error}");
    }
    let encoded = STANDARD.encode("joe:geheim");
    assert!(!format!("{error:?}").contains("geheim") && !format!("{error:?}").contains(&encoded));
    assert!(!error.blames_registry());
}

#[test]
fn basic_is_answered_where_it_is_asked_for() {
    let content = image();
    let basic = format!("Basic {}", STANDARD.encode("joe:geheim"));
    let server = Server::start(move |request, _| match request.header("authorization") {
        Some(sent) if sent == basic => content.reply(request),
        _ => Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let entry = r#""username":"joe","password":"geheim""#;
    pull(with(&config(&server, entry), None), &server.image("1")).unwrap();
    let anonymous = pull(options(), &server.image("1")).unwrap_err();
    let login = format!("`docker login {}`", server.host);
    assert!(anonymous.message.contains(&login), "{anonymous}");
    let entry = r#""username":"joe","password":"falsch""#;
    let asked = server.requests().len();
    let wrong = pull(with(&config(&server, entry), None), &server.image("1")).unwrap_err();
    assert_eq!(wrong.kind, ErrorKind::Denied, "{wrong}");
    assert!(server.requests().len() - asked <= 4, "{:?}", server.lines());
}

#[test]
fn token_that_is_not_enough_ends_it() {
    let server = Server::start(|request, _| {
        let host = request.header("host").unwrap();
        match request.path.starts_with("/token") {
            true => Reply::new(200, r#"{"access_token":"weak"}"#),
            false => challenge(&format!("http://{host}/token")),
        }
    });
    let error = pull(options(), &server.image("1")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    for words in ["401", "UNAUTHORIZED: authentication required", "docker login", "spelling"] {
        assert!(error.message.contains(words), "{words}: {error}");
    }
    assert!(server.requests().len() <= 8, "{:?}", server.lines());
}

#[test]
fn token_that_ended_is_exchanged_for_a_new_one() {
    let (content, given) = (image(), AtomicUsize::new(0));
    let used = AtomicUsize::new(0);
    let server = Server::start(move |request, _| {
        let host = request.header("host").unwrap();
        if request.path.starts_with("/token") {
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::new(200, format!(r#"{{"token":"t{number}"}}"#));
        }
        let good = format!("Bearer t{}", given.load(Ordering::SeqCst));
        let is_good = request.header("authorization") == Some(good.as_str());
        // Each token is good for two requests.
        if is_good && used.fetch_add(1, Ordering::SeqCst) % 3 < 2 {
            return content.reply(request);
        }
        challenge(&format!("http://{host}/token"))
    });
    let options = Options { per_host: 1, ..options() };
    pull(options, &server.image("1")).unwrap();
    assert!(tokens(&server).len() > 1);
}

#[test]
fn redirection_to_another_server_takes_no_login_along() {
    let content = image();
    let elsewhere = Server::start(move |request, _| {
        let mut own = request.clone();
        own.path = request.path.replacen("/cdn/", "/v2/team/app/blobs/", 1);
        content.reply(&own)
    });
    let (content, to) = (image(), elsewhere.host.clone());
    let basic = format!("Basic {}", STANDARD.encode("joe:geheim"));
    let server = Server::start(move |request, _| {
        if request.header("authorization") != Some(basic.as_str()) {
            return Reply::new(401, "").with("WWW-Authenticate", "Basic realm=x");
        }
        match request.path.strip_prefix("/v2/team/app/blobs/") {
            Some(digest) => {
                Reply::new(307, "").with("Location", &format!("http://{to}/cdn/{digest}"))
            }
            None => content.reply(request),
        }
    });
    let entry = r#""username":"joe","password":"geheim""#;
    pull(with(&config(&server, entry), None), &server.image("1")).unwrap();
    let blobs = elsewhere.requests();
    assert_eq!(blobs.len(), 3, "{:?}", elsewhere.lines());
    assert!(blobs.iter().all(|r| r.header("authorization").is_none()));
}

#[test]
fn challenge_of_another_server_is_not_answered() {
    let evil = Server::start(|request, _| {
        let host = request.header("host").unwrap();
        challenge(&format!("http://{host}/steal"))
    });
    let (content, to) = (image(), evil.host.clone());
    let server = Server::start(move |request, _| match request.path.contains("/blobs/") {
        true => Reply::new(307, "").with("Location", &format!("http://{to}/x")),
        false => content.reply(request),
    });
    let entry = r#""username":"joe","password":"geheim""#;
    let error = pull(with(&config(&server, entry), None), &server.image("1")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert!(error.message.contains(&evil.host), "{error}");
    for request in evil.requests() {
        assert_eq!((request.path.as_str(), request.header("authorization")), ("/x", None));
    }
}

/// Answers what a test says, and notes what it was asked.
struct Helper {
    answer: Result<Vec<u8>, String>,
    asked: Mutex<Vec<(String, String)>>,
}

impl CredentialHelper for Helper {
    fn get<'a>(&'a self, helper: &'a str, server: &'a str) -> Answer<'a> {
        self.asked.lock().unwrap().push((helper.to_owned(), server.to_owned()));
        Box::pin(async { self.answer.clone() })
    }
}

#[test]
fn helper_is_asked_once_and_only_when_needed() {
    let basic = format!("Basic {}", STANDARD.encode("joe:geheim"));
    let server = guarded(move |request| request.header("authorization") == Some(basic.as_str()));
    let answer = br#"{"Username":"joe","Secret":"geheim"}"#.to_vec();
    let helper = Arc::new(Helper { answer: Ok(answer), asked: Mutex::default() });
    let options = with(r#"{"credsStore":"kept"}"#, Some(helper.clone()));
    pull(options.clone(), &server.image("1")).unwrap();
    assert_eq!(*helper.asked.lock().unwrap(), [("kept".to_owned(), server.host.clone())]);
    let open = image().serve();
    pull(options.clone(), &open.image("1")).unwrap();
    pull(options, &open.image("not-there")).unwrap_err();
    assert_eq!(helper.asked.lock().unwrap().len(), 1, "a registry without logins needs none");
}

#[test]
fn helper_that_fails_is_told_when_it_matters() {
    let answer = Err("there is no such program".to_owned());
    let helper = Arc::new(Helper { answer, asked: Mutex::default() });
    let options = with(r#"{"credsStore":"kept"}"#, Some(helper));
    let open = guarded(|_| true);
    pull(options.clone(), &open.image("1")).unwrap();
    let closed = Server::start(|_, _| Reply::new(403, r#"{"errors":[{"code":"DENIED"}]}"#));
    let error = pull(options, &closed.image("1")).unwrap_err();
    for words in ["403", "DENIED", "docker-credential-kept failed: there is no such program"] {
        assert!(error.message.contains(words), "{words}: {error}");
    }
}
