//! One request of the tower front, as states.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use auth_core::{Answer, Ask, Credential, Credentials, Error, Judge};
use bytes::Bytes;
use http::response::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{AuthBody, BoxError};
use crate::context::Renewal;
use crate::peeked::Peeked;
use crate::replay::{Again, ReplayMode};
use crate::verdict::{Outcome, Sent};

pin_project! {
    /// The future of [`Auth`](crate::Auth). With a fresh credential it allocates nothing of its own, unless a judge wants
    /// the answer's body.
    pub struct AuthFuture<S, R, B, ResB>
    where
        R: ReplayMode<B>,
        S: Service<Request<R::Body>>,
        ResB: Body<Data = Bytes>,
    {
        #[pin]
        state: StateOf<S, R, B, ResB>,
    }
}

type StateOf<S, R, B, ResB> = State<
    <S as Service<Request<<R as ReplayMode<B>>::Body>>>::Future,
    <R as ReplayMode<B>>::Spare<S>,
    WorkOf<S, R, B>,
    Peeked<ResB>,
>;

type WorkOf<S, R, B> = Box<Work<S, <R as ReplayMode<B>>::Body, <R as ReplayMode<B>>::Spare<S>>>;

/// A credential on its way. It is boxed: only where none was at hand does it cost an allocation.
type Getting = Pin<Box<dyn Future<Output = Result<Arc<Credential>, Error>> + Send>>;

pin_project! {
    #[project = StateProj]
    enum State<F, Spare, Work, Body> {
        // Waiting for the inner service to answer a request that is none of our business.
        Passing { #[pin] future: F },
        // Waiting for the inner service to answer a request that carries a credential. `spare` is there on the first try.
        Sending { #[pin] future: F, sent: Option<Sent>, spare: Option<Spare> },
        // Waiting for as much of the answer's body as the judge may read.
        Judging { answer: Option<Box<Judged<Body>>>, sent: Option<Sent>, spare: Option<Spare> },
        // Waiting for a credential. Nothing of the inner service is held that anybody could wait for.
        Getting { getting: Getting, work: Option<Work> },
        // Waiting for a clone of the inner service to be ready.
        Readying { obtained: Arc<Credential>, work: Option<Work> },
        // Waiting for nothing: the request could not be sent.
        Failed { error: Option<BoxError> },
        // Between two states, and after the last.
        Ended,
    }
}

/// An answer whose body the judge wants to read.
struct Judged<Body> {
    head: Parts,
    body: Box<Body>,
    sets_cookies: bool,
}

/// A pristine request that waits to be sent.
pub(super) struct Work<S, B, Spare> {
    service: S,
    request: Request<B>,
    /// For a second try; none, if this is it.
    spare: Option<Spare>,
    credentials: Credentials,
    judge: Option<Arc<dyn Judge>>,
    ask: Ask,
    /// Whether readiness took a while, in which a credential may have died.
    waited: bool,
    asked_again: bool,
    /// A renewal that was asked for, and given back if it is not done.
    renewal: Option<Renewal>,
}

impl<S, B, Spare> Work<S, B, Spare> {
    pub(super) fn first(
        service: S,
        request: Request<B>,
        spare: Spare,
        credentials: Credentials,
        judge: Option<Arc<dyn Judge>>,
        ask: Ask,
        renewal: Option<Renewal>,
    ) -> Box<Self> {
        Box::new(Self {
            service,
            request,
            spare: Some(spare),
            credentials,
            judge,
            ask,
            waited: false,
            asked_again: false,
            renewal,
        })
    }

    fn again(again: Again<S, B>, sent: Sent) -> Box<Self> {
        let (credentials, judge) = sent.into_parts();
        Box::new(Self {
            service: again.service,
            request: again.request,
            spare: None,
            credentials,
            judge,
            ask: again.ask,
            waited: false,
            asked_again: false,
            renewal: None,
        })
    }

    fn get(&self, ask: Ask) -> Getting {
        let credentials = self.credentials.clone();
        Box::pin(async move { credentials.get_with(ask).await })
    }

    /// What to send with, now that there is nothing left to wait for: the newest that is good. None, if the credential
    /// died while the service was made ready: once if it expired, since with very short lives that could go on for ever, and
    /// always if it was rejected, since such a one is never sent again.
    fn newest(&mut self, obtained: Arc<Credential>) -> Option<Arc<Credential>> {
        if !self.waited {
            return Some(obtained);
        }
        if let Some(newest) = self.credentials.peek() {
            return Some(newest);
        }
        if self.asked_again && !self.credentials.was_rejected(&obtained) {
            return Some(obtained);
        }
        self.asked_again = true;
        self.waited = false;
        None
    }
}

impl<S, R, B, ResB> AuthFuture<S, R, B, ResB>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>>,
    ResB: Body<Data = Bytes>,
{
    pub(super) const fn passing(future: S::Future) -> Self {
        Self {
            state: State::Passing { future },
        }
    }

    pub(super) const fn sending(future: S::Future, sent: Sent, spare: R::Spare<S>) -> Self {
        Self {
            state: State::Sending {
                future,
                sent: Some(sent),
                spare: Some(spare),
            },
        }
    }

    pub(super) fn getting(work: WorkOf<S, R, B>, ask: Ask) -> Self {
        Self {
            state: State::Getting {
                getting: work.get(ask),
                work: Some(work),
            },
        }
    }

    pub(super) fn failed(error: impl Into<BoxError>) -> Self {
        Self {
            state: State::Failed {
                error: Some(error.into()),
            },
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
        let answer = self.as_mut().proceed(cx);
        if answer.is_ready() {
            // What has answered, or failed, may hold a permit, for as long as somebody holds this.
            self.project().state.set(State::Ended);
        }
        answer
    }
}

impl<S, R, B, ResB> AuthFuture<S, R, B, ResB>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>, Response = Response<ResB>> + Clone,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes>,
{
    /// Goes from state to state until there is something to wait for, or an end.
    #[inline]
    fn proceed(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<AuthBody<ResB>>, BoxError>> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Passing { future } => {
                    let answer = ready!(future.poll(cx)).map_err(Into::into)?;
                    return Poll::Ready(Ok(answer.map(AuthBody::untouched)));
                }
                StateProj::Sending {
                    future,
                    sent,
                    spare,
                } => {
                    let mut answer = ready!(future.poll(cx)).map_err(Into::into)?;
                    let told = sent.as_ref().expect(ENDED);
                    let sets_cookies = told.hide(answer.headers_mut());
                    if told.wants_body(answer.status()) {
                        let (head, body) = answer.into_parts();
                        State::Judging {
                            answer: Some(Box::new(Judged {
                                head,
                                body: Box::new(Peeked::new(body)),
                                sets_cookies,
                            })),
                            sent: sent.take(),
                            spare: spare.take(),
                        }
                    } else {
                        let view = Answer::new(answer.status(), answer.headers());
                        if told.conclude(&view, sets_cookies) == Outcome::HandOn {
                            return Poll::Ready(Ok(answer.map(AuthBody::untouched)));
                        }
                        let (sent, spare) = (sent.take().expect(ENDED), spare.take());
                        // The answered future goes first: it may hold the body that is to be sent again.
                        state.set(State::Ended);
                        let Some(again) = again::<S, R, B>(spare) else {
                            return Poll::Ready(Ok(answer.map(AuthBody::untouched)));
                        };
                        get_newer::<S, R, B, ResB>(Work::again(again, sent))
                    }
                }
                StateProj::Judging {
                    answer,
                    sent,
                    spare,
                } => {
                    ready!(answer.as_mut().expect(ENDED).body.poll_fill(cx));
                    let Judged {
                        head,
                        body,
                        sets_cookies,
                    } = *answer.take().expect(ENDED);
                    let (sent, spare) = (sent.take().expect(ENDED), spare.take());
                    let whole = body.whole();
                    let mut view = Answer::new(head.status, &head.headers);
                    if let Some(whole) = &whole {
                        view = view.with_body(whole);
                    }
                    let outcome = sent.conclude(&view, sets_cookies);
                    let spare = spare.filter(|_| outcome == Outcome::Replay);
                    let Some(again) = again::<S, R, B>(spare) else {
                        let answer = Response::from_parts(head, AuthBody::judged(body));
                        return Poll::Ready(Ok(answer));
                    };
                    get_newer::<S, R, B, ResB>(Work::again(again, sent))
                }
                StateProj::Getting { getting, work } => {
                    let obtained = ready!(getting.as_mut().poll(cx))?;
                    if let Some(renewal) = work.as_mut().and_then(|work| work.renewal.take()) {
                        renewal.done();
                    }
                    State::Readying {
                        obtained,
                        work: work.take(),
                    }
                }
                StateProj::Readying { obtained, work } => {
                    let waiting = work.as_mut().expect(ENDED);
                    match waiting.service.poll_ready(cx) {
                        Poll::Pending => {
                            waiting.waited = true;
                            return Poll::Pending;
                        }
                        Poll::Ready(ready) => ready.map_err(Into::into)?,
                    }
                    let obtained = Arc::clone(obtained);
                    send::<S, R, B, ResB>(work.take().expect(ENDED), obtained)?
                }
                StateProj::Failed { error } => {
                    return Poll::Ready(Err(error.take().expect(ENDED)));
                }
                StateProj::Ended => unreachable!("{ENDED}"),
            };
            state.set(next);
        }
    }
}

const ENDED: &str = "a future is not polled after its end";

/// The second try, if the request can be sent twice.
fn again<S, R: ReplayMode<B>, B>(spare: Option<R::Spare<S>>) -> Option<Again<S, R::Body>> {
    R::again(spare?)
}

fn get_newer<S, R, B, ResB>(work: WorkOf<S, R, B>) -> StateOf<S, R, B, ResB>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>>,
    ResB: Body<Data = Bytes>,
{
    State::Getting {
        getting: work.get(work.ask),
        work: Some(work),
    }
}

/// Sends with a service that is ready.
fn send<S, R, B, ResB>(
    mut work: WorkOf<S, R, B>,
    obtained: Arc<Credential>,
) -> Result<StateOf<S, R, B, ResB>, BoxError>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>> + Clone,
    ResB: Body<Data = Bytes>,
{
    let Some(credential) = work.newest(obtained) else {
        // Its readiness isn't held through another wait.
        work.service = work.service.clone();
        return Ok(get_newer::<S, R, B, ResB>(work));
    };
    let mut work = *work;
    credential.attach(&mut work.request)?;
    let replay = work.spare.is_none();
    let sent = Sent::now(work.credentials, work.judge, &credential, replay);
    Ok(State::Sending {
        future: work.service.call(work.request),
        sent: Some(sent),
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
            State::Passing { .. } => "passing",
            State::Sending { .. } => "sending",
            State::Judging { .. } => "judging",
            State::Getting { .. } => "getting",
            State::Readying { .. } => "readying",
            State::Failed { .. } => "failed",
            State::Ended => "ended",
        };
        f.debug_tuple("AuthFuture").field(&state).finish()
    }
}
