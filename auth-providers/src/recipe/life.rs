//! How long a session is good.

use std::time::Duration;

use auth_core::{Lifetime, SetCookie};
use bytes::Bytes;
use http::Response;

use super::answer::Answer;
use super::schema::{CookieName, Life, Reads, Span, Stated};
use super::values::Known;
use crate::jwt;
use crate::stated_life::is_plausible;

impl Life {
    /// The life that these answers state, and what is documented beside it.
    pub(super) fn of(
        &self,
        responses: &[Response<Bytes>],
        known: &Known<'_>,
        cookie: impl Fn(&CookieName) -> Option<SetCookie>,
    ) -> Lifetime {
        let margin = span(self.margin.as_ref(), known).unwrap_or_default();
        let earliest = |places: &[Stated], documented: Option<Duration>| {
            let stated = places.iter().filter_map(|stated| {
                // Of several answers, the last that states it.
                let mut newest = responses.iter().rev();
                let life = newest.find_map(|response| read(stated, response, known, &cookie))?;
                let is_meant = documented.is_none_or(|documented| is_plausible(life, documented));
                // What is no longer than the margin is good for as long as it says.
                let left = life.checked_sub(margin).filter(|left| !left.is_zero());
                (is_meant && !life.is_zero()).then(|| left.unwrap_or(life))
            });
            stated.min()
        };
        let fixed = span(self.fixed.as_ref(), known);
        let default = span(self.default.as_ref(), known);
        let stated = earliest(&self.stated, fixed.or(default)).or(default);
        let hard = [stated, fixed].into_iter().flatten().min();
        let idle = span(self.idle.as_ref(), known);
        let idle = earliest(&self.idle_stated, idle).or(idle);
        let absolute = span(self.absolute.as_ref(), known);
        let life = hard.map_or(Lifetime::unknown(), Lifetime::of);
        let life = idle.map_or(life, |idle| life.idle(idle));
        absolute.map_or(life, |absolute| life.absolute(absolute))
    }

    /// Whether an answer itself states a life, beside the values that it brings.
    pub(super) fn is_stated_in(&self, response: &Response<Bytes>, known: &Known<'_>) -> bool {
        let mut places = (self.stated.iter()).filter(|place| place.jwt.is_none());
        places.any(|place| {
            let life = read(place, response, known, |_| None);
            life.is_some_and(|life| !life.is_zero())
        })
    }

    /// The cookie without a life that can't be meant, beside the one that is documented.
    pub(super) fn plausible(&self, mut cookie: SetCookie, known: &Known<'_>) -> SetCookie {
        let documented = [&self.fixed, &self.default, &self.idle];
        let documented = documented
            .into_iter()
            .find_map(|life| span(life.as_ref(), known));
        if let Some(documented) = documented {
            cookie.expires_in = cookie
                .expires_in
                .filter(|life| is_plausible(*life, documented));
        }
        cookie
    }
}

fn span(span: Option<&Span>, known: &Known<'_>) -> Option<Duration> {
    span?.get(|name| known.get(name))
}

fn read(
    stated: &Stated,
    response: &Response<Bytes>,
    known: &Known<'_>,
    cookie: impl Fn(&CookieName) -> Option<SetCookie>,
) -> Option<Duration> {
    if let Some(name) = &stated.cookie {
        return cookie(name)?.expires_in;
    }
    if let Some(name) = &stated.jwt {
        return jwt::life(known.get(name)?, response);
    }
    Answer::of(response).time(&Reads {
        json: stated.json.clone(),
        header: stated.header.clone(),
        text: stated.text.clone(),
        unit: stated.unit,
    })
}
