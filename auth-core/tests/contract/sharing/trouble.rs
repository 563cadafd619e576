//! Rule 24: a store in trouble.

use auth_core::Ask;
use auth_core::testing::Gate;
use futures_util::future::BoxFuture;

use super::accounts::Accounts;
use super::*;

#[tokio::test]
async fn rule_24_without_its_store_a_process_logs_in_by_itself_with_a_fifth_of_the_quota() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| session(number, Lifetime::of(10 * SECOND)));
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    for _ in 0..120 {
        let process = process.clone();
        tokio::spawn(async move {
            let _ = process.get().await;
        });
        fleet.advance(SECOND).await;
    }
    assert_eq!(server.logins(), 4, "two in a minute");
    let failed = fleet.events(|event| matches!(event, Event::StoreFailed { .. }));
    assert!(
        (1..=24).contains(&failed),
        "{failed}: it is left alone for 5 s"
    );
}

#[tokio::test]
async fn rule_24_no_login_waits_for_a_store_that_has_just_failed() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.hangs.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store);
    for wait in [3 * SECOND, Duration::ZERO] {
        let renewing = process.clone();
        let renewed = tokio::spawn(async move { renewing.renew().await });
        fleet.advance(wait).await;
        settle().await;
        assert!(renewed.is_finished(), "{wait:?}");
        renewed.await.unwrap().unwrap();
    }
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_24_without_its_store_a_login_that_has_timed_out_counts_until_it_can_arrive_no_more() {
    let clock = ManualClock::new();
    let store = Faulty::new(&MemoryStore::on(clock.clock()));
    store.0.fails.store(true, SeqCst);
    let hangs = Gate::shut();
    let account = |name: &str| {
        let origin = Origin::parse("https://hangs.example.com").unwrap();
        let provider = crate::support::tokens()
            .with_identity(Identity::new("test", origin, name))
            .gated(&hangs);
        let credentials = Credentials::builder(provider).clock(clock.clock());
        credentials.store(store.clone()).fail_fast().build()
    };
    let [one, two, three] = ["one", "two", "three"].map(account);
    let waiters = [one, two].map(|account| tokio::spawn(async move { account.get().await }));
    settle().await;
    clock.advance(30 * SECOND);
    for waiter in waiters {
        let error = waiter.await.unwrap().unwrap_err();
        let kind = error.login_error().map(LoginError::kind);
        assert_eq!(kind, Some(LoginErrorKind::TimedOut), "{error:?}");
    }
    // Each process has a fifth of ten.
    let third = three.get().await;
    assert!(matches!(third, Err(Error::QuotaSpent { .. })), "{third:?}");
}

#[tokio::test]
async fn rule_24_a_login_that_waits_for_the_share_asks_the_store_again_once_it_is_back() {
    // The store gives it a permit, or tells it to wait for one.
    for spent in [false, true] {
        let process = Accounts::new();
        process.store.0.fails.store(true, SeqCst);
        let [one, two] = ["one", "two"].map(|name| process.account(name));
        let waiting = [&one, &two].map(Accounts::get);
        process.pass(SECOND).await;
        assert_eq!(process.sent(), ["one"]);
        if spent {
            let store = &process.store.0.inner;
            store.hold(&process.origin(), 300 * SECOND).await.unwrap();
        }
        process.store.0.fails.store(false, SeqCst);
        process.pass(6 * SECOND).await;
        if spent {
            assert_eq!(process.sent(), ["one"]);
            process.pass(300 * SECOND).await;
        }
        assert_eq!(process.sent(), ["one", "two"], "{spent}");
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap().unwrap(), "token-1");
        }
    }
}

#[tokio::test]
async fn rule_24_a_store_that_answers_when_a_login_by_the_share_ends_counts_it() {
    for answers in [false, true] {
        let process = Accounts::new();
        process.store.0.fails.store(true, SeqCst);
        let gate = Gate::shut();
        let one = process.shares(process.provider("one").gated(&gate));
        let waiting = Accounts::get(&one);
        process.pass(SECOND).await;
        process.store.0.fails.store(!answers, SeqCst);
        process.pass(6 * SECOND).await;
        gate.let_through(1);
        waiting.await.unwrap().unwrap();
        let only = PermitAsk {
            id: "test",
            most: 1,
            window: 902 * SECOND,
            counts_for: SECOND,
        };
        let store = &process.store.0.inner;
        let answer = store.permit(&process.origin(), only).await.unwrap();
        let counts = PermitAnswer::Wait(902 * SECOND);
        let expected = if answers { counts } else { PermitAnswer::Given };
        assert_eq!(answer, expected);
    }
}

#[tokio::test]
async fn rule_24_logins_that_wait_for_the_share_keep_their_places() {
    let process = Accounts::new();
    process.store.0.fails.store(true, SeqCst);
    let all = ["one", "two", "three"].map(|name| process.account(name));
    for account in &all {
        drop(Accounts::get(account));
        // They look again at different times.
        process.pass(SECOND / 2).await;
    }
    process.pass(901 * SECOND).await;
    assert_eq!(process.sent(), ["one", "two"]);
}

#[tokio::test]
async fn rule_10_a_renewal_that_waits_for_the_share_is_behind_the_logins_that_callers_wait_for() {
    // Unless a caller has come to wait for it.
    for waited_for in [false, true] {
        let process = Accounts::new();
        let renewed = process.account("renewed");
        renewed.get().await.unwrap();
        process.clock.advance(HOUR - 100 * SECOND);
        process.store.0.fails.store(true, SeqCst);
        let [one, two] = ["one", "two"].map(|name| process.account(name));
        drop(Accounts::get(&one));
        process.pass(SECOND).await;
        renewed.get().await.unwrap();
        process.pass(SECOND).await;
        drop(Accounts::get(&two));
        process.pass(SECOND).await;
        if waited_for {
            let again = renewed.clone();
            let ask = Ask::new().renewed().wait_for_quota();
            tokio::spawn(async move { again.get_with(ask).await.map(drop) });
        }
        process.pass(901 * SECOND).await;
        let next = if waited_for { "renewed" } else { "two" };
        assert_eq!(process.sent(), ["renewed", "one", next]);
    }
}

#[tokio::test]
async fn rule_10_a_renewal_that_waits_for_the_share_gives_its_permit_to_a_caller_of_its_process() {
    let process = Accounts::new();
    let renewed = process.account("renewed");
    renewed.get().await.unwrap();
    process.clock.advance(HOUR - 100 * SECOND);
    process.store.0.fails.store(true, SeqCst);
    let one = process.account("one");
    drop(Accounts::get(&one));
    process.pass(SECOND).await;
    renewed.get().await.unwrap();
    process.pass(SECOND).await;
    // With the one that the renewal has, all five are given.
    let alone = |name| process.alone(process.provider(name));
    for name in ["two", "three", "four"] {
        alone(name).get().await.unwrap();
    }
    let last = alone("last");
    let last = Accounts::get(&last);
    process.pass(5 * SECOND).await;
    assert_eq!(
        process.sent(),
        ["renewed", "one", "two", "three", "four", "last"]
    );
    last.await.unwrap().unwrap();
}

#[tokio::test]
async fn rule_24_what_was_obtained_without_the_store_is_saved_when_it_is_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    let other = fleet.start(server.program("right"));
    assert_eq!(token(&other.get().await.unwrap()), "token-1");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_24_what_was_obtained_without_the_store_is_left_there_by_a_close() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    // The store is asked again from then on, and the cache has not looked yet.
    fleet.leap(6 * SECOND);
    process.close().await.unwrap();
    let next = fleet.start(server.program("right"));
    assert_eq!(token(&next.get().await.unwrap()), "token-1");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_24_values_that_roll_without_the_store_are_saved_when_it_is_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    });
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    let first = process.get().await.unwrap();
    store.0.fails.store(true, SeqCst);
    let rolled = crate::support::set_cookie("sid=rolled; Path=/");
    Attempt::new(&process, &first).cookies_set(&rolled);
    fleet.advance(SECOND).await;
    store.0.fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    let other = fleet.start(server.program("right"));
    assert_eq!(other.get().await.unwrap().cookie("sid"), Some("rolled"));
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_24_values_that_rolled_without_the_store_are_not_lost_to_an_older_revision() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(HOUR).idle(60 * SECOND)))
    });
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    let first = one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    fleet.advance(10 * SECOND).await;
    store.0.fails.store(true, SeqCst);
    let rolled = crate::support::set_cookie("sid=rolled; Path=/");
    Attempt::new(&one, &first).cookies_set(&rolled);
    // The deadline of the other's session moves, and it saves that.
    let current = other.peek().unwrap();
    Attempt::new(&other, &current).accepted();
    fleet.advance(12 * SECOND).await;
    store.0.fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    for process in [&one, &other] {
        assert_eq!(process.peek().unwrap().cookie("sid"), Some("rolled"));
    }
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_24_a_session_goes_on_and_a_slow_store_costs_two_seconds() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.hangs.store(true, SeqCst);
    assert!(process.fresh().is_some());
    let current = process.get().await.unwrap();
    Attempt::new(&process, &current).rejected();
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    fleet.advance(3 * SECOND).await;
    assert_eq!(token(&get.await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_24_a_quota_that_was_spent_is_spent_though_the_store_fails() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let origin = fleet.store.seal().name(b"origin https://api.example.com");
    for id in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        let ask = PermitAsk {
            id,
            most: 10,
            window: 62 * SECOND,
            counts_for: 100 * SECOND,
        };
        fleet.store.permit(&origin, ask).await.unwrap();
    }
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    let get = tokio::spawn(async move { process.get().await.map(|got| token(&got)) });
    fleet.advance(2 * SECOND).await;
    store.0.fails.store(true, SeqCst);
    fleet.advance(96 * SECOND).await;
    assert_eq!(server.logins(), 0, "none is free before");
    fleet.advance(4 * SECOND).await;
    assert_eq!(get.await.unwrap().unwrap(), "token-1");
}

#[tokio::test]
async fn rule_24_a_logout_that_the_store_is_not_told_of_is_an_error() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    fleet.start(server.program("right")).get().await.unwrap();
    for fault in 0..2 {
        let store = Faulty::new(&fleet.store);
        let fault = [&store.0.fails, &store.0.save_fails][fault];
        fault.store(true, SeqCst);
        let command = fleet.start_with(server.program("right"), store.clone());
        let error = command.log_out().await.unwrap_err();
        let kind = error.login_error().map(LoginError::kind);
        assert_eq!(kind, Some(LoginErrorKind::Unavailable), "{error:?}");
    }
    let next = fleet.start(server.program("right"));
    assert_eq!(token(&next.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_24_a_seal_that_panics_is_a_store_in_trouble() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    fleet.start(server.program("right")).get().await.unwrap();
    let store = Faulty::new(&fleet.store);
    store.0.seal_panics.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store);
    assert_eq!(token(&process.get().await.unwrap()), "token-2");
    assert_eq!(
        fleet.events(|event| matches!(event, Event::StoreFailed { .. })),
        1
    );
}

#[tokio::test]
async fn rule_24_a_store_that_panics_is_one_in_trouble() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.panics.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    assert_eq!(token(&process.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_24_values_of_a_session_that_is_gone_leave_those_of_the_next_one_alone() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    store.0.fails.store(true, SeqCst);
    roll(&one, "sid=rolled; Path=/");
    fleet.advance(SECOND).await;
    // The other logs in anew meanwhile.
    let current = other.peek().unwrap();
    Attempt::new(&other, &current).rejected();
    other.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    let mut waited = 0;
    while one.peek().unwrap().cookie("sid") != Some("s-2") {
        fleet.advance(SECOND).await;
        waited += 1;
        assert!(waited < 20);
    }
    roll(&other, "sid=newest; Path=/");
    fleet.advance(20 * SECOND).await;
    for process in [&one, &other] {
        assert_eq!(process.peek().unwrap().cookie("sid"), Some("newest"));
    }
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_24_a_hold_that_fails_keeps_no_lease() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.hold_fails.store(true, SeqCst);
    server.answers(|_| Err(LoginError::limited(Some(30 * SECOND))));
    let fail_fast = auth_core::Ask::new().fail_fast();
    let one = fleet.start_with(server.program("right"), store);
    assert!(one.get_with(fail_fast).await.is_err());
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(SECOND).await;
    assert!(waiting.is_finished(), "nobody has the lease");
}

#[tokio::test]
async fn rule_24_values_that_rolled_without_the_store_are_not_lost_by_a_renewal() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR).idle(60 * SECOND));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    fleet.advance(10 * SECOND).await;
    store.0.fails.store(true, SeqCst);
    roll(&one, "sid=rolled; Path=/");
    // The deadline of the other's session moves, and it saves that.
    let current = other.peek().unwrap();
    Attempt::new(&other, &current).accepted();
    fleet.advance(12 * SECOND).await;
    store.0.fails.store(false, SeqCst);
    fleet.leap(6 * SECOND);
    let renewed = one.renew().await.unwrap();
    assert_ne!(renewed.cookie("sid"), Some("s-1"), "{}", server.logins());
}

#[tokio::test]
async fn rule_24_a_logout_that_always_comes_too_late_for_the_store_is_an_error() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    fleet.start(server.program("right")).get().await.unwrap();
    let store = Faulty::new(&fleet.store);
    store.0.end_races.store(true, SeqCst);
    let command = fleet.start_with(server.program("right"), store.clone());
    let result = command.log_out().await;
    let next = fleet.start(server.program("right"));
    assert_eq!(token(&next.get().await.unwrap()), "token-1", "not told");
    assert!(result.is_err(), "{result:?}");
}

#[test]
fn rule_24_values_that_are_to_be_saved_are_not_forgotten_for_those_of_the_session_before() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR));
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.build().unwrap();
    runtime.block_on(async {
        process.get().await.unwrap();
        *store.0.save_gate.lock() = Some(Arc::new(Semaphore::new(0)));
        roll(&process, "sid=of-the-first; Path=/");
        settle().await;
        *store.0.save_gate.lock() = None;
        process.renew().await.unwrap();
    });
    // Outside any runtime, so they are to be saved with the next look.
    roll(&process, "sid=of-the-second; Path=/");
    let found = runtime.block_on(async {
        // The save of the first session's values is given up after 2 s.
        fleet.advance(60 * SECOND).await;
        let cold = fleet.start(server.program("right"));
        cold.get().await.unwrap().cookie("sid").map(str::to_owned)
    });
    assert_eq!(found.as_deref(), Some("of-the-second"));
}

/// A store whose functions panic before they return their futures.
struct Abrupt(MemoryStore);

#[async_trait]
impl Store for Abrupt {
    fn seal(&self) -> &dyn Seal {
        self.0.seal()
    }

    async fn load(&self, name: &str) -> Result<Entry, StoreError> {
        self.0.load(name).await
    }

    async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError> {
        self.0.lease(name, ask).await
    }

    fn save<'a, 'b, 'c>(
        &'a self,
        name: &'b str,
        change: Change,
    ) -> BoxFuture<'c, Result<Saved, StoreError>>
    where
        'a: 'c,
        'b: 'c,
    {
        let ends = matches!(change.session, SessionChange::End);
        assert!(!ends, "as told");
        Box::pin(self.0.save(name, change))
    }

    fn permit<'a, 'b, 'c, 'd>(
        &'a self,
        _origin: &'b str,
        ask: PermitAsk<'c>,
    ) -> BoxFuture<'d, Result<PermitAnswer, StoreError>>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
    {
        panic!("as told: {ask:?}")
    }

    async fn end_permit(&self, _: &str, _: &str, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    fn hold<'a, 'b, 'c>(
        &'a self,
        _origin: &'b str,
        wait: Duration,
    ) -> BoxFuture<'c, Result<(), StoreError>>
    where
        'a: 'c,
        'b: 'c,
    {
        panic!("as told: {wait:?}")
    }

    fn changed<'a, 'b, 'c>(&'a self, name: &'b str) -> BoxFuture<'c, ()>
    where
        'a: 'c,
        'b: 'c,
    {
        panic!("as told: {name}")
    }
}

#[tokio::test]
async fn rule_24_a_store_that_panics_before_it_returns_its_futures_is_gone_on_without() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let process = fleet.start_with(server.program("right"), Abrupt(fleet.store.clone()));
    let get = async |process: &Credentials| {
        let (process, ask) = (process.clone(), auth_core::Ask::new().fail_fast());
        let got = tokio::spawn(async move { process.get_with(ask).await.map(|got| token(&got)) });
        settle().await;
        assert!(got.is_finished());
        got.await.unwrap()
    };
    server.answers(|_| Err(LoginError::limited(Some(30 * SECOND))));
    assert!(get(&process).await.unwrap_err().is_rate_limited());
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    fleet.leap(30 * SECOND);
    assert_eq!(get(&process).await.unwrap(), "token-2");
    fleet.advance(20 * SECOND).await;
    // Its session is there, and the task that follows the store goes on.
    reject_stored(&mut fleet, &server).await;
    fleet.advance(20 * SECOND).await;
    assert!(process.fresh().is_none());
    fleet.leap(60 * SECOND);
    assert!(get(&process).await.is_ok());
    assert!(process.log_out().await.is_err(), "the others are not told");
}
