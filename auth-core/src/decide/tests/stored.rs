//! What is found in a store: sessions, and the notes beside them.

use super::*;
use crate::Secret;
use crate::store::{Found, Version};

/// The first session of the store, or a later one.
const fn version(fence: u64, revision: u64) -> Version {
    Version {
        epoch: 7,
        fence,
        revision,
    }
}

fn stored(version: Version) -> Found {
    let token = format!("stored-{}", version.fence);
    let session = Session::new().with_bearer(&token).unwrap();
    let session = session.with_kept("refresh_token", "r-1").unwrap();
    Found {
        version,
        session: Some(session.with_lifetime(Lifetime::of(HOUR))),
        ..Found::default()
    }
}

/// A later value of it.
fn rolled(version: Version) -> Found {
    let session = Session::new().with_bearer("rolled").unwrap();
    Found {
        session: Some(session.with_lifetime(Lifetime::of(HOUR))),
        ..stored(version)
    }
}

fn refreshing() -> CacheState {
    CacheState::new(Some(Refresh::with_kept("refresh_token").single_use()))
}

fn outlook(found: Found, known: &mut Known) -> Outlook<'_> {
    Outlook {
        found,
        known,
        tag: &|secret| format!("tag of {secret}"),
    }
}

fn adopt(state: &mut CacheState, known: &mut Known, found: Found, now: Moment) -> bool {
    state.adopt(outlook(found, known), &end(now), &POLICY)
}

/// A cache that has taken the first session of the store.
fn shared(mut state: CacheState) -> (CacheState, Known) {
    let mut known = Known::default();
    assert!(adopt(&mut state, &mut known, stored(version(1, 0)), at(0)));
    assert_eq!(known.version, Some(version(1, 0)));
    (state, known)
}

fn stamp(state: &CacheState) -> (u64, u64) {
    let stamp = state.current().unwrap().stamp();
    (stamp.generation(), stamp.revision())
}

#[test]
fn rule_19_a_closed_cache_takes_nothing_from_the_store() {
    let mut state = CacheState::default();
    state.close();
    let mut known = Known::default();
    assert!(!adopt(&mut state, &mut known, stored(version(1, 0)), at(0)));
    assert!(state.current().is_none() && known.version.is_none());
}

#[test]
fn rule_21_a_newer_revision_is_of_the_same_generation_and_another_session_of_the_next() {
    let (mut state, mut known) = shared(CacheState::default());
    assert_eq!(stamp(&state), (1, 0));
    assert!(!adopt(&mut state, &mut known, stored(version(1, 0)), at(1)));
    assert_eq!(stamp(&state), (1, 0), "it has that one");
    assert!(adopt(&mut state, &mut known, rolled(version(1, 1)), at(1)));
    assert_eq!(stamp(&state), (1, 1));
    assert!(adopt(&mut state, &mut known, stored(version(2, 0)), at(1)));
    assert_eq!(stamp(&state), (2, 0));
    // A login of its own, which the store does not have: what is there is another session.
    log_in(&mut state, HOUR, at(2));
    known.unsaved = true;
    let own = state.current().unwrap().stamp();
    assert!(!adopt(&mut state, &mut known, stored(version(3, 0)), at(2)));
    assert_eq!(state.reject(own, false, at(2), &POLICY), Ruling::Believed);
    // It has superseded this one, of which others have saved another value.
    assert!(!adopt(&mut state, &mut known, rolled(version(2, 1)), at(2)));
    assert_eq!(known.version, Some(version(2, 1)));
    assert!(adopt(&mut state, &mut known, stored(version(3, 0)), at(2)));
    assert_eq!(stamp(&state), (4, 0));
    assert!(!known.unsaved);
}

#[test]
fn rule_8_a_cookie_that_another_process_has_saved_is_not_the_part_that_was_asked_for() {
    let found = |revision, token: &str, sid: &str| {
        let session = Session::new().with_bearer(token).unwrap();
        let session = session.with_cookie("sid", sid).unwrap();
        Found {
            session: Some(session.with_lifetime(Lifetime::of(HOUR))),
            ..stored(version(1, revision))
        }
    };
    let (mut state, mut known) = (CacheState::default(), Known::default());
    assert!(adopt(&mut state, &mut known, found(0, "t0", "s0"), at(0)));
    let first = state.current().unwrap().stamp();
    for (revision, token, sid, is_other) in [
        (1, "t0", "s1", false),
        // Its deadline alone.
        (2, "t0", "s1", false),
        (3, "t1", "s1", true),
        (4, "t1", "s2", true),
    ] {
        let saved = found(revision, token, sid);
        assert!(adopt(&mut state, &mut known, saved, at(0)));
        let current = state.current().unwrap();
        assert_eq!(current.has_other_parts_than(first), is_other, "{revision}");
    }
}

#[test]
fn rule_8_where_cookies_are_all_that_is_carried_one_that_another_process_has_saved_is_the_part() {
    let found = |revision, sid: &str| {
        let session = Session::new().with_cookie("sid", sid).unwrap();
        Found {
            session: Some(session.with_lifetime(Lifetime::of(HOUR))),
            ..stored(version(1, revision))
        }
    };
    let (mut state, mut known) = (CacheState::default(), Known::default());
    assert!(adopt(&mut state, &mut known, found(0, "s0"), at(0)));
    let first = state.current().unwrap().stamp();
    // A deadline alone, and then another value.
    for (revision, sid, is_other) in [(1, "s0", false), (2, "s1", true)] {
        let saved = found(revision, sid);
        assert!(adopt(&mut state, &mut known, saved, at(0)));
        let current = state.current().unwrap();
        assert_eq!(current.has_other_parts_than(first), is_other, "{revision}");
    }
}

#[test]
fn rule_21_a_deadline_alone_makes_no_revision() {
    let (mut state, mut known) = shared(CacheState::default());
    assert!(adopt(&mut state, &mut known, stored(version(1, 1)), at(60)));
    assert_eq!(stamp(&state), (1, 0));
    assert_eq!(known.version, Some(version(1, 1)));
    let another = |session: Session| session.with_kept("account", "7").unwrap();
    let mut found = stored(version(1, 2));
    found.session = found.session.map(another);
    assert!(adopt(&mut state, &mut known, found, at(60)));
    assert_eq!(stamp(&state), (1, 1), "it keeps one value more");
    let mut found = stored(version(1, 3));
    let refreshed = |session: Session| session.with_kept("refresh_token", "r-2").unwrap();
    found.session = found.session.map(another).map(refreshed);
    assert!(adopt(&mut state, &mut known, found, at(60)));
    assert_eq!(stamp(&state), (1, 2), "it keeps another value");
    assert!(adopt(&mut state, &mut known, rolled(version(1, 4)), at(60)));
    assert_eq!(stamp(&state), (1, 3), "it carries another value");
}

#[test]
fn rule_7_a_rejection_counts_though_another_process_has_rolled_a_kept_value_since() {
    for (found, expected) in [
        (stored(version(1, 1)), Ruling::Believed),
        (rolled(version(1, 1)), Ruling::Stale),
    ] {
        let (mut state, mut known) = shared(CacheState::default());
        let sent = state.current().unwrap().stamp();
        let another = |session: Session| session.with_kept("account", "7").unwrap();
        let found = Found {
            session: found.session.map(another),
            ..found
        };
        assert!(adopt(&mut state, &mut known, found, at(60)));
        assert_eq!(stamp(&state), (1, 1));
        for always_alone in [false, true] {
            let current = state.current().unwrap();
            let same = current.was_carried_by(sent, always_alone);
            assert_eq!(same, expected == Ruling::Believed);
        }
        assert_eq!(state.reject(sent, false, at(61), &POLICY), expected);
    }
}

#[test]
fn rule_8_a_session_that_was_shown_to_be_good_stays_so_when_another_process_rolls_it() {
    for was_shown in [true, false] {
        let (mut state, mut known) = shared(CacheState::default());
        if was_shown {
            state.current().unwrap().recognized();
        }
        assert!(adopt(&mut state, &mut known, rolled(version(1, 1)), at(60)));
        assert_eq!(state.current().unwrap().is_unproven(), !was_shown);
    }
}

#[test]
fn rule_8_a_session_of_another_process_is_no_sign_that_the_one_before_was_of_use() {
    for (was_good, expected) in [(true, Ruling::Believed), (false, Ruling::Doubted)] {
        let mut state = CacheState::default();
        log_in(&mut state, HOUR, at(0));
        for seconds in [0, 5] {
            let now = at(seconds);
            let sent = state.current().unwrap().stamp();
            assert_eq!(state.reject(sent, false, now, &POLICY), Ruling::Believed);
            log_in(&mut state, HOUR, now);
        }
        if was_good {
            state.current().unwrap().recognized();
        }
        let found = stored(version(1, 0));
        assert!(adopt(&mut state, &mut Known::default(), found, at(6)));
        let sent = state.current().unwrap().stamp();
        assert_eq!(state.reject(sent, false, at(60), &POLICY), expected);
    }
}

#[test]
fn rule_8_a_session_that_was_refreshed_here_is_so_when_another_process_rolls_it() {
    // As long as that one does not know either whether it is good.
    for (by, is_for_first_use) in [
        (Means::Refresh, true),
        (Means::Refresh, false),
        (Means::Password, false),
    ] {
        let mut state = refreshing();
        let id = state.begin();
        let session = stored(version(1, 0)).session.unwrap();
        settle(&mut state, id, Ok(Obtained::Fetched { session, by }), at(0));
        let mut known = Known {
            version: Some(version(1, 0)),
            unsaved: false,
        };
        let mut found = rolled(version(1, 1));
        let first_use = |session: Session| session.for_first_use(is_for_first_use);
        found.session = found.session.map(first_use);
        assert!(adopt(&mut state, &mut known, found, at(60)));
        assert_eq!(stamp(&state), (1, 1));
        let current = state.current().unwrap();
        assert_eq!(current.is_for_first_use(), is_for_first_use);
        assert!(current.is_unproven());
    }
}

#[test]
fn rule_24_a_session_that_is_not_saved_is_given_up_for_a_fresh_one_once_it_is_due() {
    let unsaved = || {
        let (mut state, mut known) = (CacheState::default(), Known::default());
        log_in(&mut state, HOUR, at(0));
        known.unsaved = true;
        (state, known)
    };
    for (age, is_over, taken) in [
        (0, false, false),
        (3_595, false, true),
        (3_595, true, false),
        (3_601, false, true),
    ] {
        let (mut state, mut known) = unsaved();
        let mut found = stored(version(1, 0));
        found.is_over = is_over;
        let adopted = adopt(&mut state, &mut known, found, at(age));
        assert_eq!((adopted, !known.unsaved), (taken, taken), "{age} {is_over}");
        assert_eq!(stamp(&state).0, if taken { 2 } else { 1 });
    }
    // The one that is there is over.
    let (mut state, mut known) = unsaved();
    let mut found = stored(version(1, 0));
    let is_old = |session: Session| session.aged(Duration::from_secs(3_601));
    found.session = found.session.map(is_old);
    assert!(!adopt(&mut state, &mut known, found, at(3_595)));
}

#[test]
fn rule_21_a_rejected_session_is_not_taken_again_from_a_store_that_had_lost_it() {
    let (mut state, mut known) = shared(CacheState::default());
    let rejected = state.current().unwrap().stamp();
    assert_eq!(
        state.reject(rejected, false, at(1), &POLICY),
        Ruling::Believed
    );
    // Another process, which has not seen that yet, has saved it in the new epoch.
    let saved_anew = Version {
        epoch: 8,
        ..version(1, 0)
    };
    adopt(&mut state, &mut known, stored(saved_anew), at(2));
    assert_eq!(known.version, Some(saved_anew));
    assert!(state.current().is_none());
}

#[test]
fn rule_21_a_session_ends_that_was_logged_out_or_superseded_by_one_that_was() {
    for (was_logged_out, of, unsaved, ends) in [
        (true, version(1, 0), false, true),
        // It need not be kept any more.
        (false, version(1, 0), false, false),
        // A later one was, which this cache never had.
        (true, version(2, 0), false, true),
        (false, version(2, 0), false, false),
        // This one was never there.
        (true, version(2, 0), true, false),
        // An earlier one was.
        (true, version(0, 7), false, false),
    ] {
        let (mut state, mut known) = shared(CacheState::default());
        known.unsaved = unsaved;
        let nothing = Found {
            version: of,
            was_logged_out,
            is_over: was_logged_out,
            ..Found::default()
        };
        assert!(!adopt(&mut state, &mut known, nothing, at(1)));
        assert_eq!(state.refreshed().is_none(), ends, "{of:?} {unsaved}");
    }
}

#[test]
fn rule_21_a_session_that_another_process_has_seen_rejected_is_kept_for_its_refresh_alone() {
    let over = |version| Found {
        is_over: true,
        ..stored(version)
    };
    for (found, adopted) in [(over(version(1, 0)), false), (over(version(2, 0)), true)] {
        let (mut state, mut known) = shared(refreshing());
        assert_eq!(adopt(&mut state, &mut known, found, at(1)), adopted);
        assert!(state.current().is_none());
        assert_eq!(state.rejected(), state.generation());
        assert_eq!(begins(&state, at(1), false), Some(Purpose::Refresh));
    }
}

#[test]
fn rule_22_what_a_process_pauses_by_itself_holds_no_refresh_of_another() {
    let limited = LoginError::limited(Some(HOUR));
    for (error, is_held) in [(LoginError::unavailable("x"), false), (limited, true)] {
        let mut state = CacheState::new(Some(Refresh::with_session()));
        log_in(&mut state, HOUR, at(0));
        let current = state.current().unwrap().clone();
        let id = state.begin();
        let end = End {
            jitter: 1.0,
            ..end(at(10))
        };
        let _ = state.not_refreshed(id, (&current, error), &end, &POLICY);
        let notes = state.notes(&Notes::default(), None, false, at(10));
        assert_eq!(notes.held_refreshes.is_some(), is_held);
    }
}

#[test]
fn rule_22_a_token_that_the_notes_know_as_spent_is_not_sent() {
    for (token, is_sent) in [("r-1", false), ("r-2", true)] {
        let mut found = stored(version(1, 1));
        found.notes.spend(format!("tag of {token}"));
        let (mut state, mut known) = shared(refreshing());
        assert_eq!(begins(&state, at(3_595), true), Some(Purpose::Refresh));
        assert!(adopt(&mut state, &mut known, found, at(1)));
        let sent = begins(&state, at(3_595), true) == Some(Purpose::Refresh);
        assert_eq!(sent, is_sent, "{token}");
    }
}

#[test]
fn rule_22_a_token_of_a_session_that_the_store_had_later_than_what_it_has_now_is_not_sent() {
    for (found, looked_with, goes_on) in [
        (5, 5, Purpose::Refresh),
        (3, 5, Purpose::Login),
        // The session at hand was taken over while this answer was on its way.
        (3, 3, Purpose::Refresh),
    ] {
        let (mut state, mut known) = (refreshing(), Known::default());
        assert!(adopt(&mut state, &mut known, stored(version(5, 0)), at(0)));
        let wanted = Wanted {
            purpose: Purpose::Refresh,
            asked: false,
            began: 1,
            known: Some(version(looked_with, 0)),
        };
        let id = state.begin();
        let outlook = outlook(stored(version(found, 0)), &mut known);
        let looked = state.look_at(id, wanted, outlook, &end(at(3_601)), &POLICY);
        assert!(matches!(looked, Some(Adopted::GoesOn(purpose)) if purpose == goes_on));
    }
}

#[test]
fn rule_22_only_a_token_that_can_be_used_once_is_marked() {
    for (by, is_marked) in [
        (Refresh::with_kept("refresh_token").single_use(), true),
        (Refresh::with_kept("refresh_token"), false),
        (Refresh::with_session(), false),
    ] {
        let (state, _) = shared(CacheState::new(Some(by)));
        let session = state.current().unwrap();
        let token = state.single_use_token(session, at(1));
        assert_eq!(token.is_some(), is_marked);
    }
}

#[test]
fn rule_8_a_session_from_the_store_is_on_probation_as_one_of_a_login() {
    let (mut state, mut known) = shared(CacheState::default());
    let first = state.current().unwrap().stamp();
    assert_eq!(
        state.reject(first, false, at(10), &POLICY),
        Ruling::Believed
    );
    assert!(adopt(&mut state, &mut known, stored(version(2, 0)), at(14)));
    let second = state.current().unwrap().stamp();
    assert_eq!(
        state.reject(second, false, at(16), &POLICY),
        Ruling::Doubted
    );
    assert_eq!(
        state.reject(second, false, at(19), &POLICY),
        Ruling::Believed
    );
}

#[test]
fn rule_8_a_good_session_that_others_end_ends_the_count_of_those_of_no_use() {
    type Ends = fn(Version) -> Found;
    let retired: Ends = |version| Found {
        is_over: true,
        ..stored(version)
    };
    let logged_out: Ends = |version| Found {
        session: None,
        was_logged_out: true,
        ..stored(version)
    };
    for (ends, was_good) in [retired, logged_out]
        .map(|ends| [(ends, true), (ends, false)])
        .concat()
    {
        let (mut state, mut known) = shared(CacheState::default());
        let rejected = |state: &mut CacheState, time| {
            let current = state.current().unwrap().stamp();
            state.reject(current, false, at(time), &POLICY)
        };
        for (fence, time) in [(2, 0), (3, 5), (4, 125)] {
            assert_eq!(rejected(&mut state, time), Ruling::Believed);
            let next = stored(version(fence, 0));
            assert!(adopt(&mut state, &mut known, next, at(time)));
        }
        if was_good {
            state.current().unwrap().recognized();
        }
        adopt(&mut state, &mut known, ends(version(4, 0)), at(126));
        assert!(state.current().is_none());
        assert!(adopt(
            &mut state,
            &mut known,
            stored(version(5, 0)),
            at(126)
        ));
        let ruling = rejected(&mut state, 200);
        assert_eq!(ruling == Ruling::Believed, was_good, "{ruling:?}");
    }
}

/// What a flight does for this purpose that finds a session of an hour, which the task that
/// follows the store has found so many seconds before.
fn finds(mut state: CacheState, purpose: Purpose, age: u64) -> Option<Purpose> {
    let mut known = Known::default();
    let id = state.begin();
    let found = || stored(version(1, 0));
    adopt(&mut state, &mut known, found(), at(0));
    let outlook = outlook(found(), &mut known);
    let asked = false;
    let wanted = Wanted {
        purpose,
        asked,
        began: 0,
        known: None,
    };
    match state.look_at(id, wanted, outlook, &end(at(age)), &POLICY) {
        Some(Adopted::Serves(found)) => {
            assert_eq!(Some(found.stamp()), state.current().map(|now| now.stamp()));
            None
        }
        Some(Adopted::GoesOn(purpose)) => Some(purpose),
        Some(Adopted::Fails(error)) => panic!("{error}"),
        None => panic!("it is wanted"),
    }
}

#[test]
fn rule_20_what_is_found_is_served_or_refreshed_or_else_the_flight_goes_on() {
    let plain = CacheState::default;
    for purpose in [Purpose::Login, Purpose::Renewal, Purpose::Refresh] {
        assert_eq!(finds(plain(), purpose, 0), None, "{purpose:?}");
        assert_eq!(finds(refreshing(), purpose, 0), None, "{purpose:?}");
    }
    // It is due, which is good enough for a login, and not for what renews ahead.
    assert_eq!(finds(plain(), Purpose::Login, 3_595), None);
    assert_eq!(finds(refreshing(), Purpose::Login, 3_595), None);
    let renewal = Some(Purpose::Renewal);
    assert_eq!(finds(plain(), Purpose::Renewal, 3_595), renewal);
    let refresh = Some(Purpose::Refresh);
    assert_eq!(finds(refreshing(), Purpose::Renewal, 3_595), refresh);
    assert_eq!(finds(refreshing(), Purpose::Refresh, 3_595), refresh);
    // It is over.
    let login = Some(Purpose::Login);
    assert_eq!(finds(plain(), Purpose::Login, 3_601), login);
    assert_eq!(finds(plain(), Purpose::Refresh, 3_601), login);
    assert_eq!(finds(refreshing(), Purpose::Login, 3_601), refresh);
}

#[test]
fn rule_10_a_good_session_that_is_found_is_used_on_while_its_refresh_has_to_wait() {
    for (age, is_good) in [(3_595, true), (3_601, false)] {
        let (mut state, mut known) = shared(refreshing());
        let current = state.current().unwrap().clone();
        let id = state.begin();
        let limited = LoginError::limited(Some(HOUR));
        let _ = state.not_refreshed(id, (&current, limited), &end(at(3_590)), &POLICY);
        let wanted = Wanted {
            purpose: Purpose::Refresh,
            asked: false,
            began: 0,
            known: None,
        };
        let outlook = outlook(stored(version(1, 0)), &mut known);
        let looked = state.look_at(id, wanted, outlook, &end(at(age)), &POLICY);
        match looked {
            Some(Adopted::Fails(error)) => assert!(is_good, "{error}"),
            Some(Adopted::GoesOn(Purpose::Login)) => assert!(!is_good),
            other => panic!("{other:?}"),
        }
    }
}

/// How long after 3,595 s the renewal of the first session is due, if it was postponed then because
/// its permit is expected at this time.
fn postponed(state: &mut CacheState, expected: Moment) -> Duration {
    let id = state.begin();
    let expected = expected.steady;
    let none = Err(NoSession::Postponed { expected });
    settle(state, id, none, at(3_595));
    next_renewal(state)
}

fn next_renewal(state: &CacheState) -> Duration {
    let due = state.next_renewal(at(3_595)).unwrap();
    Duration::from_nanos(due - at(3_595).steady)
}

#[test]
fn rule_20_a_renewal_that_was_postponed_begins_after_its_permit_is_expected_or_a_minute() {
    for (expected, from) in [(3_590, 0), (3_597, 2), (7_200, 60)] {
        let (mut state, _) = shared(CacheState::default());
        let due = postponed(&mut state, at(expected));
        let after = due.checked_sub(Duration::from_secs(from)).unwrap();
        let second = Duration::from_secs(1);
        assert!(
            after >= second && after <= 2 * second,
            "{expected}: {due:?}"
        );
        let begins = |steady| {
            state.renewal(Moment {
                steady,
                ..at(3_595)
            })
        };
        let due = at(3_595).steady + nanos(due);
        assert_eq!(begins(due - 1), None);
        assert_eq!(begins(due), Some(Purpose::Renewal));
    }
}

#[test]
fn rule_20_a_renewal_that_was_postponed_is_not_that_of_another_session() {
    let (mut state, mut known) = shared(CacheState::default());
    let due = postponed(&mut state, at(3_625));
    let saved = stored(version(1, 0));
    assert!(!adopt(&mut state, &mut known, saved, at(3_595)));
    assert_eq!(next_renewal(&state), due);
    let short = stored(version(2, 0)).session.unwrap();
    let other = Found {
        session: Some(short.with_lifetime(Lifetime::of(Duration::from_secs(10)))),
        ..stored(version(2, 0))
    };
    assert!(adopt(&mut state, &mut known, other, at(3_595)));
    assert!(next_renewal(&state) < Duration::from_secs(10));
}

#[test]
fn rule_20_a_refresh_that_needs_no_permit_is_not_postponed() {
    let as_login = Refresh::with_kept("refresh_token").counts_as_login();
    for (state, is_postponed) in [
        (refreshing(), false),
        (CacheState::new(Some(as_login)), true),
    ] {
        let (mut state, _) = shared(state);
        let due = postponed(&mut state, at(3_625));
        assert_eq!(due > Duration::from_secs(30), is_postponed, "{due:?}");
        assert_eq!(state.renewal(at(3_595)).is_none(), is_postponed);
    }
}

#[test]
fn rule_23_a_login_whose_session_was_found_meanwhile_tells_no_failure_of_before() {
    let mut state = CacheState::default();
    let id = state.begin();
    let failed = Failed {
        error: LoginError::unavailable("status 503"),
        of: Attempted::Login,
        secret: Some(attempted("secret")),
    };
    settle(&mut state, id, Err(NoSession::Failed(failed)), at(0));
    let id = state.begin();
    let mut known = Known::default();
    assert!(adopt(&mut state, &mut known, stored(version(1, 0)), at(60)));
    let settled = settle(&mut state, id, Err(NoSession::Unneeded), at(61));
    assert!(matches!(settled, Settled::Discarded(None)), "{settled:?}");
}

#[test]
fn rule_22_a_hold_on_refreshes_is_noted_until_it_is_over_or_one_has_succeeded() {
    let mut other = CacheState::new(Some(Refresh::with_session()));
    log_in(&mut other, HOUR, at(0));
    let current = other.current().unwrap().clone();
    let id = other.begin();
    let limited = LoginError::limited(Some(Duration::from_secs(60)));
    let _ = other.not_refreshed(id, (&current, limited), &end(at(10)), &POLICY);
    let before = other.notes(&Notes::default(), None, false, at(10));
    let password = Some("tag".to_string());
    for (secret, brought, now, is_noted) in [
        (None, false, 69, true),
        (password.clone(), true, 69, true),
        (None, true, 69, false),
        (password, true, 70, false),
    ] {
        let state = CacheState::default();
        let notes = state.notes(&before, secret, brought, at(now));
        assert_eq!(notes.held_refreshes.is_some(), is_noted, "{brought} {now}");
    }
}

#[test]
fn rule_20_a_later_value_that_is_found_of_the_session_at_hand_is_served_unless_a_renewal_was_asked()
{
    for (asked, serves) in [(false, true), (true, false)] {
        let (mut state, mut known) = shared(CacheState::default());
        let wanted = Wanted {
            purpose: Purpose::Login,
            asked,
            began: 1,
            known: known.version,
        };
        let id = state.begin();
        // The one at hand is over, and another process has prolonged it.
        let outlook = outlook(rolled(version(1, 1)), &mut known);
        let looked = state.look_at(id, wanted, outlook, &end(at(3_601)), &POLICY);
        assert_eq!(matches!(looked, Some(Adopted::Serves(_))), serves);
        assert_eq!(stamp(&state), (1, 1));
    }
}

fn attempted(secret: &str) -> AttemptedSecret {
    AttemptedSecret {
        secret: Secret::from(secret).fingerprint(),
        may_change: false,
    }
}

#[test]
fn rule_22_a_failed_renewal_of_another_process_holds_renewals_alone() {
    let mut other = CacheState::default();
    log_in(&mut other, HOUR, at(0));
    let id = other.begin();
    let outage = LoginError::unavailable("status 503").with_retry_after(Some(HOUR));
    let failed = Failed {
        error: outage,
        of: Attempted::Renewal,
        secret: Some(attempted("secret")),
    };
    settle(&mut other, id, Err(NoSession::Failed(failed)), at(0));
    let notes = other.notes(&Notes::default(), Some("tag".into()), false, at(0));
    let notes = Notes::read(&notes.to_text(at(0)), Duration::ZERO, at(0)).unwrap();
    for (purpose, may_be_sent) in [(Purpose::Renewal, false), (Purpose::Login, true)] {
        let mut state = CacheState::default();
        let told = state.recall(&notes, attempted("secret"), "tag", purpose, at(1));
        assert_eq!(told, may_be_sent, "{purpose:?}");
        let error = state.failure().unwrap().error(at(1));
        let told = std::error::Error::source(&error).map(ToString::to_string);
        assert!(told.unwrap().contains("status 503"));
    }
}

fn fails(error: LoginError, secret: &str) -> Failure {
    let failed = failed(error, Some(attempted(secret)));
    Failure::after(None, failed, &end(at(0)), &FailurePolicy::DEFAULT)
}

#[test]
fn rule_22_what_a_failure_says_of_the_secret_is_read_as_it_was_written() {
    let passed_on = |error: LoginError| {
        let mut notes = Notes::default();
        notes.logged_in_with("tag".into(), Some(fails(error, "secret")));
        let read = Notes::read(&notes.to_text(at(0)), Duration::ZERO, at(0)).unwrap();
        let mut state = CacheState::default();
        let told = state.recall(&read, attempted("secret"), "tag", Purpose::Login, at(1));
        let failure = state.failure().unwrap().clone();
        let others = failure.clone().of_secret(attempted("another"), false);
        (told, failure.says_of_its_secret(), others.is_some())
    };
    let hour = Some(HOUR);
    assert_eq!(passed_on(LoginError::refused("x")), (false, true, false));
    let malformed = LoginError::malformed("x").with_retry_after(hour);
    assert_eq!(passed_on(malformed), (false, true, false));
    let outage = LoginError::unavailable("x").with_retry_after(hour);
    assert_eq!(passed_on(outage), (false, false, true));
}

#[test]
fn rule_12_what_a_store_tells_of_the_server_makes_no_refusal_of_another_secret_forgotten() {
    let mut state = CacheState::default();
    let refused = LoginError::refused("status 401");
    let id = state.begin();
    let failed = failed(refused, Some(attempted("first")));
    settle(&mut state, id, Err(NoSession::Failed(failed)), at(0));
    let mut notes = Notes::default();
    let outage = LoginError::unavailable("status 503").with_retry_after(Some(HOUR));
    notes.logged_in_with("of another".into(), Some(fails(outage, "third")));
    assert!(!state.recall(&notes, attempted("second"), "tag", Purpose::Login, at(1)));
    let outage = std::error::Error::source(&state.failure().unwrap().error(at(1)))
        .is_some_and(|told| told.to_string().contains("status 503"));
    assert!(outage);
    assert!(state.holds_back(attempted("first"), at(2)));
    assert!(!state.holds_back(attempted("second"), at(2)));
}

#[test]
fn rule_12_what_another_handle_has_found_out_forbids_its_own_secret_until_that_is_over() {
    let learns = |secret, now| {
        let mut state = CacheState::default();
        let refused = fails(LoginError::refused("status 401"), "first");
        let forbids = state.learn(refused, attempted(secret), now);
        (forbids, state.secret_is_held(now))
    };
    assert_eq!(learns("first", at(1)), (true, true));
    assert_eq!(learns("first", at(900)), (false, false));
    assert_eq!(learns("second", at(1)), (false, false));
}

#[test]
fn rule_12_a_refusal_that_a_superseded_flight_finds_out_late_holds_the_next_one_back() {
    let mut state = CacheState::default();
    let late = state.begin();
    state.abandon(late);
    state.begin();
    assert!(!state.holds_back(attempted("secret"), at(1)));
    let refused = failed(LoginError::refused("x"), Some(attempted("secret")));
    settle(&mut state, late, Err(NoSession::Failed(refused)), at(1));
    assert!(state.holds_back(attempted("secret"), at(1)));
    assert!(!state.holds_back(attempted("secret"), at(901)));
}

#[test]
fn rule_6_a_session_that_can_be_refreshed_is_kept_fresh_though_its_password_is_refused() {
    let mut state = CacheState::new(Some(Refresh::with_session()));
    log_in(&mut state, HOUR, at(0));
    let due = state.next_renewal(at(1));
    assert!(due.is_some());
    let id = state.begin();
    let refused = Failed {
        of: Attempted::Renewal,
        ..failed(LoginError::refused("x"), Some(attempted("secret")))
    };
    settle(&mut state, id, Err(NoSession::Failed(refused)), at(1));
    assert_eq!(state.next_renewal(at(2)), due);
}

#[test]
fn rule_22_a_login_ends_the_failures_of_its_secret_and_what_others_say_of_the_server() {
    let mut notes = Notes::default();
    assert!(notes.is_empty());
    notes.logged_in_with("a".into(), Some(fails(LoginError::refused("401"), "a")));
    assert!(!notes.is_empty());
    notes.logged_in_with("b".into(), Some(fails(LoginError::unavailable("503"), "b")));
    let known = |notes: &Notes, secret| {
        let failure = notes.failure(secret);
        failure.map(|(failure, same)| (failure.kind(), same))
    };
    let (refused, outage) = (LoginErrorKind::Refused, LoginErrorKind::Unavailable);
    assert_eq!(known(&notes, "a"), Some((refused, true)));
    assert_eq!(known(&notes, "b"), Some((outage, true)));
    assert_eq!(known(&notes, "c"), Some((outage, false)), "the last one");
    notes.logged_in_with("c".into(), None);
    assert_eq!(known(&notes, "b"), Some((refused, false)), "it has ended");
    notes.logged_in_with("a".into(), None);
    assert!(notes.is_empty());
}

#[test]
fn rule_22_the_failures_of_four_secrets_are_noted_and_sixteen_tokens() {
    let mut notes = Notes::default();
    for secret in ["0", "1", "2", "3", "4"] {
        let refused = fails(LoginError::refused("status 401"), secret);
        notes.logged_in_with(secret.into(), Some(refused));
    }
    let known = |secret| notes.failure(secret).is_some_and(|(_, same)| same);
    assert!(!known("0") && known("1") && known("4"));
    for token in 0..17 {
        notes.spend(token.to_string());
        notes.spend(token.to_string());
    }
    assert!(!notes.is_spent("0") && notes.is_spent("1") && notes.is_spent("16"));
}

#[test]
fn rule_22_a_token_that_was_not_sent_is_pardoned_alone() {
    let mut notes = Notes::default();
    for token in ["a", "b"] {
        notes.spend(token.into());
    }
    notes.pardon("a");
    assert!(!notes.is_spent("a") && notes.is_spent("b"));
}

#[test]
fn rule_25_notes_of_another_form_are_damaged() {
    let read = |text: &str| Notes::read(text, Duration::ZERO, at(0)).is_ok();
    assert!(read("notes form=1\n") && read("notes form=1\nunknown x=1\n"));
    let any = Notes::read("notes form=1\nany-spent\n", Duration::ZERO, at(0)).unwrap();
    assert!(any.is_spent("any"));
    for text in ["", "notes form=2\n", "session form=1\n", "notes\n"] {
        assert!(!read(text), "{text}");
    }
}

#[test]
fn rule_22_a_limit_makes_no_refusal_forgotten_that_came_before_it() {
    let refused = || LoginError::refused("status 401");
    let next = |before: &Failure, error, seconds| {
        let failed = failed(error, Some(attempted("secret")));
        Failure::after(
            Some(before),
            failed,
            &end(at(seconds)),
            &FailurePolicy::DEFAULT,
        )
    };
    let twice = next(&fails(refused(), "secret"), refused(), 900);
    let limited = next(&twice, LoginError::limited(None), 2_700);
    assert!(limited.is_of_note(at(2_700)));
    let mut notes = Notes::default();
    notes.logged_in_with("tag".into(), Some(limited));
    // Another secret is refused since then.
    notes.logged_in_with("of another".into(), Some(fails(refused(), "another")));
    let read = Notes::read(&notes.to_text(at(2_700)), Duration::ZERO, at(2_700)).unwrap();
    let mut state = CacheState::default();
    assert!(state.recall(&read, attempted("secret"), "tag", Purpose::Login, at(2_800)));
    let third = next(state.failure().unwrap(), refused(), 2_800);
    assert_eq!(third.error(at(2_800)).retry_after(), Some(HOUR));
    // It is none of what is known of a secret that was not sent yet.
    assert!(state.recall(
        &read,
        attempted("third"),
        "third",
        Purpose::Login,
        at(2_800)
    ));
    let first = state.failure().map_or_else(
        || fails(refused(), "third"),
        |before| next(before, LoginError::unavailable("x"), 2_800),
    );
    assert_eq!(first.tried_until(), 0);
}

#[test]
fn rule_22_what_is_wrong_in_one_process_alone_ends_nothing_that_all_know() {
    let mut notes = Notes::default();
    let refused = LoginError::refused("status 401");
    notes.logged_in_with("tag".into(), Some(fails(refused, "secret")));
    let mut state = CacheState::default();
    let id = state.begin();
    let unsent = LoginError::misconfigured("no such file").not_sent();
    let failed = failed(unsent, Some(attempted("secret")));
    settle(&mut state, id, Err(NoSession::Failed(failed)), at(901));
    let after = state.notes(&notes, Some("tag".into()), false, at(901));
    let known = after
        .failure("tag")
        .map(|(failure, same)| (failure.kind(), same));
    assert_eq!(known, Some((LoginErrorKind::Refused, true)));
}

#[test]
fn rule_8_the_told_end_of_a_session_from_the_store_counts_from_the_sending_of_its_login() {
    let second = Duration::from_secs(1);
    for (took, told_end) in [(0_u32, 9), (3, 6)] {
        let mut found = stored(version(1, 0));
        let life = Lifetime::of(10 * second);
        let stated = |session: Session| session.with_lifetime(life).that_took(second * took);
        found.session = found.session.map(stated);
        let mut state = CacheState::default();
        assert!(adopt(&mut state, &mut Known::default(), found, at(0)));
        let current = state.current().unwrap();
        assert!(!current.life().told_end_has_come(at(told_end - 1)));
        assert!(current.life().told_end_has_come(at(told_end)));
        // It is passed on.
        let passed_on = current.session(at(1)).to_parts();
        let took_word = passed_on.expose().contains(" took=3");
        assert_eq!(took_word, took == 3, "{}", passed_on.expose());
        let read = passed_on.to_session().unwrap();
        assert_eq!(read.took(), second * took);
    }
}

#[test]
fn rule_22_a_process_that_knows_nothing_of_rejections_takes_back_nothing_of_others() {
    let mut other = CacheState::default();
    log_in(&mut other, HOUR, at(0));
    let stamp = other.current().unwrap().stamp();
    other.reject(stamp, false, at(1), &POLICY);
    log_in(&mut other, HOUR, at(2));
    let before = other.notes(&Notes::default(), None, true, at(2));
    assert!(before.breaker.is_some());
    let state = CacheState::default();
    let after = state.notes(&before, Some("tag".into()), true, at(3));
    assert!(after.breaker.is_some());
}
