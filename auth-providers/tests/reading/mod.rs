//! Reads an answer to a login of one request, without a server.

use auth_core::{LoginError, Secret, Session};
use auth_providers::{Answers, Login, Step};
use bytes::Bytes;
use http::Response;

pub(crate) fn session(
    login: &(impl Login + ?Sized),
    answer: &Response<Bytes>,
) -> Result<Session, LoginError> {
    let secret = Secret::from("canary-p\"w é");
    let request = login.request(&secret)?;
    match login.read(&Answers::new(request.uri(), answer.clone(), &secret))? {
        Step::Session(session) => Ok(session),
        step => unreachable!("{step:?}"),
    }
}
