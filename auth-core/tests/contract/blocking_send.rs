//! Requests of a client that blocks.

use std::cell::RefCell;
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use auth_core::{
    Credential, Credentials, Identity, Judge, LoginError, MAX_JUDGED_BODY, Origin, Part, Provider,
    ReadAhead, ResponseView, Scope, Secret, SecretSource, SendError, Session, StatusJudge, Update,
    Verdict, When,
};
use http::{HeaderName, HeaderValue, Request, Response};

const URL: &str = "https://api.example.com/v3/me";

/// Its writes lack a csrf value, and its 200 says in the body whether the session is over.
struct Provided {
    identity: Identity,
    secret: SecretSource,
    logins: Arc<AtomicU64>,
    failure: Mutex<Option<LoginError>>,
    part: Option<Part>,
}

#[async_trait]
impl Provider for Provided {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn judge(&self) -> &dyn Judge {
        &ByBody
    }

    fn scope(&self) -> Scope {
        Scope::only(Origin::parse("https://api.example.com").unwrap())
    }

    fn repairs(&self) -> bool {
        true
    }

    async fn repair(&self, _: &Credential) -> Result<Update, LoginError> {
        let csrf = HeaderValue::from_static("csrf-1");
        Ok(Update::new().with_header(HeaderName::from_static("x-csrf"), csrf))
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        let number = self.logins.fetch_add(1, SeqCst) + 1;
        if let Some(failure) = self.failure.lock().unwrap().take() {
            return Err(failure);
        }
        let session = Session::new().with_bearer(&format!("token-{number}"))?;
        Ok(match &self.part {
            Some(part) => session.with_part(part.clone())?,
            None => session,
        })
    }
}

struct ByBody;

impl Judge for ByBody {
    fn wants_body(&self, head: &ResponseView<'_>) -> bool {
        head.status == 200
    }

    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        match response.body {
            Some(body) if body.ends_with(b"expired") => Verdict::Rejected,
            _ if response.status == 409 => Verdict::NeedsRepair,
            _ => StatusJudge.judge(response),
        }
    }
}

fn provided(part: Option<Part>, failure: Option<LoginError>) -> (Credentials, Arc<AtomicU64>) {
    static ACCOUNTS: AtomicU64 = AtomicU64::new(0);
    let account = ACCOUNTS.fetch_add(1, SeqCst);
    // A login origin of its own, so that tests don't share a quota.
    let origin = Origin::parse(&format!("https://blocking-{account}.example.com")).unwrap();
    let logins = Arc::new(AtomicU64::new(0));
    let credentials = Credentials::new(Provided {
        identity: Identity::new("blocking", origin, format!("me-{account}")),
        secret: "password".into(),
        logins: Arc::clone(&logins),
        failure: Mutex::new(failure),
        part,
    });
    (credentials, logins)
}

/// What the client sent: the bearer token, and the csrf value.
type Sent = RefCell<Vec<(String, String)>>;

fn note<B>(sent: &Sent, request: &Request<B>) {
    let header = |name| {
        let value = request.headers().get(name).map(HeaderValue::to_str);
        value.transpose().unwrap().unwrap_or_default().to_owned()
    };
    let token = header("authorization").replace("Bearer ", "");
    sent.borrow_mut().push((token, header("x-csrf")));
}

fn answer(status: u16, body: &'static str) -> io::Result<Response<Cursor<&'static str>>> {
    let response = Response::builder().status(status).body(Cursor::new(body));
    response.map_err(io::Error::other)
}

fn text<R: Read>(response: Response<ReadAhead<R>>) -> String {
    io::read_to_string(response.into_body()).unwrap()
}

fn tokens(sent: &Sent) -> Vec<String> {
    let sent = sent.borrow();
    sent.iter().map(|(token, _)| token.clone()).collect()
}

/// Sends a GET to an API that answers with these in turn, and then with the last.
fn send(credentials: &Credentials, sent: &Sent, answers: &[(u16, &'static str)]) -> (u16, String) {
    let request = Request::get(URL).body("body").unwrap();
    let response = credentials.blocking_send(request, |request| {
        assert_eq!(*request.body(), "body");
        let at = sent.borrow().len().min(answers.len() - 1);
        note(sent, &request);
        answer(answers[at].0, answers[at].1)
    });
    let response = response.unwrap();
    (response.status().as_u16(), text(response))
}

#[test]
fn rule_8_a_rejected_request_of_a_blocking_client_is_sent_once_more() {
    for rejection in [(401, "who?"), (200, "expired")] {
        let (credentials, logins) = provided(None, None);
        let sent = Sent::default();
        let answered = send(&credentials, &sent, &[rejection, (200, "fine")]);
        assert_eq!(answered, (200, "fine".to_owned()), "and all of the body");
        assert_eq!(tokens(&sent), ["token-1", "token-2"]);

        let (credentials, others) = provided(None, None);
        let sent = Sent::default();
        let answered = send(&credentials, &sent, &[rejection]);
        assert_eq!(answered, (rejection.0, rejection.1.to_owned()));
        assert_eq!(tokens(&sent), ["token-1", "token-2"], "and no more often");
        assert_eq!((logins.load(SeqCst), others.load(SeqCst)), (2, 2));
    }
}

#[test]
fn rule_8_a_part_that_a_blocking_request_lacks_or_is_asked_for_is_fetched() {
    let unsafe_only = Part::fetched_header("x-csrf").when(When::unsafe_methods());
    let (credentials, logins) = provided(Some(unsafe_only), None);
    let sent = Sent::default();
    send(&credentials, &sent, &[(200, "fine")]);
    let request = Request::post(URL).body(()).unwrap();
    let response = credentials.blocking_send(request, |request| {
        note(&sent, &request);
        answer(200, "fine")
    });
    assert_eq!(response.unwrap().status(), 200);
    let token = || "token-1".to_owned();
    assert_eq!(
        *sent.borrow(),
        [(token(), String::new()), (token(), "csrf-1".into())]
    );
    assert_eq!(logins.load(SeqCst), 1);

    let (credentials, logins) = provided(Some(Part::header("x-csrf", "csrf-0")), None);
    let sent = Sent::default();
    let answered = send(&credentials, &sent, &[(409, "csrf"), (200, "fine")]);
    assert_eq!(answered, (200, "fine".to_owned()));
    let csrf: Vec<_> = sent.borrow().iter().map(|(_, csrf)| csrf.clone()).collect();
    assert_eq!(csrf, ["csrf-0", "csrf-1"]);
    assert_eq!(logins.load(SeqCst), 1);
}

#[test]
fn rule_13_without_a_credential_a_blocking_request_is_not_sent() {
    let refused = LoginError::refused("status 401");
    let (credentials, _) = provided(None, Some(refused));
    let request = Request::get(URL).body(()).unwrap();
    let result = credentials.blocking_send(request, |_| -> io::Result<Response<io::Empty>> {
        panic!("it is not sent")
    });
    let Err(SendError::Auth(error)) = result else {
        panic!("an error of the login");
    };
    assert!(error.is_login_refused());
    assert_eq!(
        SendError::<io::Error>::from(error.clone()).to_string(),
        error.to_string()
    );

    // A field of the body can't be set.
    let field = Part::json_field("/token", "t");
    let (credentials, _) = provided(Some(field), None);
    let request = Request::post(URL).body(()).unwrap();
    let result = credentials.blocking_send(request, |_| answer(200, ""));
    assert!(matches!(result, Err(SendError::BodyField)));

    // The client's own error is handed on.
    let (credentials, _) = provided(None, None);
    let request = Request::get(URL).body(()).unwrap();
    let failed = |_| Err::<Response<io::Empty>, _>(io::Error::other("no route"));
    let error = credentials.blocking_send(request, failed).unwrap_err();
    assert!(matches!(&error, SendError::Client(_)));
    assert_eq!(error.to_string(), "no route");
}

#[test]
fn rule_16_a_blocking_request_out_of_the_scope_passes_untouched() {
    let (credentials, logins) = provided(None, None);
    let sent = Sent::default();
    for url in [
        "https://elsewhere.example.com/",
        "http://api.example.com/",
        "/v3/me",
    ] {
        let request = Request::get(url).body(()).unwrap();
        let response = credentials.blocking_send(request, |request| {
            note(&sent, &request);
            answer(401, "who?")
        });
        assert_eq!(text(response.unwrap()), "who?");
    }
    assert_eq!(tokens(&sent), ["", "", ""]);
    assert_eq!(logins.load(SeqCst), 0);
    assert_eq!(credentials.status().out_of_scope, 3);
}

#[test]
fn rule_9_a_blocking_request_is_sent_three_times_at_most_and_an_accepted_replay_is_told() {
    let (credentials, logins) = provided(None, None);
    let sent = Sent::default();
    let answers = [(401, "who?"), (200, "fine"), (401, "who?"), (200, "fine")];
    for calls in 1..=2 {
        assert_eq!(send(&credentials, &sent, &answers).0, 200);
        // Without an accepted replay, the second rejection is doubted.
        assert_eq!(logins.load(SeqCst), calls + 1);
    }

    let (credentials, logins) = provided(Some(Part::header("x-csrf", "csrf-0")), None);
    let sent = Sent::default();
    let answers = [(409, "csrf"), (401, "who?"), (409, "csrf")];
    assert_eq!(send(&credentials, &sent, &answers).0, 409);
    assert_eq!(tokens(&sent), ["token-1", "token-1", "token-2"]);
    assert_eq!(logins.load(SeqCst), 2);
}

/// Ends with an error.
struct Breaks(usize);

impl Read for Breaks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("reset"));
        }
        let length = buffer.len().min(self.0);
        buffer[..length].fill(b'x');
        self.0 -= length;
        Ok(length)
    }
}

#[test]
fn a_body_that_was_read_ahead_is_whole_and_fails_where_it_failed() {
    for length in [
        0,
        1,
        MAX_JUDGED_BODY,
        MAX_JUDGED_BODY + 1,
        3 * MAX_JUDGED_BODY,
    ] {
        let (credentials, _) = provided(None, None);
        let whole = |_| Ok::<_, io::Error>(Response::new(io::repeat(b'x').take(length as u64)));
        let request = Request::get(URL).body(()).unwrap();
        let response = credentials.blocking_send(request, whole).unwrap();
        assert_eq!(text(response).len(), length);

        let breaks = |_| Ok::<_, io::Error>(Response::new(Breaks(length)));
        let request = Request::get(URL).body(()).unwrap();
        let response = credentials.blocking_send(request, breaks).unwrap();
        let mut read = Vec::new();
        let error = response.into_body().read_to_end(&mut read).unwrap_err();
        assert_eq!(
            (read.len(), error.to_string()),
            (length, "reset".to_owned())
        );
    }
}

#[test]
fn rule_7_the_longest_body_that_is_judged_is_read_whole() {
    for (length, logins) in [(MAX_JUDGED_BODY, 2), (MAX_JUDGED_BODY + 1, 1)] {
        let (credentials, counted) = provided(None, None);
        let body = "x".repeat(length - 7) + "expired";
        let answer = |_| Ok::<_, io::Error>(Response::new(Cursor::new(body.clone())));
        let request = Request::get(URL).body(()).unwrap();
        let response = credentials.blocking_send(request, answer).unwrap();
        assert_eq!(format!("{:?}", response.body()), "ReadAhead { .. }");
        assert_eq!(text(response), body);
        assert_eq!(counted.load(SeqCst), logins, "{length} bytes");
    }
}
