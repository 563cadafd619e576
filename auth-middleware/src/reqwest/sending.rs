//! One attempt of a reqwest request: where its credential was attached, and what its response says.

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;

use auth_core::{Attempt, Conclusion, Credential, Credentials, Judge, ResponseView};
use bytes::Bytes;
use reqwest::{Body, Request, Response, Url};
use reqwest_middleware::Error;

use super::redact::{Redactor, with_url};
use crate::body::Peeked;
use crate::target::Target;

pub(super) struct Sending {
    attempt: Attempt,
    attached: Attached,
}

/// Where a request with a credential was sent.
struct Attached {
    /// The URL that was sent, if the response's URL alone does not show whether its request carried
    /// the credential.
    sent_to: Option<Url>,
    redactor: Option<Redactor>,
}

impl Sending {
    /// Attaches the current credential, if it is fresh, to a request that is sent next.
    pub(super) fn fresh(
        request: &mut Request,
        credentials: &Credentials,
        judge: Option<&Arc<dyn Judge>>,
    ) -> Option<Self> {
        let (attempt, attached) = Attempt::fresh(credentials, judge, |credential| {
            Attached::to(request, credential, credentials)
        })?;
        Some(Self { attempt, attached })
    }

    /// Attaches `credential` to a request that is sent next.
    pub(super) fn new(
        request: &mut Request,
        credentials: &Credentials,
        judge: Option<&Arc<dyn Judge>>,
        credential: &Credential,
    ) -> Self {
        let attached = Attached::to(request, credential, credentials);
        let attempt = Attempt::new(credentials, credential).judged_by(judge.cloned());
        Self { attempt, attached }
    }

    /// Attaches a newer credential to the same request, which was rejected.
    pub(super) fn replay(self, request: &mut Request, newer: &Credential) -> Self {
        let attached = Attached::to(request, newer, self.attempt.credentials());
        let attempt = self.attempt.replay(newer);
        Self { attempt, attached }
    }

    /// The error, without the secrets in its URL.
    pub(super) fn redact_error(&self, error: Error) -> Error {
        match &self.attached.redactor {
            Some(redactor) => redactor.clean_error(error),
            None => error,
        }
    }

    pub(super) fn wants_body(&self, response: &Response) -> bool {
        self.attempt.wants_body(response.status()) && self.is_answered_by(response)
    }

    /// Judges the response, and applies the verdict to the cache. Returns the response without the
    /// secrets in its URL.
    pub(super) fn conclude(
        &self,
        mut response: Response,
        body: Option<&Bytes>,
    ) -> (Response, Conclusion) {
        let mut conclusion = Conclusion::HandOn;
        if self.is_answered_by(&response) {
            self.attempt.redact(response.headers_mut());
            let mut view = ResponseView::new(response.status(), response.headers());
            if let Some(body) = body {
                view = view.with_body(body);
            }
            conclusion = self.attempt.conclude(&view);
        } else if !response.url().is_in(self.attempt.credentials().scope()) {
            tracing::warn!(
                identity = ?self.attempt.credentials().identity(),
                reached = %response.url().origin().ascii_serialization(),
                "the client followed a redirect out of the credential's scope; \
                 give it auth_middleware::redirect_policy"
            );
        }
        if let Some(redactor) = &self.attached.redactor {
            response = redactor.clean_response(response);
        }
        (response, conclusion)
    }

    /// Whether the request that got this response carried the credential.
    ///
    /// The client may have followed redirects, which only the response's URL shows. What a request
    /// carries after a redirect is decided by the client.
    fn is_answered_by(&self, response: &Response) -> bool {
        let reached = response.url();
        // A 401 from outside the scope says nothing about the session.
        if !reached.is_in(self.attempt.credentials().scope()) {
            return false;
        }
        let Attached { sent_to, redactor } = &self.attached;
        // After a redirect to another origin, reqwest keeps some headers and drops others, even
        // within the scope.
        let same_origin = sent_to
            .as_ref()
            .is_none_or(|sent_to| sent_to.origin() == reached.origin());
        let in_query = |redactor: &Redactor| redactor.is_in_query_of(reached);
        same_origin && redactor.as_ref().is_none_or(in_query)
    }
}

/// Reads the body for a judge. `None`, if it failed or is larger than a judge may read. The
/// response still has all of it.
pub(super) async fn read_ahead(response: &mut Response) -> Option<Bytes> {
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
        let mut clean = None;
        if credential.has_query() {
            clean = Some(request.url().clone());
            let query = credential.attach_query(request.url().query());
            request.url_mut().set_query(query.as_deref());
        }
        credential.attach_headers(request.headers_mut());
        // If the scope has one origin, a response from within it comes from the origin of the
        // request.
        let several = credentials.scope().origins().nth(1).is_some();
        let sent_to = (several || clean.is_some()).then(|| request.url().clone());
        let redactor = match (&clean, &sent_to) {
            (Some(clean), Some(sent_to)) => Redactor::new(credential, clean, sent_to),
            _ => None,
        };
        Self { sent_to, redactor }
    }
}
