//! The middleware itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::{Ask, Credential, Credentials, Judge, LoginMark};
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::sending::Sending;
use crate::context::AuthContext;
use crate::scope::contains_url;
use crate::verdict::Outcome;

/// Puts a credential on each request of a reqwest client, judges the answer, and sends a rejected request once more.
///
/// A request waits for a credential as long as its own [`timeout`](reqwest::RequestBuilder::timeout) or its
/// [`AuthContext::within`] says, whichever is shorter, and otherwise as long as the cache's
/// [wait_timeout](auth_core::CredentialsBuilder::wait_timeout), 60 s unless set. The request's own `timeout` is meant for all of it:
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
        let credentials = context.chosen().unwrap_or(&self.credentials);
        if context.is_skip() || !contains_url(credentials.scope(), request.url()) {
            if !context.is_skip() {
                let url = request.url();
                tracing::trace!(
                    scheme = url.scheme(),
                    host = url.host_str(),
                    port = url.port(),
                    "a request out of the credential's scope passes untouched"
                );
            }
            return next.run(request, extensions).await;
        }
        if is_own_login(credentials, extensions) {
            return Err(Error::middleware(auth_core::Error::LoginLoop));
        }

        let timeout = request.timeout().copied();
        let asked = timeout.map(|_| credentials.now());
        let passed = || {
            asked.map_or(Duration::ZERO, |asked| {
                credentials.now().steady_since(asked)
            })
        };
        let ask = context.ask(timeout);
        let fresh = match context.take_renewal() {
            Some(renewal) => {
                let credential = get(credentials, ask.renewed()).await?;
                renewal.done();
                Some(credential)
            }
            None => credentials.fresh(),
        };
        let mut credential = match fresh {
            Some(credential) => credential,
            None => get(credentials, ask).await?,
        };
        let mut replay = false;
        loop {
            let again = if self.replay && !replay {
                request.try_clone()
            } else {
                None
            };
            if timeout.is_some() {
                shorten(&mut request, passed());
            }
            let judge = self.judge.clone();
            let sending = Sending::prepare(
                &mut request,
                &credential,
                credentials.clone(),
                judge,
                replay,
            );
            let answer = next.clone().run(request, extensions).await;
            let mut answer = answer.map_err(|error| sending.clean_error(error))?;
            let body = sending.read_body(&mut answer).await;
            let (answer, outcome) = sending.conclude(answer, body.as_ref());
            let (Outcome::Replay, Some(spare)) = (outcome, again) else {
                return Ok(answer);
            };
            // Its connection may be the one that the second try, or the login, waits for.
            drop(answer);
            let left = timeout.map(|timeout| timeout.saturating_sub(passed()));
            credential = get(credentials, context.ask(left)).await?;
            request = spare;
            replay = true;
        }
    }
}

async fn get(credentials: &Credentials, ask: Ask) -> Result<Arc<Credential>> {
    let credential = credentials.get_with(ask).await;
    credential.map_err(Error::middleware)
}

/// A request's own time-out is meant for all of it: what has passed is gone.
fn shorten(request: &mut Request, passed: Duration) {
    if let Some(timeout) = request.timeout_mut() {
        // A time-out of nothing would be no time-out to some.
        *timeout = timeout.saturating_sub(passed).max(Duration::from_millis(1));
    }
}

fn is_own_login(credentials: &Credentials, extensions: &Extensions) -> bool {
    let carried = extensions.get::<LoginMark>().copied();
    carried
        .or_else(LoginMark::current)
        .is_some_and(|mark| credentials.owns(mark))
}

impl fmt::Debug for AuthMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthMiddleware")
            .field("identity", self.credentials.identity())
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
