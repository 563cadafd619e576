//! A server that is far away and slow, on a manual clock. It counts the logins as they arrive.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Credentials, CredentialsBuilder, Identity, Lifetime, LoginError, Moment, Origin, Provider,
    Quota, Secret, SecretSource, Session,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::support::{SECOND, session, settle};

/// When a login arrives and when it is answered, both counted from its sending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trip {
    pub(crate) arrives: Duration,
    pub(crate) answered: Option<Duration>,
}

impl Trip {
    pub(crate) const fn of(arrives: Duration, answered: Duration) -> Self {
        Self {
            arrives,
            answered: Some(answered),
        }
    }

    /// It arrives, and is not answered.
    pub(crate) const fn unanswered(arrives: Duration) -> Self {
        Self {
            arrives,
            answered: None,
        }
    }
}

#[derive(Clone)]
pub(crate) struct LateServer(Arc<Inner>);

struct Inner {
    hands: ManualClock,
    start: Moment,
    plan: Box<dyn Fn(usize) -> Trip + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What happens next, by the time since the start.
    steps: BTreeMap<(Duration, usize), Step>,
    sent: Vec<Duration>,
    arrived: Vec<Duration>,
    next: usize,
}

enum Step {
    Arrives,
    Answers(oneshot::Sender<()>),
}

impl LateServer {
    /// `plan` says how the login with this number goes, counted from 0.
    pub(crate) fn new(
        hands: &ManualClock,
        plan: impl Fn(usize) -> Trip + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            hands: hands.clone(),
            start: hands.clock().now(),
            plan: Box::new(plan),
            state: Mutex::default(),
        }))
    }

    /// The builder of an account here.
    pub(crate) fn account(&self, name: &str, quota: Quota) -> CredentialsBuilder {
        self.scripted(
            name,
            quota,
            Scripted::new(|number| session(number, Lifetime::unknown())),
        )
    }

    /// The builder of an account whose logins end as scripted once they are answered.
    pub(crate) fn scripted(
        &self,
        name: &str,
        quota: Quota,
        scripted: Scripted,
    ) -> CredentialsBuilder {
        let scripted = scripted
            .with_quota(quota)
            .with_identity(Self::identity(name));
        let server = self.clone();
        Credentials::builder(Late { scripted, server }).clock(self.0.hands.clock())
    }

    pub(crate) fn identity(name: &str) -> Identity {
        let origin = Origin::parse("https://late.example.com").unwrap();
        Identity::new("late", origin, name)
    }

    pub(crate) fn now(&self) -> Duration {
        self.0.hands.clock().now().steady_since(self.0.start)
    }

    /// When each login was sent, and when each arrived.
    pub(crate) fn sent(&self) -> Vec<Duration> {
        self.0.state.lock().sent.clone()
    }

    pub(crate) fn arrived(&self) -> Vec<Duration> {
        self.0.state.lock().arrived.clone()
    }

    /// The most logins that have arrived within any time of this length.
    pub(crate) fn most_in(&self, window: Duration) -> usize {
        let mut arrived = self.arrived();
        arrived.sort_unstable();
        let until = |start: &Duration| arrived.partition_point(|at| *at < *start + window);
        let within = |(index, start)| until(start) - index;
        arrived.iter().enumerate().map(within).max().unwrap_or(0)
    }

    /// Sends a login. Its client waits for the answer. If it does not, the login arrives anyway.
    pub(crate) async fn receive(&self) {
        self.answer(true).await;
    }

    /// As [`receive`](Self::receive), for a request that is no login and is not counted.
    pub(crate) async fn receive_other(&self) {
        self.answer(false).await;
    }

    async fn answer(&self, is_login: bool) {
        let (sender, answer) = oneshot::channel();
        {
            let now = self.now();
            let mut state = self.0.state.lock();
            let trip = (self.0.plan)(state.sent.len());
            if is_login {
                state.sent.push(now);
                state.add(now + trip.arrives, Step::Arrives);
            }
            let answered = trip.answered.map_or(Duration::MAX, |after| now + after);
            state.add(answered, Step::Answers(sender));
        }
        let _ = answer.await;
    }

    /// Lets time pass, from one thing that happens to the next.
    pub(crate) async fn pass(&self, time: Duration) {
        let end = self.now() + time;
        while self.now() < end {
            self.step(end).await;
        }
    }

    /// Lets time pass until all tasks have ended, for an hour at most.
    pub(crate) async fn until_ended<T>(&self, tasks: &[tokio::task::JoinHandle<T>]) {
        let end = self.now() + 3_600 * SECOND;
        settle().await;
        while tasks.iter().any(|task| !task.is_finished()) {
            assert!(self.now() < end, "a task has not ended");
            self.step(end).await;
        }
    }

    /// Lets time pass until the future is ready, for an hour at most.
    pub(crate) async fn until_ready<T>(&self, future: impl Future<Output = T>) -> T {
        let end = self.now() + 3_600 * SECOND;
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(ready) = futures_util::poll!(&mut future) {
                return ready;
            }
            assert!(self.now() < end, "it is not ready");
            settle().await;
            if let Poll::Ready(ready) = futures_util::poll!(&mut future) {
                return ready;
            }
            self.step(end).await;
        }
    }

    /// Lets time pass until the next thing happens, or `end` comes.
    pub(crate) async fn step(&self, end: Duration) {
        settle().await;
        let now = self.now();
        let step = self.0.state.lock().steps.keys().next().map(|(at, _)| *at);
        let timer = self.0.hands.next_wake().map(|left| now + left);
        let next = [step, timer].into_iter().flatten().fold(end, Duration::min);
        self.0.hands.advance(next.saturating_sub(now));
        self.0.state.lock().happen(next);
        settle().await;
    }
}

impl State {
    /// All that happens until then.
    fn happen(&mut self, until: Duration) {
        let later = self.steps.split_off(&(until, usize::MAX));
        for ((at, _), step) in std::mem::replace(&mut self.steps, later) {
            match step {
                Step::Arrives => self.arrived.push(at),
                Step::Answers(sender) => drop(sender.send(())),
            }
        }
    }

    fn add(&mut self, at: Duration, step: Step) {
        self.next += 1;
        self.steps.insert((at, self.next), step);
    }
}

struct Late {
    scripted: Scripted,
    server: LateServer,
}

#[async_trait]
impl Provider for Late {
    fn identity(&self) -> &Identity {
        self.scripted.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.scripted.secret()
    }

    fn quota(&self) -> Quota {
        self.scripted.quota()
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.server.receive().await;
        self.scripted.login(secret).await
    }
}
