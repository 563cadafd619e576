//! Values that are computed from others.

#[cfg(feature = "recipes")]
mod hash;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth_core::LoginError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::schema::{Compute, TimeUnit};
use super::template::{Missing, Place, Template, encoded};
use super::values::Known;

/// Why a value can't be computed.
#[derive(Debug)]
pub(super) enum ComputeError {
    /// A value that it names is not there.
    Missing(Missing),
    /// A value that it names can't be used.
    Unusable(&'static str),
}

impl From<Missing> for ComputeError {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl From<ComputeError> for LoginError {
    fn from(error: ComputeError) -> Self {
        Self::misconfigured(match error {
            ComputeError::Missing(Missing(name)) => format!("the recipe needs the value `{name}`"),
            ComputeError::Unusable(problem) => problem.to_owned(),
        })
    }
}

/// Computes a value. `uuid` is the one of this login.
pub(super) fn compute(
    compute: &Compute,
    known: &Known<'_>,
    uuid: &str,
) -> Result<Zeroizing<String>, ComputeError> {
    let text = |template: &Template| template.render(known, Place::Whole);
    if let Some(template) = &compute.base64 {
        return Ok(Zeroizing::new(STANDARD.encode(text(template)?.as_bytes())));
    }
    if let Some(template) = &compute.percent {
        let text = text(template)?;
        return Ok(Zeroizing::new(encoded(&text)));
    }
    if let Some(template) = &compute.percent_decoded {
        let text = text(template)?;
        let plain = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        return Ok(Zeroizing::new(plain));
    }
    if let Some(unit) = compute.time {
        let now = since_1970();
        let time = match unit {
            TimeUnit::S => now.as_secs().to_string(),
            TimeUnit::Ms => now.as_millis().to_string(),
        };
        return Ok(Zeroizing::new(time));
    }
    if compute.uuid {
        return Ok(Zeroizing::new(uuid.to_owned()));
    }
    hashed(compute, known)
}

#[cfg(feature = "recipes")]
fn hashed(compute: &Compute, known: &Known<'_>) -> Result<Zeroizing<String>, ComputeError> {
    let value = hash::compute(compute, known)?;
    value.ok_or(ComputeError::Unusable("a value is computed in no way"))
}

/// No recipe of this crate names a hash.
#[cfg(not(feature = "recipes"))]
const fn hashed(_: &Compute, _: &Known<'_>) -> Result<Zeroizing<String>, ComputeError> {
    Err(ComputeError::Unusable("hashes need the feature `recipes`"))
}

/// The time that a code of a second factor is of. It is the machine's own, as in an app.
#[expect(
    clippy::disallowed_methods,
    reason = "no clock of the cache is meant, but the time of the day"
)]
fn since_1970() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}
