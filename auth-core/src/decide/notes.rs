//! What is remembered in a store beside the session, and its form as text.

use std::time::Duration;

use super::attempted::AttemptedSecret;
use super::failure::{Failure, MOST_SECRETS, few_tried_from};
use super::refreshes::HeldRefreshes;
use super::rejection_breaker::RejectionBreaker;
use crate::clock::Moment;
use crate::credential::{InvalidValue, Line, Lines, damaged};
use crate::store::Version;

/// How many spent tokens are noted, as a cache remembers.
const MOST_SPENT: usize = 16;

/// Of how many secrets the failures are noted. A program has one, and two while it is changed; a
/// wrong one may be in use beside it.
const MOST_FAILURES: usize = MOST_SECRETS;

/// The form of the text that this version writes and reads.
const FORM: &str = "1";

/// What is known of the entry in the store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The version of the last session that was taken from the store or saved there, or that is to
    /// be saved there under its lease.
    pub(crate) version: Option<Version>,
    /// Whether the current session is a later one, which is not in the store.
    pub(crate) unsaved: bool,
}

/// What is remembered in a store beside the session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// What failed logins forbid, the last one last: each with the keyed hash of its secret, which
    /// it does not know itself.
    failures: Vec<(Failure, String)>,
    /// Whether rejections are believed.
    pub(super) breaker: Option<RejectionBreaker>,
    /// What holds refreshes back.
    pub(super) held_refreshes: Option<HeldRefreshes>,
    /// Keyed hashes of the tokens that must not be sent again, oldest first: of those that can be
    /// used once, and of any that were refused.
    pub(super) spent: Vec<String>,
    /// Any token that can be used once may be spent, because notes can't be read or may be lost.
    any_spent: bool,
}

impl Notes {
    /// Marks of spent tokens may be missing, so any token of the session may be spent.
    pub(crate) const fn doubt_tokens(&mut self) {
        self.any_spent = true;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.failures.is_empty()
            && self.breaker.is_none()
            && self.held_refreshes.is_none()
            && self.spent.is_empty()
            && !self.any_spent
    }

    /// The last failure with this secret, or else the last one, and whether it was with this
    /// secret.
    pub(super) fn failure(&self, secret: &str) -> Option<(&Failure, bool)> {
        let last = |own: bool| {
            let mut failures = self.failures.iter().rev();
            failures.find(|(_, noted)| !own || noted == secret)
        };
        let own = last(true).map(|(failure, _)| (failure, true));
        own.or_else(|| last(false).map(|(failure, _)| (failure, false)))
    }

    /// What forbids a secret that has not failed, because so many others have of late.
    pub(super) fn held_by_others(&self, secret: AttemptedSecret, now: Moment) -> Option<Failure> {
        let tried = self
            .failures
            .iter()
            .map(|(failure, _)| failure.tried_until());
        let until = few_tried_from(tried, now)?;
        let mut failures = self.failures.iter().map(|(failure, _)| failure);
        let last = failures.rfind(|failure| failure.says_of_its_secret())?;
        Some(last.held(secret, until, None, now))
    }

    /// A login with this secret has failed, or has not. What others have failed with, and what says
    /// something of their secret, stays.
    pub(crate) fn logged_in_with(&mut self, secret: String, failed: Option<Failure>) {
        self.failures
            .retain(|(failure, noted)| *noted != secret && failure.knows_of_its_secret());
        if let Some(failure) = failed {
            let over = (self.failures.len() + 1).saturating_sub(MOST_FAILURES);
            self.failures.drain(..over);
            self.failures.push((failure, secret));
        }
    }

    /// These, with what a login has found out that could not read them before it ended.
    pub(crate) fn with(mut self, found_out: &Self) -> Self {
        for (failure, secret) in &found_out.failures {
            // It did not know what is noted, which may forbid more.
            let known = self.failures.iter().find(|(_, noted)| noted == secret);
            let known = known.map(|(known, _)| known.clone());
            let failure = failure.clone().or_stricter(known);
            self.logged_in_with(secret.clone(), Some(failure));
        }
        self.breaker = found_out.breaker.clone().or(self.breaker);
        let held = found_out.held_refreshes.clone();
        self.held_refreshes = held.or(self.held_refreshes);
        for token in &found_out.spent {
            self.spend(token.clone());
        }
        self
    }

    /// Whether a token that can be used once was spent, by its keyed hash, or may have been.
    pub(crate) fn is_spent(&self, token: &str) -> bool {
        self.any_spent || self.names(token)
    }

    /// Whether a token is named as one that must not be sent again, by its keyed hash.
    pub(super) fn names(&self, token: &str) -> bool {
        self.spent.iter().any(|spent| spent == token)
    }

    /// Notes a token as spent, or as refused.
    pub(crate) fn spend(&mut self, token: String) {
        if !self.names(&token) {
            let over = (self.spent.len() + 1).saturating_sub(MOST_SPENT);
            self.spent.drain(..over);
            self.spent.push(token);
        }
    }

    /// They are saved with the next session, whose token was never sent. One that can be used more
    /// than once may be the same as before, which the server takes again.
    pub(super) fn of_next_session(mut self, single_use: bool) -> Self {
        self.any_spent = false;
        if !single_use {
            self.spent.clear();
        }
        self
    }

    /// A token that was noted as spent was not sent.
    pub(crate) fn pardon(&mut self, token: &str) {
        self.spent.retain(|spent| spent != token);
    }

    /// The text, with a line for each. Times in it count from now.
    pub(crate) fn to_text(&self, now: Moment) -> String {
        Lines::written(|lines| {
            lines.line("notes").text("form", FORM).end();
            for (failure, secret) in &self.failures {
                failure.write(lines.line("failure"), now);
                lines.text("secret", secret).end();
            }
            if let Some(breaker) = &self.breaker {
                breaker.write(lines, now);
            }
            if let Some(held) = &self.held_refreshes {
                held.write(lines.line("held-refreshes"), now);
                lines.end();
            }
            for token in &self.spent {
                lines.line("spent").text("token", token).end();
            }
            if self.any_spent {
                lines.line("any-spent").end();
            }
        })
    }

    /// What a text states that was written so long ago. Lines that are not known are passed over.
    pub(crate) fn read(text: &str, age: Duration, now: Moment) -> Result<Self, InvalidValue> {
        let mut lines = text.lines().map(Line::new);
        let first = lines.next().ok_or_else(damaged)?;
        if first.kind() != "notes" || *first.need("form")? != FORM {
            return Err(damaged());
        }
        let mut notes = Self::default();
        for line in lines {
            match line.kind() {
                "failure" => {
                    let secret = line.need("secret")?.to_string();
                    // One of a kind that a later version knows says nothing here.
                    if let Ok(failure) = Failure::read(line, age, now) {
                        notes.failures.push((failure, secret));
                    }
                }
                "breaker" => notes.breaker = RejectionBreaker::read(line, age, now).ok(),
                "held-refreshes" => {
                    notes.held_refreshes = HeldRefreshes::read(line, age, now).ok();
                }
                "spent" => notes.spent.push(line.need("token")?.to_string()),
                "any-spent" => notes.any_spent = true,
                _ => {}
            }
        }
        Ok(notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_22_what_was_found_out_without_the_notes_is_added_to_them() {
        let breaker = || Notes {
            breaker: Some(RejectionBreaker::default()),
            ..Notes::default()
        };
        let spent = || Notes {
            spent: vec!["a".to_owned()],
            ..Notes::default()
        };
        let both = spent().with(&breaker());
        assert!(both.is_spent("a") && both.breaker.is_some());
        assert!(breaker().with(&spent()).breaker.is_some(), "it stays");
    }
}
