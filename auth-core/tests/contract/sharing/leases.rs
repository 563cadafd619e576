//! Rule 20: look in the store, lease, login.

use super::*;

#[tokio::test]
async fn rule_20_eight_processes_of_250_callers_make_one_login() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    let callers: Vec<_> = (processes.iter())
        .flat_map(|process| (0..250).map(|_| process.clone()))
        .map(|process| tokio::spawn(async move { process.get().await.map(|got| token(&got)) }))
        .collect();
    settle().await;
    assert_eq!(server.logins(), 1, "one has the lease");
    gate.add_permits(10);
    // Those that wait for the lease look again.
    fleet.advance(SECOND).await;
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "token-1");
    }
    assert_eq!((server.logins(), fleet.events(is_loaded)), (1, 7));
}

#[tokio::test]
async fn rule_20_a_program_that_starts_again_uses_the_session_that_it_left() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for run in 0..13 {
        let program = fleet.start(server.program("right"));
        assert_eq!(token(&program.get().await.unwrap()), "token-1");
        if run % 2 == 0 {
            program.close().await.unwrap();
        }
    }
    assert_eq!(server.logins(), 1);
    fleet.leap(HOUR);
    let program = fleet.start(server.program("right"));
    assert_eq!(
        token(&program.get().await.unwrap()),
        "token-2",
        "its life counts from its login"
    );
}

#[tokio::test]
async fn rule_20_a_login_that_waits_uses_a_session_that_its_cache_has_found_meanwhile() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    for process in &processes {
        process.get().await.unwrap();
    }
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    for expiry in 1..=5 {
        fleet.leap(HOUR);
        let callers: Vec<_> = (processes.iter().cloned())
            .map(|process| tokio::spawn(async move { process.get().await.map(|got| token(&got)) }))
            .collect();
        settle().await;
        // The task that follows the store is told of the save, as the login is that waits for it.
        gate.add_permits(9);
        fleet.advance(2 * SECOND).await;
        for caller in callers {
            let expected = format!("token-{}", expiry + 1);
            assert_eq!(caller.await.unwrap().unwrap(), expected);
        }
        assert_eq!(server.logins(), expiry + 1);
        gate.forget_permits(9);
    }
}

#[tokio::test]
async fn rule_20_waiters_are_told_once_the_session_is_saved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let program = fleet.start_with(server.program("right"), store);
    let mut get = Box::pin(program.get());
    for _ in 0..100 {
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
    }
    assert_eq!(server.logins(), 1);
    saves.add_permits(1);
    get.await.unwrap();
    drop(program);
    let next = fleet.start(server.program("right"));
    assert_eq!(token(&next.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_20_a_lease_whose_holder_is_gone_lapses_and_one_that_is_given_up_is_released() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    // Its runtime is not driven any more, as that of a process that was killed.
    let killed = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let holder = fleet.start(server.program("right"));
    let mut get = Box::pin(holder.get());
    {
        let _entered = killed.enter();
        assert!(futures_util::poll!(&mut get).is_pending());
    }
    std::thread::scope(|scope| {
        scope.spawn(|| killed.block_on(settle()));
    });
    assert_eq!(server.logins(), 1);
    *server.0.gate.lock() = None;
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(34 * SECOND).await;
    assert!(!waiting.is_finished(), "30 s for the login and 5 s");
    fleet.advance(2 * SECOND).await;
    assert_eq!(waiting.await.unwrap().unwrap(), "token-2");

    // One that is dropped with its cache before it is sent releases its lease at once.
    reject_stored(&mut fleet, &server).await;
    let store = Faulty::new(&fleet.store);
    *store.0.permit_gate.lock() = Some(Arc::new(Semaphore::new(0)));
    let dropped = fleet.start_with(server.program("right"), store);
    let mut get = Box::pin(dropped.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let logins = server.logins();
    drop(get);
    drop(dropped);
    settle().await;
    let next = fleet.start(server.program("right"));
    assert!(next.get().await.is_ok());
    assert_eq!(server.logins(), logins + 1);
    std::mem::forget(killed);
}

#[tokio::test]
async fn rule_20_an_extension_that_arrives_after_the_release_takes_no_lease() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    let process = fleet.start_with(server.program("right"), store.clone());
    let get = tokio::spawn(async move { process.get().await.map(|got| token(&got)) });
    settle().await;
    assert_eq!(server.logins(), 1);
    let arrives = Arc::new(Semaphore::new(0));
    *store.0.late_leases.lock() = Some(Arc::clone(&arrives));
    // After a third of the lease.
    fleet.advance(12 * SECOND).await;
    assert_eq!(store.0.leases.load(SeqCst), 2);
    gate.add_permits(1);
    assert!(get.await.unwrap().is_err());
    arrives.add_permits(1);
    // The back-off of the failure is over then.
    fleet.advance(2 * SECOND).await;
    *server.0.gate.lock() = None;
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(SECOND).await;
    assert!(waiting.is_finished(), "nobody has the lease");
    assert_eq!(waiting.await.unwrap().unwrap(), "token-2");
}

#[tokio::test]
async fn rule_20_those_that_wait_for_a_lease_do_not_wake_each_other() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let processes: Vec<_> = (0..4)
        .map(|_| fleet.start_with(server.program("right"), store.clone()))
        .collect();
    let mut all = Box::pin(join_all(processes.iter().map(Credentials::get)));
    assert!(futures_util::poll!(&mut all).is_pending());
    for _ in 0..10 {
        settle().await;
    }
    assert_eq!(store.0.leases.load(SeqCst), 4, "no time has passed");
    gate.add_permits(1);
    fleet.advance(SECOND).await;
    for result in all.await {
        assert_eq!(token(&result.unwrap()), "token-1");
    }
}

#[tokio::test]
async fn rule_20_a_login_that_waits_for_a_lease_looks_ever_more_seldom() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.is_silent.store(true, SeqCst);
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let holder = fleet.start(server.program("right"));
    let waiting = fleet.start_with(server.program("right"), store.clone());
    let both = [holder, waiting].map(|process| {
        let get = async move { process.get().await.map(|got| token(&got)) };
        tokio::spawn(get)
    });
    settle().await;
    let mut looks = 0;
    // The tenths of a second at which it looks.
    let mut seen = Vec::new();
    for tenth in 0..250 {
        let before = std::mem::replace(&mut looks, store.0.leases.load(SeqCst));
        seen.extend((before..looks).map(|_| tenth));
        fleet.advance(SECOND / 10).await;
    }
    assert!((12..=32).contains(&seen.len()), "{seen:?}");
    assert!(seen[1] <= 3, "{seen:?}");
    let longest = seen.windows(2).map(|looks| looks[1] - looks[0]).max();
    assert!(longest <= Some(21), "{seen:?}");
    gate.add_permits(1);
    fleet.advance(2 * SECOND).await;
    for got in both {
        assert!(got.is_finished());
        assert_eq!(got.await.unwrap().unwrap(), "token-1");
    }
}

#[tokio::test]
async fn rule_3_a_login_that_waits_for_a_lease_is_not_superseded_however_short_its_time_out() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let holder = fleet.start(server.program("right"));
    let held = tokio::spawn(async move { holder.get().await.map(|got| token(&got)) });
    settle().await;
    let store = Faulty::new(&fleet.store);
    store.0.is_silent.store(true, SeqCst);
    let clock = ManualClock::new();
    fleet.clocks.push(clock.clone());
    let superseded = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&superseded);
    let waiting = Credentials::builder(server.program("right"))
        .clock(clock.clock())
        .store(store)
        .login_timeout(SECOND / 4)
        .observer(move |_: &Identity, event: &Event| {
            seen.fetch_add(u64::from(matches!(event, Event::LoginSuperseded)), SeqCst);
        })
        .build();
    let waits = tokio::spawn(async move { waiting.get().await.map(|got| token(&got)) });
    fleet.advance(25 * SECOND).await;
    assert_eq!(superseded.load(SeqCst), 0);
    gate.add_permits(1);
    fleet.advance(2 * SECOND).await;
    for got in [held, waits] {
        assert_eq!(got.await.unwrap().unwrap(), "token-1");
    }
}

#[tokio::test]
async fn rule_20_a_login_that_is_given_up_while_it_releases_its_lease_releases_it() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    // Nothing is sent, so a close ends its task at once.
    let misconfigured = Program {
        secret: SecretSource::variable("AUTH_CORE_NO_SUCH_VARIABLE"),
        ..server.program("right")
    };
    let process = fleet.start_with(misconfigured, store);
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let closing = process.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    settle().await;
    assert!(get.await.is_err());
    closed.await.unwrap().unwrap();
    saves.add_permits(10);
    settle().await;
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(SECOND).await;
    assert!(waiting.is_finished(), "nobody has the lease");
    assert_eq!(waiting.await.unwrap().unwrap(), "token-1");
}

#[tokio::test]
async fn rule_20_a_login_without_a_time_out_has_a_lease_and_a_permit_that_lapse() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let clock = ManualClock::new();
    fleet.clocks.push(clock.clone());
    let process = Credentials::builder(server.program("right"))
        .clock(clock.clock())
        .login_timeout(Duration::MAX)
        .store(store.clone())
        .build();
    process.get().await.unwrap();
    let longest = *store.0.longest.lock();
    assert!(
        longest > HOUR && longest <= HOUR + 67 * SECOND,
        "{longest:?}"
    );
}

#[tokio::test]
async fn rule_20_a_lease_is_extended_while_its_login_waits_for_a_permit() {
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
    let processes: Vec<_> = (0..3)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    let mut all = Box::pin(join_all(processes.iter().map(Credentials::get)));
    assert!(futures_util::poll!(&mut all).is_pending());
    fleet.advance(99 * SECOND).await;
    assert_eq!(server.logins(), 0);
    fleet.advance(3 * SECOND).await;
    for result in all.await {
        assert_eq!(token(&result.unwrap()), "token-1");
    }
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_20_a_lease_that_is_taken_after_its_login_was_given_up_is_released() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let arrives = Arc::new(Semaphore::new(0));
    *store.0.late_leases.lock() = Some(Arc::clone(&arrives));
    let process = fleet.start_with(server.program("right"), store);
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let closing = process.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    settle().await;
    assert!(get.await.is_err());
    closed.await.unwrap().unwrap();
    arrives.add_permits(1);
    settle().await;
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(4 * SECOND).await;
    assert!(waiting.is_finished(), "nobody has the lease");
    assert_eq!(waiting.await.unwrap().unwrap(), "token-1");
}
