//! A password, and the fingerprint of one that was tried.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::as_typed;

/// A password. It is not printed, and it is zeroed when it is dropped.
///
/// ```
/// use auth_core::Secret;
///
/// let secret = Secret::from("correct horse");
/// assert_eq!(secret.expose(), "correct horse");
/// assert!(!format!("{secret:?}").contains("horse"));
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// The text itself. A copy of it is the caller's to zero.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// The secret [as it would be typed](as_typed). If that is another text, the old buffer is
    /// zeroed.
    pub(super) fn typed(self) -> Self {
        let typed = as_typed(self.expose());
        if typed.len() == self.expose().len() {
            return self;
        }
        Self::from(typed)
    }

    /// A value to compare secrets by without keeping a copy: a hash under a random key of this
    /// process.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        Fingerprint(KEY.get_or_init(RandomState::new).hash_one(self.expose()))
    }
}

impl From<String> for Secret {
    /// Takes the text over. If it has to be copied, the old buffer is zeroed.
    fn from(text: String) -> Self {
        if text.len() == text.capacity() {
            return Self(Zeroizing::new(text.into()));
        }
        // Shrinking may move the text, and leave a copy behind.
        let text = Zeroizing::new(text);
        Self::from(text.as_str())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_17_neither_a_secret_nor_its_fingerprint_prints() {
        let secret = Secret::from("canary");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(format!("{:?}", secret.fingerprint()), "Fingerprint(…)");
    }
}
