//! How far redirects are followed.

use http::HeaderName;

/// Chromium and Firefox follow as many (Fetch, "HTTP-redirect fetch").
const MOST: usize = 20;

/// How the redirects of a request are followed.
///
/// An integration follows them itself, one hop after the other:
///
/// - **Method and body** are those of the Fetch standard. 303 turns every method but `HEAD` into
///   `GET`, 301 and 302 turn `POST` into `GET`, and both without a body. The headers that describe
///   a body stay behind with it, and with the method. 307 and 308 repeat method and body, and so do
///   301 and 302 with a method other than `POST`; if the body can't be sent again, the caller gets
///   the redirect.
/// - **The credential** is attached anew to each hop that is in scope, and to no other. It is the
///   credential of the same identity, as the request's [context](crate::AuthContext) says. A
///   request that began outside the scope, or skips the integration, carries none on any hop. A hop
///   without a credential carries none of another identity's integration below either. Of several
///   integrations in a stack, the outermost whose credential a request carries follows its
///   redirects, and none follows a redirect that another one has handed on. If it follows none, no
///   one below does with reqwest, or where the credential is in the query or in the body; with
///   tower, one below may, and takes nothing of the credential to another origin.
/// - **The caller's own headers** go along, as in a browser, but some stay at the origin that they
///   were written for: `Authorization`, `Proxy-Authorization`, `WWW-Authenticate`, `Cookie`,
///   `Cookie2`, `Referer`, `Host`, `Sec-WebSocket-Protocol`, headers that are marked
///   [sensitive](http::HeaderValue::set_sensitive), headers that the credential has as well, but
///   for `Accept`, `User-Agent` and the like, and those of
///   [`private_header`](Self::private_header). They do not come back when a later hop returns to
///   that origin. No `Referer` is added. The userinfo of a URL is treated as `Authorization`. Where
///   no session is at hand, before the first login or after a close, it is not known which headers
///   the credential has: a request that then goes without one keeps the headers not named here.
/// - **Each response** is judged by the URL of its own hop, and a rejected hop alone is sent again:
///   a `POST` that was answered with 303 has been done.
/// - **A `Location`** is read as in a browser: a space and each byte that is not ASCII is
///   percent-encoded. If there are several that are equal, they count as one.
/// - The caller gets the redirect itself if its `Location` is empty, is not a URL of `http` or
///   `https`, holds a user name, leads from `https` to plain `http`, or would take a value out of
///   the scope that a hop had from the credential. It also gets one out of the scope
///   if the handle was closed meanwhile, one that the client below has been redirected to, and one
///   that answers a `CONNECT`. And it gets one to another origin, if a default header of its
///   reqwest client would have to stay behind, as above. A default `Referer` goes along.
/// - **Such a value** is found in a URL however often it is encoded, and less often than it is
///   itself. One of the query of less than eight characters, such as that of `v=2`, is in most
///   URLs. So it counts only where it stands alone: beside it is no letter, no digit and none of
///   `-`, `.`, `_` and `~`. Beside those of the query they are the
///   [`carried_values`](auth_core::Credential::carried_values) and their words of 16 bytes or more,
///   but no name of a parameter, no URL's origin, and no host where the URL has it as one. A value
///   of more than 8 KiB is looked for as a whole, and a URL of more than 16 KiB, or one that is
///   encoded more than seven times, is taken to hold one. A constant of the session's query, such
///   as that of `api-version=2023-11-03`, counts as well. If the URLs of another host hold it,
///   write that pair into the requests and not into the session, or add the host to the scope.
///
/// ```
/// use auth_middleware::Redirects;
/// use http::HeaderName;
///
/// let redirects = Redirects::new()
///     .at_most(5)
///     .private_header(HeaderName::from_static("x-tenant-key"));
/// # let _ = redirects;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirects {
    pub(super) most: usize,
    pub(super) within_scope: bool,
    pub(super) private: Vec<HeaderName>,
}

impl Redirects {
    /// Follows up to 20 redirects, as browsers do.
    pub const fn new() -> Self {
        Self {
            most: MOST,
            within_scope: false,
            private: Vec::new(),
        }
    }

    /// Follows no redirect: the caller gets the first response.
    pub const fn none() -> Self {
        let mut none = Self::new();
        none.most = 0;
        none
    }

    /// Follows up to this number of redirects. A request with more of them fails with
    /// [`RedirectError::TooMany`](crate::RedirectError::TooMany). Zero is [`none`](Self::none).
    pub const fn at_most(mut self, hops: usize) -> Self {
        self.most = hops;
        self
    }

    /// Follows no redirect out of the credential's scope: the caller gets it. A request that began
    /// outside the scope is still followed.
    ///
    /// ```
    /// use auth_middleware::Redirects;
    ///
    /// // A body with personal data must not go to another host.
    /// let redirects = Redirects::new().within_scope();
    /// # drop(redirects);
    /// ```
    pub const fn within_scope(mut self) -> Self {
        self.within_scope = true;
        self
    }

    /// Names a header of the caller's own that does not go to another origin.
    pub fn private_header(mut self, name: HeaderName) -> Self {
        self.private.push(name);
        self
    }

    /// Whether any redirect is followed.
    pub(crate) const fn follows(&self) -> bool {
        self.most > 0
    }
}

impl Default for Redirects {
    fn default() -> Self {
        Self::new()
    }
}
