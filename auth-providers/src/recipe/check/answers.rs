//! What a step says of its answers: what is a success, and what is a failure.

use http::StatusCode;

use super::clauses::{check_clause, check_order};
use super::{Checked, Role, fail};
use crate::recipe::answer::needs_body;
use crate::recipe::schema::{Clause, Expected, HeaderTest, Meaning, Pattern, Pointer, Step};

/// What is a success and what is a failure.
pub(super) fn answers(at: &str, step: &Step, role: Role) -> Checked {
    for (index, clause) in step.ok.iter().enumerate() {
        let at = format!("{at}.ok[{index}]");
        check_clause(&at, clause, false)?;
        has_its_body(&at, step, clause)?;
        if role == Role::Login && takes_any(clause, StatusCode::UNAUTHORIZED) {
            return fail(at, "a 401 to a login is a refusal, and no success");
        }
    }
    for (index, failure) in step.failures.iter().enumerate() {
        let at = format!("{at}.failures[{index}]");
        if failure.means.is_none() {
            let problem = "a failure says what it means: refused, locked, seats_exhausted, \
                           limited, unavailable or malformed";
            return fail(at, problem);
        }
        check_clause(&at, failure, true)?;
        has_its_body(&at, step, failure)?;
        let earlier = &step.failures[..index];
        if role == Role::Login && !is_bounded(failure) {
            check_refusals(&at, failure, earlier)?;
        }
    }
    check_order(&format!("{at}.failures"), &step.failures)
}

/// Whether a failure is such that it is not tried again at once.
const fn is_bounded(failure: &Clause<Meaning>) -> bool {
    matches!(
        failure.means,
        Some(Meaning::Refused | Meaning::Locked | Meaning::Malformed)
    )
}

/// A failure that is tried again soon is none that may be a refusal, unless an earlier clause has
/// taken those.
fn check_refusals(at: &str, failure: &Clause<Meaning>, earlier: &[Clause<Meaning>]) -> Checked {
    let is_left = |status: StatusCode| {
        let mut earlier = earlier.iter();
        takes_any_such(failure, status) && !earlier.any(|clause| takes_any(clause, status))
    };
    if is_left(StatusCode::UNAUTHORIZED) {
        let problem = "a 401 to a login is a refusal, whatever its body is (RFC 9110, section \
                       15.5.2); where it may be another thing, it is malformed";
        return fail(at, problem);
    }
    if failure.status.is_none() && is_left(StatusCode::FORBIDDEN) {
        let problem = "a 4xx to a login may be a refusal; say at which status it is none, as \
                       status = [\"2xx\", \"5xx\"]";
        return fail(at, problem);
    }
    Ok(())
}

/// Whether a clause takes every answer of this status.
fn takes_any<M>(clause: &Clause<M>, status: StatusCode) -> bool {
    takes_any_such(clause, status)
        && clause.media_type.is_none()
        && clause.header.is_empty()
        && !needs_body(clause)
}

/// Whether a clause takes an answer of this status for nothing that it holds: by the label or the
/// kind of its body, which are no evidence, or by what it lacks.
fn takes_any_such<M>(clause: &Clause<M>, status: StatusCode) -> bool {
    let takes = (clause.status.as_ref()).is_none_or(|statuses| statuses.contain(status));
    let is_lack = |test: &HeaderTest| matches!(test, HeaderTest::There(false));
    let is_whole = |at: &Pointer| at.as_str().is_empty();
    let is_of_kind = |(at, expected): (&Pointer, &Expected)| {
        is_whole(at) && matches!(expected, Expected::Kind(_))
    };
    let says = |pattern: &Pattern| !pattern.matches("");
    let holds_something = !clause.header.values().all(is_lack)
        || !clause.json.iter().all(is_of_kind)
        || !clause.present.iter().all(is_whole)
        || clause.text.as_ref().is_some_and(says)
        || clause.sets_cookie.is_some()
        || clause.redirect.is_some();
    takes && !holds_something
}

/// A clause for the answer to a `HEAD` looks at no body.
fn has_its_body<M>(at: &str, step: &Step, clause: &Clause<M>) -> Checked {
    if step.head.is_some() && needs_body(clause) {
        return fail(at, NO_BODY);
    }
    Ok(())
}

/// Why nothing is read there.
pub(super) const NO_BODY: &str = "the answer to a HEAD has no body";
