//! What an error says, and what it knows.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::testing::Scripted;
use auth_core::{
    Ask, Credential, Credentials, Error, Identity, Lifetime, LoginError, Logout, Part, Provider,
    Refresh, Secret, SecretSource, Session, Update,
};

use crate::support::HERE;

fn login(error: LoginError) -> Error {
    Error::Login {
        source: Arc::new(error),
        retry_after: Some(Duration::from_secs(3)),
    }
}

#[test]
fn a_message_does_not_repeat_its_source() {
    let cause = std::io::Error::other("connection reset");
    let error = login(LoginError::unavailable("POST failed").with_source(cause));
    let source = error.source().unwrap();
    assert!(!error.to_string().contains(&source.to_string()));
    let cause = source.source().unwrap();
    assert_eq!(cause.to_string(), "connection reset");
    assert!(!source.to_string().contains(&cause.to_string()));
}

#[test]
fn the_time_to_wait_is_told() {
    assert_eq!(
        login(LoginError::refused("x")).retry_after(),
        Some(Duration::from_secs(3))
    );
    assert_eq!(
        Error::QuotaSpent {
            retry_after: Duration::from_secs(7),
            source: None
        }
        .retry_after(),
        Some(Duration::from_secs(7))
    );
    assert_eq!(Error::Closed.retry_after(), None);
    let limited = LoginError::limited(Some(Duration::from_secs(9)));
    assert_eq!(limited.retry_after(), Some(Duration::from_secs(9)));
}

#[test]
fn an_error_names_the_status_and_the_wait_that_are_known() {
    let limited = LoginError::limited(None);
    assert!(!limited.to_string().contains("429"), "{limited}");
    let limited = limited.with_detail("status 503");
    assert!(limited.to_string().ends_with("(status 503)"), "{limited}");
    let error = login(limited).to_string();
    assert!(error.ends_with("the next login may begin in 3s"), "{error}");
    let source = Arc::new(LoginError::refused("status 401"));
    for retry_after in [None, Some(Duration::ZERO)] {
        let source = Arc::clone(&source);
        let error = Error::Login {
            source,
            retry_after,
        };
        assert_eq!(error.to_string(), "could not log in: refused");
    }
}

/// Its logins work, and it refuses all else.
struct LogsInOnly(Scripted);

#[async_trait]
impl Provider for LogsInOnly {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.0.secret()
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        let session = self.0.login(secret).await?;
        let session = session.with_kept("refresh_token", "r-1")?;
        Ok(session.with_part(Part::fetched_header("x-csrf"))?)
    }

    fn refresh_by(&self) -> Option<Refresh> {
        Some(Refresh::with_kept("refresh_token"))
    }

    async fn refresh(&self, _: &Credential) -> Result<Session, LoginError> {
        Err(LoginError::limited(None))
    }

    fn repairs(&self) -> bool {
        true
    }

    async fn repair(&self, _: &Credential) -> Result<Update, LoginError> {
        Err(LoginError::malformed("status 200"))
    }

    async fn logout(&self, _: &Credential, _: Logout) -> Result<(), LoginError> {
        Err(LoginError::refused("status 401"))
    }
}

#[tokio::test]
async fn what_is_no_login_is_not_called_one_and_says_nothing_of_the_password() {
    let scripted = Scripted::tokens(Lifetime::unknown());
    let credentials = Credentials::new(LogsInOnly(scripted));
    credentials.get().await.unwrap();
    for (error, told, why) in [
        (
            credentials.renew().await.unwrap_err(),
            "could not refresh the session: limited; the next refresh may begin in ",
            "the server wants fewer requests; wait before the next",
        ),
        (
            credentials.get_for(HERE, Ask::new()).await.unwrap_err(),
            "could not fetch a part of the session: malformed; the next fetch may begin in ",
            "the server's response was not what the API documents (status 200)",
        ),
        (
            credentials.close().await.unwrap_err(),
            "could not log out: refused",
            "the server refused the logout (status 401)",
        ),
    ] {
        assert!(error.to_string().starts_with(told), "{error}");
        assert_eq!(error.source().unwrap().to_string(), why);
        assert!(!error.is_login_refused(), "{error}");
    }
}

#[test]
fn each_kind_has_its_own_predicate() {
    let (retry_after, waited) = (Duration::ZERO, Duration::ZERO);
    for (error, expected) in [
        (login(LoginError::refused("x")), "refused"),
        (login(LoginError::locked("x")), "locked"),
        (login(LoginError::seats_exhausted("x")), "seats exhausted"),
        (login(LoginError::limited(None)), "limited"),
        (
            Error::QuotaSpent {
                retry_after,
                source: None,
            },
            "limited",
        ),
        (login(LoginError::unavailable("x")), "unavailable"),
        (login(LoginError::malformed("x")), "unavailable"),
        (Error::DeadlinePassed { waited }, "unavailable"),
        (Error::Abandoned, "unavailable"),
        (login(LoginError::misconfigured("x")), "misconfigured"),
        (Error::NoRuntime, "misconfigured"),
        (Error::LoginLoop, "misconfigured"),
        (Error::Closed, "closed"),
    ] {
        let predicates = [
            (error.is_login_refused(), "refused"),
            (error.is_locked(), "locked"),
            (error.is_seats_exhausted(), "seats exhausted"),
            (error.is_rate_limited(), "limited"),
            (error.is_unavailable(), "unavailable"),
            (error.is_misconfigured(), "misconfigured"),
            (error.is_closed(), "closed"),
        ];
        let told: Vec<&str> = predicates
            .into_iter()
            .filter_map(|(is, name)| is.then_some(name))
            .collect();
        assert_eq!(told, [expected], "{error}");
    }
}
