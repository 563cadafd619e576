//! Two processes whose steps at the store fail at times, are late, or are done and not answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::store::{
    Change, Entry, LeaseAnswer, LeaseAsk, MemoryStore, PermitAnswer, PermitAsk, Saved, Seal, Store,
    StoreError,
};
use auth_core::{Attempt, Credentials};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};

use crate::explore_some;
use crate::provider::{Counting, Script};

/// How long a store may go on with a session that another process has ended, and some more.
const NOTICED: Duration = Duration::from_secs(12);

/// A way to the store, which may be in trouble.
#[derive(Clone)]
struct Link {
    store: MemoryStore,
    state: Arc<AtomicU8>,
}

const GOOD: u8 = 0;
/// Some steps fail.
const BAD: u8 = 1;
/// Every step fails.
const CUT: u8 = 2;

/// What becomes of a step.
#[derive(Clone, Copy)]
enum Fate {
    Done,
    /// It is done when its time is over, or just before.
    DoneLate,
    AnsweredLate,
    NotAnswered,
    NotDone,
    Stuck,
}

impl Link {
    fn set(&self, state: u8) {
        self.state.store(state, SeqCst);
    }

    fn fate(&self) -> Fate {
        match (self.state.load(SeqCst), thread_rng().gen_range(0..12)) {
            (BAD, 0) | (CUT, 0..4) => Fate::NotDone,
            (BAD, 1) | (CUT, 4..8) => Fate::NotAnswered,
            (BAD, 2) => Fate::DoneLate,
            (BAD, 3) => Fate::AnsweredLate,
            (CUT, _) => Fate::Stuck,
            _ => Fate::Done,
        }
    }

    /// A step by a task of its own, so that one that is given up is done all the same.
    async fn step<T: Send + 'static>(
        &self,
        step: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let fate = self.fate();
        let task = spawn(async move {
            match fate {
                Fate::NotDone => return Err(StoreError::new("it was not done")),
                Fate::Stuck => std::future::pending().await,
                Fate::DoneLate => pause(15).await,
                _ => {}
            }
            let result = step.await;
            match fate {
                Fate::NotAnswered => return Err(StoreError::new("it was not answered")),
                Fate::AnsweredLate => pause(15).await,
                _ => {}
            }
            result
        });
        task.await.unwrap()
    }
}

#[async_trait]
impl Store for Link {
    fn seal(&self) -> &dyn Seal {
        self.store.seal()
    }

    async fn load(&self, name: &str) -> Result<Entry, StoreError> {
        let (store, name) = (self.store.clone(), name.to_owned());
        self.step(async move { store.load(&name).await }).await
    }

    async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError> {
        let (store, name, owner) = (self.store.clone(), name.to_owned(), ask.owner.to_owned());
        let LeaseAsk {
            lasts,
            known,
            rejected,
            only_extends,
            ..
        } = ask;
        self.step(async move {
            let ask = LeaseAsk {
                owner: &owner,
                lasts,
                known,
                rejected,
                only_extends,
            };
            store.lease(&name, ask).await
        })
        .await
    }

    async fn save(&self, name: &str, change: Change) -> Result<Saved, StoreError> {
        let (store, name) = (self.store.clone(), name.to_owned());
        self.step(async move { store.save(&name, change).await })
            .await
    }

    async fn permit(&self, origin: &str, ask: PermitAsk<'_>) -> Result<PermitAnswer, StoreError> {
        self.store.permit(origin, ask).await
    }

    async fn end_permit(
        &self,
        origin: &str,
        id: &str,
        counts_for: Duration,
    ) -> Result<(), StoreError> {
        self.store.end_permit(origin, id, counts_for).await
    }

    async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError> {
        self.store.hold(origin, wait).await
    }

    async fn changed(&self, name: &str) {
        self.store.changed(name).await;
    }
}

async fn pause(turns: u32) {
    for _ in 0..turns {
        yield_now().await;
    }
}

#[derive(Clone)]
struct Process {
    credentials: Credentials,
    link: Link,
}

impl Process {
    /// Does this and that, while its way to the store changes.
    async fn act(self) {
        for step in 0..4 {
            if let Some(got) = self.credentials.fresh() {
                let sent = Attempt::new(&self.credentials, &got);
                match thread_rng().gen_range(0..4) {
                    0 => {
                        sent.rejected();
                    }
                    1 => {
                        let mut headers = http::HeaderMap::new();
                        let value = format!("session=rolled-{step}");
                        headers.insert("set-cookie", value.parse().unwrap());
                        sent.cookies_set(&headers);
                    }
                    _ => {}
                }
            }
            self.link.set(thread_rng().gen_range(GOOD..=CUT));
            match thread_rng().gen_range(0..3) {
                0 => drop(self.credentials.renew().await),
                1 => drop(self.credentials.get().await),
                _ => pause(thread_rng().gen_range(0..120)).await,
            }
        }
        self.link.set(GOOD);
    }

    /// Gets a credential, now that there is no trouble any more.
    async fn get(self) {
        while self.credentials.get().await.is_err() {
            yield_now().await;
        }
    }
}

/// Processes that come and go, with one store.
struct Fleet {
    provider: Counting,
    store: MemoryStore,
    /// Those of the store, and of all processes.
    clocks: Vec<ManualClock>,
}

impl Fleet {
    fn new(script: Script) -> Self {
        let clock = ManualClock::new();
        Self {
            provider: Counting::new(script),
            store: MemoryStore::on(clock.clock()),
            clocks: vec![clock],
        }
    }

    fn start(&mut self) -> Process {
        let clock = ManualClock::new();
        let link = Link {
            store: self.store.clone(),
            state: Arc::default(),
        };
        let credentials = Credentials::builder(self.provider.clone())
            .clock(clock.clock())
            .login_timeout(Duration::from_secs(3))
            .store(link.clone())
            .build();
        self.clocks.push(clock);
        Process { credentials, link }
    }

    async fn pass(&self, time: Duration) {
        let step = Duration::from_millis(100);
        let mut passed = Duration::ZERO;
        while passed < time {
            for clock in &self.clocks {
                clock.advance(step);
            }
            passed += step;
            yield_now().await;
        }
    }

    /// Lets the time pass until these have ended.
    async fn ended(&self, tasks: impl IntoIterator<Item = JoinHandle<()>>) {
        for task in tasks {
            while !task.is_finished() {
                self.pass(Duration::from_millis(100)).await;
            }
            task.await.unwrap();
        }
    }

    async fn no_task_left(&self) {
        for _ in 0..300 {
            if auth_core::runtime::tasks() == 0 {
                return;
            }
            self.pass(Duration::from_secs(1)).await;
        }
        panic!("a task is left");
    }
}

#[test]
fn rule_22_a_token_that_can_be_used_once_is_sent_once_whatever_fails_at_the_store() {
    explore_some(|| {
        let mut fleet = Fleet::new(Script::Rotates);
        let provider = fleet.provider.clone();
        block_on(async move {
            let [mut one, other] = [(); 2].map(|()| fleet.start());
            for _ in 0..2 {
                let acts = [&one, &other].map(|process| spawn(process.clone().act()));
                fleet.ended(acts).await;
                // It restarts, and may have no time to close.
                one.link.set(thread_rng().gen_range(GOOD..=CUT));
                if thread_rng().gen_bool(0.5) {
                    let credentials = one.credentials.clone();
                    let closing = spawn(async move { drop(credentials.close().await) });
                    fleet.ended([closing]).await;
                }
                one = fleet.start();
            }
            let gets = [&one, &other].map(|process| spawn(process.clone().get()));
            fleet.ended(gets).await;
            drop((one, other));
            fleet.no_task_left().await;
        });
        assert_eq!(provider.sent_twice(), 0);
    });
}

#[test]
fn rule_19_a_session_that_was_logged_out_ends_for_all_whatever_failed_at_the_store_before() {
    explore_some(|| {
        let mut fleet = Fleet::new(Script::Succeeds);
        block_on(async move {
            let [one, other] = [(); 2].map(|()| fleet.start());
            let acts = [&one, &other].map(|process| spawn(process.clone().act()));
            fleet.ended(acts).await;
            one.link.set(thread_rng().gen_range(GOOD..=BAD));
            // It says so if the others could not be told, and nothing is promised then.
            let told = Arc::new(AtomicU8::new(0));
            let logging_out = spawn({
                let (credentials, told) = (one.credentials.clone(), Arc::clone(&told));
                async move { told.store(credentials.log_out().await.is_ok().into(), SeqCst) }
            });
            fleet.ended([logging_out, spawn(other.clone().act())]).await;
            drop(one);
            fleet.pass(NOTICED).await;
            let another = fleet.start();
            let processes = [other, another];
            let gets = processes
                .each_ref()
                .map(|process| spawn(process.clone().get()));
            fleet.ended(gets).await;
            let logged_out = fleet.provider.logged_out();
            for process in processes.iter().filter(|_| told.load(SeqCst) == 1) {
                // In the time that has passed since, it may have expired.
                let Some(got) = process.credentials.fresh() else {
                    continue;
                };
                let session = got.kept("id").unwrap();
                assert!(!logged_out.contains(&session.to_owned()), "{session}");
            }
            drop(processes);
            fleet.no_task_left().await;
        });
    });
}
