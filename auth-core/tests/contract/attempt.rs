//! One attempt of one request: what is redacted, judged and told to the cache.

use std::sync::Arc;

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Ask, Attempt, Conclusion, Credentials, Event, Identity, Judge, Lifetime, Origin, RequestHead,
    ResponseView, Scope, Session, Verdict, set_cookies,
};
use http::header::{CONTENT_LOCATION, LINK, LOCATION, REFRESH, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use parking_lot::Mutex;

use crate::support::{HERE, HOUR, SECOND, on, set_cookie, tokens};

/// A session with a cookie that slides.
fn sliding() -> Scripted {
    Scripted::new(|number| {
        Ok(Session::new()
            .with_cookie("session", &format!("value-{number}"))?
            .with_lifetime(Lifetime::unknown().idle(HOUR)))
    })
}

/// A session with a secret in the query.
fn in_query() -> Scripted {
    Scripted::new(|_| Ok(Session::new().with_query("csrf", "canary")?))
}

fn says(verdict: Verdict) -> Arc<dyn Judge> {
    struct Always(Verdict);
    impl Judge for Always {
        fn wants_body(&self, head: &ResponseView<'_>) -> bool {
            head.status == StatusCode::FORBIDDEN
        }
        fn judge(&self, _: &ResponseView<'_>) -> Verdict {
            self.0
        }
    }
    Arc::new(Always(verdict))
}

async fn attempt(credentials: &Credentials) -> Attempt {
    Attempt::new(credentials, &credentials.get().await.unwrap())
}

#[tokio::test]
async fn rule_17_headers_that_repeat_a_secret_are_marked_sensitive() {
    let urls = [LOCATION, CONTENT_LOCATION, LINK, REFRESH];
    let response = || {
        let mut headers = set_cookie("session=canary");
        headers.append(SET_COOKIE, HeaderValue::from_static("other=canary"));
        headers.insert("x-other", HeaderValue::from_static("shown"));
        for name in &urls {
            headers.insert(name, HeaderValue::from_static("/?csrf=canary"));
        }
        headers
    };
    for (provider, urls_are_secret) in [(sliding(), false), (in_query(), true)] {
        let credentials = on(&ManualClock::new(), provider).build();
        let mut headers = response();
        attempt(&credentials).await.redact(&mut headers);
        for (name, value) in &headers {
            let expected = name == SET_COOKIE || (urls_are_secret && urls.contains(name));
            assert_eq!(value.is_sensitive(), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn rule_15_only_an_accepted_response_slides_and_an_unclear_ones_cookies_are_ignored() {
    for (verdict, slides, rolls) in [
        (Verdict::Accepted, true, true),
        (Verdict::NotPermitted, false, true),
        (Verdict::Unproven, false, true),
        (Verdict::Unclear, false, false),
    ] {
        let clock = ManualClock::new();
        let credentials = on(&clock, sliding()).build();
        let attempt = attempt(&credentials).await;
        clock.advance(60 * SECOND);
        let later = Attempt::new(&credentials, &credentials.get().await.unwrap());
        let headers = HeaderMap::new();
        let response = ResponseView::new(StatusCode::OK, &headers);
        let conclusion = later.judged_by(Some(says(verdict))).conclude(&response);
        assert_eq!(conclusion, Conclusion::HandOn);
        let idle_in = if slides { HOUR } else { HOUR - 60 * SECOND };
        assert_eq!(credentials.status().idle_in, Some(idle_in), "{verdict:?}");

        let headers = set_cookie("session=rolled");
        let response = ResponseView::new(StatusCode::OK, &headers);
        attempt.judged_by(Some(says(verdict))).conclude(&response);
        let value = credentials.get().await.unwrap();
        let expected = if rolls { "rolled" } else { "value-1" };
        assert_eq!(value.cookie("session"), Some(expected), "{verdict:?}");
    }
}

#[tokio::test]
async fn rule_7_the_cookies_of_what_lies_between_are_ignored_whatever_the_judge_says() {
    for (status, heard) in [(500, true), (407, false), (502, false), (511, false)] {
        let credentials = on(&ManualClock::new(), sliding()).build();
        let mut headers = set_cookie("session=rolled");
        let mut attempt = attempt(&credentials).await;
        attempt.redact(&mut headers);
        let response = ResponseView::new(StatusCode::from_u16(status).unwrap(), &headers);
        attempt
            .judged_by(Some(says(Verdict::Accepted)))
            .conclude(&response);
        let value = credentials.get().await.unwrap();
        let expected = if heard { "rolled" } else { "value-1" };
        assert_eq!(value.cookie("session"), Some(expected), "{status}");
    }
}

#[tokio::test]
async fn rule_15_the_cookies_of_a_rejection_are_ignored() {
    let credentials = on(&ManualClock::new(), sliding()).build();
    let first = attempt(&credentials).await;
    let second = first.clone();
    let headers = set_cookie("session=; Max-Age=0");
    let response = ResponseView::new(StatusCode::UNAUTHORIZED, &headers);
    assert_eq!(first.conclude(&response), Conclusion::Replay);
    let newer = credentials.get().await.unwrap();
    assert_eq!(newer.cookie("session"), Some("value-2"));
    assert_eq!(second.conclude(&response), Conclusion::Replay, "a late one");
    assert_eq!(credentials.status().stamp, Some(newer.stamp()));
}

/// A redirect must not carry off what the session held that its own response has ended.
#[tokio::test]
async fn rule_16_the_latest_credential_is_the_one_that_a_response_has_ended() {
    let credentials = on(&ManualClock::new(), sliding()).build();
    assert!(Attempt::latest(&credentials).is_none());
    let attempt = attempt(&credentials).await;
    let held = || Attempt::latest(&credentials).map(|latest| latest.stamp());
    let stamp = credentials.status().stamp;
    assert_eq!(held(), stamp);
    let headers = set_cookie("session=; Max-Age=0");
    attempt.conclude(&ResponseView::new(StatusCode::FOUND, &headers));
    assert!(Attempt::current(&credentials).is_none());
    assert_eq!(held(), stamp);
}

#[tokio::test]
async fn a_judge_of_its_own_replaces_the_providers() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    let attempt = attempt(&credentials).await;
    let headers = HeaderMap::new();
    let forbidden = ResponseView::new(StatusCode::FORBIDDEN, &headers);
    assert!(!attempt.wants_body(&forbidden));
    let judged = attempt.clone().judged_by(Some(says(Verdict::Unclear)));
    assert!(judged.wants_body(&forbidden));
    assert!(!judged.wants_body(&ResponseView::new(StatusCode::OK, &headers)));
    let response = ResponseView::new(StatusCode::UNAUTHORIZED, &headers);
    assert_eq!(judged.conclude(&response), Conclusion::HandOn);
    let rejected = says(Verdict::Rejected);
    let (fresh, ()) = Attempt::fresh(&credentials, Some(&rejected), |_| Some(())).unwrap();
    let response = ResponseView::new(StatusCode::OK, &headers);
    assert_eq!(fresh.conclude(&response), Conclusion::Replay);
    let newer = credentials.get().await.unwrap();
    let replay = fresh.replay(&newer);
    assert_eq!(replay.conclude(&response), Conclusion::Rejected, "doubted");
    assert_eq!(credentials.status().stamp, Some(newer.stamp()));
}

#[tokio::test]
async fn rule_17_an_attempt_prints_without_its_account() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    let printed = format!("{:?}", attempt(&credentials).await);
    assert!(printed.contains("https://api.example.com"), "{printed}");
    assert!(printed.contains("generation: 1"), "{printed}");
    assert!(!printed.contains("me@example.com") && !printed.contains("token-1"));
}

#[tokio::test]
async fn what_is_lent_is_what_is_fresh() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    assert!(credentials.with_fresh(|_| ()).is_none());
    let credential = credentials.get().await.unwrap();
    let lent = credentials.with_fresh(|lent| Arc::ptr_eq(lent, &credential));
    assert_eq!(lent, Some(true));
}

#[test]
fn an_ask_waits_for_the_shorter_of_two_times() {
    let ask = Ask::new();
    assert_eq!(ask.at_most(SECOND), ask.within(SECOND));
    assert_eq!(ask.within(HOUR).at_most(SECOND), ask.within(SECOND));
    assert_eq!(ask.within(SECOND).at_most(HOUR), ask.within(SECOND));
    assert!(ask.renewed().is_renewed() && !ask.is_renewed());
    assert_eq!(ask.renewed().not_renewed(), ask);
}

#[tokio::test]
async fn rule_5_where_a_request_goes_is_looked_at_only_if_that_decides_what_its_answer_sets() {
    let other = Origin::parse("https://data.example.com").unwrap();
    let one = || Scope::only(Origin::parse(Scripted::ORIGIN).unwrap());
    for (keeps, cookie, scope, looked) in [
        (false, None, one(), false),
        (false, None, one().and(other.clone()), false),
        (false, Some("sid=s"), one(), false),
        (false, Some("sid=s"), one().and(other), true),
        (false, Some("sid=s; Path=/v3"), one(), true),
        (true, None, one(), true),
    ] {
        let provider = Scripted::new(move |_| {
            let mut session = Session::new().with_bearer("t")?;
            for cookie in set_cookies(&cookie.map_or_else(HeaderMap::new, set_cookie)) {
                session = session.with_set_cookie(&cookie)?;
            }
            Ok(if keeps {
                session.keep_cookies(&HeaderMap::new(), HERE)
            } else {
                session
            })
        });
        let credentials = on(&ManualClock::new(), provider).scope(scope).build();
        let mut asked = false;
        let _ = attempt(&credentials).await.sent_to(|| {
            asked = true;
            HERE
        });
        assert_eq!(asked, looked, "{cookie:?}");
    }
}

#[tokio::test]
async fn rule_9_what_is_sent_again_is_judged_as_an_answer_to_the_same_request() {
    let judge = |response: &ResponseView<'_>| match response.request {
        Some(request) if request.uri.path() == "/rpc" => Verdict::Unclear,
        _ => Verdict::Accepted,
    };
    let judge: Arc<dyn Judge> = Arc::new(judge);
    let credentials = on(&ManualClock::new(), sliding()).build();
    let newer = credentials.get().await.unwrap();
    for again in [Attempt::replay, Attempt::after_repair] {
        let head = RequestHead::new(Method::POST, "/rpc".parse().unwrap());
        let attempt = attempt(&credentials).await.of_request(Some(head));
        let attempt = again(attempt, &newer).judged_by(Some(Arc::clone(&judge)));
        let headers = set_cookie("session=unheard");
        attempt.conclude(&ResponseView::new(StatusCode::OK, &headers));
        let current = credentials.get().await.unwrap();
        assert_eq!(current.cookie("session"), Some("value-1"));
    }
}

#[tokio::test]
async fn rule_16_a_redirect_off_the_scope_that_the_client_followed_by_itself_is_an_event() {
    let left = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::clone(&left);
    let observer = move |_: &Identity, event: &Event| {
        if let Event::LeftScope { stamp } = event {
            events.lock().push(*stamp);
        }
    };
    let credentials = on(&ManualClock::new(), tokens()).observer(observer).build();
    let attempt = attempt(&credentials).await;
    attempt.left_scope();
    assert_eq!(*left.lock(), [attempt.stamp()]);
}
