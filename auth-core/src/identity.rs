//! An account at an origin, as one provider logs it in.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use crate::origin::Origin;

/// An account at an origin: a provider's name, the origin of its login, and an account.
///
/// It is the key of a [`Pool`](crate::Pool). Its `Debug` form omits the account, which may be an
/// e-mail address; [`account`](Self::account) returns it.
///
/// A clone costs one reference count. The hash is computed once, when the identity is made.
///
/// ```
/// use auth_core::{Identity, Origin};
///
/// let origin = Origin::parse("https://api.example.com")?;
/// let identity = Identity::new("example", origin, "me@example.com");
/// assert_eq!(format!("{identity:?}"), "Identity(example at https://api.example.com)");
/// # Ok::<(), auth_core::OriginError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(Arc<Parts>);

// The order of the fields is that of the comparison: most identities differ in their hash.
#[derive(PartialEq, Eq)]
struct Parts {
    hash: u64,
    account: Box<str>,
    provider: Cow<'static, str>,
    origin: Origin,
}

/// Keyed for this process, so that accounts can't be chosen to have colliding hashes.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Identity {
    /// An identity. `provider` names the kind of API, `origin` is where the login goes, and
    /// `account` is the e-mail address or user name.
    pub fn new(
        provider: impl Into<Cow<'static, str>>,
        origin: Origin,
        account: impl AsRef<str>,
    ) -> Self {
        let (provider, account) = (provider.into(), account.as_ref());
        Self(Arc::new(Parts {
            hash: HASHER.hash_one((&provider, &origin, account)),
            account: account.into(),
            provider,
            origin,
        }))
    }

    /// The same account of the same kind of API, at another origin.
    pub fn at(&self, origin: Origin) -> Self {
        Self::new(self.0.provider.clone(), origin, self.account())
    }

    /// The name of the kind of API.
    pub fn provider(&self) -> &str {
        &self.0.provider
    }

    /// The origin of the login.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The e-mail address or user name.
    pub fn account(&self) -> &str {
        &self.0.account
    }
}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} at {})", self.provider(), self.origin())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    #[test]
    fn identities_are_told_apart_whatever_their_hashes() {
        let parts = |provider: &'static str, account: &str, origin: &str| {
            let origin = Origin::allow_plain_http(origin).unwrap();
            let parts = Arc::into_inner(Identity::new(provider, origin, account).0).unwrap();
            Parts { hash: 0, ..parts }
        };
        let one = parts("clay", "me", "https://example.com");
        assert!(one == parts("clay", "me", "https://EXAMPLE.com:443"));
        for other in [
            parts("cla", "me", "https://example.com"),
            parts("clay", "me", "http://example.com"),
            parts("clay", "me", "https://example.com:444"),
            parts("clay", "you", "https://example.com"),
        ] {
            assert!(one != other, "{:?}", Identity(Arc::new(other)));
        }
    }
}
