//! The middleware itself.

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

/// Puts a credential on each request of a reqwest client, judges the answer, and sends a rejected request once more.
///
/// A request waits for a credential as long as its own [`timeout`](reqwest::RequestBuilder::timeout) or its
/// [`AuthContext::within`] says, whichever is shorter, and otherwise as long as the cache's
/// [wait time-out](auth_core::CredentialsBuilder::wait_timeout), 60 s unless set. The request's own `timeout` is meant for all of it:
/// what waits and a first try took is gone. The client's is not known here, and counts anew from each sending.
///
/// A request whose body is a stream can't be sent twice: if its credential is rejected, the caller gets that answer, and
/// the next request finds a new session.
///
/// Add it last, so that it is the innermost: a middleware below it, such as one that logs, sees the credential.
///
/// # Errors
/// Those of the client. Where a request in scope can't have a credential it is not sent, or not sent again, and the error
/// is one that [`auth_error`](crate::auth_error) finds.
///
/// # Cancel safety
/// A dropped request cancels itself and nothing else: a login that it waited for goes on for the others.
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

    /// Reads verdicts with this judge instead of the provider's, for another identity's requests too.
    pub fn judge(mut self, judge: impl Judge) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    /// Sends nothing twice. The caller gets the answer that rejected its credential; the login begins beside it.
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
        // The request's own time-out is meant for all of it: what waits and a first attempt took is
        // gone.
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
        // Twice at most: the second time there is no spare.
        loop {
            // Asked for only where there is one: `timeout_mut` makes room for one in any case.
            if let Some(left) = left()
                && let Some(timeout) = request.timeout_mut()
            {
                // A time-out of nothing would be no time-out to some.
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
            // Its connection may be the one that the second attempt, or the login, waits for.
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
