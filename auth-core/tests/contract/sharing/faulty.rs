//! A store that fails as it is told.

use super::*;

/// A store that fails as it is told.
#[derive(Clone)]
pub(super) struct Faulty(pub(super) Arc<Faults>);

pub(super) struct Faults {
    pub(super) inner: MemoryStore,
    pub(super) fails: AtomicBool,
    pub(super) save_fails: AtomicBool,
    /// A change is made, and the answer is lost.
    pub(super) save_answer_is_lost: AtomicBool,
    pub(super) hangs: AtomicBool,
    pub(super) panics: AtomicBool,
    /// A lease is given, and the answer is lost.
    pub(super) lease_hangs: AtomicBool,
    pub(super) save_gate: Mutex<Option<Arc<Semaphore>>>,
    /// A change is made, and the answer comes late.
    pub(super) save_answers: Mutex<Option<Arc<Semaphore>>>,
    pub(super) permit_gate: Mutex<Option<Arc<Semaphore>>>,
    /// It tells of no changes.
    pub(super) is_silent: AtomicBool,
    pub(super) loads: AtomicU64,
    pub(super) load_gate: Mutex<Option<Arc<Semaphore>>>,
    /// It rounds each wait for a permit down to none.
    pub(super) rounds_waits: AtomicBool,
    pub(super) permits: AtomicU64,
    /// The entry whose lease was asked for last.
    pub(super) name: Mutex<String>,
    /// The changes that were asked for.
    pub(super) changes: Mutex<Vec<Change>>,
    pub(super) hold_gate: Mutex<Option<Arc<Semaphore>>>,
    pub(super) hold_fails: AtomicBool,
    pub(super) saves: AtomicU64,
    /// Another process saves a revision before each end of a session arrives.
    pub(super) end_races: AtomicBool,
    pub(super) serves: Mutex<Option<Entry>>,
    /// What asks for a lease arrives late, even if no one waits for the answer any more.
    pub(super) late_leases: Mutex<Option<Arc<Semaphore>>>,
    /// What is saved arrives late, even if no one waits for the answer any more.
    pub(super) late_saves: Mutex<Option<Arc<Semaphore>>>,
    pub(super) spoils_notes: AtomicBool,
    /// It finds that the entry can't be read.
    pub(super) unreadable: Mutex<Option<Unreadable>>,
    /// Notes may be lost of sessions whose leases have this fence at most.
    pub(super) lacks_notes_until: AtomicU64,
    pub(super) seal_panics: AtomicBool,
    pub(super) leases: AtomicU64,
    /// Of them, those that take one that is free.
    pub(super) takes: AtomicU64,
    /// It answers that no login is needed, whatever is there.
    pub(super) never_needs: AtomicBool,
    /// The longest time that a lease or a permit was asked for.
    pub(super) longest: Mutex<Duration>,
    /// What asks for a lease waits for it, and what saves anything but the end of a session.
    pub(super) step_gate: Mutex<Option<Arc<Semaphore>>>,
    /// What is there since the store has lost its data.
    pub(super) since_loss: Mutex<Option<MemoryStore>>,
    /// Time that passes at once after a permit was given, as while the machine sleeps.
    pub(super) sleeps: Mutex<Vec<(ManualClock, Duration)>>,
}

impl Faulty {
    pub(super) fn new(inner: &MemoryStore) -> Self {
        Self(Arc::new(Faults {
            inner: inner.clone(),
            fails: AtomicBool::new(false),
            save_fails: AtomicBool::new(false),
            save_answer_is_lost: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            lease_hangs: AtomicBool::new(false),
            save_gate: Mutex::default(),
            save_answers: Mutex::default(),
            permit_gate: Mutex::default(),
            is_silent: AtomicBool::new(false),
            loads: AtomicU64::new(0),
            load_gate: Mutex::default(),
            rounds_waits: AtomicBool::new(false),
            permits: AtomicU64::new(0),
            name: Mutex::default(),
            changes: Mutex::default(),
            hold_gate: Mutex::default(),
            hold_fails: AtomicBool::new(false),
            saves: AtomicU64::new(0),
            end_races: AtomicBool::new(false),
            serves: Mutex::default(),
            late_leases: Mutex::default(),
            late_saves: Mutex::default(),
            spoils_notes: AtomicBool::new(false),
            unreadable: Mutex::default(),
            lacks_notes_until: AtomicU64::new(0),
            seal_panics: AtomicBool::new(false),
            leases: AtomicU64::new(0),
            takes: AtomicU64::new(0),
            never_needs: AtomicBool::new(false),
            longest: Mutex::default(),
            step_gate: Mutex::default(),
            since_loss: Mutex::default(),
            sleeps: Mutex::default(),
        }))
    }

    /// It loses its data.
    pub(super) fn lose(&self, fleet: &Fleet) {
        *self.0.since_loss.lock() = Some(MemoryStore::on(fleet.store_clock.clock()));
    }

    async fn slow(&self) {
        let gate = self.0.step_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
    }

    fn inner(&self) -> MemoryStore {
        let since_loss = self.0.since_loss.lock().clone();
        since_loss.unwrap_or_else(|| self.0.inner.clone())
    }

    /// How many changes were asked for since it was asked last.
    pub(super) fn changes(&self) -> usize {
        std::mem::take(&mut *self.0.changes.lock()).len()
    }

    pub(super) fn ask_for(&self, lasts: Duration) {
        let mut longest = self.0.longest.lock();
        *longest = lasts.max(*longest);
    }

    pub(super) fn spoil(&self, mut entry: Entry) -> Entry {
        if self.0.spoils_notes.load(SeqCst)
            && let Some(notes) = &mut entry.notes
        {
            notes.sealed.truncate(3);
        }
        if let Some(why) = *self.0.unreadable.lock() {
            entry = Entry {
                unreadable: Some(why),
                ..Entry::default()
            };
        }
        let until = self.0.lacks_notes_until.load(SeqCst);
        entry.may_lack_notes = (1..=until).contains(&entry.version.fence);
        entry
    }

    pub(super) async fn fault(&self) -> Result<(), StoreError> {
        assert!(!self.0.panics.load(SeqCst), "as told");
        if self.0.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.0.fails.load(SeqCst) {
            return Err(StoreError::new("as told").with_source("the disk is full"));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Faulty {
    fn seal(&self) -> &dyn Seal {
        &*self.0
    }

    async fn load(&self, name: &str) -> Result<Entry, StoreError> {
        self.fault().await?;
        self.0.loads.fetch_add(1, SeqCst);
        let gate = self.0.load_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        self.inner().load(name).await.map(|entry| self.spoil(entry))
    }

    async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError> {
        self.0.leases.fetch_add(1, SeqCst);
        let takes = u64::from(!ask.only_extends);
        self.0.takes.fetch_add(takes, SeqCst);
        self.ask_for(ask.lasts);
        self.fault().await?;
        self.slow().await;
        name.clone_into(&mut self.0.name.lock());
        let late = self.0.late_leases.lock().clone();
        if let Some(late) = late {
            let (store, name, owner) = (self.inner(), name.to_owned(), ask.owner.to_owned());
            let (lasts, known) = (ask.lasts, ask.known);
            let (rejected, only_extends) = (ask.rejected, ask.only_extends);
            tokio::spawn(async move {
                late.acquire().await.unwrap().forget();
                let ask = LeaseAsk {
                    owner: &owner,
                    lasts,
                    known,
                    rejected,
                    only_extends,
                };
                store.lease(&name, ask).await.unwrap();
            });
            std::future::pending::<()>().await;
        }
        let serves = self.0.serves.lock().clone();
        if let Some(entry) = serves.filter(|_| ask.known.is_none()) {
            let lease = auth_core::store::Lease::NotNeeded;
            let epoch = entry.version.epoch;
            return Ok(LeaseAnswer {
                lease,
                epoch,
                entry,
            });
        }
        if self.0.never_needs.load(SeqCst) {
            // A task that spins would keep this thread.
            tokio::task::yield_now().await;
            return Ok(LeaseAnswer {
                lease: auth_core::store::Lease::NotNeeded,
                epoch: 7,
                entry: self.inner().load(name).await?,
            });
        }
        let mut answer = self.inner().lease(name, ask).await?;
        if self.0.lease_hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        answer.entry = self.spoil(answer.entry);
        Ok(answer)
    }

    async fn save(&self, name: &str, change: Change) -> Result<Saved, StoreError> {
        self.fault().await?;
        self.0.changes.lock().push(change.clone());
        if self.0.save_fails.load(SeqCst) {
            return Err(StoreError::new("as told"));
        }
        self.0.saves.fetch_add(1, SeqCst);
        if self.0.end_races.load(SeqCst) && matches!(change.session, SessionChange::End) {
            let mut version = change.version;
            version.revision += 1;
            return Ok(Saved::Newer(version));
        }
        if !matches!(change.session, SessionChange::End) {
            self.slow().await;
        }
        let gate = self.0.save_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let late = self.0.late_saves.lock().clone();
        if let Some(late) = late {
            let (store, name) = (self.inner(), name.to_owned());
            let save = tokio::spawn(async move {
                late.acquire().await.unwrap().forget();
                store.save(&name, change).await
            });
            return save.await.unwrap();
        }
        let saved = self.inner().save(name, change).await;
        let answers = self.0.save_answers.lock().clone();
        if let Some(answers) = answers {
            answers.acquire().await.unwrap().forget();
        }
        if self.0.save_answer_is_lost.load(SeqCst) {
            return Err(StoreError::new("as told"));
        }
        saved
    }

    async fn permit(&self, origin: &str, ask: PermitAsk<'_>) -> Result<PermitAnswer, StoreError> {
        self.ask_for(ask.counts_for);
        self.fault().await?;
        let gate = self.0.permit_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        self.0.permits.fetch_add(1, SeqCst);
        let mut answer = self.inner().permit(origin, ask).await;
        if let (true, Ok(PermitAnswer::Wait(wait))) =
            (self.0.rounds_waits.load(SeqCst), &mut answer)
        {
            *wait = Duration::ZERO;
        }
        for (clock, by) in std::mem::take(&mut *self.0.sleeps.lock()) {
            clock.advance(by);
        }
        answer
    }

    async fn end_permit(
        &self,
        origin: &str,
        id: &str,
        counts_for: Duration,
    ) -> Result<(), StoreError> {
        self.fault().await?;
        self.inner().end_permit(origin, id, counts_for).await
    }

    async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError> {
        self.fault().await?;
        if self.0.hold_fails.load(SeqCst) {
            return Err(StoreError::new("as told"));
        }
        let gate = self.0.hold_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        self.inner().hold(origin, wait).await
    }

    async fn changed(&self, name: &str) {
        if self.0.is_silent.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner().changed(name).await;
    }
}

impl Seal for Faults {
    fn name(&self, text: &[u8]) -> String {
        self.inner.seal().name(text)
    }

    fn seal(&self, text: &str, context: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.inner.seal().seal(text, context)
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Secret, Unreadable> {
        assert!(!self.seal_panics.load(SeqCst), "as told");
        self.inner.seal().open(sealed, context)
    }
}
