use proptest::prelude::*;

use super::*;
use crate::clock::ManualClock;

fn quota(logins: u32, seconds: u64) -> Quota {
    Quota::new(
        NonZeroU32::new(logins).unwrap(),
        Duration::from_secs(seconds),
    )
}

/// A permit, if there is one at once.
fn try_acquire(limiter: &Limiter) -> bool {
    let place = Arc::new(limiter.place(true));
    futures_util::FutureExt::now_or_never(limiter.acquire(&place)).is_some()
}

/// Asks for a permit after each of the gaps, and says when one was given, in milliseconds.
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

/// The most that any window of the length holds. Only windows that begin with a permit need to be looked at.
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
        let limiter = Limiter::new(quota(logins, seconds), hands.clock());
        let given = given(&gaps, || try_acquire(&limiter), |gap| hands.advance(gap));
        // The margin, too: requests that the network squeezes together by two seconds are still within the quota.
        let most = most_in(seconds * 1_000 + 2_000, &given);
        prop_assert!(most <= logins as usize, "{most} logins in {seconds} s, {logins} documented");
    }

    #[test]
    fn rule_10_a_permit_that_is_due_is_given(
        gaps in prop::collection::vec(0_u64..20_000, 1..200),
    ) {
        let hands = ManualClock::new();
        let limiter = Limiter::new(quota(10, 60), hands.clock());
        let mut log: Vec<u64> = Vec::new();
        let mut now = 0;
        for gap in gaps {
            hands.advance(Duration::from_millis(gap));
            now += gap;
            let recent = log.iter().filter(|at| **at + 62_000 > now).count();
            let permit = try_acquire(&limiter);
            prop_assert_eq!(permit, recent < 10, "at {} ms after {:?}", now, log);
            if permit {
                log.push(now);
            }
        }
    }
}

#[test]
fn rule_10_the_property_fails_for_governors_own_quota_per_minute() {
    let hands = ManualClock::new();
    let rate = Rate::per_minute(NonZeroU32::new(10).unwrap());
    let limiter = RateLimiter::<_, _, _, NoOpMiddleware<Duration>>::direct_with_clock(
        rate,
        Steady(hands.clock()),
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
    let limiter = Limiter::new(Quota::DEFAULT, ManualClock::new().clock());
    assert_eq!((0..20).filter(|_| try_acquire(&limiter)).count(), 10);
}

#[test]
fn rule_10_neither_the_wall_clock_nor_a_shorter_day_gives_a_permit_early() {
    let hands = ManualClock::new();
    let limiter = Limiter::new(quota(1, 60), hands.clock());
    assert!(try_acquire(&limiter));
    hands.set_wall_forward(Duration::from_secs(86_400));
    assert!(!try_acquire(&limiter));
    hands.set_wall_back(Duration::from_secs(2 * 86_400));
    hands.advance_steady(Duration::from_secs(62));
    assert!(try_acquire(&limiter));
}

#[test]
fn tightening_forgets_no_login_that_still_counts() {
    let hands = ManualClock::new();
    let limiter = Limiter::new(quota(10, 60), hands.clock());
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
    hands.advance(Duration::from_secs(121));
    assert!(
        !try_acquire(&limiter),
        "when they were spent is forgotten, so they count from now"
    );
    hands.advance(Duration::from_secs(1));
    assert!(try_acquire(&limiter));
    limiter.tighten(quota(10, 60));
    assert_eq!(
        limiter.line.lock().quota,
        quota(4, 120),
        "nothing loosens it"
    );
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
