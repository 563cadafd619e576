//! The quota of an origin.

use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::{
    Ask, Credentials, Error, Identity, LoginError, Origin, Provider, Quota, Secret, SecretSource,
    Session,
};
use futures_util::future::select_all;
use shuttle::future::{block_on, spawn};

use crate::provider::{Counting, Script};
use crate::{explore, no_task_left};

/// A window of a second and its margin, and the time that a login takes. Together they are shorter
/// than what a task has for a step before it counts as not driven: 5 s in the queue, and elsewhere
/// the time-out and a second. So no login is superseded here.
const WINDOW: Duration = Duration::from_secs(3);
const BUSY: Duration = Duration::from_millis(400);
const TIMEOUT: Duration = Duration::from_secs(3);

/// An account at an origin with a quota, whose logins take a while, or never end.
fn account(name: &str, clock: &ManualClock, logins: u32, hangs: bool) -> Credentials {
    let origin = Origin::parse("https://busy.example.com").unwrap();
    let provider = Busy {
        identity: Identity::new("busy", origin, name),
        quota: Quota::new(logins.try_into().unwrap(), Duration::from_secs(1)),
        inner: Counting::new(Script::Succeeds),
        clock: clock.clone(),
        hangs,
    };
    Credentials::builder(provider)
        .clock(clock.clock())
        .login_timeout(TIMEOUT)
        .build()
}

struct Busy {
    identity: Identity,
    quota: Quota,
    inner: Counting,
    clock: ManualClock,
    hangs: bool,
}

#[async_trait]
impl Provider for Busy {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    fn quota(&self) -> Quota {
        self.quota
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        if self.hangs {
            return std::future::pending().await;
        }
        shuttle::future::yield_now().await;
        self.clock.advance(BUSY);
        self.inner.login(secret).await
    }
}

/// How long the quota makes a caller wait.
async fn wait_at(credentials: &Credentials) -> Duration {
    match credentials.get_with(Ask::new().fail_fast()).await {
        Err(Error::QuotaSpent { retry_after, .. }) => retry_after,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rule_10_a_permit_is_bound_until_its_login_has_ended_whatever_runs_meanwhile() {
    explore(|| {
        let clock = ManualClock::new();
        let start = clock.clock().now();
        let callers = ["one", "other"].map(|name| {
            let account = account(name, &clock, 1, false);
            spawn(async move {
                let ask = Ask::new().wait_for_quota();
                account.get_with(ask).await.unwrap();
            })
        });
        block_on(async {
            let (_, _, mut left) = select_all(callers).await;
            // Whether the other one is in the queue by now or not, and whatever it was told.
            clock.advance(WINDOW);
            left.remove(0).await.unwrap();
        });
        let took = clock.clock().now().steady_since(start);
        assert_eq!(took, BUSY + WINDOW + BUSY);
    });
}

#[test]
fn rule_10_a_login_that_is_dropped_while_another_ends_counts_until_its_time_out() {
    explore(|| {
        let clock = ManualClock::new();
        let ended = account("ended", &clock, 2, false);
        let [first, second] = ["first", "second"].map(|name| account(name, &clock, 2, false));
        let dropped = account("dropped", &clock, 2, true);
        let ends = spawn(async move { ended.get().await.unwrap().stamp() });
        let drops = spawn(async move {
            let mut get = Box::pin(dropped.get());
            assert!(futures_util::poll!(&mut get).is_pending());
            shuttle::future::yield_now().await;
        });
        block_on(async {
            ends.await.unwrap();
            drops.await.unwrap();
            no_task_left().await;
            // The dropped login has been sent before the other ended, or after, or not at all.
            if first.get_with(Ask::new().fail_fast()).await.is_ok() {
                return;
            }
            assert_eq!(wait_at(&first).await, WINDOW, "since the other ended");
            clock.advance(WINDOW);
            first.get_with(Ask::new().fail_fast()).await.unwrap();
            let left = wait_at(&second).await;
            let given = [Duration::ZERO, BUSY];
            let since = BUSY + WINDOW + BUSY;
            let free = given.map(|at| (at + TIMEOUT + WINDOW).saturating_sub(since));
            assert!(free.contains(&left), "{left:?} of {free:?}");
        });
    });
}
