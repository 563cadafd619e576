//! What a session carries and keeps, by the values that were found.

use auth_core::{
    Credential, InvalidValue, LoginError, Part, Session, SetCookie, Update, When, set_cookies,
};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Response};
use zeroize::Zeroizing;

use super::Compiled;
use super::answer::Answer;
use super::ask::header;
use super::schema::{Basic, CookieName, Only, PartTemplate, Takes};
use super::template::{Missing, Place, Template};
use super::values::Known;
use crate::answers::Answers;

/// Where the cookies of a session come from.
pub(super) enum CookieSource<'a> {
    /// All answers of a login.
    Login(&'a Answers<'a>),
    /// The answer to a refresh, and before it the session.
    Refresh(&'a Response<Bytes>, &'a Credential),
}

impl CookieSource<'_> {
    fn matching(&self, name: &CookieName) -> Vec<SetCookie> {
        let is_meant = |cookie: &SetCookie| name.is_of(&cookie.name);
        match self {
            // Of namesakes, the one that most requests carry.
            Self::Login(answers) => match answers.cookie(name.as_str()) {
                Some(cookie) => vec![cookie],
                None => answers.cookies().into_iter().filter(is_meant).collect(),
            },
            Self::Refresh(answer, _) => set_cookies(answer.headers())
                .filter(|cookie| is_meant(cookie) && !cookie.deleted && !cookie.value.is_empty())
                .collect(),
        }
    }
}

impl Compiled {
    /// The session of these values and cookies, without its life.
    pub(super) fn session(
        &self,
        known: &Known<'_>,
        cookies: &CookieSource<'_>,
    ) -> Result<Session, LoginError> {
        let attach = &self.schema.attach;
        let mut session = Session::new();
        for (listed, is_needed) in [(&attach.cookies, true), (&attach.optional_cookies, false)] {
            for name in listed {
                session = with_cookies(session, name, is_needed, cookies)?;
            }
        }
        for (name, value) in &attach.cookie {
            session = session.with_cookie(name, &self.value(value, known)?)?;
        }
        if let Some(token) = &attach.bearer {
            if self.is_fetched(token, known) {
                return Err(LoginError::misconfigured(
                    "a bearer token can't be fetched later",
                ));
            }
            session = session.with_bearer(&self.value(token, known)?)?;
        }
        if let Some(Basic { user, password }) = &attach.basic {
            let (user, password) = (self.value(user, known)?, self.value(password, known)?);
            session = session.with_basic(&user, &password)?;
        }
        for (name, part) in &attach.header {
            let name = self.value(name, known)?;
            if let Some(part) = self.part(&part.0, known, &Kind::Header(&name))? {
                session = session.with_part(part)?;
            }
        }
        for (name, part) in &attach.query {
            if let Some(part) = self.part(&part.0, known, &Kind::Query(name))? {
                session = session.with_part(part)?;
            }
        }
        Ok(session)
    }

    fn part(
        &self,
        part: &PartTemplate,
        known: &Known<'_>,
        kind: &Kind<'_>,
    ) -> Result<Option<Part>, LoginError> {
        let made = match (&part.value, &part.cookie) {
            (_, Some(cookie)) => {
                let derived = match kind {
                    Kind::Header(name) => Part::header_from_cookie(*name, cookie),
                    Kind::Query(name) => Part::query_from_cookie(*name, cookie),
                };
                if part.percent_decoded {
                    derived.percent_decoded()
                } else {
                    derived
                }
            }
            (Some(value), None) if self.is_fetched(value, known) => return Ok(None),
            (Some(value), None) => match value.render(known, Place::Whole) {
                Ok(value) => match kind {
                    Kind::Header(name) => Part::header(*name, value.as_bytes()),
                    Kind::Query(name) => Part::query(*name, &*value),
                },
                // An optional value that is not there.
                Err(Missing(_)) => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        let mut when = match part.methods {
            Some(Only::Unsafe) => When::unsafe_methods(),
            None => When::any_method(),
        };
        for path in &part.below {
            when = when.below(path);
        }
        Ok(Some(made.when(when)))
    }

    /// Whether a value names something that only a repair takes, and that is not there yet.
    fn is_fetched(&self, value: &Template, known: &Known<'_>) -> bool {
        let mut names = value.names();
        names.any(|name| self.plan.fetched.contains(name) && known.get(name).is_none())
    }

    fn value(
        &self,
        template: &Template,
        known: &Known<'_>,
    ) -> Result<Zeroizing<String>, LoginError> {
        let value = template.render(known, Place::Whole);
        value.map_err(|Missing(name)| {
            LoginError::malformed(format!(
                "the answers have no value `{name}` for the session"
            ))
        })
    }

    /// The parts that change with these values, and what is kept of them.
    pub(super) fn update(
        &self,
        known: &Known<'_>,
        changed: &dyn Fn(&str) -> bool,
    ) -> Result<Update, InvalidValue> {
        let attach = &self.schema.attach;
        let mut update = Update::new();
        let names_changed = |template: &Template| template.names().any(changed);
        let value = |template: &Template| template.render(known, Place::Whole).ok();
        if let Some(token) = attach.bearer.as_ref().filter(|token| names_changed(token)) {
            if let Some(token) = value(token) {
                let text = Zeroizing::new([b"Bearer ", token.trim().as_bytes()].concat());
                if let Ok(value) = header(&text) {
                    update = update.with_header(AUTHORIZATION, value);
                }
            }
        }
        for (name, part) in &attach.header {
            let Some(template) = &part.0.value else {
                continue;
            };
            if !names_changed(name) && !names_changed(template) {
                continue;
            }
            if let (Some(name), Some(value)) = (value(name), value(template)) {
                if let Some((name, value)) = header_pair(&name, &value) {
                    update = update.with_header(name, value);
                }
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
        for name in self.plan.kept.iter().filter(|name| changed(name)) {
            if let Some(value) = known.found(name) {
                update = update.with_kept(name, value)?;
            }
        }
        Ok(update)
    }
}

enum Kind<'a> {
    Header(&'a str),
    Query(&'a str),
}

fn header_pair(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((
        HeaderName::try_from(name).ok()?,
        header(value.as_bytes()).ok()?,
    ))
}

fn with_cookies(
    mut session: Session,
    name: &CookieName,
    is_needed: bool,
    cookies: &CookieSource<'_>,
) -> Result<Session, LoginError> {
    let matching = cookies.matching(name);
    if let (true, CookieSource::Refresh(_, current)) = (matching.is_empty(), cookies) {
        return Ok(match current.cookie(name.as_str()) {
            Some(value) => session.with_cookie(name.as_str(), value)?,
            None => session,
        });
    }
    if matching.is_empty() && is_needed {
        return Err(LoginError::malformed(format!(
            "no {} cookie",
            name.as_str()
        )));
    }
    for cookie in &matching {
        session = if is_needed {
            session.with_set_cookie(cookie)?
        } else {
            session.with_optional_cookie(cookie)?
        };
    }
    Ok(session)
}

/// What the values of a step are, as an answer has them.
pub(super) fn take_all(
    takes: &std::collections::BTreeMap<String, Takes>,
    answer: &Answer<'_>,
    known: &mut Known<'_>,
    cookie: impl Fn(&str) -> Option<SetCookie>,
    is_replaceable: impl Fn(&str) -> bool,
) -> Result<(), LoginError> {
    // Claims are of what was taken, so they come last.
    let is_claim = |takes: &&Takes| takes.0.iter().any(|take| take.claim.is_some());
    let (claims, others): (Vec<_>, Vec<_>) = takes.iter().partition(|(_, takes)| is_claim(takes));
    for (name, takes) in others.into_iter().chain(claims) {
        let found = takes
            .0
            .iter()
            .find_map(|take| answer.take(take, known, &cookie));
        if let Some(value) = found {
            known.set(name, &value);
            continue;
        }
        let is_optional = takes.0.iter().any(|take| take.optional);
        if !is_optional && !is_replaceable(name) {
            let places: Vec<String> = takes.0.iter().map(super::schema::Take::describe).collect();
            return Err(LoginError::malformed(format!(
                "no {name} in the answer: {} was expected",
                places.join(" or ")
            )));
        }
    }
    Ok(())
}
