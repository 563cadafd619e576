//! Servers that behave as the four APIs document, on loopback, for tests of one's own code.
//!
//! A [`DemoServer`] speaks real HTTP on a real socket of 127.0.0.1, keeps sessions and limits logins as the API that it
//! plays does, and counts what reached it, so that a test counts logins at the server and not by asking the client. Its
//! clock is its own: [`advance`](DemoServer::advance) makes a day pass without waiting for it. The client's clock doesn't move
//! with it.
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
//! # What is served
//!
//! | | Clay | Quinn | CloudIO | V1 login |
//! |---|---|---|---|---|
//! | login | `POST /v3/auth/login` | `POST /api/auth/login` | `POST /v1/auth` | `POST /v1/login` |
//! | probe | `GET /v3/my-workspaces` | `GET /api/auth/me` | `GET /v1/me` | `GET /v1/me` |
//! | API | below `/v3/` | below `/api/` | below `/v1/` | below `/v1/` |
//! | life | 24 hours | 7 days of silence, 30 days in all | 30 minutes of silence | 1 day |
//!
//! - A `POST` to any path of the API gets its own body back; any other method gets JSON.
//! - Without a live session: 401. With one, at a path that was [forbidden](DemoServer::set_forbidden): 403.
//! - CloudIO wants the `csrf` that was issued together with the `jwt`, and no other.
//! - The login limit, by default ten in any minute, is kept for each address that connects. Logins beyond it get 429 with
//!   `Retry-After`, and don't count towards the limit themselves.
//! - Where a fact is not documented (CloudIO's idle time, the probe paths of CloudIO and V1, the limits of all but Quinn), it is
//!   a choice of this server's.
//!
//! # What is not
//!
//! TLS, HTTP/2, cookies' `Secure` (the cookie is set so, and taken over plain HTTP), and any protection of what it holds:
//! it is no server for anything but tests.

mod apis;
mod clock;
mod connections;
mod counts;
mod server;
mod server_state;
mod settings;
mod site;
mod wire;

pub use apis::Api;
pub use counts::{Calls, Counts, Logins};
pub use server::DemoServer;
pub use settings::{EMAIL, PASSWORD, Settings};
