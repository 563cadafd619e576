use auth_core::Lifetime;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use crate::demo::server_state::Issued;
use crate::demo::wire;

/// What differs between the servers of the APIs. A default is what two of them or more do.
pub(in crate::demo) trait DemoApi: Sync {
    fn paths(&self) -> Paths;

    fn lifetime(&self) -> Lifetime;

    /// Account and password of a login request, or `None` if it is not what the API documents.
    fn read_login(&self, headers: &HeaderMap, body: &Value) -> Option<(String, String)> {
        let _ = headers;
        wire::email_and_password(body)
    }

    /// The token of a new session, which begins at the Unix time `at`.
    fn token(&self, random: &str, at: u64, lifetime: &Lifetime) -> String {
        let _ = (at, lifetime);
        // An opaque cookie value, percent-encoded and signed as express-session does it.
        format!("s%3A{random}.sig%2B{}", &random[..8])
    }

    /// The body of the response to a login.
    fn login_body(&self, account: &str, issued: &Issued) -> Value;

    /// The response to a login with a wrong password.
    fn refusal(&self) -> Response<Bytes> {
        wire::message(StatusCode::UNAUTHORIZED, "Invalid credentials")
    }

    /// The `Set-Cookie` header of a session, if the API has one.
    fn set_cookie(&self, token: &str, lifetime: &Lifetime) -> Option<String> {
        let _ = (token, lifetime);
        None
    }

    fn credential(&self, request: &Parts) -> Option<Carried>;

    /// The body of the response to a probe.
    fn probe_body(&self, account: &str) -> Value {
        json!({ "email": account })
    }

    /// The response to a request that the session may not send.
    fn forbidden(&self) -> Response<Bytes> {
        wire::message(StatusCode::FORBIDDEN, "Forbidden")
    }
}

pub(in crate::demo) struct Paths {
    /// The `POST` request that logs in.
    pub(in crate::demo) login: &'static str,
    /// The `POST` request that ends a session, if the API has one.
    pub(in crate::demo) logout: Option<Logout>,
    /// A `GET` request that any live session may send.
    pub(in crate::demo) probe: &'static str,
    /// What all paths that exist begin with.
    pub(in crate::demo) prefix: &'static str,
}

/// The request that ends a session, and the answer to it.
#[derive(Clone, Copy)]
pub(in crate::demo) struct Logout {
    pub(in crate::demo) path: &'static str,
    /// The `Set-Cookie` header that deletes the cookie of the session.
    pub(in crate::demo) delete_cookie: &'static str,
}

/// What a request carries of a session.
pub(in crate::demo) struct Carried {
    pub(in crate::demo) token: String,
    /// `Some`, if the API has a csrf value. It must be the one that was issued with the token.
    pub(in crate::demo) csrf: Option<String>,
}

impl From<String> for Carried {
    fn from(token: String) -> Self {
        Self { token, csrf: None }
    }
}
