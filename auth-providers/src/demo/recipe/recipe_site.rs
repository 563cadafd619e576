use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use auth_core::{Credential, RequestHead, Target, testing};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde_json::json;

use super::expected::Expected;
use super::records::{Record, Records};
use super::rehearsal::{Form, Logins, Rehearsal};
use super::serve_error::ServeError;
use crate::demo::connections::Respond;
use crate::demo::server_state::{ServerState, random};
use crate::demo::settings::Settings;
use crate::demo::site::{pass, read};
use crate::demo::wire::message;
use crate::login::Login;
use crate::recipe::RecipeLogin;
use crate::recipe::served::{At, Issue, Served, Unserved};

/// What a server serves: a recipe, and its state.
pub(super) struct RecipeSite {
    pub(super) served: Served,
    pub(super) logins: Logins,
    pub(super) forms: Vec<(At, Form)>,
    /// What a repair fetches.
    repaired: BTreeSet<String>,
    /// A session that was never issued, to see what is carried where.
    sample: Credential,
    pub(super) state: Mutex<State>,
    login_latency: Duration,
    call_latency: Duration,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) server: ServerState,
    pub(super) records: Records,
}

impl RecipeSite {
    pub(super) fn new(logins: Logins, mut settings: Settings) -> Result<Self, ServeError> {
        let example = logins.of("someone@example.com")?;
        let served = Served::new(logins.recipe(), &example)?;
        settings.limit.get_or_insert(example.account().quota());
        let (login_latency, call_latency) = (settings.login_latency, settings.call_latency);
        let state = State {
            server: ServerState::new(settings, served.lifetime(&example)),
            records: Records::default(),
        };
        let issue = issue(&state.server);
        let Rehearsal { forms, sample } = Rehearsal::of(&served, &logins, &issue)?;
        Ok(Self {
            repaired: served.repaired(),
            state: Mutex::new(state),
            served,
            logins,
            forms,
            sample,
            login_latency,
            call_latency,
        })
    }

    pub(super) fn form(&self, at: At) -> Option<&Form> {
        let mut forms = self.forms.iter();
        forms.find_map(|(of, form)| (*of == at).then_some(form))
    }

    /// The step that a request is meant to be.
    fn step_of(&self, parts: &Parts, body: &[u8]) -> Option<At> {
        // A login may look just like it.
        if self
            .refreshed(&self.state.lock().records, parts, body)
            .is_some()
        {
            return Some(At::Refresh);
        }
        let is_meant = |at: At, form: &Form| match at {
            At::Login(number) if form.varies_in_path() => self.is_pending_at(number, parts),
            _ => form.is_met(parts, body),
        };
        let mut forms = self.forms.iter();
        let (at, form) = forms.find(|(at, form)| is_meant(*at, form))?;
        // On a path of both, a request with a session, and not just with the account, is the API's.
        let is_session = |record: &Record| {
            let carried = carried(&record.credential, parts);
            !form.covers(&carried) && carried.lacking(parts, body).is_empty()
        };
        let of_api =
            matches!(at, At::Login(_)) && self.state.lock().records.find(is_session).is_some();
        (!of_api).then_some(*at)
    }

    /// Admits a login, or says why not.
    pub(super) async fn admit(&self, at: At, peer: SocketAddr) -> Result<(), Response<Bytes>> {
        let admitted = self.state.lock().server.attempt(peer.ip());
        pass(self.login_latency).await;
        let server = &mut self.state.lock().server;
        if let Err(wait) = admitted {
            server.counts.logins.limited += 1;
            return Err(made(self.served.limited(at, wait, &issue(server))));
        }
        if server.login_outage {
            server.counts.logins.unavailable += 1;
            let down = message(StatusCode::SERVICE_UNAVAILABLE, "Down for maintenance");
            return Err(down);
        }
        Ok(())
    }

    /// Until when a session that begins now can be refreshed, if that is not its own end.
    pub(super) fn refreshable(&self, now: Duration) -> Option<Duration> {
        let outlives = self.served.refreshes_with_value();
        let life = self.served.refresh_life();
        outlives.then(|| life.map_or(Duration::MAX, |life| now + life))
    }

    /// The record that a request refreshes.
    fn refreshed(&self, records: &Records, parts: &Parts, body: &[u8]) -> Option<usize> {
        let form = self.form(At::Refresh)?;
        let is_sent = |record: &Record| {
            let request = |client: &RecipeLogin| client.refresh_request(&record.credential).ok();
            self.amiss(At::Refresh, record, request, parts, body)
                .is_some_and(|amiss| amiss.is_empty())
        };
        form.is_met(parts, body).then(|| records.find(is_sent))?
    }

    async fn refresh(&self, parts: &Parts, body: &[u8], peer: SocketAddr) -> Response<Bytes> {
        let (single_use, counts_as_login) = self.served.refresh_rules();
        if counts_as_login && let Err(turned_away) = self.admit(At::Refresh, peer).await {
            return turned_away;
        }
        let state = &mut *self.state.lock();
        let (issue, now) = (issue(&state.server), state.server.clock.now());
        let refusal = || made(self.served.refusal(At::Refresh, &issue));
        let Some(index) = self.refreshed(&state.records, parts, body) else {
            return refusal();
        };
        let record = state.records.get(index);
        if record.is_spent {
            state.server.counts.reused_tokens += 1;
            return refusal();
        }
        if !record.is_refreshable(now) {
            return refusal();
        }
        let answer = made(self.served.success(At::Refresh, &issue));
        let Ok(client) = self.logins.of(&record.account) else {
            return refusal();
        };
        match client.read_refresh(&answer, &record.credential) {
            Ok(session) => {
                let credential = testing::refreshed(&record.credential, session);
                record.is_spent = single_use;
                let times = (now, self.refreshable(now));
                state.records.continue_from(index, credential, times);
                state.server.counts.refreshes += 1;
                answer
            }
            Err(error) => broken(&error),
        }
    }

    fn repair(&self, parts: &Parts, body: &[u8]) -> Response<Bytes> {
        let state = &mut *self.state.lock();
        let (issue, now) = (issue(&state.server), state.server.clock.now());
        let sent = |record: &Record| {
            let request = |client: &RecipeLogin| client.repair_request(&record.credential).ok();
            let amiss = self.amiss(At::Repair, record, request, parts, body);
            // The session may have got another value since.
            record.is_live(now) && amiss.is_some_and(|amiss| amiss.is_subset(&self.repaired))
        };
        let Some(index) = state.records.find(sent) else {
            return made(self.served.rejection(&head(parts), &issue));
        };
        let answer = made(self.served.success(At::Repair, &issue));
        let record = state.records.get(index);
        let read = self.logins.of(&record.account).ok();
        let read = read.map(|client| client.read_repair(&answer, &record.credential));
        match read {
            Some(Ok(update)) => {
                let url = self.logins.url(parts);
                let update = update.with_cookies(answer.headers(), Target::of(&url));
                let change = |before: Credential| before.updated(&update);
                state.records.update(index, change);
                state.server.counts.repairs += 1;
                answer
            }
            Some(Err(error)) => broken(&error),
            None => made(self.served.rejection(&head(parts), &issue)),
        }
    }

    fn log_out(&self, parts: &Parts, body: &[u8]) -> Response<Bytes> {
        let state = &mut *self.state.lock();
        let (issue, now) = (issue(&state.server), state.server.clock.now());
        let sent = |record: &Record| {
            let request =
                |client: &RecipeLogin| client.logout_request(&record.credential).ok().flatten();
            let amiss = self.amiss(At::Logout, record, request, parts, body);
            record.is_live(now) && amiss.is_some_and(|amiss| amiss.is_subset(&self.repaired))
        };
        let Some(index) = state.records.find(sent) else {
            return made(self.served.over(&head(parts), &issue));
        };
        state.records.end(index, self.served.logout_ends_account());
        state.server.counts.logouts += 1;
        made(self.served.success(At::Logout, &issue))
    }

    /// What is amiss with a request that a session's client would send otherwise.
    fn amiss(
        &self,
        at: At,
        record: &Record,
        request: impl Fn(&RecipeLogin) -> Option<Request<Bytes>>,
        parts: &Parts,
        body: &[u8],
    ) -> Option<BTreeSet<String>> {
        let request = request(&self.logins.of(&record.account).ok()?)?;
        let expected = Expected::step(&request, self.served.states_accept(at));
        Some(expected.amiss(parts, body))
    }

    fn call(&self, parts: &Parts, body: &[u8]) -> Response<Bytes> {
        let state = &mut *self.state.lock();
        let (issue, now) = (issue(&state.server), state.server.clock.now());
        let head = head(parts);
        let lacking = |record: &Record| carried(&record.credential, parts).lacking(parts, body);
        let is_session =
            |record: &Record| record.is_live(now) && lacking(record).is_subset(&self.repaired);
        let found = state.records.find(is_session);
        let needs_session = !carried(&self.sample, parts).is_empty();
        if found.is_none() && needs_session {
            if self.is_malformed_login(parts) {
                state.server.counts.logins.malformed += 1;
                return message(StatusCode::BAD_REQUEST, "Bad request");
            }
            state.server.note_call(parts);
            state.server.counts.calls.unauthorized += 1;
            return made(self.served.rejection(&head, &issue));
        }
        state.server.note_call(parts);
        let mut account = None;
        if let Some(index) = found {
            let record = state.records.get(index);
            let target = Target::of(&parts.uri).with_method(&parts.method);
            let outdated =
                record.is_outdated && carried(&record.credential, parts).has_any(&self.repaired);
            if outdated || record.credential.lacks(target) || !lacking(record).is_empty() {
                state.server.counts.calls.repair_asked += 1;
                let asked = self.served.asks_repair(&head, &issue);
                return made(asked.unwrap_or_else(|| self.served.rejection(&head, &issue)));
            }
            record.touch(now);
            account = Some(record.account.clone());
        }
        state.server.counts.calls.ok += 1;
        let is_probe = self.form(At::Probe);
        if is_probe.is_some_and(|probe| probe.sample.is_to(parts)) {
            return made(self.served.success(At::Probe, &issue));
        }
        let body = json!({ "path": parts.uri.path(), "account": account });
        made(self.served.accepted(&head, &body, &issue))
    }
}

impl Respond for RecipeSite {
    async fn respond(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Bytes> {
        let (parts, body) = match read(request).await {
            Ok(read) => read,
            Err(too_large) => return too_large,
        };
        self.state.lock().forget_ended();
        match self.step_of(&parts, &body) {
            Some(At::Login(number)) => self.log_in(number, &parts, &body, peer).await,
            Some(At::Refresh) => self.refresh(&parts, &body, peer).await,
            Some(At::Repair) => self.repair(&parts, &body),
            Some(At::Logout) => self.log_out(&parts, &body),
            Some(At::Probe) | None => {
                let answer = self.call(&parts, &body);
                pass(self.call_latency).await;
                answer
            }
        }
    }
}

impl State {
    fn forget_ended(&mut self) {
        let now = self.server.clock.now();
        self.records.forget_ended(now);
    }
}

/// What a session adds to a request.
fn carried(credential: &Credential, parts: &Parts) -> Expected {
    let uri = Uri::builder()
        .scheme("http")
        .authority("127.0.0.1")
        .path_and_query(parts.uri.path())
        .build()
        .unwrap_or_default();
    let mut request = Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    // What can't be attached is not expected.
    let _ = credential.attach(&mut request);
    let target = Target::of(request.uri()).with_method(request.method());
    Expected::session(&request, credential.body_fields(target))
}

fn head(parts: &Parts) -> RequestHead {
    RequestHead::new(parts.method.clone(), parts.uri.clone())
}

pub(super) fn issue(server: &ServerState) -> Issue {
    let seconds = server.clock.unix_seconds(server.clock.now());
    Issue {
        hard: server.lifetime.hard_expiry(),
        idle: server.lifetime.idle_timeout(),
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        random,
    }
}

/// An answer. That it can be made was seen at the start.
pub(super) fn made(made: Result<Response<Bytes>, Unserved>) -> Response<Bytes> {
    made.unwrap_or_else(|unserved| broken(&unserved))
}

pub(super) fn broken(error: &dyn fmt::Display) -> Response<Bytes> {
    message(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
}

/// Without the requests of the recipe, which hold secrets of its values.
impl fmt::Debug for RecipeSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecipeSite")
            .field("served", &self.served)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_cant_be_made_says_why_with_status_500() {
        let answer = made(Err(Unserved::new("login[0].take.token", "no reason")));
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = String::from_utf8_lossy(answer.body());
        assert!(body.contains("`login[0].take.token` of the recipe: no reason"));
    }
}
