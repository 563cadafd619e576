//! One request on its way: what its credential was put on, and what its answer says.

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;

use auth_core::{Answer, Credential, Credentials, Judge};
use bytes::Bytes;
use reqwest::{Body, Request, Response, Url};
use reqwest_middleware::Error;

use super::hidden::{Hidden, with_url};
use crate::attach;
use crate::peeked::Peeked;
use crate::scope::contains_url;
use crate::verdict::{Outcome, Sent};

pub(super) struct Sending {
    sent: Sent,
    /// Where it was sent, if the answer's URL alone doesn't tell whose answer it is.
    sent_to: Option<Url>,
    hidden: Option<Hidden>,
}

impl Sending {
    /// Puts the credential on a request that is sent now.
    pub(super) fn prepare(
        request: &mut Request,
        credential: &Credential,
        credentials: Credentials,
        judge: Option<Arc<dyn Judge>>,
        replay: bool,
    ) -> Self {
        let clean = credential.has_query().then(|| request.url().clone());
        attach::to_reqwest(credential, request);
        // Where the scope is one origin, an answer from within it is from the origin that was asked.
        let several = credentials.scope().origins().nth(1).is_some();
        let sent_to = (several || clean.is_some()).then(|| request.url().clone());
        let hidden = match (&clean, &sent_to) {
            (Some(clean), Some(sent_to)) => Hidden::new(credential, clean, sent_to),
            _ => None,
        };
        Self {
            sent: Sent::now(credentials, judge, credential, replay),
            sent_to,
            hidden,
        }
    }

    /// The error, without what is hidden.
    pub(super) fn clean_error(&self, error: Error) -> Error {
        match &self.hidden {
            Some(hidden) => hidden.clean_error(error),
            None => error,
        }
    }

    /// As much of the answer's body as its judge wants and may read. The answer still has all of it.
    pub(super) async fn read_body(&self, answer: &mut Response) -> Option<Bytes> {
        if !self.sent.wants_body(answer.status()) || !self.is_answered_by(answer) {
            return None;
        }
        let taken = mem::replace(answer, http::Response::new(Body::default()).into());
        let url = taken.url().clone();
        let (head, body) = http::Response::<Body>::from(taken).into_parts();
        let mut body = Peeked::new(body);
        poll_fn(|cx| body.poll_fill(cx)).await;
        let whole = body.whole();
        let again = http::Response::from_parts(head, Body::wrap(body));
        *answer = with_url(again, url);
        whole
    }

    /// Reads the verdict and tells the cache. The answer comes back without what is hidden.
    pub(super) fn conclude(
        self,
        mut answer: Response,
        body: Option<&Bytes>,
    ) -> (Response, Outcome) {
        let mut outcome = Outcome::HandOn;
        if self.is_answered_by(&answer) {
            let sets_cookies = self.sent.hide(answer.headers_mut());
            let mut view = Answer::new(answer.status(), answer.headers());
            if let Some(body) = body {
                view = view.with_body(body);
            }
            outcome = self.sent.conclude(&view, sets_cookies);
        } else if !contains_url(self.sent.credentials().scope(), answer.url()) {
            tracing::warn!(
                identity = ?self.sent.credentials().identity(),
                reached = %answer.url().origin().ascii_serialization(),
                "the client followed a redirect out of the credential's scope; give it auth_middleware::redirect_policy"
            );
        }
        if let Some(hidden) = &self.hidden {
            answer = hidden.clean_response(answer);
        }
        (answer, outcome)
    }

    /// Whether the answer is one to a request that carried the credential. The client may have followed redirects, which
    /// shows in the answer's URL only; and what it carried across them is up to the client.
    fn is_answered_by(&self, answer: &Response) -> bool {
        let reached = answer.url();
        // A foreign server's 401 says nothing of our session.
        if !contains_url(self.sent.credentials().scope(), reached) {
            return false;
        }
        // From one origin of the scope to another, reqwest takes some headers along and leaves others behind.
        let same_origin = self.sent_to.as_ref().is_none_or(|sent_to| {
            reached.scheme() == sent_to.scheme()
                && reached.host_str() == sent_to.host_str()
                && reached.port() == sent_to.port()
        });
        let in_query = |hidden: &Hidden| hidden.is_in_query_of(reached);
        same_origin && self.hidden.as_ref().is_none_or(in_query)
    }
}
