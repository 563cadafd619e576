//! Making a login's request, with no more copies of the password than it takes.

use std::io;

use auth_core::LoginError;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use serde::Serialize;
use zeroize::Zeroizing;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A `POST` of `body` as JSON.
///
/// The JSON is written once, into a buffer of the right size that is zeroed when the last use of it is dropped.
///
/// # Errors
/// [`LoginError::misconfigured`]: `url` is none, or `body` can't be written as JSON.
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
    // A first pass counts, so that the buffer never grows: growing would leave copies behind that nobody zeroes.
    let mut length = Count(0);
    write_json(&mut length, body)?;
    let mut json = Zeroizing::new(Vec::with_capacity(length.0));
    write_json(&mut *json, body)?;
    debug_assert!(json.capacity() == length.0, "the buffer has not grown");
    post(url, Bytes::from_owner(json))
}

/// A `POST` of a body that is JSON already and holds no secret.
pub(crate) fn post(url: &str, body: Bytes) -> Result<Request<Bytes>, LoginError> {
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(ACCEPT, JSON)
        .header(CONTENT_TYPE, JSON)
        .body(body)
        // The http crate's errors repeat nothing of the URL.
        .map_err(|error| {
            LoginError::misconfigured("the login's URL can't be used").with_source(error)
        })
}

/// A header value that is marked sensitive and zeroed when the last use of it is dropped.
///
/// # Errors
/// [`LoginError::misconfigured`]: the bytes can't stand in a header. They are not repeated.
pub fn secret_header(value: Zeroizing<Vec<u8>>) -> Result<HeaderValue, LoginError> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value)).map_err(|_| {
        LoginError::misconfigured("the secret can't stand in a header: it has a control character")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn write_json<T: Serialize + ?Sized>(to: impl io::Write, body: &T) -> Result<(), LoginError> {
    // serde_json's errors on writing come from the value's own Serialize, which may say anything: not repeated.
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
