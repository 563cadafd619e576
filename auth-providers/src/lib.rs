//! Logins for APIs that have no API keys: e-mail address and password in, session out.
//!
//! A [`Login`] describes the login of one API as data: the request to send, and how to read the
//! answer, which may want another request. It does no I/O. A [`Transport`] sends each request with
//! an HTTP client of its own.
//! Together they are an [`auth_core::Provider`], and `auth_core::Credentials` shares one session of
//! it among all callers:
//!
//! ```
//! # #[cfg(feature = "reqwest")]
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use auth_core::{Credentials, SecretSource};
//! use auth_providers::{Clay, Login, ReqwestTransport};
//!
//! let clay = Clay::new("ada@example.com", SecretSource::variable("CLAY_PASSWORD"))?;
//! let credentials = Credentials::new(clay.via(ReqwestTransport::new()?));
//! # let _ = credentials;
//! # Ok(())
//! # }
//! ```
//!
//! | API | login | requests carry | lifetime |
//! |---|---|---|---|
//! | [`Clay`] | e-mail, password | the cookie `claysession` | 24 hours |
//! | [`Quinn`] | e-mail, password | the cookie `sessionId` | 7 days of inactivity, 30 days in all |
//! | [`CloudIo`] | user name, password | a bearer token and `csrf` in the query | until rejected |
//! | [`V1Login`] | e-mail, password | a bearer token, or the cookies that were set | 1 day |
//!
//! For another API, write a recipe, twenty lines of TOML (the module `recipe`, feature `recipes`),
//! or implement [`Login`]; the examples of both are complete. The modules [`request`],
//! [`response`] and [`jwt`] have what the logins of most APIs need.
//!
//! # Guarantees
//!
//! They hold for each login of this crate over each of its transports, save that the first three
//! depend on the service that a `TowerTransport` is given.
//!
//! - A login carries no earlier credential, and uses no cookie jar and no connection of an earlier
//!   login. If it takes several requests, they carry the cookies that its own answers have set.
//! - It follows no redirect, since a 307 would send the password again, to any host.
//! - The client does not retry it, and does not log what it sends.
//! - At most [256 KiB](response::MAX_RESPONSE) of a response are read, after decompression.
//! - Status 401 refuses a password, whatever its body is, and so does the status that an API
//!   documents for it. A proxy's error and an outage do not.
//! - A 200 without the documented cookie or token is a failed login. Byte order marks and white
//!   space around values, and the label of the body, do not decide.
//! - No `Debug` output, error or source of an error contains a password or a part of a response.
//! - The body or header with the password is zeroed when the client drops it. Copies that the
//!   client and TLS make are not. The `Debug` output of an `http::Request` contains its body, so do
//!   not print the result of [`Login::request`].
//! - A login sends at most 10 requests, and none to an origin that is neither that of its base URL
//!   nor in its scope, wherever an answer leads.
//! - A login over plain HTTP goes to a loopback address only, unless the base URL was made by
//!   [`BaseUrl::allow_plain_http`].
//! - The cache starts at most ten logins in any minute, or fewer after [`Login::quota`]. It does
//!   not see the logins of other processes behind the same address.
//!
//! # Features
//!
//! - `reqwest` (default): [`ReqwestTransport`].
//! - `rustls`: TLS for it, by reqwest's default: rustls with aws-lc-rs, which needs a C compiler.
//!   It is off by default because it more than doubles the time of a first build, and because a
//!   program whose own reqwest has TLS does not need it: Cargo unites the features of both.
//! - `tower`: [`TowerTransport`], over any tower service.
//! - `recipes`: the module `recipe`, logins described as data, in TOML or JSON.
//! - `schema`: the JSON Schema of recipes.
//! - `demo`: [`demo`], servers that behave as the four APIs document or, with `recipes`, as a
//!   recipe says, for tests.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod answers;
mod apis;
mod base_url;
mod config_error;
#[cfg(feature = "demo")]
pub mod demo;
mod iso_8601;
mod json_body;
pub mod jwt;
mod login;
mod login_via;
mod markup;
#[cfg(feature = "recipes")]
pub mod recipe;
#[cfg(not(feature = "recipes"))]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the logins of this crate need a part of it"
)]
mod recipe;
pub mod request;
pub mod response;
mod stated_life;
mod step;
mod transport;

pub use account::Account;
pub use answers::Answers;
pub use apis::{Clay, CloudIo, Quinn, V1Login};
pub use base_url::BaseUrl;
pub use config_error::ConfigError;
pub use login::Login;
pub use login_via::LoginVia;
pub use step::Step;
#[cfg(feature = "tower")]
pub use transport::TowerTransport;
pub use transport::Transport;
#[cfg(feature = "reqwest")]
pub use transport::{ClientError, ReqwestTransport};

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "reqwest"))]
#[doc = include_str!("../README.md")]
struct Readme;
