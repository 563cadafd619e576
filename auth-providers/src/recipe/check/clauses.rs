//! Clauses, and where times are stated.

use std::collections::BTreeSet;

use super::{Check, Checked, fail};
use crate::recipe::schema::{Clause, Reads, Span, Stated, Statuses, Wait, read_span};

impl Check<'_> {
    pub(super) fn life(&self) -> Checked {
        let life = &self.schema.life;
        if life.fixed.is_some() && life.default.is_some() {
            return fail(
                "life.default",
                "`fixed` holds whatever a response states, and `default` only where it states \
                 nothing; write one of them",
            );
        }
        if life.default.is_some() && life.stated.is_empty() {
            return fail("life.default", "nothing is stated otherwise; write `fixed`");
        }
        for (key, span) in [
            ("fixed", &life.fixed),
            ("default", &life.default),
            ("idle", &life.idle),
            ("absolute", &life.absolute),
            ("margin", &life.margin),
        ] {
            let Some(name) = span.as_ref().and_then(|span| span.field()) else {
                continue;
            };
            let at = format!("life.{key}");
            if !self.schema.has_field(name) || self.schema.is_secret(name) {
                return fail(
                    at,
                    format!("`{name}` is no field that could hold a span of time"),
                );
            }
            let default = self.schema.fields.get(name);
            let default = default.and_then(|field| field.default.as_deref());
            if default.is_some_and(|default| read_span(default).is_none()) {
                let problem = "it is no span of time, as 30s, 15m, 2h or 7d";
                return fail(format!("fields.{name}.default"), problem);
            }
        }
        let span = |span: &Option<Span>| span.as_ref().and_then(|span| span.get(|_| None));
        if let (Some(margin), Some(fixed)) = (span(&life.margin), span(&life.fixed))
            && margin >= fixed
        {
            return fail("life.margin", "it leaves nothing of the life");
        }
        for (key, places) in [("stated", &life.stated), ("idle_stated", &life.idle_stated)] {
            for (index, stated) in places.iter().enumerate() {
                check_stated(&format!("life.{key}[{index}]"), stated, &self.taken)?;
            }
        }
        Ok(())
    }
}

pub(super) fn check_clause<M>(at: &str, clause: &Clause<M>, may_wait: bool) -> Checked {
    if clause.method.is_some() || clause.path.is_some() {
        return fail(
            at,
            "`method` and `path` are for verdicts; a step knows its request",
        );
    }
    match &clause.wait {
        Some(_) if !may_wait => return fail(format!("{at}.wait"), "only a failure is waited for"),
        Some(Wait::Read(reads)) => check_reads(&format!("{at}.wait"), Some(reads))?,
        Some(Wait::Fixed(span)) if span.field().is_some() => {
            return fail(
                format!("{at}.wait"),
                "a wait is documented, so it is no field",
            );
        }
        _ => {}
    }
    check_conditions(at, clause)
}

/// No clause stands behind one that takes all of its answers.
pub(super) fn check_order<M: PartialEq>(at: &str, clauses: &[Clause<M>]) -> Checked {
    for (index, clause) in clauses.iter().enumerate() {
        let Some(statuses) = &clause.status else {
            continue;
        };
        let takes_all = |earlier: &&Clause<M>| {
            let all = earlier.status.as_ref();
            is_by_status_alone(earlier) && all.is_some_and(|all| all.contain_all(statuses))
        };
        let earlier = clauses[..index].iter().find(takes_all);
        if earlier.is_some_and(|earlier| earlier.means != clause.means) {
            let problem =
                "a clause above takes all of these answers; the first that matches counts";
            return fail(format!("{at}[{index}]"), problem);
        }
    }
    Ok(())
}

fn is_by_status_alone<M>(clause: &Clause<M>) -> bool {
    let others = other_conditions(clause);
    clause.status.is_some() && !others.contains(&true)
}

/// Which conditions a clause has beside the status.
fn other_conditions<M>(clause: &Clause<M>) -> [bool; 10] {
    [
        clause.media_type.is_some(),
        !clause.header.is_empty(),
        !clause.json.is_empty(),
        !clause.present.is_empty(),
        !clause.absent.is_empty(),
        clause.text.is_some(),
        clause.sets_cookie.is_some(),
        clause.redirect.is_some(),
        clause.method.is_some(),
        clause.path.is_some(),
    ]
}

pub(super) fn check_conditions<M>(at: &str, clause: &Clause<M>) -> Checked {
    if clause.status.is_none() && !other_conditions(clause).contains(&true) {
        return fail(
            at,
            "a clause without a condition would match every response",
        );
    }
    let media_type = clause.media_type.as_ref();
    if media_type.is_some_and(|media_type| !media_type.contains('/') || media_type.contains(';')) {
        return fail(
            format!("{at}.type"),
            "a media type is such as application/json, without parameters",
        );
    }
    let redirects = |statuses: &Statuses| statuses.overlap(300..=399);
    if clause.redirect.is_some() && !clause.status.as_ref().is_none_or(redirects) {
        return fail(format!("{at}.redirect"), "a redirect has a status 3xx");
    }
    let mut both = clause
        .present
        .iter()
        .filter(|at| clause.absent.contains(at));
    if let Some(pointer) = both.next() {
        return fail(
            at,
            format!("{:?} can't be present and absent", pointer.as_str()),
        );
    }
    let mut expected = clause.json.keys().filter(|at| clause.absent.contains(at));
    if let Some(pointer) = expected.next() {
        return fail(
            at,
            format!("{:?} can't have a value and be absent", pointer.as_str()),
        );
    }
    Ok(())
}

pub(super) fn check_reads(at: &str, reads: Option<&Reads>) -> Checked {
    let Some(reads) = reads else { return Ok(()) };
    let places = [
        reads.json.is_some(),
        reads.header.is_some(),
        reads.text.is_some(),
    ];
    if places.into_iter().filter(|is_there| *is_there).count() == 1 {
        return Ok(());
    }
    fail(at, "a time is read from one place: json, header or text")
}

pub(super) fn check_stated(at: &str, stated: &Stated, taken: &BTreeSet<String>) -> Checked {
    let places = [
        stated.json.is_some(),
        stated.header.is_some(),
        stated.text.is_some(),
        stated.cookie.is_some(),
        stated.jwt.is_some(),
    ];
    if places.into_iter().filter(|is_there| *is_there).count() != 1 {
        return fail(
            at,
            "a life is stated in one place: json, header, text, cookie or jwt",
        );
    }
    match &stated.jwt {
        Some(name) if !taken.contains(name) => {
            fail(format!("{at}.jwt"), format!("no step takes `{name}`"))
        }
        _ => Ok(()),
    }
}
