//! HTTP Basic (RFC 7617).

use http::HeaderValue;
use zeroize::Zeroizing;

use super::InvalidValue;

/// The value of an `Authorization` header with this user and password, in UTF-8 (RFC 7617), marked
/// sensitive: for the request of a login. A session [has it](crate::Session::with_basic) by itself.
///
/// ```
/// assert_eq!(auth_core::basic("Aladdin", "open sesame")?, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
/// # Ok::<(), auth_core::InvalidValue>(())
/// ```
///
/// # Errors
/// [`InvalidValue`] if the user contains a colon, or one of the two a control character.
pub fn basic(user: &str, password: &str) -> Result<HeaderValue, InvalidValue> {
    if user.contains(':') {
        return Err(InvalidValue::new("user name", "contains a colon"));
    }
    // Section 2 forbids them.
    if user.contains(char::is_control) {
        return Err(InvalidValue::new("user name", "has a control character"));
    }
    if password.contains(char::is_control) {
        return Err(InvalidValue::new("password", "has a control character"));
    }
    let mut pair = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
    pair.extend_from_slice(user.as_bytes());
    pair.push(b':');
    pair.extend_from_slice(password.as_bytes());
    let encoded = pair.len().div_ceil(3) * 4;
    let mut line = Zeroizing::new(Vec::with_capacity(SCHEME.len() + encoded));
    line.extend_from_slice(SCHEME);
    encode(&pair, &mut line);
    let mut value = HeaderValue::from_bytes(&line)
        .map_err(|_| InvalidValue::new("user name or password", "can't stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

const SCHEME: &[u8] = b"Basic ";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648, section 4).
fn encode(bytes: &[u8], line: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (digit, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let index = (bits >> shift) & 63;
            let is_padding = digit > group.len();
            line.push(if is_padding {
                b'='
            } else {
                ALPHABET[index as usize]
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648_section_10() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("\u{3ff}\u{fb}?>", "z7/Duz8+"),
        ] {
            let mut line = Vec::new();
            encode(plain.as_bytes(), &mut line);
            assert_eq!(line, encoded.as_bytes(), "{plain}");
        }
    }

    #[test]
    fn basic_is_that_of_rfc_7617() {
        for (user, password, value) in [
            (
                "Aladdin",
                "open sesame",
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            ),
            // Section 2.1: the pound sign in UTF-8.
            ("test", "123\u{a3}", "Basic dGVzdDoxMjPCow=="),
            ("", "", "Basic Og=="),
            ("a", "b:c", "Basic YTpiOmM="),
        ] {
            assert_eq!(basic(user, password).unwrap(), value, "{user}");
        }
    }

    #[test]
    fn rule_17_a_pair_that_cant_be_basic_is_refused_without_repeating_it() {
        for (user, password, why) in [
            ("canary:b", "p", "user name contains a colon"),
            ("canary\n", "p", "user name has a control"),
            ("u", "canary\u{7f}", "password has a control"),
            ("u", "canary\u{85}", "password has a control"),
        ] {
            let error = basic(user, password).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("canary"), "{error}");
        }
    }
}
