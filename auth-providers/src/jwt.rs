//! The lifetime that a token states, if it can be read as a JWT (RFC 7519). Its signature is not
//! verified, since only the server acts on the claims.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

/// Accepts padding, which RFC 7515 (section 2) forbids and some servers add.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The time from the response's `Date`, or from `iat`, to `exp`, whichever is shorter: a token may
/// have been issued before the login that returns it.
///
/// `None` if neither is known. The local clock is not used, since a wrong one would shorten every
/// session.
pub(crate) fn life(token: &str, responded_at: Option<SystemTime>) -> Option<Duration> {
    let claims = claims(token)?;
    let expires = claims.exp?;
    let responded_at = responded_at
        .and_then(|date| date.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map(|date| date.as_secs_f64());
    // A token that expires before it is issued is a mistake of the server's. It states nothing.
    if claims.iat.is_some_and(|issued| expires <= issued) {
        return None;
    }
    [claims.iat, responded_at]
        .into_iter()
        .flatten()
        .filter_map(|start| Duration::try_from_secs_f64(expires - start).ok())
        .filter(|life| !life.is_zero())
        .min()
}

/// Seconds since the Unix epoch (RFC 7519, section 2: a number, with or without a fraction).
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    iat: Option<f64>,
}

fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    serde_json::from_slice(&LENIENT.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", LENIENT.encode(payload))
    }

    fn after_epoch(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_life_is_exp_less_iat_or_else_exp_less_the_responses_date() {
        let both = token(r#"{"iat": 1000, "exp": 4600, "user": {"id": 1}}"#);
        assert_eq!(
            life(&both, Some(after_epoch(1))),
            Some(Duration::from_secs(3_600))
        );
        let exp = token(r#"{"exp": 4600.5}"#);
        assert_eq!(
            life(&exp, Some(after_epoch(4_600))),
            Some(Duration::from_millis(500))
        );
        assert_eq!(life(&exp, None), None);
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
        ];
        for token in unreadable {
            assert_eq!(life(&token, Some(after_epoch(0))), None, "{token}");
        }
    }
}
