//! What the integrations of one stack tell each other about redirects. Each knows what must not
//! leave its own scope, and nothing of what another has put on the request.

#[cfg(feature = "reqwest")]
use std::cell::Cell;
#[cfg(feature = "reqwest")]
use std::pin::Pin;
#[cfg(feature = "reqwest")]
use std::ptr;
#[cfg(feature = "reqwest")]
use std::task::{Context, Poll};

use http::Extensions;

/// In the extensions of a request and all its hops: the integration above has put its credential on
/// the request, and follows its redirects or hands them on, so that one below does not.
#[cfg(feature = "follow")]
#[derive(Clone, Copy)]
pub(crate) struct FollowedAbove;

#[cfg(feature = "follow")]
impl FollowedAbove {
    pub(crate) fn is_in(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }
}

#[cfg(feature = "reqwest")]
thread_local! {
    /// The request whose redirects are followed above what is being polled.
    static FOLLOWED: Cell<Option<Chained>> = const { Cell::new(None) };
}

/// A request of reqwest-middleware, by the address of its extensions: the middlewares of a chain
/// are given the same ones. A mark within them would cost each request two allocations, because
/// they are empty as a rule.
#[cfg(feature = "reqwest")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chained(usize);

#[cfg(feature = "reqwest")]
impl Chained {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        Self(ptr::from_ref(extensions).addr())
    }

    /// Whether a middleware above follows its redirects. To be asked while the chain is polled.
    pub(crate) fn is_followed_above(self) -> bool {
        FOLLOWED.get() == Some(self)
    }

    /// The rest of the chain, below a middleware that follows the redirects of the request.
    pub(crate) fn followed<F: Future + Unpin>(self, rest: F) -> Followed<F> {
        Followed {
            request: self,
            rest,
        }
    }
}

#[cfg(feature = "reqwest")]
pub(crate) struct Followed<F> {
    request: Chained,
    rest: F,
}

#[cfg(feature = "reqwest")]
impl<F: Future + Unpin> Future for Followed<F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        /// What is being polled around this, which may be another chain.
        struct Around(Option<Chained>);

        impl Drop for Around {
            fn drop(&mut self) {
                FOLLOWED.set(self.0);
            }
        }

        let _around = Around(FOLLOWED.replace(Some(self.request)));
        Pin::new(&mut self.rest).poll(cx)
    }
}

/// In the extensions of a response: a redirect that is not to be followed, by an integration above
/// either. It leads to the login page, or it would take something away.
#[derive(Clone, Copy)]
pub(crate) struct NotFollowed;

impl NotFollowed {
    /// Marks a response that redirects.
    #[cfg(feature = "follow")]
    pub(crate) fn mark<B>(mut response: http::Response<B>) -> http::Response<B> {
        if super::Chain::may_redirect(response.status()) {
            response.extensions_mut().insert(Self);
        }
        response
    }

    pub(crate) fn is_in(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }
}
