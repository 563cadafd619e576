//! Helpers shared by the tests.

use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Attempt, Credential, Credentials, CredentialsBuilder, Lifetime, LoginError, Session, Target,
};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};

/// A request within the scope of the scripted provider.
pub(crate) const HERE: Target<'_> = Target::new("https", "api.example.com", "/v3/me");

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A builder on its own clock, and therefore with its own quota.
pub(crate) fn on(clock: &ManualClock, provider: Scripted) -> CredentialsBuilder {
    Credentials::builder(provider).clock(clock.clock())
}

pub(crate) fn tokens() -> Scripted {
    Scripted::tokens(Lifetime::of(HOUR))
}

/// The first login succeeds. All later ones fail with `error`.
pub(crate) fn then_fails(error: fn() -> LoginError) -> Scripted {
    Scripted::new(move |number| match number {
        1 => session(number, Lifetime::of(HOUR)),
        _ => Err(error()),
    })
}

pub(crate) fn session(number: u64, lifetime: Lifetime) -> Result<Session, LoginError> {
    Ok(Session::new()
        .with_bearer(&format!("token-{number}"))?
        .with_lifetime(lifetime))
}

/// The bearer token that the credential attaches.
pub(crate) fn token(credential: &Credential) -> String {
    let mut headers = http::HeaderMap::new();
    credential.attach_headers(HERE, &mut headers);
    let value = headers["authorization"].to_str().unwrap();
    value.trim_start_matches("Bearer ").to_owned()
}

/// A second attempt, as after a rejection.
pub(crate) fn replay(credentials: &Credentials, credential: &Credential) -> Attempt {
    Attempt::new(credentials, credential).replay(credential)
}

/// The headers of a response that sets one cookie.
pub(crate) fn set_cookie(line: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static(line))])
}

/// Lets every other task of a current-thread runtime run until it is pending.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
