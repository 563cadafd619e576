use std::borrow::Cow;

use auth_core::{
    Identity, Lifetime, Origin, Quota, Scope, Secret, SecretSource, as_typed, can_be_typed,
};
use http::Uri;

use crate::base_url::BaseUrl;
use crate::config_error::ConfigError;

/// What every [`Login`](crate::Login) has: an identity, the source of its secret, the base URL of
/// its API, and its limits.
///
/// The limits are set by [`Login`](crate::Login)'s chained methods, or here by a login that has
/// other defaults.
///
/// ```
/// use auth_core::SecretSource;
/// use auth_providers::Account;
///
/// let password = SecretSource::variable("ACME_PASSWORD");
/// let account = Account::new("acme", "https://api.acme.example", "ada@example.com", password)?;
/// assert_eq!(account.url("/v1/login"), "https://api.acme.example/v1/login");
/// # Ok::<(), auth_providers::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Account {
    identity: Identity,
    secret: SecretSource,
    base: BaseUrl,
    /// `None` is the base URL's origin alone.
    scope: Option<Scope>,
    /// `None` is the base URL's origin.
    login_origin: Option<Origin>,
    lifetime: Option<Lifetime>,
    quota: Quota,
    keeps_cookies: bool,
}

impl Account {
    /// An account `name`, an e-mail address or user name, of the API at `base`.
    ///
    /// The name is read [as it would be typed](as_typed), so one line break at its end is cut off.
    ///
    /// `provider` names the kind of API. Together with the base URL and `name` it is the
    /// [`identity`](Self::identity).
    ///
    /// # Errors
    /// - [`ConfigError::BaseUrl`] or [`ConfigError::QueryInBaseUrl`]: see [`BaseUrl::parse`].
    /// - [`ConfigError::EmptyAccount`]: `name` is empty or blank.
    /// - [`ConfigError::UnusualAccount`]: `name` has white space around it, or a character in it
    ///   that can't be typed.
    /// - [`ConfigError::EmptyPassword`]: `secret` is a fixed value, and empty.
    /// - [`ConfigError::UntypedPassword`]: `secret` is a fixed value that can't be typed.
    pub fn new(
        provider: impl Into<Cow<'static, str>>,
        base: impl TryInto<BaseUrl, Error: Into<ConfigError>>,
        name: impl AsRef<str>,
        secret: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        let base = base.try_into().map_err(Into::into)?;
        let (name, secret) = (as_typed(name.as_ref()), secret.into());
        if name.trim().is_empty() {
            return Err(ConfigError::EmptyAccount);
        }
        if name.trim() != name || !can_be_typed(name) {
            return Err(ConfigError::UnusualAccount);
        }
        if secret.fixed().is_some_and(Secret::is_empty) {
            return Err(ConfigError::EmptyPassword);
        }
        if secret
            .fixed()
            .is_some_and(|secret| !can_be_typed(secret.expose()))
        {
            return Err(ConfigError::UntypedPassword);
        }
        Ok(Self {
            identity: Identity::new(provider, base.login_url(), name),
            secret,
            base,
            scope: None,
            login_origin: None,
            lifetime: None,
            quota: Quota::DEFAULT,
            keeps_cookies: false,
        })
    }

    /// The key of the credential: the kind of API, the base URL, and the account's name.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The e-mail address or user name.
    pub fn name(&self) -> &str {
        self.identity.account()
    }

    /// The source of the password. It is read before each login.
    pub const fn secret(&self) -> &SecretSource {
        &self.secret
    }

    /// The URL of `path`, which begins with a slash, below the base URL.
    pub fn url(&self, path: &str) -> String {
        self.base.url(path)
    }

    /// Moves the account to another base URL, and its identity with it.
    ///
    /// # Errors
    /// See [`BaseUrl::parse`].
    pub fn set_base_url(
        &mut self,
        base: impl TryInto<BaseUrl, Error: Into<ConfigError>>,
    ) -> Result<(), ConfigError> {
        self.base = base.try_into().map_err(Into::into)?;
        self.identity = self.identity.at(self.base.login_url());
        Ok(())
    }

    /// The origins that the credential may be sent to. The default is the base URL's origin alone.
    pub fn scope(&self) -> Scope {
        let default = || Scope::only(self.base.origin().clone());
        self.scope.clone().unwrap_or_else(default)
    }

    /// Sets the origins that the credential may be sent to, for an API whose login and data have
    /// different origins. The requests of the login go to these and to the base URL's origin, and
    /// nowhere else.
    pub fn set_scope(&mut self, scope: Scope) {
        self.scope = Some(scope);
    }

    /// The origin whose server counts the logins. The default is that of the base URL.
    pub fn login_origin(&self) -> Origin {
        let origin = self.login_origin.as_ref();
        origin.unwrap_or(self.identity.origin()).clone()
    }

    /// Sets the origin whose server counts the logins, for an API whose login is at another host
    /// than the base URL's: all accounts that log in there share one quota. The host must be in the
    /// [scope](Self::set_scope) as well.
    pub fn set_login_origin(&mut self, origin: Origin) {
        self.login_origin = Some(origin);
    }

    /// Says what is wrong with a URL that a request of the login must not go to. It may be what an
    /// answer said, and the request may carry the password. Origins are HTTPS, loopback, or plain
    /// HTTP by explicit choice.
    pub(crate) fn check_origin(&self, uri: &Uri) -> Result<(), &'static str> {
        let within = self.identity.origin().matches_uri(uri) || self.scope().contains_uri(uri);
        // Clients make an `Authorization` header of it.
        let has_user = uri.authority().is_some_and(|at| at.as_str().contains('@'));
        match (within, has_user) {
            (true, false) => Ok(()),
            (true, true) => Err("the URL of a request holds a user name or password"),
            (false, _) => {
                Err("a request leads to an origin that is neither the base URL's nor in the scope")
            }
        }
    }

    /// The lifetime of every session, if it was set. It overrides the response to a login.
    pub const fn lifetime(&self) -> Option<Lifetime> {
        self.lifetime
    }

    /// Sets the lifetime of every session.
    pub const fn set_lifetime(&mut self, lifetime: Lifetime) {
        self.lifetime = Some(lifetime);
    }

    /// Whether sessions keep every cookie beside their own.
    pub const fn keeps_cookies(&self) -> bool {
        self.keeps_cookies
    }

    /// Makes sessions keep every cookie beside their own. See
    /// [`Login::keep_cookies`](crate::Login::keep_cookies).
    pub const fn set_keep_cookies(&mut self) {
        self.keeps_cookies = true;
    }

    /// How many logins are allowed in any window. The default is [`Quota::DEFAULT`].
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// Sets the quota that the API's documents state, for the author of a [`Login`](crate::Login).
    pub const fn set_documented_quota(&mut self, quota: Quota) {
        self.quota = quota;
    }

    /// Sets the quota to the [strictest](Quota::strictest) of `quota` and the one before.
    ///
    /// Set a smaller quota for a program that shares its IP address with other programs. A larger
    /// one is not taken: no window holds more logins than before, and none is shorter.
    pub fn set_quota(&mut self, quota: Quota) {
        self.quota = quota.strictest(self.quota);
    }
}

#[cfg(test)]
mod tests {
    use auth_core::{LoginUrl, Origin};

    use super::*;

    const BASE: &str = "https://a.example/x";

    #[test]
    fn an_empty_account_or_password_is_refused_at_construction() {
        let refused = |name: &str, secret: SecretSource| {
            Account::new("test", BASE, name, secret).unwrap_err()
        };
        assert_eq!(refused(" ", "pw".into()), ConfigError::EmptyAccount);
        assert_eq!(refused("me", "".into()), ConfigError::EmptyPassword);
        assert_eq!(refused("\n", "pw".into()), ConfigError::EmptyAccount);
        assert_eq!(refused("me", "\r\n".into()), ConfigError::EmptyPassword);
        assert!(Account::new("test", BASE, "me", SecretSource::variable("X")).is_ok());
    }

    #[test]
    fn rule_12_a_name_and_a_password_are_taken_as_they_would_be_typed() {
        for (name, password) in [
            ("me\n", "pw\n"),
            ("me\r\n", "pw\r\n"),
            ("\u{feff}me", "\u{feff}pw"),
        ] {
            let account = Account::new("test", BASE, name, password).unwrap();
            assert_eq!(account.name(), "me");
            assert_eq!(account.secret().fixed().unwrap().expose(), "pw");
            let plain = Account::new("test", BASE, "me", "pw").unwrap();
            assert_eq!(account.identity(), plain.identity());
        }
        for text in [
            "a\nb",
            "a\n\n",
            "\na",
            "a\tb",
            "a\0",
            "a\u{feff}",
            "a\u{2028}b",
        ] {
            let account = |name: &str, password: &str| Account::new("test", BASE, name, password);
            let refused = account(text, "pw").unwrap_err();
            assert_eq!(refused, ConfigError::UnusualAccount, "{text:?}");
            let refused = account("me", text).unwrap_err();
            assert_eq!(refused, ConfigError::UntypedPassword, "{text:?}");
        }
        let spaced = Account::new("test", BASE, "me", " pw ").unwrap();
        assert_eq!(spaced.secret().fixed().unwrap().expose(), " pw ");
    }

    #[test]
    fn the_base_is_a_string_that_is_checked_or_a_base_url_that_was_made_before() {
        let plain = "http://a.example";
        assert!(matches!(
            Account::new("test", plain, "me", "pw"),
            Err(ConfigError::BaseUrl(_))
        ));
        let plain = BaseUrl::allow_plain_http(plain).unwrap();
        let account = Account::new("test", plain, "me", "pw").unwrap();
        assert_eq!(account.url("/login"), "http://a.example/login");
        let text = BASE.to_owned();
        assert!(Account::new("test", &text, "me", "pw").is_ok());
        assert!(Account::new("test", text, "me", "pw").is_ok());
    }

    #[test]
    fn rule_1_the_identity_and_the_default_scope_follow_the_base_url() {
        let mut account = Account::new("test", BASE, "me", "pw").unwrap();
        account.set_base_url("https://b.example/y").unwrap();
        assert_eq!(account.url("/login"), "https://b.example/y/login");
        assert_eq!(account.name(), "me");
        let origin = Origin::parse("https://b.example").unwrap();
        assert_eq!(
            *account.identity().login_url(),
            LoginUrl::new(origin.clone(), "/y")
        );
        assert_eq!(account.scope(), Scope::only(origin));
    }

    #[test]
    fn a_failed_change_of_the_base_url_changes_nothing() {
        let mut account = Account::new("test", BASE, "me", "pw").unwrap();
        assert!(account.set_base_url("http://b.example").is_err());
        assert_eq!(account.url("/login"), "https://a.example/x/login");
    }

    #[test]
    fn a_scope_that_was_set_stays_when_the_base_url_moves() {
        let data = Scope::only(Origin::parse("https://data.example").unwrap());
        let mut account = Account::new("test", BASE, "me", "pw").unwrap();
        account.set_scope(data.clone());
        account.set_base_url("https://b.example").unwrap();
        assert_eq!(account.scope(), data);
    }
}
