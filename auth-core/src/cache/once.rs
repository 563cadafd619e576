//! A value that is set once, and that thousands may wait for.
//!
//! Who waits is kept in one piece of memory, so that telling everybody takes one walk over it and no lock for each.
//! `tokio::sync::SetOnce` walks from one waiter's memory to the next; the waiters of `futures::future::Shared` poll it for each
//! other, so that one which is dropped just as it was woken leaves the others asleep.

use std::mem;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use slab::Slab;

use crate::sync::Mutex;

pub(super) struct Once<T> {
    value: OnceLock<T>,
    crowd: Arc<Crowd>,
}

/// Those who wait. Whoever was woken to look around keeps the place, and comes back with another waker.
#[derive(Default)]
struct Crowd(Mutex<Slab<Option<Waker>>>);

impl Wake for Crowd {
    fn wake(self: Arc<Self>) {
        let mut waiting = self.0.lock();
        let woken: Vec<Waker> = (waiting.iter_mut())
            .filter_map(|(_, waker)| waker.take())
            .collect();
        drop(waiting);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl<T> Once<T> {
    pub(super) fn new() -> Self {
        Self {
            value: OnceLock::new(),
            crowd: Arc::default(),
        }
    }

    /// Sets the value, unless it is set already, and wakes everybody.
    pub(super) fn set(&self, value: T) {
        if self.value.set(value).is_ok() {
            let waiting = mem::take(&mut *self.crowd.0.lock());
            let woken = waiting.into_iter().filter_map(|(_, waker)| waker);
            woken.for_each(Waker::wake);
        }
    }

    /// Wakes everybody to look around, though nothing may have been set.
    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.crowd))
    }

    /// Ready when the value is set. `place` is the caller's own, to be given back to [`leave`](Self::leave).
    pub(super) fn poll(&self, place: &mut Place, cx: &Context<'_>) -> Poll<&T> {
        if let Some(value) = self.value.get() {
            return Poll::Ready(value);
        }
        // Wakers are others' code: they are neither cloned nor dropped under the lock.
        let waker = cx.waker().clone();
        let mut waiting = self.crowd.0.lock();
        // Whoever sets it does so first, and then takes those who wait: set by now, it is not announced again.
        if let Some(value) = self.value.get() {
            return Poll::Ready(value);
        }
        let replaced = if let Some(key) = place.0 {
            waiting[key].replace(waker)
        } else {
            place.0 = Some(waiting.insert(Some(waker)));
            None
        };
        drop(waiting);
        drop(replaced);
        Poll::Pending
    }

    /// Whoever had this place doesn't wait any more.
    pub(super) fn leave(&self, place: &mut Place) {
        let Some(key) = place.0.take() else {
            return;
        };
        if self.value.get().is_none() {
            let mut waiting = self.crowd.0.lock();
            // It may have been set, and everybody taken, just now.
            let waker = waiting.try_remove(key);
            drop(waiting);
            drop(waker);
        }
    }
}

/// Where somebody waits.
#[derive(Debug, Default)]
pub(super) struct Place(Option<usize>);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn waker() -> (Arc<Woken>, Waker) {
        let woken = Arc::new(Woken::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    #[test]
    fn everybody_is_woken_once_and_by_their_last_waker() {
        let once = Once::new();
        let (mut moved, mut stayed) = (Place::default(), Place::default());
        let [(old, first), (new, second), (other, third)] = [(); 3].map(|()| waker());
        let pending = [
            once.poll(&mut moved, &Context::from_waker(&first)),
            once.poll(&mut moved, &Context::from_waker(&second)),
            once.poll(&mut stayed, &Context::from_waker(&third)),
        ];
        assert_eq!(pending, [Poll::Pending; 3]);
        once.set(1);
        once.set(2);
        let counts = [old, new, other].map(|woken| woken.0.load(SeqCst));
        assert_eq!(counts, [0, 1, 1]);
        let cx = Context::from_waker(&first);
        let after = once.poll(&mut moved, &cx);
        assert_eq!(after, Poll::Ready(&1), "the first value stays");
        let late = once.poll(&mut Place::default(), &cx);
        assert_eq!(late, Poll::Ready(&1), "known at once");
    }

    #[test]
    fn whoever_leaves_is_forgotten() {
        let once = Once::<()>::new();
        let (woken, waker) = waker();
        let cx = Context::from_waker(&waker);
        let (mut gone, mut left) = (Place::default(), Place::default());
        assert!(once.poll(&mut gone, &cx).is_pending());
        assert!(once.poll(&mut left, &cx).is_pending());
        once.leave(&mut gone);
        once.leave(&mut gone);
        assert_eq!(once.crowd.0.lock().len(), 1);
        once.set(());
        assert_eq!(woken.0.load(SeqCst), 1);
    }

    #[test]
    fn whoever_was_woken_to_look_around_is_woken_again_after_coming_back() {
        let once = Once::<()>::new();
        let (woken, waker) = waker();
        let cx = Context::from_waker(&waker);
        let (mut back, mut away) = (Place::default(), Place::default());
        assert!(once.poll(&mut back, &cx).is_pending());
        assert!(once.poll(&mut away, &cx).is_pending());
        once.waker().wake();
        assert_eq!(woken.0.load(SeqCst), 2);
        assert!(once.poll(&mut back, &cx).is_pending());
        once.leave(&mut away);
        once.set(());
        assert_eq!(woken.0.load(SeqCst), 3);
    }
}
