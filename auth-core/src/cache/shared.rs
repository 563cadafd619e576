//! What all clones of a handle share.
//!
//! 1. The state and the flight under way are behind one lock, `control`. It is never held across an
//!    await, a wake-up or a call of foreign code.
//! 2. `commit` is the only function that changes what is served. Before it releases the lock, it
//!    copies the state's current credential to the slot `current`, and then its `closed` to the
//!    flag.
//! 3. Readers load the slot and the flag without the lock. They may see the value before a commit
//!    that runs at the same time, and never a value that no commit has published.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, OnceLock};

use super::close::Ended;
use super::leaving::Leaving;
use super::out_of_scope::OutOfScope;
use super::renewal_timer::RenewalTimer;
use super::repair_task::Repair;
use crate::clock::Moment;
use crate::credential::{Credential, Stamp};
use crate::decide::{AttemptedSecret, CacheState};
use crate::event::Event;
use crate::lifetime::Freshness;
use crate::login::{Engine, Flight};
use crate::pool::{Link, Memory};
use crate::refresh::Refresh;
use crate::runtime::{AtomicBool, Mutex, Slot};
use crate::secret::Fingerprint;

/// One cache. Decisions are made under one lock, and the current credential is read without it.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    /// Whether the provider reads new values from responses.
    pub(crate) updates: bool,
    /// Whether the judge of the provider wants the head of each request.
    pub(crate) judges_requests: bool,
    /// The state's current credential, for readers without the lock.
    current: Slot<Credential>,
    /// Whether the state is closed, for readers without the lock.
    closed: AtomicBool,
    /// Whether a caller has found it in its pool since the pool last made room.
    referenced: AtomicBool,
    /// The requests that missed the scope. Most caches see none.
    out_of_scope: OnceLock<Box<OutOfScope>>,
    /// The timer, if renewals begin by themselves.
    pub(super) keep_fresh: Option<Box<RenewalTimer>>,
    pub(super) repair: Repair,
    pub(super) control: Mutex<Control>,
}

#[derive(Default)]
pub(super) struct Control {
    pub(super) state: CacheState,
    /// The flight under way. Unless the cache is closed, it is there whenever the state has a
    /// flight.
    pub(super) flight: Option<Arc<Flight>>,
    /// The superseded sessions that wait for their logout, oldest first.
    pub(super) superseded: Vec<Leaving>,
    /// How the close ended, which began first.
    pub(super) ended: Option<Ended>,
    /// What other handles of the identity, which are or were in the same pool, have found out. It
    /// ends with the first login that succeeds, since what is said of the password after that is
    /// older.
    pub(super) link: Option<Link>,
}

impl Control {
    /// A login with this secret is about to be sent. Returns whether another handle has found out
    /// what forbids it.
    pub(super) fn learns_not_to_send(&mut self, secret: AttemptedSecret, now: Moment) -> bool {
        let news = self.link.as_mut().and_then(|link| link.turn().news());
        news.is_some_and(|failure| self.state.learn(failure, secret, now))
    }

    /// The end of a login that was `sent` with a secret changes the state: after what another
    /// handle has found out, and before that finds out more.
    pub(super) fn in_turn<T>(
        &mut self,
        sent: Option<AttemptedSecret>,
        now: Moment,
        change: impl FnOnce(&mut CacheState) -> T,
    ) -> T {
        let (Some(link), Some(secret)) = (&mut self.link, sent) else {
            return change(&mut self.state);
        };
        let mut turn = link.turn();
        let news = turn.news();
        if let Some(failure) = news.clone() {
            self.state.learn(failure, secret, now);
        }
        let result = change(&mut self.state);
        if let Some(failure) = news {
            self.state.fail_no_less(failure, secret);
        }
        if let Some(failure) = self.state.failure().cloned() {
            turn.tell(failure);
        }
        result
    }
}

impl Shared {
    pub(super) fn new(engine: Engine, refresh: Option<Refresh>) -> Self {
        Self {
            updates: engine.provider.updates(),
            judges_requests: engine.provider.judge().wants_request(),
            repair: Repair::default(),
            keep_fresh: engine.options.keep_fresh.then(Box::default),
            engine,
            current: Slot::empty(),
            closed: AtomicBool::new(false),
            referenced: AtomicBool::new(false),
            out_of_scope: OnceLock::new(),
            control: Mutex::new(Control {
                state: CacheState::new(refresh),
                ..Control::default()
            }),
        }
    }

    /// Lends the current credential without counting a reference. Takes no lock.
    #[inline]
    pub(crate) fn with_current<T>(
        &self,
        look: impl FnOnce(&Arc<Credential>) -> Option<T>,
    ) -> Option<T> {
        look((*self.current.load()).as_ref()?)
    }

    /// The current credential, if its freshness will do. Takes no lock.
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

    /// Whether `credential` is the current one and has not expired. Takes no lock.
    pub(super) fn is_current(&self, credential: &Arc<Credential>, now: Moment) -> bool {
        let same = |current: &Arc<Credential>| {
            Arc::ptr_eq(current, credential) && current.life().freshness(now).may_be_good()
        };
        self.with_current(|current| same(current).then_some(()))
            .is_some()
    }

    /// A request that was sent at `sent` with a credential of this generation was accepted. If the
    /// generation is still served, its idle deadline moves, and it is proven. Takes no lock.
    pub(crate) fn touch(&self, stamp: Stamp, sent: Moment) {
        self.with_current(|current| {
            (current.stamp().generation() == stamp.generation()).then(|| current.accepted(sent))
        });
    }

    /// A response shows that the session of this generation is good. Takes no lock.
    pub(crate) fn recognize(&self, stamp: Stamp) {
        self.with_current(|current| {
            (current.stamp().generation() == stamp.generation()).then(|| current.recognized())
        });
    }

    pub(super) fn is_closed(&self) -> bool {
        // Pairs with the release in `commit`: a thread that sees the flag also sees the empty slot,
        // because `commit` stores the slot first.
        self.closed.load(Acquire)
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&CacheState) -> T) -> T {
        look(&self.control.lock().state)
    }

    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut CacheState) -> T) -> T {
        self.commit(|control| change(&mut control.state))
    }

    /// Changes the state under the lock, and publishes what it serves to the readers without the
    /// lock.
    pub(super) fn commit<T>(&self, change: impl FnOnce(&mut Control) -> T) -> T {
        let mut control = self.control.lock();
        let result = change(&mut control);
        let served = control.state.current();
        let shown = self.current.load();
        // Stored under the lock, so that two commits can't store in the wrong order.
        if served.map(Arc::as_ptr) != (*shown).as_ref().map(Arc::as_ptr) {
            self.current.store(served.cloned());
        }
        if control.state.is_closed() {
            // Pairs with the acquire in `is_closed`.
            self.closed.store(true, Release);
        }
        // Before `shown`: if it is the last handle to a credential, foreign code may run.
        drop(control);
        result
    }

    /// It leaves its pool. Returns the memory that the next handle of the identity is to have, if
    /// something is known, or if a login of this one may still fail: it is under way, or the cache
    /// is used further.
    pub(super) fn leave(&self, is_used: bool) -> Option<Arc<Memory>> {
        let now = self.engine.clock.now();
        let mut control = self.control.lock();
        let state = &control.state;
        let may_fail = state.flight().is_some() || (is_used && !state.is_closed());
        if let Some(link) = &control.link {
            let memory = link.memory();
            return (may_fail || memory.matters(now)).then(|| Arc::clone(memory));
        }
        let failure = state.failure().filter(|failure| failure.matters(now));
        if !may_fail && failure.is_none() {
            return None;
        }
        let memory = Memory::of(failure.cloned());
        if may_fail {
            control.link = Some(Link::new(Arc::clone(&memory)).0);
        }
        Some(memory)
    }

    /// Takes over what was remembered of its identity. The secret is `fixed`, or may change.
    pub(super) fn remember(&self, memory: Arc<Memory>, fixed: Option<Fingerprint>) {
        let now = self.engine.clock.now();
        self.commit(|control| {
            let (link, failure) = Link::new(memory);
            if let Some(failure) = failure {
                control.state.remember(failure, fixed, now);
            }
            control.link = Some(link).filter(Link::is_shared);
        });
    }

    /// How many requests have missed the scope.
    pub(super) fn out_of_scope(&self) -> u64 {
        self.out_of_scope
            .get()
            .map_or(0, |missed| missed.requests())
    }

    /// A request has missed the scope.
    pub(crate) fn missed(&self, scheme: Option<&str>, host: Option<&str>, port: Option<u16>) {
        let missed = self.out_of_scope.get_or_init(Box::default);
        if let Some(asked) = missed.count(scheme, host, port) {
            self.engine.emit(&Event::OutOfScope {
                asked,
                scope: self.engine.scope.clone(),
                miss: self.engine.scope.miss(scheme, host, port),
            });
        }
    }

    /// Notes that a caller has found it in its pool.
    pub(super) fn reference(&self) {
        // Relaxed: the flag is a hint for the pool, and publishes no other memory. It is written
        // only if it is not set, so that callers that find the cache at once share the cache line.
        if !self.referenced.load(Relaxed) {
            self.referenced.store(true, Relaxed);
        }
    }

    /// Whether a caller has found it since the last call. Relaxed, as in `reference`.
    pub(super) fn take_referenced(&self) -> bool {
        self.referenced.swap(false, Relaxed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.lose_what_was_sent();
        let control = self.control.get_mut();
        // After a close, the login under way has to deliver its session to be logged out. The close
        // bounds its time.
        if !control.state.is_closed()
            && let Some(flight) = &control.flight
        {
            self.engine.limiter.pass_over(&flight.ticket);
            flight.abort();
        }
        control.superseded.iter().for_each(Leaving::stay);
        self.stop_repair();
        self.stop_following();
        self.give_lease_back();
        if let Some(keep) = &self.keep_fresh {
            keep.stop();
        }
    }
}
