//! A request as the servers read it, and their answers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Query, Request};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::world::{Fields, Session, World};

/// How long a [`too_many`] asks to wait.
pub(crate) const THROTTLED: Duration = Duration::from_secs(30);

/// A request, whole. Each reading of it is empty where the request lacks the part, or has another
/// content type.
pub(crate) struct Asked {
    pub(crate) method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
}

impl FromRequest<Arc<World>> for Asked {
    type Rejection = StatusCode;

    async fn from_request(request: Request, _: &Arc<World>) -> Result<Self, StatusCode> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, 64 * 1024).await;
        let body = body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        Ok(Self {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body: String::from_utf8(body.into()).map_err(|_| StatusCode::BAD_REQUEST)?,
        })
    }
}

impl Asked {
    /// A header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// A cookie, or an empty text.
    pub(crate) fn cookie(&self, name: &str) -> &str {
        let lines = self.headers.get_all(COOKIE).iter();
        let lines = lines.filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split("; "));
        let own = |pair: &'_ str| pair.split_once('=').is_some_and(|(own, _)| own == name);
        let own = pairs.into_iter().find(|pair| own(pair));
        own.and_then(|pair| pair.split_once('='))
            .map_or("", |(_, value)| value)
    }

    /// `Authorization: Bearer`.
    pub(crate) fn bearer(&self) -> &str {
        let value = self.header(AUTHORIZATION.as_str());
        value.strip_prefix("Bearer ").unwrap_or("")
    }

    /// `Authorization: Basic`: the name and the password.
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        self.pair("Basic ")
    }

    /// A name and a password in `Authorization`, by a scheme of this name.
    pub(crate) fn pair(&self, scheme: &str) -> Option<(String, String)> {
        let value = self.header(AUTHORIZATION.as_str());
        let pair = STANDARD.decode(value.strip_prefix(scheme)?).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (name, password) = pair.split_once(':')?;
        Some((name.to_owned(), password.to_owned()))
    }

    pub(crate) fn query(&self) -> Fields {
        Query::try_from_uri(&self.uri).map_or_else(|_| Fields::new(), |Query(fields)| fields)
    }

    /// The body's fields, if it is a form.
    pub(crate) fn form(&self) -> Fields {
        if !self.is("application/x-www-form-urlencoded") {
            return Fields::new();
        }
        // The body of a form is written as a query is.
        let uri = format!("/?{}", self.body).parse().unwrap_or_default();
        Query::try_from_uri(&uri).map_or_else(|_| Fields::new(), |Query(fields)| fields)
    }

    /// The body, if it is JSON.
    pub(crate) fn json(&self) -> Value {
        if !self.is("application/json") && !self.is("application/json-rpc") {
            return Value::Null;
        }
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    fn is(&self, media_type: &str) -> bool {
        let own = self.header(CONTENT_TYPE.as_str()).split(';').next();
        own.is_some_and(|own| own.trim().eq_ignore_ascii_case(media_type))
    }

    /// Whether the text is anywhere in the request, plain or escaped for a URL.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        let escaped = text.replace('+', "%2B").replace('/', "%2F");
        let headers = self
            .headers
            .values()
            .filter_map(|value| value.to_str().ok());
        headers
            .chain([&*self.body, &self.uri.to_string()])
            .any(|part| part.contains(text) || part.contains(&escaped))
    }
}

/// A text of the JSON, or an empty text.
pub(crate) fn text<'a>(json: &'a Value, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// A field of a form or a query, or an empty text.
pub(crate) fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map_or("", |value| value)
}

/// An answer in JSON.
pub(crate) fn json(status: u16, body: Value) -> Response {
    (code(status), Json(body)).into_response()
}

/// An answer in another type.
pub(crate) fn page(status: u16, content_type: &'static str, body: &'static str) -> Response {
    (code(status), [(CONTENT_TYPE, content_type)], body).into_response()
}

/// An answer without a body.
pub(crate) fn empty(status: u16) -> Response {
    code(status).into_response()
}

/// A 429 of a server, or of what stands before it, that counts logins (RFC 6585, section 4). It
/// asks for [`THROTTLED`].
pub(crate) fn too_many() -> Response {
    empty(429).with("retry-after", &THROTTLED.as_secs().to_string())
}

/// The tokens of a session (RFC 6749, section 5.1).
pub(crate) fn tokens(session: &Session, with_refresh: bool, seconds: u32) -> Response {
    let mut body = json!({
        "access_token": session.access, "token_type": "Bearer", "expires_in": seconds
    });
    if with_refresh {
        body["refresh_token"] = json!(session.refresh);
    }
    json(200, body).with("cache-control", "no-store")
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}

/// An answer whose length is not stated, as of a server that writes while it still computes.
pub(crate) fn chunked(answer: Response) -> Response {
    answer.map(|body| Body::new(body.map_frame(|frame| frame)))
}

/// Adds headers to an answer.
pub(crate) trait With: Sized {
    fn with(self, name: &'static str, value: &str) -> Self;

    fn with_cookie(self, line: &str) -> Self {
        self.with(SET_COOKIE.as_str(), line)
    }
}

impl With for response::Response<Body> {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers_mut().append(name, value);
        self
    }
}

/// A JWT with the claims, whose signature is the value that the session is known by.
pub(crate) fn jwt(claims: &Value, access: &str) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let signature = URL_SAFE_NO_PAD.encode(access);
    format!("{}.{}.{signature}", part(&header), part(claims))
}

/// The value that the session of a [`jwt`] is known by, or an empty text.
pub(crate) fn signed_for(token: &str) -> String {
    let signature = token.split('.').nth(2).unwrap_or("");
    let access = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    String::from_utf8(access).unwrap_or_default()
}
