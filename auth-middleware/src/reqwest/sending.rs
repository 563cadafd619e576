//! One attempt of one hop: where its credential was attached, and what its response says.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;

use auth_core::{
    Ask, Attempt, Conclusion, Credential, Credentials, Judge, RequestHead, ResponseView, Target,
};
use bytes::Bytes;
use reqwest::{Body, Request, Response, Url};
use reqwest_middleware::Error;
use url::Position;

use super::pristine::has_data;
use super::redact::{Redactor, with_url};
use crate::body::Peeked;
use crate::fields::{BodyFieldError, Edit, Wanted};
use crate::jar::{CookieJar, JarRequest};
use crate::redirect::{RedirectError, Secrets};
use crate::target::Target as _;

/// What all attempts of a hop have in common.
pub(super) struct HopContext<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) judge: Option<&'a Arc<dyn Judge>>,
    /// Whether the client below is known to follow no redirect by itself.
    pub(super) client_is_known: bool,
    pub(super) jar: Option<&'a Arc<dyn CookieJar>>,
}

/// A request that is sent with a credential.
pub(super) struct Sending {
    attempt: Attempt,
    /// The URL that was sent, if the response counts only if it comes from there.
    sent_to: Option<Box<Url>>,
    jar: Option<Box<JarRequest>>,
}

impl HopContext<'_> {
    /// Attaches the current credential, if it is fresh, to a request that is sent next.
    ///
    /// # Errors
    /// [`BodyFieldError`], as of the methods below.
    pub(super) fn fresh(
        &self,
        request: &mut Request,
        redactor: &mut Redactor,
    ) -> Result<Option<Sending>, Error> {
        let head = self.head(request);
        let jar = self.jar_request(request);
        let fresh = Attempt::fresh(self.credentials, self.judge, |credential| {
            // If it lacks none, this reads one flag.
            let lacks = !credential.is_complete() && credential.lacks(target_of(request));
            (!lacks).then(|| self.attach(request, credential, redactor, jar.as_deref()))
        });
        let Some((attempt, attached)) = fresh else {
            return Ok(None);
        };
        let sent_to = attached?;
        let attempt = attempt.of_request(head).sent_to(|| target_of(request));
        Ok(Some(Sending {
            attempt,
            sent_to,
            jar,
        }))
    }

    /// Attaches `credential` to a request that is sent next.
    pub(super) fn first(
        &self,
        request: &mut Request,
        credential: &Credential,
        redactor: &mut Redactor,
    ) -> Result<Sending, Error> {
        let head = self.head(request);
        let jar = self.jar_request(request);
        let sent_to = self.attach(request, credential, redactor, jar.as_deref())?;
        let attempt = Attempt::new(self.credentials, credential)
            .judged_by(self.judge.cloned())
            .of_request(head)
            .sent_to(|| target_of(request));
        Ok(Sending {
            attempt,
            sent_to,
            jar,
        })
    }

    /// Attaches a newer credential to a pristine copy of a request that is sent once more, because
    /// of this conclusion.
    pub(super) fn again(
        &self,
        before: Sending,
        because: Conclusion,
        request: &mut Request,
        newer: &Credential,
        redactor: &mut Redactor,
    ) -> Result<Sending, Error> {
        let jar = before.jar;
        let sent_to = self.attach(request, newer, redactor, jar.as_deref())?;
        let attempt = match because {
            Conclusion::Repair => before.attempt.after_repair(newer),
            _ => before.attempt.replay(newer),
        };
        let attempt = attempt.sent_to(|| target_of(request));
        Ok(Sending {
            attempt,
            sent_to,
            jar,
        })
    }

    fn head(&self, request: &Request) -> Option<RequestHead> {
        if !Attempt::wants_request(self.credentials, self.judge) {
            return None;
        }
        let uri = request.url().as_str().parse().ok()?;
        Some(RequestHead::new(request.method().clone(), uri))
    }

    fn jar_request(&self, request: &Request) -> Option<Box<JarRequest>> {
        JarRequest::carrying(self.credentials, self.jar, request.url())
    }

    /// Returns the URL that the response must come from to count, unless any in scope will do.
    fn attach(
        &self,
        request: &mut Request,
        credential: &Credential,
        redactor: &mut Redactor,
        jar: Option<&JarRequest>,
    ) -> Result<Option<Box<Url>>, Error> {
        if credential.has_body_fields() {
            set_fields(request, credential).map_err(Error::middleware)?;
        }
        if let Some(jar) = jar {
            jar.add_beside(credential, request.headers_mut());
        }
        if credential.has_query() {
            let written = request.url().clone();
            let target = written.target().with_method(request.method());
            if let Some(query) = credential.attach_query(target, written.query()) {
                request.url_mut().set_query(Some(&query));
            }
            redactor.note(credential, written, request.url());
        }
        if credential.depends_on_target() {
            // Neither the URL nor the method can be borrowed beside the headers.
            let mut headers = mem::take(request.headers_mut());
            let target = request.url().target().with_method(request.method());
            credential.attach_headers(target, &mut headers);
            *request.headers_mut() = headers;
        } else {
            let anywhere = Target::new("", "", "");
            credential.attach_headers(anywhere, request.headers_mut());
        }
        Ok((!self.client_is_known).then(|| Box::new(request.url().clone())))
    }
}

/// Whether two URLs are the same on the wire. A fragment is never sent, and the URL of a response
/// has none.
pub(super) fn are_sent_alike(one: &Url, other: &Url) -> bool {
    one[..Position::AfterQuery] == other[..Position::AfterQuery]
}

/// Where a request goes.
pub(super) fn target_of(request: &Request) -> Target<'_> {
    let has_body = request.body().is_some_and(has_data);
    request.url().target_of(request.method(), has_body)
}

/// Sets the fields of the body.
#[cold]
fn set_fields(request: &mut Request, credential: &Credential) -> Result<(), BodyFieldError> {
    let target = request.url().target_of(request.method(), true);
    let (Some(wanted), Some(body)) = (Wanted::by(credential, target)?, request.body()) else {
        return Ok(());
    };
    let bytes = body.as_bytes();
    if bytes.is_some_and(<[u8]>::is_empty) {
        return Ok(());
    }
    let edit = wanted.for_body(request.headers())?;
    let copy = edit.copy(bytes.ok_or(BodyFieldError::NotInMemory)?)?;
    Edit::state_length(copy.len(), request.headers_mut());
    *request.body_mut() = Some(copy.into());
    Ok(())
}

impl Sending {
    /// The credential to send this request with once more, because of this conclusion.
    pub(super) async fn newer(
        &self,
        because: Conclusion,
        request: &Request,
        ask: Ask,
    ) -> Result<Arc<Credential>, Error> {
        let target = target_of(request);
        let newer = match because {
            Conclusion::Repair => self.attempt.repaired(target, ask).await,
            _ => self.attempt.credentials().get_for(target, ask).await,
        };
        newer.map_err(Error::middleware)
    }

    /// Reads the body for the judge, if it is wanted. `None`, if it failed, has not ended in time,
    /// or is larger than a judge may read. The response still has all of it.
    pub(super) async fn read_ahead(&self, response: &mut Response) -> Option<Bytes> {
        if !self.wants_body(response) {
            return None;
        }
        // Boxed, because the future of every request has room for this.
        Box::pin(peek(response, Box::pin(self.attempt.judged_time()))).await
    }

    pub(super) const fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    pub(super) fn jar(&self) -> Option<&JarRequest> {
        self.jar.as_deref()
    }

    fn wants_body(&self, response: &Response) -> bool {
        let head = ResponseView::new(response.status(), response.headers());
        self.attempt.wants_body(&head) && self.is_answered_by(response.url())
    }

    /// The request can't be sent once more. The next one is to have what it lacked.
    pub(super) fn ends_with(&self, conclusion: Conclusion) {
        if conclusion == Conclusion::Repair {
            self.attempt.begin_repair();
        }
    }

    /// Judges the response, and applies the verdict to the cache.
    pub(super) fn conclude(&mut self, response: &mut Response, body: Option<&Bytes>) -> Conclusion {
        self.attempt.redact(response.headers_mut());
        if !self.is_answered_by(response.url()) {
            return Conclusion::HandOn;
        }
        JarRequest::heard(self.jar.as_deref(), response.headers());
        let mut view = ResponseView::new(response.status(), response.headers());
        if let Some(body) = body {
            view = view.with_body(body);
        }
        self.attempt.conclude(&view)
    }

    /// Whether what this URL answers is the request that carried the credential: a client that
    /// follows redirects drops the credential on some hops.
    pub(super) fn is_answered_by(&self, url: &Url) -> bool {
        let sent_to = self.sent_to.as_ref();
        sent_to.is_none_or(|sent_to| are_sent_alike(sent_to, url))
    }

    /// Checks that the client has not followed a redirect out of the scope by itself. The error
    /// names no origin that holds one of these secrets: what was sent in queries, and what requests
    /// carry, if there was a redirect.
    ///
    /// # Errors
    /// [`RedirectError::LeftScope`].
    pub(super) fn check_scope(
        &self,
        reached: &Url,
        secrets: &Secrets,
        carried: Option<&Secrets>,
    ) -> Result<(), Error> {
        let credentials = self.attempt.credentials();
        if reached.is_in(credentials.scope()) {
            return Ok(());
        }
        self.attempt.left_scope();
        let mut origin = reached.origin().ascii_serialization();
        let is_carried = |carried: &Secrets| carried.is_in(&origin);
        if secrets.is_in(&origin) || carried.is_some_and(is_carried) {
            "an origin that holds a secret".clone_into(&mut origin);
        }
        Err(Error::middleware(RedirectError::LeftScope { origin }))
    }
}

async fn peek(
    response: &mut Response,
    mut over: Pin<Box<dyn Future<Output = ()> + Send>>,
) -> Option<Bytes> {
    let taken = mem::replace(response, http::Response::new(Body::default()).into());
    let url = taken.url().clone();
    let (head, body) = http::Response::<Body>::from(taken).into_parts();
    let mut body = Peeked::new(body);
    poll_fn(|cx| body.poll_fill_until(over.as_mut(), cx)).await;
    let whole = body.whole();
    let again = http::Response::from_parts(head, Body::wrap(body));
    *response = with_url(again, url);
    whole
}
