//! The admission of a caller, and the login that begins for it.

use std::sync::{Arc, Weak};

use tracing::Instrument as _;

use super::ask::Ask;
use super::caller::Caller;
use super::shared::{Control, Shared};
use crate::cause::Cause;
use crate::clock::nanos;
use crate::credential::Credential;
use crate::decide::{Decision, Purpose};
use crate::error::Error;
use crate::event::Event;
use crate::lifetime::Freshness;
use crate::limit::Ticket;
use crate::login::{Flight, Keep, Login};
use crate::runtime::{MutexGuard, Runtime};

/// What a caller does next.
pub(super) enum Admission {
    Served(Arc<Credential>),
    Waits(Arc<Flight>),
}

impl Shared {
    /// Decides for one caller, and begins the login that the decision asks for.
    pub(super) fn admit(self: &Arc<Self>, caller: &Caller) -> Result<Admission, Error> {
        let engine = &self.engine;
        self.drop_expired_cookies();
        let control = self.control.lock();
        let now = engine.clock.now();
        let decision = control.state.decide(now, caller.ask.renewed);
        let (served, purpose) = match decision {
            Decision::Serve(credential) => return Ok(Admission::Served(credential)),
            Decision::ServeAndBegin(credential, purpose) => (Some(credential), purpose),
            Decision::Begin(purpose) => (None, purpose),
            Decision::Fail(error) => return Err(error),
            Decision::Join => {
                let flight = control.flight.clone().ok_or(Error::Closed)?;
                drop(control);
                self.note_runtime(Runtime::current().as_ref());
                engine.limiter.want(&flight.ticket);
                return Ok(Admission::Waits(flight));
            }
        };
        let Some(runtime) = Runtime::current() else {
            return served.map(Admission::Served).ok_or(Error::NoRuntime);
        };
        self.note_runtime(Some(&runtime));
        let wanted = served.is_none();
        let ticket = self.ticket(purpose, wanted);
        if wanted {
            self.can_wait(caller, &ticket)?;
        }
        let cause = control.state.cause(now, caller.ask.renewed);
        let flight = self.begin(control, &runtime, (purpose, cause), ticket);
        Ok(served.map_or(Admission::Waits(flight), Admission::Served))
    }

    /// A caller waits on this runtime: the timer moves there if its own is shut down.
    fn note_runtime(&self, runtime: Option<&Runtime>) {
        if let (Some(keep), Some(runtime)) = (&self.keep_fresh, runtime) {
            keep.note(runtime);
        }
    }

    /// The ticket of a login or a refresh that begins now.
    pub(super) fn ticket(&self, purpose: Purpose, wanted: bool) -> Ticket {
        let engine = &self.engine;
        match purpose {
            // The login may find its secret unchanged, and then sends nothing. So it joins the
            // queue only when it needs a permit.
            Purpose::LoginIfChanged { .. } => Ticket::new(wanted, 0),
            // So does a refresh that is no login, once it has failed.
            Purpose::Refresh if !engine.refresh_counts_as_login => Ticket::new(wanted, 0),
            _ => engine.limiter.ticket(wanted),
        }
    }

    /// Begins the flight that was decided on.
    pub(super) fn begin(
        self: &Arc<Self>,
        mut control: MutexGuard<'_, Control>,
        runtime: &Runtime,
        (purpose, cause): (Purpose, Cause),
        ticket: Ticket,
    ) -> Arc<Flight> {
        let engine = &self.engine;
        let held = ticket.wait_left(&engine.clock);
        let began = control.state.generation();
        let id = control.state.begin();
        let by_refresh = |_: &&Arc<Credential>| purpose == Purpose::Refresh;
        let refreshed = control.state.refreshed().filter(by_refresh).cloned();
        let cache: Weak<dyn Keep> = Arc::<Self>::downgrade(self);
        let login = Login::new(
            engine,
            cache,
            (id, cause),
            ticket,
            (purpose, began),
            refreshed,
        );
        let flight = Arc::clone(login.flight());
        control.flight = Some(Arc::clone(&flight));
        drop(control);

        self.follow(runtime);
        let span = engine.login_span(cause);
        flight.spawn(runtime, login.run().instrument(span));
        if !held.is_zero() {
            engine.emit(&Event::LoginHeld { wait: held });
        }
        flight
    }

    /// Drops the cookies that have expired beside the current session. Takes the lock only if there
    /// are any.
    pub(super) fn drop_expired_cookies(&self) {
        let now = self.engine.clock.now();
        let outdated = |freshness| freshness == Freshness::Outdated;
        if self.current_if(now, outdated).is_some() {
            self.update(|state| state.drop_expired_cookies(now));
        }
    }

    /// Whether a caller waits for the permit of a login.
    ///
    /// # Errors
    /// [`Error::QuotaSpent`] with the time to wait, if the permit is not free and the caller does
    /// not wait for it: the login would end after its deadline, it fails fast, or it has a
    /// credential that may be good.
    pub(super) fn can_wait(&self, caller: &Caller, ticket: &Ticket) -> Result<(), Error> {
        let engine = &self.engine;
        let retry_after = ticket.wait_left(&engine.clock);
        if retry_after.is_zero() {
            return Ok(());
        }
        let login = engine.limiter.login_takes();
        let login = login.min(nanos(engine.options.login_timeout));
        let in_time = ticket.expected().saturating_add(login) < caller.deadline;
        if in_time && !caller.fail_fast && self.stale(&caller.ask).is_none() {
            return Ok(());
        }
        Err(Error::QuotaSpent {
            retry_after,
            source: None,
        })
    }

    /// Begins the login that the next caller would begin, if there is a runtime here and nothing
    /// forbids it. No caller waits for the result: if there is an error, the next caller gets it.
    pub(crate) fn begin_login(self: &Arc<Self>) {
        let caller = Caller::new(Ask::new(), &self.engine.options, self.engine.clock.now());
        let _ = self.admit(&caller);
    }
}
