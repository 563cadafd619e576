//! The secrets that a credential puts into a query, and the texts that hold them.

use auth_core::Credential;
use percent_encoding::percent_decode_str;

/// How often a text is decoded. A text that still changes then is taken to hold a secret.
const ROUNDS: usize = 8;

/// The values that a credential puts into the query of a request, and those that it had lately. A
/// form's encoding writes a space as a plus sign, and a URL has its host in lower case. So each has
/// spaces for its plus signs, and is in lower case, as the texts that are searched.
#[derive(Clone, Default)]
pub(crate) struct QuerySecrets(Vec<String>);

impl QuerySecrets {
    pub(crate) fn of(credential: &Credential) -> Self {
        Self(credential.query_secrets().map(folded).collect())
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
        let mut text = folded(text);
        for _ in 0..ROUNDS {
            if self.0.iter().any(|secret| text.contains(&**secret)) {
                return true;
            }
            let plain = folded(&decoded(&text));
            if plain == text {
                return false;
            }
            text = plain;
        }
        true
    }
}

fn folded(text: &str) -> String {
    let mut text = text.replace('+', " ");
    text.make_ascii_lowercase();
    text
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use auth_core::testing::Scripted;
    use auth_core::{Credentials, Session};

    use super::*;

    #[test]
    fn rule_17_a_secret_is_found_however_a_text_encodes_it() {
        let session = |_| Ok(Session::new().with_query("csrf", "a+b c/é")?);
        let credentials = Credentials::new(Scripted::new(session));
        let secrets = QuerySecrets::of(&credentials.blocking_get().unwrap());
        for text in [
            "it is a+b c/é.",
            "/?csrf=a%2Bb%20c%2F%C3%A9",
            "/?csrf=a+b%20c/%c3%a9",
            "/?csrf=a%2Bb+c%2F%C3%A9",
            "/?next=%2F%3Fcsrf%3Da%252Bb%2Bc%252F%25C3%25A9",
            "/?csrf=A%2bB%20C/%c3%a9",
        ] {
            assert!(secrets.is_in(text), "{text}");
        }
        for text in ["", "/?csrf=", "a+b", "ab c/é", "/?csrf=a%2Bb%20c"] {
            assert!(!secrets.is_in(text), "{text}");
        }
    }
}
