//! What a recipe's steps send and what their answers mean: the [`Login`] of a recipe.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::slice;

use auth_core::{
    Credential, Judge, LoginError, Logout, LogoutScope, ProviderOptions, Refresh, ResponseView,
    Secret, Session, SetCookie, Update, set_cookies,
};
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};

use super::answer::{Answer, needs_body};
use super::ask::Ask;
use super::carry::{CookieSource, LaterAnswer, take_all};
use super::compute::{ComputeError, compute};
use super::login::{RecipeLogin, is_too_short};
use super::meaning::{check, refresh_failure};
use super::schema::{CookieName, Ends, Schema, Step, Takes};
use super::values::Known;
use crate::account::Account;
use crate::answers::Answers;
use crate::login::Login;
use crate::response;

impl Login for RecipeLogin {
    fn account(&self) -> &Account {
        &self.account
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    fn options(&self) -> ProviderOptions {
        ProviderOptions::of((self.schema().clone(), (*self.filled).clone()))
    }

    /// The fields beside the account and the secret that logs in: a tenant, or a second secret,
    /// which may be what the user is told by.
    fn variant(&self) -> String {
        let schema = self.schema();
        let others =
            |name: &&str| **name != schema.secret && Some(*name) != schema.account.as_deref();
        let fields = schema.field_names().filter(others);
        let filled = fields.filter_map(|name| Some((name, self.filled.get(name)?)));
        let part = |part: &str| format!("{}:{part},", part.len());
        let parts = filled.map(|(name, value)| part(name) + &part(value));
        let variant = parts.collect();
        if schema.account.is_some() {
            return variant;
        }
        // Without a name, the secret is what tells one user from another.
        match self.account.secret().read_blocking() {
            Ok(secret) => variant + &part(secret.expose()),
            // It may be anybody's, so it shares with no one.
            Err(_) => variant + &part(&RandomState::new().hash_one(0).to_string()),
        }
    }

    fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
        match self.schema().shortest_secret() {
            Some(minimum) if is_too_short(secret.expose(), Some(minimum)) => {
                Err(LoginError::misconfigured(format!(
                    "the password is shorter than the {minimum} characters that the API requires"
                )))
            }
            _ => Ok(()),
        }
    }

    fn request(&self, secret: &Secret) -> Result<Request<Bytes>, LoginError> {
        let schema = self.schema();
        let mut known = self.known().with_secret(&schema.secret, secret);
        for (index, step) in schema.login.0.iter().enumerate() {
            if step
                .when
                .as_ref()
                .is_some_and(|name| known.get(name).is_none())
            {
                continue;
            }
            self.compute(&Schema::login_step(index), step, &mut known)?;
            let ask = Ask {
                account: &self.account,
                known: &known,
                session: None,
            };
            return ask.request(step);
        }
        Err(LoginError::misconfigured(
            "every step of the login is left out",
        ))
    }

    fn read(&self, answers: &Answers<'_>) -> Result<crate::Step, LoginError> {
        match self.follow(answers)? {
            Follows::Step(step, known) => {
                let ask = Ask {
                    account: &self.account,
                    known: &known,
                    session: None,
                };
                Ok(ask.request(step)?.into())
            }
            Follows::Session(known) => {
                let cookies = CookieSource::Login(answers);
                let session = self.recipe.session(&known, &cookies)?;
                let cookie = |name: &CookieName| name.of_login(answers);
                let session = self.complete(session, &known, answers.all(), cookie)?;
                Ok(session.into())
            }
        }
    }

    fn refresh_by(&self) -> Option<Refresh> {
        let refresh = self.schema().refresh.as_ref()?;
        let mut by = match &refresh.with {
            Some(name) => Refresh::with_kept(name.clone()),
            None => Refresh::with_session(),
        };
        if refresh.single_use {
            by = by.single_use();
        }
        if self.schema().refresh_is_login() {
            by = by.counts_as_login();
        }
        Some(by)
    }

    fn refresh_request(&self, current: &Credential) -> Result<Request<Bytes>, LoginError> {
        let Some(refresh) = &self.schema().refresh else {
            return Err(LoginError::misconfigured("the recipe has no refresh"));
        };
        self.later(
            "refresh.step",
            &refresh.step,
            current,
            refresh.with.is_none(),
        )
    }

    fn read_refresh(
        &self,
        response: &Response<Bytes>,
        current: &Credential,
    ) -> Result<Session, LoginError> {
        let Some(refresh) = &self.schema().refresh else {
            return Err(LoginError::misconfigured("the recipe has no refresh"));
        };
        check(
            &refresh.step,
            &Answer::of(response),
            response,
            refresh_failure,
        )?;
        let takes = self.schema().refresh_takes();
        let answer = self.answer_to(("refresh.step", &refresh.step), current, response)?;
        let known = self.after(takes, &answer, current)?;
        self.expect_brought(takes, &known, (response, current))?;
        let cookies = CookieSource::Refresh(&answer, current);
        let session = self.recipe.session(&known, &cookies)?;
        let cookie = |name: &CookieName| name.of_answer(&answer);
        self.complete(session, &known, slice::from_ref(response), cookie)
    }

    fn continues_cookies(&self) -> bool {
        true
    }

    fn renews_ahead(&self) -> bool {
        self.schema().life.renew_ahead
    }

    fn repairs(&self) -> bool {
        self.schema().repair.is_some()
    }

    fn repair_request(&self, current: &Credential) -> Result<Request<Bytes>, LoginError> {
        let Some(repair) = &self.schema().repair else {
            return Err(LoginError::misconfigured("the recipe has no repair"));
        };
        self.later("repair.step", &repair.step, current, true)
    }

    fn read_repair(
        &self,
        response: &Response<Bytes>,
        current: &Credential,
    ) -> Result<Update, LoginError> {
        let Some(repair) = &self.schema().repair else {
            return Err(LoginError::misconfigured("the recipe has no repair"));
        };
        let takes = &repair.step.take;
        check(
            &repair.step,
            &Answer::of(response),
            response,
            response::failure,
        )?;
        let answer = self.answer_to(("repair.step", &repair.step), current, response)?;
        let known = self.after(takes, &answer, current)?;
        let changed = |name: &str| known.found(name).is_some();
        Ok(self.recipe.update(&known, &changed)?)
    }

    fn judge(&self) -> &dyn Judge {
        &*self.recipe
    }

    fn updates(&self) -> bool {
        !self.schema().capture.is_empty()
    }

    fn update(&self, response: &ResponseView<'_>, credential: &Credential) -> Update {
        let answer = Answer::of_view(response);
        let mut known = self.known().with_session(credential);
        for (name, takes) in &self.schema().capture {
            let mut places = takes.0.iter();
            if let Some(value) = places.find_map(|take| answer.take(take, &known, |_| None)) {
                known.set(name, &value);
            }
        }
        let changed = |name: &str| known.found(name).is_some();
        // A value that can't be carried is none.
        self.recipe.update(&known, &changed).unwrap_or_default()
    }

    fn secret_headers(&self) -> &[HeaderName] {
        &self.recipe.plan.secret_headers
    }

    fn logout_request(
        &self,
        credential: &Credential,
    ) -> Result<Option<Request<Bytes>>, LoginError> {
        let Some(logout) = &self.schema().logout else {
            return Ok(None);
        };
        self.later("logout.step", &logout.step, credential, true)
            .map(Some)
    }

    fn logged_out(&self, response: &Response<Bytes>, logout: Logout) -> Result<(), LoginError> {
        let Some(recipe) = &self.schema().logout else {
            return Ok(());
        };
        let (answer, step) = (Answer::of(response), &recipe.step);
        let is_over = recipe.over.iter().any(|clause| answer.matches(clause));
        // What the answer to the logout of a dead session is expected to say is no failure.
        if is_over || (logout.was_over && answer.status() == StatusCode::UNAUTHORIZED) {
            return Ok(());
        }
        let fails = step.failures.iter().any(|failure| answer.matches(failure));
        if fails || !step.ok.is_empty() {
            return check(step, &answer, response, response::failure);
        }
        // What is missing of the body may be what one of them looks for.
        let mut failures = step.failures.iter();
        let may_fail = failures.any(|failure| needs_body(failure) && answer.head_matches(failure));
        if may_fail && !response::is_whole(response) {
            return Err(LoginError::malformed(
                "the answer to the logout is not whole",
            ));
        }
        response::logged_out(response, self.judge(), logout.was_over)
    }

    fn logout_scope(&self) -> LogoutScope {
        match self.schema().logout.as_ref().map(|logout| logout.ends) {
            Some(Ends::Account) => LogoutScope::Account,
            _ => LogoutScope::ThisSession,
        }
    }

    fn probe_url(&self) -> Option<String> {
        let step = &self.schema().probe.as_ref()?.step;
        let known = self.known();
        let ask = Ask {
            account: &self.account,
            known: &known,
            session: None,
        };
        step.get.as_ref()?;
        ask.url(step).ok().map(|url| url.to_string())
    }
}

impl RecipeLogin {
    /// Adds what a step computes.
    fn compute(&self, at: &str, step: &Step, known: &mut Known<'_>) -> Result<(), LoginError> {
        for name in self.recipe.plan.computed.get(at).into_iter().flatten() {
            let Some(definition) = self.schema().compute(step, name) else {
                continue;
            };
            match compute(definition, known, &self.uuid) {
                Ok(value) => known.set(name, &value),
                // It is of an optional value.
                Err(ComputeError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The request of a step after the login.
    pub(super) fn later(
        &self,
        at: &str,
        step: &Step,
        current: &Credential,
        carries: bool,
    ) -> Result<Request<Bytes>, LoginError> {
        let known = self.known_later(at, step, current)?;
        let ask = Ask {
            account: &self.account,
            known: &known,
            session: step.session.unwrap_or(carries).then_some(current),
        };
        ask.request(step)
    }

    /// What a step after the login names.
    fn known_later<'a>(
        &'a self,
        at: &str,
        step: &Step,
        current: &'a Credential,
    ) -> Result<Known<'a>, LoginError> {
        let mut known = self.known().with_session(current);
        self.compute(at, step, &mut known)?;
        Ok(known)
    }

    /// The answer to a step after the login, with the host of the step's URL.
    fn answer_to<'a>(
        &self,
        (at, step): (&str, &Step),
        current: &Credential,
        response: &'a Response<Bytes>,
    ) -> Result<LaterAnswer<'a>, LoginError> {
        let known = self.known_later(at, step, current)?;
        let ask = Ask {
            account: &self.account,
            known: &known,
            session: None,
        };
        let sent_to = ask.url(step)?.parse().unwrap_or_default();
        Ok(LaterAnswer { response, sent_to })
    }

    /// The step that follows what is known after these answers, with that; or what is known in the
    /// end.
    fn follow<'a>(&'a self, answers: &Answers<'a>) -> Result<Follows<'a>, LoginError> {
        let schema = self.schema();
        let mut known = self.known().with_secret(&schema.secret, answers.secret());
        let mut rest = answers.all().iter();
        for (index, step) in schema.login.0.iter().enumerate() {
            let at = Schema::login_step(index);
            if step
                .when
                .as_ref()
                .is_some_and(|name| known.get(name).is_none())
            {
                continue;
            }
            self.compute(&at, step, &mut known)?;
            let Some(response) = rest.next() else {
                return Ok(Follows::Step(step, known));
            };
            let answer = Answer::of(response);
            check(step, &answer, response, response::failure)?;
            let cookie = |name: &CookieName| name.of_login(answers);
            take_all(&step.take, &answer, &mut known, cookie, |_| false)?;
        }
        Ok(Follows::Session(known))
    }

    /// What is known of a session after an answer to a later step.
    fn after<'a>(
        &'a self,
        takes: &BTreeMap<String, Takes>,
        answer: &LaterAnswer<'_>,
        current: &'a Credential,
    ) -> Result<Known<'a>, LoginError> {
        let mut known = self.known().with_session(current);
        let cookie = |name: &CookieName| name.of_answer(answer);
        let stays = |name: &str| current.kept(name).is_some();
        let read = Answer::of(answer.response);
        take_all(takes, &read, &mut known, cookie, stays)?;
        Ok(known)
    }

    /// A refresh has brought something of what requests carry, or states how long that is good from
    /// now on. Otherwise its answer is that of a failure, and what the session keeps is no new one.
    fn expect_brought(
        &self,
        takes: &BTreeMap<String, Takes>,
        known: &Known<'_>,
        (response, current): (&Response<Bytes>, &Credential),
    ) -> Result<(), LoginError> {
        let is_carried = |name: &&String| self.recipe.plan.carried.contains(*name);
        let mut carried = takes.keys().filter(is_carried).peekable();
        let mut cookies = set_cookies(response.headers());
        if carried.peek().is_none()
            || carried.any(|name| known.found(name).is_some())
            || self.schema().life.is_stated_in(response, known)
            || cookies.any(|cookie| cookie.has_value() && current.owns_cookie(&cookie.name))
        {
            return Ok(());
        }
        Err(LoginError::malformed(
            "a refresh that brings nothing of what requests carry",
        ))
    }

    /// The session's life and what it keeps.
    fn complete(
        &self,
        session: Session,
        known: &Known<'_>,
        responses: &[Response<Bytes>],
        cookie: impl Fn(&CookieName) -> Option<SetCookie>,
    ) -> Result<Session, LoginError> {
        let mut session = session.with_lifetime(self.schema().life.of(responses, known, cookie));
        for name in &self.recipe.plan.kept {
            let Some(value) = known.found(name) else {
                continue;
            };
            session = match known.life(name) {
                Some(life) => session.with_kept_for(name, value, life)?,
                None => session.with_kept(name, value)?,
            };
        }
        Ok(session)
    }
}

enum Follows<'a> {
    Step(&'a Step, Known<'a>),
    Session(Known<'a>),
}
