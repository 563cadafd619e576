//! Those who wait for one login on one runtime, and the timer that they share.
//!
//! Whoever waits needs a timer on its own runtime, since a login that nobody drives never ends. But a timer for each of ten
//! thousand waiters is taken down again, one after the other, while all of them want nothing but to go on; and it is for
//! the same moment that all of them are set. No task drives a shared timer: when it is time, the runtime wakes the crowd.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use slab::Slab;
use tokio::task::coop::unconstrained;

use crate::clock::Clock;
use crate::runtime::{Mutex, RuntimeId};

pub(super) struct Crowd {
    pub(super) runtime: RuntimeId,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// Whoever was woken to look around keeps the place, and comes back with another waker.
    waiting: Slab<Option<Waker>>,
    /// Gone once it has rung: whoever comes back sets the next one.
    alarm: Option<Alarm>,
    /// How often all were woken.
    wakes: u64,
}

struct Alarm {
    at: u64,
    /// Kept, since it wakes nobody once it is dropped.
    _timer: BoxFuture<'static, ()>,
}

/// Wakes all, to look around.
impl Wake for Crowd {
    fn wake(self: Arc<Self>) {
        let mut inside = self.inside.lock();
        inside.wakes += 1;
        let alarm = inside.alarm.take();
        let woken: Vec<Waker> = (inside.waiting.iter_mut())
            .filter_map(|(_, waker)| waker.take())
            .collect();
        drop(inside);
        drop(alarm);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Crowd {
    pub(super) fn new(runtime: RuntimeId) -> Self {
        Self {
            runtime,
            inside: Mutex::default(),
        }
    }

    /// Waits here, in a place that it has or in a new one, unless `over` says that there is nothing to wait for any more.
    pub(super) fn enter(
        &self,
        key: Option<usize>,
        waker: &Waker,
        over: impl FnOnce() -> bool,
    ) -> Option<usize> {
        // Wakers are others' code: they are neither cloned nor dropped under the lock.
        let waker = waker.clone();
        let mut inside = self.inside.lock();
        if over() {
            return None;
        }
        let (key, replaced) = if let Some(key) = key {
            (key, inside.waiting[key].replace(waker))
        } else {
            (inside.waiting.insert(Some(waker)), None)
        };
        drop(inside);
        drop(replaced);
        Some(key)
    }

    /// Whoever has this place doesn't wait any more. The last one takes down the timer, which keeps a part of its runtime alive.
    pub(super) fn leave(&self, key: usize) {
        let mut inside = self.inside.lock();
        // All may have been released just now.
        let waker = inside.waiting.try_remove(key);
        let alarm = (inside.waiting.is_empty()).then(|| inside.alarm.take());
        drop(inside);
        drop((waker, alarm));
    }

    /// There is nothing to wait for any more.
    pub(super) fn release(&self) {
        let mut inside = self.inside.lock();
        let Inside { waiting, alarm, .. } = std::mem::take(&mut *inside);
        drop(inside);
        let woken = waiting.into_iter().filter_map(|(_, waker)| waker);
        woken.for_each(Waker::wake);
        drop(alarm);
    }

    /// Sees to it that the runtime, on which the caller is, wakes all at `at` on the steady clock, or earlier, for a caller who
    /// has a place here. Ready if that moment has come, or if all were woken or released meanwhile.
    pub(super) fn poll_alarm(self: &Arc<Self>, at: u64, clock: &Clock) -> Poll<()> {
        let woken_so_far = {
            let inside = self.inside.lock();
            if inside.alarm.as_ref().is_some_and(|alarm| alarm.at <= at) {
                return Poll::Pending;
            }
            inside.wakes
        };
        let sleep = clock.clone();
        let mut timer = async move { sleep.sleep_until(at).await }.boxed();
        let waker = Waker::from(Arc::clone(self));
        // A timer may wake at once, so it is polled under no lock; and whoever has used up its turn with tokio has not used
        // up that of the others.
        let rung = unconstrained(&mut timer).poll_unpin(&mut Context::from_waker(&waker));
        if rung.is_ready() {
            return Poll::Ready(());
        }
        let mut inside = self.inside.lock();
        // The caller has a place here, unless all were released meanwhile. And if all were woken, this alarm may have rung.
        if inside.waiting.is_empty() || inside.wakes != woken_so_far {
            drop(inside);
            return Poll::Ready(());
        }
        // Somebody else may have been faster, with an earlier one.
        if inside.alarm.as_ref().is_some_and(|alarm| alarm.at <= at) {
            drop(inside);
            return Poll::Pending;
        }
        let replaced = inside.alarm.replace(Alarm { at, _timer: timer });
        drop(inside);
        drop(replaced);
        Poll::Pending
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

    fn crowd() -> Arc<Crowd> {
        let runtime = Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        Arc::new(Crowd::new(Runtime::current().unwrap().id()))
    }

    #[test]
    fn rule_3_an_alarm_wakes_all_at_the_earliest_moment_and_goes_with_the_last_who_waits() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let start = clock.now().steady;
        let (woken, waker) = CountingWaker::waker();
        let crowd = crowd();
        let [one, two] = [(); 2].map(|()| crowd.enter(None, &waker, || false).unwrap());
        let poll = |at| crowd.poll_alarm(start + at, &clock).is_ready();
        assert!(!poll(20));
        assert!(!poll(30), "woken at 20, it will come again");
        assert_eq!(hands.sleepers(), 1);
        assert!(!poll(10));
        assert_eq!(hands.sleepers(), 1, "the later one is taken down");
        hands.advance(Duration::from_nanos(10));
        assert_eq!(woken.count(), 2);
        assert!(poll(10), "over");
        assert_eq!(crowd.enter(Some(one), &waker, || false), Some(one));
        assert!(!poll(40), "the next one");
        crowd.leave(two);
        assert_eq!(hands.sleepers(), 1);
        crowd.leave(one);
        assert_eq!(hands.sleepers(), 0);
    }

    #[test]
    fn rule_3_an_alarm_rings_by_the_runtimes_own_timer() {
        let clock = Clock::system();
        let start = clock.now();
        let at = start.steady + 1_000_000;
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let crowd = Crowd::new(Runtime::current().unwrap().id());
            let (crowd, mut key) = (Arc::new(crowd), None);
            poll_fn(|cx| {
                while clock.now().steady < at {
                    key = crowd.enter(key, cx.waker(), || false);
                    if crowd.poll_alarm(at, &clock).is_pending() {
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
        for _ in 0..3_000 {
            let crowd = crowd();
            crowd.enter(None, Waker::noop(), || false).unwrap();
            let both = Barrier::new(2);
            std::thread::scope(|scope| {
                for at in [start + 10, start + 20] {
                    let (crowd, both, clock) = (&crowd, &both, &clock);
                    scope.spawn(move || {
                        both.wait();
                        assert!(crowd.poll_alarm(at, clock).is_pending());
                    });
                }
            });
            let at = crowd.inside.lock().alarm.as_ref().map(|alarm| alarm.at);
            assert_eq!(at, Some(start + 10));
            crowd.release();
        }
    }

    #[test]
    fn no_alarm_is_set_where_all_were_released() {
        let hands = ManualClock::new();
        let crowd = crowd();
        crowd.enter(None, Waker::noop(), || false).unwrap();
        crowd.release();
        assert!(crowd.poll_alarm(u64::MAX, &hands.clock()).is_ready());
        assert_eq!(hands.sleepers(), 0);
    }

    #[test]
    fn whoever_comes_too_late_does_not_wait() {
        let crowd = crowd();
        assert_eq!(crowd.enter(None, Waker::noop(), || true), None);
        assert!(crowd.inside.lock().waiting.is_empty());
    }
}
