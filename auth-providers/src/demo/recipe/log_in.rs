//! Logins at a server of a recipe.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use auth_core::{Credential, LoginError, Secret, testing};
use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};

use super::expected::Expected;
use super::recipe_site::{RecipeSite, broken, issue, made};
use super::records::Pending;
use super::rehearsal::next;
use crate::demo::server_state::ServerState;
use crate::demo::wire::message;
use crate::recipe::served::At;
use crate::step::Step;

impl RecipeSite {
    pub(super) async fn log_in(
        &self,
        number: usize,
        parts: &Parts,
        body: &[u8],
        peer: SocketAddr,
    ) -> Response<Bytes> {
        let at = At::Login(number);
        if number == 0
            && let Err(turned_away) = self.admit(at, peer).await
        {
            return turned_away;
        }
        let state = &mut *self.state.lock();
        let issue = issue(&state.server);
        let first = Pending {
            accounts: state.server.accounts(),
            answers: Vec::new(),
        };
        let logins: Vec<(Option<usize>, &Pending)> = if number == 0 {
            vec![(None, &first)]
        } else {
            let pending = state.records.pending().iter().enumerate();
            let pending = pending.filter(|(_, login)| login.answers.len() == number);
            pending.map(|(index, login)| (Some(index), login)).collect()
        };
        let mut wrong = None;
        let mut right = None;
        for (index, login) in logins {
            let amiss = |account: &String| {
                let expected = self.expected(account, &state.server, login);
                expected.map(|expected| expected.amiss(parts, body))
            };
            let is_right = |account: &&String| amiss(account).is_some_and(|amiss| amiss.is_empty());
            let accounts: Vec<String> = login.accounts.iter().filter(is_right).cloned().collect();
            if !accounts.is_empty() {
                let answers = login.answers.clone();
                right = Some((index, Pending { accounts, answers }));
                break;
            }
            let amiss = login.accounts.first().and_then(amiss);
            if amiss.is_some_and(|amiss| self.is_wrong(at, &amiss)) {
                wrong = Some(index);
            }
        }
        let Some((index, mut login)) = right else {
            let Some(index) = wrong else {
                state.server.counts.logins.malformed += 1;
                return message(StatusCode::BAD_REQUEST, "Bad request");
            };
            state.server.counts.logins.refused += 1;
            state.records.take_pending(index);
            return made(self.served.refusal(at, &issue));
        };
        state.records.take_pending(index);
        let answer = made(self.served.success(at, &issue));
        login.answers.push((self.logins.url(parts), answer.clone()));
        if number + 1 < self.served.logins() {
            state.records.pend(login);
            return answer;
        }
        match self.session(&login, &state.server) {
            Ok((account, credential)) => {
                state.server.counts.logins.ok += 1;
                let (now, lifetime) = (state.server.clock.now(), state.server.lifetime);
                let times = (now, self.refreshable(now));
                state.records.begin(account, credential, lifetime, times);
                answer
            }
            Err(error) => broken(&error),
        }
    }

    /// Whether only the account or the password is wrong.
    fn is_wrong(&self, at: At, amiss: &BTreeSet<String>) -> bool {
        let form = self.form(at);
        form.is_some_and(|form| amiss.is_subset(&form.of_account))
    }

    fn session(
        &self,
        login: &Pending,
        server: &ServerState,
    ) -> Result<(String, Credential), LoginError> {
        let account = login.accounts.first().cloned().unwrap_or_default();
        let secret = Secret::from(server.password(&account).unwrap_or_default());
        let client = self.logins.of(&account);
        let client = client.map_err(|error| LoginError::misconfigured(error.to_string()))?;
        match next(&client, &secret, &login.answers)? {
            Step::Session(session) => Ok((account, testing::credential(session))),
            Step::Request(_) => Err(LoginError::malformed("no session after the last step")),
        }
    }

    /// Whether a login under way comes here next.
    pub(super) fn is_pending_at(&self, number: usize, parts: &Parts) -> bool {
        let state = self.state.lock();
        let mut pending = state.records.pending().iter();
        pending.any(|login| {
            let account = login.accounts.first();
            login.answers.len() == number
                && account.is_some_and(|account| {
                    let expected = self.expected(account, &state.server, login);
                    expected.is_some_and(|expected| expected.is_to(parts))
                })
        })
    }

    /// The next request of a login under way, as this account sends it.
    fn expected(&self, account: &str, server: &ServerState, login: &Pending) -> Option<Expected> {
        let secret = Secret::from(server.password(account)?);
        let Ok(Step::Request(request)) =
            next(&self.logins.of(account).ok()?, &secret, &login.answers)
        else {
            return None;
        };
        let at = At::Login(login.answers.len());
        Some(Expected::step(&request, self.served.states_accept(at)))
    }

    /// A request that looks like a login and is none.
    pub(super) fn is_malformed_login(&self, parts: &Parts) -> bool {
        let mut forms = self.forms.iter();
        forms.any(|(at, form)| {
            matches!(at, At::Login(_)) && !form.varies_in_path() && form.sample.is_to(parts)
        })
    }
}
