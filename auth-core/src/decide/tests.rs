//! Tests of the decisions alone.

mod stored;

use std::time::Duration;

use super::*;
use crate::clock::{Moment, nanos};
use crate::error::{Error, LoginError, LoginErrorKind};
use crate::lifetime::{Lifetime, RefreshWindow};
use crate::refresh::Refresh;
use crate::session::Session;

const HOUR: Duration = Duration::from_secs(3_600);
const POLICY: Policy = Policy {
    window: RefreshWindow::DEFAULT,
    failure: FailurePolicy::DEFAULT,
    rejection_logins: Policy::DEFAULT_REJECTION_LOGINS,
};

fn at(seconds: u64) -> Moment {
    let nanos = nanos(Duration::from_secs(seconds));
    Moment {
        steady: 1_000_000_000_000 + nanos,
        wall: 1_700_000_000_000_000_000 + nanos,
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it is an outcome")]
fn session(life: Duration) -> LoginOutcome {
    let session = Session::new().with_bearer("token").unwrap();
    Ok(Obtained::Fetched {
        session: session.with_lifetime(Lifetime::of(life)),
        by: Means::Password,
    })
}

fn failure() -> LoginOutcome {
    Err(NoSession::Failed(failed(
        LoginError::unavailable("status 503"),
        None,
    )))
}

const fn failed(error: LoginError, secret: Option<AttemptedSecret>) -> Failed {
    Failed {
        error,
        of: Attempted::Login,
        secret,
    }
}

const fn end(at: Moment) -> End {
    End {
        at,
        took: Duration::ZERO,
        jitter: 0.0,
    }
}

fn settle(state: &mut CacheState, id: FlightId, outcome: LoginOutcome, now: Moment) -> Settled {
    state.settle(id, outcome, &end(now), &POLICY)
}

fn log_in(state: &mut CacheState, life: Duration, now: Moment) {
    let id = state.begin();
    assert!(matches!(
        settle(state, id, session(life), now),
        Settled::LoggedIn { .. }
    ));
}

fn begins(state: &CacheState, now: Moment, renewed: bool) -> Option<Purpose> {
    match state.decide(now, renewed) {
        Decision::Begin(purpose) | Decision::ServeAndBegin(_, purpose) => Some(purpose),
        _ => None,
    }
}

#[test]
fn a_renewed_credential_comes_from_a_renewal_or_else_from_a_login() {
    let mut state = CacheState::default();
    assert_eq!(begins(&state, at(0), true), Some(Purpose::Login));
    assert_eq!(begins(&state, at(0), false), Some(Purpose::Login));
    log_in(&mut state, HOUR, at(0));
    assert_eq!(begins(&state, at(1), true), Some(Purpose::Renewal));
    assert_eq!(begins(&state, at(1), false), None);
    assert_eq!(
        begins(&state, at(3_600), true),
        Some(Purpose::Login),
        "expired"
    );
    assert_eq!(begins(&state, at(3_600), false), Some(Purpose::Login));
}

#[test]
fn rule_6_without_progress_the_next_renewal_waits_for_its_back_off_to_the_moment() {
    let mut state = CacheState::default();
    log_in(&mut state, HOUR, at(0));
    // The same expiry again: the wait is one second, then two, then four.
    for (renewed_at, wait) in [(3_400, 1), (3_450, 2), (3_500, 4)] {
        assert_eq!(state.renewal(at(renewed_at)), Some(Purpose::Renewal));
        log_in(
            &mut state,
            Duration::from_secs(3_600 - renewed_at),
            at(renewed_at),
        );
        let due = at(renewed_at + wait);
        let before = Moment {
            steady: due.steady - 1,
            ..due
        };
        assert_eq!(state.renewal(before), None);
        assert_eq!(state.renewal(due), Some(Purpose::Renewal));
    }
    log_in(&mut state, HOUR, at(3_550));
    assert_eq!(
        state.renewal(at(3_550)),
        Some(Purpose::Renewal),
        "progress ends it"
    );
}

#[test]
fn rule_6_waiters_of_a_failed_refresh_begin_a_login_if_the_session_was_rejected_meanwhile() {
    for rejected in [false, true] {
        let mut state = CacheState::new(Some(Refresh::with_session()));
        log_in(&mut state, HOUR, at(0));
        let current = state.current().unwrap().clone();
        let id = state.begin();
        let outage = LoginError::unavailable("status 503");
        let told = state.not_refreshed(id, (&current, outage), &end(at(3_400)), &POLICY);
        let (told, follows) = told.unwrap();
        assert_eq!(follows, None, "the session is good");
        if rejected {
            let ruling = state.reject(current.stamp(), false, at(3_400), &POLICY);
            assert_eq!(ruling, Ruling::Believed);
        }
        let settled = settle(
            &mut state,
            id,
            Err(NoSession::NotRefreshed(told)),
            at(3_400),
        );
        if rejected {
            assert!(matches!(settled, Settled::Discarded(None)));
        } else {
            assert!(matches!(settled, Settled::Failed(_)));
        }
    }
}

#[test]
fn rule_1_after_a_late_session_that_is_discarded_the_one_at_hand_is_the_last() {
    let mut state = CacheState::default();
    let late = state.begin();
    state.abandon(late);
    log_in(&mut state, HOUR, at(0));
    let settled = settle(&mut state, late, session(HOUR), at(1));
    assert!(matches!(settled, Settled::Discarded(Some(_))));
    let current = state.current().unwrap().stamp();
    assert_eq!(state.generation(), current.generation);
}

#[test]
fn rule_1_a_flight_is_told_from_those_before_it() {
    let mut state = CacheState::default();
    let dead = state.begin();
    state.abandon(dead);
    let living = state.begin();
    assert_ne!(dead, living);
    assert!(matches!(
        settle(&mut state, dead, session(HOUR), at(0)),
        Settled::Discarded(Some(_))
    ));
    assert!(matches!(
        settle(&mut state, dead, failure(), at(0)),
        Settled::Discarded(None)
    ));
    assert!(
        state.failure().is_none(),
        "what is discarded teaches nothing"
    );
    assert_eq!(state.flight(), Some(living));
    state.abandon(dead);
    assert_eq!(
        state.flight(),
        Some(living),
        "nor can it be lost for another"
    );
    assert!(matches!(
        settle(&mut state, living, session(HOUR), at(0)),
        Settled::LoggedIn { .. }
    ));
    assert_eq!(state.flight(), None);
}

#[test]
fn rule_19_an_outcome_after_the_close_teaches_nothing_and_its_session_is_logged_out() {
    for (outcome, session_left) in [
        (session(HOUR), true),
        (failure(), false),
        (Err(NoSession::Unchanged), false),
    ] {
        let mut state = CacheState::default();
        let id = state.begin();
        assert!(state.close().is_none());
        let Settled::Closed(left) = settle(&mut state, id, outcome, at(0)) else {
            panic!("it was closed");
        };
        assert_eq!(left.is_some(), session_left);
        assert!(state.current().is_none() && state.failure().is_none());
        assert!(matches!(
            state.decide(at(0), true),
            Decision::Fail(Error::Closed)
        ));
    }
}

#[test]
fn rule_12_only_what_may_be_a_refusal_and_is_in_force_survives_a_source_that_cant_be_read() {
    let unreadable = || {
        Err(NoSession::Failed(failed(
            LoginError::misconfigured("no variable"),
            None,
        )))
    };
    let attempted = AttemptedSecret {
        secret: crate::Secret::from("secret").fingerprint(),
        may_change: true,
    };
    let kind_after = |error: LoginError, now: Moment| {
        let mut state = CacheState::default();
        let id = state.begin();
        settle(
            &mut state,
            id,
            Err(NoSession::Failed(failed(error, Some(attempted)))),
            at(0),
        );
        let id = state.begin();
        settle(&mut state, id, unreadable(), now);
        state.failure().map(Failure::kind)
    };
    let refused = || LoginError::refused("status 401");
    assert_eq!(kind_after(refused(), at(10)), Some(LoginErrorKind::Refused));
    let unsure = LoginError::malformed("status 200");
    assert_eq!(
        kind_after(unsure, at(10)),
        Some(LoginErrorKind::Malformed),
        "nor one that may be refused"
    );
    assert_eq!(
        kind_after(refused(), at(900)),
        Some(LoginErrorKind::Misconfigured),
        "its cooldown has ended"
    );
    let outage = LoginError::unavailable("x").with_retry_after(Some(HOUR));
    assert_eq!(
        kind_after(outage, at(10)),
        Some(LoginErrorKind::Misconfigured),
        "an outage is no refusal"
    );
}

/// A cache whose last sessions were of no use, at 126 s.
fn with_sessions_of_no_use(session: impl Fn() -> LoginOutcome) -> CacheState {
    let mut state = CacheState::default();
    let bring = |state: &mut CacheState, time| {
        let id = state.begin();
        settle(state, id, session(), at(time));
    };
    let reject = |state: &mut CacheState, time| {
        let current = state.current().unwrap().stamp();
        state.reject(current, false, at(time), &POLICY)
    };
    bring(&mut state, 0);
    for time in [0, 5, 125] {
        assert_eq!(reject(&mut state, time), Ruling::Believed, "{time}");
        bring(&mut state, time);
        assert_eq!(reject(&mut state, time + 1), Ruling::Doubted, "{time}");
    }
    state
}

#[test]
fn rule_8_a_good_session_whose_cookies_expire_ends_the_count_of_those_of_no_use() {
    for was_good in [true, false] {
        let mut state = with_sessions_of_no_use(|| {
            let headers = [(
                http::header::SET_COOKIE,
                "sid=s; Max-Age=60".parse().unwrap(),
            )];
            let headers = http::HeaderMap::from_iter(headers);
            let cookie = crate::set_cookies(&headers).next().unwrap();
            Ok(Obtained::Fetched {
                session: Session::new().with_optional_cookie(&cookie).unwrap(),
                by: Means::Password,
            })
        });
        if was_good {
            state.current().unwrap().recognized();
        }
        state.drop_expired_cookies(at(186));
        assert!(state.current().is_none());
        log_in(&mut state, HOUR, at(186));
        let next = state.current().unwrap().stamp();
        let ruling = state.reject(next, false, at(200), &POLICY);
        assert_eq!(ruling == Ruling::Believed, was_good, "{ruling:?}");
    }
}

#[test]
fn rule_11_the_answer_that_postponed_a_login_is_told_up_to_the_moment_of_the_next() {
    let mut state = CacheState::default();
    let id = state.begin();
    let limited = LoginError::limited(Some(Duration::from_secs(40)));
    let outcome = Err(NoSession::Failed(failed(limited, None)));
    settle(&mut state, id, outcome, at(0));
    assert!(state.postponed_by(at(39)).is_some());
    assert!(state.postponed_by(at(40)).is_none());
}
