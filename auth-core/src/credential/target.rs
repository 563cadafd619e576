//! Where a request goes, as far as what it carries depends on it.

use std::net::Ipv4Addr;

use http::{Method, Uri};

use crate::origin::is_loopback;

/// Where a request goes: the parts of its URL that decide which cookies it carries, and which ones
/// its response may set (RFC 6265, section 5.1), its method, which decides on the parts with a
/// [condition](crate::When), and whether it has a body.
///
/// ```
/// use auth_core::Target;
/// use http::{Method, Uri};
///
/// let uri: Uri = "https://api.example.com/v3/me?full=1".parse()?;
/// assert_eq!(Target::of(&uri), Target::new("https", "api.example.com", "/v3/me"));
///
/// let write = Target::of(&uri).with_method(&Method::PUT);
/// # assert_ne!(write, Target::of(&uri));
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    scheme: &'a str,
    host: &'a str,
    path: &'a str,
    method: Option<&'a Method>,
    has_body: bool,
}

impl<'a> Target<'a> {
    /// A target from the parts of a URL. An IPv6 address is in brackets, and `path` has no query.
    #[inline]
    pub const fn new(scheme: &'a str, host: &'a str, path: &'a str) -> Self {
        Self {
            scheme,
            host,
            path,
            method: None,
            has_body: true,
        }
    }

    /// The target of a request with this URI. A part that the URI does not have is empty, and then
    /// matches only cookies that do not depend on it.
    #[inline]
    pub fn of(uri: &'a Uri) -> Self {
        let scheme = uri.scheme_str().unwrap_or_default();
        Self::new(scheme, uri.host().unwrap_or_default(), uri.path())
    }

    /// Adds the method of the request. Without it, the target matches only parts that do not depend
    /// on the method.
    #[inline]
    pub const fn with_method(mut self, method: &'a Method) -> Self {
        self.method = Some(method);
        self
    }

    /// States that the request has no body, or an empty one, and so carries no
    /// [field](crate::Part::json_field) of it. Otherwise it is taken to have one.
    #[inline]
    pub const fn without_body(mut self) -> Self {
        self.has_body = false;
        self
    }

    pub(super) const fn has_body(&self) -> bool {
        self.has_body
    }

    pub(super) const fn method(&self) -> Option<&'a Method> {
        self.method
    }

    pub(crate) const fn host(&self) -> &'a str {
        self.host
    }

    pub(crate) const fn path(&self) -> &'a str {
        self.path
    }

    /// Whether a cookie with `Secure` may go there: over TLS, or to this machine, as browsers have
    /// it.
    pub(super) fn is_secure(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("https") || is_loopback(self.host)
    }

    /// Whether it is known to be plain HTTP to another machine, so that anyone on the way can write
    /// the answer.
    pub(super) fn is_plain(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("http") && !is_loopback(self.host)
    }

    pub(super) fn is_host(&self, host: &str) -> bool {
        self.host.eq_ignore_ascii_case(host)
    }

    /// Whether the host is `domain` or a subdomain of it (section 5.1.3). An address has no
    /// subdomains.
    pub(super) fn is_in_domain(&self, domain: &str) -> bool {
        let (host, domain) = (self.host.as_bytes(), domain.as_bytes());
        let Some(rest) = host.len().checked_sub(domain.len()) else {
            return false;
        };
        let (above, tail) = host.split_at(rest);
        tail.eq_ignore_ascii_case(domain)
            && (above.is_empty() || (above.ends_with(b".") && !is_address(self.host)))
    }

    /// Whether the path is `path` or below it (section 5.1.4).
    pub(super) fn is_below(&self, path: &str) -> bool {
        let ours = if self.path.is_empty() { "/" } else { self.path };
        let below = |rest: &str| rest.is_empty() || path.ends_with('/') || rest.starts_with('/');
        ours.strip_prefix(path).is_some_and(below)
    }

    /// The path of a cookie that its response sets without one (RFC 6265, section 5.1.4).
    pub fn default_path(&self) -> &'a str {
        match self.path.rfind('/') {
            Some(end) if end > 0 && self.path.starts_with('/') => &self.path[..end],
            _ => "/",
        }
    }
}

/// Whether a host is an address. One of IPv6 is in brackets.
pub(super) fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_15_a_domain_covers_itself_and_its_subdomains_and_no_address_has_any() {
        let covers = |host, domain| Target::new("https", host, "/").is_in_domain(domain);
        for (host, domain) in [
            ("api.example.com", "api.example.com"),
            ("API.example.com", "api.example.com"),
            ("api.example.com", "example.com"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
        ] {
            assert!(covers(host, domain), "{host} {domain}");
        }
        for (host, domain) in [
            ("example.com", "api.example.com"),
            ("badexample.com", "example.com"),
            ("api.example.com", "example.com."),
            ("127.0.0.1", "0.0.1"),
            ("127.0.0.1", "localdomain"),
            ("", "example.com"),
        ] {
            assert!(!covers(host, domain), "{host} {domain}");
        }
    }

    #[test]
    fn rule_15_a_path_matches_whole_segments() {
        let below = |request, path| Target::new("https", "h", request).is_below(path);
        for (request, path) in [
            ("/", "/"),
            ("", "/"),
            ("/api", "/api"),
            ("/api/", "/api"),
            ("/api/x", "/api"),
            ("/api/x", "/api/"),
            ("/api/x", "/"),
        ] {
            assert!(below(request, path), "{request} {path}");
        }
        for (request, path) in [
            ("/apix", "/api"),
            ("/api", "/api/"),
            ("/API", "/api"),
            ("/", "/a"),
        ] {
            assert!(!below(request, path), "{request} {path}");
        }
    }

    #[test]
    fn rule_15_the_default_path_ends_before_the_last_slash() {
        for (request, path) in [
            ("/api/auth/login", "/api/auth"),
            ("/api/auth/", "/api/auth"),
            ("/login", "/"),
            ("/", "/"),
            ("", "/"),
            ("*", "/"),
            ("login/x", "/"),
        ] {
            let target = Target::new("https", "h", request);
            assert_eq!(target.default_path(), path, "{request}");
        }
    }

    #[test]
    fn rule_15_secure_is_tls_or_this_machine() {
        let secure = |scheme, host| Target::new(scheme, host, "/").is_secure();
        assert!(secure("https", "h") && secure("HTTPS", "h"));
        assert!(secure("http", "127.0.0.1") && secure("http", "[::1]"));
        assert!(secure("http", "localhost") && secure("http", "LocalHost"));
        assert!(!secure("http", "h") && !secure("", ""));
    }
}
