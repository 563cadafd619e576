//! Rule 5: the fast path allocates nothing.
//!
//! These tests are a binary of their own because its global allocator counts every allocation.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::time::Duration;

use allocation_counter::measure;
use auth_core::testing::Scripted;
use auth_core::{
    Attempt, Conclusion, Credentials, Identity, Lifetime, Origin, Part, ResponseView, Session,
    Target, When, set_cookies,
};
use http::{HeaderMap, Method, StatusCode};

fn logged_in(provider: Scripted) -> Credentials {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let credentials = Credentials::new(provider);
    runtime.block_on(credentials.get()).unwrap();
    credentials
}

#[test]
fn rule_5_a_fresh_credential_is_handed_out_attached_and_accepted_without_an_allocation() {
    let provider = Scripted::new(|_| {
        let day = Duration::from_secs(86_400);
        Ok(Session::new()
            .with_bearer(&"t".repeat(1_024))?
            .with_header("x-api-key".parse().unwrap(), "value".parse().unwrap())
            .with_cookie("session", &"c".repeat(1_024))?
            .with_lifetime(Lifetime::of(day).idle(day / 2)))
    });
    let credentials = logged_in(provider);
    let mut headers = HeaderMap::with_capacity(8);
    let here = Target::new("https", "api.example.com", "/v3/me");
    let mut rounds = 0;
    let counted = measure(|| {
        for _ in 0..1_000 {
            let credential = credentials.fresh().unwrap();
            credential.attach_headers(here, &mut headers);
            let attempt = Attempt::new(&credentials, &credential);
            assert_eq!(
                attempt.conclude(&ResponseView::new(StatusCode::OK, &headers)),
                Conclusion::HandOn
            );
            attempt.accepted();
            headers.clear();
            let fresh = Attempt::fresh(&credentials, None, |credential| {
                (!credential.lacks(here)).then(|| credential.attach_headers(here, &mut headers))
            });
            fresh.unwrap().0.accepted();
            headers.clear();
            rounds += 1;
        }
    });
    assert_eq!(rounds, 1_000);
    assert_eq!(counted.count_total, 0);
}

#[test]
fn rule_5_headers_with_a_condition_or_from_a_cookie_are_attached_without_an_allocation() {
    let provider = Scripted::new(|_| {
        let writes = When::unsafe_methods().below("/v3");
        Ok(Session::new()
            .with_bearer("t")?
            .with_cookie("csrf", "c")?
            .with_part(Part::header("x-own-header", "v").when(writes.clone()))?
            .with_part(Part::header_from_cookie("x-csrf-token", "csrf").when(writes))?
            .with_kept_for("refresh_token", "r", Duration::from_secs(3_600))?)
    });
    let credential = logged_in(provider).peek().unwrap();
    let mut request = http::Request::new(());
    request.headers_mut().reserve(8);
    for (method, carried) in [(Method::GET, 2), (Method::PATCH, 4)] {
        *request.method_mut() = method;
        *request.uri_mut() = "https://api.example.com/v3/me".parse().unwrap();
        let counted = measure(|| {
            credential.attach(&mut request).unwrap();
            assert_eq!(credential.kept("refresh_token"), Some("r"));
        });
        assert_eq!(request.headers().len(), carried);
        assert_eq!(counted.count_total, 0, "{}", request.method());
        request.headers_mut().clear();
    }
}

#[test]
fn rule_5_cookies_that_all_go_to_a_request_are_attached_without_an_allocation() {
    let provider = Scripted::new(|_| {
        let mut headers = HeaderMap::new();
        for line in [
            "session=s; Path=/; Secure; Max-Age=3600",
            "csrf=c; Path=/v3; Domain=example.com",
        ] {
            headers.append("set-cookie", line.parse().unwrap());
        }
        let mut session = Session::new();
        for cookie in set_cookies(&headers) {
            session = session.with_set_cookie(&cookie)?;
        }
        Ok(session)
    });
    let credential = logged_in(provider).peek().unwrap();
    let mut headers = HeaderMap::with_capacity(8);
    for (path, cookies, allocates) in [
        ("/v3/me", "csrf=c; session=s", false),
        ("/other", "session=s", true),
    ] {
        let target = Target::new("https", "api.example.com", path);
        let counted = measure(|| credential.attach_headers(target, &mut headers));
        assert_eq!(headers["cookie"], cookies);
        assert_eq!(counted.count_total > 0, allocates, "{path}");
        headers.clear();
    }
}

#[test]
fn the_counter_counts() {
    let counted = measure(|| drop(std::hint::black_box(vec![0_u8; 64])));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn using_many_identities_in_turn_allocates_nothing() {
    // Each identity has its own origin. Identities at one origin would share a quota.
    let all: Vec<_> = (0..64)
        .map(|number| {
            let origin = Origin::parse(&format!("https://api-{number}.example.com")).unwrap();
            let identity = Identity::new("many", origin, "me@example.com");
            let sliding = Lifetime::unknown().idle(Duration::from_secs(86_400));
            logged_in(Scripted::tokens(sliding).with_identity(identity))
        })
        .collect();
    let round = || {
        for credentials in &all {
            let credential = credentials.fresh().unwrap();
            Attempt::new(credentials, &credential).accepted();
            drop(credentials.peek());
        }
    };
    round();
    round();
    assert_eq!(measure(round).count_total, 0);
    let one = &all[40];
    let _ = (one.fresh(), one.fresh());
    assert_eq!(measure(|| drop(one.fresh())).count_total, 0);
}

#[test]
fn reading_a_second_cache_inside_the_attach_closure_allocates_nothing() {
    let at = |name: &str| {
        let origin = Origin::parse(&format!("https://{name}.example.com")).unwrap();
        let identity = Identity::new("nested", origin, "me@example.com");
        logged_in(Scripted::tokens(Lifetime::unknown()).with_identity(identity))
    };
    let (outer, inner) = (at("outer"), at("inner"));
    let nested = || Attempt::fresh(&outer, None, |_| Some(inner.fresh().is_some()));
    assert_eq!(measure(|| assert!(nested().unwrap().1)).count_total, 0);
}
