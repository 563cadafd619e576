//! Sessions that are refreshed with a token: when, how often, and what follows if it fails.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::{Counter, Scripted};
use auth_core::{
    Ask, Attempt, Conclusion, Credential, Credentials, CredentialsBuilder, Error, Identity,
    Lifetime, LoginError, Origin, Part, Provider, Quota, Refresh, RefreshWindow, ResponseView,
    Secret, SecretSource, Session, Update,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::task::yield_now;

use crate::support::{HOUR, SECOND, replay, settle, token};

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const MINUTE: Duration = Duration::from_secs(60);

/// A header with which a response brings a refresh token.
const NEW_TOKEN: HeaderName = HeaderName::from_static("x-new-token");

type Answer = Result<Session, LoginError>;
type Script = Box<dyn Fn(u64, &str) -> Answer + Send + Sync>;

/// An API with access tokens of five minutes, and refresh tokens. Each request gets the next access
/// token, `token-1` and so on, and each login the next refresh token, `r-1` and so on.
struct Api {
    inner: Scripted,
    by: Refresh,
    refresh: Script,
    /// The tokens of all refreshes, in order.
    seen: Arc<Mutex<Vec<String>>>,
}

fn access(number: u64) -> Session {
    let session = Session::new().with_bearer(&format!("token-{number}"));
    session.unwrap().with_lifetime(Lifetime::of(FIVE_MINUTES))
}

fn with_token(session: Session, token: &str) -> Answer {
    Ok(session.with_kept_for("refresh_token", token, 24 * HOUR)?)
}

impl Api {
    /// A refresh brings an access token and a refresh token.
    fn rotating() -> Self {
        Self::answering(|number, _| with_token(access(100 + number), &format!("next-{number}")))
    }

    fn answering(refresh: impl Fn(u64, &str) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            inner: Scripted::new(|number| with_token(access(number), &format!("r-{number}"))),
            by: Refresh::with_kept("refresh_token"),
            refresh: Box::new(refresh),
            seen: Arc::default(),
        }
    }

    fn failing(error: fn() -> LoginError) -> Self {
        Self::answering(move |_, _| Err(error()))
    }

    fn by(mut self, by: Refresh) -> Self {
        self.by = by;
        self
    }

    fn logins_by(mut self, inner: Scripted) -> Self {
        self.inner = inner;
        self
    }

    fn counters(&self) -> (Counter, Arc<Mutex<Vec<String>>>) {
        (self.inner.logins(), Arc::clone(&self.seen))
    }

    fn on(self, clock: &ManualClock) -> CredentialsBuilder {
        Credentials::builder(self).clock(clock.clock())
    }
}

#[async_trait]
impl Provider for Api {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    fn quota(&self) -> Quota {
        self.inner.quota()
    }

    async fn login(&self, secret: &Secret) -> Answer {
        self.inner.login(secret).await
    }

    fn refresh_by(&self) -> Option<Refresh> {
        Some(self.by.clone())
    }

    fn updates(&self) -> bool {
        true
    }

    fn update(&self, response: &ResponseView<'_>, _: &Credential) -> Update {
        let token = response.headers.get(NEW_TOKEN);
        let set =
            |token: &HeaderValue| Update::new().with_kept("refresh_token", token.to_str().unwrap());
        token.map_or_else(Update::new, |token| set(token).unwrap())
    }

    async fn refresh(&self, current: &Credential) -> Answer {
        let token = current.kept("refresh_token").unwrap_or("-").to_owned();
        let number = {
            let mut seen = self.seen.lock();
            seen.push(token.clone());
            seen.len() as u64
        };
        (self.refresh)(number, &token)
    }
}

fn fail_fast() -> Ask {
    Ask::new().fail_fast()
}

#[tokio::test]
async fn rule_6_tokens_of_five_minutes_cost_one_password_login_a_day() {
    for by in [
        Refresh::with_kept("refresh_token"),
        Refresh::with_kept("refresh_token").single_use(),
    ] {
        let clock = ManualClock::new();
        let api = Api::rotating().by(by);
        let (logins, seen) = api.counters();
        let credentials = api.on(&clock).build();
        for _ in 0..24 * 60 {
            credentials.get().await.unwrap();
            settle().await;
            clock.advance(MINUTE);
        }
        assert_eq!(logins.count(), 1);
        let seen = seen.lock();
        assert!(
            (240..=360).contains(&seen.len()),
            "{} refreshes",
            seen.len()
        );
        assert_eq!(&seen[..3], ["r-1", "next-1", "next-2"]);
    }
}

#[tokio::test]
async fn rule_10_the_refreshes_of_a_hundred_accounts_wait_for_no_permit() {
    let clock = ManualClock::new();
    let origin = Origin::parse("https://crowded.example.com").unwrap();
    let accounts: Vec<_> = (0..100)
        .map(|number| {
            let identity = Identity::new("api", origin.clone(), format!("account-{number}"));
            let api = Api::rotating();
            let inner = Scripted::new(|number| with_token(access(number), "r-1"));
            let api = api.logins_by(inner.with_identity(identity));
            let (logins, _) = api.counters();
            (api.on(&clock).build(), logins)
        })
        .collect();
    for some in accounts.chunks(10) {
        for (credentials, _) in some {
            credentials.get_with(fail_fast()).await.unwrap();
        }
        clock.advance(62 * SECOND);
    }
    for _ in 0..60 {
        for (credentials, _) in &accounts {
            credentials.get_with(fail_fast()).await.unwrap();
        }
        clock.advance(MINUTE);
    }
    assert!(accounts.iter().all(|(_, logins)| logins.count() == 1));
}

#[tokio::test]
async fn rule_6_a_session_is_refreshed_ahead_of_its_expiry_after_it_and_after_a_rejection() {
    let clock = ManualClock::new();
    let api = Api::rotating();
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    let first = credentials.get().await.unwrap();
    clock.advance(FIVE_MINUTES - 2 * SECOND);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-1");
    settle().await;
    assert_eq!(token(&credentials.get().await.unwrap()), "token-101");
    clock.advance(HOUR);
    let third = credentials.get().await.unwrap();
    assert_eq!(token(&third), "token-102");
    Attempt::new(&credentials, &third).accepted();
    // A late rejection spends no refresh.
    let late = Attempt::new(&credentials, &first).rejected();
    assert_eq!(late, Conclusion::Replay);
    settle().await;
    assert_eq!(seen.lock().len(), 2);
    Attempt::new(&credentials, &third).rejected();
    assert_eq!(token(&credentials.get().await.unwrap()), "token-103");
    assert_eq!(*seen.lock(), ["r-1", "next-1", "next-2"]);
    assert_eq!(logins.count(), 1);
    clock.advance(25 * HOUR);
    assert_eq!(
        token(&credentials.get().await.unwrap()),
        "token-2",
        "the life of the refresh token has ended"
    );
    assert_eq!(seen.lock().len(), 3);
}

#[tokio::test]
async fn rule_6_what_carries_the_session_refreshes_it_only_while_it_is_good() {
    let clock = ManualClock::new();
    let api = Api::rotating().by(Refresh::with_session());
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    let second = credentials.renew().await.unwrap();
    assert_eq!(token(&second), "token-101");
    Attempt::new(&credentials, &second).accepted();
    Attempt::new(&credentials, &second).rejected();
    assert_eq!(token(&credentials.get().await.unwrap()), "token-2");
    clock.advance(HOUR);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-3");
    assert_eq!((logins.count(), seen.lock().len()), (3, 1));
}

#[tokio::test]
async fn rule_6_a_refused_refresh_is_followed_by_the_login_and_is_no_refused_password() {
    for error in [
        || LoginError::refused("invalid_grant"),
        || LoginError::locked("status 403"),
    ] {
        let clock = ManualClock::new();
        let api = Api::failing(error);
        let (logins, seen) = api.counters();
        let credentials = api.on(&clock).build();
        credentials.get().await.unwrap();
        // Ahead of the expiry, too: the token is of no use any more.
        assert_eq!(token(&credentials.renew().await.unwrap()), "token-2");
        clock.advance(HOUR);
        assert_eq!(token(&credentials.get().await.unwrap()), "token-3");
        assert_eq!(*seen.lock(), ["r-1", "r-2"]);
        assert_eq!(credentials.status().failure, None);
        assert_eq!(logins.count(), 3);
    }
}

#[tokio::test]
async fn rule_6_a_refused_token_is_not_sent_again_while_the_login_fails() {
    let clock = ManualClock::new();
    let api = Api::failing(|| LoginError::refused("invalid_grant"));
    let api = api.logins_by(Scripted::new(|number| match number {
        1 => with_token(access(1), "r-1"),
        _ => Err(LoginError::unavailable("status 503")),
    }));
    let (_, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    for _ in 0..10 {
        clock.advance(FIVE_MINUTES);
        let error = credentials.get().await.unwrap_err();
        assert!(error.is_unavailable());
    }
    assert_eq!(*seen.lock(), ["r-1"]);
}

#[tokio::test]
async fn rule_6_a_refused_token_may_be_sent_again_once_a_login_or_a_refresh_has_succeeded() {
    for revived_by_refresh in [false, true] {
        let clock = ManualClock::new();
        let api = Api::answering(move |number, sent| match number {
            1 => Err(LoginError::refused("invalid_grant")),
            2 if revived_by_refresh => with_token(access(102), "r-1"),
            _ => with_token(access(100 + number), sent),
        });
        // If a refresh is to revive the token, the login that follows its refusal fails.
        let api = api.logins_by(Scripted::new(move |number| match number {
            2 if revived_by_refresh => Err(LoginError::unavailable("status 503")),
            _ => with_token(access(number), "r-1"),
        }));
        let (logins, seen) = api.counters();
        let credentials = api.on(&clock).build();
        let first = credentials.get().await.unwrap();
        if revived_by_refresh {
            credentials.renew().await.unwrap_err();
            let headers = HeaderMap::from_iter([(NEW_TOKEN, HeaderValue::from_static("r-9"))]);
            let response = ResponseView::new(StatusCode::OK, &headers);
            Attempt::new(&credentials, &first).conclude(&response);
        }
        credentials.renew().await.unwrap();
        assert_eq!(
            token(&credentials.renew().await.unwrap()),
            if revived_by_refresh {
                "token-103"
            } else {
                "token-102"
            }
        );
        let sent: &[&str] = if revived_by_refresh {
            &["r-1", "r-9", "r-1"]
        } else {
            &["r-1", "r-1"]
        };
        assert_eq!(*seen.lock(), sent);
        assert_eq!(logins.count(), 2);
    }
}

#[tokio::test]
async fn rule_6_while_the_session_is_good_a_renewal_tells_why_its_refresh_has_failed() {
    let api = Api::answering(|number, _| match number {
        1 => Err(LoginError::refused("invalid_grant")),
        _ => Err(LoginError::unavailable("status 503")),
    });
    let api = api.logins_by(Scripted::new(|number| match number {
        1 => with_token(access(1), "r-1"),
        _ => Err(LoginError::refused("status 401")),
    }));
    let credentials = api.on(&ManualClock::new()).build();
    let first = credentials.get().await.unwrap();
    assert!(credentials.renew().await.unwrap_err().is_login_refused());
    let headers = HeaderMap::from_iter([(NEW_TOKEN, HeaderValue::from_static("r-9"))]);
    let response = ResponseView::new(StatusCode::OK, &headers);
    Attempt::new(&credentials, &first).conclude(&response);
    let error = credentials.renew().await.unwrap_err();
    assert!(
        error.is_unavailable() && !error.is_login_refused(),
        "{error}"
    );
}

#[tokio::test]
async fn rule_6_refreshes_back_off_anew_after_one_that_has_succeeded() {
    let good_for = |session: Session| session.with_lifetime(Lifetime::of(HOUR));
    let clock = ManualClock::new();
    let api = Api::answering(move |number, sent| match number % 8 {
        0 => with_token(good_for(access(100 + number)), sent),
        _ => Err(LoginError::unavailable("status 503")),
    });
    let api = api.logins_by(Scripted::new(move |number| {
        with_token(good_for(access(number)), "r")
    }));
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    // The jitter may make a longer wait as short, but not each time.
    for _ in 0..4 {
        let wait = credentials.renew().await.unwrap_err().retry_after();
        assert!(wait.unwrap() <= SECOND, "{wait:?}");
        for _ in 0..6 {
            clock.advance(MINUTE);
            credentials.renew().await.unwrap_err();
        }
        clock.advance(MINUTE);
        credentials.renew().await.unwrap();
    }
}

#[tokio::test]
async fn rule_6_in_an_outage_of_the_refresh_a_good_session_is_served_and_refreshes_back_off() {
    let clock = ManualClock::new();
    let api = Api::failing(|| LoginError::unavailable("status 503"));
    let (logins, seen) = api.counters();
    let window = RefreshWindow::new(HOUR, 0.9);
    let credentials = api.on(&clock).refresh_window(window).build();
    credentials.get().await.unwrap();
    for _ in 0..299 {
        assert_eq!(token(&credentials.get().await.unwrap()), "token-1");
        settle().await;
        clock.advance(SECOND);
    }
    assert_eq!(logins.count(), 1);
    let while_good = seen.lock().len();
    // The jitter may make waits short. Without a back-off there would be one a second.
    assert!((3..=60).contains(&while_good), "{while_good} refreshes");
    clock.advance(MINUTE);
    let next = credentials.get().await.unwrap();
    assert_eq!(
        token(&next),
        "token-2",
        "after the expiry the login follows"
    );
    assert_eq!(seen.lock().len(), while_good + 1);
}

#[tokio::test]
async fn rule_11_a_refresh_waits_for_its_own_retry_after_and_holds_no_login() {
    let clock = ManualClock::new();
    let api = Api::failing(|| LoginError::limited(Some(600 * SECOND)));
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    for number in 2..=3 {
        clock.advance(FIVE_MINUTES);
        let next = credentials.get_with(fail_fast()).await.unwrap();
        assert_eq!(token(&next), format!("token-{number}"));
    }
    assert_eq!((logins.count(), seen.lock().len()), (3, 1));
}

#[tokio::test]
async fn rule_11_a_refresh_is_sent_as_soon_as_its_own_retry_after_is_over() {
    let clock = ManualClock::new();
    let api = Api::failing(|| LoginError::limited(Some(MINUTE)));
    let (_, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    for (wait, refreshes) in [
        (Duration::ZERO, 1),
        (MINUTE - Duration::from_nanos(1), 1),
        (Duration::from_nanos(1), 2),
    ] {
        clock.advance(wait);
        assert!(credentials.renew().await.unwrap_err().is_rate_limited());
        assert_eq!(seen.lock().len(), refreshes, "after {wait:?}");
    }
}

#[tokio::test]
async fn rule_8_a_refreshed_session_that_is_rejected_at_its_first_use_costs_one_password_login() {
    let clock = ManualClock::new();
    let api = Api::rotating();
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    // A server whose route rejects whatever it is sent.
    let mut credential = credentials.get().await.unwrap();
    for _ in 0..20 {
        Attempt::new(&credentials, &credential).rejected();
        credential = credentials.get().await.unwrap();
        settle().await;
    }
    assert_eq!((logins.count(), seen.lock().len()), (2, 1));
    assert_eq!(token(&credential), "token-2");
    // After the probation, the same again.
    clock.advance(6 * SECOND);
    for _ in 0..20 {
        Attempt::new(&credentials, &credential).rejected();
        credential = credentials.get().await.unwrap();
    }
    assert_eq!((logins.count(), seen.lock().len()), (3, 2));
}

#[tokio::test]
async fn rule_8_once_a_request_was_accepted_a_refreshed_session_is_on_probation_as_any_other() {
    let clock = ManualClock::new();
    let api = Api::rotating();
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    let first = credentials.get().await.unwrap();
    Attempt::new(&credentials, &first).rejected();
    let second = credentials.get().await.unwrap();
    Attempt::new(&credentials, &second).accepted();
    let doubted = Attempt::new(&credentials, &second).rejected();
    assert_eq!(doubted, Conclusion::Rejected);
    // An accepted replay ends the probation, and the next rejection is worth a refresh.
    replay(&credentials, &second).accepted();
    Attempt::new(&credentials, &second).rejected();
    assert_eq!(token(&credentials.get().await.unwrap()), "token-102");
    assert_eq!((logins.count(), seen.lock().len()), (1, 2));
}

#[tokio::test]
async fn rule_6_a_refresh_that_brings_no_token_keeps_the_old_one_and_its_life() {
    let clock = ManualClock::new();
    let api = Api::answering(|number, _| Ok(access(100 + number)));
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    for _ in 0..23 {
        clock.advance(HOUR);
        let credential = credentials.get().await.unwrap();
        assert_eq!(credential.kept("refresh_token"), Some("r-1"));
    }
    assert_eq!((logins.count(), seen.lock().len()), (1, 23));
    clock.advance(HOUR);
    credentials.get().await.unwrap();
    assert_eq!((logins.count(), seen.lock().len()), (2, 23));
}

#[tokio::test]
async fn rule_6_what_a_session_keeps_stays_beside_what_its_refresh_brings() {
    let api = Api::rotating().logins_by(Scripted::new(|number| {
        with_token(access(number).with_kept("account", "7")?, "r-1")
    }));
    let credentials = api.on(&ManualClock::new()).build();
    credentials.get().await.unwrap();
    for token in ["next-1", "next-2"] {
        let refreshed = credentials.renew().await.unwrap();
        assert_eq!(refreshed.kept("account"), Some("7"));
        assert_eq!(refreshed.kept("refresh_token"), Some(token));
    }
}

#[tokio::test]
async fn rule_6_a_single_use_token_is_spent_though_the_refresh_brings_no_other() {
    let clock = ManualClock::new();
    let by = Refresh::with_kept("refresh_token").single_use();
    let api = Api::answering(|number, _| Ok(access(100 + number))).by(by);
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    for login in 1..=3 {
        clock.advance(FIVE_MINUTES);
        let refreshed = credentials.get().await.unwrap();
        assert_eq!(token(&refreshed), format!("token-{}", 100 + login));
        let stored = credentials.session().unwrap().to_parts();
        assert!(!stored.expose().contains("refresh_token"));
        assert!(stored.expose().contains("token-"), "all else is kept");
        // Ahead of the expiry and after it, the password is used.
        if login == 2 {
            credentials.renew().await.unwrap();
        } else {
            clock.advance(FIVE_MINUTES);
            credentials.get().await.unwrap();
        }
        assert_eq!(logins.count(), login + 1);
    }
    assert_eq!(*seen.lock(), ["r-1", "r-2", "r-3"]);
}

#[tokio::test]
async fn rule_6_a_single_use_token_that_the_server_brings_back_is_not_sent_again() {
    for length in [1, 2, 3, 16] {
        let clock = ManualClock::new();
        let by = Refresh::with_kept("refresh_token").single_use();
        let turn = move |number: u64| format!("r-{}", number % length);
        let api = Api::answering(move |number, _| with_token(access(100 + number), &turn(number)));
        // The login brings the first one back as well.
        let inner = Scripted::new(move |number| with_token(access(number), &turn(0)));
        let api = api.by(by).logins_by(inner);
        let (logins, seen) = api.counters();
        let credentials = api.on(&clock).build();
        for _ in 0..length + 3 {
            credentials.get().await.unwrap();
            clock.advance(FIVE_MINUTES);
        }
        let all: Vec<String> = (0..length).map(turn).collect();
        assert_eq!(*seen.lock(), all, "each once");
        assert_eq!(logins.count(), 3);
    }
}

#[tokio::test]
async fn rule_6_a_single_use_token_is_spent_though_what_it_brought_is_of_no_use() {
    let clock = ManualClock::new();
    let api = Api::answering(|number, _| {
        // Nothing fetches it.
        let part = Part::fetched_header("x-csrf");
        with_token(
            access(100 + number).with_part(part)?,
            &format!("next-{number}"),
        )
    });
    let api = api.by(Refresh::with_kept("refresh_token").single_use());
    let (_, seen) = api.counters();
    let credentials = api.on(&clock).build();
    for _ in 0..20 * 60 {
        credentials.get().await.unwrap();
        settle().await;
        clock.advance(SECOND);
    }
    let mut seen = seen.lock().clone();
    let sent = seen.len();
    seen.sort();
    seen.dedup();
    assert!(sent >= 3, "{sent}");
    assert_eq!(seen.len(), sent, "{seen:?}");
}

#[tokio::test]
async fn rule_6_a_single_use_token_that_a_response_brings_back_is_not_sent_again() {
    let clock = ManualClock::new();
    let by = Refresh::with_kept("refresh_token").single_use();
    let api = Api::rotating().by(by);
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    clock.advance(FIVE_MINUTES);
    let refreshed = credentials.get().await.unwrap();
    assert_eq!(refreshed.kept("refresh_token"), Some("next-1"));
    let brings = |token: &'static str| {
        let credential = Attempt::current(&credentials).unwrap();
        let headers = HeaderMap::from_iter([(NEW_TOKEN, HeaderValue::from_static(token))]);
        let response = ResponseView::new(StatusCode::OK, &headers);
        Attempt::new(&credentials, &credential).conclude(&response);
    };
    brings("r-1");
    let current = Attempt::current(&credentials).unwrap();
    assert_eq!(current.kept("refresh_token"), Some("r-1"));
    let stored = credentials.session().unwrap().to_parts();
    assert!(!stored.expose().contains("refresh_token"));
    clock.advance(FIVE_MINUTES);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-2");
    assert_eq!((logins.count(), seen.lock().len()), (2, 1));
    // One that was not sent yet is.
    brings("r-9");
    clock.advance(FIVE_MINUTES);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-102");
    assert_eq!(*seen.lock(), ["r-1", "r-9"]);
}

#[tokio::test]
async fn rule_6_a_single_use_token_is_sent_again_only_if_no_byte_had_left() {
    for (error, sent_again) in [
        (
            (|| LoginError::unavailable("connection refused").not_sent()) as fn() -> LoginError,
            true,
        ),
        (|| LoginError::misconfigured("no base URL"), true),
        (|| LoginError::unavailable("connection reset"), false),
        (|| LoginError::malformed("status 200"), false),
    ] {
        let clock = ManualClock::new();
        let by = Refresh::with_kept("refresh_token").single_use();
        let api = Api::failing(error).by(by);
        let (logins, seen) = api.counters();
        let credentials = api.on(&clock).build();
        credentials.get().await.unwrap();
        let failed = credentials.renew().await.unwrap_err();
        assert!(failed.login_error().is_some());
        let stored = credentials.session().unwrap().to_parts();
        assert_eq!(stored.expose().contains("refresh_token"), sent_again);
        assert_eq!(logins.count(), 1, "the session is good");
        clock.advance(HOUR);
        credentials.get().await.unwrap();
        let seen = seen.lock();
        assert_eq!(seen.len() == 2, sent_again, "{seen:?}");
        assert_eq!(logins.count(), 2);
    }
}

#[tokio::test]
async fn rule_12_a_refused_password_stays_refused_while_the_session_is_refreshed() {
    let clock = ManualClock::new();
    let dead = Arc::new(Mutex::new(false));
    let revoked = Arc::clone(&dead);
    let api = Api::answering(move |number, _| {
        if *revoked.lock() {
            return Err(LoginError::refused("invalid_grant"));
        }
        with_token(access(100 + number), &format!("next-{number}"))
    });
    let api = api.logins_by(Scripted::new(|number| match number {
        1 => with_token(access(1), "r-1"),
        _ => Err(LoginError::refused("status 401")),
    }));
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    let first = credentials.get().await.unwrap();
    // The refreshed session is rejected at its first use, and the password is refused.
    Attempt::new(&credentials, &first).rejected();
    let second = credentials.get().await.unwrap();
    Attempt::new(&credentials, &second).rejected();
    for _ in 0..10 {
        assert!(credentials.get().await.unwrap_err().is_login_refused());
    }
    *dead.lock() = true;
    assert!(credentials.get().await.unwrap_err().is_login_refused());
    assert_eq!((logins.count(), seen.lock().len()), (2, 1));
}

#[tokio::test]
async fn rule_12_a_session_is_refreshed_though_its_password_was_refused_meanwhile() {
    let clock = ManualClock::new();
    let api = Api::answering(|number, _| match number {
        2 => Err(LoginError::unavailable("status 503")),
        _ => Ok(access(100 + number)),
    });
    let api = api.logins_by(Scripted::new(|number| match number {
        1 => with_token(access(1), "r-1"),
        _ => Err(LoginError::refused("status 401")),
    }));
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    clock.advance(FIVE_MINUTES);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-101");
    clock.advance(FIVE_MINUTES);
    assert!(credentials.get().await.unwrap_err().is_login_refused());
    clock.advance(2 * SECOND);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-103");
    clock.advance(FIVE_MINUTES);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-104");
    assert_eq!((logins.count(), seen.lock().len()), (2, 4));
    assert!(credentials.status().failure.is_some(), "it is remembered");
}

#[tokio::test]
async fn rule_10_refreshes_have_a_quota_of_their_own_and_beyond_it_the_password_is_used() {
    let clock = ManualClock::new();
    let two = Quota::new(NonZeroU32::new(2).unwrap(), MINUTE);
    let api = Api::rotating().by(Refresh::with_kept("refresh_token").quota(two));
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    for _ in 0..2 {
        credentials.renew().await.unwrap();
        clock.advance(SECOND);
    }
    let spent = credentials.renew().await.unwrap_err();
    assert_eq!(spent.retry_after(), Some(MINUTE - 2 * SECOND), "{spent}");
    assert_eq!((logins.count(), seen.lock().len()), (1, 2));
    clock.advance(MINUTE - 2 * SECOND);
    let third = credentials.renew().await.unwrap();
    assert_eq!((logins.count(), seen.lock().len()), (1, 3));
    // It is spent again, and the session is over.
    Attempt::new(&credentials, &third).accepted();
    Attempt::new(&credentials, &third).rejected();
    assert_eq!(token(&credentials.get().await.unwrap()), "token-2");
    assert_eq!((logins.count(), seen.lock().len()), (2, 3));
}

#[tokio::test]
async fn rule_10_after_a_failed_refresh_a_spent_quota_of_refreshes_is_told_with_its_own_wait() {
    let clock = ManualClock::new();
    let by = Refresh::with_kept("refresh_token").quota(Quota::new(NonZeroU32::MIN, HOUR));
    let api = Api::failing(|| LoginError::unavailable("status 503")).by(by);
    let inner =
        Scripted::new(|_| with_token(access(1).with_lifetime(Lifetime::of(10 * HOUR)), "r-1"));
    let credentials = api.logins_by(inner).on(&clock).build();
    credentials.get().await.unwrap();
    let failed = credentials.renew().await.unwrap_err();
    let is_failure = |error: &Error| matches!(error, Error::Login { .. });
    assert!(is_failure(&failed), "{failed}");
    clock.advance(SECOND * 600);
    let spent = credentials.renew().await.unwrap_err();
    assert!(matches!(spent, Error::QuotaSpent { .. }), "{spent}");
    assert_eq!(spent.retry_after(), Some(HOUR - 600 * SECOND));
    clock.advance(HOUR);
    assert!(is_failure(&credentials.renew().await.unwrap_err()));
}

#[tokio::test]
async fn rule_10_a_refresh_that_counts_as_a_login_spends_a_permit_and_waits_for_one() {
    let clock = ManualClock::new();
    let by = Refresh::with_kept("refresh_token").counts_as_login();
    let api = Api::rotating().by(by);
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    for _ in 0..9 {
        credentials.renew().await.unwrap();
    }
    let ask = Ask::new().renewed().fail_fast();
    let refused = credentials.get_with(ask).await;
    assert!(matches!(refused, Err(Error::QuotaSpent { .. })));
    let renewal = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.renew().await }
    });
    settle().await;
    assert_eq!(seen.lock().len(), 9);
    clock.advance(62 * SECOND);
    renewal.await.unwrap().unwrap();
    assert_eq!((logins.count(), seen.lock().len()), (1, 10));
}

#[tokio::test]
async fn rule_10_only_a_refresh_that_counts_as_a_login_is_refused_where_that_quota_is_spent() {
    let (clock, one) = (ManualClock::new(), Quota::new(NonZeroU32::MIN, HOUR));
    let by = || Refresh::with_kept("refresh_token");
    for (by, refused) in [(by(), false), (by().counts_as_login(), true)] {
        let inner = Scripted::new(|number| with_token(access(number), "r")).with_quota(one);
        let api = Api::rotating().by(by).logins_by(inner);
        let credentials = api.on(&clock).build();
        credentials.get().await.unwrap();
        clock.advance(FIVE_MINUTES);
        let mut get = Box::pin(credentials.get_with(fail_fast()));
        let at_once = futures_util::poll!(&mut get);
        let quota_spent = matches!(at_once, Poll::Ready(Err(Error::QuotaSpent { .. })));
        assert_eq!(quota_spent, refused, "{at_once:?}");
        if !refused {
            assert_eq!(token(&get.await.unwrap()), "token-101");
        }
        clock.advance(HOUR);
    }
}

#[tokio::test]
async fn rule_11_a_limited_refresh_that_counts_as_a_login_holds_the_login() {
    let clock = ManualClock::new();
    let by = Refresh::with_kept("refresh_token").counts_as_login();
    let api = Api::failing(|| LoginError::limited(Some(100 * SECOND))).by(by);
    let (logins, _) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    clock.advance(HOUR);
    let error = credentials.get_with(fail_fast()).await.unwrap_err();
    assert!(matches!(error, Error::QuotaSpent { .. }), "{error}");
    assert_eq!(logins.count(), 1);
}

/// A server that ends the old session at each renewal.
struct OneSession(Api);

#[async_trait]
impl Provider for OneSession {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.0.secret()
    }

    async fn login(&self, secret: &Secret) -> Answer {
        self.0.login(secret).await
    }

    fn renews_ahead(&self) -> bool {
        false
    }

    fn refresh_by(&self) -> Option<Refresh> {
        self.0.refresh_by()
    }

    async fn refresh(&self, current: &Credential) -> Answer {
        self.0.refresh(current).await
    }
}

#[tokio::test]
async fn rule_6_a_provider_may_say_that_nothing_is_renewed_ahead() {
    let clock = ManualClock::new();
    let api = Api::rotating();
    let (_, seen) = api.counters();
    let credentials = Credentials::builder(Arc::new(OneSession(api)));
    let credentials = credentials.clock(clock.clock()).build();
    for _ in 0..299 {
        credentials.get().await.unwrap();
        settle().await;
        clock.advance(SECOND);
    }
    assert_eq!(seen.lock().len(), 0);
    clock.advance(SECOND);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-101");
}

/// What happens to a refresh at one of the points where it waits.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Panics,
    /// It hangs past its time-out.
    Hangs,
    /// The runtime that drives it is shut down.
    Runtime,
    /// All callers are gone.
    Callers,
    Fails,
    Refused,
}

/// A refresh with five points to wait at. The server sees the token at the third.
struct Faulty {
    inner: Scripted,
    fault: (Fault, usize),
    refreshes: AtomicU64,
    seen: Arc<Mutex<Vec<String>>>,
    /// How many points the refresh has come to.
    point: Arc<Mutex<usize>>,
}

#[async_trait]
impl Provider for Faulty {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    async fn login(&self, secret: &Secret) -> Answer {
        self.inner.login(secret).await
    }

    fn refresh_by(&self) -> Option<Refresh> {
        Some(Refresh::with_kept("refresh_token").single_use())
    }

    async fn refresh(&self, current: &Credential) -> Answer {
        let token = current.kept("refresh_token").unwrap().to_owned();
        let number = self.refreshes.fetch_add(1, SeqCst);
        for point in 0..5 {
            if point == 2 {
                self.seen.lock().push(token.clone());
            }
            *self.point.lock() = point + 1;
            if number == 0 && point == self.fault.1 {
                match self.fault.0 {
                    Fault::Panics => panic!("a bug in the provider"),
                    Fault::Hangs | Fault::Runtime => std::future::pending().await,
                    Fault::Fails => return Err(LoginError::unavailable("connection reset")),
                    Fault::Refused => return Err(LoginError::refused("invalid_grant")),
                    Fault::None | Fault::Callers => {}
                }
            }
            yield_now().await;
        }
        with_token(access(100 + number), &format!("next-{number}"))
    }
}

#[test]
fn rule_6_the_server_sees_no_single_use_token_twice_whatever_happens_to_a_refresh() {
    let faults = [
        Fault::None,
        Fault::Panics,
        Fault::Hangs,
        Fault::Runtime,
        Fault::Callers,
        Fault::Fails,
        Fault::Refused,
    ];
    for fault in faults {
        for point in 0..5 {
            for rejected in [false, true] {
                let clock = ManualClock::new();
                let seen: Arc<Mutex<Vec<String>>> = Arc::default();
                let inner =
                    Scripted::new(|number| with_token(access(number), &format!("r-{number}")));
                let logins = inner.logins();
                let provider = Faulty {
                    inner,
                    fault: (fault, point),
                    refreshes: AtomicU64::new(0),
                    seen: Arc::clone(&seen),
                    point: Arc::default(),
                };
                let at = Arc::clone(&provider.point);
                let credentials = Credentials::builder(provider).clock(clock.clock()).build();
                let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
                let first = runtime();
                first.block_on(async {
                    let credential = credentials.get().await.unwrap();
                    if rejected {
                        Attempt::new(&credentials, &credential).rejected();
                    } else {
                        clock.advance(FIVE_MINUTES);
                    }
                    let mut caller = Box::pin(credentials.get());
                    while *at.lock() <= point {
                        assert!(futures_util::poll!(&mut caller).is_pending());
                        yield_now().await;
                    }
                    drop(caller);
                    settle().await;
                    if matches!(fault, Fault::Hangs) {
                        clock.advance(31 * SECOND);
                        settle().await;
                    }
                });
                if matches!(fault, Fault::Runtime) {
                    drop(first);
                }
                let second = runtime();
                second.block_on(async {
                    for _ in 0..20 {
                        let credential = credentials.get().await;
                        let credential = credential
                            .unwrap_or_else(|error| panic!("{fault:?} at {point}: {error}"));
                        replay(&credentials, &credential).accepted();
                        clock.advance(FIVE_MINUTES);
                        settle().await;
                    }
                });
                let mut seen = seen.lock().clone();
                let all = seen.len();
                seen.sort();
                seen.dedup();
                assert_eq!(seen.len(), all, "{fault:?} at {point}: {seen:?}");
                let lost = !matches!(fault, Fault::None | Fault::Callers);
                assert_eq!(
                    logins.count(),
                    if lost { 2 } else { 1 },
                    "{fault:?} at {point}"
                );
            }
        }
    }
}

#[tokio::test]
async fn rule_8_rejections_may_cause_more_than_three_refreshes_a_minute_that_help() {
    for (by, most) in [
        (Refresh::with_kept("refresh_token"), 10),
        (Refresh::with_kept("refresh_token").counts_as_login(), 3),
    ] {
        let clock = ManualClock::new();
        let api = Api::rotating().by(by);
        let (logins, seen) = api.counters();
        let credentials = api.on(&clock).build();
        let mut credential = credentials.get().await.unwrap();
        for _ in 0..10 {
            Attempt::new(&credentials, &credential).rejected();
            credential = credentials.get().await.unwrap();
            replay(&credentials, &credential).accepted();
            clock.advance(SECOND);
        }
        assert_eq!((logins.count(), seen.lock().len()), (1, most));
    }
}

#[tokio::test]
async fn rule_12_a_refused_password_is_told_though_a_refresh_has_failed_since() {
    let clock = ManualClock::new();
    let api = Api::failing(|| LoginError::unavailable("status 503"));
    let api = api.logins_by(Scripted::new(|number| match number {
        1 => with_token(access(1), "r-1"),
        _ => Err(LoginError::refused("status 401")),
    }));
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    clock.advance(FIVE_MINUTES);
    for _ in 0..2 {
        assert!(credentials.get().await.unwrap_err().is_login_refused());
        clock.advance(3 * SECOND);
    }
    assert_eq!((logins.count(), seen.lock().len()), (2, 2));
}

#[tokio::test]
async fn rule_6_a_refresh_that_has_waited_for_its_permit_sends_the_token_of_then() {
    let (clock, one) = (
        ManualClock::new(),
        Quota::new(NonZeroU32::MIN, 290 * SECOND),
    );
    let by = Refresh::with_kept("refresh_token")
        .single_use()
        .counts_as_login();
    let inner =
        Scripted::new(|number| with_token(access(number), &format!("r-{number}"))).with_quota(one);
    let api = Api::rotating().by(by).logins_by(inner);
    let (_, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    clock.advance(280 * SECOND);
    credentials.get().await.unwrap();
    settle().await;
    assert!(seen.lock().is_empty(), "it waits for its permit");
    let credential = Attempt::current(&credentials).unwrap();
    let headers = HeaderMap::from_iter([(NEW_TOKEN, HeaderValue::from_static("r-9"))]);
    Attempt::new(&credentials, &credential).conclude(&ResponseView::new(StatusCode::OK, &headers));
    assert_eq!(
        Attempt::current(&credentials)
            .unwrap()
            .kept("refresh_token"),
        Some("r-9")
    );
    clock.advance(15 * SECOND);
    settle().await;
    assert_eq!(*seen.lock(), ["r-9"]);
}

#[tokio::test]
async fn rule_6_a_session_that_is_over_after_the_wait_for_a_permit_is_not_refreshed_with_itself() {
    let (clock, one) = (ManualClock::new(), Quota::new(NonZeroU32::MIN, HOUR));
    let inner = Scripted::new(|number| with_token(access(number), "r")).with_quota(one);
    let api = Api::failing(|| LoginError::refused("status 401"))
        .by(Refresh::with_session().counts_as_login())
        .logins_by(inner);
    let (logins, seen) = api.counters();
    let credentials = api.on(&clock).build();
    credentials.get().await.unwrap();
    clock.advance(280 * SECOND);
    credentials.get().await.unwrap();
    settle().await;
    assert!(seen.lock().is_empty(), "it waits for its permit");
    clock.advance(60 * SECOND);
    let waits = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.get_with(Ask::new().at_most(3 * HOUR)).await }
    });
    settle().await;
    clock.advance(HOUR);
    settle().await;
    assert_eq!(
        (logins.count(), seen.lock().len(), waits.is_finished()),
        (2, 0, true)
    );
}
