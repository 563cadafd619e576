//! Responses that ask for another part of the session, attempt by attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Ask, Attempt, Conclusion, Credential, Credentials, Error, Identity, Judge, Lifetime,
    LoginError, Provider, ResponseView, Secret, SecretSource, Session, StatusJudge, Update,
    Verdict,
};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

use crate::support::{HERE, HOUR, SECOND, session, settle};

const CSRF: HeaderName = HeaderName::from_static("x-csrf");

/// Fetches `csrf-1`, `csrf-2` and so on, each when the gate lets it.
struct Api {
    inner: Scripted,
    fetches: bool,
    gate: Arc<Semaphore>,
    steps: Arc<AtomicU64>,
}

#[async_trait]
impl Provider for Api {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    fn judge(&self) -> &dyn Judge {
        &|response: &ResponseView<'_>| match response.status {
            StatusCode::CONFLICT => Verdict::NeedsRepair,
            _ => StatusJudge.judge(response),
        }
    }

    fn repairs(&self) -> bool {
        self.fetches
    }

    async fn repair(&self, _: &Credential) -> Result<Update, LoginError> {
        let number = self.steps.fetch_add(1, SeqCst) + 1;
        self.gate.acquire().await.unwrap().forget();
        let csrf = format!("csrf-{number}").parse().unwrap();
        Ok(Update::new().with_header(CSRF, csrf))
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.inner.login(secret).await
    }
}

struct Handle {
    credentials: Credentials,
    clock: ManualClock,
    gate: Arc<Semaphore>,
    steps: Arc<AtomicU64>,
}

impl Handle {
    fn new() -> Self {
        Self::fetching(true)
    }

    fn fetching(fetches: bool) -> Self {
        let (gate, steps) = (Arc::new(Semaphore::new(1_000)), Arc::default());
        let clock = ManualClock::new();
        let api = Api {
            inner: Scripted::new(|number| session(number, Lifetime::of(HOUR))),
            fetches,
            gate: Arc::clone(&gate),
            steps: Arc::clone(&steps),
        };
        let credentials = Credentials::builder(api).clock(clock.clock()).build();
        Self {
            credentials,
            clock,
            gate,
            steps,
        }
    }

    async fn attempt(&self) -> Attempt {
        let credential = self.credentials.get().await.unwrap();
        Attempt::new(&self.credentials, &credential)
    }

    async fn repaired(&self, attempt: &Attempt) -> Arc<Credential> {
        attempt.repaired(HERE, Ask::new()).await.unwrap()
    }
}

fn answer(attempt: &Attempt, status: u16) -> Conclusion {
    let status = StatusCode::from_u16(status).unwrap();
    attempt.conclude(&ResponseView::new(status, &HeaderMap::new()))
}

#[tokio::test]
async fn rule_9_an_attempt_asks_once_for_a_repair_and_once_for_a_login_in_any_order() {
    let handle = Handle::new();
    let first = handle.attempt().await;
    assert_eq!(answer(&first, 409), Conclusion::Repair);
    let repaired = handle.repaired(&first).await;
    assert_eq!(repaired.stamp().revision(), 1);
    let second = first.after_repair(&repaired);
    assert_eq!(answer(&second, 401), Conclusion::Replay);
    let newer = handle.credentials.get().await.unwrap();
    let third = second.replay(&newer);
    assert_eq!(answer(&third, 409), Conclusion::HandOn);
    assert_eq!(handle.steps.load(SeqCst), 1);

    let handle = Handle::new();
    let first = handle.attempt().await;
    assert_eq!(answer(&first, 401), Conclusion::Replay);
    let newer = handle.credentials.get().await.unwrap();
    let second = first.replay(&newer);
    assert_eq!(answer(&second, 409), Conclusion::Repair);
    let repaired = handle.repaired(&second).await;
    let third = second.after_repair(&repaired);
    // Another request's rejection was believed meanwhile, so that this one is late.
    handle.clock.advance(HOUR);
    handle.credentials.get().await.unwrap();
    assert_eq!(answer(&third, 401), Conclusion::Rejected);
}

#[tokio::test]
async fn rule_8_a_repair_that_helps_ends_the_cooldown() {
    let handle = Handle::new();
    let futile = || async {
        let first = handle.attempt().await;
        assert_eq!(answer(&first, 409), Conclusion::Repair);
        let repaired = handle.repaired(&first).await;
        first.after_repair(&repaired)
    };
    for (helps, wait) in [(false, 5), (true, 0), (false, 5), (false, 10)] {
        let again = futile().await;
        answer(&again, if helps { 200 } else { 409 });
        let asks = |conclusion| {
            let handle = &handle;
            async move {
                let attempt = handle.attempt().await;
                assert_eq!(answer(&attempt, 409), conclusion);
            }
        };
        if wait > 0 {
            handle.clock.advance((wait - 1) * SECOND);
            asks(Conclusion::HandOn).await;
            handle.clock.advance(SECOND);
        }
        asks(Conclusion::Repair).await;
    }
}

#[tokio::test]
async fn rule_8_a_repair_outlives_its_callers_and_the_next_one_joins_it() {
    let handle = Handle::new();
    handle.gate.forget_permits(1_000);
    let attempt = handle.attempt().await;
    let mut caller = Box::pin(attempt.repaired(HERE, Ask::new()));
    assert!(futures_util::poll!(&mut caller).is_pending());
    drop(caller);
    settle().await;
    let mut next = Box::pin(attempt.repaired(HERE, Ask::new()));
    assert!(futures_util::poll!(&mut next).is_pending());
    handle.gate.add_permits(1);
    assert_eq!(next.await.unwrap().stamp().revision(), 1);
    assert_eq!(handle.steps.load(SeqCst), 1);
}

#[tokio::test]
async fn rule_3_a_repair_that_hangs_ends_at_its_time_out_and_a_caller_at_its_deadline() {
    let handle = Handle::new();
    handle.gate.forget_permits(1_000);
    let attempt = handle.attempt().await;
    let mut hasty = Box::pin(attempt.repaired(HERE, Ask::new().within(SECOND)));
    let mut patient = Box::pin(attempt.repaired(HERE, Ask::new()));
    assert!(futures_util::poll!(&mut hasty).is_pending());
    assert!(futures_util::poll!(&mut patient).is_pending());
    settle().await;
    handle.clock.advance(SECOND);
    let error = hasty.await.unwrap_err();
    assert!(matches!(error, Error::DeadlinePassed { .. }), "{error}");
    assert!(futures_util::poll!(&mut patient).is_pending());
    settle().await;
    handle.clock.advance(30 * SECOND);
    settle().await;
    let error = patient.await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(handle.credentials.status().failure, None, "it is no login");
}

#[test]
fn rule_3_a_repair_whose_runtime_is_shut_down_is_begun_again() {
    let handle = Handle::new();
    handle.gate.forget_permits(1_000);
    let runtime = || Builder::new_current_thread().build().unwrap();
    let first = runtime();
    let attempt = first.block_on(async {
        let attempt = handle.attempt().await;
        let mut caller = Box::pin(attempt.repaired(HERE, Ask::new()));
        assert!(futures_util::poll!(&mut caller).is_pending());
        settle().await;
        drop(caller);
        attempt
    });
    drop(first);
    handle.gate.add_permits(1);
    let repaired = runtime().block_on(handle.repaired(&attempt));
    assert_eq!(repaired.stamp().revision(), 1);
    assert_eq!(handle.steps.load(SeqCst), 2);
}

#[tokio::test]
async fn rule_8_if_nothing_is_fetched_a_response_has_to_bring_the_part() {
    let handle = Handle::fetching(false);
    let first = handle.attempt().await;
    assert_eq!(answer(&first, 409), Conclusion::HandOn);
    handle.credentials.renew().await.unwrap();
    assert_eq!(
        answer(&first, 409),
        Conclusion::Repair,
        "there is a newer one"
    );
    let newer = handle.repaired(&first).await;
    assert_eq!(newer.stamp().generation(), 2);
    assert_eq!(handle.steps.load(SeqCst), 0);
}

#[tokio::test]
async fn rule_10_a_caller_that_waits_for_no_quota_does_not_where_its_repair_became_a_login() {
    let handle = Handle::new();
    handle.credentials.get().await.unwrap();
    for _ in 0..9 {
        handle.credentials.renew().await.unwrap();
    }
    let attempt = handle.attempt().await;
    assert_eq!(answer(&attempt, 401), Conclusion::Replay);
    let repaired = attempt.repaired(HERE, Ask::new().fail_fast());
    let error = repaired.now_or_never().expect("at once").unwrap_err();
    assert!(matches!(error, Error::QuotaSpent { .. }), "{error}");
}

#[tokio::test]
async fn rule_8_a_repair_of_a_session_that_has_ended_is_a_login() {
    let handle = Handle::new();
    let attempt = handle.attempt().await;
    handle.clock.advance(2 * HOUR);
    let newer = handle.repaired(&attempt).await;
    assert_eq!(newer.stamp().generation(), 2);
    assert_eq!(handle.steps.load(SeqCst), 0);
}

#[tokio::test]
async fn rule_8_a_part_for_the_next_request_is_fetched_once_in_30_seconds_at_most() {
    let handle = Handle::new();
    for fetched in 1..=3 {
        for _ in 0..3 {
            let attempt = handle.attempt().await;
            assert_eq!(answer(&attempt, 409), Conclusion::Repair);
            attempt.begin_repair();
            settle().await;
            assert_eq!(handle.steps.load(SeqCst), fetched);
        }
        handle.clock.advance(30 * SECOND);
    }
    // Where nothing is fetched, a response has to bring the part.
    let handle = Handle::fetching(false);
    handle.attempt().await.begin_repair();
    settle().await;
    assert_eq!(handle.steps.load(SeqCst), 0);
}

#[tokio::test]
async fn rule_8_a_late_replay_of_an_older_session_starts_no_cooldown_of_the_next_one() {
    for is_late in [false, true] {
        let handle = Handle::new();
        let first = handle.attempt().await;
        assert_eq!(answer(&first, 409), Conclusion::Repair);
        let repaired = handle.repaired(&first).await;
        // Its replay is on its way while the session ends.
        let replay = first.after_repair(&repaired);
        if !is_late {
            assert_eq!(answer(&replay, 409), Conclusion::HandOn);
        }
        let other = handle.attempt().await;
        assert_eq!(answer(&other, 401), Conclusion::Replay);
        let newer = handle.credentials.get().await.unwrap();
        assert_eq!(newer.stamp().generation(), 2);
        assert_eq!(answer(&other.replay(&newer), 200), Conclusion::HandOn);
        if is_late {
            assert_eq!(answer(&replay, 409), Conclusion::HandOn);
        }
        let next = handle.attempt().await;
        assert_eq!(answer(&next, 409), Conclusion::Repair, "late: {is_late}");
    }
}
