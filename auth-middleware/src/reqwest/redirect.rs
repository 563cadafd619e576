//! How far a reqwest client below the middleware may follow redirects.

use auth_core::Scope;
use reqwest::redirect::Policy;

use crate::target::Target;

/// The number of hops that reqwest follows by default.
const HOPS: usize = 10;

/// A redirect policy for a client that carries credentials: it follows no redirect out of their
/// scope.
///
/// Once a request has been within `scope`, a redirect to an origin outside it is not followed, and
/// the caller gets the 3xx response. Any other redirect is followed, up to ten hops, which is
/// reqwest's default.
///
/// Set this policy on each `reqwest::Client` below an [`AuthMiddleware`](crate::AuthMiddleware).
/// The client follows redirects by itself, so the middleware sees none of the hops. With its
/// default policy, it sends a header such as `X-Api-Key` to every host, and sends the previous URL
/// with its query to the next host in `Referer`.
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
pub fn redirect_policy(scope: Scope) -> Policy {
    Policy::custom(move |attempt| {
        let was_inside = attempt.previous().iter().any(|url| url.is_in(&scope));
        if was_inside && !attempt.url().is_in(&scope) {
            attempt.stop()
        } else if attempt.previous().len() > HOPS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}
