//! Puts a session on every request, and heals a rejected one.
//!
//! An API that one logs in to with an e-mail and a password gives a session that dies after a day, or after a week of
//! silence, or when the server feels like it; and locks out whoever logs in ten times a minute. The cache of [`auth_core`]
//! sees to the logins. This crate sees to the requests: it attaches the credential, reads from the answer whether the server
//! still takes it, and sends a rejected request once more with something newer. Callers see neither logins nor expiries.
//!
//! # With reqwest
//!
//! ```
//! use auth_middleware::{AuthMiddleware, redirect_policy};
//! use reqwest_middleware::ClientBuilder;
//! # use auth_core::{Credentials, LoginError, Session, testing::Scripted};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let provider = Scripted::new(|_| Ok::<_, LoginError>(Session::new().with_bearer("token")?));
//! let credentials = Credentials::new(provider);
//! let client = reqwest::Client::builder()
//!     .redirect(redirect_policy(credentials.scope().clone()))
//!     .build()?;
//! let client = ClientBuilder::new(client).with(AuthMiddleware::new(credentials)).build();
//!
//! let answer = client.get("https://elsewhere.invalid/").send().await;
//! assert!(answer.is_err(), "a foreign request passes untouched, here to nowhere");
//! # Ok(())
//! # }
//! ```
//!
//! # With tower
//!
//! ```
//! use auth_middleware::AuthLayer;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use auth_core::{Credentials, LoginError, Session, testing::Scripted};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), auth_middleware::BoxError> {
//! # let provider = Scripted::new(|_| Ok::<_, LoginError>(Session::new().with_bearer("token")?));
//! # let credentials = Credentials::new(provider);
//! // In a program this is a `hyper_util::client::legacy::Client`.
//! let client = service_fn(|request: Request<Full<Bytes>>| async move {
//!     assert_eq!(request.headers()["authorization"], "Bearer token");
//!     Ok::<_, std::convert::Infallible>(Response::new(Full::from("fine")))
//! });
//! let service = ServiceBuilder::new().layer(AuthLayer::new(credentials)).service(client);
//!
//! let request = Request::get("https://api.example.com/v3/me").body(Full::default())?;
//! let answer = service.oneshot(request).await?;
//! assert_eq!(answer.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! # The contract
//!
//! The numbers are those of the whole contract, which `auth_core` states.
//!
//! - **4** No readied service, permit or lock is held while a request waits for a login or for its answer. Where no fresh
//!   credential is at hand, and before a replay, the service is made ready anew after the wait: a login may share a
//!   `ConcurrencyLimit` of one with the requests that wait for it.
//! - **5** With a fresh credential and without replay, the tower layer allocates nothing of its own.
//! - **7** An answer speaks only of what its request carried. Where a reqwest client has followed a redirect to another origin of the
//!   scope, or away from a query secret, it is not judged.
//! - **8** A request is replayed once, with something newer than it was rejected with. Where the cache does not hold the login
//!   to be at fault, the answer goes out as it is.
//! - **9** The second answer is the one the caller gets. The second sending is a pristine copy of the request with the
//!   newer credential attached, body and all. A body that can't be sent twice isn't: the caller gets the first answer at once.
//! - **13** A request in scope that did not ask to skip is never sent without its credential: the caller gets a typed error,
//!   which [`auth_error`] finds with reqwest, and `downcast_ref::<auth_core::Error>()` with tower.
//! - **15** What was accepted counts from when the request was *sent*. Cookies that the answer sets roll or end the session,
//!   unless it was a rejection.
//! - **16** Foreign requests, and those without a host, pass untouched: nothing is attached, judged or replayed. Whether a request is
//!   foreign is decided by scheme, host and port. [`redirect_policy`] keeps a reqwest client from following a redirect out
//!   of the scope; where a client of yours does, it is reported and the answer is not judged.
//! - **17** No secret shows in what this crate prints. A query secret is in neither the URL of an answer of reqwest's nor in that of its
//!   errors, even after a redirect within the scope. `Set-Cookie` headers of judged answers are marked sensitive.
//! - **18** A login that is routed through its own front is [`auth_core::Error::LoginLoop`].
//!
//! # One request, or one task
//!
//! [`AuthContext`] says what a request wants otherwise: no credential, a renewed one, another identity's, another wait.
//! [`scope`] says it for all that a task sends.
//!
//! # Cancel safety
//!
//! Dropping a request's future cancels that request, be it on its way, waiting for a login or between its two tries. The
//! login goes on for whoever else waits, and its session is kept.
//!
//! # Order
//!
//! A retry belongs outside: `.with(retry).with(AuthMiddleware::new(credentials))`, or with tower the retry's layer first. Then each try
//! carries the credential of its own moment. The feature `reqwest-retry` brings `AuthRetryStrategy`, which knows our errors. Never
//! put a retry under the login: the cache decides when the next login may be tried.
//!
//! tower-http's `FollowRedirect` belongs outside, too: each hop is then judged by its own URL, and carries a credential only in scope.
//!
//! What logs requests belongs outside too. What is inside sees the credential.
//!
//! Decompression belongs inside: a judge that reads an answer's body reads it as it comes.
//!
//! # Limits
//!
//! - Below the middleware, reqwest follows redirects by itself; see [`redirect_policy`].
//! - A judge that wants bodies gets them up to [`auth_core::MAX_JUDGED_BODY`]. Until that much has come, or all of it, the caller waits
//!   for its answer; only the caller's own time-out bounds that.
//! - The client's own time-outs begin anew with the second try. With reqwest, a request's
//!   own time-out does not: what waits for a credential and the first try took is gone.
//! - A client with a cookie jar of its own mixes the sessions of identities that share it. Leave the jar out: a session's cookie
//!   is kept here.
//! - A login that is routed through its own front is a typed error. One that is routed through another identity's, whose login is
//!   routed through the first one's, is not recognised, and ends with the login's time-out.
//! - What the tower front hands on is an [`AuthBody`], which costs a discriminant beside the body itself.
//!
//! # Features
//!
//! `reqwest` and `tower`, both on by default, and `reqwest-retry`. With none of them there is only the context.
#![cfg_attr(
    not(all(feature = "reqwest", feature = "tower")),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "links to what a feature brings are dead without it"
    )
)]

#[cfg(any(feature = "reqwest", feature = "tower"))]
mod admission;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod body;
mod context;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod target;
#[cfg(feature = "tower")]
mod tower;

#[cfg(feature = "reqwest-retry")]
pub use self::reqwest::AuthRetryStrategy;
#[cfg(feature = "reqwest")]
pub use self::reqwest::{AuthMiddleware, auth_error, redirect_policy};
#[cfg(feature = "tower")]
pub use self::tower::{
    Auth, AuthFuture, AuthLayer, BoxError, Buffering, Cloning, NoReplay, ReplayMode,
};
#[cfg(feature = "tower")]
pub use body::{AuthBody, ReplayBody};
pub use context::AuthContext;

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "reqwest", feature = "tower"))]
#[doc = include_str!("../README.md")]
struct Readme;
