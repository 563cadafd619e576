//! Two processes with one store.

use std::sync::Arc;
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::store::MemoryStore;
use auth_core::{Attempt, Credential, Credentials};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};

use crate::provider::{Counting, Script};
use crate::{explore, explore_some, no_task_left};

/// Each has a clock of its own.
type Processes = [(Credentials, ManualClock); 2];

fn fleet(script: Script) -> (Counting, ManualClock, Processes) {
    let (provider, store_clock) = (Counting::new(script), ManualClock::new());
    let store = MemoryStore::on(store_clock.clock());
    let processes = [(); 2].map(|()| {
        let clock = ManualClock::new();
        let credentials = Credentials::builder(provider.clone())
            .clock(clock.clock())
            .login_timeout(Duration::from_secs(2))
            .store(store.clone())
            .build();
        (credentials, clock)
    });
    (provider, store_clock, processes)
}

/// Waits for these tasks. The clocks go on meanwhile, since a wait that begins after the other
/// process's save ends by its own clock: in small steps, so that no step of the store times out
/// because the model ran something else.
async fn all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>, clocks: &[ManualClock]) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().collect();
    while !tasks.iter().all(JoinHandle::is_finished) {
        pass(Duration::from_millis(20), clocks).await;
    }
    let mut ended = Vec::new();
    for task in tasks {
        ended.push(task.await.unwrap());
    }
    ended
}

async fn pass(time: Duration, clocks: &[ManualClock]) {
    for clock in clocks {
        clock.advance(time);
    }
    yield_now().await;
}

fn clocks(processes: &Processes) -> Vec<ManualClock> {
    processes.iter().map(|(_, clock)| clock.clone()).collect()
}

/// Gets a credential in each process.
async fn get_in_each(processes: &Processes) -> Vec<Arc<Credential>> {
    let gets = processes.each_ref().map(|(credentials, _)| {
        let credentials = credentials.clone();
        spawn(async move { credentials.get().await.unwrap() })
    });
    all(gets, &clocks(processes)).await
}

#[test]
fn rule_20_two_processes_make_one_login_and_get_one_session() {
    explore(|| {
        let (provider, _store, processes) = fleet(Script::Succeeds);
        block_on(async move {
            let got = get_in_each(&processes).await;
            assert_eq!(got[0].cookie("session"), got[1].cookie("session"));
            drop(processes);
            no_task_left().await;
        });
        assert_eq!(provider.logins(), 1);
    });
}

#[test]
fn rule_21_two_rejections_in_two_processes_are_one_login() {
    explore(|| {
        let (provider, _store, processes) = fleet(Script::Succeeds);
        block_on(async move {
            let got = get_in_each(&processes).await;
            for ((credentials, _), got) in processes.iter().zip(&got) {
                let sent = Attempt::new(credentials, got);
                spawn(async move { sent.rejected() }).await.unwrap();
            }
            let got = get_in_each(&processes).await;
            assert_eq!(got[0].cookie("session"), got[1].cookie("session"));
            assert_eq!(got[0].cookie("session"), Some("value-2"));
            drop(processes);
            no_task_left().await;
        });
        assert_eq!((provider.logins(), provider.most_in_flight()), (2, 1));
    });
}

#[test]
fn rule_19_a_close_during_a_login_leaves_its_session_for_the_other_process() {
    explore_some(|| {
        let (provider, _store, processes) = fleet(Script::Succeeds);
        block_on(async move {
            let [(one, _), (other, _)] = processes.each_ref();
            let getting = spawn({
                let one = one.clone();
                async move { drop(one.get().await) }
            });
            let closing = spawn({
                let one = one.clone();
                async move { one.close().await.unwrap() }
            });
            all([getting, closing], &clocks(&processes)).await;
            let getting = spawn({
                let other = other.clone();
                async move { drop(other.get().await.unwrap()) }
            });
            all([getting], &clocks(&processes)).await;
            drop(processes);
            no_task_left().await;
        });
        assert_eq!((provider.logins(), provider.logouts()), (1, 0));
    });
}

#[test]
fn rule_19_a_logout_ends_the_session_for_the_other_process_whatever_that_does() {
    explore_some(|| {
        let (provider, _store, processes) = fleet(Script::Succeeds);
        let counted = provider.clone();
        block_on(async move {
            let got = get_in_each(&processes).await;
            let [(one, _), (other, other_clock)] = processes.each_ref();
            let logging_out = spawn({
                let one = one.clone();
                async move { one.log_out().await.unwrap() }
            });
            let sent = Attempt::new(other, &got[1]);
            let going_on = spawn(async move {
                match thread_rng().gen_range(0..3) {
                    0 => {
                        sent.rejected();
                    }
                    1 => sent_value(&sent, "rolled"),
                    _ => {}
                }
            });
            all([logging_out, going_on], &clocks(&processes)).await;
            for _ in 0..120 {
                pass(Duration::from_millis(100), &clocks(&processes)).await;
            }
            let getting = spawn({
                let other = other.clone();
                async move { other.get().await.unwrap() }
            });
            let got = all([getting], std::slice::from_ref(other_clock)).await;
            let logged_out = counted.logged_out();
            assert!(logged_out.contains(&"1".to_owned()));
            assert!(!logged_out.iter().any(|id| got[0].kept("id") == Some(id)));
            drop(processes);
            no_task_left().await;
        });
        // A login after the rejection may have ended in time for its session to be logged out, too.
        assert!(provider.logins() <= 3);
    });
}

#[test]
fn rule_21_two_processes_agree_on_one_of_the_values_that_both_were_given() {
    explore_some(|| {
        let (provider, _store, processes) = fleet(Script::Succeeds);
        block_on(async move {
            let got = get_in_each(&processes).await;
            let rolls = processes
                .each_ref()
                .map(|(credentials, _)| credentials.clone());
            let rolls = rolls.into_iter().zip(&got).zip(["one", "other"]);
            let rolls = rolls.map(|((credentials, got), value)| {
                let sent = Attempt::new(&credentials, got);
                spawn(async move { sent_value(&sent, value) })
            });
            all(rolls.collect::<Vec<_>>(), &clocks(&processes)).await;
            for _ in 0..300 {
                if agree(&processes, "value-1") {
                    drop(processes);
                    return no_task_left().await;
                }
                pass(Duration::from_millis(100), &clocks(&processes)).await;
            }
            panic!("they do not agree");
        });
        assert_eq!(provider.logins(), 1);
    });
}

#[test]
fn rule_22_a_token_that_can_be_used_once_is_sent_once_by_two_processes() {
    explore_some(|| {
        let (provider, _store, processes) = fleet(Script::Rotates);
        block_on(async move {
            let got = get_in_each(&processes).await;
            let uses = processes
                .each_ref()
                .map(|(credentials, _)| credentials.clone());
            let uses = uses.into_iter().zip(got).map(|(credentials, got)| {
                spawn(async move {
                    let _ = credentials.renew().await;
                    Attempt::new(&credentials, &got).rejected();
                    let _ = credentials.get().await;
                    let _ = credentials.renew().await;
                })
            });
            all(uses.collect::<Vec<_>>(), &clocks(&processes)).await;
            get_in_each(&processes).await;
            drop(processes);
            no_task_left().await;
        });
        assert_eq!(provider.sent_twice(), 0);
    });
}

#[test]
fn rule_20_a_lease_whose_login_hangs_lapses_and_both_processes_get_the_next_session() {
    explore_some(|| {
        let (provider, store_clock, processes) = fleet(Script::HangsOnce);
        block_on(async move {
            let gets = processes.each_ref().map(|(credentials, _)| {
                let credentials = credentials.clone();
                spawn(async move {
                    loop {
                        if let Ok(got) = credentials.get().await {
                            return got.cookie("session").map(str::to_owned);
                        }
                        yield_now().await;
                    }
                })
            });
            let mut clocks = clocks(&processes);
            clocks.push(store_clock);
            let got = all(gets, &clocks).await;
            assert_eq!(
                got,
                [Some("value-2".to_owned()), Some("value-2".to_owned())]
            );
            drop(processes);
            no_task_left().await;
        });
        assert_eq!(provider.logins(), 2);
    });
}

/// What one process does, by chance.
async fn act(credentials: Credentials, name: &str) {
    for step in 0..3 {
        let got = credentials.get().await.unwrap();
        let sent = Attempt::new(&credentials, &got);
        match thread_rng().gen_range(0..5) {
            0 => drop(credentials.renew().await),
            1 => {
                sent.rejected();
            }
            2 => sent_value(&sent, &format!("{name}-{step}")),
            3 => yield_now().await,
            _ => {}
        }
    }
}

fn sent_value(sent: &Attempt, value: &str) {
    let mut headers = http::HeaderMap::new();
    headers.insert("set-cookie", format!("session={value}").parse().unwrap());
    sent.cookies_set(&headers);
}

/// Whether both have the same credential, and not this one.
fn agree(processes: &Processes, but: &str) -> bool {
    let [one, other] = processes.each_ref().map(|(credentials, _)| {
        let value = credentials.fresh()?.cookie("session")?.to_owned();
        Some(value)
    });
    one == other && one.is_some_and(|value| value != but)
}

#[test]
fn rule_21_two_processes_agree_whatever_both_have_done() {
    explore_some(|| {
        let (provider, _store, processes) = fleet(Script::Succeeds);
        block_on(async move {
            let acts = processes
                .each_ref()
                .map(|(credentials, _)| credentials.clone());
            let acts = acts.into_iter().zip(["one", "other"]);
            let acts = acts.map(|(credentials, name)| spawn(act(credentials, name)));
            all(acts, &clocks(&processes)).await;
            for _ in 0..300 {
                if agree(&processes, "") {
                    drop(processes);
                    return no_task_left().await;
                }
                get_in_each(&processes).await;
                pass(Duration::from_millis(100), &clocks(&processes)).await;
            }
            panic!("they do not agree");
        });
        assert!(provider.most_in_flight() <= 1);
    });
}
