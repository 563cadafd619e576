//! Finds the error of auth-core in an error of reqwest-middleware.

use std::error::Error as StdError;

use reqwest_middleware::Error;

/// Finds the reason why a request got no credential. The request was then not sent, or it was sent
/// once, was rejected, and was not sent again.
///
/// `None` means that the request failed for another reason. With the feature `reqwest-retry`, the
/// reason is also found within an error of reqwest-retry.
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
    // A transparent error returns the source of its inner error as its own, which skips the inner
    // error. So these types are looked into by name.
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
