//! What holds for the recipe of any dialect. Everything is counted at the server.

use std::time::Duration;

use auth_core::LoginErrorKind;
use tokio::task::JoinSet;

use crate::drive::{Dialect, Program};
use crate::world::{Beside, Counts, MARK, Mood, PASSWORD};

/// Requests of all methods are answered with one login, the session is as long as it should be,
/// and nothing secret is printed.
pub(crate) async fn session(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    let written = program.write().await.unwrap();
    assert!((200..300).contains(&written), "{written}");
    for _ in 0..2 {
        assert_eq!(program.read().await.unwrap(), 200);
    }
    let counts = program.world().counts();
    let expected = Counts {
        logins: 1,
        served: 3,
        written: counts.written,
        repairs: dialect.fetches,
        ..Counts::default()
    };
    assert_eq!(counts, expected);

    let status = program.credentials.status();
    for (told, expected) in [
        (status.expires_in, dialect.expires_in),
        (status.idle_in, dialect.idle_in),
    ] {
        // What servers count in whole seconds may end a little earlier.
        let told = told.unwrap_or_default().as_secs_f64();
        let expected = Duration::from_secs(expected).as_secs_f64();
        assert!((expected - 5.0..=expected).contains(&told), "{status:?}");
    }
    let credential = program.credentials.get().await.unwrap();
    let printed = format!("{:?} {credential:?}", program.credentials);
    for secret in [MARK, PASSWORD] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

/// What says nothing about the session costs nothing.
pub(crate) async fn beside(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    assert_eq!(program.read().await.unwrap(), 200);
    assert!(program.write().await.unwrap() < 300);
    let before = program.world().counts();
    for (beside, status) in [
        (Beside::Forbidden, 403),
        (Beside::Quoted, 200),
        (Beside::Proxy, 502),
    ] {
        program.world().answer_beside(Some(beside));
        assert_eq!(program.read().await.unwrap(), status);
        assert_eq!(program.write().await.unwrap(), status);
    }
    program.world().answer_beside(None);
    assert_eq!(program.read().await.unwrap(), 200);
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.refreshes), (1, 0));
    assert_eq!(counts.repairs, before.repairs);
}

/// A wrong password is sent once, whoever asks and how often.
pub(crate) async fn wrong_password(dialect: &'static Dialect) {
    let program = Program::with_password(dialect, "wrong-c4nary").await;
    let mut callers = JoinSet::new();
    for _ in 0..5 {
        let credentials = program.credentials.clone();
        callers.spawn(async move { credentials.get().await.unwrap_err() });
    }
    while let Some(error) = callers.join_next().await {
        let error = error.unwrap();
        assert!(error.is_login_refused(), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("c4nary"), "{error}");
    }
    let (kind, _) = program.login_failure().await;
    assert_eq!(kind, LoginErrorKind::Refused);
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.refused), (1, 1));
}

/// A session that is over costs the request that notices it one login, and no failure.
pub(crate) async fn dead_session(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    assert_eq!(program.read().await.unwrap(), 200);
    program.world().revoke_all();
    assert_eq!(program.read().await.unwrap(), 200);
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.served, counts.rejected), (2, 2, 1));
    assert_eq!(counts.polluted, 0, "a login carries no old session");
}

/// Fifty requests that notice the end of their session at once cost one login together.
pub(crate) async fn crowd(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    program.read_at_once(50).await;
    assert_eq!(program.world().counts().logins, 1);
    program.world().revoke_all();
    program.read_at_once(50).await;
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.served), (2, 100));
    assert!(counts.refreshes <= 1, "{counts:?}");
    assert_eq!((counts.polluted, counts.reused), (0, 0));
}

/// A session is renewed without the password, and again.
pub(crate) async fn renewal(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    for refreshes in 1..=3 {
        assert_eq!(program.read().await.unwrap(), 200);
        assert!(program.write().await.unwrap() < 300);
        program.credentials.renew().await.unwrap();
        assert_eq!(program.world().counts().refreshes, refreshes);
    }
    assert!(program.write().await.unwrap() < 300);
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.rejected, counts.reused), (1, 0, 0));
    assert_eq!(
        counts.stale, 0,
        "what a write wants outlives a renewal, or is fetched again"
    );
    // One that was revoked can't be renewed, and is replaced by a login at once.
    program.world().revoke_all();
    program.credentials.renew().await.unwrap();
    assert_eq!(program.read().await.unwrap(), 200);
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.refreshes), (2, 4));
    assert_eq!(counts.polluted, 0);
}

/// The end of an access token costs a refresh, and no login: where the server says so, and where
/// the clock does.
pub(crate) async fn access_end(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    assert_eq!(program.read().await.unwrap(), 200);
    program.world().expire_access();
    program.read_at_once(10).await;
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.refreshes), (1, 1));
    let life = program.credentials.status().expires_in.unwrap();
    program.clock.advance(life);
    program.read_at_once(10).await;
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.refreshes), (1, 2));
    assert_eq!(counts.rejected, 10, "none by an end that was told");
}

/// A program that ends leaves no session behind.
pub(crate) async fn logout(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    assert_eq!(program.read().await.unwrap(), 200);
    assert_eq!(program.world().live(), 1);
    program.credentials.close().await.unwrap();
    assert_eq!(program.world().live(), 0);
    assert_eq!(program.world().counts().logouts, 1);
    // A session that was over is no failure.
    let program = Program::start(dialect).await;
    assert_eq!(program.read().await.unwrap(), 200);
    program.world().revoke_all();
    program.credentials.close().await.unwrap();
}

/// A server that was sent too many logins is left alone for as long as it says.
pub(crate) async fn limit(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    program.world().answer_logins_as(Mood::Limited);
    let failure = program.login_failure().await;
    assert_eq!(failure, (LoginErrorKind::Limited, Some(dialect.wait)));
}

/// An account whose owner has something to do first is not tried again.
pub(crate) async fn locked(dialect: &'static Dialect) {
    fails_as(dialect, Mood::Locked, LoginErrorKind::Locked).await;
}

/// Where all seats are taken, that is what is told.
pub(crate) async fn seats(dialect: &'static Dialect) {
    fails_as(dialect, Mood::Full, LoginErrorKind::SeatsExhausted).await;
}

/// An API that is not there yet is no wrong password.
pub(crate) async fn starting(dialect: &'static Dialect) {
    fails_as(dialect, Mood::Starting, LoginErrorKind::Unavailable).await;
}

async fn fails_as(dialect: &'static Dialect, mood: Mood, kind: LoginErrorKind) {
    let program = Program::start(dialect).await;
    program.world().answer_logins_as(mood);
    for _ in 0..2 {
        assert_eq!(program.login_failure().await.0, kind);
    }
    assert_eq!(program.world().counts().logins, 1);
}

/// A live session is told from one that is over.
pub(crate) async fn probe(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    assert!(program.is_live().await);
    program.world().revoke_all();
    assert!(!program.is_live().await);
}

/// A csrf value that is over costs one fetch of it, and no login.
pub(crate) async fn repair(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    let is_written = |status| (200..300).contains(&status);
    assert!(is_written(program.write().await.unwrap()));
    let before = program.world().counts();
    program.world().expire_csrf();
    assert!(is_written(program.write().await.unwrap()));
    assert!(is_written(program.write().await.unwrap()));
    let counts = program.world().counts();
    assert_eq!(counts.logins, 1);
    assert_eq!(counts.stale, before.stale + 1);
    assert_eq!(counts.written, before.written + 2);
}

/// The session behind a csrf value ends, while the password goes along with each request: a read is
/// served at once, and a write after a fetch. Neither is a login.
pub(crate) async fn healing(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    assert!(program.write().await.unwrap() < 300);
    program.world().revoke_all();
    assert_eq!(program.read().await.unwrap(), 200);
    assert!(program.write().await.unwrap() < 300);
    assert!(program.write().await.unwrap() < 300);
    let counts = program.world().counts();
    assert_eq!(
        (counts.logins, counts.refused, counts.rejected),
        (1, 0, counts.rejected)
    );
    assert_eq!(counts.reopened, 1, "the cookie of the new session is kept");
}
