//! How far a reqwest client under the middleware may follow redirects.

use auth_core::Scope;
use reqwest::redirect::Policy;

use crate::target::Target;

/// As many as reqwest follows by default.
const HOPS: usize = 10;

/// A redirect policy for a client that carries credentials: it stops at the edge of their scope.
///
/// A redirect that would leave `scope` is not followed; the caller gets the 3xx response, and
/// decides. Within the scope, and for requests that were never in it, ten hops are followed, as by
/// default.
///
/// Give it to every `reqwest::Client` under an [`AuthMiddleware`](crate::AuthMiddleware). Such a
/// client follows redirects below the middleware, which sees none of the hops: left to itself it
/// keeps a header such as `X-Api-Key` on every hop, and tells the new host the old query in
/// `Referer`.
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
