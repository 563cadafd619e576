//! A value that is set once, and that thousands may wait for.
//!
//! Who waits is kept in one piece of memory, so that telling everybody takes one walk over it and no lock for each.
//! `tokio::sync::SetOnce` walks from one waiter's memory to the next; the waiters of `futures::future::Shared` poll it for each
//! other, so that one which is dropped just as it was woken leaves the others asleep.

use std::mem;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::sync::Mutex;

pub(super) struct Once<T> {
    value: OnceLock<T>,
    waiting: Mutex<Slab<Waker>>,
}

impl<T> Once<T> {
    pub(super) fn new() -> Self {
        Self {
            value: OnceLock::new(),
            waiting: Mutex::default(),
        }
    }

    /// Sets the value, unless it is set already, and wakes everybody.
    pub(super) fn set(&self, value: T) {
        if self.value.set(value).is_ok() {
            let waiting = mem::take(&mut *self.waiting.lock());
            for (_, waker) in waiting {
                waker.wake();
            }
        }
    }

    /// Resolves when the value is set. It may be dropped at any time.
    pub(super) const fn wait(&self) -> Waiting<'_, T> {
        Waiting {
            once: self,
            key: None,
        }
    }
}

pub(super) struct Waiting<'a, T> {
    once: &'a Once<T>,
    key: Option<usize>,
}

impl<'a, T> Future for Waiting<'a, T> {
    type Output = &'a T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<&'a T> {
        let once = self.once;
        if let Some(value) = once.value.get() {
            return Poll::Ready(value);
        }
        // Wakers are others' code: they are neither cloned nor dropped under the lock.
        let waker = cx.waker().clone();
        let mut waiting = once.waiting.lock();
        // Whoever sets it does so first, and then takes those who wait: set by now, it is not announced again.
        if let Some(value) = once.value.get() {
            return Poll::Ready(value);
        }
        let replaced = if let Some(key) = self.key {
            Some(mem::replace(&mut waiting[key], waker))
        } else {
            self.key = Some(waiting.insert(waker));
            None
        };
        drop(waiting);
        drop(replaced);
        Poll::Pending
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        let Some(key) = self.key else {
            return;
        };
        if self.once.value.get().is_none() {
            let mut waiting = self.once.waiting.lock();
            // It may have been set, and everybody taken, just now.
            let waker = waiting.try_remove(key);
            drop(waiting);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
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
        let (mut moved, mut stayed) = (pin!(once.wait()), pin!(once.wait()));
        let [(old, first), (new, second), (other, third)] = [(); 3].map(|()| waker());
        let pending = [
            moved.as_mut().poll(&mut Context::from_waker(&first)),
            moved.as_mut().poll(&mut Context::from_waker(&second)),
            stayed.as_mut().poll(&mut Context::from_waker(&third)),
        ];
        assert_eq!(pending, [Poll::Pending; 3]);
        once.set(1);
        once.set(2);
        let counts = [old, new, other].map(|woken| woken.0.load(SeqCst));
        assert_eq!(counts, [0, 1, 1]);
        let cx = &mut Context::from_waker(&first);
        assert_eq!(moved.poll(cx), Poll::Ready(&1), "the first value stays");
        assert_eq!(pin!(once.wait()).poll(cx), Poll::Ready(&1), "known at once");
    }

    #[test]
    fn whoever_goes_is_forgotten() {
        let once = Once::<()>::new();
        let (woken, waker) = waker();
        let cx = &mut Context::from_waker(&waker);
        let mut gone = Box::pin(once.wait());
        let mut left = pin!(once.wait());
        assert!(gone.as_mut().poll(cx).is_pending());
        assert!(left.as_mut().poll(cx).is_pending());
        drop(gone);
        assert_eq!(once.waiting.lock().len(), 1);
        once.set(());
        assert_eq!(woken.0.load(SeqCst), 1);
    }
}
