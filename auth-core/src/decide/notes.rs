//! What is remembered in a store beside the session, and its form as text.

use std::time::Duration;

use super::failure::Failure;
use super::rejection_breaker::RejectionBreaker;
use crate::clock::Moment;
use crate::credential::{InvalidValue, Line, Lines, damaged};
use crate::store::Version;

/// How many spent tokens are noted, as a cache remembers.
const MOST_SPENT: usize = 16;

/// The form of the text that this version writes and reads.
const FORM: &str = "1";

/// What is known of the entry in the store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The version of the last session that was taken from the store or saved there.
    pub(crate) version: Option<Version>,
    /// Whether the current session is a later one, which is not in the store.
    pub(crate) unsaved: bool,
}

/// What is remembered in a store beside the session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// What the last failed login forbids. It does not know its secret.
    pub(super) failure: Option<Failure>,
    /// The keyed hash of that secret.
    pub(super) secret: Option<String>,
    /// Whether rejections are believed.
    pub(super) breaker: Option<RejectionBreaker>,
    /// Keyed hashes of the tokens that must not be sent again, oldest first.
    pub(super) spent: Vec<String>,
}

impl Notes {
    pub(crate) const fn is_empty(&self) -> bool {
        self.failure.is_none() && self.breaker.is_none() && self.spent.is_empty()
    }

    /// Whether a token was spent, by its keyed hash.
    pub(crate) fn is_spent(&self, token: &str) -> bool {
        self.spent.iter().any(|spent| spent == token)
    }

    /// Notes a token as spent.
    pub(crate) fn spend(&mut self, token: String) {
        if !self.is_spent(&token) {
            let over = (self.spent.len() + 1).saturating_sub(MOST_SPENT);
            self.spent.drain(..over);
            self.spent.push(token);
        }
    }

    /// The text, with a line for each. Times in it count from now.
    pub(crate) fn to_text(&self, now: Moment) -> String {
        Lines::written(|lines| {
            lines.line("notes").text("form", FORM).end();
            if let Some(failure) = &self.failure {
                failure.write(lines.line("failure"), now);
                if let Some(secret) = &self.secret {
                    lines.text("secret", secret);
                }
                lines.end();
            }
            if let Some(breaker) = &self.breaker {
                breaker.write(lines, now);
            }
            for token in &self.spent {
                lines.line("spent").text("token", token).end();
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
                    notes.failure = Some(Failure::read(line, age, now)?);
                    notes.secret = line.text("secret")?.map(|text| text.to_string());
                }
                "breaker" => notes.breaker = Some(RejectionBreaker::read(line, age, now)?),
                "spent" => notes.spent.push(line.need("token")?.to_string()),
                _ => {}
            }
        }
        Ok(notes)
    }
}
