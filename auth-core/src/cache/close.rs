//! The end of a cache: its sessions and the login under way are logged out.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{join_all, select};
use tokio::sync::oneshot;

use super::shared::Shared;
use crate::clock::nanos;
use crate::credential::Credential;
use crate::error::Error;
use crate::event::Event;
use crate::runtime::Runtime;

impl Shared {
    pub(super) async fn close(self: &Arc<Self>) -> Result<(), Error> {
        let (was_closed, session, flight, superseded) = self.commit(|control| {
            let was_closed = control.state.is_closed();
            let session = control.state.close();
            (
                was_closed,
                session,
                control.flight.take(),
                std::mem::take(&mut control.superseded),
            )
        });
        if was_closed {
            return Ok(());
        }
        // A superseded session waits for its grace to end. The close ends it early.
        let mut sessions: Vec<Arc<Credential>> = session.into_iter().collect();
        for (task, session) in superseded {
            if !task.is_finished() {
                task.abort();
                sessions.push(session);
            }
        }
        if let Some(flight) = &flight {
            flight.waiters.set(Some(Err(Error::Closed)));
            if flight.stop() {
                self.engine.limiter.pass_over(&flight.ticket);
            }
        }
        self.engine.emit(&Event::Closed);
        let runtime = Runtime::current().ok_or(Error::NoRuntime)?;
        // A task of its own continues if the caller drops its future. It holds the cache, so that a
        // login under way can deliver its session to be logged out.
        let shared = Arc::clone(self);
        let (sender, result) = oneshot::channel();
        runtime.spawn(async move {
            let engine = &shared.engine;
            let mut result = Ok(());
            for logout in join_all(sessions.iter().map(|session| engine.log_out(session))).await {
                result = result.and(logout);
            }
            if let Some(flight) = flight {
                // The rest of the login and its logout take one time-out each at most.
                let wait = engine.options.login_timeout.saturating_mul(2);
                let until = engine.clock.now().steady.saturating_add(nanos(wait));
                let ended = pin!(flight.ended());
                select(ended, pin!(engine.clock.sleep_until(until))).await;
            }
            let _ = sender.send(result);
        });
        match result.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::Login {
                source: Arc::new(error),
                retry_after: None,
            }),
            Err(_gone) => Err(Error::Abandoned),
        }
    }
}
