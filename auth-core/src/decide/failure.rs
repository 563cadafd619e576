//! What a failed login forbids, and for how long.

use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use super::attempted::{Attempted, AttemptedSecret};
use super::outcome::{End, Failed};
use crate::clock::{Moment, nanos};
use crate::credential::{InvalidValue, Line, Lines, damaged};
use crate::error::{Error, LONGEST_RETRY_AFTER, LoginError, LoginErrorKind};
use crate::secret::Fingerprint;

/// How often a source that may change is read again after a refusal. Rule 12 states it: at most
/// once a second.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The upper bound of a refusal's cooldown. A server may count refusals and never forget one, so
/// the cooldown doubles. It may refuse a good password for an hour, so it does not become never.
const LONGEST_COOLDOWN: Duration = Duration::from_secs(24 * 60 * 60);

/// The waits after an answer that may be a refusal. The last one repeats. A restart or a deployment
/// passes within them. Of any five attempts in a row one is followed by the last wait, or by more,
/// so that at most four fall into any 15 minutes.
const UNSURE_WAITS: [Duration; 4] = [
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
];

/// How much longer than stated these waits are at most, by chance, so that a fleet does not come
/// back in step.
const UNSURE_JITTER: f64 = 0.2;

/// How long answers that may be refusals count after the wait that they cause. Rule 12 counts them
/// in any 15 minutes.
const COUNTED: Duration = Duration::from_secs(15 * 60);

/// The longest wait after the first login that found too many sessions. Each further one doubles
/// it, up to [`LONGEST_FULL`]. A session ends when its user leaves, which takes minutes.
const FIRST_FULL: Duration = Duration::from_secs(2 * 60);
const LONGEST_FULL: Duration = Duration::from_secs(15 * 60);

/// How many secrets that are, or may be, refused are tried within [`COUNTED`]. Many servers lock an
/// account after five wrong passwords, whichever these are.
pub(super) const MOST_SECRETS: usize = 4;

/// Of how many secrets beside the last one the failures are remembered, as in a store. A source may
/// go back and forth between two, while it is changed.
const MOST_OTHERS: usize = MOST_SECRETS;

/// How long failures are remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailurePolicy {
    /// How long a secret is not tried again after its first refusal. Each further one doubles it.
    pub(crate) refused_cooldown: Duration,
    /// The longest wait after the first failure. Each further failure doubles it.
    pub(crate) backoff: Duration,
    /// The upper bound of the longest wait.
    pub(crate) longest_backoff: Duration,
}

impl FailurePolicy {
    /// A refused secret waits for 15 minutes, which is how long lockouts commonly last, so that a
    /// wrong password never causes a lockout. The back-off begins at one second, so that a restart
    /// of the server is hardly noticed, and ends at one minute, so that the server's return is
    /// noticed soon.
    pub(crate) const DEFAULT: Self = Self {
        refused_cooldown: Duration::from_secs(15 * 60),
        backoff: Duration::from_secs(1),
        longest_backoff: Duration::from_secs(60),
    };

    /// The longest wait after `streak` failures that backed off.
    pub(crate) fn backoff_after(&self, streak: u32) -> Duration {
        doubled(self.backoff, streak, self.longest_backoff)
    }

    /// The cooldown after a refusal that `refusals` others of the same secret came before.
    fn cooldown_after(&self, refusals: u32) -> Duration {
        let longest = self.refused_cooldown.max(LONGEST_COOLDOWN);
        doubled(self.refused_cooldown, refusals, longest)
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(times))
        .min(longest)
}

/// What a failure says of the secret that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    /// Nothing.
    None,
    /// It may be wrong: an answer came, and brought no session.
    MayBeWrong,
    /// It is wrong, or its account is locked.
    Wrong,
}

/// How many failures of a kind there were in a row, the last one included.
#[derive(Clone, Copy, Debug, Default)]
struct Streaks {
    /// Outages. They back off.
    outages: u32,
    /// Logins that found too many sessions.
    full: u32,
    /// Answers that may be refusals of the same secret.
    unsure: u32,
    /// Refusals of the same secret.
    refusals: u32,
}

/// The last failure, and when it happened.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    error: Arc<LoginError>,
    of: Attempted,
    evidence: Evidence,
    /// No attempt before this, on the steady clock in nanoseconds.
    until: u64,
    streaks: Streaks,
    /// The last secret that was sent, or that is held back.
    secret: Option<AttemptedSecret>,
    /// Until when that is one of the secrets that were tried of late and are, or may be, refused,
    /// on the steady clock. Zero, if it is none.
    tried_until: u64,
    /// When the source of the secret was last read, on the steady clock.
    looked_at: u64,
    /// The last failure with another secret, if that still counts.
    earlier: Option<Box<Self>>,
}

impl Failed {
    /// Whether it says something of the secret that was sent.
    pub(super) const fn says_of_its_secret(&self) -> bool {
        !matches!(evidence(&self.error, self.secret.is_some()), Evidence::None)
    }
}

impl Failure {
    /// The failure that follows `before`. The back-off of an outage is drawn evenly from zero to
    /// its longest, so that a fleet does not come back in step.
    pub(crate) fn after(
        before: Option<&Self>,
        failed: Failed,
        end: &End,
        policy: &FailurePolicy,
    ) -> Self {
        let Failed { error, of, secret } = failed;
        let (now, jitter) = (end.at, end.jitter.clamp(0.0, 1.0));
        let mut streaks = before.map_or_else(Streaks::default, |before| before.streaks);
        let mut tried_until = before.map_or(0, |before| before.tried_until);
        let known = before.and_then(|before| before.secret);
        if let (Some(known), Some(sent)) = (known, secret)
            && known.secret != sent.secret
        {
            let again = before.and_then(|before| before.with(sent.secret));
            let again = again.filter(|again| again.counts(now));
            tried_until = again.map_or(0, |again| again.tried_until);
            let again = again.map_or_else(Streaks::default, |again| again.streaks);
            streaks.unsure = again.unsure;
            streaks.refusals = again.refusals;
        }
        let last = secret.or(known);
        let others = |before: &Self| before.beside(last.map(|last| last.secret), now);
        let earlier = before.and_then(others);
        let evidence = evidence(&error, secret.is_some());
        let longest = match evidence {
            Evidence::None => LONGEST_RETRY_AFTER,
            // It holds this account alone.
            Evidence::MayBeWrong | Evidence::Wrong => LONGEST_COOLDOWN,
        };
        let asked = error.retry_after().unwrap_or_default().min(longest);
        // The limiter holds a login for no longer, which must not come before that either.
        let of = match of {
            Attempted::Renewal if asked > LONGEST_RETRY_AFTER => Attempted::Login,
            of => of,
        };
        if evidence != Evidence::None {
            tried_until = now.steady.saturating_add(nanos(COUNTED));
        }
        let wait = match (evidence, error.kind()) {
            (Evidence::Wrong, _) => policy.cooldown_after(next(&mut streaks.refusals)),
            (Evidence::MayBeWrong, kind) => {
                let before = next(&mut streaks.unsure) as usize;
                let wait = UNSURE_WAITS[before.min(UNSURE_WAITS.len() - 1)];
                match kind {
                    // The provider may be one whose configuration is corrected meanwhile.
                    LoginErrorKind::Misconfigured if before == 0 => LOOK_EVERY,
                    _ => wait.mul_f64(1.0 + UNSURE_JITTER * jitter),
                }
            }
            // The limiter holds the whole origin. This wait is only reported to callers.
            (_, LoginErrorKind::Limited) => Duration::ZERO,
            // Nothing was sent, so no server has to recover. The configuration is read again as
            // often as a source that may change.
            (_, LoginErrorKind::Misconfigured) => LOOK_EVERY,
            (_, LoginErrorKind::SeatsExhausted) => {
                let longest = doubled(FIRST_FULL, next(&mut streaks.full), LONGEST_FULL);
                longest.mul_f64(0.5 + 0.5 * jitter)
            }
            _ => policy
                .backoff_after(next(&mut streaks.outages))
                .mul_f64(jitter),
        };
        Self {
            error: Arc::new(error),
            of,
            evidence,
            until: now.steady.saturating_add(nanos(wait.max(asked))),
            streaks,
            secret: last,
            tried_until,
            looked_at: now.steady,
            earlier,
        }
    }

    /// The login was lost. One forbids nothing: a program may end a runtime and go on with another.
    pub(crate) fn of_lost(mut self) -> Self {
        if self.streaks.outages <= 1 {
            self.until = self.looked_at;
        }
        self
    }

    /// The last failure with this secret, which is not the last one.
    fn with(&self, secret: Fingerprint) -> Option<&Self> {
        let mut others = successors(self.earlier.as_deref(), |other| other.earlier.as_deref());
        others.find(|other| other.secret.is_some_and(|known| known.secret == secret))
    }

    /// The failures that still count beside one with `secret`: the last one with each other secret.
    pub(super) fn beside(&self, secret: Option<Fingerprint>, now: Moment) -> Option<Box<Self>> {
        let all = successors(Some(self), |failure| failure.earlier.as_deref());
        let others = all.filter(|other| {
            let is_other = other
                .secret
                .is_some_and(|known| Some(known.secret) != secret);
            is_other && other.knows_of_its_secret() && !other.is_of_others() && other.counts(now)
        });
        let kept: Vec<&Self> = others.take(MOST_OTHERS).collect();
        kept.into_iter().rev().fold(None, |earlier, other| {
            let other = Self {
                earlier,
                error: Arc::clone(&other.error),
                ..*other
            };
            Some(Box::new(other))
        })
    }

    /// With the failures that still count beside it.
    pub(super) fn with_others(self, others: Option<Box<Self>>) -> Self {
        Self {
            earlier: others,
            ..self
        }
    }

    /// Whether it is the failure of this very secret, and forbids another login with it.
    pub(super) fn forbids_again(&self, secret: AttemptedSecret, now: Moment) -> bool {
        let is_same = self.secret.is_some_and(|last| last.secret == secret.secret);
        is_same && self.forbids_login(now)
    }

    /// What forbids this secret now, if it is not the last one: what is known of it from before
    /// others were tried, or that too many others were.
    pub(crate) fn recalled(&self, secret: AttemptedSecret, now: Moment) -> Option<Self> {
        if self.secret.is_some_and(|last| last.secret == secret.secret) {
            return None;
        }
        let Some(known) = self.before_others(secret.secret, now) else {
            return self.held_by_others(secret, now);
        };
        (known.says_of_its_secret() && known.forbids_login(now)).then_some(known)
    }

    /// What forbids this secret, which has not failed, because so many others have of late.
    fn held_by_others(&self, secret: AttemptedSecret, now: Moment) -> Option<Self> {
        let all = || successors(Some(self), |failure| failure.earlier.as_deref());
        let until = few_tried_from(all().map(|failure| failure.tried_until), now)?;
        let last = all().find(|failure| failure.says_of_its_secret())?;
        Some(last.held(secret, until, self.beside(Some(secret.secret), now), now))
    }

    /// This failure, as what holds another secret back until then.
    pub(super) fn held(
        &self,
        secret: AttemptedSecret,
        until: u64,
        others: Option<Box<Self>>,
        now: Moment,
    ) -> Self {
        // Who has corrected the secret must not take it for the one that was refused.
        let detail = "not sent, because four others failed within 15 minutes, and one more might \
                      lock the account";
        Self {
            error: Arc::new(LoginError::of(self.kind(), detail.to_owned())),
            of: Attempted::Login,
            until,
            streaks: Streaks {
                unsure: 0,
                refusals: 0,
                ..self.streaks
            },
            secret: Some(secret),
            tried_until: 0,
            looked_at: now.steady,
            earlier: others,
            ..*self
        }
    }

    /// The last failure with this secret, from before others were tried, as the last one.
    fn before_others(&self, secret: Fingerprint, now: Moment) -> Option<Self> {
        let known = self.with(secret)?;
        Some(Self {
            earlier: self.beside(Some(secret), now),
            error: Arc::clone(&known.error),
            looked_at: now.steady,
            ..*known
        })
    }

    /// As the next handle of the identity takes it over, whose secret is `fixed` or may change.
    pub(crate) fn of_source(mut self, fixed: Option<Fingerprint>, now: Moment) -> Self {
        let mut next = Some(&mut self);
        while let Some(failure) = next {
            if let Some(secret) = &mut failure.secret {
                secret.may_change = fixed.is_none();
            }
            next = failure.earlier.as_deref_mut();
        }
        match (fixed, self.refused_secret()) {
            (Some(fixed), Some(refused)) if fixed != refused => {
                let known = self.before_others(fixed, now);
                known.unwrap_or_else(|| self.set_aside(fixed, now))
            }
            _ => self,
        }
    }

    /// It forbids nothing to this secret, which has not failed yet, and is kept beside it.
    fn set_aside(self, secret: Fingerprint, now: Moment) -> Self {
        Self {
            earlier: self.beside(Some(secret), now),
            evidence: Evidence::None,
            until: now.steady,
            streaks: Streaks {
                unsure: 0,
                refusals: 0,
                ..self.streaks
            },
            secret: None,
            tried_until: 0,
            ..self
        }
    }

    /// Until when its secret is one of those that were tried of late. Zero, if it is none.
    pub(super) const fn tried_until(&self) -> u64 {
        self.tried_until
    }

    /// Whether it still forbids the same again.
    pub(crate) fn forbids(&self, now: Moment) -> bool {
        now.steady < self.until && self.kind() != LoginErrorKind::Limited
    }

    /// The server's answer, if with that it has postponed the next login until later than now.
    pub(super) fn postponed_by(&self, now: Moment) -> Option<Arc<LoginError>> {
        let postponed = self.kind() == LoginErrorKind::Limited && now.steady < self.until;
        postponed.then(|| Arc::clone(&self.error))
    }

    /// Whether it still forbids a login. A failed renewal does not, unless it says of the password
    /// what also holds a login back: that it is wrong, or that it may be, so often that rule 12
    /// forbids another attempt.
    pub(crate) fn forbids_login(&self, now: Moment) -> bool {
        let holds = self.of == Attempted::Login
            || match self.evidence {
                Evidence::None => false,
                Evidence::MayBeWrong => self.streaks.unsure as usize >= UNSURE_WAITS.len(),
                Evidence::Wrong => true,
            };
        holds && self.forbids(now)
    }

    /// Whether it forbids something, or rule 12 counts it. If a refusal is forgotten after its
    /// cooldown, the next one has the first cooldown again, which is enough.
    fn counts(&self, now: Moment) -> bool {
        let counted_until = self.until.saturating_add(nanos(COUNTED));
        self.forbids(now)
            || (self.streaks.unsure > 0 && now.steady < counted_until)
            || now.steady < self.tried_until
    }

    /// Whether it has to be remembered, or what is known of another secret.
    pub(crate) fn matters(&self, now: Moment) -> bool {
        successors(Some(self), |failure| failure.earlier.as_deref()).any(|any| any.counts(now))
    }

    /// Whether it says something of the secret that was sent.
    pub(super) fn says_of_its_secret(&self) -> bool {
        self.evidence != Evidence::None
    }

    /// Whether it, or one before it, says something of the secret that was sent.
    pub(super) fn knows_of_its_secret(&self) -> bool {
        self.says_of_its_secret() || self.streaks.unsure > 0 || self.streaks.refusals > 0
    }

    /// Whether it holds its secret back for what others have failed with.
    fn is_of_others(&self) -> bool {
        self.says_of_its_secret() && self.tried_until == 0
    }

    /// Whether it is of no concern to other processes. What is wrong before anything was sent is
    /// wrong here alone.
    pub(super) fn is_own(&self) -> bool {
        self.kind() == LoginErrorKind::Misconfigured && !self.says_of_its_secret()
    }

    /// Whether other processes have to know of it, if it is not [its own](Self::is_own) affair. A
    /// refusal does not begin anew because something else has come after it.
    pub(super) fn is_of_note(&self, now: Moment) -> bool {
        self.counts(now) || self.streaks.refusals > 0
    }

    /// Whether it is a refusal that still forbids a login, or may be one.
    pub(crate) fn holds_secret(&self, now: Moment) -> bool {
        self.evidence != Evidence::None && self.forbids(now)
    }

    /// Whether the source of a secret that is, or may be, refused has to be read again. Nothing is
    /// sent unless the secret has changed.
    pub(crate) fn wants_look(&self, now: Moment) -> bool {
        self.evidence != Evidence::None
            && self.secret.is_some_and(|secret| secret.may_change)
            && now.steady.saturating_sub(self.looked_at) >= nanos(LOOK_EVERY)
    }

    /// The source was read, and held the same secret.
    pub(crate) const fn looked(&mut self, now: Moment) {
        self.looked_at = now.steady;
    }

    /// The secret that is, or may be, refused.
    pub(crate) fn refused_secret(&self) -> Option<Fingerprint> {
        let secret = self.secret.filter(|_| self.evidence != Evidence::None)?;
        Some(secret.secret)
    }

    /// The failure as another process had it, if its secret was the one at hand; or else without
    /// what it says of that.
    pub(super) fn of_secret(mut self, at_hand: AttemptedSecret, same: bool) -> Option<Self> {
        if same {
            self.secret = Some(at_hand);
            return Some(self);
        }
        self.streaks.unsure = 0;
        self.streaks.refusals = 0;
        self.tried_until = 0;
        (self.evidence == Evidence::None).then_some(self)
    }

    /// Whether it may be of this secret.
    pub(super) fn is_of(&self, at_hand: AttemptedSecret) -> bool {
        (self.secret).is_none_or(|sent| sent.secret == at_hand.secret)
    }

    /// The stricter of two failures of one secret: one that says something of it, or the longer
    /// one. It forbids as long as either, and what either counts is counted.
    pub(super) fn or_stricter(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        let strict = |failure: &Self| (failure.says_of_its_secret(), failure.until);
        let (mut stricter, other) = if strict(&other) > strict(&self) {
            (other, self)
        } else {
            (self, other)
        };
        stricter.until = stricter.until.max(other.until);
        let counted = &mut stricter.streaks;
        counted.unsure = counted.unsure.max(other.streaks.unsure);
        counted.refusals = counted.refusals.max(other.streaks.refusals);
        stricter.tried_until = stricter.tried_until.max(other.tried_until);
        stricter
    }

    /// Writes the words of its line. Its secret is not among them.
    pub(super) fn write(&self, line: &mut Lines, now: Moment) {
        let left = |until: u64| Duration::from_nanos(until.saturating_sub(now.steady));
        let Streaks {
            outages,
            full,
            unsure,
            refusals,
        } = self.streaks;
        line.text("kind", self.kind().name())
            .text("detail", &self.error.detail_and_causes())
            .flag("renewal", self.of == Attempted::Renewal)
            .time("left", Some(left(self.until)))
            .time("tried", Some(left(self.tried_until)))
            .number("outages", outages)
            .number("full", full)
            .number("unsure", unsure)
            .number("refusals", refusals)
            .flag("wrong", self.evidence == Evidence::Wrong)
            .flag("may-be-wrong", self.evidence == Evidence::MayBeWrong);
    }

    /// Reads a line that was written so long ago.
    pub(super) fn read(line: Line<'_>, age: Duration, now: Moment) -> Result<Self, InvalidValue> {
        let kind = LoginErrorKind::named(&line.need("kind")?).ok_or_else(damaged)?;
        let detail = line.need("detail")?.to_string();
        let left = |name| {
            let left = line.time(name)?.unwrap_or_default().saturating_sub(age);
            Ok(nanos(left))
        };
        let tried = match left("tried")? {
            0 => 0,
            left => now.steady.saturating_add(left),
        };
        Ok(Self {
            error: Arc::new(LoginError::of(kind, detail)),
            of: if line.flag("renewal") {
                Attempted::Renewal
            } else {
                Attempted::Login
            },
            evidence: if line.flag("wrong") {
                Evidence::Wrong
            } else if line.flag("may-be-wrong") {
                Evidence::MayBeWrong
            } else {
                Evidence::None
            },
            until: now.steady.saturating_add(left("left")?),
            streaks: Streaks {
                outages: line.number("outages")?,
                full: line.number("full")?,
                unsure: line.number("unsure")?,
                refusals: line.number("refusals")?,
            },
            secret: None,
            tried_until: tried,
            looked_at: now.steady,
            earlier: None,
        })
    }

    /// When the next attempt may be, on the steady clock.
    pub(super) const fn until(&self) -> u64 {
        self.until
    }

    /// What callers get while it forbids a login: the same failure, with the time left.
    pub(crate) fn error(&self, now: Moment) -> Error {
        let left = Duration::from_nanos(self.until.saturating_sub(now.steady));
        Error::Login {
            source: Arc::clone(&self.error),
            retry_after: Some(left),
        }
    }

    pub(crate) fn kind(&self) -> LoginErrorKind {
        self.error.kind()
    }
}

/// From when on fewer than [`MOST_SECRETS`] count as tried, each of which does until its time.
/// `None` if that is so now.
pub(super) fn few_tried_from(tried: impl Iterator<Item = u64>, now: Moment) -> Option<u64> {
    let mut tried: Vec<u64> = tried.filter(|until| now.steady < *until).collect();
    tried.sort_unstable();
    let over = tried.len().checked_sub(MOST_SECRETS)?;
    tried.get(over).copied()
}

/// What a failure says of the secret. It says nothing if the secret was not sent.
const fn evidence(error: &LoginError, sent: bool) -> Evidence {
    match error.kind() {
        LoginErrorKind::Refused | LoginErrorKind::Locked => Evidence::Wrong,
        // A provider that panics has most likely read an answer that it does not know.
        LoginErrorKind::Malformed | LoginErrorKind::Panicked if sent => Evidence::MayBeWrong,
        // The answer brought no session that is of use, and the next one will not either.
        LoginErrorKind::Misconfigured if sent && !error.is_not_sent() => Evidence::MayBeWrong,
        LoginErrorKind::Malformed
        | LoginErrorKind::Panicked
        | LoginErrorKind::Limited
        | LoginErrorKind::SeatsExhausted
        | LoginErrorKind::Unavailable
        | LoginErrorKind::TimedOut
        | LoginErrorKind::Misconfigured => Evidence::None,
    }
}

/// Counts one more. Returns how many there were before.
const fn next(streak: &mut u32) -> u32 {
    let before = *streak;
    *streak = streak.saturating_add(1);
    before
}

#[cfg(test)]
#[allow(
    clippy::unchecked_time_subtraction,
    reason = "a test that can't go on fails"
)]
mod tests {
    use super::*;

    const NOW: Moment = Moment {
        steady: 1_000_000_000_000,
        wall: 0,
    };

    fn later(wait: Duration) -> Moment {
        Moment {
            steady: NOW.steady + nanos(wait),
            wall: 0,
        }
    }

    fn secret(secret: &str) -> AttemptedSecret {
        AttemptedSecret {
            secret: crate::Secret::from(secret).fingerprint(),
            may_change: true,
        }
    }

    fn end(at: Moment, jitter: f64) -> End {
        End {
            at,
            took: Duration::ZERO,
            jitter,
        }
    }

    fn failed(error: LoginError, sent: Option<&str>) -> Failed {
        Failed {
            error,
            of: Attempted::Login,
            secret: sent.map(secret),
        }
    }

    fn after(before: Option<&Failure>, error: LoginError, jitter: f64) -> Failure {
        let failed = failed(error, Some("secret"));
        let policy = &FailurePolicy::DEFAULT;
        Failure::after(before, failed, &end(NOW, jitter), policy)
    }

    fn wait(failure: &Failure) -> Duration {
        failure.error(NOW).retry_after().unwrap()
    }

    /// The waits of failures in a row, in seconds.
    fn waits(error: fn() -> LoginError, jitter: f64, times: usize) -> Vec<u64> {
        let mut last: Option<Failure> = None;
        let mut next = || {
            let failure = after(last.as_ref(), error(), jitter);
            let seconds = wait(&failure).as_secs();
            last = Some(failure);
            seconds
        };
        (0..times).map(|_| next()).collect()
    }

    #[test]
    fn rule_12_an_outage_takes_no_place_among_the_refusals_of_other_secrets() {
        let after = |before: &Failure, error, sent, at| {
            let policy = &FailurePolicy::DEFAULT;
            Failure::after(
                Some(before),
                failed(error, Some(sent)),
                &end(at, 1.0),
                policy,
            )
        };
        let mut last = after(
            &after_first(LoginError::refused("x")),
            LoginError::refused("x"),
            "b",
            NOW,
        );
        for other in ["c", "d", "e", "f"] {
            last = after(&last, LoginError::unavailable("x"), other, NOW);
        }
        let first = secret("secret");
        assert!(last.recalled(first, NOW).is_some());
        assert!(
            last.recalled(first, later(Duration::from_secs(901)))
                .is_none()
        );
    }

    const MINUTE: Duration = Duration::from_secs(60);

    /// What holds the secret `e` back two minutes after the last of four others was sent, a minute
    /// after the one before.
    fn held(error: fn() -> LoginError, of: Attempted) -> Failure {
        let sends = |last: Option<Failure>, (at, sent): (u32, &&str)| {
            let failed = Failed {
                of,
                ..failed(error(), Some(sent))
            };
            let end = end(later(at * MINUTE), 0.0);
            Some(Failure::after(
                last.as_ref(),
                failed,
                &end,
                &FailurePolicy::DEFAULT,
            ))
        };
        let last = (0..).zip(&["a", "b", "c", "d"]).fold(None, sends).unwrap();
        last.recalled(secret("e"), later(5 * MINUTE)).unwrap()
    }

    /// What follows if it is sent once more.
    fn next_of(before: &Failure, error: LoginError, sent: &str, at: Moment) -> Failure {
        let policy = &FailurePolicy::DEFAULT;
        Failure::after(
            Some(before),
            failed(error, Some(sent)),
            &end(at, 0.0),
            policy,
        )
    }

    #[test]
    fn rule_12_a_secret_that_is_held_back_for_others_is_held_whatever_they_were_sent_for() {
        for of in [Attempted::Login, Attempted::Renewal] {
            for error in [|| LoginError::refused("x"), || LoginError::malformed("x")] {
                let held = held(error, of);
                assert!(held.forbids_login(later(15 * MINUTE - Duration::from_nanos(1))));
                assert!(!held.forbids_login(later(15 * MINUTE)));
            }
        }
    }

    #[test]
    fn rule_12_a_secret_that_is_held_back_for_others_has_not_failed() {
        let due = later(15 * MINUTE);
        let refused = held(|| LoginError::refused("x"), Attempted::Login);
        let next = next_of(&refused, LoginError::refused("x"), "e", due);
        assert_eq!(next.error(due).retry_after(), Some(15 * MINUTE));
        let unsure = held(|| LoginError::malformed("x"), Attempted::Login);
        let next = next_of(&unsure, LoginError::malformed("x"), "e", due);
        assert_eq!(next.error(due).retry_after(), Some(UNSURE_WAITS[0]));
        // So it is none of those that hold others back.
        assert!(refused.recalled(secret("f"), due).is_none());
    }

    #[test]
    fn rule_12_the_secret_of_the_next_handle_has_not_failed_and_the_one_before_stays_refused() {
        let fixed = secret("fixed");
        for (error, wait) in [
            (LoginError::refused as fn(_) -> _, 15 * MINUTE),
            (LoginError::malformed, UNSURE_WAITS[0]),
        ] {
            let first = after_first(error("x"));
            let next = first.of_source(Some(fixed.secret), NOW);
            assert!(!next.forbids_login(NOW) && next.recalled(fixed, NOW).is_none());
            assert!(next.recalled(secret("secret"), NOW).is_some());
            let failed = next_of(&next, error("x"), "fixed", NOW);
            assert_eq!(failed.error(NOW).retry_after(), Some(wait));
        }
    }

    #[test]
    fn rule_12_a_secret_stays_refused_while_another_is_held_back_for_others() {
        let held = held(|| LoginError::refused("x"), Attempted::Login);
        assert_eq!(held.refused_secret(), Some(secret("e").secret));
        let forbids = |at| held.recalled(secret("d"), at).is_some();
        assert!(forbids(later(18 * MINUTE - Duration::from_nanos(1))));
        assert!(!forbids(later(18 * MINUTE)));
    }

    #[test]
    fn rule_12_the_source_of_a_secret_that_is_held_back_was_read_just_now() {
        let held = held(|| LoginError::refused("x"), Attempted::Login);
        let at = later(5 * MINUTE);
        assert!(!held.wants_look(at));
        assert!(held.wants_look(later(5 * MINUTE + LOOK_EVERY)));
        let recalled = held.recalled(secret("d"), at).unwrap();
        assert!(!recalled.wants_look(at));
        assert!(recalled.wants_look(later(5 * MINUTE + LOOK_EVERY)));
    }

    #[test]
    fn rule_12_what_may_be_a_refusal_counts_on_after_an_outage_and_another_secret() {
        let policy = &FailurePolicy::DEFAULT;
        let malformed = || LoginError::malformed("x");
        let mut last = after_first(malformed());
        for (error, sent) in [
            (LoginError::unavailable("x"), "secret"),
            (LoginError::refused("x"), "b"),
            (malformed(), "secret"),
        ] {
            last = Failure::after(
                Some(&last),
                failed(error, Some(sent)),
                &end(NOW, 0.0),
                policy,
            );
        }
        assert_eq!(wait(&last), UNSURE_WAITS[1]);
    }

    fn after_first(error: LoginError) -> Failure {
        after(None, error, 0.0)
    }

    #[test]
    fn rule_12_an_outage_backs_off_with_full_jitter_up_to_a_minute() {
        let outage = || LoginError::unavailable("x");
        assert_eq!(waits(outage, 1.0, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(waits(outage, 0.5, 100)[99], 30);
        assert_eq!(
            wait(&after(None, outage(), 0.25)),
            Duration::from_millis(250)
        );
        assert_eq!(
            wait(&after(None, LoginError::not_in_time(Duration::ZERO), 0.0)),
            Duration::ZERO
        );
    }

    #[test]
    fn rule_12_what_may_be_a_refusal_waits_so_that_a_short_outage_passes() {
        for error in [|| LoginError::malformed("x"), LoginError::panicked] {
            assert_eq!(waits(error, 0.0, 6), [30, 120, 300, 900, 900, 900]);
            assert_eq!(waits(error, 1.0, 4), [36, 144, 360, 1_080]);
        }
        let unsent = failed(LoginError::panicked(), None);
        let policy = &FailurePolicy::DEFAULT;
        let failure = Failure::after(None, unsent, &end(NOW, 1.0), policy);
        assert_eq!(wait(&failure), Duration::from_secs(1), "no secret was sent");
        assert!(!failure.holds_secret(NOW));
    }

    #[test]
    fn rule_12_what_may_be_a_refusal_of_another_secret_counts_anew() {
        let policy = &FailurePolicy::DEFAULT;
        let first = after(None, LoginError::malformed("x"), 0.0);
        for (sent, seconds) in [("secret", 120), ("another", 30)] {
            let failed = failed(LoginError::malformed("x"), Some(sent));
            let end = end(NOW, 0.0);
            let next = Failure::after(Some(&first), failed, &end, policy);
            assert_eq!(wait(&next).as_secs(), seconds, "{sent}");
        }
    }

    #[test]
    fn rule_12_outages_between_them_do_not_make_answers_that_may_be_refusals_fewer() {
        let mut failure = after(None, LoginError::malformed("x"), 0.0);
        for seconds in [120, 300, 900] {
            failure = after(Some(&failure), LoginError::unavailable("x"), 0.0);
            failure = after(Some(&failure), LoginError::limited(None), 0.0);
            failure = after(Some(&failure), LoginError::malformed("x"), 0.0);
            assert_eq!(wait(&failure).as_secs(), seconds);
        }
    }

    #[test]
    fn rule_12_the_cooldown_of_a_refusal_doubles_up_to_a_day_until_the_secret_changes() {
        let minutes = [15, 30, 60, 120, 240, 480, 960, 1_440, 1_440];
        let seconds: Vec<u64> = minutes.iter().map(|minutes| minutes * 60).collect();
        for error in [|| LoginError::refused("x"), || LoginError::locked("x")] {
            assert_eq!(waits(error, 0.5, 9), seconds);
        }
        let twice = after(
            Some(&after(None, LoginError::refused("x"), 0.0)),
            LoginError::refused("x"),
            0.0,
        );
        let policy = &FailurePolicy::DEFAULT;
        for (sent, expected) in [(Some("another"), 15), (Some("secret"), 60), (None, 60)] {
            let failed = failed(LoginError::refused("x"), sent);
            let next = Failure::after(Some(&twice), failed, &end(NOW, 0.0), policy);
            assert_eq!(wait(&next).as_secs(), expected * 60, "{sent:?}");
        }
        let longer = FailurePolicy {
            refused_cooldown: 2 * LONGEST_COOLDOWN,
            ..FailurePolicy::DEFAULT
        };
        assert_eq!(
            longer.cooldown_after(5),
            2 * LONGEST_COOLDOWN,
            "as it was set"
        );
    }

    #[test]
    fn rule_12_too_many_sessions_back_off_for_minutes() {
        let full = || LoginError::seats_exhausted("x");
        assert_eq!(waits(full, 1.0, 5), [120, 240, 480, 900, 900]);
        assert_eq!(waits(full, 0.0, 5), [60, 120, 240, 450, 450]);
        assert!(!after(None, full(), 0.0).holds_secret(NOW));
    }

    #[test]
    fn rule_12_a_refusal_holds_for_its_cooldown_and_looks_at_the_source_each_second() {
        for error in [LoginError::refused("x"), LoginError::locked("x")] {
            let mut failure = after(None, error, 0.0);
            let cooldown = FailurePolicy::DEFAULT.refused_cooldown;
            assert!(failure.forbids(later(cooldown - Duration::from_nanos(1))));
            assert!(!failure.forbids(later(cooldown)));
            assert!(!failure.wants_look(later(Duration::from_millis(999))));
            assert!(failure.wants_look(later(Duration::from_secs(1))));
            failure.looked(later(Duration::from_secs(1)));
            assert!(!failure.wants_look(later(Duration::from_millis(1_999))));
            assert!(failure.wants_look(later(Duration::from_secs(2))));
        }
    }

    #[test]
    fn only_what_may_be_a_refusal_wants_a_look() {
        for (error, wants) in [
            (LoginError::unavailable("x"), false),
            (LoginError::misconfigured("x"), false),
            (LoginError::seats_exhausted("x"), false),
            (LoginError::limited(None), false),
            (LoginError::malformed("x"), true),
            (LoginError::locked("x"), true),
        ] {
            let failure = after(None, error, 1.0);
            assert_eq!(
                failure.wants_look(later(Duration::from_secs(10))),
                wants,
                "{failure:?}"
            );
            assert_eq!(failure.refused_secret().is_some(), wants);
        }
    }

    #[test]
    fn rule_6_a_failed_renewal_holds_a_login_back_only_for_what_it_says_of_the_password() {
        let policy = &FailurePolicy::DEFAULT;
        let renewal = |before: Option<&Failure>, error| {
            let failed = Failed {
                of: Attempted::Renewal,
                ..failed(error, Some("secret"))
            };
            Failure::after(before, failed, &end(NOW, 1.0), policy)
        };
        for (error, holds) in [
            (LoginError::unavailable("x"), false),
            (LoginError::not_in_time(Duration::ZERO), false),
            (LoginError::seats_exhausted("x"), false),
            (LoginError::malformed("x"), false),
            (LoginError::refused("x"), true),
            (LoginError::locked("x"), true),
        ] {
            let failure = renewal(None, error);
            assert!(failure.forbids(NOW), "it holds the next renewal back");
            assert_eq!(failure.forbids_login(NOW), holds, "{failure:?}");
        }
        let mut failure = renewal(None, LoginError::malformed("x"));
        for held in [false, false, true] {
            failure = renewal(Some(&failure), LoginError::malformed("x"));
            assert_eq!(failure.forbids_login(NOW), held, "the fourth holds");
        }
    }

    #[test]
    fn rule_12_what_counts_is_remembered_beyond_its_wait() {
        let unsure = after(None, LoginError::malformed("x"), 0.0);
        assert!(unsure.matters(later(Duration::from_secs(30 + 899))));
        assert!(!unsure.matters(later(Duration::from_secs(30 + 900))));
        let refused = after(None, LoginError::refused("x"), 0.0);
        assert!(refused.matters(later(Duration::from_secs(899))));
        assert!(!refused.matters(later(Duration::from_secs(900))));
    }

    #[test]
    fn a_mistake_of_ours_is_forgotten_after_a_second() {
        assert_eq!(
            wait(&after(None, LoginError::misconfigured("x"), 1.0)),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn rule_11_a_limit_is_the_limiters_business_and_a_retry_after_is_capped() {
        let limited = LoginError::limited(Some(Duration::from_secs(9)));
        assert!(!after(None, limited, 1.0).forbids(NOW));
        let limited = after(None, LoginError::limited(None), 1.0);
        assert_eq!(wait(&limited), Duration::ZERO);
        let outage = after(Some(&limited), LoginError::unavailable("503"), 1.0);
        assert_eq!(wait(&outage), Duration::from_secs(1), "the first in a row");
        let outage =
            |wait| LoginError::unavailable("503").with_retry_after(Some(Duration::from_secs(wait)));
        assert_eq!(wait(&after(None, outage(20), 1.0)), Duration::from_secs(20));
        assert_eq!(
            wait(&after(None, outage(u64::MAX), 1.0)),
            Duration::from_secs(3_600)
        );
    }

    #[test]
    fn rule_11_every_failure_waits_for_at_least_its_retry_after() {
        let hour = Duration::from_secs(3_600);
        for error in [
            LoginError::refused("401"),
            LoginError::locked("423"),
            LoginError::seats_exhausted("409"),
            LoginError::malformed("403"),
            LoginError::unavailable("503"),
            LoginError::misconfigured("x"),
            LoginError::panicked(),
        ] {
            let failure = after(None, error.with_retry_after(Some(hour)), 0.0);
            assert_eq!(wait(&failure), hour, "{failure:?}");
        }
        // It holds this account alone, and others of the origin for no longer than an hour.
        for error in [
            LoginError::refused("401"),
            LoginError::locked("423"),
            LoginError::malformed("403"),
        ] {
            let failure = after(None, error.with_retry_after(Some(30 * hour)), 0.0);
            assert_eq!(wait(&failure), 24 * hour, "{failure:?}");
        }
    }

    #[test]
    fn rule_11_the_wait_that_a_renewal_is_told_holds_a_login_with_the_same_secret() {
        let hour = Duration::from_secs(3_600);
        let policy = &FailurePolicy::DEFAULT;
        // The limiter holds the origin for an hour.
        for (asked, holds) in [(hour, false), (hour + LOOK_EVERY, true), (30 * hour, true)] {
            let error = LoginError::malformed("403").with_retry_after(Some(asked));
            let of = Attempted::Renewal;
            let failed = Failed {
                of,
                ..failed(error, Some("secret"))
            };
            let failure = Failure::after(None, failed, &end(NOW, 0.0), policy);
            let asked = asked.min(24 * hour);
            let before = later(asked - Duration::from_nanos(1));
            assert_eq!(failure.forbids_login(before), holds, "{asked:?}");
            assert!(!failure.forbids_login(later(asked)));
            assert!(failure.wants_look(later(LOOK_EVERY)), "it may be corrected");
        }
    }

    #[test]
    fn rule_22_what_holds_and_is_not_wrong_here_alone_is_of_note() {
        let is_of_note = |error, jitter| after(None, error, jitter).is_of_note(NOW);
        assert!(is_of_note(LoginError::unavailable("x"), 1.0));
        assert!(!is_of_note(LoginError::unavailable("x"), 0.0), "it is over");
        assert!(after_first(LoginError::misconfigured("x")).is_own());
        assert!(!after_first(LoginError::refused("x")).is_own());
        // A limit holds by itself, and does not end what was counted before it.
        assert!(!is_of_note(LoginError::limited(None), 1.0));
        for (before, seconds, counts) in [
            (LoginError::refused("x"), 0, true),
            (LoginError::refused("x"), 86_400, true),
            (LoginError::malformed("x"), 0, true),
            (LoginError::malformed("x"), 86_400, false),
        ] {
            let limited = after(Some(&after_first(before)), LoginError::limited(None), 1.0);
            let at = later(Duration::from_secs(seconds));
            assert_eq!(limited.is_of_note(at), counts, "{limited:?}");
        }
    }

    #[test]
    fn a_failure_is_of_the_secret_that_was_sent_or_of_any_if_none_was() {
        let refused = after(None, LoginError::refused("x"), 0.0);
        assert!(refused.is_of(secret("secret")) && !refused.is_of(secret("another")));
        let unsent = failed(LoginError::misconfigured("x"), None);
        let unsent = Failure::after(None, unsent, &end(NOW, 0.0), &FailurePolicy::DEFAULT);
        assert!(unsent.is_of(secret("another")));
    }

    #[test]
    fn rule_22_of_two_failures_what_says_something_of_the_secret_counts_or_else_the_longer() {
        let refused = || after(None, LoginError::refused("x"), 0.0);
        let hour = Duration::from_secs(3_600);
        let outage = || after(None, LoginError::unavailable("x"), 1.0);
        let long = || {
            after(
                None,
                LoginError::not_in_time(hour).with_retry_after(Some(hour)),
                1.0,
            )
        };
        let same = || after(None, LoginError::not_in_time(hour), 1.0);
        let (one, other) = (LoginErrorKind::Unavailable, LoginErrorKind::TimedOut);
        for (ours, theirs, stricter) in [
            (refused(), long(), LoginErrorKind::Refused),
            (long(), refused(), LoginErrorKind::Refused),
            (outage(), long(), other),
            (long(), outage(), other),
            (outage(), same(), one),
            (same(), outage(), other),
        ] {
            assert_eq!(ours.or_stricter(Some(theirs)).kind(), stricter);
        }
        assert_eq!(outage().or_stricter(None).kind(), one);
        // What they have counted is counted, whichever of them that was.
        let twice = after(Some(&refused()), LoginError::refused("x"), 0.0);
        let twice = || after(Some(&twice), LoginError::limited(None), 0.0);
        for counted in [
            refused().or_stricter(Some(twice())),
            twice().or_stricter(Some(refused())),
        ] {
            let next = after(Some(&counted), LoginError::refused("x"), 0.0);
            assert_eq!(wait(&next), hour);
        }
    }
}
