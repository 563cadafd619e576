//! A value that is set once, and that thousands may wait for.
//!
//! Who waits on one runtime is kept in one piece of memory, so that telling everybody takes one walk over it and no lock for
//! each. `tokio::sync::SetOnce` walks from one waiter's memory to the next; the waiters of `futures::future::Shared` poll it
//! for each other, so that one which is dropped just as it was woken leaves the others asleep.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

use super::crowd::Crowd;
use crate::runtime::{Mutex, RuntimeId};

pub(super) struct Once<T> {
    value: OnceLock<T>,
    crowds: Arc<Crowds>,
}

/// One for each runtime that somebody waits on, and some that were left.
#[derive(Default)]
struct Crowds(Mutex<Vec<Arc<Crowd>>>);

impl Wake for Crowds {
    fn wake(self: Arc<Self>) {
        let crowds = self.0.lock().clone();
        crowds.into_iter().for_each(Wake::wake);
    }
}

impl Crowds {
    fn of(&self, runtime: RuntimeId) -> Arc<Crowd> {
        let mut crowds = self.0.lock();
        if let Some(crowd) = crowds.iter().find(|crowd| crowd.runtime == runtime) {
            return Arc::clone(crowd);
        }
        // Whoever waits holds a share.
        crowds.retain(|crowd| Arc::strong_count(crowd) > 1);
        let crowd = Arc::new(Crowd::new(runtime));
        crowds.push(Arc::clone(&crowd));
        crowd
    }
}

impl<T> Once<T> {
    pub(super) fn new() -> Self {
        Self {
            value: OnceLock::new(),
            crowds: Arc::default(),
        }
    }

    pub(super) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Sets the value, unless it is set already, and wakes everybody.
    pub(super) fn set(&self, value: T) {
        if self.value.set(value).is_ok() {
            let crowds = std::mem::take(&mut *self.crowds.0.lock());
            for crowd in crowds {
                crowd.release();
            }
        }
    }

    /// Wakes everybody to look around, though nothing may have been set.
    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.crowds))
    }

    /// Waits among those on `runtime`, on which the caller is. None if the value is set.
    pub(super) fn wait<'a>(
        &self,
        place: &'a mut Place,
        runtime: RuntimeId,
        cx: &Context<'_>,
    ) -> Option<&'a Arc<Crowd>> {
        if (place.0.as_ref()).is_some_and(|(crowd, _)| crowd.runtime != runtime) {
            self.leave(place);
        }
        // Whoever sets it does so first, and then releases those who wait: set by now, it is not announced again.
        let over = || self.value.get().is_some();
        let (crowd, key) = match place.0.take() {
            Some((crowd, key)) => (crowd, Some(key)),
            None => (self.crowds.of(runtime), None),
        };
        let key = crowd.enter(key, cx.waker(), over)?;
        let (crowd, _) = place.0.insert((crowd, key));
        Some(crowd)
    }

    /// Whoever had this place doesn't wait any more.
    pub(super) fn leave(&self, place: &mut Place) {
        if let Some((crowd, key)) = place.0.take()
            && self.value.get().is_none()
        {
            crowd.leave(key);
        }
    }
}

/// Where somebody waits.
pub(super) struct Place(Option<(Arc<Crowd>, usize)>);

impl Place {
    pub(super) const NONE: Self = Self(None);
}

#[cfg(all(test, not(feature = "shuttle")))]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use tokio::runtime::Builder;

    use super::*;
    use crate::counting_waker::CountingWaker;
    use crate::runtime::Runtime;

    fn runtimes<const N: usize>() -> [RuntimeId; N] {
        let runtimes = [(); N].map(|()| Builder::new_current_thread().build().unwrap());
        runtimes.each_ref().map(|runtime| {
            let _entered = runtime.enter();
            Runtime::current().unwrap().id()
        })
    }

    #[test]
    fn everybody_is_woken_once_and_by_their_last_waker() {
        let once = Once::new();
        let [here, there] = runtimes();
        let mut places = [(); 3].map(|()| Place::NONE);
        let [(old, first), (new, second), (other, third)] =
            [(); 3].map(|()| CountingWaker::waker());
        let mut wait = |index: usize, runtime, waker| {
            let cx = Context::from_waker(waker);
            once.wait(&mut places[index], runtime, &cx).is_some()
        };
        assert!(wait(0, here, &first) && wait(0, here, &second) && wait(1, here, &third));
        assert!(wait(2, here, &first) && wait(2, there, &third), "it moved");
        once.set(1);
        once.set(2);
        let counts = [old, new, other].map(|woken| woken.count());
        assert_eq!(counts, [0, 1, 2]);
        assert_eq!(once.get(), Some(&1), "the first value stays");
        assert!(!wait(0, here, &first), "known at once");
    }

    #[test]
    fn whoever_leaves_is_forgotten() {
        let once = Once::<()>::new();
        let [here] = runtimes();
        let [(gone, first), (left, second)] = [(); 2].map(|()| CountingWaker::waker());
        let (mut away, mut still) = (Place::NONE, Place::NONE);
        once.wait(&mut away, here, &Context::from_waker(&first))
            .unwrap();
        once.wait(&mut still, here, &Context::from_waker(&second))
            .unwrap();
        once.leave(&mut away);
        once.leave(&mut away);
        once.set(());
        once.leave(&mut still);
        assert_eq!([gone, left].map(|woken| woken.count()), [0, 1]);
    }

    #[test]
    fn there_is_one_crowd_for_each_runtime_that_somebody_waits_on() {
        let once = Once::<()>::new();
        let [here, there, elsewhere] = runtimes();
        let cx = Context::from_waker(Waker::noop());
        let (mut moves, mut stays) = (Place::NONE, Place::NONE);
        let crowds = || -> Vec<RuntimeId> {
            let crowds = once.crowds.0.lock();
            crowds.iter().map(|crowd| crowd.runtime).collect()
        };
        once.wait(&mut moves, here, &cx).unwrap();
        once.wait(&mut stays, here, &cx).unwrap();
        assert_eq!(crowds(), [here]);
        once.wait(&mut moves, there, &cx).unwrap();
        assert_eq!(crowds(), [here, there]);
        once.wait(&mut moves, here, &cx).unwrap();
        once.leave(&mut stays);
        once.wait(&mut stays, elsewhere, &cx).unwrap();
        assert_eq!(crowds(), [here, elsewhere], "what was left goes");
    }

    #[test]
    fn whoever_was_woken_to_look_around_is_woken_again_after_coming_back() {
        let once = Once::<()>::new();
        let [here, there] = runtimes();
        let (woken, waker) = CountingWaker::waker();
        let cx = Context::from_waker(&waker);
        let (mut back, mut away) = (Place::NONE, Place::NONE);
        let crowd = Arc::clone(once.wait(&mut back, here, &cx).unwrap());
        once.wait(&mut away, there, &cx).unwrap();
        once.waker().wake();
        assert_eq!(woken.count(), 2);
        once.wait(&mut back, here, &cx).unwrap();
        crowd.wake();
        assert_eq!(woken.count(), 3);
        once.wait(&mut back, here, &cx).unwrap();
        once.set(());
        assert_eq!(woken.count(), 4);
    }
}
