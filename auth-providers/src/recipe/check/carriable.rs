//! What is attached can be carried. Otherwise no session could be made of it, and that would show
//! after the secret was sent.

use std::collections::BTreeSet;

use auth_core::{InvalidValue, Session};
use http::Uri;
use zeroize::Zeroizing;

use super::{Check, Checked, fail, origin_of};
use crate::recipe::ask::{bearer, header};
use crate::recipe::carry::{Kind, part_of};
use crate::recipe::error::RecipeError;
use crate::recipe::schema::{Attached, Basic, Step};
use crate::recipe::template::{Place, Template};
use crate::recipe::values::Known;

/// What each name stands for here.
const STAND_IN: &str = "x";

impl Check<'_> {
    /// What is attached can be carried where its values can.
    pub(super) fn carriable(&self) -> Checked {
        let attach = &self.schema.attach;
        if let Some(token) = &attach.bearer {
            let at = "attach.bearer";
            bearer_word(at, token)?;
            taken(at, Session::new().with_bearer(&filled(token)))?;
        }
        if let Some(Basic { user, password }) = &attach.basic {
            let session = Session::new().with_basic(&filled(user), &filled(password));
            taken("attach.basic", session)?;
        }
        for (name, value) in &attach.cookie {
            let session = Session::new().with_cookie(name, &filled(value));
            taken(&format!("attach.cookie.{name}"), session)?;
        }
        for (name, part) in &attach.header {
            let at = format!("attach.header.{}", name.source());
            carries(&at, part, &Kind::Header(&filled(name)))?;
        }
        for (name, part) in &attach.query {
            carries(&format!("attach.query.{name}"), part, &Kind::Query(name))?;
        }
        for (name, part) in &attach.form {
            carries(&format!("attach.form.{name}"), part, &Kind::Form(name))?;
        }
        for (pointer, part) in &attach.body {
            let at = format!("attach.body.{}", pointer.as_str());
            carries(&at, part, &Kind::Json(pointer.as_str()))?;
            let is_below = |other: &str| {
                let behind = pointer.as_str().strip_prefix(other);
                behind.is_some_and(|behind| behind.starts_with('/'))
            };
            let everywhere = |part: &Attached| part.0.below.is_empty();
            let mut others = attach.body.iter();
            if others.any(|(other, its)| everywhere(its) && is_below(other.as_str())) {
                return fail(at, "it is below another field, which is a text");
            }
        }
        Ok(())
    }
}

/// The URL and the headers of a step can be sent where their values can.
pub(super) fn sendable(at: &str, step: &Step) -> Checked {
    for url in step.urls().filter(|url| url.template.url_name().is_none()) {
        let filled = filled(url.template);
        let path = filled.strip_prefix(origin_of(&filled)).unwrap_or_default();
        let path = if filled.starts_with('/') {
            &*filled
        } else {
            path
        };
        if !path.is_empty() && Uri::try_from(path).is_err() {
            let problem = "what can't stand in a URL is written in hex, as %20 for white space";
            return fail(format!("{at}.{}", url.key), problem);
        }
    }
    if let Some(token) = &step.bearer {
        let at = format!("{at}.bearer");
        bearer_word(&at, token)?;
        if bearer(&filled(token)).is_err() {
            return fail(at, "the token can't stand in a header");
        }
    }
    if let Some(Basic { user, password }) = &step.basic {
        let session = Session::new().with_basic(&filled(user), &filled(password));
        taken(&format!("{at}.basic"), session)?;
    }
    let kind = step.content_type.as_deref().unwrap_or("none");
    if kind.trim().is_empty() || header(kind.as_bytes()).is_err() {
        let at = format!("{at}.content_type");
        return fail(at, "the type of a body can't stand in a header");
    }
    for (name, value) in &step.header {
        if header(filled(value).as_bytes()).is_err() {
            let at = format!("{at}.header.{}", name.get());
            return fail(at, "the header's value can't stand in a header");
        }
    }
    Ok(())
}

fn carries(at: &str, part: &Attached, kind: &Kind<'_>) -> Checked {
    let known = stand_ins(part.0.value.iter().chain(&part.0.cookie));
    let part = part_of(&part.0, &known, kind, &BTreeSet::new());
    part.map_or(Ok(()), |part| taken(at, Session::new().with_part(part)))
}

fn taken(at: &str, session: Result<Session, InvalidValue>) -> Checked {
    let taken = session.map(drop);
    taken.map_err(|error| RecipeError::new(at, error.to_string()))
}

fn bearer_word(at: &str, token: &Template) -> Checked {
    let word = token.beginning().trim_start().get(.."Bearer ".len());
    if word.is_some_and(|word| word.eq_ignore_ascii_case("Bearer ")) {
        return fail(at, "`bearer` writes that word itself; name the token alone");
    }
    Ok(())
}

fn filled(template: &Template) -> Zeroizing<String> {
    let known = stand_ins([template]);
    template.render(&known, Place::Whole).unwrap_or_default()
}

fn stand_ins<'a>(templates: impl IntoIterator<Item = &'a Template>) -> Known<'static> {
    let mut known = Known::default();
    for name in templates.into_iter().flat_map(Template::names) {
        known.set(name, STAND_IN);
    }
    known
}
