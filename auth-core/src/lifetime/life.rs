//! The deadlines of one session on two clocks.
//!
//! Every function here takes the time as a [`Moment`] and reads no clock.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::window::WHOLE_SECOND;
use super::{CookieLives, Lifetime, RefreshWindow};
use crate::clock::{Deadline, Moment, nanos};
use crate::runtime::AtomicU64;

/// What the clocks say about a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Good, and no renewal is due.
    Fresh,
    /// Good, and inside the refresh window.
    Due,
    /// Good, but a cookie beside the session's has expired and must not be sent any more.
    Outdated,
    /// Inactive for longer than the idle timeout. It may still be good, if another program has used
    /// the session.
    Lapsed,
    /// Past its hard expiry or its absolute maximum.
    Expired,
}

impl Freshness {
    /// Not past its hard end. After a long inactivity only the server knows whether the session is
    /// good.
    #[inline]
    pub(crate) const fn may_be_good(self) -> bool {
        !matches!(self, Self::Expired)
    }

    /// Good, and no renewal is due.
    #[inline]
    pub(crate) const fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh)
    }

    /// Good by both clocks, whether or not a renewal is due.
    #[inline]
    pub(crate) const fn is_good(self) -> bool {
        matches!(self, Self::Fresh | Self::Due | Self::Outdated)
    }
}

/// By how much a timer renews a session ahead of its idle deadline, at most.
const LONGEST_IDLE_LEAD: Duration = Duration::from_secs(300);

/// The end of the login that returned a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    /// When its response was received.
    pub(crate) at: Moment,
    /// How long the login took. At the server the session began that long before, at most.
    pub(crate) took: Duration,
}

/// The deadlines of one session. They are fixed at its login, except for the idle deadline.
#[derive(Debug)]
pub(crate) struct Life {
    birth: Birth,
    lifetime: Lifetime,
    /// Whether it is renewed ahead of its end.
    ahead: bool,
    /// The idle timeout that the provider stated. The server may have shortened it since.
    stated_idle: Option<Duration>,
    absolute: Deadline,
    expires: Deadline,
    /// When the server may have ended the session, by what it told of its hard expiry.
    told_end: Deadline,
    refresh: Deadline,
    /// When the first cookie expires that the session can do without.
    others: Deadline,
    /// The earlier of `refresh` and `others`: before it, only the idle deadline can pass.
    watch: Deadline,
    idle: IdleDeadline,
}

impl Life {
    /// The life of a session from its birth.
    pub(crate) fn begin(
        lifetime: Lifetime,
        cookies: &CookieLives,
        birth: Birth,
        window: RefreshWindow,
        jitter: f64,
    ) -> Self {
        let unbounded = Self {
            birth,
            lifetime,
            ahead: window != RefreshWindow::NONE,
            stated_idle: lifetime.idle,
            absolute: Deadline::after_option(birth.at, lifetime.absolute),
            expires: Deadline::NEVER,
            told_end: Deadline::NEVER,
            refresh: Deadline::NEVER,
            others: Deadline::NEVER,
            watch: Deadline::NEVER,
            idle: IdleDeadline::new(Deadline::NEVER),
        };
        unbounded.roll(cookies, true, birth.at, window, jitter)
    }

    /// The life of the same session after an answer, received at `received`, has set cookies.
    ///
    /// The hard expiry is the least end of the cookies that the session needs, within the same
    /// absolute maximum. In a sliding session the cookies state the idle timeout instead, and the
    /// deadline counts from the answer if it has `restated` one of them.
    pub(crate) fn roll(
        &self,
        cookies: &CookieLives,
        restated: bool,
        received: Moment,
        window: RefreshWindow,
        jitter: f64,
    ) -> Self {
        let mut next = self.with_others(cookies);
        let mut expires = self.hard_end(cookies);
        if let Some(stated) = self.stated_idle {
            expires = Deadline::after_option(self.birth.at, self.lifetime.hard);
            let timeout = cookies.shortest.map_or(stated, |life| life.min(stated));
            next.lifetime.idle = Some(timeout);
            if restated {
                next.idle = IdleDeadline::new(Deadline::after(received, timeout));
            }
        }
        expires = expires.min(self.absolute);
        if expires != self.expires {
            let left = (!expires.is_never()).then(|| expires.left(received));
            next.expires = expires;
            let took = self.birth.took;
            let told = left.map(|life| told_part(life, took.saturating_add(WHOLE_SECOND)));
            next.told_end = Deadline::after_option(received, told);
            next.refresh = refresh_from(received, left, took, window, jitter);
            next.watch = next.refresh.min(next.others);
        }
        next
    }

    /// The end of the cookies that the session needs. One without a life of its own has the one
    /// that the provider stated, until the server has stated it anew.
    fn hard_end(&self, cookies: &CookieLives) -> Deadline {
        if cookies.restated {
            cookies.least
        } else {
            let stated = Deadline::after_option(self.birth.at, self.lifetime.hard);
            cookies.least.min(stated)
        }
    }

    /// The same life beside other cookies.
    pub(crate) fn with_others(&self, cookies: &CookieLives) -> Self {
        Self {
            birth: self.birth,
            lifetime: self.lifetime,
            ahead: self.ahead,
            stated_idle: self.stated_idle,
            absolute: self.absolute,
            expires: self.expires,
            told_end: self.told_end,
            refresh: self.refresh,
            others: cookies.others,
            watch: self.refresh.min(cookies.others),
            idle: IdleDeadline::new(self.idle.get()),
        }
    }

    /// The same life in a session whose idle deadline is so far away, if one is stated.
    pub(crate) fn idle_for(mut self, left: Option<Duration>) -> Self {
        if let (Some(left), Some(_)) = (left, self.lifetime.idle) {
            self.idle = IdleDeadline::new(Deadline::after(self.birth.at, left));
        }
        self
    }

    /// What is left of it beside these cookies: a lifetime that counts from `now`, and the time to
    /// the idle deadline. A hard expiry that the cookies have made forgotten is none.
    pub(crate) fn left(&self, cookies: &CookieLives, now: Moment) -> (Lifetime, Option<Duration>) {
        let left = |deadline: Deadline| (!deadline.is_never()).then(|| deadline.left(now));
        let forgotten = cookies.restated && self.stated_idle.is_none();
        let hard = self.lifetime.hard.filter(|_| !forgotten);
        let lifetime = Lifetime {
            hard: left(Deadline::after_option(self.birth.at, hard)),
            idle: self.stated_idle,
            absolute: left(self.absolute),
        };
        (
            lifetime,
            self.stated_idle.and_then(|_| left(self.idle.get())),
        )
    }

    /// The idle deadline moves to that of the same session in another revision, if that is later.
    pub(crate) fn goes_on(&self, other: &Self) {
        if self.lifetime.idle.is_some() && self.lifetime.idle == other.lifetime.idle {
            self.idle.move_to(other.idle.get());
        }
    }

    /// The hard expiry that the provider stated.
    pub(crate) const fn stated(&self) -> Option<Duration> {
        self.lifetime.hard
    }

    #[inline]
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        if self.watch.passed(now) {
            if self.expires.passed(now) {
                return Freshness::Expired;
            }
            if self.idle.passed(now) {
                return Freshness::Lapsed;
            }
            if self.others.passed(now) {
                return Freshness::Outdated;
            }
            return Freshness::Due;
        }
        if self.idle.passed(now) {
            return Freshness::Lapsed;
        }
        Freshness::Fresh
    }

    /// A request that was sent at `sent` was accepted, so the idle deadline counts from there. The
    /// deadline only moves forward, and is stored at most once a second.
    #[inline]
    pub(crate) fn touch(&self, sent: Moment) {
        if let Some(timeout) = self.lifetime.idle {
            self.idle.move_to(Deadline::after(sent, timeout));
        }
    }

    /// Whether accepted requests move a deadline.
    #[inline]
    pub(crate) const fn slides(&self) -> bool {
        self.lifetime.idle.is_some()
    }

    /// Whether the session was inactive for too long.
    pub(crate) fn idle_has_passed(&self, now: Moment) -> bool {
        self.idle.get().passed(now)
    }

    /// Whether the server may have ended the session by now, as it told. It may count whole
    /// seconds, from the receipt of the login or of the request that moved the idle deadline.
    pub(crate) fn told_end_has_come(&self, now: Moment) -> bool {
        let idle = self.lifetime.idle.is_some_and(|timeout| {
            let early = timeout.saturating_sub(told_part(timeout, WHOLE_SECOND));
            self.idle.get().is_within(early, now)
        });
        idle || self.told_end.passed(now)
    }

    /// When a session is renewed that no caller waits for, on the steady clock: ahead of its expiry
    /// or of its idle deadline, by a tenth of the timeout, or else at its end. `None` if neither is
    /// known.
    pub(crate) fn renewed_at(&self, now: Moment) -> Option<u64> {
        let lead = |timeout: Duration| (timeout / 10).min(LONGEST_IDLE_LEAD);
        let lead = self.lifetime.idle.filter(|_| self.ahead).map(lead);
        self.first_of(
            self.refresh.min(self.expires),
            lead.unwrap_or_default(),
            now,
        )
    }

    /// When it ends if it is not used any more, on the steady clock, as far as that is known.
    pub(crate) fn ends_at(&self, now: Moment) -> Option<u64> {
        self.first_of(self.expires, Duration::ZERO, now)
    }

    /// The earlier of this, unless it is never, and of so long before the idle deadline.
    fn first_of(&self, deadline: Deadline, lead: Duration, now: Moment) -> Option<u64> {
        let at = |deadline: Deadline| now.steady.saturating_add(nanos(deadline.left(now)));
        let idle = self
            .lifetime
            .idle
            .map(|_| at(self.idle.get()).saturating_sub(nanos(lead)));
        let stated = Some(deadline).filter(|by| !by.is_never());
        stated.map(at).into_iter().chain(idle).min()
    }

    pub(crate) const fn born(&self) -> Moment {
        self.birth.at
    }

    /// How long its login took.
    pub(crate) const fn took(&self) -> Duration {
        self.birth.took
    }

    pub(crate) const fn expires(&self) -> Deadline {
        self.expires
    }

    pub(crate) fn idle_deadline(&self) -> Deadline {
        self.idle.get()
    }
}

fn refresh_from(
    start: Moment,
    life: Option<Duration>,
    took: Duration,
    window: RefreshWindow,
    jitter: f64,
) -> Deadline {
    life.map_or(Deadline::NEVER, |life| {
        let window = window.length(life, took, jitter);
        Deadline::after(start, life.saturating_sub(window))
    })
}

/// The part of a life after which the server may end it `early` by as much. It is a quarter of the
/// life at least, so that a rejection right after a login is never taken for the end of a short
/// life.
fn told_part(life: Duration, early: Duration) -> Duration {
    life.saturating_sub(early).max(life / 4)
}

/// A deadline that callers move without a lock, each clock in an atomic of its own.
///
/// Every operation is relaxed. A deadline publishes no other memory, and `fetch_max` keeps each
/// clock from moving back. A reader between the two stores sees one clock's new deadline and the
/// other's old one. Whichever passes first ends the session, so such a reader sees the old deadline
/// at worst.
#[derive(Debug)]
struct IdleDeadline {
    steady: AtomicU64,
    wall: AtomicU64,
}

/// How much later a deadline must be to be stored, in nanoseconds. A store invalidates a cache line
/// that every caller reads, and a second is little beside any idle timeout. Rule 15 states it.
pub(crate) const WORTH_STORING: u64 = 1_000_000_000;

impl IdleDeadline {
    const fn new(deadline: Deadline) -> Self {
        Self {
            steady: AtomicU64::new(deadline.steady),
            wall: AtomicU64::new(deadline.wall),
        }
    }

    #[inline]
    fn get(&self) -> Deadline {
        Deadline {
            steady: self.steady.load(Relaxed),
            wall: self.wall.load(Relaxed),
        }
    }

    #[inline]
    fn passed(&self, now: Moment) -> bool {
        self.get().passed(now)
    }

    fn move_to(&self, later: Deadline) {
        for (stored, later) in [(&self.steady, later.steady), (&self.wall, later.wall)] {
            if later >= stored.load(Relaxed).saturating_add(WORTH_STORING) {
                stored.fetch_max(later, Relaxed);
            }
        }
    }
}

/// Whether a renewal moved the expiry of `old` to a later one. A server that returns the same
/// session again would otherwise be asked again at once.
pub(crate) fn made_progress(old: &Life, renewed: &Life) -> bool {
    let (old, expires) = (old.expires, renewed.expires);
    // A server that counts whole seconds states the same expiry anew up to a second later. A life
    // of a few seconds is renewed before a second of it has passed.
    let least = WHOLE_SECOND.min(expires.left(renewed.birth.at) / 4);
    expires.is_never() || expires.steady > old.steady.saturating_add(nanos(least))
}

#[cfg(test)]
#[allow(
    clippy::unchecked_time_subtraction,
    reason = "a test that can't go on fails"
)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(86_400);
    const START: Moment = Moment {
        steady: 1_000_000_000_000,
        wall: 1_700_000_000_000_000_000,
    };

    const BIRTH: Birth = Birth {
        at: START,
        took: Duration::ZERO,
    };

    const NONE: CookieLives = CookieLives {
        least: Deadline::NEVER,
        shortest: None,
        restated: false,
        others: Deadline::NEVER,
    };

    /// The life after an answer has set the session's only cookie, for `max_age` from then on.
    fn rolled(life: &Life, received: Moment, max_age: Option<Duration>) -> Life {
        let cookies = CookieLives {
            least: Deadline::after_option(received, max_age),
            shortest: max_age,
            restated: max_age.is_some(),
            ..NONE
        };
        life.roll(&cookies, true, received, RefreshWindow::NONE, 0.0)
    }

    fn later(by: Duration) -> Moment {
        Moment {
            steady: START.steady + nanos(by),
            wall: START.wall + nanos(by),
        }
    }

    fn after(life: &Life, by: Duration) -> Freshness {
        life.freshness(later(by))
    }

    fn begin(lifetime: Lifetime) -> Life {
        Life::begin(lifetime, &NONE, BIRTH, RefreshWindow::DEFAULT, 0.0)
    }

    #[test]
    fn rule_6_the_window_is_the_smaller_of_lead_and_fraction() {
        let day = begin(Lifetime::of(DAY));
        assert_eq!(
            after(&day, DAY - Duration::from_secs(301)),
            Freshness::Fresh
        );
        assert_eq!(after(&day, DAY - Duration::from_secs(300)), Freshness::Due);
        assert_eq!(after(&day, DAY), Freshness::Expired);

        let minute = begin(Lifetime::of(Duration::from_secs(60)));
        assert_eq!(
            after(&minute, Duration::from_millis(53_999)),
            Freshness::Fresh
        );
        assert_eq!(after(&minute, Duration::from_secs(54)), Freshness::Due);
        assert_eq!(after(&minute, Duration::from_secs(60)), Freshness::Expired);
    }

    #[test]
    fn rule_6_jitter_shortens_the_window_by_at_most_a_quarter() {
        let life = |jitter| {
            Life::begin(
                Lifetime::of(DAY),
                &NONE,
                BIRTH,
                RefreshWindow::DEFAULT,
                jitter,
            )
        };
        let at = later(DAY - Duration::from_secs(230));
        assert_eq!(life(0.0).freshness(at), Freshness::Due);
        assert_eq!(life(1.0).freshness(at), Freshness::Fresh);
        let at = later(DAY - Duration::from_secs(225));
        assert_eq!(life(1.0).freshness(at), Freshness::Due);
        assert_eq!(
            life(7.0).freshness(at),
            Freshness::Due,
            "out of range is clamped"
        );
    }

    #[test]
    fn rule_6_an_unknown_life_and_an_idle_deadline_have_no_window() {
        let unknown = begin(Lifetime::unknown());
        assert_eq!(after(&unknown, 3_650 * DAY), Freshness::Fresh);
        let idle = begin(Lifetime::unknown().idle(HOUR));
        assert_eq!(
            after(&idle, HOUR - Duration::from_nanos(1)),
            Freshness::Fresh
        );
        assert_eq!(after(&idle, HOUR), Freshness::Lapsed);
    }

    #[test]
    fn a_window_wider_than_the_life_leaves_part_of_the_life_fresh() {
        let greedy = RefreshWindow::new(10 * DAY, 5.0);
        let life = Life::begin(Lifetime::of(HOUR), &NONE, BIRTH, greedy, 0.0);
        assert_eq!(after(&life, Duration::from_secs(359)), Freshness::Fresh);
        assert_eq!(after(&life, Duration::from_secs(361)), Freshness::Due);
        let life = Life::begin(
            Lifetime::of(HOUR),
            &NONE,
            BIRTH,
            RefreshWindow::new(HOUR, f64::NAN),
            0.0,
        );
        assert_eq!(
            after(&life, HOUR - Duration::from_nanos(1)),
            Freshness::Fresh
        );
        let none = Life::begin(Lifetime::of(HOUR), &NONE, BIRTH, RefreshWindow::NONE, 0.0);
        assert_eq!(
            after(&none, HOUR - Duration::from_nanos(1)),
            Freshness::Fresh
        );
        assert_eq!(after(&none, HOUR), Freshness::Expired);
    }

    #[test]
    fn rule_15_the_idle_deadline_counts_from_sending_and_only_moves_forward() {
        let life = begin(Lifetime::unknown().idle(HOUR));
        life.touch(later(Duration::from_secs(1_800)));
        life.touch(later(Duration::from_secs(60)));
        assert_eq!(after(&life, Duration::from_secs(5_399)), Freshness::Fresh);
        assert_eq!(after(&life, Duration::from_secs(5_400)), Freshness::Lapsed);
    }

    #[test]
    fn rule_15_the_idle_deadline_is_stored_at_most_once_a_second() {
        let life = begin(Lifetime::unknown().idle(HOUR));
        let before = life.idle_deadline();
        life.touch(later(Duration::from_millis(999)));
        assert_eq!(life.idle_deadline(), before);
        life.touch(later(Duration::from_secs(1)));
        assert_eq!(
            life.idle_deadline(),
            Deadline::after(later(Duration::from_secs(1)), HOUR)
        );
    }

    #[test]
    fn rule_15_an_absolute_maximum_is_absolute() {
        let life = begin(Lifetime::unknown().idle(7 * DAY).absolute(30 * DAY));
        life.touch(later(29 * DAY));
        assert_eq!(after(&life, 30 * DAY - HOUR), Freshness::Fresh);
        assert_eq!(
            after(&life, 30 * DAY - Duration::from_secs(60)),
            Freshness::Due
        );
        assert_eq!(after(&life, 30 * DAY), Freshness::Expired);

        let rolled = begin(Lifetime::of(HOUR).absolute(DAY));
        let rolled = self::rolled(&rolled, later(23 * HOUR), Some(12 * HOUR));
        assert_eq!(
            after(&rolled, DAY - Duration::from_nanos(1)),
            Freshness::Fresh
        );
        assert_eq!(after(&rolled, DAY), Freshness::Expired);
    }

    #[test]
    fn rule_15_max_age_counts_from_receipt_not_from_the_login() {
        let life = begin(Lifetime::of(HOUR));
        let rolled = rolled(&life, later(HOUR / 2), Some(HOUR));
        assert_eq!(after(&rolled, HOUR), Freshness::Fresh);
        assert_eq!(after(&rolled, HOUR + HOUR / 2), Freshness::Expired);
        assert_eq!(rolled.born(), START, "age counts from the login");
        let unknown = self::rolled(&life, later(HOUR / 2), None);
        assert_eq!(
            unknown.expires(),
            life.expires(),
            "no new expiry, no change"
        );
    }

    #[test]
    fn rule_15_a_roll_of_a_sliding_session_moves_the_idle_deadline() {
        let life = begin(Lifetime::unknown().idle(7 * DAY).absolute(30 * DAY));
        let rolled = rolled(&life, later(6 * DAY), Some(7 * DAY));
        assert_eq!(after(&rolled, 12 * DAY), Freshness::Fresh);
        assert_eq!(after(&rolled, 13 * DAY), Freshness::Lapsed);
        assert_eq!(rolled.expires(), life.expires());
    }

    #[test]
    fn rule_15_a_revision_has_the_idle_deadline_of_another_only_with_its_timeout() {
        let forever = Lifetime::unknown();
        for (of_other, lasts) in [
            (forever.idle(HOUR), 2 * HOUR),
            (forever.idle(3 * HOUR), HOUR),
            (forever, HOUR),
        ] {
            let other = begin(of_other);
            other.touch(later(HOUR));
            let revision = begin(forever.idle(HOUR));
            revision.goes_on(&other);
            assert_eq!(revision.idle_deadline(), Deadline::after(START, lasts));
        }
    }

    #[test]
    fn rule_14_neither_suspend_nor_a_clock_set_back_makes_a_dead_session_fresh() {
        let life = begin(Lifetime::of(HOUR));
        let asleep_eight_hours_wall_set_back = Moment {
            steady: START.steady + nanos(8 * HOUR),
            wall: START.wall - nanos(HOUR),
        };
        assert_eq!(
            life.freshness(asleep_eight_hours_wall_set_back),
            Freshness::Expired
        );
        let steady_stood_still = Moment {
            steady: START.steady,
            wall: START.wall + nanos(8 * HOUR),
        };
        assert_eq!(life.freshness(steady_stood_still), Freshness::Expired);
    }

    #[test]
    fn at_most_shortens_and_never_lengthens() {
        assert_eq!(Lifetime::of(DAY).at_most(HOUR), Lifetime::of(HOUR));
        assert_eq!(Lifetime::of(HOUR).at_most(DAY), Lifetime::of(HOUR));
        assert_eq!(Lifetime::unknown().at_most(HOUR), Lifetime::of(HOUR));
    }

    #[test]
    fn rule_6_the_same_expiry_again_is_no_progress() {
        let old = begin(Lifetime::of(HOUR));
        let renewed = |after, life| {
            let birth = Birth {
                at: later(after),
                ..BIRTH
            };
            let life = Life::begin(life, &NONE, birth, RefreshWindow::DEFAULT, 0.0);
            made_progress(&old, &life)
        };
        let (half, second) = (HOUR / 2, Duration::from_secs(1));
        assert!(!renewed(half, Lifetime::of(half)));
        assert!(!renewed(half, Lifetime::of(half + second)));
        assert!(renewed(half, Lifetime::of(half + second * 2)));
        assert!(renewed(half, Lifetime::unknown()));
    }

    #[test]
    fn rule_6_a_life_of_two_seconds_makes_progress_before_a_second_has_passed() {
        let two = Lifetime::of(Duration::from_secs(2));
        let old = begin(two);
        let renewed = |millis| {
            let birth = Birth {
                at: later(Duration::from_millis(millis)),
                ..BIRTH
            };
            made_progress(
                &old,
                &Life::begin(two, &NONE, birth, RefreshWindow::DEFAULT, 0.0),
            )
        };
        assert!(!renewed(500));
        assert!(renewed(501));
    }

    #[test]
    fn rule_6_the_window_leaves_room_for_a_second_and_for_the_login_within_half_of_the_life() {
        for (life, took, fresh) in [
            (5_000, 0, 4_000),
            (5_000, 500, 3_000),
            (5_000, 10_000, 2_500),
            (2_000, 100, 1_000),
            // Here the fraction is more than that.
            (20_000, 500, 18_000),
        ] {
            let birth = Birth {
                took: Duration::from_millis(took),
                ..BIRTH
            };
            let lifetime = Lifetime::of(Duration::from_millis(life));
            let life = Life::begin(lifetime, &NONE, birth, RefreshWindow::DEFAULT, 0.0);
            let before = Duration::from_millis(fresh) - Duration::from_nanos(1);
            assert_eq!(after(&life, before), Freshness::Fresh);
            assert_eq!(after(&life, Duration::from_millis(fresh)), Freshness::Due);
        }
    }

    #[test]
    fn rule_8_the_told_end_is_a_second_early_and_counts_from_the_sending() {
        let told_end = |lifetime, took| {
            let birth = Birth {
                took: Duration::from_millis(took),
                ..BIRTH
            };
            let life = Life::begin(lifetime, &NONE, birth, RefreshWindow::NONE, 0.0);
            (0..100_000)
                .find(|millis| life.told_end_has_come(later(Duration::from_millis(*millis))))
        };
        let of = |millis| Lifetime::of(Duration::from_millis(millis));
        assert_eq!(told_end(of(10_000), 0), Some(9_000));
        assert_eq!(told_end(of(10_000), 700), Some(8_300));
        assert_eq!(
            told_end(of(10_000).absolute(Duration::from_secs(5)), 0),
            Some(4_000)
        );
        assert_eq!(told_end(of(1_000), 0), Some(250), "a quarter at least");
        assert_eq!(told_end(of(10_000), 30_000), Some(2_500));
        assert_eq!(told_end(Lifetime::unknown(), 0), None);
        let idle = Lifetime::unknown().idle(Duration::from_secs(10));
        assert_eq!(told_end(idle, 700), Some(9_000), "from the last request");
        let life = begin(idle);
        life.touch(later(Duration::from_secs(5)));
        assert!(!life.told_end_has_come(later(Duration::from_secs(13))));
        assert!(life.told_end_has_come(later(Duration::from_secs(14))));
    }
}
