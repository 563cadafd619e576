//! Cookies of one name, and which of them is the session's.

use std::error::Error as _;
use std::sync::Arc;

use auth_core::testing::{self, Scripted};
use auth_core::{
    Attempt, Credentials, Lifetime, LoginError, Origin, ResponseView, Scope, Session, Target,
    Update, set_cookies,
};
use http::header::SET_COOKIE;
use http::{HeaderMap, Method, StatusCode};

use crate::cookies::{Browser, at, keeping, named, response, set_by};
use crate::support::{HERE, HOUR, SECOND};

const API: Target<'_> = Target::new("https", "api.example.com", "/api/x");
const DATA: Target<'_> = Target::new("https", "data.example.com", "/");

/// Whether the session goes on with what its cookie has become, in whatever order it was told.
async fn rolls(login: &'static str, lines: [&str; 2], carried: &str) {
    for lines in [lines, [lines[1], lines[0]]] {
        let browser = Browser::new(move |_| set_by(&[login]));
        browser.send(API, 200, &lines).await;
        assert_eq!(browser.cookies(API).await, carried, "{login}: {lines:?}");
        assert_eq!((browser.logins.count(), browser.rolled()), (1, 1));
        let credential = browser.credentials.get().await.unwrap();
        assert_eq!(credential.cookie("sid"), Some("s2"), "{lines:?}");
    }
}

#[tokio::test]
async fn rule_15_a_successor_under_another_domain_or_path_takes_the_place_of_what_is_deleted() {
    for (login, deletion, successor) in [
        (
            "sid=s1; Path=/",
            "sid=; Path=/; Max-Age=0",
            "sid=s2; Path=/; Domain=example.com",
        ),
        (
            "sid=s1; Path=/; Domain=example.com",
            "sid=; Path=/; Domain=example.com; Max-Age=0",
            "sid=s2; Path=/",
        ),
        (
            "sid=s1; Path=/api",
            "sid=; Path=/api; Max-Age=0",
            "sid=s2; Path=/",
        ),
        (
            "sid=s1; Path=/",
            "sid=; Path=/; Max-Age=0",
            "sid=s2; Path=/api",
        ),
    ] {
        rolls(login, [deletion, successor], "sid=s2").await;
    }
}

#[tokio::test]
async fn rule_15_of_namesakes_for_the_same_paths_the_one_that_the_answer_sets_is_the_successor() {
    let browser = named(&["sid=s1; Path=/"]);
    let before = "sid=x; Path=/; Domain=example.com";
    browser.send(HERE, 200, &[before]).await;
    let moved = [
        "sid=; Path=/; Max-Age=0",
        "sid=s2; Path=/; Domain=api.example.com",
    ];
    browser.send(HERE, 200, &moved).await;
    let credential = browser.credentials.get().await.unwrap();
    assert_eq!(credential.cookie("sid"), Some("s2"));
}

#[tokio::test]
async fn rule_15_the_successor_of_a_named_cookie_is_one_that_the_session_needs() {
    let browser = named(&["sid=s1; Path=/; Max-Age=86400"]);
    let moved = [
        "sid=; Path=/; Max-Age=0",
        "sid=s2; Path=/; Domain=example.com; Max-Age=3600",
    ];
    browser.send(HERE, 200, &moved).await;
    assert_eq!(browser.credentials.status().expires_in, Some(HOUR));
    // The old one is forgotten: where it is set again, that is a namesake.
    browser
        .send(HERE, 200, &["sid=s3; Path=/; Max-Age=9"])
        .await;
    assert_eq!(browser.credentials.status().expires_in, Some(HOUR));
    browser.send(HERE, 200, &[moved[0]]).await;
    assert!(browser.credentials.peek().is_some());
    let gone = "sid=; Path=/; Domain=example.com; Max-Age=0";
    browser.send(HERE, 200, &[gone]).await;
    assert!(browser.credentials.peek().is_none());
    assert_eq!(browser.logins.count(), 1);
}

#[tokio::test]
async fn rule_15_a_successor_that_is_set_moves_the_idle_deadline_as_the_cookie_itself_does() {
    let browser = Browser::new(|_| {
        let session = set_by(&["sid=s1; Path=/; Max-Age=3600"])?;
        Ok(session.with_lifetime(Lifetime::unknown().idle(HOUR)))
    });
    browser.send(HERE, 200, &[]).await;
    browser.clock.advance(60 * SECOND);
    let moved = [
        "sid=; Path=/; Max-Age=0",
        "sid=s2; Path=/; Domain=example.com; Max-Age=600",
    ];
    browser.send(HERE, 404, &moved).await;
    let idle_in = browser.credentials.status().idle_in;
    assert_eq!(idle_in, Some(600 * SECOND));
}

/// This answer has deleted a cookie, and set none.
#[tokio::test]
async fn rule_15_a_namesake_of_before_moves_no_idle_deadline_when_it_takes_a_place() {
    let browser = Browser::new(|_| {
        let session = set_by(&["sid=s1; Path=/; Max-Age=3600"])?;
        Ok(session.with_lifetime(Lifetime::unknown().idle(HOUR)))
    });
    let namesake = "sid=s2; Path=/; Domain=example.com";
    browser.send(HERE, 200, &[namesake]).await;
    browser.clock.advance(60 * SECOND);
    let deleted = "sid=; Path=/; Max-Age=0";
    browser.send(HERE, 404, &[deleted]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s2");
    let idle_in = browser.credentials.status().idle_in;
    assert_eq!(idle_in, Some(HOUR - 60 * SECOND));
}

/// It is not known to be the session's, and goes to other requests.
#[tokio::test]
async fn rule_15_a_namesake_of_another_path_does_not_keep_a_session_that_is_deleted_later() {
    for namesake in ["sid=x; Path=/legacy", "sid=x; Path=/api/v1/legacy"] {
        let browser = named(&["sid=s1; Path=/"]);
        browser.send(HERE, 200, &[namesake]).await;
        browser.send(HERE, 200, &["sid=; Path=/; Max-Age=0"]).await;
        assert!(browser.credentials.peek().is_none(), "{namesake}");
    }
    // Nor does one that goes to fewer hosts.
    let browser = Browser::new(|_| set_by(&["sid=s1; Path=/; Domain=example.com"]));
    let narrower = "sid=x; Path=/; Domain=api.example.com";
    browser.send(API, 200, &[narrower]).await;
    let deleted = "sid=; Path=/; Domain=example.com; Max-Age=0";
    browser.send(API, 200, &[deleted]).await;
    assert!(browser.credentials.peek().is_none());
    // One that goes wherever the deleted one went does, as in a browser.
    for namesake in ["sid=x; Path=/", "sid=x; Path=/api; Domain=example.com"] {
        let browser = named(&["sid=s1; Path=/api"]);
        browser.send(API, 200, &[namesake]).await;
        browser
            .send(API, 200, &["sid=; Path=/api; Max-Age=0"])
            .await;
        assert_eq!(browser.cookies(API).await, "sid=x", "{namesake}");
        assert_eq!(browser.logins.count(), 1);
    }
}

#[tokio::test]
async fn rule_15_of_two_cookies_that_a_login_has_set_each_is_the_sessions_when_it_is_set_again() {
    let browser = named(&["sid=s1; Path=/", "sid=s2; Path=/api"]);
    for line in [
        "sid=; Path=/api; Max-Age=0",
        "sid=s3; Path=/api",
        "sid=; Path=/; Max-Age=0",
    ] {
        browser.send(API, 200, &[line]).await;
    }
    assert_eq!(browser.cookies(API).await, "sid=s3");
    assert_eq!(browser.logins.count(), 1);
}

#[tokio::test]
async fn rule_15_a_namesake_outlives_the_named_cookie_in_its_place() {
    let browser = named(&["sid=s1; Path=/; Max-Age=60"]);
    let namesake = "sid=s2; Path=/; Domain=example.com; Max-Age=3600";
    browser.send(HERE, 200, &[namesake]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s1; sid=s2");
    assert_eq!(browser.credentials.status().expires_in, Some(HOUR));
    browser.clock.advance(60 * SECOND);
    assert_eq!(browser.cookies(HERE).await, "sid=s2");
    let credential = browser.credentials.get().await.unwrap();
    assert_eq!(credential.cookie("sid"), Some("s2"));
    let again = "sid=s3; Path=/; Domain=example.com; Max-Age=60";
    browser.send(HERE, 200, &[again]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s3");
    let expires_in = browser.credentials.status().expires_in;
    assert_eq!(expires_in, Some(60 * SECOND), "it is needed");
    browser.clock.advance(60 * SECOND);
    assert!(browser.credentials.peek().is_none());
    // One of another path does not.
    let browser = named(&["sid=s1; Path=/; Max-Age=60"]);
    let elsewhere = "sid=x; Path=/legacy; Max-Age=3600";
    browser.send(HERE, 200, &[elsewhere]).await;
    browser.clock.advance(60 * SECOND);
    assert!(browser.credentials.peek().is_none());
}

/// The provider stated an hour, and the server, for the cookie that it set beside, a day.
#[tokio::test]
async fn rule_15_a_namesake_does_not_extend_what_the_provider_stated() {
    let browser = Browser::new(|_| {
        let session = set_by(&["sid=s1; Path=/"])?;
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    });
    let namesake = "sid=s2; Path=/; Domain=example.com; Max-Age=86400";
    browser.send(HERE, 200, &[namesake]).await;
    assert_eq!(browser.credentials.status().expires_in, Some(HOUR));
}

#[test]
fn rule_15_the_life_that_a_session_states_is_that_of_the_namesake_that_is_last() {
    for (life, expected) in [("; Max-Age=3600", Some(HOUR)), ("", None)] {
        let namesake = format!("sid=s2; Path=/; Domain=example.com{life}");
        let session = set_by(&["sid=s1; Path=/; Max-Age=60"]).unwrap();
        let session = session.keep_cookies(&response(&[&namesake]), at("/login"));
        assert_eq!(session.lifetime().hard_expiry(), expected);
    }
}

/// As where the cookie itself is set without a life.
#[tokio::test]
async fn rule_15_a_successor_keeps_a_life_forgotten_that_the_server_has_replaced() {
    let browser = Browser::new(|_| {
        let session = set_by(&["sid=s1; Path=/"])?;
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    });
    let longer = "sid=s1; Path=/; Max-Age=86400";
    browser.send(HERE, 200, &[longer]).await;
    let moved = [
        "sid=; Path=/; Max-Age=0",
        "sid=s2; Path=/; Domain=example.com",
    ];
    browser.send(HERE, 200, &moved).await;
    assert_eq!(browser.credentials.status().expires_in, None);
}

#[tokio::test]
async fn rule_15_in_a_sliding_session_a_namesake_leaves_the_idle_timeout_to_the_named_cookie() {
    let browser = Browser::new(|_| {
        let session = set_by(&["sid=s1; Path=/; Max-Age=600"])?;
        Ok(session.with_lifetime(Lifetime::unknown().idle(HOUR)))
    });
    let lines = [
        "sid=s1; Path=/; Max-Age=600",
        "sid=x; Path=/; Domain=example.com; Max-Age=3600",
    ];
    for _ in 0..4 {
        browser.send(HERE, 200, &lines).await;
        browser.clock.advance(500 * SECOND);
        assert_eq!(browser.cookies(HERE).await, "sid=s1; sid=x");
    }
    browser.clock.advance(100 * SECOND);
    assert!(browser.credentials.peek().is_none());
    assert_eq!(browser.logins.count(), 1);
}

#[tokio::test]
async fn rule_15_a_namesake_takes_the_place_of_a_cookie_that_the_session_can_do_without() {
    let browser = Browser::new(|_| {
        let optional = set_cookies(&response(&["sid=s1; Path=/"])).next().unwrap();
        Ok(Session::new().with_optional_cookie(&optional)?)
    });
    let moved = [
        "sid=; Path=/; Max-Age=0",
        "sid=s2; Path=/; Domain=example.com",
    ];
    browser.send(HERE, 200, &moved).await;
    let first = browser.credentials.get().await.unwrap();
    let sent = Attempt::new(&browser.credentials, &first).sent_to(|| HERE);
    let next = "sid=s3; Path=/; Domain=example.com";
    browser.send(HERE, 200, &[next]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s3");
    assert_eq!((browser.rolled(), browser.logins.count()), (2, 1));
    sent.rejected();
    let current = browser.credentials.peek();
    assert!(current.is_some(), "it carried an earlier revision");
}

#[tokio::test]
async fn rule_15_a_cookie_for_one_host_is_another_than_one_for_its_domain() {
    let browser = named(&["sid=s1; Path=/; Domain=api.example.com"]);
    browser.send(HERE, 200, &["sid=; Path=/; Max-Age=0"]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s1");
    let of_domain = "sid=; Path=/; Domain=.API.example.com; Max-Age=0";
    browser.send(HERE, 200, &[of_domain]).await;
    assert!(browser.credentials.peek().is_none());

    let browser = named(&["sid=s1; Path=/"]);
    browser.send(HERE, 200, &[of_domain]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s1");

    let browser = keeping("sid=s; Path=/", &[]);
    let both = ["ui=1; Path=/", "ui=2; Path=/; Domain=api.example.com"];
    browser.send(HERE, 200, &both).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s; ui=1; ui=2");
    browser.send(HERE, 200, &["ui=; Path=/; Max-Age=0"]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s; ui=2");
}

#[tokio::test]
async fn rule_15_a_domain_without_subdomains_is_the_host_alone() {
    for (origin, host) in [
        ("http://127.0.0.1:8080", "127.0.0.1"),
        ("http://[::1]:8080", "[::1]"),
        ("http://localhost:8080", "localhost"),
        ("https://intranet", "intranet"),
    ] {
        let target = Target::new("http", host, "/");
        let with_domain = |value: &str| format!("sid={value}; Path=/; Domain={host}");
        for (first, deletion) in [
            ("sid=s1; Path=/".into(), with_domain("; Max-Age=0")),
            (with_domain("s1"), "sid=; Path=/; Max-Age=0".into()),
        ] {
            let scope = Scope::only(Origin::parse(origin).unwrap());
            let browser = Browser::within(scope, move |_| set_by(&[&first]));
            browser.send(target, 200, &[&deletion]).await;
            assert!(browser.credentials.peek().is_none(), "{host} {deletion}");
        }
    }
}

#[tokio::test]
async fn rule_15_the_first_set_cookie_states_what_a_value_alone_does_not() {
    for (line, of_others) in [
        ("sid=s2; Path=/; Domain=example.com", "sid=s2"),
        ("sid=s2; Path=/; Domain=api.example.com", ""),
        ("sid=s2; Path=/", "sid=s2"),
        ("sid=s2", "sid=s2"),
    ] {
        let browser = Browser::new(|_| Ok(Session::new().with_cookie("sid", "s1")?));
        browser.send(at("/"), 200, &[line]).await;
        assert_eq!(browser.cookies(HERE).await, "sid=s2", "{line}");
        assert_eq!(browser.cookies(DATA).await, of_others, "{line}");
        assert_eq!((browser.logins.count(), browser.rolled()), (1, 1));
        // From then on it is what the server has stated.
        let is_of_domain = line.contains("Domain");
        browser
            .send(at("/"), 200, &["sid=; Path=/; Max-Age=0"])
            .await;
        let goes_on = browser.credentials.peek().is_some();
        assert_eq!(goes_on, is_of_domain, "{line}");
    }
}

#[tokio::test]
async fn rule_15_a_value_alone_learns_its_attributes_from_the_same_value_too() {
    for line in [
        "sid=s1",
        "sid=s1; Path=/",
        "sid=s1; Path=/; Domain=example.com",
    ] {
        let browser = Browser::new(|_| Ok(Session::new().with_cookie("sid", "s1")?));
        browser.send(HERE, 200, &[line]).await;
        assert_eq!(browser.rolled(), 0);
        let heard = browser.credentials.get().await.unwrap();
        browser.send(HERE, 200, &[line]).await;
        let after = browser.credentials.get().await.unwrap();
        assert!(Arc::ptr_eq(&heard, &after), "it is known: {line}");
        let other = "sid=; Path=/; Domain=api.example.com; Max-Age=0";
        browser.send(HERE, 200, &[other]).await;
        assert!(browser.credentials.peek().is_some(), "{line}");
    }
}

/// It may be host-only or not. A domain above the host's is as likely another cookie's.
#[tokio::test]
async fn rule_15_a_value_alone_is_deleted_with_the_domain_of_the_host_or_without_one() {
    for (deletion, ends) in [
        ("sid=; Path=/; Max-Age=0", true),
        ("sid=; Path=/; Domain=api.example.com; Max-Age=0", true),
        ("sid=; Path=/; Domain=example.com; Max-Age=0", false),
        ("sid=; Path=/legacy; Max-Age=0", false),
    ] {
        let login = |_| Ok(Session::new().with_cookie("sid", "s1")?);
        let browser = Browser::new(login);
        browser.send(HERE, 200, &[deletion]).await;
        assert_eq!(browser.credentials.peek().is_none(), ends, "{deletion}");
        // A session that was stored knows it as well.
        let stored = Session::new().with_cookie("sid", "s1").unwrap().to_parts();
        let browser = Browser::new(move |_| Ok(stored.to_session()?));
        browser.send(HERE, 200, &[deletion]).await;
        assert_eq!(browser.credentials.peek().is_none(), ends, "{deletion}");
    }
}

/// It goes to other requests, and the session's has to go to all.
#[tokio::test]
async fn rule_15_a_value_alone_does_not_take_the_path_of_a_narrower_namesake() {
    let browser = Browser::new(|_| Ok(Session::new().with_cookie("sid", "s1")?));
    browser.send(HERE, 200, &["sid=x; Path=/legacy"]).await;
    assert_eq!(browser.cookies(API).await, "sid=s1");
    assert_eq!(browser.cookies(at("/legacy")).await, "sid=x; sid=s1");
    let domain = "sid=s2; Path=/; Domain=example.com";
    browser.send(HERE, 200, &[domain]).await;
    assert_eq!(browser.cookies(API).await, "sid=s2");
}

#[tokio::test]
async fn rule_15_cookies_that_are_kept_do_not_double_a_value_alone() {
    let browser = Browser::new(|_| {
        let set = response(&["sid=s1; Path=/; Domain=example.com", "lb=1; Path=/"]);
        let session = Session::new().with_cookie("sid", "s1")?;
        Ok(session.keep_cookies(&set, at("/login")))
    });
    assert_eq!(browser.cookies(HERE).await, "sid=s1; lb=1");
}

#[tokio::test]
async fn rule_15_a_secure_cookie_that_is_set_over_plain_http_is_ignored() {
    let plain = Target::new("http", "plain.example.com", "/");
    let login = |_| set_by(&["sid=s1; Path=/"]);
    let alone = || Scope::only(Origin::allow_plain_http("http://plain.example.com").unwrap());
    let with_tls = || alone().and(Origin::parse("https://plain.example.com").unwrap());
    for scope in [alone(), with_tls()] {
        let browser = Browser::within(scope, login);
        for line in ["sid=s2; Path=/; Secure", "sid=; Path=/; Secure; Max-Age=0"] {
            browser.send(plain, 200, &[line]).await;
            assert_eq!(browser.cookies(plain).await, "sid=s1", "{line}");
        }
        assert_eq!((browser.logins.count(), browser.rolled()), (1, 0));
    }
    let tls = Target::new("https", "plain.example.com", "/");
    let browser = Browser::within(with_tls(), login);
    browser.send(tls, 200, &["sid=s2; Path=/; Secure"]).await;
    for forged in ["sid=s3; Path=/", "sid=; Path=/; Max-Age=0"] {
        browser.send(plain, 200, &[forged]).await;
        assert_eq!(browser.cookies(tls).await, "sid=s2", "{forged}");
        assert_eq!(browser.cookies(plain).await, "", "{forged}");
    }
    for (origin, host) in [
        ("http://127.0.0.1:8080", "127.0.0.1"),
        ("http://[::1]:8080", "[::1]"),
        ("http://localhost:8080", "localhost"),
    ] {
        let loopback = Target::new("http", host, "/");
        let browser = Browser::within(Scope::only(Origin::parse(origin).unwrap()), login);
        browser
            .send(loopback, 200, &["sid=s2; Path=/; Secure"])
            .await;
        assert_eq!(browser.cookies(loopback).await, "sid=s2", "{host}");
    }
}

#[test]
fn rule_15_a_secure_cookie_that_a_repair_or_a_refresh_is_told_over_plain_http_is_ignored() {
    let secure = response(&["sid=s2; Path=/; Secure"]);
    for (scheme, expected) in [("http", "s1"), ("https", "s2"), ("", "s2")] {
        let target = Target::new(scheme, "plain.example.com", "/csrf");
        let credential = testing::credential(set_by(&["sid=s1; Path=/"]).unwrap());
        let repaired = credential.updated(&Update::new().with_cookies(&secure, target));
        assert_eq!(repaired.unwrap().cookie("sid"), Some(expected), "{scheme}");
        let kept = Session::new().keep_cookies(&secure, target);
        assert_eq!(kept.is_empty(), expected == "s1", "{scheme}");
    }
}

#[tokio::test]
async fn rule_15_a_login_whose_session_needs_a_cookie_that_goes_nowhere_has_failed() {
    let plain = || Scope::only(Origin::allow_plain_http("http://plain.example.com").unwrap());
    let tls = || Scope::only(Origin::parse("https://api.example.com").unwrap());
    for (scope, lines, works) in [
        (plain(), &["sid=s; Secure"][..], false),
        (
            plain().and(tls().origins().next().unwrap().clone()),
            &["sid=s; Secure"],
            true,
        ),
        (tls(), &["sid=s; Domain=0.0.1"], false),
        (tls(), &["sid=s; Domain=a.example; Domain="], false),
        (tls(), &["sid=s; Domain=data.example.com; Path=/x"], false),
        (tls(), &["sid=s; Domain=example.com; Path=/x; Secure"], true),
        (tls(), &["sid=s; Domain=a.example", "sid=s; Path=/"], true),
        (tls(), &["sid=s; Domain=a.example", "csrf=s; Path=/"], false),
    ] {
        let browser = Browser::within(scope, move |_| Ok(set_by(lines)?.with_bearer("t")?));
        let got = browser.credentials.get().await;
        assert_eq!(got.is_ok(), works, "{lines:?}");
        if let Err(error) = got {
            let text = error.source().unwrap().to_string();
            assert!(
                text.contains("the cookie sid, which goes to no origin"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn rule_7_a_kept_cookie_is_heard_of_a_request_that_carried_no_other() {
    let lines = |all: &[&str]| -> HeaderMap {
        all.iter()
            .map(|line| (SET_COOKIE, line.parse().unwrap()))
            .collect()
    };
    let login = lines(&["sid=s1; Path=/api", "lb=n1; Path=/"]);
    let credentials = Credentials::new(Scripted::new(move |_| {
        let sid = set_cookies(&login).next().unwrap();
        let session = Session::new().with_set_cookie(&sid)?;
        Ok::<_, LoginError>(
            session.keep_cookies(&login, Target::new("https", "api.example.com", "/login")),
        )
    }));
    let credential = credentials.get().await.unwrap();
    let get = Method::GET;
    let target = Target::new("https", "api.example.com", "/page").with_method(&get);
    let answer = lines(&["lb=n2; Path=/", "other=1; Path=/"]);
    let attempt = Attempt::new(&credentials, &credential).sent_to(|| target);
    attempt.conclude(&ResponseView::new(StatusCode::OK, &answer));
    let now = credentials.get().await.unwrap();
    assert_eq!(
        (now.cookie("lb"), now.cookie("other")),
        (Some("n2"), Some("1"))
    );
}
