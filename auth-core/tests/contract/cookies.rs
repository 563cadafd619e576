//! The cookies of a session, as a user agent keeps them.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::{Counter, Scripted};
use auth_core::{
    Attempt, Credentials, Event, Identity, Lifetime, LoginError, Origin, Part, ResponseView, Scope,
    Session, Target, set_cookies,
};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request, StatusCode};

use crate::support::{DAY, HERE, HOUR, SECOND, on};

/// A login, and the browser's half of what a request does with its session.
pub(super) struct Browser {
    pub(super) credentials: Credentials,
    pub(super) clock: ManualClock,
    pub(super) logins: Counter,
    rolled: Arc<AtomicU64>,
}

impl Browser {
    pub(super) fn new(
        login: impl Fn(u64) -> Result<Session, LoginError> + Send + Sync + 'static,
    ) -> Self {
        Self::within(scope(), login)
    }

    pub(super) fn within(
        scope: Scope,
        login: impl Fn(u64) -> Result<Session, LoginError> + Send + Sync + 'static,
    ) -> Self {
        let (clock, provider) = (ManualClock::new(), Scripted::new(login));
        let (logins, rolled) = (provider.logins(), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&rolled);
        let credentials = on(&clock, provider)
            .scope(scope)
            .observer(move |_: &Identity, event: &Event| {
                if matches!(event, Event::Rolled { .. }) {
                    count.fetch_add(1, SeqCst);
                }
            })
            .build();
        Self {
            credentials,
            clock,
            logins,
            rolled,
        }
    }

    /// The `Cookie` header of a request to `target`.
    pub(super) async fn cookies(&self, target: Target<'_>) -> String {
        let mut headers = HeaderMap::new();
        let credential = self.credentials.get().await.unwrap();
        credential.attach_headers(target, &mut headers);
        let header = headers.get(COOKIE);
        header.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }

    /// Sends a request to `target`, and reads the answer. Returns the cookies that it carried.
    pub(super) async fn send(&self, target: Target<'_>, status: u16, lines: &[&str]) -> String {
        let carried = self.cookies(target).await;
        let credential = self.credentials.get().await.unwrap();
        let attempt = Attempt::new(&self.credentials, &credential).sent_to(|| target);
        let mut headers = response(lines);
        let mut redacted = attempt.clone();
        redacted.redact(&mut headers);
        let status = StatusCode::from_u16(status).unwrap();
        redacted.conclude(&ResponseView::new(status, &headers));
        carried
    }

    pub(super) fn rolled(&self) -> u64 {
        self.rolled.load(SeqCst)
    }
}

fn scope() -> Scope {
    let origin = |url| Origin::parse(url).unwrap();
    Scope::only(origin("https://api.example.com"))
        .and(origin("https://data.example.com"))
        .and(origin("http://127.0.0.1:8080"))
        .and(Origin::allow_plain_http("http://plain.example.com").unwrap())
}

pub(super) fn at(path: &str) -> Target<'_> {
    Target::new("https", "api.example.com", path)
}

pub(super) fn response(lines: &[&str]) -> HeaderMap {
    let values = lines.iter().map(|line| (SET_COOKIE, line.parse().unwrap()));
    values.collect()
}

/// A session of the cookies that a login's response set.
pub(super) fn set_by(lines: &[&str]) -> Result<Session, LoginError> {
    let mut session = Session::new();
    for cookie in set_cookies(&response(lines)) {
        session = session.with_set_cookie(&cookie)?;
    }
    Ok(session)
}

pub(super) fn named(lines: &'static [&'static str]) -> Browser {
    Browser::new(move |_| set_by(lines))
}

/// A session that keeps every cookie.
pub(super) fn keeping(own: &'static str, lines: &'static [&'static str]) -> Browser {
    Browser::new(move |_| {
        let login = at("/api/auth/login");
        Ok(set_by(&[own])?.keep_cookies(&response(lines), login))
    })
}

#[tokio::test]
async fn rule_15_a_deletion_with_another_path_or_domain_is_of_another_cookie() {
    for deletion in [
        "sid=; Path=/legacy; Max-Age=0",
        "sid=; Path=/; Domain=.localdomain; Max-Age=0",
        "sid=; Path=/; Domain=example.com; Max-Age=0",
        "sid=; Path=/; Domain=api.example.com; Max-Age=0",
        "sid=; Path=/; Domain=example.org; Max-Age=0",
        "sid=; Path=/; Domain=com; Max-Age=0",
        "SID=; Path=/; Max-Age=0",
        "=; Path=/; Max-Age=0",
    ] {
        for lines in [
            &["sid=s1; Path=/; Max-Age=604800", deletion][..],
            &[deletion],
        ] {
            let browser = named(&["sid=s1; Path=/; Max-Age=604800"]);
            for _ in 0..20 {
                assert_eq!(browser.send(HERE, 200, lines).await, "sid=s1");
                browser.clock.advance(30 * SECOND);
            }
            assert_eq!(browser.logins.count(), 1, "{lines:?}");
            assert_eq!(browser.rolled(), 0, "{lines:?}");
        }
    }
}

#[tokio::test]
async fn rule_15_a_new_value_beside_a_namesakes_deletion_is_kept() {
    for lines in [
        ["sid=new; Path=/", "sid=; Path=/legacy; Max-Age=0"],
        ["sid=; Path=/legacy; Max-Age=0", "sid=new; Path=/"],
        ["sid=; Path=/; Max-Age=0", "sid=new; Path=/"],
    ] {
        let browser = named(&["sid=old; Path=/"]);
        browser.send(HERE, 200, &lines).await;
        assert_eq!(browser.cookies(HERE).await, "sid=new", "{lines:?}");
        assert_eq!((browser.logins.count(), browser.rolled()), (1, 1));
    }
}

#[tokio::test]
async fn rule_15_a_deletion_of_the_same_name_domain_and_path_ends_the_session() {
    for deletion in [
        "sid=; Path=/; Max-Age=0",
        "sid=gone; Path=/; Max-Age=-1",
        "sid=; path=/; EXPIRES=Thu, 01 Jan 1970 00:00:00 GMT",
        "sid=; Path=/; Expires=Thu, 01-Jan-15 00:00:00 GMT",
        "sid=; Max-Age=0; Path=/legacy; Path=/",
        "sid=; Path=/",
        "sid=\"\"; Path=/",
    ] {
        let browser = named(&["sid=s1; Path=/"]);
        browser.send(at("/v3/me"), 200, &[deletion]).await;
        assert!(browser.credentials.peek().is_none(), "{deletion}");
    }
}

#[tokio::test]
async fn rule_15_a_deletion_without_a_path_is_for_that_of_its_request() {
    let one = Scope::only(Origin::parse("https://api.example.com").unwrap());
    for scope in [one, scope()] {
        for deletion in ["sid=; Max-Age=0", "sid=x; Max-Age=0; Path=nowhere", "sid="] {
            for (login, path, deletes) in [
                ("sid=s1; Path=/", "/v3/me", false),
                ("sid=s1; Path=/", "/v3/", false),
                ("sid=s1; Path=/", "/me", true),
                ("sid=s1; Path=/", "/", true),
                ("sid=s1; Path=/v3", "/v3/me", true),
                ("sid=s1; Path=/v3", "/v3/me/photo", false),
                // The server states no path, so the cookie goes everywhere, and so does its end.
                ("sid=s1", "/v3/me", true),
            ] {
                let browser = Browser::within(scope.clone(), move |_| set_by(&[login]));
                // A value that is set without a path is not stored beside the other one.
                if login.ends_with("Path=/") {
                    browser.send(at("/v3/me"), 200, &["sid=s2"]).await;
                }
                browser.send(HERE, 200, &[]).await;
                let stored = browser.credentials.session().unwrap().to_parts();
                browser.send(at(path), 200, &[deletion]).await;
                let ended = browser.credentials.peek().is_none();
                assert_eq!(ended, deletes, "{login}, {path}: {deletion}");
                let restored = move |_| Ok(stored.to_session()?);
                let browser = Browser::within(scope.clone(), restored);
                browser.send(at(path), 200, &[deletion]).await;
                let ended = browser.credentials.peek().is_none();
                assert_eq!(ended, deletes, "restored: {login}, {path}: {deletion}");
            }
        }
    }
}

#[tokio::test]
async fn rule_15_a_path_that_the_server_states_with_the_same_value_is_heard() {
    let browser = named(&["sid=s1"]);
    let first = browser.credentials.get().await.unwrap();
    browser.send(HERE, 200, &["sid=s1; Path=/"]).await;
    let heard = browser.credentials.get().await.unwrap();
    assert_eq!(first.stamp(), heard.stamp(), "no revision");
    for line in ["sid=s1; Path=/", "sid=s1", "sid=s1; Path=/"] {
        browser.send(HERE, 200, &[line]).await;
        let after = browser.credentials.get().await.unwrap();
        assert!(Arc::ptr_eq(&heard, &after), "it is known: {line}");
    }
    browser.send(at("/api/x"), 200, &["sid=; Max-Age=0"]).await;
    assert!(browser.credentials.peek().is_some(), "of another path");
    assert_eq!((browser.rolled(), browser.logins.count()), (0, 1));
    browser.send(at("/x"), 200, &["sid=; Max-Age=0"]).await;
    assert!(browser.credentials.peek().is_none());
}

/// A 403 is not accepted, so only a life that is stated anew would move the deadline.
#[tokio::test]
async fn rule_15_a_path_that_is_stated_moves_no_idle_deadline() {
    let browser = Browser::new(|_| {
        let session = set_by(&["sid=s1"])?;
        Ok(session.with_lifetime(Lifetime::unknown().idle(HOUR)))
    });
    browser.credentials.get().await.unwrap();
    browser.clock.advance(60 * SECOND);
    browser.send(HERE, 403, &["sid=s1; Path=/"]).await;
    let left = browser.credentials.status().idle_in;
    assert_eq!(left, Some(HOUR - 60 * SECOND));
    browser.send(at("/api/x"), 403, &["sid=; Max-Age=0"]).await;
    assert!(browser.credentials.peek().is_some(), "the path is known");
}

#[tokio::test]
async fn rule_7_cookies_are_heard_from_the_apis_own_errors_and_not_from_what_lies_between() {
    for (status, heard) in [
        (200, true),
        (302, true),
        (400, true),
        (403, true),
        (404, true),
        (409, true),
        (422, true),
        (429, true),
        (500, true),
        (407, false),
        (502, false),
        (503, false),
        (504, false),
        (511, false),
    ] {
        let browser = Browser::new(|_| {
            let sliding = Lifetime::unknown().idle(HOUR);
            Ok(Session::new()
                .with_cookie("sid", "0")?
                .with_lifetime(sliding))
        });
        // The server accepts the newest value only, and sets the next one with every answer.
        for round in 0..16 {
            let next = format!("sid={}; Path=/", round + 1);
            let carried = browser.send(HERE, status, &[&next]).await;
            let expected = if heard { round } else { 0 };
            assert_eq!(carried, format!("sid={expected}"), "{status}");
        }
        assert_eq!(browser.logins.count(), 1, "{status}");
    }
}

#[tokio::test]
async fn rule_15_an_error_of_the_api_does_not_slide_the_session() {
    for (status, slides) in [(200, true), (404, false), (500, false), (502, false)] {
        let browser = Browser::new(|_| {
            let sliding = Lifetime::unknown().idle(HOUR);
            Ok(Session::new()
                .with_cookie("sid", "0")?
                .with_lifetime(sliding))
        });
        browser.send(HERE, 200, &[]).await;
        browser.clock.advance(60 * SECOND);
        browser.send(HERE, status, &["sid=0; Path=/"]).await;
        let left = if slides { HOUR } else { HOUR - 60 * SECOND };
        assert_eq!(browser.credentials.status().idle_in, Some(left), "{status}");
    }
}

#[tokio::test]
async fn rule_15_a_cookie_that_slides_carries_the_session_beside_one_that_is_set_once() {
    let as_set: fn(u64) -> Result<Session, LoginError> =
        |_| set_by(&["sessionid=s; Max-Age=2", "csrftoken=c"]);
    let with_a_year: fn(u64) -> Result<Session, LoginError> =
        |_| set_by(&["sessionid=s; Max-Age=2", "csrftoken=c; Max-Age=31449600"]);
    let by_the_provider: fn(u64) -> Result<Session, LoginError> = |_| {
        let session = Session::new().with_cookie("sessionid", "s")?;
        let session = session.with_cookie("csrftoken", "c")?;
        Ok(session.with_lifetime(Lifetime::of(2 * SECOND)))
    };
    for login in [as_set, with_a_year, by_the_provider] {
        let browser = Browser::new(login);
        for _ in 0..80 {
            browser
                .send(HERE, 200, &["sessionid=s; Path=/; Max-Age=2"])
                .await;
            browser.clock.advance(SECOND / 10);
        }
        assert_eq!((browser.logins.count(), browser.rolled()), (1, 0));
        // The other way round: without the one that slides, the session ends.
        browser
            .send(HERE, 200, &["csrftoken=c; Path=/; Max-Age=31449600"])
            .await;
        browser.clock.advance(2 * SECOND);
        assert!(browser.credentials.peek().is_none());
    }
}

#[tokio::test]
async fn rule_15_the_life_of_a_session_is_the_least_of_its_named_cookies() {
    let browser = named(&["a=1; Max-Age=3600", "b=1; Max-Age=7200", "c=1"]);
    let expires_in = || browser.credentials.status().expires_in;
    browser.send(HERE, 200, &[]).await;
    assert_eq!(expires_in(), Some(HOUR));
    browser
        .send(HERE, 200, &["a=1; Path=/; Max-Age=86400"])
        .await;
    assert_eq!(expires_in(), Some(2 * HOUR));
    browser.send(HERE, 200, &["c=1; Path=/; Max-Age=60"]).await;
    assert_eq!(expires_in(), Some(60 * SECOND));
    browser
        .send(HERE, 200, &["c=1; Path=/; Max-Age=99999999999999999999"])
        .await;
    assert_eq!(expires_in(), Some(2 * HOUR));
    browser.send(HERE, 200, &["d=1; Path=/; Max-Age=1"]).await;
    assert_eq!(expires_in(), Some(2 * HOUR), "not one of the session's");
    browser
        .send(HERE, 200, &["b=1; Path=/legacy; Max-Age=1"])
        .await;
    assert_eq!(expires_in(), Some(2 * HOUR), "a namesake");
    assert_eq!(browser.rolled(), 1, "the namesake");
}

#[tokio::test]
async fn rule_15_a_longer_life_of_one_cookie_does_not_extend_what_the_provider_stated_for_another()
{
    let browser = Browser::new(|_| {
        let session = Session::new().with_cookie("sid", "s")?;
        let session = session.with_cookie("csrf", "c")?;
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    });
    let year = "csrf=c; Path=/; Max-Age=31449600";
    browser.send(HERE, 200, &[year]).await;
    assert_eq!(browser.credentials.status().expires_in, Some(HOUR));
    browser
        .send(HERE, 200, &["sid=s; Path=/; Max-Age=86400"])
        .await;
    assert_eq!(browser.credentials.status().expires_in, Some(DAY));
}

#[tokio::test]
async fn rule_15_in_a_sliding_session_the_shortest_named_life_is_the_idle_timeout() {
    let browser = Browser::new(|_| {
        let session = set_by(&["sid=s; Max-Age=600", "csrf=c; Max-Age=86400"])?;
        Ok(session.with_lifetime(Lifetime::unknown().idle(HOUR)))
    });
    let idle_in = || browser.credentials.status().idle_in;
    browser.send(HERE, 200, &[]).await;
    assert_eq!(idle_in(), Some(600 * SECOND));
    browser
        .send(HERE, 200, &["sid=s2; Path=/; Max-Age=60"])
        .await;
    assert_eq!(idle_in(), Some(60 * SECOND));
    browser.send(HERE, 200, &["sid=s3; Path=/"]).await;
    assert_eq!(idle_in(), Some(HOUR), "the provider's");
    assert_eq!(browser.credentials.status().expires_in, None);
}

#[tokio::test]
async fn rule_15_a_cookie_that_is_set_to_what_it_is_changes_nothing() {
    for line in [
        "csrftoken=c; Path=/",
        "csrftoken=c; Path=/; Secure; HttpOnly; SameSite=Lax",
        "csrftoken=c; Path=/; Domain=api.example.com",
        "csrftoken=c; Path=/; Max-Age=31449600",
        "csrftoken=c",
    ] {
        let browser = Browser::new(|_| {
            let session = Session::new().with_cookie("sessionid", "s")?;
            Ok(session.with_cookie("csrftoken", "c")?)
        });
        browser.send(HERE, 200, &[line]).await;
        let before = browser.credentials.get().await.unwrap();
        for _ in 0..1_000 {
            browser.clock.advance(SECOND / 2_000);
            browser.send(HERE, 200, &[line]).await;
        }
        let after = browser.credentials.get().await.unwrap();
        assert!(Arc::ptr_eq(&before, &after), "no new credential: {line}");
        assert_eq!((browser.rolled(), browser.logins.count()), (0, 1), "{line}");
    }
}

#[tokio::test]
async fn rule_15_a_life_that_slides_is_stored_at_most_once_a_second() {
    let browser = named(&["sid=s; Path=/; Max-Age=60"]);
    let mut credential = browser.credentials.get().await.unwrap();
    let mut stored = 0;
    for _ in 0..100 {
        browser.clock.advance(SECOND / 10);
        browser
            .send(HERE, 200, &["sid=s; Path=/; Max-Age=60"])
            .await;
        let newer = browser.credentials.get().await.unwrap();
        stored += u64::from(!Arc::ptr_eq(&credential, &newer));
        assert_eq!(credential.stamp(), newer.stamp());
        credential = newer;
    }
    assert_eq!(stored, 10);
    let left = browser.credentials.status().expires_in.unwrap();
    assert!(left > 59 * SECOND, "{left:?}");
}

#[tokio::test]
async fn rule_15_the_idle_timeout_is_no_end_of_a_cookie_that_a_sliding_session_can_do_without() {
    let browser = Browser::new(|_| {
        let optional = response(&["ui=1; Path=/; Max-Age=60"]);
        let session = set_by(&["sid=s; Path=/; Max-Age=600"])?;
        let session = session.with_optional_cookie(&set_cookies(&optional).next().unwrap())?;
        Ok(session.with_lifetime(Lifetime::unknown().idle(HOUR)))
    });
    let before = browser.credentials.get().await.unwrap();
    browser.clock.advance(50 * SECOND);
    let named = "sid=s; Path=/; Max-Age=600";
    browser.send(HERE, 200, &[named]).await;
    let after = browser.credentials.get().await.unwrap();
    assert!(Arc::ptr_eq(&before, &after), "the same idle timeout");
    browser.send(HERE, 200, &["ui=1; Path=/; Max-Age=60"]).await;
    browser.clock.advance(59 * SECOND);
    assert_eq!(browser.cookies(HERE).await, "sid=s; ui=1");
    browser.clock.advance(SECOND);
    assert_eq!(browser.cookies(HERE).await, "sid=s");
}

#[tokio::test]
async fn rule_14_a_life_that_is_stated_anew_counts_on_both_clocks() {
    const LINE: &str = "sid=s; Path=/; Max-Age=3600";
    let browser = named(&[LINE]);
    browser.cookies(HERE).await;
    browser.clock.set_wall_forward(HOUR / 2);
    let expires_in = || browser.credentials.status().expires_in;
    assert_eq!(expires_in(), Some(HOUR / 2));
    browser.send(HERE, 200, &[LINE]).await;
    assert_eq!(expires_in(), Some(HOUR));
}

#[tokio::test]
async fn rule_15_a_request_is_given_the_cookies_that_go_to_its_url() {
    let browser = named(&["sid=s; Path=/api"]);
    let credential = browser.credentials.get().await.unwrap();
    for (path, carried) in [("/api/x", true), ("/other", false)] {
        let url = format!("https://api.example.com{path}");
        let mut request = Request::get(url).body(()).unwrap();
        credential.attach(&mut request).unwrap();
        assert_eq!(request.headers().contains_key(COOKIE), carried, "{path}");
    }
}

#[tokio::test]
async fn rule_16_a_cookie_belongs_to_the_session_that_has_it_or_keeps_them_all() {
    let alone = named(&["sid=s"]).credentials.get().await.unwrap();
    assert!(alone.owns_cookie("sid") && !alone.owns_cookie("lb"));
    assert!(alone.keeps_cookie("sid") && !alone.keeps_cookie("lb"));
    let all = keeping("sid=s", &[]).credentials.get().await.unwrap();
    assert!(all.owns_cookie("sid") && !all.owns_cookie("lb"));
    assert!(all.keeps_cookie("sid") && all.keeps_cookie("lb"));
}

#[tokio::test]
async fn rule_15_a_cookie_that_the_provider_adds_replaces_one_of_its_name_domain_and_path() {
    let browser = named(&[
        "sid=1; Path=/api",
        "sid=2; Path=/",
        "sid=3; Path=/; Domain=example.com",
        "sid=4; Path=/",
    ]);
    let cookies = browser.cookies(at("/api")).await;
    assert_eq!(cookies, "sid=1; sid=3; sid=4");
}

#[tokio::test]
async fn rule_15_a_cookie_of_the_provider_goes_to_the_whole_scope_unless_it_is_narrowed() {
    for (line, sent_to, not_sent_to) in [
        ("sid=s", &["/", "/api/x", "/other"][..], &[][..]),
        ("sid=s; Path=", &["/", "/api/x"], &[]),
        ("sid=s; Path=relative", &["/", "/api/x"], &[]),
        ("sid=s; Path=/x; Path=/", &["/", "/api/x"], &[]),
        (
            "sid=s; Path=/api",
            &["/api", "/api/x"],
            &["/", "/apix", "/API"],
        ),
        ("sid=s; Path=/api/", &["/api/", "/api/x"], &["/api", "/"]),
    ] {
        let browser = Browser::new(move |_| set_by(&[line]));
        for path in sent_to {
            assert_eq!(browser.cookies(at(path)).await, "sid=s", "{line} {path}");
        }
        for path in not_sent_to {
            assert_eq!(browser.cookies(at(path)).await, "", "{line} {path}");
        }
    }
}

#[tokio::test]
async fn rule_16_domain_and_secure_narrow_the_scope() {
    let api = at("/");
    let data = Target::new("https", "data.example.com", "/");
    let loopback = Target::new("http", "127.0.0.1", "/");
    let plain = Target::new("http", "plain.example.com", "/");
    let all = [api, data, loopback, plain];
    for (line, carried) in [
        ("sid=s", [true, true, true, true]),
        ("sid=s; Domain=Example.com", [true, true, false, true]),
        (
            "sid=s; Domain=.data.example.com",
            [false, true, false, false],
        ),
        ("sid=s; Domain=127.0.0.1", [false, false, true, false]),
        ("sid=s; Domain=a.example; Domain=.", [true; 4]),
        ("sid=s; Secure", [true, true, true, false]),
        ("__Host-sid=s; Secure; Path=/", [true, true, true, false]),
    ] {
        let browser = Browser::new(move |_| set_by(&[line]));
        for (target, carried) in all.into_iter().zip(carried) {
            let cookies = browser.cookies(target).await;
            assert_eq!(!cookies.is_empty(), carried, "{line} {target:?}");
        }
    }
}

#[tokio::test]
async fn rule_16_a_domain_that_does_not_cover_the_host_of_the_answer_sets_nothing() {
    let data = Target::new("https", "data.example.com", "/");
    for (from, line, at_api, at_data) in [
        (at("/"), "sid=1; Path=/; Domain=com", "sid=0", "sid=0"),
        (
            at("/"),
            "sid=1; Path=/; Domain=b.example.com",
            "sid=0",
            "sid=0",
        ),
        (
            data,
            "sid=1; Path=/; Domain=api.example.com",
            "sid=0",
            "sid=0",
        ),
        (
            data,
            "sid=1; Path=/; Domain=data.example.com",
            "sid=0",
            "sid=0; sid=1",
        ),
        (data, "sid=1; Path=/", "sid=1", "sid=1"),
        (
            data,
            "sid=1; Path=/; Domain=.example.com",
            "sid=0; sid=1",
            "sid=0; sid=1",
        ),
    ] {
        let browser = named(&["sid=0"]);
        browser.send(from, 200, &[line]).await;
        assert_eq!(browser.cookies(at("/")).await, at_api, "{line}");
        assert_eq!(browser.cookies(data).await, at_data, "{line}");
    }
}

#[tokio::test]
async fn rule_15_only_a_named_cookie_that_is_set_moves_the_idle_deadline() {
    for (line, moves) in [
        ("sid=2; Path=/", true),
        ("csrf=; Path=/; Max-Age=0", false),
        ("AWSALB=n4; Path=/", false),
        ("AWSALB=n3; Path=/; Max-Age=9", false),
    ] {
        let browser = Browser::new(|_| {
            let session = set_by(&["sid=1", "csrf=c"])?.keep_cookies(&response(&[]), HERE);
            Ok(session.with_lifetime(Lifetime::unknown().idle(HOUR)))
        });
        browser.send(HERE, 200, &["AWSALB=n3; Path=/"]).await;
        browser.clock.advance(60 * SECOND);
        browser.send(HERE, 404, &[line]).await;
        let left = if moves { HOUR } else { HOUR - 60 * SECOND };
        assert_eq!(browser.credentials.status().idle_in, Some(left), "{line}");
    }
}

#[tokio::test]
async fn rule_15_cookies_of_one_name_are_sent_together_longer_paths_first_and_then_older_ones() {
    let browser = named(&["sid=root; Path=/", "csrf=c; Path=/"]);
    let lines = [
        "sid=deep; Path=/api/v2",
        "sid=\"q=1 2\"; Path=/api",
        "sid=x; Path=/other",
    ];
    browser.send(at("/"), 200, &lines).await;
    assert_eq!(browser.cookies(at("/")).await, "sid=root; csrf=c");
    let deep = "sid=deep; sid=\"q=1 2\"; sid=root; csrf=c";
    assert_eq!(browser.cookies(at("/api/v2/x")).await, deep);
    browser.send(at("/"), 200, &["sid=root2; Path=/"]).await;
    assert_eq!(
        browser.cookies(at("/")).await,
        "sid=root2; csrf=c",
        "in its place"
    );
    browser
        .send(at("/"), 200, &["sid=; Path=/api/v2; Max-Age=0"])
        .await;
    assert_eq!(
        browser.cookies(at("/api/v2")).await,
        "sid=\"q=1 2\"; sid=root2; csrf=c"
    );
    let credential = browser.credentials.get().await.unwrap();
    assert_eq!(credential.cookie("sid"), Some("root2"), "the provider's");
}

#[tokio::test]
async fn rule_15_an_answer_without_a_path_means_the_providers_cookie() {
    let browser = named(&["sid=0; Path=/api"]);
    browser.send(at("/api/x"), 200, &["sid=1"]).await;
    assert_eq!(
        browser.cookies(at("/api/y")).await,
        "sid=1",
        "the default path is its own"
    );
    let browser = named(&["sid=0"]);
    browser.send(at("/api/v2/x"), 200, &["sid=1"]).await;
    assert_eq!(browser.cookies(at("/other")).await, "sid=1");
    assert_eq!(browser.logins.count(), 1);
}

#[tokio::test]
async fn rule_15_an_answer_without_a_path_means_the_cookie_that_its_request_carried() {
    let browser = named(&["sid=0; Path=/api"]);
    browser.send(at("/api/v3/x"), 200, &["sid=1"]).await;
    assert_eq!(browser.cookies(at("/api/v3/y")).await, "sid=1");
    assert_eq!(browser.cookies(at("/api/x")).await, "sid=1");
    assert_eq!((browser.logins.count(), browser.rolled()), (1, 1));
}

#[tokio::test]
async fn rule_15_an_answer_without_a_path_means_the_cookie_of_its_name_among_several() {
    let browser = named(&["first=0; Path=/api/v3", "sid=0; Path=/api"]);
    browser.send(at("/api/v3/me/x"), 200, &["sid=1"]).await;
    assert_eq!(browser.cookies(at("/api/v3/y")).await, "first=0; sid=1");
    assert_eq!(browser.cookies(at("/api/x")).await, "sid=1");
}

/// The server does not know the session then, and what it sets may be an anonymous one.
#[tokio::test]
async fn rule_7_the_answer_to_a_request_that_carried_nothing_replaces_no_cookie_of_the_session() {
    for line in [
        "sid=anon; Path=/api",
        "sid=; Path=/api; Max-Age=0",
        "sid=anon",
    ] {
        let browser = named(&["sid=0; Path=/api"]);
        browser.send(at("/health"), 200, &[line]).await;
        assert_eq!(browser.cookies(at("/api/x")).await, "sid=0", "{line}");
        assert_eq!((browser.logins.count(), browser.rolled()), (1, 0));
    }
}

#[tokio::test]
async fn rule_15_a_login_whose_session_has_a_cookie_header_has_failed() {
    let with_part = |_| Ok(Session::new().with_part(Part::header("Cookie", "sid=s1"))?);
    let with_header = |_| {
        let value = HeaderValue::from_static("sid=s1");
        Ok(Session::new().with_bearer("t")?.with_header(COOKIE, value))
    };
    for browser in [Browser::new(with_part), Browser::new(with_header)] {
        let error = browser.credentials.get().await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("with_cookie"), "{source}");
    }
}

#[tokio::test]
async fn rule_15_the_path_of_an_answer_counts_where_there_is_one_origin() {
    let one = || Scope::only(Origin::parse("https://api.example.com").unwrap());
    let browser = Browser::within(one(), |_| set_by(&["sid=0; Path=/api"]));
    browser.send(at("/api/x"), 200, &["sid=1"]).await;
    assert_eq!(browser.cookies(at("/api/y")).await, "sid=1");
    let browser = Browser::within(one(), |_| {
        Ok(set_by(&["sid=s"])?.keep_cookies(&response(&[]), at("/login")))
    });
    browser.send(at("/v3/me"), 200, &["ui=1"]).await;
    assert_eq!(browser.cookies(at("/v3/x")).await, "ui=1; sid=s");
    assert_eq!(browser.cookies(at("/")).await, "sid=s");
}

#[test]
fn rule_18_a_login_is_given_the_cookies_of_its_own_answers_as_a_user_agent_sends_them() {
    let answer = response(&["csrf=c; Path=/login", "lang=en; Path=/"]);
    let jar = Session::new().keep_cookies(&answer, at("/login"));
    let header = jar.cookie_header(at("/login/2")).unwrap();
    assert_eq!(header, "csrf=c; lang=en");
    assert!(header.is_sensitive());
    assert_eq!(jar.cookie_header(at("/")).unwrap(), "lang=en");
    let elsewhere = Target::new("https", "example.org", "/");
    assert!(jar.cookie_header(elsewhere).is_none());
}

#[tokio::test]
async fn rule_15_cookies_beside_the_sessions_are_kept_by_choice() {
    let login = &[
        "sid=s; Path=/",
        "AWSALB=n3; Path=/; Max-Age=604800",
        "ui=1",
        "x=1; Domain=b.org",
    ];
    let without = named(&["sid=s; Path=/"]);
    without.send(HERE, 200, &["AWSALB=n4; Path=/"]).await;
    assert_eq!(without.cookies(HERE).await, "sid=s");

    let browser = keeping("sid=s; Path=/; Max-Age=3600", login);
    assert_eq!(browser.cookies(at("/")).await, "sid=s; AWSALB=n3");
    let below = browser.cookies(at("/api/auth/me")).await;
    assert_eq!(below, "ui=1; sid=s; AWSALB=n3", "by the default path");
    let data = Target::new("https", "data.example.com", "/api/auth/me");
    assert_eq!(
        browser.cookies(data).await,
        "sid=s",
        "only to the host that set it"
    );

    let first = browser.credentials.get().await.unwrap();
    let lines = [
        "AWSALB=n4; Path=/",
        "flash=1; Max-Age=60",
        "sid=; Path=/legacy; Max-Age=0",
    ];
    browser.send(at("/v3/me"), 404, &lines).await;
    assert_eq!(
        browser.cookies(at("/v3/x")).await,
        "flash=1; sid=s; AWSALB=n4"
    );
    let attempt = Attempt::new(&browser.credentials, &first);
    assert_eq!(attempt.stamp(), browser.credentials.peek().unwrap().stamp());
    assert_eq!(browser.rolled(), 0);
    assert_eq!(browser.credentials.status().expires_in, Some(HOUR));

    browser.clock.advance(60 * SECOND);
    assert_eq!(
        browser.cookies(at("/v3/x")).await,
        "sid=s; AWSALB=n4",
        "the flash has expired"
    );
    assert!(browser.credentials.fresh().is_some());
    browser.send(at("/"), 200, &["AWSALB=; Path=/"]).await;
    let empty = browser.cookies(at("/")).await;
    assert_eq!(empty, "sid=s; AWSALB=", "a value like any other");
    browser
        .send(at("/"), 200, &["AWSALB=; Path=/; Max-Age=0"])
        .await;
    assert_eq!(browser.cookies(at("/")).await, "sid=s");
    browser
        .send(at("/"), 200, &["sid=; Path=/; Max-Age=0"])
        .await;
    assert!(browser.credentials.peek().is_none());
    assert_eq!(browser.logins.count(), 1);
}

#[tokio::test]
async fn rule_15_a_server_that_sets_another_cookie_each_time_does_not_fill_the_header() {
    let browser = keeping("sid=s; Path=/", &[]);
    for round in 0..200 {
        browser
            .send(HERE, 200, &[&format!("c{round}=1; Path=/")])
            .await;
    }
    assert_eq!(browser.cookies(HERE).await.split("; ").count(), 51);
    // One that is deleted makes room.
    let lines = ["c0=; Path=/; Max-Age=0", "new=1; Path=/"];
    browser.send(HERE, 200, &lines).await;
    assert!(browser.cookies(HERE).await.ends_with("; new=1"));
}

/// As in RFC 6265, section 6.1.
#[tokio::test]
async fn rule_15_a_cookie_that_the_login_did_not_bring_is_not_larger_than_a_browser_takes() {
    let browser = keeping("sid=s; Path=/", &[]);
    let line = |name: &str, rest: usize| format!("{name}={}; Path=/", "x".repeat(rest));
    // With its path, and the host that it belongs to.
    let most = 4_096 - "b".len() - "/".len() - "api.example.com".len();
    browser
        .send(HERE, 200, &["a=1; Path=/", &line("b", most)])
        .await;
    let carried = browser.cookies(HERE).await;
    assert_eq!(carried.len(), "sid=s; a=1; b=".len() + most);
    // A larger one is not taken, and the one before stays.
    for name in ["a", "b", "c"] {
        browser.send(HERE, 200, &[&line(name, most + 1)]).await;
    }
    let long_path = format!("c=1; Path=/{}", "x".repeat(4_096));
    browser.send(HERE, 200, &[&long_path]).await;
    assert_eq!(browser.cookies(HERE).await, carried);
    // The session's own is its provider's choice.
    browser.send(HERE, 200, &[&line("sid", 5_000)]).await;
    let more = 5_000 - "s".len();
    assert_eq!(browser.cookies(HERE).await.len(), carried.len() + more);
}

#[tokio::test]
async fn rule_15_a_server_that_sets_the_sessions_cookie_for_ever_other_paths_does_not_fill_it() {
    let browser = named(&["sid=s; Path=/"]);
    for round in 0..200 {
        let line = format!("sid=s{round}; Path=/v3/{round}");
        browser.send(HERE, 200, &[&line]).await;
    }
    let mut taken = 0;
    for round in 0..200 {
        let path = format!("/v3/{round}");
        let target = Target::new("https", "api.example.com", &path);
        let pairs = browser.cookies(target).await.split("; ").count();
        taken += usize::from(pairs == 2);
    }
    assert_eq!(taken, 50);
}

/// Its value can't be kept as text.
#[tokio::test]
async fn rule_15_a_cookie_of_the_session_that_is_not_utf_8_is_an_event_and_changes_nothing() {
    let unheard = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&unheard);
    let login = |_| Ok(Session::new().with_cookie("sid", "s")?.with_bearer("b")?);
    let credentials = Credentials::builder(Scripted::new(login))
        .observer(move |_: &Identity, event: &Event| {
            if let Event::CookieUnheard { stamp, name } = event {
                noted.lock().unwrap().push(format!("{stamp} {name}"));
            }
        })
        .build();
    for generation in 1..=2 {
        let credential = credentials.renew().await.unwrap();
        for line in [
            &b"other=caf\xe9"[..],
            b"sid=s; Comment=caf\xe9",
            b"\xe9",
            b"\xe9=1",
            b" sid = caf\xe9; Path=/",
            b"sid=\xe9",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(SET_COOKIE, HeaderValue::from_bytes(line).unwrap());
            let attempt = Attempt::new(&credentials, &credential);
            attempt.conclude(&ResponseView::new(StatusCode::OK, &headers));
        }
        let current = credentials.get().await.unwrap();
        assert_eq!(current.stamp(), credential.stamp());
        assert_eq!(current.cookie("sid"), Some("s"));
        assert_eq!(unheard.lock().unwrap().len(), generation);
    }
    assert_eq!(*unheard.lock().unwrap(), ["1.0 sid", "2.0 sid"]);
}

#[tokio::test]
async fn rule_15_a_kept_cookie_that_has_expired_makes_room() {
    let browser = keeping("sid=s; Path=/", &[]);
    for round in 0..50 {
        let line = format!("c{round}=1; Path=/; Max-Age=60");
        browser.send(HERE, 200, &[&line]).await;
    }
    browser.clock.advance(60 * SECOND);
    browser.send(HERE, 200, &["new=1; Path=/"]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s; new=1");
}

#[tokio::test]
async fn rule_15_a_session_of_cookies_that_it_can_do_without_ends_with_the_last() {
    let login = |_| {
        let mut session = Session::new();
        for cookie in set_cookies(&response(&["a=1; Max-Age=60", "b=1; Max-Age=90"])) {
            session = session.with_optional_cookie(&cookie)?;
        }
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    };
    let browser = Browser::new(login);
    assert_eq!(browser.cookies(HERE).await, "a=1; b=1");
    assert_eq!(browser.credentials.status().expires_in, Some(HOUR));
    browser.clock.advance(60 * SECOND);
    assert_eq!(browser.cookies(HERE).await, "b=1");
    assert_eq!(browser.logins.count(), 1);
    browser.send(HERE, 200, &["a=2; Path=/"]).await;
    assert_eq!(browser.cookies(HERE).await, "b=1; a=2", "it is known again");
    browser.send(HERE, 200, &["a=; Path=/"]).await;
    browser.clock.advance(30 * SECOND);
    assert_eq!(browser.cookies(HERE).await, "a=1; b=1");
    assert_eq!(browser.logins.count(), 2, "nothing was left to send");
    browser.send(HERE, 200, &["a=; Path=/", "b=; Path=/"]).await;
    assert!(browser.credentials.peek().is_none());
}

#[tokio::test]
async fn rule_15_a_named_cookie_that_was_deleted_is_known_when_it_is_set_again() {
    let browser = named(&["sid=s", "csrf=c; Max-Age=60"]);
    browser.send(HERE, 200, &["csrf=; Path=/; Max-Age=0"]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s");
    assert_eq!(browser.credentials.status().expires_in, None);
    browser
        .send(HERE, 200, &["csrf=d; Path=/; Max-Age=90"])
        .await;
    assert_eq!(browser.cookies(HERE).await, "sid=s; csrf=d");
    assert_eq!(browser.credentials.status().expires_in, Some(90 * SECOND));
    assert_eq!((browser.rolled(), browser.logins.count()), (2, 1));
}

#[tokio::test]
async fn rule_15_a_load_balancers_cookie_does_not_make_a_rejection_late() {
    let browser = keeping("sid=s; Path=/", &[]);
    let first = browser.credentials.get().await.unwrap();
    let sent = Attempt::new(&browser.credentials, &first).sent_to(|| HERE);
    browser.send(HERE, 200, &["AWSALB=n2; Path=/"]).await;
    sent.rejected();
    assert!(
        browser.credentials.peek().is_none(),
        "it carried the current revision"
    );
}

#[test]
fn rule_15_an_overriding_lifetime_outweighs_the_cookies_lives() {
    let session = set_by(&["sid=s; Max-Age=60"]).unwrap();
    let day = Lifetime::of(DAY);
    let stated = session.clone().with_lifetime(day).lifetime();
    assert_eq!(stated.hard_expiry(), Some(Duration::from_secs(60)));
    assert_eq!(session.override_lifetime(day).lifetime(), day);
}

#[test]
fn what_is_no_live_cookie_is_refused_without_repeating_it() {
    for line in ["sid=canary; Max-Age=0", "sid="] {
        let error = set_by(&[line]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{line}");
    }
}
