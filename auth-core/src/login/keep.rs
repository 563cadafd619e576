//! The interface of the cache for its logins.

use std::sync::Arc;
use std::time::Duration;

use super::flight::Flight;
use super::settlement::Settlement;
use crate::credential::{Credential, Stamp};
use crate::decide::{
    Adopted, AttemptedSecret, FlightId, Known, LoginOutcome, NoSession, Notes, Purpose, Wanted,
};
use crate::error::LoginError;
use crate::logout::Logout;
use crate::secret::Secret;
use crate::session::Session;
use crate::store::{Found, Leased, Saved};

/// The cache, as its login sees it.
pub(crate) trait Keep: Send + Sync {
    /// What is known of the entry in the store, and whether the session of that version was
    /// rejected.
    fn known(&self) -> (Known, bool);

    /// The flight has looked at the store. Returns what it does then, or `None` if it is not wanted
    /// any more.
    fn look_at(&self, id: FlightId, wanted: Wanted, found: Found) -> Option<Adopted>;

    /// The session that a refresh begins with.
    fn refreshed(&self) -> Option<Arc<Credential>>;

    /// Whether the secret that was read must not be sent, though another one failed last.
    fn holds_back(&self, secret: AttemptedSecret) -> bool;

    /// What the notes of the store say of the secret that was read. Returns whether it may be sent.
    fn recall(&self, notes: &Notes, secret: AttemptedSecret, tag: &str, purpose: Purpose) -> bool;

    /// The token of a session that can be used once, if it is refreshed with one.
    fn single_use_token(&self, session: &Credential) -> Option<Secret>;

    /// The token of a session, if it is refreshed with one.
    fn refresh_token(&self, session: &Credential) -> Option<Secret>;

    /// Whether there is a session that is neither over nor rejected.
    fn has_good_session(&self) -> bool;

    /// Whether there is none, and nothing forbids the login that would bring one. A cache that is
    /// closed wants none.
    fn wants_login(&self) -> bool;

    /// The refresh that began with `before` is sent now, if it may be. Returns the session as it is
    /// by now.
    fn send_refresh(&self, id: FlightId, before: &Credential)
    -> Result<Arc<Credential>, NoSession>;

    /// The refresh of `before` has brought a session. Returns it with the cookies that it
    /// continues.
    fn continued(&self, session: Session, before: &Credential) -> Result<Session, LoginError>;

    /// It was not sent after all, and may be later. Its token is as good as it was.
    fn unsend_refresh(&self, session: &Credential);

    /// The refresh of a session has failed. Returns what its waiters are told, or else the purpose
    /// of the login that follows in the same flight.
    fn not_refreshed(
        &self,
        flight: &Flight,
        session: &Credential,
        error: LoginError,
    ) -> Result<Purpose, NoSession>;

    /// A login has ended, and has taken `took` since it was sent, and this lease. Its waiters are
    /// not told yet.
    fn settle(
        &self,
        flight: &Flight,
        outcome: LoginOutcome,
        took: Duration,
        leased: Option<Leased>,
    ) -> Settlement;

    /// The notes for the store after the login has ended, and has brought a session or not.
    fn notes(&self, before: &Notes, secret: Option<String>, brought: bool) -> Notes;

    /// The session with this stamp was saved in the store, or was not.
    fn saved(self: Arc<Self>, stamp: Stamp, saved: Option<Saved>);

    /// Tells the waiters. Returns a session that is of no use, which is to be logged out.
    fn conclude(&self, settlement: Settlement) -> Option<(Arc<Credential>, Logout)>;

    /// The task of a login is gone without an outcome, or is not driven, and with it the answer to
    /// what was sent. It matters only if the login is still the one under way. Returns whether it
    /// was.
    fn lose(&self, flight: &Flight) -> bool;
}
