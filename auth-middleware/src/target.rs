//! The URL of a request, in the type of each client.

use auth_core::{self as core, Scope};
use http::Method;

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
