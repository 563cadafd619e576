//! The end of a cache: its sessions and the login under way are logged out.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all, select};
use tokio::sync::watch;

use super::leaving::Leaving;
use super::shared::Shared;
use crate::clock::nanos;
use crate::credential::Credential;
use crate::decide::Known;
use crate::error::{Error, LoginError};
use crate::event::Event;
use crate::logout::{Logout, LogoutReason};
use crate::runtime::Runtime;
use crate::store::SETTLED_WITHIN;

/// How a cache ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its session is logged out, unless it is left in the store.
    Close,
    /// Its session is logged out, for all that share it.
    LogOut,
}

/// How the end of a cache went, once it is over.
pub(super) type Ended = watch::Receiver<Option<Result<(), Error>>>;

impl Shared {
    pub(super) async fn close(self: &Arc<Self>, ending: Ending) -> Result<(), Error> {
        // Nothing could be sent. A call that finds a runtime makes up for it.
        let runtime = Runtime::current();
        if runtime.is_none() && !self.is_closed() {
            return Err(Error::NoRuntime);
        }
        let (sender, result) = watch::channel(None);
        let mut unsaved = false;
        let ((was_closed, ended), (session, known), rejected, flights, superseded) =
            self.commit(|control| {
                let was_closed = control.state.is_closed();
                let sharing = self.engine.options.sharing.as_ref();
                unsaved = (sharing.zip(self.known_now().version))
                    .is_some_and(|(sharing, known)| sharing.revisions.has_values_of(known));
                // After a close it would take away what that leaves in the store.
                if let (Some(sharing), Ending::LogOut, false) = (sharing, ending, was_closed) {
                    sharing.log_out();
                }
                let ended = control.ended.get_or_insert(result).clone();
                (
                    (was_closed, ended),
                    (control.state.close(), self.known_now()),
                    control.state.take_given_up(),
                    // What is being saved would be in the store after the close.
                    (control.flight.take().into_iter())
                        .chain(sharing.map_or_else(Vec::new, |sharing| sharing.settling.flights()))
                        .collect::<Vec<_>>(),
                    std::mem::take(&mut control.superseded),
                )
            });
        if was_closed {
            // A close has left the session in the store, or is about to.
            let sharing = self.engine.options.sharing.as_ref();
            let left = sharing.is_some_and(|sharing| !sharing.logs_out());
            return match ending {
                Ending::LogOut if left => Err(Error::Closed),
                // A caller that goes on before the logout was sent may end the program.
                _ => end_of(ended).await,
            };
        }
        if let Some(keep) = &self.keep_fresh {
            keep.stop();
        }
        self.stop_repair();
        self.stop_looking();
        // A close saves by itself what is not in the store by then. A logout waits for what is on
        // its way there, and the task ends when it looks next.
        if ending == Ending::Close {
            self.stop_following();
        }
        let closing = Logout::new(LogoutReason::Closing);
        let mut sessions: Vec<(Arc<Credential>, Logout)> = Vec::new();
        let left = self.is_shared() && ending == Ending::Close;
        sessions.extend(
            session
                .clone()
                .filter(|_| !left)
                .map(|session| (session, closing)),
        );
        // The next login would have superseded it.
        let rejected = rejected.filter(|_| self.superseded_grace().is_some());
        sessions.extend(rejected.map(|session| (session, closing.of_dead_session())));
        // A superseded session waits for its grace to end. The close ends it early.
        sessions.extend(superseded.into_iter().filter_map(Leaving::leave_now));
        for flight in &flights {
            flight.waiters.set(Some(Err(Error::Closed)));
            if flight.stop() {
                self.engine.limiter.pass_over(&flight.ticket);
            }
        }
        self.engine.emit(&Event::Closed);
        // There is one: without it only a closed cache comes here, and that has returned.
        let runtime = runtime.ok_or(Error::NoRuntime)?;
        // A task of its own continues if the caller drops its future. It holds the cache, so that a
        // login under way can deliver its session to be logged out.
        let shared = Arc::clone(self);
        runtime.spawn(async move {
            let engine = &shared.engine;
            let mut result = Ok(());
            let logouts = sessions
                .iter()
                .map(|(session, logout)| engine.log_out(session, *logout));
            for logout in join_all(logouts).await {
                result = result.and(logout);
            }
            if ending == Ending::LogOut || !flights.is_empty() {
                let mut wait = Duration::ZERO;
                if !flights.is_empty() {
                    // The rest of the login and its logout take one time-out each at most.
                    wait = engine.options.login_timeout.saturating_mul(2);
                }
                if shared.is_shared() {
                    wait = wait.saturating_add(SETTLED_WITHIN);
                }
                let until = engine.clock.now().steady.saturating_add(nanos(wait));
                let ended = join_all(flights.iter().map(|flight| flight.ended()));
                let ended = join(ended, shared.published());
                select(pin!(ended), pin!(engine.clock.sleep_until(until))).await;
            }
            let left = shared.end_sharing(ending, session.as_deref(), (known, unsaved));
            let result = result.and(left.await).map_err(|source| Error::Login {
                source: Arc::new(source),
                retry_after: None,
            });
            sender.send_replace(Some(result));
        });
        end_of(ended).await
    }

    /// Leaves the session in the store, or ends it there. What was `known`, and whether there were
    /// unsaved values, is as of the close.
    async fn end_sharing(
        &self,
        ending: Ending,
        session: Option<&Credential>,
        (known, unsaved): (Known, bool),
    ) -> Result<(), LoginError> {
        let Some(sharing) = &self.engine.options.sharing else {
            return Ok(());
        };
        sharing.steps.ask_again();
        sharing.tell_all(&self.engine.clock).await;
        // That may have failed.
        sharing.steps.ask_again();
        let result = match ending {
            Ending::Close => {
                self.leave_in_store(session, known, unsaved).await;
                Ok(())
            }
            Ending::LogOut => self.end_in_store(session, known).await,
        };
        // Nothing is saved any more under the lease of a session that is not there by now.
        sharing.give_back(&self.engine).await;
        result
    }
}

async fn end_of(mut ended: Ended) -> Result<(), Error> {
    match ended.wait_for(Option::is_some).await {
        Ok(result) => result.clone().unwrap_or(Ok(())),
        Err(_gone) => Err(Error::Abandoned),
    }
}
