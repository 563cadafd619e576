//! The flights whose sessions are being saved.

use std::sync::Arc;

use crate::decide::FlightId;
use crate::login::Flight;
use crate::runtime::Mutex;

/// The flights of one cache whose sessions are being saved.
#[derive(Default)]
pub(crate) struct Settlings(Mutex<Vec<Arc<Flight>>>);

/// A flight whose session is being saved, and whose waiters are not told yet. A close waits for
/// it.
pub(crate) struct Settling {
    settlings: Arc<Settlings>,
    flight: FlightId,
}

impl Drop for Settling {
    fn drop(&mut self) {
        let mut settling = self.settlings.0.lock();
        settling.retain(|flight| flight.id != self.flight);
    }
}

impl Settlings {
    /// The session of this flight is being saved from now on.
    pub(crate) fn begin(self: &Arc<Self>, flight: &Arc<Flight>) -> Settling {
        self.0.lock().push(Arc::clone(flight));
        Settling {
            settlings: Arc::clone(self),
            flight: flight.id,
        }
    }

    /// The flights whose sessions are being saved.
    pub(crate) fn flights(&self) -> Vec<Arc<Flight>> {
        self.0.lock().clone()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}
