//! The answers of a server that behaves as a recipe says.

use std::time::{Duration, SystemTime};

use auth_core::{Judge as _, RequestHead, ResponseView, Verdict};
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use serde_json::Value;

use super::draft::{Draft, put};
use super::served::{At, KEPT_LIFE, Served};
use super::time;
use super::unserved::Unserved;
use crate::demo::wire::{jwt, whole_seconds};
use crate::recipe::schema::{self, Clause, Meaning, Reads, Take, Takes, Wait};

/// What an answer is made of beside the recipe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issue {
    /// The life of a session, and the inactivity that ends it.
    pub(crate) hard: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) now: SystemTime,
    /// Makes 32 hexadecimal digits.
    pub(crate) random: fn() -> String,
}

type Made = Result<Response<Bytes>, Unserved>;

impl Served {
    /// The answer to a step that succeeds, with new values.
    pub(crate) fn success(&self, at: At, issue: &Issue) -> Made {
        let step = self.need(at);
        let takes = match at {
            At::Refresh => self.schema().refresh_takes(),
            _ => &step.take,
        };
        let begins = at == At::Refresh || at == At::Login(self.logins() - 1);
        let make = |ok: Option<(usize, &Clause<_>)>| {
            let (name, mut draft) = (self.name(at), Draft::default());
            for (value, takes) in takes {
                let field = format!("{name}.take.{value}");
                self.put_value(&mut draft, &field, (value, takes), issue)?;
            }
            if begins {
                self.put_cookies(&mut draft, issue);
            }
            if let Some((index, clause)) = ok {
                draft.meet(&format!("{name}.ok[{index}]"), clause, issue.random)?;
            }
            if begins {
                self.state_lives(&mut draft, issue)?;
            }
            draft.build(&name, issue.now)
        };
        if step.ok.is_empty() {
            return make(None);
        }
        first_made(step.ok.iter().enumerate().map(|ok| make(Some(ok))))
            .unwrap_or_else(|| make(None))
    }

    /// The answer to a wrong password, or to a refresh token that is not good.
    pub(crate) fn refusal(&self, at: At, issue: &Issue) -> Made {
        let made = self.failure(at, Meaning::Refused, None, issue);
        made.unwrap_or_else(|| plain(StatusCode::UNAUTHORIZED, issue))
    }

    /// The answer to a login beyond the limit.
    pub(crate) fn limited(&self, at: At, wait: Duration, issue: &Issue) -> Made {
        let made = self.failure(at, Meaning::Limited, Some(wait), issue);
        let mut answer = made.unwrap_or_else(|| plain(StatusCode::TOO_MANY_REQUESTS, issue))?;
        let wait = whole_seconds(wait).into();
        answer.headers_mut().insert(RETRY_AFTER, wait);
        Ok(answer)
    }

    fn failure(
        &self,
        at: At,
        means: Meaning,
        wait: Option<Duration>,
        issue: &Issue,
    ) -> Option<Made> {
        let failures = self.need(at).failures.iter().enumerate();
        let clauses = failures.filter(|(_, clause)| clause.means == Some(means));
        first_made(clauses.map(|(index, clause)| {
            let mut draft = Draft::default();
            let field = format!("{}.failures[{index}]", self.name(at));
            draft.meet(&field, clause, issue.random)?;
            if let (Some(Wait::Read(reads)), Some(wait)) = (&clause.wait, wait) {
                state(&mut draft, &format!("{field}.wait"), reads, wait, issue)?;
            }
            draft.build(&field, issue.now)
        }))
    }

    /// The answer to a request of the API whose session is dead.
    pub(crate) fn rejection(&self, head: &RequestHead, issue: &Issue) -> Made {
        let made = self.verdict(schema::Verdict::Rejected, Verdict::Rejected, head, issue);
        made.unwrap_or_else(|| plain(StatusCode::UNAUTHORIZED, issue))
    }

    /// The answer to a request that lacks what a repair fetches. `None` if the recipe has none.
    pub(crate) fn asks_repair(&self, head: &RequestHead, issue: &Issue) -> Option<Made> {
        self.verdict(schema::Verdict::Repair, Verdict::NeedsRepair, head, issue)
    }

    /// The answer to a request of the API with a live session.
    pub(crate) fn accepted(&self, head: &RequestHead, body: &Value, issue: &Issue) -> Made {
        let mut draft = Draft::default();
        draft.json("verdicts", "", body.clone())?;
        let answer = draft.build("verdicts", issue.now)?;
        if self.judged(&answer, head) == Verdict::Accepted {
            return Ok(answer);
        }
        let made = self.verdict(schema::Verdict::Accepted, Verdict::Accepted, head, issue);
        made.unwrap_or_else(|| {
            let problem = "no answer is made that is accepted";
            Err(Unserved::new("verdicts", problem))
        })
    }

    /// The answer to the logout of a session that is over.
    pub(crate) fn over(&self, head: &RequestHead, issue: &Issue) -> Made {
        let over = self.schema().logout.iter().flat_map(|logout| &logout.over);
        let made = first_made(over.enumerate().map(|(index, clause)| {
            let (field, mut draft) = (format!("logout.over[{index}]"), Draft::default());
            draft.meet(&field, clause, issue.random)?;
            draft.build(&field, issue.now)
        }));
        made.unwrap_or_else(|| self.rejection(head, issue))
    }

    /// Of the verdicts that mean this, the first that such an answer is made for, to this request.
    fn verdict(
        &self,
        means: schema::Verdict,
        read_as: Verdict,
        head: &RequestHead,
        issue: &Issue,
    ) -> Option<Made> {
        let verdicts = self.schema().verdicts.iter().enumerate();
        let clauses = verdicts.filter(|(_, clause)| clause.means == Some(means));
        let made = clauses.filter_map(|(index, clause)| {
            let (field, mut draft) = (format!("verdicts[{index}]"), Draft::default());
            let met = draft.meet(&field, clause, issue.random);
            match met.and_then(|()| draft.build(&field, issue.now)) {
                // It is of other requests.
                Ok(answer) if self.judged(&answer, head) != read_as => None,
                made => Some(made),
            }
        });
        first_made(made)
    }

    fn judged(&self, answer: &Response<Bytes>, head: &RequestHead) -> Verdict {
        let view = ResponseView::new(answer.status(), answer.headers());
        let view = view.with_body(answer.body()).to_request(head);
        self.recipe.judge(&view)
    }

    /// Puts a value at the first of its places where one can be made.
    fn put_value(
        &self,
        draft: &mut Draft,
        field: &str,
        (name, takes): (&str, &Takes),
        issue: &Issue,
    ) -> Result<(), Unserved> {
        let is_optional = takes.0.iter().any(|take| take.optional);
        let mut steps = self.schema().login.0.iter();
        // A server that asks for nothing more.
        if is_optional && steps.any(|step| step.when.as_deref() == Some(name)) {
            return Ok(());
        }
        let mut failed = None;
        for take in &takes.0 {
            match self.put_at(draft, field, name, take, issue) {
                Ok(()) => return Ok(()),
                Err(unserved) => failed = failed.or(Some(unserved)),
            }
        }
        match failed {
            Some(unserved) if !is_optional => Err(unserved),
            _ => Ok(()),
        }
    }

    fn put_at(
        &self,
        draft: &mut Draft,
        field: &str,
        name: &str,
        take: &Take,
        issue: &Issue,
    ) -> Result<(), Unserved> {
        if take.text.is_some() || take.pattern.is_some() {
            return Err(Unserved::pattern(field));
        }
        let value = || self.value(name, issue);
        if let Some(pointer) = &take.json {
            draft.json(field, pointer.as_str(), value().into())?;
        } else if let Some(name) = &take.header {
            draft.header(name.get(), &value());
        } else if let Some(name) = &take.cookie {
            draft.cookie(name, value);
        } else if let Some(name) = &take.field {
            draft.field(name, value());
        } else if let Some(name) = &take.xml {
            draft.element(name, value());
        }
        // A claim is in its token.
        match &take.life {
            Some(Wait::Read(reads)) => {
                state(draft, &format!("{field}.life"), reads, KEPT_LIFE, issue)
            }
            _ => Ok(()),
        }
    }

    fn value(&self, name: &str, issue: &Issue) -> String {
        let random = (issue.random)();
        if let Some(pointers) = self.tokens.get(name) {
            let since_1970 = issue.now.duration_since(SystemTime::UNIX_EPOCH);
            let now = since_1970.unwrap_or_default().as_secs();
            let mut claims = serde_json::json!({ "jti": random, "iat": now });
            if let Some(life) = issue.hard {
                claims["exp"] = (now + whole_seconds(life)).into();
            }
            for pointer in pointers {
                // Of a claim that has two places, the first is made.
                let _ = put(&mut claims, pointer, (issue.random)().into());
            }
            return jwt(&claims, &random);
        }
        if self.urls.contains(name) {
            return format!("/{random}");
        }
        random
    }

    /// Sets the cookies that a session needs, and those that it can do without.
    fn put_cookies(&self, draft: &mut Draft, issue: &Issue) {
        let attach = &self.schema().attach;
        for name in attach.cookies.iter().chain(&attach.optional_cookies) {
            draft.cookie(name, issue.random);
        }
        if attach.all_cookies && attach.cookies.is_empty() {
            draft.any_cookie(issue.random);
        }
    }

    /// States the lives of a session, each in the places that one can be stated in.
    fn state_lives(&self, draft: &mut Draft, issue: &Issue) -> Result<(), Unserved> {
        let life = &self.schema().life;
        for (key, places, span) in [
            ("stated", &life.stated, issue.hard),
            ("idle_stated", &life.idle_stated, issue.idle),
        ] {
            let Some(span) = span else { continue };
            let (mut stated, mut failed) = (false, None);
            for (index, place) in places.iter().enumerate() {
                let reads = Reads {
                    json: place.json.clone(),
                    header: place.header.clone(),
                    text: place.text.clone(),
                    unit: place.unit,
                };
                let field = format!("life.{key}[{index}]");
                let made = match (&place.cookie, &place.jwt) {
                    (Some(name), _) => {
                        draft.cookie_life(name, whole_seconds(span));
                        Ok(())
                    }
                    (None, Some(_)) => Ok(()),
                    (None, None) => state(draft, &field, &reads, span, issue),
                };
                stated |= made.is_ok();
                failed = failed.or(made.err());
            }
            if let (false, Some(unserved)) = (stated, failed) {
                return Err(unserved);
            }
        }
        Ok(())
    }
}

/// States a time where it is read.
fn state(
    draft: &mut Draft,
    field: &str,
    reads: &Reads,
    life: Duration,
    issue: &Issue,
) -> Result<(), Unserved> {
    let value = time::stated(life, reads.unit, issue.now);
    if let Some(pointer) = &reads.json {
        return draft.json(field, pointer.as_str(), value);
    }
    let Some(name) = &reads.header else {
        return Err(Unserved::pattern(field));
    };
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    draft.header(name.get(), &text);
    Ok(())
}

/// The first that could be made, or else why the first could not. `None` if there is none at all.
fn first_made(all: impl Iterator<Item = Made>) -> Option<Made> {
    let mut failed = None;
    for made in all {
        match made {
            Ok(answer) => return Some(Ok(answer)),
            Err(unserved) => failed = failed.or(Some(unserved)),
        }
    }
    failed.map(Err)
}

/// An answer that says no more than its status.
fn plain(status: StatusCode, issue: &Issue) -> Made {
    let mut draft = Draft::default();
    draft.status = Some(status);
    draft.build("", issue.now)
}
