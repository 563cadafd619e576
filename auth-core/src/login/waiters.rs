//! The waiters of one login, and the value that ends their wait.
//!
//! The protocol:
//!
//! 1. A waiter *enters*: under the lock it checks whether the value is set. If it is not, the
//!    waiter leaves its waker in the list.
//! 2. The value is set first, and then all wakers are taken under the lock. So a waiter either sees
//!    the value in step 1, or its waker is among those taken: no wake-up is lost.
//! 3. Only after it has entered does a waiter read the clock and the ticket. A later change wakes
//!    it, by the [`waker`](Waiters::waker) of the list or by an alarm.
//! 4. The waiters on one runtime share one *alarm*, a timer for the earliest time that any of them
//!    asked for. No task drives it: the timer's waker is that of the list. A timer may fire at
//!    once, so it is polled with no lock held. The count of wakes tells whether it fired before it
//!    was stored.
//! 5. When all are woken to look again, their entries stay, and their wakers and all alarms are
//!    taken. Each waiter enters again with a new waker, and asks for its next alarm.
//! 6. A waiter that leaves removes its entry. The last one on a runtime also drops that runtime's
//!    alarm, because a timer keeps a part of its runtime alive.
//! 7. Wakers and timers are foreign code. They are cloned, woken and dropped with no lock held.
//!
//! There are no atomics here but the `OnceLock`, and the lock orders everything else.
//!
//! The list is hand-written because ten thousand waiters are then released by one walk over one
//! allocation. `tokio::sync::SetOnce` with a timer for each waiter walks from one waiter's memory
//! to the next. The waiters of `futures::future::Shared` poll the future for each other: if the one
//! that was woken is dropped at that moment, the others are not woken.

use std::mem;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use slab::Slab;
use tokio::task::coop::unconstrained;

use crate::clock::Clock;
use crate::runtime::{Mutex, RuntimeId};

pub(crate) struct Waiters<T> {
    value: OnceLock<T>,
    list: Arc<List>,
}

/// One waiter's entry in the list, and the runtime that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterKey {
    entry: usize,
    runtime: RuntimeId,
}

#[derive(Default)]
struct List(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    /// `None` from a wake-up to look again until the waiter enters again.
    wakers: Slab<Option<Waker>>,
    /// One for each runtime that has waiters.
    runtimes: Vec<OnRuntime>,
    /// How often all were woken to look again.
    wakes: u64,
}

struct OnRuntime {
    id: RuntimeId,
    waiters: usize,
    alarm: Option<Alarm>,
}

struct Alarm {
    at: u64,
    /// Kept because a timer that is dropped wakes nothing.
    _timer: BoxFuture<'static, ()>,
}

impl<T> Waiters<T> {
    pub(super) fn new() -> Self {
        Self {
            value: OnceLock::new(),
            list: Arc::default(),
        }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Sets the value and releases all waiters. A value that is set already stays.
    pub(crate) fn set(&self, value: T) {
        if self.value.set(value).is_ok() {
            let released = mem::take(&mut *self.list.0.lock());
            let wakers = released.wakers.into_iter().filter_map(|(_, waker)| waker);
            wakers.for_each(Waker::wake);
        }
    }

    /// A waker that wakes all waiters to look again.
    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.list))
    }

    /// Enters the list, or enters it again, on the runtime that the waiter runs on. Returns `None`
    /// if the value is set.
    pub(crate) fn enter(
        &self,
        key: Option<WaiterKey>,
        runtime: RuntimeId,
        waker: &Waker,
    ) -> Option<WaiterKey> {
        let key = match key {
            Some(key) if key.runtime != runtime => {
                self.leave(key);
                None
            }
            key => key,
        };
        let waker = waker.clone();
        let (key, _replaced) = {
            let mut entries = self.list.0.lock();
            if self.value.get().is_some() {
                return None;
            }
            match key {
                Some(key) => (key, entries.wakers[key.entry].replace(waker)),
                None => (entries.insert(runtime, waker), None),
            }
        };
        Some(key)
    }

    /// How many are in the list: those that have entered, and were not released.
    pub(crate) fn count(&self) -> usize {
        self.list.0.lock().wakers.len()
    }

    /// Leaves the list.
    pub(crate) fn leave(&self, key: WaiterKey) {
        let _left = self.list.0.lock().remove(key);
    }

    /// Sees to it that all waiters are woken at `at` on the steady clock, or earlier. The waiter
    /// must be in the list, and on its runtime. Ready if that time has come, or if all were woken
    /// or released in the meantime.
    pub(crate) fn poll_alarm(&self, key: WaiterKey, at: u64, clock: &Clock) -> Poll<()> {
        let so_far = {
            let mut entries = self.list.0.lock();
            match entries.on(key.runtime) {
                None => return Poll::Ready(()),
                Some(there) if there.rings_by(at) => return Poll::Pending,
                Some(_) => entries.wakes,
            }
        };
        let sleep = clock.clone();
        let mut timer = async move { sleep.sleep_until(at).await }.boxed();
        // tokio's cooperative budget belongs to the calling task. The timer serves all waiters, so
        // it is polled even if that budget is used up.
        let waker = self.waker();
        let rung = unconstrained(&mut timer).poll_unpin(&mut Context::from_waker(&waker));
        if rung.is_ready() {
            return Poll::Ready(());
        }
        self.keep_alarm(key, so_far, Alarm { at, _timer: timer })
    }

    /// Keeps an alarm that was set when all had been woken `so_far` times. Ready if all were woken
    /// or released since: the alarm itself may have rung, and would not ring again.
    fn keep_alarm(&self, key: WaiterKey, so_far: u64, alarm: Alarm) -> Poll<()> {
        let mut entries = self.list.0.lock();
        let woken = entries.wakes != so_far;
        let replaced = match entries.on(key.runtime) {
            Some(there) if !woken && there.rings_by(alarm.at) => return Poll::Pending,
            Some(there) if !woken => there.alarm.replace(alarm),
            _ => return Poll::Ready(()),
        };
        drop(entries);
        drop(replaced);
        Poll::Pending
    }
}

/// Wakes all waiters to look again.
impl Wake for List {
    fn wake(self: Arc<Self>) {
        let mut entries = self.0.lock();
        entries.wakes += 1;
        let wakers: Vec<Waker> = (entries.wakers.iter_mut())
            .filter_map(|(_, waker)| waker.take())
            .collect();
        let alarms: Vec<Alarm> = (entries.runtimes.iter_mut())
            .filter_map(|runtime| runtime.alarm.take())
            .collect();
        drop(entries);
        drop(alarms);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Entries {
    fn on(&mut self, runtime: RuntimeId) -> Option<&mut OnRuntime> {
        self.runtimes.iter_mut().find(|known| known.id == runtime)
    }

    fn insert(&mut self, runtime: RuntimeId, waker: Waker) -> WaiterKey {
        match self.on(runtime) {
            Some(there) => there.waiters += 1,
            None => self.runtimes.push(OnRuntime {
                id: runtime,
                waiters: 1,
                alarm: None,
            }),
        }
        let entry = self.wakers.insert(Some(waker));
        WaiterKey { entry, runtime }
    }

    /// Removes a waiter, unless all were released. The caller drops the returned values after it
    /// has released the lock.
    fn remove(&mut self, key: WaiterKey) -> Option<(Option<Waker>, Option<OnRuntime>)> {
        let waker = self.wakers.try_remove(key.entry)?;
        let index = (self.runtimes.iter()).position(|known| known.id == key.runtime)?;
        let there = &mut self.runtimes[index];
        there.waiters -= 1;
        let last = there.waiters == 0;
        Some((waker, last.then(|| self.runtimes.swap_remove(index))))
    }
}

impl OnRuntime {
    /// Whether its alarm fires at `at` or earlier.
    fn rings_by(&self, at: u64) -> bool {
        self.alarm.as_ref().is_some_and(|alarm| alarm.at <= at)
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::future::poll_fn;
    use std::sync::Barrier;
    use std::time::Duration;

    use tokio::runtime::Builder;

    use super::*;
    use crate::clock::ManualClock;
    use crate::counting_waker::CountingWaker;
    use crate::runtime::Runtime;

    fn runtimes<const N: usize>() -> [RuntimeId; N] {
        let runtimes = [(); N].map(|()| Builder::new_current_thread().build().unwrap());
        runtimes.each_ref().map(|runtime| {
            let _entered = runtime.enter();
            Runtime::current().unwrap().id()
        })
    }

    fn runtime() -> RuntimeId {
        let [runtime] = runtimes();
        runtime
    }

    #[test]
    fn rule_3_an_alarm_wakes_all_at_the_earliest_moment_and_goes_with_the_last_waiter() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let start = clock.now().steady;
        let (woken, waker) = CountingWaker::waker();
        let (waiters, here) = (Waiters::<()>::new(), runtime());
        let [one, two] = [(); 2].map(|()| waiters.enter(None, here, &waker).unwrap());
        let poll = |at| waiters.poll_alarm(one, start + at, &clock).is_ready();
        assert!(!poll(20));
        assert!(!poll(30), "woken at 20, it will come again");
        assert_eq!(hands.sleepers(), 1);
        assert!(!poll(10));
        assert_eq!(hands.sleepers(), 1, "the later one is taken down");
        hands.advance(Duration::from_nanos(10));
        assert_eq!(woken.count(), 2);
        assert!(poll(10), "over");
        assert_eq!(waiters.enter(Some(one), here, &waker), Some(one));
        assert!(!poll(40), "the next one");
        waiters.leave(two);
        assert_eq!(hands.sleepers(), 1);
        waiters.leave(one);
        assert_eq!(hands.sleepers(), 0);
    }

    #[test]
    fn rule_3_an_alarm_that_another_thread_set_for_an_earlier_time_stays() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let start = clock.now().steady;
        let (woken, waker) = CountingWaker::waker();
        let (waiters, here) = (Waiters::<()>::new(), runtime());
        let key = waiters.enter(None, here, &waker).unwrap();
        assert!(waiters.poll_alarm(key, start + 10, &clock).is_pending());
        // It was made while the other one was set.
        let later = Alarm {
            at: start + 30,
            _timer: std::future::pending().boxed(),
        };
        assert!(waiters.keep_alarm(key, 0, later).is_pending());
        hands.advance(Duration::from_nanos(10));
        assert_eq!(woken.count(), 1);
    }

    #[test]
    fn rule_3_each_runtime_has_an_alarm_of_its_own() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let at = clock.now().steady + 10;
        let (woken, waker) = CountingWaker::waker();
        let (waiters, [here, there]) = (Waiters::<()>::new(), runtimes());
        let keys = [here, there].map(|runtime| waiters.enter(None, runtime, &waker).unwrap());
        for key in keys {
            assert!(waiters.poll_alarm(key, at, &clock).is_pending());
        }
        assert_eq!(hands.sleepers(), 2, "either runtime may stop");
        waiters.leave(keys[0]);
        assert_eq!(hands.sleepers(), 1);
        hands.advance(Duration::from_nanos(10));
        assert_eq!(woken.count(), 1);
    }

    #[test]
    fn rule_3_an_alarm_rings_by_the_runtimes_own_timer() {
        let clock = Clock::system();
        let start = clock.now();
        let at = start.steady + 1_000_000;
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let here = Runtime::current().unwrap().id();
            let (waiters, mut key) = (Waiters::<()>::new(), None);
            poll_fn(|cx| {
                while clock.now().steady < at {
                    key = waiters.enter(key, here, cx.waker());
                    if waiters.poll_alarm(key.unwrap(), at, &clock).is_pending() {
                        return Poll::Pending;
                    }
                }
                Poll::Ready(())
            })
            .await;
        });
        assert!(clock.now().since(start) < Duration::from_secs(30));
    }

    #[test]
    fn rule_3_of_two_alarms_that_are_set_at_once_the_earlier_one_stays() {
        let clock = ManualClock::new().clock();
        let start = clock.now().steady;
        let here = runtime();
        for _ in 0..3_000 {
            let waiters = Waiters::<()>::new();
            let key = waiters.enter(None, here, Waker::noop()).unwrap();
            let both = Barrier::new(2);
            std::thread::scope(|scope| {
                for at in [start + 10, start + 20] {
                    let (waiters, both, clock) = (&waiters, &both, &clock);
                    scope.spawn(move || {
                        both.wait();
                        assert!(waiters.poll_alarm(key, at, clock).is_pending());
                    });
                }
            });
            let entries = waiters.list.0.lock();
            let at = entries.runtimes[0].alarm.as_ref().map(|alarm| alarm.at);
            assert_eq!(at, Some(start + 10));
        }
    }

    #[test]
    fn rule_3_an_alarm_that_may_have_rung_before_it_was_kept_is_not_kept() {
        let waiters = Waiters::<()>::new();
        let key = waiters.enter(None, runtime(), Waker::noop()).unwrap();
        let alarm = || Alarm {
            at: 10,
            _timer: std::future::pending().boxed(),
        };
        let so_far = waiters.list.0.lock().wakes;
        waiters.waker().wake();
        assert!(waiters.keep_alarm(key, so_far, alarm()).is_ready());
        assert!(waiters.list.0.lock().runtimes[0].alarm.is_none());
        assert!(waiters.keep_alarm(key, so_far + 1, alarm()).is_pending());
        assert!(waiters.list.0.lock().runtimes[0].alarm.is_some());
    }

    #[test]
    fn no_alarm_is_set_where_all_were_released() {
        let hands = ManualClock::new();
        let waiters = Waiters::new();
        let key = waiters.enter(None, runtime(), Waker::noop()).unwrap();
        waiters.set(());
        assert!(waiters.poll_alarm(key, u64::MAX, &hands.clock()).is_ready());
        assert_eq!(hands.sleepers(), 0);
    }

    #[test]
    fn all_waiters_are_woken_once_and_by_their_last_waker() {
        let waiters = Waiters::new();
        let [here, there] = runtimes();
        let mut keys = [None; 3];
        let [(old, first), (new, second), (other, third)] =
            [(); 3].map(|()| CountingWaker::waker());
        let mut enter = |index: usize, runtime, waker| {
            keys[index] = waiters.enter(keys[index], runtime, waker);
            keys[index].is_some()
        };
        assert!(enter(0, here, &first) && enter(0, here, &second) && enter(1, here, &third));
        assert!(
            enter(2, here, &first) && enter(2, there, &third),
            "it moved"
        );
        waiters.set(1);
        waiters.set(2);
        let counts = [old, new, other].map(|woken| woken.count());
        assert_eq!(counts, [0, 1, 2]);
        assert_eq!(waiters.get(), Some(&1), "the first value stays");
        assert!(!enter(0, here, &first), "known at once");
    }

    #[test]
    fn a_waiter_that_leaves_is_forgotten() {
        let (waiters, here) = (Waiters::new(), runtime());
        let [(gone, first), (left, second)] = [(); 2].map(|()| CountingWaker::waker());
        let away = waiters.enter(None, here, &first).unwrap();
        let still = waiters.enter(None, here, &second).unwrap();
        waiters.leave(away);
        waiters.leave(away);
        waiters.set(());
        waiters.leave(still);
        assert_eq!([gone, left].map(|woken| woken.count()), [0, 1]);
    }

    #[test]
    fn only_runtimes_that_have_waiters_are_remembered() {
        let waiters = Waiters::<()>::new();
        let [here, there, elsewhere] = runtimes();
        let known = || -> Vec<RuntimeId> {
            let entries = waiters.list.0.lock();
            entries.runtimes.iter().map(|known| known.id).collect()
        };
        let moves = waiters.enter(None, here, Waker::noop());
        let stays = waiters.enter(None, here, Waker::noop());
        assert_eq!(known(), [here]);
        let moves = waiters.enter(moves, there, Waker::noop());
        assert_eq!(known(), [here, there]);
        waiters.enter(moves, here, Waker::noop());
        assert_eq!(known(), [here], "the one that was left goes");
        waiters.leave(stays.unwrap());
        waiters.enter(None, elsewhere, Waker::noop());
        assert_eq!(known(), [here, elsewhere]);
    }

    #[test]
    fn a_waiter_that_was_woken_to_look_is_woken_again_after_coming_back() {
        let waiters = Waiters::new();
        let [here, there] = runtimes();
        let (woken, waker) = CountingWaker::waker();
        let back = waiters.enter(None, here, &waker);
        waiters.enter(None, there, &waker).unwrap();
        waiters.waker().wake();
        assert_eq!(woken.count(), 2);
        waiters.enter(back, here, &waker).unwrap();
        waiters.waker().wake();
        assert_eq!(woken.count(), 3);
        waiters.enter(back, here, &waker).unwrap();
        waiters.set(());
        assert_eq!(woken.count(), 4);
    }
}
