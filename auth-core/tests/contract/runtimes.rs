//! Rule 3 across runtimes: none at all, one that is shut down, one that nobody drives.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{
    Ask, Credentials, Error, Event, Identity, Lifetime, LoginError, Provider, Secret, SecretSource,
    Session,
};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::task::coop;

use crate::support::{HOUR, SECOND, on, session, settle, token, tokens};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Polls a `get` once on `runtime`, so that its login is spawned there, and drives it no further.
fn begin_on(runtime: &Runtime, credentials: &Credentials) {
    runtime.block_on(async {
        let mut get = Box::pin(credentials.get());
        assert!(futures_util::poll!(&mut get).is_pending());
    });
}

#[test]
fn rule_3_outside_any_runtime_it_is_a_typed_error() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    let result = futures_util::FutureExt::now_or_never(credentials.get()).expect("ready at once");
    assert!(matches!(result, Err(Error::NoRuntime)));
    assert!(!credentials.status().login_under_way);
}

#[test]
fn rule_3_whoever_would_join_a_login_outside_any_runtime_gets_a_typed_error() {
    // By the machine's clock, whose timers are tokio's.
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
fn rule_3_a_caller_in_a_task_that_has_used_up_its_turn_waits_all_the_same() {
    // By the machine's clock: tokio lets a task poll so many of its resources in one turn, timers among them.
    let gate = Gate::shut();
    let credentials = Credentials::new(tokens().gated(&gate));
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let waiting = async move {
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
        let waiting = tokio::spawn(waiting);
        settle().await;
        assert_eq!(polls.load(SeqCst), 1, "nobody is woken for nothing");
        gate.let_through(1);
        assert_eq!(token(&waiting.await.unwrap().unwrap()), "token-1");
    });
}

#[test]
fn rule_3_a_wait_that_goes_on_elsewhere_has_its_timer_there() {
    // By the machine's clock, whose timers are tokio's, and within less than a login may take: with a timer of its own.
    let gate = Gate::shut();
    let credentials = Credentials::new(tokens().gated(&gate));
    let (home, here, there) = (runtime(), runtime(), runtime());
    begin_on(&home, &credentials);
    home.block_on(settle());
    let mut get = pin!(credentials.get_with(Ask::new().within(10 * SECOND)));
    here.block_on(async { assert!(futures_util::poll!(&mut get).is_pending()) });
    drop(here);
    there.block_on(async { assert!(futures_util::poll!(&mut get).is_pending()) });
    gate.let_through(1);
    home.block_on(settle());
    assert_eq!(token(&there.block_on(get).unwrap()), "token-1");
}

#[test]
fn rule_3_whoever_waits_on_is_released_when_those_who_came_first_have_left() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let credentials = on(&clock, tokens().gated(&gate))
        .login_timeout(10 * SECOND)
        .build();
    let (asleep, awake) = (runtime(), runtime());
    begin_on(&asleep, &credentials);
    asleep.block_on(settle());
    let waiter = || {
        let credentials = credentials.clone();
        awake.spawn(async move { credentials.get().await })
    };
    let (first, second) = (waiter(), waiter());
    awake.block_on(settle());
    let sleepers = clock.sleepers();
    let third = waiter();
    awake.block_on(settle());
    assert_eq!(clock.sleepers(), sleepers, "one timer for all of a runtime");
    first.abort();
    awake.block_on(settle());
    clock.advance(11 * SECOND);
    awake.block_on(settle());
    gate.let_through(2);
    for waiter in [second, third] {
        assert_eq!(token(&awake.block_on(waiter).unwrap().unwrap()), "token-2");
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
fn a_blocking_caller_may_insist_on_a_renewal() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    credentials.blocking_get().unwrap();
    let renewed = credentials.blocking_get_with(Ask::new().renewed());
    assert_eq!(token(&renewed.unwrap()), "token-2");
}

#[test]
fn rule_19_the_thread_of_a_blocking_call_ends_with_what_began_on_it() {
    thread_local! {
        static ALIVE: RefCell<Option<mpsc::Sender<()>>> = const { RefCell::new(None) };
    }
    let (alive, ended) = mpsc::channel();
    let provider = Scripted::new(move |number| {
        ALIVE.set(Some(alive.clone()));
        session(number, Lifetime::of(HOUR))
    });
    let credentials = on(&ManualClock::new(), provider).build();
    credentials.blocking_get().unwrap();
    drop(credentials);
    // The provider is gone with the handle, and the login's thread held the last sender.
    let hung_up = ended.recv_timeout(Duration::from_secs(20));
    assert_eq!(hung_up, Err(mpsc::RecvTimeoutError::Disconnected));
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
fn rule_3_a_login_whose_runtime_was_shut_down_is_begun_anew_elsewhere() {
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
fn rule_3_a_login_on_a_runtime_that_nobody_drives_is_superseded_and_its_late_result_discarded() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let credentials = on(&clock, provider).login_timeout(10 * SECOND).build();
    let asleep = runtime();
    begin_on(&asleep, &credentials);
    asleep.block_on(settle());
    assert_eq!(logins.count(), 1, "sent, and nobody drives it any more");

    let awake = runtime();
    let waiter = awake.spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await }
    });
    awake.block_on(settle());
    clock.advance(10 * SECOND);
    awake.block_on(settle());
    assert_eq!(
        logins.count(),
        1,
        "within its time-out and the grace it is waited for"
    );
    clock.advance(SECOND);
    awake.block_on(settle());
    assert_eq!(logins.count(), 2, "superseded");
    gate.let_through(2);
    assert_eq!(token(&awake.block_on(waiter).unwrap().unwrap()), "token-2");
    asleep.block_on(settle());
    assert_eq!(
        token(&credentials.peek().unwrap()),
        "token-2",
        "the late result is discarded"
    );
}

/// Logouts after a login that was superseded while it blocked its thread, and came back when another had succeeded.
fn logouts_of_what_came_too_late(farewell: Option<Duration>, tokens: [u64; 2]) -> u64 {
    let clock = ManualClock::new();
    let hands = clock.clone();
    let (logged_in, other) = mpsc::channel();
    let other = Mutex::new(other);
    let provider = Scripted::new(move |number| {
        if number == 1 {
            hands.advance(12 * SECOND);
            let other = other.lock().recv_timeout(Duration::from_secs(20));
            other.expect("another login, by whoever waited for this one");
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
    if let Some(grace) = farewell {
        builder = builder.log_out_superseded(grace);
    }
    let credentials = builder.build();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let served = runtime.block_on(credentials.get()).unwrap();
    // Waits for the first login to come back to its thread, and for what it does there.
    drop(runtime);
    assert_eq!(token(&credentials.peek().unwrap()), token(&served));
    logouts.count()
}

#[test]
fn rule_19_a_session_that_came_too_late_is_logged_out_by_choice_unless_it_is_the_one_served() {
    assert_eq!(logouts_of_what_came_too_late(None, [1, 2]), 0);
    assert_eq!(logouts_of_what_came_too_late(Some(HOUR), [1, 2]), 1);
    assert_eq!(logouts_of_what_came_too_late(Some(HOUR), [1, 1]), 0);
}

#[test]
fn rule_3_a_login_that_no_runtime_ever_started_is_superseded_soon() {
    let clock = ManualClock::new();
    let credentials = on(&clock, tokens()).build();
    let asleep = runtime();
    let entered = asleep.enter();
    assert!(futures_util::FutureExt::now_or_never(credentials.get()).is_none());
    drop(entered);
    let awake = runtime();
    let waiter = awake.spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await }
    });
    awake.block_on(settle());
    clock.advance(Duration::from_secs(5));
    assert_eq!(token(&awake.block_on(waiter).unwrap().unwrap()), "token-1");
}

#[test]
fn rule_3_a_permit_that_a_sleeping_runtime_waits_for_does_not_block_the_line() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    gate.let_through(100);
    let credentials = on(&clock, tokens().gated(&gate)).build();
    let awake = runtime();
    awake.block_on(async {
        for _ in 0..10 {
            credentials.renew().await.unwrap();
        }
    });
    clock.advance(10 * SECOND);
    let asleep = runtime();
    asleep.block_on(async {
        let mut get = Box::pin(credentials.renew());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
    });
    let waiter = awake.spawn({
        let credentials = credentials.clone();
        async move { credentials.renew().await }
    });
    awake.block_on(settle());
    clock.advance(52 * SECOND);
    awake.block_on(settle());
    assert!(!waiter.is_finished(), "the sleeper's turn");
    clock.advance(5 * SECOND);
    assert_eq!(token(&awake.block_on(waiter).unwrap().unwrap()), "token-11");
}

#[test]
fn rule_3_a_login_whose_task_was_dropped_before_its_first_poll_is_cleared_away() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    let gone = runtime();
    {
        let _entered = gone.enter();
        assert!(futures_util::FutureExt::now_or_never(credentials.get()).is_none());
    }
    drop(gone);
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
    // The first begins the renewal on a thread; for all others there is nothing to do.
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
                Err(Error::LoginLoop) => Err(LoginError::misconfigured("as it should")),
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
