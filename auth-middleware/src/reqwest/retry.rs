//! The errors that reqwest-retry retries.

use std::io;

use reqwest_middleware::Error;
use reqwest_retry::{
    Retryable, RetryableStrategy, default_on_request_failure, default_on_request_success,
};

use super::auth_error;
use super::error::Done;

/// A strategy for reqwest-retry's `RetryTransientMiddleware` that knows the errors of auth-core.
///
/// | result | classified as |
/// |---|---|
/// | a response, or an error of the request itself | by reqwest-retry's default |
/// | no credential: the login server is [unavailable](auth_core::Error::is_unavailable) | transient |
/// | no credential for another reason: refused, rate-limited, misconfigured, closed | fatal |
/// | the request's own time-out passed before it was sent, or sent again | transient |
/// | any of these, after a redirect has changed the method of the request | fatal |
///
/// A redirect that turns a `POST` into a `GET` says that the `POST` has been done: it has placed
/// the order, and leads to where that is. A retry would begin with the `POST` again, and place
/// another one. So if such a `GET` fails, the caller gets its response or its error.
///
/// Add the retry *before* [`AuthMiddleware`](crate::AuthMiddleware). The retry is then outside, and
/// each attempt gets the credential that is current when it is sent:
///
/// ```
/// use auth_middleware::{AuthMiddleware, AuthRetryStrategy};
/// use reqwest_middleware::ClientBuilder;
/// use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
///
/// # fn example(credentials: auth_core::Credentials) -> Result<(), auth_middleware::ClientError> {
/// let backoff = ExponentialBackoff::builder().build_with_max_retries(3);
/// let (client, auth) = AuthMiddleware::with_client(reqwest::Client::builder(), credentials)?;
/// let client = ClientBuilder::new(client)
///     .with(RetryTransientMiddleware::new_with_policy_and_strategy(backoff, AuthRetryStrategy))
///     .with(auth)
///     .build();
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
///
/// - A retry outside does not multiply logins: while the cache remembers a failed login, further
///   attempts get the same error. Do not retry within a [`Provider`](auth_core::Provider), since
///   each of its attempts counts at the server, and the cache decides on the next one.
/// - reqwest-retry fails a request whose body is a stream, before it sends it.
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a unit strategy that is used as a value, as reqwest-retry's own are"
)]
pub struct AuthRetryStrategy;

impl RetryableStrategy for AuthRetryStrategy {
    fn handle(&self, result: &Result<reqwest::Response, Error>) -> Option<Retryable> {
        let is_done = Done::is_on(result);
        classify(result).map(|retryable| match retryable {
            Retryable::Transient if is_done => Retryable::Fatal,
            other => other,
        })
    }
}

/// What the result is to a request that has done nothing so far.
fn classify(result: &Result<reqwest::Response, Error>) -> Option<Retryable> {
    match result {
        Ok(response) => default_on_request_success(response),
        Err(error) => match auth_error(error) {
            Some(error) if error.is_unavailable() => Some(Retryable::Transient),
            Some(_) => Some(Retryable::Fatal),
            // As a client's own time-out. The next attempt has the whole time.
            None if is_timed_out(error) => Some(Retryable::Transient),
            None => default_on_request_failure(error),
        },
    }
}

/// Whether the request's own time-out had passed before it could be sent, or sent again.
fn is_timed_out(error: &Error) -> bool {
    let Error::Middleware(error) = error else {
        return false;
    };
    let error: Option<&io::Error> = error.downcast_ref();
    error.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
