//! What reqwest-retry may try again.

use reqwest_middleware::Error;
use reqwest_retry::{
    Retryable, RetryableStrategy, default_on_request_failure, default_on_request_success,
};

use super::auth_error;

/// A strategy for reqwest-retry's `RetryTransientMiddleware` that knows our errors.
///
/// | what came | |
/// |---|---|
/// | an answer, or an error of the request itself | as by default |
/// | the login server is [unavailable](auth_core::Error::is_unavailable) | transient |
/// | any other reason for there being no credential: refused, rate-limited, misconfigured, closed | fatal |
///
/// Add the retry *before* the credential, so that it is outside and each try carries the credential of its own moment:
///
/// ```
/// use auth_middleware::{AuthMiddleware, AuthRetryStrategy};
/// use reqwest_middleware::ClientBuilder;
/// use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
///
/// # fn example(credentials: auth_core::Credentials) {
/// let backoff = ExponentialBackoff::builder().build_with_max_retries(3);
/// let client = ClientBuilder::new(reqwest::Client::new())
///     .with(RetryTransientMiddleware::new_with_policy_and_strategy(backoff, AuthRetryStrategy))
///     .with(AuthMiddleware::new(credentials))
///     .build();
/// # let _ = client;
/// # }
/// ```
///
/// Never under a login: the cache decides when the next one may be tried, within the quota that the server allows, and a
/// retry there multiplies them. This strategy doesn't: as long as the cache holds a failure, a further try gets that failure.
///
/// reqwest-retry refuses a streaming body before anything is sent.
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a unit strategy, to be named as a value like reqwest-retry's own"
)]
pub struct AuthRetryStrategy;

impl RetryableStrategy for AuthRetryStrategy {
    fn handle(&self, result: &Result<reqwest::Response, Error>) -> Option<Retryable> {
        match result {
            Ok(answer) => default_on_request_success(answer),
            Err(error) => match auth_error(error) {
                Some(ours) if ours.is_unavailable() => Some(Retryable::Transient),
                Some(_) => Some(Retryable::Fatal),
                None => default_on_request_failure(error),
            },
        }
    }
}
