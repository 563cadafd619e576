//! The secrets that a credential puts into a query, and the texts that hold them.

use auth_core::Credential;
use percent_encoding::percent_decode_str;

/// How often a text is decoded. A text that still changes then is taken to hold a secret.
const ROUNDS: usize = 8;

/// The values that a credential puts into the query of a request, and those that it had lately.
#[derive(Clone, Default)]
pub(crate) struct QuerySecrets(Vec<String>);

impl QuerySecrets {
    pub(crate) fn of(credential: &Credential) -> Self {
        Self(credential.query_secrets().map(str::to_owned).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the secrets of another credential, which a later attempt has sent.
    #[cfg(feature = "reqwest")]
    pub(crate) fn add(&mut self, others: Self) {
        for secret in others.0 {
            if !self.0.contains(&secret) {
                self.0.push(secret);
            }
        }
    }

    /// Whether the text holds one of the values, plain or percent-encoded, however often.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut text = text.to_owned();
        for _ in 0..ROUNDS {
            // A form's encoding writes a space as a plus sign.
            let spaced = text.replace('+', " ");
            if self
                .0
                .iter()
                .any(|secret| text.contains(&**secret) || spaced.contains(&**secret))
            {
                return true;
            }
            let plain = decoded(&text);
            if plain == text {
                return false;
            }
            text = plain;
        }
        true
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
