//! One attempt of a reqwest request: what its credential was put on, and what its response says.

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;

use auth_core::{Ask, Attempt, Conclusion, Credential, Credentials, Judge, ResponseView};
use bytes::Bytes;
use reqwest::{Body, Request, Response, Url};
use reqwest_middleware::{Error, Result};

use super::redact::{Redactor, with_url};
use crate::body::Peeked;
use crate::target::Target;

pub(super) struct Sending {
    attempt: Attempt,
    attached: Attached,
}

/// Where a request goes that its credential was put on.
struct Attached {
    /// The URL that was sent, if the response's URL alone doesn't tell whose response it is.
    sent_to: Option<Url>,
    redactor: Option<Redactor>,
}

impl Sending {
    /// Puts a credential on a request that is sent next: the one at hand, or one that is waited for.
    pub(super) async fn first(
        mut request: Request,
        credentials: &Credentials,
        judge: Option<Arc<dyn Judge>>,
        ask: Ask,
    ) -> Result<(Request, Self)> {
        let fresh = if ask.is_renewed() {
            None
        } else {
            Attempt::fresh(credentials, |credential| {
                Attached::to(&mut request, credential, credentials)
            })
        };
        let (attempt, attached) = if let Some(fresh) = fresh {
            fresh
        } else {
            let credential = get(credentials, ask).await?;
            let attached = Attached::to(&mut request, &credential, credentials);
            (Attempt::new(credentials, &credential), attached)
        };
        let attempt = attempt.judged_by(judge);
        Ok((request, Self { attempt, attached }))
    }

    /// Puts a newer credential on a request that was rejected before.
    pub(super) async fn replay(
        mut request: Request,
        rejected: Attempt,
        ask: Ask,
    ) -> Result<(Request, Self)> {
        let credential = get(rejected.credentials(), ask).await?;
        let attached = Attached::to(&mut request, &credential, rejected.credentials());
        let attempt = rejected.replay(&credential);
        Ok((request, Self { attempt, attached }))
    }

    /// Judges the response, and tells the cache. Neither response nor error shows a secret.
    pub(super) async fn conclude(
        self,
        response: Result<Response>,
    ) -> Result<(Response, Conclusion, Attempt)> {
        let Self { attempt, attached } = self;
        let mut response = response.map_err(|error| attached.redact_error(error))?;
        let mut conclusion = Conclusion::HandOn;
        if attached.is_answered_by(&response, attempt.credentials()) {
            attempt.redact(response.headers_mut());
            let body = if attempt.wants_body(response.status()) {
                read_ahead(&mut response).await
            } else {
                None
            };
            let mut view = ResponseView::new(response.status(), response.headers());
            if let Some(body) = &body {
                view = view.with_body(body);
            }
            conclusion = attempt.conclude(&view);
        } else if !response.url().is_in(attempt.credentials().scope()) {
            tracing::warn!(
                identity = ?attempt.credentials().identity(),
                reached = %response.url().origin().ascii_serialization(),
                "the client followed a redirect out of the credential's scope; give it auth_middleware::redirect_policy"
            );
        }
        if let Some(redactor) = &attached.redactor {
            response = redactor.clean_response(response);
        }
        Ok((response, conclusion, attempt))
    }
}

async fn get(credentials: &Credentials, ask: Ask) -> Result<Arc<Credential>> {
    let credential = credentials.get_with(ask).await;
    credential.map_err(Error::middleware)
}

/// As much of the body as a judge may read. The response still has all of it.
async fn read_ahead(response: &mut Response) -> Option<Bytes> {
    let taken = mem::replace(response, http::Response::new(Body::default()).into());
    let url = taken.url().clone();
    let (head, body) = http::Response::<Body>::from(taken).into_parts();
    let mut body = Peeked::new(body);
    poll_fn(|cx| body.poll_fill(cx)).await;
    let whole = body.whole();
    let again = http::Response::from_parts(head, Body::wrap(body));
    *response = with_url(again, url);
    whole
}

impl Attached {
    fn to(request: &mut Request, credential: &Credential, credentials: &Credentials) -> Self {
        let clean = credential.has_query().then(|| request.url().clone());
        if let Some(query) = credential.attach_query(request.url().query()) {
            request.url_mut().set_query(Some(&query));
        }
        credential.attach_headers(request.headers_mut());
        // Where the scope is one origin, a response from within it is from the origin that was
        // asked.
        let several = credentials.scope().origins().nth(1).is_some();
        let sent_to = (several || clean.is_some()).then(|| request.url().clone());
        let redactor = match (&clean, &sent_to) {
            (Some(clean), Some(sent_to)) => Redactor::new(credential, clean, sent_to),
            _ => None,
        };
        Self { sent_to, redactor }
    }

    fn redact_error(&self, error: Error) -> Error {
        match &self.redactor {
            Some(redactor) => redactor.clean_error(error),
            None => error,
        }
    }

    /// Whether the response is one to a request that carried the credential. The client may have
    /// followed redirects, which shows in the response's URL only; and what it carried across them
    /// is up to the client.
    fn is_answered_by(&self, response: &Response, credentials: &Credentials) -> bool {
        let reached = response.url();
        // A foreign server's 401 says nothing of our session.
        if !reached.is_in(credentials.scope()) {
            return false;
        }
        // From one origin of the scope to another, reqwest takes some headers along and leaves
        // others behind.
        let same_origin = self
            .sent_to
            .as_ref()
            .is_none_or(|sent_to| sent_to.origin() == reached.origin());
        let in_query = |redactor: &Redactor| redactor.is_in_query_of(reached);
        same_origin && self.redactor.as_ref().is_none_or(in_query)
    }
}
