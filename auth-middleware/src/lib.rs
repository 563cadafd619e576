//! Attaches the credential of a session to every request, and recovers from a rejected one.
//!
//! An API without API keys has a login: e-mail address and password in, session out. The session
//! expires after a day or after a week of inactivity, or the server revokes it earlier. A program
//! that logs in again in each task then exceeds the limit of the login server, for example ten
//! logins a minute. So the requests of a program have to share one session, and notice together
//! that it has ended.
//!
//! The cache of [`auth_core`] logs in and keeps the session. This crate connects the cache with an
//! HTTP client. It attaches the credential to each request, reads from the response whether the
//! server still accepts it, and sends a rejected request once more with a newer credential. Callers
//! see no login and no expiry. They see a 401 only if a new session would not help, or if the
//! request can't be sent twice.
//!
//! The [guide] shows each use, from a quick start to tests of one's own.
//!
//! # With reqwest
//!
//! ```
//! use auth_middleware::AuthMiddleware;
//! use reqwest_middleware::ClientBuilder;
//! # use auth_core::{Credentials, LoginError, Session, testing::Scripted};
//! # use reqwest::{Request, Response, ResponseBuilderExt};
//! # use reqwest_middleware::{Error, Middleware, Next, Result};
//! #
//! # // The server, in place of the network. It has revoked the first session.
//! # struct Server;
//! #
//! # #[async_trait::async_trait]
//! # impl Middleware for Server {
//! #     async fn handle(
//! #         &self,
//! #         request: Request,
//! #         _: &mut http::Extensions,
//! #         _: Next<'_>,
//! #     ) -> Result<Response> {
//! #         let revoked = request.headers()["authorization"] == "Bearer token-1";
//! #         let response = http::Response::builder()
//! #             .status(if revoked { 401 } else { 200 })
//! #             .url(request.url().clone())
//! #             .body("");
//! #         Ok(response.map_err(Error::middleware)?.into())
//! #     }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! # let provider = Scripted::new(|number| {
//! #     Ok::<_, LoginError>(Session::new().with_bearer(&format!("token-{number}"))?)
//! # });
//! let credentials = Credentials::new(provider);
//! # let current = credentials.clone();
//! let (client, auth) = AuthMiddleware::with_client(reqwest::Client::builder(), credentials)?;
//! let client = ClientBuilder::new(client)
//!     .with(auth)
//! #   .with(Server)
//!     .build();
//!
//! // The server has revoked the session: the middleware logs in and sends the request again.
//! let response = client.get("https://api.example.com/v3/me").send().await?;
//! assert_eq!(response.status(), 200);
//! # assert_eq!(current.get().await?.stamp().generation(), 2);
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
//! # let provider = Scripted::new(|number| {
//! #     Ok::<_, LoginError>(Session::new().with_bearer(&format!("token-{number}"))?)
//! # });
//! # let credentials = Credentials::new(provider);
//! // In a program, this is a client such as `hyper_util::client::legacy::Client`.
//! let client = service_fn(|request: Request<Full<Bytes>>| async move {
//!     // The server has revoked the first session.
//!     let revoked = request.headers()["authorization"] == "Bearer token-1";
//!     let status = if revoked { 401 } else { 200 };
//!     Response::builder().status(status).body(Full::<Bytes>::default())
//! });
//! let service = ServiceBuilder::new().layer(AuthLayer::new(credentials)).service(client);
//!
//! let request = Request::get("https://api.example.com/v3/me").body(Full::default())?;
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! # The contract
//!
//! The contract of the whole family is in `auth_core`. These are its rules that the integrations
//! keep, with its numbers.
//!
//! - **4** While a request waits for a login or a repair, it holds no lock, no permit and no ready
//!   service. Without a fresh credential, and before a replay, the service is made ready after the
//!   wait. So a login may share a `ConcurrencyLimit` of one with the requests that wait for it.
//! - **5** With a fresh credential and [without replay](AuthLayer::without_replay), the tower layer
//!   allocates nothing of its own. A query pair, a `Cookie` header that is merged or holds only
//!   some of the session's cookies, and a judge that reads bodies allocate what they need.
//! - **7** A response can reject only what its request carried, and one to a request that carries
//!   nothing of the session says nothing of it. Each hop of a redirect is judged by its own URL. A
//!   response that a client brings from another URL than the one that was sent is not judged; a
//!   fragment is not sent. A body is read ahead only if the [judge wants
//!   it](auth_core::Judge::wants_body) by its head, and an event stream never: its first event
//!   reaches the caller at once.
//! - **8** A rejected request is sent once more, with a newer credential. If another login would
//!   not help, the caller gets the rejection. A request that [lacks a part of the
//!   session](auth_core::Verdict::NeedsRepair) is sent once more with that part. One that would
//!   carry a part that is [missing](auth_core::Part#fetched-parts) is sent once the part has been
//!   fetched, at each hop and before each attempt. If a part can't be fetched, the caller gets the
//!   error.
//! - **9** The caller gets the last response, of three attempts at most: one more for a rejection,
//!   and one more for a repair. Each is a pristine copy of the request, body included, with the
//!   newer credential attached. If the body can't be sent twice, the caller gets the first response
//!   at once, and the next request finds a new session. A body that a tower layer
//!   [keeps](AuthLayer::buffered) is sent twice and no more often. A rejection in
//!   [trailers](auth_core::Judge::wants_trailers) is heard by the tower integration, and comes too
//!   late to send the request once more. A request whose method a redirect has changed has been
//!   done: with reqwest an error of a later hop says so, and `AuthRetryStrategy` does not retry it.
//! - **13** A request in scope is never sent without its credential, nor without a part of it that
//!   is to be fetched, unless its context [skips](AuthContext::skip) it, or it is a hop of a
//!   request that began out of the scope. If there is no credential, before the first attempt or
//!   before a replay, the caller gets an [`auth_core::Error`]. [`auth_error`] finds it with
//!   reqwest, and `downcast_ref::<auth_core::Error>()` with tower.
//! - **15** The idle time of an accepted session counts from when its request was *sent*. Cookies
//!   are sent to the hosts and paths that they were set for. Those that a response sets roll or end
//!   the session, whatever its status, unless the verdict is
//!   [rejected](auth_core::Verdict::Rejected) or [unclear](auth_core::Verdict::Unclear), or the
//!   status is 407, 502, 503, 504 or 511. So do the [values](auth_core::Provider::update) that the
//!   provider reads from it.
//! - **16** A request to an origin outside the credential's scope, or without a host, passes
//!   untouched: nothing is attached, judged or replayed. An origin is scheme, host and port. The
//!   first such request to each of up to 8 origins is a warning that says how it misses the scope,
//!   and [`Status::out_of_scope`](auth_core::Status::out_of_scope) counts them all. A tower layer
//!   may name the [origin](AuthLayer::origin) of requests without a host. It completes their URIs.
//!   Redirects are followed by the integration, hop by hop, as [`Redirects`] says: off the scope
//!   goes nothing of the credential. If the client has left the scope by itself, the request fails
//!   with [`RedirectError::LeftScope`]. A part with a [condition](auth_core::When) goes by the
//!   method and the path of each hop.
//! - **17** Nothing that this crate prints contains a secret. A query secret is removed from the
//!   URLs of reqwest's responses and errors, also after a redirect within the scope. After a
//!   redirect, so is what keeps [`Redirects`] from following one, and a header of the response that
//!   holds it, such as the `Location`, is marked sensitive. A short one is looked for as
//!   [`Redirects`] says. `Set-Cookie` headers of judged responses are marked
//!   sensitive, and those that the [provider names](auth_core::Provider::secret_headers).
//! - **18** A login that is routed through its own integration fails with
//!   [`auth_core::Error::LoginLoop`].
//!
//! # Choices for one request
//!
//! An [`AuthContext`] in a request's extensions makes the request skip the integration, gives it
//! the credential of another identity, or says by an [`Ask`](auth_core::Ask) how to get the
//! credential: renewed, or within a shorter wait. It also says that a request must not be sent
//! twice. [`AuthContext::apply_to`] makes the same choices for every request that a future sends.
//!
//! # Fields of the body
//!
//! Some APIs want the session in the body of each request: a [JSON
//! field](auth_core::Part::json_field) or a [form field](auth_core::Part::form_field). With the
//! feature `body-fields`, both integrations set it on a copy of the body, each time that the
//! request is sent: at first, in a replay with the newer value, and at each hop of a redirect that
//! is in scope and keeps the body. A `Content-Length` that the caller has stated is corrected.
//!
//! ```
//! # #[cfg(feature = "body-fields")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), auth_middleware::BoxError> {
//! use auth_core::{Credentials, Part, Session};
//! use auth_middleware::AuthLayer;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use auth_core::testing::Scripted;
//!
//! // In a program, a provider logs in.
//! let provider = Scripted::new(|_| {
//!     Ok(Session::new().with_part(Part::json_field("/params/0", "c1a8"))?)
//! });
//! // And this is a client.
//! let client = service_fn(|request: Request<Full<Bytes>>| async move {
//!     Ok::<_, std::convert::Infallible>(Response::new(request.into_body()))
//! });
//! let service = ServiceBuilder::new()
//!     .layer(AuthLayer::new(Credentials::new(provider)).in_memory())
//!     .service(client);
//!
//! let request = Request::post("https://api.example.com/ubus")
//!     .header("content-type", "application/json")
//!     .body(r#"{"method":"call","params":["","system","board",{}]}"#.into())?;
//! let echo = service.oneshot(request).await?.into_body().collect().await?.to_bytes();
//! assert_eq!(echo, r#"{"method":"call","params":["c1a8","system","board",{}]}"#);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "body-fields"))]
//! # fn main() {}
//! ```
//!
//! - **Which bodies.** All of the body must be in memory, at most [`MAX_EDITED_BODY`] bytes of it,
//!   and not encoded. With reqwest that is a body of bytes or text, such as that of
//!   `RequestBuilder::json`. With tower, [`AuthLayer::in_memory`] takes bodies such as
//!   `Full<Bytes>`, and [`AuthLayer::buffered`] any that tells its exact length and has all of its
//!   frames at hand. The other modes send no request that would have a field.
//! - **JSON.** The `Content-Type` is `application/json`, `application/json-rpc`,
//!   `application/jsonrequest` or ends in `+json`. The field is a string. It replaces what is at
//!   its pointer, or is added to the object; and to an array where the index is its length, or `-`.
//!   What the pointer leads through must be there. Every other byte of the body stays as it is:
//!   keys keep their order, and numbers their digits. Of two members with one name, the last is
//!   meant.
//! - **Batches.** In a body that is an array, a pointer that begins with a name, such as `/auth`,
//!   is of each element: each request of a JSON-RPC batch has the session. An empty batch has no
//!   place for it. A pointer that begins with an index is of the array.
//! - **Forms.** The `Content-Type` is `application/x-www-form-urlencoded`. Pairs of the field's
//!   name are dropped, and the field is the last pair.
//! - **Both.** If a session has fields of both kinds, a body has those of its own.
//! - **No body, no field.** A request without a body, or with an empty one, goes without the field,
//!   whatever its method is.
//! - **Errors.** Any other request is not sent: its caller gets a [`BodyFieldError`] that says what
//!   to do. Give the part a [condition](auth_core::When) if only some paths want it. Without the
//!   feature, each request that would have a field gets one.
//! - **Redirects.** A hop off the scope has the body as the caller wrote it.
//! - A header that is made of the body's bytes, such as `Content-Digest`, is not made anew.
//!
//! # Replay with tower
//!
//! By default a request is [cloned](Cloning) before it is sent. For bodies that are not `Clone`,
//! [`AuthLayer::buffered`] keeps what is sent of the body, up to a limit, and
//! [`AuthLayer::without_replay`] sends no request twice. [`AuthLayer::in_memory`] clones, and looks
//! into bodies for [fields](#fields-of-the-body).
//!
//! # gRPC
//!
//! [`GrpcJudge`] reads `grpc-status`, and says which calls are sent once more. A stack over a tonic
//! `Channel` has relative URIs: name their [origin](AuthLayer::origin). [`grpc_code`] tells a
//! client what a login that fails is to gRPC: a refused password is `UNAUTHENTICATED`.
//!
//! # Order of layers
//!
//! | | place | reason |
//! |---|---|---|
//! | retry | outside | each attempt carries the credential that is current when it is sent |
//! | `FollowRedirect` of tower-http | in its place, [`AuthLayer::follow_redirects`] | outside, it drops the context of a request; inside, it takes the credential to other hosts |
//! | logging of requests | outside | a layer inside sees the credential |
//! | decompression | inside | a judge reads no body that is still encoded |
//!
//! Outside means added before the integration: `.with(retry).with(auth)`, or the first layer of a
//! `ServiceBuilder`. `AuthRetryStrategy`, of the feature `reqwest-retry`, classifies the errors of
//! auth-core. Do not retry a login itself: the cache decides when the next login may be sent.
//!
//! # Tracing
//!
//! A request that is sent once more is sent in a span `auth.replay` of the level `INFO`. Its field
//! `http.request.resend_count` is 1, or 2 after both a rejection and a repair. The spans of a
//! reqwest client are below it. So are those that a tower service begins when it is called; one
//! that it begins later, when its future is polled, is not.
//!
//! # Cancel safety
//!
//! Dropping the future of a request cancels that request only, whether it waits for a login or for
//! a response. A login that it waited for goes on for the other waiters, and its session is kept.
//!
//! # Limits
//!
//! - A body goes along with a redirect by 307 or 308, to another origin as well, as in a browser,
//!   and that of a method other than `POST` with one by 301 or 302, too.
//!   [`Redirects::within_scope`] follows no redirect out of the scope.
//! - The default headers of a reqwest client go to every host that a request is sent to. A redirect
//!   that would take one away which [stays at its origin](Redirects) is not followed. Those of a
//!   client under [`AuthMiddleware::assuming_no_redirects`] can't be seen.
//! - A judge that reads bodies gets those of up to [`auth_core::MAX_JUDGED_BODY`] bytes. The caller
//!   gets the response when the body that its judge wants, or so much of it, has arrived, and after
//!   [`auth_core::MAX_JUDGED_TIME`] at the latest. A judge that wants a body without a
//!   `Content-Length` holds a slow one back that long, the first part with the rest. Outside any
//!   tokio runtime there is no timer, and only the caller's time-out bounds the wait. A body that a
//!   judge does not want, or may not [read](auth_core::Judge::wants_body), waits for nothing.
//! - A client that decompresses takes the `Content-Length` away, so a judge that wants only bodies
//!   with a length sees none that were compressed. An answer that is compressed and not
//!   decompressed below is judged by its head.
//! - A retry around a tower stack that follows redirects can't see that a `POST` was answered 303
//!   and has been done, if the `GET` that follows fails. Let it repeat only requests with a method
//!   that may be repeated.
//! - A client's time-outs begin anew with each attempt. The time-out of a single reqwest request
//!   does not: it covers all attempts and the waits before them.
//! - A client with a cookie jar of its own mixes the sessions of identities that share it.
//!   [`AuthMiddleware::with_client`] takes the jar away, and [`AuthMiddleware::for_client`] refuses
//!   the client. Give a jar to the integration, as a [`CookieJar`]; the cache keeps the cookies of
//!   a session.
//! - If the login of one identity is routed through the integration of another, and the login of
//!   the other through that of the first, the loop is not detected. It ends with the time-out of
//!   the login.
//! - The tower integration returns responses with an [`AuthBody`], which adds a discriminant to the
//!   inner body.
//!
//! # Other clients
//!
//! A client that blocks, such as ureq, sends through
//! [`Credentials::blocking_send`](auth_core::Credentials::blocking_send). A generated client that
//! takes a `reqwest::Client` only has hooks: the example `generated_client` shows what they can do.
//!
//! Both integrations are made of [`auth_core::Attempt`]s. An attempt records which credential a
//! request carries. Its [`conclude`](auth_core::Attempt::conclude) turns a
//! [`ResponseView`](auth_core::ResponseView) into a [`Conclusion`](auth_core::Conclusion). Use it
//! to write an integration for another client.
//!
//! # Features
//!
//! - `reqwest` (default): [`AuthMiddleware`], [`auth_error`], [`redirect_error`] and
//!   [`body_field_error`].
//! - `tower` (default): [`AuthLayer`] and its service.
//! - `follow` (default): [`AuthLayer::follow_redirects`]. It turns on `tower`.
//! - `reqwest-retry`: `AuthRetryStrategy`. It turns on `reqwest`.
//! - `body-fields`: sessions that are a [field of the body](#fields-of-the-body).
//!
//! Without any of them, the crate has [`AuthContext`], [`GrpcJudge`] and [`grpc_code`] only.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "reqwest", feature = "follow")),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the links to the items of a feature are broken without it"
    )
)]

#[cfg(any(feature = "reqwest", feature = "tower"))]
mod admission;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod body;
mod context;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod fields;
mod grpc;
#[cfg(all(any(doc, doctest), feature = "reqwest", feature = "follow"))]
pub mod guide;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod headers;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod jar;
#[cfg(any(feature = "reqwest", feature = "follow"))]
mod redirect;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod resend;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod target;
#[cfg(feature = "tower")]
mod tower;

#[cfg(feature = "reqwest-retry")]
pub use self::reqwest::AuthRetryStrategy;
#[cfg(feature = "reqwest")]
pub use self::reqwest::{
    AuthMiddleware, ClientError, auth_error, body_field_error, redirect_error,
};
#[cfg(feature = "tower")]
pub use self::tower::{
    Auth, AuthFuture, AuthLayer, BoxError, Buffering, Cloning, InMemory, NoReplay, ReplayMode,
};
#[cfg(feature = "follow")]
pub use self::tower::{Follow, FollowFuture, FollowLayer};
#[cfg(feature = "tower")]
pub use body::{AuthBody, ReplayBody};
pub use context::AuthContext;
#[cfg(any(feature = "reqwest", feature = "tower"))]
pub use fields::{BodyFieldError, MAX_EDITED_BODY};
pub use grpc::{GrpcJudge, grpc_code};
#[cfg(any(feature = "reqwest", feature = "tower"))]
pub use jar::CookieJar;
#[cfg(any(feature = "reqwest", feature = "follow"))]
pub use redirect::{RedirectError, Redirects};

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "reqwest", feature = "tower"))]
#[doc = include_str!("../README.md")]
struct Readme;
