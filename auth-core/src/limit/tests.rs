use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use governor::middleware::NoOpMiddleware;
use governor::{Quota as Rate, RateLimiter};
use proptest::prelude::*;

use super::window::Steady;
use super::{Limiter, Permit, STALLED_AFTER, Ticket};
use crate::clock::{ManualClock, nanos};
use crate::counting_waker::CountingWaker;
use crate::origin::Origin;
use crate::quota::Quota;

fn quota(logins: u32, seconds: u64) -> Quota {
    Quota::new(
        NonZeroU32::new(logins).unwrap(),
        Duration::from_secs(seconds),
    )
}

const TIMEOUT: Duration = Duration::from_secs(30);

fn new(quota: Quota, hands: &ManualClock) -> Arc<Limiter> {
    Arc::new(Limiter::new(quota, hands.clock()))
}

/// A permit, if one is free at once. Its login is sent at once, too.
fn permit(limiter: &Arc<Limiter>) -> Option<Permit> {
    unsent(limiter)?.sent(TIMEOUT).ok()
}

/// A permit, if one is free at once.
fn unsent(limiter: &Arc<Limiter>) -> Option<Permit> {
    let ticket = Arc::new(limiter.ticket(true));
    limiter.acquire(&ticket, TIMEOUT).now_or_never()
}

/// Whether a permit is free at once. The login ends at once, too.
fn try_acquire(limiter: &Arc<Limiter>) -> bool {
    permit(limiter).map(Permit::end).is_some()
}

/// Asks for a permit after each of the gaps, and returns when one was given, in milliseconds.
fn given(
    gaps: &[u64],
    mut permit: impl FnMut() -> bool,
    mut pass: impl FnMut(Duration),
) -> Vec<u64> {
    let mut now = 0;
    let mut given = Vec::new();
    for gap in gaps {
        pass(Duration::from_millis(*gap));
        now += gap;
        if permit() {
            given.push(now);
        }
    }
    given
}

/// The most permits in any window of the length. Only windows that begin with a permit can hold the
/// most.
fn most_in(window: u64, given: &[u64]) -> usize {
    given
        .iter()
        .map(|start| {
            given
                .iter()
                .filter(|at| (*start..*start + window).contains(*at))
                .count()
        })
        .max()
        .unwrap_or(0)
}

proptest! {
    #[test]
    fn rule_10_no_window_wherever_it_starts_holds_more_than_documented(
        gaps in prop::collection::vec(prop_oneof![0_u64..50, 0_u64..10_000, 50_000_u64..70_000], 1..400),
        logins in 1_u32..15,
        seconds in 1_u64..90,
    ) {
        let hands = ManualClock::new();
        let limiter = new(quota(logins, seconds), &hands);
        let given = given(&gaps, || try_acquire(&limiter), |gap| hands.advance(gap));
        // The margin counts, too: requests that arrive two seconds closer together than they were
        // sent are still within the quota.
        let most = most_in(seconds * 1_000 + 2_000, &given);
        prop_assert!(most <= logins as usize, "{most} logins in {seconds} s, {logins} documented");
    }

    #[test]
    fn rule_10_a_permit_that_is_due_is_given_and_the_earliest_time_is_told(
        logins in prop::collection::vec(
            (0_u64..20_000, prop_oneof![3 => (0_u64..40_000).prop_map(Some), 1 => Just(None)]),
            1..200,
        ),
    ) {
        let hands = ManualClock::new();
        let start = hands.clock().now().steady;
        let limiter = new(quota(10, 60), &hands);
        let (mut now, mut model) = (0, Vec::<Modelled>::new());
        for (gap, took) in logins {
            let until = now + gap;
            while now < until {
                let ends = model.iter().filter_map(|login| login.ends.filter(|at| *at > now));
                let next = ends.fold(until, u64::min);
                hands.advance(Duration::from_millis(next - now));
                now = next;
                for login in model.iter_mut().filter(|login| login.ends == Some(now)) {
                    if let Some(permit) = login.permit.take() {
                        permit.end();
                    }
                }
            }
            let expected = earliest(&model, now);
            let told = limiter.expected(true).saturating_sub(start) / MILLISECOND;
            prop_assert_eq!(told.max(now), expected, "at {} ms", now);
            let permit = permit(&limiter);
            prop_assert_eq!(permit.is_some(), expected == now, "at {} ms", now);
            if let Some(permit) = permit {
                // A login of no time ends at once, and a lost one is dropped at once.
                let permit = match took {
                    Some(0) => { permit.end(); None }
                    Some(_) => Some(permit),
                    None => None,
                };
                model.push(Modelled { given: now, ends: took.map(|took| now + took), permit });
            }
        }
    }
}

/// A login of the model, in milliseconds.
struct Modelled {
    given: u64,
    /// `None` if it is lost.
    ends: Option<u64>,
    permit: Option<Permit>,
}

/// When a tenth other login has left the window at the earliest.
fn earliest(model: &[Modelled], now: u64) -> u64 {
    let counted = model.iter().map(|login| {
        let timed_out = login.given + 30_000;
        62_000
            + match login.ends {
                Some(ends) if ends <= now => ends,
                Some(_) => timed_out.min(now),
                None => timed_out,
            }
    });
    let mut left: Vec<u64> = counted.filter(|free| *free > now).collect();
    left.sort_unstable();
    left.len().checked_sub(10).map_or(now, |index| left[index])
}

#[test]
fn rule_10_the_property_fails_for_governors_own_quota_per_minute() {
    let hands = ManualClock::new();
    let rate = Rate::per_minute(NonZeroU32::new(10).unwrap());
    let limiter = RateLimiter::<_, _, _, NoOpMiddleware<Duration>>::direct_with_clock(
        rate,
        Steady {
            clock: hands.clock(),
            from: 0,
        },
    );
    let gaps = vec![1_000; 200];
    let given = given(&gaps, || limiter.check().is_ok(), |gap| hands.advance(gap));
    let most = most_in(60_000, &given);
    assert!(
        most >= 19,
        "it lets {most} through in a minute, so the property can fail"
    );
}

#[test]
fn rule_10_ten_cold_identities_log_in_at_once() {
    let limiter = new(Quota::DEFAULT, &ManualClock::new());
    assert_eq!((0..20).filter(|_| try_acquire(&limiter)).count(), 10);
}

#[test]
fn rule_10_neither_the_wall_clock_nor_a_shorter_day_gives_a_permit_early() {
    let hands = ManualClock::new();
    let limiter = new(quota(1, 60), &hands);
    assert!(try_acquire(&limiter));
    hands.set_wall_forward(Duration::from_secs(86_400));
    assert!(!try_acquire(&limiter));
    hands.set_wall_back(Duration::from_secs(2 * 86_400));
    hands.advance_steady(Duration::from_secs(62));
    assert!(try_acquire(&limiter));
}

#[test]
fn rule_10_tightening_forgets_no_login_that_still_counts() {
    let hands = ManualClock::new();
    let limiter = new(quota(10, 60), &hands);
    for _ in 0..4 {
        assert!(try_acquire(&limiter));
        hands.advance(Duration::from_secs(1));
    }
    limiter.tighten(quota(4, 10));
    assert!(
        !try_acquire(&limiter),
        "four of four are spent, and the window is still the longer one"
    );
    hands.advance(Duration::from_secs(58));
    assert!(try_acquire(&limiter), "62 s after the first");
    assert!(!try_acquire(&limiter), "61 s after the second");

    limiter.tighten(quota(4, 120));
    hands.advance(Duration::from_secs(60));
    assert!(!try_acquire(&limiter), "121 s after the second");
    hands.advance(Duration::from_secs(1));
    assert!(try_acquire(&limiter), "122 s after the second");
    assert!(!try_acquire(&limiter), "121 s after the third");
    limiter.tighten(quota(10, 60));
    assert_eq!(
        limiter.queue().window.quota(),
        quota(4, 120),
        "nothing loosens it"
    );
}

#[test]
fn rule_10_a_permit_whose_login_was_not_sent_is_free_at_once() {
    let limiter = new(quota(1, 60), &ManualClock::new());
    permit(&limiter).unwrap().give_back();
    // Its task is dropped before it has sent anything.
    drop(unsent(&limiter).unwrap());
    assert!(try_acquire(&limiter));
    assert!(!try_acquire(&limiter));
}

#[test]
fn tightening_forgets_no_login_that_is_under_way() {
    let hands = ManualClock::new();
    let limiter = new(quota(3, 60), &hands);
    let [first, second, third] = [(); 3].map(|()| permit(&limiter).unwrap());
    hands.advance(Duration::from_secs(10));
    first.end();
    limiter.tighten(quota(1, 120));
    hands.advance(Duration::from_secs(10));
    second.end();
    drop(third);
    let expected = || (limiter.expected(true) - hands.clock().now().steady) / SECOND;
    assert_eq!(expected(), 10 + 122, "after the third one's time-out");
    hands.advance(Duration::from_secs(10 + 122) - Duration::from_nanos(1));
    assert!(!try_acquire(&limiter));
    hands.advance(Duration::from_nanos(1));
    assert!(try_acquire(&limiter));
}

#[test]
fn one_origin_one_limiter_per_clock() {
    let origin = Origin::parse("https://limit.example.com").unwrap();
    let hands = ManualClock::new();
    let one = Limiter::shared(&origin, Quota::DEFAULT, &hands.clock());
    assert!(Arc::ptr_eq(
        &one,
        &Limiter::shared(&origin, Quota::DEFAULT, &hands.clock())
    ));
    let elsewhere = Limiter::shared(&origin, Quota::DEFAULT, &ManualClock::new().clock());
    assert!(!Arc::ptr_eq(&one, &elsewhere));
    assert!(try_acquire(&one));
    drop(one);
    let other = Origin::parse("https://other.example.com").unwrap();
    Limiter::shared(&other, Quota::DEFAULT, &hands.clock());
    let again = Limiter::shared(&origin, Quota::DEFAULT, &hands.clock());
    assert_eq!(
        (0..20).filter(|_| try_acquire(&again)).count(),
        9,
        "what was spent outlives its spender"
    );
}

#[test]
fn rule_10_another_way_to_write_a_host_is_no_other_quota() {
    let hands = ManualClock::new();
    let origin = |url: &str| Origin::allow_plain_http(url).unwrap();
    for (url, others) in [
        (
            "https://dots.example.com",
            &[
                "https://dots.example.com.",
                "https://DOTS.example.com.:443/x",
            ][..],
        ),
        ("http://127.0.0.9:81", &["http://[::ffff:127.0.0.9]:81"]),
        ("http://[2001:db8::9]", &["http://[2001:DB8:0::9]:80"]),
    ] {
        let one = Limiter::shared(&origin(url), Quota::DEFAULT, &hands.clock());
        for other in others {
            let again = Limiter::shared(&origin(other), Quota::DEFAULT, &hands.clock());
            assert!(Arc::ptr_eq(&one, &again), "{other}");
        }
    }
    let ports = ["http://127.0.0.9:81", "http://[::ffff:127.0.0.9]:82"];
    let [one, other] =
        ports.map(|url| Limiter::shared(&origin(url), Quota::DEFAULT, &hands.clock()));
    assert!(!Arc::ptr_eq(&one, &other));
}

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// Joins the queue without waiting in it.
fn queued(limiter: &Limiter, wanted: bool) -> Arc<Ticket> {
    let ticket = Arc::new(limiter.ticket(wanted));
    limiter.change(|queue, now| queue.join(&ticket, now));
    ticket
}

/// In how many seconds each ticket expects its permit.
fn told(hands: &ManualClock, tickets: &[&Arc<Ticket>]) -> Vec<u64> {
    let now = hands.clock().now().steady;
    tickets
        .iter()
        .map(|ticket| ticket.expected().saturating_sub(now) / SECOND)
        .collect()
}

#[test]
fn rule_10_every_ticket_in_the_queue_is_told_when_its_turn_comes() {
    let hands = ManualClock::new();
    let limiter = new(quota(2, 60), &hands);
    assert!(try_acquire(&limiter));
    hands.advance(Duration::from_secs(10));
    assert!(try_acquire(&limiter));
    // The two permits are free in 52 and in 62 seconds, and each again a window and its margin
    // after it was given.
    let tickets: Vec<_> = (0..5).map(|_| queued(&limiter, true)).collect();
    let all: Vec<&Arc<Ticket>> = tickets.iter().collect();
    assert_eq!(told(&hands, &all), [52, 62, 52 + 62, 62 + 62, 52 + 124]);
    let now = hands.clock().now().steady;
    assert_eq!(
        (limiter.expected(true) - now) / SECOND,
        62 + 124,
        "the next one queues behind them"
    );
}

#[test]
fn rule_10_renewals_queue_behind_all_logins_that_a_caller_waits_for() {
    let hands = ManualClock::new();
    let limiter = new(quota(1, 60), &hands);
    assert!(try_acquire(&limiter));
    let renewal = queued(&limiter, false);
    let caller = queued(&limiter, true);
    let later_renewal = queued(&limiter, false);
    let tickets = [&renewal, &caller, &later_renewal];
    assert_eq!(told(&hands, &tickets), [124, 62, 186]);
    let now = hands.clock().now().steady;
    let expected = |wanted| (limiter.expected(wanted) - now) / SECOND;
    assert_eq!((expected(true), expected(false)), (124, 248));
    limiter.want(&later_renewal);
    assert_eq!(told(&hands, &tickets), [186, 62, 124]);
}

#[test]
fn rule_20_a_permit_is_taken_that_is_free_and_not_waited_for() {
    let hands = ManualClock::new();
    let limiter = new(quota(1, 60), &hands);
    let take = || {
        let ticket = Arc::new(limiter.ticket(false));
        let taken = limiter.take(&ticket, TIMEOUT);
        assert!(!limiter.queue().holds(&ticket));
        taken.map_err(|expected| (expected - hands.clock().now().steady) / SECOND)
    };
    let first = take().unwrap();
    assert!(first.is_good());
    first.sent(TIMEOUT).unwrap().end();
    assert_eq!(take().unwrap_err(), 62);
    let caller = queued(&limiter, true);
    hands.advance(Duration::from_secs(62));
    assert_eq!(take().unwrap_err(), 62, "the caller goes first");
    let renewal = queued(&limiter, false);
    assert_eq!(take().unwrap_err(), 124, "another renewal came first");
    limiter.pass_over(&caller);
    limiter.pass_over(&renewal);
    take().unwrap().give_back();
    take().unwrap().give_back();
}

#[test]
fn rule_10_a_login_that_is_wanted_before_it_joins_the_queue_is_told_so() {
    let hands = ManualClock::new();
    let limiter = new(quota(1, 60), &hands);
    assert!(try_acquire(&limiter));
    let renewal = queued(&limiter, false);
    let ticket = Arc::new(limiter.ticket(false));
    assert_eq!(told(&hands, &[&ticket]), [124]);
    limiter.want(&ticket);
    assert_eq!(told(&hands, &[&ticket]), [62]);
    let (woken, waker) = CountingWaker::waker();
    renewal.wake_when_later(waker);
    limiter.want(&renewal);
    assert_eq!(woken.count(), 0, "it does not count as ahead of itself");
    // A ticket that has had its permit is told nothing any more.
    let limiter = new(quota(1, 60), &hands);
    let served = Arc::new(limiter.ticket(false));
    assert!(
        limiter
            .acquire(&served, TIMEOUT)
            .now_or_never()
            .map(Permit::end)
            .is_some()
    );
    limiter.want(&served);
    assert_eq!(told(&hands, &[&served]), [0]);
    // Nor is one that has its permit, and waits for that of the store.
    let stored = Arc::new(limiter.ticket(false));
    hands.advance(Duration::from_secs(62));
    let permit = limiter.acquire(&stored, TIMEOUT).now_or_never().unwrap();
    stored.set_expected(hands.clock().now().steady + 2 * SECOND);
    limiter.want(&stored);
    assert_eq!(told(&hands, &[&stored]), [2]);
    drop(permit);
}

#[test]
fn rule_3_a_ticket_that_is_passed_over_delays_no_other() {
    let hands = ManualClock::new();
    let limiter = new(quota(1, 60), &hands);
    assert!(try_acquire(&limiter));
    let (gone, next) = (queued(&limiter, true), queued(&limiter, true));
    assert_eq!(told(&hands, &[&gone, &next]), [62, 124]);
    limiter.pass_over(&gone);
    assert_eq!(told(&hands, &[&next]), [62]);
    assert_eq!(
        (limiter.expected(true) - hands.clock().now().steady) / SECOND,
        124
    );
}

#[test]
fn rule_3_a_ticket_that_misses_its_turn_for_too_long_is_passed_over() {
    let hands = ManualClock::new();
    let ticket = Ticket::default();
    let now = hands.clock().now().steady;
    ticket.queued(now);
    let missed = now + nanos(STALLED_AFTER);
    assert!(!ticket.is_gone(missed));
    assert!(ticket.is_gone(missed + 1));
}

#[test]
fn rule_3_a_turn_counts_from_when_it_came_and_a_ticket_that_moves_up_is_told() {
    let hands = ManualClock::new();
    let now = || hands.clock().now().steady;
    let limiter = new(quota(2, 60), &hands);
    limiter.hold(Duration::from_secs(10));
    let held_until = now() + 10 * SECOND;
    let [first, second, third] = [(); 3].map(|()| queued(&limiter, true));
    assert_eq!(told(&hands, &[&first, &second, &third]), [10, 10, 72]);
    hands.advance(Duration::from_secs(12));
    // The tasks of the first two are not driven, and one of them leaves.
    limiter.change(|queue, _now| queue.leave(&first));
    let moved_up = now();
    assert_eq!(second.expected(), held_until, "since when it could be had");
    assert_eq!(third.expected(), moved_up);
    hands.advance(Duration::from_secs(1));
    limiter.change(|_queue, _now| ());
    assert_eq!(
        (second.expected(), third.expected()),
        (held_until, moved_up)
    );
    // A ticket that joins without an estimate is told as well.
    let newcomer = Arc::new(Ticket::default());
    limiter.pass_over(&second);
    limiter.change(|queue, now| queue.join(&newcomer, now));
    assert_eq!(newcomer.expected(), now());
}

#[test]
fn rule_10_a_ticket_takes_no_permit_of_those_ahead_of_it_though_its_turn_seemed_to_come() {
    let hands = ManualClock::new();
    let limiter = new(quota(2, 60), &hands);
    let [early, late] = [(); 2].map(|()| permit(&limiter).unwrap());
    let (renewal, wanted) = (queued(&limiter, false), queued(&limiter, true));
    assert_eq!(
        told(&hands, &[&wanted, &renewal]),
        [62, 62],
        "at the earliest"
    );
    hands.advance(Duration::from_millis(300));
    early.end();
    hands.advance(Duration::from_millis(300));
    late.end();
    hands.advance(Duration::from_millis(61_800));
    assert_eq!(told(&hands, &[&wanted, &renewal]), [0, 0], "not told again");
    let take = |ticket| limiter.change(|queue, now| queue.take(ticket, now, now));
    assert!(
        take(&renewal).is_none(),
        "one is free, and another is ahead"
    );
    assert!(take(&wanted).is_some());
    hands.advance(Duration::from_millis(300));
    assert!(take(&renewal).is_some());
}

#[test]
fn rule_10_tickets_are_told_again_when_the_earliest_time_has_moved_by_a_second() {
    let hands = ManualClock::new();
    let limiter = new(quota(1, 60), &hands);
    let under_way = permit(&limiter).unwrap();
    let ticket = queued(&limiter, true);
    let (woken, waker) = CountingWaker::waker();
    ticket.wake_when_later(waker);
    for _ in 0..10 {
        hands.advance(Duration::from_millis(100) - Duration::from_nanos(1));
        drop(queued(&limiter, true));
    }
    assert_eq!(woken.count(), 0, "others join all the time");
    hands.advance(Duration::from_nanos(10));
    under_way.end();
    assert_eq!(woken.count(), 1);
    assert_eq!(told(&hands, &[&ticket]), [62]);
    hands.advance(Duration::from_secs(62));
    assert!(
        limiter
            .change(|queue, now| queue.take(&ticket, now, now))
            .is_some()
    );
}

#[test]
fn the_expected_time_of_a_login_is_the_longest_of_the_last_ones() {
    let hands = ManualClock::new();
    let limiter = new(quota(100, 60), &hands);
    let ends_after = |seconds| {
        let permit = permit(&limiter).unwrap();
        hands.advance(Duration::from_secs(seconds));
        permit.end();
        Duration::from_nanos(limiter.login_takes())
    };
    assert_eq!(limiter.login_takes(), 3 * SECOND, "before the first");
    assert_eq!(ends_after(16), Duration::from_secs(16));
    assert_eq!(ends_after(1), Duration::from_secs(12));
    assert_eq!(ends_after(1), Duration::from_secs(9));
    assert_eq!(ends_after(20), Duration::from_secs(20));
}

#[test]
fn rule_10_the_queue_itself_gives_no_permit_too_many() {
    let hands = ManualClock::new();
    let limiter = new(quota(2, 60), &hands);
    let now = hands.clock().now().steady;
    let given = [(); 4].map(|()| limiter.queue().window.give(now).is_some());
    assert_eq!(given, [true, true, false, false]);
}

#[test]
fn rule_10_a_login_that_has_its_permit_is_not_expected_to_wait_for_another() {
    let limiter = new(quota(1, 60), &ManualClock::new());
    let ticket = Arc::new(limiter.ticket(true));
    let expected = ticket.expected();
    let mut given = [false; 2];
    limiter.change(|queue, now| {
        queue.join(&ticket, now);
        given = [(); 2].map(|()| queue.take(&ticket, now, now).is_some());
    });
    assert_eq!((given, ticket.expected()), ([true, false], expected));
}

#[test]
fn rule_10_a_login_that_is_sent_later_than_its_permit_was_given_counts_and_takes_from_then_on() {
    // One whose permit has lapsed, too.
    for late in [5, 200] {
        let hands = ManualClock::new();
        let limiter = new(quota(1, 60), &hands);
        let wait = |limiter: &Arc<Limiter>| {
            let left = limiter.expected(true);
            Duration::from_nanos(left.saturating_sub(hands.clock().now().steady))
        };
        let lost = permit(&limiter).unwrap();
        hands.advance(Duration::from_secs(late));
        drop(lost.sent(TIMEOUT).unwrap());
        assert_eq!(wait(&limiter), TIMEOUT + Duration::from_secs(62), "{late}");
        hands.advance(TIMEOUT + Duration::from_secs(62));
        let ends = permit(&limiter).unwrap();
        hands.advance(Duration::from_secs(late));
        let ends = ends.sent(TIMEOUT).unwrap();
        hands.advance(Duration::from_secs(4));
        ends.end();
        assert_eq!(limiter.login_takes(), nanos(Duration::from_secs(4)));
        assert_eq!(wait(&limiter), Duration::from_secs(62), "{late}");
    }
}

#[test]
fn rule_10_a_login_whose_permit_another_has_had_since_is_not_sent() {
    let hands = ManualClock::new();
    let limiter = new(quota(1, 60), &hands);
    let lapsed = unsent(&limiter).unwrap();
    assert!(lapsed.is_good());
    hands.advance(TIMEOUT + Duration::from_secs(62));
    assert!(lapsed.is_good(), "no other has it");
    let other = permit(&limiter).unwrap();
    assert!(!lapsed.is_good());
    lapsed.sent(TIMEOUT).unwrap_err().give_back();
    assert!(permit(&limiter).is_none());
    other.end();
    assert!(permit(&limiter).is_none());
    // Nor does it count if its login is given up now.
    hands.advance(Duration::from_secs(62));
    let lapsed = unsent(&limiter).unwrap();
    hands.advance(TIMEOUT + Duration::from_secs(62));
    let other = permit(&limiter).unwrap();
    drop(lapsed.sent(TIMEOUT));
    other.give_back();
    assert!(try_acquire(&limiter));
}

#[test]
fn rule_11_a_login_that_has_its_permit_is_not_sent_while_the_server_wants_none() {
    let hands = ManualClock::new();
    let limiter = new(quota(1, 60), &hands);
    let early = unsent(&limiter).unwrap();
    limiter.hold(Duration::from_secs(30));
    assert!(!early.is_good());
    early.sent(TIMEOUT).unwrap_err().give_back();
    hands.advance(Duration::from_secs(30) - Duration::from_nanos(1));
    assert!(unsent(&limiter).is_none());
    hands.advance(Duration::from_nanos(1));
    assert!(permit(&limiter).is_some());
}

#[test]
fn rule_10_a_longer_window_counts_logins_whose_shorter_one_was_over() {
    // When the longer window is stated, and how long the next login then waits.
    for (stated, waits) in [(0, 122), (61, 61), (62, 60), (121, 1), (122, 0), (123, 0)] {
        let hands = ManualClock::new();
        let limiter = new(quota(1, 60), &hands);
        assert!(try_acquire(&limiter));
        hands.advance(Duration::from_secs(stated));
        limiter.tighten(quota(1, 120));
        let window = limiter.queue().window.quota().window();
        assert_eq!(window, Duration::from_secs(120));
        let left = limiter
            .expected(true)
            .saturating_sub(hands.clock().now().steady);
        assert_eq!(
            left,
            nanos(Duration::from_secs(waits)),
            "stated at {stated} s"
        );
        if let Some(before) = Duration::from_secs(waits).checked_sub(Duration::from_nanos(1)) {
            hands.advance(before);
            assert!(!try_acquire(&limiter), "stated at {stated} s");
            hands.advance(Duration::from_nanos(1));
        }
        assert!(try_acquire(&limiter), "stated at {stated} s");
    }
}

#[test]
fn rule_11_a_permit_is_given_at_the_very_end_of_a_hold() {
    let hands = ManualClock::new();
    let limiter = new(Quota::DEFAULT, &hands);
    limiter.hold(Duration::from_secs(30));
    limiter.hold(Duration::from_secs(10));
    hands.advance(Duration::from_secs(30) - Duration::from_nanos(1));
    assert!(
        !try_acquire(&limiter),
        "a shorter hold does not shorten a longer one"
    );
    hands.advance(Duration::from_nanos(1));
    assert!(try_acquire(&limiter));
}

#[test]
fn a_limiter_that_no_cache_uses_and_that_remembers_nothing_is_forgotten() {
    let hands = ManualClock::new();
    let origin = |name: &str| {
        Origin::parse(&format!(
            "https://{}.forgotten.example.com",
            name.replace(' ', "-")
        ))
        .unwrap()
    };
    let idle = Limiter::shared(&origin("idle"), Quota::DEFAULT, &hands.clock());
    let used = Limiter::shared(&origin("used"), Quota::DEFAULT, &hands.clock());
    let spent = Limiter::shared(&origin("spent"), Quota::DEFAULT, &hands.clock());
    let held = Limiter::shared(&origin("held"), Quota::DEFAULT, &hands.clock());
    assert!(try_acquire(&spent));
    held.hold(Duration::from_secs(100));
    let weak: Vec<_> = [&idle, &used, &spent, &held]
        .into_iter()
        .map(Arc::downgrade)
        .collect();
    drop((idle, spent, held));
    let alive = || {
        weak.iter()
            .map(|weak| weak.upgrade().is_some())
            .collect::<Vec<_>>()
    };
    // Each newcomer looks at a few of the others, those of other tests among them.
    let sweep = |hands: &ManualClock, name: &str| {
        for number in 0..100 {
            let newcomer = origin(&format!("{name} {number}"));
            Limiter::shared(&newcomer, Quota::DEFAULT, &hands.clock());
        }
    };
    sweep(&hands, "a newcomer");
    assert_eq!(alive(), [false, true, true, true]);
    hands.advance(Duration::from_secs(62));
    sweep(&hands, "another");
    assert_eq!(alive(), [false, true, false, true]);
    hands.advance(Duration::from_secs(38));
    sweep(&hands, "a third");
    assert_eq!(alive(), [false, true, false, false]);
    drop(used);
}

#[test]
fn a_ticket_whose_permit_is_expected_later_than_before_is_told() {
    let (told, waker) = CountingWaker::waker();
    let ticket = Ticket::default();
    let expect = |at| ticket.tell(ticket.expect(at));
    expect(100);
    ticket.wake_when_later(waker);
    expect(90);
    assert_eq!(told.count(), 0, "sooner is no reason to give up");
    expect(91);
    assert_eq!(told.count(), 1);
}

#[test]
fn rule_10_a_window_of_days_is_kept() {
    let hands = ManualClock::new();
    let limiter = new(quota(1, 2 * 86_400), &hands);
    assert!(try_acquire(&limiter));
    hands.advance(Duration::from_secs(2 * 86_400));
    assert!(!try_acquire(&limiter));
    hands.advance(Duration::from_secs(2));
    assert!(try_acquire(&limiter));
}

#[test]
fn a_limiter_knows_its_quota() {
    let quota = quota(7, 90);
    assert_eq!(new(quota, &ManualClock::new()).quota(), quota);
}
