//! Builds the requests of a login, without copies of the password that are not zeroed.

use std::{fmt, io};

use auth_core::LoginError;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use serde::Serialize;
use zeroize::Zeroizing;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

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
    let json = zeroed(|to| Ok(serde_json::to_writer(to, body)?));
    // The message of the value's own `Serialize` may contain the value, so it is dropped.
    let json =
        json.map_err(|_| LoginError::misconfigured("the login's body can't be written as JSON"))?;
    post(url, json)
}

/// A `POST` request with the fields of a form (`application/x-www-form-urlencoded`), encoded as a
/// browser does it: in UTF-8, and a space as `+` (WHATWG URL, section 5.2).
///
/// The form is written into a buffer of the exact size, which is zeroed when its last user drops
/// it. Some frameworks want to see an `Origin` or a `Referer` with a form, which a login inserts
/// into the request's headers.
///
/// # Errors
/// [`LoginError::misconfigured`], if `url` is not a URL.
///
/// ```
/// use auth_providers::request;
///
/// let fields = [("user", "ada"), ("password", "correct horse & battery")];
/// let request = request::post_form("https://api.example.com/login", &fields)?;
/// assert_eq!(*request.body(), "user=ada&password=correct+horse+%26+battery");
/// # Ok::<(), auth_core::LoginError>(())
/// ```
pub fn post_form(url: &str, fields: &[(&str, &str)]) -> Result<Request<Bytes>, LoginError> {
    let form = zeroed(|to| {
        for (index, (name, value)) in fields.iter().enumerate() {
            if index > 0 {
                to.write_all(b"&")?;
            }
            write_field(to, name)?;
            to.write_all(b"=")?;
            write_field(to, value)?;
        }
        Ok(())
    });
    let form = form.unwrap_or_else(|_| unreachable!("memory takes all that is written"));
    of_kind(Method::POST, url, Some(FORM), form)
}

/// A `POST` request with a text and its content type, such as XML.
///
/// The text is written into a buffer of the exact size, which is zeroed when its last user drops
/// it. With `format_args!` no other copy of it is made; `format!` would leave one behind.
///
/// # Errors
/// [`LoginError::misconfigured`], if `url` is not a URL, `content_type` can't be in a header, or
/// `text` can't be formatted.
///
/// ```
/// use auth_providers::request;
///
/// let request = request::post_text(
///     "https://api.example.com/login",
///     "text/xml",
///     format_args!("<login password=\"{}\"/>", request::xml_escaped("<horse>")),
/// )?;
/// assert_eq!(*request.body(), r#"<login password="&lt;horse&gt;"/>"#);
/// # Ok::<(), auth_core::LoginError>(())
/// ```
pub fn post_text(
    url: &str,
    content_type: &str,
    text: impl fmt::Display,
) -> Result<Request<Bytes>, LoginError> {
    let kind = HeaderValue::try_from(content_type)
        .map_err(|_| LoginError::misconfigured("the content type can't be in a header"))?;
    let text = zeroed(|to| write!(to, "{text}"))
        .map_err(|_| LoginError::misconfigured("the login's body can't be formatted"))?;
    of_kind(Method::POST, url, Some(kind), text)
}

/// A text as it stands in XML, in an element or in an attribute with quotes of either kind.
///
/// It is escaped while it is written, so that no copy is left behind.
///
/// ```
/// use auth_providers::request;
///
/// assert_eq!(request::xml_escaped("a<b & 'c'").to_string(), "a&lt;b &amp; &apos;c&apos;");
/// ```
pub fn xml_escaped(text: &str) -> impl fmt::Display {
    XmlEscaped(text)
}

struct XmlEscaped<'a>(&'a str);

impl fmt::Display for XmlEscaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(['&', '<', '>', '"', '\'']) {
            let plain = piece.trim_end_matches(['&', '<', '>', '"', '\'']);
            f.write_str(plain)?;
            f.write_str(match &piece[plain.len()..] {
                "&" => "&amp;",
                "<" => "&lt;",
                ">" => "&gt;",
                "\"" => "&quot;",
                "'" => "&apos;",
                _ => "",
            })?;
        }
        Ok(())
    }
}

/// A `GET` request.
///
/// # Errors
/// [`LoginError::misconfigured`], if `url` is not a URL.
///
/// ```
/// use auth_providers::request;
///
/// let request = request::get("https://api.example.com/login")?;
/// assert_eq!(request.method(), "GET");
/// # Ok::<(), auth_core::LoginError>(())
/// ```
pub fn get(url: &str) -> Result<Request<Bytes>, LoginError> {
    of_kind(Method::GET, url, None, Bytes::new())
}

/// The request with `Authorization: Basic`, this user and password, in UTF-8 (RFC 7617). The header
/// is marked sensitive.
///
/// # Errors
/// [`LoginError::misconfigured`], if the user contains a colon, or one of the two a control
/// character.
///
/// ```
/// use auth_providers::request;
///
/// let request = request::post_empty("https://api.example.com/session")?;
/// let request = request::with_basic(request, "ada", "correct horse")?;
/// assert_eq!(request.headers()["authorization"], "Basic YWRhOmNvcnJlY3QgaG9yc2U=");
/// # Ok::<(), auth_core::LoginError>(())
/// ```
pub fn with_basic(
    mut request: Request<Bytes>,
    user: &str,
    password: &str,
) -> Result<Request<Bytes>, LoginError> {
    let basic = auth_core::basic(user, password).map_err(|error| {
        LoginError::misconfigured("a user name or password that HTTP Basic can't send")
            .with_source(error)
    })?;
    request.headers_mut().insert(AUTHORIZATION, basic);
    Ok(request)
}

/// A `POST` request with a body that is JSON already and holds no secret.
pub(crate) fn post(url: &str, body: Bytes) -> Result<Request<Bytes>, LoginError> {
    let mut request = of_kind(Method::POST, url, Some(JSON), body)?;
    request.headers_mut().insert(ACCEPT, JSON);
    Ok(request)
}

fn of_kind(
    method: Method,
    url: &str,
    kind: Option<HeaderValue>,
    body: Bytes,
) -> Result<Request<Bytes>, LoginError> {
    let request = Request::builder().method(method).uri(url).body(body);
    // The errors of the http crate do not contain the URL.
    let mut request = request.map_err(|error| {
        LoginError::misconfigured("the login's URL can't be used").with_source(error)
    })?;
    if let Some(kind) = kind {
        request.headers_mut().insert(CONTENT_TYPE, kind);
    }
    Ok(request)
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

/// What is written when `write` is called twice, in a buffer that is zeroed when its last user
/// drops it. The first pass counts the bytes: a buffer that grows would leave copies that are not
/// zeroed.
fn zeroed(write: impl Fn(&mut dyn io::Write) -> io::Result<()>) -> io::Result<Bytes> {
    let mut length = Count(0);
    write(&mut length)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    write(&mut *bytes)?;
    debug_assert!(bytes.capacity() == length.0, "the buffer has not grown");
    Ok(Bytes::from_owner(bytes))
}

/// A name or a value of a form.
fn write_field(to: &mut dyn io::Write, text: &str) -> io::Result<()> {
    for byte in text.bytes() {
        match byte {
            b' ' => to.write_all(b"+")?,
            b'*' | b'-' | b'.' | b'_' => to.write_all(&[byte])?,
            _ if byte.is_ascii_alphanumeric() => to.write_all(&[byte])?,
            _ => write!(to, "%{byte:02X}")?,
        }
    }
    Ok(())
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

    #[test]
    fn a_form_is_encoded_as_a_browser_does_it() {
        let fields = [("a b", "1+1=2&3"), ("é", "\u{20ac}%*-._~/"), ("", "")];
        let request = post_form("https://a.example/login", &fields).unwrap();
        let form = "a+b=1%2B1%3D2%263&%C3%A9=%E2%82%AC%25*-._%7E%2F&=";
        assert_eq!(*request.body(), form);
        assert_eq!(request.headers()[CONTENT_TYPE], FORM);
        assert!(!request.headers().contains_key(ACCEPT));
        let empty = post_form("https://a.example/login", &[]).unwrap();
        assert!(empty.body().is_empty());
    }

    #[test]
    fn a_text_has_the_content_type_that_is_given() {
        let url = "https://a.example/login";
        let text = format_args!("<p>{}</p>", xml_escaped("&<>\"'é"));
        let request = post_text(url, "text/xml; charset=utf-8", text).unwrap();
        assert_eq!(*request.body(), "<p>&amp;&lt;&gt;&quot;&apos;é</p>");
        assert_eq!(request.headers()[CONTENT_TYPE], "text/xml; charset=utf-8");
        let error = post_text(url, "canary\n", "").unwrap_err();
        assert!(!format!("{error:?}").contains("canary"));
    }

    #[test]
    fn rule_17_basic_is_sensitive_and_a_bad_pair_is_not_repeated() {
        let request = || get("https://a.example/login").unwrap();
        let basic = with_basic(request(), "ada", "canary").unwrap();
        assert!(basic.headers()[AUTHORIZATION].is_sensitive());
        let error = with_basic(request(), "canary:", "canary").unwrap_err();
        assert_eq!(error.kind(), auth_core::LoginErrorKind::Misconfigured);
        let source = std::error::Error::source(&error).unwrap();
        assert!(!format!("{error:?} {source}").contains("canary"));
    }
}
