//! Clients that follow no redirect by themselves.

use http::header::REFERER;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use thiserror::Error;

/// Why a client can't be used below an [`AuthMiddleware`](crate::AuthMiddleware).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The client could not be built.
    #[error("the HTTP client could not be built")]
    Build(#[source] reqwest::Error),
    /// The client follows redirects by itself, below the middleware, which sees none of the hops.
    #[error(
        "this client follows redirects by itself, with what the request carries; build it with \
         AuthMiddleware::with_client, or with reqwest::redirect::Policy::none()"
    )]
    FollowsRedirects,
    /// The client has a redirect policy of its own, which can't be read.
    #[error(
        "this client has a redirect policy of its own; build it with AuthMiddleware::with_client, \
         or with reqwest::redirect::Policy::none()"
    )]
    UnknownRedirects,
    /// The client has a cookie jar, which would keep the session's cookies and send them with
    /// requests of other identities, and with those that skip the session.
    #[error(
        "this client has a cookie jar of its own, which would keep the session's cookies; build it \
         without one, or with AuthMiddleware::with_client, and give the jar to AuthMiddleware::jar"
    )]
    KeepsCookies,
}

/// Builds a client that follows no redirect by itself, and so adds no `Referer`, and that has no
/// cookie jar, which would give the session's cookies to requests without it.
pub(super) fn build(builder: ClientBuilder) -> Result<Client, ClientError> {
    let built = builder
        .redirect(Policy::none())
        // See `NoCookieStore`.
        .cookie_store(false)
        .build();
    built.map_err(|error| ClientError::Build(error.without_url()))
}

/// Makes `builder.cookie_store(false)` compile whether or not reqwest's feature `cookies` is on.
///
/// With the feature, which any crate of a program may turn on, a builder may have a jar, and its
/// inherent method of this name removes it. An inherent method takes precedence over a trait's.
/// Without the feature no builder has a jar, and this method does nothing.
#[allow(
    dead_code,
    reason = "it is not called if reqwest's feature `cookies` is on"
)]
trait NoCookieStore {
    fn cookie_store(self, enable: bool) -> Self;
}

impl NoCookieStore for ClientBuilder {
    fn cookie_store(self, _: bool) -> Self {
        self
    }
}

/// Checks that a client follows no redirect by itself and has no cookie jar. Reqwest shows a jar,
/// and a policy other than its default, in the `Debug` form of a client, and only there.
pub(super) fn check(client: &Client) -> Result<(), ClientError> {
    let shown = format!("{client:?}");
    // It is the first field. What follows may have any text.
    if shown.starts_with("Client { cookie_store: true") {
        return Err(ClientError::KeepsCookies);
    }
    // Default headers are shown, too, but with their quotes escaped.
    match shown.split_once(" redirect_policy: \"") {
        Some((_, policy)) if policy.starts_with("Policy(None)\"") => Ok(()),
        Some((_, policy)) if !policy.starts_with("Policy(Limit(") => {
            Err(ClientError::UnknownRedirects)
        }
        _ => Err(ClientError::FollowsRedirects),
    }
}

/// The names of the client's default headers, with values that are marked as sensitive as theirs.
/// Reqwest shows them in the `Debug` form of a client, and only there.
pub(super) fn default_headers(client: &Client) -> HeaderMap {
    let shown = format!("{client:?}");
    let (_, shown) = shown.split_once(" default_headers: {").unwrap_or_default();
    // A quote within a value is shown behind a backslash, which can't stand in a name.
    let names = shown.split(' ').filter_map(|word| {
        let name = word.strip_prefix('"')?.strip_suffix("\":")?;
        HeaderName::try_from(name).ok()
    });
    // A referrer that is the same for all requests tells of none of them.
    let names = names.filter(|name| *name != REFERER);
    let marked = names.map(|name| {
        let mut value = HeaderValue::from_static("");
        value.set_sensitive(shown.contains(&format!("\"{name}\": Sensitive")));
        (name, value)
    });
    marked.collect()
}
