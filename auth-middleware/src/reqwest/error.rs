//! Finds our errors in an error of reqwest-middleware.

use std::error::Error as StdError;

use reqwest::Response;
use reqwest_middleware::Error;

use crate::fields::BodyFieldError;
use crate::redirect::RedirectError;

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
    find(error)
}

/// Finds the reason why the redirects of a request could not be followed.
///
/// ```
/// use auth_middleware::{RedirectError, redirect_error};
///
/// fn is_circle(error: &reqwest_middleware::Error) -> bool {
///     matches!(redirect_error(error), Some(RedirectError::Loop { .. }))
/// }
/// # let _ = is_circle;
/// ```
pub fn redirect_error(error: &Error) -> Option<&RedirectError> {
    find(error)
}

/// Finds the reason why a request can't have the session in its body.
///
/// ```
/// use auth_middleware::{BodyFieldError, body_field_error};
///
/// fn is_a_stream(error: &reqwest_middleware::Error) -> bool {
///     matches!(body_field_error(error), Some(BodyFieldError::NotInMemory))
/// }
/// # let _ = is_a_stream;
/// ```
pub fn body_field_error(error: &Error) -> Option<&BodyFieldError> {
    find(error)
}

/// On what a request ends with after a redirect that has changed its method: what it began with has
/// been done, such as a `POST` that was answered 303.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("what the request began with has been done, and the redirect that followed has failed")]
pub(super) struct Done;

impl Done {
    /// Marks an error. Callers find the error itself in it as before, but for the methods of
    /// [`Error`] that ask reqwest.
    #[cold]
    pub(super) fn mark_error(error: Error) -> Error {
        let error = match error {
            Error::Middleware(error) => error,
            Error::Reqwest(error) => error.into(),
        };
        Error::Middleware(error.context(Self))
    }

    #[cold]
    pub(super) fn mark(response: &mut Response) {
        response.extensions_mut().insert(Self);
    }

    #[cfg(feature = "reqwest-retry")]
    pub(super) fn is_on(ended: &Result<Response, Error>) -> bool {
        match ended {
            Ok(response) => response.extensions().get::<Self>().is_some(),
            Err(error) => find::<Self>(error).is_some(),
        }
    }
}

fn find<E: StdError + Send + Sync + 'static>(error: &Error) -> Option<&E> {
    match error {
        // What was added to an error is not in its chain by itself.
        Error::Middleware(error) => {
            let added = error.downcast_ref();
            added.or_else(|| error.chain().find_map(among))
        }
        Error::Reqwest(_) => None,
    }
}

fn among<'a, E: StdError + Send + Sync + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    if let Some(ours) = error.downcast_ref() {
        return Some(ours);
    }
    // A transparent error returns the source of its inner error as its own, which skips the inner
    // error. So these types are looked into by name.
    if let Some(error) = error.downcast_ref::<Error>() {
        return find(error);
    }
    #[cfg(feature = "reqwest-retry")]
    if let Some(error) = error.downcast_ref::<reqwest_retry::RetryError>() {
        return match error {
            reqwest_retry::RetryError::WithRetries { err, .. }
            | reqwest_retry::RetryError::Error(err) => find(err),
        };
    }
    None
}
