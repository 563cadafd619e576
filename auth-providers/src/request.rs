//! Builds the request of a login, without copies of the password that are not zeroed.

use std::io;

use auth_core::LoginError;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use serde::Serialize;
use zeroize::Zeroizing;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A `POST` request with `body` as JSON.
///
/// The JSON is written into a buffer of the exact size, which is zeroed when its last user drops
/// it.
///
/// # Errors
/// [`LoginError::misconfigured`], if `url` is not a URL or `body` cannot be serialized.
///
/// ```
/// use auth_providers::request;
///
/// let body = serde_json::json!({ "email": "ada@example.com", "password": "correct horse" });
/// let request = request::post_json("https://api.example.com/login", &body)?;
/// assert_eq!(request.headers()["content-type"], "application/json");
/// # Ok::<(), auth_core::LoginError>(())
/// ```
pub fn post_json<T: Serialize + ?Sized>(url: &str, body: &T) -> Result<Request<Bytes>, LoginError> {
    // The first pass counts the bytes. A buffer that grows would leave copies that are not zeroed.
    let mut length = Count(0);
    write_json(&mut length, body)?;
    let mut json = Zeroizing::new(Vec::with_capacity(length.0));
    write_json(&mut *json, body)?;
    debug_assert!(json.capacity() == length.0, "the buffer has not grown");
    post(url, Bytes::from_owner(json))
}

/// A `POST` request with a body that is JSON already and holds no secret.
pub(crate) fn post(url: &str, body: Bytes) -> Result<Request<Bytes>, LoginError> {
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(ACCEPT, JSON)
        .header(CONTENT_TYPE, JSON)
        .body(body)
        // The errors of the http crate do not contain the URL.
        .map_err(|error| {
            LoginError::misconfigured("the login's URL can't be used").with_source(error)
        })
}

/// A `POST` request without a body, such as a logout. The transports state its length, zero.
///
/// # Errors
/// [`LoginError::misconfigured`], if `url` is not a URL.
///
/// ```
/// use auth_providers::request;
///
/// let request = request::post_empty("https://api.example.com/logout")?;
/// assert!(!request.headers().contains_key("content-type"));
/// # Ok::<(), auth_core::LoginError>(())
/// ```
pub fn post_empty(url: &str) -> Result<Request<Bytes>, LoginError> {
    let mut request = post(url, Bytes::new())?;
    request.headers_mut().remove(CONTENT_TYPE);
    Ok(request)
}

/// A header value that is marked sensitive, and zeroed when its last user drops it.
///
/// # Errors
/// [`LoginError::misconfigured`], if a header cannot hold the bytes. The error does not contain
/// them.
pub fn secret_header(value: Zeroizing<Vec<u8>>) -> Result<HeaderValue, LoginError> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value)).map_err(|_| {
        LoginError::misconfigured("the secret has a control character, which no header can hold")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn write_json<T: Serialize + ?Sized>(to: impl io::Write, body: &T) -> Result<(), LoginError> {
    // The message of the value's own `Serialize` may contain the value, so it is dropped.
    serde_json::to_writer(to, body)
        .map_err(|_| LoginError::misconfigured("the login's body can't be written as JSON"))
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_escaped_json_with_its_headers() {
        let body = json!({ "password": "quote\" back\\ line\n tab\t é" });
        let request = post_json("https://a.example/login", &body).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://a.example/login");
        assert_eq!(request.headers()[ACCEPT], "application/json");
        assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
        let read: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(read, body);
    }

    #[test]
    fn rule_17_a_secret_header_is_sensitive_and_a_bad_one_is_not_repeated() {
        let value = secret_header(Zeroizing::new(b"Token canary".to_vec())).unwrap();
        assert!(value.is_sensitive());
        assert!(!format!("{value:?}").contains("canary"));
        let error = secret_header(Zeroizing::new(b"canary\n".to_vec())).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("canary"));
    }
}
