//! What a token says that can be read as a JWT (RFC 7519): its claims, and the lifetime that they
//! state.
//!
//! **No signature is verified.** A session's token is for the server, which checks it; a claim is
//! what the answer to a login says, as any other part of that answer is. Don't decide by a claim
//! what a user may do.

use std::time::{Duration, SystemTime};

use auth_core::LoginError;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::json_body;
use crate::response::date;

/// Accepts padding, which RFC 7515 (section 2) forbids and some servers add.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The claims of a token, in a type of the caller's or as a `serde_json::Value`. Its signature is
/// not verified.
///
/// ```
/// use auth_providers::jwt;
///
/// #[derive(serde::Deserialize)]
/// struct Claims {
///     #[serde(rename = "csrfToken")]
///     csrf: String,
/// }
///
/// let Claims { csrf } = jwt::claims("e30.eyJjc3JmVG9rZW4iOiJjLTEifQ.c2ln")?;
/// assert_eq!(csrf, "c-1");
/// # Ok::<(), auth_core::LoginError>(())
/// ```
///
/// # Errors
/// [`LoginError::malformed`], if it is no JWT, or one with other claims. The error quotes nothing
/// of it.
pub fn claims<T: DeserializeOwned>(token: &str) -> Result<T, LoginError> {
    let claims = payload(token).ok_or_else(|| LoginError::malformed("a token that is no JWT"))?;
    // The message of serde_json's error quotes the claims.
    json_body::read(&claims).map_err(|_| {
        LoginError::malformed("a JWT without a documented claim, or with another type")
    })
}

/// How long a token is good, by its claims: from the response's `Date`, or from `iat`, to `exp`,
/// whichever is shorter, since a token may have been issued before the login that returns it.
///
/// `None` if neither is known, or if the token is no JWT. The local clock is not used, since a
/// wrong one would shorten every session. The times may be in seconds, as the RFC says, or in
/// milliseconds, microseconds or nanoseconds, as a number or as a string.
///
/// ```
/// use std::time::Duration;
/// use auth_providers::jwt;
///
/// // {"iat": 1000, "exp": 4600}
/// let token = "e30.eyJpYXQiOiAxMDAwLCAiZXhwIjogNDYwMH0.c2ln";
/// let response = http::Response::new("".into());
/// assert_eq!(jwt::life(token, &response), Some(Duration::from_secs(3_600)));
/// ```
pub fn life(token: &str, response: &Response<Bytes>) -> Option<Duration> {
    life_from(token, date(response.headers()))
}

fn life_from(token: &str, responded_at: Option<SystemTime>) -> Option<Duration> {
    let claims: Times = claims(token).ok()?;
    let expires = seconds(&claims.exp)?;
    let issued = seconds(&claims.iat);
    let responded_at = responded_at
        .and_then(|date| date.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map(|date| date.as_secs_f64());
    // A token that expires before it is issued is a mistake of the server's. It states nothing.
    if issued.is_some_and(|issued| expires <= issued) {
        return None;
    }
    [issued, responded_at]
        .into_iter()
        .flatten()
        .filter_map(|start| Duration::try_from_secs_f64(expires - start).ok())
        .filter(|life| !life.is_zero())
        .min()
}

/// Each claim is read by itself, so that one of another type does not hide the other.
#[derive(Deserialize)]
struct Times {
    #[serde(default)]
    exp: Value,
    #[serde(default)]
    iat: Value,
}

/// Numbers from here on are not seconds since the Unix epoch: the year is 5138. As milliseconds,
/// they begin in 1973.
const NO_SECONDS: f64 = 1e11;

/// A time in seconds since the Unix epoch (RFC 7519, section 2: a number, with or without a
/// fraction). Some servers write milliseconds, microseconds or nanoseconds, and some write the
/// number as a string. The unit is the one that makes the time plausible.
fn seconds(claim: &Value) -> Option<f64> {
    let stated = match claim {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    since_epoch(stated)
}

/// The seconds since the Unix epoch that a number states, in the unit that makes it plausible.
pub(crate) fn since_epoch(stated: f64) -> Option<f64> {
    let units = [1.0, 1e3, 1e6, 1e9];
    let unit = units.into_iter().find(|unit| stated < NO_SECONDS * unit)?;
    (stated >= 0.0).then_some(stated / unit)
}

fn payload(token: &str) -> Option<Vec<u8>> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    // Some servers encode with the alphabet that is not made for URLs.
    let payload = payload.replace('+', "-").replace('/', "_");
    LENIENT.decode(payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", LENIENT.encode(payload))
    }

    #[test]
    fn claims_are_read_in_either_alphabet() {
        let payload = r#"{"a": "~~~???>>>", "b": 7}"#;
        let standard = base64::engine::general_purpose::STANDARD.encode(payload);
        assert!(standard.contains(['+', '/']), "{standard}");
        let read: Value = claims(&format!("e30.{standard}.c2ln")).unwrap();
        assert_eq!(read["b"], 7);
    }

    fn after_epoch(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_life_is_exp_less_iat_or_else_exp_less_the_responses_date() {
        let both = token(r#"{"iat": 1000, "exp": 4600, "user": {"id": 1}}"#);
        assert_eq!(
            life_from(&both, Some(after_epoch(1))),
            Some(Duration::from_secs(3_600))
        );
        let exp = token(r#"{"exp": 4600.5}"#);
        assert_eq!(
            life_from(&exp, Some(after_epoch(4_600))),
            Some(Duration::from_millis(500))
        );
        assert_eq!(life_from(&exp, None), None);
    }

    #[test]
    fn rule_17_claims_that_cant_be_read_are_not_quoted() {
        let claims_of = |payload| claims::<Value>(&token(payload));
        assert_eq!(claims_of(r#"{"csrf": "c-1"}"#).unwrap()["csrf"], "c-1");
        for token in [
            "canary",
            "a.b",
            "a.b.c.canary",
            "a.canary!.c",
            &token("canary"),
        ] {
            let error = claims::<Value>(token).unwrap_err();
            let printed = format!("{error} {error:?}");
            assert!(
                printed.contains("JWT") && !printed.contains("canary"),
                "{printed}"
            );
        }
        let error = claims::<u32>(&token("\"canary\"")).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }

    #[test]
    fn what_cant_be_read_says_nothing_and_is_no_error() {
        // The token of V1's own sample, whose payload is broken JSON.
        let sample = "eyJhbGciOiJIUzI1NiIsInR5cCI0IkpXVCJ9.eyJ1c2VyIjd7Im5hbWUiOiJoZWxzZHNsbyIsImlhdCI6MTY3NDY5MTcxMSwiZXhwIjoxNjc0Nzc4MTExfQ.WGnGojIgQLBY3ZsRdF26";
        let unreadable = [
            sample.to_owned(),
            String::new(),
            "opaque".to_owned(),
            "s%3Aabc.def".to_owned(),
            "a.b.c.d".to_owned(),
            "..".to_owned(),
            token("[]"),
            token(r#"{"exp": "tomorrow"}"#),
            token(r#"{"iat": 1}"#),
            token(r#"{"iat": 10, "exp": 10}"#),
            token(r#"{"iat": 10, "exp": 9}"#),
            token(r#"{"iat": 0, "exp": 1e300}"#),
            token(r#"{"iat": -1e308, "exp": 1e308}"#),
            token(r#"{"iat": 0, "exp": -1}"#),
            token(r#"{"iat": 0, "exp": 1e20}"#),
            token(r#"{"iat": 0, "exp": 123456789012345678901234567890}"#),
            token(r#"{"iat": 0, "exp": "NaN"}"#),
            token(r#"{"iat": 0, "exp": "inf"}"#),
            token(r#"{"iat": 0, "exp": "-1"}"#),
            token(r#"{"iat": 0, "exp": true}"#),
            token(r#"{"iat": 0, "exp": null}"#),
            token(r#"{"iat": 0, "exp": [60]}"#),
        ];
        for token in unreadable {
            assert_eq!(life_from(&token, Some(after_epoch(0))), None, "{token}");
        }
    }

    /// 2025-12-17, and a day later.
    const ISSUED: u64 = 1_766_000_000;
    const EXPIRES: u64 = ISSUED + 86_400;
    const DAY: Option<Duration> = Some(Duration::from_secs(86_400));

    /// A time in each unit that servers use, as a number, with a fraction, and as a string.
    fn written(seconds: u64) -> Vec<String> {
        let mut forms = Vec::new();
        for zeros in ["", "000", "000000", "000000000"] {
            forms.push(format!("{seconds}{zeros}"));
            forms.push(format!("{seconds}{zeros}.0"));
            forms.push(format!("\"{seconds}{zeros}\""));
        }
        forms
    }

    #[test]
    fn rule_14_each_time_is_read_by_itself_in_the_unit_that_makes_it_plausible() {
        for expires in written(EXPIRES) {
            for issued in written(ISSUED) {
                let both = token(&format!(r#"{{"iat": {issued}, "exp": {expires}}}"#));
                assert_eq!(life_from(&both, None), DAY, "{issued} {expires}");
            }
            let alone = token(&format!(r#"{{"exp": {expires}}}"#));
            assert_eq!(
                life_from(&alone, Some(after_epoch(ISSUED))),
                DAY,
                "{expires}"
            );
            assert_eq!(life_from(&alone, None), None, "{expires}");
            // An `iat` that can't be read hides nothing.
            for unreadable in ["\"today\"", "null", "-1", "1e300", "{}"] {
                let token = token(&format!(r#"{{"iat": {unreadable}, "exp": {expires}}}"#));
                assert_eq!(
                    life_from(&token, Some(after_epoch(ISSUED))),
                    DAY,
                    "{unreadable}"
                );
            }
        }
    }
}
