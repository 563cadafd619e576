//! Rule 3 across runtimes: without a runtime, on one that is shut down, on one that is not driven.

use std::cell::RefCell;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{
    Ask, Credential, Credentials, Error, Event, Identity, Lifetime, LoginError, Provider, Quota,
    Secret, SecretSource, Session,
};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::task::coop;

use crate::support::{HOUR, SECOND, on, session, settle, token, tokens};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Polls a `get` once on `runtime`, so that its login task is spawned there. Does not drive it
/// further.
fn begin_on(runtime: &Runtime, credentials: &Credentials) {
    runtime.block_on(async {
        let mut get = Box::pin(credentials.get());
        assert!(futures_util::poll!(&mut get).is_pending());
    });
}

#[test]
fn rule_3_a_call_outside_any_runtime_gets_a_typed_error() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    let result = futures_util::FutureExt::now_or_never(credentials.get()).expect("ready at once");
    assert!(matches!(result, Err(Error::NoRuntime)));
    assert!(!credentials.status().login_under_way);
}

#[test]
fn rule_3_a_caller_that_joins_a_login_outside_any_runtime_gets_a_typed_error() {
    // On the system clock, whose timers are tokio's.
    let gate = Gate::shut();
    let credentials = Credentials::new(tokens().gated(&gate));
    let inside = runtime();
    begin_on(&inside, &credentials);
    let result = futures_util::FutureExt::now_or_never(credentials.get()).expect("ready at once");
    assert!(matches!(result, Err(Error::NoRuntime)), "{result:?}");
    gate.let_through(1);
    assert_eq!(
        token(&inside.block_on(credentials.get()).unwrap()),
        "token-1"
    );
}

#[test]
fn rule_3_a_caller_in_a_task_without_coop_budget_still_waits() {
    // On the system clock. Tokio's coop budget limits how many of its resources, timers included, a
    // task polls before it yields.
    let gate = Gate::shut();
    let credentials = Credentials::new(tokens().gated(&gate));
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let caller = async move {
        let mut get = pin!(credentials.get());
        poll_fn(|cx| {
            counted.fetch_add(1, SeqCst);
            while coop::has_budget_remaining() {
                assert!(pin!(coop::consume_budget()).poll(cx).is_ready());
            }
            get.as_mut().poll(cx)
        })
        .await
    };
    runtime().block_on(async {
        let waiter = tokio::spawn(caller);
        settle().await;
        assert_eq!(polls.load(SeqCst), 1, "the waiter is not woken in vain");
        gate.let_through(1);
        assert_eq!(token(&waiter.await.unwrap().unwrap()), "token-1");
    });
}

#[test]
fn rule_3_a_wait_that_moves_to_another_runtime_has_its_timer_there() {
    // On the system clock, whose timers are tokio's. The caller's deadline is before the login's,
    // so the caller needs its own timer.
    let gate = Gate::shut();
    let credentials = Credentials::new(tokens().gated(&gate));
    let (login, first, second) = (runtime(), runtime(), runtime());
    begin_on(&login, &credentials);
    login.block_on(settle());
    let mut get = pin!(credentials.get_with(Ask::new().within(10 * SECOND)));
    first.block_on(async { assert!(futures_util::poll!(&mut get).is_pending()) });
    drop(first);
    second.block_on(async { assert!(futures_util::poll!(&mut get).is_pending()) });
    gate.let_through(1);
    login.block_on(settle());
    assert_eq!(token(&second.block_on(get).unwrap()), "token-1");
}

#[test]
fn rule_3_waiters_are_released_after_the_first_waiter_has_left() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let credentials = on(&clock, tokens().gated(&gate))
        .login_timeout(10 * SECOND)
        .build();
    let (stopped, driven) = (runtime(), runtime());
    begin_on(&stopped, &credentials);
    stopped.block_on(settle());
    let waiter = || {
        let credentials = credentials.clone();
        driven.spawn(async move { credentials.get().await })
    };
    let (first, second) = (waiter(), waiter());
    driven.block_on(settle());
    let sleepers = clock.sleepers();
    let third = waiter();
    driven.block_on(settle());
    assert_eq!(
        clock.sleepers(),
        sleepers,
        "the waiters on one runtime share one timer"
    );
    first.abort();
    driven.block_on(settle());
    clock.advance(11 * SECOND);
    driven.block_on(settle());
    gate.let_through(2);
    for waiter in [second, third] {
        assert_eq!(token(&driven.block_on(waiter).unwrap().unwrap()), "token-2");
    }
}

#[test]
fn rule_3_the_blocking_call_brings_its_own_thread() {
    let provider = tokens();
    let logins = provider.logins();
    let credentials = Credentials::builder(provider)
        .clock(ManualClock::new().clock())
        .build();
    assert_eq!(token(&credentials.blocking_get().unwrap()), "token-1");
    assert_eq!(token(&credentials.blocking_get().unwrap()), "token-1");
    assert_eq!(logins.count(), 1);
}

#[test]
fn a_blocking_caller_may_force_a_renewal() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    credentials.blocking_get().unwrap();
    let renewed = credentials.blocking_get_with(Ask::new().renewed());
    assert_eq!(token(&renewed.unwrap()), "token-2");
}

#[test]
fn rule_19_the_thread_of_a_blocking_call_ends_with_its_login() {
    thread_local! {
        static ALIVE: RefCell<Option<mpsc::Sender<()>>> = const { RefCell::new(None) };
    }
    let (alive, thread_ended) = mpsc::channel();
    let provider = Scripted::new(move |number| {
        ALIVE.set(Some(alive.clone()));
        session(number, Lifetime::of(HOUR))
    });
    let credentials = on(&ManualClock::new(), provider).build();
    credentials.blocking_get().unwrap();
    drop(credentials);
    // The provider was dropped with the handle, so the login's thread held the last sender.
    let received = thread_ended.recv_timeout(Duration::from_secs(20));
    assert_eq!(received, Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn rule_3_four_hundred_blocking_callers_are_one_login() {
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let callers: Vec<_> = (0..400)
        .map(|_| {
            let credentials = credentials.clone();
            std::thread::spawn(move || credentials.blocking_get())
        })
        .collect();
    gate.let_through(400);
    for caller in callers {
        caller.join().unwrap().unwrap();
    }
    assert_eq!(logins.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_blocking_call_works_inside_a_runtime_too() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    assert_eq!(token(&credentials.blocking_get().unwrap()), "token-1");
}

#[test]
fn rule_3_a_login_whose_runtime_was_shut_down_starts_again_on_another_runtime() {
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let first = runtime();
    begin_on(&first, &credentials);
    first.block_on(settle());
    assert_eq!(logins.count(), 1);
    let second = runtime();
    let waiter = second.spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await }
    });
    second.block_on(settle());
    drop(first);
    gate.let_through(1);
    assert_eq!(token(&second.block_on(waiter).unwrap().unwrap()), "token-2");
    assert_eq!(logins.count(), 2);
}

/// A login that blocks its thread and is superseded after 31 s, by one that fails or not; and then
/// fails itself. Returns how many logins there are after a renewal that is asked for 2 min later.
fn superseded(
    late: fn() -> LoginError,
    later: fn(u64) -> Result<Session, LoginError>,
) -> (Result<Arc<Credential>, Error>, u64) {
    let clock = ManualClock::new();
    let (sends, sent) = mpsc::channel();
    let (answers, answer) = mpsc::channel::<()>();
    let answer = Mutex::new(answer);
    let provider = Scripted::new(move |number| {
        if number > 1 {
            return later(number);
        }
        sends.send(()).unwrap();
        answer.lock().recv_timeout(20 * SECOND).unwrap();
        Err(late())
    });
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let blocked = credentials.clone();
    let thread = std::thread::spawn(move || {
        runtime().block_on(async {
            let _ = futures_util::poll!(Box::pin(blocked.get()));
            settle().await;
        });
    });
    sent.recv_timeout(20 * SECOND).unwrap();
    let driven = runtime();
    let waiter = driven.spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await.is_ok() }
    });
    driven.block_on(settle());
    clock.advance(31 * SECOND);
    driven.block_on(settle());
    assert_eq!(driven.block_on(waiter).unwrap(), later(2).is_ok());
    assert_eq!(logins.count(), 2);
    answers.send(()).unwrap();
    thread.join().unwrap();
    clock.advance(120 * SECOND);
    (driven.block_on(credentials.renew()), logins.count())
}

#[test]
fn rule_12_what_a_superseded_login_brings_late_takes_nothing_back_of_a_refusal() {
    let late = || LoginError::malformed("a page");
    let (told, logins) = superseded(late, |_| Err(LoginError::refused("status 401")));
    assert!(told.as_ref().unwrap_err().is_login_refused(), "{told:?}");
    assert_eq!(logins, 2);
}

#[test]
fn rule_12_a_refusal_that_a_superseded_login_brings_late_counts_until_another_has_succeeded() {
    let late = || LoginError::refused("status 401");
    let outage: fn(u64) -> _ = |number| match number {
        2 => Err(LoginError::unavailable("status 503")),
        _ => session(number, Lifetime::of(HOUR)),
    };
    let corrected: fn(u64) -> _ = |number| session(number, Lifetime::of(HOUR));
    for (later, is_corrected) in [(outage, false), (corrected, true)] {
        let (told, logins) = superseded(late, later);
        assert_eq!(told.is_ok(), is_corrected, "{told:?}");
        assert_eq!(logins, 2 + u64::from(is_corrected));
    }
}

#[test]
fn rule_12_logins_that_are_lost_with_their_runtimes_back_off() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for second in 0..15 * 60 {
        // It waits for its answer no longer.
        runtime().block_on(async {
            let got = futures_util::poll!(Box::pin(credentials.get()));
            if let Poll::Ready(got) = got {
                assert!(got.is_err());
            }
            settle().await;
        });
        if second == 1 {
            assert_eq!(logins.count(), 2, "the first one forbids nothing");
        }
        clock.advance(SECOND);
    }
    assert!(logins.count() < 75, "{}", logins.count());
    clock.advance(60 * SECOND);
    gate.let_through(1);
    assert!(runtime().block_on(credentials.get()).is_ok());
}

#[test]
fn rule_12_logins_that_are_superseded_without_an_answer_back_off() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let now_and_then = runtime();
    for call in 1..=90 {
        // It is driven for as long as one caller waits, and its logins take longer.
        now_and_then.block_on(async {
            let got = futures_util::poll!(Box::pin(credentials.get()));
            if let Poll::Ready(got) = got {
                assert!(got.is_err());
            }
            settle().await;
        });
        if call == 2 {
            assert_eq!(logins.count(), 2, "the first one forbids nothing");
        }
        clock.advance(40 * SECOND);
    }
    assert!(logins.count() <= 45, "{}", logins.count());
    gate.let_through(2);
    // It may be told of the loss of the last one.
    let _ = now_and_then.block_on(credentials.get());
    clock.advance(60 * SECOND);
    assert!(now_and_then.block_on(credentials.get()).is_ok());
}

#[test]
fn rule_3_a_handle_that_outlives_its_runtime_is_used_from_another() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    runtime().block_on(credentials.get()).unwrap();
    let second = runtime();
    assert_eq!(
        token(&second.block_on(credentials.get()).unwrap()),
        "token-1"
    );
    assert_eq!(
        token(&second.block_on(credentials.renew()).unwrap()),
        "token-2"
    );
}

#[test]
fn rule_3_a_login_on_a_runtime_that_is_not_driven_is_superseded_and_its_late_result_discarded() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let superseded = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&superseded);
    let credentials = on(&clock, provider)
        .login_timeout(10 * SECOND)
        .observer(move |_: &Identity, event: &Event| {
            seen.fetch_add(usize::from(matches!(event, Event::LoginSuperseded)), SeqCst);
        })
        .build();
    let stopped = runtime();
    begin_on(&stopped, &credentials);
    stopped.block_on(settle());
    assert_eq!(
        logins.count(),
        1,
        "it was sent, and its runtime is no longer driven"
    );

    let driven = runtime();
    let waiter = driven.spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await }
    });
    driven.block_on(settle());
    clock.advance(10 * SECOND);
    driven.block_on(settle());
    assert_eq!(
        logins.count(),
        1,
        "callers wait for it within its time-out and the grace"
    );
    clock.advance(SECOND);
    driven.block_on(settle());
    assert_eq!((logins.count(), superseded.load(SeqCst)), (2, 1));
    gate.let_through(2);
    assert_eq!(token(&driven.block_on(waiter).unwrap().unwrap()), "token-2");
    stopped.block_on(settle());
    assert_eq!(
        token(&credentials.peek().unwrap()),
        "token-2",
        "the late result is discarded"
    );
}

/// The number of logouts after a login that blocked its thread, was superseded meanwhile, and ended
/// after another login had succeeded.
fn logouts_of_a_late_session(grace: Option<Duration>, tokens: [u64; 2]) -> u64 {
    let clock = ManualClock::new();
    let manual = clock.clone();
    let (logged_in, other) = mpsc::channel();
    let other = Mutex::new(other);
    let provider = Scripted::new(move |number| {
        if number == 1 {
            manual.advance(12 * SECOND);
            let other = other.lock().recv_timeout(Duration::from_secs(20));
            other.expect("another login succeeds");
        }
        session(tokens[usize::from(number > 1)], Lifetime::of(HOUR))
    });
    let logouts = provider.logouts();
    let mut builder = on(&clock, provider).login_timeout(10 * SECOND).observer(
        move |_: &Identity, event: &Event| {
            if matches!(event, Event::LoggedIn { .. }) {
                let _ = logged_in.send(());
            }
        },
    );
    if let Some(grace) = grace {
        builder = builder.log_out_superseded(grace);
    }
    let credentials = builder.build();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let served = runtime.block_on(credentials.get()).unwrap();
    // Dropping the runtime waits for the first login to end on its thread.
    drop(runtime);
    assert_eq!(token(&credentials.peek().unwrap()), token(&served));
    logouts.count()
}

#[test]
fn rule_19_a_late_session_is_logged_out_by_choice_unless_it_is_the_one_served() {
    assert_eq!(logouts_of_a_late_session(None, [1, 2]), 0);
    assert_eq!(logouts_of_a_late_session(Some(HOUR), [1, 2]), 1);
    assert_eq!(logouts_of_a_late_session(Some(HOUR), [1, 1]), 0);
}

#[test]
fn rule_3_a_login_task_that_is_never_polled_is_superseded_soon() {
    let clock = ManualClock::new();
    let credentials = on(&clock, tokens()).build();
    let stopped = runtime();
    let entered = stopped.enter();
    assert!(futures_util::FutureExt::now_or_never(credentials.get()).is_none());
    drop(entered);
    let driven = runtime();
    let waiter = driven.spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await }
    });
    driven.block_on(settle());
    clock.advance(Duration::from_secs(5));
    assert_eq!(token(&driven.block_on(waiter).unwrap().unwrap()), "token-1");
}

#[test]
fn rule_3_a_ticket_on_a_runtime_that_is_not_driven_does_not_block_the_queue() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    gate.let_through(100);
    let credentials = on(&clock, tokens().gated(&gate)).build();
    let driven = runtime();
    driven.block_on(async {
        for _ in 0..10 {
            credentials.renew().await.unwrap();
        }
    });
    clock.advance(10 * SECOND);
    let stopped = runtime();
    stopped.block_on(async {
        let mut get = Box::pin(credentials.renew());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
    });
    let waiter = driven.spawn({
        let credentials = credentials.clone();
        async move { credentials.renew().await }
    });
    driven.block_on(settle());
    clock.advance(52 * SECOND);
    driven.block_on(settle());
    assert!(!waiter.is_finished(), "the first ticket still has its turn");
    clock.advance(5 * SECOND);
    assert_eq!(
        token(&driven.block_on(waiter).unwrap().unwrap()),
        "token-11"
    );
}

/// One login in a minute.
const ONE: Quota = Quota::new(NonZeroU32::MIN, Duration::from_secs(60));

/// Begins a login that waits for its permit for another 52 seconds, on a runtime that is not driven
/// any further.
fn begin_unsent(clock: &ManualClock, credentials: &Credentials) -> Runtime {
    runtime().block_on(credentials.renew()).unwrap();
    clock.advance(10 * SECOND);
    let stopped = runtime();
    stopped.block_on(async {
        let mut renewal = Box::pin(credentials.renew());
        assert!(futures_util::poll!(&mut renewal).is_pending());
        settle().await;
    });
    stopped
}

#[test]
fn rule_3_a_login_that_was_superseded_unsent_is_ahead_of_no_other() {
    let clock = ManualClock::new();
    let credentials = on(&clock, tokens().with_quota(ONE)).build();
    let _stopped = begin_unsent(&clock, &credentials);
    let driven = runtime();
    let waiter = driven.spawn({
        let credentials = credentials.clone();
        async move { credentials.renew().await }
    });
    driven.block_on(settle());
    clock.advance((52 + 5) * SECOND);
    assert_eq!(token(&driven.block_on(waiter).unwrap().unwrap()), "token-2");
}

#[test]
fn rule_3_a_login_that_was_superseded_unsent_is_never_sent() {
    let clock = ManualClock::new();
    let provider = tokens().with_quota(ONE);
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let stopped = begin_unsent(&clock, &credentials);
    let driven = runtime();
    let waiter = driven.spawn({
        let credentials = credentials.clone();
        async move { credentials.renew().await }
    });
    driven.block_on(settle());
    clock.advance((52 + 5) * SECOND);
    driven.block_on(waiter).unwrap().unwrap();
    clock.advance(HOUR);
    stopped.block_on(settle());
    assert_eq!(
        logins.count(),
        2,
        "a permit is free, and its runtime is driven"
    );
}

#[test]
fn rule_10_a_login_that_ends_with_its_cache_unsent_is_ahead_of_no_other() {
    for closed in [true, false] {
        let clock = ManualClock::new();
        let credentials = on(&clock, tokens().with_quota(ONE)).build();
        let origin = credentials.identity().origin().clone();
        let other = Identity::new("scripted", origin, "other@example.com");
        let other = on(&clock, tokens().with_quota(ONE).with_identity(other)).build();
        let _stopped = begin_unsent(&clock, &credentials);
        let driven = runtime();
        let _closing = if closed {
            // It waits for the task, which has yet to be dropped by its runtime.
            Some(driven.spawn(async move { credentials.close().await }))
        } else {
            drop(credentials);
            None
        };
        driven.block_on(settle());
        let waiter = driven.spawn(async move { other.get().await });
        driven.block_on(settle());
        clock.advance(52 * SECOND);
        driven.block_on(settle());
        assert!(waiter.is_finished(), "closed: {closed}");
        let got = driven.block_on(waiter).unwrap();
        assert_eq!(token(&got.unwrap()), "token-1");
    }
}

#[test]
fn rule_3_a_login_task_dropped_before_its_first_poll_is_cleared() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    let dropped = runtime();
    {
        let _entered = dropped.enter();
        assert!(futures_util::FutureExt::now_or_never(credentials.get()).is_none());
    }
    drop(dropped);
    assert!(!credentials.status().login_under_way);
    assert_eq!(
        token(&runtime().block_on(credentials.get()).unwrap()),
        "token-1"
    );
}

#[test]
fn the_blocking_call_starts_no_thread_for_a_credential_that_is_served() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    gate.let_through(1);
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    credentials.blocking_get().unwrap();
    clock.advance(Duration::from_secs(3_600 - 60));
    // The first call starts the renewal on a thread. The others have nothing to start.
    for _ in 0..300 {
        assert_eq!(token(&credentials.blocking_get().unwrap()), "token-1");
    }
    while logins.count() < 2 {
        std::thread::yield_now();
    }
    assert_eq!(logins.count(), 2);
    gate.let_through(1);
    while credentials.status().login_under_way {
        std::thread::yield_now();
    }
    assert_eq!(token(&credentials.blocking_get().unwrap()), "token-2");
}

#[test]
fn rule_18_a_login_that_blocks_on_its_own_credential_gets_a_typed_error() {
    struct Loops(Scripted, std::sync::Arc<std::sync::OnceLock<Credentials>>);
    #[async_trait::async_trait]
    impl Provider for Loops {
        fn identity(&self) -> &Identity {
            Provider::identity(&self.0)
        }
        fn secret(&self) -> &SecretSource {
            Provider::secret(&self.0)
        }
        async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
            match self.1.get().unwrap().blocking_get() {
                Err(Error::LoginLoop) => {
                    Err(LoginError::misconfigured("the loop is a typed error"))
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let own = std::sync::Arc::default();
    let provider = Loops(tokens(), std::sync::Arc::clone(&own));
    let credentials = Credentials::builder(provider)
        .clock(ManualClock::new().clock())
        .build();
    own.set(credentials.clone()).unwrap();
    assert!(credentials.blocking_get().unwrap_err().is_misconfigured());
}

#[test]
fn rule_19_the_blocking_close_logs_out() {
    let provider = tokens();
    let logouts = provider.logouts();
    let credentials = on(&ManualClock::new(), provider).build();
    credentials.blocking_get().unwrap();
    credentials.blocking_close().unwrap();
    assert_eq!(logouts.count(), 1);
    assert!(credentials.blocking_get().unwrap_err().is_closed());
}
