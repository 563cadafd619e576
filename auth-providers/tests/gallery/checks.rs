//! What holds for the recipe of any dialect. Everything is counted at the server.

use std::time::Duration;

use auth_core::{Ask, Error, LoginErrorKind};
use tokio::task::JoinSet;

use crate::drive::{Dialect, Program};
use crate::world::{Beside, Counts, MARK, Mood, PASSWORD};

const SECOND: Duration = Duration::from_secs(1);

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

/// A wrong password is sent once, whichever caller asks and how often.
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

/// Where there is no refresh, a session is renewed by a login, before requests carry one whose end
/// was told.
pub(crate) async fn renewal_by_login(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    let goes_on = async |logins| {
        assert_eq!(program.read().await.unwrap(), 200);
        assert!(program.write().await.unwrap() < 300);
        let counts = program.world().counts();
        assert_eq!((counts.logins, counts.refreshes), (logins, 0));
        assert_eq!((counts.rejected, counts.stale, counts.polluted), (0, 0, 0));
    };
    goes_on(1).await;
    program.credentials.renew().await.unwrap();
    goes_on(2).await;
    let mut logins = 2;
    let idle = Duration::from_secs(dialect.idle_in);
    for _ in 0..3 {
        // Each request extends it.
        program.clock().advance(idle / 2);
        goes_on(logins).await;
    }
    let expiry = Duration::from_secs(dialect.expires_in);
    for life in [idle, expiry].into_iter().filter(|life| !life.is_zero()) {
        program.clock().advance(life);
        logins += 1;
        goes_on(logins).await;
    }
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
    program.clock().advance(life);
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

/// Where no request ends a session, a program that ends sends nothing more.
pub(crate) async fn no_logout(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    assert_eq!(program.read().await.unwrap(), 200);
    let before = program.world().requests();
    program.credentials.close().await.unwrap();
    assert!(program.read().await.unwrap_err().is_closed());
    assert_eq!(program.world().requests(), before);
}

/// A server that was sent too many logins is left alone for as long as it says, by the account that
/// was told and by any other.
pub(crate) async fn limit(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    program.world().answer_logins_as(Mood::Limited);
    let failure = program.login_failure().await;
    assert_eq!(failure, (LoginErrorKind::Limited, Some(dialect.wait)));
    let both = [program.clone(), program.of_another(1)];
    for left in [dialect.wait, SECOND] {
        for program in &both {
            assert_eq!(program.held().await, left);
        }
        program.clock().advance(left.saturating_sub(SECOND));
    }
    assert_eq!(program.world().counts().logins, 1);
    program.world().answer_logins_as(Mood::Open);
    program.clock().advance(SECOND);
    assert_eq!(program.read().await.unwrap(), 200);
    assert_eq!(program.world().counts().logins, 2);
}

/// Of many accounts that log in at once, no more arrive in a window than the recipe allows. The
/// others are told how long to wait, and arrive in the next.
pub(crate) async fn quota(dialect: &'static Dialect) {
    const ACCOUNTS: usize = 12;
    let first = Program::start(dialect).await;
    let quota = first.quota();
    let allowed = quota.logins().get() as usize;
    let programs: Vec<_> = (0..ACCOUNTS).map(|at| first.of_another(at)).collect();
    // At once, at the end of that window, and when all have left it.
    let (at_end, after) = (quota.window().saturating_sub(SECOND), 4 * SECOND);
    for (wait, arrived) in [
        (Duration::ZERO, allowed),
        (at_end, allowed),
        (after, ACCOUNTS),
    ] {
        first.clock().advance(wait);
        let mut crowd = JoinSet::new();
        for program in &programs {
            let credentials = program.credentials.clone();
            crowd.spawn(async move { credentials.get_with(Ask::new().fail_fast()).await });
        }
        let answers = crowd.join_all().await;
        let is_held = |answer: &&Result<_, Error>| {
            let error = answer.as_ref().err();
            let error = error.filter(|error| error.is_rate_limited());
            error.is_some_and(|error| error.retry_after() > Some(Duration::ZERO))
        };
        let held = answers.iter().filter(is_held).count();
        assert_eq!(held, ACCOUNTS - arrived, "{answers:?}");
        assert_eq!(first.world().counts().logins, arrived);
    }
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

/// The session ends, while the password goes along with each request: a read is served at once, and
/// a write after a fetch. Neither is a login.
pub(crate) async fn dead_session_heals(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    assert!(program.write().await.unwrap() < 300);
    program.world().revoke_all();
    program.read_at_once(10).await;
    assert!(program.write().await.unwrap() < 300);
    let reopened = program.world().counts().reopened;
    assert!(reopened > 0);
    assert!(program.write().await.unwrap() < 300);
    assert_eq!(program.read().await.unwrap(), 200);
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.refused), (1, 0));
    assert_eq!((counts.served, counts.written), (14, 3));
    assert_eq!(
        counts.reopened, reopened,
        "the cookie of the new session is kept"
    );
}

/// The session ends with the password that goes along with each request: the request that notices
/// it costs one login, which is refused, and no other is sent.
pub(crate) async fn dead_password(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    assert!(program.write().await.unwrap() < 300);
    program.world().change_password();
    program.world().revoke_all();
    let mut requests = Vec::new();
    for _ in 0..5 {
        let error = program.read().await.unwrap_err();
        assert!(error.is_login_refused(), "{error:?}");
        requests.push(program.world().requests());
    }
    assert_eq!(requests[0], requests[4], "only the first one is sent");
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.refused), (2, 1));
}

/// A server takes a dead session for a guest. Its answers are handed on and cost no login, the
/// probe tells, and a renewal logs in.
pub(crate) async fn dead_session_is_a_guest(dialect: &'static Dialect) {
    let program = Program::start(dialect).await;
    assert_eq!(program.read().await.unwrap(), 200);
    program.world().revoke_all();
    assert_eq!(program.read().await.unwrap(), 200);
    assert!((400..500).contains(&program.write().await.unwrap()));
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.served, counts.rejected), (1, 1, 2));
    assert!(!program.is_live().await);
    program.credentials.renew().await.unwrap();
    assert!(program.is_live().await);
    assert_eq!(program.read().await.unwrap(), 200);
    assert!(program.write().await.unwrap() < 300);
    let counts = program.world().counts();
    assert_eq!((counts.logins, counts.polluted), (2, 0));
    assert!(counts.refreshes <= 1, "a dead token is refreshed once");
}
