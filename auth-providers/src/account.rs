//! What all logins have in common: who logs in, where, with which password, under which limits.

use auth_core::{Identity, Lifetime, Origin, OriginError, Quota, Secret, SecretSource};
use http::Uri;

use crate::config_error::ConfigError;

#[derive(Clone, Debug)]
pub(crate) struct Account {
    identity: Identity,
    secret: SecretSource,
    base: BaseUrl,
    /// What the user knows better than the documents and the response.
    pub(crate) lifetime: Option<Lifetime>,
    quota: Quota,
}

impl Account {
    pub(crate) fn new(
        provider: &'static str,
        base: BaseUrl,
        account: impl Into<Box<str>>,
        secret: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        let (account, secret) = (account.into(), secret.into());
        if account.trim().is_empty() {
            return Err(ConfigError::EmptyAccount);
        }
        // A line break that came along from a file would cost an attempt, and be refused.
        if account.trim() != &*account || account.contains(char::is_control) {
            return Err(ConfigError::UnusualAccount);
        }
        if secret.fixed().is_some_and(Secret::is_empty) {
            return Err(ConfigError::EmptyPassword);
        }
        Ok(Self {
            identity: Identity::new(provider, base.origin.clone(), account),
            secret,
            base,
            lifetime: None,
            quota: Quota::DEFAULT,
        })
    }

    pub(crate) fn at(self, base: BaseUrl) -> Self {
        Self {
            identity: self.identity.at(base.origin.clone()),
            base,
            ..self
        }
    }

    /// More than are documented are not taken: a longer window may hold no more at once than a minute may.
    pub(crate) fn limit(&mut self, quota: Quota) {
        self.quota = quota.strictest(Quota::DEFAULT);
    }

    pub(crate) const fn quota(&self) -> Quota {
        self.quota
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) const fn secret(&self) -> &SecretSource {
        &self.secret
    }

    pub(crate) fn name(&self) -> &str {
        self.identity.account()
    }

    /// `path` begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.base.origin, self.base.prefix)
    }
}

/// Where an API lives: an origin, and a path that goes before the API's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    origin: Origin,
    /// Empty, or `/like/this`.
    prefix: String,
}

impl BaseUrl {
    /// `https`, or `http` on this machine.
    pub(crate) fn parse(url: &str) -> Result<Self, ConfigError> {
        Self::with(url, Origin::parse)
    }

    /// Plain HTTP to anywhere.
    pub(crate) fn allow_plain_http(url: &str) -> Result<Self, ConfigError> {
        Self::with(url, Origin::allow_plain_http)
    }

    fn with(
        url: &str,
        origin: impl FnOnce(&str) -> Result<Origin, OriginError>,
    ) -> Result<Self, ConfigError> {
        let origin = origin(url)?;
        // The http crate drops fragments without a word.
        if url.contains(['?', '#']) {
            return Err(ConfigError::QueryInBaseUrl);
        }
        let uri: Uri = url.parse().map_err(|_| OriginError::NotAUrl)?;
        Ok(Self {
            origin,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str) -> String {
        let base = BaseUrl::parse(base).unwrap();
        let account = Account::new("test", base, "me", "pw").unwrap();
        account.url("/v1/login")
    }

    #[test]
    fn a_path_prefix_is_kept() {
        assert_eq!(url("https://a.example"), "https://a.example/v1/login");
        assert_eq!(url("https://A.example:443/"), "https://a.example/v1/login");
        assert_eq!(
            url("https://a.example/x/y/"),
            "https://a.example/x/y/v1/login"
        );
        assert_eq!(url("http://[::1]:80/x"), "http://[::1]/x/v1/login");
    }

    #[test]
    fn a_base_url_with_a_query_a_fragment_or_plain_http_is_refused() {
        for bad in [
            "https://a.example?x=1",
            "https://a.example/#x",
            "https://a.example/?",
        ] {
            assert_eq!(
                BaseUrl::parse(bad),
                Err(ConfigError::QueryInBaseUrl),
                "{bad}"
            );
        }
        let plain = "http://a.example";
        assert!(matches!(
            BaseUrl::parse(plain),
            Err(ConfigError::BaseUrl(OriginError::PlainHttp { .. }))
        ));
        assert!(BaseUrl::allow_plain_http(plain).is_ok());
    }

    #[test]
    fn an_empty_account_or_password_is_refused_at_construction() {
        let base = || BaseUrl::parse("https://a.example").unwrap();
        let refused = |account: &str, secret: SecretSource| {
            Account::new("test", base(), account, secret).unwrap_err()
        };
        assert_eq!(refused(" ", "pw".into()), ConfigError::EmptyAccount);
        assert_eq!(refused("me", "".into()), ConfigError::EmptyPassword);
        assert!(Account::new("test", base(), "me", SecretSource::variable("X")).is_ok());
    }
}
