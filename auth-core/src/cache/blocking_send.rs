//! A request that is sent by a client that blocks.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use http::{Request, Response};
use thiserror::Error as ThisError;

use super::ask::Ask;
use super::credentials::Credentials;
use crate::attempt::{Attempt, Conclusion};
use crate::credential::{Credential, InvalidValue, Target};
use crate::error::Error;
use crate::judge::{MAX_JUDGED_BODY, RequestHead, ResponseView};

impl Credentials {
    /// Sends a request with `send`, a client that blocks: with the credential, and once more with a
    /// newer one if the response rejects it, or with a part of the session that it asks for. The
    /// caller gets the last response.
    ///
    /// It is what `auth-middleware` does for async clients, for the others:
    ///
    /// ```
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, SendError, testing::Scripted};
    /// # let credentials = Credentials::new(Scripted::tokens(Lifetime::unknown()));
    /// # #[derive(Clone)]
    /// # struct Agent;
    /// # impl Agent {
    /// #     fn run(&self, request: http::Request<()>) -> std::io::Result<http::Response<&'static [u8]>> {
    /// #         let revoked = request.headers()["authorization"] == "Bearer token-1";
    /// #         let status = if revoked { 401 } else { 200 };
    /// #         Ok(http::Response::builder().status(status).body(&b"me"[..]).unwrap())
    /// #     }
    /// # }
    /// # let agent = Agent;
    ///
    /// let request = http::Request::get("https://api.example.com/v3/me").body(())?;
    /// // With ureq: `agent.run(request).map(|response| response.map(Body::into_reader))`
    /// let response = credentials.blocking_send(request, |request| agent.run(request))?;
    /// assert_eq!(response.status(), 200);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A request out of the [scope](Self::scope) is sent as it is, once, with a warning. `send`
    /// must follow no redirects and keep no cookies, and must return a response whatever its status
    /// is: what it follows by itself may carry the credential elsewhere, and what it makes an error
    /// of is not judged. The response is a redirect then, for the caller to follow by another call.
    ///
    /// A body that the judge [wants](crate::Judge::wants_body) is read ahead, up to
    /// [`MAX_JUDGED_BODY`](crate::MAX_JUDGED_BODY), for as long as the client's time-outs let it.
    ///
    /// The call blocks its thread, as [`blocking_get`](Self::blocking_get) does while there is no
    /// credential.
    ///
    /// # Errors
    /// - [`SendError::Auth`] if there is no credential, or no newer one.
    /// - [`SendError::InvalidValue`] if its query pairs do not fit into the request's URI.
    /// - [`SendError::BodyField`] if the session has a field of the body.
    /// - [`SendError::Client`], the error of `send`, whatever attempt it was.
    pub fn blocking_send<B, R, E>(
        &self,
        request: Request<B>,
        mut send: impl FnMut(Request<B>) -> Result<Response<R>, E>,
    ) -> Result<Response<ReadAhead<R>>, SendError<E>>
    where
        B: Clone,
        R: Read,
        E: std::error::Error + 'static,
    {
        let uri = request.uri();
        if !self.scope().contains_uri(uri) {
            Attempt::out_of_scope(self, uri.scheme_str(), uri.host(), uri.port_u16());
            let response = send(request).map_err(SendError::Client)?;
            return Ok(response.map(ReadAhead::none));
        }
        Attempt::refuse_loop(self, request.extensions())?;
        let mut before = None;
        loop {
            let credential = self.blocking_get_again(before.as_ref(), &request)?;
            if credential.body_fields(target_of(&request)).next().is_some() {
                return Err(SendError::BodyField);
            }
            let mut copy = request.clone();
            credential.attach(&mut copy)?;
            let attempt = match before.take() {
                Some((attempt, Conclusion::Repair)) => attempt.after_repair(&credential),
                Some((attempt, _)) => attempt.replay(&credential),
                None => {
                    let head = || RequestHead::new(request.method().clone(), request.uri().clone());
                    let head = Attempt::wants_request(self, None).then(head);
                    Attempt::new(self, &credential).of_request(head)
                }
            };
            let mut attempt = attempt.sent_to(|| target_of(&request));
            let mut response = send(copy).map_err(SendError::Client)?;
            attempt.redact(response.headers_mut());
            let (head, body) = response.into_parts();
            let mut view = ResponseView::new(head.status, &head.headers);
            let body = if attempt.wants_body(&view) {
                ReadAhead::of(body)
            } else {
                ReadAhead::none(body)
            };
            if let Some(whole) = body.whole() {
                view = view.with_body(whole);
            }
            match attempt.conclude(&view) {
                again @ (Conclusion::Replay | Conclusion::Repair) => {
                    before = Some((attempt, again));
                }
                Conclusion::HandOn | Conclusion::Rejected => {
                    return Ok(Response::from_parts(head, body));
                }
            }
        }
    }

    /// The credential for the next attempt. It lacks nothing that the request would carry.
    fn blocking_get_again<B>(
        &self,
        before: Option<&(Attempt, Conclusion)>,
        request: &Request<B>,
    ) -> Result<Arc<Credential>, Error> {
        let (uri, method) = (request.uri().clone(), request.method().clone());
        if let Some((attempt, Conclusion::Repair)) = before {
            let attempt = attempt.clone();
            return self.on_a_thread(move |_| async move {
                let target = Target::of(&uri).with_method(&method);
                attempt.repaired(target, Ask::new()).await
            });
        }
        let credential = self.blocking_get()?;
        if !credential.lacks(target_of(request)) {
            return Ok(credential);
        }
        self.on_a_thread(move |credentials| async move {
            let target = Target::of(&uri).with_method(&method);
            credentials.get_for(target, Ask::new()).await
        })
    }
}

fn target_of<B>(request: &Request<B>) -> Target<'_> {
    Target::of(request.uri()).with_method(request.method())
}

/// Why [`blocking_send`](Credentials::blocking_send) has no response.
///
/// ```
/// use auth_core::SendError;
///
/// fn explain<E: std::error::Error + 'static>(error: &SendError<E>) -> &'static str {
///     match error {
///         SendError::Auth(error) if error.is_login_refused() => "check the password",
///         SendError::Auth(_) => "could not log in",
///         SendError::Client(_) => "the request failed",
///         _ => "the request can't carry the session",
///     }
/// }
/// # assert_eq!(explain::<std::io::Error>(&auth_core::Error::Closed.into()), "could not log in");
/// ```
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum SendError<E: std::error::Error + 'static> {
    /// There is no credential. The request was not sent, or not once more.
    #[error(transparent)]
    Auth(#[from] Error),
    /// The credential does not fit into the request. Correct the URI.
    #[error(transparent)]
    InvalidValue(#[from] InvalidValue),
    /// The session is a field of the request's body, which is not edited here. Use an integration
    /// of `auth-middleware`, or set [`Credential::body_fields`](crate::Credential::body_fields) by
    /// an [`Attempt`] of your own.
    #[error("the session has a field of the body, which a blocking client can't have")]
    BodyField,
    /// The client failed.
    #[error(transparent)]
    Client(E),
}

/// The body of a response from [`blocking_send`](Credentials::blocking_send): all of it, even if a
/// judge has read some of it before.
///
/// ```
/// # use auth_core::{Credentials, Lifetime, testing::Scripted};
/// # let credentials = Credentials::new(Scripted::tokens(Lifetime::unknown()));
/// let request = http::Request::get("https://api.example.com/v3/me").body(())?;
/// let send = |_| Ok::<_, std::io::Error>(http::Response::new(&b"me"[..]));
/// let response = credentials.blocking_send(request, send)?;
/// assert_eq!(std::io::read_to_string(response.into_body())?, "me");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReadAhead<R> {
    read: Cursor<Vec<u8>>,
    end: End,
    rest: R,
}

enum End {
    /// `rest` may have more.
    Open,
    /// `rest` has ended.
    Clean,
    /// `rest` has failed. The caller gets the error after what was read.
    Failed(io::Error),
}

impl<R: Read> ReadAhead<R> {
    fn none(rest: R) -> Self {
        let (read, end) = (Cursor::default(), End::Open);
        Self { read, end, rest }
    }

    /// Reads one byte more than a judge may see, to know whether the body ends before.
    fn of(mut rest: R) -> Self {
        let mut read = Vec::new();
        let end = match rest
            .by_ref()
            .take(MAX_JUDGED_BODY as u64 + 1)
            .read_to_end(&mut read)
        {
            Err(error) => End::Failed(error),
            Ok(length) if length > MAX_JUDGED_BODY => End::Open,
            Ok(_) => End::Clean,
        };
        let read = Cursor::new(read);
        Self { read, end, rest }
    }

    fn whole(&self) -> Option<&[u8]> {
        matches!(self.end, End::Clean).then(|| &self.read.get_ref()[..])
    }
}

impl<R: Read> Read for ReadAhead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.read.read(buffer)?;
        if length > 0 || buffer.is_empty() {
            return Ok(length);
        }
        match std::mem::replace(&mut self.end, End::Clean) {
            End::Open => {
                self.end = End::Open;
                self.rest.read(buffer)
            }
            End::Clean => Ok(0),
            End::Failed(error) => Err(error),
        }
    }
}

impl<R> fmt::Debug for ReadAhead<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAhead").finish_non_exhaustive()
    }
}
