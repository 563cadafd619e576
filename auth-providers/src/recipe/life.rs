//! How long a session is good.

use std::time::Duration;

use auth_core::{Lifetime, SetCookie};
use bytes::Bytes;
use http::Response;

use super::answer::Answer;
use super::schema::{Life, Reads, Stated};
use super::values::Known;
use crate::jwt;
use crate::stated_life::is_plausible;

impl Life {
    /// The life that an answer states, and what is documented beside it.
    pub(super) fn of(
        &self,
        response: &Response<Bytes>,
        known: &Known<'_>,
        cookie: impl Fn(&str) -> Option<SetCookie>,
    ) -> Lifetime {
        let span = |span: &Option<super::schema::Span>| {
            span.as_ref()
                .and_then(|span| span.get(|name| known.get(name)))
        };
        let answer = Answer::of(response);
        let documented = span(&self.fixed).or_else(|| span(&self.default));
        let margin = span(&self.margin).unwrap_or_default();
        let stated = self.stated.iter().filter_map(|stated| {
            let life = read(stated, &answer, response, known, &cookie)?;
            let is_meant = documented.is_none_or(|documented| is_plausible(life, documented));
            let life = life.saturating_sub(margin);
            (is_meant && !life.is_zero()).then_some(life)
        });
        let stated = stated.min();
        let hard = match (stated, span(&self.fixed)) {
            (Some(stated), Some(fixed)) => Some(stated.min(fixed)),
            (stated, fixed) => stated.or(fixed).or_else(|| span(&self.default)),
        };
        let mut life = hard.map_or(Lifetime::unknown(), Lifetime::of);
        if let Some(idle) = span(&self.idle) {
            life = life.idle(idle);
        }
        if let Some(absolute) = span(&self.absolute) {
            life = life.absolute(absolute);
        }
        life
    }
}

fn read(
    stated: &Stated,
    answer: &Answer<'_>,
    response: &Response<Bytes>,
    known: &Known<'_>,
    cookie: impl Fn(&str) -> Option<SetCookie>,
) -> Option<Duration> {
    if let Some(name) = &stated.cookie {
        return cookie(name)?.expires_in;
    }
    if let Some(name) = &stated.jwt {
        return jwt::life(known.get(name)?, response);
    }
    answer.time(&Reads {
        json: stated.json.clone(),
        header: stated.header.clone(),
        text: stated.text.clone(),
        unit: stated.unit,
    })
}
