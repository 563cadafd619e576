//! Rules 7 and 8, and what a response does to the session (15).

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use std::sync::Arc;

use auth_core::{
    Attempt, Conclusion, Condition, Credentials, Judge, Lifetime, LoginError, Part, Refresh,
    ResponseView, Session, Target, Verdict, When, set_cookies,
};
use http::header::SET_COOKIE;
use http::{HeaderMap, Method, StatusCode};

use crate::support::{
    HERE, HOUR, Renewing, SECOND, on, replay, session, set_cookie, settle, then_fails, token,
    tokens,
};

/// A request that is rejected, and its replay.
async fn rejected_twice(credentials: &Credentials) -> Conclusion {
    let first = credentials.get().await.unwrap();
    let conclusion = Attempt::new(credentials, &first).rejected();
    if conclusion == Conclusion::Replay {
        let second = credentials.get().await.unwrap();
        assert_ne!(
            second.stamp(),
            first.stamp(),
            "the replay carries a newer credential"
        );
        replay(credentials, &second).rejected();
    }
    conclusion
}

#[tokio::test]
async fn rule_7_a_late_rejection_of_an_older_generation_starts_nothing() {
    let provider = tokens();
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let old = credentials.get().await.unwrap();
    let sent = Attempt::new(&credentials, &old);
    credentials.renew().await.unwrap();
    assert_eq!(sent.rejected(), Conclusion::Replay);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-2");
    settle().await;
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn rule_7_a_request_that_carries_nothing_of_the_session_neither_rejects_nor_accepts_it() {
    let narrow = |line| -> Result<Session, LoginError> {
        let set = set_cookies(&set_cookie(line)).next().unwrap();
        Ok(Session::new().with_set_cookie(&set)?)
    };
    let part = |part| -> Result<Session, LoginError> { Ok(Session::new().with_part(part)?) };
    let session = move |index| match index {
        0 => narrow("sid=s; Path=/api"),
        1 => part(Part::query("sid", "s").when(When::any_method().below("/api"))),
        2 => part(Part::header("x-sid", "s").when(When::unsafe_methods())),
        3 => part(Part::json_field("/sid", "s").when(When::unsafe_methods().below("/api"))),
        4 => Ok(narrow("sid=s; Path=/api")?.keep_cookies(&set_cookie("lb=n3; Path=/"), HERE)),
        // A part beside it goes everywhere.
        5 => Ok(narrow("sid=s; Path=/api")?.with_bearer("t")?),
        6 => Ok(narrow("sid=s; Path=/api")?.with_cookie("other", "s")?),
        // A server may know the session by any cookie, where none is named.
        _ => {
            let writes = Part::header("x-csrf", "c").when(When::unsafe_methods());
            Ok(part(writes)?.keep_cookies(&set_cookie("sid=s; Path=/"), HERE))
        }
    };
    let to = |path| Target::new("https", "api.example.com", path);
    // A field of the body is on no request without one.
    let credentials = on(
        &ManualClock::new(),
        Scripted::new(move |_| part(Part::json_field("/sid", "s"))),
    )
    .build();
    let credential = credentials.get().await.unwrap();
    for method in [Method::GET, Method::POST] {
        let target = to("/").with_method(&method).without_body();
        let bare = Attempt::new(&credentials, &credential).sent_to(|| target);
        assert_eq!(bare.rejected(), Conclusion::Rejected, "{method}");
    }
    assert_eq!(credentials.status().stamp, Some(credential.stamp()));
    let sent = Attempt::new(&credentials, &credential).sent_to(|| to("/"));
    assert_eq!(sent.rejected(), Conclusion::Replay);
    for index in 0..8 {
        let idle = Lifetime::unknown().idle(HOUR);
        let provider = Scripted::new(move |_| Ok(session(index)?.with_lifetime(idle)));
        let (clock, logins) = (ManualClock::new(), provider.logins());
        let credentials = on(&clock, provider).build();
        let credential = credentials.get().await.unwrap();
        clock.advance(60 * SECOND);
        let sent = |target| Attempt::new(&credentials, &credential).sent_to(|| target);
        if index < 5 {
            let elsewhere = sent(to("/other").with_method(&Method::GET));
            elsewhere.accepted();
            let idle_in = credentials.status().idle_in;
            assert_eq!(idle_in, Some(HOUR - 60 * SECOND), "{index}");
            assert_eq!(elsewhere.rejected(), Conclusion::Rejected, "{index}");
            settle().await;
            assert_eq!(logins.count(), 1, "{index}");
        } else {
            sent(to("/other").with_method(&Method::GET)).accepted();
            assert_eq!(credentials.status().idle_in, Some(HOUR), "{index}");
        }
        // Without a method, it may be any.
        let here = sent(to("/api/x"));
        here.accepted();
        assert_eq!(credentials.status().idle_in, Some(HOUR), "{index}");
        assert_eq!(here.rejected(), Conclusion::Replay, "{index}");
        settle().await;
        assert_eq!(logins.count(), 2, "{index}");
    }
}

#[tokio::test]
async fn rule_7_twenty_thousand_rejections_of_one_generation_are_one_login() {
    let provider = tokens();
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let credential = credentials.get().await.unwrap();
    let sent = Attempt::new(&credentials, &credential);
    let requests: Vec<_> = (0..20_000)
        .map(|_| {
            let (credentials, sent) = (credentials.clone(), sent.clone());
            tokio::spawn(async move {
                assert_eq!(sent.rejected(), Conclusion::Replay);
                let next = credentials.get().await.unwrap();
                replay(&credentials, &next).accepted();
                token(&next)
            })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), "token-2");
    }
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn rule_7_a_rejected_generation_is_never_served_again_not_even_in_an_outage() {
    let clock = ManualClock::new();
    let credentials = on(&clock, then_fails(|| LoginError::unavailable("status 503"))).build();
    let credential = credentials.get().await.unwrap();
    assert_eq!(
        Attempt::new(&credentials, &credential).rejected(),
        Conclusion::Replay
    );
    for _ in 0..10 {
        assert!(credentials.fresh().is_none() && credentials.peek().is_none());
        assert!(credentials.get().await.unwrap_err().is_unavailable());
        clock.advance(SECOND);
    }
}

#[tokio::test]
async fn rule_7_a_waiter_does_not_get_a_generation_rejected_before_the_waiter_is_polled() {
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let mut waiter = Box::pin(credentials.get());
    assert!(futures_util::poll!(&mut waiter).is_pending());
    gate.let_through(2);
    settle().await;
    let obtained = credentials.peek().unwrap();
    assert_eq!(
        Attempt::new(&credentials, &obtained).rejected(),
        Conclusion::Replay
    );
    assert_eq!(token(&waiter.await.unwrap()), "token-2");
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn rule_8_one_login_recovers_from_a_revocation_a_millisecond_after_a_login() {
    let clock = ManualClock::new();
    let provider = tokens();
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for generation in 1..=3 {
        let credential = credentials.get().await.unwrap();
        assert_eq!(credential.stamp().generation(), generation);
        clock.advance(SECOND / 1_000);
        assert_eq!(
            Attempt::new(&credentials, &credential).rejected(),
            Conclusion::Replay
        );
        let next = credentials.get().await.unwrap();
        replay(&credentials, &next).accepted();
        assert_eq!(logins.count(), generation + 1);
    }
}

#[tokio::test]
async fn rule_8_a_rejection_starts_the_next_login_even_without_a_replay() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    let credential = credentials.get().await.unwrap();
    Attempt::new(&credentials, &credential).rejected();
    settle().await;
    assert_eq!(
        token(
            &credentials
                .peek()
                .expect("the next session is there without a replay")
        ),
        "token-2"
    );
}

#[tokio::test]
async fn rule_8_ten_thousand_rejections_in_a_row_cost_one_login_per_cooldown_and_it_grows() {
    let clock = ManualClock::new();
    let provider = Scripted::tokens(Lifetime::unknown());
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let mut believed = Vec::new();
    for _ in 0..10_000 {
        let before = logins.count();
        if rejected_twice(&credentials).await == Conclusion::Replay {
            believed.push(clock.clock().now());
        } else {
            assert_eq!(logins.count(), before, "no login is spent");
            assert_eq!(
                credentials.status().condition,
                Condition::Fresh,
                "the session is kept"
            );
        }
        clock.advance(SECOND / 10);
    }
    let gaps: Vec<u64> = believed
        .windows(2)
        .map(|two| two[1].since(two[0]).as_secs())
        .collect();
    let cooldowns = [5, 10, 20, 40, 80, 160, 300, 300];
    assert!(
        gaps.iter()
            .zip(cooldowns)
            .all(|(gap, cooldown)| *gap >= cooldown),
        "{gaps:?}"
    );
    // In 1,000 s rejections are believed at 0, 5 and 15 s. Then the three logins of that minute
    // hold the next one back, and the cooldown goes on doubling.
    assert!(believed.len() <= 9, "{gaps:?}");
}

#[tokio::test]
async fn rule_8_ten_thousand_requests_rejected_twice_at_once_cost_one_login() {
    let provider = tokens();
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let first = credentials.get().await.unwrap();
    let requests: Vec<_> = (0..10_000)
        .map(|_| {
            let (credentials, first) = (credentials.clone(), first.clone());
            tokio::spawn(async move {
                let conclusion = Attempt::new(&credentials, &first).rejected();
                assert_eq!(conclusion, Conclusion::Replay);
                let second = credentials.get().await.unwrap();
                replay(&credentials, &second).rejected()
            })
        })
        .collect();
    for request in requests {
        assert_eq!(
            request.await.unwrap(),
            Conclusion::Rejected,
            "the caller gets the second response"
        );
    }
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn rule_8_a_forbidden_route_whose_replay_is_slow_costs_one_login_in_one_cooldown() {
    let clock = ManualClock::new();
    let provider = Scripted::tokens(Lifetime::unknown());
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let first = credentials.get().await.unwrap();
    assert_eq!(
        Attempt::new(&credentials, &first).rejected(),
        Conclusion::Replay
    );
    let second = credentials.get().await.unwrap();
    let slow = replay(&credentials, &second);
    clock.advance(SECOND);
    assert_eq!(
        Attempt::new(&credentials, &second).rejected(),
        Conclusion::Rejected,
        "another request to the same route, before the replay was answered"
    );
    clock.advance(SECOND);
    assert_eq!(slow.rejected(), Conclusion::Rejected);
    settle().await;
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn rule_8_a_route_that_is_always_forbidden_and_slow_costs_one_login_per_cooldown() {
    let clock = ManualClock::new();
    let provider = Scripted::tokens(Lifetime::unknown());
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let mut under_way = std::collections::VecDeque::new();
    // A request each half second, each answered 8 s later, for ten minutes.
    for _ in 0..1_200 {
        let current = credentials.get().await.unwrap();
        under_way.push_back((current.clone(), Attempt::new(&credentials, &current)));
        if under_way.len() > 16
            && let Some((carried, attempt)) = under_way.pop_front()
            && attempt.rejected() == Conclusion::Replay
        {
            let newer = credentials.get().await.unwrap();
            assert_ne!(newer.stamp(), carried.stamp());
            under_way.push_back((newer.clone(), replay(&credentials, &newer)));
        }
        clock.advance(SECOND / 2);
    }
    // After 5, 10, 20, 40, 80, 160 and 300 s, and none of a replay that is accepted.
    assert!(logins.count() <= 1 + 8, "{} logins", logins.count());
}

/// When logins were sent, in seconds, if all requests of an hour are rejected, one each second, and
/// before that a request with each of the first sessions is accepted.
async fn sent_while_all_is_rejected(provider: Renewing, accepted: u64) -> Vec<u32> {
    let clock = ManualClock::new();
    let logins = provider.logins();
    let credentials = provider.on(&clock).build();
    let mut sent = Vec::new();
    for second in 0..3_600 {
        let current = credentials.get().await.unwrap();
        if current.stamp().generation() <= accepted {
            Attempt::new(&credentials, &current).accepted();
        }
        rejected_twice(&credentials).await;
        settle().await;
        while (sent.len() as u64) < logins.count() {
            sent.push(second);
        }
        clock.advance(SECOND);
    }
    sent
}

#[tokio::test]
async fn rule_8_sessions_of_which_none_is_accepted_are_obtained_four_times_in_15_minutes() {
    // A server that gives a session for a wrong password, which no request is accepted with.
    let unknown = || Renewing::new(Scripted::tokens(Lifetime::unknown()));
    let sent = sent_while_all_is_rejected(unknown(), 0).await;
    assert_eq!(sent, [0, 0, 5, 125, 1_025, 1_925, 2_825]);
    // The password was changed at such a server, and the session that was good ended there.
    let sent = sent_while_all_is_rejected(unknown(), 1).await;
    assert_eq!(sent, [0, 0, 5, 15, 135, 1_035, 1_935, 2_835]);
}

#[tokio::test]
async fn rule_8_a_session_of_no_use_that_expires_is_followed_by_a_login_as_any_other() {
    // Each refresh that brings another one of no use is followed by the password, as far apart.
    let refreshed = {
        let life = Lifetime::unknown();
        let kept = move |number| {
            let session = session(number, life)?;
            Ok(session.with_kept("refresh_token", &format!("r-{number}"))?)
        };
        let by = Refresh::with_kept("refresh_token");
        Renewing::new(Scripted::new(kept)).refreshed(by, move |number| session(number, life))
    };
    let sent = sent_while_all_is_rejected(refreshed, 0).await;
    assert_eq!(sent, [0, 0, 5, 245, 2_045]);
    let short = Renewing::new(Scripted::tokens(Lifetime::of(600 * SECOND)));
    let sent = sent_while_all_is_rejected(short, 0).await;
    assert_eq!(sent[..4], [0, 0, 5, 125]);
    assert!(
        sent[4] < 125 + 600,
        "it is renewed ahead of its expiry: {sent:?}"
    );
}

/// The verdict on the head, or on the trailers if it is unproven by the head.
struct Says(Verdict, Verdict);

impl Judge for Says {
    fn judge(&self, _: &ResponseView<'_>) -> Verdict {
        self.0
    }

    fn judge_trailers(&self, _: &HeaderMap) -> Verdict {
        self.1
    }
}

#[tokio::test]
async fn rule_8_a_response_to_a_good_session_ends_the_count_of_those_of_no_use() {
    use Verdict::{Accepted, NeedsRepair, NotPermitted, Unproven};

    for (head, trailers, is_good) in [
        (Accepted, Unproven, true),
        (NotPermitted, Unproven, true),
        (Unproven, Accepted, true),
        (Unproven, NotPermitted, true),
        // Many servers ask for another csrf value whether or not they know the session.
        (NeedsRepair, Unproven, false),
        (Unproven, Unproven, false),
    ] {
        for renewed in [true, false] {
            let clock = ManualClock::new();
            let credentials = on(&clock, tokens()).build();
            rejected_twice(&credentials).await;
            clock.advance(5 * SECOND);
            rejected_twice(&credentials).await;
            let third = credentials.get().await.unwrap();
            let attempt = Attempt::new(&credentials, &third);
            let attempt = attempt.judged_by(Some(Arc::new(Says(head, trailers))));
            let headers = HeaderMap::new();
            attempt.conclude(&ResponseView::new(StatusCode::OK, &headers));
            attempt.conclude_trailers(&headers);
            if renewed {
                credentials.renew().await.unwrap();
            }
            for (seconds, ends) in [(120, true), (300, is_good), (300, is_good)] {
                clock.advance(seconds * SECOND);
                let ends = if ends {
                    Conclusion::Replay
                } else {
                    Conclusion::Rejected
                };
                assert_eq!(
                    rejected_twice(&credentials).await,
                    ends,
                    "{head:?} {trailers:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn rule_8_a_response_to_a_request_without_the_session_ends_no_count_of_those_of_no_use() {
    for status in [StatusCode::OK, StatusCode::FORBIDDEN] {
        let clock = ManualClock::new();
        let provider = Scripted::new(|_| {
            let set = set_cookie("sid=s; Path=/api");
            let set = set_cookies(&set).next().unwrap();
            Ok(Session::new().with_set_cookie(&set)?)
        });
        let credentials = on(&clock, provider).build();
        rejected_twice(&credentials).await;
        clock.advance(5 * SECOND);
        rejected_twice(&credentials).await;
        let third = credentials.get().await.unwrap();
        let elsewhere = || Target::new("https", "api.example.com", "/other");
        let sent = Attempt::new(&credentials, &third).sent_to(elsewhere);
        sent.conclude(&ResponseView::new(status, &HeaderMap::new()));
        clock.advance(120 * SECOND);
        assert_eq!(rejected_twice(&credentials).await, Conclusion::Replay);
        clock.advance(300 * SECOND);
        let last = rejected_twice(&credentials).await;
        assert_eq!(last, Conclusion::Rejected, "{status}");
    }
}

#[tokio::test]
async fn rule_8_two_programs_that_end_each_others_sessions_cause_no_login_storm() {
    let clock = ManualClock::new();
    let provider = Scripted::tokens(Lifetime::unknown());
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let mut handed_on = 0;
    // Every second the other program logs in, which ends this program's session. Each replay is
    // accepted.
    for _ in 0..120 {
        let credential = credentials.get().await.unwrap();
        match Attempt::new(&credentials, &credential).rejected() {
            Conclusion::Replay => {
                let next = credentials.get().await.unwrap();
                replay(&credentials, &next).accepted();
            }
            _ => handed_on += 1,
        }
        clock.advance(SECOND);
    }
    assert_eq!(logins.count(), 1 + 6, "three logins a minute");
    assert_eq!(handed_on, 114, "the other responses are handed on");
}

fn cookies(life: Lifetime) -> Scripted {
    Scripted::new(move |number| {
        let session = Session::new().with_cookie("session", &format!("value-{number}"))?;
        Ok(session.with_lifetime(life))
    })
}

#[tokio::test]
async fn rule_15_a_rolled_cookie_is_a_revision_of_the_same_generation() {
    let credentials = on(&ManualClock::new(), cookies(Lifetime::of(HOUR))).build();
    let first = credentials.get().await.unwrap();
    let sent = Attempt::new(&credentials, &first);
    sent.cookies_set(&set_cookie("session=rolled; Max-Age=600"));
    let second = credentials.get().await.unwrap();
    assert_eq!(second.cookie("session"), Some("rolled"));
    assert_eq!(
        (second.stamp().generation(), second.stamp().revision()),
        (1, 1)
    );
    assert_eq!(credentials.status().expires_in, Some(600 * SECOND));
    assert_eq!(
        sent.rejected(),
        Conclusion::Replay,
        "a late rejection of the older revision"
    );
    assert_eq!(
        credentials.get().await.unwrap().stamp(),
        second.stamp(),
        "it starts no login"
    );
}

#[tokio::test]
async fn rule_15_a_set_cookie_applies_only_if_its_request_carried_the_current_revision() {
    let credentials = on(&ManualClock::new(), cookies(Lifetime::of(HOUR))).build();
    let first = credentials.get().await.unwrap();
    let sent = Attempt::new(&credentials, &first);
    sent.cookies_set(&set_cookie("session=one"));
    sent.cookies_set(&set_cookie("session=two"));
    sent.cookies_set(&set_cookie("session=; Max-Age=0"));
    let second = credentials.get().await.unwrap();
    assert_eq!(second.cookie("session"), Some("one"));

    credentials.renew().await.unwrap();
    Attempt::new(&credentials, &second).cookies_set(&set_cookie("session=late"));
    assert_eq!(
        credentials.get().await.unwrap().cookie("session"),
        Some("value-2"),
        "a newer generation"
    );
}

#[tokio::test]
async fn rule_15_a_server_that_deletes_the_cookie_with_each_answer_costs_few_logins() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    });
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let deleted = set_cookie("sid=; Path=/; Max-Age=0");
    for _ in 0..20 {
        let current = credentials.get().await.unwrap();
        Attempt::new(&credentials, &current).cookies_set(&deleted);
        clock.advance(30 * SECOND);
    }
    assert_eq!(logins.count(), 5);
}

#[tokio::test]
async fn rule_15_a_deletion_of_the_current_revision_ends_the_session_as_expiry_does() {
    let provider = cookies(Lifetime::of(HOUR));
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let first = credentials.get().await.unwrap();
    Attempt::new(&credentials, &first).cookies_set(&set_cookie("session=; Max-Age=0"));
    assert!(credentials.peek().is_none());
    assert_eq!(
        credentials.get().await.unwrap().cookie("session"),
        Some("value-2")
    );
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn rule_15_a_set_cookie_neither_ends_nor_revives_a_session_that_has_expired() {
    let clock = ManualClock::new();
    let credentials = on(&clock, cookies(Lifetime::of(HOUR))).build();
    let first = credentials.get().await.unwrap();
    clock.advance(HOUR);
    let before = credentials.status();
    for late in ["session=; Max-Age=0", "session=rolled; Max-Age=600"] {
        Attempt::new(&credentials, &first).cookies_set(&set_cookie(late));
        assert_eq!(credentials.status(), before, "{late}");
    }
}

#[tokio::test]
async fn rule_15_the_same_value_again_with_a_new_expiry_is_the_same_revision() {
    let clock = ManualClock::new();
    let credentials = on(&clock, cookies(Lifetime::of(HOUR))).build();
    let first = credentials.get().await.unwrap();
    clock.advance(HOUR / 2);
    Attempt::new(&credentials, &first).cookies_set(&set_cookie("session=value-1; Max-Age=3600"));
    assert_eq!(credentials.status().stamp, Some(first.stamp()));
    assert_eq!(credentials.status().expires_in, Some(HOUR));
}

#[tokio::test]
async fn a_cookie_that_the_credential_does_not_carry_changes_nothing() {
    let credentials = on(&ManualClock::new(), cookies(Lifetime::of(HOUR))).build();
    let first = credentials.get().await.unwrap();
    let before = credentials.status();
    for headers in [set_cookie("other=1; Max-Age=1"), HeaderMap::new()] {
        Attempt::new(&credentials, &first).cookies_set(&headers);
        assert_eq!(credentials.status(), before, "{headers:?}");
    }
    let tokens = on(&ManualClock::new(), tokens()).build();
    let bearer = tokens.get().await.unwrap();
    let before = tokens.status();
    Attempt::new(&tokens, &bearer).cookies_set(&set_cookie("session=1; Max-Age=1"));
    assert_eq!(tokens.status(), before);
}

#[tokio::test]
async fn rule_8_a_late_rejection_of_an_older_replay_does_not_count_against_a_login_that_helped() {
    let clock = ManualClock::new();
    let credentials = on(&clock, tokens()).build();
    let first = credentials.get().await.unwrap();
    Attempt::new(&credentials, &first).rejected();
    let second = credentials.get().await.unwrap();
    let late = replay(&credentials, &second);
    clock.advance(5 * SECOND);
    Attempt::new(&credentials, &second).rejected();
    let third = credentials.get().await.unwrap();
    assert_ne!(third.stamp(), second.stamp());
    replay(&credentials, &third).accepted();
    assert_eq!(late.rejected(), Conclusion::Replay);
    assert_eq!(
        Attempt::new(&credentials, &third).rejected(),
        Conclusion::Replay
    );
}

#[tokio::test]
async fn rule_8_a_replay_of_an_older_revision_proves_nothing_about_the_current_one() {
    let credentials = on(&ManualClock::new(), cookies(Lifetime::of(HOUR))).build();
    let first = credentials.get().await.unwrap();
    Attempt::new(&credentials, &first).rejected();
    let second = credentials.get().await.unwrap();
    let late = replay(&credentials, &second);
    replay(&credentials, &second).accepted();
    Attempt::new(&credentials, &second).cookies_set(&set_cookie("session=rolled"));
    assert_eq!(late.rejected(), Conclusion::Replay);
    let rolled = credentials.get().await.unwrap();
    assert_eq!(
        Attempt::new(&credentials, &rolled).rejected(),
        Conclusion::Replay
    );
}

#[tokio::test]
async fn rule_15_a_waiter_gets_the_revision_that_is_current_when_it_is_polled() {
    let credentials = on(&ManualClock::new(), cookies(Lifetime::of(HOUR))).build();
    let mut waiter = Box::pin(credentials.get());
    assert!(futures_util::poll!(&mut waiter).is_pending());
    settle().await;
    let obtained = credentials.peek().unwrap();
    Attempt::new(&credentials, &obtained).cookies_set(&set_cookie("session=rolled"));
    assert_eq!(waiter.await.unwrap().cookie("session"), Some("rolled"));
}

#[tokio::test]
async fn rule_15_of_several_cookies_each_counts_and_their_order_does_not() {
    let provider = || {
        Scripted::new(|_| {
            Ok(Session::new()
                .with_cookie("a", "1")?
                .with_cookie("b", "1")?
                .with_lifetime(Lifetime::of(HOUR)))
        })
    };
    let expires_in = async |lines: &[&str]| {
        let credentials = on(&ManualClock::new(), provider()).build();
        let credential = credentials.get().await.unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, line.parse().unwrap());
        }
        Attempt::new(&credentials, &credential).cookies_set(&headers);
        credentials.status().expires_in
    };
    assert_eq!(
        expires_in(&["b=2", "a=; Max-Age=0"]).await,
        Some(HOUR),
        "one deleted cookie of two does not end the session"
    );
    let lines = ["a=; Max-Age=0", "b=2; Max-Age=60"];
    assert_eq!(
        expires_in(&lines).await,
        Some(60 * SECOND),
        "the other one has its own life"
    );
    let lines = ["a=; Max-Age=0", "a=2; Max-Age=60", "b=2; Max-Age=90"];
    assert_eq!(expires_in(&lines).await, Some(60 * SECOND));
    assert_eq!(expires_in(&["a=; Max-Age=0"]).await, Some(HOUR));
    let lines = ["a=; Max-Age=0", "b=; Max-Age=0"];
    assert_eq!(
        expires_in(&lines).await,
        None,
        "the deletion of both ends the session"
    );
}

#[tokio::test]
async fn rule_15_a_server_that_ends_every_session_at_once_does_not_cause_a_login_for_each() {
    let provider = cookies(Lifetime::of(HOUR));
    let logins = provider.logins();
    let clock = ManualClock::new();
    let credentials = on(&clock, provider).build();
    for _ in 0..100 {
        let credential = credentials.get().await.unwrap();
        Attempt::new(&credentials, &credential).cookies_set(&set_cookie("session=; Max-Age=0"));
        clock.advance(SECOND / 10);
    }
    assert_eq!(
        logins.count(),
        4,
        "three logins a minute, and then the session is kept"
    );
}

#[tokio::test]
async fn rule_8_one_accepted_replay_resets_the_cooldown_after_a_rejected_one() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    let first = credentials.get().await.unwrap();
    Attempt::new(&credentials, &first).rejected();
    let second = credentials.get().await.unwrap();
    replay(&credentials, &second).rejected();
    let rejected = || Attempt::new(&credentials, &second).rejected();
    assert_eq!(rejected(), Conclusion::Rejected);
    Attempt::new(&credentials, &second).accepted();
    assert_eq!(
        rejected(),
        Conclusion::Rejected,
        "an accepted first attempt does not show that the login helped"
    );
    replay(&credentials, &second).accepted();
    assert_eq!(rejected(), Conclusion::Replay);
}

#[tokio::test]
async fn a_forced_renewal_returns_its_own_generation_at_the_current_revision() {
    let provider = cookies(Lifetime::of(HOUR));
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    credentials.get().await.unwrap();
    let mut renewal = Box::pin(credentials.renew());
    assert!(futures_util::poll!(&mut renewal).is_pending());
    settle().await;
    let obtained = credentials.peek().unwrap();
    let rolled = set_cookie("session=rolled");
    Attempt::new(&credentials, &obtained).cookies_set(&rolled);
    assert_eq!(renewal.await.unwrap().cookie("session"), Some("rolled"));
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn rule_7_newest_does_not_return_a_credential_whose_rejection_was_believed() {
    let credentials = on(&ManualClock::new(), cookies(Lifetime::of(HOUR))).build();
    let first = credentials.get().await.unwrap();
    let newest = |obtained| Attempt::newest(&credentials, obtained, HERE, true);
    assert!(newest(&first).is_some());
    Attempt::new(&credentials, &first).rejected();
    assert!(
        newest(&first).is_none(),
        "it was rejected, and there is no other yet"
    );
    let second = credentials.get().await.unwrap();
    assert!(Arc::ptr_eq(&newest(&first).unwrap(), &second));
    Attempt::new(&credentials, &second).cookies_set(&set_cookie("session=; Max-Age=0"));
    assert!(
        newest(&second).is_none(),
        "a session that the server ended is not returned either"
    );
}
