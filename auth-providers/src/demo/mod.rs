//! Servers on loopback that behave as the four APIs document, for tests of programs that use them.
//!
//! A [`DemoServer`] listens on a socket of 127.0.0.1, and keeps sessions and limits logins as its
//! API does. It counts the requests that it receives, so that a test counts logins at the server.
//! It has a clock of its own: [`advance`](DemoServer::advance) moves it by a day at once. The
//! client's clock does not move with it.
//!
//! ```
//! use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
//! use auth_providers::{Login, Quinn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = DemoServer::start(Api::Quinn).await?;
//! let quinn = Quinn::new(server.base_url(), EMAIL, PASSWORD)?;
//! # #[cfg(feature = "reqwest")] {
//! use auth_core::Provider;
//! use auth_providers::ReqwestTransport;
//!
//! let provider = quinn.via(ReqwestTransport::new()?);
//! let session = provider.login(&PASSWORD.into()).await?;
//! assert!(!session.is_empty());
//! assert_eq!(server.counts().logins.ok, 1);
//! # }
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The API of a recipe is a `RecipeServer`, with the feature `recipes`.
//!
//! # Behaviour
//!
//! | | Clay | Quinn | CloudIO | V1 login |
//! |---|---|---|---|---|
//! | login | `POST /v3/auth/login` | `POST /api/auth/login` | `POST /v1/auth` | `POST /v1/login` |
//! | probe | `GET /v3/my-workspaces` | `GET /api/auth/me` | `GET /v1/me` | `GET /v1/me` |
//! | API | below `/v3/` | below `/api/` | below `/v1/` | below `/v1/` |
//! | lifetime | 24 hours | 7 days idle, 30 days in all | 30 minutes idle | 1 day |
//!
//! - The response to a `POST` request to a path of the API has the request's body. The response to
//!   any other method is JSON.
//! - A request without a live session gets status 401. A request with one to a
//!   [forbidden](DemoServer::set_forbidden) path gets 403.
//! - CloudIO requires the `csrf` that was issued with the `jwt`.
//! - Logins are limited for each client address, by default to ten in any minute. A login beyond
//!   the limit gets 429 with `Retry-After`, and does not count towards the limit.
//! - What is not documented is a choice of this server: CloudIO's idle time-out, the probe paths of
//!   CloudIO and V1, and the limits of all APIs but Quinn.
//!
//! # Limitations
//!
//! There is no TLS and no HTTP/2. Cookies are set with `Secure` and accepted over plain HTTP.
//! Nothing protects what the server holds. It is for tests only.

mod apis;
mod clock;
mod connections;
mod counts;
mod listening;
#[cfg(feature = "recipes")]
mod recipe;
mod server;
mod server_state;
mod settings;
mod site;
pub(crate) mod wire;

pub use apis::Api;
pub use counts::{Calls, Counts, Logins};
#[cfg(feature = "recipes")]
pub use recipe::{RecipeServer, ServeError, Unserved};
pub use server::DemoServer;
pub use settings::{EMAIL, PASSWORD, Settings};
