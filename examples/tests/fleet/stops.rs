//! Processes that are killed, and processes that are stopped.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::child::Setup;
use super::place::Place;
use super::say;
use super::site::Site;

on_both! {
    twenty_holders_of_the_lease_are_killed_and_nothing_is_lost
    #[ignore = "takes minutes"]
    two_hundred_holders_of_the_lease_are_killed_and_nothing_is_lost
    a_token_is_not_sent_again_after_a_process_was_killed_in_its_refresh
    a_holder_that_is_stopped_for_longer_than_its_lease_saves_nothing_stale
    each_miss_takes_one_step_at_the_store_beside_the_login
}

/// Short, so that a lease is.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The time-out, and five seconds.
const LEASE: Duration = Duration::from_secs(6);

/// What a loaded machine takes for a login beside the wait for the lease.
const ROOM: Duration = Duration::from_secs(10);

/// Rounds that run at a time. Each has an account of its own.
const AT_A_TIME: usize = 10;

async fn twenty_holders_of_the_lease_are_killed_and_nothing_is_lost(place: &Place) {
    kill(place, 20).await;
}

async fn two_hundred_holders_of_the_lease_are_killed_and_nothing_is_lost(place: &Place) {
    let fates = kill(place, 200).await;
    assert!(fates.len() == 3, "each fate was met: {fates:?}");
}

/// What had become of a process when it was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It had sent no login, and may have had the lease.
    BeforeTheLogin,
    /// It had sent the login, and its callers had no answer.
    InTheLogin,
    /// It had told its callers.
    WithASession,
}

async fn kill(place: &Place, rounds: usize) -> BTreeMap<Fate, usize> {
    let site = std::sync::Arc::new(Site::start().await);
    site.takes(Duration::from_millis(30));
    let mut setup = Setup::new(&site, place);
    setup.login_timeout = LOGIN_TIMEOUT;
    setup.logins = 10_000;
    let (mut fates, mut longest) = (BTreeMap::new(), Duration::ZERO);
    let mut running = JoinSet::new();
    for round in 0..rounds {
        if running.len() == AT_A_TIME {
            let (fate, waited) = running.join_next().await.unwrap().unwrap();
            *fates.entry(fate).or_default() += 1;
            longest = longest.max(waited);
        }
        let (site, setup) = (std::sync::Arc::clone(&site), setup.clone());
        running.spawn_blocking(move || kill_one(&site, setup, round));
    }
    while let Some(ended) = running.join_next().await {
        let (fate, waited) = ended.unwrap();
        *fates.entry(fate).or_default() += 1;
        longest = longest.max(waited);
    }
    say(&format!(
        "{rounds} killed: {fates:?}, the next one waited {longest:.1?} at most"
    ));
    fates
}

/// Returns what had become of the process, and how long the next one waited for its session.
fn kill_one(site: &Site, mut setup: Setup, round: usize) -> (Fate, Duration) {
    setup.account = format!("round-{round}@example.com");
    let mut holder = setup.start_one();
    let mut next = setup.start_one();
    holder.tell("get 60000");
    let drawn = RandomState::new().build_hasher().finish();
    std::thread::sleep(Duration::from_micros(drawn % 300_000));
    holder.kill();
    let told = holder.hear();
    let logins = site.logins(&setup.account);
    let fate = match logins {
        _ if !told.is_null() => Fate::WithASession,
        0 => Fate::BeforeTheLogin,
        _ => Fate::InTheLogin,
    };

    // It gets a failure if it would have to wait for longer.
    let start = Instant::now();
    let within = (LEASE + ROOM).as_millis();
    let found = next.ask(&format!("get {within}"));
    let waited = start.elapsed();
    assert!(
        found["session"].is_string(),
        "round {round}, {fate:?}: {found}"
    );
    if fate == Fate::WithASession {
        assert_eq!(found["session"], told["session"], "a saved session is lost");
        assert_eq!(site.logins(&setup.account), logins);
    }
    let status = next.status();
    assert_eq!(status["unreadable"], 0, "round {round}, {fate:?}");
    assert_eq!(status["store_failed"], 0, "round {round}, {fate:?}");
    (fate, waited)
}

async fn a_token_is_not_sent_again_after_a_process_was_killed_in_its_refresh(place: &Place) {
    let site = Site::start().await;
    site.takes(Duration::from_millis(100));
    site.says_life(Duration::from_millis(200));
    let mut setup = Setup::new(&site, place);
    setup.login_timeout = LOGIN_TIMEOUT;
    setup.logins = 10_000;
    for round in 0..8 {
        let mut process = setup.start_one();
        let (refreshes, within) = (site.refreshes(), (LEASE + ROOM).as_millis());
        let answer = process.ask(&format!("get {within}"));
        assert!(answer["session"].is_string(), "{answer}");
        process.tell("until 1000000");
        // It refreshes at all times, and each time takes as long as a session is good.
        while site.refreshes() < refreshes + 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(34 * round));
        process.kill();
    }
    assert_eq!(site.reused(), Vec::<String>::new());
    say(&format!(
        "{} logins in 8 processes that were killed",
        site.attempts()
    ));
    assert!(site.attempts() > 1, "none was killed in its refresh");
}

async fn a_holder_that_is_stopped_for_longer_than_its_lease_saves_nothing_stale(place: &Place) {
    let site = Site::start().await;
    let mut setup = Setup::new(&site, place);
    setup.login_timeout = LOGIN_TIMEOUT;
    let mut stopping = setup.clone();
    stopping.stops_in_save = true;
    let mut holder = stopping.start_one();
    holder.tell("get 60000");
    holder.wait_until_stopped();
    assert_eq!(site.attempts(), 1);

    // The others go on once the lease has lapsed.
    let mut others = setup.start(2);
    let within = (LEASE + ROOM).as_millis();
    let answers = super::process::ask_all(&mut others, &format!("get {within}"));
    assert!(
        answers.iter().all(|answer| answer["session"] == "2"),
        "{answers:?}"
    );

    holder.resume();
    let answer = holder.hear();
    assert!(
        answer["session"].is_string(),
        "its caller is served: {answer}"
    );
    // Its cache may have given the step up by then.
    while holder.status()["saves"] == 0 {}
    let status = holder.status();
    assert_eq!(status["made_saves"], 0, "{status}");
    assert_eq!(status["refused_saves"], 1, "{status}");
    let after = setup.start_one().ask("get 1000");
    assert_eq!(after["session"], "2", "the newer session stays");
    assert_eq!(site.attempts(), 2);
}

async fn each_miss_takes_one_step_at_the_store_beside_the_login(place: &Place) {
    let site = Site::start().await;
    let setup = Setup::new(&site, place);
    let mut cold = setup.start_one();
    assert_eq!(cold.ask("get 30000")["session"], "1");
    // Of these the save and the end of the permit run beside each other.
    let steps = cold.status()["steps"].as_u64().unwrap();
    say(&format!("a login takes {steps} steps at the store"));
    assert_eq!(steps, 4, "lease; permit; save, and the permit's end");
    let mut next = setup.start_one();
    assert_eq!(next.ask("get 30000")["session"], "1");
    assert_eq!(next.status()["steps"], 1, "a look");
}
