//! Why a flight begins for a caller.

use super::CacheState;
use crate::cause::Cause;
use crate::clock::Moment;
use crate::lifetime::Freshness;

impl CacheState {
    /// Why a flight begins now for a caller that wants a credential, or a `renewed` one.
    pub(crate) fn cause(&self, now: Moment, renewed: bool) -> Cause {
        let Some(current) = self.current() else {
            return match self.given_up {
                Some(_) => Cause::Rejection,
                None => Cause::First,
            };
        };
        match current.life().freshness(now) {
            Freshness::Lapsed | Freshness::Expired => Cause::AfterExpiry,
            _ if renewed => Cause::Asked,
            _ => Cause::AheadOfExpiry,
        }
    }
}
