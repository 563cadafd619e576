//! What the answer to a step means.

use auth_core::LoginError;
use bytes::Bytes;
use http::Response;

use super::answer::Answer;
use super::schema::{Clause, Meaning, Step};
use crate::response;

/// Passes an answer that no failure matches and that is a success.
pub(super) fn check(
    step: &Step,
    answer: &Answer<'_>,
    response: &Response<Bytes>,
    otherwise: fn(&Response<Bytes>) -> LoginError,
) -> Result<(), LoginError> {
    let failure = step.failures.iter().find(|failure| answer.matches(failure));
    if let Some(failure) = failure {
        return Err(failed(failure, answer));
    }
    let is_ok = if step.ok.is_empty() {
        answer.status().is_success()
    } else {
        step.ok.iter().any(|clause| answer.matches(clause))
    };
    match is_ok {
        true => Ok(()),
        // A 4xx or 5xx means what it always means.
        false if !step.ok.is_empty() && answer.status().as_u16() < 400 => {
            let status = answer.status().as_u16();
            Err(LoginError::malformed(format!(
                "no clause of the recipe's `ok` matches status {status}"
            )))
        }
        false => Err(otherwise(response)),
    }
}

fn failed(failure: &Clause<Meaning>, answer: &Answer<'_>) -> LoginError {
    let status = format!("status {}", answer.status().as_u16());
    let wait = failure.wait.as_ref().and_then(|wait| answer.wait(wait));
    // The longer of the two, since the server has asked for both.
    let wait = wait.max(answer.retry_after());
    let error = match failure.means {
        Some(Meaning::Refused) => LoginError::refused(status),
        Some(Meaning::Locked) => LoginError::locked(status),
        Some(Meaning::SeatsExhausted) => LoginError::seats_exhausted(status),
        Some(Meaning::Limited) => LoginError::limited(None).with_detail(status),
        Some(Meaning::Unavailable) => LoginError::unavailable(status),
        Some(Meaning::Malformed) | None => LoginError::malformed(status),
    };
    error.with_retry_after(wait)
}

/// The failure of a refresh that the recipe says nothing about.
pub(super) fn refresh_failure(response: &Response<Bytes>) -> LoginError {
    match response::expect_refreshed(response) {
        Err(error) => error,
        Ok(()) => response::failure(response),
    }
}
