//! Logins as data, for APIs that have no API keys: e-mail and password go in, a session comes out.
//!
//! A [`Login`] knows what one API wants to be sent and what its response means, and does no I/O. A [`Transport`] carries it, over a
//! client of its own. Together they are an [`auth_core::Provider`], which `auth_core::Credentials` turns into one session for
//! ten thousand callers:
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
//! | API | login | requests carry | life |
//! |---|---|---|---|
//! | [`Clay`] | e-mail, password | the cookie `claysession` | 24 hours |
//! | [`Quinn`] | e-mail, password | the cookie `sessionId` | 7 days of silence, 30 days in all |
//! | [`CloudIo`] | user name, password | a bearer token and the query parameter `csrf` | until rejected |
//! | [`V1Login`] | e-mail, password | a bearer token, or the cookies that were set | 1 day |
//!
//! Each fact is stated once, with its source, in the file of its API. For another API, implement [`Login`]: its example is
//! complete.
//!
//! # What holds for every login
//!
//! - It carries no old credential, and follows no redirect: a 307 would send the password again, to any host. It uses no cookie
//!   jar, is not retried by the client, and reads no more than [256 KiB](response::MAX_RESPONSE) of response, after decompression.
//! - A password is refused only where the API itself says so. HTML, a proxy's error and an outage are not refusals, so they never
//!   lock a good password out.
//! - A 200 without the promised cookie or token is a failed login.
//! - Passwords and what a server sent appear in no `Debug`, no error and no cause of one. The body or header with the
//!   password is zeroed when the client drops it; copies that the client and TLS make are theirs. An
//!   `http::Request` prints its body, so the result of [`Login::request`] must not be printed.
//! - No plain HTTP but to this machine, save by the constructors whose names say so.
//! - How many logins are allowed is the cache's to keep: ten in any minute, unless `.quota(…)` says fewer: more are not taken. Other processes
//!   behind the same address can't be seen.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `reqwest` (default) | [`ReqwestTransport`] |
//! | `rustls` | TLS for it, by reqwest's default, rustls with aws-lc-rs, which needs a C compiler. Not on by default, because it more than doubles the time of a first build; it isn't needed where the program's own reqwest has TLS, for then the features of both are united |
//! | `tower` | [`TowerTransport`], over any tower service |
//! | `demo` | [`demo`]: servers that behave as the four APIs document, for tests |

mod account;
mod apis;
mod base_url;
mod config_error;
#[cfg(feature = "demo")]
pub mod demo;
mod jwt;
mod login;
mod login_via;
pub mod request;
pub mod response;
mod transport;

pub use account::Account;
pub use apis::{Clay, CloudIo, Quinn, V1Login};
pub use base_url::BaseUrl;
pub use config_error::ConfigError;
pub use login::Login;
pub use login_via::LoginVia;
#[cfg(feature = "tower")]
pub use transport::TowerTransport;
pub use transport::Transport;
#[cfg(feature = "reqwest")]
pub use transport::{ClientError, ReqwestTransport};

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "reqwest"))]
#[doc = include_str!("../README.md")]
struct Readme;
