//! Whether a rejection is believed: a circuit breaker for the logins that rejections cause.
//!
//! A 401 usually means that the session is dead. It may also mean that a permission is missing,
//! that a route is broken, or that another program logs in to the same account and each login ends
//! the other's session. Another login does not help then, so rejections are doubted as soon as
//! logins turn out not to help.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::credential::{InvalidValue, Line, Lines};

/// How long a login that a rejection caused is on probation. Each further one doubles it, up to
/// [`LONGEST_PROBATION`], while no replay is accepted. Rule 8 states both.
const FIRST_PROBATION: Duration = Duration::from_secs(5);
/// One futile login in five minutes leaves the quota to others.
const LONGEST_PROBATION: Duration = Duration::from_secs(300);
/// The least probation of a session with which no request was accepted, after two such sessions in
/// a row and after more. A server may give a session that is of no use for a wrong password, so at
/// most four such logins fall into any 15 minutes. Rule 8 states both.
const AFTER_TWO_OF_NO_USE: Duration = Duration::from_secs(2 * 60);
const AFTER_MORE_OF_NO_USE: Duration = Duration::from_secs(15 * 60);
/// How long the sessions in a row are remembered.
const OF_NO_USE_LATELY: Duration = Duration::from_secs(60 * 60);
/// Nothing counts here that was longer ago.
const LONGEST_AGO: Duration = OF_NO_USE_LATELY;
/// A login whose session was not rejected for so long did help, although no replay said so: not
/// every request can be replayed. It is more than [`LONGEST_PROBATION`], so that a route that
/// answers 401 all the time does not begin with the first probation again.
const PROVEN_AFTER: Duration = Duration::from_secs(600);
const ONE_MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default)]
pub(super) struct RejectionBreaker {
    /// When the last logins that responses caused landed, oldest first.
    landed: Vec<Time>,
    /// The generation of the last login that a rejection caused.
    last: u64,
    /// Its probation. `None` once a replay was accepted.
    probation: Option<Probation>,
    /// When the last probation began that an accepted replay has ended. It may be noted still.
    proven: Option<Time>,
    /// How many logins in a row followed a session that was rejected before any response had shown
    /// it to be good. Other processes are not told: they would not hear that the next session was
    /// of use.
    of_no_use: u32,
    /// How many logins in a row followed a deletion, each within [`PROVEN_AFTER`] of the one
    /// before, and when the last one landed.
    deletions: Option<(u32, Time)>,
    /// What was believed, if the login that it causes has not ended yet.
    pending: Option<EndedBy>,
}

/// How a response ends a session before its told end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndedBy {
    Rejection,
    /// As a rejection, of a session from a login that no response has shown to be good. Perhaps
    /// the login is at fault, and its server gives a session for a wrong password.
    NeverAccepted,
    /// It deletes the session's cookies. Its request is not replayed, so no replay can prove that
    /// the login helped, and there is no probation.
    Deletion,
    /// As a rejection, of a refreshed session that no response has shown to be good. The refresh
    /// may be at fault, so a login with the password is worth it even on probation.
    FirstUse,
}

/// Where a new session is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A login, or a refresh that counts as one.
    Login,
    Refresh,
    /// Another process has obtained it.
    Store,
}

/// A time on the steady clock, [`LONGEST_AGO`] ahead: what another process has noted may have been
/// before this one's clock began to count.
#[derive(Clone, Copy, Debug)]
struct Time(u64);

impl Time {
    fn of(now: Moment) -> Self {
        Self(now.steady.saturating_add(nanos(LONGEST_AGO)))
    }

    /// So long before `now`. What was earlier than can be told counts as nothing any more.
    fn before(now: Moment, ago: Duration) -> Self {
        Self(Self::of(now).0.saturating_sub(nanos(ago)))
    }

    fn passed(self, now: Moment) -> Duration {
        Duration::from_nanos(Self::of(now).0.saturating_sub(self.0))
    }
}

#[derive(Clone, Copy, Debug)]
struct Probation {
    since: Time,
    length: Duration,
}

impl Probation {
    fn until(&self) -> u64 {
        self.since.0.saturating_add(nanos(self.length))
    }
}

impl RejectionBreaker {
    /// Whether a response that ends the current credential is believed now. `most` is how many
    /// logins such responses may cause in a minute.
    pub(super) fn believes(&self, by: EndedBy, now: Moment, most: NonZeroU32) -> bool {
        let kept = match by {
            EndedBy::Rejection => self.probation(),
            EndedBy::NeverAccepted => self.probation().max(self.after_no_use()),
            EndedBy::FirstUse => self.after_no_use(),
            EndedBy::Deletion if self.deletes_all(now, most) => return false,
            EndedBy::Deletion => Duration::ZERO,
        };
        let lately = self.landed.iter().filter(|at| is_lately(**at, now));
        !self.has_begun_within(kept, now) && lately.count() < most.get() as usize
    }

    /// Whether the server has deleted so many sessions in a row that it may delete each.
    fn deletes_all(&self, now: Moment, most: NonZeroU32) -> bool {
        self.deletions
            .is_some_and(|(row, last)| row >= most.get() && last.passed(now) < LONGEST_PROBATION)
    }

    /// It was believed, so it causes the next login.
    pub(super) fn believed(&mut self, by: EndedBy, now: Moment) {
        self.pending = Some(by);
        let is_row = matches!(by, EndedBy::NeverAccepted | EndedBy::FirstUse);
        if is_row && !self.has_begun_within(OF_NO_USE_LATELY, now) {
            self.of_no_use = 0;
        }
        if matches!(by, EndedBy::Deletion | EndedBy::FirstUse) {
            return;
        }
        let unproven = self
            .probation
            .filter(|last| last.since.passed(now) < PROVEN_AFTER);
        self.probation = Some(Probation {
            since: Time::of(now),
            length: unproven.map_or(FIRST_PROBATION, |last| {
                (last.length * 2).min(LONGEST_PROBATION)
            }),
        });
    }

    fn probation(&self) -> Duration {
        self.probation.map_or(Duration::ZERO, |last| last.length)
    }

    /// Whether the last probation began so lately.
    fn has_begun_within(&self, lately: Duration, now: Moment) -> bool {
        self.probation
            .is_some_and(|last| last.since.passed(now) < lately)
    }

    /// How long a session is kept at least that no response shows to be good, as those before it.
    const fn after_no_use(&self) -> Duration {
        match self.of_no_use {
            0 | 1 => Duration::ZERO,
            2 => AFTER_TWO_OF_NO_USE,
            _ => AFTER_MORE_OF_NO_USE,
        }
    }

    /// A response has shown a session to be good that is over.
    pub(super) const fn was_of_use(&mut self) {
        self.of_no_use = 0;
    }

    /// There is a new session.
    pub(super) fn landed(&mut self, generation: u64, now: Moment, from: Source) {
        let Some(by) = self.pending.take() else {
            return;
        };
        if by != EndedBy::Deletion {
            // It is on probation from now on. So requests that use the new session before its
            // first replay was judged cause no further login.
            let length = self.probation.map_or(FIRST_PROBATION, |last| last.length);
            let since = Time::of(now);
            self.probation = Some(Probation { since, length });
            self.last = generation;
        } else if from == Source::Login {
            let row = self
                .deletions
                .filter(|(_, last)| last.passed(now) < PROVEN_AFTER);
            let before = row.map_or(0, |(row, _)| row);
            self.deletions = Some((before.saturating_add(1), Time::of(now)));
        }
        self.landed.retain(|at| is_lately(*at, now));
        if from == Source::Login {
            self.landed.push(Time::of(now));
        }
        if from != Source::Refresh && matches!(by, EndedBy::NeverAccepted | EndedBy::FirstUse) {
            self.of_no_use = self.of_no_use.saturating_add(1);
        }
    }

    /// Whether other processes have to know of it.
    pub(super) fn is_of_note(&self, now: Moment) -> bool {
        self.probation.is_some() || self.landed.iter().any(|at| is_lately(*at, now))
    }

    /// What another process knows of the logins that rejections have caused counts here as well,
    /// since the session of this generation came from there.
    pub(super) fn learn(&mut self, mut other: Self, generation: u64, now: Moment) {
        for landed in [&mut self.landed, &mut other.landed] {
            landed.retain(|at| is_lately(*at, now));
        }
        // A process learns before it logs in, so that who was later has all that the other one has.
        // One login has not quite the same time in both, so they are not merged.
        let last = |landed: &[Time]| landed.last().map(|at| at.0);
        let knows = |landed: &[Time]| (landed.len(), last(landed));
        if knows(&other.landed) > knows(&self.landed) {
            self.landed = other.landed;
        }
        if let Some(probation) = other.probation {
            let longer = |ours: &Probation| ours.until() > probation.until();
            if !self.probation.as_ref().is_some_and(longer) {
                self.probation = Some(probation);
                self.last = generation;
            }
        }
    }

    /// What is noted after a login of its `own` process: of both, what counts still.
    pub(super) fn of_both(noted: Option<Self>, own: Option<&Self>, now: Moment) -> Option<Self> {
        let mut both = own.cloned().unwrap_or_default();
        if let Some(mut noted) = noted {
            // A time that was noted is not quite the same when it is read.
            let proven = own.and_then(|own| own.proven);
            let proven = proven.map(|at| at.0.saturating_add(nanos(Duration::from_secs(1))));
            let is_over = |noted: &mut Probation| {
                noted.until() <= Time::of(now).0 || proven.is_some_and(|at| noted.since.0 <= at)
            };
            noted.probation.take_if(is_over);
            both.learn(noted, 0, now);
        }
        both.is_of_note(now).then_some(both)
    }

    /// Writes its line.
    pub(super) fn write(&self, lines: &mut Lines, now: Moment) {
        let ago = |at: Time| Some(at.passed(now));
        let line = lines.line("breaker");
        if let Some(probation) = &self.probation {
            line.time("probation", Some(probation.length))
                .time("since", ago(probation.since));
        }
        for at in &self.landed {
            line.time("landed", ago(*at));
        }
        line.end();
    }

    /// Reads a line that was written so long ago.
    pub(super) fn read(line: Line<'_>, age: Duration, now: Moment) -> Result<Self, InvalidValue> {
        let at = |ago: Duration| Time::before(now, ago.saturating_add(age));
        let landed = line.times("landed")?;
        let probation = line.time("probation")?.zip(line.time("since")?);
        Ok(Self {
            landed: landed.into_iter().map(at).collect(),
            probation: probation.map(|(length, since)| Probation {
                since: at(since),
                length: length.min(LONGEST_PROBATION),
            }),
            ..Self::default()
        })
    }

    /// A replay was accepted: the login that it used did help.
    pub(super) fn replay_accepted(&mut self, generation: u64) {
        if generation >= self.last {
            self.proven = self.probation.take().map(|it| it.since).or(self.proven);
            self.of_no_use = 0;
        }
    }
}

/// Whether it was in the last minute.
fn is_lately(at: Time, now: Moment) -> bool {
    at.passed(now) < ONE_MINUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment {
            steady: nanos(Duration::from_secs_f64(1_000.0 + seconds)),
            wall: 0,
        }
    }

    const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();

    fn believes(breaker: &RejectionBreaker, seconds: f64) -> bool {
        breaker.believes(EndedBy::Rejection, at(seconds), THREE)
    }

    /// A rejection that is believed, and the login that it causes.
    fn login(breaker: &mut RejectionBreaker, generation: u64, seconds: f64) {
        assert!(
            believes(breaker, seconds),
            "login {generation} at {seconds} s"
        );
        breaker.believed(EndedBy::Rejection, at(seconds));
        breaker.landed(generation, at(seconds), Source::Login);
    }

    #[test]
    fn rule_8_a_rejection_is_believed_at_any_age() {
        let mut breaker = RejectionBreaker::default();
        breaker.landed(1, at(0.0), Source::Login);
        assert!(believes(&breaker, 0.0));
        login(&mut breaker, 2, 0.001);
        breaker.replay_accepted(2);
        assert!(believes(&breaker, 0.002));
    }

    #[test]
    fn rule_8_a_login_that_a_rejection_caused_is_on_probation_from_its_landing() {
        let mut breaker = RejectionBreaker::default();
        breaker.believed(EndedBy::Rejection, at(0.0));
        breaker.landed(2, at(3.0), Source::Login);
        assert!(!believes(&breaker, 3.0), "no replay was judged yet");
        assert!(!believes(&breaker, 7.999));
        assert!(believes(&breaker, 8.0));
    }

    #[test]
    fn rule_8_the_probation_doubles_while_no_replay_is_accepted() {
        let mut breaker = RejectionBreaker::default();
        let mut now = 100.0;
        for (generation, probation) in [
            (2, 5.0),
            (3, 10.0),
            (4, 20.0),
            (5, 40.0),
            (6, 80.0),
            (7, 160.0),
            (8, 300.0),
            (9, 300.0),
        ] {
            // Far enough apart that no three fall into one minute.
            login(&mut breaker, generation, now);
            assert!(
                !believes(&breaker, now + probation - 0.001),
                "generation {generation}"
            );
            now += probation;
            if generation < 5 {
                now += 60.0;
            }
        }
        login(&mut breaker, 10, now + 299.9);
        assert!(!believes(&breaker, now + 299.9 + 299.9));
    }

    #[test]
    fn rule_8_a_session_that_lasted_has_helped_although_no_replay_said_so() {
        let mut breaker = RejectionBreaker::default();
        login(&mut breaker, 2, 0.0);
        login(&mut breaker, 3, 10.0);
        login(&mut breaker, 4, 610.0);
        assert!(!believes(&breaker, 614.9));
        assert!(believes(&breaker, 615.0));
    }

    #[test]
    fn rule_8_one_accepted_replay_ends_it() {
        let mut breaker = RejectionBreaker::default();
        login(&mut breaker, 2, 0.0);
        login(&mut breaker, 3, 5.0);
        assert!(!believes(&breaker, 14.9));
        breaker.replay_accepted(3);
        assert!(believes(&breaker, 6.0));
        login(&mut breaker, 4, 66.0);
        assert!(!believes(&breaker, 70.9), "the first probation again");
        breaker.replay_accepted(5);
        assert!(believes(&breaker, 70.9), "a renewed session was accepted");
    }

    #[test]
    fn rule_8_a_late_response_to_an_older_replay_proves_nothing_new() {
        let mut breaker = RejectionBreaker::default();
        login(&mut breaker, 2, 0.0);
        login(&mut breaker, 3, 5.0);
        breaker.replay_accepted(2);
        assert!(
            !believes(&breaker, 6.0),
            "an older login helped, the last one did not"
        );
        breaker.believed(EndedBy::Rejection, at(15.0));
        breaker.replay_accepted(3);
        breaker.landed(4, at(16.0), Source::Login);
        assert!(
            !believes(&breaker, 16.0),
            "the next one is on probation all the same"
        );
    }

    #[test]
    fn rule_8_three_logins_in_a_minute_are_enough_even_if_each_helped() {
        let mut breaker = RejectionBreaker::default();
        for (generation, seconds) in [(2, 0.0), (3, 10.0), (4, 20.0)] {
            login(&mut breaker, generation, seconds);
            breaker.replay_accepted(generation);
        }
        assert!(!believes(&breaker, 59.999));
        assert!(breaker.believes(EndedBy::Rejection, at(20.0), NonZeroU32::new(4).unwrap()));
        login(&mut breaker, 5, 60.0);
        breaker.replay_accepted(5);
        assert!(!believes(&breaker, 69.999));
        assert!(believes(&breaker, 70.0));
    }

    #[test]
    fn rule_15_a_deletion_counts_in_the_minute_and_knows_no_probation() {
        let mut breaker = RejectionBreaker::default();
        login(&mut breaker, 2, 0.0);
        for generation in [3, 4] {
            assert!(breaker.believes(EndedBy::Deletion, at(1.0), THREE));
            breaker.believed(EndedBy::Deletion, at(1.0));
            breaker.landed(generation, at(1.0), Source::Login);
        }
        assert!(!breaker.believes(EndedBy::Deletion, at(59.0), THREE));
        let ten = NonZeroU32::new(10).unwrap();
        let rejection = |seconds| breaker.believes(EndedBy::Rejection, at(seconds), ten);
        assert!(
            !rejection(4.9),
            "the probation of the last rejection's login"
        );
        assert!(rejection(5.0), "a deletion begins none");
    }

    #[test]
    fn rule_15_a_server_that_deletes_each_session_causes_a_login_in_five_minutes() {
        let mut breaker = RejectionBreaker::default();
        let mut logins = Vec::new();
        for poll in 0..40 {
            let now = f64::from(30 * poll);
            if breaker.believes(EndedBy::Deletion, at(now), THREE) {
                breaker.believed(EndedBy::Deletion, at(now));
                breaker.landed(2, at(now), Source::Login);
                logins.push(30 * poll);
            }
        }
        assert_eq!(logins, [0, 30, 60, 360, 660, 960]);
        assert!(breaker.believes(EndedBy::Rejection, at(961.0), THREE));
        // One that was kept for ten minutes ends the row.
        for seconds in [1_560.0, 1_590.0, 1_620.0] {
            assert!(breaker.believes(EndedBy::Deletion, at(seconds), THREE));
            breaker.believed(EndedBy::Deletion, at(seconds));
            breaker.landed(3, at(seconds), Source::Login);
        }
        assert!(!breaker.believes(EndedBy::Deletion, at(1_919.0), THREE));
    }

    #[test]
    fn rule_15_refreshes_that_follow_deletions_are_no_row_of_logins() {
        let mut breaker = RejectionBreaker::default();
        for generation in 2..9 {
            assert!(breaker.believes(EndedBy::Deletion, at(1.0), THREE));
            breaker.believed(EndedBy::Deletion, at(1.0));
            breaker.landed(generation, at(1.0), Source::Refresh);
        }
    }

    #[test]
    fn logins_for_other_reasons_do_not_count() {
        let mut breaker = RejectionBreaker::default();
        for generation in 1..10 {
            breaker.landed(generation, at(0.0), Source::Login);
        }
        assert!(believes(&breaker, 0.0));
    }

    /// A session is rejected with which no request was accepted, and the login that follows lands.
    fn of_no_use(breaker: &mut RejectionBreaker, generation: u64, seconds: f64) {
        assert!(breaker.believes(EndedBy::NeverAccepted, at(seconds), THREE));
        breaker.believed(EndedBy::NeverAccepted, at(seconds));
        breaker.landed(generation, at(seconds), Source::Login);
    }

    #[test]
    fn rule_8_sessions_of_no_use_are_kept_for_longer_until_one_is_of_use() {
        let doubted = |breaker: &RejectionBreaker, by, seconds| {
            let now = at(seconds);
            !breaker.believes(by, now, THREE)
        };
        let mut breaker = RejectionBreaker::default();
        let mut now = 0.0;
        for (generation, kept) in [(2, 5.0), (3, 120.0), (4, 900.0), (5, 900.0)] {
            of_no_use(&mut breaker, generation, now);
            let before = now + kept - 0.001;
            assert!(
                doubted(&breaker, EndedBy::NeverAccepted, before),
                "{generation}"
            );
            now += kept;
        }
        // One with which a request was accepted is on the usual probation alone.
        let mut of_use = breaker.clone();
        of_no_use(&mut of_use, 6, now);
        assert!(doubted(&of_use, EndedBy::NeverAccepted, now + 899.0));
        assert!(!doubted(&of_use, EndedBy::Rejection, now + 300.0));
        // Another process does not know whether the session of now is of use.
        let other = passed_on(&of_use, now + 1.0, now + 1.0);
        assert!(!doubted(&other, EndedBy::NeverAccepted, now + 300.0));
        // An hour later they are forgotten.
        let later = now - 900.0 + 3_600.0;
        let mut forgotten = breaker.clone();
        of_no_use(&mut forgotten, 6, later);
        assert!(!doubted(&forgotten, EndedBy::NeverAccepted, later + 5.0));

        breaker.was_of_use();
        of_no_use(&mut breaker, 6, now);
        assert!(!doubted(&breaker, EndedBy::NeverAccepted, now + 300.0));
    }

    #[test]
    fn rule_8_a_refreshed_session_of_no_use_is_kept_as_one_of_a_login() {
        let mut breaker = RejectionBreaker::default();
        of_no_use(&mut breaker, 2, 0.0);
        let first_use = |breaker: &RejectionBreaker, seconds| {
            breaker.believes(EndedBy::FirstUse, at(seconds), THREE)
        };
        assert!(
            first_use(&breaker, 0.0),
            "the usual probation does not hold"
        );
        of_no_use(&mut breaker, 3, 5.0);
        assert!(!first_use(&breaker, 124.9) && first_use(&breaker, 125.0));
        // It is one of the row, which is forgotten after an hour.
        for (seconds, is_first) in [(125.0, false), (3_725.0, true)] {
            let mut next = breaker.clone();
            next.believed(EndedBy::FirstUse, at(seconds));
            next.landed(4, at(seconds), Source::Login);
            let kept = next.believes(EndedBy::NeverAccepted, at(seconds + 899.0), THREE);
            assert_eq!(kept, is_first);
        }
    }

    /// As another process reads it that looks so many seconds later.
    fn passed_on(breaker: &RejectionBreaker, written: f64, read: f64) -> RejectionBreaker {
        let text = Lines::written(|lines| breaker.write(lines, at(written)));
        let age = Duration::from_secs_f64(read - written);
        RejectionBreaker::read(Line::new(text.trim_end()), age, at(read)).unwrap()
    }

    #[test]
    fn rule_22_another_process_reads_what_is_left_of_the_probation_and_the_minute() {
        let mut breaker = RejectionBreaker::default();
        for (generation, seconds) in [(2, 0.0), (3, 10.0), (4, 20.0)] {
            login(&mut breaker, generation, seconds);
            breaker.replay_accepted(generation);
        }
        let read = passed_on(&breaker, 25.0, 30.0);
        assert!(!believes(&read, 59.999), "three in a minute");
        assert!(believes(&read, 60.0));

        let mut breaker = RejectionBreaker::default();
        login(&mut breaker, 2, 0.0);
        let read = passed_on(&breaker, 1.0, 2.0);
        assert!(!believes(&read, 4.999));
        assert!(believes(&read, 5.0));
    }

    #[test]
    fn rule_22_what_was_before_the_clock_began_to_count_is_over() {
        let mut breaker = RejectionBreaker::default();
        for (generation, seconds) in [(2, 0.0), (3, 10.0), (4, 30.0)] {
            login(&mut breaker, generation, seconds);
        }
        let text = Lines::written(|lines| breaker.write(lines, at(30.0)));
        let line = || Line::new(text.trim_end());
        // Its steady clock counts from the start of the process.
        let started = Moment {
            steady: 50,
            wall: 0,
        };
        let believes = |age| {
            let age = Duration::from_secs(age);
            let read = RejectionBreaker::read(line(), age, started).unwrap();
            read.believes(EndedBy::Rejection, started, THREE)
        };
        assert!(!believes(19), "20 s of probation");
        assert!(!believes(29), "three in a minute");
        assert!(believes(60) && believes(30 * 86_400));
        // The next one doubles a probation of lately alone.
        for (age, probation) in [(100, 40.0), (700, 5.0)] {
            let age = Duration::from_secs(age);
            let mut read = RejectionBreaker::read(line(), age, started).unwrap();
            read.believed(EndedBy::Rejection, started);
            read.landed(5, started, Source::Login);
            let later = |seconds| Moment {
                steady: started.steady + nanos(Duration::from_secs_f64(seconds)),
                wall: 0,
            };
            let believes = |seconds| read.believes(EndedBy::Rejection, later(seconds), THREE);
            assert!(
                !believes(probation - 0.001) && believes(probation),
                "{age:?}"
            );
        }
    }

    #[test]
    fn rule_22_the_others_are_told_of_a_probation_and_of_a_login_within_a_minute() {
        let mut breaker = RejectionBreaker::default();
        assert!(!breaker.is_of_note(at(0.0)));
        login(&mut breaker, 2, 0.0);
        assert!(
            breaker.is_of_note(at(100.0)),
            "its probation has not ended well"
        );
        breaker.replay_accepted(2);
        assert!(breaker.is_of_note(at(59.999)));
        assert!(!breaker.is_of_note(at(60.0)));
        breaker.believed(EndedBy::Rejection, at(100.0));
        assert!(breaker.is_of_note(at(100.0)), "it has not landed yet");
    }

    #[test]
    fn rule_22_of_two_processes_the_longer_probation_and_the_more_logins_count() {
        let on_probation = |seconds, generation| {
            let mut breaker = RejectionBreaker::default();
            login(&mut breaker, generation, seconds);
            breaker
        };
        for (own, other, until) in [(0.0, 2.0, 7.0), (2.0, 0.0, 7.0), (1.0, 1.0, 6.0)] {
            let mut breaker = on_probation(own, 2);
            breaker.learn(on_probation(other, 9), 3, at(2.0));
            assert!(!believes(&breaker, until - 0.001), "{own} and {other}");
            assert!(believes(&breaker, until), "{own} and {other}");
            // That of the other belongs to the generation that came from there.
            breaker.replay_accepted(2);
            assert_eq!(believes(&breaker, until - 0.001), own > other);
        }
        let one = NonZeroU32::MIN;
        for (own, other, until) in [
            (&[0.0][..], &[30.0][..], 90.0),
            (&[30.0], &[0.0], 90.0),
            // None of these was within the last minute.
            (&[-30.0, -25.0], &[30.0], 90.0),
            (&[0.0], &[30.0, 40.0], 100.0),
            (&[0.0, 30.0], &[40.0], 90.0),
        ] {
            let landed = |times: &[f64]| RejectionBreaker {
                landed: times.iter().map(|seconds| Time::of(at(*seconds))).collect(),
                ..RejectionBreaker::default()
            };
            let mut breaker = landed(own);
            breaker.learn(landed(other), 3, at(40.0));
            let believes = |seconds| breaker.believes(EndedBy::Deletion, at(seconds), one);
            assert!(
                !believes(until - 0.001) && believes(until),
                "{own:?} {other:?}"
            );
        }
    }

    #[test]
    fn rule_22_a_probation_that_an_accepted_replay_has_ended_is_not_noted_again() {
        let mut own = RejectionBreaker::default();
        login(&mut own, 1, 0.0);
        let noted = RejectionBreaker::of_both(None, Some(&own), at(0.0)).unwrap();
        own.replay_accepted(1);
        let after = RejectionBreaker::of_both(Some(noted), Some(&own), at(2.0)).unwrap();
        assert!(after.probation.is_none());
        // That of a later login is, and one that is over is none.
        let mut other = RejectionBreaker::default();
        login(&mut other, 1, 3.0);
        let after = |seconds| {
            let noted = Some(other.clone());
            RejectionBreaker::of_both(noted, Some(&own), at(seconds)).unwrap()
        };
        assert!(after(4.0).probation.is_some() && after(8.0).probation.is_none());
    }
}
