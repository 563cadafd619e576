//! Processes that share a store.

use super::*;

/// Processes that share a store. Each has a clock of its own, and so a quota of its own.
pub(super) struct Fleet {
    pub(super) store: MemoryStore,
    pub(super) store_clock: ManualClock,
    pub(super) clocks: Vec<ManualClock>,
    pub(super) events: Arc<Mutex<Vec<Event>>>,
}

impl Fleet {
    pub(super) fn new() -> Self {
        let store_clock = ManualClock::new();
        Self {
            store: MemoryStore::on(store_clock.clock()),
            store_clock,
            clocks: Vec::new(),
            events: Arc::default(),
        }
    }

    /// A process that starts now.
    pub(super) fn start(&mut self, program: Program) -> Credentials {
        let store = self.store.clone();
        self.start_with(program, store)
    }

    pub(super) fn start_with(&mut self, program: Program, store: impl Store) -> Credentials {
        let clock = ManualClock::new();
        self.clocks.push(clock.clone());
        let events = Arc::clone(&self.events);
        Credentials::builder(program)
            .clock(clock.clock())
            .store(store)
            .observer(move |_: &Identity, event: &Event| events.lock().push(event.clone()))
            .build()
    }

    /// Lets seconds pass until a change was asked for at this store.
    pub(super) async fn until_changed(&self, store: &Faulty) {
        for _ in 0..60 {
            if !store.0.changes.lock().is_empty() {
                return;
            }
            self.advance(SECOND).await;
        }
        panic!("no change was asked for within a minute");
    }

    pub(super) async fn advance(&self, by: Duration) {
        let step = by.min(SECOND);
        let mut left = by;
        while !left.is_zero() {
            let step = step.min(left);
            left -= step;
            self.store_clock.advance(step);
            for clock in &self.clocks {
                clock.advance(step);
            }
            settle().await;
        }
    }

    /// At once, as while the machine sleeps.
    pub(super) fn leap(&self, by: Duration) {
        self.store_clock.advance(by);
        for clock in &self.clocks {
            clock.advance(by);
        }
    }

    pub(super) fn events(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events
            .lock()
            .iter()
            .filter(|event| wanted(event))
            .count()
    }
}
