//! What a session carries and keeps, by the values that were found.

use std::collections::BTreeSet;

use auth_core::{
    Credential, InvalidValue, LoginError, Part, Session, SetCookie, Target, Update, When,
    set_cookies,
};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Response, Uri};
use zeroize::Zeroizing;

use super::Compiled;
use super::answer::Answer;
use super::ask::{bearer, header};
use super::check::is_reserved;
use super::compute::compute;
use super::schema::{Basic, CookieName, Only, PartTemplate, Takes};
use super::template::{Missing, Place, Template};
use super::values::Known;
use crate::answers::Answers;

/// Where the cookies of a session come from.
pub(super) enum CookieSource<'a> {
    /// All answers of a login.
    Login(&'a Answers<'a>),
    /// The answer to a refresh, of which the cookies that the session does not have yet. It
    /// continues those that it has.
    Refresh(&'a LaterAnswer<'a>, &'a Credential),
}

/// The answer to a step after the login.
pub(super) struct LaterAnswer<'a> {
    pub(super) response: &'a Response<Bytes>,
    /// Where the request was sent.
    pub(super) sent_to: Uri,
}

impl CookieSource<'_> {
    fn matching(&self, name: &CookieName) -> Vec<SetCookie> {
        match self {
            // Of namesakes, the one that most requests carry.
            Self::Login(answers) => {
                if let Some(cookie) = answers.cookie(name.as_str()) {
                    return vec![cookie];
                }
                let all = answers.cookies().into_iter();
                all.filter(|cookie| name.is_of(&cookie.name)).collect()
            }
            Self::Refresh(answer, current) => {
                let is_new = |cookie: &SetCookie| !current.owns_cookie(&cookie.name);
                name.all_of_answer(answer).filter(is_new).collect()
            }
        }
    }
}

impl CookieSource<'_> {
    /// The namesakes of the session's cookie that the login has set for some paths alone. A user
    /// agent sends them there, before it, and the server may read the first one.
    fn narrower(&self, name: &CookieName, of: &SetCookie) -> Vec<SetCookie> {
        let Self::Login(answers) = self else {
            return Vec::new();
        };
        let is_narrower = |cookie: &SetCookie| {
            let path = cookie.path.as_deref().filter(|path| *path != "/");
            cookie.name == name.as_str()
                && path.is_some_and(|path| of.path.as_deref() != Some(path))
        };
        answers.cookies().into_iter().filter(is_narrower).collect()
    }
}

impl CookieName {
    /// The first one that the answers of a login have set.
    pub(super) fn of_login(&self, answers: &Answers<'_>) -> Option<SetCookie> {
        CookieSource::Login(answers)
            .matching(self)
            .into_iter()
            .next()
    }

    /// The first one that an answer sets.
    pub(super) fn of_answer(&self, answer: &LaterAnswer<'_>) -> Option<SetCookie> {
        self.all_of_answer(answer).next()
    }

    fn all_of_answer(&self, answer: &LaterAnswer<'_>) -> impl Iterator<Item = SetCookie> {
        let is_set = |cookie: &SetCookie| {
            let sent_to = Target::of(&answer.sent_to);
            self.is_of(&cookie.name) && cookie.has_value() && cookie.is_taken_from(sent_to)
        };
        set_cookies(answer.response.headers()).filter(is_set)
    }
}

impl Compiled {
    /// The session of these values and cookies, without its life.
    pub(super) fn session(
        &self,
        known: &Known<'_>,
        cookies: &CookieSource<'_>,
    ) -> Result<Session, LoginError> {
        let (attach, fetched) = (&self.schema.attach, &self.plan.fetched);
        let known = &self.with_computed(known);
        let mut session = Session::new();
        for (listed, is_needed) in [(&attach.cookies, true), (&attach.optional_cookies, false)] {
            for name in listed {
                session = self.with_cookies(session, name, is_needed, (known, cookies))?;
            }
        }
        for (name, value) in &attach.cookie {
            session = session.with_cookie(name, &value_of(value, known)?)?;
        }
        if let Some(token) = &attach.bearer {
            session = session.with_bearer(&value_of(token, known)?)?;
        }
        if let Some(Basic { user, password }) = &attach.basic {
            let (user, password) = (value_of(user, known)?, value_of(password, known)?);
            session = session.with_basic(&user, &password)?;
        }
        for (template, part) in &attach.header {
            let name = value_of(template, known)?;
            made_name(template, &name)?;
            if let Some(part) = part_of(&part.0, known, &Kind::Header(&name), fetched) {
                session = session.with_part(part)?;
            }
        }
        for (name, part) in &attach.query {
            if let Some(part) = part_of(&part.0, known, &Kind::Query(name), fetched) {
                session = session.with_part(part)?;
            }
        }
        let body = attach.body.iter();
        let body = body.map(|(pointer, part)| (Kind::Json(pointer.as_str()), part));
        let form = (attach.form.iter()).map(|(name, part)| (Kind::Form(name), part));
        for (kind, part) in body.chain(form) {
            if let Some(part) = part_of(&part.0, known, &kind, fetched) {
                session = session.with_part(part)?;
            }
        }
        Ok(session)
    }

    fn with_cookies(
        &self,
        mut session: Session,
        name: &CookieName,
        is_needed: bool,
        (known, cookies): (&Known<'_>, &CookieSource<'_>),
    ) -> Result<Session, LoginError> {
        let matching = cookies.matching(name);
        if let CookieSource::Login(answers) = cookies
            && matching.is_empty()
            && is_needed
        {
            let why = if answers.has_insecure(|set| name.is_of(set)) {
                " that plain HTTP may carry: it is `Secure`"
            } else {
                ""
            };
            let name = name.as_str();
            return Err(LoginError::malformed(format!("no {name} cookie{why}")));
        }
        for cookie in matching {
            let cookie = self.schema.life.plausible(cookie, known);
            session = if is_needed {
                session.with_set_cookie(&cookie)?
            } else {
                session.with_optional_cookie(&cookie)?
            };
            for namesake in cookies.narrower(name, &cookie) {
                // One that can't be carried is none that the session needs.
                let with_namesake = session.clone().with_optional_cookie(&namesake);
                session = with_namesake.unwrap_or(session);
            }
        }
        Ok(session)
    }

    /// What is known, with what is computed from it for what is attached.
    fn with_computed<'a>(&self, known: &Known<'a>) -> Known<'a> {
        let mut known = known.clone();
        for name in self.plan.computed.get("attach").into_iter().flatten() {
            // Otherwise it is of a value that is not there, or not yet.
            if let Ok(value) = compute(&self.schema.attach.compute[name], &known, "") {
                known.set(name, &value);
            }
        }
        known
    }

    /// The parts that change with these values, and what is kept of them.
    pub(super) fn update(
        &self,
        known: &Known<'_>,
        changed: &dyn Fn(&str) -> bool,
    ) -> Result<Update, InvalidValue> {
        let attach = &self.schema.attach;
        let known = &self.with_computed(known);
        let mut update = Update::new();
        let names_changed = |template: &Template| {
            let mut roots = template.names().flat_map(|name| attach.roots(name));
            roots.any(changed)
        };
        let value = |template: &Template| template.render(known, Place::Whole).ok();
        let token = attach.bearer.as_ref().filter(|token| names_changed(token));
        if let Some(token) = token.and_then(value)
            && let Ok(value) = bearer(&token)
        {
            update = update.with_header(AUTHORIZATION, value);
        }
        for (name, part) in &attach.header {
            let Some(template) = &part.0.value else {
                continue;
            };
            // A name stays.
            if !names_changed(template) {
                continue;
            }
            if let (Some(name), Some(value)) = (value(name), value(template))
                && let Some((name, value)) = header_pair(&name, &value)
            {
                update = update.with_header(name, value);
            }
        }
        for (name, part) in &attach.query {
            let template = part
                .0
                .value
                .as_ref()
                .filter(|template| names_changed(template));
            if let Some(value) = template.and_then(value) {
                update = update.with_query(name, &value)?;
            }
        }
        let changed_value = |part: &PartTemplate| {
            let template = part.value.as_ref();
            template.filter(|it| names_changed(it)).and_then(value)
        };
        for (pointer, part) in &attach.body {
            if let Some(value) = changed_value(&part.0) {
                update = update.with_json_field(pointer.as_str(), &value)?;
            }
        }
        for (name, part) in &attach.form {
            if let Some(value) = changed_value(&part.0) {
                update = update.with_form_field(name, &value)?;
            }
        }
        for name in self.plan.kept.iter().filter(|name| changed(name)) {
            if let Some(value) = known.found(name) {
                update = update.with_kept(name, value)?;
            }
        }
        Ok(update)
    }
}

pub(super) enum Kind<'a> {
    Header(&'a str),
    Query(&'a str),
    Json(&'a str),
    Form(&'a str),
}

/// A part of the session. `None` if it is of an optional value that is not there.
pub(super) fn part_of(
    part: &PartTemplate,
    known: &Known<'_>,
    kind: &Kind<'_>,
    fetched: &BTreeSet<String>,
) -> Option<Part> {
    let made = match (&part.value, &part.cookie) {
        (Some(value), _) => match (value.render(known, Place::Whole), kind) {
            (Ok(value), Kind::Header(name)) => Part::header(*name, value.as_bytes()),
            (Ok(value), Kind::Query(name)) => Part::query(*name, &*value),
            (Ok(value), Kind::Json(pointer)) => Part::json_field(*pointer, &*value),
            (Ok(value), Kind::Form(name)) => Part::form_field(*name, &*value),
            // Only a repair takes it.
            (Err(_), kind) if is_fetched(value, known, fetched) => match kind {
                Kind::Header(name) => Part::fetched_header(*name),
                Kind::Query(name) => Part::fetched_query(*name),
                Kind::Json(pointer) => Part::fetched_json_field(*pointer),
                Kind::Form(name) => Part::fetched_form_field(*name),
            },
            (Err(Missing(_)), _) => return None,
        },
        (None, cookie) => {
            let cookie = cookie.as_ref()?.render(known, Place::Whole).ok()?;
            let derived = match kind {
                Kind::Header(name) => Part::header_from_cookie(*name, &*cookie),
                Kind::Query(name) => Part::query_from_cookie(*name, &*cookie),
                Kind::Json(pointer) => Part::json_field_from_cookie(*pointer, &*cookie),
                Kind::Form(name) => Part::form_field_from_cookie(*name, &*cookie),
            };
            if part.percent_decoded {
                derived.percent_decoded()
            } else {
                derived
            }
        }
    };
    let when = match part.methods {
        Some(Only::Unsafe) => When::unsafe_methods(),
        None => When::any_method(),
    };
    Some(made.when(part.below.iter().fold(when, When::below)))
}

/// Whether all that a value names and that is not there is what only a repair takes.
fn is_fetched(value: &Template, known: &Known<'_>, fetched: &BTreeSet<String>) -> bool {
    let mut missing = value.names().filter(|name| known.get(name).is_none());
    missing.all(|name| fetched.contains(name))
}

fn value_of(template: &Template, known: &Known<'_>) -> Result<Zeroizing<String>, LoginError> {
    let value = template.render(known, Place::Whole);
    value.map_err(|Missing(name)| {
        LoginError::malformed(format!(
            "the answers have no value `{name}` for the session"
        ))
    })
}

/// The name of a header that was made of values, unless the client or another field writes it.
fn made_name(template: &Template, name: &str) -> Result<(), LoginError> {
    let is_made = template.names().next().is_some();
    if is_made && (is_reserved(name) || name.eq_ignore_ascii_case("authorization")) {
        return Err(LoginError::malformed(
            "an answer names a header that is none of the API's own",
        ));
    }
    Ok(())
}

fn header_pair(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((
        HeaderName::try_from(name).ok()?,
        header(value.as_bytes()).ok()?,
    ))
}

/// What the values of a step are, as an answer has them.
pub(super) fn take_all(
    takes: &std::collections::BTreeMap<String, Takes>,
    answer: &Answer<'_>,
    known: &mut Known<'_>,
    cookie: impl Fn(&CookieName) -> Option<SetCookie>,
    is_replaceable: impl Fn(&str) -> bool,
) -> Result<(), LoginError> {
    // Claims are of what was taken, so they come last.
    let is_claim = |takes: &&Takes| takes.0.iter().any(|take| take.claim.is_some());
    let (claims, others): (Vec<_>, Vec<_>) = takes.iter().partition(|(_, takes)| is_claim(takes));
    for (name, takes) in others.into_iter().chain(claims) {
        let found = takes.0.iter().find_map(|take| {
            let value = answer.take(take, known, &cookie)?;
            // Zero states nothing: some servers mean that it does not end.
            let life = take.life.as_ref().and_then(|life| answer.wait(life));
            let life = life.filter(|life| !life.is_zero());
            Some((value, life))
        });
        if let Some((value, life)) = found {
            known.set_for(name, &value, life);
            continue;
        }
        let is_optional = takes.0.iter().any(|take| take.optional);
        if !is_optional && !is_replaceable(name) {
            let places: Vec<String> = takes.0.iter().map(super::schema::Take::describe).collect();
            return Err(LoginError::malformed(format!(
                "{name} is missing or empty in the answer: {} was expected",
                places.join(" or ")
            )));
        }
    }
    Ok(())
}
