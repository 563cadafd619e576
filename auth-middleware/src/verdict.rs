//! What an answer says of the credential, and what follows from it, for both fronts alike.

use std::sync::Arc;

use auth_core::{Answer, Carried, Credential, Credentials, Judge, Rejection, Verdict};
use http::header::{CONTENT_LOCATION, LINK, LOCATION, REFRESH, SET_COOKIE};
use http::{HeaderMap, HeaderName, StatusCode};

/// A request on its way: what it carried, and who reads its answer.
pub(crate) struct Sent {
    credentials: Credentials,
    judge: Option<Arc<dyn Judge>>,
    carried: Carried,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The caller gets it.
    HandOn,
    /// Its request goes out once more, with something newer.
    Replay,
}

impl Sent {
    /// To be called when the request is sent, not when its credential is asked for: a sliding session slides from here.
    #[inline]
    pub(crate) fn now(
        credentials: Credentials,
        judge: Option<Arc<dyn Judge>>,
        credential: &Credential,
        replay: bool,
    ) -> Self {
        let carried = if replay {
            credentials.resending(credential)
        } else {
            credentials.sending(credential)
        };
        Self::new(credentials, judge, carried)
    }

    #[inline]
    pub(crate) const fn new(
        credentials: Credentials,
        judge: Option<Arc<dyn Judge>>,
        carried: Carried,
    ) -> Self {
        Self {
            credentials,
            judge,
            carried,
        }
    }

    /// Marks what an answer repeats of secrets, so that it doesn't print. Whether it sets cookies.
    #[inline]
    pub(crate) fn hide(&self, headers: &mut HeaderMap) -> bool {
        let sets_cookies = headers.contains_key(SET_COOKIE);
        if sets_cookies {
            hide(headers, &[SET_COOKIE]);
        }
        if self.carried.has_query() {
            hide(headers, &[LOCATION, CONTENT_LOCATION, LINK, REFRESH]);
        }
        sets_cookies
    }

    #[cfg(feature = "reqwest")]
    pub(crate) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    #[inline]
    fn judge(&self) -> &dyn Judge {
        match &self.judge {
            Some(judge) => &**judge,
            None => self.credentials.judge(),
        }
    }

    #[inline]
    pub(crate) fn wants_body(&self, status: StatusCode) -> bool {
        self.judge().wants_body(status)
    }

    /// Reads the verdict and tells the cache.
    #[inline]
    pub(crate) fn conclude(&self, answer: &Answer<'_>, sets_cookies: bool) -> Outcome {
        let verdict = self.judge().judge(answer);
        if verdict == Verdict::Rejected {
            // Cookies of such an answer are not looked at. A server that no longer knows a session deletes its cookie in
            // the same breath, or begins an anonymous one: neither may touch what another request has renewed by now.
            return match self.credentials.rejected(&self.carried) {
                // A second try keeps nothing to send a third with.
                Rejection::Replay => Outcome::Replay,
                _ => Outcome::HandOn,
            };
        }
        // First that it was accepted, then what it changed: the idle deadline is the carried revision's.
        if verdict == Verdict::Accepted {
            self.credentials.accepted(&self.carried);
        }
        // Whoever answered with something unclear, such as a proxy, may not be who keeps the session.
        if verdict != Verdict::Unclear && sets_cookies {
            self.note_cookies(answer.headers);
        }
        Outcome::HandOn
    }

    /// Only cookies set in answer to the current revision count, so that one is asked which cookies it has.
    #[cold]
    fn note_cookies(&self, headers: &HeaderMap) {
        let current = self.credentials.peek();
        let Some(current) = current.filter(|current| current.stamp() == self.carried.stamp())
        else {
            return;
        };
        if let Some(change) = current.change_in(headers) {
            self.credentials.changed(&self.carried, &change);
        }
    }

    /// Whom to ask for something newer, and who reads that answer.
    #[cfg(feature = "tower")]
    pub(crate) fn into_parts(self) -> (Credentials, Option<Arc<dyn Judge>>) {
        (self.credentials, self.judge)
    }
}

#[inline(never)]
fn hide(headers: &mut HeaderMap, names: &[HeaderName]) {
    for (name, value) in headers {
        if names.contains(name) {
            value.set_sensitive(true);
        }
    }
}
