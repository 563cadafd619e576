//! Our error among those of reqwest-middleware.

use std::error::Error as StdError;

use reqwest_middleware::Error;

/// The reason why there was no credential for a request, if that is what failed: it was not sent at all, or it was sent
/// once, rejected, and could not be sent again.
///
/// With the feature `reqwest-retry` it is found inside that crate's own error too.
///
/// ```
/// use auth_middleware::auth_error;
///
/// fn explain(error: &reqwest_middleware::Error) -> &'static str {
///     match auth_error(error) {
///         Some(error) if error.is_login_refused() => "check the password",
///         Some(_) => "could not log in",
///         None => "the request failed",
///     }
/// }
/// # let _ = explain;
/// ```
pub fn auth_error(error: &Error) -> Option<&auth_core::Error> {
    match error {
        Error::Middleware(error) => error.chain().find_map(among),
        Error::Reqwest(_) => None,
    }
}

fn among<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a auth_core::Error> {
    if let Some(ours) = error.downcast_ref() {
        return Some(ours);
    }
    // Transparent errors show their source's source instead of their source: they must be known by name.
    if let Some(error) = error.downcast_ref::<Error>() {
        return auth_error(error);
    }
    #[cfg(feature = "reqwest-retry")]
    if let Some(error) = error.downcast_ref::<reqwest_retry::RetryError>() {
        return match error {
            reqwest_retry::RetryError::WithRetries { err, .. }
            | reqwest_retry::RetryError::Error(err) => auth_error(err),
        };
    }
    None
}
