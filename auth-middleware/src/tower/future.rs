//! The state machine of one request of the tower integration.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use auth_core::{
    Ask, Attempt, Conclusion, Credential, Credentials, Error, Judge, RequestHead, ResponseView,
};
use bytes::Bytes;
use http::response::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::BoxError;
use super::attach::{attach, head_of, target_of};
use super::replay::{Again, ReplayMode};
use crate::admission::Renewal;
use crate::body::{AuthBody, Peeked};
use crate::jar::JarRequest;
#[cfg(feature = "follow")]
use crate::redirect::{Chain, NotFollowed, Secrets, would_take_a_secret};
use crate::resend;
use crate::target::Target;

pin_project! {
    /// The response future of [`Auth`](crate::Auth).
    ///
    /// With a fresh credential it allocates nothing of its own, unless a judge wants the body of
    /// the response, or the request is sent again.
    ///
    /// # Panics
    /// If it is polled after it has completed.
    pub struct AuthFuture<S, R, B, ResB>
    where
        R: ReplayMode<B>,
        S: Service<Request<R::Body>>,
        ResB: Body<Data = Bytes>,
    {
        #[pin]
        state: StageOf<S, R, B, ResB>,
        jar: Option<Box<JarRequest>>,
    }
}

type StageOf<S, R, B, ResB> = Stage<
    <S as Service<Request<<R as ReplayMode<B>>::Body>>>::Future,
    <R as ReplayMode<B>>::Spare<S>,
    WorkOf<S, R, B>,
    Peeked<ResB>,
>;

type WorkOf<S, R, B> = Box<Work<S, <R as ReplayMode<B>>::Body, <R as ReplayMode<B>>::Spare<S>>>;

/// A future that gets a credential. It is boxed, which costs an allocation only if no fresh
/// credential was at hand.
type Getting = Pin<Box<dyn Future<Output = Result<Arc<Credential>, Error>> + Send>>;

pin_project! {
    #[project = StageProj]
    enum Stage<F, Spare, Work, Body> {
        // Waiting for the inner service to respond to a request that passes untouched.
        Passing { #[pin] future: F },
        // Waiting for the inner service to respond to a request that carries a credential. The
        // first attempt has a `spare`.
        Sending { #[pin] future: F, attempt: Option<Attempt>, spare: Option<Spare> },
        // Waiting for as much of the response's body as the judge may read, or until it is late.
        Judging {
            response: Option<Box<Judged<Body>>>,
            attempt: Option<Attempt>,
            spare: Option<Spare>,
        },
        // Waiting for a credential. The clone of the inner service in `work` is not ready, so it
        // holds nothing that another task could wait for.
        Getting { getting: Getting, ask: Ask, work: Option<Work> },
        // Waiting for a clone of the inner service to be ready.
        Readying { obtained: Arc<Credential>, ask: Ask, work: Option<Work> },
        // Waiting for nothing: the request could not be sent.
        Failed { error: Option<BoxError> },
        // Between two states, and after the last.
        Ended,
    }
}

/// A response whose body the judge wants to read.
struct Judged<Body> {
    head: Parts,
    body: Box<Body>,
    /// Ends when the body is no longer read ahead.
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<B: Body<Data = Bytes>> Judged<Peeked<B>> {
    fn new(response: Response<B>, attempt: &Attempt) -> Box<Self> {
        let (head, body) = response.into_parts();
        Box::new(Self {
            head,
            body: Box::new(Peeked::new(body)),
            over: Box::pin(attempt.judged_time()),
        })
    }
}

/// A request that waits to be sent, without a credential.
pub(super) struct Work<S, B, Spare> {
    service: S,
    request: Request<B>,
    /// Whether the request has a body, as far as the replay mode knows.
    has_body: bool,
    /// What another attempt is made from, if it may be sent once more.
    spare: Option<Spare>,
    credentials: Credentials,
    judge: Option<Arc<dyn Judge>>,
    /// The attempt before, and why the request is sent again. `None`, if this is the first attempt.
    before: Option<(Attempt, Conclusion)>,
    /// Whether the service was not ready at once. The credential may have ended meanwhile.
    waited: bool,
    /// Whether the credential was checked after such a wait before. See [`Attempt::newest`].
    asked_again: bool,
    /// The renewal that this request makes. Dropping it makes the renewal due again.
    renewal: Option<Renewal>,
}

impl<S, B, Spare> Work<S, B, Spare> {
    pub(super) fn first(
        service: S,
        (request, has_body): (Request<B>, bool),
        spare: Option<Spare>,
        credentials: Credentials,
        judge: Option<Arc<dyn Judge>>,
        renewal: Option<Renewal>,
    ) -> Box<Self> {
        Box::new(Self {
            service,
            request,
            has_body,
            spare,
            credentials,
            judge,
            before: None,
            waited: false,
            asked_again: false,
            renewal,
        })
    }

    fn again(
        again: Again<S, B>,
        has_body: bool,
        spare: Option<Spare>,
        before: Attempt,
        because: Conclusion,
    ) -> Box<Self> {
        Box::new(Self {
            service: again.service,
            request: again.request,
            has_body,
            spare,
            credentials: before.credentials().clone(),
            judge: None,
            before: Some((before, because)),
            waited: false,
            asked_again: false,
            renewal: None,
        })
    }

    fn get(&self, ask: Ask) -> Getting {
        // The future outlives this borrow of the request.
        let (uri, method) = (self.request.uri().clone(), self.request.method().clone());
        let has_body = self.has_body;
        if let Some((before, Conclusion::Repair)) = &self.before {
            let before = before.clone();
            return Box::pin(async move {
                let target = uri.target_of(&method, has_body);
                before.repaired(target, ask).await
            });
        }
        let credentials = self.credentials.clone();
        Box::pin(async move {
            let target = uri.target_of(&method, has_body);
            credentials.get_for(target, ask).await
        })
    }

    /// The credential to send with, now that the service is ready. `None`, if the one that was
    /// obtained ended during the wait for readiness, and no other is good.
    fn newest(&mut self, obtained: Arc<Credential>) -> Option<Arc<Credential>> {
        if !self.waited {
            return Some(obtained);
        }
        let (uri, method) = (self.request.uri(), self.request.method());
        let target = uri.target_of(method, self.has_body);
        let newest = Attempt::newest(&self.credentials, &obtained, target, self.asked_again);
        self.waited = false;
        self.asked_again = true;
        newest
    }

    /// The attempt that is sent now, with `credential`.
    fn attempt(&mut self, credential: &Credential, head: Option<RequestHead>) -> Attempt {
        match self.before.take() {
            Some((before, Conclusion::Repair)) => before.after_repair(credential),
            Some((before, _)) => before.replay(credential),
            None => Attempt::new(&self.credentials, credential)
                .judged_by(self.judge.take())
                .of_request(head),
        }
    }
}

impl<S, R, B, ResB> AuthFuture<S, R, B, ResB>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>>,
    ResB: Body<Data = Bytes>,
{
    pub(super) const fn passing(future: S::Future, jar: Option<Box<JarRequest>>) -> Self {
        Self {
            state: Stage::Passing { future },
            jar,
        }
    }

    pub(super) const fn sending(
        future: S::Future,
        attempt: Attempt,
        spare: Option<R::Spare<S>>,
        jar: Option<Box<JarRequest>>,
    ) -> Self {
        Self {
            state: Stage::Sending {
                future,
                attempt: Some(attempt),
                spare,
            },
            jar,
        }
    }

    pub(super) fn getting(work: WorkOf<S, R, B>, ask: Ask, jar: Option<Box<JarRequest>>) -> Self {
        Self {
            state: get::<S, R, B, ResB>(work, ask),
            jar,
        }
    }

    pub(super) fn failed(error: impl Into<BoxError>) -> Self {
        Self {
            state: Stage::Failed {
                error: Some(error.into()),
            },
            jar: None,
        }
    }
}

impl<S, R, B, ResB> Future for AuthFuture<S, R, B, ResB>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>, Response = Response<ResB>> + Clone,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes>,
{
    type Output = Result<Response<AuthBody<ResB>>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = self.as_mut().proceed(cx);
        if response.is_ready() {
            // The inner future may hold a permit until it is dropped.
            self.project().state.set(Stage::Ended);
        }
        response
    }
}

impl<S, R, B, ResB> AuthFuture<S, R, B, ResB>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>, Response = Response<ResB>> + Clone,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes>,
{
    /// Goes from state to state until it has to wait or has a result.
    #[inline]
    fn proceed(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<AuthBody<ResB>>, BoxError>> {
        let this = self.project();
        let (mut state, jar) = (this.state, this.jar.as_deref());
        loop {
            let next = match state.as_mut().project() {
                StageProj::Passing { future } => {
                    let response = ready!(future.poll(cx)).map_err(Into::into)?;
                    JarRequest::heard(jar, response.headers());
                    return Poll::Ready(Ok(response.map(AuthBody::untouched)));
                }
                StageProj::Sending {
                    future,
                    attempt,
                    spare,
                } => {
                    let mut response = ready!(future.poll(cx)).map_err(Into::into)?;
                    let sent = attempt.as_mut().expect(ENDED);
                    sent.redact(response.headers_mut());
                    JarRequest::heard(jar, response.headers());
                    let view = ResponseView::new(response.status(), response.headers());
                    if sent.wants_body(&view) {
                        Stage::Judging {
                            response: Some(Judged::new(response, sent)),
                            attempt: attempt.take(),
                            spare: spare.take(),
                        }
                    } else {
                        let conclusion = sent.conclude(&view);
                        if conclusion == Conclusion::HandOn {
                            let hears = sent.wants_trailers(&view);
                            let response = kept_back(response, sent);
                            return Poll::Ready(Ok(hand_on(response, attempt, hears)));
                        }
                        let (before, spare) = (attempt.take().expect(ENDED), spare.take());
                        // This drops the future that responded, which may hold the body that is to
                        // be sent again.
                        state.set(Stage::Ended);
                        let next = not_handed_on::<S, R, B, ResB>(spare, before, conclusion);
                        let Some(next) = next else {
                            let response = response.map(AuthBody::untouched);
                            return Poll::Ready(Ok(rejected(response)));
                        };
                        next
                    }
                }
                StageProj::Judging {
                    response,
                    attempt,
                    spare,
                } => {
                    let judged = response.as_mut().expect(ENDED);
                    ready!(judged.body.poll_fill_until(judged.over.as_mut(), cx));
                    let Judged { head, body, .. } = *response.take().expect(ENDED);
                    let (sent, spare) = (attempt.take().expect(ENDED), spare.take());
                    let whole = body.whole();
                    let mut view = ResponseView::new(head.status, &head.headers);
                    if let Some(whole) = &whole {
                        view = view.with_body(whole);
                    }
                    let conclusion = sent.conclude(&view);
                    let response = Response::from_parts(head, AuthBody::judged(body));
                    if conclusion == Conclusion::HandOn {
                        return Poll::Ready(Ok(kept_back(response, &sent)));
                    }
                    let next = not_handed_on::<S, R, B, ResB>(spare, sent, conclusion);
                    let Some(next) = next else {
                        return Poll::Ready(Ok(rejected(response)));
                    };
                    next
                }
                StageProj::Getting { getting, ask, work } => {
                    let got = ready!(getting.as_mut().poll(cx));
                    let waiting = work.as_mut().expect(ENDED);
                    if let Some(renewal) = waiting.renewal.take() {
                        renewal.ended(&got, &waiting.credentials);
                    }
                    Stage::Readying {
                        obtained: got?,
                        ask: ask.not_renewed(),
                        work: work.take(),
                    }
                }
                StageProj::Readying {
                    obtained,
                    ask,
                    work,
                } => {
                    let waiting = work.as_mut().expect(ENDED);
                    match waiting.service.poll_ready(cx) {
                        Poll::Pending => {
                            waiting.waited = true;
                            return Poll::Pending;
                        }
                        Poll::Ready(ready) => ready.map_err(Into::into)?,
                    }
                    let obtained = Arc::clone(obtained);
                    send::<S, R, B, ResB>(work.take().expect(ENDED), obtained, *ask, jar)?
                }
                StageProj::Failed { error } => return Poll::Ready(Err(error.take().expect(ENDED))),
                StageProj::Ended => unreachable!("{ENDED}"),
            };
            state.set(next);
        }
    }
}

/// A response that rejected the credential. If it redirects, that leads to the login page.
fn rejected<B>(response: Response<B>) -> Response<B> {
    #[cfg(feature = "follow")]
    let response = NotFollowed::mark(response);
    response
}

/// A response that is handed on. A redirect that would take something of this session out of its
/// scope is not followed by a layer above, which knows nothing of it.
#[inline]
fn kept_back<B>(response: Response<B>, sent: &Attempt) -> Response<B> {
    #[cfg(feature = "follow")]
    if Chain::may_redirect(response.status()) {
        return kept_back_redirect(response, sent);
    }
    #[cfg(not(feature = "follow"))]
    let _ = sent;
    response
}

#[cfg(feature = "follow")]
#[cold]
fn kept_back_redirect<B>(response: Response<B>, sent: &Attempt) -> Response<B> {
    let (status, headers, none) = (response.status(), response.headers(), Secrets::default());
    if would_take_a_secret(status, headers, &none, sent.credentials()) {
        NotFollowed::mark(response)
    } else {
        response
    }
}

/// The response for the caller. The attempt goes along if it hears the trailers.
#[inline]
fn hand_on<B: Body<Data = Bytes>>(
    response: Response<B>,
    attempt: &mut Option<Attempt>,
    hears: bool,
) -> Response<AuthBody<B>> {
    if hears {
        let sent = attempt.take().expect(ENDED);
        response.map(|body| AuthBody::heard(body, sent))
    } else {
        response.map(AuthBody::untouched)
    }
}

const ENDED: &str = "a future is not polled after its end";

/// What follows a response that is not handed on, unless its request can't be sent once more. Then
/// the next request is to have what it lacked.
#[cold]
#[inline(never)]
fn not_handed_on<S, R, B, ResB>(
    spare: Option<R::Spare<S>>,
    before: Attempt,
    because: Conclusion,
) -> Option<StageOf<S, R, B, ResB>>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>> + Clone,
    ResB: Body<Data = Bytes>,
{
    let is_sent_again = matches!(because, Conclusion::Replay | Conclusion::Repair);
    let again = spare.filter(|_| is_sent_again).and_then(R::again);
    if again.is_none() && because == Conclusion::Repair {
        before.begin_repair();
    }
    Some(get_newer::<S, R, B, ResB>(again?, before, because))
}

fn get_newer<S, R, B, ResB>(
    again: Again<S, R::Body>,
    before: Attempt,
    because: Conclusion,
) -> StageOf<S, R, B, ResB>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>> + Clone,
    ResB: Body<Data = Bytes>,
{
    let ask = again.ask;
    let spare = R::keep(&again.request, &again.service, ask);
    let has_body = R::has_data(again.request.body()).unwrap_or(true);
    let work = Work::again(again, has_body, Some(spare), before, because);
    get::<S, R, B, ResB>(work, ask)
}

fn get<S, R, B, ResB>(work: WorkOf<S, R, B>, ask: Ask) -> StageOf<S, R, B, ResB>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>>,
    ResB: Body<Data = Bytes>,
{
    Stage::Getting {
        getting: work.get(ask),
        ask,
        work: Some(work),
    }
}

/// Sends the request with its service, which is ready, or asks for another credential if
/// `obtained` ended meanwhile.
fn send<S, R, B, ResB>(
    mut work: WorkOf<S, R, B>,
    obtained: Arc<Credential>,
    ask: Ask,
    jar: Option<&JarRequest>,
) -> Result<StageOf<S, R, B, ResB>, BoxError>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>> + Clone,
    ResB: Body<Data = Bytes>,
{
    let Some(credential) = work.newest(obtained) else {
        // A clone is not ready: the readiness is not held through another wait.
        work.service = work.service.clone();
        return Ok(get::<S, R, B, ResB>(work, ask));
    };
    let mut work = *work;
    let wants_head = Attempt::wants_request(&work.credentials, work.judge.as_ref());
    let head = wants_head.then(|| head_of(&work.request));
    attach::<R, B>(&credential, jar, &mut work.request)?;
    let attempt = work.attempt(&credential, head);
    let attempt = attempt.sent_to(|| target_of::<R, B>(&work.request));
    let (mut service, request) = (work.service, work.request);
    Ok(Stage::Sending {
        // A client begins the span of a request when it is called.
        future: match resend::span(&attempt) {
            Some(span) => span.in_scope(|| service.call(request)),
            None => service.call(request),
        },
        attempt: Some(attempt),
        spare: work.spare,
    })
}

impl<S, R, B, ResB> fmt::Debug for AuthFuture<S, R, B, ResB>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>>,
    ResB: Body<Data = Bytes>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            Stage::Passing { .. } => "passing",
            Stage::Sending { .. } => "sending",
            Stage::Judging { .. } => "judging",
            Stage::Getting { .. } => "getting",
            Stage::Readying { .. } => "readying",
            Stage::Failed { .. } => "failed",
            Stage::Ended => "ended",
        };
        f.debug_tuple("AuthFuture").field(&state).finish()
    }
}
