//! What a session that was refreshed has of the one before.

use crate::clock::Moment;
use crate::credential::Credential;
use crate::error::LoginError;
use crate::session::Session;

impl Session {
    /// The session with the cookies that it continues, as those of `before` are now. Its refresh
    /// has failed if that leaves none of those that it needs. `deleted` says that the server has
    /// deleted those of `before`.
    pub(crate) fn with_cookies_of(
        mut self,
        before: &Credential,
        deleted: bool,
        now: Moment,
    ) -> Result<Self, LoginError> {
        let Some(continues) = self.continues.take() else {
            return Ok(self);
        };
        before.continue_cookies(&mut self.attachment, &continues.set_by, deleted, now);
        if continues.without_lives {
            self.attachment.forget_cookie_lives();
        }
        if self.attachment.lacks_its_cookies() {
            return Err(LoginError::malformed(
                "a refreshed session with none of the cookies that it needs",
            ));
        }
        Ok(self)
    }

    /// The session that continues an earlier one: it keeps what that kept and it does not bring.
    pub(crate) fn continuing(mut self, before: &Credential, now: Moment) -> Self {
        self.kept.continue_from(before.all_kept(now));
        self
    }
}
