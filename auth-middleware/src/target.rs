//! The URL of a request, in the type of each client.

use auth_core::{self as core, Scope};
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method};

/// The URL of a request.
pub(crate) trait Target {
    /// Whether a request to this URL may carry a credential of this scope.
    fn is_in(&self, scope: &Scope) -> bool;

    /// What the parts of a credential depend on, but for the method and the body.
    fn target(&self) -> core::Target<'_>;

    /// What they depend on, of a request with this method that has a body or not.
    #[inline]
    fn target_of<'a>(&'a self, method: &'a Method, has_body: bool) -> core::Target<'a> {
        let target = self.target().with_method(method);
        if has_body {
            target
        } else {
            target.without_body()
        }
    }

    /// Scheme, host and port.
    fn parts(&self) -> (Option<&str>, Option<&str>, Option<u16>);

    /// Whether a request to this URL with these headers may carry a credential of this scope. A
    /// server of several sites may give it to that of its `Host`.
    #[inline]
    fn leads_into(&self, scope: &Scope, headers: &HeaderMap) -> bool {
        let may_differ = headers.contains_key(HOST);
        self.is_in(scope) && (!may_differ || self.foreign_host(scope, headers).is_none())
    }

    /// The first `Host` that names a site out of the scope, or none at all. One without a port may
    /// mean that of the URL.
    #[cold]
    fn foreign_host<'a>(&self, scope: &Scope, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let (scheme, own, _) = self.parts();
        let is_ours = |(host, port): (&str, Option<u16>)| {
            let is_own = own.is_some_and(|own| own.eq_ignore_ascii_case(host));
            (is_own && port.is_none()) || scope.contains(scheme.unwrap_or_default(), host, port)
        };
        let is_foreign = |value: &&HeaderValue| {
            let named = site(value);
            !named.is_some_and(|named| is_ours((named.host(), named.port_u16())))
        };
        headers.get_all(HOST).iter().find(is_foreign)
    }
}

/// What a `Host` names.
pub(crate) fn site(host: &HeaderValue) -> Option<Authority> {
    let site = Authority::try_from(host.as_bytes()).ok();
    site.filter(|site| !site.as_str().contains('@'))
}

#[cfg(feature = "tower")]
impl Target for http::Uri {
    #[inline]
    fn is_in(&self, scope: &Scope) -> bool {
        scope.contains_uri(self)
    }

    #[inline]
    fn target(&self) -> core::Target<'_> {
        core::Target::of(self)
    }

    fn parts(&self) -> (Option<&str>, Option<&str>, Option<u16>) {
        (self.scheme_str(), self.host(), self.port_u16())
    }
}

#[cfg(any(feature = "reqwest", feature = "follow"))]
impl Target for url::Url {
    fn is_in(&self, scope: &Scope) -> bool {
        self.host_str()
            .is_some_and(|host| scope.contains(self.scheme(), host, self.port()))
    }

    fn target(&self) -> core::Target<'_> {
        core::Target::new(
            self.scheme(),
            self.host_str().unwrap_or_default(),
            self.path(),
        )
    }

    fn parts(&self) -> (Option<&str>, Option<&str>, Option<u16>) {
        (Some(self.scheme()), self.host_str(), self.port())
    }
}
