//! What all clones of a handle share.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::clock::Moment;
use crate::credential::{Credential, Stamp};
use crate::decide::CacheState;
use crate::lifetime::Freshness;
use crate::login::{Engine, Flight};
use crate::origin::Scope;
use crate::runtime::{AtomicBool, Mutex, Slot, Task};

/// One cache: what is decided stands behind one lock, what is served is read without it.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) scope: Scope,
    /// What the state serves, for those that only read.
    current: Slot<Credential>,
    /// What the state says of it, for those that only read.
    closed: AtomicBool,
    /// Whether it was found in its pool since the pool last looked for room.
    referenced: AtomicBool,
    pub(super) control: Mutex<Control>,
}

#[derive(Default)]
pub(super) struct Control {
    pub(super) state: CacheState,
    /// The flight under way. There is one whenever the state knows of one, unless closed.
    pub(super) flight: Option<Arc<Flight>>,
    /// Superseded sessions, and the tasks that wait to log them out.
    pub(super) superseded: Vec<(Task, Arc<Credential>)>,
}

impl Shared {
    pub(super) fn new(engine: Engine, scope: Scope) -> Self {
        Self {
            engine,
            scope,
            current: Slot::empty(),
            closed: AtomicBool::new(false),
            referenced: AtomicBool::new(false),
            control: Mutex::default(),
        }
    }

    /// Lends out what is served, without counting a reference. Takes no lock.
    #[inline]
    pub(crate) fn with_current<T>(
        &self,
        look: impl FnOnce(&Arc<Credential>) -> Option<T>,
    ) -> Option<T> {
        look((*self.current.load()).as_ref()?)
    }

    /// What is served, if that will do. Takes no lock.
    #[inline]
    pub(crate) fn current_if(
        &self,
        now: Moment,
        will_do: impl Fn(Freshness) -> bool,
    ) -> Option<Arc<Credential>> {
        self.with_current(|current| {
            will_do(current.life().freshness(now)).then(|| Arc::clone(current))
        })
    }

    /// Whether this very credential is what is served, and not expired. Takes no lock.
    pub(super) fn is_current(&self, credential: &Arc<Credential>, now: Moment) -> bool {
        let same = |current: &Arc<Credential>| {
            Arc::ptr_eq(current, credential) && current.life().freshness(now).may_be_good()
        };
        self.with_current(|current| same(current).then_some(()))
            .is_some()
    }

    /// A request with a credential of this login was accepted, and sent then: the idle deadline
    /// moves, if this login is served. Takes no lock.
    pub(crate) fn touch(&self, stamp: Stamp, sent: Moment) {
        self.with_current(|current| {
            (current.stamp().generation() == stamp.generation()).then(|| current.life().touch(sent))
        });
    }

    pub(super) fn is_closed(&self) -> bool {
        // Pairs with `commit`.
        self.closed.load(Acquire)
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&CacheState) -> T) -> T {
        look(&self.control.lock().state)
    }

    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut CacheState) -> T) -> T {
        self.commit(|control| change(&mut control.state))
    }

    /// Changes the state, and shows what it serves to those that only read.
    pub(super) fn commit<T>(&self, change: impl FnOnce(&mut Control) -> T) -> T {
        let mut control = self.control.lock();
        let result = change(&mut control);
        let served = control.state.current();
        let shown = self.current.load();
        if served.map(Arc::as_ptr) != (*shown).as_ref().map(Arc::as_ptr) {
            self.current.store(served.cloned());
        }
        if control.state.is_closed() {
            // Pairs with `is_closed`.
            self.closed.store(true, Release);
        }
        result
    }

    /// It was found in its pool.
    pub(super) fn reference(&self) {
        // A hint for the pool, which orders nothing by it: relaxed. Found by many at once, it is
        // written by the first, so that the others share the cache line.
        if !self.referenced.load(Relaxed) {
            self.referenced.store(true, Relaxed);
        }
    }

    /// Whether it was found since this was asked before.
    pub(super) fn take_referenced(&self) -> bool {
        self.referenced.swap(false, Relaxed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let control = self.control.get_mut();
        // Once closed, what is under way logs out by itself, and is bounded.
        if !control.state.is_closed()
            && let Some(flight) = &control.flight
        {
            self.engine.limiter.pass_over(&flight.ticket);
            flight.abort();
        }
        for (task, _) in &control.superseded {
            task.abort();
        }
    }
}
