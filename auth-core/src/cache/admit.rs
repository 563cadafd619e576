//! What a caller does next, and the login that begins for it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::ask::Ask;
use super::caller::Caller;
use super::shared::Shared;
use crate::credential::Credential;
use crate::decide::{Decision, Purpose};
use crate::error::Error;
use crate::event::Event;
use crate::limit::Ticket;
use crate::login::{Flight, Keep, Login};
use crate::runtime::Runtime;

/// What a caller does next.
pub(super) enum Admission {
    Served(Arc<Credential>),
    Waits(Arc<Flight>),
}

impl Shared {
    /// Decides for one caller, and begins the login that the decision asks for.
    pub(super) fn admit(self: &Arc<Self>, caller: &Caller) -> Result<Admission, Error> {
        let mut control = self.control.lock();
        let decision = control.state.decide(self.now(), caller.ask.renewed);
        let (served, purpose) = match decision {
            Decision::Serve(credential) => return Ok(Admission::Served(credential)),
            Decision::ServeAndBegin(credential, purpose) => (Some(credential), Some(purpose)),
            Decision::Begin(purpose) => (None, Some(purpose)),
            Decision::Join => (None, None),
            Decision::Fail(error) => return Err(error),
        };
        let mut begun = None;
        if let Some(purpose) = purpose {
            let Some(runtime) = Runtime::current() else {
                return served.map(Admission::Served).ok_or(Error::NoRuntime);
            };
            let ticket = self.ticket(purpose, served.is_none());
            // Read after the ticket was made: what was free then is free now.
            let now = self.now().steady;
            if served.is_none() {
                caller.can_wait(ticket.expected(), now)?;
            }
            let held = ticket.expected().saturating_sub(now);
            let id = control.state.begin();
            let current = control.state.current().cloned();
            let cache: Weak<dyn Keep> = Arc::<Self>::downgrade(self);
            let login = Login::new(&self.engine, cache, id, ticket, purpose, current);
            control.flight = Some(Arc::clone(login.flight()));
            begun = Some((login, runtime, Duration::from_nanos(held)));
        }
        let flight = control.flight.clone();
        drop(control);

        if let Some((login, runtime, held)) = begun {
            login.spawn(&runtime);
            if !held.is_zero() {
                self.engine.emit(&Event::LoginHeld { wait: held });
            }
        }
        if let Some(credential) = served {
            return Ok(Admission::Served(credential));
        }
        let flight = flight.ok_or(Error::Closed)?;
        self.engine.limiter.want(&flight.ticket);
        Ok(Admission::Waits(flight))
    }

    /// Begins the login that the next caller would begin, if there is a runtime here and nothing
    /// forbids it. No caller waits here: the next one gets the error, if there is one.
    pub(crate) fn begin_login(self: &Arc<Self>) {
        let caller = Caller::new(Ask::new(), &self.engine.options, self.now());
        let _ = self.admit(&caller);
    }

    /// A login that may find its secret unchanged, and then sends nothing, asks for its place in the
    /// queue only when it needs one.
    fn ticket(&self, purpose: Purpose, wanted: bool) -> Ticket {
        match purpose {
            Purpose::LoginIfChanged { .. } => Ticket::default(),
            Purpose::Login | Purpose::Renewal => self.engine.limiter.ticket(wanted),
        }
    }
}
