//! Accounts of one process at one origin.

use auth_core::Ask;
use auth_core::testing::Scripted;
use tokio::task::JoinHandle;

use super::*;

/// What their logins are answered: sessions, or this.
type Answer = Result<(), fn() -> LoginError>;

/// Accounts of one process at an origin that allows five logins in 15 min, so that the share of a
/// process is one.
pub(super) struct Accounts {
    pub(super) clock: ManualClock,
    pub(super) store: Faulty,
    /// Whose logins the server has answered, in order.
    sent: Arc<Mutex<Vec<&'static str>>>,
    pub(super) answers: Arc<Mutex<Answer>>,
}

impl Accounts {
    pub(super) fn new() -> Self {
        let clock = ManualClock::new();
        Self {
            store: Faulty::new(&MemoryStore::on(clock.clock())),
            clock,
            sent: Arc::default(),
            answers: Arc::new(Mutex::new(Ok(()))),
        }
    }

    fn quota() -> Quota {
        Quota::new(5.try_into().unwrap(), 900 * SECOND)
    }

    pub(super) fn provider(&self, name: &'static str) -> Scripted {
        let (sent, answers) = (Arc::clone(&self.sent), Arc::clone(&self.answers));
        let origin = Origin::parse("https://share.example.com").unwrap();
        let provider = Scripted::new(move |number| {
            sent.lock().push(name);
            (*answers.lock()).map_err(|error| error())?;
            session(number, Lifetime::of(HOUR))
        });
        let provider = provider.with_identity(Identity::new("test", origin, name));
        provider.with_quota(Self::quota())
    }

    pub(super) fn account(&self, name: &'static str) -> Credentials {
        self.shares(self.provider(name))
    }

    pub(super) fn shares(&self, provider: Scripted) -> Credentials {
        let account = crate::support::on(&self.clock, provider);
        account.store(self.store.clone()).build()
    }

    /// An account that does not share the store.
    pub(super) fn alone(&self, provider: Scripted) -> Credentials {
        crate::support::on(&self.clock, provider).build()
    }

    /// The name of their origin in the store.
    pub(super) fn origin(&self) -> String {
        let seal = self.store.seal();
        seal.name(b"origin https://share.example.com")
    }

    /// A caller that waits for as long as it takes.
    pub(super) fn get(account: &Credentials) -> JoinHandle<Result<String, Error>> {
        let account = account.clone();
        let patience = Ask::new().wait_for_quota();
        tokio::spawn(async move { account.get_with(patience).await.map(|got| token(&got)) })
    }

    pub(super) fn sent(&self) -> Vec<&'static str> {
        self.sent.lock().clone()
    }

    pub(super) async fn pass(&self, time: Duration) {
        settle().await;
        for _ in 0..time.as_millis() / 500 {
            self.clock.advance(SECOND / 2);
            settle().await;
        }
    }
}
