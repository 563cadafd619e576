//! The configuration.

use std::fmt;

use tower_layer::Layer;

use super::Follow;
use crate::redirect::Redirects;
use crate::tower::AuthLayer;

/// An [`AuthLayer`] that follows redirects. Created by [`AuthLayer::follow_redirects`].
#[derive(Clone)]
pub struct FollowLayer<R> {
    auth: AuthLayer<R>,
    redirects: Redirects,
}

impl<R> AuthLayer<R> {
    /// Follows redirects, as [`Redirects`] says. Without it, the caller gets each redirect, as with
    /// hyper's client.
    ///
    /// Use this in place of the `FollowRedirect` of tower-http, which does not know the credential:
    /// outside this layer it drops the [`AuthContext`](crate::AuthContext) of a request, and inside
    /// it sends what the request carries to other hosts.
    ///
    /// A body that is sent empty after a redirect is made by `Default`. With [`Cloning`] and
    /// [`InMemory`], a redirect that [repeats the body](Redirects) is followed. With the other
    /// [replay modes](crate::ReplayMode) the caller gets such a redirect, unless the body is empty.
    ///
    /// ```
    /// use auth_middleware::{AuthLayer, Redirects};
    /// use tower::ServiceBuilder;
    ///
    /// # fn example(credentials: auth_core::Credentials) {
    /// # let client = ();
    /// let service = ServiceBuilder::new()
    ///     .layer(AuthLayer::new(credentials).follow_redirects(Redirects::new()))
    ///     .service(client);
    /// # let _ = service;
    /// # }
    /// ```
    ///
    /// [`Cloning`]: crate::Cloning
    /// [`InMemory`]: crate::InMemory
    pub fn follow_redirects(self, redirects: Redirects) -> FollowLayer<R> {
        FollowLayer {
            auth: self,
            redirects,
        }
    }
}

impl<S, R: Clone> Layer<S> for FollowLayer<R> {
    type Service = Follow<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Follow::new(self.auth.layer(inner), self.redirects.clone())
    }
}

impl<R: fmt::Debug> fmt::Debug for FollowLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowLayer")
            .field("auth", &self.auth)
            .field("redirects", &self.redirects)
            .finish()
    }
}
