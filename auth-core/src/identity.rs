//! An account, as one provider logs it in at one URL.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use crate::origin::{LoginUrl, Origin};

/// An account, as one provider logs it in: the provider's name, the URL of its login, and an
/// account.
///
/// It is the key of a [`Pool`](crate::Pool). Its `Debug` form omits the account, which may be an
/// e-mail address; [`account`](Self::account) returns it.
///
/// A clone costs one reference count. The hash is computed once, when the identity is made.
///
/// ```
/// use auth_core::{Identity, LoginUrl, Origin};
///
/// let origin = Origin::parse("https://api.example.com")?;
/// let identity = Identity::new("example", origin.clone(), "me@example.com");
/// assert_eq!(format!("{identity:?}"), "Identity(example at https://api.example.com)");
///
/// // Two instances of one API behind one host are two identities.
/// let tenant = identity.at(LoginUrl::new(origin, "/tenant-a"));
/// assert_ne!(tenant, identity);
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
    login: LoginUrl,
}

/// Keyed for this process, so that accounts can't be chosen to have colliding hashes.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Identity {
    /// An identity. `provider` names the kind of API, `login` is where the login goes, and
    /// `account` is the e-mail address or user name.
    ///
    /// An [`Origin`] is a login without a path.
    pub fn new(
        provider: impl Into<Cow<'static, str>>,
        login: impl Into<LoginUrl>,
        account: impl AsRef<str>,
    ) -> Self {
        let (provider, login, account) = (provider.into(), login.into(), account.as_ref());
        Self(Arc::new(Parts {
            hash: HASHER.hash_one((&provider, &login, account)),
            account: account.into(),
            provider,
            login,
        }))
    }

    /// The same account of the same kind of API, at another URL.
    pub fn at(&self, login: impl Into<LoginUrl>) -> Self {
        Self::new(self.0.provider.clone(), login, self.account())
    }

    /// The name of the kind of API.
    pub fn provider(&self) -> &str {
        &self.0.provider
    }

    /// Where the login goes.
    pub fn login_url(&self) -> &LoginUrl {
        &self.0.login
    }

    /// The origin of the login.
    pub fn origin(&self) -> &Origin {
        self.0.login.origin()
    }

    /// The e-mail address or user name.
    pub fn account(&self) -> &str {
        &self.0.account
    }

    /// The hash, which is keyed for this process.
    pub(crate) fn keyed_hash(&self) -> u64 {
        self.0.hash
    }

    /// The identity as text, the same in every process and every version of this crate: a key to
    /// store something under. **It contains the account.** Where the account must not be read, hash
    /// the key with a secret.
    ///
    /// The text is four [netstrings](https://cr.yp.to/proto/netstrings.txt), so no part runs into
    /// the next one: the number of this form, the provider's name, the [URL](Self::login_url) of
    /// the login, and the account, each as `<bytes in decimal>:<text>,`. Different identities have
    /// different keys.
    ///
    /// ```
    /// use auth_core::{Identity, Origin};
    ///
    /// let origin = Origin::parse("https://api.example.com")?;
    /// let key = Identity::new("example", origin, "me").stable_key();
    /// assert_eq!(key, "1:1,7:example,23:https://api.example.com,2:me,");
    /// # Ok::<(), auth_core::OriginError>(())
    /// ```
    pub fn stable_key(&self) -> String {
        let login = self.login_url().to_string();
        let parts = [KEY_FORM, self.provider(), &login, self.account()];
        parts.map(|part| format!("{}:{part},", part.len())).concat()
    }
}

/// The number of the form that [`Identity::stable_key`] returns. Another form has another number,
/// so that a key of the one never equals a key of the other.
const KEY_FORM: &str = "1";

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} at {})", self.provider(), self.login_url())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    #[test]
    fn rule_1_identities_are_told_apart_whatever_their_hashes() {
        let parts = |provider: &'static str, account: &str, origin: &str, path: &str| {
            let login = LoginUrl::new(Origin::allow_plain_http(origin).unwrap(), path);
            let parts = Arc::into_inner(Identity::new(provider, login, account).0).unwrap();
            Parts { hash: 0, ..parts }
        };
        let one = parts("clay", "me", "https://example.com", "");
        assert!(one == parts("clay", "me", "https://EXAMPLE.com:443", "/"));
        for other in [
            parts("cla", "me", "https://example.com", ""),
            parts("clay", "me", "http://example.com", ""),
            parts("clay", "me", "https://example.com:444", ""),
            parts("clay", "me", "https://example.com", "/tenant-a"),
            parts("clay", "you", "https://example.com", ""),
        ] {
            assert!(one != other, "{:?}", Identity(Arc::new(other)));
        }
    }
}
