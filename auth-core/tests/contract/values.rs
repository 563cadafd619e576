//! The values of a session beside its cookies: which requests carry them, how answers roll them,
//! and those that no request carries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Attempt, Conclusion, Credential, Credentials, Event, Identity, Judge, Lifetime, LoginError,
    LoginErrorKind, Logout, Part, Provider, Refresh, RequestHead, ResponseView, Secret,
    SecretSource, Session, StatusJudge, Target, Update, Verdict, When, set_cookies,
};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use parking_lot::Mutex;

use crate::support::{HERE, HOUR, SECOND, settle};

const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
const NEW_CSRF: HeaderName = HeaderName::from_static("x-new-csrf");

/// What a request to `path` carries: its headers, and its query after the path.
fn carried(credential: &Arc<Credential>, method: &Method, path: &str) -> (HeaderMap, String) {
    let uri = format!("https://api.example.com{path}");
    let mut request = Request::builder().method(method).uri(uri).body(()).unwrap();
    credential.attach(&mut request).unwrap();
    let query = request.uri().query().unwrap_or_default().to_owned();
    (request.headers().clone(), query)
}

fn header(credential: &Arc<Credential>, method: &Method, path: &str) -> Option<String> {
    let (headers, _) = carried(credential, method, path);
    let value = headers.get(CSRF)?;
    assert!(value.is_sensitive());
    Some(value.to_str().unwrap().to_owned())
}

fn query(credential: &Arc<Credential>, method: &Method, path: &str) -> String {
    carried(credential, method, path).1
}

type Login = Box<dyn Fn(u64) -> Result<Session, LoginError> + Send + Sync>;
type Read = Box<dyn Fn(&ResponseView<'_>, &Credential) -> Update + Send + Sync>;

/// A provider that reads values from responses, and notes what its refreshes and logouts are given.
struct Values {
    inner: Scripted,
    login: Login,
    read: Option<Read>,
    judge: Box<dyn Judge>,
    sessions: AtomicU64,
    given: Arc<Mutex<Vec<String>>>,
}

impl Values {
    fn note(&self, call: &str, credential: &Credential) {
        let (stamp, kept) = (credential.stamp(), credential.kept("refresh_token"));
        let line = format!("{call} {stamp} {}", kept.unwrap_or("-"));
        self.given.lock().push(line);
    }

    fn next(&self) -> Result<Session, LoginError> {
        (self.login)(self.sessions.fetch_add(1, SeqCst) + 1)
    }
}

#[async_trait]
impl Provider for Values {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    fn judge(&self) -> &dyn Judge {
        &*self.judge
    }

    fn updates(&self) -> bool {
        self.read.is_some()
    }

    fn update(&self, response: &ResponseView<'_>, credential: &Credential) -> Update {
        let read = self.read.as_ref();
        read.expect("asked only if it updates")(response, credential)
    }

    fn secret_headers(&self) -> &[HeaderName] {
        static SECRET: [HeaderName; 1] = [NEW_CSRF];
        &SECRET
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        self.next()
    }

    fn refresh_by(&self) -> Option<Refresh> {
        Some(Refresh::with_kept("refresh_token"))
    }

    async fn refresh(&self, current: &Credential) -> Result<Session, LoginError> {
        self.note("refresh", current);
        if current.kept("refresh_token") == Some("dead") {
            return Err(LoginError::refused("status 400"));
        }
        self.next()
    }

    async fn logout(&self, credential: &Credential, _: Logout) -> Result<(), LoginError> {
        self.note("logout", credential);
        Ok(())
    }
}

/// A handle, and what it did.
struct Handle {
    credentials: Credentials,
    clock: ManualClock,
    rolled: Arc<AtomicU64>,
    given: Arc<Mutex<Vec<String>>>,
}

impl Handle {
    fn of(
        login: impl Fn(u64) -> Result<Session, LoginError> + Send + Sync + 'static,
        read: Option<Read>,
        judge: impl Judge,
    ) -> Self {
        let (rolled, given) = (Arc::new(AtomicU64::new(0)), Arc::default());
        let provider = Values {
            inner: Scripted::tokens(Lifetime::unknown()),
            login: Box::new(login),
            read,
            judge: Box::new(judge),
            sessions: AtomicU64::new(0),
            given: Arc::clone(&given),
        };
        let (clock, count) = (ManualClock::new(), Arc::clone(&rolled));
        // Behind a pointer, as one that is chosen at run time.
        let provider: Box<dyn Provider> = Box::new(provider);
        let credentials = Credentials::builder(provider)
            .clock(clock.clock())
            .log_out_superseded(SECOND)
            .observer(move |_: &Identity, event: &Event| {
                if matches!(event, Event::Rolled { .. }) {
                    count.fetch_add(1, SeqCst);
                }
            })
            .build();
        Self {
            credentials,
            clock,
            rolled,
            given,
        }
    }

    fn new(login: impl Fn(u64) -> Result<Session, LoginError> + Send + Sync + 'static) -> Self {
        Self::of(login, None, StatusJudge)
    }

    /// A session with a csrf value, in whose place an answer's header brings another.
    fn rolling(login: impl Fn(u64) -> Result<Session, LoginError> + Send + Sync + 'static) -> Self {
        let read =
            |response: &ResponseView<'_>, _: &Credential| match response.headers.get(NEW_CSRF) {
                Some(csrf) => Update::new().with_header(CSRF, csrf.clone()),
                None => Update::new(),
            };
        Self::of(login, Some(Box::new(read)), StatusJudge)
    }

    async fn get(&self) -> Arc<Credential> {
        self.credentials.get().await.unwrap()
    }

    async fn attempt(&self) -> Attempt {
        let credential = self.get().await;
        Attempt::new(&self.credentials, &credential)
    }

    fn rolled(&self) -> u64 {
        self.rolled.load(SeqCst)
    }
}

/// An answer with this status and these headers.
fn answer(attempt: &Attempt, status: u16, lines: &[(HeaderName, &str)]) -> Conclusion {
    let headers = lines.iter().cloned();
    let headers = headers.map(|(name, value)| (name, value.parse().unwrap()));
    let mut headers = headers.collect();
    let status = StatusCode::from_u16(status).unwrap();
    let mut attempt = attempt.clone();
    attempt.redact(&mut headers);
    attempt.conclude(&ResponseView::new(status, &headers))
}

fn csrf(number: u64) -> Result<Session, LoginError> {
    let session = Session::new().with_cookie("sid", "s")?;
    Ok(session.with_header(CSRF, HeaderValue::from(number)))
}

#[tokio::test]
async fn rule_16_a_part_with_a_condition_goes_only_to_the_requests_that_meet_it() {
    let handle = Handle::new(|_| {
        let writes = When::unsafe_methods().below("/api");
        Ok(Session::new()
            .with_bearer("t")?
            .with_part(Part::header("x-csrf-token", "c").when(writes.clone()))?
            .with_part(Part::query("csrf", "q /").when(writes))?)
    });
    let credential = handle.get().await;
    for (method, path, goes) in [
        (Method::POST, "/api/x", true),
        (Method::from_bytes(b"PURGE").unwrap(), "/api", true),
        (Method::GET, "/api/x", false),
        (Method::POST, "/apis", false),
        (Method::GET, "/", false),
    ] {
        let name = format!("{method} {path}");
        let (headers, query) = carried(&credential, &method, path);
        assert_eq!(headers.contains_key(CSRF), goes, "{name}");
        assert_eq!(headers["authorization"], "Bearer t", "{name}");
        assert_eq!(query, if goes { "csrf=q%20%2F" } else { "" }, "{name}");
    }
    // The caller's own stay where ours do not go.
    let own = query(&credential, &Method::GET, "/api?csrf=own");
    assert_eq!(own, "csrf=own");
    let replaced = query(&credential, &Method::PUT, "/api?csrf=own&a=1");
    assert_eq!(replaced, "a=1&csrf=q%20%2F");
    // Without a method, nothing that depends on it goes.
    let mut headers = HeaderMap::new();
    let unstated = Target::new("https", "api.example.com", "/api");
    credential.attach_headers(unstated, &mut headers);
    assert!(!headers.contains_key(CSRF));
    credential.attach_headers(unstated.with_method(&Method::POST), &mut headers);
    assert_eq!(headers[CSRF], "c");
}

#[tokio::test]
async fn rule_16_of_parts_with_one_name_one_with_a_condition_goes_before_one_without() {
    let handle = Handle::new(|_| {
        let below = |path: &str| When::any_method().below(path);
        let api = Part::header("x-csrf-token", "api").when(below("/api"));
        let deep = Part::header("x-csrf-token", "deep").when(below("/api/v2"));
        let query = |value: &str| Part::query("csrf", value);
        Ok(Session::new()
            .with_part(Part::header("x-csrf-token", "old").when(below("/api")))?
            .with_part(api)?
            .with_part(deep)?
            .with_header(CSRF, HeaderValue::from_static("all"))
            .with_part(query("writes").when(When::unsafe_methods()))?
            .with_part(query("all"))?
            .with_query("v", "1")?)
    });
    let credential = handle.get().await;
    let get = Method::GET;
    for (path, value) in [("/", "all"), ("/api/x", "api"), ("/api/v2", "deep")] {
        let value = Some(value.to_owned());
        assert_eq!(header(&credential, &get, path), value, "{path}");
    }
    assert_eq!(query(&credential, &get, "/"), "csrf=all&v=1");
    assert_eq!(query(&credential, &Method::PUT, "/"), "csrf=writes&v=1");
    assert_eq!(credential.header(&CSRF).unwrap(), "all");
    assert!(credential.has_query() && credential.owns_header(&CSRF));
    let parts = handle.credentials.session().unwrap().to_parts();
    assert!(!parts.expose().contains("value=old"), "replaced");
}

#[tokio::test]
async fn rule_16_a_header_belongs_to_the_session_whether_or_not_a_request_carries_it() {
    let handle = Handle::new(|_| {
        let writes = When::unsafe_methods();
        Ok(Session::new()
            .with_bearer("t")?
            .with_part(Part::header("x-csrf-token", "c").when(writes))?
            // It has no such cookie.
            .with_header_from_cookie("x-mode", "mode")?)
    });
    let credential = handle.get().await;
    for (name, owns) in [
        ("authorization", true),
        ("x-csrf-token", true),
        ("x-mode", true),
        ("x-other", false),
        ("cookie", false),
    ] {
        let header = HeaderName::from_static(name);
        assert_eq!(credential.owns_header(&header), owns, "{name}");
    }
    let sent = header(&credential, &Method::POST, "/");
    assert_eq!(sent.as_deref(), Some("c"));
}

#[tokio::test]
async fn rule_16_a_derived_part_without_a_condition_gives_way_to_one_that_was_added_before() {
    let handle = Handle::new(|_| {
        let writes = When::unsafe_methods();
        Ok(Session::new()
            .with_cookie("sid", "s")?
            .with_part(Part::header("x-csrf-token", "writes").when(writes))?
            .with_header_from_cookie("x-csrf-token", "sid")?)
    });
    let credential = handle.get().await;
    let sent = |method| header(&credential, &method, "/").unwrap();
    assert_eq!((&*sent(Method::GET), &*sent(Method::PUT)), ("s", "writes"));
}

#[tokio::test]
async fn rule_16_a_part_without_a_condition_replaces_a_derived_one_and_the_other_way_round() {
    let value = HeaderValue::from_static("stated");
    let derived = |session: Session| session.with_header_from_cookie("x-csrf-token", "sid");
    let session = || Session::new().with_cookie("sid", "s");
    let to_query = || Part::query_from_cookie("csrf", "sid");
    let stated_last = derived(session().unwrap())
        .and_then(|session| session.with_part(to_query()))
        .and_then(|session| {
            session
                .with_header(CSRF, value.clone())
                .with_query("csrf", "q")
        });
    let derived_last = session()
        .and_then(|session| {
            session
                .with_header(CSRF, value.clone())
                .with_query("csrf", "q")
        })
        .and_then(|session| derived(session)?.with_part(to_query()));
    for (session, value, pair) in [
        (stated_last.unwrap(), "stated", "csrf=q"),
        (derived_last.unwrap(), "s", "csrf=s"),
    ] {
        let handle = Handle::new(move |_| Ok(session.clone()));
        let credential = handle.get().await;
        let sent = header(&credential, &Method::GET, "/");
        assert_eq!(sent.as_deref(), Some(value));
        assert_eq!(query(&credential, &Method::GET, "/"), pair);
    }
    // What was replaced does not come back where there is no cookie.
    let handle = Handle::new(move |_| {
        Ok(Session::new()
            .with_bearer("t")?
            .with_header(CSRF, HeaderValue::from_static("stated"))
            .with_query("csrf", "q")?
            .with_header_from_cookie("x-csrf-token", "sid")?
            .with_part(Part::query_from_cookie("csrf", "sid"))?)
    });
    let credential = handle.get().await;
    assert_eq!(header(&credential, &Method::GET, "/"), None);
    assert_eq!(query(&credential, &Method::GET, "/"), "");
}

#[test]
fn rule_17_what_a_part_cant_be_is_refused_before_use_and_not_repeated() {
    let below = |path: &str| When::any_method().below(path);
    for (part, why) in [
        (Part::header("a canary", "v"), "name is not a token"),
        (Part::header("", "v"), "name is not a token"),
        (Part::header("a", "canary\n"), "can't stand in a header"),
        (Part::query("", "canary"), "name is empty"),
        (Part::query("canary", ""), "value is empty"),
        (Part::query_from_cookie("", "sid"), "name is empty"),
        (Part::query_from_cookie("a", ""), "cookie's name is empty"),
        (Part::header_from_cookie("a b", "sid"), "not a token"),
        (Part::header("a", "v").when(below("canary")), "slash"),
        (Part::header("a", "v").when(below("/canary?b")), "slash"),
        (Part::query("a", "v").when(below("")), "slash"),
    ] {
        let session = Session::new().with_bearer("t").unwrap();
        let error = session.with_part(part).unwrap_err();
        let printed = format!("{error} {error:?}");
        assert!(printed.contains(why), "{why}: {printed}");
        assert!(!printed.contains("canary"), "{printed}");
    }
    for (name, value) in [("", "canary"), ("canary", "")] {
        let kept = Session::new().with_kept(name, value).unwrap_err();
        let update = Update::new().with_kept(name, value).unwrap_err();
        let query = Update::new().with_query(name, value).unwrap_err();
        let printed = format!("{kept} {update} {query}");
        assert!(!printed.contains("canary"), "{printed}");
    }
}

#[tokio::test]
async fn basic_is_attached_as_an_authorization() {
    let handle = Handle::new(|_| Ok(Session::new().with_basic("Aladdin", "open sesame")?));
    let (headers, _) = carried(&handle.get().await, &Method::GET, "/");
    assert_eq!(
        headers["authorization"],
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    );
    assert!(headers["authorization"].is_sensitive());
}

/// A narrow cookie is sent before a wide one, and to few requests.
#[tokio::test]
async fn rule_15_a_derived_part_has_the_value_of_the_cookie_that_most_requests_carry() {
    let handle = Handle::new(|_| {
        let lines = ["csrf=narrow; Path=/admin", "csrf=wide; Path=/"];
        let lines = lines.map(|line| (SET_COOKIE, HeaderValue::from_static(line)));
        let mut session = Session::new().with_header_from_cookie("x-csrf-token", "csrf")?;
        for cookie in set_cookies(&HeaderMap::from_iter(lines)) {
            session = session.with_optional_cookie(&cookie)?;
        }
        Ok(session)
    });
    let credential = handle.get().await;
    assert_eq!(credential.cookie("csrf"), Some("wide"));
    let (headers, _) = carried(&credential, &Method::POST, "/");
    assert_eq!(headers["cookie"], "csrf=wide");
    assert_eq!(headers["x-csrf-token"], "wide");
}

#[tokio::test]
async fn rule_15_a_derived_part_follows_its_cookie() {
    let handle = Handle::new(|_| {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, "csrf=c%2B0; Max-Age=60".parse().unwrap());
        let cookie = set_cookies(&headers).next().unwrap();
        Ok(Session::new()
            .with_cookie("sid", "s")?
            .with_header_from_cookie("x-csrf-token", "csrf")?
            .with_part(Part::header_from_cookie("x-decoded", "csrf").percent_decoded())?
            .with_part(Part::query_from_cookie("csrf", "csrf").when(When::unsafe_methods()))?
            .with_optional_cookie(&cookie)?)
    });
    let carried = |credential: &Arc<Credential>| {
        let (headers, query) = carried(credential, &Method::POST, "/");
        let text = |name: &str| {
            let value = headers.get(name);
            value.map_or("-".to_owned(), |value| value.to_str().unwrap().to_owned())
        };
        let (csrf, decoded) = (text("x-csrf-token"), text("x-decoded"));
        format!("{} {csrf} {decoded} {query}", text("cookie"))
    };
    let first = handle.get().await;
    let start = "sid=s; csrf=c%2B0 c%2B0 c+0 csrf=c%252B0";
    assert_eq!(carried(&first), start);
    assert_eq!(query(&first, &Method::GET, "/"), "");

    // It rolls on every answer, and each revision is a pair that is equal.
    for round in 1..4_u64 {
        let line = format!("csrf=c%2B{round}; Path=/; Max-Age=60");
        answer(&handle.attempt().await, 404, &[(SET_COOKIE, &line)]);
        let credential = handle.get().await;
        assert_eq!(credential.stamp().revision(), round);
        let expected = format!("sid=s; csrf=c%2B{round} c%2B{round} c+{round} csrf=c%252B{round}");
        assert_eq!(carried(&credential), expected);
    }
    assert_eq!(carried(&first), start, "a value is immutable");
    // A value that a header can't hold when it is decoded, and one that ends.
    answer(
        &handle.attempt().await,
        200,
        &[(SET_COOKIE, "csrf=%0A; Path=/; Max-Age=60")],
    );
    assert_eq!(
        carried(&handle.get().await),
        "sid=s; csrf=%0A %0A - csrf=%250A"
    );
    handle.clock.advance(60 * SECOND);
    assert_eq!(carried(&handle.get().await), "sid=s - - ");
    answer(
        &handle.attempt().await,
        200,
        &[(SET_COOKIE, "csrf=c9; Path=/")],
    );
    assert_eq!(carried(&handle.get().await), "sid=s; csrf=c9 c9 c9 csrf=c9");
    answer(
        &handle.attempt().await,
        200,
        &[(SET_COOKIE, "csrf=; Path=/; Max-Age=0")],
    );
    assert_eq!(carried(&handle.get().await), "sid=s - - ");
    assert_eq!(handle.get().await.stamp().generation(), 1);
}

#[tokio::test]
async fn rule_7_a_part_that_is_derived_from_any_cookie_makes_a_revision() {
    let handle = Handle::new(|_| {
        Ok(Session::new()
            .with_cookie("sid", "s")?
            .with_header_from_cookie("x-csrf-token", "XSRF-TOKEN")?
            .keep_cookies(&HeaderMap::new(), HERE))
    });
    let sent = handle.attempt().await;
    assert_eq!(header(&handle.get().await, &Method::POST, "/"), None);
    answer(&sent, 200, &[(SET_COOKIE, "XSRF-TOKEN=x1; Path=/")]);
    answer(&sent, 200, &[(SET_COOKIE, "XSRF-TOKEN=x2; Path=/")]);
    let credential = handle.get().await;
    let value = header(&credential, &Method::POST, "/");
    assert_eq!(value.as_deref(), Some("x1"), "the first of the revision");
    assert_eq!((credential.stamp().revision(), handle.rolled()), (1, 1));
}

#[tokio::test]
async fn rule_7_values_are_heard_where_cookies_are() {
    for (status, heard) in [
        (200, true),
        (304, true),
        (403, true),
        (404, true),
        (409, true),
        (500, true),
        (407, false),
        (502, false),
        (503, false),
        (504, false),
        (511, false),
    ] {
        let handle = Handle::rolling(csrf);
        answer(&handle.attempt().await, status, &[(NEW_CSRF, "2")]);
        let credential = handle.get().await;
        let expected = if heard { "2" } else { "1" };
        let value = header(&credential, &Method::GET, "/");
        assert_eq!(value.as_deref(), Some(expected), "{status}");
        assert_eq!(credential.stamp().revision(), u64::from(heard), "{status}");
    }
    for (verdict, heard) in [(Verdict::Unclear, false), (Verdict::Unproven, true)] {
        let handle = Handle::rolling(csrf);
        let judge = move |_: &ResponseView<'_>| verdict;
        let attempt = handle.attempt().await.judged_by(Some(Arc::new(judge)));
        answer(&attempt, 200, &[(NEW_CSRF, "2")]);
        assert_eq!(handle.rolled(), u64::from(heard), "{verdict:?}");
    }
}

#[tokio::test]
async fn rule_7_the_values_of_a_rejection_and_of_a_late_answer_are_not_heard() {
    let handle = Handle::rolling(csrf);
    let (early, late) = (handle.attempt().await, handle.attempt().await);
    let rejected = answer(&early, 401, &[(NEW_CSRF, "gone")]);
    assert_eq!(rejected, Conclusion::Replay);
    let newer = handle.get().await;
    assert_eq!(newer.stamp().generation(), 2);
    answer(&late, 200, &[(NEW_CSRF, "late")]);
    let value = header(&handle.get().await, &Method::GET, "/");
    assert_eq!(value.as_deref(), Some("2"), "the second login's");
    assert_eq!(handle.rolled(), 0);

    // A session that has expired meanwhile is not revived.
    let handle = Handle::rolling(|number| Ok(csrf(number)?.with_lifetime(Lifetime::of(HOUR))));
    let attempt = handle.attempt().await;
    handle.clock.advance(HOUR);
    answer(&attempt, 200, &[(NEW_CSRF, "late")]);
    assert_eq!(handle.rolled(), 0);
}

#[tokio::test]
async fn rule_7_a_rejection_counts_if_what_its_request_carried_has_not_rolled_since() {
    let read = |response: &ResponseView<'_>, _: &Credential| {
        let new = response.headers.get(NEW_CSRF).map(HeaderValue::to_str);
        match new.transpose().unwrap() {
            Some(kept) if kept.starts_with("kept") => {
                Update::new().with_kept("refresh_token", kept).unwrap()
            }
            Some(csrf) => Update::new().with_header(CSRF, csrf.parse().unwrap()),
            None => Update::new(),
        }
    };
    let login = |_| {
        let csrf = Part::header(CSRF.as_str(), "0").when(When::unsafe_methods());
        let session = Session::new().with_bearer("t")?.with_part(csrf)?;
        Ok(session.with_kept("refresh_token", "0")?)
    };
    for (brought, method, is_late) in [
        ("kept-1", Method::GET, false),
        ("kept-1", Method::POST, false),
        ("1", Method::GET, false),
        ("1", Method::POST, true),
    ] {
        let handle = Handle::of(login, Some(Box::new(read)), StatusJudge);
        let attempt = handle.attempt().await;
        let target = HERE.with_method(&method);
        let sent = attempt.clone().sent_to(|| target);
        answer(&attempt, 200, &[(NEW_CSRF, brought)]);
        assert_eq!(handle.get().await.stamp().revision(), 1);
        assert_eq!(answer(&sent, 401, &[]), Conclusion::Replay);
        let expected = if is_late { 1 } else { 2 };
        let generation = handle.get().await.stamp().generation();
        assert_eq!(generation, expected, "{brought} {method}");
    }
    // One that does not say where it goes may have carried all.
    let handle = Handle::of(login, Some(Box::new(read)), StatusJudge);
    let (first, late) = (handle.attempt().await, handle.attempt().await);
    answer(&first, 200, &[(NEW_CSRF, "1")]);
    assert_eq!(answer(&late, 401, &[]), Conclusion::Replay);
    assert_eq!(handle.get().await.stamp().generation(), 1);
}

#[tokio::test]
async fn rule_7_what_carries_nothing_rejects_nothing_though_a_kept_value_has_rolled_since() {
    let read = |_: &ResponseView<'_>, _: &Credential| {
        let update = Update::new().with_kept("refresh_token", "1");
        update.unwrap()
    };
    let login = |_| {
        let csrf = Part::header(CSRF.as_str(), "0").when(When::unsafe_methods());
        let session = Session::new().with_part(csrf)?;
        Ok(session.with_kept("refresh_token", "0")?)
    };
    for (method, generation) in [(Method::GET, 1), (Method::POST, 2)] {
        let handle = Handle::of(login, Some(Box::new(read)), StatusJudge);
        let (first, sent) = (handle.attempt().await, handle.attempt().await);
        answer(&first, 200, &[]);
        assert_eq!(handle.get().await.stamp().revision(), 1);
        let target = HERE.with_method(&method);
        answer(&sent.sent_to(|| target), 401, &[]);
        let stamp = handle.get().await.stamp();
        assert_eq!(stamp.generation(), generation, "{method}");
    }
}

#[tokio::test]
async fn rule_7_the_rejection_of_a_request_that_lacked_what_a_part_is_derived_from_is_late() {
    let unsafe_only = |part: Part| part.when(When::unsafe_methods());
    for part in [
        Part::header_from_cookie(CSRF.as_str(), "csrf"),
        Part::query_from_cookie("csrf", "csrf"),
        Part::form_field_from_cookie("csrf", "csrf"),
    ] {
        let login = move |_| {
            let session = Session::new().with_bearer("t")?;
            let session = session.keep_cookies(&HeaderMap::new(), HERE);
            Ok(session.with_part(unsafe_only(part.clone()))?)
        };
        let handle = Handle::new(login);
        let (first, sent) = (handle.attempt().await, handle.attempt().await);
        let target = HERE.with_method(&Method::POST);
        let sent = sent.sent_to(|| target);
        answer(&first, 200, &[(SET_COOKIE, "csrf=c; Path=/")]);
        assert_eq!(handle.get().await.stamp().revision(), 1);
        assert_eq!(answer(&sent, 401, &[]), Conclusion::Replay);
        assert_eq!(
            handle.get().await.stamp().generation(),
            1,
            "it is replayed with it"
        );
    }
}

#[tokio::test]
async fn rule_7_all_that_one_answer_brings_is_one_revision_and_the_first_answer_counts() {
    let read = |response: &ResponseView<'_>, _: &Credential| {
        let Some(new) = response.headers.get(NEW_CSRF) else {
            return Update::new();
        };
        let text = new.to_str().unwrap();
        Update::new()
            .with_header(CSRF, new.clone())
            .with_query("token", text)
            .and_then(|update| update.with_kept_for("refresh_token", text, HOUR))
            .unwrap()
    };
    let login = |_| {
        Ok(Session::new()
            .with_cookie("sid", "0")?
            .with_part(Part::header("x-csrf-token", "0").when(When::unsafe_methods()))?
            .with_kept("refresh_token", "0")?)
    };
    let handle = Handle::of(login, Some(Box::new(read)), StatusJudge);
    let sent: Vec<Attempt> = vec![handle.attempt().await; 50];
    for (number, attempt) in (1..).zip(&sent) {
        let (value, cookie) = (number.to_string(), format!("sid={number}; Path=/"));
        answer(attempt, 200, &[(NEW_CSRF, &value), (SET_COOKIE, &cookie)]);
    }
    let credential = handle.get().await;
    assert_eq!((credential.stamp().revision(), handle.rolled()), (1, 1));
    let (headers, query) = carried(&credential, &Method::POST, "/");
    assert_eq!(headers[COOKIE], "sid=1");
    assert_eq!(headers[CSRF], "1");
    assert_eq!(query, "token=1", "added for every request");
    assert_eq!(credential.kept("refresh_token"), Some("1"));
    // The condition stays, and so does what is new.
    let (headers, query) = carried(&credential, &Method::GET, "/");
    assert!(!headers.contains_key(CSRF));
    assert_eq!(query, "token=1");
}

#[tokio::test]
async fn rule_7_a_kept_value_alone_makes_a_revision_and_the_first_answer_counts() {
    let read = |response: &ResponseView<'_>, _: &Credential| {
        let token = response.headers[NEW_CSRF].to_str().unwrap();
        Update::new().with_kept("refresh_token", token).unwrap()
    };
    let keeping = |number| Ok(csrf(number)?.with_kept("refresh_token", "r0")?);
    for login in [csrf, keeping] {
        let handle = Handle::of(login, Some(Box::new(read)), StatusJudge);
        let (first, second) = (handle.attempt().await, handle.attempt().await);
        answer(&first, 200, &[(NEW_CSRF, "r1")]);
        answer(&second, 200, &[(NEW_CSRF, "r2")]);
        let credential = handle.get().await;
        assert_eq!(credential.kept("refresh_token"), Some("r1"));
        assert_eq!((credential.stamp().revision(), handle.rolled()), (1, 1));
    }
}

#[tokio::test]
async fn rule_7_the_provider_is_not_asked_about_a_late_answer() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let read = move |response: &ResponseView<'_>, credential: &Credential| {
        // What it is given is what the request carried.
        assert_eq!(credential.stamp().revision(), count.fetch_add(1, SeqCst));
        Update::new().with_header(CSRF, response.headers[NEW_CSRF].clone())
    };
    let handle = Handle::of(csrf, Some(Box::new(read)), StatusJudge);
    let (first, late) = (handle.attempt().await, handle.attempt().await);
    answer(&first, 200, &[(NEW_CSRF, "2")]);
    answer(&late, 200, &[(NEW_CSRF, "3")]);
    answer(&handle.attempt().await, 200, &[(NEW_CSRF, "4")]);
    assert_eq!((asked.load(SeqCst), handle.rolled()), (2, 2));
}

#[tokio::test]
async fn rule_7_an_update_sets_every_part_of_its_name_but_those_that_a_cookie_states() {
    let read = |response: &ResponseView<'_>, _: &Credential| {
        let new = response.headers[NEW_CSRF].clone();
        let twin = HeaderName::from_static("x-twin");
        let query = Update::new().with_query("csrf", new.to_str().unwrap());
        query
            .unwrap()
            .with_header(CSRF, new.clone())
            .with_header(twin, HeaderValue::from_static("another"))
            .with_header(HeaderName::from_static("x-added"), new)
    };
    let login = |_| {
        let writes = When::unsafe_methods;
        Ok(Session::new()
            .with_cookie("sid", "s")?
            .with_header(CSRF, HeaderValue::from_static("0"))
            .with_part(Part::header("x-csrf-token", "0").when(writes()))?
            .with_query("csrf", "0")?
            .with_part(Part::query("csrf", "0").when(writes()))?
            .with_header_from_cookie("x-twin", "sid")?)
    };
    let handle = Handle::of(login, Some(Box::new(read)), StatusJudge);
    answer(&handle.attempt().await, 200, &[(NEW_CSRF, "1")]);
    let credential = handle.get().await;
    for method in [Method::GET, Method::POST] {
        let (headers, query) = carried(&credential, &method, "/");
        assert_eq!(headers[CSRF], "1", "{method}");
        assert_eq!(headers["x-twin"], "s", "{method}");
        assert_eq!(headers["x-added"], "1", "{method}");
        assert_eq!(query, "csrf=1", "{method}");
    }
}

#[tokio::test]
async fn rule_7_the_provider_reads_a_body_that_its_judge_wants() {
    struct Conflicts;
    impl Judge for Conflicts {
        fn wants_body(&self, head: &ResponseView<'_>) -> bool {
            head.status == StatusCode::CONFLICT
        }
        fn wants_request(&self) -> bool {
            false
        }
        fn judge(&self, response: &ResponseView<'_>) -> Verdict {
            StatusJudge.judge(response)
        }
    }
    let read = |response: &ResponseView<'_>, credential: &Credential| {
        assert_eq!(credential.header(&CSRF).unwrap(), "1", "what was carried");
        let csrf = response
            .body
            .and_then(|body| HeaderValue::from_bytes(body).ok());
        csrf.map_or_else(Update::new, |csrf| Update::new().with_header(CSRF, csrf))
    };
    let handle = Handle::of(csrf, Some(Box::new(read)), Conflicts);
    let always: Arc<dyn Judge> = Arc::new(StatusJudge);
    // The judge of the integration takes its place, but not what the provider reads.
    let attempt = handle.attempt().await.judged_by(Some(always));
    let headers = HeaderMap::new();
    let view = ResponseView::new(StatusCode::CONFLICT, &headers);
    assert!(attempt.wants_body(&view));
    assert!(!attempt.wants_body(&ResponseView::new(StatusCode::OK, &headers)));
    attempt.conclude(&view);
    assert_eq!(handle.rolled(), 0, "no body");
    attempt.conclude(&view.with_body(b"from-body"));
    let value = header(&handle.get().await, &Method::GET, "/");
    assert_eq!(value.as_deref(), Some("from-body"));

    // A provider that reads nothing wants no bodies but its judge's.
    let handle = Handle::of(csrf, None, Conflicts);
    let always: Arc<dyn Judge> = Arc::new(StatusJudge);
    let attempt = handle.attempt().await.judged_by(Some(always));
    assert!(!attempt.wants_body(&view));
}

#[tokio::test]
async fn rule_7_the_provider_is_told_the_request_if_its_judge_wants_that() {
    /// Wants the bodies of answers to `POST`, and the requests for it.
    struct Posts;
    impl Judge for Posts {
        fn wants_body(&self, head: &ResponseView<'_>) -> bool {
            head.request
                .is_some_and(|request| request.method == Method::POST)
        }
        fn judge(&self, response: &ResponseView<'_>) -> Verdict {
            StatusJudge.judge(response)
        }
    }
    let read = || -> Option<Read> {
        let read = |response: &ResponseView<'_>, _: &Credential| {
            let path = response.request.unwrap().uri.path();
            let path = HeaderValue::from_str(path).unwrap();
            Update::new().with_header(CSRF, path)
        };
        Some(Box::new(read))
    };
    let headers = HeaderMap::new();
    let view = ResponseView::new(StatusCode::OK, &headers);
    // The judge of the integration wants neither.
    let always: Arc<dyn Judge> = Arc::new(StatusJudge);
    for (read, wanted) in [(read(), true), (None, false)] {
        let handle = Handle::of(csrf, read, Posts);
        let wants = |judge| Attempt::wants_request(&handle.credentials, judge);
        assert_eq!((wants(Some(&always)), wants(None)), (wanted, true));
        let attempt = handle.attempt().await.judged_by(Some(Arc::clone(&always)));
        for (method, is_post) in [(Method::POST, true), (Method::GET, false)] {
            let head = RequestHead::new(method, "/rpc".parse().unwrap());
            let attempt = attempt.clone().of_request(Some(head));
            assert_eq!(attempt.wants_body(&view), wanted && is_post);
            attempt.conclude(&view);
        }
        let value = header(&handle.get().await, &Method::GET, "/").unwrap();
        assert_eq!(value, if wanted { "/rpc" } else { "1" });
    }
    let handle = Handle::of(csrf, read(), StatusJudge);
    assert!(!Attempt::wants_request(&handle.credentials, Some(&always)));
}

#[tokio::test]
async fn rule_15_a_value_that_is_set_to_what_it_is_changes_nothing() {
    let read = |response: &ResponseView<'_>, _: &Credential| {
        let new = response.headers[NEW_CSRF].clone();
        let text = new.to_str().unwrap().to_owned();
        let update = Update::new().with_header(CSRF, new).with_query("q", &text);
        update
            .and_then(|update| update.with_kept_for("refresh_token", &text, HOUR))
            .unwrap()
    };
    let login = |_| {
        Ok(Session::new()
            .with_part(Part::header("x-csrf-token", "v").when(When::unsafe_methods()))?
            .with_query("q", "v")?
            .with_kept_for("refresh_token", "v", HOUR)?)
    };
    let handle = Handle::of(login, Some(Box::new(read)), StatusJudge);
    let before = handle.get().await;
    for _ in 0..1_000 {
        handle.clock.advance(SECOND / 2_000);
        answer(&handle.attempt().await, 200, &[(NEW_CSRF, "v")]);
    }
    assert!(
        Arc::ptr_eq(&before, &handle.get().await),
        "no new credential"
    );
    // A deadline that moves by a second is stored, and is no event.
    handle.clock.advance(SECOND / 2);
    answer(&handle.attempt().await, 200, &[(NEW_CSRF, "v")]);
    let after = handle.get().await;
    assert!(!Arc::ptr_eq(&before, &after));
    assert_eq!((after.stamp(), handle.rolled()), (before.stamp(), 0));
    handle.clock.advance(HOUR - SECOND);
    assert_eq!(before.kept("refresh_token"), None, "counted from the login");
    assert_eq!(after.kept("refresh_token"), Some("v"), "from the answer");
}

#[tokio::test]
async fn rule_15_a_kept_value_ends_and_its_session_does_not() {
    let handle = Handle::new(|number| {
        Ok(Session::new()
            .with_bearer("t")?
            .with_kept_for("refresh_token", &format!("old-{number}"), SECOND)?
            .with_kept_for("refresh_token", &format!("r-{number}"), HOUR)?
            .with_kept("account", "7")?)
    });
    let credential = handle.get().await;
    handle.clock.advance(HOUR - SECOND);
    assert_eq!(credential.kept("refresh_token"), Some("r-1"));
    handle.clock.advance(SECOND);
    assert_eq!(credential.kept("refresh_token"), None);
    assert_eq!(credential.kept("account"), Some("7"));
    assert_eq!(credential.kept("other"), None);
    assert!(Arc::ptr_eq(&credential, &handle.get().await));
}

#[tokio::test]
async fn rule_18_a_kept_value_is_given_to_its_own_refresh_and_its_own_logout_alone() {
    let handle = Handle::rolling(|number| match number {
        // The third login brings no refresh token.
        3 => csrf(number),
        _ => Ok(csrf(number)?.with_kept("refresh_token", &format!("r-{number}"))?),
    });
    let first = handle.get().await;
    let (headers, query) = carried(&first, &Method::POST, "/");
    assert!(!format!("{headers:?}{query}").contains("r-1"));
    assert!(
        headers
            .values()
            .all(|value| !value.as_bytes().starts_with(b"r-"))
    );
    // A revision is still the same session.
    answer(&handle.attempt().await, 200, &[(NEW_CSRF, "new")]);
    handle.credentials.renew().await.unwrap();
    let third = handle.credentials.renew().await.unwrap();
    assert_eq!(third.kept("refresh_token"), Some("r-2"), "it stays");
    settle().await;
    handle.clock.advance(SECOND);
    settle().await;
    handle.credentials.close().await.unwrap();
    let given = handle.given.lock();
    let refreshes = given.iter().filter(|line| line.starts_with("refresh"));
    let refreshes: Vec<_> = refreshes.collect();
    assert_eq!(refreshes, ["refresh 1.1 r-1", "refresh 2.0 r-2"]);
    let mut logouts: Vec<_> = given
        .iter()
        .filter(|line| line.starts_with("logout"))
        .collect();
    logouts.sort();
    assert_eq!(logouts, ["logout 3.0 r-2"], "it is one session");
}

#[tokio::test]
async fn rule_18_a_login_after_a_rejection_is_given_nothing_that_was_kept() {
    let handle = Handle::new(|number| match number {
        1 => Ok(csrf(1)?.with_kept("refresh_token", "dead")?),
        _ => csrf(number),
    });
    answer(&handle.attempt().await, 401, &[]);
    assert_eq!(handle.get().await.kept("refresh_token"), None);
    assert_eq!(*handle.given.lock(), ["refresh 1.0 dead"], "refused");
}

#[tokio::test]
async fn a_session_that_carries_nothing_is_of_no_use_whatever_it_keeps() {
    for login in [
        |_| Ok(Session::new().with_kept("refresh_token", "r")?),
        |_| Ok(Session::new().with_header_from_cookie("x-csrf-token", "sid")?),
    ] {
        let handle = Handle::new(login);
        let error = handle.credentials.get().await.unwrap_err();
        let login = error.login_error().unwrap();
        assert_eq!(login.kind(), LoginErrorKind::Malformed, "{login}");
    }
    let handle = Handle::new(|_| {
        let part = Part::query("q", "v").when(When::unsafe_methods());
        Ok(Session::new().with_part(part)?)
    });
    assert_eq!(query(&handle.get().await, &Method::POST, "/"), "q=v");
}

#[tokio::test]
async fn rule_17_the_headers_that_bring_values_are_marked_sensitive() {
    for (handle, marked) in [(Handle::rolling(csrf), true), (Handle::new(csrf), false)] {
        let mut headers = HeaderMap::new();
        headers.append(NEW_CSRF, HeaderValue::from_static("canary"));
        headers.append(NEW_CSRF, HeaderValue::from_static("canary"));
        headers.append("x-other", HeaderValue::from_static("shown"));
        handle.attempt().await.redact(&mut headers);
        for (name, value) in &headers {
            let expected = marked && name == NEW_CSRF;
            assert_eq!(value.is_sensitive(), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn rule_17_a_query_value_that_rolled_with_its_cookie_is_known_for_a_while() {
    let handle = Handle::new(|_| {
        let session = Session::new().with_cookie("csrf", "old")?;
        Ok(session.with_part(Part::query_from_cookie("csrf", "csrf"))?)
    });
    let attempt = handle.attempt().await;
    answer(&attempt, 200, &[(SET_COOKIE, "csrf=new; Path=/")]);
    let credential = handle.get().await;
    let secrets: Vec<&str> = credential.query_secrets().collect();
    assert_eq!(secrets, ["new", "old"]);
}

#[tokio::test]
async fn rule_17_query_values_that_were_rolled_are_known_for_a_while() {
    let read = |response: &ResponseView<'_>, _: &Credential| {
        let new = response.headers[NEW_CSRF].to_str().unwrap();
        Update::new().with_query("csrf", new).unwrap()
    };
    let login = |_| Ok(Session::new().with_query("csrf", "0")?);
    let handle = Handle::of(login, Some(Box::new(read)), StatusJudge);
    for number in 1..20 {
        answer(
            &handle.attempt().await,
            200,
            &[(NEW_CSRF, &number.to_string())],
        );
    }
    let credential = handle.get().await;
    let secrets: Vec<&str> = credential.query_secrets().collect();
    assert_eq!(
        secrets,
        ["19", "11", "12", "13", "14", "15", "16", "17", "18"]
    );
}

#[tokio::test]
async fn rule_16_carried_values_that_were_rolled_are_known_for_a_while() {
    let value = |number: u64| format!("0123456789abcd{number:02}");
    let handle = Handle::new(move |_| {
        let session = Session::new().with_cookie("sid", &value(0))?;
        Ok(session.with_bearer("0123456789abcdef")?)
    });
    for number in 1..20 {
        let line = format!("sid={}; Path=/", value(number));
        answer(&handle.attempt().await, 200, &[(SET_COOKIE, &line)]);
    }
    let credential = handle.get().await;
    let carried: Vec<&str> = credential.carried_values().collect();
    let former = [19, 11, 12, 13, 14, 15, 16, 17, 18].map(value);
    assert_eq!(carried[0], "0123456789abcdef");
    assert_eq!(carried[1..], former);
}

#[tokio::test]
async fn rule_16_the_values_of_the_session_before_are_known() {
    let value = |number: u64| format!("0123456789abcd{number:02}");
    let handle = Handle::new(move |number| {
        let session = Session::new().with_query("sid", &number.to_string())?;
        Ok(session.with_bearer(&value(number))?)
    });
    handle.get().await;
    for number in 2..=4 {
        // Because it was rejected, or by choice.
        if number == 2 {
            handle.attempt().await.rejected();
        } else {
            handle.credentials.renew().await.unwrap();
        }
        let credential = handle.get().await;
        let carried: Vec<&str> = credential.carried_values().collect();
        assert_eq!(carried, [number, number - 1].map(value));
        let query: Vec<&str> = credential.query_secrets().collect();
        assert_eq!(query, [number, number - 1].map(|number| number.to_string()));
    }
}
