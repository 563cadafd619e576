//! The layer that a program would write for itself, once a session is there.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use auth_benches::ByHand;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode, Uri};
use tower::Service;

/// Attaches the shared header to requests of one origin, unless it has expired, and notes that a
/// response rejected it. It gets no other one: the time of a request is what counts here.
#[derive(Clone)]
pub struct Authorizing<S> {
    inner: S,
    session: Arc<Session>,
}

struct Session {
    origin: Uri,
    header: ByHand,
    is_over: AtomicBool,
}

impl<S> Authorizing<S> {
    pub fn new(inner: S, origin: Uri, token: &str) -> Self {
        let session = Session {
            origin,
            header: ByHand::new(token),
            is_over: AtomicBool::new(false),
        };
        Self {
            inner,
            session: Arc::new(session),
        }
    }
}

impl<S, B, ResB> Service<Request<B>> for Authorizing<S>
where
    S: Service<Request<B>, Response = Response<ResB>, Future: Unpin>,
{
    type Response = Response<ResB>;
    type Error = S::Error;
    type Future = Judging<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (session, uri) = (&self.session, request.uri());
        let (scheme, authority) = (session.origin.scheme(), session.origin.authority());
        let is_in_scope = uri.scheme() == scheme && uri.authority() == authority;
        let header = if is_in_scope && !session.is_over.load(Relaxed) {
            session.header.get()
        } else {
            None
        };
        let sent = header.map(|header| {
            request.headers_mut().insert(AUTHORIZATION, header);
            Arc::clone(session)
        });
        Judging {
            response: self.inner.call(request),
            sent,
        }
    }
}

pub struct Judging<F> {
    response: F,
    sent: Option<Arc<Session>>,
}

impl<F, B, E> Future for Judging<F>
where
    F: Future<Output = Result<Response<B>, E>> + Unpin,
{
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.response).poll(cx));
        if let (Ok(response), Some(sent)) = (&response, &self.sent)
            && response.status() == StatusCode::UNAUTHORIZED
        {
            sent.is_over.store(true, Relaxed);
        }
        Poll::Ready(response)
    }
}
