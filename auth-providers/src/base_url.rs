use auth_core::{LoginUrl, Origin, OriginError};
use http::Uri;

use crate::config_error::ConfigError;

/// The URL that an API's paths are appended to: an origin, and a path prefix if there is one.
///
/// A parameter of type `impl TryInto<BaseUrl>` takes a string, which is checked as
/// [`parse`](Self::parse) says, or a `BaseUrl`:
///
/// ```
/// use auth_providers::{BaseUrl, Quinn};
///
/// Quinn::new("https://acme.replit.app", "ada@example.com", "correct horse")?;
/// let plain = BaseUrl::allow_plain_http("http://quinn.internal")?;
/// Quinn::new(plain, "ada@example.com", "correct horse")?;
/// # Ok::<(), auth_providers::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    origin: Origin,
    /// Empty, or `/like/this`.
    prefix: Box<str>,
}

impl BaseUrl {
    /// Reads a URL with the scheme `https`, or `http` for a loopback address.
    ///
    /// # Errors
    /// [`ConfigError::BaseUrl`], if `url` is not an absolute URL, holds a user name or password, or
    /// would send the password to another machine over plain HTTP. [`ConfigError::QueryInBaseUrl`],
    /// if it has a query or a fragment.
    pub fn parse(url: &str) -> Result<Self, ConfigError> {
        Self::with(url, Origin::parse)
    }

    /// Reads a URL with the scheme `https` or `http`, for any host.
    ///
    /// Over plain HTTP, any host on the network path can read the password and the session.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), except for plain HTTP.
    pub fn allow_plain_http(url: &str) -> Result<Self, ConfigError> {
        Self::with(url, Origin::allow_plain_http)
    }

    fn with(
        url: &str,
        origin: impl FnOnce(&str) -> Result<Origin, OriginError>,
    ) -> Result<Self, ConfigError> {
        let origin = origin(url)?;
        // `Uri` drops a fragment silently, so the text is searched.
        if url.contains(['?', '#']) {
            return Err(ConfigError::QueryInBaseUrl);
        }
        let uri: Uri = url.parse().map_err(|_| OriginError::NotAUrl)?;
        Ok(Self {
            origin,
            prefix: uri.path().trim_end_matches('/').into(),
        })
    }

    /// The origin.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What tells the logins below this URL from those below another one.
    pub fn login_url(&self) -> LoginUrl {
        LoginUrl::new(self.origin.clone(), &self.prefix)
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.prefix)
    }
}

impl TryFrom<&str> for BaseUrl {
    type Error = ConfigError;

    fn try_from(url: &str) -> Result<Self, ConfigError> {
        Self::parse(url)
    }
}

impl TryFrom<&String> for BaseUrl {
    type Error = ConfigError;

    fn try_from(url: &String) -> Result<Self, ConfigError> {
        Self::parse(url)
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = ConfigError;

    fn try_from(url: String) -> Result<Self, ConfigError> {
        Self::parse(&url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prefix_is_kept() {
        let url = |base| BaseUrl::parse(base).unwrap().url("/v1/login");
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
    fn every_conversion_from_a_string_checks_it() {
        let https = BaseUrl::parse("https://a.example/x").unwrap();
        let text = String::from("https://a.example/x");
        assert_eq!(BaseUrl::try_from(&*text), Ok(https.clone()));
        assert_eq!(BaseUrl::try_from(&text), Ok(https.clone()));
        assert_eq!(BaseUrl::try_from(text), Ok(https));
        let text = String::from("http://a.example");
        let refused = BaseUrl::parse(&text);
        assert!(refused.is_err());
        assert_eq!(BaseUrl::try_from(&*text), refused);
        assert_eq!(BaseUrl::try_from(&text), refused);
        assert_eq!(BaseUrl::try_from(text), refused);
    }
}
