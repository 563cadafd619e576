//! How one logs in, as the cache sees it.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use smallvec::SmallVec;

use crate::credential::{Credential, Session};
use crate::error::LoginError;
use crate::judge::{Judge, StatusJudge};
use crate::origin::{Origin, Scope};
use crate::secret::{Secret, SecretSource};

/// Logs in to one API as one account.
///
/// This is the whole of what the cache needs to know about an API. `auth-providers` has ready-made ones, and makes one
/// from any login that can be written as a request and the reading of its answer; implement the trait by hand for
/// anything else.
///
/// The cache calls [`login`](Self::login) with at most one call in flight for an identity, under its quota and its
/// time-out, and remembers the failure. So a provider does not retry, cache, limit or wait by itself.
///
/// ```
/// use async_trait::async_trait;
/// use auth_core::{Identity, LoginError, Origin, Provider, Secret, SecretSource, Session};
///
/// struct Tokens {
///     identity: Identity,
///     password: SecretSource,
/// }
///
/// #[async_trait]
/// impl Provider for Tokens {
///     fn identity(&self) -> &Identity {
///         &self.identity
///     }
///
///     fn secret(&self) -> &SecretSource {
///         &self.password
///     }
///
///     async fn login(&self, password: &Secret) -> Result<Session, LoginError> {
///         let token = format!("token-for-{}", password.expose().len());
///         Ok(Session::new().with_bearer(&token)?)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let identity = Identity::new("tokens", Origin::parse("https://api.example.com")?, "me@example.com");
/// let credentials = auth_core::Credentials::new(Tokens { identity, password: "correct horse".into() });
/// assert_eq!(credentials.get().await?.stamp().generation(), 1);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Who logs in where. Logins of all identities with the same origin share one quota.
    fn identity(&self) -> &Identity;

    /// Where the password comes from. It is read before each login.
    fn secret(&self) -> &SecretSource;

    /// The origins that the credential may be sent to: by default the one that one logs in to.
    fn scope(&self) -> Scope {
        Scope::only(self.identity().origin().clone())
    }

    /// How many logins the API allows: by default ten in any minute.
    fn quota(&self) -> Quota {
        Quota::DEFAULT
    }

    /// What an answer says of the credential: by default a 401 rejects it.
    fn judge(&self) -> &dyn Judge {
        &StatusJudge
    }

    /// Whether a password can be right at all, before an attempt is spent on it.
    ///
    /// # Errors
    /// [`LoginError::misconfigured`], saying what is wrong with it without repeating it.
    fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
        let _ = secret;
        Ok(())
    }

    /// Logs in, with no old credential attached.
    ///
    /// # Errors
    /// Each kind of [`LoginError`] permits something different afterwards; see there.
    ///
    /// # Cancel safety
    /// The future is dropped when the login takes longer than
    /// [its time-out](crate::CredentialsBuilder::login_timeout), or with the last handle.
    async fn login(&self, secret: &Secret) -> Result<Session, LoginError>;

    /// Fetches the next session while the current one is still good: by default by logging in again. It counts as a login.
    ///
    /// # Errors
    /// As [`login`](Self::login). `Refused` means that the *password* was refused here, too. If what was refused is a refresh
    /// token, log in within this very call, or fail with another kind: the next login, when the session has ended, is a
    /// [`login`](Self::login).
    ///
    /// # Cancel safety
    /// As [`login`](Self::login).
    async fn renew(&self, current: &Credential, secret: &Secret) -> Result<Session, LoginError> {
        let _ = current;
        self.login(secret).await
    }

    /// Ends a session at the server: by default there is nothing to do.
    ///
    /// # Errors
    /// As [`login`](Self::login). The cache forgets the session in any case.
    ///
    /// # Cancel safety
    /// As [`login`](Self::login).
    async fn logout(&self, credential: &Credential) -> Result<(), LoginError> {
        let _ = credential;
        Ok(())
    }
}

/// A provider chosen at run time, or shared.
macro_rules! provider_behind {
    ($pointer:ident) => {
        #[async_trait]
        impl<P: Provider + ?Sized> Provider for $pointer<P> {
            fn identity(&self) -> &Identity {
                (**self).identity()
            }

            fn secret(&self) -> &SecretSource {
                (**self).secret()
            }

            fn scope(&self) -> Scope {
                (**self).scope()
            }

            fn quota(&self) -> Quota {
                (**self).quota()
            }

            fn judge(&self) -> &dyn Judge {
                (**self).judge()
            }

            fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
                (**self).check_secret(secret)
            }

            async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
                (**self).login(secret).await
            }

            async fn renew(
                &self,
                current: &Credential,
                secret: &Secret,
            ) -> Result<Session, LoginError> {
                (**self).renew(current, secret).await
            }

            async fn logout(&self, credential: &Credential) -> Result<(), LoginError> {
                (**self).logout(credential).await
            }
        }
    };
}

provider_behind!(Box);
provider_behind!(Arc);

/// Who logs in where: a provider's name, the origin of its login, and an account.
///
/// It is the key of a [`Pool`](crate::Pool). It prints without the account, which may be a person's e-mail address;
/// [`account`](Self::account) gives it.
///
/// A clone costs one reference count, and it is hashed once, when it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(Arc<Parts>);

/// Laid out for being found among a million, where each memory that has to be fetched shows.
struct Parts {
    // First, so that what differs is told by it.
    hash: u64,
    /// Where in the text the provider's name ends, and the account.
    ends: (usize, usize),
    /// The provider's name, the account and the origin, one after the other: to be compared at one go, and where they are.
    text: SmallVec<[u8; 64]>,
    origin: Origin,
}

/// Of this process alone: nobody can choose accounts whose hashes collide.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.ends == other.ends && self.text == other.text
    }
}

impl Eq for Parts {}

impl Identity {
    /// `provider` names the kind of API, `origin` is where the login goes, `account` is the e-mail address or user name.
    pub fn new(provider: impl AsRef<str>, origin: Origin, account: impl AsRef<str>) -> Self {
        let (provider, account) = (provider.as_ref(), account.as_ref());
        let mut text = SmallVec::from_slice(provider.as_bytes());
        text.extend_from_slice(account.as_bytes());
        let ends = (provider.len(), text.len());
        for piece in origin.spelled() {
            text.extend_from_slice(piece.as_bytes());
        }
        Self(Arc::new(Parts {
            hash: HASHER.hash_one((ends, text.as_slice())),
            ends,
            text,
            origin,
        }))
    }

    /// The same account of the same kind of API, elsewhere.
    pub fn at(&self, origin: Origin) -> Self {
        Self::new(self.provider(), origin, self.account())
    }

    /// The kind of API.
    pub fn provider(&self) -> &str {
        let (end, _) = self.0.ends;
        str::from_utf8(&self.0.text[..end]).unwrap_or_else(|_| unreachable!("it was made of a str"))
    }

    /// Where the login goes.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The e-mail address or user name.
    pub fn account(&self) -> &str {
        let (start, end) = self.0.ends;
        str::from_utf8(&self.0.text[start..end])
            .unwrap_or_else(|_| unreachable!("it was made of a str"))
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

/// How many logins an API allows in any window of a given length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    logins: NonZeroU32,
    window: Duration,
}

impl Quota {
    /// Ten in any minute: what the one API that documents a limit allows, and a restrained guess for those that don't.
    pub const DEFAULT: Self = match NonZeroU32::new(10) {
        Some(logins) => Self::new(logins, Duration::from_secs(60)),
        None => panic!("ten is not zero"),
    };

    /// At most `logins` in any `window`.
    pub const fn new(logins: NonZeroU32, window: Duration) -> Self {
        Self { logins, window }
    }

    /// A smaller share of the same quota, for a program that is not alone behind its address: other processes, other
    /// machines behind the same NAT, and earlier runs of the same program count at the server and can't be seen from here.
    pub fn at_most(mut self, logins: NonZeroU32) -> Self {
        self.logins = self.logins.min(logins);
        self
    }

    /// Few enough for both: the smaller number in the longer window.
    pub fn strictest(self, other: Self) -> Self {
        Self {
            logins: self.logins.min(other.logins),
            window: self.window.max(other.window),
        }
    }

    /// How many.
    pub const fn logins(&self) -> NonZeroU32 {
        self.logins
    }

    /// In how long.
    pub const fn window(&self) -> Duration {
        self.window
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasherDefault, DefaultHasher};

    use super::*;

    fn origin(host: &str) -> Origin {
        Origin::parse(&format!("https://{host}.example.com")).unwrap()
    }

    #[test]
    fn identities_are_told_apart_whatever_their_hashes() {
        let parts = |provider: &str, account: &str, origin: &str| {
            let origin = Origin::allow_plain_http(origin).unwrap();
            let parts = Arc::into_inner(Identity::new(provider, origin, account).0).unwrap();
            Parts { hash: 0, ..parts }
        };
        let one = parts("clay", "me", "https://example.com");
        assert!(one == parts("clay", "me", "https://EXAMPLE.com:443"));
        for other in [
            parts("cla", "yme", "https://example.com"),
            parts("clay", "mehttps://example.com", "https://example.com"),
            parts("clay", "me", "http://sexample.com"),
            parts("clay", "me", "https://example.com:444"),
            parts("clay", "you", "https://example.com"),
        ] {
            assert!(one != other, "{:?}", Identity(Arc::new(other)));
        }
    }

    #[test]
    fn an_identity_is_its_provider_its_origin_and_its_account() {
        let one = Identity::new("clay", origin("one"), "me@example.com");
        assert_eq!(one.provider(), "clay");
        assert_eq!(*one.origin(), origin("one"));
        assert_eq!(one.account(), "me@example.com");
        let same = Identity::new(String::from("clay"), origin("one"), "me@example.com");
        assert_eq!(one, same);
        let others = [
            Identity::new("quinn", origin("one"), "me@example.com"),
            one.at(origin("two")),
            Identity::new("clay", origin("one"), "you@example.com"),
            // Where one part ends and the next begins matters.
            Identity::new("claym", origin("one"), "e@example.com"),
        ];
        for other in &others {
            assert_ne!(one, *other);
        }
        assert_eq!(others[1].at(origin("one")), one);
        let hash =
            |identity: &Identity| BuildHasherDefault::<DefaultHasher>::default().hash_one(identity);
        assert_eq!(hash(&one), hash(&same));
        assert!(others.iter().all(|other| hash(other) != hash(&one)));
        let all: HashSet<_> = others.into_iter().chain([one, same]).collect();
        assert_eq!(all.len(), 5, "what is equal has one hash");
    }

    #[test]
    fn rule_17_an_identity_prints_without_its_account() {
        let identity = Identity::new("clay", origin("one"), "me@example.com");
        assert_eq!(
            format!("{identity:?}"),
            "Identity(clay at https://one.example.com)"
        );
    }
}
