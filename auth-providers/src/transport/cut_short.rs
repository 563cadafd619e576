use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use auth_core::LoginError;
use bytes::Bytes;
use http::Response;

use crate::response::{MAX_RESPONSE, failure, wait_of};

/// Why a response has less of its body than the server meant to send. It is in the extensions of a
/// response whose status says enough by itself.
#[derive(Clone, Debug)]
pub(crate) struct CutShort {
    why: Cow<'static, str>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// In the extensions of a request whose response says enough by its status even if that is a
/// success: that of a logout.
#[derive(Clone, Copy)]
pub(crate) struct ByStatus;

#[cfg_attr(
    not(any(feature = "reqwest", feature = "tower")),
    allow(dead_code, reason = "the transports make it")
)]
impl CutShort {
    /// Reading the body failed for this cause, which quotes nothing of it.
    pub(crate) fn broke_off(
        why: &'static str,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            why: why.into(),
            cause: Some(cause.into().into()),
        }
    }

    /// It is longer than [`MAX_RESPONSE`].
    pub(crate) fn too_long() -> Self {
        Self {
            why: format!("the response has more than {} KiB", MAX_RESPONSE / 1024).into(),
            cause: None,
        }
    }

    /// The login's time-out passes while it is read.
    pub(crate) fn not_in_time() -> Self {
        Self {
            why: "the response did not end in time".into(),
            cause: None,
        }
    }

    /// What such a response means. The server has judged the password, so a success that is not
    /// whole is no outage: it may be a refusal, in what is missing.
    pub(crate) fn failure(self, response: &Response<Bytes>) -> LoginError {
        let status = response.status();
        let failed = if status.is_success() {
            let failed = LoginError::malformed(format!("status {}, and {self}", status.as_u16()));
            match self.cause {
                Some(cause) => failed.with_source(cause),
                None => failed,
            }
        } else {
            failure(response).with_source(self)
        };
        let wait = wait_of(&failed, response.headers());
        failed.with_retry_after(wait)
    }
}

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Error for CutShort {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_broke_off_has_its_cause() {
        let cause = |cut: &CutShort| cut.source().map(ToString::to_string);
        let broke_off = CutShort::broke_off("the response broke off", "reset");
        assert_eq!(cause(&broke_off), Some("reset".to_owned()));
        assert_eq!(cause(&CutShort::too_long()), None);
    }
}
