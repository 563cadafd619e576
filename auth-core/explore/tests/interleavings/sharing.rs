//! Two processes with one store.

use std::sync::Arc;
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::store::MemoryStore;
use auth_core::{Attempt, Credential, Credentials};
use shuttle::future::{JoinHandle, block_on, spawn};

use crate::provider::{Counting, Script};
use crate::{explore, no_task_left};

/// Two processes with one store, each with a clock of its own.
fn fleet(script: Script) -> (Counting, MemoryStore, [(Credentials, ManualClock); 2]) {
    let (provider, store_clock) = (Counting::new(script), ManualClock::new());
    let store = MemoryStore::on(store_clock.clock());
    let processes = [(); 2].map(|()| {
        let clock = ManualClock::new();
        let credentials = Credentials::builder(provider.clone())
            .clock(clock.clock())
            .store(store.clone())
            .build();
        (credentials, clock)
    });
    (provider, store, processes)
}

/// Gets a credential in each process. Their clocks go on meanwhile, since a wait that begins after
/// the other process's save ends by its own clock: in small steps, so that no step of the store
/// times out because the model ran something else.
async fn get_in_each(processes: &[(Credentials, ManualClock); 2]) -> Vec<Arc<Credential>> {
    let gets = processes.iter().map(|(credentials, _)| {
        let credentials = credentials.clone();
        spawn(async move { credentials.get().await.unwrap() })
    });
    let gets: Vec<_> = gets.collect();
    while !gets.iter().all(JoinHandle::is_finished) {
        for (_, clock) in processes {
            clock.advance(Duration::from_millis(20));
        }
        shuttle::future::yield_now().await;
    }
    let mut got = Vec::new();
    for get in gets {
        got.push(get.await.unwrap());
    }
    got
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
