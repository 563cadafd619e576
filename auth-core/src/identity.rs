//! Who logs in where.

use std::fmt;
use std::sync::Arc;

use crate::origin::Origin;

/// Who logs in where: a provider's name, the origin of its login, and an account.
///
/// It is the key of a [`Pool`](crate::Pool). It prints without the account, which may be a person's e-mail address;
/// [`account`](Self::account) gives it.
///
/// A clone costs one reference count.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity(Arc<Parts>);

// The account first: it is what tells most identities of one program apart.
#[derive(PartialEq, Eq, Hash)]
struct Parts {
    account: Box<str>,
    provider: Box<str>,
    origin: Origin,
}

impl Identity {
    /// `provider` names the kind of API, `origin` is where the login goes, `account` is the e-mail address or user name.
    pub fn new(provider: impl AsRef<str>, origin: Origin, account: impl AsRef<str>) -> Self {
        Self(Arc::new(Parts {
            account: account.as_ref().into(),
            provider: provider.as_ref().into(),
            origin,
        }))
    }

    /// The same account of the same kind of API, elsewhere.
    pub fn at(&self, origin: Origin) -> Self {
        Self::new(self.provider(), origin, self.account())
    }

    /// The kind of API.
    pub fn provider(&self) -> &str {
        &self.0.provider
    }

    /// Where the login goes.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The e-mail address or user name.
    pub fn account(&self) -> &str {
        &self.0.account
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
    use std::collections::HashSet;
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

    use super::*;

    fn origin(host: &str) -> Origin {
        Origin::parse(&format!("https://{host}.example.com")).unwrap()
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
