//! The middleware.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::{Ask, Attempt, Conclusion, Credential, Credentials, Judge};
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::sending::{Sending, read_ahead};
use crate::context::AuthContext;

/// Attaches a credential to each request of a reqwest client, judges the response, and sends a
/// rejected request once more.
///
/// - A request waits for a credential for its own
///   [`timeout`](reqwest::RequestBuilder::timeout) or its [`Ask::within`], whichever is shorter.
///   Without both, it waits for the cache's
///   [wait time-out](auth_core::CredentialsBuilder::wait_timeout), which is 60 s unless set.
/// - The request's own `timeout` covers both attempts and both waits: each attempt gets what is
///   left of it. The client's time-out is not known here, and begins anew with each attempt.
/// - A body that is a stream cannot be sent twice. If the credential of such a request is rejected,
///   the caller gets that response, and the next request finds a new session.
///
/// Add the middleware last, so that it is the innermost. A middleware below it, such as one that
/// logs requests, sees the credential.
///
/// ```
/// use auth_middleware::AuthMiddleware;
/// use reqwest_middleware::ClientBuilder;
///
/// # fn example(credentials: auth_core::Credentials) {
/// let client = ClientBuilder::new(reqwest::Client::new())
///     .with(AuthMiddleware::new(credentials))
///     .build();
/// # let _ = client;
/// # }
/// ```
///
/// # Errors
/// Those of the client and of the middlewares below. If a request in scope cannot get a credential,
/// it is not sent, or not sent again, and [`auth_error`](crate::auth_error) finds the
/// [`auth_core::Error`].
///
/// # Cancel safety
/// Dropping the future of a request cancels that request only. A login that it waited for goes on
/// for the other waiters, and its session is kept.
#[derive(Clone)]
pub struct AuthMiddleware {
    credentials: Credentials,
    judge: Option<Arc<dyn Judge>>,
    replay: bool,
}

impl AuthMiddleware {
    /// A middleware for one identity.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            judge: None,
            replay: true,
        }
    }

    /// Judges responses with `judge` instead of the provider's judge, for requests of
    /// [another identity](AuthContext::identity) as well.
    pub fn judge(mut self, judge: impl Judge) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    /// Sends no request twice. The caller gets the response that rejected its credential. If the
    /// rejection is believed, a login begins at once, and the next request uses the new session.
    pub fn without_replay(mut self) -> Self {
        self.replay = false;
        self
    }
}

#[async_trait]
impl Middleware for AuthMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let context = AuthContext::of(extensions);
        let admission = context.admit(&self.credentials, request.url(), extensions);
        let Some(mut admission) = admission.map_err(Error::middleware)? else {
            return next.run(request, extensions).await;
        };
        let credentials = admission.credentials;
        // The request's own time-out covers all waits and attempts: each gets what is left of it.
        let timeout = request.timeout().copied();
        let asked = timeout.map(|_| Attempt::now(credentials));
        let left = || {
            let passed = Attempt::now(credentials).steady_since(asked?);
            Some(timeout?.saturating_sub(passed))
        };
        let in_time = |ask: Ask| left().map_or(ask, |left| ask.at_most(left));

        let mut spare = self.replay.then(|| request.try_clone()).flatten();
        let judge = self.judge.as_ref();
        let fresh = match admission.renewal {
            Some(_) => None,
            None => Sending::fresh(&mut request, credentials, judge),
        };
        let mut sending = if let Some(sending) = fresh {
            sending
        } else {
            let credential = get(credentials, in_time(admission.first_ask())).await?;
            if let Some(renewal) = admission.renewal.take() {
                renewal.done();
            }
            Sending::new(&mut request, credentials, judge, &credential)
        };
        // At most two attempts: the second one has no spare.
        loop {
            // `left` is asked first, since `timeout_mut` makes room for a time-out in any case.
            if let Some(left) = left()
                && let Some(timeout) = request.timeout_mut()
            {
                // Some clients take a time-out of zero to be none.
                *timeout = left.max(Duration::from_millis(1));
            }
            let response = next.clone().run(request, extensions).await;
            let mut response = response.map_err(|error| sending.redact_error(error))?;
            let body = if sending.wants_body(&response) {
                read_ahead(&mut response).await
            } else {
                None
            };
            let (response, conclusion) = sending.conclude(response, body.as_ref());
            let (Conclusion::Replay, Some(pristine)) = (conclusion, spare.take()) else {
                return Ok(response);
            };
            // The login or the second attempt may wait for the connection of this response.
            drop(response);
            request = pristine;
            let newer = get(credentials, in_time(admission.ask)).await?;
            sending = sending.replay(&mut request, &newer);
        }
    }
}

async fn get(credentials: &Credentials, ask: Ask) -> Result<Arc<Credential>> {
    let credential = credentials.get_with(ask).await;
    credential.map_err(Error::middleware)
}

impl fmt::Debug for AuthMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthMiddleware")
            .field("identity", self.credentials.identity())
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
