//! The middleware itself.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::{Answer, Ask, Credential, Credentials, Judge, LoginMark, Moment};
use http::Extensions;
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::hidden::Hidden;
use crate::attach;
use crate::context::AuthContext;
use crate::peeked::Peeked;
use crate::scope::contains_url;
use crate::verdict::{Outcome, Sent};

/// Puts a credential on each request of a reqwest client, judges the answer, and sends a rejected request once more.
///
/// A request waits for a credential as long as its own [`timeout`](reqwest::RequestBuilder::timeout) or its
/// [`AuthContext::within`] says, whichever is shorter, and 60 s otherwise. The client's own time-out is not known here; it
/// counts anew from each sending.
///
/// A request whose body is a stream can't be sent twice: if its credential is rejected, the caller gets that answer, and
/// the next request finds a new session.
///
/// Add it last, so that it is the innermost: a middleware below it, such as one that logs, sees the credential.
///
/// # Errors
/// Those of the client. Where a request in scope can't have a credential it is not sent, and the error is one that
/// [`auth_error`](crate::auth_error) finds.
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
                let origin = request.url().origin().ascii_serialization();
                tracing::trace!(
                    origin,
                    "a request out of the credential's scope passes untouched"
                );
            }
            return next.run(request, extensions).await;
        }
        if is_own_login(credentials, extensions) {
            return Err(Error::middleware(auth_core::Error::LoginLoop));
        }

        let front = Front {
            credentials,
            judge: self.judge.as_ref(),
        };
        let ask = context.ask(request.timeout().copied());
        let asked = request.timeout().is_some().then(|| credentials.now());
        let fresh = match context.take_renewal() {
            Some(renewal) => {
                let credential = front.get(ask.renewed()).await?;
                renewal.done();
                Some(credential)
            }
            None => credentials.fresh(),
        };
        let credential = match fresh {
            Some(credential) => credential,
            None => front.get(ask).await?,
        };
        let spare = if self.replay {
            request.try_clone()
        } else {
            None
        };
        front.shorten(&mut request, asked);
        let (answer, outcome) = front
            .send(request, &credential, false, extensions, next.clone())
            .await?;
        let (Outcome::Replay, Some(mut request)) = (outcome, spare) else {
            return Ok(answer);
        };
        // Its connection may be the one that the second try, or the login, waits for.
        drop(answer);
        let credential = front.get(ask).await?;
        front.shorten(&mut request, asked);
        let (answer, _) = front
            .send(request, &credential, true, extensions, next)
            .await?;
        Ok(answer)
    }
}

fn is_own_login(credentials: &Credentials, extensions: &Extensions) -> bool {
    let carried = extensions.get::<LoginMark>().copied();
    carried
        .or_else(LoginMark::current)
        .is_some_and(|mark| credentials.owns(mark))
}

struct Front<'a> {
    credentials: &'a Credentials,
    judge: Option<&'a Arc<dyn Judge>>,
}

impl Front<'_> {
    async fn get(&self, ask: Ask) -> Result<Credential> {
        let credential = self.credentials.get_with(ask).await;
        credential.map_err(Error::middleware)
    }

    /// A request's own time-out is meant for all of it: what has passed is gone.
    fn shorten(&self, request: &mut Request, asked: Option<Moment>) {
        if let (Some(asked), Some(timeout)) = (asked, request.timeout_mut()) {
            let passed = self.credentials.now().since(asked);
            // A time-out of nothing would be no time-out to some.
            *timeout = timeout.saturating_sub(passed).max(Duration::from_millis(1));
        }
    }

    async fn send(
        &self,
        mut request: Request,
        credential: &Credential,
        replay: bool,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<(Response, Outcome)> {
        let clean = credential.has_query().then(|| request.url().clone());
        attach::to_reqwest(credential, &mut request);
        // Where the scope is one origin, an answer from within it is from the origin that was asked.
        let several = self.credentials.scope().origins().count() > 1;
        let sent_to = (several || clean.is_some()).then(|| request.url().clone());
        let hidden = match (&clean, &sent_to) {
            (Some(clean), Some(sent_to)) => Hidden::new(credential, clean, sent_to),
            _ => None,
        };
        let judge = self.judge.cloned();
        let sent = Sent::now(self.credentials.clone(), judge, credential, replay);
        match next.run(request, extensions).await {
            Ok(answer) => {
                let (answer, outcome) =
                    if self.speaks_of(&answer, sent_to.as_ref(), hidden.as_ref()) {
                        self.conclude(answer, &sent).await
                    } else {
                        (answer, Outcome::HandOn)
                    };
                let answer = match hidden {
                    Some(hidden) => hidden.clean_response(answer),
                    None => answer,
                };
                Ok((answer, outcome))
            }
            Err(error) => Err(match hidden {
                Some(hidden) => hidden.clean_error(error),
                None => error,
            }),
        }
    }

    /// Whether the answer is one to a request that carried the credential. The client may have followed redirects, which
    /// shows in the answer's URL only; and what it carried across them is up to the client.
    fn speaks_of(&self, answer: &Response, sent_to: Option<&Url>, hidden: Option<&Hidden>) -> bool {
        let reached = answer.url();
        if !contains_url(self.credentials.scope(), reached) {
            // A foreign server's 401 says nothing of our session.
            tracing::warn!(
                identity = ?self.credentials.identity(),
                reached = %reached.origin().ascii_serialization(),
                "the client followed a redirect out of the credential's scope; give it auth_middleware::redirect_policy"
            );
            return false;
        }
        // From one origin of the scope to another, reqwest takes some headers along and leaves others behind.
        let same_origin = sent_to.is_none_or(|sent_to| {
            reached.scheme() == sent_to.scheme()
                && reached.host_str() == sent_to.host_str()
                && reached.port() == sent_to.port()
        });
        same_origin && hidden.is_none_or(|hidden| hidden.is_in_query_of(reached))
    }

    async fn conclude(&self, mut answer: Response, sent: &Sent) -> (Response, Outcome) {
        let sets_cookies = sent.hide(answer.headers_mut());
        if !sent.wants_body(answer.status()) {
            let view = Answer::new(answer.status(), answer.headers());
            let outcome = sent.conclude(&view, sets_cookies);
            return (answer, outcome);
        }
        let (answer, whole) = peek(answer).await;
        let mut view = Answer::new(answer.status(), answer.headers());
        if let Some(whole) = &whole {
            view = view.with_body(whole);
        }
        let outcome = sent.conclude(&view, sets_cookies);
        (answer, outcome)
    }
}

/// The same answer, and what a judge may read of its body.
async fn peek(answer: Response) -> (Response, Option<bytes::Bytes>) {
    let url = answer.url().clone();
    let (head, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
    let mut body = Peeked::new(body);
    poll_fn(|cx| body.poll_fill(cx)).await;
    let whole = body.whole();
    let answer = http::Response::from_parts(head, reqwest::Body::wrap(body));
    (super::hidden::with_url(answer, url), whole)
}

impl fmt::Debug for AuthMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthMiddleware")
            .field("identity", self.credentials.identity())
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
