//! Timers that are shared by all who wait for one login on one runtime.
//!
//! Whoever waits needs a timer on its own runtime, since a login that nobody drives never ends. But a timer for each of ten
//! thousand waiters is taken down again, one after the other, while all of them want nothing but to go on; and it is for
//! the same moment that all of them are set. No task drives a shared timer: when it is time, the runtime wakes everybody.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::coop::unconstrained;

use crate::clock::Clock;
use crate::sync::{Mutex, Runtime, RuntimeId};

/// The timers of one login: one for each runtime that somebody waits on.
#[derive(Default)]
pub(super) struct Alarms(Mutex<Vec<Alarm>>);

struct Alarm {
    runtime: RuntimeId,
    at: u64,
    timer: BoxFuture<'static, ()>,
}

impl Alarms {
    /// Sees to it that `runtime`, on which the caller is, wakes `crowd` at `at` on the steady clock, or earlier. Ready if
    /// that moment has come, or an earlier one for which an alarm was set.
    pub(super) fn poll(
        &self,
        at: u64,
        runtime: &Runtime,
        clock: &Clock,
        crowd: &Waker,
    ) -> Poll<()> {
        let mut alarms = self.0.lock();
        let index = alarms
            .iter()
            .position(|alarm| alarm.runtime == runtime.id());
        let index = index.unwrap_or_else(|| {
            alarms.push(Alarm::new(at, runtime, clock));
            alarms.len() - 1
        });
        if alarms[index].at > at {
            alarms[index] = Alarm::new(at, runtime, clock);
        }
        // Whoever has used up its turn with tokio has not used up that of the others.
        let mut timer = unconstrained(&mut alarms[index].timer);
        let rung = Pin::new(&mut timer).poll(&mut Context::from_waker(crowd));
        if rung.is_ready() {
            alarms.swap_remove(index);
        }
        rung
    }
}

impl Alarm {
    fn new(at: u64, runtime: &Runtime, clock: &Clock) -> Self {
        let clock = clock.clone();
        Self {
            runtime: runtime.id(),
            at,
            timer: async move { clock.sleep_until(at).await }.boxed(),
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn rule_3_each_runtime_has_an_alarm_of_its_own_and_the_earliest_moment_counts() {
        let hands = ManualClock::new();
        let clock = hands.clock();
        let start = clock.now().steady;
        let woken = Arc::new(Woken::default());
        let crowd = Waker::from(Arc::clone(&woken));
        let runtimes = [(); 2].map(|()| {
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
        });
        let [first, second] = runtimes.each_ref().map(|runtime| {
            let _entered = runtime.enter();
            Runtime::current().unwrap()
        });
        let alarms = Alarms::default();
        let poll = |runtime, at| alarms.poll(start + at, runtime, &clock, &crowd).is_ready();
        assert!(!poll(&first, 20));
        assert!(!poll(&first, 30), "woken at 20, it will come again");
        assert!(!poll(&second, 30));
        assert_eq!(hands.sleepers(), 2);
        assert!(!poll(&second, 10));
        assert_eq!(hands.sleepers(), 2, "the later one is taken down");
        for (passed, counted) in [(10, 1), (20, 2), (30, 2)] {
            hands.advance(Duration::from_nanos(10));
            assert_eq!(woken.0.load(SeqCst), counted, "after {passed}");
        }
        assert!(poll(&first, 30), "over");
        assert!(!poll(&first, 40), "the next one");
        assert_eq!(alarms.0.lock().len(), 2);
    }
}
