//! Hashes, and what is made of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{ComputeError, since_1970};
use crate::recipe::schema::{Bytes, Compute, Hash};
use crate::recipe::template::{Place, Template};
use crate::recipe::values::Known;

/// The digits of a code of a second factor, and how long it holds (RFC 6238, section 4).
const DIGITS: u32 = 6;
const STEP: u64 = 30;

/// Computes a value, if it is one of these.
pub(super) fn compute(
    compute: &Compute,
    known: &Known<'_>,
) -> Result<Option<Zeroizing<String>>, ComputeError> {
    let text = |template: &Template| template.render(known, Place::Whole);
    let written = |bytes: &[u8]| {
        Zeroizing::new(match compute.written {
            Bytes::Hex => HEXLOWER.encode(bytes),
            Bytes::Base64 => STANDARD.encode(bytes),
        })
    };
    if let Some(template) = &compute.hex {
        let value = HEXLOWER.encode(text(template)?.as_bytes());
        return Ok(Some(Zeroizing::new(value)));
    }
    if let Some(template) = &compute.md5 {
        return Ok(Some(written(&Md5::digest(text(template)?.as_bytes()))));
    }
    if let Some(template) = &compute.sha1 {
        return Ok(Some(written(&Sha1::digest(text(template)?.as_bytes()))));
    }
    if let Some(template) = &compute.sha256 {
        return Ok(Some(written(&Sha256::digest(text(template)?.as_bytes()))));
    }
    if let (Some(hash), Some(key), Some(of)) = (compute.hmac, &compute.key, &compute.of) {
        let (key, of) = (text(key)?, text(of)?);
        return Ok(Some(match hash {
            Hash::Sha1 => written(&hmac::<Hmac<Sha1>>(key.as_bytes(), of.as_bytes())),
            Hash::Sha256 => written(&hmac::<Hmac<Sha256>>(key.as_bytes(), of.as_bytes())),
        }));
    }
    if let Some(template) = &compute.totp {
        return totp(&text(template)?, since_1970().as_secs()).map(Some);
    }
    Ok(None)
}

fn hmac<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mac = <M as KeyInit>::new_from_slice(key);
    let mac = mac.unwrap_or_else(|_| unreachable!("an HMAC takes a key of any length"));
    Zeroizing::new(mac.chain_update(text).finalize().into_bytes().to_vec())
}

/// The code of a second factor (RFC 6238), with the secret as apps show it: base32, in upper or
/// lower case, with spaces.
fn totp(secret: &str, now: u64) -> Result<Zeroizing<String>, ComputeError> {
    let letters: Zeroizing<String> = Zeroizing::new(
        (secret.chars())
            .filter(|letter| !letter.is_whitespace() && !"-=".contains(*letter))
            .map(|letter| letter.to_ascii_uppercase())
            .collect(),
    );
    let unusable = || ComputeError::Unusable("the secret of the second factor is not base32");
    let key = BASE32_NOPAD
        .decode(letters.as_bytes())
        .map_err(|_| unusable())?;
    let key = Zeroizing::new(key);
    let hash = hmac::<Hmac<Sha1>>(&key, &(now / STEP).to_be_bytes());
    // RFC 4226, section 5.3.
    let at = usize::from(hash[hash.len() - 1] & 0x0f);
    let mut code = [0; 4];
    code.copy_from_slice(&hash[at..at + 4]);
    let code = (u32::from_be_bytes(code) & 0x7fff_ffff) % 10_u32.pow(DIGITS);
    Ok(Zeroizing::new(format!("{code:06}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::compute::compute;

    fn computed(json: &str) -> String {
        let mut known = Known::default();
        known.set("a", "The quick brown fox jumps over the lazy dog");
        known.set("k", "key");
        let value = serde_json::from_str(json).unwrap();
        let result = compute(&value, &known, "u-1");
        result.map(|value| value.to_string()).unwrap()
    }

    #[test]
    fn each_value_is_that_of_the_documents() {
        let md5 = "9e107d9d372bb6826bd81d3542a419d6";
        assert_eq!(computed(r#"{"md5": "{a}"}"#), md5);
        let sha1 = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12";
        assert_eq!(computed(r#"{"sha1": "{a}"}"#), sha1);
        let sha256 = "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592";
        assert_eq!(computed(r#"{"sha256": "{a}"}"#), sha256);
        let hmac = "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9";
        assert_eq!(
            computed(r#"{"hmac": "sha1", "key": "{k}", "of": "{a}"}"#),
            hmac
        );
        let hmac = "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg=";
        let json = r#"{"hmac": "sha256", "key": "{k}", "of": "{a}", "as": "base64"}"#;
        assert_eq!(computed(json), hmac);
        assert_eq!(computed(r#"{"base64": "{k}:{k}"}"#), "a2V5OmtleQ==");
        assert_eq!(computed(r#"{"hex": "{k}"}"#), "6b6579");
        assert_eq!(computed(r#"{"percent": "{k}/ "}"#), "key%2F%20");
        assert_eq!(computed(r#"{"percent_decoded": "{k}%2F%3d+"}"#), "key/=+");
        assert_eq!(computed(r#"{"uuid": true}"#), "u-1");
        assert!(computed(r#"{"time": "ms"}"#).len() > computed(r#"{"time": "s"}"#).len());
    }

    /// RFC 6238, appendix B: the last six of the eight digits there.
    #[test]
    fn a_code_is_that_of_the_rfc() {
        let secret = BASE32_NOPAD.encode(b"12345678901234567890");
        for (now, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(*totp(&secret, now).unwrap(), code, "{now}");
        }
        let spaced = secret.to_lowercase().replace("gezd", "gezd ");
        assert_eq!(*totp(&spaced, 59).unwrap(), "287082");
        assert!(totp("not base32!", 59).is_err());
    }
}
