//! Logins that can be held back, and that are counted and timed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::time::{Timestamp, monotonic};

/// The size of the tokens: that of a JWT with a few claims.
pub const TOKEN_BYTES: usize = 1_024;

/// A token of [`TOKEN_BYTES`] bytes.
pub fn token() -> String {
    "t".repeat(TOKEN_BYTES)
}

/// Counts logins, holds them back, and records when the first one ended. All clones share one
/// state.
#[derive(Clone, Default)]
pub struct Logins(Arc<Shared>);

#[derive(Default)]
struct Shared {
    count: AtomicU64,
    fails_after: AtomicU64,
    gate: Gate,
    takes: Mutex<Duration>,
    first_ended: Mutex<Option<Timestamp>>,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Logins {
    /// Logins that end at once.
    pub fn at_once() -> Self {
        let logins = Self::held();
        logins.release();
        logins
    }

    /// Logins that wait until they are [released](Self::release).
    pub fn held() -> Self {
        let logins = Self::default();
        logins.0.fails_after.store(u64::MAX, SeqCst);
        logins
    }

    /// Makes all later logins fail.
    pub fn fail_from_now_on(&self) {
        self.0.fails_after.store(self.count(), SeqCst);
    }

    /// Sets how long each login takes after its release.
    pub fn take(&self, duration: Duration) {
        *self.0.takes.lock().unwrap_or_else(PoisonError::into_inner) = duration;
    }

    /// Releases the logins that wait, and all later ones.
    pub fn release(&self) {
        self.0.gate.0.add_permits(1_000_000);
    }

    /// Holds back all later logins.
    pub fn hold(&self) {
        self.0.gate.0.forget_permits(usize::MAX);
    }

    /// The number of logins that have begun.
    pub fn count(&self) -> u64 {
        self.0.count.load(SeqCst)
    }

    /// When the first login ended since the last call of this method.
    pub fn take_end(&self) -> Option<Timestamp> {
        self.first_ended().take()
    }

    fn first_ended(&self) -> MutexGuard<'_, Option<Timestamp>> {
        let ended = &self.0.first_ended;
        ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a login has ended, for logins that do not go through [`login`](Self::login).
    pub fn end(&self) {
        self.first_ended().get_or_insert_with(monotonic);
    }

    /// One login, which returns a token.
    ///
    /// # Errors
    /// [`fail_from_now_on`](Self::fail_from_now_on) was called before.
    pub async fn login(&self) -> Result<String, Failed> {
        let number = self.0.count.fetch_add(1, SeqCst) + 1;
        if let Ok(permit) = self.0.gate.0.acquire().await {
            permit.forget();
        }
        let takes = *self.0.takes.lock().unwrap_or_else(PoisonError::into_inner);
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let token = token();
        self.end();
        if number > self.0.fails_after.load(SeqCst) {
            Err(Failed)
        } else {
            Ok(token)
        }
    }
}

/// A login that was made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("made to fail")
    }
}

impl std::error::Error for Failed {}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
