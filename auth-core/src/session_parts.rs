//! A session as plain text.

use std::fmt;

use crate::credential::{InvalidValue, Line, Lines};
use crate::secret::Secret;
use crate::session::Session;

/// A session as plain text, for a program that stores it: all that the session has, with the lives
/// of its values. It is as secret as the password, and zeroed when it is dropped.
///
/// ```
/// use auth_core::{Session, SessionParts};
///
/// let session = Session::new().with_bearer("t-1")?.with_kept("refresh_token", "r-1")?;
/// let stored: String = session.to_parts().expose().to_owned();
///
/// let session = SessionParts::from(stored).to_session()?;
/// assert!(!session.is_empty());
/// # Ok::<(), auth_core::InvalidValue>(())
/// ```
///
/// The text has a line for each part, in UTF-8 and with a line feed at its end. A line is a kind
/// and its words, each after one space. A word is `key` or `key=value`, in which the value is
/// percent-encoded but for letters, digits and `-._~`. Times are seconds, with up to nine decimals,
/// and count from when the text was made. Words that are not known are passed over.
///
/// - `session`: `form=1`; the first line. `hard`, `idle`, `absolute`: its
///   [lifetime](crate::Lifetime). `idle-left`: the time to the idle deadline. `keeps-cookies`:
///   those of every name. Where a [`store`](crate::store) has the text, these count as well:
///   `took`, how long its login took; `first-use`, that it came by a refresh, and no response had
///   shown yet that it is good
/// - `header`: `name`, and `value`, or `fetched` if it is to be fetched, or, if it is derived,
///   `cookie` and perhaps `percent-decoded`. Its condition: `unsafe`, and any number of `below`
/// - `query`: as `header`
/// - `json`, `form`: as `header`, for a field of the body. The `name` of `json` is a JSON pointer
/// - `cookie`: `name`, `value`; `path` if the server has stated one; `domain`, or the `host` that
///   set it; `secure`; `life`; `optional` if the session can do without it, `kept` if an answer set
///   it; `restated` if an answer stated its life; `gone` if it has no value now
/// - `kept`: `name`, `value`, `life`
#[derive(Clone)]
pub struct SessionParts(Secret);

impl Session {
    /// The session as plain parts, for a program that stores it. That of a credential in use is
    /// [`Credentials::session`](crate::Credentials::session).
    pub fn to_parts(&self) -> SessionParts {
        SessionParts::of(self)
    }
}

impl SessionParts {
    /// The text. A copy of it is the caller's to zero.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The session that the text states, with the lives of when it was made. If it was stored for a
    /// time, take that time off with [`Session::aged`].
    ///
    /// # Errors
    /// [`InvalidValue`] if the text is of another form, or holds what a session can't.
    pub fn to_session(&self) -> Result<Session, InvalidValue> {
        Session::read(self.lines())
    }

    pub(crate) fn of(session: &Session) -> Self {
        Self(Lines::written(|lines| session.write(lines)).into())
    }

    pub(crate) const fn of_text(text: Secret) -> Self {
        Self(text)
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.expose().lines().map(Line::new)
    }
}

impl From<String> for SessionParts {
    /// Takes the text over. It is read by [`to_session`](Self::to_session).
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for SessionParts {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for SessionParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = f.debug_list();
        for line in self.lines() {
            let kind = line.kind();
            if let (true, Ok(Some(name))) = (NAMED.contains(&kind), line.text("name")) {
                parts.entry(&format_args!("{kind} {:?}", &**name));
            }
        }
        parts.finish()
    }
}

/// The kinds of lines that have a name.
const NAMED: [&str; 6] = ["header", "query", "json", "form", "cookie", "kept"];
