//! What the servers read from requests and write into responses.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

pub(super) fn email_and_password(body: &Value) -> Option<(String, String)> {
    let email = body.get("email")?.as_str()?;
    let password = body.get("password")?.as_str()?;
    Some((email.to_owned(), password.to_owned()))
}

pub(super) fn bearer(request: &Parts) -> Option<String> {
    let header = request.headers.get(AUTHORIZATION)?.to_str().ok()?;
    Some(header.strip_prefix("Bearer ")?.to_owned())
}

/// The value of a cookie, exactly as it was sent: a client that decodes or encodes it is rejected.
pub(super) fn cookie(request: &Parts, name: &str) -> Option<String> {
    request.headers.get_all(COOKIE).iter().find_map(|header| {
        let pairs = header.to_str().ok()?.split(';');
        pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    })
}

/// A JWT with any signature, since no client verifies it.
pub(crate) fn jwt(claims: &Value, signature: &str) -> String {
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.{}",
        encode(json!({ "alg": "HS256", "typ": "JWT" }).to_string()),
        encode(claims.to_string()),
        URL_SAFE_NO_PAD.encode(signature)
    )
}

/// Rounded up, since zero seconds would mean that the time has passed.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

pub(super) fn message(status: StatusCode, text: &str) -> Response<Bytes> {
    json_response(status, &json!({ "message": text }))
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
