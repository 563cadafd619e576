//! The cookies of a session that is refreshed, and continues those of the one before it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::{Counter, Scripted};
use auth_core::{
    Attempt, Credential, Credentials, Identity, Lifetime, LoginError, Provider, Refresh,
    ResponseView, Secret, SecretSource, Session, Target, set_cookies,
};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use tokio::sync::Notify;

use crate::support::{self, DAY, HERE, HOUR, SECOND, settle};

const REFRESH: Target<'_> = Target::new("https", "api.example.com", "/auth/refresh");
const API: Target<'_> = Target::new("https", "api.example.com", "/api/x");
const MINUTE: Duration = Duration::from_secs(60);

fn answer(lines: &[&str]) -> HeaderMap {
    let lines = lines.iter();
    lines
        .map(|line| (SET_COOKIE, line.parse().unwrap()))
        .collect()
}

fn bearer(number: u64) -> Session {
    let session = Session::new().with_bearer(&format!("token-{number}"));
    let session = session.unwrap().with_lifetime(Lifetime::of(5 * MINUTE));
    session.with_kept("refresh", "r").unwrap()
}

/// A session with these cookies, of which those called `sid` are needed.
fn with_cookies(mut session: Session, lines: &[&str]) -> Session {
    for cookie in set_cookies(&answer(lines)) {
        session = if cookie.name == "sid" {
            session.with_set_cookie(&cookie)
        } else {
            session.with_optional_cookie(&cookie)
        }
        .unwrap();
    }
    session
}

type Refreshed = Box<dyn Fn() -> Session + Send + Sync>;

struct Api {
    inner: Scripted,
    refreshed: Refreshed,
    /// A refresh waits for it.
    answers: Arc<Notify>,
}

#[async_trait]
impl Provider for Api {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.inner.login(secret).await
    }

    fn refresh_by(&self) -> Option<Refresh> {
        Some(Refresh::with_kept("refresh"))
    }

    async fn refresh(&self, _: &Credential) -> Result<Session, LoginError> {
        self.answers.notified().await;
        Ok((self.refreshed)())
    }
}

struct Browser {
    credentials: Credentials,
    clock: ManualClock,
    logins: Counter,
    answers: Arc<Notify>,
}

impl Browser {
    /// What logins and refreshes return.
    fn new(
        login: impl Fn(u64) -> Session + Send + Sync + 'static,
        refreshed: impl Fn() -> Session + Send + Sync + 'static,
    ) -> Self {
        let (clock, answers) = (ManualClock::new(), Arc::new(Notify::new()));
        let inner = Scripted::new(move |number| Ok(login(number)));
        let logins = inner.logins();
        let api = Api {
            inner,
            refreshed: Box::new(refreshed),
            answers: Arc::clone(&answers),
        };
        Self {
            credentials: Credentials::builder(api).clock(clock.clock()).build(),
            clock,
            logins,
            answers,
        }
    }

    /// Logins bring the cookies `first`, and refreshes answer with `lines`.
    fn answering(first: &'static [&str], lines: &'static [&str]) -> Self {
        let login = move |number| with_cookies(bearer(number), first);
        Self::new(login, move || {
            bearer(100).continue_cookies(&answer(lines), REFRESH)
        })
    }

    async fn get(&self) -> Arc<Credential> {
        // One refresh may pass, if one is under way.
        self.answers.notify_one();
        self.credentials.get().await.unwrap()
    }

    async fn refresh(&self) -> Arc<Credential> {
        self.answers.notify_one();
        self.credentials.renew().await.unwrap()
    }

    /// A response to the current credential, with these cookies.
    fn respond(&self, lines: &[&str]) {
        let credential = Attempt::current(&self.credentials).unwrap();
        let attempt = Attempt::new(&self.credentials, &credential).sent_to(|| API);
        attempt.conclude(&ResponseView::new(StatusCode::OK, &answer(lines)));
    }
}

fn token(credential: &Arc<Credential>) -> String {
    support::token(credential)
}

/// The `Cookie` header of a request to `target`.
fn sent(credential: &Arc<Credential>, target: Target<'_>) -> String {
    let mut headers = HeaderMap::new();
    credential.attach_headers(target, &mut headers);
    let header = headers.get(COOKIE);
    header.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn rule_15_a_refreshed_session_continues_the_cookies_in_their_places() {
    let browser = Browser::new(
        |number| {
            let session = with_cookies(bearer(number), &["sid=s; Path=/api; Secure; Max-Age=3600"]);
            let own = ["lb=m-1; Path=/; Domain=example.com", "page=p; Path=/auth"];
            session.keep_cookies(&answer(&own), REFRESH)
        },
        || {
            let session = bearer(100).continue_cookies(&HeaderMap::new(), REFRESH);
            session.with_header_from_cookie("x-sid", "sid").unwrap()
        },
    );
    browser.get().await;
    browser.clock.advance(2 * MINUTE);
    let refreshed = browser.refresh().await;
    assert_eq!(token(&refreshed), "token-100");
    for (scheme, host, path, expected) in [
        ("https", "api.example.com", "/api/x", "sid=s; lb=m-1"),
        ("http", "api.example.com", "/api/x", "lb=m-1"),
        ("https", "api.example.com", "/", "lb=m-1"),
        ("https", "api.example.com", "/auth/x", "page=p; lb=m-1"),
        ("https", "b.example.com", "/auth", "lb=m-1"),
        ("https", "b.example.org", "/", ""),
    ] {
        let target = Target::new(scheme, host, path);
        assert_eq!(sent(&refreshed, target), expected, "{target:?}");
    }
    let mut headers = HeaderMap::new();
    refreshed.attach_headers(API, &mut headers);
    assert_eq!(headers["x-sid"], "s");
    // It keeps cookies of every name still.
    browser.respond(&["new=n; Path=/"]);
    assert_eq!(browser.get().await.cookie("new"), Some("n"));
    assert_eq!(browser.logins.count(), 1);
}

#[tokio::test]
async fn rule_15_a_refresh_gives_cookies_no_new_life() {
    let first = &["sid=s; Max-Age=420", "opt=o; Max-Age=360"];
    let browser = Browser::answering(first, &[]);
    browser.get().await;
    browser.clock.advance(4 * MINUTE);
    browser.refresh().await;
    assert_eq!(
        browser.credentials.status().expires_in,
        Some(3 * MINUTE),
        "what is left of the needed one's"
    );
    browser.clock.advance(2 * MINUTE - SECOND);
    assert_eq!(sent(&browser.get().await, HERE), "sid=s; opt=o");
    browser.clock.advance(SECOND);
    assert_eq!(sent(&browser.get().await, HERE), "sid=s");
    assert_eq!(browser.logins.count(), 1);
}

#[tokio::test]
async fn rule_15_a_refresh_revives_no_cookie_that_has_expired() {
    let browser = Browser::answering(&["sid=s", "opt=o; Max-Age=200"], &[]);
    browser.get().await;
    browser.clock.advance(5 * MINUTE);
    let refreshed = browser.get().await;
    assert_eq!(token(&refreshed), "token-100");
    assert_eq!(sent(&refreshed, HERE), "sid=s");
    // It is known still, and not needed.
    browser.respond(&["opt=o-2"]);
    assert_eq!(sent(&browser.get().await, HERE), "sid=s; opt=o-2");
    browser.respond(&["opt=; Max-Age=0"]);
    assert_eq!(sent(&browser.get().await, HERE), "sid=s");
    assert_eq!(browser.logins.count(), 1);

    // Of a needed one that has expired, nothing is left to refresh.
    let sliding = Lifetime::unknown().idle(4 * MINUTE);
    for sliding in [None, Some(sliding)] {
        let with_life = move |session: Session| match sliding {
            Some(life) => session.with_lifetime(life),
            None => session,
        };
        let browser = Browser::new(
            move |number| with_life(with_cookies(bearer(number), &["sid=s; Max-Age=200"])),
            move || with_life(bearer(100).continue_cookies(&HeaderMap::new(), REFRESH)),
        );
        browser.get().await;
        browser.clock.advance(200 * SECOND);
        let next = browser.get().await;
        assert_eq!(token(&next), "token-2");
        assert_eq!(next.stamp().generation(), 2, "the refresh has failed");
    }
}

#[tokio::test]
async fn rule_15_the_idle_deadline_is_the_end_of_the_needed_cookies_alone() {
    let sliding = |session: Session| session.with_lifetime(Lifetime::unknown().idle(4 * MINUTE));
    let logged_in = |lines: &'static [&str]| {
        Browser::new(
            move |number| sliding(with_cookies(bearer(number), lines)),
            move || sliding(bearer(100).continue_cookies(&HeaderMap::new(), REFRESH)),
        )
    };
    let browser = logged_in(&["sid=s; Max-Age=200", "opt=o; Max-Age=200"]);
    browser.get().await;
    browser.clock.advance(150 * SECOND);
    browser.respond(&[]);
    browser.clock.advance(100 * SECOND);
    assert_eq!(sent(&browser.refresh().await, HERE), "sid=s");

    let browser = logged_in(&["sid=s", "opt=o; Max-Age=3600"]);
    browser.get().await;
    browser.clock.advance(5 * MINUTE);
    let refreshed = browser.get().await;
    assert_eq!(token(&refreshed), "token-100");
    assert_eq!(sent(&refreshed, HERE), "sid=s; opt=o");
}

#[tokio::test]
async fn rule_15_the_answer_to_a_refresh_sets_and_deletes_cookies_as_any_answer() {
    let first = &["sid=s; Path=/api", "opt=o", "other=x; Path=/api"];
    let lines = &[
        "sid=s-2; Path=/api; Max-Age=120",
        "opt=; Max-Age=0",
        "other=; Path=/; Max-Age=0",
        "new=n",
        "sid=evil; Path=/api; Domain=example.org",
    ];
    let browser = Browser::answering(first, lines);
    browser.get().await;
    let refreshed = browser.refresh().await;
    assert_eq!(sent(&refreshed, API), "sid=s-2; other=x");
    assert_eq!(
        browser.credentials.status().expires_in,
        Some(2 * MINUTE),
        "it is needed as before"
    );
    browser.respond(&["other=; Path=/api; Max-Age=0"]);
    assert_eq!(sent(&browser.get().await, API), "sid=s-2");
    browser.respond(&["opt=o-2"]);
    assert_eq!(sent(&browser.get().await, API), "sid=s-2; opt=o-2");
    assert_eq!(browser.logins.count(), 1);
    browser.respond(&["sid=; Path=/api; Max-Age=0"]);
    assert!(Attempt::current(&browser.credentials).is_none());
}

#[tokio::test]
async fn rule_15_a_refresh_that_deletes_the_cookies_that_a_session_needs_has_failed() {
    let browser = Browser::answering(&["sid=s"], &["sid=; Max-Age=0"]);
    browser.get().await;
    browser.answers.notify_one();
    let failed = browser.credentials.renew().await.unwrap_err();
    assert!(failed.to_string().contains("could not"), "{failed}");
    let kind = failed.login_error().unwrap().kind();
    assert_eq!(kind, auth_core::LoginErrorKind::Malformed);
    let served = browser.get().await;
    assert_eq!(sent(&served, HERE), "sid=s", "a good session is used on");
    assert_eq!(browser.logins.count(), 1);
    browser.clock.advance(5 * MINUTE);
    assert_eq!(token(&browser.get().await), "token-2");
}

#[tokio::test]
async fn rule_15_a_cookie_that_a_response_sets_during_a_refresh_is_continued() {
    let browser = Browser::answering(&["sid=s"], &["lb=m-1"]);
    browser.credentials.get().await.unwrap();
    let refresh = tokio::spawn({
        let credentials = browser.credentials.clone();
        async move { credentials.renew().await.unwrap() }
    });
    settle().await;
    browser.respond(&["sid=s-2"]);
    browser.answers.notify_one();
    let refreshed = refresh.await.unwrap();
    assert_eq!(token(&refreshed), "token-100");
    assert_eq!(sent(&refreshed, HERE), "sid=s-2");
}

#[tokio::test]
async fn rule_15_a_refresh_revives_no_session_whose_cookies_were_deleted() {
    for (lines, number, cookies) in [
        (&[][..], "token-2", "sid=s; opt=o"),
        (&["sid=s-2"], "token-100", "opt=o; sid=s-2"),
    ] {
        let browser = Browser::answering(&["sid=s", "opt=o"], lines);
        browser.get().await;
        browser.respond(&["sid=; Max-Age=0"]);
        let next = browser.get().await;
        assert_eq!((&*token(&next), &*sent(&next, HERE)), (number, cookies));
    }
}

#[tokio::test]
async fn rule_15_a_cookie_that_the_refreshed_session_adds_replaces_all_of_its_name() {
    let with_ticket = |session: Session, value| session.with_cookie("ticket", value).unwrap();
    let browser = Browser::new(
        move |number| with_ticket(bearer(number), "t-1"),
        move || {
            let lines = ["ticket=no", "ticket=t-9; Path=/api", "ticket=; Max-Age=0"];
            let session = bearer(100).continue_cookies(&answer(&lines), REFRESH);
            with_ticket(session, "t-2")
        },
    );
    browser.get().await;
    browser.respond(&["ticket=wide; Domain=example.com"]);
    assert_eq!(sent(&browser.get().await, HERE), "ticket=wide");
    let refreshed = browser.refresh().await;
    assert_eq!(sent(&refreshed, HERE), "ticket=t-2");
    assert_eq!(sent(&refreshed, API), "ticket=t-9; ticket=t-2");
}

#[tokio::test]
async fn rule_15_a_life_that_was_set_holds_whatever_the_lives_of_continued_cookies() {
    let browser = Browser::new(
        |number| {
            let session = with_cookies(bearer(number), &["sid=s; Max-Age=3600"]);
            session.with_lifetime(Lifetime::of(HOUR))
        },
        || {
            let session = bearer(100).continue_cookies(&answer(&["sid=s; Max-Age=60"]), REFRESH);
            session.override_lifetime(Lifetime::of(DAY))
        },
    );
    browser.get().await;
    browser.refresh().await;
    assert_eq!(browser.credentials.status().expires_in, Some(DAY));
}

#[tokio::test]
async fn rule_15_a_refreshed_session_has_no_cookies_of_another_unless_it_says_so() {
    let login = |number| with_cookies(bearer(number), &["sid=s"]);
    let browser = Browser::new(login, || bearer(100));
    browser.get().await;
    assert_eq!(sent(&browser.refresh().await, HERE), "");

    // A session may be nothing but its cookies.
    let login = |_| {
        let session = with_cookies(Session::new(), &["sid=s"]);
        session.with_kept("refresh", "r").unwrap()
    };
    let browser = Browser::new(login, || {
        Session::new().continue_cookies(&HeaderMap::new(), REFRESH)
    });
    browser.get().await;
    let refreshed = browser.refresh().await;
    assert_eq!(sent(&refreshed, HERE), "sid=s");
    assert_eq!(refreshed.stamp().generation(), 2);
    assert_eq!(browser.logins.count(), 1);
}

#[tokio::test]
async fn rule_15_a_namesake_takes_the_place_of_a_cookie_that_a_refresh_deletes_or_outlives() {
    let moved = &[
        "sid=s-2; Path=/; Domain=example.com",
        "sid=; Path=/; Max-Age=0",
    ];
    let browser = Browser::answering(&["sid=s; Path=/"], moved);
    browser.get().await;
    let refreshed = browser.refresh().await;
    assert_eq!(token(&refreshed), "token-100");
    assert_eq!(sent(&refreshed, HERE), "sid=s-2");
    browser.respond(&["sid=; Path=/; Domain=example.com; Max-Age=0"]);
    assert!(browser.credentials.peek().is_none(), "it is needed");

    let browser = Browser::answering(&["sid=s; Path=/; Max-Age=200"], &[]);
    browser.get().await;
    browser.respond(&["sid=s-2; Path=/; Domain=example.com; Max-Age=3600"]);
    browser.clock.advance(5 * MINUTE);
    let refreshed = browser.get().await;
    assert_eq!(token(&refreshed), "token-100");
    assert_eq!(sent(&refreshed, HERE), "sid=s-2");
    assert_eq!(browser.logins.count(), 1);
}
