//! Where a credential may go, for the types that requests are written in.

/// Whether a request to `url` may carry the credential.
#[cfg(feature = "reqwest")]
pub(crate) fn contains_url(scope: &auth_core::Scope, url: &reqwest::Url) -> bool {
    url.host_str()
        .is_some_and(|host| scope.contains(url.scheme(), host, url.port()))
}

/// A redirect policy for a client that carries credentials: it stops at the edge of their scope.
///
/// A redirect that would leave `scope` is not followed; the caller gets the 3xx answer, and decides. Within the scope, and
/// for requests that were never in it, ten hops are followed, as by default.
///
/// Give it to every `reqwest::Client` under an [`AuthMiddleware`](crate::AuthMiddleware). Such a client follows redirects
/// below the middleware, which sees none of the hops: left to itself it keeps a header such as `X-Api-Key` on every hop,
/// and tells the new host the old query in `Referer`.
///
/// ```
/// use auth_core::{Origin, Scope};
/// use auth_middleware::redirect_policy;
///
/// let scope = Scope::only(Origin::parse("https://api.example.com")?);
/// let client = reqwest::Client::builder().redirect(redirect_policy(scope)).build();
/// # let _ = client;
/// # Ok::<(), auth_core::OriginError>(())
/// ```
#[cfg(feature = "reqwest")]
pub fn redirect_policy(scope: auth_core::Scope) -> reqwest::redirect::Policy {
    const HOPS: usize = 10;
    reqwest::redirect::Policy::custom(move |attempt| {
        let leaves = attempt
            .previous()
            .iter()
            .any(|url| contains_url(&scope, url))
            && !contains_url(&scope, attempt.url());
        if leaves {
            attempt.stop()
        } else if attempt.previous().len() > HOPS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}
